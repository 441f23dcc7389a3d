#include "contract/store/suite.h"

static void settings_are_per_owner_and_key(struct fixture *f)
{
    struct setting theme = {.owner = STR("u1"), .key = STR("theme"), .value = STR("\"dark\"")}, got;
    struct setting_ref ref = {STR("u1"), STR("theme")};
    struct setting_page page;
    assert_error(f, store_setting_get(f->st, f->a, &ref, &got, &f->e), ERR_NOT_FOUND);
    assert_ok(f, store_setting_put(f->st, &theme, &f->e));
    theme.value = STR("\"light\"");
    theme.updated_us = 77;
    assert_ok(f, store_setting_put(f->st, &theme, &f->e));
    struct setting other = {.owner = STR("u1"), .key = STR("lang"), .value = STR("1")};
    assert_ok(f, store_setting_put(f->st, &other, &f->e));
    other.owner = STR("u2");
    assert_ok(f, store_setting_put(f->st, &other, &f->e));
    reopen(f);
    assert_ok(f, store_setting_get(f->st, f->a, &ref, &got, &f->e));
    assert_str(got.value, "\"light\"");
    assert_int_equal(got.updated_us, 77);
    assert_ok(f, store_setting_list(f->st, f->a, STR("u1"), &page, &f->e));
    assert_int_equal(page.n, 2);
    assert_str(page.items[0].key, "lang");
    assert_str(page.items[1].key, "theme");
    assert_ok(f, store_setting_delete(f->st, &ref, &f->e));
    assert_error(f, store_setting_delete(f->st, &ref, &f->e), ERR_NOT_FOUND);
    assert_ok(f, store_setting_list(f->st, f->a, STR("u1"), &page, &f->e));
    assert_int_equal(page.n, 1);
    theme.key = STR_NONE;
    assert_error(f, store_setting_put(f->st, &theme, &f->e), ERR_INVALID_REQUEST);
}

static void a_setting_that_is_added_replaces_nothing(struct fixture *f)
{
    struct setting theme = {.owner = STR("u1"), .key = STR("theme"), .value = STR("\"dark\""), .updated_us = 5}, got;
    struct setting_ref ref = {STR("u1"), STR("theme")};
    assert_ok(f, store_setting_add(f->st, &theme, &f->e));
    theme.value = STR("\"light\"");
    assert_ok(f, store_setting_add(f->st, &theme, &f->e));
    theme.owner = STR("u2");
    assert_ok(f, store_setting_add(f->st, &theme, &f->e));
    reopen(f);
    assert_ok(f, store_setting_get(f->st, f->a, &ref, &got, &f->e));
    assert_str(got.value, "\"dark\"");
    assert_int_equal(got.updated_us, 5);
    ref.owner = STR("u2");
    assert_ok(f, store_setting_get(f->st, f->a, &ref, &got, &f->e));
    assert_str(got.value, "\"light\"");
    assert_ok(f, store_setting_put(f->st, &theme, &f->e));
    assert_ok(f, store_setting_delete(f->st, &ref, &f->e));
    assert_ok(f, store_setting_add(f->st, &theme, &f->e));
    assert_ok(f, store_setting_get(f->st, f->a, &ref, &got, &f->e));
    theme.key = STR_NONE;
    assert_error(f, store_setting_add(f->st, &theme, &f->e), ERR_INVALID_REQUEST);
}

static void processed_ids_are_new_once(struct fixture *f)
{
    int64_t is_new = -1, count = -1;
    struct processed p = {.id = STR("m1"), .device_id = STR("d"), .at_us = 100};
    assert_ok(f, store_processed_add(f->st, &p, &is_new, &f->e));
    assert_int_equal(is_new, 1);
    assert_ok(f, store_processed_add(f->st, &p, &is_new, &f->e));
    assert_int_equal(is_new, 0);
    p = (struct processed){.id = STR("m2"), .at_us = 200};
    assert_ok(f, store_processed_add(f->st, &p, &is_new, &f->e));
    reopen(f);
    assert_ok(f, store_processed_purge(f->st, 200, &count, &f->e));
    assert_int_equal(count, 1);
    assert_ok(f, store_processed_add(f->st, &p, &is_new, &f->e));
    assert_int_equal(is_new, 0);
    p.id = STR("m1");
    assert_ok(f, store_processed_add(f->st, &p, &is_new, &f->e));
    assert_int_equal(is_new, 1);
    p.id = STR_NONE;
    assert_error(f, store_processed_add(f->st, &p, &is_new, &f->e), ERR_INVALID_REQUEST);
}

static void usage_adds_up(struct fixture *f)
{
    static const struct {
        const char *conversation, *model;
        int64_t prompt, completion, at;
    } rows[] = {{"c1", "gpt-4", 10, 1, 100}, {"c1", "gpt-4o", 20, 2, 200}, {"c2", "gpt-4", 40, 4, 300}};
    struct usage_total total;
    make_conversation(f, "chat", "c1", 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct usage u = {.conversation_id = str_c(rows[i].conversation),
                          .message_id = STR("m"),
                          .model = str_c(rows[i].model),
                          .prompt_tokens = rows[i].prompt,
                          .completion_tokens = rows[i].completion,
                          .at_us = rows[i].at};
        assert_ok(f, store_usage_add(f->st, &u, &f->e));
    }
    assert_ok(f, store_conversation_delete(f->st, STR("c1"), &f->e));
    reopen(f);
    struct usage_query query = {0};
    assert_ok(f, store_usage_total(f->st, &query, &total, &f->e));
    assert_int_equal(total.turns, 3);
    assert_int_equal(total.prompt_tokens, 70);
    assert_int_equal(total.completion_tokens, 7);
    query.conversation_id = STR("c1");
    assert_ok(f, store_usage_total(f->st, &query, &total, &f->e));
    assert_int_equal(total.prompt_tokens, 30);
    query.model = STR("gpt-4");
    assert_ok(f, store_usage_total(f->st, &query, &total, &f->e));
    assert_int_equal(total.turns, 1);
    query = (struct usage_query){.from_us = 200, .until_us = 300};
    assert_ok(f, store_usage_total(f->st, &query, &total, &f->e));
    assert_int_equal(total.prompt_tokens, 20);
    query.model = STR("none");
    assert_ok(f, store_usage_total(f->st, &query, &total, &f->e));
    assert_int_equal(total.turns, 0);
    assert_int_equal(total.prompt_tokens, 0);
}

static void stats_count(struct fixture *f)
{
    struct store_stats stats;
    struct user user = {.email = STR("a@b.cd")}, made;
    struct agent agent = {.owner = STR("u")}, kept;
    assert_ok(f, store_user_create(f->st, f->a, &user, &made, &f->e));
    assert_ok(f, store_agent_create(f->st, f->a, &agent, &kept, &f->e));
    make_conversation(f, "chat", "c1", 3);
    make_conversation(f, "chat", "c2", 4);
    assert_ok(f, store_stats(f->st, &stats, &f->e));
    assert_int_equal(stats.users, 1);
    assert_int_equal(stats.agents, 1);
    assert_int_equal(stats.conversations, 2);
    assert_int_equal(stats.messages, 7);
    assert_true(stats.bytes > 0 && stats.schema > 0);
}

const struct suite_test other_tests[] = {
    {"settings are per owner and key", settings_are_per_owner_and_key},
    {"a setting that is added replaces nothing", a_setting_that_is_added_replaces_nothing},
    {"processed ids are new once", processed_ids_are_new_once},
    {"usage adds up", usage_adds_up},
    {"stats count", stats_count},
    {0},
};
