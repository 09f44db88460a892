/* Numbers: the rows of a log without text as they stand in an entity's record.
 *
 * Rows are by far the most of a checkpoint, and writing them is what a cut takes of the
 * engine's thread. A row is its time less the one before, its bits if the stream has them,
 * and its values: LEB128, zigzag where a number may be negative, hashes and doubles as they
 * are. Where the machine has AVX-512 with its byte instructions, eight words are made into
 * bytes at once: the steps of a cut take 0.5 us an entity of 1,100 bytes, 1.2 without
 * (bench recovery, AMD EPYC 9005). Chosen at run time, so that one binary serves all; a test
 * compares both with the definition.
 *
 * Reading them back is as much of a restore. Where a number begins depends on the one before
 * it, so word by word most of the time is waiting; here the ends of the numbers in 64 bytes
 * are found at once, and with AVX-512 whole rows are made of them.
 */
#ifndef TSN_ENGINE_SNAPSHOT_NUMBERS_H
#define TSN_ENGINE_SNAPSHOT_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/feature/plan.h"
#include "engine/snapshot/bytes.h"
#include "rules/program/program.h"

/* Room that n rows of a stream may take at most while they are written. */
static inline size_t tsn_snapshot_numbers_room(const struct tsn_plan_stream *stream, size_t n)
{
    enum { STORED_AT_ONCE = 64 };
    return n * stream->layout.stride * TSN_SNAPSHOT_COUNT_MAX + STORED_AT_ONCE;
}

/* n rows behind one of this time, to where there is room for them; returns the place
 * behind them. The stream has no text. */
uint8_t *tsn_snapshot_numbers_put(uint8_t *p, const struct tsn_plan_stream *stream, uint64_t time,
                                  const uint64_t *row, uint32_t n);
/* The same, word by word: for streams with long rows, and other machines. */
uint8_t *tsn_snapshot_numbers_plain(uint8_t *p, const struct tsn_plan_stream *stream, uint64_t time,
                                    const uint64_t *row, uint32_t n);

/* What may stand in the bits of a row. */
uint64_t tsn_snapshot_bits_known(const struct tsn_plan_stream *stream);
/* Are the words of a row, in their order, what is written of it, and nothing but counts? */
bool tsn_snapshot_numbers_alone(const struct tsn_plan_stream *stream);
/* Reads the first n rows of a log of such a stream; fields: of its event. The reader is
 * wrong when there are none that a writer wrote: what row holds then means nothing. */
void tsn_snapshot_numbers_get(struct tsn_snapshot_reader *reader,
                              const struct tsn_plan_stream *stream, const struct tsn_field *fields,
                              uint64_t *row, uint32_t n);
/* The same without AVX-512. */
void tsn_snapshot_numbers_get_plain(struct tsn_snapshot_reader *reader,
                                    const struct tsn_plan_stream *stream,
                                    const struct tsn_field *fields, uint64_t *row, uint32_t n);

#endif
