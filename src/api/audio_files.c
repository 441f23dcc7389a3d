/* Audio that is kept, for a while or for long, under names that cannot be guessed. The worker pool does what waits for
 * the disk. */
#include "api/audio_files_impl.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SWEEP_MOST     600000 /* ms from one deletion to the next, at most … */
#define SWEEP_PART     4      /* … or this part of the retention */
#define AUDIO_PATH_MAX 4096

/* ---- names ---- */

static struct str whole_name(struct str name)
{
    if (str_ends(name, STR(AUDIO_UNFINISHED)))
        name.n -= sizeof AUDIO_UNFINISHED - 1;
    return name;
}

/* What is kept for long goes by age, too, when its writing was cut off. */
static bool goes_by_age(struct str name)
{
    struct str whole = whole_name(name);
    enum audio_kind kind = audio_name_read(whole).kind;
    return kind == AUDIO_BRIEF || (kind != AUDIO_FOREIGN && whole.n < name.n);
}

/* false when it is too long. */
static bool audio_path(const struct audio_files *files, const char *name, const char *end, char path[AUDIO_PATH_MAX])
{
    int n = snprintf(path, AUDIO_PATH_MAX, "%s/%s%s", files->folder, name, end);
    return n > 0 && n < AUDIO_PATH_MAX;
}

bool audio_is_old(const struct audio_files *files, const struct stat *st)
{
    int64_t made = (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
    return clock_wall_ms() - made > (int64_t)files->retention;
}

/* ---- keeping (in the worker pool) ---- */

struct keeping {
    const struct audio_files *files;
    const char *name;
    struct str bytes;
    bool synced; /* nobody could make it again: it is on the disk before it is told of */
    int result;
};

static void make_folder(const char *folder)
{
    char path[AUDIO_PATH_MAX];
    str_copy(path, sizeof path, str_c(folder));
    for (char *at = path + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = 0;
        mkdir(path, 0750);
        *at = '/';
    }
    mkdir(path, 0750);
}

static int write_all(int fd, struct str bytes)
{
    while (bytes.n > 0) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno != EINTR)
            return -1;
        bytes = str_from(bytes, n > 0 ? (size_t)n : 0);
    }
    return 0;
}

static int write_file(const char *part, const char *path, const struct keeping *k)
{
    int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return -1;
    int result = write_all(fd, k->bytes);
    if (result == 0 && k->synced)
        result = fsync(fd);
    if (close(fd) < 0)
        result = -1;
    if (result == 0)
        result = rename(part, path);
    if (result < 0)
        unlink(part);
    return result;
}

static void keep(void *arg)
{
    struct keeping *k = arg;
    char *paths = mem_alloc((size_t)2 * AUDIO_PATH_MAX), *path = paths, *part = paths + AUDIO_PATH_MAX;
    k->result = -1;
    if (audio_path(k->files, k->name, "", path) && audio_path(k->files, k->name, AUDIO_UNFINISHED, part)) {
        k->result = write_file(part, path, k);
        if (k->result < 0 && errno == ENOENT) {
            make_folder(k->files->folder);
            k->result = write_file(part, path, k);
        }
    }
    if (k->result < 0)
        log_error("audio", "not_kept", F_C("reason", strerror(errno)));
    free(paths);
}

static int keep_bytes(struct keeping *k, struct err *e)
{
    if (k->bytes.n > AUDIO_FILE_MAX)
        return err_set(e, ERR_INTERNAL_ERROR, "The audio is too long to be kept");
    if (pool_call(keep, k, e) < 0)
        return -1;
    return k->result == 0 ? 0 : err_set(e, ERR_INTERNAL_ERROR, "The audio cannot be kept");
}

static int no_folder(struct err *e)
{
    return err_set(e, ERR_NOT_CONFIGURED, "No audio is kept: AUDIO_PATH is not set");
}

int audio_keep(struct audio_files *files, enum speech_format format, struct str bytes, char name[AUDIO_NAME],
               struct err *e)
{
    if (!files)
        return no_folder(e);
    audio_name_brief(name, format);
    return keep_bytes(&(struct keeping){.files = files, .name = name, .bytes = bytes}, e);
}

int audio_keep_lasting(struct audio_files *files, const char *prefix, enum speech_format format, struct str bytes,
                       char name[AUDIO_NAME], struct err *e)
{
    if (!files)
        return no_folder(e);
    audio_name_lasting(name, prefix, format, clock_wall_ms());
    return keep_bytes(&(struct keeping){.files = files, .name = name, .bytes = bytes}, e);
}

