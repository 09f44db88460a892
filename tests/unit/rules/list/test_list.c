/* Lists: membership, expiry, eviction, order; and random operations against a
 * naive list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/list/list.h"

static struct tsn_str str(const char *s)
{
    return (struct tsn_str){s, (uint32_t)strlen(s)};
}

static void a_member_is_one_until_it_expires(void **state)
{
    (void)state;
    struct tsn_list *list = tsn_list_new(TSN_TYPE_STRING, 0);
    tsn_list_add_string(list, str("+8613900000001"), 100);
    assert_true(tsn_list_has_string(list, str("+8613900000001"), 99));
    assert_false(tsn_list_has_string(list, str("+8613900000001"), 100));
    assert_false(tsn_list_has_string(list, str("+861390000000"), 99));
    tsn_list_add_string(list, str("+8613900000001"), 50); /* never earlier */
    assert_true(tsn_list_has_string(list, str("+8613900000001"), 99));
    tsn_list_add_string(list, str("+8613900000001"), 200);
    assert_true(tsn_list_has_string(list, str("+8613900000001"), 199));
    assert_int_equal(tsn_list_size(list), 1);
    tsn_list_expire(list, 199);
    assert_int_equal(tsn_list_size(list), 1);
    tsn_list_expire(list, 200);
    assert_int_equal(tsn_list_size(list), 0);
    tsn_list_free(list);
}

static void ints_are_compared_whole(void **state)
{
    (void)state;
    struct tsn_list *list = tsn_list_new(TSN_TYPE_INT, 0);
    tsn_list_add_int(list, INT64_MIN, TSN_LIST_FOREVER);
    tsn_list_add_int(list, 0, TSN_LIST_FOREVER);
    assert_true(tsn_list_has_int(list, INT64_MIN, INT64_MAX - 1));
    assert_true(tsn_list_has_int(list, 0, 0));
    assert_false(tsn_list_has_int(list, INT64_MAX, 0));
    tsn_list_free(list);
}

static void a_full_list_loses_the_entry_that_expires_first(void **state)
{
    (void)state;
    struct tsn_list *list = tsn_list_new(TSN_TYPE_STRING, 2);
    tsn_list_add_string(list, str("late"), 30);
    tsn_list_add_string(list, str("early"), 20);
    tsn_list_add_string(list, str("third"), 40);
    assert_false(tsn_list_has_string(list, str("early"), 0));
    assert_true(tsn_list_has_string(list, str("late"), 0));
    tsn_list_add_string(list, str("new but soon gone"), 10);
    assert_false(tsn_list_has_string(list, str("new but soon gone"), 0));
    tsn_list_add_string(list, str("tie"), 30); /* ties: the one added first goes */
    assert_false(tsn_list_has_string(list, str("late"), 0));
    assert_true(tsn_list_has_string(list, str("tie"), 0));
    tsn_list_free(list);
}

static void a_member_can_be_a_prefix(void **state)
{
    (void)state;
    struct tsn_list *list = tsn_list_new(TSN_TYPE_STRING, 0);
    assert_false(tsn_list_has_prefix_of(list, str("+999"), 0));
    tsn_list_add_string(list, str("+99912"), TSN_LIST_FOREVER);
    tsn_list_add_string(list, str("+2"), 5);
    assert_true(tsn_list_has_prefix_of(list, str("+99912001"), 0));
    assert_true(tsn_list_has_prefix_of(list, str("+99912"), 0));
    assert_false(tsn_list_has_prefix_of(list, str("+9991"), 0));
    assert_true(tsn_list_has_prefix_of(list, str("+2345"), 4));
    assert_false(tsn_list_has_prefix_of(list, str("+2345"), 5));
    char long_member[100];
    memset(long_member, 'x', sizeof long_member);
    tsn_list_add_string(list, (struct tsn_str){long_member, 80}, TSN_LIST_FOREVER);
    assert_true(tsn_list_has_prefix_of(list, (struct tsn_str){long_member, 99}, 0));
    assert_false(tsn_list_has_prefix_of(list, (struct tsn_str){long_member, 79}, 0));
    tsn_list_free(list);
}

