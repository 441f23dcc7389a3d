/* The handshake of outgoing WebSockets against scripted peers: what is asked, every way in which it fails. */
#include "unit/support/peer.h"

#include "base/log.h"
#include "base/metrics.h"
#include "client/upstream_impl.h"
#include "net/conn.h"
#include "unit/client/ws_sock.h"

/* ---- A peer that answers the handshake as the test says ---- */

#define ACCEPT "@" /* stands for the right Sec-WebSocket-Accept in a reply */

#define GOOD                                                                                                           \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " ACCEPT   \
    "\r\n"

struct answer {
    const char *reply; /* "" silence; NULL: the connection is closed */
    size_t split;      /* bytes per write; 0: all at once */
    bool hang;         /* says nothing more, else closes */
    bool reset;        /* closes with a reset */
};

static struct answer script; /* for the requests to come */
static char request[4096];   /* the last one */
static atomic_int requests;

static void put_reply(struct buf *out, const char *asked, const char *reply)
{
    const char *key = strstr(asked, "Sec-WebSocket-Key: ");
    char accept[29];
    peer_assert(key && ws_accept(accept, str_n(key + 19, 24)) == 0);
    for (; *reply; reply++)
        peer_assert(buf_str_add(out, *reply == ACCEPT[0] ? str_c(accept) : str_n(reply, 1)) == 0);
}

static void serve_script(struct peer *p, int fd)
{
    struct buf out = BUF_INIT(MIB(1));
    (void)p;
    if (!peer_read_head(fd, request, sizeof request))
        return;
    struct answer answer = script;
    if (answer.reply)
        put_reply(&out, request, answer.reply);
    atomic_fetch_add(&requests, 1);
    struct str rest = buf_str(&out);
    while (rest.n) {
        size_t n = answer.split ? MIN(answer.split, rest.n) : rest.n;
        if (!peer_send(fd, (struct str){rest.p, n}))
            break;
        rest = str_from(rest, n);
    }
    if (answer.reply && answer.hang)
        peer_drain(fd);
    if (answer.reset)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    buf_free(&out);
}

static struct peer peer;
static struct upstream_config config;
static char base_url[128];
static struct upstream *upstream;

static struct ws_client_request ask(const char *path)
{
    return (struct ws_client_request){.upstream = upstream, .path = str_c(path)};
}

static int setup(void **state)
{
    (void)state;
    memset(&script, 0, sizeof script);
    script.hang = true;
    atomic_store(&requests, 0);
    peer_start(&peer, serve_script, NULL);
    snprintf(base_url, sizeof base_url, "http://127.0.0.1:%u", peer.port);
    config = (struct upstream_config){
        .name = "test", .base_url = base_url, .connect_timeout = 20000, .first_byte_timeout = 20000};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    peer_stop(&peer);
    assert_int_equal(conn_memory(), 0);
    return 0;
}

static void run(void (*body)(void *arg), void *arg)
{
    upstream = upstream_new(&config);
    run_client(body, arg);
    upstream = upstream_free(upstream);
    peer_await_idle(&peer);
}

/* ---- What is asked ---- */

static void body_asked(void *arg)
{
    struct sock s;
    (void)arg;
    static const struct fetch_header headers[] = {{"Authorization", {"Bearer sk-test", 14}}, {"X-Empty", {"", 0}}};
    struct ws_client_request rq = ask("/realtime?model=gpt");
    rq.headers = headers;
    rq.nheaders = COUNT(headers);
    rq.protocols = STR("realtime, other");
    sock_open(&s, rq, false);
    assert_str(ws_client_protocol(s.ws), "realtime");
    ws_client_abort(s.ws);
    sock_await_closed(&s, WS_ABNORMAL, "");
    sock_free(&s);
}

static void the_request_says_what_it_must(void **state)
{
    char want[512], *key;
    (void)state;
    script.reply = GOOD "Sec-WebSocket-Protocol: realtime\r\n\r\n";
    run(body_asked, NULL);
    key = strstr(request, "Sec-WebSocket-Key: ");
    assert_non_null(key);
    memset(key + 19, '#', 24);
    snprintf(want, sizeof want,
             "GET /realtime?model=gpt HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ########################\r\n"
             "Sec-WebSocket-Protocol: realtime, other\r\nUser-Agent: parley\r\n"
             "Authorization: Bearer sk-test\r\nX-Empty: \r\n\r\n",
             peer.port);
    assert_string_equal(request, want);
}

