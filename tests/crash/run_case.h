/* The case of a seed: configuration, input and the world's temper.
 *
 * Two kinds. COMPARED: the merge is told to wait until every partition's next event is
 * known, the wall clock stands still and the pack stays, so that what comes out is a
 * function of the input alone and an undisturbed run must give the same bytes. FREE:
 * input that arrives while it is read, a wall clock that runs ahead (ticks between
 * events), programs that change, retention, a Redis that is emptied; there only the
 * manifests know what was done, and their replay is the reference.
 */
#ifndef TSN_TESTS_CRASH_RUN_CASE_H
#define TSN_TESTS_CRASH_RUN_CASE_H

#include <stddef.h>
#include <stdint.h>

#include "connectors/config/config.h"

enum case_kind { CASE_COMPARED, CASE_FREE };

enum { CASE_INPUTS = 3, CASE_PACKS = 2, CASE_REGION_BYTES = 64 << 20 };

struct case_input {
    const char *topic;
    int32_t partition;
};

extern const struct case_input case_inputs[CASE_INPUTS];

enum case_kind case_kind_of(uint64_t seed);
/* With pack `pack` of CASE_PACKS in force, and the world's cap on entities in memory. */
struct tsn_config case_config(enum case_kind kind, unsigned pack);
/* In two of five schedules lives have a cap on the entities in memory, of one or some, or
 * none, as the dice say. */
bool case_is_capped(uint64_t seed);
/* Makes the world of a seed in `region`, of CASE_REGION_BYTES: topics, input, no life
 * yet. n_events: of input. */
void case_begin(void *region, uint64_t seed, unsigned n_events);

#endif
