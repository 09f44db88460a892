#include "connectors/demo/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_TIMEOUT_MS = 20000 };

static _Noreturn void become(const struct tsn_process *process, const char *const argv[],
                             int stdout_fd)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    setpgid(0, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int log = open(process->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (log >= 0 && null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(stdout_fd >= 0 ? stdout_fd : log, STDOUT_FILENO);
        dup2(log, STDERR_FILENO);
        /* execvp takes char *const[] for history's sake; it writes to none of them. */
        char *arguments[64];
        size_t n = 0;
        while (argv[n] && n < 63) {
            arguments[n] = strdup(argv[n]);
            n++;
        }
        arguments[n] = NULL;
        execvp(arguments[0], arguments);
        dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
    }
    _exit(127);
}

/* One line from fd, without its end. */
static bool read_answer(int fd, char *answer, size_t cap)
{
    size_t len = 0;
    while (len + 1 < cap) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (poll(&wait, 1, ANSWER_TIMEOUT_MS) <= 0 || read(fd, answer + len, 1) != 1) {
            return false;
        }
        if (answer[len] == '\n') {
            answer[len] = '\0';
            return true;
        }
        len++;
    }
    return false;
}

bool tsn_process_start(struct tsn_process *process, const char *const argv[], char *answer,
                       size_t answer_cap, struct tsn_failure *failure)
{
    int ends[2] = {-1, -1};
    if (answer && pipe2(ends, O_CLOEXEC) != 0) {
        return tsn_fail(failure, TSN_REMEDY_FATAL, "%s: no pipe: %s", process->name,
                        strerror(errno));
    }
    process->pid = fork();
    if (process->pid == 0) {
        become(process, argv, ends[1]);
    }
    if (answer) {
        close(ends[1]);
    }
    if (process->pid < 0) {
        process->pid = 0;
        return tsn_fail(failure, TSN_REMEDY_FATAL, "%s: cannot fork: %s", process->name,
                        strerror(errno));
    }
    bool ok = !answer || read_answer(ends[0], answer, answer_cap);
    if (answer) {
        close(ends[0]);
    }
    if (!ok) {
        tsn_process_stop(process, 1000);
        return tsn_fail(failure, TSN_REMEDY_CONFIG, "%s did not start; %s says why", process->name,
                        process->log);
    }
    return true;
}

bool tsn_process_runs(struct tsn_process *process, int *status)
{
    if (process->pid == 0) {
        return false;
    }
    if (waitpid(process->pid, status, WNOHANG) == process->pid) {
        process->pid = 0;
        return false;
    }
    return true;
}

int tsn_process_stop(struct tsn_process *process, int timeout_ms)
{
    int status = 0;
    if (!tsn_process_runs(process, &status)) {
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    kill(process->pid, SIGTERM);
    for (int waited = 0; waited < timeout_ms; waited += 10) {
        if (!tsn_process_runs(process, &status)) {
            return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        }
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    kill(process->pid, SIGKILL);
    waitpid(process->pid, &status, 0);
    process->pid = 0;
    return -1;
}
