/* FIRST SLICE, to be removed whole (git rm rules/expr/slice_*) by the landing of the full
 * expression room. Compile (first slice): text -> typed graph in one pass. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rules/expr/slice_graph.h"
#include "rules/expr/slice_scalar.h"
#include "rules/must/must.h"

enum { DEPTH_MAX = 64, TEXT_MAX = 64 * 1024, NO_NODE = UINT32_MAX };

enum token_kind { T_END, T_NAME, T_INT, T_DOUBLE, T_STRING, T_PUNCT, T_BAD };

struct token {
    enum token_kind kind;
    size_t at; /* byte offset */
    size_t len;
    uint32_t column;
};

struct parser {
    struct tsn_expr_set *set;
    const char *text;
    size_t len;
    size_t at;
    struct token token;
    const struct tsn_expr_source *source;
    struct tsn_diags *diags;
    int depth;
    bool failed;
};

static uint32_t column_at(const struct parser *p, size_t at)
{
    uint32_t column = 1;
    for (size_t i = 0; i < at && i < p->len; i++) {
        column += ((unsigned char)p->text[i] & 0xC0) != 0x80;
    }
    return column;
}

static uint32_t fail_at(struct parser *p, uint32_t column, const char *advice, const char *format,
                        const char *a, const char *b)
{
    if (p->failed) {
        return NO_NODE;
    }
    p->failed = true;
    char message[512];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(message, sizeof message, format, a, b);
#pragma GCC diagnostic pop
    struct tsn_place place = {NULL, 1, column};
    if (p->source) {
        place = p->source->place;
        uint32_t line = 0;
        uint32_t in_line = 1;
        uint32_t n = 1;
        for (size_t i = 0; i < p->len && n < column; i++) {
            if (((unsigned char)p->text[i] & 0xC0) != 0x80) {
                n++;
                in_line++;
            }
            if (p->text[i] == '\n') {
                line++;
                in_line = 1;
            }
        }
        place.line += line;
        if (line == 0) {
            place.column += column - 1;
        } else if (p->source->line_columns && line < p->source->n_lines) {
            place.column = p->source->line_columns[line - 1] + in_line - 1;
        }
    }
    tsn_diags_add(p->diags, TSN_SEVERITY_ERROR, place, p->source ? p->source->file_text : p->text,
                  p->source ? p->source->file_text_len : p->len, advice, "%s", message);
    return NO_NODE;
}

/* ---- tokens -------------------------------------------------------------------- */

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void next(struct parser *p)
{
    while (p->at < p->len && strchr(" \t\r\n\f", p->text[p->at]) && p->text[p->at]) {
        p->at++;
    }
    struct token *t = &p->token;
    *t = (struct token){T_END, p->at, 0, column_at(p, p->at)};
    if (p->at >= p->len) {
        return;
    }
    const char *s = p->text + p->at;
    size_t left = p->len - p->at;
    size_t n = 0;
    if (is_name_start(*s)) {
        while (n < left && (is_name_start(s[n]) || is_digit(s[n]))) {
            n++;
        }
        t->kind = T_NAME;
    } else if (is_digit(*s) || (*s == '.' && left > 1 && is_digit(s[1]))) {
        t->kind = T_INT;
        if (left > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
            n = 2;
            while (n < left && strchr("0123456789abcdefABCDEF", s[n]) && s[n]) {
                n++;
            }
        } else {
            while (n < left && is_digit(s[n])) {
                n++;
            }
            if (n + 1 < left && s[n] == '.' && is_digit(s[n + 1])) {
                t->kind = T_DOUBLE;
                n++;
                while (n < left && is_digit(s[n])) {
                    n++;
                }
            }
            size_t e = n;
            if (e < left && (s[e] == 'e' || s[e] == 'E')) {
                e++;
                if (e < left && (s[e] == '+' || s[e] == '-')) {
                    e++;
                }
                if (e < left && is_digit(s[e])) {
                    t->kind = T_DOUBLE;
                    while (e < left && is_digit(s[e])) {
                        e++;
                    }
                    n = e;
                }
            }
        }
    } else if (*s == '"' || *s == '\'') {
        n = 1;
        while (n < left && s[n] != *s) {
            n += s[n] == '\\' ? 2 : 1;
        }
        t->kind = n < left ? T_STRING : T_BAD;
        n = n < left ? n + 1 : left;
    } else {
        static const char *const two[] = {"&&", "||", "==", "!=", "<=", ">="};
        t->kind = strchr("()[]{}.,?:!<>=+-*/%&|", *s) ? T_PUNCT : T_BAD;
        n = 1;
        for (size_t i = 0; left > 1 && i < sizeof two / sizeof two[0]; i++) {
            if (memcmp(s, two[i], 2) == 0) {
                n = 2;
            }
        }
    }
    t->len = n;
    p->at += n;
}

