/* Checkpoints on a real redis-server: what goes in comes out, whoever crashes when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/store/delta.h"
#include "connectors/store/store.h"
#include "tests/fixture/fake_state.h"
#include "tests/fixture/redis_server.h"

enum { WAIT_MS = 60000, SMALL = 5000 };

static struct tsn_redis_server server;
static struct tsn_keys *keys;

static int set_up(void **state)
{
    (void)state;
    tsn_redis_server_start(&server, NULL);
    keys = tsn_keys_insecure();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tsn_keys_free(keys);
    tsn_redis_server_remove(&server);
    return 0;
}

static int empty(void **state)
{
    (void)state;
    tsn_redis_server_ask(&server, "FLUSHALL");
    return 0;
}

static struct tsn_config config_of(const char *instance)
{
    struct tsn_config config = {.instance = instance};
    config.redis.unix_socket = server.socket;
    config.redis.timeout_ms = 5000;
    return config;
}

static struct tsn_store *open_store(const char *instance)
{
    struct tsn_failure failure = {0};
    struct tsn_config config = config_of(instance);
    struct tsn_store *store = tsn_store_open(&config, keys, &failure);
    if (!store) {
        fail_msg("%s", failure.text);
    }
    return store;
}

static struct tsn_store *open_and_claim(const char *instance)
{
    struct tsn_failure failure = {0};
    struct tsn_store *store = open_store(instance);
    if (!tsn_store_claim(store, &failure)) {
        fail_msg("%s", failure.text);
    }
    return store;
}

static enum tsn_store_progress write_at(struct tsn_store *store, struct tsn_fake_state *state,
                                        uint64_t sequence, struct tsn_failure *failure)
{
    struct tsn_checkpoint_meta meta = {.sequence = sequence, .semantics = 7};
    strcpy(meta.cluster_id, "cluster");
    meta.program[31] = 9;
    meta.whole = tsn_store_wants_whole(store);
    tsn_fake_state_cut(state, meta.whole, tsn_store_collect, store);
    tsn_store_begin(store, &meta);
    return tsn_store_wait(store, WAIT_MS, failure);
}

static void write_ok(struct tsn_store *store, struct tsn_fake_state *state, uint64_t sequence)
{
    struct tsn_failure failure = {0};
    if (write_at(store, state, sequence, &failure) != TSN_STORE_DONE) {
        fail_msg("%s", failure.text);
    }
}

/* Loads into `loaded`, which is emptied first; gives the meta. */
static struct tsn_checkpoint_meta load_ok(struct tsn_store *store, struct tsn_fake_state *loaded)
{
    struct tsn_failure failure = {0};
    struct tsn_checkpoint_meta meta;
    memset(loaded->version, 0, loaded->n * sizeof *loaded->version);
    if (!tsn_store_read(store, tsn_fake_state_read, loaded, &meta, &failure)) {
        fail_msg("%s", failure.text);
    }
    return meta;
}

static void assert_stored(const char *instance, const struct tsn_fake_state *expected,
                          uint64_t sequence)
{
    struct tsn_store *store = open_store(instance);
    struct tsn_fake_state loaded;
    tsn_fake_state_init(&loaded, expected->n, 0);
    struct tsn_checkpoint_meta meta = load_ok(store, &loaded);
    assert_int_equal(meta.sequence, sequence);
    tsn_fake_state_assert_equal(&loaded, expected);
    tsn_fake_state_free(&loaded);
    tsn_store_close(store);
}

static void assert_load_fails(const char *instance, size_t n, enum tsn_remedy remedy,
                              const char *text)
{
    struct tsn_failure failure = {0};
    struct tsn_checkpoint_meta meta;
    struct tsn_fake_state loaded;
    struct tsn_store *store = open_store(instance);
    tsn_fake_state_init(&loaded, n, 0);
    assert_false(tsn_store_read(store, tsn_fake_state_read, &loaded, &meta, &failure));
    assert_int_equal(failure.remedy, remedy);
    if (!strstr(failure.text, text)) {
        fail_msg("'%s' does not say '%s'", failure.text, text);
    }
    tsn_fake_state_free(&loaded);
    tsn_store_close(store);
}

