#include "connectors/redis/node.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/redis/transport.h"
#include "rules/must/must.h"

enum {
    PARTS_SMALL = 64, /* commands of so few parts need no allocation of their own */
    PIECE_BYTES = 64 * 1024,
};

/* ---- bytes ---------------------------------------------------------------------------- */

char *tsn_node_format(int n, const struct tsn_redis_part *parts, size_t *len)
{
    TSN_MUST(n > 0);
    const char *small_p[PARTS_SMALL];
    size_t small_len[PARTS_SMALL];
    const char **p = small_p;
    size_t *lens = small_len;
    if (n > PARTS_SMALL) {
        p = malloc((size_t)n * (sizeof *p + sizeof *lens));
        TSN_MUST_ALLOC(p);
        lens = (size_t *)(p + n);
    }
    for (int i = 0; i < n; i++) {
        p[i] = parts[i].p;
        lens[i] = parts[i].len;
    }
    char *text = NULL;
    int written = redisFormatCommandArgv(&text, n, p, lens);
    TSN_MUST(written > 0); /* it fails for want of memory only */
    *len = (size_t)written;
    if (p != small_p) {
        free(p);
    }
    return text;
}

static void owe(struct tsn_node *node, struct tsn_owed owed)
{
    if (node->owed_n == node->owed_cap) {
        size_t cap = node->owed_cap == 0 ? 256 : node->owed_cap * 2;
        struct tsn_owed *ring = malloc(cap * sizeof *ring);
        TSN_MUST_ALLOC(ring);
        for (size_t i = 0; i < node->owed_n; i++) {
            ring[i] = node->owed[(node->owed_first + i) % node->owed_cap];
        }
        free(node->owed);
        node->owed = ring;
        node->owed_cap = cap;
        node->owed_first = 0;
    }
    node->owed[(node->owed_first + node->owed_n++) % node->owed_cap] = owed;
}

void tsn_node_put(struct tsn_node *node, const char *text, size_t len, struct tsn_owed owed)
{
    if (node->out_len + len > node->out_cap) {
        node->out_cap = node->out_len + len + (node->out_len + len) / 2;
        node->out = realloc(node->out, node->out_cap);
        TSN_MUST_ALLOC(node->out);
    }
    memcpy(node->out + node->out_len, text, len);
    node->out_len += len;
    owe(node, owed);
}

bool tsn_node_flush(struct tsn_node *node, struct tsn_failure *failure)
{
    if (!node->transport) {
        return tsn_fail(failure, TSN_REMEDY_RETRY, "%s: the connection broke", node->name);
    }
    size_t len = node->out_len;
    node->out_len = 0;
    return len == 0 || tsn_transport_send(node->transport, node->out, len, failure);
}

struct tsn_owed tsn_node_next(const struct tsn_node *node)
{
    TSN_MUST(node->owed_n > 0);
    return node->owed[node->owed_first];
}

struct tsn_reply *tsn_node_take(struct tsn_node *node, struct tsn_failure *failure)
{
    TSN_MUST(node->owed_n > 0);
    void *reply = NULL;
    if (!tsn_node_flush(node, failure)) {
        return NULL;
    }
    for (;;) {
        if (redisReaderGetReply(node->reader, &reply) != REDIS_OK) {
            tsn_fail(failure, TSN_REMEDY_RETRY, "%s: this is not how Redis answers: %s", node->name,
                     node->reader->errstr);
            return NULL;
        }
        if (reply) {
            node->owed_first = (node->owed_first + 1) % node->owed_cap;
            node->owed_n--;
            return reply;
        }
        char bytes[PIECE_BYTES];
        size_t n = tsn_transport_receive(node->transport, bytes, sizeof bytes, failure);
        if (n == 0) {
            return NULL;
        }
        redisReaderFeed(node->reader, bytes, n); /* its errors show in the next GetReply */
    }
}

struct tsn_reply *tsn_node_ask(struct tsn_node *node, int n, const struct tsn_redis_part *parts,
                               struct tsn_failure *failure)
{
    TSN_MUST(node->owed_n == 0);
    size_t len;
    char *text = tsn_node_format(n, parts, &len);
    tsn_node_put(node, text, len, (struct tsn_owed){.command = TSN_OWED_NOBODY});
    redisFreeCommand(text);
    return tsn_node_take(node, failure);
}

