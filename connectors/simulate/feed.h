/* Feed: records on their way to the topics' files, in the order of their arrival.
 *
 * Makers of events add records due now or later (a call is written when it ends, a
 * late record when it gets here); a flush writes those due before an instant, oldest
 * first, and keeps the rest. What is kept is bounded by calls under way and records
 * held back, not by the length of the run.
 */
#ifndef TSN_CONNECTORS_SIMULATE_FEED_H
#define TSN_CONNECTORS_SIMULATE_FEED_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "connectors/failure/failure.h"

/* The topics of the canonical schemas, and the file of each. */
#define TSN_FEED_TABLE(X)                                                                          \
    X(CALLS, "cdr.call")                                                                           \
    X(MESSAGES, "cdr.sms")                                                                         \
    X(PAYMENTS, "bank.txn")                                                                        \
    X(LINES, "line.lifecycle")

enum tsn_feed_topic {
#define TSN_FEED_ENUM(id, topic) TSN_FEED_##id,
    TSN_FEED_TABLE(TSN_FEED_ENUM)
#undef TSN_FEED_ENUM
        TSN_FEED_TOPICS
};

const char *tsn_feed_topic_name(enum tsn_feed_topic topic);

struct tsn_feed;

/* Creates folder (if absent) and one <topic>.ndjson a topic in it. NULL on failure.
 * dirty: duplicates, late and broken records as a real feed has them. */
struct tsn_feed *tsn_feed_open(const char *folder, uint64_t seed, bool dirty,
                               struct tsn_failure *failure);

/* The text is a JSON object without its closing brace and newline; the feed appends
 * the time of arrival. event_ms is what the record itself says. */
void tsn_feed_add(struct tsn_feed *feed, enum tsn_feed_topic topic, int64_t event_ms,
                  const char *text, size_t len);

/* Writes what is due before `until_ms` (INT64_MAX: all of it). */
bool tsn_feed_flush(struct tsn_feed *feed, int64_t until_ms, struct tsn_failure *failure);

/* Flushes the files and closes them. False if the disk refused. */
bool tsn_feed_close(struct tsn_feed *feed, struct tsn_failure *failure);

struct tsn_feed_counts {
    uint64_t records[TSN_FEED_TOPICS];
    uint64_t duplicates, late, broken;
    uint64_t bytes;
};

struct tsn_feed_counts tsn_feed_counts(const struct tsn_feed *feed);

#endif
