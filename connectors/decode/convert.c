/* Convert: one JSON value -> one cell, as the mapping's operation says, or the reason
 * why not. Declared in mapping.h, called for every field of every record.
 */
#include "connectors/decode/mapping.h"

#include <stdio.h>
#include <string.h>

#include "connectors/decode/decimal.h"
#include "connectors/decode/instant.h"
#include "rules/must/must.h"
#include "rules/program/currency.h"

#define NO_REJECT TSN_REJECT_REASONS

/* A text that was cut may end inside a character. */
static void cut_whole(char *text, size_t cap)
{
    size_t len = strlen(text);
    if (len + 1 < cap) {
        return;
    }
    while (len > 0 && ((unsigned char)text[len - 1] & 0xc0) == 0x80) {
        len--;
    }
    if (len > 0 && (unsigned char)text[len - 1] >= 0xc0) {
        len--;
    }
    text[len] = '\0';
}

bool tsn_reject_value(struct tsn_reject *reject, enum tsn_reject_reason reason,
                      const struct tsn_decode_op *op, const char *found)
{
    reject->reason = reason;
    snprintf(reject->text, sizeof reject->text, "%s (%s): expected %s%s%s", op->field->name,
             op->pointer, op->expects, found ? ", found " : "", found ? found : "");
    cut_whole(reject->text, sizeof reject->text);
    return false;
}

/* A value of another JSON type than the field is read from. */
static bool reject_kind(struct tsn_reject *reject, const struct tsn_decode_op *op,
                        struct tsn_json_value value)
{
    bool quoted =
        value.kind == TSN_JSON_STRING && op->is_number && tsn_decimal_is(value.p, value.len);
    return tsn_reject_value(reject, TSN_REJECT_TYPE, op,
                            quoted ? "a number in text: `quoted: true` in its mapping reads those"
                                   : tsn_json_kind_name(value.kind));
}

static enum tsn_reject_reason reason_of(enum tsn_decimal outcome, enum tsn_reject_reason decimals)
{
    switch (outcome) {
    case TSN_DECIMAL_OK:
        return NO_REJECT;
    case TSN_DECIMAL_BAD:
        return TSN_REJECT_FORMAT;
    case TSN_DECIMAL_DECIMALS:
        return decimals;
    case TSN_DECIMAL_RANGE:
        return TSN_REJECT_RANGE;
    }
    return TSN_REJECT_FORMAT;
}

enum tsn_reject_reason tsn_convert_instant(enum tsn_time_format format, struct tsn_json_value value,
                                           tsn_event_ms *out)
{
    enum tsn_decimal outcome = TSN_DECIMAL_OK;
    if (format == TSN_TIME_RFC3339) {
        if (value.kind != TSN_JSON_STRING) {
            return TSN_REJECT_TYPE;
        }
        if (!tsn_instant_rfc3339(value.p, value.len, out)) {
            return TSN_REJECT_FORMAT;
        }
    } else {
        if (value.kind != TSN_JSON_NUMBER) {
            return TSN_REJECT_TYPE;
        }
        outcome = tsn_decimal_floor(value.p, value.len, format == TSN_TIME_EPOCH_S ? 3 : 0, out);
        if (outcome == TSN_DECIMAL_OK && format == TSN_TIME_EPOCH_US) {
            *out = *out / 1000 - (*out % 1000 < 0);
        }
    }
    if (outcome == TSN_DECIMAL_OK && (*out < TSN_INSTANT_MIN_MS || *out > TSN_INSTANT_MAX_MS)) {
        return TSN_REJECT_RANGE;
    }
    return reason_of(outcome, TSN_REJECT_FORMAT);
}

