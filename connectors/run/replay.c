/* Replay of the committed manifests: the reference of promise 2.
 *
 * It shares the machine with the live loop and nothing else: no publisher, no store,
 * no clock. It begins with the first manifest that the topic holds; the output of
 * manifests before `from` is computed and thrown away, because state needs it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/run/history.h"
#include "connectors/run/log.h"
#include "connectors/run/machine.h"
#include "connectors/run/origins.h"
#include "connectors/run/run.h"
#include "rules/must/must.h"

struct replay {
    const struct tsn_config *config;
    const struct tsn_replay_visitor *visitor;
    struct tsn_replay_totals *totals;
    struct tsn_arena arena; /* of the message at hand */
    struct tsn_arena names;
    struct tsn_kafka *kafka;
    struct tsn_history *history;
    struct tsn_machine *machine;
    struct tsn_origins origins;
    bool muted;
};

static void on_rows(void *user, const struct tsn_engine *eng, const struct tsn_program *prog,
                    const struct tsn_batch *batch)
{
    struct replay *replay = user;
    if (replay->muted) {
        return;
    }
    replay->totals->rows += batch->n;
    if (replay->visitor->rows) {
        replay->visitor->rows(replay->visitor->user, eng, prog, batch);
    }
}

static void on_alert(void *user, const struct tsn_wire *wire, const struct tsn_alert *alert)
{
    struct replay *replay = user;
    if (replay->muted) {
        return;
    }
    replay->totals->alerts++;
    if (replay->visitor->alert) {
        struct tsn_message message;
        tsn_arena_reset(&replay->arena);
        tsn_wire_alert(wire, alert, &replay->arena, &message);
        replay->visitor->alert(replay->visitor->user, &message);
    }
}

static void on_rejected(void *user, const struct tsn_wire *wire,
                        const struct tsn_rejected *rejected)
{
    struct replay *replay = user;
    if (replay->muted) {
        return;
    }
    replay->totals->rejects++;
    if (replay->visitor->rejected) {
        replay->visitor->rejected(replay->visitor->user, &rejected->record, &rejected->reject);
    }
    if (replay->visitor->reject) {
        struct tsn_message message;
        tsn_arena_reset(&replay->arena);
        tsn_wire_reject(wire, &rejected->record, &rejected->reject, rejected->key,
                        rejected->key_len, rejected->headers, rejected->n_headers, &replay->arena,
                        &message);
        replay->visitor->reject(replay->visitor->user, &message);
    }
}

/* Opens the machine where the first manifest begins. */
static bool begin(struct replay *replay, const struct tsn_manifest *first,
                  const struct tsn_keys *keys, struct tsn_failure *failure)
{
    struct tsn_bundle *bundle =
        tsn_bundle_fetch(replay->config, replay->kafka, first->program, failure);
    if (!bundle) {
        return false;
    }
    size_t n = replay->origins.n;
    replay->machine = tsn_machine_new(replay->config, keys, bundle, replay->origins.items, n);
    int64_t *positions = tsn_arena_zalloc(&replay->names, n ? n : 1, sizeof *positions);
    bool ok = true;
    for (size_t i = 0; i < n && ok; i++) {
        int64_t low, high;
        ok = tsn_kafka_watermarks(replay->kafka, replay->origins.items[i].topic,
                                  replay->origins.items[i].partition, &low, &high, 5000, failure);
        positions[i] = low;
    }
    int64_t *before = tsn_arena_zalloc(&replay->names, n ? n : 1, sizeof *before);
    tsn_origins_before(first, before);
    for (size_t i = 0; i < first->n_origins && ok; i++) {
        if (before[i] < positions[i]) {
            tsn_log("%s/%d begins at offset %" PRId64 ", the first manifest at %" PRId64
                    ": what lies between is gone and left out",
                    replay->origins.items[i].topic, (int)replay->origins.items[i].partition,
                    positions[i], before[i]);
        }
        positions[i] = before[i] > positions[i] ? before[i] : positions[i];
    }
    if (first->sequence > 1) {
        tsn_log("the manifest topic begins with sequence %" PRIu64
                ": state from before is not known, and windows that reach back there read low",
                first->sequence);
    }
    if (ok && replay->visitor->begin) {
        replay->visitor->begin(replay->visitor->user, replay->origins.items, n);
    }
    return ok && tsn_machine_feed(replay->machine, positions, failure);
}

