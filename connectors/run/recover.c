/* Recovery: from nothing to the newest committed manifest.
 *
 * Fencing comes first: only when the one before can commit no more is the tail of
 * the manifest topic final. Then checkpoint, then the manifests after it, replayed
 * muted and with no transaction open (a long replay would time it out). What cannot
 * be replayed is refused with the remedy, never skipped in silence: the exception is
 * a start without any checkpoint, which begins with the oldest data that Kafka holds
 * and says from when history is whole.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "connectors/run/clock.h"
#include "connectors/run/log.h"
#include "connectors/run/session.h"
#include "connectors/run/signals.h"
#include "rules/must/must.h"

enum { ASK_MS = 5000, SLICE_MS = 200, PROGRESS_MS = 3000, CLOSE_MS = 3000 };

bool tsn_session_interrupted(const struct tsn_session *session, struct tsn_failure *failure)
{
    if (tsn_signals_stop()) {
        tsn_fail(failure, TSN_REMEDY_NONE, "stopped");
        return true;
    }
    if (!tsn_leader_is(session->leader)) {
        tsn_fail(failure, TSN_REMEDY_STAND_BY, "leadership was lost");
        return true;
    }
    return false;
}

bool tsn_session_tail(void *user, uint64_t *sequence, struct tsn_failure *failure)
{
    const struct tsn_config *config = user;
    struct tsn_kafka *kafka = tsn_kafka_open(config, failure);
    struct tsn_history *history = kafka ? tsn_history_open(config, kafka, failure) : NULL;
    struct tsn_arena arena;
    tsn_arena_init(&arena, 0);
    struct tsn_manifest manifest;
    bool found = false;
    bool ok = history && tsn_history_tail(history, &arena, &manifest, &found, failure);
    *sequence = ok && found ? manifest.sequence : 0;
    tsn_arena_free(&arena);
    tsn_history_close(history);
    tsn_kafka_close(kafka);
    return ok;
}

/* ---- fencing ------------------------------------------------------------------------------- */

static bool fence(struct tsn_session *session, struct tsn_failure *failure)
{
    struct tsn_publisher_settings settings = {
        .config = session->config,
        .tail = tsn_session_tail,
        .tail_user = (void *)(uintptr_t)session->config,
    };
    session->publisher = tsn_publisher_open(&settings, failure);
    if (!session->publisher) {
        return false;
    }
    int64_t said_ms = tsn_clock_monotonic_ms();
    for (;;) {
        enum tsn_publishing state = tsn_publisher_wait(session->publisher, SLICE_MS, failure);
        if (state == TSN_PUBLISHING_DONE) {
            return true;
        }
        if (state == TSN_PUBLISHING_FAILED || tsn_session_interrupted(session, failure)) {
            return false;
        }
        if (tsn_clock_monotonic_ms() > said_ms + PROGRESS_MS) {
            char why[256];
            tsn_publisher_trouble(session->publisher, why, sizeof why);
            tsn_log("waiting to become the one who publishes%s%s", why[0] ? ": " : "", why);
            said_ms = tsn_clock_monotonic_ms();
        }
    }
}

/* ---- checks ---------------------------------------------------------------------------------- */

/* low <= position <= high for every partition. *clip: a position below low is moved
 * there (only without a checkpoint). */
static bool positions_fit(struct tsn_session *session, int64_t *positions, bool clip,
                          size_t *n_clipped, struct tsn_failure *failure)
{
    *n_clipped = 0;
    for (size_t i = 0; i < session->origins.n; i++) {
        const struct tsn_origin *origin = &session->origins.items[i];
        int64_t low, high;
        if (tsn_session_interrupted(session, failure) ||
            !tsn_kafka_watermarks(session->kafka, origin->topic, origin->partition, &low, &high,
                                  ASK_MS, failure)) {
            return false;
        }
        if (positions[i] > high) {
            return tsn_fail(failure, TSN_REMEDY_CONFIG,
                            "kafka: %s/%d ends at offset %" PRId64 ", but the committed manifests "
                            "stand at %" PRId64 ": the topic was made anew, the cluster is "
                            "another, or its log was cut. Restore the topic, or start another "
                            "instance",
                            origin->topic, (int)origin->partition, high, positions[i]);
        }
        if (positions[i] >= low) {
            continue;
        }
        if (!clip) {
            return tsn_fail(failure, TSN_REMEDY_CONFIG,
                            "kafka: %s/%d begins at offset %" PRId64 ", but the committed "
                            "manifests stand at %" PRId64 ": the records between were deleted "
                            "before they were read (retention is too short for the outage). To "
                            "go on without them, start another instance; to prevent it, raise "
                            "retention.ms",
                            origin->topic, (int)origin->partition, low, positions[i]);
        }
        positions[i] = low;
        ++*n_clipped;
    }
    return true;
}

