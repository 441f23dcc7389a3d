#include "app/serve.h"

#include "api/api.h"
#include "app/drivers.h"
#include "app/running.h"
#include "app/settings.h"
#include "auth/secret.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "client/upstream.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void log_lines(enum log_level level, const char *event, struct str text)
{
    struct str line;
    while (str_split(&text, '\n', &line))
        if (line.n && log_enabled(level))
            log_write(level, "config", event, &F_STR("text", line), 1);
}

static int check_production(const struct config *cfg)
{
    struct buf errors = BUF_INIT(KIB(64)), warnings = BUF_INIT(KIB(64));
    int result = config_production_check(cfg, jwt_secret_problem, &errors, &warnings);
    for (size_t i = 0; i < cfg->warnings.count; i++)
        log_warn("config", "warning", F_C("text", cfg->warnings.items[i]));
    log_lines(LOG_WARN, "warning", buf_str(&warnings));
    log_lines(LOG_ERROR, "refused", buf_str(&errors));
    buf_free(&errors);
    buf_free(&warnings);
    return result;
}

static int open_parts(struct running *r, struct err *e)
{
    if (drivers_open_store(r->cfg, &r->store, e) < 0 || drivers_open_model(r->cfg, &r->llm, e) < 0)
        return -1;
    r->media = media_new(&(struct media_config){.workers = (unsigned)r->cfg->media_workers});
    if (drivers_open_speech(r->cfg, r->media, &r->tts, &r->stt, e) < 0)
        return -1;
    if (r->cfg->tls_cert && !(r->tls = tls_new(r->cfg->tls_cert, r->cfg->tls_key, e)))
        return -1;
    if (drivers_open_livekit(r->cfg, &r->livekit, e) < 0)
        return -1;
    r->responder = r->cfg->llm_provider == PROVIDER_NONE ? NULL : drivers_responder();
    r->chat = chat_new(&(struct chat_config){
        .store = r->store,
        .llm = r->llm,
        .responder = r->responder,
        .loops = r->loops,
        .nloops = r->nloops,
        .history_tokens = (unsigned)r->cfg->llm_history_tokens,
        .room_keep = (unsigned)r->cfg->room_keep_ms,
    });
    /* A store whose server is away does that by itself when it finds it. */
    if (chat_recover(r->chat, e) < 0 && store_is_up(r->store))
        return -1;
    settings_make(&r->settings, r->cfg);
    struct accounts_config accounts = settings_accounts(&r->settings, r);
    if (!(r->accounts = accounts_new(&accounts, e)))
        return -1;
    struct api_config api = settings_api(&r->settings, r);
    r->api = api_new(&api);
    struct server_config server = settings_server(&r->settings, r);
    r->server = server_new(&server);
    api_mount(r->api, r->server);
    return 0;
}

static int listen_all(struct running *r, struct err *e)
{
    for (size_t p = 0; p < r->cfg->port_list.count; p++) {
        uint16_t port = r->cfg->port_list.items[p];
        for (size_t i = 0; i < r->nloops; i++)
            if (server_listen(r->server, r->loops[i], r->cfg->host, &port, r->tls, e) < 0)
                return -1;
        if (p == 0)
            r->port = port;
        log_info("net", "listening", F_C("host", r->cfg->host), F_INT("port", port));
    }
    return 0;
}

static void make_loops(struct running *r)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    r->nloops = r->cfg->threads ? (size_t)r->cfg->threads : (size_t)MAX(cores, 1);
    r->loops = mem_array(r->nloops, sizeof *r->loops);
    r->threads = mem_array(r->nloops, sizeof *r->threads);
    for (size_t i = 0; i < r->nloops; i++)
        r->loops[i] = loop_new((unsigned)i);
}

static void *loop_thread(void *arg)
{
    loop_run(arg);
    client_thread_end();
    arena_thread_end();
    return NULL;
}

static void run_loops(struct running *r)
{
    for (size_t i = 1; i < r->nloops; i++)
        if (pthread_create(&r->threads[i], NULL, loop_thread, r->loops[i]) != 0)
            die("cannot start a thread");
    loop_run(r->loops[0]);
    client_thread_end();
    for (size_t i = 1; i < r->nloops; i++)
        pthread_join(r->threads[i], NULL);
}

/* The loops never ran, so nobody told them to let go of the ports that were free. */
static void stop_listening(struct running *r)
{
    for (size_t i = 0; r->server && i < r->nloops; i++)
        server_drain(r->server, r->loops[i]);
}

static void close_parts(struct running *r)
{
    for (size_t i = 0; i < r->nloops; i++)
        r->loops[i] = loop_free(r->loops[i]);
    server_free(r->server);
    tls_free(r->tls);
    api_free(r->api);
    accounts_free(r->accounts);
    chat_free(r->chat);
    tts_free(r->tts);
    stt_free(r->stt);
    media_free(r->media);
    livekit_free(r->livekit);
    llm_free(r->llm);
    llm_free(r->responder);
    store_close(r->store);
    settings_free(&r->settings);
    config_free(r->cfg);
    free(r->drains);
    free(r->loops);
    free(r->threads);
}

static void say_hello(const struct running *r)
{
    const struct config *cfg = r->cfg;
    const char *scheme = cfg->tls_cert ? "https" : "http";
    if (cfg->production || cfg->environment == ENVIRONMENT_TEST)
        return;
    printf("parley " PARLEY_VERSION " is ready at %s://%s:%u  (model: %s, store: %s in %s)\n", scheme, cfg->host,
           (unsigned)r->port, r->llm ? llm_name(r->llm) : "embedded responder", drivers_store_name(cfg), cfg->data_dir);
    printf("  curl -N %s://%s:%u/v1/chat/completions -d "
           "'{\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"Hello! What can you do?\"}]}'\n",
           scheme, cfg->host, (unsigned)r->port);
    printf("  talk: %s://%s:%u/voice\n", scheme, cfg->host, (unsigned)r->port);
    printf("  health: /health   metrics: /metrics   API: /openapi.json   all settings: parley --help\n");
    fflush(stdout);
}

int serve(struct config *cfg, const struct config_source *source)
{
    struct running r = {.cfg = cfg, .source = source, .started_ns = clock_mono_ns()};
    struct err e;
    int status = 1;
    char pool[24];
    log_setup(cfg->log_level, cfg->log_format);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    snprintf(pool, sizeof pool, "%u", (unsigned)cfg->pool_threads);
    setenv("UV_THREADPOOL_SIZE", pool, 1); /* libuv has no other way to be told */
    if (check_production(cfg) < 0) {
        config_free(cfg);
        return 1;
    }
    make_loops(&r);
    running_watch(&r); /* before anybody can know that we are here, and signal */
    if (open_parts(&r, &e) < 0 || listen_all(&r, &e) < 0) {
        log_error("app", "start_failed", F_C("code", err_name(e.code)), F_ERR(&e));
        stop_listening(&r);
    } else {
        log_info("app", "ready", F_INT("us", (clock_mono_ns() - r.started_ns) / 1000), F_INT("loops", r.nloops),
                 F_C("model", r.llm ? llm_name(r.llm) : "none"));
        say_hello(&r);
        run_loops(&r);
        status = 0;
    }
    close_parts(&r);
    return status;
}
