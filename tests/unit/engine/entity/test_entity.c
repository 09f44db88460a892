/* Tables, entities, pair entries and keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/entity/entity.h"
#include "engine/entity/key.h"
#include "engine/entity/pairs.h"
#include "engine/entity/pool.h"
#include "engine/entity/table.h"

static struct tsn_key key_at(uint64_t i)
{
    /* Few homes and few tags: long runs, and tags that collide. */
    return (struct tsn_key){.lo = i % 7, .hi = ((i % 3) << 32 | i) + 1};
}

static void a_table_finds_what_was_added_and_not_what_was_removed(void **state)
{
    (void)state;
    enum { N = 1500 };
    struct tsn_table table;
    uint32_t numbers[N];
    tsn_table_init(&table);
    for (uint64_t i = 0; i < N; i++) {
        uint64_t *record = tsn_table_add(&table, key_at(i), &numbers[i]);
        record[4] = i;
    }
    for (uint64_t i = 0; i < N; i += 3) {
        tsn_table_remove(&table, key_at(i));
    }
    for (uint64_t i = 0; i < N; i++) {
        uint64_t *record = tsn_table_find(&table, key_at(i));
        assert_int_equal(record != NULL, i % 3 != 0);
        assert_int_equal(tsn_table_lives(&table, numbers[i]), i % 3 != 0);
        if (record) {
            assert_int_equal(record[4], i);
            assert_ptr_equal(record, tsn_table_record(&table, numbers[i]));
        }
    }
    assert_int_equal(table.n, N - N / 3);
    uint32_t reused;
    tsn_table_add(&table, key_at(0), &reused);
    assert_true(reused < N);
    tsn_table_end(&table);
}

static void a_table_with_room_reserved_does_not_grow_and_keeps_what_it_has(void **state)
{
    (void)state;
    struct tsn_table table;
    uint32_t number;
    tsn_table_init(&table);
    for (uint32_t i = 0; i < 500; i++) {
        tsn_table_add(&table, key_at(i), &number);
    }
    tsn_table_reserve(&table, 99500);
    uint64_t mask = table.mask;
    for (uint32_t i = 500; i < 100000; i++) {
        tsn_table_add(&table, key_at(i), &number);
    }
    assert_int_equal(table.mask, mask);
    tsn_table_reserve(&table, 0);
    assert_int_equal(table.mask, mask);
    for (uint32_t i = 0; i < 100000; i++) {
        assert_non_null(tsn_table_find(&table, key_at(i)));
    }
    tsn_table_end(&table);
}

static void an_entity_holds_any_number_of_cells(void **state)
{
    (void)state;
    struct tsn_pool pool;
    struct tsn_entity entity = {.key = {1, 1}};
    int marks[40];
    tsn_pool_init(&pool);
    for (uint16_t s = 0; s < 40; s++) {
        assert_null(tsn_entity_cell(&entity, s));
        *tsn_entity_cell_add(&entity, &pool, s) = &marks[s];
        for (uint16_t back = 0; back <= s; back++) {
            assert_ptr_equal(*tsn_entity_cell(&entity, back), &marks[back]);
        }
    }
    for (uint16_t gone = 0; gone < 40; gone++) {
        unsigned i = 0;
        uint16_t at;
        while (tsn_entity_cell_at(&entity, i, &at), at != gone) {
            i++;
        }
        tsn_entity_cell_remove(&entity, &pool, i);
        assert_null(tsn_entity_cell(&entity, gone));
        for (uint16_t left = (uint16_t)(gone + 1); left < 40; left++) {
            assert_ptr_equal(*tsn_entity_cell(&entity, left), &marks[left]);
        }
    }
    assert_int_equal(entity.n, 0);
    assert_int_equal(pool.used_bytes, 0);
    tsn_pool_end(&pool);
}

