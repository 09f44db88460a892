/* Cell: the log of rows itself. See window.h. */
#include <string.h>

#include "engine/window/pane.h"
#include "rules/must/must.h"

enum { ROWS_FIRST = 3 };

static uint64_t *row_at(struct tsn_cell *cell, const struct tsn_window_layout *layout, uint32_t i)
{
    return cell->words + (size_t)(cell->head + i) * layout->stride;
}

static struct tsn_cell *block_new(const struct tsn_window_layout *layout, struct tsn_pool *pool,
                                  uint64_t rows)
{
    size_t row_bytes = layout->stride * sizeof(uint64_t);
    size_t bytes = tsn_pool_size(sizeof(struct tsn_cell) + rows * row_bytes);
    struct tsn_cell *cell = tsn_pool_alloc(pool, bytes);
    uint64_t cap = (bytes - sizeof *cell) / row_bytes;
    TSN_MUST(cap < UINT32_MAX / 2 && bytes / 16 < UINT32_MAX);
    *cell = (struct tsn_cell){.cap = (uint32_t)cap, .units = (uint32_t)(bytes / 16)};
    return cell;
}

static void block_free(struct tsn_cell *cell, struct tsn_pool *pool)
{
    tsn_pool_free(pool, cell, (size_t)cell->units * 16);
}

struct tsn_cell *tsn_cell_new(const struct tsn_window_layout *layout, struct tsn_pool *pool)
{
    return block_new(layout, pool, ROWS_FIRST);
}

struct tsn_cell *tsn_cell_for(const struct tsn_window_layout *layout, struct tsn_pool *pool,
                              uint64_t n)
{
    return block_new(layout, pool, n < ROWS_FIRST ? ROWS_FIRST : n + 1);
}

void tsn_cell_filled(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                     struct tsn_pool *pool)
{
    if (cell->n > TSN_WINDOW_SCAN_MAX) {
        tsn_runs_new(cell, layout, pool);
    }
}

uint64_t tsn_text_make(struct tsn_pool *pool, const void *p, uint32_t len)
{
    struct tsn_text *text = tsn_pool_alloc(pool, sizeof *text + len);
    text->len = len;
    if (len) {
        memcpy(text->p, p, len);
    }
    return (uint64_t)(uintptr_t)text;
}

uint64_t tsn_text_copy(struct tsn_pool *pool, uint64_t word)
{
    const struct tsn_text *text = (const struct tsn_text *)(uintptr_t)word;
    return text ? tsn_text_make(pool, text->p, text->len) : 0;
}

void tsn_text_free(struct tsn_pool *pool, uint64_t word)
{
    struct tsn_text *text = (struct tsn_text *)(uintptr_t)word;
    if (text) {
        tsn_pool_free(pool, text, sizeof *text + text->len);
    }
}

void tsn_cell_row_free(const struct tsn_window_layout *layout, struct tsn_pool *pool,
                       const uint64_t *row)
{
    for (int k = 0; k < layout->n_texts; k++) {
        tsn_text_free(pool, row[layout->texts[k]]);
    }
}

static void texts_free(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                       struct tsn_pool *pool, uint32_t n)
{
    for (uint32_t i = 0; layout->n_texts && i < n; i++) {
        tsn_cell_row_free(layout, pool, row_at(cell, layout, i));
    }
}

void tsn_cell_free(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                   struct tsn_pool *pool)
{
    if (!cell) {
        return;
    }
    texts_free(cell, layout, pool, cell->n);
    if (tsn_cell_panes(cell)) {
        tsn_panes_free(cell, layout, pool);
    }
    if (cell->runs) {
        tsn_runs_free(cell, layout, pool);
    }
    block_free(cell, pool);
}

