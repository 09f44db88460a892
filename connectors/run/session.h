/* Session: everything that one term holds, from following to standing down. Opened
 * and kept up to the committed manifests by whoever waits for the seat (follow.c),
 * taken over (recover.c), driven by the live loop (live.c).
 *
 * Internal to this folder; the door is run.h. One thread: the loop's.
 */
#ifndef TSN_CONNECTORS_RUN_SESSION_H
#define TSN_CONNECTORS_RUN_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "connectors/config/config.h"
#include "connectors/kafka/kafka.h"
#include "connectors/keys/keys.h"
#include "connectors/run/history.h"
#include "connectors/run/interval.h"
#include "connectors/run/machine.h"
#include "connectors/run/origins.h"
#include "connectors/run/resident.h"
#include "connectors/run/run.h"
#include "connectors/run/stages.h"
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
    struct tsn_arena arena;      /* names of origins and the like */
    struct tsn_arena arena_tail; /* the newest manifest when the seat was taken */
    struct tsn_history *history; /* stands behind manifest `replayed` once loaded */
    struct tsn_publisher *publisher;
    struct tsn_machine *machine;
    struct tsn_resident resident; /* cap 0: all entities are in memory */
    struct tsn_bundle *next;      /* program to be put in force by the first step, or NULL */
    bool announce;                /* the first manifest carries the program's bytes */
    bool announce_settings;       /* ... and the settings in force */
    char cluster_id[TSN_CLUSTER_ID_MAX];
    struct tsn_origins origins;
    uint64_t sequence;            /* of the newest committed manifest */
    uint64_t checkpoint_sequence; /* of the newest checkpoint; 0: none */
    bool leading;                 /* the seat is ours: from taking over on */
    /* following */
    bool loaded;              /* origins are known, the checkpoint (if any) is in the machine */
    uint64_t replayed;        /* the state is as of this manifest; 0: of none */
    uint64_t replay_first;    /* manifest that was replayed first; 0: none yet */
    uint64_t target;          /* the newest manifest that is known to be committed */
    int64_t replayed_ms;      /* when manifest `replayed` was committed, wall clock; 0: of none */
    int64_t whole_from_ms;    /* when the first replayed one was, if history begins there */
    size_t n_clipped;         /* partitions whose records the first replayed one has lost */
    int64_t said_ms;          /* last line of progress */
    bool caught_up;           /* what was committed when it was loaded is replayed */
    bool took_over;           /* ... and was before the seat was ours */
    bool waited;              /* for the seat, without following: entities are capped */
    struct tsn_stages stages; /* of the start; of the takeover once that has begun */
};

/* Begins: looks at cluster and topics. `bundle`: the program of the configuration;
 * taken. None of these functions closes anything on failure: tsn_session_close does. */
bool tsn_session_begin(struct tsn_session *session, struct tsn_bundle *bundle,
                       struct tsn_failure *failure);

/* Until the seat is ours: loads the checkpoint, replays the committed manifests as
 * they come, publishes and writes nothing. So that a takeover costs what is left,
 * whatever the size of the state. With a cap on entities in memory it only waits: what
 * it would let go of, the leader's store does not keep for it. */
bool tsn_session_follow(struct tsn_session *session, struct tsn_failure *failure);

/* The seat is ours: from here on its loss ends the term. A takeover is measured from
 * here, a start from its beginning. */
void tsn_session_sit(struct tsn_session *session);

/* Taking over, once seated: fences the one before, takes the store, replays what he committed
 * last. From nothing if there was no time to follow. */
bool tsn_session_recover(struct tsn_session *session, struct tsn_failure *failure);

/* Finds the origins and loads the newest checkpoint, if there is one, into a machine;
 * history stands behind it. `last`: the newest manifest. Used by the two above. */
bool tsn_session_load(struct tsn_session *session, const struct tsn_manifest *last,
                      struct tsn_failure *failure);
/* Replays manifest after manifest up to sequence `last`. */
bool tsn_session_replay(struct tsn_session *session, uint64_t last, struct tsn_failure *failure);
/* "WHAT N ms after the start: servers 12 ms, pack 3 ms, ..." in the log. */
void tsn_session_say_stages(const struct tsn_session *session, const char *what);
/* A machine without state with the program of this hash: the configured one, else as
 * published. */
bool tsn_session_machine(struct tsn_session *session, const uint8_t hash[32],
                         struct tsn_failure *failure);

/* Says what a start would do, one line a subject, and does not do it. False: it would be
 * refused, or a server is away. After begin. */
bool tsn_session_dry(struct tsn_session *session, FILE *out, struct tsn_failure *failure);

/* Ends the term: drops the state, whatever it was doing. */
void tsn_session_close(struct tsn_session *session);

/* The live loop: until a stop is asked for (true: drained, committed, checkpoint
 * written) or something ends the term (false, STAND_BY among it). */
bool tsn_session_live(struct tsn_session *session, struct tsn_failure *failure);

/* The end of waiting in recovery: a stop was asked for, or leadership was lost after
 * it was had. */
bool tsn_session_interrupted(const struct tsn_session *session, struct tsn_failure *failure);

/* The newest committed sequence (0: none), read on a connection of its own. */
bool tsn_session_tail(const struct tsn_config *config, uint64_t *sequence,
                      struct tsn_failure *failure);

#endif
