/* The checker, && and ||: constants fold, and what is the same for every event is
 * worth a word.
 *
 * Nobody writes a part that can only be true, or only false, on purpose: it is a wrong
 * bound, an && for an ||, a leftover. Found are constant operands, a value compared with
 * itself, a function or an enum compared with what it never gives, and two comparisons of
 * one value beside || that leave nothing out; those are judged pair by pair, of at most
 * PAIRS_MAX operands. Warnings only, here where a constant still has its own place; a
 * whole condition that is constant is the caller's business (tsn_expr_constant).
 */
#include <limits.h>
#include <string.h>

#include "rules/expr/check.h"
#include "rules/expr/text.h"
#include "rules/expr/value.h"

enum { PAIRS_MAX = 64 };

/* ---- one comparison ------------------------------------------------------------------ */

/* value REL constant, the constant on the right. */
struct comparison {
    uint32_t value; /* node */
    enum tsn_relation relation;
    const struct tsn_value *constant;
};

static enum tsn_relation mirrored(enum tsn_relation relation)
{
    static const enum tsn_relation other[] = {
        [TSN_EQ] = TSN_EQ, [TSN_NE] = TSN_NE, [TSN_LT] = TSN_GT,
        [TSN_LE] = TSN_GE, [TSN_GT] = TSN_LT, [TSN_GE] = TSN_LE};
    return other[relation];
}

static enum tsn_relation negated(enum tsn_relation relation)
{
    static const enum tsn_relation other[] = {
        [TSN_EQ] = TSN_NE, [TSN_NE] = TSN_EQ, [TSN_LT] = TSN_GE,
        [TSN_LE] = TSN_GT, [TSN_GT] = TSN_LE, [TSN_GE] = TSN_LT};
    return other[relation];
}

static bool read_comparison(const struct tsn_checker *c, enum tsn_relation relation,
                            const uint32_t *args, struct comparison *out)
{
    const struct tsn_node *left = &c->set->nodes[args[0]];
    const struct tsn_node *right = &c->set->nodes[args[1]];
    if ((left->op == TSN_OP_CONST) == (right->op == TSN_OP_CONST)) {
        return false;
    }
    *out = right->op == TSN_OP_CONST
               ? (struct comparison){args[0], relation, right->value}
               : (struct comparison){args[1], mirrored(relation), left->value};
    return true;
}

/* What some functions of ints give at least and at most. */
static const struct {
    const char *name;
    char receiver; /* letter of the first argument; 0: any */
    int64_t least;
    int64_t most;
} ranges[] = {
    {"size", 0, 0, INT64_MAX},         {"getFullYear", 't', 1, 9999},
    {"getMonth", 't', 0, 11},          {"getDate", 't', 1, 31},
    {"getDayOfMonth", 't', 0, 30},     {"getDayOfWeek", 't', 0, 6},
    {"getDayOfYear", 't', 0, 365},     {"getHours", 't', 0, 23},
    {"getMinutes", 't', 0, 59},        {"getSeconds", 't', 0, 59},
    {"getMilliseconds", 't', 0, 999},  {"indexOf", 0, -1, INT64_MAX},
    {"lastIndexOf", 0, -1, INT64_MAX},
};

/* Is `value relation limit` the same at both ends of the range, and all between? */
static bool is_certain(enum tsn_relation relation, int64_t least, int64_t most, int64_t with,
                       bool *holds)
{
    switch (relation) {
    case TSN_EQ:
    case TSN_NE:
        *holds = relation == TSN_NE;
        return with < least || with > most;
    case TSN_LT:
    case TSN_GE:
        *holds = (most < with) == (relation == TSN_LT);
        return most < with || least >= with;
    case TSN_LE:
    case TSN_GT:
        *holds = (most <= with) == (relation == TSN_LE);
        return most <= with || least > with;
    }
    return false;
}

