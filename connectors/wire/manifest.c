/* Manifests: one line of JSON a transaction, written and read here only.
 *
 * The reader takes what the writer writes and nothing else: members in their order,
 * no space, integers exact to 64 bits (a JSON library that keeps numbers as doubles
 * would lose offsets beyond 2^53, and one that takes any order would take damage).
 * The first member is the format, so a later version is refused by name and not as
 * nonsense. Both run once a transaction; reading is linear and bounded by the length.
 * docs/MANIFEST.md says what the members mean.
 */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "connectors/wire/json.h"
#include "connectors/wire/wire.h"
#include "rules/must/must.h"

/* Format 1 had no `settings`; it is read, and written no more. */
enum { MANIFEST_FORMAT = 2, MANIFEST_FORMAT_OLDEST = 1, ORIGINS_MAX = UINT16_MAX + 1 };

/* ---- writing -------------------------------------------------------------------- */

static void origins_write(const struct tsn_manifest *manifest, struct tsn_json *json)
{
    tsn_json_open(json, '[');
    for (size_t i = 0; i < manifest->n_origins; i++) {
        tsn_json_open(json, '{');
        tsn_json_name(json, "topic");
        tsn_json_text(json, manifest->origins[i].topic);
        tsn_json_name(json, "partition");
        tsn_json_int(json, manifest->origins[i].partition);
        tsn_json_name(json, "of");
        tsn_json_int(json, manifest->partitions[i]);
        tsn_json_name(json, "position");
        tsn_json_int(json, manifest->positions[i]);
        tsn_json_close(json, '}');
    }
    tsn_json_close(json, ']');
}

static void step_write(const struct tsn_step *step, struct tsn_json *json)
{
    tsn_json_open(json, '[');
    switch (step->kind) {
    case TSN_STEP_RUN:
        tsn_json_text(json, "run");
        tsn_json_uint(json, step->source);
        tsn_json_int(json, step->first);
        tsn_json_int(json, step->end);
        break;
    case TSN_STEP_TICK:
        tsn_json_text(json, "tick");
        tsn_json_int(json, step->clock_ms);
        break;
    case TSN_STEP_SWAP:
        tsn_json_text(json, "swap");
        tsn_json_hex(json, step->program, sizeof step->program);
        break;
    }
    tsn_json_close(json, ']');
}

void tsn_wire_manifest(const struct tsn_manifest *manifest, struct tsn_arena *arena,
                       struct tsn_message *message)
{
    struct tsn_json json;
    tsn_json_begin(&json, arena);
    tsn_json_open(&json, '{');
    tsn_json_name(&json, "manifest");
    tsn_json_int(&json, MANIFEST_FORMAT);
    tsn_json_name(&json, "sequence");
    tsn_json_uint(&json, manifest->sequence);
    tsn_json_name(&json, "semantics");
    tsn_json_uint(&json, manifest->semantics);
    tsn_json_name(&json, "program");
    tsn_json_hex(&json, manifest->program, sizeof manifest->program);
    tsn_json_name(&json, "settings");
    tsn_json_hex(&json, manifest->settings, sizeof manifest->settings);
    tsn_json_name(&json, "cluster");
    tsn_json_text(&json, manifest->cluster_id);
    tsn_json_name(&json, "origins");
    origins_write(manifest, &json);
    tsn_json_name(&json, "steps");
    tsn_json_open(&json, '[');
    for (size_t i = 0; i < manifest->n_steps; i++) {
        step_write(&manifest->steps[i], &json);
    }
    tsn_json_close(&json, ']');
    tsn_json_name(&json, "alerts");
    tsn_json_uint(&json, manifest->n_alerts);
    tsn_json_name(&json, "rejects");
    tsn_json_uint(&json, manifest->n_rejects);
    tsn_json_close(&json, '}');
    *message = (struct tsn_message){.value = json.p, .len = json.len};
}

/* ---- reading ---------------------------------------------------------------------- */

struct cursor {
    const char *start, *p, *end;
    struct tsn_arena *arena;
    const char *why; /* set by the first thing wrong; then nothing is read any more */
};

