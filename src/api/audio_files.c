/* Audio that is kept for a while, under names that cannot be guessed. The worker pool does what waits for the disk. */
#include "api/audio_files.h"

#include "api/api_impl.h"
#include "api/audio_range.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define RANDOM     16      /* bytes of a name: 128 bits */
#define SWEEP_MOST 600000  /* ms from one deletion to the next, at most … */
#define SWEEP_PART 4       /* … or this part of the retention */
#define UNFINISHED ".part" /* behind the name while it is written */
#define PATH_MOST  4096

struct audio_files {
    char *folder;
    uint64_t retention; /* ms */
    struct loop *loop;
    struct timer timer;
    bool ended;
};

/* ---- names ---- */

static bool is_hex(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
            return false;
    return true;
}

/* The format of a name of ours, SPEECH_FORMATS for any other: no other file is touched, whatever is asked for. */
static enum speech_format format_of(struct str name)
{
    if (name.n < 2 * RANDOM + 2 || !is_hex(str_n(name.p, (size_t)2 * RANDOM)) || name.p[2 * RANDOM] != '.')
        return SPEECH_FORMATS;
    return speech_format_find(str_from(name, 2 * RANDOM + 1));
}

static bool is_ours(struct str name)
{
    if (str_ends(name, STR(UNFINISHED)))
        name.n -= sizeof UNFINISHED - 1;
    return format_of(name) != SPEECH_FORMATS;
}

static void make_name(char name[AUDIO_NAME], enum speech_format format)
{
    unsigned char random[RANDOM];
    rand_bytes(random, sizeof random);
    hex_encode(name, random, sizeof random);
    snprintf(name + (size_t)2 * RANDOM, AUDIO_NAME - (size_t)2 * RANDOM, ".%s", speech_format_name(format));
}

static bool make_path(const struct audio_files *files, const char *name, const char *end, char path[PATH_MOST])
{
    int n = snprintf(path, PATH_MOST, "%s/%s%s", files->folder, name, end);
    return n > 0 && n < PATH_MOST;
}

