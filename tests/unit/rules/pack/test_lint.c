/* Lints: what `tocsin check` warns of, where, and what it leaves alone. In a pack `@`
 * marks where the warning must stand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/pack/pack.h"

static const char head[] =
    "pack: lint\n"
    "timezone: Europe/Dublin\n"
    "events:\n"
    "  pay:\n"
    "    fields:\n"
    "      payer: { type: string, required: true, entity: account }\n"
    "      payee: { type: string, entity: account }\n"
    "      amount: { type: money, currency: CNY, required: true }\n"
    "      balance: { type: money, currency: CNY }\n"
    "      channel: { type: enum, values: [app, web] }\n"
    "      n: { type: int, required: true }\n"
    "      m: { type: int }\n"
    "      fresh: { type: bool }\n"
    "      took: { type: duration }\n"
    "lists:\n"
    "  known: { of: string, values: [A1] }\n"
    "  heads: { of: string, match: prefix, values: [A1] }\n"
    "  met: { of: string, ttl: 1d, max: 9 }\n"
    "features:\n"
    "  - { name: paid, event: pay, aggregate: count, by: payer, window: 1d }\n"
    "  - { name: sum, event: pay, aggregate: sum(amount), by: payer, window: 1d }\n"
    "  - { name: mean, event: pay, aggregate: avg(amount), by: payer, window: 1d }\n"
    "  - { name: last_to, event: pay, aggregate: last(channel), by: payer, window: 1d }\n"
    "  - { name: since, event: pay, aggregate: time_since, by: payer, window: 1d }\n"
    "  - { name: quiet, event: pay, expr: 'f.paid == 0' }\n"
    "  - { name: dear, event: pay, expr: 'pay.amount > f.mean' }\n";

#define RULE "rules:\n  - { id: r, event: pay, reason: x, when: '"
#define END "' }\n"

struct finding {
    const char *pack; /* what follows the head, with @ */
    const char *message;
};

static const struct finding flips[] = {
    {RULE "pay.channel @!= \"app\"" END, "'pay.channel' may be missing: this is then missing too"},
    {RULE "!(@pay.fresh)" END, "'pay.fresh' may be missing"},
    {RULE "!(pay.payee @in lists.known)" END, "'pay.payee' may be missing"},
    {RULE "!(pay.payee @in lists.heads)" END, "'pay.payee' may be missing"},
    {RULE "!(pay.payee @in [\"a\", \"b\"])" END, "'pay.payee' may be missing"},
    {RULE "!pay.payee.startsWith@(\"A\")" END, "'pay.payee' may be missing"},
    {RULE "pay.m @== 0" END, "'pay.m' may be missing"},
    {RULE "pay.m @< 5" END, "'pay.m' may be missing"},
    {RULE "5 @> pay.m" END, "'pay.m' may be missing"},
    {RULE "!(pay.m @>= 5)" END, "'pay.m' may be missing"},
    {RULE "pay.balance @<= 5.5" END, "'pay.balance' may be missing"},
    {RULE "pay.took @< duration(\"4s\")" END, "'pay.took' may be missing"},
    {RULE "pay.payee @== \"\"" END, "'pay.payee' may be missing"},
    {RULE "pay.payee @!= pay.payer" END, "'pay.payee' may be missing"},
    {RULE "!(pay.amount @> 2 * f.mean)" END, "'f.mean' may be missing"},
    {RULE "pay.n > 3 && (pay.n > 9 || pay.channel @!= \"app\")" END, "'pay.channel' may be"},
    {RULE "!(pay.n > 3 || pay.channel @== \"app\")" END, "'pay.channel' may be missing"},
    {RULE "has(pay.m) && pay.channel @!= \"app\"" END, "'pay.channel' may be missing"},
    {RULE "f.since @> duration(\"30m\")" END, "'f.since' is missing if there was none"},
    {RULE "!(f.since @< duration(\"30m\"))" END, "'f.since' is missing if there was none"},
    {RULE "f.last_to @!= \"app\"" END, "'f.last_to' may be missing"},
    {RULE "!(@f.dear)" END, "'f.dear' may be missing"},
    {RULE "pay.n > 3"
          "\n      && pay.channel @!= \"app\"" END,
     "'pay.channel' may be missing"},
    {"features:\n  - { name: w, event: pay, aggregate: count, by: payer, window: 1d, "
     "where: 'pay.channel @!= \"app\"' }\n",
     "'pay.channel' may be missing"},
    {"rules:\n  - id: r\n    event: pay\n    reason: x\n    when: 'pay.n > 3'\n    exceptions:\n"
     "      - { name: a, until: 2030-01-01, fields: payer, values: [A1] }\n"
     "      - { name: b, until: 2030-01-01, when: 'pay.channel @!= \"app\"' }\n",
     "'pay.channel' may be missing"},
    {"rules:\n  - id: r\n    event: pay\n    reason: x\n    when: 'pay.n > 3'\n    after: 1m\n"
     "    by: payer\n    unless: { when: \"pay.channel @!= \\\"app\\\"\" }\n",
     "'pay.channel' may be missing"},
};

