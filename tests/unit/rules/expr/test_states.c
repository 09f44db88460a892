/* Missing and error through every operator: operands in all nine pairs of states,
 * the answer from the tables of the rule language, by rows and by columns; the values
 * of the two must agree too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/expr/expr.h"
#include "tests/fixture/expr_frame.h"

/* What an operator makes of the states of its two operands. */
enum rule {
    STRICT,             /* error beside anything is error, else missing, else a value */
    AND,                /* false absorbs */
    OR,                 /* true absorbs */
    COALESCE,           /* the second where the first is missing */
    ONLY_A,             /* whatever the second is */
    ONLY_B,             /* whatever the first is */
    COND,               /* the first unless it has a value, then the second */
    STRICT_LIST,        /* a macro over the first; its body reads the second */
    STRICT_BUT_ERROR_A, /* fails where the first has its value */
    HAS_A,              /* never missing */
};

/* x and y are ints 7 and 2, and with a letter before them: bools (true, false), strings,
 * doubles, money, enums, times and spans kept as ms (w, u) and exactly (n, v), lists. */
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
    {"t.by ? t.x : t.y", ONLY_B},
    {"t.bx ? t.y : 5", COND},
    {"t.bx ? t.y : t.x", COND},
    {"t.bx ? t.sy : 'z'", COND},
    {"t.bx ? t.ly : [1]", COND},
    {"!t.bx", ONLY_A},
    {"!t.by", ONLY_B},
    {"-t.x", ONLY_A},
    {"-t.dy", ONLY_B},
    {"t.lx[t.y - 1]", STRICT},
    {"t.lx[0]", ONLY_A},
    {"[5, 6, 7][t.y]", ONLY_B},
    {"[5, 6, 7][t.x] > t.y", STRICT_BUT_ERROR_A},
    {"t.x in t.ly", STRICT},
    {"t.y in t.lx", STRICT},
    {"t.x in [1, 7]", ONLY_A},
    {"t.dx in [t.dy, 1.0]", STRICT},
    {"t.x in [t.dy]", STRICT},
    {"t.sx in ['abc', t.sy]", STRICT},
    {"t.ey in ['abc', 'b']", ONLY_B},
    {"t.wx in [t.wy]", STRICT},
    {"t.sx in lists.l", ONLY_A},
    {"t.y in lists.i", ONLY_B},
    {"hasPrefixIn(t.ex, lists.l)", ONLY_A},
    {"t.lx + t.ly", STRICT},
    {"[t.lx, t.ly].size()", STRICT},
    {"t.wx + t.uy", STRICT},
    {"t.wx - t.wy", STRICT},
    {"t.nx - t.vy", STRICT},
    {"t.vx - t.vy", STRICT},
    {"t.dx + t.y", STRICT},
    {"t.x - t.dy", STRICT},
    {"t.dx * t.my", STRICT},
    {"t.mx / t.dy", STRICT},
    {"t.lx.all(e, e > t.y)", STRICT_LIST},
    {"t.lx.exists(e, e == 7 || e > t.y)", ONLY_A},
    {"t.lx.map(e, e + t.y)", STRICT_LIST},
    {"t.lx.filter(e, e > t.y).size()", STRICT_LIST},
    {"coalesce(t.lx, t.ly)", COALESCE},
    {"coalesce(t.bx, t.by)", COALESCE},
    {"coalesce(t.wx, t.wy)", COALESCE},
    {"cel.bind(v, t.x + t.y, v * v)", STRICT},
};

static const enum tsn_state states[] = {TSN_STATE_VALUE, TSN_STATE_MISSING, TSN_STATE_ERROR};

enum { N_INPUTS = 22, ROWS = 9 };

static const struct tsn_str enum_names[] = {{"abc", 3}, {"b", 1}};
static const struct tsn_dict dict = {2, enum_names};

static const struct {
    const char *name;
    enum tsn_rep rep;
} inputs[N_INPUTS] = {
    {"t.x", TSN_REP_INT},          {"t.y", TSN_REP_INT},          {"t.bx", TSN_REP_BOOL},
    {"t.by", TSN_REP_BOOL},        {"t.sx", TSN_REP_STRING},      {"t.sy", TSN_REP_STRING},
    {"t.ux", TSN_REP_DURATION_MS}, {"t.uy", TSN_REP_DURATION_MS}, {"t.mx", TSN_REP_MONEY},
    {"t.my", TSN_REP_MONEY},       {"t.dx", TSN_REP_DOUBLE},      {"t.dy", TSN_REP_DOUBLE},
    {"t.ex", TSN_REP_ENUM},        {"t.ey", TSN_REP_ENUM},        {"t.wx", TSN_REP_TIME_MS},
    {"t.wy", TSN_REP_TIME_MS},     {"t.nx", TSN_REP_TIME},        {"t.ny", TSN_REP_TIME},
    {"t.vx", TSN_REP_DURATION},    {"t.vy", TSN_REP_DURATION},    {"t.lx", TSN_REP_LIST},
    {"t.ly", TSN_REP_LIST},
};

