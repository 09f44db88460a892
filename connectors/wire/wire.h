/* Wire: the bytes of what tocsin says and reads - alerts, rejects, manifests -
 * as documented in docs/ (alert.schema.json, asyncapi.yaml).
 *
 * Equal values give equal bytes: member order and number format are fixed.
 */
#ifndef TSN_CONNECTORS_WIRE_WIRE_H
#define TSN_CONNECTORS_WIRE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connectors/decode/decode.h"
#include "connectors/keys/keys.h"
#include "engine/engine.h"
#include "rules/arena/arena.h"

struct tsn_header {
    const char *name;
    const char *value;
    size_t len;
};

/* A record to be written: to Kafka with its headers, to a file as its value. All
 * memory is the arena's. */
struct tsn_message {
    const char *topic;
    const char *key;
    size_t key_len;
    const char *value;
    size_t len;
    size_t n_headers;
    const struct tsn_header *headers;
};

/* What rows' `source` means: a topic and partition, or a file (partition -1). */
struct tsn_origin {
    const char *topic;
    int32_t partition;
};

struct tsn_wire {
    const struct tsn_program *prog;
    const struct tsn_keys *keys;
    const char *instance;
    const char *alerts_topic;
    const char *rejects_topic;
    const struct tsn_origin *origins;
    size_t n_origins;
};

/* An alert as a CloudEvents 1.0 binary-mode record: ce_* headers with pseudonyms
 * only, key = the entity, value = JSON. */
void tsn_wire_alert(const struct tsn_wire *wire, const struct tsn_alert *alert,
                    struct tsn_arena *arena, struct tsn_message *message);

/* A reject: the original bytes, key and headers, and why. Beyond 64 KiB of value
 * it carries the first 64 KiB and truncated=1. */
void tsn_wire_reject(const struct tsn_wire *wire, const struct tsn_record *record,
                     const struct tsn_reject *reject, const char *key, size_t key_len,
                     const struct tsn_header *headers, size_t n_headers, struct tsn_arena *arena,
                     struct tsn_message *message);

/* ---- manifest --------------------------------------------------------------- */

enum tsn_step_kind { TSN_STEP_RUN, TSN_STEP_TICK, TSN_STEP_SWAP };

/* One step of the engine's input, in order. A run names the offsets
 * [first, end) of one partition; offsets without a record (markers, aborted) are
 * skipped the same way by who replays it. Small: a backlog over many partitions has
 * nearly a step a row. */
struct tsn_step {
    enum tsn_step_kind kind;
    uint16_t source; /* RUN: index into the manifest's origins */
    union {
        struct {
            int64_t first, end;
        };                      /* RUN */
        int64_t clock_ms;       /* TICK */
        const uint8_t *program; /* SWAP: its hash, 32 bytes; the program is in its topic */
    };
};

struct tsn_manifest {
    uint64_t sequence;   /* 1, 2, ... */
    uint32_t semantics;  /* TSN_ENGINE_SEMANTICS of the writer */
    uint8_t program[32]; /* in force before the first step */
    /* Digest of the settings and mappings in force; zeros: unknown (format 1). */
    uint8_t settings[32];
    const char *cluster_id;
    size_t n_origins; /* partitions owned; stable order */
    const struct tsn_origin *origins;
    const int64_t *positions;  /* [n_origins] next offset after this manifest */
    const int32_t *partitions; /* [n_origins] partition count of the topic when written */
    size_t n_steps;
    const struct tsn_step *steps;
    uint64_t n_alerts, n_rejects; /* in this transaction, for accounting */
};

/* Bytes of a step in a manifest, with the comma after it. goes_on: a run that begins where
 * the run of its partition before it in the same manifest ended. */
size_t tsn_wire_step_bytes(const struct tsn_step *step, bool goes_on);
/* Most bytes that a manifest of these origins has beside its steps. */
size_t tsn_wire_manifest_frame_bytes(const char *cluster_id, const struct tsn_origin *origins,
                                     size_t n_origins);
/* JSON, one line; see docs/MANIFEST.md. */
void tsn_wire_manifest(const struct tsn_manifest *manifest, struct tsn_arena *arena,
                       struct tsn_message *message);
/* False with a reason in *why (in the arena) for what is not a manifest of this format. */
bool tsn_wire_manifest_read(const char *bytes, size_t len, struct tsn_arena *arena,
                            struct tsn_manifest *manifest, const char **why);

#endif
