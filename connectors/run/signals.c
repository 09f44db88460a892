#include "connectors/run/signals.h"

#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "connectors/run/clock.h"
#include "rules/must/must.h"

/* A wrapper that forwards a signal its process group got too (timeout, a shell's
 * Ctrl-C) makes one wish arrive twice: only a later second one is impatience. */
enum { TWICE_MS = 100 };

static volatile sig_atomic_t asked;
static int64_t asked_ms;
static int wake = -1;

static void on_signal(int signo)
{
    int64_t now_ms = tsn_clock_monotonic_ms(); /* async-signal-safe */
    if (asked && now_ms < asked_ms + TWICE_MS) {
        return;
    }
    if (asked) {
        _exit(128 + signo);
    }
    asked = 1;
    asked_ms = now_ms;
    unsigned char one[8] = {1};
    if (write(wake, one, sizeof one) < 0) {
        _exit(128 + signo);
    }
}

void tsn_signals_install(void)
{
    if (wake >= 0) {
        return;
    }
    wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    TSN_MUST(wake >= 0);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigaddset(&action.sa_mask, SIGTERM);
    sigaddset(&action.sa_mask, SIGINT);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
}

bool tsn_signals_stop(void)
{
    return asked != 0;
}

int tsn_signals_fd(void)
{
    return wake;
}
