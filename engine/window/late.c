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

/* Rows [from, to) that count, and the sum of their values. */
static uint64_t rows_sum(const struct tsn_cell *cell, const struct tsn_window_layout *layout,
                         const struct tsn_window_item *item, uint32_t from, uint32_t to,
                         __int128 *sum)
{
    const uint64_t *row = tsn_cell_row(cell, layout, from);
    uint64_t n = 0;
    *sum = 0;
    for (uint32_t i = from; i < to; i++, row += layout->stride) {
        if (tsn_window_counts(item, row)) {
            *sum += (int64_t)row[item->word];
            n++;
        }
    }
    return n;
}

static void late_sum(const struct tsn_cell *cell, const struct tsn_window_layout *layout,
                     const struct tsn_window_item *item, const struct late *late,
                     struct tsn_reading *out)
{
    const union tsn_total *total = tsn_total_of(cell->runs, item);
    __int128 gone, more;
    uint64_t n_gone = rows_sum(cell, layout, item, late->hi, late->lead, &gone);
    uint64_t n_more = rows_sum(cell, layout, item, late->lo, late->tail, &more);
    if (item->agg == TSN_AGG_COUNT) {
        out->state = TSN_STATE_VALUE;
        out->i = (int64_t)(total->rows.n - n_gone + n_more);
    } else if (item->agg == TSN_AGG_SUM) {
        tsn_window_sum(total->sum.sum - gone + more, out);
    } else {
        tsn_window_avg(item, total->sum.sum - gone + more, total->sum.n - n_gone + n_more, out);
    }
}

static void late_spread(const struct tsn_cell *cell, const struct tsn_window_layout *layout,
                        struct tsn_pool *pool, const struct tsn_window_item *item,
                        const struct late *late, tsn_event_ms time_ms, struct tsn_reading *out)
{
    uint32_t first = cell->runs->first;
    union tsn_total copy;
    memcpy(&copy, tsn_total_of(cell->runs, item), tsn_total_bytes(item));
    for (uint32_t i = late->hi; i < late->lead; i++) {
        if (tsn_window_counts(item, tsn_cell_row(cell, layout, i))) {
            tsn_total_leave(cell, layout, item, &copy, first + i, first + late->lead);
        }
    }
    for (uint32_t i = late->lo; i < late->tail; i++) {
        if (tsn_window_counts(item, tsn_cell_row(cell, layout, i))) {
            tsn_total_enter(pool, item, &copy, tsn_cell_row(cell, layout, i), first + i, first);
        }
    }
    tsn_total_value(cell, layout, item, &copy, time_ms, out);
}

static struct tsn_tally rows_tally(const struct tsn_cell *cell,
                                   const struct tsn_window_layout *layout, struct tsn_pool *pool,
                                   const struct tsn_window_item *item, uint32_t from, uint32_t to)
{
    struct tsn_tally tally = {0};
    if (from < to) {
        tsn_tally_room(&tally, pool, to - from);
    }
    for (uint32_t i = from; i < to; i++) {
        const uint64_t *row = tsn_cell_row(cell, layout, i);
        if (tsn_window_counts(item, row)) {
            tsn_tally_add(&tally, pool, row[item->word]);
        }
    }
    return tally;
}

/* The rows that the interval lacks and those that it has more are tallied apart, and
 * each of their values is looked up in the lane's tally once. Taking rows out of that
 * and putting them back would touch it four times a row, at a cache miss each. */
static uint32_t late_distinct(const struct tsn_cell *cell, const struct tsn_window_layout *layout,
                              struct tsn_pool *pool, const struct tsn_window_item *item,
                              const struct late *late)
{
    enum { AHEAD = 8 };
    const struct tsn_tally *lane = &tsn_total_of(cell->runs, item)->tally;
    struct tsn_tally gone = rows_tally(cell, layout, pool, item, late->hi, late->lead);
    struct tsn_tally more = rows_tally(cell, layout, pool, item, late->lo, late->tail);
    uint32_t n = lane->n;
    for (uint32_t i = 0; i < gone.cap; i++) {
        if (i + AHEAD < gone.cap && gone.places[i + AHEAD].count) {
            tsn_tally_prefetch(lane, gone.places[i + AHEAD].value);
        }
        const struct tsn_tally_place *place = &gone.places[i];
        if (place->count && tsn_tally_count(lane, place->value) == place->count &&
            tsn_tally_count(&more, place->value) == 0) {
            n--;
        }
    }
    for (uint32_t i = 0; i < more.cap; i++) {
        if (i + AHEAD < more.cap && more.places[i + AHEAD].count) {
            tsn_tally_prefetch(lane, more.places[i + AHEAD].value);
        }
        n += more.places[i].count && tsn_tally_count(lane, more.places[i].value) == 0;
    }
    tsn_tally_free(&gone, pool);
    tsn_tally_free(&more, pool);
    return n;
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
    struct tsn_cell *cell = view->cell;
    const struct tsn_window_layout *layout = view->layout;
    const struct tsn_lane_run *run = &cell->runs->lanes[item->lane];
    struct late late = {
        .lo = view->lo,
        .hi = view->hi,
        .tail = run->tail - cell->runs->first,
        .lead = run->lead - cell->runs->first,
    };
    if (late.hi <= late.tail) {
        return false;
    }
    bool fewer = (uint64_t)(late.lead - late.hi) + (late.tail - late.lo) < late.hi - late.lo;
    switch (item->agg) {
    case TSN_AGG_MIN:
    case TSN_AGG_MAX:
        return late_extreme(cell, layout, view->pool, item, &late, view->to_ms, out);
    case TSN_AGG_COUNT:
    case TSN_AGG_SUM:
    case TSN_AGG_AVG:
        if (fewer) {
            late_sum(cell, layout, item, &late, out);
        }
        return fewer;
    case TSN_AGG_STDDEV:
        if (fewer) {
            late_spread(cell, layout, view->pool, item, &late, view->time_ms, out);
        }
        return fewer;
    case TSN_AGG_DISTINCT:
    case TSN_AGG_SET:
        if (fewer) {
            int64_t n = late_distinct(cell, layout, view->pool, item, &late);
            out->state = TSN_STATE_VALUE;
            out->i = item->agg == TSN_AGG_DISTINCT || n < item->max ? n : item->max;
        }
        return fewer;
    case TSN_AGG_FIRST:
    case TSN_AGG_LAST:
    case TSN_AGG_TIME_SINCE:
    case TSN_AGGS:
        break;
    }
    return false;
}
