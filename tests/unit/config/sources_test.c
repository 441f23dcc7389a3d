/* Command line, environment, .env and JSON: their syntax, and who wins. */
#include "load.h"

static void options_in_every_form(void **state)
{
    (void)state;
    struct config *cfg = load_args("--rate-limit-max-requests=5", "--port", "1,2", "--no-metrics", "--ws-compression",
                                   "--allow-eio3", "false", "--LOG_LEVEL=debug", "--server-port=7", "--host=");
    assert_non_null(cfg);
    assert_int_equal(cfg->rate_limit_max_requests, 5);
    assert_int_equal(cfg->port_list.count, 1);
    assert_int_equal(cfg->port_list.items[0], 7); /* the later one counts */
    assert_false(cfg->metrics);
    assert_true(cfg->ws_compression);
    assert_false(cfg->allow_eio3);
    assert_int_equal(cfg->log_level, LOG_DEBUG);
    assert_string_equal(cfg->host, "127.0.0.1");
    assert_int_equal(config_origin(cfg, "PORT"), ORIGIN_FLAG);
    assert_int_equal(config_origin(cfg, "HOST"), ORIGIN_DEFAULT);
    config_free(cfg);
}

static void wrong_options_are_all_named(void **state)
{
    (void)state;
    struct buf problems = BUF_INIT(KIB(64));
    assert_null(load_with(ARGS("--prot", "8080", "stray", "--no-port", "-x", "--", "--threads=many", "--port"), NULL,
                          NULL, &problems));
    assert_true(has_text(&problems, "unknown option --prot; did you mean --port?\n"));
    assert_true(has_text(&problems, "unexpected argument \"stray\"\n"));
    assert_true(has_text(&problems, "unknown option --no-port"));
    assert_true(has_text(&problems, "unexpected argument \"-x\"\n"));
    assert_true(has_text(&problems, "unexpected argument \"--\"\n"));
    assert_true(has_text(&problems, "THREADS=many (command line): must be a whole number from 0 to 256\n"));
    assert_true(has_text(&problems, "--port needs a value\n"));
    assert_false(has_text(&problems, "8080"));
    buf_clear(&problems);
    assert_null(load_with(ARGS("--config"), NULL, NULL, &problems));
    assert_true(has_text(&problems, "--config needs a file name"));
    buf_clear(&problems);
    assert_null(load_with(ARGS("-c", "/nonexistent/x.json"), NULL, NULL, &problems));
    assert_true(has_text(&problems, "/nonexistent/x.json cannot be read"));
    buf_clear(&problems);
    assert_null(load_with(ARGS("--env-file=/nonexistent/env"), NULL, NULL, &problems));
    assert_true(has_text(&problems, "/nonexistent/env cannot be read"));
    buf_free(&problems);
}

static void callers_own_flags_pass(void **state)
{
    (void)state;
    const char *const own[] = {"--markdown", NULL};
    struct config_source src = {2, ARGS("--markdown", "--port=1"), ARGS("A=b"), NO_FILE, own};
    struct config *cfg = config_load(&src, NULL, NULL);
    assert_non_null(cfg);
    assert_int_equal(cfg->port_list.items[0], 1);
    config_free(cfg);
}

static void environment_names(void **state)
{
    (void)state;
    struct config *cfg = load_env("SERVER_PORT=9", "OPENAI_OPENAI_API_KEY=k2", "AZURE_OPENAI_KEY=ak",
                                  "HOST=", "AZURE_OPENAI_DEPLOYMENT_NAME=dep", "https_proxy=p:1", "port=1", "PATH=/bin",
                                  "=x", "y", "LIVEKIT_URL=wss://l");
    assert_non_null(cfg);
    assert_int_equal(cfg->port_list.items[0], 9);
    assert_string_equal(cfg->openai_api_key, "k2");
    assert_string_equal(cfg->azure_openai_api_key, "ak");
    assert_string_equal(cfg->azure_openai_deployment, "dep");
    assert_string_equal(cfg->pichat_model, "dep");
    assert_string_equal(cfg->https_proxy, "p:1");
    assert_string_equal(cfg->livekit_ws_url, "wss://l");
    assert_string_equal(cfg->host, "127.0.0.1"); /* empty counts as unset */
    assert_int_equal(cfg->warnings.count, 0);
    config_free(cfg);
}