/* Waits for what the thread does after DONE: claim and meta take turns with it. */
static void settle(struct tsn_store *store)
{
    struct tsn_failure failure = {0};
    struct tsn_checkpoint_meta meta;
    assert_true(tsn_store_meta(store, &meta, &failure));
}

/* The parts of a store that a test breaks off half-way. */
struct hand {
    struct tsn_redis *redis;
    struct tsn_layout layout;
    struct tsn_root_scripts scripts;
    struct tsn_script fold;
    struct tsn_root_place place;
    struct tsn_root root;
};

static void hand_open(struct hand *hand, const char *instance)
{
    struct tsn_failure failure = {0};
    memset(hand, 0, sizeof *hand);
    hand->redis = tsn_redis_server_connect(&server);
    assert_true(tsn_redis_connect(hand->redis, NULL, &failure));
    assert_true(tsn_layout_init(&hand->layout, instance, &failure));
    tsn_root_scripts_init(&hand->scripts);
    tsn_delta_fold_script(&hand->fold);
    hand->place = (struct tsn_root_place){
        .redis = hand->redis, .layout = &hand->layout, .keys = keys, .scripts = &hand->scripts};
    assert_true(tsn_root_read(&hand->place, &hand->root, &failure));
}

static void hand_close(struct hand *hand)
{
    tsn_redis_free(hand->redis);
}

static void add_to_cut(void *cut, const struct tsn_snapshot_record *record)
{
    tsn_cut_add(cut, record);
}

/* Announces and writes a delta of the state's changes, and commits nothing. */
static void hand_write(struct hand *hand, struct tsn_fake_state *state, const char *id)
{
    struct tsn_failure failure = {0};
    struct tsn_cut cut = {0};
    struct tsn_cut_index index;
    atomic_bool stop = false;
    uint64_t bytes = 0;
    struct tsn_fake_state copy;
    tsn_fake_state_init(&copy, state->n, 0);
    tsn_fake_state_copy(&copy, state);
    tsn_fake_state_cut(&copy, false, add_to_cut, &cut);
    assert_true(cut.n > 0);
    tsn_cut_index(&cut, keys, &index);
    assert_int_equal(tsn_root_begin(&hand->place, &hand->root, id, &failure), TSN_ROOT_OK);
    assert_int_equal(tsn_delta_write(&hand->place, &index, id, NULL, &stop, &bytes, &failure),
                     TSN_DELTA_OK);
    tsn_cut_index_free(&index);
    tsn_cut_clear(&cut);
    tsn_fake_state_free(&copy);
}

/* ---- round trips ---------------------------------------------------------------------- */

static void three_hundred_thousand_records_come_back_equal(void **unused)
{
    (void)unused;
    struct tsn_fake_state state;
    struct tsn_store *store = open_and_claim("big");
    tsn_fake_state_init(&state, 300000, 1);
    tsn_fake_state_fill(&state);
    write_ok(store, &state, 1);
    assert_stored("big", &state, 1);
    for (uint64_t k = 2; k <= 5; k++) {
        tsn_fake_state_change(&state, 60000);
        write_ok(store, &state, k);
    }
    settle(store);
    assert_stored("big", &state, 5);
    tsn_store_close(store);
    tsn_fake_state_free(&state);
}

static void meta_says_what_was_written(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    struct tsn_checkpoint_meta meta;
    struct tsn_fake_state state;
    struct tsn_store *store = open_store("meta");
    assert_true(tsn_store_meta(store, &meta, &failure));
    assert_int_equal(meta.sequence, 0);
    assert_true(tsn_store_claim(store, &failure));
    assert_true(tsn_store_meta(store, &meta, &failure));
    assert_int_equal(meta.sequence, 0); /* claimed and empty */
    tsn_fake_state_init(&state, 100, 1);
    tsn_fake_state_fill(&state);
    write_ok(store, &state, 41);
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
    struct tsn_store *store = open_store("nothing");
    tsn_fake_state_init(&loaded, 10, 0);
    struct tsn_checkpoint_meta meta = load_ok(store, &loaded);
    assert_int_equal(meta.sequence, 0);
    tsn_store_close(store);
    tsn_fake_state_free(&loaded);
}

