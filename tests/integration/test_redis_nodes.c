/* Nodes of a real Redis Cluster that die, hang, forget and go back by themselves: no
 * mixture of what they hold is ever taken for a checkpoint.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/fixture/store_world.h"

enum { SMALL = 5000 };

#define CLUSTER (&store_world.cluster)

/* ---- nodes that fail by themselves --------------------------------------------------------- */

/* The node of the root, and one that is not. */
static unsigned root_node(const char *instance)
{
    return tsn_redis_cluster_owner(CLUSTER, store_world_root_key(instance));
}

static unsigned other_node(const char *instance)
{
    return (root_node(instance) + 1) % CLUSTER->n;
}

static void bring_back(unsigned node)
{
    tsn_redis_server_restart(&CLUSTER->nodes[node]);
    tsn_redis_cluster_await(CLUSTER, "ok");
}

/* A root, a base and its `at` a slot, and nothing else on any node: no rubbish stays. */
static void assert_clean(struct tsn_store *store, struct tsn_fake_state *state, uint64_t sequence)
{
    int64_t n_keys = 0;
    for (uint64_t k = 0; k < 3; k++) { /* rubbish is deleted twice */
        store_world_write(store, state, sequence + k);
        store_world_settle(store);
    }
    for (unsigned i = 0; i < CLUSTER->n; i++) {
        n_keys += tsn_redis_server_ask(&CLUSTER->nodes[i], "DBSIZE");
    }
    assert_int_equal(n_keys, 2 * TSN_LAYOUT_SLOTS + 1);
}

static void node_that_is_away_is_waited_for(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    struct tsn_fake_state state;
    struct tsn_store *store = store_world_written("away", &state, SMALL);
    uint64_t sequence = 1;
    char port[12];
    for (unsigned i = 0; i < CLUSTER->n; i++) {
        snprintf(port, sizeof port, ":%u ", (unsigned)CLUSTER->nodes[i].port);
        tsn_redis_server_kill(&CLUSTER->nodes[i]);
        tsn_fake_state_change(&state, 100);
        assert_int_equal(store_world_try(store, &state, ++sequence, &failure), TSN_STORE_FAILED);
        assert_int_equal(failure.remedy, TSN_REMEDY_RETRY);
        struct tsn_config config = store_world_config("away");
        store_world_assert_open_fails(&config, TSN_REMEDY_RETRY, port);
        if (i == 1) { /* until the others know that it is away */
            tsn_redis_cluster_await(CLUSTER, "fail");
            store_world_assert_open_fails(&config, TSN_REMEDY_RETRY, port);
            tsn_fake_state_change(&state, 100);
            assert_int_equal(store_world_try(store, &state, ++sequence, &failure),
                             TSN_STORE_FAILED);
            assert_int_equal(failure.remedy, TSN_REMEDY_RETRY);
        }
        bring_back(i);
        tsn_fake_state_change(&state, 100);
        store_world_write(store, &state, ++sequence);
        store_world_settle(store);
        assert_false(tsn_store_wants_whole(store));
        store_world_assert("away", &state, sequence);
    }
    tsn_store_close(store);
    tsn_fake_state_free(&state);
}

static void node_that_hangs_costs_the_time_out_and_no_more(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    struct tsn_fake_state state;
    tsn_store_close(store_world_written("hangs", &state, SMALL));
    struct tsn_config config = store_world_config("hangs");
    config.redis.timeout_ms = 1000;
    struct tsn_store *store = tsn_store_open(&config, store_world.keys, &failure);
    assert_non_null(store);
    assert_true(tsn_store_claim(store, &failure));
    struct tsn_redis_server *node = &CLUSTER->nodes[other_node("hangs")];
    tsn_redis_server_freeze(node);
    assert_int_equal(store_world_try(store, &state, 2, &failure), TSN_STORE_FAILED);
    assert_int_equal(failure.remedy, TSN_REMEDY_RETRY);
    assert_non_null(strstr(failure.text, "no answer within 1000 ms"));
    tsn_redis_server_thaw(node);
    tsn_redis_cluster_await(CLUSTER, "ok");
    tsn_fake_state_change(&state, 100);
    store_world_write(store, &state, 3);
    store_world_assert("hangs", &state, 3);
    tsn_store_close(store);
    tsn_fake_state_free(&state);
}

