/* Every form that a pack may take, beyond the worked example: what it compiles to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/pack/pack.h"
#include "rules/program/program.h"

static const char events[] = "pack: forms\n"
                             "events:\n"
                             "  pay:\n"
                             "    fields:\n"
                             "      payer: { type: string, entity: account }\n"
                             "      payee: { type: string, entity: account }\n"
                             "      shop: { type: int, entity: shop }\n"
                             "      amount: { type: money, currency: JPY }\n"
                             "      kind: { type: enum, values: [card, cash] }\n"
                             "      at: { type: timestamp }\n"
                             "      took: { type: duration }\n"
                             "      ok: bool\n"
                             "  label:\n"
                             "    fields:\n"
                             "      shop: { type: int, entity: shop }\n"
                             "      fraud: { type: bool }\n";

static struct tsn_diags diags;
static struct tsn_program *prog;

static int setup(void **state)
{
    (void)state;
    tsn_diags_init(&diags);
    prog = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tsn_program_free(prog);
    tsn_diags_free(&diags);
    return 0;
}

/* Compiles the events above and `rest`; fails the test with the messages. */
static void compile(const char *rest)
{
    char *text = NULL;
    assert_true(asprintf(&text, "%s%s", events, rest) > 0);
    prog = tsn_pack_compile("forms.yaml", text, strlen(text), NULL, NULL, &diags);
    free(text);
    if (!prog) {
        tsn_diags_print(&diags, stderr);
    }
    assert_non_null(prog);
}

static const struct tsn_feature *feature(const char *name)
{
    int at = tsn_program_feature(prog, name);
    assert_true(at != TSN_NONE);
    return &prog->features[at];
}

static void a_feature_is_read_in_several_roles(void **state)
{
    (void)state;
    compile("features:\n"
            "  - name: got\n"
            "    event: pay\n"
            "    aggregate: sum(amount)\n"
            "    by: payee\n"
            "    window: 1d\n"
            "    read: { pay: { as_payer: payer, as_payee: payee } }\n"
            "rules:\n"
            "  - id: r\n"
            "    event: pay\n"
            "    when: 'f.got.as_payer > f.got.as_payee'\n"
            "    reason: '${f.got.as_payer}'\n");
    const struct tsn_event_type *pay = &prog->types[0];
    assert_int_equal(pay->n_slots, 2);
    assert_string_equal(pay->slots[0].name, "got.as_payer");
    assert_string_equal(pay->slots[0].role, "as_payer");
    assert_int_equal(pay->slots[0].by[0], tsn_event_type_field(pay, "payer"));
    assert_string_equal(pay->slots[1].name, "got.as_payee");
    assert_true(pay->slots[1].is_writer);
    assert_int_equal(feature("got")->rep, TSN_REP_MONEY);
    assert_int_equal(feature("got")->scale, 0); /* yen */
}

static void a_set_is_read_as_its_size(void **state)
{
    (void)state;
    compile("features:\n"
            "  - { name: shops, event: pay, aggregate: set(shop), by: payer, max: 50, window: 1d,\n"
            "      read: { pay: { a: payer, b: payee } } }\n"
            "  - { name: payees, event: pay, aggregate: set(payee), by: shop, window: 1d }\n"
            "  - { name: many, event: pay, expr: 'size(f.shops.a) + f.shops.b.size()' }\n"
            "rules:\n"
            "  - id: r\n"
            "    event: pay\n"
            "    when: 'has(f.payees) && size(f.payees) >= 3'\n"
            "    reason: '${size(f.payees)}'\n");
    assert_int_equal(feature("shops")->max_members, 50);
    assert_int_equal(feature("payees")->max_members, TSN_SET_DEFAULT);
    assert_int_equal(feature("shops")->rep, TSN_REP_INT);
    assert_int_equal(feature("many")->rep, TSN_REP_INT);
    assert_string_equal(feature("shops")->sentence,
                        "set shop of pay by payer last 1d, the newest 50 at most");
    assert_true(feature("shops")->identity != 0);
}