static void body_plain(void *arg)
{
    struct sock s;
    sock_open(&s, ask(arg), false);
    assert_str(ws_client_protocol(s.ws), "");
    ws_client_abort(s.ws);
    sock_await_closed(&s, WS_ABNORMAL, "");
    sock_free(&s);
}

static void keys_are_fresh_and_paths_may_be_missing(void **state)
{
    char first[25];
    (void)state;
    script.reply = GOOD "\r\n";
    run(body_plain, (void *)"");
    assert_int_equal(strncmp(request, "GET / HTTP/1.1\r\n", 16), 0);
    str_copy(first, sizeof first, str_n(strstr(request, "Key: ") + 5, 24));
    run(body_plain, (void *)"?a=b");
    assert_int_equal(strncmp(request, "GET /?a=b HTTP/1.1\r\n", 20), 0);
    assert_null(strstr(request, first));
}

static void body_odd_requests(void *arg)
{
    static const char *const urls[] = {"ftp://127.0.0.1/", "127.0.0.1:80/",     "http://",    "http://h/#x",
                                       "http://h/ x",      "http://h/\r\nX: y", "http://h:0/"};
    struct sock s;
    struct err e;
    (void)arg;
    for (size_t i = 0; i < COUNT(urls); i++) {
        struct ws_client_request rq = ask("");
        rq.url = str_c(urls[i]);
        assert_int_equal(sock_try(&s, rq, false, &e), -1);
        assert_int_equal(e.code, ERR_INVALID_REQUEST);
    }
    struct ws_client_request rq = ask("/");
    struct fetch_header header = {"X", STR("a\r\nY: b")};
    rq.headers = &header;
    rq.nheaders = 1;
    assert_int_equal(sock_try(&s, rq, false, &e), -1);
    assert_int_equal(e.code, ERR_INVALID_REQUEST);
    rq = ask("/");
    rq.protocols = STR("a\nb");
    assert_int_equal(sock_try(&s, rq, false, &e), -1);
    assert_int_equal(e.code, ERR_INVALID_REQUEST);
    assert_int_equal(sock_try(&s, ask("/x y"), false, &e), -1);
    assert_int_equal(e.code, ERR_INVALID_REQUEST);
    static char longest[20000];
    memset(longest, 'x', sizeof longest);
    rq = ask("/");
    header.value = str_n(longest, sizeof longest);
    rq.headers = &header;
    rq.nheaders = 1;
    assert_int_equal(sock_try(&s, rq, false, &e), -1);
    assert_int_equal(e.code, ERR_INVALID_REQUEST);
    longest[0] = '/';
    assert_int_equal(sock_try(&s, (struct ws_client_request){.upstream = upstream, .path = header.value}, false, &e),
                     -1);
    assert_int_equal(e.code, ERR_INVALID_REQUEST);
}

static void odd_requests_do_not_leave(void **state)
{
    (void)state;
    script.reply = GOOD "\r\n";
    run(body_odd_requests, NULL);
    assert_int_equal(requests, 0);
}

/* ---- Good answers ---- */

static void body_first_frames(void *arg)
{
    struct sock s;
    (void)arg;
    sock_open(&s, ask("/"), false);
    assert_int_equal(s.log.len, 0);
    sock_await_log(&s, "T5:hello B1:x T3:bye ");
    ws_client_abort(s.ws);
    sock_await_closed(&s, WS_ABNORMAL, "");
    sock_free(&s);
}

/* They are for the callbacks, after the call. */
static void frames_may_come_with_the_answer(void **state)
{
    (void)state;
    script.reply = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" GOOD
                   "\r\n\x81\x05hello\x82\x01x\x81\x03"
                   "bye";
    run(body_first_frames, NULL);
    script.split = 1;
    run(body_first_frames, NULL);
}

static void body_early_end(void *arg)
{
    struct sock s;
    (void)arg;
    sock_open(&s, ask("/"), false);
    sock_await_closed(&s, 3000, "invalid_request_error.invalid_api_key");
    assert_string_equal(buf_cstr(&s.log), "T2:no ");
    sock_free(&s);
}

static void body_early_loss(void *arg)
{
    struct sock s;
    (void)arg;
    sock_open(&s, ask("/"), false);
    sock_await_closed(&s, WS_ABNORMAL, "");
    sock_free(&s);
}

