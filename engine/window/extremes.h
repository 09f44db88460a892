/* Extremes: the rows that are, or may yet become, the minimum (maximum) of a
 * window: each is smaller (larger) than all that came later. A monotone queue by
 * time, so adding and leaving cost O(1) amortised whatever the values do; a heap
 * would need removal by key. Values are ordered words: see tsn_extremes_order.
 * Empty is all zero.
 */
#ifndef TSN_ENGINE_WINDOW_EXTREMES_H
#define TSN_ENGINE_WINDOW_EXTREMES_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/entity/pool.h"

struct tsn_extreme {
    int64_t time_ms;
    uint64_t word; /* as the row keeps it */
    int64_t order; /* smaller is nearer to the extreme */
};

struct tsn_extremes {
    struct tsn_extreme *items;
    uint32_t head, n, cap;
};

/* An int64 by which words of this kind compare; for a maximum turned round. Equal
 * numbers compare equal (0.0 and -0.0 too). Not for NaN. */
static inline int64_t tsn_extremes_order(uint64_t word, bool is_double, bool is_max)
{
    int64_t order = (int64_t)word;
    if (is_double) {
        if (word == UINT64_C(1) << 63) {
            order = 0;
        } else if (order < 0) {
            order ^= INT64_MAX;
        }
    }
    return is_max ? ~order : order;
}

/* Rows may come in any order of time; equal times count as later. */
void tsn_extremes_add(struct tsn_extremes *extremes, struct tsn_pool *pool, int64_t time_ms,
                      uint64_t word, int64_t order);
/* Rows up to this time have left. */
void tsn_extremes_leave(struct tsn_extremes *extremes, int64_t time_ms);
void tsn_extremes_free(struct tsn_extremes *extremes, struct tsn_pool *pool);

#endif
