/* The worked example of the rule language, compiled, and the program compared field
 * by field: what the engine will read is what the analyst wrote. */
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

static const char example[] =
    "format: 1\n"
    "pack: telco-bank-core\n"
    "version: 7\n"
    "timezone: Europe/Dublin\n"
    "events:\n"
    "  call:\n"
    "    id: call_id\n"
    "    fields:\n"
    "      call_id: { type: string, required: true }\n"
    "      caller: { type: string, entity: line }\n"
    "      callee: { type: string, required: true, entity: line }\n"
    "      ring: { type: duration }\n"
    "      talk: { type: duration, required: true }\n"
    "  transfer:\n"
    "    id: tx_id\n"
    "    fields:\n"
    "      tx_id: { type: string, required: true }\n"
    "      payer: { type: string, required: true, entity: account }\n"
    "      payer_msisdn: { type: string, entity: line }\n"
    "      payee: { type: string, required: true, entity: account }\n"
    "      currency: { type: string, required: true }\n"
    "      amount: { type: money, currency: currency, required: true }\n"
    "      payee_known_for: duration\n"
    "      account_age: duration\n"
    "\n"
    "lists:\n"
    "  premium_prefixes: { of: string, values: [\"+99912\"] }\n"
    "  one_ring_callers: { of: string, ttl: 14d, max: 200000 }\n"
    "\n"
    "features:\n"
    "  - name: ring_targets_1h\n"
    "    event: call\n"
    "    where: 'call.talk < duration(\"1s\") && call.ring < duration(\"4s\")'\n"
    "    aggregate: distinct(callee)\n"
    "    by: caller\n"
    "    window: 1h\n"
    "\n"
    "  - name: calls_between_90d\n"
    "    event: call\n"
    "    where: 'call.talk > duration(\"0s\")'\n"
    "    aggregate: count\n"
    "    by: [caller, callee]\n"
    "    max_keys: 200\n"
    "    window: 90d\n"
    "    current: exclude\n"
    "\n"
    "  - name: since_unknown_long_call\n"
    "    event: call\n"
    "    where: 'call.talk >= duration(\"8m\") && f.calls_between_90d == 0'\n"
    "    aggregate: time_since\n"
    "    by: callee\n"
    "    read: { transfer: payer_msisdn }\n"
    "    window: 24h\n"
    "\n"
    "  - name: payers_in_24h\n"
    "    event: transfer\n"
    "    aggregate: distinct(payer)\n"
    "    by: payee\n"
    "    read: { transfer: payer }\n"
    "    window: 24h\n"
    "\n"
    "  - name: money_in_24h\n"
    "    event: transfer\n"
    "    aggregate: sum(amount)\n"
    "    by: payee\n"
    "    read: { transfer: payer }\n"
    "    window: 24h\n"
    "\n"
    "rules:\n"
    "  - id: wangiri-burst\n"
    "    event: call\n"
    "    when: 'f.ring_targets_1h >= 40 && hasPrefixIn(call.caller, lists.premium_prefixes)'\n"
    "    reason: 'rang and dropped ${f.ring_targets_1h} numbers in one hour'\n"
    "    do: [{ add_to_list: one_ring_callers, value: caller }]\n"
    "\n"
    "  - id: wangiri-callback\n"
    "    event: call\n"
    "    when: 'call.callee in lists.one_ring_callers && call.talk > duration(\"0s\")'\n"
    "    reason: 'called back one-ring number ${call.callee}'\n"
    "\n"
    "  - id: coached-transfer\n"
    "    event: transfer\n"
    "    when: |\n"
    "      f.since_unknown_long_call <= duration(\"30m\")\n"
    "      && transfer.amount >= 1000\n"
    "      && transfer.payee_known_for < duration(\"24h\")\n"
    "    reason: '${transfer.amount} to a new payee ${f.since_unknown_long_call} after an unknown "
    "long call'\n"
    "\n"
    "  - id: mule-drain\n"
    "    event: transfer\n"
    "    mode: shadow\n"
    "    when: |\n"
    "      f.payers_in_24h >= 5\n"
    "      && transfer.account_age < duration(\"2160h\")\n"
    "      && transfer.amount >= 0.8 * f.money_in_24h\n"
    "    reason: '${f.payers_in_24h} payers, ${transfer.amount} of ${f.money_in_24h} leaving'\n"
    "\n"
    "templates:\n"
    "  SCAM_WARN_1: { texts: { en: \"Stop. Call 96110.\" } }\n"
    "\n"
    "typologies:\n"
    "  - id: impersonation\n"
    "    title: Caller impersonates the bank, customer pays\n"
    "    entity: { transfer: payer_msisdn, call: caller }\n"
    "    sum_over: 24h\n"
    "    weights: { coached-transfer: 70, wangiri-callback: 15 }\n"
    "    repeat: sum\n"
    "    thresholds: { severe: 60, extreme: 80 }\n"
    "    actions:\n"
    "      severe: { queue: scam-desk, sms: { template: SCAM_WARN_1, to: entity }, cooldown: 12h "
    "}\n"
    "      extreme: { decision: hold }\n";