/* An enum asked for what is none of its values. */
static void doubt_enum(struct tsn_checker *c, const struct comparison *comparison, uint32_t at)
{
    const struct tsn_node *value = &c->set->nodes[comparison->value];
    const struct tsn_expr_name *name =
        value->op == TSN_OP_INPUT ? tsn_graph_name(c->set, value) : NULL;
    bool asks = comparison->relation == TSN_EQ || comparison->relation == TSN_NE;
    if (!asks || !name || name->rep != TSN_REP_ENUM || !name->dict) {
        return;
    }
    for (uint32_t i = 0; i < name->dict->n; i++) {
        if (tsn_str_equal(name->dict->names[i], comparison->constant->s)) {
            return;
        }
    }
    tsn_check_doubt(c, at,
                    tsn_arena_printf(c->scratch, "this is always %s: '%s' is never \"%.*s\"",
                                     comparison->relation == TSN_NE ? "true" : "false", name->name,
                                     (int)comparison->constant->s.len, comparison->constant->s.p));
}

void tsn_check_doubt_comparison(struct tsn_checker *c, enum tsn_relation relation,
                                const uint32_t *args, uint32_t at)
{
    struct comparison comparison;
    if (args[0] == args[1] && !c->set->nodes[args[0]].pure) {
        tsn_check_doubt(c, at, "this compares a value with itself");
    }
    if (!read_comparison(c, relation, args, &comparison)) {
        return;
    }
    const struct tsn_node *value = &c->set->nodes[comparison.value];
    doubt_enum(c, &comparison, at);
    if (value->op != TSN_OP_CALL || comparison.constant->type.type != TSN_TYPE_INT) {
        return;
    }
    const struct tsn_function *f = &tsn_functions[value->input];
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        bool holds;
        if (strcmp(f->name, ranges[i].name) == 0 &&
            (!ranges[i].receiver || f->signature[0] == ranges[i].receiver) &&
            is_certain(comparison.relation, ranges[i].least, ranges[i].most, comparison.constant->i,
                       &holds)) {
            tsn_check_doubt(c, at,
                            tsn_arena_printf(c->scratch, "this is always %s: %s() gives %lld %s",
                                             holds ? "true" : "false", f->name,
                                             (long long)ranges[i].least,
                                             ranges[i].most == INT64_MAX
                                                 ? "or more"
                                                 : tsn_arena_printf(c->scratch, "to %lld",
                                                                    (long long)ranges[i].most)));
        }
    }
}

/* ---- two comparisons ------------------------------------------------------------------- */

/* No value satisfies both. */
static bool exclude(enum tsn_relation a, const struct tsn_value *x, enum tsn_relation b,
                    const struct tsn_value *y)
{
    enum tsn_order order = tsn_value_compare(x, y);
    bool a_up = a == TSN_GT || a == TSN_GE;
    bool b_up = b == TSN_GT || b == TSN_GE;
    if (a == TSN_NE || b == TSN_NE) {
        return order == TSN_ORDER_EQUAL && a != b && (a == TSN_EQ || b == TSN_EQ);
    }
    if (a == TSN_EQ && b == TSN_EQ) {
        return order != TSN_ORDER_EQUAL;
    }
    if (a == TSN_EQ) { /* is x on b's side of y? */
        return !tsn_relation_holds(b, order);
    }
    if (b == TSN_EQ) {
        return !tsn_relation_holds(mirrored(a), order);
    }
    if (a_up == b_up) {
        return false;
    }
    bool both_closed = (a == TSN_GE || a == TSN_LE) && (b == TSN_GE || b == TSN_LE);
    enum tsn_order apart = a_up ? TSN_ORDER_GREATER : TSN_ORDER_LESS;
    return order == apart || (order == TSN_ORDER_EQUAL && !both_closed);
}

static bool of_operand(const struct tsn_checker *c, uint32_t node, struct comparison *out)
{
    const struct tsn_node *n = &c->set->nodes[node];
    return n->op == TSN_OP_COMPARE && read_comparison(c, n->sub, n->args, out) &&
           !(out->constant->type.type == TSN_TYPE_DOUBLE && out->constant->d != out->constant->d);
}

/* Operand i of || beside those before it. Those of && are judged by lint.c, which also
 * sees through lists and parentheses. */
