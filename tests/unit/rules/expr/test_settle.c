/* What is said of expressions before all of their inputs are known: rows on which they are
 * false whatever comes, and how much must be counted for them to be true. Both against their
 * definition: everything that may come is tried. */
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
#include "tests/fixture/random_case.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* Fields, and what comes later: n and m count, k does not. */
enum input { A, B, X, O, FIRST, P = FIRST, Q, N, M, K, D, N_INPUTS };

static const struct {
    const char *name;
    enum tsn_rep rep;
} inputs[N_INPUTS] = {
    [A] = {"t.a", TSN_REP_BOOL},   [B] = {"t.b", TSN_REP_BOOL}, [X] = {"t.x", TSN_REP_INT},
    [O] = {"t.o", TSN_REP_INT},    [P] = {"f.p", TSN_REP_BOOL}, [Q] = {"f.q", TSN_REP_BOOL},
    [N] = {"f.n", TSN_REP_INT},    [M] = {"f.m", TSN_REP_INT},  [K] = {"f.k", TSN_REP_INT},
    [D] = {"f.d", TSN_REP_DOUBLE},
};

static const bool counts[N_INPUTS] = {[N] = true, [M] = true};

/* Every field in every state, so 4 * 4 * 4 * 4 rows. */
enum { STATES = 4, ROWS = STATES * STATES * STATES * STATES };

/* ---- expressions -------------------------------------------------------------------- */

struct compiled {
    struct tsn_expr_set *set;
    struct tsn_eval *eval;
    uint32_t expr;
};

static struct compiled compile(const char *text)
{
    static const struct tsn_expr_list handles[] = {
        {.name = "lists.i", .element = TSN_TYPE_INT, .list = 0}};
    static const struct tsn_expr_type want = {.type = TSN_TYPE_BOOL};
    struct tsn_expr_name names[N_INPUTS];
    for (uint32_t i = 0; i < N_INPUTS; i++) {
        names[i] = (struct tsn_expr_name){.name = inputs[i].name,
                                          .type = {.type = tsn_rep_type(inputs[i].rep)},
                                          .may_be_missing = true,
                                          .rep = inputs[i].rep,
                                          .input = i};
    }
    struct tsn_expr_env env = {.names = names, .n_names = N_INPUTS, .lists = handles, .n_lists = 1};
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct compiled c = {.set = tsn_expr_set_new(&env)};
    c.expr = tsn_expr_set_add(c.set, text, strlen(text), &want, NULL, &diags);
    if (c.expr == TSN_EXPR_NONE) {
        fail_msg("%s: %s", text, diags.items[0].message);
    }
    tsn_expr_set_freeze(c.set);
    c.eval = tsn_eval_new(c.set);
    tsn_diags_free(&diags);
    return c;
}

static void compiled_free(struct compiled *c)
{
    tsn_eval_free(c->eval);
    tsn_expr_set_free(c->set);
}

/* What random expressions are made of. */
struct grammar {
    const char *const *leaves;
    uint32_t n_leaves;
    bool monotone; /* && and || alone */
};

static void write_expr(FILE *out, struct tsn_random *random, const struct grammar *grammar,
                       int depth)
{
    uint32_t form = tsn_random_below(random, grammar->monotone ? 8 : 10);
    if (depth == 0 || form < 2) {
        fputs(grammar->leaves[tsn_random_below(random, grammar->n_leaves)], out);
        return;
    }
    fputs(form == 8 ? "!(" : "(", out);
    write_expr(out, random, grammar, depth - 1);
    if (form == 9) {
        fputs(") ? (", out);
        write_expr(out, random, grammar, depth - 1);
    }
    if (form != 8) {
        fputs(form == 9 ? ") : (" : form < 5 ? ") && (" : ") || (", out);
        write_expr(out, random, grammar, depth - 1);
    }
    fputc(')', out);
}

/* To be freed. */
static char *random_expr(struct tsn_random *random, const struct grammar *grammar)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    write_expr(out, random, grammar, 1 + (int)tsn_random_below(random, 4));
    fclose(out);
    return text;
}

/* ---- frames ------------------------------------------------------------------------- */

static struct tsn_arena arena;
static struct tsn_column columns[N_INPUTS];
static tsn_event_ms times[1024];
static struct tsn_list *lists[2]; /* of nothing, of all that x is */

