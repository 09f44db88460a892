/* Feature: the state of all features of a program, and the matrix of their values
 * for a batch: for each event type a column for each slot.
 *
 * Called by engine.c: begin (columns and keys of the batch), rows (the walk; asks
 * the evaluators for filters as it goes), sweep (memory of what has expired).
 * engine/snapshot reads and fills the tables. Belongs to one thread at a time.
 */
#ifndef TSN_ENGINE_FEATURE_FEATURE_H
#define TSN_ENGINE_FEATURE_FEATURE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/entity/cold.h"
#include "engine/entity/entity.h"
#include "engine/entity/pairs.h"
#include "engine/entity/pool.h"
#include "engine/entity/table.h"
#include "engine/event/batch.h"
#include "engine/feature/plan.h"

/* The keys of a batch's rows for one struct tsn_plan_key. */
struct tsn_key_rows {
    struct tsn_key *keys;    /* [batch_rows]; zero: missing */
    void **records;          /* what the table had when the batch began, or NULL */
    struct tsn_key *rests;   /* keys of several fields: of those behind the first */
    tsn_event_ms *newest_ms; /* kinds with `seen`: what a row reads as of */
};

/* The steps from a key to its cells. */
enum tsn_resolve { TSN_RESOLVE_SLOTS, TSN_RESOLVE_RECORDS, TSN_RESOLVE_FIND, TSN_RESOLVE_STEPS };

struct tsn_feature_type {
    struct tsn_column *inputs; /* fields, then slots; NULL before the first row */
    struct tsn_column *slots;  /* of inputs */
    struct tsn_key_rows *keys;
    bool *is_settled;   /* [n_rules] for this batch, as far as anything asks */
    uint64_t **settled; /* [n_rules] rows of the batch on which the rule cannot fire */
    uint64_t **wanted;  /* [n_wants] rows of the batch for which something is read */
    uint32_t **lengths; /* [n_lengths] of the log of a row's gate; UINT32_MAX: not known */
    uint32_t n_done[TSN_RESOLVE_STEPS]; /* rows of the batch that each step has done */
};

/* A visit to come: see visit.c. */
struct tsn_walk_visit {
    struct tsn_key_rows *keys; /* under which the entity is found */
    const struct tsn_plan_step *step;
    struct tsn_feature_type *of;
    const uint64_t *row; /* to be written, or NULL */
    void **place;        /* of the cell, once it was asked for and if it stays; or NULL */
    tsn_event_ms time_ms;
    tsn_event_ms dead_ms; /* of a row that is written */
    uint32_t at;          /* of its type */
    uint16_t stream;
    bool read;      /* the step's items are ... */
    uint32_t lanes; /* that are read, as far as it is known when memory is asked for */
    uint8_t parts;  /* ... of these parts, or of others: the log's length decides */
};

/* Rows that are walked through all streams of a level before the next: entities and
 * cells touched by one stream are still near when the next comes. */
enum { TSN_WALK_CHUNK = 64 };

/* Filters of one stream, as bitmaps over the rows of its event type. */
struct tsn_stream_conds {
    bool ready;
    const uint64_t **value; /* [n_conds]; NULL: always true */
    const uint64_t **valid;
};

/* Who takes what a cut holds. Returns about how many bytes it came to. */
struct tsn_features_taker {
    size_t (*entity)(void *user, struct tsn_entity *entity);
    size_t (*gone)(void *user, struct tsn_key key);
    void *user;
};

/* A cut under way: what changed before it began, given away bit by bit, and each entity
 * at the latest just before it changes again. */
struct tsn_features_cut {
    bool runs;
    bool all; /* not only what changed */
    struct tsn_features_taker taker;
    struct tsn_entity **dirty;
    size_t n_dirty, dirty_cap, dirty_at;
    struct tsn_key *gone;
    size_t n_gone, gone_cap;
    uint32_t number_at, number_end; /* of records, when all are given */
};

/* Memory as a cache of the store: see resident.c. */
struct tsn_features_resident {
    uint64_t cap;   /* entities in memory; 0: all of them */
    uint32_t saved; /* what has not changed since this epoch began is in the store; 0: nothing */
    struct tsn_cold cold;
    uint8_t *used; /* by record number: visited since the hand passed */
    uint32_t used_cap;
    uint32_t hand;
    uint64_t n_fetched, n_evicted;
    struct tsn_key *keys; /* [batch_rows] of a column of the batch */
    struct tsn_key *missing;
    size_t n_missing, missing_cap;
};

struct tsn_features {
    const struct tsn_program *prog;
    struct tsn_plan plan;
    tsn_duration_ms lateness_ms;
    uint32_t batch_rows;

