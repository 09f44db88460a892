/* bench resident: what a cap on the entities in memory saves and costs.
 *
 *   ./dev bench resident [--entities N] [--events N]
 *
 * The same events through one engine that has all entities in memory and through engines
 * that have a tenth and a hundredth of them, the others in a redis-server of this
 * program's own (without appendonly: no disk is measured). Half of the events are of one
 * entity in a hundred, half of any. The answer is checked first: all features of all
 * events, and the alerts, are equal. Then a line an engine: time an event, memory, and what
 * was fetched. A checkpoint is written every 65,536 events, and waited for outside of
 * the time that is measured; fetches are within it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "connectors/run/resident.h"
#include "rules/must/must.h"
#include "rules/pack/pack.h"

enum { BATCH = 4096, CHECKPOINT_ROWS = 16 * BATCH, WAIT_MS = 600000, HOT = 100, STEP_MS = 20 };

static const char pack_text[] =
    "format: 1\npack: bench-resident\nversion: 1\n"
    "events:\n"
    "  pay:\n"
    "    fields:\n"
    "      account: { type: string, required: true, entity: account }\n"
    "      amount:  { type: int, required: true }\n"
    "features:\n"
    "  - { name: n_24h, event: pay, aggregate: count, by: account, window: 24h }\n"
    "  - { name: sum_24h, event: pay, aggregate: sum(amount), by: account, window: 24h }\n"
    "  - { name: max_1h, event: pay, aggregate: max(amount), by: account, window: 1h }\n"
    "rules:\n"
    "  - id: much\n"
    "    event: pay\n"
    "    when: 'pay.amount == 7 && f.n_24h >= 5'\n"
    "    reason: '${f.n_24h} payments of ${f.sum_24h}'\n"
    "typologies:\n"
    "  - id: probed\n"
    "    entity: { pay: account }\n"
    "    sum_over: 1h\n"
    "    weights: { much: 100 }\n"
    "    thresholds: { severe: 50 }\n"
    "    actions: { severe: { queue: desk, cooldown: 1h } }\n";

static struct {
    uint64_t entities, events;
    char folder[64], socket[128];
    const struct tsn_program *prog;
    const struct tsn_keys *keys;
} bench = {.entities = 200000, .events = 400000};

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "bench resident: %s\n", what);
    exit(1);
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- the server ---------------------------------------------------------------------------- */

static void server_begin(void)
{
    char command[256];
    strcpy(bench.folder, "/tmp/tocsin-bench-XXXXXX");
    if (!mkdtemp(bench.folder)) {
        give_up("no folder in /tmp");
    }
    snprintf(command, sizeof command, "'%s/tests/servers/redis' start '%s' --appendonly no",
             TSN_SOURCE_DIR, bench.folder);
    FILE *script = popen(command, "r");
    if (!script || fscanf(script, "%127s", bench.socket) != 1 || pclose(script) != 0) {
        give_up("redis-server does not start");
    }
}

static void server_end(void)
{
    char command[384];
    snprintf(command, sizeof command, "'%s/tests/servers/redis' kill '%s'; rm -rf '%s'",
             TSN_SOURCE_DIR, bench.folder, bench.folder);
    if (system(command) != 0) {
        fprintf(stderr, "bench resident: %s is left\n", bench.folder);
    }
}

/* ---- events ---------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Event i: each entity once, then as the head of this file says. */
static void event_add(struct tsn_batch *batch, uint64_t i)
{
    uint64_t dice = mix(i);
    uint64_t among = dice & 1 ? bench.entities / HOT + 1 : bench.entities;
    uint64_t entity = i < bench.entities ? i : (dice >> 1) % among;
    char text[24];
    int len = snprintf(text, sizeof text, "a%" PRIu64, entity);
    uint32_t at = tsn_batch_add(batch, 0, (int64_t)(1772409600000 + i * STEP_MS), 0, (int64_t)i);
    struct tsn_column *fields = batch->types[0].fields;
    fields[1].str[at].p = tsn_arena_strdup(&batch->text, text, (size_t)len);
    fields[1].str[at].len = (uint32_t)len;
    tsn_bits_set(fields[1].valid, at);
    fields[2].i64[at] = (int64_t)(mix(dice) % 1000);
    tsn_bits_set(fields[2].valid, at);
}

/* ---- a run -------------------------------------------------------------------------------------
 */

struct run {
    struct tsn_resident resident; /* cap 0: no store either */
    struct tsn_engine *eng;
    uint64_t sequence, n_trips;
    double seconds, trips_s;
    uint64_t bytes_most, entities_most;
    XXH64_state_t *digest;
};

static void digest_rows(struct run *run, const struct tsn_batch *batch,
                        const struct tsn_output *out)
{
    const struct tsn_column *slots = tsn_engine_slots(run->eng, 0);
    for (int s = 0; s < bench.prog->types[0].n_slots; s++) {
        XXH64_update(run->digest, slots[s].cells, batch->n * tsn_rep_cell_bytes(slots[s].rep));
    }
    for (uint32_t a = 0; a < out->n_alerts; a++) {
        XXH64_update(run->digest, out->alerts[a].entity.p, out->alerts[a].entity.len);
        XXH64_update(run->digest, &out->alerts[a].score, sizeof out->alerts[a].score);
    }
}

