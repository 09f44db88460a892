/* Calls: functions by overload, and the forms that are no functions - has, coalesce,
 * cel.bind, hasPrefixIn over a list handle, macros over lists.
 *
 * cel.bind costs nothing: its name stands for the node of its value, which the
 * graph shares. Macros keep their variable in a slot, one for each macro around.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/diag/diag.h"
#include "rules/expr/check.h"
#include "rules/expr/re2_shim.h"
#include "rules/expr/text.h"
#include "rules/expr/value.h"
#include "rules/expr/zone.h"
#include "rules/must/must.h"

/* ---- overloads ------------------------------------------------------------ */

static bool letter_takes(char letter, struct tsn_expr_type type)
{
    struct tsn_expr_type joined;
    if (letter == 'A') {
        return type.type == TSN_TYPE_LIST;
    }
    return tsn_type_join(tsn_function_letter(letter), type, &joined);
}

/* Does this overload take these arguments? `widen` allows an int literal for a
 * double. */
static bool fits(struct tsn_checker *c, const struct tsn_function *f, bool is_method,
                 uint32_t n_args, const uint32_t *args, struct tsn_syntax *const *trees, bool widen)
{
    const char *p = f->signature;
    if ((p[1] == '.') != is_method) {
        return false;
    }
    uint32_t i = 0;
    for (; *p != '>'; p++) {
        if (*p == '.') {
            continue;
        }
        if (i == n_args) {
            return false;
        }
        bool widens = widen && *p == 'd' && trees && tsn_check_is_int_literal(trees[i]);
        if (!letter_takes(*p, c->set->nodes[args[i]].type) && !widens &&
            !tsn_check_is_never(c, args[i])) {
            return false;
        }
        i++;
    }
    return i == n_args;
}

static const struct tsn_function *find_overload(struct tsn_checker *c, const char *name,
                                                bool is_method, uint32_t n_args,
                                                const uint32_t *args,
                                                struct tsn_syntax *const *trees)
{
    for (int widen = 0; widen <= (trees != NULL); widen++) {
        for (size_t i = 0; i < tsn_n_functions; i++) {
            if (strcmp(tsn_functions[i].name, name) == 0 &&
                fits(c, &tsn_functions[i], is_method, n_args, args, trees, widen)) {
                return &tsn_functions[i];
            }
        }
    }
    return NULL;
}

