/* Intervals: steps that join, when one closes, what the manifest of it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "connectors/run/interval.h"

static const struct tsn_origin origins[] = {{"a", 0}, {"b", 3}};
static const struct tsn_interval_pace pace = {.busy_ms = 50, .behind_ms = 300, .idle_ms = 1000};

static void fill(struct tsn_interval *interval)
{
    tsn_interval_init(interval, "c", origins, 2);
    tsn_interval_begin(interval, 7);
}

static struct tsn_message message(const char *text)
{
    return (struct tsn_message){.topic = "alerts", .value = text, .len = strlen(text)};
}

static void runs_of_one_partition_that_touch_are_one_step(void **state)
{
    (void)state;
    struct tsn_interval interval;
    fill(&interval);
    tsn_interval_run(&interval, 0, 10, 20, 1);
    tsn_interval_run(&interval, 0, 20, 30, 2);
    assert_int_equal(interval.n_steps, 1);
    assert_int_equal(interval.steps[0].first, 10);
    assert_int_equal(interval.steps[0].end, 30);
    tsn_interval_free(&interval);
}

static void a_run_without_offsets_is_no_step(void **state)
{
    (void)state;
    struct tsn_interval interval;
    fill(&interval);
    tsn_interval_run(&interval, 0, 10, 10, 1);
    assert_int_equal(interval.n_steps, 0);
    assert_false(tsn_interval_due(&interval, &pace, 0, 1000000));
    tsn_interval_free(&interval);
}

static void a_tick_or_another_partition_between_keeps_runs_apart(void **state)
{
    (void)state;
    struct tsn_interval interval;
    fill(&interval);
    tsn_interval_run(&interval, 0, 10, 20, 1);
    tsn_interval_tick(&interval, 99, 1);
    tsn_interval_run(&interval, 0, 20, 30, 1);
    tsn_interval_run(&interval, 1, 5, 6, 1);
    tsn_interval_run(&interval, 0, 30, 31, 1);
    assert_int_equal(interval.n_steps, 5);
    assert_int_equal(interval.steps[1].kind, TSN_STEP_TICK);
    tsn_interval_free(&interval);
}

/* The interval has two records. */
static const struct {
    const char *why;
    int64_t step_ms, output_ms; /* 0: none */
    int64_t now_ms;
    uint64_t lag;
    bool due;
} cases[] = {
    {"nothing happened", 0, 0, 1000000, 0, false},
    {"output waits not longer than busy", 100, 120, 169, 0, false},
    {"output waited for busy", 100, 120, 170, 0, true},
    {"steps alone wait for idle", 100, 0, 1099, 0, false},
    {"steps alone waited for idle", 100, 0, 1100, 0, true},
    {"late output does not put off idle", 100, 1090, 1100, 0, true},
    {"four times the interval is unread: not behind", 100, 120, 170, 11, true},
    {"more is unread: output waits longer than busy", 100, 120, 419, 12, false},
    {"output waited for behind", 100, 120, 420, 12, true},
    {"a backlog does not put off idle", 100, 1090, 1100, 1000000, true},
    {"a backlog without output waits for idle", 100, 0, 1099, 1000000, false},
};

static void an_interval_is_due_by_its_first_output_or_first_step(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tsn_interval interval;
        fill(&interval);
        if (cases[i].step_ms) {
            tsn_interval_run(&interval, 0, 1, 3, cases[i].step_ms);
        }
        if (cases[i].output_ms) {
            struct tsn_message m = message("x");
            tsn_interval_message(&interval, &m, cases[i].output_ms);
        }
        if (tsn_interval_due(&interval, &pace, cases[i].lag, cases[i].now_ms) != cases[i].due) {
            fail_msg("%s", cases[i].why);
        }
        tsn_interval_free(&interval);
    }
}

static void behind_never_means_sooner(void **state)
{
    (void)state;
    static const struct tsn_interval_pace slow = {
        .busy_ms = 500, .behind_ms = 300, .idle_ms = 1000};
    struct tsn_interval interval;
    fill(&interval);
    tsn_interval_run(&interval, 0, 1, 2, 100);
    struct tsn_message m = message("x");
    tsn_interval_message(&interval, &m, 100);
    assert_false(tsn_interval_due(&interval, &slow, 1000000, 599));
    assert_true(tsn_interval_due(&interval, &slow, 1000000, 600));
    tsn_interval_begin(&interval, 8);
    assert_int_equal(interval.n_offsets, 0);
    tsn_interval_free(&interval);
}

/* Seals it; the manifest's bytes live as long as the interval. */
static const struct tsn_message *seal(struct tsn_interval *interval)
{
    static const int32_t partitions[] = {1, 4};
    static const int64_t positions[] = {20, 9};
    struct tsn_manifest manifest = {.semantics = 3,
                                    .cluster_id = "c",
                                    .n_origins = 2,
                                    .origins = origins,
                                    .partitions = partitions};
    tsn_interval_seal(interval, &manifest, positions, "manifests");
    return &interval->publication.messages[interval->publication.n - 1];
}

