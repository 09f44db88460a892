#include "engine/event/batch.h"

#include <stdlib.h>
#include <string.h>

#include "rules/must/must.h"

struct tsn_batch *tsn_batch_new(const struct tsn_program *prog, uint32_t cap)
{
    TSN_MUST(cap > 0 && cap % 64 == 0);
    struct tsn_batch *batch = calloc(1, sizeof *batch);
    TSN_MUST_ALLOC(batch);
    batch->prog = prog;
    batch->cap = cap;
    tsn_arena_init(&batch->memory, 0);
    tsn_arena_init(&batch->text, 256 * 1024);
    batch->rows = tsn_arena_alloc(&batch->memory, cap * sizeof *batch->rows);
    batch->types = tsn_arena_zalloc(&batch->memory, (size_t)prog->n_types, sizeof *batch->types);
    return batch;
}

void tsn_batch_free(struct tsn_batch *batch)
{
    if (!batch) {
        return;
    }
    tsn_arena_free(&batch->text);
    tsn_arena_free(&batch->memory);
    free(batch);
}

static void type_layout(struct tsn_batch *batch, const struct tsn_event_type *type,
                        struct tsn_type_rows *of)
{
    of->row = tsn_arena_alloc(&batch->memory, batch->cap * sizeof *of->row);
    of->fields = tsn_arena_zalloc(&batch->memory, (size_t)type->n_fields, sizeof *of->fields);
    for (int f = 0; f < type->n_fields; f++) {
        const struct tsn_field *field = &type->fields[f];
        tsn_column_alloc(&of->fields[f], field->rep, batch->cap, false, &batch->memory);
        of->fields[f].scale = field->scale;
        of->fields[f].dict = field->rep == TSN_REP_ENUM ? &field->dict : NULL;
    }
    of->time_ms = of->fields[0].i64;
}

void tsn_batch_clear(struct tsn_batch *batch)
{
    for (int t = 0; t < batch->prog->n_types; t++) {
        struct tsn_type_rows *of = &batch->types[t];
        if (of->n == 0) {
            continue;
        }
        size_t bytes = tsn_bits_words(of->n) * sizeof(uint64_t);
        for (int f = 0; f < batch->prog->types[t].n_fields; f++) {
            memset(of->fields[f].valid, 0, bytes);
            if (of->fields[f].rep == TSN_REP_BOOL) {
                memset(of->fields[f].bits, 0, bytes);
            }
        }
        of->n = 0;
        of->n_settled = 0;
    }
    batch->n = 0;
    tsn_arena_reset(&batch->text);
}

static inline uint32_t row_add(struct tsn_batch *batch, uint16_t type, tsn_event_ms time_ms,
                               uint16_t source, int64_t position)
{
    TSN_MUST(batch->n < batch->cap && type < batch->prog->n_types);
    struct tsn_type_rows *of = &batch->types[type];
    if (!of->row) {
        type_layout(batch, &batch->prog->types[type], of);
    }
    uint32_t at = of->n++;
    of->row[at] = batch->n;
    of->time_ms[at] = time_ms;
    tsn_bits_set(of->fields[0].valid, at);
    batch->rows[batch->n++] = (struct tsn_row){
        .time_ms = time_ms,
        .position = position,
        .at = at,
        .type = type,
        .source = source,
    };
    return at;
}

uint32_t tsn_batch_add(struct tsn_batch *batch, uint16_t type, tsn_event_ms time_ms,
                       uint16_t source, int64_t position)
{
    uint32_t at = row_add(batch, type, time_ms, source, position);
    TSN_MUST(batch->types[type].n_settled == at);
    batch->types[type].n_settled = at + 1;
    return at;
}

void tsn_batch_drop_last(struct tsn_batch *batch)
{
    TSN_MUST(batch->n > 0);
    const struct tsn_row *row = &batch->rows[--batch->n];
    struct tsn_type_rows *of = &batch->types[row->type];
    of->n--;
    of->n_settled = of->n_settled < of->n ? of->n_settled : of->n;
    for (int f = 0; f < batch->prog->types[row->type].n_fields; f++) {
        tsn_bits_clear(of->fields[f].valid, of->n);
        if (of->fields[f].rep == TSN_REP_BOOL) {
            tsn_bits_clear(of->fields[f].bits, of->n);
        }
    }
}

/* ---- rows of other batches -------------------------------------------------------- */

void tsn_batch_refer(struct tsn_batch *dst, const struct tsn_batch *src, uint32_t from, uint32_t to)
{
    TSN_MUST(dst->prog == src->prog && from <= to && to <= src->n);
    for (uint32_t r = from; r < to; r++) {
        const struct tsn_row *row = &src->rows[r];
        uint32_t at = row_add(dst, row->type, row->time_ms, row->source, row->position);
        struct tsn_type_rows *of = &dst->types[row->type];
        if (!of->refs) {
            of->refs = tsn_arena_alloc(&dst->memory, dst->cap * sizeof *of->refs);
        }
        of->refs[at] = (struct tsn_row_ref){src->types[row->type].fields, row->at};
    }
}

