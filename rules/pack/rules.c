/* Pack, block `rules`: conditions on one event type, each with its reason. */
#include <math.h>
#include <string.h>

#include "rules/pack/compile.h"

static const struct tsn_expr_type want_bool = {.type = TSN_TYPE_BOOL};

/* ---- what a hit does ----------------------------------------------------------------- */

int tsn_pack_list(struct pack *p, const struct tsn_yaml_node *node)
{
    const char *name = NULL;
    if (!tsn_yaml_text(p->doc, node, "'add_to_list'", &name)) {
        return TSN_NONE;
    }
    if (strncmp(name, "lists.", 6) == 0) {
        name += 6;
    }
    int list = tsn_names_find(&p->list_names, name);
    if (list == TSN_NONE) {
        tsn_yaml_unknown(p->doc, node, "list", name, p->list_names.items, p->list_names.n);
    }
    return list;
}

/* Lists are marked before any condition is compiled: a condition may read a list
 * that a later rule writes. */
void tsn_pack_list_written(struct pack *p, const struct tsn_rule *rule, int list)
{
    struct pack_list *of = &p->lists[list];
    struct tsn_list_decl *decl = &p->list_decls[list];
    of->written_by_any = of->written_by_any || rule->mode != TSN_MODE_DISABLED;
    decl->written = decl->written || rule->mode == TSN_MODE_LIVE;
    if (decl->max == 0) {
        decl->max = PACK_LIST_MAX_DEFAULT;
        tsn_yaml_warn(p->doc, of->node, "write max: and ttl: to say what may be forgotten",
                      "list '%s' is filled by a rule and has no 'max'; taken as %d", decl->name,
                      PACK_LIST_MAX_DEFAULT);
    }
}

static bool list_write(struct pack *p, struct tsn_rule *rule, const struct tsn_yaml_node *node,
                       struct tsn_list_write *out)
{
    static const char *const known[] = {"add_to_list", "value", "for_each", "hit"};
    tsn_yaml_check_keys(p->doc, node, "an action of 'do'", known, 4);
    const struct tsn_yaml_node *hit = tsn_yaml_get(node, "hit");
    if (hit) {
        tsn_yaml_error(p->doc, hit,
                       "write for_each: f.<set> beside it, or give the rule a weight in the "
                       "typology",
                       "'hit' is for the members of a set");
        return false;
    }
    const struct tsn_yaml_node *list_node = tsn_yaml_get(node, "add_to_list");
    const struct tsn_yaml_node *value = tsn_yaml_get(node, "value");
    if (!list_node || !value) {
        tsn_yaml_error(p->doc, node, "write { add_to_list: <list>, value: <field> }",
                       "an action of 'do' needs 'add_to_list' and 'value'");
        return false;
    }
    int list = tsn_pack_list(p, list_node);
    int field = list == TSN_NONE ? TSN_NONE : tsn_pack_field(p, rule->event, value, "'value'");
    if (field == TSN_NONE) {
        return false;
    }
    const struct tsn_field *of = &p->types[rule->event].fields[field];
    if (tsn_rep_type(of->rep) != p->list_decls[list].of) {
        tsn_yaml_error(p->doc, value, NULL, "list '%s' is of %s, field '%s' of type %s",
                       p->list_decls[list].name, tsn_type_name(p->list_decls[list].of), of->name,
                       tsn_type_name(tsn_rep_type(of->rep)));
        return false;
    }
    *out = (struct tsn_list_write){.list = list, .field = field};
    tsn_pack_list_written(p, rule, list);
    return true;
}

static bool actions(struct pack *p, int index, const struct tsn_yaml_node *node)
{
    struct tsn_rule *rule = &p->rules[index];
    if (!node) {
        return true;
    }
    if (!tsn_yaml_is_sequence(p->doc, node, "'do'")) {
        return false;
    }
    struct tsn_list_write *writes = tsn_arena_zalloc(p->mem, node->n, sizeof *writes);
    struct tsn_fan *fans = tsn_arena_zalloc(p->mem, node->n, sizeof *fans);
    bool ok = true;
    for (uint32_t i = 0; i < node->n; i++) {
        const struct tsn_yaml_node *item = &node->items[i];
        if (!tsn_yaml_is_map(p->doc, item, "an action of 'do'")) {
            ok = false;
        } else if (tsn_yaml_get(item, "for_each")) {
            bool sound = tsn_pack_for_each(p, index, item, &fans[rule->n_fans]);
            rule->n_fans += sound;
            ok = ok && sound;
        } else {
            bool sound = list_write(p, rule, item, &writes[rule->n_writes]);
            rule->n_writes += sound;
            ok = ok && sound;
        }
    }
    rule->writes = writes;
    rule->fans = fans;
    return ok;
}

