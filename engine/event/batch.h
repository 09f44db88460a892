/* Batch: rows of several event types in processing order, in columns.
 *
 * Rows keep the order in which the engine processes them; the cells of a row
 * stand in the columns of its event type, at index `at`. So a rule on one type
 * is a loop over dense columns, and a window that two types touch walks `rows`.
 * Batches are an implementation detail: results do not depend on their size.
 *
 * Text cells point into `text` (or into memory that outlives the batch, when the
 * filler says so). A batch belongs to one thread at a time.
 */
#ifndef TSN_ENGINE_EVENT_BATCH_H
#define TSN_ENGINE_EVENT_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/arena/arena.h"
#include "rules/column/column.h"
#include "rules/program/program.h"

/* Where a row came from; evidence and rejects name it. `source` indexes the
 * caller's own table of (topic, partition) or files. */
struct tsn_row {
    tsn_event_ms time_ms;
    int64_t position; /* offset in the partition, or line of the file */
    uint32_t at;      /* index into the columns of its type */
    uint16_t type;    /* index into program->types */
    uint16_t source;
};

struct tsn_type_rows {
    uint32_t n;
    uint32_t *row;             /* [n] index into batch->rows, ascending */
    tsn_event_ms *time_ms;     /* [n] the same as the rows' */
    struct tsn_column *fields; /* [n_fields]; [0] shares time_ms */
};

struct tsn_batch {
    const struct tsn_program *prog;
    uint32_t n;
    uint32_t cap; /* rows of all types together; fixed at new */
    struct tsn_row *rows;
    struct tsn_type_rows *types; /* [prog->n_types] */
    struct tsn_arena memory;     /* the columns; lives as long as the batch */
    struct tsn_arena text;       /* text cells; reset by tsn_batch_clear */
};

/* cap: rows, a multiple of 64. Columns of every type are laid out for cap rows
 * on first use of the type. */
struct tsn_batch *tsn_batch_new(const struct tsn_program *prog, uint32_t cap);
void tsn_batch_free(struct tsn_batch *batch);

/* No rows; memory is kept. */
void tsn_batch_clear(struct tsn_batch *batch);

/* Adds a row with all fields missing but the time, and returns its index in the
 * columns of its type (`at`). The batch must not be full. */
uint32_t tsn_batch_add(struct tsn_batch *batch, uint16_t type, tsn_event_ms time_ms,
                       uint16_t source, int64_t position);

/* Takes back the row added last: its decode failed half-way. */
void tsn_batch_drop_last(struct tsn_batch *batch);

/* Appends rows [from, to) of src, in order; both have the same program. Text is
 * borrowed from src unless copy_text. O(cells). */
void tsn_batch_append(struct tsn_batch *dst, const struct tsn_batch *src, uint32_t from,
                      uint32_t to, bool copy_text);

#endif
