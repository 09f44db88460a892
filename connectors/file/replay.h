/* Replay: newline-JSON files through the engine, without Kafka or Redis.
 *
 * Always the input whose next record is oldest goes on, ties to the one named
 * first; otherwise an input is in file order. The output depends on the files, the
 * configuration and the pack only: not on batch size, not on the clock. The
 * command, golden tests and the demo all use it.
 */
#ifndef TSN_CONNECTORS_FILE_REPLAY_H
#define TSN_CONNECTORS_FILE_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "connectors/config/config.h"
#include "connectors/decode/decode.h"
#include "connectors/failure/failure.h"
#include "connectors/keys/keys.h"
#include "engine/engine.h"
#include "rules/diag/diag.h"

struct tsn_file_input {
    const char *source; /* a source of the configuration */
    const char *path;   /* "-" is standard input */
};

struct tsn_file_progress {
    uint64_t records;
    uint64_t alerts;
    uint64_t bytes_done;
    uint64_t bytes_total; /* 0: unknown */
};

struct tsn_file_replay {
    const struct tsn_config *config;
    const struct tsn_program *prog;
    const struct tsn_keys *keys;
    size_t n_inputs;
    const struct tsn_file_input *inputs;
    uint32_t batch_rows; /* 0: the configuration's; changes speed only */
    FILE *alerts;        /* each may be NULL */
    FILE *features;
    FILE *rejects;
    /* Called after every batch; false stops cleanly. May be NULL. */
    bool (*progress)(void *user, const struct tsn_file_progress *progress);
    void *user;
    int stop_fd; /* readable: do not wait for a silent pipe, ask progress; 0: none */
};

struct tsn_file_result {
    uint64_t records; /* lines that are not empty */
    uint64_t bytes;
    uint64_t rejects[TSN_REJECT_REASONS];
    uint64_t *alerts; /* [prog->n_typologies]; shadow ones too. malloc'd, the caller's */
    struct tsn_engine_counts counts;
    bool stopped; /* by progress */
};

/* Would tsn_file_replay begin? Each source is known and its mapping fits the pack. For
 * a caller that opens its outputs, and so empties them, only then. Errors in diags. */
bool tsn_file_replay_check(const struct tsn_file_replay *replay, struct tsn_diags *diags);

/* False with a failure (input missing, unreadable, disk full) or with errors in
 * diags (an unknown source, a mapping that does not fit the pack). What was written
 * until then is whole lines. */
bool tsn_file_replay(const struct tsn_file_replay *replay, struct tsn_file_result *result,
                     struct tsn_diags *diags, struct tsn_failure *failure);

#endif
