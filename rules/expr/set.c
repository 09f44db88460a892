/* Expression sets: names in, compiled expressions out; see expr.h.
 *
 * Everything a set hands out lives in its arena and dies with it. Compiling costs
 * the text's length and its nodes; a set of a thousand rules compiles in
 * milliseconds because equal parts are found by hash.
 */
#include <stdlib.h>
#include <string.h>

#include "rules/diag/diag.h"
#include "rules/expr/check.h"
#include "rules/expr/expr.h"
#include "rules/expr/graph.h"
#include "rules/expr/re2_shim.h"
#include "rules/expr/text.h"
#include "rules/expr/value.h"
#include "rules/expr/zone.h"
#include "rules/must/must.h"

/* Units of the cost table that one expression may need; rules have a limit of
 * their own, this one only keeps macros inside macros from hanging. */
#define EXPR_COST_MAX 1e6

static int compare_names(const void *a, const void *b)
{
    const struct tsn_expr_name *x = a;
    const struct tsn_expr_name *y = b;
    return strcmp(x->name, y->name);
}

static void copy_names(struct tsn_expr_set *set, const struct tsn_expr_env *env)
{
    set->n_names = env->n_names;
    set->names = tsn_arena_alloc(&set->arena, env->n_names * sizeof *set->names + 1);
    for (size_t i = 0; i < env->n_names; i++) {
        set->names[i] = env->names[i];
        set->names[i].name =
            tsn_arena_strdup(&set->arena, env->names[i].name, strlen(env->names[i].name));
        if (set->names[i].type.depth == 0) { /* callers may leave the element of plain types */
            set->names[i].type = tsn_plain(set->names[i].type.type);
        }
        if (env->names[i].input >= set->n_inputs) {
            set->n_inputs = (size_t)env->names[i].input + 1;
        }
    }
    qsort(set->names, set->n_names, sizeof *set->names, compare_names);
    set->by_input = tsn_arena_alloc(&set->arena, set->n_inputs * sizeof *set->by_input + 1);
    memset(set->by_input, 0xff, set->n_inputs * sizeof *set->by_input);
    for (size_t i = 0; i < set->n_names; i++) {
        set->by_input[set->names[i].input] = (uint32_t)i;
    }
}

struct tsn_expr_set *tsn_expr_set_new(const struct tsn_expr_env *env)
{
    struct tsn_expr_set *set = calloc(1, sizeof *set);
    TSN_MUST_ALLOC(set);
    tsn_arena_init(&set->arena, 0);
    tsn_arena_init(&set->scratch, 0);
    copy_names(set, env);
    set->n_lists = env->n_lists;
    set->lists = tsn_arena_alloc(&set->arena, env->n_lists * sizeof *set->lists + 1);
    for (size_t i = 0; i < env->n_lists; i++) {
        set->lists[i] = env->lists[i];
        set->lists[i].name =
            tsn_arena_strdup(&set->arena, env->lists[i].name, strlen(env->lists[i].name));
    }
    const char *timezone = env->timezone ? env->timezone : "UTC";
    set->timezone = tsn_arena_strdup(&set->arena, timezone, strlen(timezone));
    set->default_zone =
        tsn_zone_new((struct tsn_str){set->timezone, (uint32_t)strlen(timezone)}, &set->arena);
    set->folder = tsn_eval_new(set);
    return set;
}

void tsn_expr_set_free(struct tsn_expr_set *set)
{
    if (!set) {
        return;
    }
    tsn_eval_free(set->folder);
    for (size_t i = 0; i < set->n_regexes; i++) {
        tsn_regex_free(set->regexes[i].regex);
    }
    free(set->regexes);
    free(set->zones.items);
    free(set->nodes);
    free(set->table);
    free(set->exprs);
    free(set->lifted);
    tsn_arena_free(&set->arena);
    tsn_arena_free(&set->scratch);
    free(set);
}

bool tsn_expr_zone_known(const char *name)
{
    struct tsn_arena arena;
    tsn_arena_init(&arena, 0);
    struct tsn_str key = {name, (uint32_t)strlen(name)};
    bool known = tsn_zone_new(key, &arena) != NULL;
    tsn_arena_free(&arena);
    return known;
}

void tsn_expr_set_doubts(struct tsn_expr_set *set, bool doubts)
{
    set->doubts = doubts;
}

void tsn_expr_set_portable(struct tsn_expr_set *set, bool portable)
{
    set->portable = portable;
}

void tsn_expr_set_lift(struct tsn_expr_set *set, bool lift)
{
    set->lift = lift;
}

const struct tsn_value *tsn_expr_lifted(const struct tsn_expr_set *set, size_t index)
{
    return index < set->n_lifted ? set->lifted[index] : NULL;
}

