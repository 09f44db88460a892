#include "connectors/store/rubbish.h"

#include <stdio.h>
#include <string.h>

static bool is_remembered(const struct tsn_root *root, char kind, const char *name)
{
    for (unsigned i = 0; i < root->n_dead; i++) {
        if (root->dead[i].kind == kind && strcmp(root->dead[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* A slot's key ends with "}:<kind>:<name>". */
static void remember(struct tsn_root *root, const char *key)
{
    static const struct {
        const char *kind;
        char dead;
    } kinds[] = {{"b:", 'g'}, {"at:", 'g'}, {"d:", 'd'}};
    const char *rest = strstr(key, "}:");
    for (size_t i = 0; rest && i < sizeof kinds / sizeof kinds[0]; i++) {
        const char *name = rest + 2 + strlen(kinds[i].kind);
        if (strncmp(rest + 2, kinds[i].kind, strlen(kinds[i].kind)) == 0 &&
            strlen(name) == TSN_LAYOUT_ID && strspn(name, "0123456789abcdef") == TSN_LAYOUT_ID &&
            root->n_dead < TSN_ROOT_DEAD_MAX && !is_remembered(root, kinds[i].dead, name)) {
            tsn_root_bury(root, kinds[i].dead, name);
        }
    }
}

/* One step of SCAN; cursor becomes "0" when the node is done. */
static bool step(struct tsn_root_place *place, unsigned node, char cursor[24],
                 const struct tsn_redis_part *pattern, struct tsn_root *root,
                 struct tsn_failure *failure)
{
    const struct tsn_redis_part parts[] = {
        {"SCAN", 4}, {cursor, strlen(cursor)}, {"MATCH", 5}, *pattern, {"COUNT", 5}, {"1000", 4}};
    tsn_redis_append_to(place->redis, node, 6, parts);
    struct tsn_reply *reply = tsn_redis_take(place->redis, failure);
    if (!reply) {
        return false;
    }
    bool ok = tsn_reply_n(reply) == 2;
    if (ok) {
        const struct tsn_reply *keys = tsn_reply_at(reply, 1);
        snprintf(cursor, 24, "%s", tsn_reply_text(tsn_reply_at(reply, 0), NULL));
        for (size_t i = 0; i < tsn_reply_n(keys); i++) {
            remember(root, tsn_reply_text(tsn_reply_at(keys, i), NULL));
        }
    } else if (tsn_reply_kind(reply) == TSN_REPLY_ERROR) {
        tsn_redis_failure(place->redis, reply, failure);
    } else {
        tsn_fail(failure, TSN_REMEDY_FATAL, "%s: SCAN gave no cursor",
                 tsn_redis_node_name(place->redis, node));
    }
    tsn_reply_free(reply);
    return ok;
}

bool tsn_rubbish_find(struct tsn_root_place *place, struct tsn_root *root,
                      struct tsn_failure *failure)
{
    char text[TSN_LAYOUT_KEY_MAX];
    /* An instance's name has no character that means something in a pattern. */
    int len = snprintf(text, sizeof text, "tocsin:%d:{%s.*}:*", TSN_LAYOUT_VERSION,
                       place->layout->instance);
    const struct tsn_redis_part pattern = {text, (size_t)len};
    for (unsigned i = 0; i < tsn_redis_n_nodes(place->redis); i++) {
        char cursor[24] = "0";
        do {
            if (!step(place, i, cursor, &pattern, root, failure)) {
                return false;
            }
        } while (strcmp(cursor, "0") != 0);
    }
    return true;
}
