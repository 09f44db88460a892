/* Times: timestamps and durations as text and as calendar parts.
 *
 * libc's calendar has no years before its own and no re-entrant zones, and its
 * parsers take too much; the calendar is thirty lines. Algorithm: days from civil
 * and back (H. Hinnant, "chrono-compatible low-level date algorithms").
 */
#include "rules/expr/time.h"

#include <stdio.h>
#include <string.h>

#include "rules/expr/text.h"

enum { NS_PER_S = 1000000000, DAY_S = 86400 };

struct tsn_time tsn_time_from_ms(int64_t ms)
{
    int64_t s = ms / 1000;
    int64_t rest = ms % 1000;
    if (rest < 0) {
        rest += 1000;
        s--;
    }
    return (struct tsn_time){s, (int32_t)rest * 1000000};
}

bool tsn_time_add(struct tsn_time a, struct tsn_time b, struct tsn_time *out)
{
    int32_t ns = a.ns + b.ns;
    int32_t carry = ns >= NS_PER_S;
    out->ns = ns - (carry ? NS_PER_S : 0);
    return !__builtin_add_overflow(a.s, b.s, &out->s) &&
           !__builtin_add_overflow(out->s, carry, &out->s);
}

bool tsn_time_subtract(struct tsn_time a, struct tsn_time b, struct tsn_time *out)
{
    int32_t ns = a.ns - b.ns;
    int32_t borrow = ns < 0;
    out->ns = ns + (borrow ? NS_PER_S : 0);
    return !__builtin_sub_overflow(a.s, b.s, &out->s) &&
           !__builtin_sub_overflow(out->s, borrow, &out->s);
}

bool tsn_time_is_timestamp(struct tsn_time t)
{
    return t.s >= TSN_TIME_MIN_S && t.s <= TSN_TIME_MAX_S;
}

bool tsn_time_is_duration(struct tsn_time t)
{
    static const struct tsn_time least = {-9223372037, 145224192}; /* -2^63 ns */
    static const struct tsn_time most = {9223372036, 854775807};
    return tsn_time_compare(t, least) >= 0 && tsn_time_compare(t, most) <= 0;
}

