/* The checker: operators, literals and lists; what is wrong with them, and where.
 *
 * Walks the syntax tree once, bottom up, resolves names and overloads, widens int
 * literals beside doubles and adds typed nodes to the graph. There is no untyped
 * form after this: what passes here cannot meet a wrong type in an evaluator.
 * Goes on after an error where it can, so that an analyst sees all of them.
 * Calls are in check_call.c, names in check_name.c, && and || in check_logic.c.
 */
#include "rules/expr/check.h"
#include "rules/diag/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/expr/text.h"
#include "rules/expr/value.h"
#include "rules/must/must.h"

/* ---- messages ------------------------------------------------------------- */

/* Code points of the text before a byte, plus one. */
static uint32_t column_of(const struct tsn_checker *c, uint32_t at)
{
    struct tsn_str before = {c->text, at < c->len ? at : (uint32_t)c->len};
    return (uint32_t)tsn_utf8_size(before) + 1;
}

/* Where byte `at` of the expression stands in its file. */
static struct tsn_place place_of(const struct tsn_checker *c, uint32_t at)
{
    if (!c->source) {
        return (struct tsn_place){NULL, 1, column_of(c, at)};
    }
    uint32_t line = 0;
    uint32_t begin = 0;
    for (uint32_t i = 0; i < at && i < c->len; i++) {
        if (c->text[i] == '\n') {
            line++;
            begin = i + 1;
        }
    }
    uint32_t within = column_of(c, at) - column_of(c, begin);
    struct tsn_place place = c->source->place;
    place.line += line;
    if (line == 0) {
        place.column += within;
    } else if (c->source->line_columns && line <= c->source->n_lines &&
               c->source->line_columns[line - 1]) {
        place.column = c->source->line_columns[line - 1] + within;
    } else {
        place.column = 0;
    }
    return place;
}

static void say_at(struct tsn_checker *c, enum tsn_severity severity, uint32_t at,
                   const char *advice, const char *message)
{
    struct tsn_place place = place_of(c, at);
    const char *text = c->source ? c->source->file_text : c->text;
    size_t len = c->source ? c->source->file_text_len : c->len;
    if (place.column == 0) {
        tsn_diags_add(c->diags, severity, place, text, len, advice,
                      "%s (at character %u of the expression)", message, column_of(c, at));
    } else {
        tsn_diags_add(c->diags, severity, place, text, len, advice, "%s", message);
    }
}

uint32_t tsn_check_fail(struct tsn_checker *c, uint32_t at, const char *advice, const char *format,
                        ...)
{
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    say_at(c, TSN_SEVERITY_ERROR, at, advice, message);
    c->failed = true;
    return TSN_EXPR_NONE;
}

void tsn_check_extension(struct tsn_checker *c, uint32_t at, const char *advice, const char *format,
                         ...)
{
    if (!c->set->portable) {
        return;
    }
    char message[512] = "not standard CEL: ";
    size_t used = strlen(message);
    va_list args;
    va_start(args, format);
    vsnprintf(message + used, sizeof message - used, format, args);
    va_end(args);
    struct tsn_place place = place_of(c, at);
    const struct tsn_diag *last = c->diags->n ? &c->diags->items[c->diags->n - 1] : NULL;
    if (last && last->place.line == place.line && last->place.column == place.column &&
        strcmp(last->message, message) == 0) {
        return; /* a call of many arguments is several functions of two */
    }
    say_at(c, TSN_SEVERITY_WARNING, at, advice, message);
}

void tsn_check_doubt(struct tsn_checker *c, uint32_t at, const char *message)
{
    if (c->set->doubts && !c->set->lift) {
        say_at(c, TSN_SEVERITY_WARNING, at, "mend this part, or leave it out", message);
    }
}

/* ---- nodes ---------------------------------------------------------------- */

static void note_position(struct tsn_checker *c, uint32_t node, uint32_t at)
{
    if (c->n_positions == c->cap_positions) {
        size_t cap = c->cap_positions ? c->cap_positions * 2 : 64;
        struct tsn_position *grown = tsn_arena_alloc(c->scratch, cap * sizeof *grown);
        if (c->n_positions) {
            memcpy(grown, c->positions, c->n_positions * sizeof *grown);
        }
        c->positions = grown;
        c->cap_positions = cap;
    }
    c->positions[c->n_positions++] = (struct tsn_position){node, at};
}

