#include "engine/entity/table.h"

#include <stdlib.h>
#include <string.h>

#include "engine/entity/pages.h"
#include "rules/must/must.h"

enum { SLOTS_FIRST = 1024 };

/* A mapping of its own: in malloc's heap a header may have touched the chunk's huge page
 * before it was asked for, and then small pages remain. */
enum { CHUNK_BYTES = TSN_TABLE_CHUNK * TSN_TABLE_RECORD_BYTES };

static struct tsn_table_slot *slots_new(uint64_t n)
{
    return tsn_pages_zalloc(n * sizeof(struct tsn_table_slot));
}

void tsn_table_init(struct tsn_table *table)
{
    memset(table, 0, sizeof *table);
    table->slots = slots_new(SLOTS_FIRST);
    table->mask = SLOTS_FIRST - 1;
}

void tsn_table_end(struct tsn_table *table)
{
    for (uint32_t i = 0; i < table->n_chunks; i++) {
        tsn_pages_unmap(table->chunks[i], CHUNK_BYTES);
    }
    free(table->chunks);
    free(table->slots);
    memset(table, 0, sizeof *table);
}

static void slot_put(struct tsn_table_slot *slots, uint64_t mask, struct tsn_key key,
                     uint32_t number)
{
    uint64_t i = key.lo & mask;
    while (slots[i].number) {
        i = (i + 1) & mask;
    }
    slots[i] = (struct tsn_table_slot){.tag = (uint32_t)key.hi, .number = number + 1};
}

/* In the order of records, which lie side by side: by slots, every key is a miss. */
static void grow(struct tsn_table *table, uint64_t n)
{
    struct tsn_table_slot *slots = slots_new(n);
    for (uint32_t number = 0; number < table->n_numbers; number++) {
        if (tsn_table_lives(table, number)) {
            const struct tsn_key *key = tsn_table_record(table, number);
            slot_put(slots, n - 1, *key, number);
        }
    }
    free(table->slots);
    table->slots = slots;
    table->mask = n - 1;
}

/* A free record keeps the number of the next one behind its zero key. */
static uint32_t *vacant_next(const struct tsn_table *table, uint32_t number)
{
    uint8_t *record = tsn_table_record(table, number);
    return (uint32_t *)(void *)(record + sizeof(struct tsn_key));
}

static uint32_t number_take(struct tsn_table *table)
{
    if (table->vacant) {
        uint32_t number = table->vacant - 1;
        table->vacant = *vacant_next(table, number);
        return number;
    }
    if (table->n_numbers == table->n_chunks * TSN_TABLE_CHUNK) {
        TSN_MUST(table->n_numbers < UINT32_MAX - TSN_TABLE_CHUNK);
        table->chunks = realloc(table->chunks, (table->n_chunks + 1) * sizeof *table->chunks);
        TSN_MUST_ALLOC(table->chunks);
        table->chunks[table->n_chunks] = tsn_pages_map(CHUNK_BYTES);
        table->n_chunks++;
    }
    return table->n_numbers++;
}

void tsn_table_reserve(struct tsn_table *table, uint64_t n)
{
    uint64_t slots = table->mask + 1;
    uint64_t records = n < UINT32_MAX / 2 ? table->n + n : 0;
    while (records * 4 > slots * 3) {
        slots *= 2;
    }
    if (slots > table->mask + 1) {
        grow(table, slots);
    }
}

void *tsn_table_add(struct tsn_table *table, struct tsn_key key, uint32_t *number)
{
    TSN_MUST(key.lo | key.hi);
    if (((uint64_t)table->n + 1) * 4 > (table->mask + 1) * 3) {
        grow(table, (table->mask + 1) * 2);
    }
    uint32_t at = number_take(table);
    void *record = tsn_table_record(table, at);
    memset(record, 0, TSN_TABLE_RECORD_BYTES);
    memcpy(record, &key, sizeof key);
    slot_put(table->slots, table->mask, key, at);
    table->n++;
    table->n_created++;
    *number = at;
    return record;
}

/* Moves later slots of the same run back over the hole, so that no probe meets a
 * gap: Knuth 6.4, algorithm R. */
static void slot_close(struct tsn_table *table, uint64_t hole)
{
    uint64_t mask = table->mask;
    for (uint64_t i = (hole + 1) & mask; table->slots[i].number; i = (i + 1) & mask) {
        const struct tsn_key *key = tsn_table_record(table, table->slots[i].number - 1);
        uint64_t home = key->lo & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            table->slots[hole] = table->slots[i];
            hole = i;
        }
    }
    table->slots[hole] = (struct tsn_table_slot){0};
}

void tsn_table_remove(struct tsn_table *table, struct tsn_key key)
{
    for (uint64_t i = key.lo & table->mask;; i = (i + 1) & table->mask) {
        struct tsn_table_slot slot = table->slots[i];
        TSN_MUST(slot.number);
        struct tsn_key *at = tsn_table_record(table, slot.number - 1);
        if (slot.tag != (uint32_t)key.hi || at->lo != key.lo || at->hi != key.hi) {
            continue;
        }
        slot_close(table, i);
        memset(at, 0, TSN_TABLE_RECORD_BYTES);
        *vacant_next(table, slot.number - 1) = table->vacant;
        table->vacant = slot.number;
        table->n--;
        return;
    }
}

size_t tsn_table_footprint(const struct tsn_table *table)
{
    return (table->mask + 1) * sizeof *table->slots +
           (size_t)table->n_chunks * TSN_TABLE_CHUNK * TSN_TABLE_RECORD_BYTES;
}
