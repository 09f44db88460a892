/* Questions to a cluster, and the admin calls of `tocsin topics`.
 *
 * Metadata is asked for all topics, never for one by name: on a cluster that makes
 * topics on demand, asking for one by name makes it. The connection is a consumer
 * without a group: librdkafka serves admin calls on any handle.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/connection.h"
#include "connectors/kafka/kafka.h"
#include "rules/must/must.h"

enum { VISIBLE_MS = 10000, LOOK_AGAIN_MS = 100 };

struct tsn_kafka {
    rd_kafka_t *rk;
    struct tsn_client_news *news;
    const char *servers;
};

static const char *bootstrap(const struct tsn_config *config)
{
    for (size_t i = 0; i < config->kafka.common.n; i++) {
        const struct tsn_property *p = &config->kafka.common.items[i];
        if (strcmp(p->key, "bootstrap.servers") == 0 ||
            strcmp(p->key, "metadata.broker.list") == 0) {
            return p->value;
        }
    }
    return NULL;
}

struct tsn_kafka *tsn_kafka_open(const struct tsn_config *config, struct tsn_failure *failure)
{
    const char *servers = bootstrap(config);
    if (!servers) {
        tsn_fail(failure, TSN_REMEDY_CONFIG,
                 "%s: kafka has no bootstrap.servers; write `kafka: {bootstrap.servers: "
                 "\"host:9092\"}`",
                 config->file);
        return NULL;
    }
    struct tsn_client_news *news = calloc(1, sizeof *news);
    TSN_MUST_ALLOC(news);
    rd_kafka_conf_t *conf = tsn_client_conf(config, TSN_CLIENT_ASK, 1, 0, news, failure);
    rd_kafka_t *rk = conf ? tsn_client_new(conf, TSN_CLIENT_ASK, failure) : NULL;
    if (!rk) {
        free(news);
        return NULL;
    }
    struct tsn_kafka *kafka = calloc(1, sizeof *kafka);
    TSN_MUST_ALLOC(kafka);
    *kafka = (struct tsn_kafka){.rk = rk, .news = news, .servers = servers};
    return kafka;
}

void tsn_kafka_close(struct tsn_kafka *kafka)
{
    if (!kafka) {
        return;
    }
    if (tsn_client_end(kafka->rk, 5000)) {
        free(kafka->news);
    }
    free(kafka);
}

/* Errors reach the client only when it is polled. */
static const char *latest_news(struct tsn_kafka *kafka, char *text, size_t cap)
{
    rd_kafka_poll(kafka->rk, 0);
    tsn_client_text(kafka->news, text, cap);
    return text;
}

/* A wrong password shows as a time-out of the call and as the last news. */
static bool ask_failed(struct tsn_kafka *kafka, rd_kafka_resp_err_t code, const char *what,
                       struct tsn_failure *failure)
{
    char text[256];
    latest_news(kafka, text, sizeof text);
    int last = atomic_load(&kafka->news->last_error);
    if (last == RD_KAFKA_RESP_ERR__AUTHENTICATION || last == RD_KAFKA_RESP_ERR__SSL) {
        code = (rd_kafka_resp_err_t)last;
    }
    return tsn_client_failure(failure, code, 0, text, "%s (bootstrap.servers: %.100s)", what,
                              kafka->servers);
}

bool tsn_kafka_cluster_id(struct tsn_kafka *kafka, char id[TSN_CLUSTER_ID_MAX], int timeout_ms,
                          struct tsn_failure *failure)
{
    char *text = rd_kafka_clusterid(kafka->rk, timeout_ms);
    if (!text) {
        return ask_failed(kafka, RD_KAFKA_RESP_ERR__TRANSPORT, "reach the cluster", failure);
    }
    snprintf(id, TSN_CLUSTER_ID_MAX, "%s", text);
    rd_kafka_mem_free(kafka->rk, text);
    return true;
}

bool tsn_kafka_count(struct tsn_kafka *kafka, struct tsn_topic_count *topics, size_t n,
                     int timeout_ms, struct tsn_failure *failure)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t err = rd_kafka_metadata(kafka->rk, 1, NULL, &metadata, timeout_ms);
    if (err) {
        return ask_failed(kafka, err, "list the topics", failure);
    }
    for (size_t i = 0; i < n; i++) {
        topics[i].n_partitions = 0;
        for (int t = 0; t < metadata->topic_cnt; t++) {
            if (strcmp(metadata->topics[t].topic, topics[i].name) == 0) {
                topics[i].n_partitions = metadata->topics[t].partition_cnt;
            }
        }
    }
    rd_kafka_metadata_destroy(metadata);
    return true;
}

