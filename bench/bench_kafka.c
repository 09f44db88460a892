/* bench kafka: the whole engine on a preloaded topic, beside a consumer that throws
 * messages away and beside the same engine without transactions, on the same broker in
 * one run.
 *
 *   ./dev bench kafka [--records N] [--partitions N] [--rounds N] [--bootstrap HOST:PORT]
 *
 * Without --bootstrap it starts a broker of its own (tests/servers/kafka) and stops
 * it. A round is the peer, the engine and the engine at least once (bench/kafka_plain.c:
 * the same messages through a producer that acknowledges them, without transactions),
 * each in a process of its own and the two engines in turn first. Rounds before them are not
 * counted: a cold broker serves at half its rate, and what it compiles meanwhile takes up to a
 * core. In those the engines commit as often as they can, so that the broker has seen some hundred
 * transactions. The fastest of its rounds counts for each, and for
 * the ratio of the two engines the median of the rounds'. All use the same properties, so none is
 * tuned. The engines have engine.reserve of 1 GiB, for the reason that bench core gives, and
 * engine.reserve_records too: four million records are read in seconds, and memory that is touched
 * for the first time would be much of what is measured. The peer keeps no records, so it has none
 * to reserve.
 *
 * Answers are checked: of every run of the engine the alerts, read back, must be those
 * of a replay of its manifests from empty state, and every record must have been
 * processed once. Then it prints the rates, the ratios, the CPU time an event costs
 * beyond reading it and costs the broker, and what the loop's own thread did: busy, ready but
 * without a core (broker, reader and engine share them), or waiting for Kafka.
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

#include "bench/kafka_plain.h"
#include "connectors/kafka/drain.h"
#include "connectors/kafka/kafka.h"
#include "connectors/kafka/sender.h"
#include "connectors/run/run.h"
#include "rules/must/must.h"

enum { ASK_MS = 20000, FEATURES = 10, RULES = 20, KINDS = 2, OUTPUTS = 4 };
enum { ROUNDS_MAX = 16, COLD_ROUNDS = 2 };
enum { RESERVE_BYTES = 1 << 30 };

static struct {
    uint64_t records;
    int32_t partitions;
    int rounds;
    const char *bootstrap;
    char folder[256];
    char text[256]; /* bootstrap of the own broker */
    bool own;
    pid_t pid; /* of the own broker */
} bench = {.records = 4000000, .partitions = 12, .rounds = 8};

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

static void own_broker(void)
{
    char path[300];
    int pid = 0;
    bench.own = true;
    broker("start");
    bench.bootstrap = bench.text;
    snprintf(path, sizeof path, "%s/broker/pid", bench.folder);
    FILE *in = fopen(path, "re");
    if (!in || fscanf(in, "%d", &pid) != 1) {
        give_up("the broker's script wrote no process id");
    }
    fclose(in);
    bench.pid = pid;
}

