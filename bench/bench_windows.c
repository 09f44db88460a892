/* Windows: what an event costs in the core when rules are left out.
 *
 *   bench_windows [million events] [thousand entities] [late per 1000] [hours]
 *
 * Calls between two lines, both Zipf(1.0) over the entities; ten windows (5 min,
 * 1 h, 24 h) under caller and callee; late rows up to half an hour. The rows are made
 * outside the measured time. Prints ns an event for each tenth of the stream, so that
 * the growth of state is seen, and bytes an entity at the end. Counts are compared
 * with a count kept beside the engine, so that a fast wrong answer is noticed.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/engine.h"
#include "rules/must/must.h"

enum { CALLER = 1, CALLEE, TALK, N_FIELDS, N_FEATURES = 10, BATCH = 4096, NAME_LEN = 14 };

static struct tsn_field fields[N_FIELDS] = {
    {.name = "time", .rep = TSN_REP_TIME_MS, .required = true, .entity_kind = TSN_NONE},
    {.name = "caller", .rep = TSN_REP_STRING, .required = true, .entity_kind = 0},
    {.name = "callee", .rep = TSN_REP_STRING, .required = true, .entity_kind = 0},
    {.name = "talk", .rep = TSN_REP_INT, .required = true, .entity_kind = TSN_NONE},
};

#define MIN (60 * 1000)
#define HOUR (60 * MIN)

static const struct {
    const char *name;
    enum tsn_agg agg;
    int by, field;
    tsn_duration_ms window_ms;
} shapes[N_FEATURES] = {
    {"out_5m", TSN_AGG_COUNT, CALLER, 0, 5 * MIN},
    {"out_1h", TSN_AGG_COUNT, CALLER, 0, HOUR},
    {"out_24h", TSN_AGG_COUNT, CALLER, 0, 24 * HOUR},
    {"targets_1h", TSN_AGG_DISTINCT, CALLER, CALLEE, HOUR},
    {"talk_24h", TSN_AGG_SUM, CALLER, TALK, 24 * HOUR},
    {"since_out", TSN_AGG_TIME_SINCE, CALLER, 0, 24 * HOUR},
    {"in_5m", TSN_AGG_COUNT, CALLEE, 0, 5 * MIN},
    {"in_1h", TSN_AGG_COUNT, CALLEE, 0, HOUR},
    {"callers_24h", TSN_AGG_DISTINCT, CALLEE, CALLER, 24 * HOUR},
    {"longest_24h", TSN_AGG_MAX, CALLEE, TALK, 24 * HOUR},
};

static struct tsn_feature features[N_FEATURES];
static struct tsn_slot slots[N_FEATURES];
static struct tsn_event_type type = {
    .name = "call",
    .n_fields = N_FIELDS,
    .fields = fields,
    .id_field = TSN_NONE,
    .n_slots = N_FEATURES,
    .slots = slots,
};
static const char *const kinds[] = {"line"};
static struct tsn_program prog = {
    .pack = "bench",
    .n_types = 1,
    .types = &type,
    .n_entity_kinds = 1,
    .entity_kinds = kinds,
    .n_features = N_FEATURES,
    .features = features,
};

static void program_fill(void)
{
    for (int f = 0; f < N_FEATURES; f++) {
        features[f] = (struct tsn_feature){
            .name = shapes[f].name,
            .agg = shapes[f].agg,
            .field = shapes[f].field,
            .n_by = 1,
            .by = {shapes[f].by},
            .where = TSN_EXPR_NONE,
            .expr = TSN_EXPR_NONE,
            .window_ms = shapes[f].window_ms,
            .rep = shapes[f].agg == TSN_AGG_TIME_SINCE ? TSN_REP_DURATION_MS : TSN_REP_INT,
            .identity = (uint64_t)f + 1,
        };
        slots[f] = (struct tsn_slot){
            .feature = f, .name = shapes[f].name, .by = {shapes[f].by}, .is_writer = true};
    }
    const struct tsn_expr_env env = {0};
    type.exprs = tsn_expr_set_new(&env);
    tsn_expr_set_freeze(type.exprs);
}

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Zipf(1.0) by the inverse of its continuous distribution: rank = n^u. Numbers are
 * scattered so that neighbours in rank are not neighbours in memory. */
static uint32_t zipf(uint32_t n, double log_n)
{
    double u = (double)(next_random() >> 11) / 9007199254740992.0;
    uint32_t rank = (uint32_t)exp(u * log_n) - 1;
    return (uint32_t)((uint64_t)(rank < n ? rank : n - 1) * 2654435761u % n);
}

/* Processor time of this thread: other work on the machine is not ours. */
static double now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

struct stream {
    uint32_t n_entities;
    double log_n;
    int64_t late_per_1000;
    double step_ms;
    double now_ms;
    char *names; /* NAME_LEN bytes each */
};

