/* YAML trees: what is read, and that everything refused is refused at its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/yaml/yaml.h"

static struct tsn_diags diags;

static int setup(void **state)
{
    (void)state;
    tsn_diags_init(&diags);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tsn_diags_free(&diags);
    return 0;
}

static struct tsn_yaml *parse(const char *text)
{
    return tsn_yaml_parse("x.yaml", text, strlen(text), &diags);
}

static void every_node_knows_its_place(void **state)
{
    (void)state;
    struct tsn_yaml *doc = parse("a: 1\n"
                                 "\xC3\xBC: { b: [x, y] }\n"
                                 "c:\n"
                                 "  - \"q\\n\"\n");
    assert_non_null(doc);
    assert_int_equal(diags.n, 0);
    assert_int_equal(doc->root->kind, TSN_YAML_MAP);
    assert_int_equal(doc->root->n, 3);
    const struct tsn_yaml_node *list = tsn_yaml_get(tsn_yaml_get(doc->root, "\xC3\xBC"), "b");
    assert_non_null(list);
    assert_int_equal(list->kind, TSN_YAML_SEQUENCE);
    assert_int_equal(list->n, 2);
    assert_string_equal(list->items[1].text, "y");
    assert_int_equal(list->items[1].line, 2);
    assert_int_equal(list->items[1].column, 13); /* code points: the key is one */
    const struct tsn_yaml_node *quoted = &tsn_yaml_get(doc->root, "c")->items[0];
    assert_string_equal(quoted->text, "q\n");
    assert_int_equal(quoted->style, TSN_YAML_QUOTED);
    assert_int_equal(quoted->raw_len, 5);
    assert_memory_equal(quoted->raw, "\"q\\n\"", 5);
    assert_null(tsn_yaml_get(doc->root, "d"));
    tsn_yaml_free(doc);
}

static void json_is_read_as_the_same_tree(void **state)
{
    (void)state;
    struct tsn_yaml *doc = parse("{\"pack\": \"x\", \"n\": 3,\n\t\"list\": [1, true, \"a\\/b\"]}");
    assert_non_null(doc);
    assert_int_equal(diags.n, 0);
    int64_t n = 0;
    assert_true(tsn_yaml_int(doc, tsn_yaml_get(doc->root, "n"), "'n'", 0, 9, &n));
    assert_int_equal(n, 3);
    assert_string_equal(tsn_yaml_get(doc->root, "list")->items[2].text, "a/b");
    tsn_yaml_free(doc);
}

static void plain_words_stay_text(void **state)
{
    (void)state;
    struct tsn_yaml *doc = parse("country: NO\non: off\nzip: 0777\nnothing: ~\n");
    assert_non_null(doc);
    assert_string_equal(tsn_yaml_get(doc->root, "country")->text, "NO");
    assert_string_equal(tsn_yaml_get(doc->root, "on")->text, "off");
    assert_string_equal(tsn_yaml_get(doc->root, "zip")->text, "0777");
    assert_string_equal(tsn_yaml_get(doc->root, "nothing")->text, "~");
    tsn_yaml_free(doc);
}

static void what_could_surprise_a_reader_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *message;
        uint32_t line;
        uint32_t column;
        const char *why;
    } cases[] = {
        {"a: &x 1\n", "anchors are refused", 1, 4, "billion laughs"},
        {"a: *x\n", "aliases are refused", 1, 4, "billion laughs"},
        {"a: { <<: { b: 1 } }\n", "merge keys are refused", 1, 6, "reads from elsewhere"},
        {"a: !!int 1\n", "tags are refused", 1, 4, "types come from the schema"},
        {"a: !has\n", "tags are refused", 1, 4, "an expression without quotes"},
        {"a: 1\nb: 2\na: 3\n", "duplicate key 'a', first on line 1", 3, 1, "one would win"},
        {"? [a]\n: 1\n", "a key must be plain text", 1, 3, "no schema has it"},
        {"a: 1\n---\nb: 2\n", "a second document begins here", 2, 1, "one would be lost"},
        {"", "the file is empty", 1, 1, "nothing to read"},
        {"# only\n", "the file is empty", 1, 1, "nothing to read"},
        {"a: [1, 2\nb: 3\n", "this is not YAML", 2, 2, "an open bracket"},
        {"a: b: c\n", "mapping values are not allowed", 1, 5, "libyaml's own words"},
        {"a:\n\t- b\n", "this is not YAML", 2, 1, "a tab that indents"},
        {"a: \xFF\n", "this is not YAML", 1, 4, "not UTF-8"},
        {"a: \"\x01\"\n", "this is not YAML", 1, 5, "a control character"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tsn_diags found;
        tsn_diags_init(&found);
        struct tsn_yaml *doc =
            tsn_yaml_parse("x.yaml", cases[i].text, strlen(cases[i].text), &found);
        if (found.n_errors == 0 || !strstr(found.items[0].message, cases[i].message) ||
            found.items[0].place.line != cases[i].line ||
            found.items[0].place.column != cases[i].column) {
            tsn_diags_print(&found, stderr);
            fail_msg("case %zu (%s): wanted '%s' at %u:%u", i, cases[i].why, cases[i].message,
                     cases[i].line, cases[i].column);
        }
        tsn_yaml_free(doc);
        tsn_diags_free(&found);
    }
}

