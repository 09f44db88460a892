/* connectors/kafka and the history of manifests against a real broker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connectors/kafka/kafka.h"
#include "connectors/run/clock.h"
#include "connectors/run/history.h"
#include "connectors/run/interval.h"
#include "rules/must/must.h"

enum { LONG_MS = 60000 };

/* A configuration of its own for every test: names of topics and groups are fresh. */
struct world {
    struct tsn_config config;
    struct tsn_property common[1];
    char names[6][64];
    struct tsn_kafka *kafka;
    struct tsn_failure failure;
};

static void make_topic(struct world *world, const char *name, int32_t partitions,
                       const struct tsn_property *settings, size_t n)
{
    if (!tsn_kafka_topic_create(world->kafka, name, partitions, 0, settings, n, LONG_MS,
                                &world->failure)) {
        fail_msg("%s", world->failure.text);
    }
}

static int setup(void **state)
{
    static int n;
    const char *servers = getenv("TSN_KAFKA");
    if (!servers) {
        return -1;
    }
    struct world *world = calloc(1, sizeof *world);
    TSN_MUST_ALLOC(world);
    static const char *const roles[6] = {"layer",   "in",       "alerts",
                                         "rejects", "manifest", "programs"};
    for (int i = 0; i < 6; i++) {
        snprintf(world->names[i], sizeof world->names[i], "%s-%ld-%d", roles[i], (long)getpid(), n);
    }
    n++;
    world->common[0] = (struct tsn_property){"bootstrap.servers", servers};
    world->config.file = "test";
    world->config.instance = world->names[0];
    world->config.kafka.common = (struct tsn_properties){1, world->common};
    world->config.topics.alerts = world->names[2];
    world->config.topics.rejects = world->names[3];
    world->config.topics.manifest = world->names[4];
    world->config.topics.programs = world->names[5];
    world->kafka = tsn_kafka_open(&world->config, &world->failure);
    if (!world->kafka) {
        return -1;
    }
    make_topic(world, world->names[1], 3, NULL, 0);
    for (int i = 2; i < 6; i++) {
        make_topic(world, world->names[i], 1, NULL, 0);
    }
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    tsn_kafka_close(world->kafka);
    free(world);
    return 0;
}

/* ---- helpers ------------------------------------------------------------------------------- */

static bool tail(void *user, const struct tsn_publication *publication, uint64_t *sequence,
                 bool *same, struct tsn_failure *failure)
{
    (void)publication;
    *same = true;
    struct world *world = user;
    struct tsn_history *history = tsn_history_open(&world->config, world->kafka, failure);
    struct tsn_arena arena;
    tsn_arena_init(&arena, 0);
    struct tsn_manifest manifest = {0};
    bool found = false;
    bool ok = tsn_history_tail(history, &arena, &manifest, &found, failure);
    *sequence = found ? manifest.sequence : 0;
    tsn_arena_free(&arena);
    tsn_history_close(history);
    return ok;
}

static struct tsn_publisher *open_publisher(struct world *world)
{
    struct tsn_publisher_settings settings = {
        .config = &world->config, .tail = tail, .tail_user = world};
    struct tsn_publisher *publisher = tsn_publisher_open(&settings, &world->failure);
    assert_non_null(publisher);
    assert_int_equal(tsn_publisher_wait(publisher, LONG_MS, &world->failure), TSN_PUBLISHING_DONE);
    return publisher;
}

static struct tsn_message text_to(const char *topic, const char *text)
{
    return (struct tsn_message){
        .topic = topic, .key = "k", .key_len = 1, .value = text, .len = strlen(text)};
}

static enum tsn_publishing publish(struct world *world, struct tsn_publisher *publisher,
                                   const struct tsn_message *messages, size_t n, uint64_t sequence)
{
    struct tsn_publication publication = {.sequence = sequence, .messages = messages, .n = n};
    tsn_publisher_submit(publisher, &publication);
    return tsn_publisher_wait(publisher, LONG_MS, &world->failure);
}

