/* Runs: running totals of a large log.
 *
 * A lane covers rows [tail, lead): those in (asof - window, asof] for the largest
 * asof read so far. A read at or after it advances both edges; each row enters
 * and leaves once. What a total cannot do by adding and subtracting exactly -
 * sums of doubles - is scanned. A late read looks at the rows by which its interval
 * differs from the lane's, when they are fewer than its own. Rows are named by sequence numbers
 * that grow by one a row and wrap, so dropping old rows renames nothing.
 *
 * Always: rows with time <= asof - window stand before tail, rows with time <=
 * asof before lead, and every total is that of [tail, lead).
 */
#include <math.h>
#include <string.h>

#include "engine/window/extremes.h"
#include "engine/window/tally.h"
#include "engine/window/window.h"
#include "rules/must/must.h"

struct lane_run {
    tsn_event_ms asof_ms;
    tsn_event_ms tail_ms; /* of the row at tail, unless the lane is empty: most reads
                             move no row out and then need not touch it */
    uint32_t tail;
    uint32_t lead;
};

/* One total. 64 bytes: a cache line for a feature. */
struct total {
    union {
        struct {
            __int128 sum;
            unsigned __int128 squares; /* modulo 2^128 ... */
            int64_t squares_over;      /* ... and how often it went round */
        };
        struct tsn_tally tally;
        struct {
            struct tsn_extremes extremes;
            uint64_t nan; /* the word of a NaN in the window */
        };
        uint32_t edge; /* sequence number of the first or last row that counts */
    };
    uint32_t n; /* rows that count; for extremes: NaNs among them */
};

struct tsn_runs {
    struct total *totals; /* [n_items], behind the lanes */
    uint32_t first;       /* sequence number of row 0 */
    struct lane_run lanes[];
};

static size_t lanes_bytes(const struct tsn_window_layout *layout)
{
    size_t bytes = sizeof(struct tsn_runs) + layout->n_lanes * sizeof(struct lane_run);
    return (bytes + 15) & ~(size_t)15;
}

static size_t runs_bytes(const struct tsn_window_layout *layout)
{
    return lanes_bytes(layout) + layout->n_items * sizeof(struct total);
}

void tsn_runs_new(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                  struct tsn_pool *pool)
{
    struct tsn_runs *runs = tsn_pool_alloc(pool, runs_bytes(layout));
    memset(runs, 0, runs_bytes(layout));
    runs->totals = (struct total *)(void *)((uint8_t *)runs + lanes_bytes(layout));
    for (int k = 0; k < layout->n_lanes; k++) {
        runs->lanes[k].asof_ms = INT64_MIN;
    }
    cell->runs = runs;
}

void tsn_runs_free(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                   struct tsn_pool *pool)
{
    for (int k = 0; k < layout->n_items; k++) {
        struct total *total = &cell->runs->totals[k];
        if (layout->items[k].agg == TSN_AGG_DISTINCT || layout->items[k].agg == TSN_AGG_SET) {
            tsn_tally_free(&total->tally, pool);
        } else if (layout->items[k].agg == TSN_AGG_MIN || layout->items[k].agg == TSN_AGG_MAX) {
            tsn_extremes_free(&total->extremes, pool);
        }
    }
    tsn_pool_free(pool, cell->runs, runs_bytes(layout));
    cell->runs = NULL;
}

static const uint64_t *row_of(const struct tsn_cell *cell, const struct tsn_window_layout *layout,
                              uint32_t seq)
{
    return tsn_cell_row(cell, layout, seq - cell->runs->first);
}

static bool is_nan(uint64_t word)
{
    double d;
    memcpy(&d, &word, sizeof d);
    return isnan(d);
}

/* A row that counts enters the total; `seq` names it. Rows enter in any order
 * that keeps equal times in processing order. */
