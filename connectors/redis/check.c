/* What a server must be before state is trusted to it.
 *
 * The worst Redis is one that evicts: it answers OK and forgets a third of the
 * state without a word. So the policy is read before anything is written, from
 * INFO (which managed services allow) or else CONFIG GET; where an ACL forbids
 * both, that is said.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/redis/redis.h"

enum { VERSION_MIN_MAJOR = 6 }; /* ACL login, effects replication of scripts, UNLINK */

/* The value of `name:` in INFO's text, copied; false if it is not there. */
static bool info_value(const char *info, const char *name, char *value, size_t cap)
{
    size_t name_len = strlen(name);
    for (const char *line = info; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, name_len) == 0 && line[name_len] == ':') {
            const char *from = line + name_len + 1;
            snprintf(value, cap, "%.*s", (int)strcspn(from, "\r\n"), from);
            return true;
        }
    }
    return false;
}

/* The reply to a command of its own, also when that is an error; NULL when the server
 * went away. */
static struct tsn_reply *reply_of(struct tsn_redis *redis, unsigned node, int n,
                                  const struct tsn_redis_part *parts, struct tsn_failure *failure)
{
    tsn_redis_append_to(redis, node, n, parts);
    return tsn_redis_take(redis, failure);
}

/* Adds to the warnings what is not among them; in a cluster with the node's name. */
static void warn(const struct tsn_redis *redis, unsigned node, char *warning, size_t cap,
                 const char *text)
{
    size_t len = strlen(warning);
    bool many = tsn_redis_n_nodes(redis) > 1;
    if (!strstr(warning, text)) {
        snprintf(warning + len, cap - len, "%s%s%s%s", len > 0 ? "; " : "",
                 many ? tsn_redis_node_name(redis, node) : "", many ? ": " : "", text);
    }
}

static bool check_policy(struct tsn_redis *redis, unsigned node, const char *info, char *warning,
                         size_t warning_cap, struct tsn_failure *failure)
{
    const struct tsn_redis_part parts[] = {{"CONFIG", 6}, {"GET", 3}, {"maxmemory-policy", 16}};
    char policy[64];
    if (!info_value(info, "maxmemory_policy", policy, sizeof policy)) {
        struct tsn_reply *reply = reply_of(redis, node, 3, parts, failure);
        if (!reply) {
            return false;
        }
        bool told = tsn_reply_n(reply) == 2;
        if (told) {
            snprintf(policy, sizeof policy, "%s", tsn_reply_text(tsn_reply_at(reply, 1), NULL));
        }
        tsn_reply_free(reply);
        if (!told) {
            warn(redis, node, warning, warning_cap,
                 "neither INFO nor CONFIG GET is allowed, so the eviction policy could not be "
                 "checked: it must be noeviction");
            return true;
        }
    }
    if (strcmp(policy, "noeviction") != 0) {
        return tsn_fail(failure, TSN_REMEDY_CONFIG,
                        "%s: maxmemory-policy is %s, which throws state away without a word; set "
                        "it to noeviction (CONFIG SET maxmemory-policy noeviction, and the same "
                        "in redis.conf)",
                        tsn_redis_node_name(redis, node), policy);
    }
    return true;
}

static bool check_info(struct tsn_redis *redis, unsigned node, const char *info, char *warning,
                       size_t warning_cap, struct tsn_failure *failure)
{
    const char *name = tsn_redis_node_name(redis, node);
    char value[64];
    if (info_value(info, "redis_version", value, sizeof value) &&
        strtol(value, NULL, 10) < VERSION_MIN_MAJOR) {
        return tsn_fail(failure, TSN_REMEDY_CONFIG,
                        "%s: version %s is too old; %d.0 or newer is needed", name, value,
                        VERSION_MIN_MAJOR);
    }
    if (info_value(info, "role", value, sizeof value) && strcmp(value, "slave") == 0) {
        return tsn_redis_translate(name, "READONLY", failure);
    }
    if (info_value(info, "aof_enabled", value, sizeof value) && strcmp(value, "0") == 0) {
        warn(redis, node, warning, warning_cap,
             "the server has appendonly off: when it restarts, state goes back to its last "
             "snapshot and is rebuilt from Kafka");
    }
    return true;
}

static bool check_node(struct tsn_redis *redis, unsigned node, char *warning, size_t warning_cap,
                       struct tsn_failure *failure)
{
    const struct tsn_redis_part parts[] = {{"INFO", 4}};
    struct tsn_reply *reply = reply_of(redis, node, 1, parts, failure);
    if (!reply) {
        return false;
    }
    bool forbidden = tsn_reply_kind(reply) != TSN_REPLY_TEXT;
    const char *info = forbidden ? "" : tsn_reply_text(reply, NULL);
    if (forbidden) {
        warn(redis, node, warning, warning_cap,
             "INFO is not allowed, so version and role were not checked");
    }
    bool ok = check_info(redis, node, info, warning, warning_cap, failure) &&
              check_policy(redis, node, info, warning, warning_cap, failure);
    tsn_reply_free(reply);
    return ok;
}

bool tsn_redis_check(struct tsn_redis *redis, char *warning, size_t warning_cap,
                     struct tsn_failure *failure)
{
    warning[0] = '\0';
    if (!tsn_redis_connect(redis, NULL, failure)) {
        return false;
    }
    for (unsigned i = 0; i < tsn_redis_n_nodes(redis); i++) {
        if (!check_node(redis, i, warning, warning_cap, failure)) {
            return false;
        }
    }
    return true;
}
