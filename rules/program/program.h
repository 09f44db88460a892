/* Program: a compiled pack, frozen into arrays before the hot path sees it.
 *
 * The pack compiler (rules/pack) is the only writer; the engine and the tools
 * read. Everything is named by small indexes; names stay for messages and
 * output. A program is immutable and may be shared by threads.
 *
 * Inputs of an event type's expressions, in this order:
 *   [0]                     <event>.time
 *   [1 .. n_fields - 1]     the declared fields, in pack order
 *   [n_fields .. + n_slots) features this event type reads, as slots, in pack
 *                           order (a feature read in several roles has several)
 * A batch carries the first n_fields columns; the engine fills the slots.
 */
#ifndef TSN_RULES_PROGRAM_PROGRAM_H
#define TSN_RULES_PROGRAM_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/arena/arena.h"
#include "rules/column/column.h"
#include "rules/expr/expr.h"
#include "rules/list/list.h"

enum { TSN_NONE = -1 };

/* Bounds of a pack, all checked with a message that names them. */
enum {
    TSN_TYPES_MAX = 64,   /* event types: a type is 16 bits in rows, and analysts keep few */
    TSN_FIELDS_MAX = 256, /* fields of an event type, time included */
    TSN_FEATURES_MAX = 4096,
    TSN_RULES_MAX = 16384,
    TSN_TYPOLOGIES_MAX = 1024,
    TSN_BY_MAX = 4,      /* fields that together name an entity entry */
    TSN_SET_MAX = 10000, /* members of a set: a hit may be handed out to each of them */
    TSN_SET_DEFAULT = 1000,
    TSN_EXACT_MIN = 16,          /* rows of a log that are kept one by one, ... */
    TSN_EXACT_DEFAULT = 1000000, /* ... where the pack says nothing: some tens of MB ... */
    TSN_EXACT_MAX = 1000000000,  /* ... and at most; older ones coalesce: engine/window/pane.h */
    TSN_PANE_PART = 64,          /* a pane is at most 1/64 as wide as it lies back */
};

/* Standard error of `distinct` beyond `exact_up_to`: engine/window/sketch.h. */
#define TSN_DISTINCT_ERROR 0.023

enum tsn_level {
    TSN_LEVEL_NONE,
    TSN_LEVEL_MINOR,
    TSN_LEVEL_MODERATE,
    TSN_LEVEL_SEVERE,
    TSN_LEVEL_EXTREME,
    TSN_LEVELS
};

enum tsn_mode { TSN_MODE_LIVE, TSN_MODE_SHADOW, TSN_MODE_DISABLED };

struct tsn_field {
    const char *name;
    enum tsn_rep rep; /* TIME_MS for timestamp, MONEY for money, ... */
    bool required;
    int entity_kind;      /* index into program->entity_kinds, or TSN_NONE */
    struct tsn_dict dict; /* enum */
    uint8_t scale;        /* money: digits after the point in state. A constant
                             currency gives its ISO 4217 exponent; a currency
                             field gives TSN_MONEY_SCALE_ANY */
    const char *currency; /* money: constant currency, or NULL */
    int currency_field;   /* money: field that holds it, or TSN_NONE */
};

/* Large enough for every ISO 4217 currency: sums over mixed exponents stay integer. */
enum { TSN_MONEY_SCALE_ANY = 4 };

/* A feature value as one event type reads it. */
struct tsn_slot {
    int feature;
    const char *role;   /* "as_payer", or NULL */
    const char *name;   /* "calls_1h" or "calls_1h.as_payer": header of exports */
    int by[TSN_BY_MAX]; /* fields of this event type that name the entity; the
                           feature's n_by of them. Unused for expr features */
    bool is_writer;     /* this event type also writes the feature */
};

struct tsn_event_type {
    const char *name;
    int n_fields;
    const struct tsn_field *fields; /* [0] is time */
    int id_field;                   /* what duplicates are told by, or TSN_NONE */
    int n_slots;
    const struct tsn_slot *slots;
    int n_rules;
    const int *rules;           /* indexes of the rules on this type, pack order */
    struct tsn_expr_set *exprs; /* frozen */
};

