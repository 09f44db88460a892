#include "engine/window/extremes.h"

#include <string.h>

static void room_for_one(struct tsn_extremes *extremes, struct tsn_pool *pool)
{
    if (extremes->head + extremes->n < extremes->cap) {
        return;
    }
    struct tsn_extreme *old = extremes->items;
    if (extremes->head > extremes->cap / 2) {
        memmove(old, old + extremes->head, extremes->n * sizeof *old);
    } else {
        uint32_t cap = extremes->cap ? extremes->cap * 2 : 4;
        extremes->items = tsn_pool_alloc(pool, cap * sizeof *old);
        if (old) {
            memcpy(extremes->items, old + extremes->head, extremes->n * sizeof *old);
            tsn_pool_free(pool, old, extremes->cap * sizeof *old);
        }
        extremes->cap = cap;
    }
    extremes->head = 0;
}

void tsn_extremes_add(struct tsn_extremes *extremes, struct tsn_pool *pool, int64_t time_ms,
                      uint64_t word, int64_t order)
{
    room_for_one(extremes, pool);
    struct tsn_extreme *items = extremes->items + extremes->head;
    uint32_t at = extremes->n;
    while (at > 0 && items[at - 1].time_ms > time_ms) {
        at--;
    }
    if (at < extremes->n && items[at].order < order) {
        return; /* a later row is nearer already */
    }
    uint32_t keep = at;
    while (keep > 0 && items[keep - 1].order > order) {
        keep--;
    }
    uint32_t behind = extremes->n - at;
    if (behind && keep + 1 != at) {
        memmove(items + keep + 1, items + at, behind * sizeof *items);
    }
    items[keep] = (struct tsn_extreme){.time_ms = time_ms, .word = word, .order = order};
    extremes->n = keep + 1 + behind;
}

void tsn_extremes_leave(struct tsn_extremes *extremes, int64_t time_ms)
{
    while (extremes->n && extremes->items[extremes->head].time_ms <= time_ms) {
        extremes->head++;
        extremes->n--;
    }
    if (extremes->n == 0) {
        extremes->head = 0;
    }
}

void tsn_extremes_free(struct tsn_extremes *extremes, struct tsn_pool *pool)
{
    if (extremes->cap) {
        tsn_pool_free(pool, extremes->items, extremes->cap * sizeof *extremes->items);
    }
    *extremes = (struct tsn_extremes){0};
}
