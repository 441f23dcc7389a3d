#include "api/api.h"

#include "api/api_impl.h"
#include "api/audio_files.h"
#include "api/care_impl.h"
#include "api/conformance.h"
#include "api/live_impl.h"
#include "api/livekit_impl.h"
#include "api/openai_impl.h"
#include "base/clock.h"
#include "base/mem.h"

#include <stdlib.h>

static const struct door *const doors[] = {
    &door_system,
    &door_chat,
    &door_aimcs,
    &door_conversations,
    &door_events,
    &door_pichat,
    &door_openai,
    &door_openapi,
    &door_live,
    &door_agents,
    &door_client_bundle,
    &door_speech,
    &door_audio_files,
    &door_voice_page,
    &door_accounts,
    &door_care_agents,
    &door_care_conversations,
    &door_livekit,
    &door_pictures,
};

/* Model, persona and texts belong to the surface a client came in by, never to a global switch. */
static void fill_surfaces(struct api *api)
{
    api->aimcs = (struct chat_surface){
        .space = "aimcs",
        .model = api->config.aimcs_model,
        .persona = "You are a helpful assistant.",
        .temperature = 0.7,
        .max_tokens = 1000,
        .needs_model = true,
        .no_model_text = "",
    };
    api->chat_surface = (struct chat_surface){
        .space = "chat",
        .model = api->config.chat_model,
        .persona = "You are a helpful assistant.",
        .temperature = 0.7,
        .max_tokens = 2000,
        .needs_model = true,
        .no_model_text = "This is a demo response. To enable AI responses, add your OpenAI API key to the environment "
                         "variables.",
        .failure_text = "I apologize, but I encountered an error while processing your request. Please try again.",
    };
    api->pichat = (struct chat_surface){
        .space = "pichat",
        .model = api->config.pichat_model,
        .persona = "You are PiChat, a friendly and concise assistant.",
        .temperature = 0.7,
    };
}

static struct api_access *copy_access(const struct api_config *config)
{
    struct api_access *access = mem_zalloc(sizeof *access);
    *access = (struct api_access){config->api_token, config->open_dialects, config->nopen_dialects, NULL};
    return access;
}

void api_reconfigure(struct api *api, const struct api_config *config)
{
    struct api_access *access = copy_access(config);
    access->older = atomic_load_explicit(&api->access, memory_order_acquire);
    atomic_store_explicit(&api->access, access, memory_order_release);
}

void api_error_body(void *arg, struct str path, const struct err *e, struct buf *out)
{
    (void)arg;
    if (str_starts(path, STR("/v1/"))) {
        openai_error_body(out, e);
        return;
    }
    struct jw w = jw_begin(out);
    jw_obj(&w);
    if (e->code == ERR_NOT_FOUND && strcmp(e->text, err_text(ERR_NOT_FOUND)) == 0) {
        jw_kstr(&w, "error", STR("Endpoint not found"));
        jw_kstr(&w, "message", STR("Endpoint not found"));
        jw_kstr(&w, "code", STR("NOT_FOUND"));
        jw_kstr(&w, "path", path);
        jw_kstr(&w, "detail", STR("Not Found"));
    } else {
        put_error(&w, e);
    }
    jw_end_obj(&w);
}

static void open_live(struct api *api)
{
    struct sio_config config = api->config.socketio;
    config.remember = live_remember;
    api->rooms = live_loops_new(api, api->config.nloops);
    if (!api->config.conformance) {
        api->live = sio_new(&config, live_namespaces, live_namespace_count, api, api->config.nloops);
        return;
    }
    config.engine.open_delay = CONFORMANCE_DELAY_MS;
    api->live = sio_new(&config, conformance_namespaces, conformance_namespace_count, api, api->config.nloops);
    api->echo = conformance_engine(&config.engine, api->config.nloops);
}

static int keep_audio(void *arg, enum speech_format format, struct str bytes, char name[AUDIO_NAME], struct err *e)
{
    return audio_keep_lasting(arg, "response", format, bytes, name, e);
}

static void drop_audio(void *arg, struct str name)
{
    audio_drop(arg, name);
}

static void open_care(struct api *api)
{
    struct care_config config = {
        .chat = api->chat,
        .tts = api->config.care_speech ? api->config.tts : NULL,
        .model = api->config.care_model,
        .audio = {.arg = api->audio, .keep = keep_audio, .drop = drop_audio},
    };
    api->care = care_new(&config);
    api->pictures = pictures_new(&api->config);
}

struct api *api_new(const struct api_config *config)
{
    struct api *api = mem_zalloc(sizeof *api);
    api->config = *config;
    api->chat = config->chat;
    api->started_ms = clock_wall_ms();
    atomic_init(&api->ready, true);
    atomic_init(&api->access, copy_access(config));
    fill_surfaces(api);
    system_metrics();
    api->bundle = client_bundle_new(config->socketio_client);
    api->audio = audio_files_new(config->audio_path, config->audio_retention, chat_home(api->chat, STR("audio")));
    open_care(api);
    api->livekit_events = livekit_events_new();
    open_live(api);
    if (config->realtime.provider != API_REALTIME_LOCAL)
        api->realtime = realtime_relay_new(&api->config.realtime);
    return api;
}

/* A session's requests are served where the session lives. */
static int steer(void *arg, const struct http_head *head)
{
    const struct api *api = arg;
    if (str_starts(head->path, STR("/socket.io")) || str_starts(head->path, STR("/api/socket.io")) ||
        str_starts(head->path, STR("/api/v1/socket.io")))
        return eio_steer(sio_engine(api->live), head->query);
    if (api->echo && str_starts(head->path, STR("/engine.io")))
        return eio_steer(api->echo, head->query);
    return -1;
}

static void mount(struct api *api, const struct door *door)
{
    server_routes(api->server, door->routes, door->n, door->ctx ? door->ctx(api) : api);
}

void api_mount(struct api *api, struct server *server)
{
    api->server = server;
    for (size_t i = 0; i < COUNT(doors); i++)
        mount(api, doors[i]);
    mount(api, api->realtime ? &door_realtime_relay : &door_realtime_local);
    if (api->echo)
        server_routes(server, door_conformance.routes, door_conformance.n, api->echo);
    server_steer(server, steer, api);
    server_on_body(server, eio_body);
}

void api_drain(struct api *api)
{
    sio_drain(api->live);
    eio_drain(sio_engine(api->live));
    if (api->echo)
        eio_drain(api->echo);
}

void api_loop_end(struct api *api)
{
    audio_files_loop_end(api->audio);
    sio_loop_end(api->live);
    if (api->echo)
        eio_loop_end(api->echo);
}

struct api *api_free(struct api *api)
{
    if (!api)
        return NULL;
    struct api_access *access = atomic_load_explicit(&api->access, memory_order_acquire);
    while (access) {
        struct api_access *older = access->older;
        free(access);
        access = older;
    }
    sio_free(api->live);
    if (api->echo)
        eio_free(api->echo);
    live_loops_free(api->rooms, api->config.nloops);
    client_bundle_free(api->bundle);
    audio_files_free(api->audio);
    realtime_relay_free(api->realtime);
    care_free(api->care);
    pictures_free(api->pictures);
    livekit_events_free(api->livekit_events);
    free(api);
    return NULL;
}

void api_set_ready(struct api *api, bool ready)
{
    atomic_store_explicit(&api->ready, ready, memory_order_release);
}

struct api *api_of(const struct http_request *rq)
{
    return rq->ctx;
}
