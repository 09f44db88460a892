/* Numbers: text <-> int and double, and comparison without rounding; see number.c. */
#ifndef TSN_RULES_EXPR_NUMBER_H
#define TSN_RULES_EXPR_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/column/column.h"

/* What a comparison of two values can be. */
enum tsn_order {
    TSN_ORDER_LESS = -1,
    TSN_ORDER_EQUAL = 0,
    TSN_ORDER_GREATER = 1,
    TSN_ORDER_NONE = 2
};

/* On one number line, never through rounding; NaN has no order. */
enum tsn_order tsn_number_compare(int64_t i, double d);
enum tsn_order tsn_double_compare(double a, double b);

/* 10^0 ... 10^18. */
double tsn_number_power_of_ten(unsigned exponent);

/* Decimal with an optional sign; false if it is not one or does not fit. */
bool tsn_number_int(struct tsn_str text, int64_t *out);

/* Decimal with point and exponent, or [+-]inf, infinity, nan in any case; false
 * if it is neither or too large. */
bool tsn_number_double(struct tsn_str text, double *out);

/* The shortest decimal text that reads back as the same double: plain between
 * 1e-6 and 1e21, with an exponent outside; "NaN", "Infinity", "-Infinity". At
 * most 31 bytes; returns how many. */
size_t tsn_number_print(double d, char out[32]);

/* Truncates; false outside of (-2^63, 2^63) and for NaN. */
bool tsn_number_truncate(double d, int64_t *out);

#endif
