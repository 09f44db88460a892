#include "engine/event/dedup.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL /* a dozen bytes: the call would cost more than the hash */
#include <xxhash.h>

#include "engine/entity/key.h"
#include "engine/entity/pages.h"
#include "rules/must/must.h"

enum { MINUTE_MS = 60000, BUCKETS_FIRST = 256 };

/* As the table counts them: from 1 in year 0, up to the last that 32 bits hold. */
static uint32_t table_minute(int64_t minute)
{
    static const int64_t year_0 = -INT64_C(719528) * 24 * 60;
    return minute <= year_0                    ? 1
           : minute - year_0 >= UINT32_MAX - 1 ? UINT32_MAX
                                               : (uint32_t)(minute - year_0 + 1);
}

/* Minutes before it are forgotten. */
static void keep_from(struct tsn_dedup *dedup, int64_t minute)
{
    int64_t expires_ms;
    dedup->kept_from = minute;
    dedup->kept_minute = table_minute(minute);
    if (__builtin_mul_overflow(minute + 1, (int64_t)MINUTE_MS, &expires_ms) ||
        __builtin_add_overflow(expires_ms, dedup->window_ms, &expires_ms)) {
        expires_ms = minute < 0 ? INT64_MIN : INT64_MAX;
    }
    dedup->expires_ms = expires_ms;
}

/* An empty table; at most five eighths of its places are taken before it grows. */
static void table_new(struct tsn_dedup *dedup, uint64_t n_buckets)
{
    dedup->buckets = tsn_pages_zalloc(n_buckets * sizeof *dedup->buckets);
    dedup->mask = n_buckets - 1;
    dedup->n_room = n_buckets * TSN_DEDUP_PLACES / 8 * 5;
}

void tsn_dedup_init(struct tsn_dedup *dedup, tsn_duration_ms window_ms, uint64_t cap_bytes)
{
    *dedup = (struct tsn_dedup){.window_ms = window_ms};
    keep_from(dedup, INT64_MIN + 1);
    dedup->n_max = cap_bytes / TSN_DEDUP_ID_BYTES;
    dedup->n_max += dedup->n_max == 0;
    dedup->minute_to_ms = MINUTE_MS - 1;
    dedup->minute_counted = table_minute(0);
    table_new(dedup, BUCKETS_FIRST);
}

void tsn_dedup_free(struct tsn_dedup *dedup)
{
    for (size_t p = 0; p < dedup->n_panes; p++) {
        free(dedup->panes[p].hashes);
    }
    free(dedup->panes);
    free(dedup->gone);
    free(dedup->buckets);
    *dedup = (struct tsn_dedup){0};
}

static uint64_t id_hash(uint64_t type_seed, uint64_t word)
{
    uint64_t parts[2] = {type_seed, word};
    uint64_t hash = XXH3_64bits(parts, sizeof parts);
    return hash + (hash == 0);
}

void tsn_dedup_hashes(uint64_t type_seed, const struct tsn_column *ids, uint32_t n,
                      const uint32_t *to, uint64_t *hashes)
{
    uint64_t words[64];
    for (uint32_t at = 0; at < n; at += 64) {
        uint64_t valid = ids->valid[at / 64];
        tsn_key_words(ids, at, valid, words, 1);
        for (uint32_t i = 0; i < 64 && at + i < n; i++) {
            hashes[to[at + i]] = valid >> i & 1 ? id_hash(type_seed, words[i]) : 0;
        }
    }
}

static int64_t minute_of(tsn_event_ms time_ms)
{
    return time_ms / MINUTE_MS - (time_ms % MINUTE_MS < 0);
}

/* Of the same minute as the last one, nearly always. */
static inline void minute_find(struct tsn_dedup *dedup, tsn_event_ms time_ms)
{
    if (time_ms >= dedup->minute_from_ms && time_ms <= dedup->minute_to_ms) {
        return;
    }
    int64_t from_ms, next_ms;
    int64_t minute = minute_of(time_ms);
    bool first = __builtin_mul_overflow(minute, (int64_t)MINUTE_MS, &from_ms);
    bool last = __builtin_mul_overflow(minute + 1, (int64_t)MINUTE_MS, &next_ms);
    dedup->minute = minute;
    dedup->minute_counted = table_minute(minute);
    dedup->minute_from_ms = first ? INT64_MIN : from_ms;
    dedup->minute_to_ms = last ? INT64_MAX : next_ms - 1;
}

