/* Features of hot keys: logs of a few rows, so that most of them coalesce. What is said to
 * be exact is what a scan gives; and every value, exact or not, is the same whatever the
 * batches, through checkpoints at any point and through changes of the program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fixture/feature_model.h"
#include "tests/fixture/record_map.h"

enum { EVENTS = 900, FEATURES = 20, SEEDS = 60, PARTS = 3 };

static struct tsn_model_event events[EVENTS];
static struct tsn_model_result results[EVENTS];

/* What an engine said about every event. */
struct said {
    uint64_t bits[EVENTS][TSN_MODEL_SLOTS]; /* of the value, when there is one */
    uint8_t state[EVENTS][TSN_MODEL_SLOTS]; /* 1 value, 2 error, + 4 approximate */
};

static struct said first, again;

static uint64_t bits_of(const struct tsn_column *column, uint32_t at)
{
    uint64_t hash = 1469598103934665603u;
    switch (column->rep) {
    case TSN_REP_BOOL:
        return tsn_bits_get(column->bits, at);
    case TSN_REP_ENUM:
        return column->code[at];
    case TSN_REP_STRING:
        for (uint32_t i = 0; i < column->str[at].len; i++) {
            hash = (hash ^ (uint8_t)column->str[at].p[i]) * 1099511628211u;
        }
        return hash;
    default:
        return (uint64_t)column->i64[at];
    }
}

static void slots_note(struct tsn_engine *eng, const struct tsn_program *prog,
                       const struct tsn_batch *batch, struct said *said)
{
    for (uint32_t r = 0; r < batch->n; r++) {
        const struct tsn_row *row = &batch->rows[r];
        for (int s = 0; s < prog->types[row->type].n_slots; s++) {
            const struct tsn_column *column = &tsn_engine_slots(eng, row->type)[s];
            bool valid = tsn_bits_get(column->valid, row->at);
            bool error = column->error && tsn_bits_get(column->error, row->at);
            bool about = column->approximate && tsn_bits_get(column->approximate, row->at);
            said->state[row->position][s] = (uint8_t)(valid | error << 1 | about << 2);
            said->bits[row->position][s] = valid ? bits_of(column, row->at) : 0;
        }
    }
}

static void run(struct tsn_engine *eng, const struct tsn_program *prog, int from, int to,
                uint32_t batch_rows, struct said *said)
{
    struct tsn_output out;
    struct tsn_batch *batch = tsn_batch_new(prog, 512);
    tsn_output_init(&out);
    for (int e = from; e < to; e++) {
        tsn_model_add(batch, &events[e], e);
        if (batch->n == batch_rows || e + 1 == to) {
            tsn_engine_rows(eng, batch, &out);
            slots_note(eng, prog, batch, said);
            tsn_batch_clear(batch);
        }
    }
    tsn_output_free(&out);
    tsn_batch_free(batch);
}

static void same_said(const struct tsn_program *prog, int from, int to, const char *what)
{
    for (int e = from; e < to; e++) {
        const struct tsn_event_type *type = &prog->types[events[e].type];
        for (int s = 0; s < type->n_slots; s++) {
            if (first.state[e][s] != again.state[e][s] || first.bits[e][s] != again.bits[e][s]) {
                fail_msg("%s: event %d, %s: state %d, %" PRIx64 "; first it was %d, %" PRIx64, what,
                         e, type->slots[s].name, again.state[e][s], again.bits[e][s],
                         first.state[e][s], first.bits[e][s]);
            }
        }
    }
}

/* Does the feature look at nothing that may be approximate itself? */
static bool stands_alone(const struct tsn_program *prog, const struct tsn_feature *feature)
{
    const struct tsn_event_type *type = &prog->types[feature->event];
    if (feature->agg == TSN_AGG_EXPR || feature->at_seen) {
        return false;
    }
    size_t n = 0;
    const uint32_t *inputs =
        feature->where == TSN_EXPR_NONE ? NULL : tsn_expr_inputs(type->exprs, feature->where, &n);
    bool alone = true;
    for (size_t i = 0; i < n; i++) {
        alone &= (int)inputs[i] < type->n_fields;
    }
    return alone;
}

