/* An engine that is thrown away and restored from incremental checkpoints gives what
 * an uninterrupted one gives: random packs and streams, cuts and crashes at random
 * rows, the rows since the last whole cut replayed. Cuts take a few rows each, while rows
 * go on; what a crash interrupts counts for nothing. TSN_SEED runs one seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/fixture/engine_text.h"
#include "tests/fixture/random_case.h"
#include "tests/fixture/record_map.h"

enum { ROWS = 400, SEEDS = 600, STEP_MOST = 40 };

static struct tsn_engine *engine_new(const struct tsn_program *prog, uint64_t seed)
{
    struct tsn_engine_settings settings = tsn_random_settings(seed);
    struct tsn_engine *eng = tsn_engine_new(prog, &settings);
    tsn_engine_want_columns(eng, true);
    return eng;
}

static uint64_t n_coalesced; /* rows, in all runs */

static char *steady_run(const struct tsn_program *prog, const struct tsn_batch *stream,
                        const tsn_event_ms *ticks, uint64_t seed)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    struct tsn_engine *eng = engine_new(prog, seed);
    struct tsn_batch *one = tsn_batch_new(prog, 64);
    for (uint32_t r = 0; r < stream->n; r++) {
        tsn_text_tick(eng, ticks, r, out);
        tsn_text_row(eng, stream, r, one, out);
    }
    tsn_text_tick(eng, ticks, stream->n, out);
    n_coalesced += tsn_engine_counts(eng).coalesced;
    tsn_batch_free(one);
    tsn_engine_free(eng);
    fclose(out);
    return text;
}

/* A cut under way: its records, and the row that it is as of. */
struct taking {
    struct tsn_random random;
    bool runs;
    uint32_t at;
    size_t n, cap;
    struct tsn_snapshot_record *records; /* bytes are owned */
};

static void taking_put(void *user, const struct tsn_snapshot_record *record)
{
    struct taking *taking = user;
    for (size_t i = 0; i < taking->n; i++) {
        if (taking->records[i].section == record->section &&
            memcmp(taking->records[i].key, record->key, sizeof record->key) == 0) {
            fail_msg("a record of section %d comes twice in one cut", (int)record->section);
        }
    }
    if (taking->n == taking->cap) {
        taking->cap = 2 * taking->cap + 64;
        taking->records = realloc(taking->records, taking->cap * sizeof *taking->records);
        assert_non_null(taking->records);
    }
    struct tsn_snapshot_record *kept = &taking->records[taking->n++];
    *kept = *record;
    if (record->bytes) {
        uint8_t *bytes = malloc(record->len + 1);
        assert_non_null(bytes);
        memcpy(bytes, record->bytes, record->len);
        kept->bytes = bytes;
    }
}

/* Ends it: whole into `stored`, or absent. */
static void taking_end(struct taking *taking, struct tsn_record_map *stored)
{
    for (size_t i = 0; i < taking->n; i++) {
        if (stored) {
            tsn_record_map_put(stored, &taking->records[i]);
        }
        free((void *)taking->records[i].bytes);
    }
    taking->n = 0;
    taking->runs = false;
}

/* Another step of the cut under way; true when it is complete. */
static bool taking_step(struct taking *taking, struct tsn_engine *eng)
{
    return taking->runs && tsn_snapshot_step(eng, tsn_random_below(&taking->random, 400));
}

static char *interrupted_run(const struct tsn_program *prog, const struct tsn_batch *stream,
                             const tsn_event_ms *ticks, uint64_t seed)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    struct tsn_random random = {seed ^ 0xC4A54};
    struct tsn_record_map stored = {0};
    uint32_t stored_at = 0;
    struct tsn_engine *eng = engine_new(prog, seed);
    struct tsn_batch *one = tsn_batch_new(prog, 64);
    uint32_t next_cut = tsn_random_below(&random, STEP_MOST);
    uint32_t next_crash = tsn_random_below(&random, STEP_MOST);
    struct taking taking = {.random = {seed ^ 0x7A6E}};
    for (uint32_t r = 0; r < stream->n; r++) {
        tsn_text_tick(eng, ticks, r, out);
        tsn_text_row(eng, stream, r, one, out);
        if (!taking.runs && r >= next_cut) {
            taking.runs = true;
            taking.at = r + 1;
            tsn_snapshot_begin(eng, tsn_random_below(&random, 8) == 0, taking_put, &taking);
            next_cut = r + 1 + tsn_random_below(&random, STEP_MOST);
        }
        if (taking_step(&taking, eng)) {
            taking_end(&taking, &stored);
            stored_at = taking.at;
        }
        if (r == next_crash) {
            tsn_engine_free(eng);
            taking_end(&taking, NULL);
            eng = engine_new(prog, seed);
            const char *why = NULL;
            if (!tsn_record_map_load(&stored, eng, &why)) {
                print_error("seed %llu row %u: %s\n", (unsigned long long)seed, r, why);
                fail();
            }
            for (uint32_t again = stored_at; again <= r; again++) {
                tsn_text_tick(eng, ticks, again, NULL);
                tsn_text_row(eng, stream, again, one, NULL);
            }
            next_crash += 1 + tsn_random_below(&random, STEP_MOST);
        }
    }
    tsn_text_tick(eng, ticks, stream->n, out);
    taking_end(&taking, NULL);
    free(taking.records);
    tsn_record_map_free(&stored);
    tsn_batch_free(one);
    tsn_engine_free(eng);
    fclose(out);
    return text;
}

static void print_difference(uint64_t seed, const char *steady, const char *interrupted)
{
    size_t line = 0;
    for (size_t i = 0; steady[i] == interrupted[i]; i++) {
        line = steady[i] == '\n' ? i + 1 : line;
    }
    print_error("seed %llu:\nsteady:      %.*s\ninterrupted: %.*s\n", (unsigned long long)seed,
                (int)strcspn(steady + line, "\n"), steady + line,
                (int)strcspn(interrupted + line, "\n"), interrupted + line);
}

static void run_seed(uint64_t seed)
{
    char *pack = tsn_random_pack(seed);
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct tsn_program *prog =
        tsn_pack_compile("random.yaml", pack, strlen(pack), NULL, NULL, &diags);
    assert_non_null(prog);
    struct tsn_batch *stream = tsn_random_stream(seed, prog, ROWS);
    tsn_event_ms *ticks = tsn_random_ticks(seed, stream);
    char *steady = steady_run(prog, stream, ticks, seed);
    char *interrupted = interrupted_run(prog, stream, ticks, seed);
    if (strcmp(steady, interrupted) != 0) {
        print_difference(seed, steady, interrupted);
        fprintf(stderr, "%s\n", pack);
        fail();
    }
    free(steady);
    free(interrupted);
    free(ticks);
    tsn_batch_free(stream);
    tsn_program_free(prog);
    tsn_diags_free(&diags);
    free(pack);
}

static void a_restored_engine_goes_on_as_if_it_had_never_stopped(void **state)
{
    (void)state;
    const char *one = getenv("TSN_SEED");
    if (one) {
        run_seed(strtoull(one, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run_seed(seed);
    }
    assert_int_equal(n_coalesced, 0);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run_seed(seed | TSN_RANDOM_HOT);
    }
    assert_true(n_coalesced > SEEDS * 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_restored_engine_goes_on_as_if_it_had_never_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
