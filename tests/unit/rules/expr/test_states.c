/* Missing and error through every operator: operands in all nine pairs of states,
 * the answer from the tables of the rule language, by rows and by columns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "rules/expr/expr.h"
#include "tests/fixture/expr_frame.h"

/* What an operator makes of the states of its two operands. */
enum rule {
    STRICT,   /* error beside anything is error, else missing, else a value */
    AND,      /* false absorbs */
    OR,       /* true absorbs */
    COALESCE, /* the second where the first is missing */
    ONLY_A,   /* whatever the second is */
    HAS_A,    /* never missing */
};

/* x and y are ints 7 and 2, bools true and false (bx, by), strings, doubles, times. */
static const struct {
    const char *expr;
    enum rule rule;
} cases[] = {
    {"t.x + t.y", STRICT},
    {"t.x - t.y", STRICT},
    {"t.x * t.y", STRICT},
    {"t.x / t.y", STRICT},
    {"t.x % t.y", STRICT},
    {"t.x == t.y", STRICT},
    {"t.x != t.y", STRICT},
    {"t.x < t.y", STRICT},
    {"t.x <= t.y", STRICT},
    {"t.x > t.y", STRICT},
    {"t.x >= t.y", STRICT},
    {"t.x in [t.y, 7]", STRICT},
    {"[t.x, t.y] == [7, 2]", STRICT},
    {"[t.x, t.y][0]", STRICT},
    {"-t.x < t.y", STRICT},
    {"double(t.x) / double(t.y)", STRICT},
    {"t.x * 0.5 + t.y", STRICT},
    {"math.greatest(t.x, t.y)", STRICT},
    {"pow(double(t.x), double(t.y))", STRICT},
    {"[1, 2].all(e, e < t.x && e <= t.y)", STRICT},
    {"[1, 2].map(e, e * t.x + t.y)", STRICT},
    {"[1, 2].filter(e, e + t.x > t.y)", STRICT},
    {"[1, 2].exists_one(e, e + t.x == t.y + 6)", STRICT},
    {"!(t.bx == t.by)", STRICT},
    {"t.bx && t.by", AND},
    {"t.bx || t.by", OR},
    {"t.by && t.bx", AND},
    {"t.by || t.bx", OR},
    {"t.sx + t.sy", STRICT},
    {"t.sx < t.sy", STRICT},
    {"t.sx.contains(t.sy)", STRICT},
    {"t.sx.replace('a', t.sy)", STRICT},
    {"t.ux + t.uy", STRICT},
    {"t.ux >= t.uy", STRICT},
    {"t.mx > t.my", STRICT},
    {"coalesce(t.x, t.y)", COALESCE},
    {"coalesce(t.sx, t.sy)", COALESCE},
    {"t.x + 0 * size(string(has(t.y)))", ONLY_A},
    {"has(t.x)", HAS_A},
    {"has(t.x) && true", HAS_A},
    {"t.bx ? t.x : t.y", ONLY_A},
};

static const enum tsn_state states[] = {TSN_STATE_VALUE, TSN_STATE_MISSING, TSN_STATE_ERROR};

enum { N_INPUTS = 10, ROWS = 9 };

static const struct {
    const char *name;
    enum tsn_rep rep;
} inputs[N_INPUTS] = {
    {"t.x", TSN_REP_INT},          {"t.y", TSN_REP_INT},          {"t.bx", TSN_REP_BOOL},
    {"t.by", TSN_REP_BOOL},        {"t.sx", TSN_REP_STRING},      {"t.sy", TSN_REP_STRING},
    {"t.ux", TSN_REP_DURATION_MS}, {"t.uy", TSN_REP_DURATION_MS}, {"t.mx", TSN_REP_MONEY},
    {"t.my", TSN_REP_MONEY},
};

static struct tsn_value input_value(int i, bool second)
{
    struct tsn_value value = {.type = {.type = tsn_rep_type(inputs[i].rep)}};
    switch (value.type.type) {
    case TSN_TYPE_INT:
        value.i = second ? 2 : 7;
        break;
    case TSN_TYPE_BOOL:
        value.b = !second;
        break;
    case TSN_TYPE_STRING:
        value.s = second ? (struct tsn_str){"b", 1} : (struct tsn_str){"abc", 3};
        break;
    case TSN_TYPE_DOUBLE:
        value.d = second ? 2.25 : 7.5;
        break;
    default:
        value.t = (struct tsn_time){second ? 2 : 7, 0};
        break;
    }
    return value;
}