static void enter(struct tsn_pool *pool, const struct tsn_window_item *item, struct total *total,
                  const uint64_t *row, uint32_t seq, uint32_t first)
{
    switch (item->agg) {
    case TSN_AGG_STDDEV: {
        __int128 x = (int64_t)row[item->word];
        total->squares_over +=
            __builtin_add_overflow(total->squares, (unsigned __int128)(x * x), &total->squares);
        total->sum += x;
        break;
    }
    case TSN_AGG_SUM:
    case TSN_AGG_AVG:
        total->sum += (int64_t)row[item->word];
        break;
    case TSN_AGG_MIN:
    case TSN_AGG_MAX:
        if (!item->is_double || !is_nan(row[item->word])) {
            tsn_extremes_add(
                &total->extremes, pool, (int64_t)row[0], row[item->word],
                tsn_extremes_order(row[item->word], item->is_double, item->agg == TSN_AGG_MAX));
            return;
        }
        break;
    case TSN_AGG_DISTINCT:
    case TSN_AGG_SET:
        tsn_tally_add(&total->tally, pool, row[item->word]);
        break;
    case TSN_AGG_FIRST:
        if (total->n == 0 || seq - first < total->edge - first) {
            total->edge = seq;
        }
        break;
    case TSN_AGG_LAST:
    case TSN_AGG_TIME_SINCE:
        if (total->n == 0 || seq - first > total->edge - first) {
            total->edge = seq;
        }
        break;
    case TSN_AGG_COUNT:
        break;
    case TSN_AGGS:
        TSN_MUST(!"an expression has no window");
    }
    total->n++;
}

/* The row at `tail` leaves; `lead` bounds the search for the next first. */
static void leave(const struct tsn_cell *cell, const struct tsn_window_layout *layout,
                  const struct tsn_window_item *item, struct total *total, uint32_t tail,
                  uint32_t lead)
{
    const uint64_t *row = row_of(cell, layout, tail);
    switch (item->agg) {
    case TSN_AGG_STDDEV: {
        __int128 x = (int64_t)row[item->word];
        total->squares_over -=
            __builtin_sub_overflow(total->squares, (unsigned __int128)(x * x), &total->squares);
        total->sum -= x;
        break;
    }
    case TSN_AGG_SUM:
    case TSN_AGG_AVG:
        total->sum -= (int64_t)row[item->word];
        break;
    case TSN_AGG_MIN:
    case TSN_AGG_MAX:
        if (!item->is_double || !is_nan(row[item->word])) {
            tsn_extremes_leave(&total->extremes, (int64_t)row[0]);
            return;
        }
        break;
    case TSN_AGG_DISTINCT:
    case TSN_AGG_SET:
        tsn_tally_remove(&total->tally, row[item->word]);
        break;
    case TSN_AGG_FIRST:
        if (total->n > 1) {
            uint32_t seq = tail + 1;
            while (seq != lead && !tsn_window_counts(item, row_of(cell, layout, seq))) {
                seq++;
            }
            total->edge = seq;
        }
        break;
    case TSN_AGG_LAST:
    case TSN_AGG_TIME_SINCE:
    case TSN_AGG_COUNT:
        break;
    case TSN_AGGS:
        TSN_MUST(!"an expression has no window");
    }
    total->n--;
}

static void row_leaves(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                       const struct tsn_window_lane *lane, const struct lane_run *run)
{
    const uint64_t *row = row_of(cell, layout, run->tail);
    for (unsigned k = lane->first; k < (unsigned)lane->first + lane->n; k++) {
        const struct tsn_window_item *item = &layout->items[k];
        if (!item->plain && !item->scanned && tsn_window_counts(item, row)) {
            leave(cell, layout, item, &cell->runs->totals[k], run->tail, run->lead);
        }
    }
}

static void row_enters(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                       struct tsn_pool *pool, const struct tsn_window_lane *lane, uint32_t seq)
{
    const uint64_t *row = row_of(cell, layout, seq);
    for (unsigned k = lane->first; k < (unsigned)lane->first + lane->n; k++) {
        const struct tsn_window_item *item = &layout->items[k];
        if (!item->plain && !item->scanned && tsn_window_counts(item, row)) {
            enter(pool, item, &cell->runs->totals[k], row, seq, cell->runs->first);
        }
    }
}

static tsn_event_ms time_of(const struct tsn_cell *cell, const struct tsn_window_layout *layout,
                            uint32_t seq)
{
    return (tsn_event_ms)row_of(cell, layout, seq)[0];
}

/* The row at tail leaves. */
static void tail_step(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                      const struct tsn_window_lane *lane, struct lane_run *run)
{
    row_leaves(cell, layout, lane, run);
    run->tail++;
    if (run->tail != run->lead) {
        run->tail_ms = time_of(cell, layout, run->tail);
    }
}

