/* Telephone numbers: what carriers and banks write -> E.164 with a leading '+'.
 *
 * Calls and payments only meet on one line if both write it the same way. Nothing
 * is rejected here: what is no telephone number - a short code, an alphanumeric
 * sender, a spoofed string of twenty digits - stays as it is written, because
 * fraud is where such senders are found.
 */
#ifndef TSN_CONNECTORS_DECODE_PHONE_H
#define TSN_CONNECTORS_DECODE_PHONE_H

#include <stdbool.h>
#include <stdint.h>

#include "connectors/config/config.h"
#include "connectors/decode/digits.h"
#include "rules/column/column.h"

/* Text longer than this is no number and stays as it is. */
enum { TSN_PHONE_MAX = 32 };

/* '+' and 8 to 15 digits: nearly every number of a feed that follows the canonical
 * schema. Reads nothing outside [p, p + len). */
static inline bool tsn_phone_is_canonical(const char *p, uint32_t len)
{
    return len - 9 <= 7 && *p == '+' && tsn_digits_are(tsn_digits_load(p + 1)) &&
           tsn_digits_are(tsn_digits_load(p + len - 8));
}

/* scratch: room for TSN_PHONE_MAX bytes, used when the number has to be rewritten.
 * In this order:
 *   letters, '*', '#' or anything else that no number has: as written
 *   '+' or the international prefix, then 7 to 15 digits: '+' and the digits
 *   digits that begin with a `keep` prefix: as written
 *   trunk prefix, then a national number: '+', country, number
 *   bare digits, when the plan says that they are international, 8 to 15: '+' and they
 *   bare digits that begin with the country and leave a national number: '+' and they
 *   bare digits of a national number's length: '+', country, digits
 *   else: as written
 * Separators (space - . ( ) /) are dropped where a number was recognised. */
struct tsn_str tsn_phone_normalise(const struct tsn_number_plan *plan, struct tsn_str written,
                                   char *scratch);

#endif
