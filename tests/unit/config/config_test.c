/* The whole: defaults, what follows from what, printing, reload, and what production asks for. */
#include "load.h"

static void defaults(void **state)
{
    (void)state;
    struct config *cfg = load_env("LANG=C");
    assert_non_null(cfg);
    assert_int_equal(cfg->port_list.count, 1);
    assert_int_equal(cfg->port_list.items[0], 8080);
    assert_string_equal(cfg->host, "127.0.0.1");
    assert_false(cfg->production);
    assert_int_equal(cfg->max_connections_per_address, 0);
    assert_int_equal(cfg->rate_limit_max_requests, 0);
    assert_int_equal(cfg->rate_limit_login_max, 0);
    assert_int_equal(cfg->rate_limit_window_ms, 900000);
    assert_int_equal(cfg->jwt_expires_in_ms, 86400000);
    assert_int_equal(cfg->llm_provider, PROVIDER_AUTO);
    assert_string_equal(cfg->openai_base_url, "https://api.openai.com/v1");
    assert_string_equal(cfg->aimcs_model, "o4-mini");
    assert_string_equal(cfg->openai_chat_model, "gpt-4o");
    assert_string_equal(cfg->chat_model, "gpt-4");
    assert_string_equal(cfg->care_model, "gpt-3.5-turbo");
    assert_null(cfg->openai_api_key);
    assert_null(cfg->access_log_file);
    assert_int_equal(cfg->log_level, LOG_INFO);
    assert_int_equal(cfg->warnings.count, 0);
    assert_null(config_free(cfg));
    assert_null(config_free(NULL));
}

static void production_defaults(void **state)
{
    (void)state;
    struct config *cfg = load_env("NODE_ENV=production", "RATE_LIMIT_LOGIN_MAX=0", "ACCESS_LOG_FILE=-");
    assert_int_equal(cfg->rate_limit_max_requests, 3000);
    assert_int_equal(cfg->rate_limit_login_max, 0);
    assert_int_equal(cfg->max_connections_per_address, 256);
    assert_null(cfg->access_log_file);
    config_free(cfg);
}

static void one_model_for_all_but_those_set(void **state)
{
    (void)state;
    struct config *cfg =
        load_env("LLM_MODEL=llama3", "CHAT_MODEL=mine", "OPENAI_MODEL=gpt-4", "AZURE_OPENAI_DEPLOYMENT=d");
    assert_string_equal(cfg->aimcs_model, "llama3");
    assert_string_equal(cfg->openai_chat_model, "llama3");
    assert_string_equal(cfg->pichat_model, "llama3");
    assert_string_equal(cfg->chat_model, "mine");
    assert_string_equal(cfg->care_model, "gpt-4");
    config_free(cfg);
}

static void keys_stay_with_their_address(void **state)
{
    (void)state;
    struct config *cfg = load_env("OPENAI_API_KEY=ok", "AZURE_OPENAI_API_KEY=ak", "AZURE_OPENAI_ENDPOINT=https://z/",
                                  "AZURE_OPENAI_DEPLOYMENT=d",
                                  "LLM_UPSTREAMS=[{\"name\":\"a\"},{\"name\":\"b\",\"base_url\":\"http://b\"},"
                                  "{\"name\":\"c\",\"provider\":\"azure\"},{\"name\":\"d\",\"api_key\":\"own\"}]");
    const struct config_upstream *up = cfg->llm_upstreams.items;
    assert_string_equal(up[0].base_url, "https://api.openai.com/v1");
    assert_string_equal(up[0].api_key, "ok");
    assert_null(up[1].api_key);
    assert_string_equal(up[2].base_url, "https://z");
    assert_string_equal(up[2].api_key, "ak");
    assert_string_equal(up[2].deployment, "d");
    assert_string_equal(up[2].api_version, "2025-01-01-preview");
    assert_string_equal(up[3].api_key, "own");
    config_free(cfg);
}

static void star_is_taken_out_of_the_origins(void **state)
{
    (void)state;
    struct config *cfg = load_env("CORS_ORIGINS=https://a,*,https://b", "FRONTEND_URL=https://c");
    assert_true(cfg->cors_any);
    assert_int_equal(cfg->cors_origins.count, 2);
    assert_string_equal(cfg->cors_origins.items[1], "https://b");
    assert_int_equal(cfg->frontend_url.count, 1);
    config_free(cfg);
}

