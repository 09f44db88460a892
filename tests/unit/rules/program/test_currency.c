/* Currencies: the digits after the point that state and decode agree on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "rules/program/currency.h"
#include "rules/program/program.h"

static void digits_follow_iso_4217(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        int digits;
    } cases[] = {
        {"CNY", 2}, {"EUR", 2},   {"USD", 2}, {"JPY", 0},  {"KWD", 3},  {"CLF", 4},
        {"AED", 2}, {"ZWL", 2},   {"BHD", 3}, {"XAF", 0},  {"XXX", -1}, {"cny", -1},
        {"CN", -1}, {"CNYY", -1}, {"", -1},   {"AAA", -1}, {"ZZZ", -1}, {"XAU", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(tsn_currency_digits(cases[i].code, strlen(cases[i].code)),
                         cases[i].digits);
    }
}

static void every_digit_count_fits_the_common_scale(void **state)
{
    (void)state;
    int n = 0;
    char code[3];
    for (code[0] = 'A'; code[0] <= 'Z'; code[0]++) {
        for (code[1] = 'A'; code[1] <= 'Z'; code[1]++) {
            for (code[2] = 'A'; code[2] <= 'Z'; code[2]++) {
                int digits = tsn_currency_digits(code, 3);
                assert_true(digits <= TSN_MONEY_SCALE_ANY);
                n += digits >= 0;
            }
        }
    }
    assert_int_equal(n, 170); /* every row of the table is found: it is sorted */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digits_follow_iso_4217),
        cmocka_unit_test(every_digit_count_fits_the_common_scale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
