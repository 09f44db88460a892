/* One line of JSON read into a tree; numbers stay as they are written. */
#ifndef TSN_CONNECTORS_WIRE_JSON_TREE_H
#define TSN_CONNECTORS_WIRE_JSON_TREE_H

#include <stddef.h>
#include <stdint.h>

#include "rules/arena/arena.h"
#include "rules/column/column.h"

enum tsn_json_kind {
    TSN_JSON_NULL,
    TSN_JSON_FALSE,
    TSN_JSON_TRUE,
    TSN_JSON_NUMBER,
    TSN_JSON_STRING,
    TSN_JSON_ARRAY,
    TSN_JSON_OBJECT,
};

struct tsn_json_node {
    enum tsn_json_kind kind;
    uint32_t at;                 /* byte where it begins */
    struct tsn_str s;            /* STRING: unescaped; NUMBER: as written */
    struct tsn_str key;          /* as a member of an object; a NUL follows it */
    struct tsn_json_node *first; /* members or elements, in order */
    struct tsn_json_node *next;
    size_t n;
};

/* Give p, len and arena, the rest zero. After a refusal `why` says why, and why_at
 * the byte where; the first refusal counts. */
struct tsn_json_reader {
    const char *p;
    size_t len;
    struct tsn_arena *arena;
    const char *why;
    size_t why_at;
    size_t at;
    unsigned depth;
};

/* The only value of the line, or NULL. The tree lives in the arena and borrows p. */
struct tsn_json_node *tsn_json_tree_read(struct tsn_json_reader *r);

/* Refuses, for reasons of the caller's own too; gives NULL. `why` is static. */
struct tsn_json_node *tsn_json_refuse(struct tsn_json_reader *r, size_t at, const char *why);

/* The member of an object, or NULL; refuses a second one of that name, so the caller
 * looks at r->why. O(members). */
struct tsn_json_node *tsn_json_member(struct tsn_json_reader *r, const struct tsn_json_node *object,
                                      const char *key);

#endif
