#include "engine/score/episode.h"

#include <stdlib.h>
#include <string.h>

#define XXH_STATIC_LINKING_ONLY /* for a state on the stack */
#include <xxhash.h>

#include "rules/must/must.h"

enum { TABLE_FIRST_CAP = 64 };

tsn_event_ms tsn_time_minus(tsn_event_ms a, tsn_duration_ms b)
{
    return a < INT64_MIN + b ? INT64_MIN : a - b;
}

tsn_event_ms tsn_time_plus(tsn_event_ms a, tsn_duration_ms b)
{
    return a > INT64_MAX - b ? INT64_MAX : a + b;
}

/* ---- table ------------------------------------------------------------------- */

void tsn_episode_key(const char *typology, enum tsn_type type, struct tsn_str entity,
                     uint8_t key[16])
{
    XXH3_state_t state;
    uint8_t type_byte = (uint8_t)type;
    XXH3_128bits_reset(&state);
    XXH3_128bits_update(&state, typology, strlen(typology) + 1);
    XXH3_128bits_update(&state, &type_byte, 1);
    XXH3_128bits_update(&state, entity.p, entity.len);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state));
    memcpy(key, canonical.digest, 16);
}

size_t tsn_episode_home(const struct tsn_episode_table *table, const uint8_t key[16])
{
    uint64_t hash;
    memcpy(&hash, key, sizeof hash);
    return (size_t)hash & (table->cap - 1);
}

/* The slot of the key, or the free slot where it belongs. */
static size_t probe(const struct tsn_episode_table *table, const uint8_t key[16])
{
    size_t at = tsn_episode_home(table, key);
    while (table->slots[at] && memcmp(table->slots[at]->key, key, 16) != 0) {
        at = (at + 1) & (table->cap - 1);
    }
    return at;
}

struct tsn_episode *tsn_episode_find(const struct tsn_episode_table *table, const uint8_t key[16])
{
    return table->cap ? table->slots[probe(table, key)] : NULL;
}

static void grow(struct tsn_episode_table *table)
{
    struct tsn_episode_table old = *table;
    table->cap = old.cap ? 2 * old.cap : TABLE_FIRST_CAP;
    table->sweep = 0;
    table->slots = calloc(table->cap, sizeof *table->slots);
    TSN_MUST_ALLOC(table->slots);
    for (size_t i = 0; i < old.cap; i++) {
        if (old.slots[i]) {
            table->slots[probe(table, old.slots[i]->key)] = old.slots[i];
        }
    }
    free(old.slots);
}

struct tsn_episode *tsn_episode_add(struct tsn_episode_table *table, int typology,
                                    const uint8_t key[16], enum tsn_type type,
                                    struct tsn_str entity, tsn_event_ms clock_ms)
{
    if (4 * (table->n + 1) > 3 * table->cap) {
        grow(table);
    }
    struct tsn_episode *episode = calloc(1, sizeof *episode + entity.len);
    TSN_MUST_ALLOC(episode);
    memcpy(episode->key, key, 16);
    episode->typology = typology;
    episode->clock_ms = clock_ms;
    episode->alerted_ms = TSN_NEVER;
    for (int level = 0; level < TSN_LEVELS; level++) {
        episode->sms_ms[level] = TSN_NEVER;
    }
    episode->entity_type = (uint8_t)type;
    episode->entity_len = entity.len;
    memcpy(episode->entity, entity.p, entity.len);
    size_t at = probe(table, key);
    TSN_MUST(!table->slots[at]);
    table->slots[at] = episode;
    table->n++;
    return episode;
}

static void hits_drop(struct tsn_episode *episode, uint32_t from, uint32_t n)
{
    for (uint32_t i = from; i < from + n; i++) {
        tsn_hit_free(episode->hits[i]);
    }
    episode->n_hits -= n;
    if (episode->n_hits > from) {
        memmove(episode->hits + from, episode->hits + from + n,
                (episode->n_hits - from) * sizeof *episode->hits);
    }
}

static void episode_free(struct tsn_episode *episode)
{
    hits_drop(episode, 0, episode->n_hits);
    free(episode->hits);
    free(episode->entries);
    free((char *)episode->opened_by.id.p);
    free(episode);
}

/* Linear probing without tombstones: what follows the hole moves up into it if its
 * home is not between the hole and itself. */
