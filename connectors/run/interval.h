/* Interval: what one Kafka transaction will hold, while it is being made.
 *
 * Steps and messages are collected as the engine computes; sealing adds the
 * manifest. The memory stays until the publisher confirms, because what is
 * published again after an abort is these bytes. Two intervals take turns: k
 * commits while k + 1 fills.
 */
#ifndef TSN_CONNECTORS_RUN_INTERVAL_H
#define TSN_CONNECTORS_RUN_INTERVAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connectors/kafka/kafka.h"
#include "connectors/wire/wire.h"
#include "rules/arena/arena.h"

/* An interval this large waits for the publisher before it takes more: bounds of
 * memory and of the manifest's bytes, counted as they will be written (brokers and the
 * library take records up to 1 MB; the step that fills it may be a swap). Where many
 * partitions hold a backlog and merge.slack is 0, nearly every row is a run of its own:
 * two to four bytes, so some 300,000 rows. */
enum {
    TSN_INTERVAL_MANIFEST_BYTES_MAX = 900 * 1000,
    TSN_INTERVAL_BYTES_MAX = 64 << 20,
    TSN_INTERVAL_MESSAGES_MAX = 50000
};

struct tsn_interval {
    uint64_t sequence;
    struct tsn_arena arena;
    struct tsn_message *messages;
    size_t n_messages, messages_cap;
    size_t bytes;
    struct tsn_step *steps;
    size_t n_steps, steps_cap;
    size_t frame_bytes; /* of the manifest beside its steps, at most */
    size_t steps_bytes; /* of the steps in the manifest */
    bool last_goes_on;  /* the last step is a run that begins where its partition stood */
    size_t n_origins;
    int64_t *stood; /* [n_origins] end of each partition's last run here; -1: none */
    uint64_t n_alerts, n_rejects;
    uint64_t n_offsets;    /* that its runs cover */
    int64_t first_step_ms; /* monotonic; INT64_MAX: none */
    int64_t first_output_ms;
    int64_t *positions; /* [n_origins] at the seal */
    struct tsn_publication publication;
};

/* For manifests of this cluster and these origins. */
void tsn_interval_init(struct tsn_interval *interval, const char *cluster_id,
                       const struct tsn_origin *origins, size_t n_origins);
void tsn_interval_free(struct tsn_interval *interval);
/* Empty, for another sequence. */
void tsn_interval_begin(struct tsn_interval *interval, uint64_t sequence);

/* A run that goes on where the last step of the same partition ended extends it:
 * so batches and polls leave no trace. */
void tsn_interval_run(struct tsn_interval *interval, uint16_t source, int64_t first, int64_t end,
                      int64_t now_ms);
void tsn_interval_tick(struct tsn_interval *interval, int64_t clock_ms, int64_t now_ms);
/* The hash is copied. */
void tsn_interval_swap(struct tsn_interval *interval, const uint8_t program[32], int64_t now_ms);

/* A message whose memory is the interval's arena. */
void tsn_interval_message(struct tsn_interval *interval, const struct tsn_message *message,
                          int64_t now_ms);

/* When to close one. */
struct tsn_interval_pace {
    tsn_duration_ms busy_ms;   /* after the first output */
    tsn_duration_ms behind_ms; /* instead, if it is more, while the engine is behind */
    tsn_duration_ms idle_ms;   /* after the first step, whatever else */
};

/* Is it time to close it? At once when full. lag: records that are not read yet. The engine is
 * behind while they are over four times as many as the interval has: so what is read last waits
 * at most a quarter longer for its alerts than catching up takes. */
bool tsn_interval_due(const struct tsn_interval *interval, const struct tsn_interval_pace *pace,
                      uint64_t lag, int64_t now_ms);
/* When it will be; INT64_MAX: not before something happens. */
int64_t tsn_interval_due_ms(const struct tsn_interval *interval,
                            const struct tsn_interval_pace *pace, uint64_t lag);
bool tsn_interval_full(const struct tsn_interval *interval);

/* Adds the manifest, a message to `topic`; `manifest` comes with everything that the interval does
 * not know: semantics, program, cluster, origins, partitions. positions: after its steps. Then
 * interval->publication can be submitted. */
void tsn_interval_seal(struct tsn_interval *interval, struct tsn_manifest *manifest,
                       const int64_t *positions, const char *topic);

#endif
