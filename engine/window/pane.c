/* Pane: how rows come into panes, and panes grow old. See pane.h. */
#include "engine/window/pane.h"

/* ---- slots ------------------------------------------------------------------------------ */

static bool more_is_wide(const struct tsn_window_item *item)
{
    return item->agg == TSN_AGG_STDDEV && !item->is_double;
}

size_t tsn_pane_slot_bytes(const struct tsn_window_item *item)
{
    const size_t head = offsetof(struct tsn_pane_slot, more);
    switch (item->agg) {
    case TSN_AGG_SUM:
    case TSN_AGG_AVG:
    case TSN_AGG_STDDEV:
        return more_is_wide(item) ? sizeof(struct tsn_pane_slot) : head + 16;
    case TSN_AGG_DISTINCT:
        return head + TSN_SKETCH_PLACES;
    case TSN_AGG_COUNT:
    case TSN_AGG_MIN:
    case TSN_AGG_MAX:
    case TSN_AGG_FIRST:
    case TSN_AGG_LAST:
    case TSN_AGG_TIME_SINCE:
        return head;
    case TSN_AGG_SET: /* bounded by itself: thin.c */
    case TSN_AGGS:
        break;
    }
    return 0;
}

static bool same_slot(const struct tsn_window_item *a, const struct tsn_window_item *b)
{
    return a->agg == b->agg && a->word == b->word && a->need == b->need &&
           a->is_double == b->is_double;
}

void tsn_pane_arrange(struct tsn_window_layout *layout)
{
    size_t at = (sizeof(struct tsn_pane) + 15) & ~(size_t)15;
    for (unsigned i = 0; i < layout->n_items; i++) {
        struct tsn_window_item *item = &layout->items[i];
        unsigned k = 0;
        while (k < i && !same_slot(&layout->items[k], item)) {
            k++;
        }
        item->pane_at = k < i ? layout->items[k].pane_at : (uint32_t)at;
        item->pane_own = k == i;
        at += k < i ? 0 : tsn_pane_slot_bytes(item);
    }
    layout->pane_bytes = (uint32_t)at;
    layout->rows_max = layout->rows_max ? layout->rows_max : UINT32_MAX;
}

static double as_double(uint64_t word)
{
    double d;
    memcpy(&d, &word, sizeof d);
    return d;
}

/* Is b further out than a, which came earlier? A NaN is only kept for want of others. */
static bool extreme_moves(const struct tsn_window_item *item, uint64_t a, uint64_t b)
{
    if (tsn_total_is_nan(item, a) || tsn_total_is_nan(item, b)) {
        return tsn_total_is_nan(item, a) && !tsn_total_is_nan(item, b);
    }
    bool is_max = item->agg == TSN_AGG_MAX;
    return tsn_extremes_order(b, item->is_double, is_max) <
           tsn_extremes_order(a, item->is_double, is_max);
}

static void squares_add(struct tsn_pane_slot *slot, unsigned __int128 squares)
{
    slot->more.spread.squares_over +=
        __builtin_add_overflow(slot->more.spread.squares, squares, &slot->more.spread.squares);
}

/* Chan, Golub, LeVeque: Updating formulae and a pairwise algorithm for computing sample
 * variances, 1979. n: rows of the slot so far. */
static void drift_join(struct tsn_pane_slot *slot, uint64_t n, double mean, double squares,
                       uint64_t n_more)
{
    double all = (double)n + (double)n_more;
    double off = mean - slot->more.drift.mean;
    slot->more.drift.squares += squares + off * off * ((double)n * (double)n_more / all);
    slot->more.drift.mean += off * ((double)n_more / all);
}

static void word_take(const struct tsn_window_item *item, struct tsn_pane_slot *slot,
                      struct tsn_pool *pool, uint64_t word)
{
    if (item->kind == TSN_WINDOW_TEXT) {
        tsn_text_free(pool, slot->n ? slot->word : 0);
        word = tsn_text_copy(pool, word);
    }
    slot->word = word;
}