static int begin(void **state)
{
    (void)state;
    tsn_arena_init(&arena, 0);
    for (int i = 0; i < N_INPUTS; i++) {
        fixture_column_new(&columns[i], inputs[i].rep, COUNT(times), &arena);
    }
    lists[0] = tsn_list_new(TSN_TYPE_INT, 0);
    lists[1] = tsn_list_new(TSN_TYPE_INT, 0);
    for (int i = 0; i < STATES; i++) {
        tsn_list_add_int(lists[1], i, TSN_LIST_FOREVER);
    }
    return 0;
}

static int end(void **state)
{
    (void)state;
    tsn_list_free(lists[0]);
    tsn_list_free(lists[1]);
    tsn_arena_free(&arena);
    return 0;
}

/* Missing, failed, or the first or second value. */
static struct tsn_value value_of(enum tsn_rep rep, uint32_t state)
{
    struct tsn_value value = {.type = {.type = tsn_rep_type(rep)}};
    value.state = state == 0 ? TSN_STATE_MISSING : state == 1 ? TSN_STATE_ERROR : TSN_STATE_VALUE;
    switch (rep) {
    case TSN_REP_BOOL:
        value.b = state == 3;
        break;
    case TSN_REP_INT:
        value.i = state == 3 ? 3 : 0;
        break;
    default:
        value.d = state == 3 ? 3.5 : 0.25;
        break;
    }
    return value;
}

static void cell_set(enum input input, uint32_t row, uint32_t state)
{
    struct tsn_value value = value_of(inputs[input].rep, state);
    tsn_column_set(&columns[input], row, &value);
}

/* Row r holds the digits of r. */
static void fields_fill(void)
{
    for (uint32_t row = 0; row < ROWS; row++) {
        uint32_t digits = row;
        for (int i = 0; i < FIRST; i++, digits /= STATES) {
            cell_set((enum input)i, row, digits % STATES);
        }
    }
}

/* The same on all rows: digits of `later`, the last of them the list. */
enum { LATERS = STATES * STATES * STATES * 2 };

static void later_fill(uint32_t later, uint32_t n_rows)
{
    uint32_t p = later % STATES;
    uint32_t q = later / STATES % STATES;
    uint32_t n = later / STATES / STATES % STATES;
    for (uint32_t row = 0; row < n_rows; row++) {
        cell_set(P, row, p);
        cell_set(Q, row, q);
        cell_set(N, row, n);
        cell_set(M, row, p);
        cell_set(K, row, q);
        cell_set(D, row, (n + 1) % STATES);
    }
}

static void later_spoil(void)
{
    for (int i = FIRST; i < N_INPUTS; i++) {
        size_t bytes = COUNT(times) / 8;
        memset(columns[i].valid, 0xa5, bytes);
        memset(columns[i].error, 0x5a, bytes);
        if (columns[i].bits) {
            memset(columns[i].bits, 0xff, bytes);
        }
    }
}

static void frame_begin(struct compiled *c, uint32_t n_rows, uint32_t list)
{
    static const struct tsn_list *in_force[1];
    in_force[0] = lists[list];
    struct tsn_frame frame = {
        .n_rows = n_rows, .inputs = columns, .lists = in_force, .time_ms = times};
    tsn_eval_begin(c->eval, &frame);
}

static bool is_false(const struct tsn_column *column, uint32_t row)
{
    return tsn_bits_get(column->valid, row) && !tsn_bits_get(column->bits, row);
}

static bool is_true(const struct tsn_column *column, uint32_t row)
{
    return tsn_bits_get(column->valid, row) && tsn_bits_get(column->bits, row);
}

/* ---- rows that are settled ---------------------------------------------------------- */

#define UNTOUCHED UINT64_C(0x5ca1ab1e0ddba11)

/* settled: what is found. always: what everything that may come leaves false. */
struct found {
    uint64_t settled[ROWS / 64 + 1];
    bool always[ROWS];
};

static void settled_find(struct compiled *c, const char *text, uint32_t n_rows, uint64_t *out)
{
    size_t words = tsn_bits_words(n_rows);
    later_spoil();
    memset(out, 0x33, words * sizeof *out);
    out[words] = UNTOUCHED;
    tsn_eval_settled(c->eval, c->expr, FIRST, out);
    if (out[words] != UNTOUCHED) {
        fail_msg("%s: written beyond %u rows", text, n_rows);
    }
}

