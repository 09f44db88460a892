/* bench core: JSON bytes -> alert bytes on one core, by stage.
 *
 *   bench_core [--events N] [--lines N] [--batch N] [--json]
 *
 * A city's calls and transfers: every line heard of once, then numbers drawn by
 * Zipf's law (exponent 1), one event in a hundred up to ten minutes late. The pack
 * has ten windowed features over 5 min, 1 h and 24 h and twenty rules. Records are made in blocks
 * outside the measured time; decode, copy, engine and wire are what the live loop runs.
 * The engine has engine.reserve of 512 MiB, as a process that grows for days would: else
 * what the kernel and its host take for new pages is counted, 100 to 200 ns an event on
 * virtual machines.
 *
 * Nothing is measured before the answers are right: sampled features equal a scan
 * over all earlier events, and alerts are the same bytes for batches of 64 and
 * 4096. What rules and episodes cost is the difference to the same run without
 * rules, in which no feature is asked for; a third run reads every feature for every event. Times
 * are CPU seconds of the thread, because benchmarks share machines; the wall clock is printed
 * beside them.
 */
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#include "connectors/decode/decode.h"
#include "connectors/wire/wire.h"
#include "engine/engine.h"
#include "rules/must/must.h"
#include "rules/pack/pack.h"

enum {
    BLOCK_EVENTS = 65536,
    RECORD_MAX = 512,
    DAY_MS = 24 * 3600 * 1000,
    HOUR_MS = 3600 * 1000,
    LATE_ONE_IN = 100,
    LATE_MAX_MS = 10 * 60 * 1000,
    TRANSFER_ONE_IN = 5,
    START_S = 1772442000,
    RESERVE_BYTES = 512 << 20,
};

/* ---- the pack ---------------------------------------------------------------------- */

static char *read_pack(void)
{
    static const char path[] = TSN_SOURCE_DIR "/bench/core.yaml";
    enum { PACK_MAX = 64 * 1024 };
    FILE *file = fopen(path, "rb");
    char *text = malloc(PACK_MAX);
    TSN_MUST_ALLOC(text);
    size_t len = file ? fread(text, 1, PACK_MAX - 1, file) : 0;
    if (len == 0) {
        fprintf(stderr, "bench core: cannot read %s\n", path);
        exit(3);
    }
    fclose(file);
    text[len] = '\0';
    return text;
}

static struct tsn_program *compile(bool with_rules)
{
    char *text = read_pack();
    char *rules = strstr(text, "\nrules:\n");
    TSN_MUST(rules);
    if (!with_rules) {
        rules[1] = '\0';
    }
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct tsn_program *prog =
        tsn_pack_compile("bench/core.yaml", text, strlen(text), NULL, NULL, &diags);
    if (!prog) {
        tsn_diags_print(&diags, stderr);
        exit(3);
    }
    tsn_diags_free(&diags);
    free(text);
    return prog;
}

/* ---- how records map to the pack ----------------------------------------------------- */

#define FIELD(name, at)                                                                            \
    {                                                                                              \
        .field = (name), .pointer = (at)                                                           \
    }
