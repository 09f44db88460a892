#include "connectors/simulate/campaign.h"

#include <math.h>
#include <stdbool.h>

#include "connectors/simulate/life.h"
#include "connectors/simulate/purpose.h"
#include "connectors/simulate/record.h"

/* Dice are thrown in statements of their own: see life.c. */

enum { MINUTE_MS = 60000, HOUR_MS = 3600000, ID_CAP = 40, MULES_FROM = 9000000 };

/* One campaign while it is being made. */
struct plot {
    const struct tsn_campaigns *all;
    struct tsn_dice *dice;
    uint32_t number; /* of the campaign */
    uint32_t made;
    uint32_t victims;
    double scale; /* of delays: a short run has hasty gangs */
};

struct person {
    uint32_t line;
    char number[TSN_CITY_NUMBER_CAP];
    char account[TSN_CITY_ACCOUNT_CAP];
};

struct truth {
    const char *typology;
    const struct person *victim;
    const char *counterpart; /* caller's number, or NULL */
    const char *stage;       /* engaged, paid */
    int64_t contact_ms;
    int64_t paying_ms;           /* first transfer initiated, call back ...; 0: never */
    int64_t last_preventable_ms; /* 0: never */
    int64_t loss_minor;
};

static void tell(struct plot *plot, const struct truth *truth)
{
    FILE *out = plot->all->truth;
    fprintf(out, "{\"campaign\":\"k%u\",\"typology\":\"%s\",\"victim\":\"%s\",\"account\":\"%s\"",
            plot->number, truth->typology, truth->victim->number, truth->victim->account);
    if (truth->counterpart) {
        fprintf(out, ",\"counterpart\":\"%s\"", truth->counterpart);
    }
    fprintf(out, ",\"stage\":\"%s\",\"t_contact_ms\":%lld", truth->stage,
            (long long)truth->contact_ms);
    if (truth->paying_ms) {
        fprintf(out, ",\"t_transfer_initiated_ms\":%lld,\"t_last_preventable_ms\":%lld",
                (long long)truth->paying_ms, (long long)truth->last_preventable_ms);
    }
    fprintf(out, ",\"loss_minor\":%lld}\n", (long long)truth->loss_minor);
    plot->victims++;
}

static void next_id(struct plot *plot, char kind, char out[ID_CAP])
{
    snprintf(out, ID_CAP, "%ck%x.%x", kind, plot->number, plot->made++);
}

/* A resident like any other: whom a gang picks is nobody's fault. */
static struct person pick_resident(struct plot *plot)
{
    const struct tsn_city *city = plot->all->city;
    struct person person;
    do {
        person.line = tsn_dice_below(plot->dice, city->n_lines);
    } while (city->n_lines > 100 && city->lines[person.line].kind != TSN_CITY_ORDINARY);
    tsn_city_number(person.line, person.number);
    tsn_city_account(city->seed, person.line, 0, person.account);
    return person;
}

/* The gang's number abroad; which = 0, 1, ... */
static const char *gang_number(const struct plot *plot, uint32_t which,
                               char out[TSN_CITY_NUMBER_CAP])
{
    return tsn_city_number_abroad(plot->all->city->seed ^ 0x6a09e667f3bcc909ull,
                                  plot->number * 16 + which, out);
}

/* A mule's account: of somebody whose line is not in the city. */
static void mule_account(const struct plot *plot, uint32_t which, char out[TSN_CITY_ACCOUNT_CAP])
{
    tsn_city_account(plot->all->city->seed, MULES_FROM + plot->number * 64 + which, 0, out);
}

static int64_t within_run(const struct plot *plot, int64_t at_ms)
{
    int64_t last = plot->all->end_ms - MINUTE_MS;
    return at_ms < last ? at_ms : last;
}

/* An instant between these shares of the run. */
static int64_t instant(struct plot *plot, double from, double to)
{
    double length = (double)(plot->all->end_ms - plot->all->start_ms);
    double at = from + (to - from) * tsn_dice_unit(plot->dice);
    return plot->all->start_ms + (int64_t)(at * length);
}

/* ---- records ------------------------------------------------------------------------ */

