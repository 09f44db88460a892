/* Scoring, sentence by sentence of docs/SEMANTICS.md: rules, lists, typologies, alerts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/fixture/score_world.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define T0 (1000 * HOUR)

static struct world *world;

static int begin(void **state)
{
    (void)state;
    world = world_new();
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_free(world);
    return 0;
}

/* One row a batch: the plainest reading of the semantics. */
static void feed(const struct world_row *rows, size_t n)
{
    world_feed(world, rows, n, 1);
}

static const struct tsn_alert *alert_at(uint32_t i)
{
    assert_true(i < world->out.n_alerts);
    return &world->out.alerts[i];
}

static void assert_text(struct tsn_str got, const char *want)
{
    if (got.len != strlen(want) || memcmp(got.p, want, got.len) != 0) {
        fail_msg("\"%.*s\" is not \"%s\"", (int)got.len, got.p, want);
    }
}

/* A typology "fraud" over one hour: severe at 60, extreme at 100. "big" weighs 40,
 * "small" 25, both on pay. */
static struct tsn_typology *fraud(void)
{
    struct tsn_rule *big = world_rule(world, "big", PAY, "pay.amount >= 1000.0");
    struct tsn_rule *small = world_rule(world, "small", PAY, "pay.n == 1");
    struct tsn_typology *typology = world_typology(world, "fraud", HOUR);
    typology->thresholds[TSN_LEVEL_SEVERE] = 60;
    typology->thresholds[TSN_LEVEL_EXTREME] = 100;
    world_weight(world, typology, big, 40);
    world_weight(world, typology, small, 25);
    return typology;
}

/* ---- typologies ------------------------------------------------------------------------- */

static void weights_of_different_rules_add_up_on_one_entity(void **state)
{
    (void)state;
    fraud();
    world_start(world);
    const struct world_row rows[] = {
        {.type = PAY, .t = T0, .who = "A", .amount = 100000, .n = 0, .id = "e1"},
        {.type = PAY, .t = T0 + 1, .who = "B", .amount = 1, .n = 1, .id = "e2"},
        {.type = PAY, .t = T0 + 2, .who = "A", .amount = 1, .n = 1, .id = "e3"},
        {.type = PAY, .t = T0 + 3, .who = "A", .amount = 1, .n = 1, .id = "e4"},
    };
    feed(rows, 2);
    assert_int_equal(world->out.n_alerts, 0);
    feed(rows + 2, 2);
    assert_int_equal(world->out.n_alerts, 1);
    const struct tsn_alert *alert = alert_at(0);
    assert_text(alert->entity, "A");
    assert_true(alert->score == 65);
    assert_int_equal(alert->level, TSN_LEVEL_SEVERE);
    assert_int_equal(alert->level_before, TSN_LEVEL_NONE);
    assert_int_equal(alert->revision, 1);
    assert_text(alert->opened_by.id, "e3");
    assert_true(alert->time_ms == T0 + 2);
    assert_int_equal(alert->n_hits, 2);
    assert_text(alert->hits[0].event.id, "e1");
    assert_false(alert->hits[0].current);
    assert_text(alert->hits[1].event.id, "e3");
    assert_true(alert->hits[1].current);
    assert_true(alert->hits[0].points == 40 && alert->hits[1].points == 25);
    assert_int_equal(world->counts.hits, 4);
    assert_int_equal(world->counts.alerts, 1);
    assert_int_equal(world->counts.suppressed, 1);
}

static void several_hits_of_one_row_count_before_any_alert(void **state)
{
    (void)state;
    fraud();
    world_start(world);
    const struct world_row row = {.type = PAY, .t = T0, .who = "A", .amount = 100000, .n = 1};
    feed(&row, 1);
    assert_int_equal(world->out.n_alerts, 1);
    assert_true(alert_at(0)->score == 65);
    assert_int_equal(alert_at(0)->n_hits, 2);
}

