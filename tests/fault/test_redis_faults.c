/* A redis-server that refuses, forgets, stalls, fills up and dies: what the store
 * says, and that no checkpoint is half there afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/fixture/store_world.h"

static struct tsn_config config_of(const struct tsn_redis_server *server)
{
    return store_world_config_of(server, "faults");
}

static void assert_open_fails(const struct tsn_config *config, enum tsn_remedy remedy,
                              const char *text)
{
    struct tsn_failure failure = {0};
    assert_null(tsn_store_open(config, store_world.keys, &failure));
    if (failure.remedy != remedy || !strstr(failure.text, text)) {
        fail_msg("%s: '%s' does not say '%s'", tsn_remedy_name(failure.remedy), failure.text, text);
    }
}

/* Opens, writes, loads: a server on which all of it works. */
static void assert_works(const struct tsn_config *config)
{
    struct tsn_fake_state state;
    struct tsn_store *store = store_world_claim_at(config);
    tsn_fake_state_init(&state, 2000, 1);
    tsn_fake_state_fill(&state);
    for (uint64_t k = 1; k <= 3; k++) {
        store_world_write(store, &state, k);
        tsn_fake_state_change(&state, 50);
    }
    store_world_write(store, &state, 4);
    tsn_store_close(store);
    store_world_assert_at(config, &state, 4);
    tsn_fake_state_free(&state);
}

/* ---- refusals ---------------------------------------------------------------------------- */

static void host_port_and_database_are_used(void **unused)
{
    (void)unused;
    struct tsn_redis_server server;
    tsn_redis_server_start(&server, NULL);
    struct tsn_config config = config_of(&server);
    config.redis.unix_socket = NULL;
    config.redis.host = "127.0.0.1";
    config.redis.port = server.port;
    config.redis.database = 3;
    assert_works(&config);
    assert_int_equal(tsn_redis_server_ask(&server, "DBSIZE"), 0); /* nothing in database 0 */
    config.redis.database = 999;
    assert_open_fails(&config, TSN_REMEDY_CONFIG, "redis.database");
    tsn_redis_server_remove(&server);
}

static void password_is_needed_right_and_not_too_much(void **unused)
{
    (void)unused;
    struct tsn_redis_server server;
    tsn_redis_server_start(&server, (const char *const[]){"--requirepass", "right", NULL});
    struct tsn_config config = config_of(&server);
    assert_open_fails(&config, TSN_REMEDY_CONFIG, "redis.password");
    config.redis.password = "wrong-secret";
    assert_open_fails(&config, TSN_REMEDY_CONFIG, "correct redis.user and redis.password");
    struct tsn_failure failure = {0};
    assert_null(tsn_store_open(&config, store_world.keys, &failure));
    assert_null(strstr(failure.text, "wrong-secret"));
    config.redis.password = "right";
    assert_works(&config);
    config.redis.user = "nobody";
    assert_open_fails(&config, TSN_REMEDY_CONFIG, "'nobody'");
    tsn_redis_server_remove(&server);

    tsn_redis_server_start(&server, NULL);
    config = config_of(&server);
    config.redis.password = "superfluous";
    assert_open_fails(&config, TSN_REMEDY_CONFIG, "has no password");
    tsn_redis_server_remove(&server);
}

static void user_with_the_documented_rights_suffices(void **unused)
{
    (void)unused;
    struct tsn_redis_server server;
    tsn_redis_server_start(&server, NULL);
    struct tsn_config config = config_of(&server);
    tsn_redis_server_ask(&server, "ACL SETUSER engine on >pw ~tocsin:* +@read +@write +@scripting "
                                  "+@connection +info +config|get");
    config.redis.user = "engine";
    config.redis.password = "pw";
    assert_works(&config);
    /* One that may not write says so, by the store's own words. */
    tsn_redis_server_ask(&server, "ACL SETUSER reader on >pw ~tocsin:* +@read +@connection +info");
    config.redis.user = "reader";
    struct tsn_failure failure = {0};
    struct tsn_store *store = store_world_open_at(&config);
    assert_false(tsn_store_claim(store, &failure));
    assert_int_equal(failure.remedy, TSN_REMEDY_CONFIG);
    assert_non_null(strstr(failure.text, "+@scripting"));
    tsn_store_close(store);
    tsn_redis_server_remove(&server);
}

