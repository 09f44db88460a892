#include "engine/alert/text.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/must/must.h"
#include "rules/program/program.h"

enum { DAY_S = 86400, MASK_CHARS = 4, MASK_BYTES = 4 * MASK_CHARS };

size_t tsn_text_int(int64_t i, char *out)
{
    return (size_t)snprintf(out, TSN_TEXT_MAX, "%" PRId64, i);
}

/* A normal double that has a decimal of up to 15 digits is given back by it, and %g
 * drops the zeros: so the first precision that reads back is the shortest there is. A
 * subnormal one may need fewer. */
size_t tsn_text_double(double d, char *out)
{
    if (isnan(d)) {
        return (size_t)snprintf(out, TSN_TEXT_MAX, "NaN");
    }
    if (isinf(d)) {
        return (size_t)snprintf(out, TSN_TEXT_MAX, d > 0 ? "Infinity" : "-Infinity");
    }
    int len = 0;
    for (int digits = fabs(d) < DBL_MIN ? 1 : 15; digits <= 17; digits++) {
        len = snprintf(out, TSN_TEXT_MAX, "%.*g", digits, d);
        if (strtod(out, NULL) == d) {
            break;
        }
    }
    return (size_t)len;
}

size_t tsn_text_money(int64_t units, uint8_t scale, char *out)
{
    TSN_MUST(scale <= 18);
    char digits[32];
    uint64_t magnitude = units < 0 ? 0 - (uint64_t)units : (uint64_t)units;
    int len = snprintf(digits, sizeof digits, "%0*" PRIu64, scale + 1, magnitude);
    int whole = len - scale;
    int decimals = scale;
    while (scale == TSN_MONEY_SCALE_ANY && decimals > 2 && digits[whole + decimals - 1] == '0') {
        decimals--;
    }
    return (size_t)snprintf(out, TSN_TEXT_MAX, "%s%.*s%s%.*s", units < 0 ? "-" : "", whole, digits,
                            decimals ? "." : "", decimals, digits + whole);
}

/* ".250", ".000001": three digits at a time; nothing for 0. */
static int decimals_write(int32_t ns, char *out, size_t cap)
{
    if (ns == 0) {
        out[0] = '\0';
        return 0;
    }
    if (ns % 1000000 == 0) {
        return snprintf(out, cap, ".%03d", (int)(ns / 1000000));
    }
    if (ns % 1000 == 0) {
        return snprintf(out, cap, ".%06d", (int)(ns / 1000));
    }
    return snprintf(out, cap, ".%09d", (int)ns);
}

/* Days since 1970-01-01 to a proleptic Gregorian date: H. Hinnant, "chrono-compatible
 * low-level date algorithms", civil_from_days. */
static void civil_from_days(int64_t days, int64_t *year, int *month, int *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *day = (int)(doy - (153 * mp + 2) / 5 + 1);
    *month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *year = yoe + era * 400 + (*month <= 2);
}

size_t tsn_text_time(struct tsn_time time, char *out)
{
    int64_t days = time.s / DAY_S;
    int64_t second = time.s % DAY_S;
    if (second < 0) {
        second += DAY_S;
        days--;
    }
    int64_t year;
    int month, day;
    civil_from_days(days, &year, &month, &day);
    char decimals[16];
    decimals_write(time.ns, decimals, sizeof decimals);
    return (size_t)snprintf(out, TSN_TEXT_MAX, "%04" PRId64 "-%02d-%02dT%02d:%02d:%02d%sZ", year,
                            month, day, (int)(second / 3600), (int)(second / 60 % 60),
                            (int)(second % 60), decimals);
}

size_t tsn_text_time_ms(tsn_event_ms ms, char *out)
{
    struct tsn_time time = {.s = ms / 1000, .ns = (int32_t)(ms % 1000) * 1000000};
    if (time.ns < 0) {
        time.ns += 1000000000;
        time.s--;
    }
    return tsn_text_time(time, out);
}

size_t tsn_text_duration(struct tsn_time span, char *out)
{
    bool negative = span.s < 0;
    uint64_t s = negative ? 0 - (uint64_t)span.s : (uint64_t)span.s;
    int32_t ns = span.ns;
    if (negative && ns > 0) {
        s--;
        ns = 1000000000 - ns;
    }
    size_t len = 0;
    if (negative) {
        out[len++] = '-';
    }
    if (s >= 3600) {
        len += (size_t)snprintf(out + len, TSN_TEXT_MAX - len, "%" PRIu64 "h", s / 3600);
    }
    if (s / 60 % 60) {
        len += (size_t)snprintf(out + len, TSN_TEXT_MAX - len, "%dm", (int)(s / 60 % 60));
    }
    if (s % 60 || ns || (s == 0 && ns == 0)) {
        char decimals[16];
        int n = decimals_write(ns, decimals, sizeof decimals);
        while (n > 0 && decimals[n - 1] == '0') {
            decimals[--n] = '\0';
        }
        len += (size_t)snprintf(out + len, TSN_TEXT_MAX - len, "%d%ss", (int)(s % 60), decimals);
    }
    return len;
}

static struct tsn_str str_of(const char *text)
{
    return (struct tsn_str){text, (uint32_t)strlen(text)};
}

struct tsn_str tsn_text_value(const struct tsn_value *value, char *room)
{
    if (value->state == TSN_STATE_MISSING) {
        return str_of("missing");
    }
    if (value->state == TSN_STATE_ERROR) {
        return str_of("error");
    }
    switch (value->type.type) {
    case TSN_TYPE_BOOL:
        return str_of(value->b ? "true" : "false");
    case TSN_TYPE_INT:
        return (struct tsn_str){room, (uint32_t)tsn_text_int(value->i, room)};
    case TSN_TYPE_DOUBLE:
        return (struct tsn_str){room, (uint32_t)tsn_text_double(value->d, room)};
    case TSN_TYPE_STRING:
        return value->s;
    case TSN_TYPE_TIMESTAMP:
        return (struct tsn_str){room, (uint32_t)tsn_text_time(value->t, room)};
    case TSN_TYPE_DURATION:
        return (struct tsn_str){room, (uint32_t)tsn_text_duration(value->t, room)};
    case TSN_TYPE_NULL:
        return str_of("null");
    case TSN_TYPE_LIST:
    case TSN_TYPE_HANDLE:
        break;
    }
    return str_of("");
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

struct tsn_str tsn_text_mask(struct tsn_str text, char *room)
{
    uint32_t chars = 0;
    for (uint32_t i = 0; i < text.len; i++) {
        chars += !is_continuation(text.p[i]);
    }
    uint32_t keep = chars / 2 < MASK_CHARS ? chars / 2 : MASK_CHARS;
    uint32_t from = text.len;
    while (keep > 0 && from > 0 && text.len - from < MASK_BYTES) {
        from--;
        keep -= !is_continuation(text.p[from]);
    }
    room[0] = '*';
    memcpy(room + 1, text.p + from, text.len - from);
    return (struct tsn_str){room, 1 + text.len - from};
}

struct tsn_str tsn_text_tail(struct tsn_str text, uint8_t digits)
{
    uint32_t from = text.len;
    while (from > 0 && text.len - from < digits && text.p[from - 1] >= '0' &&
           text.p[from - 1] <= '9') {
        from--;
    }
    return (struct tsn_str){text.p + from, text.len - from};
}
