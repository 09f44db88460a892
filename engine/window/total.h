/* Total: what running totals keep of one item, and how a row enters and leaves it.
 *
 * Kinds differ in size, so that the totals of a usual entity stand in two or three
 * cache lines: tsn_window_arrange gives every item its offset. Inline, because a row
 * enters and leaves a handful of them and the calls would cost more than the work.
 * For the files of this room alone.
 */
#ifndef TSN_ENGINE_WINDOW_TOTAL_H
#define TSN_ENGINE_WINDOW_TOTAL_H

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "engine/window/extremes.h"
#include "engine/window/tally.h"
#include "engine/window/window.h"
#include "rules/must/must.h"

/* A member is only as large as its kind: see tsn_total_bytes. */
union tsn_total {
    struct {
        uint32_t n;    /* rows that count */
        uint32_t edge; /* sequence number of the first or last of them */
    } rows;            /* count, first, last, time_since */
    struct {
        __int128 sum;
        uint64_t n;
    } sum; /* sum, without n; avg */
    struct {
        __int128 sum;
        unsigned __int128 squares; /* modulo 2^128 ... */
        int64_t squares_over;      /* ... and how often it went round */
        uint64_t n;
    } spread; /* stddev */
    struct tsn_tally tally;
    struct {
        struct tsn_extremes extremes;
        uint32_t n_nan;
    } ends; /* min, max */
};

struct tsn_lane_run {
    tsn_event_ms asof_ms;
    tsn_event_ms tail_ms; /* of the row at tail, unless the lane is empty: most reads
                             move no row out and then need not touch it */
    uint32_t tail;
    uint32_t lead;
};

/* The lanes, then the totals, in one block. */
struct tsn_runs {
    tsn_event_ms asof_ms;    /* the largest of all lanes */
    uint32_t first;          /* sequence number of row 0 */
    uint32_t settled;        /* no lane is behind this one: see tsn_runs_settle */
    struct tsn_panes *panes; /* what became of older rows, or NULL: pane.h */
    struct tsn_lane_run lanes[];
};

static inline union tsn_total *tsn_total_of(struct tsn_runs *runs,
                                            const struct tsn_window_item *item)
{
    return (union tsn_total *)(void *)((uint8_t *)runs + item->total_at);
}

static inline const uint64_t *tsn_runs_row(const struct tsn_cell *cell,
                                           const struct tsn_window_layout *layout, uint32_t seq)
{
    return tsn_cell_row(cell, layout, seq - cell->runs->first);
}

static inline tsn_event_ms tsn_runs_time(const struct tsn_cell *cell,
                                         const struct tsn_window_layout *layout, uint32_t seq)
{
    return (tsn_event_ms)tsn_runs_row(cell, layout, seq)[0];
}

static inline bool tsn_total_is_nan(const struct tsn_window_item *item, uint64_t word)
{
    double d;
    memcpy(&d, &word, sizeof d);
    return item->is_double && isnan(d);
}

/* A row that counts enters the total; `seq` names it. Rows enter in any order
 * that keeps equal times in processing order. */
static inline void tsn_total_enter(struct tsn_pool *pool, const struct tsn_window_item *item,
                                   union tsn_total *total, const uint64_t *row, uint32_t seq,
                                   uint32_t first)
{
    switch (item->agg) {
    case TSN_AGG_COUNT:
        total->rows.n++;
        break;
    case TSN_AGG_SUM:
        total->sum.sum += (int64_t)row[item->word];
        break;
    case TSN_AGG_AVG:
        total->sum.sum += (int64_t)row[item->word];
        total->sum.n++;
        break;
    case TSN_AGG_STDDEV: {
        __int128 x = (int64_t)row[item->word];
        total->spread.squares_over += __builtin_add_overflow(
            total->spread.squares, (unsigned __int128)(x * x), &total->spread.squares);
        total->spread.sum += x;
        total->spread.n++;
        break;
    }
    case TSN_AGG_MIN:
    case TSN_AGG_MAX:
        if (tsn_total_is_nan(item, row[item->word])) {
            total->ends.n_nan++;
        } else {
            tsn_extremes_add(
                &total->ends.extremes, pool, (int64_t)row[0], row[item->word],
                tsn_extremes_order(row[item->word], item->is_double, item->agg == TSN_AGG_MAX));
        }
        break;
    case TSN_AGG_DISTINCT:
    case TSN_AGG_SET:
        tsn_tally_add(&total->tally, pool, row[item->word]);
        break;
    case TSN_AGG_FIRST:
        if (total->rows.n == 0 || seq - first < total->rows.edge - first) {
            total->rows.edge = seq;
        }
        total->rows.n++;
        break;
    case TSN_AGG_LAST:
    case TSN_AGG_TIME_SINCE:
        if (total->rows.n == 0 || seq - first > total->rows.edge - first) {
            total->rows.edge = seq;
        }
        total->rows.n++;
        break;
    case TSN_AGGS:
        TSN_MUST(!"an expression has no window");
    }
}

