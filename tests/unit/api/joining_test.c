/* Whoever joins a conversation in the middle of its turns can put it together exactly: nothing is missing, nothing
 * comes twice. On both kinds of follower, the sockets' resume and the event stream. */
#include "unit/api/api_env.h"

#include "base/arena.h"

#define MESSAGES_MAX 64

/* The conversation as a follower has it. */
struct seen {
    struct arena *arena;
    struct {
        struct str id, role;
        struct buf text;
        bool over;
    } messages[MESSAGES_MAX];
    size_t n;
    uint64_t offset; /* of the last event */
};

static void seen_clear(struct seen *s)
{
    for (size_t i = 0; i < s->n; i++)
        buf_free(&s->messages[i].text);
    s->n = 0;
}

static void seen_init(struct seen *s)
{
    *s = (struct seen){.arena = arena_new("test")};
}

static void seen_free(struct seen *s)
{
    seen_clear(s);
    arena_free(s->arena);
}

static ptrdiff_t seen_find(const struct seen *s, struct str id)
{
    for (size_t i = 0; i < s->n; i++)
        if (str_eq(s->messages[i].id, id))
            return (ptrdiff_t)i;
    return -1;
}

static void seen_add(struct seen *s, struct str id, struct str role, struct str text, bool over)
{
    assert_true(s->n < MESSAGES_MAX);
    if (seen_find(s, id) >= 0)
        fail_msg("%s came twice", id.p);
    s->messages[s->n].id = id;
    s->messages[s->n].role = role;
    s->messages[s->n].over = over;
    buf_init(&s->messages[s->n].text, MIB(8));
    buf_str_add(&s->messages[s->n++].text, text);
}

static void seen_reset(struct seen *s, const cJSON *messages, const cJSON *running)
{
    seen_clear(s);
    for (const cJSON *m = messages->child; m; m = m->next)
        seen_add(s, json_str(m, "id"), json_str(m, "role"), json_str(m, "content"),
                 !str_eqc(json_str(m, "status"), "streaming"));
    if (!running)
        return;
    ptrdiff_t at = seen_find(s, json_str(running, "messageId"));
    assert_true(at >= 0 && !s->messages[at].over);
    assert_true(str_eq(buf_str(&s->messages[at].text), json_str(running, "text")));
}

static void seen_reply_event(struct seen *s, struct str name, const cJSON *event)
{
    struct str id = json_str(event, "messageId");
    ptrdiff_t at = seen_find(s, id);
    if (str_eqc(name, "reply_started") && at < 0) {
        seen_add(s, id, STR("assistant"), STR(""), false);
        return;
    }
    if (at < 0 || s->messages[at].over)
        fail_msg("%s of %s, which is %s", name.p, id.p, at < 0 ? "unknown" : "over");
    struct buf *text = &s->messages[at].text;
    if (str_eqc(name, "reply_started")) {
        assert_int_equal(text->len, 0);
    } else if (str_eqc(name, "delta")) {
        buf_str_add(text, json_str(event, "text"));
    } else {
        assert_true(str_eqc(name, "reply_finished"));
        assert_true(str_eq(buf_str(text), json_str(json_get(event, "message"), "content")));
        s->messages[at].over = true;
    }
}

static void seen_event(struct seen *s, struct str id, struct str name, const cJSON *event)
{
    uint64_t offset = 0;
    assert_int_equal(str_u64(str_from(id, (size_t)str_find_char(id, '-') + 1), &offset), 0);
    assert_true(offset > s->offset);
    s->offset = offset;
    const cJSON *message = json_get(event, "message");
    if (str_eqc(name, "message"))
        seen_add(s, json_str(message, "id"), STR("user"), json_str(message, "content"), true);
    else
        seen_reply_event(s, name, event);
}

/* Whether it has n messages, none of them being written. */
static bool seen_whole(const struct seen *s, size_t n)
{
    bool whole = s->n >= n;
    for (size_t i = 0; i < s->n; i++)
        whole &= s->messages[i].over;
    return whole;
}

