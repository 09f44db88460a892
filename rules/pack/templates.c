/* Pack, block `templates`: the closed texts that a warning may be.
 *
 * A sender shows these words to frightened people, and copies of them are used for
 * fraud: so no link, and nothing from an event but the last digits of a number or a
 * word of a closed list. */
#include <stdio.h>
#include <string.h>

#include "rules/pack/compile.h"

enum {
    TEMPLATE_DIGITS_MAX = 6, /* of a number, so that it is never shown whole */
    TEMPLATE_PARAMS_MAX = 8,
    TEMPLATE_VALUE_MAX = 32, /* bytes of a listed word */
};

static void closed_list(struct pack *p, struct tsn_template_param *param,
                        const struct tsn_yaml_node *node)
{
    if (!tsn_yaml_is_sequence(p->doc, node, "'values'")) {
        return;
    }
    const char **values = tsn_arena_zalloc(p->mem, node->n, sizeof *values);
    for (uint32_t i = 0; i < node->n; i++) {
        const char *text = NULL;
        if (!tsn_yaml_text(p->doc, &node->items[i], "a value", &text)) {
            continue;
        }
        if (node->items[i].n == 0 || node->items[i].n > TEMPLATE_VALUE_MAX) {
            tsn_yaml_error(p->doc, &node->items[i], NULL, "a listed word has 1 to %d bytes",
                           TEMPLATE_VALUE_MAX);
            continue;
        }
        values[param->n_values++] = tsn_pack_strdup(p, text);
    }
    param->values = values;
    if (node->n == 0) {
        tsn_yaml_error(p->doc, node, NULL, "an empty list of values");
    }
}

static void parameter(struct pack *p, struct tsn_template_param *param,
                      const struct tsn_yaml_node *key, const struct tsn_yaml_node *node)
{
    static const char *const known[] = {"digits", "values", "default"};
    if (!tsn_yaml_is_map(p->doc, node, "a parameter")) {
        return;
    }
    tsn_yaml_check_keys(p->doc, node, "a parameter", known, 3);
    const struct tsn_yaml_node *digits = tsn_yaml_get(node, "digits");
    const struct tsn_yaml_node *values = tsn_yaml_get(node, "values");
    if (!digits == !values) {
        tsn_yaml_error(p->doc, key,
                       "write { digits: 4 } for the last digits of a number, or { values: [a, b] }",
                       "parameter '%s' must be a digit tail or a closed list", key->text);
        return;
    }
    if (digits) {
        int64_t n = 0;
        param->tail = true;
        if (tsn_yaml_int(p->doc, digits, "'digits'", 1, TEMPLATE_DIGITS_MAX, &n)) {
            param->digits = (uint8_t)n;
        }
    } else {
        closed_list(p, param, values);
    }
    const struct tsn_yaml_node *fallback = tsn_yaml_get(node, "default");
    param->fallback = tsn_pack_text(p, fallback, "'default'");
    if (param->fallback && fallback->n > TEMPLATE_VALUE_MAX) {
        tsn_yaml_error(p->doc, fallback, NULL, "'default' has at most %d bytes",
                       TEMPLATE_VALUE_MAX);
    }
}

static bool has_link(const char *text)
{
    return strcasestr(text, "://") || strcasestr(text, "www.") || strcasestr(text, "http:") ||
           strcasestr(text, "https");
}

/* Every {name} is a parameter; `used` is marked. */
static void placeholders(struct pack *p, const struct tsn_template *template_,
                         const struct tsn_yaml_node *node, bool *used)
{
    for (const char *at = node->text; (at = strpbrk(at, "{}")); at++) {
        const char *end = *at == '{' ? strpbrk(at + 1, "{}") : NULL;
        if (!end || *end != '}') {
            tsn_yaml_error(p->doc, node, "braces are for parameters only",
                           "a brace without its pair");
            return;
        }
        bool found = false;
        for (int i = 0; i < template_->n_params; i++) {
            const char *name = template_->params[i].name;
            if (strlen(name) == (size_t)(end - at - 1) &&
                memcmp(name, at + 1, (size_t)(end - at - 1)) == 0) {
                used[i] = true;
                found = true;
            }
        }
        if (!found) {
            char wrong[PACK_NAME_MAX];
            const char *names[TEMPLATE_PARAMS_MAX];
            for (int i = 0; i < template_->n_params; i++) {
                names[i] = template_->params[i].name;
            }
            snprintf(wrong, sizeof wrong, "%.*s", (int)(end - at - 1 < 60 ? end - at - 1 : 60),
                     at + 1);
            tsn_yaml_unknown(p->doc, node, "parameter", wrong, names, (size_t)template_->n_params);
        }
        at = end;
    }
}

static bool is_language(const char *text)
{
    size_t len = strlen(text);
    return len >= 2 && len <= 35 && text[0] != '-' && text[len - 1] != '-' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == len;
}

