/* The public CEL cases with their literals bound: each literal in turn, then all at
 * once, becomes a binding, so that nothing is left to fold; then each binding in turn
 * is missing. All through the door of `tocsin eval`, by rows and by columns.
 *
 * What must hold: rows and columns answer byte for byte the same; a bound literal
 * changes no answer, except that the pattern of matches() must be a constant; a missing
 * operand makes the answer missing or an evaluation error, never another value, and
 * leaves a value only to operators that absorb.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/eval/eval.h"
#include "tests/fixture/cel_case.h"

enum { LITERALS_MAX = 128, NONE = -1, COUNTS = 5 };

/* What was checked; fewer would mean that the literals are not found any more. */
enum { BOUND_AT_LEAST = 2200, MISSING_AT_LEAST = 3300 };

struct literal {
    size_t at;
    size_t len;
    const char *answer; /* of `tocsin eval`, which reads as a binding */
};

static char *answer(const char *request, size_t len, uint32_t n_columns, struct tsn_arena *arena)
{
    char *text = NULL;
    size_t text_len = 0;
    FILE *out = open_memstream(&text, &text_len);
    tsn_eval_line(request, len, n_columns, out);
    fclose(out);
    char *copy = tsn_arena_strdup(arena, text, text_len - 1); /* without the line's end */
    free(text);
    return copy;
}

static bool is_error(const char *text, const char *stage)
{
    char begin[64];
    snprintf(begin, sizeof begin, "{\"error\": {\"stage\": \"%s", stage);
    return strncmp(text, begin, strlen(begin)) == 0;
}

/* Text as a JSON string. */
static char *quoted(const char *text, size_t len, struct tsn_arena *arena)
{
    char *json = tsn_arena_alloc(arena, len * 6 + 3);
    char *out = json;
    *out++ = '"';
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == '"' || c == '\\') {
            out += sprintf(out, "\\u%04x", c);
        } else {
            *out++ = (char)c;
        }
    }
    *out++ = '"';
    *out = '\0';
    return json;
}

/* ---- literals -------------------------------------------------------------------- */

/* Bytes of the string literal at text[0], whose quotes begin after `prefix` bytes. */
static size_t string_length(const char *text, size_t len, size_t prefix)
{
    char quote = text[prefix];
    size_t n_quotes = len - prefix >= 3 && text[prefix + 1] == quote && text[prefix + 2] == quote;
    n_quotes = n_quotes ? 3 : 1;
    for (size_t i = prefix + n_quotes; i + n_quotes <= len; i++) {
        if (text[i] == '\\' && prefix == 0) {
            i++;
        } else if (text[i] == quote &&
                   (n_quotes == 1 || (text[i + 1] == quote && text[i + 2] == quote))) {
            return i + n_quotes;
        }
    }
    return len;
}

static size_t number_length(const char *text, size_t len)
{
    bool hex = len > 1 && text[0] == '0' && text[1] == 'x';
    size_t i = hex ? 2 : 0;
    while (i < len &&
           (isdigit((unsigned char)text[i]) || (hex && isxdigit((unsigned char)text[i])) ||
            (!hex && (text[i] == '.' || text[i] == 'e' || text[i] == 'E' ||
                      ((text[i] == '-' || text[i] == '+') && tolower(text[i - 1]) == 'e'))))) {
        i++;
    }
    return i;
}

static size_t word_length(const char *text, size_t len)
{
    size_t i = 0;
    while (i < len && (isalnum((unsigned char)text[i]) || text[i] == '_')) {
        i++;
    }
    return i;
}

static bool is_literal_word(const char *text, size_t len)
{
    return (len == 4 && memcmp(text, "true", 4) == 0) ||
           (len == 4 && memcmp(text, "null", 4) == 0) ||
           (len == 5 && memcmp(text, "false", 5) == 0);
}

/* The literals of an expression, in order. */
static size_t find_literals(struct tsn_str expr, struct literal *out)
{
    size_t n = 0;
    for (size_t at = 0; at < expr.len && n < LITERALS_MAX;) {
        const char *p = expr.p + at;
        size_t left = expr.len - at;
        bool raw = (*p == 'r' || *p == 'R') && left > 1 && (p[1] == '"' || p[1] == '\'');
        size_t len = 1;
        bool is = false;
        if (raw || *p == '"' || *p == '\'') {
            len = string_length(p, left, raw);
            is = true;
        } else if (isdigit((unsigned char)*p) ||
                   (*p == '.' && left > 1 && isdigit((unsigned char)p[1]))) {
            len = number_length(p, left);
            is = true;
        } else if (isalpha((unsigned char)*p) || *p == '_') {
            len = word_length(p, left);
            is = is_literal_word(p, len);
        }
        if (is) {
            out[n++] = (struct literal){.at = at, .len = len};
        }
        at += len;
    }
    return n;
}

