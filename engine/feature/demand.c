/* Demand: which rows need the value of a feature.
 *
 * Most rules begin with what the event itself says - abroad, at night, above an amount -
 * and for most events that settles them: whatever their features are, they do not fire. A
 * feature is then not read for such a row, unless another rule is still open there. Nothing
 * that leaves the engine can tell: see docs/decisions/reads-on-demand.md. Rows are written
 * either way. Nor is a feature read that rules want to be at least so many while its log has
 * fewer rows: then what counts is given the number of rows, which is below all that is asked.
 *
 * Always needed: what filters and features without state read, scores, conditions that
 * end a timer, and values in messages. The plan says so once a program; which rules are
 * open on which rows is found once a batch, from columns that the rules use later.
 */
#include <string.h>

#include "engine/feature/feature.h"
#include "rules/must/must.h"

/* ---- the plan --------------------------------------------------------------------- */

/* What looks at the slots of one event type. */
struct tsn_demand {
    const struct tsn_program *prog;
    int type;
    bool *always; /* [n_slots] */
    int n_rules;
    const int *rules; /* those that are evaluated ... */
    const bool *settles;
    size_t words;
    const uint64_t *uses; /* [n_rules][words] ... and what they look at: a bit a slot */
    bool *counts;         /* [inputs], for want_of */
    uint16_t *open;       /* [n_rules], likewise */
};

static void slot_mark(const struct tsn_demand *demand, int input, bool *slots)
{
    int n_fields = demand->prog->types[demand->type].n_fields;
    if (input >= n_fields) {
        slots[input - n_fields] = true;
    }
}

static void expr_mark(const struct tsn_demand *demand, uint32_t expr, bool *slots)
{
    if (expr == TSN_EXPR_NONE) {
        return;
    }
    size_t n;
    const uint32_t *inputs = tsn_expr_inputs(demand->prog->types[demand->type].exprs, expr, &n);
    for (size_t i = 0; i < n; i++) {
        slot_mark(demand, (int)inputs[i], slots);
    }
}

/* All that is looked at where the rule fires, besides what a typology's messages say. */
static void rule_mark(const struct tsn_demand *demand, const struct tsn_rule *rule, bool *slots)
{
    expr_mark(demand, rule->when, slots);
    for (int e = 0; e < rule->n_exceptions; e++) {
        expr_mark(demand, rule->exceptions[e].expr, slots);
    }
    for (int p = 0; p < rule->n_reason; p++) {
        expr_mark(demand, rule->reason[p].expr, slots);
    }
    for (int f = 0; f < rule->n_fans; f++) {
        slots[rule->fans[f].slot] = true;
    }
}

static void features_mark(const struct tsn_demand *demand)
{
    for (int f = 0; f < demand->prog->n_features; f++) {
        const struct tsn_feature *feature = &demand->prog->features[f];
        if (feature->event == demand->type) {
            expr_mark(demand, feature->agg == TSN_AGG_EXPR ? feature->expr : feature->where,
                      demand->always);
        }
    }
}

static void typologies_mark(const struct tsn_demand *demand)
{
    for (int y = 0; y < demand->prog->n_typologies; y++) {
        const struct tsn_typology *typology = &demand->prog->typologies[y];
        if (typology->score) {
            expr_mark(demand, typology->score[demand->type], demand->always);
        }
        for (int level = 0; level < TSN_LEVELS; level++) {
            const struct tsn_action *action = &typology->actions[level];
            if (!action->present || action->sms.template_ == TSN_NONE) {
                continue;
            }
            for (int p = 0; p < demand->prog->templates[action->sms.template_].n_params; p++) {
                slot_mark(demand, action->sms.param_field[p][demand->type], demand->always);
            }
        }
    }
}

