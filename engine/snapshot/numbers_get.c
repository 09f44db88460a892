/* Numbers on their way in: see numbers.h. */
#include <string.h>

#include "engine/snapshot/machine.h"
#include "engine/snapshot/numbers.h"

uint64_t tsn_snapshot_bits_known(const struct tsn_plan_stream *stream)
{
    uint64_t known = stream->n_conds == 64 ? UINT64_MAX : (UINT64_C(1) << stream->n_conds) - 1;
    for (int v = 0; v < stream->n_values; v++) {
        known |= stream->values[v].present;
    }
    return known;
}

bool tsn_snapshot_numbers_alone(const struct tsn_plan_stream *stream)
{
    int word = 1 + (stream->layout.has_bits ? 1 : 0);
    for (int v = 0; v < stream->n_values; v++, word++) {
        if (stream->values[v].kind != TSN_WINDOW_INTEGER || stream->values[v].word != word) {
            return false;
        }
    }
    return (int)stream->layout.stride == word;
}

/* The largest word that a field can have. */
static uint64_t most_of(const struct tsn_field *field)
{
    if (field->rep == TSN_REP_ENUM) {
        return (uint64_t)field->dict.n - 1; /* the dictionary of an enum is not empty */
    }
    return field->rep == TSN_REP_BOOL ? 1 : UINT64_MAX;
}

/* ---- word by word ----------------------------------------------------------------------- */

/* Steps of time become times; false if one goes back, the first of all aside. */
static bool times_sum(uint64_t *row, size_t stride, size_t n, bool first)
{
    int64_t time_ms = first ? 0 : (int64_t) * (row - stride);
    bool right = true;
    for (size_t i = 0; i < n; i++, row += stride) {
        int64_t step_ms = tsn_snapshot_unzigzag(*row);
        right &= !__builtin_add_overflow(time_ms, step_ms, &time_ms);
        right &= step_ms >= 0 || (first && i == 0);
        *row = (uint64_t)time_ms;
    }
    return right;
}

static bool values_sign(uint64_t *word, size_t stride, size_t n, uint64_t most)
{
    bool right = true;
    for (size_t i = 0; i < n; i++, word += stride) {
        *word = (uint64_t)tsn_snapshot_unzigzag(*word);
        right &= *word <= most;
    }
    return right;
}

/* n rows to where there is room for them, behind another one unless they are the first. */
static void plain_get(struct tsn_snapshot_reader *reader, const struct tsn_plan_stream *stream,
                      const struct tsn_field *fields, uint64_t *row, size_t n, bool first)
{
    size_t stride = stream->layout.stride;
    tsn_snapshot_get_counts(reader, row, n * stride);
    bool right = times_sum(row, stride, n, first);
    uint64_t unknown = ~tsn_snapshot_bits_known(stream);
    for (size_t i = 0; stream->layout.has_bits && i < n; i++) {
        right &= (row[i * stride + 1] & unknown) == 0;
    }
    for (int v = 0; v < stream->n_values; v++) {
        const struct tsn_plan_value *value = &stream->values[v];
        right &= values_sign(row + value->word, stride, n, most_of(&fields[value->field]));
    }
    reader->wrong |= !right;
}

void tsn_snapshot_numbers_get_plain(struct tsn_snapshot_reader *reader,
                                    const struct tsn_plan_stream *stream,
                                    const struct tsn_field *fields, uint64_t *row, uint32_t n)
{
    enum { ROWS_AT_ONCE = 256 }; /* in a core's first cache */
    for (uint32_t done = 0; done < n && !reader->wrong; done += ROWS_AT_ONCE) {
        uint32_t some = n - done < ROWS_AT_ONCE ? n - done : ROWS_AT_ONCE;
        plain_get(reader, stream, fields, row + (size_t)done * stream->layout.stride, some,
                  done == 0);
    }
}

/* ---- eight words at once ----------------------------------------------------------------- */

#if defined(__x86_64__)
enum { LANES = 8, SPAN = 64 };

/* What the words of some rows, side by side, are, and what they may be. */
struct lanes {
    uint32_t rows;
    __mmask8 times, zigzags;
    uint64_t most[LANES], unknown[LANES]; /* unknown: no bit of these */
};

