/* The pool: its slabs go from class to class, and nobody gets what another has. With
 * slabs under AddressSanitizer too, where blocks are otherwise alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "engine/entity/pool.h"

enum { MIB = 1 << 20, CHUNK = 8 * MIB };

static void pool_begin(struct tsn_pool *pool)
{
    tsn_pool_init(pool);
    pool->alone_above = TSN_POOL_LARGE;
}

static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* ---- any blocks in any order ------------------------------------------------------------ */

enum { HOLDERS = 3000, ROUNDS = 200000, TIDE = 20000 };

struct holder {
    uint64_t *block;
    size_t bytes;
};

/* Words say whose they are: an overlap would be seen when either goes. Of large blocks
 * the ends and some between, to be quick. */
static size_t word_behind(size_t i, size_t words)
{
    enum { END = 64, STEP = 61 };
    return i + (i >= END && i + END < words ? STEP : 1);
}

static void mark(const struct holder *holder, uint64_t whose)
{
    size_t words = tsn_pool_size(holder->bytes) / sizeof(uint64_t);
    for (size_t i = 0; i < words; i = word_behind(i, words)) {
        holder->block[i] = whose;
    }
}

static void check_mark(const struct holder *holder, uint64_t whose)
{
    size_t words = tsn_pool_size(holder->bytes) / sizeof(uint64_t);
    for (size_t i = 0; i < words; i = word_behind(i, words)) {
        assert_int_equal(holder->block[i], whose);
    }
}

/* Small ones often; now and then one of every class, 0 bytes and more than any class. */
static size_t bytes_of(uint64_t random)
{
    unsigned octave = random % 8 == 0 ? 20 : random % 8 == 1 ? 13 : 9;
    return (random >> 8) % ((size_t)1 << (random >> 40) % (octave + 1));
}

static void check_place(const struct holder *holder)
{
    size_t size = tsn_pool_size(holder->bytes);
    uintptr_t address = (uintptr_t)holder->block;
    assert_int_equal(address % 16, 0);
    if (size % 64 == 0) {
        assert_int_equal(address % 64, 0);
    }
}

static void take(struct tsn_pool *pool, struct holder *holder, size_t bytes, uint64_t whose)
{
    holder->bytes = bytes;
    holder->block = tsn_pool_alloc(pool, bytes);
    check_place(holder);
    mark(holder, whose);
}

static void give(struct tsn_pool *pool, struct holder *holder, uint64_t whose)
{
    check_mark(holder, whose);
    bool rounded = whose % 2; /* either size may be named */
    tsn_pool_free(pool, holder->block, rounded ? tsn_pool_size(holder->bytes) : holder->bytes);
    holder->block = NULL;
}

static void blocks_of_all_sizes_never_overlap_and_all_comes_back(void **state)
{
    (void)state;
    static struct holder holders[HOLDERS];
    struct tsn_pool pool;
    pool_begin(&pool);
    uint64_t used = 0;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        uint64_t random = mix(round);
        bool ebbs = round / TIDE % 2; /* slabs fill, then slabs empty */
        uint64_t whose = random % HOLDERS;
        struct holder *holder = &holders[whose];
        if (holder->block) {
            used -= tsn_pool_size(holder->bytes);
            give(&pool, holder, whose);
        } else if (!ebbs || random >> 60 == 0) {
            take(&pool, holder, bytes_of(mix(random)), whose);
            used += tsn_pool_size(holder->bytes);
        }
        assert_int_equal(pool.used_bytes, used);
        assert_true(tsn_pool_held(&pool) >= used);
        assert_true(tsn_pool_mapped(&pool) >= tsn_pool_held(&pool));
    }
    assert_true(used > 0);
    for (uint64_t i = 0; i < HOLDERS; i++) {
        if (holders[i].block) {
            give(&pool, &holders[i], i);
        }
    }
    assert_int_equal(pool.used_bytes, 0);
    assert_int_equal(tsn_pool_held(&pool), 0);
    assert_true(tsn_pool_mapped(&pool) <= 2 * CHUNK);
    tsn_pool_end(&pool);
}