/* The second event names nobody of the case: only the members are hit. */
static void a_hit_is_handed_out_to_the_members_of_a_set(void **state)
{
    (void)state;
    compile("lists:\n"
            "  warned: { of: string, ttl: 1d, max: 10 }\n"
            "features:\n"
            "  - { name: paid_7d, event: pay, aggregate: set(payer), by: shop, window: 7d,\n"
            "      read: { label: { here: shop } } }\n"
            "templates:\n"
            "  T: { params: { tail: { digits: 4 } }, texts: { en: 'Shop {tail}' } }\n"
            "rules:\n"
            "  - id: reported\n"
            "    event: label\n"
            "    when: 'label.fraud'\n"
            "    reason: 'reported'\n"
            "    do:\n"
            "      - { for_each: f.paid_7d.here, hit: customer }\n"
            "      - { for_each: f.paid_7d.here, add_to_list: warned }\n"
            "  - { id: odd, event: pay, when: 'pay.ok', reason: odd }\n"
            "typologies:\n"
            "  - id: customer\n"
            "    entity: { pay: payer }\n"
            "    sum_over: 1d\n"
            "    weights: { reported: 60, odd: 10 }\n"
            "    thresholds: { minor: 60 }\n"
            "    actions: { minor: { sms: { template: T, to: entity,\n"
            "      params: { tail: { pay: shop, label: shop } } } } }\n");
    const struct tsn_rule *rule = &prog->rules[0];
    assert_int_equal(rule->n_fans, 2);
    assert_string_equal(prog->types[1].slots[rule->fans[0].slot].name, "paid_7d.here");
    assert_int_equal(rule->fans[0].typology, 0);
    assert_int_equal(rule->fans[0].list, TSN_NONE);
    assert_int_equal(rule->fans[1].typology, TSN_NONE);
    assert_int_equal(rule->fans[1].list, 0);
    assert_ptr_equal(tsn_rule_fan(rule, 0), &rule->fans[0]);
    assert_null(tsn_rule_fan(&prog->rules[1], 0));
    assert_true(prog->lists[0].written);
    assert_int_equal(prog->typologies[0].n_weights, 2);
    assert_int_equal(prog->typologies[0].entity_field[1], TSN_NONE);
    const int *tail = prog->typologies[0].actions[TSN_LEVEL_MINOR].sms.param_field[0];
    assert_int_equal(tail[1], tsn_event_type_field(&prog->types[1], "shop"));
}

static void values_are_kept_as_their_fields_are(void **state)
{
    (void)state;
    compile("features:\n"
            "  - { name: n, event: pay, aggregate: count, by: shop, window: 1d }\n"
            "  - { name: mean, event: pay, aggregate: avg(amount), by: shop, window: 1d }\n"
            "  - { name: dev, event: pay, aggregate: stddev(amount), by: shop, window: 1d }\n"
            "  - { name: most, event: pay, aggregate: max(amount), by: shop, window: 1d }\n"
            "  - { name: longest, event: pay, aggregate: max(took), by: shop, window: 1d }\n"
            "  - { name: first_at, event: pay, aggregate: min(at), by: shop, window: 1d }\n"
            "  - { name: first_time, event: pay, aggregate: min(time), by: shop, window: 1d }\n"
            "  - { name: last_kind, event: pay, aggregate: last(kind), by: shop, window: 1d }\n"
            "  - { name: kinds, event: pay, aggregate: distinct(kind), by: shop, window: 1d }\n"
            "  - { name: was_ok, event: pay, aggregate: first(ok), by: shop, window: 1d }\n"
            "  - { name: since, event: pay, aggregate: time_since, by: shop, window: 1d }\n");
    static const struct {
        const char *name;
        enum tsn_rep rep;
        bool exclude;
    } want[] = {
        {"n", TSN_REP_INT, false},
        {"mean", TSN_REP_DOUBLE, false},
        {"dev", TSN_REP_DOUBLE, false},
        {"most", TSN_REP_MONEY, false},
        {"longest", TSN_REP_DURATION_MS, false},
        {"first_at", TSN_REP_TIME_MS, false},
        {"first_time", TSN_REP_TIME_MS, false},
        {"last_kind", TSN_REP_ENUM, true},
        {"kinds", TSN_REP_INT, false},
        {"was_ok", TSN_REP_BOOL, false},
        {"since", TSN_REP_DURATION_MS, true},
    };
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        assert_int_equal(feature(want[i].name)->rep, want[i].rep);
        assert_int_equal(feature(want[i].name)->exclude_current, want[i].exclude);
    }
    const struct tsn_field *kind =
        &prog->types[0].fields[tsn_event_type_field(&prog->types[0], "kind")];
    assert_ptr_equal(feature("last_kind")->dict, &kind->dict);
    assert_int_equal(feature("first_time")->field, 0);
}

