/* Clients that come back to another loop. */
#include "unit/support/sio_recovery.h"

static int setup(void **state)
{
    (void)state;
    env_defaults();
    env.nloops = 3;
    env.config.recovery = 600000;
    env_start();
    return 0;
}

/* Shows the pid on another loop. */
static void come_back_to(unsigned loop, struct sioc *again, const struct sioc *c, const char *offset)
{
    sioc_open_on(again, loop, "EIO=4");
    sioc_show(again, "", c->pid, offset);
}

static void expect_cast(struct sioc *c, const char *args)
{
    char want[128];
    int n = snprintf(want, sizeof want, "42[\"cast\",%s,\"", args);
    char *got = sioc_take(c);
    if (!got || strncmp(got, want, (size_t)n) != 0)
        fail_msg("got %s instead of %s", got ? got : "the end", want);
    free(got);
}

static void the_quiet(void **state)
{
    (void)state;
    struct sioc c, again, friend;
    sioc_begin_on(&c, 0, "");
    sioc_begin_on(&friend, 2, "");
    sioc_ask(&c, "[\"join\",\"room\"]");
    sioc_ask(&c, "[\"join\",\"other\"]");
    static const unsigned path[] = {1, 2, 1, 0, 0, 2, 0};
    for (size_t i = 0; i < COUNT(path); i++) {
        sioc_vanish(&c);
        come_back_to(path[i], &again, &c, NULL);
        sioc_recovered(&again, &c, "");
        await_count(&seen.recovered, (int)i + 1);
        char want[200];
        snprintf(want, sizeof want, "430[\"%s\",\"/\",%u,\"\",\"127.0.0.1\"]", c.sid, path[i]);
        sioc_send(&c, "420[\"me\"]");
        sioc_expect(&c, want);
        sioc_send(&friend, i % 2 ? "42[\"cast\",\"room\"]" : "42[\"cast\",\"other\"]");
        expect_cast(&c, i % 2 ? "\"room\"" : "\"other\"");
        sioc_send(&c, "41");
        await_closed((int)i + 1, "client namespace disconnect");
        sioc_send(&c, "40");
        sioc_connected(&c, "");
        sioc_ask(&c, "[\"join\",\"room\"]");
        sioc_ask(&c, "[\"join\",\"other\"]");
    }
    sioc_free(&c);
    sioc_free(&friend);
}

static void around_with_offsets(void **state)
{
    (void)state;
    struct sioc c, again;
    char offset[64];
    int n = 0;
    sioc_begin_on(&c, 1, "{\"recovery\":true}");
    for (unsigned i = 0; i < 12; i++) {
        sioc_send(&c, "42[\"emit\",3]");
        sioc_expect_number(&c, ++n, offset);
        struct sioc old = c;
        char later[64];
        if (i % 2) /* it did not see the others */
            sioc_vanish(&c);
        come_back_to((i * 5 + 2) % 3, &again, &c, offset);
        sioc_expect_number(&again, ++n, later);
        sioc_expect_number(&again, ++n, later);
        sioc_recovered(&again, &c, "");
        if (i % 2 == 0)
            sioc_free(&old);
    }
    assert_int_equal(atomic_load(&seen.connects), 1);
    assert_int_equal(atomic_load(&seen.closed), 0);
    assert_int_equal(atomic_load(&seen.departed), atomic_load(&seen.arrived));
    assert_true(atomic_load(&seen.departed) > 4);
    sioc_free(&c);
}

static void taking_a_live_connection_over(void **state)
{
    (void)state;
    struct sioc c, old, again;
    sioc_begin_on(&c, 0, "");
    old = c;
    come_back_to(1, &again, &c, NULL);
    sioc_recovered(&again, &c, "");
    sioc_expect_end(&old);
    assert_int_equal(atomic_load(&seen.closed), 0);
    assert_int_equal(sio_count(env.sio), 1);
    sioc_ask(&c, "[\"leave\",\"x\"]");
    sioc_free(&c);
}

/* ---- What does not work ---- */

