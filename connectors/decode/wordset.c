#include "connectors/decode/wordset.h"

#include <string.h>

enum { SEED_TRIES = 2000 };

/* First and last eight bytes (overlapping in short names) and the length: names of
 * one record that agree in all three are told apart by the comparison. */
static inline uint64_t hash_of(const char *p, uint32_t len, uint64_t seed)
{
    uint64_t head = 0, tail = 0;
    if (len >= 8) {
        memcpy(&head, p, 8);
        memcpy(&tail, p + len - 8, 8);
    } else if (len >= 4) {
        uint32_t a, b;
        memcpy(&a, p, 4);
        memcpy(&b, p + len - 4, 4);
        head = a;
        tail = b;
    } else if (len > 0) {
        head = (unsigned char)p[0];
        tail = (uint64_t)(unsigned char)p[len / 2] << 8 | (unsigned char)p[len - 1];
    }
    uint64_t h = (head ^ seed) * UINT64_C(0x9e3779b97f4a7c15);
    h ^= h >> 29;
    h = (h ^ tail ^ ((uint64_t)len << 56)) * UINT64_C(0xbf58476d1ce4e5b9);
    return h ^ h >> 32;
}

static bool seed_fits(struct tsn_wordset *set)
{
    memset(set->slots, 0, (set->mask + 1) * sizeof *set->slots);
    for (uint32_t i = 0; i < set->n; i++) {
        uint32_t at = (uint32_t)hash_of(set->names[i].p, set->names[i].len, set->seed) & set->mask;
        if (set->slots[at] && !set->probes) {
            return false;
        }
        while (set->slots[at]) {
            at = (at + 1) & set->mask;
        }
        set->slots[at] = i + 1;
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
    uint32_t at = (uint32_t)hash_of(p, len, set->seed) & set->mask;
    while (set->slots[at]) {
        uint32_t i = set->slots[at] - 1;
        if (set->names[i].len == len && memcmp(set->names[i].p, p, len) == 0) {
            return (int32_t)i;
        }
        if (!set->probes) {
            return -1;
        }
        at = (at + 1) & set->mask;
    }
    return -1;
}