static void the_end_may_come_with_the_answer(void **state)
{
    (void)state;
    script.hang = false;
    script.reply = GOOD "\r\n\x81\x02no\x88\x27\x0b\xb8invalid_request_error.invalid_api_key";
    run(body_early_end, NULL);
    script.reply = GOOD "\r\n";
    run(body_early_loss, NULL);
    script.reply = GOOD "\r\n\x81\x7E";
    run(body_early_loss, NULL);
}

/* ---- Wrong answers ---- */

struct failure {
    const char *reply, *text;
    enum err_code code;
};

static void body_failure(void *arg)
{
    const struct failure *f = arg;
    struct sock s;
    struct err e = {0};
    struct ws_client_request rq = ask("/");
    rq.protocols = STR("a, b");
    assert_int_equal(sock_try(&s, rq, false, &e), -1);
    assert_string_equal(e.text, f->text);
    assert_int_equal(e.code, f->code);
    assert_int_equal(e.status, 502);
    assert_int_equal(s.closed, 0);
}

#define WRONG "test answered the WebSocket handshake wrongly: "
#define BASE  "HTTP/1.1 101 Switching Protocols\r\n"
#define UP    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define KEY   "Sec-WebSocket-Accept: " ACCEPT "\r\n"

static void wrong_answers_are_refused(void **state)
{
    static const char no_upgrade[] = WRONG "it did not upgrade to WebSocket";
    static const char accept[] = WRONG "Sec-WebSocket-Accept is wrong";
    static const char extension[] = WRONG "an extension that was not offered";
    static const char protocol[] = WRONG "a protocol that was not offered";
    static const char other[] = WRONG "it does not speak HTTP/1.1";
    static const struct failure failures[] = {
        {BASE "Connection: Upgrade\r\n" KEY "\r\n", no_upgrade, ERR_UPSTREAM},
        {BASE "Upgrade: h2c\r\nConnection: Upgrade\r\n" KEY "\r\n", no_upgrade, ERR_UPSTREAM},
        {BASE "Upgrade: websocket\r\n" KEY "\r\n", no_upgrade, ERR_UPSTREAM},
        {BASE "Upgrade: websocket\r\nConnection: close\r\n" KEY "\r\n", no_upgrade, ERR_UPSTREAM},
        {"HTTP/1.0 101 Switching Protocols\r\n" UP KEY "\r\n", no_upgrade, ERR_UPSTREAM},
        {BASE UP "\r\n", accept, ERR_UPSTREAM},
        {BASE UP "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", accept, ERR_UPSTREAM},
        {BASE UP "Sec-WebSocket-Accept: " ACCEPT "x\r\n\r\n", accept, ERR_UPSTREAM},
        {BASE UP KEY KEY "\r\n", accept, ERR_UPSTREAM},
        {BASE UP KEY "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", extension, ERR_UPSTREAM},
        {BASE UP KEY "Sec-WebSocket-Protocol: c\r\n\r\n", protocol, ERR_UPSTREAM},
        {BASE UP KEY "Sec-WebSocket-Protocol: a, b\r\n\r\n", protocol, ERR_UPSTREAM},
        {BASE UP KEY "Sec-WebSocket-Protocol: A\r\n\r\n", protocol, ERR_UPSTREAM},
        {BASE UP KEY "Sec-WebSocket-Protocol:\r\n\r\n", protocol, ERR_UPSTREAM},
        {BASE UP KEY "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n\r\n", protocol, ERR_UPSTREAM},
        {"SSH-2.0-OpenSSH_9\r\n", other, ERR_UPSTREAM},
        {BASE UP "no colon\r\n\r\n", other, ERR_UPSTREAM},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(failures); i++) {
        script.reply = failures[i].reply;
        run(body_failure, (void *)(uintptr_t)&failures[i]);
    }
}

static void an_end_instead_of_an_answer_is_told(void **state)
{
    static const struct failure closed = {NULL, "test cannot be reached: it closed the connection",
                                          ERR_UPSTREAM_UNREACHABLE};
    static const char *const replies[] = {NULL, "", "HTTP/1.1 101 Swi", "HTTP/1.1 100 Continue\r\n\r\n"};
    (void)state;
    script.hang = false;
    for (int reset = 0; reset < 2; reset++) {
        script.reset = reset;
        for (size_t i = 0; i < COUNT(replies); i++) {
            script.reply = replies[i];
            run(body_failure, (void *)(uintptr_t)&closed);
        }
    }
}

