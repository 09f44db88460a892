/* Following: from nothing to the newest committed manifest, and on with each that
 * comes, muted.
 *
 * Checkpoint, then the manifests after it; no transaction is open (a long replay would
 * time it out) and nothing is written anywhere: whoever follows may do so beside the
 * leader, and may be killed at any moment. What cannot be replayed is refused with the
 * remedy, never skipped in silence; the exception is a start without any checkpoint,
 * which begins with the oldest data that Kafka holds and says from when history is
 * whole. (The alternative, a replay only once the seat is had, makes a takeover as
 * long as the state is large.)
 *
 * Cost: that of the leader's engine, without output.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "connectors/run/clock.h"
#include "connectors/run/fit.h"
#include "connectors/run/log.h"
#include "connectors/run/session.h"
#include "connectors/run/signals.h"
#include "rules/must/must.h"

enum { PROGRESS_MS = 3000, LOOK_MS = 500, WAIT_MS = 1000 };

/* ---- programs -------------------------------------------------------------------------------- */

/* The configured one is compiled again rather than handed over: a replay may change
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

bool tsn_session_machine(struct tsn_session *session, const uint8_t hash[32],
                         struct tsn_failure *failure)
{
    struct tsn_bundle *bundle = program_of(session, hash, failure);
    if (!bundle) {
        return false;
    }
    session->machine = tsn_machine_new(session->config, session->keys, bundle,
                                       session->origins.items, session->origins.n);
    if (session->resident.cap) {
        session->machine->resident = &session->resident;
        tsn_engine_cap(session->machine->eng, session->resident.cap);
    }
    return true;
}

/* ---- checkpoint ------------------------------------------------------------------------------ */

static void drop_machine(struct tsn_session *session)
{
    tsn_machine_free(session->machine);
    session->machine = NULL;
}

static void on_loading(void *user, unsigned percent, uint64_t records, uint64_t bytes)
{
    struct tsn_session *session = user;
    int64_t now_ms = tsn_clock_monotonic_ms();
    if (now_ms > session->said_ms + PROGRESS_MS) {
        tsn_log("loading the checkpoint: %u %%, %" PRIu64 " records, %" PRIu64 " MB so far",
                percent, records, bytes >> 20);
        session->said_ms = now_ms;
    }
}

static bool fill_machine(struct tsn_session *session, struct tsn_checkpoint_meta *meta,
                         struct tsn_failure *failure)
{
    int64_t begun_ms = tsn_clock_monotonic_ms();
    uint8_t program[32];
    memcpy(program, meta->program, sizeof program);
    if (!tsn_session_machine(session, program, failure)) {
        return false;
    }
    session->said_ms = begun_ms;
    tsn_store_watch(session->store, on_loading, session);
    struct tsn_engine *eng = session->machine->eng;
    bool loaded = session->resident.cap ? tsn_resident_load(&session->resident, eng, meta, failure)
                                        : tsn_store_load(session->store, eng, meta, failure);
    tsn_store_watch(session->store, NULL, NULL);
    if (!loaded) {
        drop_machine(session);
        return false;
    }
    if (memcmp(program, meta->program, sizeof program) != 0) {
        drop_machine(session);
        return tsn_fail(failure, TSN_REMEDY_RETRY,
                        "redis: the leader put another program in force while its checkpoint "
                        "was loaded");
    }
    session->checkpoint_sequence = session->replayed = meta->sequence;
    tsn_log("loaded the checkpoint of manifest %" PRIu64 " in %" PRId64 " ms", meta->sequence,
            tsn_clock_monotonic_ms() - begun_ms);
    return true;
}

/* Loads the newest checkpoint into a new machine; without one session->machine stays
 * NULL. */
