#include "connectors/decode/decimal.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rules/must/must.h"

/* A number taken apart: its digits before and after the point, and its exponent. */
struct parts {
    bool negative;
    const char *whole; /* digits before the point */
    size_t n_whole;
    const char *fraction;
    size_t n_fraction;
    int32_t exponent; /* held within +-100000: beyond any text's digits */
};

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

static bool take_apart(const char *p, size_t len, struct parts *out)
{
    const char *end = p + len;
    *out = (struct parts){0};
    if (p < end && *p == '-') {
        out->negative = true;
        p++;
    }
    out->whole = p;
    while (p < end && is_digit(*p)) {
        p++;
    }
    out->n_whole = (size_t)(p - out->whole);
    if (out->n_whole == 0 || (out->n_whole > 1 && out->whole[0] == '0')) {
        return false;
    }
    if (p < end && *p == '.') {
        out->fraction = ++p;
        while (p < end && is_digit(*p)) {
            p++;
        }
        out->n_fraction = (size_t)(p - out->fraction);
        if (out->n_fraction == 0) {
            return false;
        }
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        bool minus = ++p < end && *p == '-';
        if (p < end && (*p == '-' || *p == '+')) {
            p++;
        }
        const char *digits = p;
        for (; p < end && is_digit(*p); p++) {
            if (out->exponent < 100000) {
                out->exponent = out->exponent * 10 + (*p - '0');
            }
        }
        if (p == digits) {
            return false;
        }
        out->exponent = minus ? -out->exponent : out->exponent;
    }
    return p == end;
}

bool tsn_decimal_is(const char *p, size_t len)
{
    struct parts parts;
    return take_apart(p, len, &parts);
}

/* The digits before 10^-decimals make the integer; *rest tells whether any digit
 * after them is not zero. False beyond 64 bits unsigned. */
static bool digits_scaled(const struct parts *parts, unsigned decimals, uint64_t *out, bool *rest)
{
    size_t n = parts->n_whole + parts->n_fraction;
    int64_t keep = (int64_t)parts->n_whole + parts->exponent + (int64_t)decimals;
    uint64_t value = 0;
    *rest = false;
    for (size_t i = 0; i < n; i++) {
        unsigned digit = (unsigned)((i < parts->n_whole ? parts->whole[i]
                                                        : parts->fraction[i - parts->n_whole]) -
                                    '0');
        if ((int64_t)i >= keep) {
            *rest |= digit != 0;
        } else if (__builtin_mul_overflow(value, 10, &value) ||
                   __builtin_add_overflow(value, digit, &value)) {
            return false;
        }
    }
    for (int64_t i = (int64_t)n; i < keep && value != 0; i++) {
        if (__builtin_mul_overflow(value, 10, &value)) {
            return false;
        }
    }
    *out = value;
    return true;
}

static enum tsn_decimal scaled(const char *p, size_t len, unsigned decimals, bool floors,
                               int64_t *out)
{
    struct parts parts;
    uint64_t value;
    bool rest;
    if (!take_apart(p, len, &parts)) {
        return TSN_DECIMAL_BAD;
    }
    if (!digits_scaled(&parts, decimals, &value, &rest)) {
        return TSN_DECIMAL_RANGE;
    }
    if (rest && !floors) {
        return TSN_DECIMAL_DECIMALS;
    }
    if (value > (uint64_t)INT64_MAX + (parts.negative && !rest ? 1 : 0)) {
        return TSN_DECIMAL_RANGE;
    }
    if (parts.negative && rest) {
        value++; /* towards minus infinity */
    }
    *out = parts.negative ? (int64_t)(0 - value) : (int64_t)value;
    return TSN_DECIMAL_OK;
}

/* Plain integers of up to 18 digits are nearly all there is in records. */
static inline bool plain_digits(const char *p, size_t len, int64_t *out)
{
    if (len == 0 || len > 18 || (p[0] == '0' && len > 1)) {
        return false;
    }
    int64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        if (!is_digit(p[i])) {
            return false;
        }
        value = value * 10 + (p[i] - '0');
    }
    *out = value;
    return true;
}

enum tsn_decimal tsn_decimal_scaled(const char *p, size_t len, unsigned decimals, int64_t *out)
{
    TSN_MUST(decimals <= 9);
    if (decimals == 0 && plain_digits(p, len, out)) {
        return TSN_DECIMAL_OK;
    }
    return scaled(p, len, decimals, false, out);
}

enum tsn_decimal tsn_decimal_floor(const char *p, size_t len, unsigned decimals, int64_t *out)
{
    TSN_MUST(decimals <= 9);
    if (decimals == 0 && plain_digits(p, len, out)) {
        return TSN_DECIMAL_OK;
    }
    return scaled(p, len, decimals, true, out);
}

/* strtod of the C locale: the process's own may write a comma for the point. The
 * text is copied because strtod would read on. */
static enum tsn_decimal double_slow(const char *p, size_t len, double *out)
{
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* no allocation for "C" */
    TSN_MUST_ALLOC(c_locale);
    char small[64];
    char *text = len < sizeof small ? small : malloc(len + 1);
    TSN_MUST_ALLOC(text);
    memcpy(text, p, len);
    text[len] = '\0';
    *out = strtod_l(text, NULL, c_locale);
    freelocale(c_locale);
    if (text != small) {
        free(text);
    }
    return isinf(*out) ? TSN_DECIMAL_RANGE : TSN_DECIMAL_OK;
}

enum tsn_decimal tsn_decimal_double(const char *p, size_t len, double *out)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    struct parts parts;
    if (!take_apart(p, len, &parts)) {
        return TSN_DECIMAL_BAD;
    }
    /* Up to 15 digits and a power of ten that a double holds: one correctly
     * rounded operation (Clinger 1990). */
    int64_t exponent = (int64_t)parts.exponent - (int64_t)parts.n_fraction;
    if (parts.n_whole + parts.n_fraction > 15 || exponent < -22 || exponent > 22) {
        return double_slow(p, len, out);
    }
    uint64_t digits = 0;
    for (size_t i = 0; i < parts.n_whole; i++) {
        digits = digits * 10 + (uint64_t)(parts.whole[i] - '0');
    }
    for (size_t i = 0; i < parts.n_fraction; i++) {
        digits = digits * 10 + (uint64_t)(parts.fraction[i] - '0');
    }
    double value =
        exponent < 0 ? (double)digits / powers[-exponent] : (double)digits * powers[exponent];
    *out = parts.negative ? -value : value;
    return TSN_DECIMAL_OK;
}