/* CPU time that the own broker has used; 0 for another's. */
static double broker_cpu_s(void)
{
    clockid_t clock;
    struct timespec used = {0};
    if (bench.pid && clock_getcpuclockid(bench.pid, &clock) == 0) {
        clock_gettime(clock, &used);
    }
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* ---- processes ------------------------------------------------------------------------------ */

/* Each in a process of its own, so that none finds the memory of the one before. That goes
 * for whatever has threads, measured or not: malloc's arenas of theirs would be inherited, and
 * an engine would run in those and not in the one that it asks for. */
static void in_child(void (*work)(void *in, void *out), void *in, void *out, size_t size)
{
    int pipes[2];
    fflush(stdout);
    if (pipe(pipes) != 0) {
        give_up("pipe");
    }
    pid_t child = fork();
    if (child == 0) {
        bench.own = false; /* if it gives up, it leaves the broker alone */
        bench.folder[0] = '\0';
        work(in, out);
        _exit(write(pipes[1], out, size) == (ssize_t)size ? 0 : 1);
    }
    close(pipes[1]);
    bool ok = child > 0 && read(pipes[0], out, size) == (ssize_t)size;
    close(pipes[0]);
    if (child > 0) {
        waitpid(child, NULL, 0);
    }
    if (!ok) {
        give_up("a measured process failed");
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
    for (int i = 0; i < RULES - 1; i++) {
        /* Per aggregate, high enough for the busiest lines only. */
        static const char *const high[] = {"40", "12000", "30", "598", "570.0"};
        fprintf(out,
                "  - id: r%d\n    event: call\n"
                "    when: 'f.f%d > %s && f.f0 > 20 && call.talk_s > %d'\n"
                "    reason: 'high ${f.f%d}'\n",
                i, i % FEATURES, high[i % FEATURES % 5], 500 + 4 * i, i % FEATURES);
    }
    /* Any line: of a thousand events one or two end in an alert, so every transaction has some. */
    fprintf(out,
            "  - id: r%d\n    event: call\n    when: 'call.talk_s > 598'\n"
            "    reason: '${call.talk_s} seconds'\n",
            RULES - 1);
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
    config->pack = pack;
    config->engine = tsn_engine_defaults();
    config->engine.reserve_bytes = RESERVE_BYTES;
    config->reserve_records_bytes = RESERVE_BYTES;
    config->kafka.common = (struct tsn_properties){1, common};
    config->kafka.commit_busy_ms = 50;
    config->kafka.commit_behind_ms = 300;
    config->kafka.commit_idle_ms = 1000;
    config->kafka.merge_wait_ms = 100;
    config->kafka.merge_slack_ms = 0;
    config->kafka.future_max_ms = 300000;
    config->n_sources = 1;
    config->sources = &source;
    config->state_in_memory = true;
    config->insecure = true;
    config->start_timeout_ms = 60000;
    config->stop_timeout_ms = 30000;
}

/* The engine at work once, in topics and under a name of its own. */
enum kind { ONCE, PLAIN };

struct run {
    enum kind kind;
    char instance[32];
    char outputs[OUTPUTS][48]; /* alerts, rejects, manifest, programs */
    struct tsn_config config;
    struct did {
        double seconds, cpu_seconds, broker_seconds;
        double loop_seconds, loop_ready_seconds; /* the loop's thread: on a core, without one */
        uint64_t rows, manifests;
    } did;
    uint64_t alerts;
};

static struct run runs[COLD_ROUNDS + ROUNDS_MAX][KINDS];

static void name_run(struct run *run, enum kind kind, int round, const struct tsn_config *config)
{
    static const char *const of[OUTPUTS] = {"alerts", "rejects", "manifest", "programs"};
    run->kind = kind;
    run->config = *config;
    if (round < COLD_ROUNDS) {
        run->config.kafka.commit_busy_ms = 1;
        run->config.kafka.commit_behind_ms = 1;
    }
    snprintf(run->instance, sizeof run->instance, "%s-%d", kind == ONCE ? "once" : "plain", round);
    for (int i = 0; i < OUTPUTS; i++) {
        snprintf(run->outputs[i], sizeof run->outputs[i], "bench.%s.%s", run->instance, of[i]);
    }
    run->config.instance = run->instance;
    run->config.topics.alerts = run->outputs[0];
    run->config.topics.rejects = run->outputs[1];
    run->config.topics.manifest = run->outputs[2];
    run->config.topics.programs = run->outputs[3];
}

static void make_topic(struct tsn_kafka *kafka, const char *name, int32_t n_partitions)
{
    /* Event times lie in the past, and a broker goes by the records' time. */
    static const struct tsn_property keep[] = {{"retention.ms", "-1"}};
    struct tsn_failure failure;
    if (!tsn_kafka_topic_create(kafka, name, n_partitions, 0, keep, 1, ASK_MS, &failure)) {
        give_up(failure.text);
    }
}

static void name_runs(const struct tsn_config *config)
{
    for (int round = 0; round < COLD_ROUNDS + bench.rounds; round++) {
        for (int kind = 0; kind < KINDS; kind++) {
            name_run(&runs[round][kind], (enum kind)kind, round, config);
        }
    }
}

static void make_topics(void *in, void *out)
{
    (void)out;
    const struct tsn_config *config = in;
    struct tsn_failure failure;
    struct tsn_config asking = *config;
    asking.instance = "bench";
    struct tsn_kafka *kafka = tsn_kafka_open(&asking, &failure);
    if (!kafka) {
        give_up(failure.text);
    }
    make_topic(kafka, source.name, bench.partitions);
    for (int round = 0; round < COLD_ROUNDS + bench.rounds; round++) {
        for (int kind = 0; kind < KINDS; kind++) {
            for (int i = 0; i < OUTPUTS; i++) {
                make_topic(kafka, runs[round][kind].outputs[i], i == 0 ? bench.partitions : 1);
            }
        }
    }
    tsn_kafka_close(kafka);
}

/* Call records of some 330 bytes: 200,000 lines, a few of them very busy. */
static void preload(void *in, void *out)
{
    (void)in;
    (void)out;
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
        if (!tsn_sender_send(sender, source.name, key, (size_t)key_len, text, (size_t)len, time_ms,
                             &failure)) {
            give_up(failure.text);
        }
    }
    if (!tsn_sender_flush(sender, 120000, &failure)) {
        give_up(failure.text);
    }
    tsn_sender_close(sender);
}

/* ---- what is measured ------------------------------------------------------------------------ */

static void fail_child(const char *why)
{
    fprintf(stderr, "bench kafka: %s\n", why);
    _exit(1);
}

static void drain(void *in, void *out)
{
    struct tsn_config config = *(const struct tsn_config *)in;
    struct tsn_failure failure;
    config.instance = "bench";
    if (!tsn_drain(&config, source.name, bench.partitions, bench.records, out, &failure)) {
        fail_child(failure.text);
    }
}

struct peer {
    struct tsn_drained drained;
    double broker_seconds; /* of the whole process, so a little more than while it read */
};

static void measure_peer(struct tsn_config *config, struct peer *best)
{
    struct peer peer = {.broker_seconds = -broker_cpu_s()};
    in_child(drain, config, &peer.drained, sizeof peer.drained);
    peer.broker_seconds += broker_cpu_s();
    bool first = best->drained.records == 0;
    *best = first || peer.drained.seconds < best->drained.seconds ? peer : *best;
}

/* Seconds that this thread was ready to run and had no core; 0 where the kernel does not say. */
static double ready_s(void)
{
    double ran = 0, ready = 0;
    FILE *in = fopen("/proc/thread-self/schedstat", "re");
    if (in) {
        ready = fscanf(in, "%lf %lf", &ran, &ready) == 2 ? ready / 1e9 : 0;
        fclose(in);
    }
    return ready;
}

static struct did now(void)
{
    return (struct did){.seconds = wall_s(),
                        .cpu_seconds = cpu_s(RUSAGE_SELF),
                        .broker_seconds = broker_cpu_s(),
                        .loop_seconds = cpu_s(RUSAGE_THREAD),
                        .loop_ready_seconds = ready_s()};
}

struct watch {
    struct did begun, last; /* clocks */
};

static void on_commit(void *user, uint64_t sequence, uint64_t n_rows)
{
    struct watch *watch = user;
    if (sequence == 1) { /* nothing processed yet: live from here on */
        watch->begun = now();
    }
    if (n_rows > watch->last.rows) {
        watch->last = now();
        watch->last.rows = n_rows;
    }
    watch->last.manifests = sequence;
    if (n_rows >= bench.records) {
        kill(getpid(), SIGTERM);
    }
}

static void engine(void *in, void *out)
{
    const struct run *run = in;
    struct did *did = out;
    struct watch watch = {0};
    struct tsn_run_options options = {.committed = on_commit, .user = &watch};
    if (run->kind == PLAIN) {
        plain_use();
    }
    if (tsn_run(&run->config, &options) != 0 || watch.last.rows != bench.records) {
        fail_child("the engine did not process every record once");
    }
    *did = watch.last;
    did->seconds -= watch.begun.seconds;
    did->cpu_seconds -= watch.begun.cpu_seconds;
    did->broker_seconds -= watch.begun.broker_seconds;
    did->loop_seconds -= watch.begun.loop_seconds;
    did->loop_ready_seconds -= watch.begun.loop_ready_seconds;
}

static void measure_engine(struct run *run)
{
    in_child(engine, run, &run->did, sizeof run->did);
}

/* ---- the check ----------------------------------------------------------------------------- */

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
        tsn_fetched_release(items, n);
        struct pollfd fd = {.fd = tsn_reader_fd(reader), .events = POLLIN};
        poll(&fd, 1, n ? 0 : 50);
    }
    tsn_reader_close(reader);
}

