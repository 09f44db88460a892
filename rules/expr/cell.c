/* Cells of columns as values of the expression language, and back.
 *
 * The only two places that know every representation: evaluators, connectors and
 * tests that mean one cell go through here, kernels never do. O(1) a cell; an enum
 * is found by its name, O(names).
 */
#include <math.h>

#include "rules/expr/expr.h"
#include "rules/expr/number.h"
#include "rules/expr/text.h"
#include "rules/expr/time.h"
#include "rules/expr/value.h"
#include "rules/must/must.h"

void tsn_column_value(const struct tsn_column *column, uint32_t row, struct tsn_value *out)
{
    *out = (struct tsn_value){.type = tsn_plain(tsn_rep_type(column->rep))};
    if (!tsn_bits_get(column->valid, row)) {
        bool failed = column->error && tsn_bits_get(column->error, row);
        out->state = failed ? TSN_STATE_ERROR : TSN_STATE_MISSING;
        out->error = failed ? "the value could not be computed" : NULL;
        return;
    }
    out->state = TSN_STATE_VALUE;
    switch (column->rep) {
    case TSN_REP_BOOL:
        out->b = tsn_bits_get(column->bits, row);
        break;
    case TSN_REP_INT:
        out->i = column->i64[row];
        break;
    case TSN_REP_DOUBLE:
        out->d = column->f64[row];
        break;
    case TSN_REP_STRING:
        out->s = column->str[row];
        break;
    case TSN_REP_TIME_MS:
    case TSN_REP_DURATION_MS:
        out->t = tsn_time_from_ms(column->i64[row]);
        break;
    case TSN_REP_MONEY:
        out->d = (double)column->i64[row] / tsn_number_power_of_ten(column->scale);
        break;
    case TSN_REP_ENUM:
        out->s = column->dict->names[column->code[row]];
        break;
    case TSN_REP_TIME:
    case TSN_REP_DURATION:
        out->t = column->time[row];
        break;
    case TSN_REP_LIST:
        out->list = ((const struct tsn_list_value *const *)column->cells)[row];
        out->type = (struct tsn_expr_type){TSN_TYPE_LIST, TSN_TYPE_NULL, 1};
        break;
    case TSN_REP_NULL:
        break;
    }
}

static uint16_t code_of(const struct tsn_dict *dict, struct tsn_str name)
{
    uint32_t code = 0;
    while (code < dict->n && !tsn_str_equal(dict->names[code], name)) {
        code++;
    }
    TSN_MUST(code < dict->n);
    return (uint16_t)code;
}

static void payload_set(struct tsn_column *column, uint32_t row, const struct tsn_value *value)
{
    switch (column->rep) {
    case TSN_REP_BOOL:
        if (value->b) {
            tsn_bits_set(column->bits, row);
        } else {
            tsn_bits_clear(column->bits, row);
        }
        break;
    case TSN_REP_INT:
        column->i64[row] = value->i;
        break;
    case TSN_REP_DOUBLE:
        column->f64[row] = value->d;
        break;
    case TSN_REP_STRING:
        column->str[row] = value->s;
        break;
    case TSN_REP_TIME_MS:
    case TSN_REP_DURATION_MS:
        column->i64[row] = value->t.s * 1000 + value->t.ns / 1000000;
        break;
    case TSN_REP_MONEY:
        column->i64[row] = llround(value->d * tsn_number_power_of_ten(column->scale));
        break;
    case TSN_REP_ENUM:
        column->code[row] = code_of(column->dict, value->s);
        break;
    case TSN_REP_TIME:
    case TSN_REP_DURATION:
        column->time[row] = value->t;
        break;
    case TSN_REP_LIST:
        ((const struct tsn_list_value **)column->cells)[row] = value->list;
        break;
    case TSN_REP_NULL:
        break;
    }
}

void tsn_column_set(struct tsn_column *column, uint32_t row, const struct tsn_value *value)
{
    tsn_bits_clear(column->valid, row);
    if (column->error) {
        tsn_bits_clear(column->error, row);
    }
    if (value->state == TSN_STATE_VALUE) {
        tsn_bits_set(column->valid, row);
        payload_set(column, row, value);
        return;
    }
    if (column->rep == TSN_REP_BOOL) { /* value bits are a subset of valid ones */
        tsn_bits_clear(column->bits, row);
    }
    if (value->state == TSN_STATE_ERROR) {
        TSN_MUST(column->error);
        tsn_bits_set(column->error, row);
    }
}
