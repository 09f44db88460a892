/* Values inside the evaluators: types, comparison, hashing, copying.
 *
 * A value is boxed: state, type and payload. The scalar evaluator works on these;
 * the column evaluator meets them only where it has no kernel.
 */
#include "rules/expr/value.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "rules/expr/text.h"
#include "rules/expr/time.h"

bool tsn_type_join(struct tsn_expr_type a, struct tsn_expr_type b, struct tsn_expr_type *out)
{
    bool a_empty = a.type == TSN_TYPE_LIST && a.element == TSN_TYPE_NULL;
    bool b_empty = b.type == TSN_TYPE_LIST && b.element == TSN_TYPE_NULL;
    if (tsn_type_equal(a, b)) {
        *out = a;
        return true;
    }
    if (a_empty && b.type == TSN_TYPE_LIST && b.depth >= a.depth) {
        *out = b;
        return true;
    }
    if (b_empty && a.type == TSN_TYPE_LIST && a.depth >= b.depth) {
        *out = a;
        return true;
    }
    return false;
}

const char *tsn_type_text(struct tsn_expr_type type, struct tsn_arena *arena)
{
    if (type.type != TSN_TYPE_LIST) {
        return tsn_type_name(type.type);
    }
    const char *text = type.element == TSN_TYPE_NULL ? "list" : tsn_type_name(type.element);
    for (unsigned i = type.element == TSN_TYPE_NULL; i < type.depth; i++) {
        text = tsn_arena_printf(arena, "list(%s)", text);
    }
    return text;
}

static enum tsn_order compare_lists(const struct tsn_list_value *a, const struct tsn_list_value *b)
{
    if (a->n != b->n) {
        return TSN_ORDER_NONE;
    }
    for (size_t i = 0; i < a->n; i++) {
        if (tsn_value_compare(&a->items[i], &b->items[i]) != TSN_ORDER_EQUAL) {
            return TSN_ORDER_NONE;
        }
    }
    return TSN_ORDER_EQUAL;
}

static enum tsn_order order_of(int c)
{
    return c < 0 ? TSN_ORDER_LESS : c > 0 ? TSN_ORDER_GREATER : TSN_ORDER_EQUAL;
}

enum tsn_order tsn_value_compare(const struct tsn_value *a, const struct tsn_value *b)
{
    switch (a->type.type) {
    case TSN_TYPE_BOOL:
        return order_of((int)a->b - (int)b->b);
    case TSN_TYPE_INT:
        if (b->type.type == TSN_TYPE_DOUBLE) {
            return tsn_number_compare(a->i, b->d);
        }
        return order_of((a->i > b->i) - (a->i < b->i));
    case TSN_TYPE_DOUBLE:
        if (b->type.type == TSN_TYPE_INT) {
            enum tsn_order order = tsn_number_compare(b->i, a->d);
            return order == TSN_ORDER_LESS      ? TSN_ORDER_GREATER
                   : order == TSN_ORDER_GREATER ? TSN_ORDER_LESS
                                                : order;
        }
        return tsn_double_compare(a->d, b->d);
    case TSN_TYPE_STRING:
        return order_of(tsn_str_compare(a->s, b->s));
    case TSN_TYPE_TIMESTAMP:
    case TSN_TYPE_DURATION:
        return order_of(tsn_time_compare(a->t, b->t));
    case TSN_TYPE_LIST:
        return compare_lists(a->list, b->list);
    default:
        return TSN_ORDER_EQUAL; /* null */
    }
}

bool tsn_value_same(const struct tsn_value *a, const struct tsn_value *b)
{
    if (!tsn_type_equal(a->type, b->type)) {
        return false;
    }
    if (a->type.type == TSN_TYPE_DOUBLE) {
        uint64_t bits[2]; /* 0.0 and -0.0 differ, equal NaNs do not */
        memcpy(&bits[0], &a->d, sizeof a->d);
        memcpy(&bits[1], &b->d, sizeof b->d);
        return bits[0] == bits[1];
    }
    if (a->type.type != TSN_TYPE_LIST) {
        return tsn_value_compare(a, b) == TSN_ORDER_EQUAL;
    }
    if (a->list->n != b->list->n) {
        return false;
    }
    for (size_t i = 0; i < a->list->n; i++) {
        if (!tsn_value_same(&a->list->items[i], &b->list->items[i])) {
            return false;
        }
    }
    return true;
}

uint64_t tsn_value_hash(const struct tsn_value *value)
{
    uint64_t seed = (uint64_t)value->type.type << 16 | value->type.depth;
    switch (value->type.type) {
    case TSN_TYPE_BOOL:
        return XXH3_64bits_withSeed(&value->b, sizeof value->b, seed);
    case TSN_TYPE_INT:
    case TSN_TYPE_DOUBLE:
        return XXH3_64bits_withSeed(&value->i, sizeof value->i, seed);
    case TSN_TYPE_STRING:
        return XXH3_64bits_withSeed(value->s.p, value->s.len, seed);
    case TSN_TYPE_TIMESTAMP:
    case TSN_TYPE_DURATION:
        return XXH3_64bits_withSeed(&value->t.s, sizeof value->t.s, seed ^ (uint64_t)value->t.ns);
    case TSN_TYPE_LIST:
        for (size_t i = 0; i < value->list->n; i++) {
            uint64_t item = tsn_value_hash(&value->list->items[i]);
            seed = XXH3_64bits_withSeed(&item, sizeof item, seed);
        }
        return seed;
    default:
        return seed;
    }
}

struct tsn_value tsn_value_copy(const struct tsn_value *value, struct tsn_arena *arena)
{
    struct tsn_value copy = *value;
    if (value->state == TSN_STATE_ERROR) {
        copy.error = tsn_arena_strdup(arena, value->error, strlen(value->error));
    }
    if (value->state != TSN_STATE_VALUE) {
        return copy;
    }
    if (value->type.type == TSN_TYPE_STRING) {
        copy.s.p = tsn_arena_strdup(arena, value->s.p, value->s.len);
    } else if (value->type.type == TSN_TYPE_LIST) {
        struct tsn_list_value *list = tsn_arena_alloc(arena, sizeof *list);
        struct tsn_value *items = tsn_arena_alloc(arena, value->list->n * sizeof *items + 1);
        for (size_t i = 0; i < value->list->n; i++) {
            items[i] = tsn_value_copy(&value->list->items[i], arena);
        }
        *list = (struct tsn_list_value){value->list->n, items};
        copy.list = list;
    }
    return copy;
}