static bool cluster_fits(struct tsn_session *session, const struct tsn_manifest *last,
                         struct tsn_failure *failure)
{
    if (!last->cluster_id || strcmp(last->cluster_id, session->cluster_id) == 0) {
        return true;
    }
    return tsn_fail(failure, TSN_REMEDY_CONFIG,
                    "kafka: this cluster is %s, the manifests in topic %s were written on %s: "
                    "offsets mean nothing here. Point bootstrap.servers to the old cluster, or "
                    "start another instance",
                    session->cluster_id, session->config->topics.manifest, last->cluster_id);
}

/* ---- programs -------------------------------------------------------------------------------- */

/* The program of this hash: the configured one when it is that, else as published.
 * The configured one is compiled again rather than handed over: a replay may change
 * programs away from it and must find it afterwards. */
static struct tsn_bundle *program_of(struct tsn_session *session, const uint8_t hash[32],
                                     struct tsn_failure *failure)
{
    if (memcmp(session->next->prog->hash, hash, 32) != 0) {
        return tsn_bundle_fetch(session->config, session->kafka, hash, failure);
    }
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct tsn_bundle *bundle = tsn_bundle_read(session->next->bytes, session->next->len, &diags);
    TSN_MUST(bundle); /* these bytes have just been compiled */
    tsn_diags_free(&diags);
    return bundle;
}

static bool make_machine(struct tsn_session *session, const uint8_t hash[32],
                         struct tsn_failure *failure)
{
    struct tsn_bundle *bundle = program_of(session, hash, failure);
    if (!bundle) {
        return false;
    }
    session->machine = tsn_machine_new(session->config, session->keys, bundle,
                                       session->origins.items, session->origins.n);
    return true;
}

/* ---- first start -------------------------------------------------------------------------------
 */

static bool start_positions(struct tsn_session *session, size_t from, int64_t *positions,
                            struct tsn_failure *failure)
{
    for (size_t i = from; i < session->origins.n; i++) {
        const struct tsn_origin *origin = &session->origins.items[i];
        int64_t low, high;
        if (tsn_session_interrupted(session, failure) ||
            !tsn_kafka_watermarks(session->kafka, origin->topic, origin->partition, &low, &high,
                                  ASK_MS, failure)) {
            return false;
        }
        positions[i] = session->options->from_end ? high : low;
    }
    return true;
}

static bool first_start(struct tsn_session *session, int64_t *positions,
                        struct tsn_failure *failure)
{
    struct tsn_checkpoint_meta meta = {0};
    if (session->store && !tsn_store_meta(session->store, &meta, failure)) {
        return false;
    }
    if (meta.sequence > 0) {
        return tsn_fail(failure, TSN_REMEDY_CONFIG,
                        "redis holds a checkpoint of manifest %" PRIu64 ", but topic %s holds no "
                        "manifest: it was made anew or is another one. Restore the topic; or, to "
                        "begin again, start with another `instance:` name",
                        meta.sequence, session->config->topics.manifest);
    }
    if (!start_positions(session, 0, positions, failure)) {
        return false;
    }
    tsn_log("first start: reading %zu partitions from %s", session->origins.n,
            session->options->from_end ? "their end" : "their beginning");
    session->announce = true;
    return make_machine(session, session->next->prog->hash, failure) &&
           tsn_machine_feed(session->machine, positions, failure);
}

/* ---- checkpoint
 * ---------------------------------------------------------------------------------- */

static bool checkpoint_fits(struct tsn_session *session, const struct tsn_checkpoint_meta *meta,
                            const struct tsn_manifest *last, struct tsn_failure *failure)
{
    if (strcmp(meta->cluster_id, session->cluster_id) != 0) {
        return tsn_fail(failure, TSN_REMEDY_CONFIG,
                        "redis holds a checkpoint of cluster %.63s, this is cluster %s; use "
                        "another Redis database or another `instance:` name",
                        meta->cluster_id, session->cluster_id);
    }
    if (meta->sequence > last->sequence) {
        uint64_t newest;
        if (!tsn_session_tail((void *)(uintptr_t)session->config, &newest, failure)) {
            return false;
        }
        if (newest >= meta->sequence) { /* committed after we read the tail: we were fenced */
            return tsn_fail(failure, TSN_REMEDY_STAND_BY,
                            "another instance took over while this one recovered");
        }
        return tsn_fail(failure, TSN_REMEDY_CONFIG,
                        "redis holds a checkpoint of manifest %" PRIu64 ", but topic %s ends with "
                        "%" PRIu64 ": committed manifests were lost, or the checkpoint is "
                        "another instance's",
                        meta->sequence, session->config->topics.manifest, last->sequence);
    }
    return true;
}

/* Loads the newest checkpoint into a new machine; without one session->machine
 * stays NULL. */
