/* Dedup: which (event type, event id) were accepted lately.
 *
 * 64-bit hashes in one-minute panes of event time. One table over all panes answers
 * the question with one cache miss; a look-up in each of ten panes would cost ten. Its
 * buckets are cache lines of five ids with their minutes. Forgetting a pane is free: a
 * place whose minute is forgotten is free, and nothing is ever cleaned. A bucket whose
 * places were all taken sends an id to the next one and notes until which minute one may
 * be there. So nothing is moved, no minute stalls, and no branch depends on where an id
 * happens to lie. (Open addressing with a sweep of the forgotten cost twice as much.)
 * Each pane also lists its hashes in the order in which they
 * came, for checkpoints: a list only grows, so pages of it that are full never change,
 * and what a cut holds of it is a length.
 *
 * Two ids with one hash make the second look like a duplicate: for 10^7 ids in
 * memory a new id meets that with probability 5 * 10^-13.
 */
#ifndef TSN_ENGINE_EVENT_DEDUP_H
#define TSN_ENGINE_EVENT_DEDUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/entity/ask.h"
#include "engine/event/batch.h"

/* What one id costs, table and list: the cap is counted in these. */
enum { TSN_DEDUP_ID_BYTES = 40 };

/* Ids of a page, which is a record of a checkpoint. */
enum { TSN_DEDUP_PAGE_IDS = 1024 };

struct tsn_dedup_pane {
    int64_t minute; /* floor(t / 60 s) */
    uint64_t *hashes;
    size_t n, cap;
    size_t given;           /* ids that the last cut has; 0 after a load: written anew */
    size_t cut_at, cut_end; /* ids that the cut under way has yet to give */
    uint32_t loaded_pages;  /* that the checkpoint had when it was loaded */
};

struct tsn_dedup_gone {
    int64_t minute;
    uint32_t n_pages;
};

/* Who takes what a cut holds; returns about how many bytes it came to. */
struct tsn_dedup_taker {
    size_t (*page)(void *user, int64_t minute, uint32_t page, const uint64_t *hashes, size_t n);
    size_t (*gone)(void *user, int64_t minute, uint32_t page);
    void *user;
};

enum { TSN_DEDUP_PLACES = 5 };

/* Minutes are counted from year 0 and stand still from year 8165 on: ids of such events
 * are not forgotten by the table. */
struct tsn_dedup_bucket {
    uint64_t hashes[TSN_DEDUP_PLACES];
    uint32_t minutes[TSN_DEDUP_PLACES]; /* 0: never taken */
    uint32_t beyond;                    /* newest minute of an id that is in a later bucket */
};
_Static_assert(sizeof(struct tsn_dedup_bucket) == 64, "one cache line");

struct tsn_dedup {
    tsn_duration_ms window_ms;
    uint64_t n_max;
    struct tsn_dedup_bucket *buckets;
    uint64_t mask;
    uint64_t n;                   /* ids remembered */
    uint64_t n_room;              /* as many as the table takes before it grows */
    struct tsn_dedup_pane *panes; /* remembered, by minute */
    size_t n_panes, panes_cap;
    int64_t kept_from;                         /* minutes before it are forgotten */
    uint32_t kept_minute;                      /* the same as the table counts minutes */
    tsn_event_ms expires_ms;                   /* E at which the next minute is forgotten */
    int64_t minute;                            /* of the last id */
    uint32_t minute_counted;                   /* the same as the table counts minutes */
    tsn_event_ms minute_from_ms, minute_to_ms; /* its first and last millisecond */
    struct tsn_dedup_gone *gone;               /* panes that a cut has and that are forgotten */
    size_t n_gone, gone_cap;
    struct tsn_dedup_taker taker; /* of the cut under way */
};

/* window_ms 0: everything is new. */
void tsn_dedup_init(struct tsn_dedup *dedup, tsn_duration_ms window_ms, uint64_t cap_bytes);
void tsn_dedup_free(struct tsn_dedup *dedup);

/* The hashes of n ids, as their column has them: by the event type's name, and by value.
 * That of cell i goes to hashes[to[i]]; 0 where it is missing, and only there. */
void tsn_dedup_hashes(uint64_t type_seed, const struct tsn_column *ids, uint32_t n,
                      const uint32_t *to, uint64_t *hashes);

/* Is it a duplicate? If not, and its pane is not forgotten, it is remembered.
 * newest_ms: E before this row. */
bool tsn_dedup_seen(struct tsn_dedup *dedup, uint64_t hash, tsn_event_ms time_ms,
                    tsn_event_ms newest_ms);

/* Remembers a page of a pane, from a checkpoint, in any order of pages. */
void tsn_dedup_load(struct tsn_dedup *dedup, int64_t minute, uint32_t page, const uint64_t *hashes,
                    size_t n);

/* Begins a cut: pages that grew since the last one, or all. Costs by panes, and gives
 * the pages that are gone. */
void tsn_dedup_cut_begin(struct tsn_dedup *dedup, bool whole, const struct tsn_dedup_taker *taker);
/* Gives more pages, the oldest first, until about *budget bytes are spent; true when
 * there are no more. A pane that is forgotten before its turn is given then. */
bool tsn_dedup_cut_step(struct tsn_dedup *dedup, int64_t *budget);

static inline void tsn_dedup_prefetch(const struct tsn_dedup *dedup, uint64_t hash)
{
    tsn_ask_write(&dedup->buckets[hash & dedup->mask]);
}

/* The same for the bucket behind, where ids may lie that this one had no place for; some rows
 * later. */
static inline void tsn_dedup_prefetch_beyond(const struct tsn_dedup *dedup, uint64_t hash)
{
    uint64_t at = hash & dedup->mask;
    at += dedup->buckets[at].beyond >= dedup->kept_minute;
    tsn_ask_write(&dedup->buckets[at & dedup->mask]);
}

/* Bytes in use. */
uint64_t tsn_dedup_bytes(const struct tsn_dedup *dedup);

#endif
