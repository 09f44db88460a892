/* Expressions end to end: a text, some inputs, the answer - row by row and in
 * columns, which must agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "rules/expr/expr.h"

/* Rows 0, 1 and 2 of these inputs: a value, missing, an error. Text, ints and
 * doubles; s is never missing. */
static const struct tsn_expr_name names[] = {
    {.name = "call.n",
     .type = {TSN_TYPE_INT, TSN_TYPE_INT, 0},
     .may_be_missing = true,
     .rep = TSN_REP_INT,
     .input = 0},
    {.name = "call.d",
     .type = {TSN_TYPE_DOUBLE, TSN_TYPE_DOUBLE, 0},
     .may_be_missing = true,
     .rep = TSN_REP_MONEY,
     .scale = 2,
     .input = 1},
    {.name = "call.s",
     .type = {TSN_TYPE_STRING, TSN_TYPE_STRING, 0},
     .rep = TSN_REP_STRING,
     .input = 2},
    {.name = "call.talk",
     .type = {TSN_TYPE_DURATION, TSN_TYPE_DURATION, 0},
     .may_be_missing = true,
     .rep = TSN_REP_DURATION_MS,
     .input = 3},
    {.name = "call.kind",
     .type = {TSN_TYPE_STRING, TSN_TYPE_STRING, 0},
     .may_be_missing = true,
     .rep = TSN_REP_ENUM,
     .input = 4},
};

enum { ROWS = 3, INPUTS = sizeof names / sizeof names[0] };

struct inputs {
    int64_t n[ROWS];
    int64_t d[ROWS];
    struct tsn_str s[ROWS];
    int64_t talk[ROWS];
    uint16_t kind[ROWS];
    uint64_t valid;
    uint64_t all;
    uint64_t error;
};

static const struct tsn_str kinds[] = {{"voice", 5}, {"sms", 3}};
static const struct tsn_dict dict = {2, kinds};

static struct inputs inputs = {
    .n = {7, 0, 0},
    .d = {1050, 0, 0},
    .s = {{"abc", 3}, {"", 0}, {"x\xc3\xa9y", 4}},
    .talk = {90000, 0, 0},
    .kind = {1, 0, 0},
    .valid = 1,
    .all = 7,
    .error = 4,
};

static struct tsn_column columns[INPUTS];

static void set_column(int i, void *cells, uint64_t *valid, uint64_t *error)
{
    columns[i] = (struct tsn_column){.rep = names[i].rep,
                                     .scale = names[i].scale,
                                     .dict = i == 4 ? &dict : NULL,
                                     .cells = cells,
                                     .valid = valid,
                                     .error = error};
}

static struct tsn_expr_set *new_set(void)
{
    struct tsn_expr_name copy[INPUTS];
    memcpy(copy, names, sizeof names);
    copy[4].dict = &dict;
    static const struct tsn_expr_list lists[] = {
        {.name = "lists.known", .element = TSN_TYPE_STRING, .list = 0},
        {.name = "lists.heads", .element = TSN_TYPE_STRING, .list = 1, .prefixes = true}};
    struct tsn_expr_env env = {.names = copy, .n_names = INPUTS, .lists = lists, .n_lists = 2};
    return tsn_expr_set_new(&env);
}

static void print_value(const struct tsn_value *v, char *out, size_t cap)
{
    if (v->state != TSN_STATE_VALUE) {
        snprintf(out, cap, "%s", v->state == TSN_STATE_MISSING ? "missing" : "error");
        return;
    }
    switch (v->type.type) {
    case TSN_TYPE_BOOL:
        snprintf(out, cap, "%s", v->b ? "true" : "false");
        break;
    case TSN_TYPE_INT:
        snprintf(out, cap, "%lld", (long long)v->i);
        break;
    case TSN_TYPE_DOUBLE:
        snprintf(out, cap, "%.17g", v->d);
        break;
    case TSN_TYPE_STRING:
        snprintf(out, cap, "'%.*s'", (int)v->s.len, v->s.p);
        break;
    case TSN_TYPE_LIST:
        snprintf(out, cap, "list of %zu", v->list->n);
        break;
    default:
        snprintf(out, cap, "%lld.%09d", (long long)v->t.s, v->t.ns);
        break;
    }
}