static bool is(const struct parser *p, const char *text)
{
    return (p->token.kind == T_PUNCT || p->token.kind == T_NAME) && p->token.len == strlen(text) &&
           memcmp(p->text + p->token.at, text, p->token.len) == 0;
}

static bool take(struct parser *p, const char *text)
{
    if (!is(p, text)) {
        return false;
    }
    next(p);
    return true;
}

static bool expect(struct parser *p, const char *text)
{
    if (take(p, text)) {
        return true;
    }
    fail_at(p, p->token.column, NULL, "expected '%s' here", text, "");
    return false;
}

/* ---- nodes --------------------------------------------------------------------- */

static uint32_t node_add(struct tsn_expr_set *set, const struct tsn_node *node)
{
    if (set->n_nodes == set->nodes_cap) {
        set->nodes_cap = set->nodes_cap ? set->nodes_cap * 2 : 64;
        set->nodes = realloc(set->nodes, set->nodes_cap * sizeof *set->nodes);
        TSN_MUST_ALLOC(set->nodes);
    }
    set->nodes[set->n_nodes] = *node;
    return set->n_nodes++;
}

static struct tsn_expr_type plain(enum tsn_type type)
{
    return (struct tsn_expr_type){.type = type, .element = type};
}

static bool types_equal(struct tsn_expr_type a, struct tsn_expr_type b)
{
    return a.type == b.type && a.depth == b.depth &&
           (a.type != TSN_TYPE_LIST || a.element == b.element);
}

static uint32_t constant(struct parser *p, struct tsn_value value, uint32_t column)
{
    struct tsn_node node = {.op = OP_CONST, .type = value.type, .value = value, .column = column};
    return node_add(p->set, &node);
}

static uint32_t operation(struct parser *p, uint8_t op, struct tsn_expr_type type, uint32_t column,
                          const uint32_t *args, uint8_t n_args)
{
    uint32_t *copy = tsn_arena_alloc(&p->set->arena, (n_args + 1u) * sizeof *copy);
    struct tsn_node node = {
        .op = op, .n_args = n_args, .type = type, .column = column, .args = copy};
    for (uint8_t i = 0; i < n_args; i++) {
        copy[i] = args[i];
        node.may_be_missing |= p->set->nodes[args[i]].may_be_missing;
    }
    return node_add(p->set, &node);
}

static const struct tsn_node *node_of(const struct parser *p, uint32_t n)
{
    return &p->set->nodes[n];
}

static struct tsn_value literal(enum tsn_type type)
{
    return (struct tsn_value){.state = TSN_STATE_VALUE, .type = plain(type)};
}

/* An int literal beside a double becomes a double. */
static uint32_t widen(struct parser *p, uint32_t n, uint32_t beside)
{
    const struct tsn_node *node = node_of(p, n);
    if (node->type.type != TSN_TYPE_INT || node_of(p, beside)->type.type != TSN_TYPE_DOUBLE) {
        return n;
    }
    if (node->op == OP_CONST && node->value.state == TSN_STATE_VALUE) {
        struct tsn_value v = literal(TSN_TYPE_DOUBLE);
        v.d = (double)node->value.i;
        return constant(p, v, node->column);
    }
    return n;
}

static uint32_t expression(struct parser *p);

static uint32_t wrong_types(struct parser *p, uint32_t column, const char *op, uint32_t a,
                            uint32_t b)
{
    char types[128];
    snprintf(types, sizeof types, "%s and %s", tsn_type_name(node_of(p, a)->type.type),
             tsn_type_name(node_of(p, b)->type.type));
    return fail_at(p, column, NULL, "'%s' does not take %s", op, types);
}

static bool is_number(enum tsn_type t)
{
    return t == TSN_TYPE_INT || t == TSN_TYPE_DOUBLE;
}

