/* Kernels: the loops of the column evaluator.
 *
 * Free functions over plain arrays, no call inside, so that the compiler may
 * unroll and vectorise. A comparison writes 64 rows into one word; where the
 * machine has AVX2 the two busiest, range and double against a constant, use it
 * (four cells a step), chosen once at run time so that one binary serves all.
 * Measure with bench_rules.
 */
#include "rules/expr/kernel.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define TSN_HAS_AVX2() __builtin_cpu_supports("avx2")
#endif

/* One word from up to 64 rows of an expression in i. */
#define PACK(n, out, expression)                                                                   \
    for (size_t word_ = 0, first_ = 0; first_ < (n); word_++, first_ += 64) {                      \
        size_t end_ = (n)-first_ < 64 ? (n)-first_ : 64;                                           \
        uint64_t bits_ = 0;                                                                        \
        for (size_t k_ = 0; k_ < end_; k_++) {                                                     \
            size_t i = first_ + k_;                                                                \
            bits_ |= (uint64_t)(expression) << k_;                                                 \
        }                                                                                          \
        (out)[word_] = bits_;                                                                      \
    }

#if defined(__x86_64__)
__attribute__((target("avx2"))) static size_t range_avx2(const int64_t *restrict cells, size_t n,
                                                         int64_t low, int64_t high,
                                                         uint64_t *restrict out)
{
    __m256i lows = _mm256_set1_epi64x(low);
    __m256i highs = _mm256_set1_epi64x(high);
    size_t words = n / 64;
    for (size_t w = 0; w < words; w++) {
        uint64_t outside = 0;
        for (unsigned k = 0; k < 64; k += 4) {
            __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(cells + w * 64 + k));
            __m256i bad =
                _mm256_or_si256(_mm256_cmpgt_epi64(lows, v), _mm256_cmpgt_epi64(v, highs));
            outside |= (uint64_t)(unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(bad)) << k;
        }
        out[w] = ~outside;
    }
    return words * 64;
}

#define DOUBLE_AVX2(name, predicate)                                                               \
    __attribute__((target("avx2"))) static size_t name(const double *restrict cells, size_t n,     \
                                                       double with, uint64_t *restrict out)        \
    {                                                                                              \
        __m256d withs = _mm256_set1_pd(with);                                                      \
        size_t words = n / 64;                                                                     \
        for (size_t w = 0; w < words; w++) {                                                       \
            uint64_t bits = 0;                                                                     \
            for (unsigned k = 0; k < 64; k += 4) {                                                 \
                __m256d v = _mm256_loadu_pd(cells + w * 64 + k);                                   \
                __m256d hit = _mm256_cmp_pd(v, withs, predicate);                                  \
                bits |= (uint64_t)(unsigned)_mm256_movemask_pd(hit) << k;                          \
            }                                                                                      \
            out[w] = bits;                                                                         \
        }                                                                                          \
        return words * 64;                                                                         \
    }

DOUBLE_AVX2(eq_avx2, _CMP_EQ_OQ)
DOUBLE_AVX2(ne_avx2, _CMP_NEQ_UQ)
DOUBLE_AVX2(lt_avx2, _CMP_LT_OQ)
DOUBLE_AVX2(le_avx2, _CMP_LE_OQ)
DOUBLE_AVX2(gt_avx2, _CMP_GT_OQ)
DOUBLE_AVX2(ge_avx2, _CMP_GE_OQ)

static size_t double_avx2(const double *restrict cells, size_t n, enum tsn_relation relation,
                          double with, uint64_t *restrict out)
{
    switch (relation) {
    case TSN_EQ:
        return eq_avx2(cells, n, with, out);
    case TSN_NE:
        return ne_avx2(cells, n, with, out);
    case TSN_LT:
        return lt_avx2(cells, n, with, out);
    case TSN_LE:
        return le_avx2(cells, n, with, out);
    case TSN_GT:
        return gt_avx2(cells, n, with, out);
    case TSN_GE:
        return ge_avx2(cells, n, with, out);
    }
    return 0;
}
#endif

