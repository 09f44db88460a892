#include "connectors/decode/mapping.h"

#include <string.h>

#include "connectors/decode/decimal.h"
#include "rules/must/must.h"

struct compile {
    struct tsn_decoder *decoder;
    const struct tsn_config *config;
    const struct tsn_source *source;
    const struct tsn_event_type *event;
    struct tsn_diags *diags;
    bool ok;
};

#define SAY(c, place_of, advice, ...)                                                              \
    ((c)->ok = false,                                                                              \
     tsn_diags_add((c)->diags, TSN_SEVERITY_ERROR,                                                 \
                   (struct tsn_place){(c)->config->file, (place_of)->line, (place_of)->column},    \
                   (c)->config->text, (c)->config->text_len, (advice), __VA_ARGS__))

static const char *rep_word(enum tsn_rep rep)
{
    return rep == TSN_REP_MONEY  ? "money"
           : rep == TSN_REP_ENUM ? "enum"
                                 : tsn_type_name(tsn_rep_type(rep));
}

/* What a record must hold, as messages say it. */
static const char *expectation(const struct tsn_field *field, const struct tsn_field_mapping *map)
{
    static const char *const times[] = {
        [TSN_TIME_RFC3339] = "RFC 3339 text with an offset",
        [TSN_TIME_EPOCH_S] = "a number of seconds since 1970",
        [TSN_TIME_EPOCH_MS] = "a number of milliseconds since 1970",
        [TSN_TIME_EPOCH_US] = "a number of microseconds since 1970",
    };
    static const char *const durations[] = {
        [TSN_UNIT_NONE] = "a duration",
        [TSN_UNIT_MS] = "a whole number of milliseconds",
        [TSN_UNIT_S] = "a number of seconds, at most 3 decimals",
        [TSN_UNIT_MIN] = "a whole number of minutes",
        [TSN_UNIT_H] = "a whole number of hours",
        [TSN_UNIT_D] = "a whole number of days",
        [TSN_UNIT_MAJOR] = "a duration",
        [TSN_UNIT_MINOR] = "a duration",
    };
    switch (field->rep) {
    case TSN_REP_BOOL:
        return "true or false";
    case TSN_REP_INT:
        return "an integer of 64 bits";
    case TSN_REP_DOUBLE:
        return "a number";
    case TSN_REP_STRING:
        return "text";
    case TSN_REP_ENUM:
        return "one of the values that the event type lists";
    case TSN_REP_MONEY:
        return map->unit == TSN_UNIT_MINOR ? "an integer of minor units"
                                           : "an amount, such as 12.50";
    case TSN_REP_DURATION_MS:
        return durations[map->unit];
    default:
        return times[map->time_format];
    }
}

/* Is the field read from a JSON number? */
static bool reads_number(const struct tsn_field *field, const struct tsn_field_mapping *map)
{
    switch (field->rep) {
    case TSN_REP_INT:
    case TSN_REP_DOUBLE:
    case TSN_REP_MONEY:
    case TSN_REP_DURATION_MS:
        return true;
    case TSN_REP_TIME_MS:
        return map->time_format != TSN_TIME_RFC3339;
    default:
        return false;
    }
}

static int64_t unit_ms(enum tsn_unit unit)
{
    switch (unit) {
    case TSN_UNIT_MIN:
        return 60 * 1000;
    case TSN_UNIT_H:
        return 3600 * 1000;
    case TSN_UNIT_D:
        return 86400 * 1000;
    default:
        return 1;
    }
}

