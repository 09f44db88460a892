#include "connectors/file/replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/file/export.h"
#include "connectors/file/input.h"
#include "connectors/wire/wire.h"
#include "rules/must/must.h"

/* Rows decoded ahead per input. Fixed: rejects appear while a chunk is decoded, and
 * their order must not depend on the batch size. */
enum { CHUNK_ROWS = 1024 };

struct run {
    const struct tsn_file_replay *replay;
    struct tsn_file_result *result;
    struct tsn_failure *failure;
    size_t n;
    struct tsn_input *inputs;
    struct tsn_origin *origins;
    struct tsn_engine *eng;
    struct tsn_batch *batch;
    uint32_t batch_rows;
    struct tsn_output output;
    struct tsn_export *export;
    struct tsn_wire wire;
    struct tsn_arena arena; /* of the alert at hand */
    uint64_t n_alerts;
};

/* ---- set-up -------------------------------------------------------------------- */

static bool source_of(struct run *run, size_t i, struct tsn_diags *diags)
{
    const struct tsn_file_replay *replay = run->replay;
    const char *name = replay->inputs[i].source;
    const struct tsn_source *source = tsn_config_source(replay->config, name);
    if (!source) {
        const char *names[64];
        size_t n = 0;
        while (n < replay->config->n_sources && n < 64) {
            names[n] = replay->config->sources[n].name;
            n++;
        }
        const char *nearest = tsn_nearest_name(name, names, n);
        char advice[300];
        snprintf(advice, sizeof advice, "did you mean '%s'?", nearest ? nearest : names[0]);
        tsn_diags_add(diags, TSN_SEVERITY_ERROR, (struct tsn_place){replay->config->file, 0, 0},
                      NULL, 0, advice, "there is no source '%s'", name);
        return false;
    }
    run->origins[i] = (struct tsn_origin){source->name, -1};
    run->inputs[i].source = (uint16_t)i;
    run->inputs[i].decoder = tsn_decoder_new(replay->config, source, replay->prog, diags);
    return run->inputs[i].decoder != NULL;
}

static bool resolve_sources(struct run *run, struct tsn_diags *diags)
{
    run->n = run->replay->n_inputs;
    run->inputs = calloc(run->n + 1, sizeof *run->inputs);
    run->origins = calloc(run->n + 1, sizeof *run->origins);
    TSN_MUST_ALLOC(run->inputs);
    TSN_MUST_ALLOC(run->origins);
    bool ok = true;
    for (size_t i = 0; i < run->n; i++) {
        ok = source_of(run, i, diags) && ok;
    }
    return ok;
}

static bool open_inputs(struct run *run, struct tsn_diags *diags)
{
    const struct tsn_file_replay *replay = run->replay;
    bool ok = resolve_sources(run, diags);
    for (size_t i = 0; ok && i < run->n; i++) {
        run->inputs[i].lines = tsn_lines_open(replay->inputs[i].path, run->failure);
        run->inputs[i].rows = tsn_batch_new(replay->prog, CHUNK_ROWS);
        ok = run->inputs[i].lines != NULL;
        if (ok && replay->stop_fd > 0) {
            tsn_lines_stop_by(run->inputs[i].lines, replay->stop_fd);
        }
    }
    return ok;
}

static void open_engine(struct run *run)
{
    const struct tsn_file_replay *replay = run->replay;
    struct tsn_engine_settings settings = replay->config->engine;
    run->batch_rows = replay->batch_rows ? replay->batch_rows : settings.batch_rows;
    uint32_t cap = (run->batch_rows + 63) / 64 * 64;
    settings.batch_rows = cap;
    run->eng = tsn_engine_new(replay->prog, &settings);
    run->batch = tsn_batch_new(replay->prog, cap);
    tsn_engine_want_columns(run->eng, replay->features != NULL);
    tsn_output_init(&run->output);
    tsn_arena_init(&run->arena, 0);
    run->export =
        tsn_export_new(replay->alerts, replay->features, replay->rejects, run->origins, run->n);
    tsn_export_program(run->export, replay->prog);
    run->wire = (struct tsn_wire){
        .prog = replay->prog,
        .keys = replay->keys,
        .instance = replay->config->instance,
        .alerts_topic = replay->config->topics.alerts,
        .rejects_topic = replay->config->topics.rejects,
        .origins = run->origins,
        .n_origins = run->n,
    };
}

