/* Pack, block `features`: what is counted, over which rows, by whom. This phase
 * settles everything but expressions; scope.c compiles those once it is known what
 * each event type may name. */
#include <stdio.h>
#include <string.h>

#include "rules/diag/diag.h"
#include "rules/pack/compile.h"

/* What an aggregate takes and gives; the language's table of aggregates. */
static const struct {
    const char *name;
    bool takes_field;
    bool numbers; /* int, double, money */
    bool times;   /* timestamp, duration */
    bool others;  /* string, bool, enum */
    bool exclude; /* never counts the event itself */
} aggregates[TSN_AGGS] = {
    [TSN_AGG_COUNT] = {"count", false, false, false, false, false},
    [TSN_AGG_SUM] = {"sum", true, true, false, false, false},
    [TSN_AGG_AVG] = {"avg", true, true, false, false, false},
    [TSN_AGG_MIN] = {"min", true, true, true, false, false},
    [TSN_AGG_MAX] = {"max", true, true, true, false, false},
    [TSN_AGG_STDDEV] = {"stddev", true, true, false, false, false},
    [TSN_AGG_DISTINCT] = {"distinct", true, true, true, true, false},
    [TSN_AGG_FIRST] = {"first", true, true, true, true, false},
    [TSN_AGG_LAST] = {"last", true, true, true, true, true},
    [TSN_AGG_TIME_SINCE] = {"time_since", false, false, false, false, true},
    [TSN_AGG_SET] = {"set", true, false, false, false, false},
};

static bool field_fits(enum tsn_agg agg, enum tsn_rep rep)
{
    if (agg == TSN_AGG_SET) { /* what a list can hold and an entity be named by */
        return rep == TSN_REP_STRING || rep == TSN_REP_INT;
    }
    switch (rep) {
    case TSN_REP_INT:
    case TSN_REP_DOUBLE:
    case TSN_REP_MONEY:
        return aggregates[agg].numbers;
    case TSN_REP_TIME_MS:
    case TSN_REP_DURATION_MS:
        return aggregates[agg].times;
    default:
        return aggregates[agg].others;
    }
}

static const char *fitting(enum tsn_agg agg)
{
    return agg == TSN_AGG_SET       ? "a string or an int"
           : aggregates[agg].others ? "any field"
           : aggregates[agg].times  ? "an int, double, money, duration or timestamp"
                                    : "an int, a double or money";
}

/* What the value of an aggregate is kept as. */
static void value_form(struct tsn_feature *f, const struct tsn_field *field)
{
    switch (f->agg) {
    case TSN_AGG_COUNT:
    case TSN_AGG_DISTINCT:
    case TSN_AGG_SET:
        f->rep = TSN_REP_INT;
        return;
    case TSN_AGG_AVG:
    case TSN_AGG_STDDEV:
        f->rep = TSN_REP_DOUBLE;
        return;
    case TSN_AGG_TIME_SINCE:
        f->rep = TSN_REP_DURATION_MS;
        return;
    default:
        f->rep = field->rep;
        f->scale = field->scale;
        f->dict = field->rep == TSN_REP_ENUM ? &field->dict : NULL;
    }
}

