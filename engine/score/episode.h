/* Episode: what a typology knows of one entity - hits, clock, level, cooldowns.
 *
 * A table a typology, open addressing over pointers to episodes: entities with hits
 * are few, and one pointer a slot keeps probing in the cache while an episode grows on
 * its own. What a score needs (time, rule, count) and what a person needs (captured
 * hits, at most TSN_ALERT_HITS_MAX) are kept apart, so evidence may be forgotten
 * and the score still counts all. Called by engine/score only. A hit costs a probe
 * and, without `repeat: sum`, work in proportion to the typology's rules.
 *
 * Always: entries and hits are in time order and lie in (clock - sum_over, clock];
 * without repeat there is one entry a rule, its newest hit.
 */
#ifndef TSN_ENGINE_SCORE_EPISODE_H
#define TSN_ENGINE_SCORE_EPISODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/alert/alert.h"
#include "engine/score/hit.h"

/* (time, rule) entries that `repeat: sum` counts exactly; beyond them hits of a rule
 * in the same pane merge. 96 KiB for an entity that no threshold needs counted so
 * far, and never more. */
enum { TSN_EPISODE_EXACT = 4096, TSN_EPISODE_PANES = 2048 };

#define TSN_NEVER INT64_MIN

struct tsn_episode_entry {
    tsn_event_ms time_ms;
    uint32_t weight; /* index into the typology's weights; 0 for a score expression */
    uint64_t count;
};

struct tsn_episode {
    uint8_t key[16]; /* of its record; the first 8 bytes place it in the table */
    tsn_event_ms clock_ms;
    tsn_event_ms alerted_ms;         /* the clock at the last alert of the episode */
    tsn_event_ms sms_ms[TSN_LEVELS]; /* the clock when each level's SMS last went */
    uint8_t level;                   /* enum tsn_level; NONE: hits that add up, not open yet */
    uint8_t entity_type;             /* enum tsn_type: keys compare by type and value */
    uint32_t revision;
    int typology;                   /* whose table it is in */
    struct tsn_event_ref opened_by; /* its id is owned */
    tsn_event_ms opened_ms;         /* of the hit that opened it: a timer's is after its event */
    struct tsn_episode_entry *entries;
    uint32_t n_entries, entries_cap;
    struct tsn_hit **hits;
    uint32_t n_hits;
    uint32_t changed; /* epoch of its last change; 0: as it was loaded */
    uint32_t given;   /* epoch of the last cut that has it; 0: none has */
    size_t dirty_at;  /* its place among the changed, or among what the cut has yet to give */
    uint32_t entity_len;
    char entity[];
};

struct tsn_episode_table {
    struct tsn_episode **slots;
    size_t cap; /* a power of two, or 0 */
    size_t n;
    size_t sweep; /* the slot that the sweep looks at next */
};

/* The place in the table where a key's run begins that may hold it. */
size_t tsn_episode_home(const struct tsn_episode_table *table, const uint8_t key[16]);

/* The record key of an entity in a typology. */
void tsn_episode_key(const char *typology, enum tsn_type type, struct tsn_str entity,
                     uint8_t key[16]);

struct tsn_episode *tsn_episode_find(const struct tsn_episode_table *table, const uint8_t key[16]);
/* A new episode, empty, with this clock; the key must not be there. */
struct tsn_episode *tsn_episode_add(struct tsn_episode_table *table, int typology,
                                    const uint8_t key[16], enum tsn_type type,
                                    struct tsn_str entity, tsn_event_ms clock_ms);
/* Takes it out and frees it. */
void tsn_episode_remove(struct tsn_episode_table *table, struct tsn_episode *episode);
void tsn_episode_table_free(struct tsn_episode_table *table);

/* Hits and level go; the cooldowns stay. */
void tsn_episode_restart(struct tsn_episode *episode, tsn_event_ms clock_ms);
/* The clock moves on to at least t; what falls out of (clock - sum_over, clock] is
 * forgotten. */
void tsn_episode_advance(struct tsn_episode *episode, const struct tsn_typology *typology,
                         tsn_event_ms t);
/* Counts a hit of a rule (by weight index) at time t, if it is in force. */
void tsn_episode_count(struct tsn_episode *episode, const struct tsn_typology *typology,
                       uint32_t weight, tsn_event_ms t);
/* Keeps a captured hit as evidence, if it is in force; takes ownership. */
void tsn_episode_keep(struct tsn_episode *episode, const struct tsn_typology *typology,
                      struct tsn_hit *hit);
void tsn_episode_open(struct tsn_episode *episode, const struct tsn_event_ref *event,
                      tsn_event_ms opened_ms);

/* Points times count of each rule over hits in (at_ms - sum_over, at_ms], added in the
 * order of the weights. `counts` is scratch for n_weights. */
double tsn_episode_score(const struct tsn_episode *episode, const struct tsn_typology *typology,
                         tsn_event_ms at_ms, uint64_t *counts);

/* Rules have other indexes in another program: maps the entries' weights and the
 * hits' rules, or drops them (map gives TSN_NONE). */
void tsn_episode_remap(struct tsn_episode *episode, const int *weight_map, const int *rule_map,
                       const int *type_map);

/* a - b and a + b that stop at the ends of time. b is not negative. */
tsn_event_ms tsn_time_minus(tsn_event_ms a, tsn_duration_ms b);
tsn_event_ms tsn_time_plus(tsn_event_ms a, tsn_duration_ms b);

#endif
