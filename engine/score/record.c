/* Records: scoring state for checkpoints, and back.
 *
 * One record an episode, one a written list, one for E and the last tick, one an armed
 * timer (timer.c). Names are written, not indexes,
 * so a checkpoint outlives a change of the pack: what the program does not know any
 * more is left out on loading. A list goes whole when it changed (the alternative, a
 * record an entry, would need to know every entry that a full list let go, and loses
 * the order that decides ties). Format 1; every length is checked against what is
 * there, and a record that lies is refused with a reason.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/score/state.h"
#include "rules/must/must.h"

enum { RECORD_FORMAT = 1 };
/* Of section EPISODE. The first kind of episode, still read, did not say when it opened. */
enum { KIND_EPISODE_OF_EVENT = 1, KIND_NEWEST = 2, KIND_EPISODE = 3 };

/* ---- writing ----------------------------------------------------------------------------- */

static void event_write(const struct tsn_program *prog, const struct tsn_event_ref *event,
                        struct tsn_bytes *to)
{
    tsn_bytes_name(to, prog->types[event->type].name);
    tsn_bytes_u32(to, event->source);
    tsn_bytes_u64(to, (uint64_t)event->position);
    tsn_bytes_u64(to, (uint64_t)event->time_ms);
    tsn_bytes_str(to, event->id);
}

void tsn_score_episode_write(const struct tsn_program *prog, const struct tsn_episode *episode,
                             struct tsn_bytes *to)
{
    const struct tsn_typology *typology = &prog->typologies[episode->typology];
    tsn_bytes_u8(to, RECORD_FORMAT);
    tsn_bytes_u8(to, KIND_EPISODE);
    tsn_bytes_name(to, typology->id);
    tsn_bytes_u8(to, episode->entity_type);
    tsn_bytes_str(to, (struct tsn_str){episode->entity, episode->entity_len});
    tsn_bytes_u64(to, (uint64_t)episode->clock_ms);
    tsn_bytes_u64(to, (uint64_t)episode->alerted_ms);
    for (int level = 0; level < TSN_LEVELS; level++) {
        tsn_bytes_u64(to, (uint64_t)episode->sms_ms[level]);
    }
    tsn_bytes_u8(to, episode->level);
    tsn_bytes_u32(to, episode->revision);
    if (episode->level != TSN_LEVEL_NONE) {
        event_write(prog, &episode->opened_by, to);
        tsn_bytes_u64(to, (uint64_t)episode->opened_ms);
    }
    /* Rules by name, once: entries say which of them. */
    tsn_bytes_u32(to, (uint32_t)typology->n_weights);
    for (int w = 0; w < typology->n_weights; w++) {
        tsn_bytes_name(to, prog->rules[typology->weights[w].rule].id);
    }
    tsn_bytes_u32(to, episode->n_entries);
    for (uint32_t i = 0; i < episode->n_entries; i++) {
        tsn_bytes_u64(to, (uint64_t)episode->entries[i].time_ms);
        tsn_bytes_u32(to, episode->entries[i].weight);
        tsn_bytes_u64(to, episode->entries[i].count);
    }
    tsn_bytes_u32(to, episode->n_hits);
    for (uint32_t i = 0; i < episode->n_hits; i++) {
        const struct tsn_hit *hit = episode->hits[i];
        tsn_bytes_name(to, hit->rule == TSN_NONE ? "" : prog->rules[hit->rule].id);
        tsn_bytes_name(to, prog->types[hit->type].name);
        tsn_hit_write(hit, to);
    }
}

void tsn_score_list_write(const struct tsn_list_decl *decl, const struct tsn_list *list,
                          struct tsn_bytes *to)
{
    size_t n = tsn_list_size(list);
    tsn_bytes_u8(to, RECORD_FORMAT);
    tsn_bytes_name(to, decl->name);
    tsn_bytes_u8(to, (uint8_t)decl->of);
    tsn_bytes_u64(to, n);
    for (size_t i = 0; i < n; i++) {
        struct tsn_list_entry entry = tsn_list_at(list, i);
        tsn_bytes_u64(to, (uint64_t)entry.expires_ms);
        if (decl->of == TSN_TYPE_STRING) {
            tsn_bytes_str(to, entry.s);
        } else {
            tsn_bytes_u64(to, (uint64_t)entry.i);
        }
    }
}

void tsn_score_newest_write(const struct tsn_score *score, struct tsn_bytes *to)
{
    tsn_bytes_u8(to, RECORD_FORMAT);
    tsn_bytes_u8(to, KIND_NEWEST);
    tsn_bytes_u64(to, (uint64_t)score->newest_ms);
    tsn_bytes_u64(to, (uint64_t)score->tick_ms);
}

/* ---- reading --------------------------------------------------------------------------- */

static bool refuse(const char **why, const char *text)
{
    *why = text;
    return false;
}

