/* Numbers word by word, for machines with BMI2 and no AVX-512, and for rows that are longer
 * than its lanes: see numbers.h.
 *
 * A count becomes bytes by one deposit of its bits, and its length is told by the zeros above
 * them: nine instructions, of which the next number waits for one. With that few, what the
 * loop around them asks is felt, so rows of nothing but counts, if short, are each a straight
 * line. A log of 120 such rows of two words takes 0.34 us; 0.46 by the loop that asks each
 * value what it is, 0.86 plain, 0.18 with AVX-512 (AMD EPYC 9004, rows in the cache, gcc 12).
 * Four words at once by AVX2 took 0.29, and no less than this for 20 rows, but want rows that
 * fill their lanes, a way for those that do not, and twice the code.
 */
#include <string.h>

#include "engine/snapshot/machine.h"
#include "engine/snapshot/numbers.h"

#if defined(__x86_64__)

#define INLINED TSN_BMI2 static inline __attribute__((always_inline))

struct end {
    uint8_t *p;
    uint64_t bits; /* of all counts of a row */
};

/* A count below 2^56; one that is not writes no more than a word either. */
INLINED void count_put(struct end *end, uint64_t count)
{
    uint64_t bytes = _pdep_u64(count, 0x7f7f7f7f7f7f7f7f);
    uint64_t last = ~_lzcnt_u64(bytes | 1) & 56; /* bits before its last byte */
    bytes |= _bzhi_u64(0x8080808080808080, (unsigned)last);
    memcpy(end->p, &bytes, sizeof bytes);
    end->p += last / 8 + 1;
    end->bits |= count;
}

/* alone: tsn_snapshot_numbers_alone(). With a stride that is known when this is compiled, a
 * row is a straight line. */
INLINED uint8_t *rows_put(uint8_t *p, const struct tsn_plan_stream *stream, uint64_t time,
                          const uint64_t *row, uint32_t n, bool alone, unsigned stride)
{
    const unsigned has_bits = stream->layout.has_bits ? 1 : 0;
    const unsigned n_values = alone ? stride - 1 - has_bits : (unsigned)stream->n_values;
    struct end end = {.p = p};
    for (uint32_t i = 0; i < n; i++, row += stride) {
        uint8_t *from = end.p;
        end.bits = 0;
        count_put(&end, tsn_snapshot_zigzag((int64_t)(row[0] - time)));
        if (has_bits) {
            count_put(&end, row[1]);
        }
        for (unsigned v = 0; v < n_values; v++) {
            uint64_t word = row[alone ? 1 + has_bits + v : stream->values[v].word];
            if (alone || stream->values[v].kind == TSN_WINDOW_INTEGER) {
                count_put(&end, tsn_snapshot_zigzag((int64_t)word));
            } else {
                memcpy(end.p, &word, sizeof word);
                end.p += sizeof word;
            }
        }
        if (end.bits >> 56) {
            end.p = tsn_snapshot_numbers_plain(from, stream, time, row, 1);
        }
        time = row[0];
    }
    return end.p;
}

TSN_BMI2 uint8_t *tsn_snapshot_numbers_bmi2(uint8_t *p, const struct tsn_plan_stream *stream,
                                            uint64_t time, const uint64_t *row, uint32_t n)
{
    switch (tsn_snapshot_numbers_alone(stream) ? stream->layout.stride : 0) {
    case 1:
        return rows_put(p, stream, time, row, n, true, 1);
    case 2:
        return rows_put(p, stream, time, row, n, true, 2);
    case 3:
        return rows_put(p, stream, time, row, n, true, 3);
    case 4:
        return rows_put(p, stream, time, row, n, true, 4);
    default:
        return rows_put(p, stream, time, row, n, false, stream->layout.stride);
    }
}
#endif
