#include "connectors/run/feed.h"

#include <stdlib.h>
#include <string.h>

#include "rules/arena/arena.h"
#include "rules/diag/diag.h"
#include "rules/must/must.h"

/* Rows of a chunk: enough that the cost of a fetch call vanishes, few enough that a
 * thousand partitions fit in memory. */
enum { CHUNK_ROWS_MAX = 2048, CHUNK_ROWS_MIN = 128, ROWS_AHEAD = 128 * 1024, HEADERS_MAX = 256 };

/* How much longer than merge_wait a lane is waited for before its first answer: a
 * connection must be made first, and starting after an outage is when order
 * matters most. */
enum { FIRST_CONTACT_WAITS = 50 };

struct chunk {
    struct chunk *next;
    struct tsn_batch *batch;
    uint32_t taken; /* rows */
    struct tsn_rejected *rejected;
    size_t n_rejected;
    size_t rejected_cap;
    size_t rejected_taken;
    int64_t end;            /* offset after all that this chunk covers */
    struct tsn_arena arena; /* of the rejected */
};

struct lane {
    struct tsn_decoder *decoder;
    struct chunk *chunk; /* decoded, not wholly taken; NULL: dry */
    int64_t position;
    int64_t fetched; /* offset after all that was fetched */
    int64_t first_timestamp_ms;
    uint32_t max_bytes;
    bool heard;
    bool at_end;
};

struct tsn_feed {
    const struct tsn_config *config;
    const struct tsn_program *prog;
    struct tsn_reader *reader;
    size_t n;
    struct lane *lanes;
    struct tsn_merge *merge;
    uint32_t chunk_rows;
    struct chunk *spare;
    struct chunk *spent; /* their rows may still be borrowed */
    size_t n_spent;
    struct tsn_fetched *items;
};

/* ---- chunks ---------------------------------------------------------------------------- */

static struct chunk *chunk_get(struct tsn_feed *feed)
{
    struct chunk *chunk = feed->spare;
    if (chunk) {
        feed->spare = chunk->next;
        chunk->next = NULL;
        return chunk;
    }
    chunk = calloc(1, sizeof *chunk);
    TSN_MUST_ALLOC(chunk);
    chunk->batch = tsn_batch_new(feed->prog, feed->chunk_rows);
    tsn_arena_init(&chunk->arena, 0);
    return chunk;
}

static void chunk_clear(struct chunk *chunk)
{
    tsn_batch_clear(chunk->batch);
    tsn_arena_reset(&chunk->arena);
    chunk->taken = 0;
    chunk->n_rejected = 0;
    chunk->rejected_taken = 0;
}

static void chunks_free(struct chunk *chunk)
{
    while (chunk) {
        struct chunk *next = chunk->next;
        tsn_batch_free(chunk->batch);
        tsn_arena_free(&chunk->arena);
        free(chunk->rejected);
        free(chunk);
        chunk = next;
    }
}

/* ---- opening ----------------------------------------------------------------------------- */

static bool lane_open(struct tsn_feed *feed, size_t i, const struct tsn_origin *origin,
                      int64_t position, struct tsn_failure *failure)
{
    const struct tsn_source *source = tsn_config_source(feed->config, origin->topic);
    if (!source) {
        return tsn_fail(failure, TSN_REMEDY_CONFIG,
                        "%s: the committed manifests read topic %s, which is no source of this "
                        "configuration; put it back (its events are part of the state)",
                        feed->config->file, origin->topic);
    }
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct lane *lane = &feed->lanes[i];
    *lane = (struct lane){.position = position,
                          .fetched = position,
                          .max_bytes = source->max_bytes,
                          .first_timestamp_ms = TSN_NO_TIMESTAMP};
    lane->decoder = tsn_decoder_new(feed->config, source, feed->prog, &diags);
    if (!lane->decoder) {
        tsn_fail(failure, TSN_REMEDY_CONFIG, "%s:%u:%u: %s", feed->config->file,
                 diags.n ? diags.items[0].place.line : source->line,
                 diags.n ? diags.items[0].place.column : source->column,
                 diags.n ? diags.items[0].message : "the source does not fit the pack");
    }
    tsn_diags_free(&diags);
    return lane->decoder != NULL;
}