static bool load_checkpoint(struct tsn_session *session, const struct tsn_manifest *last,
                            struct tsn_failure *failure)
{
    struct tsn_checkpoint_meta meta = {0};
    if (!session->store) {
        return true;
    }
    if (!tsn_store_meta(session->store, &meta, failure)) {
        return false;
    }
    if (meta.sequence == 0) {
        tsn_log("redis holds no checkpoint");
        return true;
    }
    if (!checkpoint_fits(session, &meta, last, failure)) {
        return false;
    }
    if (meta.semantics != TSN_ENGINE_SEMANTICS) {
        tsn_log("the checkpoint was made by engine semantics %u, this binary has %u: rebuilding "
                "from Kafka",
                meta.semantics, (unsigned)TSN_ENGINE_SEMANTICS);
        return true;
    }
    int64_t begun_ms = tsn_clock_monotonic_ms();
    if (!make_machine(session, meta.program, failure)) {
        return false;
    }
    if (tsn_store_load(session->store, session->machine->eng, &meta, failure)) {
        session->checkpoint_sequence = meta.sequence;
        tsn_log("loaded the checkpoint of manifest %" PRIu64 " in %" PRId64 " ms", meta.sequence,
                tsn_clock_monotonic_ms() - begun_ms);
        return true;
    }
    tsn_machine_free(session->machine);
    session->machine = NULL;
    if (failure->remedy != TSN_REMEDY_CONFIG) {
        return false;
    }
    tsn_log("the checkpoint cannot be used: %s: rebuilding from Kafka", failure->text);
    return true;
}

/* ---- replay
 * --------------------------------------------------------------------------------------- */

struct progress {
    struct tsn_session *session;
    uint64_t sequence, last;
    int64_t said_ms;
    struct tsn_failure failure; /* why it should stop */
};

static bool go_on(void *user)
{
    struct progress *progress = user;
    int64_t now_ms = tsn_clock_monotonic_ms();
    if (now_ms > progress->said_ms + PROGRESS_MS) {
        tsn_log("replaying manifest %" PRIu64 " of %" PRIu64 ", %" PRIu64 " events so far",
                progress->sequence, progress->last, progress->session->machine->n_rows);
        progress->said_ms = now_ms;
    }
    return !tsn_session_interrupted(progress->session, &progress->failure);
}

static void say_whole_from(struct tsn_session *session, int64_t manifest_ms, size_t n_clipped)
{
    int64_t from_ms = manifest_ms;
    for (size_t i = 0; n_clipped && i < session->origins.n_known; i++) {
        int64_t first_ms = tsn_feed_first_timestamp(session->machine->feed, i);
        from_ms = first_ms > from_ms ? first_ms : from_ms;
    }
    time_t at = (time_t)(from_ms / 1000);
    struct tm utc;
    char text[32];
    gmtime_r(&at, &utc);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    tsn_log("state was rebuilt from what Kafka holds: history is whole from %s on; windows that "
            "reach further back read low until then",
            text);
}

/* Opens the feed where `first`, the first manifest to be replayed, begins. */
static bool feed_before(struct tsn_session *session, const struct tsn_manifest *first,
                        int64_t *positions, size_t *n_clipped, struct tsn_failure *failure)
{
    bool rebuilding = session->checkpoint_sequence == 0;
    if (!session->machine && !make_machine(session, first->program, failure)) {
        return false;
    }
    return start_positions(session, first->n_origins, positions, failure) &&
           (tsn_origins_before(first, positions), true) &&
           positions_fit(session, positions, rebuilding, n_clipped, failure) &&
           tsn_machine_feed(session->machine, positions, failure);
}

