/* Publishing: one transaction after another, in a thread of its own.
 *
 * The loop computes interval k + 1 while k commits (12 to 40 ms on a real cluster),
 * so it never waits for Kafka unless Kafka is slower than the interval. The thread
 * walks the table of transaction.c: each act is one function that reports a
 * failure or none; nothing else decides what follows an error.
 *
 * The publication is borrowed: its memory must stay until it is reported, because
 * publishing again after an abort uses the same bytes. Messages are copied by the
 * library (alerts are few; a copy costs less than a rule about lifetimes).
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "connectors/kafka/connection.h"
#include "connectors/kafka/kafka.h"
#include "connectors/kafka/reader.h"
#include "connectors/kafka/transaction.h"
#include "rules/must/must.h"

enum { OUTPUTS_MAX = 8, INIT_TIMEOUT_MS = 5000, ABORT_TIMEOUT_MS = 5000, END_TIMEOUT_MS = 5000 };

struct tsn_publisher {
    struct tsn_publisher_settings settings;
    /* ---- the thread's own */
    struct tsn_txn txn;
    rd_kafka_t *rk;
    struct tsn_client_news *news;
    rd_kafka_topic_t *topics[OUTPUTS_MAX];
    size_t n_topics;
    /* ---- shared, under lock */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stop;
    bool ended;
    const struct tsn_publication *given; /* not yet taken by the thread */
    struct tsn_publication publication;
    enum tsn_publishing state;
    struct tsn_failure failure;
    struct tsn_failure trouble; /* of an act that is tried again */
    int report;                 /* eventfd */
};

/* ---- acts -------------------------------------------------------------------------- */

static void end_producer(struct tsn_publisher *p)
{
    if (!p->rk) {
        return;
    }
    for (size_t i = 0; i < p->n_topics; i++) {
        rd_kafka_topic_destroy(p->topics[i]);
    }
    p->n_topics = 0;
    if (tsn_client_end(p->rk, END_TIMEOUT_MS)) {
        free(p->news);
    }
    p->rk = NULL;
}

/* Every output topic is known from the start: the first message to a topic would
 * otherwise wait up to a second for its metadata. */
static void know_topics(struct tsn_publisher *p)
{
    const struct tsn_config *config = p->settings.config;
    const char *const names[] = {config->topics.alerts, config->topics.rejects,
                                 config->topics.manifest, config->topics.programs,
                                 config->topics.held};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        rd_kafka_topic_t *topic = names[i] ? rd_kafka_topic_new(p->rk, names[i], NULL) : NULL;
        if (topic) {
            p->topics[p->n_topics++] = topic;
        }
    }
}

static bool act_renew(struct tsn_publisher *p, struct tsn_failure *failure)
{
    end_producer(p);
    p->news = calloc(1, sizeof *p->news);
    TSN_MUST_ALLOC(p->news);
    rd_kafka_conf_t *conf =
        tsn_client_conf(p->settings.config, TSN_CLIENT_PUBLISH, 1, 0, p->news, failure);
    p->rk = conf ? tsn_client_new(conf, TSN_CLIENT_PUBLISH, failure) : NULL;
    if (!p->rk) {
        free(p->news);
        p->news = NULL;
        return false;
    }
    know_topics(p);
    return true;
}

/* A refused password shows as a time-out; what the connection said is the reason. */
static bool act_init(struct tsn_publisher *p, struct tsn_failure *failure)
{
    rd_kafka_error_t *error = rd_kafka_init_transactions(p->rk, INIT_TIMEOUT_MS);
    if (!error) {
        return true;
    }
    rd_kafka_poll(p->rk, 0);
    int last = atomic_load(&p->news->last_error);
    if (last == RD_KAFKA_RESP_ERR__AUTHENTICATION || last == RD_KAFKA_RESP_ERR__SSL) {
        char text[256];
        tsn_client_text(p->news, text, sizeof text);
        rd_kafka_error_destroy(error);
        return tsn_client_failure(failure, (rd_kafka_resp_err_t)last, 0, text,
                                  "initialise the transactional id");
    }
    return tsn_client_error(failure, error, "initialise the transactional id");
}

