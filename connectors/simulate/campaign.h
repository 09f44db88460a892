/* Campaign: the scams inside the city's life, and the truth about them.
 *
 * A campaign is a gang with its numbers, accounts and victims, and a script with
 * delays. Most of whom it reaches hang up; those who do not are written to the truth
 * file, with the instant after which a warning comes too late. The event stream has
 * no label. Every script is one row of the table.
 */
#ifndef TSN_CONNECTORS_SIMULATE_CAMPAIGN_H
#define TSN_CONNECTORS_SIMULATE_CAMPAIGN_H

#include <stdint.h>
#include <stdio.h>

#include "connectors/simulate/city.h"
#include "connectors/simulate/tape.h"

/*    name in the truth file, weight among K campaigns, what happens */
#define TSN_CAMPAIGN_TABLE(X)                                                                      \
    X(impersonated_authority, 4, "long call from abroad, then transfers to a new payee")           \
    X(wangiri, 2, "one ring to hundreds; some call back")                                          \
    X(smishing, 1, "one lure to hundreds; some call its number")                                   \
    X(sim_swap, 1, "another SIM for the line, then the account is emptied")                        \
    X(task_rebate, 1, "small rebates in, then growing payments out")                               \
    X(mule_drain, 1, "many strangers pay in, most of it leaves at once")

struct tsn_campaigns {
    const struct tsn_city *city;
    struct tsn_tape *tape;
    FILE *truth; /* NDJSON, one victim a line */
    int64_t start_ms;
    int64_t end_ms; /* of the run: scripts fit inside */
};

/* Puts n campaigns of mixed scripts into the tape, in a fixed order of scripts.
 * Returns the number of victims written to the truth file. */
uint32_t tsn_campaigns_plant(const struct tsn_campaigns *campaigns, uint32_t n);

#endif
