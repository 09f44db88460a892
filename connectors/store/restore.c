/* A checkpoint back into an engine: the one place of this room that needs one, so that
 * the rest is tested with records of any kind. */
#include "connectors/store/store.h"

static bool engine_reader(void *user, const struct tsn_snapshot_record *record, const char **why)
{
    return tsn_snapshot_load(user, record, why);
}

bool tsn_store_load(struct tsn_store *store, struct tsn_engine *eng,
                    struct tsn_checkpoint_meta *meta, struct tsn_failure *failure)
{
    return tsn_store_read(store, engine_reader, eng, meta, failure);
}