/* Returns when it ended. A country of NULL is this one. */
static int64_t phone(struct plot *plot, const char *calling, const char *country,
                     const char *called, int64_t when_ms, int64_t ring_ms, int64_t talk_ms)
{
    char id[ID_CAP];
    next_id(plot, 'c', id);
    tsn_record_call(plot->all->tape, &(struct tsn_call_record){
                                         .id = id,
                                         .calling = calling,
                                         .called = called,
                                         .calling_country = country ? country : "XC",
                                         .called_country = "XC",
                                         .from_abroad = country != NULL,
                                         .seizure_ms = when_ms,
                                         .ring_ms = ring_ms,
                                         .talk_ms = talk_ms,
                                         .interim_s = TSN_LIFE_INTERIM_S,
                                     });
    return when_ms + ring_ms + talk_ms;
}

static void text(struct plot *plot, const char *from, const char *from_type, const char *to,
                 const char *content_class, uint64_t fingerprint, int64_t when_ms)
{
    char id[ID_CAP];
    next_id(plot, 'm', id);
    tsn_record_message(plot->all->tape, &(struct tsn_message_record){
                                            .id = id,
                                            .from = from,
                                            .from_type = from_type,
                                            .to = to,
                                            .content_class = content_class,
                                            .fingerprint = fingerprint,
                                            .urls = fingerprint ? 1 : 0,
                                            .from_abroad = from[0] == '+' && fingerprint,
                                            .time_ms = when_ms,
                                        });
}

struct payment {
    const char *debtor;
    const char *debtor_number; /* or NULL: not of this city */
    const char *creditor;
    const char *creditor_number;
    int64_t amount_minor;
    int64_t balance_minor;
    bool new_payee;
    bool on_call;
};

/* The code by SMS (to those of this city), then the transfer, settled a minute later. */
static void pay(struct plot *plot, const struct payment *what, int64_t when_ms)
{
    char id[ID_CAP];
    next_id(plot, 't', id);
    if (what->debtor_number) {
        text(plot, "106900001", "short_code", what->debtor_number, "otp", 0, when_ms - 25000);
    }
    int64_t added_ms = tsn_dice_between(plot->dice, 60000, 300000);
    int64_t settle_ms = tsn_dice_between(plot->dice, 30000, 90000);
    tsn_record_transfer(plot->all->tape,
                        (struct tsn_payment_record){
                            .id = id,
                            .rail = "instant",
                            .type = "transfer_out",
                            .debtor = what->debtor,
                            .debtor_number = what->debtor_number,
                            .creditor = what->creditor,
                            .creditor_number = what->creditor_number,
                            .channel = "mobile_app",
                            .time_ms = when_ms,
                            .amount_minor = what->amount_minor,
                            .balance_minor = what->balance_minor,
                            .payee_added_ms = what->new_payee ? when_ms - added_ms : 0,
                            .payee_is_new = what->new_payee,
                            .on_call = what->on_call,
                        },
                        settle_ms);
}

/* What came in leaves a few minutes later in pieces. */
static void launder(struct plot *plot, uint32_t mule, int64_t amount_minor, int64_t when_ms)
{
    char from[TSN_CITY_ACCOUNT_CAP];
    mule_account(plot, mule, from);
    uint32_t pieces = 2 + tsn_dice_below(plot->dice, 3);
    for (uint32_t i = 0; i < pieces; i++) {
        char to[TSN_CITY_ACCOUNT_CAP];
        mule_account(plot, 32 + mule * 4 + i, to);
        when_ms += (int64_t)(tsn_dice_lognormal(plot->dice, 3, 0.8) * MINUTE_MS);
        pay(plot,
            &(struct payment){.debtor = from,
                              .creditor = to,
                              .amount_minor = amount_minor * 95 / 100 / pieces,
                              .balance_minor = amount_minor,
                              .new_payee = true},
            within_run(plot, when_ms));
    }
}

/* ---- impersonated authority ---------------------------------------------------------- */

