/* Numbers from their text, exactly: no double stands between an amount and its
 * integer. The text is a number by JSON's grammar (RFC 8259 section 6).
 */
#ifndef TSN_CONNECTORS_DECODE_DECIMAL_H
#define TSN_CONNECTORS_DECODE_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tsn_decimal {
    TSN_DECIMAL_OK,
    TSN_DECIMAL_BAD,      /* not a number by the grammar */
    TSN_DECIMAL_DECIMALS, /* more decimals than asked for, and they are not zero */
    TSN_DECIMAL_RANGE,    /* beyond 64 bits */
};

/* Is the whole text one JSON number? */
bool tsn_decimal_is(const char *p, size_t len);

/* value * 10^decimals as an integer: "1.50" with 2 decimals is 150, "1e3" with 0
 * is 1000. decimals 0 to 9. */
enum tsn_decimal tsn_decimal_scaled(const char *p, size_t len, unsigned decimals, int64_t *out);

/* The same, decimals beyond the last cut towards minus infinity: for instants. */
enum tsn_decimal tsn_decimal_floor(const char *p, size_t len, unsigned decimals, int64_t *out);

/* The nearest double; RANGE beyond the largest. */
enum tsn_decimal tsn_decimal_double(const char *p, size_t len, double *out);

#endif
