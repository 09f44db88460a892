/* The public CEL conformance cases, three ways: the scalar evaluator; columns of 1,
 * 63, 64, 65 and 1024 rows with every literal lifted into a column; and columns with
 * random rows missing, row by row against the scalar evaluator. The counts are held
 * against those checked in below, so that the subset cannot shrink unnoticed.
 *
 * Where the cases are not at hand the test is skipped, and says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/arena/arena.h"
#include "rules/diag/diag.h"
#include "rules/expr/expr.h"
#include "tests/fixture/cel_case.h"
#include "tests/fixture/expr_frame.h"

/* What passes; a change here is a change of the language. */
enum { MUST = 671, MACRO = 38, REFUSE = 51 };

enum { N_WAYS = 7, ROWS_MAX = 1024 };

static const uint32_t row_counts[] = {1, 63, 64, 65, 1024};

struct compiled {
    struct tsn_expr_set *set;
    uint32_t expr;
    uint32_t error_column;
};

static struct compiled compile(const struct tsn_cel_case *c, bool lift, struct tsn_arena *arena)
{
    size_t n = c->request.n_bindings;
    struct tsn_expr_name *names = tsn_arena_zalloc(arena, n + 1, sizeof *names);
    for (size_t i = 0; i < n; i++) {
        const struct tsn_eval_binding *binding = &c->request.bindings[i];
        names[i] = (struct tsn_expr_name){.name = binding->name,
                                          .type = binding->value.type,
                                          .may_be_missing = true,
                                          .rep = tsn_type_rep(binding->value.type.type),
                                          .input = (uint32_t)i};
    }
    struct tsn_expr_env env = {.names = names, .n_names = n};
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct compiled result = {.set = tsn_expr_set_new(&env)};
    tsn_expr_set_lift(result.set, lift);
    result.expr =
        tsn_expr_set_add(result.set, c->request.expr.p, c->request.expr.len, NULL, NULL, &diags);
    result.error_column = diags.n ? diags.items[0].place.column : 0;
    tsn_expr_set_freeze(result.set);
    tsn_diags_free(&diags);
    return result;
}

static uint64_t random_u64(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Columns of bindings and lifted literals; one cell in four missing if asked. */
static struct tsn_column *make_columns(const struct tsn_cel_case *c,
                                       const struct compiled *compiled, uint32_t n_rows, bool holes,
                                       struct tsn_arena *arena)
{
    size_t n_lifted = 0;
    while (tsn_expr_lifted(compiled->set, n_lifted)) {
        n_lifted++;
    }
    uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);
    struct tsn_column *columns =
        tsn_arena_zalloc(arena, c->request.n_bindings + n_lifted + 1, sizeof *columns);
    for (size_t i = 0; i < c->request.n_bindings + n_lifted; i++) {
        const struct tsn_value *value =
            i < c->request.n_bindings ? &c->request.bindings[i].value
                                      : tsn_expr_lifted(compiled->set, i - c->request.n_bindings);
        fixture_column_new(&columns[i], tsn_type_rep(value->type.type), n_rows, arena);
        for (uint32_t row = 0; row < n_rows; row++) {
            if (!holes || random_u64(&seed) % 4) {
                tsn_column_set(&columns[i], row, value);
            }
        }
    }
    return columns;
}

/* All rows of a column are right. */
static bool columns_are_right(const struct tsn_cel_case *c, const struct compiled *compiled,
                              uint32_t n_rows, struct tsn_arena *arena)
{
    struct tsn_eval *eval = tsn_eval_new(compiled->set);
    struct tsn_frame frame = {.n_rows = n_rows,
                              .inputs = make_columns(c, compiled, n_rows, false, arena)};
    tsn_eval_begin(eval, &frame);
    const struct tsn_column *column = tsn_eval_column(eval, compiled->expr);
    bool right = true;
    for (uint32_t row = 0; row < n_rows && right; row++) {
        struct tsn_value value;
        tsn_column_value(column, row, &value);
        value.type = tsn_expr_type_of(compiled->set, compiled->expr);
        right = tsn_cel_is_right(c, &value);
    }
    uint64_t beyond = n_rows % 64 ? ~UINT64_C(0) << n_rows % 64 : 0;
    size_t last = tsn_bits_words(n_rows) - 1;
    right = right && !(column->valid[last] & beyond) &&
            !(column->error && column->error[last] & beyond);
    tsn_eval_free(eval);
    return right;
}

