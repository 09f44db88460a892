/* Lints: what is sound but probably not meant. Looks at compiled expressions of a set,
 * frozen or not; changes nothing. See lint.c and implies.c. */
#ifndef TSN_RULES_EXPR_LINT_H
#define TSN_RULES_EXPR_LINT_H

#include <stdbool.h>
#include <stdint.h>

#include "rules/expr/expr.h"

/* What somebody who does not think of a missing value takes it for. */
enum tsn_absence {
    TSN_ABSENCE_NOTHING, /* 0, "", false */
    TSN_ABSENCE_NEVER,   /* a time since something that never was: longer than any */
    TSN_ABSENCE_RARE,    /* not looked at: a count over no rows is 0, and missing only
                            where not firing is right (no entity, too late) */
};

/* What the caller knows of an input. */
struct tsn_lint_input {
    enum tsn_absence absence;
    bool not_negative;
};

/* column: code points from 1 in the expression. The texts live until it returns. */
typedef void tsn_lint_say(void *user, uint32_t column, const char *advice, const char *message);

/* inputs: [all inputs of the set]. O(nodes), bounded for hostile expressions. */
void tsn_expr_lint(const struct tsn_expr_set *set, uint32_t expr,
                   const struct tsn_lint_input *inputs, tsn_lint_say *say, void *user);

/* Is b true whenever a is? True only if the shapes of the two conditions show it: equal
 * parts, conjunctions, alternatives, thresholds and lists of one subject. */
bool tsn_expr_implies(const struct tsn_expr_set *set, uint32_t a, uint32_t b);

/* Do the shapes of two conditions show that they are never true together? */
bool tsn_expr_excludes(const struct tsn_expr_set *set, uint32_t node_a, uint32_t node_b);

#endif
