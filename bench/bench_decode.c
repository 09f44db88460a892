/* bench decode: bytes of a call record -> a row of a batch, beside simdjson's DOM.
 *
 * The peer only parses; we parse, look up, convert and store 14 fields. Records
 * are different from each other and larger than the caches together, as fetched
 * ones are. Prints the least of five rounds, in ns of this thread's CPU a record.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "connectors/config/config.h"
#include "connectors/decode/decode.h"
#include "connectors/decode/simdjson_shim.h"
#include "rules/must/must.h"

enum { RECORDS = 200000, ROUNDS = 5, RECORD_MAX = 640 };

struct tape {
    char *bytes;
    size_t *at; /* [RECORDS + 1] */
};

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* whole: every member of the canonical schema that a carrier usually fills. */
static struct tape write_tape(bool whole)
{
    struct tape tape = {malloc((size_t)RECORDS * RECORD_MAX), calloc(RECORDS + 1, sizeof(size_t))};
    uint64_t x = 1;
    TSN_MUST_ALLOC(tape.bytes);
    TSN_MUST_ALLOC(tape.at);
    for (int i = 0; i < RECORDS; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        unsigned a = (unsigned)(x >> 33) % 1000000000u, b = (unsigned)(x >> 20) % 1000000000u;
        char *to = tape.bytes + tape.at[i];
        int len = snprintf(
            to, RECORD_MAX,
            "{\"event_id\":\"msc07-%08x-%d\",\"phase\":\"release\",\"call_reference\":\"%08x\","
            "\"event_time_ms\":%lld,%s\"calling_number\":\"+86139%08u\","
            "\"called_number\":\"+86137%08u\",\"calling_country\":\"CN\",\"ring_duration_s\":%u,"
            "\"call_duration_s\":%u,\"cause_for_term\":\"normal\"%s}",
            a, i, b, 1767226824000LL + i * 10,
            whole ? "\"v\":1,\"kind\":\"call\",\"source\":\"msc07\",\"record_type\":\"mtc\","
                    "\"sequence_number\":2,\"seizure_time_ms\":1767225600000,"
                    "\"answer_time_ms\":1767225612000,\"calling_type\":\"international\","
                    "\"called_type\":\"international\","
                  : "",
            a % 100000000, b % 100000000, a % 30, b % 3600,
            whole ? ",\"location\":{\"mcc\":\"460\",\"mnc\":\"00\",\"lac_tac\":4321,"
                    "\"cell_id\":99120},\"bearer\":\"volte\",\"ingress\":\"national\""
                  : "");
        tape.at[i + 1] = tape.at[i] + (size_t)len;
    }
    return tape;
}

static double decode_all(struct tsn_decoder *decoder, struct tsn_batch *batch,
                         const struct tape *tape, int64_t *sum)
{
    struct tsn_reject reject;
    double start = now_ns();
    *sum = 0;
    for (int i = 0; i < RECORDS; i++) {
        if (batch->n == batch->cap) {
            tsn_batch_clear(batch);
        }
        struct tsn_record record = {tape->bytes + tape->at[i], tape->at[i + 1] - tape->at[i],
                                    1767226824000LL + i * 10, 0, i};
        TSN_MUST(tsn_decode(decoder, &record, batch, &reject));
        *sum += batch->rows[batch->n - 1].time_ms;
    }
    return (now_ns() - start) / RECORDS;
}

static double parse_all(struct tsn_simdjson *simdjson, const struct tape *tape)
{
    static char padded[RECORD_MAX + TSN_SIMDJSON_PADDING];
    double start = now_ns();
    for (int i = 0; i < RECORDS; i++) {
        size_t len = tape->at[i + 1] - tape->at[i];
        bool is_object;
        memcpy(padded, tape->bytes + tape->at[i], len);
        TSN_MUST(tsn_simdjson_parse(simdjson, padded, len, &is_object) == TSN_SIMDJSON_OK);
        TSN_MUST(is_object);
    }
    return (now_ns() - start) / RECORDS;
}

static void measure(const char *name, struct tsn_decoder *decoder, struct tsn_batch *batch,
                    struct tsn_simdjson *simdjson, bool whole)
{
    struct tape tape = write_tape(whole);
    double ours = 1e18, dom = 1e18;
    int64_t sum = 0, expected = 0;
    for (int i = 0; i < RECORDS; i++) {
        expected += 1767226824000LL + i * 10;
    }
    for (int round = 0; round < ROUNDS; round++) {
        double a = decode_all(decoder, batch, &tape, &sum), b = parse_all(simdjson, &tape);
        TSN_MUST(sum == expected);
        ours = a < ours ? a : ours;
        dom = b < dom ? b : dom;
    }
    printf("%-22s %4zu bytes   decode %6.1f ns   simdjson DOM alone %6.1f ns   ratio %.2f\n", name,
           tape.at[RECORDS] / RECORDS, ours, dom, ours / dom);
    free(tape.bytes);
    free(tape.at);
}

int main(void)
{
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct tsn_config *config = tsn_config_load(TSN_SOURCE_DIR "/packaging/tocsin.yaml", &diags);
    struct tsn_program *prog = config ? tsn_config_pack(config, &diags) : NULL;
    struct tsn_decoder *decoder =
        prog ? tsn_decoder_new(config, tsn_config_source(config, "cdr.call"), prog, &diags) : NULL;
    tsn_diags_print(&diags, stderr);
    if (!decoder) {
        return 1;
    }
    struct tsn_batch *batch = tsn_batch_new(prog, 4096);
    struct tsn_simdjson *simdjson = tsn_simdjson_new(RECORD_MAX);
    measure("call, mapped members", decoder, batch, simdjson, false);
    measure("call, all members", decoder, batch, simdjson, true);
    tsn_simdjson_free(simdjson);
    tsn_batch_free(batch);
    tsn_decoder_free(decoder);
    tsn_program_free(prog);
    tsn_config_free(config);
    tsn_diags_free(&diags);
    return 0;
}