/* Everybody whom the gang calls in vain: no answer, or hung up at once. */
static void cold_calls(struct plot *plot, int64_t around_ms, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        char calling[TSN_CITY_NUMBER_CAP];
        const char *country = gang_number(plot, tsn_dice_below(plot->dice, 2), calling);
        struct person who = pick_resident(plot);
        int64_t when = around_ms + tsn_dice_between(plot->dice, -40 * MINUTE_MS, 60 * MINUTE_MS);
        int64_t ring = tsn_dice_between(plot->dice, 5000, 30000);
        int64_t talk =
            tsn_dice_chance(plot->dice, 0.2) ? tsn_dice_between(plot->dice, 4000, 60000) : 0;
        if (when >= plot->all->start_ms) {
            phone(plot, calling, country, who.number, when, ring, talk);
        }
    }
}

/* Payments of a victim who believes; returns the sum, and the last one's time. */
static int64_t pay_as_told(struct plot *plot, const struct person *victim, int64_t first_ms,
                           int64_t on_call_until_ms, int64_t *last_ms)
{
    uint32_t n = 1 + tsn_dice_below(plot->dice, 4);
    double total = fmin(tsn_dice_lognormal(plot->dice, 6000000, 1.0), 300000000.0);
    int64_t balance = (int64_t)(total * (1.02 + 0.2 * tsn_dice_unit(plot->dice)));
    int64_t when = first_ms;
    int64_t paid = 0;
    for (uint32_t i = 0; i < n; i++) {
        char mule[TSN_CITY_ACCOUNT_CAP];
        uint32_t which = i < 2 ? i : 1;
        mule_account(plot, which, mule);
        int64_t amount = (int64_t)(total / n);
        pay(plot,
            &(struct payment){victim->account, victim->number, mule, NULL, amount, balance - paid,
                              true, when < on_call_until_ms},
            when);
        launder(plot, which, amount, when + 4 * MINUTE_MS);
        paid += amount;
        *last_ms = when;
        when = within_run(plot, when + tsn_dice_between(plot->dice, 3, 15) * MINUTE_MS);
    }
    return paid;
}

static void plant_impersonated_authority(struct plot *plot)
{
    char first[TSN_CITY_NUMBER_CAP];
    char second[TSN_CITY_NUMBER_CAP];
    const char *first_country = gang_number(plot, 0, first);
    const char *second_country = gang_number(plot, 1, second);
    struct person victim = pick_resident(plot);
    int64_t contact = instant(plot, 0.08, 0.50);
    cold_calls(plot, contact, (uint32_t)tsn_dice_lognormal(plot->dice, 33, 0.5));

    double talk_s = tsn_dice_log_logistic(plot->dice, 2100, 2.2, 6 * 3600.0);
    int64_t talk = (int64_t)(talk_s * 1000 * fmin(1.0, plot->scale * 1.5));
    int64_t end = phone(plot, first, first_country, victim.number, contact, 8000, talk);
    if (tsn_dice_chance(plot->dice, 0.25)) { /* asks whether it is true */
        int64_t talk_enquiry = tsn_dice_between(plot->dice, 20000, 90000);
        end = phone(plot, victim.number, NULL, "114", end + 60000, 3000, talk_enquiry);
    }
    if (tsn_dice_chance(plot->dice, 0.2)) { /* asks the bank how to pay */
        int64_t talk_bank = tsn_dice_between(plot->dice, 60000, 240000);
        end = phone(plot, victim.number, NULL, "95588", end + 90000, 3000, talk_bank);
    }
    if (tsn_dice_chance(plot->dice, 0.6)) { /* handed on: "the prosecutor" */
        int64_t pause = tsn_dice_between(plot->dice, 1, 8) * MINUTE_MS;
        int64_t talk_second = tsn_dice_between(plot->dice, 6, 40) * MINUTE_MS;
        end = phone(plot, second, second_country, victim.number, end + pause, 6000, talk_second);
    }
    struct truth truth = {.typology = "impersonated_authority",
                          .victim = &victim,
                          .counterpart = first,
                          .stage = "engaged",
                          .contact_ms = contact};
    double delay_h = tsn_dice_lognormal(plot->dice, 2.0, 0.6) * plot->scale;
    int64_t transfer = contact + (int64_t)(delay_h * HOUR_MS);
    if (transfer < contact + talk * 2 / 3) {
        transfer = contact + talk * 2 / 3;
    }
    bool pays = tsn_dice_chance(plot->dice, 0.8);
    if (pays && transfer < plot->all->end_ms - 20 * MINUTE_MS) {
        truth.stage = "paid";
        truth.paying_ms = transfer;
        truth.loss_minor = pay_as_told(plot, &victim, transfer, end, &truth.last_preventable_ms);
    }
    tell(plot, &truth);
}

