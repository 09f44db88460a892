/* Pipeline: commands to the nodes that hold their keys, replies in the order of the
 * commands.
 *
 * A node answers in the order of what it was sent; which command that was is noted per
 * node (struct tsn_owed). In a cluster a command's text is kept until its reply is
 * taken, because the reply may be that another node has the key:
 *
 *   MOVED     the slot is another node's: the map is corrected, the command sent there
 *   ASK       this key has gone ahead: asked there once, the map stays
 *   TRYAGAIN  the keys of the command are on both sides: asked again after a pause
 *
 * Order. Whoever reads several keys of one slot may rely on the order (a checkpoint's
 * delta before its base). So a command that is sent again takes those after it of the
 * same slot with it: they are held, what came of them already is discarded, and they
 * follow one by one. Hence what is pipelined must bear being executed twice.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "connectors/redis/connection.h"
#include "connectors/redis/pairs.h"
#include "rules/must/must.h"

enum {
    /* Redirects of one command without a pause. While the news of a moved slot is on its
     * way, two nodes may point at each other. */
    REDIRECTS_AT_ONCE = 3,
    PAUSE_MIN_MS = 2,
    PAUSE_MAX_MS = 100,
};

/* ---- commands pending ------------------------------------------------------------------ */

static struct tsn_command *command_at(const struct tsn_redis *redis, size_t i)
{
    return &redis->commands[(redis->first + i) % redis->cap];
}

static struct tsn_command *push(struct tsn_redis *redis)
{
    if (redis->pending == redis->cap) {
        size_t cap = redis->cap == 0 ? 256 : redis->cap * 2;
        struct tsn_command *ring = malloc(cap * sizeof *ring);
        TSN_MUST_ALLOC(ring);
        for (size_t i = 0; i < redis->pending; i++) {
            ring[i] = *command_at(redis, i);
        }
        free(redis->commands);
        redis->commands = ring;
        redis->cap = cap;
        redis->first = 0;
    }
    struct tsn_command *command = command_at(redis, redis->pending++);
    memset(command, 0, sizeof *command);
    return command;
}

static void pop(struct tsn_redis *redis)
{
    struct tsn_command *command = command_at(redis, 0);
    redis->pending_bytes -= command->bytes;
    redis->n_held -= command->held;
    tsn_reply_free(command->reply);
    free(command->text);
    redis->first = (redis->first + 1) % redis->cap;
    redis->first_number++;
    redis->pending--;
}

void tsn_redis_forget(struct tsn_redis *redis)
{
    while (redis->pending > 0) {
        pop(redis);
    }
}

unsigned tsn_redis_pending(const struct tsn_redis *redis)
{
    return (unsigned)redis->pending;
}

size_t tsn_redis_pending_bytes(const struct tsn_redis *redis)
{
    return redis->pending_bytes;
}

/* ---- sending ---------------------------------------------------------------------------- */

static void send_to(struct tsn_redis *redis, size_t i, unsigned node)
{
    struct tsn_command *command = command_at(redis, i);
    command->node = node;
    tsn_node_put(
        redis->nodes[node], command->text, command->text_len,
        (struct tsn_owed){.command = redis->first_number + i, .attempt = command->attempt});
}

static void send_by_map(struct tsn_redis *redis, size_t i)
{
    int node = redis->map->master_of[command_at(redis, i)->slot];
    TSN_MUST(node >= 0);
    send_to(redis, i, (unsigned)node);
}

/* The first pending command of a slot from the i-th on; redis->pending: none. */
static size_t next_of_slot(const struct tsn_redis *redis, size_t i, uint16_t slot)
{
    while (i < redis->pending && command_at(redis, i)->slot != slot) {
        i++;
    }
    return i;
}

static bool slot_is_held(const struct tsn_redis *redis, uint16_t slot)
{
    for (size_t i = 0; redis->n_held > 0 && i < redis->pending; i++) {
        if (command_at(redis, i)->held && command_at(redis, i)->slot == slot) {
            return true;
        }
    }
    return false;
}

static void append(struct tsn_redis *redis, unsigned node, uint16_t slot, int n,
                   const struct tsn_redis_part *parts)
{
    TSN_MUST(redis->connected);
    bool held = slot != TSN_NO_SLOT && slot_is_held(redis, slot);
    struct tsn_command *command = push(redis);
    for (int i = 0; i < n; i++) {
        command->bytes += parts[i].len;
    }
    redis->pending_bytes += command->bytes;
    command->text = tsn_node_format(n, parts, &command->text_len);
    command->slot = slot;
    command->held = held;
    redis->n_held += held;
    if (!held) {
        send_to(redis, redis->pending - 1, node);
    }
    if (slot == TSN_NO_SLOT) {
        free(command->text); /* nobody can say that it is elsewhere */
        command->text = NULL;
    }
}

