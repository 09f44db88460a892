/* Process: children of the demo - broker, Redis, engine - that cannot outlive it.
 *
 * Each child asks the kernel to be stopped when its parent ends (PR_SET_PDEATHSIG), so
 * that Ctrl-C, a crash and SIGKILL of the demo all leave nothing running; a shell
 * script with traps would have missed the last two.
 */
#ifndef TSN_CONNECTORS_DEMO_PROCESS_H
#define TSN_CONNECTORS_DEMO_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "connectors/failure/failure.h"

struct tsn_process {
    pid_t pid;        /* 0: not running */
    const char *name; /* for messages; borrowed */
    const char *log;  /* path of its stderr (and stdout, unless piped); borrowed */
};

/* Starts argv[0] (found by PATH) in a process group of its own: a Ctrl-C on the
 * terminal reaches the demo alone, which stops its children in the right order.
 * `answer` (or NULL) gets the first line of its stdout, waited for 20 s. */
bool tsn_process_start(struct tsn_process *process, const char *const argv[], char *answer,
                       size_t answer_cap, struct tsn_failure *failure);

/* Still running? When it is not, *status is its wait status. */
bool tsn_process_runs(struct tsn_process *process, int *status);

/* SIGTERM, and SIGKILL after timeout_ms. The exit code, or -1 if it was killed. */
int tsn_process_stop(struct tsn_process *process, int timeout_ms);

#endif