/* ---- variants -------------------------------------------------------------------- */

struct names {
    size_t n;
    const char *names[LITERALS_MAX + 8];
    const char *values[LITERALS_MAX + 8]; /* {"type": ..., "value": ...} */
};

/* {"type": "T", "missing": true} of {"type": "T", "value": ...} */
static char *without_value(const char *value, struct tsn_arena *arena)
{
    const char *end = strstr(value, ", \"value\":");
    assert_non_null(end);
    return tsn_arena_printf(arena, "%.*s, \"missing\": true}", (int)(end - value), value);
}

static char *request_of(const char *expr, const struct names *names, int missing,
                        struct tsn_arena *arena)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    fprintf(out, "{\"expr\": %s, \"bindings\": {", quoted(expr, strlen(expr), arena));
    for (size_t i = 0; i < names->n; i++) {
        fprintf(out, "%s\"%s\": %s", i ? ", " : "", names->names[i],
                (int)i == missing ? without_value(names->values[i], arena) : names->values[i]);
    }
    fprintf(out, "}}");
    fclose(out);
    char *copy = tsn_arena_strdup(arena, text, len);
    free(text);
    return copy;
}

/* The answer by rows, after holding columns of the first row counts against it. */
static char *same_answer(const char *request, size_t n_counts, struct tsn_arena *arena)
{
    static const uint32_t row_counts[COUNTS] = {65, 1, 63, 64, 1024};
    char *rows = answer(request, strlen(request), 0, arena);
    for (size_t i = 0; i < n_counts; i++) {
        char *columns = answer(request, strlen(request), row_counts[i], arena);
        if (strcmp(rows, columns) != 0) {
            fail_msg("%s: by rows %s, by columns of %u %s", request, rows, row_counts[i], columns);
        }
    }
    return rows;
}

static bool is_right(const struct tsn_cel_case *c, const char *got, struct tsn_arena *arena)
{
    struct tsn_value value = {.state = TSN_STATE_ERROR};
    if (!is_error(got, "")) {
        const char *why = NULL;
        uint32_t column;
        struct tsn_eval_request request;
        char *line = tsn_arena_printf(arena, "{\"expr\": \"x\", \"bindings\": {\"x\": %s}}", got);
        if (!tsn_eval_request_read(line, strlen(line), arena, &request, &why, &column)) {
            return false;
        }
        value = request.bindings[0].value;
    }
    return tsn_cel_is_right(c, &value);
}

/* Can a value stand although an operand is missing? */
static bool absorbs(const char *expr)
{
    static const char *const forms[] = {"&&",     "||",   "?",       "all(",
                                        "exists", "map(", "filter(", "bind("};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (strstr(expr, forms[i])) {
            return true;
        }
    }
    return false;
}

static void check_missing(const char *request, const char *expr, const char *whole, const char *got)
{
    bool whole_failed = is_error(whole, "");
    bool value = !is_error(got, "") && strcmp(got, "{\"missing\": true}") != 0;
    bool right = is_error(whole, "check") ? strcmp(got, whole) == 0
                 : value ? absorbs(expr) && (whole_failed || strcmp(got, whole) == 0)
                         : !is_error(got, "check");
    if (!right) {
        fail_msg("%s: %s, and with all values %s", request, got, whole);
    }
}

