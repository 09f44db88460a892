/* The typed graph: one node for every different sub-expression of a set.
 *
 * Nodes are appended by the checker, arguments before their users, and equal nodes
 * are one node. The graph is all that evaluators see. Internal to rules/expr.
 */
#ifndef TSN_RULES_EXPR_GRAPH_H
#define TSN_RULES_EXPR_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/arena/arena.h"
#include "rules/expr/expr.h"
#include "rules/expr/function.h"
#include "rules/expr/number.h"

enum tsn_op {
    TSN_OP_CONST,    /* value */
    TSN_OP_INPUT,    /* input */
    TSN_OP_HAS,      /* input */
    TSN_OP_VARIABLE, /* slot: a macro's element */
    TSN_OP_LIST,     /* [args] */
    TSN_OP_AND,      /* two or more args */
    TSN_OP_OR,
    TSN_OP_NOT,
    TSN_OP_IF,        /* args: condition, then, else */
    TSN_OP_COALESCE,  /* args: value, default */
    TSN_OP_COMPARE,   /* sub: enum tsn_relation */
    TSN_OP_INDEX,     /* args: list, index */
    TSN_OP_IN,        /* args: element, list */
    TSN_OP_IN_HANDLE, /* args: element; input: the list */
    TSN_OP_PREFIX_IN, /* args: text; input: the list */
    TSN_OP_CALL,      /* input: index of the function; strict */
    TSN_OP_MACRO,     /* sub: enum tsn_macro_kind; args: list, [filter,] body; slot */
};

enum tsn_relation { TSN_EQ, TSN_NE, TSN_LT, TSN_LE, TSN_GT, TSN_GE };

enum tsn_macro_kind { TSN_ALL, TSN_EXISTS, TSN_EXISTS_ONE, TSN_FILTER, TSN_MAP };

struct tsn_node {
    uint8_t op;
    uint8_t sub;
    uint8_t slot; /* VARIABLE, MACRO */
    bool may_be_missing;
    bool pure;  /* depends on no input, list or variable outside it */
    bool never; /* has no value ever - an element of an empty list - so any type fits */
    uint16_t height;
    struct tsn_expr_type type;
    uint32_t n_args;
    const uint32_t *args; /* in the set's arena */
    uint32_t input;
    uint32_t literal;              /* 1 + constant node: a literal that was lifted; 0: none */
    uint32_t folded;               /* 1 + the constant it became; 0: none */
    uint32_t reach;                /* inputs from here on are not read, nor below it; UINT32_MAX:
                                      it asks a list */
    uint64_t free_slots;           /* macro variables it reads that are bound outside it */
    const struct tsn_value *value; /* CONST */
    union {
        const struct tsn_regex *regex;     /* CALL with a pattern */
        const struct tsn_zone *zone;       /* CALL with a constant or default zone */
        const struct tsn_members *members; /* CONST list of ints or strings, sorted */
    };
    const char *error;   /* pure and fails: why; NULL otherwise */
    uint32_t error_node; /* the node that failed first */
    double own_cost;
    double tree_cost; /* with all below it, each use counted */
    uint32_t hash;
};

/* Where a node stands in one expression, for the errors of its rows. */
struct tsn_position {
    uint32_t node;
    uint32_t column;
};

struct tsn_compiled {
    uint32_t root;
    uint32_t n_positions;
    const struct tsn_position *positions; /* ascending by node */
    size_t n_inputs;
    const uint32_t *inputs;
    size_t n_lists;
    const uint32_t *lists;
    double cost;
};

/* Zones by name for zone arguments that are no constants: the whole database,
 * read when the first such expression is compiled. */
struct tsn_zones {
    size_t n;
    size_t cap;
    struct {
        struct tsn_str name;
        const struct tsn_zone *zone;
    } * items; /* ascending by name */
};

