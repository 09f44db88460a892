#include "connectors/store/delta.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/must/must.h"

enum {
    PENDING_MAX = 512,     /* small commands in flight */
    FOLD_PENDING_MAX = 16, /* fold calls in flight: each may keep the server a millisecond */
};

static struct tsn_redis_part part(const char *text)
{
    return (struct tsn_redis_part){text, strlen(text)};
}

/* Takes replies until at most `left` commands are pending and the window has room;
 * any error reply ends the job. */
static enum tsn_delta_result drain(struct tsn_root_place *place, unsigned left, size_t left_bytes,
                                   struct tsn_failure *failure)
{
    struct tsn_redis *redis = place->redis;
    bool refused = false;
    while (tsn_redis_pending(redis) > left || tsn_redis_pending_bytes(redis) > left_bytes) {
        struct tsn_reply *reply = tsn_redis_take(redis, failure);
        if (!reply) {
            return TSN_DELTA_FAILED;
        }
        if (!refused && tsn_reply_kind(reply) == TSN_REPLY_ERROR) {
            refused = true;
            tsn_redis_failure(redis, reply, failure);
            left = 0; /* the connection is kept: take what the others said */
            left_bytes = 0;
        }
        tsn_reply_free(reply);
    }
    return refused ? TSN_DELTA_FAILED : TSN_DELTA_OK;
}

/* ---- writing ----------------------------------------------------------------------- */

/* One HSET under construction. */
struct command {
    struct tsn_redis_part parts[2 + 2 * (TSN_DELTA_RECORDS + 1)];
    int n;
    uint8_t *sealed; /* the values of this command */
    size_t sealed_len, sealed_cap;
    struct tsn_nonce nonces[TSN_DELTA_RECORDS]; /* for them */
    char context[TSN_LAYOUT_KEY_MAX];           /* of the slot, its end the field at hand */
    size_t context_len;
};

static void *grown(void *p, size_t *cap, size_t need)
{
    if (need > *cap) {
        *cap = need + need / 2;
        p = realloc(p, *cap);
        TSN_MUST_ALLOC(p);
    }
    return p;
}

static void seal_entry(struct tsn_root_place *place, const struct tsn_cut_entry *entry,
                       const struct tsn_nonce *nonce, struct command *command)
{
    struct tsn_redis_part *field = &command->parts[command->n++];
    struct tsn_redis_part *value = &command->parts[command->n++];
    *field = (struct tsn_redis_part){entry->field, TSN_LAYOUT_FIELD};
    if (entry->gone) {
        *value = (struct tsn_redis_part){"", 0};
        return;
    }
    memcpy(command->context + command->context_len - TSN_LAYOUT_FIELD, entry->field,
           TSN_LAYOUT_FIELD);
    uint8_t *out = command->sealed + command->sealed_len;
    size_t len = tsn_keys_seal_under(place->keys, nonce, command->context, command->context_len,
                                     entry->header, TSN_LAYOUT_HEADER + entry->len, out);
    command->sealed_len += len;
    *value = (struct tsn_redis_part){out, len};
}

/* How many entries from `at` fit one command; at least one. Sizes `sealed` for them. */
static size_t fitting(const struct tsn_cut_entry *entries, size_t n, struct command *command)
{
    size_t bytes = 0;
    size_t i = 0;
    while (i < n && i < TSN_DELTA_RECORDS) {
        size_t more = TSN_LAYOUT_HEADER + entries[i].len + TSN_SEAL_OVERHEAD;
        if (i > 0 && bytes + more > TSN_DELTA_BYTES) {
            break;
        }
        bytes += more;
        i++;
    }
    command->sealed = grown(command->sealed, &command->sealed_cap, bytes);
    command->sealed_len = 0;
    return i;
}

/* A part of a delta on its way. */
struct writing {
    struct tsn_root_place *place;
    const struct tsn_cut_index *index;
    struct tsn_delta *delta;
    bool last;
    const struct tsn_delta_brake *brake;
    struct command *command;
};

