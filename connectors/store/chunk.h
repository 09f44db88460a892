/* Chunk: some records of one slot on their way from Redis into the engine, in one
 * buffer that is used again and again.
 */
#ifndef TSN_CONNECTORS_STORE_CHUNK_H
#define TSN_CONNECTORS_STORE_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connectors/store/layout.h"

enum {
    TSN_CHUNK_RECORDS = 512,
    TSN_CHUNK_BYTES = 128 * 1024, /* full from here on: opened and read while in a core's cache */
};

struct tsn_chunk_record {
    const uint8_t *plain; /* after opening: header and bytes, in the chunk */
    size_t at;            /* of the field in the buffer, the sealed value behind it */
    size_t len;           /* of the sealed value, then of what it holds */
};

struct tsn_chunk {
    unsigned slot;
    bool last;    /* the slot's */
    size_t n_bad; /* after opening: the first record that cannot be opened, or n */
    size_t n;
    size_t used, cap;
    uint8_t *bytes;
    struct tsn_chunk_record records[TSN_CHUNK_RECORDS];
};

/* For the records of a slot. Keeps the buffer, unless a giant blew it up. */
void tsn_chunk_reset(struct tsn_chunk *chunk, unsigned slot);
void tsn_chunk_free(struct tsn_chunk *chunk);
/* Copies one in; not when the chunk is full. */
void tsn_chunk_add(struct tsn_chunk *chunk, const uint8_t field[TSN_LAYOUT_FIELD],
                   const void *sealed, size_t len);
static inline bool tsn_chunk_full(const struct tsn_chunk *chunk)
{
    return chunk->n == TSN_CHUNK_RECORDS || chunk->used >= TSN_CHUNK_BYTES;
}

/* Opens all records where they stand, up to the first that is not ours. Any thread. */
void tsn_chunk_open(struct tsn_chunk *chunk, const struct tsn_layout *layout,
                    const struct tsn_keys *keys);

#endif
