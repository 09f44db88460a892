/* JSON: one pass over a record that checks all of it and keeps what is mapped.
 *
 * The grammar is RFC 8259's, whole, also in values that nobody reads; nesting is
 * limited to 1,023 levels as in simdjson's own parser. Values are views: numbers
 * as their text, strings unescaped. A member that a mapping names and that occurs
 * twice is an error: parsers disagree about which one counts, and whoever can
 * write such a record could show one number to the bank and another to us.
 *
 * Two ways lead to the same: a record of a shape that was seen before is compared with it
 * (shape.h), any other is walked (walk.h), with one look-up per member (wordset.h). One
 * thread a reader.
 */
#ifndef TSN_CONNECTORS_DECODE_JSON_H
#define TSN_CONNECTORS_DECODE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/arena/arena.h"
#include "rules/column/column.h"

enum tsn_json_kind {
    TSN_JSON_ABSENT,
    TSN_JSON_NULL,
    TSN_JSON_BOOL,   /* p, len: "true" or "false" */
    TSN_JSON_NUMBER, /* its text */
    TSN_JSON_STRING, /* unescaped */
    TSN_JSON_OBJECT,
    TSN_JSON_ARRAY,
};

/* "nothing", "null", "a boolean", "a number", "text", "an object", "an array". */
const char *tsn_json_kind_name(enum tsn_json_kind kind);

struct tsn_json_value {
    enum tsn_json_kind kind;
    uint32_t len;
    const char *p;   /* until the next read */
    int64_t integer; /* what a plain number says */
    bool plain;      /* digits only, at most 16 */
};

enum tsn_json_outcome {
    TSN_JSON_OK,
    TSN_JSON_UTF8,
    TSN_JSON_MALFORMED,
    TSN_JSON_TWICE, /* a mapped member occurs twice */
};

/* Where a reading failed: byte from 0 and what was expected there (static text). */
struct tsn_json_error {
    size_t at;
    const char *expected;
};

struct tsn_json_reader;

/* JSON pointers (RFC 6901) to look for; the text is copied. Longest pointer: 16
 * tokens. Equal pointers share a slot. */
enum { TSN_JSON_POINTER_TOKENS = 16 };

/* NULL if it is a JSON pointer to a member, else why not (static text). */
const char *tsn_json_pointer_error(const char *pointer);

/* pointers: all valid. slots: [n] gets the slot of each. */
struct tsn_json_reader *tsn_json_reader_new(const char *const *pointers, size_t n, int *slots,
                                            size_t max_bytes);
void tsn_json_reader_free(struct tsn_json_reader *reader);

/* Reads one record of at most max_bytes, which must be an object. */
enum tsn_json_outcome tsn_json_read(struct tsn_json_reader *reader, const char *bytes, size_t len,
                                    struct tsn_json_error *error);

/* The kind of the nearest value above an absent slot: OBJECT or ARRAY when only
 * the last token is missing, NULL or a scalar when the path ends early. */
enum tsn_json_kind tsn_json_above(const struct tsn_json_reader *reader, int slot);

#endif
