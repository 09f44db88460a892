/* Sweep: memory of rows that nothing reads any more. An entity that stays silent
 * is never written again, so nobody else would free it. A few entities after each
 * batch; no value changes by it. */
#include <stdlib.h>

#include "engine/entity/ask.h"
#include "engine/feature/feature.h"
#include "engine/window/pane.h"
#include "rules/must/must.h"

static bool pairs_expire(struct tsn_features *feat, const struct tsn_plan_stream *stream,
                         struct tsn_pairs *pairs, tsn_event_ms dead_ms)
{
    while (pairs->n) {
        struct tsn_pair *oldest = tsn_pairs_oldest(pairs, &feat->pairs);
        if (oldest->newest_ms > dead_ms) {
            break;
        }
        tsn_features_pair_drop(feat, stream, pairs, oldest);
    }
    for (uint32_t i = 0; i < pairs->n; i++) {
        struct tsn_pair *pair = tsn_table_record(&feat->pairs, pairs->heap[i]);
        struct tsn_cell *cell = pair->cell;
        uint32_t n = cell->n;
        tsn_cell_expire(&cell, &stream->layout, &feat->pool, dead_ms);
        pair->cell = cell;
        feat->n_rows -= n - cell->n;
    }
    return pairs->n == 0;
}

static bool cell_expire(struct tsn_features *feat, const struct tsn_plan_stream *stream,
                        void **place, tsn_event_ms dead_ms)
{
    struct tsn_cell *cell = *place;
    uint32_t n = cell->n;
    tsn_cell_expire(&cell, &stream->layout, &feat->pool, dead_ms);
    *place = cell;
    feat->n_rows -= n - cell->n;
    return cell->n == 0 && !tsn_cell_panes(cell);
}

void tsn_features_gone(struct tsn_features *feat, struct tsn_key key)
{
    if (feat->n_gone == feat->gone_cap) {
        feat->gone_cap = feat->gone_cap ? feat->gone_cap * 2 : 256;
        feat->gone = realloc(feat->gone, feat->gone_cap * sizeof *feat->gone);
        TSN_MUST_ALLOC(feat->gone);
    }
    feat->gone[feat->n_gone++] = key;
}

static void entity_expire(struct tsn_features *feat, struct tsn_entity *entity,
                          tsn_event_ms newest_ms)
{
    for (unsigned i = entity->n; i-- > 0;) {
        uint16_t s;
        void **place = tsn_entity_cell_at(entity, i, &s);
        const struct tsn_plan_stream *stream = &feat->plan.streams[s];
        tsn_event_ms dead_ms = tsn_features_dead(feat, newest_ms, stream->layout.keep_ms);
        bool empty = stream->pair ? pairs_expire(feat, stream, *place, dead_ms)
                                  : cell_expire(feat, stream, place, dead_ms);
        if (empty) {
            tsn_features_cell_drop(feat, entity, i);
        }
    }
    /* Its newest time matters to `at: seen` while a row in time may be older. */
    if (entity->n == 0 && entity->newest_ms <= tsn_features_dead(feat, newest_ms, 0)) {
        if (entity->given) {
            tsn_features_gone(feat, entity->key);
        }
        struct tsn_key key = entity->key;
        tsn_table_remove(&feat->entities, key);
    }
}

void tsn_features_sweep(struct tsn_features *feat, uint32_t n, tsn_event_ms newest_ms)
{
    enum { AHEAD = 4 };
    uint32_t n_numbers = feat->entities.n_numbers;
    if (feat->cut.runs && feat->cut.n_gone) {
        return; /* an entity that came back may not go again before the cut has seen it */
    }
    n = n < n_numbers ? n : n_numbers;
    for (uint32_t i = 0; i < n; i++) {
        if (feat->sweep_at >= n_numbers) {
            feat->sweep_at = 0;
        }
        if (feat->sweep_at + AHEAD < n_numbers) {
            const struct tsn_entity *ahead =
                tsn_table_record(&feat->entities, feat->sweep_at + AHEAD);
            tsn_ask(ahead->cells[0]);
        }
        struct tsn_entity *entity = tsn_table_record(&feat->entities, feat->sweep_at);
        bool waits = feat->cut.runs && tsn_features_due(feat, entity); /* it is given as it was */
        if (tsn_table_lives(&feat->entities, feat->sweep_at) && !waits) {
            entity_expire(feat, entity, newest_ms);
        }
        feat->sweep_at++;
    }
}
