/* The live loop: takes what is oldest, computes, publishes, checkpoints.
 *
 * It never waits for Kafka or Redis: the publisher commits interval k in its thread
 * while k + 1 is computed here, the store writes a checkpoint in its own. It sleeps
 * in one poll(2) on the reader, the publisher, the leader's seat and the signals.
 *
 * What always holds: a cut is as of where interval k closes, and is taken bit by bit
 * after that, between batches; it goes to the store only after k's commit was confirmed. So a
 * checkpoint is never ahead of a committed manifest.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connectors/run/clock.h"
#include "connectors/run/log.h"
#include "connectors/run/session.h"
#include "connectors/run/signals.h"
#include "rules/must/must.h"

enum {
    TICK_MS = 1000,
    WAIT_MAX_MS = 1000,
    STORE_WAIT_MS = 50,
    DRAIN_WAIT_MS = 20,
    CROWDED_MS = 1000, /* between checkpoints at least, if they are for the cap's sake */
    LET_GO = 4096,     /* entities looked at in a turn, if there are more than the cap */
    SPENT_MAX = 512,
    STALLED_MS = 2000,
    TROUBLE_MS = 1000,
    HOLD_MS = 30000,
    LAG_MS = 20, /* between looks at the ends of all partitions */
    /* Of a cut, after each batch: about a millisecond. */
    CUT_STEP_BYTES = 256 * 1024
};

enum cut_state { CUT_NONE, CUT_TAKING, CUT_TAKEN, CUT_WRITING };

struct live {
    struct tsn_session *session;
    struct tsn_machine *machine;
    struct tsn_interval intervals[2];
    struct tsn_interval *filling;
    uint8_t program[32]; /* in force before the filling interval's first step */
    bool committing;
    uint64_t committed_rows; /* processed when it closed */
    int64_t submitted_ms;
    int64_t last_tick_ms; /* wall clock */
    bool trouble;         /* a broker is away: nobody knows where the ends are */
    int64_t trouble_asked_ms;
    uint64_t lag; /* records in Kafka that were not read, as of lag_ms */
    int64_t lag_ms;
    int64_t held_since_ms; /* the seat is lost since then; 0: we sit */
    bool waits;            /* rows taken, whose entities the store does not give now */
    /* checkpoint */
    enum cut_state cut;
    bool cut_committed; /* the manifest that it is as of */
    bool cut_failed;    /* the last one was not written */
    struct tsn_checkpoint_meta meta;
    int64_t cut_ms;             /* when the last one was begun */
    int64_t checkpoint_done_ms; /* 0: never in this term */
    /* status */
    int64_t status_ms;
    uint64_t status_rows;
    uint64_t n_alerts, n_rejects;
    bool alert_said; /* the first one of this term */
    int64_t now_ms;
};

/* ---- output --------------------------------------------------------------------------------- */

static void on_alert(void *user, const struct tsn_wire *wire, const struct tsn_alert *alert)
{
    struct live *live = user;
    struct tsn_message message;
    tsn_wire_alert(wire, alert, &live->filling->arena, &message);
    tsn_interval_message(live->filling, &message, live->now_ms);
    live->filling->n_alerts++;
    live->n_alerts++;
}

static void on_rejected(void *user, const struct tsn_wire *wire,
                        const struct tsn_rejected *rejected)
{
    struct live *live = user;
    struct tsn_message message;
    tsn_wire_reject(wire, &rejected->record, &rejected->reject, rejected->key, rejected->key_len,
                    rejected->headers, rejected->n_headers, &live->filling->arena, &message);
    tsn_interval_message(live->filling, &message, live->now_ms);
    live->filling->n_rejects++;
    live->n_rejects++;
}

static void publish_bytes(struct live *live, const uint8_t hash[32], const char *bytes, size_t len)
{
    for (size_t i = 0; i < tsn_bundle_bytes_parts(len); i++) {
        struct tsn_message message;
        tsn_bundle_bytes_part(hash, bytes, len, i, live->session->config->topics.programs,
                              &live->filling->arena, &message);
        tsn_interval_message(live->filling, &message, live->now_ms);
    }
}

static void add_program(struct live *live)
{
    const struct tsn_bundle *bundle = live->machine->bundle;
    publish_bytes(live, bundle->prog->hash, bundle->bytes, bundle->len);
}

