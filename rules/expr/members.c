/* Members: a constant list as a sorted array, for `x in [...]` over columns.
 *
 * Bisection over a handful of constants beats hashing each cell's text, and the
 * array is built once when the expression is compiled. The scalar evaluator looks
 * through the list as it was written, so the two check each other.
 */
#include <stdlib.h>

#include "rules/expr/graph.h"
#include "rules/expr/value.h"

struct tsn_members {
    size_t n;
    struct tsn_value *sorted;
};

static int compare(const void *a, const void *b)
{
    return (int)tsn_value_compare(a, b);
}

const struct tsn_members *tsn_members_new(const struct tsn_value *list, struct tsn_arena *arena)
{
    enum tsn_type of = list->type.element;
    if (list->type.depth != 1 || (of != TSN_TYPE_INT && of != TSN_TYPE_STRING)) {
        return NULL;
    }
    struct tsn_members *members = tsn_arena_alloc(arena, sizeof *members);
    members->n = list->list->n;
    members->sorted = tsn_arena_alloc(arena, members->n * sizeof *members->sorted + 1);
    for (size_t i = 0; i < members->n; i++) {
        members->sorted[i] = list->list->items[i];
    }
    qsort(members->sorted, members->n, sizeof *members->sorted, compare);
    return members;
}

bool tsn_members_have(const struct tsn_members *members, const struct tsn_value *value)
{
    size_t low = 0;
    size_t high = members->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        enum tsn_order order = tsn_value_compare(&members->sorted[middle], value);
        if (order == TSN_ORDER_EQUAL) {
            return true;
        }
        if (order == TSN_ORDER_LESS) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}
