/* Rooms and broadcasts, on one loop and on two. */
#include "unit/support/sio_env.h"

static int setup(void **state)
{
    (void)state;
    env_defaults();
    env_start();
    return 0;
}

static int setup_two(void **state)
{
    (void)state;
    env_defaults();
    env.nloops = 2;
    env_start();
    return 0;
}

/* A broadcast that the next live_do makes. */
static struct {
    const char *nsp;
    struct str rooms[4];
    size_t n;
    const struct sio_socket *except;
    struct sio_emit emit;
    int times;
} cast;

static void do_broadcast(struct live_server *live)
{
    (void)live;
    for (int i = 0; i < MAX(cast.times, 1); i++)
        sio_broadcast(env.sio, str_c(cast.nsp), cast.rooms, cast.n, cast.except, &cast.emit);
}

static void broadcast(unsigned loop, const char *nsp, const char *room, const char *args)
{
    cast.nsp = nsp;
    cast.n = room ? 1 : 0;
    cast.rooms[0] = str_c(room);
    cast.emit = (struct sio_emit){.name = STR("news"), .args = str_c(args)};
    live_do(&env.lives[loop], do_broadcast);
}

static void reset_cast(void)
{
    memset(&cast, 0, sizeof cast);
}

static void names(void **state)
{
    (void)state;
    struct sioc c;
    char name[LIMIT_ID + 2], text[300];
    sioc_begin(&c);
    memset(name, 'r', sizeof name);
    name[LIMIT_ID + 1] = 0;
    snprintf(text, sizeof text, "421[\"join\",\"%s\"]", name);
    sioc_send(&c, text);
    sioc_expect(&c, "431[\"refused\"]");
    sioc_send(&c, "422[\"join\",\"\"]");
    sioc_expect(&c, "432[\"refused\"]");
    name[LIMIT_ID] = 0;
    snprintf(text, sizeof text, "[\"join\",\"%s\"]", name);
    sioc_ask(&c, text);
    sioc_ask(&c, text);
    sioc_ask(&c, "[\"leave\",\"never joined\"]");
    broadcast(0, "/", name, "1");
    sioc_expect(&c, "42[\"news\",1]");
    snprintf(text, sizeof text, "[\"leave\",\"%s\"]", name);
    sioc_ask(&c, text);
    broadcast(0, "/", name, "2");
    sioc_ask(&c, text);
    sioc_free(&c);
}

static void members_only(void **state)
{
    (void)state;
    struct sioc in[2], out, elsewhere;
    for (int i = 0; i < 2; i++) {
        sioc_begin(&in[i]);
        sioc_ask(&in[i], "[\"join\",\"room\"]");
    }
    sioc_begin(&out);
    sioc_open(&elsewhere);
    sioc_send(&elsewhere, "40/custom");
    sioc_connected(&elsewhere, "/custom");
    sioc_send(&elsewhere, "42/custom,1[\"join\",\"room\"]");
    sioc_expect(&elsewhere, "43/custom,1[]");
    sioc_send(&in[0], "42[\"cast\",\"room\",1]");
    sioc_expect(&in[1], "42[\"cast\",\"room\",1]");
    sioc_send(&out, "42[\"cast\",\"room\",2]");
    sioc_expect(&in[0], "42[\"cast\",\"room\",2]");
    sioc_expect(&in[1], "42[\"cast\",\"room\",2]");
    sioc_send(&in[1], "41");
    await_count(&seen.closed, 1);
    sioc_send(&out, "42[\"cast\",\"room\",3]");
    sioc_expect(&in[0], "42[\"cast\",\"room\",3]");
    broadcast(0, "/", NULL, "4");
    sioc_expect(&in[0], "42[\"news\",4]");
    sioc_expect(&out, "42[\"news\",4]");
    broadcast(0, "/custom", NULL, "5");
    sioc_expect(&elsewhere, "42/custom,[\"news\",5]");
    broadcast(0, "/random", NULL, "6");
    sioc_send(&in[1], "40");
    sioc_connected(&in[1], ""); /* in no room any more */
    broadcast(0, "/", "room", "7");
    sioc_expect(&in[0], "42[\"news\",7]");
    sioc_ask(&in[1], "[\"leave\",\"room\"]");
    sioc_free(&in[0]);
    sioc_free(&in[1]);
    sioc_free(&out);
    sioc_free(&elsewhere);
}