static void what_does_not_fit(void **state)
{
    (void)state;
    struct sioc c, again;
    sioc_begin_on(&c, 0, "{\"recovery\":true}");
    sioc_vanish(&c);
    sioc_open_on(&again, 1, "EIO=4");
    sioc_show(&again, "/custom,", c.pid, NULL);
    sioc_not_recovered(&again, &c, "/custom");
    assert_int_equal(atomic_load(&seen.closed), 0);
    sioc_show(&again, "", c.pid, "wrong");
    sioc_not_recovered(&again, &c, "");
    await_closed(1, "transport close");
    assert_int_equal(atomic_load(&seen.departed), 0);
    sioc_free(&again);
    come_back_to(2, &again, &c, NULL); /* over */
    sioc_not_recovered(&again, &c, "");
    sioc_free(&again);
}

static void a_refused_arrival(void **state)
{
    (void)state;
    struct sioc c, again;
    sioc_begin_on(&c, 0, "");
    sioc_ask(&c, "[\"join\",\"room\"]");
    sioc_vanish(&c);
    atomic_store(&seen.refuse_arrival, true);
    come_back_to(1, &again, &c, NULL);
    sioc_not_recovered(&again, &c, "");
    await_closed(1, "transport close");
    assert_int_equal(atomic_load(&seen.departed), 1);
    assert_int_equal(atomic_load(&seen.arrived), 1);
    sioc_free(&again);
}

/* ---- While it is under way ---- */

static void messages_wait_meanwhile(void **state)
{
    (void)state;
    struct sioc c, again;
    sioc_begin_on(&c, 0, "");
    sioc_vanish(&c);
    atomic_store(&seen.slow_arrival, true);
    come_back_to(1, &again, &c, NULL);
    sioc_send(&again, "42[\"echo\",1]");
    sioc_send(&again, "40/custom");
    sioc_send(&again, "451-[\"echo\",{\"_placeholder\":true,\"num\":0}]");
    wsc_send(&again.ws, WS_BINARY, STR("two"));
    await_count(&seen.arrived, 1);
    atomic_store(&seen.slow_arrival, false);
    struct sioc custom = again;
    sioc_recovered(&again, &c, "");
    char *got = sioc_take(&c);
    assert_memory_equal(got, "42[\"echo\",1,\"", 13);
    free(got);
    custom.ws = c.ws;
    sioc_connected(&custom, "/custom");
    c.ws = custom.ws;
    got = sioc_take(&c);
    assert_memory_equal(got, "451-[\"echo\",{\"_placeholder\":true,\"num\":0},\"", 42);
    free(got);
    sioc_expect_bytes(&c, STR("two"));
    sioc_free(&c);
}

/* Several messages in one piece: what was read when the pause begins. */
static void send_together(struct sioc *c, const char *const *texts, size_t n)
{
    struct buf out = BUF_INIT(MIB(1));
    for (size_t i = 0; i < n; i++)
        assert_int_equal(ws_frame_put(&out, WS_TEXT, str_c(texts[i]), true), 0);
    client_send(&c->ws.tcp, buf_str(&out));
    buf_free(&out);
}

static void messages_that_came_together(void **state)
{
    (void)state;
    struct sioc c, again, custom;
    char show[64];
    sioc_begin_on(&c, 0, "");
    sioc_vanish(&c);
    atomic_store(&seen.slow_arrival, true);
    sioc_open_on(&again, 1, "EIO=4");
    snprintf(show, sizeof show, "40{\"pid\":\"%s\"}", c.pid);
    const char *const texts[] = {show, "421[\"ack\",1]", "40/custom", "42/custom,2[\"ack\",2]", "423[\"ack\",3]"};
    send_together(&again, texts, COUNT(texts));
    await_count(&seen.arrived, 1);
    atomic_store(&seen.slow_arrival, false);
    sioc_recovered(&again, &c, "");
    sioc_expect(&c, "431[1]");
    custom = c;
    sioc_connected(&custom, "/custom");
    sioc_expect(&custom, "43/custom,2[2]");
    sioc_expect(&custom, "433[3]");
    sioc_free(&custom);
}

/* A session over polling that is not on the loop that has the socket. */
static void poller_open(struct client *c, char sid[21], unsigned not_on)
{
    char query[64];
    for (unsigned loop = not_on; loop == not_on; loop = (unsigned)eio_steer(sio_engine(env.sio), str_c(query))) {
        client_open(c, env.port);
        struct reply r = ask(c, "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: test\r\n\r\n");
        sioc_member(sid, 21, r.body, "sid");
        snprintf(query, sizeof query, "sid=%s", sid);
        reply_free(&r);
        client_close(c);
    }
    client_open(c, env.port);
}

