#include "connectors/demo/demo.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "connectors/demo/player.h"
#include "connectors/demo/stage.h"
#include "connectors/demo/truth.h"
#include "connectors/demo/watch.h"
#include "connectors/simulate/simulate.h"

enum {
    START_HOUR = 9,      /* the city's local time when the stream begins */
    PLAY_AT_ONCE = 2000, /* records between two looks at the alerts */
    LOOK_MS = 5,
    CATCH_UP_US = 20000000, /* how long the engine may need after the last record */
    LAST_ALERTS_US = 400000,
    STATUS_TERMINAL_US = 200000,
    STATUS_PLAIN_US = 10000000,
    FOLDER_LEN_MAX = 80, /* a socket's path is short */
};

static volatile sig_atomic_t asked_to_stop;

static void on_signal(int number)
{
    (void)number;
    asked_to_stop = 1;
}

static int64_t now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

struct show {
    const struct tsn_demo_settings *settings;
    struct tsn_stage stage;
    struct tsn_truth *truth;
    struct tsn_player *player;
    struct tsn_sender *sender;
    struct tsn_watch *watch;
    int64_t city_start_ms;
    int64_t begun_us;
    int64_t played_us; /* how long the playing took */
    int64_t status_us; /* when the status was shown last */
    bool terminal;
};

static int64_t elapsed_us(const struct show *show)
{
    return now_us() - show->begun_us;
}

/* ---- status ------------------------------------------------------------------------ */

static void clear_status(void)
{
    fputs("\r\033[K", stderr);
}

static void print_status(struct show *show)
{
    int64_t at_us = elapsed_us(show);
    int64_t every_us = show->terminal ? STATUS_TERMINAL_US : STATUS_PLAIN_US;
    if (at_us - show->status_us < every_us) {
        return;
    }
    show->status_us = at_us;
    struct tsn_watch_counts counts = tsn_watch_counts(show->watch);
    int64_t minute = (tsn_player_city_ms(show->player, at_us) - show->city_start_ms) / 60000;
    minute =
        (minute < show->settings->minutes ? minute : show->settings->minutes) + START_HOUR * 60;
    fprintf(stderr,
            "%sin the city it is %02d:%02d; %" PRIu64 " records sent, %" PRIu64
            " processed, %" PRIu64 " alerts%s",
            show->terminal ? "\r\033[K" : "", (int)(minute / 60 % 24), (int)(minute % 60),
            tsn_player_sent(show->player), counts.processed, counts.alerts,
            show->terminal ? "" : "\n");
}

