/* Lints of a pack that is sound: each expression by itself (rules/expr/lint.h), then
 * rules that add nothing to another. Runs last, only for `tocsin check`, and only warns:
 * what is refused must not depend on how clever a version is. */
#include <stdlib.h>
#include <string.h>

#include "rules/expr/lint.h"
#include "rules/must/must.h"
#include "rules/pack/compile.h"

/* Pairs of rules of one effect that are compared: 10,000 rules that all do the same
 * are generated, and nobody reads warnings about them. */
enum { PAIRS_MAX = 4000000 };

/* ---- one expression ------------------------------------------------------------------ */

static void feature_input(struct pack *p, int type, int slot, struct tsn_lint_input *out)
{
    const struct pack_type *t = &p->types[type];
    const struct tsn_feature *f = &p->feature_out[t->slots[slot].feature];
    switch (f->agg) {
    case TSN_AGG_COUNT:
    case TSN_AGG_DISTINCT:
    case TSN_AGG_SET:
        *out = (struct tsn_lint_input){TSN_ABSENCE_RARE, true};
        return;
    case TSN_AGG_SUM:
        *out = (struct tsn_lint_input){TSN_ABSENCE_RARE, false};
        return;
    case TSN_AGG_STDDEV:
        *out = (struct tsn_lint_input){TSN_ABSENCE_NOTHING, true};
        return;
    case TSN_AGG_TIME_SINCE:
        *out = (struct tsn_lint_input){TSN_ABSENCE_NEVER, false};
        return;
    default:
        return;
    }
}

/* An expression over what is seldom missing is so too. */
static void expr_input(struct pack *p, int type, int slot, struct tsn_lint_input *inputs)
{
    const struct pack_type *t = &p->types[type];
    const struct tsn_feature *f = &p->feature_out[t->slots[slot].feature];
    size_t n = 0;
    const uint32_t *reads = tsn_expr_inputs(t->set, f->expr, &n);
    bool rare = true;
    for (size_t i = 0; i < n; i++) {
        rare = rare &&
               (!t->names[reads[i]].may_be_missing || inputs[reads[i]].absence == TSN_ABSENCE_RARE);
    }
    inputs[t->n_fields + slot].absence = rare ? TSN_ABSENCE_RARE : TSN_ABSENCE_NOTHING;
}

static struct tsn_lint_input *inputs_of(struct pack *p, int type)
{
    const struct pack_type *t = &p->types[type];
    size_t n = (size_t)t->n_fields + (size_t)t->n_slots;
    struct tsn_lint_input *inputs = tsn_arena_zalloc(&p->scratch, n, sizeof *inputs);
    for (int i = 0; i < t->n_slots; i++) {
        if (p->feature_out[t->slots[i].feature].agg == TSN_AGG_EXPR) {
            expr_input(p, type, i, inputs); /* slots stand in pack order: what it reads is known */
        } else {
            feature_input(p, type, i, &inputs[t->n_fields + i]);
        }
    }
    return inputs;
}

struct saying {
    struct pack *p;
    const struct tsn_yaml_node *node;
    struct tsn_yaml_expr text;
};

static size_t offset_of(const struct tsn_yaml_expr *text, uint32_t column)
{
    size_t at = 0;
    while (at < text->len && column > 1) {
        at++;
        while (at < text->len && ((unsigned char)text->text[at] & 0xC0) == 0x80) {
            at++;
        }
        column--;
    }
    return at;
}

static void say(void *user, uint32_t column, const char *advice, const char *message)
{
    struct saying *s = user;
    struct tsn_place place = tsn_pack_place(&s->text, offset_of(&s->text, column));
    tsn_diags_add(s->p->diags, TSN_SEVERITY_WARNING, place, s->text.source->text,
                  s->text.source->len, advice, "%s", message);
}

