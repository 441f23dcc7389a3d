#include "config/trust.h"

#include "base/macros.h"

#include <arpa/inet.h>

#define TRUST_HOPS_MAX     16
#define TRUST_NETWORKS_MAX 64

static const struct {
    const char *name;
    const char *networks[4];
} named[] = {
    {"loopback", {"127.0.0.0/8", "::1"}},
    {"linklocal", {"169.254.0.0/16", "fe80::/10"}},
    {"uniquelocal", {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"}},
};

/* Bits of the address itself (32 or 128), 0 when it is none. */
static unsigned parse_address(struct str text, unsigned char addr[16])
{
    static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    char copy[INET6_ADDRSTRLEN];
    if (text.n == 0 || text.n >= sizeof(copy))
        return 0;
    str_copy(copy, sizeof(copy), text);
    if (inet_pton(AF_INET, copy, addr + 12) == 1) {
        memcpy(addr, mapped, sizeof(mapped));
        return 32;
    }
    return inet_pton(AF_INET6, copy, addr) == 1 ? 128 : 0;
}

static int parse_network(struct str text, struct trust_network *out)
{
    ptrdiff_t slash = str_find_char(text, '/');
    struct str address = slash < 0 ? text : str_n(text.p, (size_t)slash);
    unsigned width = parse_address(address, out->addr);
    uint64_t bits = width;
    if (!width || (slash >= 0 && str_u64(str_from(text, (size_t)slash + 1), &bits) < 0) || bits > width)
        return -1;
    out->bits = (unsigned)bits + 128 - width;
    return 0;
}

static int wrong(struct err *e)
{
    return err_set(e, ERR_INVALID_REQUEST, "no network list");
}

static int add_piece(struct trust_network *networks, size_t *count, struct str piece)
{
    for (size_t i = 0; i < COUNT(named); i++) {
        if (!str_ieq(piece, str_c(named[i].name)))
            continue;
        for (size_t k = 0; k < COUNT(named[i].networks) && named[i].networks[k]; k++)
            if (*count == TRUST_NETWORKS_MAX || parse_network(str_c(named[i].networks[k]), &networks[(*count)++]) < 0)
                return -1;
        return 0;
    }
    return *count == TRUST_NETWORKS_MAX ? -1 : parse_network(piece, &networks[(*count)++]);
}

int trust_parse(struct arena *a, struct str text, struct trust_proxy *out, struct err *e)
{
    uint64_t hops;
    if (str_ieq(text, STR("false")) || str_ieq(text, STR("off")) || str_ieq(text, STR("no"))) {
        *out = (struct trust_proxy){0};
        return 0;
    }
    if (str_u64(text, &hops) == 0) {
        if (hops > TRUST_HOPS_MAX)
            return wrong(e);
        *out = (struct trust_proxy){.hops = (unsigned)hops};
        return 0;
    }
    struct trust_network networks[TRUST_NETWORKS_MAX];
    struct str piece;
    size_t count = 0;
    while (str_split(&text, ',', &piece))
        if (add_piece(networks, &count, str_trim(piece)) < 0)
            return wrong(e);
    if (!count)
        return wrong(e);
    *out = (struct trust_proxy){.networks = arena_alloc(a, count * sizeof(*networks)), .count = count};
    memcpy(out->networks, networks, count * sizeof(*networks));
    return 0;
}

static bool covers(const struct trust_network *net, const unsigned char addr[16])
{
    size_t whole = net->bits / 8;
    unsigned rest = net->bits % 8;
    if (memcmp(net->addr, addr, whole) != 0)
        return false;
    return rest == 0 || ((net->addr[whole] ^ addr[whole]) >> (8 - rest)) == 0;
}

bool trust_has(const struct trust_proxy *trust, struct str address)
{
    unsigned char addr[16];
    if (!parse_address(address, addr))
        return false;
    for (size_t i = 0; i < trust->count; i++)
        if (covers(&trust->networks[i], addr))
            return true;
    return false;
}

bool address_is_loopback(struct str address)
{
    struct trust_network networks[2];
    for (size_t i = 0; i < COUNT(networks); i++)
        if (parse_network(str_c(named[0].networks[i]), &networks[i]) < 0)
            return false;
    return str_ieq(address, STR("localhost")) ||
           trust_has(&(struct trust_proxy){.networks = networks, .count = COUNT(networks)}, address);
}