/* ---- opening -------------------------------------------------------------------------- */

struct tsn_node *tsn_node_new(const struct tsn_redis_address *as,
                              const struct tsn_cluster_address *at, const char *unix_socket,
                              const char *name)
{
    struct tsn_node *node = calloc(1, sizeof *node);
    TSN_MUST_ALLOC(node);
    node->as = as;
    node->at = *at;
    node->unix_socket = unix_socket;
    snprintf(node->name, sizeof node->name, "%s", name);
    return node;
}

void tsn_node_free(struct tsn_node *node)
{
    if (node) {
        tsn_node_close(node);
        free(node->out);
        free(node->owed);
        free(node);
    }
}

void tsn_node_close(struct tsn_node *node)
{
    if (node->transport) {
        tsn_transport_close(node->transport);
        redisReaderFree(node->reader);
        node->transport = NULL;
        node->reader = NULL;
    }
    node->out_len = 0;
    node->owed_first = node->owed_n = 0;
}

/* An error reply to a question that must be answered. */
static bool answered(struct tsn_node *node, struct tsn_reply *reply, struct tsn_failure *failure)
{
    bool ok = reply && tsn_reply_kind(reply) != TSN_REPLY_ERROR;
    if (reply && !ok) {
        tsn_redis_translate(node->name, tsn_reply_text(reply, NULL), failure);
    }
    tsn_reply_free(reply);
    return ok;
}

/* AUTH. The server's own words may repeat the password: they are not passed on. */
static bool log_in(struct tsn_node *node, struct tsn_failure *failure)
{
    const struct tsn_redis_address *as = node->as;
    if (!as->password) {
        return true;
    }
    struct tsn_redis_part parts[3] = {{"AUTH", 4}};
    int n = 1;
    if (as->user) {
        parts[n++] = (struct tsn_redis_part){as->user, strlen(as->user)};
    }
    parts[n++] = (struct tsn_redis_part){as->password, strlen(as->password)};
    struct tsn_reply *reply = tsn_node_ask(node, n, parts, failure);
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
                     node->name);
        } else if (strncmp(text, "LOADING", 7) == 0 || strstr(text, "max number of clients")) {
            tsn_redis_translate(node->name, text, failure);
        } else {
            tsn_fail(failure, TSN_REMEDY_CONFIG,
                     "%s: the server refuses user '%s' with this password; correct redis.user "
                     "and redis.password",
                     node->name, as->user ? as->user : "default");
        }
    }
    tsn_reply_free(reply);
    return ok;
}

static bool select_database(struct tsn_node *node, struct tsn_failure *failure)
{
    if (node->as->database == 0) {
        return true;
    }
    char number[16];
    int len = snprintf(number, sizeof number, "%d", node->as->database);
    const struct tsn_redis_part parts[] = {{"SELECT", 6}, {number, (size_t)len}};
    return answered(node, tsn_node_ask(node, 2, parts, failure), failure);
}

static bool greet(struct tsn_node *node, struct tsn_failure *failure)
{
    const struct tsn_redis_part ping = {"PING", 4};
    return answered(node, tsn_node_ask(node, 1, &ping, failure), failure);
}

bool tsn_node_open(struct tsn_node *node, struct tsn_failure *failure)
{
    const struct tsn_transport_target to = {
        .name = node->name,
        .host = node->at.host,
        .port = node->at.port,
        .unix_socket = node->unix_socket,
        .tls = &node->as->tls,
        .timeout_ms = node->as->timeout_ms,
    };
    TSN_MUST(!node->transport);
    node->transport = tsn_transport_open(&to, failure);
    if (!node->transport) {
        return false;
    }
    node->reader = redisReaderCreate();
    TSN_MUST_ALLOC(node->reader);
    node->reader->maxbuf = 0; /* keep the read buffer between large replies */
    if (!log_in(node, failure) || !select_database(node, failure) || !greet(node, failure)) {
        tsn_node_close(node);
        return false;
    }
    return true;
}
