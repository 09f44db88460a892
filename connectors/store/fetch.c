/* Reading single records while the store goes on being written.
 *
 * As a load does (load.c): a slot's deltas, then its base, then `at`. Folding moves
 * records from a delta into the base and removes the delta in the step that raises `at`,
 * so a delta that is gone is in the base read after it, and one that is there holds the
 * same as the base or newer. What a slot has beyond what the root knows was written by
 * somebody else; what it lacks was lost: both are told by `at` and by the deltas' counts.
 */
#include "connectors/store/fetch.h"

#include <stdlib.h>
#include <string.h>

#include "rules/must/must.h"

enum { PENDING_MAX = 512 };

struct wanted {
    const uint8_t *key;
    uint8_t field[TSN_LAYOUT_FIELD];
};

struct fetch {
    struct tsn_root_place *place;
    const struct tsn_root *root;
    enum tsn_snapshot_section section;
    tsn_store_reader *reader;
    void *user;
    struct tsn_failure *failure;
    struct wanted *wanted; /* by slot */
    size_t begin[TSN_LAYOUT_SLOTS + 1];
    struct tsn_redis_part *parts;
    uint8_t *plain;
    size_t plain_cap;
};

static struct tsn_redis_part part(const char *text)
{
    return (struct tsn_redis_part){text, strlen(text)};
}

static bool lost(struct fetch *fetch, unsigned slot, const char *what)
{
    return tsn_fail(fetch->failure, TSN_REMEDY_RECOVER,
                    "%s: slot %u of instance %s does not fit the checkpoint of manifest %llu: %s",
                    tsn_redis_name(fetch->place->redis), slot, fetch->place->layout->instance,
                    (unsigned long long)fetch->root->meta.sequence, what);
}

/* ---- asking ---------------------------------------------------------------------------- */

static void sort_by_slot(struct fetch *fetch, const uint8_t (*keys)[16], size_t n)
{
    struct wanted *arrived = malloc((n + 1) * sizeof *arrived);
    size_t next[TSN_LAYOUT_SLOTS] = {0};
    TSN_MUST_ALLOC(arrived);
    for (size_t i = 0; i < n; i++) {
        arrived[i].key = keys[i];
        tsn_layout_field(fetch->place->keys, fetch->section, keys[i], arrived[i].field);
        fetch->begin[tsn_layout_slot(arrived[i].field) + 1]++;
    }
    for (unsigned s = 0; s < TSN_LAYOUT_SLOTS; s++) {
        next[s] = fetch->begin[s];
        fetch->begin[s + 1] += fetch->begin[s];
    }
    for (size_t i = 0; i < n; i++) {
        fetch->wanted[next[tsn_layout_slot(arrived[i].field)]++] = arrived[i];
    }
    free(arrived);
}

static size_t n_in(const struct fetch *fetch, unsigned slot)
{
    return fetch->begin[slot + 1] - fetch->begin[slot];
}

/* HMGET of the slot's fields from a hash; a delta says how many it has, too. */
static void ask_hash(struct fetch *fetch, unsigned slot, const char *kind, const char *name)
{
    char key[TSN_LAYOUT_KEY_MAX];
    struct tsn_redis_part *parts = fetch->parts;
    int n = 0;
    size_t key_len = tsn_layout_slot_key(fetch->place->layout, slot, kind, name, key);
    parts[n++] = part("HMGET");
    parts[n++] = (struct tsn_redis_part){key, key_len};
    parts[n++] = part(TSN_LAYOUT_COUNT_FIELD);
    for (size_t i = fetch->begin[slot]; i < fetch->begin[slot + 1]; i++) {
        parts[n++] = (struct tsn_redis_part){fetch->wanted[i].field, TSN_LAYOUT_FIELD};
    }
    tsn_redis_append(fetch->place->redis, key, n, parts);
}

static void ask_slot(struct fetch *fetch, unsigned slot)
{
    const struct tsn_root *root = fetch->root;
    char key[TSN_LAYOUT_KEY_MAX];
    for (unsigned i = root->n_chain; i > 0; i--) {
        ask_hash(fetch, slot, "d", root->chain[i - 1]);
    }
    ask_hash(fetch, slot, "b", root->gen);
    tsn_layout_slot_key(fetch->place->layout, slot, "at", root->gen, key);
    const struct tsn_redis_part at[] = {part("GET"), part(key)};
    tsn_redis_append(fetch->place->redis, key, 2, at);
}

/* ---- taking ---------------------------------------------------------------------------- */

static bool give(struct fetch *fetch, unsigned slot, const struct wanted *wanted, const char *value,
                 size_t len)
{
    char context[TSN_LAYOUT_KEY_MAX];
    size_t context_len = tsn_layout_context(fetch->place->layout, slot, wanted->field, context);
    if (len > fetch->plain_cap) {
        fetch->plain_cap = len + len / 2;
        free(fetch->plain);
        fetch->plain = malloc(fetch->plain_cap);
        TSN_MUST_ALLOC(fetch->plain);
    }
    if (len < TSN_SEAL_OVERHEAD + TSN_LAYOUT_HEADER ||
        !tsn_keys_open(fetch->place->keys, context, context_len, value, len, fetch->plain) ||
        fetch->plain[0] != fetch->section ||
        memcmp(fetch->plain + 1, wanted->key, TSN_LAYOUT_HEADER - 1) != 0) {
        return lost(fetch, slot, "a record cannot be opened: it was altered");
    }
    struct tsn_snapshot_record record = {
        .section = fetch->section,
        .bytes = fetch->plain + TSN_LAYOUT_HEADER,
        .len = len - TSN_SEAL_OVERHEAD - TSN_LAYOUT_HEADER,
    };
    memcpy(record.key, wanted->key, sizeof record.key);
    const char *why = "no reason given";
    return fetch->reader(fetch->user, &record, &why) || lost(fetch, slot, why);
}