    /* State. */
    struct tsn_pool pool;
    struct tsn_table entities; /* struct tsn_entity */
    struct tsn_table pairs;    /* struct tsn_pair */
    uint64_t n_rows;           /* in all cells */
    uint64_t next_order;       /* of the next batch's first row */
    struct tsn_window_counts window_counts;

    /* What changed since the last cut. */
    bool regrouped; /* the program has changed: groups are history */
    bool all_dirty;
    struct tsn_entity **dirty;
    size_t n_dirty, dirty_cap;
    struct tsn_key *gone; /* saved entities that were freed */
    size_t n_gone, gone_cap;
    uint32_t epoch; /* number of cuts begun + 1 */
    struct tsn_features_cut cut;
    uint32_t sweep_at;
    struct tsn_features_resident resident;

    bool want_all; /* every feature is read for every row */

    /* The batch. */
    struct tsn_arena memory; /* columns; until the program changes */
    struct tsn_arena text;   /* first and last of strings; until the next batch */
    struct tsn_feature_type *types;
    struct tsn_stream_conds *conds; /* [n_streams] */
    uint64_t row[64 + 2];           /* a row in the making */
    const struct tsn_batch *batch;  /* the last one walked, and its statuses */
    const uint8_t *status;
    uint64_t batch_order;          /* of its first row */
    struct tsn_value *members;     /* [TSN_SET_MAX], made on first use */
    struct tsn_walk_visit *visits; /* of a chunk, that are listed and not yet done */
    uint32_t n_visits;
    size_t n_made, made_cap;
    uint64_t *made;               /* [n_made] words of the rows they write */
    struct tsn_reading *readings; /* of one visit */
};

void tsn_features_init(struct tsn_features *feat, const struct tsn_program *prog,
                       tsn_duration_ms lateness_ms, uint32_t batch_rows);
void tsn_features_free(struct tsn_features *feat);

/* Another program: features with an identity that both have keep their rows. */
void tsn_features_swap(struct tsn_features *feat, const struct tsn_program *prog);

/* Before any row: the same program with the groups that a checkpoint says. */
void tsn_features_regroup(struct tsn_features *feat, const struct tsn_plan_group *groups,
                          size_t n_groups, uint32_t next_group);

/* Lays the batch's columns beside empty slots: tsn_features_inputs is valid from
 * here to the next begin. Resolves all keys. */
void tsn_features_begin(struct tsn_features *feat, const struct tsn_batch *batch);

/* Fields, then slots, of an event type: what a frame wants. NULL before its first
 * row. */
const struct tsn_column *tsn_features_inputs(const struct tsn_features *feat, int type);

/* Fills the slots and writes the rows. status: [batch->n] enum tsn_row_status;
 * before_ms: [batch->n] E before each row; evals: as tsn_score_rows has them. */
void tsn_features_rows(struct tsn_features *feat, const struct tsn_batch *batch,
                       const uint8_t *status, const tsn_event_ms *before_ms,
                       struct tsn_eval *const *evals);

/* The members of a set as row r of the last batch saw it through a slot of its event
 * type, from the one whose latest row is oldest to the newest: strings or ints. None if
 * the slot is missing. */
struct tsn_members {
    uint32_t n;
    bool full;                      /* there were more than the set's `max` */
    const struct tsn_value *values; /* until the next question or batch */
};
/* To be asked between tsn_features_rows and tsn_features_sweep. O(rows in the window). */
void tsn_features_members(struct tsn_features *feat, uint32_t r, int slot, struct tsn_members *out);

/* Looks at the next n entities and frees what no row may read any more. Changes no
 * value. newest_ms: E. */
void tsn_features_sweep(struct tsn_features *feat, uint32_t n, tsn_event_ms newest_ms);

/* Bytes of all state: tables, cells, keys. */
uint64_t tsn_features_bytes(const struct tsn_features *feat);

/* ---- a cap on entities in memory: resident.c -------------------------------------- */

/* Before the first row and before anything is loaded. What is loaded counts as saved. */
void tsn_features_cap(struct tsn_features *feat, uint64_t cap);
/* Keys of entities that the batch's rows visit and that are only in the store, each once,
 * sorted; until the next question. None without a cap, at no cost. */
size_t tsn_features_missing(struct tsn_features *feat, const struct tsn_batch *batch,
                            const struct tsn_key **keys);
/* Any n of those that are only in the store. */
size_t tsn_features_away(struct tsn_features *feat, size_t n, const struct tsn_key **keys);
/* The entity with this key has been loaded and is in memory again. */
void tsn_features_admitted(struct tsn_features *feat, struct tsn_key key);
/* What the last cut gave is in the store. */
void tsn_features_saved(struct tsn_features *feat);
/* Looks at the next n entities and lets go of those that are in the store, until no more
 * than the cap are left. newest_ms: E, as for the sweep. Changes no value. */
