/* Pane: the oldest part of a hot key's log, as sums over spans of time.
 *
 * A log keeps `rows_max` rows; when one more is written, its oldest rows go into panes.
 * A pane is what a span of time held: for each item of the layout how many rows, the
 * first and the last of them in time, and what the aggregate needs. Its span is
 * 2^level ms on a grid of that step, so that spans nest and panes that have grown old
 * unite: a pane is at most 1/64 as wide as it lies back from the newest row of the log.
 * So there are at most 64 panes for each doubling of age, whatever the rate, and nothing
 * about windows goes into them. (The alternatives lost: a ring of panes for each window
 * keeps a row many times; panes of a fixed number of rows grow in number with the rate.)
 *
 * Reading: what an edge of the interval cuts cannot be divided. Rows of a pane (those
 * that count for the item) are in the interval as a whole if their newest one is. So a
 * value is that of an interval whose edges lie earlier than asked for by less than 1/64
 * of what they lie back from the newest time: docs/SEMANTICS.md.
 *
 * Which rows coalesce, and where, follows from the rows written and the times at which
 * they were, nothing else: dead rows and panes are dropped before any decision.
 *
 * Called by cell.c (writing), by tsn_window_read and by engine/snapshot and swap. Cells
 * without panes pay one comparison a write.
 */
#ifndef TSN_ENGINE_WINDOW_PANE_H
#define TSN_ENGINE_WINDOW_PANE_H

#include "engine/window/sketch.h"
#include "engine/window/total.h"

enum {
    TSN_PANE_LEVEL_MAX = 62,  /* 2^62 ms */
    TSN_PANES_MAX = 1 << 12,  /* 64 for each of 63 doublings, and a pane begun at each */
    TSN_PANE_CHUNK_PART = 16, /* of rows_max, go at once */
};

/* Rows of a pane that count for an item. `more` is only as large as the kind needs. */
struct tsn_pane_slot {
    tsn_event_ms first_ms, last_ms; /* of the rows; void without any */
    uint64_t n;
    uint64_t word; /* first, last, min, max: the value; text is the pane's */
    union {
        __int128 sum; /* sum, avg of integers */
        struct {
            __int128 sum;
            unsigned __int128 squares; /* modulo 2^128 ... */
            int64_t squares_over;      /* ... and how often it went round */
        } spread;                      /* stddev of integers */
        double total;                  /* sum, avg of doubles */
        struct {
            double mean, squares; /* of the distances from the mean */
        } drift;                  /* stddev of doubles */
    } more;                       /* distinct: ranks[TSN_SKETCH_PLACES] instead */
};

struct tsn_pane {
    tsn_event_ms start_ms; /* spans [start_ms, start_ms + 2^level) */
    tsn_event_ms last_ms;  /* of its newest row */
    uint64_t n;            /* rows */
    uint64_t level;
    /* then the slots, at item->pane_at */
};

/* Panes united for reads in order of one item's lane; see pane_read.c. */
struct tsn_pane_cache {
    bool valid, sketched, with_rows;
    uint32_t lo, hi;      /* panes */
    uint32_t from, to;    /* panes in the sketch, without rows */
    uint32_t lead;        /* with rows: sequence number behind the last row in it */
    uint64_t version;     /* of `inner` */
    uint64_t sketch_at;   /* version, or with rows `late`, of the sketch */
    tsn_event_ms from_ms; /* with rows: start of its first pane */
    struct tsn_pane_slot inner;
    struct tsn_sketch_sum *sketch;
};

struct tsn_panes {
    tsn_event_ms last_ms; /* the newest row that ever went into them */
    uint32_t n, cap;
    uint64_t version;              /* changes with any pane */
    uint64_t late;                 /* changes when a row goes in past the log */
    struct tsn_pane **at;          /* [n] by time */
    struct tsn_pane_cache *caches; /* [n_items], made on the first read */
};

static inline struct tsn_panes *tsn_cell_panes(const struct tsn_cell *cell)
{
    return cell->runs ? cell->runs->panes : NULL;
}

/* Time of the newest row, be it in a pane; INT64_MIN: there is none. */
static inline tsn_event_ms tsn_cell_newest(const struct tsn_cell *cell,
                                           const struct tsn_window_layout *layout)
{
    if (cell->n) {
        return (tsn_event_ms)tsn_cell_row(cell, layout, cell->n - 1)[0];
    }
    return tsn_cell_panes(cell) ? tsn_cell_panes(cell)->last_ms : INT64_MIN;
}

static inline struct tsn_pane_slot *tsn_pane_slot(struct tsn_pane *pane,
                                                  const struct tsn_window_item *item)
{
    return (struct tsn_pane_slot *)(void *)((uint8_t *)pane + item->pane_at);
}

static inline uint8_t *tsn_pane_ranks(struct tsn_pane_slot *slot)
{
    return (uint8_t *)slot + offsetof(struct tsn_pane_slot, more);
}

/* Bytes of an item's slot, a multiple of 16. */
size_t tsn_pane_slot_bytes(const struct tsn_window_item *item);
/* Gives every item its place in a pane; items that count the same share one. */
void tsn_pane_arrange(struct tsn_window_layout *layout);

/* ---- writing --------------------------------------------------------------------------- */

/* Rows [0, n) of the cell are added to its panes; the caller then drops them. */
void tsn_panes_take(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                    struct tsn_pool *pool, uint32_t n, tsn_event_ms dead_ms);
/* A row older than the newest one in the panes: it goes there. Text stays the caller's. */
void tsn_panes_late(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                    struct tsn_pool *pool, const uint64_t *row, tsn_event_ms dead_ms);
/* A row was put at index i of a cell with panes, not behind all others. */
void tsn_panes_wrote(struct tsn_cell *cell, const struct tsn_window_layout *layout, uint32_t i);
/* Drops panes of which every row has time <= dead_ms; all of them: the panes too. */
void tsn_panes_expire(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                      struct tsn_pool *pool, tsn_event_ms dead_ms);
void tsn_panes_free(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                    struct tsn_pool *pool);

/* ---- loading and carrying over ------------------------------------------------------------ */

/* The panes of a cell, made if it has none; last_ms is the caller's to set. */
struct tsn_panes *tsn_panes_make(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                                 struct tsn_pool *pool);
/* An empty pane behind all others. */
struct tsn_pane *tsn_panes_add(struct tsn_panes *panes, const struct tsn_window_layout *layout,
                               struct tsn_pool *pool, tsn_event_ms start_ms, unsigned level);
/* May a pane with this span and newest row stand behind the others? */
bool tsn_pane_may_follow(const struct tsn_panes *panes, tsn_event_ms start_ms, unsigned level,
                         tsn_event_ms last_ms);
/* The panes of `from` for a layout of which item i is item items[i] of from's. */
void tsn_panes_carry(const struct tsn_panes *from, const struct tsn_window_layout *from_layout,
                     struct tsn_cell *to, const struct tsn_window_layout *layout,
                     struct tsn_pool *pool, const uint16_t *items);

/* ---- between the files of this room --------------------------------------------------------- */

/* The rows of `from`, all later, join those of `into`; text is borrowed, sketches are
 * left to the caller. */
void tsn_pane_slot_join(const struct tsn_window_item *item, struct tsn_pane_slot *into,
                        const struct tsn_pane_slot *from);

#endif
