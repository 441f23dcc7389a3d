/* What goes to one client: events, acknowledgements of its events, questions. */
#include "base/mem.h"
#include "server/socketio_impl.h"

#include <stdlib.h>

#define TAG_LEN    6 /* characters of the sid in an offset: a client's offset of an earlier socket must not fit */
#define OFFSET_MAX (TAG_LEN + 32)

/* A question to the client. */
struct question {
    struct list link; /* the socket's list, or the loop's answers */
    struct timer timer;
    struct sio_socket *socket; /* a reference */
    uint64_t id;
    void (*answered)(struct sio_socket *s, void *arg, const struct sio_answer *answer);
    void *arg;
};

/* ---- Events ---- */

/* Whether an event for the socket can arrive, as far as can be told before it is made. */
static bool can_arrive(const struct sio_socket *s, bool is_volatile)
{
    switch ((enum sio_state)s->state) {
    case SIO_STATE_CONNECTED:
        return !is_volatile || sio_writable(s);
    case SIO_STATE_LOST:
    case SIO_STATE_MOVING:
        return !is_volatile;
    case SIO_STATE_OPENING:
    case SIO_STATE_OVER:
        return false;
    }
    return false;
}

/* Attachments behind their packet. One that was not taken would leave the client waiting for it: the session ends. */
static void send_attachments(struct eio_session *session, struct blob *const *attachments, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (eio_send_binary(session, attachments[i]) < 0) {
            eio_close(session, EIO_SLOW);
            return;
        }
    }
}

static int send_text(struct eio_session *session, const struct buf *text, struct blob *const *attachments, unsigned n)
{
    struct str part = buf_str(text);
    if ((n && !eio_has_room(session)) || eio_send_text(session, &part, 1) < 0)
        return -1;
    send_attachments(session, attachments, n);
    return 0;
}

/* The last argument, and the end of the event. */
static struct str put_offset(char text[OFFSET_MAX], const struct sio_socket *s, uint64_t seq)
{
    struct buf out = {.data = text, .cap = OFFSET_MAX, .max = OFFSET_MAX};
    buf_lit(&out, ",\"");
    buf_add(&out, sio_sid(s).p, TAG_LEN);
    buf_byte(&out, '.');
    buf_add_u64(&out, seq);
    buf_lit(&out, "\"]");
    return buf_str(&out);
}

int sio_send_parcel(struct sio_socket *s, const struct sio_parcel *parcel, uint64_t seq)
{
    struct eio_session *session = s->client->session;
    if (parcel->nattachments && !eio_has_room(session))
        return -1;
    if (seq && s->offsets) {
        char text[OFFSET_MAX];
        struct str parts[] = {eio_frame_text(parcel->frame), put_offset(text, s, seq)};
        parts[0].n--; /* the closing bracket, which the offset brings along */
        if (eio_send_text(session, parts, COUNT(parts)) < 0)
            return -1;
    } else if (eio_send_frame(session, parcel->frame) < 0) {
        return -1;
    }
    send_attachments(session, parcel->attachments, parcel->nattachments);
    return 0;
}

enum sio_offset sio_offset_parse(const struct sio_socket *s, struct str offset, uint64_t *seq)
{
    struct str sid = sio_sid(s);
    if (offset.n < TAG_LEN + 2 || offset.p[TAG_LEN] != '.' || str_u64(str_from(offset, TAG_LEN + 1), seq) < 0)
        return SIO_OFFSET_NONE;
    return memcmp(offset.p, sid.p, TAG_LEN) == 0 ? SIO_OFFSET_OWN : SIO_OFFSET_OTHER;
}

int sio_deliver(struct sio_socket *s, const struct sio_parcel *parcel)
{
    bool kept = s->pid_len && !parcel->is_volatile;
    if (!can_arrive(s, parcel->is_volatile))
        return -1;
    if (s->state == SIO_STATE_CONNECTED && !s->flushing) {
        struct eio_session *session = s->client->session;
        int sent = sio_send_parcel(s, parcel, kept ? s->seq + 1 : 0);
        if (sent == 0 && kept) {
            sio_ring_push(s, parcel, eio_sent(session));
            sio_confirm(s->client);
        }
        /* A session at its end takes nothing; the client may come back for it. */
        if (sent == 0 || !kept || eio_is_open(session))
            return sent;
    }
    sio_ring_push(s, parcel, SIO_UNSENT);
    return s->hopeless ? -1 : 0;
}

static int encode(struct sio_socket *s, const struct sio_emit *emit, bool has_id, uint64_t id, struct buf *out)
{
    struct sio_event event = {.nsp = str_c(s->ns->name),
                              .name = emit->name,
                              .args = emit->args,
                              .attachments = emit->nattachments,
                              .has_id = has_id,
                              .id = id};
    return sio_event_put(out, &event);
}