/* One node forgot all it had, the root's did not: its owner finds out when it folds. */
static void node_that_was_emptied_is_noticed_and_written_anew(void **unused)
{
    (void)unused;
    struct tsn_fake_state state;
    struct tsn_store *store = store_world_written("empty", &state, SMALL);
    tsn_redis_server_ask(&CLUSTER->nodes[other_node("empty")], "FLUSHALL");
    store_world_assert_fails("empty", SMALL, TSN_REMEDY_CONFIG, "rebuilt from Kafka");
    tsn_fake_state_change(&state, 100);
    store_world_write(store, &state, 2);
    store_world_settle(store);
    assert_true(tsn_store_wants_whole(store));
    store_world_assert_fails("empty", SMALL, TSN_REMEDY_CONFIG, "rebuilt from Kafka");
    tsn_fake_state_change(&state, 100);
    store_world_write(store, &state, 3);
    store_world_assert("empty", &state, 3);
    assert_clean(store, &state, 4);
    tsn_store_close(store);
    tsn_fake_state_free(&state);
}

/* ... and the other way round: its owner finds out before it writes. */
static void root_that_was_emptied_is_noticed_and_all_written_anew(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    struct tsn_checkpoint_meta meta;
    struct tsn_fake_state state;
    struct tsn_store *store = store_world_written("noroot", &state, SMALL);
    tsn_redis_server_ask(&CLUSTER->nodes[root_node("noroot")], "FLUSHALL");
    struct tsn_store *reader = store_world_open("noroot");
    assert_true(tsn_store_meta(reader, &meta, &failure));
    assert_int_equal(meta.sequence, 0); /* nothing is stored: rebuilt from Kafka */
    tsn_store_close(reader);
    tsn_fake_state_change(&state, 100);
    assert_int_equal(store_world_try(store, &state, 2, &failure), TSN_STORE_FAILED);
    assert_non_null(strstr(failure.text, "emptied"));
    assert_true(tsn_store_wants_whole(store));
    store_world_write(store, &state, 3);
    store_world_assert("noroot", &state, 3);
    assert_clean(store, &state, 4);
    tsn_store_close(store);
    tsn_fake_state_free(&state);
}

/* Nobody who lives remembers what lay beside the root that was lost. */
static void rubbish_beside_a_lost_root_is_found_by_whoever_makes_a_new_one(void **unused)
{
    (void)unused;
    struct tsn_fake_state state;
    struct tsn_store *store = store_world_written("lost", &state, SMALL);
    tsn_redis_server_ask(&CLUSTER->nodes[root_node("lost")], "SET tocsin:1:{lost}:reader x EX 600");
    tsn_fake_state_change(&state, 300);
    store_world_write(store, &state, 2); /* a generation of bases, and a delta */
    tsn_store_close(store);
    tsn_redis_server_ask(&CLUSTER->nodes[root_node("lost")], "FLUSHALL");
    store = store_world_claim("lost");
    assert_true(tsn_store_wants_whole(store));
    store_world_write(store, &state, 3);
    store_world_assert("lost", &state, 3);
    assert_clean(store, &state, 4);
    tsn_store_close(store);
    tsn_fake_state_free(&state);
}

/* What a fail-over to a replica that was behind does to one node. */
static void go_back(unsigned node)
{
    tsn_redis_server_kill(&CLUSTER->nodes[node]);
    tsn_redis_server_roll_back(&CLUSTER->nodes[node]);
    bring_back(node);
}

static void remember(unsigned node)
{
    tsn_redis_server_stop(&CLUSTER->nodes[node]);
    tsn_redis_server_save_folder(&CLUSTER->nodes[node]);
    bring_back(node);
}

