/* Numbers: text <-> int and double, and comparison without rounding.
 *
 * strtod and printf do the conversions: both round correctly and neither depends
 * on the locale as tocsin never sets one.
 */
#include "rules/expr/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum tsn_order tsn_double_compare(double a, double b)
{
    return a < b    ? TSN_ORDER_LESS
           : a > b  ? TSN_ORDER_GREATER
           : a == b ? TSN_ORDER_EQUAL
                    : TSN_ORDER_NONE;
}

enum tsn_order tsn_number_compare(int64_t i, double d)
{
    if (isnan(d)) {
        return TSN_ORDER_NONE;
    }
    if (d >= 0x1p63) {
        return TSN_ORDER_LESS;
    }
    if (d < -0x1p63) {
        return TSN_ORDER_GREATER;
    }
    int64_t whole = (int64_t)d; /* toward zero; the rest is exact in a double */
    if (i != whole) {
        return i < whole ? TSN_ORDER_LESS : TSN_ORDER_GREATER;
    }
    return tsn_double_compare(0.0, d - (double)whole);
}

double tsn_number_power_of_ten(unsigned exponent)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8, 1e9,
                                    1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};
    return powers[exponent <= 18 ? exponent : 18];
}

bool tsn_number_int(struct tsn_str text, int64_t *out)
{
    uint32_t at = 0;
    bool negative = text.len && text.p[0] == '-';
    if (text.len && (text.p[0] == '-' || text.p[0] == '+')) {
        at++;
    }
    if (at == text.len) {
        return false;
    }
    int64_t value = 0;
    for (; at < text.len; at++) {
        int digit = text.p[at] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, negative ? -digit : digit, &value)) {
            return false;
        }
    }
    *out = value;
    return true;
}

static uint32_t digits_at(const char *p, uint32_t at)
{
    uint32_t n = 0;
    while (p[at + n] >= '0' && p[at + n] <= '9') {
        n++;
    }
    return n;
}

/* [+-] digits [. digits] [e [+-] digits], or . digits; NUL-terminated. */
static bool is_decimal(const char *p, uint32_t len)
{
    uint32_t at = p[0] == '-' || p[0] == '+';
    uint32_t whole = digits_at(p, at);
    at += whole;
    uint32_t part = 0;
    if (p[at] == '.') {
        part = digits_at(p, at + 1);
        at += 1 + part;
    }
    if (whole + part == 0) {
        return false;
    }
    if (p[at] == 'e' || p[at] == 'E') {
        at++;
        at += p[at] == '-' || p[at] == '+';
        uint32_t digits = digits_at(p, at);
        if (digits == 0) {
            return false;
        }
        at += digits;
    }
    return at == len;
}

bool tsn_number_double(struct tsn_str text, double *out)
{
    char copy[512]; /* longer ones are no numbers that anybody means */
    if (text.len == 0 || text.len >= sizeof copy) {
        return false;
    }
    memcpy(copy, text.p, text.len);
    copy[text.len] = '\0';
    const char *word = copy + (copy[0] == '-' || copy[0] == '+');
    if (strlen(copy) == text.len &&
        (strcasecmp(word, "inf") == 0 || strcasecmp(word, "infinity") == 0)) {
        *out = copy[0] == '-' ? -HUGE_VAL : HUGE_VAL;
        return true;
    }
    if (strlen(copy) == text.len && strcasecmp(word, "nan") == 0) {
        *out = (double)NAN;
        return true;
    }
    if (!is_decimal(copy, text.len)) {
        return false;
    }
    *out = strtod(copy, NULL);
    return !isinf(*out);
}

size_t tsn_number_print(double d, char out[32])
{
    if (isnan(d)) {
        return (size_t)snprintf(out, 32, "NaN");
    }
    if (isinf(d)) {
        return (size_t)snprintf(out, 32, d < 0 ? "-Infinity" : "Infinity");
    }
    char digits[32];
    int precision = 15;
    for (; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*e", precision - 1, d);
        if (strtod(digits, NULL) == d) {
            break;
        }
    }
    precision = precision > 17 ? 17 : precision;
    int exponent = atoi(strchr(digits, 'e') + 1);
    if (exponent < -6 || exponent > 20) {
        size_t len = (size_t)snprintf(out, 32, "%.*g", precision, d);
        return len;
    }
    int decimals = precision - 1 - exponent;
    size_t len = (size_t)snprintf(out, 32, "%.*f", decimals > 0 ? decimals : 0, d);
    if (decimals > 0) { /* zeros that the fixed precision left behind */
        while (out[len - 1] == '0') {
            len--;
        }
        len -= out[len - 1] == '.';
        out[len] = '\0';
    }
    return len;
}

bool tsn_number_truncate(double d, int64_t *out)
{
    if (!(d > -0x1p63 && d < 0x1p63)) {
        return false;
    }
    *out = (int64_t)d;
    return true;
}
