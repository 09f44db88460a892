#include "connectors/store/belt.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "rules/must/must.h"

enum { CHUNKS = 16, ROOM = CHUNKS / 2, OPENERS_MAX = 4 };

/* Counts of chunks put on, begun to be opened, and taken: taken <= begun <= put, and put
 * is at most CHUNKS beyond taken. Chunk i stands in place i % CHUNKS. */
struct tsn_belt {
    const struct tsn_layout *layout;
    const struct tsn_keys *keys;

    pthread_mutex_t lock;
    pthread_cond_t room, work, ready; /* for who puts, for openers, for who takes */
    uint64_t put, begun, taken;
    bool opened[CHUNKS];
    bool holds; /* the taker reads chunk `taken` */
    bool ended, stopped;

    struct tsn_chunk chunks[CHUNKS]; /* each belongs to whoever works on it */
    unsigned n_openers;
    pthread_t openers[OPENERS_MAX];
};

/* Opens the first chunk that nobody has begun. Under the lock, which is let go while it
 * opens. */
static void open_one(struct tsn_belt *belt)
{
    unsigned place = (unsigned)(belt->begun++ % CHUNKS);
    pthread_mutex_unlock(&belt->lock);
    tsn_chunk_open(&belt->chunks[place], belt->layout, belt->keys);
    pthread_mutex_lock(&belt->lock);
    belt->opened[place] = true;
    pthread_cond_signal(&belt->ready);
}

static void *open_thread(void *user)
{
    struct tsn_belt *belt = user;
    pthread_mutex_lock(&belt->lock);
    for (;;) {
        while (belt->begun == belt->put && !belt->ended && !belt->stopped) {
            pthread_cond_wait(&belt->work, &belt->lock);
        }
        if (belt->begun == belt->put || belt->stopped) {
            break;
        }
        open_one(belt);
    }
    pthread_mutex_unlock(&belt->lock);
    return NULL;
}

struct tsn_belt *tsn_belt_new(const struct tsn_layout *layout, const struct tsn_keys *keys)
{
    struct tsn_belt *belt = calloc(1, sizeof *belt);
    TSN_MUST_ALLOC(belt);
    belt->layout = layout;
    belt->keys = keys;
    pthread_mutex_init(&belt->lock, NULL);
    pthread_cond_init(&belt->room, NULL);
    pthread_cond_init(&belt->work, NULL);
    pthread_cond_init(&belt->ready, NULL);
    /* Beside the two that put and take. */
    long spare = sysconf(_SC_NPROCESSORS_ONLN) - 2;
    unsigned n = spare < 0 ? 0 : spare > OPENERS_MAX ? OPENERS_MAX : (unsigned)spare;
    for (; belt->n_openers < n; belt->n_openers++) {
        int rc = pthread_create(&belt->openers[belt->n_openers], NULL, open_thread, belt);
        TSN_MUST(rc == 0);
    }
    return belt;
}

void tsn_belt_free(struct tsn_belt *belt)
{
    tsn_belt_stop(belt);
    for (unsigned i = 0; i < belt->n_openers; i++) {
        pthread_join(belt->openers[i], NULL);
    }
    for (unsigned i = 0; i < CHUNKS; i++) {
        tsn_chunk_free(&belt->chunks[i]);
    }
    pthread_cond_destroy(&belt->room);
    pthread_cond_destroy(&belt->work);
    pthread_cond_destroy(&belt->ready);
    pthread_mutex_destroy(&belt->lock);
    free(belt);
}

struct tsn_chunk *tsn_belt_room(struct tsn_belt *belt)
{
    pthread_mutex_lock(&belt->lock);
    bool full = belt->put - belt->taken == CHUNKS;
    while (full && belt->put - belt->taken > CHUNKS - ROOM && !belt->stopped) {
        if (belt->begun < belt->put) {
            open_one(belt);
        } else {
            pthread_cond_wait(&belt->room, &belt->lock);
        }
    }
    struct tsn_chunk *chunk = belt->stopped ? NULL : &belt->chunks[belt->put % CHUNKS];
    pthread_mutex_unlock(&belt->lock);
    return chunk;
}

void tsn_belt_put(struct tsn_belt *belt)
{
    pthread_mutex_lock(&belt->lock);
    belt->opened[belt->put++ % CHUNKS] = false;
    pthread_cond_signal(&belt->work);
    pthread_cond_signal(&belt->ready);
    pthread_mutex_unlock(&belt->lock);
}

void tsn_belt_end(struct tsn_belt *belt)
{
    pthread_mutex_lock(&belt->lock);
    belt->ended = true;
    pthread_cond_broadcast(&belt->work);
    pthread_cond_signal(&belt->ready);
    pthread_mutex_unlock(&belt->lock);
}

const struct tsn_chunk *tsn_belt_take(struct tsn_belt *belt)
{
    pthread_mutex_lock(&belt->lock);
    if (belt->holds) {
        belt->taken++;
        belt->holds = false;
        if (belt->put - belt->taken <= CHUNKS - ROOM) {
            pthread_cond_signal(&belt->room);
        }
    }
    for (;;) {
        if (belt->taken < belt->put && belt->opened[belt->taken % CHUNKS]) {
            belt->holds = true;
            break;
        }
        if (belt->begun < belt->put) {
            open_one(belt);
        } else if (belt->ended && belt->taken == belt->put) {
            break;
        } else {
            pthread_cond_wait(&belt->ready, &belt->lock);
        }
    }
    const struct tsn_chunk *chunk = belt->holds ? &belt->chunks[belt->taken % CHUNKS] : NULL;
    pthread_mutex_unlock(&belt->lock);
    return chunk;
}

void tsn_belt_stop(struct tsn_belt *belt)
{
    pthread_mutex_lock(&belt->lock);
    belt->stopped = true;
    pthread_cond_broadcast(&belt->room);
    pthread_cond_broadcast(&belt->work);
    pthread_mutex_unlock(&belt->lock);
}
