/* The configuration: what is read, what is refused, and how it says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/config/config.h"
#include "connectors/config/read.h"
#include "connectors/config/settings.h"
#include "connectors/decode/decode.h"
#include "connectors/file/pack_file.h"

#define SMALL                                                                                      \
    "pack: p.yaml\n"                                                                               \
    "sources:\n"                                                                                   \
    "  calls:\n"                                                                                   \
    "    event: call\n"                                                                            \
    "    fields: { time: { from: /t, format: epoch_ms } }\n"

static struct tsn_config *parse(const char *text, struct tsn_diags *diags)
{
    tsn_diags_init(diags);
    return tsn_config_parse("conf/tocsin.yaml", text, strlen(text), diags);
}

static char *printed(const struct tsn_diags *diags)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    tsn_diags_print(diags, out);
    fclose(out);
    return text;
}

static void the_smallest_configuration_gets_every_default(void **state)
{
    struct tsn_diags diags;
    struct tsn_config *config = parse(SMALL, &diags);
    (void)state;
    assert_non_null(config);
    assert_string_equal(config->instance, "tocsin");
    assert_string_equal(config->pack, "conf/p.yaml");
    assert_int_equal(config->engine.lateness_ms, 3600 * 1000);
    assert_int_equal(config->engine.dedup_window_ms, 600 * 1000);
    assert_int_equal(config->engine.dedup_cap_bytes, 256 << 20);
    assert_int_equal(config->engine.timer_grace_ms, 1000);
    assert_int_equal(config->engine.batch_rows, 4096);
    assert_int_equal(config->kafka.commit_busy_ms, 50);
    assert_int_equal(config->kafka.commit_behind_ms, 300);
    assert_int_equal(config->kafka.commit_idle_ms, 1000);
    assert_int_equal(config->kafka.merge_wait_ms, 100);
    assert_int_equal(config->kafka.future_max_ms, 300 * 1000);
    assert_string_equal(config->topics.alerts, "tocsin.alerts");
    assert_string_equal(config->redis.host, "127.0.0.1");
    assert_int_equal(config->redis.port, 6379);
    assert_false(config->state_in_memory);
    assert_false(config->insecure);
    assert_int_equal(config->n_sources, 1);
    assert_int_equal(config->sources[0].max_bytes, 64 * 1024);
    assert_ptr_equal(tsn_config_source(config, "calls"), &config->sources[0]);
    assert_null(tsn_config_source(config, "cals"));
    tsn_config_free(config);
    tsn_diags_free(&diags);
}

static void the_defaults_are_the_engines_own(void **state)
{
    struct tsn_diags diags;
    struct tsn_config *config = parse(SMALL, &diags);
    struct tsn_engine_settings own = tsn_engine_defaults();
    (void)state;
    assert_int_equal(config->engine.lateness_ms, own.lateness_ms);
    assert_int_equal(config->engine.dedup_window_ms, own.dedup_window_ms);
    assert_int_equal(config->engine.dedup_cap_bytes, own.dedup_cap_bytes);
    assert_int_equal(config->engine.timer_grace_ms, own.timer_grace_ms);
    assert_int_equal(config->engine.batch_rows, own.batch_rows);
    tsn_config_free(config);
    tsn_diags_free(&diags);
}

static void librdkafka_properties_pass_through_as_they_are(void **state)
{
    struct tsn_diags diags;
    struct tsn_config *config = parse(SMALL "kafka:\n"
                                            "  bootstrap.servers: a:1,b:2\n"
                                            "  socket.keepalive.enable: true\n"
                                            "  consumer: { fetch.wait.max.ms: 5 }\n"
                                            "  producer: { linger.ms: 0.5 }\n",
                                      &diags);
    (void)state;
    assert_non_null(config);
    assert_int_equal(config->kafka.common.n, 2);
    assert_string_equal(config->kafka.common.items[0].key, "bootstrap.servers");
    assert_string_equal(config->kafka.common.items[0].value, "a:1,b:2");
    assert_string_equal(config->kafka.common.items[1].value, "true");
    assert_int_equal(config->kafka.consumer.n, 1);
    assert_string_equal(config->kafka.consumer.items[0].value, "5");
    assert_string_equal(config->kafka.producer.items[0].key, "linger.ms");
    tsn_config_free(config);
    tsn_diags_free(&diags);
}

static void secrets_come_from_the_environment_and_never_into_messages(void **state)
{
    struct tsn_diags diags;
    (void)state;
    setenv("TSN_TEST_SECRET", "hun\"ter: 2", 1);
    struct tsn_config *config = parse(
        SMALL "redis: { password: '${TSN_TEST_SECRET}', user: 'a$${b}${TSN_TEST_SECRET}c' }\n",
        &diags);
    assert_non_null(config);
    assert_string_equal(config->redis.password, "hun\"ter: 2");
    assert_string_equal(config->redis.user, "a${b}hun\"ter: 2c");
    tsn_config_free(config);
    tsn_diags_free(&diags);
    setenv("TSN_TEST_SECRET", "1", 1);
    config = parse(SMALL "redis: { port: '${TSN_TEST_SECRET}' }\n", &diags);
    assert_non_null(config);
    assert_int_equal(config->redis.port, 1);
    tsn_config_free(config);
    tsn_diags_free(&diags);
}

static void every_mistake_is_reported_at_its_place(void **state)
{
    static const struct {
        const char *why, *text, *place, *says;
    } cases[] = {
        {"unknown key with its nearest", SMALL "engin: { lateness: 1h }\n",
         ":6:1:", "did you mean 'engine'?"},
        {"unknown key of a section", SMALL "engine: { latenes: 1h }\n",
         ":6:11:", "did you mean 'lateness'?"},
        {"unknown key of a field",
         "pack: p\nsources: { s: { event: e, fields: { time: { form: /a } } } }\n",
         ":2:", "did you mean 'from'?"},
        {"no pack", "sources: { s: { event: e, fields: { time: /t } } }\n", ":1:", "names no pack"},
        {"no sources", "pack: p\n", ":1:", "names no sources"},
        {"a duration without a unit", SMALL "merge: { wait: 100 }\n", ":6:", "'wait'"},
        {"a cap without a store", SMALL "state: memory\nengine: { max_resident: 10 }\n",
         ":7:", "needs a Redis"},
        {"a size that is none", SMALL "engine: { dedup_memory: lots }\n", ":6:", "must be a size"},
        {"a size out of bounds", SMALL "engine: { dedup_memory: 1KiB }\n", ":6:", "between"},
        {"a checkpoint setting misspelt", SMALL "checkpoint: { bandwith: 1MiB }\n",
         ":6:15:", "did you mean 'bandwidth'?"},
        {"a checkpoint's age misspelt", SMALL "checkpoint: { age_target: 1m }\n",
         ":6:15:", "unknown key"},
        {"a bandwidth that is a rate", SMALL "checkpoint: { bandwidth: 1MB/s }\n",
         ":6:", "must be a size"},
        {"a target age without a unit", SMALL "checkpoint: { target_age: 60 }\n",
         ":6:", "'target_age'"},
        {"batch rows in words of 64", SMALL "engine: { batch_rows: 100 }\n",
         ":6:", "multiple of 64"},
        {"an environment variable that is not set",
         SMALL "redis: { password: '${TSN_TEST_NOT_SET}' }\n",
         ":6:", "TSN_TEST_NOT_SET is not set"},
        {"a reference that does not end", SMALL "redis: { password: '${X' }\n",
         ":6:", "without its '}'"},
        {"a certificate without its key", SMALL "redis: { tls: { cert_file: c.pem } }\n",
         ":6:15:", "belong together"},
        {"TLS over a unix socket", SMALL "redis: { unix_socket: /r, tls: {} }\n",
         ":6:", "unix_socket"},
        {"TLS as a switch", SMALL "redis: { tls: true }\n", ":6:", "redis.tls"},
        {"an unknown key of TLS", SMALL "redis: { tls: { ca: x } }\n", ":6:", "ca_file"},
        {"a reference to no name", SMALL "redis: { password: '${1 2}' }\n", ":6:", "no name"},
        {"a pointer that is none", "pack: p\nsources: { s: { event: e, fields: { time: t } } }\n",
         ":2:", "write `/t`"},
        {"neither pointer nor constant",
         "pack: p\nsources: { s: { event: e, fields: { time: { format: epoch_s } } } }\n",
         ":2:", "either 'from' or 'constant'"},
        {"a default for a constant",
         "pack: p\nsources: { s: { event: e, fields: { time: /t, a: { constant: 1, default: 2 } } "
         "} "
         "}\n",
         ":2:", "never used"},
        {"a format that does not exist",
         "pack: p\nsources: { s: { event: e, fields: { time: { from: /t, format: epoc_ms } } } }\n",
         ":2:", "epoch_ms"},
        {"a source without an event type", "pack: p\nsources: { s: { fields: { time: /t } } }\n",
         ":2:", "names no event type"},
        {"a source without fields", "pack: p\nsources: { s: { event: e } }\n",
         ":2:", "maps no fields"},
        {"a country that is no code", SMALL "numbers: { country: '+86' }\n", ":6:", "digits"},
        {"a country of four digits", SMALL "numbers: { country: '8612' }\n", ":6:", "1 to 3"},
        {"a prefix that is no prefix", SMALL "numbers: { keep: [ab] }\n", ":6:", "must be digits"},
        {"two outputs in one topic", SMALL "topics: { alerts: x, rejects: x }\n",
         ":6:", "two outputs"},
        {"an output that is a source", SMALL "topics: { alerts: calls }\n",
         ":6:", "a source and an output"},
        {"key and no key", SMALL "insecure: true\nkey_file: k\n", ":6:", "contradict"},
        {"timers before their events", SMALL "merge: { slack: 5s }\n",
         ":1:", "engine.timer_grace at least"},
        {"a kafka value that is a map", SMALL "kafka: { a: { b: c } }\n", ":6:", "a"},
        {"not YAML", "pack: [\n", ":", ""},
        {"a list instead of a map", "- a\n", ":1:", "must be a map"},
    };
    (void)state;
    unsetenv("TSN_TEST_NOT_SET");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tsn_diags diags;
        struct tsn_config *config = parse(cases[i].text, &diags);
        char *text = printed(&diags);
        if (config || !strstr(text, cases[i].place) || !strstr(text, cases[i].says) ||
            strncmp(text, "conf/tocsin.yaml:", 17) != 0) {
            fail_msg("%s: %s", cases[i].why, text);
        }
        free(text);
        tsn_diags_free(&diags);
    }
}

static void a_section_for_tls_switches_it_on(void **state)
{
    struct tsn_diags diags;
    (void)state;
    struct tsn_config *config = parse(SMALL "redis: { host: r }\n", &diags);
    assert_non_null(config);
    assert_false(config->redis.tls.on);
    tsn_config_free(config);
    tsn_diags_free(&diags);
    config = parse(SMALL "redis: { tls: {} }\n", &diags);
    assert_non_null(config);
    assert_true(config->redis.tls.on);
    assert_null(config->redis.tls.ca_file);
    tsn_config_free(config);
    tsn_diags_free(&diags);
    config = parse(SMALL "redis: { tls: { ca_file: ca.pem, cert_file: /c.pem, key_file: k.pem, "
                         "server_name: redis.test } }\n",
                   &diags);
    assert_non_null(config);
    assert_true(config->redis.tls.on);
    assert_string_equal(config->redis.tls.ca_file, "conf/ca.pem");
    assert_string_equal(config->redis.tls.cert_file, "/c.pem");
    assert_string_equal(config->redis.tls.key_file, "conf/k.pem");
    assert_string_equal(config->redis.tls.server_name, "redis.test");
    tsn_config_free(config);
    tsn_diags_free(&diags);
}

static void all_mistakes_are_reported_in_one_round(void **state)
{
    struct tsn_diags diags;
    (void)state;
    assert_null(parse(SMALL "engine: { lateness: x, dedup_window: y, nonsense: 1 }\n", &diags));
    assert_int_equal(diags.n_errors, 3);
    tsn_diags_free(&diags);
}

static void a_source_may_have_a_number_plan_of_its_own(void **state)
{
    struct tsn_diags diags;
    struct tsn_config *config =
        parse("pack: p\n"
              "numbers: { country: '86', trunk_prefix: '0', keep: ['95', '10'] }\n"
              "sources:\n"
              "  a: { event: e, fields: { time: /t } }\n"
              "  b: { event: e, fields: { time: /t }, numbers: { country: '852' } }\n",
              &diags);
    (void)state;
    assert_non_null(config);
    assert_string_equal(config->sources[0].numbers.country, "86");
    assert_int_equal(config->sources[0].numbers.n_keep, 2);
    assert_string_equal(config->sources[0].numbers.keep[1], "10");
    assert_string_equal(config->sources[1].numbers.country, "852");
    assert_null(config->sources[1].numbers.trunk_prefix);
    assert_string_equal(config->sources[1].numbers.international_prefix, "00");
    assert_int_equal(config->sources[1].numbers.national_max, 12);
    tsn_config_free(config);
    tsn_diags_free(&diags);
}

static void record_time_takes_the_format_of_the_event_time_unless_it_says_another(void **state)
{
    struct tsn_diags diags;
    struct tsn_config *config = parse(
        "pack: p\n"
        "sources:\n"
        "  a: { event: e, record_time: /r, fields: { time: { from: /t, format: epoch_s } } }\n"
        "  b: { event: e, record_time: { from: /r, format: epoch_us }, fields: { time: /t } }\n",
        &diags);
    (void)state;
    assert_non_null(config);
    assert_int_equal(config->sources[0].record_time_format, TSN_TIME_EPOCH_S);
    assert_int_equal(config->sources[1].record_time_format, TSN_TIME_EPOCH_US);
    assert_string_equal(config->sources[1].record_time, "/r");
    tsn_config_free(config);
    tsn_diags_free(&diags);
}

static void sizes_are_read_to_the_byte(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes; /* -1: refused */
    } cases[] = {{"0", 0},       {"64KiB", 65536}, {"1GiB", 1 << 30},    {"12MiB", 12 << 20},
                 {"", -1},       {"-1", -1},       {"1KB", -1},          {"1.5KiB", -1},
                 {"64 KiB", -1}, {"KiB", -1},      {"9999999999GiB", -1}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t bytes = -1;
        bool ok = tsn_config_bytes(cases[i].text, &bytes);
        assert_int_equal(ok, cases[i].bytes >= 0);
        if (ok) {
            assert_int_equal(bytes, cases[i].bytes);
        }
    }
}

