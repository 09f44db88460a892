/* Numbers: rows of every shape are written as the definition has it, by each of the ways that
 * this machine can go, whichever it takes, and nothing is written outside the room; what was
 * written comes back both ways, and what no writer wrote is wrong both ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "engine/snapshot/machine.h"
#include "engine/snapshot/numbers.h"

enum { ROWS_MAX = 41, STRIDE_MAX = 12 };

static uint64_t state = 88172645463325252u;

static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* Of any length in bits: short ones as often as long ones. */
static uint64_t any_number(unsigned bits_max)
{
    unsigned bits = (unsigned)(next_random() % (bits_max + 1));
    uint64_t value = bits ? next_random() >> (64 - bits) : 0;
    return next_random() & 1 ? value : (uint64_t)0 - value;
}

/* A stream, and what the definition makes of its rows. */
struct shape {
    struct tsn_plan_stream stream;
    struct tsn_plan_value values[STRIDE_MAX];
};

/* Of all kinds, or, as often, of integers alone. */
static void shape_make(struct shape *shape, int has_bits, int n_values, int has_order)
{
    static const enum tsn_window_kind kinds[] = {TSN_WINDOW_INTEGER, TSN_WINDOW_DOUBLE,
                                                 TSN_WINDOW_HASH};
    const unsigned n_kinds = next_random() & 1 ? 3 : 1;
    memset(shape, 0, sizeof *shape);
    struct tsn_window_layout *layout = &shape->stream.layout;
    layout->has_bits = has_bits;
    layout->stride = has_bits ? 2 : 1;
    for (int v = 0; v < n_values; v++) {
        shape->values[v] = (struct tsn_plan_value){.kind = kinds[next_random() % n_kinds],
                                                   .word = layout->stride++};
    }
    if (has_order) {
        layout->order = layout->stride++;
    }
    shape->stream.n_values = n_values;
    shape->stream.values = shape->values;
}

static uint8_t *leb128(uint8_t *p, uint64_t value)
{
    for (; value > 0x7f; value >>= 7) {
        *p++ = (uint8_t)(value | 0x80);
    }
    *p++ = (uint8_t)value;
    return p;
}

static uint8_t *zigzag(uint8_t *p, uint64_t value)
{
    return leb128(p, value << 1 ^ (value >> 63 ? UINT64_MAX : 0));
}

static size_t defined(const struct shape *shape, uint64_t time, const uint64_t *row, uint32_t n,
                      uint8_t *out)
{
    uint8_t *p = out;
    for (uint32_t i = 0; i < n; i++, row += shape->stream.layout.stride) {
        p = zigzag(p, row[0] - (i ? row[-(int)shape->stream.layout.stride] : time));
        if (shape->stream.layout.has_bits) {
            p = leb128(p, row[1]);
        }
        for (int v = 0; v < shape->stream.n_values; v++) {
            uint64_t word = row[shape->values[v].word];
            if (shape->values[v].kind == TSN_WINDOW_INTEGER) {
                p = zigzag(p, word);
                continue;
            }
            for (int byte = 0; byte < 8; byte++) {
                *p++ = (uint8_t)(word >> (8 * byte));
            }
        }
    }
    return (size_t)(p - out);
}

typedef uint8_t *writer(uint8_t *p, const struct tsn_plan_stream *stream, uint64_t time,
                        const uint64_t *row, uint32_t n);

/* In memory that ends where rows and room do: a sanitizer sees a step beyond. */
static void written_as_defined(writer *write, const struct shape *shape, uint32_t n,
                               unsigned bits_max)
{
    uint8_t expected[ROWS_MAX * STRIDE_MAX * 10];
    size_t stride = shape->stream.layout.stride;
    size_t room = tsn_snapshot_numbers_room(&shape->stream, n);
    uint64_t *rows = malloc(n * stride * sizeof *rows + 1);
    uint8_t *out = malloc(room);
    assert_non_null(rows);
    assert_non_null(out);
    for (size_t i = 0; i < n * stride; i++) {
        rows[i] = any_number(bits_max);
    }
    uint64_t time = any_number(bits_max);
    size_t len = defined(shape, time, rows, n, expected);
    assert_int_equal(write(out, &shape->stream, time, rows, n) - out, len);
    assert_memory_equal(out, expected, len);
    free(rows);
    free(out);
}

static void all_shapes(writer *write)
{
    for (int round = 0; round < 20; round++) {
        for (int n_values = 0; n_values <= STRIDE_MAX - 3; n_values++) {
            for (int flags = 0; flags < 4; flags++) {
                struct shape shape;
                shape_make(&shape, flags & 1, n_values, flags >> 1);
                for (uint32_t n = 0; n <= ROWS_MAX; n += 1 + n / 4) {
                    written_as_defined(write, &shape, n, 20);
                    written_as_defined(write, &shape, n, 54); /* a step of 56, zigzag */
                    written_as_defined(write, &shape, n, 64);
                }
            }
        }
    }
}