static void poller_send(struct client *c, const char *method, const char *sid, struct str body)
{
    struct buf out = BUF_INIT(MIB(1));
    buf_addf(&out, "%s /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: test\r\n", method, sid);
    buf_addf(&out, "Content-Length: %zu\r\n\r\n%.*s", body.n, STR_ARG(body));
    client_send(c, buf_str(&out));
    buf_free(&out);
}

static void over_polling(void **state)
{
    (void)state;
    struct sioc c, found;
    struct client tcp;
    char sid[21], text[512];
    sioc_begin_on(&c, 0, "");
    sioc_vanish(&c);
    poller_open(&tcp, sid, 0);
    snprintf(text, sizeof text, "40{\"pid\":\"%s\"}\x1e%s\x1e%s", c.pid, "421[\"ack\",1]", "40/custom");
    poller_send(&tcp, "POST", sid, str_c(text));
    struct reply r = reply_read(&tcp);
    assert_string_equal(r.body, "ok"); /* when all of it was handled */
    reply_free(&r);
    poller_send(&tcp, "GET", sid, STR(""));
    r = reply_read(&tcp);
    snprintf(text, sizeof text, "40{\"sid\":\"%s\",\"pid\":\"%s\"}\x1e", c.sid, c.pid);
    assert_memory_equal(r.body, text, strlen(text));
    const char *rest = strstr(r.body, "431[1]\x1e");
    assert_non_null(rest);
    assert_memory_equal(rest + 7, "40/custom,{", 11);
    sioc_member(found.sid, sizeof found.sid, rest, "sid");
    assert_string_not_equal(found.sid, c.sid);
    reply_free(&r);
    client_close(&tcp);
}

static void too_many_messages_meanwhile(void **state)
{
    (void)state;
    struct sioc c, again;
    struct client tcp;
    struct buf body = BUF_INIT(MIB(1));
    char sid[21];
    sioc_begin_on(&c, 0, "");
    sioc_vanish(&c);
    atomic_store(&seen.slow_arrival, true);
    poller_open(&tcp, sid, 0);
    buf_addf(&body, "40{\"pid\":\"%s\"}", c.pid);
    for (int i = 0; i <= LIMIT_SIO_HELD; i++)
        buf_lit(&body, "\x1e"
                       "421[\"ack\"]");
    poller_send(&tcp, "POST", sid, buf_str(&body));
    struct reply r = reply_read(&tcp);
    assert_int_equal(r.status, 400);
    reply_free(&r);
    client_close(&tcp);
    buf_free(&body);
    await_count(&seen.arrived, 1);
    atomic_store(&seen.slow_arrival, false);
    come_back_to(0, &again, &c, NULL); /* the socket did nothing wrong */
    sioc_recovered(&again, &c, "");
    sioc_free(&c);
}

static void a_violation_meanwhile(void **state)
{
    (void)state;
    struct sioc c, again;
    sioc_begin_on(&c, 0, "");
    sioc_vanish(&c);
    atomic_store(&seen.slow_arrival, true);
    come_back_to(1, &again, &c, NULL);
    sioc_send(&again, "40");
    await_count(&seen.arrived, 1);
    atomic_store(&seen.slow_arrival, false);
    struct sioc before = again;
    sioc_recovered(&before, &c, "");
    sioc_expect_end(&c);
    await_closed(1, "parse error");
}

/* The next connection waits for the arrival that the first one began. */
static void the_client_vanishes_meanwhile(void **state)
{
    (void)state;
    struct sioc c, again, other;
    sioc_begin_on(&c, 0, "");
    for (int i = 0; i < 6; i++) {
        unsigned next = (c.loop + 1) % SIO_LOOPS, third = (c.loop + 2) % SIO_LOOPS;
        int arrived = atomic_load(&seen.arrived);
        sioc_vanish(&c);
        atomic_store(&seen.slow_arrival, true);
        come_back_to(next, &again, &c, NULL);
        await_count(&seen.arrived, arrived + 1);
        assert_int_equal(sio_count_lost(env.sio), 0);
        sioc_free(&again);
        come_back_to(i % 2 ? next : third, &other, &c, NULL); /* while it is on its way */
        atomic_store(&seen.slow_arrival, false);
        sioc_recovered(&other, &c, "");
    }
    assert_int_equal(atomic_load(&seen.connects), 1);
    assert_int_equal(atomic_load(&seen.closed), 0);
    sioc_free(&c);
}

