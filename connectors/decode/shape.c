#include "connectors/decode/shape.h"

#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "connectors/decode/decimal.h"
#include "connectors/decode/digits.h"
#include "connectors/decode/walk.h"

/* A tree without room is forgotten after so many records that were not in it, so that a
 * feed which changes is learned again, and learning never is what a feed costs. */
enum { FORGET_MISSES = 1 << 14 };
/* Tokens of a record that is not worth its room. */
enum { LEARN_TOKENS = TSN_SHAPE_STEPS };

/* ---- reading ------------------------------------------------------------------------ */

/* Texts are compared and strings scanned 16 bytes at a time where the machine's basic
 * instruction set can (x86-64), else 8. `seen` gathers the bytes of strings, to tell
 * whether all are ASCII. */
#if defined(__SSE2__)
typedef __m128i bytes_seen;

static inline __m128i load(const char *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

static inline bytes_seen seen_nothing(void)
{
    return _mm_setzero_si128();
}

static inline bool seen_ascii(bytes_seen seen)
{
    return _mm_movemask_epi8(seen) == 0;
}

/* Does the step's text stand at p? Reads 32 bytes. */
static inline bool stands(const struct tsn_shape_step *step, const char *p)
{
    __m128i low = _mm_cmpeq_epi8(load(p), load(step->text));
    __m128i high = _mm_cmpeq_epi8(load(p + 16), load(step->text + 16));
    uint32_t equal = (uint32_t)_mm_movemask_epi8(low) | (uint32_t)_mm_movemask_epi8(high) << 16;
    return (equal | step->others) == UINT32_MAX;
}

/* The closing quote of a string without escapes and control characters that begins at
 * p, or NULL. Reads up to 15 bytes behind end. */
static inline const char *string_end(const char *p, const char *end, bytes_seen *seen)
{
    for (; p < end; p += 16) {
        __m128i at = load(p);
        __m128i quote = _mm_cmpeq_epi8(at, _mm_set1_epi8('"'));
        __m128i slash = _mm_cmpeq_epi8(at, _mm_set1_epi8('\\'));
        __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(at, _mm_set1_epi8(0x1f)), at);
        __m128i any = _mm_or_si128(_mm_or_si128(quote, slash), control);
        uint32_t stops = (uint32_t)_mm_movemask_epi8(any);
        *seen = _mm_or_si128(*seen, at);
        if (stops) {
            p += __builtin_ctz(stops);
            return *p == '"' ? p : NULL;
        }
    }
    return NULL;
}
#else
typedef uint64_t bytes_seen;

static inline bytes_seen seen_nothing(void)
{
    return 0;
}

static inline bool seen_ascii(bytes_seen seen)
{
    return (seen & UINT64_C(0x8080808080808080)) == 0;
}

static inline bool stands(const struct tsn_shape_step *step, const char *p)
{
    return memcmp(p, step->text, step->len) == 0;
}

static inline const char *string_end(const char *p, const char *end, bytes_seen *seen)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
    for (; p < end; p += 8) {
        uint64_t at = tsn_digits_load(p), quote = at ^ ones * '"', slash = at ^ ones * '\\';
        uint64_t stops =
            (((quote - ones) & ~quote) | ((slash - ones) & ~slash) | ((at - ones * ' ') & ~at)) &
            high; /* exact up to the first of them */
        *seen |= at;
        if (stops) {
            p += __builtin_ctzll(stops) / 8;
            return *p == '"' ? p : NULL;
        }
    }
    return NULL;
}
#endif

/* A number with a sign, a fraction, an exponent or more than 16 digits. */
static const char *any_number(const char *p, struct tsn_json_value *out)
{
    const char *end = p;
    while ((unsigned char)(*end - '0') < 10 || *end == '-' || *end == '+' || *end == '.' ||
           (*end | 0x20) == 'e') {
        end++;
    }
    out->len = (uint32_t)(end - p);
    out->plain = false;
    return tsn_decimal_is(p, out->len) ? end : NULL;
}

