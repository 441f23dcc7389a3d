#include "net/connect_impl.h"

#include "wire/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>

/* ---- Who needs no proxy ---- */

/* Whether the first bits of two addresses are the same. */
static bool same_network(const uint8_t *a, const uint8_t *b, size_t bits)
{
    size_t bytes = bits / 8, rest = bits % 8;
    if (memcmp(a, b, bytes) != 0)
        return false;
    return rest == 0 || ((a[bytes] ^ b[bytes]) >> (8 - rest)) == 0;
}

/* "10.0.0.0/8", "::1", also in brackets */
static bool network_has(struct str network, int family, const uint8_t *address)
{
    uint8_t bytes[sizeof(struct in6_addr)];
    char text[INET6_ADDRSTRLEN];
    uint64_t bits = family == AF_INET ? 32 : 128, longest = bits;
    ptrdiff_t slash = str_find_char(network, '/');
    if (slash >= 0 && (str_u64(str_from(network, (size_t)slash + 1), &bits) < 0 || bits > longest))
        return false;
    struct str plain = {network.p, slash < 0 ? network.n : (size_t)slash};
    if (plain.n > 2 && plain.p[0] == '[' && plain.p[plain.n - 1] == ']')
        plain = (struct str){plain.p + 1, plain.n - 2};
    if (plain.n >= sizeof text)
        return false;
    str_copy(text, sizeof text, plain);
    return inet_pton(family, text, bytes) == 1 && same_network(bytes, address, (size_t)bits);
}

static struct str without_dots(struct str name)
{
    if (str_ends(name, STR(".")))
        name.n--;
    return str_starts(name, STR(".")) ? str_from(name, 1) : name;
}

/* "example.com" is itself and everything that ends in ".example.com". */
static bool domain_has(struct str domain, struct str host)
{
    domain = without_dots(domain);
    if (domain.n == 0 || host.n < domain.n || !str_ieq(str_from(host, host.n - domain.n), domain))
        return false;
    return host.n == domain.n || host.p[host.n - domain.n - 1] == '.';
}

bool proxy_excepts(const char *no_proxy, const char *host)
{
    struct str rest = str_c(no_proxy);
    uint8_t address[sizeof(struct in6_addr)];
    int family = inet_pton(AF_INET, host, address) == 1    ? AF_INET
                 : inet_pton(AF_INET6, host, address) == 1 ? AF_INET6
                                                           : AF_UNSPEC;
    if (str_eq(rest, STR("*")))
        return true;
    while (rest.n) {
        size_t n = 0;
        while (n < rest.n && rest.p[n] != ',' && rest.p[n] != ' ')
            n++;
        struct str entry = {rest.p, n};
        rest = str_from(rest, MIN(n + 1, rest.n));
        if (family == AF_UNSPEC ? domain_has(entry, without_dots(str_c(host))) : network_has(entry, family, address))
            return true;
    }
    return false;
}

/* ---- Through the proxy ---- */

int proxy_parse(struct url *out, const char *proxy, const char *name, struct err *e)
{
    if (url_split(out, str_c(proxy)) < 0)
        return err_set(e, ERR_NOT_CONFIGURED, "The proxy for %s has no valid URL", name);
    if (out->scheme.n && !str_ieq(out->scheme, STR("http")))
        return err_set(e, ERR_NOT_CONFIGURED, "A connection to %s needs a proxy with an http URL", name);
    out->port = out->port ? out->port : 1080;
    return 0;
}

static int broken(struct err *e, const struct connect_target *target)
{
    return err_set(e, ERR_UPSTREAM_UNREACHABLE, "%s cannot be reached: the proxy closed the connection", target->name);
}

static int send_all(struct dialed *d, struct str bytes, const struct connect_target *target, struct err *e)
{
    while (bytes.n) {
        ssize_t n = send(d->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
        if (n > 0)
            bytes = str_from(bytes, (size_t)n);
        else if (errno != EAGAIN && errno != EINTR)
            return broken(e, target);
        else if (errno == EAGAIN && dialed_wait(d, UV_WRITABLE, e) < 0)
            return -1;
    }
    return 0;
}

static int put_request(struct buf *out, const struct url *proxy, const struct connect_target *target)
{
    bool ipv6 = str_find_char(target->host, ':') >= 0;
    struct buf place = BUF_INIT(KIB(1));
    buf_addf(&place, ipv6 ? "[%.*s]:%u" : "%.*s:%u", STR_ARG(target->host), target->port);
    buf_addf(out, "CONNECT %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: parley\r\n", buf_cstr(&place), buf_cstr(&place));
    buf_free(&place);
    if (proxy->user.p) {
        buf_lit(out, "Proxy-Authorization: ");
        if (url_basic_auth(out, proxy->user) < 0)
            return -1;
        buf_lit(out, "\r\n");
    }
    return buf_lit(out, "\r\n");
}

/* Whether the head at the start of `in` opens the tunnel: 1; 0 when more of it is to come; -1. */
static int judge(struct buf *in, const struct connect_target *target, struct err *e)
{
    struct http_reply_head head;
    ptrdiff_t n = http_reply_head_parse(&head, buf_str(in), NULL);
    if (n < 0)
        return err_set(e, ERR_UPSTREAM_UNREACHABLE, "%s cannot be reached: the proxy does not speak HTTP",
                       target->name);
    if (n == 0)
        return 0;
    buf_consume(in, (size_t)n);
    if (head.status < 200)
        return 0;
    if (head.status >= 300)
        return err_set(e, ERR_UPSTREAM_UNREACHABLE, "%s cannot be reached: the proxy refused with status %d",
                       target->name, head.status);
    /* We speak first, whatever goes through: these bytes are not from the target. */
    if (in->len)
        return err_set(e, ERR_UPSTREAM_UNREACHABLE, "%s cannot be reached: the proxy sent more than its reply",
                       target->name);
    return 1;
}

static int read_reply(struct dialed *d, const struct connect_target *target, struct err *e)
{
    struct buf in = BUF_INIT(LIMIT_HTTP_HEAD + KIB(4));
    int got = 0;
    while (got == 0) {
        char *to = buf_reserve(&in, KIB(4));
        ssize_t n = to ? recv(d->fd, to, KIB(4), 0) : 0;
        if (n > 0) {
            buf_commit(&in, (size_t)n);
            while ((got = judge(&in, target, e)) == 0 && str_find(buf_str(&in), STR("\r\n\r\n")) >= 0)
                ;
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            got = broken(e, target);
        } else if (errno == EAGAIN && dialed_wait(d, UV_READABLE, e) < 0) {
            got = -1;
        }
    }
    buf_free(&in);
    return got < 0 ? -1 : 0;
}

int tunnel_open(struct dialed *d, const struct url *proxy, const struct connect_target *target, struct err *e)
{
    struct buf request = BUF_INIT(KIB(8));
    int result = put_request(&request, proxy, target);
    if (result < 0)
        err_set(e, ERR_NOT_CONFIGURED, "The proxy for %s has no valid URL", target->name);
    else
        result = send_all(d, buf_str(&request), target, e);
    buf_free(&request);
    return result < 0 ? -1 : read_reply(d, target, e);
}
