/* tocsin demo: a city in under a minute. Arguments here, the show in connectors/demo. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "connectors/demo/demo.h"
#include "connectors/failure/failure.h"
#include "connectors/main/commands.h"

static const char usage[] =
    "usage: tocsin demo [OPTION ...]\n"
    "\n"
    "Starts an embedded broker, a private redis-server and the engine, plays a simulated\n"
    "city to them and shows the alerts as they appear, then what became of the planted\n"
    "scams. Ctrl-C stops it; nothing is left running.\n"
    "\n"
    "  --seconds S      how long to play (default 6)\n"
    "  --minutes M      of city life (default 360)\n"
    "  --lines N        telephone lines (default 50000)\n"
    "  --scams K        campaigns inside (default 20)\n"
    "  --seed S         default 1\n"
    "  --config FILE    whose sources and pack are used (default packaging/tocsin.yaml)\n"
    "  --folder DIR     for streams and logs (default build/demo)\n";

struct number_option {
    const char *name;
    long low;
    long high;
    long value;
};

enum { SECONDS, MINUTES, LINES, SCAMS, SEED, N_NUMBERS };

static bool read_number(struct number_option *option, const char *text)
{
    char *end = NULL;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < option->low || value > option->high) {
        fprintf(stderr, "tocsin demo: --%s is '%s'; write a whole number from %ld to %ld\n",
                option->name, text, option->low, option->high);
        return false;
    }
    option->value = value;
    return true;
}

/* 0: go on; else the exit code, plus one. */
static int read_arguments(int argc, char **argv, struct number_option numbers[N_NUMBERS],
                          struct tsn_demo_settings *settings)
{
    struct option options[N_NUMBERS + 4] = {{0}};
    for (int i = 0; i < N_NUMBERS; i++) {
        options[i] = (struct option){numbers[i].name, required_argument, NULL, i + 1};
    }
    options[N_NUMBERS] = (struct option){"config", required_argument, NULL, 'c'};
    options[N_NUMBERS + 1] = (struct option){"folder", required_argument, NULL, 'f'};
    options[N_NUMBERS + 2] = (struct option){"help", no_argument, NULL, 'h'};
    int found;
    optind = 1;
    while ((found = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (found == 'c') {
            settings->config = optarg;
        } else if (found == 'f') {
            settings->folder = optarg;
        } else if (found == 'h') {
            fputs(usage, stdout);
            return TSN_EXIT_OK + 1;
        } else if (found < 1 || found > N_NUMBERS) {
            fputs(usage, stderr);
            return TSN_EXIT_USAGE + 1;
        } else if (!read_number(&numbers[found - 1], optarg)) {
            return TSN_EXIT_USAGE + 1;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "tocsin demo: '%s' is no option\n%s", argv[optind], usage);
        return TSN_EXIT_USAGE + 1;
    }
    return 0;
}

int tsn_command_demo(int argc, char **argv)
{
    struct number_option numbers[N_NUMBERS] = {
        [SECONDS] = {"seconds", 5, 3600, 6},      [MINUTES] = {"minutes", 30, 1440, 360},
        [LINES] = {"lines", 1000, 500000, 50000}, [SCAMS] = {"scams", 0, 1000, 20},
        [SEED] = {"seed", 0, 1000000000, 1},
    };
    char self[512];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len < 0) {
        fprintf(stderr, "tocsin demo: /proc is not mounted\n");
        return TSN_EXIT_FATAL;
    }
    self[len] = '\0';
    struct tsn_demo_settings settings = {
        .config = "packaging/tocsin.yaml",
        .folder = "build/demo",
        .program = self,
    };
    int stop = read_arguments(argc, argv, numbers, &settings);
    if (stop) {
        return stop - 1;
    }
    settings.seconds = (uint32_t)numbers[SECONDS].value;
    settings.minutes = (uint32_t)numbers[MINUTES].value;
    settings.n_lines = (uint32_t)numbers[LINES].value;
    settings.n_scams = (uint32_t)numbers[SCAMS].value;
    settings.seed = (uint64_t)numbers[SEED].value;
    return tsn_demo(&settings);
}