static void rules_mark(struct tsn_demand *demand, struct tsn_arena *arena)
{
    const struct tsn_event_type *type = &demand->prog->types[demand->type];
    size_t n_slots = (size_t)type->n_slots;
    int *rules = tsn_arena_alloc(arena, ((size_t)type->n_rules + 1) * sizeof *rules);
    bool *settles = tsn_arena_alloc(arena, (size_t)type->n_rules + 1);
    demand->words = tsn_bits_words(n_slots);
    uint64_t *uses =
        tsn_arena_zalloc(arena, (size_t)type->n_rules * demand->words + 1, sizeof *uses);
    bool *slots = tsn_arena_alloc(arena, n_slots + 1);
    for (int r = 0; r < demand->prog->n_rules; r++) {
        const struct tsn_rule *rule = &demand->prog->rules[r];
        if (rule->mode == TSN_MODE_DISABLED) {
            continue;
        }
        if (rule->after_ms > 0 && rule->unless_event == demand->type) {
            expr_mark(demand, rule->unless, demand->always);
        }
        if (rule->event == demand->type) {
            memset(slots, 0, n_slots);
            rule_mark(demand, rule, slots);
            for (size_t s = 0; s < n_slots; s++) {
                if (slots[s]) {
                    tsn_bits_set(uses + (size_t)demand->n_rules * demand->words, s);
                }
            }
            settles[demand->n_rules] =
                tsn_expr_settles(type->exprs, rule->when, (uint32_t)type->n_fields);
            rules[demand->n_rules++] = r;
        }
    }
    demand->rules = rules;
    demand->settles = settles;
    demand->uses = uses;
    demand->open = tsn_arena_alloc(arena, ((size_t)demand->n_rules + 1) * sizeof *demand->open);
    demand->counts = tsn_arena_alloc(arena, (size_t)type->n_fields + n_slots + 1);
}

void tsn_demand_plan(struct tsn_plan *plan)
{
    struct tsn_arena *arena = &plan->arena;
    int n_types = plan->prog->n_types;
    struct tsn_demand *demands =
        tsn_arena_zalloc(arena, (size_t)n_types + 1, sizeof *plan->demands);
    for (int t = 0; t < n_types; t++) {
        struct tsn_demand *demand = &demands[t];
        *demand = (struct tsn_demand){.prog = plan->prog, .type = t};
        demand->always =
            tsn_arena_zalloc(arena, (size_t)plan->prog->types[t].n_slots + 1, sizeof(bool));
        features_mark(demand);
        typologies_mark(demand);
        rules_mark(demand, arena);
        plan->types[t].n_rules = demand->n_rules;
        plan->types[t].rules = demand->rules;
    }
    plan->demands = demands;
}

/* Which inputs of the event type count rows of the log that a slot is read from: features
 * of the stream under the same fields. Until the next call. */
static const bool *counts_of(const struct tsn_demand *demand, const struct tsn_slot *slot,
                             const struct tsn_plan_stream *stream)
{
    const struct tsn_event_type *type = &demand->prog->types[demand->type];
    bool *counts = demand->counts;
    memset(counts, 0, (size_t)type->n_fields + (size_t)type->n_slots);
    for (int s = 0; s < type->n_slots; s++) {
        const struct tsn_feature *feature = &demand->prog->features[type->slots[s].feature];
        bool counted = feature->agg == TSN_AGG_COUNT || feature->agg == TSN_AGG_DISTINCT;
        for (int i = 0; counted && i < stream->layout.n_items; i++) {
            counts[type->n_fields + s] |= stream->features[i] == type->slots[s].feature &&
                                          type->slots[s].by[0] == slot->by[0];
        }
    }
    return counts;
}

void tsn_demand_least(struct tsn_plan *plan, const struct tsn_plan_stream *stream, int type,
                      int slot, uint64_t *least)
{
    const struct tsn_demand *demand = &plan->demands[type];
    const struct tsn_event_type *of = &plan->prog->types[type];
    const bool *counts = counts_of(demand, &of->slots[slot], stream);
    for (int r = 0; r < demand->n_rules; r++) {
        least[r] = tsn_expr_least(of->exprs, plan->prog->rules[demand->rules[r]].when, counts);
    }
}

static struct tsn_plan_want want_of(struct tsn_plan *plan, const struct tsn_plan_stream *stream,
                                    int t, int s)
{
    const struct tsn_demand *demand = &plan->demands[t];
    const struct tsn_event_type *type = &plan->prog->types[t];
    const bool *counts = counts_of(demand, &type->slots[s], stream);
    struct tsn_plan_want want = {.rules_least = UINT64_MAX, .least = UINT64_MAX};
    for (int r = 0; r < demand->n_rules; r++) {
        if (!tsn_bits_get(demand->uses + (size_t)r * demand->words, (size_t)s)) {
            continue;
        }
        uint32_t when = plan->prog->rules[demand->rules[r]].when;
        uint64_t least = tsn_expr_least(type->exprs, when, counts);
        uint64_t *of = &want.least;
        if (demand->settles[r]) {
            demand->open[want.n_rules++] = (uint16_t)r;
            of = &want.rules_least;
        }
        *of = least < *of ? least : *of;
    }
    if (demand->always[s] || want.least == 0) {
        return (struct tsn_plan_want){0};
    }
    if (want.n_rules) {
        uint16_t *rules = tsn_arena_alloc(&plan->arena, want.n_rules * sizeof *rules);
        memcpy(rules, demand->open, want.n_rules * sizeof *rules);
        want.rules = rules;
    }
    return want;
}