uint32_t tsn_check_add(struct tsn_checker *c, const struct tsn_node *node, uint32_t at)
{
    uint32_t id = tsn_graph_add(c->set, node);
    note_position(c, id, at);
    if (c->set->nodes[id].height > TSN_EXPR_CHAIN_MAX) {
        return tsn_check_fail(c, at, "split it into features of its own",
                              "more than 1000 operators, one inside the other");
    }
    return id;
}

static struct tsn_expr_type type_of(const struct tsn_checker *c, uint32_t node)
{
    return c->set->nodes[node].type;
}

const char *tsn_check_type_text(struct tsn_checker *c, uint32_t node)
{
    return tsn_type_text(type_of(c, node), c->scratch);
}

bool tsn_check_is_never(const struct tsn_checker *c, uint32_t node)
{
    return c->set->nodes[node].never;
}

uint32_t tsn_check_as(struct tsn_checker *c, uint32_t node, struct tsn_expr_type type, uint32_t at)
{
    if (node == TSN_EXPR_NONE || !tsn_check_is_never(c, node) ||
        tsn_type_equal(type_of(c, node), type)) {
        return node;
    }
    struct tsn_node typed = c->set->nodes[node];
    typed.type = type;
    typed.never = type.type == TSN_TYPE_NULL;
    typed.folded = 0;
    typed.error = NULL;
    return tsn_check_add(c, &typed, at);
}

void tsn_check_as_other(struct tsn_checker *c, const struct tsn_syntax *a, uint32_t *node_a,
                        const struct tsn_syntax *b, uint32_t *node_b)
{
    if (!tsn_check_is_never(c, *node_b)) {
        *node_a = tsn_check_as(c, *node_a, type_of(c, *node_b), a->at);
    } else {
        *node_b = tsn_check_as(c, *node_b, type_of(c, *node_a), b->at);
    }
}

bool tsn_check_is_int_literal(const struct tsn_syntax *tree)
{
    return tree && tree->kind == TSN_SYNTAX_INT;
}

static uint32_t literal(struct tsn_checker *c, const struct tsn_value *value, uint32_t at)
{
    uint32_t id = tsn_graph_lift(c->set, tsn_graph_const(c->set, value));
    note_position(c, id, at);
    return id;
}

uint32_t tsn_check_widen(struct tsn_checker *c, uint32_t node, uint32_t at)
{
    const struct tsn_value *constant = tsn_graph_constant(c->set, node);
    TSN_MUST(constant && constant->type.type == TSN_TYPE_INT);
    struct tsn_value wide = {.type = tsn_plain(TSN_TYPE_DOUBLE), .d = (double)constant->i};
    tsn_check_extension(c, at, "write it with a point: 1000.0", "an int taken as a double");
    return literal(c, &wide, at);
}

uint32_t tsn_check_to_double(struct tsn_checker *c, uint32_t node, uint32_t at)
{
    if (tsn_graph_constant(c->set, node)) {
        return tsn_check_widen(c, node, at);
    }
    tsn_check_extension(c, at, "write double(...)", "an int and a double in one operation");
    return tsn_check_function(c, "double", false, 1, &node, NULL, at);
}

static bool is_number(struct tsn_expr_type type)
{
    return type.type == TSN_TYPE_INT || type.type == TSN_TYPE_DOUBLE;
}

/* One is an int literal, the other a double: widens the literal. */
static void widen_pair(struct tsn_checker *c, const struct tsn_syntax *a, uint32_t *node_a,
                       const struct tsn_syntax *b, uint32_t *node_b)
{
    if (tsn_check_is_int_literal(a) && type_of(c, *node_b).type == TSN_TYPE_DOUBLE) {
        *node_a = tsn_check_widen(c, *node_a, a->at);
    } else if (tsn_check_is_int_literal(b) && type_of(c, *node_a).type == TSN_TYPE_DOUBLE) {
        *node_b = tsn_check_widen(c, *node_b, b->at);
    }
}

/* ---- operators ------------------------------------------------------------ */

