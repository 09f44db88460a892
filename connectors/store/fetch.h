/* Fetch: some records of the checkpoint, by their keys, in one pipeline. */
#ifndef TSN_CONNECTORS_STORE_FETCH_H
#define TSN_CONNECTORS_STORE_FETCH_H

#include "connectors/store/root.h"

/* Gives the newest version of each of the records with these keys, in no order, from the
 * checkpoint that `root` names, whatever is folded meanwhile. The connection is nobody
 * else's now. RETRY when Redis is away; RECOVER when a record is not there or the slot
 * does not fit the root: what was stored is lost, rolled back or somebody else's. Costs
 * a round trip, and three commands for each slot that holds one of them. */
bool tsn_fetch(struct tsn_root_place *place, const struct tsn_root *root,
               enum tsn_snapshot_section section, const uint8_t (*keys)[16], size_t n,
               tsn_store_reader *reader, void *user, struct tsn_failure *failure);

#endif