static void wrong(struct cursor *at, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void wrong(struct cursor *at, const char *format, ...)
{
    if (at->why) {
        return;
    }
    char text[160];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    at->why = tsn_arena_printf(at->arena, "not a manifest: %s at byte %zu", text,
                               (size_t)(at->p - at->start));
}

static bool next_is(const struct cursor *at, const char *text)
{
    size_t n = strlen(text);
    return !at->why && (size_t)(at->end - at->p) >= n && memcmp(at->p, text, n) == 0;
}

static bool skip_if(struct cursor *at, const char *text)
{
    if (!next_is(at, text)) {
        return false;
    }
    at->p += strlen(text);
    return true;
}

static void expect(struct cursor *at, const char *text)
{
    if (!skip_if(at, text)) {
        wrong(at, "expected %s", text);
    }
}

/* Digits without a sign, a leading zero or anything else a number may have in JSON. */
static uint64_t get_uint(struct cursor *at, uint64_t max)
{
    const char *from = at->p;
    uint64_t v = 0;
    while (!at->why && at->p < at->end && *at->p >= '0' && *at->p <= '9') {
        uint64_t digit = (uint64_t)(*at->p - '0');
        if (v > (max - digit) / 10 || digit > max) {
            wrong(at, "a number is out of range");
            return 0;
        }
        v = v * 10 + digit;
        at->p++;
    }
    if (at->p == from) {
        wrong(at, "expected a number");
    } else if (*from == '0' && at->p - from > 1) {
        wrong(at, "a number starts with 0");
    }
    return v;
}

static int64_t get_int(struct cursor *at)
{
    if (!skip_if(at, "-")) {
        return (int64_t)get_uint(at, INT64_MAX);
    }
    uint64_t v = get_uint(at, (uint64_t)INT64_MAX + 1);
    if (v == 0) {
        wrong(at, "-0 is not written");
    }
    return v > INT64_MAX ? INT64_MIN : -(int64_t)v;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void get_hash(struct cursor *at, uint8_t hash[32])
{
    expect(at, "\"");
    if (at->why || at->end - at->p < 64) {
        wrong(at, "expected a hash of 64 digits");
        return;
    }
    for (int i = 0; i < 32; i++) {
        int high = hex_digit(at->p[0]);
        int low = hex_digit(at->p[1]);
        if (high < 0 || low < 0) {
            wrong(at, "expected a hash of 64 digits");
            return;
        }
        hash[i] = (uint8_t)(high * 16 + low);
        at->p += 2;
    }
    expect(at, "\"");
}

/* One character of a string; the escapes are those that the writer writes. */
static char get_char(struct cursor *at)
{
    char c = *at->p++;
    if ((unsigned char)c < 0x20) {
        at->p--;
        wrong(at, "a control character in a string");
    }
    if (c != '\\') {
        return c;
    }
    if (skip_if(at, "\"")) {
        return '"';
    }
    if (skip_if(at, "\\")) {
        return '\\';
    }
    if (skip_if(at, "u00") && at->end - at->p >= 2) {
        int high = hex_digit(at->p[0]);
        int low = hex_digit(at->p[1]);
        if ((high == 0 || high == 1) && low >= 0 && high * 16 + low > 0) {
            at->p += 2;
            return (char)(high * 16 + low);
        }
    }
    wrong(at, "an escape that no manifest has");
    return ' ';
}

static const char *get_str(struct cursor *at)
{
    expect(at, "\"");
    char *text = NULL;
    size_t len = 0;
    if (!at->why) {
        const char *close = at->p;
        while (close < at->end && *close != '"') {
            close += *close == '\\' ? 2 : 1;
        }
        if (close >= at->end) {
            wrong(at, "a string without an end");
            return "";
        }
        text = tsn_arena_alloc(at->arena, (size_t)(close - at->p) + 1);
    }
    while (!at->why && *at->p != '"') {
        text[len++] = get_char(at);
    }
    expect(at, "\"");
    if (at->why) {
        return "";
    }
    text[len] = '\0';
    return text;
}

/* How many of `what` stand in the rest at most: room for an array. */
static size_t count_of(const struct cursor *at, char what)
{
    size_t n = 0;
    for (const char *p = at->p; !at->why && p < at->end; p++) {
        n += *p == what;
    }
    return n;
}

static void origins_read(struct cursor *at, struct tsn_manifest *manifest)
{
    expect(at, "[");
    size_t cap = count_of(at, '{');
    struct tsn_origin *origins = tsn_arena_zalloc(at->arena, cap + 1, sizeof *origins);
    int64_t *positions = tsn_arena_zalloc(at->arena, cap + 1, sizeof *positions);
    int32_t *partitions = tsn_arena_zalloc(at->arena, cap + 1, sizeof *partitions);
    size_t n = 0;
    while (next_is(at, "{")) {
        if (n == ORIGINS_MAX) {
            wrong(at, "more origins than a row can name");
            return;
        }
        expect(at, "{\"topic\":");
        origins[n].topic = get_str(at);
        expect(at, ",\"partition\":");
        origins[n].partition = (int32_t)get_uint(at, INT32_MAX);
        expect(at, ",\"of\":");
        partitions[n] = (int32_t)get_uint(at, INT32_MAX);
        expect(at, ",\"position\":");
        positions[n] = (int64_t)get_uint(at, INT64_MAX);
        expect(at, "}");
        n++;
        if (!next_is(at, "]")) {
            expect(at, ",");
            if (!next_is(at, "{")) {
                wrong(at, "expected an origin");
            }
        }
    }
    expect(at, "]");
    manifest->n_origins = n;
    manifest->origins = origins;
    manifest->positions = positions;
    manifest->partitions = partitions;
}

static void step_read(struct cursor *at, size_t n_origins, struct tsn_step *step)
{
    expect(at, "[");
    if (skip_if(at, "\"run\",")) {
        step->kind = TSN_STEP_RUN;
        uint64_t source = get_uint(at, UINT16_MAX);
        expect(at, ",");
        step->first = (int64_t)get_uint(at, INT64_MAX);
        expect(at, ",");
        step->end = (int64_t)get_uint(at, INT64_MAX);
        if (!at->why && source >= n_origins) {
            wrong(at, "a run of an origin that is not listed");
        }
        if (!at->why && step->first >= step->end) {
            wrong(at, "a run that ends before it begins");
        }
        step->source = (uint16_t)source;
    } else if (skip_if(at, "\"tick\",")) {
        step->kind = TSN_STEP_TICK;
        step->clock_ms = get_int(at);
    } else if (skip_if(at, "\"swap\",")) {
        step->kind = TSN_STEP_SWAP;
        get_hash(at, step->program);
    } else {
        wrong(at, "expected a run, a tick or a swap");
    }
    expect(at, "]");
}

static void steps_read(struct cursor *at, struct tsn_manifest *manifest)
{
    expect(at, "[");
    struct tsn_step *steps = tsn_arena_zalloc(at->arena, count_of(at, '[') + 1, sizeof *steps);
    size_t n = 0;
    while (next_is(at, "[")) {
        step_read(at, manifest->n_origins, &steps[n++]);
        if (!next_is(at, "]")) {
            expect(at, ",");
            if (!next_is(at, "[")) {
                wrong(at, "expected a step");
            }
        }
    }
    expect(at, "]");
    manifest->n_steps = n;
    manifest->steps = steps;
}

bool tsn_wire_manifest_read(const char *bytes, size_t len, struct tsn_arena *arena,
                            struct tsn_manifest *manifest, const char **why)
{
    struct cursor at = {.start = bytes, .p = bytes, .end = bytes + len, .arena = arena};
    *manifest = (struct tsn_manifest){0};
    expect(&at, "{\"manifest\":");
    uint64_t format = get_uint(&at, INT32_MAX);
    if (!at.why && (format < MANIFEST_FORMAT_OLDEST || format > MANIFEST_FORMAT)) {
        *why = tsn_arena_printf(
            arena,
            "a manifest of format %llu; this version of tocsin reads formats %d to %d: run the "
            "version that wrote it, or a newer one",
            (unsigned long long)format, MANIFEST_FORMAT_OLDEST, MANIFEST_FORMAT);
        return false;
    }
    expect(&at, ",\"sequence\":");
    manifest->sequence = get_uint(&at, UINT64_MAX);
    expect(&at, ",\"semantics\":");
    manifest->semantics = (uint32_t)get_uint(&at, UINT32_MAX);
    expect(&at, ",\"program\":");
    get_hash(&at, manifest->program);
    if (format >= 2) {
        expect(&at, ",\"settings\":");
        get_hash(&at, manifest->settings);
    }
    expect(&at, ",\"cluster\":");
    manifest->cluster_id = get_str(&at);
    expect(&at, ",\"origins\":");
    origins_read(&at, manifest);
    expect(&at, ",\"steps\":");
    steps_read(&at, manifest);
    expect(&at, ",\"alerts\":");
    manifest->n_alerts = get_uint(&at, UINT64_MAX);
    expect(&at, ",\"rejects\":");
    manifest->n_rejects = get_uint(&at, UINT64_MAX);
    expect(&at, "}");
    if (!at.why && at.p != at.end) {
        wrong(&at, "something behind the end");
    }
    *why = at.why;
    return !at.why;
}
