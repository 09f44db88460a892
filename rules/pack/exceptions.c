/* Pack: exceptions of a rule - who is let off, and until when.
 *
 * Either a condition, or tuples as Falco has them: `fields`, how each compares
 * (`comps`), and `values`, one tuple a line. Tuples become one expression, so that
 * there is one evaluator. Each exception has an expiry date: whoever is let off for
 * ever belongs into the rule. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "rules/pack/compile.h"

/* A growing text in the scratch arena; long lists of values are cut by the cost
 * limit, not here. */
struct text {
    struct tsn_arena *arena;
    char *bytes;
    size_t used;
    size_t cap;
};

static void put(struct text *out, const char *text, size_t len)
{
    if (out->used + len + 1 > out->cap) {
        size_t cap = (out->used + len + 1) * 2 + 256;
        char *grown = tsn_arena_alloc(out->arena, cap);
        if (out->used) {
            memcpy(grown, out->bytes, out->used);
        }
        out->bytes = grown;
        out->cap = cap;
    }
    memcpy(out->bytes + out->used, text, len);
    out->used += len;
    out->bytes[out->used] = '\0';
}

static void puts_to(struct text *out, const char *text)
{
    put(out, text, strlen(text));
}

static void put_quoted(struct text *out, const char *text)
{
    puts_to(out, "\"");
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\') {
            put(out, "\\", 1);
        }
        if ((unsigned char)*c < 0x20) {
            char code[8];
            snprintf(code, sizeof code, "\\x%02x", (unsigned)(unsigned char)*c);
            puts_to(out, code);
        } else {
            put(out, c, 1);
        }
    }
    puts_to(out, "\"");
}

/* A value of the file as a literal of the field's type. */
static bool put_value(struct pack *p, struct text *out, const struct tsn_expr_name *name,
                      const struct tsn_yaml_node *node)
{
    const char *text = NULL;
    int64_t i = 0;
    double d = 0;
    bool b = false;
    char number[64];
    switch (name->type.type) {
    case TSN_TYPE_STRING:
        if (!tsn_yaml_text(p->doc, node, "a value", &text)) {
            return false;
        }
        put_quoted(out, text);
        return true;
    case TSN_TYPE_INT:
        if (!tsn_yaml_int(p->doc, node, "a value", INT64_MIN, INT64_MAX, &i)) {
            return false;
        }
        snprintf(number, sizeof number, "%" PRId64, i);
        puts_to(out, number);
        return true;
    case TSN_TYPE_DOUBLE:
        if (!tsn_yaml_double(p->doc, node, "a value", &d)) {
            return false;
        }
        snprintf(number, sizeof number, "%.17e", d);
        puts_to(out, number);
        return true;
    case TSN_TYPE_BOOL:
        if (!tsn_yaml_bool(p->doc, node, "a value", &b)) {
            return false;
        }
        puts_to(out, b ? "true" : "false");
        return true;
    case TSN_TYPE_DURATION:
        if (!tsn_yaml_duration(p->doc, node, "a value", 0, &i)) {
            return false;
        }
        snprintf(number, sizeof number, "duration(\"%" PRId64 "ms\")", i);
        puts_to(out, number);
        return true;
    case TSN_TYPE_TIMESTAMP:
        if (!tsn_yaml_text(p->doc, node, "a value", &text)) {
            return false;
        }
        puts_to(out, "timestamp(");
        put_quoted(out, text);
        puts_to(out, ")");
        return true;
    default:
        return false;
    }
}

/* How a field is compared; the first row is the default. */
static const struct {
    const char *word;
    const char *before; /* between field and value */
    const char *after;
    bool many; /* the value is a list */
} comparisons[] = {
    {"==", " == ", "", false},
    {"!=", " != ", "", false},
    {"<", " < ", "", false},
    {"<=", " <= ", "", false},
    {">", " > ", "", false},
    {">=", " >= ", "", false},
    {"in", " in ", "", true},
    {"startsWith", ".startsWith(", ")", false},
    {"endsWith", ".endsWith(", ")", false},
    {"contains", ".contains(", ")", false},
};

enum { N_COMPARISONS = sizeof comparisons / sizeof comparisons[0], EXCEPTION_FIELDS_MAX = 8 };

struct tuple_shape {
    uint32_t n;
    const struct tsn_expr_name *names[EXCEPTION_FIELDS_MAX];
    int comps[EXCEPTION_FIELDS_MAX];
};

