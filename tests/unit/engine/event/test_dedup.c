/* Duplicates against the rule written out: a map from id to minute. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "engine/event/dedup.h"

enum { MIN = 60000 };

static const tsn_event_ms YEAR_9999_MS = INT64_C(253370764800000);

static void an_id_is_remembered_for_the_window_and_forgotten_by_whole_panes(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        uint64_t hash;
        tsn_event_ms time_ms, newest_ms;
        bool duplicate;
    } rows[] = {
        {"the first row of all", 1, 100 * MIN, INT64_MIN, false},
        {"the same again", 1, 100 * MIN, 100 * MIN, true},
        {"the same id at another time", 1, 103 * MIN, 100 * MIN, true},
        {"another id", 2, 100 * MIN + 59999, 100 * MIN, false},
        {"E - window falls into its pane: still remembered", 1, 110 * MIN, 110 * MIN + 59999, true},
        {"an id of a pane yet to come", 3, 111 * MIN, 110 * MIN, false},
        {"the pane is wholly older: forgotten", 1, 111 * MIN, 111 * MIN, false},
        {"a row that falls into a forgotten pane", 4, 100 * MIN, 111 * MIN, false},
        {"... was not remembered", 4, 100 * MIN, 111 * MIN, false},
        {"... and does not hide a newer one", 4, 105 * MIN, 111 * MIN, false},
        {"which is", 4, 105 * MIN, 111 * MIN, true},
        {"a row in a forgotten pane is not looked up", 4, 100 * MIN, 111 * MIN, false},
        {"times before the epoch are in their pane", 9, -1, 111 * MIN, false},
        {"a time beyond what the table counts", 10, YEAR_9999_MS, 111 * MIN, false},
        {"is remembered", 10, YEAR_9999_MS, 111 * MIN, true},
        {"beside one that it counts", 11, 111 * MIN, 111 * MIN, false},
        {"which is forgotten as ever", 11, 122 * MIN, 122 * MIN, false},
        {"while that one is not", 10, YEAR_9999_MS, 122 * MIN, true},
    };
    struct tsn_dedup dedup;
    tsn_dedup_init(&dedup, 10 * MIN, 1 << 20);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool duplicate = tsn_dedup_seen(&dedup, rows[i].hash, rows[i].time_ms, rows[i].newest_ms);
        if (duplicate != rows[i].duplicate) {
            fail_msg("row %zu: %s", i, rows[i].why);
        }
    }
    tsn_dedup_free(&dedup);
}

static void random_streams_agree_with_a_map(void **state)
{
    (void)state;
    enum { IDS = 3000, WINDOW_MIN = 3 };
    static int64_t minute_of_id[IDS];
    struct tsn_dedup dedup;
    uint64_t random = 88172645463325252u;
    tsn_event_ms newest_ms = INT64_MIN;
    tsn_event_ms now_ms = 0;
    for (int i = 0; i < IDS; i++) {
        minute_of_id[i] = INT64_MIN;
    }
    tsn_dedup_init(&dedup, WINDOW_MIN * MIN, 1 << 30);
    for (int i = 0; i < 200000; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        int id = (int)(random % IDS);
        now_ms += (tsn_event_ms)(random >> 40) % 700;
        tsn_event_ms time_ms = now_ms - (tsn_event_ms)(random >> 20) % (5 * MIN);
        time_ms = time_ms < 0 ? 0 : time_ms;
        int64_t from = newest_ms == INT64_MIN ? INT64_MIN : newest_ms / MIN - WINDOW_MIN;
        from = newest_ms != INT64_MIN && newest_ms < WINDOW_MIN * MIN ? INT64_MIN : from;
        bool in_pane = time_ms / MIN >= from;
        bool duplicate = in_pane && minute_of_id[id] != INT64_MIN && minute_of_id[id] >= from;
        if (in_pane && !duplicate) {
            minute_of_id[id] = time_ms / MIN;
        }
        uint64_t hash = (uint64_t)(id / 2) << 7 | (uint64_t)(id % 2); /* long runs */
        assert_int_equal(tsn_dedup_seen(&dedup, hash, time_ms, newest_ms), duplicate);
        newest_ms = !duplicate && time_ms > newest_ms ? time_ms : newest_ms;
    }
    tsn_dedup_free(&dedup);
}

static void over_its_cap_the_oldest_pane_goes(void **state)
{
    (void)state;
    struct tsn_dedup dedup;
    tsn_dedup_init(&dedup, 100 * MIN, 10 * TSN_DEDUP_ID_BYTES);
    for (uint64_t i = 0; i < 12; i++) {
        assert_false(tsn_dedup_seen(&dedup, i, (tsn_event_ms)i / 4 * MIN, 0));
    }
    assert_int_equal(dedup.n, 8);
    assert_false(tsn_dedup_seen(&dedup, 0, MIN, 0));
    assert_true(tsn_dedup_seen(&dedup, 4, MIN, 0));
    tsn_dedup_free(&dedup);
}

static void without_a_window_nothing_is_a_duplicate(void **state)
{
    (void)state;
    struct tsn_dedup dedup;
    tsn_dedup_init(&dedup, 0, 1 << 20);
    assert_false(tsn_dedup_seen(&dedup, 1, 5, INT64_MIN));
    assert_false(tsn_dedup_seen(&dedup, 1, 5, 5));
    tsn_dedup_free(&dedup);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_is_remembered_for_the_window_and_forgotten_by_whole_panes),
        cmocka_unit_test(random_streams_agree_with_a_map),
        cmocka_unit_test(over_its_cap_the_oldest_pane_goes),
        cmocka_unit_test(without_a_window_nothing_is_a_duplicate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
