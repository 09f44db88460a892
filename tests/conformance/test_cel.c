/* The public CEL conformance cases, three ways: the scalar evaluator; columns of 1,
 * 63, 64, 65 and 1024 rows with every literal lifted into a column; and columns with
 * random rows missing, row by row against the scalar evaluator. The counts are held
 * against those checked in below, so that the subset cannot shrink unnoticed.
 *
 * The cases lie beside the checkout (../shared/cel/cases.jsonl, or TSN_CEL_CASES) and
 * are not part of the tree; without them the test is skipped, and says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/wire/eval_request.h"
#include "rules/arena/arena.h"
#include "rules/diag/diag.h"
#include "rules/expr/expr.h"
#include "tests/fixture/expr_frame.h"

/* What passes; a change here is a change of the language. */
enum { MUST = 671, MACRO = 38, REFUSE = 51 };

enum { N_WAYS = 7, ROWS_MAX = 1024 };

static const uint32_t row_counts[] = {1, 63, 64, 65, 1024};

struct test_case {
    const char *line;
    size_t len;
    const char *class; /* "must" ... */
    bool any_bool;     /* dev-a: an error or any bool is right */
    bool wants_error;
    struct tsn_value expected;
    uint32_t column; /* refuse: where */
    struct tsn_eval_request request;
};

/* The bytes of member `key` of the object in line, or NULL. Strings are skipped
 * whole, so a key inside one is not found. */
static const char *member_of(const char *line, size_t len, const char *key, size_t *value_len)
{
    int depth = 0;
    size_t key_len = strlen(key);
    bool found = false;
    size_t first = 0;
    for (size_t i = 0; i < len; i++) {
        char c = line[i];
        if (c == '"') {
            size_t begin = ++i;
            for (; i < len && line[i] != '"'; i++) {
                i += line[i] == '\\';
            }
            if (!found && depth == 1 && i - begin == key_len &&
                memcmp(line + begin, key, key_len) == 0 && line[i + 1] == ':') {
                found = true;
                first = i + 2;
            }
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            depth--;
        }
        if (found && i > first &&
            ((depth == 1 && line[i + 1] == ',') || (depth == 1 && line[i + 1] == '}'))) {
            while (line[first] == ' ') {
                first++;
            }
            *value_len = i + 1 - first;
            return line + first;
        }
    }
    return NULL;
}

static bool read_case(const char *line, size_t len, struct tsn_arena *arena, struct test_case *c)
{
    size_t n;
    const char *class = member_of(line, len, "class", &n);
    *c = (struct test_case){.line = line, .len = len};
    c->class = class ? tsn_arena_strdup(arena, class + 1, n - 2) : "";
    if (strcmp(c->class, "out") == 0 || !class) {
        return false;
    }
    const char *tags = member_of(line, len, "tags", &n);
    c->any_bool = tags && memmem(tags, n, "dev-a", 5);
    const char *column = member_of(line, len, "column", &n);
    c->column = column ? (uint32_t)strtoul(column, NULL, 10) : 0;
    const char *why = NULL;
    uint32_t at;
    if (!tsn_eval_request_read(line, len, arena, &c->request, &why, &at)) {
        fail_msg("%.*s: %s", (int)len, line, why);
    }
    const char *expect = member_of(line, len, "expect", &n);
    assert_non_null(expect);
    if (memmem(expect, n, "\"error\"", 7)) {
        c->wants_error = true;
        return true;
    }
    /* {type, value} reads as a binding */
    char *wrapped =
        tsn_arena_printf(arena, "{\"expr\": \"x\", \"bindings\": {\"x\": %.*s}}", (int)n, expect);
    struct tsn_eval_request request;
    if (!tsn_eval_request_read(wrapped, strlen(wrapped), arena, &request, &why, &at)) {
        fail_msg("%s: %s", wrapped, why);
    }
    c->expected = request.bindings[0].value;
    return true;
}

/* Equal as the cases mean it: the sign of zero does not matter, an empty list has no
 * element type. */
