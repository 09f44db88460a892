/* The column evaluator: one expression over all rows of a frame.
 *
 * Every node's column is computed once a frame, on first demand, so predicates
 * that rules share cost one loop. Bools are three bitmaps - value, valid, error -
 * and rules are algebra on them, 64 rows a word: with T = value, F = valid and not
 * value, E = error, && is T = all T, F = any F, E = any E but not F (|| mirrors
 * it). No row is skipped by a branch; && stops early when every row is false.
 * Comparisons of an input with a constant work on the cells as they are kept:
 * milliseconds, money units, enum codes, without converting a column. What has no
 * kernel goes row by row through the functions, over operand columns; macros
 * through the scalar evaluator. Invariant: value bits are a subset of valid ones,
 * valid and error are disjoint, all bits beyond the last row are zero.
 */
#include <stdlib.h>
#include <string.h>

#include "rules/expr/function_apply.h"
#include "rules/expr/graph.h"
#include "rules/expr/kernel.h"
#include "rules/expr/number.h"
#include "rules/expr/text.h"
#include "rules/expr/time.h"
#include "rules/expr/value.h"
#include "rules/must/must.h"

static const struct tsn_column *column_of(struct tsn_eval *eval, uint32_t id);

static size_t words_of(const struct tsn_eval *eval)
{
    return tsn_bits_words(eval->frame.n_rows);
}

/* All rows of word w. */
static uint64_t row_mask(const struct tsn_eval *eval, size_t w)
{
    size_t left = eval->frame.n_rows - w * 64;
    return left >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << left) - 1;
}

static uint64_t error_word(const struct tsn_column *column, size_t w)
{
    return column->error ? column->error[w] : 0;
}

static void alloc_column(struct tsn_eval *eval, struct tsn_column *out, enum tsn_rep rep,
                         bool with_errors)
{
    tsn_column_alloc(out, rep, eval->frame.n_rows, with_errors, &eval->arena);
}

/* valid and error of a strict operation over the operands. */
static void strict_states(struct tsn_eval *eval, const struct tsn_column *const *args, uint32_t n,
                          uint64_t *valid, uint64_t *error)
{
    for (size_t w = 0; w < words_of(eval); w++) {
        uint64_t all = row_mask(eval, w);
        uint64_t any_error = 0;
        for (uint32_t i = 0; i < n; i++) {
            all &= args[i]->valid[w];
            any_error |= error_word(args[i], w);
        }
        valid[w] = all & ~any_error;
        if (error) {
            error[w] = any_error;
        }
    }
}

static bool any_errors(const struct tsn_column *const *args, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (args[i]->error) {
            return true;
        }
    }
    return false;
}

/* ---- inputs and constants -------------------------------------------------- */

static void fill_valid(struct tsn_eval *eval, struct tsn_column *out)
{
    for (size_t w = 0; w < words_of(eval); w++) {
        out->valid[w] = row_mask(eval, w);
    }
}

/* Operands of arithmetic are most constants that need a column at all: numbers have loops of
 * their own, 2 instructions a row instead of 25. */
static void fill_const(struct tsn_eval *eval, const struct tsn_node *n, struct tsn_column *out)
{
    uint32_t n_rows = eval->frame.n_rows;
    alloc_column(eval, out, tsn_type_rep(n->type.type), false);
    if (n->value->state == TSN_STATE_VALUE && out->rep == TSN_REP_INT) {
        for (uint32_t row = 0; row < n_rows; row++) {
            out->i64[row] = n->value->i;
        }
        fill_valid(eval, out);
    } else if (n->value->state == TSN_STATE_VALUE && out->rep == TSN_REP_DOUBLE) {
        for (uint32_t row = 0; row < n_rows; row++) {
            out->f64[row] = n->value->d;
        }
        fill_valid(eval, out);
    } else {
        for (uint32_t row = 0; row < n_rows; row++) {
            tsn_column_set(out, row, n->value);
        }
    }
}

