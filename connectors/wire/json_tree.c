/* One line of JSON -> a tree in an arena; see json_tree.h.
 *
 * Instead of cJSON: a request of `tocsin eval` needs ints of 64 bits (cJSON keeps
 * doubles), strings that hold U+0000 (cJSON ends them there), invalid UTF-8 refused
 * with its place, and a bound on nesting. Recursive, at most 64 levels deep; costs
 * time and memory in proportion to the line.
 */
#include "connectors/wire/json_tree.h"

#include <string.h>

#include "rules/expr/expr.h"

enum { DEPTH_MAX = 64 };

static struct tsn_json_node *read_value(struct tsn_json_reader *r);

struct tsn_json_node *tsn_json_refuse(struct tsn_json_reader *r, size_t at, const char *why)
{
    if (!r->why) {
        r->why = why;
        r->why_at = at;
    }
    return NULL;
}

static int peek(const struct tsn_json_reader *r)
{
    return r->at < r->len ? (unsigned char)r->p[r->at] : -1;
}

static void skip_space(struct tsn_json_reader *r)
{
    while (peek(r) == ' ' || peek(r) == '\t' || peek(r) == '\r' || peek(r) == '\n') {
        r->at++;
    }
}

static struct tsn_json_node *json_new(struct tsn_json_reader *r, enum tsn_json_kind kind, size_t at)
{
    struct tsn_json_node *json = tsn_arena_zalloc(r->arena, 1, sizeof *json);
    json->kind = kind;
    json->at = (uint32_t)at;
    return json;
}

/* ---- strings --------------------------------------------------------------- */

static bool read_hex4(struct tsn_json_reader *r, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        int c = peek(r);
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) {
            return false;
        }
        *out = *out << 4 | (uint32_t)digit;
    }
    return true;
}

static char *encode(uint32_t code, char *out)
{
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
        *out++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *out++ = (char)(0xe0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    } else {
        *out++ = (char)(0xf0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 0x3f));
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    }
    return out;
}

/* The four digits of \u are next; pairs of surrogates are one character. */
static bool read_unicode(struct tsn_json_reader *r, char **out)
{
    uint32_t code;
    uint32_t low;
    if (!read_hex4(r, &code) || (code >= 0xdc00 && code <= 0xdfff)) {
        return false;
    }
    if (code >= 0xd800 && code <= 0xdbff) {
        if (r->len - r->at < 6 || r->p[r->at] != '\\' || r->p[r->at + 1] != 'u') {
            return false;
        }
        r->at += 2;
        if (!read_hex4(r, &low) || low < 0xdc00 || low > 0xdfff) {
            return false;
        }
        code = 0x10000 + ((code - 0xd800) << 10 | (low - 0xdc00));
    }
    *out = encode(code, *out);
    return true;
}

/* Bytes up to the quote that ends a string, or to the end of the line. */
static size_t raw_length(const struct tsn_json_reader *r)
{
    size_t at = r->at;
    while (at < r->len && r->p[at] != '"') {
        at += r->p[at] == '\\' ? 2 : 1;
    }
    return (at < r->len ? at : r->len) - r->at;
}

/* Unescaped, and ended with a NUL that is not part of it. */
static bool read_string(struct tsn_json_reader *r, struct tsn_str *s)
{
    static const char plain[] = "\"\\/bfnrt";
    static const char meant[] = "\"\\/\b\f\n\r\t";
    size_t first = r->at++;
    char *text = tsn_arena_alloc(r->arena, raw_length(r) + 1); /* escapes only shrink */
    char *out = text;
    for (;;) {
        int c = peek(r);
        if (c < 0x20) {
            tsn_json_refuse(r, c < 0 ? first : r->at,
                            c < 0 ? "a string does not end"
                                  : "a control character must be escaped");
            return false;
        }
        r->at++;
        if (c == '"') {
            break;
        }
        if (c != '\\') {
            *out++ = (char)c;
            continue;
        }
        int escape = peek(r);
        const char *found = escape > 0 ? memchr(plain, escape, sizeof plain - 1) : NULL;
        r->at++;
        if (found) {
            *out++ = meant[found - plain];
        } else if (escape != 'u' || !read_unicode(r, &out)) {
            tsn_json_refuse(r, r->at - 1, "not a JSON escape");
            return false;
        }
    }
    *out = '\0';
    *s = (struct tsn_str){text, (uint32_t)(out - text)};
    return true;
}

/* ---- numbers, words -------------------------------------------------------- */

static size_t skip_digits(struct tsn_json_reader *r)
{
    size_t first = r->at;
    while (peek(r) >= '0' && peek(r) <= '9') {
        r->at++;
    }
    return r->at - first;
}

