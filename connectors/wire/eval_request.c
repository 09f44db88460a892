/* Requests of `tocsin eval`, and its answers.
 *
 * A line is read into a tree (json_tree.c), the tree into typed values in the caller's
 * arena; a wrong line is a reason, never more. Members that nobody knows are passed
 * over, so that a suite's own notes may stand in its requests. Called by
 * connectors/eval for each line; costs the line's length.
 */
#include "connectors/wire/eval_request.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/wire/json_tree.h"

enum { LIST_DEPTH_MAX = 16 };

/* ---- the request ------------------------------------------------------------ */

static bool is(struct tsn_str s, const char *word)
{
    return s.len == strlen(word) && memcmp(s.p, word, s.len) == 0;
}

static bool read_type(struct tsn_str text, struct tsn_expr_type *type)
{
    static const enum tsn_type scalars[] = {TSN_TYPE_BOOL,   TSN_TYPE_INT,       TSN_TYPE_DOUBLE,
                                            TSN_TYPE_STRING, TSN_TYPE_TIMESTAMP, TSN_TYPE_DURATION,
                                            TSN_TYPE_NULL};
    unsigned depth = 0;
    while (text.len > 6 && memcmp(text.p, "list(", 5) == 0 && text.p[text.len - 1] == ')') {
        text.p += 5;
        text.len -= 6;
        if (++depth > LIST_DEPTH_MAX) {
            return false;
        }
    }
    if (is(text, "list")) {
        *type = (struct tsn_expr_type){TSN_TYPE_LIST, TSN_TYPE_NULL, (uint8_t)(depth + 1)};
        return true;
    }
    for (size_t i = 0; i < sizeof scalars / sizeof scalars[0]; i++) {
        if (is(text, tsn_type_name(scalars[i])) && (depth == 0 || scalars[i] != TSN_TYPE_NULL)) {
            *type = (struct tsn_expr_type){depth ? TSN_TYPE_LIST : scalars[i], scalars[i],
                                           (uint8_t)depth};
            return true;
        }
    }
    return false;
}

static const char *read_scalar(const struct tsn_json_node *json, struct tsn_value *value)
{
    bool text = json->kind == TSN_JSON_STRING;
    bool number = json->kind == TSN_JSON_NUMBER;
    switch (value->type.type) {
    case TSN_TYPE_BOOL:
        value->b = json->kind == TSN_JSON_TRUE;
        return json->kind == TSN_JSON_TRUE || json->kind == TSN_JSON_FALSE
                   ? NULL
                   : "a bool is true or false";
    case TSN_TYPE_INT:
        return (text || number) && tsn_expr_read_int(json->s, &value->i)
                   ? NULL
                   : "an int is a whole number of 64 bits";
    case TSN_TYPE_DOUBLE:
        return (text || number) && tsn_expr_read_double(json->s, &value->d)
                   ? NULL
                   : "a double is a number, \"NaN\", \"Infinity\" or \"-Infinity\"";
    case TSN_TYPE_STRING:
        value->s = json->s;
        return text ? NULL : "a string is written in quotes";
    case TSN_TYPE_TIMESTAMP:
        return text && tsn_expr_read_timestamp(json->s, &value->t)
                   ? NULL
                   : "a timestamp is RFC 3339 text of the years 0001 to 9999";
    case TSN_TYPE_DURATION:
        return text && tsn_expr_read_duration(json->s, &value->t)
                   ? NULL
                   : "a duration is text such as \"3600s\", at most 292 years";
    default:
        return json->kind == TSN_JSON_NULL ? NULL : "the value of null is null";
    }
}

static const char *read_typed(struct tsn_json_reader *r, const struct tsn_json_node *json,
                              struct tsn_value *value)
{
    if (value->type.type != TSN_TYPE_LIST) {
        return read_scalar(json, value);
    }
    if (json->kind != TSN_JSON_ARRAY) {
        return "a list is an array";
    }
    if (value->type.depth == 1 && value->type.element == TSN_TYPE_NULL && json->n) {
        return "a list with elements needs their type: list(int)";
    }
    struct tsn_value *items = tsn_arena_zalloc(r->arena, json->n + 1, sizeof *items);
    struct tsn_list_value *list = tsn_arena_alloc(r->arena, sizeof *list);
    size_t i = 0;
    for (const struct tsn_json_node *item = json->first; item; item = item->next, i++) {
        items[i].type = value->type.depth > 1
                            ? (struct tsn_expr_type){TSN_TYPE_LIST, value->type.element,
                                                     (uint8_t)(value->type.depth - 1)}
                            : (struct tsn_expr_type){value->type.element, value->type.element, 0};
        const char *why = read_typed(r, item, &items[i]);
        if (why) {
            return why;
        }
    }
    *list = (struct tsn_list_value){json->n, items};
    value->list = list;
    return NULL;
}

