/* YAML text -> tree. See yaml.h. Recursion is bounded by TSN_YAML_DEPTH_MAX. */
#include "rules/yaml/yaml.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "rules/must/must.h"

/* Children of all open collections, one after the other: a collection copies its
 * own into the arena when it closes. */
struct stack {
    unsigned char *bytes;
    size_t used;
    size_t cap;
};

struct builder {
    struct tsn_yaml *doc;
    const struct tsn_yaml_source *source;
    uint16_t source_index;
    yaml_parser_t parser;
    struct stack stack;
    size_t raw_byte; /* cursor that turns libyaml's character index into bytes */
    size_t raw_char;
    bool fatal; /* stop: no usable tree */
};

static void *stack_push(struct stack *stack, size_t size)
{
    if (stack->cap - stack->used < size) {
        stack->cap = stack->cap ? stack->cap * 2 : 4096;
        stack->bytes = realloc(stack->bytes, stack->cap);
        TSN_MUST_ALLOC(stack->bytes);
    }
    void *p = stack->bytes + stack->used;
    stack->used += size;
    return p;
}

/* Moves what was pushed since `from` into the arena. */
static void *stack_take(struct stack *stack, size_t from, struct tsn_arena *arena)
{
    size_t size = stack->used - from;
    void *copy = tsn_arena_alloc(arena, size);
    if (size) {
        memcpy(copy, stack->bytes + from, size);
    }
    stack->used = from;
    return copy;
}

static void error_at(struct builder *b, size_t line, size_t column, const char *advice,
                     const char *message)
{
    struct tsn_place place = {b->source->file, (uint32_t)line + 1, (uint32_t)column + 1};
    tsn_diags_add(b->doc->diags, TSN_SEVERITY_ERROR, place, b->source->text, b->source->len, advice,
                  "%s", message);
}

/* What libyaml's message does not say but its reader needs to hear. */
static const char *syntax_advice(const yaml_parser_t *parser)
{
    const char *context = parser->context ? parser->context : "";
    const char *problem = parser->problem ? parser->problem : "";
    if (strstr(context, "tag") || strstr(context, "alias") || strstr(context, "anchor")) {
        return "an expression that begins with '!', '&' or '*' must be quoted, or written below "
               "'|'";
    }
    if (strstr(problem, "mapping values are not allowed")) {
        return "text that contains ': ' must be quoted; else look for a wrong indentation above";
    }
    if (strstr(problem, "cannot start any token")) {
        return "indent with spaces; quote text that begins with a special character";
    }
    if (strstr(problem, "block end") || strstr(problem, "expected key")) {
        return "look for a wrong indentation, or an unquoted quote, here or just above";
    }
    return NULL;
}

static void syntax_error(struct builder *b)
{
    const yaml_parser_t *parser = &b->parser;
    b->fatal = true;
    if (parser->error == YAML_MEMORY_ERROR) {
        TSN_MUST_ALLOC(NULL);
    }
    size_t line = parser->problem_mark.line;
    size_t column = parser->problem_mark.column;
    if (parser->error == YAML_READER_ERROR) {
        line = 0;
        column = 0;
        for (size_t i = 0; i < parser->problem_offset && i < b->source->len; i++) {
            unsigned char c = (unsigned char)b->source->text[i];
            if (c == '\n') {
                line++;
                column = 0;
            } else if ((c & 0xC0) != 0x80) {
                column++;
            }
        }
    }
    struct tsn_place place = {b->source->file, (uint32_t)line + 1, (uint32_t)column + 1};
    tsn_diags_add(b->doc->diags, TSN_SEVERITY_ERROR, place, b->source->text, b->source->len,
                  syntax_advice(parser), "this is not YAML: %s%s%s",
                  parser->problem ? parser->problem : "it cannot be read",
                  parser->context ? " " : "", parser->context ? parser->context : "");
}

static bool next_event(struct builder *b, yaml_event_t *event)
{
    if (b->fatal) {
        return false;
    }
    if (!yaml_parser_parse(&b->parser, event)) {
        syntax_error(b);
        return false;
    }
    return true;
}

/* libyaml counts characters; events come in order, so one cursor serves. */
static size_t byte_of(struct builder *b, size_t index)
{
    while (b->raw_char < index && b->raw_byte < b->source->len) {
        b->raw_byte++;
        while (b->raw_byte < b->source->len &&
               ((unsigned char)b->source->text[b->raw_byte] & 0xC0) == 0x80) {
            b->raw_byte++;
        }
        b->raw_char++;
    }
    return b->raw_byte;
}

static void refuse_decoration(struct builder *b, const yaml_event_t *event,
                              const yaml_char_t *anchor, const yaml_char_t *tag)
{
    size_t line = event->start_mark.line;
    size_t column = event->start_mark.column;
    if (anchor) {
        error_at(b, line, column,
                 "write the value out where it is needed; quote text that begins "
                 "with '&'",
                 "anchors are refused: a file must read as it stands");
    }
    if (tag) {
        error_at(b, line, column, "an expression that begins with '!' must be quoted: '!has(...)'",
                 "tags are refused: types come from the schema");
    }
}