static const struct finding divisions[] = {
    {RULE "pay.amount @/ f.mean > 2" END, "the divisor may be 0"},
    {RULE "pay.amount @/ f.sum > 0.5" END, "the divisor may be 0"},
    {RULE "pay.amount @/ f.paid > 2" END, "the divisor may be 0"},
    {RULE "pay.n > 3 && pay.amount @/ (f.mean - 1.0) > 2" END, "the divisor may be 0"},
    {RULE "f.sum > -1 && pay.amount @/ f.sum > 2" END, "the divisor may be 0"},
    {RULE "f.sum > 0 || pay.amount @/ f.sum > 2" END, "the divisor may be 0"},
    {RULE "f.sum == 0 ? pay.amount @/ f.sum > 2 : true" END, "the divisor may be 0"},
    {RULE "f.paid @/ pay.n > 2" END, "an int divided by an int drops the fraction"},
    {RULE "f.paid @/ 2 > 0.5" END, "an int divided by an int drops the fraction"},
    {RULE "f.paid @/ 2 + 0.5 > 3" END, "an int divided by an int drops the fraction"},
    {"features:\n  - { name: ratio, event: pay, expr: 'f.sum @/ f.mean' }\n", "may be 0"},
    {"typologies:\n  - id: t\n    entity: { pay: payer }\n    sum_over: 1d\n"
     "    score: 'pay.amount @/ f.mean'\n    thresholds: { severe: 2 }\n",
     "the divisor may be 0"},
};

static const struct finding exclusions[] = {
    {RULE "pay.n > 5 && pay.n @< 3" END, "never true together with another part"},
    {RULE "pay.n > 3 && pay.n @< 4" END, "never true together with another part"},
    {RULE "pay.amount >= 5.0 && pay.n > 1 && pay.amount @< 5" END, "never true together"},
    {RULE "pay.payer == \"a\" && pay.payer @== \"b\"" END, "never true together"},
    {RULE "pay.payer in [\"a\", \"b\"] && pay.payer @in [\"c\"]" END, "never true together"},
    {RULE "pay.n == 3 && (pay.amount > 1 && pay.n @in [4, 5])" END, "never true together"},
    {RULE "f.quiet && @!f.quiet" END, "never true together"},
};

static const struct finding constants[] = {
    {RULE "pay.n > 3 && 1 @< 2" END, "always true: beside '&&' it says nothing"},
    {RULE "pay.n > 3 || 2 @< 1" END, "always false: beside '||' it says nothing"},
    {RULE "pay.n > 3 && (pay.n > 9 || @false)" END, "always false: beside '||' it says nothing"},
    {RULE "pay.n > 3 && 1 / 0 @> 2" END, "this part fails for every event"},
    {RULE "(@true ? pay.n : 2) > 1" END, "what stands after ':' is never used"},
    {RULE "(1 @> 2 ? 2 : pay.n) > 1" END, "what stands before ':' is never used"},
    {RULE "pay.n + 1 @== pay.n + 1" END, "compares a value with itself"},
    {RULE "pay.n != 1 || pay.n @!= 2" END, "every value satisfies this or an earlier part"},
    {RULE "pay.n < 5 || pay.amount > 3 || 5 @<= pay.n" END, "every value satisfies this or"},
    {RULE "pay.amount != 5 || pay.amount @!= 6" END, "every value satisfies this or"},
    {RULE "size(pay.payer) @>= 0" END, "this is always true: size() gives 0 or more"},
    {RULE "-1 @== size(pay.payer)" END, "this is always false: size() gives 0 or more"},
    {RULE "pay.time.getHours() @< 24" END, "this is always true: getHours() gives 0 to 23"},
    {RULE "pay.time.getMonth() @== 12" END, "this is always false: getMonth() gives 0 to 11"},
    {RULE "pay.channel @== \"none\"" END, "this is always false: 'pay.channel' is never \"none\""},
    {"features:\n  - { name: w, event: pay, aggregate: count, by: payer, window: 1d, "
     "where: 'pay.n > 3 && @true' }\n",
     "always true: beside '&&' it says nothing"},
};

