/* Pack, block `lists`: named sets of strings or ints, from values in the pack, from
 * a file beside it, or filled by rules. */
#include <stdlib.h>
#include <string.h>

#include "rules/must/must.h"
#include "rules/pack/compile.h"

/* A file of more bytes than this is no list that one machine should hold. */
#define LIST_FILE_BYTES_MAX (INT64_C(2) << 30)

enum { LIST_VALUE_MAX = 1024 /* bytes; longer lines are some other file */ };

/* ---- values ------------------------------------------------------------------ */

static bool parse_int(const char *text, size_t len, int64_t *out)
{
    size_t at = len && (text[0] == '-' || text[0] == '+');
    bool negative = len && text[0] == '-';
    int64_t value = 0;
    if (at == len) {
        return false;
    }
    for (; at < len; at++) {
        int digit = text[at] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value)) {
            return false; /* counted downwards: INT64_MIN has no positive twin */
        }
    }
    if (!negative && value == INT64_MIN) {
        return false;
    }
    *out = negative ? value : -value;
    return true;
}

static bool is_utf8(const char *text, size_t len)
{
    const unsigned char *s = (const unsigned char *)text;
    for (size_t i = 0; i < len;) {
        size_t more = s[i] < 0x80                   ? 0
                      : s[i] >= 0xC2 && s[i] < 0xE0 ? 1
                      : s[i] >= 0xE0 && s[i] < 0xF0 ? 2
                      : s[i] >= 0xF0 && s[i] < 0xF5 ? 3
                                                    : SIZE_MAX;
        if (more == SIZE_MAX || len - i <= more) {
            return false;
        }
        for (size_t k = 1; k <= more; k++) {
            if ((s[i + k] & 0xC0) != 0x80) {
                return false;
            }
        }
        if ((s[i] == 0xE0 && s[i + 1] < 0xA0) || (s[i] == 0xED && s[i + 1] > 0x9F) ||
            (s[i] == 0xF0 && s[i + 1] < 0x90) || (s[i] == 0xF4 && s[i + 1] > 0x8F)) {
            return false;
        }
        i += more + 1;
    }
    return true;
}

/* Adds one value; what is wrong with it, or NULL. */
static const char *add_value(struct tsn_list *list, enum tsn_type of, const char *text, size_t len)
{
    if (len == 0) {
        return "an empty value";
    }
    if (len > LIST_VALUE_MAX) {
        return "a value of more than 1024 bytes";
    }
    if (memchr(text, '\0', len) || !is_utf8(text, len)) {
        return "a value that is not UTF-8 text";
    }
    if (of == TSN_TYPE_STRING) {
        tsn_list_add_string(list, (struct tsn_str){text, (uint32_t)len}, TSN_LIST_FOREVER);
        return NULL;
    }
    int64_t value = 0;
    if (!parse_int(text, len, &value)) {
        return "a value that is no whole number of 64 bits, in a list of int";
    }
    tsn_list_add_int(list, value, TSN_LIST_FOREVER);
    return NULL;
}

/* ---- files ------------------------------------------------------------------- */

/* The first field of a CSV line (RFC 4180), quotes resolved in place. False if a
 * quote is left open: a value may not span lines. */
static bool first_field(char *line, size_t len, size_t *field_len)
{
    if (len == 0 || line[0] != '"') {
        const char *comma = memchr(line, ',', len);
        *field_len = comma ? (size_t)(comma - line) : len;
        while (*field_len && (line[*field_len - 1] == ' ' || line[*field_len - 1] == '\t')) {
            (*field_len)--;
        }
        return true;
    }
    size_t to = 0;
    for (size_t at = 1; at < len; at++) {
        if (line[at] != '"') {
            line[to++] = line[at];
        } else if (at + 1 < len && line[at + 1] == '"') {
            line[to++] = line[at++];
        } else {
            *field_len = to;
            return at + 1 == len || line[at + 1] == ',';
        }
    }
    return false;
}

static void line_error(struct pack *p, const char *file, uint32_t line, const char *what)
{
    struct tsn_place place = {file, line, 1};
    tsn_diags_add(p->diags, TSN_SEVERITY_ERROR, place, NULL, 0,
                  "write one value a line; what follows a comma is not read; # begins a comment",
                  "line %u of the list file holds %s", (unsigned)line, what);
}

/* One value a line, the first field if it is CSV; blank lines and lines that begin
 * with # are skipped. Every bad line is named. */
static void read_lines(struct pack *p, struct tsn_list *list, enum tsn_type of, const char *file,
                       char *text, size_t len)
{
    char *end = text + len;
    if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        text += 3;
    }
    for (uint32_t line = 1; text < end; line++) {
        char *newline = memchr(text, '\n', (size_t)(end - text));
        char *next = newline ? newline + 1 : end;
        size_t n = (size_t)((newline ? newline : end) - text);
        if (n && text[n - 1] == '\r') {
            n--;
        }
        while (n && (text[0] == ' ' || text[0] == '\t')) {
            text++;
            n--;
        }
        if (n && text[0] != '#') {
            size_t field = 0;
            const char *wrong = first_field(text, n, &field)
                                    ? add_value(list, of, text, field)
                                    : "a quoted value that does not end on its line";
            if (wrong) {
                line_error(p, file, line, wrong);
            }
        }
        text = next;
    }
}