static bool build_node(struct builder *b, yaml_event_t *event, struct tsn_yaml_node *out,
                       int depth);

static void build_scalar(struct builder *b, const yaml_event_t *event, struct tsn_yaml_node *out)
{
    refuse_decoration(b, event, event->data.scalar.anchor, event->data.scalar.tag);
    switch (event->data.scalar.style) {
    case YAML_SINGLE_QUOTED_SCALAR_STYLE:
    case YAML_DOUBLE_QUOTED_SCALAR_STYLE:
        out->style = TSN_YAML_QUOTED;
        break;
    case YAML_LITERAL_SCALAR_STYLE:
        out->style = TSN_YAML_LITERAL;
        break;
    case YAML_FOLDED_SCALAR_STYLE:
        out->style = TSN_YAML_FOLDED;
        break;
    default:
        out->style = TSN_YAML_PLAIN;
    }
    out->kind = TSN_YAML_SCALAR;
    out->n = (uint32_t)event->data.scalar.length;
    out->text = tsn_arena_strdup(&b->doc->arena, (const char *)event->data.scalar.value, out->n);
    size_t from = byte_of(b, event->start_mark.index);
    size_t to = byte_of(b, event->end_mark.index);
    out->raw = b->source->text + from;
    out->raw_len = (uint32_t)(to - from);
}

static bool build_sequence(struct builder *b, struct tsn_yaml_node *out, int depth)
{
    size_t from = b->stack.used;
    for (;;) {
        yaml_event_t event;
        if (!next_event(b, &event)) {
            return false;
        }
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            break;
        }
        struct tsn_yaml_node item;
        if (!build_node(b, &event, &item, depth + 1)) {
            return false;
        }
        *(struct tsn_yaml_node *)stack_push(&b->stack, sizeof item) = item;
        out->n++;
    }
    out->items = stack_take(&b->stack, from, &b->doc->arena);
    return true;
}

static void check_key(struct builder *b, const struct tsn_yaml_node *key)
{
    if (key->kind != TSN_YAML_SCALAR || memchr(key->text, '\0', key->n)) {
        error_at(b, key->line - 1, key->column - 1, NULL, "a key must be plain text");
    } else if (key->style == TSN_YAML_PLAIN && strcmp(key->text, "<<") == 0) {
        error_at(b, key->line - 1, key->column - 1, "write the keys out",
                 "merge keys are refused: a file must read as it stands");
    }
}

static int by_key(const void *a, const void *b)
{
    const struct tsn_yaml_pair *x = *(const struct tsn_yaml_pair *const *)a;
    const struct tsn_yaml_pair *y = *(const struct tsn_yaml_pair *const *)b;
    int order = strcmp(x->key.text, y->key.text);
    return order ? order : (x < y ? -1 : x > y);
}

static void check_duplicates(struct builder *b, const struct tsn_yaml_node *map)
{
    if (map->n < 2) {
        return;
    }
    const struct tsn_yaml_pair **sorted = malloc(map->n * sizeof *sorted);
    TSN_MUST_ALLOC(sorted);
    for (uint32_t i = 0; i < map->n; i++) {
        sorted[i] = &map->pairs[i];
    }
    qsort(sorted, map->n, sizeof *sorted, by_key);
    for (uint32_t i = 1; i < map->n; i++) {
        if (strcmp(sorted[i - 1]->key.text, sorted[i]->key.text) == 0) {
            tsn_yaml_error(b->doc, &sorted[i]->key, NULL, "duplicate key '%s', first on line %u",
                           sorted[i]->key.text, (unsigned)sorted[i - 1]->key.line);
        }
    }
    free(sorted);
}

/* So that later code may treat every key as a C string. */
static void mend_key(struct tsn_yaml_node *key)
{
    if (key->kind != TSN_YAML_SCALAR) {
        key->kind = TSN_YAML_SCALAR;
        key->text = "";
        key->n = 0;
        key->raw_len = 0;
    }
}

static bool build_map(struct builder *b, struct tsn_yaml_node *out, int depth)
{
    size_t from = b->stack.used;
    for (;;) {
        yaml_event_t event;
        if (!next_event(b, &event)) {
            return false;
        }
        if (event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            break;
        }
        struct tsn_yaml_pair pair;
        if (!build_node(b, &event, &pair.key, depth + 1)) {
            return false;
        }
        check_key(b, &pair.key);
        mend_key(&pair.key);
        if (!next_event(b, &event) || !build_node(b, &event, &pair.value, depth + 1)) {
            return false;
        }
        *(struct tsn_yaml_pair *)stack_push(&b->stack, sizeof pair) = pair;
        out->n++;
    }
    out->pairs = stack_take(&b->stack, from, &b->doc->arena);
    check_duplicates(b, out);
    return true;
}

