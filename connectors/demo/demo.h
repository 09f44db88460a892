/* Demo: a city in under a minute - broker, Redis and engine as processes of their own,
 * a stream played to them compressed in time, alerts as they appear, a summary.
 *
 * The door of this room. It sees of the engine what any subscriber sees: the topics.
 */
#ifndef TSN_CONNECTORS_DEMO_DEMO_H
#define TSN_CONNECTORS_DEMO_DEMO_H

#include <stdbool.h>
#include <stdint.h>

#include "connectors/failure/failure.h"

struct tsn_demo_settings {
    uint64_t seed;
    uint32_t n_lines;
    uint32_t minutes; /* of city life */
    uint32_t n_scams;
    uint32_t seconds;    /* in which they are played */
    const char *config;  /* path of the configuration whose sources and pack are used */
    const char *folder;  /* for streams, logs, sockets: made and emptied by the demo */
    const char *program; /* path of the tocsin binary itself */
};

/* Runs until the stream is played or a signal asks to stop. Everything it started has
 * ended when it returns. An exit code of enum tsn_exit. */
int tsn_demo(const struct tsn_demo_settings *settings);

#endif