static void checks_that_are_forbidden_are_warned_of(void **unused)
{
    (void)unused;
    struct tsn_redis_server server;
    tsn_redis_server_start(&server, NULL);
    struct tsn_config config = config_of(&server);
    struct tsn_store *store = store_world_open_at(&config);
    assert_null(tsn_store_warning(store));
    tsn_store_close(store);
    tsn_redis_server_ask(&server, "ACL SETUSER blind on >pw ~tocsin:* +@read +@write +@scripting "
                                  "+@connection");
    config.redis.user = "blind";
    config.redis.password = "pw";
    store = store_world_open_at(&config);
    assert_non_null(strstr(tsn_store_warning(store), "noeviction"));
    tsn_store_close(store);
    tsn_redis_server_remove(&server);

    tsn_redis_server_start(&server, (const char *const[]){"--appendonly", "no", NULL});
    config = config_of(&server);
    store = store_world_open_at(&config);
    assert_non_null(strstr(tsn_store_warning(store), "appendonly"));
    tsn_store_close(store);
    tsn_redis_server_remove(&server);
}

static void server_that_evicts_is_refused_with_the_remedy(void **unused)
{
    (void)unused;
    struct tsn_redis_server server;
    tsn_redis_server_start(&server,
                           (const char *const[]){"--maxmemory-policy", "allkeys-lru", NULL});
    struct tsn_config config = config_of(&server);
    assert_open_fails(&config, TSN_REMEDY_CONFIG, "CONFIG SET maxmemory-policy noeviction");
    tsn_redis_server_ask(&server, "CONFIG SET maxmemory-policy volatile-ttl");
    assert_open_fails(&config, TSN_REMEDY_CONFIG, "volatile-ttl");
    tsn_redis_server_ask(&server, "CONFIG SET maxmemory-policy noeviction");
    assert_works(&config);
    tsn_redis_server_remove(&server);
}

static void replica_is_refused_and_a_cluster_without_slots_waited_for(void **unused)
{
    (void)unused;
    struct tsn_redis_server master;
    struct tsn_redis_server replica;
    struct tsn_redis_server node;
    char of[32];
    tsn_redis_server_start(&master, NULL);
    snprintf(of, sizeof of, "127.0.0.1 %u", (unsigned)master.port);
    tsn_redis_server_start(&replica, (const char *const[]){"--replicaof", of, NULL});
    struct tsn_config config = config_of(&replica);
    assert_open_fails(&config, TSN_REMEDY_RETRY, "replica");
    tsn_redis_server_remove(&replica);
    tsn_redis_server_remove(&master);
    tsn_redis_server_start(&node, (const char *const[]){"--cluster-enabled", "yes", NULL});
    config = config_of(&node);
    assert_open_fails(&config, TSN_REMEDY_RETRY, "serve 0 of 16384 slots");
    tsn_redis_server_remove(&node);
}

static void absent_server_is_waited_for(void **unused)
{
    (void)unused;
    struct tsn_redis_server server;
    tsn_redis_server_start(&server, NULL);
    tsn_redis_server_stop(&server);
    struct tsn_config config = config_of(&server);
    assert_open_fails(&config, TSN_REMEDY_RETRY, "is redis-server running there?");
    tsn_redis_server_restart(&server);
    assert_works(&config);
    tsn_redis_server_remove(&server);
}

/* ---- trouble while it runs ------------------------------------------------------------------ */

static void server_killed_in_mid_write_is_written_again_after_its_restart(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    struct tsn_redis_server server;
    struct tsn_fake_state state;
    tsn_redis_server_start(&server, NULL);
    struct tsn_config config = config_of(&server);
    struct tsn_store *store = store_world_claim_at(&config);
    tsn_fake_state_init(&state, 100000, 1);
    tsn_fake_state_fill(&state);
    store_world_write(store, &state, 1);
    struct tsn_fake_state before;
    tsn_fake_state_init(&before, state.n, 0);
    tsn_fake_state_copy(&before, &state);

    tsn_fake_state_change(&state, 50000);
    store_world_cut(store, &state, 2);
    tsn_redis_server_kill(&server);
    assert_int_equal(tsn_store_wait(store, STORE_WORLD_WAIT_MS, &failure), TSN_STORE_FAILED);
    assert_int_equal(failure.remedy, TSN_REMEDY_RETRY);
    tsn_redis_server_restart(&server);
    store_world_assert_at(&config, &before, 1);
    /* Only what changed since is cut; what was kept is merged under it. */
    tsn_fake_state_change(&state, 1000);
    store_world_write(store, &state, 3);
    store_world_assert_at(&config, &state, 3);
    tsn_store_close(store);
    tsn_fake_state_free(&before);
    tsn_fake_state_free(&state);
    tsn_redis_server_remove(&server);
}

