/* State of scoring: no batch size, no checkpoint and no swap shows in what is said; and
 * a record that lies is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/must/must.h"
#include "tests/fixture/score_world.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define T0 (1000 * HOUR)

enum { ROWS = 3000, SEEDS = 6 };

/* ---- a world with a bit of everything --------------------------------------------------- */

static struct world *busy_world(void)
{
    static const struct tsn_list_write writes[] = {{.list = LIST_SEEN, .field = F_OTHER}};
    struct world *world = world_new();
    world->lists[LIST_SEEN].max = 5;
    world->lists[LIST_SEEN].ttl_ms = 20 * MINUTE;
    struct tsn_rule *big = world_rule(world, "big", PAY, "pay.amount >= 500.0");
    world_reason(world, big, "paid ", "pay.amount", false, F_AMOUNT);
    world_reason(world, big, " to ", "pay.other", true, F_OTHER);
    struct tsn_rule *small = world_rule(world, "small", PAY, "pay.n == 1 || pay.word == \"app\"");
    struct tsn_rule *rang = world_rule(world, "rang", RING, "ring.n > 5");
    rang->writes = writes;
    rang->n_writes = 1;
    struct tsn_rule *back = world_rule(world, "back", PAY, "pay.who in lists.seen");
    world_exception(world, back, "pay.other in lists.seen", T0 + 10 * HOUR);
    struct tsn_rule *shadow =
        world_rule(world, "shadow", PAY, "pay.who in lists.seen && pay.n < 4");
    shadow->mode = TSN_MODE_SHADOW;

    struct tsn_rule *silent = world_rule(world, "silent", RING, "ring.n >= 2");
    world_timer(world, silent, 10 * MINUTE, PAY, "pay.n == 2");
    world_reason(world, silent, "nothing from ", "ring.who", true, F_WHO);
    silent->writes = writes;
    silent->n_writes = 1;
    struct tsn_rule *quiet = world_rule(world, "quiet", PAY, "pay.n == 0");
    world_timer(world, quiet, 7 * MINUTE, TSN_NONE, NULL);
    quiet->mode = TSN_MODE_SHADOW;

    struct tsn_typology *sum = world_typology(world, "sum", 40 * MINUTE);
    sum->repeat_sum = true;
    sum->thresholds[TSN_LEVEL_MINOR] = 20;
    sum->thresholds[TSN_LEVEL_MODERATE] = 60;
    sum->thresholds[TSN_LEVEL_EXTREME] = 120;
    world_weight(world, sum, big, 10.5);
    world_weight(world, sum, rang, 7);
    world_weight(world, sum, back, 20);
    world_weight(world, sum, silent, 3);
    world_action(world, sum, TSN_LEVEL_MINOR, 15 * MINUTE);
    world_action(world, sum, TSN_LEVEL_MODERATE, 90 * MINUTE);

    struct tsn_typology *once = world_typology(world, "once", HOUR);
    once->thresholds[TSN_LEVEL_SEVERE] = 30;
    world_weight(world, once, big, 15);
    world_weight(world, once, small, 10);
    world_weight(world, once, back, 15);
    world_weight(world, once, silent, 12);
    world_action(world, once, TSN_LEVEL_SEVERE, 5 * MINUTE);

