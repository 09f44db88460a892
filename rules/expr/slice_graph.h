/* FIRST SLICE, to be removed whole (git rm rules/expr/slice_*) by the landing of the full
 * expression room. Graph: the typed nodes of an expression set; private to rules/expr. */
#ifndef TSN_RULES_EXPR_GRAPH_H
#define TSN_RULES_EXPR_GRAPH_H

#include "rules/expr/expr.h"

enum tsn_op {
    OP_CONST,
    OP_INPUT,
    OP_HANDLE,
    OP_LIST,
    OP_HAS,
    OP_NOT,
    OP_NEG,
    OP_AND,
    OP_OR,
    OP_COND,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_MOD,
    OP_IN,
    OP_CALL,
};

struct tsn_node {
    uint8_t op;
    uint8_t n_args;
    uint16_t function; /* OP_CALL */
    struct tsn_expr_type type;
    bool may_be_missing;
    uint32_t column; /* of the operator, code points from 1 */
    uint32_t input;  /* OP_INPUT: frame input; OP_HANDLE: list; OP_HAS: input */
    const uint32_t *args;
    struct tsn_value value; /* OP_CONST */
};

struct tsn_expr_root {
    uint32_t node;
    uint32_t n_inputs;
    uint32_t n_lists;
    const uint32_t *inputs;
    const uint32_t *lists;
    double cost;
};

struct tsn_expr_set {
    struct tsn_arena arena;
    struct tsn_expr_name *names;
    size_t n_names;
    struct tsn_expr_list *lists;
    size_t n_lists;
    const char *timezone;
    struct tsn_node *nodes;
    uint32_t n_nodes, nodes_cap;
    struct tsn_expr_root *roots;
    uint32_t n_roots, roots_cap;
    bool frozen;
};

#endif
