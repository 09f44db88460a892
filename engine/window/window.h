/* Window: the rows of one entity in one stream, and what is read off them.
 *
 * A stream is a set of features that the same events write under the same
 * fields. Their rows are kept once, in time order, however many windows and
 * aggregates look at them: a row is its time, a word that says which filters it
 * passed and which values it has, and the values, 8 bytes each.
 *
 * A small log is scanned: a dozen rows are one or two cache lines, and most
 * entities never have more. A large one gets running totals (runs.c), one lane
 * for each interval (window, delay, clock), that advance as reads advance, so
 * that a read in order costs O(1) amortised. A read behind its lane scans. Both
 * give the same bits; a test compares them.
 *
 * Callers: engine/feature walks batches over cells, engine/snapshot copies them.
 */
#ifndef TSN_ENGINE_WINDOW_WINDOW_H
#define TSN_ENGINE_WINDOW_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/entity/pool.h"
#include "rules/program/program.h"

/* A log longer than this gets running totals. Measured with bench_windows. */
enum { TSN_WINDOW_SCAN_MAX = 16 };

/* How a value is kept in its word. */
enum tsn_window_kind {
    TSN_WINDOW_INTEGER, /* int, money, time, duration, bool, enum code */
    TSN_WINDOW_DOUBLE,
    TSN_WINDOW_HASH, /* of a string: enough to tell values apart */
    TSN_WINDOW_TEXT, /* struct tsn_text *, owned by the row */
};

struct tsn_text {
    uint32_t len;
    char p[];
};

/* One feature of the stream. */
struct tsn_window_item {
    enum tsn_agg agg;
    enum tsn_window_kind kind;
    uint8_t lane;
    uint8_t word; /* of the value in a row; 0 when the aggregate has none */
    bool is_double;
    bool plain;        /* read off the lane's edges: no total to keep */
    bool edge;         /* its total names a row; by tsn_window_arrange */
    bool scanned;      /* sums of doubles: added up on every read, in order */
    uint8_t text;      /* set of strings: the word of the member itself; 0: it is `word` */
    uint16_t max;      /* set: members at most */
    uint16_t total_at; /* of its running total; by tsn_window_arrange */
    uint32_t pane_at;  /* of its slot in a pane; by tsn_window_arrange */
    bool pane_own;     /* no item before it has the same slot */
    double unit;       /* 10^scale: what an average of money is divided by */
    uint64_t need;     /* bits a row must have to count */
};

/* An interval: (now - delay - window, now - delay]. */
struct tsn_window_lane {
    tsn_duration_ms window_ms;
    tsn_duration_ms delay_ms;
    bool seen;      /* now is the entity's newest time, not the event's */
    uint16_t first; /* its items are among those from here on ... */
    uint16_t n;     /* ... with others of the same interval: item->lane says whose */
    uint32_t kept;  /* which of them have a running total; by tsn_window_arrange */
    bool front;     /* one of them is of the lane's first row; likewise */
};

/* What the panes of all cells did, for metrics. */
struct tsn_window_counts {
    uint64_t coalesced;   /* rows that went into panes */
    uint64_t approximate; /* values read with an error */
};

struct tsn_window_layout {
    uint16_t n_items;
    uint8_t n_lanes;
    uint8_t stride; /* words of a row: time, bits if any, values */
    bool has_bits;
    uint8_t order; /* set: the word that says after which rows of the batch a row was
                      written; 0: none. Rows of a checkpoint have 0 in it: before all */
    uint8_t n_texts;
    uint8_t texts[62];       /* words that hold text */
    tsn_duration_ms keep_ms; /* largest window + delay */
    struct tsn_window_item *items;
    struct tsn_window_lane *lanes;
    uint32_t rows_max; /* more rows of a log coalesce into panes: pane.h; 0: none do */
    struct tsn_window_counts *counts; /* or NULL */
    /* By tsn_window_arrange: */
    uint32_t runs_bytes;
    uint32_t pane_bytes;
    uint32_t all_lanes; /* bits */
    bool in_order;      /* all lanes read as of the event's own time: see tsn_window_pass */
};

/* Fills what follows from items and lanes. A lane has at most 32 items. */
void tsn_window_arrange(struct tsn_window_layout *layout);

struct tsn_runs;

struct tsn_cell {
    uint32_t n;            /* rows */
    uint32_t head;         /* the first one's place */
    uint32_t cap;          /* places for rows */
    uint32_t units;        /* of 16 bytes in this block */
    struct tsn_runs *runs; /* running totals, or NULL */
    uint64_t words[];
};

struct tsn_reading {
    enum tsn_state state;
    union {
        int64_t i;
        double d;
        const struct tsn_text *text; /* until the next write */
    };
};

/* First row of a cell at or behind index i (0 .. n). */
static inline const uint64_t *tsn_cell_row(const struct tsn_cell *cell,
                                           const struct tsn_window_layout *layout, uint32_t i)
{
    return cell->words + (size_t)(cell->head + i) * layout->stride;
}

