/* Snapshot: the records of clock, entities and duplicates; see engine.h for what a
 * record is. Called by engine.c.
 *
 * Every record begins with a format number. Bytes are hostile when they come back:
 * whatever they hold, a loader answers with a reason or gives a state that is safe
 * to use. An entity that was damaged but still reads as one is not noticed here:
 * the store authenticates what it keeps.
 */
#ifndef TSN_ENGINE_SNAPSHOT_SNAPSHOT_H
#define TSN_ENGINE_SNAPSHOT_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"
#include "engine/event/dedup.h"
#include "engine/feature/feature.h"
#include "engine/snapshot/bytes.h"

enum {
    TSN_SNAPSHOT_FORMAT = 1,
    TSN_SNAPSHOT_PANES = 2, /* of an entity whose logs have panes */
};

/* A cut on its way out. */
struct tsn_snapshot_out {
    struct tsn_snapshot_bytes bytes; /* scratch */
    tsn_snapshot_sink *sink;
    void *user;
    uint64_t n;                /* records given */
    struct tsn_features *feat; /* whose entities they are */
    tsn_event_ms newest_ms;    /* E when the cut began */
};

struct tsn_snapshot_clock {
    tsn_event_ms newest_ms;
    tsn_event_ms tick_ms;
};

void tsn_snapshot_clock_cut(struct tsn_snapshot_out *out, const struct tsn_snapshot_clock *clock,
                            const struct tsn_features *feat, const struct tsn_dedup *dedup);
bool tsn_snapshot_clock_load(const struct tsn_snapshot_record *record,
                             struct tsn_snapshot_clock *clock, struct tsn_features *feat,
                             struct tsn_dedup *dedup, const char **why);

/* Begins to give the entities of out->feat, to be continued by tsn_features_cut_step; out
 * stays where it is until that is complete. Rows that nothing reads any more are left
 * out. */
void tsn_snapshot_entities_begin(struct tsn_snapshot_out *out, bool whole);
enum tsn_snapshot_loaded {
    TSN_SNAPSHOT_LOADED,
    TSN_SNAPSHOT_WRONG,
    TSN_SNAPSHOT_UNKNOWN, /* streams that this program does not have, or not yet: the
                             clock's record may say how features share logs. No effect */
};
enum tsn_snapshot_loaded tsn_snapshot_entity_load(const struct tsn_snapshot_record *record,
                                                  struct tsn_features *feat, const char **why);

/* An entity's key as records have it, and back. */
void tsn_snapshot_entity_bytes(struct tsn_key key, uint8_t bytes[16]);
struct tsn_key tsn_snapshot_entity_key(const uint8_t bytes[16]);

/* pane.c: the panes of a log, none too. A loader marks the reader wrong for what no writer
 * wrote; what it made of it is safe to free. */
void tsn_snapshot_panes_put(struct tsn_snapshot_bytes *bytes,
                            const struct tsn_window_layout *layout, const struct tsn_cell *cell,
                            tsn_event_ms dead_ms);
void tsn_snapshot_panes_get(struct tsn_snapshot_reader *reader, struct tsn_features *feat,
                            const struct tsn_plan_stream *stream, struct tsn_cell *cell);

/* Begins to give the duplicates, to be continued by tsn_dedup_cut_step. */
void tsn_snapshot_dedup_begin(struct tsn_snapshot_out *out, struct tsn_dedup *dedup, bool whole);
bool tsn_snapshot_dedup_load(const struct tsn_snapshot_record *record, struct tsn_dedup *dedup,
                             const char **why);

#endif
