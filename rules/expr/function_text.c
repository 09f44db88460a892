/* Functions on text and lists. Called by the evaluators through the function
 * table. Results share the argument's bytes where they are a part of it; what is
 * built anew is bounded by TSN_EXPR_STRING_MAX and TSN_EXPR_LIST_MAX. */
#include <string.h>

#include "rules/expr/function_apply.h"
#include "rules/expr/re2_shim.h"
#include "rules/expr/text.h"

static bool too_long(struct tsn_call *call)
{
    call->error = "the text would be longer than 64 KiB";
    return false;
}

static bool too_many(struct tsn_call *call)
{
    call->error = "the list would have more than 4096 elements";
    return false;
}

static bool bad_index(struct tsn_call *call)
{
    call->error = "index out of range";
    return false;
}

bool tsn_apply_add_string(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out)
{
    size_t len = (size_t)a[0].s.len + a[1].s.len;
    if (len > TSN_EXPR_STRING_MAX) {
        return too_long(call);
    }
    char *text = tsn_arena_alloc(call->arena, len + 1);
    if (a[0].s.len) {
        memcpy(text, a[0].s.p, a[0].s.len);
    }
    if (a[1].s.len) {
        memcpy(text + a[0].s.len, a[1].s.p, a[1].s.len);
    }
    out->s = (struct tsn_str){text, (uint32_t)len};
    return true;
}

static void give_list(struct tsn_call *call, struct tsn_value *out, const struct tsn_value *items,
                      size_t n)
{
    struct tsn_list_value *list = tsn_arena_alloc(call->arena, sizeof *list);
    *list = (struct tsn_list_value){n, items};
    out->list = list;
}

bool tsn_apply_add_list(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out)
{
    size_t n = a[0].list->n + a[1].list->n;
    if (n > TSN_EXPR_LIST_MAX) {
        return too_many(call);
    }
    struct tsn_value *items = tsn_arena_alloc(call->arena, n * sizeof *items + 1);
    for (size_t i = 0; i < n; i++) {
        items[i] = i < a[0].list->n ? a[0].list->items[i] : a[1].list->items[i - a[0].list->n];
    }
    give_list(call, out, items, n);
    return true;
}

bool tsn_apply_size_string(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out)
{
    (void)call;
    out->i = tsn_utf8_size(a[0].s);
    return true;
}

bool tsn_apply_size_list(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out)
{
    (void)call;
    out->i = (int64_t)a[0].list->n;
    return true;
}

bool tsn_apply_contains(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out)
{
    (void)call;
    out->b = tsn_utf8_find(a[0].s, a[1].s, 0) >= 0;
    return true;
}

static bool has_prefix(struct tsn_str s, struct tsn_str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.p, prefix.p, prefix.len) == 0);
}

bool tsn_apply_starts_with(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out)
{
    (void)call;
    out->b = has_prefix(a[0].s, a[1].s);
    return true;
}

bool tsn_apply_ends_with(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out)
{
    (void)call;
    struct tsn_str s = a[0].s;
    struct tsn_str end = a[1].s;
    out->b =
        s.len >= end.len && (end.len == 0 || memcmp(s.p + (s.len - end.len), end.p, end.len) == 0);
    return true;
}

bool tsn_apply_has_prefix_in(struct tsn_call *call, const struct tsn_value *a,
                             struct tsn_value *out)
{
    (void)call;
    out->b = false;
    for (size_t i = 0; i < a[1].list->n && !out->b; i++) {
        out->b = has_prefix(a[0].s, a[1].list->items[i].s);
    }
    return true;
}

bool tsn_apply_matches(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out)
{
    out->b = tsn_regex_search(call->regex, a[0].s.p, a[0].s.len);
    return true;
}

bool tsn_apply_char_at(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out)
{
    int64_t size = tsn_utf8_size(a[0].s);
    if (a[1].i < 0 || a[1].i > size) {
        return bad_index(call);
    }
    uint32_t from = tsn_utf8_offset(a[0].s, a[1].i);
    uint32_t to = tsn_utf8_offset(a[0].s, a[1].i + 1);
    out->s = (struct tsn_str){a[0].s.p + from, to - from};
    return true;
}

/* Code points before a byte offset; -1 stays. */
static int64_t index_of_offset(struct tsn_str s, int64_t offset)
{
    return offset < 0 ? -1 : tsn_utf8_size((struct tsn_str){s.p, (uint32_t)offset});
}

static bool start_index(struct tsn_call *call, const struct tsn_value *a, uint32_t *offset)
{
    int64_t size = tsn_utf8_size(a[0].s);
    if (a[2].i < 0 || a[2].i > size) {
        return bad_index(call);
    }
    *offset = tsn_utf8_offset(a[0].s, a[2].i);
    return true;
}

bool tsn_apply_index_of(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out)
{
    uint32_t from = 0;
    if (call->n_args == 3 && !start_index(call, a, &from)) {
        return false;
    }
    out->i = index_of_offset(a[0].s, tsn_utf8_find(a[0].s, a[1].s, from));
    return true;
}

bool tsn_apply_last_index_of(struct tsn_call *call, const struct tsn_value *a,
                             struct tsn_value *out)
{
    uint32_t from = a[0].s.len;
    if (call->n_args == 3 && !start_index(call, a, &from)) {
        return false;
    }
    out->i = index_of_offset(a[0].s, tsn_utf8_find_last(a[0].s, a[1].s, from));
    return true;
}