static const struct tsn_field_mapping call_fields[] = {
    {.field = "time", .pointer = "/event_time_ms", .time_format = TSN_TIME_EPOCH_MS},
    FIELD("call_id", "/event_id"),
    {.field = "caller", .pointer = "/calling_number", .e164 = true},
    {.field = "callee", .pointer = "/called_number", .e164 = true},
    FIELD("seconds", "/call_duration_s"),
    FIELD("ring", "/ring_duration_s"),
    FIELD("ingress", "/ingress"),
};
static const struct tsn_field_mapping transfer_fields[] = {
    {.field = "time", .pointer = "/event_time_ms", .time_format = TSN_TIME_EPOCH_MS},
    FIELD("tx_id", "/event_id"),
    FIELD("payer", "/debtor_account"),
    {.field = "payer_line", .pointer = "/debtor_msisdn", .e164 = true},
    FIELD("payee", "/creditor_account"),
    {.field = "amount", .pointer = "/amount_minor", .unit = TSN_UNIT_MINOR},
    FIELD("channel", "/channel"),
    FIELD("new_payee", "/payee_is_new"),
};
enum { CALL, TRANSFER, N_SOURCES };
static const struct tsn_source sources[N_SOURCES] = {
    {.name = "cdr.call",
     .event = "call",
     .n_fields = sizeof call_fields / sizeof call_fields[0],
     .fields = call_fields,
     .max_bytes = 65536,
     .numbers = {.country = "86", .trunk_prefix = "0", .international_prefix = "00"}},
    {.name = "bank.txn",
     .event = "transfer",
     .n_fields = sizeof transfer_fields / sizeof transfer_fields[0],
     .fields = transfer_fields,
     .max_bytes = 65536,
     .numbers = {.country = "86", .trunk_prefix = "0", .international_prefix = "00"}},
};
static const struct tsn_origin origins[N_SOURCES] = {{"cdr.call", 0}, {"bank.txn", 0}};

/* ---- the city ---------------------------------------------------------------------------- */

