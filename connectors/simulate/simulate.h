/* Simulate: a city's calls, messages and payments, with scams inside, as the files
 * that carriers and banks would send. The door of this room.
 *
 * Deterministic: equal settings give equal bytes. One thread; about a million
 * records a second of city life, memory for the lines and the records under way.
 */
#ifndef TSN_CONNECTORS_SIMULATE_SIMULATE_H
#define TSN_CONNECTORS_SIMULATE_SIMULATE_H

#include <stdbool.h>
#include <stdint.h>

#include "connectors/failure/failure.h"
#include "connectors/simulate/tape.h"

struct tsn_simulate_settings {
    uint64_t seed;
    uint32_t n_lines;
    uint32_t minutes;    /* of city life */
    uint32_t n_scams;    /* campaigns; a campaign may have several victims */
    int64_t start_ms;    /* event time of the first minute */
    uint32_t start_hour; /* of the local day then, 0 .. 23 */
    bool clean;          /* no duplicates, late or broken records */
    const char *folder;  /* for <topic>.ndjson and truth.ndjson */
};

struct tsn_simulate_result {
    struct tsn_tape_counts records;
    uint32_t victims; /* lines of truth.ndjson */
};

/* `progress` (may be NULL) is told after every ten minutes of city life. */
bool tsn_simulate(const struct tsn_simulate_settings *settings,
                  void (*progress)(uint32_t minutes_done, void *user), void *user,
                  struct tsn_simulate_result *result, struct tsn_failure *failure);

#endif
