/* The machine: an engine, its program, and the feed that gives it rows.
 *
 * One thing drives it in two ways: the live loop chooses steps by the merge and
 * writes them down, a replay takes the steps that were written down. Both go
 * through the functions here, so that what a replay computes cannot differ from
 * what was computed live. One thread.
 */
#ifndef TSN_CONNECTORS_RUN_MACHINE_H
#define TSN_CONNECTORS_RUN_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connectors/config/config.h"
#include "connectors/keys/keys.h"
#include "connectors/run/bundle.h"
#include "connectors/run/feed.h"
#include "connectors/run/in_force.h"
#include "connectors/run/resident.h"
#include "connectors/wire/wire.h"
#include "engine/engine.h"

/* Who wants to see what comes out; any function may be NULL. */
struct tsn_visitor {
    void *user;
    /* After tsn_engine_rows: the engine's exports are those of this batch. */
    void (*rows)(void *user, const struct tsn_engine *eng, const struct tsn_program *prog,
                 const struct tsn_batch *batch);
    void (*alert)(void *user, const struct tsn_wire *wire, const struct tsn_alert *alert);
    void (*rejected)(void *user, const struct tsn_wire *wire, const struct tsn_rejected *rejected);
    /* Between two batches of a long replay: false stops it. */
    bool (*go_on)(void *user);
};

struct tsn_machine {
    const struct tsn_config *config;
    const struct tsn_keys *keys;
    size_t n_origins;
    const struct tsn_origin *origins;
    struct tsn_bundle *bundle; /* in force */
    struct tsn_in_force in_force;
    struct tsn_engine *eng;
    struct tsn_feed *feed;   /* NULL until fed */
    struct tsn_batch *batch; /* rows taken and not processed yet */
    struct tsn_output out;
    struct tsn_wire wire;
    const struct tsn_visitor *visitor;
    struct tsn_resident *resident; /* borrowed; NULL: all entities are in memory */
    uint64_t n_rows;               /* processed */
    uint64_t n_rejected;
};

/* A machine without state. Takes the bundle; origins are borrowed. `visitor` may be
 * set later. */
struct tsn_machine *tsn_machine_new(const struct tsn_config *config, const struct tsn_keys *keys,
                                    struct tsn_bundle *bundle, const struct tsn_origin *origins,
                                    size_t n_origins);
void tsn_machine_free(struct tsn_machine *machine);

/* Opens (or opens anew) the feed at positions. */
bool tsn_machine_feed(struct tsn_machine *machine, const int64_t *positions,
                      struct tsn_failure *failure);

/* Takes from a lane as tsn_feed_take says; rejects go to the visitor. */
int64_t tsn_machine_take(struct tsn_machine *machine, size_t lane, tsn_event_ms until_ms,
                         int64_t limit);
/* Brings the entities of the taken rows into memory, if some are in the store alone. */
enum tsn_residence tsn_machine_bring(struct tsn_machine *machine, int64_t now_ms,
                                     struct tsn_failure *failure);
/* Gives the taken rows to the engine and what comes out to the visitor. Their entities
 * are in memory. */
void tsn_machine_process(struct tsn_machine *machine);
/* True if a timer fired. No rows may wait. */
bool tsn_machine_tick(struct tsn_machine *machine, int64_t clock_ms);
/* Puts another program in force; takes it. Rows that were decoded for the old one are
 * read again. */
bool tsn_machine_swap(struct tsn_machine *machine, struct tsn_bundle *bundle,
                      struct tsn_failure *failure);

/* Was it written by this engine's semantics and under these settings? CONFIG if not: it
 * would be replayed differently. */
bool tsn_machine_may_play(struct tsn_in_force *in_force, const struct tsn_manifest *manifest,
                          struct tsn_kafka *kafka, struct tsn_failure *failure);

/* Replays the steps of a manifest. `kafka` serves the programs of swaps. The
 * manifest's origins are a prefix of the machine's. Offsets before a lane's position
 * are not there any more and are left out. Waits for records up to 30 s. */
bool tsn_machine_play(struct tsn_machine *machine, const struct tsn_manifest *manifest,
                      struct tsn_kafka *kafka, struct tsn_failure *failure);

#endif
