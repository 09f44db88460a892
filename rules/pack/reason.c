/* Pack: a rule's reason, text with ${expression} in it.
 *
 * Reasons leave the house in alerts, so a field that names an entity is shown as its
 * last digits: it may stand in a reason only by its bare name, where the renderer can
 * see what it is. `$$` is a dollar sign. */
#include <string.h>

#include "rules/pack/compile.h"

/* Where the `}` of a `${` stands, quotes in the expression minded; len if nowhere. */
static size_t closing(const char *text, size_t len, size_t at)
{
    char quote = 0;
    for (; at < len; at++) {
        if (quote && text[at] == '\\') {
            at++;
        } else if (quote) {
            quote = text[at] == quote ? 0 : quote;
        } else if (text[at] == '"' || text[at] == '\'') {
            quote = text[at];
        } else if (text[at] == '}') {
            return at;
        }
    }
    return len;
}

/* Does a value of this input show (part of) an entity's name? */
static bool is_entity(const struct pack *p, int type, uint32_t input)
{
    const struct pack_type *t = &p->types[type];
    if (input < (uint32_t)t->n_fields) {
        return t->fields[input].entity_kind != TSN_NONE;
    }
    const struct tsn_feature *f = &p->feature_out[t->slots[input - (uint32_t)t->n_fields].feature];
    if (f->agg == TSN_AGG_EXPR || f->field == TSN_NONE) {
        return false;
    }
    bool shows_value = f->agg == TSN_AGG_FIRST || f->agg == TSN_AGG_LAST || f->agg == TSN_AGG_MIN ||
                       f->agg == TSN_AGG_MAX;
    return shows_value && p->types[f->event].fields[f->field].entity_kind != TSN_NONE;
}

static uint32_t bare_name(const struct pack *p, int type, const char *text, size_t len)
{
    while (len && strchr(" \t\n", text[0])) {
        text++;
        len--;
    }
    while (len && strchr(" \t\n", text[len - 1])) {
        len--;
    }
    const struct pack_type *t = &p->types[type];
    for (int i = 0; i < t->n_fields + t->n_slots; i++) {
        const char *name = t->names[i].name;
        if (name && strlen(name) == len && memcmp(name, text, len) == 0) {
            return t->names[i].input;
        }
    }
    return UINT32_MAX;
}

/* `expr` features carry what their expression yields: one that hands on an entity's
 * name would carry it around the mask. */
static bool hands_on_entity(const struct pack *p, int type, uint32_t expr, int depth)
{
    const struct pack_type *t = &p->types[type];
    enum tsn_type yields = tsn_expr_type_of(t->set, expr).type;
    size_t n = 0;
    const uint32_t *inputs = tsn_expr_inputs(t->set, expr, &n);
    for (size_t i = 0; i < n; i++) {
        if (is_entity(p, type, inputs[i])) {
            bool number = tsn_rep_type(t->names[inputs[i]].rep) == TSN_TYPE_INT;
            if (yields == TSN_TYPE_STRING || yields == TSN_TYPE_LIST ||
                (number && (yields == TSN_TYPE_INT || yields == TSN_TYPE_DOUBLE))) {
                return true;
            }
        }
        if (inputs[i] >= (uint32_t)t->n_fields && depth < 64) {
            const struct tsn_feature *f =
                &p->feature_out[t->slots[inputs[i] - (uint32_t)t->n_fields].feature];
            if (f->agg == TSN_AGG_EXPR && f->expr != TSN_EXPR_NONE &&
                (yields == TSN_TYPE_STRING || yields == TSN_TYPE_LIST) &&
                hands_on_entity(p, type, f->expr, depth + 1)) {
                return true;
            }
        }
    }
    return false;
}

/* The place of a piece of the reason: exact where the text stands in the file as it
 * is, else the beginning of the reason. */
