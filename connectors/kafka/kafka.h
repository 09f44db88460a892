/* The door to Kafka: asking, reading partitions, publishing transactions, leading.
 *
 * librdkafka is included in this folder and nowhere else; nothing of it shows
 * here. Four things stand behind the door, each with its own connection:
 *
 *   tsn_kafka       questions: cluster id, partition counts, watermarks, settings,
 *                   and the admin calls of `tocsin topics`
 *   tsn_reader      records of given partitions from given offsets. Every partition
 *                   keeps a queue of its own, so that the caller decides which one
 *                   it takes from next; nothing is ever paused, sought or rebalanced
 *   tsn_publisher   one transaction after another, in a thread of its own
 *   tsn_leader      membership of a group of one: whoever owns the manifest's only
 *                   partition leads
 *
 * Each function says in its failure what its caller must do (enum tsn_remedy).
 */
#ifndef TSN_CONNECTORS_KAFKA_KAFKA_H
#define TSN_CONNECTORS_KAFKA_KAFKA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connectors/config/config.h"
#include "connectors/failure/failure.h"
#include "connectors/wire/wire.h"

/* ---- questions ---------------------------------------------------------------- */

struct tsn_kafka;

enum { TSN_CLUSTER_ID_MAX = 64 };

/* Makes a connection; does not wait for a broker. NULL: a property was refused. */
struct tsn_kafka *tsn_kafka_open(const struct tsn_config *config, struct tsn_failure *failure);
void tsn_kafka_close(struct tsn_kafka *kafka);

/* Remedy RETRY while no broker answers within timeout_ms. */
bool tsn_kafka_cluster_id(struct tsn_kafka *kafka, char id[TSN_CLUSTER_ID_MAX], int timeout_ms,
                          struct tsn_failure *failure);

struct tsn_topic_count {
    const char *name;
    int32_t n_partitions; /* out; 0: there is no such topic */
};

/* Fills the partition count of every topic. Creates none. */
bool tsn_kafka_count(struct tsn_kafka *kafka, struct tsn_topic_count *topics, size_t n,
                     int timeout_ms, struct tsn_failure *failure);

/* Offsets held by the broker: low is the oldest, high one beyond the newest. */
bool tsn_kafka_watermarks(struct tsn_kafka *kafka, const char *topic, int32_t partition,
                          int64_t *low, int64_t *high, int timeout_ms, struct tsn_failure *failure);

/* A setting of a topic as text, such as cleanup.policy. An empty text where the
 * broker cannot say (embedded test brokers). */
bool tsn_kafka_topic_setting(struct tsn_kafka *kafka, const char *topic, const char *name,
                             char *value, size_t cap, int timeout_ms, struct tsn_failure *failure);

/* replication 0: the broker's default. Returns when the topic can be used: the brokers
 * name it and each partition has a leader, for which it waits up to 10 s. A topic that
 * exists is left as it is. */
bool tsn_kafka_topic_create(struct tsn_kafka *kafka, const char *topic, int32_t n_partitions,
                            int replication, const struct tsn_property *settings, size_t n_settings,
                            int timeout_ms, struct tsn_failure *failure);

/* ---- reading ------------------------------------------------------------------ */

struct tsn_reader;

struct tsn_reader_partition {
    const char *topic;
    int32_t partition;
    int64_t start;
};

enum tsn_fetched_kind {
    TSN_FETCHED_RECORD,
    TSN_FETCHED_END, /* the reader stands at the partition's end, `offset` */
};

struct tsn_fetched {
    enum tsn_fetched_kind kind;
    int64_t offset;
    int64_t timestamp_ms; /* TSN_NO_TIMESTAMP: none */
    const char *value;    /* NULL: a tombstone */
    size_t len;
    const char *key; /* or NULL */
    size_t key_len;
    void *message; /* whose bytes these are; NULL of an end */
};

/* What the reader may hold ready, over all partitions together, in payload; the library
 * keeps about as much again beside it. It is filled only while catching up. The library
 * looks at full queues again up to a second later, so less than what a second of the
 * fastest catch-up eats lets them run dry: with 64 MiB the loop waited half of its time
 * (bench kafka: 319 k events/s, with 256 MiB 799 k). */
enum { TSN_READER_BUDGET_BYTES = 256 << 20 };

/* Begins to fetch. The partitions' names are copied. budget_bytes is shared evenly:
 * the library's own limit counts per partition. */
struct tsn_reader *tsn_reader_open(const struct tsn_config *config,
                                   const struct tsn_reader_partition *partitions, size_t n,
                                   size_t budget_bytes, struct tsn_failure *failure);
void tsn_reader_close(struct tsn_reader *reader);

/* A file descriptor that becomes readable when a partition that had nothing has
 * something. Empty it (quiet) before looking at the partitions, not after. */
