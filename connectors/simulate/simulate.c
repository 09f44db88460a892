#include "connectors/simulate/simulate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "connectors/simulate/campaign.h"
#include "connectors/simulate/city.h"
#include "connectors/simulate/life.h"

enum { SLICE_MINUTES = TSN_LIFE_SLICE_MS / 60000 };

static bool plant(const struct tsn_simulate_settings *settings, const struct tsn_city *city,
                  struct tsn_tape *tape, uint32_t *victims, struct tsn_failure *failure)
{
    char path[512];
    int len = snprintf(path, sizeof path, "%s/truth.ndjson", settings->folder);
    FILE *truth = len < (int)sizeof path ? fopen(path, "w") : NULL;
    if (!truth) {
        return tsn_fail(failure, TSN_REMEDY_CONFIG, "%s: cannot write this file: %s", path,
                        strerror(errno));
    }
    *victims = tsn_campaigns_plant(
        &(struct tsn_campaigns){
            .city = city,
            .tape = tape,
            .truth = truth,
            .start_ms = settings->start_ms,
            .end_ms = settings->start_ms + (int64_t)settings->minutes * 60000,
        },
        settings->n_scams);
    if (fclose(truth) != 0) {
        return tsn_fail(failure, TSN_REMEDY_FATAL, "%s: cannot write: %s", path, strerror(errno));
    }
    return true;
}

static bool live(const struct tsn_simulate_settings *settings, const struct tsn_city *city,
                 struct tsn_tape *tape, void (*progress)(uint32_t minutes_done, void *user),
                 void *user, struct tsn_failure *failure)
{
    struct tsn_life life = {
        .city = city,
        .tape = tape,
        .start_ms = settings->start_ms,
        .start_minute = settings->start_hour * 60,
    };
    uint32_t slices = (settings->minutes + SLICE_MINUTES - 1) / SLICE_MINUTES;
    tsn_life_history(&life, slices);
    for (uint32_t slice = 0; slice < slices; slice++) {
        tsn_life_slice(&life, slice);
        int64_t until_ms = life.start_ms + (int64_t)(slice + 1) * TSN_LIFE_SLICE_MS;
        if (!tsn_tape_flush(tape, until_ms, failure)) {
            return false;
        }
        if (progress) {
            progress((slice + 1) * SLICE_MINUTES, user);
        }
    }
    /* Calls that end after the last minute still end. */
    return tsn_tape_flush(tape, INT64_MAX, failure);
}

bool tsn_simulate(const struct tsn_simulate_settings *settings,
                  void (*progress)(uint32_t minutes_done, void *user), void *user,
                  struct tsn_simulate_result *result, struct tsn_failure *failure)
{
    struct tsn_tape *tape =
        tsn_tape_open(settings->folder, settings->seed, !settings->clean, failure);
    if (!tape) {
        return false;
    }
    struct tsn_city *city = tsn_city_new(settings->seed, settings->n_lines);
    bool ok = plant(settings, city, tape, &result->victims, failure) &&
              live(settings, city, tape, progress, user, failure);
    tsn_city_free(city);
    result->records = tsn_tape_counts(tape);
    struct tsn_failure on_close;
    if (!tsn_tape_close(tape, &on_close) && ok) {
        *failure = on_close;
        ok = false;
    }
    return ok;
}
