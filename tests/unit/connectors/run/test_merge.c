/* The merge of partitions, case by case and against a naive one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include <stdbool.h>

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

static struct tsn_merge_choice choose(const struct tsn_merge_lane *lanes, size_t n,
                                      tsn_duration_ms slack_ms)
{
    struct tsn_merge *merge = tsn_merge_new(n);
    for (size_t i = 0; i < n; i++) {
        tsn_merge_set(merge, i, lanes[i]);
    }
    struct tsn_merge_choice choice = tsn_merge_choose(merge, slack_ms, NOW);
    tsn_merge_free(merge);
    return choice;
}

static void each_state_of_the_lanes_gives_its_choice(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tsn_merge_choice choice = choose(cases[i].lanes, 3, SLACK);
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
    assert_int_equal(choose(NULL, 0, SLACK).verdict, TSN_MERGE_IDLE);
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
        struct tsn_merge_choice choice = choose(lanes, LANES, slack_ms);
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

/* The choice as the text has it: a walk over all lanes. */
static struct tsn_merge_choice naive(const struct tsn_merge_lane *lanes, size_t n)
{
    struct tsn_merge_choice choice = {.verdict = TSN_MERGE_IDLE, .wake_ms = INT64_MAX};
    bool waiting = false, behind = false;
    for (size_t i = 0; i < n; i++) {
        behind |= lanes[i].state == TSN_LANE_BEHIND;
        if (lanes[i].state == TSN_LANE_BEHIND && lanes[i].wait_until_ms > NOW) {
            waiting = true;
            choice.wake_ms =
                lanes[i].wait_until_ms < choice.wake_ms ? lanes[i].wait_until_ms : choice.wake_ms;
        }
        if (lanes[i].state == TSN_LANE_READY &&
            (choice.verdict != TSN_MERGE_RUN || lanes[i].head_ms < lanes[choice.lane].head_ms)) {
            choice.verdict = TSN_MERGE_RUN;
            choice.lane = i;
        }
    }
    if (waiting || (choice.verdict != TSN_MERGE_RUN && behind)) {
        choice.verdict = TSN_MERGE_WAIT;
    }
    choice.until_ms = INT64_MAX;
    for (size_t i = 0; choice.verdict == TSN_MERGE_RUN && i < n; i++) {
        if (i != choice.lane && lanes[i].state == TSN_LANE_READY &&
            lanes[i].head_ms + SLACK < choice.until_ms) {
            choice.until_ms = lanes[i].head_ms + SLACK;
        }
    }
    return choice;
}

/* Lanes that change one by one, in every state, with many equal times. */
static void any_change_of_any_lane_gives_the_choice_of_a_walk_over_all(void **state)
{
    (void)state;
    enum { LANES_MAX = 37, CHANGES = 4000 };
    srand(7);
    for (size_t n = 1; n <= LANES_MAX; n += n < 9 ? 1 : 7) {
        struct tsn_merge *merge = tsn_merge_new(n);
        for (int change = 0; change < CHANGES; change++) {
            struct tsn_merge_lane lane = {.state = rand() % 8 ? TSN_LANE_READY : TSN_LANE_AT_END,
                                          .head_ms = rand() % 50 - 25};
            if (rand() % 16 == 0) {
                lane.state = TSN_LANE_BEHIND;
                lane.wait_until_ms = NOW - 20 + rand() % 25;
            }
            tsn_merge_set(merge, (size_t)rand() % n, lane);
            struct tsn_merge_choice is = tsn_merge_choose(merge, SLACK, NOW);
            struct tsn_merge_choice must = naive(tsn_merge_lanes(merge), n);
            assert_int_equal(is.verdict, must.verdict);
            if (is.verdict == TSN_MERGE_RUN) {
                assert_int_equal(is.lane, must.lane);
                assert_true(is.until_ms == must.until_ms);
            } else {
                assert_true(is.wake_ms == must.wake_ms);
            }
        }
        tsn_merge_free(merge);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_state_of_the_lanes_gives_its_choice),
        cmocka_unit_test(no_lanes_are_idle),
        cmocka_unit_test(merged_order_is_sorted_up_to_the_slack),
        cmocka_unit_test(any_change_of_any_lane_gives_the_choice_of_a_walk_over_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
