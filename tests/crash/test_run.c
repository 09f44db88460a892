/* The live loop dies anywhere, hangs anywhere, is told anything by its servers - and
 * no alert is lost, none is said twice.
 *
 *   TSN_SEEDS=n   how many seeds (default: some hundreds, for CI)
 *   TSN_SEED=n    only this one; TSN_CRASH_LOG=1 shows what its lives say
 *
 * A seed makes input for three partitions of two topics and a series of lives: child
 * processes that run connectors/run as it is on the world of run_world.h. Each dies
 * at a random point, or is stopped there while another takes over and then goes on as
 * a zombie; until one is left alone and ends cleanly. Then, for every seed:
 *
 * - what a read_committed reader of the alert and reject topics sees equals, byte for
 *   byte and in order, what the replay of the committed manifests makes from nothing;
 * - manifests ascend by one, and their runs cover every input offset exactly once;
 * - no checkpoint was ever ahead of the committed manifests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "connectors/run/run.h"
#include "tests/crash/run_world.h"

enum {
    SEEDS_DEFAULT = 300,
    REGION_BYTES = 64 << 20,
    CALLS = 120,
    TRANSFERS = 50,
    LIVES_MAX = 12,
    START_S = 1772442000,
    LIFE_SECONDS = 60, /* a life that hangs is killed by SIGALRM */
};

/* ---- configuration
 * ------------------------------------------------------------------- */

static const struct tsn_field_mapping call_fields[] = {
    {.field = "time", .pointer = "/at", .time_format = TSN_TIME_EPOCH_MS},
    {.field = "call_id", .pointer = "/id"},
    {.field = "caller", .pointer = "/from"},
    {.field = "callee", .pointer = "/to"},
    {.field = "seconds", .pointer = "/s"},
};
static const struct tsn_field_mapping transfer_fields[] = {
    {.field = "time", .pointer = "/at", .time_format = TSN_TIME_EPOCH_MS},
    {.field = "tx_id", .pointer = "/id"},
    {.field = "payer", .pointer = "/from"},
    {.field = "payer_line", .pointer = "/line"},
    {.field = "payee", .pointer = "/to"},
    {.field = "amount", .pointer = "/fen", .unit = TSN_UNIT_MINOR},
};
static const struct tsn_source sources[] = {
    {.name = "cdr.call",
     .event = "call",
     .fields = call_fields,
     .n_fields = sizeof call_fields / sizeof call_fields[0],
     .max_bytes = 4096},
    {.name = "bank.txn",
     .event = "transfer",
     .fields = transfer_fields,
     .n_fields = sizeof transfer_fields / sizeof transfer_fields[0],
     .max_bytes = 4096},
};
static const struct {
    const char *topic;
    int32_t partition;
} inputs[] = {{"cdr.call", 0}, {"cdr.call", 1}, {"bank.txn", 0}};
enum { N_INPUTS = sizeof inputs / sizeof inputs[0] };

static struct tsn_config config_of_world(void)
{
    struct tsn_config config = {
        .file = "tocsin.yaml",
        .instance = "crash",
        .pack = TSN_SOURCE_DIR "/tests/crash/run.yaml",
        .n_sources = sizeof sources / sizeof sources[0],
        .sources = sources,
        .insecure = true,
        .checkpoint_ms = 150,
        .start_timeout_ms = INT64_C(1) << 40,
        .stop_timeout_ms = INT64_C(1) << 40,
        .engine = tsn_engine_defaults(),
    };
    config.engine.batch_rows = 64;
    config.kafka.commit_busy_ms = 20;
    config.kafka.commit_idle_ms = 60;
    config.kafka.merge_wait_ms = 20;
    config.kafka.merge_slack_ms = 1000;
    config.kafka.future_max_ms = INT64_C(1) << 40;
    config.topics.alerts = "tocsin.alerts";
    config.topics.rejects = "tocsin.rejects";
    config.topics.manifest = "tocsin.manifest";
    config.topics.programs = "tocsin.programs";
    config.topics.held = "tocsin.held";
    return config;
}

/* ---- input
 * -----------------------------------------------------------------------------
 */

static void add_input(unsigned input, int64_t at_ms, const char *value)
{
    tsn_memory_log_append(world->log, inputs[input].topic, inputs[input].partition, NULL, value,
                          strlen(value), at_ms);
}

