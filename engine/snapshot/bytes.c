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

/* ---- many counts ------------------------------------------------------------------------ */

enum { WORD = 8, SPAN = 8 * WORD }; /* bytes whose ends are found at once */

/* Bit i: byte i of a span ends a count. */
static uint64_t ends_of(const uint8_t *p)
{
    uint64_t ends = 0;
    for (unsigned i = 0; i < SPAN / WORD; i++) {
        uint64_t word;
        memcpy(&word, p + (size_t)i * WORD, sizeof word);
        word = (~tsn_snapshot_word(word) & 0x8080808080808080) >> 7;
        ends |= ((word * 0x0102040810204080) >> 56) << (i * WORD); /* one bit of each byte */
    }
    return ends;
}

/* The counts that end in a span, n at most, up to one of more than 8 bytes: as words that
 * begin with them. A word behind the span can be read. *used: their bytes. */
static size_t span_get(const uint8_t *p, uint64_t *words, size_t n, size_t *used)
{
    uint64_t ends = ends_of(p);
    size_t got = 0;
    size_t from = 0;
    while (ends && got < n) {
        size_t to = (size_t)__builtin_ctzll(ends) + 1;
        uint64_t word;
        if (to - from > WORD) {
            break;
        }
        memcpy(&word, p + from, sizeof word);
        words[got++] = tsn_snapshot_word(word);
        ends &= ends - 1;
        from = to;
    }
    *used = from;
    return got;
}

typedef uint64_t four_words __attribute__((vector_size(32)));

/* From words that begin with a count, the counts. */
static inline __attribute__((always_inline)) void counts_of(uint64_t *words, size_t n)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        four_words word;
        memcpy(&word, words + i, sizeof word);
        four_words ends = ~word & 0x8080808080808080;
        word &= (ends ^ (ends - 1)) & 0x7f7f7f7f7f7f7f7f; /* up to the first that ends one */
        word = (word & 0x7f007f007f007f00) >> 1 | (word & 0x7f007f007f007f);
        word = (word & 0x3fff00003fff0000) >> 2 | (word & 0x3fff00003fff);
        word = (word & 0xfffffff00000000) >> 4 | (word & 0xfffffff);
        memcpy(words + i, &word, sizeof word);
    }
    for (; i < n; i++) {
        uint64_t ends = ~words[i] & 0x8080808080808080;
        words[i] = tsn_snapshot_gather(words[i] & (ends ^ (ends - 1)) & 0x7f7f7f7f7f7f7f7f);
    }
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void counts_of_avx2(uint64_t *words, size_t n)
{
    counts_of(words, n);
}
#endif

static void finish(uint64_t *words, size_t n)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        counts_of_avx2(words, n);
        return;
    }
#endif
    counts_of(words, n);
}

void tsn_snapshot_get_counts(struct tsn_snapshot_reader *reader, uint64_t *values, size_t n)
{
    size_t i = 0;
    size_t first = 0; /* of those that are words yet */
    while (i < n) {
        size_t used = 0;
        if (!reader->wrong && reader->left >= SPAN + WORD) {
            i += span_get(reader->p, values + i, n - i, &used);
        } else if (!reader->wrong && reader->left > 0) {
            uint8_t rest[SPAN + WORD];
            memset(rest, 0x80, sizeof rest); /* which ends nothing */
            memcpy(rest, reader->p, reader->left);
            i += span_get(rest, values + i, n - i, &used);
        }
        reader->p += used;
        reader->left -= used;
        if (used == 0) {
            finish(values + first, i - first);
            values[i++] = tsn_snapshot_get_count(reader);
            first = i;
        }
    }
    finish(values + first, i - first);
}
