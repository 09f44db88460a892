/* Reading a checkpoint back.
 *
 * A slot's keys are read in the order deltas, base, at. Folding moves records from
 * a delta into the base and raises `at` in the step that removes the delta, so what
 * a fold does in between can only show the same record twice, never hide one: a
 * delta that was there overlays the base with the same values, and a delta that was
 * gone is in the base read after it.
 *
 * A few slots are in flight at a time: enough to hide the round trip, little enough
 * that ten million entities do not stand in memory twice.
 */
#include "connectors/store/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rules/must/must.h"

enum { SLOTS_AHEAD = 4, LEASE_RENEW_S = 5 };

struct load {
    struct tsn_root_place *place;
    const struct tsn_root *root;
    tsn_store_reader *reader;
    void *user;
    struct tsn_failure *failure;
    uint64_t records, bytes;
    uint8_t *plain; /* an opened value */
    size_t plain_cap;
    uint8_t (*seen)[TSN_LAYOUT_FIELD]; /* fields given already: open addressing */
    bool *used;
    size_t seen_cap;
};

static struct tsn_redis_part part(const char *text)
{
    return (struct tsn_redis_part){text, strlen(text)};
}

static void ask_slot(struct tsn_root_place *place, const struct tsn_root *root, unsigned slot)
{
    char key[TSN_LAYOUT_KEY_MAX];
    for (unsigned i = root->n_chain; i > 0; i--) {
        tsn_layout_slot_key(place->layout, slot, "d", root->chain[i - 1], key);
        const struct tsn_redis_part delta[] = {part("HGETALL"), part(key)};
        tsn_redis_append(place->redis, key, 2, delta);
    }
    tsn_layout_slot_key(place->layout, slot, "b", root->gen, key);
    const struct tsn_redis_part base[] = {part("HGETALL"), part(key)};
    tsn_redis_append(place->redis, key, 2, base);
    tsn_layout_slot_key(place->layout, slot, "at", root->gen, key);
    const struct tsn_redis_part at[] = {part("GET"), part(key)};
    tsn_redis_append(place->redis, key, 2, at);
}

/* Remembers a field; false if it was there. The table is large enough. */
static bool see(struct load *load, const uint8_t *field)
{
    uint64_t hash;
    memcpy(&hash, field + 8, sizeof hash);
    size_t at = hash & (load->seen_cap - 1);
    while (load->used[at]) {
        if (memcmp(load->seen[at], field, TSN_LAYOUT_FIELD) == 0) {
            return false;
        }
        at = (at + 1) & (load->seen_cap - 1);
    }
    load->used[at] = true;
    memcpy(load->seen[at], field, TSN_LAYOUT_FIELD);
    return true;
}

static void seen_reset(struct load *load, size_t n)
{
    size_t cap = load->seen_cap == 0 ? 1024 : load->seen_cap;
    while (cap < 2 * n) {
        cap *= 2;
    }
    if (cap != load->seen_cap) {
        free(load->seen);
        free(load->used);
        load->seen = malloc(cap * sizeof *load->seen);
        load->used = malloc(cap * sizeof *load->used);
        TSN_MUST_ALLOC(load->seen);
        TSN_MUST_ALLOC(load->used);
        load->seen_cap = cap;
    }
    memset(load->used, 0, load->seen_cap * sizeof *load->used);
}

