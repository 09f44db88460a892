/* Watch: reads what the engine publishes while it does: alerts, rejects, manifests. */
#ifndef TSN_CONNECTORS_DEMO_WATCH_H
#define TSN_CONNECTORS_DEMO_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "connectors/config/config.h"
#include "connectors/demo/player.h"
#include "connectors/demo/truth.h"
#include "rules/program/program.h"

struct tsn_watch;

enum { TSN_WATCH_TYPOLOGIES_MAX = 64 };

struct tsn_watch_settings {
    const struct tsn_config *config;
    const struct tsn_program *prog;
    const struct tsn_player *player;
    struct tsn_truth *truth;
    int64_t start_ms;    /* of the city, with ... */
    uint32_t start_hour; /* ... its local hour then */
    bool colour;
};

struct tsn_watch_counts {
    uint64_t alerts, shadow, rejects;
    uint64_t processed; /* records that committed manifests say were processed */
    size_t n_typologies;
    struct {
        char name[64];
        uint64_t alerts, on_victims;
    } typologies[TSN_WATCH_TYPOLOGIES_MAX];
    size_t n_latencies;          /* alerts whose event the player knows */
    const int64_t *latencies_us; /* sent -> alert read; unsorted */
};

struct tsn_watch *tsn_watch_open(const struct tsn_watch_settings *settings,
                                 struct tsn_failure *failure);
void tsn_watch_close(struct tsn_watch *watch);

/* A descriptor to wait on for more. */
int tsn_watch_fd(const struct tsn_watch *watch);

/* Takes what has come, prints alerts to stdout. elapsed_us: now, on the player's
 * clock. before_line is called before the first line that is printed (may be NULL). */
bool tsn_watch_look(struct tsn_watch *watch, int64_t elapsed_us, void (*before_line)(void),
                    struct tsn_failure *failure);

struct tsn_watch_counts tsn_watch_counts(const struct tsn_watch *watch);

#endif