static void a_rule_counts_once_unless_hits_repeat(void **state)
{
    (void)state;
    for (int repeat = 0; repeat < 2; repeat++) {
        struct tsn_typology *typology = repeat ? &world->typologies[0] : fraud();
        typology->repeat_sum = repeat;
        world_start(world);
        struct world_row rows[3];
        for (int i = 0; i < 3; i++) {
            rows[i] =
                (struct world_row){.type = PAY, .t = T0 + i, .who = "A", .amount = 100000, .n = 0};
        }
        feed(rows, 3);
        assert_int_equal(world->out.n_alerts, repeat ? 2 : 0);
        if (repeat) {
            assert_true(alert_at(0)->score == 80);
            assert_true(alert_at(1)->score == 120);
            assert_int_equal(alert_at(1)->level_before, TSN_LEVEL_SEVERE);
            assert_int_equal(alert_at(1)->level, TSN_LEVEL_EXTREME);
            assert_int_equal(alert_at(1)->revision, 2);
        }
    }
}

/* A hit at c - sum_over is out of (c - sum_over, c]; a millisecond younger is in. */
static void a_hit_counts_while_it_is_younger_than_sum_over(void **state)
{
    (void)state;
    const struct {
        int64_t gap;
        uint32_t alerts;
    } cases[] = {{HOUR - 1, 1}, {HOUR, 0}, {HOUR + 1, 0}};
    fraud();
    for (size_t i = 0; i < COUNT(cases); i++) {
        world_start(world);
        const struct world_row rows[] = {
            {.type = PAY, .t = T0, .who = "A", .amount = 100000, .n = 0},
            {.type = PAY, .t = T0 + cases[i].gap, .who = "A", .amount = 1, .n = 1},
        };
        feed(rows, 2);
        assert_int_equal(world->out.n_alerts, cases[i].alerts);
    }
}

static void an_episode_closes_when_a_hit_comes_later_than_sum_over(void **state)
{
    (void)state;
    fraud();
    const struct {
        int64_t gap;
        uint32_t alerts;
        uint32_t revision;
    } cases[] = {{HOUR, 1, 1}, {HOUR + 1, 2, 1}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        world_start(world);
        const struct world_row rows[] = {
            {.type = PAY, .t = T0, .who = "A", .amount = 100000, .n = 1, .id = "one"},
            {.type = PAY,
             .t = T0 + cases[i].gap,
             .who = "A",
             .amount = 100000,
             .n = 1,
             .id = "two"},
        };
        feed(rows, 2);
        assert_int_equal(world->out.n_alerts, cases[i].alerts);
        const struct tsn_alert *last = alert_at(world->out.n_alerts - 1);
        assert_int_equal(last->revision, cases[i].revision);
        assert_text(last->opened_by.id, cases[i].alerts == 2 ? "two" : "one");
    }
}

static void a_late_hit_counts_where_it_belongs_and_moves_no_clock(void **state)
{
    (void)state;
    struct tsn_typology *typology = fraud();
    world_action(world, typology, TSN_LEVEL_SEVERE, 10 * MINUTE);
    world_start(world);
    const struct world_row rows[] = {
        {.type = PAY, .t = T0 + 30 * MINUTE, .who = "A", .amount = 100000, .n = 0, .id = "e1"},
        {.type = PAY, .t = T0 + 10 * MINUTE, .who = "A", .amount = 1, .n = 1, .id = "late"},
        /* Older than (c - sum_over, c]: no more than a hit that is suppressed. */
        {.type = PAY, .t = T0 - 40 * MINUTE, .who = "A", .amount = 1, .n = 1, .id = "later"},
        /* Nine minutes of cooldown by the clock, which the late hit did not rewind. */
        {.type = PAY, .t = T0 + 39 * MINUTE, .who = "A", .amount = 100000, .n = 0, .id = "e2"},
        {.type = PAY, .t = T0 + 40 * MINUTE, .who = "A", .amount = 100000, .n = 0, .id = "e3"},
    };
    feed(rows, 4);
    assert_int_equal(world->out.n_alerts, 1);
    assert_text(alert_at(0)->opened_by.id, "late");
    assert_true(alert_at(0)->time_ms == T0 + 10 * MINUTE);
    assert_int_equal(alert_at(0)->n_hits, 2);
    assert_text(alert_at(0)->hits[0].event.id, "late"); /* oldest first */
    feed(rows + 4, 1);
    assert_int_equal(world->out.n_alerts, 2);
    assert_text(alert_at(1)->event.id, "e3");
    assert_int_equal(alert_at(1)->revision, 2);
    assert_int_equal(alert_at(1)->level_before, TSN_LEVEL_SEVERE);
    assert_int_equal(world->counts.suppressed, 2);
}