/* ---- one expression ------------------------------------------------------- */

/* What one walk over an expression's nodes collects. */
struct walk {
    struct tsn_expr_set *set;
    bool *seen;
    uint32_t *inputs;
    size_t n_inputs;
    uint32_t *lists;
    size_t n_lists;
    double cost;
};

static void add_unique(uint32_t *items, size_t *n, uint32_t item)
{
    size_t at = 0;
    while (at < *n && items[at] < item) {
        at++;
    }
    if (at < *n && items[at] == item) {
        return;
    }
    memmove(items + at + 1, items + at, (*n - at) * sizeof *items);
    items[at] = item;
    (*n)++;
}

static void visit(struct walk *walk, uint32_t id)
{
    if (walk->seen[id]) {
        return;
    }
    walk->seen[id] = true;
    const struct tsn_node *n = &walk->set->nodes[id];
    walk->cost += n->op == TSN_OP_MACRO ? n->tree_cost : n->own_cost;
    if (n->op == TSN_OP_INPUT || n->op == TSN_OP_HAS) {
        add_unique(walk->inputs, &walk->n_inputs, n->input);
    } else if (n->op == TSN_OP_IN_HANDLE || n->op == TSN_OP_PREFIX_IN) {
        add_unique(walk->lists, &walk->n_lists, n->input);
    }
    for (uint32_t i = 0; i < n->n_args; i++) {
        visit(walk, n->args[i]);
    }
}

static const uint32_t *keep(struct tsn_expr_set *set, const uint32_t *items, size_t n)
{
    uint32_t *copy = tsn_arena_alloc(&set->arena, n * sizeof *copy + 1);
    if (n) {
        memcpy(copy, items, n * sizeof *copy);
    }
    return copy;
}

static void collect(struct tsn_checker *c, struct tsn_compiled *compiled)
{
    struct tsn_expr_set *set = c->set;
    struct walk walk = {.set = set};
    walk.seen = tsn_arena_zalloc(c->scratch, set->n_nodes, sizeof *walk.seen);
    walk.inputs =
        tsn_arena_alloc(c->scratch, (set->n_inputs + set->n_lifted + 1) * sizeof *walk.inputs);
    walk.lists = tsn_arena_alloc(c->scratch, (set->n_lists + 1) * sizeof *walk.lists);
    visit(&walk, compiled->root);
    compiled->n_inputs = walk.n_inputs;
    compiled->inputs = keep(set, walk.inputs, walk.n_inputs);
    compiled->n_lists = walk.n_lists;
    compiled->lists = keep(set, walk.lists, walk.n_lists);
    compiled->cost = walk.cost;
}

static int compare_positions(const void *a, const void *b)
{
    const struct tsn_position *x = a;
    const struct tsn_position *y = b;
    if (x->node != y->node) {
        return x->node < y->node ? -1 : 1;
    }
    return x->column < y->column ? -1 : x->column > y->column;
}

/* The first place of each node, as a column. */
static void keep_positions(struct tsn_checker *c, struct tsn_compiled *compiled)
{
    qsort(c->positions, c->n_positions, sizeof *c->positions, compare_positions);
    struct tsn_position *kept = tsn_arena_alloc(&c->set->arena, c->n_positions * sizeof *kept + 1);
    bool ascii = true;
    for (size_t i = 0; i < c->len && ascii; i++) {
        ascii = (unsigned char)c->text[i] < 0x80;
    }
    uint32_t n = 0;
    for (size_t i = 0; i < c->n_positions; i++) {
        if (i && c->positions[i].node == c->positions[i - 1].node) {
            continue;
        }
        uint32_t at = c->positions[i].column;
        struct tsn_str before = {c->text, at};
        kept[n++] = (struct tsn_position){c->positions[i].node,
                                          ascii ? at + 1 : (uint32_t)tsn_utf8_size(before) + 1};
    }
    compiled->positions = kept;
    compiled->n_positions = n;
}

/* The root as the type that is wanted, or TSN_EXPR_NONE after a message. */
static uint32_t as_wanted(struct tsn_checker *c, const struct tsn_syntax *tree, uint32_t root,
                          const struct tsn_expr_type *want)
{
    struct tsn_expr_type type = c->set->nodes[root].type;
    struct tsn_expr_type joined;
    if (!want || tsn_type_join(type, *want, &joined)) {
        return root;
    }
    if (tsn_check_is_never(c, root)) {
        return tsn_check_as(c, root, *want, tree->at);
    }
    if (want->type == TSN_TYPE_DOUBLE && type.type == TSN_TYPE_INT) {
        return tsn_check_to_double(c, root, tree->at);
    }
    const char *wanted = tsn_type_text(*want, c->scratch);
    const char *given = tsn_type_text(type, c->scratch);
    return tsn_check_fail(c, tree->at,
                          want->type == TSN_TYPE_BOOL ? "compare it with something" : NULL,
                          "this must be %s %s, and it is %s %s", tsn_article(wanted), wanted,
                          tsn_article(given), given);
}

