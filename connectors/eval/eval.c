/* Eval: one expression over given values.
 *
 * For people who try an expression, and for suites that hold the language against
 * others: every request is its own little world - names from its bindings, a set,
 * a frame - built and dropped again, so requests cannot touch each other. Costs
 * tens of microseconds a line. No input ends the process.
 */
#include "connectors/eval/eval.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/wire/eval_request.h"
#include "rules/arena/arena.h"
#include "rules/diag/diag.h"
#include "rules/expr/expr.h"
#include "rules/list/list.h"
#include "rules/must/must.h"

/* Lines longer than this are not read into memory. */
enum { LINE_MAX_BYTES = 16 << 20 };

struct world {
    struct tsn_arena arena;
    struct tsn_eval_request request;
    uint32_t n_rows;
    struct tsn_expr_name *names;
    size_t n_names;
    struct tsn_expr_list *lists;
    struct tsn_list **handles;
    size_t n_lists;
    struct tsn_column *columns;
    struct tsn_expr_set *set;
};

/* A column that holds the same value in every row. */
static void fill(struct world *w, struct tsn_column *column, const struct tsn_value *value)
{
    tsn_column_alloc(column, tsn_type_rep(value->type.type), w->n_rows, false, &w->arena);
    for (uint32_t row = 0; row < w->n_rows; row++) {
        tsn_column_set(column, row, value);
    }
}

/* `lists.x` bound to a list of strings or ints is a handle. */
static bool is_handle(const struct tsn_eval_binding *binding)
{
    const struct tsn_value *value = &binding->value;
    bool element = value->type.element == TSN_TYPE_STRING || value->type.element == TSN_TYPE_INT ||
                   value->type.element == TSN_TYPE_NULL;
    return strncmp(binding->name, "lists.", 6) == 0 && value->type.type == TSN_TYPE_LIST &&
           value->type.depth == 1 && element && value->state == TSN_STATE_VALUE;
}

static void add_handle(struct world *w, const struct tsn_eval_binding *binding)
{
    enum tsn_type of = binding->value.type.element == TSN_TYPE_INT ? TSN_TYPE_INT : TSN_TYPE_STRING;
    struct tsn_list *list = tsn_list_new(of, 0);
    for (size_t i = 0; i < binding->value.list->n; i++) {
        const struct tsn_value *item = &binding->value.list->items[i];
        if (of == TSN_TYPE_INT) {
            tsn_list_add_int(list, item->i, TSN_LIST_FOREVER);
        } else {
            tsn_list_add_string(list, item->s, TSN_LIST_FOREVER);
        }
    }
    w->lists[w->n_lists] =
        (struct tsn_expr_list){.name = binding->name, .element = of, .list = (uint32_t)w->n_lists};
    w->handles[w->n_lists++] = list;
}

static void declare(struct world *w)
{
    size_t n = w->request.n_bindings + 1;
    w->names = tsn_arena_zalloc(&w->arena, n, sizeof *w->names);
    w->lists = tsn_arena_zalloc(&w->arena, n, sizeof *w->lists);
    w->handles = tsn_arena_zalloc(&w->arena, n, sizeof(*w->handles));
    for (size_t i = 0; i < w->request.n_bindings; i++) {
        const struct tsn_eval_binding *binding = &w->request.bindings[i];
        if (is_handle(binding)) {
            add_handle(w, binding);
            continue;
        }
        w->names[w->n_names] = (struct tsn_expr_name){
            .name = binding->name,
            .type = binding->value.type,
            .may_be_missing = binding->value.state == TSN_STATE_MISSING,
            .rep = tsn_type_rep(binding->value.type.type),
            .input = (uint32_t)w->n_names,
        };
        w->n_names++;
    }
    struct tsn_expr_env env = {
        .names = w->names, .n_names = w->n_names, .lists = w->lists, .n_lists = w->n_lists};
    w->set = tsn_expr_set_new(&env);
}

/* Columns of the bindings, then of the lifted literals. */
static void fill_columns(struct world *w)
{
    size_t n_lifted = 0;
    while (tsn_expr_lifted(w->set, n_lifted)) {
        n_lifted++;
    }
    w->columns = tsn_arena_zalloc(&w->arena, w->n_names + n_lifted + 1, sizeof *w->columns);
    size_t at = 0;
    for (size_t i = 0; i < w->request.n_bindings; i++) {
        if (!is_handle(&w->request.bindings[i])) {
            fill(w, &w->columns[at++], &w->request.bindings[i].value);
        }
    }
    for (size_t i = 0; i < n_lifted; i++) {
        fill(w, &w->columns[at++], tsn_expr_lifted(w->set, i));
    }
}

/* The value of all rows by columns; false if they disagree with each other or with
 * the scalar evaluator on whether there is a value. */
