#include "connectors/run/machine.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/run/clock.h"
#include "connectors/run/log.h"
#include "rules/must/must.h"

/* AT_END_MS: what the broker said of a partition's end may be a fetch old. */
enum { SILENCE_MS = 30000, AT_END_MS = 3000, SPENT_MAX = 256 };

static void bind(struct tsn_machine *machine)
{
    const struct tsn_config *config = machine->config;
    const struct tsn_program *prog = machine->bundle->prog;
    tsn_batch_free(machine->batch);
    machine->batch = tsn_batch_new(prog, config->engine.batch_rows);
    machine->wire = (struct tsn_wire){
        .prog = prog,
        .keys = machine->keys,
        .instance = config->instance,
        .alerts_topic = config->topics.alerts,
        .rejects_topic = config->topics.rejects,
        .origins = machine->origins,
        .n_origins = machine->n_origins,
    };
}

struct tsn_machine *tsn_machine_new(const struct tsn_config *config, const struct tsn_keys *keys,
                                    struct tsn_bundle *bundle, const struct tsn_origin *origins,
                                    size_t n_origins)
{
    struct tsn_machine *machine = calloc(1, sizeof *machine);
    TSN_MUST_ALLOC(machine);
    machine->config = config;
    machine->keys = keys;
    machine->origins = origins;
    machine->n_origins = n_origins;
    machine->bundle = bundle;
    machine->eng = tsn_engine_new(bundle->prog, &config->engine);
    tsn_output_init(&machine->out);
    tsn_in_force_init(&machine->in_force, config, keys);
    bind(machine);
    return machine;
}

void tsn_machine_free(struct tsn_machine *machine)
{
    if (!machine) {
        return;
    }
    tsn_feed_close(machine->feed);
    tsn_batch_free(machine->batch);
    tsn_output_free(&machine->out);
    tsn_engine_free(machine->eng);
    tsn_bundle_free(machine->bundle);
    tsn_in_force_free(&machine->in_force);
    free(machine);
}

bool tsn_machine_feed(struct tsn_machine *machine, const int64_t *positions,
                      struct tsn_failure *failure)
{
    TSN_MUST(machine->batch->n == 0);
    tsn_feed_close(machine->feed);
    machine->feed = tsn_feed_open(machine->config, machine->bundle->prog, machine->origins,
                                  positions, machine->n_origins, failure);
    return machine->feed != NULL;
}

static void on_rejected(void *user, const struct tsn_rejected *rejected)
{
    struct tsn_machine *machine = user;
    machine->n_rejected++;
    if (machine->visitor && machine->visitor->rejected) {
        machine->visitor->rejected(machine->visitor->user, &machine->wire, rejected);
    }
}

int64_t tsn_machine_take(struct tsn_machine *machine, size_t lane, tsn_event_ms until_ms,
                         int64_t limit)
{
    return tsn_feed_take(machine->feed, lane, until_ms, limit, machine->batch, on_rejected,
                         machine);
}

static void give_alerts(struct tsn_machine *machine)
{
    const struct tsn_visitor *visitor = machine->visitor;
    for (uint32_t i = 0; visitor && visitor->alert && i < machine->out.n_alerts; i++) {
        visitor->alert(visitor->user, &machine->wire, &machine->out.alerts[i]);
    }
    tsn_output_clear(&machine->out);
}

enum tsn_residence tsn_machine_bring(struct tsn_machine *machine, int64_t now_ms,
                                     struct tsn_failure *failure)
{
    if (!machine->resident || !machine->batch->n) {
        return TSN_RESIDENCE_WHOLE;
    }
    tsn_batch_settle(machine->batch);
    return tsn_resident_bring(machine->resident, machine->eng, machine->batch, now_ms, failure);
}

/* Waits until the entities of the batch - NULL: all - are in memory. */
static bool await_entities(struct tsn_machine *machine, const struct tsn_batch *batch,
                           struct tsn_failure *failure)
{
    const struct tsn_visitor *visitor = machine->visitor;
    return !machine->resident || tsn_resident_await(machine->resident, machine->eng, batch,
                                                    visitor ? visitor->go_on : NULL,
                                                    visitor ? visitor->user : NULL, failure);
}

