#include "engine/entity/pool.h"

#include <stdlib.h>
#include <string.h>

#include "engine/entity/pages.h"
#include "rules/must/must.h"

enum {
    UNIT = 16,        /* of places in a slab */
    FINE_BYTES = 256, /* up to there: classes of 16 bytes */
    FINE_CLASSES = FINE_BYTES / UNIT,
    SLAB_SHIFT = 17,
    SLAB_BYTES = 1 << SLAB_SHIFT,
    CHUNK_SLABS = 64, /* bits of tsn_pool_chunk.free */
    CHUNK_SHIFT = SLAB_SHIFT + 6,
    CHUNK_BYTES = 1 << CHUNK_SHIFT,
    HAND_MAX = 8,   /* blocks of a class at hand */
    LOST_PART = 8,  /* of a span: more may not be lost behind its last block */
    SPARE_PART = 8, /* of the slabs in use: so many free ones stay, for what comes next */
};

struct tsn_pool_slab {
    uint32_t next, before; /* of the slabs of its class with room: numbers + 1; 0: none */
    uint16_t vacant;       /* place + 1 of the block that came back last; 0: none */
    uint16_t n_out;        /* blocks */
    uint16_t n_begun;      /* blocks that were ever out; those behind them are vacant too */
    uint8_t class;
    uint8_t back; /* so many slabs before this one its span begins */
};
_Static_assert(sizeof(struct tsn_pool_slab) == 16, "four a cache line");

struct tsn_pool_chunk {
    uint8_t *base; /* NULL: the system has it again */
    uint64_t free; /* a bit a slab */
};