static struct lanes lanes_of(const struct tsn_plan_stream *stream, const struct tsn_field *fields)
{
    unsigned stride = stream->layout.stride;
    struct lanes lanes = {.rows = LANES / stride};
    memset(lanes.most, 0xff, sizeof lanes.most);
    for (unsigned at = 0; at + stride <= LANES; at += stride) {
        lanes.times |= (__mmask8)(1u << at);
        if (stream->layout.has_bits) {
            lanes.unknown[at + 1] = ~tsn_snapshot_bits_known(stream);
        }
        for (int v = 0; v < stream->n_values; v++) {
            const struct tsn_plan_value *value = &stream->values[v];
            lanes.zigzags |= (__mmask8)(1u << (at + value->word));
            lanes.most[at + value->word] = most_of(&fields[value->field]);
        }
    }
    lanes.zigzags |= lanes.times;
    return lanes;
}

/* What is the same for all rows of a log. */
struct wide {
    __m512i most, unknown;
    __m512i row_before;   /* its time; of the first, that of the second operand */
    __m512i last;         /* time of the last row */
    __m512i back[3];      /* lanes one, two, four rows before */
    __mmask8 has_back[3]; /* those that have them */
    __mmask8 times, zigzags;
};

TSN_WIDE static inline struct wide wide_of(const struct lanes *lanes, unsigned stride)
{
    const __m512i number = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
    struct wide wide = {
        .most = _mm512_loadu_si512(lanes->most),
        .unknown = _mm512_loadu_si512(lanes->unknown),
        .last = _mm512_set1_epi64((lanes->rows - 1) * stride),
        .times = lanes->times,
        .zigzags = lanes->zigzags,
    };
    for (unsigned i = 0; i < 3; i++) {
        unsigned back = stride << i;
        wide.back[i] = _mm512_sub_epi64(number, _mm512_set1_epi64(back));
        wide.has_back[i] = back < LANES ? (__mmask8)(0xffu << back) : 0;
    }
    wide.row_before = _mm512_mask_mov_epi64(wide.back[0], 1, _mm512_set1_epi64(LANES));
    return wide;
}

/* Of the bytes from `from` on, the counts that end at the first eight of `ends`, each of
 * at most eight bytes; *long_ones: those that are longer, whose number means nothing. */
TSN_WIDE static inline __m512i eight_counts(__m512i bytes, size_t from, __mmask64 ends,
                                            __mmask8 *long_ones)
{
    const __m512i behind = /* each byte's number + 1 */
        _mm512_set_epi64(0x403f3e3d3c3b3a39, 0x3837363534333231, 0x302f2e2d2c2b2a29,
                         0x2827262524232221, 0x201f1e1d1c1b1a19, 0x1817161514131211,
                         0x100f0e0d0c0b0a09, 0x0807060504030201);
    const __m512i spread = _mm512_broadcast_i32x4(_mm_set_epi64x(0x0808080808080808, 0));
    const __m512i within = _mm512_set1_epi64(0x0706050403020100);
    const __m512i high = _mm512_set1_epi8(INT8_MIN);
    __m512i nothing = _mm512_setzero_si512();
    __asm__("" : "+v"(nothing)); /* or it is taken for maskz, which waits for its old target */
    __m128i next = _mm512_castsi512_si128(_mm512_mask_compress_epi8(nothing, ends, behind));
    __m128i starts = _mm_or_si128(_mm_bslli_si128(next, 1), _mm_cvtsi32_si128((int)from));
    __m512i places = _mm512_shuffle_epi8(_mm512_cvtepu8_epi64(starts), spread);
    __m512i words = _mm512_permutexvar_epi8(_mm512_add_epi8(places, within), bytes);
    __m512i end = _mm512_andnot_si512(words, high);
    *long_ones = _mm512_testn_epi64_mask(end, end);
    __m512i through = _mm512_xor_si512(end, _mm512_sub_epi64(end, _mm512_set1_epi64(1)));
    words = _mm512_and_si512(words, _mm512_andnot_si512(high, through));
    /* Seven bits of a byte to fourteen of two, to 28 of four, to 56 of eight. */
    words = _mm512_maddubs_epi16(_mm512_set1_epi16((short)0x8001), words);
    words = _mm512_madd_epi16(words, _mm512_set1_epi32(1 << 14 << 16 | 1));
    __m512i upper =
        _mm512_and_si512(_mm512_srli_epi64(words, 4), _mm512_set1_epi64(INT64_C(0xfffffff) << 28));
    return _mm512_or_si512(_mm512_and_si512(words, _mm512_set1_epi64(0xfffffff)), upper);
}

