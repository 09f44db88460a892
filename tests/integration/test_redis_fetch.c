/* Single records out of a real Redis, while checkpoints are written and folded: the
 * newest version of each, or a word that they are lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fixture/store_world.h"

enum { RECORDS = 3000, ROUNDS = 40, WANTED = 200, SECTIONS = TSN_SNAPSHOT_TIMER };

static uint64_t dice_state = 1;

static size_t dice(size_t n)
{
    dice_state = dice_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (size_t)(dice_state >> 33) % n;
}

/* A key of the fake state, as tsn_fake_state_cut gives it: found by cutting once. */
struct keys {
    size_t n;
    uint8_t bytes[RECORDS][16];
    size_t of[RECORDS]; /* record */
};

static void key_collect(void *user, const struct tsn_snapshot_record *record)
{
    struct keys *keys = user;
    uint64_t i;
    memcpy(&i, record->key, sizeof i);
    if (record->bytes && record->section == TSN_SNAPSHOT_ENTITY) {
        keys->of[keys->n] = i;
        memcpy(keys->bytes[keys->n++], record->key, 16);
    }
}

/* Keys of up to WANTED of the entities that there are. */
static void some_keys(const struct tsn_fake_state *state, struct keys *keys)
{
    struct tsn_fake_state copy;
    tsn_fake_state_init(&copy, state->n, 0);
    tsn_fake_state_copy(&copy, state);
    keys->n = 0;
    tsn_fake_state_cut(&copy, true, key_collect, keys);
    tsn_fake_state_free(&copy);
    for (size_t i = 0; i < keys->n && i < WANTED; i++) { /* a random choice to the front */
        size_t k = i + dice(keys->n - i);
        uint8_t bytes[16];
        size_t of = keys->of[i];
        memcpy(bytes, keys->bytes[i], sizeof bytes);
        memcpy(keys->bytes[i], keys->bytes[k], sizeof bytes);
        memcpy(keys->bytes[k], bytes, sizeof bytes);
        keys->of[i] = keys->of[k];
        keys->of[k] = of;
    }
    keys->n = keys->n < WANTED ? keys->n : WANTED;
}

/* A record may come twice; then it is the same. */
static bool read_record(void *user, const struct tsn_snapshot_record *record, const char **why)
{
    struct tsn_fake_state *fetched = user;
    uint64_t i;
    memcpy(&i, record->key, sizeof i);
    assert_true(i < fetched->n);
    uint32_t before = fetched->version[i];
    fetched->version[i] = 0;
    bool ok = tsn_fake_state_read(fetched, record, why);
    assert_true(!ok || before == 0 || fetched->version[i] == before);
    return ok;
}

static bool try_fetch(struct tsn_store *store, const struct keys *keys,
                      struct tsn_fake_state *fetched, struct tsn_failure *failure)
{
    memset(fetched->version, 0, fetched->n * sizeof *fetched->version);
    return tsn_store_fetch(store, TSN_SNAPSHOT_ENTITY, (const uint8_t(*)[16])keys->bytes, keys->n,
                           read_record, fetched, failure);
}

/* The fetched records are those of `state`, and no others came. */
static void must_fetch(struct tsn_store *store, const struct tsn_fake_state *state)
{
    struct tsn_failure failure = {0};
    struct keys *keys = malloc(sizeof *keys);
    struct tsn_fake_state fetched;
    assert_non_null(keys);
    tsn_fake_state_init(&fetched, state->n, 0);
    some_keys(state, keys);
    if (!try_fetch(store, keys, &fetched, &failure)) {
        fail_msg("%s", failure.text);
    }
    for (size_t i = 0; i < keys->n; i++) {
        assert_int_equal(fetched.version[keys->of[i]], state->version[keys->of[i]]);
        fetched.version[keys->of[i]] = 0;
    }
    for (size_t i = 0; i < fetched.n; i++) {
        assert_int_equal(fetched.version[i], 0);
    }
    tsn_fake_state_free(&fetched);
    free(keys);
}

static void must_not_fetch(struct tsn_store *store, const struct tsn_fake_state *state,
                           enum tsn_remedy remedy)
{
    struct tsn_failure failure = {0};
    struct keys *keys = malloc(sizeof *keys);
    struct tsn_fake_state fetched;
    assert_non_null(keys);
    tsn_fake_state_init(&fetched, state->n, 0);
    some_keys(state, keys);
    assert_false(try_fetch(store, keys, &fetched, &failure));
    if (failure.remedy != remedy) {
        fail_msg("remedy %s: %s", tsn_remedy_name(failure.remedy), failure.text);
    }
    tsn_fake_state_free(&fetched);
    free(keys);
}

