/* Types: what is taken, what it becomes, and what is refused. */
#include "load.h"

#include "config/value.h"

struct parsed {
    struct config cfg;
    struct arena *a;
    struct err e;
};

/* Free with arena_free(p.a). */
static int parse(struct parsed *p, const char *name, const char *text)
{
    *p = (struct parsed){.a = arena_new("test")};
    return value_parse(setting_find(str_c(name), NULL), str_c(text), &p->cfg, p->a, &p->e);
}

static void refuses(const char *name, const char *text)
{
    struct parsed p;
    if (parse(&p, name, text) == 0)
        fail_msg("%s took \"%s\"", name, text);
    assert_int_equal(p.e.code, ERR_INVALID_REQUEST);
    assert_true(str_starts(str_c(p.e.text), STR("must ")) || str_starts(str_c(p.e.text), STR("entr")));
    arena_free(p.a);
}

/* The value as `parley check` prints it. */
static void takes(const char *name, const char *text, const char *shown)
{
    struct parsed p;
    struct buf out = BUF_INIT(1024);
    if (parse(&p, name, text) < 0)
        fail_msg("%s refused \"%s\": %s", name, text, p.e.text);
    value_put(&out, setting_find(str_c(name), NULL), &p.cfg);
    assert_string_equal(buf_cstr(&out), shown);
    buf_free(&out);
    arena_free(p.a);
}

static void numbers(void **state)
{
    (void)state;
    takes("POOL_THREADS", "1", "1");
    takes("POOL_THREADS", "128", "128");
    const char *const wrong[] = {"0", "129", "-1", "+1", "1.5", "0x10", "four", "18446744073709551617", "1 2"};
    for (size_t i = 0; i < COUNT(wrong); i++)
        refuses("POOL_THREADS", wrong[i]);
    struct parsed p;
    assert_int_equal(parse(&p, "POOL_THREADS", "999"), -1);
    assert_string_equal(p.e.text, "must be a whole number from 1 to 128");
    arena_free(p.a);
}

static void switches(void **state)
{
    (void)state;
    const char *const yes[] = {"true", "TRUE", "1", "yes", "on"}, *const no[] = {"false", "0", "No", "off"};
    for (size_t i = 0; i < COUNT(yes); i++)
        takes("METRICS", yes[i], "true");
    for (size_t i = 0; i < COUNT(no); i++)
        takes("METRICS", no[i], "false");
    refuses("METRICS", "2");
    refuses("METRICS", "truee");
}

static void durations(void **state)
{
    (void)state;
    struct parsed p;
    assert_int_equal(parse(&p, "HEADER_TIMEOUT", "10"), 0);
    assert_int_equal(p.cfg.header_timeout_ms, 10000);
    arena_free(p.a);
    assert_int_equal(parse(&p, "RATE_LIMIT_WINDOW_MS", "900000"), 0);
    assert_int_equal(p.cfg.rate_limit_window_ms, 900000);
    arena_free(p.a);
    takes("HEADER_TIMEOUT", "500ms", "500ms");
    takes("HEADER_TIMEOUT", "30s", "30s");
    takes("HEADER_TIMEOUT", "5m", "5m");
    takes("HEADER_TIMEOUT", "90S", "90s");
    takes("HEADER_TIMEOUT", "1 h", "1h");
    takes("RATE_LIMIT_WINDOW_MS", "15m", "15m");
    takes("JWT_EXPIRES_IN", "7d", "7d");
    takes("WS_PING_INTERVAL", "0", "0");
    const char *const wrong[] = {"s", "5x", "1h1m", "1.5s", "2h", "99ms", "-5s", "18446744073709551615d", "ms5"};
    for (size_t i = 0; i < COUNT(wrong); i++)
        refuses("HEADER_TIMEOUT", wrong[i]);
}

