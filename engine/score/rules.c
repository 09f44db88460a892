/* Rules over columns: which rule fired on which row of a batch.
 *
 * A rule is one column of the expression room and bitmap algebra over it; exceptions
 * and dates are looked at only where it fired. A rule that nobody hit leaves nothing
 * behind, so that a batch without hits costs the columns and a few words a rule.
 *
 * A rule that reads a list written by rules may not see a write of a later row. It is
 * still computed as a column, with the lists as they stand before the batch: right
 * for every row up to the first write, and writes are rare. The rows behind a write,
 * and too-late rows (for which entries are forgotten by E), are evaluated again one
 * by one (`by_row`), and their cells corrected.
 */
#include <string.h>

#include "engine/score/state.h"
#include "rules/must/must.h"

struct cell {
    bool valid, error;
    bool fired;
};

static void column_new(struct tsn_score *score, struct tsn_column *column, enum tsn_rep rep,
                       uint32_t cap)
{
    tsn_column_alloc(column, rep, cap, true, &score->batch);
}

/* What the batch's statuses hold at all: most batches have neither. */
struct odd_rows {
    bool duplicates, too_late;
};

static void accepted_fill(struct score_type *type, const struct tsn_type_rows *rows,
                          const uint8_t *status, struct odd_rows odd, struct tsn_arena *arena)
{
    size_t words = tsn_bits_words(rows->n);
    type->accepted = tsn_arena_alloc(arena, words * sizeof(uint64_t));
    memset(type->accepted, 0xff, words * sizeof(uint64_t));
    if (rows->n % 64) {
        type->accepted[words - 1] = (UINT64_C(1) << (rows->n % 64)) - 1;
    }
    for (uint32_t i = 0; odd.duplicates && i < rows->n; i++) {
        if (status[rows->row[i]] == TSN_ROW_DUPLICATE) {
            tsn_bits_clear(type->accepted, i);
        }
    }
    type->by_row = NULL;
    if (!type->row_wise) {
        return;
    }
    type->by_row = tsn_arena_zalloc(arena, words, sizeof(uint64_t));
    for (uint32_t i = 0; odd.too_late && i < rows->n; i++) {
        if (status[rows->row[i]] == TSN_ROW_TOO_LATE) {
            tsn_bits_set(type->by_row, i);
        }
    }
}

/* ---- one rule --------------------------------------------------------------------- */

static bool in_force(const struct tsn_rule *rule, tsn_event_ms t)
{
    return t >= rule->from_ms && t < rule->until_ms;
}

/* Rows outside the rule's dates do not fire. */
static void dates_apply(const struct tsn_rule *rule, const tsn_event_ms *time_ms, uint64_t *fired,
                        size_t words)
{
    if (rule->from_ms == INT64_MIN && rule->until_ms == INT64_MAX) {
        return;
    }
    for (size_t w = 0; w < words; w++) {
        for (uint64_t left = fired[w]; left; left &= left - 1) {
            size_t at = w * 64 + (size_t)__builtin_ctzll(left);
            if (!in_force(rule, time_ms[at])) {
                tsn_bits_clear(fired, at);
            }
        }
    }
}

static void exception_apply(const struct tsn_exception *exception, struct tsn_eval *eval,
                            const tsn_event_ms *time_ms, uint64_t *fired, size_t words)
{
    const struct tsn_column *column = tsn_eval_column(eval, exception->expr);
    for (size_t w = 0; w < words; w++) {
        for (uint64_t left = fired[w] & column->bits[w] & column->valid[w]; left;
             left &= left - 1) {
            size_t at = w * 64 + (size_t)__builtin_ctzll(left);
            if (time_ms[at] <= exception->until_ms) {
                tsn_bits_clear(fired, at);
            }
        }
    }
}

/* Fired, missing and failed rows of a column, of those accepted. */
struct rule_count {
    uint64_t fired, missing, error;
};

/* Most words are zero, and without a popcount instruction counting is a call. */
static uint64_t bits_count(uint64_t word)
{
    return word ? (uint64_t)__builtin_popcountll(word) : 0;
}

static struct rule_count count_column(const struct tsn_column *column, const uint64_t *accepted,
                                      const uint64_t *fired, size_t words)
{
    struct rule_count n = {0};
    for (size_t w = 0; w < words; w++) {
        uint64_t error = column->error ? column->error[w] : 0;
        n.fired += bits_count(fired[w]);
        n.error += bits_count(error & accepted[w]);
        n.missing += bits_count(~(column->valid[w] | error) & accepted[w]);
    }
    return n;
}

