/* Parser: a Pratt parser from tokens to a syntax tree.
 *
 * One table of binding powers instead of CEL's thirteen productions. Nesting is
 * counted on the way down and refused beyond a bound, so the deepest text costs a
 * message and not the stack. A chain of && or of || becomes one node over all its
 * parts: rules are long conjunctions, and evaluators want them flat.
 * Stops at the first error: what follows a syntax error is guesswork.
 */
#include "rules/expr/syntax.h"

#include <string.h>

#include "rules/expr/text.h"

struct parser {
    struct tsn_lexer lexer;
    struct tsn_token token; /* the one not yet taken */
    struct tsn_arena *arena;
    struct tsn_syntax_error *error;
    unsigned depth;
    bool failed;
};

enum { POWER_COND = 1, POWER_OR, POWER_AND, POWER_RELATION, POWER_ADD, POWER_MUL };

static int binary_power(enum tsn_token_kind kind)
{
    switch (kind) {
    case TSN_TOKEN_QUESTION:
        return POWER_COND;
    case TSN_TOKEN_OR:
        return POWER_OR;
    case TSN_TOKEN_AND:
        return POWER_AND;
    case TSN_TOKEN_EQ:
    case TSN_TOKEN_NE:
    case TSN_TOKEN_LT:
    case TSN_TOKEN_LE:
    case TSN_TOKEN_GT:
    case TSN_TOKEN_GE:
    case TSN_TOKEN_IN:
        return POWER_RELATION;
    case TSN_TOKEN_PLUS:
    case TSN_TOKEN_MINUS:
        return POWER_ADD;
    case TSN_TOKEN_STAR:
    case TSN_TOKEN_SLASH:
    case TSN_TOKEN_PERCENT:
        return POWER_MUL;
    default:
        return 0;
    }
}

static struct tsn_syntax *parse(struct parser *p, int least_power);

static struct tsn_syntax *fail(struct parser *p, uint32_t at, const char *advice,
                               const char *message)
{
    if (!p->failed) {
        p->failed = true;
        *p->error = (struct tsn_syntax_error){at, message, advice};
    }
    return NULL;
}

static void advance(struct parser *p)
{
    p->token = tsn_lexer_next(&p->lexer);
    if (p->token.kind == TSN_TOKEN_ERROR) {
        fail(p, p->token.at, p->lexer.advice, p->lexer.error);
    }
}

static struct tsn_syntax *node_new(struct parser *p, enum tsn_syntax_kind kind, uint32_t at,
                                   size_t n_args)
{
    struct tsn_syntax *node = tsn_arena_zalloc(p->arena, 1, sizeof *node);
    node->kind = kind;
    node->at = at;
    node->n_args = (uint32_t)n_args;
    node->height = 1;
    if (n_args) {
        node->args = tsn_arena_zalloc(p->arena, n_args, sizeof *node->args);
    }
    return node;
}

/* Once the arguments are set; NULL if one of them failed or the tree is too high. */
static struct tsn_syntax *finish(struct parser *p, struct tsn_syntax *node)
{
    for (uint32_t i = 0; i < node->n_args; i++) {
        if (!node->args[i]) {
            return NULL;
        }
        if (node->args[i]->height >= node->height) {
            node->height = node->args[i]->height + 1;
        }
    }
    if (node->height > TSN_EXPR_CHAIN_MAX) {
        return fail(p, node->at, "split it with parentheses or into features of its own",
                    "more than 1000 operators in one chain");
    }
    return node;
}

/* Arguments are collected here until their number is known. */
struct args {
    struct tsn_syntax **items;
    size_t n;
    size_t cap;
};

static void args_push(struct parser *p, struct args *args, struct tsn_syntax *node)
{
    if (args->n == args->cap) {
        size_t cap = args->cap ? args->cap * 2 : 4;
        struct tsn_syntax **items = tsn_arena_alloc(p->arena, cap * sizeof(*items));
        if (args->n) {
            memcpy(items, args->items, args->n * sizeof(*items));
        }
        args->items = items;
        args->cap = cap;
    }
    args->items[args->n++] = node;
}

