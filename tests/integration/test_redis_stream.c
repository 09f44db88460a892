/* A whole checkpoint on a real server is written while it is taken: what stands in memory of it
 * is bounded, whatever its size, and it is whole or absent as any other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "connectors/store/state.h"
#include "tests/fixture/store_world.h"

enum {
    RECORD = 32 * 1024,
    RECORDS = 4096, /* 128 MiB: twice what is held */
    BLOCK_SLACK = 8 * 1024 * 1024,
    MORE = 100, /* records that are given without room */
};

/* Record k's bytes are its number over and over. */
static void give(struct tsn_store *store, uint64_t k)
{
    uint64_t words[RECORD / sizeof(uint64_t)];
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        words[i] = k;
    }
    struct tsn_snapshot_record record = {
        .section = TSN_SNAPSHOT_ENTITY, .bytes = (const uint8_t *)words, .len = sizeof words};
    memcpy(record.key, &k, sizeof k);
    tsn_store_collect(store, &record);
}

struct seen {
    size_t n;
    bool there[RECORDS];
};

static bool see(void *user, const struct tsn_snapshot_record *record, const char **why)
{
    struct seen *seen = user;
    uint64_t k;
    memcpy(&k, record->key, sizeof k);
    bool right = record->len == RECORD && k < RECORDS && !seen->there[k];
    for (size_t at = 0; at < record->len && right; at += sizeof k) {
        right = memcmp(record->bytes + at, &k, sizeof k) == 0;
    }
    seen->n += right;
    *why = "another record than was given";
    if (right) {
        seen->there[k] = true;
    }
    return right;
}

static void assert_stored(const struct tsn_config *config, size_t n, uint64_t sequence)
{
    struct seen *seen = calloc(1, sizeof *seen);
    struct tsn_failure failure = {0};
    struct tsn_checkpoint_meta meta;
    struct tsn_store *store = store_world_open_at(config);
    assert_non_null(seen);
    if (!tsn_store_read(store, see, seen, &meta, &failure)) {
        fail_msg("%s", failure.text);
    }
    assert_int_equal(seen->n, n);
    assert_int_equal(meta.sequence, sequence);
    tsn_store_close(store);
    free(seen);
}

/* Waits for room; at most a minute. */
static void await_room(struct tsn_store *store, const struct tsn_checkpoint_meta *meta)
{
    for (int i = 0; i < STORE_WORLD_WAIT_MS && !tsn_store_room(store, meta); i++) {
        store_world_nap(1);
    }
    assert_true(tsn_store_room(store, meta));
}

/* Gives records from `from` on while there is room, as the loop does; returns the next. */
static uint64_t give_while_room(struct tsn_store *store, const struct tsn_checkpoint_meta *meta,
                                uint64_t from)
{
    while (from < RECORDS && tsn_store_room(store, meta)) {
        give(store, from++);
        assert_true(tsn_store_held(store) <= TSN_STORE_HELD_MAX + 2 * (size_t)RECORD);
    }
    return from;
}

static void what_is_held_of_a_whole_cut_is_bounded(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    struct tsn_config config = store_world_config("bounded");
    struct tsn_store *store = store_world_claim_at(&config);
    struct tsn_checkpoint_meta meta = {.sequence = 1, .whole = tsn_store_wants_whole(store)};
    assert_true(meta.whole);
    uint64_t k = give_while_room(store, &meta, 0); /* the manifest is not committed yet */
    assert_in_range(k, TSN_STORE_HELD_MAX / RECORD - BLOCK_SLACK / RECORD,
                    TSN_STORE_HELD_MAX / RECORD + 1);
    for (uint64_t end = k + MORE; k < end; k++) {
        give(store, k); /* about to change: it is taken all the same */
    }
    assert_false(tsn_store_room(store, &meta));
    assert_true(tsn_store_held(store) > TSN_STORE_HELD_MAX + (MORE - 1) * (size_t)RECORD);
    tsn_store_send(store, &meta);
    while (k < RECORDS) {
        await_room(store, &meta);
        tsn_store_send(store, &meta); /* of later commits */
        k = give_while_room(store, &meta, k);
    }
    tsn_store_begin(store, &meta);
    if (tsn_store_wait(store, STORE_WORLD_WAIT_MS, &failure) != TSN_STORE_DONE) {
        fail_msg("%s", failure.text);
    }
    assert_int_equal(tsn_store_held(store), 0);
    assert_false(tsn_store_wants_whole(store));
    tsn_store_close(store);
    assert_stored(&config, RECORDS, 1);
}

