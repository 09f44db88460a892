#include "connectors/decode/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/decode/walk.h"
#include "rules/must/must.h"

const char *tsn_json_kind_name(enum tsn_json_kind kind)
{
    static const char *const names[] = {
        [TSN_JSON_ABSENT] = "nothing",  [TSN_JSON_NULL] = "null",   [TSN_JSON_BOOL] = "a boolean",
        [TSN_JSON_NUMBER] = "a number", [TSN_JSON_STRING] = "text", [TSN_JSON_OBJECT] = "an object",
        [TSN_JSON_ARRAY] = "an array",
    };
    TSN_MUST(kind < sizeof names / sizeof names[0]);
    return names[kind];
}

/* ---- pointers ---------------------------------------------------------------- */

const char *tsn_json_pointer_error(const char *pointer)
{
    if (pointer[0] != '/') {
        return "a JSON pointer begins with '/'";
    }
    int tokens = 0;
    for (const char *p = pointer; *p; p++) {
        tokens += *p == '/';
        if (*p == '~' && p[1] != '0' && p[1] != '1') {
            return "in a JSON pointer '~' is written ~0 and a '/' inside a name ~1";
        }
    }
    return tokens > TSN_JSON_POINTER_TOKENS ? "a JSON pointer may have 16 parts at most" : NULL;
}

static int child_of(struct tsn_json_reader *reader, int parent, struct tsn_str name)
{
    for (int i = 1; i < reader->n_nodes; i++) {
        const struct tsn_json_node *node = &reader->nodes[i];
        if (node->parent == parent && node->name.len == name.len &&
            memcmp(node->name.p, name.p, name.len) == 0) {
            return i;
        }
    }
    reader->nodes[reader->n_nodes] = (struct tsn_json_node){.name = name, .parent = parent};
    return reader->n_nodes++;
}

static int pointer_add(struct tsn_json_reader *reader, const char *pointer)
{
    int at = 0;
    TSN_MUST(!tsn_json_pointer_error(pointer));
    while (*pointer == '/') {
        size_t len = strcspn(++pointer, "/");
        char *name = tsn_arena_alloc(&reader->arena, len + 1);
        uint32_t n = 0;
        for (size_t i = 0; i < len; i++) {
            bool escaped = pointer[i] == '~';
            name[n++] = escaped ? (pointer[++i] == '0' ? '~' : '/') : pointer[i];
        }
        at = child_of(reader, at, (struct tsn_str){name, n});
        pointer += len;
    }
    return at;
}

static void children_link(struct tsn_json_reader *reader, int parent)
{
    struct tsn_json_node *node = &reader->nodes[parent];
    for (int i = 1; i < reader->n_nodes; i++) {
        node->n_children += reader->nodes[i].parent == parent;
    }
    struct tsn_str *names = tsn_arena_zalloc(&reader->arena, node->n_children + 1, sizeof *names);
    node->children = tsn_arena_zalloc(&reader->arena, node->n_children + 1, sizeof(int));
    uint32_t n = 0;
    for (int i = 1; i < reader->n_nodes; i++) {
        if (reader->nodes[i].parent == parent) {
            names[n] = reader->nodes[i].name;
            node->children[n++] = i;
        }
    }
    tsn_wordset_make(&node->names, names, n, &reader->arena);
}

struct tsn_json_reader *tsn_json_reader_new(const char *const *pointers, size_t n, int *slots,
                                            size_t max_bytes)
{
    struct tsn_json_reader *reader = calloc(1, sizeof *reader);
    TSN_MUST_ALLOC(reader);
    tsn_arena_init(&reader->arena, 0);
    reader->nodes =
        tsn_arena_zalloc(&reader->arena, n * TSN_JSON_POINTER_TOKENS + 1, sizeof *reader->nodes);
    reader->nodes[0].parent = -1;
    reader->n_nodes = 1;
    for (size_t i = 0; i < n; i++) {
        slots[i] = pointer_add(reader, pointers[i]);
    }
    for (int i = 0; i < reader->n_nodes; i++) {
        children_link(reader, i);
    }
    reader->slots =
        tsn_arena_zalloc(&reader->arena, (size_t)reader->n_nodes + 1, sizeof *reader->slots);
    reader->shape.steps =
        tsn_arena_alloc(&reader->arena, TSN_SHAPE_STEPS * sizeof *reader->shape.steps);
    reader->shape.first = TSN_SHAPE_NONE;
    reader->max_bytes = max_bytes;
    reader->text = malloc(max_bytes + TSN_SIMDJSON_PADDING);
    reader->scratch = malloc(max_bytes + 1);
    TSN_MUST_ALLOC(reader->text);
    TSN_MUST_ALLOC(reader->scratch);
    reader->simdjson = tsn_simdjson_new(max_bytes);
    return reader;
}

void tsn_json_reader_free(struct tsn_json_reader *reader)
{
    if (!reader) {
        return;
    }
    tsn_simdjson_free(reader->simdjson);
    free(reader->text);
    free(reader->scratch);
    tsn_arena_free(&reader->arena);
    free(reader);
}

enum tsn_json_kind tsn_json_above(const struct tsn_json_reader *reader, int slot)
{
    int at = reader->nodes[slot].parent;
    while (at > 0 && reader->slots[at].reading != reader->reading) {
        at = reader->nodes[at].parent;
    }
    return at > 0 ? reader->slots[at].value.kind : TSN_JSON_OBJECT;
}