static void what_belongs_together(void **state)
{
    (void)state;
    struct buf problems = BUF_INIT(KIB(64));
    assert_null(load_with(NULL, ARGS("TLS_KEY=k.pem", "LLM_PROVIDER=azure"), NULL, &problems));
    assert_true(has_text(&problems, "TLS_KEY is set but TLS_CERT is not"));
    assert_true(has_text(&problems, "LLM_PROVIDER=azure needs AZURE_OPENAI_ENDPOINT"));
    buf_clear(&problems);
    assert_null(load_with(NULL, ARGS("LLM_UPSTREAMS=[{\"name\":\"z\",\"provider\":\"azure\"}]"), NULL, &problems));
    assert_true(has_text(&problems, "\"z\" needs a base_url"));
    struct config *cfg = load_env("LLM_PROVIDER=openai", "AZURE_OPENAI_KEY=your_openai_key");
    assert_true(warns(cfg, "without OPENAI_API_KEY"));
    assert_true(warns(cfg, "AZURE_OPENAI_API_KEY still holds the sample value"));
    config_free(cfg);
    cfg = load_env("LLM_PROVIDER=openai", "OPENAI_BASE_URL=http://127.0.0.1:1/v1");
    assert_int_equal(cfg->warnings.count, 0);
    config_free(cfg);
    buf_free(&problems);
}

static void every_wrong_value_is_named_and_no_secret_shown(void **state)
{
    (void)state;
    struct buf problems = BUF_INIT(KIB(64));
    struct err e;
    struct config_source src = {0, NULL,
                                ARGS("SERVER_PORT=http", "NODE_ENV=staging", "MAX_FILE_SIZE=big",
                                     "API_TOKEN=hush\001hush", "HTTPS_PROXY=ftp://me:hush@h",
                                     "LLM_UPSTREAMS=[{\"api_key\":\"hush\"}]"),
                                NO_FILE, NULL};
    assert_null(config_load(&src, &problems, &e));
    assert_true(has_text(&problems, "SERVER_PORT=http (environment): must be a comma list of up to 32 ports"));
    assert_true(has_text(&problems, "NODE_ENV=staging (environment): must be one of development, production, test\n"));
    assert_true(has_text(&problems, "MAX_FILE_SIZE=big (environment): must be a size from 1B to 1GiB"));
    assert_true(has_text(&problems, "API_TOKEN (environment): must not contain control characters\n"));
    assert_true(has_text(&problems, "HTTPS_PROXY (environment): must be a URL"));
    assert_true(has_text(&problems, "LLM_UPSTREAMS (environment): entry 1 needs a \"name\"\n"));
    assert_false(has_text(&problems, "hush"));
    assert_true(str_starts(str_c(e.text), STR("NODE_ENV=staging")));
    assert_null(config_load(&src, NULL, NULL));
    buf_free(&problems);
}

static void printing_masks_secrets_and_says_where_from(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(KIB(128)), tiny = BUF_INIT(100);
    struct config *cfg = load_with(ARGS("--port=0"),
                                   ARGS("OPENAI_API_KEY=hush1", "JWT_SECRET=hush2", "MONGODB_URI=mongodb://u:hush3@h/d",
                                        "HTTP_PROXY=http://u:hush4@p:1", "API_TOKEN=hush5",
                                        "LLM_UPSTREAMS=[{\"name\":\"main\",\"api_key\":\"hush6\"}]"),
                                   NULL, NULL);
    assert_int_equal(config_print(&out, cfg), 0);
    assert_false(has_text(&out, "hush"));
    for (size_t i = 0; i < settings_count; i++)
        assert_true(has_text(&out, settings[i].names[0] ? settings[i].names[0] : settings[i].help));
    struct str rest = buf_str(&out), line;
    bool port = false, key = false, unset = false, proxy = false, pool = false;
    while (str_split(&rest, '\n', &line)) {
        port |= str_starts(line, STR("PORT ")) && str_ends(line, STR(" 0  (command line)"));
        key |= str_starts(line, STR("OPENAI_API_KEY ")) && str_ends(line, STR(" set  (environment)"));
        unset |= str_starts(line, STR("COSMOS_KEY ")) && str_ends(line, STR(" unset  (default)"));
        proxy |= str_starts(line, STR("HTTP_PROXY ")) && str_ends(line, STR(" http://***@p:1  (environment)"));
        pool |= str_starts(line, STR("LLM_UPSTREAMS ")) && str_ends(line, STR(" main  (environment)"));
    }
    assert_true(port && key && unset && proxy && pool);
    assert_int_equal(config_print(&tiny, cfg), -1);
    config_free(cfg);
    buf_free(&out);
    buf_free(&tiny);
}

static void secrets_on_the_command_line_are_warned_of(void **state)
{
    (void)state;
    struct config *cfg = load_args("--api-token=0123456789abcdef");
    assert_string_equal(cfg->api_token, "0123456789abcdef");
    assert_true(warns(cfg, "API_TOKEN on the command line is visible"));
    config_free(cfg);
}

