/* Lints of one expression: a missing value that flips what was meant, a divisor that
 * may be 0, a fraction that is cut off, parts that are never true together.
 *
 * A missing value makes a condition neither true nor false, so nothing fires. That
 * surprises exactly where somebody takes the missing value for "nothing" - 0, an empty
 * text, false, or for a time since: never - and the condition would be true of nothing:
 * `x != "app"`, `!x`, `x < 5`. So each predicate is asked whether it holds for nothing,
 * under as many negations as stand around it. Warning of every use of a value that may
 * be missing was the alternative; nobody would read those.
 *
 * A predicate is left alone when the expression asks has() or coalesce() of the same
 * value, or when another part of its conjunction does not hold for nothing either. */
#include "rules/expr/lint.h"

#include <stdio.h>
#include <string.h>

#include "rules/expr/graph.h"
#include "rules/expr/value.h"

/* Shared nodes are met in every context they stand in; guards deeper than this are
 * forgotten, which can only warn too much. */
enum { STEPS_MAX = 100000, GUARDS_MAX = 256, INPUTS_MAX = 16 };

struct guard {
    uint32_t node;
    bool is_true;
};

struct lint {
    const struct tsn_expr_set *set;
    const struct tsn_compiled *compiled;
    const struct tsn_lint_input *inputs;
    tsn_lint_say *say;
    void *user;
    struct guard guards[GUARDS_MAX];
    uint32_t n_guards;
    uint32_t steps;
    uint32_t said[64]; /* nodes that something was said of: once is enough */
    uint32_t n_said;
};

static const struct tsn_node *node_at(const struct lint *l, uint32_t id)
{
    return &l->set->nodes[id];
}

static void say(struct lint *l, uint32_t node, const char *advice, const char *message)
{
    for (uint32_t i = 0; i < l->n_said; i++) {
        if (l->said[i] == node) {
            return;
        }
    }
    if (l->n_said == sizeof l->said / sizeof l->said[0]) {
        return;
    }
    l->said[l->n_said++] = node;
    uint32_t column = 1;
    for (uint32_t i = 0; i < l->compiled->n_positions; i++) {
        if (l->compiled->positions[i].node == node) {
            column = l->compiled->positions[i].column;
        }
    }
    l->say(l->user, column, advice, message);
}

static const char *function_of(const struct tsn_node *n)
{
    return n->op == TSN_OP_CALL ? tsn_functions[n->input].name : "";
}

static bool is_call(const struct tsn_node *n, const char *name)
{
    return strcmp(function_of(n), name) == 0;
}

/* ---- a value that is missing ---------------------------------------------------- */

enum verdict { UNKNOWN, TRUE, FALSE };

static enum verdict verdict_of(bool is_true)
{
    return is_true ? TRUE : FALSE;
}

/* The inputs of a predicate that may be missing and are worth a word. */
struct suspects {
    uint32_t items[INPUTS_MAX];
    uint32_t n;
};

static bool is_asked_for(struct lint *l, uint32_t input)
{
    for (uint32_t i = 0; i < l->compiled->n_positions; i++) {
        const struct tsn_node *n = node_at(l, l->compiled->positions[i].node);
        if (n->op == TSN_OP_HAS && n->input == input) {
            return true;
        }
        if (n->op == TSN_OP_COALESCE && node_at(l, n->args[0])->op == TSN_OP_INPUT &&
            node_at(l, n->args[0])->input == input) {
            return true;
        }
    }
    return false;
}

static void find_suspects(struct lint *l, uint32_t id, struct suspects *out)
{
    const struct tsn_node *n = node_at(l, id);
    if (++l->steps > STEPS_MAX || !n->may_be_missing || n->op == TSN_OP_COALESCE) {
        return;
    }
    if (n->op == TSN_OP_INPUT) {
        if (out->n == INPUTS_MAX || l->inputs[n->input].absence == TSN_ABSENCE_RARE ||
            is_asked_for(l, n->input)) {
            return;
        }
        for (uint32_t i = 0; i < out->n; i++) {
            if (out->items[i] == n->input) {
                return;
            }
        }
        out->items[out->n++] = n->input;
        return;
    }
    for (uint32_t i = 0; i < n->n_args; i++) {
        find_suspects(l, n->args[i], out);
    }
}

