#include "engine/feature/feature.h"

#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/entity/ask.h"
#include "engine/entity/key.h"
#include "engine/feature/walk.h"
#include "rules/must/must.h"

/* ---- life ---------------------------------------------------------------------- */

static void conds_new(struct tsn_features *feat)
{
    size_t n = (size_t)feat->plan.n_streams + 1;
    feat->conds = tsn_arena_zalloc(&feat->memory, n, sizeof *feat->conds);
    for (int s = 0; s < feat->plan.n_streams; s++) {
        size_t n_conds = (size_t)feat->plan.streams[s].n_conds;
        feat->conds[s].value = tsn_arena_alloc(&feat->memory, n_conds * sizeof(uint64_t *));
        feat->conds[s].valid = tsn_arena_alloc(&feat->memory, n_conds * sizeof(uint64_t *));
    }
}

/* Room for a list of visits and their rows, in whatever streams. */
static void visits_new(struct tsn_features *feat)
{
    size_t n_steps = 1;
    size_t n_words = 1;
    size_t n_readings = 1;
    for (int s = 0; s < feat->plan.n_streams; s++) {
        const struct tsn_plan_stream *stream = &feat->plan.streams[s];
        size_t stride = stream->layout.stride;
        n_words = stride > n_words ? stride : n_words;
        for (int t = 0; t < feat->prog->n_types; t++) {
            const struct tsn_plan_reads *reads = &stream->reads[t];
            n_steps = reads->n_steps > n_steps ? reads->n_steps : n_steps;
            for (unsigned i = 0; i < reads->n_steps; i++) {
                size_t n = (size_t)reads->steps[i].n_before + reads->steps[i].n_after;
                n_readings = n > n_readings ? n : n_readings;
            }
        }
    }
    struct tsn_arena *memory = &feat->memory;
    size_t n_visits = tsn_visits_most(n_steps);
    feat->visits = tsn_arena_alloc(memory, n_visits * sizeof *feat->visits);
    feat->made_cap = tsn_visits_rows_most() * n_words;
    feat->made = tsn_arena_alloc(memory, feat->made_cap * sizeof *feat->made);
    feat->readings = tsn_arena_alloc(memory, n_readings * sizeof *feat->readings);
}

void tsn_features_enter(struct tsn_features *feat, const struct tsn_program *prog,
                        const struct tsn_plan_group *groups, size_t n_groups, uint32_t next_group)
{
    feat->prog = prog;
    tsn_plan_init(&feat->plan, prog, groups, n_groups, next_group);
    for (int s = 0; s < feat->plan.n_streams; s++) {
        feat->plan.streams[s].layout.counts = &feat->window_counts;
    }
    tsn_arena_init(&feat->memory, 0);
    feat->types = tsn_arena_zalloc(&feat->memory, (size_t)prog->n_types + 1, sizeof *feat->types);
    conds_new(feat);
    visits_new(feat);
}

void tsn_features_init(struct tsn_features *feat, const struct tsn_program *prog,
                       tsn_duration_ms lateness_ms, uint32_t batch_rows)
{
    memset(feat, 0, sizeof *feat);
    feat->lateness_ms = lateness_ms;
    feat->batch_rows = batch_rows;
    feat->epoch = 1;
    tsn_pool_init(&feat->pool);
    tsn_table_init(&feat->entities);
    tsn_table_init(&feat->pairs);
    tsn_arena_init(&feat->text, 0);
    tsn_features_enter(feat, prog, NULL, 0, 0);
}

void tsn_features_free(struct tsn_features *feat)
{
    for (uint32_t i = 0; i < feat->entities.n_numbers; i++) {
        if (tsn_table_lives(&feat->entities, i)) {
            struct tsn_entity *entity = tsn_table_record(&feat->entities, i);
            while (entity->n) {
                tsn_features_cell_drop(feat, entity, entity->n - 1u);
            }
        }
    }
    tsn_plan_free(&feat->plan);
    tsn_arena_free(&feat->memory);
    tsn_table_end(&feat->entities);
    tsn_table_end(&feat->pairs);
    tsn_pool_end(&feat->pool);
    tsn_arena_free(&feat->text);
    free(feat->dirty);
    free(feat->gone);
    free(feat->cut.dirty);
    free(feat->cut.gone);
    free(feat->members);
    tsn_features_resident_free(feat);
    memset(feat, 0, sizeof *feat);
}

