#include "connectors/kafka/sender.h"

#include <librdkafka/rdkafka.h>
#include <stdlib.h>

#include "connectors/kafka/connection.h"
#include "rules/must/must.h"

enum { TOPICS_MAX = 8 };

struct tsn_sender {
    rd_kafka_t *rk;
    rd_kafka_topic_t *topics[TOPICS_MAX]; /* asked for; kept until the end */
    size_t n_topics;
    uint64_t delivered;
    rd_kafka_resp_err_t refused; /* of the last record that was not delivered */
};

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    struct tsn_sender *sender = opaque;
    if (message->err) {
        sender->refused = message->err;
    } else {
        sender->delivered++;
    }
}

struct tsn_sender *tsn_sender_open(const char *bootstrap, struct tsn_failure *failure)
{
    static const char *const settings[][2] = {
        {"enable.idempotence", "true"},   {"linger.ms", "2"},
        {"compression.type", "lz4"},      {"partitioner", "murmur2_random"},
        {"socket.nagle.disable", "true"},
    };
    char text[256] = "";
    struct tsn_sender *sender = calloc(1, sizeof *sender);
    TSN_MUST_ALLOC(sender);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_res_t result =
        rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, text, sizeof text);
    for (size_t i = 0; result == RD_KAFKA_CONF_OK && i < sizeof settings / sizeof settings[0];
         i++) {
        result = rd_kafka_conf_set(conf, settings[i][0], settings[i][1], text, sizeof text);
    }
    rd_kafka_conf_set_opaque(conf, sender);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    sender->rk = result == RD_KAFKA_CONF_OK
                     ? rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text)
                     : NULL;
    if (!sender->rk) {
        rd_kafka_conf_destroy(conf);
        free(sender);
        tsn_fail(failure, TSN_REMEDY_CONFIG, "cannot send to %s: %s", bootstrap, text);
        return NULL;
    }
    return sender;
}

void tsn_sender_close(struct tsn_sender *sender)
{
    rd_kafka_purge(sender->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_poll(sender->rk, 0);
    for (size_t i = 0; i < sender->n_topics; i++) {
        rd_kafka_topic_destroy(sender->topics[i]);
    }
    if (tsn_client_end(sender->rk, 5000)) {
        free(sender);
    }
}

void tsn_sender_know(struct tsn_sender *sender, const char *const *topics, size_t n)
{
    TSN_MUST(sender->n_topics == 0 && n <= TOPICS_MAX);
    for (size_t i = 0; i < n; i++) {
        rd_kafka_topic_t *topic = rd_kafka_topic_new(sender->rk, topics[i], NULL);
        if (topic) {
            sender->topics[sender->n_topics++] = topic;
        }
    }
}

bool tsn_sender_send(struct tsn_sender *sender, const char *topic, const char *key, size_t key_len,
                     const char *value, size_t len, int64_t timestamp_ms,
                     struct tsn_failure *failure)
{
    struct tsn_message message = {
        .topic = topic, .key = key, .key_len = key_len, .value = value, .len = len};
    return tsn_sender_message(sender, &message, timestamp_ms, failure);
}

bool tsn_sender_message(struct tsn_sender *sender, const struct tsn_message *message,
                        int64_t timestamp_ms, struct tsn_failure *failure)
{
    const char *topic = message->topic;
    for (;;) {
        rd_kafka_poll(sender->rk, 0);
        if (sender->refused) {
            return tsn_client_failure(failure, sender->refused, 0, NULL, "send to %s", topic);
        }
        rd_kafka_headers_t *headers = tsn_client_headers(message);
        rd_kafka_resp_err_t err = rd_kafka_producev(
            sender->rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_KEY(message->key, message->key_len),
            RD_KAFKA_V_VALUE((void *)(uintptr_t)message->value, message->len),
            RD_KAFKA_V_TIMESTAMP(timestamp_ms), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
        if (!err) {
            return true;
        }
        rd_kafka_headers_destroy(headers);
        if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            return tsn_client_failure(failure, err, 0, NULL, "send to %s", topic);
        }
        rd_kafka_poll(sender->rk, 50);
    }
}

bool tsn_sender_flush(struct tsn_sender *sender, int timeout_ms, struct tsn_failure *failure)
{
    rd_kafka_resp_err_t err = rd_kafka_flush(sender->rk, timeout_ms);
    if (!err) {
        err = sender->refused;
    }
    return !err || tsn_client_failure(failure, err, 0, NULL, "send what is queued");
}

uint64_t tsn_sender_delivered(const struct tsn_sender *sender)
{
    return sender->delivered;
}
