#include "connectors/file/matrix.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/alert/text.h"
#include "rules/must/must.h"

enum column_kind { COLUMN_FEATURE, COLUMN_RULE, COLUMN_TYPOLOGY };

struct export_column {
    const char *name;
    enum column_kind kind;
    int index;       /* feature, rule or typology */
    const int *slot; /* COLUMN_FEATURE: [n_types] slot of each type, or TSN_NONE */
};

struct tsn_matrix {
    FILE *out;
    const struct tsn_origin *origins;
    size_t n_origins;
    struct tsn_arena arena;
    const struct tsn_program *prog; /* whose columns these are */
    size_t n_columns;
    struct export_column *columns;
    const struct tsn_column **cells; /* [n_types][n_columns] of the batch at hand */
};

struct tsn_matrix *tsn_matrix_new(FILE *out, const struct tsn_origin *origins, size_t n_origins)
{
    struct tsn_matrix *features = calloc(1, sizeof *features);
    TSN_MUST_ALLOC(features);
    features->out = out;
    features->origins = origins;
    features->n_origins = n_origins;
    tsn_arena_init(&features->arena, 0);
    return features;
}

void tsn_matrix_free(struct tsn_matrix *features)
{
    if (!features) {
        return;
    }
    tsn_arena_free(&features->arena);
    free(features);
}

/* ---- columns ------------------------------------------------------------------- */

static int slot_named(const struct tsn_event_type *type, int feature, const char *name)
{
    for (int s = 0; s < type->n_slots; s++) {
        if (type->slots[s].feature == feature && strcmp(type->slots[s].name, name) == 0) {
            return s;
        }
    }
    return TSN_NONE;
}

static void column_add(struct tsn_matrix *features, enum column_kind kind, int index,
                       const char *name)
{
    const struct tsn_program *prog = features->prog;
    int *slot = NULL;
    if (kind == COLUMN_FEATURE) {
        slot = tsn_arena_alloc(&features->arena, (size_t)prog->n_types * sizeof *slot);
        for (int t = 0; t < prog->n_types; t++) {
            slot[t] = slot_named(&prog->types[t], index, name);
        }
    }
    features->columns[features->n_columns++] = (struct export_column){name, kind, index, slot};
}