/* An input in the representation of its type; shared where it already is. */
static void readable_input(struct tsn_eval *eval, const struct tsn_node *n, struct tsn_column *out)
{
    const struct tsn_column *raw = &eval->frame.inputs[n->input];
    enum tsn_rep rep = tsn_type_rep(n->type.type);
    *out = *raw;
    if (raw->rep == rep && rep != TSN_REP_BOOL) {
        return;
    }
    out->rep = rep;
    out->dict = NULL;
    if (rep == TSN_REP_BOOL) { /* value bits may stand where nothing is valid */
        out->bits = tsn_arena_alloc(&eval->arena, words_of(eval) * sizeof *out->bits + 1);
        for (size_t w = 0; w < words_of(eval); w++) {
            out->bits[w] = raw->bits[w] & raw->valid[w];
        }
        return;
    }
    out->cells = tsn_arena_alloc(&eval->arena, eval->frame.n_rows * tsn_rep_cell_bytes(rep) + 1);
    if (raw->rep == TSN_REP_MONEY) {
        tsn_kernel_money_to_double(raw->i64, eval->frame.n_rows,
                                   tsn_number_power_of_ten(raw->scale), out->f64);
        return;
    }
    for (uint32_t row = 0; row < eval->frame.n_rows; row++) {
        if (!tsn_bits_get(raw->valid, row)) {
            continue;
        }
        if (raw->rep == TSN_REP_ENUM) {
            out->str[row] = raw->dict->names[raw->code[row]];
        } else {
            out->time[row] = tsn_time_from_ms(raw->i64[row]);
        }
    }
}

static void column_has(struct tsn_eval *eval, const struct tsn_node *n, struct tsn_column *out)
{
    const struct tsn_column *raw = &eval->frame.inputs[n->input];
    alloc_column(eval, out, TSN_REP_BOOL, false);
    for (size_t w = 0; w < words_of(eval); w++) {
        out->valid[w] = row_mask(eval, w);
        out->bits[w] = (raw->valid[w] | error_word(raw, w)) & row_mask(eval, w);
    }
}

/* ---- bool algebra ---------------------------------------------------------- */

static void column_logic(struct tsn_eval *eval, const struct tsn_node *n, struct tsn_column *out)
{
    size_t words = words_of(eval);
    bool is_or = n->op == TSN_OP_OR;
    /* decided: rows that some operand has settled (F of &&, T of ||);
     * all: rows where every operand so far is the other value */
    uint64_t *decided = tsn_arena_zalloc(&eval->arena, words, sizeof *decided);
    uint64_t *all = tsn_arena_alloc(&eval->arena, words * sizeof *all + 1);
    uint64_t *error = NULL;
    for (size_t w = 0; w < words; w++) {
        all[w] = row_mask(eval, w);
    }
    bool open = true; /* some row is not decided yet */
    for (uint32_t i = 0; i < n->n_args && open; i++) {
        const struct tsn_column *arg = column_of(eval, n->args[i]);
        uint64_t rest = 0;
        for (size_t w = 0; w < words; w++) {
            uint64_t yes = arg->bits[w];
            uint64_t no = arg->valid[w] & ~yes;
            decided[w] |= is_or ? yes : no;
            all[w] &= is_or ? no : yes;
            rest |= row_mask(eval, w) & ~decided[w];
        }
        if (arg->error) {
            error = error ? error : tsn_arena_zalloc(&eval->arena, words, sizeof *error);
            for (size_t w = 0; w < words; w++) {
                error[w] |= arg->error[w];
            }
        }
        open = rest != 0;
    }
    *out = (struct tsn_column){.rep = TSN_REP_BOOL, .error = error};
    out->bits = is_or ? decided : all;
    out->valid = is_or ? all : decided;
    for (size_t w = 0; w < words; w++) {
        if (error) {
            error[w] &= ~decided[w];
        }
        out->valid[w] |= out->bits[w];
    }
}

static void column_not(struct tsn_eval *eval, const struct tsn_node *n, struct tsn_column *out)
{
    const struct tsn_column *arg = column_of(eval, n->args[0]);
    *out = *arg;
    out->bits = tsn_arena_alloc(&eval->arena, words_of(eval) * sizeof *out->bits + 1);
    for (size_t w = 0; w < words_of(eval); w++) {
        out->bits[w] = arg->valid[w] & ~arg->bits[w];
    }
}

