/* Life: what a city does when nobody cheats, ten minutes of one line at a time.
 *
 * Calls by the hour of the day to contacts and strangers, messages, purchases,
 * transfers - and the people who look like fraud and are none: couriers, telesales,
 * hospitals, families abroad, sellers, buyers of flats. Without them every rule is
 * perfect. Rates and laws are published figures where there are any (docs/SIMULATOR.md).
 */
#ifndef TSN_CONNECTORS_SIMULATE_LIFE_H
#define TSN_CONNECTORS_SIMULATE_LIFE_H

#include <stdint.h>

#include "connectors/simulate/city.h"
#include "connectors/simulate/tape.h"

enum {
    TSN_LIFE_SLICE_MS = 600000,
    TSN_LIFE_SLICES_A_DAY = 144,
    TSN_LIFE_INTERIM_S = 600, /* partial record of a long call */
};

struct tsn_life {
    const struct tsn_city *city;
    struct tsn_tape *tape;
    int64_t start_ms;      /* of slice 0 */
    uint32_t start_minute; /* of the local day, at start_ms */
};

/* What lies before the run and matters in it: who has talked to whom, of families
 * abroad and of those who will talk for long in these slices. */
void tsn_life_history(const struct tsn_life *life, uint32_t slices);
/* All lines, slice by slice; slices may be made in any order. */
void tsn_life_slice(const struct tsn_life *life, uint32_t slice);

#endif
