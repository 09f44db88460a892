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

static bool policy_from_config(struct tsn_redis *redis, char *value, size_t cap)
{
    const struct tsn_redis_part parts[] = {{"CONFIG", 6}, {"GET", 3}, {"maxmemory-policy", 16}};
    struct tsn_failure ignored = {0};
    struct tsn_reply *reply = tsn_redis_ask(redis, NULL, 3, parts, &ignored);
    bool ok = reply && tsn_reply_n(reply) == 2;
    if (ok) {
        snprintf(value, cap, "%s", tsn_reply_text(tsn_reply_at(reply, 1), NULL));
    }
    tsn_reply_free(reply);
    return ok;
}

static void warn(char *warning, size_t cap, const char *text)
{
    size_t len = strlen(warning);
    snprintf(warning + len, cap - len, "%s%s", len > 0 ? "; " : "", text);
}

static bool check_policy(struct tsn_redis *redis, const char *info, char *warning,
                         size_t warning_cap, struct tsn_failure *failure)
{
    char policy[64];
    if (!info_value(info, "maxmemory_policy", policy, sizeof policy)) {
        if (!policy_from_config(redis, policy, sizeof policy)) {
            if (!tsn_redis_connect(redis, NULL, failure)) {
                return false; /* it was no refusal: the server went away */
            }
            warn(warning, warning_cap,
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
                        tsn_redis_name(redis), policy);
    }
    return true;
}

static bool check_info(struct tsn_redis *redis, const char *info, char *warning, size_t warning_cap,
                       struct tsn_failure *failure)
{
    char value[64];
    if (info_value(info, "redis_version", value, sizeof value) &&
        strtol(value, NULL, 10) < VERSION_MIN_MAJOR) {
        return tsn_fail(failure, TSN_REMEDY_CONFIG,
                        "%s: version %s is too old; %d.0 or newer is needed", tsn_redis_name(redis),
                        value, VERSION_MIN_MAJOR);
    }
    if (info_value(info, "cluster_enabled", value, sizeof value) && strcmp(value, "1") == 0) {
        return tsn_redis_translate(tsn_redis_name(redis), "MOVED", failure);
    }
    if (info_value(info, "role", value, sizeof value) && strcmp(value, "slave") == 0) {
        return tsn_redis_translate(tsn_redis_name(redis), "READONLY", failure);
    }
    if (info_value(info, "aof_enabled", value, sizeof value) && strcmp(value, "0") == 0) {
        warn(warning, warning_cap,
             "the server has appendonly off: when it restarts, state goes back to its last "
             "snapshot and is rebuilt from Kafka");
    }
    return true;
}

bool tsn_redis_check(struct tsn_redis *redis, char *warning, size_t warning_cap,
                     struct tsn_failure *failure)
{
    warning[0] = '\0';
    if (!tsn_redis_connect(redis, NULL, failure)) {
        return false;
    }
    const struct tsn_redis_part parts[] = {{"INFO", 4}};
    tsn_redis_append(redis, NULL, 1, parts);
    struct tsn_reply *reply = tsn_redis_take(redis, failure);
    if (!reply) {
        return false;
    }
    bool forbidden = tsn_reply_kind(reply) != TSN_REPLY_TEXT;
    const char *info = forbidden ? "" : tsn_reply_text(reply, NULL);
    if (forbidden) {
        warn(warning, warning_cap, "INFO is not allowed, so version and role were not checked");
    }
    bool ok = check_info(redis, info, warning, warning_cap, failure) &&
              check_policy(redis, info, warning, warning_cap, failure);
    tsn_reply_free(reply);
    return ok;
}