/* Letters of the inputs whose values are ordered, and a constant of each type. */
static const struct {
    const char *letter;
    const char *constant;
} ordered[] = {
    {"", "5"},
    {"b", "true"},
    {"s", "'abd'"},
    {"u", "duration('5s')"},
    {"m", "3.5"},
    {"d", "3.5"},
    {"e", "'abd'"},
    {"w", "timestamp('1970-01-01T00:00:05Z')"},
    {"n", "timestamp('1970-01-01T00:00:05.5Z')"},
    {"v", "duration('5500ms')"},
};

static const struct tsn_value items[] = {
    {.type = {TSN_TYPE_INT, TSN_TYPE_INT, 0}, .i = 7},
    {.type = {TSN_TYPE_INT, TSN_TYPE_INT, 0}, .i = 2},
};
static const struct tsn_list_value lists[] = {{2, items}, {1, items + 1}}; /* [7, 2], [2] */

static struct tsn_expr_type input_type(int i)
{
    enum tsn_type type = tsn_rep_type(inputs[i].rep);
    return type == TSN_TYPE_LIST ? (struct tsn_expr_type){TSN_TYPE_LIST, TSN_TYPE_INT, 1}
                                 : (struct tsn_expr_type){.type = type};
}

static struct tsn_value input_value(int i, bool second)
{
    struct tsn_value value = {.type = input_type(i)};
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
    case TSN_TYPE_LIST:
        value.list = second ? &lists[1] : &lists[0];
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
    case ONLY_B:
        return b;
    case COND:
    case STRICT_LIST:
        return a == TSN_STATE_VALUE ? b : a;
    case STRICT_BUT_ERROR_A:
        return a == TSN_STATE_VALUE ? TSN_STATE_ERROR : strict(a, b);
    case HAS_A:
        return TSN_STATE_VALUE;
    default:
        return strict(a, b);
    }
}

static const char *const state_names[] = {"value", "missing", "error"};

static void check_case(const char *text, enum rule rule, const struct tsn_frame *frame)
{
    struct tsn_expr_name names[N_INPUTS];
    for (int i = 0; i < N_INPUTS; i++) {
        names[i] = (struct tsn_expr_name){.name = inputs[i].name,
                                          .type = input_type(i),
                                          .may_be_missing = true,
                                          .rep = inputs[i].rep,
                                          .scale = 2,
                                          .dict = inputs[i].rep == TSN_REP_ENUM ? &dict : NULL,
                                          .input = (uint32_t)i};
    }
    static const struct tsn_expr_list handles[] = {
        {.name = "lists.l", .element = TSN_TYPE_STRING, .list = 0},
        {.name = "lists.i", .element = TSN_TYPE_INT, .list = 1}};
    struct tsn_expr_env env = {.names = names, .n_names = N_INPUTS, .lists = handles, .n_lists = 2};
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct tsn_expr_set *set = tsn_expr_set_new(&env);
    uint32_t expr = tsn_expr_set_add(set, text, strlen(text), NULL, NULL, &diags);
    if (expr == TSN_EXPR_NONE) {
        fail_msg("%s: %s", text, diags.items[0].message);
    }
    tsn_expr_set_freeze(set);
    struct tsn_eval *eval = tsn_eval_new(set);
    tsn_eval_begin(eval, frame);
    const struct tsn_column *column = tsn_eval_column(eval, expr);
    for (uint32_t row = 0; row < ROWS; row++) {
        enum tsn_state a = states[row / 3];
        enum tsn_state b = states[row % 3];
        enum tsn_state want = expected(rule, a, b);
        struct tsn_value scalar;
        struct tsn_value cell;
        tsn_eval_row(eval, expr, row, &scalar);
        tsn_column_value(column, row, &cell);
        cell.type = scalar.type;
        if (scalar.state != want || !tsn_expr_same(&scalar, &cell)) {
            fail_msg("%s with %s and %s: want %s, rows %s, columns %s", text, state_names[a],
                     state_names[b], state_names[want], state_names[scalar.state],
                     state_names[cell.state]);
        }
    }
    assert_int_equal(tsn_expr_may_be_missing(set, expr), rule != HAS_A);
    tsn_eval_free(eval);
    tsn_expr_set_free(set);
    tsn_diags_free(&diags);
}

