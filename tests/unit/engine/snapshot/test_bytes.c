/* Bytes: counts of every length are LEB128, go out and come back, and end where they are
 * cut off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "engine/snapshot/bytes.h"

/* LEB128 as its definition has it. */
static size_t encode(uint64_t value, uint8_t *p)
{
    size_t n = 0;
    do {
        p[n++] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value);
    return n;
}

/* One after the other, so that each is read with others behind it, and at the end. */
static void round_trip(const uint64_t *values, size_t n)
{
    struct tsn_snapshot_bytes bytes = {0};
    uint8_t expected[16];
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        tsn_snapshot_put_count(&bytes, values[i]);
        size_t len = encode(values[i], expected);
        assert_int_equal(bytes.n, at + len);
        assert_memory_equal(bytes.p + at, expected, len);
        at += len;
    }
    struct tsn_snapshot_reader reader = {.p = bytes.p, .left = bytes.n};
    for (size_t i = 0; i < n; i++) {
        assert_true(tsn_snapshot_get_count(&reader) == values[i]);
        assert_false(reader.wrong);
    }
    assert_int_equal(reader.left, 0);
    tsn_snapshot_get_count(&reader);
    assert_true(reader.wrong);
    tsn_snapshot_bytes_free(&bytes);
}

static void counts_around_every_power_of_two_come_back(void **state)
{
    (void)state;
    uint64_t values[3 * 64 + 1];
    size_t n = 0;
    for (int k = 0; k < 64; k++) {
        for (int off = -1; off <= 1; off++) {
            values[n++] = (UINT64_C(1) << k) + (uint64_t)off;
        }
    }
    values[n++] = UINT64_MAX;
    round_trip(values, n);
    for (size_t i = 0; i < n; i++) {
        round_trip(values + i, 1);
    }
}

static void signed_numbers_come_back(void **state)
{
    (void)state;
    static const int64_t values[] = {0, 1, -1, 63, -64, 64, -65, INT64_MAX, INT64_MIN};
    struct tsn_snapshot_bytes bytes = {0};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        tsn_snapshot_put_signed(&bytes, values[i]);
    }
    struct tsn_snapshot_reader reader = {.p = bytes.p, .left = bytes.n};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_true(tsn_snapshot_get_signed(&reader) == values[i]);
    }
    assert_false(reader.wrong);
    tsn_snapshot_bytes_free(&bytes);
}

static void count_cut_off_is_wrong_and_stays_so(void **state)
{
    (void)state;
    for (int k = 7; k < 64; k++) {
        uint8_t p[16];
        size_t len = encode(UINT64_C(1) << k, p);
        for (size_t left = 0; left < len; left++) {
            struct tsn_snapshot_reader reader = {.p = p, .left = left};
            assert_int_equal(tsn_snapshot_get_count(&reader), 0);
            assert_true(reader.wrong);
            reader.left = len;
            assert_int_equal(tsn_snapshot_get_count(&reader), 0);
        }
    }
}

static void count_beyond_64_bits_is_wrong(void **state)
{
    (void)state;
    uint8_t p[16];
    memset(p, 0xff, sizeof p);
    struct tsn_snapshot_reader endless = {.p = p, .left = sizeof p};
    tsn_snapshot_get_count(&endless);
    assert_true(endless.wrong);
    p[9] = 2;
    struct tsn_snapshot_reader large = {.p = p, .left = sizeof p};
    tsn_snapshot_get_count(&large);
    assert_true(large.wrong);
    p[9] = 1;
    struct tsn_snapshot_reader largest = {.p = p, .left = sizeof p};
    assert_true(tsn_snapshot_get_count(&largest) == UINT64_MAX);
    assert_false(largest.wrong);
}

enum { MANY = 700 };

/* Of some lengths mostly, as rows have them, and of any now and then. */
static size_t encode_many(uint64_t *random, uint8_t *p)
{
    size_t len = 0;
    unsigned often = 7 * (unsigned)(*random % 6);
    for (size_t i = 0; i < MANY; i++) {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        unsigned bits = 1 + (*random % 64 < 60 ? often + *random % 7 : *random % 64);
        len += encode(*random >> (64 - bits), p + len);
    }
    return len;
}

static void many_counts_at_once_are_those_one_by_one(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252u;
    for (int round = 0; round < 2000; round++) {
        uint8_t p[MANY * TSN_SNAPSHOT_COUNT_MAX];
        uint64_t values[MANY];
        size_t len = encode_many(&random, p);
        size_t left = random % 2 ? len : random % (len + 1);        /* cut off, half of them */
        size_t n = random % 3 ? (size_t)MANY : random % (MANY + 1); /* and some left behind */
        if (random % 5 == 0) {
            p[random % len] ^= 0x80;
        }
        struct tsn_snapshot_reader at_once = {.p = p, .left = left};
        struct tsn_snapshot_reader one_by_one = at_once;
        tsn_snapshot_get_counts(&at_once, values, n);
        for (size_t i = 0; i < n; i++) {
            assert_true(values[i] == tsn_snapshot_get_count(&one_by_one));
        }
        assert_int_equal(at_once.wrong, one_by_one.wrong);
        assert_true(at_once.wrong || at_once.p == one_by_one.p);
        assert_true(at_once.wrong || at_once.left == one_by_one.left);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_around_every_power_of_two_come_back),
        cmocka_unit_test(signed_numbers_come_back),
        cmocka_unit_test(count_cut_off_is_wrong_and_stays_so),
        cmocka_unit_test(count_beyond_64_bits_is_wrong),
        cmocka_unit_test(many_counts_at_once_are_those_one_by_one),
    };
    return cmocka_run_group_tests_name("snapshot_bytes", tests, NULL, NULL);
}
