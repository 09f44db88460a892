/* Batch: rows of several event types in processing order, in columns.
 *
 * Rows keep the order in which the engine processes them; the cells of a row
 * stand in the columns of its event type, at index `at`. So a rule on one type
 * is a loop over dense columns, and a window that two types touch walks `rows`.
 * Batches are an implementation detail: results do not depend on their size.
 *
 * Text cells point into `text` (or into memory that outlives the batch, when the
 * filler says so). A batch belongs to one thread at a time.
 *
 * A merge takes rows one by one from many batches. Copying each row's cells then
 * meant a cache miss a column and a branch a cell; so a merge only refers to rows,
 * and settling copies them column by column, misses side by side.
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

/* Where the cells of a row stand that was referred to. */
struct tsn_row_ref {
    const struct tsn_column *fields;
    uint32_t at;
};

struct tsn_type_rows {
    uint32_t n;
    uint32_t n_settled;        /* rows whose cells are here; those behind are in refs */
    struct tsn_row_ref *refs;  /* [n], where rows were referred to */
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
 * columns of its type (`at`). The batch must not be full, nor hold rows of this type
 * that are not settled. */
uint32_t tsn_batch_add(struct tsn_batch *batch, uint16_t type, tsn_event_ms time_ms,
                       uint16_t source, int64_t position);

/* Takes back the row added last: its decode failed half-way. */
void tsn_batch_drop_last(struct tsn_batch *batch);

/* Adds rows [from, to) of src, in order, without their cells; both have the same
 * program. src must stay as it is until tsn_batch_settle, and its text longer: it is
 * borrowed. O(rows). */
void tsn_batch_refer(struct tsn_batch *dst, const struct tsn_batch *src, uint32_t from,
                     uint32_t to);

/* Copies the cells of all rows that were referred to. Nobody may read fields before,
 * but `rows` and the types' `row` and `time_ms` are there. O(cells): 2 ns a cell. */
void tsn_batch_settle(struct tsn_batch *batch);

/* Both at once. Text is borrowed from src unless copy_text. */
void tsn_batch_append(struct tsn_batch *dst, const struct tsn_batch *src, uint32_t from,
                      uint32_t to, bool copy_text);

#endif
