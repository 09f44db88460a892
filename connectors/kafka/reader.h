/* What the publisher needs of a reader beyond the door. */
#ifndef TSN_CONNECTORS_KAFKA_READER_H
#define TSN_CONNECTORS_KAFKA_READER_H

#include "connectors/kafka/kafka.h"

/* rd_kafka_consumer_group_metadata_t of the group that its positions are committed for
 * (it is no member of it), the caller's. */
void *tsn_reader_group(const struct tsn_reader *reader);

#endif
