/* Health, metrics and the small pages that say what this server is. */
#include "api/aimcs_impl.h"
#include "api/api_impl.h"
#include "base/clock.h"
#include "base/metrics.h"

#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

static double uptime(const struct api *api)
{
    return (double)(clock_wall_ms() - api->started_ms) / 1000;
}

/* Asks for something that need not be there: any answer will do. */
static bool store_answers(struct http_request *rq, struct err *e)
{
    struct setting_ref ref = {STR("parley"), STR("ready")};
    struct setting setting;
    return store_setting_get(chat_store(api_of(rq)->chat), rq->arena, &ref, &setting, e) == 0 ||
           e->code == ERR_NOT_FOUND;
}

static void get_health(struct http_request *rq)
{
    struct err e;
    struct api *api = api_of(rq);
    struct jw w = reply_writer(rq, KIB(4));
    jw_obj(&w);
    jw_kstr(&w, "status", STR("healthy"));
    jw_kstr(&w, "message", STR("Server is running"));
    jw_kiso(&w, "timestamp", clock_wall_ms());
    jw_knum(&w, "uptime", uptime(api));
    jw_kint(&w, "connections", (int64_t)server_websockets(api->server));
    jw_kstr(&w, "version", str_c(api->config.version));
    jw_kbool(&w, "aiConfigured", chat_has_model(api->chat));
    jw_kbool(&w, "speechConfigured", aimcs_has_speech(api));
    jw_kstr(&w, "database", store_answers(rq, &e) ? STR("connected") : STR("disconnected"));
    jw_kraw(&w, "services", STR("{\"iot_hub\":\"stopped\"}"));
    jw_end_obj(&w);
    http_reply_jw(rq, 200, &w);
}

static void get_live(struct http_request *rq)
{
    http_reply_json(rq, 200, STR("{\"status\":\"live\"}"));
}

/* Ready: not draining, and the store answers. */
static void get_ready(struct http_request *rq)
{
    struct err e = {0};
    bool ready = atomic_load_explicit(&api_of(rq)->ready, memory_order_acquire);
    if (!ready)
        err_set(&e, ERR_SHUTTING_DOWN, NULL);
    else
        ready = store_answers(rq, &e);
    if (ready)
        http_reply_json(rq, 200, STR("{\"status\":\"ready\"}"));
    else
        http_reply_error(rq, &e);
}

static int64_t resident_bytes(void)
{
    char line[128] = "";
    int64_t pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f) {
        struct str rest = str_c(fgets(line, sizeof line, f)), piece = STR_NONE;
        for (int i = 0; i < 2; i++) /* the second field: resident pages */
            str_split(&rest, ' ', &piece);
        if (str_i64(piece, &pages) < 0)
            pages = 0;
        fclose(f);
    }
    return pages * sysconf(_SC_PAGESIZE);
}

static double read_resident(void *arg)
{
    (void)arg;
    return (double)resident_bytes();
}

void system_metrics(void)
{
    metric_gauge_fn("process_resident_memory_bytes", "Resident memory of the process", NULL, read_resident, NULL);
}

static void get_api_health(struct http_request *rq)
{
    struct api *api = api_of(rq);
    struct mallinfo2 heap = mallinfo2();
    struct jw w = reply_writer(rq, KIB(4));
    jw_obj(&w);
    jw_kstr(&w, "status", STR("OK"));
    jw_kiso(&w, "timestamp", clock_wall_ms());
    jw_kstr(&w, "version", str_c(api->config.version));
    jw_knum(&w, "uptime", uptime(api));
    jw_key(&w, "memory");
    jw_obj(&w);
    jw_kint(&w, "rss", resident_bytes());
    jw_kint(&w, "heapTotal", (int64_t)(heap.arena + heap.hblkhd));
    jw_kint(&w, "heapUsed", (int64_t)(heap.uordblks + heap.hblkhd));
    jw_kint(&w, "external", 0);
    jw_kint(&w, "arrayBuffers", 0);
    jw_end_obj(&w);
    jw_end_obj(&w);
    http_reply_jw(rq, 200, &w);
}