bool tsn_kafka_watermarks(struct tsn_kafka *kafka, const char *topic, int32_t partition,
                          int64_t *low, int64_t *high, int timeout_ms, struct tsn_failure *failure)
{
    rd_kafka_resp_err_t err =
        rd_kafka_query_watermark_offsets(kafka->rk, topic, partition, low, high, timeout_ms);
    if (err) {
        char what[160];
        snprintf(what, sizeof what, "ask which offsets %.100s/%d holds", topic, (int)partition);
        return ask_failed(kafka, err, what, failure);
    }
    return true;
}

/* ---- admin ------------------------------------------------------------------------- */

/* Waits for the one event that an admin call answers with. */
static rd_kafka_event_t *await(rd_kafka_queue_t *queue, rd_kafka_event_type_t type, int timeout_ms)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, timeout_ms);
    if (event && rd_kafka_event_type(event) != type) {
        rd_kafka_event_destroy(event);
        event = NULL;
    }
    return event;
}

static bool read_setting(rd_kafka_event_t *event, const char *topic, const char *name, char *value,
                         size_t cap, struct tsn_failure *failure)
{
    rd_kafka_resp_err_t err = rd_kafka_event_error(event);
    size_t n = 0;
    const rd_kafka_DescribeConfigs_result_t *result =
        err ? NULL : rd_kafka_event_DescribeConfigs_result(event);
    const rd_kafka_ConfigResource_t **resources =
        result ? rd_kafka_DescribeConfigs_result_resources(result, &n) : NULL;
    if (n == 1 && !err) {
        err = rd_kafka_ConfigResource_error(resources[0]);
    }
    if (err == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE) {
        return true; /* this broker cannot say */
    }
    if (err || n != 1) {
        return tsn_client_failure(failure, err ? err : RD_KAFKA_RESP_ERR__FAIL, 0, NULL,
                                  "read the settings of topic %s", topic);
    }
    size_t n_configs;
    const rd_kafka_ConfigEntry_t **configs =
        rd_kafka_ConfigResource_configs(resources[0], &n_configs);
    for (size_t i = 0; i < n_configs; i++) {
        const char *text = rd_kafka_ConfigEntry_value(configs[i]);
        if (text && strcmp(rd_kafka_ConfigEntry_name(configs[i]), name) == 0) {
            snprintf(value, cap, "%s", text);
        }
    }
    return true;
}

/* Does the controller that the brokers name exist? The library's own mock cluster
 * names one that does not, and admin calls would wait for it until they time out. */
static bool has_controller(struct tsn_kafka *kafka, int timeout_ms)
{
    const struct rd_kafka_metadata *metadata;
    int32_t controller = rd_kafka_controllerid(kafka->rk, timeout_ms);
    if (controller < 0 || rd_kafka_metadata(kafka->rk, 0, NULL, &metadata, timeout_ms)) {
        return true; /* not known: the call itself will say what is wrong */
    }
    bool found = false;
    for (int i = 0; i < metadata->broker_cnt; i++) {
        found |= metadata->brokers[i].id == controller;
    }
    rd_kafka_metadata_destroy(metadata);
    return found;
}

bool tsn_kafka_topic_setting(struct tsn_kafka *kafka, const char *topic, const char *name,
                             char *value, size_t cap, int timeout_ms, struct tsn_failure *failure)
{
    value[0] = '\0';
    if (!has_controller(kafka, timeout_ms)) {
        return true;
    }
    char why[200];
    rd_kafka_queue_t *queue = rd_kafka_queue_new(kafka->rk);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(kafka->rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, why, sizeof why);
    rd_kafka_ConfigResource_t *resource =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    rd_kafka_DescribeConfigs(kafka->rk, &resource, 1, options, queue);
    rd_kafka_event_t *event =
        await(queue, RD_KAFKA_EVENT_DESCRIBECONFIGS_RESULT, timeout_ms + 1000);
    bool ok = event ? read_setting(event, topic, name, value, cap, failure)
                    : ask_failed(kafka, RD_KAFKA_RESP_ERR__TIMED_OUT,
                                 "read the settings of a topic", failure);
    if (event) {
        rd_kafka_event_destroy(event);
    }
    rd_kafka_ConfigResource_destroy(resource);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    return ok;
}

