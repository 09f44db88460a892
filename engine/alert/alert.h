/* Alert: what the engine tells the world, as values. Its bytes are made by
 * connectors/wire; ids are keyed hashes made there too, so the core needs no key.
 *
 * Everything in an alert derives from rows, program and earlier state: no clock,
 * no batch, no thread shows. Memory is the output's arena: valid until the output
 * is cleared.
 */
#ifndef TSN_ENGINE_ALERT_ALERT_H
#define TSN_ENGINE_ALERT_ALERT_H

#include <stdbool.h>
#include <stdint.h>

#include "rules/expr/expr.h"
#include "rules/program/program.h"

/* Hits kept per episode as evidence: enough for a person to read; the score
 * still counts all. When there are more, the oldest hit of a rule that has another
 * goes first, so that every rule stays explained as long as it can. */
enum { TSN_ALERT_HITS_MAX = 32 };

/* An event that an alert rests on. */
struct tsn_event_ref {
    uint16_t type;
    uint16_t source;
    int64_t position;
    tsn_event_ms time_ms;
    struct tsn_str id; /* the event's id; empty when its type has none */
};

/* How far a value may be off, when it was read from a hot key's panes (engine/window). */
struct tsn_approximation {
    bool holds;              /* it may be off at all */
    bool sketched;           /* `distinct`: an estimate */
    tsn_duration_ms edge_ms; /* its window may begin so much earlier than asked for */
};

/* Why a value was missing (docs/SEMANTICS.md, "Reading"). */
#define TSN_CAUSE_TABLE(ROW)                                                                       \
    ROW(NONE, "")                 /* it was not missing, or nobody knows any more */               \
    ROW(ABSENT, "absent")         /* the record has no such field */                               \
    ROW(KEY, "key")               /* the event does not name the feature's entity */               \
    ROW(LATE, "late")             /* the event came too late for any window */                     \
    ROW(EMPTY, "empty")           /* there is no row to take it from */                            \
    ROW(EXPRESSION, "expression") /* a feature's expression came to nothing */
enum tsn_cause {
#define TSN_CAUSE_ENUM(id, word) TSN_CAUSE_##id,
    TSN_CAUSE_TABLE(TSN_CAUSE_ENUM)
#undef TSN_CAUSE_ENUM
        TSN_CAUSES
};

/* What one input of the rule was when it fired. */
struct tsn_evidence {
    const char *name; /* "transfer.amount", "f.calls_1h" */
    struct tsn_value value;
    enum tsn_cause cause; /* of a missing value */
    bool masked;          /* an entity field: only its last digits may leave the alert */
    struct tsn_approximation approximation;
};

/* A rule that fired in the episode. */
struct tsn_alert_hit {
    int rule;              /* TSN_NONE: the typology's score expression, no rule */
    double points;         /* weight of the rule; the score itself for a score expression */
    struct tsn_str reason; /* rendered, entity fields masked */
    struct tsn_event_ref event;
    uint32_t n_evidence;
    const struct tsn_evidence *evidence;
    bool current;         /* fired by the event that raised this alert */
    const char *for_each; /* "rung_10m": the entity is a member of this set, of which the
                             event is not; NULL: the event names it. The program's */
};

struct tsn_alert_param {
    const char *name;
    struct tsn_str value; /* already cut to its type: a digit tail or a listed word */
};

struct tsn_alert {
    int typology;
    enum tsn_level level;
    enum tsn_level level_before; /* NONE when the episode opened */
    double score;
    bool shadow;
    uint32_t revision; /* 1, 2, ... within the episode */
    int entity_kind;
    struct tsn_str entity;          /* the key itself, such as +8613909900001 */
    struct tsn_event_ref opened_by; /* gives the alert its id */
    tsn_event_ms opened_ms;         /* of the hit that opened it: a timer's is after its event */
    struct tsn_event_ref event;     /* that raised this revision */
    tsn_event_ms time_ms;           /* event time of it */
    tsn_event_ms not_before_ms;
    tsn_event_ms not_after_ms;       /* INT64_MAX: the action states no end */
    const struct tsn_action *action; /* of the level; NULL: none declared */
    struct tsn_str sms_to;           /* empty: no SMS (none asked for, no number, muted) */
    bool sms_muted;                  /* the level's cooldown holds the SMS back */
    uint32_t n_params;
    const struct tsn_alert_param *params;
    uint32_t n_hits;
    const struct tsn_alert_hit *hits; /* those in force, oldest first */
};

#endif
