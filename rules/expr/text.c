/* Text: UTF-8 strings as expressions see them, in code points.
 *
 * Strings stay UTF-8 bytes everywhere: comparing bytes is comparing code points,
 * and searching bytes finds only whole characters. Indexes are translated by
 * walking, which costs the length of the text; text fields are short.
 */
#include "rules/expr/text.h"

size_t tsn_utf8_encode(uint32_t code, char *out)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

size_t tsn_utf8_decode(const char *p, size_t len, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char c = (unsigned char)p[0];
    if (c < 0x80) {
        *code = c;
        return 1;
    }
    size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4 || len < n) {
        return 0;
    }
    uint32_t value = c & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        unsigned char more = (unsigned char)p[i];
        if ((more & 0xc0) != 0x80) {
            return 0;
        }
        value = value << 6 | (more & 0x3f);
    }
    if (value < least[n] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) {
        return 0;
    }
    *code = value;
    return n;
}

size_t tsn_utf8_invalid(const char *p, size_t len)
{
    size_t at = 0;
    while (at < len) {
        uint32_t code;
        size_t n = tsn_utf8_decode(p + at, len - at, &code);
        if (n == 0) {
            return at;
        }
        at += n;
    }
    return len;
}

static bool starts_character(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

int64_t tsn_utf8_size(struct tsn_str s)
{
    int64_t n = 0;
    for (uint32_t i = 0; i < s.len; i++) {
        n += starts_character(s.p[i]);
    }
    return n;
}

uint32_t tsn_utf8_offset(struct tsn_str s, int64_t index)
{
    uint32_t at = 0;
    for (; at < s.len; at++) {
        if (starts_character(s.p[at]) && index-- == 0) {
            break;
        }
    }
    return at;
}

int64_t tsn_utf8_find(struct tsn_str s, struct tsn_str part, uint32_t from)
{
    if (part.len == 0) {
        return from;
    }
    if (from >= s.len) {
        return -1;
    }
    const char *hit = memmem(s.p + from, s.len - from, part.p, part.len);
    return hit ? hit - s.p : -1;
}

int64_t tsn_utf8_find_last(struct tsn_str s, struct tsn_str part, uint32_t from)
{
    if (part.len > s.len) {
        return -1;
    }
    int64_t at = s.len - part.len;
    for (at = at < (int64_t)from ? at : (int64_t)from; at >= 0; at--) {
        if (part.len == 0 || memcmp(s.p + at, part.p, part.len) == 0) {
            return at;
        }
    }
    return -1;
}

/* Unicode property White_Space (PropList.txt). */
static bool is_white_space(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

struct tsn_str tsn_utf8_trim(struct tsn_str s)
{
    uint32_t first = 0;
    uint32_t end = 0; /* behind the last character that stays */
    bool begun = false;
    for (uint32_t at = 0; at < s.len;) {
        uint32_t code = 0;
        size_t n = tsn_utf8_decode(s.p + at, s.len - at, &code);
        n = n ? n : 1;
        if (!is_white_space(code)) {
            first = begun ? first : at;
            begun = true;
            end = at + (uint32_t)n;
        }
        at += (uint32_t)n;
    }
    return begun ? (struct tsn_str){s.p + first, end - first} : (struct tsn_str){s.p, 0};
}
