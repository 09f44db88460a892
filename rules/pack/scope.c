/* Scope: what the expressions of each event type may name, and the expressions of
 * features.
 *
 * A set of expressions is given its names once, but the type of an `expr` feature is
 * known only when it is compiled. So those are compiled twice: in a set that knows
 * the features above (made again only when an expression uses a newer one), then in
 * the set that stays. Giving every `expr` feature a declared type was the
 * alternative; it makes the analyst repeat what the checker can see. */
#include <stdio.h>
#include <string.h>

#include "rules/diag/diag.h"
#include "rules/must/must.h"
#include "rules/pack/compile.h"

/* ---- names in a text ------------------------------------------------------------ */

struct mention {
    char whole[PACK_NAME_MAX * 2 + 2]; /* "f.calls_1h", "call.talk", "lists" */
    char head[PACK_NAME_MAX + 1];
    char second[PACK_NAME_MAX + 1]; /* empty: no dot followed */
    char third[PACK_NAME_MAX + 1];
    size_t offset;
};

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static size_t skip_string(const char *text, size_t len, size_t at)
{
    char quote = text[at];
    bool raw = at > 0 && (text[at - 1] == 'r' || text[at - 1] == 'R');
    size_t n = at + 2 < len && text[at + 1] == quote && text[at + 2] == quote ? 3 : 1;
    for (at += n; at < len; at++) {
        if (text[at] == '\\' && !raw) {
            at++;
        } else if (text[at] == quote &&
                   (n == 1 || (at + 2 < len && text[at + 1] == quote && text[at + 2] == quote))) {
            return at + n;
        }
    }
    return len;
}

static size_t take_word(const char *text, size_t len, size_t at, char *out)
{
    size_t from = at;
    while (at < len && is_word(text[at])) {
        at++;
    }
    size_t n = at - from < PACK_NAME_MAX ? at - from : PACK_NAME_MAX;
    memcpy(out, text + from, n);
    out[n] = '\0';
    return at;
}

/* The next name with up to two dots in it, outside of quotes. */
static bool next_mention(const char *text, size_t len, size_t *at, struct mention *out)
{
    while (*at < len) {
        char c = text[*at];
        if (c == '"' || c == '\'') {
            *at = skip_string(text, len, *at);
        } else if (is_word(c)) {
            memset(out, 0, sizeof *out);
            out->offset = *at;
            *at = take_word(text, len, *at, out->head);
            if (*at + 1 < len && text[*at] == '.' && is_word(text[*at + 1])) {
                *at = take_word(text, len, *at + 1, out->second);
            }
            if (out->second[0] && *at + 1 < len && text[*at] == '.' && is_word(text[*at + 1])) {
                *at = take_word(text, len, *at + 1, out->third);
            }
            size_t head = strlen(out->head);
            memcpy(out->whole, out->head, head + 1);
            if (out->second[0]) {
                out->whole[head] = '.';
                memcpy(out->whole + head + 1, out->second, strlen(out->second) + 1);
            }
            return true;
        } else if (c == '/' && *at + 1 < len && text[*at + 1] == '/') {
            const char *newline = memchr(text + *at, '\n', len - *at);
            *at = newline ? (size_t)(newline - text) : len;
        } else {
            (*at)++;
        }
    }
    return false;
}

static bool mentions_broken(const struct pack *p, const struct tsn_yaml_expr *text)
{
    struct mention m;
    size_t at = 0;
    while (next_mention(text->text, text->len, &at, &m)) {
        if (tsn_names_find(&p->broken, m.whole) != TSN_NONE) {
            return true;
        }
    }
    return false;
}

/* ---- better words than "unknown name" --------------------------------------------- */

struct tsn_place tsn_pack_place(const struct tsn_yaml_expr *text, size_t offset)
{
    struct tsn_place place = {text->source->file, text->line, text->column};
    size_t line = 0;
    for (size_t i = 0; i < offset; i++) {
        if (text->text[i] == '\n') {
            place.line++;
            place.column =
                line < text->n_lines - 1 && text->line_columns[line] ? text->line_columns[line] : 1;
            line++;
        } else if (((unsigned char)text->text[i] & 0xC0) != 0x80) {
            place.column++;
        }
    }
    tsn_yaml_expression_place(text, &place);
    return place;
}

