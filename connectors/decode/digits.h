/* Digits: eight at a time, as one word.
 *
 * Times, telephone numbers and counters are most of what a record holds; a loop over
 * their characters was a tenth of decode. Words are little-endian whatever the
 * machine. Multiplying in pairs is D. Lemire's and W. Mula's way ("Number parsing at
 * a gigabyte per second", 2021).
 */
#ifndef TSN_CONNECTORS_DECODE_DIGITS_H
#define TSN_CONNECTORS_DECODE_DIGITS_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define TSN_DIGITS_ZEROS UINT64_C(0x3030303030303030)

/* Eight bytes at p. */
static inline uint64_t tsn_digits_load(const char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return le64toh(word);
}

/* Eight digits and nothing else? */
static inline bool tsn_digits_are(uint64_t word)
{
    const uint64_t high = UINT64_C(0xf0f0f0f0f0f0f0f0);
    return (word & high) == TSN_DIGITS_ZEROS &&
           ((word + UINT64_C(0x0606060606060606)) & high) == TSN_DIGITS_ZEROS;
}

/* How many digits the word begins with. */
static inline uint32_t tsn_digits_count(uint64_t word)
{
    const uint64_t high = UINT64_C(0xf0f0f0f0f0f0f0f0);
    uint64_t others = ((word & high) ^ TSN_DIGITS_ZEROS) |
                      (((word + UINT64_C(0x0606060606060606)) & high) ^ TSN_DIGITS_ZEROS);
    return others ? (uint32_t)__builtin_ctzll(others) / 8 : 8; /* what carries is behind it */
}

/* What eight digits say. */
static inline uint64_t tsn_digits_value(uint64_t word)
{
    const uint64_t mask = UINT64_C(0x000000ff000000ff);
    word -= TSN_DIGITS_ZEROS;
    word = word * 10 + (word >> 8);
    return (((word & mask) * UINT64_C(0x000f424000000064)) +
            (((word >> 16) & mask) * UINT64_C(0x0000271000000001))) >>
           32;
}

/* The first n (1 to 7) of eight bytes, with zeros in front. */
static inline uint64_t tsn_digits_first(uint64_t word, uint32_t n)
{
    return word << (64 - 8 * n) | TSN_DIGITS_ZEROS >> 8 * n;
}

/* The first n (1 to 8) of eight bytes at p, with zeros in front. */
static inline uint64_t tsn_digits_front(const char *p, uint32_t n)
{
    uint64_t word = tsn_digits_load(p);
    return n < 8 ? tsn_digits_first(word, n) : word;
}

#endif
