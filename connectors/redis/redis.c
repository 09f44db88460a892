/* Redis: making and ending a connection: to one server, or to every master of a cluster.
 *
 * Whether a server is a node of a cluster is asked of it, not configured. All masters
 * are connected at once and all of them fall together: a checkpoint needs every one, so
 * a cluster of which one master is away is "Redis away", and nothing above this folder
 * has to know how many nodes there are.
 */
#include "connectors/redis/redis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "connectors/redis/connection.h"
#include "rules/must/must.h"

enum {
    DEFAULT_TIMEOUT_MS = 5000,
    BACKOFF_MIN_MS = 50,
    BACKOFF_MAX_MS = 2000,
};

int64_t tsn_redis_now_ms(void)
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
    free(redis->commands);
    free(redis->map);
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
    return !redis->connected;
}

unsigned tsn_redis_n_nodes(const struct tsn_redis *redis)
{
    return redis->n_nodes;
}

const char *tsn_redis_node_name(const struct tsn_redis *redis, unsigned node)
{
    return node < redis->n_nodes ? redis->nodes[node]->name : redis->name;
}

bool tsn_redis_failure(const struct tsn_redis *redis, const struct tsn_reply *error,
                       struct tsn_failure *failure)
{
    return tsn_redis_translate(tsn_redis_node_name(redis, redis->spoke),
                               tsn_reply_text(error, NULL), failure);
}

void tsn_redis_drop(struct tsn_redis *redis)
{
    tsn_redis_forget(redis);
    for (unsigned i = 0; i < redis->n_nodes; i++) {
        tsn_node_free(redis->nodes[i]);
    }
    redis->n_nodes = 0;
    redis->spoke = 0;
    redis->connected = false;
    redis->map_stale = false;
}

/* ---- the nodes of a cluster ---------------------------------------------------------------- */

static struct tsn_node *node_at(const struct tsn_redis *redis, const struct tsn_cluster_address *at)
{
    char name[TSN_NODE_NAME_MAX];
    snprintf(name, sizeof name, "redis %s:%u of the cluster", at->host, (unsigned)at->port);
    return tsn_node_new(&redis->address, at, NULL, name);
}

int tsn_redis_reach(struct tsn_redis *redis, const struct tsn_cluster_address *address,
                    struct tsn_failure *failure)
{
    int i = tsn_cluster_master(redis->map, address);
    if (i < 0) {
        tsn_fail(failure, TSN_REMEDY_RETRY, "%s: more than %d masters", redis->name,
                 TSN_CLUSTER_MASTERS_MAX);
    } else if ((unsigned)i == redis->n_nodes) {
        redis->nodes[redis->n_nodes++] = node_at(redis, address);
        redis->epoch++; /* a server that was not checked and knows no script */
        if (!tsn_node_open(redis->nodes[i], failure)) {
            return -1;
        }
    }
    return i;
}

/* Makes the map that of the connection: nodes that are in it are kept, others opened.
 * *changed: there is another one than before. */
static bool adopt(struct tsn_redis *redis, struct tsn_cluster_map *map, bool *changed,
                  struct tsn_failure *failure)
{
    struct tsn_node *kept[TSN_CLUSTER_MASTERS_MAX] = {NULL};
    unsigned n_before = redis->n_nodes;
    *changed = false;
    for (unsigned i = 0; i < n_before; i++) {
        struct tsn_node *node = redis->nodes[i];
        unsigned n = map->n_masters;
        int at = node->unix_socket ? -1 : tsn_cluster_master(map, &node->at);
        if (at < 0 || (unsigned)at == n || kept[at]) {
            map->n_masters = n; /* it was added by being looked for */
            tsn_node_free(node);
        } else {
            kept[at] = node;
        }
    }
    memcpy(redis->nodes, kept, sizeof kept);
    redis->n_nodes = map->n_masters;
    free(redis->map);
    redis->map = map;
    redis->map_stale = false;
    bool ok = true;
    for (unsigned i = 0; i < redis->n_nodes; i++) {
        if (!redis->nodes[i]) {
            redis->nodes[i] = node_at(redis, &map->masters[i]);
            *changed = true;
            ok = ok && tsn_node_open(redis->nodes[i], failure);
        }
    }
    return ok;
}

/* Asks a node for the map, and adopts it. */
static bool learn(struct tsn_redis *redis, struct tsn_node *node, bool *changed,
                  struct tsn_failure *failure)
{
    const struct tsn_redis_part parts[] = {{"CLUSTER", 7}, {"SLOTS", 5}};
    struct tsn_reply *reply = tsn_node_ask(node, 2, parts, failure);
    if (!reply) {
        return false;
    }
    if (tsn_reply_kind(reply) == TSN_REPLY_ERROR) {
        tsn_redis_translate(node->name, tsn_reply_text(reply, NULL), failure);
        tsn_reply_free(reply);
        return false;
    }
    struct tsn_cluster_map *map = calloc(1, sizeof *map);
    TSN_MUST_ALLOC(map);
    /* A node that was asked by its unix socket is on this host. */
    const char *asked = node->unix_socket ? "127.0.0.1" : node->at.host;
    bool ok = tsn_cluster_read(reply, asked, map);
    tsn_reply_free(reply);
    if (!ok || map->n_covered < TSN_CLUSTER_SLOTS) {
        tsn_fail(failure, TSN_REMEDY_RETRY,
                 "%s: the cluster is not ready: masters serve %u of %d slots; look at CLUSTER INFO "
                 "and CLUSTER NODES",
                 node->name, map->n_covered, TSN_CLUSTER_SLOTS);
        free(map);
        return false;
    }
    return adopt(redis, map, changed, failure);
}