static struct tsn_json_node *read_number(struct tsn_json_reader *r)
{
    size_t first = r->at;
    r->at += peek(r) == '-';
    int lead = peek(r);
    size_t digits = skip_digits(r);
    bool ok = digits > 0 && (lead != '0' || digits == 1);
    if (ok && peek(r) == '.') {
        r->at++;
        ok = skip_digits(r) > 0;
    }
    if (ok && (peek(r) == 'e' || peek(r) == 'E')) {
        r->at++;
        r->at += peek(r) == '-' || peek(r) == '+';
        ok = skip_digits(r) > 0;
    }
    if (!ok) {
        return tsn_json_refuse(r, first, "not a JSON value");
    }
    struct tsn_json_node *json = json_new(r, TSN_JSON_NUMBER, first);
    json->s = (struct tsn_str){r->p + first, (uint32_t)(r->at - first)};
    return json;
}

static struct tsn_json_node *read_word(struct tsn_json_reader *r)
{
    static const struct {
        const char *word;
        enum tsn_json_kind kind;
    } words[] = {{"null", TSN_JSON_NULL}, {"false", TSN_JSON_FALSE}, {"true", TSN_JSON_TRUE}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t n = strlen(words[i].word);
        if (r->len - r->at >= n && memcmp(r->p + r->at, words[i].word, n) == 0) {
            r->at += n;
            return json_new(r, words[i].kind, r->at - n);
        }
    }
    return tsn_json_refuse(r, r->at, "not a JSON value");
}

/* ---- arrays, objects ------------------------------------------------------- */

static struct tsn_json_node *read_member(struct tsn_json_reader *r, bool is_object)
{
    struct tsn_str key = {NULL, 0};
    skip_space(r);
    if (is_object) {
        if (peek(r) != '"') {
            return tsn_json_refuse(r, r->at, "expected a member's name in quotes");
        }
        if (!read_string(r, &key)) {
            return NULL;
        }
        skip_space(r);
        if (peek(r) != ':') {
            return tsn_json_refuse(r, r->at, "expected ':'");
        }
        r->at++;
    }
    struct tsn_json_node *value = read_value(r);
    if (value) {
        value->key = key;
    }
    return value;
}

static struct tsn_json_node *read_members(struct tsn_json_reader *r, bool is_object)
{
    struct tsn_json_node *json = json_new(r, is_object ? TSN_JSON_OBJECT : TSN_JSON_ARRAY, r->at++);
    struct tsn_json_node **tail = &json->first;
    int close = is_object ? '}' : ']';
    skip_space(r);
    if (peek(r) == close) {
        r->at++;
        return json;
    }
    for (;;) {
        struct tsn_json_node *member = read_member(r, is_object);
        if (!member) {
            return NULL;
        }
        *tail = member;
        tail = &member->next;
        json->n++;
        skip_space(r);
        if (peek(r) == close) {
            r->at++;
            return json;
        }
        if (peek(r) != ',') {
            return tsn_json_refuse(r, r->at,
                                   is_object ? "expected ',' or '}'" : "expected ',' or ']'");
        }
        r->at++;
    }
}

static struct tsn_json_node *read_value(struct tsn_json_reader *r)
{
    skip_space(r);
    int c = peek(r);
    struct tsn_str s;
    size_t first = r->at;
    if (c == '{' || c == '[') {
        if (r->depth == DEPTH_MAX) {
            return tsn_json_refuse(r, r->at, "nested deeper than 64 levels");
        }
        r->depth++;
        struct tsn_json_node *json = read_members(r, c == '{');
        r->depth--;
        return json;
    }
    if (c == '"') {
        if (!read_string(r, &s)) {
            return NULL;
        }
        struct tsn_json_node *json = json_new(r, TSN_JSON_STRING, first);
        json->s = s;
        return json;
    }
    if (c == '-' || (c >= '0' && c <= '9')) {
        return read_number(r);
    }
    return c < 0 ? tsn_json_refuse(r, r->at, "the line ends too early") : read_word(r);
}

struct tsn_json_node *tsn_json_member(struct tsn_json_reader *r, const struct tsn_json_node *object,
                                      const char *key)
{
    struct tsn_json_node *found = NULL;
    for (struct tsn_json_node *m = object->first; m; m = m->next) {
        if (m->key.len == strlen(key) && memcmp(m->key.p, key, m->key.len) == 0) {
            if (found) {
                tsn_json_refuse(r, m->at, "a member stands there twice");
            }
            found = found ? found : m;
        }
    }
    return found;
}

struct tsn_json_node *tsn_json_tree_read(struct tsn_json_reader *r)
{
    size_t invalid = tsn_expr_invalid_utf8(r->p, r->len);
    if (invalid < r->len) {
        return tsn_json_refuse(r, invalid, "not valid UTF-8");
    }
    struct tsn_json_node *root = read_value(r);
    skip_space(r);
    if (root && r->at < r->len) {
        return tsn_json_refuse(r, r->at, "more than one value in the line");
    }
    return root;
}
