/* Batches: rows of other batches, referred to and settled, against copying them cell
 * by cell as they are drawn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "engine/event/batch.h"
#include "tests/fixture/program_build.h"

enum { SOURCES = 5, ROWS = 192, REPS = 8 };

static uint64_t dice_state;

static uint32_t dice(uint32_t n)
{
    dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(dice_state >> 33) % n;
}

/* Two event types: one with a field of every representation, one with a single text. */
static struct tsn_program *program(void)
{
    static const enum tsn_rep reps[REPS] = {
        TSN_REP_BOOL,    TSN_REP_INT,         TSN_REP_DOUBLE, TSN_REP_STRING,
        TSN_REP_TIME_MS, TSN_REP_DURATION_MS, TSN_REP_MONEY,  TSN_REP_ENUM,
    };
    struct tsn_build *build = tsn_build_new();
    int all = tsn_build_type(build, "all");
    int other = tsn_build_type(build, "other");
    for (int i = 0; i < REPS; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%d", i);
        tsn_build_field(build, all, name, reps[i], false, NULL,
                        reps[i] == TSN_REP_ENUM ? "one two three" : NULL);
    }
    tsn_build_field(build, other, "text", TSN_REP_STRING, false, NULL, NULL);
    return tsn_build_finish(build);
}

static void cell_draw(struct tsn_batch *batch, struct tsn_column *column, uint32_t at)
{
    char text[32];
    int len = snprintf(text, sizeof text, "text %u", (unsigned)dice(100000));
    tsn_bits_set(column->valid, at);
    switch (column->rep) {
    case TSN_REP_BOOL:
        if (dice(2)) {
            tsn_bits_set(column->bits, at);
        }
        break;
    case TSN_REP_STRING:
        column->str[at] = (struct tsn_str){tsn_arena_strdup(&batch->text, text, (size_t)len),
                                           (uint32_t)(dice(8) ? len : 0)};
        break;
    case TSN_REP_ENUM:
        column->code[at] = (uint16_t)dice(3);
        break;
    case TSN_REP_DOUBLE:
        column->f64[at] = dice(1000) / 7.0;
        break;
    default:
        column->i64[at] = (int64_t)dice(1u << 30) << 30;
    }
}

static void fill(struct tsn_batch *batch, uint16_t source)
{
    uint32_t n = 1 + dice(batch->cap);
    for (uint32_t r = 0; r < n; r++) {
        uint16_t type = (uint16_t)(dice(4) == 0);
        uint32_t at = tsn_batch_add(batch, type, dice(1000000), source, r);
        for (int f = 1; f < batch->prog->types[type].n_fields; f++) {
            if (dice(3)) {
                cell_draw(batch, &batch->types[type].fields[f], at);
            }
        }
    }
}

static void assert_same_cell(const struct tsn_column *a, uint32_t a_at, const struct tsn_column *b,
                             uint32_t b_at)
{
    bool valid = tsn_bits_get(a->valid, a_at);
    assert_int_equal(valid, tsn_bits_get(b->valid, b_at));
    if (!valid) {
        if (a->rep == TSN_REP_BOOL) {
            assert_false(tsn_bits_get(a->bits, a_at));
        }
        return;
    }
    switch (a->rep) {
    case TSN_REP_BOOL:
        assert_int_equal(tsn_bits_get(a->bits, a_at), tsn_bits_get(b->bits, b_at));
        break;
    case TSN_REP_STRING:
        assert_int_equal(a->str[a_at].len, b->str[b_at].len);
        if (a->str[a_at].len) {
            assert_memory_equal(a->str[a_at].p, b->str[b_at].p, a->str[a_at].len);
        }
        break;
    case TSN_REP_ENUM:
        assert_int_equal(a->code[a_at], b->code[b_at]);
        break;
    default:
        assert_int_equal(a->i64[a_at], b->i64[b_at]); /* doubles by their bits */
    }
}

static void assert_same_row(const struct tsn_batch *a, uint32_t a_row, const struct tsn_batch *b,
                            uint32_t b_row)
{
    const struct tsn_row *x = &a->rows[a_row], *y = &b->rows[b_row];
    assert_int_equal(x->type, y->type);
    assert_int_equal(x->time_ms, y->time_ms);
    assert_int_equal(x->source, y->source);
    assert_int_equal(x->position, y->position);
    assert_int_equal(a->types[x->type].row[x->at], a_row);
    for (int f = 0; f < a->prog->types[x->type].n_fields; f++) {
        assert_same_cell(&a->types[x->type].fields[f], x->at, &b->types[y->type].fields[f], y->at);
    }
}