static bool unit_fits(struct compile *c, const struct tsn_field *field,
                      const struct tsn_field_mapping *map)
{
    bool money = field->rep == TSN_REP_MONEY, duration = field->rep == TSN_REP_DURATION_MS;
    bool money_unit = map->unit == TSN_UNIT_MAJOR || map->unit == TSN_UNIT_MINOR;
    bool duration_unit = map->unit >= TSN_UNIT_MS && map->unit <= TSN_UNIT_D;
    if (money ? money_unit : duration ? duration_unit : map->unit == TSN_UNIT_NONE) {
        return true;
    }
    if (money) {
        SAY(c, map, "write `unit: major` for 12.50 or `unit: minor` for 1250",
            map->unit == TSN_UNIT_NONE ? "field '%s' is money: its unit must be said"
                                       : "field '%s' is money: a time is no unit of it",
            field->name);
    } else if (duration) {
        SAY(c, map, "write `unit: s`, or ms, min, h, d",
            map->unit == TSN_UNIT_NONE ? "field '%s' is a duration: its unit must be said"
                                       : "field '%s' is a duration: money is no unit of it",
            field->name);
    } else {
        SAY(c, map, "leave `unit` out", "field '%s' is %s: it has no unit", field->name,
            rep_word(field->rep));
    }
    return false;
}

bool tsn_mapping_literal(const struct tsn_field *field, const struct tsn_field_mapping *map,
                         const char *text, struct tsn_json_value *out)
{
    size_t len = strlen(text);
    bool is_number = tsn_decimal_is(text, len);
    bool is_bool = strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
    *out = (struct tsn_json_value){.kind = TSN_JSON_STRING, .len = (uint32_t)len, .p = text};
    switch (field->rep) {
    case TSN_REP_STRING:
    case TSN_REP_ENUM:
        return true;
    case TSN_REP_BOOL:
        out->kind = TSN_JSON_BOOL;
        return is_bool;
    case TSN_REP_TIME_MS:
        out->kind = map->time_format == TSN_TIME_RFC3339 ? TSN_JSON_STRING : TSN_JSON_NUMBER;
        return map->time_format == TSN_TIME_RFC3339 || is_number;
    default:
        out->kind = TSN_JSON_NUMBER;
        return is_number;
    }
}

/* Checks by converting it once; with a currency from the record only its form can
 * be checked. */
static bool literal(struct compile *c, const struct tsn_decode_op *op, const char *what,
                    const char *text, struct tsn_json_value *out)
{
    struct tsn_cell cell;
    struct tsn_reject reject = {.reason = TSN_REJECT_FORMAT};
    bool fits = tsn_mapping_literal(op->field, op->map, text, out);
    if (fits && op->currency_column == TSN_NONE) {
        struct tsn_decode_op bare = *op;
        bare.has_written = false;
        /* a telephone number is normalised per record; its scratch belongs to ops */
        struct tsn_field_mapping plain = *op->map;
        plain.e164 = false;
        bare.map = &plain;
        fits = tsn_convert(c->decoder, &bare, *out, &cell, &reject);
    }
    if (!fits) {
        SAY(c, op->map, NULL, "field '%s': %s '%s' is not %s", op->field->name, what, text,
            op->expects);
    }
    return fits;
}

static void written_compile(struct compile *c, struct tsn_decode_op *op)
{
    const struct tsn_field_mapping *map = op->map;
    struct tsn_arena *arena = &c->decoder->arena;
    struct tsn_str *names = tsn_arena_zalloc(arena, map->n_map + 1, sizeof *names);
    struct tsn_json_value *means = tsn_arena_zalloc(arena, map->n_map + 1, sizeof *means);
    for (size_t i = 0; i < map->n_map; i++) {
        names[i] = (struct tsn_str){map->map[i].key, (uint32_t)strlen(map->map[i].key)};
        literal(c, op, "the mapped value", map->map[i].value, &means[i]);
    }
    tsn_wordset_make(&op->written, names, (uint32_t)map->n_map, arena);
    op->meant = means;
    op->has_written = map->n_map > 0;
}

