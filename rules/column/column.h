/* Columns: the form in which values travel between decode, windows and rules.
 *
 * A column holds one field, feature or expression for the rows of a batch:
 * cells in the representation the value is kept in, a validity bitmap, and -
 * only where something can fail - an error bitmap. A cell is in one of three
 * states: value (valid bit set), missing (neither bit set), error (error bit
 * set, valid bit clear). Bits beyond the last row are zero in every bitmap.
 *
 * Representation and type are two things: a money field is kept in integer
 * units of 10^-scale and *reads* as a double; an enum is kept as a code and
 * reads as a string. Kernels work on representations; the checker on types.
 */
#ifndef TSN_RULES_COLUMN_COLUMN_H
#define TSN_RULES_COLUMN_COLUMN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/arena/arena.h"

/* Milliseconds since 1970-01-01T00:00:00Z, of the event's own clock. */
typedef int64_t tsn_event_ms;
typedef int64_t tsn_duration_ms;

/* Text that is borrowed: bytes of UTF-8, not NUL-terminated. */
struct tsn_str {
    const char *p;
    uint32_t len;
};

/* A point in time (s since the epoch) or a span, with nanoseconds: 0 <= ns <
 * 1e9, so -0.5 s is {-1, 500000000}. Wide enough for the years 0001 to 9999. */
struct tsn_time {
    int64_t s;
    int32_t ns;
};

/* What an expression's value is. */
enum tsn_type {
    TSN_TYPE_BOOL,
    TSN_TYPE_INT,
    TSN_TYPE_DOUBLE,
    TSN_TYPE_STRING,
    TSN_TYPE_TIMESTAMP,
    TSN_TYPE_DURATION,
    TSN_TYPE_NULL,
    TSN_TYPE_LIST,   /* of one element type; see struct tsn_list_type in expr */
    TSN_TYPE_HANDLE, /* lists.x: only `in` and host functions take it */
};

/* How the cells of a column are kept. */
enum tsn_rep {
    TSN_REP_BOOL,        /* bits:  one bit a row              reads as bool */
    TSN_REP_INT,         /* i64                               reads as int */
    TSN_REP_DOUBLE,      /* f64                               reads as double */
    TSN_REP_STRING,      /* str                               reads as string */
    TSN_REP_TIME_MS,     /* i64 ms since the epoch            reads as timestamp */
    TSN_REP_DURATION_MS, /* i64 ms                            reads as duration */
    TSN_REP_MONEY,       /* i64 units of 10^-scale            reads as double */
    TSN_REP_ENUM,        /* code into dict->names             reads as string */
    TSN_REP_TIME,        /* time, ns resolution               reads as timestamp */
    TSN_REP_DURATION,    /* time, ns resolution               reads as duration */
    TSN_REP_LIST,        /* pointers, of rules/expr           reads as list */
    TSN_REP_NULL,        /* no cells                          reads as null */
};

/* The names of an enum field, in declaration order; a code is an index. */
struct tsn_dict {
    uint32_t n;
    const struct tsn_str *names;
};

struct tsn_column {
    enum tsn_rep rep;
    uint8_t scale;               /* TSN_REP_MONEY: digits after the point */
    const struct tsn_dict *dict; /* TSN_REP_ENUM */
    union {
        void *cells;
        uint64_t *bits;
        int64_t *i64;
        double *f64;
        struct tsn_str *str;
        uint16_t *code;
        struct tsn_time *time;
    };
    uint64_t *valid;
    uint64_t *error;       /* NULL: no cell is an error */
    uint64_t *approximate; /* feature read with an error that the pack states; NULL: none is */
};

/* Words of a bitmap of n rows. */
static inline size_t tsn_bits_words(size_t n_rows)
{
    return (n_rows + 63) / 64;
}

static inline bool tsn_bits_get(const uint64_t *bits, size_t i)
{
    return (bits[i >> 6] >> (i & 63)) & 1;
}

static inline void tsn_bits_set(uint64_t *bits, size_t i)
{
    bits[i >> 6] |= UINT64_C(1) << (i & 63);
}

static inline void tsn_bits_clear(uint64_t *bits, size_t i)
{
    bits[i >> 6] &= ~(UINT64_C(1) << (i & 63));
}

/* Bytes a cell of this representation takes; 0 for TSN_REP_BOOL (bitmap) and
 * TSN_REP_NULL. */
size_t tsn_rep_cell_bytes(enum tsn_rep rep);

/* The type that cells of this representation read as. */
enum tsn_type tsn_rep_type(enum tsn_rep rep);

/* The representation that keeps every value of this type exactly. Not of handles. */
enum tsn_rep tsn_type_rep(enum tsn_type type);

/* "int", "double", ... as users write it; "list" without its element. */
const char *tsn_type_name(enum tsn_type type);

/* Cells and bitmaps for n_rows, bitmaps zero (all missing), cells unset except
 * TSN_REP_BOOL's bits, which are zero. with_errors gives an error bitmap. */
void tsn_column_alloc(struct tsn_column *column, enum tsn_rep rep, size_t n_rows, bool with_errors,
                      struct tsn_arena *arena);

#endif