static void lint(struct pack *p, int type, uint32_t expr, const struct tsn_yaml_node *node,
                 const struct tsn_lint_input *inputs)
{
    if (expr == TSN_EXPR_NONE || !node || node->kind != TSN_YAML_SCALAR) {
        return;
    }
    struct saying s = {.p = p, .node = node, .text = tsn_yaml_expression(p->doc, node)};
    tsn_expr_lint(p->types[type].set, expr, inputs, say, &s);
}

static void lint_features(struct pack *p, struct tsn_lint_input *const *inputs)
{
    for (int i = 0; i < p->prog->n_features; i++) {
        const struct tsn_feature *f = &p->feature_out[i];
        bool is_expr = f->agg == TSN_AGG_EXPR;
        lint(p, f->event, is_expr ? f->expr : f->where,
             tsn_yaml_get(p->features[i].node, is_expr ? "expr" : "where"), inputs[f->event]);
    }
}

static void lint_rule(struct pack *p, const struct tsn_rule *rule, const struct tsn_yaml_node *node,
                      struct tsn_lint_input *const *inputs)
{
    lint(p, rule->event, rule->when, tsn_yaml_get(node, "when"), inputs[rule->event]);
    if (rule->unless != TSN_EXPR_NONE) {
        lint(p, rule->unless_event, rule->unless,
             tsn_yaml_get(tsn_yaml_get(node, "unless"), "when"), inputs[rule->unless_event]);
    }
    const struct tsn_yaml_node *exceptions = tsn_yaml_get(node, "exceptions");
    for (int i = 0; i < rule->n_exceptions; i++) {
        lint(p, rule->event, rule->exceptions[i].expr, tsn_yaml_get(&exceptions->items[i], "when"),
             inputs[rule->event]);
    }
}

static void lint_scores(struct pack *p, struct tsn_lint_input *const *inputs)
{
    const struct tsn_yaml_node *items = tsn_yaml_get(p->doc->root, "typologies");
    for (int i = 0; i < p->prog->n_typologies; i++) {
        const struct tsn_typology *t = &p->typologies[i];
        const struct tsn_yaml_node *score = tsn_yaml_get(&items->items[i], "score");
        for (int type = 0; t->score && type < p->prog->n_types; type++) {
            const struct tsn_yaml_node *text = score->kind == TSN_YAML_MAP
                                                   ? tsn_yaml_get(score, p->type_names.items[type])
                                                   : score;
            lint(p, type, t->score[type], text, inputs[type]);
        }
    }
}

/* ---- rules that add nothing --------------------------------------------------------- */

struct effect {
    int rule;
    uint64_t what; /* hash of all that follows when it fires; 0: nothing */
};

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ (hash >> 29);
}

static uint64_t hash_under(const struct tsn_yaml_node *node, const char *key)
{
    const struct tsn_yaml_node *value = tsn_yaml_get(node, key);
    return value ? tsn_pack_hash_node(value) : 0;
}

static void add_weights(struct pack *p, struct effect *effects)
{
    for (int t = 0; t < p->prog->n_typologies; t++) {
        for (int w = 0; w < p->typologies[t].n_weights; w++) {
            const struct tsn_weight *weight = &p->typologies[t].weights[w];
            uint64_t bits = 0;
            memcpy(&bits, &weight->points, sizeof bits);
            uint64_t *what = &effects[weight->rule].what;
            *what = mix(mix(*what + 1, (uint64_t)t + 1), bits);
        }
    }
}

static int by_effect(const void *a, const void *b)
{
    const struct effect *x = a;
    const struct effect *y = b;
    if (x->what != y->what) {
        return x->what < y->what ? -1 : 1;
    }
    return x->rule < y->rule ? -1 : x->rule > y->rule;
}

/* Whenever a is looked at, is b? And is b let off no more often? */
static bool covers(struct pack *p, const struct tsn_yaml_node *items, int a, int b)
{
    const struct tsn_rule *x = &p->rules[a];
    const struct tsn_rule *y = &p->rules[b];
    return y->from_ms <= x->from_ms && y->until_ms >= x->until_ms &&
           (y->n_exceptions == 0 || hash_under(&items->items[a], "exceptions") ==
                                        hash_under(&items->items[b], "exceptions"));
}