/* ---- entities and entries -------------------------------------------------------- */

static void mark(struct tsn_features *feat, struct tsn_entity *entity)
{
    if (feat->n_dirty == feat->dirty_cap) {
        feat->dirty_cap = feat->dirty_cap ? feat->dirty_cap * 2 : 1024;
        feat->dirty = realloc(feat->dirty, feat->dirty_cap * sizeof *feat->dirty);
        TSN_MUST_ALLOC(feat->dirty);
    }
    entity->changed = feat->epoch;
    feat->dirty[feat->n_dirty++] = entity;
}

void tsn_features_touch(struct tsn_features *feat, struct tsn_entity *entity)
{
    if (feat->cut.runs && tsn_features_due(feat, entity)) {
        tsn_features_give(feat, entity);
    }
    mark(feat, entity);
}

struct tsn_entity *tsn_features_entity(struct tsn_features *feat, struct tsn_key key)
{
    struct tsn_entity *entity = tsn_table_find(&feat->entities, key);
    if (!entity) {
        uint32_t number;
        entity = tsn_table_add(&feat->entities, key, &number);
        entity->newest_ms = INT64_MIN;
        mark(feat, entity); /* no cut under way has it */
    } else if (entity->changed != feat->epoch) {
        tsn_features_touch(feat, entity);
    }
    return entity;
}

struct tsn_pair *tsn_features_pair_add(struct tsn_features *feat, struct tsn_pairs **pairs,
                                       struct tsn_key key, struct tsn_key rest,
                                       tsn_event_ms newest_ms, uint64_t order)
{
    uint32_t number;
    struct tsn_pair *pair = tsn_table_add(&feat->pairs, key, &number);
    pair->number = number;
    pair->rest = rest;
    pair->newest_ms = newest_ms;
    pair->newest_order = order;
    tsn_pairs_add(pairs, &feat->pool, &feat->pairs, pair);
    return pair;
}

static void cell_free(struct tsn_features *feat, const struct tsn_plan_stream *stream,
                      struct tsn_cell *cell)
{
    feat->n_rows -= cell ? cell->n : 0;
    tsn_cell_free(cell, &stream->layout, &feat->pool);
}

void tsn_features_pair_drop(struct tsn_features *feat, const struct tsn_plan_stream *stream,
                            struct tsn_pairs *pairs, struct tsn_pair *pair)
{
    tsn_pairs_remove(pairs, &feat->pairs, pair);
    cell_free(feat, stream, pair->cell);
    struct tsn_key key = pair->key;
    tsn_table_remove(&feat->pairs, key);
}

void tsn_features_cell_drop(struct tsn_features *feat, struct tsn_entity *entity, unsigned i)
{
    uint16_t s;
    void *cell = *tsn_entity_cell_at(entity, i, &s);
    const struct tsn_plan_stream *stream = &feat->plan.streams[s];
    if (!stream->pair) {
        cell_free(feat, stream, cell);
    } else if (cell) {
        struct tsn_pairs *pairs = cell;
        while (pairs->n) {
            tsn_features_pair_drop(feat, stream, pairs,
                                   tsn_table_record(&feat->pairs, pairs->heap[pairs->n - 1]));
        }
        tsn_pairs_free(pairs, &feat->pool);
    }
    tsn_entity_cell_remove(entity, &feat->pool, i);
}

void tsn_features_entity_drop(struct tsn_features *feat, struct tsn_entity *entity)
{
    while (entity->n) {
        tsn_features_cell_drop(feat, entity, entity->n - 1u);
    }
    struct tsn_key key = entity->key;
    tsn_table_remove(&feat->entities, key);
}

/* ---- a batch ----------------------------------------------------------------------- */

