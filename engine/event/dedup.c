#include "engine/event/dedup.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL /* a dozen bytes: the call would cost more than the hash */
#include <xxhash.h>

#include "engine/entity/key.h"
#include "rules/must/must.h"

enum { MINUTE_MS = 60000, SLOTS_FIRST = 1024, SWEEP_SLOTS = 4 };

#define EMPTY INT64_MIN

static struct tsn_dedup_slot *slots_new(uint64_t n)
{
    struct tsn_dedup_slot *slots = malloc(n * sizeof *slots);
    TSN_MUST_ALLOC(slots);
    for (uint64_t i = 0; i < n; i++) {
        slots[i] = (struct tsn_dedup_slot){.minute = EMPTY};
    }
    return slots;
}

void tsn_dedup_init(struct tsn_dedup *dedup, tsn_duration_ms window_ms, uint64_t cap_bytes)
{
    *dedup = (struct tsn_dedup){.window_ms = window_ms, .kept_from = INT64_MIN + 1};
    dedup->n_max = cap_bytes / TSN_DEDUP_ID_BYTES;
    dedup->n_max += dedup->n_max == 0;
    dedup->slots = slots_new(SLOTS_FIRST);
    dedup->mask = SLOTS_FIRST - 1;
}

void tsn_dedup_free(struct tsn_dedup *dedup)
{
    for (size_t p = 0; p < dedup->n_panes; p++) {
        free(dedup->panes[p].hashes);
    }
    free(dedup->panes);
    free(dedup->gone);
    free(dedup->slots);
    *dedup = (struct tsn_dedup){0};
}

uint64_t tsn_dedup_hash(uint64_t type_seed, const struct tsn_column *ids, uint32_t row)
{
    uint64_t parts[2] = {type_seed, tsn_key_word(ids, row)};
    return XXH3_64bits(parts, sizeof parts);
}

static int64_t minute_of(tsn_event_ms time_ms)
{
    return time_ms / MINUTE_MS - (time_ms % MINUTE_MS < 0);
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
        dedup->kept_from = pane->minute + 1;
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
    if (newest_ms == INT64_MIN || __builtin_sub_overflow(newest_ms, dedup->window_ms, &from_ms)) {
        return;
    }
    int64_t minute = minute_of(from_ms);
    if (minute > dedup->kept_from) {
        dedup->kept_from = minute;
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

static void pane_add(struct tsn_dedup *dedup, int64_t minute, uint64_t hash)
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

/* ---- table ------------------------------------------------------------------------ */

static void slot_put(struct tsn_dedup_slot *slots, uint64_t mask, struct tsn_dedup_slot slot)
{
    uint64_t i = slot.hash & mask;
    while (slots[i].minute != EMPTY) {
        i = (i + 1) & mask;
    }
    slots[i] = slot;
}

static void table_rebuild(struct tsn_dedup *dedup)
{
    uint64_t n_slots = dedup->mask + 1;
    while (n_slots < (dedup->n + 1) * 2) {
        n_slots *= 2;
    }
    struct tsn_dedup_slot *slots = slots_new(n_slots);
    for (size_t p = 0; p < dedup->n_panes; p++) {
        for (size_t i = 0; i < dedup->panes[p].n; i++) {
            slot_put(slots, n_slots - 1,
                     (struct tsn_dedup_slot){.hash = dedup->panes[p].hashes[i],
                                             .minute = dedup->panes[p].minute});
        }
    }
    free(dedup->slots);
    dedup->slots = slots;
    dedup->mask = n_slots - 1;
    dedup->n_used = dedup->n;
}

static void slot_close(struct tsn_dedup *dedup, uint64_t hole)
{
    uint64_t mask = dedup->mask;
    struct tsn_dedup_slot *slots = dedup->slots;
    for (uint64_t i = (hole + 1) & mask; slots[i].minute != EMPTY; i = (i + 1) & mask) {
        if (((i - slots[i].hash) & mask) >= ((i - hole) & mask)) {
            slots[hole] = slots[i];
            hole = i;
        }
    }
    slots[hole].minute = EMPTY;
    dedup->n_used--;
}

static void table_sweep(struct tsn_dedup *dedup)
{
    for (int i = 0; i < SWEEP_SLOTS; i++) {
        const struct tsn_dedup_slot *slot = &dedup->slots[dedup->sweep_at & dedup->mask];
        if (slot->minute != EMPTY && slot->minute < dedup->kept_from) {
            slot_close(dedup, dedup->sweep_at & dedup->mask);
        } else {
            dedup->sweep_at++;
        }
    }
}

static void table_room(struct tsn_dedup *dedup)
{
    if ((dedup->n_used + 1) * 8 > (dedup->mask + 1) * 5) {
        table_rebuild(dedup);
    }
}

/* Is the hash there? If not, it is put into the first slot that is forgotten or empty:
 * one look at the table for both. */
static bool table_has_or_takes(struct tsn_dedup *dedup, uint64_t hash, int64_t minute)
{
    struct tsn_dedup_slot *slots = dedup->slots;
    struct tsn_dedup_slot *forgotten = NULL;
    uint64_t i = hash & dedup->mask;
    for (; slots[i].minute != EMPTY; i = (i + 1) & dedup->mask) {
        if (slots[i].minute < dedup->kept_from) {
            forgotten = forgotten ? forgotten : &slots[i];
        } else if (slots[i].hash == hash) {
            return true;
        }
    }
    dedup->n_used += !forgotten;
    *(forgotten ? forgotten : &slots[i]) = (struct tsn_dedup_slot){.hash = hash, .minute = minute};
    return false;
}

static void remember(struct tsn_dedup *dedup, uint64_t hash, int64_t minute)
{
    table_room(dedup);
    slot_put(dedup->slots, dedup->mask, (struct tsn_dedup_slot){.hash = hash, .minute = minute});
    dedup->n_used++;
    pane_add(dedup, minute, hash);
}

bool tsn_dedup_seen(struct tsn_dedup *dedup, uint64_t hash, tsn_event_ms time_ms,
                    tsn_event_ms newest_ms)
{
    if (dedup->window_ms == 0) {
        return false;
    }
    panes_expire(dedup, newest_ms);
    int64_t minute = minute_of(time_ms);
    if (minute < dedup->kept_from) {
        return false;
    }
    table_room(dedup);
    if (table_has_or_takes(dedup, hash, minute)) {
        return true;
    }
    pane_add(dedup, minute, hash);
    table_sweep(dedup);
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
    uint64_t bytes = (dedup->mask + 1) * sizeof *dedup->slots;
    for (size_t p = 0; p < dedup->n_panes; p++) {
        bytes += dedup->panes[p].cap * sizeof(uint64_t);
    }
    return bytes;
}
