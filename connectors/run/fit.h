/* Fit: what must hold between the committed manifests and this cluster before a state
 * is joined to its log. Each refusal says where, what, why and the remedy.
 *
 * Nothing here changes anything, so that a dry run asks the same questions.
 */
#ifndef TSN_CONNECTORS_RUN_FIT_H
#define TSN_CONNECTORS_RUN_FIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connectors/run/session.h"

/* Where the partitions from `from` on begin: their oldest record, or their end with
 * --from end. One question a partition. */
bool tsn_fit_start(struct tsn_session *session, size_t from, int64_t *positions,
                   struct tsn_failure *failure);

/* low <= position <= high for every partition. clip: a position below low is moved
 * there and counted (only without a checkpoint). One question a partition. */
bool tsn_fit_positions(struct tsn_session *session, int64_t *positions, bool clip,
                       size_t *n_clipped, struct tsn_failure *failure);

/* The manifest was written on this cluster. */
bool tsn_fit_cluster(const struct tsn_session *session, const struct tsn_manifest *last,
                     struct tsn_failure *failure);

/* The manifest's origins are the first of the session's, in their order. STAND_BY if
 * not: whoever leads reads other sources than were found at the beginning. */
bool tsn_fit_origins(const struct tsn_session *session, const struct tsn_manifest *manifest,
                     struct tsn_failure *failure);

/* The checkpoint is of this cluster, made by this engine's semantics, and not beyond the
 * newest manifest, which is read again if `newest` is older. */
bool tsn_fit_checkpoint(const struct tsn_session *session, const struct tsn_checkpoint_meta *meta,
                        uint64_t newest, struct tsn_failure *failure);

/* There is a checkpoint of manifest `sequence` and no manifest at all: refused. */
bool tsn_fit_no_manifest(const struct tsn_session *session, uint64_t sequence,
                         struct tsn_failure *failure);

#endif
