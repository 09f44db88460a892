/* Sender: puts records on input topics, as a carrier's mediation or a bank would.
 *
 * For the demo and benchmarks only: the engine's own output goes through the
 * publisher's transactions. Plain idempotent producer, lz4; not thread-safe.
 */
#ifndef TSN_CONNECTORS_KAFKA_SENDER_H
#define TSN_CONNECTORS_KAFKA_SENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connectors/failure/failure.h"
#include "connectors/wire/wire.h"

struct tsn_sender;

/* bootstrap: host:port, ... NULL on failure. */
struct tsn_sender *tsn_sender_open(const char *bootstrap, struct tsn_failure *failure);
/* Undelivered records are lost: flush first. */
void tsn_sender_close(struct tsn_sender *sender);

/* Copies key and value into the queue; waits while the queue is full. The key
 * decides the partition. timestamp_ms becomes the record's. */
bool tsn_sender_send(struct tsn_sender *sender, const char *topic, const char *key, size_t key_len,
                     const char *value, size_t len, int64_t timestamp_ms,
                     struct tsn_failure *failure);

/* The same with the record's headers; timestamp_ms 0: now. */
bool tsn_sender_message(struct tsn_sender *sender, const struct tsn_message *message,
                        int64_t timestamp_ms, struct tsn_failure *failure);

/* Asks for these topics now: the first record to a topic would otherwise wait up to a
 * second for its metadata. Once. */
void tsn_sender_know(struct tsn_sender *sender, const char *const *topics, size_t n);

/* Waits until everything sent is delivered, at most timeout_ms. */
bool tsn_sender_flush(struct tsn_sender *sender, int timeout_ms, struct tsn_failure *failure);

/* Records delivered so far; refused ones make the next call fail. */
uint64_t tsn_sender_delivered(const struct tsn_sender *sender);

#endif