/* A second rule beside 'many', and what is said of one of the two. */
#define TWO(second)                                                                                \
    "rules:\n"                                                                                     \
    "  - { id: many, event: pay, reason: x, when: 'pay.n >= 5 && pay.amount > 10' }\n"             \
    "  - { event: pay, reason: x, " second " }\n"
#define WEIGHED                                                                                    \
    "typologies:\n"                                                                                \
    "  - { id: t, entity: { pay: payer }, sum_over: 1d, weights: { many: 5, more: 5 }, "           \
    "thresholds: { severe: 5 } }\n"

static const struct finding pairs[] = {
    {TWO("id: @more, when: 'pay.amount > 10 && pay.n > 4'"),
     "rule 'more' fires exactly when 'many' does (on line 28)"},
    {TWO("id: @more, when: 'pay.n >= 9 && pay.amount > 20'") WEIGHED,
     "rule 'more' fires only when 'many' does (on line 28), and does the same"},
    {TWO("id: @more, when: 'pay.n == 7 && pay.amount > 10.5 && pay.m > 3'") WEIGHED,
     "rule 'more' fires only when 'many' does"},
    {TWO("id: @more, when: 'pay.n in [7, 8] && pay.amount == 99'") WEIGHED,
     "rule 'more' fires only when 'many' does"},
    {"rules:\n"
     "  - { id: @many, event: pay, reason: x, when: 'pay.n >= 5 && pay.amount > 10' }\n"
     "  - { id: more, event: pay, reason: x, when: 'pay.n > 4 || pay.n == 0' }\n" WEIGHED,
     "rule 'many' fires only when 'more' does"},
    {"rules:\n"
     "  - { id: @many, event: pay, reason: x, when: 'pay.m >= 5' }\n"
     "  - { id: more, event: pay, reason: x, when: 'has(pay.m)' }\n" WEIGHED,
     "rule 'many' fires only when 'more' does"},
    {"rules:\n"
     "  - { id: a, event: pay, reason: x, when: 'pay.n > 4', do: [{ add_to_list: met, value: "
     "payer }] }\n"
     "  - { id: @b, event: pay, reason: x, when: 'pay.n > 5', do: [{ add_to_list: met, value: "
     "payer }] }\n",
     "rule 'b' fires only when 'a' does"},
    /* of two that it adds nothing to, one is named */
    {"rules:\n"
     "  - { id: many, event: pay, reason: x, when: 'pay.n > 4' }\n"
     "  - { id: more, event: pay, reason: x, when: 'pay.m > 4' }\n"
     "  - { id: @both, event: pay, reason: x, when: 'pay.n > 5 && pay.m > 5' }\n"
     "typologies:\n"
     "  - { id: t, entity: { pay: payer }, sum_over: 1d, weights: { many: 5, more: 5, both: 5 }, "
     "thresholds: { severe: 5 } }\n",
     "rule 'both' fires only when 'many' does"},
};

