/* Pack, block `typologies`: which hits add up to a case on whom, and what happens. */
#include <math.h>
#include <string.h>

#include "rules/pack/compile.h"

/* ---- entity -------------------------------------------------------------------- */

static bool entity(struct pack *p, struct tsn_typology *typology, const struct tsn_yaml_node *node,
                   const struct tsn_yaml_node *id)
{
    int *fields = tsn_arena_alloc(p->mem, (size_t)(p->prog->n_types + 1) * sizeof *fields);
    for (int t = 0; t < p->prog->n_types; t++) {
        fields[t] = TSN_NONE;
    }
    typology->entity_field = fields;
    typology->entity_kind = TSN_NONE;
    if (!node) {
        tsn_yaml_error(p->doc, id, "write entity: { <event type>: <field>, ... }",
                       "typology '%s' has no 'entity'", typology->id);
        return false;
    }
    if (node->kind != TSN_YAML_MAP || node->n == 0) {
        tsn_yaml_error(p->doc, node, "write entity: { <event type>: <field>, ... }",
                       "'entity' says for each event type which field names the entity");
        return false;
    }
    bool ok = true;
    for (uint32_t i = 0; i < node->n; i++) {
        const struct tsn_yaml_node *value = &node->pairs[i].value;
        int type = tsn_pack_type(p, &node->pairs[i].key, "'entity'");
        int field = type == TSN_NONE ? TSN_NONE : tsn_pack_field(p, type, value, "'entity'");
        if (field == TSN_NONE) {
            ok = false;
            continue;
        }
        struct tsn_field *of = &p->types[type].fields[field];
        if (of->rep != TSN_REP_STRING && of->rep != TSN_REP_INT && of->rep != TSN_REP_ENUM) {
            tsn_yaml_error(p->doc, value, "use a string, int or enum field",
                           "'%s' cannot name an entity", of->name);
            ok = false;
            continue;
        }
        if (of->entity_kind == TSN_NONE) {
            tsn_yaml_warn(p->doc, value, "write entity: <kind> at the field",
                          "'%s' names an entity here but is not declared as one", of->name);
            of->entity_kind = typology->entity_kind != TSN_NONE ? typology->entity_kind
                                                                : tsn_pack_kind(p, of->name);
        }
        if (typology->entity_kind == TSN_NONE) {
            typology->entity_kind = of->entity_kind;
        } else if (typology->entity_kind != of->entity_kind) {
            tsn_yaml_error(p->doc, value, "a case is open on one kind of entity",
                           "'%s' names an entity '%s', the typology is about '%s'", of->name,
                           p->kind_names.items[of->entity_kind],
                           p->kind_names.items[typology->entity_kind]);
            ok = false;
        }
        fields[type] = field;
    }
    return ok;
}

/* ---- what counts ------------------------------------------------------------------ */

static void weights(struct pack *p, struct tsn_typology *typology, const struct tsn_yaml_node *node)
{
    if (!tsn_yaml_is_map(p->doc, node, "'weights'")) {
        return;
    }
    if (node->n == 0) {
        tsn_yaml_error(p->doc, node, "write weights: { <rule>: <points> }", "no rule has a weight");
    }
    struct tsn_weight *out = tsn_arena_zalloc(p->mem, node->n, sizeof *out);
    for (uint32_t i = 0; i < node->n; i++) {
        const struct tsn_yaml_node *key = &node->pairs[i].key;
        int rule = tsn_names_find(&p->rule_names, key->text);
        double points = 0;
        if (rule == TSN_NONE) {
            tsn_yaml_unknown(p->doc, key, "rule", key->text, p->rule_names.items, p->rule_names.n);
            continue;
        }
        if (!tsn_yaml_double(p->doc, &node->pairs[i].value, "a weight", &points)) {
            continue;
        }
        int event = p->rules[rule].event;
        if (event != TSN_NONE && typology->entity_field[event] == TSN_NONE &&
            !tsn_pack_fans_into(p, rule, typology->id)) {
            tsn_yaml_error(p->doc, key, "add the event type under 'entity'",
                           "rule '%s' is on %s, of which 'entity' names no field", key->text,
                           p->type_names.items[event]);
            continue;
        }
        out[typology->n_weights++] = (struct tsn_weight){rule, points};
    }
    typology->weights = out;
}

static uint32_t score_expr(struct pack *p, int type, const struct tsn_yaml_node *node)
{
    static const struct tsn_expr_type want_double = {.type = TSN_TYPE_DOUBLE};
    uint32_t expr = tsn_pack_expr(p, type, node, &want_double);
    if (expr == TSN_EXPR_NONE) {
        return expr;
    }
    const char *list = tsn_pack_reads_written(p, type, expr, false);
    if (list) {
        tsn_yaml_error(p->doc, node, "test the list in a rule and use weights",
                       "'score' may not read list '%s': a rule adds to it", list);
        return TSN_EXPR_NONE;
    }
    double cost = 0;
    tsn_pack_cost(p, type, expr, node, "this score", &cost);
    return expr;
}

