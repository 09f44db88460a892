/* The engine against docs/SEMANTICS.md as a brute-force program: random packs and
 * random streams, every feature, rule, score and alert of every row compared, in
 * batches of several sizes. TSN_SEEDS sets how many seeds, TSN_SEED runs one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/fixture/engine_text.h"
#include "tests/fixture/oracle.h"
#include "tests/fixture/random_case.h"

enum { ROWS = 300, SEEDS_DEFAULT = 2000 };

struct comparison {
    uint64_t seed;
    const struct tsn_program *prog;
    const struct tsn_batch *stream;
    const struct tsn_oracle *oracle;
    const tsn_event_ms *ticks;
    const char *pack;
    uint32_t batch_rows;
};

static void print_value(const char *who, const struct tsn_value *v)
{
    static const char *const states[] = {"value", "missing", "error"};
    print_error("  %s: %s", who, states[v->state]);
    if (v->state == TSN_STATE_VALUE) {
        switch (v->type.type) {
        case TSN_TYPE_BOOL:
            print_error(" %s", v->b ? "true" : "false");
            break;
        case TSN_TYPE_INT:
            print_error(" %lld", (long long)v->i);
            break;
        case TSN_TYPE_DOUBLE:
            print_error(" %.17g", v->d);
            break;
        case TSN_TYPE_STRING:
            print_error(" '%.*s'", (int)v->s.len, v->s.p);
            break;
        default:
            print_error(" %lld.%09d s", (long long)v->t.s, (int)v->t.ns);
            break;
        }
    }
    print_error("\n");
}

static bool values_equal(const struct tsn_value *a, const struct tsn_value *b)
{
    if (a->state != b->state) {
        return false;
    }
    if (a->state != TSN_STATE_VALUE) {
        return true;
    }
    if (a->type.type != b->type.type) {
        return false;
    }
    switch (a->type.type) {
    case TSN_TYPE_BOOL:
        return a->b == b->b;
    case TSN_TYPE_INT:
        return a->i == b->i;
    case TSN_TYPE_DOUBLE:
        return a->d == b->d;
    case TSN_TYPE_STRING:
        return a->s.len == b->s.len && memcmp(a->s.p, b->s.p, a->s.len) == 0;
    default:
        return a->t.s == b->t.s && a->t.ns == b->t.ns;
    }
}

static void differ(const struct comparison *c, uint32_t r, const char *what,
                   const struct tsn_value *engine, const struct tsn_value *oracle)
{
    print_error("seed %llu, batches of %u, row %u (%s): %s differs\n", (unsigned long long)c->seed,
                c->batch_rows, r, c->prog->types[c->stream->rows[r].type].name, what);
    print_value("engine", engine);
    print_value("oracle", oracle);
    fprintf(stderr, "the pack:\n%s\n", c->pack);
    fail();
}

static void compare_cell(const struct comparison *c, uint32_t r, const char *what,
                         const struct tsn_column *column, uint32_t at,
                         const struct tsn_value *oracle)
{
    struct tsn_value engine = {.state = TSN_STATE_MISSING};
    if (column) {
        tsn_column_value(column, at, &engine);
    }
    if (!values_equal(&engine, oracle)) {
        differ(c, r, what, &engine, oracle);
    }
}

static void compare_row(const struct comparison *c, const struct tsn_engine *eng,
                        const struct tsn_batch *batch, uint32_t in_batch, uint32_t r)
{
    const struct tsn_row *row = &batch->rows[in_batch];
    const struct tsn_event_type *type = &c->prog->types[row->type];
    if (tsn_engine_status(eng)[in_batch] != tsn_oracle_status(c->oracle, r)) {
        print_error("seed %llu row %u: status %d, oracle %d\n", (unsigned long long)c->seed, r,
                    tsn_engine_status(eng)[in_batch], tsn_oracle_status(c->oracle, r));
        fail();
    }
    if (tsn_oracle_status(c->oracle, r) == TSN_ROW_DUPLICATE) {
        return;
    }
    for (int s = 0; s < type->n_slots; s++) {
        compare_cell(c, r, type->slots[s].name, &tsn_engine_slots(eng, row->type)[s], row->at,
                     tsn_oracle_slot(c->oracle, r, s));
    }
    for (int i = 0; i < type->n_rules; i++) {
        compare_cell(c, r, c->prog->rules[type->rules[i]].id, tsn_engine_rule(eng, type->rules[i]),
                     row->at, tsn_oracle_rule(c->oracle, r, type->rules[i]));
    }
    for (int t = 0; t < c->prog->n_typologies; t++) {
        compare_cell(c, r, c->prog->typologies[t].id, tsn_engine_score(eng, t, row->type), row->at,
                     tsn_oracle_score(c->oracle, r, t));
    }
}

static void print_alert(const char *who, const struct tsn_oracle_alert *a)
{
    print_error("  %s: row %u typology %d level %d (before %d) score %g revision %u entity %.*s "
                "opened by %u sms '%.*s' shadow %d\n",
                who, a->row, a->typology, a->level, a->level_before, a->score, a->revision,
                (int)a->entity.len, a->entity.p, a->opened_by, (int)a->sms_to.len,
                a->sms_to.len ? a->sms_to.p : "", a->shadow);
}

static bool texts_equal(struct tsn_str a, struct tsn_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static void compare_alerts(const struct comparison *c, const struct tsn_output *out)
{
    size_t n;
    const struct tsn_oracle_alert *expected = tsn_oracle_alerts(c->oracle, &n);
    for (size_t i = 0; i < n || i < out->n_alerts; i++) {
        struct tsn_oracle_alert engine = {0};
        if (i < out->n_alerts) {
            const struct tsn_alert *a = &out->alerts[i];
            engine = (struct tsn_oracle_alert){
                .row = (uint32_t)a->event.position,
                .typology = a->typology,
                .level = a->level,
                .level_before = a->level_before,
                .score = a->score,
                .shadow = a->shadow,
                .revision = a->revision,
                .entity = a->entity,
                .opened_by = (uint32_t)a->opened_by.position,
                .sms_to = a->sms_to,
                .not_after_ms = a->not_after_ms,
            };
        }
        if (i < n && i < out->n_alerts) {
            const struct tsn_oracle_alert *o = &expected[i];
            if (engine.row == o->row && engine.typology == o->typology &&
                engine.level == o->level && engine.level_before == o->level_before &&
                engine.score == o->score && engine.shadow == o->shadow &&
                engine.revision == o->revision && texts_equal(engine.entity, o->entity) &&
                engine.opened_by == o->opened_by && texts_equal(engine.sms_to, o->sms_to) &&
                engine.not_after_ms == o->not_after_ms) {
                continue;
            }
        }
        print_error("seed %llu, batches of %u: alert %zu differs (engine has %u, oracle %zu)\n",
                    (unsigned long long)c->seed, c->batch_rows, i, out->n_alerts, n);
        if (i < out->n_alerts) {
            print_alert("engine", &engine);
        }
        if (i < n) {
            print_alert("oracle", &expected[i]);
        }
        fprintf(stderr, "the pack:\n%s\n", c->pack);
        fail();
    }
}

/* Where the batch that begins at a row ends: full, or before the next tick. */
static uint32_t batch_end(const struct comparison *c, uint32_t from)
{
    uint32_t to = from + 1;
    while (to < c->stream->n && to - from < c->batch_rows && c->ticks[to] == INT64_MIN) {
        to++;
    }
    return to;
}