static void advance(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                    struct tsn_pool *pool, unsigned k, tsn_event_ms asof_ms)
{
    const struct tsn_window_lane *lane = &layout->lanes[k];
    struct lane_run *run = &cell->runs->lanes[k];
    tsn_event_ms out_ms = tsn_window_minus(asof_ms, lane->window_ms);
    uint32_t end = cell->runs->first + cell->n;
    while (run->tail != run->lead && run->tail_ms <= out_ms) {
        tail_step(cell, layout, lane, run);
    }
    if (run->tail == run->lead) {
        while (run->lead != end && time_of(cell, layout, run->lead) <= out_ms) {
            run->lead++;
        }
        run->tail = run->lead;
        if (run->lead != end) {
            run->tail_ms = time_of(cell, layout, run->lead);
        }
    }
    while (run->lead != end && time_of(cell, layout, run->lead) <= asof_ms) {
        row_enters(cell, layout, pool, lane, run->lead);
        run->lead++;
    }
    run->asof_ms = asof_ms;
}

/* Rows at and behind index i have moved up by one. */
static void edges_shift(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                        const struct tsn_window_lane *lane, uint32_t i)
{
    for (unsigned k = lane->first; k < (unsigned)lane->first + lane->n; k++) {
        enum tsn_agg agg = layout->items[k].agg;
        struct total *total = &cell->runs->totals[k];
        bool has_edge = agg == TSN_AGG_FIRST || agg == TSN_AGG_LAST || agg == TSN_AGG_TIME_SINCE;
        if (has_edge && !layout->items[k].plain && total->n &&
            total->edge - cell->runs->first >= i) {
            total->edge++;
        }
    }
}

void tsn_runs_wrote(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                    struct tsn_pool *pool, uint32_t i)
{
    tsn_event_ms time_ms = (tsn_event_ms)tsn_cell_row(cell, layout, i)[0];
    for (unsigned k = 0; k < layout->n_lanes; k++) {
        const struct tsn_window_lane *lane = &layout->lanes[k];
        struct lane_run *run = &cell->runs->lanes[k];
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
        struct lane_run *run = &cell->runs->lanes[k];
        while (run->tail != run->lead && run->tail - first < n) {
            tail_step(cell, layout, &layout->lanes[k], run);
        }
        if (run->tail - first < n) {
            run->tail = run->lead = first + n;
        }
    }
    cell->runs->first = first + n;
}

/* min and max skip NaN unless there is nothing else; then the first one is given,
 * found by a scan: it is rare enough. False: scan. */
static bool extreme_value(const struct total *total, struct tsn_reading *out)
{
    const struct tsn_extremes *extremes = &total->extremes;
    if (extremes->n == 0) {
        return total->n == 0;
    }
    out->state = TSN_STATE_VALUE;
    out->i = (int64_t)extremes->items[extremes->head].word;
    return true;
}

static bool total_value(const struct tsn_cell *cell, const struct tsn_window_layout *layout,
                        const struct tsn_window_item *item, const struct total *total,
                        tsn_event_ms time_ms, struct tsn_reading *out)
{
    tsn_window_empty(item, out);
    switch (item->agg) {
    case TSN_AGG_COUNT:
        out->i = total->n;
        return true;
    case TSN_AGG_SUM:
        tsn_window_sum(total->sum, out);
        return true;
    case TSN_AGG_AVG:
        tsn_window_avg(item, total->sum, total->n, out);
        return true;
    case TSN_AGG_STDDEV:
        tsn_window_stddev(item, total->sum, total->squares, total->squares_over != 0, total->n,
                          out);
        return true;
    case TSN_AGG_MIN:
    case TSN_AGG_MAX:
        return extreme_value(total, out);
    case TSN_AGG_DISTINCT:
        out->i = total->tally.n;
        return true;
    case TSN_AGG_SET:
        out->i = total->tally.n < item->max ? total->tally.n : item->max;
        return true;
    case TSN_AGG_FIRST:
    case TSN_AGG_LAST:
    case TSN_AGG_TIME_SINCE:
        if (total->n) {
            const uint64_t *row = row_of(cell, layout, total->edge);
            out->state = TSN_STATE_VALUE;
            out->i = item->agg == TSN_AGG_TIME_SINCE ? tsn_window_minus(time_ms, (int64_t)row[0])
                                                     : (int64_t)row[item->word];
        }
        return true;
    case TSN_AGGS:
        break;
    }
    return false;
}

/* ---- late reads --------------------------------------------------------------------- */

/* An interval [lo, hi) that ends before the lane's: it lacks rows [hi, lead) of the
 * lane and has [lo, tail) more. All indexes of rows. */
struct late {
    uint32_t lo, hi, tail, lead;
};