static void delay_seen_and_caps_reach_the_program(void **state)
{
    (void)state;
    compile("features:\n"
            "  - { name: old, event: pay, aggregate: count, by: shop, window: 7d, delay: 7d, "
            "current: exclude }\n"
            "  - { name: seen, event: pay, aggregate: count, by: shop, window: 1h, at: seen }\n"
            "  - { name: many, event: pay, aggregate: distinct(payer), by: shop, window: 1h, "
            "exact_up_to: 1000 }\n"
            "  - { name: pairs, event: pay, aggregate: count, by: [payer, payee], max_keys: 5, "
            "window: 1h, read: { pay: [payee, payer] } }\n");
    assert_int_equal(feature("old")->delay_ms, INT64_C(7) * 86400000);
    assert_true(feature("old")->exclude_current);
    assert_true(feature("seen")->at_seen);
    assert_int_equal(feature("many")->exact_up_to, 1000);
    assert_int_equal(feature("pairs")->max_keys, 5);
    assert_int_equal(feature("pairs")->n_by, 2);
    const struct tsn_slot *slot = &prog->types[0].slots[3];
    assert_int_equal(slot->by[0], feature("pairs")->by[1]);
    assert_int_equal(slot->by[1], feature("pairs")->by[0]);
    assert_string_equal(feature("old")->sentence,
                        "count of pay by shop last 7d, ending 7d earlier, without this event");
}

static void expressions_are_features_and_build_on_each_other(void **state)
{
    (void)state;
    compile("features:\n"
            "  - { name: hour, event: pay, expr: 'pay.time.getHours()' }\n"
            "  - { name: night, event: pay, expr: 'f.hour < 6' }\n"
            "  - { name: nights, event: pay, aggregate: count, by: shop, window: 1d, "
            "where: 'f.night' }\n"
            "  - { name: share, event: pay, expr: 'double(f.nights) / 10.0' }\n"
            "  - { name: word, event: pay, expr: '\"x\" + pay.kind' }\n"
            "  - { name: gap, event: pay, expr: 'pay.time - pay.at' }\n");
    assert_int_equal(feature("hour")->agg, TSN_AGG_EXPR);
    assert_int_equal(feature("hour")->rep, TSN_REP_INT);
    assert_int_equal(feature("hour")->level, 0);
    assert_int_equal(feature("night")->rep, TSN_REP_BOOL);
    assert_int_equal(feature("night")->level, 1);
    assert_int_equal(feature("nights")->level, 2);
    assert_int_equal(feature("share")->level, 3);
    assert_int_equal(feature("share")->rep, TSN_REP_DOUBLE);
    assert_int_equal(feature("word")->rep, TSN_REP_STRING);
    assert_int_equal(feature("gap")->rep, TSN_REP_DURATION);
    assert_int_equal(prog->max_level, 3);
    assert_int_equal(prog->types[0].n_slots, 6);
    assert_int_equal(prog->types[1].n_slots, 0);
    assert_string_equal(feature("night")->sentence, "f.hour < 6 of this pay");
}

static void exceptions_end_some_day(void **state)
{
    (void)state;
    compile("lists: { partners: { of: string, values: [z] } }\n"
            "rules:\n"
            "  - id: r\n"
            "    event: pay\n"
            "    when: 'pay.amount > 10'\n"
            "    reason: 'cost $$${pay.amount}'\n"
            "    exceptions:\n"
            "      - { name: a, until: 2027-01-01, fields: payer, values: [x, 'y\"'] }\n"
            "      - { name: b, until: 2027-01-01T12:00:00Z, fields: [payer, amount, took], "
            "comps: [startsWith, '>=', '<'], values: [[A, 5, 1h], [B, 7, 2h]] }\n"
            "      - { name: c, until: 2027-01-01, fields: payer, comps: in, values: "
            "lists.partners }\n"
            "      - { name: d, until: 2027-01-01, when: 'pay.kind == \"cash\"' }\n");
    const struct tsn_rule *rule = &prog->rules[0];
    assert_int_equal(rule->n_exceptions, 4);
    assert_string_equal(rule->exceptions[1].name, "b");
    assert_int_equal(rule->exceptions[0].until_ms, INT64_C(1798761600000));
    assert_int_equal(rule->exceptions[1].until_ms, INT64_C(1798804800000));
    size_t n = 0;
    tsn_expr_lists(prog->types[0].exprs, rule->exceptions[2].expr, &n);
    assert_int_equal(n, 1);
    assert_int_equal(rule->n_reason, 1);
    assert_int_equal(rule->reason[0].text.len, 6);
    assert_memory_equal(rule->reason[0].text.p, "cost $", 6);
}

