#include "connectors/run/interval.h"

#include <stdlib.h>
#include <string.h>

#include "rules/must/must.h"

enum { BEHIND = 4 }; /* times what the interval has is left to read */

void tsn_interval_init(struct tsn_interval *interval, const char *cluster_id,
                       const struct tsn_origin *origins, size_t n_origins)
{
    memset(interval, 0, sizeof *interval);
    tsn_arena_init(&interval->arena, 0);
    interval->n_origins = n_origins;
    interval->frame_bytes = tsn_wire_manifest_frame_bytes(cluster_id, origins, n_origins);
    interval->positions = calloc(n_origins ? n_origins : 1, sizeof *interval->positions);
    interval->stood = calloc(n_origins ? n_origins : 1, sizeof *interval->stood);
    TSN_MUST_ALLOC(interval->positions);
    TSN_MUST_ALLOC(interval->stood);
    tsn_interval_begin(interval, 0);
}

void tsn_interval_free(struct tsn_interval *interval)
{
    tsn_arena_free(&interval->arena);
    free(interval->messages);
    free(interval->steps);
    free(interval->positions);
    free(interval->stood);
    memset(interval, 0, sizeof *interval);
}

void tsn_interval_begin(struct tsn_interval *interval, uint64_t sequence)
{
    tsn_arena_reset(&interval->arena);
    interval->sequence = sequence;
    interval->n_messages = 0;
    interval->n_steps = 0;
    interval->steps_bytes = 0;
    for (size_t i = 0; i < interval->n_origins; i++) {
        interval->stood[i] = -1;
    }
    interval->bytes = 0;
    interval->n_alerts = 0;
    interval->n_rejects = 0;
    interval->n_offsets = 0;
    interval->first_step_ms = INT64_MAX;
    interval->first_output_ms = INT64_MAX;
}

static struct tsn_step *add_step(struct tsn_interval *interval, int64_t now_ms)
{
    if (interval->n_steps == interval->steps_cap) {
        interval->steps_cap = interval->steps_cap ? 2 * interval->steps_cap : 64;
        interval->steps = realloc(interval->steps, interval->steps_cap * sizeof *interval->steps);
        TSN_MUST_ALLOC(interval->steps);
    }
    if (interval->first_step_ms == INT64_MAX) {
        interval->first_step_ms = now_ms;
    }
    return &interval->steps[interval->n_steps++];
}

void tsn_interval_run(struct tsn_interval *interval, uint16_t source, int64_t first, int64_t end,
                      int64_t now_ms)
{
    TSN_MUST(first <= end && source < interval->n_origins);
    if (first == end) {
        return;
    }
    struct tsn_step *step =
        interval->n_steps ? &interval->steps[interval->n_steps - 1] : NULL; /* the last one */
    if (step && step->kind == TSN_STEP_RUN && step->source == source && step->end == first) {
        interval->steps_bytes -= tsn_wire_step_bytes(step, interval->last_goes_on);
        step->end = end;
    } else {
        step = add_step(interval, now_ms);
        *step =
            (struct tsn_step){.kind = TSN_STEP_RUN, .source = source, .first = first, .end = end};
        interval->last_goes_on = interval->stood[source] == first;
    }
    interval->steps_bytes += tsn_wire_step_bytes(step, interval->last_goes_on);
    interval->stood[source] = end;
    interval->n_offsets += (uint64_t)(end - first);
}

void tsn_interval_tick(struct tsn_interval *interval, int64_t clock_ms, int64_t now_ms)
{
    struct tsn_step *step = add_step(interval, now_ms);
    *step = (struct tsn_step){.kind = TSN_STEP_TICK, .clock_ms = clock_ms};
    interval->steps_bytes += tsn_wire_step_bytes(step, false);
}

void tsn_interval_swap(struct tsn_interval *interval, const uint8_t program[32], int64_t now_ms)
{
    struct tsn_step *step = add_step(interval, now_ms);
    uint8_t *hash = tsn_arena_alloc(&interval->arena, 32);
    memcpy(hash, program, 32);
    *step = (struct tsn_step){.kind = TSN_STEP_SWAP, .program = hash};
    interval->steps_bytes += tsn_wire_step_bytes(step, false);
}

void tsn_interval_message(struct tsn_interval *interval, const struct tsn_message *message,
                          int64_t now_ms)
{
    if (interval->n_messages == interval->messages_cap) {
        interval->messages_cap = interval->messages_cap ? 2 * interval->messages_cap : 256;
        interval->messages =
            realloc(interval->messages, interval->messages_cap * sizeof *interval->messages);
        TSN_MUST_ALLOC(interval->messages);
    }
    interval->messages[interval->n_messages++] = *message;
    interval->bytes += message->len + message->key_len;
    if (interval->first_output_ms == INT64_MAX) {
        interval->first_output_ms = now_ms;
    }
}

static int64_t after(int64_t at_ms, tsn_duration_ms wait_ms)
{
    return at_ms == INT64_MAX ? INT64_MAX : at_ms + wait_ms;
}

int64_t tsn_interval_due_ms(const struct tsn_interval *interval,
                            const struct tsn_interval_pace *pace, uint64_t lag)
{
    bool behind = lag / BEHIND > interval->n_offsets && pace->behind_ms > pace->busy_ms;
    int64_t busy = after(interval->first_output_ms, behind ? pace->behind_ms : pace->busy_ms);
    int64_t idle = after(interval->first_step_ms, pace->idle_ms);
    return busy < idle ? busy : idle;
}

bool tsn_interval_full(const struct tsn_interval *interval)
{
    size_t manifest_bytes = interval->frame_bytes + interval->steps_bytes;
    return (interval->n_steps && manifest_bytes >= TSN_INTERVAL_MANIFEST_BYTES_MAX) ||
           interval->bytes >= TSN_INTERVAL_BYTES_MAX ||
           interval->n_messages >= TSN_INTERVAL_MESSAGES_MAX;
}

bool tsn_interval_due(const struct tsn_interval *interval, const struct tsn_interval_pace *pace,
                      uint64_t lag, int64_t now_ms)
{
    return tsn_interval_full(interval) || tsn_interval_due_ms(interval, pace, lag) <= now_ms;
}

void tsn_interval_seal(struct tsn_interval *interval, struct tsn_manifest *manifest,
                       const int64_t *positions, const char *topic)
{
    memcpy(interval->positions, positions, manifest->n_origins * sizeof *positions);
    manifest->sequence = interval->sequence;
    manifest->positions = interval->positions;
    manifest->n_steps = interval->n_steps;
    manifest->steps = interval->steps;
    manifest->n_alerts = interval->n_alerts;
    manifest->n_rejects = interval->n_rejects;
    struct tsn_message message;
    tsn_wire_manifest(manifest, &interval->arena, &message);
    message.topic = topic;
    tsn_interval_message(interval, &message, interval->first_output_ms);
    interval->publication = (struct tsn_publication){
        .sequence = interval->sequence,
        .messages = interval->messages,
        .n = interval->n_messages,
        .origins = manifest->origins,
        .positions = interval->positions,
        .n_origins = manifest->n_origins,
    };
}
