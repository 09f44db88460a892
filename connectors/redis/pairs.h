/* Pairs: how pipeline.c has one reply read by tsn_redis_take_pairs. */
#ifndef TSN_CONNECTORS_REDIS_PAIRS_H
#define TSN_CONNECTORS_REDIS_PAIRS_H

#include <hiredis/hiredis.h>

#include "connectors/redis/redis.h"

struct tsn_pairs_reader {
    redisReader *of;
    redisReplyObjectFunctions *plain;
    redisReplyObjectFunctions functions;
    tsn_redis_pair *pair;
    void *user;
    size_t field_len;
    char field[TSN_REDIS_FIELD_MAX];
};

/* From here until tsn_pairs_end the reader gives its lists away pair by pair. Between
 * two replies only: a reply is read by whoever saw its beginning. */
void tsn_pairs_begin(struct tsn_pairs_reader *reader, redisReader *of, tsn_redis_pair *pair,
                     void *user);
void tsn_pairs_end(struct tsn_pairs_reader *reader);

/* The same for a reply that was read as a tree: its pairs are given away, and the list is
 * left empty. Does nothing to a reply of another kind. */
void tsn_reply_give_pairs(struct tsn_reply *reply, tsn_redis_pair *pair, void *user);

#endif