static void node_that_went_back_is_noticed_and_written_anew(void **unused)
{
    (void)unused;
    struct tsn_fake_state state;
    struct tsn_store *store = store_world_written("back", &state, SMALL);
    uint64_t sequence = 1;
    unsigned node = other_node("back");
    for (unsigned apart = 1; apart <= 3; apart++) { /* checkpoints that it forgets */
        remember(node);
        for (unsigned i = 0; i < apart; i++) {
            tsn_fake_state_change(&state, 300);
            store_world_write(store, &state, ++sequence);
            store_world_settle(store);
        }
        store_world_assert("back", &state, sequence);
        go_back(node);
        store_world_assert_fails("back", SMALL, TSN_REMEDY_CONFIG, "rebuilt from Kafka");
        tsn_fake_state_change(&state, 100);
        store_world_write(store, &state, ++sequence);
        store_world_settle(store);
        assert_true(tsn_store_wants_whole(store));
        store_world_assert_fails("back", SMALL, TSN_REMEDY_CONFIG, "rebuilt from Kafka");
        tsn_fake_state_change(&state, 100);
        store_world_write(store, &state, ++sequence);
        store_world_assert("back", &state, sequence);
        assert_clean(store, &state, sequence + 1);
        sequence += 3;
    }
    tsn_store_close(store);
    tsn_fake_state_free(&state);
}

/* The node lost the part that it had acknowledged before the root was set. */
static void part_lost_between_its_acknowledgement_and_the_root_is_missed(void **unused)
{
    (void)unused;
    struct tsn_fake_state state;
    struct tsn_store *store = store_world_written("part", &state, SMALL);
    unsigned node = other_node("part");
    tsn_redis_server_ask(&CLUSTER->nodes[root_node("part")],
                         "SET tocsin:1:{part}:reader x EX 600"); /* nothing is folded */
    remember(node);
    tsn_fake_state_change(&state, 300);
    store_world_write(store, &state, 2);
    store_world_assert("part", &state, 2);
    go_back(node);
    store_world_assert_fails("part", SMALL, TSN_REMEDY_CONFIG, "missing");
    tsn_redis_server_ask(&CLUSTER->nodes[root_node("part")], "DEL tocsin:1:{part}:reader");
    tsn_fake_state_change(&state, 100);
    store_world_write(store, &state, 3);
    store_world_settle(store);
    assert_true(tsn_store_wants_whole(store));
    store_world_write(store, &state, 4);
    store_world_assert("part", &state, 4);
    assert_clean(store, &state, 5);
    tsn_store_close(store);
    tsn_fake_state_free(&state);
}

static void root_that_went_back_is_noticed_and_all_written_anew(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    struct tsn_fake_state state;
    struct tsn_store *store = store_world_written("rback", &state, SMALL);
    unsigned node = root_node("rback");
    uint64_t sequence = 1;
    for (unsigned apart = 1; apart <= 2; apart++) {
        remember(node);
        for (unsigned i = 0; i < apart; i++) {
            tsn_fake_state_change(&state, 300);
            store_world_write(store, &state, ++sequence);
            store_world_settle(store);
        }
        if (apart == 2) { /* a generation of which the older root knows nothing */
            struct tsn_checkpoint_meta meta = {.sequence = ++sequence, .whole = true};
            tsn_fake_state_cut(&state, true, tsn_store_collect, store);
            tsn_store_begin(store, &meta);
            assert_int_equal(tsn_store_wait(store, STORE_WORLD_WAIT_MS, &failure), TSN_STORE_DONE);
            store_world_settle(store);
        }
        go_back(node);
        store_world_assert_fails("rback", SMALL, TSN_REMEDY_CONFIG, "rebuilt from Kafka");
        tsn_fake_state_change(&state, 100);
        assert_int_equal(store_world_try(store, &state, ++sequence, &failure), TSN_STORE_FAILED);
        assert_int_equal(failure.remedy, TSN_REMEDY_RETRY);
        assert_non_null(strstr(failure.text, "rolled back"));
        assert_true(tsn_store_wants_whole(store));
        store_world_write(store, &state, ++sequence);
        store_world_assert("rback", &state, sequence);
        assert_clean(store, &state, sequence + 1);
        sequence += 3;
    }
    tsn_store_close(store);
    tsn_fake_state_free(&state);
}