static void add_settings(struct live *live)
{
    const struct tsn_in_force *in_force = &live->machine->in_force;
    publish_bytes(live, in_force->digest, in_force->text, in_force->len);
}

/* ---- checkpoints ------------------------------------------------------------------------- */

/* A cut may be sent once it is committed, and is handed over when it is also complete. */
static void maybe_write(struct live *live)
{
    if (!live->cut_committed) {
        return;
    }
    if (live->cut == CUT_TAKING) {
        tsn_store_send(live->session->store, &live->meta);
    } else if (live->cut == CUT_TAKEN) {
        tsn_store_begin(live->session->store, &live->meta);
        live->cut = CUT_WRITING;
    }
}

/* Begins to cut the state as of manifest `sequence`: it stands exactly there now. */
static void cut(struct live *live, uint64_t sequence, bool committed)
{
    struct tsn_session *session = live->session;
    bool whole = tsn_store_wants_whole(session->store);
    if (whole && tsn_engine_counts(live->machine->eng).cold) {
        return; /* what is away is lost: the next turn says so */
    }
    memset(&live->meta, 0, sizeof live->meta);
    live->meta.sequence = sequence;
    live->meta.semantics = TSN_ENGINE_SEMANTICS;
    live->meta.whole = whole;
    live->meta.written_at_ms = tsn_clock_wall_ms();
    memcpy(live->meta.program, live->machine->bundle->prog->hash, 32);
    snprintf(live->meta.cluster_id, sizeof live->meta.cluster_id, "%s", session->cluster_id);
    tsn_snapshot_begin(live->machine->eng, live->meta.whole, tsn_store_collect, session->store);
    live->cut = CUT_TAKING;
    live->cut_committed = committed;
    live->cut_ms = live->now_ms;
    maybe_write(live);
}

/* More of a cut is to be taken, and the store has room for it. */
static bool may_cut(const struct live *live)
{
    return live->cut == CUT_TAKING && tsn_store_room(live->session->store, &live->meta);
}

/* Takes more of the cut under way, about so many bytes. */
static void cut_more(struct live *live, size_t bytes)
{
    if (may_cut(live) && tsn_snapshot_step(live->machine->eng, bytes)) {
        live->cut = CUT_TAKEN;
        maybe_write(live);
    }
}

/* Entities that changed stay in memory until a checkpoint has them: where they are more
 * than the cap again, it is written sooner; also where nothing is taken because the last
 * one failed (over_the_cap). */
static bool is_crowded(const struct live *live)
{
    uint64_t cap = live->session->resident.cap;
    return cap && live->now_ms - live->cut_ms >= CROWDED_MS &&
           tsn_engine_counts(live->machine->eng).entities > (live->cut_failed ? cap : 2 * cap);
}

static bool checkpoint_due(const struct live *live)
{
    return live->session->store && live->cut == CUT_NONE &&
           (live->now_ms - live->cut_ms >= live->session->config->checkpoint_ms ||
            is_crowded(live));
}

/* More entities are in memory than may be, and they cannot go: Redis takes nothing. */
static bool over_the_cap(const struct live *live)
{
    uint64_t cap = live->session->resident.cap;
    return cap && live->cut_failed && tsn_engine_counts(live->machine->eng).entities > cap;
}

static bool written(struct live *live, enum tsn_store_progress progress,
                    struct tsn_failure *failure)
{
    if (progress == TSN_STORE_DONE) {
        live->session->checkpoint_sequence = live->meta.sequence;
        live->checkpoint_done_ms = live->now_ms;
        live->cut = CUT_NONE;
        live->cut_failed = false;
        tsn_engine_saved(live->machine->eng);
    } else if (progress == TSN_STORE_FAILED) {
        live->cut = CUT_NONE;
        live->cut_failed = true;
        if (failure->remedy == TSN_REMEDY_STAND_BY) {
            return false;
        }
        tsn_log("no checkpoint: %s; the engine %s", failure->text,
                over_the_cap(live) ? "takes no more events until one is written"
                                   : "goes on from memory and tries again");
    }
    return true;
}

