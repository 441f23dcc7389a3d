/* LiveKit: tokens and rooms (dialect 003). Any client may join what it knows the name of: in production the dialect is
 * closed to those who show no token. */
#include "api/livekit_impl.h"

#define DAY_S            86400
#define MAX_PARTICIPANTS 100000
#define TEST_ROOM        STR("test-room")

enum want { ROOM_NAME, PARTICIPANT_NAME, PARTICIPANT_IDENTITY, NAME, EMPTY_TIMEOUT, MAXIMUM, WANTS };

struct asked {
    struct json_want wants[WANTS];
    struct livekit_room room;
    struct livekit_grant grant;
};

/* As the clients of these routes know it: the row's own text, whatever went wrong. */
static void fail(struct http_request *rq, const char *text, const struct err *why)
{
    struct err e;
    err_set(&e, why->code, "%s", text);
    e.status = why->code == ERR_NOT_FOUND ? 404 : 500;
    http_reply_error(rq, &e);
}

static int configured(struct http_request *rq, const char *text)
{
    struct err e;
    if (api_of(rq)->config.livekit)
        return 0;
    err_set(&e, ERR_NOT_CONFIGURED, NULL);
    fail(rq, text, &e);
    return -1;
}

/* ---- what is asked ---- */

static int check_name(const char *member, struct str name, struct err *e)
{
    if (!str_trim(name).n)
        return err_set(e, ERR_INVALID_REQUEST, "Missing required parameters");
    if (name.n > LIVEKIT_NAME)
        return err_set(e, ERR_INVALID_REQUEST, "%s is too long", member);
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] < 0x20 || name.p[i] == 0x7f)
            return err_set(e, ERR_INVALID_REQUEST, "%s has control characters", member);
    return 0;
}

static int check_number(const struct json_want *want, int max, int *out, struct err *e)
{
    bool absent = want->value.type == JSON_NONE || want->value.type == JSON_NULL;
    int64_t n = absent ? 0 : json_int(&want->value, -1);
    if (n < 0 || n > max)
        return err_set(e, ERR_INVALID_REQUEST, "%s must be a whole number from 0 to %d", want->path, max);
    *out = (int)n;
    return 0;
}

static int scan(struct http_request *rq, struct asked *asked, struct err *e)
{
    static const struct json_want wants[WANTS] = {
        {.path = "roomName"}, {.path = "participantName"}, {.path = "participantIdentity"},
        {.path = "name"},     {.path = "emptyTimeout"},    {.path = "maxParticipants"}};
    memset(asked, 0, sizeof *asked);
    memcpy(asked->wants, wants, sizeof wants);
    return rq->body.n ? json_scan(rq->body, asked->wants, WANTS, NULL, e) : 0;
}

static struct str text_of(struct http_request *rq, const struct asked *asked, enum want want)
{
    struct str text = want_text(rq->arena, &asked->wants[want].value);
    return text.p ? text : STR("");
}

static int read_participant(struct http_request *rq, struct asked *asked, struct err *e)
{
    if (scan(rq, asked, e) < 0)
        return -1;
    asked->grant = (struct livekit_grant){.room = text_of(rq, asked, ROOM_NAME),
                                          .name = text_of(rq, asked, PARTICIPANT_NAME),
                                          .identity = text_of(rq, asked, PARTICIPANT_IDENTITY)};
    asked->room.name = asked->grant.room;
    if (check_name("roomName", asked->grant.room, e) < 0 || check_name("participantName", asked->grant.name, e) < 0)
        return -1;
    return check_name("participantIdentity", asked->grant.identity, e);
}

