/* Streams: the XChaCha20 key streams of several values at once, a value in each lane.
 *
 * A checkpoint's value is a few blocks long, and each has a key of its own by its nonce:
 * vector code that goes along one stream is half idle with so few, and libsodium derives
 * the keys without any. Sixteen values side by side keep it busy: a restore of 1,000,000
 * records of 232 bytes takes 0.66 instead of 0.88 us of processors a record (`./dev bench
 * recovery --entities 1000000 --restores 9`; AMD EPYC, libsodium 1.0.18). Where there is no
 * AVX-512, seal.c goes one by one.
 */
#ifndef TSN_CONNECTORS_KEYS_STREAMS_H
#define TSN_CONNECTORS_KEYS_STREAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connectors/keys/keys.h"

enum { TSN_STREAMS = 16, TSN_STREAM_BLOCK = 64 };

/* Whether this processor can. */
bool tsn_streams_run_here(void);

/* The first `blocks` blocks of each nonce's stream; that of nonces[i] is at streams + i * stride,
 * which has room for them. Only where tsn_streams_run_here. */
void tsn_streams_make(const uint8_t key[TSN_KEYS_BYTES], const uint8_t *const nonces[TSN_STREAMS],
                      unsigned blocks, uint8_t *streams, size_t stride);

#endif
