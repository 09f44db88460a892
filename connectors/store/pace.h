/* Pace: how fast a checkpoint may be sent, so that Redis and the way to it stay free
 * for others.
 *
 * A bucket of a tenth of a second: what was saved up by a pause is not sent in one
 * burst. Knows no clock: the caller says what time it is and does the waiting. Once
 * the newest checkpoint is older than wanted, there is no limit: a short recovery
 * comes before politeness.
 */
#ifndef TSN_CONNECTORS_STORE_PACE_H
#define TSN_CONNECTORS_STORE_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"

struct tsn_pace {
    uint64_t bytes_per_s;          /* 0: no limit */
    tsn_duration_ms target_age_ms; /* of the newest checkpoint */
    int64_t written_ms;            /* when the newest was, or since when one is wanted */
    int64_t at_ms;                 /* what was sent is paid for until then */
    uint64_t owed;                 /* less than a millisecond's bytes, times 1000 */
};

/* n bytes are sent at now_ms (monotonic). Returns how many ms to wait before the next
 * are. O(1). */
int64_t tsn_pace_spend(struct tsn_pace *pace, uint64_t n, int64_t now_ms);

#endif
