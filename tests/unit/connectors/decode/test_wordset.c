/* Word sets find what is in them and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "connectors/decode/wordset.h"

static void every_name_is_found_and_its_neighbours_are_not(void **state)
{
    static char texts[1200][48];
    static struct tsn_str names[1200];
    struct tsn_arena arena;
    (void)state;
    for (uint32_t n = 0; n <= 1200; n = n < 4 ? n + 1 : n * 3) {
        tsn_arena_init(&arena, 0);
        for (uint32_t i = 0; i < n; i++) {
            /* lengths 1 to 33, many with equal ends */
            int len = snprintf(texts[i], sizeof texts[i], "%.*s%u%.*s", (int)(i % 15),
                               "aaaaaaaaaaaaaaa", (unsigned)i, (int)(i % 17), "zzzzzzzzzzzzzzzzz");
            names[i] = (struct tsn_str){texts[i], (uint32_t)len};
        }
        struct tsn_wordset set;
        tsn_wordset_make(&set, names, n, &arena);
        for (uint32_t i = 0; i < n; i++) {
            assert_int_equal(tsn_wordset_find(&set, names[i].p, names[i].len), i);
            char other[48];
            memcpy(other, names[i].p, names[i].len);
            other[names[i].len / 2] = '?';
            assert_int_equal(tsn_wordset_find(&set, other, names[i].len), -1);
        }
        assert_int_equal(tsn_wordset_find(&set, "", 0), -1);
        tsn_arena_free(&arena);
    }
}

static void names_that_agree_at_both_ends_are_told_apart(void **state)
{
    static const char *const texts[] = {"12345678-a-12345678", "12345678-b-12345678",
                                        "12345678-c-12345678", "12345678--12345678",
                                        "1234567812345678"};
    struct tsn_str names[5];
    struct tsn_arena arena;
    struct tsn_wordset set;
    (void)state;
    tsn_arena_init(&arena, 0);
    for (int i = 0; i < 5; i++) {
        names[i] = (struct tsn_str){texts[i], (uint32_t)strlen(texts[i])};
    }
    tsn_wordset_make(&set, names, 5, &arena);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(tsn_wordset_find(&set, names[i].p, names[i].len), i);
    }
    assert_int_equal(tsn_wordset_find(&set, "12345678-d-12345678", 19), -1);
    tsn_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_is_found_and_its_neighbours_are_not),
        cmocka_unit_test(names_that_agree_at_both_ends_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
