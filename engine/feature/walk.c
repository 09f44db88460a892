/* Walk: the rows of a batch through one stream, row by row and part by part. See plan.h
 * for the order. Most streams go by visits (visit.c), which do the same faster; this way
 * serves entries by several fields, sets, text, and programs that are rowwise.
 */
#include <string.h>

#include "engine/engine.h"
#include "engine/entity/key.h"
#include "engine/feature/feature.h"
#include "engine/feature/walk.h"
#include "rules/must/must.h"

/* ---- finding ------------------------------------------------------------------ */

/* The entry itself is not resolved ahead for a stream that has several: keys are
 * salted by stream. */
static struct tsn_pair *pair_find(struct tsn_features *feat, const struct tsn_plan_stream *stream,
                                  const struct tsn_key_rows *rows, uint32_t at)
{
    return tsn_table_find(&feat->pairs, tsn_features_salted(stream, rows->keys[at]));
}

static struct tsn_cell *cell_find(struct tsn_features *feat, int s, struct tsn_key_rows *rows,
                                  uint32_t at)
{
    const struct tsn_plan_stream *stream = &feat->plan.streams[s];
    if (key_missing(rows->keys[at])) {
        return NULL;
    }
    if (stream->pair) {
        struct tsn_pair *pair = pair_find(feat, stream, rows, at);
        return pair ? pair->cell : NULL;
    }
    struct tsn_entity *entity = entity_find(feat, rows, at);
    void **cell = entity ? tsn_entity_cell(entity, (uint16_t)s) : NULL;
    return cell ? *cell : NULL;
}

/* ---- reading ------------------------------------------------------------------ */

void tsn_walk_slot_give(struct tsn_features *feat, struct tsn_column *slot, uint32_t at,
                        const struct tsn_reading *reading)
{
    if (reading->state != TSN_STATE_VALUE) {
        if (reading->state == TSN_STATE_ERROR) {
            tsn_bits_set(slot->error, at);
        }
        return;
    }
    tsn_bits_set(slot->valid, at);
    switch (slot->rep) {
    case TSN_REP_BOOL:
        if (reading->i) {
            tsn_bits_set(slot->bits, at);
        }
        break;
    case TSN_REP_ENUM:
        slot->code[at] = (uint16_t)reading->i;
        break;
    case TSN_REP_STRING:
        slot->str[at].len = reading->text->len;
        slot->str[at].p = tsn_arena_strdup(&feat->text, reading->text->p, reading->text->len);
        break;
    case TSN_REP_DOUBLE:
        slot->f64[at] = reading->d;
        break;
    case TSN_REP_INT:
    case TSN_REP_TIME_MS:
    case TSN_REP_DURATION_MS:
    case TSN_REP_MONEY:
        slot->i64[at] = reading->i;
        break;
    case TSN_REP_TIME:
    case TSN_REP_DURATION:
    case TSN_REP_LIST:
    case TSN_REP_NULL:
        TSN_MUST(!"a feature with state has this representation");
    }
}

void tsn_walk_slot_approximate(struct tsn_features *feat, struct tsn_column *slot, uint32_t at)
{
    if (!slot->approximate) {
        slot->approximate =
            tsn_arena_zalloc(&feat->memory, tsn_bits_words(feat->batch_rows), sizeof(uint64_t));
    }
    tsn_bits_set(slot->approximate, at);
}

/* What a row reads as of, for `at: seen`. */
static tsn_event_ms newest_of(const struct tsn_walk *walk, struct tsn_key_rows *keys, int key,
                              const struct tsn_row *row)
{
    struct tsn_features *feat = walk->feat;
    int owner = feat->plan.types[row->type].keys[key].owner;
    if (!feat->plan.rowwise) {
        return keys[owner].newest_ms[row->at];
    }
    const struct tsn_entity *entity = entity_find(feat, &keys[owner], row->at);
    tsn_event_ms newest_ms =
        entity && entity->newest_ms > row->time_ms ? entity->newest_ms : row->time_ms;
    keys[owner].newest_ms[row->at] = newest_ms; /* for members.c */
    return newest_ms;
}

