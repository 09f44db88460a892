/* Names: `call.talk`, `f.calls_1h.as_payer`, macro variables, list handles.
 *
 * Declared names are whole and dotted, so a chain of selections is read as one
 * name, the longest that is declared; there are no values with fields. A macro's
 * variable wins over a declared name of the same first word, as in CEL.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/diag/diag.h"
#include "rules/expr/check.h"
#include "rules/expr/text.h"
#include "rules/expr/value.h"

/* A chain root.a.b read from the syntax; n 0 if it is no chain of names. */
struct chain {
    const struct tsn_syntax **parts; /* [0] the root identifier */
    size_t n;
    char *text; /* the first k parts joined are text[0 .. ends[k - 1]) */
    uint32_t *ends;
};

static bool read_chain(struct tsn_checker *c, const struct tsn_syntax *tree, struct chain *chain)
{
    size_t n = 0;
    size_t len = 0;
    for (const struct tsn_syntax *at = tree;; at = at->args[0]) {
        len += at->s.len + 1;
        n++;
        if (at->kind == TSN_SYNTAX_IDENT) {
            break;
        }
        if (at->args[0]->kind != TSN_SYNTAX_IDENT && at->args[0]->kind != TSN_SYNTAX_SELECT) {
            return false;
        }
    }
    chain->parts = tsn_arena_alloc(c->scratch, n * sizeof *chain->parts);
    for (size_t i = n; i > 0; i--) {
        chain->parts[i - 1] = tree;
        tree = i > 1 ? tree->args[0] : tree;
    }
    chain->n = n;
    chain->text = tsn_arena_alloc(c->scratch, len + 1);
    chain->ends = tsn_arena_alloc(c->scratch, n * sizeof *chain->ends);
    uint32_t used = 0;
    for (size_t i = 0; i < n; i++) {
        struct tsn_str s = chain->parts[i]->s;
        if (i) {
            chain->text[used++] = '.';
        }
        memcpy(chain->text + used, s.p, s.len);
        used += s.len;
        chain->ends[i] = used;
    }
    chain->text[used] = '\0';
    return true;
}

static int compare_name(const char *name, struct tsn_str key)
{
    return tsn_str_compare((struct tsn_str){name, (uint32_t)strlen(name)}, key);
}

