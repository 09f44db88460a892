#include "rules/column/column.h"

#include "rules/must/must.h"

/* One row a representation: cell bytes and the type it reads as. */
static const struct {
    uint8_t cell_bytes;
    enum tsn_type type;
} reps[] = {
    [TSN_REP_BOOL] = {0, TSN_TYPE_BOOL},
    [TSN_REP_INT] = {8, TSN_TYPE_INT},
    [TSN_REP_DOUBLE] = {8, TSN_TYPE_DOUBLE},
    [TSN_REP_STRING] = {sizeof(struct tsn_str), TSN_TYPE_STRING},
    [TSN_REP_TIME_MS] = {8, TSN_TYPE_TIMESTAMP},
    [TSN_REP_DURATION_MS] = {8, TSN_TYPE_DURATION},
    [TSN_REP_MONEY] = {8, TSN_TYPE_DOUBLE},
    [TSN_REP_ENUM] = {2, TSN_TYPE_STRING},
    [TSN_REP_TIME] = {sizeof(struct tsn_time), TSN_TYPE_TIMESTAMP},
    [TSN_REP_DURATION] = {sizeof(struct tsn_time), TSN_TYPE_DURATION},
    [TSN_REP_LIST] = {sizeof(void *), TSN_TYPE_LIST},
    [TSN_REP_NULL] = {0, TSN_TYPE_NULL},
};

static const char *const type_names[] = {
    [TSN_TYPE_BOOL] = "bool",           [TSN_TYPE_INT] = "int",
    [TSN_TYPE_DOUBLE] = "double",       [TSN_TYPE_STRING] = "string",
    [TSN_TYPE_TIMESTAMP] = "timestamp", [TSN_TYPE_DURATION] = "duration",
    [TSN_TYPE_NULL] = "null",           [TSN_TYPE_LIST] = "list",
    [TSN_TYPE_HANDLE] = "list handle",
};

size_t tsn_rep_cell_bytes(enum tsn_rep rep)
{
    TSN_MUST(rep < sizeof reps / sizeof reps[0]);
    return reps[rep].cell_bytes;
}

enum tsn_type tsn_rep_type(enum tsn_rep rep)
{
    TSN_MUST(rep < sizeof reps / sizeof reps[0]);
    return reps[rep].type;
}

enum tsn_rep tsn_type_rep(enum tsn_type type)
{
    static const enum tsn_rep exact[] = {
        [TSN_TYPE_BOOL] = TSN_REP_BOOL,      [TSN_TYPE_INT] = TSN_REP_INT,
        [TSN_TYPE_DOUBLE] = TSN_REP_DOUBLE,  [TSN_TYPE_STRING] = TSN_REP_STRING,
        [TSN_TYPE_TIMESTAMP] = TSN_REP_TIME, [TSN_TYPE_DURATION] = TSN_REP_DURATION,
        [TSN_TYPE_NULL] = TSN_REP_NULL,      [TSN_TYPE_LIST] = TSN_REP_LIST,
    };
    TSN_MUST(type < sizeof exact / sizeof exact[0]);
    return exact[type];
}

const char *tsn_type_name(enum tsn_type type)
{
    TSN_MUST(type < sizeof type_names / sizeof type_names[0]);
    return type_names[type];
}

void tsn_column_alloc(struct tsn_column *column, enum tsn_rep rep, size_t n_rows, bool with_errors,
                      struct tsn_arena *arena)
{
    size_t words = tsn_bits_words(n_rows);
    *column = (struct tsn_column){.rep = rep};
    if (rep == TSN_REP_BOOL) {
        column->bits = tsn_arena_zalloc(arena, words, sizeof(uint64_t));
    } else if (tsn_rep_cell_bytes(rep)) {
        column->cells = tsn_arena_alloc(arena, n_rows * tsn_rep_cell_bytes(rep));
    }
    column->valid = tsn_arena_zalloc(arena, words, sizeof(uint64_t));
    if (with_errors) {
        column->error = tsn_arena_zalloc(arena, words, sizeof(uint64_t));
    }
}
