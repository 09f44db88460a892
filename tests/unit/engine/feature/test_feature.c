/* Features of random programs over random streams, against the model that scans. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fixture/feature_model.h"

enum { EVENTS = 1200, FEATURES = 24, SEEDS = 24 };

static struct tsn_model_event events[EVENTS];
static struct tsn_model_result results[EVENTS];

static void model_all(struct tsn_model *model, int from, int to)
{
    for (int e = from; e < to; e++) {
        tsn_model_event(model, &events[e], &results[e]);
    }
}

static void every_batch_size_gives_what_a_scan_gives(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 7, 64, 512};
    struct tsn_engine_settings settings = tsn_model_settings();
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct tsn_model_random random = {.state = seed * 0x9e3779b97f4a7c15u};
        struct tsn_program *prog = tsn_model_program(&random, FEATURES, NULL, seed);
        tsn_model_stream(&random, events, EVENTS);
        struct tsn_model *model = tsn_model_new(prog);
        model_all(model, 0, EVENTS);
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            char what[64];
            snprintf(what, sizeof what, "seed %d, batches of %d", (int)seed, (int)sizes[i]);
            struct tsn_engine *eng = tsn_engine_new(prog, &settings);
            tsn_engine_want_columns(eng, true);
            tsn_model_run(eng, prog, events, results, 0, EVENTS, sizes[i], what);
            tsn_engine_free(eng);
        }
        tsn_model_free(model);
        tsn_build_free(prog);
    }
}

static void features_that_two_programs_share_keep_their_rows(void **state)
{
    (void)state;
    struct tsn_engine_settings settings = tsn_model_settings();
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct tsn_model_random random = {.state = seed * 0x9e3779b97f4a7c15u + 7};
        struct tsn_program *progs[4];
        char what[64];
        snprintf(what, sizeof what, "seed %d", (int)seed);
        for (int p = 0; p < 4; p++) {
            progs[p] = tsn_model_program(&random, FEATURES, p ? progs[p - 1] : NULL,
                                         seed * 10 + (uint64_t)p);
        }
        tsn_model_stream(&random, events, EVENTS);
        struct tsn_model *model = tsn_model_new(progs[0]);
        struct tsn_engine *eng = tsn_engine_new(progs[0], &settings);
        tsn_engine_want_columns(eng, true);
        for (int p = 0; p < 4; p++) {
            if (p) {
                tsn_model_swap(model, progs[p]);
                tsn_engine_swap(eng, progs[p]);
            }
            int from = p * EVENTS / 4;
            int to = (p + 1) * EVENTS / 4;
            model_all(model, from, to);
            tsn_model_run(eng, progs[p], events, results, from, to, 64, what);
        }
        tsn_engine_free(eng);
        tsn_model_free(model);
        for (int p = 0; p < 4; p++) {
            tsn_build_free(progs[p]);
        }
    }
}

static void silent_entities_give_their_memory_back(void **state)
{
    (void)state;
    struct tsn_engine_settings settings = tsn_model_settings();
    struct tsn_model_random random = {.state = 99};
    struct tsn_program *prog = tsn_model_program(&random, FEATURES, NULL, 1);
    struct tsn_engine *eng = tsn_engine_new(prog, &settings);
    tsn_engine_want_columns(eng, true);
    struct tsn_output out;
    struct tsn_batch *batch = tsn_batch_new(prog, 512);
    tsn_output_init(&out);
    tsn_model_stream(&random, events, EVENTS);
    struct tsn_model *model = tsn_model_new(prog);
    model_all(model, 0, EVENTS);
    tsn_model_run(eng, prog, events, results, 0, EVENTS, 512, "before silence");
    assert_true(tsn_engine_counts(eng).entries > 0);
    for (int i = 0; i < 200; i++) { /* rows of nobody, an hour later */
        tsn_batch_clear(batch);
        tsn_batch_add(batch, TSN_MODEL_PAY, events[EVENTS - 1].time_ms + 3600000 + i, 0, 0);
        tsn_engine_rows(eng, batch, &out);
    }
    assert_int_equal(tsn_engine_counts(eng).entries, 0);
    assert_int_equal(tsn_engine_counts(eng).entities, 0);
    tsn_output_free(&out);
    tsn_batch_free(batch);
    tsn_model_free(model);
    tsn_engine_free(eng);
    tsn_build_free(prog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_batch_size_gives_what_a_scan_gives),
        cmocka_unit_test(features_that_two_programs_share_keep_their_rows),
        cmocka_unit_test(silent_entities_give_their_memory_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