/* `distinct(callee)` at a node: function and field. */
static bool aggregate(struct pack *p, struct tsn_feature *f, const struct tsn_yaml_node *node)
{
    const char *text = NULL;
    if (!tsn_yaml_text(p->doc, node, "'aggregate'", &text)) {
        return false;
    }
    size_t name_len = strcspn(text, " (");
    const char *names[TSN_AGGS];
    f->agg = TSN_AGGS;
    for (int i = 0; i < TSN_AGGS; i++) {
        names[i] = aggregates[i].name;
        if (strlen(names[i]) == name_len && memcmp(names[i], text, name_len) == 0) {
            f->agg = (enum tsn_agg)i;
        }
    }
    if (f->agg == TSN_AGGS) {
        char wrong[PACK_NAME_MAX];
        snprintf(wrong, sizeof wrong, "%.*s", (int)(name_len < 40 ? name_len : 40), text);
        tsn_yaml_unknown(p->doc, node, "aggregate", wrong, names, TSN_AGGS);
        return false;
    }
    const char *open = text + name_len;
    while (*open == ' ') {
        open++;
    }
    size_t rest = strlen(open);
    bool has_field = rest > 2 && open[0] == '(' && open[rest - 1] == ')';
    if (has_field != aggregates[f->agg].takes_field) {
        tsn_yaml_error(p->doc, node,
                       has_field ? "distinct(<field>) counts different values, sum(<field>) adds "
                                   "them up"
                                 : NULL,
                       has_field ? "'%s' takes no field: it looks at the rows themselves"
                                 : "'%s' needs a field: write %s(<field>)",
                       names[f->agg], names[f->agg]);
        return false;
    }
    if (!has_field) {
        if (rest) {
            tsn_yaml_error(p->doc, node, NULL, "write %s alone", names[f->agg]);
        }
        f->field = TSN_NONE;
        value_form(f, NULL);
        return rest == 0;
    }
    struct tsn_yaml_node inner = *node;
    while (*++open == ' ') {
    }
    rest = strlen(open) - 1;
    while (rest && open[rest - 1] == ' ') {
        rest--;
    }
    inner.text = tsn_arena_strdup(&p->scratch, open, rest);
    inner.n = (uint32_t)rest;
    int field = tsn_pack_field(p, f->event, &inner, "the field");
    if (field == TSN_NONE) {
        return false;
    }
    const struct tsn_field *of = &p->types[f->event].fields[field];
    if (!field_fits(f->agg, of->rep)) {
        tsn_yaml_error(p->doc, node, NULL, "%s takes %s; '%s' is of type %s%s", names[f->agg],
                       fitting(f->agg), of->name,
                       of->rep == TSN_REP_MONEY  ? "money"
                       : of->rep == TSN_REP_ENUM ? "enum"
                                                 : tsn_type_name(tsn_rep_type(of->rep)),
                       of->rep == TSN_REP_BOOL ? ", which is no number" : "");
        return false;
    }
    f->field = field;
    value_form(f, of);
    return true;
}

/* One field name or a list of them. Returns how many, 0 after an error. */
static int field_list(struct pack *p, int type, const struct tsn_yaml_node *node, const char *what,
                      int *out)
{
    if (node->kind == TSN_YAML_SCALAR) {
        out[0] = tsn_pack_field(p, type, node, what);
        return out[0] == TSN_NONE ? 0 : 1;
    }
    if (!tsn_yaml_is_sequence(p->doc, node, what)) {
        return 0;
    }
    if (node->n == 0 || node->n > TSN_BY_MAX) {
        tsn_yaml_error(p->doc, node, NULL, "%s names 1 to %d fields, this %u", what, TSN_BY_MAX,
                       (unsigned)node->n);
        return 0;
    }
    bool ok = true;
    for (uint32_t i = 0; i < node->n; i++) {
        out[i] = tsn_pack_field(p, type, &node->items[i], what);
        ok = ok && out[i] != TSN_NONE;
        for (uint32_t k = 0; k < i && ok; k++) {
            if (out[k] == out[i]) {
                tsn_yaml_error(p->doc, &node->items[i], NULL, "%s names '%s' twice", what,
                               p->types[type].fields[out[i]].name);
                ok = false;
            }
        }
    }
    return ok ? (int)node->n : 0;
}

static bool may_be_key(enum tsn_rep rep)
{
    return rep == TSN_REP_STRING || rep == TSN_REP_INT || rep == TSN_REP_ENUM ||
           rep == TSN_REP_BOOL;
}

/* The first field names an entity, so values of it are a person's and are masked
 * wherever they would be shown. A field that does not say so is taken to be of a
 * kind called like itself, with a warning. */
static int kind_of(struct pack *p, int type, int field, const struct tsn_yaml_node *node)
{
    struct tsn_field *of = &p->types[type].fields[field];
    if (of->entity_kind == TSN_NONE) {
        char advice[160];
        snprintf(advice, sizeof advice, "write entity: <kind> at %s.%s", p->type_names.items[type],
                 of->name);
        tsn_yaml_warn(p->doc, node, advice,
                      "'%s' names an entity here but is not declared as one; taken as entity: %s",
                      of->name, of->name);
        of->entity_kind = tsn_pack_kind(p, of->name);
    }
    return of->entity_kind;
}

