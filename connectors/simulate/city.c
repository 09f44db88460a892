#include "connectors/simulate/city.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "connectors/simulate/purpose.h"
#include "rules/must/must.h"

enum { QUARTER_LINES = 250 }; /* people who mostly call each other */

static enum tsn_city_kind kind_of(struct tsn_dice *dice)
{
    static const uint32_t shares[] = {
#define KIND_SHARE(id, share, what) share,
        TSN_CITY_KIND_TABLE(KIND_SHARE)
#undef KIND_SHARE
    };
    uint32_t at = tsn_dice_below(dice, 100000);
    for (int kind = 0; kind < TSN_CITY_KINDS; kind++) {
        if (at < shares[kind]) {
            return (enum tsn_city_kind)kind;
        }
        at -= shares[kind];
    }
    return TSN_CITY_ORDINARY;
}

static struct tsn_city_line line_of(uint64_t seed, uint32_t i)
{
    struct tsn_dice dice = tsn_dice_new(seed, i, 0, TSN_PURPOSE_LINE);
    struct tsn_city_line line = {.kind = (uint8_t)kind_of(&dice)};
    /* exp(0.6) x exp(1/2) has mean 3.0; the factor scales it to 3.6 attempts a day. */
    line.calls_per_day = (float)(tsn_dice_lognormal(&dice, 1.822, 1.0) * 1.2);
    line.talk_alpha_s = (float)tsn_dice_lognormal(&dice, 45.0, 0.4);
    line.purchases_per_day = (float)(tsn_dice_unit(&dice) * 4.0);
    double contacts = tsn_dice_lognormal(&dice, 24.5, 0.9);
    line.n_contacts = (uint16_t)fmin(fmax(contacts, 4), 400);
    line.n_accounts = tsn_dice_chance(&dice, 0.3) ? 2 : 1;
    switch ((enum tsn_city_kind)line.kind) {
    case TSN_CITY_COURIER:
        line.calls_per_day = (float)tsn_dice_between(&dice, 60, 150);
        line.talk_alpha_s = 15.0f;
        break;
    case TSN_CITY_TELESALES:
        line.calls_per_day = (float)tsn_dice_between(&dice, 40, 120);
        line.talk_alpha_s = 18.0f;
        break;
    case TSN_CITY_INSTITUTION:
        line.calls_per_day = (float)tsn_dice_between(&dice, 80, 250);
        line.talk_alpha_s = 150.0f;
        break;
    default:
        break;
    }
    return line;
}

struct tsn_city *tsn_city_new(uint64_t seed, uint32_t n_lines)
{
    TSN_MUST(n_lines > 0 && n_lines <= TSN_CITY_LINES_MAX);
    struct tsn_city *city = malloc(sizeof *city);
    TSN_MUST(city);
    city->seed = seed;
    city->n_lines = n_lines;
    city->lines = malloc(n_lines * sizeof *city->lines);
    TSN_MUST(city->lines);
    for (uint32_t i = 0; i < n_lines; i++) {
        city->lines[i] = line_of(seed, i);
    }
    return city;
}

void tsn_city_free(struct tsn_city *city)
{
    if (city) {
        free(city->lines);
        free(city);
    }
}

uint32_t tsn_city_contact(const struct tsn_city *city, uint32_t line, uint32_t rank)
{
    struct tsn_dice dice = tsn_dice_new(city->seed, line, rank, TSN_PURPOSE_CONTACT);
    uint32_t other;
    if (tsn_dice_chance(&dice, 0.6)) {
        uint32_t first = line - line % QUARTER_LINES;
        uint32_t n = city->n_lines - first;
        other = first + tsn_dice_below(&dice, n < QUARTER_LINES ? n : QUARTER_LINES);
    } else {
        other = tsn_dice_below(&dice, city->n_lines);
    }
    return other == line ? (line + 1) % city->n_lines : other;
}

void tsn_city_number(uint32_t line, char out[TSN_CITY_NUMBER_CAP])
{
    snprintf(out, TSN_CITY_NUMBER_CAP, "+999139%07u", line % 10000000u);
}

const char *tsn_city_number_abroad(uint64_t seed, uint32_t who, char out[TSN_CITY_NUMBER_CAP])
{
    static const char *const areas[] = {"212", "213", "305", "312", "404", "415", "512",
                                        "602", "617", "702", "713", "808", "206", "303"};
    struct tsn_dice dice = tsn_dice_new(seed, who, 0, TSN_PURPOSE_ABROAD);
    switch (tsn_dice_below(&dice, 3)) {
    case 0:
        snprintf(out, TSN_CITY_NUMBER_CAP, "+447700900%03u", tsn_dice_below(&dice, 1000));
        return "GB";
    case 1:
        snprintf(out, TSN_CITY_NUMBER_CAP, "+3363998%04u", tsn_dice_below(&dice, 10000));
        return "FR";
    default:
        snprintf(out, TSN_CITY_NUMBER_CAP, "+1%s55501%02u",
                 areas[tsn_dice_below(&dice, sizeof areas / sizeof areas[0])],
                 tsn_dice_below(&dice, 100));
        return "US";
    }
}

void tsn_city_account(uint64_t seed, uint32_t line, uint32_t which, char out[TSN_CITY_ACCOUNT_CAP])
{
    struct tsn_dice dice = tsn_dice_new(seed, line, which, TSN_PURPOSE_ACCOUNT);
    uint32_t high = tsn_dice_u32(&dice);
    snprintf(out, TSN_CITY_ACCOUNT_CAP, "ps:%08x%04x", high, tsn_dice_u32(&dice) & 0xffffu);
}

double tsn_city_bustle(uint32_t minute_of_day)
{
    /* Weekday curve by the hour, relative. */
    static const double by_hour[24] = {.10,  .06,  .04,  .03,  .03,  .06, .18,  .45,
                                       .80,  1.15, 1.35, 1.40, 1.20, 1.0, 1.10, 1.20,
                                       1.30, 1.45, 1.40, 1.25, 1.10, .85, .50,  .25};
    static const double sum = 18.25;
    uint32_t hour = minute_of_day / 60 % 24;
    double part = (minute_of_day % 60) / 60.0;
    return (by_hour[hour] * (1.0 - part) + by_hour[(hour + 1) % 24] * part) * 24.0 / sum;
}
