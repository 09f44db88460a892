/* Numbers: the rows of a log without text as they stand in an entity's record.
 *
 * Rows are by far the most of a checkpoint, and writing them is what a cut takes of the
 * engine's thread. A row is its time less the one before, its bits if the stream has them,
 * and its values: LEB128, zigzag where a number may be negative, hashes and doubles as they
 * are. Where the machine has AVX-512 with its byte instructions, eight words are made into
 * bytes at once; else BMI2 makes one at a time where it is quick: Intel, and AMD since Zen 3.
 * For an entity of 780 bytes the steps of a cut take 0.5 us, 0.7 by BMI2, 1.0 with neither
 * (bench recovery --entities 2000000 --only checkpoints, AMD EPYC 9004; 0.7 and 1.0 with
 * AVX-512 not used, medians of five). machine.h chooses at run time, so that one binary
 * serves all; a test compares all with the definition.
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
/* The same on any machine. */
uint8_t *tsn_snapshot_numbers_plain(uint8_t *p, const struct tsn_plan_stream *stream, uint64_t time,
                                    const uint64_t *row, uint32_t n);
#if defined(__x86_64__)
/* The same where tsn_bmi2_runs_here(). */
uint8_t *tsn_snapshot_numbers_bmi2(uint8_t *p, const struct tsn_plan_stream *stream, uint64_t time,
                                   const uint64_t *row, uint32_t n);
#endif

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
