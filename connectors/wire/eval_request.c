/* Requests of `tocsin eval`, and its answers.
 *
 * A JSON reader of its own instead of cJSON: a request needs ints of 64 bits
 * (cJSON keeps doubles), strings that hold U+0000 (cJSON ends them there), invalid
 * UTF-8 refused with its place, and a bound on nesting. It reads a line into a
 * tree in the caller's arena; a wrong line is a reason, never more. Called by
 * connectors/eval for each line; costs the line's length.
 */
#include "connectors/wire/eval_request.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rules/must/must.h"

enum { JSON_DEPTH_MAX = 64, LIST_DEPTH_MAX = 16 };

enum json_kind {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

struct json {
    enum json_kind kind;
    uint32_t at;
    struct tsn_str s;   /* STRING: unescaped; NUMBER: as written */
    struct tsn_str key; /* as a member of an object */
    struct json *first; /* members or elements, in order */
    struct json *next;
    size_t n;
};

struct reader {
    const char *p;
    size_t len;
    size_t at;
    struct tsn_arena *arena;
    const char *why;
    size_t why_at;
    unsigned depth;
};

static struct json *read_value(struct reader *r);

static struct json *refuse(struct reader *r, size_t at, const char *why)
{
    if (!r->why) {
        r->why = why;
        r->why_at = at;
    }
    return NULL;
}

static int peek(const struct reader *r)
{
    return r->at < r->len ? (unsigned char)r->p[r->at] : -1;
}

static void skip_space(struct reader *r)
{
    while (peek(r) == ' ' || peek(r) == '\t' || peek(r) == '\r' || peek(r) == '\n') {
        r->at++;
    }
}

static struct json *json_new(struct reader *r, enum json_kind kind, size_t at)
{
    struct json *json = tsn_arena_zalloc(r->arena, 1, sizeof *json);
    json->kind = kind;
    json->at = (uint32_t)at;
    return json;
}

/* ---- strings --------------------------------------------------------------- */

static bool read_hex4(struct reader *r, uint32_t *out)
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
static bool read_unicode(struct reader *r, char **out)
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

static bool read_string(struct reader *r, struct tsn_str *s)
{
    static const char plain[] = "\"\\/bfnrt";
    static const char meant[] = "\"\\/\b\f\n\r\t";
    size_t first = r->at++;
    char *text = tsn_arena_alloc(r->arena, r->len - r->at + 1);
    char *out = text;
    for (;;) {
        int c = peek(r);
        if (c < 0x20) {
            refuse(r, c < 0 ? first : r->at,
                   c < 0 ? "a string does not end" : "a control character must be escaped");
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
            refuse(r, r->at - 1, "not a JSON escape");
            return false;
        }
    }
    *s = (struct tsn_str){text, (uint32_t)(out - text)};
    return true;
}

/* ---- numbers, words -------------------------------------------------------- */

static size_t skip_digits(struct reader *r)
{
    size_t first = r->at;
    while (peek(r) >= '0' && peek(r) <= '9') {
        r->at++;
    }
    return r->at - first;
}

static struct json *read_number(struct reader *r)
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
        return refuse(r, first, "not a JSON value");
    }
    struct json *json = json_new(r, JSON_NUMBER, first);
    json->s = (struct tsn_str){r->p + first, (uint32_t)(r->at - first)};
    return json;
}

static struct json *read_word(struct reader *r)
{
    static const struct {
        const char *word;
        enum json_kind kind;
    } words[] = {{"null", JSON_NULL}, {"false", JSON_FALSE}, {"true", JSON_TRUE}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t n = strlen(words[i].word);
        if (r->len - r->at >= n && memcmp(r->p + r->at, words[i].word, n) == 0) {
            r->at += n;
            return json_new(r, words[i].kind, r->at - n);
        }
    }
    return refuse(r, r->at, "not a JSON value");
}

/* ---- arrays, objects ------------------------------------------------------- */

