/* Stage: the servers and the engine of the demo, started in order, stopped in reverse. */
#ifndef TSN_CONNECTORS_DEMO_STAGE_H
#define TSN_CONNECTORS_DEMO_STAGE_H

#include "connectors/config/config.h"
#include "connectors/demo/demo.h"
#include "connectors/demo/process.h"
#include "rules/program/program.h"

enum { TSN_STAGE_PATH_CAP = 512 };

struct tsn_stage {
    const struct tsn_demo_settings *settings;
    char bootstrap[64];
    char socket[TSN_STAGE_PATH_CAP];
    char config_path[TSN_STAGE_PATH_CAP];
    char key_path[TSN_STAGE_PATH_CAP];
    char logs[3][TSN_STAGE_PATH_CAP]; /* broker, redis, engine */
    struct tsn_process broker, redis, engine;
    struct tsn_config *config; /* as the engine reads it */
    struct tsn_program *prog;
};

/* Makes folder, broker with its topics, Redis, configuration, engine. What was
 * started before a failure is for tsn_stage_strike to stop. */
bool tsn_stage_set(struct tsn_stage *stage, const struct tsn_demo_settings *settings,
                   struct tsn_failure *failure);

/* False when one of the processes has ended by itself; the failure names its log. */
bool tsn_stage_stands(struct tsn_stage *stage, struct tsn_failure *failure);

/* Stops engine, Redis, broker. Returns the engine's exit code (-1: killed or never
 * started). */
int tsn_stage_strike(struct tsn_stage *stage);

#endif