void tsn_pack_list_file(struct pack *p, struct tsn_list *list, enum tsn_type of, const char *name,
                        const struct tsn_yaml_node *node)
{
    if (!p->open) {
        tsn_yaml_error(p->doc, node, NULL, "list files cannot be read here");
        return;
    }
    const char *why = NULL;
    size_t len = 0;
    const char *path = tsn_pack_file_name(p, node, name);
    char *text = p->open(p->user, path, &len, &why);
    if (!text) {
        tsn_yaml_error(p->doc, node, "the name is taken relative to the folder of this file",
                       "list file '%.200s' cannot be read: %s", name,
                       why ? why : "no reason given");
        return;
    }
    if ((int64_t)len > LIST_FILE_BYTES_MAX) {
        tsn_yaml_error(p->doc, node, NULL, "list file '%.200s' is larger than 2 GiB", name);
    } else {
        read_lines(p, list, of, tsn_pack_file_shown(p, path), text, len);
    }
    free(text);
}

/* ---- declarations -------------------------------------------------------------- */

static void list_values(struct pack *p, struct tsn_list *list, enum tsn_type of,
                        const struct tsn_yaml_node *node)
{
    if (!tsn_yaml_is_sequence(p->doc, node, "'values'")) {
        return;
    }
    for (uint32_t i = 0; i < node->n; i++) {
        const char *text = NULL;
        if (!tsn_yaml_text(p->doc, &node->items[i], "a value", &text)) {
            continue;
        }
        const char *wrong = add_value(list, of, text, node->items[i].n);
        if (wrong) {
            tsn_yaml_error(p->doc, &node->items[i], NULL, "%s", wrong);
        }
    }
}

static void list_declaration(struct pack *p, int at, const struct tsn_yaml_node *key,
                             const struct tsn_yaml_node *node)
{
    static const char *const known[] = {"of",  "file",  "values",     "ttl",
                                        "max", "match", "description"};
    static const char *const of_words[] = {"string", "int"};
    static const char *const match_words[] = {"exact", "prefix"};
    struct tsn_list_decl *decl = &p->list_decls[at];
    if (!tsn_yaml_is_map(p->doc, node, "a list")) {
        return;
    }
    tsn_yaml_check_keys(p->doc, node, "a list", known, sizeof known / sizeof known[0]);
    int word = 0;
    const struct tsn_yaml_node *of = tsn_yaml_get(node, "of");
    if (!of) {
        tsn_yaml_error(p->doc, key, "write of: string or of: int", "list '%s' has no 'of'",
                       key->text);
    }
    tsn_yaml_word(p->doc, of, "'of'", of_words, 2, &word);
    decl->of = word ? TSN_TYPE_INT : TSN_TYPE_STRING;
    tsn_yaml_duration(p->doc, tsn_yaml_get(node, "ttl"), "'ttl'", 1, &decl->ttl_ms);
    int64_t max = 0;
    tsn_yaml_int(p->doc, tsn_yaml_get(node, "max"), "'max'", 1, UINT32_MAX / 4, &max);
    decl->max = (uint64_t)max;
    int match = 0;
    const struct tsn_yaml_node *how = tsn_yaml_get(node, "match");
    tsn_yaml_word(p->doc, how, "'match'", match_words, 2, &match);
    decl->prefixes = match == 1;
    if (decl->prefixes && decl->of != TSN_TYPE_STRING) {
        tsn_yaml_error(p->doc, how, "write of: string, or leave 'match' out",
                       "only a list of string holds prefixes");
    }
    const struct tsn_yaml_node *file = tsn_yaml_get(node, "file");
    const struct tsn_yaml_node *values = tsn_yaml_get(node, "values");
    struct tsn_list *list = tsn_list_new(decl->of, 0);
    p->lists[at].initial = list;
    const char *name = NULL;
    if (file && values) {
        tsn_yaml_error(p->doc, file, "keep one of them", "a list has 'file' or 'values', not both");
    } else if (tsn_yaml_text(p->doc, file, "'file'", &name)) {
        tsn_pack_list_file(p, list, decl->of, name, file);
    } else if (values) {
        list_values(p, list, decl->of, values);
    }
    if (decl->max && tsn_list_size(list) > decl->max) {
        tsn_yaml_error(p->doc, key, "raise 'max'",
                       "list '%s' starts with %zu values, its max is %llu", key->text,
                       tsn_list_size(list), (unsigned long long)decl->max);
    }
    decl->initial = list;
    decl->version = tsn_pack_list_version(list, decl->of);
}

void tsn_pack_lists(struct pack *p)
{
    const struct tsn_yaml_node *node = tsn_yaml_get(p->doc->root, "lists");
    if (!tsn_yaml_is_map(p->doc, node, "'lists'")) {
        return;
    }
    p->list_decls = tsn_arena_zalloc(p->mem, node->n, sizeof *p->list_decls);
    p->lists = tsn_arena_zalloc(&p->scratch, node->n, sizeof *p->lists);
    p->handles = tsn_arena_zalloc(&p->scratch, node->n, sizeof *p->handles);
    p->prog->lists = p->list_decls;
    for (uint32_t i = 0; i < node->n; i++) {
        const struct tsn_yaml_node *key = &node->pairs[i].key;
        if (!tsn_pack_identifier(p, key, "list", false)) {
            continue;
        }
        char *name = tsn_pack_strdup(p, key->text);
        int at = tsn_names_add(&p->list_names, name);
        if (at == TSN_NONE) {
            continue; /* reported as a duplicate key */
        }
        p->prog->n_lists++;
        p->list_decls[at].name = name;
        p->lists[at].node = key;
        list_declaration(p, at, key, &node->pairs[i].value);
        p->handles[at] = (struct tsn_expr_list){
            .name = tsn_arena_printf(&p->scratch, "lists.%s", name),
            .element = p->list_decls[at].of,
            .list = (uint32_t)at,
            .prefixes = p->list_decls[at].prefixes,
        };
        if (!p->lists[at].initial) {
            p->lists[at].initial = tsn_list_new(TSN_TYPE_STRING, 0);
            p->list_decls[at].initial = p->lists[at].initial;
        }
    }
}