/* Nothing was folded meanwhile: the older root is right about every slot. */
static void root_that_went_back_alone_is_the_checkpoint_that_it_says(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    struct tsn_fake_state state;
    struct tsn_fake_state older;
    struct tsn_store *store = store_world_written("older", &state, SMALL);
    unsigned node = root_node("older");
    tsn_redis_server_ask(&CLUSTER->nodes[node], "SET tocsin:1:{older}:reader x EX 600");
    tsn_fake_state_change(&state, 300);
    store_world_write(store, &state, 2);
    tsn_fake_state_init(&older, SMALL, 0);
    tsn_fake_state_copy(&older, &state);
    remember(node);
    for (uint64_t k = 3; k <= 4; k++) {
        tsn_fake_state_change(&state, 300);
        store_world_write(store, &state, k);
    }
    store_world_assert("older", &state, 4);
    go_back(node);
    store_world_assert("older", &older, 2);
    tsn_redis_server_ask(&CLUSTER->nodes[node], "DEL tocsin:1:{older}:reader");
    tsn_fake_state_change(&state, 100);
    assert_int_equal(store_world_try(store, &state, 5, &failure), TSN_STORE_FAILED);
    assert_non_null(strstr(failure.text, "rolled back"));
    store_world_assert("older", &older, 2);
    store_world_write(store, &state, 6);
    store_world_assert("older", &state, 6);
    assert_clean(store, &state, 7); /* the parts of 3 and 4 are on the other nodes */
    tsn_store_close(store);
    tsn_fake_state_free(&older);
    tsn_fake_state_free(&state);
}

struct killer {
    unsigned node;
    long after_ms;
};

static void *kill_later(void *user)
{
    const struct killer *killer = user;
    store_world_nap(killer->after_ms);
    tsn_redis_server_kill(&CLUSTER->nodes[killer->node]);
    return NULL;
}

static void kill_of_any_node_at_any_moment_leaves_a_whole_checkpoint(void **unused)
{
    (void)unused;
    enum { ROUNDS = 12 };
    struct tsn_failure failure = {0};
    struct tsn_fake_state state;
    struct tsn_fake_state acknowledged;
    struct tsn_fake_state loaded;
    struct tsn_store *store = store_world_written("kill", &state, 20000);
    uint64_t sequence = 1;
    tsn_fake_state_init(&acknowledged, state.n, 1);
    tsn_fake_state_init(&loaded, state.n, 1);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct killer killer = {.node = round % CLUSTER->n, .after_ms = 2 + 7 * (long)round};
        enum tsn_store_progress progress;
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, kill_later, &killer), 0);
        do {
            tsn_fake_state_copy(&acknowledged, &state);
            tsn_fake_state_change(&state, 3000);
            progress = store_world_try(store, &state, ++sequence, &failure);
        } while (progress == TSN_STORE_DONE);
        assert_int_equal(failure.remedy, TSN_REMEDY_RETRY);
        pthread_join(thread, NULL);
        bring_back(killer.node);
        struct tsn_store *reader = store_world_open("kill");
        struct tsn_checkpoint_meta meta = store_world_load(reader, &loaded);
        tsn_store_close(reader);
        /* The last that was acknowledged, or the one whose answer was lost. */
        assert_in_range(meta.sequence, sequence - 1, sequence);
        tsn_fake_state_assert_equal(&loaded, meta.sequence == sequence ? &state : &acknowledged);
        tsn_fake_state_change(&state, 10);
        store_world_write(store, &state, ++sequence);
        assert_false(tsn_store_wants_whole(store));
    }
    store_world_settle(store);
    store_world_assert("kill", &state, sequence);
    tsn_store_close(store);
    tsn_fake_state_free(&loaded);
    tsn_fake_state_free(&acknowledged);
    tsn_fake_state_free(&state);
}

