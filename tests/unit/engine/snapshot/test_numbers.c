/* Numbers: rows of every shape are written as the definition has it, by whichever of the
 * two ways the machine takes, and nothing is written outside the room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

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

static void shape_make(struct shape *shape, int has_bits, int n_values, int has_order)
{
    static const enum tsn_window_kind kinds[] = {TSN_WINDOW_INTEGER, TSN_WINDOW_DOUBLE,
                                                 TSN_WINDOW_HASH};
    memset(shape, 0, sizeof *shape);
    struct tsn_window_layout *layout = &shape->stream.layout;
    layout->has_bits = has_bits;
    layout->stride = has_bits ? 2 : 1;
    for (int v = 0; v < n_values; v++) {
        shape->values[v] =
            (struct tsn_plan_value){.kind = kinds[next_random() % 3], .word = layout->stride++};
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
                    written_as_defined(write, &shape, n, 64);
                }
            }
        }
    }
}

static void rows_are_written_as_the_definition_has_it(void **unused)
{
    (void)unused;
    all_shapes(tsn_snapshot_numbers_put);
}

static void rows_are_written_word_by_word_as_the_definition_has_it(void **unused)
{
    (void)unused;
    all_shapes(tsn_snapshot_numbers_plain);
}

/* Where a count gets another byte, and where it is too long for a word. */
static void counts_around_every_power_of_two_are_written_as_defined(void **unused)
{
    (void)unused;
    struct shape shape;
    uint8_t expected[8 * 10];
    uint8_t out[8 * 10 + 64];
    shape_make(&shape, 1, 0, 0);
    for (int bits = 0; bits < 64; bits++) {
        for (int off = -1; off <= 1; off++) {
            uint64_t value = (UINT64_C(1) << bits) + (uint64_t)off;
            const uint64_t rows[] = {5, value, 5 + value, 1, 5, value, 6, 0};
            size_t len = defined(&shape, 0, rows, 4, expected);
            assert_int_equal(tsn_snapshot_numbers_put(out, &shape.stream, 0, rows, 4) - out, len);
            assert_memory_equal(out, expected, len);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_written_as_the_definition_has_it),
        cmocka_unit_test(rows_are_written_word_by_word_as_the_definition_has_it),
        cmocka_unit_test(counts_around_every_power_of_two_are_written_as_defined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
