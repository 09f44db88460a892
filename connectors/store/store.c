/* The store: one caller, one writing thread, and what passes between them.
 *
 * `io` is held by whoever talks to Redis: the thread for a whole checkpoint, the
 * caller for meta, load and claim; it guards everything from `redis` to `root`.
 * `lock` guards the few words they exchange and is never held over I/O, so that
 * poll and wants_whole cost nothing.
 */
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
#include "connectors/store/pace.h"
#include "connectors/store/root.h"
#include "connectors/store/rubbish.h"
#include "rules/must/must.h"

enum {
    WARNING_MAX = 400,
    TRY_AGAIN_MS = 500, /* a write tries anew for so long before it reports FAILED */
};

struct tsn_store {
    /* set at open */
    const struct tsn_keys *keys;
    struct tsn_layout layout;
    char warning[WARNING_MAX];

    struct tsn_redis_address address;

    /* the caller's alone */
    struct tsn_cut collecting;
    struct tsn_redis *fetching; /* a connection for tsn_store_fetch; NULL before the first */
    struct tsn_root fetch_root; /* its copy of `shown` */
    tsn_store_watcher *watcher;
    void *watcher_user;

    struct tsn_cut_spare spare; /* of all cuts; has a lock of its own */

    /* under io */
    pthread_mutex_t io;
    struct tsn_redis *redis;
    struct tsn_root_scripts scripts;
    struct tsn_script fold;
    struct tsn_root_place place;
    uint64_t checked_epoch; /* connection on which the server was checked */
    tsn_layout_id owner;    /* ours; "" before a claim */
    tsn_layout_id loaded;   /* checkpoint that the engine's state builds on, or "" */
    tsn_layout_id unsure;   /* commit of ours whose outcome is unknown, or "" */
    struct tsn_root root;   /* as we last wrote or read it */
    struct tsn_root next;   /* being committed */
    struct tsn_cut cut;     /* being written, or kept for another try */
    struct tsn_pace pace;

    /* under lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool thread_runs;
    bool queued; /* a job waits for the thread */
    enum tsn_store_progress progress;
    struct tsn_failure result;
    struct tsn_cut handed; /* the job's records on their way */
    struct tsn_checkpoint_meta job;
    bool whole_needed;
    struct tsn_root shown; /* `root` as of the last commit, claim or folding */

    atomic_bool stop;
    pthread_t thread;
};

static int64_t clock_ms(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits, but not when the store closes. */
static void pause_ms(struct tsn_store *store, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&store->lock);
    while (!atomic_load(&store->stop) &&
           pthread_cond_timedwait(&store->changed, &store->lock, &until) != ETIMEDOUT) {
    }
    pthread_mutex_unlock(&store->lock);
}

static bool set_whole_needed(struct tsn_store *store, bool needed)
{
    pthread_mutex_lock(&store->lock);
    bool was = store->whole_needed;
    store->whole_needed = needed;
    pthread_mutex_unlock(&store->lock);
    return was;
}

/* Lets tsn_store_fetch see the root as it is now. Under io. */
static void show(struct tsn_store *store)
{
    pthread_mutex_lock(&store->lock);
    store->shown = store->root;
    pthread_mutex_unlock(&store->lock);
}

/* Connected, logged in, and the server checked since it was connected: one that was
 * restarted may have another policy. Under io. */
