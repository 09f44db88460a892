/* Feed: what comes out of it is a function of what was fetched, whichever thread decoded
 * it. Partitions are made up (feed_reader.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/run/feed.h"
#include "rules/must/must.h"
#include "rules/pack/pack.h"
#include "tests/unit/connectors/run/feed_reader.h"

/* SHORT: fewer than the feed fetches at once, so that no chunk is ever full. */
enum { LANES = 7, RECORDS = 10000, BATCH_ROWS = 4096, SHORT = 50, CHUNK_ROWS = 2048 };

static const char pack[] = "format: 1\n"
                           "pack: t\n"
                           "version: 1\n"
                           "owner: tests\n"
                           "events:\n"
                           "  e:\n"
                           "    id: id\n"
                           "    fields:\n"
                           "      id: { type: string, required: true }\n"
                           "      i: { type: int, required: true }\n";

static const char conf[] = "pack: p\n"
                           "sources:\n"
                           "  s:\n"
                           "    event: e\n"
                           "    fields:\n"
                           "      time: { from: /t, format: epoch_ms }\n"
                           "      id: /id\n"
                           "      i: /i\n";

enum { FIELD_ID = 1, FIELD_I = 2 }; /* 0 is the time */

struct world {
    struct tsn_diags diags;
    struct tsn_program *prog;
    struct tsn_config *config;
    struct tsn_feed *feed;
    struct tsn_batch *batch;
    struct tsn_failure failure;
    int64_t next[LANES]; /* the offset that must come next */
    uint64_t n_rows, n_rejected;
    uint64_t order; /* a hash of lanes and offsets as they came */
};

/* Where a lane is read from. */
static int64_t first_of(size_t lane)
{
    return (int64_t)lane * 10;
}

static void world_begin(struct world *world, size_t n_lanes)
{
    *world = (struct world){0};
    tsn_diags_init(&world->diags);
    world->prog = tsn_pack_compile("p", pack, strlen(pack), NULL, NULL, &world->diags);
    world->config = tsn_config_parse("c.yaml", conf, strlen(conf), &world->diags);
    if (!world->prog || !world->config) {
        tsn_diags_print(&world->diags, stderr);
        fail();
    }
    static struct tsn_origin origins[LANES];
    for (size_t i = 0; i < n_lanes; i++) {
        origins[i] = (struct tsn_origin){"s", (int32_t)i};
        world->next[i] = first_of(i);
    }
    world->feed =
        tsn_feed_open(world->config, world->prog, origins, world->next, n_lanes, &world->failure);
    assert_non_null(world->feed);
    world->batch = tsn_batch_new(world->prog, BATCH_ROWS);
}

static void world_end(struct world *world)
{
    tsn_batch_free(world->batch);
    tsn_feed_close(world->feed);
    assert_int_equal(atomic_load(&made.n_out), 0);
    tsn_config_free(world->config);
    tsn_program_free(world->prog);
    tsn_diags_free(&world->diags);
}

static bool is_text(const void *bytes, size_t len, const char *text, size_t text_len)
{
    return len == text_len && memcmp(bytes, text, len) == 0;
}

static void on_rejected(void *user, const struct tsn_rejected *rejected)
{
    struct world *world = user;
    const struct tsn_record *record = &rejected->record;
    char text[MADE_TEXT];
    assert_true(made_is_bad(record->position));
    assert_int_equal(rejected->reject.reason, TSN_REJECT_MALFORMED);
    size_t len = made_value(record->source, record->position, text);
    assert_true(is_text(record->bytes, record->len, text, len));
    len = made_key(record->source, record->position, text);
    assert_true(is_text(rejected->key, rejected->key_len, text, len));
    assert_int_equal(rejected->n_headers, 1);
    assert_string_equal(rejected->headers[0].name, "key");
    assert_true(is_text(rejected->headers[0].value, rejected->headers[0].len, text, len));
    world->n_rejected++;
}