static bool by(struct pack *p, struct tsn_feature *f, const struct tsn_yaml_node *node,
               const struct tsn_yaml_node *at)
{
    if (!node) {
        tsn_yaml_error(p->doc, at, "write by: <the field that names whose number this is>",
                       "feature '%s' has no 'by'", f->name);
        return false;
    }
    f->n_by = field_list(p, f->event, node, "'by'", f->by);
    if (f->n_by == 0) {
        return false;
    }
    bool ok = true;
    for (int i = 0; i < f->n_by; i++) {
        const struct tsn_field *field = &p->types[f->event].fields[f->by[i]];
        if (!may_be_key(field->rep) || (i == 0 && field->rep == TSN_REP_BOOL)) {
            tsn_yaml_error(p->doc, node, "use a string, int or enum field",
                           "'%s' cannot be a key: it is of type %s", field->name,
                           field->rep == TSN_REP_MONEY ? "money"
                                                       : tsn_type_name(tsn_rep_type(field->rep)));
            ok = false;
        }
    }
    if (ok) {
        f->entity_kind = kind_of(p, f->event, f->by[0], node);
    }
    return ok;
}

/* Fields of another type or role that name the same entity. */
static bool reading_fields(struct pack *p, const struct tsn_feature *f, int type,
                           const struct tsn_yaml_node *node, int *out)
{
    int n = field_list(p, type, node, "'read'", out);
    if (n == 0) {
        return false;
    }
    if (n != f->n_by) {
        tsn_yaml_error(p->doc, node, "name as many fields as 'by', in the same order",
                       "'read' names %d field%s, 'by' %d", n, n == 1 ? "" : "s", f->n_by);
        return false;
    }
    for (int i = 0; i < n; i++) {
        struct tsn_field *to = &p->types[type].fields[out[i]];
        const struct tsn_field *from = &p->types[f->event].fields[f->by[i]];
        if (to->rep != from->rep) {
            tsn_yaml_error(p->doc, node, "keys compare by type and value",
                           "'%s' is of type %s, but '%s' in 'by' of type %s", to->name,
                           tsn_type_name(tsn_rep_type(to->rep)), from->name,
                           tsn_type_name(tsn_rep_type(from->rep)));
            return false;
        }
        if (i == 0 && to->entity_kind == TSN_NONE) {
            to->entity_kind = f->entity_kind;
        } else if (i == 0 && to->entity_kind != f->entity_kind) {
            tsn_yaml_error(p->doc, node, NULL,
                           "'%s' names an entity '%s', but '%s' in 'by' names '%s'", to->name,
                           p->kind_names.items[to->entity_kind], from->name,
                           p->kind_names.items[f->entity_kind]);
            return false;
        }
    }
    return true;
}

static void add_slot(struct pack *p, int type, int feature, const char *role, const int *by_fields)
{
    struct pack_type *t = &p->types[type];
    const struct tsn_feature *f = &p->feature_out[feature];
    if (t->n_slots == t->slots_cap) {
        int cap = t->slots_cap ? t->slots_cap * 2 : 16;
        struct tsn_slot *grown = tsn_arena_zalloc(p->mem, (size_t)cap, sizeof *grown);
        if (t->n_slots) {
            memcpy(grown, t->slots, (size_t)t->n_slots * sizeof *grown);
        }
        t->slots = grown;
        t->slots_cap = cap;
    }
    struct tsn_slot *slot = &t->slots[t->n_slots++];
    *slot = (struct tsn_slot){.feature = feature, .is_writer = type == f->event};
    slot->role = role ? tsn_pack_strdup(p, role) : NULL;
    slot->name = role ? tsn_arena_printf(p->mem, "%s.%s", f->name, role) : f->name;
    for (int i = 0; i < TSN_BY_MAX; i++) {
        slot->by[i] = i < f->n_by ? by_fields[i] : TSN_NONE;
    }
}

