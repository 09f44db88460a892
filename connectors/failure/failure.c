#include "connectors/failure/failure.h"

#include <stdarg.h>
#include <stdio.h>

#include "rules/must/must.h"

static const char *const remedy_names[] = {
    [TSN_REMEDY_NONE] = "none",           [TSN_REMEDY_RETRY] = "retry",
    [TSN_REMEDY_ABORT_TXN] = "abort-txn", [TSN_REMEDY_RECOVER] = "recover",
    [TSN_REMEDY_STAND_BY] = "stand-by",   [TSN_REMEDY_CONFIG] = "config",
    [TSN_REMEDY_FATAL] = "fatal",
};

bool tsn_fail(struct tsn_failure *failure, enum tsn_remedy remedy, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    failure->remedy = remedy;
    vsnprintf(failure->text, sizeof failure->text, format, args);
    va_end(args);
    return false;
}

const char *tsn_remedy_name(enum tsn_remedy remedy)
{
    TSN_MUST(remedy < sizeof remedy_names / sizeof remedy_names[0]);
    return remedy_names[remedy];
}