static void the_entry_silent_longest_is_always_on_top(void **state)
{
    (void)state;
    enum { N = 200 };
    struct tsn_pool pool;
    struct tsn_table table;
    struct tsn_pair *at[N] = {0};
    uint64_t random = 88172645463325252u;
    tsn_pool_init(&pool);
    tsn_table_init(&table);
    struct tsn_pairs *pairs = tsn_pairs_new(&pool);
    for (uint64_t order = 1; order < 5000; order++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        unsigned i = (unsigned)(random % N);
        int64_t time_ms = (int64_t)(random >> 32) % 50 + (int64_t)order / 10;
        if (!at[i]) {
            uint32_t number;
            at[i] = tsn_table_add(&table, (struct tsn_key){i + 1, i + 1}, &number);
            at[i]->number = number;
            at[i]->newest_ms = time_ms;
            at[i]->newest_order = order;
            tsn_pairs_add(&pairs, &pool, &table, at[i]);
        } else if (random & 1024) {
            tsn_pairs_remove(pairs, &table, at[i]);
            tsn_table_remove(&table, (struct tsn_key){i + 1, i + 1});
            at[i] = NULL;
        } else if (time_ms >= at[i]->newest_ms) {
            at[i]->newest_ms = time_ms;
            at[i]->newest_order = order;
            tsn_pairs_newer(pairs, &table, at[i]);
        }
        struct tsn_pair *least = NULL;
        for (unsigned k = 0; k < N; k++) {
            bool older = at[k] && (!least || at[k]->newest_ms < least->newest_ms ||
                                   (at[k]->newest_ms == least->newest_ms &&
                                    at[k]->newest_order < least->newest_order));
            least = older ? at[k] : least;
        }
        if (least) {
            assert_ptr_equal(tsn_pairs_oldest(pairs, &table), least);
        }
    }
    tsn_pairs_free(pairs, &pool);
    tsn_table_end(&table);
    tsn_pool_end(&pool);
}

static struct tsn_key key_of_cell(struct tsn_column *column, uint64_t seed)
{
    struct tsn_key key;
    uint64_t valid = 1;
    column->valid = &valid;
    tsn_key_column(column, 1, seed, &key);
    return key;
}

static void keys_compare_by_type_and_value(void **state)
{
    (void)state;
    struct tsn_str app = {"app", 3};
    struct tsn_dict dict = {.n = 1, .names = &app};
    uint16_t code = 0;
    int64_t cents = 150;
    int64_t mils = 1500;
    int64_t other = 1501;
    double zeros[] = {0.0, -0.0};
    double nans[] = {(double)NAN, -(double)NAN};
    uint64_t seed = tsn_key_seed("line");
#define KEY(...) key_of_cell(&(struct tsn_column){__VA_ARGS__}, seed)
    struct tsn_key string = KEY(.rep = TSN_REP_STRING, .str = &app);
    const struct {
        const char *why;
        struct tsn_key a, b;
        bool same;
    } cases[] = {
        {"an enum is its name", KEY(.rep = TSN_REP_ENUM, .code = &code, .dict = &dict), string,
         true},
        {"another kind, another entity",
         key_of_cell(&(struct tsn_column){.rep = TSN_REP_STRING, .str = &app},
                     tsn_key_seed("account")),
         string, false},
        {"1.50 is 1.500", KEY(.rep = TSN_REP_MONEY, .scale = 2, .i64 = &cents),
         KEY(.rep = TSN_REP_MONEY, .scale = 3, .i64 = &mils), true},
        {"1.501 is not", KEY(.rep = TSN_REP_MONEY, .scale = 3, .i64 = &other),
         KEY(.rep = TSN_REP_MONEY, .scale = 3, .i64 = &mils), false},
        {"0.0 is -0.0", KEY(.rep = TSN_REP_DOUBLE, .f64 = &zeros[0]),
         KEY(.rep = TSN_REP_DOUBLE, .f64 = &zeros[1]), true},
        {"NaN is NaN", KEY(.rep = TSN_REP_DOUBLE, .f64 = &nans[0]),
         KEY(.rep = TSN_REP_DOUBLE, .f64 = &nans[1]), true},
        {"an int is no duration", KEY(.rep = TSN_REP_INT, .i64 = &cents),
         KEY(.rep = TSN_REP_DURATION_MS, .i64 = &cents), false},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        bool same = memcmp(&cases[c].a, &cases[c].b, sizeof cases[c].a) == 0;
        if (same != cases[c].same) {
            fail_msg("%s", cases[c].why);
        }
    }
#undef KEY
}

