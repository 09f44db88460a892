/* Record: events in the canonical JSON of carriers and banks.
 *
 * Field names follow 3GPP TS 32.298 and ISO 20022 in snake_case, times are ms since
 * the epoch, money is in minor units: packaging/tocsin.yaml maps exactly these.
 */
#ifndef TSN_CONNECTORS_SIMULATE_RECORD_H
#define TSN_CONNECTORS_SIMULATE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "connectors/simulate/tape.h"

struct tsn_call_record {
    const char *id; /* call reference, unique in the run */
    const char *calling;
    const char *called;
    const char *calling_country;
    const char *called_country;
    bool from_abroad; /* came in through an international gateway */
    int64_t seizure_ms;
    int64_t ring_ms;
    int64_t talk_ms;    /* 0: not answered */
    uint32_t cell;      /* 0: unknown */
    uint32_t interim_s; /* a partial record every so many seconds of talk; 0: none */
};

/* The records of one call: interim ones while it lasts, and its release. */
void tsn_record_call(struct tsn_tape *tape, const struct tsn_call_record *call);

struct tsn_message_record {
    const char *id;
    const char *from;
    const char *from_type; /* international, national, short_code, alphanumeric */
    const char *to;
    const char *content_class;
    uint64_t fingerprint; /* 0: none */
    uint32_t urls;
    bool from_abroad;
    int64_t time_ms;
};

void tsn_record_message(struct tsn_tape *tape, const struct tsn_message_record *message);

struct tsn_payment_record {
    const char *id; /* transaction id */
    const char *rail;
    const char *type;
    const char *status;
    const char *debtor; /* account, or NULL */
    const char *debtor_number;
    const char *creditor;
    const char *creditor_number;
    const char *card; /* or NULL */
    const char *merchant;
    const char *channel;
    int64_t time_ms;
    int64_t amount_minor;
    int64_t balance_minor;  /* of the debtor before; < 0: unknown */
    int64_t payee_added_ms; /* 0: unknown */
    bool payee_is_new;
    bool on_call;
};

void tsn_record_payment(struct tsn_tape *tape, const struct tsn_payment_record *payment);
/* The same payment, initiated at its time and settled settle_ms later. */
void tsn_record_transfer(struct tsn_tape *tape, struct tsn_payment_record payment,
                         int64_t settle_ms);

struct tsn_line_record {
    const char *id;
    const char *number;
    const char *what;     /* activated, sim_swapped, cf_set ... */
    const char *target;   /* of a forwarding, or NULL */
    const char *imsi_new; /* or NULL */
    int64_t time_ms;
};

void tsn_record_line(struct tsn_tape *tape, const struct tsn_line_record *line);

#endif
