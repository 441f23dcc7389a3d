#include "api/conformance.h"

#include "base/json.h"
#include "loop/timer.h"

#include <stdlib.h>

/* ---- /engine.io/ ---- */

static void echo(struct eio_session *s, bool binary, struct str data)
{
    if (!binary) {
        eio_send_text(s, &data, 1);
        return;
    }
    struct blob *blob = blob_new(data);
    eio_send_binary(s, blob);
    blob_unref(blob);
}

static const struct eio_ops engine_ops = {.on_message = echo};

struct eio_server *conformance_engine(const struct eio_config *config, size_t nloops)
{
    return eio_new(config, &engine_ops, NULL, nloops);
}

static const struct http_route routes[] = {
    {.method = HTTP_GET,
     .path = "/engine.io/",
     .handler = eio_http,
     .websocket = &eio_websocket,
     .summary = "Engine.IO that echoes"},
    {.method = HTTP_POST, .path = "/engine.io/", .handler = eio_http},
    {.method = HTTP_PUT, .path = "/engine.io/", .handler = eio_http},
    {.method = HTTP_PATCH, .path = "/engine.io/", .handler = eio_http},
    {.method = HTTP_DELETE, .path = "/engine.io/", .handler = eio_http},
};
const struct door door_conformance = {routes, COUNT(routes), NULL};

/* ---- what handlers share ---- */

/* The attachments of a received packet, to be sent again. */
struct attachments {
    struct blob *blobs[SIO_ATTACHMENTS_MAX];
    unsigned n;
};

static struct attachments take_attachments(const struct str *received, size_t n)
{
    struct attachments all = {.n = (unsigned)n};
    for (size_t i = 0; i < n; i++)
        all.blobs[i] = blob_new(received[i]);
    return all;
}

static void let_go(struct attachments *all)
{
    for (unsigned i = 0; i < all->n; i++)
        blob_unref(all->blobs[i]);
}

/* The first argument into *first (JSON_NONE when there is none); returns the text of those behind it. */
static struct str split_args(const struct sio_message *m, struct json_value *first)
{
    struct json_iter it = sio_message_args(m);
    *first = (struct json_value){.type = JSON_NONE};
    if (!json_each(&it, NULL, first))
        return STR("");
    struct str rest = str_trim(it.rest);
    return rest.n && rest.p[0] == ',' ? str_trim(str_from(rest, 1)) : rest;
}

static void emit_text(struct sio_socket *s, struct str name, struct str args)
{
    struct sio_emit emit = {.name = name, .args = args};
    sio_emit(s, &emit);
}

/* ---- / and /custom ---- */

struct greeting {
    struct timer timer;
    struct sio_socket *socket;
    char *auth; /* JSON of the CONNECT; NULL once it was told */
};

static void tell_auth(struct timer *timer)
{
    struct greeting *greeting = container_of(timer, struct greeting, timer);
    emit_text(greeting->socket, STR("auth"), str_c(greeting->auth));
    free(greeting->auth);
    greeting->auth = NULL;
}

static int keep_auth(struct sio_socket *s, const struct json_value *auth, struct err *e)
{
    (void)e;
    struct greeting *greeting = sio_user(s);
    *greeting = (struct greeting){.timer.fn = tell_auth, .socket = s};
    greeting->auth = str_dup(auth->type == JSON_OBJECT ? auth->raw : STR("{}"));
    return 0;
}

static void start_greeting(struct sio_socket *s, bool recovered)
{
    struct greeting *greeting = sio_user(s);
    if (!recovered)
        timer_start(loop_self(), &greeting->timer, CONFORMANCE_DELAY_MS);
}

static void stop_greeting(struct sio_socket *s)
{
    struct greeting *greeting = sio_user(s);
    timer_stop(loop_self(), &greeting->timer);
}

static int continue_greeting(struct sio_socket *s, struct err *e)
{
    (void)e;
    struct greeting *greeting = sio_user(s);
    if (greeting->auth)
        timer_start(loop_self(), &greeting->timer, CONFORMANCE_DELAY_MS);
    return 0;
}

static void end_greeting(struct sio_socket *s, const char *reason)
{
    (void)reason;
    struct greeting *greeting = sio_user(s);
    stop_greeting(s);
    free(greeting->auth);
    greeting->auth = NULL;
}

static void on_message(struct sio_message *m)
{
    struct attachments all = take_attachments(m->attachments, m->nattachments);
    struct sio_emit emit = {
        .name = STR("message-back"), .args = m->args, .attachments = all.blobs, .nattachments = all.n};
    sio_emit(m->socket, &emit);
    let_go(&all);
}

static void on_message_with_ack(struct sio_message *m)
{
    if (!m->wants_ack)
        return;
    struct attachments all = take_attachments(m->attachments, m->nattachments);
    sio_ack(m->socket, m->ack_id, m->args, all.blobs, all.n);
    let_go(&all);
}

static const struct sio_row main_rows[] = {
    {"message", SIO_NOW, on_message},
    {"message-with-ack", SIO_NOW, on_message_with_ack},
};

/* ---- /lab ---- */

static int lab_connect(struct sio_socket *s, const struct json_value *auth, struct err *e)
{
    (void)s;
    struct json_iter it = json_iter(auth);
    struct json_value key, value;
    while (json_each(&it, &key, &value)) {
        if (!str_eqc(key.raw, "refuse") || value.type != JSON_STRING)
            continue;
        struct buf text = BUF_INIT(sizeof e->text);
        struct str message = json_text(&value, &text);
        err_set(e, ERR_UNAUTHORIZED, "%.*s", STR_ARG(message));
        buf_free(&text);
        return -1;
    }
    return 0;
}

