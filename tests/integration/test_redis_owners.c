/* Who owns the state on a real redis-server: claims, zombies, and who writes whole. */
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

/* ---- owners ---------------------------------------------------------------------------- */

static void zombie_loses_and_changes_nothing(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    struct tsn_fake_state state;
    struct tsn_fake_state other;
    struct tsn_store *zombie = store_world_claim("z");
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_init(&other, SMALL, 0);
    tsn_fake_state_fill(&state);
    store_world_write(zombie, &state, 1);
    store_world_settle(zombie);

    struct tsn_store *leader = store_world_open("z");
    store_world_load(leader, &other);
    assert_true(tsn_store_claim(leader, &failure));
    assert_false(tsn_store_wants_whole(leader));
    tsn_fake_state_change(&other, 100);
    store_world_write(leader, &other, 2);
    store_world_settle(leader);
    int64_t n_keys = tsn_redis_server_ask(&store_world.server, "DBSIZE");

    tsn_fake_state_change(&state, 100);
    assert_int_equal(store_world_try(zombie, &state, 2, &failure), TSN_STORE_FAILED);
    assert_int_equal(failure.remedy, TSN_REMEDY_STAND_BY);
    assert_int_equal(store_world_try(zombie, &state, 3, &failure), TSN_STORE_FAILED);
    assert_int_equal(failure.remedy, TSN_REMEDY_STAND_BY);
    assert_int_equal(tsn_redis_server_ask(&store_world.server, "DBSIZE"), n_keys);
    store_world_assert("z", &other, 2);
    store_world_write(leader, &other, 3);
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
    struct store_hand zombie;
    struct tsn_store *store = store_world_claim("zc");
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_fill(&state);
    store_world_write(store, &state, 1);
    store_world_settle(store);
    struct tsn_fake_state loaded;
    tsn_fake_state_init(&loaded, SMALL, 0);

    store_hand_open(&zombie, "zc");
    struct tsn_fake_state changed;
    tsn_fake_state_init(&changed, SMALL, 0);
    tsn_fake_state_copy(&changed, &state);
    tsn_fake_state_change(&changed, 100);
    store_hand_write(&zombie, &changed, "00000000000000bb");
    /* ... sleeps; somebody else takes over ... */
    struct tsn_store *leader = store_world_open("zc");
    store_world_load(leader, &loaded);
    assert_true(tsn_store_claim(leader, &failure));
    struct tsn_root next = zombie.root;
    strcpy(next.last, "00000000000000bb");
    strcpy(next.chain[next.n_chain++], "00000000000000bb");
    next.meta.sequence = 2;
    assert_int_equal(tsn_root_commit(&zombie.place, zombie.root.last, &next, &failure),
                     TSN_ROOT_OTHER);
    store_world_write(leader, &loaded, 2);
    store_world_settle(leader);
    assert_int_equal(tsn_root_commit(&zombie.place, zombie.root.last, &next, &failure),
                     TSN_ROOT_OTHER);
    store_hand_close(&zombie);
    store_world_assert("zc", &state, 2);
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
    struct store_hand hand;
    struct tsn_store *store = store_world_claim("late");
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_fill(&state);
    store_world_write(store, &state, 1);
    store_world_settle(store);
    tsn_fake_state_change(&state, 10);
    store_hand_open(&hand, "late");
    store_hand_write(&hand, &state, "00000000000000cc");
    struct tsn_root next = hand.root;
    strcpy(next.last, "00000000000000cc");
    strcpy(next.chain[next.n_chain++], "00000000000000cc");
    next.meta.sequence = 2;
    assert_int_equal(tsn_root_begin(&hand.place, &hand.root, "00000000000000dd", &failure),
                     TSN_ROOT_OK);
    assert_int_equal(tsn_root_commit(&hand.place, hand.root.last, &next, &failure), TSN_ROOT_STALE);
    store_hand_close(&hand);
    tsn_store_close(store);
    tsn_fake_state_free(&state);
}

