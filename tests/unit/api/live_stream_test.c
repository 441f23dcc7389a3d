/* Replies as they are written, told to clients on Socket.IO: who comes late, reads slowly, wants only what is new. */
#include "unit/api/live_client.h"

static void expect_start(struct sioc *c, struct reply_seen *r)
{
    struct told start = sioc_expect(c, "stream_start");
    reply_begin(r, &start);
}

/* The next chunk, which is not the last. */
static void expect_more(struct sioc *c, struct reply_seen *r, bool delta, const char *text)
{
    struct told t = sioc_expect(c, "stream_chunk");
    assert_false(json_true(t.payload, "isComplete"));
    seen_chunk(r, t.payload, delta);
    assert_string_equal(r->text, text);
    told_free(&t);
}

static void expect_rest(struct sioc *c, struct reply_seen *r, bool delta, const char *text)
{
    reply_read_on(c, r, delta);
    assert_string_equal(r->text, text);
    reply_seen_free(r);
}

static void who_joins_in_the_middle_gets_it_all(void **state)
{
    (void)state;
    for (size_t home = 0; home < 2; home++) {
        struct sioc first, late[2];
        struct reply_seen seen[3];
        char id[32], event[128];
        env_id_at(home, id);
        sioc_open(&first, 0);
        sioc_say(&first, id, "hold");
        expect_start(&first, &seen[2]);
        expect_more(&first, &seen[2], false, "one ");
        for (size_t i = 0; i < 2; i++) {
            sioc_open(&late[i], i);
            snprintf(event, sizeof event, "42[\"join_conversation\",{\"conversationId\":\"%s\",\"delta\":%s}]", id,
                     i ? "true" : "false");
            sioc_send_text(&late[i], "%s", event);
            expect_start(&late[i], &seen[i]);
            expect_more(&late[i], &seen[i], i == 1, "one ");
        }
        puppet_release(env.puppet);
        for (size_t i = 0; i < 2; i++)
            expect_rest(&late[i], &seen[i], i == 1, "one two");
        expect_rest(&first, &seen[2], false, "one two");
        for (size_t i = 0; i < 2; i++)
            sioc_close(&late[i]);
        sioc_close(&first);
    }
}

static void deltas_are_the_text_in_pieces(void **state)
{
    (void)state;
    struct sioc sender, whole, delta;
    char id[32];
    env_id_at(1, id);
    sioc_open(&sender, 0);
    sioc_open(&whole, 0);
    sioc_open(&delta, 1);
    sioc_join_id(&whole, id);
    sioc_send_text(&delta, "42[\"join_conversation\",{\"conversationId\":\"%s\",\"delta\":true}]", id);
    sioc_ask_ok(&delta, "[\"leave_conversation\",\"somewhere else\"]"); /* it has joined when this is answered */
    sioc_send_text(&sender, "42[\"stream_chat\",{\"message\":\"words 3000\",\"conversationId\":\"%s\",\"delta\":true}]",
                   id);
    struct reply_seen r = reply_seen_read(&sender, true);
    for (size_t i = 0; i < 2; i++) {
        struct sioc *reader = i ? &delta : &whole;
        sioc_expect_part(reader, "new_message", "words 3000");
        struct reply_seen other = reply_seen_read(reader, i == 1);
        assert_string_equal(other.text, r.text);
        reply_seen_free(&other);
    }
    reply_seen_free(&r);
    sioc_close(&sender);
    sioc_close(&whole);
    sioc_close(&delta);
}

/* Changing one's mind in the middle loses nothing and repeats nothing. */
static void wishes_may_change_in_between(void **state)
{
    (void)state;
    struct sioc c;
    struct reply_seen r;
    sioc_open(&c, 0);
    sioc_say(&c, "wish", "hold");
    expect_start(&c, &r);
    expect_more(&c, &r, false, "one ");
    sioc_ask_ok(&c, "[\"join_conversation\",{\"conversationId\":\"wish\",\"delta\":true}]");
    puppet_release(env.puppet);
    expect_rest(&c, &r, true, "one two");
    sioc_say(&c, "wish", "again"); /* not said: as before */
    r = reply_seen_read(&c, true);
    assert_string_equal(r.text, "again");
    reply_seen_free(&r);
    sioc_close(&c);
}

static void chunks_come_at_a_pace(void **state)
{
    (void)state;
    struct sioc c;
    sioc_open(&c, 0);
    sioc_say(&c, "pace", "words 4000");
    struct reply_seen r = reply_seen_read(&c, false);
    if (r.chunks > 2000)
        fail_msg("%zu chunks for 4000 words", r.chunks);
    reply_seen_free(&r);
    sioc_close(&c);
}

