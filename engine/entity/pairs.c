#include "engine/entity/pairs.h"

#include <string.h>

#include "rules/must/must.h"

enum { CAP_FIRST = 2 };

static size_t bytes_of(uint32_t cap)
{
    return sizeof(struct tsn_pairs) + cap * sizeof(uint32_t);
}

struct tsn_pairs *tsn_pairs_new(struct tsn_pool *pool)
{
    struct tsn_pairs *pairs = tsn_pool_alloc(pool, bytes_of(CAP_FIRST));
    *pairs = (struct tsn_pairs){.cap = CAP_FIRST};
    return pairs;
}

void tsn_pairs_free(struct tsn_pairs *pairs, struct tsn_pool *pool)
{
    tsn_pool_free(pool, pairs, bytes_of(pairs->cap));
}

struct tsn_pair *tsn_pairs_oldest(const struct tsn_pairs *pairs, const struct tsn_table *table)
{
    TSN_MUST(pairs->n > 0);
    return tsn_table_record(table, pairs->heap[0]);
}

static bool older(const struct tsn_pair *a, const struct tsn_pair *b)
{
    return a->newest_ms != b->newest_ms ? a->newest_ms < b->newest_ms
                                        : a->newest_order < b->newest_order;
}

static void put(struct tsn_pairs *pairs, uint32_t place, struct tsn_pair *pair)
{
    pairs->heap[place] = pair->number;
    pair->place = place;
}

static void sink(struct tsn_pairs *pairs, struct tsn_table *table, struct tsn_pair *pair,
                 uint32_t place)
{
    for (;;) {
        uint32_t child = place * 2 + 1;
        if (child >= pairs->n) {
            break;
        }
        struct tsn_pair *least = tsn_table_record(table, pairs->heap[child]);
        if (child + 1 < pairs->n) {
            struct tsn_pair *right = tsn_table_record(table, pairs->heap[child + 1]);
            least = older(right, least) ? right : least;
        }
        if (!older(least, pair)) {
            break;
        }
        child = least->place;
        put(pairs, place, least);
        place = child;
    }
    put(pairs, place, pair);
}

static void rise(struct tsn_pairs *pairs, struct tsn_table *table, struct tsn_pair *pair,
                 uint32_t place)
{
    while (place > 0) {
        uint32_t parent = (place - 1) / 2;
        struct tsn_pair *above = tsn_table_record(table, pairs->heap[parent]);
        if (!older(pair, above)) {
            break;
        }
        put(pairs, place, above);
        place = parent;
    }
    put(pairs, place, pair);
}

void tsn_pairs_add(struct tsn_pairs **pairs, struct tsn_pool *pool, struct tsn_table *table,
                   struct tsn_pair *pair)
{
    struct tsn_pairs *at = *pairs;
    if (at->n == at->cap) {
        struct tsn_pairs *wider = tsn_pool_alloc(pool, bytes_of(at->cap * 2));
        memcpy(wider, at, bytes_of(at->n));
        wider->cap = at->cap * 2;
        tsn_pairs_free(at, pool);
        *pairs = at = wider;
    }
    rise(at, table, pair, at->n++);
}

void tsn_pairs_newer(struct tsn_pairs *pairs, struct tsn_table *table, struct tsn_pair *pair)
{
    sink(pairs, table, pair, pair->place);
}

void tsn_pairs_remove(struct tsn_pairs *pairs, struct tsn_table *table, struct tsn_pair *pair)
{
    TSN_MUST(pairs->n > 0 && pairs->heap[pair->place] == pair->number);
    uint32_t place = pair->place;
    struct tsn_pair *last = tsn_table_record(table, pairs->heap[--pairs->n]);
    if (last == pair) {
        return;
    }
    if (place > 0 && older(last, tsn_table_record(table, pairs->heap[(place - 1) / 2]))) {
        rise(pairs, table, last, place);
    } else {
        sink(pairs, table, last, place);
    }
}