static uint32_t arithmetic(struct parser *p, uint8_t op, const char *name, uint32_t column,
                           uint32_t a, uint32_t b)
{
    uint32_t args[2] = {widen(p, a, b), widen(p, b, a)};
    enum tsn_type x = node_of(p, args[0])->type.type;
    enum tsn_type y = node_of(p, args[1])->type.type;
    if (is_number(x) && is_number(y) && (op != OP_MOD || (x == TSN_TYPE_INT && y == x))) {
        return operation(p, op, plain(x == y ? x : TSN_TYPE_DOUBLE), column, args, 2);
    }
    if (op == OP_ADD && x == TSN_TYPE_STRING && y == x) {
        return operation(p, op, plain(x), column, args, 2);
    }
    bool tx = x == TSN_TYPE_TIMESTAMP;
    bool ty = y == TSN_TYPE_TIMESTAMP;
    bool dx = x == TSN_TYPE_DURATION;
    bool dy = y == TSN_TYPE_DURATION;
    if (op == OP_ADD && ((tx && dy) || (dx && ty))) {
        return operation(p, op, plain(TSN_TYPE_TIMESTAMP), column, args, 2);
    }
    if ((op == OP_ADD || op == OP_SUB) && dx && dy) {
        return operation(p, op, plain(TSN_TYPE_DURATION), column, args, 2);
    }
    if (op == OP_SUB && tx && dy) {
        return operation(p, op, plain(TSN_TYPE_TIMESTAMP), column, args, 2);
    }
    if (op == OP_SUB && tx && ty) {
        return operation(p, op, plain(TSN_TYPE_DURATION), column, args, 2);
    }
    return wrong_types(p, column, name, a, b);
}

static uint32_t comparison(struct parser *p, uint8_t op, const char *name, uint32_t column,
                           uint32_t a, uint32_t b)
{
    uint32_t args[2] = {a, b};
    struct tsn_expr_type x = node_of(p, a)->type;
    struct tsn_expr_type y = node_of(p, b)->type;
    if (op == OP_IN) {
        if (!((y.type == TSN_TYPE_LIST || y.type == TSN_TYPE_HANDLE) && y.element == x.type)) {
            return wrong_types(p, column, name, a, b);
        }
        return operation(p, op, plain(TSN_TYPE_BOOL), column, args, 2);
    }
    bool ok = types_equal(x, y) || (is_number(x.type) && is_number(y.type));
    if (op != OP_EQ && op != OP_NE && (x.type == TSN_TYPE_LIST || x.type == TSN_TYPE_NULL)) {
        ok = false;
    }
    if (!ok || x.type == TSN_TYPE_HANDLE) {
        return wrong_types(p, column, name, a, b);
    }
    return operation(p, op, plain(TSN_TYPE_BOOL), column, args, 2);
}

/* ---- primary ------------------------------------------------------------------- */

static const struct tsn_expr_name *name_find(const struct tsn_expr_set *set, const char *text,
                                             size_t len)
{
    for (size_t i = 0; i < set->n_names; i++) {
        if (strlen(set->names[i].name) == len && memcmp(set->names[i].name, text, len) == 0) {
            return &set->names[i];
        }
    }
    return NULL;
}

static const struct tsn_expr_list *list_find(const struct tsn_expr_set *set, const char *text,
                                             size_t len)
{
    for (size_t i = 0; i < set->n_lists; i++) {
        if (strlen(set->lists[i].name) == len && memcmp(set->lists[i].name, text, len) == 0) {
            return &set->lists[i];
        }
    }
    return NULL;
}

static uint32_t input_node(struct parser *p, const struct tsn_expr_name *name, uint32_t column,
                           uint8_t op)
{
    struct tsn_node node = {
        .op = op,
        .type = op == OP_HAS ? plain(TSN_TYPE_BOOL) : name->type,
        .may_be_missing = op != OP_HAS && name->may_be_missing,
        .column = column,
        .input = name->input,
    };
    return node_add(p->set, &node);
}

