/* Late: reads of an interval that the running totals have passed. The rows by which it
 * differs from the lane's are looked at, when they are fewer than its own. See runs.c.
 */
#include <math.h>
#include <string.h>

#include "engine/entity/ask.h"
#include "engine/window/total.h"

/* An interval [lo, hi) that ends before the lane's: it lacks rows [hi, lead) of the
 * lane and has [lo, tail) more. All indexes of rows. */
struct late {
    uint32_t lo, hi, tail, lead;
};

/* Rows [from, to) that count. */
static uint64_t rows_count(const struct tsn_cell *cell, const struct tsn_window_layout *layout,
                           const struct tsn_window_item *item, uint32_t from, uint32_t to)
{
    const uint64_t *row = tsn_cell_row(cell, layout, from);
    uint64_t n = 0;
    for (uint32_t i = from; i < to; i++, row += layout->stride) {
        n += tsn_window_counts(item, row);
    }
    return n;
}

static void late_count(const struct tsn_cell *cell, const struct tsn_window_layout *layout,
                       const struct tsn_window_item *item, const struct late *late,
                       struct tsn_reading *out)
{
    uint64_t n = tsn_total_of(cell->runs, item)->rows.n;
    n -= rows_count(cell, layout, item, late->hi, late->lead);
    n += rows_count(cell, layout, item, late->lo, late->tail);
    out->state = TSN_STATE_VALUE;
    out->i = (int64_t)n;
}

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
    if (item->agg == TSN_AGG_SUM) {
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

/* While a late count is made, the count of a place in the lane's tally has two halves: below,
 * rows of the value that are still in; above, those that were taken out. So a place is not
 * empty though all its rows are out, nothing is moved, and the sum is what stood there. */
static inline uint64_t one_out(uint64_t count)
{
    return count + (UINT64_C(1) << 32) - 1;
}

static inline uint64_t one_back(uint64_t count)
{
    return count - (UINT64_C(1) << 32) + 1;
}

static inline uint32_t still_in(uint64_t count)
{
    return (uint32_t)count;
}

static inline uint64_t all_back(uint64_t count)
{
    return (count >> 32) + (uint32_t)count;
}

/* Rows whose places are asked for together. */
enum { BLOCK = 32 };

struct sought {
    uint64_t value;
    uint32_t at; /* its home: it stands there or behind */
};

/* The values of rows [from, to), a block at most, that count; their places are asked for. */
static uint32_t values_seek(const struct tsn_cell *cell, const struct tsn_window_layout *layout,
                            const struct tsn_window_item *item, const struct tsn_tally *lane,
                            uint32_t from, uint32_t to, struct sought *sought)
{
    const uint64_t *row = tsn_cell_row(cell, layout, from);
    uint32_t end = to - from < BLOCK ? to : from + BLOCK;
    uint32_t n = 0;
    for (uint32_t i = from; i < end; i++, row += layout->stride) {
        if (tsn_window_counts(item, row)) {
            uint32_t at = tsn_tally_home(row[item->word], lane->cap);
            tsn_ask_write(&lane->places[at]);
            sought[n++] = (struct sought){row[item->word], at};
        }
    }
    return n;
}

/* Takes rows [from, to) of the lane out; their places go to at[]. Returns how many, and
 * subtracts the values that are gone from *n_values. */
static uint32_t values_leave(const struct tsn_cell *cell, const struct tsn_window_layout *layout,
                             const struct tsn_window_item *item, const struct tsn_tally *lane,
                             uint32_t from, uint32_t to, uint32_t *at, uint32_t *n_values)
{
    struct sought sought[BLOCK];
    uint32_t n = 0;
    for (uint32_t i = from; i < to; i += BLOCK) {
        uint32_t n_block = values_seek(cell, layout, item, lane, i, to, sought);
        for (uint32_t b = 0; b < n_block; b++) {
            uint32_t place = sought[b].at;
            while (lane->places[place].value != sought[b].value) {
                TSN_MUST(lane->places[place].count);
                place = (place + 1) & (lane->cap - 1);
            }
            uint64_t count = one_out(lane->places[place].count);
            lane->places[place].count = count;
            *n_values -= still_in(count) == 0;
            at[n++] = place;
        }
    }
    return n;
}

/* How many values rows [from, to), which are not of the lane, have that nothing in it has
 * after some rows left. */
static uint32_t values_more(const struct tsn_cell *cell, const struct tsn_window_layout *layout,
                            struct tsn_pool *pool, const struct tsn_window_item *item,
                            const struct tsn_tally *lane, uint32_t from, uint32_t to)
{
    struct sought sought[BLOCK];
    struct tsn_tally unknown = {0};
    uint32_t n = 0;
    for (uint32_t i = from; i < to; i += BLOCK) {
        uint32_t n_block = values_seek(cell, layout, item, lane, i, to, sought);
        for (uint32_t b = 0; b < n_block; b++) {
            uint32_t place = sought[b].at;
            while (lane->places[place].count && lane->places[place].value != sought[b].value) {
                place = (place + 1) & (lane->cap - 1);
            }
            uint64_t count = lane->places[place].count;
            if (count == 0) {
                tsn_tally_add(&unknown, pool, sought[b].value);
            } else if (still_in(count) == 0) {
                lane->places[place].count = one_back(count);
                n++;
            }
        }
    }
    n += unknown.n;
    tsn_tally_free(&unknown, pool);
    return n;
}

/* The lane's tally without the rows that the interval lacks and with those that it has
 * more, and then as it was: each row looks its value up once. */
static uint32_t late_distinct(const struct tsn_cell *cell, const struct tsn_window_layout *layout,
                              struct tsn_pool *pool, const struct tsn_window_item *item,
                              const struct late *late)
{
    const struct tsn_tally *lane = &tsn_total_of(cell->runs, item)->tally;
    TSN_MUST(lane->cap);
    size_t bytes = (size_t)(late->lead - late->hi) * sizeof(uint32_t);
    uint32_t *left = bytes ? tsn_pool_alloc(pool, bytes) : NULL;
    uint32_t n = lane->n;
    uint32_t n_left = values_leave(cell, layout, item, lane, late->hi, late->lead, left, &n);
    n += values_more(cell, layout, pool, item, lane, late->lo, late->tail);
    for (uint32_t i = 0; i < n_left; i++) {
        uint64_t *count = &lane->places[left[i]].count;
        *count = all_back(*count);
    }
    if (bytes) {
        tsn_pool_free(pool, left, bytes);
    }
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
        if (fewer) {
            late_count(cell, layout, item, &late, out);
        }
        return fewer;
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
        fewer &= tsn_total_of(cell->runs, item)->tally.cap > 0;
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
