#include "contract/store/suite.h"

static struct user user_named(const char *name, const char *email)
{
    return (struct user){
        .name = str_c(name), .email = str_c(email), .role = STR("user"), .password_hash = STR("$2b$x")};
}

static void user_is_found_by_id_and_email(struct fixture *f)
{
    struct user in = user_named("Ada", "ada@example.org"), made, got;
    in.meta = STR("{\"k\":1}");
    in.avatar = STR("/a.png");
    assert_ok(f, store_user_create(f->st, f->a, &in, &made, &f->e));
    assert_int_equal(made.id.n, 36);
    assert_true(made.created_us > 0 && made.updated_us == made.created_us);
    reopen(f);
    assert_ok(f, store_user_get(f->st, f->a, made.id, &got, &f->e));
    assert_str(got.email, "ada@example.org");
    assert_str(got.name, "Ada");
    assert_str(got.role, "user");
    assert_str(got.password_hash, "$2b$x");
    assert_str(got.avatar, "/a.png");
    assert_str(got.meta, "{\"k\":1}");
    assert_int_equal(got.created_us, made.created_us);
    assert_ok(f, store_user_by_email(f->st, f->a, STR("ada@example.org"), &got, &f->e));
    assert_true(str_eq(got.id, made.id));
}

static void user_email_is_unique(struct fixture *f)
{
    struct user in = user_named("Ada", "ada@example.org"), other = user_named("Bob", "bob@example.org"), made, got;
    assert_ok(f, store_user_create(f->st, f->a, &in, &made, &f->e));
    assert_error(f, store_user_create(f->st, f->a, &in, &got, &f->e), ERR_CONFLICT);
    assert_ok(f, store_user_create(f->st, f->a, &other, &got, &f->e));
    struct user_change change = {.to = {.id = got.id, .email = STR("ada@example.org")}, .set = USER_SET_EMAIL};
    assert_error(f, store_user_update(f->st, f->a, &change, &got, &f->e), ERR_CONFLICT);
    in.email = STR("new@example.org");
    in.id = made.id;
    assert_error(f, store_user_create(f->st, f->a, &in, &got, &f->e), ERR_CONFLICT);
    assert_error(f, store_user_by_email(f->st, f->a, STR("new@example.org"), &got, &f->e), ERR_NOT_FOUND);
}

static void user_update_sets_only_what_is_named(struct fixture *f)
{
    struct user in = user_named("Ada", "ada@example.org"), made, got;
    assert_ok(f, store_user_create(f->st, f->a, &in, &made, &f->e));
    struct user_change change = {.set = USER_SET_NAME | USER_SET_ROLE};
    change.to = (struct user){
        .id = made.id, .name = STR("Ada L."), .role = STR("admin"), .email = STR("no"), .updated_us = INT64_MAX};
    assert_ok(f, store_user_update(f->st, f->a, &change, &got, &f->e));
    assert_ok(f, store_user_get(f->st, f->a, made.id, &got, &f->e));
    assert_str(got.name, "Ada L.");
    assert_str(got.role, "admin");
    assert_str(got.email, "ada@example.org");
    assert_int_equal(got.updated_us, INT64_MAX);
    change.set = USER_SET_EMAIL | USER_SET_PASSWORD | USER_SET_AVATAR | USER_SET_META;
    change.to = (struct user){.id = made.id,
                              .email = STR("l@example.org"),
                              .password_hash = STR("h2"),
                              .avatar = STR("b.png"),
                              .meta = STR("{}")};
    assert_ok(f, store_user_update(f->st, f->a, &change, &got, &f->e));
    assert_str(got.email, "l@example.org");
    assert_str(got.password_hash, "h2");
    assert_str(got.avatar, "b.png");
    assert_str(got.meta, "{}");
    assert_str(got.name, "Ada L.");
}

static void user_errors(struct fixture *f)
{
    struct user in = user_named("Ada", ""), got = {.name = STR("untouched")};
    assert_error(f, store_user_create(f->st, f->a, &in, &got, &f->e), ERR_INVALID_REQUEST);
    assert_error(f, store_user_get(f->st, f->a, STR("nobody"), &got, &f->e), ERR_NOT_FOUND);
    assert_error(f, store_user_by_email(f->st, f->a, STR(""), &got, &f->e), ERR_NOT_FOUND);
    struct user_change change = {.to.id = STR("nobody"), .set = USER_SET_NAME};
    assert_error(f, store_user_update(f->st, f->a, &change, &got, &f->e), ERR_NOT_FOUND);
    assert_str(got.name, "untouched");
    char id[LIMIT_ID + 1];
    memset(id, 'x', sizeof id);
    in = user_named("Ada", "a@example.org");
    in.id = str_n(id, sizeof id);
    assert_error(f, store_user_create(f->st, f->a, &in, &got, &f->e), ERR_INVALID_REQUEST);
    in.id.n--;
    assert_ok(f, store_user_create(f->st, f->a, &in, &got, &f->e));
}