static bool wants_equal(const struct tsn_plan_want *a, const struct tsn_plan_want *b)
{
    return a->least == b->least && a->rules_least == b->rules_least && a->n_rules == b->n_rules &&
           (a->n_rules == 0 || memcmp(a->rules, b->rules, a->n_rules * sizeof *a->rules) == 0);
}

/* For which rows the event that writes a feature reads it. */
static struct tsn_plan_want writer_wants(struct tsn_plan *plan,
                                         const struct tsn_plan_stream *stream, int feature)
{
    const struct tsn_feature *of = &plan->prog->features[feature];
    const struct tsn_event_type *type = &plan->prog->types[of->event];
    for (int s = 0; s < type->n_slots; s++) {
        if (type->slots[s].feature == feature && type->slots[s].by[0] == of->by[0]) {
            return want_of(plan, stream, of->event, s);
        }
    }
    return (struct tsn_plan_want){.rules_least = UINT64_MAX, .least = UINT64_MAX}; /* for none */
}

void tsn_demand_lanes(struct tsn_plan *plan, struct tsn_plan_stream *stream)
{
    struct tsn_window_layout *layout = &stream->layout;
    size_t n = layout->n_items;
    if (stream->pair || stream->set || layout->n_texts > 0) {
        return; /* read row by row, all of it: plan.c */
    }
    struct tsn_window_lane *lanes = tsn_arena_alloc(&plan->arena, n * sizeof *lanes);
    struct tsn_plan_want *wants = tsn_arena_alloc(&plan->arena, n * sizeof *wants);
    for (size_t i = 0; i < n; i++) {
        wants[i] = writer_wants(plan, stream, stream->features[i]);
    }
    uint8_t n_lanes = 0;
    for (unsigned k = 0; k < layout->n_lanes; k++) {
        const struct tsn_window_lane *lane = &layout->lanes[k];
        for (unsigned i = lane->first; i < (unsigned)lane->first + lane->n; i++) {
            unsigned like = lane->first;
            while (!wants_equal(&wants[like], &wants[i])) {
                like++;
            }
            if (like == i) {
                lanes[n_lanes++] = *lane;
            }
            layout->items[i].lane = like == i ? (uint8_t)(n_lanes - 1) : layout->items[like].lane;
        }
    }
    layout->lanes = lanes;
    layout->n_lanes = n_lanes;
}

/* ---- the plan: steps, part by part ------------------------------------------------ */

/* A step while its items are told apart. */
struct parting {
    struct tsn_plan *plan;
    const struct tsn_plan_stream *stream;
    int type;
    unsigned n;                  /* its items */
    uint8_t *part;               /* [n] of each item; n_parts: always read */
    struct tsn_plan_want *wants; /* [n_parts] */
    uint8_t n_parts;
};

/* A view for each set of parts: with eight they take some 100 KiB a step. */
enum { PARTS_MAX = 8, ALWAYS = PARTS_MAX };