/* a.b.c: the longest declared name wins. */
static uint32_t dotted(struct parser *p, uint8_t op)
{
    char text[256];
    size_t len = 0;
    uint32_t column = p->token.column;
    const struct tsn_expr_name *name = NULL;
    const struct tsn_expr_list *list = NULL;
    for (;;) {
        if (p->token.kind != T_NAME || len + p->token.len + 2 > sizeof text) {
            return fail_at(p, p->token.column, NULL, "expected a name%s%s", "", "");
        }
        memcpy(text + len, p->text + p->token.at, p->token.len);
        len += p->token.len;
        text[len] = '\0';
        next(p);
        name = name_find(p->set, text, len);
        list = list_find(p->set, text, len);
        if (!is(p, ".")) {
            break;
        }
        if (name || list) { /* a longer declared name, or a method? */
            bool longer = false;
            for (size_t i = 0; i < p->set->n_names; i++) {
                longer |= strncmp(p->set->names[i].name, text, len) == 0 &&
                          p->set->names[i].name[len] == '.';
            }
            if (!longer) {
                break;
            }
        }
        text[len++] = '.';
        next(p);
    }
    if (name) {
        return input_node(p, name, column, op);
    }
    if (list && op == OP_INPUT) {
        struct tsn_node node = {.op = OP_HANDLE,
                                .type = {TSN_TYPE_HANDLE, list->element, 0},
                                .column = column,
                                .input = list->list};
        return node_add(p->set, &node);
    }
    const char **names = malloc((p->set->n_names + 1) * sizeof *names);
    TSN_MUST_ALLOC(names);
    for (size_t i = 0; i < p->set->n_names; i++) {
        names[i] = p->set->names[i].name;
    }
    const char *nearest = tsn_nearest_name(text, names, p->set->n_names);
    free(names);
    char advice[160];
    snprintf(advice, sizeof advice, "did you mean '%s'?", nearest ? nearest : "");
    return fail_at(p, column, nearest ? advice : NULL, "there is no '%s' here%s", text, "");
}

struct function {
    const char *name;
    enum tsn_type arg0;
    enum tsn_type arg1; /* TSN_TYPE_NULL: one argument */
    enum tsn_type result;
    bool method;
};

const char *const tsn_slice_functions[] = {
    "duration", "timestamp", "size", "contains",    "startsWith", "endsWith", "exp",
    "log",      "sqrt",      "pow",  "hasPrefixIn", "coalesce",   "double",   "int",
};
static const struct function functions[] = {
    {"duration", TSN_TYPE_STRING, TSN_TYPE_NULL, TSN_TYPE_DURATION, false},
    {"timestamp", TSN_TYPE_STRING, TSN_TYPE_NULL, TSN_TYPE_TIMESTAMP, false},
    {"size", TSN_TYPE_STRING, TSN_TYPE_NULL, TSN_TYPE_INT, false},
    {"contains", TSN_TYPE_STRING, TSN_TYPE_STRING, TSN_TYPE_BOOL, true},
    {"startsWith", TSN_TYPE_STRING, TSN_TYPE_STRING, TSN_TYPE_BOOL, true},
    {"endsWith", TSN_TYPE_STRING, TSN_TYPE_STRING, TSN_TYPE_BOOL, true},
    {"exp", TSN_TYPE_DOUBLE, TSN_TYPE_NULL, TSN_TYPE_DOUBLE, false},
    {"log", TSN_TYPE_DOUBLE, TSN_TYPE_NULL, TSN_TYPE_DOUBLE, false},
    {"sqrt", TSN_TYPE_DOUBLE, TSN_TYPE_NULL, TSN_TYPE_DOUBLE, false},
    {"pow", TSN_TYPE_DOUBLE, TSN_TYPE_DOUBLE, TSN_TYPE_DOUBLE, false},
    {"hasPrefixIn", TSN_TYPE_STRING, TSN_TYPE_HANDLE, TSN_TYPE_BOOL, false},
    {"coalesce", TSN_TYPE_LIST, TSN_TYPE_LIST, TSN_TYPE_LIST, false}, /* any, the same */
    {"double", TSN_TYPE_INT, TSN_TYPE_NULL, TSN_TYPE_DOUBLE, false},
    {"int", TSN_TYPE_DOUBLE, TSN_TYPE_NULL, TSN_TYPE_INT, false},
};