/* ---- followers ---- */

struct follower {
    struct ws_client ws;
    struct client sse;
    bool is_sse, has_head;
    struct seen seen;
    unsigned resets;
};

/* The stream as HTTP/1.0: no chunks in between. */
static void sse_open(struct follower *f, size_t loop, const char *id, const char *last_id)
{
    struct buf out = BUF_INIT(KIB(4));
    f->has_head = false;
    client_open(&f->sse, env.ports[loop]);
    buf_addf(&out, "GET /api/conversations/%s/events HTTP/1.0\r\nHost: h\r\n%s%s%s\r\n", id,
             last_id ? "Last-Event-ID: " : "", last_id ? last_id : "", last_id ? "\r\n" : "");
    client_send(&f->sse, buf_str(&out));
    buf_free(&out);
}

/* The next event; the head goes first. A gate may hold up the head, so it is not awaited on opening. */
static char *sse_block(struct follower *f)
{
    if (!f->has_head)
        free(client_until(&f->sse, "\r\n\r\n"));
    f->has_head = true;
    char *block = client_until(&f->sse, "\n\n");
    while (block[0] == ':') {
        free(block);
        block = client_until(&f->sse, "\n\n");
    }
    return block;
}

static void ask_resume(struct follower *f, const char *id)
{
    char text[256];
    snprintf(text, sizeof text, "{\"type\":\"resume\",\"chatId\":\"%s\"}", id);
    wsc_text(&f->ws, text);
}

static void follower_open(struct follower *f, bool sse, size_t loop, const char *id)
{
    *f = (struct follower){.is_sse = sse};
    seen_init(&f->seen);
    if (sse) {
        sse_open(f, loop, id, NULL);
        return;
    }
    env_socket(&f->ws, loop, "/ws");
    ask_resume(f, id);
}

static void follower_close(struct follower *f)
{
    if (f->is_sse)
        client_close(&f->sse);
    else
        wsc_free(&f->ws);
    seen_free(&f->seen);
}

static struct str line_of(const char *block, const char *name)
{
    const char *at = strstr(block, name);
    return at ? str_n(at + strlen(name), strcspn(at + strlen(name), "\n")) : STR_NONE;
}

static cJSON *parse(struct follower *f, struct str text)
{
    struct err e;
    cJSON *tree = json_parse(f->seen.arena, text, &e);
    if (!tree)
        fail_msg("%s", e.text);
    return tree;
}

static void sse_step(struct follower *f)
{
    char *block = sse_block(f);
    cJSON *data = parse(f, line_of(block, "data: "));
    struct str name = line_of(block, "event: ");
    if (str_eqc(name, "reset")) {
        const cJSON *conversation = json_get(data, "conversation");
        seen_reset(&f->seen, json_get(conversation, "messages"), json_get(data, "running"));
        f->resets++;
    } else {
        seen_event(&f->seen, line_of(block, "id: "), arena_str(f->seen.arena, name), data);
    }
    free(block);
}

static void ws_step(struct follower *f)
{
    char *text = wsc_read(&f->ws);
    cJSON *frame = parse(f, str_c(text));
    struct str type = json_str(frame, "type");
    if (str_eqc(type, "reset")) {
        seen_reset(&f->seen, json_get(frame, "messages"), json_get(frame, "running"));
        f->seen.offset = 0;
        f->resets++;
    } else if (str_eqc(type, "event")) {
        seen_event(&f->seen, json_str(frame, "id"), json_str(frame, "event"), frame);
    } else {
        fail_msg("%s", text);
    }
    free(text);
}

static void step(struct follower *f)
{
    (f->is_sse ? sse_step : ws_step)(f);
}

static void read_until(struct follower *f, size_t messages)
{
    while (!seen_whole(&f->seen, messages))
        step(f);
}