/* Digits of the currency in the record, or -1 with the reject filled. */
static int record_currency(struct tsn_decoder *decoder, const struct tsn_decode_op *op,
                           struct tsn_reject *reject)
{
    const struct tsn_cell *cell = &decoder->cells[op->currency_column];
    const struct tsn_field *field = &decoder->event->fields[op->currency_column];
    if (!cell->present) {
        reject->reason = TSN_REJECT_MISSING;
        snprintf(reject->text, sizeof reject->text, "%s (%s): expected its currency in field %s",
                 op->field->name, op->pointer, field->name);
        return -1;
    }
    struct tsn_str code =
        field->rep == TSN_REP_ENUM ? field->dict.names[cell->of.code] : cell->of.s;
    uint32_t packed = 0;
    if (code.len == 3) {
        memcpy(&packed, code.p, 3);
    }
    if (packed && packed == decoder->currency_code) {
        return decoder->currency_digits;
    }
    int digits = tsn_currency_digits(code.p, code.len);
    if (digits < 0) {
        reject->reason = TSN_REJECT_CURRENCY;
        snprintf(reject->text, sizeof reject->text,
                 "%s: expected the code of an ISO 4217 currency, such as CNY", field->name);
        return -1;
    }
    decoder->currency_code = packed;
    decoder->currency_digits = digits;
    return digits;
}

/* The amount in units of 10^-decimals. */
static enum tsn_decimal amount(const struct tsn_json_value *value, int decimals, int64_t *out)
{
    static const int64_t powers[] = {1,      10,      100,      1000,      10000,
                                     100000, 1000000, 10000000, 100000000, 1000000000};
    if (value->plain && !__builtin_mul_overflow(value->integer, powers[decimals], out)) {
        return TSN_DECIMAL_OK;
    }
    return tsn_decimal_scaled(value->p, value->len, (unsigned)decimals, out);
}

static bool money(struct tsn_decoder *decoder, const struct tsn_decode_op *op,
                  struct tsn_json_value value, struct tsn_cell *cell, struct tsn_reject *reject)
{
    int digits = op->field->scale;
    if (op->currency_column != TSN_NONE) {
        digits = record_currency(decoder, op, reject);
        if (digits < 0) {
            return false;
        }
    }
    TSN_MUST(digits <= op->field->scale);
    bool text = value.kind == TSN_JSON_STRING && op->map->unit == TSN_UNIT_MAJOR;
    if (value.kind != TSN_JSON_NUMBER && !text) {
        return reject_kind(reject, op, value);
    }
    bool minor = op->map->unit == TSN_UNIT_MINOR;
    enum tsn_decimal outcome = amount(&value, minor ? 0 : digits, &cell->of.i);
    enum tsn_reject_reason reason =
        reason_of(outcome, minor ? TSN_REJECT_TYPE : TSN_REJECT_DECIMALS);
    for (int i = digits; reason == NO_REJECT && i < op->field->scale; i++) {
        if (__builtin_mul_overflow(cell->of.i, 10, &cell->of.i)) {
            reason = TSN_REJECT_RANGE;
        }
    }
    if (reason == TSN_REJECT_DECIMALS) {
        reject->reason = reason;
        snprintf(reject->text, sizeof reject->text,
                 "%s (%s): expected at most %d decimals, as its currency has", op->field->name,
                 op->pointer, digits);
        return false;
    }
    return reason == NO_REJECT || tsn_reject_value(reject, reason, op, NULL);
}

static enum tsn_reject_reason duration(const struct tsn_decode_op *op, struct tsn_json_value value,
                                       int64_t *out)
{
    unsigned decimals = op->map->unit == TSN_UNIT_S ? 3 : 0;
    enum tsn_reject_reason reason =
        reason_of(tsn_decimal_scaled(value.p, value.len, decimals, out), TSN_REJECT_FORMAT);
    if (reason == NO_REJECT && __builtin_mul_overflow(*out, op->unit_ms, out)) {
        return TSN_REJECT_RANGE;
    }
    return reason;
}