void tsn_redis_append(struct tsn_redis *redis, const char *key, int n,
                      const struct tsn_redis_part *parts)
{
    TSN_MUST(redis->connected);
    if (!redis->map || !key) {
        append(redis, 0, TSN_NO_SLOT, n, parts);
        return;
    }
    uint16_t slot = tsn_cluster_slot(key);
    TSN_MUST(redis->map->master_of[slot] >= 0);
    append(redis, (unsigned)redis->map->master_of[slot], slot, n, parts);
}

void tsn_redis_append_to(struct tsn_redis *redis, unsigned node, int n,
                         const struct tsn_redis_part *parts)
{
    TSN_MUST(node < redis->n_nodes);
    append(redis, node, TSN_NO_SLOT, n, parts);
}

/* ---- being sent elsewhere ------------------------------------------------------------------ */

/* Those after the oldest command of the same slot wait, whatever came of them. */
static void hold_followers(struct tsn_redis *redis, uint16_t slot)
{
    for (size_t i = next_of_slot(redis, 1, slot); i < redis->pending;
         i = next_of_slot(redis, i + 1, slot)) {
        struct tsn_command *command = command_at(redis, i);
        if (!command->held) {
            command->held = true;
            redis->n_held++;
            command->attempt++;
            tsn_reply_free(command->reply);
            command->reply = NULL;
        }
    }
}

/* The oldest command of a slot that was held goes now. */
static void release_next(struct tsn_redis *redis, uint16_t slot)
{
    size_t i = redis->n_held > 0 ? next_of_slot(redis, 0, slot) : redis->pending;
    if (i < redis->pending && command_at(redis, i)->held) {
        command_at(redis, i)->held = false;
        redis->n_held--;
        send_by_map(redis, i);
    }
}

/* What one command has been through. */
struct patience {
    unsigned redirects;
    int64_t pause_ms;
    int64_t until_ms; /* 0: no pause yet */
};

