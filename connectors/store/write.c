/* The store's writing thread: one checkpoint after another, whole or absent, and the
 * folding behind it. All under io. */
#include <errno.h>
#include <string.h>

#include "connectors/store/delta.h"
#include "connectors/store/state.h"
#include "rules/must/must.h"

enum { TRY_AGAIN_MS = 500 }; /* a write tries anew for so long before it reports FAILED */

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

/* ---- the root ---------------------------------------------------------------------- */

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
    tsn_store_need_whole(store, true);
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
            tsn_store_need_whole(store, true);
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
        tsn_store_show(store);
        store->unsure[0] = '\0';
        tsn_store_need_whole(store, false);
        return true;
    }
    lost = store->root;
    store->root = store->next;
    bury_lost(&store->root, &lost);
    store->unsure[0] = '\0';
    tsn_store_need_whole(store, true);
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
    if (meta->whole) {
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
        tsn_store_show(store);
        store->pace.written_ms = tsn_store_clock(CLOCK_MONOTONIC);
        tsn_store_need_whole(store, false);
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
        tsn_store_need_whole(store, true);
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
    tsn_store_show(store);
}

/* ---- one checkpoint ---------------------------------------------------------------- */

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
    tsn_store_need_whole(store, true);
    return tsn_fail(failure, TSN_REMEDY_RETRY,
                    "%s: what is stored is not what these changes build on; the next checkpoint "
                    "is written whole from memory",
                    tsn_redis_name(store->redis));
}

/* The brake of a write. The wait ends early when the store closes. */
static void slow_down(void *user, uint64_t bytes)
{
    struct tsn_store *store = user;
    int64_t wait_ms = tsn_pace_spend(&store->pace, bytes, tsn_store_clock(CLOCK_MONOTONIC));
    if (wait_ms > 0) {
        pause_ms(store, wait_ms);
    }
}

/* The whole cut, part by part as they come; what was acknowledged is given back. */
static enum tsn_delta_result write_parts(struct tsn_store *store, struct tsn_delta *delta,
                                         struct tsn_checkpoint_meta *meta,
                                         struct tsn_failure *failure)
{
    const struct tsn_delta_brake brake = {.sent = slow_down, .user = store};
    do {
        struct tsn_cut_index index;
        if (!store->cut.first && !tsn_store_next_part(store)) {
            return TSN_DELTA_STOPPED;
        }
        tsn_cut_index(&store->cut, store->keys, &index);
        enum tsn_delta_result result = tsn_delta_write(
            &store->place, &index, delta, store->last_part, &brake, &store->stop, failure);
        meta->records += index.n_all;
        tsn_cut_index_free(&index);
        if (result != TSN_DELTA_OK) {
            return result;
        }
        store->part_gone = true;
        tsn_cut_clear(&store->cut);
    } while (!store->last_part);
    return TSN_DELTA_OK;
}

/* The changes in store->cut. */
static enum tsn_delta_result
write_changes(struct tsn_store *store, const struct tsn_cut_index *index, struct tsn_delta *delta,
              struct tsn_checkpoint_meta *meta, struct tsn_failure *failure)
{
    const struct tsn_delta_brake brake = {.sent = slow_down, .user = store};
    meta->records = index->n_all;
    return tsn_delta_write(&store->place, index, delta, true, &brake, &store->stop, failure);
}

static bool write_delta(struct tsn_store *store, const struct tsn_cut_index *index, const char *id,
                        struct tsn_checkpoint_meta *meta, struct tsn_failure *failure)
{
    struct tsn_delta delta = {.id = id};
    meta->records = 0;
    enum tsn_delta_result result = meta->whole ? write_parts(store, &delta, meta, failure)
                                               : write_changes(store, index, &delta, meta, failure);
    meta->bytes = delta.bytes;
    if (result == TSN_DELTA_OK) {
        return true;
    }
    tsn_root_bury(&store->root, 'd', id);
    if (result == TSN_DELTA_STOPPED) {
        tsn_fail(failure, TSN_REMEDY_RETRY, "the store was closed while it wrote");
    }
    return false;
}

/* Writes the job as one checkpoint: changes by their index. */
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
    if (!tsn_store_ready(store, wait_ms, failure)) {
        return NOT_COMMITTED;
    }
    tsn_layout_new_id(id);
    if (!announce(store, id, &adopted, failure)) {
        return NOT_COMMITTED;
    }
    if (adopted && store->root.meta.sequence == meta->sequence) {
        return COMMITTED_READER; /* whether somebody loads was not seen: do not fold now */
    }
    if (store->part_gone) {
        tsn_fail(failure, TSN_REMEDY_RETRY,
                 "%s: the connection was lost while all there is was written; the next checkpoint "
                 "begins anew",
                 tsn_redis_name(store->redis));
        return NOT_COMMITTED;
    }
    if (adopted && !announce(store, id, &adopted, failure)) {
        return NOT_COMMITTED;
    }
    if (!meta->whole && !may_append(store, meta, failure)) {
        return NOT_COMMITTED;
    }
    if (!write_delta(store, index, id, meta, failure)) {
        return NOT_COMMITTED;
    }
    compose_next(store, id, meta);
    return commit(store, id, failure);
}

