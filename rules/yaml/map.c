/* YAML trees: finding keys, and saying what is wrong with a node. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "rules/yaml/yaml.h"

const struct tsn_yaml_source *tsn_yaml_source(const struct tsn_yaml *doc,
                                              const struct tsn_yaml_node *node)
{
    return doc->sources[node ? node->source : 0];
}

struct tsn_place tsn_yaml_place(const struct tsn_yaml *doc, const struct tsn_yaml_node *node)
{
    return (struct tsn_place){tsn_yaml_source(doc, node)->file, node ? node->line : 0,
                              node ? node->column : 0};
}

const char *tsn_yaml_where(struct tsn_yaml *doc, const struct tsn_yaml_node *here,
                           const struct tsn_yaml_node *first)
{
    if (here->source == first->source) {
        return tsn_arena_printf(&doc->arena, "on line %u", (unsigned)first->line);
    }
    return tsn_arena_printf(&doc->arena, "at %.300s:%u:%u", tsn_yaml_source(doc, first)->file,
                            (unsigned)first->line, (unsigned)first->column);
}

static void add(const struct tsn_yaml *doc, enum tsn_severity severity,
                const struct tsn_yaml_node *node, const char *advice, const char *format,
                va_list args) __attribute__((format(printf, 5, 0)));

static void add(const struct tsn_yaml *doc, enum tsn_severity severity,
                const struct tsn_yaml_node *node, const char *advice, const char *format,
                va_list args)
{
    char message[1024];
    vsnprintf(message, sizeof message, format, args);
    const struct tsn_yaml_source *source = tsn_yaml_source(doc, node);
    tsn_diags_add(doc->diags, severity, tsn_yaml_place(doc, node), source->text, source->len,
                  advice, "%s", message);
}

void tsn_yaml_error(const struct tsn_yaml *doc, const struct tsn_yaml_node *node,
                    const char *advice, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(doc, TSN_SEVERITY_ERROR, node, advice, format, args);
    va_end(args);
}

void tsn_yaml_warn(const struct tsn_yaml *doc, const struct tsn_yaml_node *node, const char *advice,
                   const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(doc, TSN_SEVERITY_WARNING, node, advice, format, args);
    va_end(args);
}

const char *tsn_yaml_kind_name(const struct tsn_yaml_node *node)
{
    switch (node->kind) {
    case TSN_YAML_MAP:
        return "a map";
    case TSN_YAML_SEQUENCE:
        return "a list";
    default:
        return node->n == 0 && node->style == TSN_YAML_PLAIN ? "nothing" : "text";
    }
}

const struct tsn_yaml_node *tsn_yaml_get(const struct tsn_yaml_node *map, const char *key)
{
    if (!map || map->kind != TSN_YAML_MAP) {
        return NULL;
    }
    for (uint32_t i = 0; i < map->n; i++) {
        if (strcmp(map->pairs[i].key.text, key) == 0) {
            return &map->pairs[i].value;
        }
    }
    return NULL;
}

static bool is_kind(const struct tsn_yaml *doc, const struct tsn_yaml_node *node, const char *what,
                    enum tsn_yaml_kind kind, const char *kind_name, const char *advice)
{
    if (!node) {
        return false;
    }
    if (node->kind == kind) {
        return true;
    }
    tsn_yaml_error(doc, node, advice, "%s must be %s, this is %s", what, kind_name,
                   tsn_yaml_kind_name(node));
    return false;
}

bool tsn_yaml_is_map(const struct tsn_yaml *doc, const struct tsn_yaml_node *node, const char *what)
{
    return is_kind(doc, node, what, TSN_YAML_MAP, "a map", "write `name: value` lines");
}

bool tsn_yaml_is_sequence(const struct tsn_yaml *doc, const struct tsn_yaml_node *node,
                          const char *what)
{
    return is_kind(doc, node, what, TSN_YAML_SEQUENCE, "a list",
                   "write [a, b] or one `- item` a line");
}

/* "known are: a, b, c", cut where a reader would stop. */
static void known_list(char *out, size_t cap, const char *const *known, size_t n_known)
{
    size_t used = (size_t)snprintf(out, cap, "known are: ");
    for (size_t i = 0; i < n_known && used < cap; i++) {
        size_t room = cap - used;
        int len = room < 80 ? snprintf(out + used, room, ", ... (%zu in all)", n_known)
                            : snprintf(out + used, room, "%s%.60s", i ? ", " : "", known[i]);
        used += (size_t)len;
        if (room < 80) {
            break;
        }
    }
}

void tsn_yaml_unknown(const struct tsn_yaml *doc, const struct tsn_yaml_node *node,
                      const char *what, const char *wrong, const char *const *known, size_t n_known)
{
    const char *nearest = tsn_nearest_name(wrong, known, n_known);
    if (nearest) {
        tsn_yaml_error(doc, node, NULL, "unknown %s '%s'; did you mean '%s'?", what, wrong,
                       nearest);
        return;
    }
    char advice[480];
    known_list(advice, sizeof advice, known, n_known);
    tsn_yaml_error(doc, node, n_known ? advice : NULL, "unknown %s '%s'%s", what, wrong,
                   n_known ? "" : "; none is declared");
}

bool tsn_yaml_check_keys(const struct tsn_yaml *doc, const struct tsn_yaml_node *map,
                         const char *what, const char *const *known, size_t n_known)
{
    if (!map || map->kind != TSN_YAML_MAP) {
        return false;
    }
    bool ok = true;
    for (uint32_t i = 0; i < map->n; i++) {
        const struct tsn_yaml_node *key = &map->pairs[i].key;
        bool found = false;
        for (size_t k = 0; k < n_known && !found; k++) {
            found = strcmp(key->text, known[k]) == 0;
        }
        if (!found) {
            char key_of[96];
            snprintf(key_of, sizeof key_of, "key of %s:", what);
            tsn_yaml_unknown(doc, key, key_of, key->text, known, n_known);
            ok = false;
        }
    }
    return ok;
}
