/* Manifests: one line of JSON a transaction, written and read here only.
 *
 * The reader takes what the writer writes and nothing else: members in their order,
 * no space, integers exact to 64 bits (a JSON library that keeps numbers as doubles
 * would lose offsets beyond 2^53, and one that takes any order would take damage).
 * The first member is the format, so a later version is refused by name and not as
 * nonsense. Both run once a transaction; reading is linear and bounded by the length.
 * A run says its offsets only where its partition does not go on: of a backlog over many
 * partitions nearly every row is a run, two or three bytes instead of thirty.
 * docs/MANIFEST.md says what the members mean.
 */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "connectors/wire/json.h"
#include "connectors/wire/wire.h"
#include "rules/must/must.h"

/* Format 1 had no `settings` and every run with its offsets; it is read, and written no more. */
enum {
    MANIFEST_FORMAT = 2,
    MANIFEST_FORMAT_OLDEST = 1,
    ORIGINS_MAX = UINT16_MAX + 1,
    HASH_BYTES = 32
};

/* Where the run of each partition before this step ended: nowhere yet. */
static int64_t *stood_nowhere(struct tsn_arena *arena, size_t n_origins)
{
    int64_t *stood = tsn_arena_alloc(arena, (n_origins + 1) * sizeof *stood);
    for (size_t i = 0; i < n_origins; i++) {
        stood[i] = -1;
    }
    return stood;
}

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

static void run_write(const struct tsn_step *step, bool goes_on, struct tsn_json *json)
{
    if (goes_on && step->end == step->first + 1) {
        tsn_json_uint(json, step->source);
        return;
    }
    tsn_json_open(json, '[');
    if (goes_on) {
        tsn_json_uint(json, step->source);
        tsn_json_int(json, step->end - step->first);
    } else {
        tsn_json_text(json, "run");
        tsn_json_uint(json, step->source);
        tsn_json_int(json, step->first);
        tsn_json_int(json, step->end);
    }
    tsn_json_close(json, ']');
}

static void steps_write(const struct tsn_manifest *manifest, struct tsn_json *json)
{
    int64_t *stood = stood_nowhere(json->arena, manifest->n_origins);
    tsn_json_open(json, '[');
    for (size_t i = 0; i < manifest->n_steps; i++) {
        const struct tsn_step *step = &manifest->steps[i];
        switch (step->kind) {
        case TSN_STEP_RUN:
            TSN_MUST(step->source < manifest->n_origins);
            run_write(step, stood[step->source] == step->first, json);
            stood[step->source] = step->end;
            break;
        case TSN_STEP_TICK:
            tsn_json_open(json, '[');
            tsn_json_text(json, "tick");
            tsn_json_int(json, step->clock_ms);
            tsn_json_close(json, ']');
            break;
        case TSN_STEP_SWAP:
            tsn_json_open(json, '[');
            tsn_json_text(json, "swap");
            tsn_json_hex(json, step->program, HASH_BYTES);
            tsn_json_close(json, ']');
            break;
        }
    }
    tsn_json_close(json, ']');
}

static size_t digits_of(uint64_t u)
{
    size_t n = 1;
    for (; u >= 10; u /= 10) {
        n++;
    }
    return n;
}

size_t tsn_wire_step_bytes(const struct tsn_step *step, bool goes_on)
{
    switch (step->kind) {
    case TSN_STEP_RUN:
        if (!goes_on) {
            return sizeof "[\"run\",,,]," - 1 + digits_of(step->source) +
                   digits_of((uint64_t)step->first) + digits_of((uint64_t)step->end);
        }
        if (step->end == step->first + 1) {
            return digits_of(step->source) + 1;
        }
        return sizeof "[,]," - 1 + digits_of(step->source) +
               digits_of((uint64_t)(step->end - step->first));
    case TSN_STEP_TICK: {
        bool minus = step->clock_ms < 0;
        uint64_t clock = (uint64_t)step->clock_ms;
        return sizeof "[\"tick\",]," - 1 + minus + digits_of(minus ? 0 - clock : clock);
    }
    case TSN_STEP_SWAP:
        return sizeof "[\"swap\",\"\"]," - 1 + 2 * (size_t)HASH_BYTES;
    }
    return 0;
}

