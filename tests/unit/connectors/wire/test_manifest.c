/* Manifests: what is written is read back whole, and nothing else is read at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/wire/wire.h"

static const struct tsn_origin origins[] = {{"cdr.call", 0}, {"bank \"txn\"\n\\", 41}};
static const int64_t positions[] = {INT64_MAX, 9007199254740993};
static const int32_t partitions[] = {1, 42};
static const uint8_t swapped_to[32] = {0xff, 1};
static const struct tsn_step steps_of_format_1[] = {
    {.kind = TSN_STEP_RUN, .source = 1, .first = 0, .end = 9007199254740993},
    {.kind = TSN_STEP_TICK, .clock_ms = -5},
    {.kind = TSN_STEP_SWAP, .program = swapped_to},
    {.kind = TSN_STEP_RUN, .source = 0, .first = INT64_MAX - 1, .end = INT64_MAX},
    {.kind = TSN_STEP_TICK, .clock_ms = INT64_MIN},
};
/* Runs that go on by one offset or several, and one that leaves an offset out. */
static const struct tsn_step steps[] = {
    {.kind = TSN_STEP_RUN, .source = 1, .first = 0, .end = 9007199254740993},
    {.kind = TSN_STEP_TICK, .clock_ms = -5},
    {.kind = TSN_STEP_SWAP, .program = swapped_to},
    {.kind = TSN_STEP_RUN, .source = 0, .first = INT64_MAX - 7, .end = INT64_MAX - 6},
    {.kind = TSN_STEP_TICK, .clock_ms = INT64_MIN},
    {.kind = TSN_STEP_RUN, .source = 1, .first = 9007199254740993, .end = 9007199254740994},
    {.kind = TSN_STEP_RUN, .source = 0, .first = INT64_MAX - 6, .end = INT64_MAX - 4},
    {.kind = TSN_STEP_RUN, .source = 0, .first = INT64_MAX - 4, .end = INT64_MAX - 3},
    {.kind = TSN_STEP_RUN, .source = 0, .first = INT64_MAX - 2, .end = INT64_MAX - 1},
    {.kind = TSN_STEP_RUN, .source = 0, .first = INT64_MAX - 1, .end = INT64_MAX},
};
enum { STEPS = sizeof steps / sizeof steps[0] };
static const struct tsn_manifest whole = {
    .sequence = UINT64_MAX,
    .semantics = 3,
    .program = {1, 2, 0xfe},
    .settings = {3, 0, 0xa5},
    .cluster_id = "Kx-\t1",
    .n_origins = 2,
    .origins = origins,
    .positions = positions,
    .partitions = partitions,
    .n_steps = STEPS,
    .steps = steps,
    .n_alerts = 12,
    .n_rejects = UINT64_MAX,
};

static void assert_same_step(const struct tsn_step *a, const struct tsn_step *b)
{
    assert_int_equal(a->kind, b->kind);
    switch (a->kind) {
    case TSN_STEP_RUN:
        assert_int_equal(a->source, b->source);
        assert_true(a->first == b->first && a->end == b->end);
        break;
    case TSN_STEP_TICK:
        assert_true(a->clock_ms == b->clock_ms);
        break;
    case TSN_STEP_SWAP:
        assert_memory_equal(a->program, b->program, 32);
        break;
    }
}

static void assert_same(const struct tsn_manifest *a, const struct tsn_manifest *b)
{
    assert_true(a->sequence == b->sequence && a->semantics == b->semantics);
    assert_memory_equal(a->settings, b->settings, sizeof a->settings);
    assert_memory_equal(a->program, b->program, 32);
    assert_string_equal(a->cluster_id, b->cluster_id);
    assert_int_equal(a->n_origins, b->n_origins);
    for (size_t i = 0; i < a->n_origins; i++) {
        assert_string_equal(a->origins[i].topic, b->origins[i].topic);
        assert_int_equal(a->origins[i].partition, b->origins[i].partition);
        assert_true(a->positions[i] == b->positions[i]);
        assert_int_equal(a->partitions[i], b->partitions[i]);
    }
    assert_int_equal(a->n_steps, b->n_steps);
    for (size_t i = 0; i < a->n_steps; i++) {
        assert_same_step(&a->steps[i], &b->steps[i]);
    }
    assert_true(a->n_alerts == b->n_alerts && a->n_rejects == b->n_rejects);
}

static void a_manifest_is_read_back_as_it_was_written(void **state)
{
    (void)state;
    struct tsn_arena arena;
    tsn_arena_init(&arena, 0);
    const struct tsn_manifest empty = {.cluster_id = "", .sequence = 1};
    const struct tsn_manifest *cases[] = {&whole, &empty};
    for (size_t i = 0; i < 2; i++) {
        struct tsn_message message;
        tsn_wire_manifest(cases[i], &arena, &message);
        assert_null(memchr(message.value, '\n', message.len));
        struct tsn_manifest read;
        const char *why = NULL;
        if (!tsn_wire_manifest_read(message.value, message.len, &arena, &read, &why)) {
            fail_msg("%s in %s", why, message.value);
        }
        assert_same(cases[i], &read);
    }
    tsn_arena_free(&arena);
}

