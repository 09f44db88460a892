/* Implication between conditions, by their shape alone.
 *
 * Equal sub-expressions of a set are one node, so "the same predicate" is a comparison
 * of numbers. On top of that: conjunctions and alternatives, thresholds of one subject
 * with constants, members of constant lists, has(). Whatever this does not see is "no":
 * a warning that is missed costs less than one that is wrong. A solver was the
 * alternative; rules that an analyst did not mean to overlap do so in these shapes. */
#include "rules/expr/graph.h"
#include "rules/expr/lint.h"
#include "rules/expr/value.h"

/* Alternatives of conjunctions of alternatives multiply. */
enum { STEPS_MAX = 20000 };

struct query {
    const struct tsn_expr_set *set;
    uint32_t steps;
};

/* ---- thresholds ------------------------------------------------------------------- */

/* subject <relation> constant; ints closed, so that n > 4 and n >= 5 are the same. */
struct threshold {
    uint32_t subject;
    enum tsn_relation relation;
    struct tsn_value constant;
};

static enum tsn_relation mirrored(enum tsn_relation relation)
{
    switch (relation) {
    case TSN_LT:
        return TSN_GT;
    case TSN_LE:
        return TSN_GE;
    case TSN_GT:
        return TSN_LT;
    case TSN_GE:
        return TSN_LE;
    default:
        return relation;
    }
}

static bool threshold_of(const struct tsn_expr_set *set, uint32_t node, struct threshold *out)
{
    const struct tsn_node *n = &set->nodes[node];
    if (n->op != TSN_OP_COMPARE) {
        return false;
    }
    const struct tsn_value *right = tsn_graph_constant(set, n->args[1]);
    const struct tsn_value *left = tsn_graph_constant(set, n->args[0]);
    if (!left == !right) {
        return false;
    }
    out->subject = n->args[right ? 0 : 1];
    out->relation = right ? (enum tsn_relation)n->sub : mirrored((enum tsn_relation)n->sub);
    out->constant = right ? *right : *left;
    if (set->nodes[out->subject].type.type == TSN_TYPE_INT &&
        out->constant.type.type == TSN_TYPE_INT) {
        if (out->relation == TSN_GT && out->constant.i < INT64_MAX) {
            out->relation = TSN_GE;
            out->constant.i++;
        } else if (out->relation == TSN_LT && out->constant.i > INT64_MIN) {
            out->relation = TSN_LE;
            out->constant.i--;
        }
    }
    return true;
}

static bool is_upper(enum tsn_relation r)
{
    return r == TSN_LT || r == TSN_LE;
}

static bool is_lower(enum tsn_relation r)
{
    return r == TSN_GT || r == TSN_GE;
}

static bool threshold_implies(const struct threshold *a, const struct threshold *b)
{
    enum tsn_order order = tsn_value_compare(&a->constant, &b->constant);
    if (order == TSN_ORDER_NONE) {
        return false;
    }
    if (a->relation == TSN_EQ) {
        return tsn_relation_holds(b->relation, order);
    }
    if (a->relation == TSN_NE) {
        return b->relation == TSN_NE && order == TSN_ORDER_EQUAL;
    }
    /* How far a's bound lies inside of b's. */
    enum tsn_order inside = is_lower(a->relation) ? TSN_ORDER_GREATER : TSN_ORDER_LESS;
    bool strict = a->relation == TSN_GT || a->relation == TSN_LT;
    if (b->relation == TSN_NE) {
        return order == inside || (order == TSN_ORDER_EQUAL && strict);
    }
    if (is_lower(a->relation) != is_lower(b->relation) || b->relation == TSN_EQ) {
        return false;
    }
    bool b_strict = b->relation == TSN_GT || b->relation == TSN_LT;
    return order == inside || (order == TSN_ORDER_EQUAL && (strict || !b_strict));
}

static bool threshold_excludes(const struct threshold *a, const struct threshold *b)
{
    enum tsn_order order = tsn_value_compare(&a->constant, &b->constant);
    if (order == TSN_ORDER_NONE) {
        return false;
    }
    if (a->relation == TSN_EQ) {
        return !tsn_relation_holds(b->relation, order);
    }
    if (b->relation == TSN_EQ) {
        return threshold_excludes(b, a);
    }
    if (is_upper(a->relation) && is_lower(b->relation)) {
        return threshold_excludes(b, a);
    }
    if (!is_lower(a->relation) || !is_upper(b->relation)) {
        return false;
    }
    return order == TSN_ORDER_GREATER ||
           (order == TSN_ORDER_EQUAL && (a->relation == TSN_GT || b->relation == TSN_LT));
}

/* ---- lists ------------------------------------------------------------------------ */

/* `subject in [constants]`: the list, or NULL. */
static const struct tsn_list_value *members_of(const struct tsn_expr_set *set, uint32_t node,
                                               uint32_t *subject)
{
    const struct tsn_node *n = &set->nodes[node];
    if (n->op != TSN_OP_IN) {
        return NULL;
    }
    const struct tsn_value *list = tsn_graph_constant(set, n->args[1]);
    *subject = n->args[0];
    return list ? list->list : NULL;
}

static bool holds_for(const struct tsn_value *item, const struct threshold *b)
{
    enum tsn_order order = tsn_value_compare(item, &b->constant);
    return order != TSN_ORDER_NONE && tsn_relation_holds(b->relation, order);
}