/* Tries until it is committed, or trying at once makes no sense. */
static enum outcome persist(struct tsn_store *store, const struct tsn_cut_index *index,
                            struct tsn_checkpoint_meta *meta, struct tsn_failure *failure)
{
    int64_t give_up_ms = tsn_store_clock(CLOCK_MONOTONIC) + TRY_AGAIN_MS;
    for (;;) {
        int64_t wait_ms = 0;
        enum outcome outcome = attempt(store, index, meta, &wait_ms, failure);
        /* Only a broken connection is worth another try: a refusal stays one. */
        bool again = outcome == NOT_COMMITTED && failure->remedy == TSN_REMEDY_RETRY &&
                     tsn_redis_broken(store->redis) && !atomic_load(&store->stop) &&
                     tsn_store_clock(CLOCK_MONOTONIC) + wait_ms < give_up_ms;
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
    store->writing_bytes = 0;
    pthread_cond_broadcast(&store->changed);
    pthread_mutex_unlock(&store->lock);
}

/* What is still collected of a whole cut is not kept. */
static void drop_rest(struct tsn_store *store)
{
    tsn_cut_clear(&store->cut);
    pthread_mutex_lock(&store->lock);
    store->dropped = true;
    store->writing_bytes = 0;
    tsn_cut_clear(&store->handed);
    pthread_mutex_unlock(&store->lock);
}

/* Under io. Changes that could not be written are kept; a whole cut is not, and wanted again,
 * as it is instead of more changes than memory should hold. */
static void keep_or_drop(struct tsn_store *store, struct tsn_cut_index *index, bool whole,
                         const struct tsn_failure *failure)
{
    if (!whole && failure->remedy != TSN_REMEDY_STAND_BY) {
        if (store->cut.merged) {
            tsn_cut_compact(&store->cut, index, store->keys);
        }
        if (store->cut.held <= TSN_STORE_KEPT_MAX || !store->whole_possible) {
            return;
        }
    }
    /* Said again: that an earlier try was committed after all may have been found out since, and
     * what came after it is dropped here. */
    tsn_store_need_whole(store, true);
    store->loaded[0] = '\0';
    drop_rest(store);
}

/* Under io; true: it is committed, and reported. */
static bool run_job(struct tsn_store *store, struct tsn_checkpoint_meta *meta,
                    struct tsn_failure *failure)
{
    struct tsn_cut_index index = {0};
    const bool whole = meta->whole;
    store->part_gone = false;
    if (!whole) {
        tsn_cut_index(&store->cut, store->keys, &index);
    }
    if (meta->written_at_ms == 0) {
        meta->written_at_ms = tsn_store_clock(CLOCK_REALTIME);
    }
    enum outcome outcome = persist(store, &index, meta, failure);
    if (outcome != NOT_COMMITTED) {
        drop_rest(store); /* more comes if an earlier try of it turned out to be committed */
        tsn_cut_index_free(&index);
        report(store, TSN_STORE_DONE, failure);
        if (outcome == COMMITTED || store->root.n_chain > TSN_ROOT_CHAIN_MAX / 2) {
            tidy(store);
        }
        return true;
    }
    tsn_redis_drop(store->redis); /* a refusal may be this node's: resolve it anew */
    /* The engine goes on without Redis, whatever a person must mend there. */
    if (failure->remedy != TSN_REMEDY_STAND_BY) {
        failure->remedy = TSN_REMEDY_RETRY;
    }
    keep_or_drop(store, &index, whole, failure);
    tsn_cut_index_free(&index);
    return false;
}

/* When its caller has seen the cut through. */
static void report_failed(struct tsn_store *store, const struct tsn_failure *failure)
{
    pthread_mutex_lock(&store->lock);
    while (!store->complete && !atomic_load(&store->stop)) {
        pthread_cond_wait(&store->changed, &store->lock);
    }
    pthread_mutex_unlock(&store->lock);
    report(store, TSN_STORE_FAILED, failure);
}

/* Under io: what was kept gives way to a whole cut, or gets the changes behind it. */
static void take_changes(struct tsn_store *store, bool whole)
{
    if (whole) {
        tsn_cut_clear(&store->cut);
        return;
    }
    struct tsn_cut handed = {.spare = &store->spare};
    pthread_mutex_lock(&store->lock);
    tsn_cut_move(&store->handed, &handed, SIZE_MAX, true);
    pthread_mutex_unlock(&store->lock);
    tsn_cut_merge(&store->cut, &handed);
}

void *tsn_store_write(void *user)
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
        struct tsn_checkpoint_meta meta = store->job;
        struct tsn_failure failure = {0};
        pthread_mutex_unlock(&store->lock);
        pthread_mutex_lock(&store->io);
        take_changes(store, meta.whole);
        bool committed = run_job(store, &meta, &failure);
        pthread_mutex_unlock(&store->io);
        if (!committed) {
            report_failed(store, &failure);
        }
        pthread_mutex_lock(&store->lock);
    }
    pthread_mutex_unlock(&store->lock);
    return NULL;
}