static void restart_within_the_patience_of_a_write_is_not_noticed(void **unused)
{
    (void)unused;
    struct tsn_redis_server server;
    struct tsn_fake_state state;
    tsn_redis_server_start(&server, NULL);
    struct tsn_config config = config_of(&server);
    struct tsn_store *store = store_world_claim_at(&config);
    tsn_fake_state_init(&state, 1000, 1);
    tsn_fake_state_fill(&state);
    store_world_write(store, &state, 1);
    for (uint64_t k = 2; k <= 4; k++) {
        tsn_redis_server_kill(&server);
        tsn_redis_server_restart(&server);
        tsn_fake_state_change(&state, 100);
        store_world_write(store, &state, k);
        store_world_assert_at(&config, &state, k);
    }
    tsn_store_close(store);
    tsn_fake_state_free(&state);
    tsn_redis_server_remove(&server);
}

static void frozen_server_times_out_and_nothing_is_half_there_when_it_thaws(void **unused)
{
    (void)unused;
    struct tsn_redis_server server;
    struct tsn_fake_state state;
    tsn_redis_server_start(&server, NULL);
    struct tsn_config config = config_of(&server);
    struct tsn_config slow = config;
    slow.redis.timeout_ms = 100;
    struct tsn_store *store = store_world_claim_at(&slow);
    tsn_fake_state_init(&state, 30000, 1);
    tsn_fake_state_fill(&state);
    store_world_write(store, &state, 1);
    for (uint64_t k = 2; k <= 7; k++) {
        struct tsn_failure failure = {0};
        tsn_fake_state_change(&state, 20000);
        struct tsn_fake_state cut;
        tsn_fake_state_init(&cut, state.n, 0);
        tsn_fake_state_copy(&cut, &state);
        store_world_cut(store, &state, k);
        struct timespec moment = {.tv_nsec = (long)(k - 2) * 12000000};
        nanosleep(&moment, NULL); /* somewhere in the write: any outcome must be right */
        tsn_redis_server_freeze(&server);
        enum tsn_store_progress progress = tsn_store_wait(store, STORE_WORLD_WAIT_MS, &failure);
        tsn_redis_server_thaw(&server);
        if (progress == TSN_STORE_FAILED) {
            assert_int_equal(failure.remedy, TSN_REMEDY_RETRY);
            tsn_fake_state_change(&state, 10);
            tsn_fake_state_copy(&cut, &state);
            store_world_write(store, &state, k);
        }
        store_world_assert_at(&config, &cut, k);
        tsn_fake_state_free(&cut);
    }
    tsn_store_close(store);
    tsn_fake_state_free(&state);
    tsn_redis_server_remove(&server);
}

static void full_server_is_survived_until_somebody_gives_it_memory(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    struct tsn_redis_server server;
    struct tsn_fake_state state;
    tsn_redis_server_start(&server, (const char *const[]){"--maxmemory", "12mb", NULL});
    struct tsn_config config = config_of(&server);
    struct tsn_store *store = store_world_claim_at(&config);
    tsn_fake_state_init(&state, 60000, 1);
    tsn_fake_state_change(&state, 1000);
    store_world_write(store, &state, 1);
    struct tsn_fake_state before;
    tsn_fake_state_init(&before, state.n, 0);
    tsn_fake_state_copy(&before, &state);
    tsn_fake_state_fill(&state);
    assert_int_equal(store_world_try(store, &state, 2, &failure), TSN_STORE_FAILED);
    assert_int_equal(failure.remedy, TSN_REMEDY_RETRY);
    assert_non_null(strstr(failure.text, "raise maxmemory"));
    assert_int_equal(store_world_try(store, &state, 3, &failure), TSN_STORE_FAILED);
    assert_int_equal(failure.remedy, TSN_REMEDY_RETRY);
    tsn_redis_server_ask(&server, "CONFIG SET maxmemory 0");
    store_world_assert_at(&config, &before, 1);
    store_world_write(store, &state, 4);
    store_world_assert_at(&config, &state, 4);
    tsn_store_close(store);
    tsn_fake_state_free(&before);
    tsn_fake_state_free(&state);
    tsn_redis_server_remove(&server);
}