/* One batch an event, so that columns can be compared; counts what is approximate. */
static uint64_t run_against_model(struct tsn_engine *eng, const struct tsn_program *prog)
{
    struct tsn_model *model = tsn_model_new(prog);
    struct tsn_batch *batch = tsn_batch_new(prog, 512);
    struct tsn_output out;
    uint64_t n = 0;
    tsn_output_init(&out);
    for (int e = 0; e < EVENTS; e++) {
        tsn_model_event(model, &events[e], &results[e]);
        tsn_model_add(batch, &events[e], e);
        tsn_engine_rows(eng, batch, &out);
        slots_note(eng, prog, batch, &first);
        const struct tsn_event_type *type = &prog->types[events[e].type];
        for (int s = 0; s < type->n_slots; s++) {
            const struct tsn_feature *feature = &prog->features[type->slots[s].feature];
            bool approximate = first.state[e][s] & 4;
            n += approximate;
            if (results[e].status != TSN_ROW_DUPLICATE && !approximate &&
                stands_alone(prog, feature) &&
                !tsn_model_equals(&tsn_engine_slots(eng, events[e].type)[s], 0,
                                  &results[e].slots[s])) {
                fail_msg("event %d, %s: not what a scan gives, but said to be exact", e,
                         type->slots[s].name);
            }
        }
        tsn_batch_clear(batch);
    }
    tsn_output_free(&out);
    tsn_batch_free(batch);
    tsn_model_free(model);
    return n;
}

static void exact_or_said_and_the_same_in_all_batches_and_restarts(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {7, 64, 512};
    struct tsn_engine_settings settings = tsn_model_settings();
    uint64_t n_approximate = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct tsn_model_random dice = {.state = seed * 0x9e3779b97f4a7c15u, .exact_up_to = 16};
        struct tsn_program *prog = tsn_model_program(&dice, FEATURES, NULL, seed);
        char what[64];
        tsn_model_stream(&dice, events, EVENTS);
        struct tsn_engine *eng = tsn_engine_new(prog, &settings);
        tsn_engine_want_columns(eng, true);
        uint64_t n = run_against_model(eng, prog);
        struct tsn_engine_counts counts = tsn_engine_counts(eng);
        assert_int_equal(counts.approximate, n);
        assert_true(n == 0 || counts.coalesced > 0);
        n_approximate += n;
        tsn_engine_free(eng);
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            snprintf(what, sizeof what, "seed %d, batches of %d", (int)seed, (int)sizes[i]);
            eng = tsn_engine_new(prog, &settings);
            tsn_engine_want_columns(eng, true);
            run(eng, prog, 0, EVENTS, sizes[i], &again);
            same_said(prog, 0, EVENTS, what);
            tsn_engine_free(eng);
        }
        snprintf(what, sizeof what, "seed %d, restarts", (int)seed);
        eng = tsn_engine_new(prog, &settings);
        tsn_engine_want_columns(eng, true);
        for (int from = 0, to; from < EVENTS; from = to) {
            to = from + 1 + (int)tsn_model_below(&dice, 200);
            to = to < EVENTS ? to : EVENTS;
            run(eng, prog, from, to, 16, &again);
            eng = tsn_record_map_restart(eng, prog, &settings);
        }
        same_said(prog, 0, EVENTS, what);
        tsn_engine_free(eng);
        tsn_build_free(prog);
    }
    assert_true(n_approximate > 1000);
}

