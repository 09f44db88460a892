/* Member: the members of a JSON object that the demo reads, by cJSON.
 *
 * For what tocsin itself wrote: the simulator's records and truth, and alerts.
 * Records from outside go through connectors/decode.
 */
#ifndef TSN_CONNECTORS_DEMO_MEMBER_H
#define TSN_CONNECTORS_DEMO_MEMBER_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

/* The text of a member, owned by the object; "" if it is absent or no text. */
const char *tsn_member_text(const cJSON *object, const char *name);
/* The whole number of a member, exact up to 2^53 (times in ms are far below).
 * False, *number untouched, if it is absent or none. */
bool tsn_member_int(const cJSON *object, const char *name, int64_t *number);

#endif
