/* The record of an entity:
 *
 *   format (2: panes stand behind the rows of every log, see pane.c), newest time, n cells, each:
 *     identity of its stream, then rows - or, for pairs, n entries, each:
 *       key of the fields behind the first (16), newest time, order, rows
 *   rows: n, each: time since the row before, bits if the stream has them, and the
 *     values: 8 bytes for hashes and doubles, length + 1 and bytes for text (0: no
 *     text), zigzag for the rest
 */
#include <string.h>

#include "engine/entity/key.h"
#include "engine/snapshot/numbers.h"
#include "engine/snapshot/snapshot.h"
#include "engine/window/pane.h"
#include "rules/must/must.h"

enum { ROWS_AT_ONCE = 512 };

/* ---- out --------------------------------------------------------------------------- */

static void value_put(struct tsn_snapshot_bytes *bytes, const struct tsn_plan_value *value,
                      uint64_t word)
{
    const struct tsn_text *text = NULL;
    switch (value->kind) {
    case TSN_WINDOW_HASH:
    case TSN_WINDOW_DOUBLE:
        tsn_snapshot_put_u64(bytes, word);
        return;
    case TSN_WINDOW_INTEGER:
        tsn_snapshot_put_signed(bytes, (int64_t)word);
        return;
    case TSN_WINDOW_TEXT:
        text = (const struct tsn_text *)(uintptr_t)word;
        tsn_snapshot_put_count(bytes, text ? (uint64_t)text->len + 1 : 0);
        if (text) {
            tsn_snapshot_put(bytes, text->p, text->len);
        }
        return;
    }
}

static void texts_put(struct tsn_snapshot_bytes *bytes, const struct tsn_plan_stream *stream,
                      const uint64_t *row, uint32_t n)
{
    const struct tsn_window_layout *layout = &stream->layout;
    uint64_t time = 0;
    for (uint32_t i = 0; i < n; i++, row += layout->stride) {
        tsn_snapshot_put_signed(bytes, (int64_t)(row[0] - time));
        time = row[0];
        if (layout->has_bits) {
            tsn_snapshot_put_count(bytes, row[1]);
        }
        for (int v = 0; v < stream->n_values; v++) {
            value_put(bytes, &stream->values[v], row[stream->values[v].word]);
        }
    }
}

static void log_put(struct tsn_snapshot_bytes *bytes, const struct tsn_plan_stream *stream,
                    const struct tsn_cell *cell, tsn_event_ms dead_ms)
{
    const struct tsn_window_layout *layout = &stream->layout;
    uint32_t first = tsn_cell_after(cell, layout, dead_ms);
    uint32_t n = cell->n - first;
    const uint64_t *row = tsn_cell_row(cell, layout, first);
    tsn_snapshot_put_count(bytes, n);
    if (layout->n_texts) {
        texts_put(bytes, stream, row, n);
        return;
    }
    uint64_t time = 0;
    while (n > 0) { /* no number is longer than a count: room for some rows at once */
        uint32_t some = n < ROWS_AT_ONCE ? n : ROWS_AT_ONCE;
        tsn_snapshot_room(bytes, tsn_snapshot_numbers_room(stream, some));
        uint8_t *end = tsn_snapshot_numbers_put(bytes->p + bytes->n, stream, time, row, some);
        bytes->n = (size_t)(end - bytes->p);
        row += (size_t)some * layout->stride;
        time = (row - layout->stride)[0];
        n -= some;
    }
}

static void rows_put(struct tsn_snapshot_bytes *bytes, uint8_t format,
                     const struct tsn_plan_stream *stream, const struct tsn_cell *cell,
                     tsn_event_ms dead_ms)
{
    log_put(bytes, stream, cell, dead_ms);
    if (format == TSN_SNAPSHOT_PANES) {
        tsn_snapshot_panes_put(bytes, &stream->layout, cell, dead_ms);
    }
}

