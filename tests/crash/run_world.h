/* The world of the crash test: what outlives a process - the log, the
 * checkpoints, time - in one shared mapping, and the doors to Kafka, Redis and
 * the clock that lead into it instead of outside.
 *
 * A life is a child process that runs connectors/run as it is, with these doors
 * linked in place of the real ones. Every call through a door is a point; a
 * life may be told at which point it dies, or pauses while others live (a
 * process that hangs and comes back). One process runs at a time, so nothing
 * needs a lock, and the same seed gives the same history.
 */
#ifndef TSN_TESTS_CRASH_RUN_WORLD_H
#define TSN_TESTS_CRASH_RUN_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "connectors/store/store.h"
#include "tests/fixture/memory_log.h"

enum {
    WORLD_CRASHED = 77, /* exit status of a life that died at its point */
    WORLD_AHEAD = 78,   /* ... that stored a checkpoint ahead of the committed manifests */
    WORLD_PARTITIONS_MAX = 4,
};

/* A record of a checkpoint, newest first. */
struct world_record {
    struct world_record *older;
    enum tsn_snapshot_section section;
    uint8_t key[16];
    bool gone;
    size_t len;
    uint8_t bytes[];
};

struct world {
    struct tsn_memory_log *log;
    uint64_t random;
    /* time */
    int64_t clock_ms; /* moves with every question */
    int64_t start_ms;
    int64_t wall_pace; /* ms of the wall clock a ms of the other; 0: it stands still */
    /* points */
    uint64_t n_points;    /* passed in this life */
    uint64_t crash_at;    /* 0: never */
    uint64_t pause_at;    /* 0: never */
    unsigned lose_commit; /* this commit from now never arrives, and the life pauses; 0: none */
    unsigned last_commit; /* the life dies right after this one from now; 0: none */
    bool may_go_on;       /* the paused life may */
    bool paused;
    /* trouble, in a thousand, of each kind of call; 0 makes everything work */
    unsigned trouble;
    bool backlog;     /* all input is there from the start */
    unsigned arrival; /* else some may arrive with one fetch in so many */
    int32_t leader;   /* number of the one who sits in the leader's seat */
    int32_t n_leaders;
    pid_t leader_pid;      /* 0: the seat is free */
    unsigned idle;         /* fetches of input that gave nothing, one after the other */
    unsigned idle_enough;  /* so many, and the life is asked to stop */
    uint32_t max_resident; /* of the lives to come: engine.max_resident */
    bool retention;        /* what lies before the log's low watermarks is gone */
    /* store */
    uint64_t owner;                    /* 0: nobody */
    struct tsn_checkpoint_meta stored; /* sequence 0: nothing */
    struct world_record *records;      /* of the stored checkpoint */
    /* counters for the report */
    uint64_t n_lives, n_crashes, n_unknown, n_aborts, n_checkpoints, n_fenced;
    uint64_t n_swaps, n_ticks, n_gaps, n_emptied, n_fetches;
};

extern struct world *world;

/* One more point: may end or pause this process. */
void world_point(void);
/* A point where something is left behind: true if the life ends here; then do it and
 * _exit(WORLD_CRASHED). */
bool world_last_point(void);
/* True in `trouble` of a thousand cases, times of/10. */
bool world_unlucky(unsigned tenths);
uint64_t world_dice(void);

#endif
