/* Pack, block `events`: the event types and their fields.
 *
 * What a field is called here is what expressions, features and typologies use;
 * how a record of the outside world spells it is a matter of the source mapping. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/diag/diag.h"
#include "rules/pack/compile.h"
#include "rules/program/currency.h"

static const char *const type_words[] = {"string", "int",       "double",   "bool",
                                         "money",  "timestamp", "duration", "enum"};
static const enum tsn_rep type_reps[] = {TSN_REP_STRING,      TSN_REP_INT,   TSN_REP_DOUBLE,
                                         TSN_REP_BOOL,        TSN_REP_MONEY, TSN_REP_TIME_MS,
                                         TSN_REP_DURATION_MS, TSN_REP_ENUM};
enum { N_TYPE_WORDS = sizeof type_words / sizeof type_words[0] };

int tsn_pack_kind(struct pack *p, const char *name)
{
    int known = tsn_names_find(&p->kind_names, name);
    return known != TSN_NONE ? known : tsn_names_add(&p->kind_names, tsn_pack_strdup(p, name));
}

int tsn_pack_type(struct pack *p, const struct tsn_yaml_node *node, const char *what)
{
    const char *name = NULL;
    if (!tsn_yaml_text(p->doc, node, what, &name)) {
        return TSN_NONE;
    }
    int type = tsn_names_find(&p->type_names, name);
    if (type == TSN_NONE) {
        tsn_yaml_unknown(p->doc, node, "event type", name, p->type_names.items, p->type_names.n);
    }
    return type;
}

int tsn_pack_field(struct pack *p, int type, const struct tsn_yaml_node *node, const char *what)
{
    const char *name = NULL;
    if (!tsn_yaml_text(p->doc, node, what, &name)) {
        return TSN_NONE;
    }
    const struct pack_type *t = &p->types[type];
    const char *type_name = p->type_names.items[type];
    size_t prefix = strlen(type_name);
    if (strncmp(name, type_name, prefix) == 0 && name[prefix] == '.') {
        name += prefix + 1;
    }
    int field = tsn_names_find(&t->field_names, name);
    if (field == TSN_NONE) {
        char of[PACK_NAME_MAX + 32];
        snprintf(of, sizeof of, "field of %s:", type_name);
        tsn_yaml_unknown(p->doc, node, of, name, t->field_names.items, t->field_names.n);
        return TSN_NONE;
    }
    return t->field_broken[field] ? TSN_NONE : field;
}

static void enum_values(struct pack *p, struct tsn_field *field, const struct tsn_yaml_node *node,
                        const struct tsn_yaml_node *field_node, bool *broken)
{
    if (!node) {
        tsn_yaml_error(p->doc, field_node, "write values: [a, b, c]",
                       "an enum must list its 'values'");
        *broken = true;
        return;
    }
    if (!tsn_yaml_is_sequence(p->doc, node, "'values'")) {
        *broken = true;
        return;
    }
    if (node->n == 0 || node->n > UINT16_MAX) {
        tsn_yaml_error(p->doc, node, NULL, "an enum has 1 to %d values, this one %u", UINT16_MAX,
                       (unsigned)node->n);
        *broken = true;
        return;
    }
    struct tsn_str *names = tsn_arena_zalloc(p->mem, node->n, sizeof *names);
    struct names seen = {0};
    for (uint32_t i = 0; i < node->n; i++) {
        const char *text = NULL;
        if (!tsn_yaml_text(p->doc, &node->items[i], "a value", &text)) {
            *broken = true;
            continue;
        }
        if (tsn_names_add(&seen, text) == TSN_NONE) {
            tsn_yaml_error(p->doc, &node->items[i], NULL, "value '%s' is listed twice", text);
            *broken = true;
        }
        names[i] = (struct tsn_str){tsn_pack_strdup(p, text), (uint32_t)strlen(text)};
    }
    tsn_names_free(&seen);
    field->dict = (struct tsn_dict){node->n, names};
}

/* A money field's currency is a constant code or the name of a field. Fields may
 * stand in any order, so this runs when all are known. */
