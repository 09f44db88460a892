/* Diagnostics: where a message stands, the line with its caret, the nearest name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/diag/diag.h"

static void messages_are_printed_by_place_with_a_caret(void **state)
{
    (void)state;
    static const char text[] = "first line\n\tb\xC3\xBC: wrong\r\nlast";
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    tsn_diags_add(&diags, TSN_SEVERITY_WARNING, (struct tsn_place){"b.yaml", 3, 1}, text,
                  sizeof text - 1, NULL, "the last %s", "line");
    tsn_diags_add(&diags, TSN_SEVERITY_ERROR, (struct tsn_place){"b.yaml", 2, 6}, text,
                  sizeof text - 1, "write right", "a wrong word");
    tsn_diags_add(&diags, TSN_SEVERITY_ERROR, (struct tsn_place){"a.yaml", 0, 0}, NULL, 0, NULL,
                  "cannot be read");
    assert_int_equal(diags.n_errors, 2);
    char *printed = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&printed, &len);
    tsn_diags_print(&diags, out);
    fclose(out);
    assert_string_equal(printed, "a.yaml: error: cannot be read\n"
                                 "b.yaml:2:6: error: a wrong word\n"
                                 "    \tb\xC3\xBC: wrong\n"
                                 "    \t    ^\n"
                                 "    write right\n"
                                 "b.yaml:3:1: warning: the last line\n"
                                 "    last\n"
                                 "    ^\n");
    free(printed);
    tsn_diags_free(&diags);
}

static void a_hundred_messages_are_kept_and_the_rest_counted(void **state)
{
    (void)state;
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    for (int i = 0; i < TSN_DIAGS_MAX + 7; i++) {
        tsn_diags_add(&diags, TSN_SEVERITY_ERROR, (struct tsn_place){"a", 1, 1}, NULL, 0, NULL,
                      "no %d", i);
    }
    assert_int_equal(diags.n, TSN_DIAGS_MAX);
    assert_int_equal(diags.n_dropped, 7);
    assert_int_equal(diags.n_errors, TSN_DIAGS_MAX + 7);
    tsn_diags_free(&diags);
}

static void a_message_of_any_length_is_cut_and_not_overrun(void **state)
{
    (void)state;
    char *words = malloc(100001);
    memset(words, 'x', 100000);
    words[100000] = '\0';
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    tsn_diags_add(&diags, TSN_SEVERITY_ERROR, (struct tsn_place){"a", 1, 5}, words, 100000, words,
                  "%s", words);
    assert_true(strlen(diags.items[0].message) < 2000);
    assert_null(diags.items[0].source); /* a line that nobody can read */
    tsn_diags_free(&diags);
    free(words);
}

static void the_nearest_name_is_at_most_a_third_of_its_length_away(void **state)
{
    (void)state;
    static const char *const names[] = {"window", "where", "when", "caller", "callee"};
    static const struct {
        const char *wrong;
        const char *nearest;
        const char *why;
    } cases[] = {
        {"windwo", "window", "two letters swapped are one slip"},
        {"wher", "where", "one missing; `when` is as near, `where` stands first"},
        {"calller", "caller", "one too many"},
        {"callex", "caller", "ties go to the first"},
        {"x", NULL, "one letter is near to nothing"},
        {"", NULL, "nothing"},
        {"completely_else", NULL, "too far"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *nearest = tsn_nearest_name(cases[i].wrong, names, 5);
        if (cases[i].nearest ? !nearest || strcmp(nearest, cases[i].nearest) != 0 : !!nearest) {
            fail_msg("%s: '%s' gives '%s'", cases[i].why, cases[i].wrong,
                     nearest ? nearest : "nothing");
        }
    }
}

static void an_article_fits_its_noun(void **state)
{
    (void)state;
    static const char *const nouns[] = {"an int",      "an enum", "a bool", "a string",
                                        "a list(int)", "an avg",  "a uint"};
    for (size_t i = 0; i < sizeof nouns / sizeof nouns[0]; i++) {
        char text[32];
        const char *noun = strchr(nouns[i], ' ') + 1;
        snprintf(text, sizeof text, "%s %s", tsn_article(noun), noun);
        assert_string_equal(text, nouns[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_printed_by_place_with_a_caret),
        cmocka_unit_test(a_hundred_messages_are_kept_and_the_rest_counted),
        cmocka_unit_test(a_message_of_any_length_is_cut_and_not_overrun),
        cmocka_unit_test(the_nearest_name_is_at_most_a_third_of_its_length_away),
        cmocka_unit_test(an_article_fits_its_noun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
