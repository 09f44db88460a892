/* Random typed expressions over random columns: the column evaluator must say in
 * every row what the scalar evaluator says, value, missing or error. Expressions
 * are made type by type, so all of them compile; columns come in every
 * representation, with missing cells, failed cells and extreme values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/expr/expr.h"
#include "tests/fixture/expr_frame.h"

enum { SEEDS = 4000, TEXT = 4096 };

struct maker {
    uint64_t seed;
    char text[TEXT];
    size_t len;
};

static uint64_t below(struct maker *m, uint64_t n)
{
    m->seed ^= m->seed << 13;
    m->seed ^= m->seed >> 7;
    m->seed ^= m->seed << 17;
    return (m->seed >> 11) % n;
}

/* Forms by result: a letter stands for an expression of that type - b bool, i int,
 * d double, s string, t timestamp, u duration, L list(int) - after a '$'. */
static const char *const bools[] = {
    "t.b",
    "true",
    "false",
    "t.b2",
    "has(t.i)",
    "has(t.d)",
    "has(t.e)",
    "!$b",
    "($b && $b)",
    "($b || $b)",
    "($b && $b && $b)",
    "($b ? $b : $b)",
    "($i < $i)",
    "($i == $i)",
    "($i >= $d)",
    "($d > $d)",
    "($d != $i)",
    "($d <= $d)",
    "($s == $s)",
    "($s < $s)",
    "($t < $t)",
    "($u >= $u)",
    "($u == $u)",
    "($i in $L)",
    "($s in [$s, $s])",
    "$s.startsWith($s)",
    "$s.contains($s)",
    "$s.matches('^a+')",
    "$L.all(x, x < $i)",
    "$L.exists(x, x == $i || $b)",
    "$L.exists_one(x, x > $i)",
    "coalesce($b, $b)",
    "(t.e == 'red')",
    "(t.e in ['red', 'blue'])",
    "(t.e < 'green')",
    "(t.m >= 10)",
    "(t.m == 12.34)",
    "(t.m < -0.01)",
    "(t.u <= duration('1s'))",
    "(t.w > timestamp('2001-09-09T01:46:40.0005Z'))",
    "(t.i == 3)",
    "(t.i != 2.5)",
    "(t.d < 4)",
    "(t.s in ['a', 'ab', ''])",
    "(t.i in [1, 2, 3])",
    "($L == $L)",
    "math.isNaN($d)",
    "cel.bind(z, $i, z > z - 1)",
    "(t.i > 9007199254740993.0)",
    "(t.d == 9007199254740993)",
};
static const char *const ints[] = {
    "t.i",
    "t.j",
    "0",
    "1",
    "-1",
    "7",
    "9223372036854775807",
    "($i + $i)",
    "($i - $i)",
    "($i * $i)",
    "($i / $i)",
    "($i % $i)",
    "-$i",
    "($b ? $i : $i)",
    "size($s)",
    "size($L)",
    "int($d)",
    "int($s)",
    "coalesce($i, $i)",
    "$L[$i]",
    "math.abs($i)",
    "math.greatest($i, $i)",
    "$t.getHours()",
    "$t.getDayOfYear('Europe/Dublin')",
    "$u.getSeconds()",
    "$s.indexOf($s)",
    "int($t)",
};
static const char *const doubles[] = {
    "t.d",
    "t.m",
    "0.0",
    "1.5",
    "-2.25",
    "1e300",
    "($d + $d)",
    "($d - $i)",
    "($i * $d)",
    "($d / $d)",
    "-$d",
    "($b ? $d : $d)",
    "double($i)",
    "coalesce($d, $d)",
    "math.floor($d)",
    "sqrt($d)",
    "exp($d)",
    "math.least($d, $d)",
    "double($s)",
    "pow($d, 2)",
    "coalesce(t.m, 0)",
};
static const char *const strings[] = {
    "t.s",
    "t.e",
    "''",
    "'a'",
    "'aab'",
    "'\\u00e9x'",
    "($s + $s)",
    "($b ? $s : $s)",
    "string($i)",
    "string($b)",
    "string($d)",
    "string($u)",
    "coalesce($s, $s)",
    "$s.upperAscii()",
    "$s.trim()",
    "$s.substring(0, 1)",
    "$s.replace('a', 'bc')",
    "[$s, $s].join('-')",
    "$s.charAt($i)",
};
static const char *const times[] = {
    "t.w",
    "t.time",
    "timestamp('2009-02-13T23:31:30.123456789Z')",
    "($t + $u)",
    "($t - $u)",
    "timestamp($i)",
    "($b ? $t : $t)",
    "coalesce($t, $t)",
};
static const char *const spans[] = {
    "t.u",
    "duration('90s')",
    "duration('-1.5s')",
    "($u + $u)",
    "($u - $u)",
    "($t - $t)",
    "($b ? $u : $u)",
    "coalesce($u, $u)",
    "duration('1h2m3.004s')",
};
static const char *const lists[] = {
    "[1, 2, 3]",
    "[$i]",
    "[$i, $i]",
    "($L + $L)",
    "$L.map(x, x + $i)",
    "$L.filter(x, x > $i)",
    "($b ? $L : $L)",
    "[]",
    "$L.map(x, x > 1, x * 2)",
};

