/* The scalar evaluator: one expression, one row, boxed values.
 *
 * It is the oracle that the column evaluator is tested against, folds constants
 * while expressions are compiled, explains alerts, and runs macros over lists and
 * the rows whose rule reads a list that this batch has written. A recursive walk
 * of the graph, each node at most once a row (or once an element inside a macro):
 * with sharing, a plain walk of the tree could take exponential time.
 * Height is bounded by the checker, so is the stack. One thread an evaluator.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/expr/function.h"
#include "rules/expr/graph.h"
#include "rules/expr/text.h"
#include "rules/expr/value.h"
#include "rules/must/must.h"

/* Memory that one macro (with those inside it) may build in a row. */
enum { MACRO_BYTES_MAX = 4 << 20 };

void tsn_row_begin(struct tsn_eval *eval, uint32_t row)
{
    eval->row = row;
    eval->row_clock = ++eval->clock;
}

static void set_error(struct tsn_value *out, const char *error, uint32_t node)
{
    out->state = TSN_STATE_ERROR;
    out->error = error;
    out->error_column = node;
}

static void set_bool(struct tsn_value *out, bool b)
{
    out->state = TSN_STATE_VALUE;
    out->b = b;
}

static void eval_input(struct tsn_eval *eval, const struct tsn_node *n, uint32_t id,
                       struct tsn_value *out)
{
    tsn_column_value(&eval->frame.inputs[n->input], eval->row, out);
    out->type = n->type;
    if (out->state == TSN_STATE_ERROR) {
        const struct tsn_expr_name *name = tsn_graph_name(eval->set, n);
        set_error(out,
                  tsn_arena_printf(&eval->arena, "'%s' could not be computed (overflow)",
                                   name ? name->name : "a literal"),
                  id);
    }
}

static void eval_has(struct tsn_eval *eval, const struct tsn_node *n, struct tsn_value *out)
{
    const struct tsn_column *column = &eval->frame.inputs[n->input];
    set_bool(out, tsn_bits_get(column->valid, eval->row) ||
                      (column->error && tsn_bits_get(column->error, eval->row)));
}

/* && and ||: the value that decides wins over errors, errors over missing. */
static void eval_logic(struct tsn_eval *eval, const struct tsn_node *n, struct tsn_value *out)
{
    bool decides = n->op == TSN_OP_OR;
    const struct tsn_value *failed = NULL;
    bool missing = false;
    for (uint32_t i = 0; i < n->n_args; i++) {
        const struct tsn_value *arg = tsn_row_node(eval, n->args[i]);
        if (arg->state == TSN_STATE_VALUE && arg->b == decides) {
            set_bool(out, decides);
            return;
        }
        failed = arg->state == TSN_STATE_ERROR && !failed ? arg : failed;
        missing |= arg->state == TSN_STATE_MISSING;
    }
    if (failed) {
        set_error(out, failed->error, failed->error_column);
    } else if (missing) {
        out->state = TSN_STATE_MISSING;
    } else {
        set_bool(out, !decides);
    }
}

static void eval_if(struct tsn_eval *eval, const struct tsn_node *n, struct tsn_value *out)
{
    const struct tsn_value *condition = tsn_row_node(eval, n->args[0]);
    const struct tsn_value *taken = condition;
    if (condition->state == TSN_STATE_VALUE) {
        taken = tsn_row_node(eval, n->args[condition->b ? 1 : 2]);
    }
    *out = *taken;
    out->type = n->type;
}

static void eval_coalesce(struct tsn_eval *eval, const struct tsn_node *n, struct tsn_value *out)
{
    const struct tsn_value *value = tsn_row_node(eval, n->args[0]);
    *out = value->state == TSN_STATE_MISSING ? *tsn_row_node(eval, n->args[1]) : *value;
    out->type = n->type;
}

