/* What came of a case: committed output against the replay of the manifests, input
 * against the manifests, the last checkpoint against the replay's state. Each failure
 * names its seed. */
#ifndef TSN_TESTS_CRASH_RUN_CHECK_H
#define TSN_TESTS_CRASH_RUN_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "connectors/config/config.h"
#include "connectors/wire/wire.h"

/* Digests of what the replay gave, for comparison with another run of the same input. */
struct check_result {
    uint64_t n_alerts, n_rejects, n_rows;
    uint64_t alerts;     /* bytes, keys and headers, in order */
    uint64_t rejects;    /* the same, in any order */
    uint64_t features;   /* every feature of every row, and its status, in order */
    bool state_compared; /* the last checkpoint was of the last manifest */
};

/* Fails the test unless: a read_committed reader sees of alerts and rejects what the
 * replay of the manifests makes from nothing, byte for byte and in order; manifests
 * ascend by one; their runs cover every input offset exactly once; the checkpoint is
 * not ahead of them, and if it is of the last one its records are those that the
 * replay ends with, byte for byte. */
void check_all(uint64_t seed, const struct tsn_config *config, struct check_result *result);

/* The newest committed manifest, read with the committed reader's eyes; false: none.
 * Its memory is the arena's. sequence 0: the newest; else that one. */
bool check_manifest(uint64_t sequence, struct tsn_arena *arena, struct tsn_manifest *manifest);

#endif