static void a_closed_port_is_told(void **state)
{
    static const struct failure refused = {NULL, "test cannot be reached: connection refused",
                                           ERR_UPSTREAM_UNREACHABLE};
    struct peer gone = {0};
    (void)state;
    assert_true(peer_listen(&gone, AF_INET, 0, 1));
    close(gone.listener);
    snprintf(base_url, sizeof base_url, "http://127.0.0.1:%u", gone.port);
    run(body_failure, (void *)(uintptr_t)&refused);
}

/* ---- Refusals ---- */

struct refusal {
    const char *reply;
    int status;
    const char *text, *line;
    int retry_after_ms;
};

static void body_refusal(void *arg)
{
    const struct refusal *r = arg;
    struct arena *arena = arena_new("test");
    struct str line = STR("untouched");
    struct err e = {0};
    struct ws_client_request rq = ask("/");
    rq.ops = &sock_message_ops;
    rq.key = STR("topsecret");
    assert_null(ws_client_open(&rq, arena, &line, &e));
    assert_int_equal(e.code, ERR_UPSTREAM);
    assert_int_equal(e.status, r->status);
    assert_string_equal(e.text, r->text);
    assert_str(line, r->line);
    assert_int_equal(e.retry_after_ms, r->retry_after_ms);
    arena_free(arena);
}

static void check_refusals(const struct refusal *refusals, size_t n)
{
    for (script.split = 0; script.split < 8; script.split += 7) {
        for (size_t i = 0; i < n; i++) {
            script.reply = refusals[i].reply;
            run(body_refusal, (void *)(uintptr_t)&refusals[i]);
        }
    }
}

static void refusals_are_told(void **state)
{
    static const struct refusal refusals[] = {
        {"HTTP/1.1 401 Unauthorized\r\nContent-Length: 43\r\n\r\n{\"error\":\r\n{\"message\":\"not you topsecret\"}}",
         401, "not you ***", "{\"error\":{\"message\":\"not you ***\"}}", 0},
        {"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\nRetry-After: 7\r\n\r\n4\r\nbusy\r\n0\r\n\r\n", 503,
         "The service answered with status 503", "busy", 7000},
        {"HTTP/1.1 429 No\r\nContent-Length: 0\r\nretry-after-ms: 1500\r\n\r\n", 429,
         "The service answered with status 429", "", 1500},
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nwhat is more", 404, "The service answered with status 404",
         "wha", 0},
        {"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", 502, "The service answered with status 302",
         "", 0},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 502, "The service answered with status 200", "hi", 0},
        {"HTTP/1.1 204 No Content\r\n\r\n", 502, "The service answered with status 204", "", 0},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", 403,
         "The service answered with status 403", "", 0},
        {"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nnonsense", 500,
         "The service answered with status 500", "hi", 0},
    };
    (void)state;
    check_refusals(refusals, COUNT(refusals));
}

static void what_came_of_a_refusal_will_do(void **state)
{
    static const struct refusal refusals[] = {
        {"HTTP/1.1 401 No\r\n\r\nuntil the end", 401, "The service answered with status 401", "until the end", 0},
        {"HTTP/1.1 401 No\r\nContent-Length: 100\r\n\r\ncut", 401, "The service answered with status 401", "cut", 0},
        {"HTTP/1.0 407 No\r\nTransfer-Encoding: x\r\n\r\n", 502, WRONG "it does not speak HTTP/1.1", "", 0},
    };
    static const struct refusal stalled = {"HTTP/1.1 401 No\r\nContent-Length: 100\r\n\r\nno more", 401,
                                           "The service answered with status 401", "no more", 0};
    (void)state;
    script.hang = false;
    check_refusals(refusals, COUNT(refusals));
    /* Nobody waits long for the rest of it. */
    script.hang = true;
    script.reply = stalled.reply;
    run(body_refusal, (void *)(uintptr_t)&stalled);
}

static void body_long_refusal(void *arg)
{
    struct arena *arena = arena_new("test");
    struct str line;
    struct err e = {0};
    (void)arg;
    struct ws_client_request rq = ask("/");
    rq.ops = &sock_message_ops;
    assert_null(ws_client_open(&rq, arena, &line, &e));
    assert_int_equal(e.status, 400);
    assert_int_equal(line.n, KIB(16));
    arena_free(arena);
}