/* What says nothing. */
static const char *const silent[] = {
    RULE "pay.n + 1 == 1 + pay.n" END,
    RULE "pay.n < 5 || pay.n > 5" END,
    RULE "pay.amount < 5 || pay.amount >= 5" END, /* a double may be NaN */
    RULE "size(pay.payer) > 0 && pay.time.getHours() <= 22" END,
    RULE "pay.m > 5" END,
    RULE "pay.channel == \"app\"" END,
    RULE "pay.fresh" END,
    RULE "pay.payee in lists.known" END,
    RULE "pay.amount < 5 && !(pay.payer in lists.known)" END,
    RULE "has(pay.channel) && pay.channel != \"app\"" END,
    RULE "!has(pay.channel) || pay.channel != \"app\"" END,
    RULE "!coalesce(pay.fresh, false)" END,
    RULE "coalesce(pay.m, 0) < 5" END,
    RULE "f.paid == 0" END,
    RULE "!(f.sum > 5)" END,
    RULE "!f.quiet" END,
    RULE "f.since <= duration(\"30m\")" END,
    RULE "!(f.since > duration(\"30m\"))" END,
    RULE "pay.m > 1 && pay.m < 5" END,
    RULE "pay.payee.startsWith(\"A\") && pay.payee != \"A1\"" END,
    RULE "pay.amount >= 0.8 * f.mean" END,
    RULE "f.mean > 0 && pay.amount / f.mean > 2" END,
    RULE "pay.amount / f.mean > 2 && f.mean >= 1" END,
    RULE "0 < f.mean && pay.amount / f.mean > 2" END,
    RULE "f.paid != 0 && pay.amount / f.paid > 2" END,
    RULE "f.paid >= 3 && double(pay.n) / double(f.paid) > 0.5" END,
    RULE "f.sum <= 0 || pay.amount / f.sum > 2" END,
    RULE "(f.sum > 0 ? pay.amount / f.sum : 0.0) > 2" END,
    RULE "pay.amount / math.greatest(f.mean, 1.0) > 2" END,
    RULE "pay.amount / (1.0 + exp(f.sum)) > 2" END,
    RULE "pay.amount / (f.paid + 1) > 2" END,
    RULE "pay.amount / 100 > 2" END,
    RULE "pay.n / 100 > 2" END,
    RULE "pay.n > 3 && pay.n < 5" END,
    RULE "pay.amount > 3 && pay.amount < 4" END,
    RULE "pay.n > 5 || pay.n < 3" END,
    /* other weights: degrees of one thing */
    TWO("id: more, when: 'pay.n >= 9 && pay.amount > 20'") "typologies:\n  - { id: t, entity: { "
                                                           "pay: payer }, sum_over: 1d, weights: { "
                                                           "many: 5, more: 9 "
                                                           "}, thresholds: { severe: 5 } }\n",
    /* no effect at all: both are only watched */
    TWO("id: more, when: 'pay.n >= 9 && pay.amount > 20'"),
    TWO("id: more, when: 'pay.n >= 4 && pay.amount > 20'") WEIGHED,
    TWO("id: more, when: 'pay.m >= 9 && pay.amount > 20'") WEIGHED,
    TWO("id: more, mode: shadow, when: 'pay.n >= 9 && pay.amount > 20'") WEIGHED,
    "rules:\n"
    "  - { id: many, event: pay, reason: x, when: 'pay.n >= 5', until: 2027-01-01 }\n"
    "  - { id: more, event: pay, reason: x, when: 'pay.n >= 9' }\n" WEIGHED,
    "rules:\n"
    "  - { id: many, event: pay, reason: x, when: 'pay.n >= 5', exceptions: [{ name: a, until: "
    "2027-01-01, fields: payer, values: [A] }] }\n"
    "  - { id: more, event: pay, reason: x, when: 'pay.n >= 9' }\n" WEIGHED,
};