/* The end of the number at p, or NULL. Reads up to 17 bytes. */
static inline const char *number_end(const char *p, struct tsn_json_value *out)
{
    static const uint32_t powers[] = {1,      10,      100,      1000,     10000,
                                      100000, 1000000, 10000000, 100000000};
    uint64_t word = tsn_digits_load(p);
    uint32_t n = tsn_digits_count(word);
    int64_t value;
    if (n == 0 || (*p == '0' && n > 1)) {
        return any_number(p, out);
    }
    if (n < 8) {
        value = (int64_t)tsn_digits_value(tsn_digits_first(word, n));
    } else {
        uint64_t second = tsn_digits_load(p + 8);
        uint32_t more = tsn_digits_count(second);
        value = (int64_t)tsn_digits_value(word) * powers[more];
        if (more > 0) {
            value += (int64_t)tsn_digits_value(tsn_digits_front(p + 8, more));
        }
        n += more;
    }
    char behind = p[n];
    if (behind == '.' || (behind | 0x20) == 'e' || (unsigned char)(behind - '0') < 10) {
        return any_number(p, out);
    }
    out->len = n;
    out->plain = true;
    out->integer = value;
    return p + n;
}

static inline const char *word_end(const char *p, const char *word, uint32_t len,
                                   struct tsn_json_value *out)
{
    out->len = len;
    return memcmp(p, word, len) == 0 ? p + len : NULL;
}

/* Reads the value behind a step's text; NULL: it is another one. */
static inline const char *value_end(const struct tsn_shape_step *step, const char *p,
                                    const char *end, struct tsn_json_value *out, bytes_seen *seen)
{
    const char *after;
    out->p = p;
    out->kind = step->value;
    switch ((enum tsn_shape_kind)step->kind) {
    case TSN_SHAPE_STRING:
        after = string_end(p, end, seen);
        out->len = after ? (uint32_t)(after - p) : 0;
        out->plain = false;
        return after;
    case TSN_SHAPE_NUMBER:
        return number_end(p, out);
    case TSN_SHAPE_BOOL:
        out->plain = false;
        return *p == 't' ? word_end(p, "true", 4, out) : word_end(p, "false", 5, out);
    case TSN_SHAPE_NULL:
        out->plain = false;
        return word_end(p, "null", 4, out);
    case TSN_SHAPE_BRACKET:
        out->plain = false;
        out->len = 0;
        return p;
    case TSN_SHAPE_PART:
        return p <= end ? p : NULL; /* white space that was learned goes on in the padding */
    case TSN_SHAPE_END:
        return p == end ? p : NULL;
    }
    return NULL;
}

bool tsn_shape_read(struct tsn_json_reader *reader, size_t len)
{
    const struct tsn_shape_step *steps = reader->shape.steps;
    struct tsn_json_slot *slots = reader->slots;
    uint32_t reading = reader->reading;
    const char *p = reader->text, *end = p + len;
    bytes_seen seen = seen_nothing();
    for (int32_t at = reader->shape.first; at != TSN_SHAPE_NONE;) {
        const struct tsn_shape_step *step = &steps[at];
        struct tsn_json_slot *slot = &slots[step->slot];
        const char *after =
            stands(step, p) ? value_end(step, p + step->len, end, &slot->value, &seen) : NULL;
        if (!after) {
            at = step->other;
        } else if (step->kind == TSN_SHAPE_END) {
            return seen_ascii(seen) || tsn_simdjson_utf8(reader->text, len);
        } else {
            slot->reading = reading;
            p = after;
            at = step->next;
        }
    }
    return false;
}

/* ---- learning ----------------------------------------------------------------------- */

struct learner {
    struct tsn_json_reader *reader;
    int32_t *link; /* where the next step hangs; NULL: there is no room */
};

