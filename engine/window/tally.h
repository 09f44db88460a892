/* Tally: how often each value stands in a window. Counts make a value that leaves
 * removable, so `distinct` is exact under eviction; a sketch would not be. Open
 * addressing over 8-byte values, removal by shifting back; 12 bytes a place, at
 * most 3/4 full. Empty is all zero.
 */
#ifndef TSN_ENGINE_WINDOW_TALLY_H
#define TSN_ENGINE_WINDOW_TALLY_H

#include <stdint.h>

#include "engine/entity/pool.h"

struct tsn_tally {
    uint64_t *values; /* [cap], then the counts [cap]: one block */
    uint32_t n;       /* different values */
    uint32_t cap;     /* 0 or a power of two */
};

void tsn_tally_add(struct tsn_tally *tally, struct tsn_pool *pool, uint64_t value);
/* The value must be there. */
void tsn_tally_remove(struct tsn_tally *tally, uint64_t value);
void tsn_tally_free(struct tsn_tally *tally, struct tsn_pool *pool);

#endif