static bool replay(struct tsn_session *session, const struct tsn_manifest *last, int64_t *positions,
                   struct tsn_failure *failure)
{
    struct progress progress = {.session = session, .last = last->sequence};
    struct tsn_visitor visitor = {.user = &progress, .go_on = go_on};
    uint64_t expected = session->checkpoint_sequence ? session->checkpoint_sequence + 1 : 0;
    int64_t begun_ms = tsn_clock_monotonic_ms();
    int64_t whole_from_ms = 0;
    size_t n_clipped = 0;
    progress.said_ms = begun_ms;
    if (!tsn_history_seek(session->history, expected, failure)) {
        return false;
    }
    uint64_t begun_at = 0;
    for (;;) {
        struct tsn_manifest manifest;
        int64_t timestamp_ms;
        bool end;
        if (!tsn_history_next(session->history, &manifest, &end, &timestamp_ms, failure)) {
            return false;
        }
        if (end) {
            break;
        }
        if (expected && manifest.sequence != expected) {
            return tsn_fail(failure, TSN_REMEDY_CONFIG,
                            "topic %s: manifest %" PRIu64 " follows where %" PRIu64 " was "
                            "expected: records of this topic were deleted; give it "
                            "retention.ms=-1. To rebuild from what Kafka holds, remove the "
                            "checkpoint (another Redis database)",
                            session->config->topics.manifest, manifest.sequence, expected);
        }
        if (!begun_at) {
            begun_at = manifest.sequence;
            whole_from_ms = manifest.sequence > 1 ? timestamp_ms : 0;
            if (!feed_before(session, &manifest, positions, &n_clipped, failure)) {
                return false;
            }
            session->machine->visitor = &visitor;
        }
        progress.sequence = manifest.sequence;
        bool ok = tsn_machine_play(session->machine, &manifest, session->kafka, failure);
        if (!ok && progress.failure.text[0]) {
            *failure = progress.failure;
        }
        if (!ok) {
            return false;
        }
        expected = manifest.sequence + 1;
    }
    session->machine->visitor = NULL;
    tsn_log("replayed manifests %" PRIu64 " to %" PRIu64 " (%" PRIu64 " events) in %" PRId64
            " ms, muted",
            begun_at, last->sequence, session->machine->n_rows,
            tsn_clock_monotonic_ms() - begun_ms);
    if (n_clipped || (whole_from_ms && !session->checkpoint_sequence)) {
        say_whole_from(session, whole_from_ms, n_clipped);
    }
    return true;
}

/* After a replay the feed must stand where the newest manifest says. */
static bool stands_at(struct tsn_session *session, const struct tsn_manifest *last,
                      struct tsn_failure *failure)
{
    for (size_t i = 0; i < last->n_origins; i++) {
        int64_t position = tsn_feed_position(session->machine->feed, i);
        if (position < last->positions[i]) {
            return tsn_fail(failure, TSN_REMEDY_CONFIG,
                            "manifest %" PRIu64 ": %s/%d stands at %" PRId64 " after its runs, but "
                            "it says %" PRId64 ": it is damaged",
                            last->sequence, last->origins[i].topic, (int)last->origins[i].partition,
                            position, last->positions[i]);
        }
    }
    return true;
}

static bool go_on_from(struct tsn_session *session, const struct tsn_manifest *last,
                       int64_t *positions, struct tsn_failure *failure)
{
    if (!cluster_fits(session, last, failure) || !load_checkpoint(session, last, failure)) {
        return false;
    }
    session->sequence = last->sequence;
    if (session->checkpoint_sequence == last->sequence) {
        size_t n_clipped;
        memcpy(positions, last->positions, last->n_origins * sizeof *positions);
        return start_positions(session, last->n_origins, positions, failure) &&
               positions_fit(session, positions, false, &n_clipped, failure) &&
               tsn_machine_feed(session->machine, positions, failure);
    }
    if (!session->checkpoint_sequence) {
        tsn_log("rebuilding the state from the oldest manifest and data that Kafka holds");
    }
    return replay(session, last, positions, failure) && stands_at(session, last, failure);
}

/* ---- the door
 * ---------------------------------------------------------------------------------------- */

bool tsn_session_recover(struct tsn_session *session, struct tsn_bundle *bundle,
                         struct tsn_failure *failure)
{
    tsn_arena_init(&session->arena, 0);
    session->next = bundle;
    struct tsn_manifest last;
    bool found;
    if (!tsn_kafka_cluster_id(session->kafka, session->cluster_id, ASK_MS, failure) ||
        !tsn_origins_check_topics(session->config, session->kafka, failure) ||
        !fence(session, failure) || (session->store && !tsn_store_claim(session->store, failure))) {
        return false;
    }
    session->history = tsn_history_open(session->config, session->kafka, failure);
    if (!session->history ||
        !tsn_history_tail(session->history, &session->arena, &last, &found, failure)) {
        return false;
    }
    if (!tsn_origins_find(session->config, session->kafka, found ? &last : NULL, &session->arena,
                          &session->origins, failure)) {
        return false;
    }
    int64_t *positions = tsn_arena_zalloc(
        &session->arena, session->origins.n ? session->origins.n : 1, sizeof *positions);
    bool ok = found ? go_on_from(session, &last, positions, failure)
                    : first_start(session, positions, failure);
    if (!ok) {
        return false;
    }
    /* Else another program than the configured one is in force, and the first step
     * changes it. */
    if (memcmp(session->machine->bundle->prog->hash, bundle->prog->hash, 32) == 0) {
        tsn_bundle_free(session->next);
        session->next = NULL;
    }
    return true;
}

void tsn_session_close(struct tsn_session *session)
{
    tsn_publisher_close(session->publisher, CLOSE_MS);
    tsn_machine_free(session->machine);
    tsn_history_close(session->history);
    tsn_bundle_free(session->next);
    tsn_arena_free(&session->arena);
}
