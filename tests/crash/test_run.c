/* The live loop dies anywhere, hangs anywhere, is told anything by its servers - and
 * no alert is lost, none is said twice.
 *
 *   TSN_SEEDS=n   how many schedules (default: some hundreds; many.sh runs ten thousand)
 *   TSN_FIRST=n   the first one's seed (default 1)
 *   TSN_SEED=n    only this one; TSN_CRASH_LOG=1 shows what its lives say
 *
 * A seed makes input for three partitions of two topics and a series of lives: child
 * processes that run connectors/run as it is on the world of run_world.h. Each dies
 * at a random point, or is stopped there while another takes over and then goes on as
 * a zombie; until one is left alone and ends cleanly. Between lives the pack changes,
 * retention takes what the checkpoint covers, or too much (then the start must refuse),
 * or Redis is emptied. What must hold in the end: run_check.h. Kinds: run_case.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "connectors/run/run.h"
#include "tests/crash/run_case.h"
#include "tests/crash/run_check.h"
#include "tests/crash/run_world.h"

enum {
    SEEDS_DEFAULT = 300,
    EVENTS = 60,
    EVENTS_LARGE = 170, /* of one schedule in sixteen */
    LIVES_MAX = 8,
    LIFE_SECONDS = 120, /* a life that hangs is killed by SIGALRM */
};

/* ---- lives ------------------------------------------------------------------------- */

/* Runs connectors/run in a child until it ends or stops at its point. */
static pid_t life_begin(const struct tsn_config *config, uint64_t crash_at, uint64_t pause_at)
{
    world->n_lives++;
    world->n_points = 0;
    world->crash_at = crash_at;
    world->pause_at = pause_at;
    world->idle = 0;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(LIFE_SECONDS);
        const struct tsn_run_options options = {0};
        _exit(tsn_run(config, &options));
    }
    return pid;
}

/* Gives the wait status. The seat of who is gone is free. */
static int life_wait(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    if (!WIFSTOPPED(status) && world->leader_pid == pid) {
        world->leader_pid = 0;
    }
    return status;
}

static void must_have_ended(uint64_t seed, int status, int expected)
{
    bool crashed = WIFEXITED(status) && WEXITSTATUS(status) == WORLD_CRASHED;
    if (!(crashed && expected == TSN_EXIT_OK) &&
        !(WIFEXITED(status) && WEXITSTATUS(status) == expected)) {
        fail_msg("seed %llu: a life ended with %s %d, not %d (TSN_SEED=%llu TSN_CRASH_LOG=1)",
                 (unsigned long long)seed, WIFSIGNALED(status) ? "signal" : "status",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), expected,
                 (unsigned long long)seed);
    }
    world->n_crashes += crashed;
}

static void live_once(uint64_t seed, const struct tsn_config *config, uint64_t crash_at)
{
    must_have_ended(seed, life_wait(life_begin(config, crash_at, 0)), TSN_EXIT_OK);
}

/* A life that hangs at a point while others live, and then goes on. */
static void zombie_life(uint64_t seed, const struct tsn_config *config,
                        const struct tsn_config *heirs)
{
    pid_t zombie = life_begin(config, 0, 1 + world_dice() % 1200);
    int status = life_wait(zombie);
    if (!WIFSTOPPED(status)) {
        must_have_ended(seed, status, TSN_EXIT_OK);
        return;
    }
    live_once(seed, heirs, world_dice() % 2 ? 1 + world_dice() % 1200 : 0);
    world->n_points = 0;
    world->crash_at = 0;
    world->pause_at = 0;
    world->idle = 0;
    assert_int_equal(kill(zombie, SIGCONT), 0);
    must_have_ended(seed, life_wait(zombie), TSN_EXIT_OK);
}

/* ---- between lives ------------------------------------------------------------------- */

/* Retention takes everything that the checkpoint covers: nobody may miss it. */
static void retention_up_to_the_checkpoint(void)
{
    struct tsn_arena arena;
    struct tsn_manifest manifest;
    tsn_arena_init(&arena, 0);
    if (world->stored.sequence > 0 && check_manifest(world->stored.sequence, &arena, &manifest)) {
        world->retention = true;
        for (size_t i = 0; i < manifest.n_origins; i++) {
            tsn_memory_log_retain(world->log, manifest.origins[i].topic,
                                  manifest.origins[i].partition, manifest.positions[i]);
        }
    }
    tsn_arena_free(&arena);
}

