#include "api/file_reply.h"

#include "api/audio_range.h"
#include "base/mem.h"
#include "server/static_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NAME_BYTES 255
#define PIECE      KIB(128) /* of a file in memory at a time */

bool file_name_is_plain(struct str name)
{
    if (name.n == 0 || name.n > NAME_BYTES || name.p[0] == '.')
        return false;
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] < 0x20 || name.p[i] == '/' || name.p[i] == '\\' || name.p[i] == 0x7f)
            return false;
    return true;
}

/* ---- the range ---- */

/* The range that is asked for, unless the client has part of something else (If-Range). */
static struct str wanted_range(struct http_request *rq, struct str etag)
{
    struct str condition = http_request_header(rq, STR("if-range")), range = http_request_header(rq, STR("range"));
    bool applies = rq->method == HTTP_GET && range.p && (!condition.p || str_eq(str_trim(condition), etag));
    return applies ? range : STR("");
}

/* What is to be sent, so that only that is read. */
struct choice {
    struct audio_range part;
    bool known, empty; /* empty: no bytes are sent, only their number */
};

static struct choice choose(struct http_request *rq, struct str etag, uint64_t size)
{
    struct choice c = {.part = audio_range_read(wanted_range(rq, etag), size), .known = static_is_known(rq, etag)};
    c.empty = c.known || rq->method == HTTP_HEAD || c.part.status == 416;
    return c;
}

static void put_headers(struct http_request *rq, const struct file_reply *how, const struct choice *c, uint64_t size)
{
    http_reply_header(rq, STR("ETag"), how->etag);
    http_reply_header(rq, STR("Cache-Control"), how->cache);
    http_reply_header(rq, STR("Accept-Ranges"), STR("bytes"));
    if (!c->known && c->part.status != 200)
        http_reply_header(rq, STR("Content-Range"), audio_range_header(rq->arena, &c->part, size));
}

/* `content` is the part's bytes. */
static void reply(struct http_request *rq, const struct file_reply *how, const struct choice *c, uint64_t size,
                  struct str content)
{
    put_headers(rq, how, c, size);
    if (c->known)
        http_reply(rq, 304, how->type, STR(""));
    else if (c->part.status == 416)
        http_reply_text(rq, 416, STR("The range lies behind the end"));
    else
        http_reply(rq, c->part.status, how->type, content);
}

void bytes_reply(struct http_request *rq, struct str content, const struct file_reply *how)
{
    struct choice c = choose(rq, how->etag, content.n);
    reply(rq, how, &c, content.n, str_n(content.p + c.part.from, (size_t)c.part.n));
}

/* ---- files: opened and read in the worker pool ---- */

struct reading {
    const char *path;
    struct file_reply how;
    int fd; /* -1: there is none */
    struct stat st;
    uint64_t from;
    struct blob *content;
    bool failed;
};

static bool is_there(struct reading *r)
{
    const struct file_reply *how = &r->how;
    return fstat(r->fd, &r->st) == 0 && S_ISREG(r->st.st_mode) && (uint64_t)r->st.st_size <= how->max &&
           (!how->check || how->check(how->arg, r->fd, &r->st, &r->how.type));
}

static void open_file(void *arg)
{
    struct reading *r = arg;
    r->fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (r->fd < 0 || is_there(r))
        return;
    close(r->fd);
    r->fd = -1;
}

static void read_part(void *arg)
{
    struct reading *r = arg;
    for (size_t at = 0; at < r->content->n && !r->failed;) {
        ssize_t n = pread(r->fd, r->content->data + at, r->content->n - at, (off_t)(r->from + at));
        r->failed = n == 0 || (n < 0 && errno != EINTR);
        at += n > 0 ? (size_t)n : 0;
    }
}

static struct str made_etag(struct arena *arena, const struct stat *st)
{
    return arena_printf(arena, "\"%" PRIx64 ".%lx-%" PRIx64 "\"", (uint64_t)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
                        (uint64_t)st->st_size);
}

/* The next piece of the part, from r->from on. */
static int read_piece(struct reading *r, uint64_t left)
{
    r->content = blob_alloc((size_t)MIN(left, PIECE));
    if (pool_call(read_part, r, NULL) == 0 && !r->failed)
        return 0;
    r->content = blob_unref(r->content);
    return -1;
}

/* Piece by piece, so that many slow readers need no more memory than a few pieces each. A file that changes meanwhile
 * cuts the reply. */
static int reply_pieces(struct http_request *rq, struct reading *r, const struct choice *c)
{
    uint64_t left = c->part.n;
    int result = 0;
    while (result == 0 && left > 0) {
        if (read_piece(r, left) < 0)
            return http_replied(rq) ? 0 : -1;
        if (r->content->n == c->part.n) {
            reply(rq, &r->how, c, (uint64_t)r->st.st_size, blob_str(r->content));
            r->content = blob_unref(r->content);
            return 0;
        }
        if (!http_replied(rq)) {
            put_headers(rq, &r->how, c, (uint64_t)r->st.st_size);
            http_stream_begin_sized(rq, c->part.status, r->how.type, c->part.n);
        }
        r->from += r->content->n;
        left -= r->content->n;
        result = http_stream_blob(rq, r->content, NULL);
        r->content = blob_unref(r->content);
    }
    if (result == 0)
        http_stream_end(rq);
    return 0;
}

static int reply_open(struct http_request *rq, struct reading *r)
{
    uint64_t size = (uint64_t)r->st.st_size;
    if (!r->how.etag.n)
        r->how.etag = made_etag(rq->arena, &r->st);
    struct choice c = choose(rq, r->how.etag, size);
    if (c.empty || c.part.n == 0) { /* to HEAD, only the length matters */
        reply(rq, &r->how, &c, size, str_n("", (size_t)c.part.n));
        return 0;
    }
    r->from = c.part.from;
    return reply_pieces(rq, r, &c);
}

int file_reply(struct http_request *rq, const char *folder, struct str name, const struct file_reply *how)
{
    struct reading r = {.how = *how, .fd = -1};
    if (!folder || !*folder)
        return -1;
    r.path = arena_printf(rq->arena, "%s/%.*s", folder, STR_ARG(name)).p;
    if (pool_call(open_file, &r, NULL) < 0 || r.fd < 0)
        return -1;
    int result = reply_open(rq, &r);
    close(r.fd);
    return result;
}
