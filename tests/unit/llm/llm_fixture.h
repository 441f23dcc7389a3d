/* A model driver against a scripted server, and what reads its events. */
#ifndef TEST_LLM_FIXTURE_H
#define TEST_LLM_FIXTURE_H

#include "llm/llm.h"
#include "llm/openai/openai.h"
#include "unit/client/run_client.h"
#include "unit/client/script_server.h"

#define KEY      "sk-test-0123456789abcdef"
#define SSE_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
#define CHUNK(delta, finish)                                                                                           \
    "{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,"     \
    "\"delta\":{" delta "},\"finish_reason\":" finish "}],\"usage\":null}"
#define DATA(json) "data: " json "\n\n"
#define USAGE_CHUNK                                                                                                    \
    "{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,"               \
    "\"completion_tokens\":2,\"total_tokens\":11}}"
#define HELLO_STREAM                                                                                                   \
    SSE_HEAD DATA(CHUNK("\"role\":\"assistant\",\"content\":\"\"", "null")) DATA(CHUNK("\"content\":\"Hel\"", "null")) \
        DATA(CHUNK("\"content\":\"lo\"", "null")) DATA(CHUNK("", "\"stop\"")) DATA(USAGE_CHUNK) DATA("[DONE]")

struct llm_fixture {
    struct script_server server;
    struct llm *llm;
    struct arena *arena;
    void (*body)(struct llm_fixture *t);
};

/* What a stream gave, put together. */
struct told {
    struct buf text, raw; /* raw: each on a line */
    char finish[32];
    struct llm_usage usage;
    size_t events, tools;
    int end; /* what llm_next answered last */
    struct err e;
};

static inline void told_read(struct told *told, struct llm_stream *s)
{
    struct llm_event event;
    *told = (struct told){.text = BUF_INIT(1 << 24), .raw = BUF_INIT(1 << 24), .usage = {-1, -1}};
    while ((told->end = llm_next(s, &event, &told->e)) > 0) {
        told->events++;
        buf_str_add(&told->text, event.text);
        if (event.raw.n) {
            buf_str_add(&told->raw, event.raw);
            buf_byte(&told->raw, '\n');
        }
        if (event.type == LLM_FINISH)
            str_copy(told->finish, sizeof told->finish, event.finish);
        if (event.type == LLM_USAGE)
            told->usage = event.usage;
        told->tools += event.type == LLM_TOOL_CALL;
    }
    if (told->end < 0)
        buf_str_add(&told->raw, event.raw);
}

static inline void told_free(struct told *told)
{
    buf_free(&told->text);
    buf_free(&told->raw);
}

static inline void llm_fixture_body(void *arg)
{
    struct llm_fixture *t = arg;
    t->arena = arena_new("test");
    t->body(t);
    arena_free(t->arena);
}

static inline void llm_play(const struct script_step *steps, size_t n, const struct llm_openai_config *config,
                            void (*body)(struct llm_fixture *t))
{
    static const struct upstream_config quick = {.connect_timeout = 5000, .first_byte_timeout = 5000, .retries = 1};
    struct llm_fixture *t = calloc(1, sizeof *t);
    script_start(&t->server, steps, n);
    struct llm_openai_config c = config ? *config : (struct llm_openai_config){.model = "gpt-test"};
    c.base_url = c.base_url ? c.base_url : t->server.url;
    c.api_key = c.api_key ? c.api_key : KEY;
    c.upstream = c.upstream ? c.upstream : &quick;
    t->llm = llm_openai_new(&c, NULL);
    t->body = body;
    run_client(llm_fixture_body, t);
    script_stop(&t->server);
    llm_free(t->llm);
    free(t);
}

#define LLM_PLAY(config, body, ...)                                                                                    \
    do {                                                                                                               \
        static const struct script_step script[] = {__VA_ARGS__};                                                      \
        llm_play(script, COUNT(script), (config), (body));                                                             \
    } while (0)

#endif