/* Rows of a lane come in the order of offsets, all of them, with their own cells. */
static void look_at_rows(struct world *world)
{
    tsn_batch_settle(world->batch);
    const struct tsn_column *fields = world->batch->types[0].fields;
    for (uint32_t r = 0; r < world->batch->n; r++) {
        const struct tsn_row *row = &world->batch->rows[r];
        int64_t *next = &world->next[row->source];
        *next += made_is_bad(*next);
        assert_int_equal(row->position, *next);
        (*next)++;
        assert_int_equal(row->time_ms, made_time_ms(row->source, row->position));
        assert_int_equal(fields[FIELD_I].i64[row->at], row->position);
        char id[MADE_TEXT];
        int len = snprintf(id, sizeof id, "%u-%lld", row->source, (long long)row->position);
        struct tsn_str found = fields[FIELD_ID].str[row->at];
        assert_true(is_text(found.p, found.len, id, (size_t)len));
        world->order = (world->order ^ (uint64_t)row->source) * 1099511628211u;
        world->order = (world->order ^ (uint64_t)row->position) * 1099511628211u;
    }
    world->n_rows += world->batch->n;
    tsn_batch_clear(world->batch);
    tsn_feed_recycle(world->feed);
}

/* As the live loop does: takes a batch. False: nothing more may be taken. */
static bool take_batch(struct world *world, bool *ok)
{
    *ok = tsn_feed_fill(world->feed, 0, &world->failure);
    while (*ok && world->batch->n < world->batch->cap) {
        struct tsn_merge_choice choice = tsn_merge_choose(tsn_feed_merge(world->feed), 0, 0);
        if (choice.verdict != TSN_MERGE_RUN) {
            assert_int_equal(choice.verdict, TSN_MERGE_IDLE); /* no lane is ever dry */
            return false;
        }
        tsn_feed_take(world->feed, choice.lane, choice.until_ms, INT64_MAX, world->batch,
                      on_rejected, world);
        *ok = tsn_feed_fill_lane(world->feed, choice.lane, 0, &world->failure);
    }
    return *ok;
}

static uint64_t order_of_all(size_t most)
{
    struct world world;
    bool ok;
    made_begin(RECORDS);
    made.most = most;
    world_begin(&world, LANES);
    while (take_batch(&world, &ok)) {
        look_at_rows(&world);
    }
    assert_true(ok);
    look_at_rows(&world);
    uint64_t n = 0, n_bad = 0;
    for (size_t i = 0; i < LANES; i++) {
        assert_int_equal(tsn_feed_position(world.feed, i), RECORDS);
        for (int64_t offset = first_of(i); offset < RECORDS; offset++) {
            n++;
            n_bad += made_is_bad(offset);
        }
    }
    assert_int_equal(world.n_rejected, n_bad);
    assert_int_equal(world.n_rows, n - n_bad);
    assert_int_equal(tsn_feed_lag(world.feed), 0);
    world_end(&world);
    made_end();
    return world.order;
}

/* A partition that is not behind never needs the thread. */
static void the_order_is_the_same_whoever_decodes(void **state)
{
    (void)state;
    uint64_t on_the_loop = order_of_all(SHORT);
    assert_int_equal(atomic_load(&made.n_other_thread), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(order_of_all(0), on_the_loop);
        print_message("%ld fetches by the thread\n", atomic_load(&made.n_other_thread));
    }
}

static enum tsn_lane_state state_of(const struct world *world, size_t lane)
{
    return tsn_merge_lanes(tsn_feed_merge(world->feed))[lane].state;
}

