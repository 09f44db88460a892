#include "connectors/simulate/life.h"

#include <math.h>
#include <stdio.h>

#include "connectors/simulate/purpose.h"
#include "connectors/simulate/record.h"

/* Dice are thrown in statements of their own: C leaves open in which order the parts
 * of one expression are evaluated, and the order of throws is the meaning of a seed. */

enum { ID_CAP = 40, DAY_MS = 86400000, LONG_TALK_MS = 240000 };

/* One line in one slice, as its makers see it. */
struct moment {
    const struct tsn_life *life;
    const struct tsn_city_line *self;
    uint32_t line;
    uint32_t slice;
    int64_t start_ms;
    double bustle;  /* 1: an average minute of the day */
    uint32_t made;  /* records so far: makes ids unique */
    bool rehearsal; /* nothing is recorded but that long talkers have spoken before */
};

static void next_id(struct moment *at, char kind, char out[ID_CAP])
{
    snprintf(out, ID_CAP, "%c%x.%x.%x", kind, at->line, at->slice, at->made++);
}

static struct tsn_dice dice_for(const struct moment *at, enum tsn_purpose purpose)
{
    return tsn_dice_new(at->life->city->seed, at->line, at->slice, (uint32_t)purpose);
}

/* How many of something that happens so often a day happen in this slice. */
static uint32_t occurrences(const struct moment *at, struct tsn_dice *dice, double per_day)
{
    return tsn_dice_poisson(dice, per_day / TSN_LIFE_SLICES_A_DAY * at->bustle);
}

static int64_t instant(const struct moment *at, struct tsn_dice *dice)
{
    return at->start_ms + tsn_dice_between(dice, 0, TSN_LIFE_SLICE_MS - 1);
}

/* ---- calls ------------------------------------------------------------------------ */

struct talk {
    double answer;  /* probability */
    double alpha_s; /* median */
    double beta;
};

static int64_t talk_ms(struct tsn_dice *dice, struct talk talk)
{
    if (!tsn_dice_chance(dice, talk.answer)) {
        return 0;
    }
    double seconds = tsn_dice_log_logistic(dice, talk.alpha_s, talk.beta, 4 * 3600.0);
    return (int64_t)(fmax(seconds, 1.0) * 1000.0);
}

/* A call inside the city; returns when it ended. */
static int64_t call_line(struct moment *at, struct tsn_dice *dice, uint32_t from, uint32_t to,
                         int64_t when_ms, int64_t talk)
{
    char id[ID_CAP];
    char calling[TSN_CITY_NUMBER_CAP];
    char called[TSN_CITY_NUMBER_CAP];
    next_id(at, 'c', id);
    tsn_city_number(from, calling);
    tsn_city_number(to, called);
    int64_t ring =
        talk > 0 ? tsn_dice_between(dice, 2000, 18000) : tsn_dice_between(dice, 4000, 35000);
    if (at->rehearsal) {
        return when_ms + ring + talk;
    }
    tsn_record_call(at->life->tape, &(struct tsn_call_record){
                                        .id = id,
                                        .calling = calling,
                                        .called = called,
                                        .calling_country = "XC",
                                        .called_country = "XC",
                                        .seizure_ms = when_ms,
                                        .ring_ms = ring,
                                        .talk_ms = talk,
                                        .cell = 1 + from % 997,
                                        .interim_s = TSN_LIFE_INTERIM_S,
                                    });
    return when_ms + ring + talk;
}

static uint32_t stranger(const struct moment *at, struct tsn_dice *dice)
{
    uint32_t n = at->life->city->n_lines;
    uint32_t other = tsn_dice_below(dice, n);
    return other == at->line ? (other + 1) % n : other;
}