static void slot_add(const struct tsn_window_item *item, struct tsn_pane_slot *slot,
                     struct tsn_pool *pool, const uint64_t *row)
{
    tsn_event_ms time_ms = (tsn_event_ms)row[0];
    uint64_t word = row[item->word];
    bool is_new = slot->n == 0;
    switch (item->agg) {
    case TSN_AGG_SUM:
    case TSN_AGG_AVG:
        if (item->is_double) {
            slot->more.total += as_double(word);
        } else {
            slot->more.sum += (int64_t)word;
        }
        break;
    case TSN_AGG_STDDEV:
        if (item->is_double) {
            drift_join(slot, slot->n, as_double(word), 0.0, 1);
        } else {
            __int128 x = (int64_t)word;
            slot->more.spread.sum += x;
            squares_add(slot, (unsigned __int128)(x * x));
        }
        break;
    case TSN_AGG_MIN:
    case TSN_AGG_MAX:
        slot->word = is_new || extreme_moves(item, slot->word, word) ? word : slot->word;
        break;
    case TSN_AGG_DISTINCT:
        tsn_sketch_add(tsn_pane_ranks(slot), word);
        break;
    case TSN_AGG_FIRST:
        if (is_new || time_ms < slot->first_ms) {
            word_take(item, slot, pool, word);
        }
        break;
    case TSN_AGG_LAST:
        if (is_new || time_ms >= slot->last_ms) {
            word_take(item, slot, pool, word);
        }
        break;
    case TSN_AGG_COUNT:
    case TSN_AGG_TIME_SINCE:
    case TSN_AGG_SET:
    case TSN_AGGS:
        break;
    }
    slot->first_ms = is_new || time_ms < slot->first_ms ? time_ms : slot->first_ms;
    slot->last_ms = is_new || time_ms > slot->last_ms ? time_ms : slot->last_ms;
    slot->n++;
}

void tsn_pane_slot_join(const struct tsn_window_item *item, struct tsn_pane_slot *into,
                        const struct tsn_pane_slot *from)
{
    if (from->n == 0) {
        return;
    }
    if (into->n == 0) {
        size_t bytes = item->agg == TSN_AGG_DISTINCT ? offsetof(struct tsn_pane_slot, more)
                                                     : tsn_pane_slot_bytes(item);
        memcpy(into, from, bytes);
        return;
    }
    switch (item->agg) {
    case TSN_AGG_SUM:
    case TSN_AGG_AVG:
        if (item->is_double) {
            into->more.total += from->more.total;
        } else {
            into->more.sum += from->more.sum;
        }
        break;
    case TSN_AGG_STDDEV:
        if (item->is_double) {
            drift_join(into, into->n, from->more.drift.mean, from->more.drift.squares, from->n);
        } else {
            into->more.spread.sum += from->more.spread.sum;
            into->more.spread.squares_over += from->more.spread.squares_over;
            squares_add(into, from->more.spread.squares);
        }
        break;
    case TSN_AGG_MIN:
    case TSN_AGG_MAX:
        into->word = extreme_moves(item, into->word, from->word) ? from->word : into->word;
        break;
    case TSN_AGG_LAST:
        into->word = from->word;
        break;
    case TSN_AGG_DISTINCT:
    case TSN_AGG_FIRST:
    case TSN_AGG_COUNT:
    case TSN_AGG_TIME_SINCE:
    case TSN_AGG_SET:
    case TSN_AGGS:
        break;
    }
    into->last_ms = from->last_ms;
    into->n += from->n;
}

/* ---- panes ------------------------------------------------------------------------------- */

static void pane_free(const struct tsn_window_layout *layout, struct tsn_pool *pool,
                      struct tsn_pane *pane)
{
    for (unsigned i = 0; layout->n_texts && i < layout->n_items; i++) {
        const struct tsn_window_item *item = &layout->items[i];
        const struct tsn_pane_slot *slot = tsn_pane_slot(pane, item);
        if (item->pane_own && item->kind == TSN_WINDOW_TEXT && slot->n) {
            tsn_text_free(pool, slot->word);
        }
    }
    tsn_pool_free(pool, pane, layout->pane_bytes);
}

