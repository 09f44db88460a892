#include "connectors/run/merge.h"

#include <stdbool.h>

static tsn_event_ms add(tsn_event_ms t, tsn_duration_ms d)
{
    return t > INT64_MAX - d ? INT64_MAX : t + d;
}

struct tsn_merge_choice tsn_merge_choose(const struct tsn_merge_lane *lanes, size_t n,
                                         tsn_duration_ms slack_ms, int64_t now_ms)
{
    size_t oldest = n;
    tsn_event_ms oldest_ms = INT64_MAX;
    tsn_event_ms second_ms = INT64_MAX; /* head of the next partition */
    int64_t wake_ms = INT64_MAX;
    bool behind = false;
    for (size_t i = 0; i < n; i++) {
        if (lanes[i].state == TSN_LANE_READY) {
            if (oldest == n || lanes[i].head_ms < oldest_ms) {
                second_ms = oldest_ms;
                oldest = i;
                oldest_ms = lanes[i].head_ms;
            } else if (lanes[i].head_ms < second_ms) {
                second_ms = lanes[i].head_ms;
            }
        } else if (lanes[i].state == TSN_LANE_BEHIND) {
            behind = true;
            if (now_ms < lanes[i].wait_until_ms && lanes[i].wait_until_ms < wake_ms) {
                wake_ms = lanes[i].wait_until_ms;
            }
        }
    }
    if (wake_ms != INT64_MAX || (oldest == n && behind)) {
        return (struct tsn_merge_choice){.verdict = TSN_MERGE_WAIT, .wake_ms = wake_ms};
    }
    if (oldest == n) {
        return (struct tsn_merge_choice){.verdict = TSN_MERGE_IDLE, .wake_ms = INT64_MAX};
    }
    return (struct tsn_merge_choice){
        .verdict = TSN_MERGE_RUN,
        .lane = oldest,
        .until_ms = second_ms == INT64_MAX ? INT64_MAX : add(second_ms, slack_ms),
        .wake_ms = INT64_MAX,
    };
}