static bool lanes_open(struct tsn_feed *feed, const struct tsn_origin *origins,
                       const int64_t *positions, struct tsn_failure *failure)
{
    struct tsn_reader_partition *partitions = calloc(feed->n ? feed->n : 1, sizeof *partitions);
    TSN_MUST_ALLOC(partitions);
    bool ok = true;
    for (size_t i = 0; i < feed->n && ok; i++) {
        partitions[i] = (struct tsn_reader_partition){
            .topic = origins[i].topic, .partition = origins[i].partition, .start = positions[i]};
        ok = lane_open(feed, i, &origins[i], positions[i], failure);
    }
    if (ok) {
        feed->reader =
            tsn_reader_open(feed->config, partitions, feed->n, TSN_READER_BUDGET_BYTES, failure);
    }
    free(partitions);
    return ok && feed->reader;
}

struct tsn_feed *tsn_feed_open(const struct tsn_config *config, const struct tsn_program *prog,
                               const struct tsn_origin *origins, const int64_t *positions, size_t n,
                               struct tsn_failure *failure)
{
    struct tsn_feed *feed = calloc(1, sizeof *feed);
    TSN_MUST_ALLOC(feed);
    feed->config = config;
    feed->prog = prog;
    feed->n = n;
    size_t rows = n ? ROWS_AHEAD / n / 64 * 64 : CHUNK_ROWS_MAX;
    feed->chunk_rows = rows > CHUNK_ROWS_MAX   ? CHUNK_ROWS_MAX
                       : rows < CHUNK_ROWS_MIN ? CHUNK_ROWS_MIN
                                               : (uint32_t)rows;
    feed->lanes = calloc(n ? n : 1, sizeof *feed->lanes);
    feed->merge = tsn_merge_new(n);
    feed->items = calloc(feed->chunk_rows, sizeof *feed->items);
    TSN_MUST_ALLOC(feed->lanes);
    TSN_MUST_ALLOC(feed->items);
    if (!lanes_open(feed, origins, positions, failure)) {
        tsn_feed_close(feed);
        return NULL;
    }
    return feed;
}

void tsn_feed_close(struct tsn_feed *feed)
{
    if (!feed) {
        return;
    }
    tsn_reader_close(feed->reader);
    for (size_t i = 0; i < feed->n; i++) {
        tsn_decoder_free(feed->lanes[i].decoder);
        chunks_free(feed->lanes[i].chunk);
    }
    chunks_free(feed->spare);
    chunks_free(feed->spent);
    free(feed->lanes);
    tsn_merge_free(feed->merge);
    free(feed->items);
    free(feed);
}

/* ---- fetching ------------------------------------------------------------------------------ */

/* Keeps a copy: the message goes back to the library at once, else one bad record
 * would hold a fetch buffer of megabytes. */
