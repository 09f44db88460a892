/* The only door to simdjson: where tokens of a JSON text begin.
 *
 * simdjson's first stage (SIMD) validates UTF-8 and strings and finds every
 * token; connectors/decode/walk.c walks them. Its second stage was the
 * alternative: the DOM turns numbers into doubles before money can be read
 * exactly and refuses integers beyond 64 bits that nobody reads, and the
 * on-demand reader checks only what is read. The tests hold the walk against the
 * DOM's verdict.
 */
#ifndef TSN_CONNECTORS_DECODE_SIMDJSON_SHIM_H
#define TSN_CONNECTORS_DECODE_SIMDJSON_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Readable bytes that must follow the text handed to tsn_simdjson_index. */
enum { TSN_SIMDJSON_PADDING = 64 };

enum tsn_simdjson_verdict {
    TSN_SIMDJSON_OK,
    TSN_SIMDJSON_UTF8,      /* not UTF-8 */
    TSN_SIMDJSON_MALFORMED, /* an open string, a control character in one, or nothing at all */
    TSN_SIMDJSON_NUMBER,    /* tsn_simdjson_parse only: a number that it cannot hold */
};

struct tsn_simdjson;

/* For texts of up to max_bytes, up to 1 GiB. One thread a parser. */
struct tsn_simdjson *tsn_simdjson_new(size_t max_bytes);
void tsn_simdjson_free(struct tsn_simdjson *parser);

/* Positions of the first bytes of all tokens (strings: the opening quote), valid
 * until the next call; behind the last one `len` stands twice. A run of characters
 * that is no string and no punctuation is one token. About 0.2 ns a byte. */
enum tsn_simdjson_verdict tsn_simdjson_index(struct tsn_simdjson *parser, const char *padded,
                                             size_t len, const uint32_t **tokens,
                                             uint32_t *n_tokens);

/* Are the bytes UTF-8? */
bool tsn_simdjson_utf8(const char *bytes, size_t len);

/* What simdjson's full parse says; for tests and benchmarks. `is_object` tells
 * whether the value is one. */
enum tsn_simdjson_verdict tsn_simdjson_parse(struct tsn_simdjson *parser, const char *padded,
                                             size_t len, bool *is_object);

#ifdef __cplusplus
}
#endif

#endif
