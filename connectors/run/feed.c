#include "connectors/run/feed.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/run/ahead.h"
#include "rules/arena/arena.h"
#include "rules/diag/diag.h"
#include "rules/must/must.h"

/* Rows of a chunk: enough that the cost of handing it over vanishes, few enough that two
 * each of a thousand partitions fit in memory. */
enum { CHUNK_ROWS_MAX = 2048, CHUNK_ROWS_MIN = 64, ROWS_AHEAD = 128 * 1024, HEADERS_MAX = 256 };

/* Records between fetching and giving back: few, so that they are still cached. */
enum { FETCH_MAX = 128 };

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

/* How far a partition was fetched. */
struct reach {
    int64_t fetched; /* offset after all that was */
    int64_t first_timestamp_ms;
    bool heard;
    bool at_end;
};

/* A lane's next chunk, to be fetched and decoded. While the thread may have it
 * (lane->ahead) all of it is the thread's, the decoder too. */
struct next {
    struct tsn_ahead_task task; /* first: the thread gets its address */
    struct tsn_reader *reader;
    struct tsn_decoder *decoder;
    uint16_t lane;
    uint32_t rows;
    struct chunk *chunk;
    struct reach reach; /* where the chunk begins, and then where it ends */
    bool full;          /* as many as it may be: there may be more */
    bool ok;
    struct tsn_failure failure;
};

