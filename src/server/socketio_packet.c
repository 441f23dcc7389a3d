/* What clients send: packets, their attachments, and how both reach their handlers. */
#include "base/mem.h"
#include "server/socketio_impl.h"

#include <stdlib.h>

/* A binary packet whose attachments are on their way. */
struct sio_incoming {
    struct arena *arena;
    struct sio_packet packet;
    size_t ns;
    size_t got;
    struct str attachments[]; /* packet.attachments */
};

/* A message that came while the client's recovery was under way. */
struct held {
    struct list link;
    bool binary;
    size_t n;
    char data[];
};

struct json_iter sio_message_args(const struct sio_message *m)
{
    return (struct json_iter){.rest = m->args};
}

/* ---- Handlers ---- */

static const struct sio_row *find_row(const struct sio_namespace *ns, const struct json_value *name)
{
    struct buf scratch = BUF_INIT(name->raw.n);
    struct str text = name->escaped ? json_text(name, &scratch) : name->raw;
    const struct sio_row *found = NULL;
    for (size_t i = 0; i < ns->nrows && !found && text.n; i++)
        if (str_eqc(text, ns->rows[i].name))
            found = &ns->rows[i];
    buf_free(&scratch);
    return found;
}

/* How a message lies in the mail to the serial task: this, the sizes of the attachments, name, arguments, attachments.
 */
struct mail {
    const struct sio_row *row;
    uint64_t ack_id;
    size_t name_n, args_n, nattachments;
    enum json_type name_type;
    bool name_escaped, wants_ack;
};

static struct str take(struct str *rest, size_t n)
{
    struct str piece = str_n(rest->p, n);
    *rest = str_from(*rest, n);
    return piece;
}

static void handle_mail(void *owner, struct arena *arena, struct str data)
{
    struct mail mail;
    memcpy(&mail, take(&data, sizeof mail).p, sizeof mail);
    struct str sizes = take(&data, mail.nattachments * sizeof(size_t));
    struct sio_message m = {.socket = owner, .arena = arena, .wants_ack = mail.wants_ack, .ack_id = mail.ack_id};
    m.name = (struct json_value){mail.name_type, mail.name_escaped, take(&data, mail.name_n)};
    m.args = take(&data, mail.args_n);
    struct str *attachments = arena_alloc(arena, (mail.nattachments + 1) * sizeof *attachments);
    for (size_t i = 0; i < mail.nattachments; i++) {
        size_t n;
        memcpy(&n, take(&sizes, sizeof n).p, sizeof n);
        attachments[i] = take(&data, n);
    }
    m.attachments = attachments;
    m.nattachments = mail.nattachments;
    mail.row->handle(&m);
}

static void serial_ref(void *owner)
{
    sio_ref(owner);
}

static void serial_unref(void *owner)
{
    sio_unref(owner);
}

static void serial_pause(void *owner, bool pause)
{
    struct sio_socket *s = owner;
    if (s->paused == pause)
        return;
    s->paused = pause;
    if (s->state == SIO_STATE_CONNECTED)
        sio_client_pause(s->client, pause);
}

static const char *serial_log_id(void *owner)
{
    return sio_sid(owner).p;
}

static const struct serial_ops serial_ops = {
    .name = "socketio_message",
    .ref = serial_ref,
    .unref = serial_unref,
    .pause = serial_pause,
    .log_id = serial_log_id,
};

/* A client that cannot be served now comes again later. */
static void post_mail(struct sio_socket *s, const struct sio_row *row, const struct sio_message *m)
{
    struct eio_session *session = s->client->session;
    struct mail mail = {.row = row,
                        .ack_id = m->ack_id,
                        .name_n = m->name.raw.n,
                        .args_n = m->args.n,
                        .nattachments = m->nattachments,
                        .name_type = m->name.type,
                        .name_escaped = m->name.escaped,
                        .wants_ack = m->wants_ack};
    size_t sizes[SIO_ATTACHMENTS_MAX];
    struct str parts[4 + SIO_ATTACHMENTS_MAX] = {str_n(&mail, sizeof mail),
                                                 str_n(sizes, m->nattachments * sizeof *sizes), m->name.raw, m->args};
    for (size_t i = 0; i < m->nattachments; i++) {
        sizes[i] = m->attachments[i].n;
        parts[4 + i] = m->attachments[i];
    }
    if (!serial_post_parts(&s->serial, &serial_ops, s, parts, 4 + m->nattachments, handle_mail))
        eio_close(session, EIO_FORCED);
}

static void handle_event(struct sio_socket *s, const struct sio_packet *packet, const struct str *attachments, size_t n)
{
    struct sio_message m = {.socket = s,
                            .name = packet->name,
                            .args = sio_args_text(packet),
                            .attachments = attachments,
                            .nattachments = n,
                            .wants_ack = packet->has_id,
                            .ack_id = packet->id};
    const struct sio_row *row = find_row(s->ns, &packet->name);
    if (row && row->mode == SIO_SERIAL)
        post_mail(s, row, &m);
    else if (row)
        row->handle(&m);
    else if (s->ns->on_event)
        s->ns->on_event(&m);
}

/* ---- Packets ---- */

static void disconnect(struct sio_client *c, size_t ns)
{
    c->ended &= ~(UINT64_C(1) << ns);
    if (c->sockets[ns])
        sio_socket_over(c->sockets[ns], "client namespace disconnect");
}

