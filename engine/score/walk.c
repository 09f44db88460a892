/* The walk: rows that matter, in processing order.
 *
 * rules.c says where something fired; this file visits those rows only. For each, in
 * the order the semantics fix: the rules of the row, list writes, typologies. A write
 * makes the rows behind it that read the list matter too. Costs nothing for the other
 * rows but a bit scan and, for E, one comparison.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/score/state.h"
#include "rules/must/must.h"

enum { MINUTE_MS = 60 * 1000, SWEEP_ROWS = 64 };

struct walk {
    struct tsn_score *score;
    const struct score_batch *of;
    uint64_t *wanted;       /* rows of the batch to visit */
    uint32_t seen;          /* rows of which E knows */
    tsn_event_ms newest_ms; /* E before row `seen` */
    bool lists_changed;
};

/* ---- lists -------------------------------------------------------------------------- */

static tsn_event_ms floor_minute(tsn_event_ms t)
{
    tsn_event_ms rest = t % MINUTE_MS;
    return tsn_time_minus(t, rest < 0 ? rest + MINUTE_MS : rest);
}

/* Forgets entries that ended by E - lateness, rounded down so that it seldom happens. */
static void lists_expire(struct tsn_score *score, tsn_event_ms newest_ms)
{
    tsn_event_ms until = floor_minute(tsn_time_minus(newest_ms, score->lateness_ms));
    if (until <= score->expired_ms) {
        return;
    }
    score->expired_ms = until;
    for (int l = 0; l < score->prog->n_lists; l++) {
        if (score->prog->lists[l].written) {
            size_t before = tsn_list_size(score->lists[l]);
            tsn_list_expire(score->lists[l], until);
            score->list_changed[l] |= tsn_list_size(score->lists[l]) != before;
        }
    }
}

/* From this row on, whoever reads a written list reads it row by row. */
static void lists_did_change(struct walk *walk, uint32_t row)
{
    if (walk->lists_changed) {
        return;
    }
    walk->lists_changed = true;
    for (int t = 0; t < walk->score->prog->n_types; t++) {
        struct score_type *type = &walk->score->types[t];
        const struct tsn_type_rows *rows = &walk->of->batch->types[t];
        for (uint32_t at = rows->n; type->row_wise && at-- > 0 && rows->row[at] >= row;) {
            if (tsn_bits_get(type->accepted, at)) {
                tsn_bits_set(type->by_row, at);
                tsn_bits_set(walk->wanted, rows->row[at]);
            }
        }
    }
}

static bool list_add(struct tsn_score *score, const struct tsn_hit_row *at, int list,
                     const struct tsn_value *value)
{
    const struct tsn_list_decl *decl = &score->prog->lists[list];
    if (value->state != TSN_STATE_VALUE) {
        return false;
    }
    tsn_event_ms expires =
        decl->ttl_ms ? tsn_time_plus(at->row->time_ms, decl->ttl_ms) : TSN_LIST_FOREVER;
    if (expires <= score->expired_ms) {
        return false; /* of a too-late row: forgotten before anyone could see it */
    }
    if (decl->of == TSN_TYPE_STRING) {
        TSN_MUST(value->type.type == TSN_TYPE_STRING);
        tsn_list_add_string(score->lists[list], value->s, expires);
    } else {
        TSN_MUST(value->type.type == TSN_TYPE_INT);
        tsn_list_add_int(score->lists[list], value->i, expires);
    }
    score->list_changed[list] = true;
    return true;
}

static bool members_add(struct tsn_score *score, const struct score_batch *of,
                        const struct tsn_hit_row *at, const struct tsn_fan *fan)
{
    struct tsn_members members = tsn_score_members_of(score, of, at, fan->slot);
    bool changed = false;
    for (uint32_t m = 0; m < members.n; m++) {
        changed |= list_add(score, at, fan->list, &members.values[m]);
    }
    return changed;
}

/* A rule's own values, then members, each in the order of its `do`. */
static bool lists_write(struct tsn_score *score, const struct score_batch *of,
                        const struct tsn_hit_row *at)
{
    bool changed = false;
    for (size_t i = 0; i < score->n_fired; i++) {
        const struct tsn_rule *rule = &score->prog->rules[score->fired[i]];
        for (int w = 0; w < rule->n_writes; w++) {
            struct tsn_value value;
            tsn_column_value(&at->inputs[rule->writes[w].field], at->row->at, &value);
            changed |= list_add(score, at, rule->writes[w].list, &value);
        }
        for (int f = 0; f < rule->n_fans; f++) {
            if (rule->fans[f].list != TSN_NONE) {
                changed |= members_add(score, of, at, &rule->fans[f]);
            }
        }
    }
    return changed;
}

