/* TLS to a real redis-server and to a cluster of three: whom we trust, who trusts us, and
 * that a broken session is a broken connection like any other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fixture/certificates.h"
#include "tests/fixture/store_world.h"

enum { SMALL = 5000 };

static struct tsn_certificates certificates;

static int begin(void **state)
{
    tsn_certificates_begin(&certificates);
    tsn_certificates_make(&certificates, "server", "ca", "DNS:redis.test,IP:127.0.0.1", 7);
    tsn_certificates_make(&certificates, "expired", "ca", "DNS:redis.test,IP:127.0.0.1", 0);
    tsn_certificates_make(&certificates, "client", "ca", "DNS:tocsin.test", 7);
    tsn_certificates_make(&certificates, "stranger", "other-ca", "DNS:tocsin.test", 7);
    return store_world_begin_keys(state);
}

static int end(void **state)
{
    tsn_certificates_end(&certificates);
    return store_world_end(state);
}

/* A path that lives until the folder is gone: there are few. */
static const char *path(const char *name, const char *ending)
{
    static char paths[32][TSN_CERTIFICATE_PATH];
    static unsigned n;
    for (unsigned i = 0; i < n; i++) {
        char wanted[TSN_CERTIFICATE_PATH];
        if (strcmp(paths[i], tsn_certificates_path(&certificates, name, ending, wanted)) == 0) {
            return paths[i];
        }
    }
    assert_true(n < 32);
    return tsn_certificates_path(&certificates, name, ending, paths[n++]);
}

static void start(struct tsn_redis_server *server, const char *certificate)
{
    tsn_redis_server_start(server,
                           (const char *const[]){"--tls-cert-file", path(certificate, ""),
                                                 "--tls-key-file", path(certificate, "-key"),
                                                 "--tls-ca-cert-file", path("ca", ""), NULL});
}

static struct tsn_config config_of(const struct tsn_redis_server *server, const char *ca,
                                   const char *certificate)
{
    struct tsn_config config = store_world_config_of(server, "tls");
    config.redis.unix_socket = NULL;
    config.redis.host = "127.0.0.1";
    config.redis.port = server->port;
    config.redis.tls.on = true;
    config.redis.tls.ca_file = ca ? path(ca, "") : NULL;
    config.redis.tls.cert_file = certificate ? path(certificate, "") : NULL;
    config.redis.tls.key_file = certificate ? path(certificate, "-key") : NULL;
    return config;
}

static void assert_works(const struct tsn_config *config)
{
    struct tsn_fake_state state;
    struct tsn_store *store = store_world_claim_at(config);
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_fill(&state);
    for (uint64_t k = 1; k <= 3; k++) {
        store_world_write(store, &state, k);
        store_world_settle(store);
        store_world_assert_at(config, &state, k);
        tsn_fake_state_change(&state, 100);
    }
    tsn_store_close(store);
    tsn_fake_state_free(&state);
}

static void checkpoints_are_the_same_over_tls(void **unused)
{
    (void)unused;
    struct tsn_redis_server server;
    struct tsn_fake_state state;
    struct tsn_failure failure = {0};
    start(&server, "server");
    struct tsn_config config = config_of(&server, "ca", "client");
    assert_works(&config);
    struct tsn_store *store = store_world_claim_at(&config);
    tsn_fake_state_init(&state, 200000, 1);
    tsn_fake_state_fill(&state);
    store_world_write(store, &state, 10);
    store_world_assert_at(&config, &state, 10);
    tsn_fake_state_free(&state);
    /* More than any buffer on the way. */
    size_t len = 9 * 1024 * 1024 + 1;
    uint8_t *bytes = malloc(len);
    assert_non_null(bytes);
    memset(bytes, 5, len);
    struct tsn_snapshot_record record = {.section = TSN_SNAPSHOT_DEDUP, .bytes = bytes, .len = len};
    tsn_store_collect(store, &record);
    struct tsn_checkpoint_meta meta = {.sequence = 11, .whole = true};
    tsn_store_begin(store, &meta);
    assert_int_equal(tsn_store_wait(store, STORE_WORLD_WAIT_MS, &failure), TSN_STORE_DONE);
    free(bytes);
    tsn_store_close(store);
    tsn_redis_server_remove(&server);
}

