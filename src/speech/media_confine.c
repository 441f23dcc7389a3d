#include "speech/media_confine.h"

#include "base/sanitize.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(WITH_ASAN) || defined(WITH_TSAN)
#define SANITIZED 1 /* its run-time needs address space and system calls */
#endif

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

#ifdef ARCH
/* The words of a filter. Every check of a call ends with a verdict or goes on with the next call. */
#define LOAD(field)         BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define LOAD_ARG(n)         LOAD(args[n]) /* the lower half: descriptors and flags fit */
#define SKIP_IF(value, n)   BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)(value), n, 0)
#define SKIP_UNLESS(v, n)   BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)(v), 0, n)
#define SKIP_IF_ANY(v, n)   BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (unsigned)(v), n, 0)
#define VERDICT(action)     BPF_STMT(BPF_RET | BPF_K, (action))
#define ALLOW(call)         SKIP_UNLESS(__NR_##call, 1), VERDICT(SECCOMP_RET_ALLOW)
#define REFUSE(call, error) SKIP_UNLESS(__NR_##call, 1), VERDICT(SECCOMP_RET_ERRNO | (error))
/* With this descriptor as its first argument; others are refused. */
#define ALLOW_ON(call, fd)                                                                                             \
    SKIP_UNLESS(__NR_##call, 4), LOAD_ARG(0), SKIP_UNLESS((fd), 1), VERDICT(SECCOMP_RET_ALLOW),                        \
        VERDICT(SECCOMP_RET_ERRNO | EBADF)
/* Memory, as long as it cannot be executed. */
#define ALLOW_DATA(call)                                                                                               \
    SKIP_UNLESS(__NR_##call, 4), LOAD_ARG(2), SKIP_IF_ANY(PROT_EXEC, 1), VERDICT(SECCOMP_RET_ALLOW),                   \
        VERDICT(SECCOMP_RET_KILL_PROCESS)

int media_filter(int fd)
{
    struct sock_filter program[] = {
        LOAD(arch),
        SKIP_IF(ARCH, 1),
        VERDICT(SECCOMP_RET_KILL_PROCESS),
        LOAD(nr),
        ALLOW_ON(recvmsg, fd),
        ALLOW_ON(sendmsg, fd),
        ALLOW_ON(write, fd),
        ALLOW_DATA(mmap),
        ALLOW_DATA(mprotect),
        ALLOW(munmap),
        ALLOW(mremap),
        ALLOW(brk),
        ALLOW(madvise),
        ALLOW(futex),
        ALLOW(clock_gettime),
        ALLOW(gettimeofday),
        ALLOW(getrandom),
        ALLOW(sched_yield),
        ALLOW(restart_syscall),
        ALLOW(rt_sigreturn),
        ALLOW(exit),
        ALLOW(exit_group),
        /* What a library may try and can do without. */
        REFUSE(openat, EACCES),
        REFUSE(newfstatat, EACCES),
        REFUSE(fstat, EBADF),
        REFUSE(ioctl, ENOTTY),
#ifdef __NR_open
        REFUSE(open, EACCES),
        REFUSE(stat, EACCES),
        REFUSE(access, EACCES),
#endif
        VERDICT(SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog whole = {COUNT(program), program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &whole) < 0 ? -1 : 0;
}
#else
int media_filter(int fd)
{
    (void)fd;
    return -1;
}
#endif

static void limit(__rlimit_resource_t resource, rlim_t value)
{
    setrlimit(resource, &(struct rlimit){value, value});
}

void media_confine_limits(const struct media_job *job, int fd)
{
    closefrom(fd + 1);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_CPU, job->cpu_seconds);
#ifndef SANITIZED
    limit(RLIMIT_NOFILE, 0);
    limit(RLIMIT_AS, job->memory);
#endif
}

bool media_confine(const struct media_job *job, int fd)
{
    media_confine_limits(job, fd);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
#ifdef SANITIZED
    return true;
#else
    return media_filter(fd) == 0;
#endif
}
