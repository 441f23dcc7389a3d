/* GET /public/avatars/<name> and /uploads/<name>: files of two folders, and the pictures that the program has of its
 * own. Whoever has the name may have the file. */
#include "api/pictures_impl.h"

#include "api/embedded.h"
#include "api/file_reply.h"

#define SERVED_MAX MIB(16) /* or as much as may be uploaded */
/* Pictures that hold markup run nothing, wherever they are opened. */
#define PICTURE_POLICY "default-src 'none'; sandbox"

static const struct ending {
    const char *ending, *type;
    bool picture;
} endings[] = {
    {".png", "image/png", true},
    {".jpg", "image/jpeg", true},
    {".jpeg", "image/jpeg", true},
    {".gif", "image/gif", true},
    {".webp", "image/webp", true},
    {".mp3", "audio/mpeg", false},
    {".wav", "audio/wav", false},
    {".ogg", "audio/ogg", false},
    {".opus", "audio/ogg", false},
    {".webm", "audio/webm", false},
    {".m4a", "audio/mp4", false},
    {".flac", "audio/flac", false},
    {".txt", "text/plain; charset=utf-8", false},
};

static bool ends_with(struct str name, const char *ending)
{
    size_t n = strlen(ending);
    return name.n > n && str_ieq(str_from(name, name.n - n), str_n(ending, n));
}

static const struct ending *ending_of(struct str name)
{
    for (size_t i = 0; i < COUNT(endings); i++)
        if (ends_with(name, endings[i].ending))
            return &endings[i];
    return NULL;
}

const struct embedded_file *picture_of_ours(struct str name)
{
    for (size_t i = 0; i < avatar_file_count; i++)
        if (str_eqc(name, avatar_files[i].name))
            return &avatar_files[i];
    return NULL;
}

static uint64_t served_max(const struct http_request *rq)
{
    return MAX(api_of(rq)->config.max_file_size, SERVED_MAX);
}

static void not_found(struct http_request *rq)
{
    struct err e;
    err_set(&e, ERR_NOT_FOUND, "File not found");
    http_reply_error(rq, &e);
}

static struct str picture_type(struct str name)
{
    const struct ending *ending = ending_of(name);
    if (ends_with(name, ".svg"))
        return STR("image/svg+xml");
    return ending && ending->picture ? str_c(ending->type) : STR("");
}

/* A file of the operator's goes before ours of the same name. */
static void get_avatar(struct http_request *rq)
{
    struct str name = rq->params[0];
    const struct embedded_file *ours = picture_of_ours(name);
    struct file_reply how = {
        .type = picture_type(name), .cache = STR("public, max-age=3600"), .etag = STR(""), .max = served_max(rq)};
    if (!file_name_is_plain(name) || !how.type.n) {
        not_found(rq);
        return;
    }
    http_reply_header(rq, STR("Content-Security-Policy"), STR(PICTURE_POLICY));
    if (file_reply(rq, api_of(rq)->config.avatar_path, name, &how) == 0)
        return;
    how.etag = ours ? str_c(ours->etag) : STR("");
    if (ours)
        bytes_reply(rq, ours->content, &how);
    else
        not_found(rq);
}

/* What no browser needs to show is saved, never opened. */
static void get_upload(struct http_request *rq)
{
    struct str name = rq->params[0];
    const struct ending *ending = ending_of(name);
    struct file_reply how = {.type = ending ? str_c(ending->type) : STR("application/octet-stream"),
                             .cache = STR("private, max-age=3600"),
                             .etag = STR(""),
                             .max = served_max(rq)};
    if (!file_name_is_plain(name)) {
        not_found(rq);
        return;
    }
    http_reply_header(rq, STR("Content-Security-Policy"), STR(PICTURE_POLICY));
    if (!ending)
        http_reply_header(rq, STR("Content-Disposition"), STR("attachment"));
    if (file_reply(rq, api_of(rq)->config.upload_path, name, &how) < 0)
        not_found(rq);
}

static const struct http_route routes[] = {
    {HTTP_GET, "/public/avatars/:name", get_avatar, NULL, 0, NULL, "A picture"},
    {HTTP_GET, "/uploads/:name", get_upload, NULL, 0, NULL, "A file of the operator's"},
};

const struct door door_pictures = {routes, COUNT(routes), NULL};
