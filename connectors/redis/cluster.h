/* Cluster: which node of a Redis Cluster holds a key, and what a node says when it is
 * another one. Pure: text and replies in, numbers out; the connections are redis.c's.
 *
 * Source: Redis Cluster Specification, "Keys distribution model" and "Redirection and
 * resharding"; the sum is CRC16-CCITT (XMODEM): polynomial 0x1021, nothing reflected,
 * start 0.
 */
#ifndef TSN_CONNECTORS_REDIS_CLUSTER_H
#define TSN_CONNECTORS_REDIS_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connectors/redis/redis.h"

enum {
    TSN_CLUSTER_SLOTS = 16384,
    TSN_CLUSTER_MASTERS_MAX = 256,
    TSN_CLUSTER_HOST_MAX = 256,
};

/* The hash slot of a key: of what stands between the first '{' and the next '}', if
 * that is anything, else of all of it. */
uint16_t tsn_cluster_slot(const char *key);

struct tsn_cluster_address {
    char host[TSN_CLUSTER_HOST_MAX];
    uint16_t port;
};

/* What CLUSTER SLOTS says, replicas left out. */
struct tsn_cluster_map {
    unsigned n_masters;
    struct tsn_cluster_address masters[TSN_CLUSTER_MASTERS_MAX];
    unsigned n_covered;                   /* slots that somebody serves */
    int16_t master_of[TSN_CLUSTER_SLOTS]; /* index into masters, -1: nobody */
};

/* Reads the reply of the node at `asked`, whose host stands for hosts that it leaves
 * out. False when it makes no sense; the map then holds what was read so far. */
bool tsn_cluster_read(const struct tsn_reply *reply, const char *asked,
                      struct tsn_cluster_map *map);
/* The index of a master in the map, added if it is new; -1 when there is no room. */
int tsn_cluster_master(struct tsn_cluster_map *map, const struct tsn_cluster_address *address);

enum tsn_redirect_kind {
    TSN_REDIRECT_NONE,  /* not an error that asks to send the command again */
    TSN_REDIRECT_MOVED, /* the slot is another node's */
    TSN_REDIRECT_ASK,   /* this key is another node's already: ask it, once, after ASKING */
    TSN_REDIRECT_AGAIN, /* the keys of the command are on both at the moment */
};

struct tsn_redirect {
    enum tsn_redirect_kind kind;
    uint16_t slot;
    struct tsn_cluster_address to; /* MOVED and ASK; host "": the one that said it */
};

/* Reads an error's text. */
struct tsn_redirect tsn_cluster_redirect(const char *error);

#endif
