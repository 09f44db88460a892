#include "bench/recovery_memory.h"

#include <math.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rules/must/must.h"

enum {
    PAGE = 4096,
    HUGE_PAGE = 2 * 1024 * 1024,
    POLL_US = 5000,
    USES_MAX = 6,
};

struct recovery_memory {
    pid_t child;              /* the starter's to know */
    volatile double touch_ns; /* 0: not all touched yet */
};

static double wall_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint64_t whole_pages(uint64_t bytes)
{
    return (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
}

/* bytes: whole huge pages. *touch_ns: a byte. */
static uint8_t *touched(uint64_t bytes, double *touch_ns)
{
    uint8_t *at =
        mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TSN_MUST(at != MAP_FAILED);
    at += HUGE_PAGE - (uintptr_t)at % HUGE_PAGE;
    madvise(at, bytes, MADV_HUGEPAGE); /* as the engine's pool has it */
    double from_s = wall_s();
    for (uint64_t i = 0; i < bytes; i += PAGE) {
        ((volatile uint8_t *)at)[i] = 1;
    }
    *touch_ns = (wall_s() - from_s) * 1e9 / (double)bytes;
    return at;
}

/* What the two share. */
static struct recovery_memory *memory_new(void)
{
    struct recovery_memory *memory =
        mmap(NULL, sizeof *memory, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    TSN_MUST(memory != MAP_FAILED);
    return memory;
}

double recovery_memory_touch(uint64_t bytes)
{
    struct recovery_memory *memory = memory_new();
    pid_t child = fork();
    TSN_MUST(child >= 0);
    if (child == 0) {
        double touch_ns;
        touched(whole_pages(bytes), &touch_ns);
        memory->touch_ns = touch_ns;
        _exit(0);
    }
    waitpid(child, NULL, 0);
    double touch_ns = memory->touch_ns;
    TSN_MUST(touch_ns > 0); /* else the machine has not so much memory */
    munmap(memory, sizeof *memory);
    return touch_ns;
}

void recovery_memory_use(uint64_t bytes)
{
    double before_ns = HUGE_VAL;
    double touch_ns = recovery_memory_touch(bytes);
    for (int i = 1; i < USES_MAX && touch_ns < before_ns * 2 / 3; i++) {
        before_ns = touch_ns;
        touch_ns = recovery_memory_touch(bytes);
    }
}

/* An eighth is given back before the restore begins, for what it takes at once. */
static _Noreturn void hold(struct recovery_memory *memory, uint64_t bytes,
                           const volatile uint64_t *done, uint64_t all)
{
    double touch_ns;
    uint8_t *at = touched(bytes, &touch_ns);
    uint64_t given = 0;
    for (;;) {
        double part = fmin(1, 0.125 + (double)*done / (double)all);
        uint64_t due = (uint64_t)(part * (double)bytes) / HUGE_PAGE * HUGE_PAGE;
        if (due > given) {
            munmap(at + given, due - given);
            given = due;
        }
        memory->touch_ns = touch_ns;
        usleep(POLL_US);
    }
}

struct recovery_memory *recovery_memory_hold(uint64_t bytes, const volatile uint64_t *done,
                                             uint64_t all, double *touch_ns)
{
    struct recovery_memory *memory = memory_new();
    pid_t child = fork();
    TSN_MUST(child >= 0);
    if (child == 0) {
        hold(memory, whole_pages(bytes), done, all);
    }
    memory->child = child;
    while (memory->touch_ns == 0) {
        TSN_MUST(waitpid(child, NULL, WNOHANG) == 0); /* as above */
        usleep(POLL_US);
    }
    *touch_ns = memory->touch_ns;
    return memory;
}

void recovery_memory_end(struct recovery_memory *memory)
{
    kill(memory->child, SIGKILL);
    waitpid(memory->child, NULL, 0);
    munmap(memory, sizeof *memory);
}