    struct tsn_typology *card = world_typology(world, "card", 30 * MINUTE);
    card->thresholds[TSN_LEVEL_MINOR] = 800;
    card->thresholds[TSN_LEVEL_SEVERE] = 950;
    world_score(world, card, PAY, "pay.amount + (pay.who in lists.seen ? 100.0 : 0.0)");
    return world;
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static void rows_make(struct world_row *rows, size_t n, uint64_t seed)
{
    static const char *const who[] = {"A", "B", "C", "D", "+8613909900001", "F", NULL};
    static const char *const words[] = {"app", "web", NULL};
    static const char *const ids[] = {"id-1", "id-22", NULL, "\"odd\""};
    int64_t t = T0;
    for (size_t i = 0; i < n; i++) {
        t += (int64_t)next_random(&seed) % 40 * SECOND;
        int64_t back = 0;
        switch (next_random(&seed) % 20) {
        case 0:
            back = (int64_t)next_random(&seed) % (3 * HOUR); /* often too late */
            break;
        case 1:
        case 2:
            back = (int64_t)next_random(&seed) % HOUR;
            break;
        default:
            break;
        }
        if (next_random(&seed) % 500 == 0) {
            t += 5 * HOUR; /* long silence: tallies are forgotten */
        }
        rows[i] = (struct world_row){
            .type = next_random(&seed) % 3 ? PAY : RING,
            .t = t - back,
            .who = who[next_random(&seed) % COUNT(who)],
            .amount = (int64_t)next_random(&seed) % 100000 - 1000,
            .other = who[next_random(&seed) % COUNT(who)],
            .n = (int64_t)next_random(&seed) % 8 - 1,
            .word = words[next_random(&seed) % COUNT(words)],
            .id = ids[next_random(&seed) % COUNT(ids)],
            .duplicate = next_random(&seed) % 30 == 0,
        };
    }
}

/* ---- a store of records, by section and key ------------------------------------------------- */

struct stored {
    enum tsn_snapshot_section section;
    uint8_t key[16];
    uint8_t *bytes;
    size_t len;
};

struct store {
    struct stored *items;
    size_t n, cap;
};

static void store_put(void *user, const struct tsn_snapshot_record *record)
{
    struct store *store = user;
    size_t i = 0;
    while (i < store->n && (store->items[i].section != record->section ||
                            memcmp(store->items[i].key, record->key, 16) != 0)) {
        i++;
    }
    if (i < store->n) {
        free(store->items[i].bytes);
        store->items[i] = store->items[--store->n];
    }
    if (!record->bytes) {
        return;
    }
    if (store->n == store->cap) {
        store->cap = store->cap ? 2 * store->cap : 16;
        store->items = realloc(store->items, store->cap * sizeof *store->items);
        TSN_MUST_ALLOC(store->items);
    }
    struct stored *item = &store->items[store->n++];
    *item = (struct stored){.section = record->section, .len = record->len};
    memcpy(item->key, record->key, 16);
    item->bytes = malloc(record->len); /* its own size: reading past the end is seen */
    TSN_MUST_ALLOC(item->bytes);
    memcpy(item->bytes, record->bytes, record->len);
}

static void store_free(struct store *store)
{
    for (size_t i = 0; i < store->n; i++) {
        free(store->items[i].bytes);
    }
    free(store->items);
    *store = (struct store){0};
}

static bool store_load(const struct store *store, struct tsn_score *score, const char **why)
{
    for (size_t i = 0; i < store->n; i++) {
        struct tsn_snapshot_record record = {
            .section = store->items[i].section,
            .bytes = store->items[i].bytes,
            .len = store->items[i].len,
        };
        memcpy(record.key, store->items[i].key, 16);
        if (!tsn_score_load(score, &record, why)) {
            return false;
        }
    }
    return true;
}

static bool store_same(const struct store *a, const struct store *b)
{
    for (size_t i = 0; i < a->n; i++) {
        size_t j = 0;
        while (j < b->n && (a->items[i].section != b->items[j].section ||
                            memcmp(a->items[i].key, b->items[j].key, 16) != 0)) {
            j++;
        }
        if (j == b->n || a->items[i].len != b->items[j].len ||
            memcmp(a->items[i].bytes, b->items[j].bytes, a->items[i].len) != 0) {
            return false;
        }
    }
    return a->n == b->n;
}

/* ---- tests
 * ---------------------------------------------------------------------------------------- */

static void assert_same_text(const char *got, const char *want, const char *what, uint64_t seed)
{
    size_t i = 0;
    while (got[i] && got[i] == want[i]) {
        i++;
    }
    if (got[i] != want[i]) {
        size_t from = i > 300 ? i - 300 : 0;
        fail_msg("%s, seed %llu, differs at byte %zu:\n%.600s\n---- wanted ----\n%.600s", what,
                 (unsigned long long)seed, i, got + from, want + from);
    }
}

static void assert_same_counts(const struct tsn_engine_counts *a, const struct tsn_engine_counts *b)
{
    assert_int_equal(a->hits, b->hits);
    assert_int_equal(a->shadow_hits, b->shadow_hits);
    assert_int_equal(a->rule_missing, b->rule_missing);
    assert_int_equal(a->rule_errors, b->rule_errors);
    assert_int_equal(a->alerts, b->alerts);
    assert_int_equal(a->suppressed, b->suppressed);
}

static void no_batch_size_shows(void **state)
{
    (void)state;
    static struct world_row rows[ROWS];
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world *world = busy_world();
        rows_make(rows, ROWS, seed);
        world_start(world);
        world_feed(world, rows, ROWS, 1);
        const char *want = world_alerts(world, 0);
        struct tsn_engine_counts counts = world->counts;
        assert_true(counts.alerts > 50 && counts.suppressed > 50 && counts.shadow_hits > 10);
        static const uint32_t sizes[] = {2, 7, 64, 65, 1000, 4096};
        for (size_t s = 0; s < COUNT(sizes); s++) {
            world_start(world);
            tsn_score_want_columns(world->score, s % 2);
            world_feed(world, rows, ROWS, sizes[s]);
            assert_same_text(world_alerts(world, 0), want, "a batch size", seed);
            assert_same_counts(&world->counts, &counts);
        }
        world_free(world);
    }
}

