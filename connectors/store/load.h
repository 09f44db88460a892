/* Load: base and chain of every slot -> records, newest version first. */
#ifndef TSN_CONNECTORS_STORE_LOAD_H
#define TSN_CONNECTORS_STORE_LOAD_H

#include "connectors/store/root.h"

/* Streams every record of the checkpoint that `root` names into the taker, in this
 * thread. CONFIG when slots do not fit the root, RETRY when the root moved meanwhile:
 * records may have been given before that was seen. Keeps the reader's lease `token`
 * renewed. */
bool tsn_load(struct tsn_root_place *place, const struct tsn_root *root, const char *token,
              const struct tsn_store_taker *taker, tsn_store_watcher *watcher, void *watcher_user,
              struct tsn_failure *failure);

#endif