/* People who know each other and talk for long have talked before: some days ago. */
static void spoke_before(const struct moment *at, uint32_t other)
{
    struct moment past = *at;
    past.rehearsal = false;
    past.slice = UINT32_MAX; /* an id of its own */
    past.made = at->slice * 64 + at->made;
    struct tsn_dice dice = dice_for(at, TSN_PURPOSE_HISTORY);
    int64_t days = tsn_dice_between(&dice, 1, 20);
    int64_t when_ms = at->life->start_ms - days * DAY_MS + tsn_dice_between(&dice, 0, DAY_MS / 4);
    call_line(&past, &dice, at->line, other, when_ms, tsn_dice_between(&dice, 20000, 240000));
}

static void one_call(struct moment *at, struct tsn_dice *dice)
{
    const struct tsn_city_line *self = at->self;
    uint32_t to;
    struct talk talk = {.answer = 0.75, .alpha_s = (double)self->talk_alpha_s, .beta = 1.6};
    bool known = false;
    switch ((enum tsn_city_kind)self->kind) {
    case TSN_CITY_COURIER:
        known = tsn_dice_chance(dice, 0.05);
        talk.answer = 0.6;
        break;
    case TSN_CITY_TELESALES:
        talk.answer = 0.28;
        break;
    case TSN_CITY_INSTITUTION:
        talk.answer = 0.55;
        break;
    default:
        known = !tsn_dice_chance(dice, 0.08);
        if (!known) {
            talk.answer = 0.28;
            talk.alpha_s = 18.0;
        }
        break;
    }
    if (known) {
        uint32_t rank = tsn_dice_rank(dice, self->n_contacts);
        to = tsn_city_contact(at->life->city, at->line, rank);
        if (rank < 2 && self->kind == TSN_CITY_ORDINARY) { /* the closest: longer talks */
            talk.alpha_s = 80.0;
            talk.beta = 1.5;
        }
    } else {
        to = stranger(at, dice);
    }
    int64_t length = talk_ms(dice, talk);
    if (at->rehearsal && known && length > LONG_TALK_MS) {
        spoke_before(at, to);
    }
    int64_t end = call_line(at, dice, at->line, to, instant(at, dice), length);
    bool calls_back = length == 0 && tsn_dice_chance(dice, known ? 0.3 : 0.05);
    if (calls_back) {
        talk.answer = 0.85;
        length = talk_ms(dice, talk);
        call_line(at, dice, to, at->line, end + tsn_dice_between(dice, 60000, 1800000), length);
    }
}

static void make_calls(struct moment *at)
{
    struct tsn_dice dice = dice_for(at, TSN_PURPOSE_CALLS);
    double rate = (double)at->self->calls_per_day;
    uint32_t n = occurrences(at, &dice, rate);
    for (uint32_t i = 0; i < n; i++) {
        one_call(at, &dice);
    }
}

/* ---- family abroad ------------------------------------------------------------------ */

static void family_call(struct moment *at, struct tsn_dice *dice, int64_t when_ms, double median_s,
                        double cap_s)
{
    char id[ID_CAP];
    char calling[TSN_CITY_NUMBER_CAP];
    char called[TSN_CITY_NUMBER_CAP];
    next_id(at, 'f', id);
    const char *country = tsn_city_number_abroad(at->life->city->seed, at->line, calling);
    tsn_city_number(at->line, called);
    double talk_s = fmin(tsn_dice_lognormal(dice, median_s, 0.45), cap_s);
    tsn_record_call(at->life->tape, &(struct tsn_call_record){
                                        .id = id,
                                        .calling = calling,
                                        .called = called,
                                        .calling_country = country,
                                        .called_country = "XC",
                                        .from_abroad = true,
                                        .seizure_ms = when_ms,
                                        .ring_ms = tsn_dice_between(dice, 3000, 15000),
                                        .talk_ms = (int64_t)(talk_s * 1000.0),
                                        .interim_s = TSN_LIFE_INTERIM_S,
                                    });
}

