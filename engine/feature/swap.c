/* Swap: another program takes over the rows of features it shares with the old.
 *
 * A feature is the same if its identity is. Features with state keep their group
 * (plan.h), so a new stream is a part of exactly one old stream, or all new. Equal
 * streams keep their cells as they are; a part copies the rows that its features
 * count, with the values that they use. O(state) once a change of program.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/feature/feature.h"
#include "engine/window/pane.h"
#include "rules/must/must.h"

/* How rows of an old stream become rows of a new one. */
struct carry {
    int from;         /* old stream, or TSN_NONE */
    bool whole;       /* the same rows: the cell as it is ... */
    bool relaned;     /* ... but for its totals: rules want its items for other rows */
    int8_t cond[64];  /* of a new filter, the old one; -1: none */
    uint8_t word[64]; /* of a new value, the old word; 0: none */
};

static int item_with(const struct tsn_plan *plan, const struct tsn_plan_stream *stream,
                     uint64_t identity)
{
    for (int i = 0; i < stream->layout.n_items; i++) {
        if (plan->prog->features[stream->features[i]].identity == identity) {
            return i;
        }
    }
    return TSN_NONE;
}

static int cond_index(const struct tsn_plan *plan, const struct tsn_plan_stream *stream, int item)
{
    uint32_t where = plan->prog->features[stream->features[item]].where;
    int c = 0;
    while (stream->conds[c] != where) {
        c++;
    }
    return c;
}

/* Of layouts with the same items. */
static bool lanes_equal(const struct tsn_window_layout *a, const struct tsn_window_layout *b)
{
    bool equal = a->n_lanes == b->n_lanes;
    for (int i = 0; i < a->n_items; i++) {
        equal &= a->items[i].lane == b->items[i].lane;
    }
    return equal;
}

/* Enum codes mean names of one program; a feature over another list of names has
 * another identity, so codes need no translation. */
static void carry_plan(struct carry *carry, const struct tsn_plan *old, const struct tsn_plan *to,
                       const struct tsn_plan_stream *stream)
{
    *carry = (struct carry){.from = TSN_NONE};
    memset(carry->cond, -1, sizeof carry->cond);
    uint64_t identity = to->prog->features[stream->features[0]].identity;
    for (int s = 0; s < old->n_streams && carry->from == TSN_NONE; s++) {
        if (item_with(old, &old->streams[s], identity) != TSN_NONE) {
            carry->from = s;
        }
    }
    if (carry->from == TSN_NONE) {
        return;
    }
    const struct tsn_plan_stream *from = &old->streams[carry->from];
    carry->whole = from->identity == stream->identity;
    carry->relaned = carry->whole && !lanes_equal(&from->layout, &stream->layout);
    for (int i = 0; i < stream->layout.n_items; i++) {
        identity = to->prog->features[stream->features[i]].identity;
        int k = item_with(old, from, identity);
        TSN_MUST(k != TSN_NONE);
        carry->cond[cond_index(to, stream, i)] = (int8_t)cond_index(old, from, k);
        carry->word[stream->layout.items[i].word] = from->layout.items[k].word;
        carry->word[stream->layout.items[i].text] = from->layout.items[k].text;
    }
}

/* Does the row pass filter c of its stream? */
static bool row_passes(const struct tsn_plan_stream *stream, const uint64_t *row, int c)
{
    return stream->n_conds == 1 || (row[1] >> c & 1);
}

static bool row_has(const struct tsn_plan_stream *stream, const uint64_t *row, uint8_t word)
{
    for (int v = 0; v < stream->n_values; v++) {
        const struct tsn_plan_value *value = &stream->values[v];
        if (value->word == word) {
            return value->present == 0 || (row[1] & value->present);
        }
    }
    return false;
}

/* False if no feature of the new stream counts the row. */
static bool row_carry(struct tsn_features *feat, const struct carry *carry,
                      const struct tsn_plan_stream *from, const struct tsn_plan_stream *to,
                      const uint64_t *row, uint64_t *out)
{
    uint64_t bits = 0;
    for (int c = 0; c < to->n_conds; c++) {
        bits |= (uint64_t)row_passes(from, row, carry->cond[c]) << c;
    }
    if (bits == 0) {
        return false;
    }
    out[0] = row[0];
    for (int v = 0; v < to->n_values; v++) {
        const struct tsn_plan_value *value = &to->values[v];
        uint8_t word = carry->word[value->word];
        out[value->word] = 0;
        if (row_has(from, row, word)) {
            out[value->word] =
                value->kind == TSN_WINDOW_TEXT ? tsn_text_copy(&feat->pool, row[word]) : row[word];
            bits |= value->present;
        }
    }
    if (to->layout.has_bits) {
        out[1] = bits;
    }
    if (to->set) {
        out[to->layout.order] = 0;
    }
    return true;
}

/* Item i of the new stream was item items[i] of the old one. */
static void items_carry(const struct tsn_plan *old, const struct tsn_plan_stream *from,
                        const struct tsn_plan *now, const struct tsn_plan_stream *to,
                        uint16_t *items)
{
    for (int i = 0; i < to->layout.n_items; i++) {
        items[i] = (uint16_t)item_with(old, from, now->prog->features[to->features[i]].identity);
    }
}

