#include "net/conn_impl.h"
#include "net/connect_impl.h"

#include <stdio.h>

/* One way to the target. */
struct route {
    char host[HOST_SIZE], via_host[HOST_SIZE]; /* without the dot that may end a name */
    struct url via;
    bool tunnelled;
};

static int put_host(char out[HOST_SIZE], struct str host, const struct connect_target *target, struct err *e)
{
    if (str_ends(host, STR(".")))
        host.n--;
    if (host.n == 0 || host.n >= HOST_SIZE || str_find_char(host, 0) >= 0)
        return err_set(e, ERR_UPSTREAM_UNREACHABLE, "%s cannot be reached: its name is not valid", target->name);
    str_copy(out, HOST_SIZE, host);
    return 0;
}

static int choose_route(struct route *route, const struct connect_target *target, struct err *e)
{
    if (put_host(route->host, target->host, target, e) < 0)
        return -1;
    route->tunnelled = target->proxy && *target->proxy && !proxy_excepts(target->no_proxy, route->host);
    if (!route->tunnelled)
        return 0;
    if (proxy_parse(&route->via, target->proxy, target->name, e) < 0)
        return -1;
    return put_host(route->via_host, route->via.host, target, e);
}

static struct dialed *reach(const struct route *route, const struct connect_target *target, struct err *e)
{
    char who[128];
    if (!route->tunnelled)
        return dial(route->host, target->port, target->name, e);
    snprintf(who, sizeof who, "The proxy for %s", target->name);
    struct dialed *d = dial(route->via_host, route->via.port, who, e);
    return d && tunnel_open(d, &route->via, target, e) < 0 ? dialed_drop(d) : d;
}

static int tls_failed(const struct conn_tls *t, const struct connect_target *target, struct err *e)
{
    if (t && tls_distrusts(t))
        return err_set(e, ERR_UPSTREAM_UNREACHABLE, "The certificate of %s cannot be verified", target->name);
    return err_set(e, ERR_UPSTREAM_UNREACHABLE, "%s cannot be reached: the TLS handshake failed", target->name);
}

/* NULL with *e; the socket stays the caller's. */
static struct conn_tls *shake_hands(struct dialed *d, const char *host, const struct connect_target *target,
                                    struct err *e)
{
    struct conn_tls *t = tls_connect(target->tls, d->fd, host, target->port);
    int got = t ? 0 : TLS_FAILED, waited = 0;
    while (got <= 0 && got != TLS_FAILED && waited == 0) {
        got = tls_handshake(t);
        if (got == TLS_WANT_READ || got == TLS_WANT_WRITE)
            waited = dialed_wait(d, got == TLS_WANT_READ ? UV_READABLE : UV_WRITABLE, e);
    }
    if (got == 1)
        return t;
    if (waited == 0)
        tls_failed(t, target, e);
    return tls_drop(t);
}

static int establish(struct conn *c, const struct connect_target *target, const struct conn_ops *ops, struct err *e)
{
    struct route route = {0};
    struct conn_tls *tls = NULL;
    if (choose_route(&route, target, e) < 0)
        return -1;
    struct dialed *d = reach(&route, target, e);
    if (!d)
        return -1;
    if (target->tls && !(tls = shake_hands(d, route.host, target, e))) {
        dialed_drop(d);
        return -1;
    }
    if (conn_begin(c, loop_self(), dialed_release(d), tls, ops) < 0)
        return err_set(e, ERR_INTERNAL_ERROR, NULL);
    return 0;
}

int conn_connect(struct conn *c, const struct connect_target *target, const struct conn_ops *ops, struct err *e)
{
    struct task_deadline deadline;
    struct err why = {0};
    if (target->timeout)
        task_deadline_begin(&deadline, target->timeout);
    int result = establish(c, target, ops, &why);
    if (target->timeout)
        task_deadline_end(&deadline);
    if (result == 0)
        return 0;
    if (why.code == ERR_TIMEOUT)
        err_set(&why, ERR_TIMEOUT, "%s did not answer in time", target->name);
    if (e)
        *e = why;
    return -1;
}