/* ---- one row -------------------------------------------------------------------------- */

/* Typologies in pack order; in each, hits on the event's entity before handed-out ones. */
static int64_t touch_order(const struct score_touch *touch)
{
    return 2 * (int64_t)touch->typology + (touch->set != TSN_NONE);
}

static void touch_add(struct tsn_score *score, size_t *n, struct score_touch touch)
{
    if (*n == score->touches_cap) {
        score->touches_cap = score->touches_cap ? 2 * score->touches_cap : 16;
        score->touches = realloc(score->touches, score->touches_cap * sizeof *score->touches);
        TSN_MUST_ALLOC(score->touches);
    }
    size_t at = (*n)++;
    while (at > 0 && touch_order(&score->touches[at - 1]) > touch_order(&touch)) {
        score->touches[at] = score->touches[at - 1];
        at--;
    }
    score->touches[at] = touch;
}

/* What the row's hits touch, by typology in pack order, rules in pack order within. */
static size_t touches_collect(struct tsn_score *score)
{
    size_t n = 0;
    for (size_t i = 0; i < score->n_fired; i++) {
        const struct score_rule *plan = &score->rules[score->fired[i]];
        for (uint32_t u = 0; u < plan->n_uses; u++) {
            const struct score_use *use = &plan->uses[u];
            touch_add(score, &n,
                      (struct score_touch){.typology = use->typology,
                                           .weight = use->weight,
                                           .set = use->set,
                                           .fired = (uint32_t)i});
        }
    }
    return n;
}

/* Score expressions are of the row itself: a timer has none. */
static void scores_collect(struct tsn_score *score, const struct tsn_row *row, size_t *n)
{
    const struct score_type *type = &score->types[row->type];
    for (uint32_t i = 0; i < type->n_scores; i++) {
        const struct score_typology *typology = &score->typologies[type->scores[i]];
        const struct tsn_column *column = &typology->score[row->type];
        if (tsn_bits_get(column->valid, row->at) && column->f64[row->at] >= typology->lowest) {
            touch_add(score, n,
                      (struct score_touch){
                          .typology = type->scores[i], .set = TSN_NONE, .fired = UINT32_MAX});
        }
    }
}

static void typologies_touch(struct tsn_score *score, const struct score_batch *of,
                             const struct tsn_hit_row *at, tsn_event_ms newest_ms, size_t n)
{
    for (size_t from = 0, to; from < n; from = to) {
        to = from + 1;
        if (score->touches[from].set != TSN_NONE) {
            tsn_score_touch_members(score, of, at, newest_ms, &score->touches[from]);
            continue;
        }
        while (to < n && touch_order(&score->touches[to]) == touch_order(&score->touches[from])) {
            to++;
        }
        tsn_score_touch(score, of, at, newest_ms, score->touches + from, to - from);
    }
    for (size_t i = 0; i < score->n_fired; i++) {
        tsn_hit_free(score->caught[i]);
        score->caught[i] = NULL;
    }
}

bool tsn_score_fire(struct tsn_score *score, const struct score_batch *of,
                    const struct tsn_hit_row *at, int rule, tsn_event_ms newest_ms)
{
    if (score->prog->rules[rule].mode != TSN_MODE_LIVE) {
        of->counts->shadow_hits++;
        return false;
    }
    of->counts->hits++;
    score->n_fired = 1;
    score->fired[0] = rule;
    bool changed = lists_write(score, of, at);
    typologies_touch(score, of, at, newest_ms, touches_collect(score));
    return changed;
}

/* Rules with an effect that fired on the row: those of now, and whether timers are. */
static bool fired_collect(struct tsn_score *score, const struct tsn_row *row)
{
    const struct score_type *type = &score->types[row->type];
    bool timers = type->n_unless > 0;
    score->n_fired = 0;
    for (uint32_t i = 0; i < type->n_active; i++) {
        const struct score_rule *rule = &score->rules[type->active[i]];
        if (!rule->has_effect || !tsn_bits_get(rule->column.bits, row->at)) {
            continue;
        }
        if (rule->is_timer) {
            timers = true;
        } else {
            score->fired[score->n_fired++] = type->active[i];
        }
    }
    return timers;
}

