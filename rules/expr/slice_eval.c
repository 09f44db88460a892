/* FIRST SLICE, to be removed whole (git rm rules/expr/slice_*) by the landing of the full
 * expression room. Evaluators (first slice): columns are filled row by row. */
#include <stdlib.h>
#include <string.h>

#include "rules/expr/slice_scalar.h"
#include "rules/must/must.h"

struct tsn_eval *tsn_eval_new(const struct tsn_expr_set *set)
{
    struct tsn_eval *eval = calloc(1, sizeof *eval);
    TSN_MUST_ALLOC(eval);
    TSN_MUST(set->frozen);
    eval->set = set;
    tsn_arena_init(&eval->arena, 0);
    eval->columns = calloc(set->n_roots + 1, sizeof *eval->columns);
    eval->done = calloc(set->n_roots + 1, sizeof *eval->done);
    TSN_MUST_ALLOC(eval->columns && eval->done);
    return eval;
}

void tsn_eval_free(struct tsn_eval *eval)
{
    if (eval) {
        tsn_arena_free(&eval->arena);
        free(eval->columns);
        free(eval->done);
        free(eval);
    }
}

void tsn_eval_begin(struct tsn_eval *eval, const struct tsn_frame *frame)
{
    eval->frame = *frame;
    tsn_arena_reset(&eval->arena);
    memset(eval->done, 0, eval->set->n_roots * sizeof *eval->done);
}

void tsn_eval_row(struct tsn_eval *eval, uint32_t expr, uint32_t row, struct tsn_value *out)
{
    tsn_node_row(eval, eval->set->roots[expr].node, row, out);
}

const struct tsn_column *tsn_eval_column(struct tsn_eval *eval, uint32_t expr)
{
    static const enum tsn_rep reps[] = {
        [TSN_TYPE_BOOL] = TSN_REP_BOOL,      [TSN_TYPE_INT] = TSN_REP_INT,
        [TSN_TYPE_DOUBLE] = TSN_REP_DOUBLE,  [TSN_TYPE_STRING] = TSN_REP_STRING,
        [TSN_TYPE_TIMESTAMP] = TSN_REP_TIME, [TSN_TYPE_DURATION] = TSN_REP_DURATION,
        [TSN_TYPE_NULL] = TSN_REP_NULL,
    };
    struct tsn_column *column = &eval->columns[expr];
    if (eval->done[expr]) {
        return column;
    }
    eval->done[expr] = true;
    enum tsn_rep rep = reps[tsn_expr_type_of(eval->set, expr).type];
    tsn_column_alloc(column, rep, eval->frame.n_rows, true, &eval->arena);
    for (uint32_t r = 0; r < eval->frame.n_rows; r++) {
        struct tsn_value v;
        tsn_eval_row(eval, expr, r, &v);
        if (v.state == TSN_STATE_ERROR) {
            tsn_bits_set(column->error, r);
        } else if (v.state == TSN_STATE_VALUE) {
            tsn_bits_set(column->valid, r);
            if (rep == TSN_REP_BOOL && v.b) {
                tsn_bits_set(column->bits, r);
            } else if (rep == TSN_REP_INT) {
                column->i64[r] = v.i;
            } else if (rep == TSN_REP_DOUBLE) {
                column->f64[r] = v.d;
            } else if (rep == TSN_REP_STRING) {
                column->str[r] = v.s;
            } else if (rep == TSN_REP_TIME || rep == TSN_REP_DURATION) {
                column->time[r] = v.t;
            }
        }
    }
    return column;
}
