/* Cells against a list of rows read by brute force: every aggregate, in order and
 * late, across the size at which running totals take over, with rows dropped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/window/window.h"
#include "tests/fixture/window_model.h"

static struct tsn_model_random dice;

static int64_t below(int64_t n)
{
    return tsn_model_below(&dice, n);
}

static void cell_read(struct tsn_cell *cell, const struct tsn_window_layout *layout,
                      struct tsn_pool *pool, uint32_t item, int64_t asof_ms, int64_t time_ms,
                      struct tsn_reading *out)
{
    struct tsn_window_view view;
    tsn_window_look(&view, cell, layout, pool, layout->items[item].lane, asof_ms, time_ms);
    tsn_window_read(&view, &layout->items[item], out);
}

static void check(const struct tsn_window_rows *model, struct tsn_cell *cell,
                  const struct tsn_window_layout *layout, struct tsn_pool *pool, int64_t asof_ms,
                  int64_t time_ms)
{
    static struct tsn_window_row rows[TSN_WINDOW_MODEL_ROWS];
    for (uint32_t k = 0; k < layout->n_items; k++) {
        const struct tsn_window_item *item = &layout->items[k];
        const struct tsn_window_lane *lane = &layout->lanes[item->lane];
        int n = 0;
        int64_t to = asof_ms - lane->delay_ms;
        for (int i = 0; i < model->n; i++) {
            const struct tsn_window_row *row = &model->rows[i];
            if (row->time_ms <= to && row->time_ms > to - lane->window_ms &&
                (row->bits & item->need) == item->need) {
                rows[n++] = *row;
            }
        }
        struct tsn_reading want;
        struct tsn_reading got;
        tsn_window_model_value(item, rows, n, time_ms, &want);
        cell_read(cell, layout, pool, k, asof_ms, time_ms, &got);
        bool both_nan =
            item->is_double && want.state == TSN_STATE_VALUE && isnan(want.d) && isnan(got.d);
        if (want.state != got.state ||
            (want.state == TSN_STATE_VALUE && want.i != got.i && !both_nan)) {
            fail_msg("%s of lane %d at %" PRId64 ": %" PRId64 " (%g), not %" PRId64
                     " (%g), states %d and %d, over %d rows of %d",
                     item->agg == TSN_AGGS ? "?" : tsn_agg_name(item->agg), item->lane, asof_ms,
                     got.i, got.d, want.i, want.d, got.state, want.state, n, model->n);
        }
    }
}

struct stream_case {
    const char *why;
    int late_percent;
    int64_t step_ms; /* between rows, at most */
    int values;
    int rows;
};

static void run_stream(const struct stream_case *at, uint64_t seed)
{
    static struct tsn_window_rows model;
    struct tsn_window_item items[3 * 2 * TSN_AGGS];
    struct tsn_window_lane lanes[3];
    struct tsn_window_layout layout;
    struct tsn_pool pool;
    model.n = 0;
    dice.state = seed * 2654435761u + 1;
    tsn_window_model_layout(&layout, items, lanes);
    tsn_pool_init(&pool);
    struct tsn_cell *cell = tsn_cell_new(&layout, &pool);
    int64_t newest_ms = 1000000;
    for (int i = 0; i < at->rows; i++) {
        int64_t lateness_ms = 200;
        bool late = below(100) < at->late_percent;
        int64_t time_ms =
            late ? newest_ms - below(lateness_ms + 1) : newest_ms + below(at->step_ms + 1);
        newest_ms = time_ms > newest_ms ? time_ms : newest_ms;
        struct tsn_window_row row;
        tsn_window_model_row(&dice, &row, time_ms, at->values);
        uint64_t words[TSN_WINDOW_MODEL_WORDS];
        tsn_window_model_words(&row, words);
        tsn_window_model_put(&model, &row);
        tsn_cell_write(&cell, &layout, &pool, words, newest_ms - lateness_ms - layout.keep_ms);
        if (below(50) == 0) {
            tsn_cell_expire(&cell, &layout, &pool, newest_ms - lateness_ms - layout.keep_ms);
        }
        if (below(3) == 0) {
            check(&model, cell, &layout, &pool, time_ms, time_ms);
        }
        if (below(10) == 0) {
            check(&model, cell, &layout, &pool, newest_ms - below(lateness_ms), newest_ms);
        }
    }
    tsn_cell_free(cell, &layout, &pool);
    assert_int_equal(pool.used_bytes, 0);
    tsn_pool_end(&pool);
}