/* `read: { transfer: payer }` or `{ transfer: { as_payer: payer, as_payee: payee } }`
 * or lists of fields in place of names. Slots of the writing type come first if
 * `read` does not name it. */
static bool readers(struct pack *p, int feature, const struct tsn_yaml_node *node)
{
    const struct tsn_feature *f = &p->feature_out[feature];
    bool own = node && tsn_yaml_get(node, p->type_names.items[f->event]);
    if (!own) {
        add_slot(p, f->event, feature, NULL, f->by);
    }
    if (!node) {
        return true;
    }
    if (!tsn_yaml_is_map(p->doc, node, "'read'")) {
        return false;
    }
    bool ok = true;
    for (uint32_t i = 0; i < node->n; i++) {
        const struct tsn_yaml_node *value = &node->pairs[i].value;
        int fields[TSN_BY_MAX];
        int type = tsn_pack_type(p, &node->pairs[i].key, "'read'");
        if (type == TSN_NONE) {
            ok = false;
            continue;
        }
        if (value->kind != TSN_YAML_MAP) {
            bool sound = reading_fields(p, f, type, value, fields);
            ok = ok && sound;
            add_slot(p, type, feature, NULL, sound ? fields : f->by);
            continue;
        }
        if (value->n == 0 || value->n > PACK_ROLES_MAX) {
            tsn_yaml_error(p->doc, value, NULL, "1 to %d roles, this has %u", PACK_ROLES_MAX,
                           (unsigned)value->n);
            ok = false;
            continue;
        }
        for (uint32_t k = 0; k < value->n; k++) {
            const struct tsn_yaml_node *role = &value->pairs[k].key;
            if (!tsn_pack_identifier(p, role, "role", false)) {
                ok = false;
                continue;
            }
            bool sound = reading_fields(p, f, type, &value->pairs[k].value, fields);
            ok = ok && sound;
            add_slot(p, type, feature, role->text, sound ? fields : f->by);
        }
    }
    return ok;
}

static bool window(struct pack *p, struct tsn_feature *f, const struct tsn_yaml_node *node,
                   const struct tsn_yaml_node *key)
{
    const struct tsn_yaml_node *window_node = tsn_yaml_get(node, "window");
    const struct tsn_yaml_node *delay_node = tsn_yaml_get(node, "delay");
    if (!window_node) {
        tsn_yaml_error(p->doc, key, "write window: 1h (units d, h, m, s, ms)",
                       "feature '%s' has no 'window'", f->name);
        return false;
    }
    bool ok = tsn_yaml_duration(p->doc, window_node, "'window'", 1, &f->window_ms);
    if (delay_node && !tsn_yaml_duration(p->doc, delay_node, "'delay'", 0, &f->delay_ms)) {
        ok = false;
    }
    if (ok && (f->window_ms > PACK_WINDOW_MAX_MS || f->delay_ms > PACK_WINDOW_MAX_MS)) {
        tsn_yaml_error(p->doc, f->window_ms > PACK_WINDOW_MAX_MS ? window_node : delay_node, NULL,
                       "'window' and 'delay' are at most 3653d");
        ok = false;
    }
    return ok;
}

static bool current_and_at(struct pack *p, struct tsn_feature *f, const struct tsn_yaml_node *node)
{
    static const char *const current_words[] = {"include", "exclude"};
    static const char *const at_words[] = {"event", "seen"};
    const struct tsn_yaml_node *current = tsn_yaml_get(node, "current");
    const struct tsn_yaml_node *at = tsn_yaml_get(node, "at");
    int word = 0;
    bool ok = !current || tsn_yaml_word(p->doc, current, "'current'", current_words, 2, &word);
    f->exclude_current = word == 1 || aggregates[f->agg].exclude;
    if (ok && current && word == 0 && aggregates[f->agg].exclude) {
        tsn_yaml_error(p->doc, current, "leave it out",
                       "%s always looks at rows before this event: 'include' has no meaning",
                       aggregates[f->agg].name);
        ok = false;
    }
    word = 0;
    ok = (!at || tsn_yaml_word(p->doc, at, "'at'", at_words, 2, &word)) && ok;
    f->at_seen = word == 1;
    return ok;
}

