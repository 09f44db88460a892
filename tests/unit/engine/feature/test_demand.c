/* Features that are read only where a rule may still fire: an engine that reads them so says
 * what one that reads everything says, in batches of any size. Every way in which something
 * looks at a feature has a pack of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/pack/pack.h"
#include "tests/fixture/engine_text.h"
#include "tests/fixture/random_case.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* ---- packs -------------------------------------------------------------------------- */

enum { PAY, CALL };
enum { F_TIME, F_ID, F_A, F_B, F_N, F_ABROAD, F_RARE };

#define FIELDS                                                                                     \
    "    id: id\n"                                                                                 \
    "    fields:\n"                                                                                \
    "      id: { type: string }\n"                                                                 \
    "      a: { type: string, entity: line }\n"                                                    \
    "      b: { type: string, entity: line }\n"                                                    \
    "      n: { type: int }\n"                                                                     \
    "      abroad: { type: bool }\n"                                                               \
    "      rare: { type: bool }\n"

#define HEAD "format: 1\npack: demand\nversion: 1\nevents:\n  pay:\n" FIELDS "  call:\n" FIELDS

/* A case that ends soon, so that alerts hold few hits, and says something of every hit. */
#define CASE(name, scored)                                                                         \
    "  - id: " name "\n"                                                                           \
    "    title: demand\n"                                                                          \
    "    entity: { pay: a, call: a }\n"                                                            \
    "    sum_over: 20s\n"                                                                          \
    "    " scored "\n"                                                                             \
    "    thresholds: { minor: 1 }\n"

#define WEIGHTS(rules)                                                                             \
    "typologies:\n" CASE("t", "weights: { " rules                                                  \
                              " }") "    repeat: sum\n"                                            \
                                    "    actions: { minor: { queue: desk, cooldown: 1s } }\n"

static struct tsn_program *compile(const char *pack)
{
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct tsn_program *prog =
        tsn_pack_compile("pack.yaml", pack, strlen(pack), NULL, NULL, &diags);
    if (!prog) {
        tsn_diags_print(&diags, stderr);
        fail_msg("refused:\n%s", pack);
    }
    tsn_diags_free(&diags);
    return prog;
}

/* ---- streams ------------------------------------------------------------------------ */

struct flow {
    uint32_t n_rows;
    uint32_t n_keys;
    uint32_t gap_s;      /* on average between rows */
    uint32_t rare_every; /* rows; 0: 100 */
    bool messy;          /* late, too late and repeated rows */
};

static const struct flow usual = {.n_rows = 1500, .n_keys = 12, .gap_s = 5};

static void text_set(struct tsn_batch *batch, struct tsn_column *column, uint32_t at,
                     const char *text)
{
    size_t len = strlen(text);
    column->str[at] = (struct tsn_str){tsn_arena_strdup(&batch->text, text, len), (uint32_t)len};
    tsn_bits_set(column->valid, at);
}

static void bool_set(struct tsn_column *column, uint32_t at, bool value)
{
    tsn_bits_set(column->valid, at);
    if (value) {
        tsn_bits_set(column->bits, at);
    }
}

static void key_set(struct tsn_random *random, struct tsn_batch *batch, struct tsn_column *column,
                    uint32_t at, uint32_t n_keys)
{
    char text[24];
    snprintf(text, sizeof text, "+8613900%05u", (unsigned)tsn_random_below(random, n_keys));
    text_set(batch, column, at, text);
}

static tsn_event_ms time_next(struct tsn_random *random, const struct flow *flow,
                              tsn_event_ms *newest_ms)
{
    if (flow->messy && tsn_random_one_in(random, 8)) {
        return *newest_ms - (int64_t)tsn_random_below(random, 700) * 1000;
    }
    *newest_ms += (int64_t)tsn_random_below(random, 2 * flow->gap_s + 1) * 1000;
    return *newest_ms;
}

static struct tsn_batch *stream_new(const struct tsn_program *prog, const struct flow *flow)
{
    struct tsn_random random = {.state = 77};
    struct tsn_batch *batch = tsn_batch_new(prog, (flow->n_rows + 63) / 64 * 64);
    tsn_event_ms newest_ms = INT64_C(1767225600000);
    for (uint32_t r = 0; r < flow->n_rows; r++) {
        uint16_t type = tsn_random_one_in(&random, 4) ? CALL : PAY;
        uint32_t at = tsn_batch_add(batch, type, time_next(&random, flow, &newest_ms), 0, r);
        struct tsn_column *fields = batch->types[type].fields;
        char id[16];
        bool again = flow->messy && tsn_random_one_in(&random, 20);
        snprintf(id, sizeof id, "n%u", (unsigned)(again ? r - tsn_random_below(&random, 9) : r));
        text_set(batch, &fields[F_ID], at, id);
        if (!tsn_random_one_in(&random, 25)) {
            key_set(&random, batch, &fields[F_A], at, flow->n_keys);
        }
        key_set(&random, batch, &fields[F_B], at, 3 * flow->n_keys);
        if (!tsn_random_one_in(&random, 12)) {
            fields[F_N].i64[at] = tsn_random_below(&random, 9);
            tsn_bits_set(fields[F_N].valid, at);
        }
        if (!tsn_random_one_in(&random, 30)) {
            bool_set(&fields[F_ABROAD], at, tsn_random_one_in(&random, 6));
        }
        uint32_t every = flow->rare_every ? flow->rare_every : 100;
        bool_set(&fields[F_RARE], at, r % every == every - 1);
    }
    return batch;
}

/* ---- two engines -------------------------------------------------------------------- */

struct said {
    char *text;
    struct tsn_engine_counts counts;
};