static void row_visit(struct walk *walk, uint32_t r)
{
    struct tsn_score *score = walk->score;
    const struct tsn_row *row = &walk->of->batch->rows[r];
    struct score_type *type = &score->types[row->type];
    if (type->by_row && tsn_bits_get(type->by_row, row->at)) {
        if (walk->of->status[r] == TSN_ROW_TOO_LATE) {
            lists_expire(score, walk->newest_ms);
        }
        tsn_score_evaluate_row(score, walk->of, row);
    }
    struct tsn_hit_row at = {
        .prog = score->prog,
        .row = row,
        .eval = walk->of->evals[row->type],
        .inputs = walk->of->inputs[row->type],
        .masked = type->masked,
        .too_late = walk->of->status[r] == TSN_ROW_TOO_LATE,
    };
    bool timers = fired_collect(score, row);
    if (lists_write(score, walk->of, &at)) {
        lists_did_change(walk, r + 1);
    }
    size_t n = touches_collect(score);
    scores_collect(score, row, &n);
    typologies_touch(score, walk->of, &at, walk->newest_ms, n);
    if (timers) {
        tsn_score_timer_row(score, &at);
    }
    if (score->want_columns) {
        tsn_score_show(score, &at, walk->newest_ms);
    }
}

/* ---- the batch -------------------------------------------------------------------------- */

static void want_word(struct walk *walk, const struct tsn_type_rows *rows, size_t w, uint64_t bits)
{
    for (; bits; bits &= bits - 1) {
        tsn_bits_set(walk->wanted, rows->row[w * 64 + (size_t)__builtin_ctzll(bits)]);
    }
}

static void want_bits(struct walk *walk, const struct tsn_type_rows *rows, const uint64_t *bits)
{
    for (size_t w = 0; w < tsn_bits_words(rows->n); w++) {
        want_word(walk, rows, w, bits[w]);
    }
}

static void want_scores(struct walk *walk, const struct tsn_type_rows *rows, double lowest,
                        const struct tsn_column *column)
{
    for (size_t w = 0; w < tsn_bits_words(rows->n); w++) {
        for (uint64_t left = column->valid[w]; left; left &= left - 1) {
            size_t at = w * 64 + (size_t)__builtin_ctzll(left);
            if (column->f64[at] >= lowest) {
                tsn_bits_set(walk->wanted, rows->row[at]);
            }
        }
    }
}

static void want_type(struct walk *walk, int t)
{
    const struct tsn_score *score = walk->score;
    const struct tsn_type_rows *rows = &walk->of->batch->types[t];
    const struct score_type *type = &score->types[t];
    if (score->want_columns) {
        want_bits(walk, rows, type->accepted);
        return;
    }
    for (uint32_t i = 0; i < type->n_active; i++) {
        const struct score_rule *rule = &score->rules[type->active[i]];
        if (rule->has_effect) {
            want_bits(walk, rows, rule->column.bits);
        }
    }
    for (uint32_t i = 0; i < type->n_scores; i++) {
        const struct score_typology *typology = &score->typologies[type->scores[i]];
        want_scores(walk, rows, typology->lowest, &typology->score[t]);
    }
    for (uint32_t i = 0; i < type->n_unless; i++) {
        const struct tsn_column *unless = score->rules[type->unless[i]].unless;
        for (size_t w = 0; w < tsn_bits_words(rows->n); w++) {
            uint64_t bits = unless->bits[w] & unless->valid[w] & type->accepted[w];
            want_word(walk, rows, w, bits);
        }
    }
    if (type->by_row) {
        want_bits(walk, rows, type->by_row);
    }
}

/* E before row r: the largest time of the accepted rows before it. */
static void newest_until(struct walk *walk, uint32_t r)
{
    for (; walk->seen < r; walk->seen++) {
        if (walk->of->status[walk->seen] != TSN_ROW_DUPLICATE &&
            walk->of->batch->rows[walk->seen].time_ms > walk->newest_ms) {
            walk->newest_ms = walk->of->batch->rows[walk->seen].time_ms;
        }
    }
}

static void rows_walk(struct walk *walk)
{
    size_t words = tsn_bits_words(walk->of->batch->n);
    for (size_t w = 0; w < words; w++) {
        uint64_t done = 0; /* a visit may want later rows, of this word too */
        for (uint64_t left; (left = walk->wanted[w] & ~done) != 0;) {
            uint32_t bit = (uint32_t)__builtin_ctzll(left);
            uint32_t r = (uint32_t)w * 64 + bit;
            done |= left & (0 - left);
            newest_until(walk, r);
            row_visit(walk, r);
        }
    }
}