static struct tsn_syntax *unexpected(struct parser *p, const char *wanted)
{
    if (p->failed) {
        return NULL;
    }
    const char *got = tsn_token_text(p->token.kind);
    const char *advice = NULL;
    if (p->token.kind == TSN_TOKEN_END) {
        advice = "the expression is not complete";
    } else if (p->token.kind == TSN_TOKEN_IDENT && p->token.s.len < 64) {
        got = tsn_arena_printf(p->arena, "'%.*s'", (int)p->token.s.len, p->token.s.p);
        if (tsn_str_is(p->token.s, "and") || tsn_str_is(p->token.s, "AND")) {
            advice = "write '&&' for and";
        } else if (tsn_str_is(p->token.s, "or") || tsn_str_is(p->token.s, "OR")) {
            advice = "write '||' for or";
        }
    }
    const char *message =
        tsn_arena_printf(p->arena, "expected %s, found %s%s%s", wanted, strlen(got) <= 2 ? "'" : "",
                         got, strlen(got) <= 2 ? "'" : "");
    return fail(p, p->token.at, advice, message);
}

static bool expect(struct parser *p, enum tsn_token_kind kind, const char *wanted)
{
    if (p->token.kind != kind) {
        unexpected(p, wanted);
        return false;
    }
    advance(p);
    return !p->failed;
}

/* Expressions up to the closing token, which is taken too. A list may end with a
 * comma, a call may not. */
static bool parse_args(struct parser *p, struct args *args, enum tsn_token_kind close)
{
    while (p->token.kind != close) {
        if (p->token.kind == TSN_TOKEN_QUESTION && close == TSN_TOKEN_RBRACKET) {
            fail(p, p->token.at, NULL, "valid CEL, not supported here: optional elements");
            return false;
        }
        struct tsn_syntax *arg = parse(p, POWER_COND);
        if (!arg) {
            return false;
        }
        args_push(p, args, arg);
        if (p->token.kind != TSN_TOKEN_COMMA) {
            break;
        }
        advance(p);
        if (p->token.kind == close && close == TSN_TOKEN_RPAREN) {
            unexpected(p, "an argument");
            return false;
        }
    }
    return expect(p, close, close == TSN_TOKEN_RPAREN ? "',' or ')'" : "',' or ']'");
}

static struct tsn_syntax *parse_call(struct parser *p, struct tsn_str name,
                                     struct tsn_syntax *receiver)
{
    uint32_t at = p->token.at;
    struct args args = {0};
    if (receiver) {
        args_push(p, &args, receiver);
    }
    advance(p);
    if (p->failed || !parse_args(p, &args, TSN_TOKEN_RPAREN)) {
        return NULL;
    }
    struct tsn_syntax *node = node_new(p, TSN_SYNTAX_CALL, at, 0);
    node->args = args.items;
    node->n_args = (uint32_t)args.n;
    node->is_method = receiver != NULL;
    node->s = name;
    return finish(p, node);
}

static struct tsn_syntax *parse_name(struct parser *p, bool is_root)
{
    struct tsn_token name = p->token;
    advance(p);
    if (p->failed) {
        return NULL;
    }
    if (tsn_token_reserved(name.s)) {
        return fail(
            p, name.at, "choose another name",
            tsn_arena_printf(p->arena, "'%.*s' is a reserved word", (int)name.s.len, name.s.p));
    }
    if (p->token.kind == TSN_TOKEN_LPAREN) {
        return parse_call(p, name.s, NULL);
    }
    if (p->token.kind == TSN_TOKEN_LBRACE) {
        return fail(p, p->token.at, NULL, "valid CEL, not supported here: message literals");
    }
    struct tsn_syntax *node = node_new(p, TSN_SYNTAX_IDENT, name.at, 0);
    node->s = name.s;
    node->is_root = is_root;
    return node;
}

static struct tsn_syntax *parse_list(struct parser *p)
{
    struct tsn_syntax *node = node_new(p, TSN_SYNTAX_LIST, p->token.at, 0);
    struct args args = {0};
    advance(p);
    if (p->failed || !parse_args(p, &args, TSN_TOKEN_RBRACKET)) {
        return NULL;
    }
    node->args = args.items;
    node->n_args = (uint32_t)args.n;
    return finish(p, node);
}

/* An int literal; the minus sign before it belongs to it, so that the least int
 * can be written. */