static void keep_rejected(struct chunk *chunk, const struct tsn_fetched *item,
                          const struct tsn_record *record, const struct tsn_reject *reject)
{
    if (chunk->n_rejected == chunk->rejected_cap) {
        chunk->rejected_cap = chunk->rejected_cap ? 2 * chunk->rejected_cap : 16;
        chunk->rejected = realloc(chunk->rejected, chunk->rejected_cap * sizeof *chunk->rejected);
        TSN_MUST_ALLOC(chunk->rejected);
    }
    struct tsn_rejected *kept = &chunk->rejected[chunk->n_rejected++];
    *kept = (struct tsn_rejected){.record = *record, .reject = *reject};
    size_t len = record->len > TSN_REJECTED_VALUE_MAX ? TSN_REJECTED_VALUE_MAX + 1 : record->len;
    kept->record.len = len;
    kept->record.bytes = record->bytes ? tsn_arena_strdup(&chunk->arena, record->bytes, len) : NULL;
    if (item->key) {
        kept->key_len =
            item->key_len > TSN_REJECTED_VALUE_MAX ? TSN_REJECTED_VALUE_MAX + 1 : item->key_len;
        kept->key = tsn_arena_strdup(&chunk->arena, item->key, kept->key_len);
    }
    struct tsn_header found[HEADERS_MAX];
    size_t n = tsn_fetched_headers(item, found, HEADERS_MAX);
    struct tsn_header *headers = tsn_arena_zalloc(&chunk->arena, n ? n : 1, sizeof *headers);
    for (size_t i = 0; i < n; i++) {
        headers[kept->n_headers++] = (struct tsn_header){
            .name = tsn_arena_strdup(&chunk->arena, found[i].name, strlen(found[i].name)),
            .value = found[i].value ? tsn_arena_strdup(&chunk->arena, found[i].value, found[i].len)
                                    : NULL,
            .len = found[i].len,
        };
    }
    kept->headers = headers;
}

static void decode_items(struct tsn_feed *feed, size_t i, struct chunk *chunk, size_t n)
{
    struct lane *lane = &feed->lanes[i];
    for (size_t k = 0; k < n; k++) {
        const struct tsn_fetched *item = &feed->items[k];
        lane->heard = true;
        if (item->kind == TSN_FETCHED_END) {
            lane->at_end = true;
            lane->fetched = item->offset > lane->fetched ? item->offset : lane->fetched;
            continue;
        }
        lane->at_end = false;
        if (item->offset < lane->fetched) {
            continue; /* before the position asked for: a batch is fetched whole */
        }
        lane->fetched = item->offset + 1;
        if (lane->first_timestamp_ms == TSN_NO_TIMESTAMP) {
            lane->first_timestamp_ms = item->timestamp_ms;
        }
        struct tsn_record record = {.bytes = item->value,
                                    .len = item->len,
                                    .timestamp_ms = item->timestamp_ms,
                                    .source = (uint16_t)i,
                                    .position = item->offset};
        struct tsn_reject reject;
        if (!tsn_decode(lane->decoder, &record, chunk->batch, &reject)) {
            keep_rejected(chunk, item, &record, &reject);
        }
    }
    chunk->end = lane->fetched;
}

/* What the merge sees of a lane. The wait for a dry lane begins at the first fill
 * that gave nothing, so a take that empties it leaves the time unset (INT64_MIN). */
static struct tsn_merge_lane lane_view(struct tsn_feed *feed, size_t i, bool filled, int64_t now_ms)
{
    struct lane *lane = &feed->lanes[i];
    struct tsn_merge_lane view = tsn_merge_lanes(feed->merge)[i];
    if (lane->chunk) {
        const struct tsn_batch *batch = lane->chunk->batch;
        uint32_t taken = lane->chunk->taken;
        view.head_ms = taken < batch->n ? batch->rows[taken].time_ms : INT64_MIN;
        view.state = TSN_LANE_READY;
        return view;
    }
    if (lane->heard && !lane->at_end && tsn_reader_end(feed->reader, i) == lane->fetched) {
        lane->at_end = true; /* as of the fetch that gave its last record */
    }
    if (lane->at_end) {
        view.state = TSN_LANE_AT_END;
        return view;
    }
    if (view.state != TSN_LANE_BEHIND) {
        view.state = TSN_LANE_BEHIND;
        view.wait_until_ms = INT64_MIN;
    }
    if (filled && view.wait_until_ms == INT64_MIN) {
        view.wait_until_ms =
            now_ms + feed->config->kafka.merge_wait_ms * (lane->heard ? 1 : FIRST_CONTACT_WAITS);
    }
    return view;
}

