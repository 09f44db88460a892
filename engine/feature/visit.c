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
#include "engine/window/pane.h"

/* How many visits ahead each step asks. */
enum { AHEAD_CELL = 18, AHEAD_ROWS = 12, AHEAD_TOTALS = 6 };

/* A list as long as this is walked before more is listed: what was asked for must
 * still be near. */
enum { LIST_ENOUGH = 256 };

size_t tsn_visits_most(size_t n_steps_max)
{
    return LIST_ENOUGH + TSN_WALK_CHUNK * n_steps_max;
}

size_t tsn_visits_rows_most(void)
{
    return LIST_ENOUGH + TSN_WALK_CHUNK;
}

/* ---- the list --------------------------------------------------------------------- */

/* Rows of the stream's event type among [from, to) of the batch. */
static void rows_among(const struct tsn_batch *batch, int event, uint32_t from, uint32_t to,
                       struct tsn_made_rows *made)
{
    const uint32_t *row = batch->types[event].row;
    while (from < to && batch->rows[from].type != event) {
        from++;
    }
    made->n = 0;
    made->at = from < to ? batch->rows[from].at : 0;
    while (from < to && made->at + made->n < batch->types[event].n &&
           row[made->at + made->n] < to) {
        made->n++;
    }
}

/* What of a made row is written, or NULL if nothing is. */
static const uint64_t *row_of(const struct tsn_walk *walk, const struct tsn_plan_stream *stream,
                              const struct tsn_made_rows *made, uint32_t r, tsn_event_ms *dead_ms)
{
    const struct tsn_row *row = &walk->batch->rows[r];
    uint32_t i = row->at - made->at;
    *dead_ms = tsn_features_dead(walk->feat, walk->before_ms[r], stream->layout.keep_ms);
    return made->conds[i] == 0 || row->time_ms <= *dead_ms
               ? NULL
               : made->words + (size_t)i * stream->layout.stride;
}

/* Parts of a step that some rule wants for a row, however many rows its log has. */
static inline unsigned parts_wanted(const struct tsn_feature_type *of,
                                    const struct tsn_plan_step *step, uint32_t at)
{
    unsigned parts = 0;
    if (step->n_parts == 0 || !tsn_bits_get(of->wanted[step->want], at)) {
        return 0; /* of most rows */
    }
    for (unsigned p = 0; p < step->n_parts; p++) {
        parts |= (unsigned)tsn_bits_get(of->wanted[step->parts[p].want], at) << p;
    }
    return parts;
}

/* The visits of row r, behind those that are listed; gives the end of the list. */
static inline struct tsn_walk_visit *row_list(const struct tsn_walk *walk, int s,
                                              const struct tsn_made_rows *made, uint32_t r,
                                              struct tsn_walk_visit *visit)
{
    struct tsn_features *feat = walk->feat;
    const struct tsn_plan_stream *stream = &feat->plan.streams[s];
    const struct tsn_row *row = &walk->batch->rows[r];
    const struct tsn_plan_reads *reads = &stream->reads[row->type];
    if (reads->n_steps == 0 || walk->status[r] == TSN_ROW_DUPLICATE) {
        return visit;
    }
    bool in_time = walk->status[r] != TSN_ROW_TOO_LATE;
    const uint64_t *words = NULL;
    tsn_event_ms dead_ms = INT64_MIN;
    struct tsn_feature_type *of = &feat->types[row->type];
    if (row->type == stream->event) {
        words = row_of(walk, stream, made, r, &dead_ms);
    }
    for (unsigned i = 0; i < reads->n_steps; i++) {
        const struct tsn_plan_step *step = &reads->steps[i];
        struct tsn_key_rows *keys = &of->keys[step->key];
        unsigned parts = parts_wanted(of, step, row->at);
        bool read = in_time && step->n_before + step->n_after > 0 && (step->visited || parts);
        bool written = step->writes && words;
        if (key_missing(keys->keys[row->at]) || !(read || written)) {
            continue;
        }
        *visit++ = (struct tsn_walk_visit){
            .keys = keys,
            .step = step,
            .of = of,
            .row = written ? words : NULL,
            .time_ms = row->time_ms,
            .dead_ms = dead_ms,
            .at = row->at,
            .stream = (uint16_t)s,
            .read = read,
            .parts = (uint8_t)parts,
        };
    }
    return visit;
}

