/* Panes against brute force: whatever was written, late or not, every value is that of an
 * interval whose edges lie earlier than asked for by less than 1/64 of what they lie back
 * from the newest row; exact, and said to be, unless it says otherwise; the same whether or
 * not it was read, swept or loaded in between; and a hot log stays small. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/window/pane.h"
#include "tests/fixture/window_model.h"

static struct tsn_model_random dice;

static int64_t below(int64_t n)
{
    return tsn_model_below(&dice, n);
}

/* ---- a log and its brute-force twin ----------------------------------------------------- */

struct log {
    struct tsn_window_rows model;
    struct tsn_window_layout layout;
    struct tsn_window_item items[TSN_WINDOW_MODEL_ITEMS];
    struct tsn_window_lane lanes[TSN_WINDOW_MODEL_LANES];
    struct tsn_window_counts counts;
    struct tsn_pool pool;
    struct tsn_cell *cell;
    int64_t newest_ms;
    uint64_t n_exact, n_approximate; /* values read */
};

enum { LATENESS_MS = 900 };

static void log_begin(struct log *log, uint32_t rows_max)
{
    static const int64_t spans_ms[][2] = {{500, 0}, {8000, 0}, {3000, 2200}};
    memset(log, 0, sizeof *log);
    tsn_window_model_layout(&log->layout, log->items, log->lanes);
    for (int l = 0; l < TSN_WINDOW_MODEL_LANES; l++) {
        log->lanes[l].window_ms = spans_ms[l][0];
        log->lanes[l].delay_ms = spans_ms[l][1];
    }
    for (unsigned i = 0; i < log->layout.n_items; i++) {
        if (log->items[i].agg == TSN_AGG_SET) { /* a set has no panes: its log is its own */
            log->items[i].agg = TSN_AGG_DISTINCT;
        }
    }
    log->layout.keep_ms = 8000;
    log->layout.rows_max = rows_max;
    log->layout.counts = &log->counts;
    tsn_window_arrange(&log->layout);
    tsn_pool_init(&log->pool);
    log->cell = tsn_cell_new(&log->layout, &log->pool);
    log->newest_ms = 1000000;
}

static void log_end(struct log *log)
{
    tsn_cell_free(log->cell, &log->layout, &log->pool);
    assert_int_equal(log->pool.used_bytes, 0);
    tsn_pool_end(&log->pool);
}

static int64_t dead_of(const struct log *log)
{
    return log->newest_ms - LATENESS_MS - log->layout.keep_ms;
}

static void log_write(struct log *log, const struct tsn_window_row *row)
{
    uint64_t words[TSN_WINDOW_MODEL_WORDS];
    tsn_window_model_words(row, words);
    if (row->time_ms <= dead_of(log)) {
        return;
    }
    tsn_window_model_put(&log->model, row);
    tsn_cell_write(&log->cell, &log->layout, &log->pool, words, dead_of(log));
    log->newest_ms = row->time_ms > log->newest_ms ? row->time_ms : log->newest_ms;
}

/* ---- what a value may be -------------------------------------------------------------------- */

static int rows_between(const struct log *log, const struct tsn_window_item *item, int64_t out_ms,
                        int64_t to_ms, struct tsn_window_row *rows)
{
    int n = 0;
    for (int i = 0; i < log->model.n; i++) {
        const struct tsn_window_row *row = &log->model.rows[i];
        if (row->time_ms > out_ms && row->time_ms <= to_ms &&
            (row->bits & item->need) == item->need) {
            rows[n++] = *row;
        }
    }
    return n;
}

static bool near(double a, double b, double scale)
{
    return a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= 1e-9 * scale;
}

/* Doubles are added pane by pane, so their sums differ in rounding; distinct is an
 * estimate: 5 standard errors. */