static void said_print(const struct tsn_output *output, FILE *out)
{
    tsn_text_alerts(output, out);
    for (uint32_t a = 0; a < output->n_alerts; a++) {
        const struct tsn_alert *alert = &output->alerts[a];
        for (uint32_t p = 0; p < alert->n_params; p++) {
            const struct tsn_alert_param *param = &alert->params[p];
            fprintf(out, "%u %s %.*s\n", a, param->name, (int)param->value.len, param->value.p);
        }
    }
}

static void rows_run(struct tsn_engine *eng, const struct tsn_batch *stream, uint32_t from,
                     uint32_t to, uint32_t batch_rows, struct tsn_output *output)
{
    struct tsn_batch *batch = tsn_batch_new(stream->prog, (batch_rows + 63) / 64 * 64);
    for (uint32_t end; from < to; from = end) {
        end = to - from < batch_rows ? to : from + batch_rows;
        tsn_batch_clear(batch);
        tsn_batch_append(batch, stream, from, end, true);
        tsn_engine_rows(eng, batch, output);
    }
    tsn_batch_free(batch);
}

static struct tsn_engine *engine_new(const struct tsn_program *prog, bool columns)
{
    struct tsn_engine_settings settings = tsn_engine_defaults();
    settings.lateness_ms = 600000;
    struct tsn_engine *eng = tsn_engine_new(prog, &settings);
    tsn_engine_want_columns(eng, columns);
    return eng;
}

/* Each program has its share of the rows; streams[p] is of program p. */
static struct said run(struct tsn_batch *const *streams, uint32_t n_progs, uint32_t batch_rows,
                       bool columns)
{
    struct said said;
    struct tsn_output output;
    size_t len;
    tsn_output_init(&output);
    struct tsn_engine *eng = engine_new(streams[0]->prog, columns);
    for (uint32_t p = 0; p < n_progs; p++) {
        uint32_t n = streams[p]->n;
        if (p > 0) {
            tsn_engine_swap(eng, streams[p]->prog);
        }
        rows_run(eng, streams[p], p * n / n_progs, (p + 1) * n / n_progs, batch_rows, &output);
    }
    FILE *out = open_memstream(&said.text, &len);
    assert_non_null(out);
    said_print(&output, out);
    fclose(out);
    said.counts = tsn_engine_counts(eng);
    tsn_output_free(&output);
    tsn_engine_free(eng);
    return said;
}

static void texts_compare(const char *all, const char *needed, uint32_t batch_rows)
{
    size_t at = 0;
    while (all[at] && all[at] == needed[at]) {
        at++;
    }
    if (all[at] || needed[at]) {
        size_t from = at;
        while (from > 0 && all[from - 1] != '\n') {
            from--;
        }
        fail_msg("batches of %u, with what rules need:\n%.600s\nnot\n%.600s", batch_rows,
                 needed + from, all + from);
    }
}

static void compare(const struct said *all, const struct said *needed, uint32_t batch_rows)
{
    const struct tsn_engine_counts *a = &all->counts;
    const struct tsn_engine_counts *n = &needed->counts;
    texts_compare(all->text, needed->text, batch_rows);
    assert_int_equal(n->hits, a->hits);
    assert_int_equal(n->shadow_hits, a->shadow_hits);
    assert_int_equal(n->rule_missing, a->rule_missing);
    assert_int_equal(n->rule_errors, a->rule_errors);
    assert_int_equal(n->alerts, a->alerts);
    assert_int_equal(n->shadow_alerts, a->shadow_alerts);
    assert_int_equal(n->accepted, a->accepted);
    assert_int_equal(n->coalesced, a->coalesced);
    assert_int_equal(n->sets_full, a->sets_full);
}

static struct tsn_engine_counts streams_said(struct tsn_batch *const *streams, uint32_t n_progs)
{
    static const uint32_t sizes[] = {1, 64, 4096};
    struct said all = run(streams, n_progs, 64, true);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct said needed = run(streams, n_progs, sizes[i], false);
        compare(&all, &needed, sizes[i]);
        free(needed.text);
    }
    assert_string_not_equal(all.text, "");
    free(all.text);
    return all.counts;
}

/* Both engines say the same, and something. Gives what they counted. */
static struct tsn_engine_counts same_of(const char *const *packs, uint32_t n_packs,
                                        const struct flow *flow)
{
    struct tsn_program *progs[4];
    struct tsn_batch *streams[4];
    assert_true(n_packs <= COUNT(progs));
    for (uint32_t p = 0; p < n_packs; p++) {
        progs[p] = compile(packs[p]);
        streams[p] = stream_new(progs[p], flow);
    }
    struct tsn_engine_counts counts = streams_said(streams, n_packs);
    for (uint32_t p = 0; p < n_packs; p++) {
        tsn_batch_free(streams[p]);
        tsn_program_free(progs[p]);
    }
    return counts;
}

static struct tsn_engine_counts same(const char *pack, const struct flow *flow)
{
    return same_of(&pack, 1, flow);
}

/* ---- what looks at features --------------------------------------------------------- */

#define SPENT "  - { name: spent, event: pay, aggregate: sum(n), by: a, window: 5m }\n"
#define PAID "  - { name: paid, event: pay, aggregate: count, by: a, window: 5m }\n"
#define WHOM "  - { name: whom, event: pay, aggregate: distinct(b), by: a, window: 10m }\n"
#define MOST "  - { name: most, event: pay, aggregate: max(n), by: a, window: 10m }\n"
#define MET "  - { name: met, event: pay, aggregate: set(b), by: a, window: 5m }\n"