/* The first input with records that no manifest covers; n_origins: none. *high: its end. */
static size_t unread_input(const struct tsn_manifest *last, int64_t *high)
{
    size_t i = 0;
    while (i < last->n_origins &&
           last->positions[i] == (*high = tsn_memory_log_high(world->log, last->origins[i].topic,
                                                              last->origins[i].partition))) {
        i++;
    }
    return i;
}

/* Retention has taken a record that no manifest covers: the start is refused, and
 * nothing is written. Afterwards the records are back (a backup). */
static void retention_gap(uint64_t seed, const struct tsn_config *config)
{
    struct tsn_arena arena;
    struct tsn_manifest last;
    int64_t high = 0;
    tsn_arena_init(&arena, 0);
    size_t i = world->stored.sequence > 0 && check_manifest(0, &arena, &last)
                   ? unread_input(&last, &high)
                   : SIZE_MAX;
    if (i != SIZE_MAX && i < last.n_origins) {
        const struct tsn_origin *origin = &last.origins[i];
        int64_t low = tsn_memory_log_low(world->log, origin->topic, origin->partition);
        int64_t manifests = tsn_memory_log_high(world->log, "tocsin.manifest", 0);
        bool retention = world->retention;
        int64_t lost = 1 + (int64_t)(world_dice() % (uint64_t)(high - last.positions[i]));
        tsn_memory_log_retain(world->log, origin->topic, origin->partition,
                              last.positions[i] + lost);
        world->retention = true;
        must_have_ended(seed, life_wait(life_begin(config, 0, 0)), TSN_EXIT_REFUSED);
        /* At most the marker of the transaction that initialising ended. */
        assert_in_range(tsn_memory_log_high(world->log, "tocsin.manifest", 0), manifests,
                        manifests + 1);
        tsn_memory_log_retain(world->log, origin->topic, origin->partition, low);
        world->retention = retention;
        world->n_gaps++;
    }
    tsn_arena_free(&arena);
}

/* Redis is emptied: the state is rebuilt from the manifests. Only while all input is
 * still there: else what is rebuilt is less, and says so. */
static void empty_redis(void)
{
    if (!world->retention && world->stored.sequence > 0) {
        memset(&world->stored, 0, sizeof world->stored);
        world->records = NULL;
        world->owner = 0;
        world->n_emptied++;
    }
}

static void between_lives(uint64_t seed, const struct tsn_config *config)
{
    if (world_dice() % 3 == 0) {
        retention_gap(seed, config);
    }
    switch (world_dice() % 12) {
    case 0:
        retention_up_to_the_checkpoint();
        break;
    case 1:
        empty_redis();
        break;
    default:
        break;
    }
}

static unsigned some_pack(enum case_kind kind, unsigned pack)
{
    return kind == CASE_FREE && world_dice() % 4 == 0 ? (unsigned)(world_dice() % CASE_PACKS)
                                                      : pack;
}

/* The cap of the next life. */
static void some_cap(uint64_t seed)
{
    static const uint32_t caps[] = {1, 1, 1, 4, 0};
    if (case_is_capped(seed)) {
        world->max_resident = caps[world_dice() % (sizeof caps / sizeof caps[0])];
    }
}

static void live_through(uint64_t seed)
{
    enum case_kind kind = case_kind_of(seed);
    unsigned pack = 0;
    for (int n = 0; n < LIVES_MAX && world_dice() % 6 > 0; n++) {
        pack = some_pack(kind, pack);
        some_cap(seed);
        const struct tsn_config config = case_config(kind, pack);
        if (world_dice() % 4 == 0) {
            pack = some_pack(kind, pack);
            some_cap(seed);
            const struct tsn_config heirs = case_config(kind, pack);
            zombie_life(seed, &config, &heirs);
        } else {
            live_once(seed, &config, 1 + world_dice() % (world_dice() % 2 ? 1500 : 250));
        }
        between_lives(seed, &config);
    }
    /* The last one is left alone, its servers as troublesome as before. */
    some_cap(seed);
    const struct tsn_config config = case_config(kind, some_pack(kind, pack));
    int status = life_wait(life_begin(&config, 0, 0));
    must_have_ended(seed, status, TSN_EXIT_OK);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == TSN_EXIT_OK);
}

/* ---- the tests ------------------------------------------------------------------------- */

static void *region;