static bool is_among(const struct tsn_value *item, const struct tsn_list_value *list)
{
    for (size_t i = 0; i < list->n; i++) {
        if (tsn_value_compare(item, &list->items[i]) == TSN_ORDER_EQUAL) {
            return true;
        }
    }
    return false;
}

/* What two predicates on one subject say of each other; false for others. */
static bool atom_implies(struct query *q, uint32_t a, uint32_t b)
{
    struct threshold x;
    struct threshold y;
    uint32_t subject_a = 0;
    uint32_t subject_b = 0;
    const struct tsn_list_value *list_a = members_of(q->set, a, &subject_a);
    const struct tsn_list_value *list_b = members_of(q->set, b, &subject_b);
    bool is_x = threshold_of(q->set, a, &x);
    bool is_y = threshold_of(q->set, b, &y);
    if (is_x && is_y && x.subject == y.subject) {
        return threshold_implies(&x, &y);
    }
    if (is_x && list_b && x.subject == subject_b) {
        return x.relation == TSN_EQ && is_among(&x.constant, list_b);
    }
    bool same = list_a && ((is_y && y.subject == subject_a) || (list_b && subject_b == subject_a));
    for (size_t i = 0; same && i < list_a->n; i++) {
        q->steps += 1;
        same = is_y ? holds_for(&list_a->items[i], &y) : is_among(&list_a->items[i], list_b);
    }
    return same;
}

/* Is this true only if the input has a value? Strict operators all the way down. */
static bool needs_input(struct query *q, uint32_t node, uint32_t input)
{
    const struct tsn_node *n = &q->set->nodes[node];
    if (++q->steps > STEPS_MAX) {
        return false;
    }
    switch (n->op) {
    case TSN_OP_INPUT:
        return n->input == input;
    case TSN_OP_COMPARE:
    case TSN_OP_CALL:
    case TSN_OP_IN:
    case TSN_OP_IN_HANDLE:
    case TSN_OP_PREFIX_IN:
        for (uint32_t i = 0; i < n->n_args; i++) {
            if (needs_input(q, n->args[i], input)) {
                return true;
            }
        }
        return false;
    default:
        return false;
    }
}

/* ---- conditions --------------------------------------------------------------------- */

static bool implies(struct query *q, uint32_t a, uint32_t b);

static bool some(struct query *q, const struct tsn_node *of, bool of_is_a, uint32_t other)
{
    for (uint32_t i = 0; i < of->n_args; i++) {
        if (of_is_a ? implies(q, of->args[i], other) : implies(q, other, of->args[i])) {
            return true;
        }
    }
    return false;
}

static bool every(struct query *q, const struct tsn_node *of, bool of_is_a, uint32_t other)
{
    for (uint32_t i = 0; i < of->n_args; i++) {
        if (!(of_is_a ? implies(q, of->args[i], other) : implies(q, other, of->args[i]))) {
            return false;
        }
    }
    return true;
}

/* Recursion goes down one of two trees whose heights are bounded. */
static bool implies(struct query *q, uint32_t a, uint32_t b)
{
    if (a == b) {
        return true;
    }
    if (++q->steps > STEPS_MAX) {
        return false;
    }
    const struct tsn_node *x = &q->set->nodes[a];
    const struct tsn_node *y = &q->set->nodes[b];
    if (y->op == TSN_OP_AND) {
        return every(q, y, false, a);
    }
    if (x->op == TSN_OP_OR) {
        return every(q, x, true, b);
    }
    if (y->op == TSN_OP_OR && some(q, y, false, a)) {
        return true;
    }
    if (x->op == TSN_OP_AND) {
        return some(q, x, true, b);
    }
    if (y->op == TSN_OP_HAS) {
        return needs_input(q, a, y->input);
    }
    return atom_implies(q, a, b);
}

bool tsn_expr_implies(const struct tsn_expr_set *set, uint32_t a, uint32_t b)
{
    struct query q = {.set = set};
    return implies(&q, set->exprs[a].root, set->exprs[b].root);
}

bool tsn_expr_excludes(const struct tsn_expr_set *set, uint32_t a, uint32_t b)
{
    const struct tsn_node *x = &set->nodes[a];
    const struct tsn_node *y = &set->nodes[b];
    if ((x->op == TSN_OP_NOT && x->args[0] == b) || (y->op == TSN_OP_NOT && y->args[0] == a)) {
        return true;
    }
    struct threshold left;
    struct threshold right;
    uint32_t subject_a = 0;
    uint32_t subject_b = 0;
    const struct tsn_list_value *list_a = members_of(set, a, &subject_a);
    const struct tsn_list_value *list_b = members_of(set, b, &subject_b);
    bool is_left = threshold_of(set, a, &left);
    bool is_right = threshold_of(set, b, &right);
    if (is_left && is_right) {
        return left.subject == right.subject && threshold_excludes(&left, &right);
    }
    if (is_left && list_b && left.subject == subject_b) {
        return tsn_expr_excludes(set, b, a);
    }
    bool same =
        list_a && ((is_right && right.subject == subject_a) || (list_b && subject_b == subject_a));
    for (size_t i = 0; same && i < list_a->n; i++) {
        same =
            is_right ? !holds_for(&list_a->items[i], &right) : !is_among(&list_a->items[i], list_b);
    }
    return same;
}
