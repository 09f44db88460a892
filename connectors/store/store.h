/* Store: where checkpoints live. The run loop knows this door; connectors/redis
 * stands behind it. `state: memory` runs without a store.
 *
 * A checkpoint is a consistent cut of the engine at one manifest sequence, whole
 * or absent. The caller cuts, waits until that manifest is committed, then hands
 * the cut over: a store never holds state ahead of Kafka.
 *
 * The order in a leader's life:
 *   open -> claim -> meta, load (or nothing stored) -> follow the manifests; or, for a
 *   standby, load -> follow -> claim; then
 *   again and again: tsn_snapshot_begin(eng, tsn_store_wants_whole(store),
 *   tsn_store_collect, store), wait for Kafka's commit; send; steps while there is room,
 *   until it is complete; begin; poll -> close.
 *
 * All functions are called by one thread, the caller's; the store has one more of
 * its own, which writes. How state lies in Redis, and why each crash leaves a whole
 * checkpoint behind: connectors/store/layout.h.
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
    uint64_t records;      /* filled by the store: in this checkpoint's cut */
    uint64_t bytes;        /* the same: bytes written for it */
    bool whole;            /* given to begin: the cut held all records */
};

/* Connects and checks the server (policy noeviction, version, password, role).
 * RETRY when it cannot be reached or is still loading; CONFIG when a person must
 * mend something: the text says what. */
struct tsn_store *tsn_store_open(const struct tsn_config *config, const struct tsn_keys *keys,
                                 struct tsn_failure *failure);
/* Waits for the write under way, at most the configured redis time-out a command. */
void tsn_store_close(struct tsn_store *store);

/* What is allowed and yet unwise about this server (no appendonly, a check that an
 * ACL forbade); NULL when there is nothing to say. For the log at start. */
const char *tsn_store_warning(const struct tsn_store *store);

/* Reads the newest whole checkpoint's meta; sequence 0 when there is none. */
bool tsn_store_meta(struct tsn_store *store, struct tsn_checkpoint_meta *meta,
                    struct tsn_failure *failure);

/* Loads it into a fresh engine. After a failure the engine holds part of a state:
 * throw it away. RETRY: load again (the checkpoint moved on, Redis went away);
 * CONFIG: what is stored cannot be used (lost in part, rolled back, other key):
 * the text says so; state can be rebuilt from Kafka. With sequence 0 in *meta
 * nothing was stored and nothing loaded. */
bool tsn_store_load(struct tsn_store *store, struct tsn_engine *eng,
                    struct tsn_checkpoint_meta *meta, struct tsn_failure *failure);

/* The same for whoever is no engine. The record is borrowed for the call; false
 * with a static reason in *why ends the load. */
typedef bool tsn_store_reader(void *user, const struct tsn_snapshot_record *record,
                              const char **why);
bool tsn_store_read(struct tsn_store *store, tsn_store_reader *reader, void *user,
                    struct tsn_checkpoint_meta *meta, struct tsn_failure *failure);

/* Who takes what a load reads, all in the caller's thread. */
struct tsn_store_taker {
    tsn_store_reader *reader;
    /* or NULL: this record comes soon, unless the load fails: a prefetch. */
    void (*ahead)(void *user, const struct tsn_snapshot_record *record);
    /* or NULL: about how many records come in all; called once, early. */
    void (*expect)(void *user, uint64_t records);
    void *user;
};
bool tsn_store_take(struct tsn_store *store, const struct tsn_store_taker *taker,
                    struct tsn_checkpoint_meta *meta, struct tsn_failure *failure);

/* The newest stored versions of the records of a section with these keys, in no order,
 * while checkpoints go on being written; on a connection of its own, in the caller's
 * thread. One may come twice, when a checkpoint was committed meanwhile. After a claim. RETRY:
 * Redis is away, ask again later; what the reader was given is right. RECOVER: one of them is not
 * there, or what is there is not what this store wrote or claimed: the state must be recovered. One
 * round trip. */