static bool is_old(const struct audio_files *files, const struct stat *st)
{
    int64_t made = (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
    return clock_wall_ms() - made > (int64_t)files->retention;
}

/* ---- keeping (in the worker pool) ---- */

struct keeping {
    const struct audio_files *files;
    const char *name;
    struct str bytes;
    int result;
};

static void make_folder(const char *folder)
{
    char path[PATH_MOST];
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

static int write_file(const char *part, const char *path, struct str bytes)
{
    int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return -1;
    int result = write_all(fd, bytes);
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
    char *paths = mem_alloc((size_t)2 * PATH_MOST), *path = paths, *part = paths + PATH_MOST;
    k->result = -1;
    if (make_path(k->files, k->name, "", path) && make_path(k->files, k->name, UNFINISHED, part)) {
        k->result = write_file(part, path, k->bytes);
        if (k->result < 0 && errno == ENOENT) {
            make_folder(k->files->folder);
            k->result = write_file(part, path, k->bytes);
        }
    }
    if (k->result < 0)
        log_error("audio", "not_kept", F_C("reason", strerror(errno)));
    free(paths);
}

int audio_keep(struct audio_files *files, enum speech_format format, struct str bytes, char name[AUDIO_NAME],
               struct err *e)
{
    struct keeping k = {.files = files, .name = name, .bytes = bytes};
    if (!files)
        return err_set(e, ERR_NOT_CONFIGURED, "No audio is kept: AUDIO_PATH is not set");
    if (bytes.n > AUDIO_FILE_MAX)
        return err_set(e, ERR_INTERNAL_ERROR, "The audio is too long to be kept");
    make_name(name, format);
    if (pool_call(keep, &k, e) < 0)
        return -1;
    return k.result == 0 ? 0 : err_set(e, ERR_INTERNAL_ERROR, "The audio cannot be kept");
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
        if (is_ours(str_c(entry->d_name)) && fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode) && is_old(files, &st))
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

/* ---- serving ---- */

struct reading {
    const struct audio_files *files;
    const char *name;
    struct str range; /* the header, "" for none */
    bool head;        /* nothing is read */
    struct audio_range part;
    uint64_t size;
    struct blob *content; /* of the part */
    bool found;
};

static int read_part(int fd, struct blob *blob, uint64_t from)
{
    for (size_t at = 0; at < blob->n;) {
        ssize_t n = pread(fd, blob->data + at, blob->n - at, (off_t)(from + at));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        at += (size_t)n;
    }
    return 0;
}

static void read_open(struct reading *r, int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > (off_t)AUDIO_FILE_MAX || is_old(r->files, &st))
        return;
    r->size = (uint64_t)st.st_size;
    r->part = audio_range_read(r->range, r->size);
    r->found = true;
    if (r->head || r->part.status == 416)
        return;
    r->content = blob_alloc((size_t)r->part.n);
    if (read_part(fd, r->content, r->part.from) == 0)
        return;
    r->content = blob_unref(r->content);
    r->found = false;
}

static void read_file(void *arg)
{
    struct reading *r = arg;
    char *path = mem_alloc(PATH_MOST);
    int fd = make_path(r->files, r->name, "", path) ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
    if (fd >= 0) {
        read_open(r, fd);
        close(fd);
    }
    free(path);
}

static void not_found(struct http_request *rq)
{
    struct err e;
    err_set(&e, ERR_NOT_FOUND, "Audio not found");
    http_reply_error(rq, &e);
}

/* What a name stands for never changes, so the name is the validator. */
static bool is_known(struct http_request *rq, struct str etag)
{
    struct str list = http_request_header(rq, STR("if-none-match")), one;
    while (list.p && str_split(&list, ',', &one)) {
        one = str_trim(one);
        if (str_starts(one, STR("W/")))
            one = str_from(one, 2);
        if (str_eq(one, etag) || str_eqc(one, "*"))
            return true;
    }
    return false;
}

/* The range that is asked for, unless the client has part of something else (If-Range). */
static struct str wanted_range(struct http_request *rq, struct str etag)
{
    struct str condition = http_request_header(rq, STR("if-range")), range = http_request_header(rq, STR("range"));
    bool applies = rq->method == HTTP_GET && range.p && (!condition.p || str_eq(str_trim(condition), etag));
    return applies ? range : STR("");
}

static void reply_part(struct http_request *rq, const struct reading *r, enum speech_format format)
{
    if (r->part.status != 200)
        http_reply_header(rq, STR("Content-Range"), audio_range_header(rq->arena, &r->part, r->size));
    if (r->part.status == 416)
        http_reply_text(rq, 416, STR("The range lies behind the end"));
    else /* to HEAD, only the length matters */
        http_reply(rq, r->part.status, str_c(speech_format_type(format)),
                   r->content ? blob_str(r->content) : str_n("", r->head ? (size_t)r->part.n : 0));
}

static void get_audio(struct http_request *rq)
{
    struct reading r = {.files = api_of(rq)->audio, .name = rq->params[0].p, .head = rq->method == HTTP_HEAD};
    enum speech_format format = format_of(rq->params[0]);
    struct str etag = arena_printf(rq->arena, "\"%.*s\"", STR_ARG(rq->params[0]));
    if (!r.files || format == SPEECH_FORMATS) {
        not_found(rq);
        return;
    }
    r.name = arena_cstr(rq->arena, rq->params[0]);
    r.head |= is_known(rq, etag);
    r.range = wanted_range(rq, etag);
    if (pool_call(read_file, &r, NULL) < 0 || !r.found) {
        not_found(rq);
        return;
    }
    http_reply_header(rq, STR("ETag"), etag);
    http_reply_header(rq, STR("Cache-Control"), STR("private, max-age=3600"));
    http_reply_header(rq, STR("Accept-Ranges"), STR("bytes"));
    if (is_known(rq, etag))
        http_reply(rq, 304, STR(""), STR(""));
    else
        reply_part(rq, &r, format);
    blob_unref(r.content);
}

static const struct http_route routes[] = {
    {HTTP_GET, "/audio/:name", get_audio, NULL, 0, NULL, "Audio that is kept"},
    {HTTP_GET, "/public/audio/:name", get_audio, NULL, 0, NULL, "Audio that is kept"},
};

const struct door door_audio_files = {routes, COUNT(routes), NULL};

int audio_keep_lasting(struct audio_files *files, const char *prefix, enum speech_format format, struct str bytes,
                       char name[AUDIO_NAME], struct err *e)
{
    (void)prefix;
    return audio_keep(files, format, bytes, name, e);
}

int audio_keep_upload(struct audio_files *files, const struct audio_upload *upload, char name[AUDIO_NAME],
                      struct err *e)
{
    (void)upload;
    return audio_keep(files, SPEECH_WAV, STR(""), name, e);
}

void audio_drop(struct audio_files *files, struct str name)
{
    (void)files, (void)name;
}
