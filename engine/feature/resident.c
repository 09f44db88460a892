/* Resident: which entities are in memory, when there is a cap on them.
 *
 * An entity may go when the store has it as it is: it has not changed since a cut began
 * that was saved. Its key stays behind in the cold set, with the minute of E in which
 * the sweep would have dropped it: so a key that is in neither place is a new entity,
 * and nobody need ask for it, and what has expired out there is deleted by the next cut.
 *
 * Who goes is chosen by a hand that walks the records and passes over those that were
 * visited since it came by the last time (second chance): a bit a record, and no list to
 * keep in order. Against least-recently-used: two more cache misses at each visit.
 *
 * No value depends on any of this, because a batch is given to the engine only when all
 * that it visits is in memory.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/entity/key.h"
#include "engine/feature/feature.h"
#include "engine/window/pane.h"
#include "rules/must/must.h"

void tsn_features_cap(struct tsn_features *feat, uint64_t cap)
{
    feat->resident.cap = cap;
    feat->resident.saved = cap ? feat->epoch : 0;
}

void tsn_features_resident_free(struct tsn_features *feat)
{
    struct tsn_features_resident *resident = &feat->resident;
    tsn_cold_free(&resident->cold);
    free(resident->used);
    free(resident->keys);
    free(resident->missing);
}

void tsn_features_saved(struct tsn_features *feat)
{
    TSN_MUST(!feat->cut.runs);
    if (feat->resident.cap && !feat->all_dirty) { /* else it is of the program before */
        feat->resident.saved = feat->epoch;
    }
}

/* ---- what a batch misses ---------------------------------------------------------- */

static void used_mark(struct tsn_features_resident *resident, uint32_t number)
{
    if (number >= resident->used_cap) {
        uint32_t cap = resident->used_cap ? resident->used_cap : TSN_TABLE_CHUNK;
        while (cap <= number) {
            cap = cap < UINT32_MAX / 2 ? cap * 2 : UINT32_MAX;
        }
        resident->used = realloc(resident->used, cap);
        TSN_MUST_ALLOC(resident->used);
        memset(resident->used + resident->used_cap, 0, cap - resident->used_cap);
        resident->used_cap = cap;
    }
    resident->used[number] = 1;
}

static void missing_room(struct tsn_features_resident *resident, size_t n)
{
    if (n <= resident->missing_cap) {
        return;
    }
    resident->missing_cap = n + n / 2;
    resident->missing =
        realloc(resident->missing, resident->missing_cap * sizeof *resident->missing);
    TSN_MUST_ALLOC(resident->missing);
}

/* Do rows of type t visit entities under key k? Not under the second field of two. */
static bool is_visited(const struct tsn_plan *plan, int t, int k)
{
    const struct tsn_plan_key *keys = plan->types[t].keys;
    bool visited = plan->kinds[keys[k].kind].seen;
    for (int s = 0; s < plan->n_streams && !visited; s++) {
        const struct tsn_plan_stream *stream = &plan->streams[s];
        visited = stream->event == t && keys[stream->key].owner == k;
        for (unsigned v = 0; v < stream->reads[t].n && !visited; v++) {
            visited = keys[stream->reads[t].visits[v].key].owner == k;
        }
    }
    return visited;
}

static void column_look(struct tsn_features *feat, uint32_t n)
{
    struct tsn_features_resident *resident = &feat->resident;
    missing_room(resident, resident->n_missing + n);
    for (uint32_t i = 0; i < n; i++) {
        struct tsn_key key = resident->keys[i];
        if ((key.lo | key.hi) == 0) {
            continue;
        }
        uint32_t number = tsn_table_number(&feat->entities, key);
        if (number != UINT32_MAX) {
            used_mark(resident, number);
        } else if (tsn_cold_has(&resident->cold, key)) {
            resident->missing[resident->n_missing++] = key;
        }
    }
}

static int by_key(const void *a, const void *b)
{
    const struct tsn_key *x = a;
    const struct tsn_key *y = b;
    if (x->lo != y->lo) {
        return x->lo < y->lo ? -1 : 1;
    }
    return x->hi < y->hi ? -1 : x->hi > y->hi;
}

static void each_once(struct tsn_features_resident *resident)
{
    struct tsn_key *keys = resident->missing;
    size_t n = 0;
    if (resident->n_missing) {
        qsort(keys, resident->n_missing, sizeof *keys, by_key);
    }
    for (size_t i = 0; i < resident->n_missing; i++) {
        if (n == 0 || by_key(&keys[n - 1], &keys[i]) != 0) {
            keys[n++] = keys[i];
        }
    }
    resident->n_missing = n;
}

