/* The transport: sockets, time-outs, login and back-off around a hiredis context.
 *
 * To be extended here and only here: TLS (hiredis_ssl on newer versions, an own
 * read/write pair on 0.14) enters in open_socket; cluster routing enters in
 * tsn_redis_append and tsn_redis_take, with one context a node and a queue that
 * remembers which of them owes the next reply.
 */
#include "connectors/redis/redis.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "connectors/redis/pairs.h"
#include "rules/must/must.h"

enum {
    DEFAULT_TIMEOUT_MS = 5000,
    BACKOFF_MIN_MS = 50,
    BACKOFF_MAX_MS = 2000,
    PARTS_SMALL = 64, /* commands of so few parts need no allocation */
};

struct tsn_redis {
    struct tsn_redis_address address;
    char name[160];
    redisContext *context; /* NULL: not connected */
    uint64_t epoch;
    unsigned pending;
    size_t pending_bytes; /* since the pipeline was last empty; an upper bound */
    size_t *sizes;        /* ring of the pending commands' bytes */
    size_t sizes_cap, sizes_first;
    int64_t backoff_ms;    /* 0: the last attempt succeeded */
    int64_t not_before_ms; /* monotonic */
};

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct tsn_redis *tsn_redis_new(const struct tsn_redis_address *address)
{
    struct tsn_redis *redis = calloc(1, sizeof *redis);
    TSN_MUST_ALLOC(redis);
    redis->address = *address;
    if (redis->address.timeout_ms <= 0) {
        redis->address.timeout_ms = DEFAULT_TIMEOUT_MS;
    }
    if (address->unix_socket) {
        snprintf(redis->name, sizeof redis->name, "redis %s db %d", address->unix_socket,
                 address->database);
    } else {
        snprintf(redis->name, sizeof redis->name, "redis %s:%u db %d", address->host,
                 (unsigned)address->port, address->database);
    }
    return redis;
}

void tsn_redis_free(struct tsn_redis *redis)
{
    if (!redis) {
        return;
    }
    tsn_redis_drop(redis);
    free(redis->sizes);
    free(redis);
}

const char *tsn_redis_name(const struct tsn_redis *redis)
{
    return redis->name;
}

uint64_t tsn_redis_epoch(const struct tsn_redis *redis)
{
    return redis->epoch;
}

bool tsn_redis_broken(const struct tsn_redis *redis)
{
    return redis->context == NULL;
}

void tsn_redis_drop(struct tsn_redis *redis)
{
    if (redis->context) {
        redisFree(redis->context);
        redis->context = NULL;
    }
    redis->pending = 0;
    redis->pending_bytes = 0;
    redis->sizes_first = 0;
}

/* The connection broke: says how, and drops it. */
static bool broken(struct tsn_redis *redis, struct tsn_failure *failure)
{
    const redisContext *context = redis->context;
    if (context->err == REDIS_ERR_IO && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        tsn_fail(failure, TSN_REMEDY_RETRY, "%s: no answer within %lld ms", redis->name,
                 (long long)redis->address.timeout_ms);
    } else {
        tsn_fail(failure, TSN_REMEDY_RETRY, "%s: the connection broke: %s", redis->name,
                 context->errstr);
    }
    tsn_redis_drop(redis);
    return false;
}

/* hiredis writes without MSG_NOSIGNAL: a server that goes away would end the process.
 * Whoever set a handler of his own keeps it. */
static void ignore_sigpipe(void)
{
    struct sigaction is;
    if (sigaction(SIGPIPE, NULL, &is) == 0 && is.sa_handler == SIG_DFL) {
        is.sa_handler = SIG_IGN;
        sigaction(SIGPIPE, &is, NULL);
    }
}

