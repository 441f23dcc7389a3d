/* The chat dialect's door on Socket.IO: its routes, its namespace, its state per loop. */
#include "api/live_impl.h"

#include "base/limits.h"
#include "base/mem.h"

#include <stdlib.h>

uint32_t live_marks(void *api, const struct http_request *rq)
{
    return admit_shows_token(api, rq, true) ? LIVE_MARK_TOKEN : 0;
}

static bool auth_has_token(const struct api *api, const struct json_value *auth)
{
    struct json_iter it = json_iter(auth);
    struct json_value key, value;
    struct buf scratch = BUF_INIT(KIB(4));
    bool match = false;
    while (json_each(&it, &key, &value))
        if (str_eqc(key.raw, "token") && value.type == JSON_STRING)
            match = admit_is_token(api, json_text(&value, &scratch));
    buf_free(&scratch);
    return match;
}

static int on_connect(struct sio_socket *s, const struct json_value *auth, struct err *e)
{
    const struct api *api = sio_owner(s);
    struct live_socket *state = sio_user(s);
    list_init(&state->members);
    state->has_token = (sio_marks(s) & LIVE_MARK_TOKEN) || auth_has_token(api, auth);
    if (admit_space(api, state->has_token, str_c(api->chat_surface.space)))
        return 0;
    return err_set(e, ERR_UNAUTHORIZED, NULL);
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
     .on_arrive = live_arrive,
     .on_closed = live_closed},
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
    for (size_t i = 0; loops && i < nloops; i++)
        map_free(&loops[i].rooms);
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
