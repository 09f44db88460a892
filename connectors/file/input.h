/* Input: one file of a replay, decoded ahead in chunks. Used by replay.c.
 *
 * The merge needs the time of the next record of every input, so an input holds a
 * chunk of rows decoded; `next` is the first that was not taken. Rejects are
 * handed out while a chunk is decoded: in file order within an input.
 */
#ifndef TSN_CONNECTORS_FILE_INPUT_H
#define TSN_CONNECTORS_FILE_INPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "connectors/decode/decode.h"
#include "connectors/file/lines.h"

typedef void tsn_input_reject(void *user, uint16_t source, const struct tsn_record *record,
                              const struct tsn_reject *reject);

struct tsn_input {
    uint16_t source; /* index among the inputs */
    struct tsn_lines *lines;
    struct tsn_decoder *decoder;
    struct tsn_batch *rows; /* the chunk; its text lives until the next fill */
    uint32_t next;
    bool at_end;
    uint64_t n_records;
};

/* Is a row there? */
static inline bool tsn_input_ready(const struct tsn_input *input)
{
    return input->next < input->rows->n;
}

/* Decodes the next chunk; all rows of the last one have been taken and are not
 * borrowed any more. Leaves at_end when nothing follows. */
bool tsn_input_fill(struct tsn_input *input, tsn_input_reject *reject, void *user,
                    struct tsn_failure *failure);

#endif