/* Events up to the beginning of a reply in this conversation are read and dropped. */
static void skip_to_start(struct sioc *c, const char *id, struct reply_seen *r)
{
    for (;;) {
        struct told t = sioc_next(c);
        char *about = t.name && strcmp(t.name, "stream_start") == 0 ? json_member(t.payload, "conversationId") : NULL;
        bool found = about && strcmp(about, id) == 0;
        free(about);
        if (found) {
            reply_begin(r, &t);
            return;
        }
        told_free(&t);
    }
}

/* A client that does not read, with 7.5 MB on the way to it: more than the system's buffers hold, less than our queue.
 */
static void open_clogged(struct sioc *c)
{
    struct buf text = BUF_INIT(MIB(1));
    sioc_open(c, 0);
    sioc_join_id(c, "big");
    sioc_join_id(c, "held");
    buf_lit(&text, "{\"conversationId\":\"big\",\"message\":\"");
    while (text.len < 750000)
        buf_lit(&text, "0123456789");
    buf_lit(&text, "\"}");
    struct sioc maker;
    sioc_open(&maker, 0);
    sioc_say(&maker, "big", "first");
    sioc_expect_reply(&maker, "first");
    sioc_close(&maker);
    for (int i = 0; i < 2; i++) {
        struct reply r = env_post("/api/chat", buf_cstr(&text));
        assert_int_equal(r.status, 200);
        reply_free(&r);
    }
    buf_free(&text);
}

static void a_slow_reader_skips_chunks(void **state)
{
    (void)state;
    for (int catches_up = 0; catches_up < 2; catches_up++) {
        struct sioc sender, slow;
        struct reply_seen r, late;
        open_clogged(&slow);
        sioc_open(&sender, 0);
        sioc_say(&sender, "held", "hold");
        expect_start(&sender, &r);
        expect_more(&sender, &r, false, "one ");
        if (catches_up) { /* it reads again while the reply goes on */
            skip_to_start(&slow, "held", &late);
            expect_more(&slow, &late, false, "one ");
        }
        puppet_release(env.puppet);
        expect_rest(&sender, &r, false, "one two");
        if (!catches_up)
            skip_to_start(&slow, "held", &late);
        reply_read_on(&slow, &late, false);
        assert_string_equal(late.text, "one two");
        if (!catches_up)
            assert_int_equal(late.chunks, 1);
        reply_seen_free(&late);
        sioc_close(&sender);
        sioc_close(&slow);
        env_expect(env_request("DELETE", "/api/conversations/big", "", ""), 200, "");
    }
}

static void cancelling_keeps_what_was_said(void **state)
{
    (void)state;
    for (size_t home = 0; home < 2; home++) {
        struct sioc c, other;
        struct reply_seen r;
        char id[32], event[128];
        env_id_at(home, id);
        sioc_open(&c, 0);
        sioc_open(&other, 0);
        sioc_say(&c, id, "hold");
        expect_start(&c, &r);
        expect_more(&c, &r, false, "one ");
        snprintf(event, sizeof event, "[\"cancel_stream\",{\"conversationId\":\"%s\"}]", id);
        char *json = sioc_ask(&other, event); /* who is not in it may cancel, too */
        assert_true(json_true(json, "ok") && json_true(json, "cancelled"));
        free(json);
        reply_read_on(&c, &r, false);
        assert_string_equal(r.text, "one ");
        assert_non_null(strstr(r.complete, "\"finishReason\":\"cancelled\""));
        assert_non_null(strstr(r.complete, "\"status\":\"interrupted\""));
        reply_seen_free(&r);
        json = sioc_ask(&c, event);
        assert_true(json_true(json, "ok") && !json_true(json, "cancelled"));
        free(json);
        json = sioc_ask(&c, "[\"cancel_stream\",\"nowhere\"]");
        assert_non_null(strstr(json, "CONVERSATION_NOT_FOUND"));
        free(json);
        sioc_close(&c);
        sioc_close(&other);
    }
}

static void a_turn_survives_its_client(void **state)
{
    (void)state;
    struct sioc c;
    sioc_open(&c, 0);
    sioc_say(&c, "orphan", "hold");
    sioc_expect_part(&c, "stream_start", "");
    sioc_close(&c);
    await_count(&env.puppet->held, 1);
    puppet_release(env.puppet);
    env_await_turns();
    env_expect(env_get("/api/conversations/orphan"), 200, "\"content\":\"one two\"");
}