static void whoever_did_not_load_the_last_checkpoint_writes_whole(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    struct tsn_fake_state state;
    struct tsn_fake_state followed;
    struct tsn_store *leader = store_world_claim("w");
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_init(&followed, SMALL, 0);
    tsn_fake_state_fill(&state);
    store_world_write(leader, &state, 1);
    store_world_settle(leader);
    struct tsn_store *standby = store_world_open("w");
    store_world_load(standby, &followed);
    tsn_fake_state_change(&state, 100);
    store_world_write(leader, &state, 2); /* after the standby's load */
    store_world_settle(leader);
    assert_true(tsn_store_claim(standby, &failure));
    assert_true(tsn_store_wants_whole(standby));
    int64_t n_keys = tsn_redis_server_ask(&store_world.server, "DBSIZE");
    tsn_fake_state_copy(&followed, &state);
    store_world_write(standby, &followed, 3);
    store_world_settle(standby);
    assert_false(tsn_store_wants_whole(standby));
    store_world_assert("w", &state, 3);
    assert_int_equal(tsn_redis_server_ask(&store_world.server, "DBSIZE"),
                     n_keys); /* old bases are gone */
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
    struct tsn_store *store = store_world_claim("order");
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_init(&loaded, SMALL, 0);
    tsn_fake_state_fill(&state);
    store_world_write(store, &state, 1);
    tsn_store_close(store);
    store = store_world_claim("order");
    assert_true(tsn_store_wants_whole(store)); /* not loaded yet */
    store_world_load(store, &loaded);
    assert_false(tsn_store_wants_whole(store));
    tsn_fake_state_change(&loaded, 100);
    store_world_write(store, &loaded, 2);
    store_world_settle(store);
    store_world_assert("order", &loaded, 2);
    tsn_store_close(store);
    tsn_fake_state_free(&loaded);
    tsn_fake_state_free(&state);
}

static void changes_instead_of_the_whole_that_was_wanted_are_refused(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    struct tsn_fake_state state;
    struct tsn_store *store = store_world_claim("half");
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_fill(&state);
    assert_true(tsn_store_wants_whole(store));
    tsn_fake_state_cut(&state, false, tsn_store_collect, store);
    tsn_store_begin(store, &(struct tsn_checkpoint_meta){.sequence = 1});
    assert_int_equal(tsn_store_wait(store, STORE_WORLD_WAIT_MS, &failure), TSN_STORE_FAILED);
    assert_int_equal(failure.remedy, TSN_REMEDY_RETRY);
    store_world_write(store, &state, 2);
    store_world_assert("half", &state, 2);
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
    struct tsn_store *leader = store_world_claim("live");
    struct tsn_store *standby = store_world_open("live");
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
            meta = store_world_load(standby, &loaded);
            assert_in_range(meta.sequence, k - 1, k);
            tsn_fake_state_assert_equal(&loaded, &at[meta.sequence]);
        }
        assert_int_equal(tsn_store_wait(leader, STORE_WORLD_WAIT_MS, &failure), TSN_STORE_DONE);
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
    struct tsn_store *one = store_world_claim("one");
    struct tsn_store *two = store_world_claim("two");
    tsn_fake_state_init(&a, SMALL, 1);
    tsn_fake_state_init(&b, SMALL, 2);
    tsn_fake_state_fill(&a);
    tsn_fake_state_change(&b, SMALL);
    store_world_write(one, &a, 1);
    store_world_write(two, &b, 9);
    store_world_assert("one", &a, 1);
    store_world_assert("two", &b, 9);
    tsn_store_close(one);
    tsn_store_close(two);
    tsn_fake_state_free(&a);
    tsn_fake_state_free(&b);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, store_world_empty)
    const struct CMUnitTest tests[] = {
        T(zombie_loses_and_changes_nothing),
        T(zombie_that_wakes_before_its_commit_loses_it),
        T(commit_executed_late_fails_once_another_was_announced),
        T(whoever_did_not_load_the_last_checkpoint_writes_whole),
        T(owner_that_claims_and_then_loads_goes_on_with_changes),
        T(changes_instead_of_the_whole_that_was_wanted_are_refused),
        T(load_during_checkpoints_sees_one_of_them_whole),
        T(instances_do_not_see_each_other),
    };
    return cmocka_run_group_tests_name("redis_owners", tests, store_world_begin, store_world_end);
}