/* Columns that were computed on the way hold when the rest is known: the same as row by row. */
static void compare_rows(struct compiled *c, const char *text, const struct tsn_column *column,
                         uint32_t n_rows)
{
    for (uint32_t row = 0; row < n_rows; row++) {
        struct tsn_value scalar;
        struct tsn_value cell;
        tsn_eval_row(c->eval, c->expr, row, &scalar);
        tsn_column_value(column, row, &cell);
        cell.type = scalar.type;
        if (!tsn_expr_same(&scalar, &cell)) {
            fail_msg("%s: row %u differs after rows were settled", text, row);
        }
    }
}

static void check_settled(const char *text, uint32_t n_rows, struct found *found)
{
    struct compiled c = compile(text);
    memset(found->always, true, sizeof found->always);
    for (uint32_t later = 0; later < LATERS; later++) {
        frame_begin(&c, n_rows, later >= LATERS / 2);
        settled_find(&c, text, n_rows, found->settled);
        later_fill(later, n_rows);
        const struct tsn_column *column = tsn_eval_column(c.eval, c.expr);
        for (uint32_t row = 0; row < n_rows; row++) {
            found->always[row] &= is_false(column, row);
            if (tsn_bits_get(found->settled, row) && !is_false(column, row)) {
                fail_msg("%s: row %u of %u is settled, but not false (%u)", text, row, n_rows,
                         later);
            }
        }
        if (later % 37 == 5) {
            compare_rows(&c, text, column, n_rows);
        }
    }
    compiled_free(&c);
}

static uint32_t n_settled(const struct found *found, uint32_t n_rows)
{
    uint32_t n = 0;
    for (uint32_t row = 0; row < n_rows; row++) {
        n += tsn_bits_get(found->settled, row);
    }
    return n;
}

static bool settles(const char *text)
{
    struct compiled c = compile(text);
    bool yes = tsn_expr_settles(c.set, c.expr, FIRST);
    compiled_free(&c);
    return yes;
}

static void fields_settle_through_and_and_or(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool settles;
        uint32_t n; /* rows of ROWS */
    } cases[] = {
        {"t.a", true, ROWS / 4},
        {"f.p", false, 0},
        {"!f.p", false, 0},
        {"t.a && f.p", true, ROWS / 4},
        {"f.p && t.a", true, ROWS / 4},
        {"f.p && f.q && t.a && f.n > 2", true, ROWS / 4},
        {"t.a || f.p", false, 0},
        {"f.p || t.a", false, 0},
        {"(t.a || f.p) && t.b", true, ROWS / 4},
        {"t.b && (t.a || f.p)", true, ROWS / 4},
        {"(t.a && f.p) || (t.b && f.q)", true, ROWS / 16},
        {"(f.p && t.a) || (f.q && t.b)", true, ROWS / 16},
        {"(t.a && f.p) || t.b", true, ROWS / 16},
        {"(t.a && f.p) || f.q", false, 0},
        {"(t.a && f.p) && (t.b && f.q)", true, ROWS * 7 / 16},
        {"t.a && t.b && f.p", true, ROWS * 7 / 16},
        {"(t.a || t.b) && f.p", true, ROWS / 16},
        {"((t.a && f.p) || (t.b && f.q)) && f.n > 2", true, ROWS / 16},
        {"!t.a && f.p", true, ROWS / 4},
        {"!(t.a && f.p)", false, 0},
        {"!(t.a || f.p) && t.b", true, ROWS / 4},
        {"(t.a ? t.b : t.a) && f.p", true, ROWS / 16 + ROWS / 4},
        {"t.a ? f.p : t.a", false, 0},
        {"t.x > 1 && f.n > t.x", true, ROWS / 4},
        {"t.x < 1 && f.n > t.x", true, ROWS / 4},
        {"has(t.o) && f.p", true, ROWS / 4},
        {"!has(t.o) && f.p", true, ROWS * 3 / 4}, /* what failed is there */
        {"6 / t.o > 3 && f.p", true,
         ROWS / 4}, /* of 0, and of what failed: neither true nor false */
        {"6 / t.o > 1 && f.p", true, 0},
        {"coalesce(t.a, false) && f.p", true, ROWS / 2},
        {"t.x in lists.i", false, 0},
        {"t.x in lists.i && f.p", false, 0},
        {"t.x in lists.i && t.a", true, ROWS / 4},
        {"t.a && t.x in lists.i && f.p", true, ROWS / 4},
        {"t.a || t.x in lists.i", false, 0},
        {"f.p && 1 > 2", true, ROWS},
        {"t.a && f.p == f.q", true, ROWS / 4},
    };
    struct found found;
    fields_fill();
    for (size_t i = 0; i < COUNT(cases); i++) {
        check_settled(cases[i].text, ROWS, &found);
        if (settles(cases[i].text) != cases[i].settles || n_settled(&found, ROWS) != cases[i].n) {
            fail_msg("%s: settles %d, on %u rows", cases[i].text, settles(cases[i].text),
                     n_settled(&found, ROWS));
        }
    }
}

