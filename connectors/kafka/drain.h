/* Drain: a consumer that throws messages away, the measure of what reading costs.
 *
 * For `./dev bench kafka` only: the peer beside which the engine is measured, so it
 * uses the library the shortest way there is (one queue, batches, no decoding).
 */
#ifndef TSN_CONNECTORS_KAFKA_DRAIN_H
#define TSN_CONNECTORS_KAFKA_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "connectors/config/config.h"
#include "connectors/failure/failure.h"

struct tsn_drained {
    uint64_t records;
    uint64_t bytes;     /* of values */
    double seconds;     /* from the first batch to the last */
    double cpu_seconds; /* of this process, over the same time */
};

/* Reads every partition of the topic from its beginning until n records came, with
 * the configuration's consumer properties. */
bool tsn_drain(const struct tsn_config *config, const char *topic, int32_t n_partitions, uint64_t n,
               struct tsn_drained *drained, struct tsn_failure *failure);

#endif