static void a_level_without_cooldown_speaks_once_an_episode(void **state)
{
    (void)state;
    fraud();
    world_start(world);
    for (int i = 0; i < 20; i++) {
        const struct world_row row = {
            .type = PAY, .t = T0 + i * 30 * MINUTE, .who = "A", .amount = 100000, .n = 1};
        feed(&row, 1);
    }
    assert_int_equal(world->out.n_alerts, 1);
}

static void an_sms_within_the_cooldown_is_muted_over_episodes_too(void **state)
{
    (void)state;
    struct tsn_typology *typology = fraud();
    world_action(world, typology, TSN_LEVEL_SEVERE, 12 * HOUR);
    world_start(world);
    const int64_t at[] = {0, 3 * HOUR, 12 * HOUR - 1, 24 * HOUR};
    const bool muted[] = {false, true, true, false};
    for (size_t i = 0; i < COUNT(at); i++) {
        const struct world_row row = {
            .type = PAY, .t = T0 + at[i], .who = "A", .amount = 100000, .n = 1};
        feed(&row, 1);
        assert_int_equal(world->out.n_alerts, i + 1);
        assert_int_equal(alert_at((uint32_t)i)->revision, 1);
        assert_int_equal(alert_at((uint32_t)i)->sms_muted, muted[i]);
        assert_text(alert_at((uint32_t)i)->sms_to, muted[i] ? "" : "A");
    }
}

static void an_sms_goes_again_when_the_cooldown_is_over_to_the_millisecond(void **state)
{
    (void)state;
    struct tsn_typology *typology = fraud();
    world_action(world, typology, TSN_LEVEL_SEVERE, 12 * HOUR);
    for (int64_t early = 0; early < 2; early++) {
        world_start(world);
        const struct world_row rows[] = {
            {.type = PAY, .t = T0, .who = "A", .amount = 100000, .n = 1},
            {.type = PAY, .t = T0 + 12 * HOUR - early, .who = "A", .amount = 100000, .n = 1},
        };
        feed(rows, 2);
        assert_int_equal(alert_at(1)->sms_muted, early);
    }
}

static void a_level_never_falls_and_speaks_again_only_at_its_score(void **state)
{
    (void)state;
    struct tsn_typology *typology = fraud();
    typology->repeat_sum = true;
    world_action(world, typology, TSN_LEVEL_EXTREME, MINUTE);
    world_start(world);
    const struct world_row rows[] = {
        {.type = PAY, .t = T0, .who = "A", .amount = 100000, .n = 1, .id = "1"},     /* 65 */
        {.type = PAY, .t = T0 + 1, .who = "A", .amount = 100000, .n = 0, .id = "2"}, /* 105 */
        {.type = PAY, .t = T0 + HOUR, .who = "A", .amount = 1, .n = 1, .id = "3"},   /* 65 */
        {.type = PAY, .t = T0 + HOUR, .who = "A", .amount = 1, .n = 1, .id = "4"},   /* 90 */
        {.type = PAY, .t = T0 + HOUR, .who = "A", .amount = 1, .n = 1, .id = "5"},   /* 115 */
    };
    feed(rows, COUNT(rows));
    assert_int_equal(world->out.n_alerts, 3);
    assert_text(alert_at(2)->event.id, "5");
    assert_true(alert_at(2)->score == 115);
    assert_int_equal(alert_at(2)->level_before, TSN_LEVEL_EXTREME);
}

static void a_row_without_the_entity_touches_nothing(void **state)
{
    (void)state;
    fraud();
    world_start(world);
    const struct world_row row = {.type = PAY, .t = T0, .amount = 100000, .n = 1};
    feed(&row, 1);
    assert_int_equal(world->out.n_alerts, 0);
    assert_int_equal(world->counts.hits, 2);
}

