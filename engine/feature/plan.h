/* Plan: a program's features, arranged for batches.
 *
 * A feature's state is touched by that feature alone, and filters see earlier
 * features only as columns. So a batch is not walked row by row through all
 * features: features go level by level, and within a level stream by stream, each
 * over all rows. A stream is what the same events write under the same fields;
 * its features share one log of rows (engine/window).
 *
 * The exception is `at: seen`: it reads the entity's newest time, which any
 * feature's write moves. Its level therefore lies behind the filters of all
 * features of its kind; and if one of those filters depends on it in turn, the
 * program is `rowwise`: the same levels, but one row at a time.
 */
#ifndef TSN_ENGINE_FEATURE_PLAN_H
#define TSN_ENGINE_FEATURE_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/window/window.h"
#include "rules/arena/arena.h"
#include "rules/program/program.h"

/* Fields of an event type that together name an entity (one field) or an entry
 * under it (several). */
struct tsn_plan_key {
    int n_by;
    int by[TSN_BY_MAX];
    int kind;              /* index into kinds */
    int owner;             /* key of by[0] alone; itself when n_by is 1 */
    int parts[TSN_BY_MAX]; /* keys of each field alone */
    uint64_t streams;      /* whose cells are visited under it: bit s % 64 */
    int want;              /* for which rows any of them is; TSN_NONE: all */
};

struct tsn_plan_kind {
    uint64_t seed;
    bool seen; /* some feature reads at its newest time */
    int level; /* before which that time is known for a whole batch */
};

struct tsn_plan_item {
    uint16_t item; /* of the stream's layout */
    uint16_t slot; /* of the event type */
    uint8_t lane;  /* of the item */
    bool wide;     /* its cells are 8 bytes: no conversion */
};

/* One entity that a row of an event type reads in a stream. */
struct tsn_plan_visit {
    int key;
    uint16_t n_before; /* items read before the row is written: current exclude */
    uint16_t n_after;
    const struct tsn_plan_item *before;
    const struct tsn_plan_item *after;
};

/* For which rows something is read: where one of these rules may still fire, if its log
 * has so many rows that one of them can; and wherever its log has at least so many that another
 * rule can. demand.c */
struct tsn_plan_want {
    uint16_t n_rules;
    const uint16_t *rules; /* of the event type's that are evaluated */
    uint64_t rules_least;  /* 0: however few */
    uint64_t least;        /* 0: always; UINT64_MAX: however many */
};

/* Items of a step that are wanted for the same rows. */
struct tsn_plan_part {
    int want; /* of the event type, whose rows it has and ... */
    uint64_t rules_least, least;
    int gate;            /* these rules fire only where the log with this length has ... */
    uint64_t gate_least; /* ... so many rows; TSN_NONE: there is none. gate.c */
};

/* What a row of an event type does at one entity in a stream, as one visit to its
 * cell (tsn_window_pass). */
struct tsn_plan_step {
    int key;
    bool writes; /* the row is written here, if it is */
    uint16_t n_before, n_after;
    const uint16_t *items;               /* [n_before + n_after] of the layout */
    const struct tsn_plan_item *outputs; /* where their values go */
    uint32_t lanes;                      /* in which they are read */
    uint8_t n_parts;                     /* 0: always read whole */
    uint8_t by_length;                   /* parts that the log's length alone may decide on: bits */
    bool visited;   /* some items are always read, or the log's length decides */
    int want;       /* of the event type: for which rows any part is */
    uint64_t least; /* for so few rows no part is read, whoever wants it */
    int length;     /* of its log, for parts of steps behind it; TSN_NONE: nobody asks */
    const struct tsn_plan_part *parts;
    const struct tsn_plan_step *views; /* [1 << n_parts] with the parts whose bits are set */
    /* Of a view: those outside that are given the number of rows, which is too small to
     * matter. */
    uint16_t n_counts;
    const struct tsn_plan_item *counts;
};

struct tsn_plan_reads {
    uint16_t n;
    uint16_t n_steps;
    const struct tsn_plan_visit *visits;
    const struct tsn_plan_step *steps; /* in order: as the visits do, one by one */
};

/* Features of one stream at most: each may want a filter bit and a presence bit of
 * the 64. */
enum { TSN_PLAN_ITEMS_MAX = 32 };

