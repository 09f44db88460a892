#include "engine/entity/entity.h"

#include <string.h>

#include "rules/must/must.h"

/* Beyond the record: cells 2, 3, ... of an entity with more than three. */
struct beyond {
    uint32_t cap;
    struct place {
        void *cell;
        uint16_t stream;
    } places[];
};

enum { DIRECT = TSN_ENTITY_INLINE - 1, BEYOND_FIRST = 4 };

static struct place *place_of(struct tsn_entity *entity, unsigned i)
{
    struct beyond *beyond = entity->cells[DIRECT];
    return &beyond->places[i - DIRECT];
}

static bool is_direct(const struct tsn_entity *entity, unsigned i)
{
    return entity->n <= TSN_ENTITY_INLINE || i < DIRECT;
}

void **tsn_entity_cell_at(struct tsn_entity *entity, unsigned i, uint16_t *stream)
{
    if (is_direct(entity, i)) {
        *stream = entity->streams[i];
        return &entity->cells[i];
    }
    *stream = place_of(entity, i)->stream;
    return &place_of(entity, i)->cell;
}

void tsn_entity_cell_rename(struct tsn_entity *entity, unsigned i, uint16_t stream)
{
    if (is_direct(entity, i)) {
        entity->streams[i] = stream;
    } else {
        place_of(entity, i)->stream = stream;
    }
}

void **tsn_entity_cell_beyond(struct tsn_entity *entity, uint16_t stream)
{
    for (unsigned i = 0; i < entity->n; i++) {
        uint16_t at;
        void **cell = tsn_entity_cell_at(entity, i, &at);
        if (at == stream) {
            return cell;
        }
    }
    return NULL;
}

static size_t beyond_bytes(uint32_t cap)
{
    return sizeof(struct beyond) + cap * sizeof(struct place);
}

static void beyond_room(struct tsn_entity *entity, struct tsn_pool *pool)
{
    struct beyond *old = entity->n > TSN_ENTITY_INLINE ? entity->cells[DIRECT] : NULL;
    uint32_t used = (uint32_t)entity->n - DIRECT;
    if (old && used < old->cap) {
        return;
    }
    uint32_t cap = old ? old->cap * 2 : BEYOND_FIRST;
    struct beyond *beyond = tsn_pool_alloc(pool, beyond_bytes(cap));
    beyond->cap = cap;
    if (old) {
        memcpy(beyond->places, old->places, used * sizeof *old->places);
        tsn_pool_free(pool, old, beyond_bytes(old->cap));
    } else {
        beyond->places[0] =
            (struct place){.cell = entity->cells[DIRECT], .stream = entity->streams[DIRECT]};
    }
    entity->cells[DIRECT] = beyond;
}

void **tsn_entity_cell_add(struct tsn_entity *entity, struct tsn_pool *pool, uint16_t stream)
{
    TSN_MUST(entity->n < UINT16_MAX);
    if (entity->n >= TSN_ENTITY_INLINE) {
        beyond_room(entity, pool);
    }
    unsigned i = entity->n++;
    if (is_direct(entity, i)) {
        entity->streams[i] = stream;
        entity->cells[i] = NULL;
        return &entity->cells[i];
    }
    *place_of(entity, i) = (struct place){.stream = stream};
    return &place_of(entity, i)->cell;
}

void tsn_entity_cell_remove(struct tsn_entity *entity, struct tsn_pool *pool, unsigned i)
{
    TSN_MUST(i < entity->n);
    uint16_t last_stream;
    uint16_t stream;
    void *last = *tsn_entity_cell_at(entity, entity->n - 1u, &last_stream);
    *tsn_entity_cell_at(entity, i, &stream) = last;
    tsn_entity_cell_rename(entity, i, last_stream);
    if (entity->n == TSN_ENTITY_INLINE + 1) {
        struct beyond *beyond = entity->cells[DIRECT];
        struct place kept = beyond->places[0];
        tsn_pool_free(pool, beyond, beyond_bytes(beyond->cap));
        entity->cells[DIRECT] = kept.cell;
        entity->streams[DIRECT] = kept.stream;
    }
    entity->n--;
}