/* How nothing compares with a constant; NONE if that means nothing. */
static enum tsn_order order_of_nothing(const struct lint *l, const struct tsn_node *input,
                                       const struct tsn_value *constant)
{
    if (l->inputs[input->input].absence == TSN_ABSENCE_NEVER) {
        return TSN_ORDER_GREATER;
    }
    struct tsn_value nothing = {.type = input->type};
    if (input->type.type == TSN_TYPE_TIMESTAMP || input->type.type == TSN_TYPE_LIST) {
        return TSN_ORDER_NONE;
    }
    if (input->type.type == TSN_TYPE_STRING) {
        nothing.s = (struct tsn_str){"", 0};
    }
    return tsn_value_compare(&nothing, constant);
}

static enum verdict compare_nothing(const struct lint *l, const struct tsn_node *n)
{
    for (int side = 0; side < 2; side++) {
        const struct tsn_node *input = node_at(l, n->args[side]);
        const struct tsn_value *constant = tsn_graph_constant(l->set, n->args[1 - side]);
        if (input->op != TSN_OP_INPUT || !constant) {
            continue;
        }
        enum tsn_order order = order_of_nothing(l, input, constant);
        if (order == TSN_ORDER_NONE) {
            return UNKNOWN;
        }
        if (side == 1) {
            order = (enum tsn_order) - (int)order;
        }
        return verdict_of(tsn_relation_holds((enum tsn_relation)n->sub, order));
    }
    return UNKNOWN;
}

/* Would the predicate hold for nothing? */
static enum verdict holds_for_nothing(const struct lint *l, uint32_t id)
{
    const struct tsn_node *n = node_at(l, id);
    switch (n->op) {
    case TSN_OP_INPUT:
        return FALSE;
    case TSN_OP_COMPARE:
        return compare_nothing(l, n);
    case TSN_OP_IN_HANDLE:
    case TSN_OP_PREFIX_IN:
        return FALSE;
    case TSN_OP_IN: {
        const struct tsn_node *input = node_at(l, n->args[0]);
        const struct tsn_value *list = tsn_graph_constant(l->set, n->args[1]);
        if (input->op != TSN_OP_INPUT || !list) {
            return UNKNOWN;
        }
        for (size_t i = 0; i < list->list->n; i++) {
            if (order_of_nothing(l, input, &list->list->items[i]) == TSN_ORDER_EQUAL) {
                return TRUE;
            }
        }
        return FALSE;
    }
    case TSN_OP_CALL:
        return n->n_args == 2 && node_at(l, n->args[0])->op == TSN_OP_INPUT &&
                       tsn_graph_constant(l->set, n->args[1])
                   ? FALSE
                   : UNKNOWN;
    default:
        return UNKNOWN;
    }
}

static void flip(struct lint *l, uint32_t id, const struct suspects *suspects)
{
    struct tsn_node input = {.op = TSN_OP_INPUT, .input = suspects->items[0]};
    const struct tsn_expr_name *name = tsn_graph_name(l->set, &input);
    bool never = l->inputs[input.input].absence == TSN_ABSENCE_NEVER;
    const char *text = name ? name->name : "a value";
    char message[320];
    char advice[480];
    snprintf(message, sizeof message,
             never ? "'%.100s' is missing if there was none: this is then missing too, not true"
                   : "'%.100s' may be missing: this is then missing too, not true",
             text);
    snprintf(advice, sizeof advice,
             "write !has(%.100s) || ... if it should be true then, has(%.100s) && ... if not", text,
             text);
    say(l, id, advice, message);
}

/* An input is settled if a part of the conjunction is not true of nothing. */
struct settled {
    const struct settled *outer;
    struct suspects inputs;
};