/* ---- wangiri ------------------------------------------------------------------------ */

static void plant_wangiri(struct plot *plot)
{
    uint32_t n_numbers = 1 + tsn_dice_below(plot->dice, 3);
    uint32_t n_targets = (uint32_t)tsn_dice_between(plot->dice, 120, 400);
    int64_t start = instant(plot, 0.05, 0.75);
    for (uint32_t i = 0; i < n_targets; i++) {
        /* One range: the numbers differ in their last digits only. */
        char calling[TSN_CITY_NUMBER_CAP];
        snprintf(calling, sizeof calling, "+3363998%02u%02u", 50 + plot->number % 50,
                 tsn_dice_below(plot->dice, n_numbers));
        struct person who = pick_resident(plot);
        int64_t when = start + tsn_dice_between(plot->dice, 0, 20 * MINUTE_MS);
        int64_t ring = tsn_dice_between(plot->dice, 800, 3800);
        int64_t missed = phone(plot, calling, "FR", who.number, when, ring, 0);
        if (!tsn_dice_chance(plot->dice, 0.03)) {
            continue;
        }
        double wait_min = tsn_dice_lognormal(plot->dice, 12, 0.8);
        int64_t back = missed + (int64_t)(wait_min * MINUTE_MS);
        int64_t talk = (int64_t)(tsn_dice_lognormal(plot->dice, 80, 0.5) * 1000);
        if (back + talk >= plot->all->end_ms) {
            continue;
        }
        phone(plot, who.number, NULL, calling, back, 2000, talk);
        tell(plot, &(struct truth){.typology = "wangiri",
                                   .victim = &who,
                                   .counterpart = calling,
                                   .stage = "paid",
                                   .contact_ms = missed,
                                   .paying_ms = back + 2000,
                                   .last_preventable_ms = back + 2000,
                                   .loss_minor = talk / 1000 * 40});
    }
}

/* ---- smishing ----------------------------------------------------------------------- */

static void plant_smishing(struct plot *plot)
{
    char sender[TSN_CITY_NUMBER_CAP];
    char desk[TSN_CITY_NUMBER_CAP];
    gang_number(plot, 2, sender);
    const char *desk_country = gang_number(plot, 3, desk);
    uint64_t fingerprint = 0xbad0000000000000ull + plot->number;
    uint32_t n = (uint32_t)tsn_dice_between(plot->dice, 150, 500);
    int64_t start = instant(plot, 0.05, 0.60);
    for (uint32_t i = 0; i < n; i++) {
        struct person who = pick_resident(plot);
        int64_t when = start + tsn_dice_between(plot->dice, 0, 9 * MINUTE_MS);
        text(plot, sender, "international", who.number, "lure_suspected", fingerprint, when);
        if (!tsn_dice_chance(plot->dice, 0.008)) {
            continue;
        }
        /* Rings the number in the text, is called back, and pays the "fee". */
        int64_t asks = when + tsn_dice_between(plot->dice, 5, 40) * MINUTE_MS;
        int64_t talk = tsn_dice_between(plot->dice, 3, 12) * MINUTE_MS;
        int64_t end = phone(plot, who.number, NULL, desk, asks, 4000, talk);
        int64_t talk_back = tsn_dice_between(plot->dice, 5, 20) * MINUTE_MS;
        end = phone(plot, desk, desk_country, who.number, end + 3 * MINUTE_MS, 4000, talk_back);
        int64_t transfer = end + tsn_dice_between(plot->dice, 2, 10) * MINUTE_MS;
        if (transfer >= plot->all->end_ms - 20 * MINUTE_MS) {
            continue;
        }
        char mule[TSN_CITY_ACCOUNT_CAP];
        mule_account(plot, 0, mule);
        int64_t amount = (int64_t)tsn_dice_lognormal(plot->dice, 800000, 0.8);
        pay(plot,
            &(struct payment){who.account, who.number, mule, NULL, amount, amount * 2, true, false},
            transfer);
        launder(plot, 0, amount, transfer + 4 * MINUTE_MS);
        tell(plot, &(struct truth){.typology = "smishing",
                                   .victim = &who,
                                   .counterpart = sender,
                                   .stage = "paid",
                                   .contact_ms = when,
                                   .paying_ms = transfer,
                                   .last_preventable_ms = transfer,
                                   .loss_minor = amount});
    }
}

