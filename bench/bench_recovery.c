/* bench recovery: what a large state costs in memory, in Redis, at every checkpoint
 * and when the process dies.
 *
 *   ./dev bench recovery [--entities N] [--events N] [--seconds N] [--fresh N]
 *                        [--only checkpoints | --restores N]
 *
 * Starts a redis-server of its own and processes: one that fills the state, runs with
 * and without checkpoints and is killed by SIGKILL, a standby that takes over, some that
 * begin from nothing, and this one, which reads the same data with plain hiredis after each of
 * those. Nothing is said of a restore before its answer is checked: the restored state and the
 * alert it gives must be those of the process that died, and the plain read must have seen what
 * was restored. Each figure is printed when it is known: our number, the other's, the ratio; of
 * restores each, and the median. Without --entities it takes what fits the free memory, at most ten
 * million. Kafka is left out: its part is a session time-out and the replay of at most one
 * checkpoint interval. Redis runs without appendonly, so that the disk of the machine is not what
 * is measured.
 *
 * What a restore fills is memory that it touches first, and on a virtual machine that
 * measures the host: a page that the guest never used, or that the host took back, can cost
 * twenty times what the kernel takes to clear one (bench/recovery_memory.h; both are measured
 * here and printed). So before each restore that the floor is for, other processes use as much
 * memory and give it back, as on a server that did something before. The restoring process itself
 * touches nothing before its time begins: the kernel clearing its pages is in it, like everything
 * else that it waits for. --fresh restores as many times (default 1) after the host had time to
 * take the memory back; there is no floor for that. From kill -9 to the first alert nothing of
 * this is done.
 *
 * --only checkpoints kills and restores nothing: for work on how they are written. --restores
 * writes one whole checkpoint and only restores it, so many times.
 */
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "bench/recovery_memory.h"
#include "bench/recovery_plain.h"
#include "bench/recovery_report.h"
#include "connectors/store/store.h"
#include "engine/engine.h"
#include "rules/must/must.h"
#include "rules/pack/pack.h"

enum {
    RESTORES = 5, /* and as many plain reads */
    ENTITIES_MIN = 100000,
    EVENTS_MIN = 20, /* the probe counts to 20 */
    SECONDS_MIN = 2, /* a checkpoint a second: a phase must see one whole */
    /* Of memory, in the first process, the standby and Redis together: before the phases, and
     * for the rows that a second of a phase adds; measured with ten million entities. */
    ENTITY_BYTES = 1600,
    PHASE_SECOND_BYTES = 190 * 1000 * 1000,
    PROBE_AMOUNT = 777777,
    WAIT_MS = 600000,
    STEP_BYTES = 256 * 1024,                /* of a cut after each batch, as the live loop has it */
    BESIDE_STATE_BYTES = 128 * 1024 * 1024, /* what a restore needs besides, generously */
    CHECK_ROUNDS = 200000,                  /* a nanosecond or two each */
    HOST_TAKES_S = 25,                      /* until a host has taken back what was freed */
};

static const char pack_text[] =
    "format: 1\npack: bench-recovery\nversion: 1\n"
    "events:\n"
    "  pay:\n"
    "    fields:\n"
    "      account: { type: string, required: true, entity: account }\n"
    "      amount:  { type: int, required: true }\n"
    "features:\n"
    "  - { name: n_24h, event: pay, aggregate: count, by: account, window: 24h }\n"
    "  - { name: sum_1h, event: pay, aggregate: sum(amount), by: account, window: 1h }\n"
    "rules:\n"
    "  - id: probe\n"
    "    event: pay\n"
    "    when: 'f.n_24h >= 20 && pay.amount == 777777'\n"
    "    reason: '${f.n_24h} payments, ${f.sum_1h} in an hour'\n"
    "typologies:\n"
    "  - id: probed\n"
    "    title: The payment that is waited for\n"
    "    entity: { pay: account }\n"
    "    sum_over: 1h\n"
    "    weights: { probe: 100 }\n"
    "    thresholds: { severe: 50 }\n"
    "    actions: { severe: { queue: desk, cooldown: 1h } }\n";

