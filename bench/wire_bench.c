/* Time per operation of the codecs on the path of every message, beside libhttp-parser and cJSON on the same input. One
 * JSON line per row; each figure is the best of several runs. */
#include "base/arena.h"
#include "base/json.h"
#include "samples.h"
#include "wire/engineio.h"
#include "wire/http.h"
#include "wire/json.h"
#include "wire/socketio.h"
#include "wire/sse.h"
#include "wire/ws.h"

#include "../tests/fuzz/http_reference.h"

#define RUNS   7
#define RUN_NS 40000000 /* about, per run */

static const char request[] =
    "POST /api/chat?stream=1 HTTP/1.1\r\n"
    "Host: chat.example.org\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36\r\n"
    "Accept: text/event-stream\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"
    "Content-Type: application/json\r\n"
    "Content-Length: 1024\r\n"
    "Connection: keep-alive\r\n\r\n";

static struct http_head head;
static struct buf body = BUF_INIT(KIB(4)), frame = BUF_INIT(KIB(4)), work = BUF_INIT(KIB(64)),
                  stream = BUF_INIT(KIB(64));
static struct ws_reader reader;
static struct sse_reader events;
static http_parser_settings settings;
static volatile size_t sink;

static void need(bool fine, const char *what)
{
    if (!fine)
        die("wire_bench: %s", what);
}

static void http_ours(void)
{
    ptrdiff_t n = http_head_parse(&head, str_n(request, sizeof request - 1), 0, NULL);
    need(n == (ptrdiff_t)sizeof request - 1, "http_head_parse");
    sink += head.nheaders;
}

static int note_slice(http_parser *p, const char *at, size_t n)
{
    struct http_header *h = &head.headers[head.nheaders++ % LIMIT_HTTP_HEADERS];
    h->name = str_n(at, n);
    (void)p;
    return 0;
}

static void http_reference(void)
{
    http_parser p;
    head.nheaders = 0;
    http_parser_init(&p, HTTP_REQUEST);
    need(http_parser_execute(&p, &settings, request, sizeof request - 1) == sizeof request - 1, "http_parser");
    sink += head.nheaders;
}

static void json_ours(void)
{
    struct json_want wants[] = {{.path = "messages[0].content"}, {.path = "model"}, {.path = "stream"}};
    need(json_scan(buf_str(&body), wants, COUNT(wants), NULL, NULL) == 0, "json_scan");
    sink += wants[0].value.raw.n;
}

static void json_reference(void)
{
    cJSON *tree = cJSON_ParseWithLength(body.data, body.len);
    need(tree, "cJSON");
    sink += (size_t)cJSON_GetArraySize(tree);
    cJSON_Delete(tree);
}

static void json_base(void)
{
    struct arena *a = arena_new("bench");
    need(json_parse(a, buf_str(&body), NULL), "json_parse");
    arena_free(a);
}

/* One masked text frame of 64 bytes, which unmasking in place turns back every second time. */
static void ws_read(void)
{
    struct ws_event event;
    struct str in;
    buf_clear(&work);
    buf_str_add(&work, buf_str(&frame));
    in = buf_str(&work);
    need(ws_next(&reader, &in, &event, NULL) == 1 && ws_next(&reader, &in, &event, NULL) == 0, "ws_next");
    sink += event.data.n;
}

static void ws_write(void)
{
    buf_clear(&work);
    need(ws_frame_put(&work, WS_TEXT, str_n(body.data, 64), false) == 0, "ws_frame_put");
}

static void ws_mask_1k(void)
{
    static const uint8_t key[4] = {0x37, 0xFA, 0x21, 0x3D};
    ws_mask((uint8_t *)stream.data, 1024, key, 0);
}

/* One delta of an upstream's stream. */
static void sse_read(void)
{
    struct sse_event event;
    struct str in = STR("data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
                        "\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},"
                        "\"finish_reason\":null}]}\n\n");
    need(sse_next(&events, &in, &event, NULL) == 1, "sse_next");
    sink += event.data.n;
}

