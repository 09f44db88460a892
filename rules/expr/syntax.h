/* Syntax trees of the expression language; see syntax.c. */
#ifndef TSN_RULES_EXPR_SYNTAX_H
#define TSN_RULES_EXPR_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/arena/arena.h"
#include "rules/column/column.h"
#include "rules/expr/token.h"

/* Bounds, each an error that names it. Nesting is what CEL asks for (12 to 32)
 * with room; a chain of operators is a loop for the parser but a deep tree for
 * who walks it, so it has a bound of its own. */
enum { TSN_EXPR_DEPTH_MAX = 64, TSN_EXPR_CHAIN_MAX = 1000, TSN_EXPR_TEXT_MAX = 64 * 1024 };

enum tsn_syntax_kind {
    TSN_SYNTAX_INT,
    TSN_SYNTAX_DOUBLE,
    TSN_SYNTAX_STRING,
    TSN_SYNTAX_BOOL,
    TSN_SYNTAX_NULL,
    TSN_SYNTAX_IDENT,  /* s */
    TSN_SYNTAX_SELECT, /* args[0] . s */
    TSN_SYNTAX_INDEX,  /* args[0] [ args[1] ] */
    TSN_SYNTAX_CALL,   /* s(args); with is_method args[0] is the receiver */
    TSN_SYNTAX_LIST,
    TSN_SYNTAX_UNARY,  /* op args[0] */
    TSN_SYNTAX_BINARY, /* args[0] op args[1] */
    TSN_SYNTAX_LOGIC,  /* && or || over two or more args */
    TSN_SYNTAX_COND,   /* args[0] ? args[1] : args[2] */
};

struct tsn_syntax {
    enum tsn_syntax_kind kind;
    enum tsn_token_kind op;
    bool is_method;
    bool is_root; /* IDENT with a leading dot: never a macro's variable */
    uint16_t height;
    uint32_t at; /* where messages point: operator, '(', dot, name or literal */
    uint32_t n_args;
    struct tsn_syntax **args;
    union {
        int64_t i;
        double d;
        bool b;
        struct tsn_str s;
    };
};

struct tsn_syntax_error {
    uint32_t at;
    const char *message;
    const char *advice;
};

/* The tree in the arena, or NULL with *error filled (its texts static or in the
 * arena). O(len). */
struct tsn_syntax *tsn_syntax_parse(const char *text, size_t len, struct tsn_arena *arena,
                                    struct tsn_syntax_error *error);

#endif
