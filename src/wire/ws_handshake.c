#include "wire/ws.h"

#include "wire/base64.h"

#include <openssl/evp.h>
#include <stdatomic.h>

/* Looked up once: EVP_sha1() has the library look for an implementation on every use. */
static const EVP_MD *sha1(void)
{
    static _Atomic(EVP_MD *) found;
    EVP_MD *md = atomic_load_explicit(&found, memory_order_acquire);
    if (md)
        return md;
    EVP_MD *mine = EVP_MD_fetch(NULL, "SHA1", NULL);
    if (atomic_compare_exchange_strong(&found, &md, mine))
        return mine;
    EVP_MD_free(mine);
    return md;
}

int ws_accept(char out[29], struct str key)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[24 + sizeof guid];
    uint8_t digest[20];
    struct buf bytes = BUF_INIT(16), accept = BUF_INIT(28);
    if (key.n != 24 || !str_ends(key, STR("==")) || base64_decode(&bytes, key) < 0) {
        buf_free(&bytes);
        return -1;
    }
    buf_free(&bytes);
    memcpy(text, key.p, 24);
    memcpy(text + 24, guid, sizeof guid);
    if (!EVP_Digest(text, 24 + sizeof guid - 1, digest, NULL, sha1(), NULL))
        return -1;
    base64_put(&accept, str_n(digest, sizeof digest), false);
    str_copy(out, 29, buf_str(&accept));
    buf_free(&accept);
    return 0;
}

#define WINDOW_BITS 15 /* when nothing else was agreed */

/* Parameters of one permessage-deflate offer or answer. */
struct extension {
    struct ws_deflate_params params;
    bool server_bits, client_bits; /* named */
};

/* 8..15 without leading zero, with or without quotes; -1 for anything else. */
static int window_bits(struct str value)
{
    uint64_t bits;
    if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
        value = str_n(value.p + 1, value.n - 2);
    if (value.n == 0 || value.p[0] == '0' || str_u64(value, &bits) < 0 || bits < 8 || bits > 15)
        return -1;
    return (int)bits;
}

static int set_flag(bool *flag, bool has_value)
{
    if (*flag || has_value)
        return -1;
    *flag = true;
    return 0;
}

static int set_bits(int *bits, bool *named, struct str value)
{
    if (*named || (*bits = window_bits(value)) < 0)
        return -1;
    *named = true;
    return 0;
}

static int parameter(struct extension *x, struct str text, bool offer)
{
    ptrdiff_t eq = str_find_char(text, '=');
    struct str name = str_trim(eq < 0 ? text : str_n(text.p, (size_t)eq));
    struct str value = eq < 0 ? STR_NONE : str_trim(str_from(text, (size_t)eq + 1));
    if (str_ieq(name, STR("server_no_context_takeover")))
        return set_flag(&x->params.server_no_context_takeover, eq >= 0);
    if (str_ieq(name, STR("client_no_context_takeover")))
        return set_flag(&x->params.client_no_context_takeover, eq >= 0);
    if (str_ieq(name, STR("server_max_window_bits")))
        return set_bits(&x->params.server_max_window_bits, &x->server_bits, value);
    if (!str_ieq(name, STR("client_max_window_bits")))
        return -1;
    /* In an offer the value may be left out: "I can be told". */
    if (offer && eq < 0)
        return set_flag(&x->client_bits, false);
    return set_bits(&x->params.client_max_window_bits, &x->client_bits, value);
}

/* One element of the list: 0, or -1 when it is another extension or has parameters that are wrong. */
static int parse_extension(struct extension *x, struct str text, bool offer)
{
    struct str piece;
    *x = (struct extension){.params = {.server_max_window_bits = WINDOW_BITS, .client_max_window_bits = WINDOW_BITS}};
    if (!str_split(&text, ';', &piece) || !str_ieq(str_trim(piece), STR("permessage-deflate")))
        return -1;
    while (str_split(&text, ';', &piece))
        if (parameter(x, piece, offer) < 0)
            return -1;
    return 0;
}

static int put_answer(const struct extension *x, struct buf *out)
{
    size_t before = out->len;
    if (buf_lit(out, "permessage-deflate") == 0 &&
        (!x->params.server_no_context_takeover || buf_lit(out, "; server_no_context_takeover") == 0) &&
        (!x->params.client_no_context_takeover || buf_lit(out, "; client_no_context_takeover") == 0) &&
        (!x->server_bits || buf_addf(out, "; server_max_window_bits=%d", x->params.server_max_window_bits) == 0))
        return 1;
    out->len = before;
    return 0;
}

int ws_deflate_accept(struct str offers, bool context, struct ws_deflate_params *params, struct buf *out)
{
    struct str piece;
    while (str_split(&offers, ',', &piece)) {
        struct extension x;
        /* zlib cannot compress with a window of 8 bits. Windows of the client are left to it: ours to read is 15. */
        if (parse_extension(&x, piece, true) < 0 || x.params.server_max_window_bits < 9)
            continue;
        x.params.server_no_context_takeover |= !context;
        x.params.client_no_context_takeover |= !context;
        x.params.client_max_window_bits = WINDOW_BITS;
        if (!put_answer(&x, out))
            return 0;
        *params = x.params;
        return 1;
    }
    return 0;
}

int ws_deflate_answer(struct str answer, struct ws_deflate_params *params)
{
    struct extension x;
    if (str_find_char(answer, ',') >= 0 || parse_extension(&x, answer, false) < 0 ||
        x.params.client_max_window_bits < 9)
        return -1;
    x.params.server_max_window_bits = MAX(x.params.server_max_window_bits, 9);
    *params = x.params;
    return 0;
}