static struct tsn_diags diags;
static struct tsn_program *prog;

static struct tsn_program *compile(const char *text)
{
    return tsn_pack_compile("example.yaml", text, strlen(text), NULL, NULL, &diags);
}

static int setup(void **state)
{
    (void)state;
    tsn_diags_init(&diags);
    prog = compile(example);
    if (!prog) {
        tsn_diags_print(&diags, stderr);
        return -1;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tsn_program_free(prog);
    tsn_diags_free(&diags);
    return 0;
}

static void the_head_is_what_was_written(void **state)
{
    (void)state;
    assert_int_equal(diags.n, 1);
    assert_int_equal(diags.items[0].severity, TSN_SEVERITY_WARNING);
    assert_string_equal(diags.items[0].message,
                        "sum of 'amount' mixes currencies: each row has its own 'currency'");
    assert_string_equal(prog->pack, "telco-bank-core");
    assert_int_equal(prog->version, 7);
    assert_string_equal(prog->timezone, "Europe/Dublin");
    assert_int_equal(prog->mode, TSN_MODE_LIVE);
    assert_int_equal(prog->n_entity_kinds, 2);
    assert_string_equal(prog->entity_kinds[0], "line");
    assert_string_equal(prog->entity_kinds[1], "account");
    assert_int_equal(prog->max_level, 1);
}

static void event_types_have_time_first_then_their_fields(void **state)
{
    (void)state;
    assert_int_equal(prog->n_types, 2);
    const struct tsn_event_type *call = &prog->types[tsn_program_type(prog, "call")];
    assert_int_equal(call->n_fields, 6);
    assert_string_equal(call->fields[0].name, "time");
    assert_int_equal(call->fields[0].rep, TSN_REP_TIME_MS);
    assert_true(call->fields[0].required);
    assert_int_equal(call->id_field, tsn_event_type_field(call, "call_id"));
    const struct tsn_field *talk = &call->fields[tsn_event_type_field(call, "talk")];
    assert_int_equal(talk->rep, TSN_REP_DURATION_MS);
    assert_int_equal(talk->entity_kind, TSN_NONE);
    const struct tsn_event_type *transfer = &prog->types[tsn_program_type(prog, "transfer")];
    const struct tsn_field *amount = &transfer->fields[tsn_event_type_field(transfer, "amount")];
    assert_int_equal(amount->rep, TSN_REP_MONEY);
    assert_int_equal(amount->scale, TSN_MONEY_SCALE_ANY);
    assert_null(amount->currency);
    assert_int_equal(amount->currency_field, tsn_event_type_field(transfer, "currency"));
    const struct tsn_field *payer = &transfer->fields[tsn_event_type_field(transfer, "payer")];
    assert_string_equal(prog->entity_kinds[payer->entity_kind], "account");
    assert_false(transfer->fields[tsn_event_type_field(transfer, "payer_msisdn")].required);
    assert_int_equal(transfer->n_rules, 2);
    assert_string_equal(prog->rules[transfer->rules[1]].id, "mule-drain");
}

static void slots_stand_in_pack_order_for_each_type(void **state)
{
    (void)state;
    const struct tsn_event_type *call = &prog->types[0];
    const struct tsn_event_type *transfer = &prog->types[1];
    assert_int_equal(call->n_slots, 3);
    assert_string_equal(call->slots[0].name, "ring_targets_1h");
    assert_string_equal(call->slots[1].name, "calls_between_90d");
    assert_int_equal(call->slots[1].by[0], tsn_event_type_field(call, "caller"));
    assert_int_equal(call->slots[1].by[1], tsn_event_type_field(call, "callee"));
    assert_true(call->slots[2].is_writer);
    assert_int_equal(transfer->n_slots, 3);
    assert_string_equal(transfer->slots[0].name, "since_unknown_long_call");
    assert_false(transfer->slots[0].is_writer);
    assert_null(transfer->slots[0].role);
    assert_int_equal(transfer->slots[0].by[0], tsn_event_type_field(transfer, "payer_msisdn"));
    assert_true(transfer->slots[1].is_writer); /* reads by another field than it writes by */
    assert_int_equal(transfer->slots[1].by[0], tsn_event_type_field(transfer, "payer"));
    assert_int_equal(prog->features[transfer->slots[1].feature].by[0],
                     tsn_event_type_field(transfer, "payee"));
}

static void features_are_what_was_written(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum tsn_agg agg;
        const char *field;
        int n_by;
        tsn_duration_ms window_ms;
        bool exclude, has_where;
        uint64_t max_keys;
        int level;
        enum tsn_rep rep;
        const char *sentence;
    } want[] = {
        {"ring_targets_1h", TSN_AGG_DISTINCT, "callee", 1, 3600000, false, true, 0, 0, TSN_REP_INT,
         "distinct callee of call by caller where call.talk < duration(\"1s\") && call.ring < "
         "duration(\"4s\") last 1h"},
        {"calls_between_90d", TSN_AGG_COUNT, NULL, 2, INT64_C(90) * 86400000, true, true, 200, 0,
         TSN_REP_INT,
         "count of call by caller and callee where call.talk > duration(\"0s\") last 90d, without "
         "this event"},
        {"since_unknown_long_call", TSN_AGG_TIME_SINCE, NULL, 1, 86400000, true, true, 0, 1,
         TSN_REP_DURATION_MS,
         "time since the last call by callee where call.talk >= duration(\"8m\") && "
         "f.calls_between_90d == 0 last 24h"},
        {"payers_in_24h", TSN_AGG_DISTINCT, "payer", 1, 86400000, false, false, 0, 0, TSN_REP_INT,
         "distinct payer of transfer by payee last 24h"},
        {"money_in_24h", TSN_AGG_SUM, "amount", 1, 86400000, false, false, 0, 0, TSN_REP_MONEY,
         "sum amount of transfer by payee last 24h"},
    };
    assert_int_equal(prog->n_features, 5);
    for (int i = 0; i < 5; i++) {
        const struct tsn_feature *f = &prog->features[i];
        assert_string_equal(f->name, want[i].name);
        assert_int_equal(f->agg, want[i].agg);
        const struct tsn_event_type *type = &prog->types[f->event];
        assert_int_equal(f->field,
                         want[i].field ? tsn_event_type_field(type, want[i].field) : TSN_NONE);
        assert_int_equal(f->n_by, want[i].n_by);
        assert_int_equal(f->window_ms, want[i].window_ms);
        assert_int_equal(f->delay_ms, 0);
        assert_int_equal(f->exclude_current, want[i].exclude);
        assert_false(f->at_seen);
        assert_int_equal(f->where != TSN_EXPR_NONE, want[i].has_where);
        assert_int_equal(f->expr, TSN_EXPR_NONE);
        assert_int_equal(f->max_keys, want[i].max_keys);
        assert_int_equal(f->level, want[i].level);
        assert_int_equal(f->rep, want[i].rep);
        assert_string_equal(f->sentence, want[i].sentence);
        for (int k = 0; k < i; k++) {
            assert_true(f->identity != prog->features[k].identity);
        }
    }
    assert_int_equal(prog->features[4].scale, TSN_MONEY_SCALE_ANY);
    assert_string_equal(prog->entity_kinds[prog->features[3].entity_kind], "account");
}

