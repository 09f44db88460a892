/* Reading a checkpoint back.
 *
 * A slot's keys are read in the order deltas, base, at. Folding moves records from
 * a delta into the base and raises `at` in the step that removes the delta, so what
 * a fold does in between can only show the same record twice, never hide one: a
 * delta that was there overlays the base with the same values, and a delta that was
 * gone is in the base read after it. What does not fit is known when the slot's `at`
 * is, after its records were given: then the load fails, and they are thrown away with
 * all that was loaded.
 *
 * One thread reads: it keeps a few slots asked ahead, so that it never waits for a
 * round trip, and copies each value as it comes in, once, onto a belt (belt.h) that has
 * them opened. The caller takes them off and gives them to the reader, in the order in
 * which they were read. So reading, opening and taking go on at the same time, and what
 * stands between them is 2 MiB; the server keeps the slots asked ahead.
 */
#include "connectors/store/load.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "connectors/store/belt.h"
#include "rules/must/must.h"

enum {
    SLOTS_AHEAD = 4,
    LEASE_RENEW_S = 5,
    AHEAD = 8, /* records between announcing one and giving it */
};

/* Fields that deltas had: what older ones and the base say of them does not count. */
struct seen {
    uint8_t (*fields)[TSN_LAYOUT_FIELD]; /* open addressing */
    bool *used;
    size_t n, cap;
};

/* The reading thread. */
struct fetch {
    struct tsn_root_place *place;
    const struct tsn_root *root;
    const char *token;
    struct tsn_belt *belt;
    struct tsn_chunk *chunk; /* being filled; NULL: nobody wants more */
    bool failed;
    struct tsn_failure failure;
    /* of the slot being read */
    unsigned slot;
    struct seen seen;
    bool in_base;    /* else a delta */
    size_t n;        /* pairs of the hash at hand */
    long long count; /* what a delta says of itself, or -1 */
};

struct load {
    struct tsn_root_place *place;
    const struct tsn_root *root;
    const struct tsn_store_taker *taker;
    struct tsn_failure *failure;
    uint64_t records, bytes;
};

static struct tsn_redis_part part(const char *text)
{
    return (struct tsn_redis_part){text, strlen(text)};
}

static void ask_slot(struct tsn_root_place *place, const struct tsn_root *root, unsigned slot)
{
    char key[TSN_LAYOUT_KEY_MAX];
    for (unsigned i = root->n_chain; i > 0; i--) {
        tsn_layout_slot_key(place->layout, slot, "d", root->chain[i - 1], key);
        const struct tsn_redis_part delta[] = {part("HGETALL"), part(key)};
        tsn_redis_append(place->redis, key, 2, delta);
    }
    tsn_layout_slot_key(place->layout, slot, "b", root->gen, key);
    const struct tsn_redis_part base[] = {part("HGETALL"), part(key)};
    tsn_redis_append(place->redis, key, 2, base);
    tsn_layout_slot_key(place->layout, slot, "at", root->gen, key);
    const struct tsn_redis_part at[] = {part("GET"), part(key)};
    tsn_redis_append(place->redis, key, 2, at);
}

/* ---- the reading thread --------------------------------------------------------------- */

/* Where the field stands, or would. */
static size_t seen_place(const struct seen *seen, const uint8_t *field)
{
    uint64_t hash;
    memcpy(&hash, field + 8, sizeof hash);
    size_t at = hash & (seen->cap - 1);
    while (seen->used[at] && memcmp(seen->fields[at], field, TSN_LAYOUT_FIELD) != 0) {
        at = (at + 1) & (seen->cap - 1);
    }
    return at;
}

static void seen_free(struct seen *seen)
{
    free(seen->fields);
    free(seen->used);
}