static uint32_t call(struct parser *p, const char *name, size_t len, uint32_t column,
                     uint32_t target)
{
    uint32_t args[4];
    uint8_t n = 0;
    if (target != NO_NODE) {
        args[n++] = target;
    }
    if (!is(p, ")")) {
        do {
            if (n == 4) {
                return fail_at(p, p->token.column, NULL, "too many arguments%s%s", "", "");
            }
            args[n] = expression(p);
            if (args[n++] == NO_NODE) {
                return NO_NODE;
            }
        } while (take(p, ","));
    }
    if (!expect(p, ")")) {
        return NO_NODE;
    }
    for (size_t f = 0; f < sizeof functions / sizeof functions[0]; f++) {
        const struct function *fn = &functions[f];
        if (strlen(fn->name) != len || memcmp(fn->name, name, len) != 0) {
            continue;
        }
        uint8_t want = fn->arg1 == TSN_TYPE_NULL ? 1 : 2;
        if (n != want) {
            return fail_at(p, column, NULL, "'%s' takes another number of arguments%s", fn->name,
                           "");
        }
        bool any = fn->arg0 == TSN_TYPE_LIST;
        struct tsn_value one = literal(TSN_TYPE_DOUBLE);
        for (uint8_t i = 0; i < n; i++) {
            enum tsn_type wanted = i ? fn->arg1 : fn->arg0;
            if (wanted == TSN_TYPE_DOUBLE) {
                args[i] = widen(p, args[i], constant(p, one, column));
            }
            enum tsn_type got = node_of(p, args[i])->type.type;
            if (!any && got != wanted && !(got == TSN_TYPE_INT && wanted == TSN_TYPE_DOUBLE) &&
                !(got == TSN_TYPE_DOUBLE && fn->result == TSN_TYPE_DOUBLE && n == 1) &&
                !(got == TSN_TYPE_INT && fn->result == TSN_TYPE_INT && n == 1)) {
                return fail_at(p, column, NULL, "'%s' does not take %s", fn->name,
                               tsn_type_name(got));
            }
        }
        if (any) {
            args[1] = widen(p, args[1], args[0]);
        }
        uint32_t node = operation(p, OP_CALL, any ? node_of(p, args[0])->type : plain(fn->result),
                                  column, args, n);
        p->set->nodes[node].function = (uint16_t)f;
        if (any) {
            p->set->nodes[node].may_be_missing = node_of(p, args[1])->may_be_missing;
        }
        return node;
    }
    char text[64];
    snprintf(text, sizeof text, "%.*s", (int)(len < 60 ? len : 60), name);
    return fail_at(p, column, NULL, "there is no function '%s'%s", text, "");
}

static uint32_t string_literal(struct parser *p)
{
    const char *s = p->text + p->token.at + 1;
    size_t len = p->token.len - 2;
    char *copy = tsn_arena_alloc(&p->set->arena, len + 1);
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = s[i];
        if (c == '\\' && i + 1 < len) {
            c = s[++i];
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
        }
        copy[n++] = c;
    }
    struct tsn_value v = literal(TSN_TYPE_STRING);
    v.s = (struct tsn_str){copy, (uint32_t)n};
    uint32_t column = p->token.column;
    next(p);
    return constant(p, v, column);
}

static uint32_t number_literal(struct parser *p, bool negative)
{
    char text[64];
    size_t len = p->token.len;
    if (len + 2 > sizeof text) {
        return fail_at(p, p->token.column, NULL, "this number is too long%s%s", "", "");
    }
    text[0] = '-';
    memcpy(text + 1, p->text + p->token.at, len);
    text[len + 1] = '\0';
    const char *from = negative ? text : text + 1;
    uint32_t column = p->token.column;
    struct tsn_value v;
    if (p->token.kind == T_DOUBLE) {
        v = literal(TSN_TYPE_DOUBLE);
        v.d = strtod(from, NULL);
    } else {
        errno = 0;
        v = literal(TSN_TYPE_INT);
        v.i = strtoll(from, NULL, len > 2 && (text[2] == 'x' || text[2] == 'X') ? 16 : 10);
        if (errno) {
            return fail_at(p, column, NULL, "%s does not fit an int%s", from, "");
        }
    }
    next(p);
    return constant(p, v, column);
}