static bool act_read_tail(struct tsn_publisher *p, struct tsn_failure *failure, bool *lacked)
{
    uint64_t newest;
    bool same;
    if (!p->settings.tail(p->settings.tail_user, &p->publication, &newest, &same, failure)) {
        return false;
    }
    *lacked = newest < p->publication.sequence;
    if (newest == p->publication.sequence && !same) {
        return tsn_fail(failure, TSN_REMEDY_STAND_BY,
                        "manifest: another one of sequence %llu was committed while this one was "
                        "being published: another instance leads",
                        (unsigned long long)newest);
    }
    if (newest > p->publication.sequence) {
        return tsn_fail(failure, TSN_REMEDY_STAND_BY,
                        "manifest: sequence %llu is committed while %llu was being published: "
                        "another instance leads",
                        (unsigned long long)newest, (unsigned long long)p->publication.sequence);
    }
    return true;
}

static rd_kafka_topic_t *topic_of(struct tsn_publisher *p, const char *name)
{
    for (size_t i = 0; i < p->n_topics; i++) {
        if (strcmp(rd_kafka_topic_name(p->topics[i]), name) == 0) {
            return p->topics[i];
        }
    }
    TSN_MUST(!"a message to a topic that is no output");
    return NULL;
}

static bool send_message(struct tsn_publisher *p, const struct tsn_message *m,
                         struct tsn_failure *failure)
{
    for (;;) {
        rd_kafka_headers_t *headers = tsn_client_headers(m);
        rd_kafka_resp_err_t err = rd_kafka_producev(
            p->rk, RD_KAFKA_V_RKT(topic_of(p, m->topic)), RD_KAFKA_V_PARTITION(-1),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(m->key, m->key_len),
            RD_KAFKA_V_VALUE((void *)(uintptr_t)m->value, m->len), RD_KAFKA_V_HEADERS(headers),
            RD_KAFKA_V_END);
        if (!err) {
            return true;
        }
        rd_kafka_headers_destroy(headers);
        if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            return tsn_client_failure(failure, err, 0, NULL, "produce %zu bytes to topic %s",
                                      m->len, m->topic);
        }
        rd_kafka_error_t *error =
            rd_kafka_flush(p->rk, 1000) && rd_kafka_fatal_error(p->rk, NULL, 0)
                ? rd_kafka_error_new(RD_KAFKA_RESP_ERR__FATAL, "fatal")
                : NULL;
        if (error) {
            return tsn_client_error(failure, error, "produce");
        }
    }
}

static bool send_offsets(struct tsn_publisher *p, struct tsn_failure *failure)
{
    const struct tsn_publication *publication = &p->publication;
    struct tsn_reader *reader = p->settings.reader;
    if (!reader || !publication->positions || !publication->n_origins) {
        return true;
    }
    rd_kafka_consumer_group_metadata_t *group = tsn_reader_group(reader);
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)publication->n_origins);
    for (size_t i = 0; i < publication->n_origins; i++) {
        rd_kafka_topic_partition_list_add(list, publication->origins[i].topic,
                                          publication->origins[i].partition)
            ->offset = publication->positions[i];
    }
    rd_kafka_error_t *error = rd_kafka_send_offsets_to_transaction(p->rk, list, group, -1);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_consumer_group_metadata_destroy(group);
    return !error || tsn_client_error(failure, error, "send the group's offsets");
}

static bool act_send(struct tsn_publisher *p, struct tsn_failure *failure)
{
    for (size_t i = 0; i < p->publication.n; i++) {
        if (!send_message(p, &p->publication.messages[i], failure)) {
            return false;
        }
        rd_kafka_poll(p->rk, 0);
    }
    return send_offsets(p, failure);
}

static bool checked(rd_kafka_error_t *error, const char *what, struct tsn_failure *failure)
{
    return !error || tsn_client_error(failure, error, what);
}