void tsn_visits_list(const struct tsn_walk *walk, int s, uint32_t from, uint32_t to)
{
    struct tsn_features *feat = walk->feat;
    const struct tsn_plan_stream *stream = &feat->plan.streams[s];
    size_t words_most = (size_t)TSN_WALK_CHUNK * stream->layout.stride;
    if (feat->n_visits >= LIST_ENOUGH || feat->n_made + words_most > feat->made_cap) {
        tsn_visits_walk(feat);
    }
    struct tsn_made_rows made;
    rows_among(walk->batch, stream->event, from, to, &made);
    made.words = feat->made + feat->n_made;
    tsn_walk_rows_make(walk, s, &made);
    struct tsn_walk_visit *visit = feat->visits + feat->n_visits;
    if (stream->alone) {
        const uint32_t *rows = walk->batch->types[stream->event].row + made.at;
        for (uint32_t i = 0; i < made.n; i++) {
            visit = row_list(walk, s, &made, rows[i], visit);
        }
    } else {
        for (uint32_t r = from; r < to; r++) {
            visit = row_list(walk, s, &made, r, visit);
        }
    }
    uint32_t n = (uint32_t)(visit - feat->visits);
    if (n > feat->n_visits) { /* else nothing refers to the rows that were made */
        feat->n_visits = n;
        feat->n_made += (size_t)made.n * stream->layout.stride;
    }
}

/* ---- asking ahead ----------------------------------------------------------------- */

/* The cell as far as it is known; entities do not go within a batch. */
static inline const struct tsn_cell *cell_hint(const struct tsn_walk_visit *visit)
{
    if (visit->place) {
        return *visit->place;
    }
    struct tsn_entity *entity = visit->keys->records[visit->at];
    void **place = entity ? tsn_entity_cell(entity, visit->stream) : NULL;
    return place ? *place : NULL;
}

/* The same for the first time. */
static inline const struct tsn_cell *cell_first(struct tsn_walk_visit *visit)
{
    struct tsn_entity *entity = visit->keys->records[visit->at];
    void **place = entity ? tsn_entity_cell(entity, visit->stream) : NULL;
    if (!place) {
        return NULL;
    }
    visit->place = tsn_entity_place_stays(entity, place) ? place : NULL;
    return *place;
}

/* What of a step is read at a log of so many rows, of which some rule wants the visit's
 * parts. What gates say may not be known yet when memory is asked for. */
static inline const struct tsn_plan_step *view_of(const struct tsn_features *feat,
                                                  const struct tsn_walk_visit *visit, uint64_t n)
{
    const struct tsn_plan_step *step = visit->step;
    unsigned parts = 0;
    if (step->n_parts == 0 || feat->want_all) {
        return step;
    }
    unsigned may = n < step->least ? 0 : (unsigned)visit->parts | step->by_length;
    for (; may; may &= may - 1) {
        unsigned p = (unsigned)__builtin_ctz(may);
        const struct tsn_plan_part *part = &step->parts[p];
        bool read = n >= part->rules_least && (visit->parts >> p & 1) &&
                    (part->gate == TSN_NONE ||
                     visit->of->lengths[part->gate][visit->at] >= part->gate_least);
        parts |= (unsigned)(read || n >= part->least) << p;
    }
    return &step->views[parts];
}

/* Rows of a cell when one more is written; those that became panes are not counted. */
static inline uint64_t rows_then(const struct tsn_cell *cell)
{
    return tsn_cell_panes(cell) ? UINT64_MAX - 1 : (uint64_t)cell->n + 1;
}

/* Visit i is about to be done, or, below 0, the first of all so many later. */
static void visits_ahead(const struct tsn_features *feat, int64_t i, int64_t n)
{
    struct tsn_walk_visit *visits = feat->visits;
    const struct tsn_plan_stream *streams = feat->plan.streams;
    const struct tsn_cell *cell;
    int64_t at = i + AHEAD_CELL;
    if (at < n && (cell = cell_first(&visits[at]))) {
        struct tsn_walk_visit *visit = &visits[at];
        if (visit->read) { /* a guess: the log may grow, and panes are not looked for */
            visit->lanes = view_of(feat, visit, (uint64_t)cell->n + 1)->lanes;
        }
        if (visit->lanes) {
            tsn_window_ahead(cell, &streams[visit->stream].layout);
        } else {
            tsn_window_ahead_write(cell, &streams[visit->stream].layout);
        }
    }
    at = i + AHEAD_ROWS;
    if (at >= 0 && at < n && visits[at].lanes && (cell = cell_hint(&visits[at])) && cell->runs) {
        tsn_window_ahead_rows(cell, &streams[visits[at].stream].layout, visits[at].lanes,
                              visits[at].time_ms);
    }
    at = i + AHEAD_TOTALS;
    if (at >= 0 && at < n && visits[at].lanes && (cell = cell_hint(&visits[at])) && cell->runs) {
        tsn_window_ahead_totals(cell, &streams[visits[at].stream].layout, visits[at].lanes,
                                visits[at].row, visits[at].time_ms);
    }
}

/* ---- one visit -------------------------------------------------------------------- */

/* The entity as it was resolved: it does not go within a batch. */
static inline struct tsn_entity *entity_of(struct tsn_features *feat,
                                           const struct tsn_walk_visit *visit)
{
    struct tsn_entity *entity = visit->keys->records[visit->at];
    return entity ? entity : entity_find(feat, visit->keys, visit->at);
}