static void type_layout(struct tsn_features *feat, int t)
{
    const struct tsn_event_type *type = &feat->prog->types[t];
    struct tsn_feature_type *of = &feat->types[t];
    struct tsn_arena *memory = &feat->memory;
    of->inputs = tsn_arena_zalloc(memory, (size_t)type->n_fields + (size_t)type->n_slots,
                                  sizeof *of->inputs);
    of->slots = of->inputs + type->n_fields;
    for (int s = 0; s < type->n_slots; s++) {
        const struct tsn_feature *feature = &feat->prog->features[type->slots[s].feature];
        struct tsn_column *slot = &of->inputs[type->n_fields + s];
        if (feature->agg != TSN_AGG_EXPR || feat->plan.rowwise) {
            tsn_column_alloc(slot, feature->rep, feat->batch_rows, true, memory);
        }
        slot->scale = feature->scale;
        slot->dict = feature->dict;
    }
    const struct tsn_plan_type *plan = &feat->plan.types[t];
    of->keys = tsn_arena_zalloc(memory, (size_t)plan->n_keys + 1, sizeof *of->keys);
    for (int k = 0; k < plan->n_keys; k++) {
        struct tsn_key_rows *rows = &of->keys[k];
        rows->keys = tsn_arena_alloc(memory, feat->batch_rows * sizeof *rows->keys);
        rows->records = tsn_arena_alloc(memory, feat->batch_rows * sizeof *rows->records);
        if (plan->keys[k].n_by > 1) {
            rows->rests = tsn_arena_alloc(memory, feat->batch_rows * sizeof *rows->rests);
        }
        if (plan->keys[k].n_by == 1 && feat->plan.kinds[plan->keys[k].kind].seen) {
            rows->newest_ms = tsn_arena_alloc(memory, feat->batch_rows * sizeof *rows->newest_ms);
        }
    }
}

static void slots_clear(struct tsn_features *feat, int t, uint32_t n)
{
    const struct tsn_event_type *type = &feat->prog->types[t];
    size_t bytes = tsn_bits_words(n) * sizeof(uint64_t);
    for (int s = 0; s < type->n_slots; s++) {
        const struct tsn_feature *feature = &feat->prog->features[type->slots[s].feature];
        struct tsn_column *slot = &feat->types[t].inputs[type->n_fields + s];
        if (feature->agg == TSN_AGG_EXPR && !feat->plan.rowwise) {
            continue; /* the evaluator's own column takes this place */
        }
        memset(slot->valid, 0, bytes);
        memset(slot->error, 0, bytes);
        if (slot->rep == TSN_REP_BOOL) {
            memset(slot->bits, 0, bytes);
        }
        if (slot->approximate) {
            memset(slot->approximate, 0, bytes);
        }
    }
}

/* Room for which rows are wanted. */
static void wanted_layout(struct tsn_features *feat, int t)
{
    const struct tsn_plan_type *plan = &feat->plan.types[t];
    struct tsn_feature_type *of = &feat->types[t];
    size_t bytes = tsn_bits_words(feat->batch_rows) * sizeof(uint64_t);
    size_t n_rules = (size_t)plan->n_rules + 1;
    of->is_settled = tsn_arena_alloc(&feat->memory, n_rules);
    of->settled = tsn_arena_alloc(&feat->memory, n_rules * sizeof *of->settled);
    of->wanted = tsn_arena_alloc(&feat->memory, ((size_t)plan->n_wants + 1) * sizeof *of->wanted);
    for (int r = 0; r < plan->n_rules; r++) {
        of->settled[r] = tsn_arena_alloc(&feat->memory, bytes);
    }
    for (int k = 0; k < plan->n_wants; k++) {
        of->wanted[k] = tsn_arena_alloc(&feat->memory, bytes);
    }
    of->lengths =
        tsn_arena_alloc(&feat->memory, ((size_t)plan->n_lengths + 1) * sizeof *of->lengths);
    for (int k = 0; k < plan->n_lengths; k++) {
        of->lengths[k] = tsn_arena_alloc(&feat->memory, feat->batch_rows * sizeof **of->lengths);
    }
}

/* ---- records ahead: each step asks for what the next one reads ------------------------ */

