/* Points, dice, the clock, signals and the log of a life. */
#include "tests/crash/run_world.h"

#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "connectors/run/clock.h"
#include "connectors/run/log.h"
#include "connectors/run/signals.h"

struct world *world;

uint64_t world_dice(void)
{
    uint64_t x = world->random += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

bool world_unlucky(unsigned tenths)
{
    return world_dice() % 10000 < (uint64_t)world->trouble * tenths;
}

bool world_last_point(void)
{
    return ++world->n_points == world->crash_at;
}

void world_point(void)
{
    if (world_last_point()) {
        _exit(WORLD_CRASHED);
    }
    if (world->n_points == world->pause_at) {
        world->paused = true;
        raise(SIGSTOP);
    }
}

/* ---- connectors/run/clock.h: a question takes a while, so that time-outs pass
 * ----------- */

int64_t tsn_clock_monotonic_ms(void)
{
    return world->clock_ms += (int64_t)(world_dice() % 3);
}

int64_t tsn_clock_wall_ms(void)
{
    return world->start_ms + tsn_clock_monotonic_ms() * world->wall_pace;
}

/* ---- connectors/run/signals.h
 * ------------------------------------------------------------ */

void tsn_signals_install(void)
{
}

/* SIGTERM comes when there is nothing left to do. */
bool tsn_signals_stop(void)
{
    world_point();
    return world->idle > world->idle_enough;
}

/* Always readable: nothing in a life sleeps. */
int tsn_signals_fd(void)
{
    static int fd = -1;
    if (fd < 0) {
        fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
    }
    return fd;
}

/* ---- connectors/run/log.h
 * ------------------------------------------------------------------ */

void tsn_log(const char *format, ...)
{
    if (getenv("TSN_CRASH_LOG")) {
        va_list args;
        va_start(args, format);
        fprintf(stderr, "[%d] ", (int)getpid());
        vfprintf(stderr, format, args);
        fputc('\n', stderr);
        va_end(args);
    }
}

/* ---- malloc.h: a life is too short for the large steps of a server's arena */

int mallopt(int param, int value)
{
    (void)param;
    (void)value;
    return 1;
}
