/* A real engine through real checkpoints: one that is stopped, stored and restored at
 * any row goes on as if nothing had happened; also when Redis alone has all but a hundredth of
 * its entities. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "connectors/run/resident.h"
#include "tests/fixture/random_case.h"
#include "tests/fixture/store_world.h"

enum { SEEDS = 12, ROWS = 3000, PART_ROWS = 100, WIDER = 100 };

struct part {
    struct tsn_resident *resident; /* NULL: all entities are in memory */
    const struct tsn_program *prog;
    const struct tsn_batch *stream;
    struct tsn_engine_settings settings;
    struct tsn_batch *batch;
};

static void feed(const struct part *part, struct tsn_engine *eng, uint32_t from, uint32_t to,
                 struct tsn_output *out)
{
    tsn_batch_clear(part->batch);
    tsn_batch_append(part->batch, part->stream, from, to, true);
    struct tsn_failure failure = {0};
    if (part->resident &&
        tsn_resident_bring(part->resident, eng, part->batch, 0, &failure) != TSN_RESIDENCE_WHOLE) {
        fail_msg("%s", failure.text);
    }
    tsn_engine_rows(eng, part->batch, out);
}

static void assert_same_alerts(uint64_t seed, const struct tsn_output *is,
                               const struct tsn_output *expected)
{
    if (is->n_alerts != expected->n_alerts) {
        fail_msg("seed %llu: %u alerts, not %u", (unsigned long long)seed, is->n_alerts,
                 expected->n_alerts);
    }
    for (uint32_t i = 0; i < is->n_alerts; i++) {
        const struct tsn_alert *a = &is->alerts[i];
        const struct tsn_alert *b = &expected->alerts[i];
        if (a->typology != b->typology || a->level != b->level ||
            a->level_before != b->level_before || memcmp(&a->score, &b->score, sizeof a->score) ||
            a->revision != b->revision || a->event.position != b->event.position ||
            a->opened_by.position != b->opened_by.position || a->n_hits != b->n_hits ||
            a->sms_to.len != b->sms_to.len || a->entity.len != b->entity.len ||
            memcmp(a->entity.p, b->entity.p, a->entity.len) != 0) {
            fail_msg("seed %llu: alert %u differs after a restore", (unsigned long long)seed, i);
        }
    }
}

static struct tsn_engine *restore(struct tsn_store *store, const struct part *part,
                                  uint64_t sequence)
{
    struct tsn_failure failure = {0};
    struct tsn_checkpoint_meta meta;
    struct tsn_engine *eng = tsn_engine_new(part->prog, &part->settings);
    if (part->resident) {
        part->resident->store = store;
        tsn_engine_cap(eng, part->resident->cap);
    }
    if (!(part->resident ? tsn_resident_load(part->resident, eng, &meta, &failure)
                         : tsn_store_load(store, eng, &meta, &failure))) {
        fail_msg("%s", failure.text);
    }
    assert_int_equal(meta.sequence, sequence);
    assert_false(tsn_store_wants_whole(store));
    return eng;
}

static void checkpoint(struct tsn_store *store, struct tsn_engine *eng, uint64_t sequence)
{
    struct tsn_failure failure = {0};
    struct tsn_checkpoint_meta meta = {.sequence = sequence, .whole = tsn_store_wants_whole(store)};
    tsn_snapshot_cut(eng, meta.whole, tsn_store_collect, store);
    tsn_store_begin(store, &meta);
    if (tsn_store_wait(store, STORE_WORLD_WAIT_MS, &failure) != TSN_STORE_DONE) {
        fail_msg("%s", failure.text);
    }
    tsn_engine_saved(eng);
}

/* cap: of entities in memory, among ten times WIDER of them; 0: the stream as it is, and
 * no cap. */
static uint32_t run_seed(uint64_t seed, uint64_t cap, uint64_t *n_fetched)
{
    struct tsn_resident resident = {.cap = cap};
    struct tsn_program *prog = tsn_random_program(seed);
    struct part part = {.prog = prog, .settings = tsn_random_settings(seed)};
    part.settings.batch_rows = 4096;
    struct tsn_batch *stream = tsn_random_stream(seed, prog, ROWS);
    if (cap) {
        tsn_random_keys(seed, stream, WIDER);
    }
    part.stream = stream;
    part.batch = tsn_batch_new(prog, 4096);
    struct tsn_output expected;
    struct tsn_output out;
    tsn_output_init(&expected);
    tsn_output_init(&out);

    struct tsn_engine *whole = tsn_engine_new(prog, &part.settings);
    feed(&part, whole, 0, stream->n, &expected);

    /* The same with a checkpoint every hundred rows, and a death every five hundred. */
    struct tsn_config config = store_world_config(cap ? "capped" : "engine");
    config.redis.database = (int)(seed % 16);
    struct tsn_store *store = store_world_claim_at(&config);
    struct tsn_engine *eng = tsn_engine_new(prog, &part.settings);
    if (cap) {
        resident.store = store;
        part.resident = &resident;
        tsn_engine_cap(eng, cap);
    }
    uint64_t sequence = 0;
    for (uint32_t from = 0; from < stream->n; from += PART_ROWS) {
        uint32_t to = from + PART_ROWS < stream->n ? from + PART_ROWS : stream->n;
        feed(&part, eng, from, to, &out);
        checkpoint(store, eng, ++sequence);
        if (sequence % 5 == 0) {
            *n_fetched += tsn_engine_counts(eng).fetched;
            tsn_engine_free(eng);
            tsn_store_close(store);
            store = store_world_claim_at(&config);
            eng = restore(store, &part, sequence);
        }
    }
    assert_same_alerts(seed, &out, &expected);
    uint32_t n_alerts = out.n_alerts;
    tsn_store_close(store);
    tsn_engine_free(eng);
    tsn_engine_free(whole);
    tsn_output_free(&expected);
    tsn_output_free(&out);
    tsn_batch_free(part.batch);
    tsn_batch_free(stream);
    tsn_program_free(prog);
    return n_alerts;
}

static void
engine_restored_at_any_checkpoint_gives_the_alerts_of_one_that_never_stopped(void **state)
{
    (void)state;
    uint32_t n_alerts = 0;
    uint64_t n_fetched = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        n_alerts += run_seed(seed, 0, &n_fetched);
    }
    assert_true(n_alerts > SEEDS);
    assert_int_equal(n_fetched, 0);
}

static void a_hundredth_of_the_entities_in_memory_gives_the_same_alerts(void **state)
{
    (void)state;
    uint32_t n_alerts = 0;
    uint64_t n_fetched = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        n_alerts += run_seed(seed, WIDER / 10, &n_fetched);
    }
    print_message("%u alerts, %llu entities fetched\n", n_alerts, (unsigned long long)n_fetched);
    assert_true(n_alerts > SEEDS);
    assert_true(n_fetched > (uint64_t)SEEDS * PART_ROWS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            engine_restored_at_any_checkpoint_gives_the_alerts_of_one_that_never_stopped),
        cmocka_unit_test(a_hundredth_of_the_entities_in_memory_gives_the_same_alerts),
    };
    return cmocka_run_group_tests_name("redis_engine", tests, store_world_begin, store_world_end);
}
