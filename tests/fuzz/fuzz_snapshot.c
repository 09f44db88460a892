/* Fuzz: records of checkpoints. Input: records, each {section, key (16), length (2),
 * bytes}. What loads must be usable: rows are run over it, it is cut again, freed. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fixture/feature_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { EVENTS = 40, HEADER = 19 };

static struct tsn_program *prog;
static struct tsn_model_event events[EVENTS];

static void nothing(void *user, const struct tsn_snapshot_record *record)
{
    *(uint64_t *)user += record->len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tsn_engine_settings settings = tsn_model_settings();
    if (!prog) {
        struct tsn_model_random random = {.state = 11};
        prog = tsn_model_program(&random, 24, NULL, 1);
        tsn_model_stream(&random, events, EVENTS);
    }
    settings.batch_rows = 64;
    struct tsn_engine *eng = tsn_engine_new(prog, &settings);
    bool loaded = true;
    while (loaded && size >= HEADER) {
        struct tsn_snapshot_record record = {.section = data[0], .bytes = data + HEADER};
        const char *why;
        memcpy(record.key, data + 1, sizeof record.key);
        record.len = (size_t)(data[17] | data[18] << 8);
        record.len = record.len < size - HEADER ? record.len : size - HEADER;
        loaded = tsn_snapshot_load(eng, &record, &why);
        data += HEADER + record.len;
        size -= HEADER + record.len;
    }
    if (loaded) {
        struct tsn_output out;
        struct tsn_batch *batch = tsn_batch_new(prog, 64);
        uint64_t bytes = 0;
        tsn_output_init(&out);
        for (int e = 0; e < EVENTS; e++) {
            tsn_model_add(batch, &events[e], e);
        }
        tsn_engine_rows(eng, batch, &out);
        tsn_snapshot_cut(eng, true, nothing, &bytes);
        tsn_output_free(&out);
        tsn_batch_free(batch);
    }
    tsn_engine_free(eng);
    return 0;
}
