#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "server/server_impl.h"

#include <stdlib.h>

/* ---- Connections, counted ---- */

struct address_count {
    struct in6_addr address; /* the map's key */
    size_t n;
};

/* Behind a trusted proxy many clients share the proxy's address. */
static bool counts_by_address(const struct http_conn *hc)
{
    const struct server_loop *sl = hc->sl;
    char text[CONN_ADDRESS_MAX];
    if (!sl->config.max_connections_per_address || sl->trust.hops)
        return false;
    conn_address(&hc->conn, text);
    return !sl->trust.count || !trust_has(&sl->trust, str_c(text));
}

static bool count_address_in(struct server *s, const struct in6_addr *address, size_t max)
{
    pthread_mutex_lock(&s->lock);
    struct str key = str_n(address, sizeof *address);
    struct address_count *count = map_get(&s->addresses, key);
    if (!count) {
        count = mem_zalloc(sizeof *count);
        count->address = *address;
        map_put(&s->addresses, str_n(&count->address, sizeof count->address), count);
    }
    bool room = count->n < max;
    if (room)
        count->n++;
    pthread_mutex_unlock(&s->lock);
    return room;
}

static void count_address_out(struct server *s, const struct in6_addr *address)
{
    pthread_mutex_lock(&s->lock);
    struct str key = str_n(address, sizeof *address);
    struct address_count *count = map_get(&s->addresses, key);
    if (count && --count->n == 0) {
        map_remove(&s->addresses, key);
        free(count);
    }
    pthread_mutex_unlock(&s->lock);
}

bool server_count_in(struct http_conn *hc, const struct sockaddr_in6 *peer)
{
    struct server *s = hc->sl->server;
    const struct server_config *config = &hc->sl->config;
    metric_inc(s->http_gauge);
    size_t before = atomic_fetch_add(&s->connections, 1);
    bool room = !config->max_connections || before < config->max_connections;
    if (room && counts_by_address(hc))
        room = hc->counted = count_address_in(s, &peer->sin6_addr, config->max_connections_per_address);
    /* One that is told to go takes no place from others while it goes. */
    hc->refused = !room;
    if (hc->refused)
        atomic_fetch_sub(&s->connections, 1);
    return room;
}

void server_loop_idle(struct server_loop *sl)
{
    if (sl->draining && !sl->nconns)
        sl->access_log = access_log_writer_free(sl->access_log);
}

void server_count_out(struct http_conn *hc)
{
    struct server *s = hc->sl->server;
    if (!hc->refused)
        atomic_fetch_sub(&s->connections, 1);
    if (hc->state == HC_UPGRADED) {
        atomic_fetch_sub(&s->websockets, 1);
        metric_dec(s->ws_gauge);
    } else {
        metric_dec(s->http_gauge);
    }
    if (hc->counted)
        count_address_out(s, &hc->conn.peer.sin6_addr);
}

size_t server_connections(const struct server *s)
{
    return atomic_load(&s->connections);
}

size_t server_websockets(const struct server *s)
{
    return atomic_load(&s->websockets);
}

/* ---- Making and freeing ---- */

static double read_memory(void *arg)
{
    (void)arg;
    return (double)conn_memory();
}

static double read_bytes_in(void *arg)
{
    (void)arg;
    return (double)conn_bytes_in();
}

static double read_bytes_out(void *arg)
{
    (void)arg;
    return (double)conn_bytes_out();
}

struct server *server_new(const struct server_config *config)
{
    struct server *s = mem_zalloc(sizeof *s);
    s->config = *config;
    s->router = router_new();
    pthread_mutex_init(&s->lock, NULL);
    s->rate_limit = rate_limit_new(config->rate_limit, config->rate_window);
    s->http_gauge = metric_gauge("parley_connections", "Open connections by kind", "kind=\"http\"");
    s->ws_gauge = metric_gauge("parley_connections", "Open connections by kind", "kind=\"websocket\"");
    s->refused = metric_counter("parley_connections_refused_total", "Connections beyond a limit, answered 503", NULL);
    metric_gauge_fn("parley_connection_buffer_bytes", "Memory that input and output of connections hold", NULL,
                    read_memory, NULL);
    metric_gauge_fn("parley_network_received_bytes", "Bytes read from clients", NULL, read_bytes_in, NULL);
    metric_gauge_fn("parley_network_sent_bytes", "Bytes written to clients", NULL, read_bytes_out, NULL);
    return s;
}

struct server *server_free(struct server *s)
{
    if (!s)
        return NULL;
    for (size_t i = 0; i < s->nloops; i++) {
        struct server_loop *sl = s->loops[i];
        access_log_writer_free(sl->access_log); /* still there when the start failed */
        free(sl);
    }
    access_log_close(s->access_log);
    rate_limit_free(s->rate_limit);
    router_free(s->router);
    map_each(slot, &s->addresses)
        free(slot->value);
    map_free(&s->addresses);
    pthread_mutex_destroy(&s->lock);
    free(s);
    return NULL;
}

void server_routes(struct server *s, const struct http_route *routes, size_t n, void *ctx)
{
    for (size_t i = 0; i < n; i++)
        router_add(s->router, &routes[i], ctx);
}

void server_steer(struct server *s, int (*steer)(void *arg, const struct http_head *head), void *arg)
{
    if (s->steer)
        die("a server is steered once");
    s->steer = steer;
    s->steer_arg = arg;
}

void server_on_body(struct server *s, void (*on_body)(struct http_request *rq))
{
    if (s->on_body)
        die("a server asks one about bodies");
    s->on_body = on_body;
}

size_t server_route_count(const struct server *s)
{
    return router_count(s->router);
}