static void sizes(void **state)
{
    (void)state;
    takes("MAX_FILE_SIZE", "5MB", "5MiB");
    takes("MAX_FILE_SIZE", "64KiB", "64KiB");
    takes("MAX_FILE_SIZE", "64k", "64KiB");
    takes("MAX_FILE_SIZE", "1gb", "1GiB");
    takes("MAX_FILE_SIZE", "1000", "1000B");
    takes("MAX_FILE_SIZE", "10 B", "10B");
    const char *const wrong[] = {"0", "2GB", "5MM", "5iB", "MB", "5TB", "17179869184GB"};
    for (size_t i = 0; i < COUNT(wrong); i++)
        refuses("MAX_FILE_SIZE", wrong[i]);
}

static void words(void **state)
{
    (void)state;
    takes("ENVIRONMENT", "Production", "production");
    takes("ENVIRONMENT", "prod", "production");
    takes("LOG_LEVEL", "Debug", "debug");
    takes("LOG_LEVEL", "Information", "info");
    takes("LOG_LEVEL", "warning", "warn");
    refuses("ENVIRONMENT", "staging");
    refuses("LOG_FORMAT", "text|json");
    refuses("LOG_FORMAT", "tex");
    struct parsed p;
    assert_int_equal(parse(&p, "LOG_LEVEL", "error"), 0);
    assert_int_equal(p.cfg.log_level, LOG_ERROR);
    arena_free(p.a);
    assert_int_equal(parse(&p, "LOG_FORMAT", "json"), 0);
    assert_int_equal(p.cfg.log_format, LOG_JSON);
    arena_free(p.a);
    takes("OPEN_DIALECTS", "pichat, aimcs,", "aimcs,pichat");
    assert_int_equal(parse(&p, "OPEN_DIALECTS", "chat,care"), 0);
    assert_int_equal(p.cfg.open_dialects, DIALECT_CHAT | DIALECT_CARE);
    arena_free(p.a);
    refuses("OPEN_DIALECTS", "chat,all");
}

static void ports(void **state)
{
    (void)state;
    takes("PORT", "8080, 5001,3000,8080", "8080,5001,3000");
    takes("PORT", "0,0", "0,0");
    const char *const wrong[] = {"65536", "80,", ",",
                                 "http",  "-1",  "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0"};
    for (size_t i = 0; i < COUNT(wrong); i++)
        refuses("PORT", wrong[i]);
}

static void urls(void **state)
{
    (void)state;
    takes("OPENAI_BASE_URL", "http://127.0.0.1:1/v1//", "http://127.0.0.1:1/v1");
    takes("AZURE_OPENAI_ENDPOINT", "https://x.openai.azure.com/", "https://x.openai.azure.com");
    takes("HTTPS_PROXY", "http://user:p@ss@proxy:3128", "http://***@proxy:3128");
    takes("HTTPS_PROXY", "user:pass@proxy:3128", "***@proxy:3128");
    takes("HTTP_PROXY", "proxy:3128", "proxy:3128");
    const char *const wrong[] = {
        "your_openai_endpoint", "ftp://x",   "http://", "http://:80", "http://x/?a=b", "http://x/#a",
        "http://a b/c",         "http:///x", "://x",    "http://u@",  "http://u@/v1",  "javascript:alert(1)"};
    for (size_t i = 0; i < COUNT(wrong); i++)
        refuses("OPENAI_BASE_URL", wrong[i]);
}

static void origins(void **state)
{
    (void)state;
    takes("FRONTEND_URL", "http://localhost:8081", "http://localhost:8081");
    takes("FRONTEND_URL", "HTTPS://Example.org:443/app/, http://a:80 ,exp://10.0.0.1:19000",
          "https://example.org,http://a,exp://10.0.0.1:19000");
    takes("CORS_ORIGINS", "*", "*");
    const char *const wrong[] = {"example.org", "https://*.example.org", "http://",
                                 "http://:80",  "https://u@h",           "://h"};
    for (size_t i = 0; i < COUNT(wrong); i++)
        refuses("FRONTEND_URL", wrong[i]);
}