/* What an engine must say whether or not it reads features that no rule needs. */
struct said {
    char *alerts;                    /* with evidence and reasons */
    struct tsn_engine_counts counts; /* entities: when what has expired is gone */
};

/* columns: of features, rules and scores are computed, and compared. */
static struct said run_engine(const struct comparison *c, bool columns)
{
    struct said said;
    size_t len;
    struct tsn_engine_settings settings = tsn_random_settings(c->seed);
    settings.batch_rows = 4096;
    struct tsn_engine *eng = tsn_engine_new(c->prog, &settings);
    tsn_engine_want_columns(eng, columns);
    struct tsn_batch *batch = tsn_batch_new(c->prog, (c->batch_rows + 63) / 64 * 64);
    struct tsn_output out;
    tsn_output_init(&out);
    for (uint32_t from = 0, to; from < c->stream->n; from = to) {
        if (c->ticks[from] != INT64_MIN) {
            tsn_engine_tick(eng, c->ticks[from], &out);
        }
        to = batch_end(c, from);
        tsn_batch_clear(batch);
        tsn_batch_append(batch, c->stream, from, to, true);
        tsn_engine_rows(eng, batch, &out);
        for (uint32_t r = from; columns && r < to; r++) {
            compare_row(c, eng, batch, r - from, r);
        }
    }
    if (c->ticks[c->stream->n] != INT64_MIN) {
        tsn_engine_tick(eng, c->ticks[c->stream->n], &out);
    }
    compare_alerts(c, &out);
    assert_int_equal(tsn_engine_counts(eng).sets_full, tsn_oracle_sets_full(c->oracle));
    FILE *text = open_memstream(&said.alerts, &len);
    assert_non_null(text);
    tsn_text_alerts(&out, text);
    fclose(text);
    tsn_engine_tidy(eng);
    said.counts = tsn_engine_counts(eng);
    tsn_output_free(&out);
    tsn_batch_free(batch);
    tsn_engine_free(eng);
    return said;
}

