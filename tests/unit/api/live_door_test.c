/* The door around the chat dialect on Socket.IO: bundles of the client, the mobile front end's figures, and how clients
 * are let go when the server leaves. */
#include "unit/api/live_client.h"

/* ---- bundles ---- */

static void write_bundle(const char *dir, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void the_clients_bundles(void **state)
{
    (void)state;
    char dir[TEMP_DIR_MAX], header[512];
    temp_dir_make(dir);
    env_start(&(struct env_options){.socketio_client = dir});
    env_expect(env_get("/socket.io/socket.io.js"), 404, "SOCKETIO_CLIENT");
    write_bundle(dir, "socket.io.js", "io();");
    write_bundle(dir, "socket.io.min.js.map", "{}");
    struct reply r = env_get("/socket.io/socket.io.js"); /* installed while it runs */
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "io();");
    assert_non_null(strstr(r.head, "Content-Type: application/javascript; charset=utf-8"));
    const char *etag = strstr(r.head, "ETag: ");
    assert_non_null(etag);
    snprintf(header, sizeof header, "If-None-Match: %.*s\r\n", (int)strcspn(etag + 6, "\r"), etag + 6);
    env_expect(env_request("GET", "/socket.io/socket.io.js", header, ""), 304, "");
    reply_free(&r);
    write_bundle(dir, "socket.io.js", "changed");
    env_expect(env_get("/socket.io/socket.io.js"), 200, "io();"); /* read once */
    r = env_get("/socket.io/socket.io.min.js.map");
    assert_non_null(strstr(r.head, "Content-Type: application/json"));
    reply_free(&r);
    env_expect(env_get("/socket.io/socket.io.min.js"), 404, "SOCKETIO_CLIENT");
    env_expect(env_get("/socket.io/socket.io.other.js"), 404, "Endpoint not found");
    env_stop();
    temp_dir_remove(dir);
}

/* ---- what the mobile front end asks for ---- */

static void its_figures_are_all_there(void **state)
{
    (void)state;
    env_expect(env_get("/api/chat/agents"), 200, "\"description\":");
    env_expect(env_get("/api/validation/stats"), 200,
               "{\"success\":true,\"data\":{\"totalValidations\":0,\"averageScore\":0,\"validationRate\":0,"
               "\"issueBreakdown\":{}}}");
    env_expect(env_get("/api/validation/logs?limit=5"), 200, "{\"success\":true,\"data\":{\"logs\":[]}}");
    env_expect(env_get("/api/validation/logs/assistant"), 200, "{\"success\":true,\"data\":{\"logs\":[]}}");
    env_expect(env_get("/api/validation/failed"), 200, "{\"success\":true,\"data\":{\"logs\":[]}}");
    env_expect(env_get("/api/validation/summary"), 200, "\"issues\":{\"high\":0,\"medium\":0,\"low\":0}");
    env_expect(env_post("/api/validation/clear", "{}"), 200, "\"success\":true");
}

static void its_figures_need_the_token_in_production(void **state)
{
    (void)state;
    env_start(&(struct env_options){.production = true});
    env_expect(env_get("/api/chat/agents"), 401, "UNAUTHORIZED");
    env_expect(env_request("GET", "/api/chat/agents", "Authorization: Bearer " TOKEN "\r\n", ""), 200, "assistant");
    env_stop();
}

/* ---- clients that poll ---- */

static char *poll_open(void)
{
    struct reply r = env_get("/socket.io/?EIO=4&transport=polling");
    assert_int_equal(r.status, 200);
    char *sid = json_member(r.body + 1, "sid");
    reply_free(&r);
    return sid;
}

static struct reply poll_with(const char *method, const char *sid, const char *body)
{
    char path[256];
    struct buf headers = BUF_INIT(KIB(1));
    snprintf(path, sizeof path, "/socket.io/?EIO=4&transport=polling&sid=%s", sid);
    if (body[0])
        buf_addf(&headers, "Content-Length: %zu\r\n", strlen(body));
    struct client c;
    struct buf out = BUF_INIT(MIB(1));
    client_open(&c, env.ports[1]);
    buf_addf(&out, "%s %s HTTP/1.1\r\nHost: h\r\n%s\r\n%s", method, path, buf_cstr(&headers), body);
    client_send(&c, buf_str(&out));
    struct reply r = reply_read_for(&c, method);
    client_close(&c);
    buf_free(&headers);
    buf_free(&out);
    return r;
}

/* Polls until one of the answers has the part in it. */
static void poll_for(const char *sid, const char *part)
{
    for (bool found = false; !found;) {
        struct reply r = poll_with("GET", sid, "");
        if (r.status != 200)
            fail_msg("%d while waiting for %s: %s", r.status, part, r.body);
        found = strstr(r.body, part);
        bool asked = strcmp(r.body, "2") == 0;
        reply_free(&r);
        if (asked)
            env_expect(poll_with("POST", sid, "3"), 200, "ok");
    }
}

static void a_conversation_over_polling_alone(void **state)
{
    (void)state;
    char *sid = poll_open();
    env_expect(poll_with("POST", sid, "40"), 200, "ok");
    poll_for(sid, "40{\"sid\":");
    env_expect(poll_with("POST", sid, "42[\"stream_chat\",{\"message\":\"hello\",\"conversationId\":\"polled\"}]"), 200,
               "ok");
    poll_for(sid, "\"finishReason\":\"stop\"");
    free(sid);
}

/* ---- a server that leaves ---- */

static void held_polls_and_lost_clients_do_not_hold_it_up(void **state)
{
    (void)state;
    struct sioc lost, open;
    env_start(NULL);
    sioc_open(&lost, 0);
    sioc_join_id(&lost, "x");
    sioc_cut(&lost);
    sioc_open(&open, 1);
    sioc_join_id(&open, "x");
    char *sid = poll_open();
    env_expect(poll_with("POST", sid, "40"), 200, "ok");
    poll_for(sid, "40{\"sid\":");
    struct client waiting;
    char request[256];
    snprintf(request, sizeof request,
             "GET /health/live HTTP/1.1\r\nHost: h\r\n\r\n"
             "GET /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: h\r\n\r\n",
             sid);
    client_open(&waiting, env.ports[0]);
    client_send(&waiting, str_c(request));
    env_expect(reply_read(&waiting), 200, "live"); /* it leaves when the poll behind it was read */
    env_on_both(env_drain);
    struct reply r = reply_read(&waiting);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    client_close(&waiting);
    struct ws_event event;
    while (wsc_next(&open.ws, &event, NULL) && event.opcode != WS_CLOSE)
        continue;
    assert_int_equal(event.opcode, WS_CLOSE);
    sioc_close(&open);
    sioc_close(&lost);
    free(sid);
    env_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_clients_bundles),
        ENV_TEST(its_figures_are_all_there),
        cmocka_unit_test(its_figures_need_the_token_in_production),
        ENV_TEST(a_conversation_over_polling_alone),
        cmocka_unit_test(held_polls_and_lost_clients_do_not_hold_it_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