static bool serve_store(struct live *live, struct tsn_failure *failure)
{
    if (live->cut != CUT_WRITING) {
        return true;
    }
    return written(live, tsn_store_poll(live->session->store, failure), failure);
}

/* While nothing happens the newest commit is what the state is: cut that. */
static void checkpoint_idle(struct live *live)
{
    const struct tsn_session *session = live->session;
    if (session->store && live->cut == CUT_NONE && !live->committing &&
        live->filling->n_steps == 0 && session->sequence > session->checkpoint_sequence) {
        cut(live, session->sequence, true);
    }
}

/* ---- publishing -------------------------------------------------------------------------- */

/* Closes the filling interval and hands it to the publisher, which is idle. */
static void close_interval(struct live *live, bool with_cut)
{
    struct tsn_session *session = live->session;
    size_t n = session->origins.n;
    tsn_machine_process(live->machine);
    struct tsn_interval *closed = live->filling;
    struct tsn_manifest manifest = {
        .semantics = TSN_ENGINE_SEMANTICS,
        .cluster_id = session->cluster_id,
        .n_origins = n,
        .origins = session->origins.items,
        .partitions = session->origins.partitions,
    };
    memcpy(manifest.program, live->program, sizeof manifest.program);
    memcpy(manifest.settings, live->machine->in_force.digest, sizeof manifest.settings);
    int64_t *positions = tsn_arena_zalloc(&closed->arena, n ? n : 1, sizeof *positions);
    for (size_t i = 0; i < n; i++) {
        positions[i] = tsn_feed_position(live->machine->feed, i);
    }
    tsn_interval_seal(closed, &manifest, positions, session->config->topics.manifest);
    if (with_cut) {
        cut(live, closed->sequence, false);
    }
    tsn_publisher_submit(session->publisher, &closed->publication);
    live->committing = true;
    live->committed_rows = live->machine->n_rows;
    live->submitted_ms = live->now_ms;
    live->filling = closed == &live->intervals[0] ? &live->intervals[1] : &live->intervals[0];
    tsn_interval_begin(live->filling, closed->sequence + 1);
    memcpy(live->program, live->machine->bundle->prog->hash, sizeof live->program);
}

/* How long people waited for the first warning after a start or a takeover. */
static void say_first_alert(struct live *live)
{
    const struct tsn_interval *done =
        live->filling == &live->intervals[0] ? &live->intervals[1] : &live->intervals[0];
    if (live->alert_said || !done->n_alerts) {
        return;
    }
    live->alert_said = true;
    tsn_stages_mark(&live->session->stages, "first alert");
    tsn_session_say_stages(live->session, "first alert of this term committed");
}

static bool confirmed(struct live *live, enum tsn_publishing state)
{
    if (state == TSN_PUBLISHING_DONE) {
        live->committing = false;
        const struct tsn_run_options *options = live->session->options;
        live->session->sequence = live->filling->sequence - 1;
        if (options->committed) {
            options->committed(options->user, live->session->sequence, live->committed_rows);
        }
        live->cut_committed = true;
        maybe_write(live);
        say_first_alert(live);
    }
    return state != TSN_PUBLISHING_FAILED;
}

static bool serve_publisher(struct live *live, struct tsn_failure *failure)
{
    return !live->committing ||
           confirmed(live, tsn_publisher_poll(live->session->publisher, failure));
}

static struct tsn_interval_pace pace(const struct live *live)
{
    const struct tsn_config *config = live->session->config;
    return (struct tsn_interval_pace){.busy_ms = config->kafka.commit_busy_ms,
                                      .behind_ms = config->kafka.commit_behind_ms,
                                      .idle_ms = config->kafka.commit_idle_ms};
}

static void look_at_lag(struct live *live)
{
    live->lag = tsn_feed_lag(live->machine->feed);
    live->lag_ms = live->now_ms;
}

static bool close_due(struct live *live)
{
    if (live->now_ms - live->lag_ms >= LAG_MS) {
        look_at_lag(live);
    }
    struct tsn_interval_pace at = pace(live);
    return !live->committing && tsn_interval_due(live->filling, &at, live->lag, live->now_ms);
}

/* ---- steps ------------------------------------------------------------------------------- */

