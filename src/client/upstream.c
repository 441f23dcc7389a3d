#include "client/upstream_impl.h"

#include "base/log.h"
#include "base/mem.h"
#include "client/multi.h"
#include "loop/task.h"
#include "net/tls.h"

#include <openssl/ssl.h>
#include <stdlib.h>

#define RETRY_AFTER_BUSY_MS 1000

static const char *const outcome_names[OUTCOMES] = {"ok",      "refused",   "failed",    "unreachable",
                                                    "timeout", "cancelled", "overloaded"};

static char *copy(const char *text)
{
    return text ? str_dup(str_c(text)) : NULL;
}

static void register_metrics(struct upstream *u)
{
    struct buf labels = BUF_INIT(512);
    for (int i = 0; i < OUTCOMES; i++) {
        buf_clear(&labels);
        metric_label(&labels, "upstream", str_c(u->config.name));
        metric_label(&labels, "outcome", str_c(outcome_names[i]));
        u->calls[i] =
            metric_counter("parley_upstream_calls_total", "Calls to upstream services by outcome", buf_cstr(&labels));
    }
    buf_clear(&labels);
    metric_label(&labels, "upstream", str_c(u->config.name));
    const char *label = buf_cstr(&labels);
    u->first_byte = metric_histogram("parley_upstream_first_byte_seconds", "Time until an upstream's reply began",
                                     label, metric_seconds, COUNT(metric_seconds), 1e-9);
    u->in_flight = metric_gauge("parley_upstream_in_flight", "Calls to upstream services under way", label);
    u->waiting = metric_gauge("parley_upstream_waiting", "Calls waiting for a place at an upstream service", label);
    u->retries = metric_counter("parley_upstream_retries_total", "Calls to upstream services tried again", label);
    u->cut = metric_counter("parley_upstream_cut_total", "Replies of upstream services that broke off", label);
    u->breakers_open =
        metric_gauge("parley_upstream_breakers_open", "Loops whose breaker refuses calls to the service", label);
    u->websockets = metric_gauge("parley_upstream_websockets", "Open WebSockets to upstream services", label);
    buf_free(&labels);
}

/* Built once per upstream and shared by its connections: libcurl by itself reads the whole bundle for each new one.
 * OpenSSL's default directory is looked into by need, so this costs nothing at start. */
static X509_STORE *make_trust(const struct upstream_config *config)
{
    X509_STORE *store = X509_STORE_new();
    if (!store)
        die("cannot make a certificate store");
    X509_STORE_set_default_paths(store);
    X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
    if (config->ca_file && X509_STORE_load_file(store, config->ca_file) != 1)
        log_error("client", "ca_file_unusable", F_C("upstream", config->name), F_C("file", config->ca_file));
    return store;
}

struct upstream *upstream_new(const struct upstream_config *config)
{
    static _Atomic unsigned next_id;
    struct upstream *u = mem_zalloc(sizeof *u);
    u->config = *config;
    u->config.name = copy(config->name);
    struct str base = str_c(config->base_url);
    while (str_ends(base, STR("/")))
        base.n--;
    u->config.base_url = str_dup(base);
    u->config.ca_file = copy(config->ca_file);
    u->config.proxy = copy(config->proxy);
    u->config.no_proxy = copy(config->no_proxy);
    u->id = next_id++;
    if (str_starts(base, STR("https:")) || (config->proxy && str_starts(str_c(config->proxy), STR("https:"))))
        u->trust = make_trust(&u->config);
    pthread_mutex_init(&u->tls_lock, NULL);
    register_metrics(u);
    return u;
}

struct upstream *upstream_free(struct upstream *u)
{
    if (!u)
        return NULL;
    X509_STORE_free(u->trust);
    tls_client_free(u->tls);
    pthread_mutex_destroy(&u->tls_lock);
    free((char *)u->config.name);
    free((char *)u->config.base_url);
    free((char *)u->config.ca_file);
    free((char *)u->config.proxy);
    free((char *)u->config.no_proxy);
    free(u);
    return NULL;
}

struct tls_client *upstream_tls(struct upstream *u)
{
    struct err e;
    pthread_mutex_lock(&u->tls_lock);
    if (!u->tls && !(u->tls = tls_client_new(u->config.ca_file, &e)))
        log_error("client", "ca_file_unusable", F_C("upstream", u->config.name), F_ERR(&e));
    struct tls_client *tls = u->tls;
    pthread_mutex_unlock(&u->tls_lock);
    return tls;
}

const char *upstream_name(const struct upstream *u)
{
    return u->config.name;
}

const char *upstream_base_url(const struct upstream *u)
{
    return u->config.base_url;
}

bool upstream_ready(struct upstream *u)
{
    return breaker_ready(&upstream_local(u)->breaker, loop_now_ms(loop_self()));
}

int upstream_refuse(struct upstream_local *local, struct err *e)
{
    err_set(e, ERR_OVERLOADED, "%s is not available. Please try again.", upstream_name(local->upstream));
    if (e)
        e->retry_after_ms = (int)breaker_wait_ms(&local->breaker, loop_now_ms(loop_self()));
    return -1;
}

enum outcome upstream_outcome(const struct err *e)
{
    if (e->code == ERR_CANCELLED)
        return OUTCOME_CANCELLED;
    if (e->code == ERR_TIMEOUT)
        return OUTCOME_TIMEOUT;
    return e->code == ERR_OVERLOADED ? OUTCOME_OVERLOADED : OUTCOME_UNREACHABLE;
}

