/* Tape: records on their way to the topics' files, in the order of their arrival.
 *
 * Makers of events add records due now or later (a call is written when it ends, a
 * late record when it gets here); a flush writes those due before an instant, oldest
 * first, and keeps the rest. What is kept is bounded by calls under way and records
 * held back, not by the length of the run.
 */
#ifndef TSN_CONNECTORS_SIMULATE_TAPE_H
#define TSN_CONNECTORS_SIMULATE_TAPE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "connectors/failure/failure.h"

/* The topics of the canonical schemas, and the file of each. */
#define TSN_TAPE_TABLE(X)                                                                          \
    X(CALLS, "cdr.call")                                                                           \
    X(MESSAGES, "cdr.sms")                                                                         \
    X(PAYMENTS, "bank.txn")                                                                        \
    X(LINES, "line.lifecycle")

enum tsn_tape_topic {
#define TSN_TAPE_ENUM(id, topic) TSN_TAPE_##id,
    TSN_TAPE_TABLE(TSN_TAPE_ENUM)
#undef TSN_TAPE_ENUM
        TSN_TAPE_TOPICS
};

const char *tsn_tape_topic_name(enum tsn_tape_topic topic);

struct tsn_tape;

/* Creates folder (if absent) and one <topic>.ndjson a topic in it. NULL on failure.
 * dirty: duplicates, late and broken records as a real tape has them. */
struct tsn_tape *tsn_tape_open(const char *folder, uint64_t seed, bool dirty,
                               struct tsn_failure *failure);

/* The text is a JSON object without its closing brace and newline; the tape appends
 * the time of arrival. event_ms is what the record itself says. */
void tsn_tape_add(struct tsn_tape *tape, enum tsn_tape_topic topic, int64_t event_ms,
                  const char *text, size_t len);

/* Writes what is due before `until_ms` (INT64_MAX: all of it). */
bool tsn_tape_flush(struct tsn_tape *tape, int64_t until_ms, struct tsn_failure *failure);

/* Flushes the files and closes them. False if the disk refused. */
bool tsn_tape_close(struct tsn_tape *tape, struct tsn_failure *failure);

struct tsn_tape_counts {
    uint64_t records[TSN_TAPE_TOPICS];
    uint64_t duplicates, late, broken;
    uint64_t bytes;
};

struct tsn_tape_counts tsn_tape_counts(const struct tsn_tape *tape);

#endif
