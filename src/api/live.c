/* The chat dialect's door on Socket.IO: its routes, its namespace, its state per loop. */
#include "api/live_impl.h"

#include "api/care_live_impl.h"
#include "auth/token.h"
#include "base/limits.h"
#include "base/mem.h"

#include <stdlib.h>

#define TOKEN_MAX KIB(4)

/* ---- what a client shows of itself ---- */

static bool is_user_token(const struct api *api, struct str token)
{
    return api->config.accounts && account_is_token(api->config.accounts, token);
}

static bool lets_in(const struct api *api, struct str token)
{
    return admit_is_token(api, token) || is_user_token(api, token);
}

/* Of a token in the header and one in the address the one that is good, if only one is. */
struct blob *live_remember(void *arg, const struct http_request *rq)
{
    const struct api *api = arg;
    struct buf value = BUF_INIT(TOKEN_MAX);
    struct str header = bearer_token(http_request_header(rq, STR("authorization"))), query = STR_NONE;
    if (http_query_get(&value, rq->query, STR("token")) == 1)
        query = buf_str(&value);
    bool by_query = query.n && (!header.n || (!lets_in(api, header) && lets_in(api, query)));
    struct str shown = by_query ? query : header;
    struct blob *kept = shown.n && shown.n <= TOKEN_MAX ? blob_new(shown) : NULL;
    buf_free(&value);
    return kept;
}

static struct str auth_token(const struct json_value *auth, struct buf *scratch)
{
    struct json_iter it = json_iter(auth);
    struct json_value key, value, token = {.type = JSON_NONE};
    while (json_each(&it, &key, &value))
        if (str_eqc(key.raw, "token"))
            token = value;
    return token.type == JSON_STRING ? json_text(&token, scratch) : STR_NONE;
}

/* Three parts with dots between: meant as a user's, good or not. */
static bool looks_like_jwt(struct str token)
{
    size_t dots = 0;
    for (size_t i = 0; i < token.n; i++)
        dots += token.p[i] == '.';
    return dots == 2;
}

static struct str user_token_of(const struct api *api, const struct str *shown, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (looks_like_jwt(shown[i]) && (is_user_token(api, shown[i]) || !admit_is_token(api, shown[i])))
            return shown[i];
    return STR_NONE;
}

/* Who comes for customer care alone stays out of the chat dialect, event by event. */
static int on_connect(struct sio_socket *s, const struct json_value *auth, struct err *e)
{
    const struct api *api = sio_owner(s);
    struct live_socket *state = sio_user(s);
    struct buf scratch = BUF_INIT(TOKEN_MAX);
    struct str shown[] = {auth_token(auth, &scratch), sio_remembered(s)};
    list_init(&state->members);
    for (size_t i = 0; i < COUNT(shown); i++)
        state->has_token |= shown[i].n && lets_in(api, shown[i]);
    bool comes_in = live_may_chat(s) || admit_space(api, false, STR(CARE_SPACE));
    struct str jwt = comes_in ? user_token_of(api, shown, COUNT(shown)) : STR_NONE;
    state->jwt = jwt.n ? str_dup(jwt) : NULL;
    buf_free(&scratch);
    return comes_in ? 0 : err_set(e, ERR_UNAUTHORIZED, NULL);
}

bool live_may_chat(struct sio_socket *s)
{
    const struct api *api = sio_owner(s);
    const struct live_socket *state = sio_user(s);
    return admit_space(api, state->has_token, str_c(api->chat_surface.space));
}

static int on_arrive(struct sio_socket *s, struct err *e)
{
    care_live_arrive(s);
    return live_arrive(s, e);
}

static void on_closed(struct sio_socket *s, const char *reason)
{
    struct live_socket *state = sio_user(s);
    live_closed(s, reason);
    care_live_closed(s);
    free(state->jwt);
    state->jwt = NULL;
}

static void on_drained(struct sio_socket *s)
{
    const struct live_socket *state = sio_user(s);
    list_each(entry, &state->members)
        live_reply_catch_up(container_of(entry, struct live_member, in_socket));
}

const struct sio_namespace live_namespaces[] = {
    {.name = "/",
     .user_size = sizeof(struct live_socket),
     .rows = live_rows,
     .nrows = LIVE_ROWS,
     .on_connect = on_connect,
     .on_event = live_unknown_event,
     .on_drained = on_drained,
     .can_recover = live_can_recover,
     .on_depart = live_depart,
     .on_arrive = on_arrive,
     .on_closed = on_closed},
};
const size_t live_namespace_count = COUNT(live_namespaces);

struct live_loop *live_loops_new(struct api *api, size_t nloops)
{
    struct live_loop *loops = mem_array(nloops, sizeof *loops);
    for (size_t i = 0; i < nloops; i++) {
        loops[i] = (struct live_loop){.api = api};
        list_init(&loops[i].errands);
    }
    return loops;
}

struct live_loop *live_loops_free(struct live_loop *loops, size_t nloops)
{
    for (size_t i = 0; loops && i < nloops; i++) {
        map_free(&loops[i].rooms);
        map_free(&loops[i].care_lines);
        map_free(&loops[i].care_users);
    }
    free(loops);
    return NULL;
}

/* ---- routes ---- */

#define SESSION(verb, at, says)                                                                                        \
    {                                                                                                                  \
        .method = HTTP_##verb, .path = at, .handler = eio_http, .max_body = LIMIT_HTTP_BODY_LARGE, .summary = says     \
    }
#define SESSIONS(at)                                                                                                   \
    {.method = HTTP_GET,                                                                                               \
     .path = at,                                                                                                       \
     .handler = eio_http,                                                                                              \
     .websocket = &eio_websocket,                                                                                      \
     .summary = "Socket.IO: opens a session, waits for its messages; as a WebSocket, all of it"},                      \
        SESSION(POST, at, "Socket.IO: messages of the client"), SESSION(PUT, at, "Answered as Socket.IO does"),        \
        SESSION(PATCH, at, "Answered as Socket.IO does"), SESSION(DELETE, at, "Answered as Socket.IO does")

static const struct http_route routes[] = {
    SESSIONS("/socket.io/"),
    SESSIONS("/api/socket.io/"),
};

static void *engine(struct api *api)
{
    return sio_engine(api->live);
}

const struct door door_live = {routes, COUNT(routes), engine};