static void checkpoint(struct run *run)
{
    struct tsn_failure failure = {0};
    struct tsn_store *store = run->resident.store;
    struct tsn_checkpoint_meta meta = {.sequence = ++run->sequence,
                                       .whole = tsn_store_wants_whole(store)};
    tsn_snapshot_cut(run->eng, meta.whole, tsn_store_collect, store);
    tsn_store_begin(store, &meta);
    if (tsn_store_wait(store, WAIT_MS, &failure) != TSN_STORE_DONE) {
        give_up(failure.text);
    }
    tsn_engine_saved(run->eng);
}

static void batch_run(struct run *run, const struct tsn_batch *batch, bool measured)
{
    struct tsn_failure failure = {0};
    struct tsn_output out;
    tsn_output_init(&out);
    double begun_s = now_s();
    double brought_s = begun_s;
    if (run->resident.cap) {
        if (tsn_resident_bring(&run->resident, run->eng, batch, 0, &failure) !=
            TSN_RESIDENCE_WHOLE) {
            give_up(failure.text);
        }
        brought_s = now_s();
    }
    tsn_engine_rows(run->eng, batch, &out);
    if (measured) {
        struct tsn_engine_counts counts = tsn_engine_counts(run->eng);
        run->seconds += now_s() - begun_s;
        run->trips_s += brought_s - begun_s;
        run->n_trips++;
        run->bytes_most =
            counts.state_bytes > run->bytes_most ? counts.state_bytes : run->bytes_most;
        run->entities_most =
            counts.entities > run->entities_most ? counts.entities : run->entities_most;
    }
    digest_rows(run, batch, &out);
    tsn_output_free(&out);
}

static uint64_t run_all(uint64_t cap, const char *name, uint64_t expected)
{
    struct tsn_failure failure = {0};
    struct tsn_engine_settings settings = tsn_engine_defaults();
    settings.dedup_window_ms = 0;
    struct run run = {.resident = {.cap = cap}, .digest = XXH64_createState()};
    struct tsn_config config = {.instance = name};
    config.redis.unix_socket = bench.socket;
    config.redis.timeout_ms = WAIT_MS;
    if (cap) {
        run.resident.store = tsn_store_open(&config, bench.keys, &failure);
        if (!run.resident.store || !tsn_store_claim(run.resident.store, &failure)) {
            give_up(failure.text);
        }
    }
    XXH64_reset(run.digest, 0);
    run.eng = tsn_engine_new(bench.prog, &settings);
    tsn_engine_want_columns(run.eng, true);
    tsn_engine_cap(run.eng, cap);
    struct tsn_batch *batch = tsn_batch_new(bench.prog, BATCH);
    uint64_t n = bench.entities + bench.events;
    uint64_t filled = bench.entities + CHECKPOINT_ROWS; /* by then the cap is reached */
    for (uint64_t i = 0; i < n;) {
        tsn_batch_clear(batch);
        while (batch->n < BATCH && i < n) {
            event_add(batch, i++);
        }
        batch_run(&run, batch, i > filled);
        if (cap && i % CHECKPOINT_ROWS < BATCH) {
            checkpoint(&run);
        }
    }
    uint64_t digest = XXH64_digest(run.digest);
    if (cap && digest != expected) {
        give_up("features or alerts differ from those with all entities in memory");
    }
    struct tsn_engine_counts counts = tsn_engine_counts(run.eng);
    double measured = (double)(n - filled);
    printf("%-18s %7.0f ns an event; most in memory %8" PRIu64 " entities, %6.1f MB; %5.1f %% of "
           "events fetched one, %5.2f ms a batch of %d\n",
           name, run.seconds / measured * 1e9, run.entities_most, (double)run.bytes_most / 1e6,
           100.0 * (double)counts.fetched / (double)n, run.trips_s / (double)run.n_trips * 1e3,
           BATCH);
    tsn_engine_free(run.eng);
    tsn_batch_free(batch);
    tsn_store_close(run.resident.store);
    XXH64_freeState(run.digest);
    return digest;
}

static uint64_t number_of(const char *text, uint64_t least)
{
    char *end;
    uint64_t number = strtoull(text, &end, 10);
    if (*end || number < least) {
        give_up("too small a number, or none; see the head of bench/bench_resident.c");
    }
    return number;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 < argc && strcmp(argv[i], "--entities") == 0) {
            bench.entities = number_of(argv[i + 1], 1000);
        } else if (i + 1 < argc && strcmp(argv[i], "--events") == 0) {
            bench.events = number_of(argv[i + 1], 2 * CHECKPOINT_ROWS);
        } else {
            give_up("--entities N, --events N");
        }
    }
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct tsn_program *prog =
        tsn_pack_compile("bench.yaml", pack_text, strlen(pack_text), NULL, NULL, &diags);
    if (!prog) {
        tsn_diags_print(&diags, stderr);
        return 1;
    }
    struct tsn_keys *keys = tsn_keys_insecure();
    bench.prog = prog;
    bench.keys = keys;
    printf("%" PRIu64 " entities, %" PRIu64 " events after each had one\n", bench.entities,
           bench.events);
    server_begin();
    uint64_t digest = run_all(0, "all-in-memory", 0);
    run_all(bench.entities / 10, "a-tenth", digest);
    run_all(bench.entities / 100, "a-hundredth", digest);
    server_end();
    puts("features of all events and all alerts are equal");
    tsn_keys_free(keys);
    tsn_program_free(prog);
    tsn_diags_free(&diags);
    return 0;
}