/* Replies of a slot: deltas newest first, base, at. */
static bool give_slot(struct fetch *fetch, unsigned slot, struct tsn_reply **replies)
{
    const struct tsn_root *root = fetch->root;
    size_t n = n_in(fetch, slot);
    size_t base_n;
    int done = tsn_root_folded_to(root, tsn_reply_text(replies[root->n_chain + 1], NULL), &base_n);
    if (done < 0) {
        return lost(fetch, slot, "its base holds changes that are not this engine's");
    }
    for (unsigned i = 0; i <= root->n_chain; i++) {
        if (tsn_reply_n(replies[i]) != n + 1) {
            return lost(fetch, slot, "an answer of another length came");
        }
        unsigned nth = root->n_chain - 1 - i;
        if (i < root->n_chain && (int)nth >= done &&
            tsn_reply_kind(tsn_reply_at(replies[i], 0)) == TSN_REPLY_NIL) {
            return lost(fetch, slot, "changes that belong to it are missing");
        }
    }
    for (size_t k = 0; k < n; k++) {
        const struct tsn_reply *found = NULL;
        for (unsigned i = 0; i <= root->n_chain && !found; i++) {
            const struct tsn_reply *value = tsn_reply_at(replies[i], k + 1);
            found = tsn_reply_kind(value) == TSN_REPLY_NIL ? NULL : value;
        }
        size_t len = 0;
        const char *value = found ? tsn_reply_text(found, &len) : NULL;
        if (len == 0) {
            return lost(fetch, slot, "a record that was stored is not there");
        }
        if (!give(fetch, slot, &fetch->wanted[fetch->begin[slot] + k], value, len)) {
            return false;
        }
    }
    return true;
}

static bool take_slot(struct fetch *fetch, unsigned slot)
{
    struct tsn_redis *redis = fetch->place->redis;
    unsigned n = fetch->root->n_chain + 2;
    struct tsn_reply *replies[TSN_ROOT_CHAIN_MAX + 2];
    unsigned got = 0;
    bool ok = true;
    while (got < n && ok) {
        replies[got] = tsn_redis_take(redis, fetch->failure);
        ok = replies[got] != NULL;
        got += ok;
    }
    for (unsigned i = 0; i < got && ok; i++) {
        if (tsn_reply_kind(replies[i]) == TSN_REPLY_ERROR) {
            ok = tsn_redis_failure(redis, replies[i], fetch->failure);
        }
    }
    ok = ok && give_slot(fetch, slot, replies);
    for (unsigned i = 0; i < got; i++) {
        tsn_reply_free(replies[i]);
    }
    return ok;
}

/* The next slot from which something is wanted. */
static unsigned next_slot(const struct fetch *fetch, unsigned slot)
{
    while (slot < TSN_LAYOUT_SLOTS && n_in(fetch, slot) == 0) {
        slot++;
    }
    return slot;
}

static bool all_slots(struct fetch *fetch)
{
    struct tsn_redis *redis = fetch->place->redis;
    unsigned asked = next_slot(fetch, 0);
    for (unsigned taken = asked; taken < TSN_LAYOUT_SLOTS; taken = next_slot(fetch, taken + 1)) {
        while (asked < TSN_LAYOUT_SLOTS &&
               (asked == taken || (tsn_redis_pending(redis) < PENDING_MAX &&
                                   tsn_redis_pending_bytes(redis) < TSN_REDIS_WINDOW_BYTES))) {
            ask_slot(fetch, asked);
            asked = next_slot(fetch, asked + 1);
        }
        if (!take_slot(fetch, taken)) {
            return false;
        }
    }
    return true;
}

bool tsn_fetch(struct tsn_root_place *place, const struct tsn_root *root,
               enum tsn_snapshot_section section, const uint8_t (*keys)[16], size_t n,
               tsn_store_reader *reader, void *user, struct tsn_failure *failure)
{
    struct fetch fetch = {
        .place = place,
        .root = root,
        .section = section,
        .reader = reader,
        .user = user,
        .failure = failure,
        .wanted = malloc((n + 1) * sizeof *fetch.wanted),
        .parts = malloc((n + 3) * sizeof *fetch.parts),
    };
    TSN_MUST_ALLOC(fetch.wanted);
    TSN_MUST_ALLOC(fetch.parts);
    sort_by_slot(&fetch, keys, n);
    bool ok = (root->last[0] != '\0' || lost(&fetch, 0, "nothing is stored")) && all_slots(&fetch);
    if (!ok) {
        tsn_redis_drop(place->redis); /* replies of slots asked ahead may be pending */
    }
    free(fetch.wanted);
    free(fetch.parts);
    free(fetch.plain);
    return ok;
}