static void currency(struct pack *p, struct pack_type *t, int at,
                     const struct tsn_yaml_node *field_node)
{
    struct tsn_field *field = &t->fields[at];
    const struct tsn_yaml_node *node = tsn_yaml_get(field_node, "currency");
    if (field->rep != TSN_REP_MONEY) {
        return;
    }
    const char *text = NULL;
    if (!node) {
        tsn_yaml_error(p->doc, field_node,
                       "write currency: CNY, or currency: <the field that holds the code>",
                       "money needs a 'currency'");
        t->field_broken[at] = true;
        return;
    }
    if (!tsn_yaml_text(p->doc, node, "'currency'", &text)) {
        t->field_broken[at] = true;
        return;
    }
    int by = tsn_names_find(&t->field_names, text);
    if (by != TSN_NONE) {
        if (t->fields[by].rep != TSN_REP_STRING && t->fields[by].rep != TSN_REP_ENUM) {
            tsn_yaml_error(p->doc, node, NULL,
                           "the currency field '%s' must be a string or an enum", text);
            t->field_broken[at] = true;
        }
        field->currency_field = by;
        field->scale = TSN_MONEY_SCALE_ANY;
        return;
    }
    int digits = tsn_currency_digits(text, strlen(text));
    if (digits < 0) {
        tsn_yaml_unknown(p->doc, node, "currency (neither an ISO 4217 code nor a field):", text,
                         t->field_names.items, t->field_names.n);
        t->field_broken[at] = true;
        return;
    }
    field->currency = tsn_pack_strdup(p, text);
    field->scale = (uint8_t)digits;
}

static void field_keys(struct pack *p, struct pack_type *t, int at,
                       const struct tsn_yaml_node *node)
{
    static const char *const known[] = {"type",     "required", "entity",
                                        "currency", "values",   "description"};
    struct tsn_field *field = &t->fields[at];
    bool *broken = &t->field_broken[at];
    *broken = true;
    if (node->kind == TSN_YAML_SCALAR && node->n) { /* `amount: double` */
        int word = 0;
        if (tsn_yaml_word(p->doc, node, "a field's type", type_words, N_TYPE_WORDS, &word)) {
            field->rep = type_reps[word];
            *broken = false;
            if (field->rep == TSN_REP_ENUM) {
                enum_values(p, field, NULL, node, broken);
            }
        }
        return;
    }
    if (!tsn_yaml_is_map(p->doc, node, "a field")) {
        return;
    }
    tsn_yaml_check_keys(p->doc, node, "a field", known, sizeof known / sizeof known[0]);
    const struct tsn_yaml_node *type = tsn_yaml_get(node, "type");
    int word = 0;
    if (!type) {
        tsn_yaml_error(p->doc, node,
                       "write type: string, int, double, bool, money, timestamp, "
                       "duration or enum",
                       "field '%s' has no 'type'", field->name);
        return;
    }
    if (!tsn_yaml_word(p->doc, type, "'type'", type_words, N_TYPE_WORDS, &word)) {
        return;
    }
    *broken = false;
    field->rep = type_reps[word];
    tsn_yaml_bool(p->doc, tsn_yaml_get(node, "required"), "'required'", &field->required);
    const struct tsn_yaml_node *entity = tsn_yaml_get(node, "entity");
    if (entity && tsn_pack_identifier(p, entity, "an entity kind", false)) {
        if (field->rep != TSN_REP_STRING && field->rep != TSN_REP_INT &&
            field->rep != TSN_REP_ENUM) {
            tsn_yaml_error(p->doc, entity, "entities are named by string, int or enum fields",
                           "%s %s cannot name an entity", tsn_article(type_words[word]),
                           type_words[word]);
        } else {
            field->entity_kind = tsn_pack_kind(p, entity->text);
        }
    }
    const struct tsn_yaml_node *values = tsn_yaml_get(node, "values");
    if (field->rep == TSN_REP_ENUM) {
        enum_values(p, field, values, node, broken);
    } else if (values) {
        tsn_yaml_error(p->doc, values, "write type: enum", "only an enum has 'values'");
    }
    const struct tsn_yaml_node *of = tsn_yaml_get(node, "currency");
    if (of && field->rep != TSN_REP_MONEY) {
        tsn_yaml_error(p->doc, of, "write type: money", "only money has a 'currency'");
    }
}

