/* Clients whose connection breaks, and who come back to the same loop or another: they are told exactly what they
 * missed. */
#include "unit/api/live_client.h"

/* Where the client was, where it comes back, and where its conversation lives. */
struct place {
    size_t from, to, home;
};
static const struct place places[] = {{0, 0, 0}, {0, 0, 1}, {0, 1, 0}, {0, 1, 1}};

static void say_with(struct sioc *c, const char *id, const char *message, bool delta)
{
    sioc_send_text(c, "42[\"stream_chat\",{\"message\":\"%s\",\"conversationId\":\"%s\",\"delta\":%s}]", message, id,
                   delta ? "true" : "false");
}

/* A client in the middle of a reply, with its first word read. */
static void begin(struct sioc *c, const struct place *place, const char *id, bool delta, struct reply_seen *r)
{
    sioc_open(c, place->from);
    say_with(c, id, "hold", delta);
    struct told t = sioc_expect(c, "stream_start");
    reply_begin(r, &t);
    t = sioc_expect(c, "stream_chunk");
    seen_chunk(r, t.payload, delta);
    assert_string_equal(r->text, "one ");
    told_free(&t);
}

static void finish(struct sioc *c, struct reply_seen *r, bool delta)
{
    reply_read_on(c, r, delta);
    assert_string_equal(r->text, "one two");
    reply_seen_free(r);
    sioc_say(c, "other", "hello"); /* nothing else was on its way */
    sioc_expect_reply(c, "hello");
    assert_true(c->back);
    sioc_close(c);
}

static void a_reply_goes_on_where_it_was(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * COUNT(places); i++) {
        bool delta = i % 2;
        const struct place *place = &places[i / 2];
        struct reply_seen r;
        struct sioc c;
        char id[32];
        env_id_at(place->home, id);
        begin(&c, place, id, delta, &r);
        sioc_cut(&c);
        sioc_return(&c, place->to);
        while (!c.back) { /* it may be told again what it did not confirm, but it did read it */
            struct told t = sioc_next(&c);
            assert_null(t.name);
            told_free(&t);
        }
        puppet_release(env.puppet);
        finish(&c, &r, delta);
    }
}

static void a_reply_that_ended_meanwhile_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * COUNT(places); i++) {
        bool delta = i % 2;
        const struct place *place = &places[i / 2];
        struct reply_seen r;
        struct sioc c;
        char id[32];
        env_id_at(place->home, id);
        begin(&c, place, id, delta, &r);
        sioc_cut(&c);
        puppet_release(env.puppet);
        env_await_turns();
        sioc_return(&c, place->to);
        finish(&c, &r, delta);
    }
}

static void several_conversations_come_along(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(places); i++) {
        struct sioc c, other;
        char ids[3][32];
        sioc_open(&c, places[i].from);
        sioc_open(&other, 0);
        for (size_t k = 0; k < 3; k++) {
            env_id_at(k % 2, ids[k]);
            sioc_join_id(&c, ids[k]);
        }
        sioc_cut(&c);
        for (size_t k = 0; k < 3; k++) {
            sioc_say(&other, ids[k], "hello");
            sioc_expect_reply(&other, "hello");
        }
        sioc_send_text(&other, "42[\"typing_start\",\"%s\"]", ids[0]); /* worth nothing later */
        sioc_return(&c, places[i].to);
        unsigned told[3] = {0};
        for (unsigned events = 0; events < 3 * 4;) {
            struct told t = sioc_next(&c);
            bool counts = t.name && (strcmp(t.name, "stream_chunk") != 0 || json_true(t.payload, "isComplete"));
            for (size_t k = 0; counts && k < 3; k++)
                if (strstr(t.payload, ids[k]))
                    told[k]++, events++;
            told_free(&t);
        }
        for (size_t k = 0; k < 3; k++)
            assert_int_equal(told[k], 4); /* new_message, stream_start, the last chunk, stream_complete */
        for (size_t k = 0; k < 3; k++) {
            sioc_say(&other, ids[k], "more");
            sioc_expect_part(&c, "new_message", "more");
            sioc_expect_reply(&c, "more");
            sioc_expect_reply(&other, "more");
        }
        assert_true(c.back);
        sioc_close(&c);
        sioc_close(&other);
    }
}

