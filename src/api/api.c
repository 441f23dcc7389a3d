#include "api/api.h"

#include "api/api_impl.h"
#include "api/openai_impl.h"
#include "base/clock.h"
#include "base/mem.h"

#include <stdlib.h>

static const struct door *const doors[] = {
    &door_system, &door_chat, &door_aimcs, &door_conversations, &door_events, &door_pichat, &door_openai, &door_openapi,
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
    if (e->code == ERR_NOT_FOUND) {
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
    return api;
}

void api_mount(struct api *api, struct server *server)
{
    api->server = server;
    for (size_t i = 0; i < COUNT(doors); i++)
        server_routes(server, doors[i]->routes, doors[i]->n, api);
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
