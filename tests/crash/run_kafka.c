/* connectors/kafka/kafka.h in the world's memory.
 *
 * The publisher walks the same table as the real one (transaction.h), one act a
 * poll, so that the loop computes on while a commit is under way; what the
 * broker answers is the dice's. Readers see what has arrived, which grows with
 * time unless the world is a backlog.
 */
#include "connectors/kafka/kafka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "connectors/kafka/transaction.h"
#include "connectors/run/clock.h"
#include "rules/must/must.h"
#include "tests/crash/run_world.h"

/* Always readable: nothing in a life ever sleeps. */
static int ready_fd(void)
{
    int fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
    TSN_MUST(fd >= 0);
    return fd;
}

/* ---- questions
 * ---------------------------------------------------------------------- */

struct tsn_kafka {
    int unused;
};

struct tsn_kafka *tsn_kafka_open(const struct tsn_config *config, struct tsn_failure *failure)
{
    (void)config;
    (void)failure;
    return calloc(1, sizeof(struct tsn_kafka));
}

void tsn_kafka_close(struct tsn_kafka *kafka)
{
    free(kafka);
}

static bool answers(struct tsn_failure *failure)
{
    world_point();
    return !world_unlucky(5) || tsn_fail(failure, TSN_REMEDY_RETRY, "kafka: no broker answers");
}

bool tsn_kafka_cluster_id(struct tsn_kafka *kafka, char id[TSN_CLUSTER_ID_MAX], int timeout_ms,
                          struct tsn_failure *failure)
{
    (void)kafka;
    (void)timeout_ms;
    strcpy(id, "world");
    return answers(failure);
}

bool tsn_kafka_count(struct tsn_kafka *kafka, struct tsn_topic_count *topics, size_t n,
                     int timeout_ms, struct tsn_failure *failure)
{
    (void)kafka;
    (void)timeout_ms;
    for (size_t i = 0; i < n; i++) {
        topics[i].n_partitions = tsn_memory_log_partitions(world->log, topics[i].name);
    }
    return answers(failure);
}

bool tsn_kafka_watermarks(struct tsn_kafka *kafka, const char *topic, int32_t partition,
                          int64_t *low, int64_t *high, int timeout_ms, struct tsn_failure *failure)
{
    (void)kafka;
    (void)timeout_ms;
    *low = world->retention ? tsn_memory_log_low(world->log, topic, partition) : 0;
    *high = tsn_memory_log_high(world->log, topic, partition);
    return answers(failure);
}

bool tsn_kafka_topic_setting(struct tsn_kafka *kafka, const char *topic, const char *name,
                             char *value, size_t cap, int timeout_ms, struct tsn_failure *failure)
{
    (void)kafka;
    (void)topic;
    (void)name;
    (void)timeout_ms;
    (void)failure;
    snprintf(value, cap, "%s", "");
    return true;
}

bool tsn_kafka_topic_create(struct tsn_kafka *kafka, const char *topic, int32_t n_partitions,
                            int replication, const struct tsn_property *settings, size_t n_settings,
                            int timeout_ms, struct tsn_failure *failure)
{
    (void)kafka;
    (void)topic;
    (void)n_partitions;
    (void)replication;
    (void)settings;
    (void)n_settings;
    (void)timeout_ms;
    return tsn_fail(failure, TSN_REMEDY_CONFIG, "the world has its topics");
}

/* ---- reading
 * -------------------------------------------------------------------------- */

struct lane {
    char topic[64];
    int32_t partition;
    int64_t at;
    int64_t end;     /* as of the last fetch */
    bool said_end;   /* the end was given, and nothing came after */
    int64_t arrived; /* of a growing input: records before this offset are there */
};

struct tsn_reader {
    size_t n;
    struct lane *lanes;
    int fd;
};

