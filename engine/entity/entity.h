/* Entity: a phone line, an account, a device - whatever a pack counts by.
 *
 * A 64-byte record in a table: key, newest time, and one cell for each stream that
 * has rows of it. Keys are 128-bit hashes of (kind, type, value); the value itself
 * is not kept. The first three cells are in the record, the rest behind a pointer:
 * packs rarely write more than three streams under one kind.
 */
#ifndef TSN_ENGINE_ENTITY_ENTITY_H
#define TSN_ENGINE_ENTITY_ENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/entity/pool.h"
#include "engine/entity/table.h"
#include "rules/column/column.h"

enum { TSN_ENTITY_INLINE = 3 }; /* tsn_entity_cell counts on it */

struct tsn_entity {
    struct tsn_key key;
    tsn_event_ms newest_ms; /* of any row written for it; INT64_MIN at first */
    uint16_t n;             /* cells */
    uint16_t streams[TSN_ENTITY_INLINE];
    uint32_t changed;               /* epoch of its last change; 0: as it was loaded */
    uint32_t given;                 /* epoch of the last cut that has it; 0: none has */
    void *cells[TSN_ENTITY_INLINE]; /* with n > 3 the last leads to the others */
};
_Static_assert(sizeof(struct tsn_entity) == TSN_TABLE_RECORD_BYTES, "one cache line");

/* tsn_entity_cell of an entity with more than three. */
void **tsn_entity_cell_beyond(struct tsn_entity *entity, uint16_t stream);

/* Where the cell of a stream stands, or NULL if there is none. No branch depends on which
 * of the first three it is. */
static inline void **tsn_entity_cell(struct tsn_entity *entity, uint16_t stream)
{
    const uint16_t *streams = entity->streams;
    if (entity->n > TSN_ENTITY_INLINE) {
        return tsn_entity_cell_beyond(entity, stream);
    }
    unsigned is = (unsigned)(streams[0] == stream) | (unsigned)(streams[1] == stream) << 1 |
                  (unsigned)(streams[2] == stream) << 2;
    is &= (1u << entity->n) - 1;
    return is ? &entity->cells[__builtin_ctz(is)] : NULL;
}

/* Does a place stay where it is when the entity gets more cells? */
static inline bool tsn_entity_place_stays(const struct tsn_entity *entity, void *const *place)
{
    return place >= entity->cells && place < entity->cells + TSN_ENTITY_INLINE - 1;
}

/* A place, set to NULL, for a stream that has none yet. */
void **tsn_entity_cell_add(struct tsn_entity *entity, struct tsn_pool *pool, uint16_t stream);

/* Cell i of n, in no particular order. */
void **tsn_entity_cell_at(struct tsn_entity *entity, unsigned i, uint16_t *stream);
void tsn_entity_cell_rename(struct tsn_entity *entity, unsigned i, uint16_t stream);

/* Forgets cell i; the last one takes its place. */
void tsn_entity_cell_remove(struct tsn_entity *entity, struct tsn_pool *pool, unsigned i);

#endif
