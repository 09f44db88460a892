#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connectors/keys/keys.h"

static const char hex_key[] = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";

static const uint8_t raw_key[TSN_KEYS_BYTES] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                                11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                                22, 23, 24, 25, 26, 27, 28, 29, 30, 31};

/* A file in a folder of this test's own; the caller unlinks it. */
static void write_key_file(char path[64], const void *bytes, size_t len, mode_t mode)
{
    strcpy(path, "/tmp/tocsin_keys_XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void hash_of(const struct tsn_keys *keys, const char *purpose, uint8_t out[16])
{
    tsn_keys_hash(keys, purpose, "+8613909900001", 14, out, 16);
}

static void a_key_file_is_raw_or_hex_and_means_the_same(void **state)
{
    (void)state;
    char with_newline[70];
    snprintf(with_newline, sizeof with_newline, "%s\r\n", hex_key);
    const struct {
        const char *why;
        const void *bytes;
        size_t len;
    } cases[] = {
        {"32 raw bytes", raw_key, sizeof raw_key},
        {"64 digits, either case", hex_key, 64},
        {"64 digits and a newline", with_newline, 66},
    };
    struct tsn_keys *expected = tsn_keys_from(raw_key);
    uint8_t want[16];
    hash_of(expected, "alert-id", want);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[64];
        write_key_file(path, cases[i].bytes, cases[i].len, 0600);
        struct tsn_failure failure = {0};
        struct tsn_keys *keys = tsn_keys_load(path, &failure);
        if (!keys) {
            fail_msg("%s: %s", cases[i].why, failure.text);
        }
        uint8_t got[16];
        hash_of(keys, "alert-id", got);
        assert_memory_equal(got, want, sizeof want);
        tsn_keys_free(keys);
        unlink(path);
    }
    tsn_keys_free(expected);
}

static void a_key_file_that_others_may_read_is_refused_with_the_remedy(void **state)
{
    (void)state;
    const mode_t modes[] = {0640, 0604, 0620, 0644, 0666};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        char path[64];
        write_key_file(path, hex_key, 64, modes[i]);
        struct tsn_failure failure = {0};
        assert_null(tsn_keys_load(path, &failure));
        assert_int_equal(failure.remedy, TSN_REMEDY_CONFIG);
        assert_non_null(strstr(failure.text, "chmod 600"));
        unlink(path);
    }
}

