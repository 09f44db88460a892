/* Load: base and chain of every slot -> records, newest version first. */
#ifndef TSN_CONNECTORS_STORE_LOAD_H
#define TSN_CONNECTORS_STORE_LOAD_H

#include "connectors/store/root.h"

/* Streams every record of the checkpoint that `root` names into the reader. CONFIG
 * when slots do not fit the root, RETRY when the root moved meanwhile. Keeps the
 * reader's lease `token` renewed. */
bool tsn_load(struct tsn_root_place *place, const struct tsn_root *root, const char *token,
              tsn_store_reader *reader, void *user, tsn_store_watcher *watcher, void *watcher_user,
              struct tsn_failure *failure);

#endif
