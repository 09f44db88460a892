#include "connectors/kafka/transaction.h"

#include <stddef.h>

#include "rules/must/must.h"

/* Rows: the act; columns: its result; cells: the next act. RETRY in a row that may
 * have reached the broker (COMMIT) counts as an unknown outcome: a later EndTxn of
 * the same producer could be applied to the transaction after it, so the producer
 * is given up, initialising settles the old transaction, and the tail of the
 * manifest topic tells how it was settled. */
static const unsigned char next[TSN_TXN_ACTS][TSN_TXN_EVENTS] = {
#define ROW(act, ok, lacked, retry, abort, recover, standby, stop)                                 \
    [TSN_TXN_##act] = {TSN_TXN_##ok,      TSN_TXN_##lacked,  TSN_TXN_##retry, TSN_TXN_##abort,     \
                       TSN_TXN_##recover, TSN_TXN_##standby, TSN_TXN_##stop}
    /*  act        ok         lacked     retry      abort      recover    stand by   stop */
    ROW(RENEW, INIT, STOP, RENEW, RENEW, RENEW, STAND_BY, STOP),
    ROW(INIT, READ_TAIL, STOP, INIT, RENEW, RENEW, STAND_BY, STOP),
    ROW(READ_TAIL, CONFIRM, BEGIN, READ_TAIL, READ_TAIL, READ_TAIL, STAND_BY, STOP),
    ROW(WAIT, BEGIN, STOP, WAIT, WAIT, WAIT, STAND_BY, STOP),
    ROW(BEGIN, SEND, STOP, BEGIN, ABORT, RENEW, STAND_BY, STOP),
    ROW(SEND, COMMIT, STOP, ABORT, ABORT, RENEW, STAND_BY, ABORT),
    ROW(COMMIT, CONFIRM, STOP, RENEW, ABORT, RENEW, STAND_BY, RENEW),
    ROW(ABORT, BEGIN, STOP, RENEW, RENEW, RENEW, STAND_BY, RENEW),
    ROW(CONFIRM, WAIT, STOP, WAIT, WAIT, WAIT, STAND_BY, STOP),
    ROW(STAND_BY, STAND_BY, STAND_BY, STAND_BY, STAND_BY, STAND_BY, STAND_BY, STAND_BY),
    ROW(STOP, STOP, STOP, STOP, STOP, STOP, STOP, STOP),
#undef ROW
};

void tsn_txn_init(struct tsn_txn *txn)
{
    *txn = (struct tsn_txn){.act = TSN_TXN_RENEW};
}

void tsn_txn_take(struct tsn_txn *txn)
{
    TSN_MUST(txn->act == TSN_TXN_WAIT && !txn->holding);
    *txn = (struct tsn_txn){.act = TSN_TXN_BEGIN, .holding = true};
}

void tsn_txn_step(struct tsn_txn *txn, enum tsn_txn_event event)
{
    TSN_MUST(event < TSN_TXN_EVENTS && txn->act < TSN_TXN_ACTS);
    enum tsn_txn_act before = txn->act;
    enum tsn_txn_act act = (enum tsn_txn_act)next[before][event];
    if (act == TSN_TXN_READ_TAIL && before == TSN_TXN_INIT && !txn->holding) {
        act = TSN_TXN_WAIT; /* nothing was under way: no outcome to look up */
    }
    bool refused = act == TSN_TXN_ABORT || (act == TSN_TXN_RENEW && event == TSN_TXN_FAIL_STOP);
    if (refused && ++txn->n_aborts >= TSN_TXN_ABORTS_MAX) {
        act = TSN_TXN_STOP; /* whoever initialises next aborts it */
    }
    if (act == TSN_TXN_RENEW && before != TSN_TXN_RENEW) {
        txn->n_renewals++;
    }
    if (before == TSN_TXN_CONFIRM) {
        txn->holding = false;
        txn->n_aborts = 0;
        txn->n_renewals = 0;
    }
    txn->n_retries = act == before ? txn->n_retries + 1 : 0;
    txn->act = act;
}

enum tsn_txn_event tsn_txn_event_of(enum tsn_remedy remedy)
{
    switch (remedy) {
    case TSN_REMEDY_NONE:
        return TSN_TXN_OK;
    case TSN_REMEDY_RETRY:
        return TSN_TXN_FAIL_RETRY;
    case TSN_REMEDY_ABORT_TXN:
        return TSN_TXN_FAIL_ABORT;
    case TSN_REMEDY_RECOVER:
    case TSN_REMEDY_FATAL:
        return TSN_TXN_FAIL_RECOVER;
    case TSN_REMEDY_STAND_BY:
        return TSN_TXN_FAIL_STAND_BY;
    case TSN_REMEDY_CONFIG:
        return TSN_TXN_FAIL_STOP;
    }
    return TSN_TXN_FAIL_STOP;
}

const char *tsn_txn_act_name(enum tsn_txn_act act)
{
    static const char *const names[TSN_TXN_ACTS] = {
        [TSN_TXN_RENEW] = "make a producer",
        [TSN_TXN_INIT] = "initialise the transactional id",
        [TSN_TXN_READ_TAIL] = "read the newest manifest",
        [TSN_TXN_WAIT] = "wait",
        [TSN_TXN_BEGIN] = "begin a transaction",
        [TSN_TXN_SEND] = "produce",
        [TSN_TXN_COMMIT] = "commit a transaction",
        [TSN_TXN_ABORT] = "abort a transaction",
        [TSN_TXN_CONFIRM] = "confirm",
        [TSN_TXN_STAND_BY] = "stand by",
        [TSN_TXN_STOP] = "stop",
    };
    TSN_MUST(act < TSN_TXN_ACTS);
    return names[act];
}

unsigned tsn_txn_backoff_ms(const struct tsn_txn *txn)
{
    if (txn->n_retries == 0 && txn->n_renewals < 2) {
        return 0;
    }
    unsigned n = txn->n_retries > txn->n_renewals ? txn->n_retries : txn->n_renewals;
    unsigned ms = 50u << (n < 6 ? n - 1 : 5);
    return ms > 2000 ? 2000 : ms;
}