static int read_room(struct http_request *rq, struct asked *asked, struct err *e)
{
    if (scan(rq, asked, e) < 0)
        return -1;
    asked->room.name = text_of(rq, asked, ROOM_NAME);
    if (!asked->room.name.n)
        asked->room.name = text_of(rq, asked, NAME);
    if (check_name("roomName", asked->room.name, e) < 0 ||
        check_number(&asked->wants[EMPTY_TIMEOUT], DAY_S, &asked->room.empty_timeout, e) < 0)
        return -1;
    return check_number(&asked->wants[MAXIMUM], MAX_PARTICIPANTS, &asked->room.max_participants, e);
}

/* ---- tokens and rooms ---- */

static int room_token(struct http_request *rq, struct str room, struct str *token, struct err *e)
{
    const struct livekit_grant grant = {
        .identity = STR("room-creator"), .name = STR("Room Creator"), .room = room, .create = true};
    return livekit_token(api_of(rq)->config.livekit, &grant, rq->arena, token, e);
}

static int make_room(struct http_request *rq, const struct livekit_room *want, struct err *e)
{
    cJSON *room;
    return livekit_create_room(api_of(rq)->config.livekit, want, rq->arena, &room, e);
}

static struct str ws_url(const struct http_request *rq)
{
    return str_c(livekit_ws_url(api_of(rq)->config.livekit));
}

static void post_create_room(struct http_request *rq)
{
    static const char text[] = "Failed to create room";
    struct str room = STR_NONE, participant = STR_NONE;
    struct asked asked;
    struct err e;
    if (read_participant(rq, &asked, &e) < 0) {
        http_reply_error(rq, &e);
        return;
    }
    if (configured(rq, text) < 0)
        return;
    if (make_room(rq, &asked.room, &e) < 0 || room_token(rq, asked.room.name, &room, &e) < 0 ||
        livekit_token(api_of(rq)->config.livekit, &asked.grant, rq->arena, &participant, &e) < 0) {
        fail(rq, text, &e);
        return;
    }
    struct jw w = reply_writer(rq, KIB(64));
    jw_obj(&w);
    jw_kstr(&w, "roomToken", room);
    jw_kstr(&w, "participantToken", participant);
    jw_kstr(&w, "wsUrl", ws_url(rq));
    jw_kstr(&w, "roomName", asked.room.name);
    jw_end_obj(&w);
    http_reply_jw(rq, 200, &w);
}

/* `aliases`: "token" and "url", too. */
static void join(struct http_request *rq, bool aliases)
{
    static const char text[] = "Failed to join room";
    struct str token = STR_NONE;
    struct asked asked;
    struct err e;
    if (read_participant(rq, &asked, &e) < 0) {
        http_reply_error(rq, &e);
        return;
    }
    if (configured(rq, text) < 0)
        return;
    if (livekit_token(api_of(rq)->config.livekit, &asked.grant, rq->arena, &token, &e) < 0) {
        fail(rq, text, &e);
        return;
    }
    struct jw w = reply_writer(rq, KIB(64));
    jw_obj(&w);
    jw_kstr(&w, "participantToken", token);
    jw_kstr(&w, "wsUrl", ws_url(rq));
    jw_kstr(&w, "roomName", asked.room.name);
    if (aliases) {
        jw_kstr(&w, "token", token);
        jw_kstr(&w, "url", ws_url(rq));
    }
    jw_end_obj(&w);
    http_reply_jw(rq, 200, &w);
}

static void post_join_room(struct http_request *rq)
{
    join(rq, false);
}

static void post_token(struct http_request *rq)
{
    join(rq, true);
}

static void post_test_room(struct http_request *rq)
{
    static const char text[] = "Failed to create test room";
    const struct livekit_room room = {.name = TEST_ROOM, .empty_timeout = 600, .max_participants = 20};
    const struct livekit_grant grant = {.identity = STR("test-user"), .name = STR("Test User"), .room = TEST_ROOM};
    struct str token = STR_NONE;
    struct err e;
    if (configured(rq, text) < 0)
        return;
    if (make_room(rq, &room, &e) < 0 || livekit_token(api_of(rq)->config.livekit, &grant, rq->arena, &token, &e) < 0) {
        fail(rq, text, &e);
        return;
    }
    struct jw w = reply_writer(rq, KIB(64));
    jw_obj(&w);
    jw_kstr(&w, "name", room.name);
    jw_kstr(&w, "token", token);
    jw_kstr(&w, "wsUrl", ws_url(rq));
    jw_end_obj(&w);
    http_reply_jw(rq, 200, &w);
}