static void a_timer_waits_by_a_field_for_another_event(void **state)
{
    (void)state;
    compile("rules:\n"
            "  - id: t\n"
            "    event: pay\n"
            "    when: 'pay.ok'\n"
            "    reason: x\n"
            "    after: 20m\n"
            "    by: shop\n"
            "    unless: { event: label, by: shop, when: 'label.fraud' }\n"
            "    severity: severe\n"
            "    owner: desk\n"
            "    tags: [a, b]\n"
            "    from: 2026-01-01\n"
            "    until: 2026-02-01\n"
            "  - { id: u, event: pay, when: 'pay.ok', reason: y, after: 1h, by: payer, unless: { "
            "when: '!pay.ok' } }\n");
    const struct tsn_rule *t = &prog->rules[0];
    assert_int_equal(t->after_ms, 20 * 60000);
    assert_int_equal(t->timer_by, tsn_event_type_field(&prog->types[0], "shop"));
    assert_int_equal(t->unless_event, 1);
    assert_int_equal(t->unless_by, tsn_event_type_field(&prog->types[1], "shop"));
    assert_true(t->unless != TSN_EXPR_NONE);
    assert_string_equal(t->severity, "severe");
    assert_string_equal(t->owner, "desk");
    assert_int_equal(t->n_tags, 2);
    assert_string_equal(t->tags[1], "b");
    assert_int_equal(t->from_ms, INT64_C(1767225600000));
    assert_int_equal(prog->rules[1].unless_by, prog->rules[1].timer_by);
    assert_int_equal(prog->rules[1].unless_event, 0);
}

static void a_score_is_an_expression_for_each_event_type(void **state)
{
    (void)state;
    compile("typologies:\n"
            "  - id: one\n"
            "    entity: { pay: shop }\n"
            "    score: '1.0 / (1.0 + pay.amount)'\n"
            "    sum_over: 1h\n"
            "    thresholds: { minor: -0.5, extreme: 0.5 }\n"
            "  - id: two\n"
            "    entity: { pay: shop, label: shop }\n"
            "    mode: shadow\n"
            "    score: { pay: '2', label: 'label.fraud ? 1.0 : 0.0' }\n"
            "    sum_over: 1h\n"
            "    thresholds: { severe: 1 }\n");
    const struct tsn_typology *one = &prog->typologies[0];
    assert_int_equal(one->n_weights, 0);
    assert_true(one->score[0] != TSN_EXPR_NONE);
    assert_int_equal(one->score[1], TSN_EXPR_NONE);
    assert_true(one->thresholds[TSN_LEVEL_MINOR] == -0.5);
    const struct tsn_typology *two = &prog->typologies[1];
    assert_int_equal(two->mode, TSN_MODE_SHADOW);
    assert_int_equal(tsn_expr_type_of(prog->types[0].exprs, two->score[0]).type, TSN_TYPE_DOUBLE);
    assert_int_equal(tsn_expr_type_of(prog->types[1].exprs, two->score[1]).type, TSN_TYPE_DOUBLE);
}

static void a_warning_is_a_closed_text_with_typed_parameters(void **state)
{
    (void)state;
    compile("features:\n"
            "  - { name: last_payer, event: pay, aggregate: last(payer), by: shop, window: 1d, "
            "read: { label: shop } }\n"
            "rules:\n"
            "  - { id: r, event: pay, when: 'pay.ok', reason: x }\n"
            "templates:\n"
            "  W:\n"
            "    version: 3\n"
            "    params:\n"
            "      tail: { digits: 4 }\n"
            "      how: { values: [card, cash], default: '?' }\n"
            "    texts: { en: '{tail} by {how}', zh-Hans: '{how}{tail}' }\n"
            "typologies:\n"
            "  - id: t\n"
            "    entity: { pay: shop, label: shop }\n"
            "    weights: { r: 1 }\n"
            "    sum_over: 1h\n"
            "    thresholds: { minor: 1 }\n"
            "    actions:\n"
            "      minor:\n"
            "        sms: { template: W, to: entity, params: { tail: { pay: payer, label: "
            "f.last_payer }, how: kind } }\n"
            "        valid_for: 2h\n");
    const struct tsn_template *w = &prog->templates[0];
    assert_int_equal(w->version, 3);
    assert_int_equal(w->n_params, 2);
    assert_true(w->params[0].tail);
    assert_int_equal(w->params[0].digits, 4);
    assert_null(w->params[0].fallback);
    assert_int_equal(w->params[1].n_values, 2);
    assert_string_equal(w->params[1].fallback, "?");
    assert_int_equal(w->n_texts, 2);
    assert_string_equal(w->texts[1].language, "zh-Hans");
    const struct tsn_action *action = &prog->typologies[0].actions[TSN_LEVEL_MINOR];
    const struct tsn_event_type *pay = &prog->types[0];
    assert_int_equal(action->valid_for_ms, 7200000);
    assert_int_equal(action->sms.param_field[0][0], tsn_event_type_field(pay, "payer"));
    assert_int_equal(action->sms.param_field[0][1], prog->types[1].n_fields); /* its only slot */
    assert_int_equal(action->sms.param_field[1][0], tsn_event_type_field(pay, "kind"));
    assert_int_equal(action->sms.param_field[1][1], TSN_NONE);
}

