/* Text: how values read in reasons, message parameters and alerts.
 *
 * One writing for each value, whatever the locale: doubles in the fewest digits
 * that read back as the same double, money with the digits of its currency, times
 * as RFC 3339 in UTC, durations as 1h5m. Called where a hit is captured and by
 * connectors/wire; costs about a microsecond a value, and hits are sparse.
 */
#ifndef TSN_ENGINE_ALERT_TEXT_H
#define TSN_ENGINE_ALERT_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "rules/column/column.h"
#include "rules/expr/expr.h"

/* Room for the longest of the writings below, and its NUL. */
enum { TSN_TEXT_MAX = 64 };

/* All return the length written; out holds TSN_TEXT_MAX bytes. */
size_t tsn_text_int(int64_t i, char *out);
/* "NaN", "Infinity" and "-Infinity" for what no decimal can say. */
size_t tsn_text_double(double d, char *out);
/* units of 10^-scale, scale at most 18: 450000 of scale 2 is "4500.00". With
 * TSN_MONEY_SCALE_ANY zeros beyond the second decimal are left out. */
size_t tsn_text_money(int64_t units, uint8_t scale, char *out);
/* "2026-03-02T09:00:00Z", with the decimals that are there. */
size_t tsn_text_time(struct tsn_time time, char *out);
size_t tsn_text_time_ms(tsn_event_ms ms, char *out);
/* "20m", "1h5m", "-1.5s", "0s". */
size_t tsn_text_duration(struct tsn_time span, char *out);

/* The text of any value but a list ("missing" and "error" for those states):
 * borrowed from the value, static, or written to `room` (TSN_TEXT_MAX bytes). */
struct tsn_str tsn_text_value(const struct tsn_value *value, char *room);

/* An entity as its last characters: at most four, at most half. "+8613909900001"
 * is "*0001". Written to `room` (TSN_TEXT_MAX bytes). */
struct tsn_str tsn_text_mask(struct tsn_str text, char *room);

/* The run of ASCII digits at the end, at most `digits` of it; may be empty.
 * Borrowed from the text. */
struct tsn_str tsn_text_tail(struct tsn_str text, uint8_t digits);

#endif