static uint32_t check_arithmetic(struct tsn_checker *c, const struct tsn_syntax *tree,
                                 uint32_t *args)
{
    const char *op = tsn_token_text(tree->op);
    struct tsn_expr_type a = type_of(c, args[0]);
    struct tsn_expr_type b = type_of(c, args[1]);
    if (is_number(a) && is_number(b) && a.type != b.type) {
        int i = a.type == TSN_TYPE_INT ? 0 : 1;
        args[i] = tsn_check_to_double(c, args[i], tree->args[i]->at);
    }
    return tsn_check_function(c, op, false, 2, args, tree->args, tree->at);
}

static enum tsn_relation relation_of(enum tsn_token_kind op)
{
    switch (op) {
    case TSN_TOKEN_EQ:
        return TSN_EQ;
    case TSN_TOKEN_NE:
        return TSN_NE;
    case TSN_TOKEN_LT:
        return TSN_LT;
    case TSN_TOKEN_LE:
        return TSN_LE;
    case TSN_TOKEN_GT:
        return TSN_GT;
    default:
        return TSN_GE;
    }
}

/* May values of these types be compared for equality? */
static bool comparable(struct tsn_expr_type a, struct tsn_expr_type b)
{
    struct tsn_expr_type joined;
    if (tsn_type_join(a, b, &joined)) {
        return true;
    }
    bool a_number = a.element == TSN_TYPE_INT || a.element == TSN_TYPE_DOUBLE;
    bool b_number = b.element == TSN_TYPE_INT || b.element == TSN_TYPE_DOUBLE;
    return a.depth == b.depth && a_number && b_number;
}

static const char *equality_advice(struct tsn_expr_type a, struct tsn_expr_type b)
{
    if ((a.type == TSN_TYPE_NULL) != (b.type == TSN_TYPE_NULL)) {
        return "no value is ever null here; to ask whether there is one, write has(...)";
    }
    if ((a.type == TSN_TYPE_STRING) != (b.type == TSN_TYPE_STRING)) {
        return "convert one side: string(...), int(...), duration(...) or timestamp(...)";
    }
    return NULL;
}

static uint32_t check_comparison(struct tsn_checker *c, const struct tsn_syntax *tree,
                                 uint32_t *args)
{
    enum tsn_relation relation = relation_of(tree->op);
    bool ordered = relation != TSN_EQ && relation != TSN_NE;
    tsn_check_as_other(c, tree->args[0], &args[0], tree->args[1], &args[1]);
    for (int i = 0; ordered && i < 2; i++) { /* neither ever has a value */
        args[i] = tsn_check_as(c, args[i], tsn_plain(TSN_TYPE_INT), tree->args[i]->at);
    }
    struct tsn_expr_type a = type_of(c, args[0]);
    struct tsn_expr_type b = type_of(c, args[1]);
    bool no_order = a.type == TSN_TYPE_LIST || a.type == TSN_TYPE_NULL;
    if (!comparable(a, b) || (ordered && no_order)) {
        return tsn_check_fail(c, tree->at, equality_advice(a, b),
                              "'%s' does not compare %s with %s", tsn_token_text(tree->op),
                              tsn_check_type_text(c, args[0]), tsn_check_type_text(c, args[1]));
    }
    if (a.type != b.type && is_number(a) && is_number(b)) {
        bool is_literal =
            tsn_check_is_int_literal(tree->args[0]) || tsn_check_is_int_literal(tree->args[1]);
        tsn_check_extension(c, tree->at,
                            is_literal ? "write it with a point: 1000.0" : "write double(...)",
                            "an int compared with a double");
    }
    tsn_check_doubt_comparison(c, relation, args, tree->at);
    struct tsn_node node = {.op = TSN_OP_COMPARE,
                            .sub = (uint8_t)relation,
                            .type = tsn_plain(TSN_TYPE_BOOL),
                            .n_args = 2,
                            .args = args};
    return tsn_check_add(c, &node, tree->at);
}

