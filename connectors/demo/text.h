/* Text: members of one-line JSON that tocsin itself wrote, found by their name.
 *
 * No parser: it finds the first "name": anywhere in the line. Enough for the
 * simulator's records and our own alerts, whose names are unique and whose order is
 * fixed; input from outside goes through connectors/decode.
 */
#ifndef TSN_CONNECTORS_DEMO_TEXT_H
#define TSN_CONNECTORS_DEMO_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tsn_text {
    const char *start; /* into the line; "" when there is none */
    size_t len;
};

/* What stands between the quotes after "name":, escapes as they are. */
struct tsn_text tsn_text_of(const char *line, const char *name);
/* The whole number after "name":. */
bool tsn_text_number(const char *line, const char *name, int64_t *number);
/* Just behind "name":, or NULL. */
const char *tsn_text_find(const char *line, const char *name);

#endif