/* ---- SIM swap ----------------------------------------------------------------------- */

static void plant_sim_swap(struct plot *plot)
{
    struct person victim = pick_resident(plot);
    char id[ID_CAP];
    char imsi[20];
    next_id(plot, 'l', id);
    snprintf(imsi, sizeof imsi, "99901%010u", tsn_dice_below(plot->dice, 1000000000));
    int64_t swap = instant(plot, 0.05, 0.55);
    tsn_record_line(plot->all->tape, &(struct tsn_line_record){.id = id,
                                                               .number = victim.number,
                                                               .what = "sim_swapped",
                                                               .imsi_new = imsi,
                                                               .time_ms = swap});
    double delay_h = tsn_dice_lognormal(plot->dice, 1.0, 0.5) * plot->scale;
    int64_t transfer = within_run(plot, swap + (int64_t)(delay_h * HOUR_MS) + 10 * MINUTE_MS);
    int64_t balance = (int64_t)tsn_dice_lognormal(plot->dice, 4000000, 0.8);
    uint32_t n = 1 + tsn_dice_below(plot->dice, 3);
    int64_t last = transfer;
    for (uint32_t i = 0; i < n; i++) {
        char mule[TSN_CITY_ACCOUNT_CAP];
        mule_account(plot, i, mule);
        int64_t amount = balance * 9 / 10 / n;
        last = within_run(plot, transfer + (int64_t)i * 3 * MINUTE_MS);
        pay(plot,
            &(struct payment){victim.account, victim.number, mule, NULL, amount,
                              balance - amount * i, true, false},
            last);
        launder(plot, i, amount, last + 4 * MINUTE_MS);
    }
    tell(plot, &(struct truth){.typology = "sim_swap",
                               .victim = &victim,
                               .stage = "paid",
                               .contact_ms = swap,
                               .paying_ms = transfer,
                               .last_preventable_ms = last,
                               .loss_minor = balance * 9 / 10});
}

/* ---- task rebate -------------------------------------------------------------------- */

static void plant_task_rebate(struct plot *plot)
{
    struct person victim = pick_resident(plot);
    char sender[TSN_CITY_NUMBER_CAP];
    gang_number(plot, 2, sender);
    int64_t contact = instant(plot, 0.02, 0.20);
    text(plot, sender, "international", victim.number, "lure_suspected",
         0xbad1000000000000ull + plot->number, contact);
    int64_t when = contact;
    uint32_t n_credits = 2 + tsn_dice_below(plot->dice, 3);
    for (uint32_t i = 0; i < n_credits; i++) {
        char mule[TSN_CITY_ACCOUNT_CAP];
        mule_account(plot, i, mule);
        when += (int64_t)(tsn_dice_lognormal(plot->dice, 14, 0.4) * plot->scale * MINUTE_MS);
        int64_t rebate = tsn_dice_between(plot->dice, 500, 12000);
        pay(plot,
            &(struct payment){mule, NULL, victim.account, victim.number, rebate, 1000000, true,
                              false},
            within_run(plot, when));
    }
    uint32_t n_debits = 3 + tsn_dice_below(plot->dice, 4);
    int64_t amount = tsn_dice_between(plot->dice, 10000, 50000);
    int64_t first = 0;
    int64_t lost = 0;
    for (uint32_t i = 0; i < n_debits; i++) {
        char mule[TSN_CITY_ACCOUNT_CAP];
        mule_account(plot, 8 + i % 3, mule);
        when += (int64_t)(tsn_dice_lognormal(plot->dice, 20, 0.5) * plot->scale * MINUTE_MS);
        if (when >= plot->all->end_ms - MINUTE_MS) {
            break;
        }
        pay(plot,
            &(struct payment){victim.account, victim.number, mule, NULL, amount, amount * 3, i < 3,
                              false},
            when);
        first = first ? first : when;
        lost += amount;
        amount = amount * (18 + tsn_dice_below(plot->dice, 14)) / 10;
    }
    tell(plot, &(struct truth){.typology = "task_rebate",
                               .victim = &victim,
                               .counterpart = sender,
                               .stage = first ? "paid" : "engaged",
                               .contact_ms = contact,
                               .paying_ms = first,
                               .last_preventable_ms = when,
                               .loss_minor = lost});
}

