/* Table: 64-byte records by a 128-bit key, for entities and for pair entries.
 *
 * A slot is 8 bytes: 32 bits of the key and the record's number; the whole key
 * stands in the record, which the caller is about to read anyway. At a million
 * records the slots are 16 MB instead of 48, so a look-up costs one miss for the
 * slot and one for the record, and both can be prefetched (table_prefetch, then
 * table_peek). Linear probing, at most 3/4 full, removal by shifting back.
 * Records never move; their memory is given back with the table.
 *
 * Two keys that share all 128 bits are one record: for 10^9 keys that happens
 * with probability 10^-21, see docs/decisions.
 */
#ifndef TSN_ENGINE_ENTITY_TABLE_H
#define TSN_ENGINE_ENTITY_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/entity/ask.h"

struct tsn_key {
    uint64_t lo;
    uint64_t hi;
};

enum { TSN_TABLE_RECORD_BYTES = 64, TSN_TABLE_CHUNK = 32768 };

struct tsn_table_slot {
    uint32_t tag;
    uint32_t number; /* of the record + 1; 0: empty */
};

struct tsn_table {
    struct tsn_table_slot *slots;
    uint64_t mask;
    uint32_t n;         /* records in the table */
    uint32_t n_numbers; /* records ever handed out: numbers below this exist */
    uint32_t vacant;    /* first of the chain of free records + 1 */
    uint32_t n_chunks;
    uint8_t **chunks;   /* of TSN_TABLE_CHUNK records */
    uint64_t n_created; /* grows with every new record */
};

void tsn_table_init(struct tsn_table *table);
void tsn_table_end(struct tsn_table *table);

static inline void *tsn_table_record(const struct tsn_table *table, uint32_t number)
{
    return table->chunks[number / TSN_TABLE_CHUNK] +
           (size_t)(number % TSN_TABLE_CHUNK) * TSN_TABLE_RECORD_BYTES;
}

/* Is there a record under this number? A free one has a zero key. */
static inline bool tsn_table_lives(const struct tsn_table *table, uint32_t number)
{
    const struct tsn_key *key = tsn_table_record(table, number);
    return key->lo | key->hi;
}

static inline void tsn_table_prefetch(const struct tsn_table *table, struct tsn_key key)
{
    tsn_ask(&table->slots[key.lo & table->mask]);
}

/* The record whose slot carries the key's tag, unread: to prefetch, not to trust. */
static inline void *tsn_table_peek(const struct tsn_table *table, struct tsn_key key)
{
    for (uint64_t i = key.lo & table->mask;; i = (i + 1) & table->mask) {
        struct tsn_table_slot slot = table->slots[i];
        if (slot.number == 0) {
            return NULL;
        }
        if (slot.tag == (uint32_t)key.hi) {
            return tsn_table_record(table, slot.number - 1);
        }
    }
}

/* NULL if there is none. The key is never zero. */
static inline void *tsn_table_find(const struct tsn_table *table, struct tsn_key key)
{
    for (uint64_t i = key.lo & table->mask;; i = (i + 1) & table->mask) {
        struct tsn_table_slot slot = table->slots[i];
        if (slot.number == 0) {
            return NULL;
        }
        if (slot.tag == (uint32_t)key.hi) {
            const struct tsn_key *at = tsn_table_record(table, slot.number - 1);
            if (at->lo == key.lo && at->hi == key.hi) {
                return tsn_table_record(table, slot.number - 1);
            }
        }
    }
}

/* The number of the key's record; UINT32_MAX: there is none. */
static inline uint32_t tsn_table_number(const struct tsn_table *table, struct tsn_key key)
{
    for (uint64_t i = key.lo & table->mask;; i = (i + 1) & table->mask) {
        struct tsn_table_slot slot = table->slots[i];
        if (slot.number == 0) {
            return UINT32_MAX;
        }
        if (slot.tag == (uint32_t)key.hi) {
            const struct tsn_key *at = tsn_table_record(table, slot.number - 1);
            if (at->lo == key.lo && at->hi == key.hi) {
                return slot.number - 1;
            }
        }
    }
}

/* Room for about so many records more, so that the slots grow once. A hint: what does
 * not come costs memory until the end. */
void tsn_table_reserve(struct tsn_table *table, uint64_t n);

/* A new zeroed record with this key, which must not be there yet. */
void *tsn_table_add(struct tsn_table *table, struct tsn_key key, uint32_t *number);

/* Takes the record out and frees it; what it points to is the caller's. */
void tsn_table_remove(struct tsn_table *table, struct tsn_key key);

/* Bytes taken from the system for slots and records. */
size_t tsn_table_footprint(const struct tsn_table *table);

#endif
