/* `tocsin run`: waits for its servers, follows until it is its turn to lead, leads.
 *
 * A term ends by a stop, by being fenced or losing the seat (drop everything, follow
 * from the newest checkpoint) or by a failure whose remedy says what then. The first start gives up
 * on absent servers after start_timeout; an engine that has been live once never
 * gives up on a server that is away.
 */
#include "connectors/run/run.h"

#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "connectors/run/clock.h"
#include "connectors/run/log.h"
#include "connectors/run/session.h"
#include "connectors/run/signals.h"
#include "rules/must/must.h"

enum { BACK_OFF_MIN_MS = 250, BACK_OFF_MAX_MS = 5000, ASK_MS = 3000 };

struct runner {
    const struct tsn_config *config;
    const struct tsn_run_options *options;
    struct tsn_keys *keys;
    struct tsn_kafka *kafka;
    struct tsn_store *store;
    struct tsn_leader *leader;
    int64_t give_up_ms; /* of absent servers; INT64_MAX once live */
    int64_t back_off_ms;
    struct tsn_stages stages; /* of the process's start; then of the term's */
    bool led;                 /* in the term that ended */
};

static int exit_of(enum tsn_remedy remedy)
{
    switch (remedy) {
    case TSN_REMEDY_NONE:
        return TSN_EXIT_OK;
    case TSN_REMEDY_RETRY:
        return TSN_EXIT_UNAVAILABLE;
    case TSN_REMEDY_CONFIG:
        return TSN_EXIT_REFUSED;
    case TSN_REMEDY_STAND_BY:
        return TSN_EXIT_FENCED;
    case TSN_REMEDY_ABORT_TXN:
    case TSN_REMEDY_RECOVER:
    case TSN_REMEDY_FATAL:
        return TSN_EXIT_FATAL;
    }
    return TSN_EXIT_FATAL;
}

/* Sleeps unless a stop is asked for. */
static void nap(int64_t ms)
{
    struct pollfd fd = {.fd = tsn_signals_fd(), .events = POLLIN};
    if (ms > 0 && !tsn_signals_stop()) {
        poll(&fd, 1, (int)ms);
    }
}

/* A server is away: says so and waits. False: stop trying (failure as it is, or NONE
 * after a stop). */
static bool try_again(struct runner *runner, struct tsn_failure *failure)
{
    if (tsn_signals_stop()) {
        failure->remedy = TSN_REMEDY_NONE;
        return false;
    }
    if (failure->remedy != TSN_REMEDY_RETRY) {
        return false;
    }
    int64_t now_ms = tsn_clock_monotonic_ms();
    if (now_ms >= runner->give_up_ms) {
        char text[sizeof failure->text];
        memcpy(text, failure->text, sizeof text);
        return tsn_fail(failure, TSN_REMEDY_RETRY,
                        "%.400s (gave up after start_timeout, %" PRId64 " s)", text,
                        runner->config->start_timeout_ms / 1000);
    }
    tsn_log("%s; trying again in %.2f s", failure->text, (double)runner->back_off_ms / 1000);
    int64_t left_ms = runner->give_up_ms - now_ms;
    nap(runner->back_off_ms < left_ms ? runner->back_off_ms : left_ms);
    runner->back_off_ms =
        2 * runner->back_off_ms < BACK_OFF_MAX_MS ? 2 * runner->back_off_ms : BACK_OFF_MAX_MS;
    return true;
}

/* ---- servers ------------------------------------------------------------------------------- */

static bool open_kafka(struct runner *runner, struct tsn_failure *failure)
{
    char cluster_id[TSN_CLUSTER_ID_MAX];
    runner->kafka = tsn_kafka_open(runner->config, failure);
    if (!runner->kafka) {
        return false;
    }
    while (!tsn_kafka_cluster_id(runner->kafka, cluster_id, ASK_MS, failure) ||
           !tsn_origins_check_topics(runner->config, runner->kafka, failure)) {
        if (!try_again(runner, failure)) {
            return false;
        }
    }
    return true;
}

static bool open_store(struct runner *runner, struct tsn_failure *failure)
{
    if (runner->config->state_in_memory) {
        tsn_log("state: memory: no checkpoints are written; a restart replays every manifest and "
                "event that Kafka still holds, and windows that reach further back are incomplete "
                "then");
        return true;
    }
    while (!(runner->store = tsn_store_open(runner->config, runner->keys, failure))) {
        if (!try_again(runner, failure)) {
            return false;
        }
    }
    const char *warning = tsn_store_warning(runner->store);
    if (warning) {
        tsn_log("%s", warning);
    }
    return true;
}

