/* The only clocks of tocsin. What they say decides when things happen - commits,
 * waits, ticks - and never what the output is: a tick that mattered is in the
 * manifest. */
#ifndef TSN_CONNECTORS_RUN_CLOCK_H
#define TSN_CONNECTORS_RUN_CLOCK_H

#include <stdint.h>

/* Milliseconds since some point; never goes back. For waits and intervals. */
int64_t tsn_clock_monotonic_ms(void);
/* Milliseconds since 1970 UTC; may jump. For ticks and for people. */
int64_t tsn_clock_wall_ms(void);

#endif