/* The entries of a slot from `at` on that fit one command; returns how many were sent. */
static size_t send_some(struct writing *writing, unsigned slot, size_t at)
{
    struct tsn_delta *delta = writing->delta;
    struct command *command = writing->command;
    const struct tsn_cut_entry *entries = writing->index->entries + writing->index->begin[slot];
    size_t n = writing->index->n[slot];
    char key[TSN_LAYOUT_KEY_MAX];
    char count[24];
    size_t key_len = tsn_layout_slot_key(writing->place->layout, slot, "d", delta->id, key);
    command->parts[0] = part("HSET");
    command->parts[1] = (struct tsn_redis_part){key, key_len};
    command->n = 2;
    if (at == 0 && writing->last) {
        int count_len = snprintf(count, sizeof count, "%zu", delta->n[slot] + n);
        command->parts[command->n++] = part(TSN_LAYOUT_COUNT_FIELD);
        command->parts[command->n++] = (struct tsn_redis_part){count, (size_t)count_len};
    }
    size_t fit = fitting(entries + at, n - at, command);
    tsn_keys_nonces(command->nonces, fit);
    for (size_t i = 0; i < fit; i++) {
        seal_entry(writing->place, &entries[at + i], &command->nonces[i], command);
    }
    tsn_redis_append(writing->place->redis, key, command->n, command->parts);
    return fit;
}

static enum tsn_delta_result write_slot(struct writing *writing, unsigned slot,
                                        const atomic_bool *stop, struct tsn_failure *failure)
{
    static const uint8_t no_field[TSN_LAYOUT_FIELD];
    struct command *command = writing->command;
    size_t n = writing->index->n[slot];
    command->context_len =
        tsn_layout_context(writing->place->layout, slot, no_field, command->context);
    for (size_t at = 0; at < n || (at == 0 && writing->last);) {
        if (atomic_load(stop)) {
            return TSN_DELTA_STOPPED;
        }
        size_t sent = send_some(writing, slot, at);
        uint64_t bytes = command->sealed_len + sent * TSN_LAYOUT_FIELD;
        enum tsn_delta_result result =
            drain(writing->place, PENDING_MAX, TSN_REDIS_WINDOW_BYTES, failure);
        if (result != TSN_DELTA_OK) {
            return result;
        }
        writing->delta->bytes += bytes;
        if (writing->brake) {
            writing->brake->sent(writing->brake->user, bytes);
        }
        at += sent;
        if (n == 0) {
            break;
        }
    }
    writing->delta->n[slot] += n;
    return TSN_DELTA_OK;
}

enum tsn_delta_result tsn_delta_write(struct tsn_root_place *place,
                                      const struct tsn_cut_index *index, struct tsn_delta *delta,
                                      bool last, const struct tsn_delta_brake *brake,
                                      const atomic_bool *stop, struct tsn_failure *failure)
{
    struct writing writing = {.place = place,
                              .index = index,
                              .delta = delta,
                              .last = last,
                              .brake = brake,
                              .command = calloc(1, sizeof *writing.command)};
    TSN_MUST_ALLOC(writing.command);
    enum tsn_delta_result result = TSN_DELTA_OK;
    for (unsigned s = 0; s < TSN_LAYOUT_SLOTS && result == TSN_DELTA_OK; s++) {
        result = write_slot(&writing, s, stop, failure);
    }
    if (result == TSN_DELTA_OK) {
        result = drain(place, 0, 0, failure);
    } else if (result == TSN_DELTA_STOPPED) {
        tsn_redis_drop(place->redis); /* the rest of the window is of no use */
    }
    free(writing.command->sealed);
    free(writing.command);
    return result;
}

/* ---- folding ----------------------------------------------------------------------- */

/* One page of one delta into the base of one slot. KEYS: at, base, delta. ARGV: the
 * delta that the base must hold, this delta, cursor, fields a page. Answers DONE, the
 * next cursor, LOST, or AT:<what the base holds> when it is something else. The first
 * delta of a generation becomes the base by its name alone. */