struct tsn_reader *tsn_reader_open(const struct tsn_config *config,
                                   const struct tsn_reader_partition *partitions, size_t n,
                                   size_t budget_bytes, struct tsn_failure *failure)
{
    (void)config;
    (void)budget_bytes;
    if (!answers(failure)) {
        return NULL;
    }
    struct tsn_reader *reader = calloc(1, sizeof *reader);
    TSN_MUST_ALLOC(reader);
    reader->n = n;
    reader->lanes = calloc(n ? n : 1, sizeof *reader->lanes);
    TSN_MUST_ALLOC(reader->lanes);
    for (size_t i = 0; i < n; i++) {
        snprintf(reader->lanes[i].topic, sizeof reader->lanes[i].topic, "%s", partitions[i].topic);
        reader->lanes[i].partition = partitions[i].partition;
        reader->lanes[i].at = reader->lanes[i].arrived = partitions[i].start;
        reader->lanes[i].end = -1;
    }
    reader->fd = ready_fd();
    return reader;
}

void tsn_reader_close(struct tsn_reader *reader)
{
    if (reader) {
        close(reader->fd);
        free(reader->lanes);
        free(reader);
    }
}

int tsn_reader_fd(const struct tsn_reader *reader)
{
    return reader->fd;
}

void tsn_reader_quiet(struct tsn_reader *reader)
{
    (void)reader;
}

void tsn_fetched_release(struct tsn_fetched *items, size_t n)
{
    (void)items;
    (void)n;
}

/* Input arrives bit by bit unless the world is a backlog; our own topics are
 * all there. */
static int64_t arrived(struct lane *lane)
{
    int64_t high = tsn_memory_log_high(world->log, lane->topic, lane->partition);
    if (world->backlog || strncmp(lane->topic, "tocsin.", 7) == 0) {
        return high;
    }
    if (world_dice() % world->arrival == 0) {
        lane->arrived += (int64_t)(world_dice() % 4);
    }
    return lane->arrived < high ? lane->arrived : high;
}

bool tsn_reader_fetch(struct tsn_reader *reader, size_t partition, struct tsn_fetched *items,
                      size_t cap, size_t *n, struct tsn_failure *failure)
{
    struct lane *lane = &reader->lanes[partition];
    world_point();
    *n = 0;
    if (world->retention &&
        lane->at < tsn_memory_log_low(world->log, lane->topic, lane->partition)) {
        return tsn_fail(failure, TSN_REMEDY_CONFIG, "offset out of range"); /* no silent jump */
    }
    bool ours = strncmp(lane->topic, "tocsin.", 7) == 0;
    if (world_unlucky(100)) {
        return true; /* nothing fetched yet */
    }
    int64_t limit = arrived(lane);
    size_t most = 1 + world_dice() % 40;
    struct tsn_log_record record;
    while (*n < cap && *n < most &&
           tsn_memory_log_read(world->log, lane->topic, lane->partition, lane->at, &record,
                               &lane->end) &&
           record.offset < limit) {
        items[(*n)++] = (struct tsn_fetched){.kind = TSN_FETCHED_RECORD,
                                             .offset = record.offset,
                                             .timestamp_ms = record.timestamp_ms,
                                             .value = record.value,
                                             .len = record.len,
                                             .key = record.key,
                                             .key_len = record.key_len};
        lane->at = record.offset + 1;
        lane->said_end = false;
    }
    if (!ours) {
        bool more = limit < tsn_memory_log_high(world->log, lane->topic, lane->partition);
        world->idle = *n > 0 || more ? 0 : world->idle + 1;
    }
    lane->end = tsn_memory_log_high(world->log, lane->topic, lane->partition);
    if (*n < cap && *n < most && !lane->said_end) {
        /* What is not there yet ends the partition as far as anybody can see. */
        int64_t end = lane->at;
        if (limit == lane->end && tsn_memory_log_read(world->log, lane->topic, lane->partition,
                                                      lane->at, &record, &end)) {
            return true; /* `most` or the limit cut it off */
        }
        lane->at = end > lane->at && limit == lane->end ? end : lane->at;
        items[(*n)++] = (struct tsn_fetched){.kind = TSN_FETCHED_END, .offset = lane->at};
        lane->said_end = limit == lane->end;
    }
    return true;
}