static void items_empty(const struct tsn_walk *walk, int s, const struct tsn_row *row,
                        const struct tsn_plan_item *items, unsigned n)
{
    struct tsn_features *feat = walk->feat;
    const struct tsn_window_layout *layout = &feat->plan.streams[s].layout;
    struct tsn_column *slots =
        feat->types[row->type].inputs + walk->batch->prog->types[row->type].n_fields;
    for (unsigned i = 0; i < n; i++) {
        struct tsn_reading reading;
        tsn_window_empty(&layout->items[items[i].item], &reading);
        item_give(feat, &items[i], slots, row->at, &reading);
    }
}

/* The cell is that of the key, or NULL: no rows. */
static void items_read(const struct tsn_walk *walk, int s, const struct tsn_row *row, int key,
                       struct tsn_cell *cell, const struct tsn_plan_item *items, unsigned n)
{
    struct tsn_features *feat = walk->feat;
    const struct tsn_window_layout *layout = &feat->plan.streams[s].layout;
    struct tsn_feature_type *type = &feat->types[row->type];
    if (key_missing(type->keys[key].keys[row->at])) {
        return;
    }
    if (!cell) {
        items_empty(walk, s, row, items, n);
        return;
    }
    struct tsn_column *slots = type->inputs + walk->batch->prog->types[row->type].n_fields;
    unsigned lane = UINT8_MAX;
    struct tsn_window_view view;
    for (unsigned i = 0; i < n; i++) {
        const struct tsn_window_item *item = &layout->items[items[i].item];
        struct tsn_reading reading;
        if (item->lane != lane) {
            lane = item->lane;
            tsn_event_ms asof_ms =
                layout->lanes[lane].seen ? newest_of(walk, type->keys, key, row) : row->time_ms;
            tsn_window_look(&view, cell, layout, &feat->pool, lane, asof_ms, row->time_ms);
        }
        tsn_window_read(&view, item, &reading);
        item_mark(feat, &view, &slots[items[i].slot], row->at);
        item_give(feat, &items[i], slots, row->at, &reading);
    }
}

/* ---- writing ------------------------------------------------------------------ */

/* A row of a set says after which rows it was written. */
static void order_note(struct tsn_features *feat, const struct tsn_plan_stream *stream,
                       uint64_t order)
{
    if (stream->set) {
        feat->row[stream->layout.order] = order + 1;
    }
}

static void cell_write(struct tsn_features *feat, const struct tsn_plan_stream *stream,
                       struct tsn_cell **cell, tsn_event_ms dead_ms)
{
    uint32_t n = *cell ? (*cell)->n : 0;
    if (!*cell) {
        *cell = tsn_cell_new(&stream->layout, &feat->pool);
    }
    tsn_cell_write(cell, &stream->layout, &feat->pool, feat->row, dead_ms);
    feat->n_rows += (uint64_t)(*cell)->n - n;
}

/* Before a set's log grows: rows that no read from now on can tell are dropped. */
static void set_thin(const struct tsn_walk *walk, const struct tsn_plan_stream *stream,
                     struct tsn_cell *cell)
{
    enum { THIN_MIN = 8 };
    struct tsn_features *feat = walk->feat;
    const struct tsn_window_layout *layout = &stream->layout;
    if (!cell || cell->n < THIN_MIN || cell->head + cell->n < cell->cap) {
        return;
    }
    uint32_t n = cell->n;
    tsn_event_ms settled_ms =
        tsn_features_dead(feat, walk->before_ms[0], layout->lanes[0].delay_ms);
    tsn_cell_thin(cell, layout, &feat->pool, settled_ms, feat->next_order);
    feat->n_rows -= n - cell->n;
}

