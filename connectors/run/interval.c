#include "connectors/run/interval.h"

#include <stdlib.h>
#include <string.h>

#include "rules/must/must.h"

void tsn_interval_init(struct tsn_interval *interval, size_t n_origins)
{
    memset(interval, 0, sizeof *interval);
    tsn_arena_init(&interval->arena, 0);
    interval->positions = calloc(n_origins ? n_origins : 1, sizeof *interval->positions);
    TSN_MUST_ALLOC(interval->positions);
    tsn_interval_begin(interval, 0);
}

void tsn_interval_free(struct tsn_interval *interval)
{
    tsn_arena_free(&interval->arena);
    free(interval->messages);
    free(interval->steps);
    free(interval->positions);
    memset(interval, 0, sizeof *interval);
}

void tsn_interval_begin(struct tsn_interval *interval, uint64_t sequence)
{
    tsn_arena_reset(&interval->arena);
    interval->sequence = sequence;
    interval->n_messages = 0;
    interval->n_steps = 0;
    interval->bytes = 0;
    interval->n_alerts = 0;
    interval->n_rejects = 0;
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
    struct tsn_step *step = &interval->steps[interval->n_steps++];
    memset(step, 0, sizeof *step);
    return step;
}

void tsn_interval_run(struct tsn_interval *interval, uint16_t source, int64_t first, int64_t end,
                      int64_t now_ms)
{
    TSN_MUST(first <= end);
    if (first == end) {
        return;
    }
    if (interval->n_steps) {
        struct tsn_step *last = &interval->steps[interval->n_steps - 1];
        if (last->kind == TSN_STEP_RUN && last->source == source && last->end == first) {
            last->end = end;
            return;
        }
    }
    struct tsn_step *step = add_step(interval, now_ms);
    step->kind = TSN_STEP_RUN;
    step->source = source;
    step->first = first;
    step->end = end;
}

void tsn_interval_tick(struct tsn_interval *interval, int64_t clock_ms, int64_t now_ms)
{
    struct tsn_step *step = add_step(interval, now_ms);
    step->kind = TSN_STEP_TICK;
    step->clock_ms = clock_ms;
}

void tsn_interval_swap(struct tsn_interval *interval, const uint8_t program[32], int64_t now_ms)
{
    struct tsn_step *step = add_step(interval, now_ms);
    step->kind = TSN_STEP_SWAP;
    memcpy(step->program, program, sizeof step->program);
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

int64_t tsn_interval_due_ms(const struct tsn_interval *interval, tsn_duration_ms busy_ms,
                            tsn_duration_ms idle_ms)
{
    int64_t busy =
        interval->first_output_ms == INT64_MAX ? INT64_MAX : interval->first_output_ms + busy_ms;
    int64_t idle =
        interval->first_step_ms == INT64_MAX ? INT64_MAX : interval->first_step_ms + idle_ms;
    return busy < idle ? busy : idle;
}

bool tsn_interval_full(const struct tsn_interval *interval)
{
    return interval->n_steps >= TSN_INTERVAL_STEPS_MAX ||
           interval->bytes >= TSN_INTERVAL_BYTES_MAX ||
           interval->n_messages >= TSN_INTERVAL_MESSAGES_MAX;
}

bool tsn_interval_due(const struct tsn_interval *interval, tsn_duration_ms busy_ms,
                      tsn_duration_ms idle_ms, int64_t now_ms)
{
    return tsn_interval_full(interval) || tsn_interval_due_ms(interval, busy_ms, idle_ms) <= now_ms;
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