static void another_format_is_refused_by_its_number(void **state)
{
    (void)state;
    struct tsn_arena arena;
    tsn_arena_init(&arena, 0);
    static const char later[] = "{\"manifest\":3,\"anything\":[]}";
    struct tsn_manifest read;
    const char *why = NULL;
    assert_false(tsn_wire_manifest_read(later, sizeof later - 1, &arena, &read, &why));
    assert_non_null(strstr(why, "format 3"));
    assert_non_null(strstr(why, "formats 1 to 2"));
    tsn_arena_free(&arena);
}

/* The manifests that lie in topics somewhere: tests/golden/formats/manifest-N.json was
 * written by the version whose format N is, and is never changed. That of the current
 * format is made by TSN_WRITE_FIXTURES=1 and this program, once, when a format is new. */
static void manifests_of_every_format_so_far_are_read(void **state)
{
    (void)state;
    struct tsn_arena arena;
    tsn_arena_init(&arena, 0);
    for (int format = 1; format <= 2; format++) {
        char path[512];
        snprintf(path, sizeof path, "%s/tests/golden/formats/manifest-%d.json",
                 getenv("TSN_SOURCE_DIR") ? getenv("TSN_SOURCE_DIR") : TSN_SOURCE_DIR, format);
        struct tsn_manifest then = whole;
        if (format < 2) {
            memset(then.settings, 0, sizeof then.settings);
            then.n_steps = sizeof steps_of_format_1 / sizeof steps_of_format_1[0];
            then.steps = steps_of_format_1;
        }
        struct tsn_message message;
        tsn_wire_manifest(&then, &arena, &message);
        if (getenv("TSN_WRITE_FIXTURES") && format == 2) {
            FILE *out = fopen(path, "we");
            assert_non_null(out);
            assert_int_equal(fwrite(message.value, 1, message.len, out), message.len);
            assert_int_equal(fclose(out), 0);
        }
        char bytes[4096];
        FILE *in = fopen(path, "re");
        assert_non_null(in);
        size_t len = fread(bytes, 1, sizeof bytes, in);
        fclose(in);
        struct tsn_manifest read;
        const char *why = NULL;
        if (!tsn_wire_manifest_read(bytes, len, &arena, &read, &why)) {
            fail_msg("%s: %s", path, why);
        }
        assert_same(&then, &read);
        if (format == 2) { /* the current one: also written as it was then */
            assert_int_equal(len, message.len);
            assert_memory_equal(bytes, message.value, len);
        }
    }
    tsn_arena_free(&arena);
}

/* Each byte left out, each byte changed, each length: never a crash, and what is still
 * accepted means something else only where the change hit a value. */
static void a_damaged_manifest_is_never_read_as_it_was_not_written(void **state)
{
    (void)state;
    struct tsn_arena arena;
    tsn_arena_init(&arena, 0);
    struct tsn_message message;
    tsn_wire_manifest(&whole, &arena, &message);
    char damaged[4096];
    assert_true(message.len < sizeof damaged);
    struct tsn_manifest read;
    const char *why;
    for (size_t len = 0; len < message.len; len++) {
        assert_false(tsn_wire_manifest_read(message.value, len, &arena, &read, &why));
        assert_non_null(why);
    }
    for (size_t at = 0; at < message.len; at++) {
        static const char bytes[] = "\0\" ,]}0-x\\";
        for (size_t b = 0; b < sizeof bytes - 1; b++) {
            memcpy(damaged, message.value, message.len);
            damaged[at] = bytes[b];
            if (tsn_wire_manifest_read(damaged, message.len, &arena, &read, &why)) {
                struct tsn_message again;
                tsn_wire_manifest(&read, &arena, &again);
                assert_int_equal(again.len, message.len);
                assert_memory_equal(again.value, damaged, message.len);
            }
        }
    }
    tsn_arena_free(&arena);
}

/* What an interval goes by when it asks how long its manifest will be. */
static void the_bytes_of_steps_are_known_before_they_are_written(void **state)
{
    (void)state;
    struct tsn_arena arena;
    tsn_arena_init(&arena, 0);
    int64_t stood[2] = {-1, -1};
    size_t last = 0;
    for (size_t n = 1; n <= STEPS; n++) {
        const struct tsn_step *step = &steps[n - 1];
        bool run = step->kind == TSN_STEP_RUN;
        size_t bytes = tsn_wire_step_bytes(step, run && stood[step->source] == step->first);
        struct tsn_manifest manifest = whole;
        struct tsn_message message;
        manifest.n_steps = n;
        tsn_wire_manifest(&manifest, &arena, &message);
        if (last) {
            assert_int_equal(message.len - last, bytes);
        }
        last = message.len;
        if (run) {
            stood[step->source] = step->end;
        }
    }
    struct tsn_manifest frame = whole;
    struct tsn_message message;
    frame.n_steps = 0;
    tsn_wire_manifest(&frame, &arena, &message);
    assert_in_range(tsn_wire_manifest_frame_bytes(frame.cluster_id, origins, 2), message.len,
                    message.len + 100);
    tsn_arena_free(&arena);
}

