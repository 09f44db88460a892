#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <xxhash.h>

#include "connectors/run/bundle.h"
#include "connectors/run/run.h"
#include "tests/crash/run_case.h"
#include "tests/crash/run_check.h"
#include "tests/crash/run_world.h"
#include "tests/fixture/record_map.h"

/* ---- output against the replay ------------------------------------------------------- */

/* Walks the committed records of an output topic beside the replay. */
struct reader {
    uint64_t seed;
    const char *topic;
    int64_t offset;
    uint64_t n;
};

struct walk {
    struct reader alerts, rejects;
    struct check_result *result;
    XXH64_state_t *alert_digest, *feature_digest;
    struct tsn_engine *eng;     /* the replay's, as of its last batch */
    struct tsn_record_map ends; /* its state at the end */
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

static void digest_message(XXH64_state_t *digest, const struct tsn_message *message)
{
    XXH64_update(digest, message->value, message->len);
    XXH64_update(digest, message->key, message->key_len);
    for (size_t h = 0; h < message->n_headers; h++) {
        XXH64_update(digest, message->headers[h].name, strlen(message->headers[h].name));
        XXH64_update(digest, message->headers[h].value, message->headers[h].len);
    }
}

static void on_alert(void *user, const struct tsn_message *message)
{
    struct walk *walk = user;
    compare(&walk->alerts, message);
    digest_message(walk->alert_digest, message);
}

static void on_reject(void *user, const struct tsn_message *message)
{
    struct walk *walk = user;
    compare(&walk->rejects, message);
    XXH64_state_t *digest = XXH64_createState();
    XXH64_reset(digest, 0);
    digest_message(digest, message);
    walk->result->rejects += XXH64_digest(digest);
    XXH64_freeState(digest);
}

static void digest_cell(XXH64_state_t *digest, const struct tsn_column *column, size_t row)
{
    bool valid = tsn_bits_get(column->valid, row);
    bool error = column->error && tsn_bits_get(column->error, row);
    uint8_t state = (uint8_t)(valid | error << 1);
    XXH64_update(digest, &state, 1);
    if (!valid) {
        return;
    }
    size_t bytes = tsn_rep_cell_bytes(column->rep);
    if (column->rep == TSN_REP_STRING) {
        XXH64_update(digest, column->str[row].p, column->str[row].len);
    } else if (column->rep == TSN_REP_BOOL) {
        uint8_t bit = tsn_bits_get(column->bits, row);
        XXH64_update(digest, &bit, 1);
    } else if (bytes > 0) {
        XXH64_update(digest, (const uint8_t *)column->cells + row * bytes, bytes);
    }
}

static void on_rows(void *user, const struct tsn_engine *eng, const struct tsn_program *prog,
                    const struct tsn_batch *batch)
{
    struct walk *walk = user;
    const uint8_t *status = tsn_engine_status(eng);
    walk->eng = (struct tsn_engine *)(uintptr_t)eng;
    for (uint32_t i = 0; i < batch->n; i++) {
        const struct tsn_row *row = &batch->rows[i];
        const struct tsn_column *slots = tsn_engine_slots(eng, row->type);
        XXH64_update(walk->feature_digest, &row->position, sizeof row->position);
        XXH64_update(walk->feature_digest, &row->source, sizeof row->source);
        XXH64_update(walk->feature_digest, &status[i], 1);
        for (int s = 0; s < prog->types[row->type].n_slots; s++) {
            digest_cell(walk->feature_digest, &slots[s], row->at);
        }
    }
}

static void on_progress(void *user, uint64_t sequence, uint64_t last_sequence)
{
    struct walk *walk = user;
    if (sequence == last_sequence && walk->eng) {
        tsn_snapshot_cut(walk->eng, true, tsn_record_map_put, &walk->ends);
    }
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

/* ---- the last checkpoint against the replay's state -------------------------------------- */

/* What an engine gives that has loaded these records. Records of an engine whose program
 * was changed hold the same in another order: so both sides are loaded once. */
static void normalise(const struct tsn_config *config, const struct tsn_program *prog,
                      struct tsn_record_map *map)
{
    struct tsn_record_map normal = {0};
    struct tsn_engine *eng = tsn_engine_new(prog, &config->engine);
    const char *why = "";
    if (!tsn_record_map_load(map, eng, &why)) {
        fail_msg("the replay's state cannot be loaded: %s", why);
    }
    tsn_snapshot_cut(eng, true, tsn_record_map_put, &normal);
    tsn_engine_free(eng);
    tsn_record_map_free(map);
    *map = normal;
}

static void load_stored(uint64_t seed, const struct tsn_config *config,
                        const struct tsn_program *prog, struct tsn_record_map *stored)
{
    struct tsn_failure failure = {0};
    struct tsn_store *store = tsn_store_open(config, NULL, &failure);
    struct tsn_checkpoint_meta meta;
    struct tsn_engine *eng = tsn_engine_new(prog, &config->engine);
    if (!tsn_store_load(store, eng, &meta, &failure)) {
        fail_msg("seed %llu: the last checkpoint: %s", (unsigned long long)seed, failure.text);
    }
    tsn_snapshot_cut(eng, true, tsn_record_map_put, stored);
    tsn_engine_free(eng);
    tsn_store_close(store);
}

static void state_must_be_the_replays(uint64_t seed, const struct tsn_config *config,
                                      uint64_t last_sequence, struct walk *walk)
{
    struct tsn_failure failure = {0};
    struct tsn_record_map stored = {0};
    enum tsn_snapshot_section section;
    if (world->stored.sequence != last_sequence || !walk->eng) {
        return;
    }
    struct tsn_kafka *kafka = tsn_kafka_open(config, &failure);
    struct tsn_bundle *bundle = tsn_bundle_fetch(config, kafka, world->stored.program, &failure);
    if (!bundle) {
        fail_msg("seed %llu: the checkpoint's program: %s", (unsigned long long)seed, failure.text);
    }
    load_stored(seed, config, bundle->prog, &stored);
    normalise(config, bundle->prog, &walk->ends);
    if (!tsn_record_map_equal(&stored, &walk->ends, &section)) {
        fail_msg("seed %llu: the checkpoint of manifest %llu (%zu records) is not the state of its "
                 "replay (%zu records); section %d differs",
                 (unsigned long long)seed, (unsigned long long)last_sequence, stored.n,
                 walk->ends.n, (int)section);
    }
    walk->result->state_compared = true;
    tsn_record_map_free(&stored);
    tsn_bundle_free(bundle);
    tsn_kafka_close(kafka);
}

static void output_and_state_must_equal_the_replay(uint64_t seed, const struct tsn_config *config,
                                                   struct check_result *result)
{
    struct tsn_failure failure = {0};
    struct tsn_replay_totals totals;
    struct tsn_keys *keys = tsn_keys_insecure();
    struct walk walk = {
        .alerts = {.seed = seed, .topic = "tocsin.alerts"},
        .rejects = {.seed = seed, .topic = "tocsin.rejects"},
        .result = result,
        .alert_digest = XXH64_createState(),
        .feature_digest = XXH64_createState(),
    };
    const struct tsn_replay_visitor visitor = {.user = &walk,
                                               .rows = on_rows,
                                               .alert = on_alert,
                                               .reject = on_reject,
                                               .progress = on_progress};
    XXH64_reset(walk.alert_digest, 0);
    XXH64_reset(walk.feature_digest, 0);
    if (!tsn_replay_manifests(config, keys, (struct tsn_replay_range){0}, &visitor, &totals,
                              &failure)) {
        fail_msg("seed %llu: replay: %s", (unsigned long long)seed, failure.text);
    }
    must_be_at_end(&walk.alerts);
    must_be_at_end(&walk.rejects);
    state_must_be_the_replays(seed, config, totals.last_sequence, &walk);
    result->n_alerts = walk.alerts.n;
    result->n_rejects = walk.rejects.n;
    result->n_rows = totals.rows;
    result->alerts = XXH64_digest(walk.alert_digest);
    result->features = XXH64_digest(walk.feature_digest);
    XXH64_freeState(walk.alert_digest);
    XXH64_freeState(walk.feature_digest);
    tsn_record_map_free(&walk.ends);
    tsn_keys_free(keys);
}

/* ---- input against the manifests ------------------------------------------------------------ */

bool check_manifest(uint64_t sequence, struct tsn_arena *arena, struct tsn_manifest *manifest)
{
    struct tsn_log_record record;
    bool found = false;
    int64_t end;
    for (int64_t at = 0; tsn_memory_log_read(world->log, "tocsin.manifest", 0, at, &record, &end);
         at = record.offset + 1) {
        const char *why;
        tsn_arena_reset(arena);
        assert_true(tsn_wire_manifest_read(record.value, record.len, arena, manifest, &why));
        found = true;
        if (manifest->sequence == sequence) {
            break;
        }
    }
    return found;
}

static void cover(const struct tsn_manifest *manifest, int64_t *covered)
{
    for (size_t s = 0; s < manifest->n_steps; s++) {
        const struct tsn_step *step = &manifest->steps[s];
        world->n_ticks += step->kind == TSN_STEP_TICK;
        world->n_swaps += step->kind == TSN_STEP_SWAP;
        if (step->kind != TSN_STEP_RUN) {
            continue;
        }
        const struct tsn_origin *origin = &manifest->origins[step->source];
        for (unsigned i = 0; i < CASE_INPUTS; i++) {
            if (strcmp(case_inputs[i].topic, origin->topic) == 0 &&
                case_inputs[i].partition == origin->partition) {
                assert_int_equal(step->first, covered[i]);
                assert_true(step->end > step->first);
                covered[i] = step->end;
            }
        }
    }
}

static void every_input_offset_must_be_in_one_manifest(uint64_t seed)
{
    struct tsn_log_record record;
    struct tsn_arena arena;
    int64_t end;
    uint64_t sequence = 0;
    int64_t covered[CASE_INPUTS] = {0};
    tsn_arena_init(&arena, 0);
    for (int64_t at = 0; tsn_memory_log_read(world->log, "tocsin.manifest", 0, at, &record, &end);
         at = record.offset + 1) {
        struct tsn_manifest manifest;
        const char *why;
        assert_true(tsn_wire_manifest_read(record.value, record.len, &arena, &manifest, &why));
        if (manifest.sequence != ++sequence) {
            fail_msg("seed %llu: manifest %llu is followed by %llu", (unsigned long long)seed,
                     (unsigned long long)sequence - 1, (unsigned long long)manifest.sequence);
        }
        cover(&manifest, covered);
        tsn_arena_reset(&arena);
    }
    for (unsigned i = 0; i < CASE_INPUTS; i++) {
        int64_t high =
            tsn_memory_log_high(world->log, case_inputs[i].topic, case_inputs[i].partition);
        if (covered[i] != high) {
            fail_msg("seed %llu: %s/%d: manifests cover %lld of %lld records",
                     (unsigned long long)seed, case_inputs[i].topic, (int)case_inputs[i].partition,
                     (long long)covered[i], (long long)high);
        }
    }
    if (world->stored.sequence > sequence) {
        fail_msg("seed %llu: the checkpoint is of manifest %llu, the last one is %llu",
                 (unsigned long long)seed, (unsigned long long)world->stored.sequence,
                 (unsigned long long)sequence);
    }
    tsn_arena_free(&arena);
}

void check_all(uint64_t seed, const struct tsn_config *config, struct check_result *result)
{
    memset(result, 0, sizeof *result);
    world->trouble = 0;
    world->backlog = true;
    world->retention = false;
    world->crash_at = world->pause_at = 0;
    output_and_state_must_equal_the_replay(seed, config, result);
    every_input_offset_must_be_in_one_manifest(seed);
}
