/* Belt: records come off opened and in the order in which they were put on, whatever
 * the threads do; whoever takes may stop at any time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "connectors/store/belt.h"
#include "rules/must/must.h"

enum { RECORDS = 40000, GIANT_BYTES = 3 * 1024 * 1024, NEVER = RECORDS };

struct world {
    struct tsn_layout layout;
    struct tsn_keys *keys;
    struct tsn_belt *belt;
    uint32_t altered; /* a record that does not open */
    uint32_t n_put;
};

static void world_begin(struct world *world)
{
    struct tsn_failure failure;
    *world = (struct world){.altered = NEVER};
    TSN_MUST(tsn_layout_init(&world->layout, "belt", &failure));
    world->keys = tsn_keys_insecure();
    world->belt = tsn_belt_new(&world->layout, world->keys);
}

static void world_end(struct world *world)
{
    tsn_belt_free(world->belt);
    tsn_keys_free(world->keys);
}

/* The length of what record i holds; one of them is a giant. */
static size_t length_of(uint32_t i)
{
    return i == RECORDS / 2 ? GIANT_BYTES : sizeof i + i * 7919 % 900;
}

/* Record i in slot i / 200, sealed as the store seals it. */
static void put(struct world *world, struct tsn_chunk *chunk, uint32_t i)
{
    static uint8_t plain[TSN_LAYOUT_HEADER + GIANT_BYTES];
    static uint8_t sealed[sizeof plain + TSN_SEAL_OVERHEAD];
    uint8_t field[TSN_LAYOUT_FIELD] = {0};
    char context[TSN_LAYOUT_KEY_MAX];
    size_t len = TSN_LAYOUT_HEADER + length_of(i);
    memset(plain, (int)(i % 251), len);
    memcpy(plain + TSN_LAYOUT_HEADER, &i, sizeof i);
    memcpy(field, &i, sizeof i);
    size_t context_len = tsn_layout_context(&world->layout, chunk->slot, field, context);
    size_t sealed_len = tsn_keys_seal(world->keys, context, context_len, plain, len, sealed);
    sealed[sealed_len - 1] ^= i == world->altered;
    tsn_chunk_add(chunk, field, sealed, sealed_len);
}

static void *put_all(void *user)
{
    struct world *world = user;
    struct tsn_chunk *chunk = tsn_belt_room(world->belt);
    for (uint32_t i = 0; i < RECORDS && chunk; i++) {
        if (i % 200 == 0) {
            tsn_chunk_reset(chunk, i / 200);
        }
        put(world, chunk, i);
        bool last = i % 200 == 199;
        if (last || tsn_chunk_full(chunk)) {
            chunk->last = last;
            tsn_belt_put(world->belt);
            chunk = tsn_belt_room(world->belt);
            if (chunk) {
                tsn_chunk_reset(chunk, i / 200);
            }
        }
        world->n_put = i + 1;
    }
    tsn_belt_end(world->belt);
    return NULL;
}

/* Takes until record `until`, the end, or one that is bad; returns how many came. */
static uint32_t take(struct world *world, uint32_t until)
{
    pthread_t thread;
    TSN_MUST(pthread_create(&thread, NULL, put_all, world) == 0);
    const struct tsn_chunk *chunk;
    uint32_t n = 0;
    bool bad = false;
    while (n < until && !bad && (chunk = tsn_belt_take(world->belt))) {
        assert_true(chunk->n == 0 || chunk->slot == n / 200);
        for (size_t r = 0; r < chunk->n_bad; r++, n++) {
            const struct tsn_chunk_record *record = &chunk->records[r];
            uint32_t i;
            memcpy(&i, record->plain + TSN_LAYOUT_HEADER, sizeof i);
            assert_int_equal(i, n);
            assert_int_equal(record->len, TSN_LAYOUT_HEADER + length_of(i));
            assert_int_equal(record->plain[0], i % 251);
            assert_int_equal(record->plain[record->len - 1],
                             length_of(i) > sizeof i ? i % 251 : ((uint8_t *)&i)[sizeof i - 1]);
        }
        bad = chunk->n_bad < chunk->n;
    }
    tsn_belt_stop(world->belt);
    pthread_join(thread, NULL);
    return n;
}

static void every_record_comes_once_in_its_order(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    assert_int_equal(take(&world, UINT32_MAX), RECORDS);
    world_end(&world);
}

static void taking_ends_before_a_record_that_was_altered(void **state)
{
    (void)state;
    static const uint32_t altered[] = {0, 1, 777, RECORDS / 2, RECORDS - 1};
    for (size_t k = 0; k < sizeof altered / sizeof altered[0]; k++) {
        struct world world;
        world_begin(&world);
        world.altered = altered[k];
        assert_int_equal(take(&world, UINT32_MAX), altered[k]);
        world_end(&world);
    }
}

static void whoever_puts_is_told_to_stop(void **state)
{
    (void)state;
    static const uint32_t until[] = {0, 1, 5000};
    for (size_t k = 0; k < sizeof until / sizeof until[0]; k++) {
        struct world world;
        world_begin(&world);
        take(&world, until[k]);
        assert_true(world.n_put < RECORDS); /* the belt holds less than all of them */
        world_end(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_comes_once_in_its_order),
        cmocka_unit_test(taking_ends_before_a_record_that_was_altered),
        cmocka_unit_test(whoever_puts_is_told_to_stop),
    };
    return cmocka_run_group_tests_name("store_belt", tests, NULL, NULL);
}