/* A packet with all its attachments, for a namespace that was checked. */
static void handle(struct sio_client *c, size_t ns, const struct sio_packet *packet, const struct str *attachments,
                   size_t n)
{
    struct sio_socket *s = c->sockets[ns];
    if (packet->type == SIO_DISCONNECT) {
        disconnect(c, ns);
        return;
    }
    if (!s)
        return;
    sio_ref(s);
    if (packet->type == SIO_EVENT || packet->type == SIO_BINARY_EVENT)
        handle_event(s, packet, attachments, n);
    else
        sio_question_answered(s, packet, attachments, n);
    sio_unref(s);
}

static struct str moved(struct str s, const char *from, const char *to)
{
    return s.p ? str_n(to + (s.p - from), s.n) : s;
}

/* Keeps a binary packet until its attachments are there. */
static void expect_attachments(struct sio_client *c, size_t ns, const struct sio_packet *packet, struct str text)
{
    struct arena *arena = arena_new("socketio_packet");
    struct sio_incoming *in = arena_alloc(arena, sizeof *in + packet->attachments * sizeof(struct str));
    const char *copy = arena_str(arena, text).p;
    *in = (struct sio_incoming){.arena = arena, .packet = *packet, .ns = ns};
    in->packet.nsp = STR_NONE;
    in->packet.data.raw = moved(packet->data.raw, text.p, copy);
    in->packet.name.raw = moved(packet->name.raw, text.p, copy);
    c->incoming = in;
}

/* Clients of Engine.IO 3 say in the namespace's query what later ones say in auth. */
static void connect_with_query(struct sio_client *c, struct str nsp, struct str query)
{
    struct buf text = BUF_INIT(6 * query.n + 2);
    sio_query_auth(&text, query);
    struct json_value auth = {.type = JSON_OBJECT, .raw = buf_str(&text)};
    sio_client_connect(c, nsp, &auth);
    buf_free(&text);
}

static void take_packet(struct sio_client *c, struct str text)
{
    struct sio_packet packet;
    const struct sio_server *server = sio_client_server(c);
    if (sio_decode(text, server->config.max_attachments, &packet, NULL) < 0) {
        sio_client_violation(c);
        return;
    }
    struct str query = STR_NONE;
    if (eio_version(c->session) == EIO_V3)
        packet.nsp = sio_nsp_path(packet.nsp, &query);
    if (packet.type == SIO_CONNECT) {
        if (query.n && packet.data.type == JSON_NONE)
            connect_with_query(c, packet.nsp, query);
        else
            sio_client_connect(c, packet.nsp, &packet.data);
        return;
    }
    size_t ns = sio_find_namespace(server, packet.nsp);
    bool known = ns < server->n && (c->sockets[ns] || c->ended >> ns & 1);
    if (!known || packet.type == SIO_CONNECT_ERROR)
        sio_client_violation(c);
    else if (packet.attachments)
        expect_attachments(c, ns, &packet, text);
    else
        handle(c, ns, &packet, NULL, 0);
}

static void take_attachment(struct sio_client *c, struct str data)
{
    struct sio_incoming *in = c->incoming;
    if (!in) {
        sio_client_violation(c);
        return;
    }
    bool last = in->got + 1 == in->packet.attachments;
    in->attachments[in->got++] = last ? data : arena_str(in->arena, data);
    if (!last)
        return;
    c->incoming = NULL;
    handle(c, in->ns, &in->packet, in->attachments, in->got);
    arena_free(in->arena);
}

void sio_client_message(struct sio_client *c, bool binary, struct str data)
{
    if (!eio_is_open(c->session))
        return;
    if (c->arrival)
        sio_hold(c, binary, data);
    else if (binary)
        take_attachment(c, data);
    else if (c->incoming)
        sio_client_violation(c);
    else
        take_packet(c, data);
}

void sio_incoming_free(struct sio_client *c)
{
    if (c->incoming)
        arena_free(c->incoming->arena);
    c->incoming = NULL;
}

/* ---- Messages that wait ---- */

void sio_hold(struct sio_client *c, bool binary, struct str data)
{
    const struct sio_config *config = &sio_client_server(c)->config;
    if (c->nheld == LIMIT_SIO_HELD || c->held_bytes + data.n > 2 * config->engine.max_payload) {
        sio_client_violation(c);
        return;
    }
    struct held *held = mem_alloc(sizeof *held + data.n);
    *held = (struct held){.binary = binary, .n = data.n};
    if (data.n)
        memcpy(held->data, data.p, data.n);
    list_push_back(&c->held, &held->link);
    c->nheld++;
    c->held_bytes += data.n;
}

static struct held *pop_held(struct sio_client *c)
{
    struct list *first = list_pop_front(&c->held);
    if (!first)
        return NULL;
    struct held *held = container_of(first, struct held, link);
    c->nheld--;
    c->held_bytes -= held->n;
    return held;
}

/* One of them may begin another recovery: the rest waits on. */
void sio_release_held(struct sio_client *c)
{
    struct held *held;
    while (!c->arrival && (held = pop_held(c))) {
        sio_client_message(c, held->binary, str_n(held->data, held->n));
        free(held);
    }
}

void sio_forget_held(struct sio_client *c)
{
    for (struct held *held; (held = pop_held(c));)
        free(held);
}