static void a_refusal_has_a_ceiling(void **state)
{
    struct buf reply = BUF_INIT(MIB(1));
    (void)state;
    buf_lit(&reply, "HTTP/1.1 400 No\r\n\r\n");
    for (int i = 0; i < 100000; i++)
        buf_byte(&reply, 'z');
    script.reply = buf_cstr(&reply);
    run(body_long_refusal, NULL);
    buf_free(&reply);
}

/* ---- Time and cancellation ---- */

static void body_late(void *arg)
{
    const struct ws_client_request *limits = arg;
    struct sock s;
    struct err e = {0};
    struct ws_client_request rq = ask("/");
    rq.timeout = limits->timeout;
    assert_int_equal(sock_try(&s, rq, false, &e), -1);
    assert_int_equal(e.code, ERR_TIMEOUT);
    assert_string_equal(e.text, "test did not answer in time");
}

static void the_answer_has_a_limit(void **state)
{
    struct ws_client_request limits = {.timeout = 50};
    struct deaf deaf;
    (void)state;
    script.reply = "";
    run(body_late, &limits);
    script.reply = "HTTP/1.1 101 Swi";
    run(body_late, &limits);
    config.first_byte_timeout = 50;
    limits.timeout = 0;
    run(body_late, &limits);
    deaf_start(&deaf);
    snprintf(base_url, sizeof base_url, "http://127.0.0.1:%u", deaf.peer.port);
    config.connect_timeout = 50;
    run(body_late, &limits);
    limits.timeout = 50;
    config.connect_timeout = 0;
    run(body_late, &limits);
    deaf_stop(&deaf);
}

static struct task *victim;

static void try_in_vain(void *arg)
{
    struct sock s;
    struct err e = {0};
    (void)arg;
    assert_int_equal(sock_try(&s, ask("/"), false, &e), -1);
    assert_int_equal(e.code, ERR_CANCELLED);
    assert_int_equal(s.closed, 0);
    victim = NULL;
}