static void post_room(struct http_request *rq)
{
    static const char text[] = "Failed to create room";
    struct str token = STR_NONE;
    struct asked asked;
    struct err e;
    if (read_room(rq, &asked, &e) < 0) {
        http_reply_error(rq, &e);
        return;
    }
    if (configured(rq, text) < 0)
        return;
    if (make_room(rq, &asked.room, &e) < 0 || room_token(rq, asked.room.name, &token, &e) < 0) {
        fail(rq, text, &e);
        return;
    }
    struct jw w = reply_writer(rq, KIB(64));
    jw_obj(&w);
    jw_kstr(&w, "name", asked.room.name);
    jw_kstr(&w, "roomName", asked.room.name);
    jw_kstr(&w, "wsUrl", ws_url(rq));
    jw_kstr(&w, "roomToken", token);
    jw_end_obj(&w);
    http_reply_jw(rq, 200, &w);
}

static void get_rooms(struct http_request *rq)
{
    static const char text[] = "Failed to list rooms";
    cJSON *rooms = NULL;
    struct err e;
    if (configured(rq, text) < 0)
        return;
    if (livekit_list_rooms(api_of(rq)->config.livekit, rq->arena, &rooms, &e) < 0) {
        fail(rq, text, &e);
        return;
    }
    const cJSON *room;
    struct jw w = reply_writer(rq, SIZE_MAX / 2);
    jw_arr(&w);
    cJSON_ArrayForEach(room, rooms) put_livekit_room(&w, room);
    jw_end_arr(&w);
    http_reply_jw(rq, 200, &w);
}

static void delete_room(struct http_request *rq)
{
    static const char text[] = "Failed to delete room";
    struct err e;
    if (check_name("roomName", rq->params[0], &e) < 0) {
        http_reply_error(rq, &e);
        return;
    }
    if (configured(rq, text) < 0)
        return;
    if (livekit_delete_room(api_of(rq)->config.livekit, rq->params[0], &e) < 0)
        fail(rq, text, &e);
    else
        http_reply_json(rq, 200, STR("{\"message\":\"Room deleted successfully\"}"));
}

#define BODY_MAX KIB(64)

static const struct http_route routes[] = {
    {HTTP_POST, "/api/livekit/create-room", post_create_room, NULL, BODY_MAX, "care", "A room and a token to join it"},
    {HTTP_POST, "/api/livekit/join-room", post_join_room, NULL, BODY_MAX, "care", "A token to join a room"},
    {HTTP_POST, "/api/livekit/create-test-room", post_test_room, NULL, BODY_MAX, "care", "The room test-room"},
    {HTTP_GET, "/api/livekit/rooms", get_rooms, NULL, 0, "care", "Rooms that are open"},
    {HTTP_DELETE, "/api/livekit/rooms/:roomName", delete_room, NULL, 0, "care", "Closes a room"},
    {HTTP_POST, "/api/livekit/token", post_token, NULL, BODY_MAX, "care", "A token to join a room"},
    {HTTP_POST, "/api/livekit/room", post_room, NULL, BODY_MAX, "care", "A room"},
    {HTTP_DELETE, "/api/livekit/room/:id", delete_room, NULL, 0, "care", "Closes a room"},
    /* Open: the server shows itself by its signature. */
    {HTTP_POST, "/api/livekit/webhook", livekit_post_webhook, NULL, KIB(256) | HTTP_ANY_TYPE, NULL,
     "What LiveKit tells of its rooms"},
};

const struct door door_livekit = {routes, COUNT(routes), NULL};