/* Answers for a row with values, one where all but s is missing, one where all but
 * s is an error. */
static const struct {
    const char *expr;
    const char *rows[ROWS];
    const char *why;
} cases[] = {
    {"1 + 2 * 3", {"7", "7", "7"}, "constants fold"},
    {"call.n + 1", {"8", "missing", "error"}, "strict"},
    {"call.n / 0", {"error", "missing", "error"}, "x/0 with x missing is missing"},
    {"call.n > 5 && true", {"true", "missing", "error"}, "true decides nothing"},
    {"call.n > 5 && false", {"false", "false", "false"}, "false absorbs both"},
    {"call.n > 5 || true", {"true", "true", "true"}, "true absorbs both"},
    {"1 / 0 > 2 || true", {"true", "true", "true"}, "a failing constant is absorbed"},
    {"1 / 0 > 2", {"error", "error", "error"}, "and not refused"},
    {"!(call.n == 7)", {"false", "missing", "error"}, "not of missing is missing"},
    {"call.n != 8", {"true", "missing", "error"}, "also != gives missing"},
    {"has(call.n)", {"true", "false", "true"}, "never missing"},
    {"coalesce(call.n, 3)", {"7", "3", "error"}, "absorbs missing, not errors"},
    {"call.d >= 10.5", {"true", "missing", "error"}, "money in major units"},
    {"call.d > 10", {"true", "missing", "error"}, "int literal beside a double"},
    {"call.n * 0.5", {"3.5", "missing", "error"}, "int and double mix"},
    {"call.n == 7.0", {"true", "missing", "error"}, "exact comparison"},
    {"call.talk >= duration('90s')", {"true", "missing", "error"}, "on milliseconds"},
    {"call.talk < duration('90000000001ns')", {"true", "missing", "error"}, "finer than ms"},
    {"call.kind == 'sms'", {"true", "missing", "error"}, "enum code"},
    {"call.kind in ['voice', 'sms']", {"true", "missing", "error"}, "enum table"},
    {"call.s in ['abc', 'x']", {"true", "false", "false"}, "text in a list"},
    {"call.s in lists.known", {"true", "false", "false"}, "handle"},
    {"hasPrefixIn(call.s, lists.known)", {"true", "false", "false"}, "prefix"},
    {"call.s in lists.heads", {"true", "false", "false"}, "a list of prefixes"},
    {"hasPrefixIn(call.s, lists.heads)", {"true", "false", "false"}, "the same, said in full"},
    {"!('xabc' in lists.heads)", {"true", "true", "true"}, "a prefix stands at the beginning"},
    {"size(call.s)", {"3", "0", "3"}, "code points"},
    {"call.s.startsWith('x')", {"false", "false", "true"}, "text"},
    {"call.n > 5 ? 'big' : 'small'", {"'big'", "missing", "error"}, "condition decides"},
    {"has(call.n) ? call.n : 1 / 0", {"7", "error", "error"}, "untaken side raises nothing"},
    {"[1, 2, 3].all(x, x < call.n)", {"true", "missing", "error"}, "macro over a list"},
    {"[1, 2, 3].map(x, x * call.n)", {"list of 3", "missing", "error"}, "lists"},
    {"[call.n, 2][0]", {"7", "missing", "error"}, "a list of a missing is missing"},
    {"cel.bind(t, call.n + 1, t * t)", {"64", "missing", "error"}, "bind"},
    {"math.greatest(1, call.n, 3)", {"7", "missing", "error"}, "variadic"},
    {"[][0] + 1", {"error", "error", "error"}, "no element has every type"},
    {"[][0].contains('a') || call.n > 5", {"true", "error", "error"}, "and is absorbed"},
    {"call.n > 5 ? call.d : [][0]", {"10.5", "missing", "error"}, "beside any type"},
    {"[[][0], 'a'].size() + [][0][0]", {"error", "error", "error"}, "lists of it, it as a list"},
    {"[].map(x, x + call.n) == [1]", {"false", "false", "false"}, "nothing to add to"},
};

