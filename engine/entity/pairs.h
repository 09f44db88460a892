/* Pairs: entries of a feature by several fields, under the entity of the first.
 *
 * `by: [caller, callee]` keeps rows for each pair; a caller keeps at most max_keys
 * of them. When one more is written, the one that has been silent longest goes: a
 * heap by (time, order) of the newest row, smallest on top, holds the numbers of
 * the entries' records in the pair table. O(log max_keys) a write.
 */
#ifndef TSN_ENGINE_ENTITY_PAIRS_H
#define TSN_ENGINE_ENTITY_PAIRS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/entity/pool.h"
#include "engine/entity/table.h"
#include "rules/column/column.h"

struct tsn_pair {
    struct tsn_key key;     /* the tuple's, turned by the stream's salt */
    tsn_event_ms newest_ms; /* time and order of its newest row */
    uint64_t newest_order;
    void *cell;
    uint32_t place;      /* in the heap */
    uint32_t number;     /* its own, in the pair table */
    struct tsn_key rest; /* of the fields behind the first */
};
_Static_assert(sizeof(struct tsn_pair) == TSN_TABLE_RECORD_BYTES, "one cache line");

/* What an entity's cell of a pair stream is. */
struct tsn_pairs {
    uint32_t n;
    uint32_t cap;
    uint32_t heap[];
};

struct tsn_pairs *tsn_pairs_new(struct tsn_pool *pool);
void tsn_pairs_free(struct tsn_pairs *pairs, struct tsn_pool *pool);

/* The entry that would go first. There is one. */
struct tsn_pair *tsn_pairs_oldest(const struct tsn_pairs *pairs, const struct tsn_table *table);

/* Puts an entry into the heap; the block may move. */
void tsn_pairs_add(struct tsn_pairs **pairs, struct tsn_pool *pool, struct tsn_table *table,
                   struct tsn_pair *pair);
/* The entry's newest row is now newer. */
void tsn_pairs_newer(struct tsn_pairs *pairs, struct tsn_table *table, struct tsn_pair *pair);
/* Takes an entry out of the heap; record and cell are the caller's. */
void tsn_pairs_remove(struct tsn_pairs *pairs, struct tsn_table *table, struct tsn_pair *pair);

#endif
