#include "api/realtime_secret.h"

#include "api/realtime_impl.h"
#include "auth/mac.h"
#include "auth/token.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "wire/base64.h"

#include <pthread.h>
#include <stdlib.h>

#define PREFIX    "ek_"
#define STAMP_LEN 8
#define HEAD_LEN  (MAC_LEN + STAMP_LEN)

static unsigned char own_key[MAC_LEN]; /* where no API token is configured: for as long as the process lives */

static void make_own_key(void)
{
    rand_bytes(own_key, sizeof own_key);
}

static void signing_key(const struct api *api, unsigned char out[MAC_LEN])
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const char *token = atomic_load_explicit(&api->access, memory_order_acquire)->token;
    pthread_once(&once, make_own_key);
    struct str root = token && token[0] ? str_c(token) : str_n(own_key, sizeof own_key);
    mac_sign(out, root, STR("realtime client secret"));
}

int realtime_secret_put(const struct api *api, struct str session, int64_t expires_at, struct buf *out)
{
    unsigned char key[MAC_LEN];
    struct buf plain = BUF_INIT(HEAD_LEN + REALTIME_SECRET_SESSION);
    if (session.n > REALTIME_SECRET_SESSION)
        return -1;
    unsigned char *head = (unsigned char *)buf_reserve(&plain, HEAD_LEN);
    for (int i = 0; i < STAMP_LEN; i++)
        head[MAC_LEN + i] = (unsigned char)((uint64_t)expires_at >> (8 * (STAMP_LEN - 1 - i)));
    buf_commit(&plain, HEAD_LEN);
    buf_str_add(&plain, session);
    signing_key(api, key);
    mac_sign((unsigned char *)plain.data, str_n(key, sizeof key), str_from(buf_str(&plain), MAC_LEN));
    int result = buf_lit(out, PREFIX) < 0 || base64_put(out, buf_str(&plain), true) < 0 ? -1 : 0;
    buf_free(&plain);
    return result;
}

static int64_t read_stamp(const char *p)
{
    uint64_t stamp = 0;
    for (int i = 0; i < STAMP_LEN; i++)
        stamp = stamp << 8 | (unsigned char)p[i];
    return (int64_t)stamp;
}

int realtime_secret_open(const struct api *api, struct str secret, int64_t now, struct buf *session)
{
    unsigned char key[MAC_LEN];
    struct buf plain = BUF_INIT(HEAD_LEN + REALTIME_SECRET_SESSION);
    int result = -1;
    if (!str_starts(secret, STR(PREFIX)))
        return -1;
    signing_key(api, key);
    if (base64_decode(&plain, str_from(secret, strlen(PREFIX))) == 0 && plain.len >= HEAD_LEN) {
        struct str bytes = buf_str(&plain);
        struct str said = str_from(bytes, MAC_LEN);
        if (mac_matches((const unsigned char *)bytes.p, str_n(key, sizeof key), said) && now < read_stamp(said.p))
            result = buf_str_add(session, str_from(said, STAMP_LEN));
    }
    buf_free(&plain);
    return result;
}

/* ---- what a client shows ---- */

struct str realtime_shown_key(const struct http_request *rq)
{
    struct str protocols = http_request_header(rq, STR("sec-websocket-protocol")), protocol;
    struct str bearer = bearer_token(http_request_header(rq, STR("authorization")));
    if (bearer.n)
        return bearer;
    while (str_split(&protocols, ',', &protocol)) {
        struct str name = str_trim(protocol), prefix = STR("openai-insecure-api-key.");
        if (str_starts(name, prefix) && name.n > prefix.n)
            return str_from(name, prefix.n);
    }
    return STR_NONE;
}

bool realtime_secret_admits(const struct api *api, const struct http_request *rq)
{
    struct str key = realtime_shown_key(rq);
    struct buf session = BUF_INIT(REALTIME_SECRET_SESSION);
    bool admits = key.n && api->config.realtime.provider == API_REALTIME_LOCAL && rq->route->websocket &&
                  rq->head->upgrade && str_ends(rq->path, STR("/realtime")) &&
                  realtime_secret_open(api, key, clock_wall_ms() / 1000, &session) == 0;
    buf_free(&session);
    return admits;
}

/* ---- making one ---- */

