#include "connectors/decode/walk.h"

#include <stdio.h>
#include <string.h>

#include "connectors/decode/decimal.h"
#include "connectors/decode/digits.h"
#include "rules/must/must.h"

enum { DEPTH_MAX = 1024 };

struct walk {
    struct tsn_json_reader *reader;
    const char *text;
    uint32_t len;
    const uint32_t *tokens; /* [n], then the text's end twice, where a blank stands */
    uint32_t n;
    uint32_t at;    /* the token looked at */
    uint32_t depth; /* objects and arrays that are open */
    bool escapes;   /* a backslash stands somewhere in the record */
    char *scratch;
    bool twice;
    struct tsn_json_error *error;
};

static bool expected(struct walk *w, const char *what)
{
    w->error->at = w->at < w->n ? w->tokens[w->at] : w->len;
    w->error->expected = what;
    return false;
}

/* Behind the last token: a blank. */
static inline char peek(const struct walk *w)
{
    return w->text[w->tokens[w->at]];
}

/* End of the token looked at. */
static inline uint32_t token_end(const struct walk *w)
{
    return (uint32_t)(tsn_json_token_end(w->text, w->tokens + w->at) - w->text);
}

static bool hex4(const char *p, const char *end, uint32_t *out)
{
    if (end - p < 4) {
        return false;
    }
    *out = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        uint32_t digit;
        if (c >= '0' && c <= '9') {
            digit = (uint32_t)(c - '0');
        } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
            digit = (uint32_t)((c | 0x20) - 'a') + 10;
        } else {
            return false;
        }
        *out = *out * 16 + digit;
    }
    return true;
}

static char *utf8_put(char *to, uint32_t c)
{
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xc0 | c >> 6);
        *to++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *to++ = (char)(0xe0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
        *to++ = (char)(0x80 | (c & 0x3f));
    } else {
        *to++ = (char)(0xf0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 0x3f));
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
        *to++ = (char)(0x80 | (c & 0x3f));
    }
    return to;
}

/* \uXXXX at p (after the u), a surrogate pair as one character. NULL if there is no
 * such character: half a pair has no UTF-8. */
static const char *unicode_escape(const char *p, const char *end, char **to)
{
    uint32_t c, low;
    if (!hex4(p, end, &c)) {
        return NULL;
    }
    p += 4;
    if (c >= 0xd800 && c < 0xdc00) {
        if (end - p < 6 || p[0] != '\\' || p[1] != 'u' || !hex4(p + 2, end, &low) || low < 0xdc00 ||
            low > 0xdfff) {
            return NULL;
        }
        c = 0x10000 + ((c - 0xd800) << 10 | (low - 0xdc00));
        p += 6;
    } else if (c >= 0xdc00 && c < 0xe000) {
        return NULL;
    }
    *to = utf8_put(*to, c);
    return p;
}

/* Replaces a string by its unescaped form in scratch. */
static bool unescape(struct walk *w, struct tsn_json_value *value)
{
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    const char *p = value->p, *end = p + value->len;
    char *to = w->scratch;
    while (p < end) {
        if (*p != '\\') {
            *to++ = *p++;
            continue;
        }
        const char *known = p + 1 < end && p[1] ? strchr(from, p[1]) : NULL;
        if (known) {
            *to++ = into[known - from];
            p += 2;
        } else if (p + 1 < end && p[1] == 'u') {
            p = unicode_escape(p + 2, end, &to);
            if (!p) {
                return expected(w, "a whole character after \\u");
            }
        } else {
            return expected(w, "one of \" \\ / b f n r t u after a backslash");
        }
    }
    value->p = w->scratch;
    value->len = (uint32_t)(to - w->scratch);
    w->scratch = to;
    return true;
}

/* The string looked at; advances. */
static inline bool string(struct walk *w, struct tsn_json_value *out)
{
    uint32_t start = w->tokens[w->at], end = token_end(w);
    if (end - start < 2 || w->text[end - 1] != '"') {
        return expected(w, "a closing quote");
    }
    *out = (struct tsn_json_value){
        .kind = TSN_JSON_STRING, .len = end - start - 2, .p = w->text + start + 1};
    if (w->escapes && memchr(out->p, '\\', out->len) && !unescape(w, out)) {
        return false;
    }
    w->at++;
    return true;
}

static bool word(struct walk *w, const char *text, enum tsn_json_kind kind,
                 struct tsn_json_value *out)
{
    uint32_t start = w->tokens[w->at], len = token_end(w) - start;
    if (len != strlen(text) || memcmp(w->text + start, text, len) != 0) {
        return expected(w, "a value");
    }
    *out = (struct tsn_json_value){.kind = kind, .len = len, .p = w->text + start};
    w->at++;
    return true;
}

