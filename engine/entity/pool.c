#include "engine/entity/pool.h"

#include <stdlib.h>
#include <string.h>

#include "engine/entity/pages.h"
#include "rules/must/must.h"

struct tsn_pool_block {
    struct tsn_pool_block *next;
};

enum {
    FINE_BYTES = 256,         /* below: classes of 16 bytes */
    LARGE_BYTES = 512 * 1024, /* above: from the system, each by itself */
    CHUNK_BYTES = 16 * 1024 * 1024,
    SLAB_BYTES = 128 * 1024,
    SLAB_BLOCK_MAX = 4096, /* larger ones fill pages of their own */
};

/* Under AddressSanitizer every block is its own allocation, so that a use after
 * free or an overrun is seen. */
#if defined(__SANITIZE_ADDRESS__)
#define POOL_EVERY_BLOCK_ALONE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_EVERY_BLOCK_ALONE 1
#endif
#endif
#ifndef POOL_EVERY_BLOCK_ALONE
#define POOL_EVERY_BLOCK_ALONE 0
#endif

void tsn_pool_init(struct tsn_pool *pool)
{
    memset(pool, 0, sizeof *pool);
}

static void chunks_free(struct tsn_pool_block *chunk)
{
    while (chunk) {
        struct tsn_pool_block *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void tsn_pool_end(struct tsn_pool *pool)
{
    chunks_free(pool->chunks);
    chunks_free(pool->reserve);
    memset(pool, 0, sizeof *pool);
}

/* 16-byte steps up to 256, then four steps an octave: 320 384 448 512 640 ... */
static unsigned class_of(size_t bytes, size_t *rounded)
{
    if (bytes <= FINE_BYTES) {
        unsigned step = bytes ? (unsigned)((bytes + 15) / 16) : 1;
        *rounded = (size_t)step * 16;
        return step - 1;
    }
    unsigned octave = 63 - (unsigned)__builtin_clzll((unsigned long long)(bytes - 1));
    size_t quarter = (size_t)1 << (octave - 2);
    size_t steps = (bytes - ((size_t)1 << octave) + quarter - 1) / quarter;
    *rounded = ((size_t)1 << octave) + steps * quarter;
    return FINE_BYTES / 16 + (octave - 8) * 4 + (unsigned)steps - 1;
}

size_t tsn_pool_size(size_t bytes)
{
    size_t rounded = 0;
    if (bytes > LARGE_BYTES) {
        return (bytes + 4095) & ~(size_t)4095;
    }
    class_of(bytes, &rounded);
    return rounded;
}

void tsn_pool_reserve(struct tsn_pool *pool, uint64_t bytes)
{
    enum { PAGE = 4096 };
    for (uint64_t at = 0; at < bytes; at += CHUNK_BYTES) {
        struct tsn_pool_block *chunk = tsn_pages_alloc(CHUNK_BYTES);
        for (size_t page = 0; page < CHUNK_BYTES; page += PAGE) {
            ((volatile uint8_t *)chunk)[page] = 0;
        }
        chunk->next = pool->reserve;
        pool->reserve = chunk;
        pool->n_grown++;
    }
}

static void *carve(struct tsn_pool *pool, size_t bytes)
{
    if (pool->rest < bytes) {
        /* The rest of the old chunk is lost: at most 512 KiB in 16 MiB. */
        struct tsn_pool_block *chunk = pool->reserve;
        if (chunk) {
            pool->reserve = chunk->next;
        } else {
            chunk = tsn_pages_alloc(CHUNK_BYTES);
            pool->n_grown++;
        }
        chunk->next = pool->chunks;
        pool->chunks = chunk;
        pool->next = (uint8_t *)chunk + 64;
        pool->rest = CHUNK_BYTES - 64;
    }
    void *block = pool->next;
    pool->next += bytes;
    pool->rest -= bytes;
    return block;
}

/* Blocks of a class lie side by side, from lines of their own: the totals of busy entities
 * then share pages, and the larger ones begin with a cache line. */
static void *carve_slab(struct tsn_pool *pool, unsigned class, size_t bytes)
{
    struct tsn_pool_slab *slab = &pool->slabs[class];
    if (slab->n == 0) {
        slab->n = (uint32_t)(SLAB_BYTES / bytes);
        slab->next = carve(pool, SLAB_BYTES);
    }
    void *block = slab->next;
    slab->next += bytes;
    slab->n--;
    return block;
}

void *tsn_pool_alloc(struct tsn_pool *pool, size_t bytes)
{
    size_t rounded = tsn_pool_size(bytes);
    pool->used_bytes += rounded;
    if (rounded > LARGE_BYTES || POOL_EVERY_BLOCK_ALONE) {
        void *large = POOL_EVERY_BLOCK_ALONE ? malloc(rounded) : tsn_pages_alloc(rounded);
        TSN_MUST_ALLOC(large);
        pool->n_grown++;
        return large;
    }
    unsigned class = class_of(bytes, &rounded);
    TSN_MUST(class < TSN_POOL_CLASSES);
    struct tsn_pool_block *block = pool->vacant[class];
    if (block) {
        pool->vacant[class] = block->next;
        return block;
    }
    return rounded <= SLAB_BLOCK_MAX ? carve_slab(pool, class, rounded) : carve(pool, rounded);
}

void tsn_pool_free(struct tsn_pool *pool, void *block, size_t bytes)
{
    if (!block) {
        return;
    }
    size_t rounded = tsn_pool_size(bytes);
    TSN_MUST(pool->used_bytes >= rounded);
    pool->used_bytes -= rounded;
    if (rounded > LARGE_BYTES || POOL_EVERY_BLOCK_ALONE) {
        free(block);
        return;
    }
    unsigned class = class_of(bytes, &rounded);
    struct tsn_pool_block *vacant = block;
    vacant->next = pool->vacant[class];
    pool->vacant[class] = vacant;
}