static void pairs_put(struct tsn_snapshot_bytes *bytes, uint8_t format,
                      const struct tsn_features *feat, const struct tsn_plan_stream *stream,
                      const struct tsn_pairs *pairs, tsn_event_ms dead_ms)
{
    tsn_snapshot_put_count(bytes, pairs->n);
    for (uint32_t i = 0; i < pairs->n; i++) {
        const struct tsn_pair *pair = tsn_table_record(&feat->pairs, pairs->heap[i]);
        tsn_snapshot_put_u64(bytes, pair->rest.lo);
        tsn_snapshot_put_u64(bytes, pair->rest.hi);
        tsn_snapshot_put_u64(bytes, (uint64_t)pair->newest_ms);
        tsn_snapshot_put_count(bytes, pair->newest_order);
        rows_put(bytes, format, stream, pair->cell, dead_ms);
    }
}

void tsn_snapshot_entity_bytes(struct tsn_key key, uint8_t bytes[16])
{
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(key.lo >> (8 * i));
        bytes[8 + i] = (uint8_t)(key.hi >> (8 * i));
    }
}

static uint8_t format_of(const struct tsn_features *feat, struct tsn_entity *entity)
{
    bool panes = false;
    for (unsigned i = 0; i < entity->n; i++) {
        uint16_t s;
        const void *cell = *tsn_entity_cell_at(entity, i, &s);
        const struct tsn_pairs *pairs = feat->plan.streams[s].pair ? cell : NULL;
        for (uint32_t k = 0; pairs && k < pairs->n; k++) {
            const struct tsn_pair *pair = tsn_table_record(&feat->pairs, pairs->heap[k]);
            panes |= tsn_cell_panes(pair->cell) != NULL;
        }
        panes |= !pairs && tsn_cell_panes(cell);
    }
    return panes ? TSN_SNAPSHOT_PANES : TSN_SNAPSHOT_FORMAT;
}

static size_t entity_take(void *user, struct tsn_entity *entity)
{
    struct tsn_snapshot_out *out = user;
    const struct tsn_features *feat = out->feat;
    struct tsn_snapshot_bytes *bytes = &out->bytes;
    bytes->n = 0;
    uint8_t format = format_of(feat, entity);
    tsn_snapshot_put_u8(bytes, format);
    tsn_snapshot_put_u64(bytes, (uint64_t)entity->newest_ms);
    tsn_snapshot_put_count(bytes, entity->n);
    for (unsigned i = 0; i < entity->n; i++) {
        uint16_t s;
        const void *cell = *tsn_entity_cell_at(entity, i, &s);
        const struct tsn_plan_stream *stream = &feat->plan.streams[s];
        tsn_event_ms dead_ms = tsn_features_dead(feat, out->newest_ms, stream->layout.keep_ms);
        tsn_snapshot_put_u64(bytes, stream->identity);
        if (stream->pair) {
            pairs_put(bytes, format, feat, stream, cell, dead_ms);
        } else {
            rows_put(bytes, format, stream, cell, dead_ms);
        }
    }
    struct tsn_snapshot_record record = {
        .section = TSN_SNAPSHOT_ENTITY, .bytes = bytes->p, .len = bytes->n};
    tsn_snapshot_entity_bytes(entity->key, record.key);
    out->sink(out->user, &record);
    out->n++;
    return record.len;
}

static size_t gone_take(void *user, struct tsn_key key)
{
    struct tsn_snapshot_out *out = user;
    struct tsn_snapshot_record record = {.section = TSN_SNAPSHOT_ENTITY};
    tsn_snapshot_entity_bytes(key, record.key);
    out->sink(out->user, &record);
    out->n++;
    return 0;
}

void tsn_snapshot_entities_begin(struct tsn_snapshot_out *out, bool whole)
{
    const struct tsn_features_taker taker = {.entity = entity_take, .gone = gone_take, .user = out};
    tsn_features_cut_begin(out->feat, whole, &taker);
}

/* ---- in ---------------------------------------------------------------------------- */

/* One value; false if no row could have it. */
static bool value_get(struct tsn_snapshot_reader *reader, struct tsn_features *feat,
                      const struct tsn_plan_value *value, const struct tsn_field *field,
                      uint64_t *word)
{
    if (value->kind == TSN_WINDOW_HASH || value->kind == TSN_WINDOW_DOUBLE) {
        *word = tsn_snapshot_get_u64(reader);
        return true;
    }
    if (value->kind == TSN_WINDOW_INTEGER) {
        *word = (uint64_t)tsn_snapshot_get_signed(reader);
        if (field->rep == TSN_REP_ENUM) {
            return *word < field->dict.n;
        }
        return field->rep != TSN_REP_BOOL || *word <= 1;
    }
    uint64_t len = tsn_snapshot_get_count(reader);
    const uint8_t *p = len ? tsn_snapshot_get(reader, len - 1) : NULL;
    if (!p) {
        return true;
    }
    *word = tsn_text_make(&feat->pool, p, (uint32_t)(len - 1));
    return len - 1 <= UINT32_MAX;
}

