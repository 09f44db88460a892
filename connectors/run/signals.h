/* SIGTERM and SIGINT: the first asks for a clean stop, the second ends at once
 * (still consistent: an open transaction is aborted by whoever comes next). */
#ifndef TSN_CONNECTORS_RUN_SIGNALS_H
#define TSN_CONNECTORS_RUN_SIGNALS_H

#include <stdbool.h>

/* Installs the handlers; SIGPIPE is ignored. Once a process. */
void tsn_signals_install(void);
bool tsn_signals_stop(void);
/* Becomes and stays readable at the first signal. */
int tsn_signals_fd(void);

#endif