static const char fold_text[] =
    "local at = redis.call('GET', KEYS[1])\n"
    "local held = at and string.sub(at, 1, 16) or ''\n"
    "if held ~= ARGV[1] then return 'AT:' .. held end\n"
    "if redis.call('EXISTS', KEYS[3]) == 0 then return 'LOST' end\n"
    "if held == '' and ARGV[3] == '0' and redis.call('EXISTS', KEYS[2]) == 0 then\n"
    "  redis.call('RENAME', KEYS[3], KEYS[2])\n"
    "  redis.call('HDEL', KEYS[2], '#')\n"
    "else\n"
    "  local page = redis.call('HSCAN', KEYS[3], ARGV[3], 'COUNT', ARGV[4])\n"
    "  local set, gone = {}, {}\n"
    "  local fields = page[2]\n"
    "  for i = 1, #fields, 2 do\n"
    "    if fields[i] == '#' then\n"
    "    elseif fields[i + 1] == '' then gone[#gone + 1] = fields[i]\n"
    "    else set[#set + 1] = fields[i]; set[#set + 1] = fields[i + 1] end\n"
    "  end\n"
    "  for i = 1, #set, 400 do\n"
    "    redis.call('HSET', KEYS[2], unpack(set, i, math.min(i + 399, #set)))\n"
    "  end\n"
    "  for i = 1, #gone, 400 do\n"
    "    redis.call('HDEL', KEYS[2], unpack(gone, i, math.min(i + 399, #gone)))\n"
    "  end\n"
    "  if page[1] ~= '0' then return page[1] end\n"
    "  redis.call('UNLINK', KEYS[3])\n"
    "end\n"
    "redis.call('SET', KEYS[1], ARGV[2] .. ':' .. redis.call('HLEN', KEYS[2]))\n"
    "return 'DONE'\n";

void tsn_delta_fold_script(struct tsn_script *script)
{
    *script = (struct tsn_script){.text = fold_text};
}

/* Where folding stands in one slot. */
struct folding {
    unsigned slot;
    unsigned next; /* index into the chain */
    char cursor[24];
};

static void fold_append(struct tsn_root_place *place, const struct tsn_script *script,
                        const struct tsn_root *root, const struct folding *folding)
{
    char at[TSN_LAYOUT_KEY_MAX];
    char base[TSN_LAYOUT_KEY_MAX];
    char delta[TSN_LAYOUT_KEY_MAX];
    char page[12];
    const char *held = folding->next == 0 ? root->folded : root->chain[folding->next - 1];
    const char *id = root->chain[folding->next];
    tsn_layout_slot_key(place->layout, folding->slot, "at", root->gen, at);
    tsn_layout_slot_key(place->layout, folding->slot, "b", root->gen, base);
    tsn_layout_slot_key(place->layout, folding->slot, "d", id, delta);
    snprintf(page, sizeof page, "%d", TSN_DELTA_RECORDS);
    const struct tsn_redis_part parts[] = {
        part(at), part(base), part(delta), part(held), part(id), part(folding->cursor), part(page)};
    tsn_script_append(place->redis, script, 3, sizeof parts / sizeof parts[0], parts);
}

/* What the script's answer means for a slot. LOST when it fits no history we know. */
static enum tsn_delta_result fold_answer(const struct tsn_root *root, const char *text,
                                         struct folding *folding)
{
    if (strcmp(text, "DONE") == 0) {
        folding->next++;
        strcpy(folding->cursor, "0");
        return TSN_DELTA_OK;
    }
    if (strncmp(text, "AT:", 3) == 0) {
        for (unsigned i = folding->next; i < root->n_chain; i++) {
            if (strcmp(text + 3, root->chain[i]) == 0) { /* folded by an earlier run */
                folding->next = i + 1;
                strcpy(folding->cursor, "0");
                return TSN_DELTA_OK;
            }
        }
        return TSN_DELTA_LOST;
    }
    if (strcmp(text, "LOST") == 0 || strlen(text) >= sizeof folding->cursor) {
        return TSN_DELTA_LOST;
    }
    strcpy(folding->cursor, text);
    return TSN_DELTA_OK;
}

