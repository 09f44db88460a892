/* Times: timestamps and durations as text and as calendar parts; see time.c. */
#ifndef TSN_RULES_EXPR_TIME_H
#define TSN_RULES_EXPR_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/column/column.h"

/* Years 0001 to 9999. */
#define TSN_TIME_MIN_S INT64_C(-62135596800)
#define TSN_TIME_MAX_S INT64_C(253402300799)

static inline int tsn_time_compare(struct tsn_time a, struct tsn_time b)
{
    if (a.s != b.s) {
        return a.s < b.s ? -1 : 1;
    }
    return a.ns < b.ns ? -1 : a.ns > b.ns;
}

struct tsn_time tsn_time_from_ms(int64_t ms);

/* a + b, or a - b; false on overflow of the 64 bits. */
bool tsn_time_add(struct tsn_time a, struct tsn_time b, struct tsn_time *out);
bool tsn_time_subtract(struct tsn_time a, struct tsn_time b, struct tsn_time *out);

/* Years 0001 to 9999? */
bool tsn_time_is_timestamp(struct tsn_time t);
/* Within 64 bits of nanoseconds (about 292 years), as in the reference? */
bool tsn_time_is_duration(struct tsn_time t);

/* RFC 3339, at most nine decimals; false if it is not one. */
bool tsn_time_parse_timestamp(struct tsn_str text, struct tsn_time *out);
/* CEL: "1h30m", "-1.5s", "0"; units h m s ms us ns. */
bool tsn_time_parse_duration(struct tsn_str text, struct tsn_time *out);

/* At most 35 bytes ("2009-02-13T23:31:30.5Z"); returns how many. */
size_t tsn_time_print(struct tsn_time t, char out[40]);
/* Seconds: "3600s", "-0.5s". */
size_t tsn_time_print_duration(struct tsn_time t, char out[40]);

struct tsn_civil {
    int64_t year;
    int month;       /* 0 .. 11 */
    int day;         /* of the month, 0 .. 30 */
    int day_of_year; /* 0 .. 365 */
    int day_of_week; /* 0: Sunday */
    int hour, minute, second;
};

/* Proleptic Gregorian; `s` is already shifted to the zone. */
struct tsn_civil tsn_time_civil(int64_t s);
/* Days since the epoch of a date, month and day from 1. */
int64_t tsn_time_days(int64_t year, int month, int day);

#endif
