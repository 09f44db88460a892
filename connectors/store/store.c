/* The store's caller's side: open, read, claim, fetch, and handing a cut to the thread
 * that writes it (write.c). */
#include "connectors/store/store.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "connectors/redis/redis.h"
#include "connectors/store/cut.h"
#include "connectors/store/delta.h"
#include "connectors/store/fetch.h"
#include "connectors/store/load.h"
#include "connectors/store/root.h"
#include "connectors/store/rubbish.h"
#include "connectors/store/state.h"
#include "rules/must/must.h"

int64_t tsn_store_clock(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool tsn_store_need_whole(struct tsn_store *store, bool needed)
{
    pthread_mutex_lock(&store->lock);
    bool was = store->whole_needed;
    store->whole_needed = needed;
    pthread_mutex_unlock(&store->lock);
    return was;
}

void tsn_store_show(struct tsn_store *store)
{
    pthread_mutex_lock(&store->lock);
    store->shown = store->root;
    pthread_mutex_unlock(&store->lock);
}

bool tsn_store_ready(struct tsn_store *store, int64_t *wait_ms, struct tsn_failure *failure)
{
    if (!tsn_redis_connect(store->redis, wait_ms, failure)) {
        return false;
    }
    if (store->checked_epoch != tsn_redis_epoch(store->redis)) {
        char warning[TSN_STORE_WARNING_MAX];
        if (!tsn_redis_check(store->redis, warning, sizeof warning, failure)) {
            return false;
        }
        if (store->checked_epoch == 0) {
            memcpy(store->warning, warning, sizeof warning);
        }
        store->checked_epoch = tsn_redis_epoch(store->redis);
    }
    return true;
}

/* ---- open, meta, load, claim, fetch ------------------------------------------------- */

struct tsn_store *tsn_store_open(const struct tsn_config *config, const struct tsn_keys *keys,
                                 struct tsn_failure *failure)
{
    struct tsn_layout layout;
    if (!tsn_layout_init(&layout, config->instance, failure)) {
        return NULL;
    }
    const char *user = config->redis.user;
    const char *password = config->redis.password;
    const struct tsn_redis_address address = {
        .host = config->redis.host,
        .port = config->redis.port,
        .unix_socket = config->redis.unix_socket,
        .user = user && user[0] != '\0' ? user : NULL,
        .password = password && password[0] != '\0' ? password : NULL,
        .database = config->redis.database,
        .timeout_ms = config->redis.timeout_ms,
        .tls = {.on = config->redis.tls.on,
                .ca_file = config->redis.tls.ca_file,
                .cert_file = config->redis.tls.cert_file,
                .key_file = config->redis.tls.key_file,
                .server_name = config->redis.tls.server_name},
    };
    struct tsn_store *store = calloc(1, sizeof *store);
    TSN_MUST_ALLOC(store);
    store->keys = keys;
    store->layout = layout;
    store->address = address;
    store->whole_possible = config->max_resident == 0;
    store->whole_needed = true;
    store->pace.bytes_per_s = config->checkpoint_bandwidth;
    store->pace.target_age_ms = config->checkpoint_age_ms;
    tsn_cut_spare_init(&store->spare);
    store->collecting.spare = store->handed.spare = store->cut.spare = &store->spare;
    store->redis = tsn_redis_new(&address);
    tsn_root_scripts_init(&store->scripts);
    tsn_delta_fold_script(&store->fold);
    store->place = (struct tsn_root_place){
        .redis = store->redis, .layout = &store->layout, .keys = keys, .scripts = &store->scripts};
    pthread_mutex_init(&store->io, NULL);
    pthread_mutex_init(&store->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&store->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (!tsn_store_ready(store, NULL, failure)) {
        tsn_store_close(store);
        return NULL;
    }
    return store;
}

void tsn_store_close(struct tsn_store *store)
{
    if (!store) {
        return;
    }
    pthread_mutex_lock(&store->lock);
    atomic_store(&store->stop, true);
    pthread_cond_broadcast(&store->changed);
    bool runs = store->thread_runs;
    pthread_mutex_unlock(&store->lock);
    if (runs) {
        pthread_join(store->thread, NULL);
    }
    tsn_cut_clear(&store->collecting);
    tsn_cut_clear(&store->handed);
    tsn_cut_clear(&store->cut);
    tsn_cut_spare_end(&store->spare);
    tsn_redis_free(store->redis);
    tsn_redis_free(store->fetching);
    pthread_cond_destroy(&store->changed);
    pthread_mutex_destroy(&store->lock);
    pthread_mutex_destroy(&store->io);
    free(store);
}

const char *tsn_store_warning(const struct tsn_store *store)
{
    return store->warning[0] != '\0' ? store->warning : NULL;
}

bool tsn_store_meta(struct tsn_store *store, struct tsn_checkpoint_meta *meta,
                    struct tsn_failure *failure)
{
    TSN_MUST(!store->sends); /* its thread would wait for us */
    pthread_mutex_lock(&store->io);
    bool ok = tsn_store_ready(store, NULL, failure) &&
              tsn_root_read(&store->place, &store->next, failure);
    if (ok) {
        *meta = store->next.meta;
    }
    pthread_mutex_unlock(&store->io);
    return ok;
}

void tsn_store_watch(struct tsn_store *store, tsn_store_watcher *watcher, void *user)
{
    store->watcher = watcher;
    store->watcher_user = user;
}

static bool read_all(struct tsn_store *store, const struct tsn_store_taker *taker,
                     struct tsn_checkpoint_meta *meta, struct tsn_failure *failure)
{
    tsn_layout_id token;
    tsn_layout_new_id(token);
    store->loaded[0] = '\0';
    tsn_store_need_whole(store, true); /* of an engine that is being filled anew */
    /* The lease before the root: a commit after this sees it and does not fold. */
    if (!tsn_store_ready(store, NULL, failure) || !tsn_root_lease(&store->place, token, failure) ||
        !tsn_root_read(&store->place, &store->next, failure)) {
        return false;
    }
    bool ok = true;
    if (store->next.last[0] != '\0') {
        ok = tsn_load(&store->place, &store->next, token, taker, store->watcher,
                      store->watcher_user, failure);
    }
    if (ok) {
        *meta = store->next.meta;
        memcpy(store->loaded, store->next.last, sizeof store->loaded);
        /* Loaded by who owns it already: nobody else can have written since. */
        if (store->owner[0] != '\0' && store->loaded[0] != '\0' &&
            strcmp(store->owner, store->next.owner) == 0 &&
            strcmp(store->root.last, store->loaded) == 0) {
            tsn_store_need_whole(store, false);
        }
    }
    tsn_root_release(&store->place, token);
    return ok;
}

bool tsn_store_take(struct tsn_store *store, const struct tsn_store_taker *taker,
                    struct tsn_checkpoint_meta *meta, struct tsn_failure *failure)
{
    TSN_MUST(!store->sends); /* its thread would wait for us */
    pthread_mutex_lock(&store->io);
    bool ok = read_all(store, taker, meta, failure);
    pthread_mutex_unlock(&store->io);
    return ok;
}

bool tsn_store_read(struct tsn_store *store, tsn_store_reader *reader, void *user,
                    struct tsn_checkpoint_meta *meta, struct tsn_failure *failure)
{
    const struct tsn_store_taker taker = {.reader = reader, .user = user};
    return tsn_store_take(store, &taker, meta, failure);
}

static bool claim(struct tsn_store *store, struct tsn_failure *failure)
{
    tsn_layout_id owner;
    tsn_layout_new_id(owner);
    if (!tsn_store_ready(store, NULL, failure) ||
        !tsn_root_read(&store->place, &store->root, failure)) {
        return false;
    }
    switch (tsn_root_claim(&store->place, store->root.owner, owner, failure)) {
    case TSN_ROOT_OK:
        break;
    case TSN_ROOT_FAILED:
        return false;
    default:
        return tsn_fail(failure, TSN_REMEDY_RETRY,
                        "%s: somebody else claimed the state of instance %s at this moment",
                        tsn_redis_name(store->redis), store->layout.instance);
    }
    /* Again: whoever owned it may have committed in between. */
    if (!tsn_root_read(&store->place, &store->root, failure)) {
        return false;
    }
    if (strcmp(store->root.owner, owner) != 0) {
        return tsn_fail(failure, TSN_REMEDY_STAND_BY,
                        "%s: somebody else claimed the state of instance %s right after us",
                        tsn_redis_name(store->redis), store->layout.instance);
    }
    /* No checkpoint: what other nodes of a cluster hold of one is named by nobody. */
    if (store->root.last[0] == '\0' && tsn_redis_n_nodes(store->redis) > 1 &&
        !tsn_rubbish_find(&store->place, &store->root, failure)) {
        return false;
    }
    memcpy(store->owner, owner, sizeof owner);
    store->pace.written_ms = tsn_store_clock(CLOCK_MONOTONIC);
    store->unsure[0] = '\0';
    if (store->cut.n > 0 || store->collecting.n > 0) {
        store->loaded[0] = '\0'; /* of an earlier leadership: dropped, so cut whole */
    }
    tsn_cut_clear(&store->cut);
    tsn_cut_clear(&store->collecting);
    /* What the owner before had announced and did not commit. */
    if (strcmp(store->root.pending, store->root.last) != 0) {
        tsn_root_bury(&store->root, 'd', store->root.pending);
    }
    tsn_store_need_whole(store,
                         store->loaded[0] == '\0' || strcmp(store->loaded, store->root.last) != 0);
    tsn_store_show(store);
    return true;
}

bool tsn_store_claim(struct tsn_store *store, struct tsn_failure *failure)
{
    TSN_MUST(!store->sends); /* its thread would wait for us */
    pthread_mutex_lock(&store->io);
    bool ok = claim(store, failure);
    pthread_mutex_unlock(&store->io);
    return ok;
}

/* Copies what is shown; false: it is what the last fetch saw. */
static bool look(struct tsn_store *store)
{
    pthread_mutex_lock(&store->lock);
    bool moved = strcmp(store->fetch_root.last, store->shown.last) != 0;
    store->fetch_root = store->shown;
    pthread_mutex_unlock(&store->lock);
    return moved;
}

bool tsn_store_fetch(struct tsn_store *store, enum tsn_snapshot_section section,
                     const uint8_t (*keys)[16], size_t n, tsn_store_reader *reader, void *user,
                     struct tsn_failure *failure)
{
    if (!store->fetching) {
        store->fetching = tsn_redis_new(&store->address);
    }
    struct tsn_root_place place = {
        .redis = store->fetching, .layout = &store->layout, .keys = store->keys};
    look(store);
    for (;;) {
        if (!tsn_redis_connect(store->fetching, NULL, failure)) {
            return false;
        }
        if (tsn_fetch(&place, &store->fetch_root, section, keys, n, reader, user, failure)) {
            return true;
        }
        /* Our own thread may have committed and folded since we looked. */
        if (failure->remedy != TSN_REMEDY_RECOVER || !look(store)) {
            return false;
        }
    }
}

bool tsn_store_wants_whole(struct tsn_store *store)
{
    pthread_mutex_lock(&store->lock);
    bool wants = store->whole_needed;
    pthread_mutex_unlock(&store->lock);
    return wants;
}

/* ---- handing over ------------------------------------------------------------------- */

/* Of a whole cut, what is written at once: the next part is collected meanwhile. Some 150
 * records a slot, so that a command has many. */
enum { PART_MAX = TSN_STORE_HELD_MAX / 4 };

/* Under lock: gives the thread what was collected, up to the block that is being filled or
 * `all`; or nobody. */
static void hand_over(struct tsn_store *store, bool all)
{
    tsn_cut_move(&store->collecting, &store->handed, SIZE_MAX, all);
    if (store->dropped) {
        tsn_cut_clear(&store->handed);
    }
    pthread_cond_broadcast(&store->changed);
}

void tsn_store_collect(void *user, const struct tsn_snapshot_record *record)
{
    struct tsn_store *store = user;
    tsn_cut_add(&store->collecting, record);
    if (store->sends && store->collecting.first != store->collecting.last) {
        pthread_mutex_lock(&store->lock);
        hand_over(store, false);
        pthread_mutex_unlock(&store->lock);
    }
}

size_t tsn_store_held(struct tsn_store *store)
{
    pthread_mutex_lock(&store->lock);
    size_t held = store->collecting.held + store->handed.held + store->writing_bytes;
    pthread_mutex_unlock(&store->lock);
    return held;
}

bool tsn_store_room(struct tsn_store *store, const struct tsn_checkpoint_meta *meta)
{
    return !meta->whole || tsn_store_held(store) < TSN_STORE_HELD_MAX;
}

bool tsn_store_next_part(struct tsn_store *store)
{
    pthread_mutex_lock(&store->lock);
    while (!store->handed.first && !store->complete && !atomic_load(&store->stop)) {
        pthread_cond_wait(&store->changed, &store->lock);
    }
    bool wanted = !atomic_load(&store->stop);
    if (wanted) {
        tsn_cut_move(&store->handed, &store->cut, PART_MAX, true);
        store->cut.whole = true;
        store->last_part = store->complete && !store->handed.first;
    }
    store->writing_bytes = store->cut.held;
    pthread_mutex_unlock(&store->lock);
    return wanted;
}

/* Under lock. */
static void enqueue(struct tsn_store *store, const struct tsn_checkpoint_meta *meta)
{
    TSN_MUST(store->progress == TSN_STORE_IDLE);
    TSN_MUST(meta->sequence > 0);
    store->job = *meta;
    store->complete = false;
    store->dropped = false;
    store->queued = true;
    store->progress = TSN_STORE_WRITING;
    if (!store->thread_runs) {
        store->thread_runs = true;
        int rc = pthread_create(&store->thread, NULL, tsn_store_write, store);
        TSN_MUST(rc == 0);
    }
}

void tsn_store_send(struct tsn_store *store, const struct tsn_checkpoint_meta *meta)
{
    if (!meta->whole || store->sends) {
        return;
    }
    pthread_mutex_lock(&store->lock);
    enqueue(store, meta);
    store->sends = true;
    hand_over(store, false);
    pthread_mutex_unlock(&store->lock);
}

void tsn_store_begin(struct tsn_store *store, const struct tsn_checkpoint_meta *meta)
{
    pthread_mutex_lock(&store->lock);
    if (!store->sends) {
        enqueue(store, meta);
    }
    TSN_MUST(store->job.sequence == meta->sequence && store->job.whole == meta->whole);
    store->sends = false;
    store->complete = true;
    hand_over(store, true);
    pthread_mutex_unlock(&store->lock);
}

enum tsn_store_progress tsn_store_wait(struct tsn_store *store, tsn_duration_ms timeout_ms,
                                       struct tsn_failure *failure)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&store->lock);
    while (store->progress == TSN_STORE_WRITING && timeout_ms > 0 &&
           pthread_cond_timedwait(&store->changed, &store->lock, &until) != ETIMEDOUT) {
    }
    enum tsn_store_progress progress = store->progress;
    if (progress == TSN_STORE_DONE || progress == TSN_STORE_FAILED) {
        *failure = store->result;
        store->progress = TSN_STORE_IDLE;
    }
    pthread_mutex_unlock(&store->lock);
    return progress;
}

enum tsn_store_progress tsn_store_poll(struct tsn_store *store, struct tsn_failure *failure)
{
    return tsn_store_wait(store, 0, failure);
}