static void a_file_that_is_not_there_is_named(void **state)
{
    struct tsn_diags diags;
    (void)state;
    tsn_diags_init(&diags);
    assert_null(tsn_config_load("/nonexistent/tocsin.yaml", &diags));
    char *text = printed(&diags);
    assert_non_null(strstr(text, "/nonexistent/tocsin.yaml"));
    assert_non_null(strstr(text, "there is no such file"));
    free(text);
    tsn_diags_free(&diags);
}

static void the_example_maps_every_source_onto_the_pack(void **state)
{
    struct tsn_diags diags;
    (void)state;
    tsn_diags_init(&diags);
    struct tsn_config *config = tsn_config_load(TSN_SOURCE_DIR "/packaging/tocsin.yaml", &diags);
    struct tsn_program *prog = config ? tsn_config_pack(config, &diags) : NULL;
    for (size_t i = 0; prog && i < config->n_sources; i++) {
        struct tsn_decoder *decoder = tsn_decoder_new(config, &config->sources[i], prog, &diags);
        tsn_decoder_free(decoder);
    }
    char *text = printed(&diags);
    if (!prog || diags.n_errors) {
        fail_msg("%s", text);
    }
    free(text);
    tsn_program_free(prog);
    tsn_config_free(config);
    tsn_diags_free(&diags);
}

