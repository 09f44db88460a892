/* Walk: what the reader keeps between records, and the walk over one record's tokens.
 *
 * json.c makes readers, walk.c fills their slots, decode.c reads slots without a
 * call. Nothing but their test includes this file besides.
 *
 * The records of a feed look alike, so every mapped object remembers the members of
 * its last reading in order: a member is first compared with the one that stood at
 * its place, bytes with bytes, and only looked up when they differ. What is
 * remembered changes speed, never results.
 */
#ifndef TSN_CONNECTORS_DECODE_WALK_H
#define TSN_CONNECTORS_DECODE_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connectors/decode/json.h"
#include "connectors/decode/simdjson_shim.h"
#include "connectors/decode/wordset.h"
#include "rules/arena/arena.h"

/* Members remembered of an object, and the longest name with its quotes; what is
 * beyond is looked up. A guess fills a cache line. */
enum { TSN_JSON_GUESSES = 64, TSN_JSON_GUESS_TEXT = 40 };

struct tsn_json_guess {
    uint64_t head, tail; /* first and last bytes, overlapping in short names */
    uint32_t len;        /* of `"name"` as written, without escapes; 0: nothing yet */
    int32_t node;        /* or -1: nobody maps it */
    char text[TSN_JSON_GUESS_TEXT];
};

/* A place that pointers name or pass through. Node 0 is the record itself. */
struct tsn_json_node {
    struct tsn_str name;
    int parent;
    uint32_t n_children;
    int *children; /* [n_children] */
    struct tsn_wordset names;
    struct tsn_json_guess *guesses; /* [TSN_JSON_GUESSES], if it has children */
};

struct tsn_json_slot {
    struct tsn_json_value value;
    uint32_t reading; /* the reading that set it: nothing has to be cleared */
};

struct tsn_json_reader {
    struct tsn_arena arena;
    struct tsn_simdjson *simdjson;
    int n_nodes;
    struct tsn_json_node *nodes;
    struct tsn_json_slot *slots; /* [n_nodes] */
    uint32_t reading;
    size_t max_bytes;
    char *text;    /* the record, padded */
    char *scratch; /* unescaped strings: never longer than the record */
};

/* What stood at a slot in the record read last; NULL if nothing. */
static inline const struct tsn_json_value *tsn_json_found(const struct tsn_json_reader *reader,
                                                          int slot)
{
    const struct tsn_json_slot *of = &reader->slots[slot];
    return of->reading == reader->reading ? &of->value : NULL;
}

#endif
