#include "connectors/run/history.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>

#include "connectors/run/clock.h"
#include "rules/must/must.h"

enum { ASK_MS = 5000, SILENCE_MS = 15000, FIRST_DISTANCE = 16, ITEMS = 64 };

struct tsn_history {
    const struct tsn_config *config;
    struct tsn_kafka *kafka;
    struct tsn_reader *reader; /* of the stream under way, or NULL */
    struct tsn_fetched items[ITEMS];
    size_t n_items, item;
    struct tsn_arena arena; /* of the manifest given last */
    uint64_t from;          /* next: skip smaller sequences */
    int64_t offset;         /* after what was given of the stream */
    int64_t tail_ms;        /* timestamp of the tail that was found last */
};

struct tsn_history *tsn_history_open(const struct tsn_config *config, struct tsn_kafka *kafka,
                                     struct tsn_failure *failure)
{
    (void)failure;
    struct tsn_history *history = calloc(1, sizeof *history);
    TSN_MUST_ALLOC(history);
    history->config = config;
    history->kafka = kafka;
    tsn_arena_init(&history->arena, 0);
    return history;
}

static void stream_close(struct tsn_history *history)
{
    tsn_fetched_release(history->items, history->n_items);
    tsn_reader_close(history->reader);
    history->reader = NULL;
    history->n_items = history->item = 0;
}

void tsn_history_close(struct tsn_history *history)
{
    if (!history) {
        return;
    }
    stream_close(history);
    tsn_arena_free(&history->arena);
    free(history);
}

static bool stream_open(struct tsn_history *history, int64_t offset, struct tsn_failure *failure)
{
    stream_close(history);
    struct tsn_reader_partition partition = {
        .topic = history->config->topics.manifest, .partition = 0, .start = offset};
    history->reader = tsn_reader_open(history->config, &partition, 1, 16 << 20, failure);
    history->offset = offset;
    return history->reader != NULL;
}

/* Fetches what is there; may be nothing. */
static bool stream_fill(struct tsn_history *history, struct tsn_failure *failure)
{
    tsn_fetched_release(history->items, history->n_items);
    history->n_items = history->item = 0;
    tsn_reader_quiet(history->reader);
    return tsn_reader_fetch(history->reader, 0, history->items, ITEMS, &history->n_items, failure);
}

static const struct tsn_fetched *stream_take(struct tsn_history *history)
{
    const struct tsn_fetched *item = &history->items[history->item++];
    history->offset = item->kind == TSN_FETCHED_END ? item->offset : item->offset + 1;
    return item;
}

/* The next record or the end; waits for it. */
static bool stream_next(struct tsn_history *history, const struct tsn_fetched **item,
                        struct tsn_failure *failure)
{
    int64_t give_up_ms = tsn_clock_monotonic_ms() + SILENCE_MS;
    while (history->item == history->n_items) {
        if (!stream_fill(history, failure)) {
            return false;
        }
        if (history->n_items) {
            break;
        }
        int64_t left_ms = give_up_ms - tsn_clock_monotonic_ms();
        if (left_ms <= 0) {
            return tsn_fail(failure, TSN_REMEDY_RETRY,
                            "kafka: cannot read topic %s: nothing came for %d s",
                            history->config->topics.manifest, SILENCE_MS / 1000);
        }
        struct pollfd fd = {.fd = tsn_reader_fd(history->reader), .events = POLLIN};
        poll(&fd, 1, (int)(left_ms < 100 ? left_ms : 100));
        struct tsn_failure ignored;
        tsn_reader_trouble(history->reader, &ignored);
    }
    *item = stream_take(history);
    return true;
}

static bool parse(struct tsn_history *history, const struct tsn_fetched *item,
                  struct tsn_arena *arena, struct tsn_manifest *manifest,
                  struct tsn_failure *failure)
{
    const char *why = "it has no value";
    if (item->value && tsn_wire_manifest_read(item->value, item->len, arena, manifest, &why)) {
        return true;
    }
    return tsn_fail(failure, TSN_REMEDY_CONFIG,
                    "topic %s, offset %" PRId64 ": not a manifest of this version: %s; nobody "
                    "but tocsin may write to this topic",
                    history->config->topics.manifest, item->offset, why);
}

/* Reads from `offset` to the end; gives the last record in *manifest. */
static bool last_from(struct tsn_history *history, int64_t offset, struct tsn_arena *arena,
                      struct tsn_manifest *manifest, bool *found, struct tsn_failure *failure)
{
    if (!stream_open(history, offset, failure)) {
        return false;
    }
    *found = false;
    for (;;) {
        const struct tsn_fetched *item;
        if (!stream_next(history, &item, failure)) {
            return false;
        }
        if (item->kind == TSN_FETCHED_END) {
            return true;
        }
        tsn_arena_reset(arena);
        if (!parse(history, item, arena, manifest, failure)) {
            return false;
        }
        history->tail_ms = item->timestamp_ms;
        *found = true;
    }
}