static void a_feature_that_only_a_reason_shows(void **state)
{
    (void)state;
    struct tsn_engine_counts counts = same(
        HEAD "features:\n" SPENT WHOM PAID "rules:\n"
             "  - { id: r, event: pay, when: 'pay.abroad && pay.n > 3',\n"
             "      reason: '${f.spent} spent on ${f.whom}' }\n"
             "  - { id: q, event: pay, when: 'f.paid >= 9', reason: 'spent ${f.spent}' }\n" WEIGHTS(
                 "r: 1, q: 1"),
        &usual);
    assert_true(counts.hits > 50);
}

static void a_feature_that_only_an_exception_reads(void **state)
{
    (void)state;
    struct tsn_engine_counts counts =
        same(HEAD "features:\n" SPENT WHOM "rules:\n"
                  "  - id: r\n    event: pay\n    when: 'pay.abroad'\n    reason: abroad\n"
                  "    exceptions:\n"
                  "      - { name: few, until: 2027-01-01, when: 'f.spent < 20' }\n"
                  "      - { name: odd, until: 2027-01-01, when: 'f.whom == 7' }\n" WEIGHTS("r: 1"),
             &usual);
    assert_in_range(counts.hits, 20, 150);
}

static void a_feature_that_calls_a_timer_off(void **state)
{
    (void)state;
    struct tsn_engine_counts counts = same(
        HEAD "features:\n" SPENT
             "  - { name: called, event: call, aggregate: count, by: a, window: 10m }\n"
             "rules:\n"
             "  - { id: r, event: pay, when: 'pay.abroad', after: 2m, by: a, reason: '${f.spent} "
             "spent',\n"
             "      unless: { event: call, by: a, when: 'f.called >= 3' } }\n"
             "  - { id: q, event: pay, when: 'pay.rare', after: 1m, by: a, reason: 'and no more',\n"
             "      unless: { when: '!pay.rare && f.spent > 10' } }\n"
             "  - { id: p, event: call, when: 'call.rare && call.n > 9', reason: never }\n" WEIGHTS(
                 "r: 1, q: 1, p: 1"),
        &usual);
    assert_in_range(counts.hits, 20, 170);
}

static void a_feature_in_a_message(void **state)
{
    (void)state;
    struct tsn_engine_counts counts = same(
        HEAD
        "templates:\n"
        "  T: { version: 1, params: { tail: { digits: 4, default: '****' } }, texts: { en: 'Of "
        "{tail}.' } }\n"
        "features:\n"
        "  - { name: last_b, event: pay, aggregate: last(b), by: a, read: { call: b }, window: 5m "
        "}\n"
        "  - { name: last_n, event: pay, where: 'has(pay.n)', aggregate: last(n), by: a, window: "
        "5m }\n" PAID "rules:\n"
        "  - { id: r, event: pay, when: 'pay.abroad && f.last_n > 3', reason: abroad }\n"
        "  - { id: q, event: call, when: 'call.abroad', reason: called }\n"
        "typologies:\n" CASE(
            "t", "weights: { r: 1, q: 1 }") "    actions:\n"
                                            "      minor: { cooldown: 1s, sms: { template: T, to: "
                                            "entity, params: { tail: { pay: "
                                            "f.last_b, call: f.last_b } } } }\n",
        &usual);
    assert_true(counts.hits > 50);
}

static void a_feature_in_a_score(void **state)
{
    (void)state;
    struct tsn_engine_counts counts = same(
        HEAD
        "features:\n" SPENT WHOM "rules:\n"
        "  - { id: r, event: pay, when: 'pay.rare && f.whom > 1', reason: rare }\n"
        "typologies:\n" CASE(
            "s", "score: { pay: 'double(f.spent) / 15.0' }") "    actions: { minor: { queue: desk, "
                                                             "cooldown: 1s } }\n" CASE("t",
                                                                                       "weights: { "
                                                                                       "r: 1 }"),
        &usual);
    assert_true(counts.alerts > 100 && counts.hits > 3);
}

static void a_feature_that_filters_read(void **state)
{
    (void)state;
    struct tsn_engine_counts counts =
        same(HEAD "features:\n" PAID SPENT
                  "  - { name: busy, event: pay, where: 'f.paid > 2', aggregate: count, by: a, "
                  "window: 5m }\n"
                  "  - { name: mean, event: pay, expr: 'double(f.spent) / double(f.paid)' }\n"
                  "  - { name: rich, event: pay, where: 'f.mean > 4.0', aggregate: distinct(b), "
                  "by: a, window: 10m }\n"
                  "rules:\n"
                  "  - { id: r, event: pay, when: 'pay.abroad && f.busy >= 2', reason: "
                  "'${f.mean}' }\n"
                  "  - { id: q, event: pay, when: 'f.rich >= 6', reason: '${f.busy}' }\n" WEIGHTS(
                      "r: 1, q: 1"),
             &usual);
    assert_true(counts.hits > 50);
}

static void a_set_that_is_handed_out(void **state)
{
    (void)state;
    struct tsn_engine_counts counts = same(
        HEAD "lists:\n  met: { of: string, ttl: 5m, max: 100 }\n"
             "features:\n" MET WHOM PAID "rules:\n"
             "  - { id: r, event: pay, when: 'pay.rare && f.whom > 1', reason: rare,\n"
             "      do: [{ for_each: f.met, hit: t }, { for_each: f.met, add_to_list: met }] }\n"
             "  - { id: q, event: pay, when: 'pay.b in lists.met && f.paid >= 2', reason: met "
             "}\n" WEIGHTS("r: 1, q: 1"),
        &usual);
    assert_true(counts.hits > 20);
}