/* ---- panes ------------------------------------------------------------------------ */

/* Gives pages of the cut under way until the budget is spent. */
static void pane_give(struct tsn_dedup *dedup, struct tsn_dedup_pane *pane, int64_t *budget)
{
    const struct tsn_dedup_taker *taker = &dedup->taker;
    while (pane->cut_at<pane->cut_end && * budget> 0) {
        size_t n = pane->cut_end - pane->cut_at;
        n = n < TSN_DEDUP_PAGE_IDS ? n : TSN_DEDUP_PAGE_IDS;
        uint32_t page = (uint32_t)(pane->cut_at / TSN_DEDUP_PAGE_IDS);
        *budget -=
            (int64_t)taker->page(taker->user, pane->minute, page, pane->hashes + pane->cut_at, n);
        pane->cut_at += n;
        pane->given = pane->cut_at;
    }
}

static uint32_t pages_of(const struct tsn_dedup_pane *pane)
{
    size_t n = (pane->given + TSN_DEDUP_PAGE_IDS - 1) / TSN_DEDUP_PAGE_IDS;
    return n > pane->loaded_pages ? (uint32_t)n : pane->loaded_pages;
}

static void gone_add(struct tsn_dedup *dedup, const struct tsn_dedup_pane *pane)
{
    if (dedup->n_gone == dedup->gone_cap) {
        dedup->gone_cap = dedup->gone_cap ? dedup->gone_cap * 2 : 16;
        dedup->gone = realloc(dedup->gone, dedup->gone_cap * sizeof *dedup->gone);
        TSN_MUST_ALLOC(dedup->gone);
    }
    dedup->gone[dedup->n_gone++] =
        (struct tsn_dedup_gone){.minute = pane->minute, .n_pages = pages_of(pane)};
}

static void pane_forget_first(struct tsn_dedup *dedup)
{
    struct tsn_dedup_pane *pane = &dedup->panes[0];
    int64_t budget = INT64_MAX;
    pane_give(dedup, pane, &budget);
    dedup->n -= pane->n;
    if (pane->minute >= dedup->kept_from) {
        keep_from(dedup, pane->minute + 1);
    }
    if (pages_of(pane)) {
        gone_add(dedup, pane);
    }
    free(pane->hashes);
    dedup->n_panes--;
    memmove(dedup->panes, dedup->panes + 1, dedup->n_panes * sizeof *dedup->panes);
}

/* Panes wholly older than E - window go. */
static void panes_expire(struct tsn_dedup *dedup, tsn_event_ms newest_ms)
{
    tsn_event_ms from_ms;
    if (newest_ms < dedup->expires_ms || newest_ms == INT64_MIN ||
        __builtin_sub_overflow(newest_ms, dedup->window_ms, &from_ms)) {
        return;
    }
    int64_t minute = minute_of(from_ms);
    if (minute > dedup->kept_from) {
        keep_from(dedup, minute);
        while (dedup->n_panes && dedup->panes[0].minute < minute) {
            pane_forget_first(dedup);
        }
    }
}

static struct tsn_dedup_pane *pane_of(struct tsn_dedup *dedup, int64_t minute)
{
    size_t p = dedup->n_panes;
    while (p > 0 && dedup->panes[p - 1].minute > minute) {
        p--;
    }
    if (p > 0 && dedup->panes[p - 1].minute == minute) {
        return &dedup->panes[p - 1];
    }
    if (dedup->n_panes == dedup->panes_cap) {
        dedup->panes_cap = dedup->panes_cap ? dedup->panes_cap * 2 : 16;
        dedup->panes = realloc(dedup->panes, dedup->panes_cap * sizeof *dedup->panes);
        TSN_MUST_ALLOC(dedup->panes);
    }
    memmove(dedup->panes + p + 1, dedup->panes + p, (dedup->n_panes - p) * sizeof *dedup->panes);
    dedup->panes[p] = (struct tsn_dedup_pane){.minute = minute};
    dedup->n_panes++;
    return &dedup->panes[p];
}

