/* Failure: an operating error and what its caller must do about it.
 *
 * Three kinds of wrong are never mixed: a bug trips TSN_MUST; bad input becomes a
 * counted reject; what the outside world does to us - a broker away, a wrong
 * password, a fenced producer - becomes a struct tsn_failure. Callers switch on
 * the remedy, people read the text. Each library's errors are translated to it in
 * one function of that library's room.
 */
#ifndef TSN_CONNECTORS_FAILURE_FAILURE_H
#define TSN_CONNECTORS_FAILURE_FAILURE_H

#include <stdbool.h>
#include <stddef.h>

enum tsn_remedy {
    TSN_REMEDY_NONE,      /* no failure */
    TSN_REMEDY_RETRY,     /* the same call may succeed later: back off and repeat */
    TSN_REMEDY_ABORT_TXN, /* abort the transaction, publish the same output again */
    TSN_REMEDY_RECOVER,   /* outcome unknown: new producer, read the manifest tail */
    TSN_REMEDY_STAND_BY,  /* fenced: somebody else leads; drop state, follow */
    TSN_REMEDY_CONFIG,    /* only a person can mend it: stop with the remedy */
    TSN_REMEDY_FATAL,     /* cannot go on; a restart may */
};

struct tsn_failure {
    enum tsn_remedy remedy;
    char text[480]; /* where, what, why, what to do; no key material, no numbers of people */
};

/* Exit codes of the binary; documented in the README. */
enum tsn_exit {
    TSN_EXIT_OK = 0,
    TSN_EXIT_FOUND = 1,       /* check, test: errors were found */
    TSN_EXIT_USAGE = 2,       /* wrong arguments */
    TSN_EXIT_CONFIG = 3,      /* configuration or pack refused */
    TSN_EXIT_UNAVAILABLE = 4, /* a server stayed away longer than allowed */
    TSN_EXIT_REFUSED = 5,     /* state, log or topics do not fit: needs a person */
    TSN_EXIT_FATAL = 6,       /* went wrong at run time; a restart may help */
    TSN_EXIT_FENCED = 7,      /* run --when-fenced exit: another instance leads now */
};

/* Fills *failure; returns false, so that `return tsn_fail(...)` reads well. */
bool tsn_fail(struct tsn_failure *failure, enum tsn_remedy remedy, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "retry", "abort-txn", ... for logs and metrics. */
const char *tsn_remedy_name(enum tsn_remedy remedy);

#endif
