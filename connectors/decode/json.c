#include "connectors/decode/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/decode/decimal.h"
#include "connectors/decode/simdjson_shim.h"
#include "connectors/decode/wordset.h"
#include "rules/must/must.h"

enum { DEPTH_MAX = 1024 };

/* A place that pointers name or pass through. Node 0 is the record itself. */
struct node {
    struct tsn_str name;
    int parent;
    uint32_t n_children;
    int *children; /* [n_children] */
    struct tsn_wordset names;
};

struct slot {
    struct tsn_json_value value;
    uint32_t reading; /* the reading that set it: nothing has to be cleared */
};

struct tsn_json_reader {
    struct tsn_arena arena;
    struct tsn_simdjson *simdjson;
    int n_nodes;
    struct node *nodes;
    struct slot *slots; /* [n_nodes] */
    uint32_t reading;
    size_t max_bytes;
    char *text;    /* the record, padded */
    char *scratch; /* unescaped strings: never longer than the record */
};

const char *tsn_json_kind_name(enum tsn_json_kind kind)
{
    static const char *const names[] = {
        [TSN_JSON_ABSENT] = "nothing",  [TSN_JSON_NULL] = "null",   [TSN_JSON_BOOL] = "a boolean",
        [TSN_JSON_NUMBER] = "a number", [TSN_JSON_STRING] = "text", [TSN_JSON_OBJECT] = "an object",
        [TSN_JSON_ARRAY] = "an array",
    };
    TSN_MUST(kind < sizeof names / sizeof names[0]);
    return names[kind];
}

/* ---- pointers ---------------------------------------------------------------- */

const char *tsn_json_pointer_error(const char *pointer)
{
    if (pointer[0] != '/') {
        return "a JSON pointer begins with '/'";
    }
    int tokens = 0;
    for (const char *p = pointer; *p; p++) {
        tokens += *p == '/';
        if (*p == '~' && p[1] != '0' && p[1] != '1') {
            return "in a JSON pointer '~' is written ~0 and a '/' inside a name ~1";
        }
    }
    return tokens > TSN_JSON_POINTER_TOKENS ? "a JSON pointer may have 16 parts at most" : NULL;
}

static int child_of(struct tsn_json_reader *reader, int parent, struct tsn_str name)
{
    for (int i = 1; i < reader->n_nodes; i++) {
        const struct node *node = &reader->nodes[i];
        if (node->parent == parent && node->name.len == name.len &&
            memcmp(node->name.p, name.p, name.len) == 0) {
            return i;
        }
    }
    reader->nodes[reader->n_nodes] = (struct node){.name = name, .parent = parent};
    return reader->n_nodes++;
}

static int pointer_add(struct tsn_json_reader *reader, const char *pointer)
{
    int at = 0;
    TSN_MUST(!tsn_json_pointer_error(pointer));
    while (*pointer == '/') {
        size_t len = strcspn(++pointer, "/");
        char *name = tsn_arena_alloc(&reader->arena, len + 1);
        uint32_t n = 0;
        for (size_t i = 0; i < len; i++) {
            bool escaped = pointer[i] == '~';
            name[n++] = escaped ? (pointer[++i] == '0' ? '~' : '/') : pointer[i];
        }
        at = child_of(reader, at, (struct tsn_str){name, n});
        pointer += len;
    }
    return at;
}

static void children_link(struct tsn_json_reader *reader, int parent)
{
    struct node *node = &reader->nodes[parent];
    for (int i = 1; i < reader->n_nodes; i++) {
        node->n_children += reader->nodes[i].parent == parent;
    }
    struct tsn_str *names = tsn_arena_zalloc(&reader->arena, node->n_children + 1, sizeof *names);
    node->children = tsn_arena_zalloc(&reader->arena, node->n_children + 1, sizeof(int));
    uint32_t n = 0;
    for (int i = 1; i < reader->n_nodes; i++) {
        if (reader->nodes[i].parent == parent) {
            names[n] = reader->nodes[i].name;
            node->children[n++] = i;
        }
    }
    tsn_wordset_make(&node->names, names, n, &reader->arena);
}

struct tsn_json_reader *tsn_json_reader_new(const char *const *pointers, size_t n, int *slots,
                                            size_t max_bytes)
{
    struct tsn_json_reader *reader = calloc(1, sizeof *reader);
    TSN_MUST_ALLOC(reader);
    tsn_arena_init(&reader->arena, 0);
    reader->nodes =
        tsn_arena_zalloc(&reader->arena, n * TSN_JSON_POINTER_TOKENS + 1, sizeof *reader->nodes);
    reader->nodes[0].parent = -1;
    reader->n_nodes = 1;
    for (size_t i = 0; i < n; i++) {
        slots[i] = pointer_add(reader, pointers[i]);
    }
    for (int i = 0; i < reader->n_nodes; i++) {
        children_link(reader, i);
    }
    reader->slots =
        tsn_arena_zalloc(&reader->arena, (size_t)reader->n_nodes, sizeof *reader->slots);
    reader->max_bytes = max_bytes;
    reader->text = malloc(max_bytes + TSN_SIMDJSON_PADDING);
    reader->scratch = malloc(max_bytes + 1);
    TSN_MUST_ALLOC(reader->text);
    TSN_MUST_ALLOC(reader->scratch);
    reader->simdjson = tsn_simdjson_new(max_bytes);
    return reader;
}

