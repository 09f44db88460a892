/* Records: any bytes become a row or a reject, and the walk over the tokens agrees
 * with simdjson's own full parse about what is malformed. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/config/config.h"
#include "connectors/decode/decode.h"
#include "connectors/decode/json.h"
#include "connectors/decode/simdjson_shim.h"
#include "rules/must/must.h"
#include "rules/pack/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char pack[] =
    "format: 1\npack: t\nversion: 1\nowner: tests\nevents:\n  e:\n    id: id\n    fields:\n"
    "      id: { type: string, required: true }\n"
    "      line: { type: string, entity: line }\n"
    "      i: { type: int }\n      d: { type: double }\n      b: { type: bool }\n"
    "      m: { type: money, currency: cur }\n      cur: { type: string }\n"
    "      at: { type: timestamp }\n      s: { type: timestamp }\n      dur: { type: duration }\n"
    "      k: { type: enum, values: [voice, text] }\n      deep: { type: int }\n";

static const char conf[] =
    "pack: p\nnumbers: { country: '86', trunk_prefix: '0' }\n"
    "sources:\n  s:\n    event: e\n    max_bytes: 4096\n    fields:\n"
    "      time: { from: /t, format: epoch_ms }\n      id: /id\n"
    "      line: { from: /line, e164: true }\n      i: { from: /i, quoted: true }\n      d: /d\n   "
    "   b: /b\n"
    "      m: { from: /m, unit: major }\n      cur: { from: /cur, default: CNY }\n"
    "      at: /at\n      s: { from: /s, format: epoch_s }\n      dur: { from: /dur, unit: s, "
    "quoted: true }\n"
    "      k: { from: /k, map: { '1': voice } }\n      deep: /a/1/n\n";

static struct tsn_decoder *decoder;
static struct tsn_batch *batch;
static struct tsn_json_reader *plain; /* maps nothing that could occur twice */
static struct tsn_simdjson *simdjson;
/* kept: the decoder reads them */
static struct tsn_diags diags;
static struct tsn_program *prog;
static struct tsn_config *config;

static void set_up(void)
{
    static const char *const pointers[] = {"/no such member anywhere/x"};
    int slot;
    tsn_diags_init(&diags);
    prog = tsn_pack_compile("p", pack, strlen(pack), NULL, NULL, &diags);
    config = tsn_config_parse("c", conf, strlen(conf), &diags);
    tsn_diags_print(&diags, stderr);
    TSN_MUST(prog && config);
    decoder = tsn_decoder_new(config, &config->sources[0], prog, &diags);
    TSN_MUST(decoder);
    batch = tsn_batch_new(prog, 64);
    plain = tsn_json_reader_new(pointers, 1, &slot, 4096);
    simdjson = tsn_simdjson_new(4096);
}

/* Numbers are the one thing that the DOM refuses and RFC 8259 allows: too large. */
static void compare(const char *bytes, size_t len)
{
    struct tsn_json_error error;
    bool is_object = false;
    char *padded = calloc(1, len + TSN_SIMDJSON_PADDING);
    TSN_MUST_ALLOC(padded);
    memcpy(padded, bytes, len);
    enum tsn_simdjson_verdict dom = tsn_simdjson_parse(simdjson, padded, len, &is_object);
    enum tsn_json_outcome ours = tsn_json_read(plain, bytes, len, &error);
    if (dom == TSN_SIMDJSON_OK) {
        TSN_MUST((ours == TSN_JSON_OK) == is_object);
    } else if (dom != TSN_SIMDJSON_NUMBER) {
        TSN_MUST(ours != TSN_JSON_OK);
    }
    free(padded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tsn_reject reject = {.text = ""};
    if (!decoder) {
        set_up();
    }
    tsn_batch_clear(batch);
    struct tsn_record record = {(const char *)data, size, 1700000000000, 0, 1};
    if (!tsn_decode(decoder, &record, batch, &reject)) {
        TSN_MUST(batch->n == 0 && reject.reason < TSN_REJECT_REASONS && reject.text[0]);
        TSN_MUST(strlen(reject.text) < sizeof reject.text);
    } else {
        TSN_MUST(batch->n == 1);
    }
    if (size > 0 && size <= 4096) {
        compare((const char *)data, size);
    }
    return 0;
}