static void check(void *in, void *out)
{
    const struct run *run = in;
    const struct tsn_config *config = &run->config;
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
        give_up("the alerts are not those of the manifests");
    }
    *(uint64_t *)out = committed.n;
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
        } else if (strcmp(argv[i], "--rounds") == 0) {
            bench.rounds = atoi(argv[i + 1]);
        } else if (strcmp(argv[i], "--bootstrap") == 0) {
            bench.bootstrap = argv[i + 1];
        } else {
            give_up("takes --records N, --partitions N, --rounds N, --bootstrap HOST:PORT");
        }
    }
    if (bench.records < 1000 || bench.partitions < 1 || bench.partitions > 1000) {
        give_up("--records from 1000, --partitions from 1 to 1000");
    }
    if (bench.rounds < 1 || bench.rounds > ROUNDS_MAX) {
        give_up("--rounds from 1 to 16");
    }
}

/* ---- what is said -------------------------------------------------------------------------- */

static const struct run *fastest(enum kind kind)
{
    const struct run *best = &runs[COLD_ROUNDS][kind];
    for (int round = COLD_ROUNDS + 1; round < COLD_ROUNDS + bench.rounds; round++) {
        const struct run *run = &runs[round][kind];
        best = run->did.seconds < best->did.seconds ? run : best;
    }
    return best;
}

