/* Names: found by hash because a pack may have ten thousand rules, kept in order
 * because messages and output want the author's order. */
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "rules/must/must.h"
#include "rules/pack/compile.h"

static uint32_t slot_of(const struct names *names, const char *name)
{
    uint32_t mask = names->table_cap - 1;
    uint32_t at = (uint32_t)XXH3_64bits(name, strlen(name)) & mask;
    while (names->table[at] && strcmp(names->items[names->table[at] - 1], name) != 0) {
        at = (at + 1) & mask;
    }
    return at;
}

int tsn_names_find(const struct names *names, const char *name)
{
    if (names->table_cap == 0) {
        return TSN_NONE;
    }
    uint32_t found = names->table[slot_of(names, name)];
    return found ? (int)found - 1 : TSN_NONE;
}

static void grow(struct names *names)
{
    names->table_cap = names->table_cap ? names->table_cap * 2 : 32;
    free(names->table);
    names->table = calloc(names->table_cap, sizeof *names->table);
    TSN_MUST_ALLOC(names->table);
    names->cap = names->table_cap / 2;
    names->items = realloc(names->items, names->cap * sizeof *names->items);
    TSN_MUST_ALLOC(names->items);
    for (uint32_t i = 0; i < names->n; i++) {
        names->table[slot_of(names, names->items[i])] = i + 1;
    }
}

int tsn_names_add(struct names *names, const char *name)
{
    if (names->n == names->cap) {
        grow(names);
    }
    uint32_t at = slot_of(names, name);
    if (names->table[at]) {
        return TSN_NONE;
    }
    names->items[names->n] = name;
    names->table[at] = names->n + 1;
    return (int)names->n++;
}

void tsn_names_free(struct names *names)
{
    free(names->items);
    free(names->table);
    *names = (struct names){0};
}

/* Reserved by the expression language; the first four everywhere, the rest only at
 * the head of a name. "f" and "lists" are this pack format's own heads. */
static const char *const reserved[] = {
    "in",     "true", "false", "null",   "as",       "break", "const",   "continue",
    "else",   "for",  "if",    "import", "let",      "loop",  "package", "namespace",
    "return", "var",  "void",  "while",  "function", "f",     "lists",
};

enum { N_RESERVED = sizeof reserved / sizeof reserved[0], N_KEYWORDS = 4 };

bool tsn_pack_identifier(struct pack *p, const struct tsn_yaml_node *node, const char *what,
                         bool reserved_too)
{
    const char *text = NULL;
    if (!tsn_yaml_text(p->doc, node, what, &text)) {
        return false;
    }
    size_t len = strlen(text);
    size_t valid = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    if (len == 0 || valid != len || (text[0] >= '0' && text[0] <= '9') || len > PACK_NAME_MAX) {
        tsn_yaml_error(p->doc, node,
                       "use letters, digits and '_', not beginning with a digit, at most 64",
                       "%s '%.80s' cannot be used in an expression", what, text);
        return false;
    }
    for (int i = 0; i < (reserved_too ? N_RESERVED : N_KEYWORDS); i++) {
        if (strcmp(text, reserved[i]) == 0) {
            tsn_yaml_error(p->doc, node, "choose another name",
                           "%s '%s' is a reserved word of the expression language", what, text);
            return false;
        }
    }
    return true;
}

bool tsn_pack_id(struct pack *p, const struct tsn_yaml_node *node, const char *what)
{
    const char *text = NULL;
    if (!tsn_yaml_text(p->doc, node, what, &text)) {
        return false;
    }
    size_t len = strlen(text);
    size_t valid =
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");
    if (len == 0 || valid != len || len > PACK_NAME_MAX) {
        tsn_yaml_error(p->doc, node, "use letters, digits, '-', '_' and '.', at most 64",
                       "%s '%.80s' is no id", what, text);
        return false;
    }
    return true;
}

void tsn_pack_twice(struct pack *p, const struct tsn_yaml_node *node, const char *what,
                    const struct tsn_yaml_node *first)
{
    tsn_yaml_error(p->doc, node, NULL, "%s '%s' is declared twice, first %s", what, node->text,
                   tsn_yaml_where(p->doc, node, first));
}

char *tsn_pack_strdup(struct pack *p, const char *text)
{
    return tsn_arena_strdup(p->mem, text, strlen(text));
}

const char *tsn_pack_text(struct pack *p, const struct tsn_yaml_node *node, const char *what)
{
    const char *text = NULL;
    if (!tsn_yaml_text(p->doc, node, what, &text)) {
        return NULL;
    }
    if (node->n > PACK_TEXT_MAX) {
        tsn_yaml_error(p->doc, node, NULL, "%s has %u bytes; at most %d", what, (unsigned)node->n,
                       PACK_TEXT_MAX);
        return NULL;
    }
    return tsn_pack_strdup(p, text);
}

bool tsn_pack_mode(struct pack *p, const struct tsn_yaml_node *node, enum tsn_mode *mode)
{
    static const char *const words[] = {"live", "shadow", "disabled"};
    int word = 0;
    if (!tsn_yaml_word(p->doc, node, "'mode'", words, 3, &word)) {
        return node == NULL;
    }
    *mode = (enum tsn_mode)word;
    return true;
}
