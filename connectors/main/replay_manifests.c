#include "connectors/main/replay_manifests.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/config/config.h"
#include "connectors/failure/failure.h"
#include "connectors/file/export.h"
#include "connectors/run/run.h"
#include "rules/diag/diag.h"

static const char help[] =
    "usage: tocsin replay --config FILE --manifests [--from SEQ] [--to SEQ]\n"
    "                     [--alerts FILE] [--features FILE] [--rejects FILE] [--quiet]\n"
    "                     [--any-settings]\n"
    "\n"
    "Runs the engine from empty state over exactly the runs, ticks and programs of the\n"
    "committed manifests. Its alerts are the committed ones, byte for byte. Reads Kafka,\n"
    "changes nothing; '-' is standard output.\n"
    "\n"
    "  --from SEQ, --to SEQ   write the output of these manifests only; those before are\n"
    "                         computed all the same, because state needs them\n"
    "  --any-settings         replay also what was written under other settings, source\n"
    "                         mappings or engine semantics, with those of FILE and of this\n"
    "                         version: the output is then another one\n";

struct arguments {
    const char *config, *alerts, *features, *rejects;
    struct tsn_replay_range range;
    bool quiet;
};

struct outputs {
    FILE *alerts, *features, *rejects;
    struct tsn_export *export;
    const struct tsn_origin *origins;
    const struct tsn_program *prog; /* whose header was written */
    bool quiet;
};

bool tsn_replay_is_manifests(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--manifests") == 0) {
            return true;
        }
    }
    return false;
}

/* ---- output ------------------------------------------------------------------------ */

static void on_begin(void *user, const struct tsn_origin *origins, size_t n_origins)
{
    struct outputs *out = user;
    out->origins = origins;
    out->export = tsn_export_new(out->alerts, out->features, out->rejects, origins, n_origins);
}

static void on_rows(void *user, const struct tsn_engine *eng, const struct tsn_program *prog,
                    const struct tsn_batch *batch)
{
    struct outputs *out = user;
    if (out->prog != prog) {
        tsn_export_program(out->export, prog);
        out->prog = prog;
    }
    tsn_export_rows(out->export, eng, prog, batch);
}

static void on_alert(void *user, const struct tsn_message *message)
{
    struct outputs *out = user;
    tsn_export_alert(out->export, message);
}

static void on_rejected(void *user, const struct tsn_record *record,
                        const struct tsn_reject *reject)
{
    struct outputs *out = user;
    tsn_export_reject(out->export, out->origins[record->source].topic, record->position,
                      tsn_reject_word(reject->reason), reject->text, record->bytes, record->len);
}

static void on_progress(void *user, uint64_t sequence, uint64_t last)
{
    const struct outputs *out = user;
    if (!out->quiet && (sequence % 1000 == 0 || sequence == last)) {
        fprintf(stderr, "replay: manifest %" PRIu64 " of %" PRIu64 "\n", sequence, last);
    }
}

static bool open_output(const char *path, FILE **out)
{
    if (path) {
        *out = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
        if (!*out) {
            fprintf(stderr, "tocsin replay: output '%s' cannot be written: %s\n", path,
                    strerror(errno));
        }
    }
    return !path || *out;
}

static bool close_output(FILE *out)
{
    if (out && fclose(out) != 0) {
        fprintf(stderr, "tocsin replay: an output cannot be written: %s\n", strerror(errno));
        return false;
    }
    return true;
}

/* ---- the command ------------------------------------------------------------------- */

