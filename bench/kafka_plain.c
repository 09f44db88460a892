/* The same thread, order and waits as the publisher's (connectors/kafka/publisher.c):
 * the loop computes k + 1 while k is sent; k is done when the brokers have acknowledged
 * all its messages, its manifest among them. Idempotent, lz4, linger 2 ms like there.
 */
#include "bench/kafka_plain.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "connectors/kafka/kafka.h"
#include "connectors/kafka/sender.h"
#include "rules/must/must.h"

enum { FLUSH_MS = 60000 };

/* The one of this process. */
static struct plain {
    bool used;
    struct tsn_sender *sender;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stop;
    const struct tsn_publication *given;
    struct tsn_publication publication;
    enum tsn_publishing state;
    struct tsn_failure failure;
    int report; /* eventfd */
} plain = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* The linker gives these names to what is called and to what is there. */
#define WRAPPED(type, name, ...)                                                                   \
    type __real_tsn_publisher_##name(__VA_ARGS__); /* NOLINT */                                    \
    type __wrap_tsn_publisher_##name(__VA_ARGS__)  /* NOLINT */

WRAPPED(struct tsn_publisher *, open, const struct tsn_publisher_settings *settings,
        struct tsn_failure *failure);
WRAPPED(bool, close, struct tsn_publisher *p, int timeout_ms);
WRAPPED(int, fd, const struct tsn_publisher *p);
WRAPPED(enum tsn_publishing, poll, struct tsn_publisher *p, struct tsn_failure *failure);
WRAPPED(enum tsn_publishing, wait, struct tsn_publisher *p, int timeout_ms,
        struct tsn_failure *failure);
WRAPPED(void, submit, struct tsn_publisher *p, const struct tsn_publication *publication);
WRAPPED(void, set_reader, struct tsn_publisher *p, struct tsn_reader *reader);
WRAPPED(void, trouble, struct tsn_publisher *p, char *text, size_t cap);

void plain_use(void)
{
    plain.used = true;
}

/* ---- the thread ---------------------------------------------------------------------------- */

static bool send_all(const struct tsn_publication *publication, struct tsn_failure *failure)
{
    for (size_t i = 0; i < publication->n; i++) {
        if (!tsn_sender_message(plain.sender, &publication->messages[i], 0, failure)) {
            return false;
        }
    }
    return tsn_sender_flush(plain.sender, FLUSH_MS, failure);
}

static void report(enum tsn_publishing state)
{
    static const uint64_t one = 1;
    plain.state = state;
    pthread_cond_broadcast(&plain.changed);
    TSN_MUST(write(plain.report, &one, sizeof one) == sizeof one);
}

static void *publish(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&plain.lock);
    report(TSN_PUBLISHING_DONE); /* opened */
    while (!plain.stop) {
        if (!plain.given) {
            pthread_cond_wait(&plain.changed, &plain.lock);
            continue;
        }
        plain.given = NULL;
        pthread_mutex_unlock(&plain.lock);
        struct tsn_failure failure = {0};
        bool ok = send_all(&plain.publication, &failure);
        pthread_mutex_lock(&plain.lock);
        plain.failure = failure;
        report(ok ? TSN_PUBLISHING_DONE : TSN_PUBLISHING_FAILED);
    }
    pthread_mutex_unlock(&plain.lock);
    return NULL;
}

/* ---- the loop's side ----------------------------------------------------------------------- */

static struct tsn_publisher *open_plain(const struct tsn_publisher_settings *settings,
                                        struct tsn_failure *failure)
{
    const struct tsn_config *config = settings->config;
    const char *const topics[] = {config->topics.alerts, config->topics.rejects,
                                  config->topics.manifest, config->topics.programs};
    TSN_MUST(config->kafka.common.n == 1); /* bootstrap.servers: see bench_kafka.c */
    plain.sender = tsn_sender_open(config->kafka.common.items[0].value, failure);
    if (!plain.sender) {
        return NULL;
    }
    tsn_sender_know(plain.sender, topics, sizeof topics / sizeof topics[0]);
    plain.state = TSN_PUBLISHING_BUSY;
    plain.report = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    TSN_MUST(plain.report >= 0);
    TSN_MUST(pthread_create(&plain.thread, NULL, publish, NULL) == 0);
    return (struct tsn_publisher *)&plain;
}