/* ---- slabs ------------------------------------------------------------------------------ */

/* Every size that a log of 24-byte rows has as it grows. */
static void blocks_that_grow_leave_nothing_behind(void **state)
{
    (void)state;
    enum { LOGS = 40000 };
    static const size_t steps[] = {96, 128, 208, 320, 512, 768, 1024, 1536};
    static void *logs[LOGS];
    struct tsn_pool pool;
    pool_begin(&pool);
    for (size_t s = 0; s < sizeof steps / sizeof steps[0]; s++) {
        for (int i = 0; i < LOGS; i++) {
            void *wider = tsn_pool_alloc(&pool, steps[s]);
            tsn_pool_free(&pool, logs[i], s ? steps[s - 1] : 0);
            logs[i] = wider;
        }
        assert_int_equal(pool.used_bytes, LOGS * steps[s]);
        assert_true(tsn_pool_held(&pool) <= pool.used_bytes + pool.used_bytes / 16 + MIB);
        assert_true(tsn_pool_mapped(&pool) <= tsn_pool_held(&pool) + 2 * CHUNK);
    }
    for (int i = 0; i < LOGS; i++) {
        tsn_pool_free(&pool, logs[i], steps[sizeof steps / sizeof steps[0] - 1]);
    }
    assert_int_equal(tsn_pool_held(&pool), 0);
    tsn_pool_end(&pool);
}

static void large_blocks_become_small_ones_and_large_again(void **state)
{
    (void)state;
    enum { LARGE = 320 << 10, LARGES = 64, SMALL = 64, SMALLS = LARGES * LARGE / SMALL };
    static void *larges[LARGES];
    static void *smalls[SMALLS];
    struct tsn_pool pool;
    pool_begin(&pool);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < LARGES; i++) {
            larges[i] = tsn_pool_alloc(&pool, LARGE);
        }
        assert_int_equal(tsn_pool_held(&pool), LARGES * LARGE); /* two in five slabs */
        assert_int_equal(tsn_pool_mapped(&pool), 3 * CHUNK);
        for (int i = 0; i < LARGES; i++) {
            tsn_pool_free(&pool, larges[i], LARGE);
        }
        for (int i = 0; i < SMALLS; i++) {
            smalls[i] = tsn_pool_alloc(&pool, SMALL);
        }
        assert_int_equal(tsn_pool_held(&pool), SMALLS * SMALL);
        assert_int_equal(tsn_pool_mapped(&pool), 3 * CHUNK);
        for (int i = 0; i < SMALLS; i++) {
            tsn_pool_free(&pool, smalls[i], SMALL);
        }
        assert_int_equal(tsn_pool_held(&pool), 0);
    }
    tsn_pool_end(&pool);
}

static void a_slab_between_two_that_are_in_use_is_taken_first(void **state)
{
    (void)state;
    enum { SLAB = 128 << 10, HALF = SLAB / 2, AT_HAND = 8, BLOCKS = AT_HAND + 6 };
    uint8_t *blocks[BLOCKS];
    struct tsn_pool pool;
    pool_begin(&pool);
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = tsn_pool_alloc(&pool, HALF);
    }
    for (int i = 0; i < AT_HAND; i++) {
        tsn_pool_free(&pool, blocks[i], HALF);
    }
    assert_int_equal(tsn_pool_held(&pool), BLOCKS * HALF);
    uint8_t **middle = &blocks[AT_HAND + 2];
    tsn_pool_free(&pool, middle[0], HALF);
    assert_int_equal(tsn_pool_held(&pool), BLOCKS * HALF);
    tsn_pool_free(&pool, middle[1], HALF);
    assert_int_equal(tsn_pool_held(&pool), BLOCKS * HALF - SLAB);
    uint8_t *lower = middle[0] < middle[1] ? middle[0] : middle[1];
    assert_ptr_equal(tsn_pool_alloc(&pool, 16), lower);
    assert_int_equal(tsn_pool_held(&pool), BLOCKS * HALF);
    tsn_pool_end(&pool);
}

