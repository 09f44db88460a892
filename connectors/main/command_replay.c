/* tocsin replay: files of records through the engine, without Kafka or Redis.
 *
 * Options, progress and summary; the work is done by connectors/file/replay.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "connectors/config/config.h"
#include "connectors/failure/failure.h"
#include "connectors/file/replay.h"
#include "connectors/keys/keys.h"
#include "connectors/main/commands.h"
#include "connectors/main/replay_manifests.h"
#include "connectors/run/signals.h"
#include "rules/diag/diag.h"

enum { INPUTS_MAX = 256, EXIT_INTERRUPTED = 130 };

static const char usage[] =
    "usage: tocsin replay --config FILE --input SOURCE=FILE [--input SOURCE=FILE ...]\n"
    "                     [--alerts FILE] [--features FILE] [--rejects FILE] [--batch N] "
    "[--quiet]\n"
    "       tocsin replay --config FILE --manifests [...]   (--manifests --help says more)\n"
    "\n"
    "Runs the engine on files of one JSON record a line; '-' is standard input or output.\n"
    "Several inputs are merged by event time: always the one whose next record is oldest,\n"
    "ties to the one named first; otherwise a file is read in its own order.\n"
    "\n"
    "  --config FILE         the configuration: sources, mappings, pack\n"
    "  --input SOURCE=FILE   a source of the configuration and its records\n"
    "  --alerts FILE         alerts, one JSON value a line\n"
    "  --features FILE       CSV: every feature, rule and typology score of every event\n"
    "  --rejects FILE        records that could not be read, with line and reason\n"
    "  --batch N             rows processed together, 1 to 65536; changes speed, not results\n"
    "  --quiet               no progress and no summary\n"
    "\n"
    "Exit code: 0 all was read (rejects are no failure), 2 wrong arguments, 3 configuration,\n"
    "pack or input refused, 6 reading or writing failed, 130 interrupted (what was written\n"
    "until then is whole lines).\n";

struct arguments {
    const char *config;
    size_t n_inputs;
    struct tsn_file_input inputs[INPUTS_MAX];
    const char *alerts, *features, *rejects;
    uint32_t batch_rows;
    bool quiet;
};

/* ---- arguments ----------------------------------------------------------------- */

static int add_input(struct arguments *args, char *text)
{
    char *equals = strchr(text, '=');
    if (!equals || equals == text || !equals[1]) {
        fprintf(stderr, "tocsin replay: --input is '%s'; write SOURCE=FILE\n", text);
        return TSN_EXIT_USAGE + 1;
    }
    if (args->n_inputs == INPUTS_MAX) {
        fprintf(stderr, "tocsin replay: at most %d inputs\n", INPUTS_MAX);
        return TSN_EXIT_USAGE + 1;
    }
    *equals = '\0';
    args->inputs[args->n_inputs++] = (struct tsn_file_input){text, equals + 1};
    return 0;
}

static int read_batch(struct arguments *args, const char *text)
{
    char *end;
    long n = strtol(text, &end, 10);
    if (end == text || *end || n < 1 || n > 65536) {
        fprintf(stderr, "tocsin replay: --batch is '%s'; write a number from 1 to 65536\n", text);
        return TSN_EXIT_USAGE + 1;
    }
    args->batch_rows = (uint32_t)n;
    return 0;
}

/* What several options together get wrong. */
static int check_arguments(const struct arguments *args)
{
    int n_stdin = 0, n_stdout = 0;
    const char *const outputs[] = {args->alerts, args->features, args->rejects};
    for (size_t i = 0; i < args->n_inputs; i++) {
        n_stdin += strcmp(args->inputs[i].path, "-") == 0;
    }
    for (size_t i = 0; i < 3; i++) {
        n_stdout += outputs[i] && strcmp(outputs[i], "-") == 0;
    }
    const char *wrong = !args->config         ? "which configuration? write --config FILE"
                        : args->n_inputs == 0 ? "which records? write --input SOURCE=FILE"
                        : n_stdin > 1         ? "only one input can be standard input"
                        : n_stdout > 1        ? "only one output can be standard output"
                                              : NULL;
    if (wrong) {
        fprintf(stderr, "tocsin replay: %s\n`tocsin replay --help` says more.\n", wrong);
        return TSN_EXIT_USAGE + 1;
    }
    return 0;
}

