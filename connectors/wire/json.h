/* JSON writer: appends members in the order of the calls, into an arena.
 *
 * Not cJSON: it keeps every number as a double, so a 64-bit offset would lose digits,
 * and builds a tree of small allocations for what is written once. Commas are the
 * writer's business; well-formedness (names only in objects, every open closed) is
 * the caller's. Used by this room and by connectors/file.
 */
#ifndef TSN_CONNECTORS_WIRE_JSON_H
#define TSN_CONNECTORS_WIRE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/arena/arena.h"
#include "rules/column/column.h"

struct tsn_json {
    struct tsn_arena *arena;
    char *p; /* NUL-terminated from the first call on */
    size_t len;
    size_t cap;
    bool comma; /* before the next value or name */
};

void tsn_json_begin(struct tsn_json *json, struct tsn_arena *arena);
void tsn_json_open(struct tsn_json *json, char bracket); /* '{' or '[' */
void tsn_json_close(struct tsn_json *json, char bracket);
void tsn_json_name(struct tsn_json *json, const char *name);
void tsn_json_null(struct tsn_json *json);
void tsn_json_bool(struct tsn_json *json, bool b);
void tsn_json_int(struct tsn_json *json, int64_t i);
void tsn_json_uint(struct tsn_json *json, uint64_t u);
/* The fewest digits that read back as the same double; null if it is not finite. */
void tsn_json_double(struct tsn_json *json, double d);
/* Must be UTF-8; escapes what JSON demands and no more. */
void tsn_json_str(struct tsn_json *json, struct tsn_str text);
void tsn_json_text(struct tsn_json *json, const char *text);
void tsn_json_hex(struct tsn_json *json, const uint8_t *bytes, size_t n);
/* RFC 3339. */
void tsn_json_time_ms(struct tsn_json *json, tsn_event_ms ms);

#endif