/* A value that rows keep. */
struct tsn_plan_value {
    int field;
    enum tsn_window_kind kind;
    uint8_t word;
    uint64_t present;   /* bit set when the row has it; 0: always has */
    uint64_t wanted_by; /* bits of the filters whose features use it */
    bool always_wanted; /* rows have no bits: all use it */
    bool direct;        /* the cell's 8 bytes as they are */
};

struct tsn_plan_stream {
    uint32_t group; /* see struct tsn_plan_group */
    int event;
    int key; /* of event: what rows are written under */
    int kind;
    int level;
    bool pair;
    bool set; /* its one feature is a set: rows are kept to be handed out */
    uint64_t max_keys;
    uint64_t identity; /* of its features together: same identity, same rows */
    uint64_t salt;     /* pairs: turns tuple keys into keys of this stream */
    int n_conds;
    const uint32_t *conds; /* filters, TSN_EXPR_NONE for none */
    int n_values;
    const struct tsn_plan_value *values;
    const int *features; /* [n_items] of the program */
    struct tsn_window_layout layout;
    bool alone;                         /* no other event reads it */
    bool stepwise;                      /* by steps; else row by row: pairs, sets, text */
    const struct tsn_plan_reads *reads; /* [n_types] */
};

struct tsn_plan_expr {
    int type;
    int slot;
    uint32_t expr;
};

struct tsn_plan_level {
    int n_streams;
    const int *streams;
    int n_exprs;
    const struct tsn_plan_expr *exprs;
};

struct tsn_plan_type {
    int n_keys;
    const struct tsn_plan_key *keys;
    int n_rules;
    const int *rules; /* of the program, that are evaluated */
    int n_wants;
    struct tsn_plan_want *wants;
    int n_lengths; /* of logs, that gates leave for a row */
};

/* After a program change, features that came with the old program keep sharing a
 * log only with those they shared it with, because rows say which filters they
 * passed and a newer feature with an old one's filter must not see older rows. */
struct tsn_plan_group {
    uint64_t identity; /* of a feature */
    uint32_t group;
};

struct tsn_plan {
    uint32_t next_group;
    const struct tsn_program *prog;
    struct tsn_arena arena;
    struct tsn_plan_type *types; /* [n_types] */
    int n_kinds;
    struct tsn_plan_kind *kinds;
    int n_streams;
    struct tsn_plan_stream *streams;
    int n_levels;
    struct tsn_plan_level *levels;
    const struct tsn_demand *demands; /* [n_types], for demand.c */
    bool rowwise;
};

/* Borrows the program. groups: what tsn_plan_groups gave of the program before;
 * next_group as that plan had it. NULL, 0 and 0 for a first program. */
void tsn_plan_init(struct tsn_plan *plan, const struct tsn_program *prog,
                   const struct tsn_plan_group *groups, size_t n_groups, uint32_t next_group);

/* Writes [n_features] at most; returns how many: one for each feature with state. */
size_t tsn_plan_groups(const struct tsn_plan *plan, struct tsn_plan_group *groups);
void tsn_plan_free(struct tsn_plan *plan);

/* ---- between the files of this room ---------------------------------------- */

/* Levels of values and of filters, see above: [n_features] each. */
struct tsn_plan_order {
    int *value;
    int *filter;
    int *kind;       /* [n_features] kind of each feature */
    int *kind_level; /* [n_kinds] */
    int n_levels;
    bool rowwise;
};
void tsn_plan_order(const struct tsn_plan *plan, struct tsn_plan_order *order,
                    struct tsn_arena *arena);

/* demand.c: what looks at features; then, when a stream's items are laid out, lanes for
 * items that are read for different rows; then, when steps are planned, their parts. */
void tsn_demand_plan(struct tsn_plan *plan);
void tsn_demand_lanes(struct tsn_plan *plan, struct tsn_plan_stream *stream);
void tsn_demand_steps(struct tsn_plan *plan);
/* Rows without which each of the type's rules cannot fire, of the log of which a slot is read:
 * least[n_rules]. */
void tsn_demand_least(struct tsn_plan *plan, const struct tsn_plan_stream *stream, int type,
                      int slot, uint64_t *least);
/* Steps that tell those behind them. */
void tsn_gates_plan(struct tsn_plan *plan);

/* One stream of features [n], already known to share event, fields and level. */
void tsn_plan_stream(struct tsn_plan *plan, struct tsn_plan_stream *stream, int *features, int n);

#endif
