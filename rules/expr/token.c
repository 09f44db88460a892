/* Lexer: text of an expression -> tokens.
 *
 * By hand rather than generated: the only hard part is string literals, which no
 * generator makes easier, and every refusal here names what is wrong with it.
 * Called by the parser, one token at a time; allocates unescaped strings only.
 * The text is valid UTF-8 (the parser checks that first).
 */
#include "rules/expr/token.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rules/expr/text.h"

static const struct {
    const char *text;
    enum tsn_token_kind kind;
} punctuation[] = {
    /* longer ones first */
    {"||", TSN_TOKEN_OR},      {"&&", TSN_TOKEN_AND},   {"==", TSN_TOKEN_EQ},
    {"!=", TSN_TOKEN_NE},      {"<=", TSN_TOKEN_LE},    {">=", TSN_TOKEN_GE},
    {"<", TSN_TOKEN_LT},       {">", TSN_TOKEN_GT},     {"+", TSN_TOKEN_PLUS},
    {"-", TSN_TOKEN_MINUS},    {"*", TSN_TOKEN_STAR},   {"/", TSN_TOKEN_SLASH},
    {"%", TSN_TOKEN_PERCENT},  {"!", TSN_TOKEN_NOT},    {"?", TSN_TOKEN_QUESTION},
    {":", TSN_TOKEN_COLON},    {".", TSN_TOKEN_DOT},    {",", TSN_TOKEN_COMMA},
    {"(", TSN_TOKEN_LPAREN},   {")", TSN_TOKEN_RPAREN}, {"[", TSN_TOKEN_LBRACKET},
    {"]", TSN_TOKEN_RBRACKET}, {"{", TSN_TOKEN_LBRACE}, {"}", TSN_TOKEN_RBRACE},
};

static const struct {
    const char *text;
    enum tsn_token_kind kind;
} keywords[] = {
    {"true", TSN_TOKEN_TRUE},
    {"false", TSN_TOKEN_FALSE},
    {"null", TSN_TOKEN_NULL},
    {"in", TSN_TOKEN_IN},
};

static const char *const reserved_words[] = {
    "as",  "break", "const",   "continue",  "else",   "for", "function", "if",    "import",
    "let", "loop",  "package", "namespace", "return", "var", "void",     "while",
};

void tsn_lexer_init(struct tsn_lexer *lexer, const char *text, uint32_t len,
                    struct tsn_arena *arena)
{
    *lexer = (struct tsn_lexer){.text = text, .len = len, .arena = arena};
}

bool tsn_token_reserved(struct tsn_str word)
{
    for (size_t i = 0; i < sizeof reserved_words / sizeof reserved_words[0]; i++) {
        if (tsn_str_is(word, reserved_words[i])) {
            return true;
        }
    }
    return false;
}

const char *tsn_token_text(enum tsn_token_kind kind)
{
    switch (kind) {
    case TSN_TOKEN_END:
        return "the end of the expression";
    case TSN_TOKEN_IDENT:
        return "a name";
    case TSN_TOKEN_INT:
    case TSN_TOKEN_DOUBLE:
        return "a number";
    case TSN_TOKEN_STRING:
        return "a string";
    default:
        break;
    }
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
        if (keywords[i].kind == kind) {
            return keywords[i].text;
        }
    }
    for (size_t i = 0; i < sizeof punctuation / sizeof punctuation[0]; i++) {
        if (punctuation[i].kind == kind) {
            return punctuation[i].text;
        }
    }
    return "an error";
}