static bool give(struct load *load, unsigned slot, const uint8_t *field, const char *value,
                 size_t len)
{
    char context[TSN_LAYOUT_KEY_MAX];
    size_t context_len = tsn_layout_context(load->place->layout, slot, field, context);
    if (len > load->plain_cap) {
        load->plain_cap = len + len / 2;
        free(load->plain);
        load->plain = malloc(load->plain_cap);
        TSN_MUST_ALLOC(load->plain);
    }
    if (len < TSN_SEAL_OVERHEAD + TSN_LAYOUT_HEADER ||
        !tsn_keys_open(load->place->keys, context, context_len, value, len, load->plain)) {
        return tsn_fail(load->failure, TSN_REMEDY_CONFIG,
                        "%s: a record in slot %u of instance %s cannot be opened: written with "
                        "another key file, or altered; delete the keys tocsin:%d:{%s* and start "
                        "again: state is rebuilt from Kafka",
                        tsn_redis_name(load->place->redis), slot, load->place->layout->instance,
                        TSN_LAYOUT_VERSION, load->place->layout->instance);
    }
    struct tsn_snapshot_record record = {
        .section = load->plain[0],
        .bytes = load->plain + TSN_LAYOUT_HEADER,
        .len = len - TSN_SEAL_OVERHEAD - TSN_LAYOUT_HEADER,
    };
    memcpy(record.key, load->plain + 1, sizeof record.key);
    const char *why = "no reason given";
    if (!load->reader(load->user, &record, &why)) {
        return tsn_fail(load->failure, TSN_REMEDY_CONFIG,
                        "%s: a record of the checkpoint (section %d) cannot be loaded: %s; run the "
                        "version that wrote it, or delete the keys tocsin:%d:{%s* and start again: "
                        "state is rebuilt from Kafka",
                        tsn_redis_name(load->place->redis), (int)record.section, why,
                        TSN_LAYOUT_VERSION, load->place->layout->instance);
    }
    load->records++;
    load->bytes += record.len;
    return true;
}

/* Gives the records of one hash. overlay: skip fields seen in newer ones. *whole: a
 * delta has as many fields as it says. */
static bool give_hash(struct load *load, unsigned slot, const struct tsn_reply *hash, bool overlay,
                      bool *whole)
{
    size_t n = tsn_reply_n(hash) / 2;
    long long count = -1;
    for (size_t i = 0; i < n; i++) {
        size_t field_len;
        size_t len;
        const char *field = tsn_reply_text(tsn_reply_at(hash, 2 * i), &field_len);
        const char *value = tsn_reply_text(tsn_reply_at(hash, 2 * i + 1), &len);
        if (strcmp(field, TSN_LAYOUT_COUNT_FIELD) == 0 && field_len == 1) {
            count = strtoll(value, NULL, 10);
        } else if (field_len == TSN_LAYOUT_FIELD) {
            const uint8_t *bytes = (const uint8_t *)field;
            if ((!overlay || see(load, bytes)) && len > 0 && !give(load, slot, bytes, value, len)) {
                return false;
            }
        }
    }
    *whole = count >= 0 && (unsigned long long)count + 1 == n;
    return true;
}

static bool misfit(struct load *load, unsigned slot, const char *what)
{
    return tsn_fail(load->failure, TSN_REMEDY_CONFIG,
                    "%s: slot %u of instance %s does not fit the checkpoint at sequence %llu: %s; "
                    "Redis was rolled back or lost keys; delete the keys tocsin:%d:{%s* and start "
                    "again: state is rebuilt from Kafka",
                    tsn_redis_name(load->place->redis), slot, load->place->layout->instance,
                    (unsigned long long)load->root->meta.sequence, what, TSN_LAYOUT_VERSION,
                    load->place->layout->instance);
}

/* What the slot's `at` says: chain index after the delta it names, or -1 when it names
 * none that the root knows. *length: fields the base had then. */
static int folded_to(const struct tsn_root *root, const struct tsn_reply *at, size_t *length)
{
    const char *text = tsn_reply_text(at, NULL);
    size_t id_len = strcspn(text, ":");
    *length = text[id_len] == ':' ? strtoull(text + id_len + 1, NULL, 10) : 0;
    if (id_len == strlen(root->folded) && strncmp(text, root->folded, id_len) == 0) {
        return 0;
    }
    for (unsigned i = 0; i < root->n_chain; i++) {
        if (id_len == TSN_LAYOUT_ID && strncmp(text, root->chain[i], id_len) == 0) {
            return (int)i + 1;
        }
    }
    return -1;
}

