/* Reading panes: an item's value over an interval that reaches behind the log's rows.
 *
 * The panes that lie in the interval whole are united once for many reads (a cache an
 * item), the two that its edges may cut are looked at each time, the rows are read as
 * ever. The way taken depends on what was read before; the value does not: sums of panes
 * are always added in the same order.
 */
#include "engine/window/pane.h"

/* First pane with a row behind t. */
static uint32_t pane_behind(const struct tsn_panes *panes, tsn_event_ms t)
{
    uint32_t lo = 0;
    uint32_t hi = panes->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (panes->at[mid]->last_ms <= t) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

void tsn_panes_look(struct tsn_window_view *view, unsigned lane)
{
    struct tsn_panes *panes = view->cell->runs->panes;
    view->out_ms = tsn_window_minus(view->to_ms, view->layout->lanes[lane].window_ms);
    if (panes->n == 0 || panes->at[panes->n - 1]->last_ms <= view->out_ms) {
        return;
    }
    view->panes = panes;
    view->pane_lo = pane_behind(panes, view->out_ms);
    view->pane_hi = pane_behind(panes, view->to_ms);
}

/* ---- what the panes hold ------------------------------------------------------------------ */

/* Of an item: what its panes in the interval hold, and whether an edge cuts one. */
struct part {
    struct tsn_pane_slot total; /* without a sketch */
    bool lower_cut, upper_cut;
    bool lower_in, upper_in; /* the panes at pane_lo and pane_hi are in it */
};

static struct tsn_pane_cache *cache_of(const struct tsn_window_view *view,
                                       const struct tsn_window_item *item)
{
    struct tsn_panes *panes = view->panes;
    if (!view->totals) {
        return NULL; /* a late read would turn out what reads in order use again */
    }
    if (!panes->caches) {
        size_t bytes = view->layout->n_items * sizeof *panes->caches;
        panes->caches = tsn_pool_alloc(view->pool, bytes);
        memset(panes->caches, 0, bytes);
    }
    return &panes->caches[item - view->layout->items];
}

static void slots_join(const struct tsn_window_view *view, const struct tsn_window_item *item,
                       uint32_t lo, uint32_t hi, struct tsn_pane_slot *total)
{
    for (uint32_t i = lo; i < hi; i++) {
        tsn_pane_slot_join(item, total, tsn_pane_slot(view->panes->at[i], item));
    }
}

/* The panes between those that the edges may cut. */
static void inner_join(const struct tsn_window_view *view, const struct tsn_window_item *item,
                       struct tsn_pane_slot *total)
{
    uint32_t lo = view->pane_lo + 1;
    uint32_t hi = view->pane_hi;
    struct tsn_pane_cache *cache = cache_of(view, item);
    struct tsn_pane_slot inner = {0};
    if (lo >= hi) {
        return;
    }
    if (cache && cache->valid && cache->version == view->panes->version && cache->lo == lo &&
        cache->hi == hi) {
        tsn_pane_slot_join(item, total, &cache->inner);
        return;
    }
    slots_join(view, item, lo, hi, &inner);
    tsn_pane_slot_join(item, total, &inner);
    if (cache) {
        cache->valid = true;
        cache->version = view->panes->version;
        cache->lo = lo;
        cache->hi = hi;
        cache->inner = inner;
    }
}

/* A pane at an edge: true if the item's rows of it are in the interval. */
static bool edge_join(const struct tsn_window_view *view, const struct tsn_window_item *item,
                      uint32_t i, struct part *part)
{
    const struct tsn_pane_slot *slot = tsn_pane_slot(view->panes->at[i], item);
    if (slot->n == 0 || slot->last_ms <= view->out_ms) {
        return false;
    }
    if (slot->last_ms > view->to_ms) {
        part->upper_cut |= slot->first_ms <= view->to_ms;
        return false;
    }
    part->lower_cut |= slot->first_ms <= view->out_ms;
    tsn_pane_slot_join(item, &part->total, slot);
    return true;
}

static void part_of(const struct tsn_window_view *view, const struct tsn_window_item *item,
                    struct part *part)
{
    memset(part, 0, sizeof *part);
    part->lower_in = edge_join(view, item, view->pane_lo, part);
    inner_join(view, item, &part->total);
    if (view->pane_hi > view->pane_lo && view->pane_hi < view->panes->n) {
        part->upper_in = edge_join(view, item, view->pane_hi, part);
    }
}

/* ---- with the rows -------------------------------------------------------------------------- */

/* A late read's total, from the lane's and the rows by which the two differ, where they
 * are fewer; as late.c does for a log without panes. */
static bool rows_differ(const struct tsn_window_view *view, const struct tsn_window_item *item,
                        union tsn_total *total)
{
    struct tsn_runs *runs = view->cell->runs;
    const struct tsn_lane_run *run = &runs->lanes[item->lane];
    uint32_t tail = run->tail - runs->first;
    uint32_t lead = run->lead - runs->first;
    if (view->hi <= tail || view->lo > tail ||
        (uint64_t)(lead - view->hi) + (tail - view->lo) >= view->hi - view->lo) {
        return false;
    }
    memcpy(total, tsn_total_of(runs, item), tsn_total_bytes(item));
    for (uint32_t i = view->hi; i < lead; i++) {
        if (tsn_window_counts(item, tsn_cell_row(view->cell, view->layout, i))) {
            tsn_total_leave(view->cell, view->layout, item, total, runs->first + i, run->lead);
        }
    }
    for (uint32_t i = view->lo; i < tail; i++) {
        const uint64_t *row = tsn_cell_row(view->cell, view->layout, i);
        if (tsn_window_counts(item, row)) {
            tsn_total_enter(view->pool, item, total, row, runs->first + i, runs->first);
        }
    }
    return true;
}

/* The running total of the view's rows, or one made for the purpose. Not of aggregates
 * whose totals own memory. */
static void rows_total(const struct tsn_window_view *view, const struct tsn_window_item *item,
                       union tsn_total *total)
{
    memset(total, 0, sizeof *total);
    if (view->totals && !item->scanned && !item->plain) {
        memcpy(total, tsn_total_of(view->cell->runs, item), tsn_total_bytes(item));
        return;
    }
    if (!view->totals && !item->scanned && rows_differ(view, item, total)) {
        return;
    }
    const uint64_t *row = tsn_cell_row(view->cell, view->layout, view->lo);
    for (uint32_t i = view->lo; i < view->hi; i++, row += view->layout->stride) {
        if (tsn_window_counts(item, row)) {
            tsn_total_enter(view->pool, item, total, row, i, 0);
        }
    }
}

static void give_double(double d, struct tsn_reading *out)
{
    out->state = TSN_STATE_VALUE;
    out->d = d;
}

static double word_double(uint64_t word)
{
    double d;
    memcpy(&d, &word, sizeof d);
    return d;
}

static void read_integers(const struct tsn_window_view *view, const struct tsn_window_item *item,
                          const struct tsn_pane_slot *panes, struct tsn_reading *out)
{
    union tsn_total rows;
    rows_total(view, item, &rows);
    if (item->agg == TSN_AGG_STDDEV) {
        unsigned __int128 squares;
        int64_t over = rows.spread.squares_over + panes->more.spread.squares_over;
        over += __builtin_add_overflow(rows.spread.squares, panes->more.spread.squares, &squares);
        tsn_window_stddev(item, rows.spread.sum + panes->more.spread.sum, squares, over != 0,
                          rows.spread.n + panes->n, out);
    } else if (item->agg == TSN_AGG_AVG) {
        tsn_window_avg(item, rows.sum.sum + panes->more.sum, rows.sum.n + panes->n, out);
    } else {
        tsn_window_sum(rows.sum.sum + panes->more.sum, out);
    }
}

/* Rows are added behind the panes in order, as a scan adds them. */
static void read_doubles(const struct tsn_window_view *view, const struct tsn_window_item *item,
                         const struct tsn_pane_slot *panes, struct tsn_reading *out)
{
    const uint64_t *first = tsn_cell_row(view->cell, view->layout, view->lo);
    uint32_t stride = view->layout->stride;
    double sum = item->agg == TSN_AGG_STDDEV ? 0.0 : panes->more.total;
    uint64_t n = 0;
    const uint64_t *row = first;
    for (uint32_t i = view->lo; i < view->hi; i++, row += stride) {
        if (tsn_window_counts(item, row)) {
            sum += word_double(row[item->word]);
            n++;
        }
    }
    if (item->agg == TSN_AGG_SUM) {
        give_double(sum, out);
        return;
    }
    if (item->agg == TSN_AGG_AVG) {
        give_double(sum / ((double)n + (double)panes->n), out);
        return;
    }
    struct tsn_pane_slot all = *panes;
    struct tsn_pane_slot rows = {.n = n};
    rows.more.drift.mean = n ? sum / (double)n : 0.0;
    row = first;
    for (uint32_t i = view->lo; i < view->hi; i++, row += stride) {
        if (tsn_window_counts(item, row)) {
            double off = word_double(row[item->word]) - rows.more.drift.mean;
            rows.more.drift.squares += off * off;
        }
    }
    tsn_pane_slot_join(item, &all, &rows);
    give_double(sqrt(all.more.drift.squares / (double)all.n), out);
}

static void read_extreme(const struct tsn_window_view *view, const struct tsn_window_item *item,
                         const struct tsn_pane_slot *panes, struct tsn_reading *out)
{
    bool is_max = item->agg == TSN_AGG_MAX;
    tsn_window_read_rows(view, item, out);
    bool rows_win = out->state == TSN_STATE_VALUE;
    if (rows_win && tsn_total_is_nan(item, (uint64_t)out->i)) {
        rows_win = false;
    } else if (rows_win && !tsn_total_is_nan(item, panes->word)) {
        rows_win = tsn_extremes_order((uint64_t)out->i, item->is_double, is_max) <
                   tsn_extremes_order(panes->word, item->is_double, is_max);
    }
    if (!rows_win) {
        out->state = TSN_STATE_VALUE;
        out->i = (int64_t)panes->word;
    }
}

/* ---- distinct -------------------------------------------------------------------------------- */

static void rows_sketch(const struct tsn_window_view *view, const struct tsn_window_item *item,
                        uint32_t lo, uint32_t hi, struct tsn_sketch_sum *sum)
{
    for (uint32_t i = lo; i < hi; i++) {
        const uint64_t *row = tsn_cell_row(view->cell, view->layout, i);
        if (tsn_window_counts(item, row)) {
            tsn_sketch_sum_add(sum, row[item->word]);
        }
    }
}

static void panes_sketch(const struct tsn_window_view *view, const struct tsn_window_item *item,
                         uint32_t from, uint32_t to, struct tsn_sketch_sum *sum)
{
    memset(sum->ranks, 0, sizeof sum->ranks);
    for (uint32_t i = from; i < to; i++) {
        struct tsn_pane_slot *slot = tsn_pane_slot(view->panes->at[i], item);
        if (slot->n) {
            tsn_sketch_unite(sum->ranks, tsn_pane_ranks(slot));
        }
    }
    tsn_sketch_count(sum);
}

/* The sketch of a read in order. While the interval begins with the same pane, it is
 * added to: that rows become panes changes nothing in it. */
static const struct tsn_sketch_sum *sketch_kept(const struct tsn_window_view *view,
                                                const struct tsn_window_item *item,
                                                struct tsn_pane_cache *cache, uint32_t from,
                                                uint32_t to)
{
    const struct tsn_panes *panes = view->panes;
    const struct tsn_runs *runs = view->cell->runs;
    bool with_rows = to == panes->n;
    uint64_t at = with_rows ? panes->late : panes->version;
    tsn_event_ms from_ms = panes->at[from]->start_ms;
    bool holds = cache->sketched && cache->with_rows == with_rows && cache->sketch_at == at;
    holds = holds && (with_rows ? cache->from_ms == from_ms && cache->lead - runs->first <= view->hi
                                : cache->from == from && cache->to == to);
    if (!cache->sketch) {
        cache->sketch = tsn_pool_alloc(view->pool, sizeof *cache->sketch);
    }
    if (!holds) {
        panes_sketch(view, item, from, to, cache->sketch);
        cache->sketched = true;
        cache->with_rows = with_rows;
        cache->sketch_at = at;
        cache->from = from;
        cache->to = to;
        cache->from_ms = from_ms;
        cache->lead = runs->first + view->lo;
    }
    if (with_rows) {
        rows_sketch(view, item, cache->lead - runs->first, view->hi, cache->sketch);
        cache->lead = runs->first + view->hi;
    }
    return cache->sketch;
}

static void read_distinct(const struct tsn_window_view *view, const struct tsn_window_item *item,
                          const struct part *part, struct tsn_reading *out)
{
    struct tsn_sketch_sum late;
    const struct tsn_sketch_sum *sum = &late;
    struct tsn_pane_cache *cache = cache_of(view, item);
    uint32_t from = view->pane_lo + (part->lower_in ? 0 : 1);
    uint32_t to = view->pane_hi + (part->upper_in ? 1 : 0);
    if (part->lower_in && to == view->pane_lo) {
        to++; /* both edges in one pane */
    }
    if (cache) {
        sum = sketch_kept(view, item, cache, from, to);
    } else {
        panes_sketch(view, item, from, to, &late);
        rows_sketch(view, item, view->lo, view->hi, &late);
    }
    uint64_t n = tsn_sketch_estimate(sum);
    uint64_t most = part->total.n + (view->hi - view->lo);
    n = n < most ? n : most;
    out->state = TSN_STATE_VALUE;
    out->i = (int64_t)(n ? n : 1);
}

/* ---- an item ----------------------------------------------------------------------------------
 */

void tsn_panes_read(struct tsn_window_view *view, const struct tsn_window_item *item,
                    struct tsn_reading *out)
{
    struct part part;
    part_of(view, item, &part);
    view->approximate = part.lower_cut || part.upper_cut;
    if (part.total.n == 0) {
        tsn_window_read_rows(view, item, out);
    } else {
        switch (item->agg) {
        case TSN_AGG_COUNT:
            tsn_window_read_rows(view, item, out);
            out->i += (int64_t)part.total.n;
            break;
        case TSN_AGG_SUM:
        case TSN_AGG_AVG:
        case TSN_AGG_STDDEV:
            if (item->is_double) {
                read_doubles(view, item, &part.total, out);
                view->approximate = true; /* in rounding */
            } else {
                read_integers(view, item, &part.total, out);
            }
            break;
        case TSN_AGG_MIN:
        case TSN_AGG_MAX:
            read_extreme(view, item, &part.total, out);
            break;
        case TSN_AGG_DISTINCT:
            read_distinct(view, item, &part, out);
            view->approximate = true;
            break;
        case TSN_AGG_FIRST:
            out->state = TSN_STATE_VALUE;
            out->i = (int64_t)part.total.word;
            break;
        case TSN_AGG_LAST:
        case TSN_AGG_TIME_SINCE:
            tsn_window_read_rows(view, item, out);
            if (out->state != TSN_STATE_VALUE) {
                out->state = TSN_STATE_VALUE;
                out->i = item->agg == TSN_AGG_LAST
                             ? (int64_t)part.total.word
                             : tsn_window_minus(view->time_ms, part.total.last_ms);
            }
            break;
        case TSN_AGG_SET:
        case TSN_AGGS:
            TSN_MUST(!"a set has no panes");
        }
    }
    if (item->agg == TSN_AGG_LAST || item->agg == TSN_AGG_TIME_SINCE) {
        view->approximate = part.upper_cut; /* the newest row's time is known */
    } else if (item->agg == TSN_AGG_FIRST && part.total.n) {
        view->approximate = part.lower_cut;
    }
    if (view->layout->counts) {
        view->layout->counts->approximate += view->approximate;
    }
}
