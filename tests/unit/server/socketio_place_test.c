/* Where a client that comes back stands, when its offset alone does not say it. */
#include "unit/support/sio_recovery.h"

static void do_let_go(struct live_server *live)
{
    (void)live;
    seen.kept = sio_unref(seen.kept);
}

static int setup(void **state)
{
    (void)state;
    env_defaults();
    env.config.recovery = 600000;
    env_start();
    return 0;
}

static int teardown(void **state)
{
    live_do(&env.lives[0], do_let_go);
    return env_teardown(state);
}

static void do_emit_one(struct live_server *live)
{
    (void)live;
    emit_numbers(seen.kept, 1);
}

static void emit(void)
{
    live_do(&env.lives[0], do_emit_one);
}

/* A client that confirms nothing by itself. */
static void begin(struct sioc *c)
{
    sioc_begin_on(c, 0, "{\"recovery\":true}");
    sioc_ask(c, "[\"keep\"]");
    c->silent = true;
}

static void come_back(struct sioc *again, const struct sioc *c, const char *offset)
{
    sioc_open(again);
    again->silent = true;
    sioc_show(again, "", c->pid, offset);
}

/* Clients keep the offset of the socket before, until they get one of the new one. */
static void got_nothing_yet(const char *offset_of_another)
{
    struct sioc c, again;
    char offset[64];
    begin(&c);
    emit();
    sioc_vanish(&c);
    come_back(&again, &c, offset_of_another);
    sioc_expect_number(&again, 1, offset);
    sioc_recovered(&again, &c, "");
    sioc_free(&c);
}

static void no_offset(void **state)
{
    (void)state;
    got_nothing_yet(NULL);
}

static void the_offset_of_an_earlier_socket(void **state)
{
    (void)state;
    got_nothing_yet("AAAAAA.7");
}

/* The connection breaks between the replay and the welcome; `has` tells whether the client got the replay. */
static void breaks_before_the_welcome(bool has)
{
    struct sioc c, again;
    char first[64], second[64], third[64];
    begin(&c);
    emit();
    sioc_expect_number(&c, 1, first);
    sioc_vanish(&c);
    emit();
    come_back(&again, &c, first);
    sioc_expect_number(&again, 2, second);
    sioc_vanish(&again);

    come_back(&again, &c, first);
    sioc_recovered(&again, &c, ""); /* nothing comes in front of it: the client may have it */
    emit();
    c.silent = false;
    sioc_expect_end(&c); /* once it has said that it is there */
    come_back(&again, &c, has ? second : first);
    if (!has)
        sioc_expect_number(&again, 2, second);
    sioc_expect_number(&again, 3, third);
    sioc_recovered(&again, &c, "");
    sioc_free(&c);
}

static void it_has_the_replay(void **state)
{
    (void)state;
    breaks_before_the_welcome(true);
}

static void it_lacks_the_replay(void **state)
{
    (void)state;
    breaks_before_the_welcome(false);
}

/* A client that answered a heartbeat behind the welcome has counted the replay. */
static void a_confirmed_welcome(void **state)
{
    (void)state;
    struct sioc c, again;
    char first[64], second[64];
    begin(&c);
    emit();
    sioc_expect_number(&c, 1, first);
    sioc_vanish(&c);
    emit();
    come_back(&again, &c, first);
    again.silent = false;
    sioc_expect_number(&again, 2, second);
    sioc_recovered(&again, &c, "");
    sioc_ask(&c, "[\"join\",\"r\"]"); /* its answer comes behind the heartbeat */
    sioc_vanish(&c);
    come_back(&again, &c, second);
    sioc_recovered(&again, &c, "");
    sioc_free(&c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(no_offset), TEST(the_offset_of_an_earlier_socket), TEST(it_has_the_replay),
                                       TEST(it_lacks_the_replay), TEST(a_confirmed_welcome)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