/* ---- the one who writes ---- */

static void say(struct ws_client *writer, const char *id, const char *text)
{
    char frame[256];
    snprintf(frame, sizeof frame, "{\"type\":\"SEND_MESSAGE\",\"chatId\":\"%s\",\"content\":\"%s\"}", id, text);
    wsc_text(writer, frame);
}

static void await_end(struct ws_client *writer)
{
    for (bool end = false; !end;) {
        char *text = wsc_read(writer);
        end = strstr(text, "\"end\":true") != NULL;
        if (strstr(text, "ERROR"))
            fail_msg("%s", text);
        free(text);
    }
}

/* What the follower has is what is stored. */
static void compare(struct follower *f, const char *id)
{
    char frame[256];
    struct ws_client c;
    env_socket(&c, 0, "/ws");
    snprintf(frame, sizeof frame, "{\"type\":\"GET_CHAT_HISTORY\",\"chatId\":\"%s\"}", id);
    wsc_text(&c, frame);
    char *text = wsc_read(&c);
    const cJSON *messages = json_get(parse(f, str_c(text)), "messages"), *m = messages->child;
    assert_int_equal(cJSON_GetArraySize(messages), f->seen.n);
    for (size_t i = 0; m; m = m->next, i++) {
        ptrdiff_t at = seen_find(&f->seen, json_str(m, "id"));
        assert_true(at >= 0);
        assert_true(str_eq(f->seen.messages[at].role, json_str(m, "role")));
        if (!str_eq(buf_str(&f->seen.messages[at].text), json_str(m, "content")))
            fail_msg("%s instead of %s", buf_cstr(&f->seen.messages[at].text), json_str(m, "content").p);
    }
    free(text);
    wsc_free(&c);
}

/* ---- tests ---- */

#define TURNS   4
#define JOINERS 10

static void join_while_turns_run(bool sse, size_t home)
{
    struct ws_client writer;
    struct follower joiners[JOINERS];
    char id[32];
    env_id_at(home, id);
    env_socket(&writer, 0, "/ws");
    say(&writer, id, "first");
    await_end(&writer);
    for (int i = 0; i < TURNS; i++)
        say(&writer, id, "words 150");
    for (size_t i = 0; i < JOINERS; i++) {
        for (int frames = 0; frames < 40; frames++) /* somewhere in the middle */
            free(wsc_read(&writer));
        follower_open(&joiners[i], sse, i % 2, id);
    }
    say(&writer, id, "last");
    for (size_t i = 0; i < JOINERS; i++) {
        read_until(&joiners[i], 2 * (TURNS + 2));
        compare(&joiners[i], id);
        follower_close(&joiners[i]);
    }
    wsc_free(&writer);
}

static void joining_while_turns_run(void **state)
{
    (void)state;
    for (int round = 0; round < 8; round++)
        join_while_turns_run(round & 1, round >> 1 & 1);
}

/* The join is held between the room's state and the store's: what happens meanwhile is in both. */
static void a_whole_turn_between_room_and_store(void **state)
{
    (void)state;
    for (int round = 0; round < 8; round++) {
        struct ws_client writer;
        struct follower f;
        char id[32];
        env_id_at(round >> 1 & 1, id);
        env_socket(&writer, 0, "/ws");
        say(&writer, id, "before");
        await_end(&writer);
        env_await_turns();
        gate_stop_at(2); /* the snapshot's conversation */
        follower_open(&f, round & 1, round >> 2 & 1, id);
        gate_await_stopped();
        say(&writer, id, "words 30");
        await_end(&writer);
        gate_open();
        say(&writer, id, "after");
        await_end(&writer);
        read_until(&f, 6);
        compare(&f, id);
        assert_int_equal(f.resets, 1);
        follower_close(&f);
        wsc_free(&writer);
    }
}