static bool holes_agree(const struct tsn_cel_case *c, const struct compiled *compiled,
                        struct tsn_arena *arena)
{
    struct tsn_eval *eval = tsn_eval_new(compiled->set);
    struct tsn_frame frame = {.n_rows = 257, .inputs = make_columns(c, compiled, 257, true, arena)};
    tsn_eval_begin(eval, &frame);
    const struct tsn_column *column = tsn_eval_column(eval, compiled->expr);
    bool agree = true;
    for (uint32_t row = 0; row < frame.n_rows && agree; row++) {
        struct tsn_value cell;
        struct tsn_value scalar;
        tsn_column_value(column, row, &cell);
        cell.type = tsn_expr_type_of(compiled->set, compiled->expr);
        tsn_eval_row(eval, compiled->expr, row, &scalar);
        agree = tsn_expr_same(&cell, &scalar);
    }
    tsn_eval_free(eval);
    return agree;
}

static bool scalar_is_right(const struct tsn_cel_case *c, const struct compiled *compiled,
                            struct tsn_arena *arena)
{
    struct tsn_eval *eval = tsn_eval_new(compiled->set);
    struct tsn_frame frame = {.n_rows = 1, .inputs = make_columns(c, compiled, 1, false, arena)};
    struct tsn_value value;
    tsn_eval_begin(eval, &frame);
    tsn_eval_row(eval, compiled->expr, 0, &value);
    bool right = tsn_cel_is_right(c, &value);
    tsn_eval_free(eval);
    return right;
}

/* Which ways pass, a bit each. */
static unsigned run_case(const struct tsn_cel_case *c, struct tsn_arena *arena)
{
    unsigned passed = 0;
    struct compiled plain = compile(c, false, arena);
    struct compiled lifted = compile(c, true, arena);
    if (strcmp(c->class, "refuse") == 0) {
        bool refused = plain.expr == TSN_EXPR_NONE && lifted.expr == TSN_EXPR_NONE;
        passed = refused && plain.error_column == c->column ? (1u << N_WAYS) - 1 : 0;
    } else if (plain.expr != TSN_EXPR_NONE && lifted.expr != TSN_EXPR_NONE) {
        passed |= scalar_is_right(c, &plain, arena);
        for (unsigned i = 0; i < 5; i++) {
            passed |= (unsigned)columns_are_right(c, &lifted, row_counts[i], arena) << (i + 1);
        }
        passed |= (unsigned)holes_agree(c, &lifted, arena) << 6;
    }
    tsn_expr_set_free(plain.set);
    tsn_expr_set_free(lifted.set);
    return passed;
}

static void print_figures(const char *class, const unsigned *passed, unsigned n, unsigned wanted)
{
    printf("cel %-6s %4u cases, %4u wanted; scalar %u, columns of 1/63/64/65/1024 rows "
           "%u/%u/%u/%u/%u, rows missing %u\n",
           class, n, wanted, passed[0], passed[1], passed[2], passed[3], passed[4], passed[5],
           passed[6]);
}

static void the_public_cases_pass_three_ways(void **state)
{
    (void)state;
    static const char *const classes[] = {"must", "macro", "refuse"};
    static const unsigned wanted[] = {MUST, MACRO, REFUSE};
    unsigned passed[3][N_WAYS] = {{0}};
    unsigned n_cases[3] = {0};
    FILE *file = tsn_cel_cases(TSN_SOURCE_DIR);
    if (!file) {
        skip();
    }
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    while ((len = getline(&line, &cap, file)) > 0) {
        struct tsn_arena arena;
        struct tsn_cel_case c;
        tsn_arena_init(&arena, 0);
        if (tsn_cel_case_read(line, (size_t)len - (line[len - 1] == '\n'), &arena, &c)) {
            unsigned k = 0;
            while (k < 2 && strcmp(classes[k], c.class) != 0) {
                k++;
            }
            unsigned ways = run_case(&c, &arena);
            n_cases[k]++;
            for (unsigned i = 0; i < N_WAYS; i++) {
                passed[k][i] += ways >> i & 1;
            }
            if (ways != (1u << N_WAYS) - 1) {
                print_error("passes only 0x%x: %.*s\n", ways, (int)len - 1, line);
            }
        }
        tsn_arena_free(&arena);
    }
    free(line);
    fclose(file);
    for (unsigned k = 0; k < 3; k++) {
        print_figures(classes[k], passed[k], n_cases[k], wanted[k]);
    }
    for (unsigned k = 0; k < 3; k++) {
        for (unsigned i = 0; i < N_WAYS; i++) {
            assert_int_equal(passed[k][i], wanted[k]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_public_cases_pass_three_ways)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
