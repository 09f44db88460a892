/* Text: UTF-8 strings as expressions see them, in code points; see text.c. */
#ifndef TSN_RULES_EXPR_TEXT_H
#define TSN_RULES_EXPR_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "rules/column/column.h"

static inline bool tsn_str_is(struct tsn_str s, const char *word)
{
    size_t len = strlen(word);
    return s.len == len && memcmp(s.p, word, len) == 0;
}

static inline bool tsn_str_equal(struct tsn_str a, struct tsn_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

/* By code points, which for UTF-8 is by bytes: <0, 0 or >0. */
static inline int tsn_str_compare(struct tsn_str a, struct tsn_str b)
{
    uint32_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : a.len < b.len ? -1 : a.len > b.len;
}

/* Writes a code point as UTF-8 (at most 4 bytes) and returns how many. */
size_t tsn_utf8_encode(uint32_t code, char *out);

/* Bytes of the character at p (len > 0), its code point in *code; 0 if it is not
 * valid UTF-8 (overlong, surrogate, cut off). */
size_t tsn_utf8_decode(const char *p, size_t len, uint32_t *code);

/* The offset of the first byte that is not valid UTF-8, or len. */
size_t tsn_utf8_invalid(const char *p, size_t len);

/* Code points of a valid text. */
int64_t tsn_utf8_size(struct tsn_str s);

/* Byte offset of code point `index`; s.len when there are no more. */
uint32_t tsn_utf8_offset(struct tsn_str s, int64_t index);

/* Byte offset of `part` in s at or after byte `from`, or -1. */
int64_t tsn_utf8_find(struct tsn_str s, struct tsn_str part, uint32_t from);
/* The same, the last one that begins at or before byte `from`. */
int64_t tsn_utf8_find_last(struct tsn_str s, struct tsn_str part, uint32_t from);

/* Without Unicode White_Space at both ends. */
struct tsn_str tsn_utf8_trim(struct tsn_str s);

#endif