/* Rows of `from` whose bit is set in `take` go to out. */
static void blend(struct tsn_eval *eval, struct tsn_column *out, const struct tsn_column *from,
                  const uint64_t *take)
{
    size_t bytes = tsn_rep_cell_bytes(out->rep);
    for (size_t w = 0; w < words_of(eval); w++) {
        out->valid[w] |= from->valid[w] & take[w];
        if (from->error) {
            out->error[w] |= from->error[w] & take[w];
        }
        if (out->rep == TSN_REP_BOOL) {
            out->bits[w] |= from->bits[w] & take[w];
            continue;
        }
        for (uint64_t left = bytes ? from->valid[w] & take[w] : 0; left; left &= left - 1) {
            size_t row = w * 64 + (size_t)__builtin_ctzll(left);
            memcpy((char *)out->cells + row * bytes, (const char *)from->cells + row * bytes,
                   bytes);
        }
    }
}

static void column_if(struct tsn_eval *eval, const struct tsn_node *n, struct tsn_column *out)
{
    const struct tsn_column *condition = column_of(eval, n->args[0]);
    const struct tsn_column *yes = column_of(eval, n->args[1]);
    const struct tsn_column *no = column_of(eval, n->args[2]);
    alloc_column(eval, out, tsn_type_rep(n->type.type),
                 condition->error || yes->error || no->error);
    uint64_t *untaken = tsn_arena_alloc(&eval->arena, words_of(eval) * sizeof *untaken + 1);
    for (size_t w = 0; w < words_of(eval); w++) {
        untaken[w] = condition->valid[w] & ~condition->bits[w];
        if (condition->error) {
            out->error[w] = condition->error[w];
        }
    }
    blend(eval, out, yes, condition->bits);
    blend(eval, out, no, untaken);
}

static void column_coalesce(struct tsn_eval *eval, const struct tsn_node *n, struct tsn_column *out)
{
    const struct tsn_column *value = column_of(eval, n->args[0]);
    const struct tsn_column *rest = column_of(eval, n->args[1]);
    alloc_column(eval, out, tsn_type_rep(n->type.type), value->error || rest->error);
    uint64_t *here = tsn_arena_alloc(&eval->arena, words_of(eval) * sizeof *here + 1);
    uint64_t *missing = tsn_arena_alloc(&eval->arena, words_of(eval) * sizeof *missing + 1);
    for (size_t w = 0; w < words_of(eval); w++) {
        here[w] = value->valid[w] | error_word(value, w);
        missing[w] = row_mask(eval, w) & ~here[w];
    }
    blend(eval, out, value, here);
    blend(eval, out, rest, missing);
}

/* ---- comparisons ----------------------------------------------------------- */

/* The least i for which a cell of this representation is not below the constant
 * (or: is above it). Cells read as values monotonously, so bisection is exact. */
struct bound {
    bool any; /* false: no cell is */
    int64_t cell;
};

static struct bound least_cell(const struct tsn_column *raw, const struct tsn_value *with,
                               bool above)
{
    struct tsn_column one = *raw;
    uint64_t valid = 1;
    int64_t cell = INT64_MAX;
    one.valid = &valid;
    one.error = NULL;
    one.i64 = &cell;
    struct tsn_value value;
    tsn_column_value(&one, 0, &value);
    enum tsn_order order = tsn_value_compare(&value, with);
    if (order == TSN_ORDER_LESS || (above && order == TSN_ORDER_EQUAL)) {
        return (struct bound){false, 0};
    }
    int64_t low = INT64_MIN; /* the answer lies in [low, high] */
    int64_t high = INT64_MAX;
    while (low < high) {
        cell = low + (int64_t)(((uint64_t)high - (uint64_t)low) / 2);
        tsn_column_value(&one, 0, &value);
        order = tsn_value_compare(&value, with);
        if (order == TSN_ORDER_LESS || (above && order == TSN_ORDER_EQUAL)) {
            low = cell + 1;
        } else {
            high = cell;
        }
    }
    return (struct bound){true, low};
}