static void a_change_of_program_takes_panes_along(void **state)
{
    (void)state;
    struct tsn_engine_settings settings = tsn_model_settings();
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct tsn_model_random dice = {.state = seed * 0x9e3779b97f4a7c15u + 7, .exact_up_to = 16};
        struct tsn_program *progs[PARTS];
        char what[64];
        snprintf(what, sizeof what, "seed %d", (int)seed);
        for (int p = 0; p < PARTS; p++) {
            progs[p] = tsn_model_program(&dice, FEATURES, p ? progs[p - 1] : NULL,
                                         seed * 10 + (uint64_t)p);
        }
        tsn_model_stream(&dice, events, EVENTS);
        struct tsn_engine *one = tsn_engine_new(progs[0], &settings);
        tsn_engine_want_columns(one, true);
        struct tsn_engine *two = tsn_engine_new(progs[0], &settings);
        tsn_engine_want_columns(two, true);
        for (int p = 0; p < PARTS; p++) {
            int from = p * EVENTS / PARTS;
            int to = (p + 1) * EVENTS / PARTS;
            int mid = from + (int)tsn_model_below(&dice, to - from);
            if (p) {
                tsn_engine_swap(one, progs[p]);
                tsn_engine_swap(two, progs[p]);
                two = tsn_record_map_restart(two, progs[p], &settings);
            }
            run(one, progs[p], from, to, 64, &first);
            run(two, progs[p], from, mid, 512, &again);
            two = tsn_record_map_restart(two, progs[p], &settings);
            run(two, progs[p], mid, to, 3, &again);
            same_said(progs[p], from, to, what);
        }
        tsn_engine_free(one);
        tsn_engine_free(two);
        for (int p = 0; p < PARTS; p++) {
            tsn_build_free(progs[p]);
        }
    }
}

/* A record on its way into a store that damages it now and then. */
struct damage {
    struct tsn_record_map map;
    struct tsn_model_random dice;
};

static void damaged_put(void *user, const struct tsn_snapshot_record *record)
{
    struct damage *damage = user;
    struct tsn_snapshot_record copy = *record;
    uint8_t *bytes = malloc(record->len + 1);
    assert_non_null(bytes);
    memcpy(bytes, record->bytes, record->len);
    for (int64_t n = tsn_model_below(&damage->dice, 3); record->len && n > 0; n--) {
        int64_t at = tsn_model_below(&damage->dice, (int64_t)record->len);
        bytes[at] = (uint8_t)tsn_model_next(&damage->dice);
    }
    copy.bytes = bytes;
    copy.len -= record->len > 8 && tsn_model_below(&damage->dice, 9) == 0 ? 3 : 0;
    tsn_record_map_put(&damage->map, &copy);
    free(bytes);
}

static void damaged_panes_are_refused_or_safe(void **state)
{
    (void)state;
    struct tsn_engine_settings settings = tsn_model_settings();
    struct tsn_model_random dice = {.state = 31, .exact_up_to = 16};
    struct tsn_program *prog = tsn_model_program(&dice, FEATURES, NULL, 1);
    tsn_model_stream(&dice, events, EVENTS);
    struct tsn_engine *whole = tsn_engine_new(prog, &settings);
    tsn_engine_want_columns(whole, true);
    run(whole, prog, 0, EVENTS / 2, 64, &first);
    assert_true(tsn_engine_counts(whole).coalesced > 0);
    int n_loaded = 0;
    for (int i = 0; i < 1500; i++) {
        struct damage damage = {.dice = {.state = (uint64_t)i * 7919 + 3}};
        const char *why;
        tsn_snapshot_cut(whole, true, damaged_put, &damage);
        struct tsn_engine *eng = tsn_engine_new(prog, &settings);
        tsn_engine_want_columns(eng, true);
        if (tsn_record_map_load(&damage.map, eng, &why)) {
            run(eng, prog, EVENTS / 2, EVENTS, 64, &again);
            n_loaded++;
        }
        tsn_engine_free(eng);
        tsn_record_map_free(&damage.map);
    }
    assert_true(n_loaded > 0 && n_loaded < 1500);
    tsn_engine_free(whole);
    tsn_build_free(prog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_or_said_and_the_same_in_all_batches_and_restarts),
        cmocka_unit_test(a_change_of_program_takes_panes_along),
        cmocka_unit_test(damaged_panes_are_refused_or_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