/* ---- timers ----------------------------------------------------------------------- */

static bool timer_unless(struct pack *p, struct tsn_rule *rule, const struct tsn_yaml_node *node)
{
    static const char *const known[] = {"event", "when", "by"};
    if (!tsn_yaml_is_map(p->doc, node, "'unless'")) {
        return false;
    }
    tsn_yaml_check_keys(p->doc, node, "'unless'", known, 3);
    const struct tsn_yaml_node *event = tsn_yaml_get(node, "event");
    const struct tsn_yaml_node *when = tsn_yaml_get(node, "when");
    const struct tsn_yaml_node *by = tsn_yaml_get(node, "by");
    rule->unless_event = event ? tsn_pack_type(p, event, "'event'") : rule->event;
    if (rule->unless_event == TSN_NONE) {
        return false;
    }
    if (by) {
        rule->unless_by = tsn_pack_field(p, rule->unless_event, by, "'by'");
    } else if (rule->unless_event == rule->event) {
        rule->unless_by = rule->timer_by;
    } else {
        tsn_yaml_error(p->doc, node, "write by: <the field of the other event that holds the same>",
                       "'unless' on another event type needs 'by'");
        return false;
    }
    if (!when) {
        tsn_yaml_error(p->doc, node, "write when: '<condition>'", "'unless' says no condition");
        return false;
    }
    rule->unless = tsn_pack_expr(p, rule->unless_event, when, &want_bool);
    if (rule->unless == TSN_EXPR_NONE || rule->unless_by == TSN_NONE) {
        return false;
    }
    const char *list = tsn_pack_reads_written(p, rule->unless_event, rule->unless, false);
    if (list) {
        tsn_yaml_error(p->doc, when, "use a list that comes from a file or from values",
                       "'unless' may not read list '%s': a rule adds to it", list);
        return false;
    }
    const struct tsn_field *a = &p->types[rule->event].fields[rule->timer_by];
    const struct tsn_field *b = &p->types[rule->unless_event].fields[rule->unless_by];
    if (a->rep != b->rep) {
        tsn_yaml_error(p->doc, by ? by : node, "keys compare by type and value",
                       "'%s' is of type %s, but '%s' of type %s", b->name,
                       tsn_type_name(tsn_rep_type(b->rep)), a->name,
                       tsn_type_name(tsn_rep_type(a->rep)));
        return false;
    }
    return true;
}

static bool timer(struct pack *p, struct tsn_rule *rule, const struct tsn_yaml_node *node)
{
    const struct tsn_yaml_node *after = tsn_yaml_get(node, "after");
    const struct tsn_yaml_node *unless = tsn_yaml_get(node, "unless");
    const struct tsn_yaml_node *by = tsn_yaml_get(node, "by");
    rule->unless = TSN_EXPR_NONE;
    rule->unless_event = TSN_NONE;
    rule->timer_by = TSN_NONE;
    rule->unless_by = TSN_NONE;
    if (!after) {
        const struct tsn_yaml_node *stray = unless ? unless : by;
        if (stray) {
            tsn_yaml_error(p->doc, stray, "write after: 20m, or leave it out",
                           "'%s' belongs to a rule with 'after'", unless ? "unless" : "by");
        }
        return !stray;
    }
    if (!tsn_yaml_duration(p->doc, after, "'after'", 1, &rule->after_ms)) {
        return false;
    }
    if (rule->after_ms > PACK_WINDOW_MAX_MS) {
        tsn_yaml_error(p->doc, after, NULL, "'after' is at most 3653d");
        return false;
    }
    if (!by) {
        tsn_yaml_error(p->doc, after, "write by: <the field that names what is waited for>",
                       "a rule with 'after' needs 'by'");
        return false;
    }
    rule->timer_by = tsn_pack_field(p, rule->event, by, "'by'");
    if (rule->timer_by == TSN_NONE) {
        return false;
    }
    enum tsn_rep rep = p->types[rule->event].fields[rule->timer_by].rep;
    if (rep != TSN_REP_STRING && rep != TSN_REP_INT && rep != TSN_REP_ENUM) {
        tsn_yaml_error(p->doc, by, "use a string, int or enum field", "'%s' cannot be a key",
                       by->text);
        return false;
    }
    return !unless || timer_unless(p, rule, unless);
}

