/* Clients that poll, and the clients of Socket.IO 2. */
#include "unit/support/sio_env.h"

static int setup(void **state)
{
    (void)state;
    env_defaults();
    env_start();
    return 0;
}

struct poller {
    struct client tcp;
    char query[128];
};

static struct reply request(struct poller *p, const char *method, const char *body)
{
    struct buf out = BUF_INIT(MIB(4));
    buf_addf(&out, "%s /socket.io/?%s HTTP/1.1\r\nHost: test\r\n", method, p->query);
    if (body)
        buf_addf(&out, "Content-Type: text/plain;charset=UTF-8\r\nContent-Length: %zu\r\n", strlen(body));
    buf_addf(&out, "\r\n%s", body ? body : "");
    client_send(&p->tcp, buf_str(&out));
    buf_free(&out);
    return reply_read(&p->tcp);
}

static void poller_open(struct poller *p, int version)
{
    char sid[21];
    client_open(&p->tcp, env.port);
    snprintf(p->query, sizeof p->query, "EIO=%d&transport=polling", version);
    struct reply r = request(p, "GET", NULL);
    sioc_member(sid, sizeof sid, r.body, "sid");
    snprintf(p->query, sizeof p->query, "EIO=%d&transport=polling&sid=%s", version, sid);
    reply_free(&r);
}

static void post(struct poller *p, const char *body)
{
    struct reply r = request(p, "POST", body);
    assert_string_equal(r.body, "ok");
    reply_free(&r);
}

static void expect_poll(struct poller *p, const char *body)
{
    struct reply r = request(p, "GET", NULL);
    assert_string_equal(r.body, body);
    reply_free(&r);
}

static void polling(void **state)
{
    (void)state;
    struct poller p;
    poller_open(&p, 4);
    post(&p, "40");
    struct reply r = request(&p, "GET", NULL);
    assert_memory_equal(r.body, "40{\"sid\":\"", 10);
    reply_free(&r);
    post(&p, "42[\"echo\",1]\x1e"
             "451-[\"echo\",{\"_placeholder\":true,\"num\":0}]\x1e"
             "bAQID\x1e"
             "421[\"ack\",2]");
    expect_poll(&p, "42[\"echo\",1]\x1e"
                    "451-[\"echo\",{\"_placeholder\":true,\"num\":0}]\x1e"
                    "bAQID\x1e"
                    "431[2]");
    r = request(&p, "POST",
                "42[\"echo\"]\x1e"
                "42{}\x1e"
                "42[\"never\"]");
    reply_free(&r);
    await_closed(1, "parse error");
    client_close(&p.tcp);
}

static void old_clients(void **state)
{
    (void)state;
    struct sioc c;
    char want[128];
    sioc_open_with(&c, "EIO=3");
    sioc_expect(&c, "40");
    sioc_send(&c, "420[\"me\"]");
    snprintf(want, sizeof want, "430[\"%s\",\"/\",0,\"\",\"127.0.0.1\"]", c.esid);
    sioc_expect(&c, want);
    sioc_send(&c, "40/custom?token=x,");
    sioc_expect(&c, "40/custom,");
    sioc_send(&c, "42/custom?token=x,0[\"me\"]");
    snprintf(want, sizeof want, "43/custom,0[\"/custom#%s\",\"/custom\",0,\"\",\"127.0.0.1\"]", c.esid);
    sioc_expect(&c, want);
    sioc_send(&c, "40/random");
    sioc_expect(&c, "44/random,\"Invalid namespace\"");
    sioc_send(&c, "451-[\"echo\",{\"_placeholder\":true,\"num\":0}]");
    wsc_send(&c.ws, WS_BINARY, STR("\4abc"));
    sioc_expect(&c, "451-[\"echo\",{\"_placeholder\":true,\"num\":0}]");
    sioc_expect_bytes(&c, STR("\4abc"));
    sioc_send(&c, "41/custom");
    await_closed(1, "client namespace disconnect");
    sioc_send(&c, "41");
    await_closed(2, "client namespace disconnect");
    sioc_send(&c, "40/custom?{\"refuse\":1},{\"refuse\":1}");
    sioc_expect(&c, "44/custom,\"Not \\\"you\\\"\"");
    sioc_send(&c, "40/custom?a=b&refuse=1");
    sioc_expect(&c, "44/custom,\"Not \\\"you\\\"\"");
    sioc_send(&c, "40");
    sioc_expect(&c, "40");
    sioc_send(&c, "40");
    sioc_expect_end(&c);
    await_closed(3, "parse error");
}

static void old_clients_that_poll(void **state)
{
    (void)state;
    struct poller p;
    poller_open(&p, 3);
    expect_poll(&p, "2:40");
    post(&p, "12:42[\"echo\",1]11:40/custom?x");
    expect_poll(&p, "12:42[\"echo\",1]10:40/custom,");
    post(&p, "2:4111:41/custom?x");
    await_closed(2, "client namespace disconnect");
    client_close(&p.tcp);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, env_teardown)
    const struct CMUnitTest tests[] = {
        TEST(polling),
        TEST(old_clients),
        TEST(old_clients_that_poll),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
