/* Decode: bytes of a record -> a row of a batch, or a reject with its reason.
 *
 * A decoder is a source mapping bound to an event type of a program: compiled once,
 * used for every record. JSON is parsed whole by simdjson, so malformed means what
 * a full parse says, also in values that nobody reads.
 */
#ifndef TSN_CONNECTORS_DECODE_DECODE_H
#define TSN_CONNECTORS_DECODE_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "connectors/config/config.h"
#include "engine/event/batch.h"
#include "rules/diag/diag.h"

/* Reason codes: the word on the reject topic and in metrics, and what it means.
 * docs/REJECTS.md is generated from this table. */
#define TSN_REJECT_TABLE(X)                                                                        \
    X(MALFORMED, "malformed", "not a JSON object, or more than one value")                         \
    X(UTF8, "invalid-utf8", "the bytes are not valid UTF-8")                                       \
    X(OVERSIZE, "oversize", "longer than the source's max_bytes")                                  \
    X(MISSING, "missing-field", "a required field, the event time or its path is absent")          \
    X(TYPE, "wrong-type", "a value has another type than its field")                               \
    X(RANGE, "out-of-range", "a number, time or length outside what the field can hold")           \
    X(FORMAT, "bad-format", "a time, number or money text that cannot be read")                    \
    X(ENUM, "unknown-value", "an enum value that the event type does not list")                    \
    X(DECIMALS, "too-many-decimals", "money with more decimals than its currency has")             \
    X(CURRENCY, "unknown-currency", "not an ISO 4217 code")                                        \
    X(FUTURE, "in-the-future", "event time further ahead of the record than future_max")           \
    X(EMPTY, "empty", "a record without a value (tombstone)")

enum tsn_reject_reason {
#define TSN_REJECT_ENUM(id, word, meaning) TSN_REJECT_##id,
    TSN_REJECT_TABLE(TSN_REJECT_ENUM)
#undef TSN_REJECT_ENUM
        TSN_REJECT_REASONS
};

const char *tsn_reject_word(enum tsn_reject_reason reason);
const char *tsn_reject_meaning(enum tsn_reject_reason reason);
/* The page docs/REJECTS.md. */
void tsn_rejects_page(FILE *out);

struct tsn_reject {
    enum tsn_reject_reason reason;
    char text[200]; /* which field, what was expected; never the value itself */
};

enum { TSN_NO_TIMESTAMP = 0 }; /* record timestamps are positive */

struct tsn_record {
    const char *bytes;
    size_t len;
    int64_t timestamp_ms; /* of the Kafka record; TSN_NO_TIMESTAMP: no future check */
    uint16_t source;      /* goes into the row */
    int64_t position;
};

struct tsn_decoder;

/* NULL with errors in diags if the mapping does not fit the program (unknown event
 * type or field, a required field unmapped, a unit that the type cannot have). The
 * config and the program are borrowed for the decoder's life. */
struct tsn_decoder *tsn_decoder_new(const struct tsn_config *config,
                                    const struct tsn_source *source, const struct tsn_program *prog,
                                    struct tsn_diags *diags);
void tsn_decoder_free(struct tsn_decoder *decoder);

/* Adds one row to the batch (which must not be full), text cells copied into the
 * batch; or adds nothing and fills *reject. One thread a decoder. */
bool tsn_decode(struct tsn_decoder *decoder, const struct tsn_record *record,
                struct tsn_batch *batch, struct tsn_reject *reject);

#endif