/* Rows of keys that are looked up; wanted: NULL: all. */
static inline bool row_wanted(const struct tsn_key *keys, const uint64_t *wanted, uint32_t i)
{
    return (!wanted || tsn_bits_get(wanted, i)) && (keys[i].lo | keys[i].hi);
}

static void slots_ask(const struct tsn_table *table, const struct tsn_key_rows *rows,
                      const uint64_t *wanted, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        if (row_wanted(rows->keys, wanted, i)) {
            tsn_table_prefetch(table, rows->keys[i]);
        }
    }
}

static void records_ask(const struct tsn_table *table, struct tsn_key_rows *rows,
                        const uint64_t *wanted, uint32_t from, uint32_t to)
{
    const struct tsn_key *keys = rows->keys;
    void **records = rows->records;
    for (uint32_t i = from; i < to; i++) {
        if (row_wanted(keys, wanted, i)) {
            records[i] = tsn_table_peek(table, keys[i]); /* perhaps not its own */
            tsn_ask(records[i]);
        }
    }
}

/* A bit for each of the first cells that is of one of the streams. How many an entity has is
 * chance, how many of them a key visits is not. */
static inline unsigned cells_of(const struct tsn_entity *entity, uint64_t streams)
{
    _Static_assert(TSN_ENTITY_INLINE == 3, "each is named");
    const uint16_t *of = entity->streams;
    unsigned is = (unsigned)(streams >> (of[0] % 64)) & 1;
    is |= ((unsigned)(streams >> (of[1] % 64)) & 1) << 1;
    is |= ((unsigned)(streams >> (of[2] % 64)) & 1) << 2;
    return is & ((1u << (entity->n < 3 ? entity->n : 3)) - 1);
}

/* The records, and those of their cells asked for that are visited under the key. */
static void records_find(const struct tsn_table *table, struct tsn_key_rows *rows,
                         const uint64_t *wanted, uint64_t streams, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        struct tsn_key key = rows->keys[i];
        struct tsn_entity *entity = rows->records[i];
        if (row_wanted(rows->keys, wanted, i) &&
            !(entity && entity->key.lo == key.lo && entity->key.hi == key.hi)) {
            entity = tsn_table_find(table, key);
            rows->records[i] = entity;
        }
        for (unsigned is = entity ? cells_of(entity, streams) : 0; is; is &= is - 1) {
            const struct tsn_cell *cell = entity->cells[__builtin_ctz(is)];
            tsn_ask_write(cell);
            tsn_ask_write((const char *)(cell + 1) - 1); /* blocks are not lines */
        }
    }
}

/* The keys of all rows; entities are looked up chunk by chunk, just before use. */
static void keys_make(struct tsn_features *feat, int t, uint32_t n)
{
    const struct tsn_plan_type *plan = &feat->plan.types[t];
    struct tsn_feature_type *of = &feat->types[t];
    memset(of->n_done, 0, sizeof of->n_done);
    for (int k = 0; k < plan->n_keys; k++) {
        const struct tsn_plan_key *key = &plan->keys[k];
        struct tsn_key_rows *rows = &of->keys[k];
        memset(rows->records, 0, n * sizeof *rows->records);
        if (key->n_by == 1) {
            tsn_key_column(&of->inputs[key->by[0]], n, feat->plan.kinds[key->kind].seed,
                           rows->keys);
            continue;
        }
        for (uint32_t i = 0; i < n; i++) {
            struct tsn_key parts[TSN_BY_MAX];
            for (int p = 0; p < key->n_by; p++) {
                parts[p] = of->keys[key->parts[p]].keys[i];
            }
            rows->rests[i] = tsn_key_join(parts + 1, key->n_by - 1);
            rows->keys[i] = tsn_key_under(parts[0], rows->rests[i]);
        }
    }
}

/* The first row of a type, from `from` on, that does not stand before `to` in the batch. */
static uint32_t rows_before(const struct tsn_type_rows *rows, uint32_t from, uint32_t to)
{
    uint32_t n = rows->n - from;
    while (n > 0) {
        uint32_t half = n / 2;
        bool before = rows->row[from + half] < to;
        from = before ? from + half + 1 : from;
        n = before ? n - half - 1 : half;
    }
    return from;
}

