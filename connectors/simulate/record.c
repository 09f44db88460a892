#include "connectors/simulate/record.h"

#include <stdarg.h>
#include <string.h>

#include "rules/must/must.h"

enum { RECORD_CAP = 2048 };

struct text {
    char bytes[RECORD_CAP];
    size_t len;
};

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text->bytes + text->len, RECORD_CAP - text->len, format, args);
    va_end(args);
    TSN_MUST(len >= 0 && text->len + (size_t)len < RECORD_CAP);
    text->len += (size_t)len;
}

/* ,"name":"value" unless there is none. No value of ours needs escaping. */
static void add_text(struct text *text, const char *name, const char *value)
{
    if (value) {
        add(text, ",\"%s\":\"%s\"", name, value);
    }
}

static void add_time(struct text *text, const char *name, int64_t ms)
{
    add(text, ",\"%s\":%lld", name, (long long)ms);
}

/* ---- calls ------------------------------------------------------------------------ */

static void open_call(struct text *text, const struct tsn_call_record *call, const char *suffix,
                      const char *phase, int64_t event_ms)
{
    text->len = 0;
    add(text, "{\"v\":1,\"kind\":\"call\",\"event_id\":\"%s%s\"", call->id, suffix);
    add_text(text, "source", call->from_abroad ? "igw01" : "msc01");
    add_text(text, "record_type", call->from_abroad ? "inc_gw" : "moc");
    add_text(text, "phase", phase);
    add_text(text, "call_reference", call->id);
    add_time(text, "event_time_ms", event_ms);
    add_time(text, "seizure_time_ms", call->seizure_ms);
}

static void close_call(struct text *text, const struct tsn_call_record *call)
{
    add(text, ",\"ring_duration_s\":%lld", (long long)(call->ring_ms / 1000));
    add_text(text, "calling_number", call->calling);
    add_text(text, "calling_type", call->calling[0] == '+' ? "international" : "short_code");
    add_text(text, "called_number", call->called);
    add_text(text, "called_type", call->called[0] == '+' ? "international" : "short_code");
    add_text(text, "calling_country", call->calling_country);
    add_text(text, "called_country", call->called_country);
    add_text(text, "ingress", call->from_abroad ? "international" : "national");
    if (call->cell) {
        add(text, ",\"location\":{\"mcc\":\"999\",\"mnc\":\"01\",\"cell_id\":%u}", call->cell);
    }
}

void tsn_record_call(struct tsn_tape *tape, const struct tsn_call_record *call)
{
    struct text text;
    int64_t answer_ms = call->seizure_ms + call->ring_ms;
    int64_t release_ms = answer_ms + call->talk_ms;
    uint32_t sequence = 0;
    int64_t step_ms = (int64_t)call->interim_s * 1000;
    for (int64_t at = step_ms; step_ms > 0 && at < call->talk_ms; at += step_ms) {
        char suffix[16];
        snprintf(suffix, sizeof suffix, "-p%u", sequence + 1);
        open_call(&text, call, suffix, "interim", answer_ms + at);
        add_time(&text, "answer_time_ms", answer_ms);
        add(&text, ",\"sequence_number\":%u,\"call_duration_s\":%lld", sequence,
            (long long)(at / 1000));
        add_text(&text, "cause_for_term", "partial");
        close_call(&text, call);
        tsn_tape_add(tape, TSN_TAPE_CALLS, answer_ms + at, text.bytes, text.len);
        sequence++;
    }
    open_call(&text, call, "", "release", release_ms);
    if (call->talk_ms > 0) {
        add_time(&text, "answer_time_ms", answer_ms);
        add(&text, ",\"sequence_number\":%u,\"call_duration_s\":%lld", sequence,
            (long long)(call->talk_ms / 1000));
    }
    add_time(&text, "release_time_ms", release_ms);
    add_text(&text, "cause_for_term", call->talk_ms > 0 ? "normal" : "unsuccessful");
    add(&text, ",\"release_cause\":%d", call->talk_ms > 0 ? 16 : 19);
    close_call(&text, call);
    tsn_tape_add(tape, TSN_TAPE_CALLS, release_ms, text.bytes, text.len);
}

