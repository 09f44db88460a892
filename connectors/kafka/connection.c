/* Properties -> librdkafka configuration, its errors -> struct tsn_failure, and an
 * end that cannot hang.
 *
 * Settings are a table of three layers: our defaults, what the configuration file
 * says (anything the library knows passes through), and what correctness rests on,
 * which a file may repeat but not contradict. Defaults come from measurements, not
 * taste: Nagle costs 40 ms a small request, a retry back-off of 100 ms costs that
 * much on every transaction that meets the markers of the one before; and what is read
 * ahead is bounded by bytes, because a bound on messages that is met first lets
 * partitions run dry.
 */
#include "connectors/kafka/connection.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rules/must/must.h"

enum {
    ASK = 1 << TSN_CLIENT_ASK,
    READ = 1 << TSN_CLIENT_READ,
    PUBLISH = 1 << TSN_CLIENT_PUBLISH,
    LEAD = 1 << TSN_CLIENT_LEAD,
    CONSUMERS = ASK | READ | LEAD,
    ALL = CONSUMERS | PUBLISH
};

struct setting {
    int roles;
    const char *key;
    const char *value;
    const char *why; /* fixed settings: what rests on it */
};

static const struct setting defaults[] = {
    {ALL, "client.id", "tocsin", NULL},
    {ALL, "log_level", "3", NULL},
    {ALL, "socket.nagle.disable", "true", NULL},
    {ALL, "socket.keepalive.enable", "true", NULL},
    {ALL, "reconnect.backoff.ms", "50", NULL},
    {ALL, "reconnect.backoff.max.ms", "2000", NULL},
    {READ | ASK, "fetch.wait.max.ms", "100", NULL},
    {READ | ASK, "fetch.error.backoff.ms", "100", NULL},
    {READ, "queued.min.messages", "1000000", NULL},
    {PUBLISH, "transaction.timeout.ms", "15000", NULL},
    {PUBLISH, "linger.ms", "2", NULL},
    {PUBLISH, "retry.backoff.ms", "10", NULL},
    {PUBLISH, "compression.type", "lz4", NULL},
    {PUBLISH, "partitioner", "murmur2_random", NULL},
    {LEAD, "session.timeout.ms", "6000", NULL},
    {LEAD, "heartbeat.interval.ms", "1500", NULL},
};

static const struct setting fixed[] = {
    {READ | ASK | LEAD, "enable.auto.commit", "false", "positions are in the manifest"},
    {READ | ASK | LEAD, "enable.auto.offset.store", "false", "positions are in the manifest"},
    {READ, "auto.commit.enable", "false", "positions are in the manifest"},
    {READ | ASK, "auto.offset.reset", "error", "a position that is gone must not be skipped"},
    {READ | ASK, "isolation.level", "read_committed", "aborted records must not be counted"},
    {READ | ASK, "enable.partition.eof", "true", "the merge must know who stands at his end"},
    {CONSUMERS, "allow.auto.create.topics", "false", "a topic that is absent is a mistake"},
    {LEAD, "auto.offset.reset", "latest", "the leader's group reads nothing"},
    {LEAD, "partition.assignment.strategy", "cooperative-sticky", "a leader must keep his seat"},
    {PUBLISH, "enable.idempotence", "true", "transactions need it"},
    {PUBLISH, "acks", "all", "transactions need it"},
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void news_take(struct tsn_client_news *news)
{
    int free_ = 0;
    while (!atomic_compare_exchange_weak(&news->lock, &free_, 1)) {
        free_ = 0;
    }
}

static void news_write(struct tsn_client_news *news, const char *text)
{
    news_take(news);
    snprintf(news->text, sizeof news->text, "%s", text);
    atomic_store(&news->lock, 0);
}

void tsn_client_text(struct tsn_client_news *news, char *text, size_t cap)
{
    news_take(news);
    snprintf(text, cap, "%s", news->text);
    atomic_store(&news->lock, 0);
}

static void on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
    (void)rk;
    struct tsn_client_news *news = opaque;
    atomic_store(&news->last_error, err);
    news_write(news, reason);
    if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        atomic_store(&news->down, 1);
    }
}

/* The library's own lines would tell one lost broker in twenty lines; the last one
 * is kept for the message that a person gets to see. */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)facility;
    struct tsn_client_news *news = rd_kafka_opaque(rk);
    if (news && level <= 4) {
        news_write(news, text);
    }
}

