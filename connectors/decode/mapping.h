/* Mapping: what a source's fields become, compiled once for every record.
 *
 * compile: mapping.c checks a source against the event type and freezes it into
 * ops. run: convert.c turns one JSON value into one cell. decode.c holds both
 * together. Nothing else includes this file.
 */
#ifndef TSN_CONNECTORS_DECODE_MAPPING_H
#define TSN_CONNECTORS_DECODE_MAPPING_H

#include <stdbool.h>
#include <stdint.h>

#include "connectors/decode/decode.h"
#include "connectors/decode/json.h"
#include "connectors/decode/phone.h"
#include "connectors/decode/walk.h"
#include "connectors/decode/wordset.h"

enum { TSN_SLOT_NONE = -1 };

/* What a value of the usual form needs, decided once; anything else takes
 * tsn_convert, which takes all. */
enum tsn_decode_way {
    TSN_WAY_CONVERT,
    TSN_WAY_TEXT,    /* a string as it is */
    TSN_WAY_PHONE,   /* a string that is E.164 already */
    TSN_WAY_WORD,    /* a string that is an enum value */
    TSN_WAY_INTEGER, /* digits, times `factor` */
    TSN_WAY_TIME_MS, /* digits: milliseconds since 1970 */
};

/* One field of the event type. ops[0] is the event time; money that names a
 * currency field stands after it. */
struct tsn_decode_op {
    const struct tsn_field_mapping *map;
    const struct tsn_field *field;
    const char *pointer; /* "a constant" when there is none: for messages */
    const char *expects; /* "an integer", "RFC 3339 text with an offset" ... */
    enum tsn_decode_way way;
    int64_t factor;
    int column;
    int slot;            /* of the reader, or TSN_SLOT_NONE: constant */
    int64_t unit_ms;     /* duration: of its unit; a second is read with 3 decimals */
    int currency_column; /* money: field that names it, or TSN_NONE */
    bool is_number;      /* read from a JSON number, or with `quoted` from one in text */
    bool has_fallback;
    struct tsn_json_value fallback; /* `default` or the constant */
    bool has_written;
    struct tsn_wordset written; /* enum map: written -> index of meant */
    const struct tsn_json_value *meant;
    struct tsn_wordset words; /* enum: the event type's values */
};

union tsn_cell_value {
    int64_t i;
    double d;
    struct tsn_str s;
    uint16_t code;
    bool b;
};

struct tsn_cell {
    bool present;
    union tsn_cell_value of;
};

struct tsn_decoder {
    struct tsn_arena arena;
    const struct tsn_source *source;
    const struct tsn_event_type *event;
    uint16_t type;
    tsn_duration_ms future_max_ms;
    struct tsn_json_reader *reader;
    int n_ops;
    struct tsn_decode_op *ops;
    int record_time_slot;
    int n_texts, n_words, n_small; /* columns by how a cell is stored, so that */
    int *texts, *words, *small;    /* storing does not branch on it: text; 64 bits; enum, bool */
    struct tsn_cell *cells;        /* [n_fields] by column, of the record at hand */
    char *phones;                  /* [n_ops][TSN_PHONE_MAX] */
    uint32_t currency_code;        /* looked up last, and its digits */
    int currency_digits;
};

/* Fills ops; false with errors in diags. */
bool tsn_mapping_compile(struct tsn_decoder *decoder, const struct tsn_config *config,
                         struct tsn_diags *diags);

/* A constant, default or meant text as the JSON value it stands for; false if the
 * field cannot hold it. */
bool tsn_mapping_literal(const struct tsn_field *field, const struct tsn_field_mapping *map,
                         const char *text, struct tsn_json_value *out);

/* One value -> its cell. False with the reject filled. value is neither ABSENT nor
 * NULL. Money reads the cell of its currency column. */
bool tsn_convert(struct tsn_decoder *decoder, const struct tsn_decode_op *op,
                 struct tsn_json_value value, struct tsn_cell *cell, struct tsn_reject *reject);

/* An instant in one of the formats. */
enum tsn_reject_reason tsn_convert_instant(enum tsn_time_format format, struct tsn_json_value value,
                                           tsn_event_ms *out);

/* Returns false. "caller (/calling): expected text, found a number". */
bool tsn_reject_value(struct tsn_reject *reject, enum tsn_reject_reason reason,
                      const struct tsn_decode_op *op, const char *found);

#endif