static void once_each(void **state)
{
    (void)state;
    struct sioc c[3];
    for (int i = 0; i < 3; i++)
        sioc_begin(&c[i]);
    sioc_ask(&c[0], "[\"join\",\"a\"]");
    sioc_ask(&c[0], "[\"join\",\"b\"]");
    sioc_ask(&c[1], "[\"join\",\"b\"]");
    sioc_ask(&c[1], "[\"keep\"]");
    reset_cast();
    cast.nsp = "/";
    cast.rooms[0] = cast.rooms[2] = STR("a");
    cast.rooms[1] = STR("b");
    cast.rooms[3] = STR("empty");
    cast.n = 4;
    cast.emit = (struct sio_emit){.name = STR("news"), .args = STR("1")};
    live_do(&env.lives[0], do_broadcast);
    sioc_expect(&c[0], "42[\"news\",1]");
    sioc_expect(&c[1], "42[\"news\",1]");
    cast.except = seen.kept;
    cast.emit.args = STR("2");
    live_do(&env.lives[0], do_broadcast);
    sioc_expect(&c[0], "42[\"news\",2]");
    cast.n = 0;
    cast.emit.args = STR("3");
    live_do(&env.lives[0], do_broadcast);
    sioc_expect(&c[0], "42[\"news\",3]");
    sioc_expect(&c[2], "42[\"news\",3]");
    for (int i = 0; i < 3; i++) {
        sioc_ask(&c[i], "[\"leave\",\"a\"]"); /* nothing else came */
        sioc_free(&c[i]);
    }
    await_count(&seen.closed, 3);
    sio_unref(seen.kept);
}

static void with_attachments(void **state)
{
    (void)state;
    struct sioc c, old;
    struct blob *blobs[] = {blob_new(STR("one")), blob_new(STR(""))};
    sioc_begin(&c);
    sioc_open_with(&old, "EIO=3");
    sioc_expect(&old, "40");
    reset_cast();
    cast.nsp = "/";
    cast.emit = (struct sio_emit){.name = STR("news"),
                                  .args = STR("{\"_placeholder\":true,\"num\":1},{\"_placeholder\":true,\"num\":0}"),
                                  .attachments = blobs,
                                  .nattachments = 2};
    live_do(&env.lives[0], do_broadcast);
    const char *want = "452-[\"news\",{\"_placeholder\":true,\"num\":1},{\"_placeholder\":true,\"num\":0}]";
    sioc_expect(&c, want);
    sioc_expect_bytes(&c, STR("one"));
    sioc_expect_bytes(&c, STR(""));
    sioc_expect(&old, want);
    sioc_expect_bytes(&old, STR("\4one"));
    sioc_expect_bytes(&old, STR("\4"));
    blob_unref(blobs[0]);
    blob_unref(blobs[1]);
    sioc_free(&c);
    sioc_free(&old);
}

