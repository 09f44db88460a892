/* bench kafka: the whole engine on a preloaded topic, beside a consumer that throws
 * messages away, on the same broker in one run.
 *
 *   ./dev bench kafka [--records N] [--partitions N] [--bootstrap HOST:PORT]
 *
 * Without --bootstrap it starts a broker of its own (tests/servers/kafka) and stops
 * it. The answer is checked first: the committed alerts, read back, must be those of
 * a replay of the committed manifests from empty state, and every record must have
 * been processed once. Then it prints our rate, the peer's, the ratio, the CPU time
 * an event costs beyond reading it, and how busy the loop's own thread was. Broker,
 * reader and engine share the cores.
 *
 * The peer runs in a process of its own, as we do: once unmeasured, because a cold
 * broker serves at half its rate, then before and after our run. The faster of the
 * two counts. Both use the same properties, so neither is tuned.
 */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "connectors/kafka/drain.h"
#include "connectors/kafka/kafka.h"
#include "connectors/kafka/sender.h"
#include "connectors/run/run.h"
#include "rules/must/must.h"

enum { ASK_MS = 20000, FEATURES = 10, RULES = 20 };

static struct {
    uint64_t records;
    int32_t partitions;
    const char *bootstrap;
    char folder[256];
    char text[256]; /* bootstrap of the own broker */
    bool own;
} bench = {.records = 2000000, .partitions = 12};

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "bench kafka: %s\n", what);
    exit(1);
}