static void texts(struct pack *p, struct tsn_template *out, const struct tsn_yaml_node *node)
{
    if (!tsn_yaml_is_map(p->doc, node, "'texts'")) {
        return;
    }
    struct tsn_template_text *text = tsn_arena_zalloc(p->mem, node->n, sizeof *text);
    for (uint32_t i = 0; i < node->n; i++) {
        const struct tsn_yaml_node *key = &node->pairs[i].key;
        const struct tsn_yaml_node *value = &node->pairs[i].value;
        if (!is_language(key->text)) {
            tsn_yaml_error(p->doc, key, "write a BCP 47 tag such as en or zh-Hans",
                           "'%s' is no language", key->text);
        }
        const char *words = tsn_pack_text(p, value, "a text");
        if (!words) {
            continue;
        }
        if (has_link(words)) {
            tsn_yaml_error(p->doc, value,
                           "name a number or an office that people can look up themselves",
                           "a warning carries no link: copies of it would carry another");
        }
        bool used[TEMPLATE_PARAMS_MAX] = {false};
        placeholders(p, out, value, used);
        for (int k = 0; k < out->n_params; k++) {
            if (!used[k]) {
                tsn_yaml_warn(p->doc, value, NULL, "the text in %s does not use {%s}", key->text,
                              out->params[k].name);
            }
        }
        text[out->n_texts++] = (struct tsn_template_text){tsn_pack_strdup(p, key->text), words};
    }
    out->texts = text;
    if (node->n == 0) {
        tsn_yaml_error(p->doc, node, NULL, "a template without a text");
    }
}

static void template_keys(struct pack *p, struct tsn_template *out, const struct tsn_yaml_node *key,
                          const struct tsn_yaml_node *node)
{
    static const char *const known[] = {"version", "params", "texts", "description"};
    if (!tsn_yaml_is_map(p->doc, node, "a template")) {
        return;
    }
    tsn_yaml_check_keys(p->doc, node, "a template", known, sizeof known / sizeof known[0]);
    int64_t version = 1;
    tsn_yaml_int(p->doc, tsn_yaml_get(node, "version"), "'version'", 1, INT32_MAX, &version);
    out->version = (int)version;
    const struct tsn_yaml_node *params = tsn_yaml_get(node, "params");
    if (tsn_yaml_is_map(p->doc, params, "'params'")) {
        uint32_t n = params->n;
        if (n > TEMPLATE_PARAMS_MAX) {
            tsn_yaml_error(p->doc, params, NULL, "%u parameters; at most %d", (unsigned)n,
                           TEMPLATE_PARAMS_MAX);
            n = TEMPLATE_PARAMS_MAX;
        }
        struct tsn_template_param *param = tsn_arena_zalloc(p->mem, n, sizeof *param);
        out->params = param;
        for (uint32_t i = 0; i < n; i++) {
            const struct tsn_yaml_node *name = &params->pairs[i].key;
            if (tsn_pack_identifier(p, name, "parameter", false)) {
                param[out->n_params].name = tsn_pack_strdup(p, name->text);
                parameter(p, &param[out->n_params], name, &params->pairs[i].value);
                out->n_params++;
            }
        }
    }
    const struct tsn_yaml_node *texts_node = tsn_yaml_get(node, "texts");
    if (!texts_node) {
        tsn_yaml_error(p->doc, key, "write texts: { en: '...', zh-Hans: '...' }",
                       "template '%s' has no 'texts'", key->text);
    }
    texts(p, out, texts_node);
}

void tsn_pack_templates(struct pack *p)
{
    const struct tsn_yaml_node *node = tsn_yaml_get(p->doc->root, "templates");
    if (!tsn_yaml_is_map(p->doc, node, "'templates'")) {
        return;
    }
    p->templates = tsn_arena_zalloc(p->mem, node->n, sizeof *p->templates);
    p->prog->templates = p->templates;
    for (uint32_t i = 0; i < node->n; i++) {
        const struct tsn_yaml_node *key = &node->pairs[i].key;
        if (!tsn_pack_id(p, key, "template id")) {
            continue;
        }
        int at = tsn_names_add(&p->template_names, tsn_pack_strdup(p, key->text));
        if (at == TSN_NONE) {
            continue; /* reported as a duplicate key */
        }
        p->prog->n_templates++;
        p->templates[at].id = p->template_names.items[at];
        template_keys(p, &p->templates[at], key, &node->pairs[i].value);
    }
}

/* A pack without the block leaves the texts to whoever sends them: an id is then all
 * there is to know. */
int tsn_pack_template_elsewhere(struct pack *p, const struct tsn_yaml_node *node)
{
    if (!tsn_pack_id(p, node, "template id")) {
        return TSN_NONE;
    }
    struct tsn_template *grown = tsn_arena_zalloc(p->mem, p->template_names.n + 1, sizeof *grown);
    if (p->template_names.n) {
        memcpy(grown, p->templates, p->template_names.n * sizeof *grown);
    }
    p->templates = grown;
    p->prog->templates = grown;
    int at = tsn_names_add(&p->template_names, tsn_pack_strdup(p, node->text));
    p->prog->n_templates++;
    grown[at] = (struct tsn_template){.id = p->template_names.items[at], .version = 1};
    tsn_yaml_warn(p->doc, node, "declare it under 'templates': id, version, params, texts",
                  "template '%s' is not declared in this pack; its text is left to the sender",
                  node->text);
    return at;
}
