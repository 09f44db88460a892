/* Where the keys of a cluster are: hash slots, redirects. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "connectors/redis/cluster.h"

static void keys_have_the_hash_slots_of_redis(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        unsigned slot;
        const char *why;
    } cases[] = {
        {"123456789", 0x31C3, "the check value of CRC16 XMODEM, as the specification gives it"},
        {"", 0, "nothing sums to nothing"},
        {"foo", 12182, "CLUSTER KEYSLOT foo"},
        {"somekey", 11058, "an example of the manual"},
        {"foo{hash_tag}", 2515, "an example of the manual: the tag alone counts"},
        {"bar{hash_tag}", 2515, "... and so shares a slot"},
        {"hash_tag", 2515, "... with its name"},
        {"{user1000}.following", 3443, "an example of the specification"},
        {"foo{}{bar}", 8363, "an empty tag is none: the whole key"},
        {"foo{{bar}}zap", 4015, "from the first { to the first } after it"},
        {"{bar", 4015, "no tag without its end"},
        {"foo{bar}{zap}", 5061, "the first tag counts"},
        {"bar", 5061, "... as its name alone"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned slot = tsn_cluster_slot(cases[i].key);
        if (slot != cases[i].slot % TSN_CLUSTER_SLOTS) {
            fail_msg("'%s' (%s): %u", cases[i].key, cases[i].why, slot);
        }
    }
}

static void redirects_are_read_and_nothing_else_is_one(void **state)
{
    (void)state;
    static const struct {
        const char *error;
        enum tsn_redirect_kind kind;
        unsigned slot;
        const char *host;
        unsigned port;
    } cases[] = {
        {"MOVED 3999 127.0.0.1:6381", TSN_REDIRECT_MOVED, 3999, "127.0.0.1", 6381},
        {"ASK 16383 redis-2.example:6379", TSN_REDIRECT_ASK, 16383, "redis-2.example", 6379},
        {"MOVED 0 2001:db8::1:7000", TSN_REDIRECT_MOVED, 0, "2001:db8::1", 7000},
        {"MOVED 866 :6380", TSN_REDIRECT_MOVED, 866, "", 6380},
        {"TRYAGAIN Multiple keys request during rehashing of slot", TSN_REDIRECT_AGAIN, 0, "", 0},
        {"MOVED 16384 127.0.0.1:6381", TSN_REDIRECT_NONE, 0, "", 0},
        {"MOVED -1 127.0.0.1:6381", TSN_REDIRECT_NONE, 0, "", 0},
        {"MOVED 1 127.0.0.1", TSN_REDIRECT_NONE, 0, "", 0},
        {"MOVED 1 127.0.0.1:0", TSN_REDIRECT_NONE, 0, "", 0},
        {"MOVED 1 127.0.0.1:70000", TSN_REDIRECT_NONE, 0, "", 0},
        {"MOVED", TSN_REDIRECT_NONE, 0, "", 0},
        {"ASKING", TSN_REDIRECT_NONE, 0, "", 0},
        {"CLUSTERDOWN The cluster is down", TSN_REDIRECT_NONE, 0, "", 0},
        {"", TSN_REDIRECT_NONE, 0, "", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tsn_redirect redirect = tsn_cluster_redirect(cases[i].error);
        if (redirect.kind != cases[i].kind) {
            fail_msg("'%s' was read as %d", cases[i].error, (int)redirect.kind);
        }
        if (cases[i].port > 0) {
            assert_int_equal(redirect.slot, cases[i].slot);
            assert_string_equal(redirect.to.host, cases[i].host);
            assert_int_equal(redirect.to.port, cases[i].port);
        }
    }
}

static void map_counts_masters_once_and_has_a_bound(void **state)
{
    (void)state;
    static struct tsn_cluster_map map;
    struct tsn_cluster_address address = {.host = "10.0.0.1", .port = 1};
    for (unsigned i = 0; i < TSN_CLUSTER_MASTERS_MAX; i++) {
        address.port = (uint16_t)(i + 1);
        assert_int_equal(tsn_cluster_master(&map, &address), i);
        assert_int_equal(tsn_cluster_master(&map, &address), i);
    }
    address.port = TSN_CLUSTER_MASTERS_MAX + 1;
    assert_int_equal(tsn_cluster_master(&map, &address), -1);
    address.port = 7;
    assert_int_equal(tsn_cluster_master(&map, &address), 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_have_the_hash_slots_of_redis),
        cmocka_unit_test(redirects_are_read_and_nothing_else_is_one),
        cmocka_unit_test(map_counts_masters_once_and_has_a_bound),
    };
    return cmocka_run_group_tests_name("redis_cluster", tests, NULL, NULL);
}
