/* Cuts: collected, merged after a failed write, indexed by slot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connectors/store/cut.h"

static struct tsn_keys *keys;

static int set_up(void **state)
{
    (void)state;
    keys = tsn_keys_insecure();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tsn_keys_free(keys);
    return 0;
}

static void add(struct tsn_cut *cut, uint32_t key, const char *value)
{
    struct tsn_snapshot_record record = {.section = TSN_SNAPSHOT_ENTITY,
                                         .bytes = (const uint8_t *)value,
                                         .len = value ? strlen(value) : 0};
    memcpy(record.key, &key, sizeof key);
    tsn_cut_add(cut, &record);
}

/* The entry of a key, or NULL; checks that it is there once, in its slot. */
static const struct tsn_cut_entry *find(const struct tsn_cut_index *index, uint32_t key)
{
    const struct tsn_cut_entry *found = NULL;
    for (unsigned s = 0; s < TSN_LAYOUT_SLOTS; s++) {
        for (size_t i = 0; i < index->n[s]; i++) {
            const struct tsn_cut_entry *entry = &index->entries[index->begin[s] + i];
            if (memcmp(entry->header + 1, &key, sizeof key) == 0) {
                assert_null(found);
                assert_int_equal(tsn_layout_slot(entry->field), s);
                found = entry;
            }
        }
    }
    return found;
}

static void assert_value(const struct tsn_cut_index *index, uint32_t key, const char *value)
{
    const struct tsn_cut_entry *entry = find(index, key);
    assert_non_null(entry);
    assert_int_equal(entry->gone, value == NULL);
    assert_int_equal(entry->len, value ? strlen(value) : 0);
    if (value) {
        assert_memory_equal(entry->header + TSN_LAYOUT_HEADER, value, entry->len);
    }
}

static void every_record_is_indexed_once_in_its_slot(void **state)
{
    (void)state;
    enum { N = 20000 };
    struct tsn_cut cut = {0};
    struct tsn_cut_index index;
    for (uint32_t i = 0; i < N; i++) {
        add(&cut, i, i % 7 == 0 ? NULL : i % 2 == 0 ? "even" : "");
    }
    tsn_cut_index(&cut, keys, &index);
    assert_int_equal(index.n_all, N);
    for (uint32_t i = 0; i < 50; i++) {
        assert_value(&index, i, i % 7 == 0 ? NULL : i % 2 == 0 ? "even" : "");
    }
    tsn_cut_index_free(&index);
    tsn_cut_clear(&cut);
}

static void newer_record_wins_when_cuts_are_merged(void **state)
{
    (void)state;
    struct tsn_cut kept = {0};
    struct tsn_cut newer = {0};
    struct tsn_cut_index index;
    add(&kept, 1, "old");
    add(&kept, 2, "old");
    add(&kept, 3, NULL);
    add(&kept, 4, "kept");
    tsn_cut_merge(&kept, &(struct tsn_cut){0}); /* nothing changed meanwhile */
    add(&newer, 1, "new");
    add(&newer, 2, NULL);
    add(&newer, 3, "back");
    add(&newer, 5, "more");
    tsn_cut_merge(&kept, &newer);
    assert_int_equal(newer.n, 0);
    for (int again = 0; again < 2; again++) { /* the same after compaction */
        tsn_cut_index(&kept, keys, &index);
        assert_int_equal(index.n_all, 5);
        assert_value(&index, 1, "new");
        assert_value(&index, 2, NULL);
        assert_value(&index, 3, "back");
        assert_value(&index, 4, "kept");
        assert_value(&index, 5, "more");
        tsn_cut_compact(&kept, &index, keys);
        assert_int_equal(kept.n, 5);
        tsn_cut_index_free(&index);
    }
    tsn_cut_clear(&kept);
}

static void what_is_gone_does_not_count_in_a_whole_cut(void **state)
{
    (void)state;
    struct tsn_cut cut = {.whole = true};
    struct tsn_cut_index index;
    add(&cut, 1, NULL);
    add(&cut, 2, "all there is");
    add(&cut, 1, NULL);
    tsn_cut_index(&cut, keys, &index);
    assert_int_equal(index.n_all, 1);
    assert_value(&index, 2, "all there is");
    tsn_cut_index_free(&index);
    tsn_cut_clear(&cut);
}

/* In order, whatever is added meanwhile; the block being filled stays until all is wanted. */
static void a_cut_goes_through_in_parts(void **state)
{
    (void)state;
    enum { BYTES = 1024 * 1024, N = 100 };
    char *value = malloc(BYTES + 1);
    assert_non_null(value);
    memset(value, 'v', BYTES);
    value[BYTES] = '\0';
    struct tsn_cut from = {0};
    struct tsn_cut part = {0};
    struct tsn_cut_index index;
    uint32_t seen = 0;
    for (uint32_t i = 0; i < N; i++) {
        add(&from, i, value);
        size_t held = from.held + part.held;
        tsn_cut_move(&from, &part, 8 * BYTES, false);
        assert_int_equal(from.held + part.held, held);
        assert_int_equal(from.n + part.n + seen, i + 1);
        assert_true(part.held < 13 * (size_t)BYTES && from.n > 0);
        if (i % 10 < 8) {
            continue; /* what was moved is not taken off yet */
        }
        tsn_cut_index(&part, keys, &index);
        assert_int_equal(index.n_all, part.n);
        for (uint32_t k = seen; k < seen + part.n; k++) {
            assert_non_null(find(&index, k));
        }
        seen += (uint32_t)part.n;
        tsn_cut_index_free(&index);
        tsn_cut_clear(&part);
        assert_int_equal(part.held, 0);
    }
    tsn_cut_move(&from, &part, SIZE_MAX, true);
    assert_int_equal(seen + part.n, N);
    assert_int_equal(from.n, 0);
    assert_int_equal(from.held, 0);
    add(&from, N, "one more");
    assert_int_equal(from.n, 1);
    tsn_cut_clear(&from);
    tsn_cut_clear(&part);
    free(value);
}

