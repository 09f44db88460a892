/* Thin: rows of a set's log that can never matter again.
 *
 * A set is read as its newest `max` members, each by its latest row. No later read ends
 * before `settled_ms`, so of the rows up to it a member needs its latest only, and of
 * the members by those rows max + 1 are enough: whoever comes behind them is handed out
 * by nobody, and one too many says that there were more. Rows of the batch under way do
 * not count and are not dropped: an earlier row of it may still look at the log as it
 * was without them. Called when a log is full, before it grows: O(rows), so O(1)
 * amortised. Together with `max` this bounds a hot key to max + 1 rows and those of the
 * lateness.
 */
#include <string.h>

#include "engine/window/tally.h"
#include "engine/window/window.h"

/* Is the settled row the latest of one of the newest max + 1 members? */
static bool row_matters(const struct tsn_window_item *item, struct tsn_tally *seen,
                        struct tsn_pool *pool, const uint64_t *row)
{
    if (!tsn_window_counts(item, row)) {
        return false;
    }
    uint32_t n = seen->n;
    tsn_tally_add(seen, pool, row[item->word]);
    return seen->n > n && seen->n <= (uint32_t)item->max + 1;
}

void tsn_cell_thin(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                   struct tsn_pool *pool, tsn_event_ms settled_ms, uint64_t settled_order)
{
    uint32_t to = tsn_cell_after(cell, layout, settled_ms);
    uint32_t kept = to; /* rows [kept, to) stay */
    struct tsn_tally seen = {0};
    if (to == 0) {
        return;
    }
    if (cell->runs) {
        tsn_runs_free(cell, layout, pool);
    }
    uint64_t *rows = cell->words + (size_t)cell->head * layout->stride;
    for (uint32_t i = to; i-- > 0;) {
        uint64_t *row = rows + (size_t)i * layout->stride;
        if (row[layout->order] <= settled_order &&
            !row_matters(&layout->items[0], &seen, pool, row)) {
            tsn_cell_row_free(layout, pool, row);
            continue;
        }
        kept--;
        memmove(rows + (size_t)kept * layout->stride, row, layout->stride * sizeof *row);
    }
    tsn_tally_free(&seen, pool);
    cell->head += kept;
    cell->n -= kept;
    if (cell->n > TSN_WINDOW_SCAN_MAX) {
        tsn_runs_new(cell, layout, pool);
    }
}