static enum tsn_state strict(enum tsn_state a, enum tsn_state b)
{
    if (a == TSN_STATE_ERROR || b == TSN_STATE_ERROR) {
        return TSN_STATE_ERROR;
    }
    return a == TSN_STATE_MISSING || b == TSN_STATE_MISSING ? TSN_STATE_MISSING : TSN_STATE_VALUE;
}

/* bx is true and by is false when they have values. */
static enum tsn_state expected(enum rule rule, enum tsn_state a, enum tsn_state b)
{
    switch (rule) {
    case AND: /* the false one is b */
        return b == TSN_STATE_VALUE ? TSN_STATE_VALUE : strict(a, b);
    case OR: /* the true one is a */
        return a == TSN_STATE_VALUE ? TSN_STATE_VALUE : strict(a, b);
    case COALESCE:
        return a == TSN_STATE_MISSING ? b : a;
    case ONLY_A:
        return a;
    case HAS_A:
        return TSN_STATE_VALUE;
    default:
        return strict(a, b);
    }
}

static const char *const state_names[] = {"value", "missing", "error"};

static void check_case(size_t k, const struct tsn_frame *frame)
{
    struct tsn_expr_name names[N_INPUTS];
    for (int i = 0; i < N_INPUTS; i++) {
        names[i] = (struct tsn_expr_name){.name = inputs[i].name,
                                          .type = {.type = tsn_rep_type(inputs[i].rep)},
                                          .may_be_missing = true,
                                          .rep = inputs[i].rep,
                                          .scale = 2,
                                          .input = (uint32_t)i};
    }
    struct tsn_expr_env env = {.names = names, .n_names = N_INPUTS};
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct tsn_expr_set *set = tsn_expr_set_new(&env);
    uint32_t expr = tsn_expr_set_add(set, cases[k].expr, strlen(cases[k].expr), NULL, NULL, &diags);
    if (expr == TSN_EXPR_NONE) {
        fail_msg("%s: %s", cases[k].expr, diags.items[0].message);
    }
    tsn_expr_set_freeze(set);
    struct tsn_eval *eval = tsn_eval_new(set);
    tsn_eval_begin(eval, frame);
    const struct tsn_column *column = tsn_eval_column(eval, expr);
    for (uint32_t row = 0; row < ROWS; row++) {
        enum tsn_state a = states[row / 3];
        enum tsn_state b = states[row % 3];
        enum tsn_state want = expected(cases[k].rule, a, b);
        struct tsn_value scalar;
        struct tsn_value cell;
        tsn_eval_row(eval, expr, row, &scalar);
        tsn_column_value(column, row, &cell);
        cell.type = scalar.type;
        if (scalar.state != want || !tsn_expr_same(&scalar, &cell)) {
            fail_msg("%s with %s and %s: want %s, rows %s, columns %s", cases[k].expr,
                     state_names[a], state_names[b], state_names[want], state_names[scalar.state],
                     state_names[cell.state]);
        }
    }
    assert_int_equal(tsn_expr_may_be_missing(set, expr), cases[k].rule != HAS_A);
    tsn_eval_free(eval);
    tsn_expr_set_free(set);
    tsn_diags_free(&diags);
}

static void every_operator_meets_every_pair_of_states(void **state)
{
    (void)state;
    struct tsn_arena arena;
    struct tsn_column columns[N_INPUTS];
    tsn_arena_init(&arena, 0);
    for (int i = 0; i < N_INPUTS; i++) {
        fixture_column_new(&columns[i], inputs[i].rep, ROWS, &arena);
        columns[i].scale = 2;
        for (uint32_t row = 0; row < ROWS; row++) {
            struct tsn_value value = input_value(i, i % 2);
            value.state = states[i % 2 ? row % 3 : row / 3];
            tsn_column_set(&columns[i], row, &value);
        }
    }
    struct tsn_frame frame = {.n_rows = ROWS, .inputs = columns};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        check_case(k, &frame);
    }
    tsn_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operator_meets_every_pair_of_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
