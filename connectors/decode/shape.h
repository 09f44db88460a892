/* Shape: the records seen, as a tree of the texts between their values.
 *
 * The records of a feed differ in their values and hardly in anything else, so that
 * finding tokens in each is work done again and again. A shape is what stands between
 * the values of a record, byte for byte, names and white space included:
 *
 *     {"v":   number   ,"kind":"   string   ","ring":   number   }
 *
 * A record whose bytes are, one after another, a text that was learned and a value of the
 * kind that was learned has the tokens of the record it was learned from, which the walk
 * (walk.h) has checked whole; so nothing else of it needs to be looked at, and what is
 * remembered changes speed, never results. Shapes that begin alike share their
 * beginning; where they part, the ways are tried one after another, and no record fits
 * two of them.
 *
 * Whatever fits none, or holds an escape, takes the walk, and its shape is learned
 * while there is room. One thread a reader.
 */
#ifndef TSN_CONNECTORS_DECODE_SHAPE_H
#define TSN_CONNECTORS_DECODE_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tsn_json_reader;

/* What is read behind a step's text. */
enum tsn_shape_kind {
    TSN_SHAPE_PART, /* nothing: the text is long and goes on in the next step */
    TSN_SHAPE_STRING,
    TSN_SHAPE_NUMBER,
    TSN_SHAPE_BOOL,
    TSN_SHAPE_NULL,
    TSN_SHAPE_BRACKET, /* nothing: the text ends with the bracket of a value that is mapped */
    TSN_SHAPE_END,     /* nothing, and the record ends here */
};

enum { TSN_SHAPE_TEXT = 32, TSN_SHAPE_STEPS = 1024, TSN_SHAPE_NONE = -1 };

/* A cache line. */
struct tsn_shape_step {
    _Alignas(16) char text[TSN_SHAPE_TEXT];
    uint32_t others; /* a bit for each byte of text behind len */
    uint32_t slot;   /* of the reader, the one behind the last: nobody maps the value */
    int32_t next;    /* what comes behind this value */
    int32_t other;   /* what else was seen at this place */
    uint8_t len, kind;
    uint8_t value; /* enum tsn_json_kind of it */
};

struct tsn_shape {
    struct tsn_shape_step *steps; /* [TSN_SHAPE_STEPS] */
    int32_t n, first;
    uint32_t n_misses; /* of records, since there is no room */
};

/* Reads the record of len bytes in reader->text, which is padded, into the slots. False:
 * its shape is not known, or it is no record at all; slots may be set then. About 50 ns
 * for a record of 300 bytes. */
bool tsn_shape_read(struct tsn_json_reader *reader, size_t len);

/* Learns the record that the walk has just read and accepted; it has no backslash. tokens,
 * n: those of tsn_simdjson_index. */
void tsn_shape_learn(struct tsn_json_reader *reader, size_t len, const uint32_t *tokens,
                     uint32_t n);

#endif
