/* Bytes: writing and reading the fields of snapshot records.
 *
 * Little-endian words, LEB128 for numbers that are mostly small, zigzag for signed
 * ones. A reader never goes beyond its end: once something is wrong it stays wrong
 * and gives zeros, so a loader checks once. A writer grows and is reused.
 */
#ifndef TSN_ENGINE_SNAPSHOT_BYTES_H
#define TSN_ENGINE_SNAPSHOT_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct tsn_snapshot_bytes {
    uint8_t *p;
    size_t n, cap;
};

void tsn_snapshot_bytes_free(struct tsn_snapshot_bytes *bytes);
void tsn_snapshot_put(struct tsn_snapshot_bytes *bytes, const void *p, size_t n);
void tsn_snapshot_put_u8(struct tsn_snapshot_bytes *bytes, uint8_t value);
void tsn_snapshot_put_u64(struct tsn_snapshot_bytes *bytes, uint64_t value);
/* Room for n more bytes behind the end. */
void tsn_snapshot_room(struct tsn_snapshot_bytes *bytes, size_t n);

enum { TSN_SNAPSHOT_COUNT_MAX = 10 }; /* bytes of a count */

/* Seven bits of a count in each byte of a word, and back: up to 56 bits. */
static inline uint64_t tsn_snapshot_spread(uint64_t value)
{
    value = (value & 0xfffffff0000000) << 4 | (value & 0xfffffff);
    value = (value & 0xfffc0000fffc000) << 2 | (value & 0x3fff00003fff);
    return (value & 0x3f803f803f803f80) << 1 | (value & 0x7f007f007f007f);
}

static inline uint64_t tsn_snapshot_gather(uint64_t word)
{
    word = (word & 0x7f007f007f007f00) >> 1 | (word & 0x7f007f007f007f);
    word = (word & 0x3fff00003fff0000) >> 2 | (word & 0x3fff00003fff);
    return (word & 0xfffffff00000000) >> 4 | (word & 0xfffffff);
}

/* Little-endian, whatever the machine is. */
static inline uint64_t tsn_snapshot_word(uint64_t word)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap64(word);
#else
    return word;
#endif
}

/* Writes a count at p, where there is room for TSN_SNAPSHOT_COUNT_MAX bytes; returns the
 * place behind it. Rows of numbers are most of a checkpoint, and how long each is cannot
 * be guessed: without branches a cut of them takes half the time. */
static inline uint8_t *tsn_snapshot_count_at(uint8_t *p, uint64_t value)
{
    if (value >> 56) {
        for (; value >= 0x80; value >>= 7) {
            *p++ = (uint8_t)(value | 0x80);
        }
        *p++ = (uint8_t)value;
        return p;
    }
    unsigned bits = 64 - (unsigned)__builtin_clzll(value | 1);
    unsigned n = ((bits + 6) * 37) >> 8; /* (bits + 6) / 7 */
    uint64_t more = ((UINT64_C(1) << (8 * (n - 1))) - 1) & 0x8080808080808080;
    uint64_t word = tsn_snapshot_word(tsn_snapshot_spread(value) | more);
    memcpy(p, &word, sizeof word);
    return p + n;
}

static inline uint64_t tsn_snapshot_zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0);
}

static inline void tsn_snapshot_put_count(struct tsn_snapshot_bytes *bytes, uint64_t value)
{
    if (bytes->cap - bytes->n < TSN_SNAPSHOT_COUNT_MAX) {
        tsn_snapshot_room(bytes, TSN_SNAPSHOT_COUNT_MAX);
    }
    bytes->n = (size_t)(tsn_snapshot_count_at(bytes->p + bytes->n, value) - bytes->p);
}

static inline void tsn_snapshot_put_signed(struct tsn_snapshot_bytes *bytes, int64_t value)
{
    tsn_snapshot_put_count(bytes, tsn_snapshot_zigzag(value));
}

struct tsn_snapshot_reader {
    const uint8_t *p;
    size_t left;
    bool wrong;
};

/* n bytes in place, or NULL when there are fewer. */
static inline const uint8_t *tsn_snapshot_get(struct tsn_snapshot_reader *reader, size_t n)
{
    if (reader->wrong || reader->left < n) {
        reader->wrong = true;
        return NULL;
    }
    const uint8_t *p = reader->p;
    reader->p += n;
    reader->left -= n;
    return p;
}
uint8_t tsn_snapshot_get_u8(struct tsn_snapshot_reader *reader);
static inline uint64_t tsn_snapshot_get_u64(struct tsn_snapshot_reader *reader)
{
    const uint8_t *p = tsn_snapshot_get(reader, 8);
    uint64_t value = 0;
    for (int i = 0; p && i < 8; i++) {
        value |= (uint64_t)p[i] << (8 * i);
    }
    return value;
}
/* A count of any length, near the end as well. */
uint64_t tsn_snapshot_get_long(struct tsn_snapshot_reader *reader);
/* Up to eight bytes without a branch by their number. */
static inline uint64_t tsn_snapshot_get_count(struct tsn_snapshot_reader *reader)
{
    uint64_t word = 0;
    if (reader->left < sizeof word || reader->wrong) {
        return tsn_snapshot_get_long(reader);
    }
    memcpy(&word, reader->p, sizeof word);
    word = tsn_snapshot_word(word);
    uint64_t ends = ~word & 0x8080808080808080;
    if (!ends) {
        return tsn_snapshot_get_long(reader);
    }
    uint64_t through = ends ^ (ends - 1); /* up to the first byte that ends a count */
    size_t n = ((size_t)__builtin_ctzll(ends) + 1) / 8;
    reader->p += n;
    reader->left -= n;
    return tsn_snapshot_gather(word & through & 0x7f7f7f7f7f7f7f7f);
}
/* The same n times, to values. Where a count begins depends on the one before it: here
 * the ends of those in 64 bytes are found at once, which takes a third of the time. Once
 * something is wrong, zeros. */
void tsn_snapshot_get_counts(struct tsn_snapshot_reader *reader, uint64_t *values, size_t n);

static inline int64_t tsn_snapshot_unzigzag(uint64_t value)
{
    return (int64_t)((value >> 1) ^ (value & 1 ? UINT64_MAX : 0));
}
static inline int64_t tsn_snapshot_get_signed(struct tsn_snapshot_reader *reader)
{
    return tsn_snapshot_unzigzag(tsn_snapshot_get_count(reader));
}
/* A count of things that take at least item_bytes each: more than the rest can
 * hold is wrong, so a loader never allocates by a lie. */
uint64_t tsn_snapshot_get_items(struct tsn_snapshot_reader *reader, size_t item_bytes);

#endif
