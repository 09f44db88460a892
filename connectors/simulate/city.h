/* City: who lives there. Everything about a line follows from the seed and its number.
 *
 * Numbers are fictitious: residents under +999, which no country has; numbers abroad
 * from the ranges that regulators keep for films (GB +44 7700 900, FR +33 6 39 98,
 * US 555-01). Nobody's telephone rings by this.
 */
#ifndef TSN_CONNECTORS_SIMULATE_CITY_H
#define TSN_CONNECTORS_SIMULATE_CITY_H

#include <stdint.h>

#include "connectors/simulate/dice.h"

enum { TSN_CITY_NUMBER_CAP = 20, TSN_CITY_ACCOUNT_CAP = 24, TSN_CITY_LINES_MAX = 9999999 };

/* Shares in thousandths of a percent of all lines. Those after the first look like
 * fraud to a careless rule and are none. */
#define TSN_CITY_KIND_TABLE(X)                                                                     \
    X(ORDINARY, 97950, "a resident")                                                               \
    X(COURIER, 500, "many short calls to people never called before")                              \
    X(TELESALES, 200, "many calls in office hours, few incoming")                                  \
    X(INSTITUTION, 50, "hospital, school, court: long first calls, no incoming")                   \
    X(FAMILY_ABROAD, 1000, "long calls from abroad nearly every day")                              \
    X(SELLER, 300, "many small payers, passed on in one sum")

enum tsn_city_kind {
#define TSN_CITY_KIND_ENUM(id, share, what) TSN_CITY_##id,
    TSN_CITY_KIND_TABLE(TSN_CITY_KIND_ENUM)
#undef TSN_CITY_KIND_ENUM
        TSN_CITY_KINDS
};

struct tsn_city_line {
    float calls_per_day;
    float talk_alpha_s; /* median talk of its answered calls */
    float purchases_per_day;
    uint16_t n_contacts;
    uint8_t kind;
    uint8_t n_accounts;
};

struct tsn_city {
    uint64_t seed;
    uint32_t n_lines;
    struct tsn_city_line *lines;
};

/* n_lines 1 .. TSN_CITY_LINES_MAX. 20 bytes and about 300 ns a line. */
struct tsn_city *tsn_city_new(uint64_t seed, uint32_t n_lines);
void tsn_city_free(struct tsn_city *city);

/* The contact of this rank; the same every time. Six in ten live in the same quarter. */
uint32_t tsn_city_contact(const struct tsn_city *city, uint32_t line, uint32_t rank);

void tsn_city_number(uint32_t line, char out[TSN_CITY_NUMBER_CAP]);
/* A number abroad, the same for the same who; the country's two letters. */
const char *tsn_city_number_abroad(uint64_t seed, uint32_t who, char out[TSN_CITY_NUMBER_CAP]);
void tsn_city_account(uint64_t seed, uint32_t line, uint32_t which, char out[TSN_CITY_ACCOUNT_CAP]);

/* How busy telephones are at this minute of the day; 1 is the mean of a day. */
double tsn_city_bustle(uint32_t minute_of_day);

#endif