static bool read_binding(struct tsn_json_reader *r, const struct tsn_json_node *json,
                         struct tsn_eval_binding *binding)
{
    if (json->key.len == 0 || memchr(json->key.p, '\0', json->key.len)) {
        return tsn_json_refuse(r, json->at, "a binding needs a name");
    }
    binding->name = tsn_arena_strdup(r->arena, json->key.p, json->key.len);
    const struct tsn_json_node *type =
        json->kind == TSN_JSON_OBJECT ? tsn_json_member(r, json, "type") : NULL;
    if (!type || type->kind != TSN_JSON_STRING || !read_type(type->s, &binding->value.type)) {
        return tsn_json_refuse(
            r, json->at,
            "a binding needs a type: bool int double string timestamp duration null, or "
            "list(...) of one");
    }
    const struct tsn_json_node *missing = tsn_json_member(r, json, "missing");
    const struct tsn_json_node *value = tsn_json_member(r, json, "value");
    if (r->why) {
        return false;
    }
    if (missing && missing->kind == TSN_JSON_TRUE) {
        binding->value.state = TSN_STATE_MISSING;
        return value ? tsn_json_refuse(r, value->at, "a binding is missing or has a value") != NULL
                     : true;
    }
    if (!value) {
        return tsn_json_refuse(r, json->at, "a binding needs \"value\" or \"missing\": true");
    }
    const char *why = read_typed(r, value, &binding->value);
    return why ? tsn_json_refuse(r, value->at, why) != NULL : true;
}

static int compare_members(const void *a, const void *b)
{
    const struct tsn_json_node *x = *(const struct tsn_json_node *const *)a;
    const struct tsn_json_node *y = *(const struct tsn_json_node *const *)b;
    int order = strcmp(x->key.p, y->key.p);
    return order ? order : (x->at > y->at) - (x->at < y->at);
}

/* No name is bound twice; by sorting, since a line may hold hundreds of thousands. */
static bool names_differ(struct tsn_json_reader *r, const struct tsn_json_node *object, size_t n)
{
    const struct tsn_json_node **sorted = tsn_arena_alloc(r->arena, (n + 1) * sizeof(*sorted));
    size_t i = 0;
    for (const struct tsn_json_node *m = object->first; m; m = m->next) {
        sorted[i++] = m;
    }
    qsort(sorted, n, sizeof(*sorted), compare_members);
    const struct tsn_json_node *twice = NULL;
    for (i = 1; i < n; i++) {
        if (strcmp(sorted[i - 1]->key.p, sorted[i]->key.p) == 0 &&
            (!twice || sorted[i]->at < twice->at)) {
            twice = sorted[i];
        }
    }
    return twice ? tsn_json_refuse(r, twice->at, "bound twice") != NULL : true;
}

static bool read_bindings(struct tsn_json_reader *r, const struct tsn_json_node *object,
                          struct tsn_eval_request *request)
{
    if (!object) {
        return true;
    }
    if (object->kind != TSN_JSON_OBJECT) {
        return tsn_json_refuse(r, object->at, "\"bindings\" must be an object");
    }
    struct tsn_eval_binding *bindings = tsn_arena_zalloc(r->arena, object->n + 1, sizeof *bindings);
    size_t n = 0;
    for (const struct tsn_json_node *m = object->first; m; m = m->next) {
        if (!read_binding(r, m, &bindings[n])) {
            return false;
        }
        n++;
    }
    request->n_bindings = n;
    request->bindings = bindings;
    return names_differ(r, object, n);
}