static void make_input(void)
{
    char value[256];
    int64_t at_ms = (int64_t)START_S * 1000;
    for (unsigned i = 0; i < CALLS + TRANSFERS; i++) {
        uint64_t d = world_dice();
        at_ms += (int64_t)(d % 60000);
        int64_t told_ms = d % 16 == 0 ? at_ms - (int64_t)(d / 64 % 1200000) : at_ms;
        unsigned from = (unsigned)(d >> 20) % 6;
        unsigned to = (unsigned)(d >> 28) % 6;
        unsigned size = (unsigned)(d >> 36) % 200;
        unsigned id = d % 23 == 0 && i > 0 ? i - 1 : i; /* now and then a duplicate */
        if (d % 29 == 0) {
            add_input((unsigned)(d >> 50) % N_INPUTS, at_ms, "{\"id\":\"half a rec");
        } else if (i % 17 % 3 == 0) {
            snprintf(value, sizeof value,
                     "{\"id\":\"t%u\",\"at\":%lld,\"from\":\"A%u\",\"line\":\"+86%"
                     "u\",\"to\":\"A%u\","
                     "\"fen\":%u}",
                     id, (long long)told_ms, from, from, to, size * 100);
            add_input(2, at_ms, value);
        } else {
            snprintf(value, sizeof value,
                     "{\"id\":\"c%u\",\"at\":%lld,\"from\":\"+86%u\",\"to\":\"+86%"
                     "u\",\"s\":%u}",
                     id, (long long)told_ms, from, to, size);
            add_input(from % 2, at_ms, value);
        }
    }
    /* The wall clock of the lives goes on from the newest event. */
    world->start_ms = at_ms;
}

static void world_begin(void *region, uint64_t seed)
{
    struct world *w = region;
    memset(w, 0, sizeof *w);
    size_t used = (sizeof *w + 4095) / 4096 * 4096;
    world = w;
    w->log = tsn_memory_log_new((uint8_t *)region + used, REGION_BYTES - used);
    w->random = seed * UINT64_C(0x2545f4914f6cdd1d);
    for (int s = 0; s < 10; s++) {
        world_dice();
    }
    tsn_memory_log_topic(w->log, "cdr.call", 2);
    tsn_memory_log_topic(w->log, "bank.txn", 1);
    tsn_memory_log_topic(w->log, "tocsin.alerts", 1);
    tsn_memory_log_topic(w->log, "tocsin.rejects", 1);
    tsn_memory_log_topic(w->log, "tocsin.manifest", 1);
    tsn_memory_log_topic(w->log, "tocsin.programs", 1);
    tsn_memory_log_topic(w->log, "tocsin.held", 1);
    make_input();
    w->backlog = seed % 2 == 0;
    w->trouble = (unsigned)(world_dice() % 30);
}

/* ---- lives
 * --------------------------------------------------------------------------------
 */

/* Runs connectors/run in a child until it ends or stops at its point. */
static pid_t life_begin(const struct tsn_config *config, uint64_t crash_at, uint64_t pause_at)
{
    world->n_lives++;
    world->n_points = 0;
    world->crash_at = crash_at;
    world->pause_at = pause_at;
    world->idle = 0;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(LIFE_SECONDS);
        const struct tsn_run_options options = {0};
        _exit(tsn_run(config, &options));
    }
    return pid;
}

/* Gives the wait status. The seat of who is gone is free. */
static int life_wait(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    if (!WIFSTOPPED(status) && world->leader_pid == pid) {
        world->leader_pid = 0;
    }
    return status;
}

static void must_have_ended_well(uint64_t seed, int status)
{
    bool crashed = WIFEXITED(status) && WEXITSTATUS(status) == WORLD_CRASHED;
    if (!crashed && !(WIFEXITED(status) && WEXITSTATUS(status) == TSN_EXIT_OK)) {
        fail_msg("seed %llu: a life ended with %s %d (TSN_SEED=%llu TSN_CRASH_LOG=1)",
                 (unsigned long long)seed, WIFSIGNALED(status) ? "signal" : "status",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                 (unsigned long long)seed);
    }
    world->n_crashes += crashed;
}