static tsn_event_ms row_time(const struct tsn_eval *eval)
{
    return eval->frame.time_ms ? eval->frame.time_ms[eval->row] : 0;
}

static void eval_handle(struct tsn_eval *eval, const struct tsn_node *n, struct tsn_value *out)
{
    const struct tsn_value *arg = tsn_row_node(eval, n->args[0]);
    if (arg->state != TSN_STATE_VALUE) {
        *out = *arg;
        out->type = n->type;
        return;
    }
    const struct tsn_list *list = eval->frame.lists[n->input];
    tsn_event_ms at = row_time(eval);
    if (n->op == TSN_OP_PREFIX_IN) {
        set_bool(out, tsn_list_has_prefix_of(list, arg->s, at));
    } else if (arg->type.type == TSN_TYPE_STRING) {
        set_bool(out, tsn_list_has_string(list, arg->s, at));
    } else {
        set_bool(out, tsn_list_has_int(list, arg->i, at));
    }
}

/* ---- strict operations ---------------------------------------------------- */

static void apply_index(struct tsn_eval *eval, uint32_t id, const struct tsn_value *args,
                        struct tsn_value *out)
{
    const struct tsn_list_value *list = args[0].list;
    int64_t index = args[1].i;
    if (args[1].type.type == TSN_TYPE_DOUBLE && !tsn_number_truncate(args[1].d, &index)) {
        index = -1;
    }
    if (index < 0 || (uint64_t)index >= list->n) {
        set_error(out,
                  tsn_arena_printf(&eval->arena, "index %lld is outside a list of %zu elements",
                                   (long long)index, list->n),
                  id);
        return;
    }
    *out = list->items[index];
}

static void apply_in(const struct tsn_value *args, struct tsn_value *out)
{
    const struct tsn_list_value *list = args[1].list;
    bool found = false;
    for (size_t i = 0; i < list->n && !found; i++) {
        found = tsn_value_compare(&args[0], &list->items[i]) == TSN_ORDER_EQUAL;
    }
    set_bool(out, found);
}

static void apply_list(struct tsn_eval *eval, const struct tsn_node *n,
                       const struct tsn_value *args, struct tsn_value *out)
{
    struct tsn_list_value *list = tsn_arena_alloc(&eval->arena, sizeof *list);
    struct tsn_value *items = tsn_arena_alloc(&eval->arena, n->n_args * sizeof *items + 1);
    if (n->n_args) {
        memcpy(items, args, n->n_args * sizeof *items);
    }
    *list = (struct tsn_list_value){n->n_args, items};
    out->list = list;
}

void tsn_apply_node(struct tsn_eval *eval, uint32_t id, const struct tsn_value *args,
                    struct tsn_value *out)
{
    const struct tsn_node *n = &eval->set->nodes[id];
    struct tsn_call call = {.arena = &eval->arena, .zones = &eval->set->zones, .n_args = n->n_args};
    *out = (struct tsn_value){.state = TSN_STATE_VALUE, .type = n->type};
    switch (n->op) {
    case TSN_OP_COMPARE:
        set_bool(out, tsn_relation_holds(n->sub, tsn_value_compare(&args[0], &args[1])));
        break;
    case TSN_OP_NOT:
        set_bool(out, !args[0].b);
        break;
    case TSN_OP_INDEX:
        apply_index(eval, id, args, out);
        break;
    case TSN_OP_IN:
        apply_in(args, out);
        break;
    case TSN_OP_LIST:
        apply_list(eval, n, args, out);
        break;
    default: {
        const struct tsn_function *f = &tsn_functions[n->input];
        call.regex = f->flags & TSN_FUNCTION_REGEX ? n->regex : NULL;
        call.zone = f->flags & (TSN_FUNCTION_ZONE | TSN_FUNCTION_LOCAL) ? n->zone : NULL;
        if (!f->apply(&call, args, out)) {
            set_error(out, call.error, id);
        }
        break;
    }
    }
    out->type = n->type;
}

