/* The door of engine/: (state, program, batch) -> (state', alerts).
 *
 * Deterministic: no I/O, no clock, no randomness, no threads of its own, no log.
 * The same door serves the live run, replay, backtest, rule tests, benchmarks and
 * the crash test. Input is one sequence of steps - rows, ticks, program swaps -
 * and the result does not depend on how rows are grouped into batches.
 *
 * An engine belongs to one thread at a time.
 */
#ifndef TSN_ENGINE_ENGINE_H
#define TSN_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/alert/alert.h"
#include "engine/event/batch.h"
#include "rules/rules.h"

/* Changes of meaning that a replay must notice: raised whenever the same steps
 * would give other output. Written to every manifest. */
enum { TSN_ENGINE_SEMANTICS = 1 };

struct tsn_engine_settings {
    tsn_duration_ms lateness_ms;     /* default 1 h */
    tsn_duration_ms dedup_window_ms; /* default 10 min; 0: no duplicate check */
    uint64_t dedup_cap_bytes;        /* default 256 MiB; beyond it the oldest pane goes */
    tsn_duration_ms timer_grace_ms;  /* default 1 s */
    uint32_t batch_rows;             /* largest batch that will be given; default 4096 */
    uint64_t reserve_bytes;          /* of state, taken and touched at the start; default 0 */
};

/* The defaults above. */
struct tsn_engine_settings tsn_engine_defaults(void);

enum tsn_row_status {
    TSN_ROW_ACCEPTED,
    TSN_ROW_LATE,      /* accepted, older than the newest accepted */
    TSN_ROW_TOO_LATE,  /* accepted, its own window features read missing */
    TSN_ROW_DUPLICATE, /* dropped */
};

struct tsn_engine_counts {
    uint64_t rows, accepted, late, too_late, duplicates;
    uint64_t hits, shadow_hits, rule_missing, rule_errors;
    uint64_t alerts, shadow_alerts, suppressed; /* suppressed: by a cooldown */
    uint64_t sets_full;         /* times that a set with more than `max` members was handed out */
    uint64_t coalesced;         /* rows of hot keys that became sums: engine/window/pane.h */
    uint64_t approximate;       /* values read with the error that docs/SEMANTICS.md states */
    uint64_t entities, entries; /* in memory now */
    uint64_t state_bytes;
    uint64_t cold;             /* entities that are only in the store now */
    uint64_t fetched, evicted; /* times that one was put back, or let go of */
};

/* What a step gave. The caller owns it and clears it; steps append. */
struct tsn_output {
    struct tsn_arena arena;
    uint32_t n_alerts;
    uint32_t alerts_cap;
    struct tsn_alert *alerts; /* in the order in which they were raised */
};

void tsn_output_init(struct tsn_output *out);
void tsn_output_clear(struct tsn_output *out);
void tsn_output_free(struct tsn_output *out);
/* A new zeroed alert at the end; valid until the next add. For engine/score. */
struct tsn_alert *tsn_output_add(struct tsn_output *out);

struct tsn_engine;

/* The program is borrowed until it is swapped out or the engine freed. */
struct tsn_engine *tsn_engine_new(const struct tsn_program *prog,
                                  const struct tsn_engine_settings *settings);
void tsn_engine_free(struct tsn_engine *eng);

/* Processes all rows of a batch in order; appends alerts to `out`. Never fails:
 * bad input was rejected before. The batch is only read. */
void tsn_engine_rows(struct tsn_engine *eng, const struct tsn_batch *batch, struct tsn_output *out);

/* The clock reached now_ms while every source stood at its end. Returns true if a
 * timer fired by it (then the caller writes the tick to the manifest). */
bool tsn_engine_tick(struct tsn_engine *eng, tsn_event_ms now_ms, struct tsn_output *out);

/* From the next row on, `prog` is in force. Features with the same identity keep
 * their state; lists, episodes and timers follow their names. */
void tsn_engine_swap(struct tsn_engine *eng, const struct tsn_program *prog);

/* E: the largest event time accepted so far; INT64_MIN before the first row. */
tsn_event_ms tsn_engine_newest(const struct tsn_engine *eng);

struct tsn_engine_counts tsn_engine_counts(const struct tsn_engine *eng);

/* ---- what the last tsn_engine_rows computed, for exports and explain -------- */

/* Whether the columns below are computed and kept (default: no). Without, a feature is read
 * only for rows on which it can still make a rule fire, which changes nothing that leaves the
 * engine: docs/decisions/reads-on-demand.md. To be said between batches. */
void tsn_engine_want_columns(struct tsn_engine *eng, bool want);
/* [batch->n] enum tsn_row_status. */
const uint8_t *tsn_engine_status(const struct tsn_engine *eng);
/* Slot columns of an event type, [n_slots]; rows as in batch->types[type]. NULL if the type
 * has had no rows, or columns are not wanted. */
const struct tsn_column *tsn_engine_slots(const struct tsn_engine *eng, int type);
/* Whether a rule fired, over the rows of its event type: value, missing, error.
 * Exceptions and modes are applied; shadow rules are evaluated like live ones. */