static void pane_add_any(struct tsn_dedup *dedup, int64_t minute, uint64_t hash)
{
    struct tsn_dedup_pane *pane = pane_of(dedup, minute);
    if (pane->n == pane->cap) {
        pane->cap = pane->cap ? pane->cap * 2 : 256;
        pane->hashes = realloc(pane->hashes, pane->cap * sizeof *pane->hashes);
        TSN_MUST_ALLOC(pane->hashes);
    }
    pane->hashes[pane->n++] = hash;
    dedup->n++;
}

/* Nearly always into the newest pane, which has room. */
static inline void pane_add(struct tsn_dedup *dedup, int64_t minute, uint64_t hash)
{
    struct tsn_dedup_pane *pane = dedup->n_panes ? &dedup->panes[dedup->n_panes - 1] : NULL;
    if (!pane || pane->minute != minute || pane->n == pane->cap) {
        pane_add_any(dedup, minute, hash);
        return;
    }
    pane->hashes[pane->n++] = hash;
    dedup->n++;
}

/* ---- table ------------------------------------------------------------------------ */

/* Without loops: -O2 leaves them as they are, which takes twice the instructions. */
_Static_assert(TSN_DEDUP_PLACES == 5, "both functions name them all");

/* A hash that is found is a duplicate or forgotten, which is seldom: these branches are
 * foreseen. */
static inline bool bucket_has(const struct tsn_dedup_bucket *bucket, uint64_t hash,
                              uint32_t kept_minute)
{
    const uint64_t *at = bucket->hashes;
    bool found = false;
    bool same = at[0] == hash || at[1] == hash || at[2] == hash || at[3] == hash || at[4] == hash;
    for (int i = 0; same && i < TSN_DEDUP_PLACES; i++) {
        found |= bucket->hashes[i] == hash && bucket->minutes[i] >= kept_minute;
    }
    return found;
}

/* The first free place, or TSN_DEDUP_PLACES. Without branches: which of them is free or taken
 * is chance. Each bit is a carry. */
static inline uint32_t bucket_place(const struct tsn_dedup_bucket *bucket, uint32_t kept_minute)
{
    const uint32_t *at = bucket->minutes;
    uint32_t is_free = 2 + (at[4] < kept_minute);
    is_free = is_free + is_free + (at[3] < kept_minute);
    is_free = is_free + is_free + (at[2] < kept_minute);
    is_free = is_free + is_free + (at[1] < kept_minute);
    is_free = is_free + is_free + (at[0] < kept_minute);
    return (uint32_t)__builtin_ctz(is_free);
}

/* table_has_or_takes of a hash that its first bucket does not settle. */
static bool table_search(struct tsn_dedup *dedup, uint64_t hash, uint32_t minute)
{
    struct tsn_dedup_bucket *buckets = dedup->buckets;
    uint32_t kept_minute = dedup->kept_minute;
    uint64_t mask = dedup->mask;
    uint64_t to = 0;
    uint32_t place = TSN_DEDUP_PLACES;
    for (uint64_t b = hash & mask;; b = (b + 1) & mask) {
        const struct tsn_dedup_bucket *bucket = &buckets[b];
        if (bucket_has(bucket, hash, kept_minute)) {
            return true;
        }
        if (place == TSN_DEDUP_PLACES) {
            place = bucket_place(bucket, kept_minute);
            to = b;
        }
        if (place < TSN_DEDUP_PLACES && bucket->beyond < kept_minute) {
            break;
        }
    }
    for (uint64_t b = hash & mask; b != to; b = (b + 1) & mask) {
        buckets[b].beyond = buckets[b].beyond > minute ? buckets[b].beyond : minute;
    }
    buckets[to].hashes[place] = hash;
    buckets[to].minutes[place] = minute;
    return false;
}

/* Is the hash there? If not, it takes the first place that is free: one look for both. */
static inline bool table_has_or_takes(struct tsn_dedup *dedup, uint64_t hash, uint32_t minute)
{
    struct tsn_dedup_bucket *bucket = &dedup->buckets[hash & dedup->mask];
    uint32_t kept_minute = dedup->kept_minute;
    if (bucket_has(bucket, hash, kept_minute)) {
        return true;
    }
    uint32_t place = bucket_place(bucket, kept_minute);
    if (place == TSN_DEDUP_PLACES || bucket->beyond >= kept_minute) {
        return table_search(dedup, hash, minute);
    }
    bucket->hashes[place] = hash;
    bucket->minutes[place] = minute;
    return false;
}