/* Where a count gets another byte, and where it is too long for a word. */
static void all_lengths(writer *write)
{
    struct shape shape;
    uint8_t expected[8 * 10];
    uint8_t out[8 * 10 + 64];
    shape_make(&shape, 1, 0, 0);
    for (int bits = 0; bits < 64; bits++) {
        for (int off = -1; off <= 1; off++) {
            uint64_t value = (UINT64_C(1) << bits) + (uint64_t)off;
            const uint64_t rows[] = {5, value, 5 + value, 1, 5, value, 6, 0};
            size_t len = defined(&shape, 0, rows, 4, expected);
            assert_int_equal(write(out, &shape.stream, 0, rows, 4) - out, len);
            assert_memory_equal(out, expected, len);
        }
    }
}

static void rows_are_written_as_the_definition_has_it(void **unused)
{
    (void)unused;
    all_shapes(tsn_snapshot_numbers_put);
    all_lengths(tsn_snapshot_numbers_put);
}

static void rows_are_written_so_on_any_machine(void **unused)
{
    (void)unused;
    all_shapes(tsn_snapshot_numbers_plain);
    all_lengths(tsn_snapshot_numbers_plain);
}

#if defined(__x86_64__)
static void rows_are_written_so_by_bmi2(void **unused)
{
    (void)unused;
    if (!tsn_bmi2_runs_here()) {
        skip();
    }
    all_shapes(tsn_snapshot_numbers_bmi2);
    all_lengths(tsn_snapshot_numbers_bmi2);
}
#endif

/* ---- and back ------------------------------------------------------------------------- */

typedef void getter(struct tsn_snapshot_reader *reader, const struct tsn_plan_stream *stream,
                    const struct tsn_field *fields, uint64_t *row, uint32_t n);

static getter *const getters[] = {tsn_snapshot_numbers_get, tsn_snapshot_numbers_get_plain};

/* A stream whose rows are counts alone. */
static void counts_make(struct shape *shape, struct tsn_field *fields, int has_bits, int n_values)
{
    static const struct tsn_field kinds[] = {
        {.rep = TSN_REP_INT}, {.rep = TSN_REP_BOOL}, {.rep = TSN_REP_ENUM, .dict = {.n = 5}}};
    shape_make(shape, has_bits, n_values, 0);
    shape->stream.n_conds = has_bits ? 3 : 0;
    for (int v = 0; v < n_values; v++) {
        shape->values[v].kind = TSN_WINDOW_INTEGER;
        shape->values[v].field = v;
        shape->values[v].present = has_bits && v % 2 ? UINT64_C(1) << (40 + v) : 0;
        fields[v] = kinds[next_random() % 3];
    }
    assert_true(tsn_snapshot_numbers_alone(&shape->stream));
}

/* Rows that a writer may have, mostly short. */
static void counts_fill(const struct shape *shape, const struct tsn_field *fields, uint64_t *row,
                        uint32_t n)
{
    int64_t time = (int64_t)any_number(42);
    for (uint32_t i = 0; i < n; i++, row += shape->stream.layout.stride) {
        row[0] = (uint64_t)time;
        time += (int64_t)(next_random() % (next_random() % 20 ? 1 << 20 : INT64_C(1) << 57));
        if (shape->stream.layout.has_bits) {
            row[1] = next_random() & tsn_snapshot_bits_known(&shape->stream);
        }
        for (int v = 0; v < shape->stream.n_values; v++) {
            uint64_t *word = &row[shape->values[v].word];
            *word = any_number(next_random() % 20 ? 18 : 64);
            if (fields[v].rep != TSN_REP_INT) {
                *word %= fields[v].rep == TSN_REP_BOOL ? 2 : (uint64_t)fields[v].dict.n;
            }
        }
    }
}

/* What a getter makes of these bytes, in memory that ends where they do; false: wrong. */
static bool got(getter *get, const struct shape *shape, const struct tsn_field *fields,
                const uint8_t *bytes, size_t len, uint64_t *row, uint32_t n, size_t *left)
{
    uint8_t *copy = malloc(len + 1);
    size_t words = (size_t)n * shape->stream.layout.stride;
    uint64_t *rows = malloc(words * sizeof *rows + 1);
    assert_non_null(copy);
    assert_non_null(rows);
    memcpy(copy + 1, bytes, len);
    struct tsn_snapshot_reader reader = {.p = copy + 1, .left = len};
    get(&reader, &shape->stream, fields, rows, n);
    assert_true(reader.wrong || reader.p + reader.left == copy + 1 + len);
    memcpy(row, rows, words * sizeof *rows);
    *left = reader.left;
    free(copy);
    free(rows);
    return !reader.wrong;
}