/* For a replay: brings, then processes. */
static bool process(struct tsn_machine *machine, struct tsn_failure *failure)
{
    if (machine->batch->n) {
        tsn_batch_settle(machine->batch);
        if (!await_entities(machine, machine->batch, failure)) {
            return false;
        }
    }
    tsn_machine_process(machine);
    return true;
}

void tsn_machine_process(struct tsn_machine *machine)
{
    const struct tsn_visitor *visitor = machine->visitor;
    if (machine->batch->n) {
        tsn_batch_settle(machine->batch);
        tsn_engine_rows(machine->eng, machine->batch, &machine->out);
        machine->n_rows += machine->batch->n;
        if (visitor && visitor->rows) {
            visitor->rows(visitor->user, machine->eng, machine->bundle->prog, machine->batch);
        }
        give_alerts(machine);
        tsn_batch_clear(machine->batch);
    }
    if (machine->feed) {
        tsn_feed_recycle(machine->feed);
    }
}

bool tsn_machine_tick(struct tsn_machine *machine, int64_t clock_ms)
{
    TSN_MUST(machine->batch->n == 0);
    bool fired = tsn_engine_tick(machine->eng, clock_ms, &machine->out);
    give_alerts(machine);
    return fired;
}

bool tsn_machine_swap(struct tsn_machine *machine, struct tsn_bundle *bundle,
                      struct tsn_failure *failure)
{
    if (!process(machine, failure) || !await_entities(machine, NULL, failure)) {
        tsn_bundle_free(bundle);
        return false;
    }
    int64_t *positions = calloc(machine->n_origins ? machine->n_origins : 1, sizeof *positions);
    TSN_MUST_ALLOC(positions);
    bool fed = machine->feed != NULL;
    for (size_t i = 0; fed && i < machine->n_origins; i++) {
        positions[i] = tsn_feed_position(machine->feed, i);
    }
    tsn_feed_close(machine->feed);
    machine->feed = NULL;
    tsn_engine_swap(machine->eng, bundle->prog);
    struct tsn_bundle *old = machine->bundle;
    machine->bundle = bundle;
    bind(machine);
    tsn_bundle_free(old);
    bool ok = !fed || tsn_machine_feed(machine, positions, failure);
    free(positions);
    return ok;
}

/* ---- replay ------------------------------------------------------------------------------ */

/* A lane whose run begins after its position: the partition joined later. */
static bool jump(struct tsn_machine *machine, size_t lane, int64_t first,
                 struct tsn_failure *failure)
{
    if (!process(machine, failure)) {
        return false;
    }
    int64_t *positions = calloc(machine->n_origins, sizeof *positions);
    TSN_MUST_ALLOC(positions);
    for (size_t i = 0; i < machine->n_origins; i++) {
        positions[i] = i == lane ? first : tsn_feed_position(machine->feed, i);
    }
    bool ok = tsn_machine_feed(machine, positions, failure);
    free(positions);
    return ok;
}

/* Nothing is ready on the lane: wait for the broker. */
static bool await_records(struct tsn_machine *machine, size_t lane, int64_t end,
                          int64_t *give_up_ms, struct tsn_failure *failure)
{
    const struct tsn_origin *origin = &machine->origins[lane];
    int64_t now_ms = tsn_clock_monotonic_ms();
    *give_up_ms = *give_up_ms ? *give_up_ms : now_ms + SILENCE_MS;
    if (now_ms > *give_up_ms - SILENCE_MS + AT_END_MS &&
        tsn_merge_lanes(tsn_feed_merge(machine->feed))[lane].state == TSN_LANE_AT_END &&
        tsn_reader_end(tsn_feed_reader(machine->feed), lane) < end) {
        return tsn_fail(failure, TSN_REMEDY_CONFIG,
                        "kafka: %s/%d ends before offset %" PRId64 ", which a committed manifest "
                        "names: the topic was made anew or its log was cut",
                        origin->topic, (int)origin->partition, end);
    }
    if (now_ms >= *give_up_ms) {
        return tsn_fail(failure, TSN_REMEDY_RETRY,
                        "kafka: cannot read %s/%d on: nothing came for %d s", origin->topic,
                        (int)origin->partition, SILENCE_MS / 1000);
    }
    struct pollfd fd = {.fd = tsn_reader_fd(tsn_feed_reader(machine->feed)), .events = POLLIN};
    poll(&fd, 1, 50);
    tsn_reader_quiet(tsn_feed_reader(machine->feed));
    struct tsn_failure ignored;
    tsn_reader_trouble(tsn_feed_reader(machine->feed), &ignored);
    return true;
}