static void checkpoint_without_a_change_moves_the_sequence(void **unused)
{
    (void)unused;
    struct tsn_fake_state state;
    struct tsn_store *store = open_and_claim("idle");
    tsn_fake_state_init(&state, 100, 1);
    tsn_fake_state_fill(&state);
    write_ok(store, &state, 1);
    write_ok(store, &state, 2);
    write_ok(store, &state, 3);
    settle(store);
    assert_stored("idle", &state, 3);
    tsn_store_close(store);
    tsn_fake_state_free(&state);
}

static void large_records_are_stored_whole(void **unused)
{
    (void)unused;
    struct tsn_store *store = open_and_claim("large");
    struct tsn_failure failure = {0};
    size_t len = 9 * 1024 * 1024 + 1;
    uint8_t *bytes = malloc(len);
    memset(bytes, 5, len);
    struct tsn_snapshot_record record = {.section = TSN_SNAPSHOT_DEDUP, .bytes = bytes, .len = len};
    tsn_store_collect(store, &record);
    struct tsn_checkpoint_meta meta = {.sequence = 1, .whole = true};
    tsn_store_begin(store, &meta);
    assert_int_equal(tsn_store_wait(store, WAIT_MS, &failure), TSN_STORE_DONE);
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
    struct hand hand;
    struct tsn_store *store = open_and_claim("c1");
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_fill(&state);
    write_ok(store, &state, 1);
    settle(store);
    tsn_store_close(store);
    struct tsn_fake_state before;
    tsn_fake_state_init(&before, SMALL, 0);
    tsn_fake_state_copy(&before, &state);

    tsn_fake_state_change(&state, 1000);
    hand_open(&hand, "c1");
    hand_write(&hand, &state, "00000000000000aa");
    hand_close(&hand);
    int64_t with_rubbish = tsn_redis_server_ask(&server, "DBSIZE");
    assert_stored("c1", &before, 1);

    /* The next owner goes on, and what the crash left is deleted. */
    store = open_store("c1");
    struct tsn_fake_state loaded;
    tsn_fake_state_init(&loaded, SMALL, 0);
    load_ok(store, &loaded);
    struct tsn_failure failure = {0};
    assert_true(tsn_store_claim(store, &failure));
    assert_false(tsn_store_wants_whole(store));
    write_ok(store, &state, 2);
    settle(store);
    write_ok(store, &state, 3);
    settle(store);
    assert_stored("c1", &state, 3);
    assert_int_equal(tsn_redis_server_ask(&server, "DBSIZE"), with_rubbish - TSN_LAYOUT_SLOTS);
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
    struct tsn_store *store = open_and_claim("c2");
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_init(&loaded, SMALL, 0);
    tsn_fake_state_fill(&state);
    /* A reader's lease holds folding back. */
    tsn_redis_server_ask(&server, "SET tocsin:1:{c2}:reader x EX 600");
    for (uint64_t k = 1; k <= 4; k++) {
        write_ok(store, &state, k);
        tsn_fake_state_change(&state, 700);
    }
    tsn_store_close(store);
    struct hand hand;
    hand_open(&hand, "c2");
    assert_int_equal(hand.root.n_chain, 4);
    hand_close(&hand);
    store = open_store("c2");
    load_ok(store, &loaded);
    tsn_redis_server_ask(&server, "DEL tocsin:1:{c2}:reader");
    struct tsn_failure failure = {0};
    assert_true(tsn_store_claim(store, &failure));
    assert_false(tsn_store_wants_whole(store));
    tsn_fake_state_copy(&loaded, &state);
    write_ok(store, &loaded, 5);
    settle(store);
    hand_open(&hand, "c2");
    assert_int_equal(hand.root.n_chain, 0);
    hand_close(&hand);
    assert_stored("c2", &state, 5);
    tsn_store_close(store);
    tsn_fake_state_free(&loaded);
    tsn_fake_state_free(&state);
}

