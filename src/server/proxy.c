#include "server/proxy.h"

#include "base/macros.h"

#include <arpa/inet.h>

static int parse_v4(const char *text, struct in6_addr *out)
{
    struct in_addr v4;
    if (inet_pton(AF_INET, text, &v4) != 1)
        return -1;
    *out = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
    memcpy(out->s6_addr + 12, &v4, sizeof v4);
    return 0;
}

int proxy_parse_address(struct str text, struct in6_addr *out)
{
    char copy[CONN_ADDRESS_MAX];
    text = str_trim(text);
    if (text.n && text.p[0] == '[') {
        ptrdiff_t close = str_find_char(text, ']');
        if (close < 0 || ((size_t)close + 1 < text.n && text.p[close + 1] != ':'))
            return -1;
        text = str_n(text.p + 1, (size_t)close - 1);
    } else {
        ptrdiff_t colon = str_find_char(text, ':');
        if (colon > 0 && str_find_char(str_from(text, (size_t)colon + 1), ':') < 0)
            text.n = (size_t)colon;
    }
    if (!text.n || text.n >= sizeof copy || memchr(text.p, 0, text.n))
        return -1;
    memcpy(copy, text.p, text.n);
    copy[text.n] = 0;
    struct in6_addr v6;
    if (parse_v4(copy, &v6) < 0 && inet_pton(AF_INET6, copy, &v6) != 1)
        return -1;
    *out = v6;
    return 0;
}

void proxy_format_address(const struct in6_addr *addr, char out[CONN_ADDRESS_MAX])
{
    bool v4 = IN6_IS_ADDR_V4MAPPED(addr);
    if (!inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? (const void *)(addr->s6_addr + 12) : addr, out, CONN_ADDRESS_MAX))
        out[0] = 0;
}

static bool is_trusted(const struct trust_proxy *trust, const struct in6_addr *addr)
{
    char text[CONN_ADDRESS_MAX];
    proxy_format_address(addr, text);
    return trust_has(trust, str_c(text));
}

/* Takes the last entry off a comma list. */
static struct str pop_last(struct str *list)
{
    size_t at = list->n;
    while (at && list->p[at - 1] != ',')
        at--;
    struct str last = str_from(*list, at);
    list->n = at ? at - 1 : 0;
    return last;
}

/* Walks the chain of X-Forwarded-For lines from the nearest proxy outwards. */
static struct in6_addr find_client(const struct trust_proxy *trust, struct in6_addr at, const struct http_head *head)
{
    unsigned hops = trust->hops;
    for (size_t i = head->nheaders; i-- > 0;) {
        if (!str_ieq(head->headers[i].name, STR("x-forwarded-for")))
            continue;
        struct str list = head->headers[i].value;
        while (list.n) {
            struct in6_addr next;
            if ((trust->hops ? hops == 0 : !is_trusted(trust, &at)) || proxy_parse_address(pop_last(&list), &next) < 0)
                return at;
            at = next;
            hops -= hops > 0;
        }
    }
    return at;
}

static struct str first_of(const struct http_head *head, struct str name)
{
    struct str rest = http_header(head, name), piece;
    return str_split(&rest, ',', &piece) ? str_trim(piece) : STR_NONE;
}

void proxy_resolve(const struct trust_proxy *trust, const struct in6_addr *peer, bool tls, const struct http_head *head,
                   struct proxy_client *out)
{
    out->addr = *peer;
    out->secure = tls;
    out->host = head ? head->host : STR_NONE;
    if (head && (trust->hops || (trust->count && is_trusted(trust, peer)))) {
        out->addr = find_client(trust, *peer, head);
        struct str proto = first_of(head, STR("x-forwarded-proto")), host = first_of(head, STR("x-forwarded-host"));
        if (proto.n)
            out->secure = str_ieq(proto, STR("https")) || str_ieq(proto, STR("wss"));
        if (host.n)
            out->host = host;
    }
    proxy_format_address(&out->addr, out->address);
}
