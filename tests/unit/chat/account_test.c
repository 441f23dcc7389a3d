#include "unit/chat/account_env.h"

#include "auth/password.h"

static void in_and_in_again(struct kit *kit)
{
    struct account_session first = joined(kit, " Ann@Example.com "), second;
    struct user user;
    assert_int_equal(first.user.id.n, 24);
    assert_str(first.user.email, "ann@example.com");
    assert_str(first.user.role, "user");
    assert_ok(kit, login(kit, "ANN@example.com", PASSWORD, &second));
    assert_true(str_eq(second.user.id, first.user.id));
    assert_false(str_eq(second.refresh_token, first.refresh_token));
    assert_ok(kit, account_of_token(kit->accounts, second.token, kit->arena, &user, &kit->e));
    assert_str(user.name, "Ann Bee");
    assert_true(account_is_token(kit->accounts, first.token));
    assert_ok(kit, account_get(kit->accounts, user.id, kit->arena, &user, &kit->e));
    assert_refused(kit, account_get(kit->accounts, STR("nobody"), kit->arena, &user, &kit->e), ERR_NOT_FOUND,
                   "User not found");
}

static void an_account_is_made_and_opened(void **state)
{
    kit_run(*state, in_and_in_again);
}

static void refused(struct kit *kit)
{
    struct account_session session;
    struct account_form form = form_of("ann@example.com", PASSWORD);
    joined(kit, "ann@example.com");
    assert_refused(kit, account_register(kit->accounts, &form, kit->arena, &session, &kit->e), ERR_INVALID_REQUEST,
                   "User already exists with this email");
    form.password = STR("x");
    assert_refused(kit, account_register(kit->accounts, &form, kit->arena, &session, &kit->e), ERR_INVALID_REQUEST,
                   "Password must be at least 6 characters long");
    assert_refused(kit, login(kit, "ann@example.com", "Passw0rD", &session), ERR_UNAUTHORIZED, "Invalid credentials");
    assert_refused(kit, login(kit, "bob@example.com", PASSWORD, &session), ERR_UNAUTHORIZED, "Invalid credentials");
    assert_refused(kit, login(kit, "ann@example.com", "", &session), ERR_UNAUTHORIZED, "Invalid credentials");
    assert_refused(kit, login(kit, "not one", PASSWORD, &session), ERR_INVALID_REQUEST,
                   "Please provide a valid email address");
    assert_null(session.token.p);
}

static void who_may_not_come_in_is_told(void **state)
{
    kit_run(*state, refused);
}

/* ---- users that were there before ---- */

static void add_user(struct kit *kit, const char *email, const char *hash, const char *meta)
{
    struct user made, user = {.id = STR("65f0c0ffee65f0c0ffee0001"),
                              .email = str_c(email),
                              .name = STR("Old"),
                              .role = STR("admin"),
                              .password_hash = str_c(hash),
                              .meta = str_c(meta)};
    assert_ok(kit, store_user_create(kit->store, kit->arena, &user, &made, &kit->e));
}

static void old_hash(struct kit *kit)
{
    struct account_session session;
    add_user(kit, "old@example.com", "$2a$04$abcdefghijklmnopqrstuulhhVV4Kshc23o37z5HTbqh2k1HbPVGC", "");
    assert_ok(kit, login(kit, "old@example.com", PASSWORD, &session));
    assert_str(session.user.role, "admin");
    assert_ok(kit, of_token(kit, session.token));
}

static void a_hash_of_another_program_is_good(void **state)
{
    kit_run(*state, old_hash);
}

static void no_hash(struct kit *kit)
{
    struct account_session session;
    add_user(kit, "old@example.com", "", "not JSON");
    assert_refused(kit, login(kit, "old@example.com", "", &session), ERR_UNAUTHORIZED, "Invalid credentials");
    assert_refused(kit, login(kit, "old@example.com", PASSWORD, &session), ERR_UNAUTHORIZED, "Invalid credentials");
}

