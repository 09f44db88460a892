/* Eval: one expression over given values; the engine of `tocsin eval`. */
#ifndef TSN_CONNECTORS_EVAL_EVAL_H
#define TSN_CONNECTORS_EVAL_EVAL_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Answers one request line (without its end) with one line on `out`. n_columns 0:
 * by the scalar evaluator. Otherwise by the column evaluator over that many rows,
 * every literal lifted into a column of its own; all rows must agree. */
void tsn_eval_line(const char *line, size_t len, uint32_t n_columns, FILE *out);

/* Answers every line of `in` until its end, in order. */
void tsn_eval_stream(FILE *in, uint32_t n_columns, FILE *out);

#endif
