#include "api/realtime_relay_impl.h"

#include "base/log.h"
#include "base/mem.h"
#include "client/openai_url.h"
#include "wire/url.h"

#include <stdlib.h>

#define OPERATION "/realtime"
#define PERSONA                                                                                                        \
    "You are a friendly voice assistant. Answer briefly and helpfully, in the language you are spoken to, and say so " \
    "when you do not know something."

/* ---- The service ---- */

/* Azure's preview form lies beside the current one: ".../openai/realtime" where that is ".../openai/v1/realtime". */
static char *base_url_of(const struct api_realtime *config, bool *beta, struct err *e)
{
    struct openai_url_config wanted = {.base_url = config->base_url,
                                       .azure = config->provider == API_REALTIME_AZURE,
                                       .deployment = config->model,
                                       .api_version = config->api_version,
                                       .operation = OPERATION};
    struct openai_url url;
    if (openai_url_make(&url, &wanted, e) < 0)
        return NULL;
    *beta = url.dated;
    if (url.dated) {
        openai_url_free(&url);
        wanted.api_version = NULL;
        if (openai_url_make(&url, &wanted, e) < 0)
            return NULL;
        url.base_url[strlen(url.base_url) - strlen("/v1")] = 0;
    }
    free(url.path);
    return url.base_url;
}

/* OpenAI itself serves nobody without a key; what speaks like it elsewhere may. */
static bool is_configured(const struct api_realtime *config)
{
    struct str base_url = str_c(config->base_url);
    bool key = config->api_key && config->api_key[0];
    if (config->provider == API_REALTIME_AZURE)
        return key && base_url.n;
    return config->provider == API_REALTIME_OPENAI && base_url.n &&
           (key || str_find(base_url, STR("://api.openai.com")) < 0);
}

static struct upstream *open_service(const struct api_realtime *config, bool *beta)
{
    struct upstream_config upstream = config->upstream;
    struct err e;
    char *base_url = NULL;
    if (client_setup(&e) < 0 || !(base_url = base_url_of(config, beta, &e))) {
        log_error("realtime", "not_configured", F_ERR(&e));
        return NULL;
    }
    upstream.base_url = base_url;
    struct upstream *u = upstream_new(&upstream);
    free(base_url);
    return u;
}

struct realtime_relay *realtime_relay_new(const struct api_realtime *config)
{
    struct realtime_relay *relay = mem_zalloc(sizeof *relay);
    relay->config = config;
    if (is_configured(config))
        relay->upstream = open_service(config, &relay->beta);
    relay->open = metric_gauge("parley_realtime_relay_sessions", "Realtime sessions that are relayed", NULL);
    relay->refused =
        metric_counter("parley_realtime_relay_refused_total", "Realtime sessions that the upstream did not take", NULL);
    return relay;
}

struct realtime_relay *realtime_relay_free(struct realtime_relay *relay)
{
    if (!relay)
        return NULL;
    if (relay->upstream)
        upstream_free(relay->upstream);
    free(relay);
    return NULL;
}

/* ---- One client's wish ---- */

static void put_param(struct buf *path, const char *name, struct str value)
{
    buf_addf(path, "%c%s=", memchr(path->data + path->head, '?', path->len) ? '&' : '?', name);
    url_put_encoded(path, value);
}

/* A transcription names no model unless its client does, and a call has one already. */
static void put_query(const struct realtime_relay *relay, struct http_request *rq, bool v1, struct buf *path)
{
    const struct api_realtime *config = relay->config;
    bool azure = config->provider == API_REALTIME_AZURE;
    struct str call = v1 ? http_request_query(rq, STR("call_id")) : STR_NONE;
    struct str intent = v1 ? http_request_query(rq, STR("intent")) : STR_NONE;
    struct str model = v1 && !azure ? http_request_query(rq, STR("model")) : STR_NONE;
    if (!model.n && !call.n && (!intent.n || relay->beta))
        model = str_c(config->model);
    if (relay->beta)
        put_param(path, "api-version", str_c(config->api_version));
    if (model.n)
        put_param(path, relay->beta ? "deployment" : "model", model);
    if (intent.n)
        put_param(path, "intent", intent);
    if (call.n)
        put_param(path, "call_id", call);
}