void tsn_episode_remove(struct tsn_episode_table *table, struct tsn_episode *episode)
{
    size_t hole = probe(table, episode->key);
    TSN_MUST(table->slots[hole] == episode);
    size_t mask = table->cap - 1;
    for (size_t at = (hole + 1) & mask; table->slots[at]; at = (at + 1) & mask) {
        size_t from_home = (at - tsn_episode_home(table, table->slots[at]->key)) & mask;
        if (from_home >= ((at - hole) & mask)) {
            table->slots[hole] = table->slots[at];
            hole = at;
        }
    }
    table->slots[hole] = NULL;
    table->n--;
    episode_free(episode);
}

void tsn_episode_table_free(struct tsn_episode_table *table)
{
    for (size_t i = 0; i < table->cap; i++) {
        if (table->slots[i]) {
            episode_free(table->slots[i]);
        }
    }
    free(table->slots);
    *table = (struct tsn_episode_table){0};
}

/* ---- hits --------------------------------------------------------------------- */

void tsn_episode_restart(struct tsn_episode *episode, tsn_event_ms clock_ms)
{
    hits_drop(episode, 0, episode->n_hits);
    episode->n_entries = 0;
    episode->clock_ms = clock_ms;
    episode->alerted_ms = TSN_NEVER;
    episode->level = TSN_LEVEL_NONE;
    episode->revision = 0;
    free((char *)episode->opened_by.id.p);
    episode->opened_by = (struct tsn_event_ref){0};
}

void tsn_episode_open(struct tsn_episode *episode, const struct tsn_event_ref *event,
                      tsn_event_ms opened_ms)
{
    TSN_MUST(!episode->opened_by.id.p);
    episode->opened_by = *event;
    episode->opened_ms = opened_ms;
    char *id = malloc(event->id.len + 1);
    TSN_MUST_ALLOC(id);
    memcpy(id, event->id.p, event->id.len);
    id[event->id.len] = '\0';
    episode->opened_by.id.p = id;
}

void tsn_episode_advance(struct tsn_episode *episode, const struct tsn_typology *typology,
                         tsn_event_ms t)
{
    if (t <= episode->clock_ms) {
        return;
    }
    episode->clock_ms = t;
    tsn_event_ms from = tsn_time_minus(t, typology->sum_over_ms);
    uint32_t n = 0;
    while (n < episode->n_entries && episode->entries[n].time_ms <= from) {
        n++;
    }
    if (n) {
        episode->n_entries -= n;
        memmove(episode->entries, episode->entries + n,
                episode->n_entries * sizeof *episode->entries);
    }
    n = 0;
    while (n < episode->n_hits && episode->hits[n]->time_ms <= from) {
        n++;
    }
    if (n) {
        hits_drop(episode, 0, n);
    }
}

static void entry_drop(struct tsn_episode *episode, uint32_t at)
{
    episode->n_entries--;
    memmove(episode->entries + at, episode->entries + at + 1,
            (episode->n_entries - at) * sizeof *episode->entries);
}

/* Merges a rule's hits of one pane at the latest of their times: each counts at most
 * a pane longer than it should. Newest first, because the latest one stays. */
static void coalesce(struct tsn_episode *episode, const struct tsn_typology *typology)
{
    uint32_t n_weights = typology->n_weights > 0 ? (uint32_t)typology->n_weights : 1;
    uint32_t panes = TSN_EPISODE_PANES / n_weights + 1;
    tsn_duration_ms width = typology->sum_over_ms / panes + 1;
    uint32_t *last = malloc(n_weights * sizeof *last);
    TSN_MUST_ALLOC(last);
    memset(last, 0xff, n_weights * sizeof *last);
    uint32_t out = episode->n_entries;
    for (uint32_t i = episode->n_entries; i-- > 0;) {
        struct tsn_episode_entry entry = episode->entries[i];
        uint32_t into = last[entry.weight];
        if (into != UINT32_MAX && episode->entries[into].time_ms / width == entry.time_ms / width) {
            episode->entries[into].count += entry.count;
        } else {
            episode->entries[--out] = entry;
            last[entry.weight] = out;
        }
    }
    free(last);
    episode->n_entries -= out;
    memmove(episode->entries, episode->entries + out,
            episode->n_entries * sizeof *episode->entries);
}

static void entry_insert(struct tsn_episode *episode, uint32_t weight, tsn_event_ms t)
{
    if (episode->n_entries == episode->entries_cap) {
        episode->entries_cap = episode->entries_cap ? 2 * episode->entries_cap : 2;
        episode->entries =
            realloc(episode->entries, episode->entries_cap * sizeof *episode->entries);
        TSN_MUST_ALLOC(episode->entries);
    }
    uint32_t at = episode->n_entries;
    while (at > 0 && episode->entries[at - 1].time_ms > t) {
        at--;
    }
    memmove(episode->entries + at + 1, episode->entries + at,
            (episode->n_entries - at) * sizeof *episode->entries);
    episode->entries[at] = (struct tsn_episode_entry){.time_ms = t, .weight = weight, .count = 1};
    episode->n_entries++;
}