/* A plain TCP or unix socket within the time-out. */
static bool open_socket(struct tsn_redis *redis, struct tsn_failure *failure)
{
    const struct tsn_redis_address *to = &redis->address;
    struct timeval timeout = {.tv_sec = to->timeout_ms / 1000,
                              .tv_usec = to->timeout_ms % 1000 * 1000};
    ignore_sigpipe();
    redisContext *context = to->unix_socket ? redisConnectUnixWithTimeout(to->unix_socket, timeout)
                                            : redisConnectWithTimeout(to->host, to->port, timeout);
    TSN_MUST_ALLOC(context);
    if (context->err) {
        tsn_fail(failure, TSN_REMEDY_RETRY,
                 "%s: cannot connect: %s; is redis-server running there?", redis->name,
                 context->errstr);
        redisFree(context);
        return false;
    }
    redisSetTimeout(context, timeout);
    if (!to->unix_socket) {
        redisEnableKeepAlive(context);
    }
    context->reader->maxbuf = 0; /* keep the read buffer between large replies */
    redis->context = context;
    redis->epoch++;
    return true;
}

/* AUTH. The server's own words may repeat the password: they are not passed on. */
static bool log_in(struct tsn_redis *redis, struct tsn_failure *failure)
{
    const struct tsn_redis_address *as = &redis->address;
    if (!as->password) {
        return true;
    }
    struct tsn_redis_part parts[3] = {{"AUTH", 4}};
    int n = 1;
    if (as->user) {
        parts[n++] = (struct tsn_redis_part){as->user, strlen(as->user)};
    }
    parts[n++] = (struct tsn_redis_part){as->password, strlen(as->password)};
    tsn_redis_append(redis, NULL, n, parts);
    struct tsn_reply *reply = tsn_redis_take(redis, failure);
    if (!reply) {
        return false;
    }
    bool ok = tsn_reply_kind(reply) != TSN_REPLY_ERROR;
    if (!ok) {
        const char *text = tsn_reply_text(reply, NULL);
        if (strstr(text, "without any password configured")) {
            tsn_fail(failure, TSN_REMEDY_CONFIG,
                     "%s: the server has no password, the configuration has one; remove "
                     "redis.password or set requirepass on the server",
                     redis->name);
        } else if (strncmp(text, "LOADING", 7) == 0 || strstr(text, "max number of clients")) {
            tsn_redis_translate(redis->name, text, failure);
        } else {
            tsn_fail(failure, TSN_REMEDY_CONFIG,
                     "%s: the server refuses user '%s' with this password; correct redis.user "
                     "and redis.password",
                     redis->name, as->user ? as->user : "default");
        }
    }
    tsn_reply_free(reply);
    return ok;
}

static bool select_database(struct tsn_redis *redis, struct tsn_failure *failure)
{
    if (redis->address.database == 0) {
        return true;
    }
    char number[16];
    int len = snprintf(number, sizeof number, "%d", redis->address.database);
    const struct tsn_redis_part parts[] = {{"SELECT", 6}, {number, (size_t)len}};
    struct tsn_reply *reply = tsn_redis_ask(redis, NULL, 2, parts, failure);
    tsn_reply_free(reply);
    return reply != NULL;
}

/* Answers before it says yes: NOAUTH and LOADING show here, not in mid-write. */
static bool greet(struct tsn_redis *redis, struct tsn_failure *failure)
{
    const struct tsn_redis_part ping = {"PING", 4};
    struct tsn_reply *reply = tsn_redis_ask(redis, NULL, 1, &ping, failure);
    tsn_reply_free(reply);
    return reply != NULL;
}

bool tsn_redis_connect(struct tsn_redis *redis, int64_t *wait_ms, struct tsn_failure *failure)
{
    if (wait_ms) {
        *wait_ms = 0;
    }
    if (redis->context) {
        return true;
    }
    int64_t now_ms = monotonic_ms();
    if (redis->backoff_ms > 0 && now_ms < redis->not_before_ms) {
        if (wait_ms) {
            *wait_ms = redis->not_before_ms - now_ms;
        }
        return tsn_fail(failure, TSN_REMEDY_RETRY,
                        "%s: away; the next attempt to connect is in %lld ms", redis->name,
                        (long long)(redis->not_before_ms - now_ms));
    }
    if (open_socket(redis, failure) && log_in(redis, failure) && select_database(redis, failure) &&
        greet(redis, failure)) {
        redis->backoff_ms = 0;
        return true;
    }
    tsn_redis_drop(redis);
    redis->backoff_ms = redis->backoff_ms == 0 ? BACKOFF_MIN_MS : redis->backoff_ms * 2;
    if (redis->backoff_ms > BACKOFF_MAX_MS) {
        redis->backoff_ms = BACKOFF_MAX_MS;
    }
    redis->not_before_ms = monotonic_ms() + redis->backoff_ms;
    if (wait_ms) {
        *wait_ms = redis->backoff_ms;
    }
    return false;
}