static double wall_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_s(int of)
{
    struct rusage used;
    getrusage(of, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

/* ---- broker -------------------------------------------------------------------------------- */

static void broker(const char *verb)
{
    char command[1024];
    snprintf(command, sizeof command, "%s/tests/servers/kafka %s %s/broker", TSN_SOURCE_DIR, verb,
             bench.folder);
    FILE *out = popen(command, "r");
    TSN_MUST_ALLOC(out);
    char line[256] = "";
    if (fgets(line, sizeof line, out)) {
        line[strcspn(line, "\n")] = '\0';
        snprintf(bench.text, sizeof bench.text, "%s", line);
    }
    if (pclose(out) != 0) {
        give_up("the broker's script failed");
    }
}

static void clean_up(void)
{
    if (bench.own) {
        bench.own = false;
        broker("stop");
    }
    char command[512];
    if (bench.folder[0]) {
        snprintf(command, sizeof command, "rm -rf '%s'", bench.folder);
        if (system(command) != 0) {
            fprintf(stderr, "bench kafka: %s was not removed\n", bench.folder);
        }
    }
}

/* ---- what is run --------------------------------------------------------------------------- */

/* Ten windows of 5 minutes, an hour and a day; twenty rules on them. */
static void write_pack(const char *path)
{
    static const char *const windows[] = {"5m", "1h", "24h"};
    static const char *const aggregates[] = {"count", "sum(talk_s)", "distinct(callee)",
                                             "max(talk_s)", "avg(talk_s)"};
    FILE *out = fopen(path, "w");
    TSN_MUST_ALLOC(out);
    fputs("pack: bench\nversion: 1\n"
          "events:\n"
          "  call:\n"
          "    id: ref\n"
          "    fields:\n"
          "      ref: { type: string, required: true }\n"
          "      caller: { type: string, required: true, entity: line }\n"
          "      callee: { type: string, required: true, entity: line }\n"
          "      talk_s: { type: int, required: true }\n"
          "      cell: { type: string }\n"
          "      kind: { type: enum, values: [voice, video] }\n"
          "features:\n",
          out);
    for (int i = 0; i < FEATURES; i++) {
        const char *aggregate = aggregates[i % 5];
        bool by_callee = i % 2 && strcmp(aggregate, "distinct(callee)") != 0;
        fprintf(out,
                "  - name: f%d\n    event: call\n    aggregate: %s\n    by: %s\n    window: %s\n",
                i, aggregate, by_callee ? "callee" : "caller", windows[i % 3]);
    }
    fputs("rules:\n", out);
    for (int i = 0; i < RULES; i++) {
        /* Per aggregate, so that about one event in a thousand ends in an alert. */
        static const char *const high[] = {"40", "12000", "30", "598", "570.0"};
        fprintf(out,
                "  - id: r%d\n    event: call\n"
                "    when: 'f.f%d > %s && f.f0 > 20 && call.talk_s > %d'\n"
                "    reason: 'high ${f.f%d}'\n",
                i, i % FEATURES, high[i % FEATURES % 5], 500 + 4 * i, i % FEATURES);
    }
    fputs("typologies:\n  - id: busy\n    entity: { call: caller }\n    sum_over: 1h\n"
          "    weights: { ",
          out);
    for (int i = 0; i < RULES; i++) {
        fprintf(out, "%sr%d: 10", i ? ", " : "", i);
    }
    fputs(" }\n    thresholds: { minor: 10, severe: 60 }\n", out);
    fclose(out);
}

static const struct tsn_field_mapping mappings[] = {
    {.field = "time", .pointer = "/start", .time_format = TSN_TIME_EPOCH_MS},
    {.field = "ref", .pointer = "/ref"},
    {.field = "caller", .pointer = "/calling/number"},
    {.field = "callee", .pointer = "/called/number"},
    {.field = "talk_s", .pointer = "/duration"},
    {.field = "cell", .pointer = "/cell"},
    {.field = "kind", .pointer = "/kind"},
};

static struct tsn_property common[1];
static struct tsn_source source = {.name = "bench.call",
                                   .event = "call",
                                   .n_fields = sizeof mappings / sizeof mappings[0],
                                   .fields = mappings,
                                   .max_bytes = 65536};

static void configure(struct tsn_config *config, const char *pack)
{
    memset(config, 0, sizeof *config);
    common[0] = (struct tsn_property){"bootstrap.servers", bench.bootstrap};
    config->file = "bench";
    config->instance = "bench";
    config->pack = pack;
    config->engine = tsn_engine_defaults();
    config->kafka.common = (struct tsn_properties){1, common};
    config->kafka.commit_busy_ms = 50;
    config->kafka.commit_idle_ms = 1000;
    config->kafka.merge_wait_ms = 100;
    config->kafka.merge_slack_ms = 0;
    config->kafka.future_max_ms = 300000;
    config->topics.alerts = "bench.alerts";
    config->topics.rejects = "bench.rejects";
    config->topics.manifest = "bench.manifest";
    config->topics.programs = "bench.programs";
    config->n_sources = 1;
    config->sources = &source;
    config->state_in_memory = true;
    config->insecure = true;
    config->start_timeout_ms = 60000;
    config->stop_timeout_ms = 30000;
}

static void make_topics(const struct tsn_config *config)
{
    struct tsn_failure failure;
    struct tsn_kafka *kafka = tsn_kafka_open(config, &failure);
    /* Event times lie in the past, and a broker goes by the records' time. */
    static const struct tsn_property keep[] = {{"retention.ms", "-1"}};
    const char *const names[] = {"bench.call", "bench.alerts", "bench.rejects", "bench.manifest",
                                 "bench.programs"};
    for (size_t i = 0; i < 5; i++) {
        if (!kafka || !tsn_kafka_topic_create(kafka, names[i], i < 2 ? bench.partitions : 1, 0,
                                              keep, 1, ASK_MS, &failure)) {
            give_up(failure.text);
        }
    }
    tsn_kafka_close(kafka);
}

/* Call records of some 330 bytes: 200,000 lines, a few of them very busy. */
static void preload(void)
{
    struct tsn_failure failure;
    struct tsn_sender *sender = tsn_sender_open(bench.bootstrap, &failure);
    if (!sender) {
        give_up(failure.text);
    }
    uint64_t dice = 88172645463325252u;
    for (uint64_t i = 0; i < bench.records; i++) {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        unsigned caller = (unsigned)(dice >> 20) % (dice % 50 ? 200000 : 50);
        unsigned callee = (unsigned)(dice >> 40) % 200000;
        char key[32], text[512];
        int key_len = snprintf(key, sizeof key, "+86139%08u", caller);
        int64_t time_ms = 1750000000000 + (int64_t)i * 2;
        int len = snprintf(
            text, sizeof text,
            "{\"ref\":\"c-%010" PRIu64 "\",\"start\":%" PRId64 ",\"calling\":{\"number\":\"%s\","
            "\"imsi\":\"46000%010u\",\"imei\":\"86%013u\"},\"called\":{\"number\":\"+86138%08u\"},"
            "\"duration\":%u,\"kind\":\"voice\",\"cell\":\"460-00-%05u-%03u\",\"trunk\":{\"in\":"
            "\"TG%04u\",\"out\":\"TG%04u\"},\"cause\":16,\"switch\":\"msc-%02u\",\"roaming\":"
            "false}",
            i, time_ms, key, caller, caller, callee, (unsigned)(dice >> 9) % 600,
            (unsigned)(dice >> 13) % 40000, (unsigned)(dice >> 17) % 64, caller % 900, callee % 900,
            caller % 20);
        if (!tsn_sender_send(sender, "bench.call", key, (size_t)key_len, text, (size_t)len, time_ms,
                             &failure)) {
            give_up(failure.text);
        }
    }
    if (!tsn_sender_flush(sender, 120000, &failure)) {
        give_up(failure.text);
    }
    tsn_sender_close(sender);
}

/* ---- the peer -------------------------------------------------------------------------------- */

static struct tsn_drained run_peer(const struct tsn_config *config)
{
    int pipes[2];
    struct tsn_drained drained;
    fflush(stdout);
    if (pipe(pipes) != 0) {
        give_up("pipe");
    }
    pid_t child = fork();
    if (child == 0) {
        struct tsn_failure failure;
        bool ok =
            tsn_drain(config, "bench.call", bench.partitions, bench.records, &drained, &failure);
        if (!ok) {
            fprintf(stderr, "bench kafka: %s\n", failure.text);
        }
        ok = ok && write(pipes[1], &drained, sizeof drained) == sizeof drained;
        _exit(ok ? 0 : 1);
    }
    close(pipes[1]);
    bool ok = child > 0 && read(pipes[0], &drained, sizeof drained) == sizeof drained;
    close(pipes[0]);
    if (child > 0) {
        waitpid(child, NULL, 0);
    }
    if (!ok) {
        give_up("the consumer that throws messages away failed");
    }
    return drained;
}

/* ---- our run --------------------------------------------------------------------------------- */

struct run {
    double begun_s, begun_cpu_s, begun_loop_s;
    double seconds, cpu_seconds, loop_seconds; /* loop: CPU of the loop's thread */
    uint64_t rows;
};

static void on_commit(void *user, uint64_t sequence, uint64_t n_rows)
{
    struct run *run = user;
    if (sequence == 1) { /* nothing processed yet: live from here on */
        run->begun_s = wall_s();
        run->begun_cpu_s = cpu_s(RUSAGE_SELF);
        run->begun_loop_s = cpu_s(RUSAGE_THREAD);
    }
    if (n_rows > run->rows) {
        run->seconds = wall_s() - run->begun_s;
        run->cpu_seconds = cpu_s(RUSAGE_SELF) - run->begun_cpu_s;
        run->loop_seconds = cpu_s(RUSAGE_THREAD) - run->begun_loop_s;
    }
    run->rows = n_rows;
    if (n_rows >= bench.records) {
        kill(getpid(), SIGTERM);
    }
}

static void run_engine(const struct tsn_config *config, struct run *run)
{
    struct tsn_run_options options = {.committed = on_commit, .user = run};
    if (tsn_run(config, &options) != 0 || run->rows != bench.records) {
        give_up("the engine did not process every record once");
    }
}

/* ---- the check --------------------------------------------------------------------------- */

struct digest {
    uint64_t n;
    uint64_t sum; /* of the hashes of key and value: partitions have no common order */
};

static void add(struct digest *digest, const void *key, size_t key_len, const void *value,
                size_t len)
{
    digest->n++;
    digest->sum += XXH3_64bits_withSeed(value, len, XXH3_64bits(key, key_len));
}

static void on_alert(void *user, const struct tsn_message *message)
{
    add(user, message->key, message->key_len, message->value, message->len);
}

static void read_partition(const struct tsn_config *config, int32_t partition,
                           struct digest *digest)
{
    static struct tsn_fetched items[1024];
    struct tsn_failure failure;
    struct tsn_reader_partition of = {.topic = config->topics.alerts, .partition = partition};
    struct tsn_reader *reader = tsn_reader_open(config, &of, 1, 64 << 20, &failure);
    if (!reader) {
        give_up(failure.text);
    }
    for (bool end = false; !end;) {
        size_t n;
        tsn_reader_quiet(reader);
        if (!tsn_reader_fetch(reader, 0, items, 1024, &n, &failure)) {
            give_up(failure.text);
        }
        for (size_t i = 0; i < n && !end; i++) {
            end = items[i].kind == TSN_FETCHED_END;
            if (!end) {
                add(digest, items[i].key, items[i].key_len, items[i].value, items[i].len);
            }
        }
        tsn_reader_release(reader);
        struct pollfd fd = {.fd = tsn_reader_fd(reader), .events = POLLIN};
        poll(&fd, 1, n ? 0 : 50);
    }
    tsn_reader_close(reader);
}

static struct digest check(const struct tsn_config *config)
{
    struct digest committed = {0};
    for (int32_t i = 0; i < bench.partitions; i++) {
        read_partition(config, i, &committed);
    }
    struct digest replayed = {0};
    struct tsn_replay_visitor visitor = {.user = &replayed, .alert = on_alert};
    struct tsn_replay_totals totals;
    struct tsn_failure failure;
    struct tsn_keys *keys = tsn_keys_insecure();
    if (!tsn_replay_manifests(config, keys, (struct tsn_replay_range){.from = 0}, &visitor, &totals,
                              &failure)) {
        give_up(failure.text);
    }
    tsn_keys_free(keys);
    if (totals.rows != bench.records || totals.rejects != 0) {
        give_up("the manifests do not hold every record once");
    }
    if (committed.n == 0 || committed.n != replayed.n || committed.sum != replayed.sum) {
        give_up("the committed alerts are not those of the manifests");
    }
    return committed;
}

/* ---- arguments
 * ------------------------------------------------------------------------------------- */

static void arguments(int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--records") == 0) {
            bench.records = strtoull(argv[i + 1], NULL, 10);
        } else if (strcmp(argv[i], "--partitions") == 0) {
            bench.partitions = atoi(argv[i + 1]);
        } else if (strcmp(argv[i], "--bootstrap") == 0) {
            bench.bootstrap = argv[i + 1];
        } else {
            give_up("takes --records N, --partitions N, --bootstrap HOST:PORT");
        }
    }
    if (bench.records < 1000 || bench.partitions < 1 || bench.partitions > 1000) {
        give_up("--records from 1000, --partitions from 1 to 1000");
    }
}