int64_t tsn_time_days(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

struct tsn_civil tsn_time_civil(int64_t s)
{
    int64_t days = s / DAY_S;
    int64_t rest = s % DAY_S;
    if (rest < 0) {
        rest += DAY_S;
        days--;
    }
    int64_t shifted = days + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    int day = (int)(day_of_year - (153 * month_from_march + 2) / 5);
    int month = (int)(month_from_march < 10 ? month_from_march + 2 : month_from_march - 10);
    int64_t year = year_of_era + era * 400 + (month <= 1);
    int64_t week = (days + 4) % 7; /* 1970-01-01 was a Thursday */
    return (struct tsn_civil){
        .year = year,
        .month = month,
        .day = day,
        .day_of_year = (int)(days - tsn_time_days(year, 1, 1)),
        .day_of_week = (int)(week < 0 ? week + 7 : week),
        .hour = (int)(rest / 3600),
        .minute = (int)(rest / 60 % 60),
        .second = (int)(rest % 60),
    };
}

/* Exactly n digits at *at; false if there are not. */
static bool take_digits(struct tsn_str text, uint32_t *at, int n, int *out)
{
    *out = 0;
    for (int i = 0; i < n; i++, (*at)++) {
        if (*at >= text.len || text.p[*at] < '0' || text.p[*at] > '9') {
            return false;
        }
        *out = *out * 10 + (text.p[*at] - '0');
    }
    return true;
}

static bool take(struct tsn_str text, uint32_t *at, char c)
{
    if (*at < text.len && (text.p[*at] == c || (c == 'T' && text.p[*at] == 't') ||
                           (c == 'Z' && text.p[*at] == 'z'))) {
        (*at)++;
        return true;
    }
    return false;
}

/* ".123" at *at, if it is there; false if it is malformed. */
static bool take_fraction(struct tsn_str text, uint32_t *at, int32_t *ns)
{
    *ns = 0;
    if (!take(text, at, '.')) {
        return true;
    }
    int32_t unit = NS_PER_S / 10;
    uint32_t first = *at;
    for (; *at < text.len && text.p[*at] >= '0' && text.p[*at] <= '9'; (*at)++) {
        *ns += (text.p[*at] - '0') * unit;
        unit /= 10;
    }
    return *at > first && *at - first <= 9;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap ? 29 : days[month - 1];
}

bool tsn_time_parse_timestamp(struct tsn_str text, struct tsn_time *out)
{
    uint32_t at = 0;
    int year, month, day, hour, minute, second, offset = 0;
    if (!take_digits(text, &at, 4, &year) || !take(text, &at, '-') ||
        !take_digits(text, &at, 2, &month) || !take(text, &at, '-') ||
        !take_digits(text, &at, 2, &day) || !take(text, &at, 'T') ||
        !take_digits(text, &at, 2, &hour) || !take(text, &at, ':') ||
        !take_digits(text, &at, 2, &minute) || !take(text, &at, ':') ||
        !take_digits(text, &at, 2, &second) || !take_fraction(text, &at, &out->ns)) {
        return false;
    }
    if (!take(text, &at, 'Z')) {
        bool negative = take(text, &at, '-');
        int offset_hour, offset_minute;
        if ((!negative && !take(text, &at, '+')) || !take_digits(text, &at, 2, &offset_hour) ||
            !take(text, &at, ':') || !take_digits(text, &at, 2, &offset_minute) ||
            offset_hour > 23 || offset_minute > 59) {
            return false;
        }
        offset = (offset_hour * 60 + offset_minute) * (negative ? -60 : 60);
    }
    if (at != text.len || month < 1 || month > 12 || day < 1 || year < 1 ||
        day > days_in_month(year, month) || hour > 23 || minute > 59 || second > 59) {
        return false;
    }
    out->s = tsn_time_days(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second - offset;
    return tsn_time_is_timestamp(*out);
}

static const struct {
    const char *name;
    int64_t ns;
} units[] = {
    {"ns", 1},
    {"us", 1000},
    {"\xc2\xb5s", 1000},
    {"\xce\xbcs", 1000}, /* both micro signs */
    {"ms", 1000000},
    {"s", NS_PER_S},
    {"m", INT64_C(60) * NS_PER_S},
    {"h", INT64_C(3600) * NS_PER_S},
};

static int64_t take_unit(struct tsn_str text, uint32_t *at)
{
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t n = strlen(units[i].name);
        bool longer = n == 1 && *at + 1 < text.len && text.p[*at] == 'm' && text.p[*at + 1] == 's';
        if (text.len - *at >= n && memcmp(text.p + *at, units[i].name, n) == 0 && !longer) {
            *at += (uint32_t)n;
            return units[i].ns;
        }
    }
    return 0;
}

/* One "12.5ms" in nanoseconds; digits beyond a nanosecond are cut. */
static bool take_part(struct tsn_str text, uint32_t *at, __int128 *total)
{
    __int128 whole = 0;
    __int128 fraction = 0;
    __int128 scale = 1;
    uint32_t digits = 0;
    for (; *at < text.len && text.p[*at] >= '0' && text.p[*at] <= '9'; (*at)++, digits++) {
        whole = whole * 10 + (text.p[*at] - '0');
        if (whole > INT64_MAX) {
            return false;
        }
    }
    if (take(text, at, '.')) {
        for (; *at < text.len && text.p[*at] >= '0' && text.p[*at] <= '9'; (*at)++, digits++) {
            if (scale < INT64_C(1000000000000000)) {
                fraction = fraction * 10 + (text.p[*at] - '0');
                scale *= 10;
            }
        }
    }
    int64_t unit = digits ? take_unit(text, at) : 0;
    *total += whole * unit + fraction * unit / scale;
    return unit != 0 && *total <= INT64_MAX;
}

bool tsn_time_parse_duration(struct tsn_str text, struct tsn_time *out)
{
    uint32_t at = 0;
    bool negative = take(text, &at, '-');
    if (!negative) {
        take(text, &at, '+');
    }
    __int128 total = 0;
    if (text.len == at) {
        return false;
    }
    if (text.len - at == 1 && text.p[at] == '0') {
        at++;
    }
    while (at < text.len) {
        if (!take_part(text, &at, &total)) {
            return false;
        }
    }
    total = negative ? -total : total;
    __int128 s = total / NS_PER_S;
    __int128 ns = total % NS_PER_S;
    out->s = (int64_t)s - (ns < 0);
    out->ns = (int32_t)(ns < 0 ? ns + NS_PER_S : ns);
    return true;
}

/* ".5" without trailing zeros, or nothing. */
static size_t print_fraction(int32_t ns, char *out)
{
    if (ns == 0) {
        return 0;
    }
    size_t len = (size_t)sprintf(out, ".%09d", ns);
    while (out[len - 1] == '0') {
        len--;
    }
    out[len] = '\0';
    return len;
}

size_t tsn_time_print(struct tsn_time t, char out[40])
{
    struct tsn_civil c = tsn_time_civil(t.s);
    int year = (int)(c.year < -999 ? -999 : c.year > 99999 ? 99999 : c.year);
    size_t len = (size_t)snprintf(out, 28, "%04d-%02d-%02dT%02d:%02d:%02d", year, c.month + 1,
                                  c.day + 1, c.hour, c.minute, c.second);
    len += print_fraction(t.ns, out + len);
    out[len++] = 'Z';
    out[len] = '\0';
    return len;
}

size_t tsn_time_print_duration(struct tsn_time t, char out[40])
{
    bool negative = t.s < 0;
    uint64_t s = negative ? 0 - (uint64_t)t.s : (uint64_t)t.s;
    int32_t ns = t.ns;
    if (negative && ns > 0) { /* {-1, 0.4} is -0.6 */
        s--;
        ns = NS_PER_S - ns;
    }
    size_t len = (size_t)snprintf(out, 24, "%s%llu", negative ? "-" : "", (unsigned long long)s);
    len += print_fraction(ns, out + len);
    out[len++] = 's';
    out[len] = '\0';
    return len;
}
