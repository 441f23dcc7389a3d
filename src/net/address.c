#include "net/conn_impl.h"

#include <arpa/inet.h>

void address_map(struct sockaddr_in6 *out, const struct sockaddr_storage *from)
{
    *out = (struct sockaddr_in6){.sin6_family = AF_INET6};
    if (from->ss_family == AF_INET6) {
        memcpy(out, from, sizeof *out);
    } else if (from->ss_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, from, sizeof v4);
        out->sin6_port = v4.sin_port;
        out->sin6_addr.s6_addr[10] = out->sin6_addr.s6_addr[11] = 0xFF;
        memcpy(out->sin6_addr.s6_addr + 12, &v4.sin_addr, 4);
    }
}

static char *put_byte(char *at, unsigned value)
{
    if (value >= 100)
        *at++ = (char)('0' + value / 100);
    if (value >= 10)
        *at++ = (char)('0' + value / 10 % 10);
    *at++ = (char)('0' + value % 10);
    return at;
}

void conn_address(const struct conn *c, char out[CONN_ADDRESS_MAX])
{
    const uint8_t *bytes = c->peer.sin6_addr.s6_addr;
    if (!IN6_IS_ADDR_V4MAPPED(&c->peer.sin6_addr)) {
        if (!inet_ntop(AF_INET6, bytes, out, CONN_ADDRESS_MAX))
            out[0] = 0;
        return;
    }
    /* On the path of every request, where inet_ntop's snprintf would show. */
    for (int i = 12; i < 16; i++) {
        out = put_byte(out, bytes[i]);
        *out++ = i < 15 ? '.' : 0;
    }
}
