#include "engine/window/tally.h"

#include <string.h>

#include "rules/must/must.h"

enum { CAP_FIRST = 16 };

static void table_new(struct tsn_tally *tally, struct tsn_pool *pool, uint32_t cap)
{
    size_t bytes = cap * sizeof *tally->places;
    tally->places = tsn_pool_alloc(pool, bytes);
    tally->cap = cap;
    memset(tally->places, 0, bytes);
}

static void grow(struct tsn_tally *tally, struct tsn_pool *pool)
{
    struct tsn_tally old = *tally;
    table_new(tally, pool, old.cap ? old.cap * 2 : CAP_FIRST);
    for (uint32_t i = 0; i < old.cap; i++) {
        if (old.places[i].count) {
            uint32_t at = tsn_tally_home(old.places[i].value, tally->cap);
            while (tally->places[at].count) {
                at = (at + 1) & (tally->cap - 1);
            }
            tally->places[at] = old.places[i];
        }
    }
    if (old.cap) {
        tsn_pool_free(pool, old.places, old.cap * sizeof *old.places);
    }
}

void tsn_tally_room(struct tsn_tally *tally, struct tsn_pool *pool, uint32_t n)
{
    TSN_MUST(tally->cap == 0 && n < UINT32_MAX / 4);
    uint32_t cap = CAP_FIRST;
    while ((uint64_t)n * 4 > (uint64_t)cap * 3) {
        cap *= 2;
    }
    table_new(tally, pool, cap);
}

void tsn_tally_add(struct tsn_tally *tally, struct tsn_pool *pool, uint64_t value)
{
    if ((uint64_t)(tally->n + 1) * 4 > (uint64_t)tally->cap * 3) {
        grow(tally, pool);
    }
    uint32_t mask = tally->cap - 1;
    uint32_t at = tsn_tally_home(value, tally->cap);
    while (tally->places[at].count && tally->places[at].value != value) {
        at = (at + 1) & mask;
    }
    struct tsn_tally_place *place = &tally->places[at];
    tally->n += place->count++ == 0;
    place->value = value;
}

void tsn_tally_remove(struct tsn_tally *tally, uint64_t value)
{
    TSN_MUST(tally->n > 0);
    uint32_t mask = tally->cap - 1;
    struct tsn_tally_place *places = tally->places;
    uint32_t at = tsn_tally_home(value, tally->cap);
    while (places[at].value != value || places[at].count == 0) {
        TSN_MUST(places[at].count);
        at = (at + 1) & mask;
    }
    if (--places[at].count) {
        return;
    }
    tally->n--;
    for (uint32_t i = (at + 1) & mask; places[i].count; i = (i + 1) & mask) {
        uint32_t home = tsn_tally_home(places[i].value, tally->cap);
        if (((i - home) & mask) >= ((i - at) & mask)) {
            places[at] = places[i];
            at = i;
        }
    }
    places[at].count = 0;
}

void tsn_tally_free(struct tsn_tally *tally, struct tsn_pool *pool)
{
    if (tally->cap) {
        tsn_pool_free(pool, tally->places, tally->cap * sizeof *tally->places);
    }
    *tally = (struct tsn_tally){0};
}
