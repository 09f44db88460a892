/* YAML scalars, read as the schema asks: the same text is a number here and a name
 * there, so nothing is guessed from how it looks. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/yaml/yaml.h"

/* True for a scalar with text; else says what was wanted. */
static bool is_scalar(const struct tsn_yaml *doc, const struct tsn_yaml_node *node,
                      const char *what, const char *wanted)
{
    if (!node) {
        return false;
    }
    if (node->kind != TSN_YAML_SCALAR || (node->n == 0 && node->style == TSN_YAML_PLAIN)) {
        tsn_yaml_error(doc, node, NULL, "%s must be %s, this is %s", what, wanted,
                       tsn_yaml_kind_name(node));
        return false;
    }
    if (memchr(node->text, '\0', node->n)) {
        tsn_yaml_error(doc, node, NULL, "%s contains a NUL character", what);
        return false;
    }
    return true;
}

bool tsn_yaml_text(const struct tsn_yaml *doc, const struct tsn_yaml_node *node, const char *what,
                   const char **out)
{
    if (!is_scalar(doc, node, what, "text")) {
        return false;
    }
    *out = node->text;
    return true;
}

bool tsn_yaml_bool(const struct tsn_yaml *doc, const struct tsn_yaml_node *node, const char *what,
                   bool *out)
{
    if (!is_scalar(doc, node, what, "true or false")) {
        return false;
    }
    bool yes = strcmp(node->text, "true") == 0;
    if (!yes && strcmp(node->text, "false") != 0) {
        tsn_yaml_error(doc, node, NULL, "%s must be true or false, not '%s'", what, node->text);
        return false;
    }
    *out = yes;
    return true;
}

bool tsn_yaml_int(const struct tsn_yaml *doc, const struct tsn_yaml_node *node, const char *what,
                  int64_t least, int64_t most, int64_t *out)
{
    if (!is_scalar(doc, node, what, "a whole number")) {
        return false;
    }
    const char *digits = node->text + (node->text[0] == '-' || node->text[0] == '+');
    char *end = NULL;
    errno = 0;
    long long value = strtoll(node->text, &end, 10);
    if (digits[0] < '0' || digits[0] > '9' || *end != '\0') {
        tsn_yaml_error(doc, node, NULL, "%s must be a whole number, not '%s'", what, node->text);
        return false;
    }
    if (errno == ERANGE || value < least || value > most) {
        tsn_yaml_error(doc, node, NULL, "%s must lie between %lld and %lld", what, (long long)least,
                       (long long)most);
        return false;
    }
    *out = value;
    return true;
}

bool tsn_yaml_double(const struct tsn_yaml *doc, const struct tsn_yaml_node *node, const char *what,
                     double *out)
{
    if (!is_scalar(doc, node, what, "a number")) {
        return false;
    }
    char *end = NULL;
    double value = strtod(node->text, &end);
    /* strtod also reads hex, nan, infinity and blanks: none is a number here. */
    if (strspn(node->text, "0123456789+-.eE") != node->n || end == node->text || *end != '\0' ||
        !isfinite(value)) {
        tsn_yaml_error(doc, node, NULL, "%s must be a number, not '%s'", what, node->text);
        return false;
    }
    *out = value;
    return true;
}

static const struct {
    const char *name;
    int64_t ms;
} duration_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

enum { N_UNITS = sizeof duration_units / sizeof duration_units[0] };

bool tsn_duration_parse(const char *text, size_t len, tsn_duration_ms *out)
{
    int64_t total = 0;
    size_t at = 0;
    int next_unit = 0;
    if (len == 0) {
        return false;
    }
    while (at < len) {
        int64_t number = 0;
        size_t digits = at;
        while (at < len && text[at] >= '0' && text[at] <= '9') {
            if (__builtin_mul_overflow(number, 10, &number) ||
                __builtin_add_overflow(number, text[at] - '0', &number)) {
                return false;
            }
            at++;
        }
        size_t letters = at;
        while (at < len && text[at] >= 'a' && text[at] <= 'z') {
            at++;
        }
        int unit = next_unit;
        while (unit < N_UNITS &&
               (strlen(duration_units[unit].name) != at - letters ||
                memcmp(duration_units[unit].name, text + letters, at - letters) != 0)) {
            unit++;
        }
        int64_t part = 0;
        if (letters == digits || unit == N_UNITS ||
            __builtin_mul_overflow(number, duration_units[unit].ms, &part) ||
            __builtin_add_overflow(total, part, &total)) {
            return false;
        }
        next_unit = unit + 1;
    }
    *out = total;
    return true;
}