/* ---- summary ----------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double ms_at(const int64_t *sorted_us, size_t i)
{
    return (double)sorted_us[i] / 1000.0;
}

static void print_latency(const struct tsn_watch_counts *counts)
{
    size_t n = counts->n_latencies;
    if (n == 0) {
        printf("latency     no alert to measure\n");
        return;
    }
    int64_t *sorted = malloc(n * sizeof *sorted);
    if (!sorted) {
        return;
    }
    memcpy(sorted, counts->latencies_us, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_size);
    printf("latency     event sent -> alert read: p50 %.0f ms, p90 %.0f ms, p99 %.0f ms, max %.0f "
           "ms (%zu alerts)\n",
           ms_at(sorted, n * 50 / 100), ms_at(sorted, n * 90 / 100), ms_at(sorted, n * 99 / 100),
           ms_at(sorted, n - 1), n);
    free(sorted);
}

static void print_victims(const struct tsn_truth *truth)
{
    struct tsn_truth_tally tallies[16];
    size_t n = tsn_truth_tally(truth, tallies, sizeof tallies / sizeof tallies[0]);
    struct tsn_truth_tally all = {.typology = "all"};
    printf(
        "\nplanted scams            victims  paying  warned before  at the transfer  not warned\n");
    for (size_t i = 0; i < n; i++) {
        const struct tsn_truth_tally *t = &tallies[i];
        printf("  %-22s %7u %7u %14u %16u %11u\n", t->typology, t->planted, t->paying, t->before,
               t->at, t->paying - t->before - t->at);
        all.planted += t->planted;
        all.paying += t->paying;
        all.before += t->before;
        all.at += t->at;
        all.unpaid_warned += t->unpaid_warned;
    }
    printf("  %-22s %7u %7u %14u %16u %11u\n", all.typology, all.planted, all.paying, all.before,
           all.at, all.paying - all.before - all.at);
    printf("%u of %u planted scams were warned before their transfer began, %u more as it began, "
           "while a bank can still hold it.\n",
           all.before, all.paying, all.at);
}

static void print_summary(struct show *show)
{
    struct tsn_watch_counts counts = tsn_watch_counts(show->watch);
    double seconds = (double)show->played_us / 1e6;
    uint64_t sent = tsn_player_sent(show->player);
    printf("\nrecords     %" PRIu64 " sent, %" PRIu64 " processed, %" PRIu64
           " rejected (each on the reject topic, with its reason)\n",
           sent, counts.processed, counts.rejects);
    printf("alerts      %" PRIu64, counts.alerts);
    for (size_t i = 0; i < counts.n_typologies; i++) {
        printf("%s%s %" PRIu64 " (%" PRIu64 " on planted victims)", i ? ", " : ": ",
               counts.typologies[i].name, counts.typologies[i].alerts,
               counts.typologies[i].on_victims);
    }
    printf("\n");
    if (counts.shadow) {
        printf("            and %" PRIu64 " in shadow mode\n", counts.shadow);
    }
    printf("throughput  %.0f records/s as played (%.0f minutes of the city in %.0f s)\n",
           (double)sent / seconds, (double)show->settings->minutes, seconds);
    print_latency(&counts);
    print_victims(show->truth);
}

/* ---- the show ---------------------------------------------------------------------- */

static bool simulate(struct show *show, struct tsn_failure *failure)
{
    const struct tsn_demo_settings *settings = show->settings;
    /* The city's clock ends about now, so that timers and the stream agree. */
    int64_t now_s = (int64_t)time(NULL);
    show->city_start_ms = (now_s / 60 - settings->minutes) * 60000;
    struct tsn_simulate_settings city = {
        .seed = settings->seed,
        .n_lines = settings->n_lines,
        .minutes = settings->minutes,
        .n_scams = settings->n_scams,
        .start_ms = show->city_start_ms,
        .start_hour = START_HOUR,
        .folder = settings->folder,
    };
    struct tsn_simulate_result result;
    if (!tsn_simulate(&city, NULL, NULL, &result, failure)) {
        return false;
    }
    printf("a city of %u lines, %u minutes of its life, %u victims of %u scams planted in it\n",
           settings->n_lines, settings->minutes, result.victims, settings->n_scams);
    return true;
}

static bool open_seats(struct show *show, struct tsn_failure *failure)
{
    const struct tsn_demo_settings *settings = show->settings;
    double speed = (double)settings->minutes * 60.0 / (double)settings->seconds;
    show->truth = tsn_truth_load(settings->folder, failure);
    show->player = tsn_player_open(settings->folder, show->city_start_ms, speed, failure);
    if (!show->truth || !show->player || !tsn_stage_set(&show->stage, settings, failure)) {
        return false;
    }
    printf("broker %s, Redis %s, engine pid %d; logs in %s\n\n", show->stage.bootstrap,
           show->stage.socket, (int)show->stage.engine.pid, settings->folder);
    show->sender = tsn_sender_open(show->stage.bootstrap, failure);
    show->watch = tsn_watch_open(&(struct tsn_watch_settings){.config = show->stage.config,
                                                              .prog = show->stage.prog,
                                                              .player = show->player,
                                                              .truth = show->truth,
                                                              .start_ms = show->city_start_ms,
                                                              .start_hour = START_HOUR,
                                                              .colour = isatty(STDOUT_FILENO)},
                                 failure);
    return show->sender && show->watch;
}