/* Where the rows of i's word end, or at end. */
static inline uint32_t word_end(uint32_t i, uint32_t end)
{
    uint32_t next = (i | 63) + 1;
    return next < end ? next : end;
}

/* A loop a representation over cells [from, to): `cells` of the union, valid bits beside. Cells
 * that are missing are copied too, whatever stands there: a branch would cost more. */
#define GATHER(name, type, cells)                                                                  \
    static void gather_##name(struct tsn_column *restrict to, const struct tsn_row_ref *refs,      \
                              int field, uint32_t begin, uint32_t end)                             \
    {                                                                                              \
        type *restrict out = to->cells;                                                            \
        for (uint32_t i = begin; i < end;) {                                                       \
            uint32_t word = i >> 6, stop = word_end(i, end);                                       \
            uint64_t valid = 0;                                                                    \
            for (; i < stop; i++) {                                                                \
                const struct tsn_column *from = &refs[i].fields[field];                            \
                uint32_t at = refs[i].at;                                                          \
                out[i] = from->cells[at];                                                          \
                valid |= (uint64_t)tsn_bits_get(from->valid, at) << (i & 63);                      \
            }                                                                                      \
            to->valid[word] |= valid;                                                              \
        }                                                                                          \
    }

GATHER(words, int64_t, i64)
GATHER(doubles, double, f64)
GATHER(codes, uint16_t, code)
GATHER(texts, struct tsn_str, str)
#undef GATHER

static void gather_bools(struct tsn_column *to, const struct tsn_row_ref *refs, int field,
                         uint32_t begin, uint32_t end)
{
    for (uint32_t i = begin; i < end; i++) {
        const struct tsn_column *from = &refs[i].fields[field];
        uint32_t at = refs[i].at;
        to->bits[i >> 6] |= (uint64_t)tsn_bits_get(from->bits, at) << (i & 63);
        to->valid[i >> 6] |= (uint64_t)tsn_bits_get(from->valid, at) << (i & 63);
    }
}

static void gather(struct tsn_column *to, const struct tsn_row_ref *refs, int field, uint32_t begin,
                   uint32_t end)
{
    switch (to->rep) {
    case TSN_REP_BOOL:
        gather_bools(to, refs, field, begin, end);
        break;
    case TSN_REP_STRING:
        gather_texts(to, refs, field, begin, end);
        break;
    case TSN_REP_ENUM:
        gather_codes(to, refs, field, begin, end);
        break;
    case TSN_REP_DOUBLE:
        gather_doubles(to, refs, field, begin, end);
        break;
    case TSN_REP_INT:
    case TSN_REP_TIME_MS:
    case TSN_REP_DURATION_MS:
    case TSN_REP_MONEY:
        gather_words(to, refs, field, begin, end);
        break;
    case TSN_REP_TIME:
    case TSN_REP_DURATION:
    case TSN_REP_LIST:
    case TSN_REP_NULL:
        TSN_MUST(!"an event field has this representation");
    }
}

void tsn_batch_settle(struct tsn_batch *batch)
{
    for (int t = 0; t < batch->prog->n_types; t++) {
        struct tsn_type_rows *of = &batch->types[t];
        if (of->n_settled == of->n) {
            continue;
        }
        for (int f = 1; f < batch->prog->types[t].n_fields; f++) {
            gather(&of->fields[f], of->refs, f, of->n_settled, of->n);
        }
        of->n_settled = of->n;
    }
}

static void texts_copy(struct tsn_batch *batch, uint32_t from)
{
    for (uint32_t r = from; r < batch->n; r++) {
        const struct tsn_row *row = &batch->rows[r];
        const struct tsn_type_rows *of = &batch->types[row->type];
        for (int f = 1; f < batch->prog->types[row->type].n_fields; f++) {
            struct tsn_column *column = &of->fields[f];
            if (column->rep == TSN_REP_STRING && tsn_bits_get(column->valid, row->at)) {
                struct tsn_str *text = &column->str[row->at];
                text->p = tsn_arena_strdup(&batch->text, text->p, text->len);
            }
        }
    }
}

void tsn_batch_append(struct tsn_batch *dst, const struct tsn_batch *src, uint32_t from,
                      uint32_t to, bool copy_text)
{
    uint32_t first = dst->n;
    tsn_batch_refer(dst, src, from, to);
    tsn_batch_settle(dst);
    if (copy_text) {
        texts_copy(dst, first);
    }
}