static struct {
    uint64_t entities;
    uint64_t events;
    uint64_t seconds; /* of a phase */
    bool only_checkpoints;
    uint64_t restores; /* without phases; 0: the whole benchmark */
    uint64_t fresh;    /* restores into memory that nobody used */
    char folder[128];
    char socket[160];
    bool runs;
    pid_t owner;
} bench = {.events = 20, .seconds = 3, .fresh = 1};

static struct recovery_report *report;

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "bench recovery: %s\n", what);
    exit(1);
}

static double clock_s(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double wall_s(void)
{
    return clock_s(CLOCK_MONOTONIC);
}

/* Processor time of this thread, the kernel's work for it included: what others do on
 * the machine is not the engine's stall. */
static double cpu_s(void)
{
    return clock_s(CLOCK_THREAD_CPUTIME_ID);
}

/* First touches of pages by this thread. */
static long page_faults(void)
{
    struct rusage used;
    TSN_MUST(getrusage(RUSAGE_THREAD, &used) == 0);
    return used.ru_minflt;
}

/* ---- redis --------------------------------------------------------------------------------- */

static void redis_script(const char *verb, const char *options)
{
    char command[512];
    snprintf(command, sizeof command, "%s/tests/servers/redis %s %s/redis %s", TSN_SOURCE_DIR, verb,
             bench.folder, options);
    FILE *out = popen(command, "r");
    TSN_MUST_ALLOC(out);
    if (strcmp(verb, "start") == 0 && fgets(bench.socket, sizeof bench.socket, out)) {
        bench.socket[strcspn(bench.socket, "\n")] = '\0';
    }
    if (pclose(out) != 0) {
        give_up("the server's script failed");
    }
}

static void clean_up(void)
{
    if (getpid() != bench.owner) {
        return;
    }
    if (bench.runs) {
        redis_script("kill", "");
    }
    char command[192];
    snprintf(command, sizeof command, "rm -rf '%s'", bench.folder);
    if (system(command) != 0) {
        fprintf(stderr, "bench recovery: %s was not removed\n", bench.folder);
    }
}

static redisContext *redis_connect(void)
{
    redisContext *redis = redisConnectUnix(bench.socket);
    TSN_MUST(redis && !redis->err);
    redis->reader->maxbuf = 0;
    return redis;
}

/* A number from INFO. */
static double redis_number(const char *name)
{
    redisContext *redis = redis_connect();
    redisReply *reply = redisCommand(redis, "INFO");
    TSN_MUST(reply && reply->type == REDIS_REPLY_STRING);
    const char *at = strstr(reply->str, name);
    TSN_MUST(at);
    double value = strtod(at + strlen(name) + 1, NULL);
    freeReplyObject(reply);
    redisFree(redis);
    return value;
}

static uint64_t redis_info(const char *name)
{
    return (uint64_t)redis_number(name);
}

static double redis_cpu_s(void)
{
    return redis_number("used_cpu_user") + redis_number("used_cpu_sys");
}

/* ---- an engine and its store --------------------------------------------------------------- */

struct life {
    struct tsn_program *prog;
    struct tsn_engine *eng;
    struct tsn_batch *batch;
    struct tsn_output out;
    struct tsn_keys *keys;
    struct tsn_config config;
    struct tsn_store *store;
    uint64_t sequence;
    uint64_t n_rows;
    double now_ms; /* of events */
    uint64_t base; /* first entity of the range that changes */
    uint64_t random;
};

static void claim(struct life *life)
{
    struct tsn_failure failure = {0};
    if (!tsn_store_claim(life->store, &failure)) {
        give_up(failure.text);
    }
}

static void life_begin(struct life *life)
{
    *life = (struct life){.now_ms = 1.7e12, .random = 88172645463325252u};
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    life->prog = tsn_pack_compile("bench", pack_text, strlen(pack_text), NULL, NULL, &diags);
    if (!life->prog) {
        give_up("its pack does not compile");
    }
    struct tsn_engine_settings settings = tsn_engine_defaults();
    settings.batch_rows = RECOVERY_BATCH;
    life->eng = tsn_engine_new(life->prog, &settings);
    life->batch = tsn_batch_new(life->prog, RECOVERY_BATCH);
    tsn_output_init(&life->out);
    life->keys = tsn_keys_insecure();
    life->config.instance = "bench";
    life->config.redis.unix_socket = bench.socket;
    life->config.redis.timeout_ms = 60000;
    struct tsn_failure failure = {0};
    life->store = tsn_store_open(&life->config, life->keys, &failure);
    if (!life->store) {
        give_up(failure.text);
    }
}

static uint64_t next_random(struct life *life)
{
    life->random ^= life->random << 13;
    life->random ^= life->random >> 7;
    life->random ^= life->random << 17;
    return life->random;
}

/* Neighbours in number are not neighbours in memory: keys are hashes. */
static void row_add(struct life *life, const char *name, uint32_t name_len, int64_t amount)
{
    enum { ACCOUNT = 1, AMOUNT };
    struct tsn_batch *batch = life->batch;
    uint32_t at = tsn_batch_add(batch, 0, (int64_t)life->now_ms, 0, (int64_t)life->n_rows++);
    struct tsn_column *columns = batch->types[0].fields;
    columns[ACCOUNT].str[at] =
        (struct tsn_str){tsn_arena_strdup(&batch->text, name, name_len), name_len};
    tsn_bits_set(columns[ACCOUNT].valid, at);
    columns[AMOUNT].i64[at] = amount;
    tsn_bits_set(columns[AMOUNT].valid, at);
}

static void pay(struct life *life, uint64_t entity)
{
    char name[12] = "A";
    for (int i = 10; i > 0; i--) {
        name[i] = (char)('0' + entity % 10);
        entity /= 10;
    }
    row_add(life, name, 11, (int64_t)(next_random(life) % 100000));
}

static void run_batch(struct life *life)
{
    tsn_engine_rows(life->eng, life->batch, &life->out);
    tsn_batch_clear(life->batch);
}

static void fill(struct life *life)
{
    double step_ms = 12.0 * 3600e3 / (double)(bench.entities * bench.events);
    for (uint64_t e = 0; e < bench.events; e++) {
        for (uint64_t i = 0; i < bench.entities; i++) {
            life->now_ms += step_ms;
            pay(life, i);
            if (life->batch->n == RECOVERY_BATCH) {
                run_batch(life);
            }
        }
        row_add(life, "probe", 5, 1);
        run_batch(life);
    }
}

/* The row that is waited for; its alert as text. */
static void probe(struct life *life, char *text, size_t cap)
{
    tsn_output_clear(&life->out);
    row_add(life, "probe", 5, PROBE_AMOUNT);
    run_batch(life);
    if (life->out.n_alerts != 1 || life->out.alerts[0].n_hits != 1) {
        give_up("the probe gave no alert");
    }
    const struct tsn_alert *alert = &life->out.alerts[0];
    const struct tsn_alert_hit *hit = &alert->hits[0];
    snprintf(text, cap, "%.*s level %d score %.17g at %" PRId64 ": %.*s", (int)alert->entity.len,
             alert->entity.p, alert->level, alert->score, (int64_t)hit->event.time_ms,
             (int)hit->reason.len, hit->reason.p);
}

/* All records, in any order, as one number. */
static void digest_add(void *user, const struct tsn_snapshot_record *record)
{
    uint64_t *digest = user;
    XXH128_hash_t key = XXH3_128bits(record->key, sizeof record->key);
    XXH128_hash_t hash =
        XXH3_128bits_withSeed(record->bytes, record->len, key.low64 + (uint64_t)record->section);
    digest[0] += hash.low64;
    digest[1] += hash.high64 ^ key.high64;
}

static void digest(struct life *life, uint64_t digest[2])
{
    digest[0] = digest[1] = 0;
    tsn_snapshot_cut(life->eng, true, digest_add, digest);
}

/* ---- checkpoints ----------------------------------------------------------------------------- */

struct cut {
    struct tsn_store *store;
    uint64_t n, bytes;
    struct recovery_stall stall; /* longest call */
    double cpu_ms, check_ms;     /* of all */
    uint64_t calls;
};

static void collect(void *user, const struct tsn_snapshot_record *record)
{
    struct cut *cut = user;
    cut->n++;
    cut->bytes += record->len;
    tsn_store_collect(cut->store, record);
}

/* Begins a cut, or takes more of it; true when it is complete. */
static bool cut_some(struct life *life, struct cut *cut, bool begin, bool whole)
{
    long faults_from = page_faults();
    double from_s = wall_s();
    double cpu_from_s = cpu_s();
    if (begin) {
        tsn_snapshot_begin(life->eng, whole, collect, cut);
    }
    bool complete = tsn_snapshot_step(life->eng, STEP_BYTES);
    double cpu_ms = (cpu_s() - cpu_from_s) * 1e3;
    double call_wall_ms = (wall_s() - from_s) * 1e3;
    cut->calls++;
    cut->cpu_ms += cpu_ms;
    cut->stall.wall_ms = fmax(cut->stall.wall_ms, call_wall_ms);
    if (cpu_ms > cut->stall.cpu_ms) {
        cut->stall.cpu_ms = cpu_ms;
        cut->stall.begins = begin;
        cut->stall.faults = (uint64_t)(page_faults() - faults_from);
    }
    return complete;
}

/* A loop that touches no memory and takes about as long as a call of cut_some: how long it may
 * take at its longest says what the machine does to any such call. */
static void machine_check(struct life *life, struct cut *cut)
{
    double cpu_from_s = cpu_s();
    for (int i = 0; i < CHECK_ROUNDS; i++) {
        next_random(life);
    }
    double ms = (cpu_s() - cpu_from_s) * 1e3;
    cut->check_ms += ms;
    cut->stall.check_ms = fmax(cut->stall.check_ms, ms);
}

static void cut_all(struct life *life, struct cut *cut)
{
    bool complete = cut_some(life, cut, true, false);
    while (!complete) {
        complete = cut_some(life, cut, false, false);
    }
}

static void begin(struct life *life)
{
    const struct tsn_checkpoint_meta meta = {.sequence = ++life->sequence};
    tsn_store_begin(life->store, &meta);
}

static void written(struct life *life, int64_t wait_ms)
{
    struct tsn_failure failure = {0};
    if (tsn_store_wait(life->store, wait_ms, &failure) == TSN_STORE_FAILED) {
        give_up(failure.text);
    }
}

/* A line of /proc/self/status, in bytes. */
static uint64_t process_memory(const char *name)
{
    FILE *in = fopen("/proc/self/status", "r");
    char line[128];
    unsigned long long kb = 0;
    while (in && fgets(line, sizeof line, in)) {
        if (strncmp(line, name, strlen(name)) == 0) {
            kb = strtoull(line + strlen(name), NULL, 10);
        }
    }
    if (in) {
        fclose(in);
    }
    return kb * 1024;
}

/* VmHWM counts from here on. */
static void process_peak_forget(void)
{
    FILE *out = fopen("/proc/self/clear_refs", "w");
    if (!out || fputs("5", out) < 0 || fclose(out) != 0) {
        give_up("/proc/self/clear_refs cannot be written");
    }
}

/* The first of a state: sent while it is taken, as the live loop does. */
static void whole_checkpoint(struct life *life)
{
    struct cut cut = {.store = life->store};
    const struct tsn_checkpoint_meta meta = {.sequence = ++life->sequence, .whole = true};
    report->redis_before = redis_info("used_memory");
    process_peak_forget();
    report->memory_before = process_memory("VmRSS:");
    double from_s = wall_s();
    bool complete = cut_some(life, &cut, true, true);
    tsn_store_send(life->store, &meta);
    while (!complete) {
        if (tsn_store_room(life->store, &meta)) {
            complete = cut_some(life, &cut, false, false);
        } else {
            usleep(1000);
        }
    }
    tsn_store_begin(life->store, &meta);
    written(life, WAIT_MS);
    report->whole_s = wall_s() - from_s;
    report->memory_peak = process_memory("VmHWM:");
    report->whole = cut.stall;
}

/* Of an event, in the engine's thread. */
struct pace {
    double cpu_ns, wall_ns;
    uint64_t n;
};

/* A phase at full speed. Entities come from a range that moves by its own length in a
 * second, so that RECOVERY_DIRTY_PER_S of them change between cuts that are a second apart. Returns
 * what an event took of the engine's thread, in ns of processor time and of the wall
 * clock; *covered_s: from its start to its last cut. */
static struct pace phase(struct life *life, bool with, struct cut *cut, double *covered_s)
{
    double start_s = wall_s();
    double cut_s = start_s;
    double busy_s = 0;
    double busy_cpu_s = 0;
    uint64_t n = 0;
    double *batch_ms = with ? &report->with_ms : &report->without_ms; /* the longest */
    bool cutting = false;
    bool begins = false;
    bool writing = false;
    const uint64_t hot = RECOVERY_DIRTY_PER_S / 2;
    while (wall_s() - start_s < (double)bench.seconds) {
        uint64_t base = life->base + (uint64_t)((wall_s() - start_s) * (double)hot);
        while (life->batch->n < RECOVERY_BATCH) {
            life->now_ms += 0.05;
            pay(life, (base + next_random(life) % hot) % bench.entities);
        }
        bool cut_taken = false;
        double from_s = wall_s();
        double cpu_from_s = cpu_s();
        run_batch(life);
        *batch_ms = fmax(*batch_ms, (cpu_s() - cpu_from_s) * 1e3);
        n += RECOVERY_BATCH;
        if (with && cutting) {
            cutting = !cut_some(life, cut, begins, false);
            begins = false;
            writing = !cutting;
            cut_taken = true;
            if (writing) {
                begin(life);
            }
        } else if (with && writing) {
            struct tsn_failure failure = {0};
            enum tsn_store_progress progress = tsn_store_poll(life->store, &failure);
            if (progress == TSN_STORE_FAILED) {
                give_up(failure.text);
            }
            writing = progress == TSN_STORE_WRITING;
        } else if (with && from_s - cut_s >= 1) {
            cut_s = from_s;
            cutting = true;
            begins = true;
        }
        busy_s += wall_s() - from_s;
        busy_cpu_s += cpu_s() - cpu_from_s;
        if (cut_taken) {
            machine_check(life, cut);
        }
        tsn_output_clear(&life->out);
    }
    life->base += (uint64_t)((wall_s() - start_s) * (double)hot);
    *covered_s += cut_s - start_s;
    while (cutting && !cut_some(life, cut, begins, false)) {
        begins = false;
    }
    if (cutting) {
        begin(life);
        writing = true;
    }
    if (writing) {
        written(life, WAIT_MS);
    }
    return (struct pace){busy_cpu_s / (double)n * 1e9, busy_s / (double)n * 1e9, n};
}

static void phases(struct life *life)
{
    struct cut cut = {.store = life->store};
    struct cut rest = {.store = life->store};
    double covered_s = 0;
    phase(life, false, &cut, &(double){0}); /* warms up */
    for (int p = 0; p < RECOVERY_PHASES; p++) {
        struct pace pace[2]; /* without, with */
        for (int i = 0; i < 2; i++) {
            bool with = i != p % 2; /* logs grow from phase to phase: each goes first in turn */
            uint64_t sent = redis_info("total_net_input_bytes");
            pace[with] = phase(life, with, &cut, with ? &covered_s : &(double){0});
            report->sent_bytes += with ? redis_info("total_net_input_bytes") - sent : 0;
            cut_all(life, &rest); /* what the phase left dirty is not counted */
            begin(life);
            written(life, WAIT_MS);
        }
        report->without_ns[p] = pace[false].cpu_ns;
        report->with_ns[p] = pace[true].cpu_ns;
        report->ratio[p] = pace[false].cpu_ns / pace[true].cpu_ns;
        report->wall_ratio[p] = pace[false].wall_ns / pace[true].wall_ns;
        report->dirty_cpu_us +=
            (pace[true].cpu_ns - pace[false].cpu_ns) * (double)pace[true].n / 1e3;
    }
    if (cut.n == 0) {
        give_up("not one checkpoint was cut in its phases: give more --seconds");
    }
    report->n_dirty = cut.n;
    report->dirty_cpu_us /= (double)cut.n;
    report->steps_cpu_us = cut.cpu_ms * 1e3 / (double)cut.n;
    report->dirty_per_s = (double)cut.n / covered_s;
    report->dirty_bytes = cut.bytes;
    report->incremental = cut.stall;
    report->check_ms = cut.check_ms / (double)cut.calls;
}

/* ---- the processes --------------------------------------------------------------------------- */

static _Noreturn void live(void)
{
    struct life life;
    life_begin(&life);
    claim(&life);
    fill(&life);
    struct tsn_engine_counts counts = tsn_engine_counts(life.eng);
    report->entities = counts.entities;
    report->rows = counts.entries;
    report->state_bytes = counts.state_bytes;
    recovery_say_state(report);
    whole_checkpoint(&life);
    struct cut cut = {.store = life.store};
    usleep(200000);
    report->redis_after = redis_info("used_memory");
    recovery_say_whole(report);
    if (bench.restores == 0) {
        phases(&life);
        recovery_say_phases(report);
        cut_all(&life, &cut);
        begin(&life);
        written(&life, WAIT_MS);
    }
    report->n_rows = life.n_rows;
    report->last_bytes = tsn_engine_counts(life.eng).state_bytes;
    probe(&life, report->alert, sizeof report->alert);
    digest(&life, report->digest);
    report->ready = 1;
    for (;;) {
        pause();
    }
}

static void count_records(void *user, unsigned percent, uint64_t records, uint64_t bytes)
{
    (void)percent;
    (void)bytes;
    *(uint64_t *)user = records;
}

static void load(struct life *life, struct recovery_restored *restored)
{
    struct tsn_failure failure = {0};
    struct tsn_checkpoint_meta meta;
    life_begin(life);
    tsn_store_watch(life->store, count_records, &restored->records);
    double redis_from_s = redis_cpu_s();
    double from_s = wall_s();
    double cpu_from_s = clock_s(CLOCK_PROCESS_CPUTIME_ID);
    if (!tsn_store_load(life->store, life->eng, &meta, &failure)) {
        give_up(failure.text);
    }
    restored->load_s = wall_s() - from_s;
    restored->cpu_s = clock_s(CLOCK_PROCESS_CPUTIME_ID) - cpu_from_s;
    restored->redis_cpu_s = redis_cpu_s() - redis_from_s;
    life->now_ms = (double)tsn_engine_newest(life->eng);
    life->n_rows = report->n_rows;
}

/* Loads before the kill, and takes over after it. */
static _Noreturn void stand_by(void)
{
    struct life life;
    load(&life, &report->standby);
    report->standby_loaded = 1;
    while (report->killed_s == 0) {
        usleep(100);
    }
    claim(&life);
    probe(&life, report->standby.alert, sizeof report->standby.alert);
    report->standby.alert_at_s = wall_s() - report->killed_s;
    digest(&life, report->standby.digest);
    exit(0);
}

/* Begins from nothing, at from_s. */
static _Noreturn void inherit(struct recovery_restored *restored, double from_s)
{
    struct life life;
    load(&life, restored);
    claim(&life);
    probe(&life, restored->alert, sizeof restored->alert);
    restored->alert_at_s = wall_s() - from_s;
    digest(&life, restored->digest);
    exit(0);
}

/* ---- main ------------------------------------------------------------------------------------ */

static uint64_t as_many_as_fit(void)
{
    FILE *in = fopen("/proc/meminfo", "r");
    char line[128];
    unsigned long long kb = 0;
    while (in && fgets(line, sizeof line, in)) {
        if (sscanf(line, "MemAvailable: %llu", &kb) == 1) {
            break;
        }
    }
    if (in) {
        fclose(in);
    }
    uint64_t bytes = kb * 1024 / 20 * 19;
    uint64_t phases = (2 * RECOVERY_PHASES + 1) * bench.seconds * PHASE_SECOND_BYTES;
    uint64_t n = bytes > phases ? (bytes - phases) / ENTITY_BYTES : 0;
    return n < 10000000 ? n : 10000000;
}

static void read_arguments(int argc, char **argv)
{
    const struct {
        const char *name;
        uint64_t *value;
    } options[] = {{"--entities", &bench.entities},
                   {"--events", &bench.events},
                   {"--seconds", &bench.seconds},
                   {"--restores", &bench.restores},
                   {"--fresh", &bench.fresh}};
    for (int i = 1; i < argc; i += 2) {
        uint64_t *value = NULL;
        if (i + 1 < argc && strcmp(argv[i], "--only") == 0 &&
            strcmp(argv[i + 1], "checkpoints") == 0) {
            bench.only_checkpoints = true;
            continue;
        }
        for (size_t o = 0; o < sizeof options / sizeof options[0]; o++) {
            value = strcmp(argv[i], options[o].name) == 0 ? options[o].value : value;
        }
        const char *digits = i + 1 < argc ? argv[i + 1] : "";
        if (!value || digits[0] == '\0' || strspn(digits, "0123456789") != strlen(digits) ||
            strlen(digits) > 9) {
            fprintf(stderr, "usage: bench_recovery [--entities N] [--events N] [--seconds N] "
                            "[--fresh N] [--only checkpoints | --restores N]\n");
            exit(2);
        }
        *value = strtoull(digits, NULL, 10);
    }
    bench.entities = bench.entities ? bench.entities : as_many_as_fit();
    static const struct {
        uint64_t *value, least;
        const char *why;
    } floors[] = {
        {&bench.entities, ENTITIES_MIN,
         "--entities is at least 100000: 50,000 of them are to change every second"},
        {&bench.events, EVENTS_MIN, "--events is at least 20: the probe counts to 20"},
        {&bench.seconds, SECONDS_MIN,
         "--seconds is at least 2: checkpoints are a second apart, and a phase must see one"},
    };
    for (size_t i = 0; i < sizeof floors / sizeof floors[0]; i++) {
        if (*floors[i].value < floors[i].least) {
            give_up(floors[i].why);
        }
    }
    if (bench.restores > RECOVERY_RESTORES_MAX) {
        give_up("--restores is at most 99");
    }
}

/* Waits for a child to say something, or to end badly. */
static void wait_ready(pid_t child, const volatile int *ready)
{
    while (!*ready) {
        if (waitpid(child, NULL, WNOHANG) == child) {
            give_up("a process that was to wait for its turn ended early");
        }
        usleep(1000);
    }
}

static void wait_end(pid_t child)
{
    int status;
    waitpid(child, &status, 0);
    if (status != 0) {
        give_up("a process that recovers failed");
    }
}

/* A restore that is said is one whose answer is right. */
static void check(const struct recovery_restored *restored)
{
    if (strcmp(report->alert, restored->alert) != 0) {
        fprintf(stderr, "bench recovery: before: %s\nafter:  %s\n", report->alert, restored->alert);
        give_up("the first alert after the restore is another");
    }
    if (memcmp(report->digest, restored->digest, sizeof report->digest) != 0) {
        give_up("the restored state is another");
    }
}

static void check_plain(const struct recovery_restored *restored)
{
    const struct recovery_plain *plain = &restored->plain;
    if (plain->records < restored->records ||
        (!plain->changes && plain->records != restored->records)) {
        give_up("the plain read saw other records than were restored");
    }
}

/* Nothing of the first process but its checkpoint is left. */
static void restore(struct recovery_restored *restored)
{
    double from_s = wall_s();
    pid_t heir = fork();
    if (heir == 0) {
        inherit(restored, from_s);
    }
    wait_end(heir);
    check(restored);
}

static void read_plainly(struct recovery_restored *restored)
{
    double redis_from_s = redis_cpu_s();
    restored->plain = recovery_plain_read(bench.socket);
    restored->plain_redis_cpu_s = redis_cpu_s() - redis_from_s;
    check_plain(restored);
}

static uint64_t restore_bytes(void)
{
    return report->last_bytes + report->last_bytes / 8 + BESIDE_STATE_BYTES;
}

/* Into memory that was somebody's until just before; see the head of this file. */
static void restore_as_in_use(struct recovery_restored *restored)
{
    uint64_t bytes = restore_bytes();
    recovery_memory_use(bytes);
    struct recovery_memory *memory =
        recovery_memory_hold(bytes, &restored->records, report->entities, &restored->touch_ns);
    restore(restored);
    recovery_memory_end(memory);
    read_plainly(restored);
    recovery_say_restore(restored);
}

/* What is measured of memory is the guest's afterwards: hence the second wait. */
static void restore_fresh(struct recovery_restored *restored)
{
    sleep(HOST_TAKES_S);
    restored->touch_ns = recovery_memory_touch(restore_bytes());
    sleep(HOST_TAKES_S);
    restore(restored);
    read_plainly(restored);
}

static void restores(int n)
{
    for (int i = 0; i < n; i++) {
        restore_as_in_use(&report->restored[i]);
    }
    recovery_say_restores(report, n);
    for (uint64_t i = 0; i < bench.fresh; i++) {
        report->fresh = (struct recovery_restored){0};
        restore_fresh(&report->fresh);
        recovery_say_fresh(report);
    }
}

/* The death of the first process: a standby takes over, then one that begins from nothing. */
static void die(pid_t first)
{
    pid_t standby = fork();
    if (standby == 0) {
        stand_by();
    }
    wait_ready(standby, &report->standby_loaded);
    kill(first, SIGKILL);
    report->killed_s = wall_s();
    waitpid(first, NULL, 0);
    wait_end(standby);
    check(&report->standby);
    restore(&report->heir);
    printf("kill -9      first correct alert after %.1f ms by a standby, %.2f s after a start from "
           "nothing\n",
           report->standby.alert_at_s * 1e3, report->heir.alert_at_s);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    read_arguments(argc, argv);
    report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    TSN_MUST(report != MAP_FAILED);
    const char *tmp = getenv("TMPDIR");
    snprintf(bench.folder, sizeof bench.folder, "%s/tocsin-bench-XXXXXX",
             tmp && strlen(tmp) < 64 ? tmp : "/tmp");
    TSN_MUST(mkdtemp(bench.folder));
    bench.owner = getpid();
    atexit(clean_up);
    redis_script("start", "--appendonly no");
    bench.runs = true;
    pid_t first = fork();
    if (first == 0) {
        live();
    }
    wait_ready(first, &report->ready);
    if (bench.restores == 0 && !bench.only_checkpoints) {
        die(first);
        restores(RESTORES);
        return 0;
    }
    kill(first, SIGKILL);
    waitpid(first, NULL, 0);
    if (!bench.only_checkpoints) {
        restores((int)bench.restores);
    }
    return 0;
}
