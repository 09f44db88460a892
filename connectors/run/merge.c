#include "connectors/run/merge.h"

#include <stdbool.h>
#include <stdlib.h>

#include "rules/must/must.h"

/* A head as a number that is the smaller the older it is; the lane is not READY. */
#define NO_HEAD UINT64_MAX
#define NO_LANE UINT32_MAX

struct tsn_merge {
    size_t n;
    size_t n_behind;
    struct tsn_merge_lane *lanes;
    /* [2 * size] a binary tree: 1 is its root, the children of k are 2k and 2k + 1, the leaf
     * of lane i is size + i; a node has the key and the lane of the older of its children. */
    size_t size;
    uint64_t *keys;
    uint32_t *winners;
};

static uint64_t key_of(const struct tsn_merge_lane *lane)
{
    if (lane->state != TSN_LANE_READY) {
        return NO_HEAD;
    }
    uint64_t key = (uint64_t)lane->head_ms ^ (UINT64_C(1) << 63);
    return key == NO_HEAD ? NO_HEAD - 1 : key; /* the end of time is an instant early */
}

struct tsn_merge *tsn_merge_new(size_t n)
{
    TSN_MUST(n < NO_LANE / 2);
    struct tsn_merge *merge = calloc(1, sizeof *merge);
    TSN_MUST_ALLOC(merge);
    merge->n = n;
    merge->n_behind = n;
    for (merge->size = 1; merge->size < n;) {
        merge->size *= 2;
    }
    merge->lanes = calloc(n ? n : 1, sizeof *merge->lanes);
    merge->keys = calloc(2 * merge->size, sizeof *merge->keys);
    merge->winners = calloc(2 * merge->size, sizeof *merge->winners);
    TSN_MUST_ALLOC(merge->lanes);
    TSN_MUST_ALLOC(merge->keys);
    TSN_MUST_ALLOC(merge->winners);
    for (size_t i = 0; i < 2 * merge->size; i++) {
        merge->keys[i] = NO_HEAD;
        merge->winners[i] = NO_LANE;
    }
    for (size_t i = 0; i < n; i++) {
        merge->lanes[i] =
            (struct tsn_merge_lane){.state = TSN_LANE_BEHIND, .wait_until_ms = INT64_MIN};
    }
    return merge;
}

void tsn_merge_free(struct tsn_merge *merge)
{
    if (merge) {
        free(merge->lanes);
        free(merge->keys);
        free(merge->winners);
        free(merge);
    }
}

void tsn_merge_set(struct tsn_merge *merge, size_t i, struct tsn_merge_lane lane)
{
    TSN_MUST(i < merge->n);
    merge->n_behind -= merge->lanes[i].state == TSN_LANE_BEHIND;
    merge->n_behind += lane.state == TSN_LANE_BEHIND;
    merge->lanes[i] = lane;
    size_t at = merge->size + i;
    uint64_t key = key_of(&lane);
    if (merge->keys[at] == key) {
        return;
    }
    uint32_t winner = key == NO_HEAD ? NO_LANE : (uint32_t)i;
    for (;; at /= 2) {
        merge->keys[at] = key;
        merge->winners[at] = winner;
        if (at == 1) {
            return;
        }
        /* Who is older cannot be predicted: values are chosen here, not ways. */
        uint64_t met = merge->keys[at ^ 1];
        bool lost = (met < key) | ((met == key) & (at & 1)); /* the left one wins a tie */
        winner = lost ? merge->winners[at ^ 1] : winner;
        key = lost ? met : key;
    }
}

const struct tsn_merge_lane *tsn_merge_lanes(const struct tsn_merge *merge)
{
    return merge->lanes;
}

static tsn_event_ms add(tsn_event_ms t, tsn_duration_ms d)
{
    return t > INT64_MAX - d ? INT64_MAX : t + d;
}

/* The earliest end of a wait that is not over; INT64_MAX: nobody is waited for. */
static int64_t wake_ms(const struct tsn_merge *merge, int64_t now_ms)
{
    int64_t wake = INT64_MAX;
    for (size_t i = 0; merge->n_behind && i < merge->n; i++) {
        const struct tsn_merge_lane *lane = &merge->lanes[i];
        if (lane->state == TSN_LANE_BEHIND && now_ms < lane->wait_until_ms &&
            lane->wait_until_ms < wake) {
            wake = lane->wait_until_ms;
        }
    }
    return wake;
}

/* Who would have won without the winner: the oldest of those that he met. */
static uint32_t second(const struct tsn_merge *merge, uint32_t winner)
{
    uint64_t key = NO_HEAD;
    uint32_t best = NO_LANE;
    for (size_t at = merge->size + winner; at > 1; at /= 2) {
        uint64_t met = merge->keys[at ^ 1];
        best = met < key ? merge->winners[at ^ 1] : best;
        key = met < key ? met : key;
    }
    return best;
}

struct tsn_merge_choice tsn_merge_choose(const struct tsn_merge *merge, tsn_duration_ms slack_ms,
                                         int64_t now_ms)
{
    uint32_t oldest = merge->winners[1];
    int64_t wake = wake_ms(merge, now_ms);
    if (wake != INT64_MAX || (oldest == NO_LANE && merge->n_behind)) {
        return (struct tsn_merge_choice){.verdict = TSN_MERGE_WAIT, .wake_ms = wake};
    }
    if (oldest == NO_LANE) {
        return (struct tsn_merge_choice){.verdict = TSN_MERGE_IDLE, .wake_ms = INT64_MAX};
    }
    uint32_t next = second(merge, oldest);
    return (struct tsn_merge_choice){
        .verdict = TSN_MERGE_RUN,
        .lane = oldest,
        .until_ms = next == NO_LANE ? INT64_MAX : add(merge->lanes[next].head_ms, slack_ms),
        .wake_ms = INT64_MAX,
    };
}
