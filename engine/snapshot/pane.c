/* The panes of a log in an entity's record, behind its rows:
 *
 *   n panes; if any: newest time that went into them, then each pane:
 *     start, level, newest time, rows, and for each slot of the layout:
 *       n; if any: first and last time, and as the aggregate has it: the word (8 bytes, or
 *       length and bytes of text); the sum, the sums of squares (16 bytes each); a sketch
 *       (number of places that are set, then place and rank of each)
 *
 * Only entities that have panes are written so: format 2 of an entity's record.
 */
#include <string.h>

#include "engine/snapshot/snapshot.h"
#include "engine/window/pane.h"

static bool has_word(const struct tsn_window_item *item)
{
    return item->agg == TSN_AGG_MIN || item->agg == TSN_AGG_MAX || item->agg == TSN_AGG_FIRST ||
           item->agg == TSN_AGG_LAST;
}

/* ---- out --------------------------------------------------------------------------- */

static void put_u128(struct tsn_snapshot_bytes *bytes, unsigned __int128 value)
{
    tsn_snapshot_put_u64(bytes, (uint64_t)value);
    tsn_snapshot_put_u64(bytes, (uint64_t)(value >> 64));
}

static void put_double(struct tsn_snapshot_bytes *bytes, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    tsn_snapshot_put_u64(bytes, bits);
}

static void word_put(struct tsn_snapshot_bytes *bytes, const struct tsn_window_item *item,
                     uint64_t word)
{
    const struct tsn_text *text = (const struct tsn_text *)(uintptr_t)word;
    if (item->kind != TSN_WINDOW_TEXT) {
        tsn_snapshot_put_u64(bytes, word);
        return;
    }
    tsn_snapshot_put_count(bytes, text->len);
    tsn_snapshot_put(bytes, text->p, text->len);
}

static void sketch_put(struct tsn_snapshot_bytes *bytes, const uint8_t *ranks)
{
    unsigned n = 0;
    for (int i = 0; i < TSN_SKETCH_PLACES; i++) {
        n += ranks[i] != 0;
    }
    tsn_snapshot_put_count(bytes, n);
    for (int i = 0; i < TSN_SKETCH_PLACES; i++) {
        if (ranks[i]) {
            tsn_snapshot_put_count(bytes, (uint64_t)i);
            tsn_snapshot_put_u8(bytes, ranks[i]);
        }
    }
}

static void slot_put(struct tsn_snapshot_bytes *bytes, const struct tsn_window_item *item,
                     struct tsn_pane_slot *slot)
{
    tsn_snapshot_put_count(bytes, slot->n);
    if (slot->n == 0) {
        return;
    }
    tsn_snapshot_put_u64(bytes, (uint64_t)slot->first_ms);
    tsn_snapshot_put_u64(bytes, (uint64_t)slot->last_ms);
    if (has_word(item)) {
        word_put(bytes, item, slot->word);
    } else if (item->agg == TSN_AGG_DISTINCT) {
        sketch_put(bytes, tsn_pane_ranks(slot));
    } else if (item->agg == TSN_AGG_STDDEV && item->is_double) {
        put_double(bytes, slot->more.drift.mean);
        put_double(bytes, slot->more.drift.squares);
    } else if (item->agg == TSN_AGG_STDDEV) {
        put_u128(bytes, (unsigned __int128)slot->more.spread.sum);
        put_u128(bytes, slot->more.spread.squares);
        tsn_snapshot_put_u64(bytes, (uint64_t)slot->more.spread.squares_over);
    } else if ((item->agg == TSN_AGG_SUM || item->agg == TSN_AGG_AVG) && item->is_double) {
        put_double(bytes, slot->more.total);
    } else if (item->agg == TSN_AGG_SUM || item->agg == TSN_AGG_AVG) {
        put_u128(bytes, (unsigned __int128)slot->more.sum);
    }
}

