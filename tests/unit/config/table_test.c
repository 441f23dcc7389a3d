/* The table itself: every row can be reached, read, shown and explained. */
#include "load.h"

#include "config/value.h"

static void names_are_distinct_in_every_spelling(void **state)
{
    (void)state;
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *s = &settings[i];
        assert_true((s->type == SETTING_HEADING) == !s->names[0]);
        for (unsigned k = 0; k < COUNT(s->names) && s->names[k]; k++) {
            unsigned rank = 99;
            assert_ptr_equal(setting_find(str_c(s->names[k]), &rank), s);
            assert_int_equal(rank, k);
            /* http_proxy is HTTP_PROXY to those who do not mind the case */
            assert_ptr_equal(setting_find_loose(str_c(s->names[k]), NULL), s);
        }
    }
    assert_null(setting_find(STR("PATH"), NULL));
    assert_null(setting_find(STR(""), NULL));
    assert_null(setting_find_loose(STR(""), NULL));
    assert_null(setting_find_loose(STR("_-"), NULL));
}

static void every_default_is_allowed(void **state)
{
    (void)state;
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *s = &settings[i];
        const char *texts[] = {s->fallback, s->production};
        struct arena *a = arena_new("test");
        struct config cfg = {0};
        struct err e;
        for (size_t k = 0; k < COUNT(texts); k++)
            if (texts[k])
                assert_int_equal(value_parse(s, str_c(texts[k]), &cfg, a, &e), 0);
        assert_false((s->flags & SETTING_SECRET) && s->fallback);
        assert_true(s->help && *s->help);
        arena_free(a);
    }
}

static void every_row_has_its_own_field(void **state)
{
    (void)state;
    for (size_t i = 0; i < settings_count; i++)
        for (size_t k = 0; k < i; k++)
            if (settings[i].type != SETTING_HEADING && settings[k].type != SETTING_HEADING)
                assert_true(settings[i].offset != settings[k].offset);
}

static void variables_of_the_documents_are_known(void **state)
{
    (void)state;
    static const char *const names[] = {"PORT",
                                        "SERVER_PORT",
                                        "NODE_ENV",
                                        "ENVIRONMENT",
                                        "FRONTEND_URL",
                                        "OPENAI_API_KEY",
                                        "OPENAI_OPENAI_API_KEY",
                                        "OPENAI_MODEL",
                                        "OPENAI_BASE_URL",
                                        "LOG_LEVEL",
                                        "RATE_LIMIT_WINDOW_MS",
                                        "RATE_LIMIT_MAX_REQUESTS",
                                        "MONGODB_URI",
                                        "JWT_SECRET",
                                        "JWT_EXPIRES_IN",
                                        "LIVEKIT_API_KEY",
                                        "LIVEKIT_API_SECRET",
                                        "LIVEKIT_URL",
                                        "LIVEKIT_WS_URL",
                                        "MAX_FILE_SIZE",
                                        "UPLOAD_PATH",
                                        "AVATAR_PATH",
                                        "AUDIO_PATH",
                                        "ALLOWED_FILE_TYPES",
                                        "API_TOKEN",
                                        "COSMOS_ENDPOINT",
                                        "COSMOS_KEY",
                                        "COSMOS_DATABASE",
                                        "COSMOS_CONTAINER_CHATS",
                                        "COSMOS_CONTAINER_MESSAGES",
                                        "COSMOS_CONTAINER_USERS",
                                        "COSMOS_CONTAINER_SETTINGS",
                                        "COSMOS_CONTAINER_PROCESSED_MESSAGES",
                                        "COSMOS_MONGO_URI",
                                        "AZURE_OPENAI_ENDPOINT",
                                        "AZURE_OPENAI_KEY",
                                        "AZURE_OPENAI_API_KEY",
                                        "AZURE_OPENAI_API_VERSION",
                                        "AZURE_OPENAI_DEPLOYMENT",
                                        "AZURE_OPENAI_DEPLOYMENT_NAME",
                                        "AZURE_OPENAI_TTS_DEPLOYMENT",
                                        "AZURE_OPENAI_AUDIO_DEPLOYMENT",
                                        "AZURE_SPEECH_KEY",
                                        "AZURE_SPEECH_REGION",
                                        "IOT_HUB_NAME",
                                        "IOT_HUB_HOST_NAME",
                                        "IOT_HUB_CONSUMER_GROUP",
                                        "IOT_HUB_ENABLE",
                                        "IOT_HUB_SERVICE_KEY",
                                        "EVENT_HUB_COMPATIBLE_CONN_STR",
                                        "USE_AZURE_CLI_FOR_C2D"};
    for (size_t i = 0; i < COUNT(names); i++)
        assert_non_null(setting_find(str_c(names[i]), NULL));
}

static void flags_follow_the_names(void **state)
{
    (void)state;
    char flag[SETTING_FLAG_MAX];
    setting_flag(flag, "RATE_LIMIT_MAX_REQUESTS");
    assert_string_equal(flag, "--rate-limit-max-requests");
    for (size_t i = 0; i < settings_count; i++)
        if (settings[i].names[0]) {
            setting_flag(flag, settings[i].names[0]);
            assert_ptr_equal(setting_find_loose(str_c(flag + 2), NULL), &settings[i]);
        }
}

static void slips_of_the_hand_find_the_nearest_name(void **state)
{
    (void)state;
    assert_string_equal(setting_nearest(STR("prot"))->names[0], "PORT");
    assert_string_equal(setting_nearest(STR("rate-limit-max-request"))->names[0], "RATE_LIMIT_MAX_REQUESTS");
    assert_string_equal(setting_nearest(STR("loglevl"))->names[0], "LOG_LEVEL");
    assert_null(setting_nearest(STR("quite-something-else")));
    assert_null(setting_nearest(STR("")));
    char longest[200];
    memset(longest, 'a', sizeof(longest));
    assert_null(setting_nearest(str_n(longest, sizeof(longest))));
}

static void help_names_every_option(void **state)
{
    (void)state;
    struct buf help = BUF_INIT(KIB(128)), tiny = BUF_INIT(10);
    char flag[SETTING_FLAG_MAX];
    assert_int_equal(config_help(&help), 0);
    for (size_t i = 0; i < settings_count; i++)
        if (settings[i].names[0]) {
            setting_flag(flag, settings[i].names[0]);
            assert_true(has_text(&help, settings[i].type == SETTING_BOOL ? flag + 2 : flag));
        }
    struct str rest = buf_str(&help), line;
    while (str_split(&rest, '\n', &line))
        assert_true(line.n <= 110);
    assert_int_equal(config_help(&tiny), -1);
    assert_int_equal(config_markdown(&tiny), -1);
    buf_free(&help);
    buf_free(&tiny);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_distinct_in_every_spelling),
        cmocka_unit_test(every_default_is_allowed),
        cmocka_unit_test(every_row_has_its_own_field),
        cmocka_unit_test(variables_of_the_documents_are_known),
        cmocka_unit_test(flags_follow_the_names),
        cmocka_unit_test(slips_of_the_hand_find_the_nearest_name),
        cmocka_unit_test(help_names_every_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
