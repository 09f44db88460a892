/* Keys: libsodium behind keys.h.
 *
 * Every purpose gets a subkey - BLAKE2b of the purpose's name under the secret -
 * and data are hashed or sealed under that, so that no value made for one purpose
 * says anything about another (the alternative, prefixing the data with the
 * purpose, needs an encoding that nobody may get wrong). The secret is wiped when
 * it is freed. Called by wire (ids, pseudonyms) and redis (keys, sealed values).
 * A hash costs two BLAKE2b blocks, well under a microsecond. A struct tsn_keys is
 * only read after it is made: any thread may use it.
 */
#include "connectors/keys/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connectors/keys/subkeys.h"
#include "rules/must/must.h"

enum {
    HEX_DIGITS = 2 * TSN_KEYS_BYTES,
    FILE_MAX = HEX_DIGITS + 2, /* a line end of either kind */
};

_Static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == TSN_KEYS_BYTES, "one key size");
_Static_assert(crypto_generichash_KEYBYTES_MIN <= TSN_KEYS_BYTES &&
                   TSN_KEYS_BYTES <= crypto_generichash_KEYBYTES_MAX,
               "a BLAKE2b key");

static const char pseudonym_purpose[] = "pseudonym";

static void subkey(const uint8_t *secret, const char *purpose, uint8_t out[TSN_KEYS_BYTES])
{
    int rc = crypto_generichash(out, TSN_KEYS_BYTES, (const uint8_t *)purpose, strlen(purpose),
                                secret, TSN_KEYS_BYTES);
    TSN_MUST(rc == 0);
}

struct tsn_keys *tsn_keys_from(const uint8_t secret[TSN_KEYS_BYTES])
{
    TSN_MUST(sodium_init() >= 0);
    struct tsn_keys *keys = malloc(sizeof *keys);
    TSN_MUST_ALLOC(keys);
    memcpy(keys->secret, secret, TSN_KEYS_BYTES);
    subkey(keys->secret, "seal", keys->seal);
    subkey(keys->secret, pseudonym_purpose, keys->pseudonym);
    return keys;
}

struct tsn_keys *tsn_keys_insecure(void)
{
    static const uint8_t known[TSN_KEYS_BYTES] = "tocsin: a key that all may know";
    return tsn_keys_from(known);
}

void tsn_keys_free(struct tsn_keys *keys)
{
    if (keys) {
        sodium_memzero(keys, sizeof *keys);
        free(keys);
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* 64 digits and nothing else but a line end. */
static bool hex_read(const char *text, size_t len, uint8_t secret[TSN_KEYS_BYTES])
{
    if (len > HEX_DIGITS && text[len - 1] == '\n') {
        len--;
    }
    if (len > HEX_DIGITS && text[len - 1] == '\r') {
        len--;
    }
    if (len != HEX_DIGITS) {
        return false;
    }
    for (size_t i = 0; i < TSN_KEYS_BYTES; i++) {
        int high = hex_digit(text[2 * i]);
        int low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        secret[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

static struct tsn_keys *secret_parse(const char *path, const char *bytes, size_t len,
                                     struct tsn_failure *failure)
{
    uint8_t secret[TSN_KEYS_BYTES];
    if (len == TSN_KEYS_BYTES) {
        memcpy(secret, bytes, TSN_KEYS_BYTES);
    } else if (!hex_read(bytes, len, secret)) {
        tsn_fail(failure, TSN_REMEDY_CONFIG,
                 "key file %s holds %zu bytes that are neither 32 raw bytes nor 64 hexadecimal "
                 "digits; make one with: (umask 077; openssl rand -hex 32 > %s)",
                 path, len, path);
        return NULL;
    }
    struct tsn_keys *keys = tsn_keys_from(secret);
    sodium_memzero(secret, sizeof secret);
    return keys;
}

/* Reads what is there, at most one byte more than any key file has. */
static ssize_t file_read(int fd, char *bytes, size_t cap)
{
    size_t len = 0;
    while (len < cap) {
        ssize_t n = read(fd, bytes + len, cap - len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -1;
        }
        if (n == 0) {
            break;
        }
        len += (size_t)n;
    }
    return (ssize_t)len;
}

static struct tsn_keys *file_load(int fd, const char *path, struct tsn_failure *failure)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        tsn_fail(failure, TSN_REMEDY_CONFIG, "key file %s: %s", path, strerror(errno));
        return NULL;
    }
    if (!S_ISREG(st.st_mode)) {
        tsn_fail(failure, TSN_REMEDY_CONFIG, "key file %s is not a regular file", path);
        return NULL;
    }
    if (st.st_mode & (S_IRWXG | S_IRWXO)) {
        tsn_fail(failure, TSN_REMEDY_CONFIG,
                 "key file %s has mode %04o, so others than its owner may use it: chmod 600 %s",
                 path, (unsigned)(st.st_mode & 07777), path);
        return NULL;
    }
    char bytes[FILE_MAX + 1];
    ssize_t len = file_read(fd, bytes, sizeof bytes);
    if (len < 0) {
        tsn_fail(failure, TSN_REMEDY_CONFIG, "key file %s: %s", path, strerror(errno));
        return NULL;
    }
    struct tsn_keys *keys = secret_parse(path, bytes, (size_t)len, failure);
    sodium_memzero(bytes, sizeof bytes);
    return keys;
}

struct tsn_keys *tsn_keys_load(const char *path, struct tsn_failure *failure)
{
    /* Opened without blocking, for a path that names a pipe must not hang the start. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        tsn_fail(failure, TSN_REMEDY_CONFIG,
                 "key file %s: %s; make one with: (umask 077; openssl rand -hex 32 > %s)", path,
                 strerror(errno), path);
        return NULL;
    }
    struct tsn_keys *keys = file_load(fd, path, failure);
    close(fd);
    return keys;
}

void tsn_keys_hash(const struct tsn_keys *keys, const char *purpose, const void *data, size_t len,
                   uint8_t *out, size_t out_len)
{
    TSN_MUST(out_len >= crypto_generichash_BYTES_MIN && out_len <= crypto_generichash_BYTES_MAX);
    if (strcmp(purpose, pseudonym_purpose) == 0) {
        int rc = crypto_generichash(out, out_len, data, len, keys->pseudonym, TSN_KEYS_BYTES);
        TSN_MUST(rc == 0);
        return;
    }
    uint8_t key[TSN_KEYS_BYTES];
    subkey(keys->secret, purpose, key);
    TSN_MUST(crypto_generichash(out, out_len, data, len, key, sizeof key) == 0);
    sodium_memzero(key, sizeof key);
}
