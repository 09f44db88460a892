#include "engine/window/sketch.h"

#include <math.h>
#include <string.h>

void tsn_sketch_unite(uint8_t *restrict ranks, const uint8_t *restrict others)
{
    for (int i = 0; i < TSN_SKETCH_PLACES; i++) {
        ranks[i] = others[i] > ranks[i] ? others[i] : ranks[i];
    }
}

void tsn_sketch_count(struct tsn_sketch_sum *sum)
{
    memset(sum->n_of, 0, sizeof sum->n_of);
    for (int i = 0; i < TSN_SKETCH_PLACES; i++) {
        sum->n_of[sum->ranks[i]]++;
    }
}

/* x + sum over k of x^(2^k) 2^(k-1) */
static double sigma(double x)
{
    double y = 1.0;
    double z = x;
    double before = -1.0;
    while (z != before) {
        x *= x;
        before = z;
        z += x * y;
        y += y;
    }
    return z;
}

/* (1 - x - sum over k of (1 - x^(2^-k))^2 2^-k) / 3 */
static double tau(double x)
{
    double y = 1.0;
    double z = 1.0 - x;
    double before = -1.0;
    while (z != before) {
        x = sqrt(x);
        before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
    }
    return z / 3.0;
}

uint64_t tsn_sketch_estimate(const struct tsn_sketch_sum *sum)
{
    const double m = TSN_SKETCH_PLACES;
    const double alpha = 0.721347520444481703680; /* 1 / (2 ln 2) */
    if (sum->n_of[0] == TSN_SKETCH_PLACES) {
        return 0;
    }
    if (sum->n_of[TSN_SKETCH_RANKS - 1] == TSN_SKETCH_PLACES) {
        return UINT64_MAX;
    }
    double full = sum->n_of[TSN_SKETCH_RANKS - 1];
    double z = full == 0 ? 0.0 : m * tau(1.0 - full / m);
    for (int k = TSN_SKETCH_RANKS - 2; k >= 1; k--) {
        z = 0.5 * (z + sum->n_of[k]);
    }
    z += m * sigma(sum->n_of[0] / m);
    return (uint64_t)(alpha * m * m / z + 0.5);
}