/* Format 1 knew no runs that go on, so it says their offsets every time. */
static void runs_of_format_1_may_touch(void **state)
{
    (void)state;
    static const char old[] =
        "{\"manifest\":1,\"sequence\":1,\"semantics\":1,\"program\":"
        "\"0000000000000000000000000000000000000000000000000000000000000000\",\"cluster\":\"\","
        "\"origins\":[{\"topic\":\"a\",\"partition\":0,\"of\":1,\"position\":2}],"
        "\"steps\":[[\"run\",0,0,1],%s],\"alerts\":0,\"rejects\":0}";
    static const struct {
        const char *step;
        bool read;
    } cases[] = {{"[\"run\",0,1,2]", true}, {"0", false}, {"[0,2]", false}};
    struct tsn_arena arena;
    tsn_arena_init(&arena, 0);
    for (size_t i = 0; i < 3; i++) {
        char text[512];
        int len = snprintf(text, sizeof text, old, cases[i].step);
        struct tsn_manifest read;
        const char *why = NULL;
        assert_int_equal(tsn_wire_manifest_read(text, (size_t)len, &arena, &read, &why),
                         cases[i].read);
    }
    tsn_arena_free(&arena);
}

static void what_is_no_manifest_is_refused_with_the_place(void **state)
{
    (void)state;
    static const struct {
        const char *why, *from, *to;
    } cases[] = {
        {"white space", "\"sequence\":", "\"sequence\": "},
        {"a leading zero", "\"semantics\":3", "\"semantics\":03"},
        {"a fraction", "\"semantics\":3", "\"semantics\":3.0"},
        {"beyond 64 bits", "18446744073709551615,\"semantics\"",
         "18446744073709551616,\"semantics\""},
        {"a sign where none may be", "\"partition\":0", "\"partition\":-1"},
        {"a run of nobody", "[\"run\",1,", "[\"run\",2,"},
        {"a run that ends before it begins", "\"run\",1,0,9007199254740993", "\"run\",1,5,5"},
        {"a step of an unknown kind", "\"tick\"", "\"tock\""},
        {"one offset with its number", "],1,[", "],[1,1],["},
        {"a number of offsets that is zero", "[0,2]", "[0,0]"},
        {"one more offset of nobody", "],1,[", "],2,["},
        {"more offsets of nobody", "[0,2]", "[2,2]"},
        {"more offsets than there are", "[0,2]", "[0,9223372036854775807]"},
        {"a run that goes on where none was", "[\"run\",1,0,9007199254740993]", "1"},
        {"a run that goes on, with its offsets", "],1,[",
         "],[\"run\",1,9007199254740993,9007199254740994],["},
        {"a step that is a string", "],1,[", "],\"1\",["},
        {"capital hexadecimal", "ff01", "FF01"},
        {"members in another order", "\"alerts\":12,\"rejects\"", "\"rejects\":12,\"alerts\""},
        {"a comma too many", "-5],", "-5],,"},
        {"something behind", "18446744073709551615}", "18446744073709551615} "},
        {"an escape of another kind", "\\u000a", "\\n"},
        {"a zero in a string", "\\u0009", "\\u0000"},
    };
    struct tsn_arena arena;
    tsn_arena_init(&arena, 0);
    struct tsn_message message;
    tsn_wire_manifest(&whole, &arena, &message);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *at = strstr(message.value, cases[i].from);
        if (!at) {
            fail_msg("%s: %s is not in %s", cases[i].why, cases[i].from, message.value);
        }
        char damaged[4096];
        int len = snprintf(damaged, sizeof damaged, "%.*s%s%s", (int)(at - message.value),
                           message.value, cases[i].to, at + strlen(cases[i].from));
        struct tsn_manifest read;
        const char *why = NULL;
        if (tsn_wire_manifest_read(damaged, (size_t)len, &arena, &read, &why)) {
            fail_msg("accepted: %s", cases[i].why);
        }
        assert_non_null(strstr(why, "at byte"));
    }
    tsn_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manifest_is_read_back_as_it_was_written),
        cmocka_unit_test(another_format_is_refused_by_its_number),
        cmocka_unit_test(manifests_of_every_format_so_far_are_read),
        cmocka_unit_test(a_damaged_manifest_is_never_read_as_it_was_not_written),
        cmocka_unit_test(the_bytes_of_steps_are_known_before_they_are_written),
        cmocka_unit_test(runs_of_format_1_may_touch),
        cmocka_unit_test(what_is_no_manifest_is_refused_with_the_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
