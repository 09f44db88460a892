/* Replay of files: order, exports, rejects, and the command around it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "connectors/file/replay.h"
#include "rules/pack/pack.h"

static const char pack[] =
    "format: 1\n"
    "pack: t\n"
    "version: 1\n"
    "owner: tests\n"
    "events:\n"
    "  call:\n"
    "    id: id\n"
    "    fields:\n"
    "      id: { type: string, required: true }\n"
    "      a: { type: string, entity: line }\n"
    "      talk: { type: duration }\n"
    "      m: { type: money, currency: CNY }\n"
    "  pay:\n"
    "    fields:\n"
    "      a: { type: string, entity: line }\n"
    "      note: { type: string }\n"
    "features:\n"
    "  - { name: n, event: call, aggregate: count, by: a, window: 1h, read: { pay: a } }\n"
    "  - { name: talk, event: call, aggregate: max(talk), by: a, window: 1h }\n"
    "  - { name: paid, event: call, aggregate: sum(m), by: a, window: 1h }\n"
    "  - { name: mean, event: call, aggregate: avg(m), by: a, window: 1h }\n"
    "  - { name: note, event: pay, expr: 'pay.note' }\n"
    "rules:\n"
    "  - { id: r2, event: pay, when: 'f.n >= 2', reason: 'calls {f.n}' }\n"
    "  - { id: shady, event: call, mode: shadow, when: 'f.n >= 2', reason: 'calls {f.n}' }\n"
    "typologies:\n"
    "  - id: ty\n"
    "    title: T\n"
    "    entity: { pay: a, call: a }\n"
    "    weights: { r2: 500 }\n"
    "    sum_over: 1h\n"
    "    thresholds: { moderate: 500 }\n";

static const char conf[] = "pack: p\n"
                           "insecure: true\n"
                           "sources:\n"
                           "  calls:\n"
                           "    event: call\n"
                           "    fields:\n"
                           "      time: { from: /t, format: epoch_ms }\n"
                           "      id: /id\n"
                           "      a: /a\n"
                           "      talk: { from: /s, unit: s }\n"
                           "      m: { from: /m, unit: major }\n"
                           "  pays:\n"
                           "    event: pay\n"
                           "    fields:\n"
                           "      time: { from: /t, format: epoch_ms }\n"
                           "      a: /a\n"
                           "      note: /note\n";

struct outputs {
    char *alerts, *features, *rejects;
    struct tsn_file_result result;
};

static char *file_of(const char *text)
{
    char *path = strdup("/tmp/tsn-replay-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    return path;
}

static void outputs_free(struct outputs *out)
{
    free(out->alerts);
    free(out->features);
    free(out->rejects);
    free(out->result.alerts);
}

/* inputs: {source, content} pairs, ended by a NULL source. */
static struct outputs run(const char *const (*inputs)[2], uint32_t batch_rows)
{
    struct outputs out = {0};
    struct tsn_diags diags;
    struct tsn_failure failure;
    size_t lens[3];
    struct tsn_file_input files[8];
    char *paths[8];
    size_t n = 0;
    tsn_diags_init(&diags);
    struct tsn_program *prog = tsn_pack_compile("p", pack, strlen(pack), NULL, NULL, &diags);
    struct tsn_config *config = tsn_config_parse("c", conf, strlen(conf), &diags);
    tsn_diags_print(&diags, stderr);
    assert_true(prog && config);
    for (; inputs[n][0]; n++) {
        paths[n] = file_of(inputs[n][1]);
        files[n] = (struct tsn_file_input){inputs[n][0], paths[n]};
    }
    struct tsn_keys *keys = tsn_keys_insecure();
    struct tsn_file_replay replay = {
        .config = config,
        .prog = prog,
        .keys = keys,
        .n_inputs = n,
        .inputs = files,
        .batch_rows = batch_rows,
        .alerts = open_memstream(&out.alerts, &lens[0]),
        .features = open_memstream(&out.features, &lens[1]),
        .rejects = open_memstream(&out.rejects, &lens[2]),
    };
    bool ok = tsn_file_replay(&replay, &out.result, &diags, &failure);
    fclose(replay.alerts);
    fclose(replay.features);
    fclose(replay.rejects);
    assert_true(ok);
    for (size_t i = 0; i < n; i++) {
        unlink(paths[i]);
        free(paths[i]);
    }
    tsn_keys_free(keys);
    tsn_config_free(config);
    tsn_program_free(prog);
    tsn_diags_free(&diags);
    return out;
}