size_t tsn_features_missing(struct tsn_features *feat, const struct tsn_batch *batch,
                            const struct tsn_key **keys)
{
    struct tsn_features_resident *resident = &feat->resident;
    *keys = NULL;
    resident->n_missing = 0;
    if (!resident->cap) {
        return 0;
    }
    if (!resident->keys) {
        resident->keys = malloc((size_t)feat->batch_rows * sizeof *resident->keys);
        TSN_MUST_ALLOC(resident->keys);
    }
    for (int t = 0; t < feat->prog->n_types; t++) {
        const struct tsn_plan_type *type = &feat->plan.types[t];
        uint32_t n = batch->types[t].n;
        for (int k = 0; n && k < type->n_keys; k++) {
            const struct tsn_plan_key *key = &type->keys[k];
            if (key->n_by == 1 && is_visited(&feat->plan, t, k)) {
                tsn_key_column(&batch->types[t].fields[key->by[0]], n,
                               feat->plan.kinds[key->kind].seed, resident->keys);
                column_look(feat, n);
            }
        }
    }
    each_once(resident);
    *keys = resident->missing;
    return resident->n_missing;
}

size_t tsn_features_away(struct tsn_features *feat, size_t n, const struct tsn_key **keys)
{
    struct tsn_features_resident *resident = &feat->resident;
    missing_room(resident, n);
    resident->n_missing = tsn_cold_some(&resident->cold, resident->missing, n);
    *keys = resident->missing;
    return resident->n_missing;
}

/* ---- coming and going --------------------------------------------------------------- */

void tsn_features_admitted(struct tsn_features *feat, struct tsn_key key)
{
    struct tsn_features_resident *resident = &feat->resident;
    bool was_cold = tsn_cold_remove(&resident->cold, key);
    TSN_MUST(was_cold);
    used_mark(resident, tsn_table_number(&feat->entities, key));
    resident->n_fetched++;
}

static int64_t plus(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* The newest row of a cell; INT64_MIN: it has none. */
static tsn_event_ms newest_row(const struct tsn_features *feat,
                               const struct tsn_plan_stream *stream, const void *place)
{
    if (!stream->pair) {
        return tsn_cell_newest(place, &stream->layout);
    }
    const struct tsn_pairs *pairs = place;
    tsn_event_ms newest_ms = INT64_MIN;
    for (uint32_t i = 0; i < pairs->n; i++) {
        const struct tsn_pair *pair = tsn_table_record(&feat->pairs, pairs->heap[i]);
        newest_ms = pair->newest_ms > newest_ms ? pair->newest_ms : newest_ms;
    }
    return newest_ms;
}

/* The E by which the sweep would drop it. */
static tsn_event_ms expires(const struct tsn_features *feat, struct tsn_entity *entity)
{
    tsn_event_ms latest_ms = entity->newest_ms;
    for (unsigned i = 0; i < entity->n; i++) {
        uint16_t s;
        const void *place = *tsn_entity_cell_at(entity, i, &s);
        const struct tsn_plan_stream *stream = &feat->plan.streams[s];
        tsn_event_ms newest_ms = newest_row(feat, stream, place);
        if (newest_ms != INT64_MIN) {
            tsn_event_ms until_ms = plus(newest_ms, stream->layout.keep_ms);
            latest_ms = until_ms > latest_ms ? until_ms : latest_ms;
        }
    }
    return plus(latest_ms, feat->lateness_ms);
}

/* Those that have expired out there are gone for the store, too. */
static void cold_sweep(struct tsn_features *feat, uint64_t n, tsn_event_ms newest_ms)
{
    struct tsn_key key;
    while (tsn_cold_expire(&feat->resident.cold, newest_ms, &n, &key)) {
        tsn_features_gone(feat, key);
    }
}

void tsn_features_evict(struct tsn_features *feat, uint32_t n, tsn_event_ms newest_ms)
{
    enum { COLD_FOR_ONE = 2 }; /* slots of the cold set looked at for each entity */
    struct tsn_features_resident *resident = &feat->resident;
    if (!resident->cap) {
        return;
    }
    cold_sweep(feat, COLD_FOR_ONE * (uint64_t)n, newest_ms);
    for (; n && feat->entities.n > resident->cap; n--) {
        uint32_t number = resident->hand < feat->entities.n_numbers ? resident->hand : 0;
        resident->hand = number + 1;
        struct tsn_entity *entity = tsn_table_record(&feat->entities, number);
        if (!tsn_table_lives(&feat->entities, number) || entity->changed >= resident->saved) {
            continue;
        }
        if (number < resident->used_cap && resident->used[number]) {
            resident->used[number] = 0;
            continue;
        }
        tsn_cold_add(&resident->cold, entity->key, expires(feat, entity));
        tsn_features_entity_drop(feat, entity);
        resident->n_evicted++;
    }
}
