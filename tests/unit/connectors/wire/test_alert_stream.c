/* Alerts of random packs over random streams, as bytes: by the schema, each id once, and
 * the same whatever the batches were. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "connectors/wire/wire.h"
#include "tests/fixture/json_schema.h"
#include "tests/fixture/random_case.h"

enum { SEEDS = 20, ROWS = 300 };

static const char schema[] = TSN_SOURCE_DIR "/docs/alert.schema.json";

struct said {
    struct tsn_arena arena;
    struct tsn_message *messages;
    uint32_t n;
};

static struct said say(const struct tsn_program *prog, const struct tsn_batch *stream,
                       uint64_t seed, uint32_t batch_rows, const struct tsn_keys *keys)
{
    static const struct tsn_origin origins[] = {{"in", 0}, {"in", 1}, {"in", 2}, {"in", 3}};
    const struct tsn_wire wire = {
        .prog = prog,
        .keys = keys,
        .instance = "test",
        .alerts_topic = "alerts",
        .origins = origins,
        .n_origins = 4,
    };
    struct tsn_engine_settings settings = tsn_random_settings(seed);
    settings.batch_rows = 4096;
    struct tsn_engine *eng = tsn_engine_new(prog, &settings);
    struct tsn_batch *batch = tsn_batch_new(prog, (batch_rows + 63) / 64 * 64);
    struct tsn_output out;
    tsn_output_init(&out);
    for (uint32_t from = 0; from < stream->n; from += batch_rows) {
        uint32_t to = from + batch_rows < stream->n ? from + batch_rows : stream->n;
        tsn_batch_clear(batch);
        tsn_batch_append(batch, stream, from, to, true);
        tsn_engine_rows(eng, batch, &out);
    }
    struct said said = {.n = out.n_alerts};
    tsn_arena_init(&said.arena, 0);
    said.messages = tsn_arena_zalloc(&said.arena, said.n + 1, sizeof *said.messages);
    for (uint32_t i = 0; i < said.n; i++) {
        tsn_wire_alert(&wire, &out.alerts[i], &said.arena, &said.messages[i]);
    }
    tsn_output_free(&out);
    tsn_batch_free(batch);
    tsn_engine_free(eng);
    return said;
}

static const char *ce_id(const struct tsn_message *message)
{
    for (size_t i = 0; i < message->n_headers; i++) {
        if (strcmp(message->headers[i].name, "ce_id") == 0) {
            return message->headers[i].value;
        }
    }
    fail_msg("no ce_id");
    return NULL;
}

static void assert_same(const struct said *a, const struct said *b)
{
    assert_int_equal(a->n, b->n);
    for (uint32_t i = 0; i < a->n; i++) {
        assert_string_equal(a->messages[i].value, b->messages[i].value);
        assert_int_equal(a->messages[i].n_headers, b->messages[i].n_headers);
        for (size_t h = 0; h < a->messages[i].n_headers; h++) {
            assert_string_equal(a->messages[i].headers[h].value, b->messages[i].headers[h].value);
        }
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void check_said(const struct said *said, uint64_t seed)
{
    const char **ids = malloc((said->n + 1) * sizeof *ids);
    assert_non_null(ids);
    for (uint32_t i = 0; i < said->n; i++) {
        char why[400];
        if (!tsn_json_satisfies(schema, said->messages[i].value, said->messages[i].len, why,
                                sizeof why)) {
            fail_msg("seed %llu: %s\n%s", (unsigned long long)seed, why, said->messages[i].value);
        }
        ids[i] = ce_id(&said->messages[i]);
    }
    qsort(ids, said->n, sizeof *ids, by_text);
    for (uint32_t i = 1; i < said->n; i++) {
        if (strcmp(ids[i - 1], ids[i]) == 0) {
            for (uint32_t k = 0; k < said->n; k++) {
                if (strcmp(ce_id(&said->messages[k]), ids[i]) == 0) {
                    print_message("%s\n", said->messages[k].value);
                }
            }
            fail_msg("seed %llu: two alerts have the id %s", (unsigned long long)seed, ids[i]);
        }
    }
    free(ids);
}

static void alerts_of_random_packs_keep_the_schema_and_their_ids(void **state)
{
    (void)state;
    struct tsn_keys *keys = tsn_keys_insecure();
    uint32_t n_alerts = 0;
    for (uint64_t i = 2; i <= 2 * SEEDS + 1; i++) {
        uint64_t seed = i / 2 | (i % 2 ? TSN_RANDOM_HOT : 0);
        struct tsn_program *prog = tsn_random_program(seed);
        struct tsn_batch *stream = tsn_random_stream(seed, prog, ROWS);
        struct said one = say(prog, stream, seed, 1, keys);
        struct said many = say(prog, stream, seed, 4096, keys);
        check_said(&one, seed);
        assert_same(&one, &many);
        n_alerts += one.n;
        tsn_arena_free(&one.arena);
        tsn_arena_free(&many.arena);
        tsn_batch_free(stream);
        tsn_program_free(prog);
    }
    assert_true(n_alerts > 1000);
    tsn_keys_free(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alerts_of_random_packs_keep_the_schema_and_their_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
