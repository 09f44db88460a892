/* Visits: rows through streams, each entity that a row writes or reads at once.
 *
 * The hot loop of the engine. At a million entities every record, log and total is a
 * cache miss, and each leads to the next: so the rows of a chunk are made first, and
 * their visits are listed; then memory is asked for in three steps, some visits ahead
 * of the work (tsn_window_ahead). Records were resolved for the chunk (feature.c).
 * Streams do not touch each other's state, so the visits of several stand in one list:
 * the first visits of a list find nothing asked for, and lists of one stream are short.
 * Measured with bench_windows and bench_core: docs/decisions/state-layout.md.
 */
#include <string.h>

#include "engine/engine.h"
#include "engine/feature/walk.h"

/* How many visits ahead each step asks. */
enum { AHEAD_CELL = 18, AHEAD_ROWS = 12, AHEAD_TOTALS = 6 };

/* A list as long as this is walked before more is listed: what was asked for must
 * still be near. */
enum { LIST_ENOUGH = 256 };

size_t tsn_visits_most(size_t n_steps_max)
{
    return LIST_ENOUGH + TSN_WALK_CHUNK * n_steps_max;
}

/* ---- the list --------------------------------------------------------------------- */

/* The row's words, or NULL if it is not written. */
static const uint64_t *row_of(const struct tsn_walk *walk, const struct tsn_plan_stream *stream,
                              int s, uint32_t r, tsn_event_ms *dead_ms, uint64_t *to)
{
    struct tsn_features *feat = walk->feat;
    const struct tsn_row *row = &walk->batch->rows[r];
    uint64_t conds = conds_at(stream, &feat->conds[s], row->at);
    *dead_ms = tsn_features_dead(feat, walk->before_ms[r], stream->layout.keep_ms);
    if (conds == 0 || key_missing(feat->types[row->type].keys[stream->key].keys[row->at]) ||
        row->time_ms <= *dead_ms) {
        return NULL;
    }
    tsn_walk_row_make(feat, stream, row, conds, to);
    return to;
}

void tsn_visits_list(const struct tsn_walk *walk, int s, uint32_t from, uint32_t to)
{
    struct tsn_features *feat = walk->feat;
    const struct tsn_plan_stream *stream = &feat->plan.streams[s];
    if (feat->n_visits >= LIST_ENOUGH) {
        tsn_visits_walk(feat);
    }
    uint64_t *words = feat->made + feat->n_made;
    uint32_t n = feat->n_visits;
    for (uint32_t r = from; r < to; r++) {
        const struct tsn_row *row = &walk->batch->rows[r];
        const struct tsn_plan_reads *reads = &stream->reads[row->type];
        if (reads->n_steps == 0 || walk->status[r] == TSN_ROW_DUPLICATE) {
            continue;
        }
        bool in_time = walk->status[r] != TSN_ROW_TOO_LATE;
        const uint64_t *made = NULL;
        tsn_event_ms dead_ms = INT64_MIN;
        struct tsn_feature_type *of = &feat->types[row->type];
        struct tsn_column *slots = of->inputs + walk->batch->prog->types[row->type].n_fields;
        if (row->type == stream->event) {
            made = row_of(walk, stream, s, r, &dead_ms, words);
            words += made ? stream->layout.stride : 0;
        }
        for (unsigned i = 0; i < reads->n_steps; i++) {
            const struct tsn_plan_step *step = &reads->steps[i];
            struct tsn_key_rows *keys = &of->keys[step->key];
            bool read = in_time && step->n_before + step->n_after > 0;
            bool written = step->writes && made;
            if (key_missing(keys->keys[row->at]) || !(read || written)) {
                continue;
            }
            feat->visits[n++] = (struct tsn_walk_visit){
                .keys = keys,
                .step = step,
                .slots = slots,
                .row = written ? made : NULL,
                .time_ms = row->time_ms,
                .dead_ms = dead_ms,
                .at = row->at,
                .stream = (uint16_t)s,
                .read = read,
            };
        }
    }
    feat->n_visits = n;
    feat->n_made = (size_t)(words - feat->made);
}

/* ---- asking ahead ----------------------------------------------------------------- */

/* The cell as far as it is known; entities do not go within a batch. */
static inline const struct tsn_cell *cell_hint(const struct tsn_walk_visit *visit)
{
    struct tsn_entity *entity = visit->keys->records[visit->at];
    void **place = entity ? tsn_entity_cell(entity, visit->stream) : NULL;
    return place ? *place : NULL;
}

