/* Connections that go from loop to loop with all they have. */
#include "unit/support/certificate.h"
#include "unit/support/loop_thread.h"

#include "base/buf.h"
#include "base/mem.h"
#include "net/conn.h"
#include "net/listener.h"
#include "net/tls.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdatomic.h>

/* For the loops' threads. */
#define check(condition) ((condition) ? (void)0 : die("%s:%d: %s", __FILE__, __LINE__, #condition))

#define FLOOD MIB(6) /* more than two sockets hold */

/* One connection, on the loop it is on. It answers each line with the loop's number; "move" takes it to the other loop
 * and is answered there. */
struct mover {
    struct conn conn; /* first */
    int at;
    bool asked; /* the line in front was the reason to come here */
};

static struct loop_thread t[2];
static bool running[2];
static struct listener *listener;
static struct tls_context *tls;
static uint16_t port;
static struct mover *last; /* the newest */
static sem_t event, gate;
static atomic_int closed, arrivals, drained, ends;
static atomic_int closed_why, closed_at;
static int ended; /* connections that end() waited for */
static bool close_on_arrival, move_on_accept, takes_eof;

static void wait_event(void)
{
    while (sem_wait(&event) < 0)
        ;
}

static int here(void)
{
    return loop_self() == t[1].loop;
}

static void on_closed(struct conn *c, enum conn_end why)
{
    struct mover *m = container_of(c, struct mover, conn);
    check(here() == m->at);
    closed_why = (int)why;
    closed_at = m->at;
    closed++;
    free(m);
    sem_post(&event);
}

static void on_arrived(struct conn *c)
{
    struct mover *m = container_of(c, struct mover, conn);
    m->at = 1 - m->at;
    check(here() == m->at && c->loop == t[m->at].loop);
    check(conn_input_age(c) < 60000 && conn_output_age(c) < 60000); /* not in the future by this loop's clock */
    arrivals++;
    if (close_on_arrival)
        conn_close(c);
    sem_post(&event);
}

static void move(struct mover *m)
{
    check(here() == m->at);
    conn_move(&m->conn, t[1 - m->at].loop, on_arrived);
}

static void flood(struct conn *c)
{
    struct blob *blob = blob_alloc(FLOOD);
    for (size_t i = 0; i < FLOOD; i++)
        blob->data[i] = (char)('a' + i % 23);
    conn_write(c, STR("["));
    conn_write_blob(c, blob);
    conn_write(c, STR("]"));
    blob_unref(blob);
}

/* False: it moves, and the line comes again over there. */
static bool take_line(struct mover *m, struct str line)
{
    bool wants_move = str_eqc(line, "move") || str_eqc(line, "flood");
    if (wants_move && !m->asked) {
        m->asked = true;
        if (str_eqc(line, "flood"))
            flood(&m->conn);
        conn_resume(&m->conn); /* as after an answer: what is left would come again, here, were it to stay */
        move(m);
        return false;
    }
    m->asked = false;
    char *to = conn_reserve(&m->conn, line.n + 3);
    to[0] = (char)('0' + m->at);
    to[1] = ':';
    memcpy(to + 2, line.p, line.n);
    to[2 + line.n] = '\n';
    conn_commit(&m->conn, line.n + 3);
    return true;
}

static size_t on_read(struct conn *c, char *p, size_t n)
{
    struct mover *m = container_of(c, struct mover, conn);
    check(here() == m->at);
    size_t used = 0;
    for (char *end; (end = memchr(p + used, '\n', n - used)); used = (size_t)(end - p) + 1)
        if (!take_line(m, str_n(p + used, (size_t)(end - p) - used)))
            break;
    return used;
}

static void on_drained(struct conn *c)
{
    check(here() == container_of(c, struct mover, conn)->at);
    drained++;
}

static void on_eof(struct conn *c)
{
    ends++;
    if (!takes_eof)
        conn_close(c);
    sem_post(&event);
}

static const struct conn_ops ops = {
    .on_read = on_read, .on_eof = on_eof, .on_drained = on_drained, .on_closed = on_closed};

