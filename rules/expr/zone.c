/* Time zones: the offset from UTC that was in force at an instant.
 *
 * Reads TZif (RFC 8536), the 64-bit block, and the POSIX rule of its footer for
 * what lies beyond the last transition. libc has no call for "this instant in
 * that zone" that is safe beside other threads, so the file is read directly.
 * A zone is immutable once made; tsn_zone_offset allocates nothing.
 */
#include "rules/expr/zone.h"

#include <stdlib.h>
#include <string.h>

#include "rules/expr/text.h"
#include "rules/expr/time.h"

/* When a POSIX rule changes the clock: Mm.w.d, Jn or n, at a local time. */
struct change {
    char kind; /* 'M', 'J' or '0' */
    int month, week, day;
    int32_t at_s;
};

struct tsn_zone {
    size_t n;
    const int64_t *at;      /* transitions, ascending */
    const int32_t *offsets; /* in force from at[i] */
    int32_t first_s;        /* before the first transition */
    bool has_rule;
    bool has_summer;
    int32_t winter_s, summer_s;
    struct change begin, end; /* of summer time */
};

bool tsn_zone_parse_offset(struct tsn_str name, int32_t *offset_s)
{
    uint32_t at = 0;
    bool negative = name.len && name.p[0] == '-';
    at += name.len && (name.p[0] == '-' || name.p[0] == '+');
    if (name.len - at != 5 || name.p[at + 2] != ':') {
        return false;
    }
    int parts[2];
    for (int i = 0; i < 2; i++) {
        char tens = name.p[at + (uint32_t)i * 3];
        char ones = name.p[at + (uint32_t)i * 3 + 1];
        if (tens < '0' || tens > '9' || ones < '0' || ones > '9') {
            return false;
        }
        parts[i] = (tens - '0') * 10 + ones - '0';
    }
    if (parts[0] > 23 || parts[1] > 59) {
        return false;
    }
    *offset_s = (parts[0] * 3600 + parts[1] * 60) * (negative ? -1 : 1);
    return true;
}

/* ---- the footer: a POSIX TZ string ---------------------------------------- */

static bool skip_abbreviation(const char **p, const char *end)
{
    const char *first = *p;
    if (*p < end && **p == '<') {
        while (*p < end && **p != '>') {
            (*p)++;
        }
        *p += *p < end;
        return *p > first + 1;
    }
    while (*p < end && ((**p >= 'A' && **p <= 'Z') || (**p >= 'a' && **p <= 'z'))) {
        (*p)++;
    }
    return *p > first;
}

static bool take_number(const char **p, const char *end, int *out)
{
    const char *first = *p;
    *out = 0;
    while (*p < end && **p >= '0' && **p <= '9' && *p - first < 5) {
        *out = *out * 10 + (*(*p)++ - '0');
    }
    return *p > first;
}

static bool take_clock(const char **p, const char *end, int32_t *out)
{
    int sign = 1;
    if (*p < end && (**p == '-' || **p == '+')) {
        sign = *(*p)++ == '-' ? -1 : 1;
    }
    int parts[3] = {0, 0, 0};
    for (int i = 0; i < 3; i++) {
        if (i && (*p == end || **p != ':')) {
            break;
        }
        *p += i > 0;
        if (!take_number(p, end, &parts[i])) {
            return false;
        }
    }
    *out = sign * (parts[0] * 3600 + parts[1] * 60 + parts[2]);
    return true;
}

static bool take_change(const char **p, const char *end, struct change *change)
{
    if (*p == end || *(*p)++ != ',' || *p == end) {
        return false;
    }
    change->kind = **p == 'M' || **p == 'J' ? *(*p)++ : '0';
    bool ok = take_number(p, end, change->kind == 'M' ? &change->month : &change->day);
    if (change->kind == 'M') {
        ok = ok && *p < end && *(*p)++ == '.' && take_number(p, end, &change->week) && *p < end &&
             *(*p)++ == '.' && take_number(p, end, &change->day) && change->month >= 1 &&
             change->month <= 12;
    }
    change->at_s = 7200;
    if (ok && *p < end && **p == '/') {
        (*p)++;
        ok = take_clock(p, end, &change->at_s);
    }
    return ok;
}

static void read_footer(struct tsn_zone *zone, const char *p, const char *end)
{
    int32_t west;
    if (!skip_abbreviation(&p, end) || !take_clock(&p, end, &west)) {
        return;
    }
    zone->winter_s = -west;
    if (p == end) {
        zone->has_rule = true;
        return;
    }
    if (!skip_abbreviation(&p, end)) {
        return;
    }
    zone->summer_s = zone->winter_s + 3600;
    if (p < end && *p != ',') {
        if (!take_clock(&p, end, &west)) {
            return;
        }
        zone->summer_s = -west;
    }
    zone->has_rule = zone->has_summer =
        take_change(&p, end, &zone->begin) && take_change(&p, end, &zone->end);
}

/* Seconds since the epoch, in local time, at which a rule changes in a year. */
static int64_t change_at(const struct change *change, int64_t year)
{
    int64_t january = tsn_time_days(year, 1, 1);
    int64_t day;
    if (change->kind == 'M') {
        int64_t first = tsn_time_days(year, change->month, 1);
        int64_t next = change->month == 12 ? tsn_time_days(year + 1, 1, 1)
                                           : tsn_time_days(year, change->month + 1, 1);
        int64_t weekday = ((first + 4) % 7 + 7) % 7;
        day = first + (change->day - weekday + 7) % 7 + (change->week - 1) * 7;
        while (day >= next) {
            day -= 7;
        }
    } else if (change->kind == 'J') { /* 1 .. 365, 29 February is not counted */
        int64_t march = tsn_time_days(year, 3, 1) - january;
        day = january + change->day - 1 + (march == 60 && change->day >= 60);
    } else {
        day = january + change->day;
    }
    return day * 86400 + change->at_s;
}