/* Why a name is not in the scope of this type, where the pack knows better than the
 * expression compiler: NULL if it does not. `self`: the feature whose expression it
 * is, or TSN_NONE. */
static const char *why_not(struct pack *p, int type, int self, const struct mention *m,
                           const char **advice)
{
    const char *type_name = p->type_names.items[type];
    const struct pack_type *t = &p->types[type];
    *advice = NULL;
    int other = tsn_names_find(&p->type_names, m->head);
    if (other != TSN_NONE && other != type) {
        *advice = tsn_arena_printf(
            &p->scratch, "use fields of %s, or a feature of %s that names %s under 'read'",
            type_name, m->head, type_name);
        return tsn_arena_printf(&p->scratch, "'%s' is not known here: this expression is on %s",
                                m->whole, type_name);
    }
    if (strcmp(m->head, "f") != 0 || !m->second[0]) {
        return NULL;
    }
    int feature = tsn_names_find(&p->feature_names, m->second);
    if (feature == TSN_NONE) {
        return NULL;
    }
    char roles[256] = "";
    size_t used = 0;
    for (int i = 0; i < t->n_slots; i++) {
        if (t->slots[i].feature != feature) {
            continue;
        }
        if (!t->slots[i].role || strcmp(t->slots[i].role, m->third) == 0) {
            return self == TSN_NONE || feature < self
                       ? NULL
                       : tsn_arena_printf(&p->scratch,
                                          "'f.%s' is declared below: a feature sees only those "
                                          "above it",
                                          m->second);
        }
        if (used < sizeof roles - 1) {
            used += (size_t)snprintf(roles + used, sizeof roles - used, "%sf.%s.%s",
                                     used ? ", " : "", m->second, t->slots[i].role);
        }
    }
    if (used) {
        *advice = tsn_arena_printf(&p->scratch, "write one of: %s", roles);
        return tsn_arena_printf(&p->scratch, "%s reads 'f.%s' in roles", type_name, m->second);
    }
    *advice = tsn_arena_printf(&p->scratch,
                               "add read: { %s: <the field of %s that names the same entity> } to "
                               "the feature",
                               type_name, type_name);
    return tsn_arena_printf(&p->scratch, "%s does not read the feature 'f.%s'", type_name,
                            m->second);
}

/* Puts our words in the place of what the compiler said since `before`, if some name
 * of the text is one of those that we can explain. */
static void explain_names(struct pack *p, int type, int self, const struct tsn_yaml_expr *text,
                          size_t n_before, size_t errors_before)
{
    struct mention m;
    size_t at = 0;
    bool first = true;
    while (next_mention(text->text, text->len, &at, &m)) {
        const char *advice = NULL;
        const char *why = why_not(p, type, self, &m, &advice);
        if (!why) {
            continue;
        }
        if (first && p->diags->n > n_before) {
            p->diags->n = n_before;
            p->diags->n_errors = errors_before;
        }
        first = false;
        tsn_diags_add(p->diags, TSN_SEVERITY_ERROR, tsn_pack_place(text, m.offset),
                      text->source->text, text->source->len, advice, "%s", why);
    }
}

/* ---- compiling -------------------------------------------------------------------- */

static uint32_t compile(struct tsn_expr_set *set, const struct tsn_yaml_expr *text,
                        const struct tsn_expr_type *want, struct tsn_diags *diags)
{
    struct tsn_expr_source source = {
        .place = {text->source->file, text->line, text->column},
        .file_text = text->source->text,
        .file_text_len = text->source->len,
        .line_columns = text->line_columns,
        .n_lines = text->n_lines,
    };
    size_t n_before = diags->n;
    uint32_t expr = tsn_expr_set_add(set, text->text, text->len, want, &source, diags);
    for (size_t i = n_before; i < diags->n; i++) {
        struct tsn_place place = diags->items[i].place;
        tsn_yaml_expression_place(text, &place);
        tsn_diags_move(diags, i, place, text->source->text, text->source->len);
    }
    return expr;
}