static int peek(const struct tsn_lexer *lexer, uint32_t ahead)
{
    return lexer->pos + ahead < lexer->len ? (unsigned char)lexer->text[lexer->pos + ahead] : -1;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static int hex_value(int c)
{
    if (is_digit(c)) {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static struct tsn_token fail(struct tsn_lexer *lexer, uint32_t at, const char *error,
                             const char *advice)
{
    lexer->error = error;
    lexer->advice = advice;
    lexer->pos = lexer->len;
    return (struct tsn_token){.kind = TSN_TOKEN_ERROR, .at = at, .end = at};
}

static void skip_space(struct tsn_lexer *lexer)
{
    for (;;) {
        int c = peek(lexer, 0);
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f') {
            lexer->pos++;
        } else if (c == '/' && peek(lexer, 1) == '/') {
            while (peek(lexer, 0) >= 0 && peek(lexer, 0) != '\n') {
                lexer->pos++;
            }
        } else {
            return;
        }
    }
}

/* ---- numbers -------------------------------------------------------------- */

static struct tsn_token lex_hex(struct tsn_lexer *lexer)
{
    struct tsn_token token = {.kind = TSN_TOKEN_INT, .at = lexer->pos};
    lexer->pos += 2;
    bool overflow = false;
    uint32_t first = lexer->pos;
    for (; hex_value(peek(lexer, 0)) >= 0; lexer->pos++) {
        overflow |= token.magnitude >> 60;
        token.magnitude = token.magnitude << 4 | (uint64_t)hex_value(peek(lexer, 0));
    }
    if (lexer->pos == first) {
        return fail(lexer, token.at, "hexadecimal digits must follow '0x'", NULL);
    }
    if (overflow) {
        return fail(lexer, token.at, "this number does not fit a 64-bit int", NULL);
    }
    token.end = lexer->pos;
    return token;
}

static struct tsn_token lex_decimal(struct tsn_lexer *lexer)
{
    struct tsn_token token = {.kind = TSN_TOKEN_INT, .at = lexer->pos};
    bool overflow = false;
    for (; is_digit(peek(lexer, 0)); lexer->pos++) {
        uint64_t digit = (uint64_t)(peek(lexer, 0) - '0');
        overflow |= __builtin_mul_overflow(token.magnitude, 10, &token.magnitude);
        overflow |= __builtin_add_overflow(token.magnitude, digit, &token.magnitude);
    }
    bool is_double = false;
    if (peek(lexer, 0) == '.' && is_digit(peek(lexer, 1))) {
        is_double = true;
        for (lexer->pos++; is_digit(peek(lexer, 0)); lexer->pos++) {
        }
    }
    int e = peek(lexer, 0);
    uint32_t sign = peek(lexer, 1) == '+' || peek(lexer, 1) == '-' ? 1 : 0;
    if ((e == 'e' || e == 'E') && is_digit(peek(lexer, 1 + sign))) {
        is_double = true;
        for (lexer->pos += 1 + sign; is_digit(peek(lexer, 0)); lexer->pos++) {
        }
    }
    token.end = lexer->pos;
    if (is_double) {
        token.kind = TSN_TOKEN_DOUBLE;
        token.d = strtod(
            tsn_arena_strdup(lexer->arena, lexer->text + token.at, token.end - token.at), NULL);
        if (isinf(token.d)) { /* as a binding, a field and double("1e400") are */
            return fail(lexer, token.at, "this number does not fit a double",
                        "the largest is about 1.8e308; for infinity write double('Infinity')");
        }
    } else if (overflow) {
        return fail(lexer, token.at, "this number does not fit a 64-bit int",
                    "write it as a double, with a point: 1e20 or 123.0");
    }
    return token;
}

static struct tsn_token lex_number(struct tsn_lexer *lexer)
{
    bool hex = peek(lexer, 0) == '0' && (peek(lexer, 1) == 'x' || peek(lexer, 1) == 'X');
    struct tsn_token token = hex ? lex_hex(lexer) : lex_decimal(lexer);
    if (token.kind == TSN_TOKEN_ERROR) {
        return token;
    }
    int c = peek(lexer, 0);
    if ((c == 'u' || c == 'U') && token.kind == TSN_TOKEN_INT) {
        return fail(lexer, token.at, "valid CEL, not supported here: uint literals",
                    "write an int: leave out the 'u'");
    }
    if (is_letter(c) || is_digit(c)) {
        return fail(lexer, lexer->pos, "a number may not run into a name", NULL);
    }
    return token;
}

/* ---- strings -------------------------------------------------------------- */

/* Reads `n` digits of base 8 or 16 from pos on; false if there are fewer. */
static bool read_code(struct tsn_lexer *lexer, int n, int base, uint32_t *code)
{
    *code = 0;
    for (int i = 0; i < n; i++) {
        int digit = hex_value(peek(lexer, 0));
        if (digit < 0 || digit >= base) {
            return false;
        }
        *code = *code * (uint32_t)base + (uint32_t)digit;
        lexer->pos++;
    }
    return true;
}

/* An escape whose backslash is passed; appends to out. NULL or an error. */
static const char *lex_escape(struct tsn_lexer *lexer, char **out)
{
    static const char plain[] = "abfnrtv\\?\"'`";
    static const char meant[] = "\a\b\f\n\r\t\v\\?\"'`";
    int c = peek(lexer, 0);
    if (c < 0) {
        return "the string ends within an escape";
    }
    const char *p = memchr(plain, c, sizeof plain - 1);
    if (p) {
        *(*out)++ = meant[p - plain];
        lexer->pos++;
        return NULL;
    }
    uint32_t code = 0;
    bool ok = false;
    if (c >= '0' && c <= '3') {
        ok = read_code(lexer, 3, 8, &code);
    } else if (c == 'x' || c == 'X' || c == 'u' || c == 'U') {
        lexer->pos++;
        ok = read_code(lexer, c == 'u' ? 4 : c == 'U' ? 8 : 2, 16, &code);
    } else {
        return "there is no such escape";
    }
    if (!ok) {
        return "an escape needs more digits: \\123, \\x12, \\u1234 or \\U00012345";
    }
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
        return "this escape is no Unicode character";
    }
    *out += tsn_utf8_encode(code, *out);
    return NULL;
}

static bool at_quote(const struct tsn_lexer *lexer, int quote, bool triple)
{
    return peek(lexer, 0) == quote &&
           (!triple || (peek(lexer, 1) == quote && peek(lexer, 2) == quote));
}

static struct tsn_token lex_string(struct tsn_lexer *lexer, uint32_t at, bool raw)
{
    int quote = peek(lexer, 0);
    bool triple = peek(lexer, 1) == quote && peek(lexer, 2) == quote;
    uint32_t marks = triple ? 3 : 1;
    lexer->pos += marks;
    char *text = tsn_arena_alloc(lexer->arena, lexer->len - lexer->pos + 1);
    char *out = text;
    while (!at_quote(lexer, quote, triple)) {
        int c = peek(lexer, 0);
        if (c < 0 || (!triple && (c == '\n' || c == '\r'))) {
            return fail(lexer, at, "this string does not end",
                        triple ? "close it with three quotes"
                               : "close it with the quote it began with, on the same line");
        }
        if (c == '\\' && !raw) {
            uint32_t escape = lexer->pos++;
            const char *error = lex_escape(lexer, &out);
            if (error) {
                return fail(lexer, escape, error, "for a literal backslash write '\\\\' or r'...'");
            }
            continue;
        }
        if (c == '\\' && peek(lexer, 1) >= 0) { /* raw: both characters stand as written */
            *out++ = (char)c;
            lexer->pos++;
            c = peek(lexer, 0);
        }
        *out++ = (char)c;
        lexer->pos++;
    }
    lexer->pos += marks;
    return (struct tsn_token){
        .kind = TSN_TOKEN_STRING, .at = at, .end = lexer->pos, .s = {text, (uint32_t)(out - text)}};
}

/* ---- words ---------------------------------------------------------------- */

static struct tsn_token lex_word(struct tsn_lexer *lexer)
{
    uint32_t at = lexer->pos;
    while (is_letter(peek(lexer, 0)) || is_digit(peek(lexer, 0))) {
        lexer->pos++;
    }
    struct tsn_str word = {lexer->text + at, lexer->pos - at};
    int c = peek(lexer, 0);
    if ((c == '"' || c == '\'') && word.len <= 2) {
        bool raw = memchr(word.p, 'r', word.len) || memchr(word.p, 'R', word.len);
        bool bytes = memchr(word.p, 'b', word.len) || memchr(word.p, 'B', word.len);
        if (bytes) {
            return fail(lexer, at, "valid CEL, not supported here: bytes literals",
                        "write a string: leave out the 'b'");
        }
        if (raw && word.len == 1) {
            return lex_string(lexer, at, true);
        }
    }
    struct tsn_token token = {.kind = TSN_TOKEN_IDENT, .at = at, .end = lexer->pos, .s = word};
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
        if (tsn_str_is(word, keywords[i].text)) {
            token.kind = keywords[i].kind;
        }
    }
    return token;
}