static void an_empty_member_is_no_prefix(void **state)
{
    (void)state;
    struct tsn_list *list = tsn_list_new(TSN_TYPE_STRING, 0);
    tsn_list_add_string(list, str(""), TSN_LIST_FOREVER); /* a rule adds what a record holds */
    assert_true(tsn_list_has_string(list, str(""), 0));
    assert_false(tsn_list_has_prefix_of(list, str("+99912"), 0));
    assert_false(tsn_list_has_prefix_of(list, str(""), 0));
    tsn_list_free(list);
}

static void a_copy_is_independent_and_keeps_the_order(void **state)
{
    (void)state;
    struct tsn_list *list = tsn_list_new(TSN_TYPE_STRING, 0);
    tsn_list_add_string(list, str("b"), 10);
    tsn_list_add_string(list, str("a text longer than sixteen bytes"), 20);
    tsn_list_add_string(list, str("a"), TSN_LIST_FOREVER);
    struct tsn_list *copy = tsn_list_copy(list);
    tsn_list_expire(list, 10);
    tsn_list_free(list);
    assert_int_equal(tsn_list_size(copy), 3);
    assert_int_equal(tsn_list_at(copy, 1).s.len, 32);
    assert_int_equal(tsn_list_at(copy, 1).expires_ms, 20);
    assert_memory_equal(tsn_list_at(copy, 2).s.p, "a", 1);
    tsn_list_expire(copy, 10);
    assert_memory_equal(tsn_list_at(copy, 0).s.p, "a text", 6);
    tsn_list_free(copy);
}

/* ---- against a list anybody can read ---------------------------------------- */

enum { NAIVE_MAX = 4096 };

struct naive {
    int64_t value[NAIVE_MAX];
    tsn_event_ms expires[NAIVE_MAX];
    size_t n;
    uint64_t max;
};

static void naive_remove(struct naive *list, size_t at)
{
    memmove(list->value + at, list->value + at + 1, (list->n - at - 1) * sizeof list->value[0]);
    memmove(list->expires + at, list->expires + at + 1,
            (list->n - at - 1) * sizeof list->expires[0]);
    list->n--;
}

static void naive_add(struct naive *list, int64_t value, tsn_event_ms expires)
{
    for (size_t i = 0; i < list->n; i++) {
        if (list->value[i] == value) {
            list->expires[i] = expires > list->expires[i] ? expires : list->expires[i];
            return;
        }
    }
    list->value[list->n] = value;
    list->expires[list->n++] = expires;
    if (list->max && list->n > list->max) {
        size_t first = 0;
        for (size_t i = 1; i < list->n; i++) {
            if (list->expires[i] < list->expires[first]) {
                first = i;
            }
        }
        naive_remove(list, first);
    }
}