size_t tsn_fetched_headers(const struct tsn_fetched *item, struct tsn_header *headers, size_t cap)
{
    (void)item;
    (void)headers;
    (void)cap;
    return 0;
}

int64_t tsn_reader_end(const struct tsn_reader *reader, size_t partition)
{
    return reader->lanes[partition].end;
}

bool tsn_reader_trouble(struct tsn_reader *reader, struct tsn_failure *failure)
{
    (void)reader;
    (void)failure;
    return false;
}

/* ---- publishing
 * ------------------------------------------------------------------------- */

struct tsn_publisher {
    struct tsn_publisher_settings settings;
    struct tsn_txn txn;
    uint32_t epoch;
    struct tsn_publication publication;
    enum tsn_publishing state;
    struct tsn_failure cause;
    int fd;
};

struct tsn_publisher *tsn_publisher_open(const struct tsn_publisher_settings *settings,
                                         struct tsn_failure *failure)
{
    (void)failure;
    struct tsn_publisher *publisher = calloc(1, sizeof *publisher);
    TSN_MUST_ALLOC(publisher);
    publisher->settings = *settings;
    publisher->state = TSN_PUBLISHING_BUSY;
    publisher->fd = ready_fd();
    tsn_txn_init(&publisher->txn);
    return publisher;
}

bool tsn_publisher_close(struct tsn_publisher *publisher, int timeout_ms)
{
    (void)timeout_ms;
    if (publisher) {
        close(publisher->fd);
        free(publisher);
    }
    return true;
}

int tsn_publisher_fd(const struct tsn_publisher *publisher)
{
    return publisher->fd;
}

static bool logged(enum tsn_log_answer answer, struct tsn_failure *failure)
{
    switch (answer) {
    case TSN_LOG_OK:
        return true;
    case TSN_LOG_FENCED:
        world->n_fenced++;
        return tsn_fail(failure, TSN_REMEDY_STAND_BY, "fenced");
    case TSN_LOG_INVALID:
        break;
    }
    return tsn_fail(failure, TSN_REMEDY_RECOVER, "invalid transaction state");
}

/* The same failure too often in a row stops the engine: that is for other tests. */
static bool may_abort(const struct tsn_publisher *publisher)
{
    return publisher->txn.n_aborts + 1 < TSN_TXN_ABORTS_MAX;
}

static bool act_send(struct tsn_publisher *publisher, struct tsn_failure *failure)
{
    for (size_t i = 0; i < publisher->publication.n; i++) {
        world_point();
        if (!logged(tsn_memory_log_send(world->log, publisher->epoch,
                                        &publisher->publication.messages[i]),
                    failure)) {
            return false;
        }
        if (may_abort(publisher) && world_unlucky(10)) {
            return tsn_fail(failure, TSN_REMEDY_ABORT_TXN, "a message timed out");
        }
    }
    return true;
}

