/* Names of a program's parts. Linear: set-up, tests and messages look names up,
 * the hot path holds indexes. */
#include "rules/program/program.h"

#include <string.h>

#include "rules/must/must.h"

int tsn_program_type(const struct tsn_program *prog, const char *name)
{
    for (int i = 0; i < prog->n_types; i++) {
        if (strcmp(prog->types[i].name, name) == 0) {
            return i;
        }
    }
    return TSN_NONE;
}

int tsn_program_feature(const struct tsn_program *prog, const char *name)
{
    for (int i = 0; i < prog->n_features; i++) {
        if (strcmp(prog->features[i].name, name) == 0) {
            return i;
        }
    }
    return TSN_NONE;
}

int tsn_program_rule(const struct tsn_program *prog, const char *id)
{
    for (int i = 0; i < prog->n_rules; i++) {
        if (strcmp(prog->rules[i].id, id) == 0) {
            return i;
        }
    }
    return TSN_NONE;
}

int tsn_program_typology(const struct tsn_program *prog, const char *id)
{
    for (int i = 0; i < prog->n_typologies; i++) {
        if (strcmp(prog->typologies[i].id, id) == 0) {
            return i;
        }
    }
    return TSN_NONE;
}

int tsn_event_type_field(const struct tsn_event_type *type, const char *name)
{
    for (int i = 0; i < type->n_fields; i++) {
        if (strcmp(type->fields[i].name, name) == 0) {
            return i;
        }
    }
    return TSN_NONE;
}

const struct tsn_fan *tsn_rule_fan(const struct tsn_rule *rule, int typology)
{
    for (int i = 0; i < rule->n_fans; i++) {
        if (rule->fans[i].typology == typology) {
            return &rule->fans[i];
        }
    }
    return NULL;
}

const char *tsn_level_name(enum tsn_level level)
{
    static const char *const names[TSN_LEVELS] = {"none", "minor", "moderate", "severe", "extreme"};
    TSN_MUST(level >= 0 && level < TSN_LEVELS);
    return names[level];
}

const char *tsn_agg_name(enum tsn_agg agg)
{
    static const char *const names[] = {"count",    "sum",   "avg",  "min",        "max", "stddev",
                                        "distinct", "first", "last", "time_since", "set", "expr"};
    TSN_MUST(agg >= 0 && (size_t)agg < sizeof names / sizeof names[0]);
    return names[agg];
}
