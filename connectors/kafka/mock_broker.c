#include "connectors/kafka/mock_broker.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdlib.h>

#include "rules/must/must.h"

struct tsn_mock_broker {
    rd_kafka_t *rk; /* the mock lives in a client, which does nothing else */
    rd_kafka_mock_cluster_t *cluster;
};

struct tsn_mock_broker *tsn_mock_broker_start(const struct tsn_mock_topic *topics, size_t n,
                                              struct tsn_failure *failure)
{
    char text[256] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "3", NULL, 0); /* it has no servers, and says so */
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (!rk) {
        rd_kafka_conf_destroy(conf);
        tsn_fail(failure, TSN_REMEDY_FATAL, "cannot start the embedded broker: %s", text);
        return NULL;
    }
    struct tsn_mock_broker *broker = calloc(1, sizeof *broker);
    TSN_MUST_ALLOC(broker);
    broker->rk = rk;
    broker->cluster = rd_kafka_mock_cluster_new(rk, 1);
    if (!broker->cluster) {
        tsn_mock_broker_stop(broker);
        tsn_fail(failure, TSN_REMEDY_FATAL, "cannot start the embedded broker: no free port");
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        rd_kafka_resp_err_t err =
            rd_kafka_mock_topic_create(broker->cluster, topics[i].name, topics[i].n_partitions, 1);
        if (err) {
            tsn_mock_broker_stop(broker);
            tsn_fail(failure, TSN_REMEDY_CONFIG, "topic %s: %s", topics[i].name,
                     rd_kafka_err2str(err));
            return NULL;
        }
    }
    return broker;
}

void tsn_mock_broker_stop(struct tsn_mock_broker *broker)
{
    if (broker->cluster) {
        rd_kafka_mock_cluster_destroy(broker->cluster);
    }
    rd_kafka_destroy(broker->rk);
    free(broker);
}

const char *tsn_mock_broker_bootstrap(const struct tsn_mock_broker *broker)
{
    return rd_kafka_mock_cluster_bootstraps(broker->cluster);
}
