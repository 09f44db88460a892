/* Tally: how often each value stands in a window. Counts make a value that leaves
 * removable, so `distinct` is exact under eviction; a sketch would not be. Open
 * addressing, removal by shifting back; a place is a value and its count in 16
 * bytes, at most 3/4 full: 12 bytes in two arrays would cost two cache misses a
 * row instead of one. Empty is all zero.
 */
#ifndef TSN_ENGINE_WINDOW_TALLY_H
#define TSN_ENGINE_WINDOW_TALLY_H

#include <stdint.h>

#include "engine/entity/ask.h"
#include "engine/entity/pool.h"

struct tsn_tally_place {
    uint64_t value;
    uint64_t count; /* 0: empty */
};

struct tsn_tally {
    struct tsn_tally_place *places; /* [cap] */
    uint32_t n;                     /* different values */
    uint32_t cap;                   /* 0 or a power of two */
};

/* Consecutive ids must not cluster: the finaliser of splitmix64. */
static inline uint32_t tsn_tally_home(uint64_t value, uint32_t cap)
{
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)(value >> 32) & (cap - 1);
}

/* Asks for the place where the value stands or would stand. */
static inline void tsn_tally_ask(const struct tsn_tally *tally, uint64_t value)
{
    if (tally->cap) {
        tsn_ask_write(&tally->places[tsn_tally_home(value, tally->cap)]);
    }
}

/* How often the value stands in it. */
static inline uint64_t tsn_tally_count(const struct tsn_tally *tally, uint64_t value)
{
    if (tally->cap == 0) {
        return 0;
    }
    uint32_t at = tsn_tally_home(value, tally->cap);
    while (tally->places[at].count && tally->places[at].value != value) {
        at = (at + 1) & (tally->cap - 1);
    }
    return tally->places[at].count;
}

/* Room for n values in an empty one, so that it need not grow. */
void tsn_tally_room(struct tsn_tally *tally, struct tsn_pool *pool, uint32_t n);
void tsn_tally_add(struct tsn_tally *tally, struct tsn_pool *pool, uint64_t value);
/* The value must be there. */
void tsn_tally_remove(struct tsn_tally *tally, uint64_t value);
void tsn_tally_free(struct tsn_tally *tally, struct tsn_pool *pool);

#endif