static void password_changed_under_way_stops_checkpoints_not_the_engine(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    struct tsn_redis_server server;
    struct tsn_fake_state state;
    tsn_redis_server_start(&server, NULL);
    struct tsn_config config = config_of(&server);
    struct tsn_store *store = store_world_claim_at(&config);
    tsn_fake_state_init(&state, 1000, 1);
    tsn_fake_state_fill(&state);
    store_world_write(store, &state, 1);
    tsn_redis_server_ask(&server, "CONFIG SET requirepass other");
    tsn_redis_server_kill(&server);
    snprintf(server.options[server.n_options++], sizeof server.options[0], "--requirepass");
    snprintf(server.options[server.n_options++], sizeof server.options[0], "other");
    tsn_redis_server_restart(&server);
    tsn_fake_state_change(&state, 10);
    assert_int_equal(store_world_try(store, &state, 2, &failure), TSN_STORE_FAILED);
    assert_int_equal(failure.remedy, TSN_REMEDY_RETRY);
    assert_non_null(strstr(failure.text, "redis.password"));
    tsn_redis_server_kill(&server);
    server.n_options -= 2;
    tsn_redis_server_restart(&server);
    tsn_fake_state_change(&state, 10);
    store_world_write(store, &state, 3);
    store_world_assert_at(&config, &state, 3);
    tsn_store_close(store);
    tsn_fake_state_free(&state);
    tsn_redis_server_remove(&server);
}

static void server_rolled_back_under_its_owner_is_told_and_written_whole(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    struct tsn_redis_server server;
    struct tsn_fake_state state;
    struct tsn_fake_state old;
    tsn_redis_server_start(&server, NULL);
    struct tsn_config config = config_of(&server);
    struct tsn_store *store = store_world_claim_at(&config);
    tsn_fake_state_init(&state, 5000, 1);
    tsn_fake_state_init(&old, 5000, 1);
    tsn_fake_state_fill(&state);
    store_world_write(store, &state, 1);
    tsn_fake_state_change(&state, 500);
    store_world_write(store, &state, 2);
    struct tsn_checkpoint_meta meta;
    assert_true(tsn_store_meta(store, &meta, &failure)); /* after the folding */
    tsn_fake_state_copy(&old, &state);
    tsn_redis_server_stop(&server);
    tsn_redis_server_save_folder(&server);
    tsn_redis_server_restart(&server);
    for (uint64_t k = 3; k <= 5; k++) {
        tsn_fake_state_change(&state, 500);
        store_world_write(store, &state, k);
    }
    tsn_redis_server_kill(&server);
    tsn_redis_server_roll_back(&server);
    tsn_redis_server_restart(&server);
    store_world_assert_at(&config, &old,
                          2); /* a whole checkpoint, only older: Kafka has the rest */

    tsn_fake_state_change(&state, 500);
    assert_int_equal(store_world_try(store, &state, 6, &failure), TSN_STORE_FAILED);
    assert_int_equal(failure.remedy, TSN_REMEDY_RETRY);
    assert_non_null(strstr(failure.text, "rolled back"));
    assert_true(tsn_store_wants_whole(store));
    store_world_assert_at(&config, &old, 2); /* changes were not written over the older base */
    store_world_write(store, &state, 7);
    store_world_assert_at(&config, &state, 7);
    tsn_store_close(store);
    tsn_fake_state_free(&old);
    tsn_fake_state_free(&state);
    tsn_redis_server_remove(&server);
}

static void close_in_mid_write_returns_soon_and_leaves_the_checkpoint_before(void **unused)
{
    (void)unused;
    struct tsn_redis_server server;
    struct tsn_fake_state state;
    tsn_redis_server_start(&server, NULL);
    struct tsn_config config = config_of(&server);
    struct tsn_store *store = store_world_claim_at(&config);
    tsn_fake_state_init(&state, 200000, 1);
    tsn_fake_state_change(&state, 100);
    store_world_write(store, &state, 1);
    struct tsn_fake_state before;
    tsn_fake_state_init(&before, state.n, 0);
    tsn_fake_state_copy(&before, &state);
    tsn_fake_state_fill(&state);
    store_world_cut(store, &state, 2);
    tsn_store_close(store);
    store_world_assert_at(&config, &before, 1);
    tsn_fake_state_free(&before);
    tsn_fake_state_free(&state);
    tsn_redis_server_remove(&server);
}

/* ---- kill -9 of Redis at any moment ------------------------------------------------------------
 */

struct killer {
    struct tsn_redis_server *server;
    long after_ns;
};

static void *kill_later(void *user)
{
    struct killer *killer = user;
    struct timespec after = {.tv_nsec = killer->after_ns};
    nanosleep(&after, NULL);
    tsn_redis_server_kill(killer->server);
    return NULL;
}

