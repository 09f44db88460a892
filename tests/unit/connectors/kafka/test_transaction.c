/* The transaction table: each sequence of results leads where it must. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "connectors/kafka/transaction.h"

/* A publication in hand, at the act given. */
static struct tsn_txn at(enum tsn_txn_act act)
{
    return (struct tsn_txn){.act = act, .holding = true};
}

static void walk(struct tsn_txn *txn, const enum tsn_txn_event *events, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        tsn_txn_step(txn, events[i]);
    }
}

static void a_publication_goes_from_begin_to_confirm(void **state)
{
    (void)state;
    struct tsn_txn txn;
    tsn_txn_init(&txn);
    assert_int_equal(txn.act, TSN_TXN_RENEW);
    tsn_txn_step(&txn, TSN_TXN_OK);
    assert_int_equal(txn.act, TSN_TXN_INIT);
    tsn_txn_step(&txn, TSN_TXN_OK);
    assert_int_equal(txn.act, TSN_TXN_WAIT); /* nothing in hand: no tail to read */
    tsn_txn_take(&txn);
    static const enum tsn_txn_act path[] = {TSN_TXN_BEGIN, TSN_TXN_SEND, TSN_TXN_COMMIT,
                                            TSN_TXN_CONFIRM, TSN_TXN_WAIT};
    for (size_t i = 0; i < sizeof path / sizeof path[0]; i++) {
        assert_int_equal(txn.act, path[i]);
        tsn_txn_step(&txn, TSN_TXN_OK);
    }
    assert_false(txn.holding);
}

static const struct {
    const char *why;
    enum tsn_txn_act act;
    enum tsn_txn_event event;
    enum tsn_txn_act next;
} cases[] = {
    {"an abortable failure while producing aborts", TSN_TXN_SEND, TSN_TXN_FAIL_ABORT,
     TSN_TXN_ABORT},
    {"what could not be queued is not sent half", TSN_TXN_SEND, TSN_TXN_FAIL_RETRY, TSN_TXN_ABORT},
    {"an abortable commit aborts", TSN_TXN_COMMIT, TSN_TXN_FAIL_ABORT, TSN_TXN_ABORT},
    {"a commit that timed out may have happened", TSN_TXN_COMMIT, TSN_TXN_FAIL_RETRY,
     TSN_TXN_RENEW},
    {"a fatal commit may have happened", TSN_TXN_COMMIT, TSN_TXN_FAIL_RECOVER, TSN_TXN_RENEW},
    {"after an abort the same is published again", TSN_TXN_ABORT, TSN_TXN_OK, TSN_TXN_BEGIN},
    {"an abort of unknown outcome needs a new producer", TSN_TXN_ABORT, TSN_TXN_FAIL_RETRY,
     TSN_TXN_RENEW},
    {"a new producer in mid-publication looks for it", TSN_TXN_INIT, TSN_TXN_OK, TSN_TXN_READ_TAIL},
    {"it is there: go on", TSN_TXN_READ_TAIL, TSN_TXN_OK, TSN_TXN_CONFIRM},
    {"it is not: publish it again", TSN_TXN_READ_TAIL, TSN_TXN_LACKED, TSN_TXN_BEGIN},
    {"the tail is asked for until it is known", TSN_TXN_READ_TAIL, TSN_TXN_FAIL_RETRY,
     TSN_TXN_READ_TAIL},
    {"a cluster that is away is waited for", TSN_TXN_INIT, TSN_TXN_FAIL_RETRY, TSN_TXN_INIT},
    {"a wrong password at init stops", TSN_TXN_INIT, TSN_TXN_FAIL_STOP, TSN_TXN_STOP},
};

static void each_result_leads_to_its_act(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tsn_txn txn = at(cases[i].act);
        tsn_txn_step(&txn, cases[i].event);
        if (txn.act != cases[i].next) {
            fail_msg("%s: %s", cases[i].why, tsn_txn_act_name(txn.act));
        }
        assert_true(txn.holding);
    }
}

