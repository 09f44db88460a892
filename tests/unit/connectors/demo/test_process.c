/* Process: children answer, are stopped, and do not outlive their parent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "connectors/demo/process.h"

static char log_path[512];

static int make_log_path(void **state)
{
    (void)state;
    const char *folder = getenv("TMPDIR");
    snprintf(log_path, sizeof log_path, "%s/process-%d.log", folder ? folder : "/tmp",
             (int)getpid());
    return 0;
}

static struct tsn_process process_named(const char *name)
{
    return (struct tsn_process){.name = name, .log = log_path};
}

static void a_child_gives_the_first_line_it_prints(void **state)
{
    (void)state;
    struct tsn_process child = process_named("cat");
    const char *const argv[] = {"sh", "-c", "echo one; echo two; exec cat /dev/zero", NULL};
    char answer[16];
    struct tsn_failure failure;
    assert_true(tsn_process_start(&child, argv, answer, sizeof answer, &failure));
    assert_string_equal(answer, "one");
    tsn_process_stop(&child, 5000);
    int status = 0;
    assert_false(tsn_process_runs(&child, &status));
}

static void a_child_that_does_not_start_is_a_failure_that_names_its_log(void **state)
{
    (void)state;
    struct tsn_process child = process_named("nothing");
    const char *const argv[] = {"/nonexistent/program", NULL};
    char answer[16];
    struct tsn_failure failure;
    assert_false(tsn_process_start(&child, argv, answer, sizeof answer, &failure));
    assert_non_null(strstr(failure.text, "nothing did not start"));
    assert_non_null(strstr(failure.text, log_path));
}

static void stopping_gives_the_exit_code_and_kills_what_does_not_listen(void **state)
{
    (void)state;
    struct tsn_failure failure;
    char answer[16];
    struct tsn_process polite = process_named("polite");
    const char *const leaves[] = {
        "sh", "-c", "trap 'exit 3' TERM; echo up; while :; do sleep 0.01; done", NULL};
    assert_true(tsn_process_start(&polite, leaves, answer, sizeof answer, &failure));
    assert_int_equal(tsn_process_stop(&polite, 5000), 3);
    struct tsn_process deaf = process_named("deaf");
    const char *const stays[] = {"sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.01; done",
                                 NULL};
    assert_true(tsn_process_start(&deaf, stays, answer, sizeof answer, &failure));
    assert_int_equal(tsn_process_stop(&deaf, 100), -1);
}

/* A parent that is killed outright: its child gets SIGTERM from the kernel, and tells
 * so on a pipe that only it still holds: the pipe's end is the proof. */
static void children_end_when_their_parent_is_killed(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t parent = fork();
    if (parent == 0) {
        struct tsn_process child = process_named("orphan");
        struct tsn_failure failure;
        char answer[16];
        const char *const argv[] = {"sh", "-c", "echo up; exec sleep 600", NULL};
        bool ok = tsn_process_start(&child, argv, answer, sizeof answer, &failure);
        (void)!write(ends[1], ok ? "y" : "n", 1);
        for (;;) {
            pause();
        }
    }
    close(ends[1]);
    char up = 'n';
    assert_int_equal(read(ends[0], &up, 1), 1);
    assert_int_equal(up, 'y');
    kill(parent, SIGKILL);
    waitpid(parent, NULL, 0);
    struct pollfd wait = {.fd = ends[0], .events = POLLIN};
    assert_int_equal(poll(&wait, 1, 10000), 1);
    assert_int_equal(read(ends[0], &up, 1), 0); /* end of file: nobody holds it */
    close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_gives_the_first_line_it_prints),
        cmocka_unit_test(a_child_that_does_not_start_is_a_failure_that_names_its_log),
        cmocka_unit_test(stopping_gives_the_exit_code_and_kills_what_does_not_listen),
        cmocka_unit_test(children_end_when_their_parent_is_killed),
    };
    return cmocka_run_group_tests_name("demo: processes", tests, make_log_path, NULL);
}
