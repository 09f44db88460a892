/* Cut: the state as of one moment, given away while rows go on changing it.
 *
 * A cut counts up the epoch and takes the list of what changed; both cost nothing, so
 * the engine does not stop. What is in the list is given bit by bit, and whatever is
 * about to change before its turn is given first (tsn_features_touch): each entity goes
 * once, as it was when the cut began. The alternatives lost: one pass at the barrier
 * stops the engine for as long as the state is large, and fork doubles page faults and
 * cannot be done beside threads of libraries.
 */
#include <stdlib.h>

#include "engine/entity/ask.h"
#include "engine/feature/feature.h"
#include "rules/must/must.h"

enum {
    LOOK_BYTES = 32, /* what a look at an entity costs, in bytes of a record */
    AHEAD = 8,       /* entities between asking for one and giving it */
};

void tsn_features_cut_begin(struct tsn_features *feat, bool whole,
                            const struct tsn_features_taker *taker)
{
    struct tsn_features_cut *cut = &feat->cut;
    TSN_MUST(!cut->runs && feat->epoch < UINT32_MAX);
    struct tsn_features_cut last = *cut;
    *cut = (struct tsn_features_cut){
        .runs = true,
        .all = whole || feat->all_dirty,
        .taker = *taker,
        .dirty = feat->dirty,
        .n_dirty = feat->n_dirty,
        .dirty_cap = feat->dirty_cap,
        .gone = feat->gone,
        .n_gone = feat->n_gone,
        .gone_cap = feat->gone_cap,
        .number_end = feat->entities.n_numbers,
    };
    feat->dirty = last.dirty; /* the lists change places: no memory is asked for */
    feat->dirty_cap = last.dirty_cap;
    feat->n_dirty = 0;
    feat->gone = last.gone;
    feat->gone_cap = last.gone_cap;
    feat->n_gone = 0;
    feat->all_dirty = false;
    feat->epoch++;
    if (cut->all) { /* it replaces what the store has, or says it anew */
        TSN_MUST(feat->resident.cold.n == 0);
        feat->resident.saved = 0;
    }
}

size_t tsn_features_give(struct tsn_features *feat, struct tsn_entity *entity)
{
    entity->given = feat->epoch;
    return feat->cut.taker.entity(feat->cut.taker.user, entity);
}

/* Entities that went before the cut, unless they had come back by then. */
static void gone_give(struct tsn_features *feat, int64_t *budget)
{
    struct tsn_features_cut *cut = &feat->cut;
    while (cut->n_gone && *budget > 0) {
        struct tsn_key key = cut->gone[--cut->n_gone];
        const struct tsn_entity *entity = tsn_table_find(&feat->entities, key);
        bool made_since = entity && entity->changed == feat->epoch && entity->given != feat->epoch;
        if (!entity || made_since) {
            *budget -= (int64_t)cut->taker.gone(cut->taker.user, key);
        }
        *budget -= LOOK_BYTES;
    }
}

/* The beginning of its first log: how long it is is not known yet, a dozen rows of two
 * words most of the time. */
static void cell_ahead(const struct tsn_entity *entity)
{
    const char *cell = entity->cells[0];
    for (int line = 0; line < 4; line++) {
        tsn_ask(cell + line * 64);
    }
}

static void dirty_give(struct tsn_features *feat, int64_t *budget)
{
    struct tsn_features_cut *cut = &feat->cut;
    for (; *budget > 0 && cut->dirty_at < cut->n_dirty; cut->dirty_at++) {
        if (cut->dirty_at + 2 * AHEAD < cut->n_dirty) {
            tsn_ask(cut->dirty[cut->dirty_at + 2 * AHEAD]);
            cell_ahead(cut->dirty[cut->dirty_at + AHEAD]);
        }
        struct tsn_entity *entity = cut->dirty[cut->dirty_at];
        /* A record that was freed and has another entity now is not due. */
        if (tsn_features_due(feat, entity)) {
            *budget -= (int64_t)tsn_features_give(feat, entity);
        }
        *budget -= LOOK_BYTES;
    }
}

static void all_give(struct tsn_features *feat, int64_t *budget)
{
    struct tsn_features_cut *cut = &feat->cut;
    for (; cut->number_at<cut->number_end && * budget> 0; cut->number_at++) {
        if (cut->number_at + AHEAD < cut->number_end) {
            const struct tsn_entity *ahead =
                tsn_table_record(&feat->entities, cut->number_at + AHEAD);
            cell_ahead(ahead);
        }
        struct tsn_entity *entity = tsn_table_record(&feat->entities, cut->number_at);
        if (tsn_table_lives(&feat->entities, cut->number_at) && tsn_features_due(feat, entity)) {
            *budget -= (int64_t)tsn_features_give(feat, entity);
        }
        *budget -= LOOK_BYTES;
    }
}

bool tsn_features_cut_step(struct tsn_features *feat, int64_t *budget)
{
    struct tsn_features_cut *cut = &feat->cut;
    if (!cut->runs) {
        return true;
    }
    gone_give(feat, budget);
    if (cut->all) {
        all_give(feat, budget);
    } else {
        dirty_give(feat, budget);
    }
    bool given = cut->all ? cut->number_at == cut->number_end : cut->dirty_at == cut->n_dirty;
    cut->runs = cut->n_gone || !given;
    return !cut->runs;
}
