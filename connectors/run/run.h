/* The door of connectors/run: `tocsin run`, and the replay of committed manifests.
 *
 * Order of truth (docs/RECOVERY.md): a committed manifest is the only thing that
 * says what was processed. State in memory may be ahead of it, a checkpoint may
 * never be.
 */
#ifndef TSN_CONNECTORS_RUN_RUN_H
#define TSN_CONNECTORS_RUN_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "connectors/config/config.h"
#include "connectors/failure/failure.h"
#include "connectors/keys/keys.h"
#include "connectors/wire/wire.h"
#include "engine/engine.h"

struct tsn_run_options {
    bool from_end;         /* first start without a manifest: only what comes from now on */
    int64_t status_ms;     /* between status lines; 0: none */
    bool exit_when_fenced; /* by another instance, after having led; else follow it */
    bool dry_recover;      /* say on stdout what a start would do, change nothing */
    /* After every confirmed commit, in the loop's thread; NULL: nobody asks. n_rows:
     * events processed by then, those of a replay before among them. */
    void (*committed)(void *user, uint64_t sequence, uint64_t n_rows);
    void *user;
};

/* Runs until SIGTERM or SIGINT. Returns an exit code of enum tsn_exit. */
int tsn_run(const struct tsn_config *config, const struct tsn_run_options *options);

/* The configuration's secret, or the open one under `insecure: true` or when no key
 * file is named and none is needed (state in memory). NULL with a failure. */
struct tsn_keys *tsn_run_keys(const struct tsn_config *config, struct tsn_failure *failure);

/* ---- replay of the committed manifests ----------------------------------------- */

/* Who takes the output; any function may be NULL. Called in processing order, in
 * the caller's thread. */
struct tsn_replay_visitor {
    void *user;
    /* Once, before anything else; the origins live until the replay returns. */
    void (*begin)(void *user, const struct tsn_origin *origins, size_t n_origins);
    /* After every batch; the engine's exports (tsn_engine_slots ...) are of it. */
    void (*rows)(void *user, const struct tsn_engine *eng, const struct tsn_program *prog,
                 const struct tsn_batch *batch);
    void (*alert)(void *user, const struct tsn_message *message);
    void (*reject)(void *user, const struct tsn_message *message);
    /* The same reject as values: for whoever writes it in another form. */
    void (*rejected)(void *user, const struct tsn_record *record, const struct tsn_reject *reject);
    /* After every manifest. */
    void (*progress)(void *user, uint64_t sequence, uint64_t last_sequence);
};

struct tsn_replay_range {
    uint64_t from;     /* output from this manifest sequence on; 0: from the first */
    uint64_t to;       /* and up to this one; 0: the newest */
    bool any_settings; /* also manifests of other settings or engine semantics */
};

struct tsn_replay_totals {
    uint64_t first_sequence, last_sequence; /* that were replayed, muted ones too */
    uint64_t rows, rejects, alerts;         /* of the output */
    struct tsn_engine_counts counts;
};

/* The reference of promise 2: reads the committed manifests, fetches exactly their
 * runs and runs the engine from empty state, with the program of each day. Changes
 * nothing anywhere. False with a failure. */
bool tsn_replay_manifests(const struct tsn_config *config, const struct tsn_keys *keys,
                          struct tsn_replay_range range, const struct tsn_replay_visitor *visitor,
                          struct tsn_replay_totals *totals, struct tsn_failure *failure);

#endif