static void a_shadow_rule_reads_as_a_live_one(void **state)
{
    (void)state;
    struct tsn_engine_counts counts = same(
        HEAD "features:\n" SPENT WHOM "rules:\n"
             "  - { id: r, event: pay, when: 'pay.rare && f.spent > 1', reason: '${f.spent}' }\n"
             "  - { id: q, event: pay, mode: shadow, when: 'pay.abroad && f.spent > 1 && f.whom "
             "> 1', reason: '${f.whom}' }\n" WEIGHTS("r: 1, q: 1"),
        &usual);
    assert_true(counts.hits > 3 && counts.shadow_hits > 50);
}

static void a_disabled_rule_reads_nothing(void **state)
{
    (void)state;
    struct tsn_engine_counts counts = same(
        HEAD "features:\n" SPENT WHOM PAID "rules:\n"
             "  - { id: q, event: pay, mode: disabled, when: 'f.whom > 1', reason: '${f.paid}' }\n"
             "  - { id: r, event: pay, when: 'pay.rare && f.spent > 1', reason: '${f.spent}' }\n"
             "  - { id: p, event: pay, when: 'pay.abroad && f.spent > 1', reason: '${f.spent}' "
             "}\n" WEIGHTS("r: 1, q: 1, p: 1"),
        &usual);
    assert_true(counts.hits > 50 && counts.shadow_hits == 0);
}

/* ---- counts that must be reached ---------------------------------------------------- */

enum { BOUND = 5, BOUND_OF_MANY = 80 };

/* Three lines of bound - 1, bound and bound + 1 rows and some, a second apart. */
static struct tsn_batch *bound_stream(const struct tsn_program *prog, uint32_t bound, uint32_t more,
                                      bool doubled)
{
    struct tsn_batch *batch = tsn_batch_new(prog, 2048);
    tsn_event_ms time_ms = INT64_C(1767225600000);
    for (uint32_t line = 0; line < 3; line++) {
        for (uint32_t i = 0; i < bound + more + line - 1; i++, time_ms += 1000) {
            for (uint32_t n = 0; n < 1 + (uint32_t)doubled; n++) {
                uint32_t at = tsn_batch_add(batch, PAY, time_ms, 0, batch->n);
                struct tsn_column *fields = batch->types[PAY].fields;
                char text[24];
                snprintf(text, sizeof text, "line%u", line);
                text_set(batch, &fields[F_A], at, text);
                snprintf(text, sizeof text, "other%u", (unsigned)(n ? i + 1000 : i));
                text_set(batch, &fields[F_B], at, text);
                fields[F_N].i64[at] = n;
                tsn_bits_set(fields[F_N].valid, at);
            }
        }
    }
    return batch;
}

/* A feature, and on how many rows it reaches the bound. */
static const struct bound {
    const char *options;
    const char *order;
    bool tight;    /* a window of as many seconds as must be counted, not of an hour */
    bool doubled;  /* each row has a second, with n = 1 */
    uint32_t more; /* rows */
    uint64_t hits;
} bounds[] = {
    {"", ">=", false, false, 0, 3},
    {"", ">", false, false, 0, 1},
    {"", "==", false, false, 0, 2},
    {", where: 'pay.n == 0'", ">=", false, true, 0, 6},
    {", where: 'pay.n == 1'", ">=", false, true, 0, 4},
    {", current: exclude", ">=", false, false, 0, 1},
    {", current: exclude, where: 'pay.n == 0'", ">=", false, true, 0, 4},
    {", delay: 10s", ">=", false, false, 10, 3},
    {"", ">=", true, false, 0, 3},
    {"", ">=", true, false, 300, 3 * 301},
    {", current: exclude", ">=", true, false, 10, 0},
};

static char *bound_pack(const struct bound *bound, const char *aggregate, unsigned n)
{
    char *pack = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&pack, &len);
    assert_non_null(out);
    fprintf(out, "%sfeatures:\n%s", HEAD, SPENT);
    fprintf(out, "  - { name: all, event: pay, aggregate: count, by: a, window: 1h }\n");
    fprintf(out, "  - { name: many, event: pay, by: a, aggregate: %s, window: %us%s }\nrules:\n",
            aggregate, bound->tight ? n : 3600, bound->options);
    fprintf(out, "  - { id: r, event: pay, when: 'f.many %s %u', reason: '${f.spent}' }\n",
            bound->order, n);
    fprintf(out, "  - { id: q, event: pay, when: 'f.all >= 5000', reason: all }\n%s",
            WEIGHTS("r: 1, q: 1"));
    fclose(out);
    return pack;
}

static void check_bound(const struct bound *bound, const char *aggregate, uint32_t n)
{
    char *pack = bound_pack(bound, aggregate, n);
    struct tsn_program *prog = compile(pack);
    struct tsn_batch *stream = bound_stream(prog, n, bound->more, bound->doubled);
    static const uint32_t sizes[] = {1, 64, 4096};
    struct said all = run(&stream, 1, 64, true);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct said needed = run(&stream, 1, sizes[i], false);
        compare(&all, &needed, sizes[i]);
        free(needed.text);
    }
    if (all.counts.hits != bound->hits) {
        fail_msg("bound %u of %s: %u hits for %u", (unsigned)(bound - bounds), aggregate,
                 (unsigned)all.counts.hits, n);
    }
    free(all.text);
    tsn_batch_free(stream);
    tsn_program_free(prog);
    free(pack);
}

static void a_count_reaches_its_bound_with_the_row_that_makes_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bounds); i++) {
        check_bound(&bounds[i], "count", BOUND);
        check_bound(&bounds[i], "distinct(b)", BOUND);
        check_bound(&bounds[i], "count", BOUND_OF_MANY);
        check_bound(&bounds[i], "distinct(b)", BOUND_OF_MANY);
    }
}

