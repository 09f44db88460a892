/* tocsin broker: the embedded broker in a process of its own, for the demo and a
 * first look. Prints host:port, then serves until it is stopped or its parent ends.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "connectors/failure/failure.h"
#include "connectors/kafka/mock_broker.h"
#include "connectors/main/commands.h"

static const char usage[] =
    "usage: tocsin broker TOPIC=PARTITIONS ...\n"
    "\n"
    "Starts the embedded broker with these topics on a free port of 127.0.0.1, prints\n"
    "host:port and serves until it gets SIGTERM or its parent ends. Nothing is kept. It is\n"
    "for demos: it cannot show exactly-once, and keeps about 5 MiB a partition.\n";

enum { TOPICS_MAX = 64 };

/* Cuts TOPIC=PARTITIONS in place. */
static bool read_topic(char *text, struct tsn_mock_topic *topic)
{
    char *equals = strchr(text, '=');
    char *end = NULL;
    long n = equals ? strtol(equals + 1, &end, 10) : 0;
    if (!equals || equals == text || end == equals + 1 || *end != '\0' || n < 1 || n > 1000) {
        fprintf(stderr,
                "tocsin broker: '%s': write TOPIC=PARTITIONS with 1 to 1000 partitions, such as "
                "cdr.call=4\n",
                text);
        return false;
    }
    *equals = '\0';
    *topic = (struct tsn_mock_topic){.name = text, .n_partitions = (int32_t)n};
    return true;
}

int tsn_command_broker(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return TSN_EXIT_OK;
    }
    if (argc < 2 || argc > TOPICS_MAX + 1) {
        fputs(usage, stderr);
        return TSN_EXIT_USAGE;
    }
    struct tsn_mock_topic topics[TOPICS_MAX];
    for (int i = 1; i < argc; i++) {
        if (!read_topic(argv[i], &topics[i - 1])) {
            return TSN_EXIT_USAGE;
        }
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    pthread_sigmask(SIG_BLOCK, &stop, NULL); /* before threads exist, so that all inherit it */

    struct tsn_failure failure = {.remedy = TSN_REMEDY_NONE};
    struct tsn_mock_broker *broker = tsn_mock_broker_start(topics, (size_t)argc - 1, &failure);
    if (!broker) {
        fprintf(stderr, "tocsin broker: %s\n", failure.text);
        return failure.remedy == TSN_REMEDY_CONFIG ? TSN_EXIT_CONFIG : TSN_EXIT_FATAL;
    }
    printf("%s\n", tsn_mock_broker_bootstrap(broker));
    fflush(stdout);
    int caught = 0;
    sigwait(&stop, &caught);
    tsn_mock_broker_stop(broker);
    return TSN_EXIT_OK;
}