static void on_all_loops(void **state)
{
    (void)state;
    enum { EACH = 8, TIMES = 200 };
    struct sioc c[2][EACH];
    char text[64];
    broadcast(0, "/", NULL, "\"to nobody\"");
    for (unsigned loop = 0; loop < 2; loop++) {
        for (int i = 0; i < EACH; i++) {
            sioc_begin_on(&c[loop][i], loop, "");
            sioc_ask(&c[loop][i], "[\"join\",\"room\"]");
            if (i % 2)
                sioc_ask(&c[loop][i], "[\"join\",\"odd\"]");
        }
    }
    for (int n = 0; n < TIMES; n++) {
        snprintf(text, sizeof text, "%d", n);
        broadcast((unsigned)n % 2, "/", "room", text);
    }
    broadcast(0, "/", "odd", "\"odd\"");
    for (int i = 0; i < 2 * EACH; i++) {
        struct sioc *one = &c[i % 2][i / 2];
        int next[2] = {0, 1}; /* order is kept for each loop */
        for (int n = 0; n < TIMES; n++) {
            char *got = sioc_take(one);
            int number = (int)strtol(got + strlen("42[\"news\","), NULL, 10);
            assert_int_equal(number, next[number % 2]);
            next[number % 2] += 2;
            free(got);
        }
        if (i / 2 % 2)
            sioc_expect(one, "42[\"news\",\"odd\"]");
        sioc_ask(one, "[\"leave\",\"room\"]");
    }
    sioc_send(&c[0][0], "42[\"cast\",\"odd\"]");
    for (int i = 1; i < EACH; i += 2) {
        sioc_expect(&c[0][i], "42[\"cast\",\"odd\"]");
        sioc_expect(&c[1][i], "42[\"cast\",\"odd\"]");
    }
    for (int i = 0; i < 2 * EACH; i++)
        sioc_free(&c[i % 2][i / 2]);
}

/* Who does not read gets no volatile events, and nothing else is held up. */
static void volatile_events(void **state)
{
    (void)state;
    struct sioc slow, quick;
    static char big[KIB(512)];
    sioc_begin(&slow);
    sioc_begin(&quick);
    memset(big, '7', sizeof big);
    reset_cast();
    cast.nsp = "/";
    cast.times = 40;
    cast.emit = (struct sio_emit){.name = STR("v"), .args = str_n(big, sizeof big), .is_volatile = true};
    live_do(&env.lives[0], do_broadcast);
    cast.times = 1;
    broadcast(0, "/", NULL, "\"after\"");
    int got[2] = {0};
    for (int i = 0; i < 2; i++) {
        struct sioc *c = i ? &quick : &slow;
        char *text;
        for (; strcmp(text = sioc_take(c), "42[\"news\",\"after\"]") != 0; free(text))
            got[i]++;
        free(text);
        assert_true(got[i] < 40);
    }
    sioc_free(&slow);
    sioc_free(&quick);
}

static atomic_int visits;

static void leave_odd(struct sio_socket *s)
{
    sio_leave(s, STR("odd"));
    atomic_fetch_add(&visits, 1);
}

static void do_visit(struct live_server *live)
{
    (void)live;
    sio_each(env.sio, STR("/"), STR("odd"), leave_odd);
    sio_each(env.sio, STR("/"), STR("nobody's"), leave_odd);
    sio_each(env.sio, STR("/unknown"), STR("odd"), leave_odd);
}

/* Those visited may leave the room that is gone through. */
static void visited(void **state)
{
    (void)state;
    enum { EACH = 10 };
    struct sioc c[2 * EACH];
    for (unsigned i = 0; i < 2 * EACH; i++) {
        sioc_begin_on(&c[i], i % 2, "");
        sioc_ask(&c[i], "[\"join\",\"room\"]");
        if (i % 4 > 1)
            sioc_ask(&c[i], "[\"join\",\"odd\"]");
    }
    atomic_store(&visits, 0);
    live_do(&env.lives[0], do_visit);
    await_count(&visits, EACH);
    broadcast(0, "/", "odd", "\"odd\"");
    broadcast(0, "/", "room", "\"room\"");
    for (unsigned i = 0; i < 2 * EACH; i++) {
        sioc_expect(&c[i], "42[\"news\",\"room\"]");
        sioc_free(&c[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names, setup, env_teardown),
        cmocka_unit_test_setup_teardown(members_only, setup, env_teardown),
        cmocka_unit_test_setup_teardown(once_each, setup, env_teardown),
        cmocka_unit_test_setup_teardown(with_attachments, setup, env_teardown),
        cmocka_unit_test_setup_teardown(on_all_loops, setup_two, env_teardown),
        cmocka_unit_test_setup_teardown(volatile_events, setup, env_teardown),
        cmocka_unit_test_setup_teardown(visited, setup_two, env_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