static void a_megabyte_of_brackets_is_one_bounded_error(void **state)
{
    (void)state;
    size_t len = TSN_YAML_BYTES_MAX;
    char *text = malloc(len);
    static const char *const kinds[] = {"[", "{", "{a: ", "- ", "? "};
    static const char *const says[] = {"deeper than 16 levels", "deeper than 16 levels",
                                       "deeper than 16 levels", "deeper than 16 levels",
                                       "deeper than 16 levels"};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        for (size_t i = 0; i < len; i++) {
            text[i] = kinds[k][i % strlen(kinds[k])];
        }
        struct tsn_diags found;
        tsn_diags_init(&found);
        assert_null(tsn_yaml_parse("x.yaml", text, len, &found));
        assert_int_equal(found.n_errors, 1);
        assert_non_null(strstr(found.items[0].message, says[k]));
        tsn_diags_free(&found);
    }
    free(text);
}

static void one_byte_over_a_megabyte_is_refused_unread(void **state)
{
    (void)state;
    size_t len = TSN_YAML_BYTES_MAX + 1;
    char *text = malloc(len);
    memset(text, ' ', len);
    assert_null(tsn_yaml_parse("x.yaml", text, len, &diags));
    assert_int_equal(diags.n_errors, 1);
    assert_non_null(strstr(diags.items[0].message, "1048577 bytes"));
    free(text);
}

static void sixteen_levels_are_read_and_seventeen_are_not(void **state)
{
    (void)state;
    struct tsn_yaml *doc = parse("[[[[[[[[[[[[[[[a]]]]]]]]]]]]]]]");
    assert_non_null(doc);
    tsn_yaml_free(doc);
    assert_null(parse("[[[[[[[[[[[[[[[[a]]]]]]]]]]]]]]]]"));
    assert_non_null(strstr(diags.items[0].message, "deeper than 16"));
}

static void scalars_are_typed_by_who_asks(void **state)
{
    (void)state;
    struct tsn_yaml *doc =
        parse("i: 42\nneg: -7\nd: 1.5e3\nb: true\nw: severe\n"
              "dur: 1h30m\nday: 2026-03-02\nat: 2026-03-02T09:00:00.250+01:00\n");
    assert_non_null(doc);
    int64_t i = 0;
    double d = 0;
    bool b = false;
    int w = 0;
    assert_true(tsn_yaml_int(doc, tsn_yaml_get(doc->root, "i"), "'i'", 0, 100, &i));
    assert_int_equal(i, 42);
    assert_true(tsn_yaml_int(doc, tsn_yaml_get(doc->root, "neg"), "'neg'", -9, 100, &i));
    assert_int_equal(i, -7);
    assert_true(tsn_yaml_double(doc, tsn_yaml_get(doc->root, "d"), "'d'", &d));
    assert_true(d == 1500.0);
    assert_true(tsn_yaml_bool(doc, tsn_yaml_get(doc->root, "b"), "'b'", &b));
    assert_true(b);
    static const char *const words[] = {"minor", "severe"};
    assert_true(tsn_yaml_word(doc, tsn_yaml_get(doc->root, "w"), "'w'", words, 2, &w));
    assert_int_equal(w, 1);
    assert_true(tsn_yaml_duration(doc, tsn_yaml_get(doc->root, "dur"), "'dur'", 1, &i));
    assert_int_equal(i, 5400000);
    assert_true(tsn_yaml_time(doc, tsn_yaml_get(doc->root, "day"), "'day'", &i));
    assert_int_equal(i, INT64_C(1772409600000));
    assert_true(tsn_yaml_time(doc, tsn_yaml_get(doc->root, "at"), "'at'", &i));
    assert_int_equal(i, INT64_C(1772438400250));
    assert_int_equal(diags.n, 0);
    assert_false(tsn_yaml_int(doc, NULL, "'absent'", 0, 1, &i));
    assert_int_equal(diags.n, 0);
    tsn_yaml_free(doc);
}

