/* Word set: a fixed set of short texts -> their index, in a few nanoseconds.
 *
 * Member names of records, enum values and written forms are known when a mapping
 * is compiled, so a seed is searched with which no two of them collide; a look-up
 * is then one hash of the length and the outer 8 + 8 bytes, and a comparison of
 * these, which are the whole name up to 16 bytes (a call of memcmp a member cost a
 * tenth of decode). Immutable once made; any thread.
 */
#ifndef TSN_CONNECTORS_DECODE_WORDSET_H
#define TSN_CONNECTORS_DECODE_WORDSET_H

#include <stdbool.h>
#include <stdint.h>

#include "rules/arena/arena.h"
#include "rules/column/column.h"

struct tsn_wordset_slot {
    uint64_t head; /* first and last bytes, overlapping in short names */
    uint64_t tail;
    uint32_t len;
    uint32_t index; /* + 1; 0: the slot is empty */
};

struct tsn_wordset {
    uint32_t n;
    uint32_t mask; /* slots - 1 */
    uint64_t seed;
    const struct tsn_str *names; /* [n], borrowed */
    struct tsn_wordset_slot *slots;
    bool probes; /* no seed was found: neighbours are looked at too */
};

/* Names must differ; they are borrowed for the set's life. */
void tsn_wordset_make(struct tsn_wordset *set, const struct tsn_str *names, uint32_t n,
                      struct tsn_arena *arena);

/* Its index, or -1. Never reads outside [p, p + len). */
int32_t tsn_wordset_find(const struct tsn_wordset *set, const char *p, uint32_t len);

#endif