static struct tsn_interval interval_of(const struct tsn_column *raw, enum tsn_relation relation,
                                       const struct tsn_value *with)
{
    struct tsn_interval none = {.low = 1, .high = 0, .outside = relation == TSN_NE};
    if (with->type.type == TSN_TYPE_DOUBLE && with->d != with->d) {
        return none;
    }
    struct bound at = least_cell(raw, with, false);   /* the first that is not less */
    struct bound above = least_cell(raw, with, true); /* the first that is greater */
    bool upwards = relation == TSN_GT || relation == TSN_GE;
    struct bound from = relation == TSN_GT ? above : at;
    struct bound to = relation == TSN_LT || upwards ? at : above; /* exclusive */
    struct tsn_interval found = none;
    if (upwards) {
        found.low = from.any ? from.cell : 1;
        found.high = from.any ? INT64_MAX : 0;
    } else if (!to.any || to.cell > INT64_MIN) {
        bool downwards = relation == TSN_LT || relation == TSN_LE;
        found.high = to.any ? to.cell - 1 : INT64_MAX;
        found.low = downwards ? INT64_MIN : at.cell;
        if (!downwards && !at.any) {
            return none;
        }
    }
    return found;
}

/* A comparison of cells kept as integers with a constant. */
static void compare_cells(struct tsn_eval *eval, uint32_t id, const struct tsn_column *raw,
                          enum tsn_relation relation, const struct tsn_value *with, uint64_t *out)
{
    struct tsn_interval *interval = &eval->intervals[id];
    if (!interval->known || interval->rep != raw->rep || interval->scale != raw->scale) {
        *interval = interval_of(raw, relation, with);
        interval->known = true;
        interval->rep = (uint8_t)raw->rep;
        interval->scale = raw->scale;
    }
    tsn_kernel_range(raw->i64, eval->frame.n_rows, interval->low, interval->high, out);
    for (size_t w = 0; interval->outside && w < words_of(eval); w++) {
        out[w] = ~out[w];
    }
}

static void compare_codes(struct tsn_eval *eval, const struct tsn_column *raw,
                          enum tsn_relation relation, const struct tsn_value *with, uint64_t *out)
{
    uint8_t *table = tsn_arena_alloc(&eval->arena, raw->dict->n + 1);
    for (uint32_t code = 0; code < raw->dict->n; code++) {
        int order = tsn_str_compare(raw->dict->names[code], with->s);
        table[code] = tsn_relation_holds(relation, order < 0   ? TSN_ORDER_LESS
                                                   : order > 0 ? TSN_ORDER_GREATER
                                                               : TSN_ORDER_EQUAL);
    }
    tsn_kernel_codes(raw->code, eval->frame.n_rows, table, raw->dict->n, out);
}

static void compare_strings(struct tsn_eval *eval, const struct tsn_column *column,
                            enum tsn_relation relation, struct tsn_str with, uint64_t *out)
{
    memset(out, 0, words_of(eval) * sizeof *out);
    for (size_t w = 0; w < words_of(eval); w++) {
        for (uint64_t left = column->valid[w] & row_mask(eval, w); left; left &= left - 1) {
            unsigned bit = (unsigned)__builtin_ctzll(left);
            struct tsn_str s = column->str[w * 64 + bit];
            bool holds = relation == TSN_NE ? !tsn_str_equal(s, with) : tsn_str_equal(s, with);
            out[w] |= (uint64_t)holds << bit;
        }
    }
}

static enum tsn_relation mirrored(enum tsn_relation relation)
{
    static const enum tsn_relation other[] = {
        [TSN_EQ] = TSN_EQ, [TSN_NE] = TSN_NE, [TSN_LT] = TSN_GT,
        [TSN_LE] = TSN_GE, [TSN_GT] = TSN_LT, [TSN_GE] = TSN_LE};
    return other[relation];
}

/* The column of a node as it is kept: an input's own, else what is computed. */
static const struct tsn_column *raw_column(struct tsn_eval *eval, uint32_t id)
{
    const struct tsn_node *n = &eval->set->nodes[id];
    if (n->op == TSN_OP_INPUT && eval->frame.inputs[n->input].rep != TSN_REP_BOOL) {
        return &eval->frame.inputs[n->input];
    }
    return column_of(eval, id);
}

