/* Scan: an aggregate over rows [lo, hi), anew. The definition of every aggregate,
 * the path of small logs, and of reads that come out of order. */
#include <math.h>
#include <string.h>

#include "engine/window/extremes.h"
#include "engine/window/tally.h"
#include "engine/window/window.h"
#include "rules/must/must.h"

/* Up to here, comparing each value with those before it beats hashing. */
enum { DISTINCT_PAIRS_MAX = 24 };

static void give_int(struct tsn_reading *out, int64_t i)
{
    out->state = TSN_STATE_VALUE;
    out->i = i;
}

static void give_double(struct tsn_reading *out, double d)
{
    out->state = TSN_STATE_VALUE;
    out->d = d;
}

static double as_double(uint64_t word)
{
    double d;
    memcpy(&d, &word, sizeof d);
    return d;
}

void tsn_window_empty(const struct tsn_window_item *item, struct tsn_reading *out)
{
    out->state = TSN_STATE_MISSING;
    out->i = 0;
    if (item->agg == TSN_AGG_COUNT || item->agg == TSN_AGG_SUM || item->agg == TSN_AGG_DISTINCT ||
        item->agg == TSN_AGG_SET) {
        out->state = TSN_STATE_VALUE; /* the bits of 0 and of 0.0 */
    }
}

void tsn_window_sum(__int128 sum, struct tsn_reading *out)
{
    give_int(out, (int64_t)sum);
    if (sum > INT64_MAX || sum < INT64_MIN) {
        out->state = TSN_STATE_ERROR;
    }
}

void tsn_window_avg(const struct tsn_window_item *item, __int128 sum, uint64_t n,
                    struct tsn_reading *out)
{
    if (n == 0) {
        tsn_window_empty(item, out);
        return;
    }
    give_double(out, (double)sum / ((double)n * item->unit));
}

void tsn_window_stddev(const struct tsn_window_item *item, __int128 sum, unsigned __int128 squares,
                       bool over, uint64_t n, struct tsn_reading *out)
{
    if (n == 0) {
        tsn_window_empty(item, out);
        return;
    }
    __int128 n_squares, sum_square, spread;
    if (over || squares >> 127 ||
        __builtin_mul_overflow((__int128)squares, (__int128)n, &n_squares) ||
        __builtin_mul_overflow(sum, sum, &sum_square) ||
        __builtin_sub_overflow(n_squares, sum_square, &spread)) {
        out->state = TSN_STATE_ERROR;
        out->i = 0;
        return;
    }
    give_double(out, sqrt((double)spread) / ((double)n * item->unit));
}

static void scan_count(const struct tsn_window_item *item, const uint64_t *row, uint32_t n,
                       uint32_t stride, struct tsn_reading *out)
{
    int64_t count = n;
    if (item->need) {
        count = 0;
        for (uint32_t i = 0; i < n; i++, row += stride) {
            count += tsn_window_counts(item, row);
        }
    }
    give_int(out, count);
}

static void scan_integers(const struct tsn_window_item *item, const uint64_t *row, uint32_t n,
                          uint32_t stride, struct tsn_reading *out)
{
    __int128 sum = 0;
    uint64_t count = 0;
    for (uint32_t i = 0; i < n; i++, row += stride) {
        if (tsn_window_counts(item, row)) {
            sum += (int64_t)row[item->word];
            count++;
        }
    }
    if (item->agg == TSN_AGG_SUM) {
        tsn_window_sum(sum, out);
    } else {
        tsn_window_avg(item, sum, count, out);
    }
}

static void scan_squares(const struct tsn_window_item *item, const uint64_t *row, uint32_t n,
                         uint32_t stride, struct tsn_reading *out)
{
    __int128 sum = 0;
    unsigned __int128 squares = 0;
    bool over = false;
    uint64_t count = 0;
    for (uint32_t i = 0; i < n; i++, row += stride) {
        if (tsn_window_counts(item, row)) {
            __int128 x = (int64_t)row[item->word];
            sum += x;
            over |= __builtin_add_overflow(squares, (unsigned __int128)(x * x), &squares);
            count++;
        }
    }
    tsn_window_stddev(item, sum, squares, over, count, out);
}

/* Doubles are added in order, from 0.0, every time. */
static void scan_doubles(const struct tsn_window_item *item, const uint64_t *first, uint32_t n,
                         uint32_t stride, struct tsn_reading *out)
{
    double sum = 0.0;
    uint64_t count = 0;
    const uint64_t *row = first;
    for (uint32_t i = 0; i < n; i++, row += stride) {
        if (tsn_window_counts(item, row)) {
            sum += as_double(row[item->word]);
            count++;
        }
    }
    if (item->agg == TSN_AGG_SUM) {
        give_double(out, sum);
        return;
    }
    if (count == 0) {
        tsn_window_empty(item, out);
        return;
    }
    double average = sum / (double)count;
    if (item->agg == TSN_AGG_AVG) {
        give_double(out, average);
        return;
    }
    double squares = 0.0;
    row = first;
    for (uint32_t i = 0; i < n; i++, row += stride) {
        if (tsn_window_counts(item, row)) {
            double off = as_double(row[item->word]) - average;
            squares += off * off;
        }
    }
    give_double(out, sqrt(squares / (double)count));
}