static bool act_commit(struct tsn_publisher *publisher, struct tsn_failure *failure)
{
    if (may_abort(publisher) && world_unlucky(50)) {
        return tsn_fail(failure, TSN_REMEDY_ABORT_TXN, "an output was refused");
    }
    if (world_last_point()) { /* the request is under way and nobody waits for the answer */
        tsn_memory_log_commit_later(world->log, publisher->epoch, world_dice() % 2);
        _exit(WORLD_CRASHED);
    }
    if (world->lose_commit > 0 && --world->lose_commit == 0) {
        world->n_unknown++;
        world->pause_at = world->n_points + 1;
        return tsn_fail(failure, TSN_REMEDY_RECOVER, "the commit timed out");
    }
    if (!world_unlucky(50)) {
        bool ok = logged(tsn_memory_log_commit(world->log, publisher->epoch), failure);
        if (ok && world->last_commit > 0 && --world->last_commit == 0) {
            _exit(WORLD_CRASHED);
        }
        return ok;
    }
    /* The answer is lost. */
    world->n_unknown++;
    switch (world_dice() % 4) {
    case 0:
        tsn_memory_log_commit(world->log, publisher->epoch);
        break;
    case 1:
        tsn_memory_log_commit_later(world->log, publisher->epoch, true);
        break;
    case 2:
        tsn_memory_log_commit_later(world->log, publisher->epoch, false);
        break;
    default:
        break; /* it never arrived */
    }
    return tsn_fail(failure, TSN_REMEDY_RECOVER, "the commit timed out");
}

static bool act_read_tail(struct tsn_publisher *publisher, bool *lacked,
                          struct tsn_failure *failure)
{
    uint64_t newest;
    bool same;
    if (!publisher->settings.tail(publisher->settings.tail_user, &publisher->publication, &newest,
                                  &same, failure)) {
        return false;
    }
    *lacked = newest < publisher->publication.sequence;
    return *lacked || (newest == publisher->publication.sequence && same) ||
           tsn_fail(failure, TSN_REMEDY_STAND_BY, "another instance leads");
}

static enum tsn_txn_event do_act(struct tsn_publisher *publisher, struct tsn_failure *failure)
{
    bool ok = true;
    bool lacked = false;
    world_point();
    switch (publisher->txn.act) {
    case TSN_TXN_INIT:
        if (world_unlucky(20)) {
            ok = tsn_fail(failure, TSN_REMEDY_RETRY, "the coordinator is loading");
        } else {
            publisher->epoch = tsn_memory_log_init(world->log);
        }
        break;
    case TSN_TXN_READ_TAIL:
        ok = act_read_tail(publisher, &lacked, failure);
        break;
    case TSN_TXN_BEGIN:
        ok = logged(tsn_memory_log_begin(world->log, publisher->epoch), failure);
        break;
    case TSN_TXN_SEND:
        ok = act_send(publisher, failure);
        break;
    case TSN_TXN_COMMIT:
        ok = act_commit(publisher, failure);
        break;
    case TSN_TXN_ABORT:
        world->n_aborts++;
        ok = world_unlucky(50)
                 ? tsn_fail(failure, TSN_REMEDY_RECOVER, "the abort timed out")
                 : logged(tsn_memory_log_abort(world->log, publisher->epoch), failure);
        break;
    case TSN_TXN_RENEW:
    case TSN_TXN_WAIT:
    case TSN_TXN_CONFIRM:
    case TSN_TXN_STAND_BY:
    case TSN_TXN_STOP:
    case TSN_TXN_ACTS:
        break;
    }
    world_point();
    if (ok) {
        return lacked ? TSN_TXN_LACKED : TSN_TXN_OK;
    }
    return tsn_txn_event_of(failure->remedy);
}

/* One turn of the real publisher's thread. */
static void turn(struct tsn_publisher *publisher)
{
    struct tsn_failure failure = {0};
    struct tsn_txn *txn = &publisher->txn;
    if (txn->act == TSN_TXN_STAND_BY || txn->act == TSN_TXN_STOP) {
        publisher->cause.remedy =
            txn->act == TSN_TXN_STOP ? TSN_REMEDY_CONFIG : TSN_REMEDY_STAND_BY;
        publisher->state = TSN_PUBLISHING_FAILED;
        return;
    }
    if (txn->act == TSN_TXN_CONFIRM) {
        publisher->state = TSN_PUBLISHING_DONE;
        tsn_txn_step(txn, TSN_TXN_OK);
        return;
    }
    if (txn->act == TSN_TXN_WAIT) {
        return;
    }
    enum tsn_txn_event event = do_act(publisher, &failure);
    bool initialised = txn->act == TSN_TXN_INIT && event == TSN_TXN_OK && !txn->holding;
    tsn_txn_step(txn, event);
    if (initialised) {
        publisher->state = TSN_PUBLISHING_DONE;
    }
    if (event != TSN_TXN_OK && event != TSN_TXN_LACKED) {
        publisher->cause = failure;
    }
}