static bool text_of(struct tsn_decoder *decoder, const struct tsn_decode_op *op,
                    struct tsn_json_value value, struct tsn_cell *cell)
{
    cell->of.s = (struct tsn_str){value.p, value.len};
    if (op->map->e164) {
        char *scratch = decoder->phones + (size_t)(op - decoder->ops) * TSN_PHONE_MAX;
        cell->of.s = tsn_phone_normalise(&decoder->source->numbers, cell->of.s, scratch);
    }
    return true;
}

static bool enum_of(const struct tsn_decode_op *op, struct tsn_json_value value,
                    struct tsn_cell *cell, struct tsn_reject *reject)
{
    int32_t code = tsn_wordset_find(&op->words, value.p, value.len);
    if (code < 0) {
        return tsn_reject_value(reject, TSN_REJECT_ENUM, op, NULL);
    }
    cell->of.code = (uint16_t)code;
    return true;
}

/* The JSON kind that each representation comes from; money and times decide
 * themselves. */
static bool kind_fits(enum tsn_rep rep, enum tsn_json_kind kind)
{
    switch (rep) {
    case TSN_REP_BOOL:
        return kind == TSN_JSON_BOOL;
    case TSN_REP_INT:
    case TSN_REP_DOUBLE:
    case TSN_REP_DURATION_MS:
        return kind == TSN_JSON_NUMBER;
    case TSN_REP_STRING:
    case TSN_REP_ENUM:
        return kind == TSN_JSON_STRING;
    default:
        return true;
    }
}

static struct tsn_json_value meant(const struct tsn_decode_op *op, struct tsn_json_value value)
{
    if (op->has_written && value.kind != TSN_JSON_OBJECT && value.kind != TSN_JSON_ARRAY) {
        int32_t i = tsn_wordset_find(&op->written, value.p, value.len);
        return i < 0 ? value : op->meant[i];
    }
    return value;
}

bool tsn_convert(struct tsn_decoder *decoder, const struct tsn_decode_op *op,
                 struct tsn_json_value value, struct tsn_cell *cell, struct tsn_reject *reject)
{
    enum tsn_reject_reason reason = NO_REJECT;
    enum tsn_rep rep = op->field->rep;
    value = meant(op, value);
    cell->present = true;
    if (op->map->quoted && value.kind == TSN_JSON_STRING) {
        if (!tsn_decimal_is(value.p, value.len)) {
            return tsn_reject_value(reject, TSN_REJECT_FORMAT, op, NULL);
        }
        value.kind = TSN_JSON_NUMBER;
        value.plain = false;
    }
    if (!kind_fits(rep, value.kind)) {
        return reject_kind(reject, op, value);
    }
    switch (rep) {
    case TSN_REP_STRING:
        return text_of(decoder, op, value, cell);
    case TSN_REP_ENUM:
        return enum_of(op, value, cell, reject);
    case TSN_REP_MONEY:
        return money(decoder, op, value, cell, reject);
    case TSN_REP_BOOL:
        cell->of.b = value.p[0] == 't';
        return true;
    case TSN_REP_INT:
        reason = reason_of(tsn_decimal_scaled(value.p, value.len, 0, &cell->of.i), TSN_REJECT_TYPE);
        break;
    case TSN_REP_DOUBLE:
        reason = reason_of(tsn_decimal_double(value.p, value.len, &cell->of.d), TSN_REJECT_FORMAT);
        break;
    case TSN_REP_DURATION_MS:
        reason = duration(op, value, &cell->of.i);
        break;
    case TSN_REP_TIME_MS:
        reason = tsn_convert_instant(op->map->time_format, value, &cell->of.i);
        break;
    default:
        TSN_MUST(!"an event field has this representation");
    }
    if (reason == NO_REJECT) {
        return true;
    }
    return reason == TSN_REJECT_TYPE && rep == TSN_REP_TIME_MS
               ? reject_kind(reject, op, value)
               : tsn_reject_value(reject, reason, op, NULL);
}