static uint32_t check_in(struct tsn_checker *c, const struct tsn_syntax *tree)
{
    uint32_t args[2];
    args[0] = tsn_check(c, tree->args[0]);
    const struct tsn_expr_list *handle = tsn_check_handle(c, tree->args[1]);
    if (handle) {
        if (args[0] == TSN_EXPR_NONE) {
            return TSN_EXPR_NONE;
        }
        args[0] = tsn_check_as(c, args[0], tsn_plain(handle->element), tree->args[0]->at);
        if (type_of(c, args[0]).type != handle->element) {
            const char *given = tsn_check_type_text(c, args[0]);
            return tsn_check_fail(c, tree->at, NULL, "'%s' holds %ss, and this is %s %s",
                                  handle->name, tsn_type_name(handle->element), tsn_article(given),
                                  given);
        }
        if (handle->prefixes) {
            tsn_check_extension(c, tree->at, NULL,
                                "'in' over a list of prefixes; to CEL it asks for a whole value");
        }
        struct tsn_node node = {.op = handle->prefixes ? TSN_OP_PREFIX_IN : TSN_OP_IN_HANDLE,
                                .input = handle->list,
                                .type = tsn_plain(TSN_TYPE_BOOL),
                                .n_args = 1,
                                .args = args};
        return tsn_check_add(c, &node, tree->at);
    }
    args[1] = tsn_check(c, tree->args[1]);
    if (args[0] == TSN_EXPR_NONE || args[1] == TSN_EXPR_NONE) {
        return TSN_EXPR_NONE;
    }
    args[1] = tsn_check_as(c, args[1], tsn_list_of(tsn_plain(TSN_TYPE_NULL)), tree->args[1]->at);
    struct tsn_expr_type list = type_of(c, args[1]);
    if (list.type == TSN_TYPE_LIST) {
        args[0] = tsn_check_as(c, args[0], tsn_element_of(list), tree->args[0]->at);
    }
    if (list.type != TSN_TYPE_LIST) {
        return tsn_check_fail(c, tree->at, "write a list: x in [\"a\", \"b\"] or x in lists.name",
                              "'in' needs a list on its right, not %s",
                              tsn_check_type_text(c, args[1]));
    }
    bool any = list.depth == 1 && list.element == TSN_TYPE_NULL;
    if (!any && !comparable(type_of(c, args[0]), tsn_element_of(list))) {
        const char *given = tsn_check_type_text(c, args[0]);
        return tsn_check_fail(c, tree->at, NULL, "%s %s is never in a %s", tsn_article(given),
                              given, tsn_check_type_text(c, args[1]));
    }
    struct tsn_expr_type joined;
    if (!any && !tsn_type_join(type_of(c, args[0]), tsn_element_of(list), &joined)) {
        tsn_check_extension(c, tree->at, "write double(...), or numbers with a point",
                            "an int compared with a double");
    }
    struct tsn_node node = {
        .op = TSN_OP_IN, .type = tsn_plain(TSN_TYPE_BOOL), .n_args = 2, .args = args};
    return tsn_check_add(c, &node, tree->at);
}

static uint32_t check_binary(struct tsn_checker *c, const struct tsn_syntax *tree)
{
    if (tree->op == TSN_TOKEN_IN) {
        return check_in(c, tree);
    }
    uint32_t args[2] = {tsn_check(c, tree->args[0]), tsn_check(c, tree->args[1])};
    if (args[0] == TSN_EXPR_NONE || args[1] == TSN_EXPR_NONE) {
        return TSN_EXPR_NONE;
    }
    switch (tree->op) {
    case TSN_TOKEN_PLUS:
    case TSN_TOKEN_MINUS:
    case TSN_TOKEN_STAR:
    case TSN_TOKEN_SLASH:
    case TSN_TOKEN_PERCENT:
        return check_arithmetic(c, tree, args);
    default:
        return check_comparison(c, tree, args);
    }
}