/* Error beside missing is error; the first error in order. */
static void eval_strict(struct tsn_eval *eval, const struct tsn_node *n, uint32_t id,
                        struct tsn_value *out)
{
    struct tsn_value few[4];
    struct tsn_value *args = few;
    if (n->n_args > 4) {
        args = tsn_arena_alloc(&eval->arena, n->n_args * sizeof *args);
    }
    bool missing = false;
    for (uint32_t i = 0; i < n->n_args; i++) {
        args[i] = *tsn_row_node(eval, n->args[i]);
        if (args[i].state == TSN_STATE_ERROR) {
            set_error(out, args[i].error, args[i].error_column);
            return;
        }
        missing |= args[i].state == TSN_STATE_MISSING;
    }
    if (missing) {
        out->state = TSN_STATE_MISSING;
        return;
    }
    tsn_apply_node(eval, id, args, out);
}

/* ---- macros --------------------------------------------------------------- */

/* What one pass over a list has seen. */
struct pass {
    const struct tsn_value *failed;
    struct tsn_value error;
    bool missing;
    size_t n_true;
    bool decided;
    struct tsn_value *items;
    size_t n_items;
};

static void note(struct pass *pass, const struct tsn_value *value)
{
    if (value->state == TSN_STATE_ERROR && !pass->failed) {
        pass->error = *value; /* the memo is overwritten by the next element */
        pass->failed = &pass->error;
    }
    pass->missing |= value->state == TSN_STATE_MISSING;
}

static void visit_element(struct tsn_eval *eval, const struct tsn_node *n,
                          const struct tsn_value *element, struct pass *pass)
{
    struct tsn_value test = {.state = TSN_STATE_VALUE, .b = true};
    if (n->sub != TSN_MAP || n->n_args == 3) {
        test = *tsn_row_node(eval, n->args[1]);
        note(pass, &test);
    }
    bool is_true = test.state == TSN_STATE_VALUE && test.b;
    pass->n_true += is_true;
    pass->decided = test.state == TSN_STATE_VALUE &&
                    ((n->sub == TSN_ALL && !test.b) || (n->sub == TSN_EXISTS && test.b));
    if (n->sub == TSN_FILTER && is_true) {
        pass->items[pass->n_items++] = *element;
    }
    if (n->sub == TSN_MAP && is_true) {
        struct tsn_value item = *tsn_row_node(eval, n->args[n->n_args - 1]);
        note(pass, &item);
        pass->items[pass->n_items++] = item;
    }
}

static void finish_macro(struct tsn_eval *eval, const struct tsn_node *n, const struct pass *pass,
                         struct tsn_value *out)
{
    if (pass->decided) {
        set_bool(out, n->sub == TSN_EXISTS);
    } else if (pass->failed) {
        set_error(out, pass->failed->error, pass->failed->error_column);
    } else if (pass->missing) {
        out->state = TSN_STATE_MISSING;
    } else if (n->sub == TSN_FILTER || n->sub == TSN_MAP) {
        struct tsn_list_value *list = tsn_arena_alloc(&eval->arena, sizeof *list);
        *list = (struct tsn_list_value){pass->n_items, pass->items};
        out->list = list;
    } else {
        set_bool(out, n->sub == TSN_ALL || (n->sub == TSN_EXISTS_ONE && pass->n_true == 1));
    }
}

