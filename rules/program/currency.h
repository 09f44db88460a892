/* Currencies: how many digits after the point an amount of money has (ISO 4217).
 *
 * State holds money as whole units of 10^-digits, so decode and the pack compiler
 * must agree on the digits; this table is the one place. */
#ifndef TSN_RULES_PROGRAM_CURRENCY_H
#define TSN_RULES_PROGRAM_CURRENCY_H

#include <stddef.h>

/* 0 to 4, or -1 for a code that ISO 4217 does not list. Binary search. */
int tsn_currency_digits(const char *code, size_t len);

#endif
