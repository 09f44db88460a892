/* Mock broker: librdkafka's own test cluster, so that a first run needs no JVM.
 *
 * Good for a demo and nothing else: its transactions are a facade (offsets sent in
 * one are dropped, aborted records are visible, nobody is fenced), it keeps about
 * 5 MiB a partition, it has no admin calls - so whoever starts it names the topics.
 * No claim about delivery is tested on it.
 */
#ifndef TSN_CONNECTORS_KAFKA_MOCK_BROKER_H
#define TSN_CONNECTORS_KAFKA_MOCK_BROKER_H

#include <stddef.h>
#include <stdint.h>

#include "connectors/failure/failure.h"

struct tsn_mock_broker;

struct tsn_mock_topic {
    const char *name;
    int32_t n_partitions;
};

/* Listens on a free port of 127.0.0.1 as soon as it returns; threads of its own
 * serve it. NULL on failure. */
struct tsn_mock_broker *tsn_mock_broker_start(const struct tsn_mock_topic *topics, size_t n,
                                              struct tsn_failure *failure);
/* Everything it held is gone. */
void tsn_mock_broker_stop(struct tsn_mock_broker *broker);

/* host:port; the broker's. */
const char *tsn_mock_broker_bootstrap(const struct tsn_mock_broker *broker);

#endif