/* One event of 100 bytes, as a server that echoes reads and writes it. */
static void socketio_read(void)
{
    struct sio_packet packet;
    need(sio_decode(STR("2/chat,17[\"stream_chat\",{\"conversationId\":\"0123456789abcdef\",\"message\":\"Where is the "
                        "station, please?\"}]"),
                    SIO_ATTACHMENTS, &packet, NULL) == 0,
         "sio_decode");
    sink += sio_args_text(&packet).n;
}

static void socketio_write(void)
{
    struct sio_event event = {.nsp = STR("/chat"),
                              .name = STR("stream_chunk"),
                              .args = STR("{\"conversationId\":\"0123456789abcdef\",\"delta\":\" word\"}"),
                              .offset = STR("3:4711")};
    buf_clear(&work);
    need(sio_event_put(&work, &event) == 0, "sio_event_put");
}

/* Two packets of a polling client: an answer to a ping and a message of 64 bytes. */
static void engineio_read(void)
{
    struct eio_payload it;
    struct eio_packet packet;
    need(eio_payload_begin(&it, EIO_FORM_V4,
                           STR("3\x1e"
                               "42[\"message\",\"0123456789012345678901234567890123456789012345678\"]"),
                           NULL) == 0,
         "eio_payload_begin");
    while (eio_payload_next(&it, &work, &packet, NULL) == 1)
        sink += packet.data.n;
}

static double best_ns(void (*op)(void))
{
    double best = 0;
    uint64_t count = 1000;
    for (int run = 0; run <= RUNS; run++) {
        uint64_t start = now_ns();
        for (uint64_t i = 0; i < count; i++)
            op();
        double ns = (double)(now_ns() - start) / (double)count;
        if (run == 0)
            count = (uint64_t)(RUN_NS / (ns > 1 ? ns : 1)) + 1;
        else if (best == 0 || ns < best)
            best = ns;
    }
    return best;
}

static void fill(void)
{
    struct jw w = jw_begin(&body);
    jw_obj(&w);
    jw_key(&w, "messages");
    jw_arr(&w);
    jw_obj(&w);
    jw_kstr(&w, "role", STR("user"));
    jw_key(&w, "content");
    buf_byte(&body, '"');
    while (body.len < 900)
        buf_lit(&body, "Tell me about \\\"caf\xC3\xA9s\\\" in the old town, please.\\nShort. ");
    buf_byte(&body, '"');
    jw_end_obj(&w);
    jw_end_arr(&w);
    jw_kstr(&w, "model", STR("gpt-4o-mini"));
    jw_knum(&w, "temperature", 0.7);
    jw_kint(&w, "max_tokens", 512);
    jw_kbool(&w, "stream", true);
    jw_end_obj(&w);
    need(ws_frame_put(&frame, WS_TEXT, str_n(body.data, 64), true) == 0, "ws_frame_put");
    memset(buf_reserve(&stream, 1024), 'x', 1024);
}

int main(void)
{
    static const struct {
        const char *name;
        void (*op)(void);
    } rows[] = {
        {"http_head_parse, 8 headers", http_ours},
        {"libhttp-parser, the same", http_reference},
        {"json_scan, 1 KB chat body, 3 wants", json_ours},
        {"cJSON_ParseWithLength, the same", json_reference},
        {"json_parse into an arena, the same", json_base},
        {"ws_next, masked text of 64 bytes, with the copy of it", ws_read},
        {"ws_frame_put, text of 64 bytes", ws_write},
        {"ws_mask, 1 KB", ws_mask_1k},
        {"sse_next, one delta of 190 bytes", sse_read},
        {"sio_decode, event of 100 bytes", socketio_read},
        {"sio_event_put, event of 100 bytes", socketio_write},
        {"eio_payload_next, payload of 66 bytes, two packets", engineio_read},
    };
    settings.on_url = settings.on_header_field = settings.on_header_value = note_slice;
    ws_reader_init(&reader, true, LIMIT_WS_MESSAGE);
    sse_reader_init(&events, LIMIT_SSE_EVENT);
    fill();
    for (size_t i = 0; i < COUNT(rows); i++)
        printf("{\"name\":\"%s\",\"ns\":%.1f}\n", rows[i].name, best_ns(rows[i].op));
    buf_free(&body);
    buf_free(&frame);
    buf_free(&work);
    buf_free(&stream);
    return 0;
}
