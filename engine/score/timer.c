/* Timers: rules with `after`. None are compiled yet: the pack compiler refuses them. */
#include "engine/score/state.h"

bool tsn_score_clock(struct tsn_score *score, tsn_event_ms clock_ms, struct tsn_output *out,
                     struct tsn_engine_counts *counts)
{
    (void)score;
    (void)clock_ms;
    (void)out;
    (void)counts;
    return false;
}
