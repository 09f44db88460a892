/* What the processes of bench recovery tell each other, and how it is said. */
#ifndef TSN_BENCH_RECOVERY_REPORT_H
#define TSN_BENCH_RECOVERY_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/recovery_plain.h"

enum {
    RECOVERY_BATCH = 4096,
    RECOVERY_DIRTY_PER_S = 50000,
    RECOVERY_PHASES = 5, /* with and without checkpoints, each */
    RECOVERY_RESTORES_MAX = 99,
};

/* Longest of its kind, in milliseconds. */
struct recovery_stall {
    double cpu_ms, wall_ms;
    bool begins;     /* the longest was the first call of its cut */
    uint64_t faults; /* in the longest: first touches of pages */
    double check_ms; /* longest check of the machine beside them */
};

/* One restore, and the plain read that followed it. */
struct recovery_restored {
    double load_s, cpu_s; /* cpu_s: of all its threads */
    double redis_cpu_s;   /* meanwhile, of the server */
    uint64_t records;
    uint64_t digest[2];
    char alert[256];
    double alert_at_s; /* after its start; of the standby, after the kill */
    double touch_ns;   /* what a byte of memory took at its first touch, just before */
    struct recovery_plain plain;
    double plain_redis_cpu_s;
};

/* In shared memory. */
struct recovery_report {
    volatile int ready; /* the state is stored, and the process waits for its death */
    uint64_t entities, rows, state_bytes;
    uint64_t last_bytes; /* of state, when it was stored for the last time */
    uint64_t n_rows;     /* processed before the probe */
    uint64_t redis_before, redis_after;
    uint64_t memory_before, memory_peak;       /* of the process, around the whole checkpoint */
    uint64_t n_dirty, dirty_bytes, sent_bytes; /* of the checkpoints between phases */
    double whole_s, dirty_per_s;
    double dirty_cpu_us; /* what a dirty entity takes of the engine's thread */
    double steps_cpu_us; /* ... and of that in the steps of cuts */
    struct recovery_stall whole, incremental;
    double check_ms; /* of the machine, between the phases' steps: mean */
    double without_ns[RECOVERY_PHASES], with_ns[RECOVERY_PHASES]; /* an event, processor time */
    double without_ms, with_ms;                                 /* longest batch, processor time */
    double ratio[RECOVERY_PHASES], wall_ratio[RECOVERY_PHASES]; /* of each pair of phases */
    uint64_t digest[2];
    char alert[256];
    volatile int standby_loaded;
    volatile double killed_s; /* 0: not yet */
    struct recovery_restored standby, heir, fresh;
    struct recovery_restored restored[RECOVERY_RESTORES_MAX];
};

/* Each when it is known. */
void recovery_say_state(const struct recovery_report *report);
void recovery_say_whole(const struct recovery_report *report);
void recovery_say_phases(struct recovery_report *report);
void recovery_say_restore(const struct recovery_restored *restored);
/* The median of n, which the floor is for. */
void recovery_say_restores(const struct recovery_report *report, int n);
void recovery_say_fresh(const struct recovery_report *report);

#endif
