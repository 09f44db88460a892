/* Text: one writing for each value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/alert/text.h"
#include "rules/program/program.h"

static void doubles_are_as_short_as_they_can_be_and_read_back(void **state)
{
    (void)state;
    static const struct {
        double d;
        const char *text;
    } cases[] = {
        {0, "0"},
        {-0.0, "-0"},
        {0.1, "0.1"},
        {0.1 + 0.2, "0.30000000000000004"},
        {4500, "4500"},
        {1.0 / 3, "0.3333333333333333"},
        {2.0 / 3, "0.6666666666666666"},
        {1e21, "1e+21"},
        {123456789.125, "123456789.125"},
        {9007199254740993.0, "9007199254740992"},
        {5e-324, "5e-324"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {NAN, "NaN"},
        {-INFINITY, "-Infinity"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[TSN_TEXT_MAX];
        size_t len = tsn_text_double(cases[i].d, text);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(len, strlen(text));
        assert_true(isnan(cases[i].d) || strtod(text, NULL) == cases[i].d);
    }
}

static void money_keeps_the_digits_of_its_currency(void **state)
{
    (void)state;
    static const struct {
        int64_t units;
        uint8_t scale;
        const char *text;
    } cases[] = {
        {450000, 2, "4500.00"},
        {-5, 2, "-0.05"},
        {0, 2, "0.00"},
        {7, 0, "7"},
        {1234567, 3, "1234.567"},
        {45000000, TSN_MONEY_SCALE_ANY, "4500.00"},
        {45001200, TSN_MONEY_SCALE_ANY, "4500.12"},
        {45001230, TSN_MONEY_SCALE_ANY, "4500.123"},
        {45001234, TSN_MONEY_SCALE_ANY, "4500.1234"},
        {INT64_MIN, 2, "-92233720368547758.08"},
        {INT64_MAX, 18, "9.223372036854775807"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[TSN_TEXT_MAX];
        size_t len = tsn_text_money(cases[i].units, cases[i].scale, text);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(len, strlen(text));
    }
}

static void times_are_rfc_3339_in_utc(void **state)
{
    (void)state;
    static const struct {
        struct tsn_time time;
        const char *text;
    } cases[] = {
        {{0, 0}, "1970-01-01T00:00:00Z"},
        {{1772442000, 250000000}, "2026-03-02T09:00:00.250Z"},
        {{-1, 999000000}, "1969-12-31T23:59:59.999Z"},
        {{951827696, 0}, "2000-02-29T12:34:56Z"},
        {{4107542399, 1000}, "2100-02-28T23:59:59.000001Z"},
        {{-62135596800, 0}, "0001-01-01T00:00:00Z"},
        {{253402300799, 999999999}, "9999-12-31T23:59:59.999999999Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[TSN_TEXT_MAX];
        size_t len = tsn_text_time(cases[i].time, text);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(len, strlen(text));
    }
    char text[TSN_TEXT_MAX];
    tsn_text_time_ms(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
    tsn_text_time_ms(INT64_MIN, text); /* no event has it, and nothing breaks */
    tsn_text_time_ms(INT64_MAX, text);
}

static void durations_are_hours_minutes_and_seconds(void **state)
{
    (void)state;
    static const struct {
        struct tsn_time span;
        const char *text;
    } cases[] = {
        {{0, 0}, "0s"},
        {{1200, 0}, "20m"},
        {{3900, 0}, "1h5m"},
        {{3605, 0}, "1h5s"},
        {{7776000, 0}, "2160h"},
        {{1, 500000000}, "1.5s"},
        {{0, 250000000}, "0.25s"},
        {{-1, 500000000}, "-0.5s"},
        {{-2, 500000000}, "-1.5s"},
        {{-60, 0}, "-1m"},
        {{61, 1}, "1m1.000000001s"},
        {{INT64_MIN, 0}, "-2562047788015215h30m8s"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[TSN_TEXT_MAX];
        size_t len = tsn_text_duration(cases[i].span, text);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(len, strlen(text));
    }
}

static struct tsn_str str(const char *text)
{
    return (struct tsn_str){text, (uint32_t)strlen(text)};
}

static void assert_str(struct tsn_str got, const char *want)
{
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.p, want, got.len);
}

static void a_masked_entity_shows_its_last_characters_and_at_most_half(void **state)
{
    (void)state;
    static const struct {
        const char *entity, *shown;
    } cases[] = {
        {"+8613909900001", "*0001"},
        {"12345678", "*5678"},
        {"A1", "*1"},
        {"A", "*"},
        {"", "*"},
        {"客户账号一二三四五六", "*三四五六"},
        {"\x80\x80\x80\x80", "*"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char room[TSN_TEXT_MAX];
        assert_str(tsn_text_mask(str(cases[i].entity), room), cases[i].shown);
    }
}

static void a_digit_tail_is_digits_and_nothing_else(void **state)
{
    (void)state;
    static const struct {
        const char *why, *text;
        uint8_t digits;
        const char *tail;
    } cases[] = {
        {"a number", "+85251234567", 4, "4567"},
        {"a short one", "67", 4, "67"},
        {"a name is no tail", "HSBC", 4, ""},
        {"letters end it", "A1B23", 4, "23"},
        {"nothing behind digits", "1234 http://x", 4, ""},
        {"nothing at all", "", 4, ""},
        {"digits of other scripts are no digits", "١٢٣٤", 4, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_str(tsn_text_tail(str(cases[i].text), cases[i].digits), cases[i].tail);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubles_are_as_short_as_they_can_be_and_read_back),
        cmocka_unit_test(money_keeps_the_digits_of_its_currency),
        cmocka_unit_test(times_are_rfc_3339_in_utc),
        cmocka_unit_test(durations_are_hours_minutes_and_seconds),
        cmocka_unit_test(a_masked_entity_shows_its_last_characters_and_at_most_half),
        cmocka_unit_test(a_digit_tail_is_digits_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