/* told: rules of which it was said; once each is enough. */
static void warn_of_pair(struct pack *p, const struct tsn_yaml_node *items, int a, int b,
                         bool has_effect, bool *told)
{
    const struct tsn_expr_set *set = p->types[p->rules[a].event].set;
    bool there =
        covers(p, items, a, b) && tsn_expr_implies(set, p->rules[a].when, p->rules[b].when);
    bool back = covers(p, items, b, a) && tsn_expr_implies(set, p->rules[b].when, p->rules[a].when);
    if (!there && !back) {
        return;
    }
    int narrow = there && back ? b : there ? a : b; /* of equals the later one */
    int wide = narrow == a ? b : a;
    if (told[narrow]) {
        return;
    }
    told[narrow] = (there && back) || has_effect;
    if (there && back) {
        const struct tsn_yaml_node *id = tsn_yaml_get(&items->items[b], "id");
        tsn_yaml_warn(p->doc, id, "keep one of them", "rule '%s' fires exactly when '%s' does (%s)",
                      id->text, p->rules[a].id,
                      tsn_yaml_where(p->doc, id, tsn_yaml_get(&items->items[a], "id")));
        return;
    }
    if (has_effect) {
        const struct tsn_yaml_node *id = tsn_yaml_get(&items->items[narrow], "id");
        tsn_yaml_warn(p->doc, id, "give it a weight or a list of its own, or leave it out",
                      "rule '%s' fires only when '%s' does (%s), and does the same: both count",
                      id->text, p->rules[wide].id,
                      tsn_yaml_where(p->doc, id, tsn_yaml_get(&items->items[wide], "id")));
    }
}

static void lint_pairs(struct pack *p, const struct tsn_yaml_node *items)
{
    int n = p->prog->n_rules;
    struct effect *effects = tsn_arena_zalloc(&p->scratch, (size_t)n, sizeof *effects);
    add_weights(p, effects);
    bool *does = tsn_arena_zalloc(&p->scratch, (size_t)n, sizeof *does);
    for (int i = 0; i < n; i++) {
        const struct tsn_yaml_node *node = &items->items[i];
        uint64_t list = hash_under(node, "do");
        does[i] = effects[i].what != 0 || list != 0;
        effects[i].rule = i;
        uint64_t what = mix(mix(effects[i].what, list), (uint64_t)p->rules[i].event + 1);
        what = mix(mix(what, (uint64_t)p->rules[i].mode), hash_under(node, "after"));
        effects[i].what = mix(mix(what, hash_under(node, "by")), hash_under(node, "unless"));
    }
    qsort(effects, (size_t)n, sizeof *effects, by_effect);
    bool *told = tsn_arena_zalloc(&p->scratch, (size_t)n, sizeof *told);
    uint32_t pairs = 0;
    for (int i = 0; i < n; i++) {
        for (int k = i + 1; k < n && effects[k].what == effects[i].what && pairs < PAIRS_MAX; k++) {
            pairs++;
            int a = effects[i].rule;
            if (p->rules[a].mode != TSN_MODE_DISABLED) {
                warn_of_pair(p, items, a, effects[k].rule, does[a], told);
            }
        }
    }
}

void tsn_pack_lint(struct pack *p)
{
    struct tsn_lint_input **inputs =
        tsn_arena_zalloc(&p->scratch, (size_t)p->prog->n_types, sizeof *inputs);
    for (int t = 0; t < p->prog->n_types; t++) {
        inputs[t] = inputs_of(p, t);
    }
    lint_features(p, inputs);
    lint_scores(p, inputs);
    const struct tsn_yaml_node *rules = tsn_yaml_get(p->doc->root, "rules");
    for (int i = 0; i < p->prog->n_rules; i++) {
        lint_rule(p, &p->rules[i], &rules->items[i], inputs); /* sound: one rule an item */
    }
    if (rules) {
        lint_pairs(p, rules);
    }
}