static uint32_t list_literal(struct parser *p, uint32_t column)
{
    uint32_t args[255];
    uint8_t n = 0;
    while (!is(p, "]")) {
        if (n == 255) {
            return fail_at(p, p->token.column, NULL, "this list is too long%s%s", "", "");
        }
        args[n] = expression(p);
        if (args[n++] == NO_NODE) {
            return NO_NODE;
        }
        if (!types_equal(node_of(p, args[n - 1])->type, node_of(p, args[0])->type)) {
            return wrong_types(p, column, "[]", args[0], args[n - 1]);
        }
        if (!take(p, ",")) {
            break;
        }
    }
    if (!expect(p, "]")) {
        return NO_NODE;
    }
    struct tsn_expr_type type = {TSN_TYPE_LIST,
                                 n ? node_of(p, args[0])->type.element : TSN_TYPE_NULL,
                                 (uint8_t)(n ? node_of(p, args[0])->type.depth + 1 : 1)};
    return operation(p, OP_LIST, type, column, args, n);
}

static uint32_t primary(struct parser *p)
{
    uint32_t column = p->token.column;
    if (take(p, "(")) {
        uint32_t n = expression(p);
        return n != NO_NODE && expect(p, ")") ? n : NO_NODE;
    }
    if (take(p, "[")) {
        return list_literal(p, column);
    }
    if (p->token.kind == T_STRING) {
        return string_literal(p);
    }
    if (p->token.kind == T_INT || p->token.kind == T_DOUBLE) {
        return number_literal(p, false);
    }
    if (is(p, "true") || is(p, "false")) {
        struct tsn_value v = literal(TSN_TYPE_BOOL);
        v.b = is(p, "true");
        next(p);
        return constant(p, v, column);
    }
    if (take(p, "null")) {
        return constant(p, literal(TSN_TYPE_NULL), column);
    }
    if (p->token.kind == T_NAME) {
        struct token name = p->token;
        size_t at = p->at;
        next(p);
        if (is(p, "(")) {
            uint32_t paren = p->token.column;
            next(p);
            if (name.len == 3 && memcmp(p->text + name.at, "has", 3) == 0) {
                uint32_t n = dotted(p, OP_HAS);
                return n != NO_NODE && expect(p, ")") ? n : NO_NODE;
            }
            return call(p, p->text + name.at, name.len, paren, NO_NODE);
        }
        p->token = name;
        p->at = at;
        return dotted(p, OP_INPUT);
    }
    return fail_at(p, column, NULL, "expected a value here%s%s", "", "");
}

static uint32_t member(struct parser *p)
{
    uint32_t n = primary(p);
    while (n != NO_NODE && is(p, ".")) {
        next(p);
        if (p->token.kind != T_NAME) {
            return fail_at(p, p->token.column, NULL, "expected a method name%s%s", "", "");
        }
        struct token name = p->token;
        next(p);
        uint32_t column = p->token.column;
        if (!expect(p, "(")) {
            return NO_NODE;
        }
        n = call(p, p->text + name.at, name.len, column, n);
    }
    return n;
}

static uint32_t unary(struct parser *p)
{
    uint32_t column = p->token.column;
    if (++p->depth > DEPTH_MAX) {
        return fail_at(p, column, NULL, "nested deeper than 64%s%s", "", "");
    }
    uint32_t n;
    if (take(p, "!")) {
        n = unary(p);
        if (n != NO_NODE && node_of(p, n)->type.type != TSN_TYPE_BOOL) {
            n = fail_at(p, column, NULL, "'!' takes a bool%s%s", "", "");
        } else if (n != NO_NODE) {
            n = operation(p, OP_NOT, plain(TSN_TYPE_BOOL), column, &n, 1);
        }
    } else if (take(p, "-")) {
        if (p->token.kind == T_INT || p->token.kind == T_DOUBLE) {
            n = number_literal(p, true);
        } else {
            n = unary(p);
            if (n != NO_NODE && !is_number(node_of(p, n)->type.type)) {
                n = fail_at(p, column, NULL, "'-' takes a number%s%s", "", "");
            } else if (n != NO_NODE) {
                n = operation(p, OP_NEG, node_of(p, n)->type, column, &n, 1);
            }
        }
    } else {
        n = member(p);
    }
    p->depth--;
    return n;
}

static const struct {
    const char *text;
    uint8_t op;
    uint8_t power;
} operators[] = {
    {"||", OP_OR, 1}, {"&&", OP_AND, 2}, {"<", OP_LT, 3},  {"<=", OP_LE, 3}, {">", OP_GT, 3},
    {">=", OP_GE, 3}, {"==", OP_EQ, 3},  {"!=", OP_NE, 3}, {"in", OP_IN, 3}, {"+", OP_ADD, 4},
    {"-", OP_SUB, 4}, {"*", OP_MUL, 5},  {"/", OP_DIV, 5}, {"%", OP_MOD, 5},
};

