/* Origins: which partitions an instance owns, in an order that never changes.
 *
 * State and manifests name a partition by its index, so the order of the first
 * manifest stays for ever; partitions of sources that a configuration adds later
 * come after. Also what must fit before anything runs: topics exist, partition
 * counts are those of the manifest, inputs are not compacted.
 */
#ifndef TSN_CONNECTORS_RUN_ORIGINS_H
#define TSN_CONNECTORS_RUN_ORIGINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connectors/config/config.h"
#include "connectors/kafka/kafka.h"
#include "connectors/wire/wire.h"
#include "rules/arena/arena.h"

struct tsn_origins {
    size_t n;
    struct tsn_origin *items; /* memory of the arena */
    int32_t *partitions;      /* [n] count of each one's topic */
    size_t n_known;           /* the first ones, which the manifest has */
};

/* Do all topics of the configuration exist, as they must be? Inputs are compared
 * with nothing here. One that is absent is looked for again for 3 s. */
bool tsn_origins_check_topics(const struct tsn_config *config, struct tsn_kafka *kafka,
                              struct tsn_failure *failure);

/* `last`: the newest manifest, or NULL at the first start. */
bool tsn_origins_find(const struct tsn_config *config, struct tsn_kafka *kafka,
                      const struct tsn_manifest *last, struct tsn_arena *arena,
                      struct tsn_origins *origins, struct tsn_failure *failure);

/* Where each partition stood before the manifest's steps, from its runs. Only the
 * manifest's own origins are written. */
void tsn_origins_before(const struct tsn_manifest *manifest, int64_t *positions);

#endif
