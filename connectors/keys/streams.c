#include "connectors/keys/streams.h"

#include <sodium.h>
#include <string.h>

#include "rules/must/must.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define WIDE __attribute__((target("avx512f")))

enum { WORDS = 16, KEY_WORDS = 8, DOUBLE_ROUNDS = 10 };

static const uint32_t sigma[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};

bool tsn_streams_run_here(void)
{
    return __builtin_cpu_supports("avx512f");
}

/* RFC 8439, 2.1, in every lane. */
WIDE static inline void quarter(__m512i *a, __m512i *b, __m512i *c, __m512i *d)
{
    *a = _mm512_add_epi32(*a, *b);
    *d = _mm512_rol_epi32(_mm512_xor_si512(*d, *a), 16);
    *c = _mm512_add_epi32(*c, *d);
    *b = _mm512_rol_epi32(_mm512_xor_si512(*b, *c), 12);
    *a = _mm512_add_epi32(*a, *b);
    *d = _mm512_rol_epi32(_mm512_xor_si512(*d, *a), 8);
    *c = _mm512_add_epi32(*c, *d);
    *b = _mm512_rol_epi32(_mm512_xor_si512(*b, *c), 7);
}

/* RFC 8439, 2.3, without the addition at its end. */
WIDE static inline void twenty_rounds(__m512i x[WORDS])
{
    for (int i = 0; i < DOUBLE_ROUNDS; i++) {
        quarter(&x[0], &x[4], &x[8], &x[12]);
        quarter(&x[1], &x[5], &x[9], &x[13]);
        quarter(&x[2], &x[6], &x[10], &x[14]);
        quarter(&x[3], &x[7], &x[11], &x[15]);
        quarter(&x[0], &x[5], &x[10], &x[15]);
        quarter(&x[1], &x[6], &x[11], &x[12]);
        quarter(&x[2], &x[7], &x[8], &x[13]);
        quarter(&x[3], &x[4], &x[9], &x[14]);
    }
}

/* From words of lanes the blocks of values: sixteen by sixteen words change places. */
WIDE static inline void turn(__m512i x[WORDS])
{
    __m512i pairs[WORDS];
    for (int i = 0; i < WORDS; i += 4) {
        __m512i low = _mm512_unpacklo_epi32(x[i], x[i + 1]);
        __m512i high = _mm512_unpackhi_epi32(x[i], x[i + 1]);
        __m512i low_next = _mm512_unpacklo_epi32(x[i + 2], x[i + 3]);
        __m512i high_next = _mm512_unpackhi_epi32(x[i + 2], x[i + 3]);
        pairs[i] = _mm512_unpacklo_epi64(low, low_next);
        pairs[i + 1] = _mm512_unpackhi_epi64(low, low_next);
        pairs[i + 2] = _mm512_unpacklo_epi64(high, high_next);
        pairs[i + 3] = _mm512_unpackhi_epi64(high, high_next);
    }
    for (int i = 0; i < 4; i++) { /* quarters of pairs[i + 4 * k] are of values i + 4 * quarter */
        __m512i even = _mm512_shuffle_i32x4(pairs[i], pairs[i + 4], 0x88);
        __m512i odd = _mm512_shuffle_i32x4(pairs[i], pairs[i + 4], 0xdd);
        __m512i even_next = _mm512_shuffle_i32x4(pairs[i + 8], pairs[i + 12], 0x88);
        __m512i odd_next = _mm512_shuffle_i32x4(pairs[i + 8], pairs[i + 12], 0xdd);
        x[i] = _mm512_shuffle_i32x4(even, even_next, 0x88);
        x[i + 4] = _mm512_shuffle_i32x4(odd, odd_next, 0x88);
        x[i + 8] = _mm512_shuffle_i32x4(even, even_next, 0xdd);
        x[i + 12] = _mm512_shuffle_i32x4(odd, odd_next, 0xdd);
    }
}

static uint32_t word_at(const uint8_t *p)
{
    uint32_t word;
    memcpy(&word, p, sizeof word); /* x86 is little-endian, as the RFC is */
    return word;
}

/* Word `at` of every nonce. */
WIDE static inline __m512i nonce_words(const uint8_t *const nonces[TSN_STREAMS], unsigned at)
{
    uint32_t words[TSN_STREAMS];
    for (unsigned i = 0; i < TSN_STREAMS; i++) {
        words[i] = word_at(nonces[i] + (size_t)at * sizeof words[0]);
    }
    return _mm512_loadu_si512(words);
}

/* HChaCha20 (draft-irtf-cfrg-xchacha-03, 2.2): each value's own key. */
WIDE static inline void subkeys_make(const uint8_t key[TSN_KEYS_BYTES],
                                     const uint8_t *const nonces[TSN_STREAMS],
                                     __m512i subkeys[KEY_WORDS])
{
    __m512i x[WORDS];
    for (unsigned i = 0; i < 4; i++) {
        x[i] = _mm512_set1_epi32((int)sigma[i]);
        x[12 + i] = nonce_words(nonces, i);
    }
    for (unsigned i = 0; i < KEY_WORDS; i++) {
        x[4 + i] = _mm512_set1_epi32((int)word_at(key + (size_t)i * sizeof(uint32_t)));
    }
    twenty_rounds(x);
    memcpy(subkeys, x, 4 * sizeof *x);
    memcpy(subkeys + 4, x + 12, 4 * sizeof *x);
}

WIDE static void streams_make(const uint8_t key[TSN_KEYS_BYTES],
                              const uint8_t *const nonces[TSN_STREAMS], unsigned blocks,
                              uint8_t *streams, size_t stride)
{
    __m512i start[WORDS];
    __m512i x[WORDS];
    for (unsigned i = 0; i < 4; i++) {
        start[i] = _mm512_set1_epi32((int)sigma[i]);
    }
    subkeys_make(key, nonces, start + 4);
    start[13] = _mm512_setzero_si512();
    start[14] = nonce_words(nonces, 4);
    start[15] = nonce_words(nonces, 5);
    for (unsigned block = 0; block < blocks; block++) {
        start[12] = _mm512_set1_epi32((int)block);
        memcpy(x, start, sizeof x);
        twenty_rounds(x);
        for (unsigned i = 0; i < WORDS; i++) {
            x[i] = _mm512_add_epi32(x[i], start[i]);
        }
        turn(x);
        for (unsigned i = 0; i < TSN_STREAMS; i++) {
            _mm512_storeu_si512(streams + i * stride + (size_t)block * TSN_STREAM_BLOCK, x[i]);
        }
    }
    sodium_memzero(start, sizeof start);
}

void tsn_streams_make(const uint8_t key[TSN_KEYS_BYTES], const uint8_t *const nonces[TSN_STREAMS],
                      unsigned blocks, uint8_t *streams, size_t stride)
{
    streams_make(key, nonces, blocks, streams, stride);
}
#else
bool tsn_streams_run_here(void)
{
    return false;
}

void tsn_streams_make(const uint8_t key[TSN_KEYS_BYTES], const uint8_t *const nonces[TSN_STREAMS],
                      unsigned blocks, uint8_t *streams, size_t stride)
{
    (void)key, (void)nonces, (void)blocks, (void)streams, (void)stride;
    TSN_MUST(!"AVX-512");
}
#endif
