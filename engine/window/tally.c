#include "engine/window/tally.h"

#include <string.h>

#include "rules/must/must.h"

enum { CAP_FIRST = 16, PLACE_BYTES = sizeof(uint64_t) + sizeof(uint32_t) };

static uint32_t *counts_of(const struct tsn_tally *tally)
{
    return (uint32_t *)(void *)(tally->values + tally->cap);
}

/* Consecutive ids must not cluster: the finaliser of splitmix64. */
static uint32_t home_of(uint64_t value, uint32_t cap)
{
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)(value >> 32) & (cap - 1);
}

static void table_new(struct tsn_tally *tally, struct tsn_pool *pool, uint32_t cap)
{
    tally->values = tsn_pool_alloc(pool, (size_t)cap * PLACE_BYTES);
    tally->cap = cap;
    memset(counts_of(tally), 0, cap * sizeof(uint32_t));
}

static void grow(struct tsn_tally *tally, struct tsn_pool *pool)
{
    struct tsn_tally old = *tally;
    table_new(tally, pool, old.cap ? old.cap * 2 : CAP_FIRST);
    const uint32_t *old_counts = counts_of(&old);
    uint32_t *counts = counts_of(tally);
    for (uint32_t i = 0; i < old.cap; i++) {
        if (old_counts[i]) {
            uint32_t at = home_of(old.values[i], tally->cap);
            while (counts[at]) {
                at = (at + 1) & (tally->cap - 1);
            }
            tally->values[at] = old.values[i];
            counts[at] = old_counts[i];
        }
    }
    if (old.cap) {
        tsn_pool_free(pool, old.values, (size_t)old.cap * PLACE_BYTES);
    }
}

void tsn_tally_add(struct tsn_tally *tally, struct tsn_pool *pool, uint64_t value)
{
    if ((uint64_t)(tally->n + 1) * 4 > (uint64_t)tally->cap * 3) {
        grow(tally, pool);
    }
    uint32_t *counts = counts_of(tally);
    uint32_t at = home_of(value, tally->cap);
    while (counts[at] && tally->values[at] != value) {
        at = (at + 1) & (tally->cap - 1);
    }
    if (counts[at]++ == 0) {
        tally->values[at] = value;
        tally->n++;
    }
}

void tsn_tally_remove(struct tsn_tally *tally, uint64_t value)
{
    TSN_MUST(tally->n > 0);
    uint32_t mask = tally->cap - 1;
    uint32_t *counts = counts_of(tally);
    uint32_t at = home_of(value, tally->cap);
    while (tally->values[at] != value || counts[at] == 0) {
        TSN_MUST(counts[at]);
        at = (at + 1) & mask;
    }
    if (--counts[at]) {
        return;
    }
    tally->n--;
    for (uint32_t i = (at + 1) & mask; counts[i]; i = (i + 1) & mask) {
        uint32_t home = home_of(tally->values[i], tally->cap);
        if (((i - home) & mask) >= ((i - at) & mask)) {
            tally->values[at] = tally->values[i];
            counts[at] = counts[i];
            at = i;
        }
    }
    counts[at] = 0;
}

void tsn_tally_free(struct tsn_tally *tally, struct tsn_pool *pool)
{
    if (tally->cap) {
        tsn_pool_free(pool, tally->values, (size_t)tally->cap * PLACE_BYTES);
    }
    *tally = (struct tsn_tally){0};
}
