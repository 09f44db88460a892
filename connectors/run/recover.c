/* Taking over: the seat is ours; from what was followed to the one who publishes.
 *
 * Fencing comes first: only when the one before can commit no more is the tail of
 * the manifest topic final. Then the store under our own name, then what he committed
 * last. Whoever had no time to follow begins with the checkpoint here, in the same way
 * (follow.c).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/run/clock.h"
#include "connectors/run/fit.h"
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
    if (session->leading && !tsn_leader_is(session->leader)) {
        tsn_fail(failure, TSN_REMEDY_STAND_BY, "leadership was lost");
        return true;
    }
    return false;
}

static bool newest_manifest(const struct tsn_config *config, struct tsn_arena *arena,
                            struct tsn_manifest *manifest, bool *found, struct tsn_failure *failure)
{
    struct tsn_kafka *kafka = tsn_kafka_open(config, failure);
    struct tsn_history *history = kafka ? tsn_history_open(config, kafka, failure) : NULL;
    *found = false;
    bool ok = history && tsn_history_tail(history, arena, manifest, found, failure);
    tsn_history_close(history);
    tsn_kafka_close(kafka);
    return ok;
}

bool tsn_session_tail(const struct tsn_config *config, uint64_t *sequence,
                      struct tsn_failure *failure)
{
    struct tsn_arena arena;
    tsn_arena_init(&arena, 0);
    struct tsn_manifest manifest;
    bool found;
    bool ok = newest_manifest(config, &arena, &manifest, &found, failure);
    *sequence = ok && found ? manifest.sequence : 0;
    tsn_arena_free(&arena);
    return ok;
}

/* For the publisher. A manifest is read as it was written and nothing else, so written
 * again it has the bytes of the record. It ends its publication. */
static bool publisher_tail(void *user, const struct tsn_publication *publication,
                           uint64_t *sequence, bool *same, struct tsn_failure *failure)
{
    struct tsn_arena arena;
    tsn_arena_init(&arena, 0);
    struct tsn_manifest manifest;
    bool found;
    bool ok = newest_manifest(user, &arena, &manifest, &found, failure);
    *sequence = ok && found ? manifest.sequence : 0;
    *same = false;
    if (ok && found && publication->n > 0) {
        const struct tsn_message *ours = &publication->messages[publication->n - 1];
        struct tsn_message theirs;
        tsn_wire_manifest(&manifest, &arena, &theirs);
        *same = theirs.len == ours->len && memcmp(theirs.value, ours->value, ours->len) == 0;
    }
    tsn_arena_free(&arena);
    return ok;
}

/* ---- fencing ------------------------------------------------------------------------------- */