struct lane {
    struct chunk *chunk; /* decoded, not wholly taken; NULL: dry */
    int64_t position;
    struct reach reach; /* as of the end of the last chunk that was taken over */
    struct next next;
    bool ahead; /* the next chunk was submitted */
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
    struct tsn_ahead *ahead; /* NULL until a partition had more than a chunk */
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

static void chunk_put(struct tsn_feed *feed, struct chunk *chunk)
{
    tsn_batch_clear(chunk->batch);
    tsn_arena_reset(&chunk->arena);
    chunk->taken = 0;
    chunk->n_rejected = 0;
    chunk->rejected_taken = 0;
    chunk->next = feed->spare;
    feed->spare = chunk;
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
    *lane = (struct lane){
        .position = position,
        .reach = {.fetched = position, .first_timestamp_ms = TSN_NO_TIMESTAMP},
        .next = {.lane = (uint16_t)i, .rows = feed->chunk_rows},
    };
    lane->next.decoder = tsn_decoder_new(feed->config, source, feed->prog, &diags);
    if (!lane->next.decoder) {
        tsn_fail(failure, TSN_REMEDY_CONFIG, "%s:%u:%u: %s", feed->config->file,
                 diags.n ? diags.items[0].place.line : source->line,
                 diags.n ? diags.items[0].place.column : source->column,
                 diags.n ? diags.items[0].message : "the source does not fit the pack");
    }
    tsn_diags_free(&diags);
    return lane->next.decoder != NULL;
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
    for (size_t i = 0; i < feed->n; i++) {
        feed->lanes[i].next.reader = feed->reader;
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
    size_t rows = n ? ROWS_AHEAD / 2 / n / 64 * 64 : CHUNK_ROWS_MAX;
    feed->chunk_rows = rows > CHUNK_ROWS_MAX   ? CHUNK_ROWS_MAX
                       : rows < CHUNK_ROWS_MIN ? CHUNK_ROWS_MIN
                                               : (uint32_t)rows;
    feed->lanes = calloc(n ? n : 1, sizeof *feed->lanes);
    feed->merge = tsn_merge_new(n);
    TSN_MUST_ALLOC(feed->lanes);
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
    tsn_ahead_free(feed->ahead);
    tsn_reader_close(feed->reader);
    for (size_t i = 0; i < feed->n; i++) {
        tsn_decoder_free(feed->lanes[i].next.decoder);
        chunks_free(feed->lanes[i].next.chunk);
        chunks_free(feed->lanes[i].chunk);
    }
    chunks_free(feed->spare);
    chunks_free(feed->spent);
    free(feed->lanes);
    tsn_merge_free(feed->merge);
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

static void decode_items(struct next *next, const struct tsn_fetched *items, size_t n)
{
    struct reach *reach = &next->reach;
    for (size_t k = 0; k < n; k++) {
        const struct tsn_fetched *item = &items[k];
        reach->heard = true;
        if (item->kind == TSN_FETCHED_END) {
            reach->at_end = true;
            reach->fetched = item->offset > reach->fetched ? item->offset : reach->fetched;
            continue;
        }
        reach->at_end = false;
        if (item->offset < reach->fetched) {
            continue; /* before the position asked for: a batch is fetched whole */
        }
        reach->fetched = item->offset + 1;
        if (reach->first_timestamp_ms == TSN_NO_TIMESTAMP) {
            reach->first_timestamp_ms = item->timestamp_ms;
        }
        struct tsn_record record = {.bytes = item->value,
                                    .len = item->len,
                                    .timestamp_ms = item->timestamp_ms,
                                    .source = next->lane,
                                    .position = item->offset};
        struct tsn_reject reject;
        if (!tsn_decode(next->decoder, &record, next->chunk->batch, &reject)) {
            keep_rejected(next->chunk, item, &record, &reject);
        }
    }
}

/* Fetches and decodes a chunk: in the thread or on the loop. */
static void next_make(struct tsn_ahead_task *task)
{
    struct next *next = (struct next *)task;
    uint32_t left = next->rows;
    size_t n, most;
    do {
        struct tsn_fetched items[FETCH_MAX];
        most = left < FETCH_MAX ? left : FETCH_MAX;
        next->ok = tsn_reader_fetch(next->reader, next->lane, items, most, &n, &next->failure);
        decode_items(next, items, n);
        tsn_fetched_release(items, n);
        left -= (uint32_t)n;
    } while (next->ok && n == most && left);
    next->full = left == 0;
    next->chunk->end = next->reach.fetched;
}

static void next_begin(struct tsn_feed *feed, struct lane *lane)
{
    lane->next.chunk = chunk_get(feed);
    lane->next.reach = lane->reach;
}

/* Has the lane's next chunk made while others are taken. */
static void next_submit(struct tsn_feed *feed, struct lane *lane)
{
    feed->ahead = feed->ahead ? feed->ahead : tsn_ahead_new(next_make);
    next_begin(feed, lane);
    lane->ahead = true;
    tsn_ahead_submit(feed->ahead, &lane->next.task);
}

/* Takes over the lane's next chunk; makes it if nobody has. */
static bool next_take(struct tsn_feed *feed, struct lane *lane, struct tsn_failure *failure)
{
    struct next *next = &lane->next;
    if (!lane->ahead) {
        next_begin(feed, lane);
        next_make(&next->task);
    } else if (!tsn_ahead_claim(feed->ahead, &next->task)) {
        next_make(&next->task);
    }
    lane->ahead = false;
    lane->reach = next->reach;
    struct chunk *chunk = next->chunk;
    next->chunk = NULL;
    if (chunk->batch->n || chunk->n_rejected || chunk->end > lane->position) {
        lane->chunk = chunk;
    } else {
        chunk_put(feed, chunk);
    }
    if (!next->ok) {
        *failure = next->failure;
    }
    return next->ok;
}

/* What the merge sees of a lane. The wait for a dry lane begins at the first fill
 * that gave nothing, so a take that empties it leaves the time unset (INT64_MIN).
 * With a next chunk in the works nothing is known of its end. */
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
    struct reach *reach = &lane->reach;
    if (reach->heard && !reach->at_end && !lane->ahead &&
        tsn_reader_end(feed->reader, i) == reach->fetched) {
        reach->at_end = true; /* as of the fetch that gave its last record */
    }
    if (reach->at_end && !lane->ahead) {
        view.state = TSN_LANE_AT_END;
        return view;
    }
    if (view.state != TSN_LANE_BEHIND) {
        view.state = TSN_LANE_BEHIND;
        view.wait_until_ms = INT64_MIN;
    }
    if (filled && view.wait_until_ms == INT64_MIN) {
        view.wait_until_ms =
            now_ms + feed->config->kafka.merge_wait_ms * (reach->heard ? 1 : FIRST_CONTACT_WAITS);
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
    bool ok = true, more = true;
    while (ok && more && !lane->chunk) {
        more = lane->ahead; /* was fetched a while ago: more may have come */
        ok = next_take(feed, lane, failure);
        more |= lane->next.full;
    }
    if (ok && lane->chunk && lane->next.full) {
        next_submit(feed, lane);
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
        chunk_put(feed, chunk);
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
    return feed->lanes[lane].reach.first_timestamp_ms;
}

struct tsn_reader *tsn_feed_reader(struct tsn_feed *feed)
{
    return feed->reader;
}
