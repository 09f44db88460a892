/* Numbers: the rows of a log without text as they stand in an entity's record.
 *
 * Rows are by far the most of a checkpoint, and writing them is what a cut takes of the
 * engine's thread. A row is its time less the one before, its bits if the stream has them,
 * and its values: LEB128, zigzag where a number may be negative, hashes and doubles as they
 * are. Where the machine has AVX-512 with its byte instructions, eight words are made into
 * bytes at once: the steps of a cut take 0.5 us an entity of 1,100 bytes, 1.2 without
 * (bench recovery, AMD EPYC 9005). Chosen at run time, so that one binary serves all; a test
 * compares both with the definition.
 */
#ifndef TSN_ENGINE_SNAPSHOT_NUMBERS_H
#define TSN_ENGINE_SNAPSHOT_NUMBERS_H

#include <stddef.h>
#include <stdint.h>

#include "engine/feature/plan.h"
#include "engine/snapshot/bytes.h"

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

#endif
