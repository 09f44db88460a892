/* List files and bounds: a bad line is named, a hostile text is one bounded error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/pack/pack.h"
#include "rules/yaml/yaml.h"

static const char events[] = "pack: bounds\n"
                             "events:\n"
                             "  e:\n"
                             "    fields:\n"
                             "      k: { type: string, entity: x }\n"
                             "      n: { type: int }\n";

struct file {
    const char *text;
    size_t len;
};

/* tsn_pack_open from memory; a file without text cannot be read. */
static char *open_file(void *user, const char *name, size_t *len, const char **why)
{
    const struct file *file = user;
    if (strcmp(name, "values.csv") != 0 || !file->text) {
        *why = "there is no such file";
        return NULL;
    }
    char *copy = malloc(file->len + 1);
    memcpy(copy, file->text, file->len);
    *len = file->len;
    return copy;
}

static struct tsn_program *compile(const char *rest, const struct file *file,
                                   struct tsn_diags *diags)
{
    char *text = NULL;
    assert_true(asprintf(&text, "%s%s", events, rest) > 0);
    struct tsn_program *prog =
        tsn_pack_compile("b.yaml", text, strlen(text), open_file, (void *)(uintptr_t)file, diags);
    free(text);
    return prog;
}

static const char list_of_string[] = "lists: { l: { of: string, file: values.csv } }\n";
static const char list_of_int[] = "lists: { l: { of: int, file: values.csv } }\n";

static void the_first_field_of_each_line_is_a_value(void **state)
{
    (void)state;
    static const char text[] = "\xEF\xBB\xBF# number, whose\n"
                               "+999,a gang\n"
                               "\n"
                               "\"quoted, with \"\"marks\"\"\",x\r\n"
                               "  \n"
                               "\tlast  ";
    struct file file = {text, sizeof text - 1};
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct tsn_program *prog = compile(list_of_string, &file, &diags);
    assert_non_null(prog);
    assert_int_equal(diags.n, 0);
    const struct tsn_list *list = prog->lists[0].initial;
    assert_int_equal(tsn_list_size(list), 3);
    assert_memory_equal(tsn_list_at(list, 1).s.p, "quoted, with \"marks\"", 20);
    assert_memory_equal(tsn_list_at(list, 2).s.p, "last", 4);
    tsn_program_free(prog);
    tsn_diags_free(&diags);
}

static void a_bad_line_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *pack;
        const char *text;
        uint32_t line;
        const char *message;
    } cases[] = {
        {list_of_int, "1\n2\nthree\n4\n", 3, "no whole number of 64 bits"},
        {list_of_int, "-9223372036854775808\n9223372036854775808\n", 2, "no whole number"},
        {list_of_string, "a\n\"open\nb\n", 2, "a quoted value that does not end"},
        {list_of_string, "a\n\"x\"y\n", 2, "a quoted value that does not end"},
        {list_of_string, "a\n,b\n", 2, "an empty value"},
        {list_of_string, "a\nb\xFF\n", 2, "not UTF-8"},
        {list_of_string, "\xED\xA0\x80\n", 1, "not UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct file file = {cases[i].text, strlen(cases[i].text)};
        struct tsn_diags diags;
        tsn_diags_init(&diags);
        assert_null(compile(cases[i].pack, &file, &diags));
        assert_int_equal(diags.n_errors, 1);
        assert_string_equal(diags.items[0].place.file, "values.csv");
        assert_int_equal(diags.items[0].place.line, cases[i].line);
        assert_non_null(strstr(diags.items[0].message, cases[i].message));
        assert_null(diags.items[0].source); /* lists hold people's numbers */
        tsn_diags_free(&diags);
    }
}

static void a_missing_file_is_refused_where_it_is_named(void **state)
{
    (void)state;
    struct file file = {NULL, 0};
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    assert_null(compile(list_of_string, &file, &diags));
    assert_int_equal(diags.items[0].place.line, 7);
    assert_non_null(strstr(diags.items[0].message,
                           "list file 'values.csv' cannot be read: there is no such file"));
    tsn_diags_free(&diags);
}

static void a_million_lines_with_one_bad_are_read_and_the_line_is_named(void **state)
{
    (void)state;
    enum { LINES = 1000000, LINE_BYTES = 15 };
    char *text = malloc((size_t)LINES * LINE_BYTES + 1);
    for (int i = 0; i < LINES; i++) {
        snprintf(text + (size_t)i * LINE_BYTES, LINE_BYTES + 1, "+%013d\n", i);
    }
    struct file file = {text, (size_t)LINES * LINE_BYTES};
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct tsn_program *prog = compile(list_of_string, &file, &diags);
    assert_non_null(prog);
    assert_int_equal(tsn_list_size(prog->lists[0].initial), LINES);
    tsn_program_free(prog);
    text[(size_t)777776 * LINE_BYTES + 3] = '\xFF';
    assert_null(compile(list_of_string, &file, &diags));
    assert_int_equal(diags.n_errors, 1);
    assert_int_equal(diags.items[0].place.line, 777777);
    assert_non_null(strstr(diags.items[0].message, "line 777777"));
    tsn_diags_free(&diags);
    free(text);
}

