#include "connectors/run/signals.h"

#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "rules/must/must.h"

static volatile sig_atomic_t asked;
static int wake = -1;

static void on_signal(int signo)
{
    if (asked) {
        _exit(128 + signo);
    }
    asked = 1;
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