static void crash_in_the_middle_of_folding_loses_nothing(void **unused)
{
    (void)unused;
    struct tsn_fake_state state;
    struct hand hand;
    struct tsn_store *store = open_and_claim("c3");
    tsn_fake_state_init(&state, 50000, 1);
    tsn_fake_state_fill(&state);
    write_ok(store, &state, 1);
    settle(store);
    tsn_redis_server_ask(&server, "SET tocsin:1:{c3}:reader x EX 600");
    for (uint64_t k = 2; k <= 3; k++) {
        tsn_fake_state_change(&state, 20000);
        write_ok(store, &state, k);
    }
    tsn_store_close(store);
    /* One page of slot 0, both deltas of slot 1, the first of slot 2. */
    hand_open(&hand, "c3");
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
    hand_close(&hand);
    assert_stored("c3", &state, 3);
    tsn_redis_server_ask(&server, "DEL tocsin:1:{c3}:reader");
    store = open_store("c3");
    struct tsn_fake_state loaded;
    tsn_fake_state_init(&loaded, state.n, 0);
    load_ok(store, &loaded);
    assert_true(tsn_store_claim(store, &failure));
    tsn_fake_state_change(&state, 10);
    write_ok(store, &state, 4);
    settle(store);
    assert_stored("c3", &state, 4);
    tsn_store_close(store);
    tsn_fake_state_free(&loaded);
    tsn_fake_state_free(&state);
}

/* ---- owners ---------------------------------------------------------------------------- */

static void zombie_loses_and_changes_nothing(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    struct tsn_fake_state state;
    struct tsn_fake_state other;
    struct tsn_store *zombie = open_and_claim("z");
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_init(&other, SMALL, 0);
    tsn_fake_state_fill(&state);
    write_ok(zombie, &state, 1);
    settle(zombie);

    struct tsn_store *leader = open_store("z");
    load_ok(leader, &other);
    assert_true(tsn_store_claim(leader, &failure));
    assert_false(tsn_store_wants_whole(leader));
    tsn_fake_state_change(&other, 100);
    write_ok(leader, &other, 2);
    settle(leader);
    int64_t n_keys = tsn_redis_server_ask(&server, "DBSIZE");

    tsn_fake_state_change(&state, 100);
    assert_int_equal(write_at(zombie, &state, 2, &failure), TSN_STORE_FAILED);
    assert_int_equal(failure.remedy, TSN_REMEDY_STAND_BY);
    assert_int_equal(write_at(zombie, &state, 3, &failure), TSN_STORE_FAILED);
    assert_int_equal(failure.remedy, TSN_REMEDY_STAND_BY);
    assert_int_equal(tsn_redis_server_ask(&server, "DBSIZE"), n_keys);
    assert_stored("z", &other, 2);
    write_ok(leader, &other, 3);
    tsn_store_close(zombie);
    tsn_store_close(leader);
    tsn_fake_state_free(&state);
    tsn_fake_state_free(&other);
}

static void zombie_that_wakes_before_its_commit_loses_it(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    struct tsn_fake_state state;
    struct hand zombie;
    struct tsn_store *store = open_and_claim("zc");
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_fill(&state);
    write_ok(store, &state, 1);
    settle(store);
    struct tsn_fake_state loaded;
    tsn_fake_state_init(&loaded, SMALL, 0);

    hand_open(&zombie, "zc");
    struct tsn_fake_state changed;
    tsn_fake_state_init(&changed, SMALL, 0);
    tsn_fake_state_copy(&changed, &state);
    tsn_fake_state_change(&changed, 100);
    hand_write(&zombie, &changed, "00000000000000bb");
    /* ... sleeps; somebody else takes over ... */
    struct tsn_store *leader = open_store("zc");
    load_ok(leader, &loaded);
    assert_true(tsn_store_claim(leader, &failure));
    struct tsn_root next = zombie.root;
    strcpy(next.last, "00000000000000bb");
    strcpy(next.chain[next.n_chain++], "00000000000000bb");
    next.meta.sequence = 2;
    assert_int_equal(tsn_root_commit(&zombie.place, zombie.root.last, &next, &failure),
                     TSN_ROOT_OTHER);
    write_ok(leader, &loaded, 2);
    settle(leader);
    assert_int_equal(tsn_root_commit(&zombie.place, zombie.root.last, &next, &failure),
                     TSN_ROOT_OTHER);
    hand_close(&zombie);
    assert_stored("zc", &state, 2);
    tsn_store_close(leader);
    tsn_store_close(store);
    tsn_fake_state_free(&state);
    tsn_fake_state_free(&changed);
    tsn_fake_state_free(&loaded);
}