static void handlers_end_first(void **state)
{
    (void)state;
    struct sioc c, again;
    sioc_begin_on(&c, 0, "");
    atomic_store(&seen.block, true);
    sioc_send(&c, "42[\"block\",1]");
    sioc_send(&c, "42[\"slow\",2]");
    sioc_send(&c, "42[\"ask\",60000]");
    sioc_expect(&c, "420[\"question\",60000]");
    sioc_vanish(&c);
    come_back_to(1, &again, &c, NULL);
    assert_int_equal(atomic_load(&seen.departed), 0);
    atomic_store(&seen.block, false);
    static const char *const want[] = {"42[\"answered\",\"CANCELLED\",\"", "42[\"block\",1,\"", "42[\"slow\",2,\""};
    for (size_t i = 0; i < COUNT(want); i++) {
        char *got = sioc_take(&again);
        if (strncmp(got, want[i], strlen(want[i])) != 0)
            fail_msg("got %s instead of %s", got, want[i]);
        free(got);
    }
    sioc_recovered(&again, &c, "");
    assert_int_equal(atomic_load(&seen.departed), 1);
    sioc_free(&c);
}

/* One that does not end is cancelled after a while; its last words count. */
static void handlers_are_cancelled(void **state)
{
    (void)state;
    struct sioc c, again;
    sioc_begin_on(&c, 0, "");
    atomic_store(&seen.block, true);
    sioc_send(&c, "42[\"block\",1]");
    sioc_send(&c, "42[\"slow\",2]"); /* never handled */
    sioc_ask(&c, "[\"leave\",\"x\"]");
    sioc_vanish(&c);
    come_back_to(1, &again, &c, NULL);
    char *got = sioc_take(&again);
    assert_memory_equal(got, "42[\"block\",1,\"", 14);
    free(got);
    sioc_recovered(&again, &c, "");
    assert_int_equal(atomic_load(&seen.cancelled), 1);
    atomic_store(&seen.block, false);
    sioc_free(&c);
}

/* Somebody on the old loop holds it still: it cannot go. */
static void references_keep_it(void **state)
{
    (void)state;
    struct sioc c, again;
    sioc_begin_on(&c, 0, "");
    sioc_ask(&c, "[\"keep\"]");
    sioc_vanish(&c);
    come_back_to(1, &again, &c, NULL);
    sioc_not_recovered(&again, &c, "");
    await_closed(1, "transport close");
    assert_int_equal(atomic_load(&seen.departed), 0);
    live_do(&env.lives[0], kept_let_go);
    sioc_free(&again);
}

static void do_drain(struct live_server *live)
{
    (void)live;
    sio_drain(env.sio);
}

static void draining_meanwhile(void **state)
{
    (void)state;
    struct sioc c, again;
    sioc_begin_on(&c, 0, "");
    sioc_vanish(&c);
    atomic_store(&seen.slow_arrival, true);
    come_back_to(1, &again, &c, NULL);
    await_count(&seen.arrived, 1);
    live_do(&env.lives[1], do_drain);
    atomic_store(&seen.slow_arrival, false);
    sioc_not_recovered(&again, &c, "");
    await_closed(1, "transport close");
    sioc_free(&again);
    sioc_begin_on(&c, 0, "");
    sioc_vanish(&c);
    live_do(&env.lives[0], do_drain);
    come_back_to(2, &again, &c, NULL);
    sioc_not_recovered(&again, &c, "");
    sioc_free(&again);
}

/* ---- Broadcasts: every loop tells a room one number after the other, and none is lost or comes twice ---- */

static atomic_bool storm;
static atomic_int storms_over;