/* The values of a row. Whatever happens, row holds texts that can be freed. */
static bool row_get(struct tsn_snapshot_reader *reader, struct tsn_features *feat,
                    const struct tsn_plan_stream *stream, uint64_t *row)
{
    const struct tsn_field *fields = feat->prog->types[stream->event].fields;
    bool right = true;
    if (stream->set) {
        row[stream->layout.order] = 0; /* before every row of a batch */
    }
    if (stream->layout.has_bits) {
        row[1] = tsn_snapshot_get_count(reader);
    }
    for (int v = 0; v < stream->n_values; v++) {
        const struct tsn_plan_value *value = &stream->values[v];
        uint64_t *word = &row[value->word];
        *word = 0;
        right &= value_get(reader, feat, value, &fields[value->field], word);
        bool has = value->present == 0 || (row[1] & value->present);
        right &= value->kind != TSN_WINDOW_TEXT || has == (*word != 0);
    }
    return right && !reader->wrong &&
           (!stream->layout.has_bits || (row[1] & ~tsn_snapshot_bits_known(stream)) == 0);
}

/* Of a row, at least. */
static size_t row_bytes(const struct tsn_plan_stream *stream)
{
    size_t bytes = 1 + (size_t)stream->layout.has_bits;
    for (int v = 0; v < stream->n_values; v++) {
        enum tsn_window_kind kind = stream->values[v].kind;
        bytes += kind == TSN_WINDOW_HASH || kind == TSN_WINDOW_DOUBLE ? sizeof(uint64_t) : 1;
    }
    return bytes;
}

/* n rows of any kind, one by one. */
static void mixed_get(struct tsn_snapshot_reader *reader, struct tsn_features *feat,
                      const struct tsn_plan_stream *stream, struct tsn_cell *cell, uint64_t n)
{
    struct tsn_snapshot_reader at = *reader; /* one that stays in registers */
    uint64_t *row = cell->words;
    int64_t time_ms = 0;
    for (uint64_t i = 0; i < n && !at.wrong; i++, row += stream->layout.stride) {
        int64_t step_ms = tsn_snapshot_get_signed(&at);
        at.wrong |= __builtin_add_overflow(time_ms, step_ms, &time_ms) || (i && step_ms < 0);
        row[0] = (uint64_t)time_ms;
        at.wrong |= !row_get(&at, feat, stream, row);
        cell->n++;
    }
    *reader = at;
}

/* Rows that are more than the stream keeps wait for the next write, which knows what is
 * dead. */
static struct tsn_cell *rows_get(struct tsn_snapshot_reader *reader, uint8_t format,
                                 struct tsn_features *feat, const struct tsn_plan_stream *stream)
{
    const struct tsn_window_layout *layout = &stream->layout;
    uint64_t n = tsn_snapshot_get_items(reader, row_bytes(stream));
    struct tsn_cell *cell = tsn_cell_for(layout, &feat->pool, n);
    if (tsn_snapshot_numbers_alone(stream)) {
        const struct tsn_field *fields = feat->prog->types[stream->event].fields;
        tsn_snapshot_numbers_get(reader, stream, fields, cell->words, (uint32_t)n);
        cell->n = reader->wrong ? 0 : (uint32_t)n;
    } else {
        mixed_get(reader, feat, stream, cell, n);
    }
    tsn_cell_filled(cell, layout, &feat->pool);
    if (format == TSN_SNAPSHOT_PANES) {
        tsn_snapshot_panes_get(reader, feat, stream, cell);
    }
    feat->n_rows += cell->n;
    return cell;
}