static void the_matrix_says_every_value_in_pack_order(void **state)
{
    static const char *const inputs[][2] = {
        {"calls", "{\"t\":1000,\"id\":\"x\",\"a\":\"A\",\"s\":1.5,\"m\":0.1}\n"
                  "\n"
                  "{\"t\":2000,\"id\":\"y\",\"a\":\"A\",\"s\":2,\"m\":0.2}\r\n"
                  "{\"t\":2000,\"id\":\"y\",\"a\":\"A\"}\n"
                  "{\"t\":3000,\"id\":\"z\"}"},
        {"pays", "{\"t\":2500,\"a\":\"A\",\"note\":\"say \\\"hi\\\", you\"}\n"},
        {NULL, NULL}};
    static const char expected[] =
        "source,line,event,id,time_ms,n,talk,paid,mean,note,r2,shady,ty\r\n"
        "calls,1,call,x,1000,1,1500,0.1,0.1,,,0,0\r\n"
        "calls,3,call,y,2000,2,2000,0.3,0.15,,,1,0\r\n"
        "pays,1,pay,,2500,2,,,,\"say \"\"hi\"\", you\",1,,500\r\n"
        "calls,5,call,z,3000,,,,,,,,\r\n";
    struct outputs out = run(inputs, 0);
    (void)state;
    assert_string_equal(out.features, expected);
    assert_int_equal(out.result.records, 5);
    assert_int_equal(out.result.counts.duplicates, 1);
    assert_int_equal(out.result.counts.accepted, 4);
    assert_int_equal(out.result.alerts[0], 1);
    assert_non_null(strstr(out.alerts, "\"typology\":\"ty\""));
    assert_int_equal(strchr(out.alerts, '\n') - out.alerts, (long)strlen(out.alerts) - 1);
    assert_string_equal(out.rejects, "");
    outputs_free(&out);
}

static void nothing_in_gives_a_header_and_nothing_else(void **state)
{
    static const char *const inputs[][2] = {{"calls", "\n\n"}, {NULL, NULL}};
    struct outputs out = run(inputs, 0);
    (void)state;
    assert_string_equal(out.features,
                        "source,line,event,id,time_ms,n,talk,paid,mean,note,r2,shady,ty\r\n");
    assert_string_equal(out.alerts, "");
    outputs_free(&out);
}

/* "source:line " of every row of the matrix. */
static void order_of(const char *features, char *out)
{
    const char *p = strstr(features, "\r\n") + 2;
    *out = '\0';
    while (*p) {
        const char *first = strchr(p, ','), *second = strchr(first + 1, ',');
        sprintf(out + strlen(out), "%.*s:%.*s ", (int)(first - p), p, (int)(second - first - 1),
                first + 1);
        p = strstr(p, "\r\n") + 2;
    }
}

