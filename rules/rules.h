/* The door of rules/: pack text -> checked, typed program, and its evaluation.
 * Knows names, types and slots; not Kafka, not windows, no files, no clock. */
#ifndef TSN_RULES_RULES_H
#define TSN_RULES_RULES_H

#include "rules/expr/expr.h"
#include "rules/pack/pack.h"
#include "rules/program/program.h"

#endif
