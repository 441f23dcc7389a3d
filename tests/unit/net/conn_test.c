#include "unit/support/loop_thread.h"

#include "loop/task.h"
#include "net/conn.h"
#include "net/listener.h"

#include <stdatomic.h>

/* One listener whose connections behave as `ops` says; the newest one is `last`. */
struct served {
    struct conn conn; /* first */
};

static struct loop_thread t;
static struct listener *listener;
static uint16_t port;
static const struct conn_ops *ops;
static struct served *last;
static atomic_int closed;
static atomic_int closed_why;
static atomic_int drained;
static sem_t event; /* posted by the callbacks under test */

static void wait_event(void)
{
    while (sem_wait(&event) < 0)
        ;
}

static void on_closed(struct conn *c, enum conn_end why)
{
    closed_why = (int)why;
    closed++;
    free(c);
    sem_post(&event);
}

static void on_accept(void *arg, int fd, const struct sockaddr_in6 *peer)
{
    (void)arg, (void)peer;
    last = mem_zalloc(sizeof *last);
    assert_int_equal(conn_open(&last->conn, t.loop, fd, NULL, ops), 0);
}

static void open_listener(void *arg)
{
    struct err e;
    (void)arg;
    listener = listener_open(t.loop, "127.0.0.1", 0, on_accept, NULL, &e);
    assert_non_null(listener);
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
    closed = drained = 0;
    last = NULL;
    closed_why = -1;
    sem_init(&event, 0, 0);
    loop_thread_start(&t);
    on_loop(&t, open_listener, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    on_loop(&t, close_listener, NULL);
    loop_thread_stop(&t);
    sem_destroy(&event);
    assert_int_equal(conn_memory(), 0);
    return 0;
}

/* ---- Echo of whole lines ---- */

static size_t echo_lines(struct conn *c, char *p, size_t n)
{
    size_t used = 0;
    char *end;
    while ((end = memchr(p + used, '\n', n - used))) {
        conn_write(c, str_n(p + used, (size_t)(end - p) + 1 - used));
        used = (size_t)(end - p) + 1;
    }
    return used;
}

static const struct conn_ops echo_ops = {.on_read = echo_lines, .on_closed = on_closed};

static void answers_and_closes_when_the_peer_does(void **state)
{
    (void)state;
    ops = &echo_ops;
    int fd = client_connect(port);
    client_send(fd, STR("hello\nworld\n"));
    client_expect(fd, STR("hello\nworld\n"));
    close(fd);
    wait_event();
    assert_int_equal(closed, 1);
    assert_int_equal(closed_why, CONN_END_PEER);
}

static void check_kept(void *arg)
{
    *(size_t *)arg = conn_memory();
}

static void keeps_what_was_not_consumed(void **state)
{
    (void)state;
    size_t held = 0;
    ops = &echo_ops;
    int fd = client_connect(port);
    client_send(fd, STR("one\ntw"));
    client_expect(fd, STR("one\n"));
    on_loop(&t, check_kept, &held);
    assert_true(held > 0 && held < 64);
    client_send(fd, STR("o\nthr"));
    client_expect(fd, STR("two\n"));
    client_send(fd, STR("ee\n"));
    client_expect(fd, STR("three\n"));
    on_loop(&t, check_kept, &held);
    assert_int_equal(held, 0); /* idle: neither input nor output memory */
    close(fd);
    wait_event();
}

static void closes_who_never_consumes(void **state)
{
    (void)state;
    ops = &echo_ops;
    int fd = client_connect(port);
    char *big = mem_zalloc(MIB(1));
    client_try_send(fd, str_n(big, MIB(1)));
    wait_event();
    assert_int_equal(closed_why, CONN_END_ERROR);
    free(big);
    close(fd);
}

static void a_reset_ends_the_connection(void **state)
{
    (void)state;
    ops = &echo_ops;
    int fd = client_connect(port);
    client_send(fd, STR("x\n"));
    client_expect(fd, STR("x\n"));
    client_reset(fd);
    wait_event();
    assert_int_equal(closed_why, CONN_END_PEER);
}

/* ---- Closing from inside on_read ---- */

static size_t close_at_once(struct conn *c, char *p, size_t n)
{
    (void)p;
    conn_write(c, STR("never seen"));
    conn_close(c);
    conn_close(c);
    assert_false(conn_is_open(c));
    conn_write(c, STR("ignored"));
    conn_commit(c, (size_t)(conn_reserve(c, 100) != NULL));
    conn_flush(c);
    conn_finish(c);
    return n / 2;
}

static void may_close_while_reading(void **state)
{
    static const struct conn_ops closing = {.on_read = close_at_once, .on_closed = on_closed};
    (void)state;
    ops = &closing;
    int fd = client_connect(port);
    client_send(fd, STR("good day"));
    wait_event();
    assert_int_equal(closed, 1);
    assert_int_equal(closed_why, CONN_END_LOCAL);
    close(fd);
}

/* ---- Finishing while the peer still sends ---- */

static size_t refuse_upload(struct conn *c, char *p, size_t n)
{
    (void)p;
    conn_write(c, STR("too large"));
    conn_finish(c);
    return n;
}

static void a_peer_that_still_sends_gets_the_last_words(void **state)
{
    static const struct conn_ops refusing = {.on_read = refuse_upload, .on_closed = on_closed};
    (void)state;
    size_t len;
    bool reset;
    ops = &refusing;
    char *big = mem_zalloc(MIB(4));
    int fd = client_connect(port);
    client_send(fd, str_n(big, MIB(4)));
    char *got = client_read_all(fd, &len, &reset);
    assert_false(reset);
    assert_string_equal(got, "too large");
    close(fd);
    wait_event();
    assert_int_equal(closed_why, CONN_END_LOCAL);
    free(got);
    free(big);
}

static void does_not_linger_for_ever(void **state)
{
    static const struct conn_ops refusing = {.on_read = refuse_upload, .on_closed = on_closed};
    (void)state;
    ops = &refusing;
    int fd = client_connect(port);
    client_send(fd, STR("x"));
    client_expect(fd, STR("too large"));
    wait_event(); /* the peer keeps its side open and is closed all the same */
    assert_int_equal(closed_why, CONN_END_LOCAL);
    close(fd);
}

/* ---- Half-closed peers ---- */

static size_t swallow(struct conn *c, char *p, size_t n)
{
    (void)c, (void)p;
    return n;
}

static void answer_after_eof(struct conn *c)
{
    conn_write(c, STR("after your end"));
    conn_finish(c);
}

static void output_works_after_the_peers_end(void **state)
{
    static const struct conn_ops half = {.on_read = swallow, .on_eof = answer_after_eof, .on_closed = on_closed};
    (void)state;
    ops = &half;
    int fd = client_connect(port);
    client_send(fd, STR("all I have"));
    shutdown(fd, SHUT_WR);
    client_expect(fd, STR("after your end"));
    client_expect_eof(fd);
    wait_event();
    assert_int_equal(closed_why, CONN_END_LOCAL);
    close(fd);
}

/* ---- Slow readers ---- */

#define PIECE  KIB(16)
#define PIECES 1024

static atomic_size_t high_water;
static atomic_int written, source_result;

static void source_main(void *arg)
{
    struct conn *c = arg;
    struct err e;
    char *piece = mem_alloc(PIECE);
    int result = 0;
    for (int i = 0; i < PIECES && result == 0; i++) {
        memset(piece, 'a' + i % 26, PIECE);
        conn_write(c, str_n(piece, PIECE));
        if (conn_queued(c) > high_water)
            high_water = conn_queued(c);
        result = conn_wait_drained(c, &e);
        written += result == 0;
    }
    free(piece);
    source_result = result;
    if (result == 0)
        conn_finish(c);
    sem_post(&event);
}

static size_t start_source(struct conn *c, char *p, size_t n)
{
    (void)p;
    task_spawn("source", source_main, c);
    return n;
}

static void count_drained(struct conn *c)
{
    assert_true(conn_queued(c) <= CONN_LOW_MARK);
    drained++;
}

static const struct conn_ops source_ops = {
    .on_read = start_source, .on_drained = count_drained, .on_closed = on_closed};

static void check_parked(void *arg)
{
    *(bool *)arg = last && conn_queued(&last->conn) > CONN_HIGH_MARK && last->conn.want_write;
}

/* The kernel's buffers are full and the queue is above its mark. */
static void wait_until_parked(void)
{
    bool parked = false;
    while (!parked)
        on_loop(&t, check_parked, &parked);
}

static void a_slow_reader_slows_its_source(void **state)
{
    (void)state;
    size_t len, held = 0;
    high_water = 0;
    written = 0;
    ops = &source_ops;
    int fd = client_connect(port);
    client_send(fd, STR("go"));
    wait_until_parked();
    assert_true(written < PIECES);
    on_loop(&t, check_kept, &held);
    assert_true(held > 0 && held < CONN_HIGH_MARK + 4 * PIECE);
    char *got = client_read_all(fd, &len, NULL);
    assert_int_equal(len, (size_t)PIECE * PIECES);
    for (size_t i = 0; i < PIECES; i++)
        assert_int_equal(got[i * PIECE + PIECE / 2], 'a' + (int)(i % 26));
    assert_true(high_water <= CONN_HIGH_MARK + PIECE);
    assert_true(drained > 0);
    wait_event();
    assert_int_equal(source_result, 0);
    close(fd);
    wait_event();
    free(got);
}

static void a_reader_that_leaves_ends_the_wait(void **state)
{
    (void)state;
    written = 0;
    ops = &source_ops;
    int fd = client_connect(port);
    client_send(fd, STR("go"));
    wait_until_parked();
    client_reset(fd);
    wait_event();
    wait_event();
    assert_int_equal(source_result, -1);
    assert_int_equal(closed, 1);
}

/* ---- Pausing ---- */

static atomic_int reads;

static size_t count_reads(struct conn *c, char *p, size_t n)
{
    (void)p;
    reads++;
    if (reads == 1)
        conn_pause(c);
    sem_post(&event);
    return reads == 1 ? 1 : n;
}

static void resume_last(void *arg)
{
    (void)arg;
    conn_resume(&last->conn);
}

static void nothing(void *arg)
{
    (void)arg;
}

static void a_paused_connection_reads_nothing(void **state)
{
    static const struct conn_ops pausing = {.on_read = count_reads, .on_closed = on_closed};
    (void)state;
    reads = 0;
    ops = &pausing;
    int fd = client_connect(port);
    client_send(fd, STR("abc"));
    wait_event();
    client_send(fd, STR("def"));
    for (int i = 0; i < 10; i++)
        on_loop(&t, nothing, NULL);
    assert_int_equal(reads, 1);
    on_loop(&t, resume_last, NULL);
    wait_event();
    assert_true(reads >= 2);
    close(fd);
    do
        wait_event();
    while (!closed);
}

/* ---- Switching the owner ---- */

static size_t new_owner(struct conn *c, char *p, size_t n)
{
    conn_write(c, STR("new:"));
    conn_write(c, str_n(p, n));
    return n;
}

static const struct conn_ops new_ops = {.on_read = new_owner, .on_closed = on_closed};

static size_t hand_over(struct conn *c, char *p, size_t n)
{
    assert_true(n >= 3);
    conn_write(c, str_n(p, 3));
    c->ops = &new_ops;
    return 3;
}

static void the_rest_goes_to_the_new_owner(void **state)
{
    static const struct conn_ops old = {.on_read = hand_over, .on_closed = on_closed};
    (void)state;
    ops = &old;
    int fd = client_connect(port);
    client_send(fd, STR("oldnew stuff"));
    client_expect(fd, STR("oldnew:new stuff"));
    close(fd);
    wait_event();
}

/* ---- Shared bytes ---- */

static struct blob *blob;

static size_t send_blob(struct conn *c, char *p, size_t n)
{
    (void)p;
    conn_write(c, STR("<"));
    conn_write_blob(c, blob);
    memcpy(conn_reserve(c, 1), ">", 1);
    conn_commit(c, 1);
    conn_reserve(c, 4096); /* not used */
    return n;
}

static void blobs_are_shared_and_given_back(void **state)
{
    static const struct conn_ops sharing = {.on_read = send_blob, .on_closed = on_closed};
    (void)state;
    static char text[MIB(1)];
    memset(text, 'b', sizeof text);
    ops = &sharing;
    for (size_t size = 10; size <= sizeof text; size *= 3) {
        blob = blob_new(str_n(text, size));
        int fds[2] = {client_connect(port), client_connect(port)};
        for (int i = 0; i < 2; i++)
            client_send(fds[i], STR("x"));
        for (int i = 0; i < 2; i++) {
            client_expect(fds[i], STR("<"));
            client_expect(fds[i], blob_str(blob));
            client_expect(fds[i], STR(">"));
            close(fds[i]);
        }
        wait_event();
        wait_event();
        assert_int_equal(atomic_load(&blob->refs), 1);
        blob = blob_unref(blob);
    }
}

/* ---- Addresses ---- */

static void read_address(void *arg)
{
    conn_address(&last->conn, arg);
}

static void tells_addresses(void **state)
{
    (void)state;
    char text[CONN_ADDRESS_MAX];
    ops = &echo_ops;
    int fd = client_connect(port);
    client_send(fd, STR("x\n"));
    client_expect(fd, STR("x\n"));
    on_loop(&t, read_address, text);
    assert_string_equal(text, "127.0.0.1");
    static const char *const pairs[][2] = {{"::ffff:0.9.99.100", "0.9.99.100"},
                                           {"::ffff:255.255.255.255", "255.255.255.255"},
                                           {"2001:db8::1", "2001:db8::1"},
                                           {"::1", "::1"}};
    for (size_t i = 0; i < COUNT(pairs); i++) {
        struct conn other = {0};
        assert_int_equal(inet_pton(AF_INET6, pairs[i][0], &other.peer.sin6_addr), 1);
        conn_address(&other, text);
        assert_string_equal(text, pairs[i][1]);
    }
    close(fd);
    wait_event();
}

/* ---- Many ---- */

static void many_come_and_go_and_leave_nothing(void **state)
{
    (void)state;
    uint64_t in = conn_bytes_in(), out = conn_bytes_out();
    ops = &echo_ops;
    for (int round = 0; round < 20; round++) {
        int fds[100];
        for (size_t i = 0; i < COUNT(fds); i++) {
            fds[i] = client_connect(port);
            client_send(fds[i], i % 2 ? STR("whole\n") : STR("half"));
        }
        for (size_t i = 1; i < COUNT(fds); i += 2)
            client_expect(fds[i], STR("whole\n"));
        for (size_t i = 0; i < COUNT(fds); i++)
            close(fds[i]);
    }
    for (int i = 0; i < 2000; i++)
        wait_event();
    assert_int_equal(closed, 2000);
    assert_int_equal(conn_memory(), 0);
    assert_int_equal(conn_bytes_in() - in, 1000 * 6 + 1000 * 4);
    assert_int_equal(conn_bytes_out() - out, 1000 * 6);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(answers_and_closes_when_the_peer_does),
        CASE(keeps_what_was_not_consumed),
        CASE(closes_who_never_consumes),
        CASE(a_reset_ends_the_connection),
        CASE(may_close_while_reading),
        CASE(a_peer_that_still_sends_gets_the_last_words),
        CASE(does_not_linger_for_ever),
        CASE(output_works_after_the_peers_end),
        CASE(a_slow_reader_slows_its_source),
        CASE(a_reader_that_leaves_ends_the_wait),
        CASE(a_paused_connection_reads_nothing),
        CASE(the_rest_goes_to_the_new_owner),
        CASE(blobs_are_shared_and_given_back),
        CASE(tells_addresses),
        CASE(many_come_and_go_and_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