static void rules_with_different_bounds_on_one_feature(void **state)
{
    (void)state;
    struct tsn_engine_counts counts = same(
        HEAD
        "features:\n" PAID SPENT "rules:\n"
        "  - { id: r, event: pay, when: 'f.paid >= 3', reason: '${f.paid}' }\n"
        "  - { id: q, event: pay, when: 'f.paid >= 12 && f.spent > 20', reason: '${f.spent}' "
        "}\n"
        "  - { id: p, event: pay, when: 'pay.rare && f.paid >= 1', reason: '${f.paid}' }\n" WEIGHTS(
            "r: 1, q: 1, p: 1"),
        &usual);
    assert_true(counts.hits > 50);
}

static void a_bound_joined_with_what_is_missing_below_it(void **state)
{
    (void)state;
    struct tsn_engine_counts counts = same(
        HEAD
        "features:\n" PAID WHOM
        "  - { name: mean, event: pay, aggregate: avg(n), by: a, window: 5m, current: exclude }\n"
        "  - { name: least, event: pay, where: 'pay.abroad', aggregate: min(n), by: a, window: 2m "
        "}\n"
        "rules:\n"
        "  - { id: r, event: pay, when: 'f.mean > 4.0 && f.paid >= 5', reason: '${f.mean}' }\n"
        "  - { id: q, event: pay, when: 'f.whom > 11 && f.least <= 3', reason: '${f.least}' }\n"
        "  - { id: p, event: pay, when: '(f.paid >= 8 && f.least < 2) || (f.whom >= 3 && 6 / "
        "f.least > 1)', reason: '${f.paid}' }\n" WEIGHTS("r: 1, q: 1, p: 1"),
        &usual);
    assert_true(counts.hits > 50 && counts.rule_missing > 50 && counts.rule_errors > 0);
}

/* ---- steps -------------------------------------------------------------------------- */

static void one_feature_read_for_two_fields_of_an_event(void **state)
{
    (void)state;
    static const char pack[] = HEAD
        "features:\n"
        "  - { name: paid, event: pay, aggregate: count, by: a, window: 1h, read: { pay: { "
        "giver: a, taker: b }, call: { from: a, to: b } } }\n"
        "  - { name: spent, event: pay, aggregate: sum(n), by: a, window: 1h, read: { pay: { "
        "giver: a, taker: b } } }\n"
        "rules:\n"
        "  - { id: r, event: pay, when: 'pay.abroad && f.paid.giver >= 2 && f.paid.taker >= 2', "
        "reason: '${f.spent.taker}' }\n"
        "  - { id: q, event: pay, when: 'f.paid.taker >= 12', reason: '${f.spent.giver}' }\n"
        "  - { id: p, event: call, when: 'call.abroad && f.paid.to > f.paid.from', reason: more "
        "}\n" WEIGHTS("r: 1, q: 1, p: 1");
    struct flow few = {.n_rows = 1500, .n_keys = 3, .gap_s = 20}; /* one line on both sides */
    assert_true(same(pack, &usual).hits > 50);
    assert_true(same(pack, &few).hits > 50);
}

/* Twelve, and eight are told apart: the others are read together, some of them for few rows
 * only or by the length of their log alone. */
static void more_wants_than_a_step_tells_apart(void **state)
{
    (void)state;
    static const char pack[] =
        HEAD "features:\n" PAID SPENT WHOM MOST
             "  - { name: paid_1h, event: pay, aggregate: count, by: a, window: 1h }\n"
             "  - { name: spent_1h, event: pay, aggregate: sum(n), by: a, window: 1h }\n"
             "  - { name: least_1h, event: pay, aggregate: min(n), by: a, window: 1h }\n"
             "  - { name: most_2h, event: pay, aggregate: max(n), by: a, window: 2h }\n"
             "  - { name: spent_2h, event: pay, aggregate: sum(n), by: a, window: 2h }\n"
             "  - { name: whom_2h, event: pay, aggregate: distinct(b), by: a, window: 2h }\n"
             "  - { name: paid_2h, event: pay, aggregate: count, by: a, window: 2h }\n"
             "  - { name: paid_3h, event: pay, aggregate: count, by: a, window: 3h }\n"
             "rules:\n"
             "  - { id: r0, event: pay, when: 'pay.abroad && f.paid > 1', reason: '${f.paid}' }\n"
             "  - { id: r1, event: pay, when: 'pay.rare && f.spent > 1', reason: '${f.spent}' }\n"
             "  - { id: r2, event: pay, when: 'pay.n == 1 && f.whom > 2', reason: '${f.whom}' }\n"
             "  - { id: r3, event: pay, when: 'pay.n == 2 && f.most > 6', reason: '${f.most}' }\n"
             "  - { id: r4, event: pay, when: 'f.paid_1h >= 40', reason: '${f.paid_1h}' }\n"
             "  - { id: r5, event: pay, when: 'pay.n == 3 && f.spent_1h > 90', reason: "
             "'${f.spent_1h}' }\n"
             "  - { id: r6, event: pay, when: 'pay.n == 4 && f.least_1h == 0', reason: "
             "'${f.least_1h}' }\n"
             "  - { id: r7, event: pay, when: 'pay.n == 5 && f.most_2h > 7', reason: more }\n"
             "  - { id: r8, event: pay, when: 'pay.n == 6 && f.spent_2h > 90', reason: "
             "'${f.spent_2h}' }\n"
             "  - { id: r9, event: pay, when: 'pay.n == 7 && f.whom_2h >= 8', reason: "
             "'${f.whom_2h}' }\n"
             "  - { id: ra, event: pay, when: 'f.paid_2h >= 60', reason: '${f.paid_2h}' }\n"
             "  - { id: rb, event: pay, when: 'pay.n == 8 && f.paid_3h >= 20', reason: "
             "'${f.paid_3h}' }\n" WEIGHTS("r0: 1, r1: 1, r2: 1, r3: 1, r4: 1, r5: 1, r6: 1, r7: "
                                          "1, r8: 1, r9: 1, ra: 1, rb: 1");
    struct flow few = {.n_rows = 3000, .n_keys = 2, .gap_s = 3};
    struct flow messy = {.n_rows = 3000, .n_keys = 1, .gap_s = 1, .messy = true};
    assert_true(same(pack, &usual).hits > 300);
    assert_true(same(pack, &few).hits > 300);
    assert_true(same(pack, &messy).hits > 300); /* rows of one time for different lanes */
}

