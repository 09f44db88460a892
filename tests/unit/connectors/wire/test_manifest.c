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
static const struct tsn_step steps[] = {
    {.kind = TSN_STEP_RUN, .source = 1, .first = 0, .end = 9007199254740993},
    {.kind = TSN_STEP_TICK, .clock_ms = -5},
    {.kind = TSN_STEP_SWAP, .program = {0xff, 1}},
    {.kind = TSN_STEP_RUN, .source = 0, .first = INT64_MAX - 1, .end = INT64_MAX},
    {.kind = TSN_STEP_TICK, .clock_ms = INT64_MIN},
};
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
    .n_steps = 5,
    .steps = steps,
    .n_alerts = 12,
    .n_rejects = UINT64_MAX,
};

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
        assert_int_equal(a->steps[i].kind, b->steps[i].kind);
        assert_int_equal(a->steps[i].source, b->steps[i].source);
        assert_true(a->steps[i].first == b->steps[i].first);
        assert_true(a->steps[i].end == b->steps[i].end);
        assert_true(a->steps[i].clock_ms == b->steps[i].clock_ms);
        assert_memory_equal(a->steps[i].program, b->steps[i].program, 32);
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
        cmocka_unit_test(what_is_no_manifest_is_refused_with_the_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