static bool caps(struct pack *p, struct tsn_feature *f, const struct tsn_yaml_node *node)
{
    const struct tsn_yaml_node *max_keys = tsn_yaml_get(node, "max_keys");
    const struct tsn_yaml_node *exact = tsn_yaml_get(node, "exact_up_to");
    bool ok = true;
    int64_t value = 0;
    if (f->n_by > 1 && !max_keys) {
        tsn_yaml_error(p->doc, tsn_yaml_get(node, "by"),
                       "write max_keys: 200 (how many are kept under one first field; the longest "
                       "silent one is forgotten first)",
                       "a feature by several fields needs 'max_keys'");
        ok = false;
    } else if (f->n_by == 1 && max_keys) {
        tsn_yaml_error(p->doc, max_keys, "leave it out",
                       "'max_keys' bounds features by several fields; this one is by one");
        ok = false;
    } else if (max_keys) {
        ok = tsn_yaml_int(p->doc, max_keys, "'max_keys'", 1, 1000000, &value);
        f->max_keys = (uint64_t)value;
    }
    value = 0;
    if (exact && f->agg == TSN_AGG_SET) {
        tsn_yaml_error(p->doc, exact, "write max: how many members are kept",
                       "'exact_up_to' bounds rows; a set is exact, and bounded by 'max'");
        ok = false;
    } else if (exact) {
        ok = tsn_yaml_int(p->doc, exact, "'exact_up_to'", TSN_EXACT_MIN, TSN_EXACT_MAX, &value) &&
             ok;
        f->exact_up_to = (uint64_t)value;
    }
    return ok;
}

/* A set is kept by one field: entries by several are forgotten by themselves, so their
 * members could not be counted up to `max` as well. */
static bool set_caps(struct pack *p, struct tsn_feature *f, const struct tsn_yaml_node *node)
{
    const struct tsn_yaml_node *max = tsn_yaml_get(node, "max");
    int64_t value = TSN_SET_DEFAULT;
    if (f->agg != TSN_AGG_SET) {
        if (max) {
            tsn_yaml_error(p->doc, max, f->n_by > 1 ? "write max_keys" : "leave it out",
                           "'max' bounds the members of a set; this is %s %s",
                           tsn_article(tsn_agg_name(f->agg)), tsn_agg_name(f->agg));
        }
        return !max;
    }
    if (f->n_by > 1) {
        tsn_yaml_error(p->doc, tsn_yaml_get(node, "by"), "name one field",
                       "a set is kept by one field, not by %d", f->n_by);
        return false;
    }
    if (max && !tsn_yaml_int(p->doc, max, "'max'", 1, TSN_SET_MAX, &value)) {
        return false;
    }
    f->max_members = (uint16_t)value;
    return true;
}

/* An expression feature has no rows, so nothing that speaks of rows. */
static bool expr_feature(struct pack *p, int feature, const struct tsn_yaml_node *node)
{
    static const char *const rows_only[] = {"where",    "by",      "read", "window",      "delay",
                                            "max_keys", "current", "at",   "exact_up_to", "max"};
    struct tsn_feature *f = &p->feature_out[feature];
    f->agg = TSN_AGG_EXPR;
    f->entity_kind = TSN_NONE;
    bool ok = true;
    for (size_t i = 0; i < sizeof rows_only / sizeof rows_only[0]; i++) {
        const struct tsn_yaml_node *wrong = tsn_yaml_get(node, rows_only[i]);
        if (wrong) {
            tsn_yaml_error(p->doc, wrong, "leave it out",
                           "'%s' has no meaning for an 'expr' feature: it is computed from this "
                           "event alone",
                           rows_only[i]);
            ok = false;
        }
    }
    add_slot(p, f->event, feature, NULL, f->by);
    return ok;
}