/* ---- a rule ------------------------------------------------------------------------ */

static void tags(struct pack *p, struct tsn_rule *rule, const struct tsn_yaml_node *node)
{
    if (!tsn_yaml_is_sequence(p->doc, node, "'tags'")) {
        return;
    }
    const char **out = tsn_arena_zalloc(p->mem, node->n, sizeof *out);
    for (uint32_t i = 0; i < node->n; i++) {
        const char *tag = tsn_pack_text(p, &node->items[i], "a tag");
        if (tag) {
            out[rule->n_tags++] = tag;
        }
    }
    rule->tags = out;
}

/* Everything that can be said before conditions are compiled. */
static bool rule_head(struct pack *p, int index, const struct tsn_yaml_node *node,
                      const struct tsn_yaml_node *id)
{
    struct tsn_rule *rule = &p->rules[index];
    static const char *const known[] = {"id",         "event",      "when",  "reason", "mode",
                                        "exceptions", "do",         "from",  "until",  "tags",
                                        "severity",   "owner",      "after", "unless", "by",
                                        "title",      "description"};
    tsn_yaml_check_keys(p->doc, node, "a rule", known, sizeof known / sizeof known[0]);
    const struct tsn_yaml_node *event = tsn_yaml_get(node, "event");
    rule->event = TSN_NONE;
    if (!event) {
        tsn_yaml_error(p->doc, id, "write event: <the event type it judges>",
                       "rule '%s' has no 'event'", rule->id);
        return false;
    }
    rule->event = tsn_pack_type(p, event, "'event'");
    if (rule->event == TSN_NONE) {
        return false;
    }
    bool ok = tsn_pack_mode(p, tsn_yaml_get(node, "mode"), &rule->mode);
    const struct tsn_yaml_node *from = tsn_yaml_get(node, "from");
    const struct tsn_yaml_node *until = tsn_yaml_get(node, "until");
    rule->from_ms = INT64_MIN;
    rule->until_ms = INT64_MAX;
    ok = (!from || tsn_yaml_time(p->doc, from, "'from'", &rule->from_ms)) && ok;
    ok = (!until || tsn_yaml_time(p->doc, until, "'until'", &rule->until_ms)) && ok;
    if (ok && rule->from_ms >= rule->until_ms) {
        tsn_yaml_error(p->doc, until, NULL, "'until' must lie after 'from'");
        ok = false;
    }
    rule->severity = tsn_pack_text(p, tsn_yaml_get(node, "severity"), "'severity'");
    rule->owner = tsn_pack_text(p, tsn_yaml_get(node, "owner"), "'owner'");
    tags(p, rule, tsn_yaml_get(node, "tags"));
    return actions(p, index, tsn_yaml_get(node, "do")) && ok;
}

/* A condition that is the same for every event, wholly constant or decided by a part
 * that is: false or failing is a rule that can never fire, which nobody means; true may
 * be meant. */
static void constant_condition(struct pack *p, const struct tsn_rule *rule,
                               const struct tsn_yaml_node *when)
{
    struct tsn_value value;
    if (!tsn_expr_constant(p->types[rule->event].set, rule->when, &value)) {
        return;
    }
    if (value.state == TSN_STATE_VALUE && value.b) {
        tsn_yaml_warn(p->doc, when, "compare a field or a feature",
                      "this condition is true for every event");
    } else {
        tsn_yaml_error(p->doc, when, "mend the condition, or write mode: disabled",
                       "this condition %s for every event: rule '%s' can never fire",
                       value.state == TSN_STATE_ERROR ? "fails" : "is false", rule->id);
    }
}