static struct tsn_syntax *parse_int(struct parser *p, uint32_t at, bool negative)
{
    uint64_t magnitude = p->token.magnitude;
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return fail(p, at, "write it as a double, with a point: 1e20 or 123.0",
                    "this number does not fit a 64-bit int");
    }
    struct tsn_syntax *node = node_new(p, TSN_SYNTAX_INT, at, 0);
    node->i = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    advance(p);
    return node;
}

static struct tsn_syntax *parse_primary(struct parser *p)
{
    struct tsn_token token = p->token;
    struct tsn_syntax *node = NULL;
    switch (token.kind) {
    case TSN_TOKEN_INT:
        return parse_int(p, token.at, false);
    case TSN_TOKEN_DOUBLE:
        node = node_new(p, TSN_SYNTAX_DOUBLE, token.at, 0);
        node->d = token.d;
        break;
    case TSN_TOKEN_STRING:
        node = node_new(p, TSN_SYNTAX_STRING, token.at, 0);
        node->s = token.s;
        break;
    case TSN_TOKEN_TRUE:
    case TSN_TOKEN_FALSE:
        node = node_new(p, TSN_SYNTAX_BOOL, token.at, 0);
        node->b = token.kind == TSN_TOKEN_TRUE;
        break;
    case TSN_TOKEN_NULL:
        node = node_new(p, TSN_SYNTAX_NULL, token.at, 0);
        break;
    case TSN_TOKEN_IDENT:
        return parse_name(p, false);
    case TSN_TOKEN_DOT:
        advance(p);
        return p->token.kind == TSN_TOKEN_IDENT ? parse_name(p, true) : unexpected(p, "a name");
    case TSN_TOKEN_LBRACKET:
        return parse_list(p);
    case TSN_TOKEN_LPAREN:
        advance(p);
        node = parse(p, POWER_COND);
        return node && expect(p, TSN_TOKEN_RPAREN, "')'") ? node : NULL;
    case TSN_TOKEN_LBRACE:
        return fail(p, token.at, NULL, "valid CEL, not supported here: map literals");
    default:
        return unexpected(p, "a value");
    }
    advance(p);
    return p->failed ? NULL : node;
}

static struct tsn_syntax *parse_select(struct parser *p, struct tsn_syntax *operand)
{
    uint32_t at = p->token.at;
    advance(p);
    if (p->token.kind == TSN_TOKEN_QUESTION) {
        return fail(p, at, NULL, "valid CEL, not supported here: optional selection");
    }
    if (p->token.kind != TSN_TOKEN_IDENT) {
        return unexpected(p, "a name after '.'");
    }
    struct tsn_str name = p->token.s;
    advance(p);
    if (p->failed) {
        return NULL;
    }
    if (p->token.kind == TSN_TOKEN_LPAREN) {
        return parse_call(p, name, operand);
    }
    if (p->token.kind == TSN_TOKEN_LBRACE) {
        return fail(p, p->token.at, NULL, "valid CEL, not supported here: message literals");
    }
    struct tsn_syntax *node = node_new(p, TSN_SYNTAX_SELECT, at, 1);
    node->args[0] = operand;
    node->s = name;
    return finish(p, node);
}

static struct tsn_syntax *parse_index(struct parser *p, struct tsn_syntax *operand)
{
    struct tsn_syntax *node = node_new(p, TSN_SYNTAX_INDEX, p->token.at, 2);
    advance(p);
    if (p->token.kind == TSN_TOKEN_QUESTION) {
        return fail(p, p->token.at, NULL, "valid CEL, not supported here: optional indexes");
    }
    node->args[0] = operand;
    node->args[1] = p->failed ? NULL : parse(p, POWER_COND);
    if (!node->args[1] || !expect(p, TSN_TOKEN_RBRACKET, "']'")) {
        return NULL;
    }
    return finish(p, node);
}

static struct tsn_syntax *parse_postfix(struct parser *p, struct tsn_syntax *node)
{
    while (node && !p->failed) {
        if (p->token.kind == TSN_TOKEN_DOT) {
            node = parse_select(p, node);
        } else if (p->token.kind == TSN_TOKEN_LBRACKET) {
            node = parse_index(p, node);
        } else {
            return node;
        }
    }
    return NULL;
}

