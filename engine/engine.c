/* Engine: the order of things within a batch.
 *
 *   duplicates and lateness, row by row -> keys and columns -> features, level by
 *   level -> rules, typologies, alerts -> a little sweeping
 *
 * Each phase is a room of its own; this page only calls them in order.
 */
#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

#include "engine/entity/key.h"
#include "engine/event/dedup.h"
#include "engine/feature/feature.h"
#include "engine/score/score.h"
#include "engine/snapshot/snapshot.h"
#include "rules/must/must.h"

/* Rows for each entity that is swept. */
enum { SWEEP_EVERY = 16 };
/* Rows between asking for an id's place and looking there. */
enum { DEDUP_AHEAD = 24, DEDUP_BEYOND_AHEAD = 8 };
/* Entities looked at for a row while there are more than the cap: a row brings two or so,
 * and the hand passes over many. */
enum { EVICT_LOOKS = 4, EVICT_LEAST = 256, EVICT_LOADING = 4 };

struct tsn_engine {
    const struct tsn_program *prog;
    struct tsn_engine_settings settings;
    tsn_event_ms newest_ms; /* E */
    tsn_event_ms tick_ms;   /* largest tick that had an effect */
    struct tsn_dedup dedup;
    struct tsn_features features;
    struct tsn_score *score;
    struct tsn_engine_counts counts;
    bool rows_seen;
    bool clock_loaded;
    struct tsn_arena pending_memory; /* records that came before the clock's and need it */
    struct tsn_snapshot_record *pending;
    size_t n_pending, pending_cap;

    struct tsn_eval **evals;    /* [n_types], made when a type first has rows */
    struct tsn_eval **in_batch; /* [n_types]; NULL where the batch has no rows */
    const struct tsn_column **inputs;
    uint64_t *seeds;         /* [n_types] of ids */
    uint8_t *status;         /* [batch_rows] */
    bool any_too_late;       /* in this batch */
    struct tsn_arena batch;  /* what lives for one batch */
    tsn_event_ms *before_ms; /* [batch_rows] E before each row */
    uint64_t *hashes;        /* [batch_rows] of ids; 0: none */
    struct tsn_snapshot_out cut;
    struct tsn_entity_key *asked; /* what tsn_engine_missing and _away gave last */
    size_t asked_cap;
};

struct tsn_engine_settings tsn_engine_defaults(void)
{
    return (struct tsn_engine_settings){
        .lateness_ms = 3600 * 1000,
        .dedup_window_ms = 600 * 1000,
        .dedup_cap_bytes = UINT64_C(256) << 20,
        .timer_grace_ms = 1000,
        .batch_rows = 4096,
    };
}

static void *zeroed(size_t n, size_t size)
{
    void *p = calloc(n + 1, size);
    TSN_MUST_ALLOC(p);
    return p;
}

static void pending_free(struct tsn_engine *eng);

static void program_enter(struct tsn_engine *eng, const struct tsn_program *prog)
{
    size_t n_types = (size_t)prog->n_types;
    eng->prog = prog;
    eng->evals = zeroed(n_types, sizeof *eng->evals);
    eng->in_batch = zeroed(n_types, sizeof *eng->in_batch);
    eng->inputs = zeroed(n_types, sizeof *eng->inputs);
    eng->seeds = zeroed(n_types, sizeof *eng->seeds);
    for (size_t t = 0; t < n_types; t++) {
        eng->seeds[t] = tsn_key_seed(prog->types[t].name);
    }
}

static void program_leave(struct tsn_engine *eng)
{
    for (int t = 0; t < eng->prog->n_types; t++) {
        tsn_eval_free(eng->evals[t]);
    }
    free(eng->evals);
    free(eng->in_batch);
    free(eng->inputs);
    free(eng->seeds);
}

static void members_give(void *user, uint32_t r, int slot, struct tsn_members *out)
{
    struct tsn_engine *eng = user;
    tsn_features_members(&eng->features, r, slot, out);
}