#define FORMS(list)                                                                                \
    {                                                                                              \
        list, sizeof list / sizeof list[0]                                                         \
    }
static const struct {
    char letter;
    struct {
        const char *const *forms;
        size_t n;
    } of;
} grammar[] = {
    {'b', FORMS(bools)}, {'i', FORMS(ints)},  {'d', FORMS(doubles)}, {'s', FORMS(strings)},
    {'t', FORMS(times)}, {'u', FORMS(spans)}, {'L', FORMS(lists)},
};

/* Leaves have no '$'; beyond the depth only they are taken. */
static void make(struct maker *m, char letter, int depth)
{
    size_t g = 0;
    while (grammar[g].letter != letter) {
        g++;
    }
    const char *form;
    do {
        form = grammar[g].of.forms[below(m, grammar[g].of.n)];
    } while (depth == 0 && strchr(form, '$'));
    for (; *form && m->len + 200 < TEXT; form++) {
        if (*form == '$') {
            make(m, *++form, depth - 1);
        } else {
            m->text[m->len++] = *form;
        }
    }
}

static const struct tsn_str enum_names[] = {{"red", 3}, {"green", 5}, {"blue", 4}};
static const struct tsn_dict dict = {3, enum_names};

static const struct {
    const char *name;
    enum tsn_rep rep;
} inputs[] = {
    {"t.time", TSN_REP_TIME_MS}, {"t.b", TSN_REP_BOOL},        {"t.b2", TSN_REP_BOOL},
    {"t.i", TSN_REP_INT},        {"t.j", TSN_REP_INT},         {"t.d", TSN_REP_DOUBLE},
    {"t.m", TSN_REP_MONEY},      {"t.s", TSN_REP_STRING},      {"t.e", TSN_REP_ENUM},
    {"t.w", TSN_REP_TIME_MS},    {"t.u", TSN_REP_DURATION_MS},
};
enum { N_INPUTS = sizeof inputs / sizeof inputs[0] };

static struct tsn_value random_value(struct maker *m, enum tsn_rep rep)
{
    static const int64_t odd_ints[] = {0, 1, -1, 2, 3, INT64_MAX, INT64_MIN, 9007199254740993};
    static const double odd_doubles[] = {0, -0.0, 1.5, 4, -4, 9007199254740992.0, 1e308, -1e-300};
    static const struct tsn_str odd_strings[] = {{"", 0},   {"a", 1},        {"aab", 3},
                                                 {"12", 2}, {"\xc3\xa9", 2}, {" b ", 3}};
    struct tsn_value value = {.type = {.type = tsn_rep_type(rep)}};
    switch (rep) {
    case TSN_REP_BOOL:
        value.b = below(m, 2);
        break;
    case TSN_REP_INT:
        value.i = odd_ints[below(m, 8)];
        break;
    case TSN_REP_DOUBLE:
        value.d = below(m, 20) ? odd_doubles[below(m, 8)] : (double)(below(m, 2) ? NAN : INFINITY);
        break;
    case TSN_REP_MONEY:
        value.d = (double)((int64_t)below(m, 4000) - 2000) / 100;
        break;
    case TSN_REP_STRING:
        value.s = odd_strings[below(m, 6)];
        break;
    case TSN_REP_ENUM:
        value.s = enum_names[below(m, 3)];
        break;
    default:
        value.t = (struct tsn_time){rep == TSN_REP_TIME_MS ? 1000000000 + (int64_t)below(m, 3)
                                                           : (int64_t)below(m, 5) - 2,
                                    (int32_t)below(m, 3) * 500000000};
        value.t.ns %= 1000000000;
        break;
    }
    uint64_t state = below(m, 8);
    value.state = state == 0 ? TSN_STATE_MISSING : state == 1 ? TSN_STATE_ERROR : TSN_STATE_VALUE;
    return value;
}

