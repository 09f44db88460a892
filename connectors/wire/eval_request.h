/* Requests of `tocsin eval`, one JSON object a line; see eval_request.c. */
#ifndef TSN_CONNECTORS_WIRE_EVAL_REQUEST_H
#define TSN_CONNECTORS_WIRE_EVAL_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "rules/arena/arena.h"
#include "rules/expr/expr.h"

struct tsn_eval_binding {
    const char *name;
    struct tsn_value value; /* state MISSING: declared, no value; its type is set */
};

struct tsn_eval_request {
    struct tsn_str expr;
    size_t n_bindings;
    const struct tsn_eval_binding *bindings;
};

/* Reads one line (without its end) into memory of the arena. False with a reason
 * in *why and the code point where it stands in *column. */
bool tsn_eval_request_read(const char *line, size_t len, struct tsn_arena *arena,
                           struct tsn_eval_request *request, const char **why, uint32_t *column);

/* Each writes one line with its end. */
void tsn_eval_response_value(FILE *out, const struct tsn_value *value);
void tsn_eval_response_missing(FILE *out);
void tsn_eval_response_error(FILE *out, const char *stage, const char *message, uint32_t column);

#endif
