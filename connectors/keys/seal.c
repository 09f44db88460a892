/* Sealing: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03, RFC 8439) by libsodium's
 * primitives rather than by its one function.
 *
 * A checkpoint is millions of values of some hundred bytes, and sealing them is most of
 * what it costs, opening them most of what a restore costs. libsodium's function makes
 * the key stream in two parts, the block that keys the authenticator and the rest, and
 * makes what is left of 256 bytes in blocks of 64 at the price of 256 each. Here both
 * parts are one, rounded up: 0.5 instead of 0.75 us for 380 bytes (AMD EPYC, libsodium
 * 1.0.18). A test compares both, bit for bit, at every length.
 *
 * Streams of LONG_BYTES and more are made by libcrypto, which has code for AVX-512: 0.2
 * instead of 0.4 us for 1,024 bytes, 0.35 instead of 0.85 for 2,048 (OpenSSL 3.0.19); for
 * less its set-up costs more than it saves.
 */
#include <openssl/evp.h>
#include <pthread.h>
#include <sodium.h>
#include <string.h>

#include "connectors/keys/keys.h"
#include "connectors/keys/streams.h"
#include "connectors/keys/subkeys.h"
#include "rules/must/must.h"

enum {
    BLOCK_BYTES = 64,    /* of ChaCha20; the first one keys the authenticator */
    ROUND_BYTES = 256,   /* what its vector code makes at once */
    LONG_BYTES = 768,    /* from here on by libcrypto */
    STREAM_BYTES = 4096, /* longer than that: by the library's function */
    MAC_BYTES = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    IETF_NONCE_BYTES = crypto_stream_chacha20_ietf_NONCEBYTES,
};

_Static_assert((int)crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == (int)TSN_SEAL_NONCE &&
                   TSN_SEAL_NONCE + MAC_BYTES == TSN_SEAL_OVERHEAD,
               "the door states nonce and overhead");
_Static_assert(crypto_core_hchacha20_INPUTBYTES + 8 == TSN_SEAL_NONCE, "the nonce has two parts");

/* ---- libcrypto: a context for each thread, which goes with it ---------------------------- */

static EVP_CIPHER *chacha20; /* NULL: a libcrypto without it */
static pthread_key_t context_of_thread;

static void context_free(void *context)
{
    EVP_CIPHER_CTX_free(context);
}

static void chacha20_fetch(void)
{
    chacha20 = EVP_CIPHER_fetch(NULL, "ChaCha20", NULL);
    int rc = pthread_key_create(&context_of_thread, context_free);
    TSN_MUST(rc == 0);
}

/* NULL when there is none to be had. */
static EVP_CIPHER_CTX *context_get(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static _Thread_local EVP_CIPHER_CTX *context;
    pthread_once(&once, chacha20_fetch);
    if (!context && chacha20) {
        context = EVP_CIPHER_CTX_new();
        TSN_MUST_ALLOC(context);
        int rc = EVP_EncryptInit_ex2(context, chacha20, NULL, NULL, NULL);
        TSN_MUST(rc == 1);
        rc = pthread_setspecific(context_of_thread, context);
        TSN_MUST(rc == 0);
    }
    return context;
}

/* n bytes of the stream from block 0 on; false without libcrypto's help. */
static bool long_stream(uint8_t *stream, size_t n, const uint8_t ietf_nonce[IETF_NONCE_BYTES],
                        const uint8_t *subkey)
{
    EVP_CIPHER_CTX *context = context_get();
    uint8_t start[4 + IETF_NONCE_BYTES] = {0}; /* the number of the first block */
    int len = 0;
    memcpy(start + 4, ietf_nonce, IETF_NONCE_BYTES);
    memset(stream, 0, n);
    return context && EVP_EncryptInit_ex2(context, NULL, subkey, start, NULL) == 1 &&
           EVP_EncryptUpdate(context, stream, &len, stream, (int)n) == 1 && (size_t)len == n;
}

/* ---- the construction --------------------------------------------------------------------- */

/* The key stream for len bytes under a nonce, the authenticator's block before it. */
static void stream_make(const struct tsn_keys *keys, const uint8_t *nonce, size_t len,
                        uint8_t stream[BLOCK_BYTES + STREAM_BYTES])
{
    uint8_t subkey[crypto_core_hchacha20_OUTPUTBYTES];
    uint8_t ietf_nonce[IETF_NONCE_BYTES] = {0};
    crypto_core_hchacha20(subkey, nonce, keys->seal, NULL);
    memcpy(ietf_nonce + 4, nonce + crypto_core_hchacha20_INPUTBYTES, 8);
    size_t need = (BLOCK_BYTES + len + ROUND_BYTES - 1) / ROUND_BYTES * ROUND_BYTES;
    size_t most = BLOCK_BYTES + STREAM_BYTES;
    need = need < most ? need : most;
    if (need < LONG_BYTES || !long_stream(stream, need, ietf_nonce, subkey)) {
        crypto_stream_chacha20_ietf(stream, need, ietf_nonce, subkey);
    }
    sodium_memzero(subkey, sizeof subkey);
}

