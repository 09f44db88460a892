/* Pool: blocks of state, by size class, from 16 MiB chunks.
 *
 * State is millions of small blocks that live for hours and change size; malloc
 * spends 16 bytes on each and cannot say how much is in use. A pool knows both
 * and gives huge pages to the kernel's discretion. Blocks above 512 KiB come from
 * the system one by one. Callers keep the size of what they hold: a block has no header.
 * Not thread-safe; a pool belongs to one engine.
 */
#ifndef TSN_ENGINE_ENTITY_POOL_H
#define TSN_ENGINE_ENTITY_POOL_H

#include <stddef.h>
#include <stdint.h>

enum { TSN_POOL_CLASSES = 64 };

struct tsn_pool_block;

/* Blocks of one class that were never used. */
struct tsn_pool_slab {
    uint8_t *next;
    uint32_t n;
};

struct tsn_pool {
    struct tsn_pool_block *vacant[TSN_POOL_CLASSES];
    struct tsn_pool_slab slabs[TSN_POOL_CLASSES];
    struct tsn_pool_block *chunks;
    struct tsn_pool_block *reserve; /* chunks that were touched and nothing is in yet */
    uint8_t *next;                  /* unused rest of the newest chunk */
    size_t rest;
    uint64_t n_grown;    /* chunks and large blocks ever taken from the system */
    uint64_t used_bytes; /* in blocks that are out */
};

void tsn_pool_init(struct tsn_pool *pool);

/* Takes chunks for so many bytes from the system now and touches every page, so that the
 * blocks of these cost no page fault later. In a virtual machine whose host gives memory
 * at first touch, that costs 2 ns a byte. */
void tsn_pool_reserve(struct tsn_pool *pool, uint64_t bytes);

/* All blocks must have been given back, or be forgotten by their holders: blocks
 * up to 512 KiB vanish with the pool, larger ones are the holder's to free. */
void tsn_pool_end(struct tsn_pool *pool);

/* What a block of `bytes` really holds: sizes are rounded up to their class. */
size_t tsn_pool_size(size_t bytes);

/* A block of tsn_pool_size(bytes), aligned to 16, not zeroed, never NULL. O(1). */
void *tsn_pool_alloc(struct tsn_pool *pool, size_t bytes);

/* Gives a block back; `bytes` is what it was asked with, or its rounded size. */
void tsn_pool_free(struct tsn_pool *pool, void *block, size_t bytes);

#endif