static bool ready(struct tsn_store *store, int64_t *wait_ms, struct tsn_failure *failure)
{
    if (!tsn_redis_connect(store->redis, wait_ms, failure)) {
        return false;
    }
    if (store->checked_epoch != tsn_redis_epoch(store->redis)) {
        char warning[WARNING_MAX];
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

/* ---- the caller's side: open, meta, load, claim ------------------------------------- */

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
    if (!ready(store, NULL, failure)) {
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
    pthread_mutex_lock(&store->io);
    bool ok = ready(store, NULL, failure) && tsn_root_read(&store->place, &store->next, failure);
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
    set_whole_needed(store, true); /* of an engine that is being filled anew */
    /* The lease before the root: a commit after this sees it and does not fold. */
    if (!ready(store, NULL, failure) || !tsn_root_lease(&store->place, token, failure) ||
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
            set_whole_needed(store, false);
        }
    }
    tsn_root_release(&store->place, token);
    return ok;
}

bool tsn_store_take(struct tsn_store *store, const struct tsn_store_taker *taker,
                    struct tsn_checkpoint_meta *meta, struct tsn_failure *failure)
{
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
    if (!ready(store, NULL, failure) || !tsn_root_read(&store->place, &store->root, failure)) {
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
    store->pace.written_ms = clock_ms(CLOCK_MONOTONIC);
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
    set_whole_needed(store,
                     store->loaded[0] == '\0' || strcmp(store->loaded, store->root.last) != 0);
    show(store);
    return true;
}

bool tsn_store_claim(struct tsn_store *store, struct tsn_failure *failure)
{
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

/* ---- one checkpoint, in the thread, under io ------------------------------------------ */

static bool stand_by(struct tsn_store *store, struct tsn_failure *failure)
{
    store->owner[0] = '\0';
    return tsn_fail(failure, TSN_REMEDY_STAND_BY,
                    "%s: somebody else owns the state of instance %s now; this one wrote nothing",
                    tsn_redis_name(store->redis), store->layout.instance);
}

/* Redis does not have what we wrote: the next cut must be whole. */
static bool rolled_back(struct tsn_store *store, const char *what, struct tsn_failure *failure)
{
    set_whole_needed(store, true);
    return tsn_fail(failure, TSN_REMEDY_RETRY,
                    "%s: %s under its owner; the next checkpoint is written whole from memory",
                    tsn_redis_name(store->redis), what);
}

/* The root was lost, or is an older one: what it named may still lie on other nodes of a
 * cluster, and nothing would ever delete it. */
static void bury_lost(struct tsn_root *root, const struct tsn_root *lost)
{
    if (strcmp(lost->gen, root->gen) != 0) {
        tsn_root_bury(root, 'g', lost->gen);
    }
    for (unsigned i = 0; i < lost->n_chain; i++) {
        bool there = false;
        for (unsigned j = 0; j < root->n_chain; j++) {
            there |= strcmp(lost->chain[i], root->chain[j]) == 0;
        }
        if (!there) {
            tsn_root_bury(root, 'd', lost->chain[i]);
        }
    }
}

/* Reads the root again after something unexpected, and takes it over if it is still
 * ours. *adopted: the commit of unknown outcome had happened. */
static bool reread(struct tsn_store *store, bool *adopted, struct tsn_failure *failure)
{
    struct tsn_root lost;
    *adopted = false;
    if (!tsn_root_read(&store->place, &store->next, failure)) {
        return false;
    }
    if (!store->next.exists) {
        /* Flushed. Ours to make anew, unless somebody is quicker. */
        switch (tsn_root_claim(&store->place, "", store->owner, failure)) {
        case TSN_ROOT_OK:
            lost = store->root;
            memset(&store->root, 0, sizeof store->root);
            memcpy(store->root.owner, store->owner, sizeof store->owner);
            bury_lost(&store->root, &lost);
            store->unsure[0] = '\0';
            set_whole_needed(store, true);
            return true;
        case TSN_ROOT_FAILED:
            return false;
        default:
            return stand_by(store, failure);
        }
    }
    if (strcmp(store->next.owner, store->owner) != 0) {
        return stand_by(store, failure);
    }
    if (strcmp(store->next.last, store->root.last) == 0) {
        return true; /* as we left it */
    }
    if (store->unsure[0] != '\0' && strcmp(store->next.last, store->unsure) == 0) {
        *adopted = true;
        store->root = store->next;
        show(store);
        store->unsure[0] = '\0';
        set_whole_needed(store, false);
        return true;
    }
    lost = store->root;
    store->root = store->next;
    bury_lost(&store->root, &lost);
    store->unsure[0] = '\0';
    set_whole_needed(store, true);
    return true;
}

/* Announces id. Handles a root that is not as we left it. *adopted as above. */
static bool announce(struct tsn_store *store, const char *id, bool *adopted,
                     struct tsn_failure *failure)
{
    *adopted = false;
    if (store->unsure[0] != '\0') {
        if (!reread(store, adopted, failure) || *adopted) {
            return *adopted;
        }
        tsn_root_bury(&store->root, 'd', store->unsure);
    }
    switch (tsn_root_begin(&store->place, &store->root, id, failure)) {
    case TSN_ROOT_OK:
        store->unsure[0] = '\0'; /* its commit can only fail from here on */
        return true;
    case TSN_ROOT_OTHER:
        return stand_by(store, failure);
    case TSN_ROOT_GONE:
        return reread(store, adopted, failure) && rolled_back(store, "Redis was emptied", failure);
    case TSN_ROOT_MOVED:
        if (!reread(store, adopted, failure)) {
            return false;
        }
        return *adopted || rolled_back(store, "Redis was rolled back", failure);
    default:
        return false;
    }
}

/* The root as it will be when `id` is committed. */
static void compose_next(struct tsn_store *store, const char *id,
                         const struct tsn_checkpoint_meta *meta)
{
    struct tsn_root *next = &store->next;
    *next = store->root;
    if (store->cut.whole) {
        tsn_root_bury(next, 'g', next->gen);
        for (unsigned i = 0; i < next->n_chain; i++) {
            tsn_root_bury(next, 'd', next->chain[i]);
        }
        tsn_layout_new_id(next->gen);
        next->folded[0] = '\0';
        next->n_chain = 0;
    }
    TSN_MUST(next->n_chain < TSN_ROOT_CHAIN_MAX);
    memcpy(next->chain[next->n_chain++], id, TSN_LAYOUT_ID + 1);
    memcpy(next->last, id, TSN_LAYOUT_ID + 1);
    next->pending[0] = '\0';
    next->meta = *meta;
    next->meta.whole = false;
}

enum outcome { COMMITTED, COMMITTED_READER, NOT_COMMITTED };

static enum outcome commit(struct tsn_store *store, const char *id, struct tsn_failure *failure)
{
    enum tsn_root_answer answer =
        tsn_root_commit(&store->place, store->root.last, &store->next, failure);
    switch (answer) {
    case TSN_ROOT_OK:
    case TSN_ROOT_READER:
        store->root = store->next;
        show(store);
        store->pace.written_ms = clock_ms(CLOCK_MONOTONIC);
        set_whole_needed(store, false);
        return answer == TSN_ROOT_OK ? COMMITTED : COMMITTED_READER;
    case TSN_ROOT_FAILED:
        if (tsn_redis_broken(store->redis)) {
            memcpy(store->unsure, id, TSN_LAYOUT_ID + 1);
        } else {
            tsn_root_bury(&store->root, 'd', id); /* refused: nothing was set */
        }
        return NOT_COMMITTED;
    case TSN_ROOT_OTHER:
        stand_by(store, failure);
        return NOT_COMMITTED;
    case TSN_ROOT_GONE:
    case TSN_ROOT_MOVED:
    case TSN_ROOT_STALE:
        /* Between begin and commit: the next try finds out by begin. */
        tsn_root_bury(&store->root, 'd', id);
        tsn_fail(failure, TSN_REMEDY_RETRY,
                 "%s: the root of instance %s changed while a checkpoint was written",
                 tsn_redis_name(store->redis), store->layout.instance);
        return NOT_COMMITTED;
    }
    return NOT_COMMITTED;
}

/* After a commit: fold, delete rubbish, trim. What fails here is done next time. */
static void tidy(struct tsn_store *store)
{
    struct tsn_failure ignored;
    enum tsn_delta_result result =
        tsn_delta_fold(&store->place, &store->fold, &store->root, &store->stop, &ignored);
    if (result == TSN_DELTA_LOST) {
        set_whole_needed(store, true);
    }
    if (result == TSN_DELTA_STOPPED) {
        tsn_redis_drop(store->redis);
    }
    if (result != TSN_DELTA_OK ||
        tsn_delta_clean(&store->place, &store->root, &store->stop, &ignored) != TSN_DELTA_OK) {
        return;
    }
    struct tsn_root *root = &store->root;
    memcpy(root->folded, root->last, sizeof root->folded);
    root->n_chain = 0;
    /* An answer that does not come leaves a longer chain there: harmless, each slot's `at`
     * says what is folded, and the next trim or commit writes ours. */
    tsn_root_trim(&store->place, root, &ignored);
    show(store);
}

/* Whether changes may follow what is stored; else a whole cut must replace it. */
static bool may_append(struct tsn_store *store, const struct tsn_checkpoint_meta *meta,
                       struct tsn_failure *failure)
{
    if (store->root.n_chain == TSN_ROOT_CHAIN_MAX) {
        tidy(store);
    }
    if (store->root.n_chain < TSN_ROOT_CHAIN_MAX && meta->sequence >= store->root.meta.sequence &&
        !tsn_store_wants_whole(store)) {
        return true;
    }
    set_whole_needed(store, true);
    return tsn_fail(failure, TSN_REMEDY_RETRY,
                    "%s: what is stored is not what these changes build on; the next checkpoint "
                    "is written whole from memory",
                    tsn_redis_name(store->redis));
}

/* The brake of a write. The wait ends early when the store closes. */
static void slow_down(void *user, uint64_t bytes)
{
    struct tsn_store *store = user;
    int64_t wait_ms = tsn_pace_spend(&store->pace, bytes, clock_ms(CLOCK_MONOTONIC));
    if (wait_ms > 0) {
        pause_ms(store, wait_ms);
    }
}

/* Writes store->cut as one checkpoint. */
static enum outcome attempt(struct tsn_store *store, const struct tsn_cut_index *index,
                            struct tsn_checkpoint_meta *meta, int64_t *wait_ms,
                            struct tsn_failure *failure)
{
    tsn_layout_id id;
    bool adopted;
    if (store->owner[0] == '\0') {
        tsn_fail(failure, TSN_REMEDY_STAND_BY,
                 "the state of instance %s was not claimed, or is somebody else's",
                 store->layout.instance);
        return NOT_COMMITTED;
    }
    if (!ready(store, wait_ms, failure)) {
        return NOT_COMMITTED;
    }
    tsn_layout_new_id(id);
    if (!announce(store, id, &adopted, failure)) {
        return NOT_COMMITTED;
    }
    if (adopted && store->root.meta.sequence == meta->sequence) {
        return COMMITTED_READER; /* whether somebody loads was not seen: do not fold now */
    }
    if (adopted && !announce(store, id, &adopted, failure)) {
        return NOT_COMMITTED;
    }
    if (!store->cut.whole && !may_append(store, meta, failure)) {
        return NOT_COMMITTED;
    }
    meta->bytes = 0;
    meta->records = index->n_all;
    const struct tsn_delta_brake brake = {.sent = slow_down, .user = store};
    enum tsn_delta_result written =
        tsn_delta_write(&store->place, index, id, &brake, &store->stop, &meta->bytes, failure);
    if (written != TSN_DELTA_OK) {
        tsn_root_bury(&store->root, 'd', id);
        if (written == TSN_DELTA_STOPPED) {
            tsn_fail(failure, TSN_REMEDY_RETRY, "the store was closed while it wrote");
        }
        return NOT_COMMITTED;
    }
    compose_next(store, id, meta);
    return commit(store, id, failure);
}

/* Tries until it is committed, or trying at once makes no sense. */
static enum outcome persist(struct tsn_store *store, const struct tsn_cut_index *index,
                            struct tsn_checkpoint_meta *meta, struct tsn_failure *failure)
{
    int64_t give_up_ms = clock_ms(CLOCK_MONOTONIC) + TRY_AGAIN_MS;
    for (;;) {
        int64_t wait_ms = 0;
        enum outcome outcome = attempt(store, index, meta, &wait_ms, failure);
        /* Only a broken connection is worth another try: a refusal stays one. */
        bool again = outcome == NOT_COMMITTED && failure->remedy == TSN_REMEDY_RETRY &&
                     tsn_redis_broken(store->redis) && !atomic_load(&store->stop) &&
                     clock_ms(CLOCK_MONOTONIC) + wait_ms < give_up_ms;
        if (!again) {
            return outcome;
        }
        pause_ms(store, wait_ms > 0 ? wait_ms : 1);
    }
}

static void report(struct tsn_store *store, enum tsn_store_progress progress,
                   const struct tsn_failure *failure)
{
    pthread_mutex_lock(&store->lock);
    store->progress = progress;
    store->result = *failure;
    pthread_cond_broadcast(&store->changed);
    pthread_mutex_unlock(&store->lock);
}

static void run_job(struct tsn_store *store, struct tsn_cut *handed,
                    struct tsn_checkpoint_meta *meta)
{
    struct tsn_failure failure = {0};
    struct tsn_cut_index index;
    tsn_cut_merge(&store->cut, handed);
    tsn_cut_index(&store->cut, store->keys, &index);
    if (meta->written_at_ms == 0) {
        meta->written_at_ms = clock_ms(CLOCK_REALTIME);
    }
    enum outcome outcome = persist(store, &index, meta, &failure);
    if (outcome != NOT_COMMITTED) {
        tsn_cut_clear(&store->cut);
        tsn_cut_index_free(&index);
        report(store, TSN_STORE_DONE, &failure);
        if (outcome == COMMITTED || store->root.n_chain > TSN_ROOT_CHAIN_MAX / 2) {
            tidy(store);
        }
        return;
    }
    if (store->cut.merged) {
        tsn_cut_compact(&store->cut, &index, store->keys);
    }
    tsn_cut_index_free(&index);
    tsn_redis_drop(store->redis); /* a refusal may be this node's: resolve it anew */
    /* The engine goes on without Redis, whatever a person must mend there. */
    if (failure.remedy != TSN_REMEDY_STAND_BY) {
        failure.remedy = TSN_REMEDY_RETRY;
    } else {
        tsn_cut_clear(&store->cut);
    }
    report(store, TSN_STORE_FAILED, &failure);
}

static void *write_thread(void *user)
{
    struct tsn_store *store = user;
    pthread_mutex_lock(&store->lock);
    for (;;) {
        while (!store->queued && !atomic_load(&store->stop)) {
            pthread_cond_wait(&store->changed, &store->lock);
        }
        if (!store->queued) {
            break;
        }
        store->queued = false;
        struct tsn_cut handed = store->handed;
        struct tsn_checkpoint_meta meta = store->job;
        store->handed = (struct tsn_cut){.spare = &store->spare};
        pthread_mutex_unlock(&store->lock);
        pthread_mutex_lock(&store->io);
        run_job(store, &handed, &meta);
        pthread_mutex_unlock(&store->io);
        pthread_mutex_lock(&store->lock);
    }
    pthread_mutex_unlock(&store->lock);
    return NULL;
}

/* ---- handing over ------------------------------------------------------------------- */

void tsn_store_collect(void *user, const struct tsn_snapshot_record *record)
{
    struct tsn_store *store = user;
    tsn_cut_add(&store->collecting, record);
}

void tsn_store_begin(struct tsn_store *store, const struct tsn_checkpoint_meta *meta)
{
    pthread_mutex_lock(&store->lock);
    TSN_MUST(store->progress == TSN_STORE_IDLE);
    TSN_MUST(meta->sequence > 0);
    store->handed = store->collecting;
    store->handed.whole = meta->whole;
    store->collecting = (struct tsn_cut){.spare = &store->spare};
    store->job = *meta;
    store->queued = true;
    store->progress = TSN_STORE_WRITING;
    if (!store->thread_runs) {
        store->thread_runs = true;
        int rc = pthread_create(&store->thread, NULL, write_thread, store);
        TSN_MUST(rc == 0);
    }
    pthread_cond_broadcast(&store->changed);
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
