/* Kernels: the loops of the column evaluator; see kernel.c.
 *
 * All take n rows and write whole words whose bits beyond n are zero; cells of
 * rows that are not valid may hold anything, and what is computed from them is
 * masked by the caller.
 */
#ifndef TSN_RULES_EXPR_KERNEL_H
#define TSN_RULES_EXPR_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/column/column.h"
#include "rules/expr/graph.h"

/* bit i = low <= cells[i] <= high. One pass, no branch a row. */
void tsn_kernel_range(const int64_t *restrict cells, size_t n, int64_t low, int64_t high,
                      uint64_t *restrict out);

/* bit i = cells[i] (relation) with; false for NaN except TSN_NE. */
void tsn_kernel_double_const(const double *restrict cells, size_t n, enum tsn_relation relation,
                             double with, uint64_t *restrict out);

void tsn_kernel_int_int(const int64_t *restrict a, const int64_t *restrict b, size_t n,
                        enum tsn_relation relation, uint64_t *restrict out);
void tsn_kernel_double_double(const double *restrict a, const double *restrict b, size_t n,
                              enum tsn_relation relation, uint64_t *restrict out);

/* bit i = table[codes[i]], a byte a code; codes beyond n_table give 0. */
void tsn_kernel_codes(const uint16_t *restrict codes, size_t n, const uint8_t *restrict table,
                      size_t n_table, uint64_t *restrict out);

/* out = a op b with wrap-around; bit i of overflow is set where it did. */
void tsn_kernel_add_int(const int64_t *restrict a, const int64_t *restrict b, size_t n,
                        int64_t *restrict out, uint64_t *restrict overflow);
void tsn_kernel_sub_int(const int64_t *restrict a, const int64_t *restrict b, size_t n,
                        int64_t *restrict out, uint64_t *restrict overflow);
void tsn_kernel_mul_int(const int64_t *restrict a, const int64_t *restrict b, size_t n,
                        int64_t *restrict out, uint64_t *restrict overflow);

void tsn_kernel_add_double(const double *restrict a, const double *restrict b, size_t n,
                           double *restrict out);
void tsn_kernel_sub_double(const double *restrict a, const double *restrict b, size_t n,
                           double *restrict out);
void tsn_kernel_mul_double(const double *restrict a, const double *restrict b, size_t n,
                           double *restrict out);
void tsn_kernel_div_double(const double *restrict a, const double *restrict b, size_t n,
                           double *restrict out);
void tsn_kernel_int_to_double(const int64_t *restrict a, size_t n, double *restrict out);
/* (double)a[i] / by */
void tsn_kernel_money_to_double(const int64_t *restrict a, size_t n, double by,
                                double *restrict out);

#endif
