/* A chat.completion.chunk, the whole reply, a refusal and a relay's body: the same bytes read as each of them. */
#include "fuzz.h"

#include "base/utf8.h"
#include "client/refusal.h"
#include "llm/openai/chunk.h"
#include "llm/openai/request.h"
#include "wire/json.h"

static bool inside(struct str part, struct str whole)
{
    return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void read_chunk(struct str json)
{
    struct chunk c;
    struct err e = {0};
    chunk_init(&c);
    if (chunk_read(&c, json, &e) == 0) {
        CHECK(c.count >= 1 && c.count <= CHUNK_EVENTS);
        for (size_t i = 0; i < c.count; i++) {
            CHECK(utf8_valid(c.events[i].text));
            CHECK(inside(c.events[i].finish, json));
            CHECK(i == 0 ? str_eq(c.events[i].raw, json) : c.events[i].raw.n == 0);
        }
    } else {
        CHECK(e.code == ERR_UPSTREAM && e.text[0] != 0);
    }
    if (chunk_read_whole(&c, json, &e) == 0)
        CHECK(c.events[0].type == LLM_WHOLE);
    chunk_free(&c);
}

static void read_refusal(struct str body)
{
    static const struct str key = {"0a1b2c3d4e5f", 12};
    struct arena *a = arena_new("fuzz");
    struct err e = {0};
    refusal_error(body, 500, key, &e);
    struct str line = refusal_line(a, body, key, 300);
    CHECK(line.n <= 300);
    CHECK(str_find(line, key) < 0 && str_find(str_c(e.text), key) < 0);
    CHECK(str_find_char(line, '\n') < 0 && str_find_char(line, '\r') < 0);
    arena_free(a);
}

/* What is sent for a relay's body must be JSON again, and say what it has to. */
static void read_relay(struct str body)
{
    struct llm_request rq = {.body = body, .stream = true};
    struct request_options options = {.model = STR("m"), .stream_options = true};
    struct buf out = BUF_INIT(SIZE_MAX);
    struct err e = {0};
    bool asked;
    if (request_build(&out, &rq, &options, &asked, &e) == 0) {
        struct json_want wants[] = {{.path = "stream"}, {.path = "model"}, {.path = "stream_options.include_usage"}};
        enum json_type root;
        CHECK(json_scan(buf_str(&out), wants, COUNT(wants), &root, &e) == 0 && root == JSON_OBJECT);
        CHECK(wants[0].value.type == JSON_TRUE);
        CHECK(str_eqc(wants[1].value.raw, "m"));
        CHECK(wants[2].value.type == JSON_TRUE);
    }
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    read_chunk(text);
    read_refusal(text);
    read_relay(text);
    return 0;
}