static void a_record_said_twice_to_be_gone_counts_once(void **state)
{
    (void)state;
    struct tsn_cut cut = {0};
    struct tsn_cut_index index;
    add(&cut, 1, NULL);
    add(&cut, 2, "two");
    add(&cut, 1, NULL);
    tsn_cut_index(&cut, keys, &index);
    assert_int_equal(index.n_all, 2); /* a delta says how many fields it has */
    assert_value(&index, 1, NULL);
    assert_value(&index, 2, "two");
    tsn_cut_index_free(&index);
    tsn_cut_clear(&cut);
}

static void blocks_of_a_cut_serve_the_next(void **state)
{
    (void)state;
    enum { BYTES = 1024 * 1024, CUTS = 3, MORE = 4 * (TSN_CUT_SPARE_MAX + 2) };
    struct tsn_cut_spare spare;
    char *value = malloc(BYTES + 1);
    assert_non_null(value);
    memset(value, 'v', BYTES);
    value[BYTES] = '\0';
    tsn_cut_spare_init(&spare);
    struct tsn_cut cut = {.spare = &spare};
    for (int k = 0; k < CUTS; k++) {
        for (uint32_t i = 0; i < 30; i++) {
            add(&cut, i, value);
        }
        assert_int_equal(spare.n, 0);
        tsn_cut_clear(&cut);
        assert_int_equal(spare.n, 10); /* three records of a MiB and their heads in 4 MiB */
        for (uint32_t i = 0; i < 3; i++) {
            add(&cut, i, value);
        }
        assert_int_equal(spare.n, 9);
        for (uint32_t i = 3; i < 30; i++) {
            add(&cut, i, value);
        }
        tsn_cut_clear(&cut);
        assert_int_equal(spare.n, 10);
        while (spare.n > 0) { /* the next round asks the system again */
            struct tsn_cut one = {.spare = &spare};
            add(&one, 1, "x");
            one.spare = NULL;
            tsn_cut_clear(&one);
        }
    }
    for (uint32_t i = 0; i < MORE; i++) {
        add(&cut, i, value);
    }
    tsn_cut_clear(&cut);
    assert_int_equal(spare.n, TSN_CUT_SPARE_MAX); /* what a giant cut took is given back */
    tsn_cut_spare_end(&spare);
    free(value);
}

static size_t resident_bytes(void)
{
    size_t all = 0;
    size_t resident = 0;
    FILE *in = fopen("/proc/self/statm", "r");
    assert_non_null(in);
    assert_int_equal(fscanf(in, "%zu %zu", &all, &resident), 2);
    fclose(in);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void memory_of_a_giant_cut_goes_back_whatever_was_allocated_beside_it(void **state)
{
    (void)state;
    enum { BYTES = 1024 * 1024, RECORDS = 400, ROUNDS = 2 };
    char *beside[ROUNDS * RECORDS];
    struct tsn_cut_spare spare;
    char *value = malloc(BYTES + 1);
    assert_non_null(value);
    memset(value, 'v', BYTES);
    value[BYTES] = '\0';
    tsn_cut_spare_init(&spare);
    struct tsn_cut cut = {.spare = &spare};
    size_t before = resident_bytes();
    for (int k = 0; k < ROUNDS; k++) {
        for (uint32_t i = 0; i < RECORDS; i++) {
            add(&cut, i, value);
            beside[k * RECORDS + (int)i] = calloc(1, 1000); /* the engine goes on */
        }
        assert_true(resident_bytes() - before > (size_t)BYTES * RECORDS / 2);
        tsn_cut_clear(&cut);
    }
    size_t spare_bytes = (size_t)4 * BYTES * TSN_CUT_SPARE_MAX;
    assert_true(resident_bytes() < before + spare_bytes + (size_t)16 * BYTES);
    for (int i = 0; i < ROUNDS * RECORDS; i++) {
        free(beside[i]);
    }
    tsn_cut_spare_end(&spare);
    free(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_said_twice_to_be_gone_counts_once),
        cmocka_unit_test(blocks_of_a_cut_serve_the_next),
        cmocka_unit_test(memory_of_a_giant_cut_goes_back_whatever_was_allocated_beside_it),
        cmocka_unit_test(every_record_is_indexed_once_in_its_slot),
        cmocka_unit_test(newer_record_wins_when_cuts_are_merged),
        cmocka_unit_test(what_is_gone_does_not_count_in_a_whole_cut),
        cmocka_unit_test(a_cut_goes_through_in_parts),
    };
    return cmocka_run_group_tests_name("store_cut", tests, set_up, tear_down);
}
