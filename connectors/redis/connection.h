/* Connection: what is behind struct tsn_redis: the nodes, the map of a cluster, and the
 * commands pending. redis.c makes and ends it; pipeline.c sends and takes.
 * Private to this folder.
 */
#ifndef TSN_CONNECTORS_REDIS_CONNECTION_H
#define TSN_CONNECTORS_REDIS_CONNECTION_H

#include "connectors/redis/node.h"

enum { TSN_NO_SLOT = TSN_CLUSTER_SLOTS }; /* of a command without keys */

/* A command whose reply was not taken. */
struct tsn_command {
    size_t bytes;
    struct tsn_reply *reply; /* came before its turn */
    char *text;              /* kept in a cluster: it may have to be sent again */
    size_t text_len;
    unsigned attempt; /* which sending of it counts */
    unsigned node;
    uint16_t slot;
    bool held; /* waits for the one before it of the same slot */
};

struct tsn_redis {
    struct tsn_redis_address address;
    char name[TSN_NODE_NAME_MAX];
    uint64_t epoch;
    bool connected;
    int64_t backoff_ms;    /* 0: the last attempt succeeded */
    int64_t not_before_ms; /* monotonic */

    /* map is NULL outside a cluster; nodes[i] is map->masters[i] in one. It outlives the
     * connection: those who know where the cluster is when the configured node does not. */
    struct tsn_cluster_map *map;
    bool map_stale;    /* a node said that it is */
    unsigned map_node; /* which node knows better */
    unsigned n_nodes;
    struct tsn_node *nodes[TSN_CLUSTER_MASTERS_MAX];
    unsigned spoke; /* the node of the reply taken last */

    struct tsn_command *commands; /* ring */
    size_t first, pending, cap;
    uint64_t first_number; /* of the oldest pending */
    size_t pending_bytes;  /* since the pipeline was last empty; an upper bound */
    size_t n_held;
};

int64_t tsn_redis_now_ms(void);

/* The node at an address that a redirect names, connected; -1 with the failure. */
int tsn_redis_reach(struct tsn_redis *redis, const struct tsn_cluster_address *address,
                    struct tsn_failure *failure);
/* Forgets every command pending. */
void tsn_redis_forget(struct tsn_redis *redis);

#endif