static void reply_refusal(struct http_request *rq, const struct realtime_error *e)
{
    struct jw w = reply_writer(rq, KIB(8));
    jw_obj(&w);
    jw_key(&w, "error");
    jw_obj(&w);
    jw_kstr(&w, "message", str_c(e->text));
    jw_kstr(&w, "type", STR("invalid_request_error"));
    if (e->param[0])
        jw_kstr(&w, "param", str_c(e->param));
    else
        jw_knull(&w, "param");
    jw_kstr(&w, "code", str_c(e->code));
    jw_end_obj(&w);
    jw_end_obj(&w);
    http_reply_jw(rq, 400, &w);
}

static int read_seconds(const struct realtime_reader *body, unsigned *seconds)
{
    static const char *const known[] = {"anchor", "seconds"}, *const anchors[] = {"created_at"};
    struct realtime_reader after;
    char path[64];
    size_t anchor;
    return realtime_read_obj(body, "expires_after", path, &after) < 0 ||
                   realtime_known(&after, known, COUNT(known)) < 0 ||
                   realtime_read_name(&after, "anchor", anchors, COUNT(anchors), &anchor) < 0 ||
                   realtime_read_uint(&after, "seconds", 10, 7200, seconds) < 0
               ? -1
               : 0;
}

/* The session as a socket will have it, read the way a socket will read it. */
static int read_session(struct realtime *rt, const struct realtime_reader *body, struct buf *json)
{
    struct realtime_reader session;
    struct str model = STR_NONE;
    char path[64];
    if (realtime_read_obj(body, "session", path, &session) < 0 || realtime_read_str(&session, "model", 256, &model) < 0)
        return -1;
    realtime_session_init(rt, model.n ? model : realtime_default_model(rt->api),
                          str_eqc(json_str(session.obj, "type"), "transcription"));
    if (!session.obj)
        return 0;
    struct realtime_session changed = rt->session;
    if (realtime_session_read(&changed, &session) < 0)
        return -1;
    realtime_session_adopt(rt, &changed);
    if (json_print(json, session.obj) == 0)
        return 0;
    return realtime_refuse(body->error, "string_above_max_length", "session",
                           "Invalid 'session': a client secret holds at most %zu bytes of it.",
                           REALTIME_SECRET_SESSION);
}

static int make_secret(struct realtime *rt, const struct realtime_reader *body, struct buf *secret)
{
    static const char *const known[] = {"expires_after", "session"};
    struct buf json = BUF_INIT(REALTIME_SECRET_SESSION);
    unsigned seconds = 600;
    int result = realtime_known(body, known, COUNT(known)) < 0 || read_seconds(body, &seconds) < 0 ||
                         read_session(rt, body, &json) < 0
                     ? -1
                     : 0;
    rt->expires_at = clock_wall_ms() / 1000 + seconds;
    if (result == 0)
        realtime_secret_put(rt->api, buf_str(&json), rt->expires_at, secret);
    buf_free(&json);
    return result;
}

static void reply_secret(struct http_request *rq, const struct realtime *rt, struct str secret)
{
    struct jw w = reply_writer(rq, LIMIT_WS_QUEUE);
    jw_obj(&w);
    jw_kstr(&w, "value", secret);
    jw_kint(&w, "expires_at", rt->expires_at);
    jw_key(&w, "session");
    realtime_session_put(&w, rt);
    jw_end_obj(&w);
    http_reply_header(rq, STR("Cache-Control"), STR("no-store"));
    http_reply_jw(rq, 200, &w);
}

void realtime_secret_post(struct http_request *rq)
{
    struct realtime_error error;
    struct err e;
    struct buf secret = BUF_INIT(KIB(16));
    struct realtime *rt = arena_zalloc(rq->arena, sizeof *rt);
    struct realtime_reader body = {json_parse(rq->arena, rq->body.n ? rq->body : STR("{}"), &e), "", &error};
    int result = 0;
    rt->api = api_of(rq);
    realtime_id(rt->id, "sess_");
    if (!body.obj)
        result = realtime_refuse_err(&error, "invalid_json", NULL, &e);
    else if (!cJSON_IsObject(body.obj))
        result = realtime_refuse(&error, "invalid_json", NULL, "The body must be a JSON object.");
    else
        result = make_secret(rt, &body, &secret);
    if (result == 0)
        reply_secret(rq, rt, buf_str(&secret));
    else
        reply_refusal(rq, &error);
    buf_free(&secret);
    realtime_session_free(&rt->session);
}