bool tsn_feed_fill_lane(struct tsn_feed *feed, size_t i, int64_t now_ms,
                        struct tsn_failure *failure)
{
    struct lane *lane = &feed->lanes[i];
    if (lane->chunk) {
        return true;
    }
    size_t n;
    bool ok = tsn_reader_fetch(feed->reader, i, feed->items, feed->chunk_rows, &n, failure);
    if (n) {
        struct chunk *chunk = chunk_get(feed);
        decode_items(feed, i, chunk, n);
        if (chunk->batch->n || chunk->n_rejected || chunk->end > lane->position) {
            lane->chunk = chunk;
        } else {
            chunk_clear(chunk);
            chunk->next = feed->spare;
            feed->spare = chunk;
        }
        tsn_fetched_release(feed->items, n);
    }
    tsn_merge_set(feed->merge, i, lane_view(feed, i, true, now_ms));
    return ok;
}

bool tsn_feed_fill(struct tsn_feed *feed, int64_t now_ms, struct tsn_failure *failure)
{
    tsn_reader_quiet(feed->reader);
    for (size_t i = 0; i < feed->n; i++) {
        if (!tsn_feed_fill_lane(feed, i, now_ms, failure)) {
            return false;
        }
    }
    return true;
}

/* ---- taking -------------------------------------------------------------------------------- */

int64_t tsn_feed_take(struct tsn_feed *feed, size_t i, tsn_event_ms until_ms, int64_t limit,
                      struct tsn_batch *into, tsn_feed_sink *sink, void *user)
{
    struct lane *lane = &feed->lanes[i];
    struct chunk *chunk = lane->chunk;
    if (!chunk) {
        return lane->position;
    }
    const struct tsn_row *rows = chunk->batch->rows;
    uint32_t n = chunk->batch->n;
    uint32_t to = chunk->taken;
    uint32_t room = into->cap - into->n;
    while (to < n && to - chunk->taken < room && rows[to].time_ms <= until_ms &&
           rows[to].position < limit) {
        to++;
    }
    tsn_batch_refer(into, chunk->batch, chunk->taken, to);
    chunk->taken = to;
    int64_t next = to < n ? rows[to].position : chunk->end;
    next = next < limit ? next : limit;
    while (chunk->rejected_taken < chunk->n_rejected &&
           chunk->rejected[chunk->rejected_taken].record.position < next) {
        if (sink) {
            sink(user, &chunk->rejected[chunk->rejected_taken]);
        }
        chunk->rejected_taken++;
    }
    lane->position = next > lane->position ? next : lane->position;
    if (to == n && chunk->rejected_taken == chunk->n_rejected && lane->position >= chunk->end) {
        lane->chunk = NULL;
        chunk->next = feed->spent;
        feed->spent = chunk;
        feed->n_spent++;
    }
    tsn_merge_set(feed->merge, i, lane_view(feed, i, false, 0));
    return lane->position;
}

void tsn_feed_recycle(struct tsn_feed *feed)
{
    while (feed->spent) {
        struct chunk *chunk = feed->spent;
        feed->spent = chunk->next;
        chunk_clear(chunk);
        chunk->next = feed->spare;
        feed->spare = chunk;
    }
    feed->n_spent = 0;
}

size_t tsn_feed_spent(const struct tsn_feed *feed)
{
    return feed->n_spent;
}

/* ---- asking -------------------------------------------------------------------------------- */

const struct tsn_merge *tsn_feed_merge(const struct tsn_feed *feed)
{
    return feed->merge;
}

int64_t tsn_feed_position(const struct tsn_feed *feed, size_t lane)
{
    return feed->lanes[lane].position;
}

uint64_t tsn_feed_lag(const struct tsn_feed *feed)
{
    uint64_t lag = 0;
    for (size_t i = 0; i < feed->n; i++) {
        int64_t end = tsn_reader_end(feed->reader, i);
        if (end > feed->lanes[i].position) {
            lag += (uint64_t)(end - feed->lanes[i].position);
        }
    }
    return lag;
}

int64_t tsn_feed_first_timestamp(const struct tsn_feed *feed, size_t lane)
{
    return feed->lanes[lane].first_timestamp_ms;
}

struct tsn_reader *tsn_feed_reader(struct tsn_feed *feed)
{
    return feed->reader;
}
