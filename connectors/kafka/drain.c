#include "connectors/kafka/drain.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "connectors/kafka/connection.h"
#include "connectors/kafka/kafka.h"
#include "rules/must/must.h"

enum { BATCH = 4096, WAIT_MS = 20, SILENT_WAITS_MAX = 1500 };

static double wall_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_s(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static bool drain(rd_kafka_queue_t *queue, uint64_t n, struct tsn_drained *drained,
                  struct tsn_failure *failure)
{
    static rd_kafka_message_t *messages[BATCH];
    double begun_s = 0, begun_cpu_s = 0;

    for (int silent = 0; drained->records < n;) {
        ssize_t got = rd_kafka_consume_batch_queue(queue, WAIT_MS, messages, BATCH);
        if (got > 0 && !begun_s) {
            begun_s = wall_s();
            begun_cpu_s = cpu_s();
        }
        for (ssize_t i = 0; i < got; i++) {
            if (!messages[i]->err) {
                drained->records++;
                drained->bytes += messages[i]->len;
            }
            rd_kafka_message_destroy(messages[i]);
        }
        silent = got > 0 ? 0 : silent + 1;
        if (silent > SILENT_WAITS_MAX) {
            return tsn_fail(failure, TSN_REMEDY_RETRY, "kafka: only %llu of %llu records came",
                            (unsigned long long)drained->records, (unsigned long long)n);
        }
    }
    drained->seconds = wall_s() - begun_s;
    drained->cpu_seconds = cpu_s() - begun_cpu_s;
    return true;
}

bool tsn_drain(const struct tsn_config *config, const char *topic, int32_t n_partitions, uint64_t n,
               struct tsn_drained *drained, struct tsn_failure *failure)
{
    *drained = (struct tsn_drained){0};
    struct tsn_client_news *news = calloc(1, sizeof *news);
    TSN_MUST_ALLOC(news);
    rd_kafka_conf_t *conf = tsn_client_conf(config, TSN_CLIENT_READ, (size_t)n_partitions,
                                            TSN_READER_BUDGET_BYTES, news, failure);
    rd_kafka_t *rk = conf ? tsn_client_new(conf, TSN_CLIENT_READ, failure) : NULL;
    if (!rk) {
        free(news);
        return false;
    }
    rd_kafka_topic_t *of = rd_kafka_topic_new(rk, topic, NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    TSN_MUST_ALLOC(of);
    TSN_MUST_ALLOC(queue);
    for (int32_t i = 0; i < n_partitions; i++) {
        TSN_MUST(rd_kafka_consume_start_queue(of, i, 0, queue) == 0);
    }
    bool ok = drain(queue, n, drained, failure);
    for (int32_t i = 0; i < n_partitions; i++) {
        rd_kafka_consume_stop(of, i);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_destroy(of);
    if (tsn_client_end(rk, 5000)) {
        free(news);
    }
    return ok;
}