/* Sent and closed at once: it was received. */
static void a_message_survives_its_client(void **state)
{
    (void)state;
    struct sioc c;
    gate_stop_op(STORE_OP_append);
    sioc_open(&c, 0);
    sioc_say(&c, "last words", "hello");
    gate_await_stopped();
    sioc_send_text(&c, "41");
    wsc_send_close(&c.ws, WS_NORMAL, "");
    wsc_expect_close(&c.ws, WS_NORMAL, NULL);
    sioc_close(&c);
    env_await_no_sockets();
    gate_open();
    env_await_turns();
    env_expect(env_get("/api/conversations/last%20words"), 200, "\"content\":\"hello\"");
}

static char *ask_again(struct sioc *c)
{
    return sioc_ask(
        c, "[\"stream_chat\",{\"message\":\"hold\",\"conversationId\":\"twice\",\"clientMessageId\":\"m-1\"}]");
}

static void a_repeated_message_is_told_once_to_each(void **state)
{
    (void)state;
    struct sioc first, second, third;
    struct reply_seen r;
    sioc_open(&first, 0);
    sioc_open(&second, 1);
    sioc_open(&third, 1);
    sioc_send_text(&first, "42[\"stream_chat\",{\"message\":\"hold\",\"conversationId\":\"twice\",\"clientMessageId\":"
                           "\"m-1\"}]");
    expect_start(&first, &r);
    expect_more(&first, &r, false, "one ");
    sioc_send_text(&second, "42[\"stream_chat\",{\"message\":\"hold\",\"conversationId\":\"twice\",\"clientMessageId\":"
                            "\"m-1\",\"delta\":true}]");
    struct reply_seen joined;
    expect_start(&second, &joined); /* it is written still */
    expect_more(&second, &joined, true, "one ");
    puppet_release(env.puppet);
    expect_rest(&first, &r, false, "one two");
    expect_rest(&second, &joined, true, "one two");
    char *json = ask_again(&first);
    assert_true(json_true(json, "ok") && json_true(json, "duplicate"));
    free(json);
    json = ask_again(&third); /* it was written before */
    assert_true(json_true(json, "ok") && json_true(json, "duplicate"));
    free(json);
    sioc_expect_reply(&third, "one two");
    sioc_say(&third, "twice", "next");
    sioc_expect_reply(&third, "next");
    sioc_expect_part(&first, "new_message", "next"); /* and nothing was told twice */
    sioc_close(&first);
    sioc_close(&second);
    sioc_close(&third);
}

static atomic_int short_deleted;

static void delete_short_main(void *arg)
{
    struct err e;
    (void)arg;
    task_shield();
    live_assert(store_conversation_delete(env.store, STR("short"), &e) == 0);
    task_unshield();
    atomic_store(&short_deleted, 1);
}

/* From the store alone: nobody in the room hears of it. */
static void delete_short(struct live_server *live)
{
    (void)live;
    task_spawn("test", delete_short_main, NULL);
}

/* While a conversation is read for stream_complete, more happens than its log keeps. */
static void who_falls_behind_is_told_anew(void **state)
{
    (void)state;
    struct sioc c;
    char id[32];
    env_id_at(0, id);
    sioc_open(&c, 0);
    sioc_say(&c, id, "first");
    sioc_expect_reply(&c, "first");
    gate_stop_op(STORE_OP_conversation_get);
    sioc_say(&c, id, "second");
    sioc_say(&c, id, "words 6000");
    sioc_say(&c, id, "hold");
    await_count(&env.puppet->held, 1);
    gate_open();
    sioc_expect_reply(&c, "second");
    struct told t = sioc_expect(&c, "stream_complete");
    assert_non_null(strstr(t.payload, "\"finishReason\":\"resynced\""));
    assert_non_null(strstr(t.payload, "w6000 "));
    told_free(&t);
    struct reply_seen r;
    expect_start(&c, &r);
    expect_more(&c, &r, false, "one ");
    puppet_release(env.puppet);
    expect_rest(&c, &r, false, "one two");
    sioc_say(&c, id, "last");
    sioc_expect_reply(&c, "last");
    sioc_close(&c);
}

