/* bench_rules: what rules cost an event, by columns and by rows.
 *
 * 10, 100 and 1,000 rules of three predicates over 20 columns, about one row in a
 * hundred firing each: thresholds are drawn from 50 quantiles a column and
 * direction, so rules share predicates as analysts' rules do (how many different
 * ones there are is printed). Both evaluators answer for every row and are compared
 * before anything is timed. Compile time is that of the whole set.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rules/expr/expr.h"
#include "rules/must/must.h"

enum { N_COLUMNS = 20, N_ROWS = 1024, N_RULES_MAX = 1000, N_QUANTILES = 50 };

struct world {
    struct tsn_arena arena;
    struct tsn_expr_name names[N_COLUMNS];
    struct tsn_column columns[N_COLUMNS];
    struct tsn_frame frame;
    char rules[N_RULES_MAX][256];
    uint32_t exprs[N_RULES_MAX];
    bool used[N_COLUMNS][2][N_QUANTILES];
    int n_different;
};

static uint64_t seed = UINT64_C(88172645463325252);

static uint64_t random_u64(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void set_cell(struct tsn_column *column, uint32_t row, int64_t value)
{
    switch (column->rep) {
    case TSN_REP_DOUBLE:
        column->f64[row] = (double)value;
        break;
    case TSN_REP_MONEY:
        column->i64[row] = value * 100;
        break;
    case TSN_REP_DURATION_MS:
        column->i64[row] = value * 1000;
        break;
    default:
        column->i64[row] = value;
        break;
    }
}

/* Values are uniform in [0, 1,000,000); about one cell in ten is missing. */
static void make_columns(struct world *w)
{
    static const enum tsn_rep reps[] = {TSN_REP_INT, TSN_REP_DOUBLE, TSN_REP_MONEY,
                                        TSN_REP_DURATION_MS, TSN_REP_INT};
    tsn_arena_init(&w->arena, 0);
    for (uint32_t c = 0; c < N_COLUMNS; c++) {
        enum tsn_rep rep = reps[c % 5];
        w->names[c] = (struct tsn_expr_name){.name = tsn_arena_printf(&w->arena, "event.c%u", c),
                                             .type = {.type = tsn_rep_type(rep)},
                                             .may_be_missing = true,
                                             .rep = rep,
                                             .scale = 2,
                                             .input = c};
        tsn_column_alloc(&w->columns[c], rep, N_ROWS, false, &w->arena);
        w->columns[c].scale = 2;
        for (uint32_t row = 0; row < N_ROWS; row++) {
            set_cell(&w->columns[c], row, (int64_t)(random_u64() % 1000000));
            if (random_u64() % 10) {
                tsn_bits_set(w->columns[c].valid, row);
            }
        }
    }
    w->frame = (struct tsn_frame){.n_rows = N_ROWS, .inputs = w->columns};
}

/* Three predicates, each true for 18 % to 30 % of the values there are. */
static void make_rule(struct world *w, char *text, size_t cap)
{
    size_t len = 0;
    for (int p = 0; p < 3; p++) {
        uint32_t c = (uint32_t)(random_u64() % N_COLUMNS);
        uint32_t above = (uint32_t)(random_u64() % 2);
        uint32_t q = (uint32_t)(random_u64() % N_QUANTILES);
        int share = 180000 + (int)q * 2400;
        bool span = w->names[c].rep == TSN_REP_DURATION_MS;
        w->n_different += !w->used[c][above][q];
        w->used[c][above][q] = true;
        len += (size_t)snprintf(text + len, cap - len, "%s%s %s %s%d%s", p ? " && " : "",
                                w->names[c].name, above ? ">=" : "<", span ? "duration(\"" : "",
                                above ? 1000000 - share : share, span ? "s\")" : "");
    }
}