/* Cuts all along, loads the store into an empty state now and then, goes on with that. */
static void no_checkpoint_shows(void **state)
{
    (void)state;
    static struct world_row rows[ROWS];
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world *world = busy_world();
        rows_make(rows, ROWS, seed);
        world_start(world);
        world_feed(world, rows, ROWS, 64);
        const char *want = world_alerts(world, 0);

        world_start(world);
        struct store store = {0};
        uint64_t random = seed;
        for (size_t i = 0; i < ROWS;) {
            size_t n = 1 + next_random(&random) % 200;
            n = n < ROWS - i ? n : ROWS - i;
            world_feed(world, rows + i, n, 64);
            i += n;
            tsn_score_cut(world->score, next_random(&random) % 8 == 0, store_put, &store);
            struct store whole = {0};
            tsn_score_cut(world->score, true, store_put, &whole);
            assert_true(store_same(&store, &whole));
            store_free(&whole);
            if (next_random(&random) % 3 == 0) {
                tsn_score_free(world->score);
                world->score = tsn_score_new(&world->prog, &world->settings);
                const char *why = NULL;
                if (!store_load(&store, world->score, &why)) {
                    fail_msg("%s", why);
                }
                tsn_score_cut(world->score, true, store_put, &whole);
                assert_true(store_same(&store, &whole));
                store_free(&whole);
            }
        }
        assert_same_text(world_alerts(world, 0), want, "checkpoints", seed);
        store_free(&store);
        world_free(world);
    }
}

/* Two worlds that see the same rows: what one gives in steps, while rows go on, is what
 * the other gave at once when the cut began. */
static void a_cut_taken_in_steps_is_the_state_of_its_beginning(void **state)
{
    (void)state;
    static struct world_row rows[ROWS];
    static char names[400][8];
    for (size_t i = 0; i < COUNT(names); i++) {
        snprintf(names[i], sizeof names[i], "E%zu", i);
    }
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world *world = busy_world();
        struct world *twin = busy_world();
        struct store store = {0};
        struct store expected = {0};
        uint64_t random = seed;
        uint32_t n_cuts = 0;
        bool cutting = false;
        rows_make(rows, ROWS, seed);
        for (size_t i = 0; i < ROWS; i++) { /* many: tables grow, and runs of places collide */
            rows[i].who = names[next_random(&random) % COUNT(names)];
        }
        world_start(world);
        world_start(twin);
        for (size_t i = 0; i < ROWS;) {
            size_t n = 1 + next_random(&random) % 20;
            n = n < ROWS - i ? n : ROWS - i;
            if (!cutting) {
                tsn_score_cut_begin(world->score, next_random(&random) % 2 == 0, store_put, &store);
                tsn_score_cut(twin->score, true, store_put, &expected);
                cutting = true;
            }
            world_feed(world, rows + i, n, 64);
            world_feed(twin, rows + i, n, 64);
            i += n;
            int64_t budget = (int64_t)(next_random(&random) % (seed % 2 ? 3000 : 20000));
            if (tsn_score_cut_step(world->score, &budget)) {
                assert_true(store_same(&store, &expected));
                store_free(&expected);
                cutting = false;
                n_cuts++;
            }
        }
        assert_true(n_cuts > 2);
        store_free(&store);
        store_free(&expected);
        world_free(world);
        world_free(twin);
    }
}