static void no_password_opens_an_account_without_one(void **state)
{
    kit_run(*state, no_hash);
}

/* ---- changes ---- */

static struct account_change change_of(const struct account_session *session, unsigned set)
{
    return (struct account_change){.user_id = session->user.id, .set = set};
}

static int update(struct kit *kit, const struct account_change *change, struct account_session *out)
{
    return account_update(kit->accounts, change, kit->arena, out, &kit->e);
}

static void profile(struct kit *kit)
{
    struct account_session ann = joined(kit, "ann@example.com"), out;
    joined(kit, "bob@example.com");
    struct account_change change = change_of(&ann, USER_SET_NAME);
    change.form = (struct account_form){.name = STR(" New Name "), .email = STR("not looked at")};
    assert_ok(kit, update(kit, &change, &out));
    assert_str(out.user.name, "New Name");
    assert_str(out.user.email, "ann@example.com");
    assert_null(out.token.p);
    assert_null(out.refresh_token.p);
    change.set = USER_SET_EMAIL;
    change.form.email = STR("Bob@example.com");
    assert_refused(kit, update(kit, &change, &out), ERR_INVALID_REQUEST, "User already exists with this email");
    change.form.email = STR("Ann2@example.com");
    change.avatar = STR("/public/avatars/x.png");
    change.set |= USER_SET_AVATAR;
    assert_ok(kit, update(kit, &change, &out));
    assert_str(out.user.email, "ann2@example.com");
    assert_str(out.user.avatar, "/public/avatars/x.png");
    assert_ok(kit, of_token(kit, ann.token)); /* it is the same password */
    assert_ok(kit, login(kit, "ann2@example.com", PASSWORD, &out));
    assert_refused(kit, login(kit, "ann@example.com", PASSWORD, &out), ERR_UNAUTHORIZED, "Invalid credentials");
    change.user_id = STR("nobody");
    assert_refused(kit, update(kit, &change, &out), ERR_NOT_FOUND, "User not found");
    change = change_of(&ann, 0);
    assert_ok(kit, update(kit, &change, &out));
}

static void a_profile_changes_member_by_member(void **state)
{
    kit_run(*state, profile);
}

static void new_password(struct kit *kit)
{
    struct account_session ann = joined(kit, "ann@example.com"), other, out, refreshed;
    struct account_session bob = joined(kit, "bob@example.com");
    assert_ok(kit, login(kit, "ann@example.com", PASSWORD, &other));
    struct account_change change = change_of(&ann, USER_SET_PASSWORD);
    change.form.password = STR("short");
    assert_refused(kit, update(kit, &change, &out), ERR_INVALID_REQUEST, "Password must be at least 6 characters long");
    assert_ok(kit, of_token(kit, ann.token));
    change.form.password = STR("N3wPassword");
    assert_ok(kit, update(kit, &change, &out));
    assert_refused(kit, of_token(kit, ann.token), ERR_UNAUTHORIZED, "Please authenticate.");
    assert_refused(kit, of_token(kit, other.token), ERR_UNAUTHORIZED, "Please authenticate.");
    assert_false(account_is_token(kit->accounts, ann.token));
    assert_refused(kit, refresh(kit, ann.refresh_token, &refreshed), ERR_UNAUTHORIZED, "Invalid token");
    assert_refused(kit, refresh(kit, other.refresh_token, &refreshed), ERR_UNAUTHORIZED, "Invalid token");
    assert_refused(kit, refresh(kit, ann.token, &refreshed), ERR_UNAUTHORIZED, "Invalid token");
    assert_refused(kit, login(kit, "ann@example.com", PASSWORD, &refreshed), ERR_UNAUTHORIZED, "Invalid credentials");
    assert_ok(kit, of_token(kit, out.token));
    assert_true(account_is_token(kit->accounts, out.token));
    assert_ok(kit, refresh(kit, out.refresh_token, &refreshed));
    assert_ok(kit, of_token(kit, refreshed.token));
    assert_ok(kit, login(kit, "ann@example.com", "N3wPassword", &out));
    assert_ok(kit, of_token(kit, out.token));
    assert_ok(kit, of_token(kit, bob.token)); /* others are not touched */
    assert_ok(kit, refresh(kit, bob.refresh_token, &out));
}