static void close_all(struct run *run)
{
    for (size_t i = 0; i < run->n; i++) {
        tsn_lines_close(run->inputs[i].lines);
        tsn_decoder_free(run->inputs[i].decoder);
        tsn_batch_free(run->inputs[i].rows);
    }
    free(run->inputs);
    free(run->origins);
    if (run->eng) {
        tsn_engine_free(run->eng);
        tsn_batch_free(run->batch);
        tsn_output_free(&run->output);
        tsn_export_free(run->export);
        tsn_arena_free(&run->arena);
    }
}

/* ---- steps --------------------------------------------------------------------- */

static void on_reject(void *user, uint16_t source, const struct tsn_record *record,
                      const struct tsn_reject *reject)
{
    struct run *run = user;
    run->result->rejects[reject->reason]++;
    tsn_export_reject(run->export, run->origins[source].topic, record->position,
                      tsn_reject_word(reject->reason), reject->text, record->bytes, record->len);
}

static bool written(struct run *run)
{
    FILE *const streams[] = {run->replay->alerts, run->replay->features, run->replay->rejects};
    static const char *const names[] = {"alerts", "features", "rejects"};
    for (size_t i = 0; i < 3; i++) {
        if (streams[i] && ferror(streams[i])) {
            return tsn_fail(run->failure, TSN_REMEDY_FATAL, "the %s cannot be written: %s",
                            names[i], strerror(errno ? errno : EIO));
        }
    }
    return true;
}

static bool report(struct run *run)
{
    struct tsn_file_progress progress = {.alerts = run->n_alerts};
    bool known = true;
    if (!run->replay->progress) {
        return true;
    }
    for (size_t i = 0; i < run->n; i++) {
        progress.records += run->inputs[i].n_records;
        progress.bytes_done += tsn_lines_done(run->inputs[i].lines);
        progress.bytes_total += tsn_lines_total(run->inputs[i].lines);
        known &= tsn_lines_total(run->inputs[i].lines) > 0 || run->inputs[i].at_end;
    }
    if (!known) {
        progress.bytes_total = 0;
    }
    run->result->stopped = !run->replay->progress(run->replay->user, &progress);
    return !run->result->stopped;
}

/* Gives the collected rows to the engine and writes what came of them. False: stop. */
static bool process(struct run *run)
{
    if (run->batch->n > 0) {
        tsn_engine_rows(run->eng, run->batch, &run->output);
        tsn_export_rows(run->export, run->eng, run->replay->prog, run->batch);
        tsn_batch_clear(run->batch);
    }
    for (uint32_t i = 0; i < run->output.n_alerts; i++) {
        const struct tsn_alert *alert = &run->output.alerts[i];
        run->result->alerts[alert->typology]++;
        run->n_alerts++;
        if (run->replay->alerts) {
            struct tsn_message message;
            tsn_arena_reset(&run->arena);
            tsn_wire_alert(&run->wire, alert, &run->arena, &message);
            tsn_export_alert(run->export, &message);
        }
    }
    tsn_output_clear(&run->output);
    return written(run) && report(run);
}

/* ---- the merge ----------------------------------------------------------------- */

/* Every input that is not at its end has a row. Collected rows borrow text from the
 * chunks, so they are processed before one is decoded anew. */