static void lists_know_who_fills_them(void **state)
{
    (void)state;
    assert_int_equal(prog->n_lists, 2);
    assert_false(prog->lists[0].written);
    assert_int_equal(tsn_list_size(prog->lists[0].initial), 1);
    assert_true(prog->lists[1].written);
    assert_int_equal(prog->lists[1].ttl_ms, INT64_C(14) * 86400000);
    assert_int_equal(prog->lists[1].max, 200000);
    assert_int_equal(tsn_list_size(prog->lists[1].initial), 0);
}

static void rules_know_their_lists_modes_and_reasons(void **state)
{
    (void)state;
    assert_int_equal(prog->n_rules, 4);
    const struct tsn_rule *burst = &prog->rules[0];
    assert_int_equal(burst->n_writes, 1);
    assert_int_equal(burst->writes[0].list, 1);
    assert_string_equal(prog->types[0].fields[burst->writes[0].field].name, "caller");
    assert_false(burst->reads_written_list);
    assert_int_equal(burst->from_ms, INT64_MIN);
    assert_int_equal(burst->until_ms, INT64_MAX);
    assert_int_equal(burst->after_ms, 0);
    assert_int_equal(burst->unless, TSN_EXPR_NONE);
    assert_int_equal(burst->n_reason, 2);
    assert_memory_equal(burst->reason[0].text.p, "rang and dropped ", 17);
    assert_int_equal(burst->reason[0].text.len, 17);
    assert_false(burst->reason[0].masked);
    assert_int_equal(burst->reason[0].input, prog->types[0].n_fields + 0);
    assert_memory_equal(burst->reason[1].text.p, " numbers in one hour", 20);
    assert_int_equal(burst->reason[1].expr, TSN_EXPR_NONE);
    const struct tsn_rule *callback = &prog->rules[1];
    assert_true(callback->reads_written_list);
    assert_true(callback->reason[0].masked); /* a line's number: last digits only */
    assert_string_equal(prog->rules[2].when_text,
                        "f.since_unknown_long_call <= duration(\"30m\")\n"
                        "&& transfer.amount >= 1000\n"
                        "&& transfer.payee_known_for < duration(\"24h\")");
    assert_int_equal(prog->rules[3].mode, TSN_MODE_SHADOW);
    for (int i = 1; i < 4; i++) {
        assert_true(prog->rules[i].version != prog->rules[i - 1].version);
    }
}

