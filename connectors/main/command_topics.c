/* tocsin topics: which topics must exist, with partitions and settings, and whether
 * they do; --create makes what is missing. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "connectors/config/config.h"
#include "connectors/failure/failure.h"
#include "connectors/kafka/kafka.h"
#include "connectors/main/commands.h"
#include "connectors/run/clock.h"
#include "rules/diag/diag.h"

static const char help[] =
    "usage: tocsin topics --config FILE [--create] [--partitions N] [--replication N]\n"
    "\n"
    "Prints the topics that the configuration names: partitions and settings they should\n"
    "have, and whether they are there. Exit 0 when all are as they must be, 5 when not, 4\n"
    "when no broker answered within the configuration's start_timeout.\n"
    "\n"
    "  --create          make the missing ones\n"
    "  --partitions N    of sources and alerts that are made; default 12\n"
    "  --replication N   of all that are made; default: the broker's own\n";

enum { TOPICS_MAX = 512, ASK_MS = 10000, PIECE_MS = 3000, ASK_MIN_MS = 500 };

struct wanted {
    const char *name;
    const char *role;
    int32_t partitions; /* when it is made */
    bool exact;         /* must have exactly that many */
    bool no_compaction;
    size_t n_settings;
    struct tsn_property settings[3];
};

struct arguments {
    const char *path;
    bool create;
    int32_t partitions;
    int replication;
};

static size_t list_wanted(const struct tsn_config *config, const struct arguments *args,
                          struct wanted *wanted)
{
    static const struct tsn_property keep = {"retention.ms", "-1"};
    static const struct tsn_property delete = {"cleanup.policy", "delete"};
    static const struct tsn_property compact = {"cleanup.policy", "compact"};
    size_t n = 0;
    for (size_t i = 0; i < config->n_sources && n < TOPICS_MAX - 8; i++) {
        wanted[n++] = (struct wanted){.name = config->sources[i].name,
                                      .role = "source",
                                      .partitions = args->partitions,
                                      .no_compaction = true,
                                      .n_settings = 1,
                                      .settings = {delete}};
    }
    wanted[n++] = (struct wanted){
        config->topics.alerts, "alerts", args->partitions, false, true, 1, {delete}};
    wanted[n++] = (struct wanted){
        config->topics.rejects, "rejects", args->partitions, false, true, 1, {delete}};
    wanted[n++] =
        (struct wanted){config->topics.manifest, "manifest", 1, true, true, 2, {delete, keep}};
    wanted[n++] =
        (struct wanted){config->topics.programs, "programs", 1, false, false, 1, {compact}};
    if (config->topics.held) {
        wanted[n++] = (struct wanted){
            config->topics.held, "held", args->partitions, false, true, 1, {delete}};
    }
    return n;
}

/* Says in `state` how the topic is; true if it is as it must be. */
static bool inspect(struct tsn_kafka *kafka, const struct wanted *wanted, int32_t n_partitions,
                    char *state, size_t cap)
{
    char policy[64] = "";
    struct tsn_failure failure;
    if (n_partitions == 0) {
        snprintf(state, cap, "missing");
        return false;
    }
    if (wanted->exact && n_partitions != wanted->partitions) {
        snprintf(state, cap, "has %d partitions, must have %d", (int)n_partitions,
                 (int)wanted->partitions);
        return false;
    }
    if (!tsn_kafka_topic_setting(kafka, wanted->name, "cleanup.policy", policy, sizeof policy,
                                 ASK_MS, &failure)) {
        snprintf(state, cap, "exists, %d partitions; its settings cannot be read",
                 (int)n_partitions);
        return true;
    }
    if (wanted->no_compaction && strstr(policy, "compact")) {
        snprintf(state, cap,
                 "is compacted (cleanup.policy=%s): it cannot be replayed; set "
                 "cleanup.policy=delete",
                 policy);
        return false;
    }
    snprintf(state, cap, "exists, %d partitions", (int)n_partitions);
    return true;
}

static void print_row(const struct wanted *wanted, int widest, const char *state)
{
    printf("%-*s  %-9s %10d  ", widest, wanted->name, wanted->role, (int)wanted->partitions);
    char settings[128] = "";
    size_t at = 0;
    for (size_t i = 0; i < wanted->n_settings; i++) {
        at += (size_t)snprintf(settings + at, sizeof settings - at, "%s%s=%s", i ? "," : "",
                               wanted->settings[i].key, wanted->settings[i].value);
    }
    printf("%-38s %s\n", settings, state);
}

static void look_again_later(void)
{
    nanosleep(&(struct timespec){0, 50 * 1000000}, NULL);
}

/* A broker answers that a topic is made before it shows it to others: who starts the engine
 * next must find it. */
static bool await_created(struct tsn_kafka *kafka, struct tsn_topic_count *counts, size_t n,
                          struct tsn_failure *failure)
{
    int64_t until_ms = tsn_clock_monotonic_ms() + ASK_MS;
    for (;;) {
        size_t n_absent = 0;
        if (!tsn_kafka_count(kafka, counts, n, ASK_MS, failure)) {
            return false;
        }
        for (size_t i = 0; i < n; i++) {
            n_absent += counts[i].n_partitions == 0;
        }
        if (n_absent == 0) {
            return true;
        }
        if (tsn_clock_monotonic_ms() > until_ms) {
            return tsn_fail(failure, TSN_REMEDY_RETRY,
                            "%zu topics were created but the brokers do not show them yet; look "
                            "again with `tocsin topics`",
                            n_absent);
        }
        look_again_later();
    }
}

