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

struct tsn_score;

struct tsn_score *tsn_score_new(const struct tsn_program *prog);
void tsn_score_free(struct tsn_score *score);

/* The working lists, [prog->n_lists]: for the frames of every evaluator. */
const struct tsn_list *const *tsn_score_lists(const struct tsn_score *score);

/* status: [batch->n] enum tsn_row_status; rows that are TSN_ROW_DUPLICATE are not
 * there. evals: [n_types], each begun on its type's frame (NULL where a type has
 * no rows in this batch). newest_ms: E after the batch, for expiry. Appends alerts
 * and adds to counts. */
void tsn_score_rows(struct tsn_score *score, const struct tsn_batch *batch, const uint8_t *status,
                    struct tsn_eval *const *evals, tsn_event_ms newest_ms, struct tsn_output *out,
                    struct tsn_engine_counts *counts);

/* Timer rules due at or before clock_ms - grace fire, in (due, entity, rule) order. */
bool tsn_score_clock(struct tsn_score *score, tsn_event_ms clock_ms, struct tsn_output *out,
                     struct tsn_engine_counts *counts);

/* See tsn_engine_rule and tsn_engine_score. */
const struct tsn_column *tsn_score_rule(const struct tsn_score *score, int rule);
const struct tsn_column *tsn_score_typology(const struct tsn_score *score, int typology, int type);

/* Lists, episodes and timers follow their names into another program. */
void tsn_score_swap(struct tsn_score *score, const struct tsn_program *prog);

/* The records of sections EPISODE, LIST and TIMER; see engine.h. */
uint64_t tsn_score_cut(struct tsn_score *score, bool whole, tsn_snapshot_sink *sink, void *user);
bool tsn_score_load(struct tsn_score *score, const struct tsn_snapshot_record *record,
                    const char **why);

#endif
