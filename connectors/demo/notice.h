/* Notice: an alert of the alerts topic as lines that a person reads.
 *
 * Numbers are shown as their first and last digits: what is printed is not the alerts
 * topic, which only few may read.
 */
#ifndef TSN_CONNECTORS_DEMO_NOTICE_H
#define TSN_CONNECTORS_DEMO_NOTICE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "connectors/demo/text.h"
#include "rules/program/program.h"

/* The parts of an alert that are shown; texts point into its JSON. */
struct tsn_notice {
    struct tsn_text typology;
    struct tsn_text level;
    struct tsn_text entity;
    struct tsn_text event_id;  /* of the event that raised it */
    struct tsn_text template_; /* of the SMS; empty: none */
    struct tsn_text sms_to;
    const char *params;   /* behind "params": in the JSON, or NULL */
    const char *evidence; /* behind "evidence":, or NULL */
    int64_t time_ms;
    bool shadow;
};

/* False if it is not an alert (see docs/alert.schema.json). json is NUL-terminated. */
bool tsn_notice_read(const char *json, struct tsn_notice *notice);

/* "+9991...3819": at most its first five and last four characters. */
void tsn_notice_mask(struct tsn_text text, char *out, size_t cap);

/* clock: "10:42:31". prog gives the words of the SMS. colour: for a terminal. */
void tsn_notice_print(const struct tsn_notice *notice, const char *clock,
                      const struct tsn_program *prog, bool colour, FILE *out);

/* RFC 3339 in UTC, as alerts write it -> ms since the epoch; INT64_MIN if it is not. */
int64_t tsn_notice_time(struct tsn_text text);

#endif