static void breaker_changed(struct breaker *b, enum breaker_state next)
{
    static const char *const names[] = {"closed", "open", "half_open"};
    struct upstream *u = container_of(b, struct upstream_local, breaker)->upstream;
    log_info("client", "breaker", F_C("upstream", u->config.name), F_C("from", names[b->state]), F_C("to", names[next]),
             F_INT("failures", b->failures));
    if (b->state == BREAKER_CLOSED)
        metric_inc(u->breakers_open);
    else if (next == BREAKER_CLOSED)
        metric_dec(u->breakers_open);
}

static struct upstream_local *make_local(struct upstream *u)
{
    struct upstream_local *local = mem_zalloc(sizeof *local);
    local->upstream = u;
    local->breaker = (struct breaker){
        .limit = u->config.breaker_failures, .open_ms = u->config.breaker_open, .changed = breaker_changed};
    list_init(&local->line);
    return local;
}

struct upstream_local *upstream_local(struct upstream *u)
{
    return multi_local(u->id, make_local, u);
}

void upstream_local_free(struct upstream_local *local)
{
    if (!local)
        return;
    if (local->breaker.state != BREAKER_CLOSED)
        metric_dec(local->upstream->breakers_open);
    while (local->nidle)
        curl_easy_cleanup(local->idle[--local->nidle]);
    free(local);
}

/* A place is handed from the call that ends to the first in line, so nobody can slip in between. */
struct place_waiter {
    struct list link;
    struct task *task;
    bool granted;
};

static int wait_in_line(struct upstream_local *local, struct err *e)
{
    const struct upstream_config *config = &local->upstream->config;
    struct place_waiter waiter = {.task = task_self()};
    struct task_deadline deadline;
    int result = 0;
    list_push_back(&local->line, &waiter.link);
    local->waiting++;
    metric_inc(local->upstream->waiting);
    if (config->queue_timeout)
        task_deadline_begin(&deadline, config->queue_timeout);
    while (!waiter.granted && result == 0)
        result = task_park(e);
    bool late = config->queue_timeout && deadline.passed;
    if (config->queue_timeout)
        task_deadline_end(&deadline);
    metric_dec(local->upstream->waiting);
    local->waiting--;
    list_remove(&waiter.link);
    if (waiter.granted && result < 0 && !(late && !task_cancelled()))
        upstream_leave(local);
    else if (waiter.granted)
        return 0;
    if (late && !task_cancelled() && e) {
        err_set(e, ERR_OVERLOADED, "%s is busy. Please try again.", config->name);
        e->retry_after_ms = RETRY_AFTER_BUSY_MS;
    }
    return -1;
}

int upstream_enter(struct upstream_local *local, struct err *e)
{
    struct upstream *u = local->upstream;
    unsigned limit = u->config.concurrency;
    if (!limit || local->running < limit) {
        local->running++;
        metric_inc(u->in_flight);
        return 0;
    }
    if (local->waiting >= u->config.queue) {
        err_set(e, ERR_OVERLOADED, "%s is busy. Please try again.", u->config.name);
        if (e)
            e->retry_after_ms = RETRY_AFTER_BUSY_MS;
        return -1;
    }
    return wait_in_line(local, e);
}

void upstream_leave(struct upstream_local *local)
{
    struct list *first = list_pop_front(&local->line);
    if (first) {
        struct place_waiter *waiter = container_of(first, struct place_waiter, link);
        waiter->granted = true;
        task_wake(waiter->task);
        return;
    }
    local->running--;
    metric_dec(local->upstream->in_flight);
}

static CURLcode use_trust(CURL *easy, void *ssl_ctx, void *arg)
{
    const struct upstream *u = arg;
    (void)easy;
    if (u->trust)
        SSL_CTX_set1_cert_store(ssl_ctx, u->trust);
    return CURLE_OK;
}

static void set_tls_options(CURL *easy, const struct upstream *u)
{
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    /* The trust store is ours (use_trust). The file is named all the same, because libcurl shares connections only
     * between transfers with the same one: an upstream never rides on a connection that another's CA vouched for. */
    curl_easy_setopt(easy, CURLOPT_CAINFO, u->config.ca_file);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, use_trust);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, (void *)u);
}

static CURL *make_easy(const struct upstream *u)
{
    CURL *easy = curl_easy_init();
    if (!easy)
        die("cannot make a libcurl handle");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                     (long)(u->config.http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
    /* Calls that come together share the connection that the first one opens. Not without TLS: libcurl would hold them
     * back until the first reply tells it that the upstream speaks HTTP/1.1. */
    bool tls = str_starts(str_c(upstream_base_url(u)), STR("https:"));
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, u->config.http2 && tls ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)u->config.connect_timeout);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 16384L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "parley");
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    /* A cancelled call must not wait for its name lookup. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    /* Set even when empty: libcurl would ask the environment otherwise. */
    curl_easy_setopt(easy, CURLOPT_PROXY, u->config.proxy ? u->config.proxy : "");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, u->config.no_proxy ? u->config.no_proxy : "");
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, fetch_on_body);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, fetch_on_header);
    set_tls_options(easy, u);
    return easy;
}

CURL *upstream_easy(struct upstream_local *local)
{
    return local->nidle ? local->idle[--local->nidle] : make_easy(local->upstream);
}

void upstream_easy_return(struct upstream_local *local, CURL *easy)
{
    if (local->nidle < COUNT(local->idle))
        local->idle[local->nidle++] = easy;
    else
        curl_easy_cleanup(easy);
}
