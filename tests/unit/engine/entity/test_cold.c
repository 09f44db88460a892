/* The set of entities that are only in the store, against a plain array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/entity/cold.h"

enum { KEYS = 3000, ROUNDS = 60000, MINUTE = 60000 };

static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Homes are few, so that runs are long and go around the end. */
static struct tsn_key key_of(unsigned i)
{
    return (struct tsn_key){.lo = mix(i) | UINT64_C(0xff00), .hi = i + 1};
}

static void it_holds_what_was_added_and_not_removed(void **state)
{
    (void)state;
    struct tsn_cold cold = {0};
    bool in[KEYS] = {false};
    uint64_t n = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned i = (unsigned)(mix(round + 7) % KEYS);
        if (in[i]) {
            assert_true(tsn_cold_remove(&cold, key_of(i)));
        } else {
            assert_false(tsn_cold_remove(&cold, key_of(i)));
            tsn_cold_add(&cold, key_of(i), INT64_MAX);
        }
        in[i] = !in[i];
        n = in[i] ? n + 1 : n - 1;
        assert_int_equal(cold.n, n);
        unsigned k = (unsigned)(mix(round) % KEYS);
        assert_int_equal(tsn_cold_has(&cold, key_of(k)), in[k]);
    }
    for (unsigned i = 0; i < KEYS; i++) {
        assert_int_equal(tsn_cold_has(&cold, key_of(i)), in[i]);
    }
    tsn_cold_free(&cold);
}

static void what_has_expired_is_given_once_and_no_sooner(void **state)
{
    (void)state;
    struct tsn_cold cold = {0};
    unsigned left = KEYS;
    bool in[KEYS];
    for (unsigned i = 0; i < KEYS; i++) {
        tsn_cold_add(&cold, key_of(i), (int64_t)i * 1000);
        in[i] = true;
    }
    for (int64_t newest_ms = -1; newest_ms < (int64_t)(KEYS + 60) * 1000; newest_ms += 7001) {
        uint64_t n_slots = 2 * cold.n_slots;
        struct tsn_key key;
        while (tsn_cold_expire(&cold, newest_ms, &n_slots, &key)) {
            unsigned i = (unsigned)key.hi - 1;
            assert_true(in[i]);
            assert_true((int64_t)i * 1000 <= newest_ms);
            in[i] = false;
            left--;
        }
        for (unsigned i = 0; i < KEYS; i++) { /* no later than the minute after */
            assert_true(!in[i] || (int64_t)i * 1000 > newest_ms - MINUTE);
        }
    }
    assert_int_equal(left, 0);
    assert_int_equal(cold.n, 0);
    tsn_cold_free(&cold);
}

static void what_never_expires_stays(void **state)
{
    (void)state;
    struct tsn_cold cold = {0};
    struct tsn_key key;
    uint64_t n_slots = UINT64_C(1) << 20;
    assert_false(tsn_cold_has(&cold, key_of(1)));
    assert_false(tsn_cold_expire(&cold, INT64_MAX, &n_slots, &key));
    tsn_cold_add(&cold, key_of(1), INT64_MAX);
    assert_false(tsn_cold_expire(&cold, INT64_MAX - 1, &n_slots, &key));
    assert_true(tsn_cold_has(&cold, key_of(1)));
    tsn_cold_free(&cold);
}

static void some_gives_as_many_as_are_asked_for(void **state)
{
    (void)state;
    struct tsn_cold cold = {0};
    struct tsn_key keys[8];
    for (unsigned i = 0; i < 5; i++) {
        tsn_cold_add(&cold, key_of(i), 0);
    }
    assert_int_equal(tsn_cold_some(&cold, keys, 3), 3);
    assert_int_equal(tsn_cold_some(&cold, keys, 8), 5);
    for (unsigned i = 0; i < 5; i++) {
        assert_true(tsn_cold_remove(&cold, keys[i]));
    }
    assert_int_equal(tsn_cold_some(&cold, keys, 8), 0);
    tsn_cold_free(&cold);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_holds_what_was_added_and_not_removed),
        cmocka_unit_test(what_has_expired_is_given_once_and_no_sooner),
        cmocka_unit_test(what_never_expires_stays),
        cmocka_unit_test(some_gives_as_many_as_are_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