static enum tsn_txn_event do_act(struct tsn_publisher *p, struct tsn_failure *failure)
{
    bool ok = true;
    bool lacked = false;
    *failure = (struct tsn_failure){.remedy = TSN_REMEDY_NONE};
    switch (p->txn.act) {
    case TSN_TXN_RENEW:
        ok = act_renew(p, failure);
        break;
    case TSN_TXN_INIT:
        ok = act_init(p, failure);
        break;
    case TSN_TXN_READ_TAIL:
        ok = act_read_tail(p, failure, &lacked);
        break;
    case TSN_TXN_BEGIN:
        ok = checked(rd_kafka_begin_transaction(p->rk), "begin a transaction", failure);
        break;
    case TSN_TXN_SEND:
        ok = act_send(p, failure);
        break;
    case TSN_TXN_COMMIT:
        ok = checked(rd_kafka_commit_transaction(p->rk, -1), "commit a transaction", failure);
        break;
    case TSN_TXN_ABORT:
        ok = checked(rd_kafka_abort_transaction(p->rk, ABORT_TIMEOUT_MS), "abort a transaction",
                     failure);
        break;
    case TSN_TXN_WAIT:
    case TSN_TXN_CONFIRM:
    case TSN_TXN_STAND_BY:
    case TSN_TXN_STOP:
    case TSN_TXN_ACTS:
        break;
    }
    if (ok) {
        return lacked ? TSN_TXN_LACKED : TSN_TXN_OK;
    }
    return tsn_txn_event_of(failure->remedy);
}

/* ---- the thread ---------------------------------------------------------------------- */

static void report(struct tsn_publisher *p, enum tsn_publishing state,
                   const struct tsn_failure *failure)
{
    uint64_t one = 1;
    pthread_mutex_lock(&p->lock);
    p->state = state;
    if (failure) {
        p->failure = *failure;
    }
    p->trouble.text[0] = '\0';
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    TSN_MUST(write(p->report, &one, sizeof one) == sizeof one);
}

static void until_in(struct timespec *until, unsigned ms)
{
    clock_gettime(CLOCK_MONOTONIC, until);
    until->tv_sec += ms / 1000;
    until->tv_nsec += (long)(ms % 1000) * 1000000;
    if (until->tv_nsec >= 1000000000) {
        until->tv_nsec -= 1000000000;
        until->tv_sec++;
    }
}

/* Serves the idle producer's connection; false: stop. */
static bool wait_for_work(struct tsn_publisher *p)
{
    pthread_mutex_lock(&p->lock);
    while (!p->stop && !p->given) {
        struct timespec until;
        until_in(&until, 200);
        if (pthread_cond_timedwait(&p->changed, &p->lock, &until) == ETIMEDOUT) {
            pthread_mutex_unlock(&p->lock);
            rd_kafka_poll(p->rk, 0);
            pthread_mutex_lock(&p->lock);
        }
    }
    bool go_on = p->given != NULL;
    p->given = NULL;
    pthread_mutex_unlock(&p->lock);
    return go_on;
}

static bool back_off(struct tsn_publisher *p, const struct tsn_failure *failure)
{
    unsigned ms = tsn_txn_backoff_ms(&p->txn);
    struct timespec until;
    until_in(&until, ms);
    pthread_mutex_lock(&p->lock);
    p->trouble = *failure;
    while (ms && !p->stop && pthread_cond_timedwait(&p->changed, &p->lock, &until) != ETIMEDOUT) {
    }
    bool stop = p->stop;
    pthread_mutex_unlock(&p->lock);
    return !stop;
}

static void *publish(void *arg)
{
    struct tsn_publisher *p = arg;
    struct tsn_failure failure = {0};
    struct tsn_failure cause = {0}; /* the failure that led to STAND_BY or STOP */
    bool go_on = true;
    while (go_on) {
        if (p->txn.act == TSN_TXN_STAND_BY || p->txn.act == TSN_TXN_STOP) {
            cause.remedy = p->txn.act == TSN_TXN_STOP ? TSN_REMEDY_CONFIG : TSN_REMEDY_STAND_BY;
            report(p, TSN_PUBLISHING_FAILED, &cause);
            break;
        }
        if (p->txn.act == TSN_TXN_CONFIRM) {
            report(p, TSN_PUBLISHING_DONE, NULL);
            tsn_txn_step(&p->txn, TSN_TXN_OK);
            continue;
        }
        if (p->txn.act == TSN_TXN_WAIT) {
            go_on = wait_for_work(p);
            if (go_on) {
                tsn_txn_take(&p->txn);
            }
            continue;
        }
        enum tsn_txn_event event = do_act(p, &failure);
        bool initialised = p->txn.act == TSN_TXN_INIT && event == TSN_TXN_OK && !p->txn.holding;
        tsn_txn_step(&p->txn, event);
        if (initialised) {
            report(p, TSN_PUBLISHING_DONE, NULL);
        }
        if (event != TSN_TXN_OK && event != TSN_TXN_LACKED) {
            cause = failure;
            go_on = back_off(p, &failure);
        }
    }
    end_producer(p);
    pthread_mutex_lock(&p->lock);
    p->ended = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* ---- the caller's side --------------------------------------------------------------- */

struct tsn_publisher *tsn_publisher_open(const struct tsn_publisher_settings *settings,
                                         struct tsn_failure *failure)
{
    struct tsn_publisher *p = calloc(1, sizeof *p);
    TSN_MUST_ALLOC(p);
    p->settings = *settings;
    p->state = TSN_PUBLISHING_BUSY;
    tsn_txn_init(&p->txn);
    p->report = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    TSN_MUST(p->report >= 0);
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&p->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&p->thread, NULL, publish, p) != 0) {
        tsn_fail(failure, TSN_REMEDY_FATAL, "cannot start the publisher's thread");
        close(p->report);
        free(p);
        return NULL;
    }
    return p;
}