static bool equal(const struct tsn_value *a, const struct tsn_value *b)
{
    if (a->type.type != b->type.type) {
        return false;
    }
    if (a->type.type == TSN_TYPE_DOUBLE) {
        return a->d == b->d || (isnan(a->d) && isnan(b->d));
    }
    if (a->type.type != TSN_TYPE_LIST) {
        return tsn_expr_same(a, b);
    }
    bool same = a->list->n == b->list->n;
    for (size_t i = 0; same && i < a->list->n; i++) {
        same = equal(&a->list->items[i], &b->list->items[i]);
    }
    return same;
}

static bool is_right(const struct test_case *c, const struct tsn_value *got)
{
    if (got->state == TSN_STATE_ERROR) {
        return c->wants_error;
    }
    if (got->state != TSN_STATE_VALUE) {
        return false;
    }
    return c->wants_error ? c->any_bool && got->type.type == TSN_TYPE_BOOL
                          : equal(&c->expected, got);
}

struct compiled {
    struct tsn_expr_set *set;
    uint32_t expr;
    uint32_t error_column;
};

static struct compiled compile(const struct test_case *c, bool lift, struct tsn_arena *arena)
{
    size_t n = c->request.n_bindings;
    struct tsn_expr_name *names = tsn_arena_zalloc(arena, n + 1, sizeof *names);
    for (size_t i = 0; i < n; i++) {
        const struct tsn_eval_binding *binding = &c->request.bindings[i];
        names[i] = (struct tsn_expr_name){.name = binding->name,
                                          .type = binding->value.type,
                                          .may_be_missing = true,
                                          .rep = fixture_rep_of(binding->value.type.type),
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
static struct tsn_column *make_columns(const struct test_case *c, const struct compiled *compiled,
                                       uint32_t n_rows, bool holes, struct tsn_arena *arena)
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
        fixture_column_new(&columns[i], fixture_rep_of(value->type.type), n_rows, arena);
        for (uint32_t row = 0; row < n_rows; row++) {
            if (!holes || random_u64(&seed) % 4) {
                fixture_cell_set(&columns[i], row, value);
            }
        }
    }
    return columns;
}

/* All rows of a column are right. */
static bool columns_are_right(const struct test_case *c, const struct compiled *compiled,
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
        right = is_right(c, &value);
    }
    uint64_t beyond = n_rows % 64 ? ~UINT64_C(0) << n_rows % 64 : 0;
    size_t last = tsn_bits_words(n_rows) - 1;
    right = right && !(column->valid[last] & beyond) &&
            !(column->error && column->error[last] & beyond);
    tsn_eval_free(eval);
    return right;
}

static bool holes_agree(const struct test_case *c, const struct compiled *compiled,
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

static bool scalar_is_right(const struct test_case *c, const struct compiled *compiled,
                            struct tsn_arena *arena)
{
    struct tsn_eval *eval = tsn_eval_new(compiled->set);
    struct tsn_frame frame = {.n_rows = 1, .inputs = make_columns(c, compiled, 1, false, arena)};
    struct tsn_value value;
    tsn_eval_begin(eval, &frame);
    tsn_eval_row(eval, compiled->expr, 0, &value);
    bool right = is_right(c, &value);
    tsn_eval_free(eval);
    return right;
}

/* Which ways pass, a bit each. */
static unsigned run_case(const struct test_case *c, struct tsn_arena *arena)
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
    const char *path = getenv("TSN_CEL_CASES");
    path = path ? path : TSN_SOURCE_DIR "/../shared/cel/cases.jsonl";
    FILE *file = fopen(path, "r");
    if (!file) {
        print_message("SKIPPED: the public CEL cases are not at %s; set TSN_CEL_CASES\n", path);
        skip();
    }
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    while ((len = getline(&line, &cap, file)) > 0) {
        struct tsn_arena arena;
        struct test_case c;
        tsn_arena_init(&arena, 0);
        if (read_case(line, (size_t)len - (line[len - 1] == '\n'), &arena, &c)) {
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
