/* Fuzz target: any bytes as an expression over inputs of every type. It either does
 * not compile, with at least one message, or both evaluators give the same answers
 * for rows with values, missing and failed cells - plain, and with literals lifted
 * into columns. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "rules/expr/expr.h"
#include "rules/must/must.h"
#include "tests/fixture/expr_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { N_INPUTS = 8, ROWS = 3, N_LIFTED_MAX = 256 };

static const struct tsn_str enum_names[] = {{"red", 3}, {"blue", 4}};
static const struct tsn_dict dict = {2, enum_names};

static const struct {
    const char *name;
    enum tsn_rep rep;
} inputs[N_INPUTS] = {
    {"t.time", TSN_REP_TIME_MS}, {"t.b", TSN_REP_BOOL},        {"t.i", TSN_REP_INT},
    {"t.d", TSN_REP_DOUBLE},     {"t.m", TSN_REP_MONEY},       {"t.s", TSN_REP_STRING},
    {"t.e", TSN_REP_ENUM},       {"t.u", TSN_REP_DURATION_MS},
};

static struct tsn_value value_of(enum tsn_rep rep)
{
    struct tsn_value value = {.type = {.type = tsn_rep_type(rep)}};
    switch (value.type.type) {
    case TSN_TYPE_BOOL:
        value.b = true;
        break;
    case TSN_TYPE_INT:
        value.i = 7;
        break;
    case TSN_TYPE_DOUBLE:
        value.d = 2.5;
        break;
    case TSN_TYPE_STRING:
        value.s = enum_names[0];
        break;
    default:
        value.t = (struct tsn_time){1000, 0};
        break;
    }
    return value;
}

static void set_rows(struct tsn_column *column, enum tsn_rep rep, struct tsn_value value,
                     struct tsn_arena *arena)
{
    static const enum tsn_state states[] = {TSN_STATE_VALUE, TSN_STATE_MISSING, TSN_STATE_ERROR};
    fixture_column_new(column, rep, ROWS, arena);
    column->scale = 2;
    column->dict = rep == TSN_REP_ENUM ? &dict : NULL;
    for (uint32_t row = 0; row < ROWS; row++) {
        value.state = states[row];
        tsn_column_set(column, row, &value);
    }
}

static void evaluate(struct tsn_expr_set *set, uint32_t expr)
{
    struct tsn_arena arena;
    static struct tsn_column columns[N_INPUTS + N_LIFTED_MAX];
    tsn_arena_init(&arena, 0);
    for (int i = 0; i < N_INPUTS; i++) {
        set_rows(&columns[i], inputs[i].rep, value_of(inputs[i].rep), &arena);
    }
    size_t n_lifted = 0;
    for (; n_lifted < N_LIFTED_MAX && tsn_expr_lifted(set, n_lifted); n_lifted++) {
        const struct tsn_value *literal = tsn_expr_lifted(set, n_lifted);
        set_rows(&columns[N_INPUTS + n_lifted], tsn_type_rep(literal->type.type), *literal, &arena);
    }
    struct tsn_eval *eval = tsn_eval_new(set);
    struct tsn_frame frame = {.n_rows = ROWS, .inputs = columns};
    tsn_eval_begin(eval, &frame);
    if (!tsn_expr_lifted(set, n_lifted)) {
        const struct tsn_column *column = tsn_eval_column(eval, expr);
        for (uint32_t row = 0; row < ROWS; row++) {
            struct tsn_value cell;
            struct tsn_value scalar;
            tsn_column_value(column, row, &cell);
            cell.type = tsn_expr_type_of(set, expr);
            tsn_eval_row(eval, expr, row, &scalar);
            TSN_MUST(tsn_expr_same(&cell, &scalar));
        }
    }
    tsn_eval_free(eval);
    tsn_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tsn_expr_name names[N_INPUTS];
    for (uint32_t i = 0; i < N_INPUTS; i++) {
        names[i] = (struct tsn_expr_name){.name = inputs[i].name,
                                          .type = {.type = tsn_rep_type(inputs[i].rep)},
                                          .may_be_missing = true,
                                          .rep = inputs[i].rep,
                                          .scale = 2,
                                          .dict = inputs[i].rep == TSN_REP_ENUM ? &dict : NULL,
                                          .input = i};
    }
    for (int lift = 0; lift < 2; lift++) {
        struct tsn_expr_env env = {.names = names, .n_names = N_INPUTS};
        struct tsn_diags diags;
        tsn_diags_init(&diags);
        struct tsn_expr_set *set = tsn_expr_set_new(&env);
        tsn_expr_set_lift(set, lift);
        uint32_t expr = tsn_expr_set_add(set, (const char *)data, size, NULL, NULL, &diags);
        TSN_MUST((expr == TSN_EXPR_NONE) == (diags.n_errors > 0));
        tsn_expr_set_freeze(set);
        if (expr != TSN_EXPR_NONE) {
            evaluate(set, expr);
        }
        tsn_expr_set_free(set);
        tsn_diags_free(&diags);
    }
    return 0;
}