static void maybe_tick(struct live *live)
{
    int64_t wall_ms = tsn_clock_wall_ms();
    bool stalled = live->committing && live->now_ms - live->submitted_ms > STALLED_MS;
    if (live->trouble || stalled || wall_ms < live->last_tick_ms + TICK_MS) {
        return;
    }
    live->last_tick_ms = wall_ms;
    if (tsn_machine_tick(live->machine, wall_ms)) {
        tsn_interval_tick(live->filling, wall_ms, live->now_ms);
    }
}

/* Takes runs until a batch is full or nothing may be taken. *wake_ms: when that
 * changes by itself; 0: at once. *idle: every partition stands at its end. */
static bool choose_steps(struct live *live, int64_t *wake_ms, bool *idle,
                         struct tsn_failure *failure)
{
    struct tsn_machine *machine = live->machine;
    const struct tsn_config *config = live->session->config;
    if (!tsn_feed_fill(machine->feed, live->now_ms, failure)) {
        return false;
    }
    while (machine->batch->n < machine->batch->cap && tsn_feed_spent(machine->feed) < SPENT_MAX &&
           !tsn_interval_full(live->filling)) {
        struct tsn_merge_choice choice = tsn_merge_choose(
            tsn_feed_merge(machine->feed), config->kafka.merge_slack_ms, live->now_ms);
        if (choice.verdict != TSN_MERGE_RUN) {
            *wake_ms = choice.wake_ms;
            *idle = choice.verdict == TSN_MERGE_IDLE;
            return true;
        }
        int64_t first = tsn_feed_position(machine->feed, choice.lane);
        int64_t end = tsn_machine_take(machine, choice.lane, choice.until_ms, INT64_MAX);
        tsn_interval_run(live->filling, (uint16_t)choice.lane, first, end, live->now_ms);
        if (!tsn_feed_fill_lane(machine->feed, choice.lane, live->now_ms, failure)) {
            return false;
        }
    }
    return true;
}

/* Gives the taken rows to the engine. They wait while the store does not give their
 * entities, and nothing more is taken meanwhile. */
static bool process(struct live *live, int64_t *wake_ms, struct tsn_failure *failure)
{
    enum tsn_residence residence = tsn_machine_bring(live->machine, live->now_ms, failure);
    live->waits = residence == TSN_RESIDENCE_AWAY;
    if (live->waits) {
        *wake_ms = live->session->resident.retry_ms;
    } else if (residence == TSN_RESIDENCE_WHOLE) {
        tsn_machine_process(live->machine);
    }
    return residence != TSN_RESIDENCE_LOST;
}

static bool take_steps(struct live *live, int64_t *wake_ms, struct tsn_failure *failure)
{
    bool idle = false;
    *wake_ms = 0;
    if (!live->waits && over_the_cap(live)) {
        *wake_ms = live->now_ms + STORE_WAIT_MS;
        return true;
    }
    if (!live->waits && !choose_steps(live, wake_ms, &idle, failure)) {
        return false;
    }
    if (!process(live, wake_ms, failure)) {
        return false;
    }
    if (idle && !live->waits) {
        maybe_tick(live);
    }
    return true;
}

/* ---- status -------------------------------------------------------------------- */

static void status(struct live *live)
{
    int64_t every_ms = live->session->options->status_ms;
    int64_t passed_ms = live->now_ms - live->status_ms;
    if (!every_ms || passed_ms < every_ms) {
        return;
    }
    uint64_t n = live->machine->n_rows - live->status_rows;
    char checkpoint[64] = "none (state: memory)";
    if (live->session->store) {
        snprintf(checkpoint, sizeof checkpoint,
                 live->checkpoint_done_ms ? "%" PRId64 " s old" : "none yet in this term",
                 (live->now_ms - live->checkpoint_done_ms) / 1000);
    }
    char entities[160] = "";
    char hot[112] = "";
    struct tsn_engine_counts counts = tsn_engine_counts(live->machine->eng);
    if (counts.coalesced) {
        snprintf(hot, sizeof hot,
                 ", %" PRIu64 " rows of hot keys coalesced, %" PRIu64 " values approximate",
                 counts.coalesced, counts.approximate);
    }
    if (live->session->resident.cap) {
        snprintf(entities, sizeof entities,
                 ", %" PRIu64 " entities in memory and %" PRIu64 " in redis alone, %" PRIu64
                 " fetched, %" PRIu64 " let go of%s",
                 counts.entities, counts.cold, counts.fetched, counts.evicted,
                 live->waits || over_the_cap(live) ? ", waiting for redis" : "");
    }
    char why[256];
    tsn_publisher_trouble(live->session->publisher, why, sizeof why);
    tsn_log("%" PRIu64 " events/s, lag %" PRIu64 ", %" PRIu64 " events, %" PRIu64
            " alerts, %" PRIu64 " rejects, manifest %" PRIu64 ", checkpoint %s%s%s%s%s",
            n * 1000 / (uint64_t)passed_ms, tsn_feed_lag(live->machine->feed),
            live->machine->n_rows, live->n_alerts, live->n_rejects, live->session->sequence,
            checkpoint, hot, entities, why[0] ? "; trouble: " : "", why);
    live->status_ms = live->now_ms;
    live->status_rows = live->machine->n_rows;
}

