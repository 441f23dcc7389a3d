#include "server/websocket_impl.h"

static int refuse(struct err *e, int status, const char *text)
{
    err_set(e, ERR_INVALID_REQUEST, "%s", text);
    e->status = status;
    return -1;
}

static int check(struct http_conn *hc, struct http_request *rq, char accept[29], struct err *e)
{
    const struct http_head *head = rq->head;
    if (hc->sl->draining)
        return err_set(e, ERR_SHUTTING_DOWN, NULL);
    if (!str_eq(http_header(head, STR("sec-websocket-version")), STR("13"))) {
        http_reply_header(rq, STR("Upgrade"), STR("websocket"));
        http_reply_header(rq, STR("Sec-WebSocket-Version"), STR("13"));
        return refuse(e, 426, "Sec-WebSocket-Version must be 13");
    }
    if (head->body != HTTP_BODY_NONE && !(head->body == HTTP_BODY_LENGTH && head->length == 0))
        return refuse(e, 400, "A WebSocket upgrade has no body");
    if (ws_accept(accept, http_header(head, STR("sec-websocket-key"))) < 0)
        return refuse(e, 400, "Sec-WebSocket-Key must be 16 bytes in base64");
    if (!filters_page_may_come(rq))
        return err_set(e, ERR_FORBIDDEN, "Origin is not allowed");
    return 0;
}

/* The value of our Sec-WebSocket-Extensions, empty when nothing was agreed. */
static void agree_compression(struct websocket *ws, struct http_request *rq, struct buf *answer)
{
    const struct server_config *config = &ws->hc->sl->config;
    struct str offers = http_header(rq->head, STR("sec-websocket-extensions"));
    struct ws_deflate_params params;
    if (config->websocket_compression && offers.n && !ws->route->websocket->on_frame &&
        ws_deflate_accept(offers, config->websocket_context, &params, answer) == 1)
        ws->reader.deflate = ws_deflate_new(&params, true);
}

/* Names are compared exactly (RFC 6455 section 4.1). */
static bool is_offered(struct str offers, struct str protocol)
{
    struct str piece;
    while (str_split(&offers, ',', &piece))
        if (str_eq(str_trim(piece), protocol))
            return true;
    return false;
}

static void put_subprotocol(struct buf *out, struct websocket *ws, struct http_request *rq)
{
    struct str offers = http_header(rq->head, STR("sec-websocket-protocol"));
    if (!offers.n || !ws->route->websocket->subprotocol)
        return;
    struct str chosen = ws->route->websocket->subprotocol(rq);
    if (!chosen.n || !is_offered(offers, chosen))
        return;
    buf_lit(out, "\r\nSec-WebSocket-Protocol: ");
    buf_str_add(out, chosen);
}

static void send_101(struct websocket *ws, struct http_request *rq, const char *accept)
{
    struct buf extensions = BUF_INIT(KIB(1)), out = BUF_INIT(KIB(4));
    agree_compression(ws, rq, &extensions);
    buf_lit(&out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Accept: ");
    buf_str_add(&out, str_c(accept));
    if (ws->reader.deflate) {
        buf_lit(&out, "\r\nSec-WebSocket-Extensions: ");
        buf_str_add(&out, buf_str(&extensions));
    }
    put_subprotocol(&out, ws, rq);
    buf_lit(&out, "\r\nX-Request-Id: ");
    buf_str_add(&out, str_c(rq->id));
    buf_lit(&out, "\r\n\r\n");
    conn_write(&ws->hc->conn, buf_str(&out));
    buf_free(&extensions);
    buf_free(&out);
}

bool websocket_upgrade(struct http_conn *hc, struct http_request *rq, const struct http_route *route)
{
    char accept[29];
    struct err e;
    if (rq->head->minor < 1 || !str_list_has(http_header(rq->head, STR("upgrade")), STR("websocket")))
        return false;
    if (route->websocket->may_open && !route->websocket->may_open(rq))
        return true;
    if (check(hc, rq, accept, &e) < 0) {
        http_reply_error(rq, &e);
        return true;
    }
    struct websocket *ws = websocket_new(hc, rq, route);
    send_101(ws, rq, accept);
    websocket_start(ws);
    if (route->websocket->on_open)
        route->websocket->on_open(ws, rq);
    return true;
}
