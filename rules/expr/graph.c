/* The typed graph: adding nodes so that equal ones are one, and folding constants.
 *
 * Hash-consing over (op, arguments, type, payload) makes a predicate that a
 * thousand rules share one node; the alternative, a tree per rule and a search for
 * common parts afterwards, costs more and finds less. A node without inputs is
 * evaluated at once by the scalar evaluator and becomes its value; one that fails
 * stays a node and remembers why, so that && and || may absorb it.
 * Called by the checker only; costs O(arguments) a node.
 */
#include "rules/expr/graph.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "rules/expr/text.h"
#include "rules/expr/value.h"
#include "rules/must/must.h"

static bool same_node(const struct tsn_node *a, const struct tsn_node *b)
{
    if (a->hash != b->hash || a->op != b->op || a->sub != b->sub || a->slot != b->slot ||
        a->input != b->input || a->n_args != b->n_args || a->literal != b->literal ||
        !tsn_type_equal(a->type, b->type)) {
        return false;
    }
    if (a->op == TSN_OP_CONST) {
        return tsn_value_same(a->value, b->value);
    }
    return a->n_args == 0 || memcmp(a->args, b->args, a->n_args * sizeof *a->args) == 0;
}

static uint32_t hash_node(const struct tsn_node *n)
{
    uint64_t key[3] = {
        (uint64_t)n->op | (uint64_t)n->sub << 8 | (uint64_t)n->slot << 16 |
            (uint64_t)n->input << 32,
        (uint64_t)n->type.type | (uint64_t)n->type.element << 8 | (uint64_t)n->type.depth << 16 |
            (uint64_t)n->literal << 32,
        n->op == TSN_OP_CONST ? tsn_value_hash(n->value) : n->n_args,
    };
    uint64_t seed = n->n_args ? XXH3_64bits(n->args, n->n_args * sizeof *n->args) : 0;
    return (uint32_t)XXH3_64bits_withSeed(key, sizeof key, seed);
}

static void grow_table(struct tsn_expr_set *set)
{
    uint32_t cap = set->cap_table ? set->cap_table * 2 : 1024;
    uint32_t *table = calloc(cap, sizeof *table);
    TSN_MUST_ALLOC(table);
    for (uint32_t i = 0; i < set->n_nodes; i++) {
        uint32_t at = set->nodes[i].hash & (cap - 1);
        while (table[at]) {
            at = (at + 1) & (cap - 1);
        }
        table[at] = i + 1;
    }
    free(set->table);
    set->table = table;
    set->cap_table = cap;
}

static uint32_t append(struct tsn_expr_set *set, const struct tsn_node *node, uint32_t at)
{
    if (set->n_nodes == set->cap_nodes) {
        set->cap_nodes = set->cap_nodes ? set->cap_nodes * 2 : 512;
        set->nodes = realloc(set->nodes, set->cap_nodes * sizeof *set->nodes);
        TSN_MUST_ALLOC(set->nodes);
    }
    set->table[at] = set->n_nodes + 1;
    set->nodes[set->n_nodes] = *node;
    return set->n_nodes++;
}

/* Text of unknown length is taken to be this long: numbers, names, accounts. */
#define COST_TEXT_BYTES 64.0

static double text_bytes(const struct tsn_expr_set *set, uint32_t id)
{
    const struct tsn_value *constant = tsn_graph_constant(set, id);
    return constant ? (double)constant->s.len : COST_TEXT_BYTES;
}

/* The rule language's cost table: a scalar operation 1, text 0.1 a byte, a pattern
 * 0.25 x pattern x text, a list probe 2. */
