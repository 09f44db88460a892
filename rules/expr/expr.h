/* Expressions: the door of the language room.
 *
 * An expression set holds all expressions over one event type: compiled to one
 * typed graph in which equal sub-expressions are one node, so a predicate that
 * many rules share is computed once a batch. The same graph feeds the checker,
 * the scalar evaluator (oracle, explainer, constant folding) and the column
 * evaluator; they cannot drift apart because there is no second representation.
 *
 * Life: new -> add ... -> freeze -> any number of evaluators. A frozen set is
 * read-only and may be shared by threads; an evaluator belongs to one thread.
 */
#ifndef TSN_RULES_EXPR_EXPR_H
#define TSN_RULES_EXPR_EXPR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/arena/arena.h"
#include "rules/column/column.h"
#include "rules/diag/diag.h"
#include "rules/list/list.h"

/* A type with its element: list(list(int)) is depth 2, of int. Plain types have
 * depth 0. An empty list literal has element TSN_TYPE_NULL. */
struct tsn_expr_type {
    enum tsn_type type;    /* TSN_TYPE_LIST when depth > 0 */
    enum tsn_type element; /* the innermost element; not looked at when depth is 0 */
    uint8_t depth;
};

/* A name that expressions may use. `input` indexes tsn_frame.inputs. */
struct tsn_expr_name {
    const char *name; /* whole and dotted: "call.talk", "f.calls_1h.as_payer" */
    struct tsn_expr_type type;
    bool may_be_missing;
    enum tsn_rep rep;
    uint8_t scale;               /* TSN_REP_MONEY */
    const struct tsn_dict *dict; /* TSN_REP_ENUM */
    uint32_t input;
    bool is_set; /* the int is how many members it has: only size(name) reads it */
};

/* A list handle `lists.<name>`; `list` indexes tsn_frame.lists. */
struct tsn_expr_list {
    const char *name;      /* "lists.premium_prefixes" */
    enum tsn_type element; /* TSN_TYPE_STRING or TSN_TYPE_INT */
    uint32_t list;
    bool prefixes; /* of strings: `x in lists.<name>` asks for a prefix of x */
};

struct tsn_expr_env {
    const struct tsn_expr_name *names;
    size_t n_names;
    const struct tsn_expr_list *lists;
    size_t n_lists;
    const char *timezone; /* for getHours() and friends without a zone; NULL is UTC */
};

struct tsn_expr_set;
struct tsn_value;

/* env is copied. Ends with tsn_expr_set_free. */
struct tsn_expr_set *tsn_expr_set_new(const struct tsn_expr_env *env);
void tsn_expr_set_free(struct tsn_expr_set *set);

/* Where an expression stands in its file, for messages: the position of its
 * first character and, because YAML may indent or fold it, the column of each
 * further line's first character (0: unknown, the message then names the line
 * and the offset in the expression). */
struct tsn_expr_source {
    struct tsn_place place;
    const char *file_text; /* the whole file, or NULL */
    size_t file_text_len;
    const uint32_t *line_columns; /* [n_lines - 1] or NULL */
    size_t n_lines;
};

enum { TSN_EXPR_NONE = UINT32_MAX };

/* Compiles one expression. `want` is the type it must have, or NULL for any.
 * On an error adds to `diags` and returns TSN_EXPR_NONE. `source` may be NULL: a
 * message's column then counts code points from the start of the expression, all
 * lines together. An int where a double is wanted is converted.
 * Bounds: depth 64, 64 KiB of text; more is an error, never a crash. */
uint32_t tsn_expr_set_add(struct tsn_expr_set *set, const char *text, size_t len,
                          const struct tsn_expr_type *want, const struct tsn_expr_source *source,
                          struct tsn_diags *diags);

/* Is there a time zone of this name ("Europe/Dublin", "+01:00") on this system? */
bool tsn_expr_zone_known(const char *name);

/* From now on every use of something that standard CEL does not have adds a warning. */
void tsn_expr_set_portable(struct tsn_expr_set *set, bool portable);

/* From now on also warn of parts that are the same for every event. */
void tsn_expr_set_doubts(struct tsn_expr_set *set, bool doubts);

/* For tests and `tocsin eval --columns`: from now on literals become inputs of
 * their own instead of constants, so that columns and not folding do the work.
 * They follow the declared inputs: input `largest declared + 1 + index` carries
 * tsn_expr_lifted(set, index), which is NULL behind the last. */
void tsn_expr_set_lift(struct tsn_expr_set *set, bool lift);
const struct tsn_value *tsn_expr_lifted(const struct tsn_expr_set *set, size_t index);

/* No more expressions; must be called before evaluation. */
void tsn_expr_set_freeze(struct tsn_expr_set *set);

struct tsn_expr_type tsn_expr_type_of(const struct tsn_expr_set *set, uint32_t expr);
bool tsn_expr_may_be_missing(const struct tsn_expr_set *set, uint32_t expr);

/* Is it the same for every row, as folding found? Then *out is that value, or the
 * error with which it fails; borrowed from the set. */
bool tsn_expr_constant(const struct tsn_expr_set *set, uint32_t expr, struct tsn_value *out);

/* Inputs (indexes into tsn_frame.inputs) that an expression reads, ascending,
 * and the lists. Borrowed from the set. */