/* An empty cell. Freed with tsn_cell_free. */
struct tsn_cell *tsn_cell_new(const struct tsn_window_layout *layout, struct tsn_pool *pool);
/* A cell about to be filled from outside with n rows in time order: the caller writes
 * each behind the last one, as tsn_cell_write has them, and counts them in cell->n; then
 * says tsn_cell_filled. Room for one more is left. */
struct tsn_cell *tsn_cell_for(const struct tsn_window_layout *layout, struct tsn_pool *pool,
                              uint64_t n);
void tsn_cell_filled(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                     struct tsn_pool *pool);
void tsn_cell_free(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                   struct tsn_pool *pool);

/* The same rows and panes under a layout that differs in its lanes only: its totals begin
 * anew. O(totals of the cell) now, O(rows) at the next read. */
void tsn_cell_relane(struct tsn_cell *cell, const struct tsn_window_layout *from,
                     const struct tsn_window_layout *to, struct tsn_pool *pool);

/* Puts a row behind all rows with row[0] <= its time. `row` is layout->stride
 * words; texts in it become the cell's. Rows with time <= dead_ms may be dropped
 * when room is needed: no later read will look there. The cell may move. O(1)
 * amortised in order, O(rows behind) when late. */
void tsn_cell_write(struct tsn_cell **cell, const struct tsn_window_layout *layout,
                    struct tsn_pool *pool, const uint64_t *row, tsn_event_ms dead_ms);

/* Drops rows with time <= dead_ms, and memory no longer needed. */
void tsn_cell_expire(struct tsn_cell **cell, const struct tsn_window_layout *layout,
                     struct tsn_pool *pool, tsn_event_ms dead_ms);

/* A set's log without the rows that no later read can tell: see thin.c. Later reads end
 * at settled_ms or behind; rows up to settled_order are of earlier batches. */
void tsn_cell_thin(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                   struct tsn_pool *pool, tsn_event_ms settled_ms, uint64_t settled_order);

/* A cell as one lane sees it as of some time; its items are read off it. Several
 * items of a lane share the search for its edges. */
struct tsn_window_view {
    struct tsn_cell *cell;
    const struct tsn_window_layout *layout;
    struct tsn_pool *pool;
    tsn_event_ms to_ms;        /* asof - delay */
    tsn_event_ms time_ms;      /* the event's own, from which time_since counts */
    uint32_t lo, hi;           /* rows [lo, hi) are in it */
    bool totals;               /* running totals stand exactly here */
    struct tsn_panes *panes;   /* NULL: the interval reaches into no pane; else: */
    tsn_event_ms out_ms;       /* its lower edge */
    uint32_t pane_lo, pane_hi; /* the first panes with a row behind its edges */
    bool approximate;          /* the value read last may be off: docs/SEMANTICS.md */
};

/* asof_ms: the event's time, or the entity's newest. The view is void at the next
 * write to the cell. */
void tsn_window_look(struct tsn_window_view *view, struct tsn_cell *cell,
                     const struct tsn_window_layout *layout, struct tsn_pool *pool, unsigned lane,
                     tsn_event_ms asof_ms, tsn_event_ms time_ms);

/* The value of an item of the view's lane that is not plain. */
void tsn_window_read_total(const struct tsn_window_view *view, const struct tsn_window_item *item,
                           struct tsn_reading *out);
/* The value of an item over no rows. */
void tsn_window_empty(const struct tsn_window_item *item, struct tsn_reading *out);

/* One visit of a row to a cell, in the order of the semantics: read `before`, write,
 * read `after`. Some item is read. */
struct tsn_window_pass {
    tsn_event_ms time_ms;
    const uint64_t *row;  /* to be written, without text; NULL: only read */
    tsn_event_ms dead_ms; /* as tsn_cell_write has it */
    uint16_t n_before, n_after;
    const uint16_t *items; /* before, then after; items of a lane together */
    uint32_t lanes;        /* of these items: the others wait */
};

/* The whole visit at once, when no row and no read of the cell is newer: nearly
 * always. False, and nothing done, when one is:
 * then the parts above. out: [n_before + n_after]. */
bool tsn_window_pass(struct tsn_cell **cell, const struct tsn_window_layout *layout,
                     struct tsn_pool *pool, const struct tsn_window_pass *pass,
                     struct tsn_reading *out);

/* A visit that reads nothing: tsn_cell_write, quick where no row and no read is newer. */
void tsn_window_write(struct tsn_cell **cell, const struct tsn_window_layout *layout,
                      struct tsn_pool *pool, const uint64_t *row, tsn_event_ms dead_ms);

/* Asks for the memory of a visit to come, in three steps that each need what the one
 * before asked for, some rows apart: the newest rows and the totals, or all of a small
 * log; the rows that will leave the lanes; tallies, extremes and edges. The last two
 * are for cells with totals. row: as will be written, or NULL. */
void tsn_window_ahead(const struct tsn_cell *cell, const struct tsn_window_layout *layout);
/* The same for a visit that only writes: the one step. */
void tsn_window_ahead_write(const struct tsn_cell *cell, const struct tsn_window_layout *layout);
void tsn_window_ahead_rows(const struct tsn_cell *cell, const struct tsn_window_layout *layout,
                           uint32_t lanes, tsn_event_ms time_ms);