/* The room that the first argument names, unescaped into scratch. -1: it names none. */
static int room_of(const struct sio_message *m, struct buf *scratch, struct str *room, struct str *rest)
{
    struct json_value first;
    *rest = split_args(m, &first);
    *room = json_text(&first, scratch);
    return room->p ? 0 : -1;
}

static void acknowledge(struct sio_message *m, bool ok)
{
    if (m->wants_ack)
        sio_ack(m->socket, m->ack_id, ok ? STR("") : STR("\"refused\""), NULL, 0);
}

static void on_join(struct sio_message *m)
{
    struct buf scratch = BUF_INIT(m->args.n + 1);
    struct str room, rest;
    struct err e;
    acknowledge(m, room_of(m, &scratch, &room, &rest) == 0 && sio_join(m->socket, room, &e) == 0);
    buf_free(&scratch);
}

static void on_leave(struct sio_message *m)
{
    struct buf scratch = BUF_INIT(m->args.n + 1);
    struct str room, rest;
    bool ok = room_of(m, &scratch, &room, &rest) == 0;
    if (ok)
        sio_leave(m->socket, room);
    acknowledge(m, ok);
    buf_free(&scratch);
}

static void cast(struct sio_message *m, const struct sio_socket *except)
{
    struct buf scratch = BUF_INIT(m->args.n + 1);
    struct str room, rest;
    bool ok = room_of(m, &scratch, &room, &rest) == 0;
    if (ok) {
        struct attachments all = take_attachments(m->attachments, m->nattachments);
        struct sio_emit emit = {.name = STR("cast"), .args = rest, .attachments = all.blobs, .nattachments = all.n};
        sio_broadcast(sio_server_of(m->socket), sio_nsp(m->socket), &room, 1, except, &emit);
        let_go(&all);
    }
    acknowledge(m, ok);
    buf_free(&scratch);
}

static void on_broadcast(struct sio_message *m)
{
    cast(m, m->socket);
}

static void on_shout(struct sio_message *m)
{
    cast(m, NULL);
}

static void on_emit_volatile(struct sio_message *m)
{
    struct json_value count;
    struct str arg = split_args(m, &count);
    struct buf args = BUF_INIT(arg.n + 32);
    for (int64_t i = 0, n = json_int(&count, 0); i < n && sio_is_connected(m->socket); i++) {
        buf_clear(&args);
        buf_addf(&args, "%lld%s%.*s", (long long)i, arg.n ? "," : "", STR_ARG(arg));
        struct sio_emit emit = {.name = STR("volatile"), .args = buf_str(&args), .is_volatile = true};
        sio_emit(m->socket, &emit);
    }
    buf_free(&args);
}

static void tell_answer(struct sio_socket *s, void *arg, const struct sio_answer *answer)
{
    (void)arg;
    if (answer->failed == ERR_CANCELLED)
        return;
    bool ok = answer->failed == ERR_NONE;
    struct attachments all = take_attachments(answer->attachments, ok ? answer->nattachments : 0);
    struct buf args = BUF_INIT((ok ? answer->args.n : 0) + 64);
    struct jw w = jw_begin(&args);
    jw_obj(&w);
    jw_kbool(&w, "ok", ok);
    jw_key(&w, "args");
    jw_arr(&w);
    if (ok && answer->args.n)
        jw_raw(&w, answer->args);
    jw_end_arr(&w);
    jw_end_obj(&w);
    struct sio_emit emit = {
        .name = STR("answered"), .args = buf_str(&args), .attachments = all.blobs, .nattachments = all.n};
    sio_emit(s, &emit);
    let_go(&all);
    buf_free(&args);
}

static void on_ask(struct sio_message *m)
{
    struct json_value timeout;
    struct str rest = split_args(m, &timeout);
    int64_t ms = json_int(&timeout, 0);
    struct attachments all = take_attachments(m->attachments, m->nattachments);
    struct sio_emit emit = {.name = STR("question"), .args = rest, .attachments = all.blobs, .nattachments = all.n};
    sio_ask(m->socket, &emit, ms > 0 && ms < UINT32_MAX ? (unsigned)ms : 0, tell_answer, NULL);
    let_go(&all);
}

static void on_bye(struct sio_message *m)
{
    struct json_value close;
    split_args(m, &close);
    sio_disconnect(m->socket, close.type == JSON_TRUE);
}

static const struct sio_row lab_rows[] = {
    {"join", SIO_NOW, on_join},   {"leave", SIO_NOW, on_leave}, {"broadcast", SIO_NOW, on_broadcast},
    {"shout", SIO_NOW, on_shout}, {"ask", SIO_NOW, on_ask},     {"emit-volatile", SIO_NOW, on_emit_volatile},
    {"bye", SIO_NOW, on_bye},
};

#define GREETS                                                                                                         \
    .user_size = sizeof(struct greeting), .on_connect = keep_auth, .on_connected = start_greeting,                     \
    .on_depart = stop_greeting, .on_arrive = continue_greeting, .on_closed = end_greeting

const struct sio_namespace conformance_namespaces[] = {
    {.name = "/", .rows = main_rows, .nrows = COUNT(main_rows), GREETS},
    {.name = "/custom", GREETS},
    {.name = "/lab", .rows = lab_rows, .nrows = COUNT(lab_rows), .on_connect = lab_connect},
};
const size_t conformance_namespace_count = COUNT(conformance_namespaces);
