#include "connectors/decode/phone.h"

#include <stdbool.h>
#include <string.h>

/* E.164 allows 15 digits, country code included; the shortest in use have 7. */
enum { E164_MIN = 7, E164_MAX = 15, BARE_INTERNATIONAL_MIN = 8 };

struct digits {
    char d[TSN_PHONE_MAX];
    uint32_t n;
    bool plus;
};

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

/* False if a character stands there that no telephone number has. */
static bool digits_of(struct tsn_str written, struct digits *out)
{
    out->n = 0;
    out->plus = false;
    for (uint32_t i = 0; i < written.len; i++) {
        char c = written.p[i];
        if (is_digit(c)) {
            out->d[out->n++] = c;
        } else if (c == '+' && out->n == 0 && !out->plus) {
            out->plus = true;
        } else if (!c || !strchr(" -.()/", c)) {
            return false;
        }
    }
    return out->n > 0;
}

static bool begins(const struct digits *of, const char *prefix)
{
    size_t len = prefix ? strlen(prefix) : 0;
    return len > 0 && of->n > len && memcmp(of->d, prefix, len) == 0;
}

static struct tsn_str plus(char *scratch, const char *country, const char *digits, uint32_t n)
{
    uint32_t len = 0;
    scratch[len++] = '+';
    for (; country && *country; country++) {
        scratch[len++] = *country;
    }
    memcpy(scratch + len, digits, n);
    return (struct tsn_str){scratch, len + n};
}

static bool national(const struct tsn_number_plan *plan, uint32_t n)
{
    return n >= plan->national_min && n <= plan->national_max;
}

/* Nearly every number of a feed that follows the canonical schema. */
static bool already_canonical(struct tsn_str written)
{
    if (written.len < 1 + E164_MIN || written.len > 1 + E164_MAX || written.p[0] != '+') {
        return false;
    }
    for (uint32_t i = 1; i < written.len; i++) {
        if (!is_digit(written.p[i])) {
            return false;
        }
    }
    return true;
}

struct tsn_str tsn_phone_normalise(const struct tsn_number_plan *plan, struct tsn_str written,
                                   char *scratch)
{
    struct digits of;
    if (already_canonical(written) || written.len >= TSN_PHONE_MAX || !digits_of(written, &of)) {
        return written;
    }
    uint32_t skip = 0;
    if (of.plus || begins(&of, plan->international_prefix)) {
        skip = of.plus ? 0 : (uint32_t)strlen(plan->international_prefix);
        bool whole = of.n - skip >= E164_MIN && of.n - skip <= E164_MAX;
        return whole ? plus(scratch, NULL, of.d + skip, of.n - skip) : written;
    }
    for (size_t i = 0; i < plan->n_keep; i++) {
        if (begins(&of, plan->keep[i]) ||
            (strlen(plan->keep[i]) == of.n && memcmp(of.d, plan->keep[i], of.n) == 0)) {
            return written;
        }
    }
    if (plan->country && begins(&of, plan->trunk_prefix)) {
        skip = (uint32_t)strlen(plan->trunk_prefix);
        if (national(plan, of.n - skip)) {
            return plus(scratch, plan->country, of.d + skip, of.n - skip);
        }
    }
    if (plan->bare_international) {
        bool whole = of.n >= BARE_INTERNATIONAL_MIN && of.n <= E164_MAX;
        return whole ? plus(scratch, NULL, of.d, of.n) : written;
    }
    if (!plan->country) {
        return written;
    }
    if (begins(&of, plan->country) && national(plan, of.n - (uint32_t)strlen(plan->country))) {
        return plus(scratch, NULL, of.d, of.n);
    }
    return national(plan, of.n) ? plus(scratch, plan->country, of.d, of.n) : written;
}
