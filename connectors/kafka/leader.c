/* Leading: a consumer group of one seat. Whoever owns the manifest topic's only
 * partition leads; the others wait in the group for it.
 *
 * The group is only how instances agree quickly on who should lead: what makes a
 * second leader harmless is that the new one initialises the transactional id,
 * which fences the one before. The thread reads (and drops) what arrives, so that
 * its membership stays alive exactly as long as the process runs: a stopped process
 * loses the seat after session.timeout.ms.
 *
 * A process that was stopped and goes on still believes what it knew before. Who leads
 * on that belief would fence the one who took over, so a seat counts only while the
 * thread runs, and after a gap only when the group had time to say that it is gone.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "connectors/kafka/connection.h"
#include "connectors/kafka/kafka.h"
#include "rules/must/must.h"

/* GAP_MS: shorter than any session time-out a broker allows (6 s) less a heartbeat.
 * DOUBT_MS: two heartbeats, after which the group has answered. */
enum { END_TIMEOUT_MS = 5000, POLL_MS = 100, GAP_MS = 4000, DOUBT_MS = 3000 };

struct tsn_leader {
    struct tsn_client_news news; /* first: the library's opaque points to it */
    rd_kafka_t *rk;
    pthread_t thread;
    _Atomic int stop;
    _Atomic int leads;
    _Atomic int64_t polled_ms; /* when the thread ran last */
    _Atomic int64_t doubt_ms;  /* until then the seat is doubted */
    int changed;
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void wake(struct tsn_leader *leader)
{
    uint64_t one = 1;
    TSN_MUST(write(leader->changed, &one, sizeof one) == sizeof one);
}

static void say(struct tsn_leader *leader, int leads)
{
    if (atomic_exchange(&leader->leads, leads) != leads) {
        wake(leader);
    }
}

/* After a gap the seat is doubted for a while; when that is over somebody may wait. */
static void note_gap(struct tsn_leader *leader)
{
    int64_t at_ms = now_ms();
    if (at_ms - atomic_load(&leader->polled_ms) > GAP_MS) {
        atomic_store(&leader->doubt_ms, at_ms + DOUBT_MS);
    }
    atomic_store(&leader->polled_ms, at_ms);
    int64_t doubt_ms = atomic_load(&leader->doubt_ms);
    if (doubt_ms && at_ms >= doubt_ms) {
        atomic_store(&leader->doubt_ms, 0);
        wake(leader);
    }
}

/* Cooperative: who joins takes nothing from the one who sits; an eager group would
 * unseat the leader at every join, and he would drop his state for nothing. */
static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err,
                         rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    struct tsn_leader *leader = opaque;
    rd_kafka_error_t *error;
    if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        for (int i = 0; i < partitions->cnt; i++) {
            partitions->elems[i].offset = RD_KAFKA_OFFSET_END;
        }
        error = rd_kafka_incremental_assign(rk, partitions);
        if (!error && partitions->cnt > 0) {
            say(leader, 1);
        }
    } else {
        if (partitions->cnt > 0) {
            say(leader, 0);
        }
        error = rd_kafka_incremental_unassign(rk, partitions);
    }
    if (error) {
        say(leader, 0);
        rd_kafka_error_destroy(error);
    }
}

static void *attend(void *arg)
{
    struct tsn_leader *leader = arg;
    while (!atomic_load(&leader->stop)) {
        note_gap(leader);
        rd_kafka_message_t *message = rd_kafka_consumer_poll(leader->rk, POLL_MS);
        if (message) {
            rd_kafka_message_destroy(message);
        }
    }
    rd_kafka_consumer_close(leader->rk); /* leaves the group: the next one need not wait */
    return NULL;
}

struct tsn_leader *tsn_leader_open(const struct tsn_config *config, struct tsn_failure *failure)
{
    struct tsn_leader *leader = calloc(1, sizeof *leader);
    TSN_MUST_ALLOC(leader);
    rd_kafka_conf_t *conf = tsn_client_conf(config, TSN_CLIENT_LEAD, 1, 0, &leader->news, failure);
    if (conf) {
        rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    }
    leader->rk = conf ? tsn_client_new(conf, TSN_CLIENT_LEAD, failure) : NULL;
    if (!leader->rk) {
        free(leader);
        return NULL;
    }
    atomic_store(&leader->polled_ms, now_ms());
    leader->changed = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    TSN_MUST(leader->changed >= 0);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, config->topics.manifest, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t err = rd_kafka_subscribe(leader->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (err || pthread_create(&leader->thread, NULL, attend, leader) != 0) {
        tsn_client_failure(failure, err ? err : RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, 0, NULL,
                           "join the leader's group");
        tsn_client_end(leader->rk, END_TIMEOUT_MS); /* the rest is leaked: the process ends */
        return NULL;
    }
    return leader;
}

void tsn_leader_close(struct tsn_leader *leader)
{
    if (!leader) {
        return;
    }
    atomic_store(&leader->stop, 1);
    pthread_join(leader->thread, NULL);
    if (tsn_client_end(leader->rk, END_TIMEOUT_MS)) {
        close(leader->changed);
        free(leader);
    }
}

bool tsn_leader_is(const struct tsn_leader *leader)
{
    return atomic_load(&leader->leads) && !atomic_load(&leader->doubt_ms) &&
           now_ms() - atomic_load(&leader->polled_ms) <= GAP_MS;
}

int tsn_leader_fd(const struct tsn_leader *leader)
{
    return leader->changed;
}