static void seen_grow(struct seen *seen)
{
    struct seen old = *seen;
    seen->cap = old.cap == 0 ? 1024 : 2 * old.cap;
    seen->fields = malloc(seen->cap * sizeof *seen->fields);
    seen->used = calloc(seen->cap, sizeof *seen->used);
    TSN_MUST_ALLOC(seen->fields);
    TSN_MUST_ALLOC(seen->used);
    for (size_t i = 0; i < old.cap; i++) {
        if (old.used[i]) {
            size_t at = seen_place(seen, old.fields[i]);
            seen->used[at] = true;
            memcpy(seen->fields[at], old.fields[i], TSN_LAYOUT_FIELD);
        }
    }
    seen_free(&old);
}

/* Remembers a field; false if it was there. */
static bool see(struct seen *seen, const uint8_t *field)
{
    if (2 * (seen->n + 1) > seen->cap) {
        seen_grow(seen);
    }
    size_t at = seen_place(seen, field);
    if (seen->used[at]) {
        return false;
    }
    seen->used[at] = true;
    memcpy(seen->fields[at], field, TSN_LAYOUT_FIELD);
    seen->n++;
    return true;
}

static void seen_reset(struct seen *seen)
{
    if (seen->n > 0) {
        memset(seen->used, 0, seen->cap * sizeof *seen->used);
        seen->n = 0;
    }
}

/* What is in the chunk goes on its way; the next one is for records of fetch->slot. */
static void chunk_next(struct fetch *fetch)
{
    tsn_belt_put(fetch->belt);
    fetch->chunk = tsn_belt_room(fetch->belt);
    if (fetch->chunk) {
        tsn_chunk_reset(fetch->chunk, fetch->slot);
    }
}

/* A pair of the hash at hand. */
static void on_pair(void *user, const char *field, size_t field_len, const char *value, size_t len)
{
    struct fetch *fetch = user;
    fetch->n++;
    if (field_len == 1 && field[0] == TSN_LAYOUT_COUNT_FIELD[0]) {
        char digits[24] = "";
        memcpy(digits, value, len < sizeof digits ? len : 0);
        fetch->count = strtoll(digits, NULL, 10);
        return;
    }
    if (field_len != TSN_LAYOUT_FIELD || !fetch->chunk) {
        return;
    }
    const uint8_t *bytes = (const uint8_t *)field;
    bool newer = fetch->in_base
                     ? fetch->seen.n == 0 || !fetch->seen.used[seen_place(&fetch->seen, bytes)]
                     : see(&fetch->seen, bytes);
    if (!newer || len == 0) {
        return;
    }
    tsn_chunk_add(fetch->chunk, bytes, value, len);
    if (tsn_chunk_full(fetch->chunk)) {
        chunk_next(fetch);
    }
}

static bool misfit(struct fetch *fetch, const char *what)
{
    const struct tsn_layout *layout = fetch->place->layout;
    return tsn_fail(&fetch->failure, TSN_REMEDY_CONFIG,
                    "%s: slot %u of instance %s does not fit the checkpoint at sequence %llu: %s; "
                    "Redis was rolled back or lost keys; delete the keys tocsin:%d:{%s* and start "
                    "again: state is rebuilt from Kafka",
                    tsn_redis_name(fetch->place->redis), fetch->slot, layout->instance,
                    (unsigned long long)fetch->root->meta.sequence, what, TSN_LAYOUT_VERSION,
                    layout->instance);
}

/* Reads one hash; *n: its pairs. */
static bool take_hash(struct fetch *fetch, size_t *n, bool *whole)
{
    fetch->n = 0;
    fetch->count = -1;
    struct tsn_reply *reply =
        tsn_redis_take_pairs(fetch->place->redis, on_pair, fetch, &fetch->failure);
    bool ok = reply && tsn_reply_kind(reply) != TSN_REPLY_ERROR;
    if (reply && !ok) {
        tsn_redis_failure(fetch->place->redis, reply, &fetch->failure);
    }
    tsn_reply_free(reply);
    *n = fetch->n;
    *whole = fetch->count >= 0 && (unsigned long long)fetch->count + 1 == fetch->n;
    return ok;
}