size_t tsn_wire_manifest_frame_bytes(const char *cluster_id, const struct tsn_origin *origins,
                                     size_t n_origins)
{
    struct tsn_arena arena;
    tsn_arena_init(&arena, 0);
    int64_t *positions = tsn_arena_zalloc(&arena, n_origins + 1, sizeof *positions);
    int32_t *partitions = tsn_arena_zalloc(&arena, n_origins + 1, sizeof *partitions);
    for (size_t i = 0; i < n_origins; i++) {
        positions[i] = INT64_MAX;
        partitions[i] = INT32_MAX;
    }
    const struct tsn_manifest largest = {
        .sequence = UINT64_MAX,
        .semantics = UINT32_MAX,
        .cluster_id = cluster_id,
        .n_origins = n_origins,
        .origins = origins,
        .positions = positions,
        .partitions = partitions,
        .n_alerts = UINT64_MAX,
        .n_rejects = UINT64_MAX,
    };
    struct tsn_message message;
    tsn_wire_manifest(&largest, &arena, &message);
    tsn_arena_free(&arena);
    return message.len;
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
    steps_write(manifest, &json);
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
    for (int i = 0; i < HASH_BYTES; i++) {
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

struct steps_cursor {
    uint64_t format;
    size_t n_origins;
    int64_t *stood; /* [n_origins] end of the partition's run before; -1: none yet */
};

static uint16_t get_source(struct cursor *at, const struct steps_cursor *steps)
{
    uint64_t source = get_uint(at, UINT16_MAX);
    if (!at->why && source >= steps->n_origins) {
        wrong(at, "a run of an origin that is not listed");
    }
    return (uint16_t)source;
}

static void explicit_run_read(struct cursor *at, struct steps_cursor *steps, struct tsn_step *step)
{
    step->source = get_source(at, steps);
    expect(at, ",");
    step->first = (int64_t)get_uint(at, INT64_MAX);
    expect(at, ",");
    step->end = (int64_t)get_uint(at, INT64_MAX);
    if (!at->why && step->first >= step->end) {
        wrong(at, "a run that ends before it begins");
    }
    if (!at->why && steps->format >= 2 && steps->stood[step->source] == step->first) {
        wrong(at, "a run that goes on is written without its offsets, and this one has them");
    }
}

static void run_that_goes_on(struct cursor *at, const struct steps_cursor *steps, uint16_t source,
                             int64_t count, struct tsn_step *step)
{
    if (at->why) {
        return;
    }
    int64_t first = steps->stood[source];
    if (first < 0) {
        wrong(at, "a run that goes on where none was before it");
    } else if (count > INT64_MAX - first) {
        wrong(at, "a number is out of range");
    } else {
        step->source = source;
        step->first = first;
        step->end = first + count;
    }
}

static void counted_run_read(struct cursor *at, struct steps_cursor *steps, struct tsn_step *step)
{
    uint16_t source = get_source(at, steps);
    expect(at, ",");
    int64_t count = (int64_t)get_uint(at, INT64_MAX);
    if (!at->why && count < 2) {
        wrong(at, "a run of one offset is written as its origin alone");
    }
    run_that_goes_on(at, steps, source, count, step);
}

static void bracketed_step_read(struct cursor *at, struct steps_cursor *steps,
                                struct tsn_step *step)
{
    expect(at, "[");
    if (skip_if(at, "\"run\",")) {
        explicit_run_read(at, steps, step);
    } else if (skip_if(at, "\"tick\",")) {
        step->kind = TSN_STEP_TICK;
        step->clock_ms = get_int(at);
    } else if (skip_if(at, "\"swap\",")) {
        uint8_t *program = tsn_arena_alloc(at->arena, HASH_BYTES);
        get_hash(at, program);
        step->kind = TSN_STEP_SWAP;
        step->program = program;
    } else if (steps->format >= 2 && !next_is(at, "\"")) {
        counted_run_read(at, steps, step);
    } else {
        wrong(at, "expected a run, a tick or a swap");
    }
    expect(at, "]");
}

static void step_read(struct cursor *at, struct steps_cursor *steps, struct tsn_step *step)
{
    step->kind = TSN_STEP_RUN;
    if (steps->format >= 2 && !next_is(at, "[")) {
        uint16_t source = get_source(at, steps);
        run_that_goes_on(at, steps, source, 1, step);
    } else {
        bracketed_step_read(at, steps, step);
    }
    if (!at->why && step->kind == TSN_STEP_RUN) {
        steps->stood[step->source] = step->end;
    }
}

static void steps_read(struct cursor *at, uint64_t format, struct tsn_manifest *manifest)
{
    struct steps_cursor reading = {.format = format,
                                   .n_origins = manifest->n_origins,
                                   .stood = stood_nowhere(at->arena, manifest->n_origins)};
    expect(at, "[");
    struct tsn_step *steps = tsn_arena_zalloc(at->arena, count_of(at, ',') + 1, sizeof *steps);
    size_t n = 0;
    if (!next_is(at, "]")) {
        do {
            step_read(at, &reading, &steps[n++]);
        } while (skip_if(at, ","));
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
    steps_read(&at, format, manifest);
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
