/* For tests of streams through workers: the test program is its own media process, in several characters. */
#ifndef TEST_MEDIA_PROCESS_ENV_H
#define TEST_MEDIA_PROCESS_ENV_H

#include "unit/speech/media_env.h"
#include "unit/support/run_task.h"

#include "speech/media.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- what runs where ---- */

/* A program of another name that is this one: the name tells it who to be. */
struct alias {
    char folder[32], path[64];
};

static inline const char *alias_make(struct alias *alias, const char *name)
{
    char self[512];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = 0;
    snprintf(alias->folder, sizeof alias->folder, "/tmp/parley-test-XXXXXX");
    assert_non_null(mkdtemp(alias->folder));
    snprintf(alias->path, sizeof alias->path, "%s/%s", alias->folder, name);
    assert_int_equal(symlink(self, alias->path), 0);
    return alias->path;
}

static inline void alias_remove(struct alias *alias)
{
    unlink(alias->path);
    rmdir(alias->folder);
}

/* Refuses whatever a loader tries to open. */
static inline int without_libraries(void)
{
    struct rlimit limit, none;
    getrlimit(RLIMIT_NOFILE, &limit);
    none = (struct rlimit){MEDIA_WORKER_FD + 1, limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    libav_load();
    setrlimit(RLIMIT_NOFILE, &limit);
    return media_worker(MEDIA_WORKER_FD);
}

/* What a worker may do that is not in the book; the rate of the job picks one. */
enum lie {
    LIE_NO_SUCH_PACKET = 8000,
    LIE_OUTPUT_FIRST,
    LIE_READY_TWICE,
    LIE_TOO_MUCH,
    LIE_EMPTY_OUTPUT,
    LIE_EMPTY_PACKET,
    LIE_SHORT_COUNT,
    LIE_NO_SUCH_FAILURE,
    LIE_LONG_PACKET,
    LIE_DESCRIPTOR,
    LIE_VANISH,
    LIE_SILENCE,
    LIE_END
};

static inline void lie(int fd, enum lie what)
{
    static char bytes[MEDIA_PACKET_MAX + 1];
    struct media_order order = {0};
    if (what == LIE_OUTPUT_FIRST)
        media_packet_send(fd, MEDIA_OUTPUT, "ab", 2, 0);
    if (what == LIE_SILENCE)
        return;
    media_packet_send(fd, MEDIA_READY, "\1", 1, 0);
    if (what == LIE_NO_SUCH_PACKET)
        media_packet_send(fd, (enum media_packet)77, "x", 1, 0);
    else if (what == LIE_READY_TWICE)
        media_packet_send(fd, MEDIA_READY, "\1", 1, 0);
    else if (what == LIE_TOO_MUCH)
        while (media_packet_send(fd, MEDIA_OUTPUT, bytes, MEDIA_PACKET_MAX, 0) == 0)
            ;
    else if (what == LIE_EMPTY_OUTPUT)
        media_packet_send(fd, MEDIA_OUTPUT, NULL, 0, 0);
    else if (what == LIE_EMPTY_PACKET)
        send(fd, "", 0, 0);
    else if (what == LIE_SHORT_COUNT)
        media_packet_send(fd, MEDIA_HUNGRY, "x", 1, 0);
    else if (what == LIE_NO_SUCH_FAILURE)
        media_packet_send(fd, MEDIA_FAILED, "\x7f", 1, 0);
    else if (what == LIE_LONG_PACKET)
        media_packet_send(fd, MEDIA_OUTPUT, bytes, MEDIA_PACKET_MAX + 1, 0);
    else if (what == LIE_DESCRIPTOR)
        media_order_send(fd, &order, STDIN_FILENO);
    if (what == LIE_VANISH)
        close(fd);
}

static inline int liar(void)
{
    struct media_order order;
    int fd;
    signal(SIGPIPE, SIG_IGN);
    while (media_order_receive(MEDIA_WORKER_FD, &order, &fd) > 0)
        if (order.type == MEDIA_START)
            lie(fd, (enum lie)order.job.rate);
    return 0;
}

static inline int media_tests_main(int argc, char **argv, int (*tests)(void))
{
    const char *name = (const char *)getauxval(AT_EXECFN);
    if (argc < 2 || strcmp(argv[1], "media") != 0)
        return tests();
    if (strstr(name, "/without-libraries"))
        return without_libraries();
    if (strstr(name, "/liar"))
        return liar();
    return media_worker(MEDIA_WORKER_FD);
}

/* ---- processes ---- */

static inline pid_t parent_of(pid_t pid, char *state)
{
    char path[64], text[512];
    int parent = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    size_t n = fread(text, 1, sizeof text - 1, file);
    text[n] = 0;
    fclose(file);
    const char *end = strrchr(text, ')');
    return end && sscanf(end + 1, " %c %d", state, &parent) == 2 ? parent : 0;
}

/* How many children a process has, zombies included; *one is one of them. */
static inline unsigned children_of(pid_t pid, pid_t *one)
{
    unsigned n = 0;
    char state;
    DIR *dir = opendir("/proc");
    for (struct dirent *entry; (entry = readdir(dir));) {
        pid_t child = (pid_t)strtol(entry->d_name, NULL, 10);
        if (child <= 0 || parent_of(child, &state) != pid)
            continue;
        n++;
        if (one)
            *one = child;
    }
    closedir(dir);
    return n;
}

static inline pid_t media_process(void)
{
    pid_t pid = 0;
    assert_int_equal(children_of(getpid(), &pid), 1);
    return pid;
}

/* Parks until the process has this many children. */
static inline void await_children(pid_t pid, unsigned n)
{
    while (children_of(pid, NULL) != n)
        assert_int_equal(task_sleep(2, NULL), 0);
}

static inline pid_t the_worker(void)
{
    pid_t worker = 0;
    assert_int_equal(children_of(media_process(), &worker), 1);
    return worker;
}

static inline unsigned open_files(void)
{
    unsigned n = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

#endif
