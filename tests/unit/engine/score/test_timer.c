/* Timer rules: "20 minutes after A, unless B". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "tests/fixture/score_world.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define T0 (1000 * HOUR)
#define DUE (T0 + 20 * MINUTE)

static struct world *world;
static struct tsn_rule *rule;

/* "long": 20 minutes after a ring with n = 1, unless a pay with n = 9. Grace: 1 s. */
static int begin(void **state)
{
    (void)state;
    world = world_new();
    world->settings.timer_grace_ms = SECOND;
    rule = world_rule(world, "long", RING, "ring.n == 1");
    world_timer(world, rule, 20 * MINUTE, PAY, "pay.n == 9");
    struct tsn_typology *typology = world_typology(world, "fraud", HOUR);
    typology->thresholds[TSN_LEVEL_MINOR] = 1;
    world_weight(world, typology, rule, 1);
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_free(world);
    return 0;
}

static void feed(const struct world_row *rows, size_t n, uint32_t batch_rows)
{
    world_feed(world, rows, n, batch_rows);
}

static void assert_text(struct tsn_str got, const char *want)
{
    if (got.len != strlen(want) || memcmp(got.p, want, got.len) != 0) {
        fail_msg("\"%.*s\" is not \"%s\"", (int)got.len, got.p, want);
    }
}

static void a_timer_fires_when_the_clock_has_passed_it_by_the_grace(void **state)
{
    (void)state;
    const struct {
        int64_t clock;
        bool fires;
    } cases[] = {{DUE, false}, {DUE + SECOND - 1, false}, {DUE + SECOND, true}};
    for (int by_tick = 0; by_tick < 2; by_tick++) {
        for (size_t i = 0; i < COUNT(cases); i++) {
            world_start(world);
            const struct world_row rows[] = {
                {.type = RING, .t = T0, .who = "A", .amount = -1, .n = 1, .id = "call"},
                {.type = PAY, .t = cases[i].clock, .who = "B", .amount = -1, .n = 0},
            };
            feed(rows, 1, 64);
            if (by_tick) {
                assert_int_equal(world_tick(world, cases[i].clock), cases[i].fires);
            } else {
                feed(rows + 1, 1, 64);
            }
            assert_int_equal(world->out.n_alerts, cases[i].fires);
            assert_int_equal(world->counts.hits, cases[i].fires);
        }
    }
}

static void the_alert_is_of_the_due_time_and_names_the_event(void **state)
{
    (void)state;
    world_reason(world, rule, "still talking to ", "ring.other", true, F_OTHER);
    struct tsn_typology *typology = &world->typologies[0];
    world_action(world, typology, TSN_LEVEL_MINOR, 0);
    world->template_.n_params = 2;
    world_start(world);
    const struct world_row row = {.type = RING,
                                  .t = T0,
                                  .who = "+8613909900001",
                                  .amount = 12345,
                                  .other = "+85251234567",
                                  .n = 1,
                                  .word = "web",
                                  .id = "c-1"};
    feed(&row, 1, 64);
    assert_true(world_tick(world, DUE + SECOND));
    assert_int_equal(world->out.n_alerts, 1);
    const struct tsn_alert *alert = &world->out.alerts[0];
    assert_true(alert->time_ms == DUE);
    assert_text(alert->entity, "+8613909900001");
    assert_text(alert->opened_by.id, "c-1");
    assert_true(alert->opened_by.time_ms == T0);
    assert_int_equal(alert->opened_by.type, RING);
    assert_int_equal(alert->n_hits, 1);
    assert_true(alert->hits[0].current);
    assert_text(alert->hits[0].reason, "still talking to *4567");
    assert_int_equal(alert->hits[0].n_evidence, 1);
    assert_string_equal(alert->hits[0].evidence[0].name, "ring.n");
    assert_text(alert->params[0].value, "4567");
    assert_text(alert->params[1].value, "web");
    assert_text(alert->sms_to, "+8613909900001");
}