/* …and then the conversation is gone. */
static void who_falls_behind_may_hear_of_its_end(void **state)
{
    (void)state;
    struct sioc c;
    sioc_open(&c, 0);
    sioc_say(&c, "short", "first");
    sioc_expect_reply(&c, "first");
    gate_stop_op(STORE_OP_conversation_get);
    sioc_say(&c, "short", "second");
    sioc_say(&c, "short", "words 6000");
    sioc_say(&c, "short", "hold");
    await_count(&env.puppet->held, 1);
    live_do(&env.lives[0], delete_short);
    await_count(&short_deleted, 1);
    gate_open();
    struct told t;
    do
        t = sioc_next(&c);
    while ((!t.name || strcmp(t.name, "conversation_deleted") != 0) && (told_free(&t), true));
    told_free(&t);
    puppet_release(env.puppet);
    env_await_turns();
    sioc_say(&c, "short", "anew");
    sioc_expect_reply(&c, "anew");
    sioc_close(&c);
}

static void a_conversation_deleted_in_the_middle(void **state)
{
    (void)state;
    struct sioc c;
    struct reply_seen r;
    sioc_open(&c, 0);
    sioc_say(&c, "middle", "hold");
    expect_start(&c, &r);
    expect_more(&c, &r, false, "one ");
    env_expect(env_request("DELETE", "/api/conversations/middle", "", ""), 200, "");
    struct told t = sioc_expect(&c, "stream_chunk");
    assert_true(json_true(t.payload, "isComplete"));
    seen_chunk(&r, t.payload, false);
    assert_string_equal(r.text, "one ");
    told_free(&t);
    t = sioc_next(&c); /* the conversation may be read before it is gone, or not */
    assert_true(strcmp(t.name, "stream_complete") == 0 || strstr(t.payload, "CONVERSATION_NOT_FOUND"));
    told_free(&t);
    sioc_expect_part(&c, "conversation_deleted", "middle");
    reply_seen_free(&r);
    sioc_close(&c);
}

static void long_conversations_are_told_without_their_beginning(void **state)
{
    (void)state;
    struct sioc c;
    struct buf text = BUF_INIT(MIB(1));
    sioc_open(&c, 0);
    buf_lit(&text, "{\"conversationId\":\"long\",\"message\":\"");
    while (text.len < 900000)
        buf_lit(&text, "0123456789");
    buf_lit(&text, "\"}");
    sioc_say(&c, "long", "beginning");
    sioc_expect_reply(&c, "beginning");
    sioc_ask_ok(&c, "[\"leave_conversation\",\"long\"]");
    for (int i = 0; i < 3; i++) {
        struct reply r = env_post("/api/chat", buf_cstr(&text));
        assert_int_equal(r.status, 200);
        reply_free(&r);
    }
    sioc_say(&c, "long", "end");
    struct reply_seen r = reply_seen_read(&c, false);
    assert_true(strlen(r.complete) < MIB(5));
    assert_non_null(strstr(r.complete, "\"messagesOmitted\":"));
    assert_null(strstr(r.complete, "\"content\":\"beginning\""));
    reply_seen_free(&r);
    buf_free(&text);
    sioc_close(&c);
}

static void a_server_that_leaves_says_so(void **state)
{
    (void)state;
    struct sioc c;
    struct reply_seen r;
    sioc_open(&c, 0);
    sioc_say(&c, "drain", "hold");
    expect_start(&c, &r);
    expect_more(&c, &r, false, "one ");
    reply_seen_free(&r);
    env_on_both(env_drain);
    struct ws_event event;
    while (wsc_next(&c.ws, &event, NULL) && event.opcode != WS_CLOSE)
        continue;
    assert_int_equal(event.opcode, WS_CLOSE);
    sioc_close(&c);
    puppet_release(env.puppet);
    env_await_turns();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENV_TEST(who_joins_in_the_middle_gets_it_all),
        ENV_TEST(deltas_are_the_text_in_pieces),
        ENV_TEST(wishes_may_change_in_between),
        ENV_TEST(chunks_come_at_a_pace),
        ENV_TEST(a_slow_reader_skips_chunks),
        ENV_TEST(cancelling_keeps_what_was_said),
        ENV_TEST(a_turn_survives_its_client),
        ENV_TEST(a_message_survives_its_client),
        ENV_TEST(a_repeated_message_is_told_once_to_each),
        ENV_TEST(who_falls_behind_is_told_anew),
        ENV_TEST(who_falls_behind_may_hear_of_its_end),
        ENV_TEST(a_conversation_deleted_in_the_middle),
        ENV_TEST(long_conversations_are_told_without_their_beginning),
        ENV_TEST(a_server_that_leaves_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