static bool play_run(struct tsn_machine *machine, const struct tsn_step *step,
                     struct tsn_failure *failure)
{
    size_t lane = step->source;
    int64_t give_up_ms = 0;
    int64_t position = tsn_feed_position(machine->feed, lane);
    if (step->first > position && !jump(machine, lane, step->first, failure)) {
        return false;
    }
    while ((position = tsn_feed_position(machine->feed, lane)) < step->end) {
        if (machine->batch->n == machine->batch->cap || tsn_feed_spent(machine->feed) > SPENT_MAX) {
            if (!process(machine, failure)) {
                return false;
            }
            if (machine->visitor && machine->visitor->go_on &&
                !machine->visitor->go_on(machine->visitor->user)) {
                return tsn_fail(failure, TSN_REMEDY_NONE, "stopped");
            }
        }
        if (!tsn_feed_fill_lane(machine->feed, lane, 0, failure)) {
            return false;
        }
        if (tsn_machine_take(machine, lane, INT64_MAX, step->end) > position) {
            give_up_ms = 0;
            continue;
        }
        if (machine->batch->n < machine->batch->cap &&
            !await_records(machine, lane, step->end, &give_up_ms, failure)) {
            return false;
        }
    }
    return true;
}

static bool play_swap(struct tsn_machine *machine, const uint8_t hash[32], struct tsn_kafka *kafka,
                      struct tsn_failure *failure)
{
    struct tsn_bundle *bundle = tsn_bundle_fetch(machine->config, kafka, hash, failure);
    return bundle && tsn_machine_swap(machine, bundle, failure);
}

bool tsn_machine_may_play(struct tsn_in_force *in_force, const struct tsn_manifest *manifest,
                          struct tsn_kafka *kafka, struct tsn_failure *failure)
{
    bool same = manifest->semantics == TSN_ENGINE_SEMANTICS;
    if (!same && !in_force->lenient) {
        return tsn_fail(failure, TSN_REMEDY_CONFIG,
                        "manifest %" PRIu64 " was written by engine semantics %u, this binary has "
                        "%u and would replay it differently. Use the version that wrote it; `run`: "
                        "or remove the checkpoint (another Redis database), and this one rebuilds "
                        "the state from Kafka by its own semantics; `replay`: or say "
                        "--any-settings",
                        manifest->sequence, manifest->semantics, (unsigned)TSN_ENGINE_SEMANTICS);
    }
    if (!same && in_force->semantics != manifest->semantics) {
        tsn_log("manifest %" PRIu64
                " was written by engine semantics %u, this binary has %u: going "
                "on with its own, by which what was committed then may differ",
                manifest->sequence, manifest->semantics, (unsigned)TSN_ENGINE_SEMANTICS);
    }
    in_force->semantics = same ? 0 : manifest->semantics;
    return tsn_in_force_fit(in_force, manifest, kafka, failure);
}

bool tsn_machine_play(struct tsn_machine *machine, const struct tsn_manifest *manifest,
                      struct tsn_kafka *kafka, struct tsn_failure *failure)
{
    if (!tsn_machine_may_play(&machine->in_force, manifest, kafka, failure)) {
        return false;
    }
    for (size_t i = 0; i < manifest->n_steps; i++) {
        const struct tsn_step *step = &manifest->steps[i];
        bool ok = true;
        switch (step->kind) {
        case TSN_STEP_RUN:
            if (step->source >= machine->n_origins) {
                return tsn_fail(failure, TSN_REMEDY_CONFIG,
                                "manifest %" PRIu64 " names a partition that is not among its "
                                "own: it is damaged",
                                manifest->sequence);
            }
            ok = play_run(machine, step, failure);
            break;
        case TSN_STEP_TICK:
            ok = process(machine, failure);
            if (ok) {
                tsn_machine_tick(machine, step->clock_ms);
            }
            break;
        case TSN_STEP_SWAP:
            ok = process(machine, failure) && play_swap(machine, step->program, kafka, failure);
            break;
        }
        if (!ok) {
            return false;
        }
    }
    return process(machine, failure);
}