static void commit_executed_late_fails_once_another_was_announced(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    struct tsn_fake_state state;
    struct hand hand;
    struct tsn_store *store = open_and_claim("late");
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_fill(&state);
    write_ok(store, &state, 1);
    settle(store);
    tsn_fake_state_change(&state, 10);
    hand_open(&hand, "late");
    hand_write(&hand, &state, "00000000000000cc");
    struct tsn_root next = hand.root;
    strcpy(next.last, "00000000000000cc");
    strcpy(next.chain[next.n_chain++], "00000000000000cc");
    next.meta.sequence = 2;
    assert_int_equal(tsn_root_begin(&hand.place, &hand.root, "00000000000000dd", &failure),
                     TSN_ROOT_OK);
    assert_int_equal(tsn_root_commit(&hand.place, hand.root.last, &next, &failure), TSN_ROOT_STALE);
    hand_close(&hand);
    tsn_store_close(store);
    tsn_fake_state_free(&state);
}

static void whoever_did_not_load_the_last_checkpoint_writes_whole(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    struct tsn_fake_state state;
    struct tsn_fake_state followed;
    struct tsn_store *leader = open_and_claim("w");
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_init(&followed, SMALL, 0);
    tsn_fake_state_fill(&state);
    write_ok(leader, &state, 1);
    settle(leader);
    struct tsn_store *standby = open_store("w");
    load_ok(standby, &followed);
    tsn_fake_state_change(&state, 100);
    write_ok(leader, &state, 2); /* after the standby's load */
    settle(leader);
    assert_true(tsn_store_claim(standby, &failure));
    assert_true(tsn_store_wants_whole(standby));
    int64_t n_keys = tsn_redis_server_ask(&server, "DBSIZE");
    tsn_fake_state_copy(&followed, &state);
    write_ok(standby, &followed, 3);
    settle(standby);
    assert_false(tsn_store_wants_whole(standby));
    assert_stored("w", &state, 3);
    assert_int_equal(tsn_redis_server_ask(&server, "DBSIZE"), n_keys); /* old bases are gone */
    tsn_store_close(leader);
    tsn_store_close(standby);
    tsn_fake_state_free(&state);
    tsn_fake_state_free(&followed);
}

static void owner_that_claims_and_then_loads_goes_on_with_changes(void **unused)
{
    (void)unused;
    struct tsn_fake_state state;
    struct tsn_fake_state loaded;
    struct tsn_store *store = open_and_claim("order");
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_init(&loaded, SMALL, 0);
    tsn_fake_state_fill(&state);
    write_ok(store, &state, 1);
    tsn_store_close(store);
    store = open_and_claim("order");
    assert_true(tsn_store_wants_whole(store)); /* not loaded yet */
    load_ok(store, &loaded);
    assert_false(tsn_store_wants_whole(store));
    tsn_fake_state_change(&loaded, 100);
    write_ok(store, &loaded, 2);
    settle(store);
    assert_stored("order", &loaded, 2);
    tsn_store_close(store);
    tsn_fake_state_free(&loaded);
    tsn_fake_state_free(&state);
}

static void changes_instead_of_the_whole_that_was_wanted_are_refused(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    struct tsn_fake_state state;
    struct tsn_store *store = open_and_claim("half");
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_fill(&state);
    assert_true(tsn_store_wants_whole(store));
    tsn_fake_state_cut(&state, false, tsn_store_collect, store);
    tsn_store_begin(store, &(struct tsn_checkpoint_meta){.sequence = 1});
    assert_int_equal(tsn_store_wait(store, WAIT_MS, &failure), TSN_STORE_FAILED);
    assert_int_equal(failure.remedy, TSN_REMEDY_RETRY);
    write_ok(store, &state, 2);
    assert_stored("half", &state, 2);
    tsn_store_close(store);
    tsn_fake_state_free(&state);
}

