/* Episodes: the table against a plain array, and what a hot entity may cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/score/episode.h"

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static struct tsn_str name_of(int i, char room[16])
{
    return (struct tsn_str){room, (uint32_t)snprintf(room, 16, "e%d", i)};
}

static void a_table_holds_what_was_added_and_not_removed(void **state)
{
    (void)state;
    enum { ENTITIES = 700, STEPS = 60000 };
    struct tsn_episode_table table = {0};
    static struct tsn_episode *there[ENTITIES];
    uint64_t random = 1;
    size_t n = 0;
    for (int step = 0; step < STEPS; step++) {
        int i = (int)(next_random(&random) % ENTITIES);
        char room[16];
        struct tsn_str name = name_of(i, room);
        uint8_t key[16];
        tsn_episode_key("fraud", TSN_TYPE_STRING, name, key);
        assert_ptr_equal(tsn_episode_find(&table, key), there[i]);
        if (!there[i]) {
            there[i] = tsn_episode_add(&table, 0, key, TSN_TYPE_STRING, name, step);
            n++;
        } else if (next_random(&random) % 2) {
            tsn_episode_remove(&table, there[i]);
            there[i] = NULL;
            n--;
        }
        assert_int_equal(table.n, n);
    }
    for (int i = 0; i < ENTITIES; i++) {
        char room[16];
        uint8_t key[16];
        tsn_episode_key("fraud", TSN_TYPE_STRING, name_of(i, room), key);
        assert_ptr_equal(tsn_episode_find(&table, key), there[i]);
    }
    tsn_episode_table_free(&table);
}

static void keys_tell_typology_type_and_value_apart(void **state)
{
    (void)state;
    const struct tsn_str five = {"5", 1};
    uint8_t keys[4][16];
    tsn_episode_key("a", TSN_TYPE_STRING, five, keys[0]);
    tsn_episode_key("a", TSN_TYPE_INT, five, keys[1]);
    tsn_episode_key("b", TSN_TYPE_STRING, five, keys[2]);
    tsn_episode_key("a", TSN_TYPE_STRING, (struct tsn_str){"55", 2}, keys[3]);
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < i; j++) {
            assert_memory_not_equal(keys[i], keys[j], 16);
        }
    }
}

/* Tens of thousands of hits an hour on one entity: memory stays bounded, and no hit counts
 * shorter, or more than a pane longer, than it should. */
static void a_hot_entity_is_bounded_and_its_error_is_a_pane(void **state)
{
    (void)state;
    enum { HITS = 200000, WINDOW = 3600000, PANES = TSN_EPISODE_PANES / 2 + 1 };
    static const struct tsn_weight weights[] = {{0, 1}, {1, 1000000}};
    const struct tsn_typology typology = {
        .sum_over_ms = WINDOW, .repeat_sum = true, .n_weights = 2, .weights = weights};
    const tsn_duration_ms pane = WINDOW / PANES + 1;
    struct tsn_episode_table table = {0};
    uint8_t key[16] = {0};
    struct tsn_episode *episode =
        tsn_episode_add(&table, 0, key, TSN_TYPE_STRING, (struct tsn_str){"A", 1}, 0);
    static tsn_event_ms times[HITS];
    static uint8_t rules[HITS];
    uint64_t random = 5;
    uint64_t counts[2];
    tsn_event_ms t = WINDOW;
    size_t exact_from = 0, loose_from = 0;
    uint64_t exact[2] = {0}, loose[2] = {0};
    for (size_t i = 0; i < HITS; i++) {
        t += (tsn_event_ms)(next_random(&random) % 80);
        times[i] = t;
        rules[i] = next_random(&random) % 3 == 0;
        exact[rules[i]]++;
        loose[rules[i]]++;
        while (times[exact_from] <= t - WINDOW) {
            exact[rules[exact_from++]]--;
        }
        while (times[loose_from] <= t - WINDOW - pane) {
            loose[rules[loose_from++]]--;
        }
        tsn_episode_advance(episode, &typology, t);
        tsn_episode_count(episode, &typology, rules[i], t);
        assert_true(episode->n_entries <= TSN_EPISODE_EXACT);
        if (i % 97 == 0) {
            double score = tsn_episode_score(episode, &typology, episode->clock_ms, counts);
            uint64_t got[2] = {(uint64_t)score % 1000000, (uint64_t)score / 1000000};
            for (int r = 0; r < 2; r++) {
                if (got[r] < exact[r] || got[r] > loose[r]) {
                    fail_msg("hit %zu, rule %d: %llu is not in [%llu, %llu]", i, r,
                             (unsigned long long)got[r], (unsigned long long)exact[r],
                             (unsigned long long)loose[r]);
                }
            }
        }
    }
    assert_true(exact[0] > 2 * TSN_EPISODE_EXACT); /* the bound was needed */
    tsn_episode_table_free(&table);
}

static void hits_up_to_the_bound_are_exact(void **state)
{
    (void)state;
    static const struct tsn_weight weights[] = {{0, 1}};
    const struct tsn_typology typology = {
        .sum_over_ms = 100000, .repeat_sum = true, .n_weights = 1, .weights = weights};
    struct tsn_episode_table table = {0};
    uint8_t key[16] = {0};
    struct tsn_episode *episode =
        tsn_episode_add(&table, 0, key, TSN_TYPE_STRING, (struct tsn_str){"A", 1}, 100000);
    uint64_t counts[1];
    for (int i = 0; i < TSN_EPISODE_EXACT; i++) {
        tsn_episode_count(episode, &typology, 0, 100000 - (i * 7919) % 100000);
        assert_true(tsn_episode_score(episode, &typology, 100000, counts) == i + 1);
    }
    for (uint32_t i = 1; i < episode->n_entries; i++) {
        assert_true(episode->entries[i - 1].time_ms <= episode->entries[i].time_ms);
    }
    assert_int_equal(episode->n_entries, TSN_EPISODE_EXACT);
    /* A hit that is out already is not counted at all. */
    tsn_episode_count(episode, &typology, 0, 0);
    assert_int_equal(episode->n_entries, TSN_EPISODE_EXACT);
    tsn_episode_table_free(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_holds_what_was_added_and_not_removed),
        cmocka_unit_test(keys_tell_typology_type_and_value_apart),
        cmocka_unit_test(a_hot_entity_is_bounded_and_its_error_is_a_pane),
        cmocka_unit_test(hits_up_to_the_bound_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