static const struct finding extensions[] = {
    {RULE "pay.amount @> 10" END, "an int compared with a double"},
    {RULE "pay.amount @> pay.n" END, "an int compared with a double"},
    {RULE "pay.amount * @2 > 10.0" END, "an int taken as a double"},
    {RULE "pay@.n * pay.amount > 10.0" END, "an int and a double in one operation"},
    {RULE "pay.amount @in [1, 2]" END, "an int compared with a double"},
    {RULE "(pay.n > 1 ? @0 : 0.5) > 0.2" END, "an int taken as a double"},
    {RULE "[@1, 2.5].exists(x, x > pay.amount)" END, "an int taken as a double"},
    {RULE "coalesce@(pay.fresh, false)" END, "coalesce() is tocsin's own"},
    {RULE "hasPrefixIn@(pay.payer, lists.known)" END, "hasPrefixIn() is tocsin's own"},
    {RULE "hasPrefixIn@(pay.payer, [\"a\"])" END, "hasPrefixIn() is tocsin's own"},
    {RULE "pay.payer @in lists.heads" END, "'in' over a list of prefixes"},
    {RULE "exp@(pay.amount) > 10.0" END, "exp() is tocsin's own"},
    {RULE "math.abs@(pay.n) > 10" END, "math.abs() is of the math extension"},
    {RULE "math.greatest@(pay.n, 2, 3) > 10" END, "math.greatest() is of the math extension"},
    {RULE "pay.payer.lowerAscii@() == \"a\"" END, "lowerAscii() is of the strings extension"},
    {RULE "cel.bind@(x, pay.n, x + x > 3)" END, "cel.bind() is of the bindings extension"},
    {RULE "pay.time.getHours@() < 6" END, "getHours() in the pack's time zone; in CEL it is UTC"},
    {"rules:\n  - { id: r, event: pay, reason: 'n ${coalesce@(pay.m, 0)}', when: 'pay.n > 1' }\n",
     "coalesce() is tocsin's own"},
};

static const char *const standard[] = {
    RULE "pay.amount > 10.0 && pay.n in [1, 2] && pay.payer in lists.known" END,
    RULE "has(pay.m) && pay.m > 3 && pay.time.getHours(\"UTC\") < 6" END,
    RULE "pay.payer.startsWith(\"a\") && [1, 2].exists(x, x == pay.n) && double(pay.n) > 1.5" END,
};

/* The pack without its mark, which is at *line, *column; malloc'd. A block of features
 * continues that of the head. */
static char *marked(const char *rest, uint32_t *line, uint32_t *column)
{
    char *text = NULL;
    const char *features = "features:\n";
    bool more = strncmp(rest, features, strlen(features)) == 0;
    assert_true(asprintf(&text, "%s%s", head, rest + (more ? strlen(features) : 0)) > 0);
    *line = 1;
    *column = 1;
    char *mark = strchr(text, '@');
    if (mark) {
        for (const char *c = text; c < mark; c++) {
            *column = *c == '\n' ? 1 : *column + 1;
            *line += *c == '\n';
        }
        memmove(mark, mark + 1, strlen(mark));
    }
    return text;
}

/* Exactly one warning, at its place. */
static bool is_found(const struct finding *finding, unsigned lints)
{
    uint32_t line = 0;
    uint32_t column = 0;
    char *text = marked(finding->pack, &line, &column);
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct tsn_program *prog =
        tsn_pack_check("l.yaml", text, strlen(text), NULL, NULL, lints, &diags);
    bool ok = prog && diags.n == 1 && diags.n_errors == 0 &&
              strstr(diags.items[0].message, finding->message) &&
              diags.items[0].place.line == line && diags.items[0].place.column == column &&
              diags.items[0].source;
    if (!ok) {
        fprintf(stderr, "wanted '%s' at %u:%u of %s\n", finding->message, line, column,
                finding->pack);
        tsn_diags_print(&diags, stderr);
    }
    tsn_program_free(prog);
    tsn_diags_free(&diags);
    free(text);
    return ok;
}

static size_t count_wrong(const struct finding *findings, size_t n, unsigned lints)
{
    size_t n_wrong = 0;
    for (size_t i = 0; i < n; i++) {
        n_wrong += !is_found(&findings[i], lints);
    }
    return n_wrong;
}

static size_t count_noisy(const char *const *packs, size_t n, unsigned lints)
{
    size_t n_wrong = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t unused = 0;
        char *text = marked(packs[i], &unused, &unused);
        struct tsn_diags diags;
        tsn_diags_init(&diags);
        struct tsn_program *prog =
            tsn_pack_check("l.yaml", text, strlen(text), NULL, NULL, lints, &diags);
        if (!prog || diags.n) {
            n_wrong++;
            tsn_diags_print(&diags, stderr);
        }
        tsn_program_free(prog);
        tsn_diags_free(&diags);
        free(text);
    }
    return n_wrong;
}