static void ask_trouble(struct live *live)
{
    if (live->now_ms - live->trouble_asked_ms < TROUBLE_MS) {
        return;
    }
    struct tsn_failure why;
    bool trouble = tsn_reader_trouble(tsn_feed_reader(live->machine->feed), &why);
    live->trouble_asked_ms = live->now_ms;
    if (trouble && !live->trouble) {
        tsn_log("%s; waiting for it", why.text);
    }
    live->trouble = trouble;
}

/* ---- the loop ---------------------------------------------------------------------------- */

/* Whatever is new of the seat, the next turn asks for it (hold): what is not read here
 * would end every sleep from now on. */
static void read_seat(const struct live *live)
{
    uint64_t count;
    if (read(tsn_leader_fd(live->session->leader), &count, sizeof count) < 0) {
        count = 0;
    }
}

static void sleep_until(struct live *live, int64_t wake_ms)
{
    int64_t until_ms =
        live->now_ms +
        (live->cut == CUT_WRITING || live->cut == CUT_TAKING ? STORE_WAIT_MS : WAIT_MAX_MS);
    until_ms = wake_ms < until_ms ? wake_ms : until_ms;
    if (!live->committing) {
        struct tsn_interval_pace at = pace(live);
        look_at_lag(live); /* what it was a moment ago must not be slept on */
        int64_t due_ms = tsn_interval_due_ms(live->filling, &at, live->lag);
        until_ms = due_ms < until_ms ? due_ms : until_ms;
    }
    int64_t wait_ms = until_ms - tsn_clock_monotonic_ms();
    if (wait_ms <= 0) {
        return;
    }
    struct pollfd fds[] = {
        {.fd = tsn_reader_fd(tsn_feed_reader(live->machine->feed)), .events = POLLIN},
        {.fd = tsn_publisher_fd(live->session->publisher), .events = POLLIN},
        {.fd = tsn_signals_fd(), .events = POLLIN},
        {.fd = tsn_leader_fd(live->session->leader), .events = POLLIN},
    };
    poll(fds, sizeof fds / sizeof fds[0], (int)wait_ms);
    if (fds[3].revents & POLLIN) {
        read_seat(live);
    }
}

/* The interval is as full as it may be and the one before still commits: wait. */
static void sleep_for_publisher(struct live *live)
{
    struct pollfd fds[] = {
        {.fd = tsn_publisher_fd(live->session->publisher), .events = POLLIN},
        {.fd = tsn_signals_fd(), .events = POLLIN},
    };
    poll(fds, sizeof fds / sizeof fds[0], STORE_WAIT_MS);
}

/* The seat is lost: a broker restarted, or this process was stopped for a while.
 * Nothing new is begun, but the state is kept: if the seat comes back and nobody led
 * meanwhile, nothing has changed; if somebody did, his initialising has fenced our
 * producer and the next commit says so. *holding: leave this turn. */
