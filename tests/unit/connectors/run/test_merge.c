/* The merge of partitions, case by case and against a naive one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "connectors/run/merge.h"

#define READY(t)                                                                                   \
    {                                                                                              \
        .state = TSN_LANE_READY, .head_ms = (t)                                                    \
    }
#define AT_END                                                                                     \
    {                                                                                              \
        .state = TSN_LANE_AT_END                                                                   \
    }
#define BEHIND(until)                                                                              \
    {                                                                                              \
        .state = TSN_LANE_BEHIND, .wait_until_ms = (until)                                         \
    }

enum { NOW = 1000, SLACK = 500 };

static const struct {
    const char *why;
    struct tsn_merge_lane lanes[3];
    enum tsn_merge_verdict verdict;
    size_t lane;
    int64_t limit; /* until_ms, or wake_ms of WAIT */
} cases[] = {
    {"the oldest head goes first, up to the slack beyond the next",
     {READY(900), READY(100), READY(300)},
     TSN_MERGE_RUN,
     1,
     800},
    {"ties go to the first", {READY(100), READY(100), READY(100)}, TSN_MERGE_RUN, 0, 600},
    {"alone it may go on without end", {AT_END, READY(7), AT_END}, TSN_MERGE_RUN, 1, INT64_MAX},
    {"one that stands at its end is not waited for",
     {AT_END, READY(7), READY(9)},
     TSN_MERGE_RUN,
     1,
     509},
    {"one that is behind is waited for", {BEHIND(1050), READY(7), AT_END}, TSN_MERGE_WAIT, 0, 1050},
    {"the earliest wake-up counts",
     {BEHIND(1050), READY(7), BEHIND(1020)},
     TSN_MERGE_WAIT,
     0,
     1020},
    {"but not longer than its wait", {BEHIND(1000), READY(7), AT_END}, TSN_MERGE_RUN, 1, INT64_MAX},
    {"nothing fetched anywhere, waits over: something must come",
     {BEHIND(900), AT_END, BEHIND(1000)},
     TSN_MERGE_WAIT,
     0,
     INT64_MAX},
    {"all at their ends: idle", {AT_END, AT_END, AT_END}, TSN_MERGE_IDLE, 0, INT64_MAX},
    {"only rejects: taken at once", {READY(INT64_MIN), READY(5), AT_END}, TSN_MERGE_RUN, 0, 505},
    {"times near the end of time do not overflow",
     {READY(5), READY(INT64_MAX - 1), AT_END},
     TSN_MERGE_RUN,
     0,
     INT64_MAX},
};

static void each_state_of_the_lanes_gives_its_choice(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tsn_merge_choice choice = tsn_merge_choose(cases[i].lanes, 3, SLACK, NOW);
        int64_t limit = choice.verdict == TSN_MERGE_RUN ? choice.until_ms : choice.wake_ms;
        if (choice.verdict != cases[i].verdict || limit != cases[i].limit ||
            (choice.verdict == TSN_MERGE_RUN && choice.lane != cases[i].lane)) {
            fail_msg("%s: verdict %d lane %zu limit %lld", cases[i].why, (int)choice.verdict,
                     choice.lane, (long long)limit);
        }
    }
}

static void no_lanes_are_idle(void **state)
{
    (void)state;
    assert_int_equal(tsn_merge_choose(NULL, 0, SLACK, NOW).verdict, TSN_MERGE_IDLE);
}

/* Draining lanes whose times ascend, no event overtakes another lane's head by more
 * than the slack; with no slack the result is the sorted order. */
static void drain(unsigned seed, tsn_duration_ms slack_ms)
{
    enum { LANES = 5, ROWS = 200 };
    int64_t times[LANES][ROWS];
    size_t taken[LANES] = {0};
    srand(seed);
    for (int l = 0; l < LANES; l++) {
        int64_t t = rand() % 1000;
        for (int r = 0; r < ROWS; r++) {
            t += rand() % (10 * (l + 1));
            times[l][r] = t;
        }
    }
    int64_t last = 0;
    for (size_t n = 0; n < LANES * ROWS;) {
        struct tsn_merge_lane lanes[LANES];
        for (int l = 0; l < LANES; l++) {
            lanes[l] = taken[l] < ROWS ? (struct tsn_merge_lane)READY(times[l][taken[l]])
                                       : (struct tsn_merge_lane)AT_END;
        }
        struct tsn_merge_choice choice = tsn_merge_choose(lanes, LANES, slack_ms, NOW);
        assert_int_equal(choice.verdict, TSN_MERGE_RUN);
        size_t l = choice.lane;
        size_t before = n;
        while (taken[l] < ROWS && times[l][taken[l]] <= choice.until_ms) {
            int64_t t = times[l][taken[l]];
            assert_true(t >= last - slack_ms);
            last = t > last ? t : last;
            taken[l]++;
            n++;
        }
        assert_true(n > before); /* a run always moves */
    }
}

static void merged_order_is_sorted_up_to_the_slack(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 200; seed++) {
        drain(seed, 0);
        drain(seed, 50);
        drain(seed, 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_state_of_the_lanes_gives_its_choice),
        cmocka_unit_test(no_lanes_are_idle),
        cmocka_unit_test(merged_order_is_sorted_up_to_the_slack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
