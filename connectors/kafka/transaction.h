/* The life of one transaction as a table: what happened -> what to do next.
 *
 * Pure: no Kafka, no clock. The publisher does what it is told and reports what
 * came of it; every path an error can take is a row that a test walks. Publishing
 * again is always the output already computed: the engine never sees a batch twice.
 */
#ifndef TSN_CONNECTORS_KAFKA_TRANSACTION_H
#define TSN_CONNECTORS_KAFKA_TRANSACTION_H

#include "connectors/failure/failure.h"

/* What the publisher does. It reports one event for each. */
enum tsn_txn_act {
    TSN_TXN_RENEW,     /* end the producer if there is one, make a new one */
    TSN_TXN_INIT,      /* init_transactions: ends and fences what was there before */
    TSN_TXN_READ_TAIL, /* is our sequence the newest committed manifest? */
    TSN_TXN_WAIT,      /* nothing to publish: wait for a publication */
    TSN_TXN_BEGIN,
    TSN_TXN_SEND, /* produce all messages (and offsets) */
    TSN_TXN_COMMIT,
    TSN_TXN_ABORT,
    TSN_TXN_CONFIRM,  /* tell the loop that it is committed */
    TSN_TXN_STAND_BY, /* fenced: tell the loop, do nothing more */
    TSN_TXN_STOP,     /* a person is needed: tell the loop, do nothing more */
    TSN_TXN_ACTS
};

enum tsn_txn_event {
    TSN_TXN_OK,         /* it was done */
    TSN_TXN_LACKED,     /* READ_TAIL: the tail is older: it was not committed */
    TSN_TXN_FAIL_RETRY, /* as the failure's remedy says */
    TSN_TXN_FAIL_ABORT,
    TSN_TXN_FAIL_RECOVER,
    TSN_TXN_FAIL_STAND_BY,
    TSN_TXN_FAIL_STOP,
    TSN_TXN_EVENTS
};

struct tsn_txn {
    enum tsn_txn_act act; /* what is to be done now */
    bool holding;         /* a publication is in hand, its outcome open */
    unsigned n_aborts;    /* of this publication, one after the other */
    unsigned n_retries;   /* of this act, for the back-off */
    unsigned n_renewals;  /* of this publication */
};

/* The same abortable failure this often: it will not mend by itself. */
enum { TSN_TXN_ABORTS_MAX = 3 };

/* Begins with a producer to be made. */
void tsn_txn_init(struct tsn_txn *txn);
/* A publication came (only when txn->act is WAIT). */
void tsn_txn_take(struct tsn_txn *txn);
/* txn->act had this result; sets the next act. */
void tsn_txn_step(struct tsn_txn *txn, enum tsn_txn_event event);

/* The event that a failure stands for. */
enum tsn_txn_event tsn_txn_event_of(enum tsn_remedy remedy);
/* "begin", "commit", ... for messages. */
const char *tsn_txn_act_name(enum tsn_txn_act act);

/* Back-off before the act is tried again, from its retries: 0, 50 ms, ... 2 s. */
unsigned tsn_txn_backoff_ms(const struct tsn_txn *txn);

#endif
