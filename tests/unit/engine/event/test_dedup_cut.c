/* Duplicates through checkpoints: pages, taken while rows go on, loaded in any order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "engine/event/dedup.h"

enum { MIN = 60000, WINDOW_MIN = 3, MINUTES = 64, PAGES = 16 };

/* What a checkpoint holds: the pages of each minute. */
struct stored {
    struct page {
        bool there;
        size_t n;
        uint64_t hashes[TSN_DEDUP_PAGE_IDS];
    } pages[MINUTES][PAGES];
    size_t n_given, n_gone; /* since it was last looked at */
};

static struct stored *stored_new(void)
{
    struct stored *stored = calloc(1, sizeof *stored);
    assert_non_null(stored);
    return stored;
}

static size_t put(void *user, int64_t minute, uint32_t page, const uint64_t *hashes, size_t n)
{
    struct stored *stored = user;
    assert_in_range(minute, 0, MINUTES - 1);
    assert_true(page < PAGES && n > 0 && n <= TSN_DEDUP_PAGE_IDS);
    struct page *at = &stored->pages[minute][page];
    at->there = true;
    at->n = n;
    memcpy(at->hashes, hashes, n * sizeof *hashes);
    stored->n_given++;
    return n * sizeof *hashes;
}

static size_t drop(void *user, int64_t minute, uint32_t page)
{
    struct stored *stored = user;
    assert_true(stored->pages[minute][page].there);
    stored->pages[minute][page].there = false;
    stored->n_gone++;
    return 0;
}

static void begin(struct tsn_dedup *dedup, bool whole, struct stored *stored)
{
    const struct tsn_dedup_taker taker = {.page = put, .gone = drop, .user = stored};
    tsn_dedup_cut_begin(dedup, whole, &taker);
}

static bool step(struct tsn_dedup *dedup, int64_t budget)
{
    return tsn_dedup_cut_step(dedup, &budget);
}

static void cut(struct tsn_dedup *dedup, bool whole, struct stored *stored)
{
    stored->n_given = stored->n_gone = 0;
    begin(dedup, whole, stored);
    assert_true(step(dedup, INT64_MAX));
}

static void load(struct tsn_dedup *dedup, const struct stored *stored, bool backwards,
                 int64_t kept_from)
{
    for (int minute = 0; minute < MINUTES; minute++) {
        for (int i = 0; i < PAGES; i++) {
            int page = backwards ? PAGES - 1 - i : i;
            const struct page *at = &stored->pages[minute][page];
            if (at->there) {
                tsn_dedup_load(dedup, minute, (uint32_t)page, at->hashes, at->n);
            }
        }
    }
    dedup->kept_from = kept_from;
}

/* n new ids of a minute, the newest so far. */
static void add(struct tsn_dedup *dedup, uint64_t from, size_t n, int64_t minute)
{
    for (size_t i = 0; i < n; i++) {
        assert_false(tsn_dedup_seen(dedup, (from + i) * 0x9e3779b97f4a7c15u + 1, minute * MIN,
                                    minute * MIN));
    }
}

static void only_pages_that_grew_are_given_and_a_forgotten_pane_goes_page_by_page(void **state)
{
    (void)state;
    struct stored *stored = stored_new();
    struct tsn_dedup dedup;
    tsn_dedup_init(&dedup, WINDOW_MIN * MIN, 1 << 24);
    add(&dedup, 0, 3 * TSN_DEDUP_PAGE_IDS + 1, 5);
    cut(&dedup, false, stored);
    assert_int_equal(stored->n_given, 4);
    cut(&dedup, false, stored);
    assert_int_equal(stored->n_given, 0);
    add(&dedup, 100000, 1, 5);
    cut(&dedup, false, stored);
    assert_int_equal(stored->n_given, 1);
    add(&dedup, 200000, TSN_DEDUP_PAGE_IDS, 5);
    cut(&dedup, false, stored);
    assert_int_equal(stored->n_given, 2); /* what filled up and what is new */
    cut(&dedup, true, stored);
    assert_int_equal(stored->n_given, 5);
    add(&dedup, 300000, 1, 5 + WINDOW_MIN + 1);
    cut(&dedup, false, stored);
    assert_int_equal(stored->n_gone, 5);
    assert_int_equal(stored->n_given, 1);
    tsn_dedup_free(&dedup);
    free(stored);
}

