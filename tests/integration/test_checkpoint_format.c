/* A checkpoint that lies in some Redis since an earlier version still loads, and what it
 * holds goes on as if it had been computed today; one of an unknown version is refused by
 * name.
 *
 * tests/golden/formats/checkpoint-1.redis was written by the version whose layout 1 is
 * (TSN_WRITE_FIXTURES=1 and this program) and is never changed: when the layout or a
 * section changes, another joins it, and this one either still loads or is refused as
 * documented. checkpoint-panes-1.redis holds hot keys: records of entities in format 2.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connectors/decode/decode.h"
#include "connectors/store/store.h"
#include "rules/diag/diag.h"
#include "tests/fixture/redis_server.h"

enum { BEFORE = 60, AFTER = 30, SEQUENCE = 7, WAIT_MS = 60000 };

static const char folder[] = TSN_SOURCE_DIR "/tests/golden/formats";

struct bench {
    struct tsn_redis_server server;
    struct tsn_keys *keys;
    struct tsn_config *config;
    struct tsn_program *prog;
    struct tsn_batch *batch;
    struct tsn_decoder *decoder;
    int n_lines;                     /* that are called */
    const char *file;                /* of the checkpoint */
    char bytes[BEFORE + AFTER][160]; /* of the records: rows borrow them */
};

static int set_up_with(void **state, const char *config, const char *file, int n_lines)
{
    struct bench *bench = calloc(1, sizeof *bench);
    char path[512];
    bench->file = file;
    bench->n_lines = n_lines;
    snprintf(path, sizeof path, "%s/%s", folder, config);
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    tsn_redis_server_start(&bench->server, NULL);
    bench->keys = tsn_keys_insecure();
    bench->config = tsn_config_load(path, &diags);
    bench->prog = bench->config ? tsn_config_pack(bench->config, &diags) : NULL;
    tsn_diags_print(&diags, stderr);
    tsn_diags_free(&diags);
    assert_non_null(bench->prog);
    bench->config->redis.unix_socket = bench->server.socket;
    bench->config->redis.timeout_ms = 5000;
    bench->batch = tsn_batch_new(bench->prog, 128);
    bench->decoder =
        tsn_decoder_new(bench->config, &bench->config->sources[0], bench->prog, &diags);
    assert_non_null(bench->decoder);
    *state = bench;
    return 0;
}

static int set_up(void **state)
{
    return set_up_with(state, "tocsin.yaml", "checkpoint-1.redis", 3);
}

/* Everybody calls one line, which has more rows than are kept one by one. */
static int set_up_hot(void **state)
{
    return set_up_with(state, "tocsin-hot.yaml", "checkpoint-panes-1.redis", 1);
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    tsn_decoder_free(bench->decoder);
    tsn_batch_free(bench->batch);
    tsn_program_free(bench->prog);
    tsn_config_free(bench->config);
    tsn_keys_free(bench->keys);
    tsn_redis_server_remove(&bench->server);
    free(bench);
    return 0;
}