static bool is_settled(const struct settled *settled, const struct suspects *suspects)
{
    for (uint32_t i = 0; i < suspects->n; i++) {
        bool found = false;
        for (const struct settled *s = settled; s && !found; s = s->outer) {
            for (uint32_t k = 0; k < s->inputs.n && !found; k++) {
                found = s->inputs.items[k] == suspects->items[i];
            }
        }
        if (found) {
            return true;
        }
    }
    return false;
}

static const struct tsn_node *strip_not(const struct lint *l, uint32_t *id, bool *positive)
{
    const struct tsn_node *n = node_at(l, *id);
    while (n->op == TSN_OP_NOT) {
        *id = n->args[0];
        *positive = !*positive;
        n = node_at(l, *id);
    }
    return n;
}

static void walk_flips(struct lint *l, uint32_t id, bool positive, const struct settled *settled)
{
    const struct tsn_node *n = strip_not(l, &id, &positive);
    if (++l->steps > STEPS_MAX || !n->may_be_missing) {
        return;
    }
    if (n->op == TSN_OP_AND || n->op == TSN_OP_OR) {
        bool all = (n->op == TSN_OP_AND) == positive; /* all of the parts must hold */
        struct settled here = {.outer = settled};
        for (uint32_t i = 0; i < n->n_args && all; i++) {
            uint32_t part = n->args[i];
            bool part_positive = positive;
            strip_not(l, &part, &part_positive);
            if (holds_for_nothing(l, part) == (part_positive ? FALSE : TRUE)) {
                find_suspects(l, part, &here.inputs);
            }
        }
        for (uint32_t i = 0; i < n->n_args; i++) {
            walk_flips(l, n->args[i], positive, &here);
        }
        return;
    }
    if (n->op == TSN_OP_IF) {
        walk_flips(l, n->args[1], positive, settled);
        walk_flips(l, n->args[2], positive, settled);
        return;
    }
    struct suspects suspects = {.n = 0};
    find_suspects(l, id, &suspects);
    if (suspects.n == 0 || is_settled(settled, &suspects)) {
        return;
    }
    enum verdict verdict = holds_for_nothing(l, id);
    bool not_equal = n->op == TSN_OP_COMPARE && n->sub == TSN_NE;
    if (verdict == (positive ? TRUE : FALSE) ||
        (verdict == UNKNOWN && (positive ? not_equal : !not_equal))) {
        flip(l, id, &suspects);
    }
}

/* ---- division ---------------------------------------------------------------------- */

enum sign { ANY, NOT_NEGATIVE, POSITIVE };

static uint32_t strip_double(const struct lint *l, uint32_t id)
{
    const struct tsn_node *n = node_at(l, id);
    return is_call(n, "double") && node_at(l, n->args[0])->type.type == TSN_TYPE_INT ? n->args[0]
                                                                                     : id;
}

static enum sign least_sign(enum sign a, enum sign b)
{
    return a < b ? a : b;
}

static enum sign sign_of(struct lint *l, uint32_t id, int depth)
{
    id = strip_double(l, id);
    const struct tsn_node *n = node_at(l, id);
    const struct tsn_value *constant = tsn_graph_constant(l->set, id);
    if (constant && (n->type.type == TSN_TYPE_INT || n->type.type == TSN_TYPE_DOUBLE)) {
        double d = n->type.type == TSN_TYPE_INT ? (double)constant->i : constant->d;
        return d > 0 ? POSITIVE : d >= 0 ? NOT_NEGATIVE : ANY;
    }
    if (depth == 0 || ++l->steps > STEPS_MAX) {
        return ANY;
    }
    if (n->op == TSN_OP_INPUT) {
        return l->inputs[n->input].not_negative ? NOT_NEGATIVE : ANY;
    }
    if (n->op == TSN_OP_COALESCE) {
        return least_sign(sign_of(l, n->args[0], depth - 1), sign_of(l, n->args[1], depth - 1));
    }
    if (n->op == TSN_OP_IF) {
        return least_sign(sign_of(l, n->args[1], depth - 1), sign_of(l, n->args[2], depth - 1));
    }
    if (n->op != TSN_OP_CALL) {
        return ANY;
    }
    if (is_call(n, "exp")) {
        return POSITIVE;
    }
    if (is_call(n, "sqrt") || is_call(n, "math.abs") || is_call(n, "size")) {
        return NOT_NEGATIVE;
    }
    if (n->n_args != 2) {
        return ANY;
    }
    enum sign a = sign_of(l, n->args[0], depth - 1);
    enum sign b = sign_of(l, n->args[1], depth - 1);
    if (is_call(n, "+")) {
        return a == ANY || b == ANY ? ANY : a > b ? a : b;
    }
    if (is_call(n, "*") && n->args[0] == n->args[1]) {
        return a == POSITIVE ? POSITIVE : NOT_NEGATIVE;
    }
    if (is_call(n, "math.greatest")) {
        return a > b ? a : b;
    }
    return is_call(n, "*") || is_call(n, "math.least") ? least_sign(a, b) : ANY;
}