/* Reads what ask_slot asked for. */
static bool take_slot(struct fetch *fetch)
{
    const struct tsn_root *root = fetch->root;
    bool whole[TSN_ROOT_CHAIN_MAX + 1];
    size_t in_deltas = 0;
    size_t n;
    seen_reset(&fetch->seen);
    fetch->in_base = false;
    for (unsigned i = root->n_chain; i > 0; i--) { /* newest first */
        if (!take_hash(fetch, &n, &whole[i - 1])) {
            return false;
        }
        in_deltas += n;
    }
    fetch->in_base = true;
    if (!take_hash(fetch, &n, &whole[root->n_chain])) {
        return false;
    }
    struct tsn_reply *at = tsn_redis_take(fetch->place->redis, &fetch->failure);
    if (!at) {
        return false;
    }
    if (tsn_reply_kind(at) == TSN_REPLY_ERROR) {
        tsn_redis_failure(fetch->place->redis, at, &fetch->failure);
        tsn_reply_free(at);
        return false;
    }
    size_t base_n;
    int done = tsn_root_folded_to(root, tsn_reply_text(at, NULL), &base_n);
    tsn_reply_free(at);
    if (done < 0) {
        return misfit(fetch, "its base holds changes that the checkpoint does not know");
    }
    if (in_deltas == 0 && (unsigned)done == root->n_chain && n != base_n) {
        return misfit(fetch, "its base has another number of records than it was left with");
    }
    for (unsigned i = (unsigned)done; i < root->n_chain; i++) {
        if (!whole[i]) {
            return misfit(fetch, "changes that belong to it are missing");
        }
    }
    return true;
}

static bool fetch_all(struct fetch *fetch)
{
    struct tsn_root_place *place = fetch->place;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    time_t renewed = now.tv_sec;
    unsigned asked = 0;
    for (unsigned s = 0; s < TSN_LAYOUT_SLOTS && fetch->chunk; s++) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        bool renew = now.tv_sec - renewed >= LEASE_RENEW_S;
        /* The lease is a command of its own: let the pipeline run dry for it. */
        while (asked < TSN_LAYOUT_SLOTS && asked <= s + (renew ? 0 : SLOTS_AHEAD - 1)) {
            ask_slot(place, fetch->root, asked++);
        }
        fetch->slot = s;
        tsn_chunk_reset(fetch->chunk, s);
        if (!take_slot(fetch)) {
            return false;
        }
        if (fetch->chunk) {
            fetch->chunk->last = true;
            chunk_next(fetch);
        }
        if (renew && tsn_redis_pending(place->redis) == 0) {
            if (!tsn_root_lease(place, fetch->token, &fetch->failure)) {
                return false;
            }
            renewed = now.tv_sec;
        }
    }
    return true;
}

static void *fetch_thread(void *user)
{
    struct fetch *fetch = user;
    fetch->chunk = tsn_belt_room(fetch->belt);
    fetch->failed = !fetch_all(fetch);
    tsn_belt_end(fetch->belt);
    return NULL;
}

/* ---- the caller ------------------------------------------------------------------------ */

static bool not_ours(struct load *load, unsigned slot)
{
    const struct tsn_layout *layout = load->place->layout;
    return tsn_fail(load->failure, TSN_REMEDY_CONFIG,
                    "%s: a record in slot %u of instance %s cannot be opened: written with "
                    "another key file, or altered; delete the keys tocsin:%d:{%s* and start "
                    "again: state is rebuilt from Kafka",
                    tsn_redis_name(load->place->redis), slot, layout->instance, TSN_LAYOUT_VERSION,
                    layout->instance);
}

static struct tsn_snapshot_record record_of(const struct tsn_chunk_record *in)
{
    struct tsn_snapshot_record record = {
        .section = in->plain[0],
        .bytes = in->plain + TSN_LAYOUT_HEADER,
        .len = in->len - TSN_LAYOUT_HEADER,
    };
    memcpy(record.key, in->plain + 1, sizeof record.key);
    return record;
}