static void doubt_pairs(struct tsn_checker *c, const struct tsn_syntax *tree, const uint32_t *args,
                        uint32_t i)
{
    struct comparison late;
    struct comparison early;
    for (uint32_t k = 0;
         tree->op == TSN_TOKEN_OR && i < PAIRS_MAX && k < i && of_operand(c, args[i], &late); k++) {
        if (!of_operand(c, args[k], &early) || early.value != late.value) {
            continue;
        }
        bool none_left_out = late.relation == TSN_NE && early.relation == TSN_NE;
        bool is_double = c->set->nodes[late.value].type.type == TSN_TYPE_DOUBLE;
        if ((none_left_out || !is_double) && /* NaN satisfies != alone */
            exclude(negated(early.relation), early.constant, negated(late.relation),
                    late.constant)) {
            tsn_check_doubt(c, tree->args[i]->at,
                            "every value satisfies this or an earlier part of '||'");
            return;
        }
    }
}

/* ---- && and || --------------------------------------------------------------------------- */

/* Operands of && and || that are constants: one that decides is the whole, one that
 * decides nothing falls away; *n is how many are left. Each is worth a word. */
static uint32_t fold_logic(struct tsn_checker *c, const struct tsn_syntax *tree, uint32_t *args,
                           uint32_t *n)
{
    bool is_or = tree->op == TSN_TOKEN_OR;
    uint32_t decides = TSN_EXPR_NONE;
    uint32_t left = 0;
    uint32_t *all = tsn_arena_alloc(c->scratch, tree->n_args * sizeof *all);
    memcpy(all, args, tree->n_args * sizeof *all);
    for (uint32_t i = 0; i < tree->n_args; i++) {
        const struct tsn_node *arg = &c->set->nodes[args[i]];
        bool constant = arg->op == TSN_OP_CONST;
        if (constant && arg->value->b == is_or) {
            decides = args[i];
            tsn_check_doubt(c, tree->args[i]->at,
                            is_or ? "this part is always true, and with it all that '||' joins"
                                  : "this part is always false, and with it all that '&&' joins");
        } else if (constant) {
            tsn_check_doubt(c, tree->args[i]->at,
                            is_or ? "this part is always false: beside '||' it says nothing"
                                  : "this part is always true: beside '&&' it says nothing");
        } else if (arg->error) {
            tsn_check_doubt(c, tree->args[i]->at, "this part fails for every event");
        }
        if (!constant) {
            args[left++] = args[i];
        }
    }
    for (uint32_t i = 0; i < tree->n_args && decides == TSN_EXPR_NONE; i++) {
        doubt_pairs(c, tree, all, i);
    }
    *n = left;
    return decides;
}

uint32_t tsn_check_logic(struct tsn_checker *c, const struct tsn_syntax *tree)
{
    uint32_t *args = tsn_arena_alloc(c->scratch, tree->n_args * sizeof *args);
    bool ok = true;
    for (uint32_t i = 0; i < tree->n_args; i++) {
        args[i] = tsn_check_as(c, tsn_check(c, tree->args[i]), tsn_plain(TSN_TYPE_BOOL),
                               tree->args[i]->at);
        if (args[i] != TSN_EXPR_NONE && c->set->nodes[args[i]].type.type != TSN_TYPE_BOOL) {
            args[i] = tsn_check_fail(c, tree->args[i]->at, "compare it with something",
                                     "'%s' needs a bool here, not %s", tsn_token_text(tree->op),
                                     tsn_check_type_text(c, args[i]));
        }
        ok = ok && args[i] != TSN_EXPR_NONE;
    }
    if (!ok) {
        return TSN_EXPR_NONE;
    }
    uint32_t first = args[0];
    uint32_t n = 0;
    uint32_t decides = fold_logic(c, tree, args, &n);
    if (decides != TSN_EXPR_NONE || n == 0) {
        return decides != TSN_EXPR_NONE ? decides : first;
    }
    struct tsn_node node = {.op = tree->op == TSN_TOKEN_AND ? TSN_OP_AND : TSN_OP_OR,
                            .type = tsn_plain(TSN_TYPE_BOOL),
                            .n_args = n,
                            .args = args};
    return n == 1 ? args[0] : tsn_check_add(c, &node, tree->at);
}