/* Bucket by bucket, so that what is read and both places where it can go are in order. */
static void table_grow(struct tsn_dedup *dedup)
{
    struct tsn_dedup_bucket *old = dedup->buckets;
    uint64_t n_old = dedup->mask + 1;
    table_new(dedup, 2 * n_old);
    for (uint64_t b = 0; b < n_old; b++) {
        for (int i = 0; i < TSN_DEDUP_PLACES; i++) {
            if (old[b].minutes[i] >= dedup->kept_minute) {
                table_has_or_takes(dedup, old[b].hashes[i], old[b].minutes[i]);
            }
        }
    }
    free(old);
}

static inline void table_room(struct tsn_dedup *dedup)
{
    if (dedup->n >= dedup->n_room) {
        table_grow(dedup);
    }
}

static void remember(struct tsn_dedup *dedup, uint64_t hash, int64_t minute)
{
    table_room(dedup);
    table_has_or_takes(dedup, hash, table_minute(minute));
    pane_add(dedup, minute, hash);
}

bool tsn_dedup_seen(struct tsn_dedup *dedup, uint64_t hash, tsn_event_ms time_ms,
                    tsn_event_ms newest_ms)
{
    if (dedup->window_ms == 0) {
        return false;
    }
    panes_expire(dedup, newest_ms);
    minute_find(dedup, time_ms);
    if (dedup->minute < dedup->kept_from) {
        return false;
    }
    table_room(dedup);
    if (table_has_or_takes(dedup, hash, dedup->minute_counted)) {
        return true;
    }
    pane_add(dedup, dedup->minute, hash);
    /* Over the cap the oldest pane goes; the last one stays, or nothing would be
     * remembered at all. */
    while (dedup->n > dedup->n_max && dedup->n_panes > 1) {
        pane_forget_first(dedup);
    }
    return false;
}

void tsn_dedup_load(struct tsn_dedup *dedup, int64_t minute, uint32_t page, const uint64_t *hashes,
                    size_t n)
{
    for (size_t i = 0; i < n; i++) {
        remember(dedup, hashes[i], minute);
    }
    if (n) {
        struct tsn_dedup_pane *pane = pane_of(dedup, minute);
        pane->loaded_pages = page >= pane->loaded_pages ? page + 1 : pane->loaded_pages;
    }
}

void tsn_dedup_cut_begin(struct tsn_dedup *dedup, bool whole, const struct tsn_dedup_taker *taker)
{
    dedup->taker = *taker;
    for (size_t g = 0; g < dedup->n_gone; g++) {
        for (uint32_t page = 0; page < dedup->gone[g].n_pages; page++) {
            taker->gone(taker->user, dedup->gone[g].minute, page);
        }
    }
    dedup->n_gone = 0;
    for (size_t p = 0; p < dedup->n_panes; p++) {
        struct tsn_dedup_pane *pane = &dedup->panes[p];
        TSN_MUST(pane->cut_at == pane->cut_end); /* one cut at a time */
        size_t given = whole ? 0 : pane->given;
        pane->cut_end = pane->n;
        pane->cut_at = given == pane->n ? pane->n : given / TSN_DEDUP_PAGE_IDS * TSN_DEDUP_PAGE_IDS;
    }
}

bool tsn_dedup_cut_step(struct tsn_dedup *dedup, int64_t *budget)
{
    for (size_t p = 0; p < dedup->n_panes; p++) {
        pane_give(dedup, &dedup->panes[p], budget);
        if (dedup->panes[p].cut_at < dedup->panes[p].cut_end) {
            return false;
        }
    }
    return true;
}

uint64_t tsn_dedup_bytes(const struct tsn_dedup *dedup)
{
    uint64_t bytes = (dedup->mask + 1) * sizeof *dedup->buckets;
    for (size_t p = 0; p < dedup->n_panes; p++) {
        bytes += dedup->panes[p].cap * sizeof(uint64_t);
    }
    return bytes;
}