static void way_choose(struct tsn_decode_op *op)
{
    const struct tsn_field_mapping *map = op->map;
    op->way = TSN_WAY_CONVERT;
    op->factor = 1;
    if (map->n_map > 0) {
        return;
    }
    switch (op->field->rep) {
    case TSN_REP_STRING:
        op->way = map->e164 ? TSN_WAY_PHONE : TSN_WAY_TEXT;
        break;
    case TSN_REP_ENUM:
        op->way = TSN_WAY_WORD;
        break;
    case TSN_REP_INT:
        op->way = TSN_WAY_INTEGER;
        break;
    case TSN_REP_DURATION_MS:
        op->way = TSN_WAY_INTEGER;
        op->factor = map->unit == TSN_UNIT_S ? 1000 : op->unit_ms;
        break;
    case TSN_REP_TIME_MS:
        op->way = map->time_format == TSN_TIME_EPOCH_MS ? TSN_WAY_TIME_MS : TSN_WAY_CONVERT;
        break;
    default:
        break;
    }
}

static void op_compile(struct compile *c, struct tsn_decode_op *op,
                       const struct tsn_field_mapping *map, int column)
{
    const struct tsn_field *field = &c->event->fields[column];
    *op = (struct tsn_decode_op){
        .map = map,
        .field = field,
        .pointer = map->pointer ? map->pointer : "a constant",
        .expects = expectation(field, map),
        .column = column,
        .slot = TSN_SLOT_NONE,
        .unit_ms = unit_ms(map->unit),
        .is_number = reads_number(field, map),
        .currency_column =
            field->rep == TSN_REP_MONEY && !field->currency ? field->currency_field : TSN_NONE,
    };
    way_choose(op);
    if (!unit_fits(c, field, map)) {
        return;
    }
    if (map->e164 && field->rep != TSN_REP_STRING) {
        SAY(c, map, "leave `e164` out", "field '%s' is %s: only text can be a telephone number",
            field->name, rep_word(field->rep));
        return;
    }
    if (map->time_format != TSN_TIME_RFC3339 && field->rep != TSN_REP_TIME_MS) {
        SAY(c, map, "leave `format` out", "field '%s' is %s: only timestamps have a format",
            field->name, rep_word(field->rep));
        return;
    }
    if (map->quoted && !op->is_number) {
        SAY(c, map, field->rep == TSN_REP_TIME_MS ? "say its `format`" : "leave `quoted` out",
            "field '%s' is read from %s: only a number can be quoted", field->name, op->expects);
        return;
    }
    if (field->rep == TSN_REP_ENUM) {
        tsn_wordset_make(&op->words, field->dict.names, field->dict.n, &c->decoder->arena);
    }
    const char *text = map->constant ? map->constant : map->fallback;
    if (text) {
        op->has_fallback =
            literal(c, op, map->constant ? "the constant" : "the default", text, &op->fallback);
    }
    if (map->n_map > 0) {
        written_compile(c, op);
    }
}

static const struct tsn_field_mapping *mapping_of(const struct tsn_source *source,
                                                  const char *field)
{
    for (size_t i = 0; i < source->n_fields; i++) {
        if (strcmp(source->fields[i].field, field) == 0) {
            return &source->fields[i];
        }
    }
    return NULL;
}

/* Every mapping names a field of the event type. */
static void names_check(struct compile *c)
{
    const char *names[TSN_FIELDS_MAX];
    for (int f = 0; f < c->event->n_fields; f++) {
        names[f] = c->event->fields[f].name;
    }
    for (size_t i = 0; i < c->source->n_fields; i++) {
        const struct tsn_field_mapping *map = &c->source->fields[i];
        if (tsn_event_type_field(c->event, map->field) != TSN_NONE) {
            continue;
        }
        const char *nearest = tsn_nearest_name(map->field, names, (size_t)c->event->n_fields);
        SAY(c, map,
            nearest ? tsn_arena_printf(&c->decoder->arena, "did you mean '%s'?", nearest) : NULL,
            "event type '%s' has no field '%s'", c->event->name, map->field);
    }
}