const struct http_route *server_route_at(const struct server *s, size_t i)
{
    return router_at(s->router, i);
}

/* ---- On each loop ---- */

static struct server_loop *find_loop(struct server *s, const struct loop *loop)
{
    struct server_loop *found = NULL;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->nloops && !found; i++)
        if (s->loops[i]->loop == loop)
            found = s->loops[i];
    pthread_mutex_unlock(&s->lock);
    return found;
}

/* With the first listener, so that a file that cannot be written stops the start. */
static int open_access_log(struct server *s, struct err *e)
{
    pthread_mutex_lock(&s->lock);
    bool json = s->config.access_log == ACCESS_JSON, wanted = s->config.access_log != ACCESS_OFF;
    if (wanted && !s->access_log)
        s->access_log =
            access_log_open(s->config.access_log_file, json ? ACCESS_FORMAT_JSON : ACCESS_FORMAT_COMBINED, e);
    int result = wanted && !s->access_log ? -1 : 0;
    pthread_mutex_unlock(&s->lock);
    return result;
}

static struct server_loop *add_loop(struct server *s, struct loop *loop)
{
    struct server_loop *sl = mem_zalloc(sizeof *sl);
    uint64_t random = rand_u64();
    sl->server = s;
    sl->loop = loop;
    list_init(&sl->conns);
    hex_encode(sl->id_prefix, &random, 4);
    if (s->access_log)
        sl->access_log = access_log_writer_new(s->access_log, loop);
    pthread_mutex_lock(&s->lock);
    if (s->nloops == SERVER_LOOPS)
        die("more than %d loops", SERVER_LOOPS);
    sl->config = s->config;
    s->loops[s->nloops++] = sl;
    pthread_mutex_unlock(&s->lock);
    filters_configure(sl);
    return sl;
}

static void on_accept(void *arg, int fd, const struct sockaddr_in6 *peer)
{
    http_conn_open(arg, fd, peer);
}

int server_listen(struct server *s, struct loop *loop, const char *host, uint16_t *port, struct tls_context *tls,
                  struct err *e)
{
    if (open_access_log(s, e) < 0)
        return -1;
    struct server_loop *sl = find_loop(s, loop);
    if (!sl)
        sl = add_loop(s, loop);
    if (sl->nports == SERVER_PORTS)
        return err_set(e, ERR_NOT_CONFIGURED, "More than %d ports", SERVER_PORTS);
    struct server_port *slot = &sl->ports[sl->nports];
    *slot = (struct server_port){.sl = sl, .tls = tls};
    slot->listener = listener_open(loop, host, *port, on_accept, slot, e);
    if (!slot->listener)
        return -1;
    *port = listener_port(slot->listener);
    sl->nports++;
    return 0;
}

static struct server_loop *find_index(struct server *s, unsigned index)
{
    struct server_loop *found = NULL;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->nloops && !found; i++)
        if (loop_index(s->loops[i]->loop) == index)
            found = s->loops[i];
    pthread_mutex_unlock(&s->lock);
    return found;
}

struct server_loop *server_steered(struct server_loop *sl, const struct http_head *head)
{
    struct server *s = sl->server;
    if (sl->draining || atomic_load_explicit(&s->nloops, memory_order_relaxed) < 2)
        return NULL;
    int index = s->steer(s->steer_arg, head);
    if (index < 0 || (unsigned)index == loop_index(sl->loop))
        return NULL;
    struct server_loop *to = find_index(s, (unsigned)index);
    if (!to)
        return NULL;
    /* Either it sees that one more comes before it calls itself idle, or we see that it drains. */
    atomic_fetch_add(&to->arriving, 1);
    if (!atomic_load(&to->draining))
        return to;
    atomic_fetch_sub(&to->arriving, 1);
    return NULL;
}

struct reconfigure {
    struct server_loop *sl;
    struct server_config config;
};

static void apply_config(void *arg)
{
    struct reconfigure *change = arg;
    change->sl->config = change->config;
    filters_configure(change->sl);
    free(change);
}

void server_reconfigure(struct server *s, const struct server_config *config)
{
    rate_limit_set(s->rate_limit, config->rate_limit, config->rate_window);
    pthread_mutex_lock(&s->lock);
    s->config = *config;
    for (size_t i = 0; i < s->nloops; i++) {
        struct reconfigure *change = mem_alloc(sizeof *change);
        *change = (struct reconfigure){s->loops[i], *config};
        loop_post(s->loops[i]->loop, apply_config, change);
    }
    pthread_mutex_unlock(&s->lock);
    struct err e;
    if (s->access_log && access_log_reopen(s->access_log, &e) < 0)
        log_error("server", "access_log", F_ERR(&e));
}

void server_drain(struct server *s, struct loop *loop)
{
    struct server_loop *sl = find_loop(s, loop);
    if (!sl)
        return;
    sl->draining = true;
    for (size_t i = 0; i < sl->nports; i++)
        sl->ports[i].listener = listener_close(sl->ports[i].listener);
    list_each_safe(it, &sl->conns)
        http_conn_drain(container_of(it, struct http_conn, link));
    server_loop_idle(sl);
}

bool server_idle(struct server *s, struct loop *loop)
{
    const struct server_loop *sl = find_loop(s, loop);
    return !sl || (sl->nconns == 0 && atomic_load(&sl->arriving) == 0);
}

void server_abort(struct server *s, struct loop *loop)
{
    struct server_loop *sl = find_loop(s, loop);
    server_drain(s, loop);
    if (!sl)
        return;
    list_each_safe(it, &sl->conns)
        conn_close(&container_of(it, struct http_conn, link)->conn);
}
