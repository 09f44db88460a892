/* Checkpoints on a real Redis Cluster of three masters: as on one server, while slots
 * move, nodes die and come back, and nodes forget what others still know. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "connectors/redis/cluster.h"
#include "tests/fixture/store_world.h"

enum { SMALL = 5000 };

#define CLUSTER (&store_world.cluster)

/* Moves a hash slot with its keys, all at once as far as clients can see. */
static void move_slot(unsigned slot, unsigned from, unsigned to)
{
    tsn_redis_cluster_open_slot(CLUSTER, slot, from, to);
    while (tsn_redis_cluster_move_keys(CLUSTER, slot, from, to, 100) > 0) {
    }
    tsn_redis_cluster_close_slot(CLUSTER, slot, to);
}

/* ---- as on one server ------------------------------------------------------------------ */

static void checkpoints_on_three_masters_come_back_equal(void **unused)
{
    (void)unused;
    struct tsn_fake_state state;
    struct tsn_store *store = store_world_written("big", &state, 100000);
    store_world_assert("big", &state, 1);
    for (uint64_t k = 2; k <= 5; k++) {
        tsn_fake_state_change(&state, 20000);
        store_world_write(store, &state, k);
    }
    store_world_assert("big", &state, 5); /* while it is being folded, too */
    store_world_settle(store);
    store_world_assert("big", &state, 5);
    for (unsigned i = 0; i < CLUSTER->n; i++) {
        assert_true(tsn_redis_server_ask(&CLUSTER->nodes[i], "DBSIZE") > TSN_LAYOUT_SLOTS / 3);
    }
    tsn_store_close(store);
    tsn_fake_state_free(&state);
}

static void any_node_leads_to_all_of_them(void **unused)
{
    (void)unused;
    struct tsn_fake_state state;
    struct tsn_fake_state loaded;
    struct tsn_failure failure = {0};
    tsn_store_close(store_world_written("any", &state, SMALL));
    tsn_fake_state_init(&loaded, SMALL, 0);
    for (unsigned i = 0; i < 2 * CLUSTER->n; i++) {
        struct tsn_config config = store_world_config("any");
        const struct tsn_redis_server *node = &CLUSTER->nodes[i / 2];
        config.redis.port = node->port;
        config.redis.unix_socket = i % 2 == 0 ? NULL : node->socket;
        struct tsn_store *store = tsn_store_open(&config, store_world.keys, &failure);
        if (!store) {
            fail_msg("%s", failure.text);
        }
        store_world_load(store, &loaded);
        tsn_fake_state_assert_equal(&loaded, &state);
        tsn_store_close(store);
    }
    tsn_fake_state_free(&loaded);
    tsn_fake_state_free(&state);
}

static void every_master_is_checked_and_the_wrong_one_named(void **unused)
{
    (void)unused;
    struct tsn_config config = store_world_config("check");
    char port[12];
    for (unsigned i = 0; i < CLUSTER->n; i++) {
        const struct tsn_redis_server *node = &CLUSTER->nodes[i];
        snprintf(port, sizeof port, ":%u ", (unsigned)node->port);
        tsn_redis_server_ask(node, "CONFIG SET maxmemory-policy allkeys-lru");
        store_world_assert_open_fails(&config, TSN_REMEDY_CONFIG,
                                      "maxmemory-policy is allkeys-lru");
        store_world_assert_open_fails(&config, TSN_REMEDY_CONFIG, port);
        tsn_redis_server_ask(node, "CONFIG SET maxmemory-policy noeviction");
        tsn_redis_server_ask(node, "CONFIG SET appendonly no");
        struct tsn_store *store = store_world_open("check");
        assert_non_null(strstr(tsn_store_warning(store), "appendonly"));
        assert_non_null(strstr(tsn_store_warning(store), port + 1));
        tsn_store_close(store);
        tsn_redis_server_ask(node, "CONFIG SET appendonly yes");
    }
    config.redis.database = 2;
    store_world_assert_open_fails(&config, TSN_REMEDY_CONFIG, "set redis.database to 0");
}

static void scripts_forgotten_by_one_node_are_sent_again(void **unused)
{
    (void)unused;
    struct tsn_fake_state state;
    struct tsn_store *store = store_world_written("ns", &state, SMALL);
    for (uint64_t k = 2; k <= 4; k++) {
        tsn_redis_server_ask(&CLUSTER->nodes[k - 2], "SCRIPT FLUSH");
        tsn_fake_state_change(&state, 100);
        store_world_write(store, &state, k);
        store_world_settle(store);
    }
    store_world_assert("ns", &state, 4);
    assert_false(tsn_store_wants_whole(store));
    tsn_store_close(store);
    tsn_fake_state_free(&state);
}

/* ---- slots that move ------------------------------------------------------------------- */