/* A kernel for a column against a constant; false if there is none. */
static bool compare_const(struct tsn_eval *eval, uint32_t id, const struct tsn_column *raw,
                          enum tsn_relation relation, const struct tsn_value *with, uint64_t *out)
{
    switch (raw->rep) {
    case TSN_REP_INT:
    case TSN_REP_MONEY:
    case TSN_REP_TIME_MS:
    case TSN_REP_DURATION_MS:
        compare_cells(eval, id, raw, relation, with, out);
        return true;
    case TSN_REP_DOUBLE: {
        double d = with->type.type == TSN_TYPE_INT ? (double)with->i : with->d;
        if (with->type.type == TSN_TYPE_INT && tsn_number_compare(with->i, d) != TSN_ORDER_EQUAL) {
            return false; /* beyond 2^53: exact, row by row */
        }
        tsn_kernel_double_const(raw->f64, eval->frame.n_rows, relation, d, out);
        return true;
    }
    case TSN_REP_ENUM:
        compare_codes(eval, raw, relation, with, out);
        return true;
    case TSN_REP_STRING:
        if (relation != TSN_EQ && relation != TSN_NE) {
            return false;
        }
        compare_strings(eval, raw, relation, with->s, out);
        return true;
    default:
        return false;
    }
}

/* A kernel for two columns; false if there is none. */
static bool compare_columns(struct tsn_eval *eval, const struct tsn_column *a,
                            const struct tsn_column *b, enum tsn_relation relation, uint64_t *out)
{
    if (a->rep != b->rep) {
        return false;
    }
    switch (a->rep) {
    case TSN_REP_INT:
    case TSN_REP_TIME_MS:
    case TSN_REP_DURATION_MS:
        tsn_kernel_int_int(a->i64, b->i64, eval->frame.n_rows, relation, out);
        return true;
    case TSN_REP_DOUBLE:
        tsn_kernel_double_double(a->f64, b->f64, eval->frame.n_rows, relation, out);
        return true;
    default:
        return false;
    }
}

static void column_by_row(struct tsn_eval *eval, const struct tsn_node *n, uint32_t id,
                          struct tsn_column *out);

static void column_compare(struct tsn_eval *eval, const struct tsn_node *n, uint32_t id,
                           struct tsn_column *out)
{
    const struct tsn_value *left =
        eval->set->nodes[n->args[0]].op == TSN_OP_CONST ? eval->set->nodes[n->args[0]].value : NULL;
    const struct tsn_value *right =
        eval->set->nodes[n->args[1]].op == TSN_OP_CONST ? eval->set->nodes[n->args[1]].value : NULL;
    const struct tsn_column *args[2];
    uint64_t *bits = tsn_arena_alloc(&eval->arena, words_of(eval) * sizeof *bits + 1);
    uint32_t n_args = 1;
    bool done = false;
    if (left && right) { /* only a failing constant: not folded */
        column_by_row(eval, n, id, out);
        return;
    }
    if (left || right) {
        args[0] = raw_column(eval, n->args[right ? 0 : 1]);
        done = compare_const(eval, id, args[0], right ? n->sub : mirrored(n->sub),
                             right ? right : left, bits);
    } else {
        args[0] = raw_column(eval, n->args[0]);
        args[1] = raw_column(eval, n->args[1]);
        if (args[0]->rep != args[1]->rep) {
            args[0] = column_of(eval, n->args[0]);
            args[1] = column_of(eval, n->args[1]);
        }
        n_args = 2;
        done = compare_columns(eval, args[0], args[1], n->sub, bits);
    }
    if (!done) {
        column_by_row(eval, n, id, out);
        return;
    }
    *out = (struct tsn_column){.rep = TSN_REP_BOOL, .bits = bits};
    out->valid = tsn_arena_alloc(&eval->arena, words_of(eval) * sizeof *out->valid + 1);
    if (any_errors(args, n_args)) {
        out->error = tsn_arena_alloc(&eval->arena, words_of(eval) * sizeof *out->error + 1);
    }
    strict_states(eval, args, n_args, out->valid, out->error);
    for (size_t w = 0; w < words_of(eval); w++) {
        bits[w] &= out->valid[w];
    }
}

/* ---- strict functions ------------------------------------------------------ */

static bool int_kernel(struct tsn_eval *eval, enum tsn_kernel kernel,
                       const struct tsn_column *const *args, struct tsn_column *out,
                       uint64_t *overflow)
{
    size_t n = eval->frame.n_rows;
    switch (kernel) {
    case TSN_KERNEL_ADD_INT:
        tsn_kernel_add_int(args[0]->i64, args[1]->i64, n, out->i64, overflow);
        return true;
    case TSN_KERNEL_SUB_INT:
        tsn_kernel_sub_int(args[0]->i64, args[1]->i64, n, out->i64, overflow);
        return true;
    case TSN_KERNEL_MUL_INT:
        tsn_kernel_mul_int(args[0]->i64, args[1]->i64, n, out->i64, overflow);
        return true;
    default:
        return false;
    }
}

