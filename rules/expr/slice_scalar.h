/* FIRST SLICE, to be removed whole (git rm rules/expr/slice_*) by the landing of the full
 * expression room. The scalar evaluator of one node; private to rules/expr. */
#ifndef TSN_RULES_EXPR_SCALAR_H
#define TSN_RULES_EXPR_SCALAR_H

#include "rules/expr/slice_graph.h"

struct tsn_eval {
    const struct tsn_expr_set *set;
    struct tsn_frame frame;
    struct tsn_arena arena;
    struct tsn_column *columns; /* [n_roots] */
    bool *done;                 /* [n_roots] */
};

void tsn_node_row(struct tsn_eval *eval, uint32_t node, uint32_t row, struct tsn_value *out);

#endif
