/* The data folder: made, locked, and the empty database file in it, all for this user only. */
#include "base/log.h"
#include "store/sqlite/sqlite_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int refuse(struct err *e, const char *what, const char *dir)
{
    return err_set(e, ERR_NOT_CONFIGURED, "data directory %s: %s: %s", dir, what, strerror(errno));
}

/* With its parents. */
static int make_dir(const char *dir, struct err *e)
{
    char path[1024];
    if (str_copy(path, sizeof path, str_c(dir)) != strlen(dir) || !dir[0])
        return err_set(e, ERR_NOT_CONFIGURED, "data directory: not a usable name");
    for (char *at = path + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = 0;
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
            return refuse(e, "cannot be made", dir);
        *at = '/';
    }
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return refuse(e, "cannot be made", dir);
    return 0;
}

static int in_use(int fd, const char *dir, struct err *e)
{
    char pid[16] = "";
    ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
    uint64_t number;
    if (n > 0 && str_u64(str_trim(str_n(pid, (size_t)n)), &number) == 0)
        return err_set(e, ERR_NOT_CONFIGURED, "data directory %s is in use by process %s", dir, pid);
    return err_set(e, ERR_NOT_CONFIGURED, "data directory %s is in use by another process", dir);
}

static int take_lock(int dir_fd, const char *dir, struct err *e)
{
    int fd = openat(dir_fd, "parley.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return refuse(e, "cannot be locked", dir);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            in_use(fd, dir, e);
        else
            refuse(e, "cannot be locked", dir);
        close(fd);
        return -1;
    }
    /* Only told to whoever finds the lock taken: a failure to write it is no reason to fail. */
    if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d", (int)getpid()) < 0)
        log_warn("store", "lock_unsigned", F_C("reason", strerror(errno)));
    return fd;
}

int sqlite_lock_dir(const char *dir, char *path, size_t cap, struct err *e)
{
    if (make_dir(dir, e) < 0)
        return -1;
    int n = snprintf(path, cap, "%s/parley.db", dir);
    if (n < 0 || (size_t)n >= cap)
        return err_set(e, ERR_NOT_CONFIGURED, "data directory: the name is too long");
    int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), lock_fd = -1;
    if (dir_fd < 0)
        return refuse(e, "cannot be opened", dir);
    lock_fd = take_lock(dir_fd, dir, e);
    if (lock_fd >= 0) {
        /* SQLite would make it readable for everybody; what it makes beside it takes this file's mode. */
        int file = openat(dir_fd, "parley.db", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (file < 0 || fsync(dir_fd) < 0) {
            refuse(e, "the database file cannot be made", dir);
            close(lock_fd);
            lock_fd = -1;
        }
        if (file >= 0)
            close(file);
    }
    close(dir_fd);
    return lock_fd;
}