/* A life that hangs at a point while others live, and then goes on. */
static void zombie_life(uint64_t seed, const struct tsn_config *config)
{
    pid_t zombie = life_begin(config, 0, 1 + world_dice() % 1500);
    int status = life_wait(zombie);
    if (!WIFSTOPPED(status)) {
        must_have_ended_well(seed, status);
        return;
    }
    pid_t heir = life_begin(config, world_dice() % 2 ? 1 + world_dice() % 1500 : 0, 0);
    must_have_ended_well(seed, life_wait(heir));
    world->n_points = 0;
    world->crash_at = 0;
    world->pause_at = 0;
    world->idle = 0;
    assert_int_equal(kill(zombie, SIGCONT), 0);
    must_have_ended_well(seed, life_wait(zombie));
}

static void live_through(uint64_t seed, const struct tsn_config *config)
{
    for (int n = 0; n < LIVES_MAX && world_dice() % 8 > 0; n++) {
        if (world_dice() % 4 == 0) {
            zombie_life(seed, config);
        } else {
            uint64_t crash_at = 1 + world_dice() % (world_dice() % 2 ? 2500 : 300);
            must_have_ended_well(seed, life_wait(life_begin(config, crash_at, 0)));
        }
    }
    /* The last one is left alone, its servers as troublesome as before. */
    int status = life_wait(life_begin(config, 0, 0));
    must_have_ended_well(seed, status);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == TSN_EXIT_OK);
}

/* ---- what came of it
 * ----------------------------------------------------------------------------
 */

/* Walks the committed records of an output topic beside the replay. */
struct reader {
    uint64_t seed;
    const char *topic;
    int64_t offset;
    uint64_t n;
};

static void compare(struct reader *reader, const struct tsn_message *message)
{
    struct tsn_log_record record;
    int64_t end;
    if (!tsn_memory_log_read(world->log, reader->topic, 0, reader->offset, &record, &end)) {
        fail_msg("seed %llu: the replay gives more to %s than the %llu records "
                 "committed there",
                 (unsigned long long)reader->seed, reader->topic, (unsigned long long)reader->n);
    }
    if (record.len != message->len || memcmp(record.value, message->value, record.len) != 0 ||
        record.key_len != message->key_len ||
        (record.key_len > 0 && memcmp(record.key, message->key, record.key_len) != 0) ||
        record.n_headers != message->n_headers) {
        fail_msg("seed %llu: record %llu of %s is not what the replay "
                 "gives:\n%.*s\n%.*s",
                 (unsigned long long)reader->seed, (unsigned long long)reader->n, reader->topic,
                 (int)record.len, record.value, (int)message->len, message->value);
    }
    for (size_t h = 0; h < record.n_headers; h++) {
        assert_string_equal(record.headers[h].name, message->headers[h].name);
        assert_int_equal(record.headers[h].len, message->headers[h].len);
        assert_memory_equal(record.headers[h].value, message->headers[h].value,
                            record.headers[h].len);
    }
    reader->offset = record.offset + 1;
    reader->n++;
}

struct outputs {
    struct reader alerts, rejects;
};

static void on_alert(void *user, const struct tsn_message *message)
{
    compare(&((struct outputs *)user)->alerts, message);
}

static void on_reject(void *user, const struct tsn_message *message)
{
    compare(&((struct outputs *)user)->rejects, message);
}

static void must_be_at_end(const struct reader *reader)
{
    struct tsn_log_record record;
    int64_t end;
    if (tsn_memory_log_read(world->log, reader->topic, 0, reader->offset, &record, &end)) {
        fail_msg("seed %llu: %s holds more than the %llu records of the replay",
                 (unsigned long long)reader->seed, reader->topic, (unsigned long long)reader->n);
    }
}

static uint64_t outputs_must_equal_the_replay(uint64_t seed, const struct tsn_config *config)
{
    struct tsn_failure failure = {0};
    struct tsn_replay_totals totals;
    struct tsn_keys *keys = tsn_keys_insecure();
    struct outputs outputs = {.alerts = {.seed = seed, .topic = "tocsin.alerts"},
                              .rejects = {.seed = seed, .topic = "tocsin.rejects"}};
    const struct tsn_replay_visitor visitor = {
        .user = &outputs, .alert = on_alert, .reject = on_reject};
    world->trouble = 0;
    world->backlog = true;
    world->crash_at = world->pause_at = 0;
    if (!tsn_replay_manifests(config, keys, (struct tsn_replay_range){0}, &visitor, &totals,
                              &failure)) {
        fail_msg("seed %llu: replay: %s", (unsigned long long)seed, failure.text);
    }
    must_be_at_end(&outputs.alerts);
    must_be_at_end(&outputs.rejects);
    tsn_keys_free(keys);
    return outputs.alerts.n;
}

