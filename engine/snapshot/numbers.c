#include "engine/snapshot/numbers.h"

#include <string.h>

#include "engine/snapshot/machine.h"

uint8_t *tsn_snapshot_numbers_plain(uint8_t *p, const struct tsn_plan_stream *stream, uint64_t time,
                                    const uint64_t *row, uint32_t n)
{
    const struct tsn_window_layout *layout = &stream->layout;
    for (uint32_t i = 0; i < n; i++, row += layout->stride) {
        p = tsn_snapshot_count_at(p, tsn_snapshot_zigzag((int64_t)(row[0] - time)));
        time = row[0];
        if (layout->has_bits) {
            p = tsn_snapshot_count_at(p, row[1]);
        }
        for (int v = 0; v < stream->n_values; v++) {
            uint64_t word = row[stream->values[v].word];
            if (stream->values[v].kind == TSN_WINDOW_INTEGER) {
                p = tsn_snapshot_count_at(p, tsn_snapshot_zigzag((int64_t)word));
            } else {
                word = tsn_snapshot_word(word);
                memcpy(p, &word, sizeof word);
                p += sizeof word;
            }
        }
    }
    return p;
}

#if defined(__x86_64__)
enum { LANES = 8 };

/* Which words of some rows, side by side, are what. */
struct lanes {
    uint32_t rows;
    uint8_t times, zigzags, counts;
    uint8_t raw; /* hashes and doubles; neither these nor counts: not written */
};

static struct lanes lanes_of(const struct tsn_plan_stream *stream)
{
    unsigned stride = stream->layout.stride;
    struct lanes lanes = {.rows = LANES / stride};
    unsigned zigzags = 1;
    unsigned counts = stream->layout.has_bits ? 3 : 1;
    unsigned raw = 0;
    for (int v = 0; v < stream->n_values; v++) {
        unsigned bit = 1u << stream->values[v].word;
        zigzags |= stream->values[v].kind == TSN_WINDOW_INTEGER ? bit : 0;
        raw |= stream->values[v].kind == TSN_WINDOW_INTEGER ? 0 : bit;
    }
    counts |= zigzags;
    for (uint32_t r = 0; r < lanes.rows; r++) {
        lanes.times |= (uint8_t)(1u << (r * stride));
        lanes.zigzags |= (uint8_t)(zigzags << (r * stride));
        lanes.counts |= (uint8_t)(counts << (r * stride));
        lanes.raw |= (uint8_t)(raw << (r * stride));
    }
    return lanes;
}

/* Counts below 2^56 as bytes of seven bits, the rest of each word zero; *keep: all bits of
 * the bytes that are written. */
TSN_WIDE static inline __m512i counts_spread(__m512i counts, __m512i *keep)
{
    const __m512i shifts = _mm512_set1_epi64(0x312a231c150e0700);
    __m512i bytes = _mm512_multishift_epi64_epi8(shifts, counts);
    bytes = _mm512_and_si512(bytes, _mm512_set1_epi8(0x7f));
    __m512i zeros = _mm512_lzcnt_epi64(_mm512_or_si512(bytes, _mm512_set1_epi64(1)));
    zeros = _mm512_and_si512(zeros, _mm512_set1_epi64(64 - 8)); /* whole bytes of them */
    *keep = _mm512_srlv_epi64(_mm512_set1_epi64(-1), zeros);
    __m512i goes_on = _mm512_and_si512(_mm512_srli_epi64(*keep, 8), _mm512_set1_epi8(INT8_MIN));
    return _mm512_or_si512(bytes, goes_on);
}

TSN_WIDE static uint8_t *wide_put(uint8_t *p, const struct tsn_plan_stream *stream, uint64_t time,
                                  const uint64_t *row, uint32_t n)
{
    const unsigned stride = stream->layout.stride;
    const struct lanes lanes = lanes_of(stream);
    const __m512i number = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i row_before = /* its time; of the first, that of the second operand */
        _mm512_mask_mov_epi64(_mm512_sub_epi64(number, _mm512_set1_epi64(stride)), 1,
                              _mm512_set1_epi64(LANES));
    const __m512i high = _mm512_set1_epi64(INT64_MIN >> (64 - 56 - 1));
    while (n > 0) {
        uint32_t some = n < lanes.rows ? n : lanes.rows;
        __mmask8 here = (__mmask8)((1u << (some * stride)) - 1);
        __m512i words = _mm512_maskz_loadu_epi64(here, row);
        __m512i before =
            _mm512_permutex2var_epi64(words, row_before, _mm512_set1_epi64((int64_t)time));
        words = _mm512_mask_sub_epi64(words, lanes.times, words, before);
        words = _mm512_mask_xor_epi64(words, lanes.zigzags, _mm512_slli_epi64(words, 1),
                                      _mm512_srai_epi64(words, 63));
        if (_mm512_mask_test_epi64_mask(lanes.counts & here, words, high)) {
            p = tsn_snapshot_numbers_plain(p, stream, time, row, some);
        } else {
            __m512i keep;
            __m512i bytes = counts_spread(words, &keep);
            bytes = _mm512_mask_mov_epi64(bytes, lanes.raw, words);
            keep = _mm512_mask_mov_epi64(keep, lanes.raw, _mm512_set1_epi64(-1));
            keep = _mm512_maskz_mov_epi64((lanes.counts | lanes.raw) & here, keep);
            __mmask64 written = _mm512_movepi8_mask(keep);
            _mm512_storeu_si512(p, _mm512_maskz_compress_epi8(written, bytes));
            p += __builtin_popcountll(written);
        }
        time = row[(some - 1) * stride];
        row += some * stride;
        n -= some;
    }
    return p;
}
#endif

uint8_t *tsn_snapshot_numbers_put(uint8_t *p, const struct tsn_plan_stream *stream, uint64_t time,
                                  const uint64_t *row, uint32_t n)
{
#if defined(__x86_64__)
    if (stream->layout.stride <= LANES && tsn_wide_runs_here()) {
        return wide_put(p, stream, time, row, n);
    }
    if (tsn_bmi2_is_fast_here()) {
        return tsn_snapshot_numbers_bmi2(p, stream, time, row, n);
    }
#endif
    return tsn_snapshot_numbers_plain(p, stream, time, row, n);
}