static bool rule_body(struct pack *p, struct tsn_rule *rule, const struct tsn_yaml_node *node)
{
    const struct tsn_yaml_node *when = tsn_yaml_get(node, "when");
    double cost = 0;
    bool ok = timer(p, rule, node);
    rule->when = TSN_EXPR_NONE;
    if (!when) {
        tsn_yaml_error(p->doc, tsn_yaml_get(node, "id"), "write when: '<condition>'",
                       "rule '%s' has no 'when'", rule->id);
    } else {
        rule->when = tsn_pack_expr(p, rule->event, when, &want_bool);
        rule->when_text = tsn_pack_expr_source(p, when);
    }
    if (rule->when != TSN_EXPR_NONE) {
        rule->reads_written_list = tsn_pack_reads_written(p, rule->event, rule->when, true) != NULL;
        tsn_pack_cost(p, rule->event, rule->when, when, "this rule", &cost);
        constant_condition(p, rule, when);
    }
    if (rule->unless != TSN_EXPR_NONE) {
        tsn_pack_cost(p, rule->unless_event, rule->unless, tsn_yaml_get(node, "unless"),
                      "this rule", &cost);
    }
    tsn_pack_exceptions(p, rule, tsn_yaml_get(node, "exceptions"));
    for (int i = 0; i < rule->n_exceptions; i++) {
        uint32_t expr = rule->exceptions[i].expr;
        tsn_pack_cost(p, rule->event, expr, tsn_yaml_get(node, "exceptions"),
                      "this rule with its exceptions", &cost);
        rule->reads_written_list =
            rule->reads_written_list || tsn_pack_reads_written(p, rule->event, expr, true) != NULL;
    }
    const struct tsn_yaml_node *reason = tsn_yaml_get(node, "reason");
    if (!reason) {
        tsn_yaml_error(p->doc, tsn_yaml_get(node, "id"),
                       "write reason: 'what happened, with ${f.<feature>}'",
                       "rule '%s' has no 'reason': an alert must explain itself", rule->id);
    } else {
        tsn_pack_reason(p, rule, reason);
    }
    rule->version = tsn_pack_hash_node(node);
    return ok && rule->when != TSN_EXPR_NONE;
}

/* Filters and expressions of features may not depend on hits: windows of a batch are
 * computed before its rules. */
static void check_filters(struct pack *p)
{
    for (int i = 0; i < p->prog->n_features; i++) {
        const struct tsn_feature *f = &p->feature_out[i];
        uint32_t expr = f->agg == TSN_AGG_EXPR ? f->expr : f->where;
        if (p->features[i].broken || expr == TSN_EXPR_NONE) {
            continue;
        }
        const char *list = tsn_pack_reads_written(p, f->event, expr, false);
        if (list) {
            const struct tsn_yaml_node *node = p->features[i].node;
            tsn_yaml_error(p->doc, tsn_yaml_get(node, f->agg == TSN_AGG_EXPR ? "expr" : "where"),
                           "test the list in the rule instead",
                           "feature '%s' may not read list '%s': a rule adds to it", f->name, list);
        }
    }
}

void tsn_pack_rules(struct pack *p)
{
    const struct tsn_yaml_node *node = tsn_yaml_get(p->doc->root, "rules");
    if (!tsn_yaml_is_sequence(p->doc, node, "'rules'")) {
        return;
    }
    uint32_t n = node->n;
    if (n > TSN_RULES_MAX) {
        tsn_yaml_error(p->doc, node, NULL, "%u rules; at most %d", (unsigned)n, TSN_RULES_MAX);
        n = TSN_RULES_MAX;
    }
    p->rules = tsn_arena_zalloc(p->mem, n, sizeof *p->rules);
    p->rule_broken = tsn_arena_zalloc(&p->scratch, n, sizeof *p->rule_broken);
    const struct tsn_yaml_node **nodes = tsn_arena_zalloc(&p->scratch, n, sizeof *nodes);
    p->prog->rules = p->rules;
    for (uint32_t i = 0; i < n; i++) {
        const struct tsn_yaml_node *item = &node->items[i];
        if (!tsn_yaml_is_map(p->doc, item, "a rule")) {
            continue;
        }
        const struct tsn_yaml_node *id = tsn_yaml_get(item, "id");
        if (!id) {
            tsn_yaml_error(p->doc, item, "write id: <name>", "a rule without an 'id'");
            continue;
        }
        if (!tsn_pack_id(p, id, "rule id")) {
            continue;
        }
        int at = tsn_names_add(&p->rule_names, tsn_pack_strdup(p, id->text));
        if (at == TSN_NONE) {
            int first = tsn_names_find(&p->rule_names, id->text);
            tsn_pack_twice(p, id, "rule", tsn_yaml_get(nodes[first], "id"));
            continue;
        }
        p->prog->n_rules++;
        nodes[at] = item;
        p->rules[at].id = p->rule_names.items[at];
        p->rule_broken[at] = !rule_head(p, at, item, id);
    }
    for (int i = 0; i < p->prog->n_rules; i++) {
        if (p->rules[i].event != TSN_NONE && !rule_body(p, &p->rules[i], nodes[i])) {
            p->rule_broken[i] = true;
        }
    }
    check_filters(p);
}
