/* Dice: random numbers that depend on what they are for, not on when they are drawn.
 *
 * A generator is addressed by (seed, who, when, purpose): the same address gives the
 * same numbers whatever else was drawn, so that one line's life does not change when
 * another is added, and slices can be made in any order. Philox4x32-10 (Salmon et
 * al., SC 2011) does this with no state to seed; a running generator such as
 * xoshiro would have needed one state a line. About 6 ns a draw.
 *
 * The laws below use libm: the same seed gives the same bytes on the same libm.
 */
#ifndef TSN_CONNECTORS_SIMULATE_DICE_H
#define TSN_CONNECTORS_SIMULATE_DICE_H

#include <stdbool.h>
#include <stdint.h>

struct tsn_dice {
    uint32_t key[2];
    uint32_t counter[4];
    uint32_t block[4];
    uint32_t used;
};

struct tsn_dice tsn_dice_new(uint64_t seed, uint32_t who, uint32_t when, uint32_t purpose);

uint32_t tsn_dice_u32(struct tsn_dice *dice);
/* In (0, 1). */
double tsn_dice_unit(struct tsn_dice *dice);
/* 0 .. n - 1; n > 0. */
uint32_t tsn_dice_below(struct tsn_dice *dice, uint32_t n);
/* low .. high, both included. */
int64_t tsn_dice_between(struct tsn_dice *dice, int64_t low, int64_t high);
bool tsn_dice_chance(struct tsn_dice *dice, double p);

/* Laws; see docs of the simulator for where each is used. */
double tsn_dice_lognormal(struct tsn_dice *dice, double median, double sigma);
/* Log-logistic, cut at cap: the law of call durations (Vaz de Melo et al., 2010). */
double tsn_dice_log_logistic(struct tsn_dice *dice, double alpha, double beta, double cap);
/* mean < 50. */
uint32_t tsn_dice_poisson(struct tsn_dice *dice, double mean);
/* A rank 0 .. n - 1, likelier the smaller: Zipf with exponent 1.1, by the continuous law. */
uint32_t tsn_dice_rank(struct tsn_dice *dice, uint32_t n);

#endif