/* The later pane's rows join; it is freed. */
static void pane_join(const struct tsn_window_layout *layout, struct tsn_pool *pool,
                      struct tsn_pane *into, struct tsn_pane *from)
{
    for (unsigned i = 0; i < layout->n_items; i++) {
        const struct tsn_window_item *item = &layout->items[i];
        struct tsn_pane_slot *to = tsn_pane_slot(into, item);
        struct tsn_pane_slot *slot = tsn_pane_slot(from, item);
        if (!item->pane_own) {
            continue;
        }
        uint64_t before = to->n ? to->word : 0;
        if (item->agg == TSN_AGG_DISTINCT) {
            tsn_sketch_unite(tsn_pane_ranks(to), tsn_pane_ranks(slot));
        }
        tsn_pane_slot_join(item, to, slot);
        if (item->kind == TSN_WINDOW_TEXT && slot->n) { /* one of the two texts is kept */
            uint64_t lost = to->word == slot->word ? before : slot->word;
            slot->word = lost;
            slot->n = lost != 0;
        }
    }
    into->last_ms = from->last_ms;
    into->n += from->n;
    pane_free(layout, pool, from);
}

/* The start of the span of a level that holds t: floored, below zero too. */
static tsn_event_ms span_start(tsn_event_ms t, unsigned level)
{
    return (tsn_event_ms)((uint64_t)t & ~((UINT64_C(1) << level) - 1));
}

static tsn_event_ms span_end(tsn_event_ms start_ms, unsigned level)
{
    return (tsn_event_ms)((uint64_t)start_ms | ((UINT64_C(1) << level) - 1));
}

static bool pane_spans(const struct tsn_pane *pane, tsn_event_ms t)
{
    return span_start(t, (unsigned)pane->level) == pane->start_ms;
}

/* The widest span that may hold t when the newest row is of newest_ms. */
static unsigned level_of(tsn_event_ms t, unsigned level, tsn_event_ms newest_ms)
{
    while (level < TSN_PANE_LEVEL_MAX) {
        tsn_event_ms end_ms = span_end(span_start(t, level + 1), level + 1);
        if ((__int128)newest_ms - end_ms < (__int128)TSN_PANE_PART << (level + 1)) {
            break;
        }
        level++;
    }
    return level;
}

static void front_drop(struct tsn_panes *panes, const struct tsn_window_layout *layout,
                       struct tsn_pool *pool, tsn_event_ms dead_ms)
{
    uint32_t n = 0;
    while (n < panes->n && panes->at[n]->last_ms <= dead_ms) {
        pane_free(layout, pool, panes->at[n++]);
    }
    if (n) {
        panes->n -= n;
        panes->version++;
        memmove(panes->at, panes->at + n, panes->n * sizeof(struct tsn_pane *));
    }
}

/* Panes that have grown old enough unite. */
static void settle(struct tsn_panes *panes, const struct tsn_window_layout *layout,
                   struct tsn_pool *pool, tsn_event_ms newest_ms)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < panes->n; i++) {
        struct tsn_pane *pane = panes->at[i];
        if (n && pane_spans(panes->at[n - 1], pane->start_ms)) {
            pane_join(layout, pool, panes->at[n - 1], pane);
            continue;
        }
        unsigned level = level_of(pane->start_ms, (unsigned)pane->level, newest_ms);
        pane->start_ms = span_start(pane->start_ms, level);
        pane->level = level;
        panes->at[n++] = pane;
    }
    panes->version += n != panes->n;
    panes->n = n;
}

static struct tsn_pane *pane_put(struct tsn_panes *panes, const struct tsn_window_layout *layout,
                                 struct tsn_pool *pool, uint32_t i, tsn_event_ms start_ms,
                                 unsigned level)
{
    if (panes->n == panes->cap) {
        uint32_t cap = panes->cap ? panes->cap * 2 : 16;
        struct tsn_pane **at = tsn_pool_alloc(pool, cap * sizeof(struct tsn_pane *));
        if (panes->cap) {
            memcpy(at, panes->at, panes->n * sizeof(struct tsn_pane *));
            tsn_pool_free(pool, panes->at, panes->cap * sizeof(struct tsn_pane *));
        }
        panes->at = at;
        panes->cap = cap;
    }
    struct tsn_pane *pane = tsn_pool_alloc(pool, layout->pane_bytes);
    memset(pane, 0, layout->pane_bytes);
    pane->start_ms = start_ms;
    pane->level = level;
    memmove(panes->at + i + 1, panes->at + i, (panes->n - i) * sizeof(struct tsn_pane *));
    panes->at[i] = pane;
    panes->n++;
    panes->version++;
    return pane;
}

