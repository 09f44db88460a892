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
    }
    batch->n = 0;
    tsn_arena_reset(&batch->text);
}

uint32_t tsn_batch_add(struct tsn_batch *batch, uint16_t type, tsn_event_ms time_ms,
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

void tsn_batch_drop_last(struct tsn_batch *batch)
{
    TSN_MUST(batch->n > 0);
    const struct tsn_row *row = &batch->rows[--batch->n];
    struct tsn_type_rows *of = &batch->types[row->type];
    of->n--;
    for (int f = 0; f < batch->prog->types[row->type].n_fields; f++) {
        tsn_bits_clear(of->fields[f].valid, of->n);
        if (of->fields[f].rep == TSN_REP_BOOL) {
            tsn_bits_clear(of->fields[f].bits, of->n);
        }
    }
}

static void cell_copy(struct tsn_batch *dst, struct tsn_column *to, uint32_t to_at,
                      const struct tsn_column *from, uint32_t from_at, bool copy_text)
{
    if (!tsn_bits_get(from->valid, from_at)) {
        return;
    }
    tsn_bits_set(to->valid, to_at);
    switch (from->rep) {
    case TSN_REP_BOOL:
        if (tsn_bits_get(from->bits, from_at)) {
            tsn_bits_set(to->bits, to_at);
        }
        break;
    case TSN_REP_STRING:
        to->str[to_at] = from->str[from_at];
        if (copy_text) {
            to->str[to_at].p =
                tsn_arena_strdup(&dst->text, from->str[from_at].p, from->str[from_at].len);
        }
        break;
    case TSN_REP_ENUM:
        to->code[to_at] = from->code[from_at];
        break;
    case TSN_REP_INT:
    case TSN_REP_DOUBLE:
    case TSN_REP_TIME_MS:
    case TSN_REP_DURATION_MS:
    case TSN_REP_MONEY:
        to->i64[to_at] = from->i64[from_at];
        break;
    case TSN_REP_TIME:
    case TSN_REP_DURATION:
    case TSN_REP_LIST:
    case TSN_REP_NULL:
        TSN_MUST(!"an event field has this representation");
    }
}

void tsn_batch_append(struct tsn_batch *dst, const struct tsn_batch *src, uint32_t from,
                      uint32_t to, bool copy_text)
{
    TSN_MUST(dst->prog == src->prog && from <= to && to <= src->n);
    for (uint32_t r = from; r < to; r++) {
        const struct tsn_row *row = &src->rows[r];
        uint32_t at = tsn_batch_add(dst, row->type, row->time_ms, row->source, row->position);
        const struct tsn_type_rows *of = &src->types[row->type];
        for (int f = 1; f < src->prog->types[row->type].n_fields; f++) {
            cell_copy(dst, &dst->types[row->type].fields[f], at, &of->fields[f], row->at,
                      copy_text);
        }
    }
}