/* The step at the link, made if nothing like it is there. */
static void step_learn(struct learner *l, const char *text, size_t len, enum tsn_shape_kind kind,
                       uint32_t slot)
{
    static const enum tsn_json_kind values[] = {
        [TSN_SHAPE_STRING] = TSN_JSON_STRING, [TSN_SHAPE_NUMBER] = TSN_JSON_NUMBER,
        [TSN_SHAPE_BOOL] = TSN_JSON_BOOL,     [TSN_SHAPE_NULL] = TSN_JSON_NULL,
        [TSN_SHAPE_PART] = TSN_JSON_ABSENT,   [TSN_SHAPE_END] = TSN_JSON_ABSENT,
    };
    struct tsn_shape *shape = &l->reader->shape;
    if (!l->link) {
        return;
    }
    for (; *l->link != TSN_SHAPE_NONE; l->link = &shape->steps[*l->link].other) {
        struct tsn_shape_step *step = &shape->steps[*l->link];
        if (step->kind == kind && step->len == len && memcmp(step->text, text, len) == 0) {
            l->link = &step->next;
            return;
        }
    }
    if (shape->n == TSN_SHAPE_STEPS) {
        l->link = NULL;
        return;
    }
    struct tsn_shape_step *step = &shape->steps[shape->n];
    *step = (struct tsn_shape_step){
        .others = len < TSN_SHAPE_TEXT ? UINT32_MAX << len : 0,
        .slot = slot,
        .next = TSN_SHAPE_NONE,
        .other = TSN_SHAPE_NONE,
        .len = (uint8_t)len,
        .kind = (uint8_t)kind,
        .value = (uint8_t)(kind != TSN_SHAPE_BRACKET ? values[kind]
                           : text[len - 1] == '{'    ? TSN_JSON_OBJECT
                                                     : TSN_JSON_ARRAY),
    };
    memcpy(step->text, text, len);
    *l->link = shape->n++;
    l->link = &step->next;
}

static void value_learn(struct learner *l, const char *text, size_t len, enum tsn_shape_kind kind,
                        uint32_t slot)
{
    uint32_t none = (uint32_t)l->reader->n_nodes;
    for (; len > TSN_SHAPE_TEXT; len -= TSN_SHAPE_TEXT, text += TSN_SHAPE_TEXT) {
        step_learn(l, text, TSN_SHAPE_TEXT, TSN_SHAPE_PART, none);
    }
    step_learn(l, text, len, kind, slot);
}

/* The slot that the walk filled with the value at p. */
static uint32_t slot_of(const struct tsn_json_reader *reader, const char *p)
{
    int i = 0;
    while (i < reader->n_nodes &&
           !(reader->slots[i].reading == reader->reading && reader->slots[i].value.p == p)) {
        i++;
    }
    return (uint32_t)i;
}

static bool has_room(struct tsn_shape *shape)
{
    if (shape->n < TSN_SHAPE_STEPS) {
        return true;
    }
    if (++shape->n_misses < FORGET_MISSES) {
        return false;
    }
    *shape = (struct tsn_shape){.steps = shape->steps, .first = TSN_SHAPE_NONE};
    return true;
}

/* What the token is: a value's kind and where its text begins and ends; PART: no value. */
static enum tsn_shape_kind token_kind(const char *text, const uint32_t *token)
{
    switch (text[token[0]]) {
    case '"':
        return text[token[1]] == ':' ? TSN_SHAPE_PART : TSN_SHAPE_STRING;
    case '{':
    case '[':
        return TSN_SHAPE_BRACKET;
    case '}':
    case ']':
    case ':':
    case ',':
        return TSN_SHAPE_PART;
    case 't':
    case 'f':
        return TSN_SHAPE_BOOL;
    case 'n':
        return TSN_SHAPE_NULL;
    default:
        return TSN_SHAPE_NUMBER;
    }
}

void tsn_shape_learn(struct tsn_json_reader *reader, size_t len, const uint32_t *tokens, uint32_t n)
{
    const char *text = reader->text, *from = text;
    if (n > LEARN_TOKENS || !has_room(&reader->shape)) {
        return;
    }
    struct learner l = {reader, &reader->shape.first};
    uint32_t none = (uint32_t)reader->n_nodes;
    for (uint32_t i = 0; i < n; i++) {
        enum tsn_shape_kind kind = token_kind(text, &tokens[i]);
        bool bracket = kind == TSN_SHAPE_BRACKET;
        if (kind == TSN_SHAPE_PART) {
            continue;
        }
        bool opens = bracket || kind == TSN_SHAPE_STRING; /* its first byte is of the shape */
        const char *p = text + tokens[i] + (opens ? 1 : 0);
        uint32_t slot = slot_of(reader, bracket ? p - 1 : p);
        if (bracket && slot == none) {
            continue;
        }
        value_learn(&l, from, (size_t)(p - from), kind, slot);
        from = bracket ? p : tsn_json_token_end(text, &tokens[i]) - (opens ? 1 : 0);
    }
    value_learn(&l, from, (size_t)(text + len - from), TSN_SHAPE_END, none);
}