static void say_rate(const char *what, double seconds, double cpu_seconds, double broker_seconds)
{
    double n = (double)bench.records;
    printf("%-36s%10.0f events/s  %6.0f ns CPU an event", what, n / seconds, cpu_seconds / n * 1e9);
    if (bench.pid) {
        printf(", %.0f of the broker", broker_seconds / n * 1e9);
    }
    printf("\n");
}

static int doubles_ascend(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The two engines of a round ran one after the other, so a round's ratio is of one state of the
 * machine; the median of all is what the floor is for. */
static void say_pairs(void)
{
    double ratio[ROUNDS_MAX], sorted[ROUNDS_MAX];
    int n = bench.rounds;
    for (int round = 0; round < n; round++) {
        const struct run *of = runs[COLD_ROUNDS + round];
        ratio[round] = of[PLAIN].did.seconds / of[ONCE].did.seconds;
        sorted[round] = ratio[round];
    }
    qsort(sorted, (size_t)n, sizeof *sorted, doubles_ascend);
    printf("exactly once to at least once %.2f (floor 0.90), of rounds",
           (sorted[(n - 1) / 2] + sorted[n / 2]) / 2);
    for (int round = 0; round < n; round++) {
        printf(" %.2f", ratio[round]);
    }
    printf("\n");
}

static void say(const struct peer *with)
{
    const struct tsn_drained *peer = &with->drained;
    double n = (double)bench.records;
    const struct run *run = fastest(ONCE), *plain = fastest(PLAIN);
    const struct did *did = &run->did;
    printf("%" PRIu64 " records of %.0f bytes, %d partitions, lz4; %" PRIu64 " alerts in %" PRIu64
           " transactions, equal to the replay of the manifests\n",
           bench.records, (double)peer->bytes / n, (int)bench.partitions, run->alerts,
           did->manifests);
    say_rate("consumer that throws messages away", peer->seconds, peer->cpu_seconds,
             with->broker_seconds);
    say_rate("tocsin, end to end, exactly once", did->seconds, did->cpu_seconds,
             did->broker_seconds);
    say_rate("the same without transactions", plain->did.seconds, plain->did.cpu_seconds,
             plain->did.broker_seconds);
    double busy = 100 * did->loop_seconds / did->seconds;
    double ready = 100 * did->loop_ready_seconds / did->seconds;
    printf("the loop's thread: %.0f ns CPU an event; %.0f %% busy, %.0f %% without a core, %.0f %% "
           "waiting\n",
           did->loop_seconds / n * 1e9, busy, ready, busy + ready < 100 ? 100 - busy - ready : 0);
    printf("ratio to the consumer %.2f (floor 0.50); added CPU %.0f ns an event\n",
           peer->seconds / did->seconds, (did->cpu_seconds - peer->cpu_seconds) / n * 1e9);
    say_pairs();
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
        own_broker();
    }
    char pack[300];
    snprintf(pack, sizeof pack, "%s/pack.yaml", bench.folder);
    write_pack(pack);
    struct tsn_config config;
    configure(&config, pack);
    name_runs(&config);
    char none;
    in_child(make_topics, &config, &none, sizeof none);
    in_child(preload, NULL, &none, sizeof none);

    struct peer peer = {0};
    for (int round = 0; round < COLD_ROUNDS + bench.rounds; round++) {
        struct peer cold = {0};
        measure_peer(&config, round < COLD_ROUNDS ? &cold : &peer);
        measure_engine(&runs[round][round % 2 ? ONCE : PLAIN]);
        measure_engine(&runs[round][round % 2 ? PLAIN : ONCE]);
    }
    measure_peer(&config, &peer);
    for (int i = COLD_ROUNDS * KINDS; i < (COLD_ROUNDS + bench.rounds) * KINDS; i++) {
        struct run *run = &runs[i / KINDS][i % KINDS];
        in_child(check, run, &run->alerts, sizeof run->alerts);
    }
    say(&peer);
    return 0;
}