/* Damage: a byte that is another, or an end that comes early. */
static void counts_round(const struct shape *shape, const struct tsn_field *fields, uint32_t n,
                         bool damage)
{
    uint64_t rows[ROWS_MAX * STRIDE_MAX];
    uint64_t back[2][ROWS_MAX * STRIDE_MAX];
    uint8_t bytes[ROWS_MAX * STRIDE_MAX * 10 + 9] = {0};
    size_t behind = next_random() % 10;
    size_t left[2];
    bool right[2];
    counts_fill(shape, fields, rows, n);
    size_t len = defined(shape, 0, rows, n, bytes) + behind;
    if (damage) {
        bytes[next_random() % sizeof bytes % (len + 1)] ^= (uint8_t)next_random();
        len = next_random() % 3 ? len : next_random() % (len + 1);
    }
    size_t words = n * shape->stream.layout.stride;
    for (int g = 0; g < 2; g++) {
        right[g] = got(getters[g], shape, fields, bytes, len, back[g], n, &left[g]);
        assert_true(damage || (right[g] && left[g] == behind));
        assert_true(damage || memcmp(back[g], rows, words * sizeof *rows) == 0);
    }
    assert_int_equal(right[0], right[1]);
    if (right[0]) {
        assert_int_equal(left[0], left[1]);
        assert_memory_equal(back[0], back[1], words * sizeof *rows);
    }
}

static void all_counts(bool damage, int rounds)
{
    for (int round = 0; round < rounds; round++) {
        for (int n_values = 0; n_values <= STRIDE_MAX - 3; n_values++) {
            for (int has_bits = 0; has_bits < 2; has_bits++) {
                struct shape shape;
                struct tsn_field fields[STRIDE_MAX] = {0};
                counts_make(&shape, fields, has_bits, n_values);
                for (uint32_t n = 0; n <= ROWS_MAX; n += 1 + n / 4) {
                    counts_round(&shape, fields, n, damage);
                }
            }
        }
    }
}

static void rows_come_back_by_either_way(void **unused)
{
    (void)unused;
    all_counts(false, 50);
}

static void bytes_that_no_writer_wrote_are_wrong_by_either_way(void **unused)
{
    (void)unused;
    all_counts(true, 200);
}

/* One row of time, bits and a value of two, and what is wrong with it. */
static void words_that_no_row_has_are_wrong(void **unused)
{
    (void)unused;
    static const struct {
        uint64_t rows[9];
        bool right;
        const char *why;
    } cases[] = {
        {{(uint64_t)-5, 0, 0, 0, 1, 1, 9, 7, 0}, true, "the first time is before 1970"},
        {{5, 0, 0, 4, 0, 0, 9, 0, 0}, false, "a time before the row before it"},
        {{5, 8, 0, 5, 0, 0, 9, 0, 0}, false, "a bit that no condition has"},
        {{5, 0, 0, 5, 0, 2, 9, 0, 0}, false, "a bool that is neither"},
        {{5, 0, 0, 5, 0, 0, 9, 0, (uint64_t)-1}, false, "a bool below zero, in the last row"},
        {{INT64_MAX, 0, 0, (uint64_t)INT64_MIN, 0, 0, 9, 0, 0}, false, "a time beyond all"},
    };
    struct shape shape;
    struct tsn_field fields[STRIDE_MAX] = {0};
    counts_make(&shape, fields, 1, 1);
    fields[0].rep = TSN_REP_BOOL;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        uint8_t bytes[9 * 10 + 64] = {0};
        uint64_t back[9];
        size_t left;
        size_t len = defined(&shape, 0, cases[c].rows, 3, bytes);
        for (int g = 0; g < 2; g++) {
            if (got(getters[g], &shape, fields, bytes, len, back, 3, &left) != cases[c].right) {
                fail_msg("way %d: %s", g, cases[c].why);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_written_as_the_definition_has_it),
        cmocka_unit_test(rows_are_written_so_on_any_machine),
#if defined(__x86_64__)
        cmocka_unit_test(rows_are_written_so_by_bmi2),
#endif
        cmocka_unit_test(rows_come_back_by_either_way),
        cmocka_unit_test(bytes_that_no_writer_wrote_are_wrong_by_either_way),
        cmocka_unit_test(words_that_no_row_has_are_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
