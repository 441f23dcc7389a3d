#include "api/socket.h"

#include "base/limits.h"
#include "base/mem.h"

#include <stdlib.h>

struct api *socket_api(struct websocket *ws)
{
    return websocket_ctx(ws);
}

void socket_open(struct websocket *ws, const struct http_request *rq, const struct socket_dialect *dialect)
{
    struct socket_state *state = websocket_user(ws);
    state->has_token = admit_has_any_token(rq);
    state->dialect = dialect;
    list_init(&state->followers);
}

void socket_fail(struct websocket *ws, const struct err *e)
{
    const struct socket_state *state = websocket_user(ws);
    state->dialect->failed(ws, e);
}

void socket_send_jw(struct websocket *ws, struct jw *w)
{
    struct err e;
    if (jw_ok(w)) {
        websocket_send(ws, WS_TEXT, buf_str(w->out));
    } else {
        err_set(&e, ERR_INTERNAL_ERROR, "The reply is too large");
        socket_fail(ws, &e);
    }
    buf_free(w->out);
}

static const struct socket_command *find_command(const struct socket_dialect *dialect, const struct json_value *type)
{
    for (size_t i = 0; type->type == JSON_STRING && i < dialect->ncommands; i++)
        if (str_eqc(type->raw, dialect->commands[i].type))
            return &dialect->commands[i];
    return NULL;
}

static int scan(const struct socket_dialect *dialect, struct str text, struct json_want *wants, enum json_type *root,
                struct err *e)
{
    for (size_t i = 0; i < dialect->npaths; i++)
        wants[i] = (struct json_want){.path = dialect->paths[i]};
    return json_scan(text, wants, dialect->npaths, root, e);
}

static void run(struct websocket *ws, struct arena *arena, struct str text)
{
    const struct socket_state *state = websocket_user(ws);
    struct json_want wants[SOCKET_WANTS];
    struct err e;
    if (scan(state->dialect, text, wants, NULL, &e) < 0)
        return; /* it was read once already */
    const struct socket_command *command = find_command(state->dialect, &wants[0].value);
    command->handle(&(struct socket_message){ws, arena, text, wants});
}

struct detached {
    struct websocket *ws;
    struct arena *arena;
    struct str text;
};

static void detached_main(void *arg)
{
    struct detached d = *(struct detached *)arg;
    run(d.ws, d.arena, d.text);
    arena_free(d.arena);
    websocket_unref(d.ws);
}

static void detach(struct websocket *ws, struct str text)
{
    struct err e;
    if (!task_room()) {
        err_set(&e, ERR_OVERLOADED, NULL);
        socket_fail(ws, &e);
        return;
    }
    struct arena *arena = arena_new("socket_message");
    struct detached *d = arena_alloc(arena, sizeof *d);
    *d = (struct detached){websocket_ref(ws), arena, arena_str(arena, text)};
    task_spawn("socket_message", detached_main, d);
}

void socket_message(struct websocket *ws, enum ws_opcode opcode, struct str data)
{
    (void)opcode; /* binary frames that hold JSON are read too */
    const struct socket_dialect *dialect = ((struct socket_state *)websocket_user(ws))->dialect;
    struct json_want wants[SOCKET_WANTS];
    enum json_type root;
    struct err e;
    if (scan(dialect, data, wants, &root, &e) < 0) {
        dialect->malformed(ws, &e);
        return;
    }
    if (root != JSON_OBJECT) {
        err_set(&e, ERR_INVALID_REQUEST, "Expected a JSON object");
        dialect->malformed(ws, &e);
        return;
    }
    const struct socket_command *command = find_command(dialect, &wants[0].value);
    struct socket_message m = {ws, NULL, data, wants};
    if (dialect->refused && dialect->refused(&m))
        return;
    if (!command)
        dialect->unknown(&m);
    else if (command->mode == COMMAND_NOW)
        command->handle(&m);
    else if (command->mode == COMMAND_SERIAL)
        websocket_serial(ws, data, run);
    else
        detach(ws, data);
}

/* ---- followers ---- */

static void pump(struct socket_follower *follower)
{
    if (!websocket_is_open(follower->ws) || !follower->push(follower))
        socket_unfollow(follower);
}

static void follower_notify(struct room_follower *room)
{
    struct socket_follower *follower = container_of(room, struct socket_follower, room);
    if (follower->push)
        pump(follower);
}

struct socket_follower *socket_follow(struct websocket *ws, struct str conversation_id, const struct room_cursor *from,
                                      struct arena *arena, struct room_join *join, struct err *e)
{
    struct socket_follower *follower = mem_zalloc(sizeof *follower);
    follower->room.notify = follower_notify;
    follower->ws = websocket_ref(ws);
    follower->scoped_id = str_n(str_dup(conversation_id), conversation_id.n);
    list_init(&follower->link);
    int result = room_follow(socket_api(ws)->chat, conversation_id, &follower->room, from, arena, join, e);
    if (result == 0 && !websocket_is_open(ws))
        result = err_set(e, ERR_CANCELLED, NULL);
    if (result < 0) {
        socket_unfollow(follower);
        return NULL;
    }
    return follower;
}

void socket_follow_start(struct socket_follower *follower, bool (*push)(struct socket_follower *))
{
    struct socket_state *state = websocket_user(follower->ws);
    if (websocket_is_open(follower->ws))
        list_push_back(&state->followers, &follower->link);
    follower->push = push;
    pump(follower);
}

void socket_unfollow(struct socket_follower *follower)
{
    room_leave(&follower->room);
    list_remove(&follower->link);
    websocket_unref(follower->ws);
    free((char *)follower->reply_id.p);
    free((char *)follower->scoped_id.p);
    free(follower->extra);
    free(follower);
}

void socket_drained(struct websocket *ws)
{
    struct socket_state *state = websocket_user(ws);
    list_each_safe(entry, &state->followers) {
        struct socket_follower *follower = container_of(entry, struct socket_follower, link);
        if (follower->push)
            pump(follower);
    }
}

void socket_closed(struct websocket *ws, uint16_t code, struct str reason)
{
    (void)code;
    (void)reason;
    struct socket_state *state = websocket_user(ws);
    struct list *entry;
    while ((entry = list_pop_front(&state->followers)))
        socket_unfollow(container_of(entry, struct socket_follower, link));
    free(state->conversation);
    state->conversation = NULL;
}