static uint32_t logic(struct parser *p, uint8_t op, const char *name, uint32_t column, uint32_t a,
                      uint32_t b)
{
    uint32_t args[2] = {a, b};
    for (int i = 0; i < 2; i++) {
        if (node_of(p, args[i])->type.type != TSN_TYPE_BOOL) {
            return fail_at(p, node_of(p, args[i])->column, NULL, "'%s' takes bools, not %s", name,
                           tsn_type_name(node_of(p, args[i])->type.type));
        }
    }
    return operation(p, op, plain(TSN_TYPE_BOOL), column, args, 2);
}

static uint32_t binary(struct parser *p, uint8_t least)
{
    uint32_t left = unary(p);
    while (left != NO_NODE) {
        size_t o = 0;
        size_t n_operators = sizeof operators / sizeof operators[0];
        while (o < n_operators && !(is(p, operators[o].text) && operators[o].power >= least)) {
            o++;
        }
        if (o == n_operators) {
            return left;
        }
        uint32_t column = p->token.column;
        next(p);
        uint32_t right = binary(p, (uint8_t)(operators[o].power + 1));
        if (right == NO_NODE) {
            return NO_NODE;
        }
        uint8_t op = operators[o].op;
        left = operators[o].power <= 2 ? logic(p, op, operators[o].text, column, left, right)
               : operators[o].power == 3
                   ? comparison(p, op, operators[o].text, column, left, right)
                   : arithmetic(p, op, operators[o].text, column, left, right);
    }
    return left;
}

static uint32_t expression(struct parser *p)
{
    if (++p->depth > DEPTH_MAX) {
        return fail_at(p, p->token.column, NULL, "nested deeper than 64%s%s", "", "");
    }
    uint32_t n = binary(p, 1);
    uint32_t column = p->token.column;
    if (n != NO_NODE && take(p, "?")) {
        uint32_t args[3] = {n, expression(p), NO_NODE};
        if (args[1] == NO_NODE || !expect(p, ":")) {
            return NO_NODE;
        }
        args[2] = expression(p);
        if (args[2] == NO_NODE) {
            return NO_NODE;
        }
        args[1] = widen(p, args[1], args[2]);
        args[2] = widen(p, args[2], args[1]);
        if (node_of(p, n)->type.type != TSN_TYPE_BOOL ||
            !types_equal(node_of(p, args[1])->type, node_of(p, args[2])->type)) {
            return wrong_types(p, column, "?:", args[1], args[2]);
        }
        n = operation(p, OP_COND, node_of(p, args[1])->type, column, args, 3);
    }
    p->depth--;
    return n;
}

/* ---- the set ------------------------------------------------------------------- */

struct tsn_expr_set *tsn_expr_set_new(const struct tsn_expr_env *env)
{
    struct tsn_expr_set *set = calloc(1, sizeof *set);
    TSN_MUST_ALLOC(set);
    tsn_arena_init(&set->arena, 0);
    set->n_names = env->n_names;
    set->names = tsn_arena_alloc(&set->arena, (env->n_names + 1) * sizeof *set->names);
    for (size_t i = 0; i < env->n_names; i++) {
        set->names[i] = env->names[i];
        set->names[i].name =
            tsn_arena_strdup(&set->arena, env->names[i].name, strlen(env->names[i].name));
    }
    set->n_lists = env->n_lists;
    set->lists = tsn_arena_alloc(&set->arena, (env->n_lists + 1) * sizeof *set->lists);
    for (size_t i = 0; i < env->n_lists; i++) {
        set->lists[i] = env->lists[i];
        set->lists[i].name =
            tsn_arena_strdup(&set->arena, env->lists[i].name, strlen(env->lists[i].name));
    }
    return set;
}

void tsn_expr_set_free(struct tsn_expr_set *set)
{
    if (set) {
        tsn_arena_free(&set->arena);
        free(set->nodes);
        free(set->roots);
        free(set);
    }
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static uint32_t unique(uint32_t *items, uint32_t n)
{
    qsort(items, n, sizeof *items, ascending);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (kept == 0 || items[kept - 1] != items[i]) {
            items[kept++] = items[i];
        }
    }
    return kept;
}