static bool by_columns(struct world *w, struct tsn_eval *eval, uint32_t expr,
                       struct tsn_value *value)
{
    const struct tsn_column *column = tsn_eval_column(eval, expr);
    struct tsn_expr_type type = tsn_expr_type_of(w->set, expr);
    struct tsn_value first;
    tsn_column_value(column, 0, &first);
    first.type = type;
    for (uint32_t row = 1; row < w->n_rows; row++) {
        struct tsn_value next;
        tsn_column_value(column, row, &next);
        next.type = type;
        if (!tsn_expr_same(&first, &next)) {
            return false;
        }
    }
    if (first.state == TSN_STATE_ERROR) { /* columns keep no texts */
        tsn_eval_row(eval, expr, 0, value);
        return value->state == TSN_STATE_ERROR;
    }
    *value = first;
    return true;
}

static void evaluate(struct world *w, uint32_t expr, bool columns, FILE *out)
{
    struct tsn_eval *eval = tsn_eval_new(w->set);
    fill_columns(w);
    struct tsn_frame frame = {.n_rows = w->n_rows,
                              .inputs = w->columns,
                              .lists = (const struct tsn_list *const *)w->handles};
    tsn_eval_begin(eval, &frame);
    struct tsn_value value = {.state = TSN_STATE_MISSING};
    if (!columns) {
        tsn_eval_row(eval, expr, 0, &value);
    } else if (!by_columns(w, eval, expr, &value)) {
        value.state = TSN_STATE_ERROR;
        value.error = "internal error: rows and columns give different answers";
        value.error_column = 1;
    }
    if (value.state == TSN_STATE_VALUE) {
        tsn_eval_response_value(out, &value);
    } else if (value.state == TSN_STATE_MISSING) {
        tsn_eval_response_missing(out);
    } else {
        tsn_eval_response_error(out, "eval", value.error, value.error_column);
    }
    tsn_eval_free(eval);
}

static void check_failed(const struct tsn_diags *diags, struct tsn_arena *arena, FILE *out)
{
    const struct tsn_diag *diag = &diags->items[0];
    const char *message = diag->message;
    if (diag->advice) {
        message = tsn_arena_printf(arena, "%s; %s", diag->message, diag->advice);
    }
    tsn_eval_response_error(out, "check", message, diag->place.column);
}

void tsn_eval_line(const char *line, size_t len, uint32_t n_columns, FILE *out)
{
    struct world w = {.n_rows = n_columns ? n_columns : 1};
    tsn_arena_init(&w.arena, 0);
    const char *why = NULL;
    uint32_t column = 1;
    if (!tsn_eval_request_read(line, len, &w.arena, &w.request, &why, &column)) {
        tsn_eval_response_error(out, "input", why, column);
        tsn_arena_free(&w.arena);
        return;
    }
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    declare(&w);
    tsn_expr_set_lift(w.set, n_columns > 0);
    uint32_t expr =
        tsn_expr_set_add(w.set, w.request.expr.p, w.request.expr.len, NULL, NULL, &diags);
    tsn_expr_set_freeze(w.set);
    if (expr == TSN_EXPR_NONE) {
        check_failed(&diags, &w.arena, out);
    } else {
        evaluate(&w, expr, n_columns > 0, out);
    }
    for (size_t i = 0; i < w.n_lists; i++) {
        tsn_list_free(w.handles[i]);
    }
    tsn_expr_set_free(w.set);
    tsn_diags_free(&diags);
    tsn_arena_free(&w.arena);
}

/* One line without its end; false at the end of the stream. What exceeds the
 * bound is read past and counted in *len only. */
static bool read_line(FILE *in, char **line, size_t *cap, size_t *len)
{
    *len = 0;
    int c = getc_unlocked(in);
    if (c == EOF) {
        return false;
    }
    for (; c != EOF && c != '\n'; c = getc_unlocked(in)) {
        if (*len < LINE_MAX_BYTES) {
            if (*len == *cap) {
                *cap = *cap ? *cap * 2 : 4096;
                *line = realloc(*line, *cap);
                TSN_MUST_ALLOC(*line);
            }
            (*line)[*len] = (char)c;
        }
        (*len)++;
    }
    return true;
}

void tsn_eval_stream(FILE *in, uint32_t n_columns, FILE *out)
{
    char *line = NULL;
    size_t cap = 0;
    size_t len;
    while (read_line(in, &line, &cap, &len)) {
        if (len > LINE_MAX_BYTES) {
            tsn_eval_response_error(out, "input", "a line longer than 16 MiB", 1);
        } else {
            tsn_eval_line(line ? line : "", len, n_columns, out);
        }
        fflush(out);
    }
    free(line);
}
