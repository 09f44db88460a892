/* Pack, `for_each` in a rule's `do`: what a hit does to every member of a set.
 *
 * Two things can be done to a member: the rule's hit counts on it in a typology, or it
 * is added to a list. A hit that is handed out counts on the members only, not on the
 * entity that the event names as well: that one is a member too if it was in the rows.
 * The alternative, a typology of its own syntax for members, would say twice what a
 * case is. Typologies are declared below rules, so names are looked up at the end. */
#include <stdio.h>
#include <string.h>

#include "rules/pack/compile.h"

static const char *slot_text(struct pack *p, const struct tsn_slot *slot)
{
    return tsn_arena_printf(&p->scratch, "f.%s", slot->name);
}

/* The set that a node names, as the event type reads it; says what is wrong. */
static int set_slot(struct pack *p, int type, const struct tsn_yaml_node *node)
{
    const struct pack_type *t = &p->types[type];
    const char *text = NULL;
    if (!tsn_yaml_text(p->doc, node, "'for_each'", &text)) {
        return TSN_NONE;
    }
    if (strncmp(text, "f.", 2) == 0) {
        text += 2;
    }
    const char **sets = tsn_arena_alloc(&p->scratch, ((size_t)t->n_slots + 1) * sizeof *sets);
    size_t n_sets = 0;
    for (int s = 0; s < t->n_slots; s++) {
        const struct tsn_feature *f = &p->feature_out[t->slots[s].feature];
        bool named = strcmp(t->slots[s].name, text) == 0;
        if (named && p->features[t->slots[s].feature].broken) {
            return TSN_NONE;
        }
        if (named && f->agg != TSN_AGG_SET) {
            tsn_yaml_error(p->doc, node, "write aggregate: set(<field>) at the feature",
                           "'f.%s' has no members: it is %s %s", text,
                           f->agg == TSN_AGG_EXPR ? "an" : "a", tsn_agg_name(f->agg));
            return TSN_NONE;
        }
        if (named) {
            return s;
        }
        if (f->agg == TSN_AGG_SET) {
            sets[n_sets++] = slot_text(p, &t->slots[s]);
        }
    }
    int feature = tsn_names_find(&p->feature_names, text);
    if (feature == TSN_NONE) {
        tsn_yaml_unknown(p->doc, node, "set", node->text, sets, n_sets);
    } else if (!p->features[feature].broken) {
        const char *event = p->type_names.items[type];
        tsn_yaml_error(p->doc, node,
                       n_sets ? "write one of the sets that the event reads, with its role"
                              : "name the event under the feature's 'read'",
                       "%s does not read 'f.%s'", event, text);
    }
    return TSN_NONE;
}

static const struct tsn_field *member_field(const struct pack *p, int type, int slot)
{
    const struct tsn_feature *f = &p->feature_out[p->types[type].slots[slot].feature];
    return &p->types[f->event].fields[f->field];
}

static bool members_to_list(struct pack *p, const struct tsn_rule *rule,
                            const struct tsn_yaml_node *node, struct tsn_fan *out)
{
    out->list = tsn_pack_list(p, node);
    if (out->list == TSN_NONE) {
        return false;
    }
    const struct tsn_list_decl *decl = &p->list_decls[out->list];
    const struct tsn_field *of = member_field(p, rule->event, out->slot);
    if (tsn_rep_type(of->rep) != decl->of) {
        tsn_yaml_error(p->doc, node, NULL, "list '%s' is of %s, the set holds '%s' of type %s",
                       decl->name, tsn_type_name(decl->of), of->name,
                       tsn_type_name(tsn_rep_type(of->rep)));
        return false;
    }
    tsn_pack_list_written(p, rule, out->list);
    return true;
}

static void fan_add(struct pack *p, struct pack_fan fan)
{
    if (p->n_fans == p->fans_cap) {
        p->fans_cap = p->fans_cap ? p->fans_cap * 2 : 8;
        struct pack_fan *grown = tsn_arena_alloc(&p->scratch, (size_t)p->fans_cap * sizeof *grown);
        if (p->n_fans) {
            memcpy(grown, p->fans, (size_t)p->n_fans * sizeof *grown);
        }
        p->fans = grown;
    }
    p->fans[p->n_fans++] = fan;
}

bool tsn_pack_for_each(struct pack *p, int rule, const struct tsn_yaml_node *node,
                       struct tsn_fan *out)
{
    static const char *const known[] = {"for_each", "add_to_list", "hit"};
    const struct tsn_yaml_node *value = tsn_yaml_get(node, "value");
    if (value) {
        tsn_yaml_error(p->doc, value, "leave it out",
                       "with 'for_each' the value is the member of the set");
        return false;
    }
    tsn_yaml_check_keys(p->doc, node, "an action with 'for_each'", known, 3);
    const struct tsn_yaml_node *for_each = tsn_yaml_get(node, "for_each");
    const struct tsn_yaml_node *list = tsn_yaml_get(node, "add_to_list");
    const struct tsn_yaml_node *hit = tsn_yaml_get(node, "hit");
    const char *unused = NULL;
    if (!list == !hit) {
        tsn_yaml_error(p->doc, node,
                       "write { for_each: f.<set>, hit: <typology> } or { for_each: f.<set>, "
                       "add_to_list: <list> }",
                       "an action with 'for_each' says one thing to do to each member, this %s",
                       list ? "two" : "none");
        return false;
    }
    *out = (struct tsn_fan){.list = TSN_NONE, .typology = TSN_NONE};
    out->slot = set_slot(p, p->rules[rule].event, for_each);
    if (out->slot == TSN_NONE || (hit && !tsn_yaml_text(p->doc, hit, "'hit'", &unused))) {
        return false;
    }
    if (list && !members_to_list(p, &p->rules[rule], list, out)) {
        return false;
    }
    fan_add(p, (struct pack_fan){.rule = rule, .out = out, .for_each = for_each, .hit = hit});
    return true;
}

