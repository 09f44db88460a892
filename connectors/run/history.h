/* History: the committed manifests, read from Kafka.
 *
 * The newest is found by reading from near the end and doubling the distance: the
 * last offset of the topic is usually a commit marker, never delivered, and an
 * aborted transaction may hide many records. A sequence is found the same way,
 * backwards; sequences ascend with offsets because one leader writes at a time and
 * fencing settles his last transaction first.
 */
#ifndef TSN_CONNECTORS_RUN_HISTORY_H
#define TSN_CONNECTORS_RUN_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "connectors/config/config.h"
#include "connectors/kafka/kafka.h"
#include "connectors/wire/wire.h"
#include "rules/arena/arena.h"

struct tsn_history;

/* `kafka` is borrowed. */
struct tsn_history *tsn_history_open(const struct tsn_config *config, struct tsn_kafka *kafka,
                                     struct tsn_failure *failure);
void tsn_history_close(struct tsn_history *history);

/* The newest committed manifest, in the arena; *found false: there is none. */
bool tsn_history_tail(struct tsn_history *history, struct tsn_arena *arena,
                      struct tsn_manifest *manifest, bool *found, struct tsn_failure *failure);

/* When the one that tail found last was written, wall clock. */
int64_t tsn_history_tail_ms(const struct tsn_history *history);

/* The next call of next gives the first manifest whose sequence is >= sequence. */
bool tsn_history_seek(struct tsn_history *history, uint64_t sequence, struct tsn_failure *failure);
/* The next manifest, valid until the next call; *end at the end of what was
 * committed. *timestamp_ms: when it was written (may be NULL). */
bool tsn_history_next(struct tsn_history *history, struct tsn_manifest *manifest, bool *end,
                      int64_t *timestamp_ms, struct tsn_failure *failure);

/* The same for whoever follows: never waits. *found false: nothing more is committed
 * as far as is known; wait for tsn_history_fd and ask again. */
bool tsn_history_try(struct tsn_history *history, struct tsn_manifest *manifest, bool *found,
                     int64_t *timestamp_ms, struct tsn_failure *failure);
/* Readable when there may be more. After a seek. */
int tsn_history_fd(const struct tsn_history *history);
/* Manifests between the one given last and the end of the topic, as of the last fetch;
 * aborted transactions count as well. A local read. */
uint64_t tsn_history_behind(const struct tsn_history *history);

#endif
