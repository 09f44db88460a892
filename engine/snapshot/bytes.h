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

/* A row of numbers is most of a checkpoint: these are inline, a byte at a time, since a
 * call of memcpy for one byte took a third of a cut. */
static inline void tsn_snapshot_put_count(struct tsn_snapshot_bytes *bytes, uint64_t value)
{
    if (bytes->cap - bytes->n < TSN_SNAPSHOT_COUNT_MAX) {
        tsn_snapshot_room(bytes, TSN_SNAPSHOT_COUNT_MAX);
    }
    uint8_t *p = bytes->p + bytes->n;
    while (value >= 0x80) {
        *p++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *p++ = (uint8_t)value;
    bytes->n = (size_t)(p - bytes->p);
}

static inline void tsn_snapshot_put_signed(struct tsn_snapshot_bytes *bytes, int64_t value)
{
    tsn_snapshot_put_count(bytes, ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0));
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
/* Most of a load: of one to three bytes, with no more than one look at the end. */
static inline uint64_t tsn_snapshot_get_count(struct tsn_snapshot_reader *reader)
{
    const uint8_t *p = reader->p;
    if (reader->left < 3 || reader->wrong) {
        return tsn_snapshot_get_long(reader);
    }
    uint64_t value = p[0] & 0x7f;
    size_t n = 1;
    if (p[0] & 0x80) {
        value |= (uint64_t)(p[1] & 0x7f) << 7;
        n = 2;
        if (p[1] & 0x80) {
            value |= (uint64_t)(p[2] & 0x7f) << 14;
            n = 3;
            if (p[2] & 0x80) {
                return tsn_snapshot_get_long(reader);
            }
        }
    }
    reader->p += n;
    reader->left -= n;
    return value;
}
static inline int64_t tsn_snapshot_get_signed(struct tsn_snapshot_reader *reader)
{
    uint64_t value = tsn_snapshot_get_count(reader);
    return (int64_t)((value >> 1) ^ (value & 1 ? UINT64_MAX : 0));
}
/* A count of things that take at least item_bytes each: more than the rest can
 * hold is wrong, so a loader never allocates by a lie. */
uint64_t tsn_snapshot_get_items(struct tsn_snapshot_reader *reader, size_t item_bytes);

#endif