static void collect(const struct tsn_expr_set *set, uint32_t n, uint32_t *inputs,
                    uint32_t *n_inputs, uint32_t *lists, uint32_t *n_lists)
{
    const struct tsn_node *node = &set->nodes[n];
    if (node->op == OP_INPUT || node->op == OP_HAS) {
        inputs[(*n_inputs)++] = node->input;
    } else if (node->op == OP_HANDLE) {
        lists[(*n_lists)++] = node->input;
    }
    for (uint8_t i = 0; i < node->n_args; i++) {
        collect(set, node->args[i], inputs, n_inputs, lists, n_lists);
    }
}

uint32_t tsn_expr_set_add(struct tsn_expr_set *set, const char *text, size_t len,
                          const struct tsn_expr_type *want, const struct tsn_expr_source *source,
                          struct tsn_diags *diags)
{
    TSN_MUST(!set->frozen);
    struct parser p = {.set = set, .text = text, .len = len, .source = source, .diags = diags};
    if (len > TEXT_MAX) {
        fail_at(&p, 1, NULL, "an expression has at most 64 KiB%s%s", "", "");
        return TSN_EXPR_NONE;
    }
    uint32_t first = set->n_nodes;
    next(&p);
    uint32_t root = expression(&p);
    if (root != NO_NODE && p.token.kind != T_END) {
        root =
            fail_at(&p, p.token.column, NULL, "expected the end or an operator here%s%s", "", "");
    }
    if (root == NO_NODE) {
        return TSN_EXPR_NONE;
    }
    if (want && want->type == TSN_TYPE_DOUBLE && set->nodes[root].type.type == TSN_TYPE_INT) {
        struct tsn_value one = literal(TSN_TYPE_DOUBLE);
        one.d = 1;
        root = arithmetic(&p, OP_MUL, "*", 1, root, constant(&p, one, 1));
    }
    if (want && !types_equal(*want, set->nodes[root].type)) {
        fail_at(&p, 1, NULL, "this gives %s; %s is wanted here",
                tsn_type_name(set->nodes[root].type.type), tsn_type_name(want->type));
        return TSN_EXPR_NONE;
    }
    if (set->n_roots == set->roots_cap) {
        set->roots_cap = set->roots_cap ? set->roots_cap * 2 : 16;
        set->roots = realloc(set->roots, set->roots_cap * sizeof *set->roots);
        TSN_MUST_ALLOC(set->roots);
    }
    size_t n = set->n_nodes - first + 1;
    uint32_t *inputs = tsn_arena_alloc(&set->arena, n * sizeof *inputs);
    uint32_t *lists = tsn_arena_alloc(&set->arena, n * sizeof *lists);
    uint32_t n_inputs = 0;
    uint32_t n_lists = 0;
    collect(set, root, inputs, &n_inputs, lists, &n_lists);
    set->roots[set->n_roots] = (struct tsn_expr_root){
        .node = root,
        .n_inputs = unique(inputs, n_inputs),
        .n_lists = unique(lists, n_lists),
        .inputs = inputs,
        .lists = lists,
        .cost = (double)n,
    };
    return set->n_roots++;
}

void tsn_expr_set_freeze(struct tsn_expr_set *set)
{
    set->frozen = true;
}

struct tsn_expr_type tsn_expr_type_of(const struct tsn_expr_set *set, uint32_t expr)
{
    return set->nodes[set->roots[expr].node].type;
}

bool tsn_expr_may_be_missing(const struct tsn_expr_set *set, uint32_t expr)
{
    return set->nodes[set->roots[expr].node].may_be_missing;
}

const uint32_t *tsn_expr_inputs(const struct tsn_expr_set *set, uint32_t expr, size_t *n)
{
    *n = set->roots[expr].n_inputs;
    return set->roots[expr].inputs;
}

const uint32_t *tsn_expr_lists(const struct tsn_expr_set *set, uint32_t expr, size_t *n)
{
    *n = set->roots[expr].n_lists;
    return set->roots[expr].lists;
}

double tsn_expr_cost(const struct tsn_expr_set *set, uint32_t expr)
{
    return set->roots[expr].cost;
}
