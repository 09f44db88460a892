/* Truth: the planted victims, and when each was warned first.
 *
 * A warning counts when it names the victim's line or account, whatever case type it
 * was called: the resident gets the same SMS. All times are the city's.
 */
#ifndef TSN_CONNECTORS_DEMO_TRUTH_H
#define TSN_CONNECTORS_DEMO_TRUTH_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "connectors/failure/failure.h"

struct tsn_truth;

/* Reads <folder>/truth.ndjson. NULL on failure. */
struct tsn_truth *tsn_truth_load(const char *folder, struct tsn_failure *failure);
void tsn_truth_free(struct tsn_truth *truth);

/* An alert on this entity at this event time. Returns the planted script of the
 * victim, or NULL: nobody was planted here. */
const char *tsn_truth_note(struct tsn_truth *truth, const char *entity, int64_t time_ms);

/* What became of the victims of one script. */
struct tsn_truth_tally {
    const char *typology;
    uint32_t planted;
    uint32_t paying;        /* those who transferred, or called back */
    uint32_t before;        /* of them, warned before their first transfer began */
    uint32_t at;            /* of them, warned when a transfer was initiated, while it could
                               still be held */
    uint32_t unpaid_warned; /* warned, and never paid */
};

/* One tally a script, in order of appearance; returns their number (at most cap). */
size_t tsn_truth_tally(const struct tsn_truth *truth, struct tsn_truth_tally *tallies, size_t cap);

#endif