static void the_reference_page_says_what_the_table_says(void **state)
{
    char *page = NULL;
    size_t len = 0, file_len = 0;
    const char *why = NULL;
    (void)state;
    FILE *out = open_memstream(&page, &len);
    tsn_settings_page(out);
    fclose(out);
    char *file = tsn_file_read(TSN_SOURCE_DIR "/docs/CONFIG.md", 1 << 20, &file_len, &why);
    if (!file || file_len != len || memcmp(file, page, len) != 0) {
        const char *write_to = getenv("TSN_WRITE_DOCS");
        if (write_to) {
            FILE *to = fopen(TSN_SOURCE_DIR "/docs/CONFIG.md", "w");
            assert_non_null(to);
            fwrite(page, 1, len, to);
            fclose(to);
        } else {
            fail_msg("docs/CONFIG.md is out of date: run this test with TSN_WRITE_DOCS=1");
        }
    }
    free(file);
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_configuration_gets_every_default),
        cmocka_unit_test(the_defaults_are_the_engines_own),
        cmocka_unit_test(librdkafka_properties_pass_through_as_they_are),
        cmocka_unit_test(secrets_come_from_the_environment_and_never_into_messages),
        cmocka_unit_test(every_mistake_is_reported_at_its_place),
        cmocka_unit_test(a_section_for_tls_switches_it_on),
        cmocka_unit_test(all_mistakes_are_reported_in_one_round),
        cmocka_unit_test(a_source_may_have_a_number_plan_of_its_own),
        cmocka_unit_test(record_time_takes_the_format_of_the_event_time_unless_it_says_another),
        cmocka_unit_test(sizes_are_read_to_the_byte),
        cmocka_unit_test(a_file_that_is_not_there_is_named),
        cmocka_unit_test(the_example_maps_every_source_onto_the_pack),
        cmocka_unit_test(the_reference_page_says_what_the_table_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