static struct agent agent_of(const char *owner, const char *name)
{
    return (struct agent){.owner = str_c(owner), .name = str_c(name), .company = STR("Acme"), .prompts = STR("[]")};
}

static void agent_belongs_to_its_owner(struct fixture *f)
{
    struct agent in = agent_of("u1", "Sam"), made, got;
    in.personality = STR("calm");
    in.info = STR("We sell anvils.");
    in.meta = STR("{\"maxTokens\":9}");
    assert_ok(f, store_agent_create(f->st, f->a, &in, &made, &f->e));
    assert_error(f, store_agent_create(f->st, f->a, &made, &got, &f->e), ERR_CONFLICT);
    reopen(f);
    struct agent_ref mine = {STR("u1"), made.id}, others = {STR("u2"), made.id}, anyone = {STR(""), made.id};
    assert_ok(f, store_agent_get(f->st, f->a, &mine, &got, &f->e));
    assert_str(got.info, "We sell anvils.");
    assert_str(got.personality, "calm");
    assert_str(got.company, "Acme");
    assert_str(got.prompts, "[]");
    assert_str(got.meta, "{\"maxTokens\":9}");
    assert_ok(f, store_agent_get(f->st, f->a, &anyone, &got, &f->e));
    assert_error(f, store_agent_get(f->st, f->a, &others, &got, &f->e), ERR_NOT_FOUND);
    struct agent_change change = {.to = {.id = made.id, .owner = STR("u2"), .name = STR("Max")}, .set = AGENT_SET_NAME};
    assert_error(f, store_agent_update(f->st, f->a, &change, &got, &f->e), ERR_NOT_FOUND);
    change.to.owner = STR("u1");
    assert_ok(f, store_agent_update(f->st, f->a, &change, &got, &f->e));
    assert_str(got.name, "Max");
    assert_str(got.company, "Acme");
    assert_true(got.updated_us >= made.updated_us);
    change = (struct agent_change){.to = {.id = made.id,
                                          .company = STR("B"),
                                          .personality = STR("C"),
                                          .info = STR("D"),
                                          .prompts = STR("[1]"),
                                          .meta = STR("{}")},
                                   .set = 2 | 4 | 8 | 16 | 32};
    assert_ok(f, store_agent_update(f->st, f->a, &change, &got, &f->e));
    assert_str(got.company, "B");
    assert_str(got.personality, "C");
    assert_str(got.info, "D");
    assert_str(got.prompts, "[1]");
    assert_str(got.meta, "{}");
    assert_error(f, store_agent_delete(f->st, &others, &f->e), ERR_NOT_FOUND);
    assert_ok(f, store_agent_delete(f->st, &mine, &f->e));
    assert_error(f, store_agent_delete(f->st, &mine, &f->e), ERR_NOT_FOUND);
    assert_error(f, store_agent_get(f->st, f->a, &mine, &got, &f->e), ERR_NOT_FOUND);
}

static void agents_are_listed_by_owner_oldest_first(struct fixture *f)
{
    for (int i = 0; i < 7; i++) {
        struct agent in = agent_of(i == 3 ? "u2" : "u1", "x"), out;
        in.id = arena_printf(f->a, "agent-%d", i);
        in.created_us = i < 5 ? 1000 + i : 1005; /* the last two at the same time */
        assert_ok(f, store_agent_create(f->st, f->a, &in, &out, &f->e));
    }
    static const char *const want[] = {"agent-0", "agent-1", "agent-2", "agent-4", "agent-5", "agent-6"};
    struct agent_query query = {.owner = STR("u1"), .limit = 2};
    struct agent_page page;
    size_t seen = 0;
    do {
        assert_ok(f, store_agent_list(f->st, f->a, &query, &page, &f->e));
        assert_true(page.n == 2);
        for (size_t i = 0; i < page.n; i++, seen++)
            assert_str(page.items[i].id, want[seen]);
        query.cursor = page.next;
    } while (page.next.n);
    assert_int_equal(seen, COUNT(want));
    query = (struct agent_query){.owner = STR("nobody")};
    assert_ok(f, store_agent_list(f->st, f->a, &query, &page, &f->e));
    assert_int_equal(page.n, 0);
    query.cursor = STR("nonsense");
    assert_error(f, store_agent_list(f->st, f->a, &query, &page, &f->e), ERR_INVALID_REQUEST);
}

const struct suite_test people_tests[] = {
    {"user is found by id and e-mail", user_is_found_by_id_and_email},
    {"user e-mail is unique", user_email_is_unique},
    {"user update sets only what is named", user_update_sets_only_what_is_named},
    {"user errors", user_errors},
    {"agent belongs to its owner", agent_belongs_to_its_owner},
    {"agents are listed by owner, oldest first", agents_are_listed_by_owner_oldest_first},
    {0},
};