void tsn_episode_count(struct tsn_episode *episode, const struct tsn_typology *typology,
                       uint32_t weight, tsn_event_ms t)
{
    if (t <= tsn_time_minus(episode->clock_ms, typology->sum_over_ms)) {
        return;
    }
    if (!typology->repeat_sum) {
        for (uint32_t i = 0; i < episode->n_entries; i++) {
            if (episode->entries[i].weight != weight) {
                continue;
            }
            if (episode->entries[i].time_ms >= t) {
                return;
            }
            entry_drop(episode, i);
            break;
        }
        entry_insert(episode, weight, t);
        return;
    }
    for (uint32_t i = episode->n_entries; i-- > 0 && episode->entries[i].time_ms >= t;) {
        if (episode->entries[i].time_ms == t && episode->entries[i].weight == weight) {
            episode->entries[i].count++;
            return;
        }
    }
    if (episode->n_entries >= TSN_EPISODE_EXACT) {
        coalesce(episode, typology);
    }
    entry_insert(episode, weight, t);
}

/* The oldest hit of a rule that has a newer one, else the oldest. */
static uint32_t hit_to_drop(const struct tsn_episode *episode)
{
    for (uint32_t i = 0; i < episode->n_hits; i++) {
        for (uint32_t j = i + 1; j < episode->n_hits; j++) {
            if (episode->hits[j]->rule == episode->hits[i]->rule) {
                return i;
            }
        }
    }
    return 0;
}

void tsn_episode_keep(struct tsn_episode *episode, const struct tsn_typology *typology,
                      struct tsn_hit *hit)
{
    if (hit->time_ms <= tsn_time_minus(episode->clock_ms, typology->sum_over_ms)) {
        tsn_hit_free(hit);
        return;
    }
    if (!episode->hits) { /* one more than are kept: room for the new one before one goes */
        episode->hits = malloc((TSN_ALERT_HITS_MAX + 1) * sizeof(struct tsn_hit *));
        TSN_MUST_ALLOC(episode->hits);
    }
    uint32_t at = episode->n_hits;
    while (at > 0 && episode->hits[at - 1]->time_ms > hit->time_ms) {
        at--;
    }
    memmove(episode->hits + at + 1, episode->hits + at,
            (episode->n_hits - at) * sizeof *episode->hits);
    episode->hits[at] = hit;
    episode->n_hits++;
    if (episode->n_hits > TSN_ALERT_HITS_MAX) {
        hits_drop(episode, hit_to_drop(episode), 1);
    }
}

double tsn_episode_score(const struct tsn_episode *episode, const struct tsn_typology *typology,
                         tsn_event_ms at_ms, uint64_t *counts)
{
    tsn_event_ms from = tsn_time_minus(at_ms, typology->sum_over_ms);
    memset(counts, 0, (size_t)typology->n_weights * sizeof *counts);
    for (uint32_t i = episode->n_entries; i-- > 0 && episode->entries[i].time_ms > from;) {
        counts[episode->entries[i].weight] += episode->entries[i].count;
    }
    double score = 0;
    for (int w = 0; w < typology->n_weights; w++) {
        score += typology->weights[w].points * (double)counts[w];
    }
    return score;
}

/* ---- another program ------------------------------------------------------------ */

void tsn_episode_remap(struct tsn_episode *episode, const int *weight_map, const int *rule_map,
                       const int *type_map)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < episode->n_entries; i++) {
        int weight = weight_map[episode->entries[i].weight];
        if (weight != TSN_NONE) {
            episode->entries[n] = episode->entries[i];
            episode->entries[n++].weight = (uint32_t)weight;
        }
    }
    episode->n_entries = n;
    for (uint32_t i = episode->n_hits; i-- > 0;) {
        struct tsn_hit *hit = episode->hits[i];
        int rule = hit->rule == TSN_NONE ? TSN_NONE : rule_map[hit->rule];
        if ((rule == TSN_NONE && hit->rule != TSN_NONE) || type_map[hit->type] == TSN_NONE) {
            hits_drop(episode, i, 1);
            continue;
        }
        hit->rule = rule;
        hit->type = (uint16_t)type_map[hit->type];
    }
    if (!episode->opened_by.id.p) {
        return;
    }
    int type = type_map[episode->opened_by.type];
    if (type == TSN_NONE) { /* nothing could name the event any more */
        tsn_episode_restart(episode, episode->clock_ms);
    } else {
        episode->opened_by.type = (uint16_t)type;
    }
}