/* One expression over the one event type under `entity`, or a map for several. */
static void score(struct pack *p, struct tsn_typology *typology, const struct tsn_yaml_node *node)
{
    uint32_t *out = tsn_arena_alloc(p->mem, (size_t)(p->prog->n_types + 1) * sizeof *out);
    int only = TSN_NONE;
    int n_types = 0;
    for (int t = 0; t < p->prog->n_types; t++) {
        out[t] = TSN_EXPR_NONE;
        if (typology->entity_field[t] != TSN_NONE) {
            only = t;
            n_types++;
        }
    }
    typology->score = out;
    if (node->kind != TSN_YAML_MAP) {
        if (n_types != 1) {
            tsn_yaml_error(p->doc, node, "write score: { <event type>: '<expression>', ... }",
                           "'entity' names %d event types; 'score' must say one for each", n_types);
            return;
        }
        out[only] = score_expr(p, only, node);
        return;
    }
    for (uint32_t i = 0; i < node->n; i++) {
        const struct tsn_yaml_node *key = &node->pairs[i].key;
        int type = tsn_pack_type(p, key, "'score'");
        if (type == TSN_NONE) {
            continue;
        }
        if (typology->entity_field[type] == TSN_NONE) {
            tsn_yaml_error(p->doc, key, "add it under 'entity'", "'entity' names no field of %s",
                           key->text);
            continue;
        }
        out[type] = score_expr(p, type, &node->pairs[i].value);
    }
}

/* ---- levels ----------------------------------------------------------------------- */

int tsn_pack_level(struct pack *p, const struct tsn_yaml_node *key)
{
    const char *names[TSN_LEVELS - 1];
    for (int level = TSN_LEVEL_MINOR; level < TSN_LEVELS; level++) {
        names[level - 1] = tsn_level_name((enum tsn_level)level);
        if (strcmp(key->text, names[level - 1]) == 0) {
            return level;
        }
    }
    tsn_yaml_unknown(p->doc, key, "level", key->text, names, TSN_LEVELS - 1);
    return TSN_NONE;
}

static void thresholds(struct pack *p, struct tsn_typology *typology,
                       const struct tsn_yaml_node *node, const struct tsn_yaml_node *id)
{
    if (!node) {
        tsn_yaml_error(p->doc, id, "write thresholds: { severe: 60, extreme: 80 }",
                       "typology '%s' has no 'thresholds'", typology->id);
        return;
    }
    if (!tsn_yaml_is_map(p->doc, node, "'thresholds'")) {
        return;
    }
    if (node->n == 0) {
        tsn_yaml_error(p->doc, node, NULL, "no level has a threshold");
    }
    const struct tsn_yaml_node *at[TSN_LEVELS] = {NULL};
    for (uint32_t i = 0; i < node->n; i++) {
        const struct tsn_yaml_node *value = &node->pairs[i].value;
        int level = tsn_pack_level(p, &node->pairs[i].key);
        double threshold = 0;
        if (level == TSN_NONE || !tsn_yaml_double(p->doc, value, "a threshold", &threshold)) {
            continue;
        }
        if (!typology->score && threshold <= 0) {
            tsn_yaml_error(p->doc, value, NULL, "a threshold of weights must be above 0");
            continue;
        }
        typology->thresholds[level] = threshold;
        at[level] = value;
    }
    double below = -INFINITY;
    for (int level = TSN_LEVEL_MINOR; level < TSN_LEVELS; level++) {
        if (at[level] && typology->thresholds[level] <= below) {
            tsn_yaml_error(p->doc, at[level], "raise it",
                           "the threshold of %s must be above that of the level below",
                           tsn_level_name((enum tsn_level)level));
        }
        below = at[level] ? typology->thresholds[level] : below;
    }
}

/* A level that the weights cannot reach is a slip. */
static void reachable(struct pack *p, const struct tsn_typology *typology,
                      const struct tsn_yaml_node *node)
{
    if (typology->score || typology->repeat_sum) {
        return;
    }
    double most = 0;
    for (int i = 0; i < typology->n_weights; i++) {
        bool counts = p->rules[typology->weights[i].rule].mode != TSN_MODE_DISABLED;
        most += counts && typology->weights[i].points > 0 ? typology->weights[i].points : 0;
    }
    for (int level = TSN_LEVEL_MINOR; level < TSN_LEVELS; level++) {
        if (isfinite(typology->thresholds[level]) && typology->thresholds[level] > most) {
            tsn_yaml_warn(p->doc, tsn_yaml_get(node, tsn_level_name((enum tsn_level)level)),
                          "lower it, raise weights, or write repeat: sum",
                          "level %s cannot be reached: all weights together are %g",
                          tsn_level_name((enum tsn_level)level), most);
        }
    }
}