static void a_masked_value_stays_masked_through_features(void **state)
{
    (void)state;
    compile(
        "features:\n"
        "  - { name: who, event: pay, aggregate: last(payer), by: shop, window: 1d }\n"
        "  - { name: seen, event: pay, aggregate: distinct(payer), by: shop, window: 1d }\n"
        "rules:\n"
        "  - { id: r, event: pay, when: 'pay.ok', reason: '${f.who} ${f.seen} ${pay.shop}' }\n");
    const struct tsn_rule *rule = &prog->rules[0];
    assert_int_equal(rule->n_reason, 3);
    assert_true(rule->reason[0].masked);
    assert_false(rule->reason[1].masked);
    assert_true(rule->reason[2].masked);
}

static void a_mask_cannot_be_slipped_off(void **state)
{
    (void)state;
    static const char *const reasons[] = {"'${pay.payer + \"\"}'", "'${f.copy}'",
                                          "'${pay.shop + 0}'", "'${string(pay.shop)}'",
                                          "'${[pay.payer]}'"};
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        char *text = NULL;
        assert_true(asprintf(&text,
                             "%sfeatures: [{ name: copy, event: pay, expr: 'pay.payer' }]\n"
                             "rules: [{ id: r, event: pay, when: 'pay.ok', reason: %s }]\n",
                             events, reasons[i]) > 0);
        struct tsn_diags found;
        tsn_diags_init(&found);
        struct tsn_program *leak =
            tsn_pack_compile("x.yaml", text, strlen(text), NULL, NULL, &found);
        if (leak) {
            fail_msg("%s shows an entity in full", reasons[i]);
        }
        assert_non_null(strstr(found.items[0].message, "only by its bare name"));
        tsn_diags_free(&found);
        free(text);
    }
}

static void json_is_a_pack_too(void **state)
{
    (void)state;
    static const char json[] =
        "{\"pack\": \"j\", \"version\": 2, \"events\": {\"e\": {\"fields\": {\"k\": {\"type\": "
        "\"string\", \"entity\": \"x\"}}}}, \"features\": [{\"name\": \"n\", \"event\": \"e\", "
        "\"aggregate\": \"count\", \"by\": \"k\", \"window\": \"1h\"}], \"rules\": [{\"id\": "
        "\"r\", \"event\": \"e\", \"when\": \"f.n > 3 && e.k != \\\"a\\\"\", \"reason\": \"r\"}]}";
    prog = tsn_pack_compile("j.json", json, strlen(json), NULL, NULL, &diags);
    assert_non_null(prog);
    assert_string_equal(prog->rules[0].when_text, "f.n > 3 && e.k != \"a\"");
}

