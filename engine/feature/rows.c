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

/* ---- many at once: column by column, a bit a row ------------------------------------- */

_Static_assert(TSN_WALK_CHUNK <= 64, "a word has a bit for every row");

/* Bits [at, at + n) of a bitmap, n from 1 to 64. */
static uint64_t bits_of(const uint64_t *bits, uint32_t at, uint32_t n)
{
    uint32_t shift = at % 64;
    uint64_t word = bits[at / 64] >> shift;
    if (shift + n > 64) {
        word |= bits[at / 64 + 1] << (64 - shift);
    }
    return n < 64 ? word & ((UINT64_C(1) << n) - 1) : word;
}

/* Fills made->conds. Returns which filters hold for every row. */
static uint64_t conds_make(const struct tsn_plan_stream *stream,
                           const struct tsn_stream_conds *conds, struct tsn_made_rows *made)
{
    uint64_t all = 0;
    for (int c = 0; c < stream->n_conds; c++) {
        all |= (uint64_t)!conds->value[c] << c;
    }
    for (uint32_t i = 0; i < made->n; i++) {
        made->conds[i] = all;
    }
    for (int c = 0; c < stream->n_conds; c++) {
        if (conds->value[c]) {
            uint64_t rows = bits_of(conds->value[c], made->at, made->n) &
                            bits_of(conds->valid[c], made->at, made->n);
            for (; rows; rows &= rows - 1) {
                made->conds[__builtin_ctzll(rows)] |= UINT64_C(1) << c;
            }
        }
    }
    return all;
}

/* The rows that have the value, of those that want it. */
static uint64_t rows_taking(const struct tsn_plan_value *value, const struct tsn_column *column,
                            const struct tsn_made_rows *made, uint64_t conds_of_all)
{
    uint64_t rows = bits_of(column->valid, made->at, made->n);
    if (value->always_wanted || value->present == 0 || (conds_of_all & value->wanted_by)) {
        return rows;
    }
    for (uint64_t left = rows; left; left &= left - 1) {
        if (!(made->conds[__builtin_ctzll(left)] & value->wanted_by)) {
            rows &= ~(left & -left);
        }
    }
    return rows;
}

/* Whole cells of the rows of a mask, and 0 for the others. */
static void cells_copy(const int64_t *cells, uint32_t n, uint64_t rows, uint64_t *words,
                       size_t stride)
{
    for (uint32_t i = 0; i < n; i++) {
        words[i * stride] = rows >> i & 1 ? (uint64_t)cells[i] : 0;
    }
}

static void value_make(struct tsn_features *feat, const struct tsn_plan_stream *stream,
                       const struct tsn_plan_value *value, const struct tsn_made_rows *made,
                       uint64_t conds_of_all)
{
    const struct tsn_column *column = &feat->types[stream->event].inputs[value->field];
    size_t stride = stream->layout.stride;
    uint64_t rows = rows_taking(value, column, made, conds_of_all);
    uint64_t *words = made->words + value->word;
    if (value->direct) {
        cells_copy(column->i64 + made->at, made->n, rows, words, stride);
    } else {
        for (uint32_t i = 0; i < made->n; i++) {
            words[i * stride] = 0;
        }
        if (value->kind == TSN_WINDOW_HASH) {
            tsn_key_words(column, made->at, rows, words, stride);
        }
    }
    bool convert = !value->direct && value->kind != TSN_WINDOW_HASH;
    for (uint64_t left = convert || value->present ? rows : 0; left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctzll(left);
        if (convert) {
            words[i * stride] = value_word(feat, value, column, made->at + i);
        }
        if (value->present) {
            made->words[i * stride + 1] |= value->present;
        }
    }
}

void tsn_walk_rows_make(const struct tsn_walk *walk, int s, struct tsn_made_rows *made)
{
    struct tsn_features *feat = walk->feat;
    const struct tsn_plan_stream *stream = &feat->plan.streams[s];
    if (made->n == 0) {
        return; /* perhaps of a type without rows, whose filters are not there */
    }
    const tsn_event_ms *time_ms = walk->batch->types[stream->event].time_ms + made->at;
    size_t stride = stream->layout.stride;
    uint64_t conds_of_all = conds_make(stream, &feat->conds[s], made);
    for (uint32_t i = 0; i < made->n; i++) {
        made->words[i * stride] = (uint64_t)time_ms[i];
        if (stream->layout.has_bits) {
            made->words[i * stride + 1] = made->conds[i];
        }
    }
    for (int v = 0; v < stream->n_values; v++) {
        value_make(feat, stream, &stream->values[v], made, conds_of_all);
    }
}
