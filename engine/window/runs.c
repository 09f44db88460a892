/* Runs: running totals of a large log.
 *
 * A lane covers rows [tail, lead): those in (asof - window, asof] for the largest
 * asof read so far. A read at or after it advances both edges; each row enters
 * and leaves once. What a total cannot do by adding and subtracting exactly -
 * sums of doubles - is scanned. Late reads are in late.c. Rows are named by sequence
 * numbers that grow by one a row and wrap, so dropping old rows renames nothing.
 *
 * Always: rows with time <= asof - window stand before tail, rows with time <=
 * asof before lead, and every total is that of [tail, lead).
 */
#include <string.h>

#include "engine/window/pane.h"

size_t tsn_total_bytes(const struct tsn_window_item *item)
{
    union tsn_total *total = NULL;
    switch (item->agg) {
    case TSN_AGG_SUM:
        return sizeof total->sum.sum;
    case TSN_AGG_AVG:
        return sizeof total->sum;
    case TSN_AGG_STDDEV:
        return sizeof total->spread;
    case TSN_AGG_MIN:
    case TSN_AGG_MAX:
        return sizeof total->ends;
    case TSN_AGG_DISTINCT:
    case TSN_AGG_SET:
        return sizeof total->tally;
    case TSN_AGG_COUNT:
    case TSN_AGG_FIRST:
    case TSN_AGG_LAST:
    case TSN_AGG_TIME_SINCE:
        return 16;
    case TSN_AGGS:
        break;
    }
    TSN_MUST(!"an expression has no window");
    return 0;
}

void tsn_window_arrange(struct tsn_window_layout *layout)
{
    size_t at = sizeof(struct tsn_runs) + layout->n_lanes * sizeof(struct tsn_lane_run);
    at = (at + 15) & ~(size_t)15;
    layout->in_order = true;
    layout->all_lanes = 0;
    TSN_MUST(layout->n_lanes <= 32);
    for (unsigned k = 0; k < layout->n_lanes; k++) {
        struct tsn_window_lane *lane = &layout->lanes[k];
        TSN_MUST(lane->n <= 32);
        layout->all_lanes |= UINT32_C(1) << k;
        layout->in_order &= !lane->seen && lane->delay_ms == 0;
        lane->kept = 0;
        lane->front = false;
        for (unsigned i = 0; i < lane->n; i++) {
            struct tsn_window_item *item = &layout->items[lane->first + i];
            if (item->lane != k) {
                continue;
            }
            lane->front |= item->agg == TSN_AGG_FIRST;
            if (!item->plain && !item->scanned) {
                TSN_MUST(at <= UINT16_MAX);
                lane->kept |= UINT32_C(1) << i;
                item->edge = item->agg == TSN_AGG_FIRST || item->agg == TSN_AGG_LAST ||
                             item->agg == TSN_AGG_TIME_SINCE;
                item->total_at = (uint16_t)at;
                at += tsn_total_bytes(item);
            }
        }
    }
    layout->runs_bytes = (uint32_t)at;
    tsn_pane_arrange(layout);
}

void tsn_runs_new(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                  struct tsn_pool *pool)
{
    struct tsn_runs *runs = tsn_pool_alloc(pool, layout->runs_bytes);
    memset(runs, 0, layout->runs_bytes);
    runs->asof_ms = INT64_MIN;
    for (int k = 0; k < layout->n_lanes; k++) {
        runs->lanes[k].asof_ms = INT64_MIN;
    }
    cell->runs = runs;
}

void tsn_runs_free(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                   struct tsn_pool *pool)
{
    for (int k = 0; k < layout->n_items; k++) {
        const struct tsn_window_item *item = &layout->items[k];
        union tsn_total *total = tsn_total_of(cell->runs, item);
        if (item->agg == TSN_AGG_DISTINCT || item->agg == TSN_AGG_SET) {
            tsn_tally_free(&total->tally, pool);
        } else if (item->agg == TSN_AGG_MIN || item->agg == TSN_AGG_MAX) {
            tsn_extremes_free(&total->ends.extremes, pool);
        }
    }
    tsn_pool_free(pool, cell->runs, layout->runs_bytes);
    cell->runs = NULL;
}