static void what_is_no_key_is_refused_and_never_printed(void **state)
{
    (void)state;
    const struct {
        const char *why;
        const char *bytes;
        size_t len;
    } cases[] = {
        {"empty", "", 0},
        {"one digit short", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeef", 63},
        {"not hexadecimal", "g0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", 64},
        {"too long", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff00\n", 67},
        {"two lines", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n\n\n", 67},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[64];
        write_key_file(path, cases[i].bytes, cases[i].len, 0600);
        struct tsn_failure failure = {0};
        if (tsn_keys_load(path, &failure)) {
            fail_msg("accepted: %s", cases[i].why);
        }
        assert_int_equal(failure.remedy, TSN_REMEDY_CONFIG);
        assert_null(strstr(failure.text, "11223344"));
        unlink(path);
    }
    struct tsn_failure failure = {0};
    assert_null(tsn_keys_load("/nonexistent/key", &failure));
    assert_int_equal(failure.remedy, TSN_REMEDY_CONFIG);
    assert_null(tsn_keys_load("/tmp", &failure));
}

static void purposes_and_secrets_give_unrelated_hashes(void **state)
{
    (void)state;
    struct tsn_keys *keys = tsn_keys_from(raw_key);
    struct tsn_keys *insecure = tsn_keys_insecure();
    uint8_t id[16], again[16], pseudonym[16], other[16];
    hash_of(keys, "alert-id", id);
    hash_of(keys, "alert-id", again);
    hash_of(keys, "pseudonym", pseudonym);
    hash_of(insecure, "alert-id", other);
    assert_memory_equal(id, again, 16);
    assert_memory_not_equal(id, pseudonym, 16);
    assert_memory_not_equal(id, other, 16);
    tsn_keys_free(insecure);
    tsn_keys_free(keys);
}

/* Python: s = blake2b(b"alert-id", digest_size=32, key=bytes(range(32))).digest();
 * blake2b(b"+8613909900001", digest_size=16, key=s).hexdigest(). Alert ids must not
 * change from one release to the next. */
static void the_hash_is_keyed_blake2b_under_a_subkey_of_the_purpose(void **state)
{
    (void)state;
    static const uint8_t want[16] = {0x05, 0x79, 0xe9, 0x1b, 0xf5, 0xe1, 0x1e, 0x53,
                                     0x51, 0xe0, 0x19, 0x55, 0x6b, 0xe1, 0xad, 0x57};
    struct tsn_keys *keys = tsn_keys_from(raw_key);
    uint8_t got[16];
    hash_of(keys, "alert-id", got);
    assert_memory_equal(got, want, 16);
    tsn_keys_free(keys);
}

static void what_was_sealed_opens_only_with_its_key_and_context_unchanged(void **state)
{
    (void)state;
    static const char plain[] = "an entity's windows";
    struct tsn_keys *keys = tsn_keys_from(raw_key);
    struct tsn_keys *other = tsn_keys_insecure();
    uint8_t sealed[sizeof plain + TSN_SEAL_OVERHEAD];
    uint8_t again[sizeof plain + TSN_SEAL_OVERHEAD];
    uint8_t out[sizeof plain];
    size_t len = tsn_keys_seal(keys, "slot:7", 6, plain, sizeof plain, sealed);
    assert_int_equal(len, sizeof sealed);
    tsn_keys_seal(keys, "slot:7", 6, plain, sizeof plain, again);
    assert_memory_not_equal(sealed, again, sizeof sealed);

    assert_true(tsn_keys_open(keys, "slot:7", 6, sealed, len, out));
    assert_memory_equal(out, plain, sizeof plain);
    assert_false(tsn_keys_open(keys, "slot:8", 6, sealed, len, out));
    assert_false(tsn_keys_open(other, "slot:7", 6, sealed, len, out));
    for (size_t i = 0; i < len; i++) {
        sealed[i] ^= 1;
        assert_false(tsn_keys_open(keys, "slot:7", 6, sealed, len, out));
        sealed[i] ^= 1;
    }
    for (size_t cut = 0; cut < len; cut++) {
        assert_false(tsn_keys_open(keys, "slot:7", 6, sealed, cut, out));
    }
    assert_true(tsn_keys_open(keys, "slot:7", 6, sealed, len, out));

    /* In place, and under a nonce of many. */
    struct tsn_nonce nonces[2];
    tsn_keys_nonces(nonces, 2);
    assert_memory_not_equal(&nonces[0], &nonces[1], sizeof nonces[0]);
    len = tsn_keys_seal_under(keys, &nonces[1], "slot:7", 6, plain, sizeof plain, sealed);
    assert_memory_equal(sealed, &nonces[1], sizeof nonces[1]);
    assert_true(tsn_keys_open(keys, "slot:7", 6, sealed, len, sealed + TSN_SEAL_NONCE));
    assert_memory_equal(sealed + TSN_SEAL_NONCE, plain, sizeof plain);

    /* Nothing at all can be sealed too. */
    len = tsn_keys_seal(keys, "", 0, "", 0, sealed);
    assert_int_equal(len, TSN_SEAL_OVERHEAD);
    assert_true(tsn_keys_open(keys, "", 0, sealed, len, out));
    tsn_keys_free(other);
    tsn_keys_free(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_file_is_raw_or_hex_and_means_the_same),
        cmocka_unit_test(a_key_file_that_others_may_read_is_refused_with_the_remedy),
        cmocka_unit_test(what_is_no_key_is_refused_and_never_printed),
        cmocka_unit_test(purposes_and_secrets_give_unrelated_hashes),
        cmocka_unit_test(the_hash_is_keyed_blake2b_under_a_subkey_of_the_purpose),
        cmocka_unit_test(what_was_sealed_opens_only_with_its_key_and_context_unchanged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