void tsn_snapshot_panes_put(struct tsn_snapshot_bytes *bytes,
                            const struct tsn_window_layout *layout, const struct tsn_cell *cell,
                            tsn_event_ms dead_ms)
{
    const struct tsn_panes *panes = tsn_cell_panes(cell);
    uint32_t first = 0;
    while (panes && first < panes->n && panes->at[first]->last_ms <= dead_ms) {
        first++;
    }
    uint32_t n = panes ? panes->n - first : 0;
    tsn_snapshot_put_count(bytes, n);
    if (n) {
        tsn_snapshot_put_u64(bytes, (uint64_t)panes->last_ms);
    }
    for (uint32_t p = first; p < first + n; p++) {
        struct tsn_pane *pane = panes->at[p];
        tsn_snapshot_put_u64(bytes, (uint64_t)pane->start_ms);
        tsn_snapshot_put_u8(bytes, (uint8_t)pane->level);
        tsn_snapshot_put_u64(bytes, (uint64_t)pane->last_ms);
        tsn_snapshot_put_count(bytes, pane->n);
        for (unsigned i = 0; i < layout->n_items; i++) {
            if (layout->items[i].pane_own) {
                slot_put(bytes, &layout->items[i], tsn_pane_slot(pane, &layout->items[i]));
            }
        }
    }
}

/* ---- in ---------------------------------------------------------------------------- */

enum { COUNT_BITS = 48 }; /* of rows: sums of so many stay within 128 bits */

static unsigned __int128 get_u128(struct tsn_snapshot_reader *reader)
{
    uint64_t low = tsn_snapshot_get_u64(reader);
    return low | (unsigned __int128)tsn_snapshot_get_u64(reader) << 64;
}