static void load_during_checkpoints_sees_one_of_them_whole(void **unused)
{
    (void)unused;
    enum { ROUNDS = 12 };
    struct tsn_failure failure = {0};
    struct tsn_fake_state state;
    struct tsn_fake_state at[ROUNDS + 1];
    struct tsn_fake_state loaded;
    struct tsn_store *leader = open_and_claim("live");
    struct tsn_store *standby = open_store("live");
    tsn_fake_state_init(&state, 20000, 1);
    tsn_fake_state_init(&loaded, 20000, 0);
    tsn_fake_state_fill(&state);
    for (int k = 1; k <= ROUNDS; k++) {
        tsn_fake_state_init(&at[k], state.n, 0);
        tsn_fake_state_change(&state, 4000);
        tsn_fake_state_copy(&at[k], &state);
        struct tsn_checkpoint_meta meta = {.sequence = (uint64_t)k,
                                           .whole = tsn_store_wants_whole(leader)};
        tsn_fake_state_cut(&state, meta.whole, tsn_store_collect, leader);
        tsn_store_begin(leader, &meta);
        if (k > 1) { /* while it writes */
            meta = load_ok(standby, &loaded);
            assert_in_range(meta.sequence, k - 1, k);
            tsn_fake_state_assert_equal(&loaded, &at[meta.sequence]);
        }
        assert_int_equal(tsn_store_wait(leader, WAIT_MS, &failure), TSN_STORE_DONE);
    }
    tsn_store_close(standby);
    tsn_store_close(leader);
    for (int k = 1; k <= ROUNDS; k++) {
        tsn_fake_state_free(&at[k]);
    }
    tsn_fake_state_free(&loaded);
    tsn_fake_state_free(&state);
}

static void instances_do_not_see_each_other(void **unused)
{
    (void)unused;
    struct tsn_fake_state a;
    struct tsn_fake_state b;
    struct tsn_store *one = open_and_claim("one");
    struct tsn_store *two = open_and_claim("two");
    tsn_fake_state_init(&a, SMALL, 1);
    tsn_fake_state_init(&b, SMALL, 2);
    tsn_fake_state_fill(&a);
    tsn_fake_state_change(&b, SMALL);
    write_ok(one, &a, 1);
    write_ok(two, &b, 9);
    assert_stored("one", &a, 1);
    assert_stored("two", &b, 9);
    tsn_store_close(one);
    tsn_store_close(two);
    tsn_fake_state_free(&a);
    tsn_fake_state_free(&b);
}

/* ---- what Redis may do to us --------------------------------------------------------------- */

static void emptied_server_gets_the_state_again_from_its_owner(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    struct tsn_fake_state state;
    struct tsn_store *store = open_and_claim("f");
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_fill(&state);
    write_ok(store, &state, 1);
    settle(store);
    tsn_redis_server_ask(&server, "FLUSHALL");
    tsn_fake_state_change(&state, 10);
    assert_int_equal(write_at(store, &state, 2, &failure), TSN_STORE_FAILED);
    assert_int_equal(failure.remedy, TSN_REMEDY_RETRY);
    assert_non_null(strstr(failure.text, "emptied"));
    assert_true(tsn_store_wants_whole(store));
    write_ok(store, &state, 3);
    assert_stored("f", &state, 3);
    tsn_store_close(store);
    tsn_fake_state_free(&state);
}

static void base_that_lost_records_is_refused(void **unused)
{
    (void)unused;
    struct tsn_fake_state state;
    struct hand hand;
    struct tsn_store *store = open_and_claim("lost");
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_fill(&state);
    write_ok(store, &state, 1);
    settle(store);
    tsn_store_close(store);
    hand_open(&hand, "lost");
    char key[TSN_LAYOUT_KEY_MAX];
    char command[TSN_LAYOUT_KEY_MAX + 8];
    tsn_layout_slot_key(&hand.layout, 77, "b", hand.root.gen, key);
    snprintf(command, sizeof command, "DEL %s", key);
    assert_int_equal(tsn_redis_server_ask(&server, command), 1);
    hand_close(&hand);
    assert_load_fails("lost", SMALL, TSN_REMEDY_CONFIG, "slot 77");
    assert_load_fails("lost", SMALL, TSN_REMEDY_CONFIG, "rebuilt from Kafka");
    tsn_fake_state_free(&state);
}

static void delta_that_was_lost_is_refused(void **unused)
{
    (void)unused;
    struct tsn_fake_state state;
    struct hand hand;
    struct tsn_store *store = open_and_claim("lostd");
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_fill(&state);
    write_ok(store, &state, 1);
    settle(store);
    tsn_redis_server_ask(&server, "SET tocsin:1:{lostd}:reader x EX 600");
    write_ok(store, &state, 2); /* without a change: even an empty delta is missed */
    tsn_store_close(store);
    hand_open(&hand, "lostd");
    char key[TSN_LAYOUT_KEY_MAX];
    char command[TSN_LAYOUT_KEY_MAX + 8];
    tsn_layout_slot_key(&hand.layout, 5, "d", hand.root.last, key);
    snprintf(command, sizeof command, "DEL %s", key);
    assert_int_equal(tsn_redis_server_ask(&server, command), 1);
    hand_close(&hand);
    assert_load_fails("lostd", SMALL, TSN_REMEDY_CONFIG, "missing");
    tsn_fake_state_free(&state);
}