static void a_slot_that_moved_is_found(void **unused)
{
    (void)unused;
    struct tsn_fake_state state;
    struct tsn_store *store = store_world_written("moved", &state, SMALL);
    uint64_t sequence = 1;
    for (unsigned round = 0; round < 4; round++) {
        /* The root's, and some of the layout's. */
        for (unsigned i = 0; i < 8; i++) {
            const char *key = i == 0 ? store_world_root_key("moved")
                                     : store_world_slot_key("moved", 31 * i + round);
            unsigned from = tsn_redis_cluster_owner(CLUSTER, key);
            move_slot(tsn_cluster_slot(key), from, (from + 1) % CLUSTER->n);
        }
        tsn_fake_state_change(&state, 500);
        store_world_write(store, &state, ++sequence);
        store_world_settle(store);
        assert_false(tsn_store_wants_whole(store));
        store_world_assert("moved", &state, sequence);
    }
    tsn_store_close(store);
    tsn_fake_state_free(&state);
}

/* Half of a slot's keys are ahead: each is asked for where it is. */
static void keys_that_went_ahead_are_asked_for(void **unused)
{
    (void)unused;
    struct tsn_fake_state state;
    struct tsn_store *store = store_world_written("ask", &state, SMALL);
    /* A reader's lease holds folding back, so that a slot has base, at and two deltas. */
    const char *root = store_world_root_key("ask");
    const struct tsn_redis_server *node = &CLUSTER->nodes[tsn_redis_cluster_owner(CLUSTER, root)];
    tsn_redis_server_ask(node, "SET tocsin:1:{ask}:reader x EX 600");
    for (uint64_t k = 2; k <= 3; k++) {
        tsn_fake_state_change(&state, 1000);
        store_world_write(store, &state, k);
    }
    tsn_store_close(store);
    const char *key = store_world_slot_key("ask", 9);
    unsigned slot = tsn_cluster_slot(key);
    unsigned from = tsn_redis_cluster_owner(CLUSTER, key);
    unsigned to = (from + 1) % CLUSTER->n;
    tsn_redis_cluster_open_slot(CLUSTER, slot, from, to);
    for (unsigned moved = 0; moved <= 4; moved++) {
        store_world_assert("ask", &state, 3);
        assert_int_equal(tsn_redis_cluster_move_keys(CLUSTER, slot, from, to, 1), moved < 4);
    }
    tsn_redis_cluster_close_slot(CLUSTER, slot, to);
    store_world_assert("ask", &state, 3);
    tsn_fake_state_free(&state);
}

static struct tsn_reply *reply_to_next(struct tsn_redis *redis)
{
    struct tsn_failure failure = {0};
    struct tsn_reply *reply = tsn_redis_take(redis, &failure);
    if (!reply) {
        fail_msg("%s", failure.text);
    }
    return reply;
}

/* A reader of several keys relies on their order: what comes after a command that was sent
 * elsewhere is executed after it, if need be again. */
static void commands_of_a_slot_stay_in_order_when_one_is_sent_elsewhere(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    const struct tsn_redis_address address = {.host = "127.0.0.1", .port = CLUSTER->nodes[0].port};
    const struct tsn_redis_part ahead[] = {{"APPEND", 6}, {"{order}ahead", 12}, {"x", 1}};
    const struct tsn_redis_part behind[] = {{"INCR", 4}, {"{order}behind", 13}};
    const struct tsn_redis_part other[] = {{"INCR", 4}, {"another", 7}};
    unsigned slot = tsn_cluster_slot("{order}");
    unsigned from = tsn_redis_cluster_owner(CLUSTER, "{order}");
    unsigned to = (from + 1) % CLUSTER->n;
    struct tsn_redis *redis = tsn_redis_new(&address);
    assert_true(tsn_redis_connect(redis, NULL, &failure));
    tsn_reply_free(tsn_redis_ask(redis, "{order}behind", 2, behind, &failure));
    tsn_redis_cluster_open_slot(CLUSTER, slot, from, to);
    for (int i = 0; i < 2; i++) {
        tsn_redis_append(redis, "{order}ahead", 3, ahead);
        tsn_redis_append(redis, "{order}behind", 2, behind);
        tsn_redis_append(redis, "another", 2, other);
    }
    /* Both INCR were executed before the first APPEND was sent elsewhere: again after it,
     * and the second once more after the second APPEND. */
    static const int64_t expected[] = {1, 4, 1, 2, 5, 2};
    for (int i = 0; i < 6; i++) {
        struct tsn_reply *reply = reply_to_next(redis);
        assert_int_equal(tsn_reply_integer(reply), expected[i]);
        tsn_reply_free(reply);
    }
    assert_int_equal(tsn_redis_pending(redis), 0);
    tsn_redis_free(redis);
    while (tsn_redis_cluster_move_keys(CLUSTER, slot, from, to, 10) > 0) {
    }
    tsn_redis_cluster_close_slot(CLUSTER, slot, to);
}