static bool set(rd_kafka_conf_t *conf, const char *key, const char *value,
                struct tsn_failure *failure)
{
    char why[256];
    if (rd_kafka_conf_set(conf, key, value, why, sizeof why) == RD_KAFKA_CONF_OK) {
        return true;
    }
    return tsn_fail(failure, TSN_REMEDY_CONFIG,
                    "kafka: the property '%s' was refused: %s. Its name and values are those of "
                    "librdkafka's CONFIGURATION.md",
                    key, why);
}

static const struct setting *fixed_setting(int role, const char *key)
{
    for (size_t i = 0; i < COUNT(fixed); i++) {
        if ((fixed[i].roles & role) && strcmp(fixed[i].key, key) == 0) {
            return &fixed[i];
        }
    }
    return NULL;
}

/* Does a property only name a member of a group? A client with a group asks for its
 * coordinator as soon as it is connected, and a broker that has none yet makes
 * __consumer_offsets for that: who only looks must leave nothing behind. */
static bool names_group(const char *key)
{
    return strcmp(key, "group.id") == 0 || strcmp(key, "group.instance.id") == 0;
}

const char *tsn_client_group(const struct tsn_config *config, char *text, size_t cap)
{
    const struct tsn_properties *const both[] = {&config->kafka.common, &config->kafka.consumer};
    snprintf(text, cap, "tocsin-%s", config->instance);
    for (size_t i = 0; i < COUNT(both); i++) {
        for (size_t j = 0; j < both[i]->n; j++) {
            if (strcmp(both[i]->items[j].key, "group.id") == 0) {
                snprintf(text, cap, "%s", both[i]->items[j].value);
            }
        }
    }
    return text;
}

static bool set_users(rd_kafka_conf_t *conf, int role, const struct tsn_properties *properties,
                      struct tsn_failure *failure)
{
    for (size_t i = 0; i < properties->n; i++) {
        const struct tsn_property *p = &properties->items[i];
        const struct setting *must = fixed_setting(role, p->key);
        if (must && strcmp(must->value, p->value) != 0 && role != LEAD) {
            return tsn_fail(failure, TSN_REMEDY_CONFIG,
                            "kafka: '%s' must be '%s' (%s); remove it from the configuration",
                            p->key, must->value, must->why);
        }
        if ((role & (READ | ASK)) && names_group(p->key)) {
            continue;
        }
        if (!set(conf, p->key, p->value, failure)) {
            return false;
        }
    }
    return true;
}

static bool fill(rd_kafka_conf_t *conf, const struct tsn_config *config,
                 enum tsn_client_role client, size_t n_shares, size_t budget_bytes,
                 struct tsn_failure *failure)
{
    int role = 1 << client;
    bool ok = true;
    for (size_t i = 0; i < COUNT(defaults) && ok; i++) {
        ok = !(defaults[i].roles & role) || set(conf, defaults[i].key, defaults[i].value, failure);
    }
    char text[256];
    if (ok && role == READ) {
        size_t share_kb = budget_bytes / 1024 / (n_shares ? n_shares : 1);
        share_kb = share_kb < 512 ? 512 : share_kb > 65536 ? 65536 : share_kb;
        snprintf(text, sizeof text, "%zu", share_kb);
        ok = set(conf, "queued.max.messages.kbytes", text, failure);
    }
    if (ok && role == PUBLISH) {
        snprintf(text, sizeof text, "tocsin-%s", config->instance);
        ok = set(conf, "transactional.id", text, failure);
    }
    ok = ok && set_users(conf, role, &config->kafka.common, failure);
    if (ok && (role == READ || role == ASK)) {
        ok = set_users(conf, role, &config->kafka.consumer, failure);
    }
    if (ok && role == PUBLISH) {
        ok = set_users(conf, role, &config->kafka.producer, failure);
    }
    if (ok && role == LEAD) { /* a seat of its own, even if the file names a group */
        snprintf(text, sizeof text, "tocsin-%s-leader", config->instance);
        ok = set(conf, "group.id", text, failure);
    }
    for (size_t i = 0; i < COUNT(fixed) && ok; i++) {
        ok = !(fixed[i].roles & role) || set(conf, fixed[i].key, fixed[i].value, failure);
    }
    return ok;
}

