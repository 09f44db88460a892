/* Members: what a set held when a row saw it.
 *
 * Asked after the whole batch has been walked, and only for rows on which a rule that
 * hands the set out has fired: to copy the members of every row that reads a set would
 * cost as much as the walk. So the log is read as of an earlier row. Rows that later
 * rows of the batch wrote are told by their order; rows that E has passed meanwhile
 * are still there, because a set's log drops by E before the batch (walk.c), and
 * entities are freed behind it.
 */
#include <stdlib.h>

#include "engine/engine.h"
#include "engine/entity/key.h"
#include "engine/feature/feature.h"
#include "engine/window/tally.h"
#include "rules/must/must.h"

/* Where a slot's set is kept, and how the event type reads it. */
struct reading {
    int stream;
    int key;
    bool before; /* current: exclude */
};

static bool items_have(const struct tsn_plan_item *items, unsigned n, int slot)
{
    for (unsigned i = 0; i < n; i++) {
        if (items[i].slot == slot) {
            return true;
        }
    }
    return false;
}

static struct reading reading_of(const struct tsn_plan *plan, int type, int slot)
{
    for (int s = 0; s < plan->n_streams; s++) {
        const struct tsn_plan_reads *reads = &plan->streams[s].reads[type];
        for (unsigned v = 0; plan->streams[s].set && v < reads->n; v++) {
            const struct tsn_plan_visit *visit = &reads->visits[v];
            bool before = items_have(visit->before, visit->n_before, slot);
            if (before || items_have(visit->after, visit->n_after, slot)) {
                return (struct reading){.stream = s, .key = visit->key, .before = before};
            }
        }
    }
    TSN_MUST(!"the slot is a set");
    return (struct reading){0};
}

static const struct tsn_cell *cell_of(struct tsn_features *feat, int s, struct tsn_key key)
{
    const struct tsn_entity *entity =
        (key.lo | key.hi) ? tsn_table_find(&feat->entities, key) : NULL;
    void **place =
        entity ? tsn_entity_cell((struct tsn_entity *)(uintptr_t)entity, (uint16_t)s) : NULL;
    return place ? *place : NULL;
}

static struct tsn_value member_value(const struct tsn_window_item *item, const uint64_t *row)
{
    struct tsn_value value = {.state = TSN_STATE_VALUE, .type = {.type = TSN_TYPE_INT}};
    if (item->text) {
        const struct tsn_text *text = (const struct tsn_text *)(uintptr_t)row[item->text];
        value.type.type = TSN_TYPE_STRING;
        value.s = (struct tsn_str){text->p, text->len};
    } else {
        value.i = (int64_t)row[item->word];
    }
    return value;
}

/* Rows [lo, hi) that count and were written up to `order`, newest first, until the set
 * is full and one more is found. */
static void members_collect(struct tsn_features *feat, const struct tsn_cell *cell,
                            const struct tsn_window_layout *layout, uint32_t lo, uint32_t hi,
                            uint64_t order, struct tsn_members *out)
{
    const struct tsn_window_item *item = &layout->items[0];
    struct tsn_tally seen = {0};
    for (uint32_t i = hi; i > lo && !out->full; i--) {
        const uint64_t *row = tsn_cell_row(cell, layout, i - 1);
        if (!tsn_window_counts(item, row) || row[layout->order] > order) {
            continue;
        }
        uint32_t n = seen.n;
        tsn_tally_add(&seen, &feat->pool, row[item->word]);
        if (seen.n > item->max) {
            out->full = true;
        } else if (seen.n > n) {
            feat->members[out->n++] = member_value(item, row);
        }
    }
    tsn_tally_free(&seen, &feat->pool);
    for (uint32_t i = 0; i < out->n / 2; i++) {
        struct tsn_value swap = feat->members[i];
        feat->members[i] = feat->members[out->n - 1 - i];
        feat->members[out->n - 1 - i] = swap;
    }
}

void tsn_features_members(struct tsn_features *feat, uint32_t r, int slot, struct tsn_members *out)
{
    *out = (struct tsn_members){0};
    const struct tsn_row *row = &feat->batch->rows[r];
    if (feat->status[r] == TSN_ROW_TOO_LATE) {
        return;
    }
    if (!feat->members) {
        feat->members = malloc(TSN_SET_MAX * sizeof *feat->members);
        TSN_MUST_ALLOC(feat->members);
    }
    struct reading reading = reading_of(&feat->plan, row->type, slot);
    const struct tsn_window_layout *layout = &feat->plan.streams[reading.stream].layout;
    const struct tsn_key_rows *keys = feat->types[row->type].keys;
    const struct tsn_cell *cell = cell_of(feat, reading.stream, keys[reading.key].keys[row->at]);
    if (!cell) {
        return;
    }
    const struct tsn_window_lane *lane = &layout->lanes[0];
    tsn_event_ms to_ms = tsn_window_minus(
        lane->seen ? keys[reading.key].newest_ms[row->at] : row->time_ms, lane->delay_ms);
    uint32_t hi = tsn_cell_after(cell, layout, to_ms);
    uint32_t lo = tsn_cell_after(cell, layout, tsn_window_minus(to_ms, lane->window_ms));
    uint64_t own = feat->batch_order + r + 1; /* as its own row has it */
    members_collect(feat, cell, layout, lo, hi, reading.before ? own - 1 : own, out);
    out->values = feat->members;
}
