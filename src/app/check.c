#include "app/check.h"

#include "app/drivers.h"
#include "auth/secret.h"
#include "base/arena.h"
#include "client/upstream.h"
#include "loop/task.h"

#include <stdio.h>

struct checking {
    struct config *cfg;
    struct loop *loop;
    struct llm *llm;
    bool failed;
};

static void report(struct checking *c, const char *what, const char *problem)
{
    printf("%-10s %s\n", what, problem ? problem : "ok");
    c->failed |= problem != NULL;
}

static void check_store(struct checking *c)
{
    struct store *store = NULL;
    struct store_report found;
    struct err e;
    if (drivers_open_store(c->cfg, &store, &e) < 0) {
        report(c, "store", e.text);
        return;
    }
    struct arena *arena = arena_new("check");
    if (store_check(store, arena, &found, &e) < 0)
        report(c, "store", e.text);
    else
        report(c, "store", found.ok ? NULL : found.detail.p);
    arena_free(arena);
    store_close(store);
}

static void check_model(void *arg)
{
    struct checking *c = arg;
    struct err e;
    if (drivers_open_model(c->cfg, &c->llm, &e) < 0)
        report(c, "model", e.text);
    else if (!c->llm)
        printf("%-10s none configured: the embedded responder answers\n", "model");
    else
        report(c, llm_name(c->llm), llm_ping(c->llm, &e) < 0 ? e.text : NULL);
    loop_stop(c->loop);
}

static void start_model_check(void *arg)
{
    task_spawn("check", check_model, arg);
}

static void check_production(struct checking *c)
{
    struct buf errors = BUF_INIT(KIB(64)), warnings = BUF_INIT(KIB(64));
    if (config_production_check(c->cfg, jwt_secret_problem, &errors, &warnings) < 0)
        c->failed = true;
    for (size_t i = 0; i < c->cfg->warnings.count; i++)
        printf("warning: %s\n", c->cfg->warnings.items[i]);
    printf("%s%s", warnings.len ? buf_cstr(&warnings) : "", errors.len ? buf_cstr(&errors) : "");
    buf_free(&errors);
    buf_free(&warnings);
}

int check(struct config *cfg)
{
    struct checking c = {.cfg = cfg};
    struct buf out = BUF_INIT(MIB(1));
    config_print(&out, cfg);
    fwrite(buf_str(&out).p, 1, out.len, stdout);
    buf_free(&out);
    log_setup(LOG_ERROR, cfg->log_format);
    check_production(&c);
    c.loop = loop_new(0);
    check_store(&c);
    loop_post(c.loop, start_model_check, &c);
    loop_run(c.loop);
    client_thread_end();
    loop_free(c.loop);
    llm_free(c.llm);
    config_free(cfg);
    return c.failed ? 1 : 0;
}

int check_markdown(void)
{
    struct buf out = BUF_INIT(MIB(1));
    config_markdown(&out);
    fwrite(buf_str(&out).p, 1, out.len, stdout);
    buf_free(&out);
    return 0;
}