/* 0: go on; else the exit code, plus one. */
static int read_arguments(int argc, char **argv, struct arguments *args)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"input", required_argument, NULL, 'i'},
        {"alerts", required_argument, NULL, 'a'},
        {"features", required_argument, NULL, 'f'},
        {"rejects", required_argument, NULL, 'r'},
        {"batch", required_argument, NULL, 'b'},
        {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int found, stop = 0;
    optind = 1;
    while (!stop && (found = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (found) {
        case 'c':
            args->config = optarg;
            break;
        case 'i':
            stop = add_input(args, optarg);
            break;
        case 'a':
            args->alerts = optarg;
            break;
        case 'f':
            args->features = optarg;
            break;
        case 'r':
            args->rejects = optarg;
            break;
        case 'b':
            stop = read_batch(args, optarg);
            break;
        case 'q':
            args->quiet = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return TSN_EXIT_OK + 1;
        default:
            fprintf(stderr, "`tocsin replay --help` says more.\n");
            return TSN_EXIT_USAGE + 1;
        }
    }
    if (!stop && optind < argc) {
        fprintf(stderr, "tocsin replay: '%s' is no option; write --input SOURCE=FILE\n",
                argv[optind]);
        return TSN_EXIT_USAGE + 1;
    }
    return stop ? stop : check_arguments(args);
}

/* ---- progress ------------------------------------------------------------------ */

struct progress {
    bool on;
    bool to_person;
    double started;
    double shown; /* when */
    bool drawn;
};

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void show(struct progress *to, const struct tsn_file_progress *at, double now)
{
    double rate = (double)at->records / (now - to->started + 1e-9);
    char share[48] = "";
    if (at->bytes_total > 0) {
        double part = (double)at->bytes_done / (double)at->bytes_total;
        part = part > 1 ? 1 : part;
        if (to->to_person) {
            char bar[21];
            int full = (int)(part * 20);
            memset(bar, '#', (size_t)full);
            memset(bar + full, '.', (size_t)(20 - full));
            bar[20] = '\0';
            snprintf(share, sizeof share, "[%s] %3.0f %%  ", bar, part * 100);
        } else {
            snprintf(share, sizeof share, "%.0f %%, ", part * 100);
        }
    }
    fprintf(stderr, "%sreplay: %s%" PRIu64 " records, %.0f/s, %" PRIu64 " alerts%s",
            to->to_person ? "\r\033[K" : "", share, at->records, rate, at->alerts,
            to->to_person ? "" : "\n");
    to->drawn = to->to_person;
    to->shown = now;
}

static bool on_progress(void *user, const struct tsn_file_progress *at)
{
    struct progress *to = user;
    double now = now_s();
    if (to->on && now - to->shown >= (to->to_person ? 0.1 : 5.0)) {
        show(to, at, now);
    }
    return !tsn_signals_stop();
}

static void print_summary(const struct tsn_program *prog, const struct tsn_file_result *result,
                          double seconds)
{
    const struct tsn_engine_counts *counts = &result->counts;
    uint64_t rejects = 0;
    for (int i = 0; i < TSN_REJECT_REASONS; i++) {
        rejects += result->rejects[i];
    }
    fprintf(stderr,
            "%" PRIu64 " records in %.2f s (%.0f/s): %" PRIu64 " events accepted, %" PRIu64
            " duplicates, %" PRIu64 " rejects\n",
            result->records, seconds, (double)result->records / (seconds + 1e-9), counts->accepted,
            counts->duplicates, rejects);
    fprintf(stderr, "%" PRIu64 " late, %" PRIu64 " too late; %" PRIu64 " entities in the windows\n",
            counts->late, counts->too_late, counts->entities);
    if (counts->sets_full) {
        fprintf(stderr,
                "%10" PRIu64 "  times 'for_each' met a set with more members than its 'max': the "
                "newest were taken\n",
                counts->sets_full);
    }
    if (counts->coalesced) {
        fprintf(stderr,
                "%10" PRIu64 "  rows of hot keys beyond 'exact_up_to' coalesced; %" PRIu64
                " values were approximate\n",
                counts->coalesced, counts->approximate);
    }
    for (int i = 0; i < TSN_REJECT_REASONS; i++) {
        if (result->rejects[i]) {
            fprintf(stderr, "%10" PRIu64 "  rejected: %s (%s)\n", result->rejects[i],
                    tsn_reject_word((enum tsn_reject_reason)i),
                    tsn_reject_meaning((enum tsn_reject_reason)i));
        }
    }
    for (int i = 0; i < prog->n_typologies; i++) {
        fprintf(stderr, "%10" PRIu64 "  alerts: %s%s\n", result->alerts[i], prog->typologies[i].id,
                prog->typologies[i].mode == TSN_MODE_SHADOW || prog->mode == TSN_MODE_SHADOW
                    ? " (shadow)"
                    : "");
    }
}

/* ---- the command --------------------------------------------------------------- */

/* The deployment's secret if it can be read here, so that ids are those of the live
 * alerts; else the open one, and it is said. */
static struct tsn_keys *keys_of(const struct tsn_config *config, bool quiet)
{
    struct tsn_failure failure;
    struct tsn_keys *keys =
        config->key_file ? tsn_keys_load(config->key_file, &failure) : tsn_keys_insecure();
    if (!keys && !quiet) {
        fprintf(stderr,
                "tocsin replay: %s\ntocsin replay: going on without it: alert ids will not be "
                "those of the live alerts\n",
                failure.text);
    }
    return keys ? keys : tsn_keys_insecure();
}

/* One regular file under two names, however they are written? */
static bool is_same_file(const char *path, const char *other)
{
    struct stat a, b;
    return path && other && stat(path, &a) == 0 && stat(other, &b) == 0 && S_ISREG(a.st_mode) &&
           a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* To write over what is being read destroys it; two outputs in one file are neither. */
static bool outputs_are_apart(const struct arguments *args)
{
    const char *const outputs[] = {args->alerts, args->features, args->rejects};
    for (size_t i = 0; i < 3; i++) {
        const char *taken = NULL;
        for (size_t k = 0; outputs[i] && k < i && !taken; k++) {
            bool same = outputs[k] && strcmp(outputs[i], outputs[k]) == 0;
            taken = same || is_same_file(outputs[i], outputs[k]) ? "another output" : NULL;
        }
        for (size_t k = 0; outputs[i] && k < args->n_inputs && !taken; k++) {
            taken = is_same_file(outputs[i], args->inputs[k].path) ? "an input" : NULL;
        }
        if (taken) {
            fprintf(stderr, "tocsin replay: '%s' is %s already; name another file\n", outputs[i],
                    taken);
            return false;
        }
    }
    return true;
}

/* Before any output is opened, and so emptied. */
static bool inputs_are_there(const struct arguments *args)
{
    for (size_t i = 0; i < args->n_inputs; i++) {
        const char *path = args->inputs[i].path;
        if (strcmp(path, "-") != 0 && access(path, R_OK) != 0) {
            fprintf(stderr, "tocsin replay: input '%s' cannot be opened: %s\n", path,
                    strerror(errno));
            return false;
        }
    }
    return true;
}

static bool open_output(const char *path, FILE **out)
{
    if (!path) {
        return true;
    }
    *out = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
    if (!*out) {
        fprintf(stderr, "tocsin replay: output '%s' cannot be written: %s\n", path,
                strerror(errno));
        return false;
    }
    setvbuf(*out, NULL, _IOFBF, 1 << 18);
    return true;
}

static bool close_output(const char *path, FILE *out)
{
    if (out && fclose(out) != 0) {
        fprintf(stderr, "tocsin replay: output '%s' cannot be written: %s\n", path,
                strerror(errno));
        return false;
    }
    return true;
}

static int replay(const struct arguments *args, struct tsn_file_replay *options,
                  struct tsn_diags *diags)
{
    struct progress progress = {
        .on = !args->quiet, .to_person = isatty(STDERR_FILENO), .started = now_s()};
    struct tsn_file_result result;
    struct tsn_failure failure = {.remedy = TSN_REMEDY_NONE};
    options->progress = on_progress;
    options->user = &progress;
    progress.shown = progress.started;
    tsn_signals_install();
    options->stop_fd = tsn_signals_fd();
    bool ok = tsn_file_replay(options, &result, diags, &failure);
    double seconds = now_s() - progress.started;
    if (progress.drawn) {
        fputs("\r\033[K", stderr);
    }
    int code = TSN_EXIT_OK;
    if (diags->n_errors > 0) {
        tsn_diags_print(diags, stderr);
        code = TSN_EXIT_CONFIG;
    } else if (!ok) {
        fprintf(stderr, "tocsin replay: %s\n", failure.text);
        code = failure.remedy == TSN_REMEDY_CONFIG ? TSN_EXIT_CONFIG : TSN_EXIT_FATAL;
    } else if (!args->quiet) {
        if (result.stopped) {
            fprintf(stderr, "interrupted: the outputs end early\n");
        }
        print_summary(options->prog, &result, seconds);
    }
    if (ok && result.stopped) {
        code = EXIT_INTERRUPTED;
    }
    free(result.alerts);
    return code;
}

static int replay_files(const struct arguments *args, const struct tsn_config *config,
                        const struct tsn_program *prog, struct tsn_diags *diags)
{
    struct tsn_keys *keys = keys_of(config, args->quiet);
    struct tsn_file_replay options = {
        .config = config,
        .prog = prog,
        .keys = keys,
        .n_inputs = args->n_inputs,
        .inputs = args->inputs,
        .batch_rows = args->batch_rows,
    };
    int code = TSN_EXIT_CONFIG;
    if (!tsn_file_replay_check(&options, diags)) {
        tsn_diags_print(diags, stderr);
    } else if (inputs_are_there(args) && open_output(args->alerts, &options.alerts) &&
               open_output(args->features, &options.features) &&
               open_output(args->rejects, &options.rejects)) {
        code = replay(args, &options, diags);
    }
    bool closed = close_output(args->alerts, options.alerts);
    closed = close_output(args->features, options.features) && closed;
    closed = close_output(args->rejects, options.rejects) && closed;
    tsn_keys_free(keys);
    return code == TSN_EXIT_OK && !closed ? TSN_EXIT_FATAL : code;
}

int tsn_command_replay(int argc, char **argv)
{
    if (tsn_replay_is_manifests(argc, argv)) {
        return tsn_replay_manifests_command(argc, argv);
    }
    struct arguments args = {.config = NULL};
    int stop = read_arguments(argc, argv, &args);
    if (stop) {
        return stop - 1;
    }
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    int code = TSN_EXIT_CONFIG;
    if (!outputs_are_apart(&args)) {
        return TSN_EXIT_USAGE;
    }
    struct tsn_config *config = tsn_config_load(args.config, &diags);
    struct tsn_program *prog = config ? tsn_config_pack(config, &diags) : NULL;
    if (!prog || !args.quiet) {
        tsn_diags_print(&diags, stderr);
    }
    if (prog) {
        tsn_diags_free(&diags);
        tsn_diags_init(&diags);
        code = replay_files(&args, config, prog, &diags);
    }
    tsn_program_free(prog);
    tsn_config_free(config);
    tsn_diags_free(&diags);
    return code;
}