static bool load_checkpoint(struct tsn_session *session, uint64_t newest,
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
    if (!tsn_fit_checkpoint(session, &meta, newest, failure)) {
        return false;
    }
    if (fill_machine(session, &meta, failure)) {
        /* It may be a newer one than was asked about. */
        return tsn_fit_checkpoint(session, &meta, newest, failure);
    }
    if (failure->remedy != TSN_REMEDY_CONFIG) {
        return false;
    }
    tsn_log("the checkpoint cannot be used: %s: rebuilding from Kafka", failure->text);
    return true;
}

bool tsn_session_load(struct tsn_session *session, const struct tsn_manifest *last,
                      struct tsn_failure *failure)
{
    if (!tsn_fit_cluster(session, last, failure) ||
        !tsn_origins_find(session->config, session->kafka, last, &session->arena, &session->origins,
                          failure) ||
        !load_checkpoint(session, last->sequence, failure)) {
        return false;
    }
    tsn_stages_mark(&session->stages, "checkpoint");
    if (!session->replayed) {
        tsn_log("rebuilding the state from the oldest manifest and data that Kafka holds");
    }
    session->target = last->sequence;
    if (session->replayed == last->sequence) {
        session->replayed_ms = tsn_history_tail_ms(session->history);
    }
    session->loaded =
        tsn_history_seek(session->history, session->replayed ? session->replayed + 1 : 0, failure);
    return session->loaded;
}

/* ---- what is told ---------------------------------------------------------------------------- */

void tsn_session_say_stages(const struct tsn_session *session, const char *what)
{
    char silent[64] = "";
    char text[TSN_STAGES_TEXT_MAX];
    if (session->replayed_ms) {
        snprintf(silent, sizeof silent, " (%.1f s after the last manifest before it)",
                 (double)(tsn_clock_wall_ms() - session->replayed_ms) / 1000);
    }
    tsn_stages_text(&session->stages, text);
    tsn_log("%s %" PRId64 " ms after %s%s: %s", what, tsn_stages_total_ms(&session->stages),
            session->took_over ? "the seat was ours" : "the start", session->leading ? silent : "",
            text);
}

/* ---- replay ---------------------------------------------------------------------------------- */

