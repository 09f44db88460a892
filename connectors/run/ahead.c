#include "connectors/run/ahead.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "rules/must/must.h"

struct tsn_ahead {
    tsn_ahead_work *work;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows, and the tasks' states */
    pthread_cond_t given, done;
    struct tsn_ahead_task *first, **last; /* that wait, the oldest first */
    bool stop;
};

static struct tsn_ahead_task *pop(struct tsn_ahead *ahead)
{
    struct tsn_ahead_task *task = ahead->first;
    ahead->first = task->next;
    if (!ahead->first) {
        ahead->last = &ahead->first;
    }
    return task;
}

static void *run(void *arg)
{
    struct tsn_ahead *ahead = arg;
    pthread_mutex_lock(&ahead->lock);
    for (;;) {
        while (!ahead->first && !ahead->stop) {
            pthread_cond_wait(&ahead->given, &ahead->lock);
        }
        if (ahead->stop) {
            break;
        }
        struct tsn_ahead_task *task = pop(ahead);
        task->state = TSN_AHEAD_BEGUN;
        pthread_mutex_unlock(&ahead->lock);
        ahead->work(task);
        pthread_mutex_lock(&ahead->lock);
        task->state = TSN_AHEAD_DONE;
        pthread_cond_signal(&ahead->done);
    }
    pthread_mutex_unlock(&ahead->lock);
    return NULL;
}

struct tsn_ahead *tsn_ahead_new(tsn_ahead_work *work)
{
    struct tsn_ahead *ahead = calloc(1, sizeof *ahead);
    TSN_MUST_ALLOC(ahead);
    ahead->work = work;
    ahead->last = &ahead->first;
    pthread_mutex_init(&ahead->lock, NULL);
    pthread_cond_init(&ahead->given, NULL);
    pthread_cond_init(&ahead->done, NULL);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited: they are for the loop */
    int rc = pthread_create(&ahead->thread, NULL, run, ahead);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    TSN_MUST(rc == 0);
    return ahead;
}

void tsn_ahead_free(struct tsn_ahead *ahead)
{
    if (!ahead) {
        return;
    }
    pthread_mutex_lock(&ahead->lock);
    ahead->stop = true;
    pthread_cond_signal(&ahead->given);
    pthread_mutex_unlock(&ahead->lock);
    pthread_join(ahead->thread, NULL);
    pthread_cond_destroy(&ahead->done);
    pthread_cond_destroy(&ahead->given);
    pthread_mutex_destroy(&ahead->lock);
    free(ahead);
}

void tsn_ahead_submit(struct tsn_ahead *ahead, struct tsn_ahead_task *task)
{
    pthread_mutex_lock(&ahead->lock);
    TSN_MUST(task->state == TSN_AHEAD_NONE);
    task->state = TSN_AHEAD_WAITS;
    task->next = NULL;
    *ahead->last = task;
    ahead->last = &task->next;
    pthread_cond_signal(&ahead->given);
    pthread_mutex_unlock(&ahead->lock);
}

/* Few stand before it: those that are claimed first were submitted first. */
static void withdraw(struct tsn_ahead *ahead, struct tsn_ahead_task *task)
{
    struct tsn_ahead_task **at = &ahead->first;
    while (*at != task) {
        at = &(*at)->next;
    }
    *at = task->next;
    if (!task->next) {
        ahead->last = at;
    }
}

bool tsn_ahead_claim(struct tsn_ahead *ahead, struct tsn_ahead_task *task)
{
    pthread_mutex_lock(&ahead->lock);
    TSN_MUST(task->state != TSN_AHEAD_NONE);
    if (task->state == TSN_AHEAD_WAITS) {
        withdraw(ahead, task);
    }
    while (task->state == TSN_AHEAD_BEGUN) {
        pthread_cond_wait(&ahead->done, &ahead->lock);
    }
    bool done = task->state == TSN_AHEAD_DONE;
    task->state = TSN_AHEAD_NONE;
    pthread_mutex_unlock(&ahead->lock);
    return done;
}

bool tsn_ahead_is_begun(struct tsn_ahead *ahead, const struct tsn_ahead_task *task)
{
    pthread_mutex_lock(&ahead->lock);
    bool begun = task->state == TSN_AHEAD_BEGUN;
    pthread_mutex_unlock(&ahead->lock);
    return begun;
}
