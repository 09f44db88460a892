/* Codec: bytes of captured hits and of checkpoint records.
 *
 * Little-endian, lengths before texts, nothing implied. The reader never reads
 * past its end: once something does not fit, it is `bad`, gives zeros and empty
 * texts from then on, and the caller asks once at the end. Records come from
 * outside, so a wrong one is an answer, never an assertion.
 */
#ifndef TSN_ENGINE_SCORE_CODEC_H
#define TSN_ENGINE_SCORE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/column/column.h"

/* Is the text this name? */
bool tsn_str_is(struct tsn_str text, const char *name);

/* A growing buffer; starts as zeros, ends with tsn_bytes_free. */
struct tsn_bytes {
    uint8_t *p;
    size_t len;
    size_t cap;
};

void tsn_bytes_put(struct tsn_bytes *bytes, const void *data, size_t len);
void tsn_bytes_u8(struct tsn_bytes *bytes, uint8_t v);
void tsn_bytes_u32(struct tsn_bytes *bytes, uint32_t v);
void tsn_bytes_u64(struct tsn_bytes *bytes, uint64_t v);
void tsn_bytes_str(struct tsn_bytes *bytes, struct tsn_str text);
void tsn_bytes_name(struct tsn_bytes *bytes, const char *name);
void tsn_bytes_free(struct tsn_bytes *bytes);

struct tsn_bytes_reader {
    const uint8_t *p;
    size_t left;
    bool bad;
};

/* The next len bytes, or NULL when there are not so many. */
const uint8_t *tsn_bytes_take(struct tsn_bytes_reader *from, size_t len);
uint8_t tsn_bytes_get_u8(struct tsn_bytes_reader *from);
uint32_t tsn_bytes_get_u32(struct tsn_bytes_reader *from);
uint64_t tsn_bytes_get_u64(struct tsn_bytes_reader *from);
/* Borrowed from the bytes read. */
struct tsn_str tsn_bytes_get_str(struct tsn_bytes_reader *from);

#endif