static void add_header(struct realtime_wish *wish, const char *name, struct str value)
{
    if (value.n)
        wish->headers[wish->nheaders++] = (struct fetch_header){name, value};
}

static void add_key(struct realtime_wish *wish, const struct api_realtime *config)
{
    if (!config->api_key)
        return;
    if (config->provider == API_REALTIME_AZURE)
        add_header(wish, "api-key", str_c(config->api_key));
    else
        add_header(wish, "Authorization", arena_printf(wish->arena, "Bearer %s", config->api_key));
}

/* The preview form as the client asked for it: by header, or as pages do by a subprotocol. */
static struct str beta_wish(struct realtime_wish *wish, const struct http_request *rq)
{
    struct str header = http_request_header(rq, STR("openai-beta"));
    if (header.n)
        return arena_str(wish->arena, header);
    struct str protocols = http_request_header(rq, STR("sec-websocket-protocol"));
    return str_list_has(protocols, STR("openai-beta.realtime-v1")) ? STR("realtime=v1") : STR("");
}

struct realtime_wish *realtime_wish_new(const struct realtime_relay *relay, struct http_request *rq, bool v1)
{
    const struct api_realtime *config = relay->config;
    struct arena *arena = arena_new("realtime_wish");
    struct realtime_wish *wish = arena_zalloc(arena, sizeof *wish);
    struct buf path = BUF_INIT(3 * LIMIT_HTTP_TARGET + KIB(4));
    wish->arena = arena;
    buf_lit(&path, OPERATION);
    put_query(relay, rq, v1, &path);
    wish->path = arena_str(arena, buf_str(&path));
    buf_free(&path);
    add_key(wish, config);
    if (config->provider == API_REALTIME_OPENAI) {
        add_header(wish, "OpenAI-Organization", str_c(config->organization));
        add_header(wish, "OpenAI-Project", str_c(config->project));
        if (v1)
            add_header(wish, "OpenAI-Beta", beta_wish(wish, rq));
    }
    return wish;
}

/* ---- The first frame of dialect 001 ---- */

static void put_format(struct jw *w)
{
    jw_key(w, "format");
    jw_obj(w);
    jw_kstr(w, "type", STR("audio/pcm"));
    jw_kint(w, "rate", 24000);
    jw_end_obj(w);
}

static void put_turn_detection(struct jw *w)
{
    jw_key(w, "turn_detection");
    jw_obj(w);
    jw_kstr(w, "type", STR("server_vad"));
    jw_end_obj(w);
}

/* A deployment is no model's name: Azure OpenAI knows which it is. */
static void put_members(struct jw *w, const struct api_realtime *config)
{
    jw_kstr(w, "type", STR("realtime"));
    if (config->provider == API_REALTIME_OPENAI)
        jw_kstr(w, "model", str_c(config->model));
    jw_kraw(w, "output_modalities", STR("[\"audio\"]"));
    jw_key(w, "audio");
    jw_obj(w);
    jw_key(w, "input");
    jw_obj(w);
    put_format(w);
    put_turn_detection(w);
    jw_end_obj(w);
    jw_key(w, "output");
    jw_obj(w);
    put_format(w);
    jw_kstr(w, "voice", STR("alloy"));
    jw_end_obj(w);
    jw_end_obj(w);
}

/* The same in the preview form. */
static void put_beta_members(struct jw *w)
{
    jw_kraw(w, "modalities", STR("[\"audio\",\"text\"]"));
    jw_kstr(w, "input_audio_format", STR("pcm16"));
    jw_kstr(w, "output_audio_format", STR("pcm16"));
    jw_kstr(w, "voice", STR("alloy"));
    put_turn_detection(w);
}

void realtime_put_session(const struct realtime_relay *relay, struct buf *out)
{
    struct jw w = jw_begin(out);
    jw_obj(&w);
    jw_kstr(&w, "type", STR("session.update"));
    jw_key(&w, "session");
    jw_obj(&w);
    if (relay->beta)
        put_beta_members(&w);
    else
        put_members(&w, relay->config);
    jw_kstr(&w, "instructions", STR(PERSONA));
    jw_end_obj(&w);
    jw_end_obj(&w);
}