static void a_swap_to_an_equal_program_does_not_show(void **state)
{
    (void)state;
    static struct world_row rows[ROWS];
    rows_make(rows, ROWS, 9);
    struct world *world = busy_world();
    struct world *other = busy_world();
    world_start(other); /* freezes its expressions */
    world_start(world);
    world_feed(world, rows, ROWS, 64);
    const char *want = world_alerts(world, 0);
    world_start(world);
    for (size_t i = 0; i < ROWS; i += 100) {
        tsn_score_swap(world->score, i / 100 % 2 ? &other->prog : &world->prog);
        world_feed(world, rows + i, 100, 64);
    }
    tsn_score_swap(world->score, &world->prog);
    assert_same_text(world_alerts(world, 0), want, "swaps", 9);
    world_free(world);
    world_free(other);
}

static void every_damaged_record_is_refused_or_harmless(void **state)
{
    (void)state;
    static struct world_row rows[ROWS];
    rows_make(rows, ROWS, 3);
    struct world *world = busy_world();
    world_start(world);
    world_feed(world, rows, 400, 64);
    struct store store = {0};
    tsn_score_cut(world->score, true, store_put, &store);
    assert_true(store.n > 10);
    uint64_t random = 7;
    for (size_t i = 0; i < store.n; i++) {
        const struct stored *item = &store.items[i];
        for (size_t round = 0; round < item->len + 300; round++) {
            struct tsn_snapshot_record record = {.section = item->section, .len = item->len};
            memcpy(record.key, item->key, 16);
            bool is_cut = round < item->len;
            record.len = is_cut ? round : item->len;
            uint8_t *bytes = malloc(record.len ? record.len : 1);
            assert_non_null(bytes);
            memcpy(bytes, item->bytes, record.len);
            for (int flips = 0; !is_cut && flips < 3; flips++) {
                bytes[next_random(&random) % record.len] = (uint8_t)next_random(&random);
            }
            record.bytes = bytes;
            struct tsn_score *score = tsn_score_new(&world->prog, &world->settings);
            const char *why = NULL;
            bool ok = tsn_score_load(score, &record, &why);
            assert_true(ok || why);
            assert_false(ok && is_cut);
            struct store again = {0};
            tsn_score_cut(score, true, store_put, &again); /* what was taken can be given */
            store_free(&again);
            tsn_score_free(score);
            free(bytes);
        }
    }
    store_free(&store);
    world_free(world);
}

static void nothing_changed_is_nothing_cut(void **state)
{
    (void)state;
    static struct world_row rows[ROWS];
    rows_make(rows, ROWS, 3);
    struct world *world = busy_world();
    world_start(world);
    world_feed(world, rows, 400, 64);
    struct store store = {0};
    assert_true(tsn_score_cut(world->score, false, store_put, &store) > 0);
    assert_int_equal(tsn_score_cut(world->score, false, store_put, &store), 0);
    store_free(&store);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_batch_size_shows),
        cmocka_unit_test(no_checkpoint_shows),
        cmocka_unit_test(a_cut_taken_in_steps_is_the_state_of_its_beginning),
        cmocka_unit_test(a_swap_to_an_equal_program_does_not_show),
        cmocka_unit_test(every_damaged_record_is_refused_or_harmless),
        cmocka_unit_test(nothing_changed_is_nothing_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
