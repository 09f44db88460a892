/* Text: members of our own one-line JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "connectors/demo/text.h"

static const char line[] = "{\"id\":\"a\\\"b\",\"event_time_ms\":-12,\"nested\":{\"time_ms\":7},"
                           "\"empty\":\"\",\"number\":3.5,\"cut\":\"no end";

static void a_text_member_is_found_by_its_whole_name(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *expect;
        const char *why;
    } cases[] = {
        {"id", "a\\\"b", "an escaped quote does not end it"},
        {"d", "", "a name's tail is another name"},
        {"empty", "", "an empty text"},
        {"event_time_ms", "", "a number is no text"},
        {"cut", "no end", "a record cut in the middle ends with the line"},
        {"absent", "", "not there"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tsn_text text = tsn_text_of(line, cases[i].name);
        if (text.len != strlen(cases[i].expect) ||
            memcmp(text.start, cases[i].expect, text.len) != 0) {
            fail_msg("%s: %.*s", cases[i].why, (int)text.len, text.start);
        }
    }
}

static void a_number_member_is_read_with_its_sign(void **state)
{
    (void)state;
    int64_t number = 0;
    assert_true(tsn_text_number(line, "event_time_ms", &number));
    assert_int_equal(number, -12);
    assert_true(tsn_text_number(line, "time_ms", &number));
    assert_int_equal(number, 7);
    assert_false(tsn_text_number(line, "id", &number));
    assert_false(tsn_text_number(line, "absent", &number));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_member_is_found_by_its_whole_name),
        cmocka_unit_test(a_number_member_is_read_with_its_sign),
    };
    return cmocka_run_group_tests_name("demo: text", tests, NULL, NULL);
}