/* Offsets that a backlog has: runs that go on where their partition stood are short, those
 * that leave something out name them. */
static const struct {
    const char *why;
    int64_t step;
    size_t runs_min, runs_max;
} fillings[] = {
    {"partitions in turn, row by row", 1, 400000, 450000},
    {"each run leaves one offset out", 2, 15000, 30000},
};

static void an_interval_is_full_before_its_manifest_is_too_long(void **state)
{
    (void)state;
    for (size_t f = 0; f < sizeof fillings / sizeof fillings[0]; f++) {
        struct tsn_interval interval;
        fill(&interval);
        size_t n = 0;
        for (int64_t at = 1000000000; !tsn_interval_full(&interval); at += fillings[f].step) {
            assert_false(tsn_interval_due(&interval, &pace, 0, 5));
            for (uint16_t source = 0; source < 2; source++, n++) {
                tsn_interval_run(&interval, source, at, at + 1, 5);
            }
        }
        assert_true(tsn_interval_due(&interval, &pace, 0, 5));
        if (n < fillings[f].runs_min || n > fillings[f].runs_max) {
            fail_msg("%s: full after %zu runs", fillings[f].why, n);
        }
        static const uint8_t program[32] = {1};
        tsn_interval_swap(&interval, program, 5);
        size_t len = seal(&interval)->len;
        assert_in_range(len, TSN_INTERVAL_MANIFEST_BYTES_MAX - 200,
                        TSN_INTERVAL_MANIFEST_BYTES_MAX + 200);
        tsn_interval_free(&interval);
    }
}

static void a_run_that_grows_is_counted_as_long_as_it_became(void **state)
{
    (void)state;
    struct tsn_interval grown, at_once;
    fill(&grown);
    fill(&at_once);
    for (int64_t i = 0; i < 2000; i++) {
        tsn_interval_run(&grown, 1, i, i + 1, 5);
    }
    tsn_interval_tick(&grown, 5, 5);
    for (int64_t i = 2000; i < 4000; i++) {
        tsn_interval_run(&grown, 1, i, i + 1, 5);
    }
    tsn_interval_run(&at_once, 1, 0, 2000, 5);
    tsn_interval_tick(&at_once, 5, 5);
    tsn_interval_run(&at_once, 1, 2000, 4000, 5);
    assert_int_equal(grown.steps_bytes, at_once.steps_bytes);
    const struct tsn_message *a = seal(&grown);
    const struct tsn_message *b = seal(&at_once);
    assert_int_equal(a->len, b->len);
    assert_memory_equal(a->value, b->value, a->len);
    assert_non_null(strstr(a->value, "[[\"run\",1,0,2000],[\"tick\",5],[1,2000]]"));
    tsn_interval_free(&grown);
    tsn_interval_free(&at_once);
}

static void the_sealed_manifest_is_the_last_message_and_reads_back(void **state)
{
    (void)state;
    struct tsn_interval interval;
    fill(&interval);
    tsn_interval_run(&interval, 0, 10, 20, 1);
    struct tsn_message m = message("an alert");
    tsn_interval_message(&interval, &m, 1);
    interval.n_alerts = 1;
    const struct tsn_message *sealed = seal(&interval);
    assert_int_equal(interval.publication.n, 2);
    assert_int_equal(interval.publication.sequence, 7);
    assert_string_equal(sealed->topic, "manifests");

    struct tsn_arena arena;
    tsn_arena_init(&arena, 0);
    struct tsn_manifest back;
    const char *why = NULL;
    assert_true(tsn_wire_manifest_read(sealed->value, sealed->len, &arena, &back, &why));
    assert_int_equal(back.sequence, 7);
    assert_int_equal(back.n_steps, 1);
    assert_int_equal(back.steps[0].end, 20);
    assert_int_equal(back.positions[1], 9);
    assert_int_equal(back.partitions[1], 4);
    assert_int_equal(back.n_alerts, 1);
    tsn_arena_free(&arena);
    tsn_interval_free(&interval);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_of_one_partition_that_touch_are_one_step),
        cmocka_unit_test(a_run_without_offsets_is_no_step),
        cmocka_unit_test(a_tick_or_another_partition_between_keeps_runs_apart),
        cmocka_unit_test(an_interval_is_due_by_its_first_output_or_first_step),
        cmocka_unit_test(behind_never_means_sooner),
        cmocka_unit_test(an_interval_is_full_before_its_manifest_is_too_long),
        cmocka_unit_test(a_run_that_grows_is_counted_as_long_as_it_became),
        cmocka_unit_test(the_sealed_manifest_is_the_last_message_and_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