static struct json *read_member(struct reader *r, bool is_object)
{
    struct tsn_str key = {NULL, 0};
    skip_space(r);
    if (is_object) {
        if (peek(r) != '"') {
            return refuse(r, r->at, "expected a member's name in quotes");
        }
        if (!read_string(r, &key)) {
            return NULL;
        }
        skip_space(r);
        if (peek(r) != ':') {
            return refuse(r, r->at, "expected ':'");
        }
        r->at++;
    }
    struct json *value = read_value(r);
    if (value) {
        value->key = key;
    }
    return value;
}

static struct json *read_members(struct reader *r, bool is_object)
{
    struct json *json = json_new(r, is_object ? JSON_OBJECT : JSON_ARRAY, r->at++);
    struct json **tail = &json->first;
    int close = is_object ? '}' : ']';
    skip_space(r);
    if (peek(r) == close) {
        r->at++;
        return json;
    }
    for (;;) {
        struct json *member = read_member(r, is_object);
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
            return refuse(r, r->at, is_object ? "expected ',' or '}'" : "expected ',' or ']'");
        }
        r->at++;
    }
}

static struct json *read_value(struct reader *r)
{
    skip_space(r);
    int c = peek(r);
    struct tsn_str s;
    size_t first = r->at;
    if (c == '{' || c == '[') {
        if (r->depth == JSON_DEPTH_MAX) {
            return refuse(r, r->at, "nested deeper than 64 levels");
        }
        r->depth++;
        struct json *json = read_members(r, c == '{');
        r->depth--;
        return json;
    }
    if (c == '"') {
        if (!read_string(r, &s)) {
            return NULL;
        }
        struct json *json = json_new(r, JSON_STRING, first);
        json->s = s;
        return json;
    }
    if (c == '-' || (c >= '0' && c <= '9')) {
        return read_number(r);
    }
    return c < 0 ? refuse(r, r->at, "the line ends too early") : read_word(r);
}

/* ---- the request ------------------------------------------------------------ */

static bool is(struct tsn_str s, const char *word)
{
    return s.len == strlen(word) && memcmp(s.p, word, s.len) == 0;
}

static struct json *member(const struct json *object, const char *key)
{
    for (struct json *m = object->first; m; m = m->next) {
        if (is(m->key, key)) {
            return m;
        }
    }
    return NULL;
}

static bool read_type(struct tsn_str text, struct tsn_expr_type *type)
{
    static const enum tsn_type scalars[] = {TSN_TYPE_BOOL,   TSN_TYPE_INT,       TSN_TYPE_DOUBLE,
                                            TSN_TYPE_STRING, TSN_TYPE_TIMESTAMP, TSN_TYPE_DURATION,
                                            TSN_TYPE_NULL};
    unsigned depth = 0;
    while (text.len > 6 && memcmp(text.p, "list(", 5) == 0 && text.p[text.len - 1] == ')') {
        text.p += 5;
        text.len -= 6;
        if (++depth > LIST_DEPTH_MAX) {
            return false;
        }
    }
    if (is(text, "list")) {
        *type = (struct tsn_expr_type){TSN_TYPE_LIST, TSN_TYPE_NULL, (uint8_t)(depth + 1)};
        return true;
    }
    for (size_t i = 0; i < sizeof scalars / sizeof scalars[0]; i++) {
        if (is(text, tsn_type_name(scalars[i])) && (depth == 0 || scalars[i] != TSN_TYPE_NULL)) {
            *type = (struct tsn_expr_type){depth ? TSN_TYPE_LIST : scalars[i], scalars[i],
                                           (uint8_t)depth};
            return true;
        }
    }
    return false;
}

static const char *read_scalar(const struct json *json, struct tsn_value *value)
{
    bool text = json->kind == JSON_STRING;
    bool number = json->kind == JSON_NUMBER;
    switch (value->type.type) {
    case TSN_TYPE_BOOL:
        value->b = json->kind == JSON_TRUE;
        return json->kind == JSON_TRUE || json->kind == JSON_FALSE ? NULL
                                                                   : "a bool is true or false";
    case TSN_TYPE_INT:
        return (text || number) && tsn_expr_read_int(json->s, &value->i)
                   ? NULL
                   : "an int is a whole number of 64 bits";
    case TSN_TYPE_DOUBLE:
        return (text || number) && tsn_expr_read_double(json->s, &value->d)
                   ? NULL
                   : "a double is a number, \"NaN\", \"Infinity\" or \"-Infinity\"";
    case TSN_TYPE_STRING:
        value->s = json->s;
        return text ? NULL : "a string is written in quotes";
    case TSN_TYPE_TIMESTAMP:
        return text && tsn_expr_read_timestamp(json->s, &value->t)
                   ? NULL
                   : "a timestamp is RFC 3339 text of the years 0001 to 9999";
    case TSN_TYPE_DURATION:
        return text && tsn_expr_read_duration(json->s, &value->t)
                   ? NULL
                   : "a duration is text such as \"3600s\", at most 292 years";
    default:
        return json->kind == JSON_NULL ? NULL : "the value of null is null";
    }
}