/* RFC 8439, 2.8: context and sealed bytes, each padded to 16, and their lengths. */
static void authenticate(const uint8_t *key, const void *context, size_t context_len,
                         const uint8_t *sealed, size_t len, uint8_t mac[MAC_BYTES])
{
    static const uint8_t zeros[16];
    uint8_t lengths[16];
    for (int i = 0; i < 8; i++) {
        lengths[i] = (uint8_t)((uint64_t)context_len >> (8 * i));
        lengths[8 + i] = (uint8_t)((uint64_t)len >> (8 * i));
    }
    crypto_onetimeauth_poly1305_state state;
    crypto_onetimeauth_poly1305_init(&state, key);
    crypto_onetimeauth_poly1305_update(&state, context, context_len);
    crypto_onetimeauth_poly1305_update(&state, zeros, (16 - context_len % 16) % 16);
    crypto_onetimeauth_poly1305_update(&state, sealed, len);
    crypto_onetimeauth_poly1305_update(&state, zeros, (16 - len % 16) % 16);
    crypto_onetimeauth_poly1305_update(&state, lengths, sizeof lengths);
    crypto_onetimeauth_poly1305_final(&state, mac);
    sodium_memzero(&state, sizeof state);
}

typedef uint64_t four_words __attribute__((vector_size(32)));

/* By words: in and out may be the same bytes, where a compiler would go one by one. */
static void mix(const uint8_t *in, const uint8_t *stream, size_t len, uint8_t *out)
{
    size_t i = 0;
    for (; i + sizeof(four_words) <= len; i += sizeof(four_words)) {
        four_words a;
        four_words b;
        memcpy(&a, in + i, sizeof a);
        memcpy(&b, stream + i, sizeof b);
        a ^= b;
        memcpy(out + i, &a, sizeof a);
    }
    for (; i < len; i++) {
        out[i] = in[i] ^ stream[i];
    }
}

void tsn_keys_nonces(struct tsn_nonce *nonces, size_t n)
{
    randombytes_buf(nonces, n * sizeof *nonces);
}

size_t tsn_keys_seal(const struct tsn_keys *keys, const void *context, size_t context_len,
                     const void *plain, size_t len, uint8_t *out)
{
    struct tsn_nonce nonce;
    tsn_keys_nonces(&nonce, 1);
    return tsn_keys_seal_under(keys, &nonce, context, context_len, plain, len, out);
}

size_t tsn_keys_seal_under(const struct tsn_keys *keys, const struct tsn_nonce *nonce,
                           const void *context, size_t context_len, const void *plain, size_t len,
                           uint8_t *out)
{
    uint8_t *sealed = out + TSN_SEAL_NONCE;
    memcpy(out, nonce->bytes, TSN_SEAL_NONCE);
    if (len > STREAM_BYTES) {
        int rc = crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, NULL, plain, len, context,
                                                            context_len, NULL, out, keys->seal);
        TSN_MUST(rc == 0);
        return len + TSN_SEAL_OVERHEAD;
    }
    uint8_t stream[BLOCK_BYTES + STREAM_BYTES];
    stream_make(keys, out, len, stream);
    mix(plain, stream + BLOCK_BYTES, len, sealed);
    authenticate(stream, context, context_len, sealed, len, sealed + len);
    sodium_memzero(stream, BLOCK_BYTES + len);
    return len + TSN_SEAL_OVERHEAD;
}

/* Opens by a stream that was made. out is written when the bytes are ours. */
static bool open_with(const uint8_t *stream, const void *context, size_t context_len,
                      const uint8_t *bytes, size_t plain_len, uint8_t *out)
{
    uint8_t mac[MAC_BYTES];
    authenticate(stream, context, context_len, bytes, plain_len, mac);
    bool ours = crypto_verify_16(mac, bytes + plain_len) == 0;
    if (ours) {
        mix(bytes, stream + BLOCK_BYTES, plain_len, out);
    }
    return ours;
}

