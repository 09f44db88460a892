#include "connectors/decode/instant.h"

#include <stdint.h>

long tsn_instant_days(int year, int month, int day)
{
    year -= month <= 2;
    long era = (year >= 0 ? year : year - 399) / 400;
    long year_of_era = year - era * 400;
    long day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    long day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static int month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

/* n digits as a number within [least, most]. */
static bool digits(const char *p, int n, int least, int most, int *out)
{
    int value = 0;
    for (int i = 0; i < n; i++) {
        unsigned digit = (unsigned char)p[i] - '0';
        if (digit > 9) {
            return false;
        }
        value = value * 10 + (int)digit;
    }
    *out = value;
    return value >= least && value <= most;
}

/* "Z" or "+hh:mm" to the end of the text. */
static bool offset_minutes(const char *p, const char *end, int *out)
{
    int hours, minutes;
    if (end - p == 1 && (*p == 'Z' || *p == 'z')) {
        *out = 0;
        return true;
    }
    if (end - p != 6 || (*p != '+' && *p != '-') || p[3] != ':' ||
        !digits(p + 1, 2, 0, 23, &hours) || !digits(p + 4, 2, 0, 59, &minutes)) {
        return false;
    }
    *out = (*p == '-' ? -1 : 1) * (hours * 60 + minutes);
    return true;
}

bool tsn_instant_rfc3339(const char *p, size_t len, tsn_event_ms *out)
{
    int year, month, day, hour, minute, second, offset, ms = 0;
    if (len < sizeof "2026-01-02T03:04:05Z" - 1) {
        return false;
    }
    const char *end = p + len;
    bool shape = p[4] == '-' && p[7] == '-' && (p[10] == 'T' || p[10] == 't' || p[10] == ' ') &&
                 p[13] == ':' && p[16] == ':' && digits(p, 4, 1, 9999, &year) &&
                 digits(p + 5, 2, 1, 12, &month) && digits(p + 8, 2, 1, 31, &day) &&
                 digits(p + 11, 2, 0, 23, &hour) && digits(p + 14, 2, 0, 59, &minute) &&
                 digits(p + 17, 2, 0, 60, &second);
    if (!shape || day > month_days(year, month)) {
        return false;
    }
    p += 19;
    if (*p == '.') {
        const char *fraction = ++p;
        int weight = 100;
        while (p < end && (unsigned char)(*p - '0') < 10) {
            ms += weight * (*p++ - '0');
            weight /= 10;
        }
        if (p == fraction) {
            return false;
        }
    }
    if (!offset_minutes(p, end, &offset)) {
        return false;
    }
    int64_t seconds = (int64_t)tsn_instant_days(year, month, day) * 86400 + hour * 3600 +
                      minute * 60 + second - (int64_t)offset * 60;
    *out = seconds * 1000 + ms;
    return true;
}