static void every_aggregate_equals_a_brute_force_scan(void **state)
{
    (void)state;
    static const struct stream_case cases[] = {
        {"sparse, in order: logs stay small", 0, 120, 0, 600},
        {"dense, in order: totals take over", 0, 3, 0, 1500},
        {"dense and often late", 30, 3, 0, 1500},
        {"equal times", 20, 1, 0, 1000},
        {"large values", 10, 5, 1, 1000},
        {"all late: nothing is newest twice", 90, 40, 0, 1000},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        for (uint64_t seed = 1; seed <= 4; seed++) {
            run_stream(&cases[c], seed + c * 100);
        }
    }
}

/* ---- a visit at once ---------------------------------------------------------------- */

struct twin {
    struct tsn_window_layout layout;
    struct tsn_window_item items[3 * 2 * TSN_AGGS];
    struct tsn_window_lane lanes[3];
    struct tsn_pool pool;
    struct tsn_cell *parts, *whole;   /* the same rows, written part by part and by pass */
    uint16_t order[3 * 2 * TSN_AGGS]; /* half of the items before the write, half after */
    uint16_t n_before;
    uint64_t n_whole; /* visits that went at once */
};

static void twin_begin(struct twin *twin)
{
    *twin = (struct twin){0};
    tsn_window_model_layout(&twin->layout, twin->items, twin->lanes);
    for (int l = 0; l < 3; l++) {
        twin->lanes[l].delay_ms = 0;
    }
    tsn_window_arrange(&twin->layout);
    for (int after = 0; after < 2; after++) {
        for (uint16_t k = 0, n = twin->n_before; k < twin->layout.n_items; k++) {
            if (k % 2 == after) {
                twin->order[n++] = k;
                twin->n_before += after == 0;
            }
        }
    }
    tsn_pool_init(&twin->pool);
    twin->parts = tsn_cell_new(&twin->layout, &twin->pool);
    twin->whole = tsn_cell_new(&twin->layout, &twin->pool);
}

static void twin_end(struct twin *twin)
{
    tsn_cell_free(twin->parts, &twin->layout, &twin->pool);
    tsn_cell_free(twin->whole, &twin->layout, &twin->pool);
    assert_int_equal(twin->pool.used_bytes, 0);
    tsn_pool_end(&twin->pool);
}

static void visit_parts(struct twin *twin, struct tsn_cell **cell,
                        const struct tsn_window_pass *pass, struct tsn_reading *out)
{
    uint16_t n = (uint16_t)(pass->n_before + pass->n_after);
    for (uint16_t i = 0; i < n; i++) {
        if (i == pass->n_before && pass->row) {
            tsn_cell_write(cell, &twin->layout, &twin->pool, pass->row, pass->dead_ms);
        }
        cell_read(*cell, &twin->layout, &twin->pool, pass->items[i], pass->time_ms, pass->time_ms,
                  &out[i]);
    }
    if (n == 0 && pass->row) {
        tsn_cell_write(cell, &twin->layout, &twin->pool, pass->row, pass->dead_ms);
    }
}

static void twin_visit(struct twin *twin, const struct tsn_window_pass *pass)
{
    struct tsn_reading want[3 * 2 * TSN_AGGS];
    struct tsn_reading got[3 * 2 * TSN_AGGS];
    visit_parts(twin, &twin->parts, pass, want);
    if (twin->whole->n) {
        tsn_window_ahead(twin->whole, &twin->layout);
    }
    if (twin->whole->runs) {
        tsn_window_ahead_rows(twin->whole, &twin->layout, pass->lanes, pass->time_ms);
        tsn_window_ahead_totals(twin->whole, &twin->layout, pass->lanes, pass->row, pass->time_ms);
    }
    if (pass->n_before + pass->n_after == 0) {
        if (pass->row) {
            tsn_window_write(&twin->whole, &twin->layout, &twin->pool, pass->row, pass->dead_ms);
        }
    } else if (tsn_window_pass(&twin->whole, &twin->layout, &twin->pool, pass, got)) {
        twin->n_whole++;
    } else {
        visit_parts(twin, &twin->whole, pass, got);
    }
    for (unsigned i = 0; i < (unsigned)pass->n_before + pass->n_after; i++) {
        const struct tsn_window_item *item = &twin->items[pass->items[i]];
        assert_int_equal(got[i].state, want[i].state);
        if (got[i].state == TSN_STATE_VALUE && got[i].i != want[i].i) {
            fail_msg("%s of lane %d, %s: %" PRId64 ", not %" PRId64, tsn_agg_name(item->agg),
                     item->lane, i < pass->n_before ? "before" : "after", got[i].i, want[i].i);
        }
    }
}

