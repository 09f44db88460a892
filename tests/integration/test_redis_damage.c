/* A redis-server that loses, forgets or alters what it was given: what a load says. */
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

/* ---- what Redis may do to us --------------------------------------------------------------- */

static void emptied_server_gets_the_state_again_from_its_owner(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    struct tsn_fake_state state;
    struct tsn_store *store = store_world_claim("f");
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_fill(&state);
    store_world_write(store, &state, 1);
    store_world_settle(store);
    tsn_redis_server_ask(&store_world.server, "FLUSHALL");
    tsn_fake_state_change(&state, 10);
    assert_int_equal(store_world_try(store, &state, 2, &failure), TSN_STORE_FAILED);
    assert_int_equal(failure.remedy, TSN_REMEDY_RETRY);
    assert_non_null(strstr(failure.text, "emptied"));
    assert_true(tsn_store_wants_whole(store));
    store_world_write(store, &state, 3);
    store_world_assert("f", &state, 3);
    tsn_store_close(store);
    tsn_fake_state_free(&state);
}

static void base_that_lost_records_is_refused(void **unused)
{
    (void)unused;
    struct tsn_fake_state state;
    struct store_hand hand;
    struct tsn_store *store = store_world_claim("lost");
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_fill(&state);
    store_world_write(store, &state, 1);
    store_world_settle(store);
    tsn_store_close(store);
    store_hand_open(&hand, "lost");
    char key[TSN_LAYOUT_KEY_MAX];
    char command[TSN_LAYOUT_KEY_MAX + 8];
    tsn_layout_slot_key(&hand.layout, 77, "b", hand.root.gen, key);
    snprintf(command, sizeof command, "DEL %s", key);
    assert_int_equal(tsn_redis_server_ask(&store_world.server, command), 1);
    store_hand_close(&hand);
    store_world_assert_fails("lost", SMALL, TSN_REMEDY_CONFIG, "slot 77");
    store_world_assert_fails("lost", SMALL, TSN_REMEDY_CONFIG, "rebuilt from Kafka");
    tsn_fake_state_free(&state);
}

static void delta_that_was_lost_is_refused(void **unused)
{
    (void)unused;
    struct tsn_fake_state state;
    struct store_hand hand;
    struct tsn_store *store = store_world_claim("lostd");
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_fill(&state);
    store_world_write(store, &state, 1);
    store_world_settle(store);
    tsn_redis_server_ask(&store_world.server, "SET tocsin:1:{lostd}:reader x EX 600");
    store_world_write(store, &state, 2); /* without a change: even an empty delta is missed */
    tsn_store_close(store);
    store_hand_open(&hand, "lostd");
    char key[TSN_LAYOUT_KEY_MAX];
    char command[TSN_LAYOUT_KEY_MAX + 8];
    tsn_layout_slot_key(&hand.layout, 5, "d", hand.root.last, key);
    snprintf(command, sizeof command, "DEL %s", key);
    assert_int_equal(tsn_redis_server_ask(&store_world.server, command), 1);
    store_hand_close(&hand);
    store_world_assert_fails("lostd", SMALL, TSN_REMEDY_CONFIG, "missing");
    tsn_fake_state_free(&state);
}

/* Only the root goes back, as when its node of a cluster failed over alone. */
static void slot_folded_beyond_the_root_is_refused(void **unused)
{
    (void)unused;
    struct tsn_fake_state state;
    struct tsn_failure failure = {0};
    struct tsn_store *store = store_world_claim("beyond");
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_fill(&state);
    store_world_write(store, &state, 1);
    store_world_settle(store);
    tsn_redis_server_ask(&store_world.server, "COPY tocsin:1:{beyond}:root tocsin:1:{beyond}:old");
    tsn_fake_state_change(&state, 100);
    store_world_write(store, &state, 2);
    store_world_settle(store);
    tsn_redis_server_ask(&store_world.server,
                         "COPY tocsin:1:{beyond}:old tocsin:1:{beyond}:root REPLACE");
    store_world_assert_fails("beyond", SMALL, TSN_REMEDY_CONFIG, "rolled back");
    /* The owner, if it lives, has the state in memory and mends it. */
    tsn_fake_state_change(&state, 100);
    assert_int_equal(store_world_try(store, &state, 3, &failure), TSN_STORE_FAILED);
    assert_int_equal(failure.remedy, TSN_REMEDY_RETRY);
    assert_true(tsn_store_wants_whole(store));
    store_world_write(store, &state, 4);
    store_world_settle(store);
    store_world_assert("beyond", &state, 4);
    tsn_store_close(store);
    tsn_fake_state_free(&state);
}

static void scripts_forgotten_by_the_server_are_sent_again(void **unused)
{
    (void)unused;
    struct tsn_fake_state state;
    struct tsn_store *store = store_world_claim("ns");
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_fill(&state);
    for (uint64_t k = 1; k <= 3; k++) {
        store_world_write(store, &state, k);
        store_world_settle(store);
        tsn_redis_server_ask(&store_world.server, "SCRIPT FLUSH");
        tsn_fake_state_change(&state, 100);
    }
    store_world_write(store, &state, 4);
    store_world_settle(store);
    store_world_assert("ns", &state, 4);
    tsn_store_close(store);
    tsn_fake_state_free(&state);
}

static void another_key_file_is_refused(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    struct tsn_checkpoint_meta meta;
    struct tsn_fake_state state;
    struct tsn_store *store = store_world_claim("key");
    tsn_fake_state_init(&state, 10, 1);
    tsn_fake_state_fill(&state);
    store_world_write(store, &state, 1);
    tsn_store_close(store);
    uint8_t secret[TSN_KEYS_BYTES] = {1, 2, 3};
    struct tsn_keys *wrong = tsn_keys_from(secret);
    struct tsn_config config = store_world_config("key");
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
    struct tsn_store *store = store_world_claim("secret");
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_fill(&state);
    store_world_write(store, &state, 1);
    store_world_settle(store);
    tsn_fake_state_change(&state, 500);
    store_world_write(store, &state, 2);
    store_world_settle(store);
    tsn_store_close(store);
    struct tsn_redis *redis = tsn_redis_server_connect(&store_world.server);
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
    struct tsn_store *store = store_world_claim("alt");
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_fill(&state);
    store_world_write(store, &state, 1);
    store_world_settle(store);
    tsn_store_close(store);
    struct tsn_redis *redis = tsn_redis_server_connect(&store_world.server);
    assert_true(tsn_redis_connect(redis, NULL, &failure));
    const struct tsn_redis_part parts[] = {{"EVAL", 4}, {alter, sizeof alter - 1}, {"0", 1}};
    struct tsn_reply *reply = tsn_redis_ask(redis, NULL, 3, parts, &failure);
    assert_non_null(reply);
    tsn_reply_free(reply);
    tsn_redis_free(redis);
    store_world_assert_fails("alt", SMALL, TSN_REMEDY_CONFIG, "altered");
    tsn_fake_state_free(&state);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, store_world_empty)
    const struct CMUnitTest tests[] = {
        T(emptied_server_gets_the_state_again_from_its_owner),
        T(base_that_lost_records_is_refused),
        T(delta_that_was_lost_is_refused),
        T(slot_folded_beyond_the_root_is_refused),
        T(scripts_forgotten_by_the_server_are_sent_again),
        T(another_key_file_is_refused),
        T(redis_holds_no_plain_record_and_no_key_that_expires),
        T(altered_record_is_refused),
    };
    return cmocka_run_group_tests_name("redis_damage", tests, store_world_begin, store_world_end);
}