static void scan_extreme(const struct tsn_window_item *item, const uint64_t *row, uint32_t n,
                         uint32_t stride, struct tsn_reading *out)
{
    bool is_max = item->agg == TSN_AGG_MAX;
    bool found = false;
    int64_t best = 0;
    tsn_window_empty(item, out);
    for (uint32_t i = 0; i < n; i++, row += stride) {
        if (!tsn_window_counts(item, row)) {
            continue;
        }
        uint64_t word = row[item->word];
        if (item->is_double && isnan(as_double(word))) {
            if (!found && out->state == TSN_STATE_MISSING) {
                give_int(out, (int64_t)word);
            }
            continue;
        }
        int64_t order = tsn_extremes_order(word, item->is_double, is_max);
        if (!found || order < best) {
            found = true;
            best = order;
            give_int(out, (int64_t)word);
        }
    }
}

static void scan_distinct(const struct tsn_window_item *item, struct tsn_pool *pool,
                          const uint64_t *first, uint32_t n, uint32_t stride,
                          struct tsn_reading *out)
{
    int64_t count = 0;
    const uint64_t *row = first;
    if (n > DISTINCT_PAIRS_MAX) {
        struct tsn_tally tally = {0};
        for (uint32_t i = 0; i < n; i++, row += stride) {
            if (tsn_window_counts(item, row)) {
                tsn_tally_add(&tally, pool, row[item->word]);
            }
        }
        count = tally.n;
        tsn_tally_free(&tally, pool);
        give_int(out, count);
        return;
    }
    uint64_t values[DISTINCT_PAIRS_MAX];
    for (uint32_t i = 0; i < n; i++, row += stride) {
        if (!tsn_window_counts(item, row)) {
            continue;
        }
        values[count] = row[item->word];
        int64_t k = 0;
        while (values[k] != values[count]) {
            k++;
        }
        count += k == count;
    }
    give_int(out, count);
}

static void scan_edge(const struct tsn_window_item *item, const uint64_t *row, uint32_t n,
                      uint32_t stride, tsn_event_ms time_ms, struct tsn_reading *out)
{
    int64_t step = stride;
    if (item->agg != TSN_AGG_FIRST && n) {
        row += (size_t)(n - 1) * stride;
        step = -step;
    }
    tsn_window_empty(item, out);
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t *at = row + (int64_t)i * step;
        if (tsn_window_counts(item, at)) {
            give_int(out, item->agg == TSN_AGG_TIME_SINCE
                              ? tsn_window_minus(time_ms, (int64_t)at[0])
                              : (int64_t)at[item->word]);
            return;
        }
    }
}

void tsn_window_scan(const struct tsn_cell *cell, const struct tsn_window_layout *layout,
                     struct tsn_pool *pool, const struct tsn_window_item *item, uint32_t lo,
                     uint32_t hi, tsn_event_ms time_ms, struct tsn_reading *out)
{
    const uint64_t *row = tsn_cell_row(cell, layout, lo);
    uint32_t n = hi - lo;
    uint32_t stride = layout->stride;
    switch (item->agg) {
    case TSN_AGG_COUNT:
        scan_count(item, row, n, stride, out);
        break;
    case TSN_AGG_SUM:
    case TSN_AGG_AVG:
        if (item->is_double) {
            scan_doubles(item, row, n, stride, out);
        } else {
            scan_integers(item, row, n, stride, out);
        }
        break;
    case TSN_AGG_STDDEV:
        if (item->is_double) {
            scan_doubles(item, row, n, stride, out);
        } else {
            scan_squares(item, row, n, stride, out);
        }
        break;
    case TSN_AGG_MIN:
    case TSN_AGG_MAX:
        scan_extreme(item, row, n, stride, out);
        break;
    case TSN_AGG_DISTINCT:
        scan_distinct(item, pool, row, n, stride, out);
        break;
    case TSN_AGG_SET:
        scan_distinct(item, pool, row, n, stride, out);
        out->i = out->i < item->max ? out->i : item->max;
        break;
    case TSN_AGG_FIRST:
    case TSN_AGG_LAST:
    case TSN_AGG_TIME_SINCE:
        scan_edge(item, row, n, stride, time_ms, out);
        break;
    case TSN_AGGS:
        TSN_MUST(!"an expression has no window");
    }
}