int sio_emit(struct sio_socket *s, const struct sio_emit *emit)
{
    if (!can_arrive(s, emit->is_volatile))
        return -1;
    struct sio_loop *at = s->at;
    struct buf *text = sio_scratch(at);
    int result = encode(s, emit, false, 0, text);
    if (result == 0 && s->pid_len && !emit->is_volatile) {
        struct str part = buf_str(text);
        struct sio_parcel parcel = {
            .frame = eio_frame(&part, 1), .attachments = emit->attachments, .nattachments = emit->nattachments};
        result = sio_deliver(s, &parcel);
        blob_unref(parcel.frame);
    } else if (result == 0) {
        result = send_text(s->client->session, text, emit->attachments, emit->nattachments);
    }
    sio_scratch_done(at);
    return result;
}

struct blob *sio_frame(struct str nsp, struct str name, struct str args)
{
    struct buf text = BUF_INIT(SIO_NAMESPACE_MAX + 6 * name.n + args.n + KIB(1));
    struct sio_event event = {.nsp = nsp, .name = name, .args = args};
    sio_event_put(&text, &event);
    struct str part = buf_str(&text);
    struct blob *frame = eio_frame(&part, 1);
    buf_free(&text);
    return frame;
}

int sio_emit_frame(struct sio_socket *s, struct blob *frame, bool is_volatile)
{
    struct sio_parcel parcel = {.frame = frame, .is_volatile = is_volatile};
    return sio_deliver(s, &parcel);
}

int sio_ack(struct sio_socket *s, uint64_t ack_id, struct str args, struct blob *const *attachments,
            unsigned nattachments)
{
    if (s->state != SIO_STATE_CONNECTED)
        return -1;
    struct sio_loop *at = s->at;
    struct buf *text = sio_scratch(at);
    int result = sio_ack_put(text, str_c(s->ns->name), ack_id, args, nattachments);
    if (result == 0)
        result = send_text(s->client->session, text, attachments, nattachments);
    sio_scratch_done(at);
    return result;
}

/* ---- Questions ---- */

static void answer(struct question *q, const struct sio_answer *what)
{
    q->answered(q->socket, q->arg, what);
    sio_unref(q->socket);
    free(q);
}

static void timed_out(struct timer *timer)
{
    struct question *q = container_of(timer, struct question, timer);
    list_remove(&q->link);
    answer(q, &(struct sio_answer){.failed = ERR_TIMEOUT});
}

static void cancel_soon(struct question *q)
{
    struct sio_loop *at = q->socket->at;
    struct loop *loop = loop_self();
    timer_stop(loop, &q->timer);
    list_remove(&q->link);
    list_push_back(&at->answers, &q->link);
    loop_at_end(loop, &at->turn);
}

static bool send_question(struct sio_socket *s, const struct sio_emit *emit, uint64_t id)
{
    if (s->state != SIO_STATE_CONNECTED || !can_arrive(s, emit->is_volatile))
        return false;
    struct sio_loop *at = s->at;
    struct buf *text = sio_scratch(at);
    bool sent = encode(s, emit, true, id, text) == 0 &&
                send_text(s->client->session, text, emit->attachments, emit->nattachments) == 0;
    sio_scratch_done(at);
    return sent;
}

void sio_ask(struct sio_socket *s, const struct sio_emit *emit, unsigned timeout_ms,
             void (*answered)(struct sio_socket *s, void *arg, const struct sio_answer *answer), void *arg)
{
    struct question *q = mem_alloc(sizeof *q);
    *q = (struct question){
        .timer.fn = timed_out, .socket = sio_ref(s), .id = s->next_question++, .answered = answered, .arg = arg};
    list_init(&q->link);
    if (!send_question(s, emit, q->id)) {
        cancel_soon(q);
        return;
    }
    list_push_back(&s->questions, &q->link);
    if (timeout_ms)
        timer_start(s->at->loop, &q->timer, timeout_ms);
}

void sio_question_answered(struct sio_socket *s, const struct sio_packet *packet, const struct str *attachments,
                           size_t n)
{
    struct question *found = NULL;
    list_each(it, &s->questions) {
        found = container_of(it, struct question, link);
        if (found->id == packet->id)
            break;
        found = NULL;
    }
    if (!found)
        return;
    list_remove(&found->link);
    timer_stop(s->at->loop, &found->timer);
    answer(found, &(struct sio_answer){.args = sio_args_text(packet), .attachments = attachments, .nattachments = n});
}

void sio_questions_cancel(struct sio_socket *s)
{
    while (!list_empty(&s->questions))
        cancel_soon(container_of(s->questions.next, struct question, link));
}

void sio_answers_flush(struct sio_loop *at)
{
    struct list now, *first; /* who asks again from inside is answered next time */
    list_init(&now);
    list_splice(&now, &at->answers);
    while ((first = list_pop_front(&now)))
        answer(container_of(first, struct question, link), &(struct sio_answer){.failed = ERR_CANCELLED});
}