static void what_is_settled_is_false_whatever_comes(void **state)
{
    (void)state;
    static const char *const leaves[] = {
        "t.a",         "t.b",           "t.x > 1",        "t.x == t.o",     "has(t.o)",
        "6 / t.o > 3", "!t.a",          "t.x in [0, 2]",  "t.a != t.b",     "f.p",
        "f.q",         "f.n >= 2",      "f.n > t.x",      "has(f.n)",       "6 / f.n > 1",
        "f.d < 0.5",   "t.x / f.m > 0", "t.x in lists.i", "t.o in lists.i", "f.n in lists.i",
    };
    const struct grammar grammar = {leaves, COUNT(leaves), false};
    struct tsn_random random = {.state = 2024};
    uint32_t n_some = 0;
    fields_fill();
    for (int i = 0; i < 300; i++) {
        char *text = random_expr(&random, &grammar);
        struct found found;
        check_settled(text, ROWS, &found);
        uint32_t n = n_settled(&found, ROWS);
        if (n > 0 && !settles(text)) {
            fail_msg("%s: never settles, but does on %u rows", text, n);
        }
        n_some += n > 0 && n < ROWS;
        free(text);
    }
    assert_true(n_some > 40);
}

/* Nothing stands in the way of seeing it all: every row that is false already is found. */
static void of_and_and_or_alone_all_rows_are_found(void **state)
{
    (void)state;
    static const char *const leaves[] = {"t.a", "t.b", "f.p", "f.q"};
    const struct grammar grammar = {leaves, COUNT(leaves), true};
    struct tsn_random random = {.state = 7};
    uint32_t n_some = 0;
    fields_fill();
    for (int i = 0; i < 300; i++) {
        char *text = random_expr(&random, &grammar);
        struct found found;
        check_settled(text, ROWS, &found);
        for (uint32_t row = 0; row < ROWS; row++) {
            if (tsn_bits_get(found.settled, row) != found.always[row]) {
                fail_msg("%s: row %u is false whatever comes, but not found", text, row);
            }
        }
        if (settles(text) != (n_settled(&found, ROWS) > 0)) {
            fail_msg("%s: settles %d, on %u rows", text, settles(text), n_settled(&found, ROWS));
        }
        n_some += settles(text) && strchr(text, 'f');
        free(text);
    }
    assert_true(n_some > 50);
}

static void any_number_of_rows_is_settled_and_nothing_behind_them(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "t.a", "f.p", "f.p && t.b", "(t.a && f.p) || (t.b && f.q)", "t.a || f.p",
    };
    static const uint32_t sizes[] = {1, 2, 63, 64, 65, 127, 128, 129, 200, 255, ROWS};
    fields_fill();
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct found all;
        check_settled(texts[i], ROWS, &all);
        for (size_t s = 0; s < COUNT(sizes); s++) {
            struct found some;
            check_settled(texts[i], sizes[s], &some);
            for (uint32_t row = 0; row < sizes[s]; row++) {
                if (tsn_bits_get(some.settled, row) != tsn_bits_get(all.settled, row)) {
                    fail_msg("%s: row %u of %u", texts[i], row, sizes[s]);
                }
            }
        }
    }
}

/* ---- the least that must be counted ------------------------------------------------- */