static void a_wrong_scalar_says_what_was_expected(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        char type;
        const char *message;
    } cases[] = {
        {"yes", 'b', "'x' must be true or false, not 'yes'"},
        {"1.5", 'i', "'x' must be a whole number, not '1.5'"},
        {"0x10", 'i', "'x' must be a whole number"},
        {"99999999999999999999", 'i', "'x' must lie between 0 and 10"},
        {"11", 'i', "'x' must lie between 0 and 10"},
        {"[1]", 'i', "'x' must be a whole number, this is a list"},
        {"", 'i', "'x' must be a whole number, this is nothing"},
        {"nan", 'f', "'x' must be a number, not 'nan'"},
        {"1e999", 'f', "'x' must be a number"},
        {"5", 'd', "'x' must be a duration, not '5'"},
        {"1m1h", 'd', "'x' must be a duration"},
        {"1w", 'd', "'x' must be a duration"},
        {"9999999999999d", 'd', "'x' must be a duration"},
        {"0s", 'd', "'x' must be at least 1 ms"},
        {"2026-02-30", 't', "'x' must be a date or a time"},
        {"2026-02-03T25:00:00Z", 't', "'x' must be a date or a time"},
        {"servere", 'w', "unknown value of 'x': 'servere'; did you mean 'severe'?"},
        {"\"a\\0b\"", 's', "'x' contains a NUL character"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct tsn_diags found;
        tsn_diags_init(&found);
        char text[128];
        snprintf(text, sizeof text, "x: %s\n", cases[k].value);
        struct tsn_yaml *doc = tsn_yaml_parse("x.yaml", text, strlen(text), &found);
        assert_non_null(doc);
        const struct tsn_yaml_node *node = tsn_yaml_get(doc->root, "x");
        int64_t i = 0;
        double d = 0;
        bool b = false;
        int w = 0;
        const char *s = NULL;
        static const char *const words[] = {"minor", "severe"};
        bool ok = cases[k].type == 'b'   ? tsn_yaml_bool(doc, node, "'x'", &b)
                  : cases[k].type == 'i' ? tsn_yaml_int(doc, node, "'x'", 0, 10, &i)
                  : cases[k].type == 'f' ? tsn_yaml_double(doc, node, "'x'", &d)
                  : cases[k].type == 'd' ? tsn_yaml_duration(doc, node, "'x'", 1, &i)
                  : cases[k].type == 't' ? tsn_yaml_time(doc, node, "'x'", &i)
                  : cases[k].type == 'w' ? tsn_yaml_word(doc, node, "'x'", words, 2, &w)
                                         : tsn_yaml_text(doc, node, "'x'", &s);
        assert_false(ok);
        assert_int_equal(found.n, 1);
        if (!strstr(found.items[0].message, cases[k].message)) {
            fail_msg("%s: '%s', wanted '%s'", cases[k].value, found.items[0].message,
                     cases[k].message);
        }
        tsn_yaml_free(doc);
        tsn_diags_free(&found);
    }
}

static void an_unknown_key_names_the_nearest(void **state)
{
    (void)state;
    struct tsn_yaml *doc = parse("window: 1h\nwhre: x\nzzz: 1\n");
    static const char *const known[] = {"name", "where", "window"};
    assert_false(tsn_yaml_check_keys(doc, doc->root, "a feature", known, 3));
    assert_int_equal(diags.n, 2);
    assert_string_equal(diags.items[0].message,
                        "unknown key of a feature: 'whre'; did you mean 'where'?");
    assert_int_equal(diags.items[0].place.line, 2);
    assert_string_equal(diags.items[0].source, "whre: x");
    assert_string_equal(diags.items[1].advice, "known are: name, where, window");
    tsn_yaml_free(doc);
}