/* ---- messages --------------------------------------------------------------------- */

void tsn_record_message(struct tsn_tape *tape, const struct tsn_message_record *message)
{
    struct text text = {.len = 0};
    bool person = strcmp(message->content_class, "person") == 0;
    add(&text, "{\"v\":1,\"kind\":\"sms\",\"event_id\":\"%s\"", message->id);
    add_text(&text, "source", "smsc1");
    add_text(&text, "record_type", person ? "sms_mo" : "a2p_mt");
    add_text(&text, "message_reference", message->id);
    add_time(&text, "event_time_ms", message->time_ms);
    add_text(&text, "originating_address", message->from);
    add_text(&text, "originating_type", message->from_type);
    add_text(&text, "destination_number", message->to);
    add_text(&text, "sms_result", "ok");
    add(&text, ",\"segments\":1,\"url_count\":%u", message->urls);
    add_text(&text, "content_class", message->content_class);
    if (message->fingerprint) {
        add(&text, ",\"content_fingerprint\":\"%016llx\"",
            (unsigned long long)message->fingerprint);
    }
    add_text(&text, "ingress", message->from_abroad ? "international" : "national");
    tsn_tape_add(tape, TSN_TAPE_MESSAGES, message->time_ms, text.bytes, text.len);
}

/* ---- money ------------------------------------------------------------------------ */

void tsn_record_payment(struct tsn_tape *tape, const struct tsn_payment_record *payment)
{
    struct text text = {.len = 0};
    add(&text, "{\"v\":1,\"kind\":\"transaction\",\"event_id\":\"%s-%c\"", payment->id,
        payment->status[0]);
    add_text(&text, "source", "bank01");
    add_text(&text, "transaction_id", payment->id);
    add_text(&text, "rail", payment->rail);
    add_text(&text, "type", payment->type);
    add_text(&text, "status", payment->status);
    add_time(&text, "event_time_ms", payment->time_ms);
    add(&text, ",\"amount_minor\":%lld,\"currency\":\"CNY\"", (long long)payment->amount_minor);
    add_text(&text, "debtor_account", payment->debtor);
    add_text(&text, "debtor_msisdn", payment->debtor_number);
    add_text(&text, "creditor_account", payment->creditor);
    add_text(&text, "creditor_msisdn", payment->creditor_number);
    add_text(&text, "card_ref", payment->card);
    add_text(&text, "merchant_id", payment->merchant);
    add_text(&text, "channel", payment->channel);
    if (payment->creditor && !payment->merchant) {
        add(&text, ",\"payee_is_new\":%s", payment->payee_is_new ? "true" : "false");
        if (payment->payee_added_ms) {
            add_time(&text, "payee_added_ms", payment->payee_added_ms);
        }
        add(&text, ",\"session_on_call\":%s", payment->on_call ? "true" : "false");
    }
    if (payment->balance_minor >= 0) {
        add(&text, ",\"debtor_balance_before_minor\":%lld", (long long)payment->balance_minor);
    }
    tsn_tape_add(tape, TSN_TAPE_PAYMENTS, payment->time_ms, text.bytes, text.len);
}

void tsn_record_transfer(struct tsn_tape *tape, struct tsn_payment_record payment,
                         int64_t settle_ms)
{
    payment.status = "initiated";
    tsn_record_payment(tape, &payment);
    payment.status = "settled";
    payment.time_ms += settle_ms;
    tsn_record_payment(tape, &payment);
}

/* ---- lines ------------------------------------------------------------------------ */

void tsn_record_line(struct tsn_tape *tape, const struct tsn_line_record *line)
{
    struct text text = {.len = 0};
    add(&text, "{\"v\":1,\"kind\":\"line\",\"event_id\":\"%s\"", line->id);
    add_text(&text, "source", "crm01");
    add_time(&text, "event_time_ms", line->time_ms);
    add_text(&text, "msisdn", line->number);
    add_text(&text, "what", line->what);
    add_text(&text, "imsi_new", line->imsi_new);
    add_text(&text, "target_number", line->target);
    tsn_tape_add(tape, TSN_TAPE_LINES, line->time_ms, text.bytes, text.len);
}
