/* Diagnostics: messages for the person who wrote a pack or a configuration.
 *
 * Every message says where (file:line:column), what, why, and what to write
 * instead. All errors of a text are collected, not only the first, so that an
 * analyst mends a pack in one round. A diagnostics list is not thread-safe.
 */
#ifndef TSN_RULES_DIAG_DIAG_H
#define TSN_RULES_DIAG_DIAG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "rules/arena/arena.h"

enum tsn_severity { TSN_SEVERITY_ERROR, TSN_SEVERITY_WARNING };

/* A place in a text: lines and columns count from 1, columns in code points.
 * line 0: the place is the file as a whole. */
struct tsn_place {
    const char *file; /* borrowed; outlives the list */
    uint32_t line;
    uint32_t column;
};

struct tsn_diag {
    enum tsn_severity severity;
    struct tsn_place place;
    const char *message; /* one sentence: what and why */
    const char *advice;  /* what to write instead, or NULL */
    const char *source;  /* the line itself, without its end, or NULL */
};

struct tsn_diags {
    struct tsn_arena arena;
    struct tsn_diag *items; /* in the order they were found */
    size_t n;
    size_t cap;
    size_t n_errors;
    size_t n_dropped; /* beyond max, counted only */
    size_t max;       /* TSN_DIAGS_MAX unless the caller asks for all */
};

/* A text with more mistakes than this is not being read by its author. */
enum { TSN_DIAGS_MAX = 100 };

void tsn_diags_init(struct tsn_diags *diags);
void tsn_diags_free(struct tsn_diags *diags);

/* Adds a message. `advice` may be NULL; `text` (text_len bytes) is the whole
 * source, from which the line is cut, or NULL. All strings are copied except
 * place.file. */
void tsn_diags_add(struct tsn_diags *diags, enum tsn_severity severity, struct tsn_place place,
                   const char *text, size_t text_len, const char *advice, const char *format, ...)
    __attribute__((format(printf, 7, 8)));

/* Moves a message to another place of the same text, line and caret with it. */
void tsn_diags_move(struct tsn_diags *diags, size_t item, struct tsn_place place, const char *text,
                    size_t text_len);

/* Prints all messages by place, each as
 *   file:line:column: error: message
 *       <the line>
 *            ^
 *       advice
 */
void tsn_diags_print(const struct tsn_diags *diags, FILE *out);

/* The name nearest to `wrong` (Damerau-Levenshtein, at most a third of its
 * length away, ties to the first), or NULL. O(n * len^2). */
const char *tsn_nearest_name(const char *wrong, const char *const *names, size_t n_names);

/* "a" or "an", whichever goes before this noun (a word of the pack or of the language). */
const char *tsn_article(const char *noun);

#endif