static uint32_t check_unary(struct tsn_checker *c, const struct tsn_syntax *tree)
{
    uint32_t arg = tsn_check(c, tree->args[0]);
    if (arg == TSN_EXPR_NONE) {
        return arg;
    }
    if (tree->op == TSN_TOKEN_MINUS) {
        arg = tsn_check_as(c, arg, tsn_plain(TSN_TYPE_INT), tree->args[0]->at);
        if (!is_number(type_of(c, arg))) {
            return tsn_check_fail(c, tree->at, NULL, "'-' needs a number, not %s",
                                  tsn_check_type_text(c, arg));
        }
        return tsn_check_function(c, "neg", false, 1, &arg, NULL, tree->at);
    }
    arg = tsn_check_as(c, arg, tsn_plain(TSN_TYPE_BOOL), tree->args[0]->at);
    if (type_of(c, arg).type != TSN_TYPE_BOOL) {
        return tsn_check_fail(c, tree->at, "compare it: x == 0", "'!' needs a bool, not %s",
                              tsn_check_type_text(c, arg));
    }
    struct tsn_node node = {
        .op = TSN_OP_NOT, .type = tsn_plain(TSN_TYPE_BOOL), .n_args = 1, .args = &arg};
    return tsn_check_add(c, &node, tree->at);
}

/* Checks all arguments; false if one failed. */
static bool check_all(struct tsn_checker *c, const struct tsn_syntax *tree, uint32_t *args)
{
    bool ok = true;
    for (uint32_t i = 0; i < tree->n_args; i++) {
        args[i] = tsn_check(c, tree->args[i]);
        ok = ok && args[i] != TSN_EXPR_NONE;
    }
    return ok;
}

static uint32_t check_cond(struct tsn_checker *c, const struct tsn_syntax *tree)
{
    uint32_t args[3];
    if (!check_all(c, tree, args)) {
        return TSN_EXPR_NONE;
    }
    args[0] = tsn_check_as(c, args[0], tsn_plain(TSN_TYPE_BOOL), tree->args[0]->at);
    if (type_of(c, args[0]).type != TSN_TYPE_BOOL) {
        return tsn_check_fail(c, tree->at, NULL, "'?' needs a bool before it, not %s",
                              tsn_check_type_text(c, args[0]));
    }
    const struct tsn_node *condition = &c->set->nodes[args[0]];
    if (condition->op == TSN_OP_CONST) {
        tsn_check_doubt(c, tree->args[0]->at,
                        condition->value->b
                            ? "this is always true: what stands after ':' is never used"
                            : "this is always false: what stands before ':' is never used");
    }
    widen_pair(c, tree->args[1], &args[1], tree->args[2], &args[2]);
    tsn_check_as_other(c, tree->args[1], &args[1], tree->args[2], &args[2]);
    struct tsn_node node = {.op = TSN_OP_IF,
                            .never =
                                tsn_check_is_never(c, args[1]) && tsn_check_is_never(c, args[2]),
                            .n_args = 3,
                            .args = args};
    if (!tsn_type_join(type_of(c, args[1]), type_of(c, args[2]), &node.type)) {
        return tsn_check_fail(c, tree->at, "convert one side, for instance with double(...)",
                              "both sides of ':' must have one type, but are %s and %s",
                              tsn_check_type_text(c, args[1]), tsn_check_type_text(c, args[2]));
    }
    return tsn_check_add(c, &node, tree->at);
}

static uint32_t check_index(struct tsn_checker *c, const struct tsn_syntax *tree)
{
    uint32_t args[2];
    if (!check_all(c, tree, args)) {
        return TSN_EXPR_NONE;
    }
    args[0] = tsn_check_as(c, args[0], tsn_list_of(tsn_plain(TSN_TYPE_NULL)), tree->args[0]->at);
    args[1] = tsn_check_as(c, args[1], tsn_plain(TSN_TYPE_INT), tree->args[1]->at);
    struct tsn_expr_type list = type_of(c, args[0]);
    if (list.type != TSN_TYPE_LIST || type_of(c, args[1]).type != TSN_TYPE_INT) {
        return tsn_check_fail(c, tree->at, NULL, "an index takes a list and an int, not %s and %s",
                              tsn_check_type_text(c, args[0]), tsn_check_type_text(c, args[1]));
    }
    struct tsn_node node = {
        .op = TSN_OP_INDEX, .type = tsn_element_of(list), .n_args = 2, .args = args};
    node.never = node.type.type == TSN_TYPE_NULL; /* the list can only be empty */
    return tsn_check_add(c, &node, tree->at);
}

/* The one type of a list's elements, int literals widened beside doubles; null for
 * none, or none that ever has a value. False after a message. */