void tsn_cell_relane(struct tsn_cell *cell, const struct tsn_window_layout *from,
                     const struct tsn_window_layout *to, struct tsn_pool *pool)
{
    if (cell->runs) {
        struct tsn_panes *panes = cell->runs->panes;
        tsn_runs_free(cell, from, pool);
        tsn_runs_new(cell, to, pool);
        cell->runs->panes = panes;
    }
}

/* The row at tail leaves. */
static void tail_step(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                      const struct tsn_window_lane *lane, struct tsn_lane_run *run)
{
    const uint64_t *row = tsn_runs_row(cell, layout, run->tail);
    for (uint32_t kept = lane->kept; kept; kept &= kept - 1) {
        const struct tsn_window_item *item = &layout->items[lane->first + __builtin_ctz(kept)];
        if (tsn_window_counts(item, row)) {
            tsn_total_leave(cell, layout, item, tsn_total_of(cell->runs, item), run->tail,
                            run->lead);
        }
    }
    run->tail++;
    if (run->tail != run->lead) {
        run->tail_ms = tsn_runs_time(cell, layout, run->tail);
    }
}

static void row_enters(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                       struct tsn_pool *pool, const struct tsn_window_lane *lane, uint32_t seq)
{
    tsn_lane_take(cell->runs, layout, pool, lane, tsn_runs_row(cell, layout, seq), seq);
}

void tsn_runs_leave(struct tsn_cell *cell, const struct tsn_window_layout *layout, unsigned k,
                    tsn_event_ms out_ms)
{
    const struct tsn_window_lane *lane = &layout->lanes[k];
    struct tsn_lane_run *run = &cell->runs->lanes[k];
    while (run->tail != run->lead && run->tail_ms <= out_ms) {
        tail_step(cell, layout, lane, run);
    }
    if (run->tail == run->lead) {
        uint32_t end = cell->runs->first + cell->n;
        while (run->lead != end && tsn_runs_time(cell, layout, run->lead) <= out_ms) {
            run->lead++;
        }
        run->tail = run->lead;
        if (run->lead != end) {
            run->tail_ms = tsn_runs_time(cell, layout, run->lead);
        }
    }
}

/* How many rows ahead a lane that catches up asks for places in tallies. */
enum { TALLY_AHEAD = 8 };

static void tallies_ask(const struct tsn_cell *cell, const struct tsn_window_layout *layout,
                        const struct tsn_window_lane *lane, uint32_t seq)
{
    const uint64_t *row = tsn_runs_row(cell, layout, seq);
    for (uint32_t kept = lane->kept; kept; kept &= kept - 1) {
        const struct tsn_window_item *item = &layout->items[lane->first + __builtin_ctz(kept)];
        if (item->agg == TSN_AGG_DISTINCT) {
            tsn_tally_ask(&tsn_total_of(cell->runs, item)->tally, row[item->word]);
        }
    }
}

void tsn_runs_enter(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                    struct tsn_pool *pool, unsigned k, tsn_event_ms asof_ms)
{
    struct tsn_runs *runs = cell->runs;
    struct tsn_lane_run *run = &runs->lanes[k];
    uint32_t end = runs->first + cell->n;
    while (run->lead != end && tsn_runs_time(cell, layout, run->lead) <= asof_ms) {
        if (end - run->lead > TALLY_AHEAD) {
            tallies_ask(cell, layout, &layout->lanes[k], run->lead + TALLY_AHEAD);
        }
        if (run->tail == run->lead) {
            run->tail_ms = tsn_runs_time(cell, layout, run->lead);
        }
        row_enters(cell, layout, pool, &layout->lanes[k], run->lead);
        run->lead++;
    }
    run->asof_ms = asof_ms;
    runs->asof_ms = asof_ms > runs->asof_ms ? asof_ms : runs->asof_ms;
}

