#include "connectors/failure/failure.h"

#include <stdarg.h>
#include <stdio.h>

#include "rules/must/must.h"

static const char *const action_names[] = {
    [TSN_ACTION_NONE] = "none",           [TSN_ACTION_RETRY] = "retry",
    [TSN_ACTION_ABORT_TXN] = "abort-txn", [TSN_ACTION_RECOVER] = "recover",
    [TSN_ACTION_STAND_BY] = "stand-by",   [TSN_ACTION_CONFIG] = "config",
    [TSN_ACTION_FATAL] = "fatal",
};

bool tsn_fail(struct tsn_failure *failure, enum tsn_action action, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    failure->action = action;
    vsnprintf(failure->text, sizeof failure->text, format, args);
    va_end(args);
    return false;
}

const char *tsn_action_name(enum tsn_action action)
{
    TSN_MUST(action < sizeof action_names / sizeof action_names[0]);
    return action_names[action];
}