/* Kept for the next block of the class, and as long as somebody has one of it. */
static void the_block_that_came_back_last_is_given_first(void **state)
{
    (void)state;
    enum { BLOCKS = 20, BYTES = 208 };
    uint8_t *blocks[BLOCKS];
    struct tsn_pool pool;
    pool_begin(&pool);
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = tsn_pool_alloc(&pool, BYTES);
    }
    for (int i = 0; i < 4; i++) {
        tsn_pool_free(&pool, blocks[i], BYTES);
    }
    for (int i = 3; i >= 0; i--) {
        assert_ptr_equal(tsn_pool_alloc(&pool, BYTES), blocks[i]);
    }
    for (int i = 0; i < BLOCKS; i++) {
        assert_true(tsn_pool_held(&pool) > 0);
        tsn_pool_free(&pool, blocks[i], BYTES);
    }
    assert_int_equal(tsn_pool_held(&pool), 0);
    tsn_pool_end(&pool);
}

/* ---- the system's part ------------------------------------------------------------------ */

static void empty_chunks_go_back_but_not_reserved_ones(void **state)
{
    (void)state;
    enum { BLOCK = 4096, BLOCKS = 10 * CHUNK / BLOCK };
    static void *blocks[BLOCKS];
    for (unsigned reserved = 0; reserved <= 6; reserved += 6) {
        struct tsn_pool pool;
        pool_begin(&pool);
        tsn_pool_reserve(&pool, (uint64_t)reserved * CHUNK);
        assert_int_equal(tsn_pool_mapped(&pool), (uint64_t)reserved * CHUNK);
        for (int round = 0; round < 2; round++) {
            for (int i = 0; i < BLOCKS; i++) {
                blocks[i] = tsn_pool_alloc(&pool, BLOCK);
                memset(blocks[i], round, BLOCK);
            }
            assert_int_equal(tsn_pool_held(&pool), (uint64_t)BLOCKS * BLOCK);
            assert_int_equal(tsn_pool_mapped(&pool), (uint64_t)BLOCKS * BLOCK);
            for (int i = 0; i < BLOCKS; i++) {
                tsn_pool_free(&pool, blocks[i], BLOCK);
            }
            assert_int_equal(tsn_pool_mapped(&pool), (uint64_t)(reserved ? reserved : 2) * CHUNK);
        }
        tsn_pool_end(&pool);
    }
}

/* Some blocks more and less at the edge of a chunk: the system is not asked each time. */
static void a_state_that_breathes_keeps_its_chunks(void **state)
{
    (void)state;
    enum { BLOCK = 4096, EDGE = 4 * CHUNK / BLOCK, BREATH = 50, BLOCKS = EDGE + BREATH };
    static void *blocks[BLOCKS];
    struct tsn_pool pool;
    pool_begin(&pool);
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = tsn_pool_alloc(&pool, BLOCK);
    }
    uint64_t grown = pool.n_grown;
    uint64_t held = tsn_pool_held(&pool);
    for (int round = 0; round < 100; round++) {
        for (int i = EDGE; i < BLOCKS; i++) {
            tsn_pool_free(&pool, blocks[i], BLOCK);
        }
        assert_true(tsn_pool_held(&pool) < held);
        for (int i = EDGE; i < BLOCKS; i++) {
            blocks[i] = tsn_pool_alloc(&pool, BLOCK);
        }
    }
    assert_int_equal(pool.n_grown, grown);
    tsn_pool_end(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_of_all_sizes_never_overlap_and_all_comes_back),
        cmocka_unit_test(blocks_that_grow_leave_nothing_behind),
        cmocka_unit_test(large_blocks_become_small_ones_and_large_again),
        cmocka_unit_test(a_slab_between_two_that_are_in_use_is_taken_first),
        cmocka_unit_test(the_block_that_came_back_last_is_given_first),
        cmocka_unit_test(empty_chunks_go_back_but_not_reserved_ones),
        cmocka_unit_test(a_state_that_breathes_keeps_its_chunks),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
