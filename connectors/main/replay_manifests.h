/* `tocsin replay --manifests`: the half of the command that reads from Kafka. */
#ifndef TSN_CONNECTORS_MAIN_REPLAY_MANIFESTS_H
#define TSN_CONNECTORS_MAIN_REPLAY_MANIFESTS_H

#include <stdbool.h>

/* Is this call about manifests? */
bool tsn_replay_is_manifests(int argc, char **argv);
/* Runs it; arguments as of the command. An exit code of enum tsn_exit. */
int tsn_replay_manifests_command(int argc, char **argv);

#endif