/* Replies of one slot: deltas newest first, base, at. */
static bool give_slot(struct load *load, unsigned slot, struct tsn_reply **replies)
{
    const struct tsn_root *root = load->root;
    unsigned n_chain = root->n_chain;
    const struct tsn_reply *base = replies[n_chain];
    size_t base_n;
    int done = folded_to(root, replies[n_chain + 1], &base_n);
    if (done < 0) {
        return misfit(load, slot, "its base holds changes that the checkpoint does not know");
    }
    size_t in_deltas = 0;
    for (unsigned i = 0; i < n_chain; i++) {
        in_deltas += tsn_reply_n(replies[i]) / 2;
    }
    bool overlay = in_deltas > 0;
    if (overlay) {
        seen_reset(load, in_deltas + tsn_reply_n(base) / 2);
    } else if ((unsigned)done == n_chain && tsn_reply_n(base) / 2 != base_n) {
        return misfit(load, slot, "its base has another number of records than it was left with");
    }
    bool whole;
    for (unsigned i = 0; i < n_chain; i++) { /* newest first */
        unsigned nth = n_chain - 1 - i;
        if (!give_hash(load, slot, replies[i], overlay, &whole)) {
            return false;
        }
        if ((int)nth >= done && !whole) {
            return misfit(load, slot, "changes that belong to it are missing");
        }
    }
    return give_hash(load, slot, base, overlay, &whole);
}

static bool take_slot(struct load *load, unsigned slot)
{
    struct tsn_redis *redis = load->place->redis;
    unsigned n = load->root->n_chain + 2;
    struct tsn_reply *replies[TSN_ROOT_CHAIN_MAX + 2];
    unsigned got = 0;
    bool ok = true;
    while (got < n && ok) {
        replies[got] = tsn_redis_take(redis, load->failure);
        ok = replies[got] != NULL;
        got += ok;
    }
    for (unsigned i = 0; i < got && ok; i++) {
        if (tsn_reply_kind(replies[i]) == TSN_REPLY_ERROR) {
            ok = tsn_redis_failure(redis, replies[i], load->failure);
        }
    }
    ok = ok && give_slot(load, slot, replies);
    for (unsigned i = 0; i < got; i++) {
        tsn_reply_free(replies[i]);
    }
    return ok;
}

/* After a misfit: has the checkpoint moved on under us? Then it is no loss. */
static bool moved_on(struct load *load)
{
    struct tsn_failure ignored;
    struct tsn_root *now = malloc(sizeof *now);
    TSN_MUST_ALLOC(now);
    bool moved = tsn_redis_connect(load->place->redis, NULL, &ignored) &&
                 tsn_root_read(load->place, now, &ignored) &&
                 strcmp(now->last, load->root->last) != 0;
    free(now);
    return moved;
}

static bool all_slots(struct load *load, const char *token, tsn_store_watcher *watcher,
                      void *watcher_user)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    time_t renewed = now.tv_sec;
    unsigned asked = 0;
    for (unsigned s = 0; s < TSN_LAYOUT_SLOTS; s++) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        bool renew = now.tv_sec - renewed >= LEASE_RENEW_S;
        /* The lease is a command of its own: let the pipeline run dry for it. */
        while (asked < TSN_LAYOUT_SLOTS && asked <= s + (renew ? 0 : SLOTS_AHEAD - 1)) {
            ask_slot(load->place, load->root, asked++);
        }
        if (!take_slot(load, s)) {
            return false;
        }
        if (renew && tsn_redis_pending(load->place->redis) == 0) {
            if (!tsn_root_lease(load->place, token, load->failure)) {
                return false;
            }
            renewed = now.tv_sec;
        }
        if (watcher && (s + 1) * 100 / TSN_LAYOUT_SLOTS != s * 100 / TSN_LAYOUT_SLOTS) {
            watcher(watcher_user, (s + 1) * 100 / TSN_LAYOUT_SLOTS, load->records, load->bytes);
        }
    }
    return true;
}

bool tsn_load(struct tsn_root_place *place, const struct tsn_root *root, const char *token,
              tsn_store_reader *reader, void *user, tsn_store_watcher *watcher, void *watcher_user,
              struct tsn_failure *failure)
{
    struct load load = {
        .place = place, .root = root, .reader = reader, .user = user, .failure = failure};
    bool ok = all_slots(&load, token, watcher, watcher_user);
    if (!ok) {
        tsn_redis_drop(place->redis); /* replies of slots asked ahead may be pending */
        if (failure->remedy == TSN_REMEDY_CONFIG && moved_on(&load)) {
            tsn_fail(failure, TSN_REMEDY_RETRY,
                     "%s: the checkpoint moved on while it was loaded; load again",
                     tsn_redis_name(place->redis));
        }
    }
    free(load.plain);
    free(load.seen);
    free(load.used);
    return ok;
}
