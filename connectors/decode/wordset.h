/* Word set: a fixed set of short texts -> their index, in a few nanoseconds.
 *
 * Member names of records, enum values and written forms are known when a mapping
 * is compiled, so a seed is searched with which no two of them collide; a look-up
 * is then one hash of the length and the outer bytes, and one comparison. A
 * general hash over the whole text was the alternative (3 times the cost on names
 * of 12 to 20 bytes). Immutable once made; any thread.
 */
#ifndef TSN_CONNECTORS_DECODE_WORDSET_H
#define TSN_CONNECTORS_DECODE_WORDSET_H

#include <stdbool.h>
#include <stdint.h>

#include "rules/arena/arena.h"
#include "rules/column/column.h"

struct tsn_wordset {
    uint32_t n;
    uint32_t mask; /* slots - 1 */
    uint64_t seed;
    const struct tsn_str *names; /* [n], borrowed */
    uint32_t *slots;             /* index + 1; 0 is empty */
    bool probes;                 /* no seed was found: neighbours are looked at too */
};

/* Names must differ; they are borrowed for the set's life. */
void tsn_wordset_make(struct tsn_wordset *set, const struct tsn_str *names, uint32_t n,
                      struct tsn_arena *arena);

/* Its index, or -1. Never reads outside [p, p + len). */
int32_t tsn_wordset_find(const struct tsn_wordset *set, const char *p, uint32_t len);

#endif
