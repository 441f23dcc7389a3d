/* One client: connecting to namespaces, and what ends it. */
#include "server/socketio_impl.h"

void sio_client_send(struct sio_client *c, const struct buf *text)
{
    struct str part = buf_str(text);
    eio_send_text(c->session, &part, 1);
    sio_scratch_done(c->at);
}

void sio_client_violation(struct sio_client *c)
{
    eio_close(c->session, EIO_PARSE_ERROR);
}

void sio_client_pause(struct sio_client *c, bool pause)
{
    c->pauses += pause ? 1 : UINT32_MAX;
    if (c->pauses == (pause ? 1 : 0))
        eio_pause(c->session, pause);
}

static void refuse(struct sio_client *c, struct str nsp, struct str message, struct str data)
{
    struct buf *text = sio_scratch(c->at);
    if (eio_version(c->session) == EIO_V3)
        sio_error_put(text, nsp, message, STR(""));
    else
        sio_connect_error_put(text, nsp, message, data);
    sio_client_send(c, text);
}

static void refuse_for(struct sio_client *c, struct str nsp, const struct err *e)
{
    char code[64];
    int n = snprintf(code, sizeof code, "{\"code\":\"%s\"}", err_name(e->code));
    refuse(c, nsp, str_c(e->text), str_n(code, (size_t)n));
}

void sio_client_open(struct sio_client *c, size_t ns, const struct json_value *auth, bool offsets)
{
    struct err e;
    struct sio_socket *s = sio_ref(sio_socket_new(c, ns));
    s->offsets = s->pid_len && (offsets || c->offsets);
    if (s->ns->on_connect && s->ns->on_connect(s, auth, &e) < 0) {
        refuse_for(c, str_c(s->ns->name), &e);
        sio_socket_over(s, "");
    } else {
        sio_socket_attach(s, c);
        sio_socket_enroll(s);
        sio_socket_welcome(s);
        if (s->ns->on_connected)
            s->ns->on_connected(s, false);
    }
    sio_unref(s);
}

void sio_client_connect(struct sio_client *c, struct str nsp, const struct json_value *auth)
{
    struct sio_ticket ticket;
    size_t ns = sio_find_namespace(sio_client_server(c), nsp);
    if (ns == sio_client_server(c)->n) {
        refuse(c, nsp, STR("Invalid namespace"), STR(""));
        return;
    }
    if (c->sockets[ns]) {
        sio_client_violation(c);
        return;
    }
    sio_ticket_read(&ticket, auth);
    if (!sio_recover(c, ns, &ticket, auth))
        sio_client_open(c, ns, auth, ticket.offsets);
}
