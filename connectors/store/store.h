/* Store: where checkpoints live. The run loop knows this door; connectors/redis
 * stands behind it. `state: memory` runs without a store.
 *
 * A checkpoint is a consistent cut of the engine at one manifest sequence, whole
 * or absent. The caller cuts, waits until that manifest is committed, then hands
 * the cut over: a store never holds state ahead of Kafka.
 */
#ifndef TSN_CONNECTORS_STORE_STORE_H
#define TSN_CONNECTORS_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connectors/config/config.h"
#include "connectors/failure/failure.h"
#include "connectors/keys/keys.h"
#include "engine/engine.h"

struct tsn_store;

/* What a checkpoint says of itself. */
struct tsn_checkpoint_meta {
    uint64_t sequence; /* manifest sequence it corresponds to; 0: none exists */
    uint8_t program[32];
    uint32_t semantics;
    char cluster_id[64];
    int64_t written_at_ms; /* wall clock, for people */
    uint64_t records;
    uint64_t bytes;
};

/* Connects and checks the server (policy noeviction, version, password). */
struct tsn_store *tsn_store_open(const struct tsn_config *config, const struct tsn_keys *keys,
                                 struct tsn_failure *failure);
void tsn_store_close(struct tsn_store *store);

/* Reads the newest whole checkpoint's meta; sequence 0 when there is none. */
bool tsn_store_meta(struct tsn_store *store, struct tsn_checkpoint_meta *meta,
                    struct tsn_failure *failure);
/* Loads it into a fresh engine. */
bool tsn_store_load(struct tsn_store *store, struct tsn_engine *eng,
                    struct tsn_checkpoint_meta *meta, struct tsn_failure *failure);
/* Takes ownership of the state in the store (a new owner nonce): whoever wrote
 * before loses its next compare-and-set. Call once when becoming the leader. */
bool tsn_store_claim(struct tsn_store *store, struct tsn_failure *failure);

/* Collects a cut: pass tsn_store_collect as the sink of tsn_snapshot_cut, with the
 * store as its user pointer. Copies and seals; no I/O. */
void tsn_store_collect(void *store, const struct tsn_snapshot_record *record);
/* Writes what was collected since the last begin, in a thread of the store's; the
 * result comes by tsn_store_poll. One checkpoint at a time. */
void tsn_store_begin(struct tsn_store *store, const struct tsn_checkpoint_meta *meta);

enum tsn_store_progress { TSN_STORE_IDLE, TSN_STORE_WRITING, TSN_STORE_DONE, TSN_STORE_FAILED };
/* DONE and FAILED are reported once. After FAILED with remedy RETRY the records are
 * kept and begin may be called again; STAND_BY: somebody else owns the state. */
enum tsn_store_progress tsn_store_poll(struct tsn_store *store, struct tsn_failure *failure);
/* The same, waiting up to timeout_ms for the write under way. */
enum tsn_store_progress tsn_store_wait(struct tsn_store *store, tsn_duration_ms timeout_ms,
                                       struct tsn_failure *failure);

#endif