rd_kafka_conf_t *tsn_client_conf(const struct tsn_config *config, enum tsn_client_role client,
                                 size_t n_shares, size_t budget_bytes, struct tsn_client_news *news,
                                 struct tsn_failure *failure)
{
    memset(news, 0, sizeof *news);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    TSN_MUST_ALLOC(conf);
    if (!fill(conf, config, client, n_shares, budget_bytes, failure)) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    rd_kafka_conf_set_opaque(conf, news);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_log_cb(conf, on_log);
    return conf;
}

rd_kafka_t *tsn_client_new(rd_kafka_conf_t *conf, enum tsn_client_role role,
                           struct tsn_failure *failure)
{
    char why[256];
    rd_kafka_type_t type = role == TSN_CLIENT_PUBLISH ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER;
    rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);
    if (!rk) {
        rd_kafka_conf_destroy(conf);
        tsn_fail(failure, TSN_REMEDY_CONFIG, "kafka: cannot make a client: %s", why);
        return NULL;
    }
    if (role == TSN_CLIENT_LEAD) {
        rd_kafka_poll_set_consumer(rk);
    }
    return rk;
}

rd_kafka_headers_t *tsn_client_headers(const struct tsn_message *message)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(message->n_headers);
    for (size_t i = 0; i < message->n_headers; i++) {
        rd_kafka_header_add(headers, message->headers[i].name, -1, message->headers[i].value,
                            (ssize_t)message->headers[i].len);
    }
    return headers;
}

struct ending {
    rd_kafka_t *rk;
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool ended;
    bool abandoned;
};

static void ending_free(struct ending *ending)
{
    pthread_cond_destroy(&ending->done);
    pthread_mutex_destroy(&ending->lock);
    free(ending);
}

static void *end_client(void *arg)
{
    struct ending *ending = arg;
    rd_kafka_destroy(ending->rk);
    pthread_mutex_lock(&ending->lock);
    ending->ended = true;
    bool abandoned = ending->abandoned;
    pthread_cond_signal(&ending->done);
    pthread_mutex_unlock(&ending->lock);
    if (abandoned) {
        ending_free(ending);
    }
    return NULL;
}

bool tsn_client_end(rd_kafka_t *rk, int timeout_ms)
{
    struct ending *ending = calloc(1, sizeof *ending);
    TSN_MUST_ALLOC(ending);
    ending->rk = rk;
    pthread_mutex_init(&ending->lock, NULL);
    pthread_cond_init(&ending->done, NULL);
    pthread_t thread;
    if (pthread_create(&thread, NULL, end_client, ending) != 0) {
        ending_free(ending);
        return false;
    }
    pthread_detach(thread);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&ending->lock);
    while (!ending->ended &&
           pthread_cond_timedwait(&ending->done, &ending->lock, &until) != ETIMEDOUT) {
    }
    bool ended = ending->ended;
    ending->abandoned = !ended;
    pthread_mutex_unlock(&ending->lock);
    if (ended) {
        ending_free(ending);
    }
    return ended;
}

/* ---- errors ------------------------------------------------------------------------ */

/* What the caller does about a code when the library's own flags say nothing, and
 * what a person could do about it. */