/* ---- pipelining ------------------------------------------------------------------ */

static void sizes_push(struct tsn_redis *redis, size_t bytes)
{
    if (redis->pending == redis->sizes_cap) {
        size_t cap = redis->sizes_cap == 0 ? 256 : redis->sizes_cap * 2;
        size_t *sizes = malloc(cap * sizeof *sizes);
        TSN_MUST_ALLOC(sizes);
        for (size_t i = 0; i < redis->pending; i++) {
            sizes[i] = redis->sizes[(redis->sizes_first + i) % redis->sizes_cap];
        }
        free(redis->sizes);
        redis->sizes = sizes;
        redis->sizes_cap = cap;
        redis->sizes_first = 0;
    }
    redis->sizes[(redis->sizes_first + redis->pending) % redis->sizes_cap] = bytes;
    redis->pending++;
    redis->pending_bytes += bytes;
}

static void sizes_pop(struct tsn_redis *redis)
{
    redis->pending_bytes -= redis->sizes[redis->sizes_first];
    redis->sizes_first = (redis->sizes_first + 1) % redis->sizes_cap;
    redis->pending--;
}

void tsn_redis_append(struct tsn_redis *redis, const char *key, int n,
                      const struct tsn_redis_part *parts)
{
    (void)key; /* one server: every key is there */
    TSN_MUST(redis->context && n > 0);
    const char *small_p[PARTS_SMALL];
    size_t small_len[PARTS_SMALL];
    const char **p = small_p;
    size_t *len = small_len;
    if (n > PARTS_SMALL) {
        p = malloc((size_t)n * (sizeof *p + sizeof *len));
        TSN_MUST_ALLOC(p);
        len = (size_t *)(p + n);
    }
    size_t bytes = 0;
    for (int i = 0; i < n; i++) {
        p[i] = parts[i].p;
        len[i] = parts[i].len;
        bytes += parts[i].len;
    }
    /* It fails for want of memory only; a connection's error shows when replies are taken. */
    int rc = redisAppendCommandArgv(redis->context, n, p, len);
    TSN_MUST(rc == REDIS_OK || redis->context->err != 0);
    sizes_push(redis, bytes);
    if (p != small_p) {
        free(p);
    }
}

unsigned tsn_redis_pending(const struct tsn_redis *redis)
{
    return redis->pending;
}

size_t tsn_redis_pending_bytes(const struct tsn_redis *redis)
{
    return redis->pending_bytes;
}

struct tsn_reply *tsn_redis_take(struct tsn_redis *redis, struct tsn_failure *failure)
{
    TSN_MUST(redis->context && redis->pending > 0);
    void *reply = NULL;
    if (redisGetReply(redis->context, &reply) != REDIS_OK || !reply) {
        broken(redis, failure);
        return NULL;
    }
    sizes_pop(redis);
    return reply;
}

struct tsn_reply *tsn_redis_take_pairs(struct tsn_redis *redis, tsn_redis_pair *pair, void *user,
                                       struct tsn_failure *failure)
{
    struct tsn_pairs_reader reader;
    redisContext *context = redis->context;
    tsn_pairs_begin(&reader, context->reader, pair, user);
    struct tsn_reply *reply = tsn_redis_take(redis, failure);
    if (redis->context == context) {
        tsn_pairs_end(&reader);
    }
    return reply;
}

struct tsn_reply *tsn_redis_ask(struct tsn_redis *redis, const char *key, int n,
                                const struct tsn_redis_part *parts, struct tsn_failure *failure)
{
    TSN_MUST(redis->pending == 0);
    tsn_redis_append(redis, key, n, parts);
    struct tsn_reply *reply = tsn_redis_take(redis, failure);
    if (reply && tsn_reply_kind(reply) == TSN_REPLY_ERROR) {
        tsn_redis_failure(redis, reply, failure);
        tsn_reply_free(reply);
        return NULL;
    }
    return reply;
}
