/* Rows: events as the streams that they are written to keep them. See window.h. */
#include "engine/entity/key.h"
#include "engine/feature/walk.h"
#include "rules/must/must.h"

static uint64_t value_word(struct tsn_features *feat, const struct tsn_plan_value *value,
                           const struct tsn_column *column, uint32_t at)
{
    switch (value->kind) {
    case TSN_WINDOW_HASH:
        return tsn_key_word(column, at);
    case TSN_WINDOW_TEXT:
        return tsn_text_make(&feat->pool, column->str[at].p, column->str[at].len);
    case TSN_WINDOW_INTEGER: /* a bool or an enum: the others are direct */
    case TSN_WINDOW_DOUBLE:
        break;
    }
    return column->rep == TSN_REP_ENUM ? column->code[at] : tsn_key_word(column, at);
}

void tsn_walk_row_make(struct tsn_features *feat, const struct tsn_plan_stream *stream,
                       const struct tsn_row *row, uint64_t conds, uint64_t *to)
{
    const struct tsn_column *fields = feat->types[row->type].inputs;
    to[0] = (uint64_t)row->time_ms;
    uint64_t bits = conds;
    for (int v = 0; v < stream->n_values; v++) {
        const struct tsn_plan_value *value = &stream->values[v];
        const struct tsn_column *column = &fields[value->field];
        to[value->word] = 0;
        if (tsn_bits_get(column->valid, row->at) &&
            (value->always_wanted || (conds & value->wanted_by) || value->present == 0)) {
            to[value->word] = value->direct ? (uint64_t)column->i64[row->at]
                                            : value_word(feat, value, column, row->at);
            bits |= value->present;
        }
    }
    if (stream->layout.has_bits) {
        to[1] = bits;
    }
}

/* ---- many at once: column by column ------------------------------------------------- */

static void conds_make(const struct tsn_plan_stream *stream, const struct tsn_stream_conds *conds,
                       uint32_t at, uint32_t n, uint64_t *to)
{
    uint64_t always = 0;
    for (int c = 0; c < stream->n_conds; c++) {
        always |= (uint64_t)!conds->value[c] << c;
    }
    for (uint32_t i = 0; i < n; i++) {
        to[i] = always;
    }
    for (int c = 0; c < stream->n_conds; c++) {
        for (uint32_t i = 0; conds->value[c] && i < n; i++) {
            bool holds = tsn_bits_get(conds->value[c], at + i);
            bool valid = tsn_bits_get(conds->valid[c], at + i);
            to[i] |= ((uint64_t)holds & (uint64_t)valid) << c;
        }
    }
}

static void value_make(struct tsn_features *feat, const struct tsn_plan_stream *stream,
                       const struct tsn_plan_value *value, const struct tsn_made_rows *made)
{
    const struct tsn_column *column = &feat->types[stream->event].inputs[value->field];
    bool all = value->always_wanted || value->present == 0;
    uint64_t *word = made->words + value->word;
    uint64_t *bits = stream->layout.has_bits ? made->words + 1 : NULL;
    size_t stride = stream->layout.stride;
    for (uint32_t i = 0; i < made->n; i++, word += stride) {
        uint32_t at = made->at + i;
        bool wanted = all | ((made->conds[i] & value->wanted_by) != 0);
        bool taken = tsn_bits_get(column->valid, at) && wanted;
        if (value->direct) {
            *word = taken ? (uint64_t)column->i64[at] : 0;
        } else {
            *word = taken ? value_word(feat, value, column, at) : 0;
        }
        if (bits) {
            bits[i * stride] |= taken ? value->present : 0;
        }
    }
}

void tsn_walk_rows_make(const struct tsn_walk *walk, int s, struct tsn_made_rows *made)
{
    struct tsn_features *feat = walk->feat;
    const struct tsn_plan_stream *stream = &feat->plan.streams[s];
    const tsn_event_ms *time_ms = walk->batch->types[stream->event].time_ms + made->at;
    size_t stride = stream->layout.stride;
    conds_make(stream, &feat->conds[s], made->at, made->n, made->conds);
    for (uint32_t i = 0; i < made->n; i++) {
        made->words[i * stride] = (uint64_t)time_ms[i];
        if (stream->layout.has_bits) {
            made->words[i * stride + 1] = made->conds[i];
        }
    }
    for (int v = 0; v < stream->n_values; v++) {
        value_make(feat, stream, &stream->values[v], made);
    }
}
