#include "engine/entity/key.h"

#include <math.h>
#include <string.h>
#define XXH_INLINE_ALL /* a dozen bytes: the call would cost more than the hash */
#include <xxhash.h>

#include "rules/must/must.h"

uint64_t tsn_key_seed(const char *kind)
{
    return XXH3_64bits(kind, strlen(kind));
}

/* How long most keys are: numbers of telephones, accounts and cards. Where the length is
 * known to be one of these, a hash is three multiplications and no branch; so the loops
 * over text have it in them, and other lengths are calls. */
static inline bool is_short(uint32_t len)
{
    return len >= 9 && len <= 16;
}

static inline struct tsn_key key_of(const void *p, size_t len, uint64_t seed)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(p, len, seed);
    struct tsn_key key = {.lo = hash.low64, .hi = hash.high64};
    key.lo |= (key.lo | key.hi) == 0; /* zero says missing */
    return key;
}

__attribute__((noinline)) static struct tsn_key key_call(struct tsn_str s, uint64_t seed)
{
    return key_of(s.p, s.len, seed);
}

__attribute__((noinline)) static uint64_t word_call(struct tsn_str s)
{
    return XXH3_64bits(s.p, s.len);
}

uint64_t tsn_key_double(double d)
{
    uint64_t word;
    d = isnan(d) ? (double)NAN : d + 0.0; /* -0.0 + 0.0 is 0.0 */
    memcpy(&word, &d, sizeof word);
    return word;
}

static uint64_t units_reduced(int64_t units, uint8_t *scale)
{
    while (*scale > 0 && units % 10 == 0) {
        units /= 10;
        --*scale;
    }
    return (uint64_t)units;
}

/* Flat, as the loop of words below: left to itself, the compiler calls the hash. */
__attribute__((flatten)) static void text_keys(const struct tsn_column *column, uint32_t n,
                                               uint64_t seed, struct tsn_key *keys)
{
    for (uint32_t i = 0; i < n; i++) {
        if (!tsn_bits_get(column->valid, i)) {
            keys[i] = (struct tsn_key){0};
            continue;
        }
        struct tsn_str s = column->str[i];
        keys[i] = is_short(s.len) ? key_of(s.p, s.len, seed) : key_call(s, seed);
    }
}

static struct tsn_key cell_key(const struct tsn_column *column, uint32_t i, uint64_t seed)
{
    if (column->rep == TSN_REP_ENUM) {
        return key_call(column->dict->names[column->code[i]], seed);
    }
    if (column->rep == TSN_REP_MONEY) {
        uint8_t scale = column->scale;
        uint64_t units = units_reduced(column->i64[i], &scale);
        return key_of(&units, sizeof units, seed + 1 + scale);
    }
    uint64_t word = tsn_key_word(column, i);
    return key_of(&word, sizeof word, seed);
}

void tsn_key_column(const struct tsn_column *column, uint32_t n, uint64_t seed,
                    struct tsn_key *keys)
{
    seed += (uint64_t)tsn_rep_type(column->rep) * UINT64_C(0x9e3779b97f4a7c15);
    if (column->rep == TSN_REP_STRING) {
        text_keys(column, n, seed, keys);
        return;
    }
    memset(keys, 0, n * sizeof *keys);
    for (uint32_t i = 0; i < n; i++) {
        if (tsn_bits_get(column->valid, i)) {
            keys[i] = cell_key(column, i, seed);
        }
    }
}

struct tsn_key tsn_key_join(const struct tsn_key *keys, int n)
{
    for (int i = 0; i < n; i++) {
        if ((keys[i].lo | keys[i].hi) == 0) {
            return (struct tsn_key){0};
        }
    }
    return n == 1 ? keys[0] : key_of(keys, (size_t)n * sizeof *keys, 0);
}

uint64_t tsn_key_word(const struct tsn_column *column, uint32_t row)
{
    switch (column->rep) {
    case TSN_REP_BOOL:
        return tsn_bits_get(column->bits, row);
    case TSN_REP_DOUBLE:
        return tsn_key_double(column->f64[row]);
    case TSN_REP_STRING:
        return word_call(column->str[row]);
    case TSN_REP_ENUM:
        return word_call(column->dict->names[column->code[row]]);
    case TSN_REP_INT:
    case TSN_REP_TIME_MS:
    case TSN_REP_DURATION_MS:
    case TSN_REP_MONEY:
        return (uint64_t)column->i64[row];
    case TSN_REP_TIME:
    case TSN_REP_DURATION:
    case TSN_REP_LIST:
    case TSN_REP_NULL:
        break;
    }
    TSN_MUST(!"an event field has this representation");
    return 0;
}

__attribute__((flatten)) static void text_words(const struct tsn_str *str, uint64_t rows,
                                                uint64_t *words, size_t stride)
{
    for (; rows; rows &= rows - 1) {
        unsigned i = (unsigned)__builtin_ctzll(rows);
        struct tsn_str s = str[i];
        words[i * stride] = is_short(s.len) ? XXH3_64bits(s.p, s.len) : word_call(s);
    }
}

void tsn_key_words(const struct tsn_column *column, uint32_t at, uint64_t rows, uint64_t *words,
                   size_t stride)
{
    if (column->rep == TSN_REP_STRING) {
        text_words(column->str + at, rows, words, stride);
        return;
    }
    for (; rows; rows &= rows - 1) {
        unsigned i = (unsigned)__builtin_ctzll(rows);
        words[i * stride] = tsn_key_word(column, at + i);
    }
}
