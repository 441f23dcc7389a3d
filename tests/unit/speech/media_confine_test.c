/* What a confined process can no longer do: each try in a child of its own. */
#include "unit/support/unit.h"

#include "base/sanitize.h"
#include "speech/media_confine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int talk[2];

/* Tries end the process with 0 when they were allowed. System calls are made without the C library's (and a
 * sanitizer's) own around them. */
static void end(bool allowed)
{
    syscall(SYS_exit_group, allowed ? 0 : errno);
}

static void try_open(void)
{
    end(syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY) >= 0);
}

static void try_socket(void)
{
    end(syscall(SYS_socket, AF_INET, SOCK_STREAM, 0) >= 0);
}

static void try_exec(void)
{
    char *const none[] = {NULL};
    end(syscall(SYS_execve, "/bin/true", none, none) >= 0);
}

static void try_fork(void)
{
    end(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) >= 0);
}

static void try_kill(void)
{
    end(syscall(SYS_kill, getppid(), 0) >= 0);
}

static void try_ptrace(void)
{
    end(syscall(SYS_ptrace, 0, 0, 0, 0) >= 0);
}

static void try_code(void)
{
    end(syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != -1);
}

static void try_protect(void)
{
    long at = syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    end(syscall(SYS_mprotect, at, 4096, PROT_READ | PROT_EXEC) == 0);
}

static void try_other_descriptor(void)
{
    end(syscall(SYS_write, STDERR_FILENO, "", 0) >= 0);
}

static void try_what_work_needs(void)
{
    char byte = 'x';
    struct iovec part = {&byte, 1};
    struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
    bool sent = syscall(SYS_sendmsg, talk[1], &msg, 0) == 1;
    bool received = syscall(SYS_recvmsg, talk[1], &msg, 0) == 1;
    long at = syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    end(sent && received && at != -1 && syscall(SYS_munmap, at, 4096) == 0);
}

/* How a child ended that was filtered and then tried. */
static int status_of(void (*attempt)(void))
{
    int status = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, talk), 0);
    pid_t pid = fork();
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        if (media_filter(talk[1]) < 0)
            _exit(255);
        attempt();
    }
    assert_int_equal(send(talk[0], "y", 1, 0), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(talk[0]);
    close(talk[1]);
    return status;
}

static void work_is_allowed(void **state)
{
    (void)state;
    assert_int_equal(status_of(try_what_work_needs), 0);
}

static void reaching_out_is_the_end(void **state)
{
    static void (*const attempts[])(void) = {try_socket, try_exec, try_fork,   try_kill,
                                             try_ptrace, try_code, try_protect};
    (void)state;
    for (size_t i = 0; i < COUNT(attempts); i++) {
        int status = status_of(attempts[i]);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
            fail_msg("attempt %zu: status %x", i, (unsigned)status);
    }
}

static void what_libraries_may_try_is_refused(void **state)
{
    (void)state;
    int status = status_of(try_open);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EACCES);
    status = status_of(try_other_descriptor);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EBADF);
}

static bool limit_is(int resource, rlim_t value)
{
    struct rlimit limit;
    return getrlimit((__rlimit_resource_t)resource, &limit) == 0 && limit.rlim_cur == value && limit.rlim_max == value;
}

/* The limits, seen where no filter hides them. */
static void limits_are_set(void **state)
{
    const struct media_job job = {.cpu_seconds = 7, .memory = MIB(512)};
    int status, extra = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        media_confine_limits(&job, 3);
        bool ok = limit_is(RLIMIT_CORE, 0) && limit_is(RLIMIT_FSIZE, 0) && limit_is(RLIMIT_CPU, 7);
#if !defined(WITH_ASAN) && !defined(WITH_TSAN)
        ok = ok && limit_is(RLIMIT_AS, MIB(512)) && limit_is(RLIMIT_NOFILE, 0);
#endif
        ok = ok && fcntl(extra, F_GETFD) < 0 && errno == EBADF;
        _exit(ok ? 0 : 1);
    }
    assert_true(extra >= 10);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(extra);
}

/* Processor time is taken away for good. */
static void spinning_ends(void **state)
{
    const struct media_job job = {.cpu_seconds = 1, .memory = MIB(512)};
    int status;
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        media_confine(&job, 3);
        for (volatile unsigned i = 0;; i++)
            ;
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_true(WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGXCPU);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_is_allowed),
        cmocka_unit_test(reaching_out_is_the_end),
        cmocka_unit_test(what_libraries_may_try_is_refused),
        cmocka_unit_test(limits_are_set),
        cmocka_unit_test(spinning_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
