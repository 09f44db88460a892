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
};

struct score_rule {
    bool evaluated;  /* not disabled, not a timer rule */
    bool row_wise;   /* reads a list that rules write */
    bool has_effect; /* live, and weighs somewhere or writes a list */
    uint32_t n_uses;
    struct score_use *uses;   /* by typology; empty unless live */
    struct tsn_column column; /* of this batch; valid NULL: nothing kept */
};

/* An event type: what is fixed by the program, and what one batch gave. */
struct score_type {
    const bool *masked; /* [n_fields + n_slots] */
    bool row_wise;      /* some rule or score expression is */
    uint32_t n_scores;
    const int *scores; /* typologies with a score expression on this type */

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

/* A hit on its way from a row to a typology. */
struct score_touch {
    int typology;
    uint32_t weight;
    uint32_t fired; /* index into `fired`; UINT32_MAX: a score expression */
};

struct tsn_score {
    const struct tsn_program *prog;
    tsn_duration_ms lateness_ms;
    tsn_duration_ms grace_ms;
    bool want_columns;

    struct tsn_arena plan; /* as long as the program */
    struct score_rule *rules;
    struct score_type *types;
    struct score_typology *typologies;
    struct tsn_list **lists;
    bool *list_changed; /* [n_lists] since the last cut */

    tsn_event_ms newest_ms;  /* E after the rows seen so far */
    tsn_event_ms expired_ms; /* lists were rid of what ended by then */
    bool newest_changed;     /* since the last cut */

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
/* Fills the exported score of every typology for the row. */
void tsn_score_show(struct tsn_score *score, const struct tsn_hit_row *at, tsn_event_ms newest_ms);

/* record.c: the episode changed; or goes, with its record. */
void tsn_score_mark(struct tsn_score *score, struct tsn_episode *episode);
void tsn_score_forget(struct tsn_score *score, struct tsn_episode *episode);

#endif