static bool has_column(const struct tsn_matrix *features, size_t from, const char *name)
{
    for (size_t i = from; i < features->n_columns; i++) {
        if (strcmp(features->columns[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* The names under which event types read a feature, in the types' order. */
static void feature_columns(struct tsn_matrix *features, int feature)
{
    const struct tsn_program *prog = features->prog;
    size_t from = features->n_columns;
    for (int t = 0; t < prog->n_types; t++) {
        for (int s = 0; s < prog->types[t].n_slots; s++) {
            const struct tsn_slot *slot = &prog->types[t].slots[s];
            if (slot->feature == feature && !has_column(features, from, slot->name)) {
                column_add(features, COLUMN_FEATURE, feature, slot->name);
            }
        }
    }
    if (features->n_columns == from) {
        column_add(features, COLUMN_FEATURE, feature, prog->features[feature].name);
    }
}

static void resolve(struct tsn_matrix *features, const struct tsn_program *prog)
{
    size_t cap = (size_t)prog->n_features + (size_t)prog->n_rules + (size_t)prog->n_typologies;
    for (int t = 0; t < prog->n_types; t++) {
        cap += (size_t)prog->types[t].n_slots;
    }
    tsn_arena_reset(&features->arena);
    features->prog = prog;
    features->n_columns = 0;
    features->columns = tsn_arena_zalloc(&features->arena, cap + 1, sizeof *features->columns);
    for (int i = 0; i < prog->n_features; i++) {
        feature_columns(features, i);
    }
    for (int i = 0; i < prog->n_rules; i++) {
        column_add(features, COLUMN_RULE, i, prog->rules[i].id);
    }
    for (int i = 0; i < prog->n_typologies; i++) {
        column_add(features, COLUMN_TYPOLOGY, i, prog->typologies[i].id);
    }
    features->cells =
        tsn_arena_zalloc(&features->arena, ((size_t)prog->n_types * features->n_columns) + 1,
                         sizeof *features->cells);
}

static const struct tsn_column *cells_of(const struct tsn_engine *eng,
                                         const struct tsn_program *prog,
                                         const struct export_column *column, int type)
{
    switch (column->kind) {
    case COLUMN_FEATURE:
        return column->slot[type] == TSN_NONE ? NULL
                                              : &tsn_engine_slots(eng, type)[column->slot[type]];
    case COLUMN_RULE:
        return prog->rules[column->index].event == type ? tsn_engine_rule(eng, column->index)
                                                        : NULL;
    case COLUMN_TYPOLOGY:
        return tsn_engine_score(eng, column->index, type);
    }
    return NULL;
}

/* ---- cells --------------------------------------------------------------------- */

/* RFC 4180: quoted where a comma, a quote or a line end stands, quotes doubled. */
static void put_text(FILE *out, const char *p, size_t len)
{
    bool plain = true;
    for (size_t i = 0; i < len && plain; i++) {
        plain = p[i] != ',' && p[i] != '"' && p[i] != '\n' && p[i] != '\r';
    }
    if (plain) {
        fwrite(p, 1, len, out);
        return;
    }
    fputc('"', out);
    for (size_t i = 0; i < len; i++) {
        if (p[i] == '"') {
            fputc('"', out);
        }
        fputc(p[i], out);
    }
    fputc('"', out);
}

static void put_ms(FILE *out, struct tsn_time time)
{
    fprintf(out, "%" PRId64, time.s * 1000 + time.ns / 1000000);
}

static void put_double(FILE *out, double d)
{
    char room[TSN_TEXT_MAX];
    size_t len = tsn_text_double(d, room);
    fwrite(room, 1, len, out);
}

static void put_cell(FILE *out, const struct tsn_column *column, uint32_t row)
{
    struct tsn_value value;
    if (!column || !tsn_bits_get(column->valid, row)) {
        return;
    }
    tsn_column_value(column, row, &value);
    if (value.state != TSN_STATE_VALUE) {
        return;
    }
    switch (value.type.type) {
    case TSN_TYPE_BOOL:
        fputc(value.b ? '1' : '0', out);
        return;
    case TSN_TYPE_INT:
        fprintf(out, "%" PRId64, value.i);
        return;
    case TSN_TYPE_DOUBLE:
        put_double(out, value.d);
        return;
    case TSN_TYPE_STRING:
        put_text(out, value.s.p, value.s.len);
        return;
    case TSN_TYPE_TIMESTAMP:
    case TSN_TYPE_DURATION:
        put_ms(out, value.t);
        return;
    case TSN_TYPE_NULL:
    case TSN_TYPE_LIST:
    case TSN_TYPE_HANDLE:
        return;
    }
}

static void put_header(struct tsn_matrix *features)
{
    fputs("source,line,event,id,time_ms", features->out);
    for (size_t c = 0; c < features->n_columns; c++) {
        fputc(',', features->out);
        put_text(features->out, features->columns[c].name, strlen(features->columns[c].name));
    }
    fputs("\r\n", features->out);
}

static void put_row(struct tsn_matrix *features, const struct tsn_batch *batch,
                    const struct tsn_row *row)
{
    FILE *out = features->out;
    const struct tsn_event_type *type = &features->prog->types[row->type];
    const char *source =
        row->source < features->n_origins ? features->origins[row->source].topic : "";
    put_text(out, source, strlen(source));
    fprintf(out, ",%" PRId64 ",", row->position);
    put_text(out, type->name, strlen(type->name));
    fputc(',', out);
    if (type->id_field != TSN_NONE) {
        put_cell(out, &batch->types[row->type].fields[type->id_field], row->at);
    }
    fprintf(out, ",%" PRId64, row->time_ms);
    const struct tsn_column **cells = features->cells + (size_t)row->type * features->n_columns;
    for (size_t c = 0; c < features->n_columns; c++) {
        fputc(',', out);
        put_cell(out, cells[c], row->at);
    }
    fputs("\r\n", out);
}

void tsn_matrix_program(struct tsn_matrix *features, const struct tsn_program *prog)
{
    if (features->prog != prog) {
        resolve(features, prog);
        put_header(features);
    }
}

void tsn_matrix_rows(struct tsn_matrix *features, const struct tsn_engine *eng,
                     const struct tsn_program *prog, const struct tsn_batch *batch)
{
    tsn_matrix_program(features, prog);
    for (int t = 0; t < prog->n_types; t++) {
        for (size_t c = 0; c < features->n_columns && batch->types[t].n > 0; c++) {
            features->cells[(size_t)t * features->n_columns + c] =
                cells_of(eng, prog, &features->columns[c], t);
        }
    }
    const uint8_t *status = tsn_engine_status(eng);
    for (uint32_t r = 0; r < batch->n; r++) {
        if (status[r] != TSN_ROW_DUPLICATE) {
            put_row(features, batch, &batch->rows[r]);
        }
    }
}