static bool same_value(const struct tsn_window_item *item, const struct tsn_window_row *rows, int n,
                       const struct tsn_reading *got, const struct tsn_reading *want,
                       bool approximate)
{
    if (got->state != want->state || got->state != TSN_STATE_VALUE) {
        return got->state == want->state;
    }
    if (item->agg == TSN_AGG_DISTINCT && approximate) {
        return fabs((double)(got->i - want->i)) <= 1 + 5 * 0.023 * (double)want->i;
    }
    if (item->scanned && approximate) {
        double scale = 0;
        for (int i = 0; i < n; i++) {
            scale += fabs(rows[i].d);
        }
        return near(got->d, want->d, scale);
    }
    bool extreme = item->agg == TSN_AGG_MIN || item->agg == TSN_AGG_MAX;
    return got->i == want->i ||
           (item->is_double && ((isnan(got->d) && isnan(want->d)) ||
                                (extreme && got->d == want->d))); /* 0.0 and -0.0 */
}

/* Is there an interval near enough over which the value is right? */
static bool value_holds(const struct log *log, const struct tsn_window_item *item, int64_t out_ms,
                        int64_t to_ms, int64_t time_ms, const struct tsn_reading *got)
{
    static struct tsn_window_row rows[TSN_WINDOW_MODEL_ROWS];
    static int64_t outs[TSN_WINDOW_MODEL_ROWS], tos[TSN_WINDOW_MODEL_ROWS];
    int n_outs = 0;
    int n_tos = 0;
    outs[n_outs++] = out_ms;
    tos[n_tos++] = to_ms;
    for (int i = log->model.n; i-- > 0;) { /* an edge only matters where rows are */
        int64_t just_ms = log->model.rows[i].time_ms - 1;
        if (just_ms < out_ms && (out_ms - just_ms) * 64 < log->newest_ms - out_ms &&
            outs[n_outs - 1] != just_ms) {
            outs[n_outs++] = just_ms;
        }
        if (just_ms < to_ms && (to_ms - just_ms) * 64 < log->newest_ms - to_ms &&
            tos[n_tos - 1] != just_ms) {
            tos[n_tos++] = just_ms;
        }
    }
    for (int a = 0; a < n_outs; a++) {
        for (int b = 0; b < n_tos; b++) {
            struct tsn_reading want;
            int n = rows_between(log, item, outs[a], tos[b], rows);
            tsn_window_model_value(item, rows, n, time_ms, &want);
            if (same_value(item, rows, n, got, &want, true)) {
                return true;
            }
        }
    }
    return false;
}

static void item_check(struct log *log, const struct tsn_window_item *item, int64_t asof_ms)
{
    static struct tsn_window_row rows[TSN_WINDOW_MODEL_ROWS];
    const struct tsn_window_lane *lane = &log->lanes[item->lane];
    int64_t to_ms = asof_ms - lane->delay_ms;
    int64_t out_ms = to_ms - lane->window_ms;
    struct tsn_window_view view;
    struct tsn_reading got, want;
    tsn_window_look(&view, log->cell, &log->layout, &log->pool, item->lane, asof_ms, asof_ms);
    tsn_window_read(&view, item, &got);
    bool approximate = view.panes && view.approximate;
    log->n_approximate += approximate;
    log->n_exact += !approximate;
    bool right;
    if (approximate) {
        right = value_holds(log, item, out_ms, to_ms, asof_ms, &got);
    } else {
        int n = rows_between(log, item, out_ms, to_ms, rows);
        tsn_window_model_value(item, rows, n, asof_ms, &want);
        right = same_value(item, rows, n, &got, &want, false);
    }
    if (!right) {
        fail_msg("%s of lane %d at %" PRId64 " (newest %" PRId64 "): state %d, %" PRId64
                 " (%g), %s; %d rows written, %u in the log",
                 tsn_agg_name(item->agg), item->lane, asof_ms, log->newest_ms, got.state, got.i,
                 got.d, approximate ? "approximate" : "exact", log->model.n, log->cell->n);
    }
}

static void log_check(struct log *log, int64_t asof_ms)
{
    for (unsigned i = 0; i < log->layout.n_items; i++) {
        item_check(log, &log->items[i], asof_ms);
    }
}

/* ---- streams -----------------------------------------------------------------------------------
 */