static int replay(const struct arguments *args, const struct tsn_config *config)
{
    struct outputs out = {.quiet = args->quiet};
    struct tsn_failure failure = {.remedy = TSN_REMEDY_NONE};
    struct tsn_replay_visitor visitor = {.user = &out,
                                         .begin = on_begin,
                                         .rows = args->features ? on_rows : NULL,
                                         .alert = on_alert,
                                         .rejected = on_rejected,
                                         .progress = on_progress};
    struct tsn_replay_totals totals = {0};
    struct tsn_keys *keys = tsn_run_keys(config, &failure);
    bool has_keys = keys != NULL;
    bool ok = has_keys && open_output(args->alerts, &out.alerts) &&
              open_output(args->features, &out.features) &&
              open_output(args->rejects, &out.rejects) &&
              tsn_replay_manifests(config, keys, args->range, &visitor, &totals, &failure);
    if (out.export) {
        tsn_export_free(out.export);
    }
    tsn_keys_free(keys);
    bool closed = close_output(out.alerts);
    closed = close_output(out.features) && closed;
    closed = close_output(out.rejects) && closed;
    if (!ok) {
        fprintf(stderr, "tocsin replay: %s\n", failure.text);
        return !has_keys                             ? TSN_EXIT_CONFIG
               : failure.remedy == TSN_REMEDY_RETRY  ? TSN_EXIT_UNAVAILABLE
               : failure.remedy == TSN_REMEDY_CONFIG ? TSN_EXIT_REFUSED
                                                     : TSN_EXIT_FATAL;
    }
    if (!args->quiet) {
        fprintf(stderr,
                "manifests %" PRIu64 " to %" PRIu64 ": %" PRIu64 " events, %" PRIu64
                " alerts, %" PRIu64 " rejects written\n",
                totals.first_sequence, totals.last_sequence, totals.rows, totals.alerts,
                totals.rejects);
    }
    return closed ? TSN_EXIT_OK : TSN_EXIT_FATAL;
}

static bool read_sequence(const char *text, uint64_t *sequence)
{
    char *end;
    *sequence = strtoull(text, &end, 10);
    return end != text && !*end && text[0] != '-';
}

/* NULL: fine; else what is wrong. */
static const char *read_option(const char *name, const char *value, struct arguments *args)
{
    const struct {
        const char *name;
        const char **text;
    } texts[] = {{"--config", &args->config},
                 {"--alerts", &args->alerts},
                 {"--features", &args->features},
                 {"--rejects", &args->rejects}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (strcmp(name, texts[i].name) == 0) {
            *texts[i].text = value;
            return NULL;
        }
    }
    if (strcmp(name, "--from") == 0) {
        return read_sequence(value, &args->range.from) ? NULL : "--from takes a sequence number";
    }
    if (strcmp(name, "--to") == 0) {
        return read_sequence(value, &args->range.to) ? NULL : "--to takes a sequence number";
    }
    return "no such option beside --manifests";
}

int tsn_replay_manifests_command(int argc, char **argv)
{
    struct arguments args = {0};
    const char *wrong = NULL;
    const char *where = "";
    for (int i = 1; i < argc && !wrong; i++) {
        where = argv[i];
        if (strcmp(argv[i], "--help") == 0) {
            fputs(help, stdout);
            return TSN_EXIT_OK;
        }
        if (strcmp(argv[i], "--any-settings") == 0) {
            args.range.any_settings = true;
            continue;
        }
        if (strcmp(argv[i], "--quiet") == 0) {
            args.quiet = true;
        } else if (strcmp(argv[i], "--manifests") != 0) {
            wrong = i + 1 < argc ? read_option(argv[i], argv[i + 1], &args) : "takes a value";
            i++;
        }
    }
    if (!wrong && !args.config) {
        wrong = "which configuration? write --config FILE";
        where = "";
    }
    if (wrong) {
        fprintf(stderr, "tocsin replay: %s%s%s\n`tocsin replay --manifests --help` says more.\n",
                where, where[0] ? ": " : "", wrong);
        return TSN_EXIT_USAGE;
    }
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct tsn_config *config = tsn_config_load(args.config, &diags);
    tsn_diags_print(&diags, stderr);
    tsn_diags_free(&diags);
    int code = config ? replay(&args, config) : TSN_EXIT_CONFIG;
    tsn_config_free(config);
    return code;
}
