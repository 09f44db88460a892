/* A Redis that is slow, or that may not be used faster: the engine goes on beside the
 * checkpoint, and what is written in the end is whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fixture/random_case.h"
#include "tests/fixture/slow_proxy.h"
#include "tests/fixture/store_world.h"

enum { SEED = 5, ROWS = 4000, MANY = 20000 };

/* ---- slow answers --------------------------------------------------------------------------- */

struct stream {
    struct tsn_program *prog;
    struct tsn_batch *rows;
    struct tsn_batch *one;
    struct tsn_engine *eng;
    struct tsn_output out;
    uint32_t next;
};

static void stream_begin(struct stream *stream)
{
    stream->prog = tsn_random_program(SEED);
    struct tsn_engine_settings settings = tsn_random_settings(SEED);
    stream->rows = tsn_random_stream(SEED, stream->prog, ROWS);
    stream->one = tsn_batch_new(stream->prog, 64);
    stream->eng = tsn_engine_new(stream->prog, &settings);
    stream->next = 0;
    tsn_output_init(&stream->out);
}

static void stream_end(struct stream *stream)
{
    tsn_output_free(&stream->out);
    tsn_engine_free(stream->eng);
    tsn_batch_free(stream->one);
    tsn_batch_free(stream->rows);
    tsn_program_free(stream->prog);
}

static bool stream_row(struct stream *stream)
{
    if (stream->next == stream->rows->n) {
        return false;
    }
    tsn_batch_clear(stream->one);
    tsn_batch_append(stream->one, stream->rows, stream->next, stream->next + 1, true);
    tsn_engine_rows(stream->eng, stream->one, &stream->out);
    stream->next++;
    return true;
}

/* A checkpoint of ten round trips at least; rows are counted that were processed while
 * it was written, one between two polls. Only an engine that waits for Redis has none. */
static void slow_redis_does_not_stop_the_engine(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/slow.sock", store_world.server.dir);
    struct tsn_slow_proxy *proxy = tsn_slow_proxy_start(path, store_world.server.socket, 100);
    struct tsn_config config = store_world_config("slow");
    config.redis.unix_socket = path;
    struct tsn_store *store = store_world_claim_at(&config);
    struct tsn_failure failure = {0};
    struct stream stream;
    stream_begin(&stream);
    for (int i = 0; i < 200; i++) {
        assert_true(stream_row(&stream));
    }
    struct tsn_checkpoint_meta meta = {.sequence = 1, .whole = tsn_store_wants_whole(store)};
    tsn_snapshot_cut(stream.eng, meta.whole, tsn_store_collect, store);
    struct tsn_engine_counts stored = tsn_engine_counts(stream.eng);
    tsn_store_begin(store, &meta);
    uint32_t meanwhile = 0;
    enum tsn_store_progress progress = tsn_store_poll(store, &failure);
    while (progress == TSN_STORE_WRITING && stream_row(&stream)) {
        meanwhile++;
        progress = tsn_store_poll(store, &failure);
    }
    assert_true(meanwhile > 100);
    if (progress == TSN_STORE_WRITING) {
        progress = tsn_store_wait(store, STORE_WORLD_WAIT_MS, &failure);
    }
    if (progress != TSN_STORE_DONE) {
        fail_msg("%s", failure.text);
    }
    tsn_store_close(store);
    tsn_slow_proxy_stop(proxy);

    config = store_world_config("slow");
    store = store_world_claim_at(&config);
    struct tsn_engine_settings settings = tsn_random_settings(SEED);
    struct tsn_engine *loaded = tsn_engine_new(stream.prog, &settings);
    if (!tsn_store_load(store, loaded, &meta, &failure)) {
        fail_msg("%s", failure.text);
    }
    assert_int_equal(meta.sequence, 1);
    assert_int_equal(tsn_engine_counts(loaded).entities, stored.entities);
    assert_int_equal(tsn_engine_counts(loaded).entries, stored.entries);
    tsn_engine_free(loaded);
    tsn_store_close(store);
    stream_end(&stream);
}

/* ---- bandwidth ------------------------------------------------------------------------------ */

/* 2 MB at 4 KiB a second would take minutes. */
static void bandwidth_holds_a_checkpoint_back_and_a_close_does_not_wait_for_it(void **state)
{
    (void)state;
    struct tsn_config config = store_world_config("paced");
    config.checkpoint_bandwidth = 4096;
    config.checkpoint_age_ms = 3600 * 1000;
    struct tsn_store *store = store_world_claim_at(&config);
    struct tsn_failure failure = {0};
    struct tsn_checkpoint_meta meta;
    struct tsn_fake_state fake;
    tsn_fake_state_init(&fake, MANY, 1);
    tsn_fake_state_fill(&fake);
    store_world_cut(store, &fake, 1);
    assert_int_equal(tsn_store_wait(store, 300, &failure), TSN_STORE_WRITING);
    tsn_store_close(store);
    store = store_world_claim_at(&config);
    assert_true(tsn_store_meta(store, &meta, &failure));
    assert_int_equal(meta.sequence, 0); /* whole or absent */
    tsn_store_close(store);
    tsn_fake_state_free(&fake);
}

static void checkpoint_older_than_its_target_age_is_written_at_full_speed(void **state)
{
    (void)state;
    struct tsn_config config = store_world_config("late");
    config.checkpoint_bandwidth = 4096;
    config.checkpoint_age_ms = 100;
    struct tsn_store *store = store_world_claim_at(&config);
    struct tsn_failure failure = {0};
    struct tsn_checkpoint_meta meta;
    struct tsn_fake_state fake;
    tsn_fake_state_init(&fake, MANY, 1);
    tsn_fake_state_fill(&fake);
    store_world_cut(store, &fake, 1);
    if (tsn_store_wait(store, STORE_WORLD_WAIT_MS, &failure) != TSN_STORE_DONE) {
        fail_msg("%s", failure.text);
    }
    assert_true(tsn_store_meta(store, &meta, &failure));
    assert_int_equal(meta.sequence, 1);
    tsn_store_close(store);
    tsn_fake_state_free(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slow_redis_does_not_stop_the_engine),
        cmocka_unit_test(bandwidth_holds_a_checkpoint_back_and_a_close_does_not_wait_for_it),
        cmocka_unit_test(checkpoint_older_than_its_target_age_is_written_at_full_speed),
    };
    return cmocka_run_group_tests_name("redis_slow", tests, store_world_begin, store_world_end);
}