enum tsn_agg {
    TSN_AGG_COUNT,
    TSN_AGG_SUM,
    TSN_AGG_AVG,
    TSN_AGG_MIN,
    TSN_AGG_MAX,
    TSN_AGG_STDDEV,
    TSN_AGG_DISTINCT,
    TSN_AGG_FIRST,
    TSN_AGG_LAST,
    TSN_AGG_TIME_SINCE,
    TSN_AGG_SET, /* read as its size; its members are for `for_each` */
    TSN_AGGS,
    TSN_AGG_EXPR = TSN_AGGS /* no state: a typed expression */
};

struct tsn_feature {
    const char *name;
    enum tsn_agg agg;
    int event; /* the type that writes; for EXPR the type it is on */
    int field; /* aggregated field of the writing type, or TSN_NONE */
    int n_by;
    int by[TSN_BY_MAX]; /* fields of the writing type */
    int entity_kind;    /* of by[0] */
    uint32_t where;     /* expression of the writing type, or TSN_EXPR_NONE */
    uint32_t expr;      /* TSN_AGG_EXPR */
    tsn_duration_ms window_ms;
    tsn_duration_ms delay_ms;
    bool exclude_current;
    bool at_seen;
    uint64_t max_keys;    /* n_by > 1: entries kept under one first field; else 0 */
    uint64_t exact_up_to; /* rows kept one by one; 0: TSN_EXACT_DEFAULT */
    uint16_t max_members; /* set: the newest so many values; else 0 */
    int level;            /* 0: where reads no feature; else 1 + the largest level
                             among features that where or expr reads. Features of a
                             level can be computed together, levels in order */
    enum tsn_rep rep;     /* of its value: INT count distinct set; DOUBLE avg stddev;
                             DURATION_MS time_since; the field's for the rest */
    uint8_t scale;
    const struct tsn_dict *dict;
    uint64_t identity;    /* hash of event, where, by, aggregate, window ...: same
                             identity, same state across packs */
    const char *sentence; /* "distinct callee of call by caller where ... last 1h" */
};

/* A piece of a reason: literal text, or an expression rendered after it. */
struct tsn_reason_part {
    struct tsn_str text;
    uint32_t expr;  /* TSN_EXPR_NONE at the end */
    bool masked;    /* an entity field: rendered as its last digits */
    uint32_t input; /* the input when the expression is a bare name, else UINT32_MAX */
};

struct tsn_list_write {
    int list;
    int field; /* of the rule's event type: the value added */
};

/* `for_each`: what happens to every member of a set that the rule's event reads. */
struct tsn_fan {
    int slot;     /* of the rule's event type: the set */
    int list;     /* the list that gets the members, or TSN_NONE */
    int typology; /* in which the rule's hit counts on the members, and not on an entity
                     of the event; or TSN_NONE */
};

struct tsn_exception {
    const char *name;
    uint32_t expr;         /* true: the rule does not fire */
    tsn_event_ms until_ms; /* after this event time it is void; INT64_MAX none */
};

struct tsn_rule {
    const char *id;
    int event;
    enum tsn_mode mode;
    uint32_t when;
    const char *when_text;
    bool reads_written_list; /* row by row: sees lists that rules write */
    int n_exceptions;
    const struct tsn_exception *exceptions;
    int n_reason;
    const struct tsn_reason_part *reason;
    int n_writes;
    const struct tsn_list_write *writes;
    int n_fans;
    const struct tsn_fan *fans; /* in the order of `do` */
    tsn_event_ms from_ms;       /* INT64_MIN, INT64_MAX: always in force */
    tsn_event_ms until_ms;
    tsn_duration_ms after_ms; /* timer rule: fires this long after; 0: at once */
    uint32_t unless;          /* timer rule: ... unless an event of unless_event with the
                                 same entity made this true meanwhile */
    int unless_event;
    int timer_by;         /* timer rule: field that names the entity, on `event` */
    int unless_by;        /* ... and on unless_event */
    uint64_t version;     /* hash of what the rule says */
    const char *severity; /* for people, as written; or NULL */
    const char *owner;    /* or NULL */
    int n_tags;
    const char *const *tags;
};