static bool read_request(struct tsn_json_reader *r, struct tsn_eval_request *request)
{
    struct tsn_json_node *json = tsn_json_tree_read(r);
    if (!json) {
        return false;
    }
    const struct tsn_json_node *expr =
        json->kind == TSN_JSON_OBJECT ? tsn_json_member(r, json, "expr") : NULL;
    if (!expr || expr->kind != TSN_JSON_STRING) {
        return tsn_json_refuse(r, json->at, "a request is an object with \"expr\", a string");
    }
    request->expr = expr->s;
    const struct tsn_json_node *bindings = tsn_json_member(r, json, "bindings");
    return !r->why && read_bindings(r, bindings, request);
}

bool tsn_eval_request_read(const char *line, size_t len, struct tsn_arena *arena,
                           struct tsn_eval_request *request, const char **why, uint32_t *column)
{
    struct tsn_json_reader r = {.p = line, .len = len, .arena = arena};
    *request = (struct tsn_eval_request){.n_bindings = 0};
    if (read_request(&r, request)) {
        return true;
    }
    *why = r.why;
    *column = 1;
    for (size_t i = 0; i < r.why_at && i < len; i++) {
        *column += ((unsigned char)line[i] & 0xc0) != 0x80;
    }
    return false;
}

/* ---- answers ---------------------------------------------------------------- */

static void print_string(FILE *out, const char *p, size_t len)
{
    fputc('"', out);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)p[i];
        if (c == '"' || c == '\\') {
            fprintf(out, "\\%c", c);
        } else if (c < 0x20 || c == 0x7f) {
            fprintf(out, "\\u%04x", c);
        } else {
            fputc(c, out);
        }
    }
    fputc('"', out);
}

static void print_plain(FILE *out, const struct tsn_value *value)
{
    static const int64_t exact = INT64_C(1) << 53;
    char text[40];
    switch (value->type.type) {
    case TSN_TYPE_BOOL:
        fputs(value->b ? "true" : "false", out);
        break;
    case TSN_TYPE_INT: /* readers that keep doubles must not round it */
        fprintf(out, value->i >= -exact && value->i <= exact ? "%lld" : "\"%lld\"",
                (long long)value->i);
        break;
    case TSN_TYPE_DOUBLE: {
        size_t len = tsn_expr_print(value, text);
        fprintf(out, isfinite(value->d) ? "%.*s" : "\"%.*s\"", (int)len, text);
        break;
    }
    case TSN_TYPE_STRING:
        print_string(out, value->s.p, value->s.len);
        break;
    case TSN_TYPE_TIMESTAMP:
    case TSN_TYPE_DURATION: {
        size_t len = tsn_expr_print(value, text);
        fprintf(out, "\"%.*s\"", (int)len, text);
        break;
    }
    case TSN_TYPE_LIST:
        fputc('[', out);
        for (size_t i = 0; i < value->list->n; i++) {
            fputs(i ? ", " : "", out);
            print_plain(out, &value->list->items[i]);
        }
        fputc(']', out);
        break;
    default:
        fputs("null", out);
        break;
    }
}

static void print_type(FILE *out, const struct tsn_value *value)
{
    if (value->type.type != TSN_TYPE_LIST) {
        fputs(tsn_type_name(value->type.type), out);
        return;
    }
    unsigned depth = value->list->n ? value->type.depth : 1; /* an empty list is a list */
    bool any = value->list->n == 0 || value->type.element == TSN_TYPE_NULL;
    for (unsigned i = any; i < depth; i++) {
        fputs("list(", out);
    }
    fputs(any ? "list" : tsn_type_name(value->type.element), out);
    for (unsigned i = any; i < depth; i++) {
        fputc(')', out);
    }
}

void tsn_eval_response_value(FILE *out, const struct tsn_value *value)
{
    fputs("{\"type\": \"", out);
    print_type(out, value);
    fputs("\", \"value\": ", out);
    print_plain(out, value);
    fputs("}\n", out);
}

void tsn_eval_response_missing(FILE *out)
{
    fputs("{\"missing\": true}\n", out);
}

void tsn_eval_response_error(FILE *out, const char *stage, const char *message, uint32_t column)
{
    fprintf(out, "{\"error\": {\"stage\": \"%s\", \"message\": ", stage);
    print_string(out, message, strlen(message));
    fprintf(out, ", \"column\": %u}}\n", column);
}
