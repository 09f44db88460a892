/* connectors/store/store.h in the world's memory: compare-and-set on the owner,
 * whole or absent, written a while after it was handed over.
 *
 * The real store is tested on real servers (tests/integration); here it is as
 * simple as its door allows, so that what the crash test finds is the loop's.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rules/must/must.h"
#include "tests/crash/run_world.h"

struct tsn_store {
    uint64_t owner;            /* our nonce; 0: none */
    struct world_record *kept; /* collected and not stored, newest first */
    struct tsn_checkpoint_meta job;
    bool writing;
    unsigned polls_left;
    bool whole_needed;
};

struct tsn_store *tsn_store_open(const struct tsn_config *config, const struct tsn_keys *keys,
                                 struct tsn_failure *failure)
{
    (void)config;
    (void)keys;
    (void)failure;
    struct tsn_store *store = calloc(1, sizeof *store);
    TSN_MUST_ALLOC(store);
    store->whole_needed = true;
    return store;
}

static void forget(struct tsn_store *store)
{
    while (store->kept) {
        struct world_record *older = store->kept->older;
        free(store->kept);
        store->kept = older;
    }
}

void tsn_store_close(struct tsn_store *store)
{
    if (store) {
        forget(store);
        free(store);
    }
}

const char *tsn_store_warning(const struct tsn_store *store)
{
    (void)store;
    return NULL;
}

bool tsn_store_meta(struct tsn_store *store, struct tsn_checkpoint_meta *meta,
                    struct tsn_failure *failure)
{
    (void)store;
    (void)failure;
    world_point();
    *meta = world->stored;
    return true;
}

static bool older_version_seen(const struct world_record *from, const struct world_record *record)
{
    for (const struct world_record *r = from; r != record; r = r->older) {
        if (r->section == record->section && memcmp(r->key, record->key, sizeof r->key) == 0) {
            return true;
        }
    }
    return false;
}

bool tsn_store_read(struct tsn_store *store, tsn_store_reader *reader, void *user,
                    struct tsn_checkpoint_meta *meta, struct tsn_failure *failure)
{
    world_point();
    for (const struct world_record *r = world->records; r; r = r->older) {
        const char *why = NULL;
        const struct tsn_snapshot_record record = {
            .section = r->section, .bytes = r->bytes, .len = r->len};
        struct tsn_snapshot_record given = record;
        memcpy(given.key, r->key, sizeof given.key);
        if (!r->gone && !older_version_seen(world->records, r) && !reader(user, &given, &why)) {
            return tsn_fail(failure, TSN_REMEDY_CONFIG, "the checkpoint cannot be loaded: %s", why);
        }
    }
    *meta = world->stored;
    store->whole_needed = world->stored.sequence == 0;
    return true;
}

/* Newest first; NULL: there is none. */
static const struct world_record *newest(enum tsn_snapshot_section section, const uint8_t key[16])
{
    const struct world_record *r = world->records;
    while (r && (r->section != section || memcmp(r->key, key, sizeof r->key) != 0)) {
        r = r->older;
    }
    return r && !r->gone ? r : NULL;
}

bool tsn_store_fetch(struct tsn_store *store, enum tsn_snapshot_section section,
                     const uint8_t (*keys)[16], size_t n, tsn_store_reader *reader, void *user,
                     struct tsn_failure *failure)
{
    world_point();
    world->n_fetches += section == TSN_SNAPSHOT_ENTITY;
    for (size_t i = 0; i < n; i++) {
        const struct world_record *r = newest(section, keys[i]);
        const char *why = "it is not there";
        if (world_unlucky(2)) {
            return tsn_fail(failure, TSN_REMEDY_RETRY, "redis is away");
        }
        if (world->owner != store->owner) {
            return tsn_fail(failure, TSN_REMEDY_RECOVER, "somebody else owns the state");
        }
        struct tsn_snapshot_record record = {.section = section};
        memcpy(record.key, keys[i], sizeof record.key);
        if (r) {
            record.bytes = r->bytes;
            record.len = r->len;
        }
        if (!r || !reader(user, &record, &why)) {
            return tsn_fail(failure, TSN_REMEDY_RECOVER, "a record cannot be had: %s", why);
        }
    }
    return true;
}

static bool load_record(void *eng, const struct tsn_snapshot_record *record, const char **why)
{
    return tsn_snapshot_load(eng, record, why);
}

bool tsn_store_load(struct tsn_store *store, struct tsn_engine *eng,
                    struct tsn_checkpoint_meta *meta, struct tsn_failure *failure)
{
    return tsn_store_read(store, load_record, eng, meta, failure);
}

void tsn_store_watch(struct tsn_store *store, tsn_store_watcher *watcher, void *user)
{
    (void)store;
    (void)watcher;
    (void)user;
}

