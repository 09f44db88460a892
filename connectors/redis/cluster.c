#include "connectors/redis/cluster.h"

#include <stdlib.h>
#include <string.h>

static uint16_t crc16(const char *bytes, size_t len)
{
    uint16_t crc = 0;
    for (size_t i = 0; i < len; i++) {
        crc = (uint16_t)(crc ^ ((uint16_t)(uint8_t)bytes[i] << 8));
        for (int bit = 0; bit < 8; bit++) {
            crc = (uint16_t)(crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1);
        }
    }
    return crc;
}

uint16_t tsn_cluster_slot(const char *key)
{
    const char *from = strchr(key, '{');
    const char *to = from ? strchr(from + 1, '}') : NULL;
    if (!to || to == from + 1) {
        return crc16(key, strlen(key)) % TSN_CLUSTER_SLOTS;
    }
    return crc16(from + 1, (size_t)(to - from - 1)) % TSN_CLUSTER_SLOTS;
}

/* ---- the map -------------------------------------------------------------------------- */

int tsn_cluster_master(struct tsn_cluster_map *map, const struct tsn_cluster_address *address)
{
    for (unsigned i = 0; i < map->n_masters; i++) {
        if (map->masters[i].port == address->port &&
            strcmp(map->masters[i].host, address->host) == 0) {
            return (int)i;
        }
    }
    if (map->n_masters == TSN_CLUSTER_MASTERS_MAX) {
        return -1;
    }
    map->masters[map->n_masters] = *address;
    return (int)map->n_masters++;
}

/* host, port of a node as CLUSTER SLOTS gives it. No host: the one that was asked. "?":
 * the node does not know its own name yet. */
static bool read_node(const struct tsn_reply *node, const char *asked,
                      struct tsn_cluster_address *address)
{
    if (tsn_reply_n(node) < 2) {
        return false;
    }
    size_t len;
    const char *host = tsn_reply_text(tsn_reply_at(node, 0), &len);
    int64_t port = tsn_reply_integer(tsn_reply_at(node, 1));
    if (len == 0) {
        host = asked;
        len = strlen(asked);
    }
    if (len >= sizeof address->host || strlen(host) != len || strcmp(host, "?") == 0 || port <= 0 ||
        port > UINT16_MAX) {
        return false;
    }
    memcpy(address->host, host, len + 1);
    address->port = (uint16_t)port;
    return true;
}

bool tsn_cluster_read(const struct tsn_reply *reply, const char *asked, struct tsn_cluster_map *map)
{
    map->n_masters = 0;
    map->n_covered = 0;
    for (unsigned s = 0; s < TSN_CLUSTER_SLOTS; s++) {
        map->master_of[s] = -1;
    }
    for (size_t i = 0; i < tsn_reply_n(reply); i++) {
        const struct tsn_reply *range = tsn_reply_at(reply, i);
        struct tsn_cluster_address address;
        if (tsn_reply_n(range) < 3) {
            return false;
        }
        int64_t first = tsn_reply_integer(tsn_reply_at(range, 0));
        int64_t last = tsn_reply_integer(tsn_reply_at(range, 1));
        if (first < 0 || last < first || last >= TSN_CLUSTER_SLOTS ||
            !read_node(tsn_reply_at(range, 2), asked, &address)) {
            return false;
        }
        int master = tsn_cluster_master(map, &address);
        if (master < 0) {
            return false;
        }
        for (int64_t s = first; s <= last; s++) {
            map->n_covered += map->master_of[s] < 0;
            map->master_of[s] = (int16_t)master;
        }
    }
    return true;
}

/* ---- redirects ------------------------------------------------------------------------ */

/* "<slot> <host>:<port>"; a host may hold colons (IPv6) or be missing. */
static bool read_target(const char *text, struct tsn_redirect *redirect)
{
    char *end;
    unsigned long slot = strtoul(text, &end, 10);
    const char *colon = strrchr(text, ':');
    if (end == text || *end != ' ' || slot >= TSN_CLUSTER_SLOTS || !colon || colon < end + 1) {
        return false;
    }
    size_t len = (size_t)(colon - (end + 1));
    char *port_end;
    unsigned long port = strtoul(colon + 1, &port_end, 10);
    if (len >= sizeof redirect->to.host || port_end == colon + 1 || port == 0 ||
        port > UINT16_MAX) {
        return false;
    }
    redirect->slot = (uint16_t)slot;
    memcpy(redirect->to.host, end + 1, len);
    redirect->to.host[len] = '\0';
    redirect->to.port = (uint16_t)port;
    return true;
}

struct tsn_redirect tsn_cluster_redirect(const char *error)
{
    static const struct {
        const char *starts;
        enum tsn_redirect_kind kind;
    } kinds[] = {
        {"MOVED ", TSN_REDIRECT_MOVED},
        {"ASK ", TSN_REDIRECT_ASK},
        {"TRYAGAIN", TSN_REDIRECT_AGAIN},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct tsn_redirect redirect = {.kind = kinds[i].kind};
        size_t len = strlen(kinds[i].starts);
        if (strncmp(error, kinds[i].starts, len) == 0 &&
            (redirect.kind == TSN_REDIRECT_AGAIN || read_target(error + len, &redirect))) {
            return redirect;
        }
    }
    return (struct tsn_redirect){.kind = TSN_REDIRECT_NONE};
}
