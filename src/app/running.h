/* The running server: its parts, its signals, and how it drains. */
#ifndef APP_RUNNING_H
#define APP_RUNNING_H

#include "api/api.h"
#include "app/settings.h"
#include "config/config.h"
#include "loop/timer.h"
#include "net/tls.h"

#include <pthread.h>

struct running {
    struct config *cfg;
    const struct config_source *source;
    uint64_t started_ns;
    struct loop **loops;
    pthread_t *threads; /* [0] is the main thread's place */
    size_t nloops;
    struct store *store;
    struct llm *llm, *responder;
    struct media *media;
    struct tts *tts;
    struct stt *stt;
    struct accounts *accounts;
    struct livekit *livekit;
    struct tls_context *tls;
    struct chat *chat;
    struct api *api;
    struct server *server;
    struct settings settings;
    uint16_t port;
    uv_signal_t signals[3];
    atomic_uint signals_seen;
    struct loop_drain *drains; /* one per loop */
};

/* Watches SIGTERM and SIGINT (drain, then leave; a second one leaves at once) and SIGHUP (reload). Before the loops
 * run. */
void running_watch(struct running *r);

#endif