static const char *read_typed(struct reader *r, const struct json *json, struct tsn_value *value)
{
    if (value->type.type != TSN_TYPE_LIST) {
        return read_scalar(json, value);
    }
    if (json->kind != JSON_ARRAY) {
        return "a list is an array";
    }
    if (value->type.depth == 1 && value->type.element == TSN_TYPE_NULL && json->n) {
        return "a list with elements needs their type: list(int)";
    }
    struct tsn_value *items = tsn_arena_zalloc(r->arena, json->n + 1, sizeof *items);
    struct tsn_list_value *list = tsn_arena_alloc(r->arena, sizeof *list);
    size_t i = 0;
    for (const struct json *item = json->first; item; item = item->next, i++) {
        items[i].type = value->type.depth > 1
                            ? (struct tsn_expr_type){TSN_TYPE_LIST, value->type.element,
                                                     (uint8_t)(value->type.depth - 1)}
                            : (struct tsn_expr_type){value->type.element, value->type.element, 0};
        const char *why = read_typed(r, item, &items[i]);
        if (why) {
            return why;
        }
    }
    *list = (struct tsn_list_value){json->n, items};
    value->list = list;
    return NULL;
}

static bool read_binding(struct reader *r, const struct json *json,
                         struct tsn_eval_binding *binding)
{
    if (json->key.len == 0 || memchr(json->key.p, '\0', json->key.len)) {
        return refuse(r, json->at, "a binding needs a name");
    }
    binding->name = tsn_arena_strdup(r->arena, json->key.p, json->key.len);
    const struct json *type = json->kind == JSON_OBJECT ? member(json, "type") : NULL;
    if (!type || type->kind != JSON_STRING || !read_type(type->s, &binding->value.type)) {
        return refuse(r, json->at,
                      "a binding needs a type: bool int double string timestamp duration null, or "
                      "list(...) of one");
    }
    const struct json *missing = member(json, "missing");
    const struct json *value = member(json, "value");
    if (missing && missing->kind == JSON_TRUE) {
        binding->value.state = TSN_STATE_MISSING;
        return value ? refuse(r, value->at, "a binding is missing or has a value") != NULL : true;
    }
    if (!value) {
        return refuse(r, json->at, "a binding needs \"value\" or \"missing\": true");
    }
    const char *why = read_typed(r, value, &binding->value);
    return why ? refuse(r, value->at, why) != NULL : true;
}

static bool read_bindings(struct reader *r, const struct json *object,
                          struct tsn_eval_request *request)
{
    if (!object) {
        return true;
    }
    if (object->kind != JSON_OBJECT) {
        return refuse(r, object->at, "\"bindings\" must be an object");
    }
    struct tsn_eval_binding *bindings = tsn_arena_zalloc(r->arena, object->n + 1, sizeof *bindings);
    size_t n = 0;
    for (const struct json *m = object->first; m; m = m->next) {
        if (!read_binding(r, m, &bindings[n])) {
            return false;
        }
        for (size_t i = 0; i < n; i++) {
            if (strcmp(bindings[i].name, bindings[n].name) == 0) {
                return refuse(r, m->at, "bound twice");
            }
        }
        n++;
    }
    request->n_bindings = n;
    request->bindings = bindings;
    return true;
}