/* A counter-based generator: number i of a stream, without state (splitmix64). */
static uint64_t dice(uint64_t stream, uint64_t i)
{
    uint64_t x = stream * UINT64_C(0xd1342543de82ef95) + i * UINT64_C(0x9e3779b97f4a7c15) + 1;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Zipf's law over n ranks by Walker's alias method: one table look-up a draw. */
struct zipf {
    uint32_t n;
    double *keep;
    uint32_t *other;
};

static void zipf_init(struct zipf *zipf, uint32_t n)
{
    double sum = 0;
    uint32_t *small = malloc(n * sizeof *small);
    uint32_t *large = malloc(n * sizeof *large);
    uint32_t n_small = 0;
    uint32_t n_large = 0;
    zipf->n = n;
    zipf->keep = malloc(n * sizeof *zipf->keep);
    zipf->other = calloc(n, sizeof *zipf->other);
    TSN_MUST(small && large && zipf->keep && zipf->other);
    for (uint32_t r = 0; r < n; r++) {
        sum += 1.0 / (r + 1);
    }
    for (uint32_t r = 0; r < n; r++) {
        zipf->keep[r] = n / ((r + 1) * sum);
        if (zipf->keep[r] < 1) {
            small[n_small++] = r;
        } else {
            large[n_large++] = r;
        }
    }
    while (n_small > 0 && n_large > 0) {
        uint32_t s = small[--n_small];
        uint32_t l = large[--n_large];
        zipf->other[s] = l;
        zipf->keep[l] -= 1 - zipf->keep[s];
        if (zipf->keep[l] < 1) {
            small[n_small++] = l;
        } else {
            large[n_large++] = l;
        }
    }
    free(small);
    free(large);
}

static uint32_t zipf_draw(const struct zipf *zipf, uint64_t bits)
{
    uint32_t r = (uint32_t)((bits >> 32) * zipf->n >> 32);
    return (double)(uint32_t)bits * 0x1p-32 < zipf->keep[r] ? r : zipf->other[r];
}

static void zipf_free(struct zipf *zipf)
{
    free(zipf->keep);
    free(zipf->other);
}

struct city {
    struct zipf zipf;
    uint32_t n_prefill; /* first events: pairs of lines in turn, so that all are known */
    int64_t spacing_ms;
};

struct event {
    int source;
    int64_t time_ms;
    uint32_t from, to; /* lines, or the accounts of them */
    int64_t amount;    /* seconds, or minor units */
    uint32_t ring;
    bool flag; /* international, new payee */
    uint32_t channel;
};

/* Ranks are scattered, so that the busiest do not stand side by side. */
static uint32_t scatter(const struct city *city, uint32_t rank, uint32_t by)
{
    return (uint32_t)(((uint64_t)rank * by + 17) % city->zipf.n);
}

/* Event i of the city; the same for ever. */
static struct event event_at(const struct city *city, uint64_t i)
{
    struct event ev = {.source = CALL};
    uint64_t d = dice(1, i);
    ev.time_ms = (int64_t)START_S * 1000 + (int64_t)i * city->spacing_ms;
    if (i < city->n_prefill) {
        ev.from = (uint32_t)(2 * i) % city->zipf.n;
        ev.to = (uint32_t)(2 * i + 1) % city->zipf.n;
    } else {
        ev.source = d % TRANSFER_ONE_IN == 0 ? TRANSFER : CALL;
        ev.from = scatter(city, zipf_draw(&city->zipf, dice(2, i)), 7919);
        ev.to = scatter(city, zipf_draw(&city->zipf, dice(3, i)), 104729);
        if (d / 16 % LATE_ONE_IN == 0) {
            ev.time_ms -= (int64_t)(dice(4, i) % LATE_MAX_MS);
        }
    }
    uint64_t e = dice(5, i);
    ev.ring = (uint32_t)(e % 30);
    ev.channel = (uint32_t)(e >> 8) % 4;
    ev.flag = (e >> 16) % 8 == 0;
    uint64_t size = e >> 24;
    if (ev.source == CALL) {
        ev.amount = size % 10 < 3 ? (int64_t)(size / 16 % 4) : (int64_t)(size / 16 % 3600);
    } else {
        ev.amount = (int64_t)(size % 5000000);
    }
    return ev;
}

static size_t write_record(const struct event *ev, uint64_t i, char *record)
{
    static const char *const channels[] = {"app", "web", "atm", "branch"};
    int len;
    if (ev->source == CALL) {
        len = snprintf(record, RECORD_MAX,
                       "{\"v\":1,\"kind\":\"call\",\"event_id\":\"c%010" PRIu64
                       "\",\"source\":\"msc01\",\"record_type\":\"moc\",\"phase\":\"release\","
                       "\"event_time_ms\":%" PRId64
                       ",\"calling_number\":\"+86139%08u\",\"called_number\":\"+86139%08u\","
                       "\"ring_duration_s\":%u,\"call_duration_s\":%" PRId64
                       ",\"cause_for_term\":\"normal\",\"ingress\":\"%s\",\"location\":{\"mcc\":"
                       "\"999\",\"mnc\":\"01\",\"cell_id\":%u}}",
                       i, ev->time_ms, ev->from, ev->to, ev->ring, ev->amount,
                       ev->flag ? "international" : "national", ev->from % 5000);
    } else {
        len = snprintf(record, RECORD_MAX,
                       "{\"v\":1,\"kind\":\"transaction\",\"event_id\":\"t%010" PRIu64
                       "\",\"source\":\"bank01\",\"rail\":\"fast\",\"type\":\"transfer\","
                       "\"status\":\"initiated\",\"event_time_ms\":%" PRId64
                       ",\"amount_minor\":%" PRId64
                       ",\"currency\":\"CNY\",\"debtor_account\":\"A%09u\",\"debtor_msisdn\":"
                       "\"+86139%08u\",\"creditor_account\":\"A%09u\",\"channel\":\"%s\","
                       "\"payee_is_new\":%s}",
                       i, ev->time_ms, ev->amount, ev->from, ev->from, ev->to,
                       channels[ev->channel], ev->flag ? "true" : "false");
    }
    TSN_MUST(len > 0 && len < RECORD_MAX);
    return (size_t)len;
}

/* ---- one run --------------------------------------------------------------------------------- */

enum stage { DECODE, COPY, ENGINE, WIRE, STAGES };

struct run {
    const struct city *city;
    const struct tsn_program *prog;
    uint32_t batch_rows;
    struct tsn_config config;
    struct tsn_decoder *decoders[N_SOURCES];
    struct tsn_batch *lane;  /* decoded, as one partition's chunk */
    struct tsn_batch *batch; /* merged */
    struct tsn_engine *eng;
    struct tsn_output out;
    struct tsn_arena arena;
    struct tsn_keys *keys;
    struct tsn_wire wire;
    char *block;
    size_t *ends;
    double cpu_s[STAGES];
    double wall_s;
    uint64_t n_events, n_bytes, n_alerts, n_alert_bytes, n_rejects;
    XXH64_hash_t alerts_hash;
    /* called after each batch, for checks */
    void (*look)(struct run *run, void *user);
    void *look_user;
};

static double seconds(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void run_open(struct run *run, const struct city *city, const struct tsn_program *prog,
                     uint32_t batch_rows, uint64_t reserve_bytes, bool every_feature)
{
    memset(run, 0, sizeof *run);
    run->city = city;
    run->prog = prog;
    run->batch_rows = batch_rows;
    run->config.instance = "bench";
    run->config.engine = tsn_engine_defaults();
    run->config.engine.batch_rows = batch_rows;
    run->config.engine.reserve_bytes = reserve_bytes;
    run->config.n_sources = N_SOURCES;
    run->config.sources = sources;
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    for (int s = 0; s < N_SOURCES; s++) {
        run->decoders[s] = tsn_decoder_new(&run->config, &sources[s], prog, &diags);
        if (!run->decoders[s]) {
            tsn_diags_print(&diags, stderr);
            exit(3);
        }
    }
    tsn_diags_free(&diags);
    run->lane = tsn_batch_new(prog, batch_rows);
    run->batch = tsn_batch_new(prog, batch_rows);
    run->eng = tsn_engine_new(prog, &run->config.engine);
    tsn_engine_want_columns(run->eng, every_feature);
    tsn_output_init(&run->out);
    tsn_arena_init(&run->arena, 0);
    run->keys = tsn_keys_insecure();
    run->wire = (struct tsn_wire){
        .prog = prog,
        .keys = run->keys,
        .instance = "bench",
        .alerts_topic = "tocsin.alerts",
        .rejects_topic = "tocsin.rejects",
        .origins = origins,
        .n_origins = N_SOURCES,
    };
    run->block = malloc((size_t)BLOCK_EVENTS * RECORD_MAX);
    run->ends = malloc(BLOCK_EVENTS * sizeof *run->ends);
    TSN_MUST(run->block && run->ends);
}

static void run_close(struct run *run)
{
    for (int s = 0; s < N_SOURCES; s++) {
        tsn_decoder_free(run->decoders[s]);
    }
    tsn_engine_free(run->eng);
    tsn_batch_free(run->lane);
    tsn_batch_free(run->batch);
    tsn_output_free(&run->out);
    tsn_arena_free(&run->arena);
    tsn_keys_free(run->keys);
    free(run->block);
    free(run->ends);
}

static void reset_figures(struct run *run)
{
    memset(run->cpu_s, 0, sizeof run->cpu_s);
    run->wall_s = 0;
    run->n_events = run->n_bytes = run->n_alerts = run->n_alert_bytes = 0;
}

/* Records [from, to) of the block through all stages. first: the block's first event. */
static void run_batch(struct run *run, uint64_t first, uint32_t from, uint32_t to)
{
    double t[STAGES + 1];
    double wall = seconds(CLOCK_MONOTONIC);
    t[DECODE] = seconds(CLOCK_THREAD_CPUTIME_ID);
    for (uint32_t e = from; e < to; e++) {
        size_t begin = e == 0 ? 0 : run->ends[e - 1];
        int source = run->block[begin + 15] == 'c' ? CALL : TRANSFER; /* {"v":1,"kind":"c... */
        const struct tsn_record record = {
            .bytes = run->block + begin,
            .len = run->ends[e] - begin,
            .source = (uint16_t)source,
            .position = (int64_t)(first + e),
        };
        struct tsn_reject reject;
        if (!tsn_decode(run->decoders[source], &record, run->lane, &reject)) {
            run->n_rejects++;
        }
    }
    t[COPY] = seconds(CLOCK_THREAD_CPUTIME_ID);
    tsn_batch_append(run->batch, run->lane, 0, run->lane->n, false);
    t[ENGINE] = seconds(CLOCK_THREAD_CPUTIME_ID);
    tsn_engine_rows(run->eng, run->batch, &run->out);
    t[WIRE] = seconds(CLOCK_THREAD_CPUTIME_ID);
    for (uint32_t a = 0; a < run->out.n_alerts; a++) {
        struct tsn_message message;
        tsn_wire_alert(&run->wire, &run->out.alerts[a], &run->arena, &message);
        run->alerts_hash = XXH64(message.value, message.len, run->alerts_hash);
        run->n_alert_bytes += message.len;
    }
    t[STAGES] = seconds(CLOCK_THREAD_CPUTIME_ID);
    for (int s = 0; s < STAGES; s++) {
        run->cpu_s[s] += t[s + 1] - t[s];
    }
    run->wall_s += seconds(CLOCK_MONOTONIC) - wall;
    run->n_events += to - from;
    run->n_bytes += run->ends[to - 1] - (from == 0 ? 0 : run->ends[from - 1]);
    run->n_alerts += run->out.n_alerts;
    if (run->look) {
        run->look(run, run->look_user);
    }
    tsn_arena_reset(&run->arena);
    tsn_output_clear(&run->out);
    tsn_batch_clear(run->batch);
    tsn_batch_clear(run->lane);
}

/* Events [first, first + n) of the city. */
static void run_events(struct run *run, uint64_t first, uint64_t n)
{
    while (n > 0) {
        uint32_t m = n < BLOCK_EVENTS ? (uint32_t)n : BLOCK_EVENTS;
        size_t len = 0;
        for (uint32_t e = 0; e < m; e++) {
            struct event ev = event_at(run->city, first + e);
            len += write_record(&ev, first + e, run->block + len);
            run->ends[e] = len;
        }
        for (uint32_t e = 0; e < m; e += run->batch_rows) {
            run_batch(run, first, e, e + run->batch_rows < m ? e + run->batch_rows : m);
        }
        first += m;
        n -= m;
    }
    if (run->n_rejects > 0) {
        fprintf(stderr, "bench core: %" PRIu64 " records were rejected\n", run->n_rejects);
        exit(1);
    }
}

/* ---- are the answers right? --------------------------------------------------------------------
 */

enum { CHECK_EVENTS = 20000, CHECK_LINES = 300, CHECK_EVERY = 7 };

/* Rows before and including i, of one source, whose entity is `entity` and whose time
 * lies in (t - window, t]. The oracle: a scan. */
struct scan {
    int64_t count, sum, max, newest;
    uint32_t n_distinct;
};

static struct scan scan(const struct event *events, size_t i, int source, bool by_from,
                        uint32_t entity, int64_t window_ms, int64_t amount_min, int64_t amount_max,
                        bool include)
{
    static bool seen[CHECK_LINES];
    struct scan is = {.max = INT64_MIN, .newest = INT64_MIN};
    int64_t t = events[i].time_ms;
    memset(seen, 0, sizeof seen);
    for (size_t k = 0; k <= i; k++) {
        const struct event *ev = &events[k];
        if (ev->source != source || (by_from ? ev->from : ev->to) != entity ||
            ev->time_ms <= t - window_ms || ev->time_ms > t || ev->amount < amount_min ||
            ev->amount > amount_max || (k == i && !include)) {
            continue;
        }
        uint32_t peer = by_from ? ev->to : ev->from;
        is.count++;
        is.sum += ev->amount;
        is.max = ev->amount > is.max ? ev->amount : is.max;
        is.newest = ev->time_ms > is.newest ? ev->time_ms : is.newest;
        is.n_distinct += !seen[peer];
        seen[peer] = true;
    }
    return is;
}

/* A feature as the engine computed it: false when missing. */
static bool feature_at(struct run *run, int type, uint32_t at, const char *name, int64_t *value)
{
    const struct tsn_event_type *is = &run->prog->types[type];
    for (int s = 0; s < is->n_slots; s++) {
        if (strcmp(is->slots[s].name, name) == 0) {
            const struct tsn_column *column = &tsn_engine_slots(run->eng, type)[s];
            *value = column->i64[at];
            return tsn_bits_get(column->valid, at);
        }
    }
    fprintf(stderr, "bench core: no feature %s\n", name);
    exit(1);
}

struct checker {
    const struct event *events;
    size_t next; /* first event of the batch that is looked at */
    size_t n_checked;
};

static void expect(struct run *run, size_t i, int type, uint32_t at, const char *name,
                   bool is_there, int64_t expected)
{
    int64_t value = 0;
    bool there = feature_at(run, type, at, name, &value);
    if (there != is_there || (there && value != expected)) {
        fprintf(stderr, "bench core: %s at event %zu is %s%" PRId64 ", a scan says %s%" PRId64 "\n",
                name, i, there ? "" : "missing ", value, is_there ? "" : "missing ", expected);
        exit(1);
    }
}

static void check_row(struct run *run, const struct event *events, size_t i,
                      const struct tsn_row *row)
{
    const struct event *ev = &events[i];
    int type = row->type;
    uint32_t at = row->at;
    if (ev->source == CALL) {
        struct scan is = scan(events, i, CALL, true, ev->from, 300000, 0, INT64_MAX, true);
        expect(run, i, type, at, "calls_5m", true, is.count);
        is = scan(events, i, CALL, true, ev->from, HOUR_MS, 0, INT64_MAX, true);
        expect(run, i, type, at, "calls_1h", true, is.count);
        expect(run, i, type, at, "callees_1h", true, is.n_distinct);
        is = scan(events, i, CALL, true, ev->from, DAY_MS, 0, INT64_MAX, true);
        expect(run, i, type, at, "talk_24h", true, is.sum);
        is = scan(events, i, CALL, true, ev->from, HOUR_MS, 0, 3, true);
        expect(run, i, type, at, "short_1h", true, is.count);
    } else {
        struct scan is = scan(events, i, TRANSFER, true, ev->from, HOUR_MS, 0, INT64_MAX, true);
        expect(run, i, type, at, "paid_1h", true, is.sum);
        is = scan(events, i, TRANSFER, false, ev->from, DAY_MS, 0, INT64_MAX, true);
        expect(run, i, type, at, "payers_24h", true, is.n_distinct);
    }
    uint32_t line = ev->source == CALL ? ev->to : ev->from;
    struct scan is = scan(events, i, CALL, false, line, DAY_MS, 0, INT64_MAX, true);
    expect(run, i, type, at, "inbound_24h", true, is.count);
    expect(run, i, type, at, "longest_24h", is.count > 0, is.max);
    is = scan(events, i, CALL, false, line, DAY_MS, 600, INT64_MAX, false);
    expect(run, i, type, at, "since_long", is.count > 0, ev->time_ms - is.newest);
}

static void check_batch(struct run *run, void *user)
{
    struct checker *checker = user;
    TSN_MUST(tsn_engine_counts(run->eng).accepted == checker->next + run->batch->n);
    for (uint32_t r = 0; r < run->batch->n; r++) {
        if ((checker->next + r) % CHECK_EVERY == 0) {
            check_row(run, checker->events, checker->next + r, &run->batch->rows[r]);
            checker->n_checked++;
        }
    }
    checker->next += run->batch->n;
}

static void check_features(const struct tsn_program *prog)
{
    struct city city = {.spacing_ms = 5000};
    struct run run;
    zipf_init(&city.zipf, CHECK_LINES);
    struct event *events = malloc(CHECK_EVENTS * sizeof *events);
    TSN_MUST_ALLOC(events);
    for (size_t i = 0; i < CHECK_EVENTS; i++) {
        events[i] = event_at(&city, i);
    }
    struct checker checker = {.events = events};
    run_open(&run, &city, prog, 4096, 0, true);
    run.look = check_batch;
    run.look_user = &checker;
    run_events(&run, 0, CHECK_EVENTS);
    printf("checked   features of %zu of %d rows equal a scan over all earlier rows\n",
           checker.n_checked, CHECK_EVENTS);
    run_close(&run);
    free(events);
    zipf_free(&city.zipf);
}

static void check_alerts(const struct tsn_program *prog)
{
    static const struct {
        uint32_t rows;
        bool every_feature;
    } ways[] = {{64, false}, {4096, false}, {4096, true}};
    enum { WAYS = sizeof ways / sizeof *ways };
    struct city city = {.spacing_ms = 50};
    XXH64_hash_t hash[WAYS];
    uint64_t n_alerts[WAYS];
    bool same = true;
    zipf_init(&city.zipf, 20000);
    for (int w = 0; w < WAYS; w++) {
        struct run run;
        run_open(&run, &city, prog, ways[w].rows, 0, ways[w].every_feature);
        run_events(&run, 0, 300000);
        hash[w] = run.alerts_hash;
        n_alerts[w] = run.n_alerts;
        same &= hash[w] == hash[0] && n_alerts[w] == n_alerts[0] && n_alerts[w] > 0;
        run_close(&run);
    }
    zipf_free(&city.zipf);
    if (!same) {
        fprintf(stderr,
                "bench core: batches of 64, of 4096, and with every feature read gave %" PRIu64
                ", %" PRIu64 " and %" PRIu64 " alerts that are not the same bytes\n",
                n_alerts[0], n_alerts[1], n_alerts[2]);
        exit(1);
    }
    printf("checked   %" PRIu64 " alerts are the same bytes for batches of 64 and 4096, and with "
           "every feature read\n",
           n_alerts[0]);
}

/* ---- measuring
 * ------------------------------------------------------------------------------------ */

struct figures {
    double cpu_ns[STAGES]; /* per event */
    double wall_ns;
    double record_bytes;
    uint64_t n_alerts;
    uint64_t n_hits; /* of rules, shadow too, in the measured events */
    struct tsn_engine_counts counts;
};

static uint64_t hits(const struct run *run)
{
    struct tsn_engine_counts counts = tsn_engine_counts(run->eng);
    return counts.hits + counts.shadow_hits;
}

static struct figures measure(const struct city *city, const struct tsn_program *prog,
                              uint32_t batch_rows, uint64_t n, bool every_feature)
{
    struct run run;
    struct figures is = {0};
    run_open(&run, city, prog, batch_rows, RESERVE_BYTES, every_feature);
    run_events(&run, 0, city->n_prefill + n / 4); /* warm: every line known, arenas grown */
    reset_figures(&run);
    is.n_hits = hits(&run);
    run_events(&run, city->n_prefill + n / 4, n);
    double per_event = 1e9 / (double)run.n_events;
    for (int s = 0; s < STAGES; s++) {
        is.cpu_ns[s] = run.cpu_s[s] * per_event;
    }
    is.wall_ns = run.wall_s * per_event;
    is.record_bytes = (double)run.n_bytes / (double)run.n_events;
    is.n_alerts = run.n_alerts;
    is.counts = tsn_engine_counts(run.eng);
    is.n_hits = hits(&run) - is.n_hits;
    run_close(&run);
    return is;
}

static double total_ns(const struct figures *is)
{
    double ns = 0;
    for (int s = 0; s < STAGES; s++) {
        ns += is->cpu_ns[s];
    }
    return ns;
}

static uint64_t number(const char *text)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (end == text || *end != '\0' || value == 0) {
        fprintf(stderr, "bench core: '%s' is no positive number\n", text);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv)
{
    uint64_t n_events = 4000000;
    uint64_t n_lines = 1000000;
    uint64_t batch_rows = 4096;
    bool json = false;
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (more && strcmp(argv[i], "--events") == 0) {
            n_events = number(argv[++i]);
        } else if (more && strcmp(argv[i], "--lines") == 0) {
            n_lines = number(argv[++i]);
        } else if (more && strcmp(argv[i], "--batch") == 0) {
            batch_rows = number(argv[++i]);
        } else if (strcmp(argv[i], "--json") == 0) {
            json = true;
        } else {
            fprintf(stderr, "usage: bench_core [--events N] [--lines N] [--batch N] [--json]\n");
            return 2;
        }
    }
    if (n_lines > 99999999 || batch_rows > 65536 || batch_rows % 64 != 0) {
        fprintf(stderr, "bench core: at most 99999999 lines; a batch is a multiple of 64\n");
        return 2;
    }
    struct tsn_program *full = compile(true);
    struct tsn_program *bare = compile(false);
    check_features(full);
    check_alerts(full);

    struct city city = {.n_prefill = (uint32_t)(n_lines / 2), .spacing_ms = 20};
    zipf_init(&city.zipf, (uint32_t)n_lines);
    struct figures is = measure(&city, full, (uint32_t)batch_rows, n_events, false);
    struct figures without = measure(&city, bare, (uint32_t)batch_rows, n_events, false);
    struct figures every = measure(&city, full, (uint32_t)batch_rows, n_events, true);
    double ns = total_ns(&is);
    double bytes = (double)is.counts.state_bytes / (double)is.counts.entities;
    printf("events    %" PRIu64 " of %.0f bytes, %" PRIu64 " entities, %" PRIu64
           " rows in windows, %" PRIu64 " late, %" PRIu64 " alerts\n",
           n_events, is.record_bytes, is.counts.entities, is.counts.entries, is.counts.late,
           is.n_alerts);
    printf("pack      %d features, %d rules, %d typologies; %.2f hits in 100 events; batches of "
           "%" PRIu64 "\n",
           full->n_features, full->n_rules, full->n_typologies,
           100.0 * (double)is.n_hits / (double)n_events, batch_rows);
    printf("decode    %7.1f ns an event\n", is.cpu_ns[DECODE]);
    printf("copy      %7.1f ns\n", is.cpu_ns[COPY]);
    printf("rows      %7.1f ns (engine without rules: duplicates, keys, rows into windows)\n",
           without.cpu_ns[ENGINE]);
    printf("rules     %7.1f ns (features that rules may need, rules, episodes: the difference)\n",
           is.cpu_ns[ENGINE] - without.cpu_ns[ENGINE]);
    printf("alerts    %7.1f ns (to bytes)\n", is.cpu_ns[WIRE]);
    printf("total     %7.1f ns CPU, %.1f ns by the wall clock\n", ns, is.wall_ns);
    printf(
        "every     %7.1f ns in the engine, %.1f in all, if every feature is read for every event\n",
        every.cpu_ns[ENGINE], total_ns(&every));
    printf("core      %.3f M events/s on one core; %.0f bytes an entity\n", 1e3 / ns, bytes);
    if (json) {
        printf("{\"bench\":\"core\",\"events_per_s\":%.0f,\"decode_ns\":%.1f,\"copy_ns\":%.1f,"
               "\"rows_ns\":%.1f,\"rules_ns\":%.1f,\"alerts_ns\":%.1f,"
               "\"entity_bytes\":%.1f}\n",
               1e9 / ns, is.cpu_ns[DECODE], is.cpu_ns[COPY], without.cpu_ns[ENGINE],
               is.cpu_ns[ENGINE] - without.cpu_ns[ENGINE], is.cpu_ns[WIRE], bytes);
    }
    zipf_free(&city.zipf);
    tsn_program_free(full);
    tsn_program_free(bare);
    return 0;
}