static void rows_and_columns_give_the_expected_answers(void **state)
{
    (void)state;
    set_column(0, inputs.n, &inputs.valid, &inputs.error);
    set_column(1, inputs.d, &inputs.valid, &inputs.error);
    set_column(2, inputs.s, &inputs.all, NULL);
    set_column(3, inputs.talk, &inputs.valid, &inputs.error);
    set_column(4, inputs.kind, &inputs.valid, &inputs.error);
    struct tsn_list *list = tsn_list_new(TSN_TYPE_STRING, 0);
    tsn_list_add_string(list, (struct tsn_str){"abc", 3}, TSN_LIST_FOREVER);
    struct tsn_list *heads = tsn_list_new(TSN_TYPE_STRING, 0);
    tsn_list_add_string(heads, (struct tsn_str){"ab", 2}, TSN_LIST_FOREVER);
    const struct tsn_list *handles[] = {list, heads};
    static const tsn_event_ms times[ROWS];
    struct tsn_frame frame = {
        .n_rows = ROWS, .inputs = columns, .lists = handles, .time_ms = times};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tsn_diags diags;
        tsn_diags_init(&diags);
        struct tsn_expr_set *set = new_set();
        uint32_t expr =
            tsn_expr_set_add(set, cases[i].expr, strlen(cases[i].expr), NULL, NULL, &diags);
        if (expr == TSN_EXPR_NONE) {
            tsn_diags_print(&diags, stderr);
            fail_msg("%s: does not compile", cases[i].expr);
        }
        tsn_expr_set_freeze(set);
        struct tsn_eval *eval = tsn_eval_new(set);
        tsn_eval_begin(eval, &frame);
        const struct tsn_column *column = tsn_eval_column(eval, expr);
        for (uint32_t row = 0; row < ROWS; row++) {
            struct tsn_value scalar, cell;
            char a[64], b[64];
            tsn_eval_row(eval, expr, row, &scalar);
            tsn_column_value(column, row, &cell);
            print_value(&scalar, a, sizeof a);
            print_value(&cell, b, sizeof b);
            if (strcmp(a, cases[i].rows[row]) != 0 || strcmp(b, cases[i].rows[row]) != 0) {
                fail_msg("%s, row %u: want %s, rows give %s, columns give %s (%s)", cases[i].expr,
                         row, cases[i].rows[row], a, b, cases[i].why);
            }
        }
        assert_int_equal(column->valid[0] >> ROWS, 0);
        tsn_eval_free(eval);
        tsn_expr_set_free(set);
        tsn_diags_free(&diags);
    }
    tsn_list_free(list);
    tsn_list_free(heads);
}