/* One set of bound literals: with all values, then with each binding missing. */
static void check_variant(const struct tsn_cel_case *c, const char *expr, const struct names *names,
                          size_t n_given, unsigned *n_checked, struct tsn_arena *arena)
{
    char *request = request_of(expr, names, NONE, arena);
    char *whole = same_answer(request, COUNTS, arena);
    bool pattern = is_error(whole, "check") && strstr(whole, "the pattern of matches()");
    if (!is_right(c, whole, arena) && !(pattern && names->n > n_given)) {
        fail_msg("%s: %s, and the case is %.*s", request, whole, (int)c->len, c->line);
    }
    if (strcmp(c->class, "refuse") == 0 && !is_error(whole, "check")) {
        fail_msg("%s: %s, which is no check error", request, whole);
    }
    n_checked[0]++;
    for (size_t i = 0; i < names->n; i++) {
        const char *name = names->names[i];
        if (is_literal_word(name, strlen(name)) || !strstr(expr, name)) {
            continue; /* never read */
        }
        request = request_of(expr, names, (int)i, arena);
        check_missing(request, expr, whole, same_answer(request, 2, arena));
        n_checked[1]++;
    }
}

/* The expression with literals first .. last as names, which are bound. */
static char *bind(struct tsn_str expr, const struct literal *literals, size_t first, size_t last,
                  struct names *names, struct tsn_arena *arena)
{
    char *text = tsn_arena_alloc(arena, expr.len + (last - first) * 8 + 1);
    size_t used = 0;
    size_t from = 0;
    for (size_t i = first; i < last; i++) {
        char *name = tsn_arena_printf(arena, "v_%zu", i);
        used += (size_t)sprintf(text + used, "%.*s %s ", (int)(literals[i].at - from),
                                expr.p + from, name);
        from = literals[i].at + literals[i].len;
        names->names[names->n] = name;
        names->values[names->n++] = literals[i].answer;
    }
    sprintf(text + used, "%.*s", (int)(expr.len - from), expr.p + from);
    return text;
}

/* Literals and given bindings as `tocsin eval` answers them. False if a literal only
 * makes sense where it stands: 9223372036854775808 after its minus. */
static bool evaluate_parts(const struct tsn_cel_case *c, struct literal *literals, size_t n,
                           struct names *given, struct tsn_arena *arena)
{
    for (size_t i = 0; i < n; i++) {
        char *request =
            tsn_arena_printf(arena, "{\"expr\": %s}",
                             quoted(c->request.expr.p + literals[i].at, literals[i].len, arena));
        literals[i].answer = answer(request, strlen(request), 0, arena);
        if (is_error(literals[i].answer, "")) {
            return false;
        }
    }
    for (size_t i = 0; i < c->request.n_bindings; i++) {
        const struct tsn_eval_binding *binding = &c->request.bindings[i];
        char *text = NULL;
        size_t len = 0;
        FILE *out = open_memstream(&text, &len);
        tsn_eval_response_value(out, &binding->value);
        fclose(out);
        given->names[given->n] = binding->name;
        given->values[given->n++] = tsn_arena_strdup(arena, text, len - 1);
        free(text);
    }
    return true;
}

static void check_case(const struct tsn_cel_case *c, unsigned *n_checked, struct tsn_arena *arena)
{
    struct literal literals[LITERALS_MAX];
    size_t n = find_literals(c->request.expr, literals);
    struct names given = {0};
    if (!evaluate_parts(c, literals, n, &given, arena)) {
        return;
    }
    for (size_t i = 0; i <= n; i++) { /* each alone, at last all */
        if (i == n && n == 1) {
            break;
        }
        struct names names = given;
        char *expr = i < n ? bind(c->request.expr, literals, i, i + 1, &names, arena)
                           : bind(c->request.expr, literals, 0, n, &names, arena);
        check_variant(c, expr, &names, given.n, n_checked, arena);
    }
}

static void bound_and_missing_literals_change_only_what_they_must(void **state)
{
    (void)state;
    FILE *file = tsn_cel_cases(TSN_SOURCE_DIR);
    if (!file) {
        skip();
    }
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    unsigned n_checked[2] = {0, 0};
    while ((len = getline(&line, &cap, file)) > 0) {
        struct tsn_arena arena;
        struct tsn_cel_case c;
        tsn_arena_init(&arena, 0);
        if (tsn_cel_case_read(line, (size_t)len - (line[len - 1] == '\n'), &arena, &c)) {
            check_case(&c, n_checked, &arena);
        }
        tsn_arena_free(&arena);
    }
    free(line);
    fclose(file);
    printf("cel with bound literals: %u variants, %u with one binding missing, each by rows and "
           "by columns\n",
           n_checked[0], n_checked[1]);
    assert_true(n_checked[0] >= BOUND_AT_LEAST && n_checked[1] >= MISSING_AT_LEAST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bound_and_missing_literals_change_only_what_they_must),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