struct tsn_pane *tsn_panes_add(struct tsn_panes *panes, const struct tsn_window_layout *layout,
                               struct tsn_pool *pool, tsn_event_ms start_ms, unsigned level)
{
    return pane_put(panes, layout, pool, panes->n, start_ms, level);
}

bool tsn_pane_may_follow(const struct tsn_panes *panes, tsn_event_ms start_ms, unsigned level,
                         tsn_event_ms last_ms)
{
    const struct tsn_pane *before = panes->n ? panes->at[panes->n - 1] : NULL;
    return span_start(start_ms, level) == start_ms && last_ms >= start_ms &&
           last_ms <= span_end(start_ms, level) &&
           (!before || span_end(before->start_ms, (unsigned)before->level) < start_ms);
}

/* Index behind the last pane that starts at or before t. */
static uint32_t pane_after(const struct tsn_panes *panes, tsn_event_ms t)
{
    uint32_t lo = 0;
    uint32_t hi = panes->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (panes->at[mid]->start_ms <= t) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

/* The pane for a row of time t, made if need be. Settles before it makes one, because
 * only then spans cannot overlap. */
static struct tsn_pane *pane_for(struct tsn_panes *panes, const struct tsn_window_layout *layout,
                                 struct tsn_pool *pool, tsn_event_ms t, tsn_event_ms newest_ms)
{
    uint32_t i = pane_after(panes, t);
    if (i && pane_spans(panes->at[i - 1], t)) {
        return panes->at[i - 1];
    }
    settle(panes, layout, pool, newest_ms);
    i = pane_after(panes, t);
    if (i && pane_spans(panes->at[i - 1], t)) {
        return panes->at[i - 1];
    }
    unsigned level = level_of(t, 0, newest_ms);
    return pane_put(panes, layout, pool, i, span_start(t, level), level);
}

static void row_add(struct tsn_panes *panes, const struct tsn_window_layout *layout,
                    struct tsn_pool *pool, const uint64_t *row, tsn_event_ms newest_ms)
{
    tsn_event_ms time_ms = (tsn_event_ms)row[0];
    struct tsn_pane *pane = pane_for(panes, layout, pool, time_ms, newest_ms);
    for (unsigned i = 0; i < layout->n_items; i++) {
        const struct tsn_window_item *item = &layout->items[i];
        if (item->pane_own && tsn_window_counts(item, row)) {
            slot_add(item, tsn_pane_slot(pane, item), pool, row);
        }
    }
    pane->last_ms = pane->n == 0 || time_ms > pane->last_ms ? time_ms : pane->last_ms;
    pane->n++;
    panes->version++;
    if (layout->counts) {
        layout->counts->coalesced++;
    }
}

/* ---- cells ------------------------------------------------------------------------------- */

struct tsn_panes *tsn_panes_make(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                                 struct tsn_pool *pool)
{
    if (!cell->runs) {
        tsn_runs_new(cell, layout, pool);
    }
    if (!cell->runs->panes) {
        struct tsn_panes *panes = tsn_pool_alloc(pool, sizeof *panes);
        *panes = (struct tsn_panes){.last_ms = INT64_MIN};
        cell->runs->panes = panes;
    }
    return cell->runs->panes;
}

/* Sketches of reads in order: what they have taken in up to `first` is in panes now. */
static void caches_pass(struct tsn_panes *panes, const struct tsn_window_layout *layout,
                        uint32_t first)
{
    for (unsigned i = 0; panes->caches && i < layout->n_items; i++) {
        struct tsn_pane_cache *cache = &panes->caches[i];
        if (cache->with_rows && (int32_t)(cache->lead - first) < 0) {
            cache->sketched = cache->with_rows = false;
        }
    }
}

void tsn_panes_take(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                    struct tsn_pool *pool, uint32_t n, tsn_event_ms dead_ms)
{
    struct tsn_panes *panes = tsn_panes_make(cell, layout, pool);
    tsn_event_ms newest_ms = tsn_cell_newest(cell, layout);
    front_drop(panes, layout, pool, dead_ms);
    settle(panes, layout, pool, newest_ms);
    for (uint32_t i = 0; i < n; i++) {
        row_add(panes, layout, pool, tsn_cell_row(cell, layout, i), newest_ms);
    }
    panes->last_ms = (tsn_event_ms)tsn_cell_row(cell, layout, n - 1)[0];
    caches_pass(panes, layout, cell->runs->first + n);
}

void tsn_panes_late(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                    struct tsn_pool *pool, const uint64_t *row, tsn_event_ms dead_ms)
{
    struct tsn_panes *panes = cell->runs->panes;
    front_drop(panes, layout, pool, dead_ms);
    row_add(panes, layout, pool, row, tsn_cell_newest(cell, layout));
    panes->late++;
}

void tsn_panes_wrote(struct tsn_cell *cell, const struct tsn_window_layout *layout, uint32_t i)
{
    struct tsn_panes *panes = cell->runs->panes;
    const uint64_t *row = tsn_cell_row(cell, layout, i);
    for (unsigned k = 0; panes->caches && k < layout->n_items; k++) {
        struct tsn_pane_cache *cache = &panes->caches[k];
        if (cache->with_rows && i < cache->lead - cell->runs->first) {
            cache->lead++;
            if (tsn_window_counts(&layout->items[k], row)) {
                tsn_sketch_sum_add(cache->sketch, row[layout->items[k].word]);
            }
        }
    }
}

void tsn_panes_expire(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                      struct tsn_pool *pool, tsn_event_ms dead_ms)
{
    front_drop(cell->runs->panes, layout, pool, dead_ms);
    if (cell->runs->panes->n == 0) {
        tsn_panes_free(cell, layout, pool);
    }
}

void tsn_panes_free(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                    struct tsn_pool *pool)
{
    struct tsn_panes *panes = cell->runs->panes;
    for (uint32_t i = 0; i < panes->n; i++) {
        pane_free(layout, pool, panes->at[i]);
    }
    for (unsigned i = 0; panes->caches && i < layout->n_items; i++) {
        if (panes->caches[i].sketch) {
            tsn_pool_free(pool, panes->caches[i].sketch, sizeof *panes->caches[i].sketch);
        }
    }
    if (panes->caches) {
        tsn_pool_free(pool, panes->caches, layout->n_items * sizeof *panes->caches);
    }
    if (panes->cap) {
        tsn_pool_free(pool, panes->at, panes->cap * sizeof(struct tsn_pane *));
    }
    tsn_pool_free(pool, panes, sizeof *panes);
    cell->runs->panes = NULL;
}

void tsn_panes_carry(const struct tsn_panes *from, const struct tsn_window_layout *from_layout,
                     struct tsn_cell *to, const struct tsn_window_layout *layout,
                     struct tsn_pool *pool, const uint16_t *items)
{
    struct tsn_panes *panes = tsn_panes_make(to, layout, pool);
    panes->last_ms = from->last_ms;
    for (uint32_t p = 0; p < from->n; p++) {
        struct tsn_pane *old = from->at[p];
        struct tsn_pane *pane =
            tsn_panes_add(panes, layout, pool, old->start_ms, (unsigned)old->level);
        pane->last_ms = old->last_ms;
        pane->n = old->n;
        for (unsigned i = 0; i < layout->n_items; i++) {
            const struct tsn_window_item *item = &layout->items[i];
            const struct tsn_pane_slot *slot = tsn_pane_slot(old, &from_layout->items[items[i]]);
            struct tsn_pane_slot *copy = tsn_pane_slot(pane, item);
            if (item->pane_own && slot->n) {
                memcpy(copy, slot, tsn_pane_slot_bytes(item));
                if (item->kind == TSN_WINDOW_TEXT) {
                    copy->word = tsn_text_copy(pool, slot->word);
                }
            }
        }
    }
}
