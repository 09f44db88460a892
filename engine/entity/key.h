/* Key: the hash by which an entity is known.
 *
 * Keys compare by type and value: an enum is its name, money its amount whatever
 * its scale, 0.0 and -0.0 are one number and all NaNs one. The kind of entity is
 * in the hash, so `+3531` as a line and as an account are two entities.
 */
#ifndef TSN_ENGINE_ENTITY_KEY_H
#define TSN_ENGINE_ENTITY_KEY_H

#include <stdint.h>

#include "engine/entity/table.h"
#include "rules/column/column.h"

/* What a kind of entity contributes to its keys: a hash of its name. */
uint64_t tsn_key_seed(const char *kind);

/* Keys of rows [0, n) of a column; zero where the cell is missing. ~5 ns a row. */
void tsn_key_column(const struct tsn_column *column, uint32_t n, uint64_t seed,
                    struct tsn_key *keys);

/* One key of several, zero if one of them is; of one key, itself. */
struct tsn_key tsn_key_join(const struct tsn_key *keys, int n);

/* The key of an entry under an entity, by the keys of its first field and of the
 * rest: so an entry cannot be put under another entity than its own. */
static inline struct tsn_key tsn_key_under(struct tsn_key owner, struct tsn_key rest)
{
    const struct tsn_key keys[2] = {owner, rest};
    return tsn_key_join(keys, 2);
}

/* An 8-byte word that tells values of a column apart, for `distinct`. The cell is
 * valid. */
uint64_t tsn_key_word(const struct tsn_column *column, uint32_t row);

/* The words of up to 64 rows: that of row at + i in words[i * stride], for every bit i of
 * `rows`. Their cells are valid; other words are left as they are. */
void tsn_key_words(const struct tsn_column *column, uint32_t at, uint64_t rows, uint64_t *words,
                   size_t stride);

/* The double with one bit pattern for each number. */
uint64_t tsn_key_double(double d);

#endif