static const struct tsn_expr_name *find_name(const struct tsn_expr_set *set, struct tsn_str key)
{
    size_t low = 0;
    size_t high = set->n_names;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_name(set->names[middle].name, key);
        if (order == 0) {
            return &set->names[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static const struct tsn_expr_list *find_list(const struct tsn_expr_set *set, struct tsn_str key)
{
    for (size_t i = 0; i < set->n_lists; i++) {
        if (compare_name(set->lists[i].name, key) == 0) {
            return &set->lists[i];
        }
    }
    return NULL;
}

static const struct tsn_local *find_local(const struct tsn_checker *c,
                                          const struct tsn_syntax *ident)
{
    for (uint32_t i = c->n_locals; i > 0 && !ident->is_root; i--) {
        if (tsn_str_equal(c->locals[i - 1].name, ident->s)) {
            return &c->locals[i - 1];
        }
    }
    return NULL;
}

/* The longest declared name that the chain begins with; *n_parts says how long. */
static const struct tsn_expr_name *longest_name(const struct tsn_checker *c,
                                                const struct chain *chain, size_t *n_parts)
{
    for (size_t k = chain->n; k > 0; k--) {
        const struct tsn_expr_name *name =
            find_name(c->set, (struct tsn_str){chain->text, chain->ends[k - 1]});
        if (name) {
            *n_parts = k;
            return name;
        }
    }
    return NULL;
}

/* The name that ends in "." and the wrong one: `talk` is call.talk, `calls_1h` is
 * f.calls_1h. The first, if there are several. */
static const char *with_its_dot(const char *const *names, size_t n, const char *wrong)
{
    size_t len = strlen(wrong);
    for (size_t i = 0; i < n; i++) {
        size_t whole = strlen(names[i]);
        if (whole > len + 1 && names[i][whole - len - 1] == '.' &&
            strcmp(names[i] + whole - len, wrong) == 0) {
            return names[i];
        }
    }
    return NULL;
}

static const char *nearest(struct tsn_checker *c, const char *wrong)
{
    const struct tsn_expr_set *set = c->set;
    size_t n = 0;
    const char **names = tsn_arena_alloc(
        c->scratch, (set->n_names + set->n_lists + c->n_locals + 1) * sizeof(*names));
    for (size_t i = 0; i < set->n_names; i++) {
        names[n++] = set->names[i].name;
    }
    for (size_t i = 0; i < set->n_lists; i++) {
        names[n++] = set->lists[i].name;
    }
    for (uint32_t i = 0; i < c->n_locals; i++) {
        names[n++] = tsn_arena_strdup(c->scratch, c->locals[i].name.p, c->locals[i].name.len);
    }
    const char *found = with_its_dot(names, n, wrong);
    if (!found && strlen(wrong) <= 256) {
        found = tsn_nearest_name(wrong, names, n);
    }
    return found ? tsn_arena_printf(c->scratch, "did you mean '%s'?", found) : NULL;
}

static uint32_t unknown(struct tsn_checker *c, const struct chain *chain)
{
    const struct tsn_syntax *root = chain->parts[0];
    if (chain->n == 1 && tsn_str_is(root->s, "now")) {
        return tsn_check_fail(c, root->at, "use the event's own time: <event>.time",
                              "there is no clock in expressions");
    }
    if (chain->n == 1 &&
        (tsn_str_is(root->s, "dyn") || tsn_str_is(root->s, "type") || tsn_str_is(root->s, "int") ||
         tsn_str_is(root->s, "bool") || tsn_str_is(root->s, "double") ||
         tsn_str_is(root->s, "string") || tsn_str_is(root->s, "bytes") ||
         tsn_str_is(root->s, "uint") || tsn_str_is(root->s, "list") || tsn_str_is(root->s, "map") ||
         tsn_str_is(root->s, "null_type"))) {
        return tsn_check_fail(c, root->at, NULL,
                              "valid CEL, not supported here: types as values ('%.*s')",
                              (int)root->s.len, root->s.p);
    }
    return tsn_check_fail(c, root->at, nearest(c, chain->text), "there is no name '%.200s'",
                          chain->text);
}

static uint32_t no_fields(struct tsn_checker *c, const struct chain *chain, size_t n_parts,
                          struct tsn_expr_type type)
{
    const struct tsn_syntax *dot = chain->parts[n_parts];
    const char *name = tsn_type_text(type, c->scratch);
    return tsn_check_fail(c, dot->at, nearest(c, chain->text), "%s %s has no field '%.*s'",
                          tsn_article(name), name, (int)dot->s.len, dot->s.p);
}

static uint32_t input_node(struct tsn_checker *c, const struct tsn_expr_name *name, uint8_t op,
                           uint32_t at)
{
    struct tsn_node node = {.op = op, .type = name->type, .input = name->input};
    if (op == TSN_OP_HAS) {
        node.type = tsn_plain(TSN_TYPE_BOOL);
    }
    return tsn_check_add(c, &node, at);
}

uint32_t tsn_check_name(struct tsn_checker *c, const struct tsn_syntax *tree)
{
    struct chain *chain = tsn_arena_alloc(c->scratch, sizeof *chain);
    if (!read_chain(c, tree, chain)) {
        while (tree->args[0]->kind == TSN_SYNTAX_SELECT) {
            tree = tree->args[0];
        }
        uint32_t operand = tsn_check(c, tree->args[0]);
        if (operand == TSN_EXPR_NONE) {
            return operand;
        }
        const char *type = tsn_check_type_text(c, operand);
        return tsn_check_fail(c, tree->at, NULL, "%s %s has no field '%.*s'", tsn_article(type),
                              type, (int)tree->s.len, tree->s.p);
    }
    const struct tsn_local *local = find_local(c, chain->parts[0]);
    if (local) {
        return chain->n == 1 ? (c->set->lift ? local->node : local->plain)
                             : no_fields(c, chain, 1, c->set->nodes[local->node].type);
    }
    size_t n_parts = 0;
    const struct tsn_expr_name *name = longest_name(c, chain, &n_parts);
    if (name && n_parts == chain->n && name->is_set) {
        return tsn_check_fail(
            c, chain->parts[0]->at, tsn_arena_printf(c->scratch, "write size(%s)", name->name),
            "'%.200s' is a set: an expression can only ask for its size", chain->text);
    }
    if (name && n_parts == chain->n) {
        return input_node(c, name, TSN_OP_INPUT, chain->parts[0]->at);
    }
    if (name) {
        return no_fields(c, chain, n_parts, name->type);
    }
    if (find_list(c->set, (struct tsn_str){chain->text, chain->ends[chain->n - 1]})) {
        return tsn_check_fail(c, chain->parts[0]->at,
                              "write 'x in lists.name' or hasPrefixIn(x, lists.name)",
                              "'%.200s' is a list: it can only be asked for a member", chain->text);
    }
    return unknown(c, chain);
}

uint32_t tsn_check_has(struct tsn_checker *c, const struct tsn_syntax *tree, uint32_t at)
{
    static const char advice[] = "write has(event.field) or has(f.feature)";
    struct chain *chain = tsn_arena_alloc(c->scratch, sizeof *chain);
    if (tree->kind != TSN_SYNTAX_SELECT || !read_chain(c, tree, chain)) {
        return tsn_check_fail(c, at, advice, "has() takes the name of a field or a feature%s",
                              tree->kind == TSN_SYNTAX_IDENT ? ", with its dot" : "");
    }
    const struct tsn_local *local = find_local(c, chain->parts[0]);
    if (local) {
        return no_fields(c, chain, 1, c->set->nodes[local->node].type);
    }
    size_t n_parts = 0;
    const struct tsn_expr_name *name = longest_name(c, chain, &n_parts);
    if (!name) {
        return unknown(c, chain);
    }
    if (n_parts < chain->n) {
        return no_fields(c, chain, n_parts, name->type);
    }
    return input_node(c, name, TSN_OP_HAS, at);
}

bool tsn_check_set_size(struct tsn_checker *c, const struct tsn_syntax *tree, uint32_t at,
                        uint32_t *node)
{
    struct chain *chain = tsn_arena_alloc(c->scratch, sizeof *chain);
    if (tree->kind != TSN_SYNTAX_SELECT || !read_chain(c, tree, chain) ||
        find_local(c, chain->parts[0])) {
        return false;
    }
    size_t n_parts = 0;
    const struct tsn_expr_name *name = longest_name(c, chain, &n_parts);
    if (!name || n_parts < chain->n || !name->is_set) {
        return false;
    }
    *node = input_node(c, name, TSN_OP_INPUT, at);
    return true;
}

const struct tsn_expr_list *tsn_check_handle(struct tsn_checker *c, const struct tsn_syntax *tree)
{
    struct chain *chain = tsn_arena_alloc(c->scratch, sizeof *chain);
    if ((tree->kind != TSN_SYNTAX_SELECT && tree->kind != TSN_SYNTAX_IDENT) ||
        !read_chain(c, tree, chain) || find_local(c, chain->parts[0])) {
        return NULL;
    }
    return find_list(c->set, (struct tsn_str){chain->text, chain->ends[chain->n - 1]});
}

bool tsn_check_is_name(struct tsn_checker *c, const struct tsn_syntax *tree)
{
    return tree->kind == TSN_SYNTAX_IDENT &&
           (find_local(c, tree) || find_name(c->set, tree->s) != NULL);
}