bool tsn_keys_open(const struct tsn_keys *keys, const void *context, size_t context_len,
                   const void *sealed, size_t len, uint8_t *out)
{
    if (len < TSN_SEAL_OVERHEAD) {
        return false;
    }
    const uint8_t *nonce = sealed;
    const uint8_t *bytes = nonce + TSN_SEAL_NONCE;
    size_t plain_len = len - TSN_SEAL_OVERHEAD;
    if (plain_len > STREAM_BYTES) {
        return crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, bytes,
                                                          len - TSN_SEAL_NONCE, context,
                                                          context_len, nonce, keys->seal) == 0;
    }
    uint8_t stream[BLOCK_BYTES + STREAM_BYTES];
    stream_make(keys, nonce, plain_len, stream);
    bool ours = open_with(stream, context, context_len, bytes, plain_len, out);
    sodium_memzero(stream, BLOCK_BYTES + plain_len);
    return ours;
}

/* ---- many --------------------------------------------------------------------------------- */

enum { BLOCKS_MAX = LONG_BYTES / BLOCK_BYTES }; /* of a stream that is made beside others */

static size_t context_of(uint8_t *whole, size_t shared_len, const struct tsn_opening *opening)
{
    memcpy(whole + shared_len, opening->own, TSN_OPENING_OWN);
    return shared_len + TSN_OPENING_OWN;
}

/* How long the stream for a value is; 0: it goes by itself. */
static unsigned blocks_of(const struct tsn_opening *opening)
{
    if (opening->len < TSN_SEAL_OVERHEAD) {
        return 0;
    }
    size_t blocks = 1 + (opening->len - TSN_SEAL_OVERHEAD + BLOCK_BYTES - 1) / BLOCK_BYTES;
    return blocks <= BLOCKS_MAX ? (unsigned)blocks : 0;
}

/* n of them, the longest last. */
static void open_beside(const struct tsn_keys *keys, uint8_t *context, size_t context_len,
                        struct tsn_opening *const *openings, size_t n)
{
    uint8_t streams[TSN_STREAMS][BLOCKS_MAX * BLOCK_BYTES];
    const uint8_t *nonces[TSN_STREAMS];
    unsigned blocks = blocks_of(openings[n - 1]);
    for (size_t i = 0; i < TSN_STREAMS; i++) {
        nonces[i] = openings[i < n ? i : 0]->sealed;
    }
    tsn_streams_make(keys->seal, nonces, blocks, streams[0], sizeof streams[0]);
    for (size_t i = 0; i < n; i++) {
        struct tsn_opening *opening = openings[i];
        uint8_t *bytes = opening->sealed + TSN_SEAL_NONCE;
        opening->ours = open_with(streams[i], context, context_of(context, context_len, opening),
                                  bytes, opening->len - TSN_SEAL_OVERHEAD, bytes);
    }
    sodium_memzero(streams, sizeof streams);
}

/* Those that are opened beside others, shorter ones first; returns how many. */
static size_t in_order(struct tsn_opening *openings, size_t n,
                       struct tsn_opening *order[TSN_OPENINGS_MAX])
{
    size_t begin[BLOCKS_MAX + 2] = {0};
    for (size_t i = 0; i < n; i++) {
        begin[blocks_of(&openings[i]) + 1]++;
    }
    size_t alone = begin[1];
    begin[1] = 0;
    for (unsigned b = 1; b <= BLOCKS_MAX; b++) {
        begin[b + 1] += begin[b];
    }
    for (size_t i = 0; i < n; i++) {
        unsigned blocks = blocks_of(&openings[i]);
        if (blocks > 0) {
            order[begin[blocks]++] = &openings[i];
        }
    }
    return n - alone;
}

void tsn_keys_open_many(const struct tsn_keys *keys, const void *context, size_t context_len,
                        struct tsn_opening *openings, size_t n)
{
    struct tsn_opening *order[TSN_OPENINGS_MAX];
    uint8_t whole[TSN_OPENING_CONTEXT_MAX + TSN_OPENING_OWN];
    bool beside = tsn_streams_run_here();
    TSN_MUST(n <= TSN_OPENINGS_MAX && context_len <= TSN_OPENING_CONTEXT_MAX);
    memcpy(whole, context, context_len);
    size_t n_beside = beside ? in_order(openings, n, order) : 0;
    for (size_t i = 0; i < n_beside; i += TSN_STREAMS) {
        size_t some = n_beside - i < TSN_STREAMS ? n_beside - i : TSN_STREAMS;
        open_beside(keys, whole, context_len, order + i, some);
    }
    for (size_t i = 0; i < n; i++) {
        struct tsn_opening *opening = &openings[i];
        if (!beside || blocks_of(opening) == 0) {
            opening->ours =
                tsn_keys_open(keys, whole, context_of(whole, context_len, opening), opening->sealed,
                              opening->len, opening->sealed + TSN_SEAL_NONCE);
        }
    }
}