void tsn_kernel_range(const int64_t *restrict cells, size_t n, int64_t low, int64_t high,
                      uint64_t *restrict out)
{
    if (low > high) {
        memset(out, 0, tsn_bits_words(n) * sizeof *out);
        return;
    }
#if defined(__x86_64__)
    if (TSN_HAS_AVX2()) {
        size_t done = range_avx2(cells, n, low, high, out);
        cells += done;
        out += done / 64;
        n -= done;
    }
#endif
    uint64_t span = (uint64_t)high - (uint64_t)low;
    PACK(n, out, (uint64_t)cells[i] - (uint64_t)low <= span)
}

void tsn_kernel_double_const(const double *restrict cells, size_t n, enum tsn_relation relation,
                             double with, uint64_t *restrict out)
{
#if defined(__x86_64__)
    if (TSN_HAS_AVX2()) {
        size_t done = double_avx2(cells, n, relation, with, out);
        cells += done;
        out += done / 64;
        n -= done;
    }
#endif
    switch (relation) {
    case TSN_EQ:
        PACK(n, out, cells[i] == with)
        break;
    case TSN_NE:
        PACK(n, out, cells[i] != with)
        break;
    case TSN_LT:
        PACK(n, out, cells[i] < with)
        break;
    case TSN_LE:
        PACK(n, out, cells[i] <= with)
        break;
    case TSN_GT:
        PACK(n, out, cells[i] > with)
        break;
    case TSN_GE:
        PACK(n, out, cells[i] >= with)
        break;
    }
}

#define COMPARE(name, type)                                                                        \
    void name(const type *restrict a, const type *restrict b, size_t n,                            \
              enum tsn_relation relation, uint64_t *restrict out)                                  \
    {                                                                                              \
        switch (relation) {                                                                        \
        case TSN_EQ:                                                                               \
            PACK(n, out, a[i] == b[i])                                                             \
            break;                                                                                 \
        case TSN_NE:                                                                               \
            PACK(n, out, a[i] != b[i])                                                             \
            break;                                                                                 \
        case TSN_LT:                                                                               \
            PACK(n, out, a[i] < b[i])                                                              \
            break;                                                                                 \
        case TSN_LE:                                                                               \
            PACK(n, out, a[i] <= b[i])                                                             \
            break;                                                                                 \
        case TSN_GT:                                                                               \
            PACK(n, out, a[i] > b[i])                                                              \
            break;                                                                                 \
        case TSN_GE:                                                                               \
            PACK(n, out, a[i] >= b[i])                                                             \
            break;                                                                                 \
        }                                                                                          \
    }

COMPARE(tsn_kernel_int_int, int64_t)
COMPARE(tsn_kernel_double_double, double)

void tsn_kernel_codes(const uint16_t *restrict codes, size_t n, const uint8_t *restrict table,
                      size_t n_table,
                      uint64_t *restrict out){PACK(n, out, codes[i] < n_table && table[codes[i]])}

#define CHECKED(name, builtin)                                                                     \
    void name(const int64_t *restrict a, const int64_t *restrict b, size_t n,                      \
              int64_t *restrict out, uint64_t *restrict overflow)                                  \
    {                                                                                              \
        PACK(n, overflow, builtin(a[i], b[i], &out[i]))                                            \
    }

CHECKED(tsn_kernel_add_int, __builtin_add_overflow)
    CHECKED(tsn_kernel_sub_int, __builtin_sub_overflow)
        CHECKED(tsn_kernel_mul_int, __builtin_mul_overflow)

#define DOUBLE_OP(name, op)                                                                        \
    void name(const double *restrict a, const double *restrict b, size_t n, double *restrict out)  \
    {                                                                                              \
        for (size_t i = 0; i < n; i++) {                                                           \
            out[i] = a[i] op b[i];                                                                 \
        }                                                                                          \
    }

            DOUBLE_OP(tsn_kernel_add_double, +) DOUBLE_OP(tsn_kernel_sub_double, -)
                DOUBLE_OP(tsn_kernel_mul_double, *)

/* A division by zero is a value here (IEEE), whatever the sanitizer thinks. */
#if defined(__clang__)
                    __attribute__((no_sanitize("float-divide-by-zero")))
#endif
                    DOUBLE_OP(tsn_kernel_div_double, /)

                        void tsn_kernel_int_to_double(const int64_t *restrict a, size_t n,
                                                      double *restrict out)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = (double)a[i];
    }
}

void tsn_kernel_money_to_double(const int64_t *restrict a, size_t n, double by,
                                double *restrict out)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = (double)a[i] / by;
    }
}
