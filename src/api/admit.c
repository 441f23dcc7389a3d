/* Who may come in (section 5 of the clients' contract): in development the dialects without accounts are open; in
 * production they need the API token, a user's token or an entry in OPEN_DIALECTS. */
#include "api/api_impl.h"

#include "api/care_guard.h"
#include "api/realtime_secret.h"
#include "auth/token.h"

static bool is_open(const struct api *api, const char *dialect)
{
    if (!api->config.production)
        return true;
    const struct api_access *access = atomic_load_explicit(&api->access, memory_order_acquire);
    for (size_t i = 0; i < access->nopen_dialects; i++)
        if (strcmp(access->open_dialects[i], dialect) == 0)
            return true;
    return false;
}

bool admit_is_token(const struct api *api, struct str given)
{
    return token_equal(given, str_c(atomic_load_explicit(&api->access, memory_order_acquire)->token));
}

/* Which tokens count: the operator's alone, or any user's, too. */
typedef bool token_test(const struct api *api, struct str given);

static bool is_any_token(const struct api *api, struct str given)
{
    return admit_is_token(api, given) || care_is_token(api, given);
}

static bool shows(const struct api *api, const struct http_request *rq, bool in_query, token_test *is)
{
    struct str bearer = bearer_token(http_request_header(rq, STR("authorization")));
    if (bearer.n && is(api, bearer))
        return true;
    struct buf value = BUF_INIT(KIB(4));
    bool match = in_query && http_query_get(&value, rq->query, STR("token")) == 1 && is(api, buf_str(&value));
    buf_free(&value);
    return match;
}

/* Browsers cannot set headers on a WebSocket: those of OpenAI's clients name the key as a subprotocol. */
static bool names(const struct api *api, const struct http_request *rq, token_test *is)
{
    struct str key = http_request_header(rq, STR("sec-websocket-protocol")).n ? realtime_shown_key(rq) : STR_NONE;
    return key.n && is(api, key);
}

static bool has(const struct http_request *rq, token_test *is)
{
    const struct api *api = api_of(rq);
    bool upgrade = rq->route->websocket && rq->head->upgrade;
    return shows(api, rq, upgrade, is) || (upgrade && names(api, rq, is));
}

bool admit_shows_token(const struct api *api, const struct http_request *rq, bool in_query)
{
    return shows(api, rq, in_query, admit_is_token);
}

bool admit_has_token(const struct http_request *rq)
{
    return has(rq, admit_is_token);
}

bool admit_has_any_token(const struct http_request *rq)
{
    return has(rq, is_any_token);
}

bool admit_space(const struct api *api, bool has_token, struct str space)
{
    char name[32];
    str_copy(name, sizeof name, space);
    return has_token || is_open(api, name);
}

int admit_dialect(const struct http_request *rq, const char *dialect, struct err *e)
{
    if (is_open(api_of(rq), dialect) || admit_has_any_token(rq))
        return 0;
    return err_set(e, ERR_UNAUTHORIZED, NULL);
}

/* "shared" routes decide by their body which dialect they speak: they get in when any of those may, and ask again. */
static bool any_shared_open(const struct api *api)
{
    return is_open(api, "aimcs") || is_open(api, "openai") || is_open(api, "chat");
}

int api_admit(void *arg, const struct http_request *rq, struct err *e)
{
    const struct api *api = arg;
    const char *dialect = rq->route->dialect;
    /* A route that is a page as well as a socket guards the socket only. */
    if (rq->route->websocket && rq->route->handler && !rq->head->upgrade)
        return 0;
    if (strcmp(dialect, "shared") == 0 ? any_shared_open(api) : is_open(api, dialect))
        return 0;
    if (admit_has_any_token(rq) || realtime_secret_admits(api, rq))
        return 0;
    /* The dialect of /ws refuses its handshake with 403, as its clients know it. */
    return err_set(e, rq->route->websocket && rq->head->upgrade ? ERR_FORBIDDEN : ERR_UNAUTHORIZED, NULL);
}
