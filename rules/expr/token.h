/* Tokens of the expression language; see token.c. */
#ifndef TSN_RULES_EXPR_TOKEN_H
#define TSN_RULES_EXPR_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/arena/arena.h"
#include "rules/column/column.h"

enum tsn_token_kind {
    TSN_TOKEN_END,
    TSN_TOKEN_ERROR, /* lexer->error says what */
    TSN_TOKEN_IDENT,
    TSN_TOKEN_INT, /* magnitude; the sign is the parser's */
    TSN_TOKEN_DOUBLE,
    TSN_TOKEN_STRING,
    TSN_TOKEN_TRUE,
    TSN_TOKEN_FALSE,
    TSN_TOKEN_NULL,
    TSN_TOKEN_IN,
    TSN_TOKEN_OR,
    TSN_TOKEN_AND,
    TSN_TOKEN_EQ,
    TSN_TOKEN_NE,
    TSN_TOKEN_LE,
    TSN_TOKEN_GE,
    TSN_TOKEN_LT,
    TSN_TOKEN_GT,
    TSN_TOKEN_PLUS,
    TSN_TOKEN_MINUS,
    TSN_TOKEN_STAR,
    TSN_TOKEN_SLASH,
    TSN_TOKEN_PERCENT,
    TSN_TOKEN_NOT,
    TSN_TOKEN_QUESTION,
    TSN_TOKEN_COLON,
    TSN_TOKEN_DOT,
    TSN_TOKEN_COMMA,
    TSN_TOKEN_LPAREN,
    TSN_TOKEN_RPAREN,
    TSN_TOKEN_LBRACKET,
    TSN_TOKEN_RBRACKET,
    TSN_TOKEN_LBRACE,
    TSN_TOKEN_RBRACE,
};

struct tsn_token {
    enum tsn_token_kind kind;
    uint32_t at; /* byte offset of its first character */
    uint32_t end;
    union {
        uint64_t magnitude;
        double d;
        struct tsn_str s; /* unescaped, in the lexer's arena; an identifier's text */
    };
};

struct tsn_lexer {
    const char *text;
    uint32_t len;
    uint32_t pos;
    struct tsn_arena *arena;
    const char *error; /* of the last TSN_TOKEN_ERROR */
    const char *advice;
};

void tsn_lexer_init(struct tsn_lexer *lexer, const char *text, uint32_t len,
                    struct tsn_arena *arena);

/* The next token. After an error or the end it keeps giving that kind. */
struct tsn_token tsn_lexer_next(struct tsn_lexer *lexer);

/* Is this a word that expressions may not use as a name? */
bool tsn_token_reserved(struct tsn_str word);

/* "an operator '&&'", "a name", ... for messages. */
const char *tsn_token_text(enum tsn_token_kind kind);

#endif