const struct tsn_column *tsn_engine_rule(const struct tsn_engine *eng, int rule);
/* A typology's score after each row of an event type (missing where the type or
 * the row has no entity for it), TSN_REP_DOUBLE; NULL if the type never has. */
const struct tsn_column *tsn_engine_score(const struct tsn_engine *eng, int typology, int type);

/* ---- state for checkpoints ------------------------------------------------- */

/* State is a set of records {section, key, bytes}. Keys are 16-byte hashes without
 * personal data; the bytes contain it, so whoever stores them encrypts them. The
 * format carries a version; tests keep a fixture of every released one. */
enum tsn_snapshot_section {
    TSN_SNAPSHOT_CLOCK = 1, /* E, last tick, counters of order: one record */
    TSN_SNAPSHOT_ENTITY,
    TSN_SNAPSHOT_EPISODE,
    TSN_SNAPSHOT_LIST,
    TSN_SNAPSHOT_DEDUP, /* one record a page of ids of a minute */
    TSN_SNAPSHOT_TIMER,
};

struct tsn_snapshot_record {
    enum tsn_snapshot_section section;
    uint8_t key[16];
    const uint8_t *bytes; /* NULL: the record is gone, delete it */
    size_t len;
};

typedef void tsn_snapshot_sink(void *user, const struct tsn_snapshot_record *record);

/* A cut gives every record that changed since the last one (all, when `whole`), as of
 * the moment it begins, between two steps. The engine goes on meanwhile: records come
 * from begin, from each step, and from the functions that process rows and ticks when
 * something is about to change that was not given yet; a swap completes the cut first.
 * sink and user live until then. One cut at a time. Order is unspecified; no key
 * comes twice: whoever stores them counts them. begin costs by written lists that changed
 * and episodes that ended. */
void tsn_snapshot_begin(struct tsn_engine *eng, bool whole, tsn_snapshot_sink *sink, void *user);
/* Gives more, about `bytes` of records; true when nothing is left to give. */
bool tsn_snapshot_step(struct tsn_engine *eng, size_t bytes);
/* Both at once. Returns the number of records. */
uint64_t tsn_snapshot_cut(struct tsn_engine *eng, bool whole, tsn_snapshot_sink *sink, void *user);

/* ---- memory as a cache -------------------------------------------------------- */

/* With a cap, entities that are in the store as they are now may be let go of, after
 * each batch, until no more than the cap are in memory; which ones never shows in what
 * comes out. Entities that changed since the last saved cut stay, and so do episodes,
 * lists, timers and ids: the cap is of entities' windows, by far the most of a state.
 * The engine does no input: before a batch its caller asks what the batch misses,
 * fetches that, and admits it.
 *
 * Before the first row and before anything is loaded; what is loaded then counts as
 * saved. 0: no cap. */
void tsn_engine_cap(struct tsn_engine *eng, uint64_t entities);

struct tsn_entity_key {
    uint8_t bytes[16]; /* as in a record of TSN_SNAPSHOT_ENTITY */
};
/* The entities that the rows of the batch visit and that are only in the store, each
 * once; valid until the next of these two questions. Rows may be given to
 * tsn_engine_rows when there are none. Costs nothing without a cap, some 20 ns a row
 * and field with one. */
size_t tsn_engine_missing(struct tsn_engine *eng, const struct tsn_batch *batch,
                          const struct tsn_entity_key **keys);
/* Any `most` of them, whoever visits them: before a swap or a whole cut all must be in
 * memory. */
size_t tsn_engine_away(struct tsn_engine *eng, size_t most, const struct tsn_entity_key **keys);
/* Puts an entity back, from its newest record; between two steps. What is in memory
 * already is passed over. False with a reason as tsn_snapshot_load. */
bool tsn_engine_admit(struct tsn_engine *eng, const struct tsn_snapshot_record *record,
                      const char **why);
/* What the last cut gave, and all before it, is in the store. The cut is complete. */
void tsn_engine_saved(struct tsn_engine *eng);
/* Looks at the next n entities and lets go of those that may go, as is done after each
 * batch: for when none comes. */
void tsn_engine_let_go(struct tsn_engine *eng, uint32_t n);

/* Frees at once what is otherwise freed little by little: what no row in time can read any
 * more, as of E. Changes no value. How many entities remain then depends on the rows alone,
 * not on how they came in batches (entries do: sets are thinned when their logs grow).
 * While no cut is under way. O(entities). */
void tsn_engine_tidy(struct tsn_engine *eng);

/* Loads one record into an engine that has processed no rows yet. False with a
 * reason in *why (static text) if it cannot be read: then the engine must be
 * thrown away. */
/* Before many of them: about how many come, and that this one comes soon. They cost
 * memory accesses, and change nothing. */
void tsn_snapshot_expect(struct tsn_engine *eng, uint64_t n);
void tsn_snapshot_ahead(struct tsn_engine *eng, const struct tsn_snapshot_record *record);
bool tsn_snapshot_load(struct tsn_engine *eng, const struct tsn_snapshot_record *record,
                       const char **why);

#endif