static void the_input_whose_next_record_is_oldest_goes_on(void **state)
{
    static const struct {
        const char *why;
        const char *inputs[4][2];
        const char *order;
    } cases[] = {
        {"by time",
         {{"calls", "{\"t\":1,\"id\":\"1\"}\n{\"t\":4,\"id\":\"2\"}\n"},
          {"pays", "{\"t\":2}\n{\"t\":3}\n{\"t\":5}\n"},
          {NULL, NULL}},
         "calls:1 pays:1 pays:2 calls:2 pays:3 "},
        {"ties to the one named first",
         {{"pays", "{\"t\":1}\n{\"t\":2}\n"},
          {"calls", "{\"t\":1,\"id\":\"1\"}\n{\"t\":2,\"id\":\"2\"}\n"},
          {NULL, NULL}},
         "pays:1 calls:1 pays:2 calls:2 "},
        {"an input is not sorted",
         {{"calls", "{\"t\":9,\"id\":\"1\"}\n{\"t\":1,\"id\":\"2\"}\n{\"t\":3,\"id\":\"3\"}\n"},
          {"pays", "{\"t\":2}\n{\"t\":10}\n"},
          {NULL, NULL}},
         "pays:1 calls:1 calls:2 calls:3 pays:2 "},
        {"rejects and empty lines do not hold the merge up",
         {{"calls", "x\n\nx\n{\"t\":2,\"id\":\"1\"}\n"}, {"pays", "{\"t\":1}\nx\n"}, {NULL, NULL}},
         "pays:1 calls:4 "},
        {"the same source twice",
         {{"pays", "{\"t\":1}\n{\"t\":3}\n"}, {"pays", "{\"t\":2}\n"}, {NULL, NULL}},
         "pays:1 pays:1 pays:2 "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static const uint32_t sizes[] = {1, 2, 64, 4096};
        for (size_t s = 0; s < 4; s++) {
            char order[500];
            struct outputs out = run(cases[i].inputs, sizes[s]);
            order_of(out.features, order);
            if (strcmp(order, cases[i].order) != 0) {
                fail_msg("%s: %s", cases[i].why, order);
            }
            outputs_free(&out);
        }
    }
}

static void rejects_keep_their_line_reason_and_bytes(void **state)
{
    static const char *const inputs[][2] = {
        {"calls", "{\"t\":1}\n\nnot \"json\"\n{\"t\":2,\"id\":\"\xff\"}\n"}, {NULL, NULL}};
    static const char expected[] =
        "{\"source\":\"calls\",\"line\":1,\"reason\":\"missing-field\",\"text\":\"id (/id): "
        "expected "
        "text, found nothing\",\"record\":\"{\\\"t\\\":1}\"}\n"
        "{\"source\":\"calls\",\"line\":3,\"reason\":\"malformed\",\"text\":\"byte 1: expected a "
        "JSON "
        "object\",\"record\":\"not \\\"json\\\"\"}\n"
        "{\"source\":\"calls\",\"line\":4,\"reason\":\"invalid-utf8\",\"text\":\"expected "
        "UTF-8\",\"record_base64\":\"eyJ0IjoyLCJpZCI6Iv8ifQ==\"}\n";
    struct outputs out = run(inputs, 0);
    (void)state;
    assert_string_equal(out.rejects, expected);
    assert_int_equal(out.result.rejects[TSN_REJECT_MISSING], 1);
    assert_int_equal(out.result.rejects[TSN_REJECT_MALFORMED], 1);
    assert_int_equal(out.result.rejects[TSN_REJECT_UTF8], 1);
    outputs_free(&out);
}

static void the_size_of_batches_never_shows(void **state)
{
    enum { N = 3000 };
    char *calls = malloc(N * 80), *pays = malloc(N * 80);
    size_t c = 0, p = 0;
    uint64_t x = 7;
    (void)state;
    for (int i = 0; i < N; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        unsigned r = (unsigned)(x >> 40);
        /* jitter makes some late; some ids occur twice; some lines are broken */
        c +=
            (size_t)sprintf(calls + c,
                            r % 50 == 0 ? "broken %u %u %u %u\n"
                                        : "{\"t\":%u,\"id\":\"%u\",\"a\":\"L%u\",\"m\":%u.5}\n",
                            1000000u + (unsigned)i * 1000u - r % 9000u, r % 2500u, r % 40u, r % 7u);
        p += (size_t)sprintf(pays + p, "{\"t\":%u,\"a\":\"L%u\"}\n",
                             1000000u + (unsigned)i * 900u - r % 5000u, r % 43u);
    }
    const char *const inputs[][2] = {{"calls", calls}, {"pays", pays}, {NULL, NULL}};
    struct outputs whole = run(inputs, 4096);
    assert_true(whole.result.counts.duplicates > 0 && whole.result.counts.late > 0);
    assert_true(whole.result.alerts[0] > 10);
    static const uint32_t sizes[] = {1, 7, 64, 1000};
    for (size_t i = 0; i < 4; i++) {
        struct outputs out = run(inputs, sizes[i]);
        assert_string_equal(out.features, whole.features);
        assert_string_equal(out.alerts, whole.alerts);
        assert_string_equal(out.rejects, whole.rejects);
        outputs_free(&out);
    }
    outputs_free(&whole);
    free(calls);
    free(pays);
}

/* ---- the command ----------------------------------------------------------------- */

/* Runs the binary; its standard error goes to `said`. */
static int command(const char *arguments, char *said, size_t cap)
{
    char line[2000];
    snprintf(line, sizeof line, "%s replay %s 2>&1 >/dev/null </dev/null", TSN_BINARY, arguments);
    FILE *pipe = popen(line, "r");
    assert_non_null(pipe);
    size_t n = fread(said, 1, cap - 1, pipe);
    said[n] = '\0';
    return WEXITSTATUS(pclose(pipe));
}

static void the_command_says_what_is_wrong_and_exits_accordingly(void **state)
{
#define EXAMPLE "--config " TSN_SOURCE_DIR "/packaging/tocsin.yaml "
    static const struct {
        const char *why, *arguments;
        int code;
        const char *says;
    } cases[] = {
        {"no arguments", "", 2, "write --config FILE"},
        {"no input", EXAMPLE, 2, "write --input SOURCE=FILE"},
        {"input without a source", EXAMPLE "--input x.ndjson", 2, "write SOURCE=FILE"},
        {"two standard inputs", EXAMPLE "--input cdr.call=- --input cdr.sms=-", 2,
         "only one input"},
        {"two standard outputs", EXAMPLE "--input cdr.call=- --alerts - --rejects -", 2,
         "only one output"},
        {"batch of nothing", EXAMPLE "--input cdr.call=- --batch 0", 2, "1 to 65536"},
        {"a word that is no option", EXAMPLE "--input cdr.call=- x", 2, "'x' is no option"},
        {"configuration missing", "--config /nonexistent.yaml --input a=b", 3,
         "/nonexistent.yaml: error: the configuration cannot be read: there is no such file"},
        {"unknown source", EXAMPLE "--input cdr.cal=x", 3, "did you mean 'cdr.call'?"},
        {"input missing", EXAMPLE "--input cdr.call=/nonexistent.ndjson", 3,
         "'/nonexistent.ndjson' cannot be opened: No such file or directory"},
        {"output in no folder", EXAMPLE "--input cdr.call=- --alerts /nonexistent/a", 3,
         "'/nonexistent/a' cannot be written"},
        {"disk full", EXAMPLE "--quiet --input cdr.call=- --features /dev/full", 6,
         "cannot be written"},
        {"empty standard input is fine", EXAMPLE "--input cdr.call=-", 0, "0 records"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char said[4000];
        int code = command(cases[i].arguments, said, sizeof said);
        if (code != cases[i].code || !strstr(said, cases[i].says)) {
            fail_msg("%s: exit %d: %s", cases[i].why, code, said);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_matrix_says_every_value_in_pack_order),
        cmocka_unit_test(nothing_in_gives_a_header_and_nothing_else),
        cmocka_unit_test(the_input_whose_next_record_is_oldest_goes_on),
        cmocka_unit_test(rejects_keep_their_line_reason_and_bytes),
        cmocka_unit_test(the_size_of_batches_never_shows),
        cmocka_unit_test(the_command_says_what_is_wrong_and_exits_accordingly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
