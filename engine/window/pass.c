/* Pass: a row's whole visit to a cell in which nothing is newer, and the asking for
 * memory ahead of it. The general way - look, read, write - searches for edges, and
 * goes over the lanes three times; here the newest row is the edge of all lanes. Both
 * give the same bits: tests/unit/engine/window.
 */
#include "engine/entity/ask.h"
#include "engine/window/total.h"

static tsn_event_ms newest_of(const struct tsn_cell *cell, const struct tsn_window_layout *layout)
{
    return (tsn_event_ms)tsn_cell_row(cell, layout, cell->n - 1)[0];
}

/* ---- large logs ------------------------------------------------------------------- */

static void totals_read(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                        struct tsn_pool *pool, tsn_event_ms time_ms, const uint16_t *items,
                        unsigned n, struct tsn_reading *out)
{
    struct tsn_runs *runs = cell->runs;
    struct tsn_window_view view = {.cell = cell, .layout = layout, .time_ms = time_ms};
    for (unsigned i = 0; i < n; i++) {
        const struct tsn_window_item *item = &layout->items[items[i]];
        const struct tsn_lane_run *run = &runs->lanes[item->lane];
        view.lo = run->tail - runs->first;
        view.hi = run->lead - runs->first;
        if (item->plain) {
            tsn_window_read_rows(&view, item, &out[i]);
        } else if (item->scanned || !tsn_total_value(cell, layout, item, tsn_total_of(runs, item),
                                                     time_ms, &out[i])) {
            tsn_window_scan(cell, layout, pool, item, view.lo, view.hi, time_ms, &out[i]);
        }
    }
}

static void lanes_leave(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                        uint32_t lanes, tsn_event_ms time_ms)
{
    const struct tsn_runs *runs = cell->runs;
    for (; lanes; lanes &= lanes - 1) {
        unsigned k = (unsigned)__builtin_ctz(lanes);
        const struct tsn_lane_run *run = &runs->lanes[k];
        tsn_event_ms out_ms = tsn_window_minus(time_ms, layout->lanes[k].window_ms);
        if (run->tail == run->lead || run->tail_ms <= out_ms) {
            tsn_runs_leave(cell, layout, k, out_ms);
        }
    }
}

static void lanes_enter(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                        struct tsn_pool *pool, uint32_t lanes, tsn_event_ms time_ms)
{
    for (; lanes; lanes &= lanes - 1) {
        tsn_runs_enter(cell, layout, pool, (unsigned)__builtin_ctz(lanes), time_ms);
    }
}

/* The newest row, of this time, enters the lanes, with the rows before it that no read
 * has taken in. */
static void newest_enters(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                          struct tsn_pool *pool, uint32_t lanes, tsn_event_ms time_ms)
{
    struct tsn_runs *runs = cell->runs;
    uint32_t seq = runs->first + cell->n - 1;
    const uint64_t *row = tsn_cell_row(cell, layout, cell->n - 1);
    for (uint32_t left = lanes; left; left &= left - 1) {
        unsigned k = (unsigned)__builtin_ctz(left);
        struct tsn_lane_run *run = &runs->lanes[k];
        if (run->lead != seq) {
            tsn_runs_enter(cell, layout, pool, k, time_ms);
            continue;
        }
        run->tail_ms = run->tail == seq ? time_ms : run->tail_ms;
        tsn_lane_take(runs, layout, pool, &layout->lanes[k], row, seq);
        run->lead = seq + 1;
        run->asof_ms = time_ms;
    }
    runs->asof_ms = time_ms;
    tsn_runs_settle(cell, layout, pool, lanes, time_ms);
}

/* ---- small logs ------------------------------------------------------------------- */

/* Rows with time <= t at the front; counting all has no branch to guess wrong. */
static uint32_t small_after(const struct tsn_cell *cell, const struct tsn_window_layout *layout,
                            tsn_event_ms t)
{
    const uint64_t *row = tsn_cell_row(cell, layout, 0);
    uint32_t n = 0;
    if (cell->n == 0 || (tsn_event_ms)row[0] > t) {
        return 0;
    }
    for (uint32_t i = 0; i < cell->n; i++, row += layout->stride) {
        n += (tsn_event_ms)row[0] <= t;
    }
    return n;
}