/* The entry to write to; NULL if it would be the one to go at once. */
static struct tsn_pair *pair_for_write(struct tsn_features *feat,
                                       const struct tsn_plan_stream *stream,
                                       struct tsn_pairs **pairs, const struct tsn_key_rows *keys,
                                       const struct tsn_row *row, uint64_t order)
{
    struct tsn_key key = tsn_features_salted(stream, keys->keys[row->at]);
    tsn_event_ms time_ms = row->time_ms;
    struct tsn_pair *pair = tsn_table_find(&feat->pairs, key);
    if (pair) {
        if (time_ms >= pair->newest_ms) {
            pair->newest_ms = time_ms;
            pair->newest_order = order;
            tsn_pairs_newer(*pairs, &feat->pairs, pair);
        }
        return pair;
    }
    if ((*pairs)->n >= stream->max_keys) {
        struct tsn_pair *oldest = tsn_pairs_oldest(*pairs, &feat->pairs);
        if (oldest->newest_ms > time_ms) {
            return NULL;
        }
        tsn_features_pair_drop(feat, stream, *pairs, oldest);
    }
    return tsn_features_pair_add(feat, pairs, key, keys->rests[row->at], time_ms, order);
}

/* The cell written to, or NULL if the row is not written. */
static struct tsn_cell *row_write(const struct tsn_walk *walk, int s, uint32_t r, uint64_t conds)
{
    struct tsn_features *feat = walk->feat;
    const struct tsn_plan_stream *stream = &feat->plan.streams[s];
    const struct tsn_row *row = &walk->batch->rows[r];
    struct tsn_key_rows *keys = feat->types[row->type].keys;
    struct tsn_key key = keys[stream->key].keys[row->at];
    tsn_event_ms dead_ms = tsn_features_dead(feat, walk->before_ms[r], stream->layout.keep_ms);
    if (conds == 0 || key_missing(key) || row->time_ms <= dead_ms) {
        return NULL;
    }
    int owner = feat->plan.types[row->type].keys[stream->key].owner;
    struct tsn_entity *entity = entity_for_write(feat, &keys[owner], row->at);
    if (feat->plan.rowwise || !feat->plan.kinds[stream->kind].seen) {
        newest_raise(entity, row->time_ms); /* else tsn_walk_newest did, in row order */
    }
    void **place = tsn_entity_cell(entity, (uint16_t)s);
    if (!place) {
        place = tsn_entity_cell_add(entity, &feat->pool, (uint16_t)s);
    }
    uint64_t order = feat->next_order + r;
    if (stream->set) { /* what a row before this one may still hand out stays */
        dead_ms = tsn_features_dead(feat, walk->before_ms[0], stream->layout.keep_ms);
        set_thin(walk, stream, *place);
    }
    if (!stream->pair) {
        tsn_walk_row_make(feat, stream, row, conds, feat->row);
        order_note(feat, stream, order);
        cell_write(feat, stream, (struct tsn_cell **)place, dead_ms);
        return *place;
    }
    if (!*place) {
        *place = tsn_pairs_new(&feat->pool);
    }
    struct tsn_pair *pair =
        pair_for_write(feat, stream, (struct tsn_pairs **)place, &keys[stream->key], row, order);
    if (!pair) {
        return NULL;
    }
    tsn_walk_row_make(feat, stream, row, conds, feat->row);
    order_note(feat, stream, order);
    cell_write(feat, stream, (struct tsn_cell **)&pair->cell, dead_ms);
    return pair->cell;
}

/* ---- the walk ----------------------------------------------------------------- */

void tsn_walk_conds(const struct tsn_walk *walk, int s)
{
    const struct tsn_plan_stream *stream = &walk->feat->plan.streams[s];
    struct tsn_stream_conds *conds = &walk->feat->conds[s];
    if (conds->ready || walk->batch->types[stream->event].n == 0) {
        return;
    }
    for (int c = 0; c < stream->n_conds; c++) {
        conds->value[c] = NULL;
        if (stream->conds[c] != TSN_EXPR_NONE) {
            const struct tsn_column *column =
                tsn_eval_column(walk->evals[stream->event], stream->conds[c]);
            conds->value[c] = column->bits;
            conds->valid[c] = column->valid;
        }
    }
    conds->ready = true;
}

