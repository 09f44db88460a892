/* Sealing: XChaCha20-Poly1305 as libsodium's own function makes it, at every length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_is_sealed_as_the_library_seals_it),
    };
    return cmocka_run_group_tests_name("keys_seal", tests, NULL, NULL);
}
