/* Node: the connection to one redis-server: commands out, replies in, login. What is
 * sent where is decided in pipeline.c; a server that is in no cluster is one node.
 * Private to this folder.
 */
#ifndef TSN_CONNECTORS_REDIS_NODE_H
#define TSN_CONNECTORS_REDIS_NODE_H

#include "connectors/redis/cluster.h"
#include "connectors/redis/redis.h"

enum { TSN_NODE_NAME_MAX = TSN_CLUSTER_HOST_MAX + 48 };

struct redisReader;
struct tsn_transport;

/* A reply that the server owes, in the order in which it gives them. */
struct tsn_owed {
    uint64_t command; /* its number in the pipeline, or TSN_OWED_NOBODY */
    unsigned attempt; /* which sending of it */
};
#define TSN_OWED_NOBODY UINT64_MAX

struct tsn_node {
    struct tsn_cluster_address at; /* host "" with unix_socket */
    const char *unix_socket;
    char name[TSN_NODE_NAME_MAX];       /* for messages */
    const struct tsn_redis_address *as; /* user, password, database, time-out */
    struct tsn_transport *transport;    /* NULL: not connected */
    struct redisReader *reader;
    char *out; /* not sent yet */
    size_t out_len, out_cap;
    struct tsn_owed *owed; /* ring */
    size_t owed_first, owed_n, owed_cap;
};

/* A command in the server's protocol, to be freed by the caller. */
char *tsn_node_format(int n, const struct tsn_redis_part *parts, size_t *len);

/* `as` and unix_socket are borrowed for the node's life. No I/O. */
struct tsn_node *tsn_node_new(const struct tsn_redis_address *as,
                              const struct tsn_cluster_address *at, const char *unix_socket,
                              const char *name);
void tsn_node_free(struct tsn_node *node);

/* Connects, logs in, selects the database and has a PING answered: NOAUTH and LOADING
 * show here, not in mid-write. False with the node closed. */
bool tsn_node_open(struct tsn_node *node, struct tsn_failure *failure);
void tsn_node_close(struct tsn_node *node);

/* Queues a formatted command whose reply is owed to `owed`. */
void tsn_node_put(struct tsn_node *node, const char *text, size_t len, struct tsn_owed owed);
/* Sends what is queued. False with the failure; the node is of no use any more. */
bool tsn_node_flush(struct tsn_node *node, struct tsn_failure *failure);
/* To whom the next reply is owed; some must be. */
struct tsn_owed tsn_node_next(const struct tsn_node *node);
/* The next reply; sends what is queued first. NULL as above. */
struct tsn_reply *tsn_node_take(struct tsn_node *node, struct tsn_failure *failure);
/* One command and its reply, with nothing owed; an error reply is a reply. */
struct tsn_reply *tsn_node_ask(struct tsn_node *node, int n, const struct tsn_redis_part *parts,
                               struct tsn_failure *failure);

#endif