static void batch_fill(struct stream *stream, struct tsn_batch *batch)
{
    tsn_batch_clear(batch);
    for (uint32_t r = 0; r < BATCH; r++) {
        stream->now_ms += stream->step_ms;
        int64_t late_ms = (int64_t)(next_random() % 1000) < stream->late_per_1000
                              ? (int64_t)(next_random() % (30 * MIN))
                              : 0;
        uint32_t at = tsn_batch_add(batch, 0, (int64_t)stream->now_ms - late_ms, 0, r);
        struct tsn_column *columns = batch->types[0].fields;
        for (int f = CALLER; f <= CALLEE; f++) {
            uint32_t line = zipf(stream->n_entities, stream->log_n);
            const char *name = stream->names + (size_t)line * NAME_LEN;
            columns[f].str[at] =
                (struct tsn_str){tsn_arena_strdup(&batch->text, name, NAME_LEN - 1), NAME_LEN - 1};
            tsn_bits_set(columns[f].valid, at);
        }
        columns[TALK].i64[at] = (int64_t)(next_random() % 600);
        tsn_bits_set(columns[TALK].valid, at);
    }
}

/* Calls of the first line in the last hour, kept beside the engine. */
struct beside {
    int64_t *times;
    size_t n, cap;
};

static void beside_check(struct beside *beside, const struct stream *stream,
                         const struct tsn_engine *eng, const struct tsn_batch *batch)
{
    const struct tsn_column *callers = &batch->types[0].fields[CALLER];
    const struct tsn_column *count = &tsn_engine_slots(eng, 0)[1];
    for (uint32_t r = 0; r < batch->n; r++) {
        if (memcmp(callers->str[r].p, stream->names, NAME_LEN) != 0) {
            continue;
        }
        if (beside->n == beside->cap) {
            beside->cap = beside->cap ? beside->cap * 2 : 1024;
            beside->times = realloc(beside->times, beside->cap * sizeof *beside->times);
            TSN_MUST_ALLOC(beside->times);
        }
        int64_t t = batch->rows[r].time_ms;
        beside->times[beside->n++] = t;
        if (r % 16 == 0 || batch->rows[r].time_ms < tsn_engine_newest(eng) - MIN) {
            int64_t n = 0;
            for (size_t i = 0; i < beside->n; i++) {
                n += beside->times[i] <= t && beside->times[i] > t - HOUR;
            }
            if (n != count->i64[r]) {
                fprintf(stderr, "wrong: %" PRId64 " calls, not %" PRId64 "\n", count->i64[r], n);
                exit(1);
            }
        }
    }
    /* What no row in time can read goes, now and then. */
    size_t kept = 0;
    for (size_t i = 0; i < beside->n; i++) {
        if (beside->times[i] > tsn_engine_newest(eng) - 3 * HOUR) {
            beside->times[kept++] = beside->times[i];
        }
    }
    beside->n = kept;
}

static double argument(int argc, char **argv, int i, double otherwise)
{
    return argc > i ? atof(argv[i]) : otherwise;
}

int main(int argc, char **argv)
{
    double million = argument(argc, argv, 1, 10);
    struct stream stream = {
        .n_entities = (uint32_t)(argument(argc, argv, 2, 1000) * 1000),
        .late_per_1000 = (int64_t)argument(argc, argv, 3, 10),
        .now_ms = 1.7e12,
    };
    uint64_t n_batches = (uint64_t)(million * 1e6) / BATCH;
    stream.log_n = log((double)stream.n_entities);
    stream.step_ms = argument(argc, argv, 4, 36) * HOUR / ((double)n_batches * BATCH);
    stream.names = malloc((size_t)stream.n_entities * NAME_LEN);
    TSN_MUST_ALLOC(stream.names);
    for (uint32_t i = 0; i < stream.n_entities; i++) {
        snprintf(stream.names + (size_t)i * NAME_LEN, NAME_LEN, "+86139%07u", i % 10000000);
    }
    program_fill();
    struct tsn_engine_settings settings = tsn_engine_defaults();
    struct tsn_engine *eng = tsn_engine_new(&prog, &settings);
    tsn_engine_want_columns(eng, true);
    struct tsn_batch *batch = tsn_batch_new(&prog, BATCH);
    struct tsn_output out;
    struct beside beside = {0};
    tsn_output_init(&out);
    double spent_s = 0;
    double part_s = 0;
    uint64_t part = n_batches / 10 ? n_batches / 10 : 1;
    for (uint64_t b = 1; b <= n_batches; b++) {
        batch_fill(&stream, batch);
        double from_s = now_s();
        tsn_engine_rows(eng, batch, &out);
        double took_s = now_s() - from_s;
        spent_s += took_s;
        part_s += took_s;
        beside_check(&beside, &stream, eng, batch);
        if (b % part == 0) {
            struct tsn_engine_counts counts = tsn_engine_counts(eng);
            printf("%5.1f M events: %6.1f ns an event, %7" PRIu64 " entities, %9" PRIu64
                   " rows, %7.1f MB\n",
                   (double)b * BATCH / 1e6, part_s * 1e9 / ((double)part * BATCH), counts.entities,
                   counts.entries, (double)counts.state_bytes / 1e6);
            part_s = 0;
        }
    }
    struct tsn_engine_counts counts = tsn_engine_counts(eng);
    printf("windows: %.1f ns an event, %.0f bytes an entity, %.1f rows an entity\n",
           spent_s * 1e9 / ((double)n_batches * BATCH),
           (double)counts.state_bytes / (double)(counts.entities + 1),
           (double)counts.entries / (double)(counts.entities + 1));
    tsn_output_free(&out);
    tsn_batch_free(batch);
    tsn_engine_free(eng);
    tsn_expr_set_free(type.exprs);
    free(beside.times);
    free(stream.names);
    return 0;
}
