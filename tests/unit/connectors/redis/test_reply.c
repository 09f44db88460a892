/* Errors of Redis: what each asks of the caller, and that none tells secrets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "connectors/redis/redis.h"

static void every_error_has_its_remedy(void **state)
{
    (void)state;
    static const struct {
        const char *error;
        enum tsn_remedy remedy;
        const char *says;
        const char *why;
    } cases[] = {
        {"LOADING Redis is loading the dataset in memory", TSN_REMEDY_RETRY, "loading",
         "a restarted server answers so for a while"},
        {"READONLY You can't write against a read only replica.", TSN_REMEDY_RETRY, "replica",
         "a failover under way ends by itself"},
        {"OOM command not allowed when used memory > 'maxmemory'.", TSN_REMEDY_RETRY,
         "raise maxmemory", "the engine goes on while somebody mends it"},
        {"MISCONF Redis is configured to save RDB snapshots", TSN_REMEDY_RETRY, "disk",
         "disk full"},
        {"NOAUTH Authentication required.", TSN_REMEDY_CONFIG, "redis.password", "no password"},
        {"WRONGPASS invalid username-password pair or user is disabled.", TSN_REMEDY_CONFIG,
         "redis.user", "wrong password"},
        {"NOPERM this user has no permissions to run the 'hset' command", TSN_REMEDY_CONFIG,
         "~tocsin:*", "an ACL that is too narrow"},
        {"MOVED 3999 127.0.0.1:6381", TSN_REMEDY_CONFIG, "+cluster|slots",
         "a cluster that may not be asked for its map"},
        {"CLUSTERDOWN Hash slot not served", TSN_REMEDY_RETRY, "CLUSTER INFO", "a master is away"},
        {"TRYAGAIN Multiple keys request during rehashing of slot", TSN_REMEDY_RETRY, "moving",
         "it ends when the slot has moved"},
        {"ERR DB index is out of range", TSN_REMEDY_CONFIG, "redis.database", "no such database"},
        {"WRONGTYPE Operation against a key holding the wrong kind of value", TSN_REMEDY_CONFIG,
         "another program", "a foreign key in our name space"},
        {"ERR max number of clients reached", TSN_REMEDY_RETRY, "maxclients", "others hold all"},
        {"ERR something new", TSN_REMEDY_FATAL, "something new", "unknown errors end it"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tsn_failure failure = {0};
        assert_false(tsn_redis_translate("redis here", cases[i].error, &failure));
        if (failure.remedy != cases[i].remedy || !strstr(failure.text, cases[i].says) ||
            strncmp(failure.text, "redis here: ", 12) != 0) {
            fail_msg("'%s' (%s) gave %s: %s", cases[i].error, cases[i].why,
                     tsn_remedy_name(failure.remedy), failure.text);
        }
    }
}

static void unknown_error_does_not_repeat_arguments(void **state)
{
    (void)state;
    struct tsn_failure failure = {0};
    tsn_redis_translate("redis here",
                        "ERR unknown command 'AUTH', with args beginning with: 'me' 'secret' ",
                        &failure);
    assert_null(strstr(failure.text, "secret"));
    assert_non_null(strstr(failure.text, "unknown command"));
}

static void server_that_is_not_there_says_where_and_asks_for_patience(void **state)
{
    (void)state;
    struct tsn_failure failure = {0};
    const struct tsn_redis_address address = {.unix_socket = "/nonexistent/redis.sock",
                                              .timeout_ms = 100};
    struct tsn_redis *redis = tsn_redis_new(&address);
    int64_t wait_ms = 0;
    assert_false(tsn_redis_connect(redis, &wait_ms, &failure));
    assert_int_equal(failure.remedy, TSN_REMEDY_RETRY);
    assert_non_null(strstr(failure.text, "/nonexistent/redis.sock"));
    assert_int_equal(wait_ms, 50);
    assert_true(tsn_redis_broken(redis));
    /* Asked again at once it does not try. */
    assert_false(tsn_redis_connect(redis, &wait_ms, &failure));
    assert_int_equal(failure.remedy, TSN_REMEDY_RETRY);
    assert_in_range(wait_ms, 1, 50);
    tsn_redis_free(redis);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_its_remedy),
        cmocka_unit_test(unknown_error_does_not_repeat_arguments),
        cmocka_unit_test(server_that_is_not_there_says_where_and_asks_for_patience),
    };
    return cmocka_run_group_tests_name("redis_reply", tests, NULL, NULL);
}