static int type_named(const struct tsn_program *prog, struct tsn_str name)
{
    for (int t = 0; t < prog->n_types; t++) {
        if (tsn_str_is(name, prog->types[t].name)) {
            return t;
        }
    }
    return TSN_NONE;
}

static int weight_named(const struct tsn_program *prog, const struct tsn_typology *typology,
                        struct tsn_str rule)
{
    for (int w = 0; w < typology->n_weights; w++) {
        if (tsn_str_is(rule, prog->rules[typology->weights[w].rule].id)) {
            return w;
        }
    }
    return TSN_NONE;
}

/* The event that opened the episode; no episode if the pack has no such events now. */
static void opened_by_read(const struct tsn_program *prog, struct tsn_episode *episode,
                           uint8_t kind, struct tsn_bytes_reader *from)
{
    int type = type_named(prog, tsn_bytes_get_str(from));
    struct tsn_event_ref event = {.source = (uint16_t)tsn_bytes_get_u32(from)};
    event.position = (int64_t)tsn_bytes_get_u64(from);
    event.time_ms = (int64_t)tsn_bytes_get_u64(from);
    event.id = tsn_bytes_get_str(from);
    tsn_event_ms opened_ms =
        kind == KIND_EPISODE ? (int64_t)tsn_bytes_get_u64(from) : event.time_ms;
    if (from->bad || type == TSN_NONE) {
        episode->level = TSN_LEVEL_NONE;
        episode->revision = 0;
        return;
    }
    event.type = (uint16_t)type;
    tsn_episode_open(episode, &event, opened_ms);
}

static void entries_read(const struct tsn_program *prog, const struct tsn_typology *typology,
                         struct tsn_episode *episode, struct tsn_bytes_reader *from)
{
    uint32_t n_names = tsn_bytes_get_u32(from);
    if (n_names > TSN_RULES_MAX || n_names > from->left / 4) {
        from->bad = true;
        return;
    }
    int *names = malloc((n_names + 1) * sizeof *names);
    TSN_MUST_ALLOC(names);
    for (uint32_t i = 0; i < n_names; i++) {
        names[i] = weight_named(prog, typology, tsn_bytes_get_str(from));
    }
    uint32_t n = tsn_bytes_get_u32(from);
    if (n > from->left / 20) {
        from->bad = true;
        n = 0;
    }
    episode->entries = n ? malloc(n * sizeof *episode->entries) : NULL;
    episode->entries_cap = n;
    tsn_event_ms last = INT64_MIN;
    for (uint32_t i = 0; i < n && !from->bad; i++) {
        struct tsn_episode_entry entry = {.time_ms = (int64_t)tsn_bytes_get_u64(from)};
        uint32_t name = tsn_bytes_get_u32(from);
        entry.count = tsn_bytes_get_u64(from);
        if (name >= n_names || entry.time_ms < last || entry.count == 0) {
            from->bad = true;
            break;
        }
        last = entry.time_ms;
        if (names[name] != TSN_NONE) {
            entry.weight = (uint32_t)names[name];
            episode->entries[episode->n_entries++] = entry;
        }
    }
    free(names);
}

static int rule_named(const struct tsn_program *prog, struct tsn_str name)
{
    for (int r = 0; r < prog->n_rules; r++) {
        if (tsn_str_is(name, prog->rules[r].id)) {
            return r;
        }
    }
    return TSN_NONE;
}

/* A hit stays with its rule's name, as it does when the pack changes under a running
 * engine (tsn_episode_remap): also when the rule weighs nothing here any more. */
static void hits_read(const struct tsn_program *prog, const struct tsn_typology *typology,
                      struct tsn_episode *episode, struct tsn_bytes_reader *from)
{
    uint32_t n = tsn_bytes_get_u32(from);
    from->bad |= n > TSN_ALERT_HITS_MAX;
    for (uint32_t i = 0; i < n && !from->bad; i++) {
        struct tsn_str rule = tsn_bytes_get_str(from);
        int type = type_named(prog, tsn_bytes_get_str(from));
        struct tsn_hit *hit = tsn_hit_read(from);
        if (!hit) {
            return;
        }
        hit->rule = rule.len ? rule_named(prog, rule) : TSN_NONE;
        if (type == TSN_NONE || (rule.len && hit->rule == TSN_NONE)) {
            tsn_hit_free(hit);
            continue;
        }
        hit->type = (uint16_t)type;
        tsn_episode_keep(episode, typology, hit);
    }
}