static struct tsn_expr_set *new_set(void)
{
    struct tsn_expr_name names[N_INPUTS];
    for (uint32_t i = 0; i < N_INPUTS; i++) {
        names[i] = (struct tsn_expr_name){
            .name = inputs[i].name,
            .type = {.type = tsn_rep_type(inputs[i].rep)},
            .may_be_missing = true,
            .rep = inputs[i].rep,
            .scale = 2,
            .dict = inputs[i].rep == TSN_REP_ENUM ? &dict : NULL,
            .input = i,
        };
    }
    struct tsn_expr_env env = {.names = names, .n_names = N_INPUTS, .timezone = "Asia/Kathmandu"};
    return tsn_expr_set_new(&env);
}

static void fill(struct maker *m, struct tsn_column *columns, uint32_t n_rows,
                 struct tsn_arena *arena)
{
    for (int i = 0; i < N_INPUTS; i++) {
        fixture_column_new(&columns[i], inputs[i].rep, n_rows, arena);
        columns[i].scale = 2;
        columns[i].dict = inputs[i].rep == TSN_REP_ENUM ? &dict : NULL;
        for (uint32_t row = 0; row < n_rows; row++) {
            struct tsn_value value = random_value(m, inputs[i].rep);
            tsn_column_set(&columns[i], row, &value);
        }
    }
}

static void compare(const struct maker *m, uint64_t seed, struct tsn_expr_set *set,
                    struct tsn_eval *eval, uint32_t expr, uint32_t n_rows)
{
    const struct tsn_column *column = tsn_eval_column(eval, expr);
    for (uint32_t row = 0; row < n_rows; row++) {
        struct tsn_value cell;
        struct tsn_value scalar;
        tsn_column_value(column, row, &cell);
        cell.type = tsn_expr_type_of(set, expr);
        tsn_eval_row(eval, expr, row, &scalar);
        if (!tsn_expr_same(&cell, &scalar)) {
            fail_msg("seed %llu row %u: states %d (rows) and %d (columns) of: %.*s",
                     (unsigned long long)seed, row, scalar.state, cell.state, (int)m->len, m->text);
        }
    }
    uint64_t beyond = n_rows % 64 ? ~UINT64_C(0) << n_rows % 64 : 0;
    size_t last = tsn_bits_words(n_rows) - 1;
    uint64_t bits = column->rep == TSN_REP_BOOL ? column->bits[last] & ~column->valid[last] : 0;
    uint64_t both = column->error ? column->valid[last] & column->error[last] : 0;
    assert_int_equal(bits | both | (column->valid[last] & beyond), 0);
}

static void rows_and_columns_agree_on_random_expressions(void **state)
{
    (void)state;
    static const uint32_t row_counts[] = {1, 63, 64, 65, 130};
    size_t n_refused = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct maker m = {.seed = seed * UINT64_C(0x9e3779b97f4a7c15)};
        struct tsn_arena arena;
        struct tsn_column columns[N_INPUTS];
        struct tsn_diags diags;
        uint32_t n_rows = row_counts[below(&m, 5)];
        tsn_arena_init(&arena, 0);
        tsn_diags_init(&diags);
        fill(&m, columns, n_rows, &arena);
        struct tsn_expr_set *set = new_set();
        make(&m, grammar[below(&m, 7)].letter, 1 + (int)below(&m, 3));
        uint32_t expr = tsn_expr_set_add(set, m.text, m.len, NULL, NULL, &diags);
        tsn_expr_set_freeze(set);
        if (expr == TSN_EXPR_NONE) {
            n_refused++;
        } else {
            struct tsn_eval *eval = tsn_eval_new(set);
            struct tsn_frame frame = {.n_rows = n_rows, .inputs = columns};
            tsn_eval_begin(eval, &frame);
            compare(&m, seed, set, eval, expr, n_rows);
            tsn_eval_free(eval);
        }
        tsn_expr_set_free(set);
        tsn_diags_free(&diags);
        tsn_arena_free(&arena);
    }
    assert_true(n_refused <= SEEDS / 50); /* lists of no type, chains cut at the buffer's end */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_and_columns_agree_on_random_expressions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
