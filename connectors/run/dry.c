/* What a start would do, said and not done: `tocsin run --dry-recover`.
 *
 * It asks the questions of follow.c and recover.c in their order and changes nothing:
 * no seat is asked for, so nobody is moved from his; no transactional id is
 * initialised, so nobody is fenced; Redis is only read, and no topic is made. It reads
 * the manifests that would be replayed, not their records, and the checkpoint's root,
 * not its entities: that these are whole shows when they are loaded.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "connectors/decode/decode.h"
#include "connectors/run/clock.h"
#include "connectors/run/fit.h"
#include "connectors/run/session.h"

struct plan {
    struct tsn_session *session;
    FILE *out;
    struct tsn_manifest last;
    struct tsn_checkpoint_meta meta; /* sequence 0: no checkpoint is used */
    uint8_t program[32];             /* in force, as far as was read */
    uint64_t first;                  /* manifest to be replayed first; 0: none */
    uint64_t n_swaps;
    struct tsn_in_force in_force;
    int64_t first_ms, last_ms; /* when first and last were committed */
    int64_t *positions;        /* before the first one */
};

static void say(const struct plan *plan, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void say(const struct plan *plan, const char *name, const char *format, ...)
{
    char text[640];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(plan->out, "%-12s%s\n", name, text);
}

struct instant {
    char text[80];
};

/* "2026-03-01T10:00:00Z, 12 s ago" */
static struct instant instant(int64_t ms)
{
    struct instant instant;
    char utc[32];
    struct tm tm;
    time_t at = (time_t)(ms / 1000);
    gmtime_r(&at, &tm);
    strftime(utc, sizeof utc, "%Y-%m-%dT%H:%M:%SZ", &tm);
    snprintf(instant.text, sizeof instant.text, "%s, %" PRId64 " s ago", utc,
             (tsn_clock_wall_ms() - ms) / 1000);
    return instant;
}

/* ---- programs ------------------------------------------------------------------------------ */

/* Is this program to be had, and does it still compile to itself? */
static bool program_is_held(struct plan *plan, const uint8_t hash[32], struct tsn_failure *failure)
{
    struct tsn_session *session = plan->session;
    if (memcmp(session->next->prog->hash, hash, 32) == 0) {
        return true;
    }
    struct tsn_bundle *bundle = tsn_bundle_fetch(session->config, session->kafka, hash, failure);
    tsn_bundle_free(bundle);
    return bundle != NULL;
}

static bool sources_fit(struct plan *plan, struct tsn_failure *failure)
{
    const struct tsn_session *session = plan->session;
    bool ok = true;
    for (size_t i = 0; ok && i < session->config->n_sources; i++) {
        const struct tsn_source *source = &session->config->sources[i];
        struct tsn_diags diags;
        tsn_diags_init(&diags);
        struct tsn_decoder *decoder =
            tsn_decoder_new(session->config, source, session->next->prog, &diags);
        ok = decoder != NULL;
        if (!ok) {
            const struct tsn_diag *diag = diags.n ? &diags.items[0] : NULL;
            tsn_fail(failure, TSN_REMEDY_CONFIG, "%s:%u:%u: %s", session->config->file,
                     diag ? diag->place.line : source->line,
                     diag ? diag->place.column : source->column,
                     diag ? diag->message : "the source does not fit the pack");
        }
        tsn_decoder_free(decoder);
        tsn_diags_free(&diags);
    }
    return ok;
}

static void say_program(const struct plan *plan, bool first_start)
{
    char configured[65];
    char force[65];
    tsn_bundle_hex(plan->session->next->prog->hash, configured);
    tsn_bundle_hex(plan->program, force);
    if (first_start) {
        say(plan, "program", "%.16s, published with the first manifest", configured);
    } else if (strcmp(configured, force) == 0) {
        say(plan, "program", "%.16s is in force and configured", configured);
    } else {
        say(plan, "program",
            "%.16s is in force; the first step puts %.16s in force, which is "
            "configured",
            force, configured);
    }
}

/* ---- state --------------------------------------------------------------------------------- */

static bool look_at_store(struct plan *plan, uint64_t newest, struct tsn_failure *failure)
{
    struct tsn_session *session = plan->session;
    if (!session->store) {
        say(plan, "checkpoint", "none (state: memory)");
        return true;
    }
    if (!tsn_store_meta(session->store, &plan->meta, failure)) {
        return false;
    }
    if (!plan->meta.sequence) {
        say(plan, "checkpoint", "none: redis holds none of this instance");
        return true;
    }
    char hex[65];
    tsn_bundle_hex(plan->meta.program, hex);
    say(plan, "checkpoint",
        "of manifest %" PRIu64 ", written %s; %" PRIu64 " records in its last cut, program %.16s",
        plan->meta.sequence, instant(plan->meta.written_at_ms).text, plan->meta.records, hex);
    if (!tsn_fit_checkpoint(session, &plan->meta, newest, failure)) {
        return false;
    }
    return program_is_held(plan, plan->meta.program, failure);
}

/* One manifest that would be replayed. */
static bool look_at_manifest(struct plan *plan, const struct tsn_manifest *manifest,
                             uint64_t expected, struct tsn_failure *failure)
{
    if (expected && manifest->sequence != expected) {
        return tsn_fail(failure, TSN_REMEDY_CONFIG,
                        "topic %s: manifest %" PRIu64 " follows where %" PRIu64
                        " was expected: records of this topic were deleted",
                        plan->session->config->topics.manifest, manifest->sequence, expected);
    }
    if (!tsn_machine_may_play(&plan->in_force, manifest, plan->session->kafka, failure) ||
        !tsn_fit_origins(plan->session, manifest, failure) ||
        (!plan->first && !program_is_held(plan, manifest->program, failure))) {
        return false;
    }
    for (size_t i = 0; i < manifest->n_steps; i++) {
        if (manifest->steps[i].kind == TSN_STEP_SWAP) {
            plan->n_swaps++;
            if (!program_is_held(plan, manifest->steps[i].program, failure)) {
                return false;
            }
        }
    }
    if (!plan->first) {
        plan->first = manifest->sequence;
        tsn_origins_before(manifest, plan->positions);
    }
    return true;
}

static bool look_at_manifests(struct plan *plan, struct tsn_failure *failure)
{
    struct tsn_session *session = plan->session;
    uint64_t expected = plan->meta.sequence ? plan->meta.sequence + 1 : 0;
    memcpy(plan->positions, plan->last.positions, plan->last.n_origins * sizeof *plan->positions);
    memcpy(plan->program, plan->last.program, sizeof plan->program);
    for (size_t i = 0; i < plan->last.n_steps; i++) { /* in force after it */
        if (plan->last.steps[i].kind == TSN_STEP_SWAP) {
            memcpy(plan->program, plan->last.steps[i].program, sizeof plan->program);
        }
    }
    if (plan->meta.sequence >= plan->last.sequence) {
        return true;
    }
    if (!tsn_history_seek(session->history, expected, failure)) {
        return false;
    }
    plan->in_force.lenient = expected == 0; /* as in follow.c */
    for (uint64_t sequence = 0; sequence < plan->last.sequence;) {
        struct tsn_manifest manifest;
        int64_t timestamp_ms;
        bool end;
        if (!tsn_history_next(session->history, &manifest, &end, &timestamp_ms, failure)) {
            return false;
        }
        if (end) {
            return true;
        }
        plan->first_ms = plan->first ? plan->first_ms : timestamp_ms;
        plan->last_ms = timestamp_ms;
        if (!look_at_manifest(plan, &manifest, expected, failure)) {
            return false;
        }
        sequence = manifest.sequence;
        expected = sequence + 1;
    }
    return true;
}

/* ---- positions ----------------------------------------------------------------------------- */

static bool look_at_positions(struct plan *plan, size_t n_known, struct tsn_failure *failure)
{
    struct tsn_session *session = plan->session;
    size_t n = session->origins.n;
    size_t n_clipped = 0;
    uint64_t n_replay = 0;
    uint64_t n_waiting = 0;
    if (!tsn_fit_start(session, n_known, plan->positions, failure) ||
        !tsn_fit_positions(session, plan->positions, plan->meta.sequence == 0, &n_clipped,
                           failure)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const struct tsn_origin *origin = &session->origins.items[i];
        int64_t low, high;
        if (!tsn_kafka_watermarks(session->kafka, origin->topic, origin->partition, &low, &high,
                                  5000, failure)) {
            return false;
        }
        int64_t live = i < n_known ? plan->last.positions[i] : plan->positions[i];
        live = live < low ? low : live;
        char name[300];
        snprintf(name, sizeof name, "%.255s/%d", origin->topic, (int)origin->partition);
        say(plan, i ? "" : "positions",
            "%s: replay from %" PRId64 ", live from %" PRId64 "; held: %" PRId64 " to %" PRId64
            "%s",
            name, plan->positions[i], live, low, high, i < n_known ? "" : " (a new source)");
        n_replay += (uint64_t)(live - plan->positions[i]);
        n_waiting += high > live ? (uint64_t)(high - live) : 0;
    }
    if (plan->first) {
        say(plan, "replay",
            "manifests %" PRIu64 " to %" PRIu64 ", muted: at most %" PRIu64 " records, %" PRIu64
            " changes of program",
            plan->first, plan->last.sequence, n_replay, plan->n_swaps);
    } else {
        say(plan, "replay", "nothing");
    }
    say(plan, "waiting", "%" PRIu64 " records behind the newest manifest", n_waiting);
    if (!plan->last.sequence) {
        say(plan, "history", "begins at these positions");
    } else if (plan->meta.sequence) {
        say(plan, "history", "as whole as the checkpoint's");
    } else if (plan->first == 1 && !n_clipped) {
        say(plan, "history", "whole: rebuilt from the first manifest on");
    } else {
        say(plan, "history",
            "rebuilt from what Kafka holds; whole from %s%s: windows that reach further back read "
            "low",
            instant(plan->first_ms).text,
            n_clipped ? " or later (records of those manifests are deleted)" : "");
    }
    return true;
}

/* ---- the plan ------------------------------------------------------------------------------ */

static bool plan_first_start(struct plan *plan, struct tsn_failure *failure)
{
    struct tsn_session *session = plan->session;
    say(plan, "manifest", "none in topic %s: a first start", session->config->topics.manifest);
    if (!look_at_store(plan, UINT64_MAX, failure)) {
        return false;
    }
    if (plan->meta.sequence) {
        return tsn_fit_no_manifest(session, plan->meta.sequence, failure);
    }
    if (!tsn_origins_find(session->config, session->kafka, NULL, &session->arena, &session->origins,
                          failure)) {
        return false;
    }
    size_t n = session->origins.n;
    plan->positions = tsn_arena_zalloc(&session->arena, n ? n : 1, sizeof *plan->positions);
    say_program(plan, true);
    return look_at_positions(plan, 0, failure);
}

static bool plan_start(struct plan *plan, struct tsn_failure *failure)
{
    struct tsn_session *session = plan->session;
    bool found;
    if (!tsn_history_tail(session->history, &session->arena_tail, &plan->last, &found, failure)) {
        return false;
    }
    if (!found) {
        return plan_first_start(plan, failure);
    }
    say(plan, "manifest", "the newest is %" PRIu64 " of engine semantics %u, on cluster %s",
        plan->last.sequence, plan->last.semantics,
        plan->last.cluster_id ? plan->last.cluster_id : "unknown");
    if (!tsn_fit_cluster(session, &plan->last, failure) ||
        !tsn_origins_find(session->config, session->kafka, &plan->last, &session->arena,
                          &session->origins, failure)) {
        return false;
    }
    size_t n = session->origins.n;
    plan->positions = tsn_arena_zalloc(&session->arena, n ? n : 1, sizeof *plan->positions);
    if (!look_at_store(plan, plan->last.sequence, failure) || !look_at_manifests(plan, failure)) {
        return false;
    }
    say_program(plan, false);
    return look_at_positions(plan, plan->last.n_origins, failure);
}

bool tsn_session_dry(struct tsn_session *session, FILE *out, struct tsn_failure *failure)
{
    struct plan plan = {.session = session, .out = out};
    say(&plan, "instance", "%s on cluster %s", session->config->instance, session->cluster_id);
    tsn_in_force_init(&plan.in_force, session->config, session->keys);
    bool ok = plan_start(&plan, failure) && sources_fit(&plan, failure);
    tsn_in_force_free(&plan.in_force);
    if (ok) {
        say(&plan, "start", "would go live; nothing was changed");
    } else if (failure->remedy == TSN_REMEDY_CONFIG) {
        say(&plan, "start", "would be refused (exit 5): %s", failure->text);
    }
    return ok;
}
