/* The feed: partitions -> decoded rows, ready to be merged.
 *
 * Every partition is a lane: records are decoded as they are fetched, into chunks
 * of rows, because the merge must see event times before it chooses. A chunk stays
 * until the engine has processed the batch that borrows its text (recycle), then
 * serves again: after warm-up nothing is allocated.
 *
 * A lane whose chunk was full has more waiting: its next one is fetched and decoded by a
 * thread (ahead.h) while this one is taken. Elsewhere a thread would only add its
 * wake-up to every event, so the caller does it himself, and a feed that keeps up has
 * no thread. Chunks of a lane follow each other whoever made them, and a lane whose next
 * chunk is in the works is waited for: the merge sees what was fetched and nothing of
 * threads. With it `./dev bench kafka` needs 0.69 us of the loop's CPU an event, without
 * it 1.02.
 *
 * Bounds: a lane has at most two chunks, the one that is taken and the next; what the
 * library prefetches is bounded by TSN_READER_BUDGET_BYTES over all lanes. Used by the
 * live loop and by the replay of manifests, which differ only in who says what is taken.
 * One thread calls.
 */
#ifndef TSN_CONNECTORS_RUN_FEED_H
#define TSN_CONNECTORS_RUN_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connectors/config/config.h"
#include "connectors/decode/decode.h"
#include "connectors/kafka/kafka.h"
#include "connectors/run/merge.h"
#include "connectors/wire/wire.h"
#include "engine/event/batch.h"

struct tsn_feed;

/* A record that could not be decoded, as the feed keeps it. Value and key are cut one
 * byte beyond what a reject may carry, so that whoever writes it sees that they were
 * too long. Lives until the feed is recycled. */
struct tsn_rejected {
    struct tsn_record record;
    struct tsn_reject reject;
    const char *key;
    size_t key_len;
    size_t n_headers;
    const struct tsn_header *headers;
};

enum { TSN_REJECTED_VALUE_MAX = 64 * 1024 };

typedef void tsn_feed_sink(void *user, const struct tsn_rejected *rejected);

/* Opens a reader on all origins at positions[]; every origin's topic must be a
 * source of the configuration. Origins and program are borrowed. */
struct tsn_feed *tsn_feed_open(const struct tsn_config *config, const struct tsn_program *prog,
                               const struct tsn_origin *origins, const int64_t *positions, size_t n,
                               struct tsn_failure *failure);
/* Waits for the chunk in the works. */
void tsn_feed_close(struct tsn_feed *feed);

/* Fetches and decodes for every lane that has nothing ready, or waits until that is done;
 * false: a partition cannot be read on. */
bool tsn_feed_fill(struct tsn_feed *feed, int64_t now_ms, struct tsn_failure *failure);
/* The same for one lane. */
bool tsn_feed_fill_lane(struct tsn_feed *feed, size_t lane, int64_t now_ms,
                        struct tsn_failure *failure);

/* As of the last fill or take; lanes in the order of the origins. A lane that a take
 * emptied must be filled before the merge chooses again. */
const struct tsn_merge *tsn_feed_merge(const struct tsn_feed *feed);

/* Takes events of a lane in offset order: while their time is <= until_ms, their
 * offset < limit, and `into` has room; `into` refers to them (tsn_batch_settle). Rejects among and
 * right after them go to the sink. Moves the lane's position to the next record that is known of
 * (or to `limit`), past offsets that never held a record. Returns the new position. */
int64_t tsn_feed_take(struct tsn_feed *feed, size_t lane, tsn_event_ms until_ms, int64_t limit,
                      struct tsn_batch *into, tsn_feed_sink *sink, void *user);

/* Rows taken since the last recycle are not needed any more. */
void tsn_feed_recycle(struct tsn_feed *feed);
/* Chunks that wait for it. */
size_t tsn_feed_spent(const struct tsn_feed *feed);

/* The next offset to be taken. */
int64_t tsn_feed_position(const struct tsn_feed *feed, size_t lane);
/* Records (and markers) between the position and the end, over all lanes, as far as
 * known. */
uint64_t tsn_feed_lag(const struct tsn_feed *feed);
/* Kafka's timestamp of the first record fetched on a lane; TSN_NO_TIMESTAMP. */
int64_t tsn_feed_first_timestamp(const struct tsn_feed *feed, size_t lane);

struct tsn_reader *tsn_feed_reader(struct tsn_feed *feed);

#endif