static void a_new_password_ends_every_session_and_token(void **state)
{
    kit_run(*state, new_password);
}

static void meta(struct kit *kit)
{
    struct account_session session, out;
    struct user user;
    add_user(kit, "old@example.com", "$2a$04$abcdefghijklmnopqrstuulhhVV4Kshc23o37z5HTbqh2k1HbPVGC",
             "{\"plan\":{\"a\":[1]},\"qu\\\"ote\":\"x\",\"tokenVersion\":7}");
    assert_ok(kit, login(kit, "old@example.com", PASSWORD, &session));
    struct account_change change = change_of(&session, USER_SET_PASSWORD);
    change.form.password = STR("N3wPassword");
    assert_ok(kit, update(kit, &change, &out));
    assert_ok(kit, account_get(kit->accounts, session.user.id, kit->arena, &user, &kit->e));
    const cJSON *tree = json_parse(kit->arena, user.meta, &kit->e);
    assert_non_null(tree);
    assert_int_equal(cJSON_GetArraySize(json_get(json_get(tree, "plan"), "a")), 1);
    assert_str(json_str(tree, "qu\"ote"), "x");
    assert_true(json_num(tree, "tokenVersion", 0) > 7);
    assert_int_equal(cJSON_GetArraySize(tree), 3);
}

static void what_else_is_known_of_a_user_stays(void **state)
{
    kit_run(*state, meta);
}

static void current(struct kit *kit)
{
    struct account_session ann = joined(kit, "ann@example.com");
    assert_ok(kit, account_check_password(kit->accounts, &ann.user, STR(PASSWORD), &kit->e));
    assert_refused(kit, account_check_password(kit->accounts, &ann.user, STR("x"), &kit->e), ERR_UNAUTHORIZED,
                   "Invalid credentials");
}

static void the_current_password_is_checked(void **state)
{
    kit_run(*state, current);
}

/* ---- many at once ---- */

#define CROWD 24

struct crowd {
    struct kit *kit;
    unsigned in, exist, other, done;
};

static void crowd_join(void *arg)
{
    struct crowd *crowd = arg;
    struct account_session session;
    struct account_form form = form_of("race@example.com", PASSWORD);
    struct arena *arena = arena_new("crowd");
    struct err e;
    if (account_register(crowd->kit->accounts, &form, arena, &session, &e) == 0)
        crowd->in++;
    else if (strcmp(e.text, "User already exists with this email") == 0)
        crowd->exist++;
    else
        crowd->other++;
    crowd->done++;
    arena_free(arena);
}

static void race(struct kit *kit)
{
    struct crowd crowd = {.kit = kit};
    for (unsigned i = 0; i < CROWD; i++)
        task_spawn("crowd", crowd_join, &crowd);
    while (crowd.done < CROWD)
        task_yield(NULL);
    assert_int_equal(crowd.in, 1);
    assert_int_equal(crowd.exist, CROWD - 1);
    assert_int_equal(crowd.other, 0);
}

static void one_of_many_gets_the_address(void **state)
{
    kit_run(*state, race);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_account_is_made_and_opened),      TEST(who_may_not_come_in_is_told),
        TEST(a_hash_of_another_program_is_good),  TEST(no_password_opens_an_account_without_one),
        TEST(a_profile_changes_member_by_member), TEST(a_new_password_ends_every_session_and_token),
        TEST(what_else_is_known_of_a_user_stays), TEST(the_current_password_is_checked),
        TEST(one_of_many_gets_the_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