/* ---- fail-over: last, because the cluster has four nodes after it --------------------------- */

static void replica_that_takes_over_is_found(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    struct tsn_fake_state state;
    char command[64];
    char id[41];
    char info[8192];
    struct tsn_store *store = store_world_written("fail", &state, SMALL); /* by node 0 */
    unsigned replica = tsn_redis_cluster_join(CLUSTER);
    tsn_redis_cluster_id(CLUSTER, 0, id);
    snprintf(command, sizeof command, "CLUSTER REPLICATE %s", id);
    tsn_redis_server_ask(&CLUSTER->nodes[replica], command);
    do {
        store_world_nap(10);
        tsn_redis_server_text(&CLUSTER->nodes[replica], "INFO replication", info, sizeof info);
    } while (!strstr(info, "master_link_status:up"));
    /* A replica leads to the masters, too. */
    struct tsn_config config = store_world_config("fail");
    config.redis.port = CLUSTER->nodes[replica].port;
    struct tsn_store *by_replica = tsn_store_open(&config, store_world.keys, &failure);
    assert_non_null(by_replica);
    tsn_store_close(by_replica);

    /* The node that is configured dies: the others are known. */
    tsn_fake_state_change(&state, 100);
    store_world_write(store, &state, 2);
    store_world_settle(store);
    assert_int_equal(tsn_redis_server_ask(&CLUSTER->nodes[0], "WAIT 1 10000"), 1);
    tsn_redis_server_kill(&CLUSTER->nodes[0]);
    tsn_fake_state_change(&state, 100);
    assert_int_equal(store_world_try(store, &state, 3, &failure), TSN_STORE_FAILED);
    assert_int_equal(failure.remedy, TSN_REMEDY_RETRY);
    tsn_redis_cluster_await(CLUSTER, "fail");
    tsn_redis_cluster_await(CLUSTER, "ok");
    int tries = 0;
    while (store_world_try(store, &state, 4, &failure) != TSN_STORE_DONE && ++tries < 50) {
        store_world_nap(100); /* the back-off of connecting */
    }
    store_world_settle(store);
    assert_false(tsn_store_wants_whole(store)); /* the replica had everything */
    struct tsn_fake_state loaded;
    tsn_fake_state_init(&loaded, SMALL, 0);
    config.redis.port = CLUSTER->nodes[1].port;
    struct tsn_store *reader = tsn_store_open(&config, store_world.keys, &failure);
    assert_non_null(reader);
    assert_int_equal(store_world_load(reader, &loaded).sequence, 4);
    tsn_fake_state_assert_equal(&loaded, &state);
    tsn_store_close(reader);

    /* Back, it is a replica, and as good a way in as any. */
    bring_back(0);
    tsn_fake_state_change(&state, 100);
    store_world_write(store, &state, 5);
    store_world_assert("fail", &state, 5);
    tsn_store_close(store);
    tsn_fake_state_free(&loaded);
    tsn_fake_state_free(&state);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, store_world_empty)
    const struct CMUnitTest tests[] = {
        T(node_that_is_away_is_waited_for),
        T(node_that_hangs_costs_the_time_out_and_no_more),
        T(node_that_was_emptied_is_noticed_and_written_anew),
        T(root_that_was_emptied_is_noticed_and_all_written_anew),
        T(rubbish_beside_a_lost_root_is_found_by_whoever_makes_a_new_one),
        T(node_that_went_back_is_noticed_and_written_anew),
        T(part_lost_between_its_acknowledgement_and_the_root_is_missed),
        T(root_that_went_back_is_noticed_and_all_written_anew),
        T(root_that_went_back_alone_is_the_checkpoint_that_it_says),
        T(kill_of_any_node_at_any_moment_leaves_a_whole_checkpoint),
        T(replica_that_takes_over_is_found),
    };
    return cmocka_run_group_tests_name("redis_nodes", tests, store_world_begin_cluster,
                                       store_world_end);
}