uint32_t tsn_cell_after(const struct tsn_cell *cell, const struct tsn_window_layout *layout,
                        tsn_event_ms t)
{
    uint32_t hi = cell->n;
    if (hi == 0 || (tsn_event_ms)tsn_cell_row(cell, layout, hi - 1)[0] <= t) {
        return hi;
    }
    if ((tsn_event_ms)tsn_cell_row(cell, layout, 0)[0] > t) {
        return 0;
    }
    if (hi <= TSN_WINDOW_SCAN_MAX) {
        /* Counting all has no branch to guess wrong; a search of a dozen has three. */
        const uint64_t *row = tsn_cell_row(cell, layout, 0);
        uint32_t n = 0;
        for (uint32_t i = 0; i < hi; i++, row += layout->stride) {
            n += (tsn_event_ms)row[0] <= t;
        }
        return n;
    }
    /* Most questions are about the newest few rows: gallop from the end. */
    uint32_t step = 1;
    uint32_t lo = 0;
    while (hi > 0) {
        uint32_t probe = hi > step ? hi - step : 0;
        if ((tsn_event_ms)tsn_cell_row(cell, layout, probe)[0] <= t) {
            lo = probe + 1;
            break;
        }
        hi = probe;
        step *= 2;
    }
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if ((tsn_event_ms)tsn_cell_row(cell, layout, mid)[0] <= t) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return hi;
}

static void drop_first(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                       struct tsn_pool *pool, uint32_t n)
{
    if (n == 0) {
        return;
    }
    if (cell->runs) {
        tsn_runs_trim(cell, layout, pool, n);
    }
    texts_free(cell, layout, pool, n);
    cell->head += n;
    cell->n -= n;
}

static void move_to(struct tsn_cell **cell, const struct tsn_window_layout *layout,
                    struct tsn_pool *pool, uint64_t rows)
{
    struct tsn_cell *old = *cell;
    struct tsn_cell *to = block_new(layout, pool, rows);
    to->n = old->n;
    to->runs = old->runs;
    memcpy(to->words, row_at(old, layout, 0), (size_t)old->n * layout->stride * sizeof(uint64_t));
    block_free(old, pool);
    *cell = to;
}

/* A place behind the last row: dead rows go first, then rows move to the front if
 * a quarter is free there, then the block grows by half. */
static void room_make(struct tsn_cell **cell, const struct tsn_window_layout *layout,
                      struct tsn_pool *pool, tsn_event_ms dead_ms)
{
    struct tsn_cell *at = *cell;
    drop_first(at, layout, pool, tsn_cell_after(at, layout, dead_ms));
    if (at->head > at->cap / 4) {
        memmove(at->words, row_at(at, layout, 0),
                (size_t)at->n * layout->stride * sizeof(uint64_t));
        at->head = 0;
        return;
    }
    move_to(cell, layout, pool, (uint64_t)at->n + at->n / 2 + 2);
}

static inline void room_for_one(struct tsn_cell **cell, const struct tsn_window_layout *layout,
                                struct tsn_pool *pool, tsn_event_ms dead_ms)
{
    if ((*cell)->head + (*cell)->n == (*cell)->cap) {
        room_make(cell, layout, pool, dead_ms);
    }
}

void tsn_cell_append(struct tsn_cell **cell, const struct tsn_window_layout *layout,
                     struct tsn_pool *pool, const uint64_t *row, tsn_event_ms dead_ms)
{
    room_for_one(cell, layout, pool, dead_ms);
    struct tsn_cell *at = *cell;
    uint64_t *to = row_at(at, layout, at->n);
    for (unsigned w = 0; w < layout->stride; w++) {
        to[w] = row[w];
    }
    at->n++;
    if (!at->runs && at->n > TSN_WINDOW_SCAN_MAX) {
        tsn_runs_new(at, layout, pool);
    }
}

/* The log holds more rows than it may. Dead ones do not count: whether they are still
 * here depends on the room that there was. Rows of one time go together: totals let rows
 * go by time. */
static void rows_coalesce(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                          struct tsn_pool *pool, tsn_event_ms dead_ms)
{
    drop_first(cell, layout, pool, tsn_cell_after(cell, layout, dead_ms));
    if (cell->n > layout->rows_max) {
        uint32_t n = cell->n - layout->rows_max + layout->rows_max / TSN_PANE_CHUNK_PART;
        n = tsn_cell_after(cell, layout, (tsn_event_ms)row_at(cell, layout, n - 1)[0]);
        tsn_panes_take(cell, layout, pool, n, dead_ms);
        drop_first(cell, layout, pool, n);
    }
}