int64_t tsn_history_tail_ms(const struct tsn_history *history)
{
    return history->tail_ms;
}

bool tsn_history_tail(struct tsn_history *history, struct tsn_arena *arena,
                      struct tsn_manifest *manifest, bool *found, struct tsn_failure *failure)
{
    int64_t low, high;
    *found = false;
    if (!tsn_kafka_watermarks(history->kafka, history->config->topics.manifest, 0, &low, &high,
                              ASK_MS, failure)) {
        return false;
    }
    for (int64_t distance = FIRST_DISTANCE; low < high; distance *= 4) {
        int64_t offset = high - distance > low ? high - distance : low;
        if (!last_from(history, offset, arena, manifest, found, failure)) {
            stream_close(history);
            return false;
        }
        if (*found || offset == low) {
            break;
        }
    }
    stream_close(history);
    return true;
}

/* The first record at or after `offset`: its sequence, or 0 at the end. */
static bool first_from(struct tsn_history *history, int64_t offset, uint64_t *sequence,
                       struct tsn_failure *failure)
{
    const struct tsn_fetched *item;
    struct tsn_manifest manifest;
    if (!stream_open(history, offset, failure) || !stream_next(history, &item, failure)) {
        return false;
    }
    *sequence = 0;
    if (item->kind == TSN_FETCHED_END) {
        return true;
    }
    tsn_arena_reset(&history->arena);
    if (!parse(history, item, &history->arena, &manifest, failure)) {
        return false;
    }
    *sequence = manifest.sequence;
    return true;
}

bool tsn_history_seek(struct tsn_history *history, uint64_t sequence, struct tsn_failure *failure)
{
    int64_t low, high;
    if (!tsn_kafka_watermarks(history->kafka, history->config->topics.manifest, 0, &low, &high,
                              ASK_MS, failure)) {
        return false;
    }
    int64_t offset = high > low ? high : low;
    for (int64_t distance = FIRST_DISTANCE; offset > low; distance *= 4) {
        uint64_t first;
        offset = high - distance > low && sequence > 0 ? high - distance : low;
        if (!first_from(history, offset, &first, failure)) {
            return false;
        }
        if (first > 0 && first <= sequence) {
            break;
        }
    }
    history->from = sequence;
    return stream_open(history, offset, failure);
}

bool tsn_history_next(struct tsn_history *history, struct tsn_manifest *manifest, bool *end,
                      int64_t *timestamp_ms, struct tsn_failure *failure)
{
    TSN_MUST(history->reader);
    for (;;) {
        const struct tsn_fetched *item;
        if (!stream_next(history, &item, failure)) {
            return false;
        }
        *end = item->kind == TSN_FETCHED_END;
        if (*end) {
            return true;
        }
        tsn_arena_reset(&history->arena);
        if (!parse(history, item, &history->arena, manifest, failure)) {
            return false;
        }
        if (manifest->sequence >= history->from) {
            if (timestamp_ms) {
                *timestamp_ms = item->timestamp_ms;
            }
            return true;
        }
    }
}

bool tsn_history_try(struct tsn_history *history, struct tsn_manifest *manifest, bool *found,
                     int64_t *timestamp_ms, struct tsn_failure *failure)
{
    TSN_MUST(history->reader);
    *found = false;
    for (;;) {
        if (history->item == history->n_items) {
            struct tsn_failure ignored;
            tsn_reader_trouble(history->reader, &ignored);
            if (!stream_fill(history, failure)) {
                return false;
            }
            if (!history->n_items) {
                return true;
            }
        }
        const struct tsn_fetched *item = stream_take(history);
        if (item->kind == TSN_FETCHED_END) {
            continue;
        }
        tsn_arena_reset(&history->arena);
        if (!parse(history, item, &history->arena, manifest, failure)) {
            return false;
        }
        if (manifest->sequence >= history->from) {
            *timestamp_ms = item->timestamp_ms;
            *found = true;
            return true;
        }
    }
}

int tsn_history_fd(const struct tsn_history *history)
{
    TSN_MUST(history->reader);
    return tsn_reader_fd(history->reader);
}

uint64_t tsn_history_behind(const struct tsn_history *history)
{
    int64_t end = history->reader ? tsn_reader_end(history->reader, 0) : -1;
    /* Each manifest is a record and the marker of its transaction. */
    return end > history->offset ? ((uint64_t)(end - history->offset) + 1) / 2 : 0;
}