static enum tsn_relation opposite(enum tsn_relation relation)
{
    static const enum tsn_relation of[] = {[TSN_EQ] = TSN_NE, [TSN_NE] = TSN_EQ, [TSN_LT] = TSN_GE,
                                           [TSN_LE] = TSN_GT, [TSN_GT] = TSN_LE, [TSN_GE] = TSN_LT};
    return of[relation];
}

/* `n <relation> other` holds: is n then other than 0? */
static bool compared_apart(struct lint *l, enum tsn_relation relation, uint32_t other)
{
    const struct tsn_value *c = tsn_graph_constant(l->set, other);
    if (!c) {
        return relation == TSN_GT ? sign_of(l, other, 8) >= NOT_NEGATIVE
                                  : relation == TSN_GE && sign_of(l, other, 8) == POSITIVE;
    }
    struct tsn_value zero = {.type = {.type = TSN_TYPE_INT}};
    enum tsn_order order = tsn_value_compare(&zero, c);
    return order != TSN_ORDER_NONE && !tsn_relation_holds(relation, order);
}

static bool guard_parts(struct lint *l, const struct tsn_node *n, bool is_true, uint32_t divisor);

/* Does it follow from a guard that the divisor is not 0? */
static bool guards(struct lint *l, uint32_t id, bool is_true, uint32_t divisor)
{
    const struct tsn_node *n = strip_not(l, &id, &is_true);
    if (++l->steps > STEPS_MAX) {
        return false;
    }
    if ((n->op == TSN_OP_AND && is_true) || (n->op == TSN_OP_OR && !is_true)) {
        return guard_parts(l, n, is_true, divisor);
    }
    if (n->op != TSN_OP_COMPARE) {
        return false;
    }
    static const enum tsn_relation mirror[] = {
        [TSN_EQ] = TSN_EQ, [TSN_NE] = TSN_NE, [TSN_LT] = TSN_GT,
        [TSN_LE] = TSN_GE, [TSN_GT] = TSN_LT, [TSN_GE] = TSN_LE};
    enum tsn_relation relation = (enum tsn_relation)n->sub;
    relation = is_true ? relation : opposite(relation);
    return (strip_double(l, n->args[0]) == divisor && compared_apart(l, relation, n->args[1])) ||
           (strip_double(l, n->args[1]) == divisor &&
            compared_apart(l, mirror[relation], n->args[0]));
}

static bool guard_parts(struct lint *l, const struct tsn_node *n, bool is_true, uint32_t divisor)
{
    for (uint32_t i = 0; i < n->n_args; i++) {
        if (guards(l, n->args[i], is_true, divisor)) {
            return true;
        }
    }
    return false;
}

