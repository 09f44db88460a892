/* Expressions in YAML scalars: the text to compile and where its lines stand.
 *
 * In a literal block every line of the text is a line of the file, moved right. A
 * folded block or a plain scalar over several lines has lost its line ends; but
 * white space means nothing in an expression, so the lines as they stand in the
 * file are compiled instead. Quoted text can be taken as it stands when it has no
 * escapes; otherwise the resolved text is compiled and columns after the first
 * escape are too small by the escapes before them. */
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
    struct tsn_yaml_expr expr = {.text = node->text, .len = node->n};
    while (expr.len && expr.text[expr.len - 1] == '\n') {
        expr.len--;
    }
    expr.n_lines = count_lines(expr.text, expr.len);
    uint32_t *columns = tsn_arena_zalloc(&doc->arena, expr.n_lines, sizeof *columns);
    const char *raw = node->raw;
    const char *raw_end = doc->text + doc->len;
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

struct tsn_yaml_expr tsn_yaml_expression(struct tsn_yaml *doc, const struct tsn_yaml_node *node)
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
        for (size_t i = 1; i < expr.n_lines; i++) {
            ((uint32_t *)(uintptr_t)expr.line_columns)[i - 1] = 0;
        }
        return expr;
    }
    default:
        return raw_expression(doc, node->raw, node->raw_len, node->line, node->column);
    }
}