static void the_typology_knows_fields_weights_levels_and_actions(void **state)
{
    (void)state;
    assert_int_equal(prog->n_typologies, 1);
    const struct tsn_typology *typology = &prog->typologies[0];
    assert_string_equal(typology->title, "Caller impersonates the bank, customer pays");
    assert_string_equal(prog->entity_kinds[typology->entity_kind], "line");
    assert_int_equal(typology->entity_field[0], tsn_event_type_field(&prog->types[0], "caller"));
    assert_int_equal(typology->entity_field[1],
                     tsn_event_type_field(&prog->types[1], "payer_msisdn"));
    assert_int_equal(typology->n_weights, 2);
    assert_int_equal(typology->weights[0].rule, 2);
    assert_true(typology->weights[0].points == 70.0);
    assert_int_equal(typology->weights[1].rule, 1);
    assert_null(typology->score);
    assert_int_equal(typology->sum_over_ms, 86400000);
    assert_true(typology->repeat_sum);
    assert_true(isinf(typology->thresholds[TSN_LEVEL_MINOR]));
    assert_true(typology->thresholds[TSN_LEVEL_SEVERE] == 60.0);
    assert_true(typology->thresholds[TSN_LEVEL_EXTREME] == 80.0);
    const struct tsn_action *severe = &typology->actions[TSN_LEVEL_SEVERE];
    assert_true(severe->present);
    assert_string_equal(severe->queue, "scam-desk");
    assert_int_equal(severe->cooldown_ms, 12 * 3600000);
    assert_int_equal(severe->sms.template_, 0);
    assert_true(severe->sms.to_entity);
    assert_string_equal(typology->actions[TSN_LEVEL_EXTREME].decision, "hold");
    assert_int_equal(typology->actions[TSN_LEVEL_EXTREME].sms.template_, TSN_NONE);
    assert_false(typology->actions[TSN_LEVEL_MINOR].present);
}