void tsn_features_evict(struct tsn_features *feat, uint32_t n, tsn_event_ms newest_ms);
void tsn_features_resident_free(struct tsn_features *feat);

/* ---- cuts, for engine/snapshot ------------------------------------------------- */

/* Begins a cut of the state as it is now. O(1). One at a time. */
void tsn_features_cut_begin(struct tsn_features *feat, bool whole,
                            const struct tsn_features_taker *taker);
/* Gives more of it until about *budget bytes are spent, which is lowered; true when the
 * cut is complete. A look at an entity counts as some bytes. */
bool tsn_features_cut_step(struct tsn_features *feat, int64_t *budget);

/* While a cut runs: must this entity be given before it changes? One that was made
 * since has changed == epoch and was not given. */
static inline bool tsn_features_due(const struct tsn_features *feat,
                                    const struct tsn_entity *entity)
{
    return entity->given != feat->epoch &&
           (feat->cut.all ? entity->changed != feat->epoch : entity->changed == feat->epoch - 1);
}
size_t tsn_features_give(struct tsn_features *feat, struct tsn_entity *entity);

/* ---- between the files of this room, and for engine/snapshot ---------------- */

/* Fills what is wanted of the rows of an event type; their fields are there. */
void tsn_demand_find(struct tsn_features *feat, int type, uint32_t n_rows, struct tsn_eval *eval);

/* Times at or before this are read by no row in time, for rows kept keep_ms. */
static inline tsn_event_ms tsn_features_dead(const struct tsn_features *feat,
                                             tsn_event_ms newest_ms, tsn_duration_ms keep_ms)
{
    if (newest_ms == INT64_MIN) {
        return INT64_MIN;
    }
    return tsn_window_minus(tsn_window_minus(newest_ms, feat->lateness_ms), keep_ms);
}

/* The entity, new if need be, marked as changed. */
struct tsn_entity *tsn_features_entity(struct tsn_features *feat, struct tsn_key key);
/* Before the first change in an epoch (entity->changed != epoch): marks it, and gives it
 * to the cut under way as it is. */
void tsn_features_touch(struct tsn_features *feat, struct tsn_entity *entity);

/* A new entry of a pair stream under an entity; cell is empty. */
struct tsn_pair *tsn_features_pair_add(struct tsn_features *feat, struct tsn_pairs **pairs,
                                       struct tsn_key key, struct tsn_key rest,
                                       tsn_event_ms newest_ms, uint64_t order);
/* Frees an entry with its rows. */
void tsn_features_pair_drop(struct tsn_features *feat, const struct tsn_plan_stream *stream,
                            struct tsn_pairs *pairs, struct tsn_pair *pair);
/* Frees cell i of an entity, of whatever stream. */
void tsn_features_cell_drop(struct tsn_features *feat, struct tsn_entity *entity, unsigned i);
/* Frees an entity with its cells; nobody is told. */
void tsn_features_entity_drop(struct tsn_features *feat, struct tsn_entity *entity);
/* The store is to be told by the next cut that the entity is gone. */
void tsn_features_gone(struct tsn_features *feat, struct tsn_key key);

/* Takes another program, or other groups; state that refers to streams is the
 * caller's to carry over. */
void tsn_features_enter(struct tsn_features *feat, const struct tsn_program *prog,
                        const struct tsn_plan_group *groups, size_t n_groups, uint32_t next_group);

/* A key of a pair stream's table from the tuple's key, and back. */
static inline struct tsn_key tsn_features_salted(const struct tsn_plan_stream *stream,
                                                 struct tsn_key key)
{
    key.lo ^= stream->salt;
    key.hi ^= stream->salt;
    return key;
}

/* The walk: rows [from, to) of the batch through one stream; by visits, they are listed
 * and done with tsn_visits_walk. */
struct tsn_walk {
    struct tsn_features *feat;
    const struct tsn_batch *batch;
    const uint8_t *status;
    const tsn_event_ms *before_ms;
    struct tsn_eval *const *evals;
};
void tsn_walk_stream(const struct tsn_walk *walk, int stream, uint32_t from, uint32_t to);
/* For one row, filters already evaluated one by one: bit c is condition c. */
void tsn_walk_row(const struct tsn_walk *walk, int stream, uint32_t row, uint64_t conds);
/* Newest times of a kind, for all rows; creates the entities that will be written. */
void tsn_walk_newest(const struct tsn_walk *walk, int kind);
/* Filters as columns; asks the evaluator once a batch. */
void tsn_walk_conds(const struct tsn_walk *walk, int stream);

#endif