static void pairs_get(struct tsn_snapshot_reader *reader, uint8_t format, struct tsn_features *feat,
                      const struct tsn_plan_stream *stream, struct tsn_key owner, void **place)
{
    struct tsn_pairs *pairs = tsn_pairs_new(&feat->pool);
    *place = pairs;
    uint64_t n = tsn_snapshot_get_items(reader, 2 * sizeof(uint64_t));
    reader->wrong |= n > stream->max_keys;
    for (uint64_t i = 0; i < n && !reader->wrong; i++) {
        struct tsn_key rest = {.lo = tsn_snapshot_get_u64(reader)};
        rest.hi = tsn_snapshot_get_u64(reader);
        struct tsn_key key = tsn_features_salted(stream, tsn_key_under(owner, rest));
        tsn_event_ms newest_ms = (tsn_event_ms)tsn_snapshot_get_u64(reader);
        uint64_t order = tsn_snapshot_get_count(reader);
        if (reader->wrong || (rest.lo | rest.hi) == 0 || (key.lo | key.hi) == 0 ||
            tsn_table_find(&feat->pairs, key)) {
            reader->wrong = true;
            return;
        }
        struct tsn_pair *pair = tsn_features_pair_add(feat, &pairs, key, rest, newest_ms, order);
        *place = pairs;
        pair->cell = rows_get(reader, format, feat, stream);
    }
}

static int stream_with(const struct tsn_plan *plan, uint64_t identity)
{
    for (int s = 0; s < plan->n_streams; s++) {
        if (plan->streams[s].identity == identity) {
            return s;
        }
    }
    return TSN_NONE;
}

static bool cells_get(struct tsn_snapshot_reader *reader, uint8_t format, struct tsn_features *feat,
                      struct tsn_entity *entity)
{
    uint64_t n = tsn_snapshot_get_items(reader, sizeof(uint64_t) + 1);
    for (uint64_t i = 0; i < n && !reader->wrong; i++) {
        int s = stream_with(&feat->plan, tsn_snapshot_get_u64(reader));
        if (s == TSN_NONE || tsn_entity_cell(entity, (uint16_t)s)) {
            return false;
        }
        const struct tsn_plan_stream *stream = &feat->plan.streams[s];
        void **place = tsn_entity_cell_add(entity, &feat->pool, (uint16_t)s);
        if (stream->pair) {
            pairs_get(reader, format, feat, stream, entity->key, place);
        } else {
            *place = rows_get(reader, format, feat, stream);
        }
    }
    return true;
}

struct tsn_key tsn_snapshot_entity_key(const uint8_t bytes[16])
{
    struct tsn_snapshot_reader reader = {.p = bytes, .left = 16};
    struct tsn_key key = {.lo = tsn_snapshot_get_u64(&reader)};
    key.hi = tsn_snapshot_get_u64(&reader);
    return key;
}

enum tsn_snapshot_loaded tsn_snapshot_entity_load(const struct tsn_snapshot_record *record,
                                                  struct tsn_features *feat, const char **why)
{
    struct tsn_snapshot_reader reader = {.p = record->bytes, .left = record->len};
    struct tsn_key key = tsn_snapshot_entity_key(record->key);
    uint8_t format = tsn_snapshot_get_u8(&reader);
    if (format != TSN_SNAPSHOT_FORMAT && format != TSN_SNAPSHOT_PANES) {
        *why = "an entity's record has a format that this version does not know";
        return TSN_SNAPSHOT_WRONG;
    }
    if ((key.lo | key.hi) == 0 || tsn_table_find(&feat->entities, key)) {
        *why = "an entity's record has an impossible key, or comes twice";
        return TSN_SNAPSHOT_WRONG;
    }
    uint32_t number;
    struct tsn_entity *entity = tsn_table_add(&feat->entities, key, &number);
    entity->newest_ms = (tsn_event_ms)tsn_snapshot_get_u64(&reader);
    entity->given = 1; /* of an epoch that no cut has */
    if (!cells_get(&reader, format, feat, entity)) {
        tsn_features_entity_drop(feat, entity);
        *why = "an entity's record holds features that this program does not have";
        return TSN_SNAPSHOT_UNKNOWN;
    }
    if (reader.wrong || reader.left) {
        *why = "an entity's record cannot be read to its end";
        return TSN_SNAPSHOT_WRONG;
    }
    return TSN_SNAPSHOT_LOADED;
}