/* Handed over at once, it goes part by part as well. */
static void a_whole_cut_that_was_not_sent_before_is_written_by_begin(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    struct tsn_config config = store_world_config("at-once");
    struct tsn_store *store = store_world_claim_at(&config);
    const struct tsn_checkpoint_meta meta = {.sequence = 1, .whole = true};
    for (uint64_t k = 0; k < RECORDS; k++) {
        give(store, k);
    }
    tsn_store_begin(store, &meta);
    if (tsn_store_wait(store, STORE_WORLD_WAIT_MS, &failure) != TSN_STORE_DONE) {
        fail_msg("%s", failure.text);
    }
    tsn_store_close(store);
    assert_stored(&config, RECORDS, 1);
}

/* Changes are kept until all of them are stored: nothing of them is there before begin. */
static void changes_wait_for_begin(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    struct tsn_config config = store_world_config("changes");
    struct tsn_store *store = store_world_claim_at(&config);
    give(store, 0);
    tsn_store_begin(store, &(struct tsn_checkpoint_meta){.sequence = 1, .whole = true});
    assert_int_equal(tsn_store_wait(store, STORE_WORLD_WAIT_MS, &failure), TSN_STORE_DONE);
    const struct tsn_checkpoint_meta meta = {.sequence = 2};
    uint64_t k = 1;
    for (; k < RECORDS; k++) {
        assert_true(tsn_store_room(store, &meta));
        give(store, k);
        tsn_store_send(store, &meta);
        assert_int_equal(tsn_store_poll(store, &failure), TSN_STORE_IDLE);
    }
    tsn_store_begin(store, &meta);
    assert_int_equal(tsn_store_wait(store, STORE_WORLD_WAIT_MS, &failure), TSN_STORE_DONE);
    tsn_store_close(store);
    assert_stored(&config, RECORDS, 2);
}

/* at_once: it is back before the writer loses patience, and yet without all it was sent. */
static void killed_under_a_whole_cut(bool at_once)
{
    struct tsn_failure failure = {0};
    struct tsn_redis_server server;
    tsn_redis_server_start(&server, NULL);
    struct tsn_config config = store_world_config_of(&server, "killed");
    struct tsn_store *store = store_world_claim_at(&config);
    struct tsn_checkpoint_meta meta = {.sequence = 1, .whole = true};
    uint64_t k = give_while_room(store, &meta, 0);
    tsn_store_send(store, &meta);
    await_room(store, &meta); /* a part was acknowledged, and is not here any more */
    tsn_redis_server_kill(&server);
    if (at_once) {
        tsn_redis_server_restart(&server);
    }
    while (k < RECORDS) {
        await_room(store, &meta); /* nobody wants the rest, so there is room for it */
        give(store, k++);
        assert_int_equal(tsn_store_poll(store, &failure), TSN_STORE_WRITING);
    }
    tsn_store_begin(store, &meta);
    assert_int_equal(tsn_store_wait(store, STORE_WORLD_WAIT_MS, &failure), TSN_STORE_FAILED);
    assert_int_equal(failure.remedy, TSN_REMEDY_RETRY);
    assert_int_equal(tsn_store_held(store), 0);
    assert_true(tsn_store_wants_whole(store));
    if (!at_once) {
        tsn_redis_server_restart(&server);
    }
    assert_stored(&config, 0, 0); /* whole or absent */
    meta.sequence = 2;
    tsn_store_send(store, &meta);
    for (k = 0; k < RECORDS; k += 2) {
        await_room(store, &meta);
        give(store, k);
    }
    tsn_store_begin(store, &meta);
    if (tsn_store_wait(store, STORE_WORLD_WAIT_MS, &failure) != TSN_STORE_DONE) {
        fail_msg("%s", failure.text);
    }
    tsn_store_close(store);
    assert_stored(&config, RECORDS / 2, 2); /* nothing of the one before is among it */
    tsn_redis_server_remove(&server);
}

static void a_server_killed_under_a_whole_cut_gets_another(void **unused)
{
    (void)unused;
    killed_under_a_whole_cut(false);
}

static void a_server_that_is_back_at_once_gets_another_as_well(void **unused)
{
    (void)unused;
    killed_under_a_whole_cut(true);
}

/* A checkpoint of unknown outcome is found to be there, and the whole one after it fails: its
 * changes are nowhere but in the engine. */
