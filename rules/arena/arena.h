/* Arena: memory that is given back all at once.
 *
 * Three lifetimes exist in tocsin: process, batch and call. What lives for a
 * batch or a pack comes from an arena, so there is nothing to free piecemeal
 * and a reset arena allocates nothing once it has grown to its working size.
 * Not thread-safe: an arena belongs to one thread.
 */
#ifndef TSN_RULES_ARENA_ARENA_H
#define TSN_RULES_ARENA_ARENA_H

#include <stddef.h>

struct tsn_arena_chunk;

struct tsn_arena {
    struct tsn_arena_chunk *first;
    struct tsn_arena_chunk *current;
    size_t chunk_bytes; /* size of a new chunk; larger requests get their own */
};

/* chunk_bytes 0 means 64 KiB. Allocates nothing yet. */
void tsn_arena_init(struct tsn_arena *arena, size_t chunk_bytes);

/* Aligned to 16 bytes, not zeroed, never NULL. Amortised O(1). */
void *tsn_arena_alloc(struct tsn_arena *arena, size_t bytes);

/* The same, zeroed. n * size must not overflow. */
void *tsn_arena_zalloc(struct tsn_arena *arena, size_t n, size_t size);

/* A copy with a terminating NUL (the text may hold NULs of its own). */
char *tsn_arena_strdup(struct tsn_arena *arena, const char *text, size_t len);

/* printf into the arena; never NULL. */
char *tsn_arena_printf(struct tsn_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Everything allocated so far becomes invalid; the chunks are kept. */
void tsn_arena_reset(struct tsn_arena *arena);

/* Bytes of all chunks, used or not. */
size_t tsn_arena_footprint(const struct tsn_arena *arena);

/* Gives all memory back; the arena may be used again. */
void tsn_arena_free(struct tsn_arena *arena);

#endif
