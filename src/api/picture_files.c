/* Pictures that users send: kept as what they are, under names that cannot be guessed. Whoever refers to one has a file
 * of his own, so that what one drops, another one keeps. The worker pool does what waits for the disk. */
#include "api/pictures_impl.h"

#include "api/embedded.h"
#include "api/file_reply.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "wire/base64.h"
#include "wire/picture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define RANDOM     16 /* bytes of a name */
#define NAME_BYTES (2 * RANDOM + 5)
#define UNFINISHED ".part"

struct pictures *pictures_new(const struct api_config *config)
{
    struct pictures *pictures = mem_zalloc(sizeof *pictures);
    pictures->folder = config->avatar_path;
    pictures->max = config->max_file_size;
    pictures->types = config->file_types;
    pictures->ntypes = config->nfile_types;
    return pictures;
}

struct pictures *pictures_free(struct pictures *pictures)
{
    free(pictures);
    return NULL;
}

/* ---- names ---- */

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* Whether the name is one that was made here. */
static bool is_made(struct str name)
{
    if (name.n < 2 * RANDOM + 2 || name.p[2 * RANDOM] != '.')
        return false;
    for (size_t i = 0; i < (size_t)2 * RANDOM; i++)
        if (!is_hex(name.p[i]))
            return false;
    for (enum picture_type type = 0; type < PICTURE_TYPES; type++)
        if (str_eqc(str_from(name, 2 * RANDOM + 1), picture_ending(type)))
            return true;
    return false;
}

static void make_name(char name[NAME_BYTES], const char *ending)
{
    unsigned char random[RANDOM];
    rand_bytes(random, sizeof random);
    hex_encode(name, random, sizeof random);
    snprintf(name + (size_t)2 * RANDOM, NAME_BYTES - (size_t)2 * RANDOM, ".%s", ending);
}

/* The name in a path as clients have it, empty when it is none. */
static struct str name_of(struct str path)
{
    struct str name = str_from(path, sizeof PICTURES_AT - 1);
    return str_starts(path, STR(PICTURES_AT)) && file_name_is_plain(name) ? name : STR("");
}

bool picture_is_made(struct str path)
{
    return is_made(name_of(path));
}

static const char *file_path(const struct pictures *pictures, struct arena *arena, struct str name, const char *end)
{
    return arena_printf(arena, "%s/%.*s%s", pictures->folder, STR_ARG(name), end).p;
}

static struct str public_path(struct arena *arena, const char *name)
{
    return arena_printf(arena, PICTURES_AT "%s", name);
}

/* ---- the disk (in the worker pool) ---- */

struct work {
    const char *folder, *path, *part; /* part: "" for none */
    const char *from;                 /* copying: another file of the folder */
    struct str bytes;
    int result, error;
};