static void lists_and_text(void **state)
{
    (void)state;
    takes("ALLOWED_FILE_TYPES", " png , ,gif ", "png,gif");
    takes("HOST", "::1", "::1");
    refuses("HOST", "a\nb");
    refuses("API_TOKEN", "abc\r\nX: y");
    takes("API_TOKEN", "0123456789abcdef", "set");
}

static void upstreams(void **state)
{
    (void)state;
    struct parsed p;
    assert_int_equal(parse(&p, "LLM_UPSTREAMS",
                           "[{\"name\":\"a\",\"base_url\":\"http://h/v1/\",\"api_key\":\"k\",\"model\":\"m\"},"
                           "{\"name\":\"b\",\"provider\":\"Azure\",\"base_url\":\"https://z\",\"deployment\":\"d\","
                           "\"api_version\":\"v1\",\"weight\":3}]"),
                     0);
    const struct config_upstream *up = p.cfg.llm_upstreams.items;
    assert_int_equal(p.cfg.llm_upstreams.count, 2);
    assert_int_equal(up[0].provider, PROVIDER_OPENAI);
    assert_string_equal(up[0].base_url, "http://h/v1");
    assert_string_equal(up[0].api_key, "k");
    assert_string_equal(up[0].model, "m");
    assert_int_equal(up[0].weight, 1);
    assert_null(up[0].deployment);
    assert_int_equal(up[1].provider, PROVIDER_AZURE);
    assert_string_equal(up[1].deployment, "d");
    assert_string_equal(up[1].api_version, "v1");
    assert_int_equal(up[1].weight, 3);
    arena_free(p.a);
    takes("LLM_UPSTREAMS", "[{\"name\":\"a\",\"api_key\":\"k\"},{\"name\":\"b\"}]", "a,b");
    takes("LLM_UPSTREAMS", "[]", "unset");
}

static void wrong_upstreams(void **state)
{
    (void)state;
    const struct {
        const char *text, *reason;
    } cases[] = {
        {"a=http://x", "JSON array"},
        {"{\"name\":\"a\"}", "JSON array"},
        {"[1]", "entry 1 must be an object"},
        {"[{}]", "entry 1 needs a \"name\""},
        {"[{\"name\":\"\"}]", "entry 1 needs a \"name\""},
        {"[{\"name\":7}]", "\"name\" must be a string"},
        {"[{\"name\":\"a\",\"key\":\"secret\"}]", "unknown member \"key\""},
        {"[{\"name\":\"a\"},{\"name\":\"a\"}]", "entries 1 and 2"},
        {"[{\"name\":\"a\"},{\"name\":\"b\",\"provider\":\"bard\"}]", "entry 2: \"provider\""},
        {"[{\"name\":\"a\",\"base_url\":\"x\"}]", "\"base_url\""},
        {"[{\"name\":\"a\",\"api_key\":\"x\\ny\"}]", "\"api_key\" must not contain control"},
        {"[{\"name\":\"a\",\"weight\":0}]", "\"weight\""},
        {"[{\"name\":\"a\",\"weight\":1.5}]", "\"weight\""},
        {"[{\"name\":\"a\",\"weight\":1001}]", "\"weight\""},
        {"[{\"name\":\"a\",\"weight\":\"2\"}]", "\"weight\""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct parsed p;
        assert_int_equal(parse(&p, "LLM_UPSTREAMS", cases[i].text), -1);
        if (!strstr(p.e.text, cases[i].reason))
            fail_msg("%s: %s", cases[i].text, p.e.text);
        assert_null(strstr(p.e.text, "secret"));
        arena_free(p.a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),   cmocka_unit_test(switches),        cmocka_unit_test(durations),
        cmocka_unit_test(sizes),     cmocka_unit_test(words),           cmocka_unit_test(ports),
        cmocka_unit_test(urls),      cmocka_unit_test(origins),         cmocka_unit_test(lists_and_text),
        cmocka_unit_test(upstreams), cmocka_unit_test(wrong_upstreams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
