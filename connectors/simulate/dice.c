#include "connectors/simulate/dice.h"

#include <math.h>

#include "rules/must/must.h"

static void philox_round(uint32_t counter[4], const uint32_t key[2])
{
    uint64_t a = 0xD2511F53u * (uint64_t)counter[0];
    uint64_t b = 0xCD9E8D57u * (uint64_t)counter[2];
    uint32_t next[4] = {(uint32_t)(b >> 32) ^ counter[1] ^ key[0], (uint32_t)b,
                        (uint32_t)(a >> 32) ^ counter[3] ^ key[1], (uint32_t)a};
    for (int i = 0; i < 4; i++) {
        counter[i] = next[i];
    }
}

static void next_block(struct tsn_dice *dice)
{
    uint32_t key[2] = {dice->key[0], dice->key[1]};
    for (int i = 0; i < 4; i++) {
        dice->block[i] = dice->counter[i];
    }
    for (int round = 0; round < 10; round++) {
        philox_round(dice->block, key);
        key[0] += 0x9E3779B9u;
        key[1] += 0xBB67AE85u;
    }
    dice->counter[0]++;
    dice->used = 0;
}

struct tsn_dice tsn_dice_new(uint64_t seed, uint32_t who, uint32_t when, uint32_t purpose)
{
    return (struct tsn_dice){
        .key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
        .counter = {0, who, when, purpose},
        .used = 4,
    };
}

uint32_t tsn_dice_u32(struct tsn_dice *dice)
{
    if (dice->used == 4) {
        next_block(dice);
    }
    return dice->block[dice->used++];
}

double tsn_dice_unit(struct tsn_dice *dice)
{
    uint64_t high = tsn_dice_u32(dice);
    uint64_t low = tsn_dice_u32(dice);
    return ((double)((high << 21) ^ (low >> 11)) + 0.5) * 0x1p-53;
}

uint32_t tsn_dice_below(struct tsn_dice *dice, uint32_t n)
{
    TSN_MUST(n > 0);
    return (uint32_t)(((uint64_t)tsn_dice_u32(dice) * n) >> 32);
}

int64_t tsn_dice_between(struct tsn_dice *dice, int64_t low, int64_t high)
{
    return low + (int64_t)floor(tsn_dice_unit(dice) * (double)(high - low + 1));
}

bool tsn_dice_chance(struct tsn_dice *dice, double p)
{
    return tsn_dice_unit(dice) < p;
}

double tsn_dice_lognormal(struct tsn_dice *dice, double median, double sigma)
{
    double radius = sqrt(-2.0 * log(tsn_dice_unit(dice)));
    double angle = 2.0 * M_PI * tsn_dice_unit(dice);
    return median * exp(sigma * radius * cos(angle));
}

double tsn_dice_log_logistic(struct tsn_dice *dice, double alpha, double beta, double cap)
{
    double at_cap = 1.0 / (1.0 + pow(cap / alpha, -beta));
    double u = tsn_dice_unit(dice) * at_cap;
    return alpha * pow(u / (1.0 - u), 1.0 / beta);
}

uint32_t tsn_dice_poisson(struct tsn_dice *dice, double mean)
{
    double u = tsn_dice_unit(dice);
    double p = exp(-mean);
    double sum = p;
    uint32_t n = 0;
    while (u > sum && n < 1000) {
        n++;
        p *= mean / n;
        sum += p;
    }
    return n;
}

uint32_t tsn_dice_rank(struct tsn_dice *dice, uint32_t n)
{
    TSN_MUST(n > 0);
    /* Inverse of the bounded Pareto distribution with density x^-1.1 on [1, n + 1). */
    double tail = pow((double)n + 1.0, -0.1);
    double x = pow(1.0 - tsn_dice_unit(dice) * (1.0 - tail), -1.0 / 0.1);
    uint32_t rank = (uint32_t)x;
    return rank >= 1 && rank <= n ? rank - 1 : 0;
}
