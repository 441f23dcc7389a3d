/* Rooms, by the server's Twirp API: JSON over POST. https://twitchtv.github.io/twirp/docs/spec_v7.html */
#include "base/limits.h"
#include "base/log.h"
#include "client/fetch.h"
#include "rtc/livekit_impl.h"

struct call {
    const char *method; /* of livekit.RoomService */
    struct livekit_powers powers;
    bool idempotent;
};

/* The answer of a refusal names its reason in one word of a known form. Its text stays out of logs and replies. */
static struct str refusal_code(struct arena *arena, struct str body)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz_";
    struct str code = json_str(json_parse(arena, body, NULL), "code");
    for (size_t i = 0; i < code.n; i++)
        if (!memchr(letters, code.p[i], sizeof letters - 1))
            return STR("unknown");
    return code.n > 0 && code.n <= 32 ? code : STR("unknown");
}

static int refuse(const struct call *call, int status, struct arena *arena, struct str body, struct err *e)
{
    struct str code = refusal_code(arena, body);
    if (status == 404 && str_eqc(code, "not_found")) /* bad_route is 404, too */
        return err_set(e, ERR_NOT_FOUND, "There is no such room");
    log_warn("livekit", "refused", F_C("method", call->method), F_INT("status", status), F_STR("code", code));
    return err_set(e, ERR_UPSTREAM, NULL);
}

/* The answer's tree, an object. */
static int read_answer(const struct call *call, struct fetch *fetch, struct arena *arena, cJSON **answer, struct err *e)
{
    struct buf body = BUF_INIT(SIZE_MAX);
    int status = fetch_status(fetch), result = fetch_read_all(fetch, &body, LIMIT_UPSTREAM_BODY, e);
    if (result == 0 && status != 200)
        result = refuse(call, status, arena, buf_str(&body), e);
    else if (result == 0 && !cJSON_IsObject(*answer = json_parse(arena, buf_str(&body), NULL)))
        result = err_set(e, ERR_UPSTREAM, NULL);
    buf_free(&body);
    return result;
}

static struct fetch *post(struct livekit *livekit, const struct call *call, struct str body, struct arena *arena,
                          struct err *e)
{
    struct buf token = BUF_INIT(KIB(32));
    struct fetch *fetch = NULL;
    buf_lit(&token, "Bearer ");
    if (livekit_sign_powers(livekit, call->powers, &token, e) == 0) {
        const struct fetch_header headers[] = {{"Content-Type", STR("application/json")},
                                               {"Accept", STR("application/json")},
                                               {"Authorization", buf_str(&token)}};
        const struct fetch_request rq = {.method = "POST",
                                         .path = arena_printf(arena, "/twirp/livekit.RoomService/%s", call->method),
                                         .headers = headers,
                                         .nheaders = COUNT(headers),
                                         .body = body,
                                         .idempotent = call->idempotent};
        fetch = fetch_open(livekit->upstream, &rq, e);
    }
    buf_free(&token);
    return fetch;
}

/* Takes the body. */
static int run(struct livekit *livekit, const struct call *call, struct buf *body, struct arena *arena, cJSON **answer,
               struct err *e)
{
    struct fetch *fetch = post(livekit, call, buf_str(body), arena, e);
    int result = fetch ? read_answer(call, fetch, arena, answer, e) : -1;
    fetch_close(fetch);
    buf_free(body);
    return result;
}

int livekit_create_room(struct livekit *livekit, const struct livekit_room *want, struct arena *arena, cJSON **room,
                        struct err *e)
{
    static const struct call call = {"CreateRoom", {.create = true}, true}; /* a room that exists is answered as well */
    struct buf body = BUF_INIT(MIB(1));
    struct jw w = jw_begin(&body);
    jw_obj(&w);
    jw_kstr(&w, "name", want->name);
    if (want->empty_timeout > 0)
        jw_kint(&w, "empty_timeout", want->empty_timeout);
    if (want->max_participants > 0)
        jw_kint(&w, "max_participants", want->max_participants);
    if (want->metadata.n)
        jw_kstr(&w, "metadata", want->metadata);
    jw_end_obj(&w);
    return run(livekit, &call, &body, arena, room, e);
}

int livekit_list_rooms(struct livekit *livekit, struct arena *arena, cJSON **rooms, struct err *e)
{
    static const struct call call = {"ListRooms", {.list = true}, true};
    struct buf body = BUF_INIT(KIB(1));
    cJSON *answer = NULL;
    buf_lit(&body, "{}");
    if (run(livekit, &call, &body, arena, &answer, e) < 0)
        return -1;
    cJSON *list = cJSON_GetObjectItemCaseSensitive(answer, "rooms");
    if (!list || cJSON_IsNull(list)) /* members with their default may be left out */
        list = json_parse(arena, STR("[]"), NULL);
    if (!cJSON_IsArray(list))
        return err_set(e, ERR_UPSTREAM, NULL);
    *rooms = list;
    return 0;
}

int livekit_delete_room(struct livekit *livekit, struct str name, struct err *e)
{
    static const struct call call = {"DeleteRoom", {.create = true}, false};
    struct arena *arena = arena_new("livekit");
    struct buf body = BUF_INIT(MIB(1));
    struct jw w = jw_begin(&body);
    cJSON *answer = NULL;
    jw_obj(&w);
    jw_kstr(&w, "room", name);
    jw_end_obj(&w);
    int result = run(livekit, &call, &body, arena, &answer, e);
    arena_free(arena);
    return result;
}