static void the_first_name_wins_and_the_conflict_is_said(void **state)
{
    (void)state;
    for (int order = 0; order < 2; order++) {
        struct config *cfg = order ? load_env("SERVER_PORT=2", "PORT=1") : load_env("PORT=1", "SERVER_PORT=2");
        assert_int_equal(cfg->port_list.items[0], 1);
        assert_true(warns(cfg, "(environment) differ: PORT is used"));
        config_free(cfg);
    }
    struct config *same = load_env("SERVER_PORT=1", "PORT=1");
    assert_int_equal(same->warnings.count, 0);
    config_free(same);
}

static void production_wins_in_either_name(void **state)
{
    (void)state;
    struct config *cfg = load_env("ENVIRONMENT=development", "NODE_ENV=production");
    assert_true(cfg->production);
    assert_true(warns(cfg, "NODE_ENV is used"));
    config_free(cfg);
    cfg = load_env("NODE_ENV=development", "ENVIRONMENT=production");
    assert_true(cfg->production);
    config_free(cfg);
    cfg = load_env("NODE_ENV=test");
    assert_false(cfg->production);
    assert_int_equal(cfg->environment, ENVIRONMENT_TEST);
    config_free(cfg);
}

static void dotenv_syntax(void **state)
{
    (void)state;
    struct config *cfg = load_dotenv(STR("\xEF\xBB\xBF# comment = x\r\n"
                                         "\r\n"
                                         "export PORT=8081 # web\r\n"
                                         "  HOST = 'a # b'  # c\n"
                                         "API_TOKEN=\"a\\\"b\\\\c\\$d\\x\" \n"
                                         "OPENAI_API_KEY=sk#1\n"
                                         "DATA_DIR=`it's \"here\"`\n"
                                         "AIMCS_MODEL=\n"
                                         "CHAT_MODEL=   # none\n"
                                         "STATIC_ROOT='/a\\n'\n"
                                         "THREADS=1\nTHREADS=2\n"
                                         "UNKNOWN=x\n"
                                         "LLM_UPSTREAMS='[{\"name\":\n\"multi\"}]'\n"
                                         "no assignment\n"
                                         "LOG_LEVEL=warn"),
                                     NULL);
    assert_non_null(cfg);
    assert_int_equal(cfg->port_list.items[0], 8081);
    assert_string_equal(cfg->host, "a # b");
    assert_string_equal(cfg->api_token, "a\"b\\c$d\\x");
    assert_string_equal(cfg->openai_api_key, "sk#1");
    assert_string_equal(cfg->data_dir, "it's \"here\"");
    assert_string_equal(cfg->aimcs_model, "o4-mini");
    assert_string_equal(cfg->chat_model, "gpt-4");
    assert_string_equal(cfg->static_root, "/a\\n");
    assert_int_equal(cfg->threads, 2);
    assert_string_equal(cfg->llm_upstreams.items[0].name, "multi");
    assert_int_equal(cfg->log_level, LOG_WARN);
    assert_int_equal(config_origin(cfg, "LOG_LEVEL"), ORIGIN_DOTENV);
    assert_int_equal(cfg->warnings.count, 1);
    assert_true(warns(cfg, "line 16 is no NAME=value"));
    config_free(cfg);
}

static void dotenv_mistakes(void **state)
{
    (void)state;
    struct buf problems = BUF_INIT(KIB(64));
    assert_null(load_dotenv(STR("HOST=a\nAPI_TOKEN=\"hidden\nPORT=1\n"), &problems));
    assert_true(has_text(&problems, "line 2: the quote never ends"));
    assert_false(has_text(&problems, "hidden"));
    buf_clear(&problems);
    assert_null(load_dotenv(str_n("HOST=a\0b", 8), &problems));
    assert_true(has_text(&problems, "HOST (.env) must be text"));
    buf_clear(&problems);
    assert_null(load_dotenv(STR("API_TOKEN=\"hid\\nden\""), &problems));
    assert_true(has_text(&problems, "API_TOKEN (.env): must not contain control characters"));
    assert_false(has_text(&problems, "hid"));
    buf_free(&problems);
}

