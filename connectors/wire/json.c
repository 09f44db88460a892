#include "connectors/wire/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/alert/text.h"
#include "rules/must/must.h"

enum { JSON_FIRST_CAP = 2048 };

static void append(struct tsn_json *json, const char *bytes, size_t n)
{
    if (json->cap - json->len <= n) {
        size_t cap = json->cap;
        while (cap - json->len <= n) {
            TSN_MUST(cap <= SIZE_MAX / 2);
            cap *= 2;
        }
        char *p = tsn_arena_alloc(json->arena, cap);
        memcpy(p, json->p, json->len);
        json->p = p;
        json->cap = cap;
    }
    if (n) {
        memcpy(json->p + json->len, bytes, n);
    }
    json->len += n;
    json->p[json->len] = '\0';
}

static void value_begins(struct tsn_json *json)
{
    if (json->comma) {
        append(json, ",", 1);
    }
    json->comma = true;
}

static void literal(struct tsn_json *json, const char *text)
{
    value_begins(json);
    append(json, text, strlen(text));
}

void tsn_json_begin(struct tsn_json *json, struct tsn_arena *arena)
{
    *json = (struct tsn_json){.arena = arena, .cap = JSON_FIRST_CAP};
    json->p = tsn_arena_alloc(arena, json->cap);
    json->p[0] = '\0';
}

void tsn_json_open(struct tsn_json *json, char bracket)
{
    value_begins(json);
    append(json, &bracket, 1);
    json->comma = false;
}

void tsn_json_close(struct tsn_json *json, char bracket)
{
    append(json, &bracket, 1);
    json->comma = true;
}

void tsn_json_name(struct tsn_json *json, const char *name)
{
    tsn_json_text(json, name);
    append(json, ":", 1);
    json->comma = false;
}

void tsn_json_null(struct tsn_json *json)
{
    literal(json, "null");
}

void tsn_json_bool(struct tsn_json *json, bool b)
{
    literal(json, b ? "true" : "false");
}

/* A backlog over many partitions has nearly a run a row, and every run of a manifest has
 * a number: printf took most of the time of sealing. One append a number, with its comma. */
static void digits(struct tsn_json *json, bool negative, uint64_t u)
{
    char room[24], *end = room + sizeof room, *p = end;
    do {
        *--p = (char)('0' + u % 10);
        u /= 10;
    } while (u);
    if (negative) {
        *--p = '-';
    }
    if (json->comma) {
        *--p = ',';
    }
    json->comma = true;
    append(json, p, (size_t)(end - p));
}

void tsn_json_int(struct tsn_json *json, int64_t i)
{
    digits(json, i < 0, i < 0 ? 0 - (uint64_t)i : (uint64_t)i);
}

void tsn_json_uint(struct tsn_json *json, uint64_t u)
{
    digits(json, false, u);
}

void tsn_json_double(struct tsn_json *json, double d)
{
    char room[TSN_TEXT_MAX] = "null";
    if (isfinite(d)) {
        tsn_text_double(d, room);
    }
    literal(json, room);
}

void tsn_json_str(struct tsn_json *json, struct tsn_str text)
{
    value_begins(json);
    append(json, "\"", 1);
    uint32_t from = 0;
    for (uint32_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        append(json, text.p + from, i - from);
        char escape[8];
        if (c == '"' || c == '\\') {
            snprintf(escape, sizeof escape, "\\%c", c);
        } else {
            snprintf(escape, sizeof escape, "\\u%04x", c);
        }
        append(json, escape, strlen(escape));
        from = i + 1;
    }
    append(json, text.p + from, text.len - from);
    append(json, "\"", 1);
}

void tsn_json_text(struct tsn_json *json, const char *text)
{
    tsn_json_str(json, (struct tsn_str){text, (uint32_t)strlen(text)});
}

void tsn_json_hex(struct tsn_json *json, const uint8_t *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    value_begins(json);
    append(json, "\"", 1);
    for (size_t i = 0; i < n; i++) {
        const char pair[] = {digits[bytes[i] >> 4], digits[bytes[i] & 15]};
        append(json, pair, 2);
    }
    append(json, "\"", 1);
}

void tsn_json_time_ms(struct tsn_json *json, tsn_event_ms ms)
{
    char room[TSN_TEXT_MAX];
    tsn_text_time_ms(ms, room);
    tsn_json_text(json, room);
}