/* The frame's rows are the nine pairs of states: x by thirds, y in turn. */
static struct tsn_column *make_columns(struct tsn_arena *arena)
{
    struct tsn_column *columns = tsn_arena_zalloc(arena, N_INPUTS, sizeof *columns);
    for (int i = 0; i < N_INPUTS; i++) {
        fixture_column_new(&columns[i], inputs[i].rep, ROWS, arena);
        columns[i].scale = 2;
        columns[i].dict = inputs[i].rep == TSN_REP_ENUM ? &dict : NULL;
        for (uint32_t row = 0; row < ROWS; row++) {
            struct tsn_value value = input_value(i, i % 2);
            value.state = states[i % 2 ? row % 3 : row / 3];
            tsn_column_set(&columns[i], row, &value);
        }
    }
    return columns;
}

static struct tsn_list *known[2];

static int setup(void **state)
{
    struct tsn_arena *arena = malloc(sizeof *arena);
    assert_non_null(arena);
    tsn_arena_init(arena, 0);
    known[0] = tsn_list_new(TSN_TYPE_STRING, 0);
    known[1] = tsn_list_new(TSN_TYPE_INT, 0);
    tsn_list_add_string(known[0], enum_names[0], TSN_LIST_FOREVER);
    tsn_list_add_int(known[1], 2, TSN_LIST_FOREVER);
    *state = arena;
    return 0;
}

static int teardown(void **state)
{
    tsn_arena_free(*state);
    free(*state);
    tsn_list_free(known[0]);
    tsn_list_free(known[1]);
    return 0;
}

static struct tsn_frame make_frame(void *arena)
{
    return (struct tsn_frame){.n_rows = ROWS,
                              .inputs = make_columns(arena),
                              .lists = (const struct tsn_list *const *)known};
}

static void every_operator_meets_every_pair_of_states(void **state)
{
    struct tsn_frame frame = make_frame(*state);
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        check_case(cases[k].expr, cases[k].rule, &frame);
    }
}

/* Every relation on every type that has one: two inputs, and an input beside a constant
 * on either side, for which the columns have kernels of their own. */
static void every_comparison_of_every_type_meets_every_pair_of_states(void **state)
{
    static const char *const relations[] = {"==", "!=", "<", "<=", ">", ">="};
    struct tsn_frame frame = make_frame(*state);
    for (size_t t = 0; t < sizeof ordered / sizeof ordered[0]; t++) {
        const char *letter = ordered[t].letter;
        const char *constant = ordered[t].constant;
        for (size_t r = 0; r < 6; r++) {
            char text[128];
            snprintf(text, sizeof text, "t.%sx %s t.%sy", letter, relations[r], letter);
            check_case(text, STRICT, &frame);
            snprintf(text, sizeof text, "t.%sx %s %s", letter, relations[r], constant);
            check_case(text, ONLY_A, &frame);
            snprintf(text, sizeof text, "%s %s t.%sy", constant, relations[r], letter);
            check_case(text, ONLY_B, &frame);
        }
    }
    static const char *const mixed[][2] = {{"x", "dy"},  {"dx", "y"},  {"mx", "y"},  {"x", "my"},
                                           {"mx", "dy"}, {"sx", "ey"}, {"wx", "ny"}, {"ux", "vy"}};
    for (size_t m = 0; m < sizeof mixed / sizeof mixed[0]; m++) {
        for (size_t r = 0; r < 6; r++) {
            char text[128];
            snprintf(text, sizeof text, "t.%s %s t.%s", mixed[m][0], relations[r], mixed[m][1]);
            check_case(text, STRICT, &frame);
        }
    }
    check_case("t.lx == t.ly", STRICT, &frame);
    check_case("t.lx != t.ly", STRICT, &frame);
    check_case("t.lx == [7, 2]", ONLY_A, &frame);
    check_case("[] != t.ly", ONLY_B, &frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_operator_meets_every_pair_of_states, setup, teardown),
        cmocka_unit_test_setup_teardown(every_comparison_of_every_type_meets_every_pair_of_states,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