struct tsn_engine *tsn_engine_new(const struct tsn_program *prog,
                                  const struct tsn_engine_settings *settings)
{
    TSN_MUST(settings->lateness_ms >= 0 && settings->dedup_window_ms >= 0);
    struct tsn_engine *eng = zeroed(1, sizeof *eng);
    eng->settings = *settings;
    eng->newest_ms = INT64_MIN;
    eng->tick_ms = INT64_MIN;
    tsn_dedup_init(&eng->dedup, settings->dedup_window_ms, settings->dedup_cap_bytes);
    tsn_features_init(&eng->features, prog, settings->lateness_ms, settings->batch_rows);
    tsn_pool_reserve(&eng->features.pool, settings->reserve_bytes);
    tsn_arena_init(&eng->pending_memory, 0);
    eng->score = tsn_score_new(prog, settings);
    tsn_score_members_from(eng->score, members_give, eng);
    tsn_arena_init(&eng->batch, 0);
    eng->status = zeroed(settings->batch_rows, sizeof *eng->status);
    eng->before_ms = zeroed(settings->batch_rows, sizeof *eng->before_ms);
    eng->hashes = zeroed(settings->batch_rows, sizeof *eng->hashes);
    program_enter(eng, prog);
    return eng;
}

void tsn_engine_free(struct tsn_engine *eng)
{
    if (!eng) {
        return;
    }
    program_leave(eng);
    tsn_score_free(eng->score);
    tsn_arena_free(&eng->batch);
    tsn_features_free(&eng->features);
    tsn_dedup_free(&eng->dedup);
    tsn_snapshot_bytes_free(&eng->cut.bytes);
    pending_free(eng);
    free(eng->status);
    free(eng->before_ms);
    free(eng->hashes);
    free(eng->asked);
    free(eng);
}

/* ---- a batch ----------------------------------------------------------------------- */

static void ids_hash(struct tsn_engine *eng, const struct tsn_batch *batch)
{
    for (int t = 0; t < eng->prog->n_types; t++) {
        const struct tsn_type_rows *rows = &batch->types[t];
        int id_field = eng->prog->types[t].id_field;
        if (id_field != TSN_NONE && rows->n) {
            tsn_dedup_hashes(eng->seeds[t], &rows->fields[id_field], rows->n, rows->row,
                             eng->hashes);
        }
        for (uint32_t at = 0; id_field == TSN_NONE && at < rows->n; at++) {
            eng->hashes[rows->row[at]] = 0;
        }
    }
}

static void rows_admit(struct tsn_engine *eng, const struct tsn_batch *batch)
{
    tsn_event_ms newest_ms = eng->newest_ms;
    uint64_t duplicates = 0, n_late = 0, n_too_late = 0;
    ids_hash(eng, batch);
    tsn_arena_reset(&eng->batch);
    for (uint32_t r = 0; r < batch->n; r++) {
        tsn_event_ms time_ms = batch->rows[r].time_ms;
        uint64_t hash = eng->hashes[r];
        if (r + DEDUP_AHEAD < batch->n) {
            tsn_dedup_prefetch(&eng->dedup, eng->hashes[r + DEDUP_AHEAD]);
        }
        if (r + DEDUP_BEYOND_AHEAD < batch->n) {
            tsn_dedup_prefetch_beyond(&eng->dedup, eng->hashes[r + DEDUP_BEYOND_AHEAD]);
        }
        eng->before_ms[r] = newest_ms;
        if (hash && tsn_dedup_seen(&eng->dedup, hash, time_ms, newest_ms)) {
            eng->status[r] = TSN_ROW_DUPLICATE;
            duplicates++;
            continue;
        }
        if (time_ms >= newest_ms) {
            eng->status[r] = TSN_ROW_ACCEPTED;
            newest_ms = time_ms;
            continue;
        }
        bool too_late = time_ms < tsn_window_minus(newest_ms, eng->settings.lateness_ms);
        eng->status[r] = too_late ? TSN_ROW_TOO_LATE : TSN_ROW_LATE;
        n_too_late += too_late;
        n_late += !too_late;
    }
    eng->newest_ms = newest_ms;
    eng->any_too_late = n_too_late > 0;
    eng->counts.rows += batch->n;
    eng->counts.duplicates += duplicates;
    eng->counts.too_late += n_too_late;
    eng->counts.late += n_late;
    eng->counts.accepted += batch->n - duplicates;
}

/* The times as of which the rows of a type read lists: their own, but for a too-late
 * row E - lateness, because what ended before that may be gone. The array is of the
 * batch where no row is too late: nearly always. */