/* What stands in a block that came back. */
union tsn_pool_vacant {
    uint16_t next;                 /* as tsn_pool_slab.vacant */
    union tsn_pool_vacant *handed; /* as tsn_pool_class.hand, which counts as out of its slab */
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

/* ---- classes ----------------------------------------------------------------------- */

/* 16-byte steps up to 256, then four steps an octave: 320 384 448 512 640 ... */
static inline unsigned class_of(size_t bytes, size_t *rounded)
{
    if (bytes <= FINE_BYTES) {
        unsigned step = bytes ? (unsigned)((bytes + UNIT - 1) / UNIT) : 1;
        *rounded = (size_t)step * UNIT;
        return step - 1;
    }
    unsigned octave = 63 - (unsigned)__builtin_clzll((unsigned long long)(bytes - 1));
    size_t quarter = (size_t)1 << (octave - 2);
    size_t steps = (bytes - ((size_t)1 << octave) + quarter - 1) / quarter;
    *rounded = ((size_t)1 << octave) + steps * quarter;
    return FINE_CLASSES + (octave - 8) * 4 + (unsigned)steps - 1;
}

static size_t class_bytes(unsigned number)
{
    if (number < FINE_CLASSES) {
        return (size_t)(number + 1) * UNIT;
    }
    unsigned step = number - FINE_CLASSES;
    return (size_t)(5 + step % 4) << (step / 4 + 6);
}

size_t tsn_pool_size(size_t bytes)
{
    size_t rounded = 0;
    if (bytes > TSN_POOL_LARGE) {
        return (bytes + 4095) & ~(size_t)4095;
    }
    class_of(bytes, &rounded);
    return rounded;
}

void tsn_pool_init(struct tsn_pool *pool)
{
    memset(pool, 0, sizeof *pool);
    pool->alone_above = POOL_EVERY_BLOCK_ALONE ? 0 : TSN_POOL_LARGE;
    for (unsigned number = 0; number < TSN_POOL_CLASSES; number++) {
        size_t bytes = class_bytes(number);
        size_t span = SLAB_BYTES;
        while (span < bytes || span % bytes * LOST_PART > span) {
            span += SLAB_BYTES;
        }
        TSN_MUST(span / UNIT < UINT16_MAX);
        pool->classes[number].n = (uint16_t)(span / bytes);
        pool->classes[number].span = (uint16_t)(span / SLAB_BYTES);
    }
}

/* ---- chunks ------------------------------------------------------------------------ */

/* Room for a chunk's number at its address, with some more on that side: chunks follow
 * each other, mostly downwards. */
static void place_room(struct tsn_pool *pool, uintptr_t place)
{
    uintptr_t first = pool->first_place;
    uintptr_t end = first + pool->n_places;
    if (place >= first && place < end) {
        return;
    }
    uintptr_t more = CHUNK_SLABS + pool->n_places / 2;
    uintptr_t to = !pool->n_places || place >= end ? place + more : end;
    uintptr_t from = !pool->n_places || place < first ? (place > more ? place - more : 0) : first;
    uint32_t *numbers = calloc(to - from, sizeof *numbers);
    TSN_MUST_ALLOC(numbers);
    if (pool->n_places) {
        memcpy(numbers + (first - from), pool->chunk_at, pool->n_places * sizeof *numbers);
    }
    free(pool->chunk_at);
    pool->chunk_at = numbers;
    pool->first_place = from;
    pool->n_places = to - from;
}

/* A number for one more chunk, of one that was returned if there is one. */
static uint32_t number_take(struct tsn_pool *pool)
{
    if (pool->n_returned) {
        uint32_t number = 0;
        while (pool->chunks[number].base) {
            number++;
        }
        pool->n_returned--;
        return number;
    }
    if (pool->n_chunks == pool->chunks_cap) {
        uint32_t cap = pool->chunks_cap ? pool->chunks_cap * 2 : 16;
        TSN_MUST(cap < UINT32_MAX / CHUNK_SLABS);
        pool->chunks = realloc(pool->chunks, cap * sizeof *pool->chunks);
        pool->slabs = realloc(pool->slabs, (size_t)cap * CHUNK_SLABS * sizeof *pool->slabs);
        TSN_MUST_ALLOC(pool->chunks);
        TSN_MUST_ALLOC(pool->slabs);
        pool->chunks_cap = cap;
    }
    return pool->n_chunks++;
}

static struct tsn_pool_chunk *chunk_new(struct tsn_pool *pool)
{
    uint32_t number = number_take(pool);
    uint8_t *base = tsn_pages_map(CHUNK_BYTES);
    uintptr_t place = (uintptr_t)base >> CHUNK_SHIFT;
    place_room(pool, place);
    pool->chunk_at[place - pool->first_place] = number;
    pool->chunks[number] = (struct tsn_pool_chunk){.base = base, .free = UINT64_MAX};
    pool->n_free += CHUNK_SLABS;
    pool->lowest = number < pool->lowest ? number : pool->lowest;
    pool->n_grown++;
    return &pool->chunks[number];
}

/* An empty chunk goes back if enough slabs stay free; it comes again only when all of
 * them are in use, so a state that breathes does not pay for it at each breath. */
static void chunk_return(struct tsn_pool *pool, struct tsn_pool_chunk *chunk)
{
    if (pool->n_chunks - pool->n_returned > pool->n_reserved &&
        pool->n_free > 2 * CHUNK_SLABS + pool->n_taken / SPARE_PART) {
        tsn_pages_unmap(chunk->base, CHUNK_BYTES);
        *chunk = (struct tsn_pool_chunk){0};
        pool->n_free -= CHUNK_SLABS;
        pool->n_returned++;
    }
}

void tsn_pool_reserve(struct tsn_pool *pool, uint64_t bytes)
{
    enum { PAGE = 4096 };
    for (uint64_t at = 0; at < bytes; at += CHUNK_BYTES) {
        volatile uint8_t *base = chunk_new(pool)->base;
        for (size_t page = 0; page < CHUNK_BYTES; page += PAGE) {
            base[page] = 0;
        }
        pool->n_reserved++;
    }
}

void tsn_pool_end(struct tsn_pool *pool)
{
    for (uint32_t i = 0; i < pool->n_chunks; i++) {
        if (pool->chunks[i].base) {
            tsn_pages_unmap(pool->chunks[i].base, CHUNK_BYTES);
        }
    }
    free(pool->chunks);
    free(pool->slabs);
    free(pool->chunk_at);
    memset(pool, 0, sizeof *pool);
}

/* ---- slabs ------------------------------------------------------------------------- */

static uint64_t slab_bits(unsigned span)
{
    return (UINT64_C(1) << span) - 1;
}

/* The chunk's first slab of so many free ones side by side; CHUNK_SLABS: it has none. */
static unsigned free_run(const struct tsn_pool_chunk *chunk, unsigned span)
{
    uint64_t begins = chunk->free;
    for (unsigned i = 1; i < span; i++) {
        begins &= chunk->free >> i;
    }
    return begins ? (unsigned)__builtin_ctzll(begins) : CHUNK_SLABS;
}

/* The first chunk with such a run. O(chunks before it with a free slab). */
static struct tsn_pool_chunk *chunk_with(struct tsn_pool *pool, unsigned span)
{
    while (pool->lowest < pool->n_chunks && pool->chunks[pool->lowest].free == 0) {
        pool->lowest++;
    }
    for (uint32_t i = pool->lowest; i < pool->n_chunks; i++) {
        if (free_run(&pool->chunks[i], span) < CHUNK_SLABS) {
            return &pool->chunks[i];
        }
    }
    return chunk_new(pool);
}

static void list_put(struct tsn_pool *pool, struct tsn_pool_class *class, uint32_t number)
{
    struct tsn_pool_slab *slab = &pool->slabs[number];
    slab->next = class->open;
    slab->before = 0;
    if (slab->next) {
        pool->slabs[slab->next - 1].before = number + 1;
    }
    class->open = number + 1;
}

static void list_cut(struct tsn_pool *pool, struct tsn_pool_class *class,
                     const struct tsn_pool_slab *slab)
{
    if (slab->next) {
        pool->slabs[slab->next - 1].before = slab->before;
    }
    if (slab->before) {
        pool->slabs[slab->before - 1].next = slab->next;
    } else {
        class->open = slab->next;
    }
}

static void slab_take(struct tsn_pool *pool, unsigned number)
{
    struct tsn_pool_class *class = &pool->classes[number];
    struct tsn_pool_chunk *chunk = chunk_with(pool, class->span);
    unsigned first = free_run(chunk, class->span);
    chunk->free &= ~(slab_bits(class->span) << first);
    pool->n_free -= class->span;
    pool->n_taken += class->span;
    uint32_t at = (uint32_t)(chunk - pool->chunks) * CHUNK_SLABS + first;
    for (unsigned i = 0; i < class->span; i++) {
        pool->slabs[at + i] = (struct tsn_pool_slab){.class = (uint8_t)number, .back = (uint8_t)i};
    }
    list_put(pool, class, at);
}

static void slab_give(struct tsn_pool *pool, unsigned span, uint32_t number)
{
    uint32_t at = number / CHUNK_SLABS;
    struct tsn_pool_chunk *chunk = &pool->chunks[at];
    chunk->free |= slab_bits(span) << number % CHUNK_SLABS;
    pool->n_free += span;
    pool->n_taken -= span;
    pool->lowest = at < pool->lowest ? at : pool->lowest;
    if (chunk->free == UINT64_MAX) {
        chunk_return(pool, chunk);
    }
}

/* ---- blocks ------------------------------------------------------------------------ */

static void *alone_new(struct tsn_pool *pool, size_t size)
{
    void *block = POOL_EVERY_BLOCK_ALONE ? malloc(size) : tsn_pages_alloc(size);
    TSN_MUST_ALLOC(block);
    pool->n_grown++;
    pool->used_bytes += size;
    pool->alone_bytes += size;
    return block;
}

static void alone_free(struct tsn_pool *pool, void *block, size_t size)
{
    TSN_MUST(pool->alone_bytes >= size);
    pool->used_bytes -= size;
    pool->alone_bytes -= size;
    free(block);
}

static void *slab_alloc(struct tsn_pool *pool, unsigned number, size_t bytes)
{
    struct tsn_pool_class *class = &pool->classes[number];
    if (!class->open) {
        slab_take(pool, number);
    }
    uint32_t at = class->open - 1;
    struct tsn_pool_slab *slab = &pool->slabs[at];
    uint8_t *base = pool->chunks[at / CHUNK_SLABS].base + (size_t)(at % CHUNK_SLABS) * SLAB_BYTES;
    void *block;
    if (slab->vacant) {
        block = base + (size_t)(slab->vacant - 1u) * UNIT;
        slab->vacant = ((union tsn_pool_vacant *)block)->next;
    } else {
        block = base + slab->n_begun++ * bytes;
    }
    if (++slab->n_out == class->n) {
        list_cut(pool, class, slab);
    }
    return block;
}

static void slab_free(struct tsn_pool *pool, unsigned number, union tsn_pool_vacant *block)
{
    struct tsn_pool_class *class = &pool->classes[number];
    uintptr_t address = (uintptr_t)block;
    uint32_t chunk = pool->chunk_at[(address >> CHUNK_SHIFT) - pool->first_place];
    uint32_t at = chunk * CHUNK_SLABS + (uint32_t)(address >> SLAB_SHIFT) % CHUNK_SLABS;
    size_t place = address % SLAB_BYTES;
    if (class->span > 1) {
        place += (size_t)pool->slabs[at].back * SLAB_BYTES;
        at -= pool->slabs[at].back;
    }
    struct tsn_pool_slab *slab = &pool->slabs[at];
    TSN_MUST(slab->class == number && slab->n_out > 0);
    block->next = slab->vacant;
    slab->vacant = (uint16_t)(place / UNIT + 1);
    if (slab->n_out-- == class->n) {
        list_put(pool, class, at);
    }
    if (slab->n_out == 0) {
        list_cut(pool, class, slab);
        slab_give(pool, class->span, at);
    }
}

/* The block that came back last is in the cache, and its slab need not be looked at. */
static void *hand_take(struct tsn_pool_class *class)
{
    union tsn_pool_vacant *block = class->hand;
    class->hand = block->handed;
    class->n_hand--;
    return block;
}

static void hand_put(struct tsn_pool_class *class, union tsn_pool_vacant *block)
{
    block->handed = class->hand;
    class->hand = block;
    class->n_hand++;
}

void *tsn_pool_alloc(struct tsn_pool *pool, size_t bytes)
{
    size_t rounded;
    unsigned number = class_of(bytes, &rounded);
    if (rounded > pool->alone_above) {
        return alone_new(pool, tsn_pool_size(bytes));
    }
    struct tsn_pool_class *class = &pool->classes[number];
    pool->used_bytes += rounded;
    class->n_out++;
    return class->hand ? hand_take(class) : slab_alloc(pool, number, rounded);
}

void tsn_pool_free(struct tsn_pool *pool, void *block, size_t bytes)
{
    if (!block) {
        return;
    }
    size_t rounded;
    unsigned number = class_of(bytes, &rounded);
    if (rounded > pool->alone_above) {
        alone_free(pool, block, tsn_pool_size(bytes));
        return;
    }
    struct tsn_pool_class *class = &pool->classes[number];
    TSN_MUST(class->n_out > 0);
    pool->used_bytes -= rounded;
    class->n_out--;
    if (class->n_hand < HAND_MAX) {
        hand_put(class, block);
    } else {
        slab_free(pool, number, block);
    }
    while (class->n_out == 0 && class->hand) { /* nobody uses the class any more */
        slab_free(pool, number, hand_take(class));
    }
}

uint64_t tsn_pool_held(const struct tsn_pool *pool)
{
    return (uint64_t)pool->n_taken * SLAB_BYTES + pool->alone_bytes;
}

uint64_t tsn_pool_mapped(const struct tsn_pool *pool)
{
    return (uint64_t)(pool->n_chunks - pool->n_returned) * CHUNK_BYTES + pool->alone_bytes;
}
