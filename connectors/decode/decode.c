#include "connectors/decode/decode.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/decode/instant.h"
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
                         enum tsn_json_kind found, struct tsn_reject *reject)
{
    struct tsn_cell *cell = &decoder->cells[op->column];
    cell->present = false;
    if (found == TSN_JSON_ABSENT && op->slot != TSN_SLOT_NONE) {
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
                                found == TSN_JSON_NULL ? "null" : "nothing");
    }
    return true;
}

/* A value of the form that nearly all have; false: tsn_convert must look at it. */
static inline bool fill_usual(const struct tsn_decode_op *op, const struct tsn_json_value *value,
                              struct tsn_cell *cell)
{
    bool text = value->kind == TSN_JSON_STRING, plain = value->plain;
    switch (op->way) {
    case TSN_WAY_TEXT:
        cell->of.s = (struct tsn_str){value->p, value->len};
        return text;
    case TSN_WAY_PHONE:
        cell->of.s = (struct tsn_str){value->p, value->len};
        return text && tsn_phone_is_canonical(value->p, value->len);
    case TSN_WAY_WORD: {
        int32_t code = text ? tsn_wordset_find(&op->words, value->p, value->len) : -1;
        cell->of.code = (uint16_t)code;
        return code >= 0;
    }
    case TSN_WAY_INTEGER:
        return plain && !__builtin_mul_overflow(value->integer, op->factor, &cell->of.i);
    case TSN_WAY_TIME_MS:
        cell->of.i = value->integer;
        return plain && value->integer <= TSN_INSTANT_MAX_MS;
    case TSN_WAY_CONVERT:
        break;
    }
    return false;
}

static bool fill_cell(struct tsn_decoder *decoder, const struct tsn_decode_op *op,
                      struct tsn_reject *reject)
{
    const struct tsn_json_value *value =
        op->slot == TSN_SLOT_NONE ? NULL : tsn_json_found(decoder->reader, op->slot);
    struct tsn_cell *cell = &decoder->cells[op->column];
    if (value && fill_usual(op, value, cell)) {
        cell->present = true;
        return true;
    }
    if (!value || value->kind == TSN_JSON_NULL) {
        enum tsn_json_kind found = value ? TSN_JSON_NULL : TSN_JSON_ABSENT;
        return fill_missing(decoder, op, found, reject);
    }
    return tsn_convert(decoder, op, *value, cell, reject);
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
        const struct tsn_json_value *value =
            tsn_json_found(decoder->reader, decoder->record_time_slot);
        if (value && value->kind != TSN_JSON_NULL) {
            enum tsn_reject_reason reason =
                tsn_convert_instant(decoder->source->record_time_format, *value, &stamp_ms);
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

/* memcpy for texts of a few bytes: a call of it costs as much as the rest of a cell. */
static inline void copy_text(char *to, const char *from, uint32_t len)
{
    if (len > 32 || len < 4) {
        for (uint32_t i = 0; len < 4 && i < len; i++) {
            to[i] = from[i];
        }
        if (len > 32) {
            memcpy(to, from, len);
        }
    } else if (len >= 16) {
        memcpy(to, from, 16);
        memcpy(to + len - 16, from + len - 16, 16);
    } else if (len >= 8) {
        memcpy(to, from, 8);
        memcpy(to + len - 8, from + len - 8, 8);
    } else {
        memcpy(to, from, 4);
        memcpy(to + len - 4, from + len - 4, 4);
    }
}

/* Text of all cells goes into the batch in one piece. */
static void store_texts(const struct tsn_decoder *decoder, struct tsn_batch *batch,
                        struct tsn_column *columns, uint32_t at)
{
    size_t bytes = 0;
    for (int i = 0; i < decoder->n_texts; i++) {
        const struct tsn_cell *cell = &decoder->cells[decoder->texts[i]];
        bytes += cell->present ? cell->of.s.len : 0;
    }
    char *text = tsn_arena_alloc(&batch->text, bytes); /* not NULL, also for none */
    for (int i = 0; i < decoder->n_texts; i++) {
        const struct tsn_cell *cell = &decoder->cells[decoder->texts[i]];
        struct tsn_column *column = &columns[decoder->texts[i]];
        if (cell->present) {
            copy_text(text, cell->of.s.p, cell->of.s.len);
            tsn_bits_set(column->valid, at);
            column->str[at] = (struct tsn_str){text, cell->of.s.len};
            text += cell->of.s.len;
        }
    }
}

static void store_row(const struct tsn_decoder *decoder, const struct tsn_record *record,
                      struct tsn_batch *batch)
{
    uint32_t at = tsn_batch_add(batch, decoder->type, decoder->cells[0].of.i, record->source,
                                record->position);
    struct tsn_column *columns = batch->types[decoder->type].fields;
    store_texts(decoder, batch, columns, at);
    for (int i = 0; i < decoder->n_words; i++) { /* 64 bits as they are, the time too */
        const struct tsn_cell *cell = &decoder->cells[decoder->words[i]];
        if (cell->present) {
            tsn_bits_set(columns[decoder->words[i]].valid, at);
            columns[decoder->words[i]].i64[at] = cell->of.i;
        }
    }
    for (int i = 0; i < decoder->n_small; i++) {
        const struct tsn_cell *cell = &decoder->cells[decoder->small[i]];
        struct tsn_column *column = &columns[decoder->small[i]];
        if (!cell->present) {
            continue;
        }
        tsn_bits_set(column->valid, at);
        if (column->rep == TSN_REP_ENUM) {
            column->code[at] = cell->of.code;
        } else if (cell->of.b) {
            tsn_bits_set(column->bits, at);
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