struct tsn_token tsn_lexer_next(struct tsn_lexer *lexer)
{
    if (lexer->error) {
        return (struct tsn_token){.kind = TSN_TOKEN_ERROR, .at = lexer->pos, .end = lexer->pos};
    }
    skip_space(lexer);
    int c = peek(lexer, 0);
    if (c < 0) {
        return (struct tsn_token){.kind = TSN_TOKEN_END, .at = lexer->pos, .end = lexer->pos};
    }
    if (is_digit(c) || (c == '.' && is_digit(peek(lexer, 1)))) {
        return lex_number(lexer);
    }
    if (is_letter(c)) {
        return lex_word(lexer);
    }
    if (c == '"' || c == '\'') {
        return lex_string(lexer, lexer->pos, false);
    }
    for (size_t i = 0; i < sizeof punctuation / sizeof punctuation[0]; i++) {
        size_t n = strlen(punctuation[i].text);
        if (lexer->len - lexer->pos >= n &&
            memcmp(lexer->text + lexer->pos, punctuation[i].text, n) == 0) {
            uint32_t at = lexer->pos;
            lexer->pos += (uint32_t)n;
            return (struct tsn_token){.kind = punctuation[i].kind, .at = at, .end = lexer->pos};
        }
    }
    if (c == '`') {
        return fail(lexer, lexer->pos, "valid CEL, not supported here: back-quoted names", NULL);
    }
    if (c == '=') {
        return fail(lexer, lexer->pos, "'=' is no operator", "to compare, write '=='");
    }
    if (c == '&' || c == '|') {
        return fail(lexer, lexer->pos, "a single '&' or '|' is no operator",
                    "write '&&' for and, '||' for or");
    }
    return fail(lexer, lexer->pos, "this character begins nothing that an expression may hold",
                c >= 0x80 ? "quote it if it belongs to a string" : NULL);
}
