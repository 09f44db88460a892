/* Alerts on the wire: ids, pseudonyms, the closed schema, and bytes that never vary. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/wire/wire.h"
#include "rules/must/must.h"
#include "tests/fixture/json_schema.h"

#define STR(text) ((struct tsn_str){text, sizeof(text) - 1})

static const char schema[] = TSN_SOURCE_DIR "/docs/alert.schema.json";

/* ---- a program of one typology, by hand ---------------------------------------------- */

static const struct tsn_event_type types[] = {{.name = "transfer"}, {.name = "call"}};
static const char *const kinds[] = {"line"};
static const struct tsn_rule rules[] = {{
    .id = "coached-transfer",
    .when_text = "transfer.amount >= 1000 && f.since_call <= duration(\"30m\")",
    .version = 0x0123456789abcdef,
}};
static const struct tsn_template_param params[] = {{.name = "tail", .tail = true, .digits = 4}};
static const struct tsn_template_text texts[] = {{"zh-Hans", "..."}, {"en", "..."}};
static const struct tsn_template templates[] = {{.id = "SCAM_WARN_1",
                                                 .version = 3,
                                                 .n_params = 1,
                                                 .params = params,
                                                 .n_texts = 2,
                                                 .texts = texts}};
static const struct tsn_typology typologies[] = {
    {.id = "impersonation", .title = "Caller \"is\" the bank", .version = 7}};
static const struct tsn_program program = {
    .pack = "core",
    .version = 7,
    .hash = {0xab, 0xcd},
    .n_types = 2,
    .types = types,
    .n_entity_kinds = 1,
    .entity_kinds = kinds,
    .n_rules = 1,
    .rules = rules,
    .n_typologies = 1,
    .typologies = typologies,
    .n_templates = 1,
    .templates = templates,
};
static const struct tsn_origin origins[] = {{"bank.txn", 3}, {"cdr.call", 0}};
static const struct tsn_action action = {
    .present = true, .sms = {.template_ = 0, .to_entity = true}, .queue = "scam-desk"};
static const struct tsn_alert_param alert_params[] = {{"tail", {"4567", 4}}};

static const struct tsn_evidence evidence[] = {
    {.name = "transfer.amount",
     .value = {.state = TSN_STATE_VALUE, .type = {.type = TSN_TYPE_DOUBLE}, .d = 4500.1}},
    {.name = "transfer.payer",
     .value = {.state = TSN_STATE_VALUE, .type = {.type = TSN_TYPE_STRING}, .s = {"A\"\n1", 4}},
     .masked = true},
    {.name = "f.since_call",
     .value = {.state = TSN_STATE_VALUE, .type = {.type = TSN_TYPE_DURATION}, .t = {1200, 0}}},
    {.name = "f.calls",
     .value = {.state = TSN_STATE_VALUE, .type = {.type = TSN_TYPE_INT}, .i = 20000},
     .approximation = {.holds = true, .sketched = true, .edge_ms = 56250}},
    {.name = "transfer.n",
     .value = {.state = TSN_STATE_VALUE, .type = {.type = TSN_TYPE_INT}, .i = INT64_MAX}},
    {.name = "transfer.ratio",
     .value = {.state = TSN_STATE_VALUE, .type = {.type = TSN_TYPE_DOUBLE}, .d = NAN}},
    {.name = "transfer.day",
     .value = {.state = TSN_STATE_VALUE,
               .type = {.type = TSN_TYPE_TIMESTAMP},
               .t = {0, 500000000}}},
    {.name = "transfer.urgent",
     .value = {.state = TSN_STATE_VALUE, .type = {.type = TSN_TYPE_BOOL}, .b = true}},
    {.name = "transfer.memo",
     .value = {.state = TSN_STATE_MISSING, .type = {.type = TSN_TYPE_STRING}}},
    {.name = "f.last_payee",
     .value = {.state = TSN_STATE_MISSING, .type = {.type = TSN_TYPE_STRING}},
     .cause = TSN_CAUSE_LATE},
};

static struct tsn_alert_hit hits[1];

static struct tsn_alert sample(void)
{
    struct tsn_event_ref event = {
        .type = 0, .source = 0, .position = 991231, .time_ms = 1772442000250, .id = STR("t-881")};
    hits[0] = (struct tsn_alert_hit){
        .rule = 0,
        .points = 70,
        .reason = STR("4500.10 to a new payee 20m after a call"),
        .event = event,
        .n_evidence = sizeof evidence / sizeof evidence[0],
        .evidence = evidence,
        .current = true,
    };
    return (struct tsn_alert){
        .level = TSN_LEVEL_SEVERE,
        .level_before = TSN_LEVEL_NONE,
        .score = 70,
        .revision = 1,
        .entity = STR("+8613909900001"),
        .opened_by = event,
        .opened_ms = event.time_ms,
        .event = event,
        .time_ms = event.time_ms,
        .not_before_ms = event.time_ms,
        .not_after_ms = event.time_ms + 7200000,
        .action = &action,
        .sms_to = STR("+8613909900001"),
        .n_params = 1,
        .params = alert_params,
        .n_hits = 1,
        .hits = hits,
    };
}