static void count_add(const struct tsn_rule *rule, struct rule_count n,
                      struct tsn_engine_counts *counts)
{
    if (rule->after_ms > 0) {
        n.fired = 0; /* it was armed; it counts when it fires */
    }
    if (rule->mode == TSN_MODE_LIVE) {
        counts->hits += n.fired;
    } else {
        counts->shadow_hits += n.fired;
    }
    counts->rule_missing += n.missing;
    counts->rule_errors += n.error;
}

/* The rule's column of this batch; fired rows are its bits. */
static void column_keep(struct tsn_score *score, struct score_rule *plan,
                        const struct tsn_column *when, const uint64_t *accepted,
                        const uint64_t *fired, uint32_t n_rows)
{
    size_t words = tsn_bits_words(n_rows);
    column_new(score, &plan->column, TSN_REP_BOOL, n_rows);
    for (size_t w = 0; w < words; w++) {
        plan->column.bits[w] = fired[w];
        plan->column.valid[w] = when->valid[w] & accepted[w];
        plan->column.error[w] = when->error ? when->error[w] & accepted[w] : 0;
    }
}

static void rule_evaluate(struct tsn_score *score, const struct score_batch *of, int t, int r,
                          uint64_t *fired)
{
    const struct tsn_rule *rule = &score->prog->rules[r];
    const struct tsn_type_rows *rows = &of->batch->types[t];
    struct score_type *type = &score->types[t];
    struct score_rule *plan = &score->rules[r];
    size_t words = tsn_bits_words(rows->n);
    const struct tsn_column *when = tsn_eval_column(of->evals[t], rule->when);
    uint64_t any = 0;
    for (size_t w = 0; w < words; w++) {
        fired[w] = when->bits[w] & when->valid[w] & type->accepted[w];
        any |= fired[w];
    }
    if (any) {
        dates_apply(rule, rows->time_ms, fired, words);
        for (int e = 0; e < rule->n_exceptions; e++) {
            exception_apply(&rule->exceptions[e], of->evals[t], rows->time_ms, fired, words);
        }
    }
    if (!plan->row_wise) {
        count_add(rule, count_column(when, type->accepted, fired, words), of->counts);
    }
    if (any || plan->row_wise || score->want_columns) {
        column_keep(score, plan, when, type->accepted, fired, rows->n);
        if (any || plan->row_wise) {
            type->active[type->n_active++] = r;
        }
    }
}

/* ---- score expressions --------------------------------------------------------------- */

/* A copy, because rows may be corrected: doubles, whatever number the expression is. */
static void score_evaluate(struct tsn_score *score, const struct score_batch *of, int t, int y)
{
    const struct tsn_type_rows *rows = &of->batch->types[t];
    const struct tsn_column *from =
        tsn_eval_column(of->evals[t], score->prog->typologies[y].score[t]);
    struct tsn_column *to = &score->typologies[y].score[t];
    TSN_MUST(from->rep == TSN_REP_DOUBLE || from->rep == TSN_REP_INT);
    column_new(score, to, TSN_REP_DOUBLE, rows->n);
    for (size_t w = 0; w < tsn_bits_words(rows->n); w++) {
        to->valid[w] = from->valid[w] & score->types[t].accepted[w];
        to->error[w] = from->error ? from->error[w] & score->types[t].accepted[w] : 0;
    }
    for (uint32_t i = 0; i < rows->n; i++) {
        if (tsn_bits_get(to->valid, i)) {
            to->f64[i] = from->rep == TSN_REP_DOUBLE ? from->f64[i] : (double)from->i64[i];
        }
    }
}