static bool pause_within(struct patience *patience, int64_t timeout_ms)
{
    int64_t now_ms = tsn_redis_now_ms();
    if (patience->until_ms == 0) {
        patience->until_ms = now_ms + timeout_ms;
        patience->pause_ms = PAUSE_MIN_MS;
    }
    if (now_ms + patience->pause_ms > patience->until_ms) {
        return false;
    }
    const struct timespec pause = {.tv_sec = patience->pause_ms / 1000,
                                   .tv_nsec = patience->pause_ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
    patience->pause_ms *= 2;
    if (patience->pause_ms > PAUSE_MAX_MS) {
        patience->pause_ms = PAUSE_MAX_MS;
    }
    return true;
}

enum turn { TURN_FINAL, TURN_AGAIN, TURN_FAILED };

/* Sends the oldest command to where its redirect points. */
static enum turn follow(struct tsn_redis *redis, struct tsn_redirect *redirect,
                        struct tsn_failure *failure)
{
    struct tsn_command *command = command_at(redis, 0);
    if (redirect->to.host[0] == '\0') {
        redirect->to = (struct tsn_cluster_address){.port = redirect->to.port};
        strcpy(redirect->to.host, redis->nodes[command->node]->at.host);
    }
    int node = tsn_redis_reach(redis, &redirect->to, failure);
    if (node < 0) {
        return TURN_FAILED;
    }
    if (redirect->kind == TSN_REDIRECT_MOVED) {
        redis->map->master_of[command->slot] = (int16_t)node;
        redis->map_stale = true;
        redis->map_node = (unsigned)node;
    } else {
        static const char asking[] = "*1\r\n$6\r\nASKING\r\n";
        tsn_node_put(redis->nodes[node], asking, sizeof asking - 1,
                     (struct tsn_owed){.command = TSN_OWED_NOBODY});
    }
    send_to(redis, 0, (unsigned)node);
    return TURN_AGAIN;
}

/* What the reply of the oldest command asks for. FINAL: to be given to the caller. */
static enum turn next_turn(struct tsn_redis *redis, struct patience *patience,
                           struct tsn_failure *failure)
{
    struct tsn_command *command = command_at(redis, 0);
    if (command->slot == TSN_NO_SLOT || tsn_reply_kind(command->reply) != TSN_REPLY_ERROR) {
        return TURN_FINAL;
    }
    struct tsn_redirect redirect = tsn_cluster_redirect(tsn_reply_text(command->reply, NULL));
    bool again = redirect.kind == TSN_REDIRECT_AGAIN;
    if (redirect.kind == TSN_REDIRECT_NONE) {
        return TURN_FINAL;
    }
    if ((again || ++patience->redirects > REDIRECTS_AT_ONCE) &&
        !pause_within(patience, redis->address.timeout_ms)) {
        if (again) {
            return TURN_FINAL;
        }
        tsn_fail(failure, TSN_REMEDY_RETRY,
                 "%s: the nodes point at each other for slot %u; look at CLUSTER NODES on each",
                 redis->name, (unsigned)command->slot);
        return TURN_FAILED;
    }
    hold_followers(redis, command->slot);
    tsn_reply_free(command->reply);
    command->reply = NULL;
    command->attempt++;
    if (again) {
        send_by_map(redis, 0);
        return TURN_AGAIN;
    }
    return follow(redis, &redirect, failure);
}

/* Whom the pairs of a reply are for. */
struct pairs {
    tsn_redis_pair *pair;
    void *user;
};

/* ---- taking --------------------------------------------------------------------------------- */

/* Sends to every node first: they work while one is waited for. */
static bool flush_all(struct tsn_redis *redis, struct tsn_failure *failure)
{
    for (unsigned i = 0; i < redis->n_nodes; i++) {
        if (redis->nodes[i]->out_len > 0 && !tsn_node_flush(redis->nodes[i], failure)) {
            return false;
        }
    }
    return true;
}

/* The next reply of a node; if it is the one that the pairs are wanted of, they are given
 * away while it comes in. */
static struct tsn_reply *take_of(struct tsn_redis *redis, struct tsn_node *node,
                                 const struct pairs *pairs, struct tsn_owed *owed,
                                 struct tsn_failure *failure)
{
    struct tsn_pairs_reader reader;
    *owed = tsn_node_next(node);
    bool wanted = pairs && owed->command == redis->first_number &&
                  owed->attempt == command_at(redis, 0)->attempt;
    if (wanted) {
        tsn_pairs_begin(&reader, node->reader, pairs->pair, pairs->user);
    }
    struct tsn_reply *reply = tsn_node_take(node, failure);
    if (wanted) {
        tsn_pairs_end(&reader);
    }
    return reply;
}

/* Reads until the oldest command has its reply. */
static bool await_oldest(struct tsn_redis *redis, const struct pairs *pairs,
                         struct tsn_failure *failure)
{
    struct tsn_command *oldest = command_at(redis, 0);
    if (!flush_all(redis, failure)) {
        return false;
    }
    while (!oldest->reply) {
        struct tsn_owed owed;
        struct tsn_reply *reply = take_of(redis, redis->nodes[oldest->node], pairs, &owed, failure);
        if (!reply) {
            return false;
        }
        /* Commands that were sent again, and those that are gone, want no earlier reply. */
        size_t i = (size_t)(owed.command - redis->first_number);
        struct tsn_command *command =
            owed.command >= redis->first_number && i < redis->pending ? command_at(redis, i) : NULL;
        if (command && command->attempt == owed.attempt) {
            command->reply = reply;
        } else {
            tsn_reply_free(reply);
        }
    }
    return true;
}

static struct tsn_reply *take(struct tsn_redis *redis, const struct pairs *pairs,
                              struct tsn_failure *failure)
{
    TSN_MUST(redis->connected && redis->pending > 0);
    struct patience patience = {0};
    enum turn turn;
    do {
        turn = await_oldest(redis, pairs, failure) ? next_turn(redis, &patience, failure)
                                                   : TURN_FAILED;
    } while (turn == TURN_AGAIN);
    if (turn == TURN_FAILED) {
        tsn_redis_drop(redis);
        return NULL;
    }
    struct tsn_command *command = command_at(redis, 0);
    struct tsn_reply *reply = command->reply;
    uint16_t slot = command->slot;
    redis->spoke = command->node;
    command->reply = NULL;
    pop(redis);
    release_next(redis, slot);
    return reply;
}

struct tsn_reply *tsn_redis_take(struct tsn_redis *redis, struct tsn_failure *failure)
{
    return take(redis, NULL, failure);
}

struct tsn_reply *tsn_redis_take_pairs(struct tsn_redis *redis, tsn_redis_pair *pair, void *user,
                                       struct tsn_failure *failure)
{
    const struct pairs pairs = {.pair = pair, .user = user};
    struct tsn_reply *reply = take(redis, &pairs, failure);
    if (reply) {
        tsn_reply_give_pairs(reply, pair, user); /* of one that came before its turn */
    }
    return reply;
}

struct tsn_reply *tsn_redis_ask(struct tsn_redis *redis, const char *key, int n,
                                const struct tsn_redis_part *parts, struct tsn_failure *failure)
{
    TSN_MUST(redis->pending == 0);
    tsn_redis_append(redis, key, n, parts);
    struct tsn_reply *reply = tsn_redis_take(redis, failure);
    if (reply && tsn_reply_kind(reply) == TSN_REPLY_ERROR) {
        tsn_redis_failure(redis, reply, failure);
        tsn_reply_free(reply);
        return NULL;
    }
    return reply;
}