static void double_kernel(struct tsn_eval *eval, enum tsn_kernel kernel,
                          const struct tsn_column *const *args, struct tsn_column *out)
{
    size_t n = eval->frame.n_rows;
    switch (kernel) {
    case TSN_KERNEL_ADD_DOUBLE:
        tsn_kernel_add_double(args[0]->f64, args[1]->f64, n, out->f64);
        break;
    case TSN_KERNEL_SUB_DOUBLE:
        tsn_kernel_sub_double(args[0]->f64, args[1]->f64, n, out->f64);
        break;
    case TSN_KERNEL_MUL_DOUBLE:
        tsn_kernel_mul_double(args[0]->f64, args[1]->f64, n, out->f64);
        break;
    case TSN_KERNEL_DIV_DOUBLE:
        tsn_kernel_div_double(args[0]->f64, args[1]->f64, n, out->f64);
        break;
    default:
        TSN_MUST(kernel == TSN_KERNEL_INT_TO_DOUBLE);
        tsn_kernel_int_to_double(args[0]->i64, n, out->f64);
        break;
    }
}

static void column_kernel(struct tsn_eval *eval, const struct tsn_node *n, enum tsn_kernel kernel,
                          struct tsn_column *out)
{
    const struct tsn_column *args[2];
    for (uint32_t i = 0; i < n->n_args; i++) {
        args[i] = column_of(eval, n->args[i]);
    }
    size_t words = words_of(eval);
    bool is_int = kernel == TSN_KERNEL_ADD_INT || kernel == TSN_KERNEL_SUB_INT ||
                  kernel == TSN_KERNEL_MUL_INT;
    alloc_column(eval, out, tsn_type_rep(n->type.type), is_int || any_errors(args, n->n_args));
    strict_states(eval, args, n->n_args, out->valid, out->error);
    if (!is_int) {
        double_kernel(eval, kernel, args, out);
        return;
    }
    uint64_t *overflow = tsn_arena_alloc(&eval->arena, words * sizeof *overflow + 1);
    int_kernel(eval, kernel, args, out, overflow);
    uint64_t any = 0;
    for (size_t w = 0; w < words; w++) {
        overflow[w] &= out->valid[w]; /* cells of other rows hold anything */
        out->valid[w] &= ~overflow[w];
        out->error[w] |= overflow[w];
        any |= out->error[w];
    }
    if (!any) {
        out->error = NULL; /* the usual case: nobody has to look at it again */
    }
}

/* Strict application row by row where all operands have values. */
static void column_by_row(struct tsn_eval *eval, const struct tsn_node *n, uint32_t id,
                          struct tsn_column *out)
{
    const struct tsn_column **args = tsn_arena_alloc(&eval->arena, (n->n_args + 1) * sizeof(*args));
    const struct tsn_value **constants =
        tsn_arena_alloc(&eval->arena, (n->n_args + 1) * sizeof(*constants));
    struct tsn_value *values = tsn_arena_alloc(&eval->arena, (n->n_args + 1) * sizeof *values);
    uint32_t n_columns = 0;
    for (uint32_t i = 0; i < n->n_args; i++) {
        const struct tsn_node *arg = &eval->set->nodes[n->args[i]];
        constants[i] = arg->op == TSN_OP_CONST ? arg->value : NULL;
        if (!constants[i]) {
            args[n_columns++] = column_of(eval, n->args[i]);
        }
    }
    alloc_column(eval, out, tsn_type_rep(n->type.type), true);
    strict_states(eval, args, n_columns, out->valid, out->error);
    for (size_t w = 0; w < words_of(eval); w++) {
        uint64_t left = out->valid[w];
        out->valid[w] = 0;
        for (; left; left &= left - 1) {
            uint32_t row = (uint32_t)(w * 64) + (uint32_t)__builtin_ctzll(left);
            uint32_t next = 0;
            for (uint32_t i = 0; i < n->n_args; i++) {
                if (constants[i]) {
                    values[i] = *constants[i];
                    continue;
                }
                tsn_column_value(args[next++], row, &values[i]);
                values[i].type = eval->set->nodes[n->args[i]].type;
            }
            struct tsn_value result;
            tsn_apply_node(eval, id, values, &result);
            tsn_column_set(out, row, &result);
        }
    }
}