static void the_server_must_be_whom_we_mean(void **unused)
{
    (void)unused;
    struct tsn_redis_server server;
    start(&server, "server");
    struct tsn_config config = config_of(&server, "other-ca", "client");
    store_world_assert_open_fails(&config, TSN_REMEDY_CONFIG, "redis.tls.ca_file");
    store_world_assert_open_fails(&config, TSN_REMEDY_CONFIG, "not trusted");
    config.redis.tls.ca_file = NULL; /* the system trusts nobody of ours */
    store_world_assert_open_fails(&config, TSN_REMEDY_CONFIG, "not trusted");
    config = config_of(&server, "ca", "client");
    config.redis.tls.server_name = "bank.test";
    store_world_assert_open_fails(&config, TSN_REMEDY_CONFIG, "is not for 'bank.test'");
    config.redis.tls.server_name = "127.0.0.2";
    store_world_assert_open_fails(&config, TSN_REMEDY_CONFIG, "is not for '127.0.0.2'");
    config.redis.tls.server_name = NULL;
    config.redis.host = "localhost"; /* it is there, and not in the certificate */
    store_world_assert_open_fails(&config, TSN_REMEDY_CONFIG, "redis.tls.server_name");
    config.redis.tls.server_name = "redis.test";
    assert_works(&config);
    tsn_redis_server_remove(&server);

    start(&server, "expired");
    config = config_of(&server, "ca", "client");
    store_world_assert_open_fails(&config, TSN_REMEDY_CONFIG, "has expired");
    tsn_redis_server_remove(&server);
}

static void we_must_be_whom_the_server_means(void **unused)
{
    (void)unused;
    struct tsn_redis_server server;
    start(&server, "server");
    struct tsn_config config = config_of(&server, "ca", NULL);
    store_world_assert_open_fails(&config, TSN_REMEDY_CONFIG, "redis.tls.cert_file");
    store_world_assert_open_fails(&config, TSN_REMEDY_CONFIG, "wants a client certificate");
    config = config_of(&server, "ca", "stranger");
    store_world_assert_open_fails(&config, TSN_REMEDY_CONFIG, "does not accept the certificate");
    tsn_redis_server_ask(&server, "CONFIG SET tls-auth-clients no");
    config = config_of(&server, "ca", NULL);
    assert_works(&config);
    tsn_redis_server_remove(&server);
}

static void files_that_cannot_be_used_are_named(void **unused)
{
    (void)unused;
    struct tsn_redis_server server;
    start(&server, "server");
    struct tsn_config config = config_of(&server, "ca", "client");
    config.redis.tls.ca_file = "/nonexistent/ca.pem";
    store_world_assert_open_fails(&config, TSN_REMEDY_CONFIG,
                                  "redis.tls.ca_file: /nonexistent/ca.pem cannot be used");
    config = config_of(&server, "ca", "client");
    config.redis.tls.cert_file = path("client", "-key");
    store_world_assert_open_fails(&config, TSN_REMEDY_CONFIG, "redis.tls.cert_file");
    config = config_of(&server, "ca", "client");
    config.redis.tls.key_file = path("stranger", "-key");
    store_world_assert_open_fails(&config, TSN_REMEDY_CONFIG, "redis.tls.key_file");
    store_world_assert_open_fails(&config, TSN_REMEDY_CONFIG, "key values mismatch");
    tsn_redis_server_remove(&server);
}

static void tls_and_plain_are_told_apart(void **unused)
{
    (void)unused;
    struct tsn_redis_server server;
    start(&server, "server");
    struct tsn_config config = config_of(&server, "ca", "client");
    config.redis.tls.on = false;
    config.redis.timeout_ms = 1000;
    store_world_assert_open_fails(&config, TSN_REMEDY_RETRY, "set redis.tls");
    tsn_redis_server_remove(&server);
    tsn_redis_server_start(&server, NULL);
    config = config_of(&server, "ca", "client");
    config.redis.timeout_ms = 1000;
    store_world_assert_open_fails(&config, TSN_REMEDY_RETRY, "tls-port");
    tsn_redis_server_remove(&server);
}