struct scene {
    struct tsn_store *store;
    struct tsn_fake_state state;
};

static void begin(struct scene *scene, const char *instance)
{
    scene->store = store_world_claim(instance);
    tsn_fake_state_init(&scene->state, RECORDS, 5);
    tsn_fake_state_fill(&scene->state);
    store_world_write(scene->store, &scene->state, 1);
}

static void end(struct scene *scene)
{
    tsn_store_close(scene->store);
    tsn_fake_state_free(&scene->state);
}

/* After a write is reported the thread folds: some fetches come before, some while it
 * does, some after. */
static void newest_versions_are_fetched_while_changes_are_folded(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "fold");
    for (uint64_t k = 2; k < ROUNDS; k++) {
        for (int i = 0; i < 5; i++) {
            must_fetch(scene.store, &scene.state);
        }
        tsn_fake_state_change(&scene.state, dice(400));
        store_world_write(scene.store, &scene.state, k);
    }
    must_fetch(scene.store, &scene.state);
    end(&scene);
}

/* The next checkpoint is written, committed and folded behind the fetches' back. */
static void a_checkpoint_that_is_being_written_disturbs_no_fetch(void **state)
{
    (void)state;
    struct scene scene;
    struct tsn_fake_state changed;
    begin(&scene, "write");
    tsn_fake_state_init(&changed, RECORDS, 9);
    for (uint64_t k = 2; k < ROUNDS; k++) {
        struct tsn_checkpoint_meta meta = {.sequence = k, .semantics = 7};
        struct tsn_failure failure = {0};
        struct tsn_fake_state kept;
        tsn_fake_state_copy(&changed, &scene.state);
        memset(changed.dirty, 0, RECORDS * sizeof *changed.dirty);
        tsn_fake_state_change(&changed, 300);
        tsn_fake_state_init(&kept, RECORDS, 0); /* what did not change */
        tsn_fake_state_copy(&kept, &scene.state);
        for (size_t i = 0; i < RECORDS; i++) {
            kept.version[i] = changed.dirty[i] ? 0 : kept.version[i];
        }
        meta.whole = tsn_store_wants_whole(scene.store);
        assert_false(meta.whole);
        tsn_fake_state_cut(&changed, false, tsn_store_collect, scene.store);
        tsn_store_begin(scene.store, &meta);
        enum tsn_store_progress progress;
        while ((progress = tsn_store_poll(scene.store, &failure)) == TSN_STORE_WRITING) {
            must_fetch(scene.store, &kept);
        }
        assert_int_equal(progress, TSN_STORE_DONE);
        tsn_fake_state_copy(&scene.state, &changed);
        must_fetch(scene.store, &scene.state);
        tsn_fake_state_free(&kept);
    }
    tsn_fake_state_free(&changed);
    end(&scene);
}

/* Somebody loads, so nothing is folded, and a record's newest version may be in any of
 * many deltas. */
static void newest_versions_are_fetched_from_a_chain_of_changes(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "chain");
    store_world_settle(scene.store);
    tsn_redis_server_ask(&store_world.server, "SET tocsin:1:{chain}:reader somebody EX 600");
    for (uint64_t k = 2; k < ROUNDS; k++) {
        tsn_fake_state_change(&scene.state, 100);
        store_world_write(scene.store, &scene.state, k);
        must_fetch(scene.store, &scene.state);
    }
    end(&scene);
}

static void a_redis_that_is_away_is_asked_again(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "away");
    store_world_settle(scene.store);
    must_fetch(scene.store, &scene.state);
    tsn_redis_server_kill(&store_world.server);
    must_not_fetch(scene.store, &scene.state, TSN_REMEDY_RETRY);
    must_not_fetch(scene.store, &scene.state, TSN_REMEDY_RETRY);
    tsn_redis_server_restart(&store_world.server);
    struct tsn_failure failure = {0};
    struct keys *keys = malloc(sizeof *keys);
    struct tsn_fake_state fetched;
    assert_non_null(keys);
    tsn_fake_state_init(&fetched, RECORDS, 0);
    some_keys(&scene.state, keys);
    while (!try_fetch(scene.store, keys, &fetched, &failure)) {
        assert_int_equal(failure.remedy, TSN_REMEDY_RETRY);
    }
    must_fetch(scene.store, &scene.state);
    tsn_fake_state_free(&fetched);
    free(keys);
    end(&scene);
}