/* All lanes, to what a read of an event of this time would have. */
void tsn_runs_catch_up(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                       struct tsn_pool *pool, tsn_event_ms time_ms)
{
    for (unsigned k = 0; k < layout->n_lanes; k++) {
        const struct tsn_window_lane *lane = &layout->lanes[k];
        tsn_event_ms to_ms = tsn_window_minus(time_ms, lane->delay_ms);
        if (cell->runs->lanes[k].asof_ms <= to_ms) {
            tsn_runs_leave(cell, layout, k, tsn_window_minus(to_ms, lane->window_ms));
            tsn_runs_enter(cell, layout, pool, k, to_ms);
        }
    }
    cell->runs->settled = cell->runs->first + cell->n;
}

/* Rows at and behind index i have moved up by one. */
static void edges_shift(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                        const struct tsn_window_lane *lane, uint32_t i)
{
    for (uint32_t kept = lane->kept; kept; kept &= kept - 1) {
        const struct tsn_window_item *item = &layout->items[lane->first + __builtin_ctz(kept)];
        union tsn_total *total = tsn_total_of(cell->runs, item);
        if (item->edge && total->rows.n && total->rows.edge - cell->runs->first >= i) {
            total->rows.edge++;
        }
    }
}

void tsn_runs_wrote(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                    struct tsn_pool *pool, uint32_t i)
{
    tsn_event_ms time_ms = (tsn_event_ms)tsn_cell_row(cell, layout, i)[0];
    for (unsigned k = 0; k < layout->n_lanes; k++) {
        const struct tsn_window_lane *lane = &layout->lanes[k];
        struct tsn_lane_run *run = &cell->runs->lanes[k];
        if (time_ms > run->asof_ms) {
            continue; /* behind lead: the next read takes it in */
        }
        edges_shift(cell, layout, lane, i);
        bool was_empty = run->tail == run->lead;
        run->lead++;
        if (time_ms <= tsn_window_minus(run->asof_ms, lane->window_ms)) {
            run->tail++;
        } else {
            row_enters(cell, layout, pool, lane, cell->runs->first + i);
            run->tail_ms = was_empty || time_ms < run->tail_ms ? time_ms : run->tail_ms;
        }
    }
}

void tsn_runs_trim(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                   struct tsn_pool *pool, uint32_t n)
{
    (void)pool;
    uint32_t first = cell->runs->first;
    for (unsigned k = 0; k < layout->n_lanes; k++) {
        struct tsn_lane_run *run = &cell->runs->lanes[k];
        while (run->tail != run->lead && run->tail - first < n) {
            tail_step(cell, layout, &layout->lanes[k], run);
        }
        if (run->tail - first < n) {
            run->tail = run->lead = first + n;
        }
    }
    cell->runs->first = first + n;
}

bool tsn_runs_look(struct tsn_window_view *view, unsigned lane)
{
    struct tsn_runs *runs = view->cell->runs;
    struct tsn_lane_run *run = &runs->lanes[lane];
    if (view->to_ms < run->asof_ms) {
        return false;
    }
    if (view->to_ms > run->asof_ms) {
        tsn_runs_leave(view->cell, view->layout, lane,
                       tsn_window_minus(view->to_ms, view->layout->lanes[lane].window_ms));
        tsn_runs_enter(view->cell, view->layout, view->pool, lane, view->to_ms);
    }
    view->lo = run->tail - runs->first;
    view->hi = run->lead - runs->first;
    return true;
}

bool tsn_runs_total(const struct tsn_window_view *view, const struct tsn_window_item *item,
                    struct tsn_reading *out)
{
    return tsn_total_value(view->cell, view->layout, item, tsn_total_of(view->cell->runs, item),
                           view->time_ms, out);
}