static void the_least_count_is_read_off_comparisons(void **state)
{
    (void)state;
    const uint64_t most = UINT64_C(4000000000000000000);
    const struct {
        const char *text;
        uint64_t least;
    } cases[] = {
        {"f.n >= 5", 5},
        {"f.n > 5", 6},
        {"5 <= f.n", 5},
        {"5 < f.n", 6},
        {"f.n == 3", 3},
        {"3 == f.n", 3},
        {"f.n >= 2.0", 2},
        {"f.n > 2.0", 3},
        {"f.n >= 2.5", 3},
        {"f.n > 2.5", 3},
        {"2.5 <= f.n", 3},
        {"2.5 < f.n", 3},
        {"f.n == 2.0", 2},
        {"f.n >= 1 + 2", 3},
        {"f.n > 0", 1},
        {"f.n > 0.0", 1},
        {"f.n >= 0.001", 1},
        {"f.n < 5", 0},
        {"f.n <= 5", 0},
        {"5 > f.n", 0},
        {"5 >= f.n", 0},
        {"f.n != 3", 0},
        {"3 != f.n", 0},
        {"f.n >= 0", 0},
        {"f.n == 0", 0},
        {"f.n >= 0.0", 0},
        {"f.n >= -3", 0},
        {"f.n > -1", 0},
        {"f.n > -0.5", 0},
        {"f.n == -3", 0},
        {"f.n >= -9223372036854775807", 0},
        {"f.n >= 9223372036854775807", most},
        {"f.n > 9223372036854775807", most},
        {"f.n == 9223372036854775807", most},
        {"f.n >= 1e18", UINT64_C(1000000000000000000)},
        {"f.n >= 1000000000000000001", UINT64_C(1000000000000000001)},
        {"f.n >= 1e300", most},
        {"f.n >= -1e300", 0},
        {"f.n >= 1.0 / 0.0", most},
        {"f.n > 1.0 / 0.0", most},
        {"f.n >= -1.0 / 0.0", 0},
        {"f.n >= 0.0 / 0.0", 0},
        {"f.n == 0.0 / 0.0", 0},
        {"f.n >= 5 && f.m > 7", 8},
        {"f.m > 7 && f.n >= 5", 8},
        {"f.n >= 5 || f.m > 7", 5},
        {"f.m > 7 || f.n >= 5", 5},
        {"f.n >= 5 && f.n >= 2", 5},
        {"f.n >= 5 || f.n >= 2", 2},
        {"(f.n >= 5 && f.m >= 2) || (f.m >= 3 && f.n >= 4)", 4},
        {"(f.n >= 5 || f.m >= 2) && (f.m >= 3 || f.n >= 4)", 3},
        {"f.n >= 5 && t.a", 5},
        {"t.a && f.k > 9 && f.n >= 5", 5},
        {"f.n >= 5 || t.a", 0},
        {"f.n >= 5 || f.k > 9", 0},
        {"f.n >= 5 || f.n < 2", 0},
        {"f.n >= 5 && f.n < 9", 5},
        {"has(f.n) && f.n >= 4", 4},
        {"!(f.n >= 5)", 0},
        {"!(f.n < 5)", 0},
        {"!(f.n < 5) && f.m >= 2", 2},
        {"t.a ? f.n >= 5 : f.n >= 6", 0},
        {"f.n in [5, 6]", 0},
        {"f.n >= f.m", 0},
        {"f.n >= t.x", 0},
        {"f.n + f.m >= 5", 0},
        {"f.n * 2 >= 5", 0},
        {"double(f.n) >= 5.0", 0},
        {"f.k >= 5", 0},
        {"f.k > 5 && f.d >= 7.0", 0},
        {"t.x >= 5", 0},
        {"t.a", 0},
        {"f.p && f.q", 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct compiled c = compile(cases[i].text);
        uint64_t least = tsn_expr_least(c.set, c.expr, counts);
        if (least != cases[i].least) {
            fail_msg("%s: %llu, not %llu", cases[i].text, (unsigned long long)least,
                     (unsigned long long)cases[i].least);
        }
        compiled_free(&c);
    }
}

/* Rows of all counts below TRIED, beside four states of k and of p. */
enum { TRIED = 7, TRIED_ROWS = TRIED * TRIED * STATES * STATES };

static void tried_fill(void)
{
    for (uint32_t row = 0; row < TRIED_ROWS; row++) {
        uint32_t states = row / TRIED / TRIED;
        struct tsn_value n = {.type = {.type = TSN_TYPE_INT}, .i = row % TRIED};
        struct tsn_value m = {.type = {.type = TSN_TYPE_INT}, .i = row / TRIED % TRIED};
        tsn_column_set(&columns[N], row, &n);
        tsn_column_set(&columns[M], row, &m);
        for (int i = 0; i < N_INPUTS; i++) {
            if (i != N && i != M) {
                cell_set((enum input)i, row, i % 2 ? states % STATES : states / STATES);
            }
        }
    }
}

/* Gives the least count. sure: of comparisons of counts alone. */
static uint64_t check_least(const char *text, bool sure)
{
    struct compiled c = compile(text);
    uint64_t least = tsn_expr_least(c.set, c.expr, counts);
    frame_begin(&c, TRIED_ROWS, 0);
    const struct tsn_column *column = tsn_eval_column(c.eval, c.expr);
    for (uint32_t row = 0; row < TRIED_ROWS; row++) {
        uint64_t n = row % TRIED;
        uint64_t m = row / TRIED % TRIED;
        if (n >= least || m >= least) {
            continue;
        }
        if (is_true(column, row) || (sure && !is_false(column, row))) {
            fail_msg("%s: not false of %llu and %llu, below %llu", text, (unsigned long long)n,
                     (unsigned long long)m, (unsigned long long)least);
        }
    }
    compiled_free(&c);
    return least;
}

static const char *const comparisons[] = {
    "f.n >= 5",  "f.n > 2",  "3 <= f.n",   "1 < f.n",   "f.n == 4",    "f.n < 3",
    "f.n <= 4",  "6 > f.n",  "f.n != 2",   "f.n >= 0",  "f.n > -2",    "f.n >= 2.5",
    "f.n > 3.5", "f.m >= 3", "f.m > 5",    "2 < f.m",   "f.m == 1",    "f.m >= 1.0",
    "4.5 < f.m", "f.m < 4",  "f.m == 2.5", "f.m >= -1", "f.m > 1e300", "f.m >= 0.0 / 0.0",
};

static void below_the_least_comparisons_of_counts_are_false(void **state)
{
    (void)state;
    const struct grammar grammar = {comparisons, COUNT(comparisons), true};
    struct tsn_random random = {.state = 11};
    uint32_t n_bound = 0;
    tried_fill();
    for (size_t i = 0; i < COUNT(comparisons); i++) {
        check_least(comparisons[i], true);
    }
    for (int i = 0; i < 1500; i++) {
        char *text = random_expr(&random, &grammar);
        n_bound += check_least(text, true) > 0;
        free(text);
    }
    assert_true(n_bound > 300);
}

static void below_the_least_nothing_is_true(void **state)
{
    (void)state;
    static const char *const leaves[] = {
        "f.n >= 5",    "f.n > 2",  "3 <= f.m", "f.n == 4", "f.m >= 2.5",  "f.m > 1",
        "f.n < 3",     "f.m != 2", "f.k >= 2", "f.k < 2",  "f.n >= f.m",  "f.n > t.x",
        "f.n + 1 > 2", "f.p",      "t.a",      "has(f.k)", "6 / f.k > 1", "f.n in [1, 5]",
        "f.d > 1.0",   "!t.b",     "f.m >= 6", "f.n >= 4", "1 < f.m",     "t.x in lists.i",
    };
    const struct grammar grammar = {leaves, COUNT(leaves), false};
    struct tsn_random random = {.state = 13};
    uint32_t n_bound = 0;
    tried_fill();
    for (int i = 0; i < 3000; i++) {
        char *text = random_expr(&random, &grammar);
        n_bound += check_least(text, false) > 0;
        free(text);
    }
    assert_true(n_bound > 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_settle_through_and_and_or),
        cmocka_unit_test(what_is_settled_is_false_whatever_comes),
        cmocka_unit_test(of_and_and_or_alone_all_rows_are_found),
        cmocka_unit_test(any_number_of_rows_is_settled_and_nothing_behind_them),
        cmocka_unit_test(the_least_count_is_read_off_comparisons),
        cmocka_unit_test(below_the_least_comparisons_of_counts_are_false),
        cmocka_unit_test(below_the_least_nothing_is_true),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
