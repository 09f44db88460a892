/* Score: rules over columns -> hits -> list writes -> typologies -> alerts.
 *
 * Called by the engine once a batch, after the feature matrix is complete. Rules
 * that read no list written by a rule run as columns over the whole batch; the
 * few that do run row by row with the scalar evaluator, because a hit's list
 * write is seen by the next row. Hits are sparse, and everything after them -
 * episodes, cooldowns, alerts - goes row by row in processing order.
 */
#ifndef TSN_ENGINE_SCORE_SCORE_H
#define TSN_ENGINE_SCORE_SCORE_H

#include "engine/engine.h"
#include "engine/feature/feature.h"

struct tsn_score;

/* Copies what it needs of the settings (lateness, timer grace); the program is
 * borrowed. */
struct tsn_score *tsn_score_new(const struct tsn_program *prog,
                                const struct tsn_engine_settings *settings);
void tsn_score_free(struct tsn_score *score);

/* Who says what a set held when row r of the batch saw it (see tsn_features_members);
 * without it, sets have no members. */
typedef void tsn_score_members(void *user, uint32_t r, int slot, struct tsn_members *out);
void tsn_score_members_from(struct tsn_score *score, tsn_score_members *members, void *user);

/* The working lists, [prog->n_lists]: for the frames of every evaluator. */
const struct tsn_list *const *tsn_score_lists(const struct tsn_score *score);

/* status: [batch->n] enum tsn_row_status; rows that are TSN_ROW_DUPLICATE are not
 * there. evals: [n_types], each begun on its type's frame (NULL where a type has
 * no rows in this batch). inputs: [n_types], the frames' inputs: fields, then slots.
 * newest_ms: E after the batch. Timers that rows make due fire here, before the row
 * that moved the clock. Appends alerts and adds to counts. */
void tsn_score_rows(struct tsn_score *score, const struct tsn_batch *batch, const uint8_t *status,
                    struct tsn_eval *const *evals, const struct tsn_column *const *inputs,
                    tsn_event_ms newest_ms, struct tsn_output *out,
                    struct tsn_engine_counts *counts);

/* A tick: timer rules due at or before clock_ms - timer_grace_ms fire, in (due,
 * entity, rule) order. False, and no effect at all, if none was due. */
bool tsn_score_clock(struct tsn_score *score, tsn_event_ms clock_ms, struct tsn_output *out,
                     struct tsn_engine_counts *counts);

/* Whether the columns below are wanted of the next batches. The live run does not
 * want them: without a hit a batch then costs bitmap work only. Default: no. */
void tsn_score_want_columns(struct tsn_score *score, bool want);

/* See tsn_engine_rule and tsn_engine_score. NULL unless wanted, and for a rule that
 * is disabled or whose event type has no rows in the batch. Valid until the next
 * tsn_score_rows. */
const struct tsn_column *tsn_score_rule(const struct tsn_score *score, int rule);
const struct tsn_column *tsn_score_typology(const struct tsn_score *score, int typology, int type);

/* Lists, episodes and timers follow their names into another program. A list keeps
 * its contents if rules of both programs write it, else it starts from the new
 * program's. */
void tsn_score_swap(struct tsn_score *score, const struct tsn_program *prog);

/* The records of sections EPISODE, LIST and TIMER; see engine.h. A step gives more until
 * about *budget bytes are spent, which is lowered; true when the cut is complete. */
void tsn_score_cut_begin(struct tsn_score *score, bool whole, tsn_snapshot_sink *sink, void *user);
bool tsn_score_cut_step(struct tsn_score *score, int64_t *budget);
/* Both at once; returns the number of records. */
uint64_t tsn_score_cut(struct tsn_score *score, bool whole, tsn_snapshot_sink *sink, void *user);
bool tsn_score_load(struct tsn_score *score, const struct tsn_snapshot_record *record,
                    const char **why);

#endif