/* Reads one partition to its end; counts records, keeps the last value. */
static int read_all(struct world *world, const char *topic, int32_t partition, char last[256])
{
    struct tsn_reader_partition of = {.topic = topic, .partition = partition};
    struct tsn_reader *reader = tsn_reader_open(&world->config, &of, 1, 1 << 20, &world->failure);
    assert_non_null(reader);
    int n = 0;
    int64_t until = tsn_clock_monotonic_ms() + LONG_MS;
    for (bool end = false; !end && tsn_clock_monotonic_ms() < until;) {
        struct tsn_fetched items[16];
        size_t got;
        tsn_reader_quiet(reader);
        assert_true(tsn_reader_fetch(reader, 0, items, 16, &got, &world->failure));
        for (size_t i = 0; i < got; i++) {
            end = items[i].kind == TSN_FETCHED_END;
            n += !end;
            if (!end && last) {
                snprintf(last, 256, "%.*s", (int)items[i].len, items[i].value);
            }
        }
        tsn_fetched_release(items, got);
        struct pollfd fd = {.fd = tsn_reader_fd(reader), .events = POLLIN};
        poll(&fd, 1, got ? 0 : 100);
    }
    tsn_reader_close(reader);
    return n;
}

static struct tsn_message manifest_of(struct world *world, uint64_t sequence,
                                      struct tsn_arena *arena)
{
    static const struct tsn_origin origin = {"in", 0};
    static const int64_t position = 5;
    static const int32_t partitions = 1;
    struct tsn_manifest manifest = {.sequence = sequence,
                                    .semantics = 1,
                                    .cluster_id = "c",
                                    .n_origins = 1,
                                    .origins = &origin,
                                    .positions = &position,
                                    .partitions = &partitions};
    struct tsn_message message;
    tsn_wire_manifest(&manifest, arena, &message);
    message.topic = world->config.topics.manifest;
    return message;
}

/* ---- tests --------------------------------------------------------------------------------- */

static void a_committed_transaction_is_read_whole_and_ends_below_its_marker(void **state)
{
    struct world *world = *state;
    struct tsn_publisher *publisher = open_publisher(world);
    struct tsn_message messages[] = {text_to(world->config.topics.alerts, "one"),
                                     text_to(world->config.topics.alerts, "two"),
                                     text_to(world->config.topics.rejects, "bad")};
    assert_int_equal(publish(world, publisher, messages, 3, 1), TSN_PUBLISHING_DONE);
    assert_true(tsn_publisher_close(publisher, LONG_MS));
    char last[256];
    assert_int_equal(read_all(world, world->config.topics.alerts, 0, last), 2);
    assert_string_equal(last, "two");
    assert_int_equal(read_all(world, world->config.topics.rejects, 0, last), 1);
}

static void a_second_publisher_fences_the_first_which_publishes_nothing(void **state)
{
    struct world *world = *state;
    struct tsn_publisher *first = open_publisher(world);
    struct tsn_message a = text_to(world->config.topics.alerts, "a");
    struct tsn_message b = text_to(world->config.topics.alerts, "b");
    assert_int_equal(publish(world, first, &a, 1, 1), TSN_PUBLISHING_DONE);
    struct tsn_publisher *second = open_publisher(world);
    assert_int_equal(publish(world, first, &b, 1, 2), TSN_PUBLISHING_FAILED);
    assert_int_equal(world->failure.remedy, TSN_REMEDY_STAND_BY);
    assert_int_equal(publish(world, second, &a, 1, 2), TSN_PUBLISHING_DONE);
    assert_true(tsn_publisher_close(first, LONG_MS));
    assert_true(tsn_publisher_close(second, LONG_MS));
    char last[256];
    assert_int_equal(read_all(world, world->config.topics.alerts, 0, last), 2);
    assert_string_equal(last, "a");
}

static void what_the_broker_refuses_three_times_stops_with_the_reason(void **state)
{
    struct world *world = *state;
    static const struct tsn_property small = {"max.message.bytes", "2000"};
    world->names[2][0] = 's';
    make_topic(world, world->names[2], 1, &small, 1);
    struct tsn_publisher *publisher = open_publisher(world);
    char text[8001];
    text[8000] = '\0';
    srand(7); /* random text: lz4 must not make it fit */
    for (size_t i = 0; i < sizeof text - 1; i++) {
        text[i] = (char)(33 + rand() % 90);
    }
    struct tsn_message big = text_to(world->config.topics.alerts, text);
    assert_int_equal(publish(world, publisher, &big, 1, 1), TSN_PUBLISHING_FAILED);
    assert_int_equal(world->failure.remedy, TSN_REMEDY_CONFIG);
    assert_non_null(strstr(world->failure.text, "max.message.bytes"));
    assert_true(tsn_publisher_close(publisher, LONG_MS));
    assert_int_equal(read_all(world, world->config.topics.alerts, 0, NULL), 0);
}