static const tsn_event_ms *lists_as_of(struct tsn_engine *eng, const struct tsn_batch *batch, int t)
{
    const struct tsn_type_rows *rows = &batch->types[t];
    tsn_event_ms *as_of = NULL;
    for (uint32_t at = 0; eng->any_too_late && at < rows->n; at++) {
        uint32_t r = rows->row[at];
        if (eng->status[r] != TSN_ROW_TOO_LATE) {
            continue;
        }
        if (!as_of) {
            as_of = tsn_arena_alloc(&eng->batch, rows->n * sizeof *as_of);
            memcpy(as_of, rows->time_ms, rows->n * sizeof *as_of);
        }
        as_of[at] = tsn_window_minus(eng->before_ms[r], eng->settings.lateness_ms);
    }
    return as_of ? as_of : rows->time_ms;
}

static void evals_begin(struct tsn_engine *eng, const struct tsn_batch *batch)
{
    for (int t = 0; t < eng->prog->n_types; t++) {
        eng->in_batch[t] = NULL;
        eng->inputs[t] = NULL;
        if (batch->types[t].n == 0) {
            continue;
        }
        if (!eng->evals[t]) {
            eng->evals[t] = tsn_eval_new(eng->prog->types[t].exprs);
        }
        eng->inputs[t] = tsn_features_inputs(&eng->features, t);
        struct tsn_frame frame = {
            .n_rows = batch->types[t].n,
            .inputs = eng->inputs[t],
            .lists = tsn_score_lists(eng->score),
            .time_ms = lists_as_of(eng, batch, t),
        };
        tsn_eval_begin(eng->evals[t], &frame);
        eng->in_batch[t] = eng->evals[t];
    }
}

void tsn_engine_rows(struct tsn_engine *eng, const struct tsn_batch *batch, struct tsn_output *out)
{
    TSN_MUST(batch->prog == eng->prog && batch->n <= eng->settings.batch_rows);
    eng->rows_seen |= batch->n > 0;
    rows_admit(eng, batch);
    tsn_features_begin(&eng->features, batch);
    evals_begin(eng, batch);
    tsn_features_rows(&eng->features, batch, eng->status, eng->before_ms, eng->in_batch);
    tsn_score_rows(eng->score, batch, eng->status, eng->in_batch, eng->inputs, eng->newest_ms, out,
                   &eng->counts);
    tsn_features_sweep(&eng->features, batch->n / SWEEP_EVERY + 1, eng->newest_ms);
    tsn_features_evict(&eng->features, batch->n * EVICT_LOOKS + EVICT_LEAST, eng->newest_ms);
}

void tsn_engine_tidy(struct tsn_engine *eng)
{
    TSN_MUST(!eng->features.cut.runs);
    tsn_features_sweep(&eng->features, UINT32_MAX, eng->newest_ms);
}

static tsn_event_ms later(tsn_event_ms a, tsn_event_ms b)
{
    return a > b ? a : b;
}

bool tsn_engine_tick(struct tsn_engine *eng, tsn_event_ms now_ms, struct tsn_output *out)
{
    tsn_event_ms clock_ms = later(later(eng->newest_ms, eng->tick_ms), now_ms);
    if (!tsn_score_clock(eng->score, clock_ms, out, &eng->counts)) {
        return false;
    }
    eng->tick_ms = later(eng->tick_ms, now_ms);
    return true;
}

void tsn_engine_swap(struct tsn_engine *eng, const struct tsn_program *prog)
{
    while (!tsn_snapshot_step(eng, SIZE_MAX)) { /* its records name the old program */
    }
    tsn_features_swap(&eng->features, prog);
    tsn_score_swap(eng->score, prog);
    program_leave(eng);
    program_enter(eng, prog);
}

/* ---- questions ----------------------------------------------------------------------- */

tsn_event_ms tsn_engine_newest(const struct tsn_engine *eng)
{
    return eng->newest_ms;
}

struct tsn_engine_counts tsn_engine_counts(const struct tsn_engine *eng)
{
    struct tsn_engine_counts counts = eng->counts;
    counts.coalesced = eng->features.window_counts.coalesced;
    counts.approximate = eng->features.window_counts.approximate;
    counts.entities = eng->features.entities.n;
    counts.entries = eng->features.n_rows;
    counts.state_bytes = tsn_features_bytes(&eng->features) + tsn_dedup_bytes(&eng->dedup);
    counts.cold = eng->features.resident.cold.n;
    counts.fetched = eng->features.resident.n_fetched;
    counts.evicted = eng->features.resident.n_evicted;
    return counts;
}

