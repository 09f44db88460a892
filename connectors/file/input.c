#include "connectors/file/input.h"

#include "rules/must/must.h"

bool tsn_input_fill(struct tsn_input *input, tsn_input_reject *reject, void *user,
                    struct tsn_failure *failure)
{
    TSN_MUST(!tsn_input_ready(input));
    tsn_batch_clear(input->rows);
    input->next = 0;
    while (input->rows->n < input->rows->cap) {
        struct tsn_line line;
        struct tsn_reject why;
        if (!tsn_lines_next(input->lines, &line, failure)) {
            input->at_end = failure->remedy == TSN_REMEDY_NONE;
            return input->at_end;
        }
        struct tsn_record record = {
            .bytes = line.bytes,
            .len = line.len,
            .timestamp_ms = TSN_NO_TIMESTAMP,
            .source = input->source,
            .position = line.number,
        };
        input->n_records++;
        if (!tsn_decode(input->decoder, &record, input->rows, &why)) {
            reject(user, input->source, &record, &why);
        }
    }
    return true;
}
