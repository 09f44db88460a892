/* A checkpoint back into an engine: the one place of this room that needs one, so that
 * the rest is tested with records of any kind. */
#include "connectors/store/store.h"

static bool take(void *user, const struct tsn_snapshot_record *record, const char **why)
{
    return tsn_snapshot_load(user, record, why);
}

static void ahead(void *user, const struct tsn_snapshot_record *record)
{
    tsn_snapshot_ahead(user, record);
}

static void expect(void *user, uint64_t records)
{
    tsn_snapshot_expect(user, records);
}

bool tsn_store_load(struct tsn_store *store, struct tsn_engine *eng,
                    struct tsn_checkpoint_meta *meta, struct tsn_failure *failure)
{
    const struct tsn_store_taker taker = {
        .reader = take, .ahead = ahead, .expect = expect, .user = eng};
    return tsn_store_take(store, &taker, meta, failure);
}
