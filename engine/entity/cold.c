#include "engine/entity/cold.h"

#include <stdlib.h>
#include <string.h>

#include "rules/must/must.h"

enum { SLOTS_FIRST = 1024, MINUTE_MS = 60000 };

static bool is_empty(struct tsn_key key)
{
    return (key.lo | key.hi) == 0;
}

static bool equal(struct tsn_key a, struct tsn_key b)
{
    return a.lo == b.lo && a.hi == b.hi;
}

/* Where the key stands, or the empty slot where it would. */
static uint64_t slot_of(const struct tsn_cold *cold, struct tsn_key key)
{
    uint64_t mask = cold->n_slots - 1;
    uint64_t i = key.lo & mask;
    while (!is_empty(cold->keys[i]) && !equal(cold->keys[i], key)) {
        i = (i + 1) & mask;
    }
    return i;
}

static void slots_new(struct tsn_cold *cold, uint64_t n_slots)
{
    cold->n_slots = n_slots;
    cold->keys = calloc(n_slots, sizeof *cold->keys);
    cold->minutes = calloc(n_slots, sizeof *cold->minutes);
    TSN_MUST_ALLOC(cold->keys);
    TSN_MUST_ALLOC(cold->minutes);
}

static void grow(struct tsn_cold *cold)
{
    struct tsn_cold old = *cold;
    slots_new(cold, old.n_slots ? old.n_slots * 2 : SLOTS_FIRST);
    for (uint64_t i = 0; i < old.n_slots; i++) {
        if (!is_empty(old.keys[i])) {
            uint64_t to = slot_of(cold, old.keys[i]);
            cold->keys[to] = old.keys[i];
            cold->minutes[to] = old.minutes[i];
        }
    }
    cold->hand = 0;
    free(old.keys);
    free(old.minutes);
}

void tsn_cold_free(struct tsn_cold *cold)
{
    free(cold->keys);
    free(cold->minutes);
    *cold = (struct tsn_cold){0};
}

/* The first minute that lies wholly behind expires_ms. */
static int32_t minute_from(int64_t expires_ms)
{
    int64_t minute = expires_ms / MINUTE_MS + (expires_ms % MINUTE_MS > 0);
    return minute > INT32_MAX ? INT32_MAX : minute < INT32_MIN ? INT32_MIN : (int32_t)minute;
}

static int64_t minute_at(int64_t newest_ms)
{
    return newest_ms / MINUTE_MS - (newest_ms % MINUTE_MS < 0);
}

void tsn_cold_add(struct tsn_cold *cold, struct tsn_key key, int64_t expires_ms)
{
    if ((cold->n + 1) * 4 > cold->n_slots * 3) {
        grow(cold);
    }
    uint64_t i = slot_of(cold, key);
    TSN_MUST(is_empty(cold->keys[i]) && !is_empty(key));
    cold->keys[i] = key;
    cold->minutes[i] = minute_from(expires_ms);
    cold->n++;
}

bool tsn_cold_has(const struct tsn_cold *cold, struct tsn_key key)
{
    return cold->n > 0 && !is_empty(cold->keys[slot_of(cold, key)]);
}

/* Knuth 6.4, algorithm R. */
static void slot_close(struct tsn_cold *cold, uint64_t hole)
{
    uint64_t mask = cold->n_slots - 1;
    for (uint64_t i = (hole + 1) & mask; !is_empty(cold->keys[i]); i = (i + 1) & mask) {
        uint64_t home = cold->keys[i].lo & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            cold->keys[hole] = cold->keys[i];
            cold->minutes[hole] = cold->minutes[i];
            hole = i;
        }
    }
    cold->keys[hole] = (struct tsn_key){0};
    cold->n--;
}

bool tsn_cold_remove(struct tsn_cold *cold, struct tsn_key key)
{
    if (!tsn_cold_has(cold, key)) {
        return false;
    }
    slot_close(cold, slot_of(cold, key));
    return true;
}

bool tsn_cold_expire(struct tsn_cold *cold, int64_t newest_ms, uint64_t *n_slots,
                     struct tsn_key *key)
{
    int64_t minute = minute_at(newest_ms);
    for (; cold->n && *n_slots; --*n_slots) {
        uint64_t i = cold->hand & (cold->n_slots - 1);
        if (!is_empty(cold->keys[i]) && cold->minutes[i] != INT32_MAX &&
            cold->minutes[i] <= minute) {
            *key = cold->keys[i];
            slot_close(cold, i); /* the hand stays: another may stand here now */
            return true;
        }
        cold->hand = i + 1;
    }
    return false;
}

size_t tsn_cold_some(const struct tsn_cold *cold, struct tsn_key *keys, size_t n)
{
    size_t got = 0;
    for (uint64_t i = 0; i < cold->n_slots && got < n && got < cold->n; i++) {
        if (!is_empty(cold->keys[i])) {
            keys[got++] = cold->keys[i];
        }
    }
    return got;
}
