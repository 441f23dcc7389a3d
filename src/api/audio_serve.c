/* GET /audio/<name>: audio that is kept, whole or in parts. Whoever has the name may have it. */
#include "api/api_impl.h"
#include "api/audio_files_impl.h"
#include "api/audio_range.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct reading {
    const struct audio_files *files;
    const char *name;
    struct audio_name kind;
    struct str range; /* the header, "" for none */
    bool head;        /* nothing is read */
    struct audio_range part;
    uint64_t size;
    struct blob *content; /* of the part */
    const char *type;
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

/* A client's recording is what its bytes say, whatever its name does. */
static bool find_type(struct reading *r, int fd)
{
    char head[AUDIO_HEAD];
    if (r->kind.kind != AUDIO_UPLOAD) {
        r->type = speech_format_type(r->kind.format);
        return true;
    }
    ssize_t n = pread(fd, head, sizeof head, 0);
    r->type = n > 0 ? audio_type_of(str_n(head, (size_t)n)) : NULL;
    return r->type != NULL;
}

static void read_open(struct reading *r, int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > (off_t)AUDIO_FILE_MAX ||
        (r->kind.kind == AUDIO_BRIEF && audio_is_old(r->files, &st)) || !find_type(r, fd))
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
    char *path = mem_alloc(AUDIO_PATH_MAX);
    int fd = audio_path(r->files, r->name, "", path) ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
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

static void reply_part(struct http_request *rq, const struct reading *r)
{
    if (r->part.status != 200)
        http_reply_header(rq, STR("Content-Range"), audio_range_header(rq->arena, &r->part, r->size));
    if (r->part.status == 416)
        http_reply_text(rq, 416, STR("The range lies behind the end"));
    else /* to HEAD, only the length matters */
        http_reply(rq, r->part.status, str_c(r->type),
                   r->content ? blob_str(r->content) : str_n("", r->head ? (size_t)r->part.n : 0));
}

static void get_audio(struct http_request *rq)
{
    struct reading r = {
        .files = api_of(rq)->audio, .kind = audio_name_read(rq->params[0]), .head = rq->method == HTTP_HEAD};
    struct str etag = arena_printf(rq->arena, "\"%.*s\"", STR_ARG(rq->params[0]));
    if (!r.files || r.kind.kind == AUDIO_FOREIGN) {
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
    http_reply_header(rq, STR("Content-Security-Policy"), STR("sandbox"));
    if (is_known(rq, etag))
        http_reply(rq, 304, STR(""), STR(""));
    else
        reply_part(rq, &r);
    blob_unref(r.content);
}

static const struct http_route routes[] = {
    {HTTP_GET, "/audio/:name", get_audio, NULL, 0, NULL, "Audio that is kept"},
    {HTTP_GET, "/public/audio/:name", get_audio, NULL, 0, NULL, "Audio that is kept"},
};

const struct door door_audio_files = {routes, COUNT(routes), NULL};