static void only_the_same_entity_in_the_meantime_calls_it_off(void **state)
{
    (void)state;
    const struct {
        const char *who;
        int64_t t;
        int64_t n;
        bool fires;
        const char *why;
    } cases[] = {
        {"A", T0 + MINUTE, 9, false, "meanwhile"},
        {"A", T0, 9, false, "at once"},
        {"A", DUE, 9, false, "at the last instant"},
        {"A", DUE + 1, 9, true, "too late, though within the grace"},
        {"A", T0 - 1, 9, true, "before it was armed: of an older call"},
        {"B", T0 + MINUTE, 9, true, "another entity"},
        {NULL, T0 + MINUTE, 9, true, "no entity"},
        {"A", T0 + MINUTE, 8, true, "another event"},
        {"A", T0 + MINUTE, -1, true, "who knows what"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (uint32_t batch = 1; batch <= 64; batch *= 64) {
            world_start(world);
            const struct world_row rows[] = {
                {.type = RING, .t = T0, .who = "A", .amount = -1, .n = 1},
                {.type = PAY, .t = cases[i].t, .who = cases[i].who, .amount = -1, .n = cases[i].n},
                {.type = PAY, .t = DUE + SECOND, .who = "C", .amount = -1, .n = 0},
            };
            feed(rows, 3, batch);
            if (world->out.n_alerts != cases[i].fires) {
                fail_msg("%s (batches of %u)", cases[i].why, batch);
            }
        }
    }
}

static void a_tick_that_fires_nothing_has_no_effect(void **state)
{
    (void)state;
    world_start(world);
    struct world_row row = {.type = RING, .t = T0, .who = "A", .amount = -1, .n = 1};
    feed(&row, 1, 64);
    assert_false(world_tick(world, DUE));
    assert_false(world_tick(world, DUE + SECOND - 1));
    /* Had the tick moved the clock, this late row's timer would be due by it already. */
    row = (struct world_row){.type = RING, .t = T0 - 10 * MINUTE, .who = "B", .amount = -1, .n = 1};
    feed(&row, 1, 64);
    row = (struct world_row){.type = PAY, .t = T0 + 1, .who = "C", .amount = -1, .n = 0};
    feed(&row, 1, 64);
    assert_int_equal(world->out.n_alerts, 0);
}

static void a_tick_that_fired_has_moved_the_clock(void **state)
{
    (void)state;
    world_start(world);
    struct world_row row = {.type = RING, .t = T0, .who = "A", .amount = -1, .n = 1};
    feed(&row, 1, 64);
    assert_true(world_tick(world, DUE + HOUR));
    assert_int_equal(world->out.n_alerts, 1);
    /* Due a second before T0, armed late: a row behind the tick moves no clock. */
    row.t = T0 - 20 * MINUTE - SECOND;
    row.who = "B";
    feed(&row, 1, 64);
    row = (struct world_row){.type = PAY, .t = T0 + 1, .who = "C", .amount = -1, .n = 0};
    feed(&row, 1, 64);
    assert_int_equal(world->out.n_alerts, 1);
    row.t = DUE + HOUR + 1;
    feed(&row, 1, 64);
    assert_int_equal(world->out.n_alerts, 2);
}

static void what_is_due_fires_by_due_time_entity_and_rule(void **state)
{
    (void)state;
    struct tsn_rule *second = world_rule(world, "second", RING, "ring.n == 1");
    world_timer(world, second, 20 * MINUTE, TSN_NONE, NULL);
    struct tsn_typology *typology = world_typology(world, "other", HOUR);
    typology->thresholds[TSN_LEVEL_MINOR] = 1;
    world_weight(world, typology, second, 1);
    const struct world_row rows[] = {
        {.type = RING, .t = T0 + 2, .who = "A", .amount = -1, .n = 1},
        {.type = RING, .t = T0 + 1, .who = "C", .amount = -1, .n = 1},
        {.type = RING, .t = T0 + 1, .who = "B", .amount = -1, .n = 1},
        {.type = PAY, .t = T0 + HOUR, .who = "X", .amount = -1, .n = 0},
    };
    static const char *const want[] = {"B", "B", "C", "C", "A", "A"};
    for (uint32_t batch = 1; batch <= 64; batch *= 64) {
        world_start(world);
        feed(rows, 4, batch);
        assert_int_equal(world->out.n_alerts, COUNT(want));
        for (uint32_t i = 0; i < COUNT(want); i++) {
            assert_text(world->out.alerts[i].entity, want[i]);
            assert_int_equal(world->out.alerts[i].typology, i % 2);
        }
    }
}

static void the_row_that_moves_the_clock_sees_what_a_timer_wrote(void **state)
{
    (void)state;
    static const struct tsn_list_write writes[] = {{.list = LIST_SEEN, .field = F_WHO}};
    rule->writes = writes;
    rule->n_writes = 1;
    struct tsn_rule *seen = world_rule(world, "seen", PAY, "pay.who in lists.seen");
    const struct world_row rows[] = {
        {.type = RING, .t = T0, .who = "A", .amount = -1, .n = 1},
        {.type = PAY, .t = DUE + SECOND - 1, .who = "A", .amount = -1, .n = 0},
        {.type = PAY, .t = DUE + SECOND, .who = "A", .amount = -1, .n = 0},
    };
    for (uint32_t batch = 1; batch <= 64; batch *= 64) {
        world_start(world);
        feed(rows, 3, batch);
        assert_int_equal(world->counts.hits, 2); /* the timer, and "seen" once */
    }
    (void)seen;
}

static void shadow_timers_are_counted_and_do_nothing(void **state)
{
    (void)state;
    rule->mode = TSN_MODE_SHADOW;
    world_start(world);
    const struct world_row row = {.type = RING, .t = T0, .who = "A", .amount = -1, .n = 1};
    feed(&row, 1, 64);
    assert_true(world_tick(world, DUE + SECOND));
    assert_int_equal(world->out.n_alerts, 0);
    assert_int_equal(world->counts.shadow_hits, 1);
    assert_int_equal(world->counts.hits, 0);
}

static void count_records(void *user, const struct tsn_snapshot_record *record)
{
    if (record->section == TSN_SNAPSHOT_TIMER) {
        ((int *)user)[record->bytes ? 0 : 1]++;
    }
}

static void a_timer_called_off_before_a_cut_leaves_no_trace(void **state)
{
    (void)state;
    world_start(world);
    const struct world_row rows[] = {
        {.type = RING, .t = T0, .who = "A", .amount = -1, .n = 1},
        {.type = PAY, .t = T0 + 1, .who = "A", .amount = -1, .n = 9},
        {.type = RING, .t = T0 + 2, .who = "B", .amount = -1, .n = 1},
        {.type = PAY, .t = T0 + 3, .who = "B", .amount = -1, .n = 9},
    };
    int given[2] = {0, 0}; /* records, deletions */
    feed(rows, 3, 64);
    tsn_score_cut(world->score, false, count_records, given);
    assert_true(given[0] == 1 && given[1] == 0);
    feed(rows + 3, 1, 64);
    tsn_score_cut(world->score, false, count_records, given);
    assert_true(given[0] == 1 && given[1] == 1);
}

static void assert_rest_of_cut(const int *given, int records, int deletions)
{
    int64_t budget = INT64_MAX;
    assert_true(tsn_score_cut_step(world->score, &budget));
    assert_int_equal(given[0], records);
    assert_int_equal(given[1], deletions);
}

static void a_timer_that_goes_while_a_cut_is_taken_is_in_it_as_it_was(void **state)
{
    (void)state;
    world_start(world);
    const struct world_row rows[] = {
        {.type = RING, .t = T0, .who = "A", .amount = -1, .n = 1},
        {.type = RING, .t = T0 + 1, .who = "B", .amount = -1, .n = 1},
        {.type = PAY, .t = T0 + 2, .who = "B", .amount = -1, .n = 9},
        {.type = RING, .t = T0 + 3, .who = "C", .amount = -1, .n = 1},
        {.type = PAY, .t = T0 + 4, .who = "A", .amount = -1, .n = 9},
    };
    int given[2] = {0, 0}; /* records, deletions */
    feed(rows, 2, 64);
    tsn_score_cut_begin(world->score, false, count_records, given);
    feed(rows + 2, 2, 64); /* B goes, C comes */
    assert_rest_of_cut(given, 2, 0);
    tsn_score_cut_begin(world->score, true, count_records, given);
    feed(rows + 4, 1, 64); /* A goes */
    assert_rest_of_cut(given, 2 + 2, 1);
    tsn_score_cut_begin(world->score, false, count_records, given);
    assert_rest_of_cut(given, 2 + 2, 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        T(a_timer_fires_when_the_clock_has_passed_it_by_the_grace),
        T(the_alert_is_of_the_due_time_and_names_the_event),
        T(only_the_same_entity_in_the_meantime_calls_it_off),
        T(a_tick_that_fires_nothing_has_no_effect),
        T(a_tick_that_fired_has_moved_the_clock),
        T(what_is_due_fires_by_due_time_entity_and_rule),
        T(the_row_that_moves_the_clock_sees_what_a_timer_wrote),
        T(shadow_timers_are_counted_and_do_nothing),
        T(a_timer_called_off_before_a_cut_leaves_no_trace),
        T(a_timer_that_goes_while_a_cut_is_taken_is_in_it_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