static bool map_case(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out,
                     char first, char last)
{
    char *text = tsn_arena_alloc(call->arena, (size_t)a[0].s.len + 1);
    for (uint32_t i = 0; i < a[0].s.len; i++) {
        char c = a[0].s.p[i];
        text[i] = c >= first && c <= last ? (char)(c ^ 0x20) : c;
    }
    out->s = (struct tsn_str){text, a[0].s.len};
    return true;
}

bool tsn_apply_lower_ascii(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out)
{
    return map_case(call, a, out, 'A', 'Z');
}

bool tsn_apply_upper_ascii(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out)
{
    return map_case(call, a, out, 'a', 'z');
}

bool tsn_apply_trim(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out)
{
    (void)call;
    out->s = tsn_utf8_trim(a[0].s);
    return true;
}

bool tsn_apply_substring(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out)
{
    int64_t size = tsn_utf8_size(a[0].s);
    int64_t end = call->n_args == 3 ? a[2].i : size;
    if (a[1].i < 0 || end > size || a[1].i > end) {
        return bad_index(call);
    }
    uint32_t from = tsn_utf8_offset(a[0].s, a[1].i);
    out->s = (struct tsn_str){a[0].s.p + from, tsn_utf8_offset(a[0].s, end) - from};
    return true;
}

/* Bytes of the character at p. */
static uint32_t character_bytes(struct tsn_str s, uint32_t at)
{
    return tsn_utf8_offset((struct tsn_str){s.p + at, s.len - at}, 1);
}

/* Where the next separator begins at or after `at`. An empty separator stands
 * behind every character. -1: none. */
static int64_t next_separator(struct tsn_str s, struct tsn_str separator, uint32_t at)
{
    if (separator.len) {
        return tsn_utf8_find(s, separator, at);
    }
    return at < s.len ? (int64_t)(at + character_bytes(s, at)) : -1;
}

struct builder {
    char *text;
    size_t len;
};

static bool append(struct builder *b, const char *p, size_t len)
{
    if (b->len + len > TSN_EXPR_STRING_MAX) {
        return false;
    }
    if (len) {
        memcpy(b->text + b->len, p, len);
    }
    b->len += len;
    return true;
}

/* With an empty text to replace, the new one goes before every character and at
 * the end, as in the reference. */
static bool replace(struct builder *b, struct tsn_str s, struct tsn_str old, struct tsn_str new_,
                    int64_t limit)
{
    uint32_t at = 0;
    bool first = true;
    for (; limit != 0; limit -= limit > 0) {
        int64_t hit = old.len || !first ? next_separator(s, old, at) : 0;
        first = false;
        if (hit < 0) {
            break;
        }
        if (!append(b, s.p + at, (size_t)hit - at) || !append(b, new_.p, new_.len)) {
            return false;
        }
        at = (uint32_t)hit + old.len;
    }
    return append(b, s.p + at, s.len - at);
}

bool tsn_apply_replace(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out)
{
    static _Thread_local char room[TSN_EXPR_STRING_MAX];
    struct builder b = {room, 0};
    if (!replace(&b, a[0].s, a[1].s, a[2].s, call->n_args == 4 ? a[3].i : -1)) {
        return too_long(call);
    }
    out->s = (struct tsn_str){tsn_arena_strdup(call->arena, room, b.len), (uint32_t)b.len};
    return true;
}

bool tsn_apply_split(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out)
{
    struct tsn_str s = a[0].s;
    struct tsn_str separator = a[1].s;
    int64_t limit = call->n_args == 3 ? a[2].i : -1;
    size_t cap = 1; /* parts there can be */
    uint32_t at = 0;
    for (int64_t hit = next_separator(s, separator, 0); hit >= 0; cap++) {
        hit = next_separator(s, separator, (uint32_t)hit + separator.len);
    }
    cap = limit >= 0 && (size_t)limit < cap ? (size_t)limit : cap;
    if (cap > TSN_EXPR_LIST_MAX) {
        return too_many(call);
    }
    struct tsn_value *parts = tsn_arena_alloc(call->arena, cap * sizeof *parts + 1);
    size_t n = 0;
    while (n < cap) {
        int64_t hit = n + 1 < cap ? next_separator(s, separator, at) : -1;
        if (separator.len == 0 && at == s.len) {
            break; /* no empty part behind the last character */
        }
        uint32_t end = hit < 0 ? s.len : (uint32_t)hit;
        parts[n++] =
            (struct tsn_value){.type = tsn_function_letter('s'), .s = {s.p + at, end - at}};
        if (hit < 0) {
            break;
        }
        at = end + separator.len;
    }
    give_list(call, out, parts, n);
    return true;
}

bool tsn_apply_join(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out)
{
    struct tsn_str separator = call->n_args == 2 ? a[1].s : (struct tsn_str){"", 0};
    const struct tsn_list_value *list = a[0].list;
    size_t len = 0;
    for (size_t i = 0; i < list->n; i++) {
        len += list->items[i].s.len + (i ? separator.len : 0);
    }
    if (len > TSN_EXPR_STRING_MAX) {
        return too_long(call);
    }
    struct builder b = {tsn_arena_alloc(call->arena, len + 1), 0};
    for (size_t i = 0; i < list->n; i++) {
        append(&b, separator.p, i ? separator.len : 0);
        append(&b, list->items[i].s.p, list->items[i].s.len);
    }
    out->s = (struct tsn_str){b.text, (uint32_t)len};
    return true;
}