/* Rules that ask something of the payer's log and something of the payee's: where the first is
 * too short, nothing is read off the second. Rules that do not ask, other ways to say it, rows
 * without a payer, and a payer's log that lies behind the payee's are among them. */
static void a_log_that_settles_what_another_is_read_for(void **state)
{
    (void)state;
    static const char pack[] = HEAD
        "features:\n" PAID SPENT
        "  - { name: got, event: pay, aggregate: count, by: b, window: 10m, current: exclude }\n"
        "  - { name: got_n, event: pay, aggregate: sum(n), by: b, window: 10m }\n"
        "  - { name: got_of, event: pay, aggregate: distinct(a), by: b, window: 10m }\n"
        "  - { name: got_most, event: pay, aggregate: max(n), by: b, window: 10m }\n"
        "rules:\n"
        "  - { id: r0, event: pay, when: 'pay.n > 2 && f.paid >= 5 && f.got_n > 9', reason: "
        "'${f.got_n} after ${f.paid}' }\n"
        "  - { id: r1, event: pay, when: 'pay.n < 3 && f.paid > 7 && f.got_of >= 2', reason: "
        "'${f.got_of}' }\n"
        "  - { id: r2, event: pay, when: 'pay.abroad && f.paid > 3 && 8 / f.got > 1', reason: "
        "'${f.got}' }\n"
        "  - { id: r3, event: pay, when: 'pay.rare && (f.paid > 3 || f.got_most > 7)', reason: "
        "'${f.got_most}' }\n"
        "  - { id: r4, event: pay, when: 'f.got_of >= 6 && f.paid >= 2', reason: '${f.spent}' "
        "}\n" WEIGHTS("r0: 1, r1: 1, r2: 1, r3: 1, r4: 1");
    struct flow few = {.n_rows = 3000, .n_keys = 2, .gap_s = 30};
    struct flow messy = {.n_rows = 3000, .n_keys = 5, .gap_s = 9, .messy = true};
    struct tsn_engine_counts counts = same(pack, &usual);
    assert_true(counts.hits > 100 && counts.rule_missing > 20 && counts.rule_errors > 0);
    assert_true(same(pack, &few).hits > 100);
    assert_true(same(pack, &messy).hits > 100);
}

/* The same log under two fields of an event, and under a field of another event. */
static void a_log_that_settles_itself_under_another_field(void **state)
{
    (void)state;
    static const char pack[] = HEAD
        "features:\n"
        "  - { name: paid, event: pay, aggregate: count, by: a, window: 1h, read: { pay: { "
        "giver: a, taker: b }, call: { from: a, to: b } } }\n"
        "  - { name: spent, event: pay, aggregate: sum(n), by: a, window: 1h, read: { pay: { "
        "giver: a, taker: b }, call: { from: a, to: b } } }\n"
        "rules:\n"
        "  - { id: r, event: pay, when: 'pay.n > 1 && f.paid.giver >= 4 && f.spent.taker > 5', "
        "reason: '${f.spent.taker}' }\n"
        "  - { id: q, event: pay, when: 'pay.n > 1 && f.paid.taker >= 4 && f.spent.giver > 5', "
        "reason: '${f.spent.giver}' }\n"
        "  - { id: p, event: call, when: 'call.n > 1 && f.paid.from >= 3 && f.spent.to > 5', "
        "reason: '${f.spent.to}' }\n"
        "  - { id: o, event: call, when: 'call.n > 1 && f.paid.to >= 3 && f.spent.from > 5', "
        "reason: '${f.spent.from}' }\n" WEIGHTS("r: 1, q: 1, p: 1, o: 1");
    struct flow few = {.n_rows = 1500, .n_keys = 3, .gap_s = 20}; /* one line on both sides */
    struct flow messy = {.n_rows = 1500, .n_keys = 9, .gap_s = 60, .messy = true};
    assert_true(same(pack, &usual).hits > 50);
    assert_true(same(pack, &few).hits > 50);
    assert_true(same(pack, &messy).hits > 50);
}

static void hot_keys_beside_a_bound(void **state)
{
    (void)state;
    struct flow few = {.n_rows = 3000, .n_keys = 3, .gap_s = 2};
    struct tsn_engine_counts counts = same(
        HEAD "features:\n"
             "  - { name: paid, event: pay, aggregate: count, by: a, window: 5m, exact_up_to: 16 "
             "}\n"
             "  - { name: whom, event: pay, aggregate: distinct(b), by: a, window: 10m, "
             "exact_up_to: 16 }\n"
             "  - { name: spent, event: pay, aggregate: sum(n), by: a, window: 5m, exact_up_to: "
             "16 }\n"
             "rules:\n"
             "  - { id: r, event: pay, when: 'f.paid >= 40', reason: '${f.spent}' }\n"
             "  - { id: q, event: pay, when: 'f.whom >= 8 && f.paid >= 30', reason: '${f.whom}' "
             "}\n"
             "  - { id: p, event: pay, when: 'pay.rare && f.spent > 1', reason: '${f.spent}' "
             "}\n" WEIGHTS("r: 1, q: 1, p: 1"),
        &few);
    assert_true(counts.coalesced > 500 && counts.hits > 100);
}