static void make_family_calls(struct moment *at)
{
    struct tsn_dice dice = dice_for(at, TSN_PURPOSE_FAMILY);
    if (occurrences(at, &dice, 0.8) > 0) {
        family_call(at, &dice, instant(at, &dice), 40 * 60.0, 3 * 3600.0);
    }
}

static struct moment moment_of(const struct tsn_life *life, uint32_t slice, uint32_t line)
{
    uint32_t minute = life->start_minute + slice * (TSN_LIFE_SLICE_MS / 60000);
    return (struct moment){.life = life,
                           .self = &life->city->lines[line],
                           .line = line,
                           .slice = slice,
                           .start_ms = life->start_ms + (int64_t)slice * TSN_LIFE_SLICE_MS,
                           .bustle = tsn_city_bustle(minute)};
}

void tsn_life_history(const struct tsn_life *life, uint32_t slices)
{
    for (uint32_t slice = 0; slice < slices; slice++) {
        for (uint32_t line = 0; line < life->city->n_lines; line++) {
            struct moment at = moment_of(life, slice, line);
            at.rehearsal = true;
            make_calls(&at);
        }
    }
    for (uint32_t line = 0; line < life->city->n_lines; line++) {
        if (life->city->lines[line].kind != TSN_CITY_FAMILY_ABROAD) {
            continue;
        }
        struct moment at = {.life = life,
                            .self = &life->city->lines[line],
                            .line = line,
                            .slice = UINT32_MAX,
                            .start_ms = life->start_ms};
        struct tsn_dice dice = dice_for(&at, TSN_PURPOSE_HISTORY);
        for (int days = 3; days >= 1; days--) {
            int64_t when =
                life->start_ms - (int64_t)days * DAY_MS + tsn_dice_between(&dice, 0, DAY_MS / 4);
            family_call(&at, &dice, when, 6 * 60.0, 15 * 60.0);
        }
    }
}

/* ---- messages --------------------------------------------------------------------- */

static void message(struct moment *at, struct tsn_message_record record)
{
    char id[ID_CAP];
    char to[TSN_CITY_NUMBER_CAP];
    next_id(at, 'm', id);
    tsn_city_number(at->line, to);
    record.id = id;
    record.to = to;
    tsn_record_message(at->life->tape, &record);
}

static void make_messages(struct moment *at)
{
    static const struct {
        double share;
        const char *from;
        const char *content_class;
        uint32_t urls;
    } senders[] = {
        {0.20, "106900001", "otp", 0},
        {0.15, "106900002", "bank_notice", 0},
        {0.30, "106900003", "delivery_notice", 0},
        {0.35, "106900004", "marketing", 1},
    };
    struct tsn_dice dice = dice_for(at, TSN_PURPOSE_MESSAGES);
    uint32_t n = occurrences(at, &dice, 3.0);
    for (uint32_t i = 0; i < n; i++) {
        double u = tsn_dice_unit(&dice);
        size_t which = 0;
        while (which < 3 && u >= senders[which].share) {
            u -= senders[which++].share;
        }
        /* A campaign has one text for thousands: a few hundred texts are about. */
        uint64_t text = 0x5eed0000ull + which * 1000 + tsn_dice_below(&dice, 300);
        message(at, (struct tsn_message_record){
                        .from = senders[which].from,
                        .from_type = "short_code",
                        .content_class = senders[which].content_class,
                        .fingerprint = which == 0 ? 0 : text * 0x9E3779B97F4A7C15ull,
                        .urls = senders[which].urls,
                        .time_ms = instant(at, &dice),
                    });
    }
    if (occurrences(at, &dice, 0.1) > 0) {
        char from[TSN_CITY_NUMBER_CAP];
        uint32_t rank = tsn_dice_rank(&dice, at->self->n_contacts);
        tsn_city_number(tsn_city_contact(at->life->city, at->line, rank), from);
        message(at, (struct tsn_message_record){
                        .from = from,
                        .from_type = "international",
                        .content_class = "person",
                        .time_ms = instant(at, &dice),
                    });
    }
}