static void ops_compile(struct compile *c)
{
    struct tsn_decoder *decoder = c->decoder;
    decoder->ops =
        tsn_arena_zalloc(&decoder->arena, (size_t)c->event->n_fields, sizeof *decoder->ops);
    for (int late = 0; late < 2; late++) {
        for (int f = 0; f < c->event->n_fields; f++) {
            const struct tsn_field *field = &c->event->fields[f];
            const struct tsn_field_mapping *map = mapping_of(c->source, field->name);
            if (map && (field->rep == TSN_REP_MONEY) == (late == 1)) {
                op_compile(c, &decoder->ops[decoder->n_ops++], map, f);
            }
            if (!map && late == 0 && (f == 0 || field->required)) {
                SAY(c, c->source,
                    f == 0 ? "write `time: {from: /its/pointer, format: epoch_ms}`" : NULL,
                    "source '%s' says nothing about %s '%s' of event type '%s'", c->source->name,
                    f == 0 ? "the event time" : "the required field", field->name, c->event->name);
            }
        }
    }
}

static void stores_compile(struct tsn_decoder *decoder)
{
    size_t bytes = (size_t)(decoder->n_ops + 1) * sizeof(int);
    decoder->texts = tsn_arena_alloc(&decoder->arena, bytes);
    decoder->words = tsn_arena_alloc(&decoder->arena, bytes);
    decoder->small = tsn_arena_alloc(&decoder->arena, bytes);
    for (int i = 0; i < decoder->n_ops; i++) {
        int column = decoder->ops[i].column;
        switch (decoder->event->fields[column].rep) {
        case TSN_REP_STRING:
            decoder->texts[decoder->n_texts++] = column;
            break;
        case TSN_REP_ENUM:
        case TSN_REP_BOOL:
            decoder->small[decoder->n_small++] = column;
            break;
        default:
            decoder->words[decoder->n_words++] = column;
        }
    }
}

/* A money field cannot be read without its currency. */
static void currencies_check(struct compile *c)
{
    for (int i = 0; i < c->decoder->n_ops; i++) {
        const struct tsn_decode_op *op = &c->decoder->ops[i];
        if (op->currency_column == TSN_NONE) {
            continue;
        }
        const char *currency = c->event->fields[op->currency_column].name;
        if (!mapping_of(c->source, currency)) {
            SAY(c, op->map, "map it, or give it a `constant`",
                "field '%s' is money in the currency of field '%s', which source '%s' does not map",
                op->field->name, currency, c->source->name);
        }
    }
}

static void pointers_link(struct compile *c)
{
    struct tsn_decoder *decoder = c->decoder;
    const char *pointers[TSN_FIELDS_MAX + 1];
    int owner[TSN_FIELDS_MAX + 1], slots[TSN_FIELDS_MAX + 1];
    size_t n = 0;
    for (int i = 0; i < decoder->n_ops; i++) {
        if (decoder->ops[i].map->pointer) {
            owner[n] = i;
            pointers[n++] = decoder->ops[i].map->pointer;
        }
    }
    if (c->source->record_time) {
        owner[n] = TSN_NONE;
        pointers[n++] = c->source->record_time;
    }
    for (size_t i = 0; i < n; i++) {
        const char *why = tsn_json_pointer_error(pointers[i]);
        if (why) {
            struct tsn_field_mapping at = {.line = c->source->line, .column = c->source->column};
            SAY(c, owner[i] == TSN_NONE ? &at : decoder->ops[owner[i]].map, why,
                "'%s' is not a JSON pointer", pointers[i]);
        }
    }
    if (!c->ok) {
        return;
    }
    decoder->reader = tsn_json_reader_new(pointers, n, slots, c->source->max_bytes);
    for (size_t i = 0; i < n; i++) {
        if (owner[i] == TSN_NONE) {
            decoder->record_time_slot = slots[i];
        } else {
            decoder->ops[owner[i]].slot = slots[i];
        }
    }
}

bool tsn_mapping_compile(struct tsn_decoder *decoder, const struct tsn_config *config,
                         struct tsn_diags *diags)
{
    struct compile c = {decoder, config, decoder->source, decoder->event, diags, true};
    decoder->record_time_slot = TSN_SLOT_NONE;
    names_check(&c);
    ops_compile(&c);
    stores_compile(decoder);
    currencies_check(&c);
    pointers_link(&c);
    return c.ok;
}
