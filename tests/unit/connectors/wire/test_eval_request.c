/* Lines of `tocsin eval` that are no requests, and what the answer says of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/wire/eval_request.h"

#define X(binding) "{\"expr\": \"x\", \"bindings\": {\"x\": " binding "}}"

static const struct {
    const char *line;
    uint32_t column;
    const char *says;
} wrong[] = {
    {"", 1, "the line ends too early"},
    {"{\"expr\": \"1\"", 13, "expected ',' or '}'"},
    {"{\"expr\": \"1\",}", 14, "expected a member's name in quotes"},
    {"{\"expr\": \"1\"} 2", 15, "more than one value in the line"},
    {"[]", 1, "a request is an object"},
    {"{\"bindings\": {}}", 1, "a request is an object"},
    {"{\"expr\": 1}", 1, "a request is an object"},
    {"{\"expr\": \"1\", \"expr\": \"2\"}", 23, "a member stands there twice"},
    {"{\"expr\": \"x\", \"bindings\": []}", 27, "\"bindings\" must be an object"},
    {"{\"expr\": \"x\", \"bindings\": {}, \"bindings\": {}}", 43, "a member stands there twice"},
    {"{\"expr\": \"\xc3\xa9\xff\"}", 12, "not valid UTF-8"},
    {"{\"expr\": \"\xed\xa0\x80\"}", 11, "not valid UTF-8"},
    {"{\"expr\": \"\xc3\xa9\\ud800\"}", 17, "not a JSON escape"},
    {"{\"expr\": \"\xc3\xa9\\q\"}", 13, "not a JSON escape"},
    {"{\"expr\": \"a\tb\"}", 12, "a control character must be escaped"},
    {"{\"expr\": \"a", 10, "a string does not end"},
    {"{\"expr\": \"a\\", 13, "not a JSON escape"},
    {X("1"), 33, "a binding needs a type"},
    {X("{\"type\": \"uint\", \"value\": 1}"), 33, "a binding needs a type"},
    {X("{\"type\": \"int\"}"), 33, "a binding needs \"value\""},
    {X("{\"type\": \"int\", \"missing\": \"yes\"}"), 33, "a binding needs \"value\""},
    {X("{\"type\": \"int\", \"missing\": true, \"value\": 1}"), 75, "is missing or has a value"},
    {X("{\"type\": \"int\", \"value\": 1, \"value\": 2}"), 70, "a member stands there twice"},
    {X("{\"type\": \"int\", \"value\": 1}, \"x\": {\"type\": \"int\", \"value\": 1}"), 67,
     "bound twice"},
    {X("{\"type\": \"int\", \"value\": 1.0}"), 58, "an int is a whole number"},
    {X("{\"type\": \"int\", \"value\": 9223372036854775808}"), 58, "an int is a whole number"},
    {X("{\"type\": \"int\", \"value\": true}"), 58, "an int is a whole number"},
    {X("{\"type\": \"double\", \"value\": 1e400}"), 61, "a double is a number"},
    {X("{\"type\": \"double\", \"value\": NaN}"), 61, "not a JSON value"},
    {X("{\"type\": \"double\", \"value\": 01}"), 61, "not a JSON value"},
    {X("{\"type\": \"bool\", \"value\": \"true\"}"), 59, "a bool is true or false"},
    {X("{\"type\": \"string\", \"value\": 5}"), 61, "a string is written in quotes"},
    {X("{\"type\": \"timestamp\", \"value\": \"0000-01-01T00:00:00Z\"}"), 64, "years 0001 to 9999"},
    {X("{\"type\": \"timestamp\", \"value\": \"2023-02-29T00:00:00Z\"}"), 64, "a timestamp is"},
    {X("{\"type\": \"duration\", \"value\": \"90\"}"), 63, "a duration is text"},
    {X("{\"type\": \"duration\", \"value\": \"9223372037s\"}"), 63, "at most 292 years"},
    {X("{\"type\": \"null\", \"value\": 0}"), 59, "the value of null is null"},
    {X("{\"type\": \"list\", \"value\": [1]}"), 59, "needs their type"},
    {X("{\"type\": \"list(int)\", \"value\": [null]}"), 64, "an int is a whole number"},
};

static void a_wrong_line_is_refused_with_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct tsn_arena arena;
        struct tsn_eval_request request;
        const char *why = "it was read";
        uint32_t column = 0;
        tsn_arena_init(&arena, 0);
        size_t len = strlen(wrong[i].line);
        char *exact = malloc(len + 1); /* a read past its end is seen */
        memcpy(exact, wrong[i].line, len);
        char *shrunk = realloc(exact, len ? len : 1);
        bool read = tsn_eval_request_read(shrunk, len, &arena, &request, &why, &column);
        if (read || column != wrong[i].column || !strstr(why, wrong[i].says)) {
            fail_msg("%s: column %u: %s", wrong[i].line, column, why);
        }
        free(shrunk);
        tsn_arena_free(&arena);
    }
}

/* A line's memory grows with the line, not with the square of it. */
static void a_line_of_many_strings_and_names_is_read(void **state)
{
    (void)state;
    enum { MANY = 100000 };
    char *line = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&line, &len);
    fprintf(out, "{\"expr\": \"x\", \"bindings\": {");
    for (int i = 0; i < MANY; i++) {
        fprintf(out, "%s\"x%d\": {\"type\": \"string\", \"value\": \"a\"}", i ? ", " : "", i);
    }
    fprintf(out, "}}");
    fclose(out);
    struct tsn_arena arena;
    struct tsn_eval_request request;
    const char *why = "";
    uint32_t column = 0;
    tsn_arena_init(&arena, 0);
    assert_true(tsn_eval_request_read(line, len, &arena, &request, &why, &column));
    assert_int_equal(request.n_bindings, MANY);
    assert_string_equal(request.bindings[MANY - 1].name, "x99999");
    tsn_arena_free(&arena);
    free(line);
}

static void strings_hold_every_character(void **state)
{
    (void)state;
    static const char line[] =
        X("{\"type\": \"string\", \"value\": \"\\u0000\\ud83d\\ude00\\/\\n\"}");
    struct tsn_arena arena;
    struct tsn_eval_request request;
    const char *why = "";
    uint32_t column = 0;
    tsn_arena_init(&arena, 0);
    assert_true(tsn_eval_request_read(line, strlen(line), &arena, &request, &why, &column));
    struct tsn_str s = request.bindings[0].value.s;
    assert_int_equal(s.len, 7);
    assert_memory_equal(s.p, "\0\xf0\x9f\x98\x80/\n", 7);
    tsn_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_line_is_refused_with_its_place),
        cmocka_unit_test(a_line_of_many_strings_and_names_is_read),
        cmocka_unit_test(strings_hold_every_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
