#include "engine/score/codec.h"

#include <stdlib.h>
#include <string.h>

#include "rules/must/must.h"

bool tsn_str_is(struct tsn_str text, const char *name)
{
    return strlen(name) == text.len && memcmp(name, text.p, text.len) == 0;
}

void tsn_bytes_put(struct tsn_bytes *bytes, const void *data, size_t len)
{
    if (bytes->cap - bytes->len < len) {
        size_t cap = bytes->cap ? bytes->cap : 256;
        while (cap - bytes->len < len) {
            TSN_MUST(cap <= SIZE_MAX / 2);
            cap *= 2;
        }
        bytes->p = realloc(bytes->p, cap);
        TSN_MUST_ALLOC(bytes->p);
        bytes->cap = cap;
    }
    if (len) {
        memcpy(bytes->p + bytes->len, data, len);
        bytes->len += len;
    }
}

void tsn_bytes_u8(struct tsn_bytes *bytes, uint8_t v)
{
    tsn_bytes_put(bytes, &v, 1);
}

void tsn_bytes_u32(struct tsn_bytes *bytes, uint32_t v)
{
    uint8_t le[4];
    for (int i = 0; i < 4; i++) {
        le[i] = (uint8_t)(v >> (8 * i));
    }
    tsn_bytes_put(bytes, le, sizeof le);
}

void tsn_bytes_u64(struct tsn_bytes *bytes, uint64_t v)
{
    uint8_t le[8];
    for (int i = 0; i < 8; i++) {
        le[i] = (uint8_t)(v >> (8 * i));
    }
    tsn_bytes_put(bytes, le, sizeof le);
}

void tsn_bytes_str(struct tsn_bytes *bytes, struct tsn_str text)
{
    tsn_bytes_u32(bytes, text.len);
    tsn_bytes_put(bytes, text.p, text.len);
}

void tsn_bytes_name(struct tsn_bytes *bytes, const char *name)
{
    tsn_bytes_str(bytes, (struct tsn_str){name, (uint32_t)strlen(name)});
}

void tsn_bytes_free(struct tsn_bytes *bytes)
{
    free(bytes->p);
    *bytes = (struct tsn_bytes){0};
}

const uint8_t *tsn_bytes_take(struct tsn_bytes_reader *from, size_t len)
{
    if (from->bad || from->left < len) {
        from->bad = true;
        return NULL;
    }
    const uint8_t *p = from->p;
    from->p += len;
    from->left -= len;
    return p;
}

static uint64_t little_endian(struct tsn_bytes_reader *from, size_t n)
{
    const uint8_t *p = tsn_bytes_take(from, n);
    uint64_t v = 0;
    for (size_t i = 0; p && i < n; i++) {
        v |= (uint64_t)p[i] << (8 * i);
    }
    return v;
}

uint8_t tsn_bytes_get_u8(struct tsn_bytes_reader *from)
{
    return (uint8_t)little_endian(from, 1);
}

uint32_t tsn_bytes_get_u32(struct tsn_bytes_reader *from)
{
    return (uint32_t)little_endian(from, 4);
}

uint64_t tsn_bytes_get_u64(struct tsn_bytes_reader *from)
{
    return little_endian(from, 8);
}

struct tsn_str tsn_bytes_get_str(struct tsn_bytes_reader *from)
{
    uint32_t len = tsn_bytes_get_u32(from);
    const uint8_t *p = tsn_bytes_take(from, len);
    return p ? (struct tsn_str){(const char *)p, len} : (struct tsn_str){"", 0};
}