/* Only the root goes back, as when its node of a cluster failed over alone. */
static void slot_folded_beyond_the_root_is_refused(void **unused)
{
    (void)unused;
    struct tsn_fake_state state;
    struct tsn_failure failure = {0};
    struct tsn_store *store = open_and_claim("beyond");
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_fill(&state);
    write_ok(store, &state, 1);
    settle(store);
    tsn_redis_server_ask(&server, "COPY tocsin:1:{beyond}:root tocsin:1:{beyond}:old");
    tsn_fake_state_change(&state, 100);
    write_ok(store, &state, 2);
    settle(store);
    tsn_redis_server_ask(&server, "COPY tocsin:1:{beyond}:old tocsin:1:{beyond}:root REPLACE");
    assert_load_fails("beyond", SMALL, TSN_REMEDY_CONFIG, "rolled back");
    /* The owner, if it lives, has the state in memory and mends it. */
    tsn_fake_state_change(&state, 100);
    assert_int_equal(write_at(store, &state, 3, &failure), TSN_STORE_FAILED);
    assert_int_equal(failure.remedy, TSN_REMEDY_RETRY);
    assert_true(tsn_store_wants_whole(store));
    write_ok(store, &state, 4);
    settle(store);
    assert_stored("beyond", &state, 4);
    tsn_store_close(store);
    tsn_fake_state_free(&state);
}

static void scripts_forgotten_by_the_server_are_sent_again(void **unused)
{
    (void)unused;
    struct tsn_fake_state state;
    struct tsn_store *store = open_and_claim("ns");
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_fill(&state);
    for (uint64_t k = 1; k <= 3; k++) {
        write_ok(store, &state, k);
        settle(store);
        tsn_redis_server_ask(&server, "SCRIPT FLUSH");
        tsn_fake_state_change(&state, 100);
    }
    write_ok(store, &state, 4);
    settle(store);
    assert_stored("ns", &state, 4);
    tsn_store_close(store);
    tsn_fake_state_free(&state);
}

static void another_key_file_is_refused(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    struct tsn_checkpoint_meta meta;
    struct tsn_fake_state state;
    struct tsn_store *store = open_and_claim("key");
    tsn_fake_state_init(&state, 10, 1);
    tsn_fake_state_fill(&state);
    write_ok(store, &state, 1);
    tsn_store_close(store);
    uint8_t secret[TSN_KEYS_BYTES] = {1, 2, 3};
    struct tsn_keys *wrong = tsn_keys_from(secret);
    struct tsn_config config = config_of("key");
    store = tsn_store_open(&config, wrong, &failure);
    assert_non_null(store);
    assert_false(tsn_store_meta(store, &meta, &failure));
    assert_int_equal(failure.remedy, TSN_REMEDY_CONFIG);
    assert_non_null(strstr(failure.text, "another key file"));
    tsn_store_close(store);
    tsn_keys_free(wrong);
    tsn_fake_state_free(&state);
}

/* Every key, field and value of the database. */
static void assert_nowhere(struct tsn_redis *redis, const struct tsn_reply *reply, const char *what)
{
    (void)redis;
    if (tsn_reply_kind(reply) == TSN_REPLY_LIST) {
        for (size_t i = 0; i < tsn_reply_n(reply); i++) {
            assert_nowhere(redis, tsn_reply_at(reply, i), what);
        }
        return;
    }
    size_t len;
    const char *text = tsn_reply_text(reply, &len);
    assert_null(memmem(text, len, what, strlen(what)));
}

