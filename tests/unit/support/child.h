/* Runs a function in a child process and keeps what it wrote to stderr: for code that ends the process. */
#ifndef TEST_CHILD_H
#define TEST_CHILD_H

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct child {
    int status; /* as waitpid gives it */
    char err[65536];
};

static inline void child_run(struct child *child, void (*fn)(void))
{
    int pipes[2];
    if (pipe(pipes) < 0)
        abort();
    pid_t pid = fork();
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGABRT, SIG_DFL);
        dup2(pipes[1], STDERR_FILENO);
        close(pipes[0]);
        close(pipes[1]);
        fn();
        _exit(0);
    }
    close(pipes[1]);
    size_t n = 0;
    ssize_t got;
    while ((got = read(pipes[0], child->err + n, sizeof child->err - 1 - n)) > 0 || (got < 0 && errno == EINTR))
        n += got > 0 ? (size_t)got : 0;
    child->err[n] = 0;
    close(pipes[0]);
    waitpid(pid, &child->status, 0);
}

/* Whether it ended by abort(), as die() does. */
static inline int child_aborted(const struct child *child)
{
    return WIFSIGNALED(child->status) && WTERMSIG(child->status) == SIGABRT;
}

#endif