/* Rows that are more than the new stream keeps wait for the next write, which knows what
 * is dead. */
static void *cell_carry(struct tsn_features *feat, const struct carry *carry,
                        const struct tsn_plan *now, int s, const struct tsn_cell *cell)
{
    const struct tsn_plan_stream *from = &feat->plan.streams[carry->from];
    const struct tsn_plan_stream *to = &now->streams[s];
    struct tsn_window_layout layout = to->layout;
    struct tsn_cell *copy = NULL;
    layout.rows_max = UINT32_MAX;
    if (tsn_cell_panes(cell)) {
        uint16_t items[TSN_PLAN_ITEMS_MAX];
        items_carry(&feat->plan, from, now, to, items);
        copy = tsn_cell_new(&layout, &feat->pool);
        tsn_panes_carry(tsn_cell_panes(cell), &from->layout, copy, &layout, &feat->pool, items);
    }
    for (uint32_t i = 0; i < cell->n; i++) {
        if (row_carry(feat, carry, from, to, tsn_cell_row(cell, &from->layout, i), feat->row)) {
            if (!copy) {
                copy = tsn_cell_new(&layout, &feat->pool);
            }
            tsn_cell_write(&copy, &layout, &feat->pool, feat->row, INT64_MIN);
        }
    }
    feat->n_rows += copy ? copy->n : 0;
    return copy;
}

/* An entity's new cells, [n_streams of the new plan]. */
static void entity_carry(struct tsn_features *feat, struct tsn_entity *entity,
                         const struct carry *carries, const struct tsn_plan *to, void **cells)
{
    for (int s = 0; s < to->n_streams; s++) {
        const struct carry *carry = &carries[s];
        cells[s] = NULL;
        void **place =
            carry->from == TSN_NONE ? NULL : tsn_entity_cell(entity, (uint16_t)carry->from);
        if (!place) {
            continue;
        }
        if (carry->whole) {
            cells[s] = *place;
            if (carry->relaned) {
                tsn_cell_relane(*place, &feat->plan.streams[carry->from].layout,
                                &to->streams[s].layout, &feat->pool);
            }
        } else if (!to->streams[s].pair) {
            cells[s] = cell_carry(feat, carry, to, s, *place);
        }
    }
}

static void entity_swap(struct tsn_features *feat, struct tsn_entity *entity,
                        const struct tsn_plan *to, const struct carry *carries, void **cells)
{
    entity_carry(feat, entity, carries, to, cells);
    for (unsigned i = entity->n; i-- > 0;) {
        uint16_t s;
        void **place = tsn_entity_cell_at(entity, i, &s);
        bool kept = false;
        for (int k = 0; k < to->n_streams; k++) {
            kept |= cells[k] == *place;
        }
        if (kept) {
            tsn_entity_cell_remove(entity, &feat->pool, i);
        } else {
            tsn_features_cell_drop(feat, entity, i);
        }
    }
    for (int s = 0; s < to->n_streams; s++) {
        if (cells[s]) {
            *tsn_entity_cell_add(entity, &feat->pool, (uint16_t)s) = cells[s];
        }
    }
}

static void swap_to(struct tsn_features *feat, const struct tsn_program *prog,
                    const struct tsn_plan_group *groups, size_t n_groups, uint32_t next_group)
{
    struct tsn_plan to;
    tsn_plan_init(&to, prog, groups, n_groups, next_group);
    size_t n = (size_t)to.n_streams + 1;
    struct carry *carries = tsn_arena_alloc(&to.arena, n * sizeof *carries);
    void **cells = tsn_arena_alloc(&to.arena, n * sizeof *cells);
    for (int s = 0; s < to.n_streams; s++) {
        carry_plan(&carries[s], &feat->plan, &to, &to.streams[s]);
    }
    for (uint32_t i = 0; i < feat->entities.n_numbers; i++) {
        if (tsn_table_lives(&feat->entities, i)) {
            entity_swap(feat, tsn_table_record(&feat->entities, i), &to, carries, cells);
        }
    }
    tsn_plan_free(&to);
    tsn_plan_free(&feat->plan);
    tsn_arena_free(&feat->memory);
    tsn_features_enter(feat, prog, groups, n_groups, next_group);
    feat->regrouped = true;
}

void tsn_features_swap(struct tsn_features *feat, const struct tsn_program *prog)
{
    TSN_MUST(!feat->cut.runs && feat->resident.cold.n == 0);
    feat->resident.saved = 0; /* the store has records of the old program */
    size_t n = (size_t)feat->prog->n_features + 1;
    struct tsn_plan_group *groups = malloc(n * sizeof *groups);
    TSN_MUST_ALLOC(groups);
    size_t n_groups = tsn_plan_groups(&feat->plan, groups);
    swap_to(feat, prog, groups, n_groups, feat->plan.next_group);
    feat->all_dirty = true;
    free(groups);
}

void tsn_features_regroup(struct tsn_features *feat, const struct tsn_plan_group *groups,
                          size_t n_groups, uint32_t next_group)
{
    swap_to(feat, feat->prog, groups, n_groups, next_group);
}