/* The broker said of the end only that it stood where the first chunk ends. */
static void a_lane_is_not_at_its_end_while_its_next_chunk_is_in_the_works(void **state)
{
    (void)state;
    struct world world;
    made_begin(CHUNK_ROWS + 100);
    made.gated = true;
    made.known_end[0] = CHUNK_ROWS;
    world_begin(&world, 1);
    assert_true(tsn_feed_fill(world.feed, 0, &world.failure));
    sem_wait(&made.in); /* the thread fetches */
    int64_t position =
        tsn_feed_take(world.feed, 0, INT64_MAX, INT64_MAX, world.batch, on_rejected, &world);
    enum tsn_lane_state state_meanwhile = state_of(&world, 0);
    struct tsn_merge_choice choice = tsn_merge_choose(tsn_feed_merge(world.feed), 0, 0);
    sem_post(&made.on); /* before anything fails: a thread that hangs would hang the test */
    assert_int_equal(position, CHUNK_ROWS);
    assert_int_equal(state_meanwhile, TSN_LANE_BEHIND);
    assert_int_equal(choice.verdict, TSN_MERGE_WAIT);
    assert_true(tsn_feed_fill(world.feed, 0, &world.failure));
    assert_int_equal(state_of(&world, 0), TSN_LANE_READY);
    assert_int_equal(
        tsn_feed_take(world.feed, 0, INT64_MAX, INT64_MAX, world.batch, on_rejected, &world),
        CHUNK_ROWS + 100);
    look_at_rows(&world);
    world_end(&world);
    made_end();
}

/* The thread looked, and then more came. */
static void a_lane_whose_next_chunk_came_out_empty_is_fetched_again(void **state)
{
    (void)state;
    struct world world;
    made_begin(CHUNK_ROWS);
    made.gated = true;
    world_begin(&world, 1);
    assert_true(tsn_feed_fill(world.feed, 0, &world.failure));
    sem_wait(&made.in);
    tsn_feed_take(world.feed, 0, INT64_MAX, INT64_MAX, world.batch, on_rejected, &world);
    sem_post(&made.on);
    sem_wait(&made.out);
    made.n_records = made.known_end[0] = CHUNK_ROWS + 100;
    assert_true(tsn_feed_fill(world.feed, 0, &world.failure));
    assert_int_equal(state_of(&world, 0), TSN_LANE_READY);
    tsn_feed_take(world.feed, 0, INT64_MAX, INT64_MAX, world.batch, on_rejected, &world);
    look_at_rows(&world);
    assert_int_equal(tsn_feed_position(world.feed, 0), CHUNK_ROWS + 100);
    assert_int_equal(state_of(&world, 0), TSN_LANE_AT_END);
    world_end(&world);
    made_end();
}

static void a_failure_ahead_is_told_after_all_that_came_before_it(void **state)
{
    (void)state;
    struct world world;
    bool ok;
    made_begin(RECORDS);
    made.fails_at = 2 * CHUNK_ROWS + 700;
    world_begin(&world, 2);
    while (take_batch(&world, &ok)) {
        look_at_rows(&world);
    }
    assert_false(ok);
    assert_int_equal(world.failure.remedy, TSN_REMEDY_CONFIG);
    assert_string_equal(world.failure.text, "made to fail");
    look_at_rows(&world);
    assert_int_equal(tsn_feed_position(world.feed, 0), 2 * CHUNK_ROWS);
    world_end(&world);
    made_end();
}

/* Whatever the thread is at; nothing that was fetched is lost or given back twice. */
static void a_feed_can_be_closed_at_any_time(void **state)
{
    (void)state;
    for (int n_batches = 0; n_batches < 12; n_batches++) {
        struct world world;
        bool ok;
        made_begin(RECORDS);
        world_begin(&world, LANES);
        for (int i = 0; i < n_batches && take_batch(&world, &ok); i++) {
            look_at_rows(&world);
        }
        world_end(&world);
        made_end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_is_the_same_whoever_decodes),
        cmocka_unit_test(a_lane_is_not_at_its_end_while_its_next_chunk_is_in_the_works),
        cmocka_unit_test(a_lane_whose_next_chunk_came_out_empty_is_fetched_again),
        cmocka_unit_test(a_failure_ahead_is_told_after_all_that_came_before_it),
        cmocka_unit_test(a_feed_can_be_closed_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