/* Words of rows from their counts; *before: the time before, then of the last row. Returns
 * the lanes that no row could have; `steps`: those that may not go back. */
TSN_WIDE static inline __mmask8 rows_from(const struct wide *wide, __mmask8 here, __mmask8 steps,
                                          __m512i *before, __m512i *words)
{
    __m512i odd = _mm512_and_si512(*words, _mm512_set1_epi64(1));
    __m512i all = _mm512_mask_xor_epi64(*words, wide->zigzags, _mm512_srli_epi64(*words, 1),
                                        _mm512_sub_epi64(_mm512_setzero_si512(), odd));
    __m512i times = _mm512_maskz_mov_epi64(wide->times, all);
    for (unsigned i = 0; i < 3; i++) {
        times = _mm512_add_epi64(
            times, _mm512_maskz_permutexvar_epi64(wide->has_back[i], wide->back[i], times));
    }
    times = _mm512_add_epi64(times, *before);
    __mmask8 wrong = _mm512_mask_cmplt_epi64_mask(steps, all, _mm512_setzero_si512());
    wrong |= _mm512_mask_cmplt_epi64_mask(
        steps, times, _mm512_permutex2var_epi64(times, wide->row_before, *before));
    *before = _mm512_permutexvar_epi64(wide->last, times);
    *words = _mm512_mask_mov_epi64(all, wide->times, times);
    wrong |= _mm512_mask_cmpgt_epu64_mask(here, *words, wide->most);
    return wrong | _mm512_mask_test_epi64_mask(here, *words, wide->unknown);
}

TSN_WIDE static void wide_get(struct tsn_snapshot_reader *reader,
                              const struct tsn_plan_stream *stream, const struct tsn_field *fields,
                              uint64_t *row, uint32_t n)
{
    const unsigned stride = stream->layout.stride;
    const struct lanes lanes = lanes_of(stream, fields);
    const struct wide wide = wide_of(&lanes, stride);
    __m512i before = _mm512_setzero_si512();
    __mmask8 goes_on = 0xfe; /* the first time of a log is no step */
    while (n > 0 && !reader->wrong) {
        __mmask64 have = reader->left < SPAN ? (UINT64_C(1) << reader->left) - 1 : UINT64_MAX;
        __m512i bytes = have == UINT64_MAX ? _mm512_loadu_si512(reader->p)
                                           : _mm512_maskz_loadu_epi8(have, reader->p);
        __mmask64 ends = have & ~_mm512_movepi8_mask(bytes);
        __mmask8 wrong = 0;
        uint32_t some = n < lanes.rows ? n : lanes.rows;
        size_t used = 0;
        uint64_t end; /* of the last count of these rows */
        while (n > 0 && (end = _pdep_u64(UINT64_C(1) << (some * stride - 1), ends))) {
            __mmask8 here = (__mmask8)((1u << (some * stride)) - 1);
            __mmask8 long_ones;
            __m512i words = eight_counts(bytes, used, ends, &long_ones);
            if (long_ones & here) {
                break;
            }
            wrong |= rows_from(&wide, here, wide.times & here & goes_on, &before, &words);
            _mm512_mask_storeu_epi64(row, here, words);
            used = (size_t)__builtin_ctzll(end) + 1;
            ends &= ~(end | (end - 1));
            goes_on = 0xff;
            row += some * stride;
            n -= some;
            some = n < lanes.rows ? n : lanes.rows;
        }
        reader->p += used;
        reader->left -= used;
        reader->wrong = wrong != 0;
        if (used == 0) { /* a long one, or the end */
            plain_get(reader, stream, fields, row, some, goes_on == 0xfe);
            before = _mm512_set1_epi64((int64_t)row[(some - 1) * stride]);
            goes_on = 0xff;
            row += some * stride;
            n -= some;
        }
    }
}
#endif

void tsn_snapshot_numbers_get(struct tsn_snapshot_reader *reader,
                              const struct tsn_plan_stream *stream, const struct tsn_field *fields,
                              uint64_t *row, uint32_t n)
{
#if defined(__x86_64__)
    if (stream->layout.stride <= LANES && tsn_wide_runs_here()) {
        wide_get(reader, stream, fields, row, n);
        return;
    }
#endif
    tsn_snapshot_numbers_get_plain(reader, stream, fields, row, n);
}