/* A newest time that filters read makes the program go row by row. */
static void a_program_that_goes_row_by_row(void **state)
{
    (void)state;
    struct flow messy = {.n_rows = 1500, .n_keys = 8, .gap_s = 5, .messy = true};
    struct tsn_engine_counts counts = same(
        HEAD "features:\n" PAID
             "  - { name: now, event: pay, aggregate: count, by: a, window: 5m, at: seen }\n"
             "  - { name: busy, event: pay, where: 'f.now > 2', aggregate: count, by: a, window: "
             "10m }\n"
             "rules:\n"
             "  - { id: r, event: pay, when: 'pay.abroad && f.busy >= 2', reason: '${f.paid}' }\n"
             "  - { id: q, event: pay, when: 'f.paid >= 12', reason: '${f.now}' }\n" WEIGHTS(
                 "r: 1, q: 1"),
        &messy);
    assert_true(counts.hits > 50);
}

/* ---- lanes that wait ---------------------------------------------------------------- */

/* Windows of which one holds all rows since the last read, one some, one none; and features
 * that are read always beside them. */
#define WAITING                                                                                    \
    "features:\n" WHOM MOST SPENT                                                                  \
    "  - { name: whom_3h, event: pay, aggregate: distinct(b), by: a, window: 3h }\n"               \
    "  - { name: most_3h, event: pay, aggregate: max(n), by: a, window: 3h }\n"                    \
    "  - { name: spent_3h, event: pay, aggregate: sum(n), by: a, window: 3h }\n"                   \
    "  - { name: before_3h, event: pay, aggregate: distinct(b), by: a, window: 3h, current: "      \
    "exclude }\n"                                                                                  \
    "  - { name: first_1s, event: pay, aggregate: first(n), by: a, window: 1s }\n"

#define WAITING_RULE                                                                               \
    "rules:\n"                                                                                     \
    "  - id: r\n    event: pay\n    when: 'pay.rare'\n"                                            \
    "    reason: '${f.whom} ${f.most} ${f.spent} ${f.whom_3h} ${f.most_3h} ${f.spent_3h} "         \
    "${f.before_3h} ${coalesce(f.first_1s, -1)}'\n"

static void lanes_that_nobody_reads_for_long(void **state)
{
    (void)state;
    static const char pack[] = HEAD WAITING WAITING_RULE WEIGHTS("r: 1");
    static const uint32_t every[] = {300, 1023, 1024, 1025, 5003}; /* rows of all types */
    for (size_t i = 0; i < COUNT(every); i++) {
        struct flow one = {.n_rows = 11000, .n_keys = 1, .gap_s = 1, .rare_every = every[i]};
        struct flow two = {.n_rows = 11000, .n_keys = 2, .gap_s = 2, .rare_every = every[i]};
        assert_true(same(pack, &one).hits > 0);
        assert_true(same(pack, &two).hits > 0);
    }
}

static void lanes_that_wait_beside_lanes_that_are_read(void **state)
{
    (void)state;
    static const char pack[] = HEAD WAITING
        "  - { name: mean, event: pay, aggregate: avg(n), by: a, window: 20m }\n"
        "  - { name: paid, event: pay, aggregate: count, by: a, window: 30s }\n" WAITING_RULE
        "  - { id: q, event: pay, when: 'f.mean > 4.2', reason: '${f.mean}' }\n"
        "  - { id: p, event: pay, when: 'f.paid >= 25', reason: '${f.paid}' }\n" WEIGHTS(
            "r: 1, q: 1, p: 1");
    struct flow one = {.n_rows = 8000, .n_keys = 1, .gap_s = 1, .rare_every = 997};
    struct flow messy = one;
    messy.messy = true;
    assert_true(same(pack, &one).hits > 100);
    assert_true(same(pack, &messy).hits > 100);
}

/* ---- rows out of order -------------------------------------------------------------- */

static void late_and_repeated_rows_among_all_that(void **state)
{
    (void)state;
    static const char pack[] = HEAD WAITING PAID
        "  - { name: busy, event: pay, where: 'pay.n > 2', aggregate: count, by: a, window: 5m, "
        "read: { call: b } }\n" WAITING_RULE
        "  - { id: q, event: pay, when: 'f.paid >= 8 && f.spent > 20', reason: '${f.whom}' }\n"
        "  - { id: p, event: call, when: 'call.abroad && f.busy >= 1', reason: '${f.busy}' }\n"
        "  - { id: o, event: pay, when: 'pay.abroad && f.busy >= 3', reason: '${f.most_3h}' "
        "}\n" WEIGHTS("r: 1, q: 1, p: 1, o: 1");
    struct flow many = {.n_rows = 3000, .n_keys = 30, .gap_s = 3, .rare_every = 50, .messy = true};
    struct flow few = {.n_rows = 6000, .n_keys = 2, .gap_s = 2, .rare_every = 700, .messy = true};
    const struct flow *flows[] = {&many, &few};
    for (size_t i = 0; i < COUNT(flows); i++) {
        struct tsn_engine_counts counts = same(pack, flows[i]);
        assert_true(counts.hits > 50);
        assert_true(counts.late > 50 && counts.too_late > 5 && counts.duplicates > 50);
    }
}

