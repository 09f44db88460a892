/* Sketch: about how many different values a pane holds, in 2 KiB.
 *
 * HyperLogLog (Flajolet, Fusy, Gandouet, Meunier, AofA 2007) with 64-bit hashes and the
 * estimate of Ertl ("New cardinality estimation algorithms for HyperLogLog sketches",
 * arXiv 1702.01284, algorithm 6), which needs no table of corrections. Chosen because
 * sketches of panes unite to that of a window, value by value or whole; lists of values
 * would not be bounded. Standard error 1.04 / sqrt(2048) = 2.3 %.
 */
#ifndef TSN_ENGINE_WINDOW_SKETCH_H
#define TSN_ENGINE_WINDOW_SKETCH_H

#include <stdint.h>

enum {
    TSN_SKETCH_BITS = 11,
    TSN_SKETCH_PLACES = 1 << TSN_SKETCH_BITS,
    TSN_SKETCH_RANKS = 64 - TSN_SKETCH_BITS + 2, /* 0: no value has come */
};

/* Which place a value falls into, and the rank that it raises the place to. */
struct tsn_sketch_mark {
    uint32_t place;
    uint8_t rank;
};

static inline struct tsn_sketch_mark tsn_sketch_mark(uint64_t value)
{
    /* Consecutive ids must not cluster: the finaliser of splitmix64. */
    value += UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    value ^= value >> 31;
    uint64_t rest = value << TSN_SKETCH_BITS | UINT64_C(1) << (TSN_SKETCH_BITS - 1);
    return (struct tsn_sketch_mark){
        .place = (uint32_t)(value >> (64 - TSN_SKETCH_BITS)),
        .rank = (uint8_t)(__builtin_clzll(rest) + 1),
    };
}

/* ranks: [TSN_SKETCH_PLACES] */
static inline void tsn_sketch_add(uint8_t *ranks, uint64_t value)
{
    struct tsn_sketch_mark mark = tsn_sketch_mark(value);
    if (mark.rank > ranks[mark.place]) {
        ranks[mark.place] = mark.rank;
    }
}

void tsn_sketch_unite(uint8_t *restrict ranks, const uint8_t *restrict others);

/* A sketch that is read often: how many places have each rank. */
struct tsn_sketch_sum {
    uint32_t n_of[TSN_SKETCH_RANKS];
    uint8_t ranks[TSN_SKETCH_PLACES];
};

void tsn_sketch_count(struct tsn_sketch_sum *sum); /* fills n_of from ranks */

static inline void tsn_sketch_sum_add(struct tsn_sketch_sum *sum, uint64_t value)
{
    struct tsn_sketch_mark mark = tsn_sketch_mark(value);
    uint8_t *rank = &sum->ranks[mark.place];
    if (mark.rank > *rank) {
        sum->n_of[*rank]--;
        sum->n_of[mark.rank]++;
        *rank = mark.rank;
    }
}

/* How many different values, rounded. */
uint64_t tsn_sketch_estimate(const struct tsn_sketch_sum *sum);

#endif
