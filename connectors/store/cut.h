/* Cut: the records of one checkpoint between the engine and Redis.
 *
 * The engine's thread pays one copy a record into large blocks; everything else -
 * pseudonyms, slots, which of two versions is newer - is done by the writing thread
 * when it indexes the cut. A cut of changes that could not be written is kept and the
 * next one is appended to it: the later record of a key wins. A whole cut goes through
 * in parts, blocks from the front, while the engine still fills it; what was said to be
 * gone does not count there, as it replaces all there was.
 */
#ifndef TSN_CONNECTORS_STORE_CUT_H
#define TSN_CONNECTORS_STORE_CUT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connectors/store/layout.h"
#include "engine/engine.h"

struct tsn_cut_block;

enum {
    /* Blocks kept between cuts: 64 MiB, about twice the cut of a second at 50,000 changed
     * entities, and all that is held of a whole one. */
    TSN_CUT_SPARE_MAX = 16,
};

/* Blocks of cuts that were written, for the next. Memory from the system comes in pages
 * that the kernel clears when they are first touched, in the engine's thread. The engine's thread
 * takes, the writing thread gives; hence the lock, a hundred times a second. */
struct tsn_cut_spare {
    pthread_mutex_t lock;
    struct tsn_cut_block *first;
    unsigned n;
};
void tsn_cut_spare_init(struct tsn_cut_spare *spare);
void tsn_cut_spare_end(struct tsn_cut_spare *spare);

struct tsn_cut {
    struct tsn_cut_spare *spare; /* where blocks come from and go; NULL: the system */
    struct tsn_cut_block *first;
    struct tsn_cut_block *last;
    size_t n;    /* records, versions of one key counted each */
    size_t held; /* bytes in its blocks */
    size_t n_gone;
    bool whole;  /* it, or what it is a part of, holds every record there is */
    bool merged; /* may hold several versions of one key */
};

/* A record of the cut; points into it. */
struct tsn_cut_entry {
    const uint8_t *header; /* section and key, TSN_LAYOUT_HEADER bytes; the value follows */
    uint32_t len;
    bool gone;
    uint8_t field[TSN_LAYOUT_FIELD];
};

/* The newest version of every key, grouped by slot. */
struct tsn_cut_index {
    struct tsn_cut_entry *entries;
    size_t begin[TSN_LAYOUT_SLOTS]; /* entries of slot s: [begin[s], begin[s] + n[s]) */
    size_t n[TSN_LAYOUT_SLOTS];
    size_t n_all;
};

void tsn_cut_add(struct tsn_cut *cut, const struct tsn_snapshot_record *record);
/* Moves the records of newer behind those of older; newer becomes empty. Both have the
 * same spare blocks, and neither is whole. */
void tsn_cut_merge(struct tsn_cut *older, struct tsn_cut *newer);
/* Moves blocks from the front of a cut behind those of another until that holds so many
 * bytes; of the block that is being filled only when `all`. O(blocks). */
void tsn_cut_move(struct tsn_cut *from, struct tsn_cut *to, size_t bytes, bool all);
/* Empty again, and not whole; memory is given back, to the spare blocks first. */
void tsn_cut_clear(struct tsn_cut *cut);

/* O(n): one keyed hash a record. The cut must outlive the index. */
void tsn_cut_index(const struct tsn_cut *cut, const struct tsn_keys *keys,
                   struct tsn_cut_index *index);
void tsn_cut_index_free(struct tsn_cut_index *index);

/* Copies what the index names into a new cut, so that versions that lost free their
 * memory. */
void tsn_cut_compact(struct tsn_cut *cut, struct tsn_cut_index *index, const struct tsn_keys *keys);

#endif