static void redis_holds_no_plain_record_and_no_key_that_expires(void **unused)
{
    (void)unused;
    static const char all[] =
        "local out = {}\n"
        "for _, k in ipairs(redis.call('KEYS', '*')) do\n"
        "  out[#out + 1] = k\n"
        "  local t = redis.call('TYPE', k).ok\n"
        "  if t == 'hash' then out[#out + 1] = redis.call('HGETALL', k)\n"
        "  else out[#out + 1] = redis.call('GET', k) end\n"
        "  if redis.call('TTL', k) ~= -1 then return redis.error_reply('TTL ' .. k) end\n"
        "end\n"
        "return out\n";
    struct tsn_failure failure = {0};
    struct tsn_fake_state state;
    struct tsn_store *store = open_and_claim("secret");
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_fill(&state);
    write_ok(store, &state, 1);
    settle(store);
    tsn_fake_state_change(&state, 500);
    write_ok(store, &state, 2);
    settle(store);
    tsn_store_close(store);
    struct tsn_redis *redis = tsn_redis_server_connect(&server);
    assert_true(tsn_redis_connect(redis, NULL, &failure));
    const struct tsn_redis_part parts[] = {{"EVAL", 4}, {all, sizeof all - 1}, {"0", 1}};
    struct tsn_reply *reply = tsn_redis_ask(redis, NULL, 3, parts, &failure);
    if (!reply) {
        fail_msg("%s", failure.text);
    }
    assert_true(tsn_reply_n(reply) > TSN_LAYOUT_SLOTS);
    assert_nowhere(redis, reply, TSN_FAKE_MARKER);
    tsn_reply_free(reply);
    tsn_redis_free(redis);
    tsn_fake_state_free(&state);
}

static void altered_record_is_refused(void **unused)
{
    (void)unused;
    static const char alter[] =
        "local k = redis.call('KEYS', 'tocsin:1:{alt.*:b:*')[1]\n"
        "local f = redis.call('HKEYS', k)[1]\n"
        "local v = redis.call('HGET', k, f)\n"
        "redis.call('HSET', k, f, string.sub(v, 1, -2) .. string.char((string.byte(v, -1) + 1) % "
        "256))\n"
        "return 1\n";
    struct tsn_failure failure = {0};
    struct tsn_fake_state state;
    struct tsn_store *store = open_and_claim("alt");
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_fill(&state);
    write_ok(store, &state, 1);
    settle(store);
    tsn_store_close(store);
    struct tsn_redis *redis = tsn_redis_server_connect(&server);
    assert_true(tsn_redis_connect(redis, NULL, &failure));
    const struct tsn_redis_part parts[] = {{"EVAL", 4}, {alter, sizeof alter - 1}, {"0", 1}};
    struct tsn_reply *reply = tsn_redis_ask(redis, NULL, 3, parts, &failure);
    assert_non_null(reply);
    tsn_reply_free(reply);
    tsn_redis_free(redis);
    assert_load_fails("alt", SMALL, TSN_REMEDY_CONFIG, "altered");
    tsn_fake_state_free(&state);
}

#define STORED(test) cmocka_unit_test_setup(test, empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORED(three_hundred_thousand_records_come_back_equal),
        STORED(meta_says_what_was_written),
        STORED(nothing_stored_loads_nothing),
        STORED(checkpoint_without_a_change_moves_the_sequence),
        STORED(large_records_are_stored_whole),
        STORED(crash_between_deltas_and_root_leaves_the_checkpoint_before),
        STORED(crash_between_root_and_folding_loses_nothing),
        STORED(crash_in_the_middle_of_folding_loses_nothing),
        STORED(zombie_loses_and_changes_nothing),
        STORED(zombie_that_wakes_before_its_commit_loses_it),
        STORED(commit_executed_late_fails_once_another_was_announced),
        STORED(whoever_did_not_load_the_last_checkpoint_writes_whole),
        STORED(owner_that_claims_and_then_loads_goes_on_with_changes),
        STORED(changes_instead_of_the_whole_that_was_wanted_are_refused),
        STORED(load_during_checkpoints_sees_one_of_them_whole),
        STORED(instances_do_not_see_each_other),
        STORED(emptied_server_gets_the_state_again_from_its_owner),
        STORED(base_that_lost_records_is_refused),
        STORED(delta_that_was_lost_is_refused),
        STORED(slot_folded_beyond_the_root_is_refused),
        STORED(scripts_forgotten_by_the_server_are_sent_again),
        STORED(another_key_file_is_refused),
        STORED(redis_holds_no_plain_record_and_no_key_that_expires),
        STORED(altered_record_is_refused),
    };
    return cmocka_run_group_tests_name("redis_store", tests, set_up, tear_down);
}