/* ---- connecting ------------------------------------------------------------------------------ */

enum kind { KIND_UNKNOWN, KIND_SERVER, KIND_CLUSTER };

/* Whether the server is a node of a cluster: by INFO, or where an ACL forbids that by
 * its answer to CLUSTER SLOTS. */
static enum kind kind_of(struct tsn_redis *redis, struct tsn_node *node,
                         struct tsn_failure *failure)
{
    if (redis->address.alone) {
        return KIND_SERVER;
    }
    const struct tsn_redis_part info[] = {{"INFO", 4}, {"cluster", 7}};
    const struct tsn_redis_part slots[] = {{"CLUSTER", 7}, {"SLOTS", 5}};
    struct tsn_reply *reply = tsn_node_ask(node, 2, info, failure);
    enum kind kind = KIND_UNKNOWN;
    if (reply && tsn_reply_kind(reply) == TSN_REPLY_TEXT) {
        kind =
            strstr(tsn_reply_text(reply, NULL), "cluster_enabled:1") ? KIND_CLUSTER : KIND_SERVER;
    } else if (reply) {
        tsn_reply_free(reply);
        reply = tsn_node_ask(node, 2, slots, failure);
        if (reply) {
            kind = tsn_reply_kind(reply) == TSN_REPLY_LIST ? KIND_CLUSTER : KIND_SERVER;
        }
    }
    tsn_reply_free(reply);
    return kind;
}

/* Connects by way of one node; it is freed if it is none of those that are needed. */
static bool connect_by(struct tsn_redis *redis, struct tsn_node *seed, struct tsn_failure *failure)
{
    bool changed;
    enum kind kind = tsn_node_open(seed, failure) ? kind_of(redis, seed, failure) : KIND_UNKNOWN;
    if (kind == KIND_UNKNOWN) {
        tsn_node_free(seed);
        return false;
    }
    if (kind == KIND_SERVER) {
        redis->nodes[0] = seed;
        redis->n_nodes = 1;
        free(redis->map);
        redis->map = NULL;
        return true;
    }
    bool ok = learn(redis, seed, &changed, failure);
    tsn_node_free(seed);
    return ok;
}

/* By the node that is configured, or else by those that were masters when there was a
 * connection. The first failure is told: it is of what the configuration names. */
static bool establish(struct tsn_redis *redis, struct tsn_failure *failure)
{
    const struct tsn_redis_address *to = &redis->address;
    struct tsn_cluster_address at = {.port = to->port};
    snprintf(at.host, sizeof at.host, "%s", to->unix_socket ? "" : to->host);
    if (connect_by(redis, tsn_node_new(to, &at, to->unix_socket, redis->name), failure)) {
        return true;
    }
    unsigned n_known = redis->map ? redis->map->n_masters : 0;
    for (unsigned i = 0; i < n_known && failure->remedy == TSN_REMEDY_RETRY; i++) {
        struct tsn_failure ignored;
        struct tsn_cluster_address known = redis->map->masters[i];
        tsn_redis_drop(redis); /* what the attempt before left half open */
        if (connect_by(redis, node_at(redis, &known), &ignored)) {
            return true;
        }
        n_known = redis->map ? redis->map->n_masters : 0;
    }
    return false;
}

/* A node said that the map is old: with nothing pending it is asked for a new one. */
static bool refresh(struct tsn_redis *redis, struct tsn_failure *failure)
{
    bool changed = false;
    for (unsigned i = 0; i < redis->n_nodes; i++) {
        while (redis->nodes[i]->owed_n > 0) { /* replies that nobody waits for */
            struct tsn_reply *reply = tsn_node_take(redis->nodes[i], failure);
            if (!reply) {
                return false;
            }
            tsn_reply_free(reply);
        }
    }
    if (!learn(redis, redis->nodes[redis->map_node], &changed, failure)) {
        return false;
    }
    redis->epoch += changed;
    return true;
}

bool tsn_redis_connect(struct tsn_redis *redis, int64_t *wait_ms, struct tsn_failure *failure)
{
    if (wait_ms) {
        *wait_ms = 0;
    }
    if (redis->connected) {
        if (!redis->map_stale || redis->pending > 0 || refresh(redis, failure)) {
            return true;
        }
        tsn_redis_drop(redis);
        return false;
    }
    int64_t now_ms = tsn_redis_now_ms();
    if (redis->backoff_ms > 0 && now_ms < redis->not_before_ms) {
        if (wait_ms) {
            *wait_ms = redis->not_before_ms - now_ms;
        }
        return tsn_fail(failure, TSN_REMEDY_RETRY,
                        "%s: away; the next attempt to connect is in %lld ms", redis->name,
                        (long long)(redis->not_before_ms - now_ms));
    }
    if (establish(redis, failure)) {
        redis->backoff_ms = 0;
        redis->connected = true;
        redis->epoch++;
        return true;
    }
    tsn_redis_drop(redis);
    redis->backoff_ms = redis->backoff_ms == 0 ? BACKOFF_MIN_MS : redis->backoff_ms * 2;
    if (redis->backoff_ms > BACKOFF_MAX_MS) {
        redis->backoff_ms = BACKOFF_MAX_MS;
    }
    redis->not_before_ms = tsn_redis_now_ms() + redis->backoff_ms;
    if (wait_ms) {
        *wait_ms = redis->backoff_ms;
    }
    return false;
}