static void a_loaded_pane_is_written_anew_once_and_goes_whole(void **state)
{
    (void)state;
    struct stored *stored = stored_new();
    struct tsn_dedup dedup;
    tsn_dedup_init(&dedup, WINDOW_MIN * MIN, 1 << 24);
    add(&dedup, 0, 2 * TSN_DEDUP_PAGE_IDS + 7, 5);
    cut(&dedup, false, stored);
    int64_t kept_from = dedup.kept_from;
    tsn_dedup_free(&dedup);
    tsn_dedup_init(&dedup, WINDOW_MIN * MIN, 1 << 24);
    load(&dedup, stored, true, kept_from);
    add(&dedup, 100000, 1, 5);
    cut(&dedup, false, stored);
    assert_int_equal(stored->n_given, 3);
    cut(&dedup, false, stored);
    assert_int_equal(stored->n_given, 0);
    tsn_dedup_free(&dedup);
    tsn_dedup_init(&dedup, WINDOW_MIN * MIN, 1 << 24);
    load(&dedup, stored, false, kept_from);
    add(&dedup, 200000, 1, 5 + WINDOW_MIN + 1); /* forgotten before any cut had it */
    cut(&dedup, false, stored);
    assert_int_equal(stored->n_gone, 3);
    tsn_dedup_free(&dedup);
    free(stored);
}

/* Ids at random minutes, some late, many twice; cuts of a few pages a row; deaths, after
 * which the last complete cut and the rows since then must answer the same. */
static void duplicates_restored_at_any_row_answer_as_if_nothing_had_happened(void **state)
{
    (void)state;
    enum { ROWS = 60000 };
    static uint64_t ids[ROWS];
    static int64_t times[ROWS], newest[ROWS];
    static bool answers[ROWS];
    uint64_t random = 88172645463325252u;
    struct tsn_dedup steady;
    tsn_dedup_init(&steady, WINDOW_MIN * MIN, 12000 * TSN_DEDUP_ID_BYTES);
    int64_t newest_ms = INT64_MIN;
    for (int r = 0; r < ROWS; r++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        times[r] = (int64_t)r * 20 * MIN / ROWS - (int64_t)(random % (2 * MIN)) + 3 * MIN;
        ids[r] = (random >> 20) % ROWS + 1;
        newest[r] = newest_ms;
        answers[r] = tsn_dedup_seen(&steady, ids[r], times[r], newest_ms);
        newest_ms = times[r] > newest_ms ? times[r] : newest_ms;
    }
    tsn_dedup_free(&steady);

    struct stored *stored = stored_new();
    struct stored *taking = stored_new();
    struct tsn_dedup dedup;
    tsn_dedup_init(&dedup, WINDOW_MIN * MIN, 12000 * TSN_DEDUP_ID_BYTES);
    bool cutting = false;
    int taken_at = 0, stored_at = 0, n_deaths = 0;
    int64_t taken_from = dedup.kept_from, stored_from = dedup.kept_from;
    for (int r = 0; r < ROWS; r++) {
        assert_int_equal(tsn_dedup_seen(&dedup, ids[r], times[r], newest[r]), answers[r]);
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        if (!cutting && random % 500 == 0) {
            memcpy(taking, stored, sizeof *stored);
            begin(&dedup, random % 7 == 0, taking);
            cutting = true;
            taken_at = r + 1;
            taken_from = dedup.kept_from;
        }
        if (cutting && (random >> 8) % 100 == 0 && step(&dedup, 10000)) {
            memcpy(stored, taking, sizeof *stored);
            cutting = false;
            stored_at = taken_at;
            stored_from = taken_from;
        }
        if ((random >> 16) % 5000 == 0) {
            tsn_dedup_free(&dedup);
            tsn_dedup_init(&dedup, WINDOW_MIN * MIN, 12000 * TSN_DEDUP_ID_BYTES);
            load(&dedup, stored, n_deaths++ % 2, stored_from);
            cutting = false;
            for (int again = stored_at; again <= r; again++) {
                tsn_dedup_seen(&dedup, ids[again], times[again], newest[again]);
            }
        }
    }
    assert_true(n_deaths > 3);
    tsn_dedup_free(&dedup);
    free(taking);
    free(stored);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_pages_that_grew_are_given_and_a_forgotten_pane_goes_page_by_page),
        cmocka_unit_test(a_loaded_pane_is_written_anew_once_and_goes_whole),
        cmocka_unit_test(duplicates_restored_at_any_row_answer_as_if_nothing_had_happened),
    };
    return cmocka_run_group_tests_name("dedup_cut", tests, NULL, NULL);
}