static void kill_at_any_moment_leaves_a_whole_checkpoint(void **unused)
{
    (void)unused;
    enum { ROUNDS = 20, N = 20000 };
    struct tsn_redis_server server;
    struct tsn_fake_state state;
    struct tsn_fake_state acknowledged;
    struct tsn_fake_state loaded;
    /* With everysec an acknowledged write may wait behind a slow fsync and die with the
     * server: the store then finds an older root. Here none may be lost. */
    tsn_redis_server_start(&server, (const char *const[]){"--appendfsync", "always", NULL});
    struct tsn_config config = config_of(&server);
    tsn_fake_state_init(&state, N, 1);
    tsn_fake_state_init(&acknowledged, N, 1);
    tsn_fake_state_init(&loaded, N, 1);
    tsn_fake_state_fill(&state);
    struct tsn_store *store = store_world_claim_at(&config);
    store_world_write(store, &state, 1);
    tsn_fake_state_copy(&acknowledged, &state);
    uint64_t sequence = 1;
    for (int round = 0; round < ROUNDS; round++) {
        struct killer killer = {.server = &server, .after_ns = 2000000L + round * 3700000L};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, kill_later, &killer), 0);
        struct tsn_failure failure = {0};
        enum tsn_store_progress progress;
        do {
            tsn_fake_state_copy(&acknowledged, &state);
            tsn_fake_state_change(&state, 3000);
            progress = store_world_try(store, &state, ++sequence, &failure);
        } while (progress == TSN_STORE_DONE);
        assert_int_equal(failure.remedy, TSN_REMEDY_RETRY);
        pthread_join(thread, NULL);
        tsn_redis_server_restart(&server);
        /* What is there is the last that was acknowledged, or the one whose answer was lost. */
        struct tsn_store *reader = store_world_open_at(&config);
        uint64_t at = store_world_load(reader, &loaded).sequence;
        tsn_store_close(reader);
        assert_in_range(at, sequence - 1, sequence);
        tsn_fake_state_assert_equal(&loaded, at == sequence ? &state : &acknowledged);
        if (round % 2 == 0) { /* the engine lives: it goes on */
            tsn_fake_state_change(&state, 10);
            store_world_write(store, &state, ++sequence);
        } else { /* the engine died too: another one loads */
            tsn_store_close(store);
            store = store_world_open_at(&config);
            struct tsn_checkpoint_meta meta = store_world_load(store, &loaded);
            assert_true(tsn_store_claim(store, &failure));
            assert_false(tsn_store_wants_whole(store));
            memcpy(state.version, loaded.version, N * sizeof *loaded.version);
            memset(state.dirty, 0, N * sizeof *state.dirty);
            sequence = meta.sequence;
        }
    }
    tsn_fake_state_change(&state, 10);
    store_world_write(store, &state, ++sequence);
    store_world_assert_at(&config, &state, sequence);
    tsn_store_close(store);
    tsn_fake_state_free(&loaded);
    tsn_fake_state_free(&acknowledged);
    tsn_fake_state_free(&state);
    tsn_redis_server_remove(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_port_and_database_are_used),
        cmocka_unit_test(password_is_needed_right_and_not_too_much),
        cmocka_unit_test(user_with_the_documented_rights_suffices),
        cmocka_unit_test(checks_that_are_forbidden_are_warned_of),
        cmocka_unit_test(server_that_evicts_is_refused_with_the_remedy),
        cmocka_unit_test(replica_is_refused_and_a_cluster_without_slots_waited_for),
        cmocka_unit_test(absent_server_is_waited_for),
        cmocka_unit_test(server_killed_in_mid_write_is_written_again_after_its_restart),
        cmocka_unit_test(restart_within_the_patience_of_a_write_is_not_noticed),
        cmocka_unit_test(frozen_server_times_out_and_nothing_is_half_there_when_it_thaws),
        cmocka_unit_test(full_server_is_survived_until_somebody_gives_it_memory),
        cmocka_unit_test(password_changed_under_way_stops_checkpoints_not_the_engine),
        cmocka_unit_test(server_rolled_back_under_its_owner_is_told_and_written_whole),
        cmocka_unit_test(close_in_mid_write_returns_soon_and_leaves_the_checkpoint_before),
        cmocka_unit_test(kill_at_any_moment_leaves_a_whole_checkpoint),
    };
    return cmocka_run_group_tests_name("redis_faults", tests, store_world_begin_keys,
                                       store_world_end);
}
