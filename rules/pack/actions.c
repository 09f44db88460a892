/* Pack: what happens at a level of a typology - a warning, a queue, a decision. */
#include <math.h>
#include <string.h>

#include "rules/pack/compile.h"

/* An input of a type by field name, `f.<feature>` or `<type>.<field>`. */
static int input_of(struct pack *p, int type, const struct tsn_yaml_node *node, bool *known)
{
    const struct pack_type *t = &p->types[type];
    const char *text = node->text;
    const char *type_name = p->type_names.items[type];
    size_t prefix = strlen(type_name);
    if (strncmp(text, type_name, prefix) == 0 && text[prefix] == '.') {
        text += prefix + 1;
    }
    for (int i = 0; i < t->n_fields + t->n_slots; i++) {
        const char *name = i < t->n_fields ? t->fields[i].name : t->names[i].name;
        if (name && strcmp(name, text) == 0) {
            *known = true;
            return i;
        }
    }
    return TSN_NONE;
}

static bool is_text(const struct pack_type *t, int input)
{
    return !t->names[input].is_set && (tsn_rep_type(t->names[input].rep) == TSN_TYPE_STRING ||
                                       tsn_rep_type(t->names[input].rep) == TSN_TYPE_INT);
}

/* One source for all event types of the typology, or a map for each. What an event
 * type does not have must have a default in the template. */
static void fill_param(struct pack *p, const struct tsn_typology *typology,
                       const struct tsn_template_param *param, const struct tsn_yaml_node *node,
                       int *inputs)
{
    bool known = false;
    for (int t = 0; t < p->prog->n_types; t++) {
        if (!tsn_pack_raises(p, typology, t)) {
            continue;
        }
        const struct tsn_yaml_node *source =
            node->kind == TSN_YAML_MAP ? tsn_yaml_get(node, p->type_names.items[t]) : node;
        if (!source || source->kind != TSN_YAML_SCALAR) {
            continue;
        }
        bool found = false;
        int input = input_of(p, t, source, &found);
        if (!found && node->kind == TSN_YAML_MAP) {
            tsn_yaml_error(p->doc, source, NULL, "%s has no field or feature '%s'",
                           p->type_names.items[t], source->text);
        }
        if (found && !is_text(&p->types[t], input)) {
            tsn_yaml_error(p->doc, source, NULL, "'%s' is no text or number that could be shown",
                           source->text);
        }
        known = known || found;
        inputs[t] = input;
    }
    if (node->kind == TSN_YAML_MAP) {
        for (uint32_t i = 0; i < node->n; i++) {
            int type = tsn_pack_type(p, &node->pairs[i].key, "a parameter's source");
            if (type != TSN_NONE && !tsn_pack_raises(p, typology, type)) {
                tsn_yaml_error(p->doc, &node->pairs[i].key, "remove it",
                               "'entity' names no field of %s", p->type_names.items[type]);
            }
        }
    } else if (!known) {
        tsn_yaml_error(p->doc, node,
                       "write a field, or f.<feature>, of an event type under 'entity'",
                       "no event type of this typology has '%s'",
                       node->kind == TSN_YAML_SCALAR ? node->text : "");
        return;
    }
    for (int t = 0; t < p->prog->n_types && !param->fallback; t++) {
        if (tsn_pack_raises(p, typology, t) && inputs[t] == TSN_NONE) {
            tsn_yaml_error(p->doc, node,
                           "give the parameter a default in the template, or a source for each "
                           "event type",
                           "nothing fills {%s} when the event is of type %s", param->name,
                           p->type_names.items[t]);
        }
    }
}

static void params(struct pack *p, const struct tsn_typology *typology, struct tsn_sms_action *sms,
                   const struct tsn_yaml_node *node, const struct tsn_yaml_node *at)
{
    const struct tsn_template *template_ = &p->templates[sms->template_];
    const char *names[64];
    int n_names = 0;
    sms->param_field =
        tsn_arena_zalloc(p->mem, (size_t)template_->n_params + 1, sizeof *sms->param_field);
    for (int i = 0; i < template_->n_params; i++) {
        const struct tsn_template_param *param = &template_->params[i];
        int *inputs = tsn_arena_alloc(p->mem, (size_t)(p->prog->n_types + 1) * sizeof *inputs);
        for (int t = 0; t < p->prog->n_types; t++) {
            inputs[t] = TSN_NONE;
        }
        sms->param_field[i] = inputs;
        names[n_names++] = param->name;
        const struct tsn_yaml_node *source = tsn_yaml_get(node, param->name);
        if (source) {
            fill_param(p, typology, param, source, inputs);
        } else if (!param->fallback) {
            tsn_yaml_error(p->doc, node ? node : at, "write params: { <name>: <field> }",
                           "template '%s' needs the parameter '%s'", template_->id, param->name);
        }
    }
    tsn_yaml_check_keys(p->doc, node, "params", names, (size_t)n_names);
}