void tsn_score_evaluate(struct tsn_score *score, const struct score_batch *of)
{
    struct odd_rows odd = {
        .duplicates = memchr(of->status, TSN_ROW_DUPLICATE, of->batch->n) != NULL,
        .too_late = memchr(of->status, TSN_ROW_TOO_LATE, of->batch->n) != NULL,
    };
    for (int t = 0; t < score->prog->n_types; t++) {
        const struct tsn_event_type *type = &score->prog->types[t];
        const struct tsn_type_rows *rows = &of->batch->types[t];
        struct score_type *plan = &score->types[t];
        plan->n_active = 0;
        if (rows->n == 0) {
            continue;
        }
        TSN_MUST(of->evals[t]);
        accepted_fill(plan, rows, of->status, odd, &score->batch);
        uint64_t *fired =
            tsn_arena_alloc(&score->batch, tsn_bits_words(rows->n) * sizeof(uint64_t));
        for (int i = 0; i < type->n_rules; i++) {
            if (score->rules[type->rules[i]].evaluated) {
                rule_evaluate(score, of, t, type->rules[i], fired);
            }
        }
        for (uint32_t i = 0; i < plan->n_scores; i++) {
            score_evaluate(score, of, t, plan->scores[i]);
        }
        for (uint32_t i = 0; i < plan->n_unless; i++) {
            int r = plan->unless[i];
            score->rules[r].unless = tsn_eval_column(of->evals[t], score->prog->rules[r].unless);
        }
    }
}

/* ---- row by row ------------------------------------------------------------------------ */

static void cell_set(struct tsn_column *column, uint32_t at, bool value, bool valid, bool error)
{
    uint64_t *maps[] = {column->bits, column->valid, column->error};
    const bool bits[] = {value, valid, error};
    for (int i = column->rep == TSN_REP_BOOL ? 0 : 1; i < 3; i++) {
        if (bits[i]) {
            tsn_bits_set(maps[i], at);
        } else {
            tsn_bits_clear(maps[i], at);
        }
    }
}

static void rule_evaluate_row(const struct tsn_rule *rule, struct score_rule *plan,
                              struct tsn_eval *eval, const struct tsn_row *row)
{
    struct tsn_value value;
    tsn_eval_row(eval, rule->when, row->at, &value);
    bool valid = value.state == TSN_STATE_VALUE;
    bool error = value.state == TSN_STATE_ERROR;
    bool fires = valid && value.b && in_force(rule, row->time_ms);
    for (int e = 0; fires && e < rule->n_exceptions; e++) {
        const struct tsn_exception *exception = &rule->exceptions[e];
        if (row->time_ms <= exception->until_ms) {
            tsn_eval_row(eval, exception->expr, row->at, &value);
            fires = value.state != TSN_STATE_VALUE || !value.b;
        }
    }
    cell_set(&plan->column, row->at, fires, valid, error);
}

static void score_evaluate_row(struct tsn_column *column, uint32_t expr, struct tsn_eval *eval,
                               uint32_t at)
{
    struct tsn_value value;
    tsn_eval_row(eval, expr, at, &value);
    bool valid = value.state == TSN_STATE_VALUE;
    cell_set(column, at, false, valid, value.state == TSN_STATE_ERROR);
    if (valid) {
        column->f64[at] = value.type.type == TSN_TYPE_INT ? (double)value.i : value.d;
    }
}

void tsn_score_evaluate_row(struct tsn_score *score, const struct score_batch *of,
                            const struct tsn_row *row)
{
    struct score_type *type = &score->types[row->type];
    struct tsn_eval *eval = of->evals[row->type];
    for (uint32_t i = 0; i < type->n_active; i++) {
        struct score_rule *rule = &score->rules[type->active[i]];
        if (rule->row_wise) {
            rule_evaluate_row(&score->prog->rules[type->active[i]], rule, eval, row);
        }
    }
    for (uint32_t i = 0; i < type->n_scores; i++) {
        struct score_typology *typology = &score->typologies[type->scores[i]];
        if (typology->score_row_wise[row->type]) {
            score_evaluate_row(&typology->score[row->type],
                               score->prog->typologies[type->scores[i]].score[row->type], eval,
                               row->at);
        }
    }
}

void tsn_score_count_row_wise(struct tsn_score *score, const struct score_batch *of)
{
    for (int t = 0; t < score->prog->n_types; t++) {
        struct score_type *type = &score->types[t];
        size_t words = tsn_bits_words(of->batch->types[t].n);
        for (uint32_t i = 0; i < type->n_active; i++) {
            const struct score_rule *plan = &score->rules[type->active[i]];
            if (plan->row_wise) {
                count_add(&score->prog->rules[type->active[i]],
                          count_column(&plan->column, type->accepted, plan->column.bits, words),
                          of->counts);
            }
        }
    }
}