int tsn_reader_fd(const struct tsn_reader *reader);
void tsn_reader_quiet(struct tsn_reader *reader);

/* Takes up to `cap` items of one partition, in offset order, without waiting; fewer:
 * there are no more at present. They are the caller's, who gives them back
 * (tsn_fetched_release) before the reader is closed. False: the partition cannot be
 * read on; *n items before that were given all the same. Any thread, if no other
 * fetches from the same partition. */
bool tsn_reader_fetch(struct tsn_reader *reader, size_t partition, struct tsn_fetched *items,
                      size_t cap, size_t *n, struct tsn_failure *failure);
/* Their bytes are not needed any more. Any thread. */
void tsn_fetched_release(struct tsn_fetched *items, size_t n);

/* The headers of a record, at most `cap`; borrowed from it. */
size_t tsn_fetched_headers(const struct tsn_fetched *item, struct tsn_header *headers, size_t cap);

/* The end of the partition as of the last fetch that gave something; -1 unknown. A
 * local read. Control records count, so a partition may stand at its end below it. */
int64_t tsn_reader_end(const struct tsn_reader *reader, size_t partition);

/* Serves what the library wants to say (lost brokers and the like). True while a
 * broker is known to be unreachable; *text says why. Call about once a second. */
bool tsn_reader_trouble(struct tsn_reader *reader, struct tsn_failure *failure);

/* ---- publishing --------------------------------------------------------------- */

struct tsn_publisher;

/* One transaction's worth. Everything is borrowed until it is done. */
struct tsn_publication {
    uint64_t sequence; /* of the manifest among the messages */
    const struct tsn_message *messages;
    size_t n;
    const struct tsn_origin *origins; /* with positions: group offsets, or NULL */
    const int64_t *positions;
    size_t n_origins;
};

/* Tells the sequence of the newest committed manifest (0: none), and whether it is byte
 * for byte the one that ends this publication: who took over meanwhile may have committed
 * another of the same sequence. Asked when the outcome of a commit is unknown. Called in
 * the publisher's thread. */
typedef bool tsn_publisher_tail(void *user, const struct tsn_publication *publication,
                                uint64_t *sequence, bool *same, struct tsn_failure *failure);

struct tsn_publisher_settings {
    const struct tsn_config *config;
    struct tsn_reader *reader; /* whose group the offsets are of; NULL: none are sent */
    tsn_publisher_tail *tail;
    void *tail_user;
};

/* Starts the thread, which first initialises the transactional id: that ends the
 * transaction of whoever had it before and fences him. Poll until it is done. */
struct tsn_publisher *tsn_publisher_open(const struct tsn_publisher_settings *settings,
                                         struct tsn_failure *failure);
/* Waits for the thread at most timeout_ms; a transaction under way is left open
 * then, and ended by whoever initialises next. False: the thread is stuck in the
 * library and may still read the publication, which must be leaked with it. */
bool tsn_publisher_close(struct tsn_publisher *publisher, int timeout_ms);

/* Readable when the publisher has something to report. */
int tsn_publisher_fd(const struct tsn_publisher *publisher);

enum tsn_publishing {
    TSN_PUBLISHING_IDLE,
    TSN_PUBLISHING_BUSY,
    TSN_PUBLISHING_DONE,
    TSN_PUBLISHING_FAILED
};

/* DONE and FAILED are reported once. FAILED: STAND_BY or CONFIG or FATAL; the
 * publisher does nothing more. */
enum tsn_publishing tsn_publisher_poll(struct tsn_publisher *publisher,
                                       struct tsn_failure *failure);
/* Waits up to timeout_ms for what is under way. */
enum tsn_publishing tsn_publisher_wait(struct tsn_publisher *publisher, int timeout_ms,
                                       struct tsn_failure *failure);
/* Only while nothing is under way. `reader` of the settings may be given late. */
void tsn_publisher_submit(struct tsn_publisher *publisher,
                          const struct tsn_publication *publication);
void tsn_publisher_set_reader(struct tsn_publisher *publisher, struct tsn_reader *reader);

/* What kept the publisher waiting last, for the status line; empty when nothing. */
void tsn_publisher_trouble(struct tsn_publisher *publisher, char *text, size_t cap);

/* ---- leading ------------------------------------------------------------------ */

struct tsn_leader;

struct tsn_leader *tsn_leader_open(const struct tsn_config *config, struct tsn_failure *failure);
void tsn_leader_close(struct tsn_leader *leader);
/* Does this process own the manifest's partition? False also while that is doubtful:
 * for 3 s after the process was stopped for 4 s or longer. Any thread. */
bool tsn_leader_is(const struct tsn_leader *leader);
/* Readable whenever the answer changed; the caller reads 8 bytes from it. */
int tsn_leader_fd(const struct tsn_leader *leader);

#endif
