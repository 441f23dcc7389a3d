#include "server/static_file.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_all(int fd, struct blob *blob)
{
    size_t at = 0;
    while (at < blob->n) {
        ssize_t n = read(fd, blob->data + at, blob->n - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        at += (size_t)n;
    }
    return 0;
}

static struct static_file *read_open(int fd, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        err_set(e, ERR_NOT_FOUND, NULL);
        return NULL;
    }
    if ((uint64_t)st.st_size > STATIC_FILE_MAX) {
        err_set(e, ERR_INTERNAL_ERROR, "The file is too large");
        return NULL;
    }
    struct blob *content = blob_alloc((size_t)st.st_size);
    if (read_all(fd, content) < 0) {
        blob_unref(content);
        err_set(e, ERR_INTERNAL_ERROR, "The file cannot be read");
        return NULL;
    }
    struct static_file *file = mem_zalloc(sizeof *file);
    file->content = content;
    snprintf(file->etag, sizeof file->etag, "\"%llx-%llx\"", (unsigned long long)st.st_mtime,
             (unsigned long long)st.st_size);
    return file;
}

struct static_file *static_file_read(const char *path, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        bool absent = errno == ENOENT || errno == ENOTDIR;
        err_set(e, absent ? ERR_NOT_FOUND : ERR_INTERNAL_ERROR, absent ? NULL : "The file cannot be opened");
        return NULL;
    }
    struct static_file *file = read_open(fd, e);
    close(fd);
    return file;
}

struct static_file *static_file_free(struct static_file *file)
{
    if (file)
        blob_unref(file->content);
    free(file);
    return NULL;
}

bool static_is_known(struct http_request *rq, struct str etag)
{
    struct str list = http_request_header(rq, STR("if-none-match")), one;
    while (str_split(&list, ',', &one)) {
        one = str_trim(one);
        if (str_starts(one, STR("W/")))
            one = str_from(one, 2);
        if (str_eq(one, etag) || str_eqc(one, "*"))
            return true;
    }
    return false;
}

void static_bytes_reply(struct http_request *rq, struct str content, const char *etag, struct str content_type)
{
    http_reply_header(rq, STR("ETag"), str_c(etag));
    http_reply_header(rq, STR("Cache-Control"), STR("public, max-age=0"));
    /* Browsers take a 304's headers into their copy: it has the type of the content, as the security headers depend on
     * that. */
    if (static_is_known(rq, str_c(etag)))
        http_reply(rq, 304, content_type, STR(""));
    else
        http_reply(rq, 200, content_type, content);
}

void static_file_reply(struct http_request *rq, const struct static_file *file, struct str content_type)
{
    const char *etag = arena_str(rq->arena, str_c(file->etag)).p;
    static_bytes_reply(rq, blob_str(file->content), etag, content_type);
}
