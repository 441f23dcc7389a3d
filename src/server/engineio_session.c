#include "server/engineio_impl.h"

#include "base/log.h"

const char *eio_end_name(enum eio_end end)
{
    switch (end) {
    case EIO_TRANSPORT_CLOSE:
        return "transport close";
    case EIO_TRANSPORT_ERROR:
        return "transport error";
    case EIO_PING_TIMEOUT:
        return "ping timeout";
    case EIO_PARSE_ERROR:
        return "parse error";
    case EIO_FORCED:
        return "forced close";
    case EIO_SLOW:
        return "slow consumer";
    case EIO_SHUTDOWN:
        return "server shutting down";
    }
    return "";
}

/* ---- Heartbeat ---- */

#define BEAT_SLACK 4 /* ms; settings are 10 at least */

static void restart(struct eio_session *s, uint64_t ms)
{
    timer_start(s->shard->loop, &s->timer, ms);
}

static uint64_t now(const struct eio_session *s)
{
    return loop_now_ms(s->shard->loop);
}

/* A protocol 3 client asks by itself, once per interval. */
static uint64_t silence_limit(const struct eio_session *s)
{
    const struct eio_config *config = &s->shard->server->config;
    return (uint64_t)config->ping_interval + config->ping_timeout;
}

void eio_begin(struct eio_session *s)
{
    s->heard_at = (uint32_t)now(s);
    restart(s, s->version == EIO_V3 ? silence_limit(s) : s->shard->server->config.ping_interval);
}

static void beat(struct eio_session *s, uint64_t late)
{
    s->beating = true;
    s->extended = false;
    s->sent_before_beat = s->sent;
    s->beat_at = now(s);
    restart(s, s->shard->server->config.ping_timeout - late);
    eio_send_control(s, EIO_PING);
}

/* A timer fires a little late, and the answer's is the second in a row: a client that knows both times finds the
 * session over when they have passed. */
static void beat_on_time(struct eio_session *s)
{
    uint64_t late = now(s) - s->timer.due + 1;
    beat(s, MIN(late, (uint64_t)BEAT_SLACK));
}

bool eio_is_overdue(const struct eio_session *s)
{
    if (s->paused || s->opening)
        return false;
    if (s->version == EIO_V3)
        return (uint32_t)now(s) - s->heard_at >= silence_limit(s);
    return s->beating && now(s) + 1 >= s->timer.due;
}

void eio_confirm(struct eio_session *s)
{
    if (s->version == EIO_V4 && s->state == EIO_RUNNING && !s->opening && !s->beating)
        beat(s, 0);
}

uint64_t eio_heartbeat_age(const struct eio_session *s)
{
    return now(s) - s->beat_at;
}

static void got_pong(struct eio_session *s)
{
    if (!s->beating)
        return;
    s->beating = false;
    restart(s, s->shard->server->config.ping_interval);
    if (s->shard->server->ops->on_confirmed)
        s->shard->server->ops->on_confirmed(s, s->sent_before_beat);
}

/* Re-armed lazily: packets only note the time. */
static void check_silence(struct eio_session *s)
{
    uint64_t silent = (uint32_t)now(s) - s->heard_at, limit = silence_limit(s);
    if (s->paused)
        restart(s, limit);
    else if (silent < limit)
        restart(s, limit - silent);
    else
        eio_close(s, EIO_PING_TIMEOUT);
}

void eio_on_timer(struct timer *timer)
{
    struct eio_session *s = container_of(timer, struct eio_session, timer);
    if (s->state != EIO_RUNNING)
        eio_forget(s); /* it lingered: whoever ends otherwise stops the timer */
    else if (s->opening)
        eio_socket_begin(s);
    else if (s->version == EIO_V3)
        check_silence(s);
    else if (!s->beating)
        beat_on_time(s);
    else if (s->paused) /* the answer may lie unread */
        restart(s, s->shard->server->config.ping_timeout);
    else
        eio_close(s, EIO_PING_TIMEOUT);
}

/* ---- Packets ---- */