static void appsettings(void **state)
{
    (void)state;
    struct config *cfg =
        load_json(STR("\xEF\xBB\xBF{ // the proxy's own file\n"
                      "\"OpenAI\": {\"ApiKey\": \"sk-1\", \"ChatModel\": \"m1\","
                      "\"RealtimeModel\": \"m2\", \"TtsModel\": \"m3\"},\n"
                      "\"Logging\": {\"LogLevel\": {\"Default\": \"Debug\", \"Microsoft\": \"Warning\"}},\n"
                      "\"Urls\": \"http://localhost:5198;http://*:5001/;https://localhost:7001\",\n"
                      "\"Kestrel\": {\"Endpoints\": {\"Http\": {\"Url\": \"http://x:1\"}}},\n"
                      "/* any */ \"AllowedHosts\": \"*\",\n"
                      "}\n"),
                  NULL);
    assert_non_null(cfg);
    assert_string_equal(cfg->openai_api_key, "sk-1");
    assert_string_equal(cfg->openai_chat_model, "m1");
    assert_string_equal(cfg->openai_realtime_model, "m2");
    assert_string_equal(cfg->openai_tts_model, "m3");
    assert_int_equal(cfg->log_level, LOG_DEBUG);
    assert_int_equal(cfg->port_list.count, 2);
    assert_int_equal(cfg->port_list.items[0], 5198);
    assert_int_equal(cfg->port_list.items[1], 5001);
    assert_string_equal(cfg->host, "localhost");
    assert_int_equal(cfg->warnings.count, 1);
    assert_true(warns(cfg, "Urls"));
    config_free(cfg);
}

static void urls_alone(void **state)
{
    (void)state;
    const struct {
        const char *text, *host;
        uint16_t port;
    } cases[] = {{"{\"urls\":\"http://+\"}", "0.0.0.0", 80},
                 {"{\"Urls\":\"http://[::1]:81\"}", "::1", 81},
                 {"{\"Urls\":\"http://0.0.0.0:5198\",\"PORT\":82}", "0.0.0.0", 82}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct config *cfg = load_json(str_c(cases[i].text), NULL);
        assert_non_null(cfg);
        assert_string_equal(cfg->host, cases[i].host);
        assert_int_equal(cfg->port_list.items[0], cases[i].port);
        config_free(cfg);
    }
}

static void json_names(void **state)
{
    (void)state;
    struct config *cfg = load_json(STR("{\"rateLimit\":{\"maxRequests\":5,\"window_ms\":60000},\"PORT\":[1,2],"
                                       "\"trust-proxy\":2,\"WS_COMPRESSION\":true,\"api_token\":null,\"HOST\":\"\","
                                       "\"limits\":{\"MAX_CONNECTIONS\":7,\"nested\":{\"max_connections\":8}},"
                                       "\"allowedFileTypes\":[\"png\",\"webp\"],"
                                       "\"llmUpstreams\":[{\"name\":\"u\",\"base_url\":\"http://u\",\"weight\":2}]}"),
                                   NULL);
    assert_non_null(cfg);
    assert_int_equal(cfg->rate_limit_max_requests, 5);
    assert_int_equal(cfg->rate_limit_window_ms, 60000);
    assert_int_equal(cfg->port_list.count, 2);
    assert_int_equal(cfg->trust_proxy.hops, 2);
    assert_true(cfg->ws_compression);
    assert_null(cfg->api_token);
    assert_string_equal(cfg->host, "127.0.0.1");
    assert_int_equal(cfg->max_connections, 7);
    assert_string_equal(cfg->allowed_file_types.items[1], "webp");
    assert_int_equal(cfg->llm_upstreams.items[0].weight, 2);
    assert_int_equal(cfg->warnings.count, 1);
    assert_true(warns(cfg, "unknown setting \"limits:nested:max_connections\""));
    config_free(cfg);
}