static bool give_chunk(struct load *load, const struct tsn_chunk *chunk)
{
    const struct tsn_store_taker *taker = load->taker;
    for (size_t i = 0; i < chunk->n_bad; i++) {
        if (taker->ahead && i + AHEAD < chunk->n_bad) {
            const struct tsn_snapshot_record ahead = record_of(&chunk->records[i + AHEAD]);
            taker->ahead(taker->user, &ahead);
        }
        const struct tsn_snapshot_record record = record_of(&chunk->records[i]);
        const char *why = "no reason given";
        if (!taker->reader(taker->user, &record, &why)) {
            return tsn_fail(load->failure, TSN_REMEDY_CONFIG,
                            "%s: a record of the checkpoint (section %d) cannot be loaded: %s; run "
                            "the version that wrote it, or delete the keys tocsin:%d:{%s* and "
                            "start again: state is rebuilt from Kafka",
                            tsn_redis_name(load->place->redis), (int)record.section, why,
                            TSN_LAYOUT_VERSION, load->place->layout->instance);
        }
        load->records++;
        load->bytes += record.len;
    }
    return chunk->n_bad == chunk->n || not_ours(load, chunk->slot);
}

static bool take_all(struct load *load, struct tsn_belt *belt, tsn_store_watcher *watcher,
                     void *watcher_user)
{
    const struct tsn_chunk *chunk;
    while ((chunk = tsn_belt_take(belt))) {
        if (!give_chunk(load, chunk)) {
            return false;
        }
        unsigned s = chunk->slot;
        if (!chunk->last) {
            continue;
        }
        if (s == 0 && load->taker->expect) { /* pseudonyms spread records evenly */
            load->taker->expect(load->taker->user, load->records * TSN_LAYOUT_SLOTS);
        }
        if (watcher && (s + 1) * 100 / TSN_LAYOUT_SLOTS != s * 100 / TSN_LAYOUT_SLOTS) {
            watcher(watcher_user, (s + 1) * 100 / TSN_LAYOUT_SLOTS, load->records, load->bytes);
        }
    }
    return true;
}

/* After a misfit: has the checkpoint moved on under us? Then it is no loss. */
static bool moved_on(struct load *load)
{
    struct tsn_failure ignored;
    struct tsn_root *now = malloc(sizeof *now);
    TSN_MUST_ALLOC(now);
    bool moved = tsn_redis_connect(load->place->redis, NULL, &ignored) &&
                 tsn_root_read(load->place, now, &ignored) &&
                 strcmp(now->last, load->root->last) != 0;
    free(now);
    return moved;
}

bool tsn_load(struct tsn_root_place *place, const struct tsn_root *root, const char *token,
              const struct tsn_store_taker *taker, tsn_store_watcher *watcher, void *watcher_user,
              struct tsn_failure *failure)
{
    struct load load = {.place = place, .root = root, .taker = taker, .failure = failure};
    struct fetch *fetch = calloc(1, sizeof *fetch);
    TSN_MUST_ALLOC(fetch);
    struct tsn_belt *belt = tsn_belt_new(place->layout, place->keys);
    *fetch = (struct fetch){.place = place, .root = root, .token = token, .belt = belt};
    pthread_t thread;
    int rc = pthread_create(&thread, NULL, fetch_thread, fetch);
    TSN_MUST(rc == 0);
    bool ok = take_all(&load, belt, watcher, watcher_user);
    tsn_belt_stop(belt);
    pthread_join(thread, NULL); /* from here on the connection is ours again */
    tsn_belt_free(belt);
    if (ok && fetch->failed) {
        *failure = fetch->failure;
        ok = false;
    }
    seen_free(&fetch->seen);
    free(fetch);
    if (!ok) {
        tsn_redis_drop(place->redis); /* replies of slots asked ahead may be pending */
        if (failure->remedy == TSN_REMEDY_CONFIG && moved_on(&load)) {
            tsn_fail(failure, TSN_REMEDY_RETRY,
                     "%s: the checkpoint moved on while it was loaded; load again",
                     tsn_redis_name(place->redis));
        }
    }
    return ok;
}