struct world {
    struct tsn_arena arena;
    struct tsn_keys *keys;
    struct tsn_wire wire;
};

static int world_begin(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    TSN_MUST_ALLOC(world);
    tsn_arena_init(&world->arena, 0);
    world->keys = tsn_keys_insecure();
    world->wire = (struct tsn_wire){
        .prog = &program,
        .keys = world->keys,
        .instance = "demo-1",
        .alerts_topic = "tocsin.alerts",
        .rejects_topic = "tocsin.rejects",
        .origins = origins,
        .n_origins = 2,
    };
    *state = world;
    return 0;
}

static int world_end(void **state)
{
    struct world *world = *state;
    tsn_keys_free(world->keys);
    tsn_arena_free(&world->arena);
    free(world);
    return 0;
}

static struct tsn_message written(struct world *world, const struct tsn_alert *alert)
{
    struct tsn_message message;
    tsn_wire_alert(&world->wire, alert, &world->arena, &message);
    return message;
}

static const char *header(const struct tsn_message *message, const char *name)
{
    const char *found = NULL;
    for (size_t i = 0; i < message->n_headers; i++) {
        if (strcmp(message->headers[i].name, name) == 0) {
            assert_null(found);
            assert_int_equal(strlen(message->headers[i].value), message->headers[i].len);
            found = message->headers[i].value;
        }
    }
    return found;
}

static void assert_by_schema(const struct tsn_message *message)
{
    char why[400];
    if (!tsn_json_satisfies(schema, message->value, message->len, why, sizeof why)) {
        fail_msg("%s\n%s", why, message->value);
    }
}

/* ---- tests -------------------------------------------------------------------------------- */

static void every_kind_of_alert_satisfies_the_closed_schema(void **state)
{
    struct tsn_alert whole = sample();
    struct tsn_message message = written(*state, &whole);
    assert_by_schema(&message);

    struct tsn_alert bare = sample();
    bare.action = NULL;
    bare.sms_to = (struct tsn_str){"", 0};
    bare.n_params = 0;
    bare.not_after_ms = INT64_MAX;
    bare.opened_by.id = (struct tsn_str){"", 0};
    bare.shadow = true;
    bare.score = INFINITY;
    bare.n_hits = 0;
    message = written(*state, &bare);
    assert_by_schema(&message);
    assert_null(header(&message, "ce_expirytime"));
    assert_string_equal(header(&message, "ce_shadow"), "true");

    struct tsn_alert by_score = sample();
    by_score.sms_muted = true;
    by_score.sms_to = (struct tsn_str){"", 0};
    hits[0].rule = TSN_NONE;
    message = written(*state, &by_score);
    assert_by_schema(&message);
    assert_null(strstr(message.value, "member_of"));
    struct tsn_alert handed_out = sample();
    hits[0].for_each = "reached_7d";
    message = written(*state, &handed_out);
    assert_by_schema(&message);
    assert_non_null(strstr(message.value, "\"member_of\":\"reached_7d\""));
}

static void the_schema_checker_refuses_what_the_schema_does(void **state)
{
    struct tsn_alert alert = sample();
    struct tsn_message message = written(*state, &alert);
    static const struct {
        const char *why, *from, *to;
    } damages[] = {
        {"a member too many", "\"revision\":1", "\"revision\":1,\"more\":2"},
        {"a member too few", "\"revision\":1,", ""},
        {"another type", "\"shadow\":false", "\"shadow\":\"no\""},
        {"no level of ours", "\"level\":\"severe\"", "\"level\":\"grave\""},
        {"an id of another length", "\"alert_id\":\"", "\"alert_id\":\"0"},
        {"a local time", "250Z\"", "250+08:00\""},
        {"a revision that never was", "\"revision\":1", "\"revision\":0"},
    };
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        char damaged[16384];
        const char *at = strstr(message.value, damages[i].from);
        assert_non_null(at);
        size_t before = (size_t)(at - message.value);
        memcpy(damaged, message.value, before);
        strcpy(damaged + before, damages[i].to);
        strcat(damaged, at + strlen(damages[i].from));
        char why[400];
        if (tsn_json_satisfies(schema, damaged, strlen(damaged), why, sizeof why)) {
            fail_msg("accepted: %s", damages[i].why);
        }
    }
}