bool tsn_pack_fans_into(const struct pack *p, int rule, const char *typology)
{
    for (int i = 0; i < p->n_fans; i++) {
        if (p->fans[i].rule == rule && p->fans[i].hit &&
            strcmp(p->fans[i].hit->text, typology) == 0) {
            return true;
        }
    }
    return false;
}

bool tsn_pack_raises(const struct pack *p, const struct tsn_typology *typology, int type)
{
    bool raises = typology->entity_field[type] != TSN_NONE;
    for (int w = 0; w < typology->n_weights && !raises; w++) {
        int rule = typology->weights[w].rule;
        raises = p->rules[rule].event == type && tsn_pack_fans_into(p, rule, typology->id);
    }
    return raises;
}

/* ---- when typologies are known ---------------------------------------------------------- */

static bool weighs(const struct tsn_typology *typology, int rule)
{
    for (int w = 0; w < typology->n_weights; w++) {
        if (typology->weights[w].rule == rule) {
            return true;
        }
    }
    return false;
}

/* A case is open on one kind of entity, told apart by type and value. */
static bool member_fits(struct pack *p, const struct pack_fan *fan,
                        const struct tsn_typology *typology)
{
    const struct tsn_feature *f =
        &p->feature_out[p->types[p->rules[fan->rule].event].slots[fan->out->slot].feature];
    const struct tsn_field *of = &p->types[f->event].fields[f->field];
    if (of->entity_kind == TSN_NONE) {
        char advice[160];
        snprintf(advice, sizeof advice, "write entity: <kind> at %s.%s",
                 p->type_names.items[f->event], of->name);
        tsn_yaml_error(p->doc, fan->for_each, advice, "the members of 'f.%s' name no entity",
                       f->name);
        return false;
    }
    if (of->entity_kind != typology->entity_kind) {
        tsn_yaml_error(p->doc, fan->hit, "a case is open on one kind of entity",
                       "the members of 'f.%s' name an entity '%s', the typology is about '%s'",
                       f->name, p->kind_names.items[of->entity_kind],
                       p->kind_names.items[typology->entity_kind]);
        return false;
    }
    for (int t = 0; t < p->prog->n_types; t++) {
        int field = typology->entity_field[t];
        if (field != TSN_NONE && p->types[t].fields[field].rep != of->rep) {
            tsn_yaml_error(p->doc, fan->hit, "keys compare by type and value",
                           "the members of 'f.%s' are of type %s, '%s' of type %s", f->name,
                           tsn_type_name(tsn_rep_type(of->rep)), p->types[t].fields[field].name,
                           tsn_type_name(tsn_rep_type(p->types[t].fields[field].rep)));
            return false;
        }
    }
    return true;
}

/* A field of the event is one and the same for every member. */
static bool warns_members(struct pack *p, const struct pack_fan *fan,
                          const struct tsn_typology *typology)
{
    for (int level = TSN_LEVEL_MINOR; level < TSN_LEVELS; level++) {
        const struct tsn_action *action = &typology->actions[level];
        if (action->present && action->sms.template_ != TSN_NONE && !action->sms.to_entity) {
            tsn_yaml_error(p->doc, fan->hit, "write to: entity",
                           "the sms of level %s of '%s' goes to a field of the event, not to the "
                           "member",
                           tsn_level_name((enum tsn_level)level), typology->id);
            return false;
        }
    }
    return true;
}

static void fan_resolve(struct pack *p, const struct pack_fan *fan)
{
    const char *rule = p->rules[fan->rule].id;
    if (p->rules[fan->rule].after_ms > 0) {
        tsn_yaml_error(p->doc, fan->for_each, "use a rule without 'after'",
                       "'for_each' needs the set as the event saw it; rule '%s' fires later", rule);
        return;
    }
    if (!fan->hit) {
        return;
    }
    int at = tsn_names_find(&p->typology_names, fan->hit->text);
    if (at == TSN_NONE) {
        tsn_yaml_unknown(p->doc, fan->hit, "typology", fan->hit->text, p->typology_names.items,
                         p->typology_names.n);
        return;
    }
    const struct tsn_typology *typology = &p->typologies[at];
    if (tsn_rule_fan(&p->rules[fan->rule], at)) {
        tsn_yaml_error(p->doc, fan->hit, "hand out one set, or use another rule",
                       "rule '%s' hits '%s' for each member twice", rule, typology->id);
        return;
    }
    if (typology->score || !weighs(typology, fan->rule)) {
        tsn_yaml_error(p->doc, fan->hit, "write it under 'weights' of the typology",
                       "rule '%s' has no weight in '%s'", rule, typology->id);
        return;
    }
    if (typology->entity_kind != TSN_NONE && member_fits(p, fan, typology) &&
        warns_members(p, fan, typology)) {
        fan->out->typology = at;
    }
}

void tsn_pack_fans(struct pack *p)
{
    for (int i = 0; i < p->n_fans; i++) {
        if (p->rules[p->fans[i].rule].event != TSN_NONE) {
            fan_resolve(p, &p->fans[i]);
        }
    }
}