static bool episode_load(struct tsn_score *score, const uint8_t key[16], uint8_t kind,
                         struct tsn_bytes_reader *from, const char **why)
{
    struct tsn_str id = tsn_bytes_get_str(from);
    uint8_t entity_type = tsn_bytes_get_u8(from);
    struct tsn_str entity = tsn_bytes_get_str(from);
    tsn_event_ms clock_ms = (int64_t)tsn_bytes_get_u64(from);
    if (from->bad || entity_type > TSN_TYPE_NULL) {
        return refuse(why, "an episode record is cut short");
    }
    int y = 0;
    while (y < score->prog->n_typologies && !tsn_str_is(id, score->prog->typologies[y].id)) {
        y++;
    }
    if (y == score->prog->n_typologies) {
        return true; /* the pack has dropped the typology */
    }
    const struct tsn_typology *typology = &score->prog->typologies[y];
    struct tsn_episode_table *table = &score->typologies[y].episodes;
    uint8_t own[16];
    tsn_episode_key(typology->id, (enum tsn_type)entity_type, entity, own);
    if (memcmp(own, key, 16) != 0) {
        return refuse(why, "an episode record stands under another's key");
    }
    if (tsn_episode_find(table, key)) {
        return refuse(why, "an episode record was given twice");
    }
    struct tsn_episode *episode =
        tsn_episode_add(table, y, key, (enum tsn_type)entity_type, entity, clock_ms);
    episode->given = 1; /* by an epoch that no cut has */
    episode->alerted_ms = (int64_t)tsn_bytes_get_u64(from);
    for (int level = 0; level < TSN_LEVELS; level++) {
        episode->sms_ms[level] = (int64_t)tsn_bytes_get_u64(from);
    }
    episode->level = tsn_bytes_get_u8(from);
    episode->revision = tsn_bytes_get_u32(from);
    from->bad |= episode->level >= TSN_LEVELS;
    if (!from->bad && episode->level != TSN_LEVEL_NONE) {
        opened_by_read(score->prog, episode, kind, from);
    }
    if (!from->bad) {
        entries_read(score->prog, typology, episode, from);
    }
    if (!from->bad) {
        hits_read(score->prog, typology, episode, from);
    }
    return from->bad || from->left ? refuse(why, "an episode record does not hold what it says")
                                   : true;
}

static bool list_load(struct tsn_score *score, struct tsn_bytes_reader *from, const char **why)
{
    struct tsn_str name = tsn_bytes_get_str(from);
    uint8_t of = tsn_bytes_get_u8(from);
    uint64_t n = tsn_bytes_get_u64(from);
    if (from->bad || n > from->left / 8) {
        return refuse(why, "a list record is cut short");
    }
    int l = 0;
    while (l < score->prog->n_lists && !tsn_str_is(name, score->prog->lists[l].name)) {
        l++;
    }
    const struct tsn_list_decl *decl = &score->prog->lists[l];
    if (l == score->prog->n_lists || !decl->written || of != decl->of) {
        return true; /* the pack has dropped the list, or no rule fills it now */
    }
    struct tsn_list *list = tsn_list_new(decl->of, decl->max);
    for (uint64_t i = 0; i < n && !from->bad; i++) {
        tsn_event_ms expires_ms = (int64_t)tsn_bytes_get_u64(from);
        if (decl->of == TSN_TYPE_STRING) {
            struct tsn_str value = tsn_bytes_get_str(from);
            if (!from->bad) {
                tsn_list_add_string(list, value, expires_ms);
            }
        } else {
            int64_t value = (int64_t)tsn_bytes_get_u64(from);
            if (!from->bad) {
                tsn_list_add_int(list, value, expires_ms);
            }
        }
    }
    if (from->bad || from->left) {
        tsn_list_free(list);
        return refuse(why, "a list record does not hold what it says");
    }
    tsn_list_free(score->lists[l]);
    score->lists[l] = list;
    score->list_changed[l] = false;
    return true;
}

bool tsn_score_load(struct tsn_score *score, const struct tsn_snapshot_record *record,
                    const char **why)
{
    struct tsn_bytes_reader from = {.p = record->bytes, .left = record->bytes ? record->len : 0};
    if (tsn_bytes_get_u8(&from) != RECORD_FORMAT || from.bad) {
        return refuse(why, "a record of scoring has a format that this version does not know");
    }
    switch (record->section) {
    case TSN_SNAPSHOT_LIST:
        return list_load(score, &from, why);
    case TSN_SNAPSHOT_TIMER:
        return tsn_score_timer_load(score, &from, why);
    case TSN_SNAPSHOT_EPISODE:
        break;
    default:
        return refuse(why, "a record of a section that scoring does not write");
    }
    uint8_t kind = tsn_bytes_get_u8(&from);
    if (kind == KIND_EPISODE || kind == KIND_EPISODE_OF_EVENT) {
        return episode_load(score, record->key, kind, &from, why);
    }
    if (kind != KIND_NEWEST) {
        return refuse(why, "an episode record of an unknown kind");
    }
    score->newest_ms = (int64_t)tsn_bytes_get_u64(&from);
    score->tick_ms = (int64_t)tsn_bytes_get_u64(&from);
    return !from.bad && from.left == 0 ? true : refuse(why, "the record of E is cut short");
}