/* The visit without the items of other lanes than these; items: room for them. */
static void pass_narrow(const struct twin *twin, struct tsn_window_pass *pass, uint32_t lanes,
                        uint16_t *items)
{
    uint16_t n[2] = {0, 0};
    unsigned n_all = (unsigned)pass->n_before + pass->n_after;
    for (unsigned i = 0; i < n_all; i++) {
        if (lanes >> twin->items[pass->items[i]].lane & 1) {
            items[n[0] + n[1]] = pass->items[i];
            n[i >= pass->n_before]++;
        }
    }
    pass->items = items;
    pass->n_before = n[0];
    pass->n_after = n[1];
    pass->lanes = n[0] + n[1] ? lanes : 0;
}

/* Visits that write and read, only read, and only write; in order, of equal times and
 * late; of all lanes or of some; through the size at which totals take over, and back by rows
 * that expire. */
static void a_visit_at_once_gives_what_its_parts_give(void **state)
{
    (void)state;
    static const int64_t steps_ms[] = {1, 4, 150};
    for (uint64_t seed = 1; seed <= 9; seed++) {
        struct twin twin;
        twin_begin(&twin);
        dice.state = seed * 2654435761u + 7;
        int64_t newest_ms = 1000000;
        for (int i = 0; i < 2000; i++) {
            int64_t step_ms = steps_ms[(seed + (uint64_t)i / 500) % 3];
            int64_t time_ms = newest_ms + (below(100) < 5 ? -below(200) : below(step_ms + 1));
            newest_ms = time_ms > newest_ms ? time_ms : newest_ms;
            struct tsn_window_row row;
            tsn_window_model_row(&dice, &row, time_ms, (int)(seed % 2));
            uint64_t words[TSN_WINDOW_MODEL_WORDS];
            tsn_window_model_words(&row, words);
            bool reads = below(4) > 0;
            struct tsn_window_pass pass = {
                .time_ms = time_ms,
                .row = below(4) > 0 ? words : NULL,
                .dead_ms = newest_ms - 200 - twin.layout.keep_ms,
                .n_before = reads ? twin.n_before : 0,
                .n_after = reads ? (uint16_t)(twin.layout.n_items - twin.n_before) : 0,
                .items = twin.order,
            };
            if (reads && below(8) == 0) { /* as a type that reads nothing before it writes */
                pass.items += pass.n_before;
                pass.n_before = 0;
            }
            uint16_t items[3 * 2 * TSN_AGGS];
            bool some = seed % 3 == 0 && below(10) > 0; /* lanes mostly wait */
            pass_narrow(&twin, &pass, some ? (uint32_t)below(20) & 7 : 7, items);
            twin_visit(&twin, &pass);
        }
        assert_true(twin.n_whole > 1000);
        twin_end(&twin);
    }
}

/* One item over one lane of 1000 ms. */
struct single {
    struct tsn_window_item item;
    struct tsn_window_lane lane;
    struct tsn_window_layout layout;
    struct tsn_pool pool;
    struct tsn_cell *cell;
};

static void single_begin(struct single *one, enum tsn_agg agg, bool is_double)
{
    *one = (struct single){0};
    one->item = (struct tsn_window_item){
        .agg = agg, .word = 1, .is_double = is_double, .unit = 1.0, .scanned = is_double};
    one->lane = (struct tsn_window_lane){.window_ms = 1000, .n = 1};
    one->layout = (struct tsn_window_layout){.n_items = 1,
                                             .n_lanes = 1,
                                             .stride = 2,
                                             .keep_ms = 1000,
                                             .items = &one->item,
                                             .lanes = &one->lane};
    tsn_window_arrange(&one->layout);
    tsn_pool_init(&one->pool);
    one->cell = tsn_cell_new(&one->layout, &one->pool);
}

static void single_end(struct single *one)
{
    tsn_cell_free(one->cell, &one->layout, &one->pool);
    tsn_pool_end(&one->pool);
}

static struct tsn_reading single_row(struct single *one, int64_t time_ms, int64_t x)
{
    uint64_t row[2] = {(uint64_t)time_ms, (uint64_t)x};
    struct tsn_reading out;
    tsn_cell_write(&one->cell, &one->layout, &one->pool, row, time_ms - 1000 - one->layout.keep_ms);
    cell_read(one->cell, &one->layout, &one->pool, 0, time_ms, time_ms, &out);
    return out;
}

static void a_sum_beyond_64_bits_is_an_error_and_recovers_when_rows_leave(void **state)
{
    (void)state;
    struct single one;
    single_begin(&one, TSN_AGG_SUM, false);
    for (int i = 0; i < 100; i++) {
        struct tsn_reading out = single_row(&one, i, INT64_MAX / 2);
        assert_int_equal(out.state, i < 2 ? TSN_STATE_VALUE : TSN_STATE_ERROR);
    }
    struct tsn_reading out = single_row(&one, 5000, 7);
    assert_int_equal(out.state, TSN_STATE_VALUE);
    assert_int_equal(out.i, 7);
    single_end(&one);
}