const uint8_t *tsn_engine_status(const struct tsn_engine *eng)
{
    return eng->status;
}

const struct tsn_column *tsn_engine_slots(const struct tsn_engine *eng, int type)
{
    const struct tsn_column *inputs = tsn_features_inputs(&eng->features, type);
    return inputs && eng->features.want_all ? inputs + eng->prog->types[type].n_fields : NULL;
}

void tsn_engine_want_columns(struct tsn_engine *eng, bool want)
{
    eng->features.want_all = want;
    tsn_score_want_columns(eng->score, want);
}

const struct tsn_column *tsn_engine_rule(const struct tsn_engine *eng, int rule)
{
    return tsn_score_rule(eng->score, rule);
}

const struct tsn_column *tsn_engine_score(const struct tsn_engine *eng, int typology, int type)
{
    return tsn_score_typology(eng->score, typology, type);
}

/* ---- snapshots ------------------------------------------------------------------------- */

static void score_take(void *user, const struct tsn_snapshot_record *record)
{
    struct tsn_snapshot_out *out = user;
    out->sink(out->user, record);
    out->n++;
}

void tsn_snapshot_begin(struct tsn_engine *eng, bool whole, tsn_snapshot_sink *sink, void *user)
{
    struct tsn_snapshot_out *out = &eng->cut;
    struct tsn_snapshot_clock clock = {.newest_ms = eng->newest_ms, .tick_ms = eng->tick_ms};
    out->sink = sink;
    out->user = user;
    out->n = 0;
    out->feat = &eng->features;
    out->newest_ms = eng->newest_ms;
    tsn_snapshot_clock_cut(out, &clock, &eng->features, &eng->dedup);
    tsn_snapshot_dedup_begin(out, &eng->dedup, whole);
    tsn_score_cut_begin(eng->score, whole, score_take, out);
    tsn_snapshot_entities_begin(out, whole);
}

bool tsn_snapshot_step(struct tsn_engine *eng, size_t bytes)
{
    int64_t budget = bytes < INT64_MAX ? (int64_t)bytes : INT64_MAX;
    return tsn_dedup_cut_step(&eng->dedup, &budget) && tsn_score_cut_step(eng->score, &budget) &&
           tsn_features_cut_step(&eng->features, &budget);
}

uint64_t tsn_snapshot_cut(struct tsn_engine *eng, bool whole, tsn_snapshot_sink *sink, void *user)
{
    tsn_snapshot_begin(eng, whole, sink, user);
    while (!tsn_snapshot_step(eng, SIZE_MAX)) {
    }
    return eng->cut.n;
}

static void record_wait(struct tsn_engine *eng, const struct tsn_snapshot_record *record)
{
    if (eng->n_pending == eng->pending_cap) {
        eng->pending_cap = eng->pending_cap ? eng->pending_cap * 2 : 64;
        eng->pending = realloc(eng->pending, eng->pending_cap * sizeof *eng->pending);
        TSN_MUST_ALLOC(eng->pending);
    }
    uint8_t *bytes = tsn_arena_alloc(&eng->pending_memory, record->len + 1);
    memcpy(bytes, record->bytes, record->len);
    eng->pending[eng->n_pending] = *record;
    eng->pending[eng->n_pending++].bytes = bytes;
}

static void pending_free(struct tsn_engine *eng)
{
    tsn_arena_free(&eng->pending_memory);
    free(eng->pending);
    eng->pending = NULL;
    eng->n_pending = eng->pending_cap = 0;
}

static bool entity_load(struct tsn_engine *eng, const struct tsn_snapshot_record *record,
                        const char **why)
{
    enum tsn_snapshot_loaded loaded = tsn_snapshot_entity_load(record, &eng->features, why);
    if (loaded == TSN_SNAPSHOT_UNKNOWN && !eng->clock_loaded) {
        record_wait(eng, record);
        return true;
    }
    if (loaded == TSN_SNAPSHOT_LOADED) { /* one came: at most one need go */
        tsn_features_evict(&eng->features, EVICT_LOADING, eng->newest_ms);
    }
    return loaded == TSN_SNAPSHOT_LOADED;
}