static void naive_expire(struct naive *list, tsn_event_ms until)
{
    for (size_t i = list->n; i-- > 0;) {
        if (list->expires[i] <= until) {
            naive_remove(list, i);
        }
    }
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

/* Ints, and the same ints as short and as long text. */
static void check_same(const struct naive *naive, const struct tsn_list *ints,
                       const struct tsn_list *texts)
{
    assert_int_equal(tsn_list_size(ints), naive->n);
    assert_int_equal(tsn_list_size(texts), naive->n);
    for (size_t i = 0; i < naive->n; i++) {
        char text[64];
        snprintf(text, sizeof text, naive->value[i] % 2 ? "%d" : "a text that is longer %d",
                 (int)naive->value[i]);
        assert_int_equal(tsn_list_at(ints, i).i, naive->value[i]);
        assert_int_equal(tsn_list_at(ints, i).expires_ms, naive->expires[i]);
        struct tsn_list_entry entry = tsn_list_at(texts, i);
        assert_int_equal(entry.s.len, strlen(text));
        assert_memory_equal(entry.s.p, text, entry.s.len);
        assert_true(tsn_list_has_int(ints, naive->value[i], naive->expires[i] - 1));
        assert_false(tsn_list_has_string(texts, str(text), naive->expires[i]));
        assert_true(tsn_list_has_string(texts, str(text), naive->expires[i] - 1));
    }
}

static void random_operations_match_a_naive_list(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        uint64_t random = seed;
        struct naive *naive = calloc(1, sizeof *naive);
        naive->max = seed % 3 == 0 ? 0 : 1 + seed * 5;
        struct tsn_list *ints = tsn_list_new(TSN_TYPE_INT, naive->max);
        struct tsn_list *texts = tsn_list_new(TSN_TYPE_STRING, naive->max);
        for (int step = 0; step < 1500; step++) {
            int64_t value = (int64_t)(next_random(&random) % 300);
            tsn_event_ms expires = step + (tsn_event_ms)(next_random(&random) % 200) + 1;
            char text[64];
            snprintf(text, sizeof text, value % 2 ? "%d" : "a text that is longer %d", (int)value);
            naive_add(naive, value, expires);
            tsn_list_add_int(ints, value, expires);
            tsn_list_add_string(texts, str(text), expires);
            if (next_random(&random) % 16 == 0) {
                naive_expire(naive, step);
                tsn_list_expire(ints, step);
                tsn_list_expire(texts, step);
            }
            if (step % 50 == 0) {
                check_same(naive, ints, texts);
            }
        }
        check_same(naive, ints, texts);
        tsn_list_free(ints);
        tsn_list_free(texts);
        free(naive);
    }
}

/* Texts of two letters: prefixes of each other all the time, up to 200 bytes long. */
static struct tsn_str random_word(uint64_t *random, char *out)
{
    uint32_t len = (uint32_t)(next_random(random) % (next_random(random) % 8 ? 12 : 200)) + 1;
    for (uint32_t i = 0; i < len; i++) {
        out[i] = next_random(random) % 5 == 0 ? 'b' : 'a';
    }
    return (struct tsn_str){out, len};
}

static void random_prefixes_match_a_naive_scan(void **state)
{
    (void)state;
    int n_found = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        uint64_t random = seed;
        uint64_t max = seed % 2 ? 0 : 20;
        struct tsn_list *list = tsn_list_new(TSN_TYPE_STRING, max);
        for (int step = 0; step < 300; step++) {
            char text[200];
            tsn_event_ms expires = step + 1 + (tsn_event_ms)(next_random(&random) % 60);
            if (step % 4 == 0) {
                tsn_list_add_string(list, random_word(&random, text), expires);
            } else if (step % 29 == 0) {
                tsn_list_expire(list, step);
            }
            struct tsn_str value = random_word(&random, text);
            bool want = false;
            for (size_t i = 0; i < tsn_list_size(list); i++) {
                struct tsn_list_entry e = tsn_list_at(list, i);
                want |= step < e.expires_ms && e.s.len <= value.len &&
                        memcmp(e.s.p, value.p, e.s.len) == 0;
            }
            n_found += want;
            assert_int_equal(tsn_list_has_prefix_of(list, value, step), want);
        }
        tsn_list_free(list);
    }
    assert_true(n_found > 1000 && n_found < 17000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_is_one_until_it_expires),
        cmocka_unit_test(ints_are_compared_whole),
        cmocka_unit_test(a_full_list_loses_the_entry_that_expires_first),
        cmocka_unit_test(a_member_can_be_a_prefix),
        cmocka_unit_test(an_empty_member_is_no_prefix),
        cmocka_unit_test(random_prefixes_match_a_naive_scan),
        cmocka_unit_test(a_copy_is_independent_and_keeps_the_order),
        cmocka_unit_test(random_operations_match_a_naive_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