static bool hold(struct live *live, bool *holding, struct tsn_failure *failure)
{
    *holding = !tsn_leader_is(live->session->leader);
    if (!*holding) {
        if (live->held_since_ms) {
            tsn_log("the leader's seat is back: going on");
        }
        live->held_since_ms = 0;
        return true;
    }
    if (!live->held_since_ms) {
        tsn_log("the leader's seat is lost: publishing nothing until it is back");
        live->held_since_ms = live->now_ms;
    }
    if (live->now_ms - live->held_since_ms > HOLD_MS) {
        return tsn_fail(failure, TSN_REMEDY_STAND_BY, "leadership was lost");
    }
    read_seat(live);
    struct pollfd fds[] = {
        {.fd = tsn_publisher_fd(live->session->publisher), .events = POLLIN},
        {.fd = tsn_leader_fd(live->session->leader), .events = POLLIN},
        {.fd = tsn_signals_fd(), .events = POLLIN},
    };
    poll(fds, sizeof fds / sizeof fds[0], WAIT_MAX_MS);
    return true;
}

static bool turn(struct live *live, struct tsn_failure *failure)
{
    live->now_ms = tsn_clock_monotonic_ms();
    if (!serve_publisher(live, failure) || !serve_store(live, failure)) {
        return false;
    }
    ask_trouble(live);
    status(live);
    if (live->session->resident.cap &&
        !tsn_resident_sound(&live->session->resident, live->machine->eng, failure)) {
        return false;
    }
    bool holding;
    if (!hold(live, &holding, failure)) {
        return false;
    }
    if (holding) {
        return true;
    }
    if (live->committing && tsn_interval_full(live->filling)) {
        if (may_cut(live)) {
            cut_more(live, CUT_STEP_BYTES);
        } else {
            sleep_for_publisher(live);
        }
        return true;
    }
    int64_t wake_ms;
    if (!take_steps(live, &wake_ms, failure)) {
        return false;
    }
    if (live->waits) { /* its steps are noted, and not computed */
        cut_more(live, CUT_STEP_BYTES);
        sleep_until(live, wake_ms);
        return true;
    }
    tsn_engine_let_go(live->machine->eng, LET_GO);
    if (close_due(live)) {
        close_interval(live, checkpoint_due(live));
    } else if (checkpoint_due(live)) {
        checkpoint_idle(live);
    }
    cut_more(live, CUT_STEP_BYTES);
    if (wake_ms && !may_cut(live)) {
        sleep_until(live, wake_ms);
    }
    return true;
}

/* ---- begin and end ----------------------------------------------------------------------- */

static bool begin(struct live *live, struct tsn_failure *failure)
{
    struct tsn_session *session = live->session;
    for (int i = 0; i < 2; i++) {
        tsn_interval_init(&live->intervals[i], session->cluster_id, session->origins.items,
                          session->origins.n);
    }
    live->filling = &live->intervals[0];
    tsn_interval_begin(live->filling, session->sequence + 1);
    live->now_ms = tsn_clock_monotonic_ms();
    live->status_ms = live->now_ms;
    live->status_rows = live->machine->n_rows;
    live->cut_ms = live->now_ms;
    memcpy(live->program, live->machine->bundle->prog->hash, sizeof live->program);
    if (session->next) {
        struct tsn_bundle *bundle = session->next;
        session->next = NULL;
        tsn_log("the pack has changed since manifest %" PRIu64 ": putting the configured one in "
                "force",
                session->sequence);
        tsn_interval_swap(live->filling, bundle->prog->hash, live->now_ms);
        if (!tsn_machine_swap(live->machine, bundle, failure)) {
            return false;
        }
        session->announce = true;
    }
    if (session->config->kafka.send_offsets) {
        tsn_publisher_set_reader(session->publisher, tsn_feed_reader(live->machine->feed));
    }
    if (session->announce) {
        add_program(live);
    }
    if (session->announce_settings) {
        add_settings(live);
    }
    if (session->announce || session->announce_settings) {
        close_interval(live, false);
    }
    return true;
}

static int64_t left(int64_t until_ms)
{
    int64_t left_ms = until_ms - tsn_clock_monotonic_ms();
    return left_ms > 0 ? left_ms : 0;
}

static bool await_commit(struct live *live, int64_t until_ms, struct tsn_failure *failure)
{
    while (live->committing) {
        int64_t wait_ms = left(until_ms);
        if (!wait_ms) {
            char why[256];
            tsn_publisher_trouble(live->session->publisher, why, sizeof why);
            return tsn_fail(failure, TSN_REMEDY_FATAL,
                            "the last transaction was not committed within stop_timeout%s%s; "
                            "nothing is lost, the next start publishes it",
                            why[0] ? ": " : "", why);
        }
        if (!confirmed(live, tsn_publisher_wait(live->session->publisher, (int)wait_ms, failure))) {
            return false;
        }
    }
    return true;
}