/* The first question waits for absent brokers as long as `tocsin run` would; asked in
 * pieces, because a wrong password shows only between two of them. */
static bool count_patiently(struct tsn_kafka *kafka, const struct tsn_config *config,
                            struct tsn_topic_count *counts, size_t n, struct tsn_failure *failure)
{
    int64_t until_ms = tsn_clock_monotonic_ms() + config->start_timeout_ms;
    for (bool told = false;; told = true) {
        int64_t left_ms = until_ms - tsn_clock_monotonic_ms();
        int64_t ask_ms = left_ms < PIECE_MS ? left_ms : PIECE_MS;
        if (tsn_kafka_count(kafka, counts, n, (int)(ask_ms < ASK_MIN_MS ? ASK_MIN_MS : ask_ms),
                            failure)) {
            return true;
        }
        if (failure->remedy != TSN_REMEDY_RETRY) {
            return false;
        }
        if (left_ms <= PIECE_MS) {
            char text[sizeof failure->text];
            memcpy(text, failure->text, sizeof text);
            return tsn_fail(failure, TSN_REMEDY_RETRY,
                            "%.400s (gave up after start_timeout, %" PRId64 " s)", text,
                            config->start_timeout_ms / 1000);
        }
        if (!told) {
            fprintf(stderr, "tocsin: %s; waiting for up to %" PRId64 " s\n", failure->text,
                    left_ms / 1000);
        }
        look_again_later();
    }
}

static int go_through(struct tsn_kafka *kafka, const struct tsn_config *config,
                      const struct arguments *args, struct tsn_failure *failure)
{
    static struct wanted wanted[TOPICS_MAX];
    static struct tsn_topic_count counts[TOPICS_MAX];
    size_t n = list_wanted(config, args, wanted);
    int widest = (int)strlen("topic");
    for (size_t i = 0; i < n; i++) {
        int len = (int)strlen(wanted[i].name);
        counts[i].name = wanted[i].name;
        widest = len > widest ? len : widest;
    }
    if (!count_patiently(kafka, config, counts, n, failure)) {
        return TSN_EXIT_UNAVAILABLE;
    }
    printf("%-*s  %-9s %10s  %-38s %s\n", widest, "topic", "role", "partitions", "settings",
           "state");
    int code = TSN_EXIT_OK;
    bool any_created = false;
    for (size_t i = 0; i < n; i++) {
        char state[200];
        bool fits = inspect(kafka, &wanted[i], counts[i].n_partitions, state, sizeof state);
        if (counts[i].n_partitions == 0 && args->create) {
            if (!tsn_kafka_topic_create(kafka, wanted[i].name, wanted[i].partitions,
                                        args->replication, wanted[i].settings, wanted[i].n_settings,
                                        ASK_MS, failure)) {
                return TSN_EXIT_REFUSED;
            }
            snprintf(state, sizeof state, "created");
            fits = any_created = true;
        }
        print_row(&wanted[i], widest, state);
        code = fits ? code : TSN_EXIT_REFUSED;
    }
    if (any_created && !await_created(kafka, counts, n, failure)) {
        return TSN_EXIT_UNAVAILABLE;
    }
    return code;
}

static int usage(const char *what, const char *argument)
{
    fprintf(stderr, "tocsin topics: %s%s%s\n`tocsin topics --help` says what it takes.\n", what,
            argument ? " " : "", argument ? argument : "");
    return TSN_EXIT_USAGE;
}

static int topics(const struct arguments *args)
{
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct tsn_config *config = tsn_config_load(args->path, &diags);
    tsn_diags_print(&diags, stderr);
    tsn_diags_free(&diags);
    if (!config) {
        return TSN_EXIT_CONFIG;
    }
    struct tsn_failure failure = {.remedy = TSN_REMEDY_NONE};
    struct tsn_kafka *kafka = tsn_kafka_open(config, &failure);
    int code = kafka ? go_through(kafka, config, args, &failure) : TSN_EXIT_REFUSED;
    if (failure.remedy != TSN_REMEDY_NONE) {
        fprintf(stderr, "tocsin: %s\n", failure.text);
        code = failure.remedy == TSN_REMEDY_RETRY ? TSN_EXIT_UNAVAILABLE : TSN_EXIT_REFUSED;
    }
    tsn_kafka_close(kafka);
    tsn_config_free(config);
    return code;
}

int tsn_command_topics(int argc, char **argv)
{
    struct arguments args = {.partitions = 12};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        char *end = NULL;
        if (strcmp(argv[i], "--help") == 0) {
            fputs(help, stdout);
            return TSN_EXIT_OK;
        }
        if (strcmp(argv[i], "--create") == 0) {
            args.create = true;
            continue;
        }
        if (!value) {
            return usage(argv[i][0] == '-' ? "no value for" : "cannot take", argv[i]);
        }
        if (strcmp(argv[i], "--config") == 0) {
            args.path = value;
        } else if (strcmp(argv[i], "--partitions") == 0) {
            args.partitions = (int32_t)strtol(value, &end, 10);
        } else if (strcmp(argv[i], "--replication") == 0) {
            args.replication = (int)strtol(value, &end, 10);
        } else {
            return usage("there is no option", argv[i]);
        }
        if (end && (*end || end == value || args.partitions < 1 || args.partitions > 10000 ||
                    args.replication < 0 || args.replication > 100)) {
            return usage(argv[i], "takes a positive number");
        }
        i++;
    }
    return args.path ? topics(&args) : usage("--config FILE is missing", NULL);
}