/* Where the cell stands, made if a row is to be written; NULL: there is none. */
static struct tsn_cell **cell_place(struct tsn_features *feat, int s,
                                    const struct tsn_walk_visit *visit)
{
    const struct tsn_plan_stream *stream = &feat->plan.streams[s];
    void **place = visit->place;
    if (!visit->row) {
        struct tsn_entity *entity = place ? NULL : entity_of(feat, visit);
        return (struct tsn_cell **)(entity ? tsn_entity_cell(entity, (uint16_t)s) : place);
    }
    struct tsn_entity *entity = entity_of(feat, visit);
    if (!entity || entity->changed != feat->epoch) {
        entity = entity_for_write(feat, visit->keys, visit->at);
    }
    if (!feat->plan.kinds[stream->kind].seen) {
        newest_raise(entity, visit->time_ms); /* else tsn_walk_newest did, in row order */
    }
    place = place ? place : tsn_entity_cell(entity, (uint16_t)s);
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
                       const struct tsn_walk_visit *visit, const struct tsn_plan_step *step,
                       struct tsn_cell *cell, unsigned from, unsigned to)
{
    const struct tsn_window_layout *layout = &stream->layout;
    struct tsn_window_view view;
    unsigned lane = UINT8_MAX;
    for (unsigned i = from; i < to; i++) {
        const struct tsn_window_item *item = &layout->items[step->items[i]];
        if (item->lane != lane) {
            lane = item->lane;
            tsn_window_look(&view, cell, layout, &feat->pool, lane,
                            asof_of(visit, &layout->lanes[lane]), visit->time_ms);
        }
        tsn_window_read(&view, item, &feat->readings[i]);
        item_mark(feat, &view, &visit->of->slots[step->outputs[i].slot], visit->at);
    }
}

/* What counts and was not read because the log is too short: its rows, fewer than anybody
 * asks for. */
static inline void counts_give(const struct tsn_walk_visit *visit, const struct tsn_plan_step *step,
                               uint32_t n_rows)
{
    for (unsigned i = 0; i < step->n_counts; i++) {
        struct tsn_column *slot = &visit->of->slots[step->counts[i].slot];
        slot->i64[visit->at] = n_rows;
        tsn_bits_set(slot->valid, visit->at);
    }
}

static void cell_pass(struct tsn_features *feat, const struct tsn_walk_visit *visit,
                      const struct tsn_plan_step *step, struct tsn_cell **place, unsigned n_before,
                      unsigned n)
{
    const struct tsn_plan_stream *stream = &feat->plan.streams[visit->stream];
    struct tsn_window_pass pass = {
        .time_ms = visit->time_ms,
        .row = visit->row,
        .dead_ms = visit->dead_ms,
        .n_before = (uint16_t)n_before,
        .n_after = (uint16_t)(n - n_before),
        .items = step->items,
        .lanes = step->lanes,
    };
    if (!tsn_window_pass(place, &stream->layout, &feat->pool, &pass, feat->readings)) {
        items_read(feat, stream, visit, step, *place, 0, n_before);
        if (visit->row) {
            tsn_cell_write(place, &stream->layout, &feat->pool, visit->row, pass.dead_ms);
        }
        items_read(feat, stream, visit, step, *place, n_before, n);
    }
}

static void visit_do(struct tsn_features *feat, const struct tsn_walk_visit *visit)
{
    int s = visit->stream;
    const struct tsn_plan_stream *stream = &feat->plan.streams[s];
    const struct tsn_plan_step *step = visit->step;
    struct tsn_cell **place = cell_place(feat, s, visit);
    uint64_t n_then = place ? rows_then(*place) : 0;
    if (step->length != TSN_NONE) {
        visit->of->lengths[step->length][visit->at] =
            n_then < UINT32_MAX ? (uint32_t)n_then : UINT32_MAX;
    }
    if (place) { /* else nothing is there, and all of it is said at no cost */
        step = view_of(feat, visit, n_then);
    }
    unsigned n_before = visit->read ? step->n_before : 0;
    unsigned n = visit->read ? n_before + step->n_after : 0;
    if (!place) {
        for (unsigned i = 0; i < n; i++) {
            tsn_window_empty(&stream->layout.items[step->items[i]], &feat->readings[i]);
        }
    } else {
        uint32_t n_rows = (*place)->n;
        if (n == 0) {
            if (visit->row) {
                tsn_window_write(place, &stream->layout, &feat->pool, visit->row, visit->dead_ms);
            }
        } else {
            cell_pass(feat, visit, step, place, n_before, n);
        }
        feat->n_rows += (uint64_t)(*place)->n - n_rows;
        if (visit->read) {
            counts_give(visit, step, (*place)->n);
        }
    }
    for (unsigned i = 0; i < n; i++) {
        item_give(feat, &step->outputs[i], visit->of->slots, visit->at, &feat->readings[i]);
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