uint32_t tsn_pack_expr_text(struct pack *p, int type, const struct tsn_yaml_expr *text,
                            const struct tsn_expr_type *want)
{
    if (mentions_broken(p, text)) {
        return TSN_EXPR_NONE;
    }
    size_t n_before = p->diags->n;
    size_t errors_before = p->diags->n_errors;
    uint32_t expr = compile(p->types[type].set, text, want, p->diags);
    if (expr == TSN_EXPR_NONE) {
        explain_names(p, type, TSN_NONE, text, n_before, errors_before);
    }
    return expr;
}

uint32_t tsn_pack_expr(struct pack *p, int type, const struct tsn_yaml_node *node,
                       const struct tsn_expr_type *want)
{
    const char *text = NULL;
    if (!tsn_yaml_text(p->doc, node, "an expression", &text)) {
        return TSN_EXPR_NONE;
    }
    struct tsn_yaml_expr expr = tsn_yaml_expression(p->doc, node);
    return tsn_pack_expr_text(p, type, &expr, want);
}

const char *tsn_pack_expr_source(struct pack *p, const struct tsn_yaml_node *node)
{
    if (!node || node->kind != TSN_YAML_SCALAR) {
        return "";
    }
    struct tsn_yaml_expr expr = tsn_yaml_expression(p->doc, node);
    return tsn_arena_strdup(p->mem, expr.text, expr.len);
}

const char *tsn_pack_reads_written(struct pack *p, int type, uint32_t expr, bool live_only)
{
    size_t n = 0;
    const uint32_t *lists = tsn_expr_lists(p->types[type].set, expr, &n);
    for (size_t i = 0; i < n; i++) {
        if (live_only ? p->list_decls[lists[i]].written : p->lists[lists[i]].written_by_any) {
            return p->list_decls[lists[i]].name;
        }
    }
    return NULL;
}

void tsn_pack_cost(struct pack *p, int type, uint32_t expr, const struct tsn_yaml_node *node,
                   const char *what, double *sum)
{
    double cost = tsn_expr_cost(p->types[type].set, expr);
    bool was_within = *sum <= PACK_RULE_COST_MAX;
    *sum += cost;
    p->cost += cost;
    if (was_within && *sum > PACK_RULE_COST_MAX) {
        tsn_yaml_error(p->doc, node,
                       "a comparison costs 1, a list probe 2, a macro its body times the list's "
                       "size, matches() a quarter of pattern times text: move shared work into an "
                       "'expr' feature",
                       "%s costs %.0f units an event; at most %d", what, *sum, PACK_RULE_COST_MAX);
    }
}

/* ---- scopes ------------------------------------------------------------------------ */

static void field_names(struct pack *p, int type)
{
    struct pack_type *t = &p->types[type];
    t->names =
        tsn_arena_zalloc(&p->scratch, (size_t)t->n_fields + (size_t)t->n_slots, sizeof *t->names);
    for (int i = 0; i < t->n_fields; i++) {
        const struct tsn_field *field = &t->fields[i];
        t->names[i] = (struct tsn_expr_name){
            .name = tsn_arena_printf(&p->scratch, "%s.%s", p->type_names.items[type], field->name),
            .type = {.type = tsn_rep_type(field->rep)},
            .may_be_missing = !field->required,
            .rep = field->rep,
            .scale = field->scale,
            .dict = field->rep == TSN_REP_ENUM ? &field->dict : NULL,
            .input = (uint32_t)i,
        };
    }
}

/* Slots of features: always may be missing, because a row that is too late reads none. */
static void slot_name(struct pack *p, struct pack_type *t, int slot, bool may_be_missing)
{
    const struct tsn_feature *f = &p->feature_out[t->slots[slot].feature];
    t->names[t->n_fields + slot] = (struct tsn_expr_name){
        .name = tsn_arena_printf(&p->scratch, "f.%s", t->slots[slot].name),
        .type = {.type = tsn_rep_type(f->rep)},
        .may_be_missing = may_be_missing,
        .rep = f->rep,
        .scale = f->scale,
        .dict = f->dict,
        .input = (uint32_t)(t->n_fields + slot),
        .is_set = f->agg == TSN_AGG_SET,
    };
}