/* ---- mule --------------------------------------------------------------------------- */

/* The mule is the entity here; those who pay in are residents. */
static void plant_mule_drain(struct plot *plot)
{
    struct person mule = pick_resident(plot);
    uint32_t n = 5 + tsn_dice_below(plot->dice, 6);
    int64_t start = instant(plot, 0.10, 0.60);
    int64_t when = start;
    int64_t sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct person payer = pick_resident(plot);
        int64_t amount = tsn_dice_between(plot->dice, 3, 40) * 50000;
        when += (int64_t)(tsn_dice_lognormal(plot->dice, 8, 0.6) * plot->scale * MINUTE_MS);
        pay(plot,
            &(struct payment){payer.account, payer.number, mule.account, mule.number, amount,
                              amount * 3, true, false},
            within_run(plot, when));
        sum += amount;
    }
    int64_t drain = within_run(plot, when + tsn_dice_between(plot->dice, 4, 12) * MINUTE_MS);
    char next[TSN_CITY_ACCOUNT_CAP];
    mule_account(plot, 0, next);
    pay(plot,
        &(struct payment){mule.account, mule.number, next, NULL, sum * 92 / 100, sum, true, false},
        drain);
    tell(plot, &(struct truth){.typology = "mule_drain",
                               .victim = &mule,
                               .stage = "paid",
                               .contact_ms = start,
                               .paying_ms = drain,
                               .last_preventable_ms = drain,
                               .loss_minor = sum});
}

/* ---- the mix ------------------------------------------------------------------------ */

uint32_t tsn_campaigns_plant(const struct tsn_campaigns *campaigns, uint32_t n)
{
    static const struct {
        uint32_t weight;
        void (*plant)(struct plot *plot);
    } scripts[] = {
#define CAMPAIGN_ROW(name, weight, what) {weight, plant_##name},
        TSN_CAMPAIGN_TABLE(CAMPAIGN_ROW)
#undef CAMPAIGN_ROW
    };
    enum { N_SCRIPTS = sizeof scripts / sizeof scripts[0] };
    /* Weighted round robin: the mix is right for any n, and does not depend on the seed. */
    int64_t credit[N_SCRIPTS] = {0};
    int64_t total = 0;
    for (size_t i = 0; i < N_SCRIPTS; i++) {
        total += scripts[i].weight;
    }
    uint32_t victims = 0;
    for (uint32_t k = 0; k < n; k++) {
        size_t best = 0;
        for (size_t i = 0; i < N_SCRIPTS; i++) {
            credit[i] += scripts[i].weight;
            best = credit[i] > credit[best] ? i : best;
        }
        credit[best] -= total;
        struct tsn_dice dice = tsn_dice_new(campaigns->city->seed, k, 0, TSN_PURPOSE_CAMPAIGN);
        double hours = (double)(campaigns->end_ms - campaigns->start_ms) / HOUR_MS;
        struct plot plot = {
            .all = campaigns, .dice = &dice, .number = k, .scale = fmin(1.0, hours / 8.0)};
        scripts[best].plant(&plot);
        victims += plot.victims;
    }
    return victims;
}