static void event_types_share_an_entity(void **state)
{
    (void)state;
    struct tsn_typology *typology = fraud();
    world_weight(world, typology, world_rule(world, "rang", RING, "ring.n > 0"), 25);
    world_start(world);
    const struct world_row rows[] = {
        {.type = RING, .t = T0, .who = "A", .amount = -1, .n = 3, .id = "r"},
        {.type = PAY, .t = T0 + 1, .who = "A", .amount = 100000, .n = 0, .id = "p"},
    };
    world_feed(world, rows, 2, 64);
    assert_int_equal(world->out.n_alerts, 1);
    assert_int_equal(alert_at(0)->hits[0].event.type, RING);
    assert_int_equal(alert_at(0)->hits[1].event.type, PAY);
}

static void a_shadow_typology_or_pack_marks_what_it_would_say(void **state)
{
    (void)state;
    struct tsn_typology *typology = fraud();
    const struct world_row row = {.type = PAY, .t = T0, .who = "A", .amount = 100000, .n = 1};
    typology->mode = TSN_MODE_SHADOW;
    world_start(world);
    feed(&row, 1);
    assert_true(alert_at(0)->shadow);
    assert_int_equal(world->counts.alerts, 0);
    assert_int_equal(world->counts.shadow_alerts, 1);
    typology->mode = TSN_MODE_LIVE;
    world->prog.mode = TSN_MODE_SHADOW;
    world_start(world);
    feed(&row, 1);
    assert_true(alert_at(0)->shadow);
    typology->mode = TSN_MODE_DISABLED;
    world_start(world);
    feed(&row, 1);
    assert_int_equal(world->out.n_alerts, 0);
}

static void a_score_expression_is_the_score_of_its_row(void **state)
{
    (void)state;
    struct tsn_typology *typology = world_typology(world, "card", HOUR);
    typology->thresholds[TSN_LEVEL_MODERATE] = 10;
    typology->thresholds[TSN_LEVEL_SEVERE] = 100;
    world_score(world, typology, PAY, "pay.amount / 10.0");
    world_action(world, typology, TSN_LEVEL_MODERATE, 10 * MINUTE);
    world_start(world);
    const struct {
        struct world_row row;
        uint32_t alerts;
        double score;
        enum tsn_level level;
        const char *why;
    } steps[] = {
        {{.type = PAY, .t = T0, .who = "A", .amount = 9999, .n = 0}, 0, 0, 0, "below"},
        {{.type = PAY, .t = T0 + 1, .who = "A", .amount = -1, .n = 0}, 0, 0, 0, "missing"},
        {{.type = RING, .t = T0 + 1, .who = "A", .amount = 10000, .n = 0}, 0, 0, 0, "other type"},
        {{.type = PAY, .t = T0 + 2, .who = "A", .amount = 10000, .n = 0}, 1, 10, 2, "opens"},
        {{.type = PAY, .t = T0 + 3, .who = "A", .amount = 20000, .n = 0}, 1, 10, 2, "suppressed"},
        {{.type = PAY, .t = T0 + 4, .who = "A", .amount = 200000, .n = 0}, 2, 200, 3, "rises"},
        {{.type = PAY, .t = T0 + 20 * MINUTE, .who = "A", .amount = 20000, .n = 0},
         2,
         200,
         3,
         "the score does not reach the level"},
        {{.type = PAY, .t = T0 + 3 * HOUR, .who = "A", .amount = 20000, .n = 0}, 3, 20, 2, "anew"},
    };
    for (size_t i = 0; i < COUNT(steps); i++) {
        feed(&steps[i].row, 1);
        if (world->out.n_alerts != steps[i].alerts) {
            fail_msg("%s: %u alerts", steps[i].why, world->out.n_alerts);
        }
        if (steps[i].alerts) {
            const struct tsn_alert *alert = alert_at(steps[i].alerts - 1);
            assert_true(alert->score == steps[i].score);
            assert_int_equal(alert->level, steps[i].level);
            assert_int_equal(alert->hits[alert->n_hits - 1].rule, TSN_NONE);
        }
    }
}

/* ---- rules ---------------------------------------------------------------------------------- */

