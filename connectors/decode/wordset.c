#include "connectors/decode/wordset.h"

#include <string.h>

enum { SEED_TRIES = 2000 };

struct ends {
    uint64_t head;
    uint64_t tail;
};

/* Up to 16 bytes these and the length are the whole text. */
static inline struct ends ends_of(const char *p, uint32_t len)
{
    struct ends ends = {0, 0};
    if (len >= 8) {
        memcpy(&ends.head, p, 8);
        memcpy(&ends.tail, p + len - 8, 8);
    } else if (len >= 4) {
        uint32_t a, b;
        memcpy(&a, p, 4);
        memcpy(&b, p + len - 4, 4);
        ends = (struct ends){a, b};
    } else if (len > 0) {
        ends.head = (unsigned char)p[0];
        ends.tail = (uint64_t)(unsigned char)p[len / 2] << 8 | (unsigned char)p[len - 1];
    }
    return ends;
}

static inline uint64_t hash_of(struct ends ends, uint32_t len, uint64_t seed)
{
    uint64_t h = (ends.head ^ seed) * UINT64_C(0x9e3779b97f4a7c15);
    h ^= h >> 29;
    h = (h ^ ends.tail ^ ((uint64_t)len << 56)) * UINT64_C(0xbf58476d1ce4e5b9);
    return h ^ h >> 32;
}

static bool seed_fits(struct tsn_wordset *set)
{
    memset(set->slots, 0, (set->mask + 1) * sizeof *set->slots);
    for (uint32_t i = 0; i < set->n; i++) {
        struct tsn_str name = set->names[i];
        struct ends ends = ends_of(name.p, name.len);
        uint32_t at = (uint32_t)hash_of(ends, name.len, set->seed) & set->mask;
        if (set->slots[at].index && !set->probes) {
            return false;
        }
        while (set->slots[at].index) {
            at = (at + 1) & set->mask;
        }
        set->slots[at] = (struct tsn_wordset_slot){ends.head, ends.tail, name.len, i + 1};
    }
    return true;
}

void tsn_wordset_make(struct tsn_wordset *set, const struct tsn_str *names, uint32_t n,
                      struct tsn_arena *arena)
{
    uint32_t n_slots = 4;
    while (n_slots < 4 * n) {
        n_slots *= 2;
    }
    *set = (struct tsn_wordset){.n = n, .mask = n_slots - 1, .names = names};
    set->slots = tsn_arena_alloc(arena, n_slots * sizeof *set->slots);
    for (uint64_t seed = 1; seed <= SEED_TRIES; seed++) {
        set->seed = seed;
        if (seed_fits(set)) {
            return;
        }
    }
    set->probes = true; /* many names, or some with equal ends: still right, a little slower */
    seed_fits(set);
}

int32_t tsn_wordset_find(const struct tsn_wordset *set, const char *p, uint32_t len)
{
    struct ends ends = ends_of(p, len);
    uint32_t at = (uint32_t)hash_of(ends, len, set->seed) & set->mask;
    const struct tsn_wordset_slot *slot;
    while ((slot = &set->slots[at])->index) {
        if (slot->head == ends.head && slot->tail == ends.tail && slot->len == len &&
            (len <= 16 || memcmp(set->names[slot->index - 1].p + 8, p + 8, len - 16) == 0)) {
            return (int32_t)slot->index - 1;
        }
        if (!set->probes) {
            return -1;
        }
        at = (at + 1) & set->mask;
    }
    return -1;
}