/* A set over the names that have a type by now. */
static struct tsn_expr_set *set_of(struct pack *p, const struct pack_type *t)
{
    size_t n = (size_t)t->n_fields + (size_t)t->n_slots;
    struct tsn_expr_name *names = tsn_arena_alloc(&p->scratch, n * sizeof *names);
    size_t n_known = 0;
    for (size_t i = 0; i < n; i++) {
        if (t->names[i].name) {
            names[n_known++] = t->names[i];
        }
    }
    struct tsn_expr_env env = {.names = names,
                               .n_names = n_known,
                               .lists = p->handles,
                               .n_lists = (size_t)p->prog->n_lists,
                               .timezone = p->prog->timezone};
    return tsn_expr_set_new(&env);
}

static void mark_broken(struct pack *p, int feature)
{
    p->features[feature].broken = true;
    tsn_names_add(&p->broken, tsn_arena_printf(&p->scratch, "f.%s", p->feature_out[feature].name));
}

/* A feature sees those above it only; what it reads fixes its level. */
static bool order(struct pack *p, int feature, uint32_t expr, const struct tsn_yaml_node *node,
                  const struct tsn_expr_set *set)
{
    struct tsn_feature *f = &p->feature_out[feature];
    const struct pack_type *t = &p->types[f->event];
    size_t n = 0;
    const uint32_t *inputs = tsn_expr_inputs(set, expr, &n);
    bool ok = true;
    for (size_t i = 0; i < n; i++) {
        if (inputs[i] < (uint32_t)t->n_fields) {
            continue;
        }
        int read = t->slots[inputs[i] - (uint32_t)t->n_fields].feature;
        if (read == feature) {
            tsn_yaml_error(p->doc, node, NULL, "feature '%s' uses itself", f->name);
            ok = false;
        } else if (read > feature) {
            tsn_yaml_error(p->doc, node, "move it above",
                           "'f.%s' is declared below: a feature sees only those above it",
                           p->feature_out[read].name);
            ok = false;
        } else if (p->feature_out[read].level >= f->level) {
            f->level = p->feature_out[read].level + 1;
        }
    }
    return ok;
}

/* The type of an `expr` feature, from a set that knows the features above it. */
static bool expr_type(struct pack *p, int feature, struct tsn_expr_set **early)
{
    struct tsn_feature *f = &p->feature_out[feature];
    const struct tsn_yaml_node *node = tsn_yaml_get(p->features[feature].node, "expr");
    const char *unused = NULL;
    if (!tsn_yaml_text(p->doc, node, "'expr'", &unused)) {
        return false;
    }
    struct tsn_yaml_expr text = tsn_yaml_expression(p->doc, node);
    if (mentions_broken(p, &text)) {
        return false;
    }
    struct pack_type *t = &p->types[f->event];
    if (!*early) {
        *early = set_of(p, t);
    }
    struct tsn_diags quiet;
    tsn_diags_init(&quiet);
    uint32_t expr = compile(*early, &text, NULL, &quiet);
    tsn_diags_free(&quiet);
    if (expr == TSN_EXPR_NONE) { /* perhaps it uses an `expr` feature newer than the set */
        tsn_expr_set_free(*early);
        *early = set_of(p, t);
        size_t n_before = p->diags->n;
        size_t errors_before = p->diags->n_errors;
        expr = compile(*early, &text, NULL, p->diags);
        if (expr == TSN_EXPR_NONE) {
            explain_names(p, f->event, feature, &text, n_before, errors_before);
            return false;
        }
    }
    struct tsn_expr_type type = tsn_expr_type_of(*early, expr);
    switch (type.type) {
    case TSN_TYPE_BOOL:
        f->rep = TSN_REP_BOOL;
        break;
    case TSN_TYPE_INT:
        f->rep = TSN_REP_INT;
        break;
    case TSN_TYPE_DOUBLE:
        f->rep = TSN_REP_DOUBLE;
        break;
    case TSN_TYPE_STRING:
        f->rep = TSN_REP_STRING;
        break;
    case TSN_TYPE_TIMESTAMP:
        f->rep = TSN_REP_TIME;
        break;
    case TSN_TYPE_DURATION:
        f->rep = TSN_REP_DURATION;
        break;
    default:
        tsn_yaml_error(p->doc, node, NULL, "a feature cannot be %s %s",
                       tsn_article(tsn_type_name(type.type)), tsn_type_name(type.type));
        return false;
    }
    for (int i = 0; i < t->n_slots; i++) {
        if (t->slots[i].feature == feature) {
            slot_name(p, t, i, tsn_expr_may_be_missing(*early, expr));
        }
    }
    return true;
}