static double get_double(struct tsn_snapshot_reader *reader)
{
    uint64_t bits = tsn_snapshot_get_u64(reader);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* A sum of n integers of 64 bits. */
static __int128 get_sum(struct tsn_snapshot_reader *reader, uint64_t n)
{
    __int128 sum = (__int128)get_u128(reader);
    __int128 most = (__int128)n << 63;
    reader->wrong |= sum > most || sum < -most;
    return reader->wrong ? 0 : sum;
}

static void word_get(struct tsn_snapshot_reader *reader, struct tsn_features *feat,
                     const struct tsn_plan_stream *stream, const struct tsn_window_item *item,
                     struct tsn_pane_slot *slot)
{
    const struct tsn_field *fields = feat->prog->types[stream->event].fields;
    slot->n = 0; /* until it has its word: what is dropped owns no text */
    if (item->kind == TSN_WINDOW_TEXT) {
        uint64_t len = tsn_snapshot_get_count(reader);
        const uint8_t *p = len <= UINT32_MAX ? tsn_snapshot_get(reader, len) : NULL;
        reader->wrong |= !p;
        if (p) {
            slot->word = tsn_text_make(&feat->pool, p, (uint32_t)len);
        }
        return;
    }
    slot->word = tsn_snapshot_get_u64(reader);
    for (int v = 0; v < stream->n_values; v++) {
        if (stream->values[v].word == item->word) {
            const struct tsn_field *field = &fields[stream->values[v].field];
            reader->wrong |= field->rep == TSN_REP_ENUM && slot->word >= field->dict.n;
            reader->wrong |= field->rep == TSN_REP_BOOL && slot->word > 1;
        }
    }
}

static void sketch_get(struct tsn_snapshot_reader *reader, uint8_t *ranks)
{
    uint64_t n = tsn_snapshot_get_items(reader, 2);
    for (uint64_t i = 0; i < n && !reader->wrong; i++) {
        uint64_t place = tsn_snapshot_get_count(reader);
        uint8_t rank = tsn_snapshot_get_u8(reader);
        reader->wrong |= place >= TSN_SKETCH_PLACES || rank >= TSN_SKETCH_RANKS;
        if (!reader->wrong) {
            ranks[place] = rank;
        }
    }
}

static void slot_get(struct tsn_snapshot_reader *reader, struct tsn_features *feat,
                     const struct tsn_plan_stream *stream, const struct tsn_window_item *item,
                     const struct tsn_pane *pane)
{
    struct tsn_pane_slot *slot = tsn_pane_slot((struct tsn_pane *)(uintptr_t)pane, item);
    uint64_t n = tsn_snapshot_get_count(reader);
    if (n == 0 || reader->wrong) {
        return;
    }
    slot->first_ms = (tsn_event_ms)tsn_snapshot_get_u64(reader);
    slot->last_ms = (tsn_event_ms)tsn_snapshot_get_u64(reader);
    reader->wrong |= n > pane->n || slot->first_ms < pane->start_ms ||
                     slot->first_ms > slot->last_ms || slot->last_ms > pane->last_ms;
    if (has_word(item)) {
        word_get(reader, feat, stream, item, slot);
    } else if (item->agg == TSN_AGG_DISTINCT) {
        sketch_get(reader, tsn_pane_ranks(slot));
    } else if (item->agg == TSN_AGG_STDDEV && item->is_double) {
        slot->more.drift.mean = get_double(reader);
        slot->more.drift.squares = get_double(reader);
    } else if (item->agg == TSN_AGG_STDDEV) {
        slot->more.spread.sum = get_sum(reader, n);
        slot->more.spread.squares = get_u128(reader);
        slot->more.spread.squares_over = (int64_t)tsn_snapshot_get_u64(reader);
        reader->wrong |=
            slot->more.spread.squares_over < 0 || (uint64_t)slot->more.spread.squares_over > n;
    } else if ((item->agg == TSN_AGG_SUM || item->agg == TSN_AGG_AVG) && item->is_double) {
        slot->more.total = get_double(reader);
    } else if (item->agg == TSN_AGG_SUM || item->agg == TSN_AGG_AVG) {
        slot->more.sum = get_sum(reader, n);
    }
    bool no_text = item->kind == TSN_WINDOW_TEXT && slot->word == 0;
    slot->n = no_text ? 0 : n;
}

static bool pane_get(struct tsn_snapshot_reader *reader, struct tsn_features *feat,
                     const struct tsn_plan_stream *stream, struct tsn_panes *panes)
{
    const struct tsn_window_layout *layout = &stream->layout;
    tsn_event_ms start_ms = (tsn_event_ms)tsn_snapshot_get_u64(reader);
    unsigned level = tsn_snapshot_get_u8(reader);
    tsn_event_ms last_ms = (tsn_event_ms)tsn_snapshot_get_u64(reader);
    uint64_t n = tsn_snapshot_get_count(reader);
    if (reader->wrong || level > TSN_PANE_LEVEL_MAX || n == 0 || n >> COUNT_BITS ||
        !tsn_pane_may_follow(panes, start_ms, level, last_ms)) {
        return false;
    }
    struct tsn_pane *pane = tsn_panes_add(panes, layout, &feat->pool, start_ms, level);
    pane->last_ms = last_ms;
    pane->n = n;
    for (unsigned i = 0; i < layout->n_items; i++) {
        if (layout->items[i].pane_own) {
            slot_get(reader, feat, stream, &layout->items[i], pane);
        }
    }
    return !reader->wrong;
}

void tsn_snapshot_panes_get(struct tsn_snapshot_reader *reader, struct tsn_features *feat,
                            const struct tsn_plan_stream *stream, struct tsn_cell *cell)
{
    enum { PANE_BYTES_MIN = 18 };
    uint64_t n = tsn_snapshot_get_items(reader, PANE_BYTES_MIN);
    if (n == 0) {
        return;
    }
    if (n > TSN_PANES_MAX || stream->set) {
        reader->wrong = true;
        return;
    }
    struct tsn_panes *panes = tsn_panes_make(cell, &stream->layout, &feat->pool);
    panes->last_ms = (tsn_event_ms)tsn_snapshot_get_u64(reader);
    for (uint64_t i = 0; i < n && !reader->wrong; i++) {
        reader->wrong |= !pane_get(reader, feat, stream, panes);
    }
    if (!reader->wrong) {
        bool older =
            cell->n && (tsn_event_ms)tsn_cell_row(cell, &stream->layout, 0)[0] < panes->last_ms;
        reader->wrong |= older || panes->at[panes->n - 1]->last_ms > panes->last_ms;
    }
}