/* The place of every line of an expression, whatever its style. */
static void expressions_know_where_their_lines_stand(void **state)
{
    (void)state;
    static const struct {
        const char *yaml;
        const char *text;
        uint32_t line, column, second_column;
    } cases[] = {
        {"x: a && b\n", "a && b", 1, 4, 0},
        {"x: 'a && b'\n", "a && b", 1, 5, 0},
        {"x: |\n    a\n    && b\n", "a\n&& b", 2, 5, 5},
        {"x: |\n    a\n      && b\n\n", "a\n  && b", 2, 5, 5},
        {"x: |2\n    a\n  && b\n", "  a\n&& b", 2, 3, 3},
        {"x: |\r\n    a\r\n    && b\r\n", "a\n&& b", 2, 5, 5},
        {"x: >\n  a\n  && b\n", "  a\n  && b", 2, 1, 1},
        {"x: a\n  && b\n", "a\n  && b", 1, 4, 1},
        {"x: \"a\n  && b\"\n", "a\n  && b", 1, 5, 1},
        {"x: 'a == ''q'''\n", "a == 'q'", 1, 5, 0},
        {"x: \"a == \\\"q\\\"\"\n", "a == \"q\"", 1, 5, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tsn_yaml *doc = parse(cases[i].yaml);
        assert_non_null(doc);
        struct tsn_yaml_expr expr = tsn_yaml_expression(doc, tsn_yaml_get(doc->root, "x"));
        char *text = strndup(expr.text, expr.len);
        assert_string_equal(text, cases[i].text);
        free(text);
        assert_int_equal(expr.line, cases[i].line);
        assert_int_equal(expr.column, cases[i].column);
        if (cases[i].second_column) {
            assert_int_equal(expr.n_lines, 2);
            assert_int_equal(expr.line_columns[0], cases[i].second_column);
        }
        tsn_yaml_free(doc);
    }
}

/* The place of a character of the text, in the file. `?` stands at the place. */
static void places_in_quoted_text_count_its_escapes(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "x: 'a == ''q'' ? b'\n",          "x: \"a == \\\"q\\\" ? b\"\n",
        "x: \"a == \\u00fc\\x41 ? b\"\n", "x: \"\xC3\xBC == \\\"q\\\"\n    && c ? b\"\n",
        "xyz: 'a == ''q''\n  && ? b'\n",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tsn_yaml *doc = parse(cases[i]);
        assert_non_null(doc);
        struct tsn_yaml_expr expr = tsn_yaml_expression(doc, &doc->root->pairs[0].value);
        struct tsn_place place = {"x", expr.line, expr.column};
        for (const char *c = expr.text; *c != '?'; c++) {
            place.column += ((unsigned char)*c & 0xC0) != 0x80;
        }
        struct tsn_place want = {"x", 1, 1};
        for (const char *c = cases[i]; *c != '?'; c++) {
            want.line += *c == '\n';
            want.column = *c == '\n' ? 1 : want.column + (((unsigned char)*c & 0xC0) != 0x80);
        }
        tsn_yaml_expression_place(&expr, &place);
        assert_int_equal(place.line, want.line);
        assert_int_equal(place.column, want.column);
        tsn_yaml_free(doc);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_node_knows_its_place, setup, teardown),
        cmocka_unit_test_setup_teardown(json_is_read_as_the_same_tree, setup, teardown),
        cmocka_unit_test_setup_teardown(plain_words_stay_text, setup, teardown),
        cmocka_unit_test_setup_teardown(what_could_surprise_a_reader_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_megabyte_of_brackets_is_one_bounded_error, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(one_byte_over_a_megabyte_is_refused_unread, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(sixteen_levels_are_read_and_seventeen_are_not, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(scalars_are_typed_by_who_asks, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wrong_scalar_says_what_was_expected, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unknown_key_names_the_nearest, setup, teardown),
        cmocka_unit_test_setup_teardown(expressions_know_where_their_lines_stand, setup, teardown),
        cmocka_unit_test_setup_teardown(places_in_quoted_text_count_its_escapes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