/* One step for the rows of the batch up to `to`, once each. */
static void keys_step(struct tsn_features *feat, const struct tsn_batch *batch, uint32_t to,
                      enum tsn_resolve step)
{
    for (int t = 0; t < feat->prog->n_types; t++) {
        const struct tsn_type_rows *rows = &batch->types[t];
        struct tsn_feature_type *of = &feat->types[t];
        if (rows->n == 0) {
            continue;
        }
        uint32_t from = of->n_done[step];
        uint32_t end = rows_before(rows, from, to);
        of->n_done[step] = end;
        for (int k = 0; end > from && k < feat->plan.types[t].n_keys; k++) {
            const struct tsn_plan_key *key = &feat->plan.types[t].keys[k];
            if (key->n_by > 1) {
                continue;
            }
            const uint64_t *wanted = key->want == TSN_NONE ? NULL : of->wanted[key->want];
            if (step == TSN_RESOLVE_SLOTS) {
                slots_ask(&feat->entities, &of->keys[k], wanted, from, end);
            } else if (step == TSN_RESOLVE_RECORDS) {
                records_ask(&feat->entities, &of->keys[k], wanted, from, end);
            } else {
                records_find(&feat->entities, &of->keys[k], wanted, key->streams, from, end);
            }
        }
    }
}

/* Rows up to `to` are about to be walked: their records are found, and those of the
 * chunks behind are asked for, so that every answer has a chunk's time to come. */
static void keys_resolve(struct tsn_features *feat, const struct tsn_batch *batch, uint32_t to)
{
    keys_step(feat, batch, to + 3 * TSN_WALK_CHUNK, TSN_RESOLVE_SLOTS);
    keys_step(feat, batch, to + 2 * TSN_WALK_CHUNK, TSN_RESOLVE_RECORDS);
    keys_step(feat, batch, to + TSN_WALK_CHUNK, TSN_RESOLVE_FIND);
}

void tsn_features_begin(struct tsn_features *feat, const struct tsn_batch *batch)
{
    TSN_MUST(batch->prog == feat->prog && batch->n <= feat->batch_rows);
    tsn_arena_reset(&feat->text);
    for (int s = 0; s < feat->plan.n_streams; s++) {
        feat->conds[s].ready = false;
    }
    for (int t = 0; t < feat->prog->n_types; t++) {
        uint32_t n = batch->types[t].n;
        if (n == 0) {
            continue;
        }
        if (!feat->types[t].inputs) {
            type_layout(feat, t);
            wanted_layout(feat, t);
        }
        memcpy(feat->types[t].inputs, batch->types[t].fields,
               (size_t)feat->prog->types[t].n_fields * sizeof(struct tsn_column));
        slots_clear(feat, t, n);
        for (int k = 0; k < feat->plan.types[t].n_lengths; k++) {
            memset(feat->types[t].lengths[k], 0xff, n * sizeof(uint32_t));
        }
        keys_make(feat, t, n);
    }
}

const struct tsn_column *tsn_features_inputs(const struct tsn_features *feat, int type)
{
    return feat->types[type].inputs;
}

/* ---- levels -------------------------------------------------------------------------- */

static void level_columns(const struct tsn_walk *walk, int l)
{
    enum { CHUNK = TSN_WALK_CHUNK };
    struct tsn_features *feat = walk->feat;
    const struct tsn_plan_level *level = &feat->plan.levels[l];
    for (int k = 0; k < feat->plan.n_kinds; k++) {
        if (feat->plan.kinds[k].seen && feat->plan.kinds[k].level == l) {
            tsn_walk_newest(walk, k);
        }
    }
    for (int e = 0; e < level->n_exprs; e++) {
        const struct tsn_plan_expr *expr = &level->exprs[e];
        if (walk->batch->types[expr->type].n) {
            int n_fields = feat->prog->types[expr->type].n_fields;
            feat->types[expr->type].inputs[n_fields + expr->slot] =
                *tsn_eval_column(walk->evals[expr->type], expr->expr);
        }
    }
    for (uint32_t from = 0; from < walk->batch->n; from += CHUNK) {
        uint32_t to = from + CHUNK < walk->batch->n ? from + CHUNK : walk->batch->n;
        keys_resolve(feat, walk->batch, to);
        for (int s = 0; s < level->n_streams; s++) {
            tsn_walk_stream(walk, level->streams[s], from, to);
        }
        tsn_visits_walk(feat);
    }
}