static void what_is_missing_or_fails_does_not_fire_and_is_counted(void **state)
{
    (void)state;
    world_rule(world, "ratio", PAY, "pay.n / (pay.n - 2) > 0");
    world_start(world);
    const struct world_row rows[] = {
        {.type = PAY, .t = T0, .who = "A", .n = 3},
        {.type = PAY, .t = T0, .who = "A", .n = 2},
        {.type = PAY, .t = T0, .who = "A", .n = -1},
        {.type = PAY, .t = T0, .who = "A", .n = 1},
        {.type = PAY, .t = T0, .who = "A", .n = -1, .duplicate = true},
    };
    for (uint32_t batch = 1; batch <= 64; batch *= 8) {
        world_start(world);
        world_feed(world, rows, COUNT(rows), batch);
        assert_int_equal(world->counts.hits, 1);
        assert_int_equal(world->counts.rule_errors, 1);
        assert_int_equal(world->counts.rule_missing, 1);
    }
}

static void shadow_rules_are_counted_and_weigh_nothing(void **state)
{
    (void)state;
    fraud();
    world->rules[0].mode = TSN_MODE_SHADOW;
    world->rules[1].mode = TSN_MODE_DISABLED;
    world_start(world);
    const struct world_row row = {.type = PAY, .t = T0, .who = "A", .amount = 100000, .n = 1};
    feed(&row, 1);
    assert_int_equal(world->counts.hits, 0);
    assert_int_equal(world->counts.shadow_hits, 1);
    assert_int_equal(world->out.n_alerts, 0);
}