/* One round: every slot that is not done gets one call. */
static enum tsn_delta_result fold_round(struct tsn_root_place *place, struct tsn_script *script,
                                        const struct tsn_root *root, struct folding *slots,
                                        unsigned n, const atomic_bool *stop,
                                        struct tsn_failure *failure)
{
    unsigned taken = 0;
    unsigned sent = 0;
    enum tsn_delta_result result = TSN_DELTA_OK;
    if (!tsn_script_load(place->redis, script, failure)) {
        return TSN_DELTA_FAILED;
    }
    while (taken < n) {
        while (result == TSN_DELTA_OK && sent < n && sent - taken < FOLD_PENDING_MAX) {
            if (atomic_load(stop)) {
                result = TSN_DELTA_STOPPED;
            } else {
                fold_append(place, script, root, &slots[sent++]);
            }
        }
        if (taken == sent) {
            return result;
        }
        struct tsn_reply *reply = tsn_redis_take(place->redis, failure);
        if (!reply) {
            return TSN_DELTA_FAILED;
        }
        if (tsn_reply_is_error(reply, "NOSCRIPT")) {
            tsn_script_forget(script); /* this slot asks again in the next round */
        } else if (tsn_reply_kind(reply) == TSN_REPLY_ERROR) {
            tsn_redis_failure(place->redis, reply, failure);
            result = TSN_DELTA_FAILED;
        } else if (result == TSN_DELTA_OK) {
            result = fold_answer(root, tsn_reply_text(reply, NULL), &slots[taken]);
        }
        tsn_reply_free(reply);
        taken++;
    }
    return result;
}

enum tsn_delta_result tsn_delta_fold(struct tsn_root_place *place, struct tsn_script *script,
                                     const struct tsn_root *root, const atomic_bool *stop,
                                     struct tsn_failure *failure)
{
    struct folding slots[TSN_LAYOUT_SLOTS];
    unsigned n = root->n_chain > 0 ? TSN_LAYOUT_SLOTS : 0;
    for (unsigned s = 0; s < n; s++) {
        slots[s] = (struct folding){.slot = s, .cursor = "0"};
    }
    while (n > 0) {
        enum tsn_delta_result result = fold_round(place, script, root, slots, n, stop, failure);
        if (result != TSN_DELTA_OK) {
            return result;
        }
        unsigned left = 0;
        for (unsigned i = 0; i < n; i++) {
            if (slots[i].next < root->n_chain) {
                slots[left++] = slots[i];
            }
        }
        n = left;
    }
    return TSN_DELTA_OK;
}

/* ---- deleting ---------------------------------------------------------------------- */

static enum tsn_delta_result unlink_slots(struct tsn_root_place *place, const char *kind,
                                          const char *name, const atomic_bool *stop,
                                          struct tsn_failure *failure)
{
    for (unsigned s = 0; s < TSN_LAYOUT_SLOTS; s++) {
        if (atomic_load(stop)) {
            return TSN_DELTA_STOPPED;
        }
        char key[TSN_LAYOUT_KEY_MAX];
        size_t key_len = tsn_layout_slot_key(place->layout, s, kind, name, key);
        const struct tsn_redis_part parts[] = {part("UNLINK"), {key, key_len}};
        tsn_redis_append(place->redis, key, 2, parts);
        enum tsn_delta_result result = drain(place, PENDING_MAX, TSN_REDIS_WINDOW_BYTES, failure);
        if (result != TSN_DELTA_OK) {
            return result;
        }
    }
    return drain(place, 0, 0, failure);
}

static enum tsn_delta_result delete_one(struct tsn_root_place *place, const struct tsn_dead *dead,
                                        const atomic_bool *stop, struct tsn_failure *failure)
{
    if (dead->kind == 'd') {
        return unlink_slots(place, "d", dead->name, stop, failure);
    }
    enum tsn_delta_result result = unlink_slots(place, "b", dead->name, stop, failure);
    return result == TSN_DELTA_OK ? unlink_slots(place, "at", dead->name, stop, failure) : result;
}

enum tsn_delta_result tsn_delta_clean(struct tsn_root_place *place, struct tsn_root *root,
                                      const atomic_bool *stop, struct tsn_failure *failure)
{
    enum tsn_delta_result result = TSN_DELTA_OK;
    unsigned kept = 0;
    for (unsigned i = 0; i < root->n_dead; i++) {
        struct tsn_dead dead = root->dead[i];
        if (result == TSN_DELTA_OK) {
            result = delete_one(place, &dead, stop, failure);
            if (result == TSN_DELTA_OK && --dead.left < '1') {
                continue;
            }
        }
        root->dead[kept++] = dead; /* once more, or what was broken off */
    }
    root->n_dead = kept;
    if (result == TSN_DELTA_STOPPED) {
        tsn_redis_drop(place->redis);
    }
    return result;
}
