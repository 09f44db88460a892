#include "connectors/decode/decode.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/decode/json.h"
#include "connectors/decode/mapping.h"
#include "rules/must/must.h"

/* ---- life -------------------------------------------------------------------- */

static void say_no_event(const struct tsn_config *config, const struct tsn_source *source,
                         const struct tsn_program *prog, struct tsn_diags *diags)
{
    const char *names[TSN_TYPES_MAX];
    char advice[200] = "";
    for (int t = 0; t < prog->n_types; t++) {
        names[t] = prog->types[t].name;
    }
    const char *nearest = tsn_nearest_name(source->event, names, (size_t)prog->n_types);
    if (nearest) {
        snprintf(advice, sizeof advice, "did you mean '%s'?", nearest);
    }
    tsn_diags_add(diags, TSN_SEVERITY_ERROR,
                  (struct tsn_place){config->file, source->line, source->column}, NULL, 0,
                  nearest ? advice : NULL, "pack '%s' has no event type '%s'", prog->pack,
                  source->event);
}

struct tsn_decoder *tsn_decoder_new(const struct tsn_config *config,
                                    const struct tsn_source *source, const struct tsn_program *prog,
                                    struct tsn_diags *diags)
{
    int type = tsn_program_type(prog, source->event);
    if (type == TSN_NONE) {
        say_no_event(config, source, prog, diags);
        return NULL;
    }
    struct tsn_decoder *decoder = calloc(1, sizeof *decoder);
    TSN_MUST_ALLOC(decoder);
    tsn_arena_init(&decoder->arena, 0);
    decoder->source = source;
    decoder->event = &prog->types[type];
    decoder->type = (uint16_t)type;
    decoder->future_max_ms = config->kafka.future_max_ms;
    decoder->cells =
        tsn_arena_zalloc(&decoder->arena, (size_t)decoder->event->n_fields, sizeof *decoder->cells);
    decoder->phones =
        tsn_arena_alloc(&decoder->arena, (size_t)decoder->event->n_fields * TSN_PHONE_MAX);
    if (!tsn_mapping_compile(decoder, config, diags)) {
        tsn_decoder_free(decoder);
        return NULL;
    }
    return decoder;
}

void tsn_decoder_free(struct tsn_decoder *decoder)
{
    if (!decoder) {
        return;
    }
    tsn_json_reader_free(decoder->reader);
    tsn_arena_free(&decoder->arena);
    free(decoder);
}

/* ---- one record -------------------------------------------------------------- */