/* The rest of a cut, as fast as the store takes it. */
static void finish_cut(struct live *live, int64_t until_ms)
{
    while (live->cut == CUT_TAKING && left(until_ms)) {
        if (may_cut(live)) {
            cut_more(live, CUT_STEP_BYTES);
        } else {
            poll(NULL, 0, DRAIN_WAIT_MS);
        }
    }
}

static bool await_store(struct live *live, int64_t until_ms, struct tsn_failure *failure)
{
    finish_cut(live, until_ms);
    while (live->cut == CUT_WRITING || live->cut == CUT_TAKING) {
        int64_t wait_ms = left(until_ms);
        if (!wait_ms) {
            tsn_log("the checkpoint was not written within stop_timeout; the next start replays "
                    "from the one before");
            return true;
        }
        if (!written(live, tsn_store_wait(live->session->store, wait_ms, failure), failure)) {
            return false;
        }
    }
    return true;
}

/* What was taken is computed, too, if the store gives its entities in time. */
static bool drain_rows(struct live *live, int64_t until_ms, struct tsn_failure *failure)
{
    int64_t wake_ms;
    do {
        live->now_ms = tsn_clock_monotonic_ms();
        if (!process(live, &wake_ms, failure)) {
            return false;
        }
        if (live->waits) {
            live->session->resident.retry_ms = 0;
            poll(NULL, 0, DRAIN_WAIT_MS);
        }
    } while (live->waits && left(until_ms));
    if (live->waits) {
        tsn_log("redis did not answer within stop_timeout: the events taken last are read again "
                "by the next start");
    }
    return true;
}

/* Publishes what was computed, writes a checkpoint of it. */
static bool drain(struct live *live, struct tsn_failure *failure)
{
    int64_t until_ms = tsn_clock_monotonic_ms() + live->session->config->stop_timeout_ms;
    tsn_log("stopping: committing and writing a checkpoint");
    if (!drain_rows(live, until_ms, failure) || !await_commit(live, until_ms, failure)) {
        return false;
    }
    if (!live->waits && (live->filling->n_steps || live->filling->n_messages)) {
        bool with_cut = live->session->store && live->cut == CUT_NONE;
        close_interval(live, with_cut);
        if (!await_commit(live, until_ms, failure)) {
            return false;
        }
    }
    if (!await_store(live, until_ms, failure)) {
        return false;
    }
    live->now_ms = tsn_clock_monotonic_ms();
    checkpoint_idle(live);
    return await_store(live, until_ms, failure);
}

bool tsn_session_live(struct tsn_session *session, struct tsn_failure *failure)
{
    struct live live = {.session = session, .machine = session->machine};
    struct tsn_visitor visitor = {.user = &live, .alert = on_alert, .rejected = on_rejected};
    live.machine->visitor = &visitor;
    bool ok = begin(&live, failure);
    if (ok) {
        char what[64];
        tsn_stages_mark(&session->stages, "going live");
        snprintf(what, sizeof what, "live at manifest %" PRIu64 ",", session->sequence);
        tsn_session_say_stages(session, what);
    }
    while (ok && !tsn_signals_stop()) {
        ok = turn(&live, failure);
    }
    ok = ok && drain(&live, failure);
    if (ok) {
        tsn_log("stopped at manifest %" PRIu64 ", checkpoint of manifest %" PRIu64 ": %" PRIu64
                " events, %" PRIu64 " alerts, %" PRIu64 " rejects in this term",
                session->sequence, session->checkpoint_sequence, live.machine->n_rows,
                live.n_alerts, live.n_rejects);
    }
    live.machine->visitor = NULL;
    /* The publisher may still read the intervals: it ends before they do. */
    bool ended = tsn_publisher_close(session->publisher, 3000);
    session->publisher = NULL;
    for (int i = 0; i < 2 && ended; i++) {
        tsn_interval_free(&live.intervals[i]);
    }
    return ok;
}
