/* GET /audio/<name>: audio that is kept, whole or in parts. Whoever has the name may have it. */
#include "api/audio_files_impl.h"
#include "api/file_reply.h"

#include <unistd.h>

struct wanted {
    const struct audio_files *files;
    struct audio_name kind;
};

/* A client's recording is what its bytes say, whatever its name does. */
static bool check(const void *arg, int fd, const struct stat *st, struct str *type)
{
    const struct wanted *w = arg;
    char head[AUDIO_HEAD];
    if (w->kind.kind == AUDIO_BRIEF && audio_is_old(w->files, st))
        return false;
    if (w->kind.kind != AUDIO_UPLOAD) {
        *type = str_c(speech_format_type(w->kind.format));
        return true;
    }
    ssize_t n = pread(fd, head, sizeof head, 0);
    *type = str_c(n > 0 ? audio_type_of(str_n(head, (size_t)n)) : NULL);
    return type->p != NULL;
}

static void get_audio(struct http_request *rq)
{
    struct err e;
    struct str name = rq->params[0];
    struct wanted wanted = {api_of(rq)->audio, audio_name_read(name)};
    struct file_reply how = {
        .cache = STR("private, max-age=3600"),
        .etag = arena_printf(rq->arena, "\"%.*s\"", STR_ARG(name)), /* what it stands for never changes */
        .max = AUDIO_FILE_MAX,
        .check = check,
        .arg = &wanted,
    };
    http_reply_header(rq, STR("Content-Security-Policy"), STR("sandbox"));
    if (wanted.files && wanted.kind.kind != AUDIO_FOREIGN && file_reply(rq, wanted.files->folder, name, &how) == 0)
        return;
    err_set(&e, ERR_NOT_FOUND, "Audio not found");
    http_reply_error(rq, &e);
}

static const struct http_route routes[] = {
    {HTTP_GET, "/audio/:name", get_audio, NULL, 0, NULL, "Audio that is kept"},
    {HTTP_GET, "/public/audio/:name", get_audio, NULL, 0, NULL, "Audio that is kept"},
};

const struct door door_audio_files = {routes, COUNT(routes), NULL};