/* Nesting is counted here and in parse: every way down leads through one of them. */
static struct tsn_syntax *parse_unary(struct parser *p)
{
    if (p->depth >= TSN_EXPR_DEPTH_MAX) {
        return fail(p, p->token.at, "move a part into a feature of its own",
                    "nested deeper than 64 levels");
    }
    struct tsn_token token = p->token;
    if (token.kind != TSN_TOKEN_MINUS && token.kind != TSN_TOKEN_NOT) {
        return parse_postfix(p, parse_primary(p));
    }
    advance(p);
    if (token.kind == TSN_TOKEN_MINUS && p->token.kind == TSN_TOKEN_INT) {
        return parse_postfix(p, parse_int(p, token.at, true));
    }
    struct tsn_syntax *node = node_new(p, TSN_SYNTAX_UNARY, token.at, 1);
    node->op = token.kind;
    p->depth++;
    node->args[0] = p->failed ? NULL : parse_unary(p);
    p->depth--;
    return finish(p, node);
}

static struct tsn_syntax *parse_cond(struct parser *p, struct tsn_syntax *condition)
{
    struct tsn_syntax *node = node_new(p, TSN_SYNTAX_COND, p->token.at, 3);
    node->args[0] = condition;
    advance(p);
    if (p->failed) {
        return NULL;
    }
    node->args[1] = parse(p, POWER_OR);
    if (!node->args[1] || !expect(p, TSN_TOKEN_COLON, "':'")) {
        return NULL;
    }
    node->args[2] = parse(p, POWER_COND);
    return finish(p, node);
}

static struct tsn_syntax *parse_logic(struct parser *p, struct tsn_syntax *first)
{
    enum tsn_token_kind op = p->token.kind;
    struct tsn_syntax *node = node_new(p, TSN_SYNTAX_LOGIC, p->token.at, 0);
    struct args args = {0};
    args_push(p, &args, first);
    while (p->token.kind == op) {
        advance(p);
        struct tsn_syntax *arg = p->failed ? NULL : parse(p, binary_power(op) + 1);
        if (!arg) {
            return NULL;
        }
        args_push(p, &args, arg);
    }
    node->op = op;
    node->args = args.items;
    node->n_args = (uint32_t)args.n;
    return finish(p, node);
}

static struct tsn_syntax *parse_binary(struct parser *p, struct tsn_syntax *left)
{
    struct tsn_syntax *node = node_new(p, TSN_SYNTAX_BINARY, p->token.at, 2);
    node->op = p->token.kind;
    advance(p);
    node->args[0] = left;
    node->args[1] = p->failed ? NULL : parse(p, binary_power(node->op) + 1);
    return finish(p, node);
}

static struct tsn_syntax *parse(struct parser *p, int least_power)
{
    if (p->depth >= TSN_EXPR_DEPTH_MAX) {
        return fail(p, p->token.at, "move a part into a feature of its own",
                    "nested deeper than 64 levels");
    }
    p->depth++;
    struct tsn_syntax *node = parse_unary(p);
    while (node && !p->failed) {
        int power = binary_power(p->token.kind);
        if (power < least_power || power == 0) {
            break;
        }
        if (power == POWER_COND) {
            node = parse_cond(p, node);
        } else if (power == POWER_OR || power == POWER_AND) {
            node = parse_logic(p, node);
        } else {
            node = parse_binary(p, node);
        }
    }
    p->depth--;
    return p->failed ? NULL : node;
}

struct tsn_syntax *tsn_syntax_parse(const char *text, size_t len, struct tsn_arena *arena,
                                    struct tsn_syntax_error *error)
{
    struct parser p = {.arena = arena, .error = error};
    if (len > TSN_EXPR_TEXT_MAX) {
        return fail(&p, 0, "split it into features", "longer than 64 KiB");
    }
    size_t invalid = tsn_utf8_invalid(text, len);
    if (invalid < len) {
        return fail(&p, (uint32_t)invalid, NULL, "not valid UTF-8 from here on");
    }
    tsn_lexer_init(&p.lexer, text, (uint32_t)len, arena);
    advance(&p);
    struct tsn_syntax *node = p.failed ? NULL : parse(&p, POWER_COND);
    if (node && p.token.kind != TSN_TOKEN_END) {
        return unexpected(&p, "an operator or the end of the expression");
    }
    return p.failed ? NULL : node;
}