static bool cond_of_row(const struct tsn_walk *walk, const struct tsn_row *row, uint32_t cond)
{
    if (cond == TSN_EXPR_NONE) {
        return true;
    }
    struct tsn_value value;
    tsn_eval_row(walk->evals[row->type], cond, row->at, &value);
    return value.state == TSN_STATE_VALUE && value.b;
}

static void cell_of_row(struct tsn_column *column, uint32_t at, const struct tsn_value *value)
{
    if (value->state != TSN_STATE_VALUE) {
        if (value->state == TSN_STATE_ERROR) {
            tsn_bits_set(column->error, at);
        }
        return;
    }
    tsn_bits_set(column->valid, at);
    if (column->rep == TSN_REP_BOOL) {
        if (value->b) {
            tsn_bits_set(column->bits, at);
        }
    } else if (column->rep == TSN_REP_STRING) {
        column->str[at] = value->s;
    } else if (column->rep == TSN_REP_DOUBLE) {
        column->f64[at] = value->d;
    } else if (column->rep == TSN_REP_TIME || column->rep == TSN_REP_DURATION) {
        column->time[at] = value->t;
    } else {
        TSN_MUST(column->rep == TSN_REP_INT);
        column->i64[at] = value->i;
    }
}

static void level_row(const struct tsn_walk *walk, int l, uint32_t r)
{
    struct tsn_features *feat = walk->feat;
    const struct tsn_plan_level *level = &feat->plan.levels[l];
    const struct tsn_row *row = &walk->batch->rows[r];
    for (int e = 0; e < level->n_exprs; e++) {
        const struct tsn_plan_expr *expr = &level->exprs[e];
        if (expr->type == row->type) {
            struct tsn_value value;
            int n_fields = feat->prog->types[row->type].n_fields;
            tsn_eval_row(walk->evals[row->type], expr->expr, row->at, &value);
            cell_of_row(&feat->types[row->type].inputs[n_fields + expr->slot], row->at, &value);
        }
    }
    for (int i = 0; i < level->n_streams; i++) {
        const struct tsn_plan_stream *stream = &feat->plan.streams[level->streams[i]];
        uint64_t conds = 0;
        for (int c = 0; stream->event == row->type && c < stream->n_conds; c++) {
            conds |= (uint64_t)cond_of_row(walk, row, stream->conds[c]) << c;
        }
        tsn_walk_row(walk, level->streams[i], r, conds);
    }
}

void tsn_features_rows(struct tsn_features *feat, const struct tsn_batch *batch,
                       const uint8_t *status, const tsn_event_ms *before_ms,
                       struct tsn_eval *const *evals)
{
    struct tsn_walk walk = {
        .feat = feat,
        .batch = batch,
        .status = status,
        .before_ms = before_ms,
        .evals = evals,
    };
    for (int t = 0; t < feat->prog->n_types && !feat->plan.rowwise; t++) {
        if (batch->types[t].n) {
            tsn_demand_find(feat, t, batch->types[t].n, evals[t]);
        }
    }
    for (int l = 0; l < feat->plan.n_levels && !feat->plan.rowwise; l++) {
        level_columns(&walk, l);
    }
    for (uint32_t r = 0; r < batch->n && feat->plan.rowwise; r++) {
        for (int l = 0; l < feat->plan.n_levels && status[r] != TSN_ROW_DUPLICATE; l++) {
            level_row(&walk, l, r);
        }
    }
    feat->batch = batch;
    feat->status = status;
    feat->batch_order = feat->next_order;
    feat->next_order += batch->n;
}

uint64_t tsn_features_bytes(const struct tsn_features *feat)
{
    return feat->pool.used_bytes + tsn_table_footprint(&feat->entities) +
           tsn_table_footprint(&feat->pairs) + tsn_cold_footprint(&feat->resident.cold);
}
