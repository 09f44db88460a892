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

static struct tsn_key key_of(const void *p, size_t len, uint64_t seed)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(p, len, seed);
    struct tsn_key key = {.lo = hash.low64, .hi = hash.high64};
    key.lo |= (key.lo | key.hi) == 0; /* zero says missing */
    return key;
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

void tsn_key_column(const struct tsn_column *column, uint32_t n, uint64_t seed,
                    struct tsn_key *keys)
{
    seed += (uint64_t)tsn_rep_type(column->rep) * UINT64_C(0x9e3779b97f4a7c15);
    memset(keys, 0, n * sizeof *keys);
    for (uint32_t i = 0; i < n; i++) {
        if (!tsn_bits_get(column->valid, i)) {
            continue;
        }
        if (column->rep == TSN_REP_STRING) {
            keys[i] = key_of(column->str[i].p, column->str[i].len, seed);
        } else if (column->rep == TSN_REP_ENUM) {
            const struct tsn_str *name = &column->dict->names[column->code[i]];
            keys[i] = key_of(name->p, name->len, seed);
        } else if (column->rep == TSN_REP_MONEY) {
            uint8_t scale = column->scale;
            uint64_t units = units_reduced(column->i64[i], &scale);
            keys[i] = key_of(&units, sizeof units, seed + 1 + scale);
        } else {
            uint64_t word = tsn_key_word(column, i);
            keys[i] = key_of(&word, sizeof word, seed);
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
        return XXH3_64bits(column->str[row].p, column->str[row].len);
    case TSN_REP_ENUM: {
        const struct tsn_str *name = &column->dict->names[column->code[row]];
        return XXH3_64bits(name->p, name->len);
    }
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