struct tsn_publisher *__wrap_tsn_publisher_open(const struct tsn_publisher_settings *settings,
                                                struct tsn_failure *failure)
{
    return plain.used ? open_plain(settings, failure)
                      : __real_tsn_publisher_open(settings, failure);
}

bool __wrap_tsn_publisher_close(struct tsn_publisher *p, int timeout_ms)
{
    if (!plain.used) {
        return __real_tsn_publisher_close(p, timeout_ms);
    }
    if (p) {
        pthread_mutex_lock(&plain.lock);
        plain.stop = true;
        pthread_cond_broadcast(&plain.changed);
        pthread_mutex_unlock(&plain.lock);
        pthread_join(plain.thread, NULL);
        tsn_sender_close(plain.sender);
        close(plain.report);
    }
    return true;
}

int __wrap_tsn_publisher_fd(const struct tsn_publisher *p)
{
    return plain.used ? plain.report : __real_tsn_publisher_fd(p);
}

static enum tsn_publishing taken(struct tsn_failure *failure)
{
    enum tsn_publishing state = plain.state;
    if (state == TSN_PUBLISHING_DONE || state == TSN_PUBLISHING_FAILED) {
        uint64_t count;
        *failure = plain.failure;
        plain.state = TSN_PUBLISHING_IDLE;
        if (read(plain.report, &count, sizeof count) < 0) {
            TSN_MUST(errno == EAGAIN);
        }
    }
    return state;
}

enum tsn_publishing __wrap_tsn_publisher_poll(struct tsn_publisher *p, struct tsn_failure *failure)
{
    if (!plain.used) {
        return __real_tsn_publisher_poll(p, failure);
    }
    pthread_mutex_lock(&plain.lock);
    enum tsn_publishing state = taken(failure);
    pthread_mutex_unlock(&plain.lock);
    return state;
}

enum tsn_publishing __wrap_tsn_publisher_wait(struct tsn_publisher *p, int timeout_ms,
                                              struct tsn_failure *failure)
{
    if (!plain.used) {
        return __real_tsn_publisher_wait(p, timeout_ms, failure);
    }
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += timeout_ms / 1000 + 1;
    pthread_mutex_lock(&plain.lock);
    while (plain.state == TSN_PUBLISHING_BUSY &&
           pthread_cond_timedwait(&plain.changed, &plain.lock, &until) != ETIMEDOUT) {
    }
    enum tsn_publishing state = taken(failure);
    pthread_mutex_unlock(&plain.lock);
    return state;
}

void __wrap_tsn_publisher_submit(struct tsn_publisher *p, const struct tsn_publication *publication)
{
    if (!plain.used) {
        __real_tsn_publisher_submit(p, publication);
        return;
    }
    pthread_mutex_lock(&plain.lock);
    TSN_MUST(plain.state == TSN_PUBLISHING_IDLE && !plain.given);
    plain.publication = *publication;
    plain.given = &plain.publication;
    plain.state = TSN_PUBLISHING_BUSY;
    pthread_cond_broadcast(&plain.changed);
    pthread_mutex_unlock(&plain.lock);
}

void __wrap_tsn_publisher_set_reader(struct tsn_publisher *p, struct tsn_reader *reader)
{
    if (!plain.used) {
        __real_tsn_publisher_set_reader(p, reader);
    }
}

void __wrap_tsn_publisher_trouble(struct tsn_publisher *p, char *text, size_t cap)
{
    if (!plain.used) {
        __real_tsn_publisher_trouble(p, text, cap);
    } else if (cap) {
        text[0] = '\0';
    }
}