static const struct tsn_expr_name *field_name(struct pack *p, int type,
                                              const struct tsn_yaml_node *node)
{
    const struct pack_type *t = &p->types[type];
    if (node->kind == TSN_YAML_SCALAR && strncmp(node->text, "f.", 2) == 0) {
        for (int i = 0; i < t->n_slots; i++) {
            const struct tsn_expr_name *name = &t->names[t->n_fields + i];
            if (name->name && strcmp(name->name, node->text) == 0) {
                return name;
            }
        }
        tsn_yaml_error(p->doc, node, NULL, "%s reads no feature '%s'", p->type_names.items[type],
                       node->text);
        return NULL;
    }
    int field = tsn_pack_field(p, type, node, "'fields'");
    return field == TSN_NONE ? NULL : &t->names[field];
}

/* `fields` and `comps`, each one name or a list of them. */
static bool tuple_shape(struct pack *p, int type, const struct tsn_yaml_node *node,
                        struct tuple_shape *shape)
{
    const struct tsn_yaml_node *fields = tsn_yaml_get(node, "fields");
    const struct tsn_yaml_node *comps = tsn_yaml_get(node, "comps");
    bool single = fields->kind == TSN_YAML_SCALAR;
    if (!single && !tsn_yaml_is_sequence(p->doc, fields, "'fields'")) {
        return false;
    }
    shape->n = single ? 1 : fields->n;
    if (shape->n == 0 || shape->n > EXCEPTION_FIELDS_MAX) {
        tsn_yaml_error(p->doc, fields, NULL, "'fields' names 1 to %d fields", EXCEPTION_FIELDS_MAX);
        return false;
    }
    if (comps && (comps->kind == TSN_YAML_MAP ||
                  (comps->kind == TSN_YAML_SCALAR ? 1 : comps->n) != shape->n)) {
        tsn_yaml_error(p->doc, comps, NULL, "'comps' must say how each of the %u fields compares",
                       (unsigned)shape->n);
        return false;
    }
    const char *words[N_COMPARISONS];
    for (int i = 0; i < N_COMPARISONS; i++) {
        words[i] = comparisons[i].word;
    }
    bool ok = true;
    for (uint32_t i = 0; i < shape->n; i++) {
        shape->names[i] = field_name(p, type, single ? fields : &fields->items[i]);
        shape->comps[i] = single ? 6 : 0;
        const struct tsn_yaml_node *comp = !comps                           ? NULL
                                           : comps->kind == TSN_YAML_SCALAR ? comps
                                                                            : &comps->items[i];
        if (comp &&
            !tsn_yaml_word(p->doc, comp, "'comps'", words, N_COMPARISONS, &shape->comps[i])) {
            ok = false;
        }
        ok = ok && shape->names[i];
    }
    return ok;
}

static bool put_operand(struct pack *p, struct text *out, const struct tuple_shape *shape,
                        uint32_t at, const struct tsn_yaml_node *value)
{
    const struct tsn_expr_name *name = shape->names[at];
    puts_to(out, name->name);
    puts_to(out, comparisons[shape->comps[at]].before);
    bool ok = true;
    if (!comparisons[shape->comps[at]].many) {
        ok = put_value(p, out, name, value);
    } else if (value->kind == TSN_YAML_SCALAR && strncmp(value->text, "lists.", 6) == 0) {
        puts_to(out, value->text);
    } else if (value->kind == TSN_YAML_SCALAR) {
        puts_to(out, "[");
        ok = put_value(p, out, name, value);
        puts_to(out, "]");
    } else if (tsn_yaml_is_sequence(p->doc, value, "the values of 'in'")) {
        puts_to(out, "[");
        for (uint32_t i = 0; i < value->n && ok; i++) {
            puts_to(out, i ? ", " : "");
            ok = put_value(p, out, name, &value->items[i]);
        }
        puts_to(out, "]");
    } else {
        ok = false;
    }
    puts_to(out, comparisons[shape->comps[at]].after);
    return ok;
}