bool tsn_yaml_duration(const struct tsn_yaml *doc, const struct tsn_yaml_node *node,
                       const char *what, tsn_duration_ms least, tsn_duration_ms *out)
{
    if (!is_scalar(doc, node, what, "a duration")) {
        return false;
    }
    tsn_duration_ms value = 0;
    if (!tsn_duration_parse(node->text, node->n, &value)) {
        tsn_yaml_error(doc, node, "write whole numbers with d, h, m, s or ms: 90d, 1h30m, 250ms",
                       "%s must be a duration, not '%s'", what, node->text);
        return false;
    }
    if (value < least) {
        tsn_yaml_error(doc, node, NULL, "%s must be at least %lld ms", what, (long long)least);
        return false;
    }
    *out = value;
    return true;
}

/* n digits as a number, or -1. */
static int digits_at(const char *text, size_t len, size_t at, int n)
{
    int value = 0;
    for (int i = 0; i < n; i++) {
        if (at + (size_t)i >= len || text[at + (size_t)i] < '0' || text[at + (size_t)i] > '9') {
            return -1;
        }
        value = value * 10 + (text[at + (size_t)i] - '0');
    }
    return value;
}

/* Days since 1970-01-01 of a date in the proleptic Gregorian calendar (Howard
 * Hinnant's days_from_civil). */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

static bool is_date(int year, int month, int day)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (year < 1 || month < 1 || month > 12 || day < 1) {
        return false;
    }
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return day <= days[month - 1] + (month == 2 && leap);
}

/* Z or +hh:mm at `at`, to the end of the text; minutes east of UTC. */
static bool offset_at(const char *text, size_t len, size_t at, int *minutes)
{
    if (at + 1 == len && (text[at] == 'Z' || text[at] == 'z')) {
        *minutes = 0;
        return true;
    }
    if (at + 6 != len || (text[at] != '+' && text[at] != '-') || text[at + 3] != ':') {
        return false;
    }
    int h = digits_at(text, len, at + 1, 2);
    int m = digits_at(text, len, at + 4, 2);
    if (h < 0 || h > 23 || m < 0 || m > 59) {
        return false;
    }
    *minutes = (text[at] == '-' ? -1 : 1) * (h * 60 + m);
    return true;
}

bool tsn_time_parse(const char *text, size_t len, tsn_event_ms *out)
{
    int year = digits_at(text, len, 0, 4);
    int month = digits_at(text, len, 5, 2);
    int day = digits_at(text, len, 8, 2);
    if (len < 10 || text[4] != '-' || text[7] != '-' || !is_date(year, month, day)) {
        return false;
    }
    int64_t ms = days_of(year, month, day) * 86400000;
    if (len == 10) {
        *out = ms;
        return true;
    }
    int hour = digits_at(text, len, 11, 2);
    int minute = digits_at(text, len, 14, 2);
    int second = digits_at(text, len, 17, 2);
    if (len < 20 || (text[10] != 'T' && text[10] != 't') || text[13] != ':' || text[16] != ':' ||
        hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) {
        return false;
    }
    size_t at = 19;
    int64_t fraction = 0;
    if (text[at] == '.') {
        int64_t place = 100;
        for (at++; at < len && text[at] >= '0' && text[at] <= '9'; at++) {
            fraction += (text[at] - '0') * place;
            place /= 10;
        }
        if (at == 20) {
            return false;
        }
    }
    int minutes = 0;
    if (!offset_at(text, len, at, &minutes)) {
        return false;
    }
    *out = ms + ((hour * 60 + minute - minutes) * 60 + second) * INT64_C(1000) + fraction;
    return true;
}

bool tsn_yaml_time(const struct tsn_yaml *doc, const struct tsn_yaml_node *node, const char *what,
                   tsn_event_ms *out)
{
    if (!is_scalar(doc, node, what, "a date or a time")) {
        return false;
    }
    if (!tsn_time_parse(node->text, node->n, out)) {
        tsn_yaml_error(doc, node, "write 2026-03-02 (midnight UTC) or 2026-03-02T09:00:00Z",
                       "%s must be a date or a time, not '%s'", what, node->text);
        return false;
    }
    return true;
}

bool tsn_yaml_word(const struct tsn_yaml *doc, const struct tsn_yaml_node *node, const char *what,
                   const char *const *words, size_t n_words, int *out)
{
    if (!is_scalar(doc, node, what, "a word")) {
        return false;
    }
    for (size_t i = 0; i < n_words; i++) {
        if (strcmp(node->text, words[i]) == 0) {
            *out = (int)i;
            return true;
        }
    }
    char value_of[96];
    snprintf(value_of, sizeof value_of, "value of %s:", what);
    tsn_yaml_unknown(doc, node, value_of, node->text, words, n_words);
    return false;
}
