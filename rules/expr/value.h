/* Values inside the evaluators: making, comparing, copying. See value.c. */
#ifndef TSN_RULES_EXPR_VALUE_H
#define TSN_RULES_EXPR_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "rules/arena/arena.h"
#include "rules/expr/expr.h"
#include "rules/expr/number.h"

static inline struct tsn_expr_type tsn_plain(enum tsn_type type)
{
    return (struct tsn_expr_type){.type = type, .element = type};
}

static inline struct tsn_expr_type tsn_list_of(struct tsn_expr_type element)
{
    return (struct tsn_expr_type){TSN_TYPE_LIST, element.element, (uint8_t)(element.depth + 1)};
}

static inline struct tsn_expr_type tsn_element_of(struct tsn_expr_type list)
{
    if (list.depth == 1) {
        return tsn_plain(list.element);
    }
    return (struct tsn_expr_type){TSN_TYPE_LIST, list.element, (uint8_t)(list.depth - 1)};
}

static inline bool tsn_type_equal(struct tsn_expr_type a, struct tsn_expr_type b)
{
    return a.type == b.type && a.depth == b.depth && (a.depth == 0 || a.element == b.element);
}

/* Equal, or both lists of which one is an empty literal that fits the other. */
bool tsn_type_join(struct tsn_expr_type a, struct tsn_expr_type b, struct tsn_expr_type *out);

/* "int", "list(list(string))", "list" for an empty literal. */
const char *tsn_type_text(struct tsn_expr_type type, struct tsn_arena *arena);

/* Order of two values of comparable types (numbers mix); lists and nulls know
 * only EQUAL and NONE. */
enum tsn_order tsn_value_compare(const struct tsn_value *a, const struct tsn_value *b);

/* Same type and same bits: for sharing constants, where NaN is NaN and the sign
 * of zero counts. */
bool tsn_value_same(const struct tsn_value *a, const struct tsn_value *b);
uint64_t tsn_value_hash(const struct tsn_value *value);

/* Into the arena, with its text and items. */
struct tsn_value tsn_value_copy(const struct tsn_value *value, struct tsn_arena *arena);

#endif