static uint64_t less(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* For which rows either is read. */
static struct tsn_plan_want wants_join(struct tsn_plan *plan, const struct tsn_plan_want *a,
                                       const struct tsn_plan_want *b)
{
    struct tsn_plan_want want = {.rules_least = less(a->rules_least, b->rules_least),
                                 .least = less(a->least, b->least)};
    uint16_t *rules =
        tsn_arena_alloc(&plan->arena, ((size_t)a->n_rules + b->n_rules + 1) * sizeof *rules);
    for (unsigned i = 0, k = 0; i < a->n_rules || k < b->n_rules;) {
        bool of_a = k == b->n_rules || (i < a->n_rules && a->rules[i] <= b->rules[k]);
        uint16_t rule = of_a ? a->rules[i++] : b->rules[k++];
        if (want.n_rules == 0 || rules[want.n_rules - 1] != rule) {
            rules[want.n_rules++] = rule;
        }
    }
    want.rules = rules;
    return want;
}

/* Items for which there is no part left share the last one. */
static void items_part(struct parting *parting, const struct tsn_plan_step *step)
{
    for (unsigned i = 0; i < parting->n; i++) {
        struct tsn_plan_want want =
            want_of(parting->plan, parting->stream, parting->type, step->outputs[i].slot);
        uint8_t p = 0;
        if (want.least == 0) {
            parting->part[i] = ALWAYS;
            continue;
        }
        while (p < parting->n_parts && !wants_equal(&parting->wants[p], &want)) {
            p++;
        }
        if (p == PARTS_MAX) {
            p = PARTS_MAX - 1;
            want = wants_join(parting->plan, &parting->wants[p], &want);
        }
        parting->wants[p] = want;
        parting->n_parts += p == parting->n_parts;
        parting->part[i] = p;
    }
}

/* The step with some of its parts. */
static struct tsn_plan_step view_of(const struct parting *parting, const struct tsn_plan_step *step,
                                    unsigned parts)
{
    struct tsn_arena *arena = &parting->plan->arena;
    struct tsn_plan_item *outputs = tsn_arena_alloc(arena, (parting->n + 1) * sizeof *outputs);
    uint16_t *items = tsn_arena_alloc(arena, (parting->n + 1) * sizeof *items);
    struct tsn_plan_item *counts = tsn_arena_alloc(arena, (parting->n + 1) * sizeof *counts);
    struct tsn_plan_step view = {.key = step->key,
                                 .writes = step->writes,
                                 .items = items,
                                 .outputs = outputs,
                                 .counts = counts};
    unsigned n = 0;
    for (unsigned i = 0; i < parting->n; i++) {
        if (parting->part[i] != ALWAYS && !(parts >> parting->part[i] & 1)) {
            enum tsn_agg agg = parting->stream->layout.items[step->items[i]].agg;
            bool counted = agg == TSN_AGG_COUNT || agg == TSN_AGG_DISTINCT;
            const struct tsn_plan_want *want = &parting->wants[parting->part[i]];
            if (counted && (want->least != UINT64_MAX || want->rules_least > 0)) {
                counts[view.n_counts++] = step->outputs[i];
            }
            continue;
        }
        outputs[n] = step->outputs[i];
        items[n++] = step->items[i];
        view.lanes |= UINT32_C(1) << parting->stream->layout.items[step->items[i]].lane;
        view.n_before += i < step->n_before;
        view.n_after += i >= step->n_before;
    }
    return view;
}

static void step_part(struct parting *parting, struct tsn_plan_step *step)
{
    struct tsn_arena *arena = &parting->plan->arena;
    parting->n = (unsigned)step->n_before + step->n_after;
    parting->part = tsn_arena_alloc(arena, parting->n + 1);
    parting->wants = tsn_arena_alloc(arena, PARTS_MAX * sizeof *parting->wants);
    parting->n_parts = 0;
    items_part(parting, step);
    struct tsn_plan_part *parts = tsn_arena_alloc(arena, PARTS_MAX * sizeof *parts);
    struct tsn_plan_step *views = tsn_arena_alloc(arena, (sizeof *views) << parting->n_parts);
    for (unsigned v = 0; v < 1u << parting->n_parts; v++) {
        views[v] = view_of(parting, step, v);
    }
    struct tsn_plan_type *type = &parting->plan->types[parting->type];
    struct tsn_plan_want any = {.rules_least = UINT64_MAX, .least = UINT64_MAX};
    step->visited = views[0].n_before + views[0].n_after > 0;
    for (uint8_t p = 0; p < parting->n_parts; p++) {
        const struct tsn_plan_want *want = &parting->wants[p];
        parts[p] = (struct tsn_plan_part){
            .want = type->n_wants,
            .rules_least = want->rules_least,
            .least = want->least,
            .gate = TSN_NONE,
        };
        type->wants[type->n_wants++] = *want;
        any = wants_join(parting->plan, &any, want);
        step->by_length |= (uint8_t)((want->least != UINT64_MAX) << p);
    }
    step->length = TSN_NONE;
    step->want = type->n_wants;
    type->wants[type->n_wants++] = any;
    step->least = less(any.least, any.rules_least);
    step->visited |= step->by_length != 0;
    step->lanes = views[(1u << parting->n_parts) - 1].lanes;
    step->n_parts = parting->n_parts;
    step->parts = parts;
    step->views = views;
}

/* The rules for whose sake anything is read under a key, if nothing is written under it and
 * no log's length decides. */
static void key_want(struct tsn_plan *plan, int t, int k)
{
    struct tsn_plan_type *type = &plan->types[t];
    struct tsn_plan_key *key = (struct tsn_plan_key *)&type->keys[k];
    uint16_t *rules = tsn_arena_alloc(&plan->arena, ((size_t)type->n_rules + 1) * sizeof *rules);
    struct tsn_plan_want want = {.rules = rules, .least = UINT64_MAX};
    bool *has = tsn_arena_zalloc(&plan->arena, (size_t)type->n_rules + 1, sizeof *has);
    key->want = TSN_NONE;
    for (int s = 0; s < plan->n_streams; s++) {
        const struct tsn_plan_reads *reads = &plan->streams[s].reads[t];
        for (unsigned i = 0; i < reads->n_steps; i++) {
            const struct tsn_plan_step *step = &reads->steps[i];
            if (step->key != k) {
                continue;
            }
            if (!plan->streams[s].stepwise || step->writes || step->visited) {
                return;
            }
            for (unsigned p = 0; p < step->n_parts; p++) {
                const struct tsn_plan_want *part = &type->wants[step->parts[p].want];
                for (unsigned r = 0; r < part->n_rules; r++) {
                    has[part->rules[r]] = true;
                }
            }
        }
    }
    for (int r = 0; r < type->n_rules; r++) {
        if (has[r]) {
            rules[want.n_rules++] = (uint16_t)r;
        }
    }
    key->want = type->n_wants;
    type->wants[type->n_wants++] = want;
}

void tsn_demand_steps(struct tsn_plan *plan)
{
    for (int t = 0; t < plan->prog->n_types; t++) {
        size_t n = 1 + (size_t)plan->types[t].n_keys;
        for (int s = 0; s < plan->n_streams; s++) {
            n += (PARTS_MAX + 1) * (size_t)plan->streams[s].reads[t].n_steps;
        }
        plan->types[t].wants = tsn_arena_alloc(&plan->arena, n * sizeof *plan->types[t].wants);
        for (int s = 0; s < plan->n_streams; s++) {
            const struct tsn_plan_reads *reads = &plan->streams[s].reads[t];
            for (unsigned i = 0; plan->streams[s].stepwise && i < reads->n_steps; i++) {
                struct parting parting = {.plan = plan, .stream = &plan->streams[s], .type = t};
                step_part(&parting, (struct tsn_plan_step *)&reads->steps[i]);
            }
        }
        for (int k = 0; k < plan->types[t].n_keys; k++) {
            key_want(plan, t, k);
        }
    }
}

/* ---- a batch ---------------------------------------------------------------------- */

void tsn_demand_find(struct tsn_features *feat, int t, uint32_t n_rows, struct tsn_eval *eval)
{
    const struct tsn_plan_type *plan = &feat->plan.types[t];
    struct tsn_feature_type *of = &feat->types[t];
    uint32_t n_fields = (uint32_t)feat->prog->types[t].n_fields;
    size_t words = tsn_bits_words(n_rows);
    memset(of->is_settled, 0, (size_t)plan->n_rules);
    for (int k = 0; k < plan->n_wants && feat->want_all; k++) {
        memset(of->wanted[k], 0xff, words * sizeof(uint64_t));
    }
    for (int k = 0; k < plan->n_wants && !feat->want_all; k++) {
        const struct tsn_plan_want *want = &plan->wants[k];
        memset(of->wanted[k], 0, words * sizeof(uint64_t));
        for (unsigned i = 0; i < want->n_rules; i++) {
            int r = want->rules[i];
            if (!of->is_settled[r]) {
                tsn_eval_settled(eval, feat->prog->rules[plan->rules[r]].when, n_fields,
                                 of->settled[r]);
                of->is_settled[r] = true;
            }
            for (size_t w = 0; w < words; w++) {
                of->wanted[k][w] |= ~of->settled[r][w];
            }
        }
    }
}
