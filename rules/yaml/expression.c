/* Expressions in YAML scalars: the text to compile and where its lines stand.
 *
 * In a literal block every line of the text is a line of the file, moved right. A
 * folded block or a plain scalar over several lines has lost its line ends; but
 * white space means nothing in an expression, so the lines as they stand in the
 * file are compiled instead. Quoted text can be taken as it stands when it has no
 * escapes; otherwise the resolved text is compiled, and places in it are found again
 * by resolving it once more. */
#include <string.h>

#include "rules/yaml/yaml.h"

static uint32_t code_points(const char *text, size_t len)
{
    uint32_t n = 0;
    for (size_t i = 0; i < len; i++) {
        n += ((unsigned char)text[i] & 0xC0) != 0x80;
    }
    return n;
}

static size_t line_length(const char *text, size_t len)
{
    const char *newline = len ? memchr(text, '\n', len) : NULL;
    return newline ? (size_t)(newline - text) : len;
}

static size_t count_lines(const char *text, size_t len)
{
    size_t n = 1;
    for (size_t i = 0; i < len; i++) {
        n += text[i] == '\n';
    }
    return n;
}

/* A literal block: each line of the text is the end of its line in the file. */
static struct tsn_yaml_expr literal_expression(struct tsn_yaml *doc,
                                               const struct tsn_yaml_node *node)
{
    const struct tsn_yaml_source *source = tsn_yaml_source(doc, node);
    struct tsn_yaml_expr expr = {.source = source, .text = node->text, .len = node->n};
    while (expr.len && expr.text[expr.len - 1] == '\n') {
        expr.len--;
    }
    expr.n_lines = count_lines(expr.text, expr.len);
    uint32_t *columns = tsn_arena_zalloc(&doc->arena, expr.n_lines, sizeof *columns);
    const char *raw = node->raw;
    const char *raw_end = source->text + source->len;
    size_t header = line_length(raw, (size_t)(raw_end - raw));
    raw += header + (raw + header < raw_end);
    const char *text = expr.text;
    const char *text_end = expr.text + expr.len;
    for (size_t i = 0; i < expr.n_lines; i++) {
        size_t text_line = line_length(text, (size_t)(text_end - text));
        size_t raw_line = line_length(raw, (size_t)(raw_end - raw));
        size_t visible = raw_line && raw[raw_line - 1] == '\r' ? raw_line - 1 : raw_line;
        uint32_t indent = visible > text_line ? code_points(raw, visible - text_line) : 0;
        columns[i] = indent + 1;
        text += text_line + (text + text_line < text_end);
        raw += raw_line + (raw + raw_line < raw_end);
    }
    expr.line = node->line + 1;
    expr.column = columns[0];
    expr.line_columns = columns + 1;
    return expr;
}

/* Text that stands in the file as it is, from `skip` bytes in; its first character
 * is at the given place and every further line begins in column 1. */
static struct tsn_yaml_expr raw_expression(struct tsn_yaml *doc, const char *text, size_t len,
                                           uint32_t line, uint32_t column)
{
    while (len && strchr(" \t\r\n", text[len - 1])) {
        len--;
    }
    struct tsn_yaml_expr expr = {
        .text = tsn_arena_strdup(&doc->arena, text, len),
        .len = len,
        .line = line,
        .column = column,
        .n_lines = count_lines(text, len),
    };
    uint32_t *columns = tsn_arena_zalloc(&doc->arena, expr.n_lines, sizeof *columns);
    for (size_t i = 0; i < expr.n_lines; i++) {
        columns[i] = 1;
    }
    expr.line_columns = columns;
    return expr;
}