static void headers_are_cloudevents_and_name_nobody(void **state)
{
    struct tsn_alert alert = sample();
    struct tsn_message message = written(*state, &alert);
    assert_string_equal(message.topic, "tocsin.alerts");
    assert_string_equal(header(&message, "content-type"), "application/json");
    assert_string_equal(header(&message, "ce_specversion"), "1.0");
    assert_string_equal(header(&message, "ce_source"), "urn:tocsin:demo-1");
    assert_string_equal(header(&message, "ce_type"), "io.tocsin.alert.raised.v1");
    assert_string_equal(header(&message, "ce_time"), "2026-03-02T09:00:00.250Z");
    assert_string_equal(header(&message, "ce_expirytime"), "2026-03-02T11:00:00.250Z");
    assert_string_equal(header(&message, "ce_severitytext"), "ERROR");
    assert_string_equal(header(&message, "ce_severitynumber"), "17");
    assert_string_equal(header(&message, "ce_subject"), header(&message, "ce_partitionkey"));
    assert_int_equal(strlen(header(&message, "ce_subject")), 3 + 32);
    assert_int_equal(message.key_len, 14);
    assert_memory_equal(message.key, "+8613909900001", 14);
    for (size_t i = 0; i < message.n_headers; i++) {
        assert_null(strstr(message.headers[i].value, "13909900001"));
        /* CloudEvents: attribute names are a-z0-9, at most 20. */
        const char *name = message.headers[i].name;
        if (strncmp(name, "ce_", 3) == 0) {
            assert_int_equal(strspn(name + 3, "abcdefghijklmnopqrstuvwxyz0123456789"),
                             strlen(name + 3));
            assert_true(strlen(name + 3) <= 20);
        }
    }
}

static void the_type_says_whether_an_alert_is_new_or_worse(void **state)
{
    static const struct {
        uint32_t revision;
        enum tsn_level before, level;
        const char *type;
    } cases[] = {
        {1, TSN_LEVEL_NONE, TSN_LEVEL_SEVERE, "io.tocsin.alert.raised.v1"},
        {2, TSN_LEVEL_SEVERE, TSN_LEVEL_EXTREME, "io.tocsin.alert.escalated.v1"},
        {3, TSN_LEVEL_EXTREME, TSN_LEVEL_EXTREME, "io.tocsin.alert.updated.v1"},
    };
    for (size_t i = 0; i < 3; i++) {
        struct tsn_alert alert = sample();
        alert.revision = cases[i].revision;
        alert.level_before = cases[i].before;
        alert.level = cases[i].level;
        struct tsn_message message = written(*state, &alert);
        assert_string_equal(header(&message, "ce_type"), cases[i].type);
        assert_by_schema(&message);
    }
}

static void id_of(struct world *world, const struct tsn_alert *alert, char id[33])
{
    struct tsn_message message = written(world, alert);
    const char *ce_id = header(&message, "ce_id");
    assert_int_equal(ce_id[32], '.');
    memcpy(id, ce_id, 32);
    id[32] = '\0';
    assert_non_null(strstr(message.value, id));
}

/* What may and what may not change an alert's id. */
static void an_id_depends_on_the_episode_and_on_nothing_else(void **state)
{
    struct world *world = *state;
    char id[33], other[33];
    struct tsn_alert alert = sample();
    id_of(world, &alert, id);

    struct tsn_alert same = sample();
    same.revision = 5;
    same.score = 140;
    same.level = TSN_LEVEL_EXTREME;
    same.event.position = 1;
    same.event.time_ms += 5;
    same.time_ms += 5;
    same.opened_by.position = 77; /* an offset is no part of an event */
    same.opened_by.source = 1;
    id_of(world, &same, other);
    assert_string_equal(id, other);

    struct tsn_alert changed[6];
    for (size_t i = 0; i < 6; i++) {
        changed[i] = sample();
    }
    changed[0].entity = STR("+8613909900002");
    changed[1].opened_by.id = STR("t-882");
    changed[2].opened_by.time_ms++;
    changed[3].opened_by.type = 1;
    changed[4].opened_by.id = (struct tsn_str){"", 0};
    changed[5].opened_by.id = (struct tsn_str){"", 0};
    changed[5].opened_by.source = 1;
    char ids[7][33];
    strcpy(ids[6], id);
    for (size_t i = 0; i < 6; i++) {
        id_of(world, &changed[i], ids[i]);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(ids[i], ids[j]);
        }
        assert_string_not_equal(ids[i], ids[6]);
    }
    /* Without an id of its own the event is told by its source, not by its offset. */
    changed[5].opened_by.position = 12345;
    id_of(world, &changed[5], other);
    assert_string_equal(ids[5], other);

    struct tsn_keys *secret = tsn_keys_from((const uint8_t[TSN_KEYS_BYTES]){1});
    world->wire.keys = secret;
    id_of(world, &alert, other);
    assert_string_not_equal(id, other);
    world->wire.keys = world->keys;
    tsn_keys_free(secret);
}