static struct tsn_expr_set *compile(struct world *w, int n, double *ms)
{
    struct tsn_expr_env env = {.names = w->names, .n_names = N_COLUMNS};
    struct tsn_expr_type want = {.type = TSN_TYPE_BOOL};
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    double begin = now_ns();
    struct tsn_expr_set *set = tsn_expr_set_new(&env);
    for (int r = 0; r < n; r++) {
        w->exprs[r] = tsn_expr_set_add(set, w->rules[r], strlen(w->rules[r]), &want, NULL, &diags);
        TSN_MUST(w->exprs[r] != TSN_EXPR_NONE);
    }
    tsn_expr_set_freeze(set);
    *ms = (now_ns() - begin) / 1e6;
    tsn_diags_free(&diags);
    return set;
}

static uint64_t run_columns(struct world *w, struct tsn_eval *eval, int n)
{
    uint64_t hits = 0;
    tsn_eval_begin(eval, &w->frame);
    for (int r = 0; r < n; r++) {
        const struct tsn_column *column = tsn_eval_column(eval, w->exprs[r]);
        for (size_t word = 0; word < tsn_bits_words(N_ROWS); word++) {
            hits += column->bits[word] ? (uint64_t)__builtin_popcountll(column->bits[word]) : 0;
        }
    }
    return hits;
}

static uint64_t run_rows(struct world *w, struct tsn_eval *eval, int n)
{
    uint64_t hits = 0;
    tsn_eval_begin(eval, &w->frame);
    for (int r = 0; r < n; r++) {
        for (uint32_t row = 0; row < N_ROWS; row++) {
            struct tsn_value value;
            tsn_eval_row(eval, w->exprs[r], row, &value);
            hits += value.state == TSN_STATE_VALUE && value.b;
        }
    }
    return hits;
}

static bool answers_agree(struct world *w, struct tsn_eval *eval, int n)
{
    tsn_eval_begin(eval, &w->frame);
    for (int r = 0; r < n; r++) {
        const struct tsn_column *column = tsn_eval_column(eval, w->exprs[r]);
        for (uint32_t row = 0; row < N_ROWS; row++) {
            struct tsn_value scalar;
            struct tsn_value cell;
            tsn_eval_row(eval, w->exprs[r], row, &scalar);
            tsn_column_value(column, row, &cell);
            if (!tsn_expr_same(&scalar, &cell)) {
                return false;
            }
        }
    }
    return true;
}

/* The best of several rounds, in ns an event. */
static double best(uint64_t (*run)(struct world *, struct tsn_eval *, int), struct world *w,
                   struct tsn_eval *eval, int n, int rounds)
{
    double least = (double)INFINITY;
    for (int i = 0; i < rounds; i++) {
        double begin = now_ns();
        run(w, eval, n);
        double ns = (now_ns() - begin) / N_ROWS;
        least = ns < least ? ns : least;
    }
    return least;
}

static bool measure(struct world *w, int n)
{
    double compile_ms;
    memset(w->used, 0, sizeof w->used);
    w->n_different = 0;
    for (int r = 0; r < n; r++) {
        make_rule(w, w->rules[r], sizeof w->rules[r]);
    }
    struct tsn_expr_set *set = compile(w, n, &compile_ms);
    struct tsn_eval *eval = tsn_eval_new(set);
    bool agree = answers_agree(w, eval, n);
    if (agree) {
        double hits = (double)run_columns(w, eval, n) * 100 / N_ROWS / n;
        double columns = best(run_columns, w, eval, n, 200);
        double rows = best(run_rows, w, eval, n, 3);
        printf("%5d %10d %9d %6.2f %16.1f %13.1f %6.1f %10.2f\n", n, n * 3, w->n_different, hits,
               columns, rows, rows / columns, compile_ms);
    } else {
        printf("rows and columns give different answers: nothing is measured\n");
    }
    tsn_eval_free(eval);
    tsn_expr_set_free(set);
    return agree;
}

int main(void)
{
    static const int sizes[] = {10, 100, 1000};
    static struct world w;
    bool ok = true;
    make_columns(&w);
    printf("rules predicates different  hits%% columns ns/event rows ns/event  ratio compile ms\n");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        ok = measure(&w, sizes[i]) && ok;
    }
    tsn_arena_free(&w.arena);
    return ok ? 0 : 1;
}