static struct tsn_yaml_expr scalar_expression(struct tsn_yaml *doc,
                                              const struct tsn_yaml_node *node)
{
    switch (node->style) {
    case TSN_YAML_LITERAL:
        return literal_expression(doc, node);
    case TSN_YAML_FOLDED: {
        size_t header = line_length(node->raw, node->raw_len);
        header += header < node->raw_len;
        return raw_expression(doc, node->raw + header, node->raw_len - header, node->line + 1, 1);
    }
    case TSN_YAML_QUOTED: {
        size_t inner = node->raw_len >= 2 ? node->raw_len - 2 : 0;
        const char *escape = node->raw[0] == '"' ? "\\" : "''";
        if (inner && !memmem(node->raw + 1, inner, escape, strlen(escape))) {
            return raw_expression(doc, node->raw + 1, inner, node->line, node->column + 1);
        }
        struct tsn_yaml_expr expr =
            raw_expression(doc, node->text, node->n, node->line, node->column + 1);
        expr.quoted = node->raw;
        expr.quoted_len = node->raw_len;
        return expr;
    }
    default:
        return raw_expression(doc, node->raw, node->raw_len, node->line, node->column);
    }
}

struct tsn_yaml_expr tsn_yaml_expression(struct tsn_yaml *doc, const struct tsn_yaml_node *node)
{
    struct tsn_yaml_expr expr = scalar_expression(doc, node);
    expr.source = tsn_yaml_source(doc, node);
    return expr;
}

/* ---- places in quoted text ----------------------------------------------------- */

struct walk {
    const char *at;
    const char *end; /* the closing quote */
    struct tsn_place place;
    bool is_double;
};

static void step(struct walk *walk, size_t bytes)
{
    for (size_t i = 0; i < bytes && walk->at < walk->end; i++, walk->at++) {
        if (*walk->at == '\n') {
            walk->place.line++;
            walk->place.column = 1;
        } else if (((unsigned char)*walk->at & 0xC0) != 0x80) {
            walk->place.column++;
        }
    }
}

/* A line end inside quotes, with the white space around it, is one space. */
static bool step_fold(struct walk *walk)
{
    const char *after = walk->at;
    while (after < walk->end && (*after == ' ' || *after == '\t' || *after == '\r')) {
        after++;
    }
    if (after == walk->end || *after != '\n') {
        return false;
    }
    while (after < walk->end && strchr(" \t\r\n", *after)) {
        after++;
    }
    step(walk, (size_t)(after - walk->at));
    return true;
}

/* Over what stands for one character of the text. */
static void step_character(struct walk *walk)
{
    if (step_fold(walk)) {
        return;
    }
    if (!walk->is_double && *walk->at == '\'') {
        step(walk, 2);
    } else if (walk->is_double && *walk->at == '\\' && walk->at + 1 < walk->end) {
        char kind = walk->at[1];
        step(walk, kind == 'x' ? 4 : kind == 'u' ? 6 : kind == 'U' ? 10 : 2);
    } else {
        size_t bytes = 1;
        while (walk->at + bytes < walk->end && ((unsigned char)walk->at[bytes] & 0xC0) == 0x80) {
            bytes++;
        }
        step(walk, bytes);
    }
}

void tsn_yaml_expression_place(const struct tsn_yaml_expr *expr, struct tsn_place *place)
{
    if (!expr->quoted || place->line < expr->line ||
        (place->line == expr->line && place->column < expr->column)) {
        return;
    }
    /* Characters of the text before the place. */
    uint32_t line = expr->line;
    uint32_t column = expr->column;
    size_t characters = 0;
    for (size_t i = 0; i < expr->len; i++) {
        if (line > place->line || (line == place->line && column >= place->column)) {
            break;
        }
        if (expr->text[i] == '\n') {
            line++;
            column = 1;
            characters++;
        } else if (((unsigned char)expr->text[i] & 0xC0) != 0x80) {
            column++;
            characters++;
        }
    }
    struct walk walk = {.at = expr->quoted + 1,
                        .end = expr->quoted + expr->quoted_len - 1,
                        .place = {place->file, expr->line, expr->column},
                        .is_double = expr->quoted[0] == '"'};
    while (characters > 0 && walk.at < walk.end) {
        step_character(&walk);
        characters--;
    }
    *place = walk.place;
}
