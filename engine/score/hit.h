/* Hit: a rule that fired, with everything a person needs to understand it.
 *
 * Captured when it happens and copied out of the batch - one block of memory with
 * the rendered reason, the event's reference and the inputs of the rule - because
 * an episode outlives the batches it is made of. Values are kept encoded as they
 * stand in a checkpoint record (the alternative, structs with pointers, would be
 * encoded at every cut); they are decoded when an alert shows them. Called by
 * engine/score only; a capture costs one evaluation of the reason's expressions
 * and one allocation, and only hits that weigh on an entity are captured.
 */
#ifndef TSN_ENGINE_SCORE_HIT_H
#define TSN_ENGINE_SCORE_HIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/alert/alert.h"
#include "engine/event/batch.h"
#include "engine/score/codec.h"
#include "rules/rules.h"

struct tsn_hit {
    tsn_event_ms time_ms;  /* of the hit: the row's, or when a timer was due */
    tsn_event_ms event_ms; /* of the event */
    int32_t rule;          /* -1: of a `score` expression, which no rule made */
    uint16_t type;
    uint16_t source;
    int64_t position;
    uint32_t n_evidence;
    uint32_t id_len;
    uint32_t reason_len;
    uint32_t len;    /* of bytes */
    uint8_t bytes[]; /* id, reason, encoded evidence */
};

/* The row that a hit or an alert is about. row->time_ms is the time of the hit; the
 * event's own time is input 0. */
struct tsn_hit_row {
    const struct tsn_program *prog;
    const struct tsn_row *row;
    struct tsn_eval *eval;
    const struct tsn_column *inputs; /* of the row's type: fields, then slots */
    const bool *masked;              /* of each input: it shows an entity */
    bool too_late;                   /* the row, so that it reads no window */
    bool partial;                    /* only what the rule reads is at hand */
};

/* The event's reference; its id, if any, is text in `room` (TSN_TEXT_MAX bytes) or
 * borrowed from the batch. */
struct tsn_event_ref tsn_hit_event(const struct tsn_hit_row *at, char *room);

/* Captures what `expr` (the rule's condition) read. rule -1 has no reason. */
struct tsn_hit *tsn_hit_capture(const struct tsn_hit_row *at, int rule, uint32_t expr,
                                struct tsn_bytes *scratch);
struct tsn_hit *tsn_hit_copy(const struct tsn_hit *hit);
void tsn_hit_free(struct tsn_hit *hit);

/* How far an input of the row may be off: a feature read from panes, or an expression over
 * such features. */
struct tsn_approximation tsn_hit_approximation(const struct tsn_hit_row *at, uint32_t input);

/* Decodes it into the arena. */
void tsn_hit_show(const struct tsn_hit *hit, double points, struct tsn_arena *arena,
                  struct tsn_alert_hit *out);

/* For records: the encoded hit without its rule and type, which the caller names.
 * Reading gives NULL for what no writer wrote. */
void tsn_hit_write(const struct tsn_hit *hit, struct tsn_bytes *to);
struct tsn_hit *tsn_hit_read(struct tsn_bytes_reader *from);

/* Which inputs of an event type show an entity: its fields of an entity kind, and
 * features that hand such a field on. Fills masked[n_fields + n_slots]. */
void tsn_hit_masks(const struct tsn_program *prog, int type, bool *masked);

#endif
