/* Lua scripts by their hash, with the fall-back for servers that forgot them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/redis/redis.h"
#include "rules/must/must.h"

enum {
    CALL_PARTS_MAX = 32,
    LOADS_MAX = 3, /* of one call: the node that a slot moved to may not know it either */
};

static bool take_sha(const struct tsn_redis *redis, struct tsn_script *script,
                     const struct tsn_reply *reply, struct tsn_failure *failure)
{
    size_t len;
    const char *sha = tsn_reply_text(reply, &len);
    if (len != sizeof script->sha - 1) {
        return tsn_fail(failure, TSN_REMEDY_FATAL, "%s: SCRIPT LOAD gave no SHA-1",
                        tsn_redis_name(redis));
    }
    memcpy(script->sha, sha, len + 1);
    return true;
}

bool tsn_script_load(struct tsn_redis *redis, struct tsn_script *script,
                     struct tsn_failure *failure)
{
    if (script->epoch == tsn_redis_epoch(redis) && script->sha[0] != '\0') {
        return true;
    }
    const struct tsn_redis_part parts[] = {
        {"SCRIPT", 6}, {"LOAD", 4}, {script->text, strlen(script->text)}};
    uint64_t epoch = tsn_redis_epoch(redis);
    bool ok = true;
    TSN_MUST(tsn_redis_pending(redis) == 0);
    for (unsigned i = 0; i < tsn_redis_n_nodes(redis); i++) {
        tsn_redis_append_to(redis, i, 3, parts);
    }
    while (tsn_redis_pending(redis) > 0) {
        struct tsn_reply *reply = tsn_redis_take(redis, failure);
        if (!reply) {
            return false;
        }
        if (tsn_reply_kind(reply) == TSN_REPLY_ERROR) {
            ok = tsn_redis_failure(redis, reply, failure);
        } else {
            ok = ok && take_sha(redis, script, reply, failure);
        }
        tsn_reply_free(reply);
    }
    if (ok) {
        script->epoch = epoch;
    }
    return ok;
}

void tsn_script_forget(struct tsn_script *script)
{
    script->epoch = 0;
}

void tsn_script_append(struct tsn_redis *redis, const struct tsn_script *script, int n_keys, int n,
                       const struct tsn_redis_part *parts)
{
    TSN_MUST(n_keys > 0 && n_keys <= n && n + 3 <= CALL_PARTS_MAX);
    struct tsn_redis_part call[CALL_PARTS_MAX];
    char number[12];
    int len = snprintf(number, sizeof number, "%d", n_keys);
    call[0] = (struct tsn_redis_part){"EVALSHA", 7};
    call[1] = (struct tsn_redis_part){script->sha, sizeof script->sha - 1};
    call[2] = (struct tsn_redis_part){number, (size_t)len};
    memcpy(call + 3, parts, (size_t)n * sizeof *parts);
    tsn_redis_append(redis, parts[0].p, n + 3, call);
}

struct tsn_reply *tsn_script_ask(struct tsn_redis *redis, struct tsn_script *script, int n_keys,
                                 int n, const struct tsn_redis_part *parts,
                                 struct tsn_failure *failure)
{
    TSN_MUST(tsn_redis_pending(redis) == 0);
    for (int attempt = 0;; attempt++) {
        if (!tsn_script_load(redis, script, failure)) {
            return NULL;
        }
        tsn_script_append(redis, script, n_keys, n, parts);
        struct tsn_reply *reply = tsn_redis_take(redis, failure);
        if (!reply || tsn_reply_kind(reply) != TSN_REPLY_ERROR) {
            return reply;
        }
        if (attempt + 1 < LOADS_MAX && tsn_reply_is_error(reply, "NOSCRIPT")) {
            tsn_reply_free(reply);
            tsn_script_forget(script);
            continue;
        }
        tsn_redis_failure(redis, reply, failure);
        tsn_reply_free(reply);
        return NULL;
    }
}