/* One turn: look for alerts, show the status, see that everything still runs. */
static bool turn(struct show *show, struct tsn_failure *failure)
{
    struct pollfd wait = {.fd = tsn_watch_fd(show->watch), .events = POLLIN};
    poll(&wait, 1, LOOK_MS);
    if (!tsn_watch_look(show->watch, elapsed_us(show), show->terminal ? clear_status : NULL,
                        failure)) {
        return false;
    }
    print_status(show);
    return tsn_stage_stands(&show->stage, failure);
}

static bool play(struct show *show, struct tsn_failure *failure)
{
    show->begun_us = now_us();
    while (!asked_to_stop && !tsn_player_finished(show->player)) {
        if (!tsn_player_play(show->player, elapsed_us(show), PLAY_AT_ONCE, show->sender, failure) ||
            !turn(show, failure)) {
            return false;
        }
    }
    show->played_us = elapsed_us(show);
    if (!tsn_sender_flush(show->sender, 10000, failure)) {
        return false;
    }
    /* Until the manifests say that all of it was processed, and a moment for its alerts. */
    int64_t give_up_us = show->played_us + CATCH_UP_US;
    int64_t done_us = -1;
    while (!asked_to_stop && elapsed_us(show) < give_up_us &&
           (done_us < 0 || elapsed_us(show) < done_us + LAST_ALERTS_US)) {
        if (!turn(show, failure)) {
            return false;
        }
        bool all = tsn_watch_counts(show->watch).processed >= tsn_player_sent(show->player);
        done_us = all && done_us < 0 ? elapsed_us(show) : done_us;
    }
    if (show->terminal) {
        clear_status();
    }
    return true;
}

static void close_all(struct show *show)
{
    if (show->watch) {
        tsn_watch_close(show->watch);
    }
    if (show->sender) {
        tsn_sender_close(show->sender);
    }
    int code = tsn_stage_strike(&show->stage);
    if (code > 0) {
        fprintf(stderr, "the engine ended with exit code %d; %s says why\n", code,
                show->stage.logs[2]);
    }
    if (show->player) {
        tsn_player_close(show->player);
    }
    tsn_truth_free(show->truth);
}

/* Makes the folder; its absolute path is the caller's to free. NULL on failure. */
static char *make_folder(const char *folder, struct tsn_failure *failure)
{
    char *path = NULL;
    if (mkdir(folder, 0700) == 0 || errno == EEXIST) {
        path = realpath(folder, NULL);
    }
    if (!path) {
        tsn_fail(failure, TSN_REMEDY_CONFIG, "%s: cannot make this folder: %s", folder,
                 strerror(errno));
    } else if (strlen(path) > FOLDER_LEN_MAX) {
        tsn_fail(failure, TSN_REMEDY_CONFIG, "%s: its path is too long; take a shorter one", path);
        free(path);
        path = NULL;
    }
    return path;
}

int tsn_demo(const struct tsn_demo_settings *settings)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);

    struct tsn_failure failure = {.remedy = TSN_REMEDY_NONE};
    char *folder = make_folder(settings->folder, &failure);
    struct tsn_demo_settings absolute = *settings;
    absolute.folder = folder;
    struct show show = {.settings = &absolute, .terminal = isatty(STDERR_FILENO)};
    bool ok =
        folder && simulate(&show, &failure) && open_seats(&show, &failure) && play(&show, &failure);
    if (ok && !asked_to_stop) {
        print_summary(&show);
    }
    close_all(&show);
    free(folder);
    if (asked_to_stop) {
        fprintf(stderr, "stopped; nothing is left running\n");
        return TSN_EXIT_OK;
    }
    if (!ok) {
        fprintf(stderr, "tocsin demo: %s\n", failure.text);
        return failure.remedy == TSN_REMEDY_CONFIG ? TSN_EXIT_CONFIG : TSN_EXIT_FATAL;
    }
    return TSN_EXIT_OK;
}