static bool fill_empty(struct run *run)
{
    for (size_t i = 0; i < run->n; i++) {
        struct tsn_input *input = &run->inputs[i];
        while (!tsn_input_ready(input) && !input->at_end) {
            if (!process(run)) {
                return false;
            }
            if (!tsn_input_fill(input, on_reject, run, run->failure) &&
                (run->failure->remedy != TSN_REMEDY_RETRY || !report(run))) {
                return false;
            }
        }
    }
    return true;
}

static tsn_event_ms head_ms(const struct tsn_input *input)
{
    return input->rows->rows[input->next].time_ms;
}

/* The input to go on with, or NULL; *until_ms: while its next row is at most this
 * old. An input named earlier wins ties, so against those it must be older. */
static struct tsn_input *oldest(struct run *run, tsn_event_ms *until_ms)
{
    struct tsn_input *best = NULL;
    for (size_t i = 0; i < run->n; i++) {
        struct tsn_input *input = &run->inputs[i];
        if (tsn_input_ready(input) && (!best || head_ms(input) < head_ms(best))) {
            best = input;
        }
    }
    *until_ms = INT64_MAX;
    for (size_t i = 0; best && i < run->n; i++) {
        struct tsn_input *input = &run->inputs[i];
        if (input == best || !tsn_input_ready(input)) {
            continue;
        }
        tsn_event_ms limit = head_ms(input) - (input < best);
        *until_ms = limit < *until_ms ? limit : *until_ms;
    }
    return best;
}

/* Takes rows of one input as long as it is its turn; false: stop. */
static bool take_run(struct run *run, struct tsn_input *input, tsn_event_ms until_ms)
{
    const struct tsn_batch *rows = input->rows;
    while (input->next < rows->n && rows->rows[input->next].time_ms <= until_ms) {
        uint32_t from = input->next, room = run->batch_rows - run->batch->n;
        uint32_t to = from;
        while (to < rows->n && to - from < room && rows->rows[to].time_ms <= until_ms) {
            to++;
        }
        tsn_batch_append(run->batch, rows, from, to, false);
        input->next = to;
        if (run->batch->n == run->batch_rows && !process(run)) {
            return false;
        }
    }
    return true;
}

static bool merge(struct run *run)
{
    struct tsn_input *input;
    tsn_event_ms until_ms;
    while (fill_empty(run)) {
        input = oldest(run, &until_ms);
        if (!input) {
            return process(run);
        }
        if (!take_run(run, input, until_ms)) {
            break;
        }
    }
    return false;
}

static bool flush(struct run *run)
{
    FILE *const streams[] = {run->replay->alerts, run->replay->features, run->replay->rejects};
    for (size_t i = 0; i < 3; i++) {
        if (streams[i]) {
            fflush(streams[i]);
        }
    }
    return written(run);
}

bool tsn_file_replay_check(const struct tsn_file_replay *replay, struct tsn_diags *diags)
{
    struct run run = {.replay = replay};
    bool ok = resolve_sources(&run, diags);
    close_all(&run);
    return ok;
}

bool tsn_file_replay(const struct tsn_file_replay *replay, struct tsn_file_result *result,
                     struct tsn_diags *diags, struct tsn_failure *failure)
{
    struct run run = {.replay = replay, .result = result, .failure = failure};
    *result = (struct tsn_file_result){0};
    result->alerts = calloc((size_t)replay->prog->n_typologies + 1, sizeof *result->alerts);
    TSN_MUST_ALLOC(result->alerts);
    failure->remedy = TSN_REMEDY_NONE;
    bool ok = open_inputs(&run, diags);
    if (ok) {
        open_engine(&run);
        ok = (merge(&run) || result->stopped) && flush(&run);
        tsn_engine_tidy(run.eng);
        result->counts = tsn_engine_counts(run.eng);
        for (size_t i = 0; i < run.n; i++) {
            result->records += run.inputs[i].n_records;
            result->bytes += tsn_lines_done(run.inputs[i].lines);
        }
    }
    close_all(&run);
    return ok;
}