/* The text with one piece replaced, compiled. */
static struct tsn_program *variant(const char *from, const char *to)
{
    const char *at = strstr(example, from);
    assert_non_null(at);
    char *text = NULL;
    assert_true(asprintf(&text, "%.*s%s%s", (int)(at - example), example, to, at + strlen(from)) >
                0);
    struct tsn_program *other = compile(text);
    if (!other) {
        tsn_diags_print(&diags, stderr);
    }
    assert_non_null(other);
    free(text);
    return other;
}

static void layout_and_comments_change_no_hash(void **state)
{
    (void)state;
    struct tsn_program *other =
        variant("format: 1\n", "# a remark\nformat: '1' # and another\ndescription: words\n");
    assert_memory_equal(other->hash, prog->hash, sizeof prog->hash);
    assert_true(other->rules[2].version == prog->rules[2].version);
    tsn_program_free(other);
}

static void a_changed_threshold_changes_the_rule_and_the_program_only(void **state)
{
    (void)state;
    struct tsn_program *other = variant("amount >= 1000", "amount >= 900");
    assert_memory_not_equal(other->hash, prog->hash, sizeof prog->hash);
    assert_true(other->rules[2].version != prog->rules[2].version);
    assert_true(other->rules[3].version == prog->rules[3].version);
    for (int i = 0; i < prog->n_features; i++) {
        assert_true(other->features[i].identity == prog->features[i].identity);
    }
    tsn_program_free(other);
}

static void a_feature_keeps_its_identity_as_long_as_it_counts_the_same(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
        bool same0, same1, same2;
        const char *why;
    } cases[] = {
        {"name: ring_targets_1h\n", "name:   ring_targets_1h\n", true, true, true, "layout"},
        {"call.talk > duration(\"0s\")'", "call.talk>duration(\"0s\") '", true, true, true,
         "white space in a filter"},
        {"call.talk > duration(\"0s\")'", "call.talk > duration(\"1s\")'", true, false, false,
         "another filter, and what filters by it"},
        {"window: 1h", "window: 2h", false, true, true, "another window"},
        {"max_keys: 200", "max_keys: 100", true, false, false, "another bound"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tsn_program *other = variant(cases[i].from, cases[i].to);
        if ((other->features[0].identity == prog->features[0].identity) != cases[i].same0 ||
            (other->features[1].identity == prog->features[1].identity) != cases[i].same1 ||
            (other->features[2].identity == prog->features[2].identity) != cases[i].same2) {
            fail_msg("%s", cases[i].why);
        }
        tsn_program_free(other);
    }
}

static void a_list_changes_its_version_and_the_hash_but_not_by_its_order(void **state)
{
    (void)state;
    struct tsn_program *one = variant("[\"+99912\"]", "[\"+99912\", \"+888\"]");
    struct tsn_program *two = variant("[\"+99912\"]", "[\"+888\", \"+99912\"]");
    assert_true(one->lists[0].version != prog->lists[0].version);
    assert_true(one->lists[0].version == two->lists[0].version);
    assert_memory_not_equal(one->hash, prog->hash, sizeof prog->hash);
    tsn_program_free(one);
    tsn_program_free(two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_head_is_what_was_written),
        cmocka_unit_test(event_types_have_time_first_then_their_fields),
        cmocka_unit_test(slots_stand_in_pack_order_for_each_type),
        cmocka_unit_test(features_are_what_was_written),
        cmocka_unit_test(lists_know_who_fills_them),
        cmocka_unit_test(rules_know_their_lists_modes_and_reasons),
        cmocka_unit_test(the_typology_knows_fields_weights_levels_and_actions),
        cmocka_unit_test(layout_and_comments_change_no_hash),
        cmocka_unit_test(a_changed_threshold_changes_the_rule_and_the_program_only),
        cmocka_unit_test(a_feature_keeps_its_identity_as_long_as_it_counts_the_same),
        cmocka_unit_test(a_list_changes_its_version_and_the_hash_but_not_by_its_order),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