enum tsn_publishing tsn_publisher_poll(struct tsn_publisher *publisher, struct tsn_failure *failure)
{
    if (publisher->state == TSN_PUBLISHING_BUSY) {
        turn(publisher);
    }
    enum tsn_publishing state = publisher->state;
    if (state == TSN_PUBLISHING_DONE || state == TSN_PUBLISHING_FAILED) {
        *failure = publisher->cause;
        publisher->state = TSN_PUBLISHING_IDLE;
    }
    return state;
}

enum tsn_publishing tsn_publisher_wait(struct tsn_publisher *publisher, int timeout_ms,
                                       struct tsn_failure *failure)
{
    int64_t until_ms = tsn_clock_monotonic_ms() + timeout_ms;
    enum tsn_publishing state;
    do {
        state = tsn_publisher_poll(publisher, failure);
    } while (state == TSN_PUBLISHING_BUSY && tsn_clock_monotonic_ms() < until_ms);
    return state;
}

void tsn_publisher_submit(struct tsn_publisher *publisher,
                          const struct tsn_publication *publication)
{
    TSN_MUST(publisher->state == TSN_PUBLISHING_IDLE);
    world_point();
    publisher->publication = *publication;
    publisher->state = TSN_PUBLISHING_BUSY;
    tsn_txn_take(&publisher->txn);
}

void tsn_publisher_set_reader(struct tsn_publisher *publisher, struct tsn_reader *reader)
{
    publisher->settings.reader = reader;
}

void tsn_publisher_trouble(struct tsn_publisher *publisher, char *text, size_t cap)
{
    (void)publisher;
    snprintf(text, cap, "%s", "");
}

/* ---- leading
 * ------------------------------------------------------------------------------
 */

struct tsn_leader {
    int32_t seat;
    unsigned believes; /* answers that are still the old truth after the seat was
                          lost */
    unsigned waits;    /* answers before the seat is given: time to follow */
    int fd;
};

struct tsn_leader *tsn_leader_open(const struct tsn_config *config, struct tsn_failure *failure)
{
    (void)config;
    (void)failure;
    struct tsn_leader *leader = calloc(1, sizeof *leader);
    TSN_MUST_ALLOC(leader);
    leader->seat = ++world->n_leaders;
    leader->waits = world_dice() % 2 ? 0 : (unsigned)(world_dice() % 200);
    if (!leader->waits) {
        world->leader = leader->seat;
        world->leader_pid = getpid();
    }
    leader->believes = (unsigned)(world_dice() % 200);
    leader->fd = ready_fd();
    return leader;
}

void tsn_leader_close(struct tsn_leader *leader)
{
    if (leader) {
        if (world->leader == leader->seat) {
            world->leader_pid = 0;
        }
        close(leader->fd);
        free(leader);
    }
}

bool tsn_leader_is(const struct tsn_leader *leader)
{
    struct tsn_leader *own = (struct tsn_leader *)(uintptr_t)leader;
    world_point();
    if (own->waits > 0) {
        if (--own->waits == 0) {
            world->leader = own->seat;
            world->leader_pid = getpid();
        }
        return false;
    }
    if (world->leader_pid == 0) { /* free: whoever asks first has it */
        world->leader = leader->seat;
        world->leader_pid = getpid();
    }
    if (leader->seat == world->leader) {
        return true;
    }
    return own->believes > 0 && own->believes-- > 0;
}

int tsn_leader_fd(const struct tsn_leader *leader)
{
    return leader->fd;
}