static void blow(void *arg)
{
    struct err e;
    char name[8], args[64];
    struct str room = STR("room");
    (void)arg;
    snprintf(name, sizeof name, "s%u", loop_index(loop_self()));
    for (int number = 1; atomic_load(&storm); number++) {
        int n = snprintf(args, sizeof args, "%d", number);
        sio_broadcast(env.sio, STR("/"), &room, number % 5 ? 1 : 0, NULL,
                      &(struct sio_emit){.name = str_c(name), .args = str_n(args, (size_t)n)});
        live_assert(number % 3 || task_sleep(1, &e) == 0);
    }
    atomic_fetch_add(&storms_over, 1);
}

static void start_storm(struct live_server *live)
{
    (void)live;
    task_spawn("storm", blow, NULL);
}

struct follower {
    int next[SIO_LOOPS]; /* of each loop's numbers; 0: none came yet */
    char offset[64];
};

/* Takes events until the answer to CONNECT, which is checked, or n of them. */
static void follow(struct follower *f, struct sioc *c, int n, bool connecting)
{
    for (int i = 0; connecting || i < n; i++) {
        char *got = sioc_take(c), *end;
        if (!got)
            fail_msg("the stream ended");
        if (connecting && strncmp(got, "40{", 3) == 0) {
            if (!strstr(got, c->sid) || !strstr(got, c->pid))
                fail_msg("not recovered: %s", got);
            free(got);
            return;
        }
        assert_memory_equal(got, "42[\"s", 5);
        int *next = &f->next[got[5] - '0'], number = (int)strtol(got + 8, &end, 10);
        if (*next && number != *next)
            fail_msg("%.2s: %d instead of %d", got + 4, number, *next);
        *next = number + 1;
        str_copy(f->offset, sizeof f->offset, str_n(end + 2, strcspn(end + 2, "\"")));
        free(got);
    }
}

static void a_storm(void **state)
{
    (void)state;
    enum { CLIENTS = 3, ROUNDS = 40 };
    struct sioc c[CLIENTS];
    struct follower f[CLIENTS] = {0};
    unsigned choice = 12345;
    for (unsigned i = 0; i < CLIENTS; i++) {
        sioc_begin_on(&c[i], i, "{\"recovery\":true}");
        sioc_ask(&c[i], "[\"join\",\"room\"]");
    }
    atomic_store(&storm, true);
    atomic_store(&storms_over, 0);
    for (int i = 0; i < SIO_LOOPS; i++)
        live_do(&env.lives[i], start_storm);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < CLIENTS; i++) {
            struct sioc again;
            choice = choice * 1103515245u + 12345u;
            follow(&f[i], &c[i], 1 + (int)(choice >> 16) % 20, false);
            if (choice >> 24 & 1)
                sioc_free(&c[i]);
            sioc_open_on(&again, (choice >> 20) % SIO_LOOPS, "EIO=4");
            memcpy(again.sid, c[i].sid, sizeof again.sid);
            memcpy(again.pid, c[i].pid, sizeof again.pid);
            sioc_show(&again, "", c[i].pid, f[i].offset);
            follow(&f[i], &again, 0, true);
            if (!(choice >> 24 & 1))
                sioc_free(&c[i]);
            c[i] = again;
        }
    }
    atomic_store(&storm, false);
    await_count(&storms_over, SIO_LOOPS);
    for (int i = 0; i < CLIENTS; i++)
        sioc_free(&c[i]);
    assert_int_equal(atomic_load(&seen.connects), CLIENTS);
    assert_int_equal(atomic_load(&seen.recovered), CLIENTS * ROUNDS);
    assert_true(atomic_load(&seen.departed) > ROUNDS);
}

static int storm_teardown(void **state)
{
    atomic_store(&storm, false);
    return env_teardown(state);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, env_teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_quiet),
        TEST(around_with_offsets),
        TEST(taking_a_live_connection_over),
        TEST(what_does_not_fit),
        TEST(a_refused_arrival),
        TEST(messages_wait_meanwhile),
        TEST(messages_that_came_together),
        TEST(over_polling),
        TEST(too_many_messages_meanwhile),
        TEST(a_violation_meanwhile),
        TEST(the_client_vanishes_meanwhile),
        TEST(handlers_end_first),
        TEST(handlers_are_cancelled),
        TEST(references_keep_it),
        TEST(draining_meanwhile),
        cmocka_unit_test_setup_teardown(a_storm, setup, storm_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