static void eval_macro(struct tsn_eval *eval, const struct tsn_node *n, uint32_t id,
                       struct tsn_value *out)
{
    struct tsn_value list = *tsn_row_node(eval, n->args[0]);
    if (list.state != TSN_STATE_VALUE) {
        *out = list;
        out->type = n->type;
        return;
    }
    if (list.list->n > TSN_EXPR_MACRO_MAX) {
        set_error(out, "a macro takes lists of at most 64 elements", id);
        return;
    }
    struct pass pass = {0};
    bool builds = n->sub == TSN_FILTER || n->sub == TSN_MAP;
    pass.items =
        builds ? tsn_arena_alloc(&eval->arena, list.list->n * sizeof *pass.items + 1) : NULL;
    if (eval->macro_depth++ == 0) {
        eval->macro_bytes = MACRO_BYTES_MAX;
    }
    /* cel.bind may have put this macro inside another one of the same slot */
    struct tsn_value outer = eval->variables[n->slot];
    for (size_t i = 0; i < list.list->n && !pass.decided; i++) {
        eval->variables[n->slot] = list.list->items[i];
        eval->variable_clock[n->slot] = ++eval->clock;
        visit_element(eval, n, &list.list->items[i], &pass);
    }
    eval->variables[n->slot] = outer;
    eval->variable_clock[n->slot] = ++eval->clock;
    eval->macro_depth--;
    finish_macro(eval, n, &pass, out);
}

/* ---- the walk ------------------------------------------------------------- */

/* Text and lists built for every element are counted, so that macros inside
 * macros cannot ask for all memory. */
static void count_bytes(struct tsn_eval *eval, const struct tsn_node *n, uint32_t id,
                        struct tsn_value *out)
{
    size_t bytes = 0;
    if (out->state == TSN_STATE_VALUE && n->type.type == TSN_TYPE_STRING) {
        bytes = out->s.len;
    } else if (out->state == TSN_STATE_VALUE && n->type.type == TSN_TYPE_LIST) {
        bytes = out->list->n * sizeof(struct tsn_value);
    }
    if (bytes > eval->macro_bytes) {
        set_error(out, "a macro would build more than 4 MiB", id);
        return;
    }
    eval->macro_bytes -= bytes;
}

static void eval_node(struct tsn_eval *eval, const struct tsn_node *n, uint32_t id,
                      struct tsn_value *out)
{
    *out = (struct tsn_value){.state = TSN_STATE_VALUE, .type = n->type};
    switch (n->op) {
    case TSN_OP_CONST:
        *out = *n->value;
        return;
    case TSN_OP_INPUT:
        eval_input(eval, n, id, out);
        return;
    case TSN_OP_HAS:
        eval_has(eval, n, out);
        return;
    case TSN_OP_VARIABLE:
        *out = eval->variables[n->slot];
        out->type = n->type;
        return;
    case TSN_OP_AND:
    case TSN_OP_OR:
        eval_logic(eval, n, out);
        return;
    case TSN_OP_IF:
        eval_if(eval, n, out);
        return;
    case TSN_OP_COALESCE:
        eval_coalesce(eval, n, out);
        return;
    case TSN_OP_IN_HANDLE:
    case TSN_OP_PREFIX_IN:
        eval_handle(eval, n, out);
        return;
    case TSN_OP_MACRO:
        eval_macro(eval, n, id, out);
        break;
    default:
        eval_strict(eval, n, id, out);
        break;
    }
    if (n->free_slots && eval->macro_depth) {
        count_bytes(eval, n, id, out);
    }
}

const struct tsn_value *tsn_row_node(struct tsn_eval *eval, uint32_t id)
{
    const struct tsn_node *n = &eval->set->nodes[id];
    struct tsn_value *memo = &eval->values[id];
    uint64_t since = eval->row_clock;
    if (n->free_slots) { /* inner variables change whenever outer ones do */
        since = eval->variable_clock[63 - __builtin_clzll(n->free_slots)];
    }
    if (eval->stamps[id] >= since && eval->stamps[id] >= eval->row_clock) {
        return memo;
    }
    if (n->error) {
        *memo = (struct tsn_value){.type = n->type};
        set_error(memo, n->error, n->error_node);
    } else {
        struct tsn_value out;
        eval_node(eval, n, id, &out);
        *memo = out;
    }
    eval->stamps[id] = eval->clock;
    return memo;
}