static const struct {
    const char *expr;
    uint32_t column;
    const char *says;
} refusals[] = {
    {"call.tlk > duration('1s')", 1, "there is no name 'call.tlk'"},
    {"call.n + 'a'", 8, "'+' has no meaning for int and string"},
    {"call.n &&\n true", 5, "'&&' needs a bool here, not int"},
    {"'\xc3\xa9' < 1", 5, "'<' does not compare string with int"},
    {"call.s.foo()", 11, "there is no function 'foo'"},
    {"call.s.size", 7, "a string has no field 'size'"},
    {"b'ab' == b'ab'", 1, "valid CEL, not supported here: bytes literals"},
    {"call.`n` == 1", 6, "valid CEL, not supported here: back-quoted names"},
    {"call.?n", 5, "valid CEL, not supported here: optional selection"},
    {"[?call.n]", 2, "valid CEL, not supported here: optional elements"},
    {"[1][?0]", 5, "valid CEL, not supported here: optional indexes"},
    {"call{n: 1}", 5, "valid CEL, not supported here: message literals"},
    {"1u + 2u", 1, "valid CEL, not supported here: uint literals"},
    {"type(call.n) == int", 5, "valid CEL, not supported here: types as values"},
    {"call.n == int", 11, "valid CEL, not supported here: types as values ('int')"},
    {"dyn(call.n)", 4, "valid CEL, not supported here: dynamic types"},
    {"[1].all(i, v, true)", 8, "valid CEL, not supported here: two-variable comprehensions"},
    {"[1].transformList(i, v, v)", 18,
     "valid CEL, not supported here: two-variable comprehensions"},
    {"base64.encode(call.s)", 14, "valid CEL, not supported here: base64"},
    {"math.bitAnd(call.n, 1)", 12, "valid CEL, not supported here: bit operations"},
    {"call.s.format([1])", 14, "valid CEL, not supported here: format()"},
    {"optional.of(call.n)", 12, "valid CEL, not supported here: optional values"},
    {"now", 1, "there is no clock in expressions"},
    {"call.n == null", 8, "'==' does not compare int with null"},
    {"call.s == 3", 8, "'==' does not compare string with int"},
    {"call.n ? 1 : 2", 8, "'?' needs a bool before it, not int"},
    {"call.n > 5 ? 1 : 'a'", 12, "both sides of ':' must have one type"},
    {"call.d % 2.0", 8, "'%' has no meaning for double and double"},
    {"[1] < [2]", 5, "'<' does not compare list(int) with list(int)"},
    {"!call.n", 1, "'!' needs a bool, not int"},
    {"-call.s", 1, "'-' needs a number, not string"},
    {"call.n in lists.known", 8, "'lists.known' holds strings, and this is an int"},
    {"hasPrefixIn(call.n, lists.known)", 12, "hasPrefixIn() takes a string and a list of strings"},
    {"coalesce(call.n)", 9, "coalesce() has the wrong number of arguments"},
    {"coalesce(call.n, 'a')", 9, "coalesce() needs two values of one type"},
    {"has(call.n + 1)", 4, "has() takes the name of a field or a feature"},
    {"call.s[0]", 7, "an index takes a list and an int"},
    {"call.s.charAt('a')", 14, "a string has no charAt(string)"},
    {"call.n == 1 || call.tlk > 1 && call.s + 1 == 'a'", 16, "there is no name 'call.tlk'"},
    {"{'a': 1}", 1, "valid CEL, not supported here: map literals"},
    {"call.s.matches(call.s)", 15, "must be a constant"},
    {"call.s.matches('(')", 15, "the pattern of matches() is wrong"},
    {"1 +", 4, "expected a value, found the end of the expression"},
    {"lists.known", 1, "is a list"},
    {"has(call)", 4, "has() takes the name"},
    {"'abc", 1, "this string does not end"},
    {"9223372036854775808", 1, "does not fit a 64-bit int"},
    {"call.d < 1e400", 10, "this number does not fit a double"},
    {"-1.8e308", 2, "this number does not fit a double"},
    {"while == 1", 1, "reserved word"},
    {"call.time.getHours('Mars/Crater')", 1, "there is no name"},
    {"timestamp('2020-01-01T00:00:00Z').getHours('Mars/Crater')", 43, "there is no time zone"},
    {"[1, 'a']", 5, "a list holds one type"},
    {"call.n in 3", 8, "'in' needs a list"},
    {"[].all(x, nope)", 11, "there is no name 'nope'"},
    {"[].map(x, null)", 7, "a list may not hold null"},
};

static void refusals_say_where_and_why(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct tsn_diags diags;
        tsn_diags_init(&diags);
        struct tsn_expr_set *set = new_set();
        uint32_t expr =
            tsn_expr_set_add(set, refusals[i].expr, strlen(refusals[i].expr), NULL, NULL, &diags);
        assert_true(expr == TSN_EXPR_NONE);
        assert_true(diags.n > 0);
        if (diags.items[0].place.column != refusals[i].column ||
            !strstr(diags.items[0].message, refusals[i].says)) {
            fail_msg("%s: column %u: %s", refusals[i].expr, diags.items[0].place.column,
                     diags.items[0].message);
        }
        tsn_expr_set_free(set);
        tsn_diags_free(&diags);
    }
}