static void heard(struct eio_session *s, enum eio_type type)
{
    if (s->version == EIO_V3) {
        s->heard_at = (uint32_t)now(s);
    } else if (s->beating && !s->extended && type != EIO_PONG) {
        s->extended = true;
        restart(s, s->shard->server->config.ping_timeout);
    }
}

bool eio_take(struct eio_session *s, const struct eio_packet *packet)
{
    if (s->state != EIO_RUNNING)
        return false;
    heard(s, packet->type);
    switch (packet->type) {
    case EIO_MESSAGE:
        s->shard->server->ops->on_message(s, packet->binary, packet->data);
        break;
    case EIO_PING:
        if (s->version == EIO_V3)
            eio_send_control(s, EIO_PONG);
        else
            eio_close(s, EIO_TRANSPORT_ERROR);
        break;
    case EIO_PONG:
        if (s->version == EIO_V4)
            got_pong(s);
        else
            eio_close(s, EIO_TRANSPORT_ERROR);
        break;
    case EIO_CLOSE:
        eio_close(s, EIO_TRANSPORT_CLOSE);
        break;
    case EIO_OPEN:
    case EIO_UPGRADE:
    case EIO_NOOP:
        break;
    }
    return s->state == EIO_RUNNING;
}

void eio_pause(struct eio_session *s, bool pause)
{
    if (s->state != EIO_RUNNING || s->paused == pause)
        return;
    s->paused = pause;
    if (s->ws)
        websocket_pause(s->ws, pause);
    if (s->post)
        eio_make_due(s);
}

/* ---- Beginning and end ---- */

void eio_opened(struct eio_session *s, struct http_request *rq)
{
    metric_inc(eio_gauge(s));
    log_debug("eio", "opened", F_STR("session", eio_log_id(s)), F_INT("version", s->version),
              F_INT("websocket", s->socket));
    if (s->shard->server->ops->on_open)
        s->shard->server->ops->on_open(s, rq);
}

void eio_close(struct eio_session *s, enum eio_end why)
{
    if (s->state != EIO_RUNNING)
        return;
    s->state = EIO_ENDED;
    s->end = (uint8_t)why;
    timer_stop(s->shard->loop, &s->timer);
    eio_make_due(s);
}

/* A client shall get what the owner had to say, and the close packet not together with it: it takes note of that one
 * before it looks at messages. */
static bool shall_linger(const struct eio_session *s)
{
    return s->end == EIO_FORCED && !s->socket && !(s->poll && !s->nitems) && !s->shard->draining;
}

static void tell_poller(struct eio_session *s, bool linger)
{
    if (!linger)
        eio_queue(s, s->end == EIO_TRANSPORT_CLOSE ? EIO_NOOP : EIO_CLOSE, false, NULL);
    if (s->poll)
        eio_answer_poll(s);
    if (s->post)
        eio_answer_post(s);
}

void eio_finish(struct eio_session *s)
{
    struct eio_server *server = s->shard->server;
    bool linger = shall_linger(s);
    if (s->end == EIO_SLOW)
        eio_drop_queue(s);
    if (!s->socket)
        tell_poller(s, linger);
    if (!linger) /* one that upgrades gets its last packets on the WebSocket, when it asks for them there */
        eio_socket_end(s);
    atomic_fetch_sub(&server->count, 1);
    metric_dec(eio_gauge(s));
    metric_inc(eio_metrics()->closed[s->end]);
    log_debug("eio", "closed", F_STR("session", eio_log_id(s)), F_C("why", eio_end_name((enum eio_end)s->end)));
    if (server->ops->on_closed)
        server->ops->on_closed(s, (enum eio_end)s->end);
    if (!linger) {
        eio_forget(s);
        return;
    }
    s->state = EIO_LINGERING;
    restart(s, EIO_LINGER);
}

void eio_serve(struct eio_session *s)
{
    if (s->state == EIO_ENDED) {
        eio_finish(s);
    } else if (s->state == EIO_OVER) {
        eio_forget(s);
    } else if (s->state == EIO_RUNNING) {
        if (s->post && !s->paused)
            eio_answer_post(s);
        if (s->poll && s->nitems)
            eio_answer_poll(s);
    }
}
