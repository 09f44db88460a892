/* Dice: the generator against its published vector, and the laws against theirs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "connectors/simulate/dice.h"

static void philox_gives_the_published_numbers(void **state)
{
    (void)state;
    /* Random123, kat_vectors: philox4x32 10, counter and key zero, then all ones. */
    static const struct {
        uint64_t seed;
        uint32_t fill;
        uint32_t expect[4];
    } cases[] = {
        {0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {UINT64_MAX, UINT32_MAX, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tsn_dice dice =
            tsn_dice_new(cases[i].seed, cases[i].fill, cases[i].fill, cases[i].fill);
        dice.counter[0] = cases[i].fill;
        for (int j = 0; j < 4; j++) {
            assert_int_equal(tsn_dice_u32(&dice), cases[i].expect[j]);
        }
    }
}

static void an_address_gives_the_same_numbers_whatever_else_was_drawn(void **state)
{
    (void)state;
    struct tsn_dice first = tsn_dice_new(7, 1, 2, 3);
    uint32_t a = tsn_dice_u32(&first);
    struct tsn_dice other = tsn_dice_new(7, 1, 2, 4);
    uint32_t b = tsn_dice_u32(&other);
    struct tsn_dice again = tsn_dice_new(7, 1, 2, 3);
    assert_int_equal(tsn_dice_u32(&again), a);
    assert_int_not_equal(a, b);
}

enum { DRAWS = 20000 };

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *values, double q)
{
    qsort(values, DRAWS, sizeof *values, by_value);
    return values[(size_t)(q * (DRAWS - 1))];
}

static void assert_near(double value, double expect, double tolerance)
{
    if (fabs(value - expect) > tolerance * expect) {
        fail_msg("%g is not within %g %% of %g", value, tolerance * 100, expect);
    }
}

static void talk_time_follows_the_truncated_log_logistic(void **state)
{
    (void)state;
    static double values[DRAWS];
    struct tsn_dice dice = tsn_dice_new(1, 0, 0, 0);
    double sum = 0;
    for (int i = 0; i < DRAWS; i++) {
        values[i] = tsn_dice_log_logistic(&dice, 45, 1.6, 14400);
        assert_true(values[i] > 0 && values[i] <= 14400 * 1.0001);
        sum += values[i];
    }
    /* alpha 45 s, beta 1.6, cut at 4 h: median 45 s, p90 178 s, p99 795 s, mean 96 s. */
    assert_near(quantile(values, 0.5), 45, 0.05);
    assert_near(quantile(values, 0.9), 178, 0.06);
    assert_near(quantile(values, 0.99), 795, 0.15);
    assert_near(sum / DRAWS, 96, 0.12);
}

static void counts_ranks_and_sums_follow_their_laws(void **state)
{
    (void)state;
    struct tsn_dice dice = tsn_dice_new(2, 0, 0, 0);
    double poisson = 0;
    uint32_t first_rank = 0;
    static double logs[DRAWS];
    for (int i = 0; i < DRAWS; i++) {
        poisson += tsn_dice_poisson(&dice, 0.7);
        uint32_t rank = tsn_dice_rank(&dice, 30);
        assert_true(rank < 30);
        first_rank += rank == 0;
        logs[i] = tsn_dice_lognormal(&dice, 100, 1.0);
        uint32_t below = tsn_dice_below(&dice, 3);
        assert_true(below < 3);
        int64_t between = tsn_dice_between(&dice, -2, 2);
        assert_true(between >= -2 && between <= 2);
    }
    assert_near(poisson / DRAWS, 0.7, 0.05);
    /* (1 - 2^-0.1) / (1 - 31^-0.1) of the draws. */
    assert_near((double)first_rank / DRAWS, 0.2303, 0.05);
    assert_near(quantile(logs, 0.5), 100, 0.05);
    assert_near(quantile(logs, 0.8413), 271.8, 0.08);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_published_numbers),
        cmocka_unit_test(an_address_gives_the_same_numbers_whatever_else_was_drawn),
        cmocka_unit_test(talk_time_follows_the_truncated_log_logistic),
        cmocka_unit_test(counts_ranks_and_sums_follow_their_laws),
    };
    return cmocka_run_group_tests_name("simulate: dice", tests, NULL, NULL);
}
