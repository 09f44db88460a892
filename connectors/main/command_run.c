/* tocsin run: the live engine. Arguments here, everything else in connectors/run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/config/config.h"
#include "connectors/failure/failure.h"
#include "connectors/main/commands.h"
#include "connectors/run/run.h"
#include "rules/diag/diag.h"

static const char help[] =
    "usage: tocsin run --config FILE [--from beginning|end] [--status SECONDS]\n"
    "                  [--when-fenced follow|exit] [--dry-recover]\n"
    "\n"
    "Reads the sources, publishes alerts, keeps state: until SIGTERM or SIGINT, which commit,\n"
    "write a checkpoint and exit 0. A second signal ends it at once, still consistent.\n"
    "\n"
    "  --config FILE     the configuration\n"
    "  --from WHERE      where the very first start begins to read: beginning (the default)\n"
    "                    or end. Later starts go on where the committed manifests stand.\n"
    "  --status SECONDS  between status lines on stderr; default 5, 0 for none\n"
    "  --when-fenced WHAT  what an instance does that led and finds that another one does:\n"
    "                    follow it (the default), or exit 7, for a supervisor to restart\n"
    "  --dry-recover     say what a start would do - checkpoint, manifests to be replayed,\n"
    "                    positions, program, from when history is whole, what would be\n"
    "                    refused - and change nothing, also beside an engine that runs\n"
    "\n"
    "A second instance with the same configuration follows the first, and takes over within\n"
    "10 s when it dies or hangs.\n"
    "Exit codes: 0 stopped, 2 wrong arguments, 3 configuration or pack refused, 4 a server\n"
    "stayed away longer than start_timeout, 5 log, topics or state do not fit, 6 failed, 7 "
    "another\n"
    "instance leads.\n";

static int usage(const char *what, const char *argument)
{
    fprintf(stderr, "tocsin run: %s%s%s\n`tocsin run --help` says what it takes.\n", what,
            argument ? " " : "", argument ? argument : "");
    return TSN_EXIT_USAGE;
}

static int run(const char *path, const struct tsn_run_options *options)
{
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct tsn_config *config = tsn_config_load(path, &diags);
    struct tsn_program *prog = config ? tsn_config_pack(config, &diags) : NULL;
    tsn_diags_print(&diags, stderr);
    tsn_diags_free(&diags);
    int code = TSN_EXIT_CONFIG;
    if (prog) {
        /* Checked here so that a mistake shows before any server is asked; the
         * engine compiles it again from the bytes that it will publish. */
        tsn_program_free(prog);
        code = tsn_run(config, options);
    }
    tsn_config_free(config);
    return code;
}

int tsn_command_run(int argc, char **argv)
{
    const char *path = NULL;
    struct tsn_run_options options = {.status_ms = 5000};
    for (int i = 1; i < argc; i += 2) {
        if (strcmp(argv[i], "--dry-recover") == 0) {
            options.dry_recover = true;
            i--;
            continue;
        }
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--help") == 0) {
            fputs(help, stdout);
            return TSN_EXIT_OK;
        }
        if (!value) {
            return usage(argv[i][0] == '-' ? "no value for" : "cannot take", argv[i]);
        }
        if (strcmp(argv[i], "--config") == 0) {
            path = value;
        } else if (strcmp(argv[i], "--from") == 0) {
            options.from_end = strcmp(value, "end") == 0;
            if (!options.from_end && strcmp(value, "beginning") != 0) {
                return usage("--from takes 'beginning' or 'end', not", value);
            }
        } else if (strcmp(argv[i], "--when-fenced") == 0) {
            options.exit_when_fenced = strcmp(value, "exit") == 0;
            if (!options.exit_when_fenced && strcmp(value, "follow") != 0) {
                return usage("--when-fenced takes 'follow' or 'exit', not", value);
            }
        } else if (strcmp(argv[i], "--status") == 0) {
            char *end;
            double seconds = strtod(value, &end);
            if (*end || end == value || !(seconds >= 0 && seconds <= 86400)) {
                return usage("--status takes seconds, not", value);
            }
            options.status_ms = (int64_t)(seconds * 1000);
        } else {
            return usage("there is no option", argv[i]);
        }
    }
    return path ? run(path, &options) : usage("--config FILE is missing", NULL);
}