static void reload_takes_over_what_may_change(void **state)
{
    (void)state;
    struct config *old = load_env("LOG_LEVEL=info", "PORT=1", "JWT_SECRET=a", "API_TOKEN=t1");
    struct config_source src = {0, NULL, ARGS("LOG_LEVEL=debug", "PORT=2", "API_TOKEN=t2", "DATA_DIR=/x"), NO_FILE,
                                NULL};
    struct err e;
    struct config *cfg = config_reload(old, &src, NULL, &e);
    assert_non_null(cfg);
    assert_int_equal(cfg->log_level, LOG_DEBUG);
    assert_string_equal(cfg->api_token, "t2");
    assert_int_equal(cfg->port_list.items[0], 1);
    assert_string_equal(cfg->jwt_secret, "a");
    assert_string_equal(cfg->data_dir, "./data");
    assert_true(warns(cfg, "PORT changed"));
    assert_true(warns(cfg, "JWT_SECRET changed"));
    assert_true(warns(cfg, "DATA_DIR changed"));
    assert_int_equal(cfg->warnings.count, 3);
    config_free(old);
    struct config_source wrong = {0, NULL, ARGS("LOG_LEVEL=loud"), NO_FILE, NULL};
    assert_null(config_reload(cfg, &wrong, NULL, &e));
    assert_int_equal(cfg->log_level, LOG_DEBUG);
    config_free(cfg);
}

static const char *secret_is_fine(struct str secret)
{
    return secret.n ? NULL : "is not set";
}

static int check(struct config *cfg, struct buf *errors, struct buf *warnings)
{
    buf_clear(errors);
    buf_clear(warnings);
    int rc = config_production_check(cfg, secret_is_fine, errors, warnings);
    config_free(cfg);
    return rc;
}

static void what_production_refuses(void **state)
{
    (void)state;
    struct buf errors = BUF_INIT(KIB(16)), warnings = BUF_INIT(KIB(16));
    assert_int_equal(check(load_env("ENVIRONMENT=production", "API_TOKEN=your_secure_token_here"), &errors, &warnings),
                     -1);
    assert_true(has_text(&errors, "JWT_SECRET: is not set; make one with"));
    assert_true(has_text(&errors, "API_TOKEN: is the sample value"));
    assert_true(has_text(&warnings, "HOST: not set"));
    assert_int_equal(check(load_env("ENVIRONMENT=production", "JWT_SECRET=x", "OPEN_DIALECTS=chat,care", "HOST=0.0.0.0",
                                    "CORS_ORIGINS=*", "RATE_LIMIT_MAX_REQUESTS=0", "RATE_LIMIT_LOGIN_MAX=0"),
                           &errors, &warnings),
                     0);
    assert_int_equal(errors.len, 0);
    const char *const expected[] = {"aimcs, openai, pichat: closed",
                                    "METRICS: closed",
                                    "unencrypted",
                                    "at your cost",
                                    "as any user",
                                    "CORS_ORIGINS: *",
                                    "RATE_LIMIT_MAX_REQUESTS: off",
                                    "RATE_LIMIT_LOGIN_MAX: off"};
    for (size_t i = 0; i < COUNT(expected); i++)
        assert_true(has_text(&warnings, expected[i]));
    assert_false(has_text(&warnings, "HOST:"));
    assert_int_equal(check(load_env("ENVIRONMENT=production", "JWT_SECRET=x", "HOST=0.0.0.0", "TRUST_PROXY=1",
                                    "API_TOKEN=0123456789abcdef0123456789abcdef"),
                           &errors, &warnings),
                     0);
    assert_int_equal(warnings.len, 0);
    assert_int_equal(check(load_env("HOST=127.0.0.1"), &errors, &warnings), 0);
    assert_int_equal(warnings.len, 0);
    assert_int_equal(check(load_env("HOST=0.0.0.0"), &errors, &warnings), 0);
    assert_true(has_text(&warnings, "open to all of them"));
    buf_free(&errors);
    buf_free(&warnings);
}

static void conformance_is_for_tests(void **state)
{
    (void)state;
    struct buf errors = BUF_INIT(KIB(16)), warnings = BUF_INIT(KIB(16));
    assert_int_equal(check(load_env("ENVIRONMENT=production", "JWT_SECRET=x", "CONFORMANCE=true"), &errors, &warnings),
                     -1);
    assert_true(has_text(&errors, "CONFORMANCE: "));
    assert_int_equal(check(load_env("ENVIRONMENT=production", "JWT_SECRET=x", "CONFORMANCE=false"), &errors, &warnings),
                     0);
    assert_int_equal(check(load_env("ENVIRONMENT=test", "CONFORMANCE=true"), &errors, &warnings), 0);
    assert_int_equal(errors.len, 0);
    buf_free(&errors);
    buf_free(&warnings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(production_defaults),
        cmocka_unit_test(one_model_for_all_but_those_set),
        cmocka_unit_test(keys_stay_with_their_address),
        cmocka_unit_test(star_is_taken_out_of_the_origins),
        cmocka_unit_test(what_belongs_together),
        cmocka_unit_test(every_wrong_value_is_named_and_no_secret_shown),
        cmocka_unit_test(printing_masks_secrets_and_says_where_from),
        cmocka_unit_test(secrets_on_the_command_line_are_warned_of),
        cmocka_unit_test(reload_takes_over_what_may_change),
        cmocka_unit_test(what_production_refuses),
        cmocka_unit_test(conformance_is_for_tests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