void tsn_cell_write(struct tsn_cell **cell, const struct tsn_window_layout *layout,
                    struct tsn_pool *pool, const uint64_t *row, tsn_event_ms dead_ms)
{
    struct tsn_panes *panes = tsn_cell_panes(*cell);
    if (panes && (tsn_event_ms)row[0] < panes->last_ms) {
        tsn_panes_late(*cell, layout, pool, row, dead_ms);
        tsn_cell_row_free(layout, pool, row);
        return;
    }
    room_for_one(cell, layout, pool, dead_ms);
    struct tsn_cell *at = *cell;
    size_t row_bytes = layout->stride * sizeof(uint64_t);
    uint32_t i = at->n;
    if (i > 0 && (tsn_event_ms)row_at(at, layout, i - 1)[0] > (tsn_event_ms)row[0]) {
        i = tsn_cell_after(at, layout, (tsn_event_ms)row[0]);
        memmove(row_at(at, layout, i + 1), row_at(at, layout, i), (at->n - i) * row_bytes);
    }
    memcpy(row_at(at, layout, i), row, row_bytes);
    at->n++;
    if (at->runs) {
        tsn_runs_wrote(at, layout, pool, i);
        if (panes && i + 1 < at->n) {
            tsn_panes_wrote(at, layout, i);
        }
    } else if (at->n > TSN_WINDOW_SCAN_MAX) {
        tsn_runs_new(at, layout, pool);
    }
    if (at->n > layout->rows_max) {
        rows_coalesce(at, layout, pool, dead_ms);
    }
}

void tsn_cell_expire(struct tsn_cell **cell, const struct tsn_window_layout *layout,
                     struct tsn_pool *pool, tsn_event_ms dead_ms)
{
    struct tsn_cell *at = *cell;
    drop_first(at, layout, pool, tsn_cell_after(at, layout, dead_ms));
    if (tsn_cell_panes(at)) {
        tsn_panes_expire(at, layout, pool, dead_ms);
    }
    if (at->runs && !at->runs->panes && at->n < TSN_WINDOW_SCAN_MAX / 2) {
        tsn_runs_free(at, layout, pool);
    }
    if (at->n < at->cap / 4 && at->cap > 2 * ROWS_FIRST) {
        move_to(cell, layout, pool, (uint64_t)at->n + at->n / 2 + 2);
    }
}

void tsn_window_look(struct tsn_window_view *view, struct tsn_cell *cell,
                     const struct tsn_window_layout *layout, struct tsn_pool *pool, unsigned lane,
                     tsn_event_ms asof_ms, tsn_event_ms time_ms)
{
    view->cell = cell;
    view->layout = layout;
    view->pool = pool;
    view->time_ms = time_ms;
    view->to_ms = tsn_window_minus(asof_ms, layout->lanes[lane].delay_ms);
    view->totals = cell->runs && tsn_runs_look(view, lane);
    if (!view->totals) {
        tsn_event_ms out_ms = tsn_window_minus(view->to_ms, layout->lanes[lane].window_ms);
        view->hi = tsn_cell_after(cell, layout, view->to_ms);
        view->lo = tsn_cell_after(cell, layout, out_ms);
    }
    view->panes = NULL;
    if (tsn_cell_panes(cell)) {
        tsn_panes_look(view, lane);
    }
}

void tsn_window_read_total(const struct tsn_window_view *view, const struct tsn_window_item *item,
                           struct tsn_reading *out)
{
    if (view->cell->runs && !item->scanned &&
        (view->totals ? tsn_runs_total(view, item, out) : tsn_runs_late(view, item, out))) {
        return;
    }
    tsn_window_scan(view->cell, view->layout, view->pool, item, view->lo, view->hi, view->time_ms,
                    out);
}
