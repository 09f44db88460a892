#include "engine/snapshot/bytes.h"

#include <stdlib.h>
#include <string.h>

#include "rules/must/must.h"

void tsn_snapshot_bytes_free(struct tsn_snapshot_bytes *bytes)
{
    free(bytes->p);
    *bytes = (struct tsn_snapshot_bytes){0};
}

void tsn_snapshot_room(struct tsn_snapshot_bytes *bytes, size_t n)
{
    if (bytes->cap - bytes->n < n) {
        bytes->cap = (bytes->cap + n) * 2;
        bytes->p = realloc(bytes->p, bytes->cap);
        TSN_MUST_ALLOC(bytes->p);
    }
}

void tsn_snapshot_put(struct tsn_snapshot_bytes *bytes, const void *p, size_t n)
{
    tsn_snapshot_room(bytes, n);
    if (n) {
        memcpy(bytes->p + bytes->n, p, n);
    }
    bytes->n += n;
}

void tsn_snapshot_put_u8(struct tsn_snapshot_bytes *bytes, uint8_t value)
{
    tsn_snapshot_put(bytes, &value, 1);
}

void tsn_snapshot_put_u64(struct tsn_snapshot_bytes *bytes, uint64_t value)
{
    uint8_t p[8];
    for (int i = 0; i < 8; i++) {
        p[i] = (uint8_t)(value >> (8 * i));
    }
    tsn_snapshot_put(bytes, p, sizeof p);
}

uint8_t tsn_snapshot_get_u8(struct tsn_snapshot_reader *reader)
{
    const uint8_t *p = tsn_snapshot_get(reader, 1);
    return p ? *p : 0;
}

uint64_t tsn_snapshot_get_long(struct tsn_snapshot_reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = tsn_snapshot_get_u8(reader);
        if (shift == 63 && byte > 1) {
            break;
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            return reader->wrong ? 0 : value;
        }
    }
    reader->wrong = true;
    return 0;
}

uint64_t tsn_snapshot_get_items(struct tsn_snapshot_reader *reader, size_t item_bytes)
{
    uint64_t n = tsn_snapshot_get_count(reader);
    if (n > reader->left / item_bytes) {
        reader->wrong = true;
        return 0;
    }
    return n;
}