static int64_t time_next(const struct log *log, int late_percent, int64_t step_ms)
{
    return below(100) < late_percent ? log->newest_ms - below(LATENESS_MS + 3000)
                                     : log->newest_ms + below(step_ms + 1);
}

static void every_value_lies_within_the_bound(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        uint32_t rows_max;
        int late_percent;
        int64_t step_ms;
        int rows;
    } cases[] = {
        {"in order", 16, 0, 16, 350},          {"late", 16, 10, 16, 350},
        {"mostly late", 20, 60, 40, 350},      {"equal times", 32, 10, 2, 450},
        {"bursts of the same", 64, 5, 4, 450}, {"sparse: panes age", 16, 10, 200, 300},
    };
    static struct log log;
    uint64_t n_approximate = 0;
    for (uint64_t seed = 1; seed <= 350; seed++) {
        for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
            dice.state = seed * 2654435761u + c * 77 + 1;
            log_begin(&log, cases[c].rows_max);
            for (int i = 0; i < cases[c].rows; i++) {
                struct tsn_window_row row;
                int64_t time_ms = time_next(&log, cases[c].late_percent, cases[c].step_ms);
                tsn_window_model_row(&dice, &row, time_ms, (int)(seed % 3 == 0));
                row.x = row.x / 4096 + row.x % 2; /* no sum of them overflows */
                log_write(&log, &row);
                if (below(60) == 0) {
                    tsn_cell_expire(&log.cell, &log.layout, &log.pool, dead_of(&log));
                }
                if (below(40) == 0) {
                    log_check(&log, log.newest_ms);
                }
                if (below(80) == 0) {
                    log_check(&log, log.newest_ms - below(LATENESS_MS));
                }
                assert_true(log.cell->n <= cases[c].rows_max);
            }
            assert_true(log.counts.coalesced > 0 || cases[c].step_ms > 100);
            n_approximate += log.n_approximate;
            assert_true(log.n_exact > 0);
            log_end(&log);
        }
    }
    assert_true(n_approximate > 10000);
}

static void up_to_so_many_rows_nothing_is_approximate(void **state)
{
    (void)state;
    static struct log log;
    dice.state = 77;
    log_begin(&log, 500);
    for (int i = 0; i < 500; i++) {
        struct tsn_window_row row;
        tsn_window_model_row(&dice, &row, time_next(&log, 20, 3), 0);
        log_write(&log, &row);
        if (i % 25 == 0) {
            log_check(&log, log.newest_ms - below(100));
        }
    }
    assert_int_equal(log.n_approximate, 0);
    assert_int_equal(log.counts.coalesced, 0);
    log_end(&log);
}

/* Reads, sweeps and the room that a block has decide how a value is computed, and when
 * what is dead goes; never what the value is. */
static void values_do_not_depend_on_reads_and_sweeps_before(void **state)
{
    (void)state;
    static struct log busy, still;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        dice.state = seed * 40503 + 5;
        log_begin(&busy, 16 + (uint32_t)below(30));
        log_begin(&still, busy.layout.rows_max);
        int64_t step_ms = 1 + below(60);
        for (int i = 0; i < 600; i++) {
            struct tsn_window_row row;
            tsn_window_model_row(&dice, &row, time_next(&busy, 15, step_ms), 0);
            log_write(&busy, &row);
            log_write(&still, &row);
            if (below(4) == 0) {
                struct tsn_window_view view;
                struct tsn_reading out;
                const struct tsn_window_item *item = &busy.items[below(busy.layout.n_items)];
                tsn_window_look(&view, busy.cell, &busy.layout, &busy.pool, item->lane,
                                busy.newest_ms - below(300), busy.newest_ms);
                tsn_window_read(&view, item, &out);
            }
            if (below(9) == 0) {
                tsn_cell_expire(&busy.cell, &busy.layout, &busy.pool, dead_of(&busy));
            }
        }
        for (unsigned k = 0; k < busy.layout.n_items; k++) {
            struct tsn_window_view a_view, b_view;
            struct tsn_reading a, b;
            int64_t asof_ms = busy.newest_ms - below(200);
            tsn_window_look(&a_view, busy.cell, &busy.layout, &busy.pool, busy.items[k].lane,
                            asof_ms, asof_ms);
            tsn_window_look(&b_view, still.cell, &still.layout, &still.pool, busy.items[k].lane,
                            asof_ms, asof_ms);
            tsn_window_read(&a_view, &busy.items[k], &a);
            tsn_window_read(&b_view, &still.items[k], &b);
            assert_int_equal(a.state, b.state);
            assert_true(a.state != TSN_STATE_VALUE || a.i == b.i ||
                        (busy.items[k].is_double && isnan(a.d) && isnan(b.d)));
            assert_int_equal(a_view.panes && a_view.approximate,
                             b_view.panes && b_view.approximate);
        }
        log_end(&busy);
        log_end(&still);
    }
}

