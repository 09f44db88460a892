/* The engine's door: lateness, ticks and memory. What features are is tested in
 * feature/, what alerts are in score/. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "rules/pack/pack.h"
#include "tests/fixture/feature_model.h"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/* Every request to the system's allocator is counted. */
static uint64_t n_allocations;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *malloc(size_t size);
void *calloc(size_t n, size_t size);
void *realloc(void *p, size_t size);

void *malloc(size_t size)
{
    n_allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    n_allocations++;
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    n_allocations++;
    return __libc_realloc(p, size);
}

/* The same stream again and again, each time a minute later: state stops growing. */
static void a_stream_that_repeats_allocates_nothing(void **state)
{
    (void)state;
    enum { EVENTS = 1024, ROUNDS = 12 };
    static struct tsn_model_event events[EVENTS];
    struct tsn_engine_settings settings = tsn_model_settings();
    struct tsn_model_random random = {.state = 21};
    struct tsn_program *prog = tsn_model_program(&random, 24, NULL, 1);
    struct tsn_engine *eng = tsn_engine_new(prog, &settings);
    struct tsn_batch *batch = tsn_batch_new(prog, 512);
    struct tsn_output out;
    uint64_t in_last_round = 0;
    tsn_output_init(&out);
    tsn_model_stream(&random, events, EVENTS);
    int64_t span_ms = events[EVENTS - 1].time_ms - events[0].time_ms + 60000;
    for (int round = 0; round < ROUNDS; round++) {
        for (int e = 0; e < EVENTS; e++) {
            events[e].present[1] = false; /* ids open a pane a minute: state */
            events[e].time_ms += span_ms;
            tsn_model_add(batch, &events[e], e);
            if (batch->n == 512) {
                uint64_t before = n_allocations;
                tsn_engine_rows(eng, batch, &out);
                in_last_round += n_allocations - before;
                tsn_batch_clear(batch);
            }
        }
        in_last_round *= round + 1 == ROUNDS;
    }
    assert_int_equal(in_last_round, 0);
    assert_true(tsn_engine_counts(eng).entries > 0);
    tsn_output_free(&out);
    tsn_batch_free(batch);
    tsn_engine_free(eng);
    tsn_build_free(prog);
}
#endif

static void a_row_at_the_edge_of_lateness_is_in_time(void **state)
{
    (void)state;
    static const struct {
        int64_t time_ms;
        enum tsn_row_status status;
    } rows[] = {
        {100000, TSN_ROW_ACCEPTED}, {100000, TSN_ROW_ACCEPTED}, {99999, TSN_ROW_LATE},
        {96000, TSN_ROW_LATE},      {95999, TSN_ROW_TOO_LATE},  {100001, TSN_ROW_ACCEPTED},
        {96000, TSN_ROW_TOO_LATE},
    };
    enum { N = sizeof rows / sizeof rows[0] };
    struct tsn_engine_settings settings = tsn_model_settings(); /* lateness 4 s */
    struct tsn_model_random random = {.state = 1};
    struct tsn_program *prog = tsn_model_program(&random, 4, NULL, 1);
    struct tsn_engine *eng = tsn_engine_new(prog, &settings);
    struct tsn_batch *batch = tsn_batch_new(prog, 64);
    struct tsn_output out;
    tsn_output_init(&out);
    assert_int_equal(tsn_engine_newest(eng), INT64_MIN);
    for (int i = 0; i < N; i++) {
        tsn_batch_add(batch, TSN_MODEL_PAY, rows[i].time_ms, 0, i);
    }
    tsn_engine_rows(eng, batch, &out);
    for (int i = 0; i < N; i++) {
        assert_int_equal(tsn_engine_status(eng)[i], rows[i].status);
    }
    struct tsn_engine_counts counts = tsn_engine_counts(eng);
    assert_int_equal(counts.rows, N);
    assert_int_equal(counts.accepted, N);
    assert_int_equal(counts.late, 2);
    assert_int_equal(counts.too_late, 2);
    assert_int_equal(tsn_engine_newest(eng), 100001);
    assert_false(tsn_engine_tick(eng, 200000, &out));
    assert_int_equal(tsn_engine_newest(eng), 100001);
    tsn_output_free(&out);
    tsn_batch_free(batch);
    tsn_engine_free(eng);
    tsn_build_free(prog);
}

/* A call centre's week: of 50,000 calls to 3,000 numbers, a set of ten keeps eleven and
 * those of the lateness. */
static void a_set_of_a_hot_key_keeps_little_more_than_its_members(void **state)
{
    (void)state;
    enum { ROWS = 50000, LINES = 3000, STEP_MS = 10000 };
    static const char pack[] =
        "pack: p\n"
        "events: { call: { fields: { who: { type: string, required: true, entity: line },\n"
        "  whom: { type: string, required: true } } } }\n"
        "features:\n"
        "  - { name: s, event: call, aggregate: set(whom), by: who, max: 10, window: 7d }\n";
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct tsn_program *prog = tsn_pack_compile("p.yaml", pack, strlen(pack), NULL, NULL, &diags);
    assert_non_null(prog);
    struct tsn_engine_settings settings = tsn_engine_defaults();
    struct tsn_engine *eng = tsn_engine_new(prog, &settings);
    struct tsn_batch *batch = tsn_batch_new(prog, 64);
    struct tsn_output out;
    tsn_output_init(&out);
    uint64_t most = 0;
    for (uint32_t r = 0; r < ROWS; r++) {
        uint32_t at = tsn_batch_add(batch, 0, (int64_t)r * STEP_MS, 0, r);
        char whom[16];
        snprintf(whom, sizeof whom, "n%u", r * 7919 % LINES);
        struct tsn_str texts[] = {{"centre", 6}, {whom, (uint32_t)strlen(whom)}};
        for (int f = 0; f < 2; f++) {
            struct tsn_column *column = &batch->types[0].fields[1 + f];
            tsn_bits_set(column->valid, at);
            column->str[at] = (struct tsn_str){
                tsn_arena_strdup(&batch->text, texts[f].p, texts[f].len), texts[f].len};
        }
        if (batch->n == 64) {
            tsn_engine_rows(eng, batch, &out);
            tsn_batch_clear(batch);
            uint64_t entries = tsn_engine_counts(eng).entries;
            most = entries > most ? entries : most;
        }
    }
    /* An hour is 360 rows, a batch 64; a log makes room when a quarter of it or more is
     * free then, and else grows by half: at most twice what must stay. */
    assert_in_range(most, 360, 2 * (360 + 11 + 64));
    tsn_output_free(&out);
    tsn_batch_free(batch);
    tsn_engine_free(eng);
    tsn_program_free(prog);
    tsn_diags_free(&diags);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_at_the_edge_of_lateness_is_in_time),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        cmocka_unit_test(a_stream_that_repeats_allocates_nothing),
#endif
        cmocka_unit_test(a_set_of_a_hot_key_keeps_little_more_than_its_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