static bool play(struct replay *replay, const struct tsn_keys *keys, struct tsn_replay_range range,
                 uint64_t last, struct tsn_failure *failure)
{
    struct tsn_visitor visitor = {
        .user = replay, .rows = on_rows, .alert = on_alert, .rejected = on_rejected};
    struct tsn_replay_totals *totals = replay->totals;
    for (;;) {
        struct tsn_manifest manifest;
        bool end;
        if (!tsn_history_next(replay->history, &manifest, &end, NULL, failure)) {
            return false;
        }
        if (end || manifest.sequence > last) {
            return true;
        }
        if (totals->last_sequence && manifest.sequence != totals->last_sequence + 1) {
            return tsn_fail(failure, TSN_REMEDY_CONFIG,
                            "topic %s: manifest %" PRIu64 " follows %" PRIu64
                            ": records of this topic were deleted",
                            replay->config->topics.manifest, manifest.sequence,
                            totals->last_sequence);
        }
        if (!replay->machine) {
            totals->first_sequence = manifest.sequence;
            if (!begin(replay, &manifest, keys, failure)) {
                return false;
            }
            replay->machine->visitor = &visitor;
            replay->machine->in_force.lenient = range.any_settings;
            tsn_engine_want_columns(replay->machine->eng, replay->visitor->rows != NULL);
        }
        replay->muted = manifest.sequence < range.from;
        if (!tsn_machine_play(replay->machine, &manifest, replay->kafka, failure)) {
            return false;
        }
        totals->last_sequence = manifest.sequence;
        if (replay->visitor->progress) {
            replay->visitor->progress(replay->visitor->user, manifest.sequence, last);
        }
    }
}

static bool replay_all(struct replay *replay, const struct tsn_keys *keys,
                       struct tsn_replay_range range, struct tsn_failure *failure)
{
    replay->kafka = tsn_kafka_open(replay->config, failure);
    replay->history =
        replay->kafka ? tsn_history_open(replay->config, replay->kafka, failure) : NULL;
    struct tsn_manifest tail;
    bool found = false;
    if (!replay->history ||
        !tsn_history_tail(replay->history, &replay->names, &tail, &found, failure)) {
        return false;
    }
    if (!found) {
        return tsn_fail(failure, TSN_REMEDY_CONFIG,
                        "topic %s holds no manifest: nothing has been committed yet",
                        replay->config->topics.manifest);
    }
    if (range.to > tail.sequence || (range.to && range.from > range.to)) {
        return tsn_fail(failure, TSN_REMEDY_CONFIG,
                        "manifests %" PRIu64 " to %" PRIu64
                        " were asked for; the newest is %" PRIu64,
                        range.from, range.to, tail.sequence);
    }
    uint64_t last = range.to ? range.to : tail.sequence;
    return tsn_origins_find(replay->config, replay->kafka, &tail, &replay->names, &replay->origins,
                            failure) &&
           tsn_history_seek(replay->history, 0, failure) &&
           play(replay, keys, range, last, failure);
}

bool tsn_replay_manifests(const struct tsn_config *config, const struct tsn_keys *keys,
                          struct tsn_replay_range range, const struct tsn_replay_visitor *visitor,
                          struct tsn_replay_totals *totals, struct tsn_failure *failure)
{
    struct replay replay = {.config = config, .visitor = visitor, .totals = totals};
    memset(totals, 0, sizeof *totals);
    tsn_arena_init(&replay.arena, 0);
    tsn_arena_init(&replay.names, 0);
    bool ok = replay_all(&replay, keys, range, failure);
    if (replay.machine) {
        totals->counts = tsn_engine_counts(replay.machine->eng);
        replay.machine->visitor = NULL;
    }
    tsn_machine_free(replay.machine);
    tsn_history_close(replay.history);
    tsn_kafka_close(replay.kafka);
    tsn_arena_free(&replay.names);
    tsn_arena_free(&replay.arena);
    return ok;
}