/* ---- how much it takes
 * --------------------------------------------------------------------------- */

static void a_hot_log_takes_the_same_room_at_any_length(void **state)
{
    (void)state;
    static struct log log;
    enum { ROWS = 10000000, ROWS_MAX = 10000 };
    uint64_t most = 0;
    uint32_t panes_most = 0;
    dice.state = 9;
    log_begin(&log, ROWS_MAX);
    for (int l = 0; l < TSN_WINDOW_MODEL_LANES; l++) {
        log.lanes[l].window_ms = INT64_C(86400000) * (1 + 29 * l); /* one day to two months */
        log.lanes[l].delay_ms = 0;
    }
    log.layout.keep_ms = INT64_C(86400000) * 59;
    for (int i = 0; i < ROWS; i++) {
        struct tsn_window_row row;
        log.newest_ms += below(600);
        tsn_window_model_row(&dice, &row, log.newest_ms - (below(50) == 0 ? below(900000) : 0), 1);
        uint64_t words[TSN_WINDOW_MODEL_WORDS];
        tsn_window_model_words(&row, words);
        tsn_cell_write(&log.cell, &log.layout, &log.pool, words, dead_of(&log));
        if (i == ROWS / 4) {
            most = log.pool.used_bytes;
            panes_most = log.cell->runs->panes->n;
        }
    }
    assert_int_equal(log.counts.coalesced > ROWS - ROWS_MAX - ROWS / 10, true);
    assert_true(log.cell->runs->panes->n < 64 * 16);
    assert_true(log.cell->runs->panes->n < panes_most + 64 * 3); /* two doublings of age */
    assert_true(log.pool.used_bytes < 2 * most && log.pool.used_bytes < (UINT64_C(64) << 20));
    log_end(&log);
}

static void a_sketch_counts_within_its_error(void **state)
{
    (void)state;
    static struct tsn_sketch_sum sum;
    double worst = 0;
    double squares = 0;
    int n_checks = 0;
    for (uint64_t salt = 1; salt <= 200; salt++) {
        memset(&sum, 0, sizeof sum);
        tsn_sketch_count(&sum);
        uint64_t next = 1;
        for (uint64_t n = 1; n <= 200000; n++) {
            tsn_sketch_sum_add(&sum, salt * UINT64_C(1000000007) + n);
            if (n == next) {
                double off = fabs((double)tsn_sketch_estimate(&sum) - (double)n) - 1;
                worst = off / (double)n > worst ? off / (double)n : worst;
                squares += n > 1000 ? off / (double)n * (off / (double)n) : 0;
                n_checks += n > 1000;
                next = next * 5 / 4 + 1;
            }
        }
    }
    assert_true(worst < 5 * 0.023);
    assert_true(sqrt(squares / n_checks) < 0.026);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_lies_within_the_bound),
        cmocka_unit_test(up_to_so_many_rows_nothing_is_approximate),
        cmocka_unit_test(values_do_not_depend_on_reads_and_sweeps_before),
        cmocka_unit_test(a_hot_log_takes_the_same_room_at_any_length),
        cmocka_unit_test(a_sketch_counts_within_its_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
