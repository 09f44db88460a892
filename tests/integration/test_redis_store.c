/* Checkpoints on a real redis-server: what goes in comes out, whoever crashes when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fixture/store_world.h"

enum { SMALL = 5000 };

/* ---- round trips ---------------------------------------------------------------------- */

static void three_hundred_thousand_records_come_back_equal(void **unused)
{
    (void)unused;
    struct tsn_fake_state state;
    struct tsn_store *store = store_world_claim("big");
    tsn_fake_state_init(&state, 300000, 1);
    tsn_fake_state_fill(&state);
    store_world_write(store, &state, 1);
    store_world_assert("big", &state, 1);
    for (uint64_t k = 2; k <= 5; k++) {
        tsn_fake_state_change(&state, 60000);
        store_world_write(store, &state, k);
    }
    store_world_settle(store);
    store_world_assert("big", &state, 5);
    tsn_store_close(store);
    tsn_fake_state_free(&state);
}

static void meta_says_what_was_written(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    struct tsn_checkpoint_meta meta;
    struct tsn_fake_state state;
    struct tsn_store *store = store_world_open("meta");
    assert_true(tsn_store_meta(store, &meta, &failure));
    assert_int_equal(meta.sequence, 0);
    assert_true(tsn_store_claim(store, &failure));
    assert_true(tsn_store_meta(store, &meta, &failure));
    assert_int_equal(meta.sequence, 0); /* claimed and empty */
    tsn_fake_state_init(&state, 100, 1);
    tsn_fake_state_fill(&state);
    store_world_write(store, &state, 41);
    assert_true(tsn_store_meta(store, &meta, &failure));
    assert_int_equal(meta.sequence, 41);
    assert_int_equal(meta.semantics, 7);
    assert_int_equal(meta.program[31], 9);
    assert_string_equal(meta.cluster_id, "cluster");
    assert_int_equal(meta.records, 100);
    assert_true(meta.bytes > 100 * 40);
    assert_true(meta.written_at_ms > 0);
    tsn_store_close(store);
    tsn_fake_state_free(&state);
}

static void nothing_stored_loads_nothing(void **unused)
{
    (void)unused;
    struct tsn_fake_state loaded;
    struct tsn_store *store = store_world_open("nothing");
    tsn_fake_state_init(&loaded, 10, 0);
    struct tsn_checkpoint_meta meta = store_world_load(store, &loaded);
    assert_int_equal(meta.sequence, 0);
    tsn_store_close(store);
    tsn_fake_state_free(&loaded);
}

static void checkpoint_without_a_change_moves_the_sequence(void **unused)
{
    (void)unused;
    struct tsn_fake_state state;
    struct tsn_store *store = store_world_claim("idle");
    tsn_fake_state_init(&state, 100, 1);
    tsn_fake_state_fill(&state);
    store_world_write(store, &state, 1);
    store_world_write(store, &state, 2);
    store_world_write(store, &state, 3);
    store_world_settle(store);
    store_world_assert("idle", &state, 3);
    tsn_store_close(store);
    tsn_fake_state_free(&state);
}

static void large_records_are_stored_whole(void **unused)
{
    (void)unused;
    struct tsn_store *store = store_world_claim("large");
    struct tsn_failure failure = {0};
    size_t len = 9 * 1024 * 1024 + 1;
    uint8_t *bytes = malloc(len);
    memset(bytes, 5, len);
    struct tsn_snapshot_record record = {.section = TSN_SNAPSHOT_DEDUP, .bytes = bytes, .len = len};
    tsn_store_collect(store, &record);
    struct tsn_checkpoint_meta meta = {.sequence = 1, .whole = true};
    tsn_store_begin(store, &meta);
    assert_int_equal(tsn_store_wait(store, STORE_WORLD_WAIT_MS, &failure), TSN_STORE_DONE);
    assert_true(tsn_store_meta(store, &meta, &failure));
    assert_true(meta.bytes > len);
    tsn_store_close(store);
    free(bytes);
}

/* ---- crashes --------------------------------------------------------------------------- */

static void crash_between_deltas_and_root_leaves_the_checkpoint_before(void **unused)
{
    (void)unused;
    struct tsn_fake_state state;
    struct store_hand hand;
    struct tsn_store *store = store_world_claim("c1");
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_fill(&state);
    store_world_write(store, &state, 1);
    store_world_settle(store);
    tsn_store_close(store);
    struct tsn_fake_state before;
    tsn_fake_state_init(&before, SMALL, 0);
    tsn_fake_state_copy(&before, &state);

    tsn_fake_state_change(&state, 1000);
    store_hand_open(&hand, "c1");
    store_hand_write(&hand, &state, "00000000000000aa");
    store_hand_close(&hand);
    int64_t with_rubbish = tsn_redis_server_ask(&store_world.server, "DBSIZE");
    store_world_assert("c1", &before, 1);

    /* The next owner goes on, and what the crash left is deleted. */
    store = store_world_open("c1");
    struct tsn_fake_state loaded;
    tsn_fake_state_init(&loaded, SMALL, 0);
    store_world_load(store, &loaded);
    struct tsn_failure failure = {0};
    assert_true(tsn_store_claim(store, &failure));
    assert_false(tsn_store_wants_whole(store));
    store_world_write(store, &state, 2);
    store_world_settle(store);
    store_world_write(store, &state, 3);
    store_world_settle(store);
    store_world_assert("c1", &state, 3);
    assert_int_equal(tsn_redis_server_ask(&store_world.server, "DBSIZE"),
                     with_rubbish - TSN_LAYOUT_SLOTS);
    tsn_store_close(store);
    tsn_fake_state_free(&loaded);
    tsn_fake_state_free(&before);
    tsn_fake_state_free(&state);
}