static int32_t rule_offset(const struct tsn_zone *zone, int64_t s)
{
    if (!zone->has_summer) {
        return zone->winter_s;
    }
    int64_t year = tsn_time_civil(s + zone->winter_s).year;
    int64_t begin = change_at(&zone->begin, year) - zone->winter_s;
    int64_t end = change_at(&zone->end, year) - zone->summer_s;
    bool summer = begin < end ? s >= begin && s < end : s >= begin || s < end;
    return summer ? zone->summer_s : zone->winter_s;
}

/* ---- the file ------------------------------------------------------------- */

static int64_t read_be(const unsigned char *p, int n)
{
    uint64_t value = 0;
    for (int i = 0; i < n; i++) {
        value = value << 8 | p[i];
    }
    return n == 4 ? (int32_t)(uint32_t)value : (int64_t)value;
}

enum {
    HEADER = 44,
    N_ISUT = 20,
    N_ISSTD = 24,
    N_LEAP = 28,
    N_TIMES = 32,
    N_TYPES = 36,
    N_CHARS = 40
};

static size_t count(const unsigned char *header, size_t at)
{
    return (size_t)(uint32_t)read_be(header + at, 4);
}

static size_t block_bytes(const unsigned char *h, size_t time_bytes)
{
    return count(h, N_TIMES) * (time_bytes + 1) + count(h, N_TYPES) * 6 + count(h, N_CHARS) +
           count(h, N_LEAP) * (time_bytes + 4) + count(h, N_ISSTD) + count(h, N_ISUT);
}

/* The 64-bit block at `h`; false if the file is cut off or contradicts itself. */
static bool read_block(struct tsn_zone *zone, const unsigned char *h, size_t left,
                       struct tsn_arena *arena)
{
    size_t bytes = block_bytes(h, 8);
    size_t n_types = count(h, N_TYPES);
    if (left < HEADER || left - HEADER < bytes || n_types == 0) {
        return false;
    }
    zone->n = count(h, N_TIMES);
    const unsigned char *times = h + HEADER;
    const unsigned char *which = times + zone->n * 8;
    const unsigned char *types = which + zone->n;
    int64_t *at = tsn_arena_alloc(arena, zone->n * sizeof *at + 1);
    int32_t *offsets = tsn_arena_alloc(arena, zone->n * sizeof *offsets + 1);
    for (size_t i = 0; i < zone->n; i++) {
        if (which[i] >= n_types) {
            return false;
        }
        at[i] = read_be(times + i * 8, 8);
        offsets[i] = (int32_t)read_be(types + which[i] * 6, 4);
    }
    zone->at = at;
    zone->offsets = offsets;
    zone->first_s = (int32_t)read_be(types, 4);
    const char *footer = (const char *)h + HEADER + bytes;
    size_t rest = left - HEADER - bytes;
    const char *end = rest > 1 ? memchr(footer + 1, '\n', rest - 1) : NULL;
    if (end && footer[0] == '\n') {
        read_footer(zone, footer + 1, end);
    }
    return true;
}

static bool read_tzif(struct tsn_zone *zone, const unsigned char *bytes, size_t len,
                      struct tsn_arena *arena)
{
    if (len < HEADER || bytes[4] < '2') {
        return false; /* version 1 files ended with the 32-bit years */
    }
    size_t first = HEADER + block_bytes(bytes, 4);
    if (first > len || len - first < HEADER) {
        return false;
    }
    return read_block(zone, bytes + first, len - first, arena);
}

/* Names come from packs: nothing that leaves the database's folder. */
static bool is_safe_name(struct tsn_str name)
{
    if (name.len == 0 || name.len > 64 || name.p[0] < 'A' || name.p[0] > 'Z') {
        return false;
    }
    for (uint32_t i = 0; i < name.len; i++) {
        char c = name.p[i];
        bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                     c == '_' || c == '-' || c == '+' || c == '/';
        if (!plain) {
            return false;
        }
    }
    return true;
}

const struct tsn_zone *tsn_zone_new(struct tsn_str name, struct tsn_arena *arena)
{
    struct tsn_zone *zone = tsn_arena_zalloc(arena, 1, sizeof *zone);
    if (tsn_str_is(name, "UTC") || tsn_str_is(name, "Z") ||
        tsn_zone_parse_offset(name, &zone->first_s)) {
        return zone;
    }
    if (!is_safe_name(name)) {
        return NULL;
    }
    size_t len;
    unsigned char *bytes = tsn_zone_read(tsn_arena_strdup(arena, name.p, name.len), &len);
    bool ok = bytes && read_tzif(zone, bytes, len, arena);
    free(bytes);
    return ok ? zone : NULL;
}

int32_t tsn_zone_offset(const struct tsn_zone *zone, int64_t s)
{
    if (zone->n == 0 || s < zone->at[0]) {
        return zone->n == 0 && zone->has_rule ? rule_offset(zone, s) : zone->first_s;
    }
    if (s >= zone->at[zone->n - 1]) {
        return zone->has_rule ? rule_offset(zone, s) : zone->offsets[zone->n - 1];
    }
    size_t low = 0; /* at[low] <= s < at[high] */
    size_t high = zone->n - 1;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (zone->at[middle] <= s) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return zone->offsets[low];
}