static struct tsn_yaml_expr piece(struct pack *p, const struct tsn_yaml_node *node, size_t from,
                                  size_t len)
{
    struct tsn_yaml_expr whole = tsn_yaml_expression(p->doc, node);
    struct tsn_yaml_expr out = {.source = whole.source,
                                .text = tsn_arena_strdup(&p->scratch, node->text + from, len),
                                .len = len,
                                .line = node->line,
                                .column = node->column,
                                .n_lines = 1};
    if (node->style == TSN_YAML_FOLDED || whole.len > node->n ||
        memcmp(whole.text, node->text, whole.len) != 0) {
        return out;
    }
    out.line = whole.line;
    out.column = whole.column;
    size_t line = 0;
    for (size_t i = 0; i < from; i++) {
        if (node->text[i] == '\n') {
            out.line++;
            out.column = line + 1 < whole.n_lines ? whole.line_columns[line] : 1;
            line++;
        } else if (((unsigned char)node->text[i] & 0xC0) != 0x80) {
            out.column++;
        }
    }
    return out;
}

static bool reason_part(struct pack *p, struct tsn_rule *rule, const struct tsn_yaml_node *node,
                        size_t from, size_t len, struct tsn_reason_part *part)
{
    if (len == 0) {
        tsn_yaml_error(p->doc, node, NULL, "an empty ${} in the reason");
        return false;
    }
    struct tsn_yaml_expr text = piece(p, node, from, len);
    part->expr = tsn_pack_expr_text(p, rule->event, &text, NULL);
    if (part->expr == TSN_EXPR_NONE) {
        return false;
    }
    part->input = bare_name(p, rule->event, node->text + from, len);
    part->masked = part->input != UINT32_MAX && is_entity(p, rule->event, part->input);
    if (!part->masked && hands_on_entity(p, rule->event, part->expr, 0)) {
        struct tsn_place place = {text.source->file, text.line, text.column};
        tsn_diags_add(p->diags, TSN_SEVERITY_ERROR, place, text.source->text, text.source->len,
                      "write ${<event>.<field>} alone: it is shown as its last digits",
                      "a reason may show a field that names an entity only by its bare name");
        return false;
    }
    return true;
}

static size_t count_parts(const char *text, size_t len)
{
    size_t n = 1;
    for (size_t i = 0; i < len; i++) {
        n += text[i] == '$';
    }
    return n;
}

void tsn_pack_reason(struct pack *p, struct tsn_rule *rule, const struct tsn_yaml_node *node)
{
    const char *text = NULL;
    if (!tsn_yaml_text(p->doc, node, "'reason'", &text)) {
        return;
    }
    if (node->n > PACK_TEXT_MAX) {
        tsn_yaml_error(p->doc, node, NULL, "the reason has %u bytes; at most %d", (unsigned)node->n,
                       PACK_TEXT_MAX);
        return;
    }
    size_t len = node->n;
    while (len && text[len - 1] == '\n') {
        len--;
    }
    struct tsn_reason_part *parts = tsn_arena_zalloc(p->mem, count_parts(text, len), sizeof *parts);
    char *literal = tsn_arena_alloc(p->mem, len + 1);
    size_t used = 0;
    size_t from = 0;
    int n = 0;
    for (size_t at = 0; at < len; at++) {
        bool escaped = text[at] == '$' && at + 1 < len && text[at + 1] == '$';
        if (text[at] != '$' || escaped || at + 1 == len || text[at + 1] != '{') {
            literal[used++] = text[at];
            at += escaped;
            continue;
        }
        size_t end = closing(text, len, at + 2);
        if (end == len) {
            tsn_yaml_error(p->doc, node, "write $$ for a dollar sign",
                           "a ${ in the reason has no }");
            return;
        }
        parts[n] = (struct tsn_reason_part){
            .text = {literal + from, (uint32_t)(used - from)},
            .expr = TSN_EXPR_NONE,
            .input = UINT32_MAX,
        };
        from = used;
        if (reason_part(p, rule, node, at + 2, end - at - 2, &parts[n])) {
            n++;
        }
        at = end;
    }
    if (used > from || n == 0) {
        parts[n++] = (struct tsn_reason_part){
            .text = {literal + from, (uint32_t)(used - from)},
            .expr = TSN_EXPR_NONE,
            .input = UINT32_MAX,
        };
    }
    rule->reason = parts;
    rule->n_reason = n;
}