static void session_that_breaks_is_made_anew(void **unused)
{
    (void)unused;
    struct tsn_failure failure = {0};
    struct tsn_redis_server server;
    struct tsn_fake_state state;
    start(&server, "server");
    struct tsn_config config = config_of(&server, "ca", "client");
    config.redis.timeout_ms = 2000;
    struct tsn_store *store = store_world_claim_at(&config);
    tsn_fake_state_init(&state, 30000, 1);
    tsn_fake_state_fill(&state);
    store_world_write(store, &state, 1);
    for (uint64_t k = 2; k <= 4; k++) {
        tsn_redis_server_kill(&server);
        tsn_redis_server_restart(&server);
        tsn_fake_state_change(&state, 100);
        store_world_write(store, &state, k);
        store_world_assert_at(&config, &state, k);
    }
    tsn_fake_state_change(&state, 20000);
    store_world_cut(store, &state, 5);
    tsn_redis_server_freeze(&server);
    assert_int_equal(tsn_store_wait(store, STORE_WORLD_WAIT_MS, &failure), TSN_STORE_FAILED);
    assert_int_equal(failure.remedy, TSN_REMEDY_RETRY);
    assert_non_null(strstr(failure.text, "no answer within 2000 ms"));
    /* Nor does one that accepts and says nothing more: the handshake has its time-out. */
    store_world_assert_open_fails(&config, TSN_REMEDY_RETRY, "no answer within 2000 ms");
    tsn_redis_server_thaw(&server);
    tsn_fake_state_change(&state, 10);
    store_world_write(store, &state, 6);
    store_world_assert_at(&config, &state, 6);
    /* A server whose certificate expired meanwhile costs checkpoints, not the engine. */
    tsn_redis_server_kill(&server);
    for (int i = 0; i < server.n_options; i++) {
        if (strcmp(server.options[i], path("server", "")) == 0) {
            snprintf(server.options[i], sizeof server.options[i], "%s", path("expired", ""));
        } else if (strcmp(server.options[i], path("server", "-key")) == 0) {
            snprintf(server.options[i], sizeof server.options[i], "%s", path("expired", "-key"));
        }
    }
    tsn_redis_server_restart(&server);
    tsn_fake_state_change(&state, 10);
    assert_int_equal(store_world_try(store, &state, 7, &failure), TSN_STORE_FAILED);
    assert_int_equal(failure.remedy, TSN_REMEDY_RETRY);
    assert_non_null(strstr(failure.text, "has expired"));
    tsn_store_close(store);
    tsn_fake_state_free(&state);
    tsn_redis_server_remove(&server);
}

static void cluster_is_spoken_to_by_tls_throughout(void **unused)
{
    (void)unused;
    struct tsn_redis_cluster cluster;
    struct tsn_fake_state state;
    const char *const options[] = {"--tls-cert-file",
                                   path("server", ""),
                                   "--tls-key-file",
                                   path("server", "-key"),
                                   "--tls-ca-cert-file",
                                   path("ca", ""),
                                   "--tls-cluster",
                                   "yes",
                                   "--tls-replication",
                                   "yes",
                                   "--requirepass",
                                   "secret",
                                   "--masterauth",
                                   "secret",
                                   NULL};
    tsn_redis_cluster_start(&cluster, 3, options);
    struct tsn_config config = config_of(&cluster.nodes[1], "ca", "client");
    config.redis.password = "secret";
    assert_works(&config);
    struct tsn_store *store = store_world_claim_at(&config);
    tsn_fake_state_init(&state, SMALL, 1);
    tsn_fake_state_fill(&state);
    store_world_write(store, &state, 10);
    store_world_settle(store);
    tsn_redis_server_kill(&cluster.nodes[2]);
    tsn_redis_server_restart(&cluster.nodes[2]);
    tsn_redis_cluster_await(&cluster, "ok");
    tsn_fake_state_change(&state, 100);
    store_world_write(store, &state, 11);
    store_world_assert_at(&config, &state, 11);
    config.redis.password = "wrong";
    store_world_assert_open_fails(&config, TSN_REMEDY_CONFIG, "redis.password");
    tsn_store_close(store);
    tsn_fake_state_free(&state);
    tsn_redis_cluster_remove(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checkpoints_are_the_same_over_tls),
        cmocka_unit_test(the_server_must_be_whom_we_mean),
        cmocka_unit_test(we_must_be_whom_the_server_means),
        cmocka_unit_test(files_that_cannot_be_used_are_named),
        cmocka_unit_test(tls_and_plain_are_told_apart),
        cmocka_unit_test(session_that_breaks_is_made_anew),
        cmocka_unit_test(cluster_is_spoken_to_by_tls_throughout),
    };
    return cmocka_run_group_tests_name("redis_tls", tests, begin, end);
}