static void json_mistakes(void **state)
{
    (void)state;
    struct buf problems = BUF_INIT(KIB(64));
    const struct {
        struct str text;
        const char *problem;
    } cases[] = {{STR(""), "Unexpected end of JSON"},
                 {STR("{\"PORT\":}"), "Unexpected token"},
                 {STR("[1]"), "must be a JSON object"},
                 {STR("{} {}"), "Unexpected token"},
                 {STR("{\"PORT\":[[1]]}"), "\"PORT\" must be text, a number"},
                 {STR("{\"PORT\":[{\"a\":1}]}"), "\"PORT\" must be text, a number"},
                 {STR("{\"POOL_THREADS\":1.5}"), "POOL_THREADS=1.5 (file): must be"},
                 {STR("{\"a\":\"unended"), "Unexpected"},
                 {STR("{\"a\":1 /* unended"), "Unexpected"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        buf_clear(&problems);
        assert_null(load_json(cases[i].text, &problems));
        if (!has_text(&problems, cases[i].problem))
            fail_msg("%s: %s", cases[i].text.p, buf_cstr(&problems));
    }
    buf_free(&problems);
}

static void comments_inside_strings_stay(void **state)
{
    (void)state;
    struct config *cfg = load_json(STR("{\"HOST\":\"a//b/*c*/,\\\"]\", \"DATA_DIR\": \"x,}\" , }"), NULL);
    assert_non_null(cfg);
    assert_string_equal(cfg->host, "a//b/*c*/,\"]");
    assert_string_equal(cfg->data_dir, "x,}");
    config_free(cfg);
}

static void every_source_goes_before_the_next(void **state)
{
    (void)state;
    char json[32], dotenv[32];
    write_file(json, STR("{\"THREADS\":1,\"POOL_THREADS\":1,\"MAX_CONNECTIONS\":1,\"UPSTREAM_QUEUE\":1}"));
    write_file(dotenv, STR("THREADS=2\nPOOL_THREADS=2\nMAX_CONNECTIONS=2\n"));
    char *const args[] = {"--threads=4", "-c", json, NULL}, *const env[] = {"THREADS=3", "POOL_THREADS=3", NULL};
    struct config *cfg = load_with(args, env, dotenv, NULL);
    assert_non_null(cfg);
    assert_int_equal(cfg->threads, 4);
    assert_int_equal(cfg->pool_threads, 3);
    assert_int_equal(cfg->max_connections, 2);
    assert_int_equal(cfg->upstream_queue, 1);
    assert_int_equal(cfg->upstream_retries, 2);
    assert_int_equal(config_origin(cfg, "THREADS"), ORIGIN_FLAG);
    assert_int_equal(config_origin(cfg, "POOL_THREADS"), ORIGIN_ENVIRONMENT);
    assert_int_equal(config_origin(cfg, "MAX_CONNECTIONS"), ORIGIN_DOTENV);
    assert_int_equal(config_origin(cfg, "UPSTREAM_QUEUE"), ORIGIN_FILE);
    assert_int_equal(config_origin(cfg, "UPSTREAM_RETRIES"), ORIGIN_DEFAULT);
    config_free(cfg);
    char env_file[48];
    snprintf(env_file, sizeof(env_file), "--env-file=%s", dotenv);
    cfg = load_args(env_file);
    assert_int_equal(cfg->threads, 2);
    config_free(cfg);
    unlink(json);
    unlink(dotenv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_in_every_form),
        cmocka_unit_test(wrong_options_are_all_named),
        cmocka_unit_test(callers_own_flags_pass),
        cmocka_unit_test(environment_names),
        cmocka_unit_test(the_first_name_wins_and_the_conflict_is_said),
        cmocka_unit_test(production_wins_in_either_name),
        cmocka_unit_test(dotenv_syntax),
        cmocka_unit_test(dotenv_mistakes),
        cmocka_unit_test(appsettings),
        cmocka_unit_test(urls_alone),
        cmocka_unit_test(json_names),
        cmocka_unit_test(json_mistakes),
        cmocka_unit_test(comments_inside_strings_stay),
        cmocka_unit_test(every_source_goes_before_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