static void crash_between_root_and_folding_loses_nothing(void **unused)
{
    (void)unused;
    struct tsn_fake_state state;
    struct tsn_fake_state loaded;
    struct tsn_store *store = store_world_claim("c2");
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_init(&loaded, SMALL, 0);
    tsn_fake_state_fill(&state);
    /* A reader's lease holds folding back. */
    tsn_redis_server_ask(&store_world.server, "SET tocsin:1:{c2}:reader x EX 600");
    for (uint64_t k = 1; k <= 4; k++) {
        store_world_write(store, &state, k);
        tsn_fake_state_change(&state, 700);
    }
    tsn_store_close(store);
    struct store_hand hand;
    store_hand_open(&hand, "c2");
    assert_int_equal(hand.root.n_chain, 4);
    store_hand_close(&hand);
    store = store_world_open("c2");
    store_world_load(store, &loaded);
    tsn_redis_server_ask(&store_world.server, "DEL tocsin:1:{c2}:reader");
    struct tsn_failure failure = {0};
    assert_true(tsn_store_claim(store, &failure));
    assert_false(tsn_store_wants_whole(store));
    tsn_fake_state_copy(&loaded, &state);
    store_world_write(store, &loaded, 5);
    store_world_settle(store);
    store_hand_open(&hand, "c2");
    assert_int_equal(hand.root.n_chain, 0);
    store_hand_close(&hand);
    store_world_assert("c2", &state, 5);
    tsn_store_close(store);
    tsn_fake_state_free(&loaded);
    tsn_fake_state_free(&state);
}

static void crash_in_the_middle_of_folding_loses_nothing(void **unused)
{
    (void)unused;
    struct tsn_fake_state state;
    struct store_hand hand;
    struct tsn_store *store = store_world_claim("c3");
    tsn_fake_state_init(&state, 50000, 1);
    tsn_fake_state_fill(&state);
    store_world_write(store, &state, 1);
    store_world_settle(store);
    tsn_redis_server_ask(&store_world.server, "SET tocsin:1:{c3}:reader x EX 600");
    for (uint64_t k = 2; k <= 3; k++) {
        tsn_fake_state_change(&state, 20000);
        store_world_write(store, &state, k);
    }
    tsn_store_close(store);
    /* One page of slot 0, both deltas of slot 1, the first of slot 2. */
    store_hand_open(&hand, "c3");
    assert_int_equal(hand.root.n_chain, 2);
    struct tsn_failure failure = {0};
    for (unsigned slot = 0; slot < 3; slot++) {
        char names[3][TSN_LAYOUT_KEY_MAX];
        for (unsigned d = 0; d < (slot == 1 ? 2 : 1); d++) {
            tsn_layout_slot_key(&hand.layout, slot, "at", hand.root.gen, names[0]);
            tsn_layout_slot_key(&hand.layout, slot, "b", hand.root.gen, names[1]);
            tsn_layout_slot_key(&hand.layout, slot, "d", hand.root.chain[d], names[2]);
            const char *held = d == 0 ? hand.root.folded : hand.root.chain[0];
            const char *words[] = {names[0],
                                   names[1],
                                   names[2],
                                   held,
                                   hand.root.chain[d],
                                   "0",
                                   slot == 0 ? "10" : "100000"};
            struct tsn_redis_part parts[7];
            for (int i = 0; i < 7; i++) {
                parts[i] = (struct tsn_redis_part){words[i], strlen(words[i])};
            }
            struct tsn_reply *reply = tsn_script_ask(hand.redis, &hand.fold, 3, 7, parts, &failure);
            assert_non_null(reply);
            tsn_reply_free(reply);
        }
    }
    store_hand_close(&hand);
    store_world_assert("c3", &state, 3);
    tsn_redis_server_ask(&store_world.server, "DEL tocsin:1:{c3}:reader");
    store = store_world_open("c3");
    struct tsn_fake_state loaded;
    tsn_fake_state_init(&loaded, state.n, 0);
    store_world_load(store, &loaded);
    assert_true(tsn_store_claim(store, &failure));
    tsn_fake_state_change(&state, 10);
    store_world_write(store, &state, 4);
    store_world_settle(store);
    store_world_assert("c3", &state, 4);
    tsn_store_close(store);
    tsn_fake_state_free(&loaded);
    tsn_fake_state_free(&state);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, store_world_empty)
    const struct CMUnitTest tests[] = {
        T(three_hundred_thousand_records_come_back_equal),
        T(meta_says_what_was_written),
        T(nothing_stored_loads_nothing),
        T(checkpoint_without_a_change_moves_the_sequence),
        T(large_records_are_stored_whole),
        T(crash_between_deltas_and_root_leaves_the_checkpoint_before),
        T(crash_between_root_and_folding_loses_nothing),
        T(crash_in_the_middle_of_folding_loses_nothing),
    };
    return cmocka_run_group_tests_name("redis_store", tests, store_world_begin, store_world_end);
}