int audio_check_upload(const struct audio_upload *upload, struct err *e)
{
    if (audio_type_of(upload->bytes))
        return 0;
    return err_set(e, ERR_INVALID_REQUEST, "The file is no audio: WebM, WAV, Ogg, MP3, MP4, AAC and FLAC are");
}

int audio_keep_upload(struct audio_files *files, const struct audio_upload *upload, char name[AUDIO_NAME],
                      struct err *e)
{
    if (!files)
        return no_folder(e);
    if (audio_check_upload(upload, e) < 0)
        return -1;
    audio_name_upload(name, upload->name, clock_wall_ms());
    return keep_bytes(&(struct keeping){.files = files, .name = name, .bytes = upload->bytes, .synced = true}, e);
}

/* ---- deleting ---- */

static void sweep(void *arg)
{
    const struct audio_files *files = arg;
    DIR *dir = opendir(files->folder);
    struct dirent *entry;
    struct stat st;
    int64_t deleted = 0;
    while (dir && (entry = readdir(dir)) != NULL)
        if (goes_by_age(str_c(entry->d_name)) && fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode) && audio_is_old(files, &st))
            deleted += unlinkat(dirfd(dir), entry->d_name, 0) == 0;
    if (dir)
        closedir(dir);
    if (deleted)
        log_info("audio", "deleted", F_INT("files", deleted));
}

static void sweep_task(void *arg)
{
    struct audio_files *files = arg;
    if (pool_call(sweep, files, NULL) == 0 && !files->ended)
        timer_start(files->loop, &files->timer, MIN(MAX(files->retention / SWEEP_PART, 100), SWEEP_MOST));
}

static void on_timer(struct timer *timer)
{
    struct audio_files *files = container_of(timer, struct audio_files, timer);
    if (task_room())
        task_spawn("audio sweep", sweep_task, files);
    else
        timer_start(files->loop, timer, SWEEP_MOST);
}

static void begin(void *arg)
{
    struct audio_files *files = arg;
    if (!files->ended)
        timer_start(files->loop, &files->timer, 0);
}

/* ---- deleting one ---- */

struct dropping {
    struct audio_files *files;
    bool done;
    char name[AUDIO_NAME];
};

static void drop(void *arg)
{
    struct dropping *d = arg;
    char *path = mem_alloc(AUDIO_PATH_MAX);
    if (audio_path(d->files, d->name, "", path) && unlink(path) < 0 && errno != ENOENT)
        log_error("audio", "not_deleted", F_C("reason", strerror(errno)));
    d->done = true;
    free(path);
}

/* At the end of the loop, or of its tasks, there is no time to do it elsewhere. */
static void drop_task(void *arg)
{
    struct dropping *d = arg;
    pool_call(drop, d, NULL);
    if (!d->done)
        drop(d);
    free(d);
}

static void begin_drop(void *arg)
{
    struct dropping *d = arg;
    if (!d->files->ended && task_room()) {
        task_spawn("audio drop", drop_task, d);
    } else {
        drop(d);
        free(d);
    }
}

void audio_drop(struct audio_files *files, struct str name)
{
    enum audio_kind kind = audio_name_read(name).kind;
    if (!files || (kind != AUDIO_LASTING && kind != AUDIO_UPLOAD))
        return;
    struct dropping *d = mem_zalloc(sizeof *d);
    d->files = files;
    str_copy(d->name, sizeof d->name, name);
    loop_post(files->loop, begin_drop, d);
}

/* ---- beginning and end ---- */

struct audio_files *audio_files_new(const char *folder, uint64_t retention_ms, struct loop *loop)
{
    if (!folder || !*folder)
        return NULL;
    struct audio_files *files = mem_zalloc(sizeof *files);
    files->folder = str_dup(str_c(folder));
    files->retention = retention_ms;
    files->loop = loop;
    files->timer.fn = on_timer;
    loop_post(loop, begin, files);
    return files;
}

void audio_files_loop_end(struct audio_files *files)
{
    if (!files || files->loop != loop_self())
        return;
    files->ended = true;
    timer_stop(files->loop, &files->timer);
}

struct audio_files *audio_files_free(struct audio_files *files)
{
    if (files)
        free(files->folder);
    free(files);
    return NULL;
}