static void small_read(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                       struct tsn_pool *pool, tsn_event_ms time_ms, const uint16_t *items,
                       unsigned n, struct tsn_reading *out)
{
    struct tsn_window_view view = {.cell = cell, .layout = layout, .time_ms = time_ms};
    unsigned lane = UINT8_MAX;
    view.hi = cell->n;
    for (unsigned i = 0; i < n; i++) {
        const struct tsn_window_item *item = &layout->items[items[i]];
        if (item->lane != lane) {
            lane = item->lane;
            view.lo =
                small_after(cell, layout, tsn_window_minus(time_ms, layout->lanes[lane].window_ms));
        }
        if (item->plain) {
            tsn_window_read_rows(&view, item, &out[i]);
        } else {
            tsn_window_scan(cell, layout, pool, item, view.lo, view.hi, time_ms, &out[i]);
        }
    }
}

/* ---- rows that are written and not read ---------------------------------------------- */

/* Behind everything, and read by no lane yet: nearly always. Totals wait until somebody
 * asks. */
void tsn_window_write(struct tsn_cell **cell, const struct tsn_window_layout *layout,
                      struct tsn_pool *pool, const uint64_t *row, tsn_event_ms dead_ms)
{
    struct tsn_cell *at = *cell;
    tsn_event_ms time_ms = (tsn_event_ms)row[0];
    if (at->n < layout->rows_max && (at->n == 0 || newest_of(at, layout) <= time_ms) &&
        (!at->runs || at->runs->asof_ms < time_ms)) {
        tsn_cell_append(cell, layout, pool, row, dead_ms);
        at = *cell;
        if (at->runs) {
            tsn_runs_settle(at, layout, pool, 0, time_ms);
        }
    } else {
        tsn_cell_write(cell, layout, pool, row, dead_ms);
    }
}

/* ---- the visit -------------------------------------------------------------------- */

bool tsn_window_pass(struct tsn_cell **cell, const struct tsn_window_layout *layout,
                     struct tsn_pool *pool, const struct tsn_window_pass *pass,
                     struct tsn_reading *out)
{
    struct tsn_cell *at = *cell;
    const uint16_t *after = pass->items + pass->n_before;
    tsn_event_ms time_ms = pass->time_ms;
    if (!layout->in_order || (at->n && newest_of(at, layout) > time_ms) ||
        (at->runs && (at->runs->asof_ms > time_ms || at->runs->panes)) ||
        (pass->row && at->n >= layout->rows_max)) {
        return false;
    }
    uint32_t lanes = pass->lanes;
    if (at->runs) { /* a lane that stands at this very time must have the row too */
        lanes = at->runs->asof_ms == time_ms ? layout->all_lanes : lanes;
        lanes_leave(at, layout, lanes, time_ms);
    }
    if (pass->n_before) {
        if (at->runs) {
            lanes_enter(at, layout, pool, lanes, time_ms);
            totals_read(at, layout, pool, time_ms, pass->items, pass->n_before, out);
        } else {
            small_read(at, layout, pool, time_ms, pass->items, pass->n_before, out);
        }
    }
    if (pass->row) {
        bool had_runs = at->runs != NULL;
        tsn_cell_append(cell, layout, pool, pass->row, pass->dead_ms);
        at = *cell;
        if (at->runs) {
            if (!had_runs) {
                lanes_leave(at, layout, lanes, time_ms);
            }
            newest_enters(at, layout, pool, lanes, time_ms);
        }
    } else if (at->runs && !pass->n_before) {
        lanes_enter(at, layout, pool, lanes, time_ms);
    }
    if (pass->n_after) {
        if (at->runs) {
            totals_read(at, layout, pool, time_ms, after, pass->n_after, out + pass->n_before);
        } else {
            small_read(at, layout, pool, time_ms, after, pass->n_after, out + pass->n_before);
        }
    }
    return true;
}

/* ---- ahead ------------------------------------------------------------------------ */

enum { LINE = 64 };

/* A small log's rows; their first line was asked for with the cell. */
static void rows_ahead(const struct tsn_cell *cell, const struct tsn_window_layout *layout)
{
    const char *end = (const char *)tsn_cell_row(cell, layout, cell->n);
    const char *row = (const char *)tsn_cell_row(cell, layout, 0);
    for (row += LINE; row < end; row += LINE) {
        tsn_ask(row);
    }
}

