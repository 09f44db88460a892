/* Keys: one secret of 32 bytes per deployment, and what is derived from it:
 * alert ids, pseudonyms of entities, encryption of state. libsodium is included
 * here and nowhere else.
 */
#ifndef TSN_CONNECTORS_KEYS_KEYS_H
#define TSN_CONNECTORS_KEYS_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connectors/failure/failure.h"

struct tsn_keys;

enum { TSN_KEYS_BYTES = 32, TSN_SEAL_NONCE = 24, TSN_SEAL_OVERHEAD = 40 };

/* path: 64 hex digits (with or without a newline) or 32 raw bytes, readable by the
 * owner only. NULL on failure. */
struct tsn_keys *tsn_keys_load(const char *path, struct tsn_failure *failure);
/* A key that everybody knows, for `insecure: true`, file replay and tests. */
struct tsn_keys *tsn_keys_insecure(void);
/* From raw bytes. */
struct tsn_keys *tsn_keys_from(const uint8_t secret[TSN_KEYS_BYTES]);
void tsn_keys_free(struct tsn_keys *keys);

/* Keyed hash for a purpose ("alert-id", "pseudonym", "redis-key", ...): different
 * purposes give unrelated values. out_len 16 to 64. BLAKE2b (RFC 7693). */
void tsn_keys_hash(const struct tsn_keys *keys, const char *purpose, const void *data, size_t len,
                   uint8_t *out, size_t out_len);

/* XChaCha20-Poly1305 with a random nonce; `context` (such as the Redis key) is
 * authenticated with it. out has room for len + TSN_SEAL_OVERHEAD. */
size_t tsn_keys_seal(const struct tsn_keys *keys, const void *context, size_t context_len,
                     const void *plain, size_t len, uint8_t *out);
/* The same with nonces drawn for many at once, which spares each the system call. A nonce
 * is used once. */
struct tsn_nonce {
    uint8_t bytes[TSN_SEAL_NONCE];
};
void tsn_keys_nonces(struct tsn_nonce *nonces, size_t n);
size_t tsn_keys_seal_under(const struct tsn_keys *keys, const struct tsn_nonce *nonce,
                           const void *context, size_t context_len, const void *plain, size_t len,
                           uint8_t *out);
/* False if it was not sealed by this key in this context. out: len - OVERHEAD; may be
 * sealed + TSN_SEAL_NONCE: then it is opened in place. */
bool tsn_keys_open(const struct tsn_keys *keys, const void *context, size_t context_len,
                   const void *sealed, size_t len, uint8_t *out);

/* Opens many at once, in place as above, at half the cost of each. A value's context is
 * `context` and its own TSN_OPENING_OWN bytes behind that. */
enum { TSN_OPENING_OWN = 16, TSN_OPENING_CONTEXT_MAX = 256, TSN_OPENINGS_MAX = 512 };
struct tsn_opening {
    const uint8_t *own;
    uint8_t *sealed;
    size_t len;
    bool ours; /* answer: as that of tsn_keys_open */
};
/* n: at most TSN_OPENINGS_MAX; context_len: at most TSN_OPENING_CONTEXT_MAX. */
void tsn_keys_open_many(const struct tsn_keys *keys, const void *context, size_t context_len,
                        struct tsn_opening *openings, size_t n);

#endif