struct tsn_template_param {
    const char *name;
    bool tail; /* digits: the last `digits` of the value; else a closed list */
    uint8_t digits;
    int n_values;
    const char *const *values;
    const char *fallback; /* shown when nothing fills it; NULL: then no SMS is sent */
};

struct tsn_template_text {
    const char *language; /* BCP 47 */
    const char *text;     /* with {param} */
};

struct tsn_template {
    const char *id;
    int version;
    int n_params;
    const struct tsn_template_param *params;
    int n_texts;
    const struct tsn_template_text *texts;
};

struct tsn_sms_action {
    int template_; /* index, or TSN_NONE: no SMS */
    bool to_entity;
    int *to_field;     /* [n_types] field of each event type under entity, when !to_entity */
    int **param_field; /* [n_params][n_types] input of the event type that fills it: a
                          field, or from n_fields on a slot (the number that a last(...)
                          remembers); TSN_NONE: the fallback is shown */
};

struct tsn_action {
    bool present;
    struct tsn_sms_action sms;
    const char *queue;    /* or NULL */
    const char *decision; /* or NULL */
    tsn_duration_ms cooldown_ms;
    tsn_duration_ms valid_for_ms; /* not-after = event time + this */
};

struct tsn_weight {
    int rule;
    double points;
};

struct tsn_typology {
    const char *id;
    const char *title;
    enum tsn_mode mode;
    int entity_kind;
    const int *entity_field; /* [n_types]: field of each event type, or TSN_NONE */
    int n_weights;
    const struct tsn_weight *weights; /* by rule index */
    const uint32_t *score; /* [n_types]: score expression, or NULL when weights are used */
    tsn_duration_ms sum_over_ms;
    bool repeat_sum;
    double thresholds[TSN_LEVELS]; /* INFINITY where a level is absent; [NONE] unused */
    struct tsn_action actions[TSN_LEVELS];
    uint64_t version;
};

struct tsn_list_decl {
    const char *name;
    enum tsn_type of;
    tsn_duration_ms ttl_ms; /* entries added by rules; 0: forever */
    uint64_t max;
    bool written;  /* some rule adds to it */
    bool prefixes; /* entries are prefixes: the expressions that ask know it already */
    const struct tsn_list *initial;
    uint64_t version; /* hash of the contents */
};

struct tsn_program {
    const char *pack; /* name */
    int64_t version;  /* the author's number */
    uint8_t hash[32]; /* of the canonical pack and its list files */
    const char *timezone;
    enum tsn_mode mode; /* a whole pack in shadow */
    int n_types;
    const struct tsn_event_type *types;
    int n_entity_kinds;
    const char *const *entity_kinds;
    int n_lists;
    const struct tsn_list_decl *lists;
    int n_features;
    const struct tsn_feature *features;
    int n_rules;
    const struct tsn_rule *rules;
    int n_typologies;
    const struct tsn_typology *typologies;
    int n_templates;
    const struct tsn_template *templates;
    int max_level;           /* largest feature level */
    struct tsn_arena memory; /* holds all of the above but expression sets and lists */
};

/* Index by name, or TSN_NONE. O(n): for set-up and tests. */
int tsn_program_type(const struct tsn_program *prog, const char *name);
int tsn_program_feature(const struct tsn_program *prog, const char *name);
int tsn_program_rule(const struct tsn_program *prog, const char *id);
int tsn_program_typology(const struct tsn_program *prog, const char *id);
int tsn_event_type_field(const struct tsn_event_type *type, const char *name);

/* The rule's fan into a typology, or NULL: then its hits there are on the event's own
 * entity. */
const struct tsn_fan *tsn_rule_fan(const struct tsn_rule *rule, int typology);

/* "minor" ... ; "none" for TSN_LEVEL_NONE. */
const char *tsn_level_name(enum tsn_level level);
/* "count" ... "time_since", "expr". */
const char *tsn_agg_name(enum tsn_agg agg);

/* Releases a program made by the pack compiler, with everything in it. */
void tsn_program_free(struct tsn_program *prog);

#endif
