/* What walk.c, visit.c and rows.c share: finding an entity's record, making rows, and
 * giving a value to its slot. For these files alone.
 */
#ifndef TSN_ENGINE_FEATURE_WALK_H
#define TSN_ENGINE_FEATURE_WALK_H

#include "engine/feature/feature.h"

static inline bool key_missing(struct tsn_key key)
{
    return (key.lo | key.hi) == 0;
}

static inline void *record_live(const struct tsn_table *table, struct tsn_key_rows *rows,
                                uint32_t at, struct tsn_key key)
{
    struct tsn_key *record = rows->records[at];
    if (record && record->lo == key.lo && record->hi == key.hi) {
        return record;
    }
    rows->records[at] = tsn_table_find(table, key);
    return rows->records[at];
}

static inline struct tsn_entity *entity_find(struct tsn_features *feat, struct tsn_key_rows *rows,
                                             uint32_t at)
{
    return record_live(&feat->entities, rows, at, rows->keys[at]);
}

static inline struct tsn_entity *entity_for_write(struct tsn_features *feat,
                                                  struct tsn_key_rows *rows, uint32_t at)
{
    struct tsn_entity *entity = entity_find(feat, rows, at);
    if (!entity) {
        entity = tsn_features_entity(feat, rows->keys[at]);
        rows->records[at] = entity;
    } else if (entity->changed != feat->epoch) {
        tsn_features_touch(feat, entity);
    }
    return entity;
}

static inline void newest_raise(struct tsn_entity *entity, tsn_event_ms time_ms)
{
    if (time_ms > entity->newest_ms) {
        entity->newest_ms = time_ms;
    }
}

/* A value that is missing, an error, or narrower than 8 bytes. */
void tsn_walk_slot_give(struct tsn_features *feat, struct tsn_column *slot, uint32_t at,
                        const struct tsn_reading *reading);

static inline void item_give(struct tsn_features *feat, const struct tsn_plan_item *item,
                             struct tsn_column *slots, uint32_t at,
                             const struct tsn_reading *reading)
{
    struct tsn_column *slot = &slots[item->slot];
    if (item->wide && reading->state == TSN_STATE_VALUE) {
        slot->i64[at] = reading->i;
        tsn_bits_set(slot->valid, at);
    } else {
        tsn_walk_slot_give(feat, slot, at, reading);
    }
}

/* After tsn_window_read: if the value may be off, its cell says so. */
void tsn_walk_slot_approximate(struct tsn_features *feat, struct tsn_column *slot, uint32_t at);

static inline void item_mark(struct tsn_features *feat, const struct tsn_window_view *view,
                             struct tsn_column *slot, uint32_t at)
{
    if (view->panes && view->approximate) {
        tsn_walk_slot_approximate(feat, slot, at);
    }
}

/* The row as the stream keeps it, in to[stride]. Text is copied: the row owns it. */
void tsn_walk_row_make(struct tsn_features *feat, const struct tsn_plan_stream *stream,
                       const struct tsn_row *row, uint64_t conds, uint64_t *to);

/* Rows [at, at + n) of an event type as a stream keeps them, and which filters hold. */
struct tsn_made_rows {
    uint32_t at, n;
    uint64_t *words; /* [n * stride] */
    uint64_t conds[TSN_WALK_CHUNK];
};
/* Fills words and conds. For streams without text: rows that are not written after all
 * own nothing. */
void tsn_walk_rows_make(const struct tsn_walk *walk, int stream, struct tsn_made_rows *made);

static inline uint64_t conds_at(const struct tsn_plan_stream *stream,
                                const struct tsn_stream_conds *conds, uint32_t at)
{
    uint64_t word = 0;
    for (int c = 0; c < stream->n_conds; c++) {
        bool holds = !conds->value[c] ||
                     (tsn_bits_get(conds->value[c], at) && tsn_bits_get(conds->valid[c], at));
        word |= (uint64_t)holds << c;
    }
    return word;
}

/* Visits of the rows [from, to) to a stepwise stream, at most TSN_WALK_CHUNK rows, are
 * listed; filters are ready. Walks what is listed already if that is a lot. */
void tsn_visits_list(const struct tsn_walk *walk, int stream, uint32_t from, uint32_t to);
/* Does all visits that are listed, each stream's in row order. */
void tsn_visits_walk(struct tsn_features *feat);
/* Visits in a list at most, for streams of so many steps a row; and rows made for them. */
size_t tsn_visits_most(size_t n_steps_max);
size_t tsn_visits_rows_most(void);

#endif
