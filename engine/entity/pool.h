/* Pool: blocks of state, by size class, from slabs that go from class to class.
 *
 * State is millions of small blocks that live for hours and change size; malloc
 * spends 16 bytes on each and cannot say how much is in use. A pool knows both
 * and gives huge pages to the kernel's discretion. Callers keep the size of what they
 * hold: a block has no header.
 *
 * Logs grow through the classes, all of them. So blocks of a class lie in slabs of
 * 128 KiB (larger ones in up to five side by side), and a slab whose blocks have all
 * come back is any class's again; the lowest is taken first, so that the highest chunks
 * of slabs empty and are returned to the system. What is known of a slab stands beside
 * the others', not in it: a block that comes back costs a line of a small table; and a few
 * of each class are kept at hand, for which not even that is looked at.
 * Blocks above 512 KiB come from the system one by one.
 * Not thread-safe; a pool belongs to one engine.
 */
#ifndef TSN_ENGINE_ENTITY_POOL_H
#define TSN_ENGINE_ENTITY_POOL_H

#include <stddef.h>
#include <stdint.h>

enum {
    TSN_POOL_CLASSES = 60,
    TSN_POOL_LARGE = 512 * 1024, /* above: from the system, each by itself */
};

union tsn_pool_vacant;
struct tsn_pool_slab;
struct tsn_pool_chunk;

struct tsn_pool_class {
    union tsn_pool_vacant *hand; /* the first few that came back, last one first */
    uint64_t n_out;              /* blocks that somebody has */
    uint32_t open; /* number + 1 of a slab of it with room, the first of a list; 0: none */
    uint32_t n_hand;
    uint16_t n;    /* blocks in a slab */
    uint16_t span; /* slabs side by side that are as one */
};

struct tsn_pool {
    struct tsn_pool_class classes[TSN_POOL_CLASSES];
    struct tsn_pool_slab *slabs;   /* 64 a chunk */
    struct tsn_pool_chunk *chunks; /* [n_chunks], in the order of their first use */
    uint32_t n_chunks, chunks_cap;
    uint32_t *chunk_at;    /* [n_places] number of the chunk at an address / 8 MiB */
    uintptr_t first_place; /* the address / 8 MiB of chunk_at[0] */
    size_t n_places;
    uint32_t n_returned;  /* chunks that the system has again */
    uint32_t n_reserved;  /* chunks that stay whatever is free */
    uint32_t lowest;      /* no chunk before it has a free slab */
    uint32_t n_free;      /* slabs that no class has */
    uint32_t n_taken;     /* slabs that classes have */
    size_t alone_above;   /* larger blocks are alone: TSN_POOL_LARGE; 0 under AddressSanitizer */
    uint64_t n_grown;     /* chunks and large blocks ever taken from the system */
    uint64_t used_bytes;  /* in blocks that are out */
    uint64_t alone_bytes; /* ... of them in blocks that are alone */
};

void tsn_pool_init(struct tsn_pool *pool);

/* Takes chunks for so many bytes from the system now, for good, and touches every page, so
 * that the blocks of these cost no page fault later. In a virtual machine whose host gives
 * memory at first touch, that costs 2 ns a byte. */
void tsn_pool_reserve(struct tsn_pool *pool, uint64_t bytes);

/* All blocks must have been given back, or be forgotten by their holders: blocks
 * up to 512 KiB vanish with the pool, larger ones are the holder's to free. */
void tsn_pool_end(struct tsn_pool *pool);

/* What a block of `bytes` really holds: sizes are rounded up to their class. */
size_t tsn_pool_size(size_t bytes);

/* A block of tsn_pool_size(bytes), aligned to 16, not zeroed, never NULL. O(1). */
void *tsn_pool_alloc(struct tsn_pool *pool, size_t bytes);

/* Gives a block back; `bytes` is what it was asked with, or its rounded size. O(1). */
void tsn_pool_free(struct tsn_pool *pool, void *block, size_t bytes);

/* Bytes that blocks keep from others: whole slabs, and large blocks. */
uint64_t tsn_pool_held(const struct tsn_pool *pool);

/* Bytes taken from the system: held, or free to be held. */
uint64_t tsn_pool_mapped(const struct tsn_pool *pool);

#endif