/* Calls from..to of a fixed series: some lines are called by five, a minute apart. */
static void feed(struct bench *bench, struct tsn_engine *eng, int from, int to,
                 struct tsn_output *out)
{
    tsn_batch_clear(bench->batch);
    for (int i = from; i < to; i++) {
        char *bytes = bench->bytes[i];
        int len = snprintf(
            bytes, sizeof bench->bytes[i],
            "{\"t\":%lld,\"ref\":\"c%d\",\"a\":\"+1%07d\",\"b\":\"+2%07d\",\"talk\":%d,"
            "\"q\":%d.1}",
            1772413200000LL + i * 60000LL, i, i % 5, i % bench->n_lines, 10 + i * 7 % 50, i % 9);
        struct tsn_record record = {.bytes = bytes,
                                    .len = (size_t)len,
                                    .timestamp_ms = 1772413200000LL + i * 60000LL,
                                    .position = i};
        struct tsn_reject reject;
        assert_true(tsn_decode(bench->decoder, &record, bench->batch, &reject));
    }
    tsn_engine_rows(eng, bench->batch, out);
}

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void run(const char *format, ...)
{
    char command[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    /* NOLINTNEXTLINE(cert-env33-c,concurrency-mt-unsafe): a test's own tools */
    assert_int_equal(system(command), 0);
}

/* Writes a checkpoint of `record` (or of the engine) into the empty Redis. */
static void store_one(struct bench *bench, struct tsn_engine *eng,
                      const struct tsn_snapshot_record *record)
{
    struct tsn_failure failure = {0};
    struct tsn_checkpoint_meta meta = {.sequence = SEQUENCE,
                                       .semantics = TSN_ENGINE_SEMANTICS,
                                       .cluster_id = "fixture",
                                       .written_at_ms = 1772413200000,
                                       .whole = true};
    memcpy(meta.program, bench->prog->hash, sizeof meta.program);
    struct tsn_store *store = tsn_store_open(bench->config, bench->keys, &failure);
    assert_non_null(store);
    assert_true(tsn_store_claim(store, &failure));
    tsn_snapshot_cut(eng, true, tsn_store_collect, store);
    if (record) {
        tsn_store_collect(store, record);
    }
    tsn_store_begin(store, &meta);
    assert_int_equal(tsn_store_wait(store, WAIT_MS, &failure), TSN_STORE_DONE);
    tsn_store_close(store);
}

static void loads_and_goes_on(struct bench *bench)
{
    struct tsn_failure failure = {0};
    struct tsn_output expected, before, out;
    tsn_output_init(&expected);
    tsn_output_init(&before);
    tsn_output_init(&out);
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, bench->file);
    struct tsn_engine *whole = tsn_engine_new(bench->prog, &bench->config->engine);
    feed(bench, whole, 0, BEFORE, &before);
    if (getenv("TSN_WRITE_FIXTURES") && access(path, F_OK) != 0) {
        store_one(bench, whole, NULL);
        run("bash %s/dump.sh %s > %s", folder, bench->server.socket, path);
        run("redis-cli -s %s flushall > /dev/null", bench->server.socket);
    }
    feed(bench, whole, BEFORE, BEFORE + AFTER, &expected);

    run("redis-cli -s %s < %s > /dev/null", bench->server.socket, path);
    struct tsn_store *store = tsn_store_open(bench->config, bench->keys, &failure);
    assert_non_null(store);
    struct tsn_checkpoint_meta meta;
    struct tsn_engine *eng = tsn_engine_new(bench->prog, &bench->config->engine);
    if (!tsn_store_load(store, eng, &meta, &failure)) {
        fail_msg("%s", failure.text);
    }
    assert_int_equal(meta.sequence, SEQUENCE);
    assert_int_equal(meta.semantics, TSN_ENGINE_SEMANTICS);
    assert_string_equal(meta.cluster_id, "fixture");
    assert_memory_equal(meta.program, bench->prog->hash, 32);
    feed(bench, eng, BEFORE, BEFORE + AFTER, &out);
    assert_true(before.n_alerts > 0 && expected.n_alerts > 0);
    assert_int_equal(out.n_alerts, expected.n_alerts);
    for (uint32_t i = 0; i < out.n_alerts; i++) {
        assert_int_equal(out.alerts[i].event.position, expected.alerts[i].event.position);
        assert_int_equal(out.alerts[i].opened_by.position, expected.alerts[i].opened_by.position);
        assert_int_equal(out.alerts[i].revision, expected.alerts[i].revision);
        assert_int_equal(out.alerts[i].level, expected.alerts[i].level);
        assert_true(out.alerts[i].score == expected.alerts[i].score);
        assert_int_equal(out.alerts[i].n_hits, expected.alerts[i].n_hits);
        for (uint32_t h = 0; h < out.alerts[i].n_hits; h++) {
            struct tsn_str reason = out.alerts[i].hits[h].reason;
            assert_int_equal(reason.len, expected.alerts[i].hits[h].reason.len);
            assert_memory_equal(reason.p, expected.alerts[i].hits[h].reason.p, reason.len);
        }
    }
    assert_int_equal(tsn_engine_counts(eng).entities, tsn_engine_counts(whole).entities);
    tsn_store_close(store);
    tsn_engine_free(eng);
    tsn_engine_free(whole);
    tsn_output_free(&expected);
    tsn_output_free(&before);
    tsn_output_free(&out);
}

static void a_checkpoint_of_layout_1_still_loads_and_goes_on(void **state)
{
    loads_and_goes_on(*state);
}

static void a_checkpoint_with_panes_still_loads_and_goes_on(void **state)
{
    struct bench *bench = *state;
    struct tsn_engine *eng = tsn_engine_new(bench->prog, &bench->config->engine);
    struct tsn_output out;
    tsn_output_init(&out);
    feed(bench, eng, 0, BEFORE, &out);
    assert_true(tsn_engine_counts(eng).coalesced > 0);
    tsn_engine_free(eng);
    tsn_output_free(&out);
    loads_and_goes_on(bench);
}

static void a_section_of_a_later_version_is_refused_by_its_number(void **state)
{
    struct bench *bench = *state;
    struct tsn_failure failure = {0};
    run("redis-cli -s %s flushall > /dev/null", bench->server.socket);
    struct tsn_engine *eng = tsn_engine_new(bench->prog, &bench->config->engine);
    const struct tsn_snapshot_record later = {.section = (enum tsn_snapshot_section)99,
                                              .key = {1},
                                              .bytes = (const uint8_t *)"new",
                                              .len = 3};
    store_one(bench, eng, &later);
    struct tsn_store *store = tsn_store_open(bench->config, bench->keys, &failure);
    assert_non_null(store);
    struct tsn_checkpoint_meta meta;
    assert_false(tsn_store_load(store, eng, &meta, &failure));
    assert_int_equal(failure.remedy, TSN_REMEDY_CONFIG);
    assert_non_null(strstr(failure.text, "section 99"));
    assert_non_null(strstr(failure.text, "run the version that wrote it"));
    tsn_store_close(store);
    tsn_engine_free(eng);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_checkpoint_of_layout_1_still_loads_and_goes_on),
        cmocka_unit_test(a_section_of_a_later_version_is_refused_by_its_number),
    };
    const struct CMUnitTest hot[] = {
        cmocka_unit_test(a_checkpoint_with_panes_still_loads_and_goes_on),
    };
    int failed = cmocka_run_group_tests_name("checkpoint_format", tests, set_up, tear_down);
    return failed + cmocka_run_group_tests_name("with panes", hot, set_up_hot, tear_down);
}