static void what_is_likely_a_slip_is_a_warning(void **state)
{
    (void)state;
    static const struct {
        const char *rest;
        const char *message;
    } cases[] = {
        {"features: [{ name: n, event: pay, aggregate: count, by: kind, window: 1h }]\n",
         "'kind' names an entity here but is not declared as one"},
        {"lists: { l: { of: string } }\n"
         "rules: [{ id: r, event: pay, when: 'pay.ok', reason: x, do: [{ add_to_list: l, value: "
         "payer }] }]\n",
         "list 'l' is filled by a rule and has no 'max'"},
        {"rules: [{ id: r, event: pay, when: '1 < 2', reason: x }]\n",
         "this condition is true for every event"},
        {"rules: [{ id: r, event: pay, when: 'pay.ok', reason: x }]\n"
         "typologies: [{ id: t, entity: { pay: shop }, weights: { r: 5 }, sum_over: 1h, "
         "thresholds: { minor: 6 } }]\n",
         "level minor cannot be reached"},
        {"rules: [{ id: r, event: pay, when: 'pay.ok', reason: x }]\n"
         "typologies: [{ id: t, entity: { pay: shop }, weights: { r: 5 }, sum_over: 1h, "
         "thresholds: { minor: 5 }, actions: { minor: { sms: { template: T, to: entity } } } }]\n",
         "template 'T' is not declared in this pack"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tsn_diags_free(&diags);
        tsn_diags_init(&diags);
        tsn_program_free(prog);
        compile(cases[i].rest);
        assert_int_equal(diags.n, 1);
        assert_int_equal(diags.items[0].severity, TSN_SEVERITY_WARNING);
        assert_non_null(strstr(diags.items[0].message, cases[i].message));
    }
}

/* A list of prefixes is asked in the usual words, in conditions and in exceptions. */
static void a_list_may_hold_prefixes(void **state)
{
    (void)state;
    compile("lists:\n"
            "  gangs: { of: string, match: prefix, values: ['+99912', 'A1'], ttl: 1d, max: 9 }\n"
            "  shops: { of: string, match: exact, values: ['A1'] }\n"
            "rules:\n"
            "  - id: r\n"
            "    event: pay\n"
            "    when: 'pay.payer in lists.gangs'\n"
            "    reason: x\n"
            "    exceptions:\n"
            "      - { name: a, until: 2030-01-01, fields: payee, values: lists.shops }\n"
            "    do: [{ add_to_list: gangs, value: payee }]\n");
    assert_true(prog->lists[0].prefixes);
    assert_false(prog->lists[1].prefixes);
    const struct tsn_event_type *pay = &prog->types[0];
    static const struct {
        const char *payer;
        const char *payee;
        bool fires;
        bool is_let_off;
    } rows[] = {
        {"+99912001", "A12", true, false},
        {"+9991", "A1", false, true},
        {"A1", "", true, false},
        {"xA1", "A", false, false},
    };
    struct tsn_eval *eval = tsn_eval_new(pay->exprs);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t valid = 1;
        struct tsn_str payer = {rows[i].payer, (uint32_t)strlen(rows[i].payer)};
        struct tsn_str payee = {rows[i].payee, (uint32_t)strlen(rows[i].payee)};
        struct tsn_column columns[16] = {{0}};
        columns[tsn_event_type_field(pay, "payer")] =
            (struct tsn_column){.rep = TSN_REP_STRING, .str = &payer, .valid = &valid};
        columns[tsn_event_type_field(pay, "payee")] =
            (struct tsn_column){.rep = TSN_REP_STRING, .str = &payee, .valid = &valid};
        const struct tsn_list *lists[] = {prog->lists[0].initial, prog->lists[1].initial};
        tsn_event_ms time = 0;
        tsn_eval_begin(eval, &(struct tsn_frame){1, columns, lists, &time});
        struct tsn_value value;
        tsn_eval_row(eval, prog->rules[0].when, 0, &value);
        assert_int_equal(value.b, rows[i].fires);
        tsn_eval_row(eval, prog->rules[0].exceptions[0].expr, 0, &value);
        assert_int_equal(value.b, rows[i].is_let_off);
    }
    tsn_eval_free(eval);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_list_may_hold_prefixes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_feature_is_read_in_several_roles, setup, teardown),
        cmocka_unit_test_setup_teardown(a_set_is_read_as_its_size, setup, teardown),
        cmocka_unit_test_setup_teardown(a_hit_is_handed_out_to_the_members_of_a_set, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(values_are_kept_as_their_fields_are, setup, teardown),
        cmocka_unit_test_setup_teardown(delay_seen_and_caps_reach_the_program, setup, teardown),
        cmocka_unit_test_setup_teardown(expressions_are_features_and_build_on_each_other, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(exceptions_end_some_day, setup, teardown),
        cmocka_unit_test_setup_teardown(a_timer_waits_by_a_field_for_another_event, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_score_is_an_expression_for_each_event_type, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_warning_is_a_closed_text_with_typed_parameters, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_masked_value_stays_masked_through_features, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_mask_cannot_be_slipped_off, setup, teardown),
        cmocka_unit_test_setup_teardown(json_is_a_pack_too, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_likely_a_slip_is_a_warning, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