/* ---- programs that change ----------------------------------------------------------- */

/* The same features, and so the same rows, but other lanes of them. */
static void a_change_of_a_guard_alone(void **state)
{
    (void)state;
    static const char *const packs[] = {
        HEAD "features:\n" SPENT WHOM MOST "rules:\n"
             "  - { id: r, event: pay, when: 'pay.rare', reason: '${f.spent} ${f.whom} ${f.most}' "
             "}\n" WEIGHTS("r: 1"),
        HEAD "features:\n" SPENT WHOM MOST "rules:\n"
             "  - { id: r, event: pay, when: 'pay.rare', reason: '${f.spent} ${f.whom}' }\n"
             "  - { id: q, event: pay, when: 'pay.abroad', reason: '${f.most}' }\n" WEIGHTS(
                 "r: 1, q: 1"),
    };
    const char *const back[] = {packs[1], packs[0]};
    struct flow one = {.n_rows = 1000, .n_keys = 1, .gap_s = 2, .rare_every = 7};
    assert_true(same_of(packs, 2, &one).hits > 100);
    assert_true(same_of(back, 2, &one).hits > 100);
}

static void a_change_of_guards_in_the_middle(void **state)
{
    (void)state;
    static const char *const packs[] = {
        HEAD WAITING PAID WAITING_RULE
        "  - { id: q, event: pay, when: 'f.paid >= 12', reason: '${f.spent}' }\n" WEIGHTS(
            "r: 1, q: 1"),
        HEAD WAITING PAID
        "rules:\n"
        "  - { id: r, event: pay, when: 'pay.abroad && f.whom_3h > 3', reason: '${f.before_3h}' }\n"
        "  - { id: q, event: pay, when: 'f.paid >= 5 && f.most == 8', reason: '${f.spent_3h}' "
        "}\n" WEIGHTS("r: 1, q: 1"),
        HEAD
        "features:\n" PAID "rules:\n"
        "  - { id: q, event: pay, when: 'f.paid >= 9 || pay.rare', reason: '${f.paid}' }\n" WEIGHTS(
            "q: 1"),
        HEAD WAITING PAID WAITING_RULE WEIGHTS("r: 1"),
    };
    struct flow few = {.n_rows = 6000, .n_keys = 2, .gap_s = 2, .rare_every = 37, .messy = true};
    struct flow many = {.n_rows = 3000, .n_keys = 20, .gap_s = 2, .rare_every = 37};
    assert_true(same_of(packs, COUNT(packs), &few).hits > 100);
    assert_true(same_of(packs, COUNT(packs), &many).hits > 100);
}

/* ---- columns ------------------------------------------------------------------------ */

static void feature_columns_are_there_only_when_they_are_wanted(void **state)
{
    (void)state;
    struct tsn_program *prog = compile(HEAD "features:\n" PAID "rules:\n"
                                            "  - { id: r, event: pay, when: 'pay.rare && f.paid > "
                                            "1', reason: '${f.paid}' }\n" WEIGHTS("r: 1"));
    struct tsn_batch *stream = stream_new(prog, &usual);
    struct tsn_output output;
    tsn_output_init(&output);
    struct tsn_engine *eng = engine_new(prog, false);
    rows_run(eng, stream, 0, 64, 64, &output);
    assert_null(tsn_engine_slots(eng, PAY));
    tsn_engine_want_columns(eng, true);
    rows_run(eng, stream, 64, 128, 64, &output);
    const struct tsn_column *slots = tsn_engine_slots(eng, PAY);
    assert_non_null(slots);
    assert_true(tsn_bits_get(slots[0].valid, 0));
    assert_true(slots[0].i64[0] >= 1);
    tsn_engine_want_columns(eng, false);
    rows_run(eng, stream, 128, 192, 64, &output);
    assert_null(tsn_engine_slots(eng, PAY));
    tsn_engine_free(eng);
    tsn_output_free(&output);
    tsn_batch_free(stream);
    tsn_program_free(prog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_feature_that_only_a_reason_shows),
        cmocka_unit_test(a_feature_that_only_an_exception_reads),
        cmocka_unit_test(a_feature_that_calls_a_timer_off),
        cmocka_unit_test(a_feature_in_a_message),
        cmocka_unit_test(a_feature_in_a_score),
        cmocka_unit_test(a_feature_that_filters_read),
        cmocka_unit_test(a_set_that_is_handed_out),
        cmocka_unit_test(a_shadow_rule_reads_as_a_live_one),
        cmocka_unit_test(a_disabled_rule_reads_nothing),
        cmocka_unit_test(a_count_reaches_its_bound_with_the_row_that_makes_it),
        cmocka_unit_test(rules_with_different_bounds_on_one_feature),
        cmocka_unit_test(a_bound_joined_with_what_is_missing_below_it),
        cmocka_unit_test(one_feature_read_for_two_fields_of_an_event),
        cmocka_unit_test(more_wants_than_a_step_tells_apart),
        cmocka_unit_test(a_log_that_settles_what_another_is_read_for),
        cmocka_unit_test(a_log_that_settles_itself_under_another_field),
        cmocka_unit_test(hot_keys_beside_a_bound),
        cmocka_unit_test(a_program_that_goes_row_by_row),
        cmocka_unit_test(lanes_that_nobody_reads_for_long),
        cmocka_unit_test(lanes_that_wait_beside_lanes_that_are_read),
        cmocka_unit_test(late_and_repeated_rows_among_all_that),
        cmocka_unit_test(a_change_of_a_guard_alone),
        cmocka_unit_test(a_change_of_guards_in_the_middle),
        cmocka_unit_test(feature_columns_are_there_only_when_they_are_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