static bool fence(struct tsn_session *session, struct tsn_failure *failure)
{
    struct tsn_publisher_settings settings = {
        .config = session->config,
        .tail = publisher_tail,
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

/* ---- first start ----------------------------------------------------------------------------- */

static bool first_start(struct tsn_session *session, struct tsn_failure *failure)
{
    struct tsn_checkpoint_meta meta = {0};
    if (session->store && !tsn_store_meta(session->store, &meta, failure)) {
        return false;
    }
    if (meta.sequence > 0) {
        return tsn_fit_no_manifest(session, meta.sequence, failure);
    }
    if (!tsn_origins_find(session->config, session->kafka, NULL, &session->arena, &session->origins,
                          failure)) {
        return false;
    }
    size_t n = session->origins.n;
    int64_t *positions = tsn_arena_zalloc(&session->arena, n ? n : 1, sizeof *positions);
    if (!tsn_fit_start(session, 0, positions, failure)) {
        return false;
    }
    tsn_log("first start: reading %zu partitions from %s", session->origins.n,
            session->options->from_end ? "their end" : "their beginning");
    session->announce = true;
    session->announce_settings = true;
    return tsn_session_machine(session, session->next->prog->hash, failure) &&
           tsn_machine_feed(session->machine, positions, failure);
}

/* ---- what is left ------------------------------------------------------------------------ */

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

/* Nothing was replayed: the checkpoint is of the newest manifest. */
static bool feed_after(struct tsn_session *session, const struct tsn_manifest *last,
                       struct tsn_failure *failure)
{
    size_t n = session->origins.n;
    size_t n_clipped;
    int64_t *positions = tsn_arena_zalloc(&session->arena, n ? n : 1, sizeof *positions);
    memcpy(positions, last->positions, last->n_origins * sizeof *positions);
    return tsn_fit_origins(session, last, failure) &&
           tsn_fit_start(session, last->n_origins, positions, failure) &&
           tsn_fit_positions(session, positions, false, &n_clipped, failure) &&
           tsn_machine_feed(session->machine, positions, failure);
}

static bool go_on_from(struct tsn_session *session, const struct tsn_manifest *last,
                       struct tsn_failure *failure)
{
    if (!session->loaded && !tsn_session_load(session, last, failure)) {
        return false;
    }
    uint64_t n_left = last->sequence - session->replayed;
    if (session->replayed > last->sequence) {
        return tsn_fail(failure, TSN_REMEDY_STAND_BY,
                        "another instance took over while this one recovered");
    }
    if (!tsn_session_replay(session, last->sequence, failure)) {
        return false;
    }
    if (session->took_over && n_left) {
        tsn_log("replayed the last %" PRIu64 " manifests of the leader before", n_left);
    }
    session->announce_settings =
        memcmp(last->settings, session->machine->in_force.digest, sizeof last->settings) != 0;
    if (session->announce_settings) {
        tsn_log("settings or source mappings are not those of manifest %" PRIu64
                ": in force from the next one on",
                last->sequence);
    }
    session->sequence = last->sequence;
    return session->machine->feed ? stands_at(session, last, failure)
                                  : feed_after(session, last, failure);
}

/* The newest manifest, read on a stream of its own: history keeps its place. */
static bool read_tail(struct tsn_session *session, struct tsn_manifest *last, bool *found,
                      struct tsn_failure *failure)
{
    struct tsn_history *history = tsn_history_open(session->config, session->kafka, failure);
    bool ok = history && tsn_history_tail(history, &session->arena_tail, last, found, failure);
    session->replayed_ms = ok && *found ? tsn_history_tail_ms(history) : 0;
    tsn_history_close(history);
    return ok;
}

/* ---- the door
 * ---------------------------------------------------------------------------------------- */

bool tsn_session_begin(struct tsn_session *session, struct tsn_bundle *bundle,
                       struct tsn_failure *failure)
{
    tsn_arena_init(&session->arena, 0);
    tsn_arena_init(&session->arena_tail, 0);
    session->next = bundle;
    session->resident =
        (struct tsn_resident){.store = session->store, .cap = session->config->max_resident};
    session->history = tsn_history_open(session->config, session->kafka, failure);
    return session->history &&
           tsn_kafka_cluster_id(session->kafka, session->cluster_id, ASK_MS, failure) &&
           tsn_origins_check_topics(session->config, session->kafka, failure);
}

void tsn_session_sit(struct tsn_session *session)
{
    session->leading = true;
    session->took_over = session->caught_up;
    if (!session->took_over) {
        tsn_stages_mark(&session->stages, "seat");
        return;
    }
    tsn_stages_begin(&session->stages);
    tsn_log("taking over at manifest %" PRIu64 ", %.1f s after it was committed", session->replayed,
            (double)(tsn_clock_wall_ms() - session->replayed_ms) / 1000);
}

bool tsn_session_recover(struct tsn_session *session, struct tsn_failure *failure)
{
    struct tsn_manifest last;
    bool found;
    if (!fence(session, failure)) {
        return false;
    }
    tsn_stages_mark(&session->stages, "fencing");
    if (session->store && !tsn_store_claim(session->store, failure)) {
        return false;
    }
    tsn_stages_mark(&session->stages, "store");
    if (!read_tail(session, &last, &found, failure)) {
        return false;
    }
    tsn_stages_mark(&session->stages, "newest manifest");
    if (!found && session->loaded) {
        return tsn_fail(
            failure, TSN_REMEDY_CONFIG,
            "topic %s held manifests and holds none any more: it was made anew. Restore "
            "it; or, to begin again, start with another `instance:` name",
            session->config->topics.manifest);
    }
    if (!(found ? go_on_from(session, &last, failure) : first_start(session, failure))) {
        return false;
    }
    tsn_stages_mark(&session->stages, "what was left");
    /* Else another program than the configured one is in force, and the first step
     * changes it. */
    if (memcmp(session->machine->bundle->prog->hash, session->next->prog->hash, 32) == 0) {
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
    tsn_arena_free(&session->arena_tail);
}