static bool clock_load(struct tsn_engine *eng, const struct tsn_snapshot_record *record,
                       const char **why)
{
    struct tsn_snapshot_clock clock;
    if (eng->clock_loaded) {
        *why = "the clock's record comes twice";
        return false;
    }
    if (!tsn_snapshot_clock_load(record, &clock, &eng->features, &eng->dedup, why)) {
        return false;
    }
    eng->newest_ms = clock.newest_ms;
    eng->tick_ms = clock.tick_ms;
    eng->clock_loaded = true;
    for (size_t i = 0; i < eng->n_pending; i++) {
        if (!entity_load(eng, &eng->pending[i], why)) {
            return false;
        }
    }
    pending_free(eng);
    return true;
}

void tsn_snapshot_expect(struct tsn_engine *eng, uint64_t n)
{
    tsn_table_reserve(&eng->features.entities, n);
}

void tsn_snapshot_ahead(struct tsn_engine *eng, const struct tsn_snapshot_record *record)
{
    if (record->section == TSN_SNAPSHOT_ENTITY) {
        tsn_table_prefetch(&eng->features.entities, tsn_snapshot_entity_key(record->key));
    }
}

bool tsn_snapshot_load(struct tsn_engine *eng, const struct tsn_snapshot_record *record,
                       const char **why)
{
    TSN_MUST(!eng->rows_seen);
    if (!record->bytes) {
        *why = "a record without bytes";
        return false;
    }
    switch (record->section) {
    case TSN_SNAPSHOT_CLOCK:
        return clock_load(eng, record, why);
    case TSN_SNAPSHOT_ENTITY:
        return entity_load(eng, record, why);
    case TSN_SNAPSHOT_DEDUP:
        return tsn_snapshot_dedup_load(record, &eng->dedup, why);
    case TSN_SNAPSHOT_EPISODE:
    case TSN_SNAPSHOT_LIST:
    case TSN_SNAPSHOT_TIMER:
        return tsn_score_load(eng->score, record, why);
    }
    *why = "a record of an unknown section";
    return false;
}

/* ---- memory as a cache ------------------------------------------------------------------- */

void tsn_engine_cap(struct tsn_engine *eng, uint64_t entities)
{
    TSN_MUST(!eng->rows_seen && eng->features.entities.n == 0);
    tsn_features_cap(&eng->features, entities);
}

static const struct tsn_entity_key *keys_give(struct tsn_engine *eng, const struct tsn_key *keys,
                                              size_t n)
{
    if (n > eng->asked_cap) {
        eng->asked_cap = n + n / 2;
        eng->asked = realloc(eng->asked, eng->asked_cap * sizeof *eng->asked);
        TSN_MUST_ALLOC(eng->asked);
    }
    for (size_t i = 0; i < n; i++) {
        tsn_snapshot_entity_bytes(keys[i], eng->asked[i].bytes);
    }
    return eng->asked;
}

size_t tsn_engine_missing(struct tsn_engine *eng, const struct tsn_batch *batch,
                          const struct tsn_entity_key **keys)
{
    const struct tsn_key *missing;
    TSN_MUST(batch->prog == eng->prog && batch->n <= eng->settings.batch_rows);
    size_t n = tsn_features_missing(&eng->features, batch, &missing);
    *keys = keys_give(eng, missing, n);
    return n;
}

size_t tsn_engine_away(struct tsn_engine *eng, size_t most, const struct tsn_entity_key **keys)
{
    const struct tsn_key *away;
    size_t n = tsn_features_away(&eng->features, most, &away);
    *keys = keys_give(eng, away, n);
    return n;
}

bool tsn_engine_admit(struct tsn_engine *eng, const struct tsn_snapshot_record *record,
                      const char **why)
{
    struct tsn_key key = tsn_snapshot_entity_key(record->key);
    if (record->section != TSN_SNAPSHOT_ENTITY || !record->bytes) {
        *why = "no record of an entity";
        return false;
    }
    if (!tsn_cold_has(&eng->features.resident.cold, key)) {
        return true;
    }
    if (tsn_snapshot_entity_load(record, &eng->features, why) != TSN_SNAPSHOT_LOADED) {
        return false;
    }
    tsn_features_admitted(&eng->features, key);
    return true;
}

void tsn_engine_saved(struct tsn_engine *eng)
{
    tsn_features_saved(&eng->features);
}

void tsn_engine_let_go(struct tsn_engine *eng, uint32_t n)
{
    tsn_features_evict(&eng->features, n, eng->newest_ms);
}