static void a_missing_part_makes_the_whole_key_missing(void **state)
{
    (void)state;
    struct tsn_key parts[2] = {{1, 2}, {0, 0}};
    struct tsn_key key = tsn_key_join(parts, 2);
    assert_int_equal(key.lo | key.hi, 0);
    parts[1] = (struct tsn_key){3, 4};
    struct tsn_key ab = tsn_key_join(parts, 2);
    struct tsn_key swapped[2] = {parts[1], parts[0]};
    struct tsn_key ba = tsn_key_join(swapped, 2);
    assert_int_not_equal(ab.lo, ba.lo);
}

static void a_pool_gives_back_what_it_gave(void **state)
{
    (void)state;
    struct tsn_pool pool;
    tsn_pool_init(&pool);
    for (size_t bytes = 1; bytes < 200000; bytes += bytes / 3 + 1) {
        size_t size = tsn_pool_size(bytes);
        assert_true(size >= bytes && size <= bytes + bytes / 3 + 4096);
        assert_int_equal(tsn_pool_size(size), size);
        uint8_t *block = tsn_pool_alloc(&pool, bytes);
        assert_int_equal((uintptr_t)block % 16, 0);
        memset(block, 0xa5, size);
        assert_int_equal(pool.used_bytes, size);
        tsn_pool_free(&pool, block, bytes);
        assert_int_equal(pool.used_bytes, 0);
    }
    tsn_pool_end(&pool);
}

static void reserved_memory_is_used_before_more_is_asked_for(void **state)
{
    (void)state;
    enum { BLOCK = 64 << 10, BLOCKS = 500, MORE = 20 };
    uint8_t *blocks[BLOCKS + MORE];
    struct tsn_pool pool;
    tsn_pool_init(&pool);
    pool.alone_above = TSN_POOL_LARGE; /* under AddressSanitizer too */
    tsn_pool_reserve(&pool, 0);
    assert_int_equal(pool.n_grown, 0);
    tsn_pool_reserve(&pool, 30 << 20); /* four chunks of 8 MiB */
    assert_int_equal(pool.n_grown, 4);
    assert_int_equal(pool.used_bytes, 0);
    for (int i = 0; i < BLOCKS + MORE; i++) {
        assert_true(i >= BLOCKS || pool.n_grown == 4);
        blocks[i] = tsn_pool_alloc(&pool, BLOCK);
        memset(blocks[i], 0xa5, BLOCK);
    }
    assert_true(pool.n_grown > 4);
    for (int i = 0; i < BLOCKS + MORE; i++) {
        tsn_pool_free(&pool, blocks[i], BLOCK);
    }
    tsn_pool_end(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_finds_what_was_added_and_not_what_was_removed),
        cmocka_unit_test(a_table_with_room_reserved_does_not_grow_and_keeps_what_it_has),
        cmocka_unit_test(an_entity_holds_any_number_of_cells),
        cmocka_unit_test(the_entry_silent_longest_is_always_on_top),
        cmocka_unit_test(keys_compare_by_type_and_value),
        cmocka_unit_test(a_missing_part_makes_the_whole_key_missing),
        cmocka_unit_test(a_pool_gives_back_what_it_gave),
        cmocka_unit_test(reserved_memory_is_used_before_more_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