static void hostile_texts_are_bounded_errors(void **state)
{
    (void)state;
    enum { DEEP = 10000 };
    char *parens = malloc(3 * DEEP + 200);
    size_t used =
        (size_t)sprintf(parens, "rules:\n  - id: r\n    event: e\n    reason: x\n    when: '");
    memset(parens + used, '(', DEEP);
    memcpy(parens + used + DEEP, "true", 4);
    memset(parens + used + DEEP + 4, ')', DEEP);
    memcpy(parens + used + 2 * DEEP + 4, "'\n", 3);
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    assert_null(compile(parens, NULL, &diags));
    assert_int_equal(diags.n_errors, 1);
    assert_int_equal(diags.items[0].place.line, 11);
    assert_int_equal(diags.items[0].place.column, 12 + 63);
    assert_non_null(strstr(diags.items[0].message, "nested deeper than 64"));
    tsn_diags_free(&diags);
    free(parens);

    char *large = malloc(TSN_YAML_BYTES_MAX + 2);
    memset(large, '#', TSN_YAML_BYTES_MAX + 1);
    tsn_diags_init(&diags);
    assert_null(tsn_pack_compile("b.yaml", large, TSN_YAML_BYTES_MAX + 1, NULL, NULL, &diags));
    assert_int_equal(diags.n_errors, 1);
    assert_non_null(
        strstr(diags.items[0].message, "the file has 1048577 bytes; at most 1048576 are read"));
    assert_non_null(strstr(diags.items[0].advice, "move long lists of values into list files"));
    tsn_diags_free(&diags);
    free(large);
}

static void a_rule_that_costs_too_much_is_refused(void **state)
{
    (void)state;
    char *text = malloc(64 * 1024);
    size_t used =
        (size_t)sprintf(text, "rules:\n  - id: r\n    event: e\n    reason: x\n    when: '");
    for (int i = 0; i < 300; i++) {
        used += (size_t)sprintf(text + used, "%s e.n == %d", i ? " ||" : "", i);
    }
    sprintf(text + used, "'\n");
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    assert_null(compile(text, NULL, &diags));
    assert_int_equal(diags.n_errors, 1);
    assert_non_null(strstr(diags.items[0].message, "units an event; at most 200"));
    tsn_diags_free(&diags);
    free(text);
}

static void a_pack_that_costs_too_much_is_refused(void **state)
{
    (void)state;
    char *text = malloc(TSN_YAML_BYTES_MAX);
    size_t used = (size_t)sprintf(text, "rules:\n");
    for (int r = 0; r < 300; r++) {
        used += (size_t)sprintf(text + used, "- { id: r%d, event: e, reason: x, when: '", r);
        for (int i = 0; i < 180; i++) {
            used += (size_t)sprintf(text + used, "%se.n==%d", i ? "||" : "", 180 * r + i);
        }
        used += (size_t)sprintf(text + used, "' }\n");
    }
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    assert_null(compile(text, NULL, &diags));
    assert_int_equal(diags.n_errors, 1);
    assert_non_null(strstr(diags.items[0].message, "units an event; at most 50000"));
    assert_non_null(strstr(diags.items[0].message, "the pack costs"));
    assert_int_equal(diags.items[0].place.line, 1);
    tsn_diags_free(&diags);
    free(text);
}

static void a_thousand_rules_and_features_compile(void **state)
{
    (void)state;
    char *text = malloc(1024 * 1024);
    size_t used = (size_t)sprintf(text, "features:\n");
    for (int i = 0; i < 1000; i++) {
        used += (size_t)sprintf(text + used,
                                "- { name: f%d, event: e, aggregate: count, by: k, window: %dm }\n",
                                i, i + 1);
    }
    used += (size_t)sprintf(text + used, "rules:\n");
    for (int i = 0; i < 1000; i++) {
        used += (size_t)sprintf(text + used,
                                "- { id: r%d, event: e, reason: 'n ${f.f%d}', when: 'f.f%d > %d && "
                                "e.n < %d && f.f%d >= 2' }\n",
                                i, i, i, i, i, 999 - i);
    }
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct tsn_program *prog = compile(text, NULL, &diags);
    tsn_diags_print(&diags, stderr);
    assert_non_null(prog);
    assert_int_equal(prog->n_rules, 1000);
    assert_int_equal(prog->types[0].n_slots, 1000);
    assert_int_equal(prog->types[0].n_rules, 1000);
    tsn_program_free(prog);
    tsn_diags_free(&diags);
    free(text);
}

static void more_errors_than_anybody_reads_are_counted(void **state)
{
    (void)state;
    char *text = malloc(256 * 1024);
    size_t used = (size_t)sprintf(text, "rules:\n");
    for (int i = 0; i < 300; i++) {
        used += (size_t)sprintf(text + used, "- { id: r%d, event: x, when: 'a', reason: x }\n", i);
    }
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    assert_null(compile(text, NULL, &diags));
    assert_int_equal(diags.n_errors, 300);
    assert_int_equal(diags.n, TSN_DIAGS_MAX);
    assert_int_equal(diags.n_dropped, 200);
    tsn_diags_free(&diags);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_field_of_each_line_is_a_value),
        cmocka_unit_test(a_bad_line_is_named),
        cmocka_unit_test(a_missing_file_is_refused_where_it_is_named),
        cmocka_unit_test(a_million_lines_with_one_bad_are_read_and_the_line_is_named),
        cmocka_unit_test(hostile_texts_are_bounded_errors),
        cmocka_unit_test(a_rule_that_costs_too_much_is_refused),
        cmocka_unit_test(a_pack_that_costs_too_much_is_refused),
        cmocka_unit_test(a_thousand_rules_and_features_compile),
        cmocka_unit_test(more_errors_than_anybody_reads_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