/* The row at `tail` leaves; `lead` bounds the search for the next first. */
static inline void tsn_total_leave(const struct tsn_cell *cell,
                                   const struct tsn_window_layout *layout,
                                   const struct tsn_window_item *item, union tsn_total *total,
                                   uint32_t tail, uint32_t lead)
{
    const uint64_t *row = tsn_runs_row(cell, layout, tail);
    switch (item->agg) {
    case TSN_AGG_SUM:
        total->sum.sum -= (int64_t)row[item->word];
        break;
    case TSN_AGG_AVG:
        total->sum.sum -= (int64_t)row[item->word];
        total->sum.n--;
        break;
    case TSN_AGG_STDDEV: {
        __int128 x = (int64_t)row[item->word];
        total->spread.squares_over -= __builtin_sub_overflow(
            total->spread.squares, (unsigned __int128)(x * x), &total->spread.squares);
        total->spread.sum -= x;
        total->spread.n--;
        break;
    }
    case TSN_AGG_MIN:
    case TSN_AGG_MAX:
        if (tsn_total_is_nan(item, row[item->word])) {
            total->ends.n_nan--;
        } else {
            tsn_extremes_leave(&total->ends.extremes, (int64_t)row[0]);
        }
        break;
    case TSN_AGG_DISTINCT:
    case TSN_AGG_SET:
        tsn_tally_remove(&total->tally, row[item->word]);
        break;
    case TSN_AGG_FIRST:
        if (total->rows.n > 1) {
            uint32_t seq = tail + 1;
            while (seq != lead && !tsn_window_counts(item, tsn_runs_row(cell, layout, seq))) {
                seq++;
            }
            total->rows.edge = seq;
        }
        total->rows.n--;
        break;
    case TSN_AGG_COUNT:
    case TSN_AGG_LAST:
    case TSN_AGG_TIME_SINCE:
        total->rows.n--;
        break;
    case TSN_AGGS:
        TSN_MUST(!"an expression has no window");
    }
}

/* What the total says; false: scan. min and max skip NaN unless there is nothing
 * else; then the first one is given, found by a scan: it is rare enough. */
static inline bool tsn_total_value(const struct tsn_cell *cell,
                                   const struct tsn_window_layout *layout,
                                   const struct tsn_window_item *item, const union tsn_total *total,
                                   tsn_event_ms time_ms, struct tsn_reading *out)
{
    switch (item->agg) {
    case TSN_AGG_COUNT:
        out->state = TSN_STATE_VALUE;
        out->i = total->rows.n;
        return true;
    case TSN_AGG_SUM:
        tsn_window_sum(total->sum.sum, out);
        return true;
    case TSN_AGG_AVG:
        tsn_window_avg(item, total->sum.sum, total->sum.n, out);
        return true;
    case TSN_AGG_STDDEV:
        tsn_window_stddev(item, total->spread.sum, total->spread.squares,
                          total->spread.squares_over != 0, total->spread.n, out);
        return true;
    case TSN_AGG_MIN:
    case TSN_AGG_MAX: {
        const struct tsn_extremes *extremes = &total->ends.extremes;
        if (extremes->n == 0) {
            tsn_window_empty(item, out);
            return total->ends.n_nan == 0;
        }
        out->state = TSN_STATE_VALUE;
        out->i = (int64_t)extremes->items[extremes->head].word;
        return true;
    }
    case TSN_AGG_DISTINCT:
        out->state = TSN_STATE_VALUE;
        out->i = total->tally.n;
        return true;
    case TSN_AGG_SET:
        out->state = TSN_STATE_VALUE;
        out->i = total->tally.n < item->max ? total->tally.n : item->max;
        return true;
    case TSN_AGG_FIRST:
    case TSN_AGG_LAST:
    case TSN_AGG_TIME_SINCE:
        if (total->rows.n == 0) {
            tsn_window_empty(item, out);
        } else {
            const uint64_t *row = tsn_runs_row(cell, layout, total->rows.edge);
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

/* Bytes of an item's total, a multiple of 16. */
size_t tsn_total_bytes(const struct tsn_window_item *item);

/* ---- lanes ------------------------------------------------------------------------ */

/* Rows with time <= asof - window leave the lane. */
void tsn_runs_leave(struct tsn_cell *cell, const struct tsn_window_layout *layout, unsigned lane,
                    tsn_event_ms out_ms);
/* Rows with time <= asof enter it; those that left have left. */
void tsn_runs_enter(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                    struct tsn_pool *pool, unsigned lane, tsn_event_ms asof_ms);

/* Lanes that nobody reads wait, so that rows which leave again before anybody asks cost nothing.
 * But a read must not have to catch up with more than so many rows at once. */
enum { TSN_RUNS_WAIT_MAX = 1024 };

void tsn_runs_catch_up(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                       struct tsn_pool *pool, tsn_event_ms time_ms);

/* After a row of this time, the newest, was written: all lanes catch up if some have waited
 * for long. lanes: those that have it already. */
static inline void tsn_runs_settle(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                                   struct tsn_pool *pool, uint32_t lanes, tsn_event_ms time_ms)
{
    struct tsn_runs *runs = cell->runs;
    uint32_t end = runs->first + cell->n;
    if (lanes == layout->all_lanes) {
        runs->settled = end;
    } else if (end - runs->settled > TSN_RUNS_WAIT_MAX) {
        tsn_runs_catch_up(cell, layout, pool, time_ms);
    }
}

static inline void tsn_lane_take(struct tsn_runs *runs, const struct tsn_window_layout *layout,
                                 struct tsn_pool *pool, const struct tsn_window_lane *lane,
                                 const uint64_t *row, uint32_t seq)
{
    for (uint32_t kept = lane->kept; kept; kept &= kept - 1) {
        const struct tsn_window_item *item = &layout->items[lane->first + __builtin_ctz(kept)];
        if (tsn_window_counts(item, row)) {
            tsn_total_enter(pool, item, tsn_total_of(runs, item), row, seq, runs->first);
        }
    }
}

#endif
