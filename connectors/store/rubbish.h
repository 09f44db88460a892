/* Rubbish: parts of checkpoints that no root names.
 *
 * A root remembers what is to be deleted (struct tsn_dead). When the node of a cluster
 * that held the root lost it, the parts on the other nodes are remembered by nobody, and
 * may be as large as the state. Without a root there is no checkpoint: whatever lies there
 * is rubbish.
 */
#ifndef TSN_CONNECTORS_STORE_RUBBISH_H
#define TSN_CONNECTORS_STORE_RUBBISH_H

#include "connectors/store/root.h"

/* Looks at every key of every node, and has root remember the names of what it finds. To
 * be called by an owner that has just made the root, before it announces anything: so the
 * names are of those before it. O(keys of the servers), in steps of a thousand. */
bool tsn_rubbish_find(struct tsn_root_place *place, struct tsn_root *root,
                      struct tsn_failure *failure);

#endif