void tsn_window_ahead(const struct tsn_cell *cell, const struct tsn_window_layout *layout)
{
    const uint64_t *end = tsn_cell_row(cell, layout, cell->n);
    tsn_ask_write(end + layout->stride - 1);
    if (!cell->runs) {
        rows_ahead(cell, layout); /* all of it will be read */
        return;
    }
    tsn_ask_write(end - layout->stride);
    for (uint32_t at = 0; at < layout->runs_bytes; at += LINE) {
        tsn_ask_write((const char *)cell->runs + at);
    }
}

void tsn_window_ahead_write(const struct tsn_cell *cell, const struct tsn_window_layout *layout)
{
    const uint64_t *end = tsn_cell_row(cell, layout, cell->n);
    if (cell->head + cell->n == cell->cap && !cell->runs) {
        rows_ahead(cell, layout); /* it moves */
        return;
    }
    tsn_ask_write(end - (cell->n ? layout->stride : 0));
    tsn_ask_write(end + layout->stride - 1);
    if (cell->runs) {
        tsn_ask(cell->runs);
    }
}

void tsn_window_ahead_rows(const struct tsn_cell *cell, const struct tsn_window_layout *layout,
                           uint32_t lanes, tsn_event_ms time_ms)
{
    for (; lanes; lanes &= lanes - 1) {
        unsigned k = (unsigned)__builtin_ctz(lanes);
        const struct tsn_window_lane *lane = &layout->lanes[k];
        const struct tsn_lane_run *run = &cell->runs->lanes[k];
        bool leaves = run->tail_ms <= tsn_window_minus(time_ms, lane->window_ms);
        if (run->tail != run->lead && (leaves || lane->front)) {
            const uint64_t *row = tsn_runs_row(cell, layout, run->tail);
            tsn_ask(row);
            tsn_ask(row + layout->stride); /* the time of the next one */
        }
    }
}

static void leaving_ahead(const struct tsn_cell *cell, const struct tsn_window_layout *layout,
                          const struct tsn_lane_run *run, const union tsn_total *total,
                          uint8_t word, tsn_event_ms out_ms)
{
    enum { MOST = 4 };
    uint32_t seq = run->tail;
    for (int i = 0; i < MOST && seq != run->lead; i++, seq++) {
        const uint64_t *row = tsn_runs_row(cell, layout, seq);
        if ((tsn_event_ms)row[0] > out_ms) {
            break;
        }
        tsn_tally_ask(&total->tally, row[word]);
    }
}

void tsn_window_ahead_totals(const struct tsn_cell *cell, const struct tsn_window_layout *layout,
                             uint32_t lanes, const uint64_t *row, tsn_event_ms time_ms)
{
    for (; lanes; lanes &= lanes - 1) {
        unsigned k = (unsigned)__builtin_ctz(lanes);
        const struct tsn_window_lane *lane = &layout->lanes[k];
        const struct tsn_lane_run *run = &cell->runs->lanes[k];
        tsn_event_ms out_ms = tsn_window_minus(time_ms, lane->window_ms);
        for (uint32_t kept = lane->kept; kept; kept &= kept - 1) {
            const struct tsn_window_item *item = &layout->items[lane->first + __builtin_ctz(kept)];
            const union tsn_total *total = tsn_total_of(cell->runs, item);
            if (item->agg == TSN_AGG_DISTINCT) {
                if (row) {
                    tsn_tally_ask(&total->tally, row[item->word]);
                }
                if (run->tail != run->lead && run->tail_ms <= out_ms) {
                    leaving_ahead(cell, layout, run, total, item->word, out_ms);
                }
            } else if (item->agg == TSN_AGG_MIN || item->agg == TSN_AGG_MAX) {
                const struct tsn_extremes *ends = &total->ends.extremes;
                if (ends->n) {
                    tsn_ask(ends->items + ends->head);
                    tsn_ask_write(ends->items + ends->head + ends->n);
                }
            } else if (item->edge && total->rows.n) {
                tsn_ask(tsn_runs_row(cell, layout, total->rows.edge));
            }
        }
    }
}