/* With timers every row may move the clock, and what is due fires before it. */
static void rows_walk_clock(struct walk *walk)
{
    struct tsn_score *score = walk->score;
    for (uint32_t r = 0; r < walk->of->batch->n; r++) {
        const struct tsn_row *row = &walk->of->batch->rows[r];
        newest_until(walk, r);
        tsn_event_ms clock = walk->newest_ms > score->tick_ms ? walk->newest_ms : score->tick_ms;
        if (row->time_ms > clock && walk->of->status[r] != TSN_ROW_DUPLICATE) {
            size_t n = 0;
            if (tsn_score_timers_fire(score, walk->of, row->time_ms, walk->newest_ms, &n)) {
                lists_did_change(walk, r);
            }
        }
        if (tsn_bits_get(walk->wanted, r)) {
            row_visit(walk, r);
        }
    }
}

/* Shown scores of a type's rows: all missing until a row is visited. */
static void shown_new(struct tsn_score *score, const struct tsn_batch *batch)
{
    for (int y = 0; y < score->prog->n_typologies; y++) {
        struct score_typology *typology = &score->typologies[y];
        for (int t = 0; typology->evaluated && t < score->prog->n_types; t++) {
            if (batch->types[t].n && score->prog->typologies[y].entity_field[t] != TSN_NONE) {
                tsn_column_alloc(&typology->shown[t], TSN_REP_DOUBLE, batch->types[t].n, true,
                                 &score->batch);
            }
        }
    }
}

/* No row in time can tell it from one that never was. */
static bool is_past(const struct tsn_score *score, int typology, const struct tsn_episode *episode)
{
    tsn_duration_ms keep_ms = score->typologies[typology].keep_ms;
    return episode->clock_ms <
           tsn_time_minus(score->newest_ms, tsn_time_plus(score->lateness_ms, keep_ms));
}

/* Forgets some of the episodes that are past: a slot for every 64 rows, so that a table is
 * swept in the time it takes to fill. */
static void episodes_sweep(struct tsn_score *score, uint32_t n_rows)
{
    for (int y = 0; y < score->prog->n_typologies; y++) {
        struct tsn_episode_table *table = &score->typologies[y].episodes;
        uint32_t n = table->n ? n_rows / SWEEP_ROWS + 1 : 0;
        for (; n > 0 && table->n; n--) {
            table->sweep &= table->cap - 1;
            struct tsn_episode *episode = table->slots[table->sweep];
            if (episode && is_past(score, y, episode)) {
                tsn_score_forget(score, episode); /* another may have moved in: look again */
            } else {
                table->sweep++;
            }
        }
    }
}

/* A removal moves only what stands behind the hole: one pass sees all. */
void tsn_score_prune(struct tsn_score *score, int typology, bool all)
{
    struct tsn_episode_table *table = &score->typologies[typology].episodes;
    for (size_t i = 0; i < table->cap; i++) {
        while (table->slots[i] && (all || is_past(score, typology, table->slots[i]))) {
            tsn_score_forget(score, table->slots[i]);
        }
    }
}

void tsn_score_rows(struct tsn_score *score, const struct tsn_batch *batch, const uint8_t *status,
                    struct tsn_eval *const *evals, const struct tsn_column *const *inputs,
                    tsn_event_ms newest_ms, struct tsn_output *out,
                    struct tsn_engine_counts *counts)
{
    tsn_arena_reset(&score->batch);
    if (score->want_columns) {
        tsn_score_columns_forget(score);
    }
    if (batch->n == 0) {
        return;
    }
    struct score_batch of = {batch, status, evals, inputs, out, counts};
    struct walk walk = {.score = score, .of = &of, .newest_ms = score->newest_ms};
    lists_expire(score, score->newest_ms);
    tsn_score_evaluate(score, &of);
    if (score->want_columns) {
        shown_new(score, batch);
    }
    walk.wanted = tsn_arena_zalloc(&score->batch, tsn_bits_words(batch->n), sizeof *walk.wanted);
    for (int t = 0; t < score->prog->n_types; t++) {
        if (batch->types[t].n) {
            want_type(&walk, t);
        }
    }
    if (score->has_timers) {
        rows_walk_clock(&walk);
    } else {
        rows_walk(&walk);
    }
    tsn_score_count_row_wise(score, &of);
    if (newest_ms > score->newest_ms) {
        score->newest_ms = newest_ms;
        score->newest_changed = true;
    }
    episodes_sweep(score, batch->n);
}