static void rows_both(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                      struct tsn_pool *pool, const struct tsn_window_item *item,
                      const struct late *late, struct total *total, bool back)
{
    uint32_t first = cell->runs->first;
    for (int older = 0; older < 2; older++) {
        uint32_t from = older ? late->lo : late->hi;
        uint32_t to = older ? late->tail : late->lead;
        for (uint32_t i = from; i < to; i++) {
            if (!tsn_window_counts(item, tsn_cell_row(cell, layout, i))) {
                continue;
            }
            if ((older == 1) == !back) {
                enter(pool, item, total, tsn_cell_row(cell, layout, i), first + i, first);
            } else {
                leave(cell, layout, item, total, first + i, first + late->lead);
            }
        }
    }
}

/* The extreme of the lane is that of the interval too if it is in it; only the
 * older rows must be looked at. */
static bool late_extreme(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                         struct tsn_pool *pool, const struct tsn_window_item *item,
                         const struct late *late, tsn_event_ms asof_ms, struct tsn_reading *out)
{
    const struct tsn_extremes *extremes = &cell->runs->totals[item - layout->items].extremes;
    if (extremes->n == 0 || extremes->items[extremes->head].time_ms > asof_ms) {
        return false;
    }
    const struct tsn_extreme *front = extremes->items + extremes->head;
    tsn_window_scan(cell, layout, pool, item, late->lo, late->tail, asof_ms, out);
    bool none = out->state != TSN_STATE_VALUE || (item->is_double && isnan(out->d));
    if (none || tsn_extremes_order((uint64_t)out->i, item->is_double, item->agg == TSN_AGG_MAX) >
                    front->order) {
        out->state = TSN_STATE_VALUE;
        out->i = (int64_t)front->word;
    }
    return true;
}

bool tsn_runs_late(const struct tsn_window_view *view, const struct tsn_window_item *item,
                   struct tsn_reading *out)
{
    enum { TALLY_COST = 3 }; /* in rows scanned; measured with bench_windows */
    struct tsn_cell *cell = view->cell;
    const struct tsn_window_layout *layout = view->layout;
    const struct lane_run *run = &cell->runs->lanes[item->lane];
    struct total *total = &cell->runs->totals[item - layout->items];
    struct late late = {
        .lo = view->lo,
        .hi = view->hi,
        .tail = run->tail - cell->runs->first,
        .lead = run->lead - cell->runs->first,
    };
    uint64_t n = late.hi - late.lo;
    if (late.hi <= late.tail) {
        return false;
    }
    uint64_t n_other = (uint64_t)(late.lead - late.hi) + (late.tail - late.lo);
    switch (item->agg) {
    case TSN_AGG_MIN:
    case TSN_AGG_MAX:
        return late_extreme(cell, layout, view->pool, item, &late, view->to_ms, out);
    case TSN_AGG_COUNT:
    case TSN_AGG_SUM:
    case TSN_AGG_AVG:
    case TSN_AGG_STDDEV: {
        struct total copy = *total;
        if (n_other >= n) {
            return false;
        }
        rows_both(cell, layout, view->pool, item, &late, &copy, false);
        return total_value(cell, layout, item, &copy, view->time_ms, out);
    }
    case TSN_AGG_DISTINCT:
    case TSN_AGG_SET:
        if (n_other * 2 >= n * TALLY_COST) {
            return false;
        }
        rows_both(cell, layout, view->pool, item, &late, total, false);
        total_value(cell, layout, item, total, view->time_ms, out);
        rows_both(cell, layout, view->pool, item, &late, total, true);
        return true;
    case TSN_AGG_FIRST:
    case TSN_AGG_LAST:
    case TSN_AGG_TIME_SINCE:
    case TSN_AGGS:
        break;
    }
    return false;
}

bool tsn_runs_look(struct tsn_window_view *view, unsigned lane)
{
    struct tsn_runs *runs = view->cell->runs;
    struct lane_run *run = &runs->lanes[lane];
    if (view->to_ms < run->asof_ms) {
        return false;
    }
    if (view->to_ms > run->asof_ms) {
        advance(view->cell, view->layout, view->pool, lane, view->to_ms);
    }
    view->lo = run->tail - runs->first;
    view->hi = run->lead - runs->first;
    return true;
}

bool tsn_runs_total(const struct tsn_window_view *view, const struct tsn_window_item *item,
                    struct tsn_reading *out)
{
    return total_value(view->cell, view->layout, item,
                       &view->cell->runs->totals[item - view->layout->items], view->time_ms, out);
}