static uint32_t keep_compiled(struct tsn_expr_set *set, const struct tsn_compiled *compiled)
{
    if (set->n_exprs == set->cap_exprs) {
        set->cap_exprs = set->cap_exprs ? set->cap_exprs * 2 : 64;
        set->exprs = realloc(set->exprs, set->cap_exprs * sizeof *set->exprs);
        TSN_MUST_ALLOC(set->exprs);
    }
    set->exprs[set->n_exprs] = *compiled;
    return set->n_exprs++;
}

/* Checks a tree; false after a message. Its limit of cost holds for what was folded:
 * what is accepted must not depend on whether literals are lifted. */
static bool compile(struct tsn_checker *c, const struct tsn_syntax *tree,
                    const struct tsn_expr_type *want, struct tsn_compiled *compiled)
{
    uint32_t root = tsn_check(c, tree);
    if (root != TSN_EXPR_NONE && !c->failed) {
        root = as_wanted(c, tree, root, want);
    }
    if (root == TSN_EXPR_NONE || c->failed) {
        return false;
    }
    *compiled = (struct tsn_compiled){.root = root};
    collect(c, compiled);
    if (compiled->cost > EXPR_COST_MAX && !c->set->lift) {
        tsn_check_fail(c, tree->at, "macros inside macros multiply; use a feature",
                       "this costs %.0f units for every event, and at most %.0f are allowed",
                       compiled->cost, EXPR_COST_MAX);
        return false;
    }
    return true;
}

uint32_t tsn_expr_set_add(struct tsn_expr_set *set, const char *text, size_t len,
                          const struct tsn_expr_type *want, const struct tsn_expr_source *source,
                          struct tsn_diags *diags)
{
    TSN_MUST(!set->frozen);
    tsn_arena_reset(&set->scratch);
    struct tsn_checker c = {.set = set,
                            .scratch = &set->scratch,
                            .text = text,
                            .len = len,
                            .source = source,
                            .diags = diags};
    struct tsn_syntax_error error;
    struct tsn_syntax *tree = tsn_syntax_parse(text, len, &set->scratch, &error);
    if (!tree) {
        return tsn_check_fail(&c, error.at, error.advice, "%s", error.message);
    }
    struct tsn_compiled compiled;
    bool lift = set->lift;
    set->lift = false;
    bool ok = compile(&c, tree, want, &compiled);
    set->lift = lift;
    if (!ok || (lift && !compile(&c, tree, want, &compiled))) {
        return TSN_EXPR_NONE;
    }
    keep_positions(&c, &compiled);
    return keep_compiled(set, &compiled);
}

void tsn_expr_set_freeze(struct tsn_expr_set *set)
{
    set->frozen = true;
    tsn_arena_free(&set->scratch);
}

static const struct tsn_compiled *compiled_of(const struct tsn_expr_set *set, uint32_t expr)
{
    TSN_MUST(expr < set->n_exprs);
    return &set->exprs[expr];
}

struct tsn_expr_type tsn_expr_type_of(const struct tsn_expr_set *set, uint32_t expr)
{
    return set->nodes[compiled_of(set, expr)->root].type;
}

bool tsn_expr_constant(const struct tsn_expr_set *set, uint32_t expr, struct tsn_value *out)
{
    const struct tsn_node *node = &set->nodes[compiled_of(set, expr)->root];
    if (node->folded) {
        node = &set->nodes[node->folded - 1];
    }
    if (node->op == TSN_OP_CONST) {
        *out = *node->value;
        return true;
    }
    *out = (struct tsn_value){.state = TSN_STATE_ERROR, .error = node->error};
    return node->pure && node->error;
}

bool tsn_expr_may_be_missing(const struct tsn_expr_set *set, uint32_t expr)
{
    return set->nodes[compiled_of(set, expr)->root].may_be_missing;
}

const uint32_t *tsn_expr_inputs(const struct tsn_expr_set *set, uint32_t expr, size_t *n)
{
    *n = compiled_of(set, expr)->n_inputs;
    return compiled_of(set, expr)->inputs;
}

const uint32_t *tsn_expr_lists(const struct tsn_expr_set *set, uint32_t expr, size_t *n)
{
    *n = compiled_of(set, expr)->n_lists;
    return compiled_of(set, expr)->lists;
}

double tsn_expr_cost(const struct tsn_expr_set *set, uint32_t expr)
{
    return compiled_of(set, expr)->cost;
}
