/* An alert says which of its values are approximate, and how far they may be off: of a rule
 * and of a timer, of a feature and of an expression over it, also when the state went
 * through a checkpoint in between. What is exact says nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/wire/wire.h"
#include "rules/pack/pack.h"
#include "tests/fixture/json_schema.h"
#include "tests/fixture/record_map.h"

enum { PAYS = 400, STEP_MS = 5000, BATCH = 64 };

static const char schema[] = TSN_SOURCE_DIR "/docs/alert.schema.json";

static const char pack[] =
    "pack: hot\n"
    "version: 1\n"
    "events:\n"
    "  pay:\n"
    "    fields:\n"
    "      payer: { type: string, required: true, entity: account }\n"
    "      payee: { type: string, required: true }\n"
    "      last: { type: bool }\n"
    "features:\n"
    "  - { name: pays_1h, event: pay, aggregate: count, by: payer, window: 1h, exact_up_to: 100 }\n"
    "  - { name: payees_1h, event: pay, aggregate: distinct(payee), by: payer, window: 1h,\n"
    "      exact_up_to: 100 }\n"
    "  - { name: pays_1m, event: pay, aggregate: count, by: payer, window: 1m, exact_up_to: 100 }\n"
    "  - { name: each, event: pay, expr: 'double(f.pays_1h) / double(f.payees_1h)' }\n"
    "rules:\n"
    "  - { id: many, event: pay, when: 'pay.last && f.pays_1h > 5 && f.pays_1m > 5 && f.each > "
    "0.1',\n"
    "      reason: '${f.pays_1h} pays to ${f.payees_1h} payees, ${f.pays_1m} now' }\n"
    "  - { id: slow, event: pay, when: 'pay.last && f.payees_1h > 5 && f.each > 0.1', after: 10m,\n"
    "      by: payer, unless: { event: pay, when: '!pay.last' }, reason: '${f.payees_1h} payees' "
    "}\n"
    "typologies:\n"
    "  - id: hot\n"
    "    entity: { pay: payer }\n"
    "    weights: { many: 10, slow: 20 }\n"
    "    sum_over: 1d\n"
    "    thresholds: { minor: 10, moderate: 30 }\n";

static struct tsn_program *compiled(void)
{
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct tsn_program *prog = tsn_pack_compile("hot.yaml", pack, strlen(pack), NULL, NULL, &diags);
    tsn_diags_print(&diags, stderr);
    tsn_diags_free(&diags);
    assert_non_null(prog);
    return prog;
}

/* Pays of one account, one every five seconds, to ever other payees; the last one says so. */
static void feed(struct tsn_engine *eng, const struct tsn_program *prog, int from, int to,
                 struct tsn_output *out)
{
    struct tsn_batch *batch = tsn_batch_new(prog, BATCH);
    static char payees[PAYS][16];
    for (int i = from; i < to; i++) {
        uint32_t at = tsn_batch_add(batch, 0, 1772413200000 + i * (int64_t)STEP_MS, 0, i);
        struct tsn_column *fields = batch->types[0].fields;
        snprintf(payees[i], sizeof payees[i], "p%d", i);
        tsn_bits_set(fields[1].valid, at);
        fields[1].str[at] = (struct tsn_str){"A1", 2};
        tsn_bits_set(fields[2].valid, at);
        fields[2].str[at] = (struct tsn_str){payees[i], (uint32_t)strlen(payees[i])};
        tsn_bits_set(fields[3].valid, at);
        if (i == PAYS - 1 || i == 99) {
            tsn_bits_set(fields[3].bits, at);
        }
        if (batch->n == BATCH || i + 1 == to) {
            tsn_engine_rows(eng, batch, out);
            tsn_batch_clear(batch);
        }
    }
    tsn_batch_free(batch);
}

static const char *written(const struct tsn_program *prog, const struct tsn_output *out, uint32_t i,
                           struct tsn_arena *arena)
{
    static const struct tsn_origin origins[] = {{"in", 0}};
    struct tsn_keys *keys = tsn_keys_insecure();
    const struct tsn_wire wire = {.prog = prog,
                                  .keys = keys,
                                  .instance = "test",
                                  .alerts_topic = "alerts",
                                  .origins = origins,
                                  .n_origins = 1};
    struct tsn_message message;
    char why[400] = "";
    tsn_wire_alert(&wire, &out->alerts[i], arena, &message);
    if (!tsn_json_satisfies(schema, message.value, message.len, why, sizeof why)) {
        fail_msg("%s", why);
    }
    tsn_keys_free(keys);
    return message.value;
}

static void assert_holds(const char *json, const char *part)
{
    if (!strstr(json, part)) {
        fail_msg("%s is not in %s", part, json);
    }
}

static void an_alert_says_what_is_approximate(void **state)
{
    (void)state;
    struct tsn_program *prog = compiled();
    struct tsn_engine_settings settings = tsn_engine_defaults();
    struct tsn_engine *eng = tsn_engine_new(prog, &settings);
    struct tsn_arena arena;
    struct tsn_output out;
    tsn_arena_init(&arena, 0);
    tsn_output_init(&out);
    feed(eng, prog, 0, 100, &out); /* up to exact_up_to */
    assert_int_equal(out.n_alerts, 1);
    const char *json = written(prog, &out, 0, &arena);
    assert_holds(json, "\"reason\":\"100 pays to 100 payees, 12 now\"");
    assert_null(strstr(json, "approximate"));
    assert_int_equal(tsn_engine_counts(eng).approximate, 0);
    tsn_output_clear(&out);
    tsn_engine_free(eng);

    eng = tsn_engine_new(prog, &settings);
    feed(eng, prog, 100, PAYS - 1, &out); /* 300 rows within the hour: all in, none cut */
    feed(eng, prog, PAYS - 1, PAYS, &out);
    assert_true(tsn_engine_counts(eng).coalesced > 150);
    assert_int_equal(out.n_alerts, 1);
    json = written(prog, &out, 0, &arena);
    assert_holds(json, "\"reason\":\"300 pays to about ");
    assert_holds(json, "payees, 12 now\"");
    assert_holds(json, "\"name\":\"f.pays_1h\",\"type\":\"int\",\"state\":\"value\",\"value\":300,"
                       "\"sensitive\":false}");
    assert_holds(json, "\"sensitive\":false,\"approximate\":{\"window_edge\":\"56.25s\","
                       "\"standard_error\":0.023}");
    tsn_output_clear(&out);

    eng = tsn_record_map_restart(eng, prog, &settings); /* with the episode and the timer */
    assert_true(tsn_engine_tick(eng, 1772413200000 + PAYS * (int64_t)STEP_MS + 700000, &out));
    assert_int_equal(out.n_alerts, 1);
    json = written(prog, &out, 0, &arena);
    assert_holds(json, "\"reason\":\"about ");
    assert_holds(json, "\"reason\":\"300 pays to about ");
    const char *slow = strstr(json, "\"rule\":\"slow\"");
    assert_non_null(slow);
    assert_holds(slow, "\"approximate\":{\"window_edge\":\"56.25s\",\"standard_error\":0.023}");
    assert_holds(strstr(slow, "f.each"), "\"approximate\":{");
    tsn_output_free(&out);
    tsn_arena_free(&arena);
    tsn_engine_free(eng);
    tsn_program_free(prog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_alert_says_what_is_approximate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
