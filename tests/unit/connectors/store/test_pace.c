/* What a bandwidth allows, second by second. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "connectors/store/pace.h"

/* Sends 1,000 bytes at a time for so long, waiting as told; how many it sent. */
static uint64_t sent_in(struct tsn_pace *pace, int64_t from_ms, int64_t ms)
{
    uint64_t sent = 0;
    for (int64_t now_ms = from_ms; now_ms < from_ms + ms;) {
        sent += 1000;
        now_ms += tsn_pace_spend(pace, 1000, now_ms);
    }
    return sent;
}

static void a_second_carries_the_bandwidth_and_a_tenth_of_it_saved_up(void **state)
{
    (void)state;
    static const uint64_t rates[] = {7777, 100000, 3000000};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        struct tsn_pace pace = {.bytes_per_s = rates[i], .target_age_ms = 1000000};
        for (int64_t second = 1; second < 10; second++) {
            uint64_t sent = sent_in(&pace, second * 100000, 1000); /* after a long pause */
            assert_in_range(sent, rates[i], rates[i] + rates[i] / 10 + 2000);
        }
    }
}

static void pieces_below_a_millisecond_are_not_free(void **state)
{
    (void)state;
    struct tsn_pace pace = {.bytes_per_s = 1000000, .target_age_ms = 1000000};
    int64_t now_ms = 1000;
    uint64_t sent = 0;
    while (now_ms < 3000) {
        sent++;
        now_ms += tsn_pace_spend(&pace, 1, now_ms);
    }
    assert_in_range(sent, 2000000, 2101000);
}

static void without_a_bandwidth_nothing_waits(void **state)
{
    (void)state;
    struct tsn_pace pace = {.target_age_ms = 1000000};
    assert_int_equal(tsn_pace_spend(&pace, UINT64_C(1) << 40, 0), 0);
}

static void beyond_the_target_age_nothing_waits_until_a_checkpoint_is_written(void **state)
{
    (void)state;
    struct tsn_pace pace = {.bytes_per_s = 1000, .target_age_ms = 5000, .written_ms = 0};
    assert_int_equal(tsn_pace_spend(&pace, 2000, 100), 1900 + 100 - 100);
    /* Never longer than until then, however slow the bandwidth. */
    assert_int_equal(tsn_pace_spend(&pace, 1000000, 4000), 1000);
    assert_int_equal(tsn_pace_spend(&pace, 1000000, 5001), 0);
    pace.written_ms = 2000000;
    assert_int_equal(tsn_pace_spend(&pace, 1100, 2000000), 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_carries_the_bandwidth_and_a_tenth_of_it_saved_up),
        cmocka_unit_test(pieces_below_a_millisecond_are_not_free),
        cmocka_unit_test(without_a_bandwidth_nothing_waits),
        cmocka_unit_test(beyond_the_target_age_nothing_waits_until_a_checkpoint_is_written),
    };
    return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