static void a_deleted_conversation_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(places); i++) {
        struct sioc c;
        char id[32], path[64];
        env_id_at(places[i].home, id);
        sioc_open(&c, places[i].from);
        sioc_say(&c, id, "hello");
        sioc_expect_reply(&c, "hello");
        sioc_cut(&c);
        snprintf(path, sizeof path, "/api/conversations/%s", id);
        env_expect(env_request("DELETE", path, "", ""), 200, "");
        sioc_return(&c, places[i].to);
        sioc_expect_part(&c, "conversation_deleted", id);
        sioc_say(&c, id, "anew");
        sioc_expect_reply(&c, "anew");
        assert_true(c.back);
        sioc_close(&c);
    }
}

/* The last chunk is out, stream_complete waits for the store: each comes once. */
static void between_the_last_chunk_and_the_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(places); i++) {
        struct sioc c;
        struct reply_seen r;
        char id[32];
        env_id_at(places[i].home, id);
        begin(&c, &places[i], id, false, &r);
        gate_stop_op(STORE_OP_conversation_get);
        puppet_release(env.puppet);
        for (bool last = false; !last;) {
            struct told t = sioc_expect(&c, "stream_chunk");
            last = json_true(t.payload, "isComplete");
            told_free(&t);
        }
        gate_await_stopped();
        sioc_cut(&c);
        sioc_return(&c, places[i].to);
        struct sioc other; /* by its answer the other is on its way */
        sioc_open(&other, places[i].to);
        sioc_ask_ok(&other, "[\"leave_conversation\",\"x\"]");
        sioc_close(&other);
        gate_open();
        sioc_expect_part(&c, "stream_complete", "one two");
        reply_seen_free(&r);
        sioc_say(&c, id, "next");
        sioc_expect_reply(&c, "next");
        assert_true(c.back);
        sioc_close(&c);
    }
}

/* Back and forth, while turns go on. */
static void a_restless_client_misses_nothing(void **state)
{
    (void)state;
    struct sioc c, writer;
    char id[32];
    env_id_at(1, id);
    sioc_open(&c, 0);
    sioc_open(&writer, 0);
    sioc_send_text(&c, "42[\"join_conversation\",{\"conversationId\":\"%s\",\"delta\":true}]", id);
    sioc_ask_ok(&c, "[\"leave_conversation\",\"x\"]");
    for (size_t i = 0; i < 20; i++) {
        sioc_say(&writer, id, "words 300");
        if (i % 3 == 0) {
            sioc_cut(&c);
            sioc_return(&c, (i / 3) % 2);
        }
        sioc_expect_part(&c, "new_message", "words 300");
        struct reply_seen seen = reply_seen_read(&c, true), written = reply_seen_read(&writer, false);
        assert_string_equal(seen.text, written.text);
        reply_seen_free(&seen);
        reply_seen_free(&written);
    }
    assert_true(c.back);
    sioc_close(&c);
    sioc_close(&writer);
}

/* The room's log went on further than it reaches back. */
static void who_is_away_for_too_long_begins_anew(void **state)
{
    (void)state;
    struct sioc c, writer;
    char id[32], *pid;
    env_id_at(1, id);
    sioc_open(&c, 0);
    sioc_open(&writer, 1);
    sioc_join_id(&c, id);
    sioc_join_id(&writer, id);
    pid = str_dup(str_c(c.pid));
    sioc_cut(&c);
    gate_stop_op(STORE_OP_conversation_get); /* the room on its loop waits in the middle of the first turn */
    sioc_say(&writer, id, "words 10");
    sioc_say(&writer, id, "words 6000");
    sioc_say(&writer, id, "hold");
    await_count(&env.puppet->held, 1);
    sioc_return(&c, 1);
    gate_open();
    struct told t;
    do
        t = sioc_next(&c);
    while (strncmp(t.text, "40", 2) != 0 && (told_free(&t), true));
    assert_null(strstr(t.text, pid));
    told_free(&t);
    free(pid);
    sioc_close(&c);
    sioc_close(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENV_TEST(a_reply_goes_on_where_it_was),         ENV_TEST(a_reply_that_ended_meanwhile_is_told),
        ENV_TEST(several_conversations_come_along),     ENV_TEST(a_deleted_conversation_is_told),
        ENV_TEST(between_the_last_chunk_and_the_end),   ENV_TEST(a_restless_client_misses_nothing),
        ENV_TEST(who_is_away_for_too_long_begins_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
