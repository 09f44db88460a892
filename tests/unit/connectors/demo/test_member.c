/* Member: texts and whole numbers of our own JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "connectors/demo/member.h"

static int open_object(void **state)
{
    *state = cJSON_Parse("{\"id\":\"a\\\"b\",\"event_time_ms\":-12,\"nested\":{\"time_ms\":7},"
                         "\"empty\":\"\",\"half\":3.5,\"far\":1e300}");
    return *state ? 0 : -1;
}

static int close_object(void **state)
{
    cJSON_Delete(*state);
    return 0;
}

static void a_text_is_found_by_its_whole_name(void **state)
{
    static const struct {
        const char *name;
        const char *expect;
    } cases[] = {
        {"id", "a\"b"}, {"d", ""}, {"ID", ""}, {"empty", ""}, {"event_time_ms", ""}, {"absent", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_string_equal(tsn_member_text(*state, cases[i].name), cases[i].expect);
    }
    assert_string_equal(tsn_member_text(NULL, "id"), "");
}

static void a_whole_number_is_read_with_its_sign(void **state)
{
    int64_t number = 0;
    assert_true(tsn_member_int(*state, "event_time_ms", &number));
    assert_int_equal(number, -12);
    static const char *const none[] = {"id", "absent", "time_ms", "half", "far", "nested"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_false(tsn_member_int(*state, none[i], &number));
    }
    assert_int_equal(number, -12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_found_by_its_whole_name),
        cmocka_unit_test(a_whole_number_is_read_with_its_sign),
    };
    return cmocka_run_group_tests_name("demo: members", tests, open_object, close_object);
}