/* Once the peer has the request. */
static void body_cancel(void *arg)
{
    bool asked = arg;
    int before = atomic_load(&requests);
    size_t served;
    pthread_mutex_lock(&peer.lock);
    served = peer.served;
    pthread_mutex_unlock(&peer.lock);
    victim = task_spawn("victim", try_in_vain, NULL);
    assert_non_null(victim);
    while (asked && atomic_load(&requests) == before)
        assert_int_equal(task_sleep(1, NULL), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(task_sleep(1, NULL), 0);
    task_cancel(victim);
    assert_int_equal(task_yield(NULL), 0);
    assert_null(victim);
    if (asked)
        peer_await_served(&peer, served + 1);
}

static void opening_can_be_cancelled(void **state)
{
    struct deaf deaf;
    (void)state;
    script.reply = "";
    run(body_cancel, &script);
    script.reply = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 1";
    run(body_cancel, &script);
    script.reply = "HTTP/1.1 401 No\r\nContent-Length: 10\r\n\r\npart";
    run(body_cancel, &script);
    deaf_start(&deaf);
    snprintf(base_url, sizeof base_url, "http://127.0.0.1:%u", deaf.peer.port);
    run(body_cancel, NULL);
    deaf_stop(&deaf);
}

/* Cancelled in the same turn of the loop in which the answer comes. */
static void cancel_now(struct loop_end *end)
{
    (void)end;
    if (victim)
        task_cancel(victim);
}

static void body_cancel_late(void *arg)
{
    struct loop_end end = {.fn = cancel_now};
    (void)arg;
    struct sock s;
    struct err e = {0};
    victim = task_self();
    loop_at_end(loop_self(), &end);
    /* Whatever came first, nothing is left behind. */
    if (sock_try(&s, ask("/"), false, &e) == 0) {
        ws_client_abort(s.ws);
        task_shield();
        while (!s.closed)
            task_park(NULL);
        task_unshield();
        sock_free(&s);
    }
    victim = NULL;
}

static void cancelled_at_once(void **state)
{
    (void)state;
    script.reply = GOOD "\r\n";
    run(body_cancel_late, NULL);
}

/* ---- Places and the breaker ---- */

static void open_and_drop(void *arg)
{
    struct sock s;
    struct err e = {0};
    enum err_code *code = arg;
    *code = sock_try(&s, ask("/"), false, &e) < 0 ? e.code : ERR_NONE;
    if (*code)
        return;
    ws_client_abort(s.ws);
    sock_await_closed(&s, WS_ABNORMAL, "");
    sock_free(&s);
}

/* One is opening and takes the only place; another waits in line, a third is sent away. */
static void body_places(void *arg)
{
    enum err_code second = ERR_CODES, third;
    (void)arg;
    victim = task_spawn("first", try_in_vain, NULL);
    while (atomic_load(&requests) == 0)
        assert_int_equal(task_sleep(1, NULL), 0);
    script.reply = GOOD "\r\n";
    task_spawn("second", open_and_drop, &second);
    open_and_drop(&third);
    assert_int_equal(third, ERR_OVERLOADED);
    assert_int_equal(second, ERR_CODES);
    task_cancel(victim);
    while (second == ERR_CODES)
        assert_int_equal(task_sleep(1, NULL), 0);
    assert_int_equal(second, ERR_NONE);
    open_and_drop(&third);
    assert_int_equal(third, ERR_NONE);
}

static void opening_takes_a_place(void **state)
{
    (void)state;
    script.reply = "";
    config.concurrency = 1;
    config.queue = 1;
    config.queue_timeout = 20000;
    run(body_places, NULL);
}

static enum err_code outcome(const char *reply)
{
    enum err_code code;
    script.reply = reply;
    open_and_drop(&code);
    return code;
}

static void body_breaker(void *arg)
{
    static const char no[] = "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n";
    static const char you[] = "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n";
    (void)arg;
    assert_int_equal(outcome(no), ERR_UPSTREAM);
    assert_int_equal(outcome(you), ERR_UPSTREAM); /* it answers */
    assert_int_equal(outcome(no), ERR_UPSTREAM);
    assert_true(upstream_ready(upstream));
    assert_int_equal(outcome("SSH-2.0\r\n"), ERR_UPSTREAM);
    assert_false(upstream_ready(upstream));
    int before = atomic_load(&requests);
    assert_int_equal(outcome(GOOD "\r\n"), ERR_OVERLOADED);
    assert_int_equal(atomic_load(&requests), before);
    while (!upstream_ready(upstream))
        assert_int_equal(task_sleep(5, NULL), 0);
    assert_int_equal(outcome(GOOD "\r\n"), ERR_NONE);
    assert_true(upstream_ready(upstream));
}

static void failures_count_for_the_breaker(void **state)
{
    (void)state;
    config.breaker_failures = 2;
    config.breaker_open = 50;
    run(body_breaker, NULL);
}

static void body_wrong_proxy(void *arg)
{
    struct sock s;
    struct err e = {0};
    (void)arg;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sock_try(&s, ask("/"), false, &e), -1);
        assert_int_equal(e.code, ERR_NOT_CONFIGURED);
        assert_null(strstr(e.text, "secret"));
    }
}

static void our_own_faults_do_not(void **state)
{
    (void)state;
    config.breaker_failures = 1;
    config.breaker_open = 60000;
    config.proxy = "socks5://user:secret@127.0.0.1";
    run(body_wrong_proxy, NULL);
    assert_int_equal(requests, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static int set_up_all(void **state)
{
    (void)state;
    log_setup(LOG_OFF, LOG_TEXT);
    return client_setup(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_request_says_what_it_must),
        CASE(keys_are_fresh_and_paths_may_be_missing),
        CASE(odd_requests_do_not_leave),
        CASE(frames_may_come_with_the_answer),
        CASE(the_end_may_come_with_the_answer),
        CASE(wrong_answers_are_refused),
        CASE(an_end_instead_of_an_answer_is_told),
        CASE(a_closed_port_is_told),
        CASE(refusals_are_told),
        CASE(what_came_of_a_refusal_will_do),
        CASE(a_refusal_has_a_ceiling),
        CASE(the_answer_has_a_limit),
        CASE(opening_can_be_cancelled),
        CASE(cancelled_at_once),
        CASE(opening_takes_a_place),
        CASE(failures_count_for_the_breaker),
        CASE(our_own_faults_do_not),
    };
    return cmocka_run_group_tests(tests, set_up_all, NULL);
}