/* An engine that reads what rules need says the same as one that reads everything. */
static void compare_said(const struct comparison *c, const struct said *all,
                         const struct said *needed)
{
    const struct tsn_engine_counts *a = &all->counts;
    const struct tsn_engine_counts *n = &needed->counts;
    if (strcmp(all->alerts, needed->alerts) != 0) {
        fail_msg(
            "seed %llu, batches of %u: alerts\n%s\nwith what rules need, not\n%s\nthe pack:\n%s",
            (unsigned long long)c->seed, c->batch_rows, needed->alerts, all->alerts, c->pack);
    }
    if (n->hits != a->hits || n->shadow_hits != a->shadow_hits ||
        n->rule_missing != a->rule_missing || n->rule_errors != a->rule_errors ||
        n->alerts != a->alerts || n->entities != a->entities || n->entries != a->entries) {
        fail_msg(
            "seed %llu, batches of %u: with what rules need %llu hits, %llu missing, %llu "
            "errors, %llu entities, %llu rows; not %llu, %llu, %llu, %llu, %llu\nthe pack:\n%s",
            (unsigned long long)c->seed, c->batch_rows, (unsigned long long)n->hits,
            (unsigned long long)n->rule_missing, (unsigned long long)n->rule_errors,
            (unsigned long long)n->entities, (unsigned long long)n->entries,
            (unsigned long long)a->hits, (unsigned long long)a->rule_missing,
            (unsigned long long)a->rule_errors, (unsigned long long)a->entities,
            (unsigned long long)a->entries, c->pack);
    }
}

static void run_seed(uint64_t seed, size_t *n_alerts, size_t *n_timers)
{
    static const uint32_t sizes[] = {1, 7, 64, 4096};
    char *pack = tsn_random_pack(seed);
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct tsn_program *prog =
        tsn_pack_compile("random.yaml", pack, strlen(pack), NULL, NULL, &diags);
    if (!prog) {
        tsn_diags_print(&diags, stderr);
        fprintf(stderr, "seed %llu: the random pack was refused:\n%s\n", (unsigned long long)seed,
                pack);
        fail();
    }
    struct tsn_batch *stream = tsn_random_stream(seed, prog, ROWS);
    struct tsn_engine_settings settings = tsn_random_settings(seed);
    struct tsn_oracle *oracle = tsn_oracle_new(prog, &settings);
    tsn_event_ms *ticks = tsn_random_ticks(seed, stream);
    tsn_oracle_run(oracle, stream, ticks);
    size_t n;
    tsn_oracle_alerts(oracle, &n);
    *n_alerts += n;
    *n_timers += tsn_oracle_timers_fired(oracle);
    uint64_t entities = 0;
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        struct comparison c = {
            .seed = seed,
            .prog = prog,
            .stream = stream,
            .oracle = oracle,
            .ticks = ticks,
            .pack = pack,
            .batch_rows = sizes[s],
        };
        struct said all = run_engine(&c, true);
        struct said needed = run_engine(&c, false);
        compare_said(&c, &all, &needed);
        uint64_t left = all.counts.entities;
        free(all.alerts);
        free(needed.alerts);
        if (s > 0 && left != entities) {
            fail_msg("seed %llu: batches of %u leave %llu entities, batches of 1 %llu",
                     (unsigned long long)seed, sizes[s], (unsigned long long)left,
                     (unsigned long long)entities);
        }
        entities = left;
    }
    tsn_oracle_free(oracle);
    tsn_batch_free(stream);
    tsn_program_free(prog);
    tsn_diags_free(&diags);
    free(ticks);
    free(pack);
}

static void every_feature_rule_score_and_alert_equals_the_brute_force_model(void **state)
{
    (void)state;
    const char *one = getenv("TSN_SEED");
    size_t n_alerts = 0;
    size_t n_timers = 0;
    if (one) {
        run_seed(strtoull(one, NULL, 10), &n_alerts, &n_timers);
        return;
    }
    const char *many = getenv("TSN_SEEDS");
    uint64_t n_seeds = many ? strtoull(many, NULL, 10) : SEEDS_DEFAULT;
    for (uint64_t seed = 1; seed <= n_seeds; seed++) {
        run_seed(seed, &n_alerts, &n_timers);
    }
    print_message("%llu seeds of %d rows in 4 batch sizes, %zu alerts, %zu timers fired: equal\n",
                  (unsigned long long)n_seeds, ROWS, n_alerts, n_timers);
    assert_true(n_alerts > n_seeds && n_timers > n_seeds); /* the cases are not idle */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_feature_rule_score_and_alert_equals_the_brute_force_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