static void get_metrics(struct http_request *rq)
{
    struct api *api = api_of(rq);
    struct err e;
    if (!api->config.metrics) {
        err_set(&e, ERR_NOT_FOUND, NULL);
        http_reply_error(rq, &e);
        return;
    }
    if (api->config.production && !api->config.metrics_open && !admit_has_token(rq)) {
        err_set(&e, ERR_UNAUTHORIZED, NULL);
        http_reply_error(rq, &e);
        return;
    }
    struct jw w = reply_writer(rq, MIB(8));
    metrics_render(w.out);
    http_reply(rq, 200, STR("text/plain; version=0.0.4; charset=utf-8"), buf_str(w.out));
}

static void get_root(struct http_request *rq)
{
    http_reply_json(rq, 200, STR("{\"message\":\"Welcome to PiChat API\"}"));
}

static void get_api(struct http_request *rq)
{
    struct jw w = reply_writer(rq, KIB(4));
    jw_obj(&w);
    jw_kstr(&w, "message", STR("parley API"));
    jw_kstr(&w, "version", str_c(api_of(rq)->config.version));
    jw_kraw(&w, "endpoints",
            STR("{\"health\":\"/health\",\"test\":\"/api/test\",\"models\":\"/api/models\",\"chat\":\"/api/chat\"}"));
    jw_end_obj(&w);
    http_reply_jw(rq, 200, &w);
}

static void get_test(struct http_request *rq)
{
    struct jw w = reply_writer(rq, KIB(4));
    jw_obj(&w);
    jw_kstr(&w, "message", STR("API is working"));
    jw_kiso(&w, "timestamp", clock_wall_ms());
    jw_kstr(&w, "environment", api_of(rq)->config.production ? STR("production") : STR("development"));
    jw_end_obj(&w);
    http_reply_jw(rq, 200, &w);
}

static void put_model(struct jw *w, const char *id, const char *provider)
{
    jw_obj(w);
    jw_kstr(w, "id", str_c(id));
    jw_kstr(w, "name", str_c(id));
    jw_kstr(w, "provider", str_c(provider));
    jw_kstr(w, "status", STR("available"));
    jw_end_obj(w);
}

/* The model behind each surface; an upstream's whole list is at /v1/models. */
static void get_api_models(struct http_request *rq)
{
    const struct api_config *config = &api_of(rq)->config;
    const char *const models[] = {config->aimcs_model, config->openai_model, config->chat_model, config->pichat_model};
    struct jw w = reply_writer(rq, KIB(8));
    jw_obj(&w);
    jw_key(&w, "models");
    jw_arr(&w);
    for (size_t i = 0; i < COUNT(models); i++) {
        bool repeated = !models[i] || !models[i][0];
        for (size_t j = 0; j < i && !repeated; j++)
            repeated = models[j] && strcmp(models[i], models[j]) == 0;
        if (!repeated)
            put_model(&w, models[i], config->llm_name);
    }
    jw_end_arr(&w);
    jw_end_obj(&w);
    http_reply_jw(rq, 200, &w);
}

static const struct http_route routes[] = {
    {HTTP_GET, "/", get_root, &aimcs_socket, 0, "aimcs", "Welcome; as a WebSocket, the AIMCS dialect"},
    {HTTP_GET, "/health", get_health, NULL, 0, NULL, "Health of every surface"},
    {HTTP_GET, "/health/live", get_live, NULL, 0, NULL, "The process answers"},
    {HTTP_GET, "/health/ready", get_ready, NULL, 0, NULL, "It takes traffic: the store answers and it is not draining"},
    {HTTP_GET, "/metrics", get_metrics, NULL, 0, NULL, "Prometheus metrics"},
    {HTTP_GET, "/api", get_api, NULL, 0, NULL, "What there is"},
    {HTTP_GET, "/api/health", get_api_health, NULL, 0, NULL, "Health with memory figures"},
    {HTTP_GET, "/api/test", get_test, NULL, 0, NULL, "The API answers"},
    {HTTP_GET, "/api/models", get_api_models, NULL, 0, "aimcs", "Models behind the surfaces"},
};

const struct door door_system = {routes, COUNT(routes), NULL};