/* Types of all `expr` features, in pack order. */
static void expr_types(struct pack *p)
{
    struct tsn_expr_set **early =
        tsn_arena_zalloc(&p->scratch, (size_t)p->prog->n_types, sizeof *early);
    for (int i = 0; i < p->prog->n_features; i++) {
        if (!p->features[i].broken && p->feature_out[i].agg == TSN_AGG_EXPR &&
            !expr_type(p, i, &early[p->feature_out[i].event])) {
            mark_broken(p, i);
        }
    }
    for (int t = 0; t < p->prog->n_types; t++) {
        if (early[t]) {
            tsn_expr_set_free(early[t]);
        }
    }
}

static void feature_expressions(struct pack *p, int feature)
{
    static const struct tsn_expr_type want_bool = {.type = TSN_TYPE_BOOL};
    struct tsn_feature *f = &p->feature_out[feature];
    const struct tsn_yaml_node *node = p->features[feature].node;
    const struct tsn_yaml_node *where = tsn_yaml_get(node, "where");
    const struct tsn_yaml_node *expr = tsn_yaml_get(node, "expr");
    const struct tsn_yaml_node *source = f->agg == TSN_AGG_EXPR ? expr : where;
    struct tsn_yaml_expr text = {.text = "", .len = 0};
    if (source) {
        uint32_t compiled =
            tsn_pack_expr(p, f->event, source, f->agg == TSN_AGG_EXPR ? NULL : &want_bool);
        if (compiled == TSN_EXPR_NONE ||
            !order(p, feature, compiled, source, p->types[f->event].set)) {
            mark_broken(p, feature);
            return;
        }
        double cost = 0;
        tsn_pack_cost(p, f->event, compiled, source, "this expression", &cost);
        *(f->agg == TSN_AGG_EXPR ? &f->expr : &f->where) = compiled;
        text = tsn_yaml_expression(p->doc, source);
    }
    tsn_pack_warn_of_mixed_currencies(p, f, node);
    f->identity = tsn_pack_feature_identity(p, f, text.text, text.len);
    if (f->level > p->prog->max_level) {
        p->prog->max_level = f->level;
    }
}

void tsn_pack_scopes(struct pack *p)
{
    for (int t = 0; t < p->prog->n_types; t++) {
        field_names(p, t);
        for (int i = 0; i < p->types[t].n_slots; i++) {
            if (p->feature_out[p->types[t].slots[i].feature].agg != TSN_AGG_EXPR) {
                slot_name(p, &p->types[t], i, true);
            }
        }
    }
    expr_types(p);
    for (int t = 0; t < p->prog->n_types; t++) {
        struct tsn_event_type *out = (struct tsn_event_type *)(uintptr_t)&p->prog->types[t];
        p->types[t].set = set_of(p, &p->types[t]);
        tsn_expr_set_portable(p->types[t].set, p->lints & TSN_PACK_PORTABLE);
        tsn_expr_set_doubts(p->types[t].set, p->lints & TSN_PACK_LINT);
        out->exprs = p->types[t].set;
        out->n_slots = p->types[t].n_slots;
        out->slots = p->types[t].slots;
    }
    for (int i = 0; i < p->prog->n_features; i++) {
        if (!p->features[i].broken) {
            feature_expressions(p, i);
        }
    }
}