void tsn_window_ahead_totals(const struct tsn_cell *cell, const struct tsn_window_layout *layout,
                             uint32_t lanes, const uint64_t *row, tsn_event_ms time_ms);

/* ---- between the files of this room ---------------------------------------- */

/* Text of a row or a pane, as its word has it; 0 is none. */
uint64_t tsn_text_make(struct tsn_pool *pool, const void *p, uint32_t len);
uint64_t tsn_text_copy(struct tsn_pool *pool, uint64_t word);
void tsn_text_free(struct tsn_pool *pool, uint64_t word);

/* What a row owns. */
void tsn_cell_row_free(const struct tsn_window_layout *layout, struct tsn_pool *pool,
                       const uint64_t *row);

/* Rows [lo, hi) aggregated anew. */
void tsn_window_scan(const struct tsn_cell *cell, const struct tsn_window_layout *layout,
                     struct tsn_pool *pool, const struct tsn_window_item *item, uint32_t lo,
                     uint32_t hi, tsn_event_ms time_ms, struct tsn_reading *out);

/* Index of the first row with time > t. O(log n), fast near the end. */
uint32_t tsn_cell_after(const struct tsn_cell *cell, const struct tsn_window_layout *layout,
                        tsn_event_ms t);

static inline bool tsn_window_counts(const struct tsn_window_item *item, const uint64_t *row)
{
    return item->need == 0 || (row[1] & item->need) == item->need;
}

/* a - b that stays at the edge of int64. */
static inline int64_t tsn_window_minus(int64_t a, int64_t b)
{
    int64_t d;
    if (__builtin_sub_overflow(a, b, &d)) {
        return b > 0 ? INT64_MIN : INT64_MAX;
    }
    return d;
}

/* The value of an item over the view's rows alone. */
static inline void tsn_window_read_rows(const struct tsn_window_view *view,
                                        const struct tsn_window_item *item, struct tsn_reading *out)
{
    if (!item->plain) {
        tsn_window_read_total(view, item, out);
    } else if (item->agg == TSN_AGG_COUNT) {
        out->state = TSN_STATE_VALUE;
        out->i = view->hi - view->lo;
    } else if (view->hi == view->lo) {
        tsn_window_empty(item, out);
    } else { /* what stands at an edge, since every row counts */
        uint32_t i = item->agg == TSN_AGG_FIRST ? view->lo : view->hi - 1;
        const uint64_t *row = tsn_cell_row(view->cell, view->layout, i);
        out->state = TSN_STATE_VALUE;
        out->i = item->agg == TSN_AGG_TIME_SINCE ? tsn_window_minus(view->time_ms, (int64_t)row[0])
                                                 : (int64_t)row[item->word];
    }
}

/* pane_read.c: the view's panes, as far as its interval reaches into them; the value of
 * an item over them and its rows. */
void tsn_panes_look(struct tsn_window_view *view, unsigned lane);
void tsn_panes_read(struct tsn_window_view *view, const struct tsn_window_item *item,
                    struct tsn_reading *out);

/* The value of an item of the view's lane. */
static inline void tsn_window_read(struct tsn_window_view *view, const struct tsn_window_item *item,
                                   struct tsn_reading *out)
{
    if (view->panes) {
        tsn_panes_read(view, item, out);
    } else {
        tsn_window_read_rows(view, item, out);
    }
}

/* What totals give: sum in range, average, deviation. */
void tsn_window_sum(__int128 sum, struct tsn_reading *out);
void tsn_window_avg(const struct tsn_window_item *item, __int128 sum, uint64_t n,
                    struct tsn_reading *out);
/* over: the sum of squares left 128 bits. */
void tsn_window_stddev(const struct tsn_window_item *item, __int128 sum, unsigned __int128 squares,
                       bool over, uint64_t n, struct tsn_reading *out);

/* tsn_cell_write of a row that no row is newer than, when no lane has read beyond its
 * time: the next read takes it in. */
void tsn_cell_append(struct tsn_cell **cell, const struct tsn_window_layout *layout,
                     struct tsn_pool *pool, const uint64_t *row, tsn_event_ms dead_ms);

void tsn_runs_new(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                  struct tsn_pool *pool);
void tsn_runs_free(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                   struct tsn_pool *pool);
/* A row was put at index i. */
void tsn_runs_wrote(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                    struct tsn_pool *pool, uint32_t i);
/* The first n rows are about to go. */
void tsn_runs_trim(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                   struct tsn_pool *pool, uint32_t n);
/* Moves the lane's totals to to_ms and its edges into the view; false, with the
 * edges searched for, if they stand beyond it already. */
bool tsn_runs_look(struct tsn_window_view *view, unsigned lane);
/* What the totals say; false: scan. */
bool tsn_runs_total(const struct tsn_window_view *view, const struct tsn_window_item *item,
                    struct tsn_reading *out);
/* What the totals say of a view that they have passed; false: scan. */
bool tsn_runs_late(const struct tsn_window_view *view, const struct tsn_window_item *item,
                   struct tsn_reading *out);

#endif