/* The receiver: the entity itself, or a field that every event type here has. */
static void receiver(struct pack *p, const struct tsn_typology *typology,
                     struct tsn_sms_action *sms, const struct tsn_yaml_node *node,
                     const struct tsn_yaml_node *at)
{
    const char *to = NULL;
    sms->to_field = tsn_arena_alloc(p->mem, (size_t)(p->prog->n_types + 1) * sizeof *sms->to_field);
    for (int t = 0; t < p->prog->n_types; t++) {
        sms->to_field[t] = TSN_NONE;
    }
    if (!node) {
        tsn_yaml_error(p->doc, at, "write to: entity, or to: <field>", "the sms has no 'to'");
        return;
    }
    if (!tsn_yaml_text(p->doc, node, "'to'", &to)) {
        return;
    }
    if (strcmp(to, "entity") == 0) {
        sms->to_entity = true;
        return;
    }
    for (int t = 0; t < p->prog->n_types; t++) {
        if (typology->entity_field[t] == TSN_NONE) {
            continue;
        }
        int field = tsn_names_find(&p->types[t].field_names, to);
        if (field == TSN_NONE || p->types[t].field_broken[field] ||
            p->types[t].fields[field].rep != TSN_REP_STRING) {
            tsn_yaml_error(p->doc, node,
                           "'to' is entity, or a string field of every event type "
                           "under 'entity'",
                           "%s has no string field '%s'", p->type_names.items[t], to);
            continue;
        }
        sms->to_field[t] = field;
    }
}

static void sms_action(struct pack *p, const struct tsn_typology *typology,
                       struct tsn_sms_action *sms, const struct tsn_yaml_node *node)
{
    static const char *const known[] = {"template", "to", "params"};
    if (!tsn_yaml_is_map(p->doc, node, "'sms'")) {
        return;
    }
    tsn_yaml_check_keys(p->doc, node, "sms", known, 3);
    receiver(p, typology, sms, tsn_yaml_get(node, "to"), node);
    const struct tsn_yaml_node *template_node = tsn_yaml_get(node, "template");
    const char *id = NULL;
    if (!template_node) {
        tsn_yaml_error(p->doc, node, "write template: <id>", "the sms has no 'template'");
        return;
    }
    if (!tsn_yaml_text(p->doc, template_node, "'template'", &id)) {
        return;
    }
    sms->template_ = tsn_names_find(&p->template_names, id);
    if (sms->template_ == TSN_NONE && !tsn_yaml_get(p->doc->root, "templates")) {
        sms->template_ = tsn_pack_template_elsewhere(p, template_node);
        return;
    }
    if (sms->template_ == TSN_NONE) {
        tsn_yaml_unknown(p->doc, template_node, "template", id, p->template_names.items,
                         p->template_names.n);
        return;
    }
    const struct tsn_yaml_node *params_node = tsn_yaml_get(node, "params");
    if (!params_node || tsn_yaml_is_map(p->doc, params_node, "'params'")) {
        params(p, typology, sms, params_node, template_node);
    }
}

static void level_actions(struct pack *p, const struct tsn_typology *typology,
                          struct tsn_action *action, const struct tsn_yaml_node *node)
{
    static const char *const known[] = {"sms", "queue", "decision", "cooldown", "valid_for"};
    if (!tsn_yaml_is_map(p->doc, node, "the actions of a level")) {
        return;
    }
    action->present = true;
    tsn_yaml_check_keys(p->doc, node, "actions", known, sizeof known / sizeof known[0]);
    action->queue = tsn_pack_text(p, tsn_yaml_get(node, "queue"), "'queue'");
    action->decision = tsn_pack_text(p, tsn_yaml_get(node, "decision"), "'decision'");
    tsn_yaml_duration(p->doc, tsn_yaml_get(node, "cooldown"), "'cooldown'", 1,
                      &action->cooldown_ms);
    tsn_yaml_duration(p->doc, tsn_yaml_get(node, "valid_for"), "'valid_for'", 1,
                      &action->valid_for_ms);
    if (action->cooldown_ms > PACK_WINDOW_MAX_MS || action->valid_for_ms > PACK_WINDOW_MAX_MS) {
        tsn_yaml_error(p->doc, node, NULL, "'cooldown' and 'valid_for' are at most 3653d");
    }
    sms_action(p, typology, &action->sms, tsn_yaml_get(node, "sms"));
}

void tsn_pack_actions(struct pack *p, struct tsn_typology *typology,
                      const struct tsn_yaml_node *node)
{
    for (int level = 0; level < TSN_LEVELS; level++) {
        typology->actions[level].sms.template_ = TSN_NONE;
    }
    if (!tsn_yaml_is_map(p->doc, node, "'actions'")) {
        return;
    }
    for (uint32_t i = 0; i < node->n; i++) {
        const struct tsn_yaml_node *key = &node->pairs[i].key;
        int level = tsn_pack_level(p, key);
        if (level == TSN_NONE) {
            continue;
        }
        if (!isfinite(typology->thresholds[level])) {
            tsn_yaml_error(p->doc, key, "add the level under 'thresholds'",
                           "level %s has actions but no threshold", key->text);
        }
        level_actions(p, typology, &typology->actions[level], &node->pairs[i].value);
    }
}