static bool open_servers(struct runner *runner, struct tsn_failure *failure)
{
    if (!open_kafka(runner, failure) || !open_store(runner, failure)) {
        return false;
    }
    if (runner->options->dry_recover) {
        return true;
    }
    runner->leader = tsn_leader_open(runner->config, failure);
    return runner->leader != NULL;
}

/* ---- terms ----------------------------------------------------------------------------------- */

static struct tsn_bundle *load_pack(const struct runner *runner)
{
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct tsn_bundle *bundle = tsn_bundle_load(runner->config, &diags);
    if (!bundle) {
        tsn_diags_print(&diags, stderr);
    }
    tsn_diags_free(&diags);
    return bundle;
}

/* A standby may be older than the pack: what its leader put in force meanwhile must not
 * be undone by what the file said then. */
static void renew_pack(const struct runner *runner, struct tsn_session *session)
{
    if (!session->took_over && !session->waited) {
        return;
    }
    struct tsn_bundle *bundle = load_pack(runner);
    if (bundle) {
        tsn_bundle_free(session->next);
        session->next = bundle;
    } else {
        tsn_log("the pack %s is refused now: see above; going on with the one that was read "
                "when this instance began to follow",
                runner->config->pack);
    }
    tsn_stages_mark(&session->stages, "pack");
}

/* From the seat on. */
static bool lead(struct runner *runner, struct tsn_session *session, struct tsn_failure *failure)
{
    runner->led = true;
    tsn_session_sit(session);
    renew_pack(runner, session);
    if (!tsn_session_recover(session, failure)) {
        return false;
    }
    runner->give_up_ms = INT64_MAX;
    runner->back_off_ms = BACK_OFF_MIN_MS;
    return tsn_session_live(session, failure);
}

/* One term, from following to its end; or what it would be. */
static bool term(struct runner *runner, struct tsn_failure *failure)
{
    bool dry = runner->options->dry_recover;
    runner->led = false;
    struct tsn_bundle *bundle = load_pack(runner);
    if (!bundle) {
        return tsn_fail(failure, TSN_REMEDY_CONFIG, "the pack %s was refused: see above",
                        runner->config->pack);
    }
    tsn_stages_mark(&runner->stages, "pack");
    struct tsn_session session = {
        .config = runner->config,
        .options = runner->options,
        .keys = runner->keys,
        .kafka = runner->kafka,
        .store = runner->store,
        .leader = runner->leader,
        .stages = runner->stages,
    };
    bool ok = tsn_session_begin(&session, bundle, failure) &&
              (dry ? tsn_session_dry(&session, stdout, failure)
                   : tsn_session_follow(&session, failure) && lead(runner, &session, failure));
    if (session.caught_up) {
        runner->give_up_ms = INT64_MAX; /* servers were there, and will be again */
    }
    tsn_session_close(&session);
    return ok;
}

/* A store keeps what a term collected and did not write: a new term has a new one. */
static bool renew_store(struct runner *runner, struct tsn_failure *failure)
{
    if (!runner->store) {
        return true;
    }
    tsn_store_close(runner->store);
    runner->store = NULL;
    while (!(runner->store = tsn_store_open(runner->config, runner->keys, failure))) {
        if (!try_again(runner, failure)) {
            return false;
        }
    }
    return true;
}

/* Somebody else led, and yet the group may not have told us that our seat is gone:
 * taking it for ours would fence him, and he us, and so on. A seat asked for anew is
 * a true one. */
static bool renew_seat(struct runner *runner, struct tsn_failure *failure)
{
    if (!tsn_leader_is(runner->leader)) {
        return true;
    }
    tsn_leader_close(runner->leader);
    runner->leader = tsn_leader_open(runner->config, failure);
    return runner->leader != NULL;
}