bool tsn_store_fetch(struct tsn_store *store, enum tsn_snapshot_section section,
                     const uint8_t (*keys)[16], size_t n, tsn_store_reader *reader, void *user,
                     struct tsn_failure *failure);

/* How far a load is, called about once a percent; NULL for none. */
typedef void tsn_store_watcher(void *user, unsigned percent, uint64_t records, uint64_t bytes);
void tsn_store_watch(struct tsn_store *store, tsn_store_watcher *watcher, void *user);

/* Takes ownership of the state in the store (a new owner nonce): whoever wrote
 * before loses its next compare-and-set. Call once when becoming the leader. */
bool tsn_store_claim(struct tsn_store *store, struct tsn_failure *failure);

/* Whether the next cut must hold all records, because what the store has is not
 * what the engine's changes build on: nothing was loaded, somebody wrote since, or
 * Redis lost or rolled back what it had. Ask before every cut; say what was cut in
 * meta.whole. Cheap. */
bool tsn_store_wants_whole(struct tsn_store *store);

/* Collects a cut: pass tsn_store_collect as the sink of tsn_snapshot_begin, with the
 * store as its user pointer. One copy into a buffer; no I/O, no sealing: that is
 * done by the writing thread. Not between begin and the result of poll. */
void tsn_store_collect(void *store, const struct tsn_snapshot_record *record);
/* What is collected for this cut may reach Redis from now on: its manifest is committed. A
 * whole cut is then written while it is collected, and what Redis has acknowledged is not
 * kept: it never stands in memory beside the state. One of changes is kept until all of it is
 * stored, for a try that fails does not lose them; so it waits for begin, and nothing
 * happens here. Said again for the same cut, nothing happens either. From then on nothing but
 * collect, room and fetch until begin. */
void tsn_store_send(struct tsn_store *store, const struct tsn_checkpoint_meta *meta);
/* Of a whole cut, bytes in memory: the engine waits for the sender beyond that. Enough that a
 * loop that comes by every 50 ms keeps a fast Redis busy. */
enum { TSN_STORE_HELD_MAX = 64 * 1024 * 1024 };
/* Bytes of a cut that are collected and not acknowledged yet; of changes that are being
 * written, or kept for another try, those that the thread has not taken. */
size_t tsn_store_held(struct tsn_store *store);
/* Whether more of a cut should be taken now; false: the store holds as much of it as it
 * likes to. A cut of changes always has room. What the engine gives because it is about to
 * change is taken whatever this says. Cheap. */
bool tsn_store_room(struct tsn_store *store, const struct tsn_checkpoint_meta *meta);
/* The cut is complete and its manifest committed: writes what was collected since the last
 * begin, in a thread of the store's; the result comes by tsn_store_poll. One checkpoint at a
 * time. Sequences never fall, except for a whole cut. meta is what it was for send. */
void tsn_store_begin(struct tsn_store *store, const struct tsn_checkpoint_meta *meta);

enum tsn_store_progress { TSN_STORE_IDLE, TSN_STORE_WRITING, TSN_STORE_DONE, TSN_STORE_FAILED };
/* Of changes, bytes kept after a write that failed: some five seconds' at 50,000 entities of
 * 1 KB. When more has changed until Redis is back, all is written anew, from the engine's
 * memory; with a cap on entities that cannot be, and all changes are kept. */
enum { TSN_STORE_KEPT_MAX = 256 * 1024 * 1024 };
/* DONE and FAILED are reported once, and after begin. After FAILED with remedy RETRY the
 * records of changes are kept, if they are not too many: cut again (changes since, or all
 * when wants_whole says so) and begin again; newer records replace kept ones. A whole cut is
 * not kept, and wanted again. STAND_BY: somebody else owns the state. No other
 * remedy comes from a write: whatever a person must mend in Redis, the engine goes
 * on without it and the text says what. */
enum tsn_store_progress tsn_store_poll(struct tsn_store *store, struct tsn_failure *failure);
/* The same, waiting up to timeout_ms for the write under way. */
enum tsn_store_progress tsn_store_wait(struct tsn_store *store, tsn_duration_ms timeout_ms,
                                       struct tsn_failure *failure);

#endif