static bool list_element(struct tsn_checker *c, const struct tsn_syntax *tree, uint32_t *args,
                         struct tsn_expr_type *element)
{
    bool any_double = false;
    for (uint32_t i = 0; i < tree->n_args; i++) {
        any_double |= type_of(c, args[i]).type == TSN_TYPE_DOUBLE;
    }
    *element = tsn_plain(TSN_TYPE_NULL);
    bool known = false;
    for (uint32_t i = 0; i < tree->n_args; i++) {
        if (any_double && tsn_check_is_int_literal(tree->args[i])) {
            args[i] = tsn_check_widen(c, args[i], tree->args[i]->at);
        }
        struct tsn_expr_type type = type_of(c, args[i]);
        if (tsn_check_is_never(c, args[i])) {
            continue;
        }
        if (type.type == TSN_TYPE_NULL) {
            tsn_check_fail(c, tree->args[i]->at, NULL, "a list may not hold null");
            return false;
        }
        if (!known) {
            *element = type;
            known = true;
        } else if (!tsn_type_join(*element, type, element)) {
            const char *given = tsn_check_type_text(c, args[i]);
            tsn_check_fail(c, tree->args[i]->at, "convert it, or make a list of each",
                           "a list holds one type: this is %s %s among %ss", tsn_article(given),
                           given, tsn_type_text(*element, c->scratch));
            return false;
        }
    }
    for (uint32_t i = 0; i < tree->n_args; i++) {
        args[i] = tsn_check_as(c, args[i], *element, tree->args[i]->at);
    }
    return true;
}

static uint32_t check_list(struct tsn_checker *c, const struct tsn_syntax *tree)
{
    uint32_t *args = tsn_arena_alloc(c->scratch, tree->n_args * sizeof *args + 1);
    if (!check_all(c, tree, args)) {
        return TSN_EXPR_NONE;
    }
    if (tree->n_args > TSN_EXPR_LIST_MAX) {
        return tsn_check_fail(c, tree->at, "declare a list and write 'x in lists.name'",
                              "a list of more than %d elements", TSN_EXPR_LIST_MAX);
    }
    struct tsn_expr_type element;
    if (!list_element(c, tree, args, &element)) {
        return TSN_EXPR_NONE;
    }
    struct tsn_node node = {
        .op = TSN_OP_LIST, .type = tsn_list_of(element), .n_args = tree->n_args, .args = args};
    return tsn_check_add(c, &node, tree->at);
}

uint32_t tsn_check(struct tsn_checker *c, const struct tsn_syntax *tree)
{
    struct tsn_value value = {.state = TSN_STATE_VALUE};
    switch (tree->kind) {
    case TSN_SYNTAX_INT:
        value.type = tsn_plain(TSN_TYPE_INT);
        value.i = tree->i;
        return literal(c, &value, tree->at);
    case TSN_SYNTAX_DOUBLE:
        value.type = tsn_plain(TSN_TYPE_DOUBLE);
        value.d = tree->d;
        return literal(c, &value, tree->at);
    case TSN_SYNTAX_STRING:
        value.type = tsn_plain(TSN_TYPE_STRING);
        value.s = tree->s;
        return literal(c, &value, tree->at);
    case TSN_SYNTAX_BOOL:
        value.type = tsn_plain(TSN_TYPE_BOOL);
        value.b = tree->b;
        return literal(c, &value, tree->at);
    case TSN_SYNTAX_NULL:
        value.type = tsn_plain(TSN_TYPE_NULL);
        return literal(c, &value, tree->at);
    case TSN_SYNTAX_IDENT:
    case TSN_SYNTAX_SELECT:
        return tsn_check_name(c, tree);
    case TSN_SYNTAX_INDEX:
        return check_index(c, tree);
    case TSN_SYNTAX_CALL:
        return tsn_check_call(c, tree);
    case TSN_SYNTAX_LIST:
        return check_list(c, tree);
    case TSN_SYNTAX_UNARY:
        return check_unary(c, tree);
    case TSN_SYNTAX_BINARY:
        return check_binary(c, tree);
    case TSN_SYNTAX_LOGIC:
        return tsn_check_logic(c, tree);
    case TSN_SYNTAX_COND:
        return check_cond(c, tree);
    }
    TSN_MUST(!"a kind of syntax");
    return TSN_EXPR_NONE;
}