/* Everything below this node row by row: macros. */
static void column_by_scalar(struct tsn_eval *eval, const struct tsn_node *n, uint32_t id,
                             struct tsn_column *out)
{
    alloc_column(eval, out, tsn_type_rep(n->type.type), true);
    for (uint32_t row = 0; row < eval->frame.n_rows; row++) {
        tsn_row_begin(eval, row);
        tsn_column_set(out, row, tsn_row_node(eval, id));
    }
}

/* ---- membership ------------------------------------------------------------ */

static void column_handle(struct tsn_eval *eval, const struct tsn_node *n, struct tsn_column *out)
{
    const struct tsn_column *arg = column_of(eval, n->args[0]);
    const struct tsn_list *list = eval->frame.lists[n->input];
    alloc_column(eval, out, TSN_REP_BOOL, arg->error != NULL);
    strict_states(eval, &arg, 1, out->valid, out->error);
    for (size_t w = 0; w < words_of(eval); w++) {
        for (uint64_t left = out->valid[w]; left; left &= left - 1) {
            size_t row = w * 64 + (size_t)__builtin_ctzll(left);
            tsn_event_ms at = eval->frame.time_ms ? eval->frame.time_ms[row] : 0;
            bool in = n->op == TSN_OP_PREFIX_IN    ? tsn_list_has_prefix_of(list, arg->str[row], at)
                      : arg->rep == TSN_REP_STRING ? tsn_list_has_string(list, arg->str[row], at)
                                                   : tsn_list_has_int(list, arg->i64[row], at);
            out->bits[w] |= (uint64_t)in << (row & 63);
        }
    }
}

/* An enum against a list of constants: a table by code. */
static bool column_in_codes(struct tsn_eval *eval, const struct tsn_node *n, struct tsn_column *out)
{
    const struct tsn_column *raw = raw_column(eval, n->args[0]);
    const struct tsn_node *list = &eval->set->nodes[n->args[1]];
    if (raw->rep != TSN_REP_ENUM || list->op != TSN_OP_CONST) {
        return false;
    }
    uint8_t *table = tsn_arena_zalloc(&eval->arena, raw->dict->n + 1, 1);
    for (uint32_t code = 0; code < raw->dict->n; code++) {
        for (size_t i = 0; i < list->value->list->n && !table[code]; i++) {
            table[code] = tsn_str_equal(raw->dict->names[code], list->value->list->items[i].s);
        }
    }
    alloc_column(eval, out, TSN_REP_BOOL, raw->error != NULL);
    strict_states(eval, &raw, 1, out->valid, out->error);
    tsn_kernel_codes(raw->code, eval->frame.n_rows, table, raw->dict->n, out->bits);
    for (size_t w = 0; w < words_of(eval); w++) {
        out->bits[w] &= out->valid[w];
    }
    return true;
}

/* Text or ints against a list of constants: bisection in the sorted list. */
static bool column_in_members(struct tsn_eval *eval, const struct tsn_node *n,
                              struct tsn_column *out)
{
    const struct tsn_node *list = &eval->set->nodes[n->args[1]];
    const struct tsn_node *element = &eval->set->nodes[n->args[0]];
    if (list->op != TSN_OP_CONST || !list->members || element->op == TSN_OP_CONST ||
        !tsn_type_equal(element->type, tsn_element_of(list->type))) {
        return false;
    }
    const struct tsn_column *arg = column_of(eval, n->args[0]);
    alloc_column(eval, out, TSN_REP_BOOL, arg->error != NULL);
    strict_states(eval, &arg, 1, out->valid, out->error);
    for (size_t w = 0; w < words_of(eval); w++) {
        for (uint64_t left = out->valid[w]; left; left &= left - 1) {
            uint32_t row = (uint32_t)(w * 64) + (uint32_t)__builtin_ctzll(left);
            struct tsn_value value;
            tsn_column_value(arg, row, &value);
            out->bits[w] |= (uint64_t)tsn_members_have(list->members, &value) << (row & 63);
        }
    }
    return true;
}