static void an_emptied_redis_is_a_loss(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "empty");
    store_world_settle(scene.store);
    tsn_redis_server_ask(&store_world.server, "FLUSHALL");
    must_not_fetch(scene.store, &scene.state, TSN_REMEDY_RECOVER);
    end(&scene);
}

static void a_redis_that_was_rolled_back_is_a_loss(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "back");
    store_world_settle(scene.store);
    tsn_redis_server_stop(&store_world.server);
    tsn_redis_server_save_folder(&store_world.server);
    tsn_redis_server_restart(&store_world.server);
    tsn_fake_state_change(&scene.state, 500);
    for (struct tsn_failure failure = {0};;) { /* the connection of before is broken */
        enum tsn_store_progress progress = store_world_try(scene.store, &scene.state, 2, &failure);
        if (progress == TSN_STORE_DONE) {
            break;
        }
    }
    store_world_settle(scene.store);
    tsn_redis_server_kill(&store_world.server);
    tsn_redis_server_roll_back(&store_world.server);
    tsn_redis_server_restart(&store_world.server);
    must_not_fetch(scene.store, &scene.state, TSN_REMEDY_RECOVER);
    end(&scene);
}

static void what_another_owner_wrote_is_not_taken_for_ours(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "other");
    store_world_settle(scene.store);
    struct tsn_fake_state others;
    tsn_fake_state_init(&others, RECORDS, 77);
    tsn_fake_state_copy(&others, &scene.state);
    struct tsn_store *other = store_world_claim("other");
    tsn_fake_state_change(&others, RECORDS);
    struct tsn_fake_state loaded;
    tsn_fake_state_init(&loaded, RECORDS, 0);
    store_world_load(other, &loaded);
    assert_false(tsn_store_wants_whole(other));
    store_world_write(other, &others, 2);
    store_world_settle(other);
    must_not_fetch(scene.store, &scene.state, TSN_REMEDY_RECOVER);
    must_fetch(other, &others);
    tsn_store_close(other);
    tsn_fake_state_free(&others);
    tsn_fake_state_free(&loaded);
    end(&scene);
}

/* What was never stored, and what a checkpoint deleted. */
static void a_record_that_is_not_there_is_a_loss(void **state)
{
    (void)state;
    struct tsn_failure failure = {0};
    struct scene scene;
    begin(&scene, "absent");
    const uint8_t key[1][16] = {{1, 2, 3}};
    struct tsn_fake_state fetched;
    tsn_fake_state_init(&fetched, RECORDS, 0);
    assert_false(tsn_store_fetch(scene.store, TSN_SNAPSHOT_ENTITY, key, 1, tsn_fake_state_read,
                                 &fetched, &failure));
    assert_int_equal(failure.remedy, TSN_REMEDY_RECOVER);
    must_fetch(scene.store, &scene.state);
    tsn_fake_state_free(&fetched);
    end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(newest_versions_are_fetched_while_changes_are_folded,
                               store_world_empty),
        cmocka_unit_test_setup(a_checkpoint_that_is_being_written_disturbs_no_fetch,
                               store_world_empty),
        cmocka_unit_test_setup(newest_versions_are_fetched_from_a_chain_of_changes,
                               store_world_empty),
        cmocka_unit_test_setup(a_redis_that_is_away_is_asked_again, store_world_empty),
        cmocka_unit_test_setup(an_emptied_redis_is_a_loss, store_world_empty),
        cmocka_unit_test_setup(a_redis_that_was_rolled_back_is_a_loss, store_world_empty),
        cmocka_unit_test_setup(what_another_owner_wrote_is_not_taken_for_ours, store_world_empty),
        cmocka_unit_test_setup(a_record_that_is_not_there_is_a_loss, store_world_empty),
    };
    const struct CMUnitTest on_a_cluster[] = {
        cmocka_unit_test_setup(newest_versions_are_fetched_while_changes_are_folded,
                               store_world_empty),
        cmocka_unit_test_setup(a_checkpoint_that_is_being_written_disturbs_no_fetch,
                               store_world_empty),
    };
    int failed =
        cmocka_run_group_tests_name("redis_fetch", tests, store_world_begin, store_world_end);
    return failed + cmocka_run_group_tests_name("redis_fetch_cluster", on_a_cluster,
                                                store_world_begin_cluster, store_world_end);
}