void tsn_json_reader_free(struct tsn_json_reader *reader)
{
    if (!reader) {
        return;
    }
    tsn_simdjson_free(reader->simdjson);
    free(reader->text);
    free(reader->scratch);
    tsn_arena_free(&reader->arena);
    free(reader);
}

struct tsn_json_value tsn_json_at(const struct tsn_json_reader *reader, int slot)
{
    const struct slot *of = &reader->slots[slot];
    return of->reading == reader->reading ? of->value : (struct tsn_json_value){0};
}

enum tsn_json_kind tsn_json_above(const struct tsn_json_reader *reader, int slot)
{
    int at = reader->nodes[slot].parent;
    while (at > 0 && reader->slots[at].reading != reader->reading) {
        at = reader->nodes[at].parent;
    }
    return at > 0 ? reader->slots[at].value.kind : TSN_JSON_OBJECT;
}

/* ---- the walk ---------------------------------------------------------------- */

struct walk {
    struct tsn_json_reader *reader;
    const char *text;
    uint32_t len;
    const uint32_t *tokens;
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

static inline char peek(const struct walk *w)
{
    return w->at < w->n ? w->text[w->tokens[w->at]] : '\0';
}

/* End of the token looked at: the next one, less the white space between. */
static inline uint32_t token_end(const struct walk *w)
{
    uint32_t end = w->at + 1 < w->n ? w->tokens[w->at + 1] : w->len;
    while (w->text[end - 1] == ' ' || w->text[end - 1] == '\n' || w->text[end - 1] == '\r' ||
           w->text[end - 1] == '\t') {
        end--;
    }
    return end;
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
    *out = (struct tsn_json_value){TSN_JSON_STRING, end - start - 2, w->text + start + 1};
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
    *out = (struct tsn_json_value){kind, len, w->text + start};
    w->at++;
    return true;
}

static bool scalar(struct walk *w, struct tsn_json_value *out)
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
    default: {
        if (w->at >= w->n) {
            return expected(w, "a value");
        }
        uint32_t start = w->tokens[w->at], len = token_end(w) - start;
        if (!tsn_decimal_is(w->text + start, len)) {
            return expected(w, "a value");
        }
        *out = (struct tsn_json_value){TSN_JSON_NUMBER, len, w->text + start};
        w->at++;
        return true;
    }
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

/* Steps over any value, checking all of it, without recursion: what nobody maps
 * may be nested as deep as the limit. */
static bool skip(struct walk *w)
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

static bool object(struct walk *w, const struct node *node);
static bool array(struct walk *w, const struct node *node);

/* A value that a pointer names or passes through. Recursion is bounded by the
 * longest pointer. */
static bool mapped(struct walk *w, int at)
{
    const struct node *node = &w->reader->nodes[at];
    struct slot *slot = &w->reader->slots[at];
    if (slot->reading == w->reader->reading) {
        w->twice = true;
        return expected(w, "a mapped member only once");
    }
    slot->reading = w->reader->reading;
    char c = peek(w);
    if (c == '{') {
        slot->value = (struct tsn_json_value){.kind = TSN_JSON_OBJECT};
        return node->n_children ? object(w, node) : skip(w);
    }
    if (c == '[') {
        slot->value = (struct tsn_json_value){.kind = TSN_JSON_ARRAY};
        return node->n_children ? array(w, node) : skip(w);
    }
    return scalar(w, &slot->value);
}

static bool object(struct walk *w, const struct node *node)
{
    struct tsn_json_value name;
    if (!open_one(w)) {
        return false;
    }
    if (peek(w) == '}') {
        w->at++;
        w->depth--;
        return true;
    }
    for (;;) {
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

static bool array(struct walk *w, const struct node *node)
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

enum tsn_json_outcome tsn_json_read(struct tsn_json_reader *reader, const char *bytes, size_t len,
                                    struct tsn_json_error *error)
{
    TSN_MUST(len <= reader->max_bytes);
    *error = (struct tsn_json_error){0, "a JSON object"};
    if (++reader->reading == 0) { /* after 2^32 readings the stamps are old */
        memset(reader->slots, 0, (size_t)reader->n_nodes * sizeof *reader->slots);
        reader->reading = 1;
    }
    if (len == 0) {
        return TSN_JSON_MALFORMED;
    }
    memcpy(reader->text, bytes, len);
    memset(reader->text + len, ' ', TSN_SIMDJSON_PADDING);
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
    return TSN_JSON_OK;
}
