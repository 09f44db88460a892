/* Evaluators: life of one, frames, rows, and values as text; see expr.h.
 *
 * An evaluator owns an arena that a new frame resets, so after its first frames it
 * allocates nothing. The scalar walk is in row.c, the columns are in vector.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/expr/graph.h"
#include "rules/expr/number.h"
#include "rules/expr/text.h"
#include "rules/expr/time.h"
#include "rules/expr/value.h"
#include "rules/must/must.h"

struct tsn_eval *tsn_eval_new(const struct tsn_expr_set *set)
{
    struct tsn_eval *eval = calloc(1, sizeof *eval);
    TSN_MUST_ALLOC(eval);
    eval->set = set;
    eval->clock = 1;
    tsn_arena_init(&eval->arena, 256 * 1024);
    tsn_eval_fit(eval);
    return eval;
}

void tsn_eval_free(struct tsn_eval *eval)
{
    if (!eval) {
        return;
    }
    free(eval->values);
    free(eval->stamps);
    free(eval->columns);
    free(eval->column_frame);
    free(eval->intervals);
    tsn_arena_free(&eval->arena);
    free(eval);
}

static void *grow(void *old, size_t old_n, size_t n, size_t size)
{
    char *grown = realloc(old, n * size);
    TSN_MUST_ALLOC(grown);
    memset(grown + old_n * size, 0, (n - old_n) * size);
    return grown;
}

void tsn_eval_fit(struct tsn_eval *eval)
{
    uint32_t n = eval->set->n_nodes;
    if (n <= eval->cap_nodes && eval->cap_nodes) {
        return;
    }
    uint32_t old = eval->cap_nodes;
    uint32_t cap = eval->set->frozen ? n : n * 2;
    cap = cap < 64 ? 64 : cap;
    eval->values = grow(eval->values, old, cap, sizeof *eval->values);
    eval->stamps = grow(eval->stamps, old, cap, sizeof *eval->stamps);
    eval->columns = grow(eval->columns, old, cap, sizeof *eval->columns);
    eval->column_frame = grow(eval->column_frame, old, cap, sizeof *eval->column_frame);
    eval->intervals = grow(eval->intervals, old, cap, sizeof *eval->intervals);
    eval->cap_nodes = cap;
}

void tsn_eval_begin(struct tsn_eval *eval, const struct tsn_frame *frame)
{
    eval->frame = *frame;
    eval->frame_count++;
    if (eval->frame_count == 0) { /* wrapped: no old mark may look new */
        memset(eval->column_frame, 0, eval->cap_nodes * sizeof *eval->column_frame);
        eval->frame_count = 1;
    }
    tsn_arena_reset(&eval->arena);
}

void tsn_eval_row(struct tsn_eval *eval, uint32_t expr, uint32_t row, struct tsn_value *out)
{
    TSN_MUST(eval->set->frozen && expr < eval->set->n_exprs && row < eval->frame.n_rows);
    const struct tsn_compiled *compiled = &eval->set->exprs[expr];
    tsn_row_begin(eval, row);
    *out = *tsn_row_node(eval, compiled->root);
    out->type = eval->set->nodes[compiled->root].type;
    if (out->state != TSN_STATE_ERROR) {
        return;
    }
    uint32_t node = out->error_column;
    out->error_column = 1;
    size_t low = 0;
    size_t high = compiled->n_positions;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compiled->positions[middle].node < node) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low < compiled->n_positions && compiled->positions[low].node == node) {
        out->error_column = compiled->positions[low].column;
    }
}

/* ---- values as text ---------------------------------------------------------- */

bool tsn_expr_read_int(struct tsn_str text, int64_t *out)
{
    return tsn_number_int(text, out);
}

bool tsn_expr_read_double(struct tsn_str text, double *out)
{
    return tsn_number_double(text, out);
}

bool tsn_expr_read_timestamp(struct tsn_str text, struct tsn_time *out)
{
    return tsn_time_parse_timestamp(text, out);
}

bool tsn_expr_read_duration(struct tsn_str text, struct tsn_time *out)
{
    return tsn_time_parse_duration(text, out) && tsn_time_is_duration(*out);
}

size_t tsn_expr_print(const struct tsn_value *value, char out[40])
{
    switch (value->type.type) {
    case TSN_TYPE_BOOL:
        return (size_t)snprintf(out, 40, "%s", value->b ? "true" : "false");
    case TSN_TYPE_INT:
        return (size_t)snprintf(out, 40, "%lld", (long long)value->i);
    case TSN_TYPE_DOUBLE:
        return tsn_number_print(value->d, out);
    case TSN_TYPE_TIMESTAMP:
        return tsn_time_print(value->t, out);
    case TSN_TYPE_DURATION:
        return tsn_time_print_duration(value->t, out);
    default:
        out[0] = '\0';
        return 0;
    }
}

size_t tsn_expr_invalid_utf8(const char *text, size_t len)
{
    return tsn_utf8_invalid(text, len);
}

bool tsn_expr_same(const struct tsn_value *a, const struct tsn_value *b)
{
    if (a->state != b->state) {
        return false;
    }
    return a->state != TSN_STATE_VALUE || tsn_value_same(a, b);
}