static void exceptions_and_dates_hold_a_rule_back(void **state)
{
    (void)state;
    struct tsn_rule *rule = world_rule(world, "any", PAY, "pay.n >= 0");
    rule->from_ms = T0;
    rule->until_ms = T0 + 10;
    world_exception(world, rule, "pay.word == \"app\"", T0 + 5);
    const struct {
        int64_t t;
        const char *word;
        uint64_t hits;
        const char *why;
    } cases[] = {
        {T0 - 1, "web", 0, "before from"},
        {T0, "web", 1, "from is within"},
        {T0 + 10, "web", 0, "until is not"},
        {T0 + 9, "web", 1, "the last instant"},
        {T0 + 1, "app", 0, "the exception is in force"},
        {T0 + 5, "app", 0, "its last instant"},
        {T0 + 6, "app", 1, "the exception is void"},
        {T0 + 1, NULL, 1, "a missing exception excepts nothing"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        world_start(world);
        const struct world_row row = {.type = PAY, .t = cases[i].t, .n = 1, .word = cases[i].word};
        feed(&row, 1);
        if (world->counts.hits != cases[i].hits) {
            fail_msg("%s", cases[i].why);
        }
    }
}

static void duplicates_are_not_there(void **state)
{
    (void)state;
    fraud();
    world_start(world);
    const struct world_row rows[] = {
        {.type = PAY, .t = T0, .who = "A", .amount = 100000, .n = 1, .duplicate = true},
        {.type = PAY, .t = T0, .who = "B", .amount = 100000, .n = 1},
    };
    world_feed(world, rows, 2, 64);
    assert_int_equal(world->out.n_alerts, 1);
    assert_text(alert_at(0)->entity, "B");
    assert_int_equal(world->counts.hits, 2);
}

/* ---- lists ---------------------------------------------------------------------------------- */

/* "first" puts who on the list; "again" fires for who is on it. */
static void list_rules(void)
{
    static const struct tsn_list_write writes[] = {{.list = LIST_SEEN, .field = F_WHO}};
    struct tsn_rule *first = world_rule(world, "first", PAY, "pay.n == 1");
    first->writes = writes;
    first->n_writes = 1;
    struct tsn_rule *again = world_rule(world, "again", PAY, "pay.who in lists.seen");
    again->reads_written_list = true;
    struct tsn_typology *typology = world_typology(world, "fraud", HOUR);
    typology->thresholds[TSN_LEVEL_MINOR] = 1;
    world_weight(world, typology, again, 1);
}

static void a_list_write_is_seen_by_the_next_row_and_not_by_its_own(void **state)
{
    (void)state;
    list_rules();
    const struct world_row rows[] = {
        {.type = PAY, .t = T0, .who = "A", .amount = -1, .n = 1},
        {.type = PAY, .t = T0, .who = "B", .amount = -1, .n = 0},
        {.type = PAY, .t = T0, .who = "A", .amount = -1, .n = 0, .id = "hit"},
        {.type = PAY, .t = T0 + HOUR - 1, .who = "A", .amount = -1, .n = 0},
        {.type = PAY, .t = T0 + HOUR, .who = "A", .amount = -1, .n = 0},
    };
    for (uint32_t batch = 1; batch <= 64; batch *= 4) {
        world_start(world);
        world_feed(world, rows, COUNT(rows), batch);
        assert_int_equal(world->counts.hits, 1 + 2); /* first once, again twice */
        assert_int_equal(world->out.n_alerts, 1);
        assert_text(alert_at(0)->opened_by.id, "hit");
    }
}

static void shadow_rules_write_no_list(void **state)
{
    (void)state;
    list_rules();
    world->rules[0].mode = TSN_MODE_SHADOW;
    world_start(world);
    const struct world_row rows[] = {
        {.type = PAY, .t = T0, .who = "A", .amount = -1, .n = 1},
        {.type = PAY, .t = T0, .who = "A", .amount = -1, .n = 0},
    };
    feed(rows, 2);
    assert_int_equal(world->out.n_alerts, 0);
}

static void an_entry_is_forgotten_for_too_late_rows_by_the_minute(void **state)
{
    (void)state;
    list_rules();
    const struct {
        int64_t written;
        int64_t newest;
        uint32_t alerts;
        const char *why;
    } cases[] = {
        /* An entry ends an hour after it was written; lateness is 1 h. */
        {T0, T0 + 2 * HOUR - 1, 1, "E - lateness has not reached its end"},
        {T0, T0 + 2 * HOUR, 0, "it has"},
        {T0, T0 + 2 * HOUR + 30 * SECOND, 0, "and past it"},
        {T0 + 10 * SECOND, T0 + 2 * HOUR + 30 * SECOND, 1, "past it, but not by the minute"},
        {T0 + 10 * SECOND, T0 + 2 * HOUR + MINUTE, 0, "past it by the minute"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (uint32_t batch = 1; batch <= 64; batch *= 8) {
            world_start(world);
            const struct world_row rows[] = {
                {.type = PAY, .t = cases[i].written, .who = "A", .amount = -1, .n = 1},
                {.type = PAY, .t = cases[i].newest, .who = "B", .amount = -1, .n = 0},
                {.type = PAY, .t = T0 + 1, .who = "A", .amount = -1, .n = 0}, /* too late */
            };
            world_feed(world, rows, 3, batch);
            if (world->out.n_alerts != cases[i].alerts) {
                fail_msg("%s (batches of %u)", cases[i].why, batch);
            }
        }
    }
}

static void an_entry_that_ended_before_it_was_written_is_seen_by_nobody(void **state)
{
    (void)state;
    list_rules();
    const struct world_row rows[] = {
        {.type = PAY, .t = T0 + 3 * HOUR, .who = "B", .amount = -1, .n = 0},
        {.type = PAY, .t = T0, .who = "B", .amount = -1, .n = 0}, /* too late: E is looked at */
        {.type = PAY, .t = T0, .who = "A", .amount = -1, .n = 1}, /* ends an hour before E - 1 h */
        {.type = PAY, .t = T0 + 1, .who = "A", .amount = -1, .n = 0},
    };
    for (uint32_t batch = 1; batch <= 64; batch *= 8) {
        world_start(world);
        world_feed(world, rows, 4, batch);
        assert_int_equal(world->out.n_alerts, 0);
    }
}

/* ---- alerts -----------------------------------------------------------------------------------
 */

static void a_reason_shows_money_and_masks_entities(void **state)
{
    (void)state;
    struct tsn_rule *rule = world_rule(world, "big", PAY, "pay.amount >= 1.0 && pay.n > 0");
    world_reason(world, rule, "paid ", "pay.amount", false, F_AMOUNT);
    world_reason(world, rule, " to ", "pay.other", true, F_OTHER);
    world_reason(world, rule, ", ", "pay.n * 2", false, UINT32_MAX);
    world_reason(world, rule, " times on ", "pay.word", false, F_WORD);
    world_reason(world, rule, ".", NULL, false, UINT32_MAX);
    struct tsn_typology *typology = world_typology(world, "fraud", HOUR);
    typology->thresholds[TSN_LEVEL_MINOR] = 1;
    world_weight(world, typology, rule, 1);
    world_start(world);
    const struct world_row rows[] = {
        {.type = PAY,
         .t = T0,
         .who = "+8613909900001",
         .amount = 450010,
         .n = 3,
         .other = "+85251234567"},
        {.type = PAY, .t = T0, .who = "B", .amount = 100, .n = 0}, /* overwrites the batch */
    };
    feed(rows, 2);
    const struct tsn_alert_hit *hit = &alert_at(0)->hits[0];
    assert_text(hit->reason, "paid 4500.10 to *4567, 6 times on missing.");
    assert_int_equal(hit->n_evidence, 2);
    assert_string_equal(hit->evidence[0].name, "pay.amount");
    assert_true(hit->evidence[0].value.d == 4500.1);
    assert_string_equal(hit->evidence[1].name, "pay.n");
    assert_int_equal(hit->evidence[1].value.i, 3);
    assert_false(hit->evidence[0].masked);
}

static void an_sms_takes_tails_and_listed_words_only(void **state)
{
    (void)state;
    struct tsn_typology *typology = fraud();
    struct tsn_action *action = world_action(world, typology, TSN_LEVEL_SEVERE, 0);
    action->valid_for_ms = 2 * HOUR;
    world->template_.n_params = 2;
    const struct {
        const char *other, *word, *tail, *channel, *to, *why;
    } cases[] = {
        {"+85251234567", "web", "4567", "web", "A", "both fit"},
        {"+85251234567", "visit http://x", "4567", "", "", "free text does not pass"},
        {"Acme", "app", "", "app", "", "no digits"},
        {NULL, "app", "", "app", "", "no number"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        world_start(world);
        const struct world_row row = {.type = PAY,
                                      .t = T0,
                                      .who = "A",
                                      .amount = 100000,
                                      .n = 1,
                                      .other = cases[i].other,
                                      .word = cases[i].word};
        feed(&row, 1);
        const struct tsn_alert *alert = alert_at(0);
        assert_int_equal(alert->n_params, 2);
        assert_text(alert->params[0].value, cases[i].tail);
        assert_text(alert->params[1].value, cases[i].channel);
        assert_text(alert->sms_to, cases[i].to);
        assert_true(alert->not_after_ms == T0 + 2 * HOUR);
        assert_false(alert->sms_muted);
    }
}

static void every_rule_keeps_a_hit_when_evidence_overflows(void **state)
{
    (void)state;
    struct tsn_typology *typology = fraud();
    typology->repeat_sum = true;
    typology->thresholds[TSN_LEVEL_SEVERE] = 25 + 40 * 100;
    typology->thresholds[TSN_LEVEL_EXTREME] = INFINITY;
    world_start(world);
    struct world_row row = {.type = PAY, .t = T0, .who = "A", .amount = 1, .n = 1};
    feed(&row, 1);
    for (int i = 1; i <= 100; i++) {
        row = (struct world_row){.type = PAY, .t = T0 + i, .who = "A", .amount = 100000, .n = 0};
        feed(&row, 1);
    }
    assert_int_equal(world->out.n_alerts, 1);
    const struct tsn_alert *alert = alert_at(0);
    assert_true(alert->score == 4025);
    assert_int_equal(alert->n_hits, TSN_ALERT_HITS_MAX);
    assert_int_equal(alert->hits[0].rule, 1);
    for (uint32_t i = 1; i < alert->n_hits; i++) {
        assert_int_equal(alert->hits[i].rule, 0);
        assert_true(alert->hits[i].event.time_ms == T0 + 100 - (TSN_ALERT_HITS_MAX - 1 - (int)i));
    }
}

/* ---- memory ------------------------------------------------------------------------------------
 */

static void a_silent_tally_is_forgotten_when_no_row_in_time_can_tell(void **state)
{
    (void)state;
    struct tsn_typology *typology = fraud();
    world_action(world, typology, TSN_LEVEL_SEVERE, 3 * HOUR);
    const struct {
        int64_t newest;
        uint32_t alerts;
        const char *why;
    } cases[] = {
        /* Kept for lateness (1 h) and the longer of sum_over and cooldown (3 h). */
        {T0 + 4 * HOUR, 1, "kept: the too-late hit belongs to the open episode"},
        {T0 + 4 * HOUR + 1, 2, "forgotten: the too-late hit opens another"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (uint32_t batch = 1; batch <= 64; batch *= 8) {
            world_start(world);
            const struct world_row rows[] = {
                {.type = PAY, .t = T0, .who = "A", .amount = 100000, .n = 1},
                {.type = RING, .t = cases[i].newest, .who = "B", .amount = -1, .n = 0},
                {.type = PAY, .t = T0, .who = "A", .amount = 100000, .n = 1},
            };
            world_feed(world, rows, 3, batch);
            if (world->out.n_alerts != cases[i].alerts) {
                fail_msg("%s (batches of %u)", cases[i].why, batch);
            }
        }
    }
}

/* ---- columns ------------------------------------------------------------------------------------
 */

static void columns_are_there_when_wanted_and_only_then(void **state)
{
    (void)state;
    fraud();
    world_start(world);
    const struct world_row rows[] = {
        {.type = PAY, .t = T0, .who = "A", .amount = 100000, .n = 0},
        {.type = RING, .t = T0 + 1, .who = "A", .amount = -1, .n = 0},
        {.type = PAY, .t = T0 + 1, .who = "A", .amount = -1, .n = 1},
        {.type = PAY, .t = T0 + 2, .amount = 1, .n = 0},
        {.type = PAY, .t = T0 + 2, .who = "B", .amount = 1, .n = 0},
        {.type = PAY, .t = T0 + HOUR, .who = "A", .amount = 1, .n = 0},
    };
    world_feed(world, rows, 1, 64);
    assert_null(tsn_score_rule(world->score, 0));
    assert_null(tsn_score_typology(world->score, 0, PAY));
    tsn_score_want_columns(world->score, true);
    world_feed(world, rows + 1, 5, 64);
    const struct tsn_column *big = tsn_score_rule(world->score, 0);
    assert_non_null(big);
    assert_int_equal(big->valid[0], 0xe); /* the first has no amount */
    assert_int_equal(big->bits[0], 0);
    const struct tsn_column *small = tsn_score_rule(world->score, 1);
    assert_int_equal(small->bits[0], 1);
    const struct tsn_column *pay = tsn_score_typology(world->score, 0, PAY);
    assert_int_equal(pay->valid[0], 0xd); /* the second names nobody */
    assert_true(pay->f64[0] == 65);
    assert_true(pay->f64[2] == 0);
    assert_true(pay->f64[3] == 25); /* the first hit has gone by now */
    const struct tsn_column *ring = tsn_score_typology(world->score, 0, RING);
    assert_int_equal(ring->valid[0], 1);
    assert_true(ring->f64[0] == 40);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        T(weights_of_different_rules_add_up_on_one_entity),
        T(several_hits_of_one_row_count_before_any_alert),
        T(a_rule_counts_once_unless_hits_repeat),
        T(a_hit_counts_while_it_is_younger_than_sum_over),
        T(an_episode_closes_when_a_hit_comes_later_than_sum_over),
        T(a_late_hit_counts_where_it_belongs_and_moves_no_clock),
        T(a_level_without_cooldown_speaks_once_an_episode),
        T(an_sms_within_the_cooldown_is_muted_over_episodes_too),
        T(an_sms_goes_again_when_the_cooldown_is_over_to_the_millisecond),
        T(a_level_never_falls_and_speaks_again_only_at_its_score),
        T(a_row_without_the_entity_touches_nothing),
        T(event_types_share_an_entity),
        T(a_shadow_typology_or_pack_marks_what_it_would_say),
        T(a_score_expression_is_the_score_of_its_row),
        T(what_is_missing_or_fails_does_not_fire_and_is_counted),
        T(shadow_rules_are_counted_and_weigh_nothing),
        T(exceptions_and_dates_hold_a_rule_back),
        T(duplicates_are_not_there),
        T(a_list_write_is_seen_by_the_next_row_and_not_by_its_own),
        T(shadow_rules_write_no_list),
        T(an_entry_is_forgotten_for_too_late_rows_by_the_minute),
        T(an_entry_that_ended_before_it_was_written_is_seen_by_nobody),
        T(a_reason_shows_money_and_masks_entities),
        T(an_sms_takes_tails_and_listed_words_only),
        T(every_rule_keeps_a_hit_when_evidence_overflows),
        T(a_silent_tally_is_forgotten_when_no_row_in_time_can_tell),
        T(columns_are_there_when_wanted_and_only_then),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