/* Consumes the event and, for collections, everything up to their end. */
static bool build_node(struct builder *b, yaml_event_t *event, struct tsn_yaml_node *out, int depth)
{
    *out = (struct tsn_yaml_node){.source = b->source_index,
                                  .line = (uint32_t)event->start_mark.line + 1,
                                  .column = (uint32_t)event->start_mark.column + 1,
                                  .text = ""};
    if (depth > TSN_YAML_DEPTH_MAX) {
        tsn_yaml_error(b->doc, out, "no pack and no configuration needs that many levels",
                       "nested deeper than %d levels", TSN_YAML_DEPTH_MAX);
        b->fatal = true;
        yaml_event_delete(event);
        return false;
    }
    bool ok = true;
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        build_scalar(b, event, out);
        break;
    case YAML_SEQUENCE_START_EVENT:
        out->kind = TSN_YAML_SEQUENCE;
        refuse_decoration(b, event, event->data.sequence_start.anchor,
                          event->data.sequence_start.tag);
        ok = build_sequence(b, out, depth);
        break;
    case YAML_MAPPING_START_EVENT:
        out->kind = TSN_YAML_MAP;
        refuse_decoration(b, event, event->data.mapping_start.anchor,
                          event->data.mapping_start.tag);
        ok = build_map(b, out, depth);
        break;
    case YAML_ALIAS_EVENT:
        tsn_yaml_error(b->doc, out,
                       "write the value out where it is needed; quote text that begins with '*'",
                       "aliases are refused: a file must read as it stands");
        break;
    default:
        TSN_MUST(!"an event that cannot begin a node");
    }
    yaml_event_delete(event);
    return ok;
}

/* Stream start, document start, the root, document end, stream end. */
static bool build_document(struct builder *b, struct tsn_yaml_node *root)
{
    bool have_root = false;
    for (;;) {
        yaml_event_t event;
        if (!next_event(b, &event)) {
            return false;
        }
        switch (event.type) {
        case YAML_STREAM_END_EVENT:
            yaml_event_delete(&event);
            if (!have_root) {
                error_at(b, 0, 0, NULL, "the file is empty");
            }
            return have_root;
        case YAML_DOCUMENT_START_EVENT:
            if (have_root) {
                error_at(b, event.start_mark.line, event.start_mark.column, "use one file for each",
                         "a second document begins here; one file holds one");
                yaml_event_delete(&event);
                return false;
            }
            yaml_event_delete(&event);
            break;
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            yaml_event_delete(&event);
            break;
        default:
            if (!build_node(b, &event, root, 1)) {
                return false;
            }
            have_root = true;
        }
    }
}

const struct tsn_yaml_node *tsn_yaml_add(struct tsn_yaml *doc, const char *file, const char *text,
                                         size_t len)
{
    if (len > TSN_YAML_BYTES_MAX) {
        tsn_diags_add(doc->diags, TSN_SEVERITY_ERROR, (struct tsn_place){.file = file}, NULL, 0,
                      "move long lists of values into list files",
                      "the file has %zu bytes; at most %d are read", len, TSN_YAML_BYTES_MAX);
        return NULL;
    }
    TSN_MUST(doc->n_sources < UINT16_MAX);
    const struct tsn_yaml_source **sources =
        tsn_arena_alloc(&doc->arena, (doc->n_sources + 1) * sizeof(*sources));
    if (doc->n_sources) {
        memcpy(sources, doc->sources, doc->n_sources * sizeof(*sources));
    }
    struct tsn_yaml_source *source = tsn_arena_alloc(&doc->arena, sizeof *source);
    *source = (struct tsn_yaml_source){file, tsn_arena_strdup(&doc->arena, text, len), len};
    sources[doc->n_sources] = source;
    doc->sources = sources;
    struct builder b = {.doc = doc, .source = source, .source_index = (uint16_t)doc->n_sources++};
    TSN_MUST(yaml_parser_initialize(&b.parser));
    yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)source->text, len);
    struct tsn_yaml_node *root = tsn_arena_zalloc(&doc->arena, 1, sizeof *root);
    bool ok = build_document(&b, root);
    yaml_parser_delete(&b.parser);
    free(b.stack.bytes);
    return ok ? root : NULL;
}

struct tsn_yaml *tsn_yaml_parse(const char *file, const char *text, size_t len,
                                struct tsn_diags *diags)
{
    struct tsn_yaml *doc = calloc(1, sizeof *doc);
    TSN_MUST_ALLOC(doc);
    tsn_arena_init(&doc->arena, 0);
    doc->diags = diags;
    doc->root = tsn_yaml_add(doc, file, text, len);
    if (!doc->root) {
        tsn_yaml_free(doc);
        return NULL;
    }
    return doc;
}

void tsn_yaml_free(struct tsn_yaml *doc)
{
    if (doc) {
        tsn_arena_free(&doc->arena);
        free(doc);
    }
}