const uint32_t *tsn_expr_inputs(const struct tsn_expr_set *set, uint32_t expr, size_t *n);
const uint32_t *tsn_expr_lists(const struct tsn_expr_set *set, uint32_t expr, size_t *n);

/* Static cost in the units of the rule language's cost table. */
double tsn_expr_cost(const struct tsn_expr_set *set, uint32_t expr);

/* ---- values --------------------------------------------------------------- */

enum tsn_state { TSN_STATE_VALUE, TSN_STATE_MISSING, TSN_STATE_ERROR };

struct tsn_list_value;

struct tsn_value {
    enum tsn_state state;
    struct tsn_expr_type type;
    union {
        bool b;
        int64_t i;
        double d;
        struct tsn_str s;  /* borrowed: input, set or the evaluator's arena */
        struct tsn_time t; /* timestamp and duration */
        const struct tsn_list_value *list;
    };
    const char *error;     /* TSN_STATE_ERROR: what failed; static or in the arena */
    uint32_t error_column; /* code points from 1, in the expression */
};

struct tsn_list_value {
    size_t n;
    const struct tsn_value *items; /* all TSN_STATE_VALUE */
};

/* ---- evaluation ----------------------------------------------------------- */

/* The rows of one event type in one batch, and the lists in force. Columns are
 * borrowed until the next tsn_eval_begin. */
struct tsn_frame {
    uint32_t n_rows;
    const struct tsn_column *inputs;
    const struct tsn_list *const *lists;
    const tsn_event_ms *time_ms; /* of each row: list entries expire by it */
};

struct tsn_eval;

struct tsn_eval *tsn_eval_new(const struct tsn_expr_set *set);
void tsn_eval_free(struct tsn_eval *eval);

/* Begins a frame: forgets all columns and values given before. The frame struct
 * is copied; its columns are borrowed. */
void tsn_eval_begin(struct tsn_eval *eval, const struct tsn_frame *frame);

/* The expression over all rows of the frame, computed on first demand and kept
 * until the next begin. Bool results are TSN_REP_BOOL; ints TSN_REP_INT; doubles
 * TSN_REP_DOUBLE; strings TSN_REP_STRING; times TSN_REP_TIME / _DURATION. An
 * input may still be unfilled at begin as long as it is filled before the first
 * demand of an expression that reads it. */
const struct tsn_column *tsn_eval_column(struct tsn_eval *eval, uint32_t expr);

/* Rows of the frame for which a bool expression is false whatever the lists say and the
 * inputs from `first` on hold, which need not be filled yet: out[tsn_bits_words(n_rows)].
 * It looks into && and || only, so it finds some such rows, not all. The columns of the
 * parts that it looks at are kept, as tsn_eval_column keeps them: who asks for the expression
 * later does not pay twice. settles: can there be such a row at all? */
void tsn_eval_settled(struct tsn_eval *eval, uint32_t expr, uint32_t first, uint64_t *out);
bool tsn_expr_settles(const struct tsn_expr_set *set, uint32_t expr, uint32_t first);

/* How many the inputs with counts[input] must be able to count, at the least, for a bool
 * expression to be true: as long as every one of them has a value below that, it is false. 0:
 * it may be true whatever they count. Looks into &&, || and comparisons with constants. */
uint64_t tsn_expr_least(const struct tsn_expr_set *set, uint32_t expr, const bool *counts);

/* The expression for one row by the scalar evaluator, which shares no kernel
 * and no memo with the column evaluator. Reads the frame's inputs as they are
 * now. Result strings live until the next begin. */
void tsn_eval_row(struct tsn_eval *eval, uint32_t expr, uint32_t row, struct tsn_value *out);

/* Values as text and back, as the language's own conversions do it. Reading gives
 * false for what is no such text; timestamps are RFC 3339 (years 0001 to 9999),
 * durations "1h30m" or "5400s" (at most 292 years). Printing takes int, double,
 * bool, timestamp and duration and returns how many bytes it wrote. */
bool tsn_expr_read_int(struct tsn_str text, int64_t *out);
bool tsn_expr_read_double(struct tsn_str text, double *out);
bool tsn_expr_read_timestamp(struct tsn_str text, struct tsn_time *out);
bool tsn_expr_read_duration(struct tsn_str text, struct tsn_time *out);
size_t tsn_expr_print(const struct tsn_value *value, char out[40]);
/* Offset of the first byte that is not valid UTF-8, or len. */
size_t tsn_expr_invalid_utf8(const char *text, size_t len);
/* Equal in type, state and value, NaN equal to NaN, 0.0 not to -0.0; errors are
 * equal whatever they say. */
bool tsn_expr_same(const struct tsn_value *a, const struct tsn_value *b);

/* The value of one cell of any column, as the expression language reads it. */
void tsn_column_value(const struct tsn_column *column, uint32_t row, struct tsn_value *out);

/* Makes a cell hold a value of the type that the column reads as, in its state; text
 * and lists are borrowed. Milliseconds are rounded down, money to the nearest unit;
 * text for an enum must be one of its names, an error needs an error bitmap. */
void tsn_column_set(struct tsn_column *column, uint32_t row, const struct tsn_value *value);

#endif
