/* The store's insides: what its caller's side (store.c) and its writing thread (write.c)
 * share.
 *
 * `io` is held by whoever talks to Redis: the thread for a whole checkpoint, the
 * caller for meta, load and claim; it guards everything from `redis` to `pace`.
 * `lock` guards the few words they exchange and is never held over I/O, so that
 * poll and wants_whole cost nothing.
 */
#ifndef TSN_CONNECTORS_STORE_STATE_H
#define TSN_CONNECTORS_STORE_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "connectors/redis/redis.h"
#include "connectors/store/cut.h"
#include "connectors/store/pace.h"
#include "connectors/store/root.h"
#include "connectors/store/store.h"

enum { TSN_STORE_WARNING_MAX = 400 };

struct tsn_store {
    /* set at open */
    const struct tsn_keys *keys;
    struct tsn_layout layout;
    char warning[TSN_STORE_WARNING_MAX];

    struct tsn_redis_address address;
    bool whole_possible; /* no cap: the engine has all entities in memory, and can cut them anew */

    /* the caller's alone */
    struct tsn_cut collecting;
    bool sends;                 /* what is collected goes on to the thread */
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
    struct tsn_cut cut;     /* being written, or kept for another try; of a whole one, a part */
    bool last_part;         /* nothing comes behind `cut` */
    bool part_gone;         /* a part of the job was acknowledged, and is not here any more */
    struct tsn_pace pace;

    /* under lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool thread_runs;
    bool queued; /* a job waits for the thread */
    enum tsn_store_progress progress;
    struct tsn_failure result;
    struct tsn_checkpoint_meta job;
    struct tsn_cut handed; /* the job's records on their way */
    size_t writing_bytes;  /* of the part that the thread has */
    bool complete;         /* nothing more is handed over for the job */
    bool dropped;          /* a whole cut that cannot be written: what comes is not kept */
    bool whole_needed;
    struct tsn_root shown; /* `root` as of the last commit, claim or folding */

    atomic_bool stop;
    pthread_t thread;
};

/* The clock's milliseconds. */
int64_t tsn_store_clock(clockid_t id);

/* Takes from the hands of the caller the next part of the job's whole cut into store->cut, or waits
 * for it; false: the store closes. Takes lock. */
bool tsn_store_next_part(struct tsn_store *store);

/* Whether the next cut must be whole; gives what was said before. Takes lock. */
bool tsn_store_need_whole(struct tsn_store *store, bool needed);

/* Lets tsn_store_fetch see the root as it is now. Under io; takes lock. */
void tsn_store_show(struct tsn_store *store);

/* Connected, logged in, and the server checked since it was connected: one that was
 * restarted may have another policy. Under io. */
bool tsn_store_ready(struct tsn_store *store, int64_t *wait_ms, struct tsn_failure *failure);

/* The writing thread: makes a checkpoint of every job that is queued, until stop.
 * user: the store. */
void *tsn_store_write(void *user);

#endif
