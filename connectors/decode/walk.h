/* Walk: what the reader keeps between records, and the walk over one record's tokens.
 *
 * json.c makes readers, walk.c fills their slots, decode.c reads slots without a
 * call. Nothing but their test includes this file besides.
 *
 * The walk checks all of a record and takes any; what came before does not matter to it.
 * Records of a shape that was seen before never get here (shape.h).
 */
#ifndef TSN_CONNECTORS_DECODE_WALK_H
#define TSN_CONNECTORS_DECODE_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connectors/decode/json.h"
#include "connectors/decode/shape.h"
#include "connectors/decode/simdjson_shim.h"
#include "connectors/decode/wordset.h"
#include "rules/arena/arena.h"

/* A place that pointers name or pass through. Node 0 is the record itself. */
struct tsn_json_node {
    struct tsn_str name;
    int parent;
    uint32_t n_children;
    int *children; /* [n_children] */
    struct tsn_wordset names;
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
    struct tsn_json_slot *slots; /* [n_nodes], and one for what nobody maps */
    struct tsn_shape shape;
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

/* Where the token ends: before the next one, less the white space between. */
static inline const char *tsn_json_token_end(const char *text, const uint32_t *token)
{
    const char *end = text + token[1];
    while (end[-1] == ' ' || end[-1] == '\n' || end[-1] == '\r' || end[-1] == '\t') {
        end--;
    }
    return end;
}

#endif
