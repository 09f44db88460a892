#include "rules/arena/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/must/must.h"

enum { ARENA_ALIGN = 16, ARENA_DEFAULT_CHUNK = 64 * 1024 };

struct tsn_arena_chunk {
    struct tsn_arena_chunk *next;
    size_t used;
    size_t cap;
    size_t pad; /* keeps `bytes` 16-aligned on LP64 */
    unsigned char bytes[];
};

void tsn_arena_init(struct tsn_arena *arena, size_t chunk_bytes)
{
    *arena = (struct tsn_arena){.chunk_bytes = chunk_bytes ? chunk_bytes : ARENA_DEFAULT_CHUNK};
}

static struct tsn_arena_chunk *chunk_new(size_t cap)
{
    struct tsn_arena_chunk *chunk = malloc(sizeof *chunk + cap);
    TSN_MUST_ALLOC(chunk);
    chunk->next = NULL;
    chunk->used = 0;
    chunk->cap = cap;
    return chunk;
}

/* A chunk after `current` with room for `bytes`: a kept one if it is large
 * enough, else a new one put in front of the kept ones. */
static struct tsn_arena_chunk *chunk_next(struct tsn_arena *arena, size_t bytes)
{
    struct tsn_arena_chunk *kept = arena->current ? arena->current->next : arena->first;
    if (kept && kept->cap >= bytes) {
        kept->used = 0;
        return kept;
    }
    struct tsn_arena_chunk *chunk =
        chunk_new(bytes > arena->chunk_bytes ? bytes : arena->chunk_bytes);
    chunk->next = kept;
    if (arena->current) {
        arena->current->next = chunk;
    } else {
        arena->first = chunk;
    }
    return chunk;
}

void *tsn_arena_alloc(struct tsn_arena *arena, size_t bytes)
{
    TSN_MUST(bytes < SIZE_MAX - ARENA_ALIGN);
    bytes = (bytes + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    struct tsn_arena_chunk *chunk = arena->current;
    if (!chunk || chunk->cap - chunk->used < bytes) {
        chunk = chunk_next(arena, bytes);
        arena->current = chunk;
    }
    void *p = chunk->bytes + chunk->used;
    chunk->used += bytes;
    return p;
}

void *tsn_arena_zalloc(struct tsn_arena *arena, size_t n, size_t size)
{
    TSN_MUST(size == 0 || n <= SIZE_MAX / size);
    void *p = tsn_arena_alloc(arena, n * size);
    memset(p, 0, n * size);
    return p;
}

char *tsn_arena_strdup(struct tsn_arena *arena, const char *text, size_t len)
{
    char *copy = tsn_arena_alloc(arena, len + 1);
    if (len) {
        memcpy(copy, text, len);
    }
    copy[len] = '\0';
    return copy;
}

char *tsn_arena_printf(struct tsn_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    TSN_MUST(len >= 0);
    char *text = tsn_arena_alloc(arena, (size_t)len + 1);
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return text;
}

void tsn_arena_reset(struct tsn_arena *arena)
{
    arena->current = NULL;
}

size_t tsn_arena_footprint(const struct tsn_arena *arena)
{
    size_t total = 0;
    for (const struct tsn_arena_chunk *c = arena->first; c; c = c->next) {
        total += sizeof *c + c->cap;
    }
    return total;
}

void tsn_arena_free(struct tsn_arena *arena)
{
    struct tsn_arena_chunk *chunk = arena->first;
    while (chunk) {
        struct tsn_arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    arena->first = NULL;
    arena->current = NULL;
}
