#include "bench/recovery_plain.h"

#include <hiredis/hiredis.h>
#include <string.h>
#include <time.h>

#include "rules/must/must.h"

enum { AHEAD = 4 }; /* hashes asked for before one is read, as the store has it */

static double clock_s(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void take(struct recovery_plain *plain, const redisReply *hash)
{
    TSN_MUST(hash->type == REDIS_REPLY_ARRAY);
    for (size_t i = 0; i + 1 < hash->elements; i += 2) {
        /* How many records a delta has is in a field of its own. */
        plain->records += hash->element[i]->len != 1;
        plain->bytes += hash->element[i]->len + hash->element[i + 1]->len;
    }
}

struct recovery_plain recovery_plain_read(const char *socket)
{
    struct recovery_plain plain = {0};
    redisContext *redis = redisConnectUnix(socket);
    TSN_MUST(redis && !redis->err);
    redis->reader->maxbuf = 0; /* keep the read buffer between large replies */
    redisReply *keys = redisCommand(redis, "KEYS tocsin:*}:[bd]:*");
    TSN_MUST(keys && keys->type == REDIS_REPLY_ARRAY);
    double from_s = clock_s(CLOCK_MONOTONIC);
    double cpu_from_s = clock_s(CLOCK_THREAD_CPUTIME_ID);
    size_t asked = 0;
    for (size_t taken = 0; taken < keys->elements; taken++) {
        for (; asked < keys->elements && asked < taken + AHEAD; asked++) {
            redisAppendCommand(redis, "HGETALL %s", keys->element[asked]->str);
        }
        void *hash = NULL;
        TSN_MUST(redisGetReply(redis, &hash) == REDIS_OK && hash);
        take(&plain, hash);
        freeReplyObject(hash);
    }
    plain.seconds = clock_s(CLOCK_MONOTONIC) - from_s;
    plain.cpu_s = clock_s(CLOCK_THREAD_CPUTIME_ID) - cpu_from_s;
    for (size_t i = 0; i < keys->elements; i++) {
        plain.changes |= strstr(keys->element[i]->str, "}:d:") != NULL;
    }
    freeReplyObject(keys);
    redisFree(redis);
    return plain;
}