int main(int argc, char **argv)
{
    arguments(argc, argv);
    snprintf(bench.folder, sizeof bench.folder, "%s/tocsin-bench-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp(bench.folder)) {
        give_up("cannot make a folder for the pack and the broker");
    }
    atexit(clean_up);
    if (!bench.bootstrap) {
        bench.own = true;
        broker("start");
        bench.bootstrap = bench.text;
    }
    char pack[300];
    snprintf(pack, sizeof pack, "%s/pack.yaml", bench.folder);
    write_pack(pack);
    struct tsn_config config;
    configure(&config, pack);
    make_topics(&config);
    preload();

    run_peer(&config);
    struct tsn_drained peer = run_peer(&config);
    struct run run = {0};
    run_engine(&config, &run);
    struct tsn_drained again = run_peer(&config);
    peer = again.seconds < peer.seconds ? again : peer;
    struct digest alerts = check(&config);

    double n = (double)bench.records;
    printf("%" PRIu64 " records of %.0f bytes, %d partitions, lz4; %" PRIu64
           " alerts, equal to the replay of the manifests\n",
           bench.records, (double)peer.bytes / n, (int)bench.partitions, alerts.n);
    printf("consumer that throws messages away  %10.0f events/s  %6.0f ns CPU an event\n",
           n / peer.seconds, peer.cpu_seconds / n * 1e9);
    printf("tocsin, end to end                  %10.0f events/s  %6.0f ns CPU an event\n",
           n / run.seconds, run.cpu_seconds / n * 1e9);
    printf("the loop's thread                   %10.0f %% busy     %6.0f ns CPU an event\n",
           100 * run.loop_seconds / run.seconds, run.loop_seconds / n * 1e9);
    printf("ratio %.2f (floor 0.50); added CPU %.0f ns an event\n", peer.seconds / run.seconds,
           (run.cpu_seconds - peer.cpu_seconds) / n * 1e9);
    return 0;
}