static bool is_function(const char *name)
{
    for (size_t i = 0; i < tsn_n_functions; i++) {
        if (strcmp(tsn_functions[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* "(string, int)" */
static const char *args_text(struct tsn_checker *c, uint32_t n_args, const uint32_t *args)
{
    const char *text = "";
    for (uint32_t i = 0; i < n_args && i < 8; i++) {
        text = tsn_arena_printf(c->scratch, "%s%s%s", text, i ? ", " : "",
                                tsn_check_type_text(c, args[i]));
    }
    return text;
}

/* The ways a function can be called: "text.indexOf(string), ..." */
static const char *forms_of(struct tsn_checker *c, const char *name)
{
    const char *text = NULL;
    unsigned n = 0;
    for (size_t i = 0; i < tsn_n_functions && n < 6; i++) {
        const struct tsn_function *f = &tsn_functions[i];
        if (strcmp(f->name, name) != 0) {
            continue;
        }
        const char *p = f->signature;
        const char *form = "";
        if (p[1] == '.') {
            form = tsn_arena_printf(c->scratch, "%s.",
                                    tsn_type_text(tsn_function_letter(p[0]), c->scratch));
            p += 2;
        }
        form = tsn_arena_printf(c->scratch, "%s%s(", form, name);
        for (const char *separator = ""; *p != '>'; p++, separator = ", ") {
            form = tsn_arena_printf(c->scratch, "%s%s%s", form, separator,
                                    tsn_type_text(tsn_function_letter(*p), c->scratch));
        }
        text = text ? tsn_arena_printf(c->scratch, "%s, %s)", text, form)
                    : tsn_arena_printf(c->scratch, "it can be called as %s)", form);
        n++;
    }
    return text;
}

static uint32_t no_overload(struct tsn_checker *c, const char *name, bool is_method,
                            uint32_t n_args, const uint32_t *args, uint32_t at)
{
    bool is_operator = strchr("+-*/%", name[0]) != NULL;
    if (is_operator) {
        bool double_rest = name[0] == '%' && c->set->nodes[args[0]].type.type == TSN_TYPE_DOUBLE;
        return tsn_check_fail(c, at, double_rest ? "'%' is for ints" : NULL,
                              "'%s' has no meaning for %s and %s", name,
                              tsn_check_type_text(c, args[0]), tsn_check_type_text(c, args[1]));
    }
    if (is_method) {
        const char *given = tsn_check_type_text(c, args[0]);
        return tsn_check_fail(c, at, forms_of(c, name), "%s %s has no %s(%s)", tsn_article(given),
                              given, name, args_text(c, n_args - 1, args + 1));
    }
    return tsn_check_fail(c, at, forms_of(c, name), "%s() does not take (%s)", name,
                          args_text(c, n_args, args));
}

/* The pattern of matches(), compiled once a set. */
static const struct tsn_regex *regex_of(struct tsn_checker *c, uint32_t pattern, uint32_t at)
{
    struct tsn_expr_set *set = c->set;
    const struct tsn_value *value = tsn_graph_constant(set, pattern);
    if (!value) {
        tsn_check_fail(c, at, "write the pattern as text",
                       "the pattern of matches() must be a constant");
        return NULL;
    }
    for (size_t i = 0; i < set->n_regexes; i++) {
        if (set->regexes[i].pattern == pattern) {
            return set->regexes[i].regex;
        }
    }
    char *why = NULL;
    struct tsn_regex *regex = tsn_regex_new(value->s.p, value->s.len, &why);
    if (!regex) {
        tsn_check_fail(c, at, "patterns are written in RE2 syntax",
                       "the pattern of matches() is wrong: %s", why ? why : "out of memory");
        free(why);
        return NULL;
    }
    if (set->n_regexes == set->cap_regexes) {
        set->cap_regexes = set->cap_regexes ? set->cap_regexes * 2 : 8;
        set->regexes = realloc(set->regexes, set->cap_regexes * sizeof *set->regexes);
        TSN_MUST_ALLOC(set->regexes);
    }
    set->regexes[set->n_regexes].pattern = pattern;
    set->regexes[set->n_regexes++].regex = regex;
    return regex;
}

static void add_zone(void *user, const char *name)
{
    struct tsn_expr_set *set = user;
    struct tsn_zones *zones = &set->zones;
    struct tsn_str key = {tsn_arena_strdup(&set->arena, name, strlen(name)),
                          (uint32_t)strlen(name)};
    const struct tsn_zone *zone = tsn_zone_new(key, &set->arena);
    if (!zone) {
        return;
    }
    if (zones->n == zones->cap) {
        zones->cap = zones->cap ? zones->cap * 2 : 1024;
        zones->items = realloc(zones->items, zones->cap * sizeof *zones->items);
        TSN_MUST_ALLOC(zones->items);
    }
    zones->items[zones->n].name = key;
    zones->items[zones->n++].zone = zone;
}

static int compare_zones(const void *a, const void *b)
{
    const struct tsn_str *x = a;
    const struct tsn_str *y = b;
    return tsn_str_compare(*x, *y);
}

/* A zone that is not known before evaluation: all of them must be at hand. */
static void read_all_zones(struct tsn_expr_set *set)
{
    if (set->zones.n == 0) {
        add_zone(set, "UTC");
        tsn_zone_list(add_zone, set);
        qsort(set->zones.items, set->zones.n, sizeof *set->zones.items, compare_zones);
    }
}

/* The zone of a getter goes into the node. False after a message. */
static bool set_zone(struct tsn_checker *c, const struct tsn_function *f, struct tsn_node *node,
                     uint32_t at)
{
    struct tsn_expr_set *set = c->set;
    if (f->flags & TSN_FUNCTION_LOCAL) {
        node->zone = set->default_zone;
        if (!node->zone) {
            tsn_check_fail(c, at, "write a name such as \"Europe/Dublin\", or an offset \"+01:00\"",
                           "the time zone '%.100s' is not known", set->timezone);
        }
        return node->zone != NULL;
    }
    const struct tsn_node *zone = &set->nodes[node->args[node->n_args - 1]];
    if (zone->op != TSN_OP_CONST) {
        read_all_zones(set);
        return true;
    }
    node->zone = tsn_zone_new(zone->value->s, &set->arena);
    if (!node->zone) {
        tsn_check_fail(c, at, "write a name such as \"Europe/Dublin\", or an offset \"+01:00\"",
                       "there is no time zone '%.*s'",
                       (int)(zone->value->s.len < 100 ? zone->value->s.len : 100),
                       zone->value->s.p);
    }
    return node->zone != NULL;
}

static struct tsn_expr_type result_type(struct tsn_checker *c, const struct tsn_function *f,
                                        const uint32_t *args)
{
    char letter = strchr(f->signature, '>')[1];
    if (letter != 'A') {
        return tsn_function_letter(letter);
    }
    struct tsn_expr_type joined = c->set->nodes[args[0]].type;
    tsn_type_join(joined, c->set->nodes[args[1]].type, &joined);
    return joined;
}

/* Arguments as the overload takes them: int literals widened, what never has a value
 * as its type. */
static void take_letters(struct tsn_checker *c, const struct tsn_function *f, uint32_t *args,
                         struct tsn_syntax *const *trees, uint32_t at)
{
    uint32_t i = 0;
    for (const char *p = f->signature; *p != '>'; p++) {
        if (*p == '.') {
            continue;
        }
        if (*p == 'd' && c->set->nodes[args[i]].type.type == TSN_TYPE_INT) {
            args[i] = tsn_check_widen(c, args[i], trees[i]->at);
        }
        struct tsn_expr_type type =
            *p == 'A' ? tsn_list_of(tsn_plain(TSN_TYPE_NULL)) : tsn_function_letter(*p);
        args[i] = tsn_check_as(c, args[i], type, trees ? trees[i]->at : at);
        i++;
    }
}

uint32_t tsn_check_function(struct tsn_checker *c, const char *name, bool is_method,
                            uint32_t n_args, uint32_t *args, struct tsn_syntax *const *trees,
                            uint32_t at)
{
    const struct tsn_function *f = find_overload(c, name, is_method, n_args, args, trees);
    struct tsn_expr_type joined;
    if (f) {
        take_letters(c, f, args, trees, at);
    }
    bool two_lists = f && strchr(f->signature, '>')[1] == 'A';
    if (!f || (two_lists &&
               !tsn_type_join(c->set->nodes[args[0]].type, c->set->nodes[args[1]].type, &joined))) {
        return no_overload(c, name, is_method, n_args, args, at);
    }
    tsn_check_extension_function(c, at, name);
    if (f->flags & TSN_FUNCTION_LOCAL && strcmp(c->set->timezone, "UTC") != 0) {
        tsn_check_extension(c, at, "name the zone in the call",
                            "%s() in the pack's time zone; in CEL it is UTC", name);
    }
    struct tsn_node node = {.op = TSN_OP_CALL,
                            .input = (uint32_t)(f - tsn_functions),
                            .type = result_type(c, f, args),
                            .n_args = n_args,
                            .args = args};
    if (f->flags & TSN_FUNCTION_REGEX) {
        node.regex = regex_of(c, args[1], at);
        if (!node.regex) {
            return TSN_EXPR_NONE;
        }
    }
    if (f->flags & (TSN_FUNCTION_ZONE | TSN_FUNCTION_LOCAL) && !set_zone(c, f, &node, at)) {
        return TSN_EXPR_NONE;
    }
    return tsn_check_add(c, &node, at);
}

/* ---- forms ---------------------------------------------------------------- */

static uint32_t wrong_number(struct tsn_checker *c, const struct tsn_syntax *tree, const char *form)
{
    return tsn_check_fail(c, tree->at, tsn_arena_printf(c->scratch, "write %s", form),
                          "%.*s() has the wrong number of arguments", (int)tree->s.len, tree->s.p);
}

static uint32_t check_coalesce(struct tsn_checker *c, const struct tsn_syntax *tree)
{
    if (tree->n_args != 2) {
        return wrong_number(c, tree, "coalesce(value, default)");
    }
    uint32_t args[2] = {tsn_check(c, tree->args[0]), tsn_check(c, tree->args[1])};
    if (args[0] == TSN_EXPR_NONE || args[1] == TSN_EXPR_NONE) {
        return TSN_EXPR_NONE;
    }
    tsn_check_extension_function(c, tree->at, "coalesce");
    struct tsn_node node = {.op = TSN_OP_COALESCE, .n_args = 2, .args = args};
    tsn_check_as_other(c, tree->args[0], &args[0], tree->args[1], &args[1]);
    node.never = tsn_check_is_never(c, args[0]) && tsn_check_is_never(c, args[1]);
    for (int i = 0; i < 2; i++) {
        if (tsn_check_is_int_literal(tree->args[i]) &&
            c->set->nodes[args[1 - i]].type.type == TSN_TYPE_DOUBLE) {
            args[i] = tsn_check_widen(c, args[i], tree->args[i]->at);
        }
    }
    if (!tsn_type_join(c->set->nodes[args[0]].type, c->set->nodes[args[1]].type, &node.type)) {
        return tsn_check_fail(c, tree->at, "convert one of them",
                              "coalesce() needs two values of one type, not %s and %s",
                              tsn_check_type_text(c, args[0]), tsn_check_type_text(c, args[1]));
    }
    return tsn_check_add(c, &node, tree->at);
}

static uint32_t check_prefix_in(struct tsn_checker *c, const struct tsn_syntax *tree,
                                const struct tsn_expr_list *handle)
{
    uint32_t arg =
        tsn_check_as(c, tsn_check(c, tree->args[0]), tsn_plain(TSN_TYPE_STRING), tree->args[0]->at);
    if (arg == TSN_EXPR_NONE) {
        return arg;
    }
    if (c->set->nodes[arg].type.type != TSN_TYPE_STRING || handle->element != TSN_TYPE_STRING) {
        return tsn_check_fail(c, tree->at, NULL,
                              "hasPrefixIn() takes a string and a list of strings");
    }
    tsn_check_extension_function(c, tree->at, "hasPrefixIn");
    struct tsn_node node = {.op = TSN_OP_PREFIX_IN,
                            .input = handle->list,
                            .type = tsn_plain(TSN_TYPE_BOOL),
                            .n_args = 1,
                            .args = &arg};
    return tsn_check_add(c, &node, tree->at);
}

/* A name that a macro brings in: a plain identifier. */
static bool push_local(struct tsn_checker *c, const struct tsn_syntax *name, uint32_t node,
                       uint32_t plain)
{
    if (name->kind != TSN_SYNTAX_IDENT || name->is_root) {
        tsn_check_fail(c, name->at, NULL, "a macro needs a simple name here");
        return false;
    }
    if (c->n_locals == TSN_EXPR_DEPTH_MAX) {
        tsn_check_fail(c, name->at, NULL, "macros nested deeper than %d", TSN_EXPR_DEPTH_MAX);
        return false;
    }
    c->locals[c->n_locals++] = (struct tsn_local){name->s, node, plain};
    return true;
}

static uint32_t check_bind(struct tsn_checker *c, const struct tsn_syntax *tree,
                           struct tsn_syntax *const *args, uint32_t n_args)
{
    if (n_args != 3) {
        return wrong_number(c, tree, "cel.bind(name, value, expression)");
    }
    tsn_check_extension_function(c, tree->at, "cel.bind");
    bool lift = c->set->lift;
    uint32_t value = tsn_check(c, args[1]);
    c->set->lift = false;
    uint32_t plain = lift && value != TSN_EXPR_NONE ? tsn_check(c, args[1]) : value;
    c->set->lift = lift;
    if (value == TSN_EXPR_NONE || !push_local(c, args[0], value, plain)) {
        return TSN_EXPR_NONE;
    }
    uint32_t body = tsn_check(c, args[2]);
    c->n_locals--;
    return body;
}

static const struct {
    const char *name;
    enum tsn_macro_kind kind;
} macros[] = {
    {"all", TSN_ALL},       {"exists", TSN_EXISTS}, {"exists_one", TSN_EXISTS_ONE},
    {"filter", TSN_FILTER}, {"map", TSN_MAP},
};

static uint32_t macro_node(struct tsn_checker *c, const struct tsn_syntax *tree,
                           struct tsn_node *node, uint32_t *args)
{
    node->n_args = tree->n_args - 1;
    bool ok = true;
    for (uint32_t i = 2; i < tree->n_args; i++) {
        args[i - 1] = tsn_check(c, tree->args[i]);
        ok = ok && args[i - 1] != TSN_EXPR_NONE;
        bool is_test = node->sub != TSN_MAP || (tree->n_args == 4 && i == 2);
        if (ok && is_test) {
            args[i - 1] = tsn_check_as(c, args[i - 1], tsn_plain(TSN_TYPE_BOOL), tree->args[i]->at);
        }
        if (ok && is_test && c->set->nodes[args[i - 1]].type.type != TSN_TYPE_BOOL) {
            tsn_check_fail(c, tree->args[i]->at, "compare it with something",
                           "%.*s() needs a bool here, not %s", (int)tree->s.len, tree->s.p,
                           tsn_check_type_text(c, args[i - 1]));
            ok = false;
        }
    }
    if (!ok) {
        return TSN_EXPR_NONE;
    }
    struct tsn_expr_type last = c->set->nodes[args[node->n_args - 1]].type;
    node->type = node->sub == TSN_FILTER ? c->set->nodes[args[0]].type
                 : node->sub == TSN_MAP  ? tsn_list_of(last)
                                         : tsn_plain(TSN_TYPE_BOOL);
    if (node->sub == TSN_MAP && last.type == TSN_TYPE_NULL &&
        !tsn_check_is_never(c, args[node->n_args - 1])) {
        return tsn_check_fail(c, tree->at, NULL, "a list may not hold null");
    }
    return tsn_check_add(c, node, tree->at);
}

static uint32_t check_macro(struct tsn_checker *c, const struct tsn_syntax *tree,
                            enum tsn_macro_kind kind)
{
    if (tree->n_args != 3 && !(kind == TSN_MAP && tree->n_args == 4)) {
        const char *form =
            tsn_arena_printf(c->scratch, "list.%.*s(x, ...)", (int)tree->s.len, tree->s.p);
        return tree->n_args == 4
                   ? tsn_check_fail(c, tree->at, tsn_arena_printf(c->scratch, "write %s", form),
                                    "valid CEL, not supported here: two-variable comprehensions")
                   : wrong_number(c, tree, form);
    }
    uint32_t args[3] = {tsn_check_as(c, tsn_check(c, tree->args[0]),
                                     tsn_list_of(tsn_plain(TSN_TYPE_NULL)), tree->args[0]->at)};
    if (args[0] == TSN_EXPR_NONE) {
        return TSN_EXPR_NONE;
    }
    const struct tsn_node *list = &c->set->nodes[args[0]];
    if (list->type.type != TSN_TYPE_LIST) {
        const char *given = tsn_check_type_text(c, args[0]);
        return tsn_check_fail(c, tree->at, NULL, "%.*s() goes over a list, not over %s %s",
                              (int)tree->s.len, tree->s.p, tsn_article(given), given);
    }
    if (tree->args[0]->kind == TSN_SYNTAX_LIST && tree->args[0]->n_args > TSN_EXPR_MACRO_MAX) {
        return tsn_check_fail(c, tree->at, "declare a list and ask 'x in lists.name'",
                              "a macro takes lists of at most %d elements", TSN_EXPR_MACRO_MAX);
    }
    struct tsn_node variable = {
        .op = TSN_OP_VARIABLE, .slot = c->n_slots, .type = tsn_element_of(list->type)};
    variable.never = variable.type.type == TSN_TYPE_NULL; /* the list can only be empty */
    uint32_t element = tsn_graph_add(c->set, &variable);
    if (!push_local(c, tree->args[1], element, element)) {
        return TSN_EXPR_NONE;
    }
    struct tsn_node node = {
        .op = TSN_OP_MACRO, .sub = (uint8_t)kind, .slot = c->n_slots++, .args = args};
    uint32_t result = macro_node(c, tree, &node, args);
    c->n_slots--;
    c->n_locals--;
    return result;
}

/* greatest and least take any number of arguments: a chain of pairs. */
static uint32_t check_extreme(struct tsn_checker *c, const char *name, uint32_t n_args,
                              uint32_t *args, struct tsn_syntax *const *trees, uint32_t at)
{
    bool any_double = false;
    for (uint32_t i = 0; i < n_args; i++) {
        any_double |= c->set->nodes[args[i]].type.type == TSN_TYPE_DOUBLE;
    }
    for (uint32_t i = 0; i < n_args && any_double; i++) {
        if (tsn_check_is_int_literal(trees[i])) {
            args[i] = tsn_check_widen(c, args[i], trees[i]->at);
        }
    }
    if (n_args == 1) {
        uint32_t twice[2] = {args[0], args[0]};
        return tsn_check_function(c, name, false, 2, twice, NULL, at);
    }
    uint32_t result = args[0];
    for (uint32_t i = 1; i < n_args && result != TSN_EXPR_NONE; i++) {
        uint32_t pair[2] = {result, args[i]};
        result = tsn_check_function(c, name, false, 2, pair, NULL, at);
    }
    return result;
}

/* ---- which one is it ------------------------------------------------------ */

static const char *nearest_function(struct tsn_checker *c, const char *wrong)
{
    size_t n = 0;
    const char **names =
        tsn_arena_alloc(c->scratch, (tsn_n_functions + tsn_n_macros) * sizeof(*names));
    for (size_t i = 0; i < tsn_n_functions; i++) {
        if (tsn_functions[i].group) {
            names[n++] = tsn_functions[i].name;
        }
    }
    for (size_t i = 0; i < tsn_n_macros; i++) {
        names[n++] = tsn_macros[i].name;
    }
    const char *found = strlen(wrong) <= 64 ? tsn_nearest_name(wrong, names, n) : NULL;
    return found ? tsn_arena_printf(c->scratch, "did you mean '%s'?", found)
                 : "docs/FUNCTIONS.md lists them";
}

static uint32_t unknown_function(struct tsn_checker *c, const char *name, uint32_t at)
{
    const char *why = tsn_function_unsupported(name);
    if (why) {
        return tsn_check_fail(c, at, NULL, "valid CEL, not supported here: %s", why);
    }
    return tsn_check_fail(c, at, nearest_function(c, name), "there is no function '%.100s'", name);
}

/* "math.abs" for a call of a function of that name, or on a name that is no value; NULL
 * otherwise. */
static const char *qualified(struct tsn_checker *c, const struct tsn_syntax *tree)
{
    static const char *const spaces[] = {"math",     "cel",   "strings", "base64", "sets",
                                         "optional", "proto", "lists",   "regex"};
    if (!tree->is_method || tree->args[0]->kind != TSN_SYNTAX_IDENT) {
        return NULL;
    }
    struct tsn_str space = tree->args[0]->s;
    for (size_t i = 0; i < sizeof spaces / sizeof spaces[0]; i++) {
        if (tsn_str_is(space, spaces[i])) {
            const char *name = tsn_arena_printf(c->scratch, "%.*s.%.*s", (int)space.len, space.p,
                                                (int)tree->s.len, tree->s.p);
            return is_function(name) || strcmp(name, "cel.bind") == 0 ||
                           !tsn_check_is_name(c, tree->args[0])
                       ? name
                       : NULL;
        }
    }
    return NULL;
}

static uint32_t check_plain(struct tsn_checker *c, const struct tsn_syntax *tree, const char *name,
                            bool is_method, struct tsn_syntax *const *trees, uint32_t n_args)
{
    if (tsn_function_unsupported(name)) {
        return unknown_function(c, name, tree->at); /* its arguments may be macro variables */
    }
    bool extreme = strcmp(name, "math.greatest") == 0 || strcmp(name, "math.least") == 0;
    uint32_t *args = tsn_arena_alloc(c->scratch, n_args * sizeof *args + 1);
    bool ok = true;
    for (uint32_t i = 0; i < n_args; i++) {
        /* patterns stay constants even where literals are lifted into columns */
        bool lift = c->set->lift;
        c->set->lift = lift && !(strcmp(name, "matches") == 0 && i == 1);
        args[i] = tsn_check(c, trees[i]);
        c->set->lift = lift;
        ok = ok && args[i] != TSN_EXPR_NONE;
    }
    if (!is_function(name)) {
        return unknown_function(c, name, tree->at);
    }
    if (!ok) {
        return TSN_EXPR_NONE;
    }
    if (extreme && n_args > 0) {
        return check_extreme(c, name, n_args, args, trees, tree->at);
    }
    return tsn_check_function(c, name, is_method, n_args, args, trees, tree->at);
}

uint32_t tsn_check_call(struct tsn_checker *c, const struct tsn_syntax *tree)
{
    const char *space_name = qualified(c, tree);
    if (space_name) {
        if (strcmp(space_name, "cel.bind") == 0) {
            return check_bind(c, tree, tree->args + 1, tree->n_args - 1);
        }
        return check_plain(c, tree, space_name, false, tree->args + 1, tree->n_args - 1);
    }
    if (tree->is_method) {
        for (size_t i = 0; i < sizeof macros / sizeof macros[0]; i++) {
            if (tsn_str_is(tree->s, macros[i].name)) {
                return check_macro(c, tree, macros[i].kind);
            }
        }
    } else if (tsn_str_is(tree->s, "has")) {
        return tree->n_args == 1 ? tsn_check_has(c, tree->args[0], tree->at)
                                 : wrong_number(c, tree, "has(event.field)");
    } else if (tsn_str_is(tree->s, "coalesce")) {
        return check_coalesce(c, tree);
    } else if (tsn_str_is(tree->s, "hasPrefixIn") && tree->n_args == 2) {
        const struct tsn_expr_list *handle = tsn_check_handle(c, tree->args[1]);
        if (handle) {
            return check_prefix_in(c, tree, handle);
        }
    }
    uint32_t size;
    if (tsn_str_is(tree->s, "size") && tree->n_args == 1 &&
        tsn_check_set_size(c, tree->args[0], tree->at, &size)) {
        return size;
    }
    const char *name = tsn_arena_strdup(c->scratch, tree->s.p, tree->s.len);
    if (name[0] == 'n' && strcmp(name, "neg") == 0) {
        return unknown_function(c, name, tree->at); /* the operator's name in the table */
    }
    return check_plain(c, tree, name, tree->is_method, tree->args, tree->n_args);
}
