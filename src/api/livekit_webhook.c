/* What LiveKit's server sends and shows: webhooks, rooms. */
#include "api/livekit_impl.h"
#include "base/log.h"
#include "base/metrics.h"

/* ---- rooms ---- */

static const cJSON *member(const cJSON *room, const char *snake, const char *camel)
{
    const cJSON *value = json_get(room, snake);
    return value ? value : json_get(room, camel);
}

static void put_text(struct jw *w, const cJSON *room, const char *key)
{
    struct str text = json_str(room, key);
    jw_kstr(w, key, text.p ? text : STR(""));
}

/* 64-bit numbers are texts in protobuf's JSON. */
static void put_number(struct jw *w, const cJSON *room, const char *snake, const char *camel)
{
    const cJSON *value = member(room, snake, camel);
    int64_t n = 0;
    if (cJSON_IsString(value))
        str_i64(str_c(value->valuestring), &n);
    else if (cJSON_IsNumber(value) && value->valuedouble > -9e15 && value->valuedouble < 9e15)
        n = (int64_t)value->valuedouble;
    jw_kint(w, camel, n);
}

void put_livekit_room(struct jw *w, const cJSON *room)
{
    if (!cJSON_IsObject(room))
        return;
    jw_obj(w);
    put_text(w, room, "sid");
    put_text(w, room, "name");
    put_number(w, room, "empty_timeout", "emptyTimeout");
    put_number(w, room, "departure_timeout", "departureTimeout");
    put_number(w, room, "max_participants", "maxParticipants");
    put_number(w, room, "creation_time", "creationTime");
    put_text(w, room, "metadata");
    put_number(w, room, "num_participants", "numParticipants");
    put_number(w, room, "num_publishers", "numPublishers");
    jw_kbool(w, "activeRecording", cJSON_IsTrue(member(room, "active_recording", "activeRecording")));
    jw_end_obj(w);
}

/* ---- webhooks ---- */

static void count(const char *labels)
{
    metric_inc(metric_counter("parley_livekit_webhooks_total", "Webhooks from LiveKit", labels));
}

static void note(const cJSON *event, bool first)
{
    struct str room = json_str(json_get(event, "room"), "name");
    count(first ? "result=\"new\"" : "result=\"repeated\"");
    log_info("livekit", first ? "webhook" : "webhook_repeated", F_STR("type", json_str(event, "event")),
             room.p ? F_STR("room", room) : F_NONE, F_STR("id", json_str(event, "id")));
}

void livekit_post_webhook(struct http_request *rq)
{
    const struct livekit *livekit = api_of(rq)->config.livekit;
    struct str authorization = http_request_header(rq, STR("authorization"));
    struct err e;
    int result =
        livekit ? livekit_check_webhook(livekit, authorization, rq->body, &e) : err_set(&e, ERR_NOT_CONFIGURED, NULL);
    const cJSON *event = result == 0 ? json_parse(rq->arena, rq->body, &e) : NULL;
    if (event && !json_str(event, "event").n) {
        err_set(&e, ERR_INVALID_REQUEST, NULL);
        event = NULL;
    }
    if (!event) {
        count("result=\"refused\"");
        http_reply_error(rq, &e);
        return;
    }
    note(event, livekit_events_add(api_of(rq)->livekit_events, json_str(event, "id")));
    http_reply_json(rq, 200, STR("{\"received\":true}"));
}