static void make_folder(struct work *work)
{
    char *path = str_dup(str_c(work->folder));
    for (char *at = path + 1; *path && *at; at++) {
        if (*at != '/')
            continue;
        *at = 0;
        mkdir(path, 0755);
        *at = '/';
    }
    mkdir(path, 0755);
    free(path);
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

/* 0644 whatever the umask: what serves the folder may be another program. */
static int write_part(const struct work *work)
{
    int fd = open(work->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return -1;
    int result = fchmod(fd, 0644) < 0 || write_all(fd, work->bytes) < 0 ? -1 : 0;
    if (close(fd) < 0)
        result = -1;
    if (result == 0)
        result = rename(work->part, work->path);
    if (result < 0)
        unlink(work->part);
    return result;
}

static void write_file(void *arg)
{
    struct work *work = arg;
    work->result = write_part(work);
    if (work->result < 0 && errno == ENOENT) {
        make_folder(work);
        work->result = write_part(work);
    }
    work->error = errno;
}

static void link_file(void *arg)
{
    struct work *work = arg;
    work->result = link(work->from, work->path);
}

static void look_for_file(void *arg)
{
    struct work *work = arg;
    struct stat st;
    work->result = lstat(work->path, &st) == 0 && S_ISREG(st.st_mode) ? 0 : -1;
}

static void delete_file(void *arg)
{
    const struct work *work = arg;
    unlink(work->path);
}

/* ---- keeping ---- */

static bool may_be(const struct pictures *pictures, enum picture_type type)
{
    for (size_t i = 0; i < pictures->ntypes; i++) {
        struct str name = str_c(pictures->types[i]);
        name = str_starts(name, STR(".")) ? str_from(name, 1) : name;
        if (type < PICTURE_TYPES &&
            (str_ieq(name, str_c(picture_ending(type))) || (type == PICTURE_JPEG && str_ieq(name, STR("jpeg")))))
            return true;
    }
    return false;
}

static int refuse_type(const struct pictures *pictures, struct err *e)
{
    char text[128];
    struct buf list = {.data = text, .cap = sizeof text, .max = sizeof text - 1};
    for (size_t i = 0; i < pictures->ntypes; i++)
        buf_addf(&list, "%s%s", i ? ", " : "", pictures->types[i]);
    return err_set(e, ERR_INVALID_REQUEST, "The picture must be one of: %.*s", STR_ARG(buf_str(&list)));
}

struct reading {
    struct str bytes;
    struct picture picture;
    struct buf kept;
    struct err e;
    int result;
};

static void read_picture(void *arg)
{
    struct reading *r = arg;
    r->result = picture_read(r->bytes, &r->picture, &r->kept, &r->e);
}

static int store(const struct pictures *pictures, const struct reading *r, struct arena *arena, struct str *path,
                 struct err *e)
{
    char name[NAME_BYTES];
    make_name(name, picture_ending(r->picture.type));
    struct work work = {.folder = pictures->folder,
                        .path = file_path(pictures, arena, str_c(name), ""),
                        .part = file_path(pictures, arena, str_c(name), UNFINISHED),
                        .bytes = buf_str(&r->kept)};
    if (pool_call(write_file, &work, e) < 0)
        return -1;
    if (work.result < 0) {
        log_error("pictures", "not_kept", F_C("reason", strerror(work.error)));
        return err_set(e, ERR_INTERNAL_ERROR, "The picture cannot be kept");
    }
    *path = public_path(arena, name);
    return 0;
}

static int no_folder(const struct pictures *pictures, struct err *e)
{
    if (!pictures || !pictures->folder || !*pictures->folder)
        return err_set(e, ERR_NOT_CONFIGURED, "No pictures are kept: AVATAR_PATH is not set");
    return 0;
}

int picture_keep(struct pictures *pictures, struct str bytes, struct arena *arena, struct str *path, struct err *e)
{
    if (no_folder(pictures, e) < 0)
        return -1;
    if (bytes.n > pictures->max)
        return err_set(e, ERR_BODY_TOO_LARGE, "The picture is larger than %llu bytes",
                       (unsigned long long)pictures->max);
    if (!may_be(pictures, picture_type_of(bytes)))
        return refuse_type(pictures, e);
    struct reading r = {.bytes = bytes, .kept = BUF_INIT(bytes.n + PICTURE_GROWTH)};
    int result = pool_call(read_picture, &r, e);
    if (result == 0 && (result = r.result) < 0 && e)
        *e = r.e;
    if (result == 0)
        result = store(pictures, &r, arena, path, e);
    buf_free(&r.kept);
    return result;
}

void picture_drop(struct pictures *pictures, struct str path)
{
    struct str name = name_of(path);
    if (no_folder(pictures, NULL) < 0 || !is_made(name))
        return;
    struct arena *arena = arena_new("picture");
    struct work work = {.path = file_path(pictures, arena, name, "")};
    task_shield(); /* nobody would come back for it */
    pool_call(delete_file, &work, NULL);
    task_unshield();
    arena_free(arena);
}

/* ---- what a member says ---- */

static int keep_data(struct pictures *pictures, struct str text, struct arena *arena, struct str *path, struct err *e)
{
    ptrdiff_t comma = str_find_char(text, ',');
    struct str head = str_n(text.p, comma < 0 ? 0 : (size_t)comma);
    if (!str_ends(head, STR(";base64")))
        return err_set(e, ERR_INVALID_REQUEST, "The picture's data must be base64");
    text = str_from(text, head.n + 1);
    if (text.n / 4 > pictures->max / 3 + 1)
        return err_set(e, ERR_BODY_TOO_LARGE, "The picture is larger than %llu bytes",
                       (unsigned long long)pictures->max);
    struct buf bytes = BUF_INIT(text.n);
    int result = base64_decode(&bytes, text);
    if (result < 0)
        err_set(e, ERR_INVALID_REQUEST, "The picture's data must be base64");
    else
        result = picture_keep(pictures, buf_str(&bytes), arena, path, e);
    buf_free(&bytes);
    return result;
}

static int not_there(struct err *e)
{
    return err_set(e, ERR_INVALID_REQUEST, "There is no such picture");
}

/* Somebody's picture gets another name, which its new owner may drop. */
static int link_picture(struct pictures *pictures, struct str name, struct arena *arena, struct str *path,
                        struct err *e)
{
    char fresh[NAME_BYTES];
    make_name(fresh, arena_cstr(arena, str_from(name, 2 * RANDOM + 1)));
    struct work work = {.path = file_path(pictures, arena, str_c(fresh), ""),
                        .from = file_path(pictures, arena, name, "")};
    if (pool_call(link_file, &work, e) < 0)
        return -1;
    if (work.result < 0)
        return not_there(e);
    *path = public_path(arena, fresh);
    return 0;
}

int picture_of_text(struct pictures *pictures, struct str text, struct arena *arena, struct str *path, struct err *e)
{
    struct str name = name_of(text);
    if (!text.n) {
        *path = STR("");
        return 0;
    }
    if (str_starts(text, STR("data:")))
        return no_folder(pictures, e) < 0 ? -1 : keep_data(pictures, text, arena, path, e);
    if (!name.n)
        return not_there(e);
    if (no_folder(pictures, NULL) == 0 && is_made(name))
        return link_picture(pictures, name, arena, path, e);
    if (!picture_of_ours(name)) {
        struct work work = {.result = -1};
        if (no_folder(pictures, NULL) == 0) {
            work.path = file_path(pictures, arena, name, "");
            if (pool_call(look_for_file, &work, e) < 0)
                return -1;
        }
        if (work.result < 0)
            return not_there(e);
    }
    *path = arena_str(arena, text);
    return 0;
}