/* Tuples as one expression: or of ands. A single field takes a plain list. */
static bool put_tuples(struct pack *p, struct text *out, const struct tuple_shape *shape,
                       const struct tsn_yaml_node *values)
{
    if (shape->n == 1 && comparisons[shape->comps[0]].many) {
        return put_operand(p, out, shape, 0, values);
    }
    if (!tsn_yaml_is_sequence(p->doc, values, "'values'")) {
        return false;
    }
    bool ok = true;
    for (uint32_t i = 0; i < values->n; i++) {
        const struct tsn_yaml_node *tuple = &values->items[i];
        puts_to(out, i ? " || (" : "(");
        if (shape->n == 1) {
            ok = put_operand(p, out, shape, 0, tuple) && ok;
        } else if (!tsn_yaml_is_sequence(p->doc, tuple, "a tuple of 'values'")) {
            ok = false;
        } else if (tuple->n != shape->n) {
            tsn_yaml_error(p->doc, tuple, NULL, "a tuple of %u values for %u fields",
                           (unsigned)tuple->n, (unsigned)shape->n);
            ok = false;
        } else {
            for (uint32_t k = 0; k < shape->n; k++) {
                puts_to(out, k ? " && " : "");
                ok = put_operand(p, out, shape, k, &tuple->items[k]) && ok;
            }
        }
        puts_to(out, ")");
    }
    if (values->n == 0) {
        tsn_yaml_error(p->doc, values, "remove the exception", "an exception without values");
        ok = false;
    }
    return ok;
}

static uint32_t exception_expr(struct pack *p, int type, const struct tsn_yaml_node *node)
{
    static const struct tsn_expr_type want_bool = {.type = TSN_TYPE_BOOL};
    const struct tsn_yaml_node *when = tsn_yaml_get(node, "when");
    const struct tsn_yaml_node *fields = tsn_yaml_get(node, "fields");
    const struct tsn_yaml_node *values = tsn_yaml_get(node, "values");
    if (when && !fields && !values) {
        return tsn_pack_expr(p, type, when, &want_bool);
    }
    if (when || !fields || !values) {
        tsn_yaml_error(p->doc, node,
                       "write fields: [a, b], comps: ['==', in], values: [[1, [2, 3]]]; or when:",
                       "an exception has either 'when', or 'fields' and 'values'");
        return TSN_EXPR_NONE;
    }
    struct tuple_shape shape;
    struct text text = {.arena = &p->scratch};
    if (!tuple_shape(p, type, node, &shape) || !put_tuples(p, &text, &shape, values)) {
        return TSN_EXPR_NONE;
    }
    struct tsn_yaml_expr expr = {.source = tsn_yaml_source(p->doc, values),
                                 .text = text.bytes,
                                 .len = text.used,
                                 .line = values->line,
                                 .column = values->column,
                                 .n_lines = 1};
    return tsn_pack_expr_text(p, type, &expr, &want_bool);
}

void tsn_pack_exceptions(struct pack *p, struct tsn_rule *rule, const struct tsn_yaml_node *node)
{
    static const char *const known[] = {"name", "fields", "comps",  "values",
                                        "when", "until",  "reason", "owner"};
    if (!tsn_yaml_is_sequence(p->doc, node, "'exceptions'")) {
        return;
    }
    struct tsn_exception *out = tsn_arena_zalloc(p->mem, node->n, sizeof *out);
    for (uint32_t i = 0; i < node->n; i++) {
        const struct tsn_yaml_node *item = &node->items[i];
        if (!tsn_yaml_is_map(p->doc, item, "an exception")) {
            continue;
        }
        tsn_yaml_check_keys(p->doc, item, "an exception", known, sizeof known / sizeof known[0]);
        struct tsn_exception *e = &out[rule->n_exceptions];
        const struct tsn_yaml_node *name = tsn_yaml_get(item, "name");
        const struct tsn_yaml_node *until = tsn_yaml_get(item, "until");
        if (!name || !until) {
            tsn_yaml_error(p->doc, item,
                           until ? "write name: <who is let off>"
                                 : "write until: 2027-01-01 (whoever is let off for ever belongs "
                                   "into 'when')",
                           "an exception needs a '%s'", until ? "name" : "until");
            continue;
        }
        e->name = tsn_pack_text(p, name, "'name'");
        if (!tsn_yaml_time(p->doc, until, "'until'", &e->until_ms)) {
            continue;
        }
        e->expr = exception_expr(p, rule->event, item);
        if (e->expr != TSN_EXPR_NONE) {
            rule->n_exceptions++;
        }
    }
    rule->exceptions = out;
}