static int set_up(void **state)
{
    (void)state;
    region = mmap(NULL, CASE_REGION_BYTES, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(region != MAP_FAILED);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return munmap(region, CASE_REGION_BYTES);
}

struct totals {
    uint64_t n_alerts, n_rejects, n_lives, n_crashes, n_unknown, n_aborts, n_fenced;
    uint64_t n_checkpoints, n_swaps, n_ticks, n_gaps, n_emptied, n_states, n_compared;
    uint64_t n_fetches;
};

static void add(struct totals *totals, const struct check_result *result)
{
    totals->n_alerts += result->n_alerts;
    totals->n_rejects += result->n_rejects;
    totals->n_states += result->state_compared;
    totals->n_lives += world->n_lives;
    totals->n_crashes += world->n_crashes;
    totals->n_unknown += world->n_unknown;
    totals->n_aborts += world->n_aborts;
    totals->n_fenced += world->n_fenced;
    totals->n_checkpoints += world->n_checkpoints;
    totals->n_swaps += world->n_swaps;
    totals->n_ticks += world->n_ticks;
    totals->n_gaps += world->n_gaps;
    totals->n_emptied += world->n_emptied;
    totals->n_fetches += world->n_fetches;
}

static void say(const char *what, uint64_t n, const struct totals *t)
{
    print_message(
        "crash: %llu %s: %llu lives, %llu of them crashed, %llu commits of unknown "
        "outcome, %llu aborts, %llu times fenced, %llu checkpoints, %llu program swaps, "
        "%llu ticks, %llu retention gaps refused, Redis emptied %llu times, %llu fetches of "
        "entities; %llu alerts "
        "and %llu rejects equal the replay, %llu states too, %llu schedules equal an "
        "undisturbed run: 0 lost, 0 doubled\n",
        (unsigned long long)n, what, (unsigned long long)t->n_lives,
        (unsigned long long)t->n_crashes, (unsigned long long)t->n_unknown,
        (unsigned long long)t->n_aborts, (unsigned long long)t->n_fenced,
        (unsigned long long)t->n_checkpoints, (unsigned long long)t->n_swaps,
        (unsigned long long)t->n_ticks, (unsigned long long)t->n_gaps,
        (unsigned long long)t->n_emptied, (unsigned long long)t->n_fetches,
        (unsigned long long)t->n_alerts, (unsigned long long)t->n_rejects,
        (unsigned long long)t->n_states, (unsigned long long)t->n_compared);
}

/* The same input, one life, nothing goes wrong, all entities in memory: alerts, rejects and
 * features must be those of the disturbed run. */
static void must_equal_an_undisturbed_run(uint64_t seed, unsigned n_events,
                                          const struct check_result *disturbed)
{
    struct check_result calm;
    case_begin(region, seed, n_events);
    const struct tsn_config config = case_config(CASE_COMPARED, 0);
    world->trouble = 0;
    live_once(seed, &config, 0);
    check_all(seed, &config, &calm);
    if (calm.n_alerts != disturbed->n_alerts || calm.alerts != disturbed->alerts ||
        calm.n_rejects != disturbed->n_rejects || calm.rejects != disturbed->rejects ||
        calm.n_rows != disturbed->n_rows || calm.features != disturbed->features) {
        fail_msg("seed %llu: an undisturbed run of the same input gives other %s: %llu alerts, "
                 "%llu rejects, %llu rows; disturbed %llu, %llu, %llu",
                 (unsigned long long)seed,
                 calm.alerts != disturbed->alerts       ? "alerts"
                 : calm.features != disturbed->features ? "features"
                                                        : "rejects",
                 (unsigned long long)calm.n_alerts, (unsigned long long)calm.n_rejects,
                 (unsigned long long)calm.n_rows, (unsigned long long)disturbed->n_alerts,
                 (unsigned long long)disturbed->n_rejects, (unsigned long long)disturbed->n_rows);
    }
}

static void run_seed(uint64_t seed, struct totals *totals)
{
    struct check_result result;
    unsigned n_events = seed % 16 == 0 ? EVENTS_LARGE : EVENTS;
    const struct tsn_config config = case_config(case_kind_of(seed), 0);
    case_begin(region, seed, n_events);
    live_through(seed);
    check_all(seed, &config, &result);
    add(totals, &result);
    if (case_kind_of(seed) == CASE_COMPARED) {
        must_equal_an_undisturbed_run(seed, n_events, &result);
        totals->n_compared++;
    }
}

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void committed_output_equals_the_replay_whatever_crashed_when(void **state)
{
    (void)state;
    struct totals totals = {0};
    bool one = getenv("TSN_SEED") != NULL;
    uint64_t first = one ? from_environment("TSN_SEED", 1) : from_environment("TSN_FIRST", 1);
    uint64_t n_seeds = one ? 1 : from_environment("TSN_SEEDS", SEEDS_DEFAULT);
    for (uint64_t seed = first; seed < first + n_seeds; seed++) {
        run_seed(seed, &totals);
    }
    say("schedules", n_seeds, &totals);
    if (n_seeds >= SEEDS_DEFAULT) { /* the cases are not idle */
        assert_true(totals.n_alerts > n_seeds);
        assert_true(totals.n_crashes > n_seeds / 2);
        assert_true(totals.n_states > n_seeds / 2);
        assert_true(totals.n_unknown > n_seeds / 20);
        assert_true(totals.n_fenced > n_seeds / 20);
        assert_true(totals.n_swaps > n_seeds / 20);
        assert_true(totals.n_ticks > n_seeds / 20);
        assert_true(totals.n_gaps > n_seeds / 100);
        assert_true(totals.n_emptied > n_seeds / 50);
        assert_true(totals.n_fetches > n_seeds);
    }
}

/* One undisturbed life counts the points; then a life dies at each of them in turn, the
 * next one somewhere in its recovery or after it, and the third is left alone. */
static void a_life_that_dies_at_any_of_its_points_loses_nothing(void **state)
{
    (void)state;
    if (getenv("TSN_SEED")) {
        return;
    }
    struct totals totals = {0};
    uint64_t step = from_environment("TSN_POINT_STEP", 8);
    uint64_t n_points = 1;
    uint64_t n = 0;
    const uint64_t seed = 3; /* CASE_COMPARED */
    const struct tsn_config config = case_config(CASE_COMPARED, 0);
    struct check_result calm = {0};
    for (uint64_t point = 0; point < n_points; point += point ? step : 1) {
        struct check_result result;
        case_begin(region, seed, EVENTS);
        world->trouble = 0;
        live_once(seed, &config, point);
        if (point == 0) {
            n_points = world->n_points;
        } else {
            world->random += point;
            live_once(seed, &config, 1 + world_dice() % 150);
            live_once(seed, &config, 0);
        }
        check_all(seed, &config, &result);
        add(&totals, &result);
        calm = point ? calm : result;
        if (result.alerts != calm.alerts || result.rejects != calm.rejects ||
            result.features != calm.features) {
            fail_msg("a crash at point %llu of %llu changed what comes out",
                     (unsigned long long)point, (unsigned long long)n_points);
        }
        totals.n_compared++;
        n++;
    }
    say("points of death", n, &totals);
    assert_true(n_points > 200);
}

/* A leader loses the answer to a commit and hangs; another commits one manifest, of the
 * same sequence and other events, and dies; the first goes on. The newest manifest has
 * the number of the one that it holds, and is not its own. */
static void anothers_manifest_of_the_same_sequence_is_not_taken_for_its_own(void **state)
{
    (void)state;
    struct totals totals = {0};
    const struct tsn_config config = case_config(CASE_FREE, 0);
    uint64_t n = 0;
    for (uint64_t seed = 1; seed <= 40 && !getenv("TSN_SEED"); seed++) {
        struct check_result result;
        case_begin(region, seed, EVENTS);
        world->trouble = 0;
        world->backlog = false;
        world->arrival = 4;
        world->lose_commit = 2 + (unsigned)seed % 4;
        pid_t zombie = life_begin(&config, 0, 0);
        assert_true(WIFSTOPPED(life_wait(zombie)));
        world->last_commit = 1;
        live_once(seed, &config, 0);
        world->n_points = 0;
        world->pause_at = 0;
        world->last_commit = 0;
        world->idle = 0;
        assert_int_equal(kill(zombie, SIGCONT), 0);
        must_have_ended(seed, life_wait(zombie), TSN_EXIT_OK);
        live_once(seed, &config, 0);
        check_all(seed, &config, &result);
        add(&totals, &result);
        n++;
    }
    say("late leaders", n, &totals);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(committed_output_equals_the_replay_whatever_crashed_when),
        cmocka_unit_test(a_life_that_dies_at_any_of_its_points_loses_nothing),
        cmocka_unit_test(anothers_manifest_of_the_same_sequence_is_not_taken_for_its_own),
    };
    return cmocka_run_group_tests_name("crash", tests, set_up, tear_down);
}