static void event_fields(struct pack *p, struct pack_type *t, const struct tsn_yaml_node *node,
                         const char *type_name)
{
    uint32_t n = node && node->kind == TSN_YAML_MAP ? node->n : 0;
    if (n >= TSN_FIELDS_MAX) {
        tsn_yaml_error(p->doc, node, NULL, "%s has %u fields; at most %d", type_name, (unsigned)n,
                       TSN_FIELDS_MAX - 1);
        n = TSN_FIELDS_MAX - 1;
    }
    t->fields = tsn_arena_zalloc(p->mem, n + 1, sizeof *t->fields);
    t->field_broken = tsn_arena_zalloc(&p->scratch, n + 1, sizeof *t->field_broken);
    const struct tsn_yaml_node **nodes = tsn_arena_zalloc(&p->scratch, n + 1, sizeof *nodes);
    t->fields[0] = (struct tsn_field){.name = "time",
                                      .rep = TSN_REP_TIME_MS,
                                      .required = true,
                                      .entity_kind = TSN_NONE,
                                      .currency_field = TSN_NONE};
    t->n_fields = 1;
    tsn_names_add(&t->field_names, "time");
    for (uint32_t i = 0; i < n; i++) {
        const struct tsn_yaml_node *key = &node->pairs[i].key;
        if (!tsn_pack_identifier(p, key, "field", false)) {
            continue;
        }
        if (strcmp(key->text, "time") == 0) {
            tsn_yaml_error(p->doc, key,
                           "remove it: which part of a record is its time is said in "
                           "the source mapping",
                           "every event has 'time' already");
            continue;
        }
        int at = t->n_fields;
        struct tsn_field *field = &t->fields[at];
        field->name = tsn_pack_strdup(p, key->text);
        field->entity_kind = TSN_NONE;
        field->currency_field = TSN_NONE;
        if (tsn_names_add(&t->field_names, field->name) == TSN_NONE) {
            continue; /* reported as a duplicate key */
        }
        t->n_fields++;
        nodes[at] = &node->pairs[i].value;
        field_keys(p, t, at, &node->pairs[i].value);
    }
    for (int at = 1; at < t->n_fields; at++) {
        if (!t->field_broken[at]) {
            currency(p, t, at, nodes[at]);
        }
    }
    for (int at = 1; at < t->n_fields; at++) {
        if (t->field_broken[at]) {
            tsn_names_add(&p->broken,
                          tsn_arena_printf(&p->scratch, "%s.%s", type_name, t->fields[at].name));
        }
    }
}

static void event_id(struct pack *p, int type, struct tsn_event_type *out,
                     const struct tsn_yaml_node *node)
{
    out->id_field = TSN_NONE;
    if (!node) {
        return;
    }
    int field = tsn_pack_field(p, type, node, "'id'");
    if (field == TSN_NONE) {
        return;
    }
    enum tsn_rep rep = p->types[type].fields[field].rep;
    if (rep != TSN_REP_STRING && rep != TSN_REP_INT) {
        tsn_yaml_error(p->doc, node, "duplicates are told by a string or an int",
                       "field '%s' cannot be the id", node->text);
        return;
    }
    out->id_field = field;
}

void tsn_pack_events(struct pack *p)
{
    static const char *const known[] = {"id", "fields", "description"};
    const struct tsn_yaml_node *node = tsn_yaml_get(p->doc->root, "events");
    if (!node) {
        tsn_yaml_error(p->doc, p->doc->root,
                       "write events: { <name>: { fields: { <field>: { type: string } } } }",
                       "the pack declares no 'events'");
        return;
    }
    if (!tsn_yaml_is_map(p->doc, node, "'events'")) {
        return;
    }
    uint32_t n = node->n;
    if (n > TSN_TYPES_MAX) {
        tsn_yaml_error(p->doc, node, NULL, "%u event types; at most %d", (unsigned)n,
                       TSN_TYPES_MAX);
        n = TSN_TYPES_MAX;
    }
    struct tsn_event_type *out = tsn_arena_zalloc(p->mem, n, sizeof *out);
    p->types = tsn_arena_zalloc(&p->scratch, n, sizeof *p->types);
    p->prog->types = out;
    for (uint32_t i = 0; i < n; i++) {
        const struct tsn_yaml_node *key = &node->pairs[i].key;
        const struct tsn_yaml_node *value = &node->pairs[i].value;
        if (!tsn_pack_identifier(p, key, "event type", true)) {
            continue;
        }
        char *name = tsn_pack_strdup(p, key->text);
        int type = tsn_names_add(&p->type_names, name);
        if (type == TSN_NONE) {
            continue; /* reported as a duplicate key */
        }
        p->prog->n_types++;
        out[type].name = name;
        struct pack_type *t = &p->types[type];
        t->node = key;
        const struct tsn_yaml_node *fields = NULL;
        if (tsn_yaml_is_map(p->doc, value, "an event type")) {
            tsn_yaml_check_keys(p->doc, value, "an event type", known,
                                sizeof known / sizeof known[0]);
            fields = tsn_yaml_get(value, "fields");
            if (!fields) {
                tsn_yaml_error(p->doc, key, "write fields: { <field>: { type: string } }",
                               "event type '%s' has no 'fields'", name);
            } else if (!tsn_yaml_is_map(p->doc, fields, "'fields'")) {
                fields = NULL;
            }
        }
        event_fields(p, t, fields, name);
        event_id(p, type, &out[type], tsn_yaml_get(value, "id"));
        out[type].n_fields = t->n_fields;
        out[type].fields = t->fields;
    }
}
