/* Lists: sets of strings or ints that rules probe, and may fill.
 *
 * A static list comes from the pack (values or a file); a dynamic one is filled
 * by rules and each entry expires by event time. Membership is a hash probe on
 * the value, compared whole. The engine owns its working lists; a program holds
 * the contents to start from.
 */
#ifndef TSN_RULES_LIST_LIST_H
#define TSN_RULES_LIST_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/column/column.h"

struct tsn_list;

/* An entry of a static list never expires. */
#define TSN_LIST_FOREVER INT64_MAX

/* of: TSN_TYPE_STRING or TSN_TYPE_INT. max 0: no bound. When a bounded list is
 * full, the entry that expires first goes (ties: the one added first), be it the
 * new one. */
struct tsn_list *tsn_list_new(enum tsn_type of, uint64_t max);
struct tsn_list *tsn_list_copy(const struct tsn_list *list);
void tsn_list_free(struct tsn_list *list);

/* Adds, or moves the expiry of an entry later (never earlier). The text is
 * copied. Amortised O(1); O(log n) for bounded lists. */
void tsn_list_add_string(struct tsn_list *list, struct tsn_str value, tsn_event_ms expires_ms);
void tsn_list_add_int(struct tsn_list *list, int64_t value, tsn_event_ms expires_ms);

/* Is the value a member at this event time, that is at_ms < expires_ms? */
bool tsn_list_has_string(const struct tsn_list *list, struct tsn_str value, tsn_event_ms at_ms);
bool tsn_list_has_int(const struct tsn_list *list, int64_t value, tsn_event_ms at_ms);

/* Is some member a prefix of the value at this event time? One probe for each
 * different length of members up to that of the value, however many members there
 * are. An empty member is no prefix: it would be one of everything. */
bool tsn_list_has_prefix_of(const struct tsn_list *list, struct tsn_str value, tsn_event_ms at_ms);

/* Forgets entries with expires_ms <= until_ms. The caller passes a time before
 * which no event will be processed any more. */
void tsn_list_expire(struct tsn_list *list, tsn_event_ms until_ms);

size_t tsn_list_size(const struct tsn_list *list);

/* Entries in the order in which they were first added: index 0 .. size - 1.
 * For ints `s` is empty, for strings `i` is 0; text is borrowed until the next
 * change. A list that has lost entries is compacted by the call: one thread. */
struct tsn_list_entry {
    struct tsn_str s;
    int64_t i;
    tsn_event_ms expires_ms;
};
struct tsn_list_entry tsn_list_at(const struct tsn_list *list, size_t index);

#endif
