/* Telephone numbers become E.164; what is none stays as it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "connectors/decode/phone.h"

static const char *const keep[] = {"106", "95"};

static const struct tsn_number_plan china = {
    .country = "86",
    .trunk_prefix = "0",
    .international_prefix = "00",
    .national_min = 10,
    .national_max = 11,
    .n_keep = 2,
    .keep = keep,
};
static const struct tsn_number_plan america = {.country = "1",
                                               .trunk_prefix = "1",
                                               .international_prefix = "011",
                                               .national_min = 10,
                                               .national_max = 10};
static const struct tsn_number_plan nowhere = {
    .international_prefix = "00", .national_min = 8, .national_max = 15};
static const struct tsn_number_plan bare = {.country = "86",
                                            .trunk_prefix = "0",
                                            .international_prefix = "00",
                                            .national_min = 10,
                                            .national_max = 11,
                                            .bare_international = true,
                                            .n_keep = 2,
                                            .keep = keep};

static void every_way_of_writing_one_number_gives_the_same(void **state)
{
    static const struct {
        const char *why;
        const struct tsn_number_plan *plan;
        const char *written, *is;
    } cases[] = {
        {"already canonical", &china, "+8613909900001", "+8613909900001"},
        {"separators", &china, "+86 (139) 0990-0001", "+8613909900001"},
        {"international prefix", &china, "008613909900001", "+8613909900001"},
        {"foreign, prefix", &china, "0085251234567", "+85251234567"},
        {"trunk prefix", &china, "013909900001", "+8613909900001"},
        {"land line with trunk prefix", &china, "0990-6234567", "+869906234567"},
        {"national", &china, "13909900001", "+8613909900001"},
        {"country without a plus", &china, "8613909900001", "+8613909900001"},
        {"short code", &china, "10086", "10086"},
        {"long code of a kept prefix", &china, "10690123456", "10690123456"},
        {"exactly a kept prefix", &china, "95", "95"},
        {"a plus wins over a kept prefix", &china, "+9512345678", "+9512345678"},
        {"name", &china, "Bank of X", "Bank of X"},
        {"service code", &china, "*21#", "*21#"},
        {"empty", &china, "", ""},
        {"only a plus", &china, "+", "+"},
        {"plus in the middle", &china, "139+09900001", "139+09900001"},
        {"too long for E.164", &china, "+8613909900001123", "+8613909900001123"},
        {"too short after a plus", &china, "+12345", "+12345"},
        {"twenty digits", &china, "13909900001139099000", "13909900001139099000"},
        {"longer than any number", &china, "0000000000000000000000000000000000000000",
         "0000000000000000000000000000000000000000"},
        {"trunk prefix and too few digits", &china, "0110", "0110"},
        {"only the trunk prefix", &china, "0", "0"},
        {"ten digits", &america, "2125551234", "+12125551234"},
        {"eleven with the trunk prefix", &america, "1-212-555-1234", "+12125551234"},
        {"abroad", &america, "011442071234567", "+442071234567"},
        {"no country: bare digits stay", &nowhere, "13909900001", "13909900001"},
        {"no country: international is known", &nowhere, "008613909900001", "+8613909900001"},
        {"bare E.164", &bare, "85251234567", "+85251234567"},
        {"bare E.164 of the country", &bare, "8613909900001", "+8613909900001"},
        {"bare, kept prefix", &bare, "106901234", "106901234"},
        {"bare, too short", &bare, "10086", "10086"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char scratch[TSN_PHONE_MAX];
        struct tsn_str written = {cases[i].written, (uint32_t)strlen(cases[i].written)};
        struct tsn_str is = tsn_phone_normalise(cases[i].plan, written, scratch);
        if (is.len != strlen(cases[i].is) || memcmp(is.p, cases[i].is, is.len) != 0) {
            fail_msg("%s: %s became %.*s", cases[i].why, cases[i].written, (int)is.len, is.p);
        }
        char again[TSN_PHONE_MAX];
        struct tsn_str twice = tsn_phone_normalise(cases[i].plan, is, again);
        if (twice.len != is.len || memcmp(twice.p, is.p, is.len) != 0) {
            fail_msg("%s: not the same when done twice", cases[i].why);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_of_writing_one_number_gives_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