static void fenced_anywhere_publishes_nothing_more(void **state)
{
    (void)state;
    for (int act = 0; act < TSN_TXN_STAND_BY; act++) {
        struct tsn_txn txn = at((enum tsn_txn_act)act);
        tsn_txn_step(&txn, TSN_TXN_FAIL_STAND_BY);
        assert_int_equal(txn.act, TSN_TXN_STAND_BY);
        for (int event = 0; event < TSN_TXN_EVENTS; event++) {
            tsn_txn_step(&txn, (enum tsn_txn_event)event);
            assert_int_equal(txn.act, TSN_TXN_STAND_BY);
        }
    }
}

static void the_same_abortable_failure_three_times_stops(void **state)
{
    (void)state;
    struct tsn_txn txn = at(TSN_TXN_BEGIN);
    static const enum tsn_txn_event once[] = {TSN_TXN_OK, TSN_TXN_OK, TSN_TXN_FAIL_ABORT,
                                              TSN_TXN_OK};
    walk(&txn, once, 4);
    assert_int_equal(txn.act, TSN_TXN_BEGIN);
    walk(&txn, once, 4);
    assert_int_equal(txn.act, TSN_TXN_BEGIN);
    walk(&txn, once, 3);
    assert_int_equal(txn.act, TSN_TXN_STOP);
}

static void a_refused_commit_does_not_loop_for_ever(void **state)
{
    (void)state;
    struct tsn_txn txn = at(TSN_TXN_BEGIN);
    int rounds = 0;
    while (txn.act != TSN_TXN_STOP && rounds < 100) {
        tsn_txn_step(&txn, txn.act == TSN_TXN_COMMIT      ? TSN_TXN_FAIL_STOP
                           : txn.act == TSN_TXN_READ_TAIL ? TSN_TXN_LACKED
                                                          : TSN_TXN_OK);
        rounds++;
    }
    assert_int_equal(txn.act, TSN_TXN_STOP);
    assert_int_equal(txn.n_aborts, TSN_TXN_ABORTS_MAX);
}

static void a_broker_that_is_away_is_retried_without_end_and_without_spinning(void **state)
{
    (void)state;
    struct tsn_txn txn = at(TSN_TXN_INIT);
    for (int i = 0; i < 1000; i++) {
        tsn_txn_step(&txn, TSN_TXN_FAIL_RETRY);
        assert_int_equal(txn.act, TSN_TXN_INIT);
        assert_in_range(tsn_txn_backoff_ms(&txn), 50, 2000);
    }
    tsn_txn_step(&txn, TSN_TXN_OK);
    assert_int_equal(txn.act, TSN_TXN_READ_TAIL);
}

static void a_confirmed_publication_forgets_its_failures(void **state)
{
    (void)state;
    struct tsn_txn txn = at(TSN_TXN_BEGIN);
    static const enum tsn_txn_event events[] = {TSN_TXN_OK, TSN_TXN_OK, TSN_TXN_FAIL_ABORT,
                                                TSN_TXN_OK, TSN_TXN_OK, TSN_TXN_OK,
                                                TSN_TXN_OK, TSN_TXN_OK};
    walk(&txn, events, sizeof events / sizeof events[0]);
    assert_int_equal(txn.act, TSN_TXN_WAIT);
    assert_int_equal(txn.n_aborts, 0);
    assert_int_equal(tsn_txn_backoff_ms(&txn), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_publication_goes_from_begin_to_confirm),
        cmocka_unit_test(each_result_leads_to_its_act),
        cmocka_unit_test(fenced_anywhere_publishes_nothing_more),
        cmocka_unit_test(the_same_abortable_failure_three_times_stops),
        cmocka_unit_test(a_refused_commit_does_not_loop_for_ever),
        cmocka_unit_test(a_broker_that_is_away_is_retried_without_end_and_without_spinning),
        cmocka_unit_test(a_confirmed_publication_forgets_its_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
