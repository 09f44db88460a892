/* Late: reads of an interval that the running totals have passed. The rows by which it
 * differs from the lane's are looked at, when they are fewer than its own. See runs.c.
 */
#include <math.h>
#include <string.h>

#include "engine/window/total.h"

/* An interval [lo, hi) that ends before the lane's: it lacks rows [hi, lead) of the
 * lane and has [lo, tail) more. All indexes of rows. */
struct late {
    uint32_t lo, hi, tail, lead;
};

static void rows_both(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                      struct tsn_pool *pool, const struct tsn_window_item *item,
                      const struct late *late, union tsn_total *total, bool back)
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
                tsn_total_enter(pool, item, total, tsn_cell_row(cell, layout, i), first + i, first);
            } else {
                tsn_total_leave(cell, layout, item, total, first + i, first + late->lead);
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
    const struct tsn_extremes *extremes = &tsn_total_of(cell->runs, item)->ends.extremes;
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
    const struct tsn_lane_run *run = &cell->runs->lanes[item->lane];
    union tsn_total *total = tsn_total_of(cell->runs, item);
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
        union tsn_total copy;
        if (n_other >= n) {
            return false;
        }
        memcpy(&copy, total, tsn_total_bytes(item));
        rows_both(cell, layout, view->pool, item, &late, &copy, false);
        return tsn_total_value(cell, layout, item, &copy, view->time_ms, out);
    }
    case TSN_AGG_DISTINCT:
    case TSN_AGG_SET:
        if (n_other * 2 >= n * TALLY_COST) {
            return false;
        }
        rows_both(cell, layout, view->pool, item, &late, total, false);
        tsn_total_value(cell, layout, item, total, view->time_ms, out);
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
