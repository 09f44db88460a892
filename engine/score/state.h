/* What the files of this room share: the state of scoring, and the plan of a program.
 * Nobody else includes it; the door is score.h. */
#ifndef TSN_ENGINE_SCORE_STATE_H
#define TSN_ENGINE_SCORE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/score/codec.h"
#include "engine/score/episode.h"
#include "engine/score/score.h"

/* A typology that a rule's hit counts for. */
struct score_use {
    int typology;
    uint32_t weight; /* index into its weights */
    int set;         /* slot: on each of its members; TSN_NONE: on the event's entity */
};

struct score_rule {
    bool evaluated;  /* not disabled */
    bool is_timer;   /* a row on which it is true arms it; it fires later */
    bool row_wise;   /* reads a list that rules write */
    bool has_effect; /* live, and weighs somewhere or writes a list */
    uint32_t n_uses;
    struct score_use *uses;   /* by typology; empty unless live */
    struct tsn_column column; /* of this batch; valid NULL: nothing kept */
    uint32_t n_kept;          /* timer: the inputs that it needs when it fires */
    uint32_t *kept;
    const struct tsn_column *unless; /* timer, of this batch: on rows of unless_event */
};

/* An event type: what is fixed by the program, and what one batch gave. */
struct score_type {
    const bool *masked; /* [n_fields + n_slots] */
    bool row_wise;      /* some rule or score expression is */
    uint32_t n_scores;
    const int *scores; /* typologies with a score expression on this type */
    uint32_t n_unless;
    const int *unless; /* timer rules that events of this type can call off */

    uint64_t *accepted; /* rows of this batch that are no duplicates */
    uint64_t *by_row;   /* rows whose row-wise expressions are evaluated one by one */
    uint32_t n_active;
    int *active; /* rules that fired or are row-wise, in pack order */
};

struct score_typology {
    bool evaluated; /* not disabled */
    bool shadow;
    double lowest;            /* threshold that opens an episode */
    tsn_duration_ms keep_ms;  /* how long a silent episode can still be told */
    struct tsn_column *score; /* [n_types] of this batch: score expressions' values */
    bool *score_row_wise;     /* [n_types] */
    struct tsn_column *shown; /* [n_types] of this batch: the exported score */
    struct tsn_episode_table episodes;
};

struct score_key {
    uint8_t bytes[16];
};

/* An armed timer: what the event was, so far as the rule needs it. */
struct score_timer {
    tsn_event_ms due_ms;
    tsn_event_ms armed_ms; /* time of the event */
    uint64_t order;        /* in which they were armed: the last of ties */
    int64_t position;
    int rule;
    uint16_t source;
    uint8_t entity_type;
    uint64_t hash;            /* of rule and entity */
    struct score_timer *next; /* in its bucket */
    size_t heap_at;
    size_t fresh_at; /* its place among those in no record yet; SIZE_MAX: in one */
    uint32_t armed;  /* in which epoch */
    uint32_t given;  /* epoch of the last cut that has it; 0: none has */
    uint32_t entity_len;
    uint32_t len;
    uint8_t bytes[]; /* entity, then the cells of kept inputs */
};

/* Armed timers by due time, and by rule and entity. */
struct score_timers {
    struct score_timer **heap; /* least (due, entity, rule, order) first */
    size_t n, cap;
    struct score_timer **buckets;
    size_t n_buckets; /* a power of two, or 0 */
    uint64_t order;
    struct score_timer **fresh; /* armed since the last cut */
    size_t n_fresh, fresh_cap;
    struct score_key *gone; /* records to delete at the next cut */
    size_t n_gone, gone_cap;
};

/* A cut under way: what it has yet to give. Lists of what changed, and for a whole one
 * a walk over the tables, where what was given or made since is passed over. */
struct score_cut {
    bool runs;
    bool whole;
    tsn_snapshot_sink *sink;
    void *user;
    uint64_t n; /* records given */
    struct tsn_bytes bytes;
    struct tsn_episode **dirty;
    size_t n_dirty, dirty_cap;
    struct score_timer **fresh;
    size_t n_fresh, fresh_cap;
    struct score_key *gone; /* of timers */
    size_t n_gone, gone_cap;
    int typology;
    size_t slot_at, n_slots; /* a table that has grown is walked anew */
    size_t bucket_at, n_buckets;
};

/* A hit on its way from a row to a typology. */
struct score_touch {
    int typology;
    uint32_t weight;
    int set;        /* as in score_use */
    uint32_t fired; /* index into `fired`; UINT32_MAX: a score expression */
};

struct tsn_score {
    const struct tsn_program *prog;
    tsn_duration_ms lateness_ms;
    tsn_duration_ms grace_ms;
    bool want_columns;
    tsn_score_members *members; /* or NULL */
    void *members_user;

    struct tsn_arena plan; /* as long as the program */
    struct score_rule *rules;
    struct score_type *types;
    struct score_typology *typologies;
    struct tsn_list **lists;
    bool *list_changed; /* [n_lists] since the last cut */

    bool has_timers; /* some rule of the program is one */
    struct score_timers timers;
    struct tsn_eval **timer_evals; /* [n_types], made on first use */
    struct tsn_arena timer_memory; /* as long as one timer fires */

