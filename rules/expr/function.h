/* Functions: the one table of what expressions can call; see function.c. */
#ifndef TSN_RULES_EXPR_FUNCTION_H
#define TSN_RULES_EXPR_FUNCTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/arena/arena.h"
#include "rules/expr/expr.h"

struct tsn_zone;
struct tsn_zones;
struct tsn_regex;

/* Bounds of what one operation may build, so that a short expression cannot ask
 * for all memory (s + s over and over). Reaching one is an error of that row. */
enum { TSN_EXPR_STRING_MAX = 64 * 1024, TSN_EXPR_LIST_MAX = 4096, TSN_EXPR_MACRO_MAX = 64 };

/* What a function is given beside its arguments. */
struct tsn_call {
    struct tsn_arena *arena; /* for results */
    uint32_t n_args;
    const char *error; /* set by who returns false; static or in the arena */
    const struct tsn_regex *regex;
    const struct tsn_zone *zone;   /* of a constant zone argument, or the default */
    const struct tsn_zones *zones; /* by name, when the argument is no constant */
};

/* All arguments are values of the declared types; `out` has its type set. False
 * with call->error on failure. */
typedef bool tsn_apply(struct tsn_call *call, const struct tsn_value *args, struct tsn_value *out);

/* Column kernels that exist for functions; the rest goes row by row. */
enum tsn_kernel {
    TSN_KERNEL_NONE,
    TSN_KERNEL_ADD_INT,
    TSN_KERNEL_SUB_INT,
    TSN_KERNEL_MUL_INT,
    TSN_KERNEL_ADD_DOUBLE,
    TSN_KERNEL_SUB_DOUBLE,
    TSN_KERNEL_MUL_DOUBLE,
    TSN_KERNEL_DIV_DOUBLE,
    TSN_KERNEL_INT_TO_DOUBLE,
};

enum {
    TSN_FUNCTION_REGEX = 1, /* the last argument is a pattern, a constant */
    TSN_FUNCTION_ZONE = 2,  /* the last argument is a zone */
    TSN_FUNCTION_LOCAL = 4, /* uses the pack's zone */
    TSN_FUNCTION_FAILS = 8, /* can give an error */
};

/* One overload. A signature is the receiver and a dot (methods only), the
 * arguments, '>' and the result, a letter a type: b bool, i int, d double,
 * s string, t timestamp, u duration, L list(string), A any list (as a result:
 * the type of the argument), e its element. */
struct tsn_function {
    const char *name; /* "size", "math.abs", operators as "+" */
    const char *signature;
    const char *group; /* heading in the documentation; NULL: not listed */
    const char *what;  /* one line for people */
    tsn_apply *apply;
    enum tsn_kernel kernel;
    uint8_t flags;
    double cost;          /* fixed units ... */
    double cost_per_byte; /* ... and units a byte of text */
};

extern const struct tsn_function tsn_functions[];
extern const size_t tsn_n_functions;

/* Macros and special forms, for documentation and near names. */
struct tsn_macro {
    const char *name;
    const char *form;
    const char *what;
};
extern const struct tsn_macro tsn_macros[];
extern const size_t tsn_n_macros;

/* Valid CEL that is left out: why, or NULL. */
const char *tsn_function_unsupported(const char *name);

/* The type that a signature letter stands for. */
struct tsn_expr_type tsn_function_letter(char letter);

/* docs/FUNCTIONS.md from the tables; malloc'd. */
char *tsn_function_page(void);

#endif