struct tsn_expr_set {
    struct tsn_arena arena;      /* lives as long as the set */
    struct tsn_arena scratch;    /* of one tsn_expr_set_add */
    struct tsn_expr_name *names; /* ascending by name */
    size_t n_names;
    struct tsn_expr_list *lists;
    size_t n_lists;
    const char *timezone;
    const struct tsn_zone *default_zone; /* NULL: unknown, reported where it is used */
    struct tsn_zones zones;
    struct tsn_node *nodes;
    uint32_t n_nodes;
    uint32_t cap_nodes;
    uint32_t *table; /* open addressing: 1 + node */
    uint32_t cap_table;
    uint32_t *by_input; /* name index of each input, or UINT32_MAX */
    size_t n_inputs;    /* beyond the largest named input; lifted ones follow */
    struct tsn_compiled *exprs;
    uint32_t n_exprs;
    uint32_t cap_exprs;
    struct {
        uint32_t pattern; /* node */
        struct tsn_regex *regex;
    } * regexes;
    size_t n_regexes;
    size_t cap_regexes;
    bool lift;
    bool portable; /* report what standard CEL does not have */
    bool doubts;   /* report parts that are the same for every event */
    const struct tsn_value **lifted;
    size_t n_lifted;
    size_t cap_lifted;
    struct tsn_eval *folder; /* evaluates constants while compiling */
    bool frozen;
};

/* The node equal to *node, which is added if it is new; constant ones are folded.
 * Fills height, cost, reach, free_slots, pure. args are copied. */
uint32_t tsn_graph_add(struct tsn_expr_set *set, const struct tsn_node *node);
uint32_t tsn_graph_const(struct tsn_expr_set *set, const struct tsn_value *value);

/* An input that carries this literal; see tsn_expr_set_lift. */
uint32_t tsn_graph_lift(struct tsn_expr_set *set, uint32_t constant);

/* Members of a constant list, sorted; only ints and strings have them. members.c */
const struct tsn_members *tsn_members_new(const struct tsn_value *list, struct tsn_arena *arena);
bool tsn_members_have(const struct tsn_members *members, const struct tsn_value *value);

/* The constant behind a node: its own, or that of a lifted literal; else NULL. */
const struct tsn_value *tsn_graph_constant(const struct tsn_expr_set *set, uint32_t node);

/* The name behind an INPUT or HAS node; NULL for a lifted literal. */
const struct tsn_expr_name *tsn_graph_name(const struct tsn_expr_set *set,
                                           const struct tsn_node *node);

const struct tsn_zone *tsn_zones_find(const struct tsn_zones *zones, struct tsn_str name);

/* ---- evaluators ----------------------------------------------------------- */

/* Cells of an integer representation that stand in a relation with a constant:
 * low .. high, or all others. Found once an evaluator, by bisection. */
struct tsn_interval {
    bool known;
    bool outside;
    uint8_t rep;
    uint8_t scale;
    int64_t low;
    int64_t high; /* below low: none */
};

struct tsn_eval {
    const struct tsn_expr_set *set;
    struct tsn_frame frame;
    struct tsn_arena arena; /* reset at begin */
    uint32_t cap_nodes;
    /* scalar: the value of a node, good while stamp >= what it depends on */
    struct tsn_value *values;
    uint64_t *stamps;
    uint64_t clock;
    uint64_t row_clock;
    uint32_t row;
    struct tsn_value variables[64];
    uint64_t variable_clock[64];
    uint32_t macro_depth;
    size_t macro_bytes; /* left to the outermost macro of this row */
    /* columns */
    struct tsn_column *columns;
    uint32_t *column_frame;         /* frame in which it was computed */
    struct tsn_interval *intervals; /* of comparisons */
    uint32_t frame_count;
};

/* The value of a node at eval->row. An error's error_column is the node that
 * failed. Valid until the row changes. */
const struct tsn_value *tsn_row_node(struct tsn_eval *eval, uint32_t node);
/* A new row: forgets what depends on the row before. */
void tsn_row_begin(struct tsn_eval *eval, uint32_t row);

/* The node over all rows of the frame: tsn_eval_column. */
const struct tsn_column *tsn_column_node(struct tsn_eval *eval, uint32_t node);

/* Grows the evaluator to the set's nodes. */
void tsn_eval_fit(struct tsn_eval *eval);

/* Strict application of a CALL, INDEX, IN or LIST node to values. */
void tsn_apply_node(struct tsn_eval *eval, uint32_t node, const struct tsn_value *args,
                    struct tsn_value *out);

bool tsn_relation_holds(enum tsn_relation relation, enum tsn_order order);

#endif
