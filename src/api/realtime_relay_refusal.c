/* What went wrong with the upstream, as clients hear of it: a type and a code that programs can act on, and words of
 * our own. Of the upstream's text nothing is passed on, as it may show parts of a key. */
#include "api/realtime_relay_impl.h"

#include "base/rand.h"

static const struct known {
    const char *type, *code, *text;
} knowns[] = {
    {"invalid_request_error", "invalid_api_key", "The realtime service refused this server's key"},
    {"invalid_request_error", "model_not_found", "The realtime service does not know this model"},
    {"invalid_request_error", "invalid_model", "The realtime service does not take this model"},
    {"invalid_request_error", "missing_model", "The realtime service needs a model"},
    {"invalid_request_error", "beta_api_shape_disabled",
     "The realtime service does not speak its preview form any more"},
    {"invalid_request_error", "session_expired", "The session hit its maximum duration"},
    {"rate_limit_error", "rate_limit_exceeded", "The realtime service is busy. Please try again later"},
    {"insufficient_quota", "insufficient_quota", "The realtime service's quota is used up"},
    {"server_error", "upstream_failed", "The realtime service failed"},
    {"server_error", "upstream_unreachable", "The realtime service cannot be reached"},
    {"server_error", "upstream_timeout", "The realtime service did not answer in time"},
    {"server_error", "upstream_closed", "The realtime service closed the connection"},
    {"server_error", "overloaded", "The server is busy. Please try again."},
    {"server_error", "not_configured", "Realtime voice is not configured"},
};

/* Names are short and plain; anything else is text. */
static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
            return false;
    }
    return s.n > 0 && s.n < 64;
}

/* type: "" for the one that the code usually has. */
static void refusal(struct realtime_refusal *out, struct str type, struct str code, uint16_t close_code)
{
    const struct known *known = NULL;
    for (size_t i = 0; i < COUNT(knowns) && !known; i++)
        if (str_eqc(code, knowns[i].code))
            known = &knowns[i];
    if (type.n == 0)
        type = str_c(known ? known->type : "server_error");
    str_copy(out->type, sizeof out->type, type);
    str_copy(out->code, sizeof out->code, code);
    out->text = known ? known->text : "The realtime service refused the session";
    out->close_code = close_code;
}

static const char *code_of_status(int status)
{
    switch (status) {
    case 401:
    case 403:
        return "invalid_api_key";
    case 404:
        return "model_not_found";
    case 429:
        return "rate_limit_exceeded";
    default:
        return status < 500 ? "upstream_refused" : "upstream_failed";
    }
}

static const char *code_of(const struct err *e)
{
    if (e->code == ERR_UPSTREAM)
        return code_of_status(e->status);
    if (e->code == ERR_UPSTREAM_UNREACHABLE)
        return "upstream_unreachable";
    if (e->code == ERR_TIMEOUT)
        return "upstream_timeout";
    if (e->code == ERR_OVERLOADED)
        return "overloaded";
    return e->code == ERR_NOT_CONFIGURED || e->code == ERR_INVALID_REQUEST ? "not_configured" : "upstream_failed";
}

void realtime_refusal_of(struct realtime_refusal *out, const struct err *e)
{
    refusal(out, STR(""), str_c(code_of(e)), e->code == ERR_OVERLOADED ? WS_TRY_LATER : WS_INTERNAL);
}

/* The member when it is a name, else the fallback. */
static struct str name_of(const struct json_want *want, struct str fallback)
{
    return want->value.type == JSON_STRING && is_name(want->value.raw) ? want->value.raw : fallback;
}

void realtime_refusal_event(struct realtime_refusal *out, struct str event)
{
    struct json_want wants[] = {{.path = "error.type"}, {.path = "error.code"}};
    if (event.n == 0 || json_scan(event, wants, COUNT(wants), NULL, NULL) < 0)
        wants[0] = wants[1] = (struct json_want){0};
    refusal(out, name_of(&wants[0], STR("")), name_of(&wants[1], STR("upstream_refused")), WS_INTERNAL);
}

/* What clients are told in place of codes that must not be sent, or that are the service's own. */
static uint16_t close_code_for(uint16_t code)
{
    return ws_close_code_ok(code) && code < 3000 ? code : WS_INTERNAL;
}

void realtime_refusal_close(struct realtime_refusal *out, uint16_t code, struct str reason)
{
    struct str rest = reason, type = STR_NONE;
    str_split(&rest, '.', &type);
    if (is_name(type) && is_name(rest))
        refusal(out, type, rest, close_code_for(code));
    else
        refusal(out, STR(""), STR("upstream_closed"), close_code_for(code));
}

void realtime_put_error(const struct realtime_refusal *refusal, struct buf *out)
{
    char id[UUID_LEN + 1], event_id[8 + UUID_LEN] = "event_";
    struct jw w = jw_begin(out);
    rand_uuid(id);
    str_copy(event_id + 6, sizeof event_id - 6, str_c(id));
    jw_obj(&w);
    jw_kstr(&w, "type", STR("error"));
    jw_kstr(&w, "event_id", str_c(event_id));
    jw_key(&w, "error");
    jw_obj(&w);
    jw_kstr(&w, "type", str_c(refusal->type));
    jw_kstr(&w, "code", str_c(refusal->code));
    jw_kstr(&w, "message", str_c(refusal->text));
    jw_knull(&w, "param");
    jw_knull(&w, "event_id");
    jw_end_obj(&w);
    jw_end_obj(&w);
}
