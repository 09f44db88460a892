/* Replies and errors of Redis, read through a redisReply that stays in this folder.
 *
 * struct tsn_reply is never defined: it is a redisReply by another name, so that a
 * reply of 80,000 elements costs no second tree.
 */
#include <hiredis/hiredis.h>
#include <string.h>

#include "connectors/redis/redis.h"
#include "rules/must/must.h"

static const redisReply *of(const struct tsn_reply *reply)
{
    return (const redisReply *)(const void *)reply;
}

void tsn_reply_free(struct tsn_reply *reply)
{
    if (reply) {
        freeReplyObject(reply);
    }
}

enum tsn_reply_kind tsn_reply_kind(const struct tsn_reply *reply)
{
    switch (of(reply)->type) {
    case REDIS_REPLY_INTEGER:
        return TSN_REPLY_INTEGER;
    case REDIS_REPLY_ARRAY:
        return TSN_REPLY_LIST;
    case REDIS_REPLY_NIL:
        return TSN_REPLY_NIL;
    case REDIS_REPLY_ERROR:
        return TSN_REPLY_ERROR;
    default:
        return TSN_REPLY_TEXT;
    }
}

const char *tsn_reply_text(const struct tsn_reply *reply, size_t *len)
{
    const redisReply *r = of(reply);
    bool text = r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS ||
                r->type == REDIS_REPLY_ERROR;
    if (len) {
        *len = text ? (size_t)r->len : 0;
    }
    return text ? r->str : "";
}

int64_t tsn_reply_integer(const struct tsn_reply *reply)
{
    return of(reply)->type == REDIS_REPLY_INTEGER ? of(reply)->integer : 0;
}

size_t tsn_reply_n(const struct tsn_reply *reply)
{
    return of(reply)->type == REDIS_REPLY_ARRAY ? of(reply)->elements : 0;
}

const struct tsn_reply *tsn_reply_at(const struct tsn_reply *reply, size_t i)
{
    TSN_MUST(i < tsn_reply_n(reply));
    return (const struct tsn_reply *)(const void *)of(reply)->element[i];
}

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

bool tsn_reply_is_error(const struct tsn_reply *reply, const char *code)
{
    return of(reply)->type == REDIS_REPLY_ERROR && starts_with(of(reply)->str, code);
}

/* First match wins. */
static const struct {
    const char *starts;
    enum tsn_remedy remedy;
    const char *meaning;
} errors[] = {
    {"LOADING", TSN_REMEDY_RETRY, "the server is loading its data; wait until it has"},
    {"READONLY", TSN_REMEDY_RETRY,
     "this server is a read-only replica; point redis at the master, or let the failover end"},
    {"OOM", TSN_REMEDY_RETRY,
     "the server reached maxmemory and refuses writes; raise maxmemory or free memory"},
    {"MISCONF", TSN_REMEDY_RETRY,
     "the server cannot save to disk and refuses writes; look at its log and its disk"},
    {"NOREPLICAS", TSN_REMEDY_RETRY,
     "too few replicas are in step (min-replicas-to-write); look at the replicas"},
    {"MASTERDOWN", TSN_REMEDY_RETRY, "this replica lost its master"},
    {"BUSY", TSN_REMEDY_RETRY, "a script keeps the server busy; see SCRIPT KILL"},
    {"CLUSTERDOWN", TSN_REMEDY_RETRY, "the cluster is down; look at CLUSTER INFO"},
    {"TRYAGAIN", TSN_REMEDY_RETRY,
     "the cluster is moving the slot of these keys; wait until it has"},
    {"MOVED", TSN_REMEDY_CONFIG,
     "this server is a node of a Redis Cluster and did not say so; allow +info and "
     "+cluster|slots for the user"},
    {"ASK", TSN_REMEDY_CONFIG,
     "this server is a node of a Redis Cluster and did not say so; allow +info and "
     "+cluster|slots for the user"},
    {"CROSSSLOT", TSN_REMEDY_FATAL, "keys of one command do not share a hash tag"},
    {"NOAUTH", TSN_REMEDY_CONFIG,
     "the server wants a password; set redis.password (and redis.user for an ACL user)"},
    {"WRONGPASS", TSN_REMEDY_CONFIG,
     "the server refuses user and password; correct redis.user and redis.password"},
    {"NOPERM", TSN_REMEDY_CONFIG,
     "the user may not run a command or touch a key that is needed; allow "
     "~tocsin:* +@read +@write +@scripting +@connection +info +config|get for it, and "
     "+cluster|slots in a cluster"},
    {"WRONGTYPE", TSN_REMEDY_CONFIG,
     "a key of ours holds something else; another program writes keys that start with "
     "tocsin: in this database, give each its own"},
    {"ERR DB index is out of range", TSN_REMEDY_CONFIG,
     "the server has no such database; lower redis.database or raise `databases` there"},
    {"ERR invalid DB index", TSN_REMEDY_CONFIG, "redis.database is no database number"},
    {"ERR SELECT is not allowed in cluster mode", TSN_REMEDY_CONFIG,
     "a Redis Cluster has database 0 only; set redis.database to 0"},
    {"ERR max number of clients reached", TSN_REMEDY_RETRY,
     "the server has no connection left; raise maxclients"},
    {"DENIED", TSN_REMEDY_CONFIG,
     "the server is in protected mode and takes local connections only; set a password "
     "there, or bind it to an address"},
};

bool tsn_redis_translate(const char *where, const char *error, struct tsn_failure *failure)
{
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        if (starts_with(error, errors[i].starts)) {
            return tsn_fail(failure, errors[i].remedy, "%s: %s (%.*s)", where, errors[i].meaning,
                            (int)strcspn(errors[i].starts, " "), errors[i].starts);
        }
    }
    /* Unknown words may quote arguments: cut where quoting starts. */
    return tsn_fail(failure, TSN_REMEDY_FATAL, "%s: the server answers an error: %.*s", where,
                    (int)strcspn(error, "'`\"\r\n"), error);
}