static bool feature_keys(struct pack *p, int feature, const struct tsn_yaml_node *node,
                         const struct tsn_yaml_node *key)
{
    static const char *const known[] = {"name",     "event",       "where", "aggregate",   "by",
                                        "read",     "window",      "delay", "current",     "at",
                                        "max_keys", "exact_up_to", "expr",  "description", "max"};
    struct tsn_feature *f = &p->feature_out[feature];
    tsn_yaml_check_keys(p->doc, node, "a feature", known, sizeof known / sizeof known[0]);
    const struct tsn_yaml_node *event = tsn_yaml_get(node, "event");
    if (!event) {
        tsn_yaml_error(p->doc, key, "write event: <the event type whose rows it is made from>",
                       "feature '%s' has no 'event'", f->name);
        return false;
    }
    f->event = tsn_pack_type(p, event, "'event'");
    if (f->event == TSN_NONE) {
        return false;
    }
    const struct tsn_yaml_node *agg = tsn_yaml_get(node, "aggregate");
    const struct tsn_yaml_node *expr = tsn_yaml_get(node, "expr");
    if (!agg == !expr) {
        tsn_yaml_error(p->doc, agg ? expr : key, "write aggregate: count, or expr: '<expression>'",
                       "feature '%s' has %s", f->name,
                       agg ? "both 'aggregate' and 'expr'" : "neither 'aggregate' nor 'expr'");
        return false;
    }
    if (expr) {
        return expr_feature(p, feature, node);
    }
    bool ok = aggregate(p, f, agg);
    if (!ok) {
        f->agg = TSN_AGG_COUNT; /* so that the rest can be checked */
        f->field = TSN_NONE;
        f->rep = TSN_REP_INT;
    }
    ok = window(p, f, node, key) && ok;
    ok = current_and_at(p, f, node) && ok;
    if (!by(p, f, tsn_yaml_get(node, "by"), key)) {
        return false;
    }
    ok = caps(p, f, node) && ok;
    ok = set_caps(p, f, node) && ok;
    return readers(p, feature, tsn_yaml_get(node, "read")) && ok;
}

void tsn_pack_features(struct pack *p)
{
    const struct tsn_yaml_node *node = tsn_yaml_get(p->doc->root, "features");
    if (!tsn_yaml_is_sequence(p->doc, node, "'features'")) {
        return;
    }
    uint32_t n = node->n;
    if (n > TSN_FEATURES_MAX) {
        tsn_yaml_error(p->doc, node, NULL, "%u features; at most %d", (unsigned)n,
                       TSN_FEATURES_MAX);
        n = TSN_FEATURES_MAX;
    }
    p->feature_out = tsn_arena_zalloc(p->mem, n, sizeof *p->feature_out);
    p->features = tsn_arena_zalloc(&p->scratch, n, sizeof *p->features);
    p->prog->features = p->feature_out;
    for (uint32_t i = 0; i < n; i++) {
        const struct tsn_yaml_node *item = &node->items[i];
        if (!tsn_yaml_is_map(p->doc, item, "a feature")) {
            continue;
        }
        const struct tsn_yaml_node *name = tsn_yaml_get(item, "name");
        if (!name) {
            tsn_yaml_error(p->doc, item, "write name: <name>, used as f.<name>",
                           "a feature without a 'name'");
            continue;
        }
        if (!tsn_pack_identifier(p, name, "feature", false)) {
            continue;
        }
        int at = tsn_names_add(&p->feature_names, tsn_pack_strdup(p, name->text));
        if (at == TSN_NONE) {
            int first = tsn_names_find(&p->feature_names, name->text);
            tsn_pack_twice(p, name, "feature", tsn_yaml_get(p->features[first].node, "name"));
            continue;
        }
        p->prog->n_features++;
        p->features[at].node = item;
        p->feature_out[at] = (struct tsn_feature){.name = p->feature_names.items[at],
                                                  .field = TSN_NONE,
                                                  .entity_kind = TSN_NONE,
                                                  .where = TSN_EXPR_NONE,
                                                  .expr = TSN_EXPR_NONE};
        if (!feature_keys(p, at, item, name)) {
            p->features[at].broken = true;
            tsn_names_add(&p->broken,
                          tsn_arena_printf(&p->scratch, "f.%s", p->feature_names.items[at]));
        }
    }
}
