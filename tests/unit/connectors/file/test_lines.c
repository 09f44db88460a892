/* Lines of files: numbers, ends, empty lines, very long ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connectors/file/lines.h"

static struct tsn_lines *lines_of(const char *bytes, size_t len)
{
    char path[] = "/tmp/tsn-lines-XXXXXX";
    struct tsn_failure failure;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    close(fd);
    struct tsn_lines *lines = tsn_lines_open(path, &failure);
    unlink(path);
    assert_non_null(lines);
    return lines;
}

static void lines_carry_the_numbers_an_editor_shows(void **state)
{
    static const struct {
        const char *why, *text, *is;
    } cases[] = {
        {"nothing", "", ""},
        {"only empty lines", "\n\r\n\n", ""},
        {"ends of both kinds", "a\nb\r\nc\n", "1a 2b 3c "},
        {"the last line without an end", "a\nb", "1a 2b "},
        {"empty lines count", "\n\na\n\r\nb\n", "3a 5b "},
        {"a CR inside a line stays", "a\rb\n", "1a\rb "},
        {"spaces are no empty line", " \n", "1  "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tsn_lines *lines = lines_of(cases[i].text, strlen(cases[i].text));
        struct tsn_line line;
        struct tsn_failure failure;
        char is[200] = "";
        while (tsn_lines_next(lines, &line, &failure)) {
            snprintf(is + strlen(is), sizeof is - strlen(is), "%d%.*s ", (int)line.number,
                     (int)line.len, line.bytes);
        }
        assert_int_equal(failure.remedy, TSN_REMEDY_NONE);
        if (strcmp(is, cases[i].is) != 0) {
            fail_msg("%s: %s", cases[i].why, is);
        }
        assert_int_equal(tsn_lines_done(lines), strlen(cases[i].text));
        tsn_lines_close(lines);
    }
}

static void lines_across_the_edges_of_blocks_are_whole(void **state)
{
    enum { N = 70000 };
    char *text = malloc(N * 48);
    size_t len = 0;
    (void)state;
    for (int i = 0; i < N; i++) {
        len += (size_t)sprintf(text + len, "line %d %.*s\n", i, i % 31,
                               "...............................");
    }
    struct tsn_lines *lines = lines_of(text, len);
    struct tsn_line line;
    struct tsn_failure failure;
    for (int i = 0; i < N; i++) {
        char expected[64];
        int n = snprintf(expected, sizeof expected, "line %d %.*s", i, i % 31,
                         "...............................");
        assert_true(tsn_lines_next(lines, &line, &failure));
        assert_int_equal(line.number, i + 1);
        assert_int_equal(line.len, n);
        assert_memory_equal(line.bytes, expected, line.len);
    }
    assert_false(tsn_lines_next(lines, &line, &failure));
    tsn_lines_close(lines);
    free(text);
}

static void a_line_longer_than_any_record_is_cut_and_the_next_is_whole(void **state)
{
    static const size_t lengths[] = {TSN_LINE_MAX - 1, TSN_LINE_MAX, TSN_LINE_MAX + 1,
                                     TSN_LINE_MAX + (3 << 20)};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        size_t len = lengths[i];
        char *text = malloc(len + 8);
        memset(text, 'x', len);
        memcpy(text + len, "\nnext\n", 6);
        struct tsn_lines *lines = lines_of(text, len + 6);
        struct tsn_line line;
        struct tsn_failure failure;
        assert_true(tsn_lines_next(lines, &line, &failure));
        assert_int_equal(line.len, len < TSN_LINE_MAX ? len : TSN_LINE_MAX);
        assert_true(tsn_lines_next(lines, &line, &failure));
        assert_int_equal(line.number, 2);
        assert_int_equal(line.len, 4);
        assert_memory_equal(line.bytes, "next", 4);
        assert_false(tsn_lines_next(lines, &line, &failure));
        tsn_lines_close(lines);
        free(text);
    }
}

static void what_cannot_be_opened_is_named(void **state)
{
    struct tsn_failure failure;
    (void)state;
    assert_null(tsn_lines_open("/nonexistent/calls.ndjson", &failure));
    assert_int_equal(failure.remedy, TSN_REMEDY_CONFIG);
    assert_non_null(strstr(failure.text, "/nonexistent/calls.ndjson"));
    assert_null(tsn_lines_open("/tmp", &failure));
    assert_non_null(strstr(failure.text, "is a folder"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_carry_the_numbers_an_editor_shows),
        cmocka_unit_test(lines_across_the_edges_of_blocks_are_whole),
        cmocka_unit_test(a_line_longer_than_any_record_is_cut_and_the_next_is_whole),
        cmocka_unit_test(what_cannot_be_opened_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
