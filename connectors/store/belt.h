/* Belt: chunks between the thread that reads them from Redis, those that open them, and
 * the one that takes what they hold.
 *
 * Opening a record costs more than reading it and more than taking it, and needs
 * nothing but the record: so it is done by threads of the belt, by as many as there are
 * processors to spare, and by whoever puts and the taker too while they would wait. On two
 * processors there is no such thread: with one, the kernel left a processor idle as often as
 * not (1.0 to 1.65 million records/s for the same processor time; without it 1.7 to 2.0).
 * Chunks are taken in the order in which they were put on, whoever opened them and when:
 * what the taker sees does not depend on threads.
 *
 * A full belt has room again when half of it was taken: being woken for every chunk costs
 * more than filling it.
 *
 * A ring of a few chunks: 2 MiB, whatever the size of the state. The three waits are one
 * lock and a condition each; a chunk is hundreds of records, so they cost nothing.
 */
#ifndef TSN_CONNECTORS_STORE_BELT_H
#define TSN_CONNECTORS_STORE_BELT_H

#include "connectors/store/chunk.h"

struct tsn_belt;

/* Starts its threads. layout and keys are borrowed. */
struct tsn_belt *tsn_belt_new(const struct tsn_layout *layout, const struct tsn_keys *keys);
/* When both sides are done. */
void tsn_belt_free(struct tsn_belt *belt);

/* One thread puts: an empty chunk, to be filled and put on; opens others or waits until there
 * is room. NULL when the taker wants no more. */
struct tsn_chunk *tsn_belt_room(struct tsn_belt *belt);
void tsn_belt_put(struct tsn_belt *belt);
/* Nothing more comes. */
void tsn_belt_end(struct tsn_belt *belt);

/* One thread takes: the next chunk, opened; it is void at the next call. NULL at the
 * end. */
const struct tsn_chunk *tsn_belt_take(struct tsn_belt *belt);
/* The taker wants no more. */
void tsn_belt_stop(struct tsn_belt *belt);

#endif