bool tsn_store_claim(struct tsn_store *store, struct tsn_failure *failure)
{
    (void)failure;
    world_point();
    forget(store);
    store->owner = world->owner = world_dice() | 1;
    store->whole_needed = true;
    world_point();
    return true;
}

bool tsn_store_wants_whole(struct tsn_store *store)
{
    return store->whole_needed;
}

void tsn_store_collect(void *user, const struct tsn_snapshot_record *record)
{
    struct tsn_store *store = user;
    struct world_record *kept = malloc(sizeof *kept + record->len);
    TSN_MUST_ALLOC(kept);
    *kept = (struct world_record){.older = store->kept,
                                  .section = record->section,
                                  .gone = record->bytes == NULL,
                                  .len = record->bytes ? record->len : 0};
    memcpy(kept->key, record->key, sizeof kept->key);
    if (record->bytes) {
        memcpy(kept->bytes, record->bytes, record->len);
    }
    store->kept = kept;
}

/* Sequence of the newest committed manifest. */
static uint64_t committed_tail(void)
{
    struct tsn_log_record record;
    struct tsn_arena arena;
    uint64_t sequence = 0;
    int64_t end;
    tsn_arena_init(&arena, 0);
    for (int64_t at = 0; tsn_memory_log_read(world->log, "tocsin.manifest", 0, at, &record, &end);
         at = record.offset + 1) {
        struct tsn_manifest manifest;
        const char *why;
        TSN_MUST(tsn_wire_manifest_read(record.value, record.len, &arena, &manifest, &why));
        sequence = manifest.sequence;
        tsn_arena_reset(&arena);
    }
    tsn_arena_free(&arena);
    return sequence;
}

void tsn_store_send(struct tsn_store *store, const struct tsn_checkpoint_meta *meta)
{
    TSN_MUST(!store->writing);
    if (meta->whole && meta->sequence > committed_tail()) {
        _exit(WORLD_AHEAD); /* it may be in Redis from here on */
    }
    world_point();
}

bool tsn_store_room(struct tsn_store *store, const struct tsn_checkpoint_meta *meta)
{
    (void)store;
    return !meta->whole || !world_unlucky(300);
}

void tsn_store_begin(struct tsn_store *store, const struct tsn_checkpoint_meta *meta)
{
    TSN_MUST(!store->writing);
    world_point();
    store->job = *meta;
    store->writing = true;
    store->polls_left = (unsigned)(world_dice() % 8);
}

/* Copies what was kept into the world; then, in one step as a script in Redis, puts it on
 * top of what is stored, unless somebody else owns it by then. */
static bool commit(struct tsn_store *store)
{
    struct world_record *newest = NULL;
    struct world_record **end = &newest;
    for (const struct world_record *r = store->kept; r; r = r->older) {
        struct world_record *copy = tsn_memory_log_alloc(world->log, sizeof *copy + r->len);
        memcpy(copy, r, sizeof *r + r->len);
        *end = copy;
        end = &copy->older;
    }
    world_point(); /* half-written deltas are nobody's */
    forget(store);
    if (world->owner != store->owner) {
        world->n_fenced++;
        return false;
    }
    *end = store->job.whole ? NULL : world->records;
    world->records = newest;
    world->stored = store->job;
    world->n_checkpoints++;
    store->whole_needed = false;
    return true;
}

enum tsn_store_progress tsn_store_poll(struct tsn_store *store, struct tsn_failure *failure)
{
    world_point();
    if (!store->writing) {
        return TSN_STORE_IDLE;
    }
    if (store->polls_left > 0) {
        store->polls_left--;
        return TSN_STORE_WRITING;
    }
    store->writing = false;
    if (world_unlucky(20)) {
        if (store->job.whole) {
            forget(store); /* a whole cut comes again */
        }
        tsn_fail(failure, TSN_REMEDY_RETRY, "redis is away");
        return TSN_STORE_FAILED;
    }
    if (store->job.sequence > committed_tail()) {
        _exit(WORLD_AHEAD); /* a crash now would lose alerts */
    }
    if (!commit(store)) {
        tsn_fail(failure, TSN_REMEDY_STAND_BY, "somebody else owns the state");
        return TSN_STORE_FAILED;
    }
    world_point();
    return TSN_STORE_DONE;
}

enum tsn_store_progress tsn_store_wait(struct tsn_store *store, tsn_duration_ms timeout_ms,
                                       struct tsn_failure *failure)
{
    (void)timeout_ms;
    enum tsn_store_progress progress;
    do {
        progress = tsn_store_poll(store, failure);
    } while (progress == TSN_STORE_WRITING);
    return progress;
}
