/* The event-time merge: which partition is taken from next, and how far.
 *
 * Values in, a choice out; it knows no Kafka and no clock. Partitions of a backlog drift apart by
 * hours if each is read as fast as it comes; then a transfer is scored before the call that
 * explains it. So the loop always takes the partition whose next event is oldest.
 * Taking one event at a time would be exact and slow; a run may go on until it is
 * `slack` ahead of the next partition's head, which is what the timers' grace
 * allows for.
 *
 * A partition that stands at its end is never waited for; one that is behind its
 * end and has nothing fetched is, but not longer than `wait`, so that one slow
 * broker delays warnings by that much and no more. What the loop chose is in the
 * manifest: two live runs may choose differently, a replay may not.
 *
 * Nearly every row of a backlog is chosen by itself, so the heads stand in a tournament:
 * a row costs the logarithm of the lanes. Choosing and moving on took 28 ns with 12 lanes,
 * 48 with 120 and 83 with 1,200; a walk over all lanes 21, 128 and 1,050
 * (`./dev bench kafka --partitions N` shows it in the loop's CPU an event).
 */
#ifndef TSN_CONNECTORS_RUN_MERGE_H
#define TSN_CONNECTORS_RUN_MERGE_H

#include <stddef.h>
#include <stdint.h>

#include "rules/column/column.h"

enum tsn_lane_state {
    TSN_LANE_READY,  /* has an event: head_ms */
    TSN_LANE_AT_END, /* nothing more is in the partition */
    TSN_LANE_BEHIND, /* there is more, but nothing has been fetched */
};

struct tsn_merge_lane {
    enum tsn_lane_state state;
    tsn_event_ms head_ms;  /* READY: time of its next event */
    int64_t wait_until_ms; /* BEHIND: waited for until then, monotonic */
};

enum tsn_merge_verdict {
    TSN_MERGE_RUN,  /* take from `lane` while the next event's time <= until_ms */
    TSN_MERGE_WAIT, /* nothing before wake_ms, unless something is fetched */
    TSN_MERGE_IDLE, /* every partition stands at its end */
};

struct tsn_merge_choice {
    enum tsn_merge_verdict verdict;
    size_t lane;
    tsn_event_ms until_ms;
    int64_t wake_ms; /* INT64_MAX: only something fetched helps */
};

struct tsn_merge;

/* All lanes are BEHIND, with a wait that is over. Not NULL. */
struct tsn_merge *tsn_merge_new(size_t n);
void tsn_merge_free(struct tsn_merge *merge);

/* A lane has changed. O(log n). */
void tsn_merge_set(struct tsn_merge *merge, size_t i, struct tsn_merge_lane lane);
/* [n] as set. */
const struct tsn_merge_lane *tsn_merge_lanes(const struct tsn_merge *merge);

/* Ties go to the lane that comes first. O(log n); O(n) while a lane is BEHIND. */
struct tsn_merge_choice tsn_merge_choose(const struct tsn_merge *merge, tsn_duration_ms slack_ms,
                                         int64_t now_ms);

#endif