/* ---- money ------------------------------------------------------------------------ */

static void purchase(struct moment *at, struct tsn_dice *dice)
{
    char id[ID_CAP];
    char account[TSN_CITY_ACCOUNT_CAP];
    char card[TSN_CITY_ACCOUNT_CAP + 4];
    char number[TSN_CITY_NUMBER_CAP];
    char merchant[16];
    next_id(at, 't', id);
    uint32_t which = tsn_dice_below(dice, at->self->n_accounts);
    tsn_city_account(at->life->city->seed, at->line, which, account);
    snprintf(card, sizeof card, "card:%s", account + 3);
    tsn_city_number(at->line, number);
    snprintf(merchant, sizeof merchant, "shop%05u", tsn_dice_below(dice, 2000));
    bool at_the_counter = tsn_dice_chance(dice, 0.7);
    int64_t when_ms = instant(at, dice);
    tsn_record_payment(at->life->tape,
                       &(struct tsn_payment_record){
                           .id = id,
                           .rail = "card",
                           .type = "card_purchase",
                           .status = "authorised",
                           .debtor = account,
                           .debtor_number = number,
                           .card = card,
                           .merchant = merchant,
                           .channel = at_the_counter ? "pos" : "ecommerce",
                           .time_ms = when_ms,
                           .amount_minor = (int64_t)tsn_dice_lognormal(dice, 3500, 0.9),
                           .balance_minor = -1,
                       });
}

struct transfer {
    uint32_t payer;
    uint32_t payee;
    double median_minor;
    double sigma;
    bool new_payee;
    int64_t when_ms;
    const char *rail;
};

static void transfer(struct moment *at, struct tsn_dice *dice, const struct transfer *what)
{
    const struct tsn_city *city = at->life->city;
    char id[ID_CAP];
    char debtor[TSN_CITY_ACCOUNT_CAP];
    char creditor[TSN_CITY_ACCOUNT_CAP];
    char debtor_number[TSN_CITY_NUMBER_CAP];
    char creditor_number[TSN_CITY_NUMBER_CAP];
    next_id(at, 't', id);
    tsn_city_account(city->seed, what->payer, 0, debtor);
    tsn_city_account(city->seed, what->payee, 0, creditor);
    tsn_city_number(what->payer, debtor_number);
    tsn_city_number(what->payee, creditor_number);
    double amount = tsn_dice_lognormal(dice, what->median_minor, what->sigma);
    double balance = amount + tsn_dice_lognormal(dice, 2000000, 1.0);
    int64_t added = what->new_payee
                        ? what->when_ms - tsn_dice_between(dice, 30000, 600000)
                        : what->when_ms - tsn_dice_between(dice, 30ll * DAY_MS, 900ll * DAY_MS);
    tsn_record_transfer(at->life->tape,
                        (struct tsn_payment_record){
                            .id = id,
                            .rail = what->rail,
                            .type = "transfer_out",
                            .debtor = debtor,
                            .debtor_number = debtor_number,
                            .creditor = creditor,
                            .creditor_number = creditor_number,
                            .channel = "mobile_app",
                            .time_ms = what->when_ms,
                            .amount_minor = (int64_t)amount,
                            .balance_minor = (int64_t)balance,
                            .payee_added_ms = added,
                            .payee_is_new = what->new_payee,
                        },
                        tsn_dice_between(dice, 20000, 90000));
}

/* A flat, a car, a wedding: often a long talk first, then much money to a new payee. */
static void large_transfer(struct moment *at, struct tsn_dice *dice)
{
    uint32_t other = stranger(at, dice);
    int64_t when = instant(at, dice);
    if (tsn_dice_chance(dice, 0.7)) {
        int64_t talk = (int64_t)(tsn_dice_lognormal(dice, 480, 0.6) * 1000.0);
        when = call_line(at, dice, other, at->line, when, talk);
        when += tsn_dice_between(dice, 300000, 2400000);
    }
    transfer(at, dice, &(struct transfer){at->line, other, 7300000, 0.8, true, when, "instant"});
}