/* A script whose keys are on both sides can run on neither. */
static void a_script_waits_until_its_keys_are_together_again(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    struct tsn_fake_state state;
    tsn_store_close(store_world_written("again", &state, SMALL));
    struct tsn_config config = store_world_config("again");
    config.redis.timeout_ms = 1000;
    struct tsn_store *store = tsn_store_open(&config, store_world.keys, &failure);
    assert_non_null(store);
    assert_true(tsn_store_claim(store, &failure));
    unsigned slot = tsn_cluster_slot(store_world_root_key("again"));
    unsigned from = tsn_redis_cluster_owner(CLUSTER, store_world_root_key("again"));
    unsigned to = (from + 1) % CLUSTER->n;
    /* The root is there, the reader's lease that a commit looks for is nowhere. */
    tsn_redis_cluster_open_slot(CLUSTER, slot, from, to);
    assert_int_equal(store_world_try(store, &state, 2, &failure), TSN_STORE_FAILED);
    assert_int_equal(failure.remedy, TSN_REMEDY_RETRY);
    assert_non_null(strstr(failure.text, "moving the slot"));
    store_world_assert("again", &state, 1);
    while (tsn_redis_cluster_move_keys(CLUSTER, slot, from, to, 10) > 0) {
    }
    tsn_redis_cluster_close_slot(CLUSTER, slot, to);
    tsn_fake_state_change(&state, 100);
    store_world_write(store, &state, 3);
    store_world_assert("again", &state, 3);
    tsn_store_close(store);
    tsn_fake_state_free(&state);
}

struct mover {
    const char *instance;
    atomic_bool stop;
    unsigned n_moved;
};

/* Moves slots of the layout, and the root's, from node to node, key by key. */
static void *keep_moving(void *user)
{
    struct mover *mover = user;
    for (unsigned i = 0; !atomic_load(&mover->stop); i++) {
        char key[TSN_LAYOUT_KEY_MAX];
        if (i % 8 == 7) {
            snprintf(key, sizeof key, "tocsin:1:{%s}:root", mover->instance);
        } else {
            snprintf(key, sizeof key, "tocsin:1:{%s.%u}:b:", mover->instance,
                     i * 37 % TSN_LAYOUT_SLOTS);
        }
        unsigned slot = tsn_cluster_slot(key);
        unsigned from = tsn_redis_cluster_owner(CLUSTER, key);
        unsigned to = (from + 1 + i % 2) % CLUSTER->n;
        tsn_redis_cluster_open_slot(CLUSTER, slot, from, to);
        while (tsn_redis_cluster_move_keys(CLUSTER, slot, from, to, 1) > 0) {
            store_world_nap(1);
        }
        store_world_nap(2);
        while (tsn_redis_cluster_move_keys(CLUSTER, slot, from, to, 1) > 0) {
        }
        tsn_redis_cluster_close_slot(CLUSTER, slot, to);
        mover->n_moved++;
    }
    return NULL;
}

static void checkpoints_go_on_while_slots_move(void **unused)
{
    (void)unused;
    enum { ROUNDS = 60 };
    struct tsn_fake_state state;
    struct tsn_fake_state loaded;
    struct mover mover = {.instance = "moving"};
    pthread_t thread;
    struct tsn_store *store = store_world_written("moving", &state, 20000);
    struct tsn_store *reader = store_world_open("moving");
    tsn_fake_state_init(&loaded, state.n, 0);
    assert_int_equal(pthread_create(&thread, NULL, keep_moving, &mover), 0);
    for (uint64_t k = 2; k <= ROUNDS; k++) {
        tsn_fake_state_change(&state, 2000);
        store_world_write(store, &state, k);
        assert_false(tsn_store_wants_whole(store));
        if (k % 3 == 0) { /* beside the folding, and the moving */
            struct tsn_checkpoint_meta meta = store_world_load(reader, &loaded);
            assert_int_equal(meta.sequence, k);
            tsn_fake_state_assert_equal(&loaded, &state);
        }
    }
    atomic_store(&mover.stop, true);
    pthread_join(thread, NULL);
    print_message("%u slots were moved under %d checkpoints\n", mover.n_moved, (int)ROUNDS);
    assert_true(mover.n_moved > 10);
    store_world_settle(store);
    assert_false(tsn_store_wants_whole(store));
    store_world_assert("moving", &state, ROUNDS);
    tsn_store_close(reader);
    tsn_store_close(store);
    tsn_fake_state_free(&loaded);
    tsn_fake_state_free(&state);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, store_world_empty)
    const struct CMUnitTest tests[] = {
        T(checkpoints_on_three_masters_come_back_equal),
        T(any_node_leads_to_all_of_them),
        T(every_master_is_checked_and_the_wrong_one_named),
        T(scripts_forgotten_by_one_node_are_sent_again),
        T(a_slot_that_moved_is_found),
        T(keys_that_went_ahead_are_asked_for),
        T(commands_of_a_slot_stay_in_order_when_one_is_sent_elsewhere),
        T(a_script_waits_until_its_keys_are_together_again),
        T(checkpoints_go_on_while_slots_move),
    };
    return cmocka_run_group_tests_name("redis_cluster", tests, store_world_begin_cluster,
                                       store_world_end);
}