static void equal_parts_of_two_rules_are_one_column(void **state)
{
    (void)state;
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct tsn_expr_set *set = new_set();
    const char *a = "call.n > 5";
    const char *b = "( call.n>5 )";
    uint32_t first = tsn_expr_set_add(set, a, strlen(a), NULL, NULL, &diags);
    uint32_t second = tsn_expr_set_add(set, b, strlen(b), NULL, NULL, &diags);
    tsn_expr_set_freeze(set);
    struct tsn_eval *eval = tsn_eval_new(set);
    struct tsn_frame frame = {.n_rows = ROWS, .inputs = columns};
    set_column(0, inputs.n, &inputs.valid, &inputs.error);
    tsn_eval_begin(eval, &frame);
    assert_ptr_equal(tsn_eval_column(eval, first), tsn_eval_column(eval, second));
    size_t n;
    assert_int_equal(tsn_expr_inputs(set, first, &n)[0], 0);
    assert_int_equal(n, 1);
    tsn_eval_free(eval);
    tsn_expr_set_free(set);
    tsn_diags_free(&diags);
}

/* Literals as columns change no answer to whether an expression is accepted. */
static void lifting_literals_accepts_the_same_expressions(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "[1, 2, 3, 4, 5, 6, 7].all(a, [1, 2, 3, 4, 5, 6, 7].all(b, [1, 2, 3, 4, 5, 6, 7].all(c, "
        "[1, 2, 3, 4, 5, 6, 7].all(d, [1, 2, 3, 4, 5, 6, 7].all(e, [1, 2, 3, 4, 5, 6, 7].all(f, "
        "[1, 2, 3, 4, 5, 6, 7].all(g, [1, 2, 3, 4, 5, 6, 7].all(h, 1 < 2))))))))",
        "[1, 2, 3, 4, 5, 6, 7].all(a, [1, 2, 3, 4, 5, 6, 7].all(b, [1, 2, 3, 4, 5, 6, 7].all(c, "
        "[1, 2, 3, 4, 5, 6, 7].all(d, [1, 2, 3, 4, 5, 6, 7].all(e, [1, 2, 3, 4, 5, 6, 7].all(f, "
        "[1, 2, 3, 4, 5, 6, 7].all(g, [1, 2, 3, 4, 5, 6, 7].all(h, a + b + c + d + e + f + g + h "
        "> call.n))))))))",
        "cel.bind(p, 'a' + 'b', call.s.matches(p))",
        "timestamp('2020-01-01T00:00:00Z').getHours('Mars/Crater') == 1",
    };
    static const bool accepted[] = {true, false, true, false};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *messages[2] = {"", ""};
        struct tsn_diags diags[2];
        struct tsn_expr_set *sets[2];
        for (int lift = 0; lift < 2; lift++) {
            tsn_diags_init(&diags[lift]);
            sets[lift] = new_set();
            tsn_expr_set_lift(sets[lift], lift);
            uint32_t expr =
                tsn_expr_set_add(sets[lift], texts[i], strlen(texts[i]), NULL, NULL, &diags[lift]);
            assert_int_equal(expr != TSN_EXPR_NONE, accepted[i]);
            if (diags[lift].n) {
                messages[lift] = diags[lift].items[0].message;
            }
        }
        assert_string_equal(messages[0], messages[1]);
        for (int lift = 0; lift < 2; lift++) {
            tsn_expr_set_free(sets[lift]);
            tsn_diags_free(&diags[lift]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_and_columns_give_the_expected_answers),
        cmocka_unit_test(refusals_say_where_and_why),
        cmocka_unit_test(lifting_literals_accepts_the_same_expressions),
        cmocka_unit_test(equal_parts_of_two_rules_are_one_column),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