static bool read_request(struct reader *r, struct tsn_eval_request *request)
{
    size_t invalid = tsn_expr_invalid_utf8(r->p, r->len);
    if (invalid < r->len) {
        return refuse(r, invalid, "not valid UTF-8");
    }
    struct json *json = read_value(r);
    skip_space(r);
    if (json && r->at < r->len) {
        return refuse(r, r->at, "more than one value in the line");
    }
    if (!json) {
        return false;
    }
    const struct json *expr = json->kind == JSON_OBJECT ? member(json, "expr") : NULL;
    if (!expr || expr->kind != JSON_STRING) {
        return refuse(r, json->at, "a request is an object with \"expr\", a string");
    }
    request->expr = expr->s;
    return read_bindings(r, member(json, "bindings"), request);
}

bool tsn_eval_request_read(const char *line, size_t len, struct tsn_arena *arena,
                           struct tsn_eval_request *request, const char **why, uint32_t *column)
{
    struct reader r = {.p = line, .len = len, .arena = arena};
    *request = (struct tsn_eval_request){.n_bindings = 0};
    if (read_request(&r, request)) {
        return true;
    }
    *why = r.why;
    *column = 1;
    for (size_t i = 0; i < r.why_at && i < len; i++) {
        *column += ((unsigned char)line[i] & 0xc0) != 0x80;
    }
    return false;
}

/* ---- answers ---------------------------------------------------------------- */

static void print_string(FILE *out, const char *p, size_t len)
{
    fputc('"', out);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)p[i];
        if (c == '"' || c == '\\') {
            fprintf(out, "\\%c", c);
        } else if (c < 0x20 || c == 0x7f) {
            fprintf(out, "\\u%04x", c);
        } else {
            fputc(c, out);
        }
    }
    fputc('"', out);
}

static void print_plain(FILE *out, const struct tsn_value *value)
{
    static const int64_t exact = INT64_C(1) << 53;
    char text[40];
    switch (value->type.type) {
    case TSN_TYPE_BOOL:
        fputs(value->b ? "true" : "false", out);
        break;
    case TSN_TYPE_INT: /* readers that keep doubles must not round it */
        fprintf(out, value->i >= -exact && value->i <= exact ? "%lld" : "\"%lld\"",
                (long long)value->i);
        break;
    case TSN_TYPE_DOUBLE: {
        size_t len = tsn_expr_print(value, text);
        fprintf(out, isfinite(value->d) ? "%.*s" : "\"%.*s\"", (int)len, text);
        break;
    }
    case TSN_TYPE_STRING:
        print_string(out, value->s.p, value->s.len);
        break;
    case TSN_TYPE_TIMESTAMP:
    case TSN_TYPE_DURATION: {
        size_t len = tsn_expr_print(value, text);
        fprintf(out, "\"%.*s\"", (int)len, text);
        break;
    }
    case TSN_TYPE_LIST:
        fputc('[', out);
        for (size_t i = 0; i < value->list->n; i++) {
            fputs(i ? ", " : "", out);
            print_plain(out, &value->list->items[i]);
        }
        fputc(']', out);
        break;
    default:
        fputs("null", out);
        break;
    }
}

static void print_type(FILE *out, const struct tsn_value *value)
{
    if (value->type.type != TSN_TYPE_LIST) {
        fputs(tsn_type_name(value->type.type), out);
        return;
    }
    unsigned depth = value->list->n ? value->type.depth : 1; /* an empty list is a list */
    bool any = value->list->n == 0 || value->type.element == TSN_TYPE_NULL;
    for (unsigned i = any; i < depth; i++) {
        fputs("list(", out);
    }
    fputs(any ? "list" : tsn_type_name(value->type.element), out);
    for (unsigned i = any; i < depth; i++) {
        fputc(')', out);
    }
}

void tsn_eval_response_value(FILE *out, const struct tsn_value *value)
{
    fputs("{\"type\": \"", out);
    print_type(out, value);
    fputs("\", \"value\": ", out);
    print_plain(out, value);
    fputs("}\n", out);
}

void tsn_eval_response_missing(FILE *out)
{
    fputs("{\"missing\": true}\n", out);
}

void tsn_eval_response_error(FILE *out, const char *stage, const char *message, uint32_t column)
{
    fprintf(out, "{\"error\": {\"stage\": \"%s\", \"message\": ", stage);
    print_string(out, message, strlen(message));
    fprintf(out, ", \"column\": %u}}\n", column);
}