static void a_deviation_beyond_128_bits_is_an_error_and_recovers_when_rows_leave(void **state)
{
    (void)state;
    struct single one;
    single_begin(&one, TSN_AGG_STDDEV, false);
    for (int i = 0; i < 100; i++) {
        struct tsn_reading out = single_row(&one, i, i % 2 ? INT64_MAX : INT64_MIN);
        assert_int_equal(out.state, i < 1 ? TSN_STATE_VALUE : TSN_STATE_ERROR);
    }
    for (int i = 0; i < 100; i++) {
        single_row(&one, 5000 + i, 6);
    }
    struct tsn_reading out = single_row(&one, 5200, 6);
    assert_int_equal(out.state, TSN_STATE_VALUE);
    assert_true(out.d == 0.0);
    single_end(&one);
}

static void a_monotone_stream_keeps_its_extremes_cheap(void **state)
{
    (void)state;
    struct single one;
    single_begin(&one, TSN_AGG_MIN, false);
    one.lane.window_ms = one.layout.keep_ms = 1000000;
    for (int i = 0; i < 200000; i++) {
        struct tsn_reading out = single_row(&one, i, i);
        assert_int_equal(out.i, 0);
    }
    single_end(&one);
}

static void a_window_excludes_its_lower_edge_and_includes_its_upper(void **state)
{
    (void)state;
    struct single one;
    struct tsn_reading out;
    single_begin(&one, TSN_AGG_COUNT, false);
    one.item.plain = true;
    single_row(&one, 10000, 0);
    cell_read(one.cell, &one.layout, &one.pool, 0, 9999, 9999, &out);
    assert_int_equal(out.i, 0);
    cell_read(one.cell, &one.layout, &one.pool, 0, 10000, 10000, &out);
    assert_int_equal(out.i, 1);
    cell_read(one.cell, &one.layout, &one.pool, 0, 10999, 10999, &out);
    assert_int_equal(out.i, 1);
    cell_read(one.cell, &one.layout, &one.pool, 0, 11000, 11000, &out);
    assert_int_equal(out.i, 0);
    single_end(&one);
}

/* Rows of a set of at most two members: time, member, order. Settled are times up to 20
 * and orders up to 50. */
static void thinning_drops_what_no_later_read_can_tell_and_nothing_else(void **state)
{
    (void)state;
    static const struct {
        uint64_t row[3];
        bool stays;
        const char *why;
    } rows[] = {
        {{1, 'd', 1}, false, "behind three others: not even needed to say that there are more"},
        {{2, 'a', 2}, false, "a later row of the member is settled"},
        {{10, 'c', 3}, true, "one member too many says that the set is full"},
        {{11, 'a', 4}, true, "latest settled row; a later one is not settled"},
        {{12, 'b', 5}, true, "latest row"},
        {{13, 'a', 60}, true, "of this batch: an earlier row of it looks past it"},
        {{20, 'b', 61}, true, "the same"},
        {{21, 'c', 6}, true, "a read may still end before it"},
        {{22, 'd', 7}, true, "the same"},
    };
    enum { N = sizeof rows / sizeof rows[0] };
    struct single one;
    single_begin(&one, TSN_AGG_SET, false);
    tsn_cell_free(one.cell, &one.layout, &one.pool);
    one.item.max = 2;
    one.layout.stride = 3;
    one.layout.order = 2;
    one.cell = tsn_cell_new(&one.layout, &one.pool);
    uint32_t n = 0;
    for (size_t i = 0; i < N; i++) {
        tsn_cell_write(&one.cell, &one.layout, &one.pool, rows[i].row, INT64_MIN);
    }
    tsn_cell_thin(one.cell, &one.layout, &one.pool, 20, 50);
    for (size_t i = 0; i < N; i++) {
        bool stands = n < one.cell->n && memcmp(tsn_cell_row(one.cell, &one.layout, n), rows[i].row,
                                                sizeof rows[i].row) == 0;
        if (stands != rows[i].stays) {
            fail_msg("row at %d: %s", (int)rows[i].row[0], rows[i].why);
        }
        n += stands;
    }
    assert_int_equal(n, one.cell->n);
    single_end(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_aggregate_equals_a_brute_force_scan),
        cmocka_unit_test(a_visit_at_once_gives_what_its_parts_give),
        cmocka_unit_test(a_sum_beyond_64_bits_is_an_error_and_recovers_when_rows_leave),
        cmocka_unit_test(a_deviation_beyond_128_bits_is_an_error_and_recovers_when_rows_leave),
        cmocka_unit_test(a_monotone_stream_keeps_its_extremes_cheap),
        cmocka_unit_test(a_window_excludes_its_lower_edge_and_includes_its_upper),
        cmocka_unit_test(thinning_drops_what_no_later_read_can_tell_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
