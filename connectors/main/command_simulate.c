/* tocsin simulate: writes a city's life, scams inside, as files. See
 * connectors/simulate; this file reads the arguments and prints the summary.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connectors/failure/failure.h"
#include "connectors/main/commands.h"
#include "connectors/simulate/city.h"
#include "connectors/simulate/simulate.h"

static const char usage[] =
    "usage: tocsin simulate --out DIR [OPTION ...]\n"
    "\n"
    "Writes DIR/cdr.call.ndjson, cdr.sms.ndjson, bank.txn.ndjson, line.lifecycle.ndjson in the\n"
    "order in which records arrive, and truth.ndjson: every victim, when a warning comes too\n"
    "late. Equal options give equal bytes. All numbers are fictitious.\n"
    "\n"
    "  --out DIR        where to; made if absent\n"
    "  --seed S         default 1\n"
    "  --lines N        telephone lines in the city (default 20000)\n"
    "  --minutes M      of city life (default 360)\n"
    "  --scams K        campaigns inside (default 12)\n"
    "  --start MS       event time of the first minute, ms since the epoch\n"
    "                   (default 1772413200000, 2026-03-02T01:00:00Z)\n"
    "  --start-hour H   of the local day at that minute (default 9)\n"
    "  --clean          no duplicates, late or broken records\n";

/* A whole number in [low, high], or exit code 2 with what was wrong. */
static bool read_number(const char *option, const char *text, int64_t low, int64_t high,
                        int64_t *value)
{
    char *end = NULL;
    long long number = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || number < low || number > high) {
        fprintf(stderr,
                "tocsin simulate: --%s is '%s'; write a whole number from %" PRId64 " to %" PRId64
                "\n",
                option, text, low, high);
        return false;
    }
    *value = number;
    return true;
}

struct number_option {
    const char *name;
    int64_t low;
    int64_t high;
    int64_t value;
};

enum { SEED, LINES, MINUTES, SCAMS, START, START_HOUR, N_NUMBERS };

/* 0: go on; else the exit code, plus one. */
static int read_arguments(int argc, char **argv, struct number_option numbers[N_NUMBERS],
                          struct tsn_simulate_settings *settings)
{
    struct option options[N_NUMBERS + 4] = {{0}};
    for (int i = 0; i < N_NUMBERS; i++) {
        options[i] = (struct option){numbers[i].name, required_argument, NULL, i + 1};
    }
    options[N_NUMBERS] = (struct option){"out", required_argument, NULL, 'o'};
    options[N_NUMBERS + 1] = (struct option){"clean", no_argument, NULL, 'c'};
    options[N_NUMBERS + 2] = (struct option){"help", no_argument, NULL, 'h'};
    int found;
    optind = 1;
    while ((found = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (found == 'o') {
            settings->folder = optarg;
        } else if (found == 'c') {
            settings->clean = true;
        } else if (found == 'h') {
            fputs(usage, stdout);
            return TSN_EXIT_OK + 1;
        } else if (found >= 1 && found <= N_NUMBERS) {
            struct number_option *number = &numbers[found - 1];
            if (!read_number(number->name, optarg, number->low, number->high, &number->value)) {
                return TSN_EXIT_USAGE + 1;
            }
        } else {
            fputs(usage, stderr);
            return TSN_EXIT_USAGE + 1;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "tocsin simulate: '%s' is no option\n%s", argv[optind], usage);
        return TSN_EXIT_USAGE + 1;
    }
    if (!settings->folder) {
        fprintf(stderr, "tocsin simulate: where to? write --out DIR\n%s", usage);
        return TSN_EXIT_USAGE + 1;
    }
    return 0;
}

static void show_progress(uint32_t minutes_done, void *user)
{
    const struct tsn_simulate_settings *settings = user;
    uint32_t percent = minutes_done >= settings->minutes
                           ? 100
                           : (uint32_t)((uint64_t)minutes_done * 100 / settings->minutes);
    fprintf(stderr, "\rsimulating: %3u %%", percent);
    if (percent == 100) {
        fputc('\n', stderr);
    }
}

static void print_result(const struct tsn_simulate_settings *settings,
                         const struct tsn_simulate_result *result)
{
    uint64_t total = 0;
    for (int i = 0; i < TSN_TAPE_TOPICS; i++) {
        printf("%10" PRIu64 "  %s/%s.ndjson\n", result->records.records[i], settings->folder,
               tsn_tape_topic_name((enum tsn_tape_topic)i));
        total += result->records.records[i];
    }
    printf("%10u  %s/truth.ndjson\n", result->victims, settings->folder);
    printf("%" PRIu64 " records, %" PRIu64 " bytes; %" PRIu64 " duplicates, %" PRIu64
           " late, %" PRIu64 " broken among them\n",
           total, result->records.bytes, result->records.duplicates, result->records.late,
           result->records.broken);
}

int tsn_command_simulate(int argc, char **argv)
{
    struct number_option numbers[N_NUMBERS] = {
        [SEED] = {"seed", 0, INT64_MAX, 1},
        [LINES] = {"lines", 10, TSN_CITY_LINES_MAX - 1000000, 20000},
        [MINUTES] = {"minutes", 10, 1440 * 60, 360},
        [SCAMS] = {"scams", 0, 10000, 12},
        [START] = {"start", 946684800000, 4102444800000, 1772413200000},
        [START_HOUR] = {"start-hour", 0, 23, 9},
    };
    struct tsn_simulate_settings settings = {.folder = NULL};
    int stop = read_arguments(argc, argv, numbers, &settings);
    if (stop) {
        return stop - 1;
    }
    settings.seed = (uint64_t)numbers[SEED].value;
    settings.n_lines = (uint32_t)numbers[LINES].value;
    settings.minutes = (uint32_t)numbers[MINUTES].value;
    settings.n_scams = (uint32_t)numbers[SCAMS].value;
    settings.start_ms = numbers[START].value;
    settings.start_hour = (uint32_t)numbers[START_HOUR].value;

    struct tsn_simulate_result result = {.victims = 0};
    struct tsn_failure failure = {.remedy = TSN_REMEDY_NONE};
    bool to_person = isatty(STDERR_FILENO);
    if (!tsn_simulate(&settings, to_person ? show_progress : NULL, &settings, &result, &failure)) {
        fprintf(stderr, "tocsin simulate: %s\n", failure.text);
        return failure.remedy == TSN_REMEDY_CONFIG ? TSN_EXIT_CONFIG : TSN_EXIT_FATAL;
    }
    print_result(&settings, &result);
    return TSN_EXIT_OK;
}
