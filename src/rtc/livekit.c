#include "auth/jwt.h"
#include "base/clock.h"
#include "base/mem.h"
#include "rtc/livekit_impl.h"
#include "wire/url.h"

#include <stdlib.h>

#define PARTICIPANT_S (6 * 60 * 60)
#define POWERS_S      (10 * 60)
#define CALL_MS       10000u /* as the official clients wait */

/* ---- where the server is ---- */

static bool is_plain(struct str scheme)
{
    return str_ieq(scheme, STR("ws")) || str_ieq(scheme, STR("http"));
}

static char *join(const char *scheme, struct str rest)
{
    struct buf text = BUF_INIT(SIZE_MAX);
    buf_addf(&text, "%s://%.*s", scheme, STR_ARG(rest));
    char *copy = str_dup(buf_str(&text));
    buf_free(&text);
    return copy;
}

/* *base: where its API is spoken to. Both malloc'd. */
static int read_url(struct str text, char **ws_url, char **base, struct err *e)
{
    struct url url;
    text = str_trim(text);
    if (url_split(&url, text) < 0 || url.user.p || str_find_char(url.target, '?') >= 0)
        return err_set(e, ERR_NOT_CONFIGURED, "LIVEKIT_WS_URL is no address");
    bool plain = is_plain(url.scheme);
    if (url.scheme.n && !plain && !str_ieq(url.scheme, STR("wss")) && !str_ieq(url.scheme, STR("https")))
        return err_set(e, ERR_NOT_CONFIGURED, "LIVEKIT_WS_URL must begin with wss:// or ws://");
    struct str rest = str_from(text, url.scheme.n ? url.scheme.n + 3 : 0);
    while (str_ends(rest, STR("/")))
        rest.n--;
    *ws_url = join(plain ? "ws" : "wss", rest);
    *base = join(plain ? "http" : "https", rest);
    return 0;
}

static unsigned bounded(unsigned ms)
{
    return ms ? MIN(ms, CALL_MS) : CALL_MS;
}

struct livekit *livekit_new(const struct livekit_config *config, struct err *e)
{
    char *ws_url = NULL, *base = NULL;
    if (!str_c(config->url).n || !str_c(config->api_key).n || !str_c(config->api_secret).n) {
        err_set(e, ERR_NOT_CONFIGURED, NULL);
        return NULL;
    }
    if (client_setup(e) < 0 || read_url(str_c(config->url), &ws_url, &base, e) < 0)
        return NULL;
    struct upstream_config upstream = config->upstream;
    upstream.base_url = base;
    upstream.first_byte_timeout = bounded(upstream.first_byte_timeout);
    upstream.total_timeout = bounded(upstream.total_timeout);
    if (!upstream.name)
        upstream.name = "livekit";
    struct livekit *livekit = mem_zalloc(sizeof *livekit);
    *livekit = (struct livekit){.ws_url = ws_url,
                                .api_key = str_dup(str_c(config->api_key)),
                                .api_secret = str_dup(str_c(config->api_secret)),
                                .upstream = upstream_new(&upstream)};
    free(base);
    return livekit;
}

struct livekit *livekit_free(struct livekit *livekit)
{
    if (!livekit)
        return NULL;
    upstream_free(livekit->upstream);
    free(livekit->ws_url);
    free(livekit->api_key);
    free(livekit->api_secret);
    free(livekit);
    return NULL;
}

const char *livekit_ws_url(const struct livekit *livekit)
{
    return livekit->ws_url;
}

/* ---- tokens ---- */

static void put_life(struct jw *w, const struct livekit *livekit, int64_t seconds)
{
    jw_kstr(w, "iss", str_c(livekit->api_key));
    jw_kint(w, "nbf", 0); /* a clock that runs ahead of the server's does no harm */
    jw_kint(w, "exp", clock_wall_ms() / 1000 + seconds);
}

static int sign(const struct livekit *livekit, struct buf *claims, struct buf *out, struct err *e)
{
    int result = jwt_sign(str_c(livekit->api_secret), buf_str(claims), out, e);
    buf_free(claims);
    return result;
}

static void put_grant(struct jw *w, const struct livekit_grant *grant)
{
    jw_key(w, "video");
    jw_obj(w);
    jw_kbool(w, "roomJoin", true);
    jw_kstr(w, "room", grant->room);
    jw_kbool(w, "canPublish", true);
    jw_kbool(w, "canSubscribe", true);
    if (grant->create)
        jw_kbool(w, "roomCreate", true);
    jw_end_obj(w);
}

static bool is_name(struct str s)
{
    return s.n > 0 && s.n <= LIVEKIT_NAME;
}

int livekit_token(const struct livekit *livekit, const struct livekit_grant *grant, struct arena *arena,
                  struct str *token, struct err *e)
{
    if (!is_name(grant->identity) || !is_name(grant->room) || grant->name.n > LIVEKIT_NAME)
        return err_set(e, ERR_INVALID_REQUEST, "A participant needs an identity and a room, of at most %d bytes each",
                       LIVEKIT_NAME);
    struct buf claims = BUF_INIT(MIB(1)), out = BUF_INIT(MIB(2));
    struct jw w = jw_begin(&claims);
    jw_obj(&w);
    if (grant->name.n)
        jw_kstr(&w, "name", grant->name);
    put_grant(&w, grant);
    jw_kstr(&w, "sub", grant->identity);
    if (grant->metadata.n)
        jw_kstr(&w, "metadata", grant->metadata);
    put_life(&w, livekit, PARTICIPANT_S);
    jw_end_obj(&w);
    if (!jw_ok(&w)) {
        buf_free(&claims);
        return err_set(e, ERR_INVALID_REQUEST, "A participant's metadata is too long");
    }
    int result = sign(livekit, &claims, &out, e);
    if (result == 0)
        *token = arena_str(arena, buf_str(&out));
    buf_free(&out);
    return result;
}

int livekit_sign_powers(const struct livekit *livekit, struct livekit_powers powers, struct buf *out, struct err *e)
{
    struct buf claims = BUF_INIT(KIB(16));
    struct jw w = jw_begin(&claims);
    jw_obj(&w);
    jw_key(&w, "video");
    jw_obj(&w);
    if (powers.create)
        jw_kbool(&w, "roomCreate", true);
    if (powers.list)
        jw_kbool(&w, "roomList", true);
    jw_end_obj(&w);
    put_life(&w, livekit, POWERS_S);
    jw_end_obj(&w);
    return sign(livekit, &claims, out, e);
}