/* ---- dispatch -------------------------------------------------------------- */

/* Is it the text at p? Its last byte tells most that are not, without a call. */
static inline bool is_text_at(const char *p, struct tsn_str s)
{
    return s.len == 0 || (p[s.len - 1] == s.p[s.len - 1] && memcmp(p, s.p, s.len) == 0);
}

/* startsWith and endsWith of a constant, over a column of text. False: not of this kind. */
static bool column_affix(struct tsn_eval *eval, const struct tsn_node *n, struct tsn_column *out)
{
    bool starts = tsn_functions[n->input].apply == tsn_apply_starts_with;
    if (!starts && tsn_functions[n->input].apply != tsn_apply_ends_with) {
        return false;
    }
    const struct tsn_node *affix = &eval->set->nodes[n->args[1]];
    if (affix->op != TSN_OP_CONST || affix->value->state != TSN_STATE_VALUE ||
        eval->set->nodes[n->args[0]].op == TSN_OP_CONST) {
        return false;
    }
    const struct tsn_column *text = column_of(eval, n->args[0]);
    if (text->rep != TSN_REP_STRING) {
        return false;
    }
    struct tsn_str s = affix->value->s;
    alloc_column(eval, out, TSN_REP_BOOL, true);
    strict_states(eval, &text, 1, out->valid, out->error);
    for (size_t w = 0; w < words_of(eval); w++) {
        uint64_t bits = 0;
        for (uint64_t left = out->valid[w]; left; left &= left - 1) {
            unsigned bit = (unsigned)__builtin_ctzll(left);
            struct tsn_str cell = text->str[w * 64 + bit];
            bool holds =
                cell.len >= s.len && is_text_at(starts ? cell.p : cell.p + (cell.len - s.len), s);
            bits |= (uint64_t)holds << bit;
        }
        out->bits[w] = bits;
    }
    return true;
}

static void compute(struct tsn_eval *eval, const struct tsn_node *n, uint32_t id,
                    struct tsn_column *out)
{
    switch (n->op) {
    case TSN_OP_CONST:
        fill_const(eval, n, out);
        return;
    case TSN_OP_INPUT:
        readable_input(eval, n, out);
        return;
    case TSN_OP_HAS:
        column_has(eval, n, out);
        return;
    case TSN_OP_AND:
    case TSN_OP_OR:
        column_logic(eval, n, out);
        return;
    case TSN_OP_NOT:
        column_not(eval, n, out);
        return;
    case TSN_OP_IF:
        column_if(eval, n, out);
        return;
    case TSN_OP_COALESCE:
        column_coalesce(eval, n, out);
        return;
    case TSN_OP_COMPARE:
        column_compare(eval, n, id, out);
        return;
    case TSN_OP_IN_HANDLE:
    case TSN_OP_PREFIX_IN:
        column_handle(eval, n, out);
        return;
    case TSN_OP_IN:
        if (!column_in_codes(eval, n, out) && !column_in_members(eval, n, out)) {
            column_by_row(eval, n, id, out);
        }
        return;
    case TSN_OP_CALL:
        if (tsn_functions[n->input].kernel != TSN_KERNEL_NONE) {
            column_kernel(eval, n, tsn_functions[n->input].kernel, out);
        } else if (!column_affix(eval, n, out)) {
            column_by_row(eval, n, id, out);
        }
        return;
    case TSN_OP_MACRO:
        column_by_scalar(eval, n, id, out);
        return;
    default:
        column_by_row(eval, n, id, out);
        return;
    }
}

static const struct tsn_column *column_of(struct tsn_eval *eval, uint32_t id)
{
    struct tsn_column *column = &eval->columns[id];
    if (eval->column_frame[id] != eval->frame_count) {
        compute(eval, &eval->set->nodes[id], id, column);
        eval->column_frame[id] = eval->frame_count;
    }
    return column;
}

const struct tsn_column *tsn_column_node(struct tsn_eval *eval, uint32_t node)
{
    return column_of(eval, node);
}

const struct tsn_column *tsn_eval_column(struct tsn_eval *eval, uint32_t expr)
{
    TSN_MUST(eval->set->frozen && expr < eval->set->n_exprs);
    return column_of(eval, eval->set->exprs[expr].root);
}