/* An integer of up to 16 digits, as nearly all numbers of records are. Reads up to 8
 * bytes behind it: the text is padded. Left to the compiler, which calls it: forced
 * into the loop, it costs that loop's registers and a fifth of decode. */
static inline bool plain_integer(const char *p, uint32_t len, int64_t *out)
{
    if (len - 1 > 15 || (*p == '0' && len > 1)) { /* also 0: nothing */
        return false;
    }
    uint64_t high = len > 8 ? tsn_digits_front(p, len - 8) : TSN_DIGITS_ZEROS;
    uint64_t low = len > 8 ? tsn_digits_load(p + len - 8) : tsn_digits_front(p, len);
    if (!tsn_digits_are(high) || !tsn_digits_are(low)) {
        return false;
    }
    *out = (int64_t)(tsn_digits_value(high) * 100000000 + tsn_digits_value(low));
    return true;
}

static bool number(struct walk *w, struct tsn_json_value *out)
{
    if (w->at >= w->n) {
        return expected(w, "a value");
    }
    uint32_t start = w->tokens[w->at], len = token_end(w) - start;
    const char *p = w->text + start;
    *out = (struct tsn_json_value){.kind = TSN_JSON_NUMBER, .len = len, .p = p};
    out->plain = plain_integer(p, len, &out->integer);
    if (!out->plain && !tsn_decimal_is(p, len)) {
        return expected(w, "a value");
    }
    w->at++;
    return true;
}

static inline bool scalar(struct walk *w, struct tsn_json_value *out)
{
    switch (peek(w)) {
    case '"':
        return string(w, out);
    case 't':
        return word(w, "true", TSN_JSON_BOOL, out);
    case 'f':
        return word(w, "false", TSN_JSON_BOOL, out);
    case 'n':
        return word(w, "null", TSN_JSON_NULL, out);
    default:
        return number(w, out);
    }
}

static inline bool key(struct walk *w, struct tsn_json_value *out)
{
    if (peek(w) != '"') {
        return expected(w, "a member name in quotes");
    }
    if (!string(w, out)) {
        return false;
    }
    if (peek(w) != ':') {
        return expected(w, "':' after a member name");
    }
    w->at++;
    return true;
}

static bool open_one(struct walk *w)
{
    if (++w->depth >= DEPTH_MAX) {
        return expected(w, "at most 1023 levels of nesting");
    }
    w->at++;
    return true;
}

/* Steps over an object or array, checking all of it, without recursion: what nobody
 * maps may be nested as deep as the limit. */
static bool skip_nested(struct walk *w)
{
    uint64_t objects[DEPTH_MAX / 64]; /* which open levels are objects */
    uint32_t base = w->depth;
    struct tsn_json_value ignored;
    for (;;) {
        char c = peek(w);
        if (c == '{' || c == '[') {
            bool object = c == '{';
            if (!open_one(w)) {
                return false;
            }
            if (object) {
                tsn_bits_set(objects, w->depth);
            } else {
                tsn_bits_clear(objects, w->depth);
            }
            if (peek(w) != (object ? '}' : ']')) {
                if (object && !key(w, &ignored)) {
                    return false;
                }
                continue;
            }
            w->at++;
            w->depth--;
        } else if (!scalar(w, &ignored)) {
            return false;
        }
        /* after a value: close levels until one goes on */
        while (w->depth > base) {
            bool object = tsn_bits_get(objects, w->depth);
            c = peek(w);
            if (c == ',') {
                w->at++;
                if (object && !key(w, &ignored)) {
                    return false;
                }
                break;
            }
            if (c != (object ? '}' : ']')) {
                return expected(w, object ? "',' or '}'" : "',' or ']'");
            }
            w->at++;
            w->depth--;
        }
        if (w->depth == base) {
            return true;
        }
    }
}

static inline bool skip(struct walk *w)
{
    struct tsn_json_value ignored;
    char c = peek(w);
    return c == '{' || c == '[' ? skip_nested(w) : scalar(w, &ignored);
}

static bool object(struct walk *w, const struct tsn_json_node *node);
static bool array(struct walk *w, const struct tsn_json_node *node);

/* A value that a pointer names or passes through. Recursion is bounded by the
 * longest pointer. */