#define N_OF(table) (sizeof(table) / sizeof(table)[0])

static void a_missing_value_that_flips_a_condition_is_found(void **state)
{
    (void)state;
    assert_int_equal(count_wrong(flips, N_OF(flips), TSN_PACK_LINT), 0);
}

static void a_division_that_may_fail_is_found(void **state)
{
    (void)state;
    assert_int_equal(count_wrong(divisions, N_OF(divisions), TSN_PACK_LINT), 0);
}

static void parts_that_exclude_each_other_are_found(void **state)
{
    (void)state;
    assert_int_equal(count_wrong(exclusions, N_OF(exclusions), TSN_PACK_LINT), 0);
}

static void a_part_that_is_the_same_for_every_event_is_found(void **state)
{
    (void)state;
    assert_int_equal(count_wrong(constants, N_OF(constants), TSN_PACK_LINT), 0);
}

static void a_rule_that_adds_nothing_is_found(void **state)
{
    (void)state;
    assert_int_equal(count_wrong(pairs, N_OF(pairs), TSN_PACK_LINT), 0);
}

static void what_is_meant_is_left_alone(void **state)
{
    (void)state;
    assert_int_equal(count_noisy(silent, N_OF(silent), TSN_PACK_LINT), 0);
}

static void every_extension_of_the_language_is_reported(void **state)
{
    (void)state;
    assert_int_equal(count_wrong(extensions, N_OF(extensions), TSN_PACK_PORTABLE), 0);
    assert_int_equal(count_noisy(standard, N_OF(standard), TSN_PACK_PORTABLE), 0);
}

static void a_compiled_pack_is_not_linted(void **state)
{
    (void)state;
    uint32_t unused = 0;
    char *text = marked(flips[0].pack, &unused, &unused);
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct tsn_program *prog = tsn_pack_compile("l.yaml", text, strlen(text), NULL, NULL, &diags);
    assert_non_null(prog);
    assert_int_equal(diags.n, 0);
    tsn_program_free(prog);
    tsn_diags_free(&diags);
    free(text);
}

/* The same sub-expression over and over, alternatives of conjunctions, rules that all do
 * the same: linting stays bounded and the pack compiles. */
static void hostile_packs_are_linted_in_bounded_time(void **state)
{
    (void)state;
    char *text = malloc(1 << 20);
    size_t used =
        (size_t)sprintf(text, "%srules:\n  - { id: deep, event: pay, reason: x, when: '", head);
    used += (size_t)sprintf(text + used, "cel.bind(x0, 1.5 / pay.amount, ");
    for (int i = 1; i < 40; i++) {
        used += (size_t)sprintf(text + used, "cel.bind(x%d, x%d + x%d, ", i, i - 1, i - 1);
    }
    used += (size_t)sprintf(text + used, "x39 > 3");
    for (int i = 0; i < 40; i++) {
        text[used++] = ')';
    }
    used += (size_t)sprintf(text + used, "' }\n");
    for (int i = 0; i < 3000; i++) {
        used += (size_t)sprintf(text + used,
                                "  - { id: r%d, event: pay, reason: x, when: 'pay.n > %d && pay.n "
                                "< %d', do: [{ add_to_list: met, value: payer }] }\n",
                                i, i, i + 5);
    }
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct tsn_program *prog =
        tsn_pack_check("l.yaml", text, used, NULL, NULL, TSN_PACK_LINT | TSN_PACK_PORTABLE, &diags);
    assert_non_null(prog);
    tsn_program_free(prog);
    tsn_diags_free(&diags);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_value_that_flips_a_condition_is_found),
        cmocka_unit_test(a_division_that_may_fail_is_found),
        cmocka_unit_test(parts_that_exclude_each_other_are_found),
        cmocka_unit_test(a_part_that_is_the_same_for_every_event_is_found),
        cmocka_unit_test(a_rule_that_adds_nothing_is_found),
        cmocka_unit_test(what_is_meant_is_left_alone),
        cmocka_unit_test(every_extension_of_the_language_is_reported),
        cmocka_unit_test(a_compiled_pack_is_not_linted),
        cmocka_unit_test(hostile_packs_are_linted_in_bounded_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
