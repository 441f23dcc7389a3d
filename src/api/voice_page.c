/* /voice: a page to speak with the server in a browser, from the files compiled in. The page is open to all: the
 * sockets that it speaks on are not. */
#include "api/api_impl.h"

#include "api/embedded.h"
#include "server/static_file.h"

/* Scripts and styles come from here alone, and never from inside the page. */
#define CONTENT_POLICY                                                                                                 \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "   \
    "form-action 'none'; frame-ancestors 'none'"

static const struct embedded_file *find(struct str name)
{
    for (size_t i = 0; i < voice_file_count; i++)
        if (str_eqc(name, voice_files[i].name))
            return &voice_files[i];
    return NULL;
}

static struct str type_of(struct str name)
{
    if (str_ends(name, STR(".html")))
        return STR("text/html; charset=utf-8");
    if (str_ends(name, STR(".js")))
        return STR("text/javascript; charset=utf-8");
    return str_ends(name, STR(".css")) ? STR("text/css; charset=utf-8") : STR("image/svg+xml");
}

static void reply_file(struct http_request *rq, const struct embedded_file *file)
{
    struct err e;
    if (file) {
        static_bytes_reply(rq, file->content, file->etag, type_of(str_c(file->name)));
        return;
    }
    err_set(&e, ERR_NOT_FOUND, "File not found");
    http_reply_error(rq, &e);
}

/* The page names its parts beside itself, so that a proxy may serve it below a path of its own. */
static void get_page(struct http_request *rq)
{
    if (str_ends(rq->head->path, STR("/"))) {
        http_reply_header(rq, STR("Location"), STR("../voice"));
        http_reply_text(rq, 308, STR("The page is at /voice"));
        return;
    }
    http_reply_header(rq, STR("Content-Security-Policy"), STR(CONTENT_POLICY));
    http_reply_header(rq, STR("Permissions-Policy"), STR("microphone=(self), camera=(), geolocation=()"));
    reply_file(rq, find(STR("index.html")));
}

static void get_file(struct http_request *rq)
{
    reply_file(rq, str_eqc(rq->params[0], "index.html") ? NULL : find(rq->params[0]));
}

/* A browser is not told why a WebSocket was refused: so the page asks before. */
static void get_access(struct http_request *rq)
{
    struct err e;
    struct jw w = reply_writer(rq, KIB(1));
    jw_obj(&w);
    jw_kbool(&w, "realtime", admit_dialect(rq, "openai", &e) == 0);
    jw_kbool(&w, "audio", admit_dialect(rq, "aimcs", &e) == 0);
    jw_end_obj(&w);
    http_reply_header(rq, STR("Cache-Control"), STR("no-store"));
    http_reply_jw(rq, 200, &w);
}

static const struct http_route routes[] = {
    {HTTP_GET, "/voice", get_page, NULL, 0, NULL, "A page to speak with the server"},
    {HTTP_GET, "/voice/access", get_access, NULL, 0, NULL, "Which voice sockets the client may open"},
    {HTTP_GET, "/voice/:file", get_file, NULL, 0, NULL, "What the page is made of"},
};

const struct door door_voice_page = {routes, COUNT(routes), NULL};