bool tsn_publisher_close(struct tsn_publisher *p, int timeout_ms)
{
    if (!p) {
        return true;
    }
    struct timespec until;
    until_in(&until, (unsigned)timeout_ms);
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->changed);
    while (!p->ended && pthread_cond_timedwait(&p->changed, &p->lock, &until) != ETIMEDOUT) {
    }
    bool ended = p->ended;
    pthread_mutex_unlock(&p->lock);
    if (!ended) {
        pthread_detach(p->thread); /* stuck in the library: the process is about to end */
        return false;
    }
    pthread_join(p->thread, NULL);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    close(p->report);
    free(p);
    return true;
}

int tsn_publisher_fd(const struct tsn_publisher *p)
{
    return p->report;
}

static enum tsn_publishing taken(struct tsn_publisher *p, struct tsn_failure *failure)
{
    enum tsn_publishing state = p->state;
    if (state == TSN_PUBLISHING_DONE || state == TSN_PUBLISHING_FAILED) {
        uint64_t count;
        *failure = p->failure;
        p->state = TSN_PUBLISHING_IDLE;
        if (read(p->report, &count, sizeof count) < 0) {
            TSN_MUST(errno == EAGAIN);
        }
    }
    return state;
}

enum tsn_publishing tsn_publisher_poll(struct tsn_publisher *p, struct tsn_failure *failure)
{
    pthread_mutex_lock(&p->lock);
    enum tsn_publishing state = taken(p, failure);
    pthread_mutex_unlock(&p->lock);
    return state;
}

enum tsn_publishing tsn_publisher_wait(struct tsn_publisher *p, int timeout_ms,
                                       struct tsn_failure *failure)
{
    struct timespec until;
    until_in(&until, timeout_ms > 0 ? (unsigned)timeout_ms : 0);
    pthread_mutex_lock(&p->lock);
    while (p->state == TSN_PUBLISHING_BUSY &&
           pthread_cond_timedwait(&p->changed, &p->lock, &until) != ETIMEDOUT) {
    }
    enum tsn_publishing state = taken(p, failure);
    pthread_mutex_unlock(&p->lock);
    return state;
}

void tsn_publisher_submit(struct tsn_publisher *p, const struct tsn_publication *publication)
{
    pthread_mutex_lock(&p->lock);
    TSN_MUST(p->state == TSN_PUBLISHING_IDLE && !p->given);
    p->publication = *publication;
    p->given = &p->publication;
    p->state = TSN_PUBLISHING_BUSY;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

void tsn_publisher_set_reader(struct tsn_publisher *p, struct tsn_reader *reader)
{
    pthread_mutex_lock(&p->lock);
    TSN_MUST(p->state == TSN_PUBLISHING_IDLE);
    p->settings.reader = reader;
    pthread_mutex_unlock(&p->lock);
}

void tsn_publisher_trouble(struct tsn_publisher *p, char *text, size_t cap)
{
    pthread_mutex_lock(&p->lock);
    snprintf(text, cap, "%s", p->trouble.text);
    pthread_mutex_unlock(&p->lock);
}