/* Small payments from many, and once a day nearly all of it to the wholesaler. */
static void sell(struct moment *at, struct tsn_dice *dice)
{
    uint32_t n = occurrences(at, dice, 90.0);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t payer = stranger(at, dice);
        bool fresh = tsn_dice_chance(dice, 0.7);
        int64_t when_ms = instant(at, dice);
        transfer(at, dice,
                 &(struct transfer){payer, at->line, 9000, 0.7, fresh, when_ms, "wallet"});
    }
    if (occurrences(at, dice, 1.0) > 0) {
        uint32_t wholesaler = tsn_city_contact(at->life->city, at->line, 0);
        transfer(at, dice,
                 &(struct transfer){at->line, wholesaler, 600000, 0.4, false, instant(at, dice),
                                    "instant"});
    }
}

static void make_payments(struct moment *at)
{
    struct tsn_dice dice = dice_for(at, TSN_PURPOSE_MONEY);
    uint32_t n = occurrences(at, &dice, (double)at->self->purchases_per_day);
    for (uint32_t i = 0; i < n; i++) {
        purchase(at, &dice);
    }
    n = occurrences(at, &dice, 0.15 * at->self->n_accounts);
    for (uint32_t i = 0; i < n; i++) {
        bool fresh = tsn_dice_chance(&dice, 0.06);
        uint32_t rank = tsn_dice_rank(&dice, at->self->n_contacts);
        uint32_t payee =
            fresh ? stranger(at, &dice) : tsn_city_contact(at->life->city, at->line, rank);
        transfer(
            at, &dice,
            &(struct transfer){at->line, payee, 40000, 1.2, fresh, instant(at, &dice), "instant"});
    }
    if (occurrences(at, &dice, 0.3 / 365.0 * at->self->n_accounts) > 0) {
        large_transfer(at, &dice);
    }
    if (at->self->kind == TSN_CITY_SELLER) {
        sell(at, &dice);
    }
}

/* ---- the line itself ---------------------------------------------------------------- */

static void make_changes(struct moment *at)
{
    static const struct {
        const char *what;
        double per_day;
    } changes[] = {
        {"sim_swapped", 0.015 / 30}, /* a new handset, an eSIM */
        {"cf_set", 0.03 / 90},       /* voicemail, a secretary */
        {"activated", 0.01 / 30},
    };
    struct tsn_dice dice = dice_for(at, TSN_PURPOSE_LIFECYCLE);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        if (occurrences(at, &dice, changes[i].per_day) == 0) {
            continue;
        }
        char id[ID_CAP];
        char number[TSN_CITY_NUMBER_CAP];
        char target[TSN_CITY_NUMBER_CAP];
        char imsi[20];
        next_id(at, 'l', id);
        tsn_city_number(at->line, number);
        tsn_city_number(tsn_city_contact(at->life->city, at->line, 0), target);
        snprintf(imsi, sizeof imsi, "99901%010u", tsn_dice_below(&dice, 1000000000));
        tsn_record_line(at->life->tape, &(struct tsn_line_record){
                                            .id = id,
                                            .number = number,
                                            .what = changes[i].what,
                                            .target = i == 1 ? target : NULL,
                                            .imsi_new = i == 0 ? imsi : NULL,
                                            .time_ms = instant(at, &dice),
                                        });
    }
}

void tsn_life_slice(const struct tsn_life *life, uint32_t slice)
{
    for (uint32_t line = 0; line < life->city->n_lines; line++) {
        struct moment at = moment_of(life, slice, line);
        make_calls(&at);
        make_messages(&at);
        make_payments(&at);
        make_changes(&at);
        if (at.self->kind == TSN_CITY_FAMILY_ABROAD) {
            make_family_calls(&at);
        }
    }
}