static void an_offset_that_is_gone_is_an_error_and_no_jump(void **state)
{
    struct world *world = *state;
    struct tsn_reader_partition of = {.topic = world->names[1], .partition = 1, .start = 1000};
    struct tsn_reader *reader = tsn_reader_open(&world->config, &of, 1, 1 << 20, &world->failure);
    assert_non_null(reader);
    int64_t until = tsn_clock_monotonic_ms() + LONG_MS;
    bool ok = true;
    while (ok && tsn_clock_monotonic_ms() < until) {
        struct tsn_fetched items[4];
        size_t got;
        ok = tsn_reader_fetch(reader, 0, items, 4, &got, &world->failure);
        assert_int_equal(got, 0);
        struct pollfd fd = {.fd = tsn_reader_fd(reader), .events = POLLIN};
        poll(&fd, 1, 100);
        tsn_reader_quiet(reader);
    }
    assert_false(ok);
    assert_int_equal(world->failure.remedy, TSN_REMEDY_CONFIG);
    assert_non_null(strstr(world->failure.text, "offset 1000"));
    tsn_reader_close(reader);
}

static void the_newest_manifest_is_found_behind_many_and_any_by_its_sequence(void **state)
{
    bool same;
    struct world *world = *state;
    uint64_t newest = 99;
    assert_true(tail(world, NULL, &newest, &same, &world->failure));
    assert_int_equal(newest, 0);
    struct tsn_publisher *publisher = open_publisher(world);
    struct tsn_arena arena;
    tsn_arena_init(&arena, 0);
    for (uint64_t k = 1; k <= 60; k++) {
        struct tsn_message message = manifest_of(world, k, &arena);
        assert_int_equal(publish(world, publisher, &message, 1, k), TSN_PUBLISHING_DONE);
    }
    tsn_arena_free(&arena);
    assert_true(tsn_publisher_close(publisher, LONG_MS));
    assert_true(tail(world, NULL, &newest, &same, &world->failure));
    assert_int_equal(newest, 60);

    struct tsn_history *history = tsn_history_open(&world->config, world->kafka, &world->failure);
    static const uint64_t wanted[] = {0, 1, 7, 44, 60, 61};
    static const uint64_t given[] = {1, 1, 7, 44, 60, 0};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        struct tsn_manifest manifest = {0};
        bool end;
        assert_true(tsn_history_seek(history, wanted[i], &world->failure));
        assert_true(tsn_history_next(history, &manifest, &end, NULL, &world->failure));
        assert_int_equal(end ? 0 : manifest.sequence, given[i]);
    }
    tsn_history_close(history);
}

/* What bounds an interval is what brokers take by default; not by the grace of lz4. */
static void the_manifest_of_a_full_interval_is_taken_and_found(void **state)
{
    struct world *world = *state;
    static const struct tsn_property plain = {"compression.type", "none"};
    static const struct tsn_origin origins[] = {{"in", 0}, {"in", 1}};
    static const int64_t positions[] = {0, 0};
    static const int32_t partitions[] = {2, 2};
    static const uint8_t program[32] = {1};
    world->config.kafka.producer = (struct tsn_properties){1, &plain};
    struct tsn_interval interval;
    tsn_interval_init(&interval, "c", origins, 2);
    tsn_interval_begin(&interval, 1);
    for (int64_t at = 0; !tsn_interval_full(&interval); at++) {
        tsn_interval_run(&interval, (uint16_t)(at % 2), at, at + 1, 1); /* none goes on */
    }
    tsn_interval_swap(&interval, program, 1);
    struct tsn_manifest manifest = {
        .cluster_id = "c", .n_origins = 2, .origins = origins, .partitions = partitions};
    tsn_interval_seal(&interval, &manifest, positions, world->config.topics.manifest);
    struct tsn_publisher *publisher = open_publisher(world);
    if (publish(world, publisher, interval.publication.messages, 1, 1) != TSN_PUBLISHING_DONE) {
        fail_msg("%zu bytes: %s", interval.publication.messages[0].len, world->failure.text);
    }
    assert_true(tsn_publisher_close(publisher, LONG_MS));
    publisher = open_publisher(world); /* whoever takes over: the commit is settled by then */
    assert_true(tsn_publisher_close(publisher, LONG_MS));
    uint64_t newest;
    bool same;
    if (!tail(world, NULL, &newest, &same, &world->failure)) {
        fail_msg("%s", world->failure.text);
    }
    assert_int_equal(newest, 1);
    tsn_interval_free(&interval);
}

