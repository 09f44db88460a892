/* Session: everything that one term as leader holds, from taking over to standing
 * down. Opened by recovery (recover.c), driven by the live loop (live.c).
 *
 * Internal to this folder; the door is run.h. One thread: the loop's.
 */
#ifndef TSN_CONNECTORS_RUN_SESSION_H
#define TSN_CONNECTORS_RUN_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connectors/config/config.h"
#include "connectors/kafka/kafka.h"
#include "connectors/keys/keys.h"
#include "connectors/run/history.h"
#include "connectors/run/interval.h"
#include "connectors/run/machine.h"
#include "connectors/run/origins.h"
#include "connectors/run/run.h"
#include "connectors/store/store.h"

struct tsn_session {
    /* given */
    const struct tsn_config *config;
    const struct tsn_run_options *options;
    const struct tsn_keys *keys;
    struct tsn_kafka *kafka;
    struct tsn_store *store; /* NULL: state: memory */
    struct tsn_leader *leader;
    /* the term's own */
    struct tsn_arena arena; /* names of origins and the like */
    struct tsn_history *history;
    struct tsn_publisher *publisher;
    struct tsn_machine *machine;
    struct tsn_bundle *next; /* program to be put in force by the first step, or NULL */
    bool announce;           /* the first manifest carries the program's bytes */
    char cluster_id[TSN_CLUSTER_ID_MAX];
    struct tsn_origins origins;
    uint64_t sequence;            /* of the newest committed manifest */
    uint64_t checkpoint_sequence; /* of the newest checkpoint; 0: none */
};

/* Brings the session from nothing to the newest committed manifest: fences the one
 * before, checks that log, topics and state fit, loads the checkpoint, replays the
 * manifests after it without publishing. `bundle`: the program of the configuration;
 * taken. Closes nothing on failure: tsn_session_close does. */
bool tsn_session_recover(struct tsn_session *session, struct tsn_bundle *bundle,
                         struct tsn_failure *failure);

/* Ends the term: drops the state, whatever it was doing. */
void tsn_session_close(struct tsn_session *session);

/* The live loop: until a stop is asked for (true: drained, committed, checkpoint
 * written) or something ends the term (false, STAND_BY among it). */
bool tsn_session_live(struct tsn_session *session, struct tsn_failure *failure);

/* The end of waiting in recovery: a stop was asked for, or leadership was lost. */
bool tsn_session_interrupted(const struct tsn_session *session, struct tsn_failure *failure);

/* For tsn_publisher_settings: the newest committed sequence, read on a connection of
 * its own. `user` is a const struct tsn_config. */
bool tsn_session_tail(void *user, uint64_t *sequence, struct tsn_failure *failure);

#endif