static bool terms(struct runner *runner, struct tsn_failure *failure)
{
    while (!tsn_signals_stop()) {
        if (term(runner, failure)) {
            return true;
        }
        tsn_stages_begin(&runner->stages);
        if (failure->remedy == TSN_REMEDY_STAND_BY) {
            if (runner->led && runner->options->exit_when_fenced) {
                tsn_log("another instance leads: this one stops; since then it has published "
                        "nothing and written no state");
                return false;
            }
            tsn_log("%s: dropping the state, standing by", failure->text);
            nap(BACK_OFF_MIN_MS);
            if (runner->led && !renew_seat(runner, failure)) {
                return false;
            }
        } else if (!try_again(runner, failure)) {
            return failure->remedy == TSN_REMEDY_NONE;
        }
        if (!renew_store(runner, failure)) {
            return failure->remedy == TSN_REMEDY_NONE;
        }
    }
    return true;
}

/* ---- the door ---------------------------------------------------------------------------- */

struct tsn_keys *tsn_run_keys(const struct tsn_config *config, struct tsn_failure *failure)
{
    if (config->key_file) {
        return tsn_keys_load(config->key_file, failure);
    }
    if (!config->insecure && !config->state_in_memory) {
        tsn_fail(failure, TSN_REMEDY_CONFIG,
                 "%s: no key_file: what Redis holds could be read by anybody; write `key_file: "
                 "PATH` (make one with: (umask 077; openssl rand -hex 32 > PATH)), or `insecure: "
                 "true` for a trial",
                 config->file);
        return NULL;
    }
    return tsn_keys_insecure();
}

/* Records are allocated in the client's threads and freed in this one, fast while
 * catching up. An arena for each thread grows by single pages, each a system call and
 * a fault, and soon gives them back: about a sixth of all CPU time of a catch-up. One
 * arena grows in large steps and keeps what it has; responses (up to a megabyte a
 * partition) come from it and not from mmap. */
static void tune_memory(void)
{
    enum { STEP_BYTES = 64 << 20, KEPT_BYTES = 256 << 20, MAPPED_BYTES = 32 << 20 };
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_TOP_PAD, STEP_BYTES);
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
}

/* One block of that arena, touched, in huge pages where the kernel has them, and freed: the
 * arena keeps it. Without, it grows by single pages as records come. */
static void reserve_memory(uint64_t bytes)
{
    enum { HUGE_PAGE = 2 << 20, MAPS_MAX = 65536 /* malloc's own */ };
    if (bytes == 0) {
        return;
    }
    bytes += HUGE_PAGE - bytes % HUGE_PAGE;
    mallopt(M_TRIM_THRESHOLD, bytes < INT_MAX / 2 ? (int)bytes * 2 : INT_MAX);
    mallopt(M_MMAP_MAX, 0);
    uint8_t *block = malloc(bytes + HUGE_PAGE);
    mallopt(M_MMAP_MAX, MAPS_MAX);
    if (!block) {
        tsn_log("engine.reserve_records: the system does not give so much; going on without");
        return;
    }
    uint8_t *whole = block + (HUGE_PAGE - (uintptr_t)block % HUGE_PAGE);
    madvise(whole, bytes, MADV_HUGEPAGE);
    memset(whole, 0, bytes);
    __asm__ volatile("" : : "r"(whole) : "memory"); /* or the compiler drops what is freed */
    free(block);
}

int tsn_run(const struct tsn_config *config, const struct tsn_run_options *options)
{
    struct tsn_failure failure = {.remedy = TSN_REMEDY_NONE};
    struct runner runner = {.config = config,
                            .options = options,
                            .back_off_ms = BACK_OFF_MIN_MS,
                            .give_up_ms = tsn_clock_monotonic_ms() + config->start_timeout_ms};
    tsn_stages_begin(&runner.stages);
    tune_memory();
    reserve_memory(config->reserve_records_bytes);
    tsn_signals_install();
    runner.keys = tsn_run_keys(config, &failure);
    bool ok = runner.keys && open_servers(&runner, &failure);
    tsn_stages_mark(&runner.stages, "servers");
    ok = ok && (options->dry_recover ? term(&runner, &failure) : terms(&runner, &failure));
    if (!ok && failure.remedy != TSN_REMEDY_NONE) {
        tsn_log("%s", failure.text);
    }
    tsn_leader_close(runner.leader);
    tsn_store_close(runner.store);
    tsn_kafka_close(runner.kafka);
    if (!runner.keys) {
        return TSN_EXIT_CONFIG; /* no key: the configuration's mistake, before any server */
    }
    tsn_keys_free(runner.keys);
    return ok ? TSN_EXIT_OK : exit_of(failure.remedy);
}