void tsn_walk_row(const struct tsn_walk *walk, int s, uint32_t r, uint64_t conds)
{
    struct tsn_features *feat = walk->feat;
    const struct tsn_plan_stream *stream = &feat->plan.streams[s];
    const struct tsn_row *row = &walk->batch->rows[r];
    const struct tsn_plan_reads *reads = &stream->reads[row->type];
    struct tsn_key_rows *keys = feat->types[row->type].keys;
    bool in_time = walk->status[r] != TSN_ROW_TOO_LATE;
    struct tsn_cell *written = NULL;
    for (unsigned v = 0; in_time && v < reads->n; v++) {
        const struct tsn_plan_visit *visit = &reads->visits[v];
        if (visit->n_before) {
            items_read(walk, s, row, visit->key, cell_find(feat, s, &keys[visit->key], row->at),
                       visit->before, visit->n_before);
        }
    }
    if (row->type == stream->event) {
        written = row_write(walk, s, r, conds);
    }
    for (unsigned v = 0; in_time && v < reads->n; v++) {
        const struct tsn_plan_visit *visit = &reads->visits[v];
        if (visit->n_after) {
            struct tsn_cell *cell = written && visit->key == stream->key
                                        ? written
                                        : cell_find(feat, s, &keys[visit->key], row->at);
            items_read(walk, s, row, visit->key, cell, visit->after, visit->n_after);
        }
    }
}

void tsn_walk_stream(const struct tsn_walk *walk, int s, uint32_t from, uint32_t to)
{
    struct tsn_features *feat = walk->feat;
    const struct tsn_plan_stream *stream = &feat->plan.streams[s];
    const struct tsn_batch *batch = walk->batch;
    tsn_walk_conds(walk, s);
    if (stream->stepwise) {
        tsn_visits_list(walk, s, from, to);
        return;
    }
    for (uint32_t r = from; r < to; r++) {
        const struct tsn_row *row = &batch->rows[r];
        bool writes = row->type == stream->event;
        if (walk->status[r] == TSN_ROW_DUPLICATE || (!writes && stream->reads[row->type].n == 0)) {
            continue;
        }
        tsn_walk_row(walk, s, r, writes ? conds_at(stream, &feat->conds[s], row->at) : 0);
    }
}

/* ---- at: seen ----------------------------------------------------------------- */

static void newest_read(struct tsn_features *feat, int kind, const struct tsn_row *row)
{
    const struct tsn_plan_type *type = &feat->plan.types[row->type];
    for (int k = 0; k < type->n_keys; k++) {
        struct tsn_key_rows *rows = &feat->types[row->type].keys[k];
        if (type->keys[k].kind != kind || type->keys[k].n_by > 1) {
            continue;
        }
        const struct tsn_entity *entity = NULL;
        if (!key_missing(rows->keys[row->at])) {
            entity = entity_find(feat, rows, row->at);
        }
        rows->newest_ms[row->at] =
            entity && entity->newest_ms > row->time_ms ? entity->newest_ms : row->time_ms;
    }
}

void tsn_walk_newest(const struct tsn_walk *walk, int kind)
{
    struct tsn_features *feat = walk->feat;
    for (int s = 0; s < feat->plan.n_streams; s++) {
        if (feat->plan.streams[s].kind == kind) {
            tsn_walk_conds(walk, s);
        }
    }
    for (uint32_t r = 0; r < walk->batch->n; r++) {
        const struct tsn_row *row = &walk->batch->rows[r];
        if (walk->status[r] == TSN_ROW_DUPLICATE) {
            continue;
        }
        newest_read(feat, kind, row);
        for (int s = 0; s < feat->plan.n_streams; s++) {
            const struct tsn_plan_stream *stream = &feat->plan.streams[s];
            if (stream->kind != kind || stream->event != row->type) {
                continue;
            }
            struct tsn_key_rows *keys = feat->types[row->type].keys;
            tsn_event_ms dead_ms =
                tsn_features_dead(feat, walk->before_ms[r], stream->layout.keep_ms);
            if (row->time_ms > dead_ms && !key_missing(keys[stream->key].keys[row->at]) &&
                conds_at(stream, &feat->conds[s], row->at)) {
                int owner = feat->plan.types[row->type].keys[stream->key].owner;
                newest_raise(entity_for_write(feat, &keys[owner], row->at), row->time_ms);
            }
        }
    }
}
