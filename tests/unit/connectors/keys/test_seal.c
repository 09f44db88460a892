/* Sealing: XChaCha20-Poly1305 as libsodium's own function makes it, at every length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/keys/streams.h"
#include "connectors/keys/subkeys.h"

enum { LEN_MAX = 4500, CONTEXT_MAX = 70 };

static uint8_t plain[LEN_MAX];
static uint8_t context[CONTEXT_MAX];
static uint8_t sealed[LEN_MAX + TSN_SEAL_OVERHEAD];
static uint8_t expected[LEN_MAX + TSN_SEAL_OVERHEAD];

static void same_as_the_library(const struct tsn_keys *keys, size_t len, size_t context_len)
{
    struct tsn_nonce nonce;
    unsigned long long made = 0;
    tsn_keys_nonces(&nonce, 1);
    memcpy(expected, nonce.bytes, TSN_SEAL_NONCE);
    assert_int_equal(crypto_aead_xchacha20poly1305_ietf_encrypt(expected + TSN_SEAL_NONCE, &made,
                                                                plain, len, context, context_len,
                                                                NULL, nonce.bytes, keys->seal),
                     0);
    size_t n = tsn_keys_seal_under(keys, &nonce, context, context_len, plain, len, sealed);
    assert_int_equal(n, TSN_SEAL_NONCE + made);
    assert_memory_equal(sealed, expected, n);
    uint8_t *in_place = sealed + TSN_SEAL_NONCE;
    assert_true(tsn_keys_open(keys, context, context_len, sealed, n, in_place));
    assert_memory_equal(in_place, plain, len);
    expected[n - 1] ^= 0x80;
    assert_false(tsn_keys_open(keys, context, context_len, expected, n, in_place));
}

static void every_length_is_sealed_as_the_library_seals_it(void **state)
{
    (void)state;
    struct tsn_keys *keys = tsn_keys_insecure();
    randombytes_buf(plain, sizeof plain);
    randombytes_buf(context, sizeof context);
    for (size_t len = 0; len <= LEN_MAX; len++) {
        same_as_the_library(keys, len, len * 7 % CONTEXT_MAX);
    }
    for (size_t context_len = 0; context_len <= CONTEXT_MAX; context_len++) {
        same_as_the_library(keys, 100, context_len);
    }
    tsn_keys_free(keys);
}

/* What many at once is tried with: lengths of all sizes, in no order, some altered. */
enum { MANY = 203, SHARED = 11 };

static size_t many_len(size_t i)
{
    return i * 577 % (i % 5 == 0 ? 1700 : 640);
}

static bool many_altered(size_t i)
{
    return i % 7 == 3;
}

static void many_seal(const struct tsn_keys *keys, struct tsn_opening *opening, size_t i)
{
    uint8_t own_context[SHARED + TSN_OPENING_OWN];
    size_t len = many_len(i);
    uint8_t *own = malloc(TSN_OPENING_OWN + len + TSN_SEAL_OVERHEAD);
    memset(own, (int)i, TSN_OPENING_OWN);
    memcpy(own_context, context, SHARED);
    memcpy(own_context + SHARED, own, TSN_OPENING_OWN);
    *opening = (struct tsn_opening){.own = own, .sealed = own + TSN_OPENING_OWN};
    opening->len =
        tsn_keys_seal(keys, own_context, sizeof own_context, plain + i, len, opening->sealed);
    opening->sealed[i * 31 % opening->len] ^= many_altered(i) ? 0x10 : 0;
}

/* The program is linked so that this stands before the processor's own answer. */
static bool one_by_one;

bool __real_tsn_streams_run_here(void); /* NOLINT */
bool __wrap_tsn_streams_run_here(void); /* NOLINT */

bool __wrap_tsn_streams_run_here(void)
{
    return !one_by_one && __real_tsn_streams_run_here();
}

static void many_open(const struct tsn_keys *keys, size_t n)
{
    struct tsn_opening openings[MANY];
    for (size_t i = 0; i < n; i++) {
        many_seal(keys, &openings[i], i);
    }
    if (n > 1) {
        openings[1].len = TSN_SEAL_OVERHEAD - 1; /* nothing that was ever sealed */
    }
    tsn_keys_open_many(keys, context, SHARED, openings, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(openings[i].ours, !many_altered(i) && i != 1);
        if (openings[i].ours) {
            assert_memory_equal(openings[i].sealed + TSN_SEAL_NONCE, plain + i, many_len(i));
        }
        free((void *)(uintptr_t)openings[i].own);
    }
}

static void many_are_opened_as_each_alone(void **state)
{
    (void)state;
    static const size_t counts[] = {0, 1, 2, 15, 16, 17, 31, MANY};
    struct tsn_keys *keys = tsn_keys_insecure();
    randombytes_buf(plain, sizeof plain);
    randombytes_buf(context, sizeof context);
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        one_by_one = false; /* side by side where the processor can */
        many_open(keys, counts[c]);
        one_by_one = true;
        many_open(keys, counts[c]);
    }
    tsn_keys_free(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_is_sealed_as_the_library_seals_it),
        cmocka_unit_test(many_are_opened_as_each_alone),
    };
    return cmocka_run_group_tests_name("keys_seal", tests, NULL, NULL);
}