static void check_division(struct lint *l, uint32_t id, bool becomes_double)
{
    const struct tsn_node *n = node_at(l, id);
    const struct tsn_value *constant = tsn_graph_constant(l->set, n->args[1]);
    if (n->type.type == TSN_TYPE_INT) {
        if (becomes_double || !constant) {
            say(l, id, "write double(a) / double(b)",
                "an int divided by an int drops the fraction: 7 / 2 is 3");
        }
        return;
    }
    uint32_t divisor = strip_double(l, n->args[1]);
    if (sign_of(l, divisor, 8) == POSITIVE || (constant && constant->d != 0)) {
        return;
    }
    for (uint32_t i = 0; i < l->n_guards; i++) {
        if (guards(l, l->guards[i].node, l->guards[i].is_true, divisor)) {
            return;
        }
    }
    say(l, id, "write b > 0 && a / b >= 0.8, or a / math.greatest(b, 1.0)",
        "the divisor may be 0: the result is then infinite, or no number");
}

static void push_guard(struct lint *l, uint32_t node, bool is_true)
{
    if (l->n_guards < GUARDS_MAX) {
        l->guards[l->n_guards++] = (struct guard){node, is_true};
    }
}

static void walk_divisions(struct lint *l, uint32_t id, bool becomes_double)
{
    const struct tsn_node *n = node_at(l, id);
    if (++l->steps > STEPS_MAX) {
        return;
    }
    if (is_call(n, "/")) {
        check_division(l, id, becomes_double);
    }
    uint32_t before = l->n_guards;
    bool is_logic = n->op == TSN_OP_AND || n->op == TSN_OP_OR;
    bool any_double = is_call(n, "double");
    for (uint32_t i = 0; i < n->n_args && n->op == TSN_OP_COMPARE; i++) {
        any_double = any_double || node_at(l, n->args[i])->type.type == TSN_TYPE_DOUBLE;
    }
    for (uint32_t i = 0; i < n->n_args; i++) {
        for (uint32_t k = 0; k < n->n_args && is_logic; k++) {
            if (k != i) {
                push_guard(l, n->args[k], n->op == TSN_OP_AND);
            }
        }
        if (n->op == TSN_OP_IF && i > 0) {
            push_guard(l, n->args[0], i == 1);
        }
        walk_divisions(l, n->args[i], any_double);
        l->n_guards = before;
    }
}

/* ---- never together ------------------------------------------------------------------ */

enum { PARTS_MAX = 64 };

static void flatten(const struct lint *l, uint32_t id, uint32_t *parts, uint32_t *n_parts)
{
    const struct tsn_node *n = node_at(l, id);
    for (uint32_t i = 0; i < n->n_args; i++) {
        if (node_at(l, n->args[i])->op == TSN_OP_AND) {
            flatten(l, n->args[i], parts, n_parts);
        } else if (*n_parts < PARTS_MAX) {
            parts[(*n_parts)++] = n->args[i];
        }
    }
}

static void walk_exclusions(struct lint *l, uint32_t id)
{
    const struct tsn_node *n = node_at(l, id);
    if (++l->steps > STEPS_MAX) {
        return;
    }
    if (n->op == TSN_OP_AND) {
        uint32_t parts[PARTS_MAX];
        uint32_t n_parts = 0;
        flatten(l, id, parts, &n_parts);
        for (uint32_t i = 0; i < n_parts; i++) {
            for (uint32_t k = 0; k < i; k++) {
                if (tsn_expr_excludes(l->set, parts[k], parts[i])) {
                    say(l, parts[i], "mend one of the two",
                        "this is never true together with another part of the condition");
                }
            }
        }
    }
    for (uint32_t i = 0; i < n->n_args; i++) {
        walk_exclusions(l, n->args[i]);
    }
}

void tsn_expr_lint(const struct tsn_expr_set *set, uint32_t expr,
                   const struct tsn_lint_input *inputs, tsn_lint_say *report, void *user)
{
    struct lint l = {
        .set = set, .compiled = &set->exprs[expr], .inputs = inputs, .say = report, .user = user};
    uint32_t root = l.compiled->root;
    walk_exclusions(&l, root);
    l.steps = 0;
    if (set->nodes[root].type.type == TSN_TYPE_BOOL) {
        walk_flips(&l, root, true, NULL);
    }
    l.steps = 0;
    walk_divisions(&l, root, false);
}
