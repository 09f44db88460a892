/* Time zones; see zone.c. */
#ifndef TSN_RULES_EXPR_ZONE_H
#define TSN_RULES_EXPR_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/arena/arena.h"
#include "rules/column/column.h"

struct tsn_zone;

/* "UTC", "Europe/Dublin", "+05:30", "02:00": from the system's database or by
 * its offset. NULL if there is none of that name. Lives in the arena. */
const struct tsn_zone *tsn_zone_new(struct tsn_str name, struct tsn_arena *arena);

/* "+05:30", "-09:30", "02:00" in seconds; false if it is not an offset. */
bool tsn_zone_parse_offset(struct tsn_str name, int32_t *offset_s);

/* Seconds east of UTC at that instant. O(log transitions). */
int32_t tsn_zone_offset(const struct tsn_zone *zone, int64_t s);

/* Bytes of a zone's TZif file, malloc'd, or NULL; zone_file.c. */
unsigned char *tsn_zone_read(const char *name, size_t *len);
/* Calls `each` with every zone name of the system's database; zone_file.c. */
void tsn_zone_list(void (*each)(void *user, const char *name), void *user);

#endif
