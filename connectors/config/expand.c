/* ${NAME} in a value: replaced by the environment, so that secrets need not stand in
 * the file. Declared in read.h, called for every scalar that is read.
 */
#include <stdlib.h>
#include <string.h>

#include "connectors/config/read.h"

static bool is_name(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool letter = (name[i] >= 'A' && name[i] <= 'Z') || (name[i] >= 'a' && name[i] <= 'z');
        if (!letter && name[i] != '_' && (i == 0 || name[i] < '0' || name[i] > '9')) {
            return false;
        }
    }
    return len > 0;
}

/* The value of one ${...}, or NULL after saying what is wrong. The value itself is
 * never shown: it is nearly always a secret. */
static const char *value_of(struct tsn_config_read *r, const struct tsn_yaml_node *node,
                            const char *name, size_t len)
{
    char *copy = tsn_arena_strdup(&r->config->arena, name, len);
    if (!is_name(copy, len)) {
        tsn_yaml_error(r->doc, node, "letters, digits and '_', such as ${REDIS_PASSWORD}",
                       "'%s' is no name of an environment variable", copy);
        return NULL;
    }
    const char *value = getenv(copy);
    if (!value) {
        tsn_yaml_error(r->doc, node, "set it, or write $${ for a literal ${",
                       "the environment variable %s is not set", copy);
    }
    return value;
}

static void expand_scalar(struct tsn_config_read *r, struct tsn_yaml_node *node)
{
    struct tsn_arena *arena = &r->config->arena;
    const char *p = node->text;
    char *out = tsn_arena_strdup(arena, "", 0);
    if (!strstr(p, "${")) {
        return;
    }
    for (;;) {
        const char *open = strstr(p, "${");
        if (!open) {
            break;
        }
        if (open > p && open[-1] == '$') {
            out = tsn_arena_printf(arena, "%s%.*s${", out, (int)(open - 1 - p), p);
            p = open + 2;
            continue;
        }
        const char *close = strchr(open, '}');
        if (!close) {
            tsn_yaml_error(r->doc, node, "write ${NAME}", "'${' without its '}'");
            return;
        }
        const char *value = value_of(r, node, open + 2, (size_t)(close - open - 2));
        if (!value) {
            return; /* left as written, or its reader would complain of an empty text as well */
        }
        out = tsn_arena_printf(arena, "%s%.*s%s", out, (int)(open - p), p, value);
        p = close + 1;
    }
    out = tsn_arena_printf(arena, "%s%s", out, p);
    node->text = out;
    node->n = (uint32_t)strlen(out);
}

void tsn_config_expand(struct tsn_config_read *r, const struct tsn_yaml_node *node)
{
    if (node->kind == TSN_YAML_SCALAR) {
        /* the tree is ours alone until it is read */
        expand_scalar(r, (struct tsn_yaml_node *)node);
    }
    for (uint32_t i = 0; node->kind == TSN_YAML_SEQUENCE && i < node->n; i++) {
        tsn_config_expand(r, &node->items[i]);
    }
    for (uint32_t i = 0; node->kind == TSN_YAML_MAP && i < node->n; i++) {
        tsn_config_expand(r, &node->pairs[i].value);
    }
}
