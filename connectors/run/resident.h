/* Resident: memory as a cache of the store, when the configuration caps the entities in
 * memory.
 *
 * The engine says what a batch misses (engine.h), the store fetches it in one pipeline,
 * and the batch waits for it in the loop's thread: it can do nothing else meanwhile,
 * since the next batch builds on this one. While Redis is away the loop takes nothing
 * more, and everything else in it - commits, the seat, status - goes on turn by turn;
 * a replay waits in place.
 *
 * Whoever has let go of entities depends on the store having them: what it lost, or has
 * as somebody else wrote it, ends the term, and the state is recovered anew. One thread:
 * the loop's.
 */
#ifndef TSN_CONNECTORS_RUN_RESIDENT_H
#define TSN_CONNECTORS_RUN_RESIDENT_H

#include <stdbool.h>
#include <stdint.h>

#include "connectors/failure/failure.h"
#include "connectors/store/store.h"
#include "engine/engine.h"

struct tsn_resident {
    struct tsn_store *store;
    uint64_t cap;
    int64_t retry_ms;      /* monotonic: not asked again before */
    int64_t away_since_ms; /* 0: the store answers */
};

enum tsn_residence {
    TSN_RESIDENCE_WHOLE, /* all that the batch visits is in memory */
    TSN_RESIDENCE_AWAY,  /* Redis does not answer: ask again from retry_ms on */
    TSN_RESIDENCE_LOST,  /* the state is lost: see the failure, RETRY: recover */
};

/* Brings what a settled batch misses into memory. */
enum tsn_residence tsn_resident_bring(struct tsn_resident *resident, struct tsn_engine *eng,
                                      const struct tsn_batch *batch, int64_t now_ms,
                                      struct tsn_failure *failure);

/* The same, waiting; batch NULL: brings everything, before a swap. go_on is asked while
 * Redis is away; false: gives up with NONE. */
bool tsn_resident_await(struct tsn_resident *resident, struct tsn_engine *eng,
                        const struct tsn_batch *batch, bool (*go_on)(void *user), void *user,
                        struct tsn_failure *failure);

/* tsn_store_load of a store that was claimed, into an engine with a cap and without
 * state: what is beyond the cap is only remembered. */
bool tsn_resident_load(struct tsn_resident *resident, struct tsn_engine *eng,
                       struct tsn_checkpoint_meta *meta, struct tsn_failure *failure);

/* Can what the engine has let go of still be got, as far as the store knows? */
bool tsn_resident_sound(const struct tsn_resident *resident, const struct tsn_engine *eng,
                        struct tsn_failure *failure);

#endif