    tsn_event_ms newest_ms;  /* E after the rows seen so far */
    tsn_event_ms tick_ms;    /* the last tick that fired a timer */
    tsn_event_ms expired_ms; /* lists were rid of what ended by then */
    bool newest_changed;     /* since the last cut */

    uint32_t epoch; /* number of cuts begun + 1 */
    struct score_cut cut;
    struct tsn_episode **dirty; /* episodes changed since the last cut */
    size_t n_dirty, dirty_cap;
    struct score_key *gone; /* records to delete at the next cut */
    size_t n_gone, gone_cap;

    struct tsn_arena batch;  /* as long as a batch */
    struct tsn_bytes bytes;  /* scratch */
    uint64_t *weight_counts; /* scratch, the largest n_weights */
    int *fired;              /* rules with an effect that fired on the row */
    struct tsn_hit **caught; /* of `fired`, captured on first use */
    struct score_touch *touches;
    size_t n_fired, touches_cap;
};

/* What is fixed about one batch while its rows are walked. */
struct score_batch {
    const struct tsn_batch *batch;
    const uint8_t *status;
    struct tsn_eval *const *evals;
    const struct tsn_column *const *inputs;
    struct tsn_output *out;
    struct tsn_engine_counts *counts;
};

/* score.c: no rule or score column of an earlier batch is shown. */
void tsn_score_columns_forget(struct tsn_score *score);

/* rules.c: evaluates rules and score expressions as columns, lists as they are now. */
void tsn_score_evaluate(struct tsn_score *score, const struct score_batch *of);
/* Evaluates the row-wise ones for one row and corrects their columns. */
void tsn_score_evaluate_row(struct tsn_score *score, const struct score_batch *of,
                            const struct tsn_row *row);
/* Counts hits, missing and errors of the row-wise rules, when their columns are final. */
void tsn_score_count_row_wise(struct tsn_score *score, const struct score_batch *of);

/* raise.c: one row's hits on a typology. newest_ms: E before the row. */
void tsn_score_touch(struct tsn_score *score, const struct score_batch *of,
                     const struct tsn_hit_row *at, tsn_event_ms newest_ms,
                     const struct score_touch *touches, size_t n);
/* The same for one hit on every member of a set. */
void tsn_score_touch_members(struct tsn_score *score, const struct score_batch *of,
                             const struct tsn_hit_row *at, tsn_event_ms newest_ms,
                             const struct score_touch *touch);
/* score.c: the members of a set as the row saw it. */
struct tsn_members tsn_score_members_of(const struct tsn_score *score, const struct score_batch *of,
                                        const struct tsn_hit_row *at, int set);
/* Fills the exported score of every typology for the row. */
void tsn_score_show(struct tsn_score *score, const struct tsn_hit_row *at, tsn_event_ms newest_ms);

/* walk.c: a timer fired. `row` is the event with the due time; newest_ms is E. True if a
 * list was written. */
bool tsn_score_fire(struct tsn_score *score, const struct score_batch *of,
                    const struct tsn_hit_row *at, int rule, tsn_event_ms newest_ms);

/* timer.c: plan of a timer rule; what a row calls off and arms; what is due. */
void tsn_score_timer_plan(struct tsn_score *score, int rule);
void tsn_score_timer_row(struct tsn_score *score, const struct tsn_hit_row *at);
/* Fires all that is due by the clock. Adds to *n what fired; true if a list was written. */
bool tsn_score_timers_fire(struct tsn_score *score, const struct score_batch *of,
                           tsn_event_ms clock_ms, tsn_event_ms newest_ms, size_t *n);
bool tsn_score_timers_due(const struct tsn_score *score, tsn_event_ms clock_ms);
/* The record of a timer, and its key. */
void tsn_score_timer_write(const struct tsn_score *score, const struct score_timer *timer,
                           struct tsn_bytes *to, uint8_t key[16]);
bool tsn_score_timer_load(struct tsn_score *score, struct tsn_bytes_reader *from, const char **why);
/* For a swap: timers leave the state in the names of the old program, and come back
 * under the new one. */
void tsn_score_timers_pack(struct tsn_score *score, struct tsn_bytes *to);
void tsn_score_timers_unpack(struct tsn_score *score, const struct tsn_bytes *packed);
void tsn_score_timers_free(struct tsn_score *score);

/* walk.c: forgets all episodes of a typology, or those that no row in time can tell from
 * none, of which the sweep after a batch forgets some. Cost: a look at each slot. */
void tsn_score_prune(struct tsn_score *score, int typology, bool all);

/* cut.c: the episode is about to change, or has just been made; or goes, with its record. */
void tsn_score_mark(struct tsn_score *score, struct tsn_episode *episode);
void tsn_score_forget(struct tsn_score *score, struct tsn_episode *episode);
/* Before an old timer goes: the cut under way has it as it is. */
void tsn_score_timer_goes(struct tsn_score *score, struct score_timer *timer);
void tsn_score_cut_free(struct tsn_score *score);

/* record.c: records. */
void tsn_score_episode_write(const struct tsn_program *prog, const struct tsn_episode *episode,
                             struct tsn_bytes *to);
void tsn_score_list_write(const struct tsn_list_decl *decl, const struct tsn_list *list,
                          struct tsn_bytes *to);
void tsn_score_newest_write(const struct tsn_score *score, struct tsn_bytes *to);

#endif
