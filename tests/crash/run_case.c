#include "tests/crash/run_case.h"

#include <stdio.h>
#include <string.h>

#include "tests/crash/run_world.h"

enum { START_S = 1772442000, FOR_EVER = 40, IDLE_ENOUGH = 200 };

/* ---- configuration ----------------------------------------------------------------- */

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
const struct case_input case_inputs[CASE_INPUTS] = {
    {"cdr.call", 0}, {"cdr.call", 1}, {"bank.txn", 0}};

static const char *const packs[CASE_PACKS] = {TSN_SOURCE_DIR "/tests/crash/run.yaml",
                                              TSN_SOURCE_DIR "/tests/crash/run_2.yaml"};

enum case_kind case_kind_of(uint64_t seed)
{
    return seed % 3 == 0 ? CASE_COMPARED : CASE_FREE;
}

bool case_is_capped(uint64_t seed)
{
    return seed % 5 < 2;
}

struct tsn_config case_config(enum case_kind kind, unsigned pack)
{
    struct tsn_config config = {
        .file = "tocsin.yaml",
        .instance = "crash",
        .pack = packs[pack],
        .n_sources = sizeof sources / sizeof sources[0],
        .sources = sources,
        .insecure = true,
        .max_resident = world ? world->max_resident : 0,
        .checkpoint_ms = 100,
        .start_timeout_ms = INT64_C(1) << FOR_EVER,
        .stop_timeout_ms = INT64_C(1) << FOR_EVER,
        .engine = tsn_engine_defaults(),
    };
    config.engine.batch_rows = 64;
    if (config.max_resident > 1) { /* no other checkpoints than the cap asks for */
        config.checkpoint_ms = INT64_C(1) << FOR_EVER;
    }
    config.kafka.commit_busy_ms = 20;
    config.kafka.commit_behind_ms = 40;
    config.kafka.commit_idle_ms = 60;
    config.kafka.merge_wait_ms = kind == CASE_COMPARED ? INT64_C(1) << FOR_EVER : 20;
    config.kafka.merge_slack_ms = kind == CASE_COMPARED ? 0 : 1000;
    config.kafka.future_max_ms = INT64_C(1) << FOR_EVER;
    config.topics.alerts = "tocsin.alerts";
    config.topics.rejects = "tocsin.rejects";
    config.topics.manifest = "tocsin.manifest";
    config.topics.programs = "tocsin.programs";
    config.topics.held = "tocsin.held";
    return config;
}

/* ---- input ---------------------------------------------------------------------------- */

static void add_input(unsigned input, int64_t at_ms, const char *value)
{
    tsn_memory_log_append(world->log, case_inputs[input].topic, case_inputs[input].partition, NULL,
                          value, strlen(value), at_ms);
}

/* Gives the time of the newest event. Two calls to one transfer, a record in thirty
 * broken, some late, some twice. */
static int64_t make_input(unsigned n_events)
{
    char value[256];
    int64_t at_ms = (int64_t)START_S * 1000;
    for (unsigned i = 0; i < n_events; i++) {
        uint64_t d = world_dice();
        at_ms += (int64_t)(d % 60000);
        int64_t told_ms = d % 16 == 0 ? at_ms - (int64_t)(d / 64 % 1200000) : at_ms;
        unsigned from = (unsigned)(d >> 20) % 6;
        unsigned to = (unsigned)(d >> 28) % 6;
        unsigned size = (unsigned)(d >> 36) % 200;
        unsigned id = d % 23 == 0 && i > 0 ? i - 1 : i; /* now and then a duplicate */
        if (d % 29 == 0) {
            add_input((unsigned)(d >> 50) % CASE_INPUTS, at_ms, "{\"id\":\"half a rec");
        } else if (i % 17 % 3 == 0) {
            snprintf(value, sizeof value,
                     "{\"id\":\"t%u\",\"at\":%lld,\"from\":\"A%u\",\"line\":\"+86%u\","
                     "\"to\":\"A%u\",\"fen\":%u}",
                     id, (long long)told_ms, from, from, to, size * 100);
            add_input(2, at_ms, value);
        } else {
            snprintf(value, sizeof value,
                     "{\"id\":\"c%u\",\"at\":%lld,\"from\":\"+86%u\",\"to\":\"+86%u\",\"s\":%u}",
                     id, (long long)told_ms, from, to, size);
            add_input(from % 2, at_ms, value);
        }
    }
    return at_ms;
}

void case_begin(void *region, uint64_t seed, unsigned n_events)
{
    struct world *w = region;
    memset(w, 0, sizeof *w);
    size_t used = (sizeof *w + 4095) / 4096 * 4096;
    world = w;
    w->log = tsn_memory_log_new((uint8_t *)region + used, CASE_REGION_BYTES - used);
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
    int64_t newest_ms = make_input(n_events);
    w->idle_enough = IDLE_ENOUGH;
    w->arrival = 1U << world_dice() % 6;
    w->trouble = (unsigned)(world_dice() % 30);
    if (case_kind_of(seed) == CASE_COMPARED) {
        w->backlog = true;
        w->start_ms = newest_ms + 3600000; /* the first tick finds every timer due */
    } else {
        static const int64_t paces[] = {1, 100, 1000};
        w->backlog = world_dice() % 4 == 0;
        w->start_ms = newest_ms - (int64_t)(world_dice() % 7200000);
        w->wall_pace = paces[world_dice() % 3];
    }
}