/* Bits beyond the last row are zero: what columns promise, and clearing relies on. */
static void assert_tail_is_clear(const struct tsn_batch *batch)
{
    for (int t = 0; t < batch->prog->n_types; t++) {
        const struct tsn_type_rows *of = &batch->types[t];
        for (int f = 0; of->fields && f < batch->prog->types[t].n_fields; f++) {
            for (uint32_t i = of->n; i < batch->cap; i++) {
                assert_false(tsn_bits_get(of->fields[f].valid, i));
            }
        }
    }
}

struct world {
    struct tsn_program *prog;
    struct tsn_batch *src[SOURCES];
    struct tsn_batch *into;
};

static void world_open(struct world *w, uint64_t seed)
{
    dice_state = seed;
    w->prog = program();
    w->into = tsn_batch_new(w->prog, ROWS);
    for (int s = 0; s < SOURCES; s++) {
        w->src[s] = tsn_batch_new(w->prog, ROWS);
    }
}

static void world_close(struct world *w)
{
    for (int s = 0; s < SOURCES; s++) {
        tsn_batch_free(w->src[s]);
    }
    tsn_batch_free(w->into);
    tsn_build_free(w->prog);
}

static void runs_of_many_batches_are_what_they_refer_to(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct world w;
        world_open(&w, seed);
        for (int round = 0; round < 4; round++) { /* the same batches, cleared */
            uint32_t taken[SOURCES] = {0}, of[ROWS], row[ROWS];
            tsn_batch_clear(w.into);
            for (int s = 0; s < SOURCES; s++) {
                tsn_batch_clear(w.src[s]);
                fill(w.src[s], (uint16_t)s);
            }
            for (int i = 0; i < 60; i++) {
                uint32_t s = dice(SOURCES), left = w.src[s]->n - taken[s];
                uint32_t n = dice(left < 9 ? left + 1 : 9), room = ROWS - w.into->n;
                n = n < room ? n : room;
                for (uint32_t k = 0; k < n; k++) {
                    of[w.into->n + k] = s;
                    row[w.into->n + k] = taken[s] + k;
                }
                tsn_batch_refer(w.into, w.src[s], taken[s], taken[s] + n);
                taken[s] += n;
                if (dice(10) == 0) { /* settling early, or twice, changes nothing */
                    tsn_batch_settle(w.into);
                }
            }
            tsn_batch_settle(w.into);
            for (uint32_t r = 0; r < w.into->n; r++) {
                assert_same_row(w.into, r, w.src[of[r]], row[r]);
            }
            assert_tail_is_clear(w.into);
        }
        world_close(&w);
    }
}

static void appended_text_outlives_its_batch_when_copied(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, 7);
    fill(w.src[0], 0);
    tsn_batch_append(w.into, w.src[0], 0, w.src[0]->n, false);
    struct tsn_batch *kept = tsn_batch_new(w.prog, ROWS);
    tsn_batch_append(kept, w.src[0], 0, w.src[0]->n, true);
    for (uint32_t r = 0; r < kept->n; r++) {
        const struct tsn_row *at = &kept->rows[r];
        assert_same_row(kept, r, w.into, r);
        if (at->type == 1 && tsn_bits_get(kept->types[1].fields[1].valid, at->at)) {
            const char *borrowed = w.into->types[1].fields[1].str[at->at].p;
            assert_ptr_equal(borrowed, w.src[0]->types[1].fields[1].str[at->at].p);
            assert_ptr_not_equal(borrowed, kept->types[1].fields[1].str[at->at].p);
        }
    }
    tsn_batch_free(kept);
    world_close(&w);
}

static void the_last_row_can_be_taken_back_and_its_place_used_again(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, 3);
    fill(w.src[0], 0);
    fill(w.src[1], 1);
    tsn_batch_append(w.into, w.src[0], 0, 1, false);
    for (uint32_t r = 0; r < w.src[1]->n && w.into->n < ROWS; r++) {
        tsn_batch_append(w.into, w.src[0], 0, 1, false);
        tsn_batch_drop_last(w.into);
        tsn_batch_append(w.into, w.src[1], r, r + 1, false);
        assert_same_row(w.into, r + 1, w.src[1], r);
    }
    assert_tail_is_clear(w.into);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_of_many_batches_are_what_they_refer_to),
        cmocka_unit_test(appended_text_outlives_its_batch_when_copied),
        cmocka_unit_test(the_last_row_can_be_taken_back_and_its_place_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
