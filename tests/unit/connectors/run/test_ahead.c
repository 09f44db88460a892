/* Ahead: a task is done once, by the thread or by who claims it; nobody waits for a task
 * that has not begun. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>

#include "connectors/run/ahead.h"
#include "rules/must/must.h"

enum { TASKS = 64, ROUNDS = 2000 };

struct sum {
    struct tsn_ahead_task task; /* first */
    uint64_t from, result;
    unsigned n_done;
    bool gated; /* says that it is in, and waits to be let on */
    bool all_blocked;
};

static sem_t in, on;

static void add_up(struct tsn_ahead_task *task)
{
    struct sum *sum = (struct sum *)task;
    if (sum->gated) {
        sigset_t blocked;
        pthread_sigmask(SIG_SETMASK, NULL, &blocked);
        sum->all_blocked = sigismember(&blocked, SIGTERM) == 1 &&
                           sigismember(&blocked, SIGINT) == 1 && sigismember(&blocked, SIGHUP) == 1;
        sem_post(&in);
        sem_wait(&on);
    }
    sum->result = 0;
    for (uint64_t i = 0; i < sum->from % 1000; i++) {
        sum->result += sum->from ^ i;
    }
    sum->n_done++;
}

static int begin(void **state)
{
    TSN_MUST(sem_init(&in, 0, 0) == 0 && sem_init(&on, 0, 0) == 0);
    *state = tsn_ahead_new(add_up);
    return 0;
}

static int end(void **state)
{
    tsn_ahead_free(*state);
    sem_destroy(&in);
    sem_destroy(&on);
    return 0;
}

static void what_nobody_has_begun_is_taken_back_and_what_was_begun_is_waited_for(void **state)
{
    struct tsn_ahead *ahead = *state;
    struct sum first = {.from = 700, .gated = true};
    struct sum others[3] = {{.from = 1}, {.from = 2}, {.from = 3}};
    tsn_ahead_submit(ahead, &first.task);
    sem_wait(&in);
    for (int i = 0; i < 3; i++) {
        tsn_ahead_submit(ahead, &others[i].task);
    }
    assert_true(tsn_ahead_is_begun(ahead, &first.task));
    assert_false(tsn_ahead_is_begun(ahead, &others[0].task));
    assert_false(tsn_ahead_claim(ahead, &others[1].task)); /* of the middle, */
    assert_false(tsn_ahead_claim(ahead, &others[2].task)); /* the end, */
    assert_false(tsn_ahead_claim(ahead, &others[0].task)); /* the beginning */
    tsn_ahead_submit(ahead, &others[2].task);
    sem_post(&on);
    assert_true(tsn_ahead_claim(ahead, &first.task));
    assert_int_equal(first.n_done, 1);
    if (!tsn_ahead_claim(ahead, &others[2].task)) {
        add_up(&others[2].task);
    }
    assert_int_equal(others[2].n_done, 1);
    assert_int_equal(others[0].n_done + others[1].n_done, 0);
}

static void the_thread_takes_no_signals_and_the_caller_does(void **state)
{
    struct tsn_ahead *ahead = *state;
    struct sum sum = {.gated = true};
    tsn_ahead_submit(ahead, &sum.task);
    sem_wait(&in);
    sem_post(&on);
    assert_true(tsn_ahead_claim(ahead, &sum.task));
    assert_true(sum.all_blocked);
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    assert_int_equal(sigismember(&blocked, SIGTERM), 0);
}

/* Claimed in another order than submitted, submitted again at once. */
static void every_task_is_done_once_whoever_does_it(void **state)
{
    struct tsn_ahead *ahead = *state;
    static struct sum sums[TASKS];
    unsigned n_thread = 0;
    for (uint64_t i = 0; i < TASKS; i++) {
        sums[i] = (struct sum){.from = i};
        tsn_ahead_submit(ahead, &sums[i].task);
    }
    for (uint64_t i = 0; i < ROUNDS; i++) {
        struct sum *sum = &sums[i * 7919 % TASKS], expected = *sum;
        if (tsn_ahead_claim(ahead, &sum->task)) {
            n_thread++;
        } else {
            add_up(&sum->task);
        }
        expected.from = sum->from;
        expected.gated = false;
        expected.n_done = (unsigned)(i / TASKS);
        add_up(&expected.task);
        assert_int_equal(sum->result, expected.result);
        assert_int_equal(sum->n_done, i / TASKS + 1);
        sum->from += TASKS;
        tsn_ahead_submit(ahead, &sum->task);
    }
    print_message("%u of %d tasks done by the thread\n", n_thread, ROUNDS);
}

static void *let_on(void *arg)
{
    sem_post(arg);
    return NULL;
}

/* Else the thread would work on what is gone. */
static void an_end_waits_for_the_task_under_way(void **state)
{
    struct sum sum = {.from = 999, .gated = true};
    tsn_ahead_submit(*state, &sum.task);
    sem_wait(&in);
    pthread_t thread;
    TSN_MUST(pthread_create(&thread, NULL, let_on, &on) == 0);
    tsn_ahead_free(*state);
    *state = NULL;
    assert_int_equal(sum.n_done, 1);
    pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            what_nobody_has_begun_is_taken_back_and_what_was_begun_is_waited_for, begin, end),
        cmocka_unit_test_setup_teardown(the_thread_takes_no_signals_and_the_caller_does, begin,
                                        end),
        cmocka_unit_test_setup_teardown(every_task_is_done_once_whoever_does_it, begin, end),
        cmocka_unit_test_setup_teardown(an_end_waits_for_the_task_under_way, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
