/* Instants: RFC 3339 date-times -> milliseconds since the epoch. */
#ifndef TSN_CONNECTORS_DECODE_INSTANT_H
#define TSN_CONNECTORS_DECODE_INSTANT_H

#include <stdbool.h>
#include <stddef.h>

#include "rules/column/column.h"

/* RFC 3339 section 5.6, years 0001 to 9999: 2026-01-02T03:04:05.678+08:00. 'T' and
 * 'Z' in either case, a space for the T as its note allows; an offset is required
 * (a time without one names 26 hours). Fractions beyond milliseconds are cut; the
 * leap second :60 is the second that follows. */
bool tsn_instant_rfc3339(const char *p, size_t len, tsn_event_ms *out);

/* Days from 1970-01-01 of a Gregorian date (Hinnant, days_from_civil). */
long tsn_instant_days(int year, int month, int day);

/* Bounds of what a timestamp can hold: the years 0001 to 9999. */
#define TSN_INSTANT_MIN_MS (INT64_C(-62135596800000))
#define TSN_INSTANT_MAX_MS (INT64_C(253402300799999))

#endif
