/* Settle: where an expression is false before all of its inputs are known. && is false
 * where one operand is, whatever the others are, missing and failing ones too; || where
 * all are. So the parts that read nothing but the known inputs decide, and the rest need
 * not be computed for those rows. See docs/decisions/reads-on-demand.md.
 *
 * Or where counts are too small: what counts rows of a log is no more than its rows, so
 * `f.calls_1h >= 200` is false for a log of a dozen, whatever the filter and the window.
 *
 * Recursion is bounded by the depth of expressions, its cost by the checker's bound on
 * theirs.
 */
#include <math.h>
#include <string.h>

#include "rules/expr/graph.h"
#include "rules/must/must.h"

static bool node_settles(const struct tsn_expr_set *set, uint32_t id, uint32_t first)
{
    const struct tsn_node *n = &set->nodes[id];
    if (n->reach <= first) {
        return true;
    }
    if (n->op != TSN_OP_AND && n->op != TSN_OP_OR) {
        return false;
    }
    bool all = n->op == TSN_OP_OR;
    for (uint32_t i = 0; i < n->n_args; i++) {
        if (node_settles(set, n->args[i], first) != all) {
            return !all;
        }
    }
    return all;
}

bool tsn_expr_settles(const struct tsn_expr_set *set, uint32_t expr, uint32_t first)
{
    TSN_MUST(expr < set->n_exprs);
    return node_settles(set, set->exprs[expr].root, first);
}

/* Of a node that settles. */
static void node_settled(struct tsn_eval *eval, uint32_t id, uint32_t first, uint64_t *out)
{
    const struct tsn_node *n = &eval->set->nodes[id];
    size_t words = tsn_bits_words(eval->frame.n_rows);
    if (n->reach <= first) {
        const struct tsn_column *column = tsn_column_node(eval, id);
        for (size_t w = 0; w < words; w++) {
            out[w] = column->valid[w] & ~column->bits[w];
        }
        return;
    }
    bool is_or = n->op == TSN_OP_OR;
    uint64_t *one = tsn_arena_alloc(&eval->arena, words * sizeof *one + 1);
    memset(out, is_or ? 0xff : 0, words * sizeof *out);
    for (uint32_t i = 0; i < n->n_args; i++) {
        if (!node_settles(eval->set, n->args[i], first)) {
            continue;
        }
        node_settled(eval, n->args[i], first, one);
        for (size_t w = 0; w < words; w++) {
            out[w] = is_or ? out[w] & one[w] : out[w] | one[w];
        }
    }
}

void tsn_eval_settled(struct tsn_eval *eval, uint32_t expr, uint32_t first, uint64_t *out)
{
    TSN_MUST(eval->set->frozen && expr < eval->set->n_exprs);
    uint32_t root = eval->set->exprs[expr].root;
    if (node_settles(eval->set, root, first)) {
        node_settled(eval, root, first, out);
    } else {
        memset(out, 0, tsn_bits_words(eval->frame.n_rows) * sizeof *out);
    }
}

/* The least count that is not below a constant, or is above it. */
static uint64_t least_count(const struct tsn_value *with, bool above)
{
    const double most = 4e18; /* exact in both types, and beyond any count */
    double d = with->type.type == TSN_TYPE_INT ? (double)with->i : with->d;
    if (with->type.type == TSN_TYPE_INT && with->i > 0 && d < most) {
        return (uint64_t)with->i + above;
    }
    if (!(d >= 0)) { /* NaN: a comparison with it is false, but that is not our business */
        return 0;
    }
    double least = above ? floor(d) + 1 : ceil(d);
    return least < most ? (uint64_t)least : (uint64_t)most;
}

/* count >= constant, and what says the same. */
static uint64_t compare_least(const struct tsn_expr_set *set, const struct tsn_node *n,
                              const bool *counts)
{
    static const enum tsn_relation turned[] = {
        [TSN_EQ] = TSN_EQ, [TSN_NE] = TSN_NE, [TSN_LT] = TSN_GT,
        [TSN_LE] = TSN_GE, [TSN_GT] = TSN_LT, [TSN_GE] = TSN_LE,
    };
    for (int side = 0; side < 2; side++) {
        const struct tsn_node *count = &set->nodes[n->args[side]];
        const struct tsn_value *with = tsn_graph_constant(set, n->args[1 - side]);
        enum tsn_relation relation = side == 0 ? (enum tsn_relation)n->sub : turned[n->sub];
        bool upwards = relation == TSN_GE || relation == TSN_GT || relation == TSN_EQ;
        if (count->op == TSN_OP_INPUT && !count->literal && counts[count->input] && with &&
            upwards && with->state == TSN_STATE_VALUE &&
            (with->type.type == TSN_TYPE_INT || with->type.type == TSN_TYPE_DOUBLE)) {
            return least_count(with, relation == TSN_GT);
        }
    }
    return 0;
}

static uint64_t node_least(const struct tsn_expr_set *set, uint32_t id, const bool *counts)
{
    const struct tsn_node *n = &set->nodes[id];
    if (n->op == TSN_OP_COMPARE) {
        return compare_least(set, n, counts);
    }
    if (n->op != TSN_OP_AND && n->op != TSN_OP_OR) {
        return 0;
    }
    uint64_t least = node_least(set, n->args[0], counts);
    for (uint32_t i = 1; i < n->n_args; i++) {
        uint64_t arg = node_least(set, n->args[i], counts);
        least = (n->op == TSN_OP_AND) == (arg > least) ? arg : least;
    }
    return least;
}

uint64_t tsn_expr_least(const struct tsn_expr_set *set, uint32_t expr, const bool *counts)
{
    TSN_MUST(expr < set->n_exprs);
    return node_least(set, set->exprs[expr].root, counts);
}