static bool mapped(struct walk *w, int at)
{
    const struct tsn_json_node *node = &w->reader->nodes[at];
    struct tsn_json_slot *slot = &w->reader->slots[at];
    if (slot->reading == w->reader->reading) {
        w->twice = true;
        return expected(w, "a mapped member only once");
    }
    slot->reading = w->reader->reading;
    const char *start = w->text + w->tokens[w->at]; /* by it, the shape finds its slot */
    char c = *start;
    if (c == '{') {
        slot->value = (struct tsn_json_value){.kind = TSN_JSON_OBJECT, .p = start};
        return node->n_children ? object(w, node) : skip(w);
    }
    if (c == '[') {
        slot->value = (struct tsn_json_value){.kind = TSN_JSON_ARRAY, .p = start};
        return node->n_children ? array(w, node) : skip(w);
    }
    return scalar(w, &slot->value);
}

static bool object(struct walk *w, const struct tsn_json_node *node)
{
    if (!open_one(w)) {
        return false;
    }
    if (peek(w) == '}') {
        w->at++;
        w->depth--;
        return true;
    }
    for (;;) {
        struct tsn_json_value name;
        if (!key(w, &name)) {
            return false;
        }
        int32_t child = tsn_wordset_find(&node->names, name.p, name.len);
        if (!(child < 0 ? skip(w) : mapped(w, node->children[child]))) {
            return false;
        }
        char c = peek(w);
        if (c != ',' && c != '}') {
            return expected(w, "',' or '}'");
        }
        w->at++;
        if (c == '}') {
            w->depth--;
            return true;
        }
    }
}

static bool array(struct walk *w, const struct tsn_json_node *node)
{
    char name[16];
    if (!open_one(w)) {
        return false;
    }
    if (peek(w) == ']') {
        w->at++;
        w->depth--;
        return true;
    }
    for (uint32_t i = 0;; i++) {
        int len = snprintf(name, sizeof name, "%u", (unsigned)i);
        int32_t child = tsn_wordset_find(&node->names, name, (uint32_t)len);
        if (!(child < 0 ? skip(w) : mapped(w, node->children[child]))) {
            return false;
        }
        char c = peek(w);
        if (c != ',' && c != ']') {
            return expected(w, "',' or ']'");
        }
        w->at++;
        if (c == ']') {
            w->depth--;
            return true;
        }
    }
}

/* Forgets what stands in the slots. */
static void begin(struct tsn_json_reader *reader)
{
    if (++reader->reading == 0) { /* after 2^32 readings the stamps are old */
        memset(reader->slots, 0, (size_t)reader->n_nodes * sizeof *reader->slots);
        reader->reading = 1;
    }
}

/* Reads the record of len bytes in reader->text, of whatever shape, and learns it. */
static enum tsn_json_outcome walk_record(struct tsn_json_reader *reader, size_t len,
                                         struct tsn_json_error *error)
{
    struct walk w = {
        .reader = reader,
        .text = reader->text,
        .len = (uint32_t)len,
        .scratch = reader->scratch,
        .error = error,
    };
    enum tsn_simdjson_verdict verdict =
        tsn_simdjson_index(reader->simdjson, reader->text, len, &w.tokens, &w.n);
    if (verdict != TSN_SIMDJSON_OK) {
        error->expected = "closed strings without control characters";
        return verdict == TSN_SIMDJSON_UTF8 ? TSN_JSON_UTF8 : TSN_JSON_MALFORMED;
    }
    w.escapes = memchr(reader->text, '\\', len) != NULL;
    if (peek(&w) != '{') {
        expected(&w, "a JSON object");
        return TSN_JSON_MALFORMED;
    }
    if (!object(&w, &reader->nodes[0])) {
        return w.twice ? TSN_JSON_TWICE : TSN_JSON_MALFORMED;
    }
    if (w.at != w.n) {
        expected(&w, "nothing after the object");
        return TSN_JSON_MALFORMED;
    }
    if (!w.escapes) {
        tsn_shape_learn(reader, len, w.tokens, w.n);
    }
    return TSN_JSON_OK;
}

enum tsn_json_outcome tsn_json_read(struct tsn_json_reader *reader, const char *bytes, size_t len,
                                    struct tsn_json_error *error)
{
    TSN_MUST(len <= reader->max_bytes);
    *error = (struct tsn_json_error){0, "a JSON object"};
    begin(reader);
    if (len == 0) {
        return TSN_JSON_MALFORMED;
    }
    memcpy(reader->text, bytes, len);
    memset(reader->text + len, ' ', TSN_SIMDJSON_PADDING);
    if (tsn_shape_read(reader, len)) {
        return TSN_JSON_OK;
    }
    begin(reader);
    return walk_record(reader, len, error);
}