static bool whole(struct tsn_reject *reject, enum tsn_reject_reason reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool whole(struct tsn_reject *reject, enum tsn_reject_reason reason, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    reject->reason = reason;
    vsnprintf(reject->text, sizeof reject->text, format, args);
    va_end(args);
    return false;
}

static bool read_json(struct tsn_decoder *decoder, const struct tsn_record *record,
                      struct tsn_reject *reject)
{
    struct tsn_json_error error;
    if (!record->bytes || record->len == 0) {
        return whole(reject, TSN_REJECT_EMPTY, "expected a JSON object, found no value");
    }
    if (record->len > decoder->source->max_bytes) {
        return whole(reject, TSN_REJECT_OVERSIZE, "expected at most %u bytes, found %zu",
                     (unsigned)decoder->source->max_bytes, record->len);
    }
    switch (tsn_json_read(decoder->reader, record->bytes, record->len, &error)) {
    case TSN_JSON_OK:
        return true;
    case TSN_JSON_UTF8:
        return whole(reject, TSN_REJECT_UTF8, "expected UTF-8");
    case TSN_JSON_MALFORMED:
    case TSN_JSON_TWICE:
        break;
    }
    return whole(reject, TSN_REJECT_MALFORMED, "byte %zu: expected %s", error.at + 1,
                 error.expected);
}

/* The record has nothing at the field's place. */
static bool fill_missing(struct tsn_decoder *decoder, const struct tsn_decode_op *op,
                         struct tsn_json_value found, struct tsn_reject *reject)
{
    struct tsn_cell *cell = &decoder->cells[op->column];
    cell->present = false;
    if (found.kind == TSN_JSON_ABSENT && op->slot != TSN_SLOT_NONE) {
        enum tsn_json_kind above = tsn_json_above(decoder->reader, op->slot);
        if (above != TSN_JSON_OBJECT && above != TSN_JSON_ARRAY && above != TSN_JSON_NULL) {
            reject->reason = TSN_REJECT_TYPE;
            snprintf(reject->text, sizeof reject->text,
                     "%s (%s): expected an object above it, found %s", op->field->name, op->pointer,
                     tsn_json_kind_name(above));
            return false;
        }
    }
    if (op->has_fallback) {
        return tsn_convert(decoder, op, op->fallback, cell, reject);
    }
    if (op->field->required || op->column == 0) {
        return tsn_reject_value(reject, TSN_REJECT_MISSING, op,
                                found.kind == TSN_JSON_NULL ? "null" : "nothing");
    }
    return true;
}

static bool fill_cell(struct tsn_decoder *decoder, const struct tsn_decode_op *op,
                      struct tsn_reject *reject)
{
    struct tsn_json_value value = {0};
    if (op->slot != TSN_SLOT_NONE) {
        value = tsn_json_at(decoder->reader, op->slot);
    }
    if (value.kind == TSN_JSON_ABSENT || value.kind == TSN_JSON_NULL) {
        return fill_missing(decoder, op, value, reject);
    }
    return tsn_convert(decoder, op, value, &decoder->cells[op->column], reject);
}

/* Event time within what an event can have, and not ahead of its record. */
static bool check_time(struct tsn_decoder *decoder, const struct tsn_record *record,
                       struct tsn_reject *reject)
{
    tsn_event_ms time_ms = decoder->cells[0].of.i, stamp_ms = record->timestamp_ms;
    if (time_ms < 0) {
        return tsn_reject_value(reject, TSN_REJECT_RANGE, &decoder->ops[0], "a time before 1970");
    }
    if (stamp_ms == TSN_NO_TIMESTAMP && decoder->record_time_slot != TSN_SLOT_NONE) {
        struct tsn_json_value value = tsn_json_at(decoder->reader, decoder->record_time_slot);
        if (value.kind != TSN_JSON_ABSENT && value.kind != TSN_JSON_NULL) {
            enum tsn_reject_reason reason =
                tsn_convert_instant(decoder->source->record_time_format, value, &stamp_ms);
            if (reason != TSN_REJECT_REASONS) {
                return whole(reject, reason, "the record's time (%s): expected an instant",
                             decoder->source->record_time);
            }
        }
    }
    if (stamp_ms != TSN_NO_TIMESTAMP && time_ms - decoder->future_max_ms > stamp_ms) {
        return whole(reject, TSN_REJECT_FUTURE,
                     "time (%s): expected at most %lld ms ahead of the record's time stamp",
                     decoder->ops[0].pointer, (long long)decoder->future_max_ms);
    }
    return true;
}

/* Text of all cells goes into the batch in one piece. */
static char *text_room(const struct tsn_decoder *decoder, struct tsn_batch *batch)
{
    size_t bytes = 0;
    for (int i = 0; i < decoder->n_ops; i++) {
        const struct tsn_decode_op *op = &decoder->ops[i];
        if (op->field->rep == TSN_REP_STRING && decoder->cells[op->column].present) {
            bytes += decoder->cells[op->column].of.s.len;
        }
    }
    return tsn_arena_alloc(&batch->text, bytes); /* not NULL, also for none */
}

static void store_row(const struct tsn_decoder *decoder, const struct tsn_record *record,
                      struct tsn_batch *batch)
{
    uint32_t at = tsn_batch_add(batch, decoder->type, decoder->cells[0].of.i, record->source,
                                record->position);
    struct tsn_column *columns = batch->types[decoder->type].fields;
    char *text = text_room(decoder, batch);
    for (int i = 1; i < decoder->n_ops; i++) {
        const struct tsn_decode_op *op = &decoder->ops[i];
        const struct tsn_cell *cell = &decoder->cells[op->column];
        struct tsn_column *column = &columns[op->column];
        if (!cell->present) {
            continue;
        }
        tsn_bits_set(column->valid, at);
        switch (op->field->rep) {
        case TSN_REP_STRING:
            if (cell->of.s.len) {
                memcpy(text, cell->of.s.p, cell->of.s.len);
            }
            column->str[at] = (struct tsn_str){text, cell->of.s.len};
            text += cell->of.s.len;
            break;
        case TSN_REP_ENUM:
            column->code[at] = cell->of.code;
            break;
        case TSN_REP_BOOL:
            if (cell->of.b) {
                tsn_bits_set(column->bits, at);
            }
            break;
        case TSN_REP_DOUBLE:
            column->f64[at] = cell->of.d;
            break;
        default:
            column->i64[at] = cell->of.i;
        }
    }
}

bool tsn_decode(struct tsn_decoder *decoder, const struct tsn_record *record,
                struct tsn_batch *batch, struct tsn_reject *reject)
{
    if (!read_json(decoder, record, reject)) {
        return false;
    }
    for (int i = 0; i < decoder->n_ops; i++) {
        if (!fill_cell(decoder, &decoder->ops[i], reject) ||
            (i == 0 && !check_time(decoder, record, reject))) {
            return false;
        }
    }
    store_row(decoder, record, batch);
    return true;
}