static void say_whole_from(struct tsn_session *session)
{
    int64_t from_ms = session->whole_from_ms;
    if (!from_ms && !session->n_clipped) {
        tsn_log("state was rebuilt from the first manifest on: history is whole");
        return;
    }
    for (size_t i = 0; session->n_clipped && i < session->origins.n_known; i++) {
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

static void say_replay(struct tsn_session *session)
{
    tsn_log("replayed manifests %" PRIu64 " to %" PRIu64 " (%" PRIu64 " events) in %" PRId64
            " ms, muted",
            session->replay_first, session->replayed, session->machine->n_rows,
            tsn_clock_monotonic_ms() - session->stages.last_ms);
    if (!session->checkpoint_sequence) {
        say_whole_from(session);
    }
    tsn_stages_mark(&session->stages, "replay");
}

/* Once, when a replay has reached what was committed when it began. */
static void say_replayed(struct tsn_session *session)
{
    if (session->caught_up) {
        return;
    }
    session->caught_up = true;
    if (session->replay_first) {
        say_replay(session);
    }
    if (!session->leading) {
        char what[96];
        snprintf(what, sizeof what, "caught up with manifest %" PRIu64 ", waiting for the seat,",
                 session->replayed);
        tsn_session_say_stages(session, what);
    }
}

/* Opens the feed where `first`, the first manifest to be replayed, begins. */
static bool feed_before(struct tsn_session *session, const struct tsn_manifest *first,
                        int64_t first_ms, struct tsn_failure *failure)
{
    bool rebuilding = session->checkpoint_sequence == 0;
    size_t n = session->origins.n;
    if (!session->machine && !tsn_session_machine(session, first->program, failure)) {
        return false;
    }
    session->replay_first = first->sequence;
    session->whole_from_ms = first->sequence > 1 ? first_ms : 0;
    int64_t *positions = tsn_arena_zalloc(&session->arena, n ? n : 1, sizeof *positions);
    return tsn_fit_start(session, first->n_origins, positions, failure) &&
           (tsn_origins_before(first, positions), true) &&
           tsn_fit_positions(session, positions, rebuilding, &session->n_clipped, failure) &&
           tsn_machine_feed(session->machine, positions, failure);
}

struct watch {
    struct tsn_session *session;
    uint64_t sequence;          /* under way */
    struct tsn_failure failure; /* why it should stop */
};

static bool go_on(void *user)
{
    struct watch *watch = user;
    struct tsn_session *session = watch->session;
    int64_t now_ms = tsn_clock_monotonic_ms();
    if (now_ms > session->said_ms + PROGRESS_MS) {
        tsn_log("replaying manifest %" PRIu64 " of %" PRIu64 ", %" PRIu64 " events so far",
                watch->sequence, session->target, session->machine->n_rows);
        session->said_ms = now_ms;
    }
    return !tsn_session_interrupted(session, &watch->failure);
}

static bool play(struct tsn_session *session, const struct tsn_manifest *manifest,
                 int64_t timestamp_ms, struct tsn_failure *failure)
{
    if (session->replayed && manifest->sequence != session->replayed + 1) {
        return tsn_fail(failure, TSN_REMEDY_CONFIG,
                        "topic %s: manifest %" PRIu64 " follows where %" PRIu64 " was "
                        "expected: records of this topic were deleted; give it "
                        "retention.ms=-1. To rebuild from what Kafka holds, remove the "
                        "checkpoint (another Redis database)",
                        session->config->topics.manifest, manifest->sequence,
                        session->replayed + 1);
    }
    if (!tsn_fit_origins(session, manifest, failure)) {
        return false;
    }
    if ((!session->machine || !session->machine->feed) &&
        !feed_before(session, manifest, timestamp_ms, failure)) {
        return false;
    }
    struct watch watch = {.session = session, .sequence = manifest->sequence};
    struct tsn_visitor visitor = {.user = &watch, .go_on = go_on};
    session->machine->visitor = &visitor;
    /* A rebuild has no other way: what was said then stays said, and the log tells. */
    session->machine->in_force.lenient = session->checkpoint_sequence == 0;
    bool ok = tsn_machine_play(session->machine, manifest, session->kafka, failure);
    session->machine->visitor = NULL;
    if (ok) {
        session->replayed = manifest->sequence;
        session->replayed_ms = timestamp_ms;
        session->target =
            session->target > manifest->sequence ? session->target : manifest->sequence;
    } else if (watch.failure.text[0]) {
        *failure = watch.failure;
    }
    return ok;
}

bool tsn_session_replay(struct tsn_session *session, uint64_t last, struct tsn_failure *failure)
{
    session->target = last;
    session->said_ms = tsn_clock_monotonic_ms();
    while (session->replayed < last) {
        struct tsn_manifest manifest;
        int64_t timestamp_ms;
        bool end;
        if (!tsn_history_next(session->history, &manifest, &end, &timestamp_ms, failure)) {
            return false;
        }
        /* An end may have been said before the last transaction was decided. */
        if (!end && !play(session, &manifest, timestamp_ms, failure)) {
            return false;
        }
        if (end && tsn_session_interrupted(session, failure)) {
            return false;
        }
    }
    say_replayed(session);
    return true;
}

/* ---- following ------------------------------------------------------------------------------- */

struct following {
    struct tsn_session *session;
    int64_t look_ms;   /* when to look for a first manifest again */
    int64_t status_ms; /* of the last status line */
};

/* Looks for a first manifest, and begins with it. */
static bool look(struct following *following, struct tsn_failure *failure)
{
    struct tsn_session *session = following->session;
    struct tsn_manifest last;
    bool found;
    int64_t now_ms = tsn_clock_monotonic_ms();
    if (now_ms < following->look_ms) {
        return true;
    }
    following->look_ms = now_ms + LOOK_MS;
    struct tsn_arena arena;
    tsn_arena_init(&arena, 0);
    bool ok = tsn_history_tail(session->history, &arena, &last, &found, failure) &&
              (!found || tsn_session_load(session, &last, failure));
    tsn_arena_free(&arena);
    return ok;
}

/* Replays what has come, until nothing more is there or the seat is ours. */
static bool step(struct following *following, struct tsn_failure *failure)
{
    struct tsn_session *session = following->session;
    bool found = true;
    while (found && !tsn_leader_is(session->leader)) {
        struct tsn_manifest manifest;
        int64_t timestamp_ms;
        if (tsn_signals_stop()) {
            return tsn_fail(failure, TSN_REMEDY_NONE, "stopped");
        }
        if (!tsn_history_try(session->history, &manifest, &found, &timestamp_ms, failure) ||
            (found && !play(session, &manifest, timestamp_ms, failure))) {
            return false;
        }
        if (session->replayed >= session->target) {
            say_replayed(session);
        }
    }
    return true;
}

static void status(struct following *following)
{
    struct tsn_session *session = following->session;
    int64_t every_ms = session->options->status_ms;
    int64_t now_ms = tsn_clock_monotonic_ms();
    if (!every_ms || now_ms - following->status_ms < every_ms) {
        return;
    }
    following->status_ms = now_ms;
    if (session->resident.cap) {
        tsn_log("standing by: another instance leads, or the session of one that died has not "
                "expired yet; with engine.max_resident the state is restored once the seat is "
                "ours");
        return;
    }
    if (!session->loaded) {
        tsn_log("standing by: another instance leads, or the session of one that died has not "
                "expired yet; no manifest is committed so far");
        return;
    }
    uint64_t n_behind = tsn_history_behind(session->history);
    int64_t newest_ms = session->replayed_ms ? session->replayed_ms : tsn_clock_wall_ms();
    int64_t behind_ms = n_behind ? tsn_clock_wall_ms() - newest_ms : 0;
    tsn_log("standing by at manifest %" PRIu64 ": %" PRIu64 " manifests and %.1f s behind whoever "
            "leads, %" PRIu64 " records before the end of the topics; %" PRIu64 " events replayed",
            session->replayed, n_behind, (double)(behind_ms > 0 ? behind_ms : 0) / 1000,
            session->machine && session->machine->feed ? tsn_feed_lag(session->machine->feed) : 0,
            session->machine ? session->machine->n_rows : 0);
}

static void await_news(const struct following *following)
{
    const struct tsn_session *session = following->session;
    int64_t wait_ms = session->loaded ? WAIT_MS : LOOK_MS;
    struct pollfd fds[] = {
        {.fd = tsn_leader_fd(session->leader), .events = POLLIN},
        {.fd = tsn_signals_fd(), .events = POLLIN},
        {.fd = session->loaded ? tsn_history_fd(session->history) : -1, .events = POLLIN},
    };
    poll(fds, sizeof fds / sizeof fds[0], (int)wait_ms);
    uint64_t count;
    if ((fds[0].revents & POLLIN) &&
        read(tsn_leader_fd(session->leader), &count, sizeof count) < 0) {
        count = 0; /* somebody was quicker; tsn_leader_is has the answer */
    }
}

bool tsn_session_follow(struct tsn_session *session, struct tsn_failure *failure)
{
    struct following following = {.session = session, .status_ms = tsn_clock_monotonic_ms()};
    session->said_ms = following.status_ms;
    while (!tsn_leader_is(session->leader)) {
        if (tsn_signals_stop()) {
            return tsn_fail(failure, TSN_REMEDY_NONE, "stopped");
        }
        bool waits = session->resident.cap > 0;
        session->waited |= waits;
        if (!waits && !(session->loaded ? step(&following, failure) : look(&following, failure))) {
            return false;
        }
        status(&following);
        if (!tsn_leader_is(session->leader)) {
            await_news(&following);
        }
    }
    return true;
}
