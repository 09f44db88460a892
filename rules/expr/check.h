/* The checker: syntax tree -> nodes of the typed graph; see check.c. */
#ifndef TSN_RULES_EXPR_CHECK_H
#define TSN_RULES_EXPR_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/expr/graph.h"
#include "rules/expr/syntax.h"

/* A name that a macro or cel.bind has brought in. */
struct tsn_local {
    struct tsn_str name;
    uint32_t node;
    uint32_t plain; /* where literals are not lifted: the same constant as without lifting */
};

struct tsn_checker {
    struct tsn_expr_set *set;
    struct tsn_arena *scratch;
    const char *text;
    size_t len;
    const struct tsn_expr_source *source; /* or NULL */
    struct tsn_diags *diags;
    bool failed;
    struct tsn_local locals[TSN_EXPR_DEPTH_MAX];
    uint32_t n_locals;
    uint8_t n_slots; /* macros around this place */
    struct tsn_position *positions;
    size_t n_positions;
    size_t cap_positions;
};

/* The node of a tree, or TSN_EXPR_NONE after at least one message. */
uint32_t tsn_check(struct tsn_checker *c, const struct tsn_syntax *tree);

/* A message at a byte of the text; returns TSN_EXPR_NONE. advice may be NULL. */
uint32_t tsn_check_fail(struct tsn_checker *c, uint32_t at, const char *advice, const char *format,
                        ...) __attribute__((format(printf, 4, 5)));

/* Reports a use of something that standard CEL does not have, if that is asked for. */
void tsn_check_extension(struct tsn_checker *c, uint32_t at, const char *advice, const char *format,
                         ...) __attribute__((format(printf, 4, 5)));
/* ... of a function by name. */
void tsn_check_extension_function(struct tsn_checker *c, uint32_t at, const char *name);

/* Adds a node and remembers where it stands. */
uint32_t tsn_check_add(struct tsn_checker *c, const struct tsn_node *node, uint32_t at);

/* "int", ... of a node; "list(int)" in the scratch arena. */
const char *tsn_check_type_text(struct tsn_checker *c, uint32_t node);

/* What never has a value - an element of an empty list - is of any type: such a node
 * as one of this type, other nodes as they are. */
bool tsn_check_is_never(const struct tsn_checker *c, uint32_t node);
uint32_t tsn_check_as(struct tsn_checker *c, uint32_t node, struct tsn_expr_type type, uint32_t at);
/* One of two that must have one type gets the other's, if it never has a value. */
void tsn_check_as_other(struct tsn_checker *c, const struct tsn_syntax *a, uint32_t *node_a,
                        const struct tsn_syntax *b, uint32_t *node_b);

/* An int literal as a double; other nodes as they are. */
bool tsn_check_is_int_literal(const struct tsn_syntax *tree);
uint32_t tsn_check_widen(struct tsn_checker *c, uint32_t node, uint32_t at);
/* An int of any kind as a double: a literal widened, the rest converted. */
uint32_t tsn_check_to_double(struct tsn_checker *c, uint32_t node, uint32_t at);

/* A part that is the same for every event: a warning, where they are asked for, and of
 * literals as they are written only. */
void tsn_check_doubt(struct tsn_checker *c, uint32_t at, const char *message);

/* && and ||: check_logic.c. */
uint32_t tsn_check_logic(struct tsn_checker *c, const struct tsn_syntax *tree);
/* Says so if a comparison of these nodes always gives the same. */
void tsn_check_doubt_comparison(struct tsn_checker *c, enum tsn_relation relation,
                                const uint32_t *args, uint32_t at);

/* Calls: check_call.c. */
uint32_t tsn_check_call(struct tsn_checker *c, const struct tsn_syntax *tree);
/* A strict function by name over checked arguments; trees may be NULL. Reports. */
uint32_t tsn_check_function(struct tsn_checker *c, const char *name, bool is_method,
                            uint32_t n_args, uint32_t *args, struct tsn_syntax *const *trees,
                            uint32_t at);

/* Names: check_name.c. */
uint32_t tsn_check_name(struct tsn_checker *c, const struct tsn_syntax *tree);
/* has(): the tree inside the parentheses. */
uint32_t tsn_check_has(struct tsn_checker *c, const struct tsn_syntax *tree, uint32_t at);
/* size(f.a_set), the tree being what stands between the parentheses; false, and nothing
 * reported, if it names no set. */
bool tsn_check_set_size(struct tsn_checker *c, const struct tsn_syntax *tree, uint32_t at,
                        uint32_t *node);
/* The list handle that a tree names, or NULL; reports nothing. */
const struct tsn_expr_list *tsn_check_handle(struct tsn_checker *c, const struct tsn_syntax *tree);
/* Is this identifier a macro variable or a declared name? */
bool tsn_check_is_name(struct tsn_checker *c, const struct tsn_syntax *tree);

#endif