/* ---- a typology ------------------------------------------------------------------- */

static void typology_keys(struct pack *p, struct tsn_typology *typology,
                          const struct tsn_yaml_node *node, const struct tsn_yaml_node *id)
{
    static const char *const known[] = {"id",    "title",    "mode",       "entity",     "weights",
                                        "score", "sum_over", "repeat",     "thresholds", "actions",
                                        "owner", "tags",     "description"};
    static const char *const repeat_words[] = {"once", "sum"};
    tsn_yaml_check_keys(p->doc, node, "a typology", known, sizeof known / sizeof known[0]);
    typology->title = tsn_pack_text(p, tsn_yaml_get(node, "title"), "'title'");
    if (!typology->title) {
        typology->title = typology->id;
    }
    tsn_pack_mode(p, tsn_yaml_get(node, "mode"), &typology->mode);
    for (int level = 0; level < TSN_LEVELS; level++) {
        typology->thresholds[level] = INFINITY;
    }
    typology->version = tsn_pack_hash_node(node);
    if (!entity(p, typology, tsn_yaml_get(node, "entity"), id)) {
        thresholds(p, typology, tsn_yaml_get(node, "thresholds"), id);
        return; /* nothing else below can be judged without it */
    }
    const struct tsn_yaml_node *weights_node = tsn_yaml_get(node, "weights");
    const struct tsn_yaml_node *score_node = tsn_yaml_get(node, "score");
    if (!weights_node == !score_node) {
        tsn_yaml_error(p->doc, id, "write weights: { <rule>: <points> } or score: '<expression>'",
                       "typology '%s' has %s", typology->id,
                       score_node ? "both 'weights' and 'score'" : "neither 'weights' nor 'score'");
        return;
    }
    if (weights_node) {
        weights(p, typology, weights_node);
    } else {
        score(p, typology, score_node);
    }
    const struct tsn_yaml_node *sum_over = tsn_yaml_get(node, "sum_over");
    if (!sum_over) {
        tsn_yaml_error(p->doc, id,
                       "write sum_over: 24h (how long hits add up and a case stays open)",
                       "typology '%s' has no 'sum_over'", typology->id);
    } else if (tsn_yaml_duration(p->doc, sum_over, "'sum_over'", 1, &typology->sum_over_ms) &&
               typology->sum_over_ms > PACK_WINDOW_MAX_MS) {
        tsn_yaml_error(p->doc, sum_over, NULL, "'sum_over' is at most 3653d");
    }
    int repeat = 0;
    tsn_yaml_word(p->doc, tsn_yaml_get(node, "repeat"), "'repeat'", repeat_words, 2, &repeat);
    typology->repeat_sum = repeat == 1;
    thresholds(p, typology, tsn_yaml_get(node, "thresholds"), id);
    reachable(p, typology, tsn_yaml_get(node, "thresholds"));
    tsn_pack_actions(p, typology, tsn_yaml_get(node, "actions"));
}

void tsn_pack_typologies(struct pack *p)
{
    const struct tsn_yaml_node *node = tsn_yaml_get(p->doc->root, "typologies");
    if (!tsn_yaml_is_sequence(p->doc, node, "'typologies'")) {
        return;
    }
    uint32_t n = node->n;
    if (n > TSN_TYPOLOGIES_MAX) {
        tsn_yaml_error(p->doc, node, NULL, "%u typologies; at most %d", (unsigned)n,
                       TSN_TYPOLOGIES_MAX);
        n = TSN_TYPOLOGIES_MAX;
    }
    p->typologies = tsn_arena_zalloc(p->mem, n, sizeof *p->typologies);
    p->prog->typologies = p->typologies;
    const struct tsn_yaml_node **ids = tsn_arena_zalloc(&p->scratch, n, sizeof *ids);
    for (uint32_t i = 0; i < n; i++) {
        const struct tsn_yaml_node *item = &node->items[i];
        if (!tsn_yaml_is_map(p->doc, item, "a typology")) {
            continue;
        }
        const struct tsn_yaml_node *id = tsn_yaml_get(item, "id");
        if (!id) {
            tsn_yaml_error(p->doc, item, "write id: <name>", "a typology without an 'id'");
            continue;
        }
        if (!tsn_pack_id(p, id, "typology id")) {
            continue;
        }
        int at = tsn_names_add(&p->typology_names, tsn_pack_strdup(p, id->text));
        if (at == TSN_NONE) {
            int first = tsn_names_find(&p->typology_names, id->text);
            tsn_pack_twice(p, id, "typology", ids[first]);
            continue;
        }
        ids[at] = id;
        p->prog->n_typologies++;
        p->typologies[at].id = p->typology_names.items[at];
        typology_keys(p, &p->typologies[at], item, id);
    }
}
