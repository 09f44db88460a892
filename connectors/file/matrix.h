/* Matrix: every feature, rule and score of a replay as CSV, for people and models. Used by
 * export.c.
 *
 * What a program's event types read is resolved to columns once a program; a cell
 * is then one switch. Costs about as much as the engine itself: it is off unless
 * asked for.
 */
#ifndef TSN_CONNECTORS_FILE_MATRIX_H
#define TSN_CONNECTORS_FILE_MATRIX_H

#include <stdio.h>

#include "connectors/wire/wire.h"
#include "engine/engine.h"

struct tsn_matrix;

struct tsn_matrix *tsn_matrix_new(FILE *out, const struct tsn_origin *origins, size_t n_origins);
void tsn_matrix_free(struct tsn_matrix *features);

/* Writes the header of this program, unless it is the one in force. */
void tsn_matrix_program(struct tsn_matrix *features, const struct tsn_program *prog);

/* See tsn_export_rows. Another program than before writes its header again. */
void tsn_matrix_rows(struct tsn_matrix *features, const struct tsn_engine *eng,
                     const struct tsn_program *prog, const struct tsn_batch *batch);

#endif