static void a_whole_cut_that_fails_is_wanted_again_whatever_was_found(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    struct tsn_redis_server server;
    tsn_redis_server_start(&server, NULL);
    struct tsn_config config = store_world_config_of(&server, "found");
    struct tsn_store *store = store_world_claim_at(&config);
    give(store, 0);
    tsn_store_begin(store, &(struct tsn_checkpoint_meta){.sequence = 1, .whole = true});
    assert_int_equal(tsn_store_wait(store, STORE_WORLD_WAIT_MS, &failure), TSN_STORE_DONE);
    pthread_mutex_lock(&store->io); /* as if the answer to its commit had not come */
    memcpy(store->unsure, store->root.last, sizeof store->unsure);
    store->root.last[0] = '\0';
    pthread_mutex_unlock(&store->io);
    tsn_store_need_whole(store, true);
    const struct tsn_checkpoint_meta meta = {.sequence = 2, .whole = true};
    uint64_t k = give_while_room(store, &meta, 0);
    tsn_store_send(store, &meta);
    await_room(store, &meta);
    assert_false(tsn_store_wants_whole(store)); /* it was found */
    tsn_redis_server_kill(&server);
    for (uint64_t end = k + MORE; k < end; k++) {
        give(store, k);
    }
    tsn_store_begin(store, &meta);
    assert_int_equal(tsn_store_wait(store, STORE_WORLD_WAIT_MS, &failure), TSN_STORE_FAILED);
    assert_true(tsn_store_wants_whole(store));
    tsn_redis_server_restart(&server);
    assert_stored(&config, 1, 1);
    tsn_store_close(store);
    tsn_redis_server_remove(&server);
}

/* Changes that a dead server does not take: kept, as long as they are few or the engine could not
 * give all there is. */
static void changes_kept(uint32_t cap, uint64_t n, bool kept)
{
    struct tsn_failure failure = {0};
    struct tsn_redis_server server;
    tsn_redis_server_start(&server, NULL);
    struct tsn_config config = store_world_config_of(&server, "kept");
    config.max_resident = cap;
    struct tsn_store *store = store_world_claim_at(&config);
    tsn_store_begin(store, &(struct tsn_checkpoint_meta){.sequence = 1, .whole = true});
    assert_int_equal(tsn_store_wait(store, STORE_WORLD_WAIT_MS, &failure), TSN_STORE_DONE);
    tsn_redis_server_kill(&server);
    for (uint64_t k = 0; k < n; k++) {
        give(store, k);
    }
    tsn_store_begin(store, &(struct tsn_checkpoint_meta){.sequence = 2});
    assert_int_equal(tsn_store_wait(store, STORE_WORLD_WAIT_MS, &failure), TSN_STORE_FAILED);
    assert_int_equal(tsn_store_wants_whole(store), !kept);
    pthread_mutex_lock(&store->io);
    assert_int_equal(store->cut.n, kept ? n : 0);
    pthread_mutex_unlock(&store->io);
    tsn_store_close(store);
    tsn_redis_server_remove(&server);
}

static void what_changes_while_redis_is_away_is_kept_up_to_a_bound(void **unused)
{
    (void)unused;
    changes_kept(0, MORE, true);
    changes_kept(0, TSN_STORE_KEPT_MAX / RECORD + 1, false);
    changes_kept(1, TSN_STORE_KEPT_MAX / RECORD + 1, true);
}

static void close_does_not_wait_for_the_rest_of_a_cut(void **unused)
{
    (void)unused;
    struct tsn_config config = store_world_config("closed");
    struct tsn_store *store = store_world_claim_at(&config);
    const struct tsn_checkpoint_meta meta = {.sequence = 1, .whole = true};
    tsn_store_send(store, &meta);
    for (uint64_t k = 0; k < RECORDS / 8; k++) {
        give(store, k);
    }
    tsn_store_close(store);
    assert_stored(&config, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_held_of_a_whole_cut_is_bounded, store_world_empty),
        cmocka_unit_test_setup(a_whole_cut_that_was_not_sent_before_is_written_by_begin,
                               store_world_empty),
        cmocka_unit_test_setup(changes_wait_for_begin, store_world_empty),
        cmocka_unit_test(a_server_killed_under_a_whole_cut_gets_another),
        cmocka_unit_test(a_server_that_is_back_at_once_gets_another_as_well),
        cmocka_unit_test(a_whole_cut_that_fails_is_wanted_again_whatever_was_found),
        cmocka_unit_test(what_changes_while_redis_is_away_is_kept_up_to_a_bound),
        cmocka_unit_test_setup(close_does_not_wait_for_the_rest_of_a_cut, store_world_empty),
    };
    return cmocka_run_group_tests_name("redis_stream", tests, store_world_begin, store_world_end);
}