static void every_input_offset_must_be_in_one_manifest(uint64_t seed)
{
    struct tsn_log_record record;
    struct tsn_arena arena;
    int64_t end;
    int64_t offset = 0;
    uint64_t sequence = 0;
    int64_t covered[N_INPUTS] = {0};
    tsn_arena_init(&arena, 0);
    while (tsn_memory_log_read(world->log, "tocsin.manifest", 0, offset, &record, &end)) {
        struct tsn_manifest manifest;
        const char *why;
        assert_true(tsn_wire_manifest_read(record.value, record.len, &arena, &manifest, &why));
        if (manifest.sequence != ++sequence) {
            fail_msg("seed %llu: manifest %llu is followed by %llu", (unsigned long long)seed,
                     (unsigned long long)sequence - 1, (unsigned long long)manifest.sequence);
        }
        for (size_t s = 0; s < manifest.n_steps; s++) {
            const struct tsn_step *step = &manifest.steps[s];
            if (step->kind != TSN_STEP_RUN) {
                continue;
            }
            const struct tsn_origin *origin = &manifest.origins[step->source];
            for (unsigned i = 0; i < N_INPUTS; i++) {
                if (strcmp(inputs[i].topic, origin->topic) == 0 &&
                    inputs[i].partition == origin->partition) {
                    assert_int_equal(step->first, covered[i]);
                    assert_true(step->end > step->first);
                    covered[i] = step->end;
                }
            }
        }
        tsn_arena_reset(&arena);
        offset = record.offset + 1;
    }
    for (unsigned i = 0; i < N_INPUTS; i++) {
        assert_int_equal(covered[i],
                         tsn_memory_log_high(world->log, inputs[i].topic, inputs[i].partition));
    }
    assert_in_range(world->stored.sequence, 1, sequence); /* never ahead of the log */
    tsn_arena_free(&arena);
}

/* ---- the tests
 * --------------------------------------------------------------------------------------
 */

static void *region;

static int set_up(void **state)
{
    (void)state;
    region = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(region != MAP_FAILED);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return munmap(region, REGION_BYTES);
}

struct totals {
    uint64_t n_alerts, n_lives, n_crashes, n_unknown, n_aborts, n_checkpoints, n_fenced;
};

static void run_seed(uint64_t seed, struct totals *totals)
{
    struct tsn_config config = config_of_world();
    world_begin(region, seed);
    live_through(seed, &config);
    uint64_t n_alerts = outputs_must_equal_the_replay(seed, &config);
    every_input_offset_must_be_in_one_manifest(seed);
    totals->n_alerts += n_alerts;
    totals->n_lives += world->n_lives;
    totals->n_crashes += world->n_crashes;
    totals->n_unknown += world->n_unknown;
    totals->n_aborts += world->n_aborts;
    totals->n_checkpoints += world->n_checkpoints;
    totals->n_fenced += world->n_fenced;
}

static void committed_output_equals_the_replay_whatever_crashed_when(void **state)
{
    (void)state;
    struct totals totals = {0};
    const char *one = getenv("TSN_SEED");
    const char *many = getenv("TSN_SEEDS");
    uint64_t first = one ? strtoull(one, NULL, 10) : 1;
    uint64_t n_seeds = one ? 1 : many ? strtoull(many, NULL, 10) : SEEDS_DEFAULT;
    for (uint64_t seed = first; seed < first + n_seeds; seed++) {
        run_seed(seed, &totals);
    }
    print_message("%llu seeds: %llu lives, %llu of them crashed, %llu commits of "
                  "unknown outcome, "
                  "%llu aborts, %llu times fenced, %llu checkpoints, %llu "
                  "alerts: none lost, none "
                  "doubled\n",
                  (unsigned long long)n_seeds, (unsigned long long)totals.n_lives,
                  (unsigned long long)totals.n_crashes, (unsigned long long)totals.n_unknown,
                  (unsigned long long)totals.n_aborts, (unsigned long long)totals.n_fenced,
                  (unsigned long long)totals.n_checkpoints, (unsigned long long)totals.n_alerts);
    assert_true(totals.n_alerts > n_seeds); /* the cases are not idle */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(committed_output_equals_the_replay_whatever_crashed_when),
    };
    return cmocka_run_group_tests_name("crash", tests, set_up, tear_down);
}
