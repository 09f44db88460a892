/* Cold: the entities that are in no record of the table but in the store: their keys,
 * and until when it is worth to know of them.
 *
 * 20 bytes a slot, at most 3/4 full, so 27 to 53 bytes an entity. Whole keys and not
 * fingerprints of them: what has expired is deleted from the store by its key, and an
 * answer that says "unknown" to a whole key is a loss that can be told from a chance
 * hit. Linear probing, removal by shifting back, as engine/entity/table.c.
 */
#ifndef TSN_ENGINE_ENTITY_COLD_H
#define TSN_ENGINE_ENTITY_COLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/entity/table.h"

struct tsn_cold {
    struct tsn_key *keys; /* zero: empty; NULL before the first */
    int32_t *minutes;     /* of E, from which on the key is expired */
    uint64_t n_slots;     /* a power of two, or 0 */
    uint64_t n;
    uint64_t hand; /* where the search for expired ones goes on */
};

void tsn_cold_free(struct tsn_cold *cold);
/* The key is not in it yet. expires_ms: E from which on nothing reads of it. */
void tsn_cold_add(struct tsn_cold *cold, struct tsn_key key, int64_t expires_ms);
bool tsn_cold_has(const struct tsn_cold *cold, struct tsn_key key);
/* False if it was not there. */
bool tsn_cold_remove(struct tsn_cold *cold, struct tsn_key key);
/* Looks at the next n_slots slots, takes out the first key that has expired by E =
 * newest_ms and gives it in *key. False: none of them has. *n_slots: how many are left. */
bool tsn_cold_expire(struct tsn_cold *cold, int64_t newest_ms, uint64_t *n_slots,
                     struct tsn_key *key);
/* Up to n keys, in no order. Returns how many. O(slots). */
size_t tsn_cold_some(const struct tsn_cold *cold, struct tsn_key *keys, size_t n);

static inline size_t tsn_cold_footprint(const struct tsn_cold *cold)
{
    return cold->n_slots * (sizeof *cold->keys + sizeof *cold->minutes);
}

#endif