static void on_accept(void *arg, int fd, const struct sockaddr_in6 *peer)
{
    (void)arg, (void)peer;
    last = mem_zalloc(sizeof *last);
    check(conn_open(&last->conn, t[0].loop, fd, tls, &ops) == 0);
    if (move_on_accept)
        move(last);
    sem_post(&event);
}

/* ---- Set-up ---- */

static void open_listener(void *arg)
{
    struct err e;
    (void)arg;
    listener = listener_open(t[0].loop, "127.0.0.1", 0, on_accept, NULL, &e);
    check(listener != NULL);
    port = listener_port(listener);
}

static void close_listener(void *arg)
{
    (void)arg;
    listener = listener_close(listener);
}

static int setup(void **state)
{
    (void)state;
    closed = arrivals = drained = ends = ended = 0;
    closed_why = closed_at = -1;
    close_on_arrival = move_on_accept = takes_eof = false;
    last = NULL;
    sem_init(&event, 0, 0);
    sem_init(&gate, 0, 0);
    for (int i = 0; i < 2; i++) {
        loop_thread_start(&t[i]);
        running[i] = true;
    }
    on_loop(&t[0], open_listener, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(conn_memory(), 0);
    if (running[0])
        on_loop(&t[0], close_listener, NULL);
    for (int i = 0; i < 2; i++)
        if (running[i])
            loop_thread_stop(&t[i]);
    sem_destroy(&event);
    sem_destroy(&gate);
    tls = tls_free(tls);
    return 0;
}

static int setup_tls(void **state)
{
    char dir[] = "/tmp/parley-move-XXXXXX", cert[64], key[64];
    struct err e;
    assert_non_null(mkdtemp(dir));
    snprintf(cert, sizeof cert, "%s/cert.pem", dir);
    snprintf(key, sizeof key, "%s/key.pem", dir);
    certificate_write(cert, key, "moving");
    tls = tls_new(cert, key, &e);
    assert_non_null(tls);
    unlink(cert);
    unlink(key);
    rmdir(dir);
    return setup(state);
}

static int client(void)
{
    int fd = client_connect(port);
    wait_event();
    return fd;
}

static void end(int fd)
{
    close(fd);
    for (ended++; closed < ended;)
        wait_event();
}

static void expect_flood(int fd)
{
    char *all = mem_alloc(FLOOD + 2);
    for (size_t i = 0; i < FLOOD; i++)
        all[i + 1] = (char)('a' + i % 23);
    all[0] = '[';
    all[FLOOD + 1] = ']';
    client_expect(fd, str_n(all, FLOOD + 2));
    free(all);
}

/* ---- From on_read ---- */

static void input_behind_the_reason_comes_along(void **state)
{
    (void)state;
    int fd = client();
    client_send(fd, STR("a\nmove\nb\nc"));
    client_expect(fd, STR("0:a\n1:move\n1:b\n"));
    client_send(fd, STR("d\n"));
    client_expect(fd, STR("1:cd\n"));
    client_send(fd, STR("move\n"));
    client_expect(fd, STR("0:move\n"));
    end(fd);
    assert_int_equal(arrivals, 2);
    assert_int_equal(closed_at, 0);
    assert_int_equal(closed_why, CONN_END_LOCAL);
}

static void back_and_forth_many_times(void **state)
{
    (void)state;
    int fd = client();
    struct buf asks = BUF_INIT(MIB(1)), answers = BUF_INIT(MIB(1));
    for (int i = 0; i < 500; i++) {
        buf_addf(&asks, "%d\nmove\n", i);
        buf_addf(&answers, "%d:%d\n%d:move\n", i % 2, i, (i + 1) % 2);
    }
    client_send(fd, buf_str(&asks));
    client_expect(fd, buf_str(&answers));
    buf_free(&asks);
    buf_free(&answers);
    assert_int_equal(arrivals, 500);
    end(fd);
}

static void many_at_once(void **state)
{
    (void)state;
    int fds[50];
    for (size_t i = 0; i < COUNT(fds); i++)
        fds[i] = client();
    for (int round = 0; round < 10; round++) {
        for (size_t i = 0; i < COUNT(fds); i++)
            client_send(fds[i], STR("move\nmove\nmove\n"));
        for (size_t i = 0; i < COUNT(fds); i++)
            client_expect(fds[i], round % 2 ? STR("0:move\n1:move\n0:move\n") : STR("1:move\n0:move\n1:move\n"));
    }
    for (size_t i = 0; i < COUNT(fds); i++)
        end(fds[i]);
    assert_int_equal(arrivals, 1500);
}

static void unsent_output_comes_along(void **state)
{
    (void)state;
    int fd = client();
    client_send(fd, STR("flood\nmove\nflood\n"));
    for (int i = 0; i < 3; i++)
        wait_event(); /* arrived, and arrived, and arrived: nothing was read meanwhile */
    expect_flood(fd);
    client_expect(fd, STR("1:flood\n0:move\n"));
    expect_flood(fd);
    client_expect(fd, STR("1:flood\n"));
    assert_true(drained > 0);
    end(fd);
}

/* ---- From elsewhere ---- */

static void move_last(void *arg)
{
    (void)arg;
    move(last);
}

static void write_and_move(void *arg)
{
    conn_write(&last->conn, STR("written here, "));
    move_last(arg);
}

static void write_more(void *arg)
{
    (void)arg;
    conn_write(&last->conn, STR("and there"));
}

static void output_of_the_same_turn_comes_along(void **state)
{
    (void)state;
    int fd = client();
    on_loop(&t[0], write_and_move, NULL);
    wait_event();
    on_loop(&t[1], write_more, NULL);
    client_expect(fd, STR("written here, and there"));
    end(fd);
    assert_int_equal(closed_at, 1);
}

static void pause_last(void *arg)
{
    (void)arg;
    conn_pause(&last->conn);
}

static void resume_last(void *arg)
{
    (void)arg;
    conn_resume(&last->conn);
}

static void check_kept(void *arg)
{
    (void)arg;
    check(last->conn.kept_len == 4 && !last->conn.reading);
}

static void a_pause_comes_along(void **state)
{
    (void)state;
    int fd = client();
    client_send(fd, STR("x\npart"));
    client_expect(fd, STR("0:x\n"));
    on_loop(&t[0], pause_last, NULL);
    client_send(fd, STR("ial\n"));
    on_loop(&t[0], move_last, NULL);
    wait_event();
    on_loop(&t[1], check_kept, NULL);
    on_loop(&t[1], resume_last, NULL);
    client_expect(fd, STR("1:partial\n"));
    end(fd);
}

static void a_new_connection_may_move_at_once(void **state)
{
    (void)state;
    move_on_accept = true;
    int fd = client_connect(port);
    wait_event();
    wait_event();
    client_send(fd, STR("x\n"));
    client_expect(fd, STR("1:x\n"));
    end(fd);
}

static void to_itself(void *arg)
{
    (void)arg;
    last->at = 1; /* on_arrived turns it round */
    conn_move(&last->conn, t[0].loop, on_arrived);
}

static void the_own_loop_will_do(void **state)
{
    (void)state;
    int fd = client();
    on_loop(&t[0], to_itself, NULL);
    wait_event();
    client_send(fd, STR("x\n"));
    client_expect(fd, STR("0:x\n"));
    end(fd);
}

/* ---- While it is on its way ---- */

static void wait_at_gate(void *arg)
{
    (void)arg;
    while (sem_wait(&gate) < 0)
        ;
}

/* The other loop is busy: what moves there is on its way until let_arrive. */
static void hold_arrivals(void)
{
    loop_post(t[1].loop, wait_at_gate, NULL);
}

static void let_arrive(void)
{
    sem_post(&gate);
    wait_event();
}

/* The iteration in which it left has come to its end. */
static void nothing(void *arg)
{
    (void)arg;
}

static void the_peer_may_go_meanwhile(void **state)
{
    (void)state;
    for (int reset = 0; reset < 2; reset++) {
        int fd = client();
        hold_arrivals();
        client_send(fd, STR("x\n"));
        client_expect(fd, STR("0:x\n"));
        on_loop(&t[0], move_last, NULL);
        if (reset)
            client_reset(fd);
        else
            close(fd);
        on_loop(&t[0], nothing, NULL);
        let_arrive();
        while (closed <= reset)
            wait_event();
        assert_int_equal(closed_at, 1);
        assert_int_equal(closed_why, reset ? CONN_END_PEER : CONN_END_LOCAL);
    }
}

static void input_may_come_meanwhile(void **state)
{
    (void)state;
    int fd = client();
    hold_arrivals();
    client_send(fd, STR("kept"));
    on_loop(&t[0], move_last, NULL);
    client_send(fd, STR(" and new\n"));
    shutdown(fd, SHUT_WR);
    let_arrive();
    client_expect(fd, STR("1:kept and new\n"));
    end(fd);
    assert_int_equal(ends, 1);
}

static void close_last(void *arg)
{
    (void)arg;
    conn_close(&last->conn);
}

static void the_end_of_input_comes_along(void **state)
{
    (void)state;
    takes_eof = true;
    int fd = client();
    client_send(fd, STR("x"));
    shutdown(fd, SHUT_WR);
    wait_event();
    assert_int_equal(ends, 1);
    on_loop(&t[0], write_and_move, NULL);
    wait_event();
    on_loop(&t[1], write_more, NULL);
    client_expect(fd, STR("written here, and there"));
    assert_int_equal(ends, 1);
    client_reset(fd);
    on_loop(&t[1], close_last, NULL);
    wait_event();
    assert_int_equal(closed, 1);
}

static void replace_descriptor(void *arg)
{
    (void)arg;
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    check(file >= 0);
    move_last(NULL);
    check(dup2(file, last->conn.fd) >= 0); /* the system watches no such thing */
    close(file);
}

static void a_connection_that_cannot_arrive_ends(void **state)
{
    (void)state;
    int fd = client();
    client_send(fd, STR("x\npart"));
    client_expect(fd, STR("0:x\n"));
    on_loop(&t[0], replace_descriptor, NULL);
    wait_event();
    wait_event();
    assert_int_equal(arrivals, 1);
    assert_int_equal(closed_why, CONN_END_ERROR);
    assert_int_equal(closed_at, 1);
    client_expect_eof(fd);
    close(fd);
}

/* ---- Loops that end ---- */

static void stop_thread(int i)
{
    loop_stop(t[i].loop);
    pthread_join(t[i].thread, NULL);
    running[i] = false;
}

static void a_loop_that_stopped_takes_it_when_it_is_freed(void **state)
{
    (void)state;
    close_on_arrival = true;
    int fd = client();
    stop_thread(1); /* its clock stands still from here on */
    usleep(3000);
    client_send(fd, STR("x\npart"));
    client_expect(fd, STR("0:x\n"));
    on_loop(&t[0], move_last, NULL);
    on_loop(&t[0], nothing, NULL);
    loop_free(t[1].loop);
    assert_int_equal(arrivals, 1);
    assert_int_equal(closed, 1);
    assert_int_equal(conn_memory(), 0);
    client_expect_eof(fd);
    close(fd);
}

static void one_that_is_being_freed_takes_it_too(void **state)
{
    (void)state;
    close_on_arrival = true;
    int fd = client();
    on_loop(&t[0], close_listener, NULL);
    stop_thread(0);
    loop_post(t[0].loop, to_itself, NULL);
    loop_free(t[0].loop);
    assert_int_equal(arrivals, 1);
    assert_int_equal(closed, 1);
    client_expect_eof(fd);
    close(fd);
}

/* ---- TLS ---- */

struct tls_client {
    SSL_CTX *ctx;
    SSL *ssl;
    int fd;
};

static struct tls_client tls_client(void)
{
    struct tls_client c = {.ctx = SSL_CTX_new(TLS_client_method()), .fd = client()};
    c.ssl = SSL_new(c.ctx);
    SSL_set_fd(c.ssl, c.fd);
    assert_int_equal(SSL_connect(c.ssl), 1);
    return c;
}

static void tls_end(struct tls_client *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    end(c->fd);
    ERR_clear_error();
}

static void tls_send(struct tls_client *c, struct str bytes)
{
    assert_int_equal(SSL_write(c->ssl, bytes.p, (int)bytes.n), (int)bytes.n);
}

static void tls_expect(struct tls_client *c, struct str bytes)
{
    char *got = mem_alloc(bytes.n);
    for (size_t have = 0; have < bytes.n;) {
        int n = SSL_read(c->ssl, got + have, (int)(bytes.n - have));
        assert_true(n > 0);
        have += (size_t)n;
    }
    assert_memory_equal(got, bytes.p, bytes.n);
    free(got);
}

static void a_tls_session_comes_along(void **state)
{
    (void)state;
    struct tls_client c = tls_client();
    tls_send(&c, STR("a\nmove\nb\npart"));
    tls_expect(&c, STR("0:a\n1:move\n1:b\n"));
    tls_send(&c, STR("ial\nmove\n"));
    tls_expect(&c, STR("1:partial\n0:move\n"));
    for (int i = 0; i < 40; i++) { /* many records: some are decrypted already when it moves */
        struct buf asks = BUF_INIT(MIB(1)), answers = BUF_INIT(MIB(1));
        for (int k = 0; k < 300; k++) {
            buf_addf(&asks, "%d%s\n", k, k == 100 ? "\nmove" : "");
            buf_addf(&answers, "%d:%d\n", (i + (k > 100)) % 2, k);
            if (k == 100)
                buf_addf(&answers, "%d:move\n", (i + 1) % 2);
        }
        for (size_t at = 0; at < asks.len; at += 100)
            tls_send(&c, str_n(buf_str(&asks).p + at, MIN(asks.len - at, (size_t)100)));
        tls_expect(&c, buf_str(&answers));
        buf_free(&asks);
        buf_free(&answers);
    }
    tls_end(&c);
}

static void unsent_tls_output_comes_along(void **state)
{
    (void)state;
    struct tls_client c = tls_client();
    char *all = mem_alloc(FLOOD + 2);
    for (size_t i = 0; i < FLOOD; i++)
        all[i + 1] = (char)('a' + i % 23);
    all[0] = '[';
    all[FLOOD + 1] = ']';
    for (int i = 1; i <= 3; i++) {
        tls_send(&c, STR("flood\nx\n"));
        wait_event();
        on_loop(&t[i % 2], nothing, NULL);
        tls_expect(&c, str_n(all, FLOOD + 2));
        tls_expect(&c, i % 2 ? STR("1:flood\n1:x\n") : STR("0:flood\n0:x\n"));
    }
    free(all);
    tls_end(&c);
}

static void a_handshake_may_begin_elsewhere(void **state)
{
    (void)state;
    move_on_accept = true;
    struct tls_client c = tls_client();
    tls_send(&c, STR("x\nmove\n"));
    tls_expect(&c, STR("1:x\n0:move\n"));
    tls_end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(input_behind_the_reason_comes_along, setup, teardown),
        cmocka_unit_test_setup_teardown(back_and_forth_many_times, setup, teardown),
        cmocka_unit_test_setup_teardown(many_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(unsent_output_comes_along, setup, teardown),
        cmocka_unit_test_setup_teardown(output_of_the_same_turn_comes_along, setup, teardown),
        cmocka_unit_test_setup_teardown(a_pause_comes_along, setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_connection_may_move_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(the_own_loop_will_do, setup, teardown),
        cmocka_unit_test_setup_teardown(the_peer_may_go_meanwhile, setup, teardown),
        cmocka_unit_test_setup_teardown(input_may_come_meanwhile, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_of_input_comes_along, setup, teardown),
        cmocka_unit_test_setup_teardown(a_connection_that_cannot_arrive_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(a_loop_that_stopped_takes_it_when_it_is_freed, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_is_being_freed_takes_it_too, setup, teardown),
        cmocka_unit_test_setup_teardown(a_tls_session_comes_along, setup_tls, teardown),
        cmocka_unit_test_setup_teardown(unsent_tls_output_comes_along, setup_tls, teardown),
        cmocka_unit_test_setup_teardown(a_handshake_may_begin_elsewhere, setup_tls, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