static double own_cost(const struct tsn_expr_set *set, const struct tsn_node *n)
{
    double cost = 1;
    double per_byte = 0.1;
    double factor = 1;
    switch (n->op) {
    case TSN_OP_CONST:
    case TSN_OP_INPUT:
    case TSN_OP_VARIABLE:
        return 0;
    case TSN_OP_IN_HANDLE:
    case TSN_OP_PREFIX_IN:
    case TSN_OP_IN:
        cost = 2;
        break;
    case TSN_OP_LIST:
        cost = n->n_args;
        break;
    case TSN_OP_CALL:
        cost = tsn_functions[n->input].cost;
        per_byte = tsn_functions[n->input].cost_per_byte;
        if (tsn_functions[n->input].flags & TSN_FUNCTION_REGEX) {
            factor = text_bytes(set, n->args[1]);
        }
        break;
    case TSN_OP_COMPARE:
        break;
    default:
        return 1;
    }
    for (uint32_t i = 0; i < n->n_args && per_byte > 0; i++) {
        bool is_text = set->nodes[n->args[i]].type.type == TSN_TYPE_STRING;
        if (is_text && (factor == 1 || i == 0)) {
            cost += per_byte * factor * text_bytes(set, n->args[i]);
        }
    }
    return cost;
}

static bool missing_bit(const struct tsn_expr_set *set, const struct tsn_node *n)
{
    const struct tsn_expr_name *name;
    switch (n->op) {
    case TSN_OP_INPUT:
        name = tsn_graph_name(set, n);
        return name && name->may_be_missing;
    case TSN_OP_HAS:
        return false;
    case TSN_OP_COALESCE:
        return set->nodes[n->args[1]].may_be_missing;
    default:
        break;
    }
    for (uint32_t i = 0; i < n->n_args; i++) {
        if (set->nodes[n->args[i]].may_be_missing) {
            return true;
        }
    }
    return false;
}

/* What follows from the arguments. */
static void derive(const struct tsn_expr_set *set, struct tsn_node *n)
{
    n->height = 1;
    n->pure = n->op != TSN_OP_INPUT && n->op != TSN_OP_HAS && n->op != TSN_OP_IN_HANDLE &&
              n->op != TSN_OP_PREFIX_IN;
    n->reach = n->op == TSN_OP_INPUT || n->op == TSN_OP_HAS             ? n->input + 1
               : n->op == TSN_OP_IN_HANDLE || n->op == TSN_OP_PREFIX_IN ? UINT32_MAX
                                                                        : 0;
    n->free_slots = n->op == TSN_OP_VARIABLE ? UINT64_C(1) << n->slot : 0;
    n->own_cost = own_cost(set, n);
    n->tree_cost = n->own_cost;
    n->may_be_missing = missing_bit(set, n);
    for (uint32_t i = 0; i < n->n_args; i++) {
        const struct tsn_node *arg = &set->nodes[n->args[i]];
        bool is_body = n->op == TSN_OP_MACRO && i > 0;
        n->height = arg->height >= n->height ? arg->height + 1 : n->height;
        n->reach = arg->reach > n->reach ? arg->reach : n->reach;
        n->pure = n->pure && arg->pure;
        n->free_slots |= arg->free_slots & ~(is_body ? UINT64_C(1) << n->slot : 0);
        if (is_body) {
            const struct tsn_node *list = &set->nodes[n->args[0]];
            double size = TSN_EXPR_MACRO_MAX;
            if (list->op == TSN_OP_LIST) {
                size = list->n_args;
            } else if (list->op == TSN_OP_CONST) {
                size = (double)list->value->list->n;
            }
            n->tree_cost += size * arg->tree_cost;
        } else {
            n->tree_cost += arg->tree_cost;
        }
    }
}

/* Most a folding may cost; the checker refuses what costs more anyway. */
#define FOLD_COST_MAX 1e6

/* Evaluates a new node without inputs. Gives the node to use instead. */
static uint32_t fold(struct tsn_expr_set *set, uint32_t id)
{
    struct tsn_node *n = &set->nodes[id];
    if (!n->pure || n->free_slots || n->op == TSN_OP_CONST || n->tree_cost > FOLD_COST_MAX) {
        return id;
    }
    tsn_eval_fit(set->folder);
    tsn_arena_reset(&set->folder->arena);
    tsn_row_begin(set->folder, 0);
    const struct tsn_value *value = tsn_row_node(set->folder, id);
    if (value->state == TSN_STATE_VALUE) {
        struct tsn_value typed = *value;
        typed.type = n->type;
        return tsn_graph_const(set, &typed);
    }
    TSN_MUST(value->state == TSN_STATE_ERROR); /* nothing in it can be missing */
    n->error = tsn_arena_strdup(&set->arena, value->error, strlen(value->error));
    n->error_node = value->error_column;
    return id;
}