/* Do the brokers name the topic, with so many partitions that each have a leader? */
static bool is_visible(struct tsn_kafka *kafka, const char *topic, int32_t n_partitions)
{
    const struct rd_kafka_metadata *metadata;
    if (rd_kafka_metadata(kafka->rk, 1, NULL, &metadata, VISIBLE_MS)) {
        return false;
    }
    bool visible = false;
    for (int t = 0; t < metadata->topic_cnt; t++) {
        const struct rd_kafka_metadata_topic *of = &metadata->topics[t];
        if (strcmp(of->topic, topic) != 0) {
            continue;
        }
        visible = of->partition_cnt > 0 && of->partition_cnt >= n_partitions;
        for (int i = 0; i < of->partition_cnt; i++) {
            visible = visible && of->partitions[i].leader >= 0;
        }
    }
    rd_kafka_metadata_destroy(metadata);
    return visible;
}

/* The controller answers before every broker has heard of the topic: whoever starts
 * right after would be told that it does not exist. */
static bool await_visible(struct tsn_kafka *kafka, const char *topic, int32_t n_partitions,
                          struct tsn_failure *failure)
{
    for (int waited_ms = 0; waited_ms < VISIBLE_MS; waited_ms += LOOK_AGAIN_MS) {
        if (is_visible(kafka, topic, n_partitions)) {
            return true;
        }
        poll(NULL, 0, LOOK_AGAIN_MS);
    }
    return tsn_fail(failure, TSN_REMEDY_RETRY,
                    "kafka: topic %s was created, but %d s later the brokers do not name it with "
                    "a leader for each partition; look at the brokers' logs",
                    topic, VISIBLE_MS / 1000);
}

/* *fresh: it was made by this call. */
static bool created(rd_kafka_event_t *event, const char *topic, bool *fresh,
                    struct tsn_failure *failure)
{
    rd_kafka_resp_err_t err = rd_kafka_event_error(event);
    const char *text = rd_kafka_event_error_string(event);
    if (!err) {
        size_t n = 0;
        const rd_kafka_topic_result_t **results =
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &n);
        err = n == 1 ? rd_kafka_topic_result_error(results[0]) : RD_KAFKA_RESP_ERR__FAIL;
        text = n == 1 ? rd_kafka_topic_result_error_string(results[0]) : NULL;
    }
    *fresh = !err;
    if (err && err != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
        return tsn_client_failure(failure, err, 0, text, "create topic %s", topic);
    }
    return true;
}

bool tsn_kafka_topic_create(struct tsn_kafka *kafka, const char *topic, int32_t n_partitions,
                            int replication, const struct tsn_property *settings, size_t n_settings,
                            int timeout_ms, struct tsn_failure *failure)
{
    char why[200];
    rd_kafka_NewTopic_t *wanted = rd_kafka_NewTopic_new(
        topic, n_partitions, replication > 0 ? replication : -1, why, sizeof why);
    if (!wanted) {
        return tsn_fail(failure, TSN_REMEDY_CONFIG, "kafka: cannot create topic %s: %s", topic,
                        why);
    }
    for (size_t i = 0; i < n_settings; i++) {
        rd_kafka_NewTopic_set_config(wanted, settings[i].key, settings[i].value);
    }
    rd_kafka_queue_t *queue = rd_kafka_queue_new(kafka->rk);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(kafka->rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, why, sizeof why);
    rd_kafka_AdminOptions_set_operation_timeout(options, timeout_ms, why, sizeof why);
    rd_kafka_CreateTopics(kafka->rk, &wanted, 1, options, queue);
    rd_kafka_event_t *event = await(queue, RD_KAFKA_EVENT_CREATETOPICS_RESULT, timeout_ms + 1000);
    bool fresh = false;
    bool ok = event ? created(event, topic, &fresh, failure)
                    : ask_failed(kafka, RD_KAFKA_RESP_ERR__TIMED_OUT, "create a topic", failure);
    if (event) {
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(wanted);
    return ok && (!fresh || await_visible(kafka, topic, n_partitions, failure));
}