static bool await_seat(struct tsn_leader *leader, int64_t timeout_ms)
{
    int64_t until = tsn_clock_monotonic_ms() + timeout_ms;
    while (!tsn_leader_is(leader) && tsn_clock_monotonic_ms() < until) {
        struct pollfd fd = {.fd = tsn_leader_fd(leader), .events = POLLIN};
        poll(&fd, 1, 200);
    }
    return tsn_leader_is(leader);
}

static void a_standby_unseats_nobody_and_leads_when_the_leader_leaves(void **state)
{
    struct world *world = *state;
    struct tsn_leader *first = tsn_leader_open(&world->config, &world->failure);
    assert_true(await_seat(first, LONG_MS));
    struct tsn_leader *second = tsn_leader_open(&world->config, &world->failure);
    /* Any unseating within these two heartbeats would leave a wake-up behind. */
    uint64_t count;
    assert_true(read(tsn_leader_fd(first), &count, sizeof count) > 0);
    struct pollfd fds[] = {{.fd = tsn_leader_fd(first), .events = POLLIN},
                           {.fd = tsn_leader_fd(second), .events = POLLIN}};
    assert_int_equal(poll(fds, 2, 4000), 0);
    assert_true(tsn_leader_is(first));
    assert_false(tsn_leader_is(second));
    tsn_leader_close(first);
    assert_true(await_seat(second, LONG_MS));
    tsn_leader_close(second);
}

static void topics_are_counted_and_their_settings_read(void **state)
{
    struct world *world = *state;
    struct tsn_topic_count topics[] = {{.name = world->names[1]}, {.name = "there-is-none"}};
    assert_true(tsn_kafka_count(world->kafka, topics, 2, LONG_MS, &world->failure));
    assert_int_equal(topics[0].n_partitions, 3);
    assert_int_equal(topics[1].n_partitions, 0);
    char policy[64];
    assert_true(tsn_kafka_topic_setting(world->kafka, world->names[1], "cleanup.policy", policy,
                                        sizeof policy, LONG_MS, &world->failure));
    assert_string_equal(policy, "delete");
}

static void a_broker_that_is_not_there_is_worth_a_retry_and_named(void **state)
{
    struct world *world = *state;
    world->common[0].value = "127.0.0.1:1";
    struct tsn_kafka *kafka = tsn_kafka_open(&world->config, &world->failure);
    assert_non_null(kafka);
    char id[TSN_CLUSTER_ID_MAX];
    assert_false(tsn_kafka_cluster_id(kafka, id, 1500, &world->failure));
    assert_int_equal(world->failure.remedy, TSN_REMEDY_RETRY);
    assert_non_null(strstr(world->failure.text, "127.0.0.1:1"));
    tsn_kafka_close(kafka);
}

static void a_property_that_promises_rest_on_cannot_be_changed(void **state)
{
    struct world *world = *state;
    static const struct tsn_property dirty = {"isolation.level", "read_uncommitted"};
    static const struct tsn_property unknown = {"no.such.property", "1"};
    world->config.kafka.consumer = (struct tsn_properties){1, &dirty};
    struct tsn_reader_partition of = {.topic = world->names[1]};
    assert_null(tsn_reader_open(&world->config, &of, 1, 1 << 20, &world->failure));
    assert_int_equal(world->failure.remedy, TSN_REMEDY_CONFIG);
    assert_non_null(strstr(world->failure.text, "isolation.level"));
    world->config.kafka.consumer = (struct tsn_properties){1, &unknown};
    assert_null(tsn_reader_open(&world->config, &of, 1, 1 << 20, &world->failure));
    assert_non_null(strstr(world->failure.text, "no.such.property"));
}

int main(void)
{
    if (!getenv("TSN_KAFKA")) {
        printf("1..0 # SKIP TSN_KAFKA names no broker\n");
        return 77;
    }
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_committed_transaction_is_read_whole_and_ends_below_its_marker),
        TEST(a_second_publisher_fences_the_first_which_publishes_nothing),
        TEST(what_the_broker_refuses_three_times_stops_with_the_reason),
        TEST(an_offset_that_is_gone_is_an_error_and_no_jump),
        TEST(the_newest_manifest_is_found_behind_many_and_any_by_its_sequence),
        TEST(the_manifest_of_a_full_interval_is_taken_and_found),
        TEST(a_standby_unseats_nobody_and_leads_when_the_leader_leaves),
        TEST(topics_are_counted_and_their_settings_read),
        TEST(a_broker_that_is_not_there_is_worth_a_retry_and_named),
        TEST(a_property_that_promises_rest_on_cannot_be_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