/* Until the store has what the running reply says so far. */
static void await_saved(struct ws_client *writer, const char *id, const char *part)
{
    char frame[256];
    snprintf(frame, sizeof frame, "{\"type\":\"GET_CHAT_HISTORY\",\"chatId\":\"%s\"}", id);
    for (bool saved = false; !saved; usleep(1000)) {
        wsc_text(writer, frame);
        char *text = wsc_read(writer);
        saved = strstr(text, part) != NULL;
        free(text);
    }
}

/* As above, but the reply that began meanwhile still runs when the store is read. */
static void a_reply_that_begins_between_room_and_store(void **state)
{
    (void)state;
    for (int round = 0; round < 8; round++) {
        struct ws_client writer;
        struct follower f;
        char id[32];
        env_id_at(round >> 1 & 1, id);
        env_socket(&writer, 0, "/ws");
        say(&writer, id, "before");
        await_end(&writer);
        env_await_turns();
        gate_stop_at(2);
        follower_open(&f, round & 1, round >> 2 & 1, id);
        gate_await_stopped();
        say(&writer, id, "hold");
        wsc_expect_part(&writer, "\"content\":\"one \"");
        await_saved(&writer, id, "\"content\":\"one \"");
        gate_open();
        while (f.resets == 0)
            step(&f);
        puppet_release(env.puppet);
        await_end(&writer);
        read_until(&f, 4);
        compare(&f, id);
        follower_close(&f);
        wsc_free(&writer);
    }
}

/* Each takes the place of the one before, in the middle of a reply. */
static void resuming_again_and_again(void **state)
{
    (void)state;
    for (size_t home = 0; home < 2; home++) {
        struct ws_client writer;
        struct follower f;
        char id[32];
        env_id_at(home, id);
        env_socket(&writer, 0, "/ws");
        say(&writer, id, "first");
        await_end(&writer);
        say(&writer, id, "words 400");
        follower_open(&f, false, 0, id);
        for (int i = 0; i < 30; i++)
            ask_resume(&f, id);
        while (f.resets < 31)
            step(&f);
        say(&writer, id, "last");
        read_until(&f, 6);
        compare(&f, id);
        follower_close(&f);
        wsc_free(&writer);
    }
}

/* A client that was cut off again and again has every event once. */
static void reconnecting_streams_miss_nothing(void **state)
{
    (void)state;
    struct ws_client writer;
    struct follower f;
    char id[32], last[ROOM_CURSOR_MAX];
    env_id_at(1, id);
    env_socket(&writer, 0, "/ws");
    say(&writer, id, "first");
    await_end(&writer);
    follower_open(&f, true, 0, id);
    step(&f);
    say(&writer, id, "words 500");
    while (f.seen.n < 4)
        step(&f);
    struct buf epoch = BUF_INIT(64);
    for (int round = 0; !seen_whole(&f.seen, 4); round++) {
        for (int i = 0; i < 13 && !seen_whole(&f.seen, 4); i++) {
            if (epoch.len == 0) {
                char *block = sse_block(&f);
                struct str event_id = line_of(block, "id: ");
                buf_add(&epoch, event_id.p, (size_t)str_find_char(event_id, '-'));
                seen_event(&f.seen, event_id, STR("delta"), parse(&f, line_of(block, "data: ")));
                free(block);
            } else {
                step(&f);
            }
        }
        snprintf(last, sizeof last, "%s-%llu", buf_cstr(&epoch), (unsigned long long)f.seen.offset);
        client_close(&f.sse);
        sse_open(&f, round & 1, id, last);
    }
    assert_int_equal(f.resets, 1);
    compare(&f, id);
    buf_free(&epoch);
    follower_close(&f);
    wsc_free(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENV_TEST(joining_while_turns_run),
        ENV_TEST(a_whole_turn_between_room_and_store),
        ENV_TEST(a_reply_that_begins_between_room_and_store),
        ENV_TEST(resuming_again_and_again),
        ENV_TEST(reconnecting_streams_miss_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