uint32_t tsn_graph_add(struct tsn_expr_set *set, const struct tsn_node *node)
{
    struct tsn_node n = *node;
    n.hash = hash_node(&n);
    if (set->n_nodes * 2 >= set->cap_table) {
        grow_table(set);
    }
    uint32_t at = n.hash & (set->cap_table - 1);
    for (; set->table[at]; at = (at + 1) & (set->cap_table - 1)) {
        uint32_t id = set->table[at] - 1;
        if (same_node(&set->nodes[id], &n)) {
            return set->nodes[id].folded ? set->nodes[id].folded - 1 : id;
        }
    }
    derive(set, &n);
    if (n.n_args) {
        uint32_t *args = tsn_arena_alloc(&set->arena, n.n_args * sizeof *args);
        memcpy(args, n.args, n.n_args * sizeof *args);
        n.args = args;
    }
    uint32_t id = append(set, &n, at);
    uint32_t result = fold(set, id);
    if (result != id) {
        set->nodes[id].folded = result + 1;
    }
    return result;
}

uint32_t tsn_graph_const(struct tsn_expr_set *set, const struct tsn_value *value)
{
    struct tsn_value *copy = tsn_arena_alloc(&set->arena, sizeof *copy);
    *copy = tsn_value_copy(value, &set->arena);
    struct tsn_node node = {.op = TSN_OP_CONST, .type = value->type, .value = copy};
    if (value->type.type == TSN_TYPE_LIST) {
        node.members = tsn_members_new(copy, &set->arena);
    }
    return tsn_graph_add(set, &node);
}

uint32_t tsn_graph_lift(struct tsn_expr_set *set, uint32_t constant)
{
    if (!set->lift) {
        return constant;
    }
    if (set->n_lifted == set->cap_lifted) {
        set->cap_lifted = set->cap_lifted ? set->cap_lifted * 2 : 16;
        set->lifted = realloc(set->lifted, set->cap_lifted * sizeof *set->lifted);
        TSN_MUST_ALLOC(set->lifted);
    }
    struct tsn_node node = {.op = TSN_OP_INPUT,
                            .type = set->nodes[constant].type,
                            .input = (uint32_t)(set->n_inputs + set->n_lifted),
                            .literal = constant + 1};
    for (uint32_t i = 0; i < set->n_nodes; i++) { /* one input a literal; few are lifted */
        if (set->nodes[i].literal == node.literal) {
            return i;
        }
    }
    set->lifted[set->n_lifted++] = set->nodes[constant].value;
    return tsn_graph_add(set, &node);
}

const struct tsn_value *tsn_graph_constant(const struct tsn_expr_set *set, uint32_t node)
{
    const struct tsn_node *n = &set->nodes[node];
    if (n->literal) {
        n = &set->nodes[n->literal - 1];
    }
    return n->op == TSN_OP_CONST ? n->value : NULL;
}

const struct tsn_expr_name *tsn_graph_name(const struct tsn_expr_set *set,
                                           const struct tsn_node *node)
{
    if (node->literal || node->input >= set->n_inputs) {
        return NULL;
    }
    uint32_t index = set->by_input[node->input];
    return index == UINT32_MAX ? NULL : &set->names[index];
}

const struct tsn_zone *tsn_zones_find(const struct tsn_zones *zones, struct tsn_str name)
{
    size_t low = 0;
    size_t high = zones->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int c = tsn_str_compare(zones->items[middle].name, name);
        if (c == 0) {
            return zones->items[middle].zone;
        }
        if (c < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

bool tsn_relation_holds(enum tsn_relation relation, enum tsn_order order)
{
    switch (relation) {
    case TSN_EQ:
        return order == TSN_ORDER_EQUAL;
    case TSN_NE:
        return order != TSN_ORDER_EQUAL;
    case TSN_LT:
        return order == TSN_ORDER_LESS;
    case TSN_LE:
        return order == TSN_ORDER_LESS || order == TSN_ORDER_EQUAL;
    case TSN_GT:
        return order == TSN_ORDER_GREATER;
    case TSN_GE:
        return order == TSN_ORDER_GREATER || order == TSN_ORDER_EQUAL;
    }
    return false;
}
