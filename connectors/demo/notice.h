/* Notice: an alert of the alerts topic as lines that a person reads.
 *
 * Numbers are shown as their first and last digits: what is printed is not the alerts
 * topic, which only few may read.
 */
#ifndef TSN_CONNECTORS_DEMO_NOTICE_H
#define TSN_CONNECTORS_DEMO_NOTICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "connectors/demo/member.h"
#include "rules/program/program.h"

/* The parts of an alert that are shown; all of them belong to its JSON. */
struct tsn_notice {
    cJSON *json;
    const char *typology;
    const char *level;
    const char *entity;
    const char *event_id;  /* of the event that raised it */
    const char *template_; /* of the SMS; "": none */
    const char *sms_to;
    const cJSON *params;   /* of the SMS, or NULL */
    const cJSON *evidence; /* the hits, or NULL */
    int64_t time_ms;
    bool shadow;
};

/* False, with nothing to free, if it is not an alert (see docs/alert.schema.json). */
bool tsn_notice_read(const char *json, size_t len, struct tsn_notice *notice);
void tsn_notice_free(struct tsn_notice *notice);

/* "+9991...3819": at most its first five and last four characters. */
void tsn_notice_mask(const char *text, char *out, size_t cap);

/* clock: "10:42:31". prog gives the words of the SMS. colour: for a terminal. */
void tsn_notice_print(const struct tsn_notice *notice, const char *clock,
                      const struct tsn_program *prog, bool colour, FILE *out);

/* RFC 3339 in UTC, as alerts write it -> ms since the epoch; INT64_MIN if it is not. */
int64_t tsn_notice_time(const char *text);

#endif