/* Visit i is about to be done, or, below 0, the first of all so many later. */
static void visits_ahead(const struct tsn_features *feat, int64_t i, int64_t n)
{
    const struct tsn_walk_visit *visits = feat->visits;
    const struct tsn_plan_stream *streams = feat->plan.streams;
    const struct tsn_cell *cell;
    int64_t at = i + AHEAD_CELL;
    if (at < n && (cell = cell_hint(&visits[at]))) {
        tsn_window_ahead(cell, &streams[visits[at].stream].layout);
    }
    at = i + AHEAD_ROWS;
    if (at >= 0 && at < n && (cell = cell_hint(&visits[at])) && cell->runs) {
        tsn_window_ahead_rows(cell, &streams[visits[at].stream].layout, visits[at].time_ms);
    }
    at = i + AHEAD_TOTALS;
    if (at >= 0 && at < n && (cell = cell_hint(&visits[at])) && cell->runs) {
        tsn_window_ahead_totals(cell, &streams[visits[at].stream].layout, visits[at].row,
                                visits[at].time_ms);
    }
}

/* ---- one visit -------------------------------------------------------------------- */

/* Where the cell stands, made if a row is to be written; NULL: there is none. */
static struct tsn_cell **cell_place(struct tsn_features *feat, int s,
                                    const struct tsn_walk_visit *visit)
{
    const struct tsn_plan_stream *stream = &feat->plan.streams[s];
    if (!visit->row) {
        struct tsn_entity *entity = entity_find(feat, visit->keys, visit->at);
        return entity ? (struct tsn_cell **)tsn_entity_cell(entity, (uint16_t)s) : NULL;
    }
    struct tsn_entity *entity = entity_for_write(feat, visit->keys, visit->at);
    if (!feat->plan.kinds[stream->kind].seen) {
        newest_raise(entity, visit->time_ms); /* else tsn_walk_newest did, in row order */
    }
    void **place = tsn_entity_cell(entity, (uint16_t)s);
    if (!place) {
        place = tsn_entity_cell_add(entity, &feat->pool, (uint16_t)s);
        *place = tsn_cell_new(&stream->layout, &feat->pool);
    }
    return (struct tsn_cell **)place;
}

static tsn_event_ms asof_of(const struct tsn_walk_visit *visit, const struct tsn_window_lane *lane)
{
    return lane->seen ? visit->keys->newest_ms[visit->at] : visit->time_ms;
}

static void items_read(struct tsn_features *feat, const struct tsn_plan_stream *stream,
                       const struct tsn_walk_visit *visit, struct tsn_cell *cell, unsigned from,
                       unsigned to)
{
    const struct tsn_window_layout *layout = &stream->layout;
    struct tsn_window_view view;
    unsigned lane = UINT8_MAX;
    for (unsigned i = from; i < to; i++) {
        const struct tsn_window_item *item = &layout->items[visit->step->items[i]];
        if (item->lane != lane) {
            lane = item->lane;
            tsn_window_look(&view, cell, layout, &feat->pool, lane,
                            asof_of(visit, &layout->lanes[lane]), visit->time_ms);
        }
        tsn_window_read(&view, item, &feat->readings[i]);
        item_mark(feat, &view, &visit->slots[visit->step->outputs[i].slot], visit->at);
    }
}

static void visit_do(struct tsn_features *feat, const struct tsn_walk_visit *visit)
{
    int s = visit->stream;
    const struct tsn_plan_stream *stream = &feat->plan.streams[s];
    const struct tsn_plan_step *step = visit->step;
    unsigned n_before = visit->read ? step->n_before : 0;
    unsigned n = visit->read ? n_before + step->n_after : 0;
    struct tsn_cell **place = cell_place(feat, s, visit);
    if (!place) {
        for (unsigned i = 0; i < n; i++) {
            tsn_window_empty(&stream->layout.items[step->items[i]], &feat->readings[i]);
        }
    } else {
        struct tsn_window_pass pass = {
            .time_ms = visit->time_ms,
            .row = visit->row,
            .dead_ms = visit->dead_ms,
            .n_before = (uint16_t)n_before,
            .n_after = (uint16_t)(n - n_before),
            .items = step->items,
        };
        uint32_t n_rows = (*place)->n;
        if (!tsn_window_pass(place, &stream->layout, &feat->pool, &pass, feat->readings)) {
            items_read(feat, stream, visit, *place, 0, n_before);
            if (visit->row) {
                tsn_cell_write(place, &stream->layout, &feat->pool, visit->row, pass.dead_ms);
            }
            items_read(feat, stream, visit, *place, n_before, n);
        }
        feat->n_rows += (uint64_t)(*place)->n - n_rows;
    }
    for (unsigned i = 0; i < n; i++) {
        item_give(feat, &step->outputs[i], visit->slots, visit->at, &feat->readings[i]);
    }
}

void tsn_visits_walk(struct tsn_features *feat)
{
    int64_t n = feat->n_visits;
    for (int64_t i = -AHEAD_CELL; i < n; i++) {
        visits_ahead(feat, i, n);
        if (i >= 0) {
            visit_do(feat, &feat->visits[i]);
        }
    }
    feat->n_visits = 0;
    feat->n_made = 0;
}