static const struct {
    rd_kafka_resp_err_t code;
    enum tsn_remedy remedy;
    const char *advice;
} codes[] = {
    {RD_KAFKA_RESP_ERR__FENCED, TSN_REMEDY_STAND_BY, "another instance leads"},
    {RD_KAFKA_RESP_ERR_PRODUCER_FENCED, TSN_REMEDY_STAND_BY, "another instance leads"},
    {RD_KAFKA_RESP_ERR__TRANSPORT, TSN_REMEDY_RETRY, "is the broker up?"},
    {RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, TSN_REMEDY_RETRY, "is the broker up?"},
    {RD_KAFKA_RESP_ERR__RESOLVE, TSN_REMEDY_RETRY, "check bootstrap.servers"},
    {RD_KAFKA_RESP_ERR__TIMED_OUT, TSN_REMEDY_RETRY, "is the broker up?"},
    {RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, TSN_REMEDY_RETRY, "is the broker up?"},
    {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, TSN_REMEDY_RETRY, "is the broker up?"},
    {RD_KAFKA_RESP_ERR__WAIT_COORD, TSN_REMEDY_RETRY, NULL},
    {RD_KAFKA_RESP_ERR__QUEUE_FULL, TSN_REMEDY_RETRY, NULL},
    {RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, TSN_REMEDY_RETRY, NULL},
    {RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, TSN_REMEDY_RETRY, NULL},
    {RD_KAFKA_RESP_ERR_NOT_COORDINATOR, TSN_REMEDY_RETRY, NULL},
    {RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, TSN_REMEDY_RETRY, NULL},
    {RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, TSN_REMEDY_RETRY, NULL},
    {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, TSN_REMEDY_RETRY, NULL},
    {RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, TSN_REMEDY_RETRY, NULL},
    {RD_KAFKA_RESP_ERR__AUTHENTICATION, TSN_REMEDY_CONFIG, "check user and password"},
    {RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, TSN_REMEDY_CONFIG, "check user and password"},
    {RD_KAFKA_RESP_ERR__SSL, TSN_REMEDY_CONFIG, "check the certificates"},
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, TSN_REMEDY_CONFIG, "the ACLs forbid it"},
    {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, TSN_REMEDY_CONFIG, "the ACLs forbid it"},
    {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, TSN_REMEDY_CONFIG, "the ACLs forbid it"},
    {RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, TSN_REMEDY_CONFIG,
     "the ACLs forbid it"},
    {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, TSN_REMEDY_CONFIG,
     "`tocsin topics --create` makes what is missing"},
    {RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, TSN_REMEDY_CONFIG,
     "`tocsin topics --create` makes what is missing"},
    {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, TSN_REMEDY_CONFIG, "was the topic made anew?"},
    {RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, TSN_REMEDY_CONFIG,
     "the position is not held by the broker any more: its records were deleted (retention too "
     "short) or the topic was made anew"},
    {RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, TSN_REMEDY_CONFIG,
     "the position is not held by the broker any more"},
    {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, TSN_REMEDY_CONFIG,
     "raise max.message.bytes of the output topics"},
};

static enum tsn_remedy remedy_of(rd_kafka_resp_err_t code, int flags, const char **advice)
{
    enum tsn_remedy remedy = TSN_REMEDY_FATAL;
    *advice = NULL;
    for (size_t i = 0; i < COUNT(codes); i++) {
        if (codes[i].code == code) {
            remedy = codes[i].remedy;
            *advice = codes[i].advice;
            break;
        }
    }
    if (remedy == TSN_REMEDY_STAND_BY) {
        return remedy; /* by its code alone: fencing is not always flagged fatal */
    }
    if (flags & TSN_ERROR_FATAL) {
        return TSN_REMEDY_RECOVER;
    }
    if (flags & TSN_ERROR_ABORTABLE) {
        /* A broker that was away is no fault of what was published: it must not
         * count towards "the same failure three times". */
        return remedy == TSN_REMEDY_RETRY ? TSN_REMEDY_RECOVER : TSN_REMEDY_ABORT_TXN;
    }
    if (flags & TSN_ERROR_RETRIABLE) {
        return TSN_REMEDY_RETRY;
    }
    return remedy;
}

bool tsn_client_failure(struct tsn_failure *failure, rd_kafka_resp_err_t code, int flags,
                        const char *detail, const char *what_format, ...)
{
    char what[200];
    va_list args;
    va_start(args, what_format);
    vsnprintf(what, sizeof what, what_format, args);
    va_end(args);
    const char *advice;
    enum tsn_remedy remedy = remedy_of(code, flags, &advice);
    const char *meaning = rd_kafka_err2str(code);
    bool said = !detail || !detail[0] || strcmp(detail, meaning) == 0;
    return tsn_fail(failure, remedy, "kafka: cannot %s: %s%s%s%s%s", what, meaning,
                    said ? "" : " - ", said ? "" : detail, advice ? "; " : "",
                    advice ? advice : "");
}

bool tsn_client_error(struct tsn_failure *failure, rd_kafka_error_t *error, const char *what)
{
    int flags = (rd_kafka_error_is_fatal(error) ? TSN_ERROR_FATAL : 0) |
                (rd_kafka_error_txn_requires_abort(error) ? TSN_ERROR_ABORTABLE : 0) |
                (rd_kafka_error_is_retriable(error) ? TSN_ERROR_RETRIABLE : 0);
    tsn_client_failure(failure, rd_kafka_error_code(error), flags, rd_kafka_error_string(error),
                       "%s", what);
    rd_kafka_error_destroy(error);
    return false;
}