/* The first id that was ever given must be given for ever: subscribers have kept it.
 * Python: k = blake2b(b"alert-id", digest_size=32, key=secret); parts, each after its
 * length as <Q: line, +8613909900001, impersonation, transfer, time as <q, id, t-881;
 * blake2b(parts, digest_size=16, key=k). */
static void the_id_of_the_sample_is_the_one_of_the_first_release(void **state)
{
    char id[33];
    struct tsn_alert alert = sample();
    id_of(*state, &alert, id);
    assert_string_equal(id, "febaa2aa1517f0286d4be856f7d96b50");
}

static void equal_alerts_give_equal_bytes(void **state)
{
    struct tsn_alert alert = sample();
    struct tsn_message one = written(*state, &alert);
    struct tsn_message two = written(*state, &alert);
    assert_int_equal(one.len, two.len);
    assert_memory_equal(one.value, two.value, one.len);
}

static void numbers_and_texts_survive_the_wire(void **state)
{
    struct tsn_alert alert = sample();
    struct tsn_message message = written(*state, &alert);
    static const char *const written_as[] = {
        "\"name\":\"transfer.amount\",\"type\":\"double\",\"state\":\"value\",\"value\":4500.1,",
        "\"value\":9223372036854775807,",
        "\"value\":\"A\\\"\\u000a1\",\"sensitive\":true",
        "\"name\":\"f.since_call\",\"type\":\"duration\",\"state\":\"value\",\"value\":\"20m\"",
        "\"name\":\"transfer.ratio\",\"type\":\"double\",\"state\":\"value\",\"value\":null",
        "\"value\":\"1970-01-01T00:00:00.500Z\"",
        ("\"name\":\"transfer.memo\",\"type\":\"string\",\"state\":\"missing\",\"value\":null,"
         "\"sensitive\""),
        ("\"name\":\"f.last_payee\",\"type\":\"string\",\"state\":\"missing\",\"value\":null,"
         "\"cause\":\"late\",\"sensitive\""),
        "\"rule_version\":\"0123456789abcdef\"",
        "\"title\":\"Caller \\\"is\\\" the bank\"",
        "\"languages\":[\"zh-Hans\",\"en\"],\"params\":{\"tail\":\"4567\"}",
        "\"topic\":\"bank.txn\",\"partition\":3,\"offset\":991231",
    };
    for (size_t i = 0; i < sizeof written_as / sizeof written_as[0]; i++) {
        if (!strstr(message.value, written_as[i])) {
            fail_msg("%s\nis not in\n%s", written_as[i], message.value);
        }
    }
}

static void one_template_to_one_entity_has_one_dedup_key(void **state)
{
    struct tsn_alert first = sample();
    struct tsn_alert second = sample();
    second.opened_by.id = STR("t-900");
    second.revision = 3;
    struct tsn_alert other = sample();
    other.entity = STR("+8613909900002");
    const char *keys[3];
    struct tsn_alert *alerts[] = {&first, &second, &other};
    for (size_t i = 0; i < 3; i++) {
        struct tsn_message message = written(*state, alerts[i]);
        keys[i] = strstr(message.value, "\"dedup_key\":");
        assert_non_null(keys[i]);
    }
    assert_memory_equal(keys[0], keys[1], strlen("\"dedup_key\":\"") + 32);
    assert_memory_not_equal(keys[0], keys[2], strlen("\"dedup_key\":\"") + 32);
}

int main(void)
{
#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)
    const struct CMUnitTest tests[] = {
        WORLD_TEST(every_kind_of_alert_satisfies_the_closed_schema),
        WORLD_TEST(the_schema_checker_refuses_what_the_schema_does),
        WORLD_TEST(headers_are_cloudevents_and_name_nobody),
        WORLD_TEST(the_type_says_whether_an_alert_is_new_or_worse),
        WORLD_TEST(an_id_depends_on_the_episode_and_on_nothing_else),
        WORLD_TEST(the_id_of_the_sample_is_the_one_of_the_first_release),
        WORLD_TEST(equal_alerts_give_equal_bytes),
        WORLD_TEST(numbers_and_texts_survive_the_wire),
        WORLD_TEST(one_template_to_one_entity_has_one_dedup_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
