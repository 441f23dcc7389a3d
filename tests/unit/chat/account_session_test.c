#include "unit/chat/account_env.h"

#include "base/rand.h"

/* ---- tokens ---- */

static struct str sign(struct kit *kit, const char *key, const char *claims)
{
    struct buf token = BUF_INIT(KIB(8));
    assert_ok(kit, jwt_sign(str_c(key), str_c(claims), &token, &kit->e));
    struct str out = arena_str(kit->arena, buf_str(&token));
    buf_free(&token);
    return out;
}

static struct str claims_of(struct kit *kit, struct str token)
{
    struct str claims;
    struct jwt_check check = {.key = STR(KEY), .now_s = clock_wall_ms() / 1000, .needs_exp = true};
    assert_ok(kit, jwt_verify(&check, token, kit->arena, &claims, NULL, &kit->e));
    return claims;
}

static void claims(struct kit *kit)
{
    struct account_session ann = joined(kit, "ann@example.com");
    const cJSON *tree = json_parse(kit->arena, claims_of(kit, ann.token), &kit->e);
    assert_true(str_eq(json_str(tree, "userId"), ann.user.id));
    assert_true(json_num(tree, "exp", 0) == json_num(tree, "iat", 0) + 3600);
    assert_int_equal(cJSON_GetArraySize(tree), 3); /* no more than its clients know */
}

static void a_token_says_whose_it_is_and_how_long(void **state)
{
    kit_run(*state, claims);
}

static void forged(struct kit *kit)
{
    static const char *const words = "Please authenticate.";
    struct account_session ann = joined(kit, "ann@example.com");
    struct user user;
    const char *good = arena_cstr(kit->arena, claims_of(kit, ann.token));
    assert_ok(kit, of_token(kit, sign(kit, KEY, good)));
    assert_refused(kit, of_token(kit, sign(kit, "another key of 32 bytes or more.", good)), ERR_UNAUTHORIZED, words);
    const char *nobody = "{\"userId\":\"65f0c0ffee65f0c0ffee0002\",\"exp\":99999999999}";
    assert_refused(kit, of_token(kit, sign(kit, KEY, nobody)), ERR_UNAUTHORIZED, words);
    assert_refused(kit, account_named(kit->accounts, sign(kit, KEY, nobody), kit->arena, &user, &kit->e), ERR_NOT_FOUND,
                   "User not found");
    static const char *const bad[] = {"{\"exp\":99999999999}", "{\"userId\":7,\"exp\":99999999999}",
                                      "{\"userId\":\"\",\"exp\":99999999999}",
                                      "{\"userId\":{\"$ne\":null},\"exp\":99999999999}"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct str token = sign(kit, KEY, bad[i]);
        assert_refused(kit, of_token(kit, token), ERR_UNAUTHORIZED, words);
        assert_refused(kit, account_named(kit->accounts, token, kit->arena, &user, &kit->e), ERR_UNAUTHORIZED,
                       "Invalid token");
        assert_false(account_is_token(kit->accounts, token));
    }
    struct str stale = arena_printf(kit->arena, "{\"userId\":\"%.*s\",\"exp\":%lld}", STR_ARG(ann.user.id),
                                    (long long)(clock_wall_ms() / 1000));
    assert_refused(kit, of_token(kit, sign(kit, KEY, stale.p)), ERR_UNAUTHORIZED, words);
    struct str versioned =
        arena_printf(kit->arena, "{\"userId\":\"%.*s\",\"exp\":99999999999,\"v\":1}", STR_ARG(ann.user.id));
    assert_refused(kit, of_token(kit, sign(kit, KEY, versioned.p)), ERR_UNAUTHORIZED, words);
}

static void no_forged_token_is_taken(void **state)
{
    kit_run(*state, forged);
}

/* Verifying works on the task's stack: the longest token that is looked at must fit. */
static void longest(struct kit *kit)
{
    struct account_session ann = joined(kit, "ann@example.com");
    for (size_t n = 7000; n < 9000; n += 100) {
        char *text = arena_alloc(kit->arena, n + 1);
        memset(text, 'A', n);
        memcpy(text, ann.token.p, ann.token.n);
        text[n] = 0;
        assert_false(account_is_token(kit->accounts, str_n(text, n)));
        text[200] = '.';
        assert_false(account_is_token(kit->accounts, str_n(text, n)));
    }
}

static void long_tokens_are_no_tokens(void **state)
{
    kit_run(*state, longest);
}

/* ---- refresh tokens ---- */

static void rotation(struct kit *kit)
{
    struct account_session ann = joined(kit, "ann@example.com"), other, one, two;
    assert_ok(kit, login(kit, "ann@example.com", PASSWORD, &other));
    assert_ok(kit, refresh(kit, ann.refresh_token, &one));
    assert_true(str_eq(one.user.id, ann.user.id));
    assert_false(str_eq(one.refresh_token, ann.refresh_token));
    assert_ok(kit, of_token(kit, one.token));
    assert_ok(kit, refresh(kit, one.refresh_token, &two));
    /* The first one again: somebody has a copy. Neither may go on. */
    assert_refused(kit, refresh(kit, ann.refresh_token, &one), ERR_UNAUTHORIZED, "Invalid token");
    assert_refused(kit, refresh(kit, two.refresh_token, &one), ERR_UNAUTHORIZED, "Invalid token");
    assert_ok(kit, refresh(kit, other.refresh_token, &one)); /* another login's family */
    assert_ok(kit, of_token(kit, ann.token));
}

static void a_refresh_token_is_good_once(void **state)
{
    kit_run(*state, rotation);
}

static void bad_tokens(struct kit *kit)
{
    struct account_session ann = joined(kit, "ann@example.com"), out;
    const char *good = ann.refresh_token.p;
    assert_int_equal(ann.refresh_token.n, 24 + 3 + 64);
    for (size_t i = 0; i < ann.refresh_token.n; i++) {
        struct str other = arena_str(kit->arena, str_n(good, i));
        assert_refused(kit, refresh(kit, other, &out), ERR_UNAUTHORIZED, "Invalid token");
    }
    static const char *const bad[] = {"", "-", "--", "a-0-b", "x.y.z", "65f0c0ffee65f0c0ffee0001-0-", "null"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_refused(kit, refresh(kit, str_c(bad[i]), &out), ERR_UNAUTHORIZED, "Invalid token");
    assert_refused(kit, refresh(kit, STR_NONE, &out), ERR_UNAUTHORIZED, "Invalid token");
    assert_ok(kit, refresh(kit, ann.refresh_token, &out));
    /* A version that is not the one it was made with is another token. */
    struct str changed = arena_str(kit->arena, out.refresh_token);
    ((char *)(uintptr_t)changed.p)[25] = '1';
    assert_refused(kit, refresh(kit, changed, &ann), ERR_UNAUTHORIZED, "Invalid token");
}

static void what_is_no_refresh_token_gives_nothing(void **state)
{
    kit_run(*state, bad_tokens);
}

static void by_jwt(struct kit *kit)
{
    struct account_session ann = joined(kit, "ann@example.com"), out;
    assert_ok(kit, refresh(kit, ann.token, &out));
    assert_true(out.token.n > 0);
    assert_null(out.refresh_token.p);
    assert_str(out.user.email, "ann@example.com");
    assert_ok(kit, of_token(kit, out.token));
}

static void a_good_token_gives_another(void **state)
{
    kit_run(*state, by_jwt);
}

static void out_and_gone(struct kit *kit)
{
    struct account_session ann = joined(kit, "ann@example.com"), out;
    assert_ok(kit, account_logout(kit->accounts, STR("nonsense"), &kit->e));
    assert_ok(kit, account_logout(kit->accounts, ann.token, &kit->e));
    assert_ok(kit, account_logout(kit->accounts, ann.refresh_token, &kit->e));
    assert_refused(kit, refresh(kit, ann.refresh_token, &out), ERR_UNAUTHORIZED, "Invalid token");
    assert_ok(kit, account_logout(kit->accounts, ann.refresh_token, &kit->e));
    assert_ok(kit, of_token(kit, ann.token));
}

static void a_session_ends_by_logout(void **state)
{
    kit_run(*state, out_and_gone);
}

static void not_kept_in_clear(struct kit *kit)
{
    struct account_session ann = joined(kit, "ann@example.com");
    struct session_rotated out;
    struct str secret = str_from(ann.refresh_token, 27);
    struct session_rotation by_secret = {.id = str_n(ann.refresh_token.p, 24),
                                         .was = secret,
                                         .token_hash = STR("x"),
                                         .now_us = clock_wall_us(),
                                         .expires_us = INT64_MAX};
    assert_ok(kit, store_session_rotate(kit->store, kit->arena, &by_secret, &out, &kit->e));
    assert_true(out.reused);
    assert_int_equal(out.session.token_hash.n, 64);
    assert_true(str_find(out.session.token_hash, secret) < 0);
}

static void only_digests_are_kept(void **state)
{
    kit_run(*state, not_kept_in_clear);
}

/* ---- many at once ---- */

#define CROWD 16

struct crowd {
    struct kit *kit;
    struct str token;
    unsigned won, lost, done;
};

static void crowd_refresh(void *arg)
{
    struct crowd *crowd = arg;
    struct account_session session;
    struct arena *arena = arena_new("crowd");
    struct err e;
    if (account_refresh(crowd->kit->accounts, crowd->token, arena, &session, &e) == 0)
        crowd->won++;
    else if (e.code == ERR_UNAUTHORIZED)
        crowd->lost++;
    crowd->done++;
    arena_free(arena);
}

static void race(struct kit *kit)
{
    struct account_session ann = joined(kit, "ann@example.com");
    struct crowd crowd = {.kit = kit, .token = ann.refresh_token};
    for (unsigned i = 0; i < CROWD; i++)
        task_spawn("crowd", crowd_refresh, &crowd);
    while (crowd.done < CROWD)
        task_yield(NULL);
    assert_int_equal(crowd.won, 1);
    assert_int_equal(crowd.lost, CROWD - 1);
}

static void one_of_many_refreshes(void **state)
{
    kit_run(*state, race);
}

/* A login that was under way while the password changed: its session was opened with the old version. */
static void raced(struct kit *kit)
{
    struct account_session ann = joined(kit, "ann@example.com"), late, out;
    assert_ok(kit, login(kit, "ann@example.com", PASSWORD, &late));
    struct account_change change = {.user_id = ann.user.id, .set = USER_SET_PASSWORD};
    change.form.password = STR("N3wPassword");
    struct str id = str_n(late.refresh_token.p, 24);
    assert_ok(kit, account_update(kit->accounts, &change, kit->arena, &out, &kit->e));
    /* As if it had been written only now. */
    char hash[65];
    unsigned char bytes[32] = {0};
    hex_encode(hash, bytes, sizeof bytes);
    struct session session = {.id = id, .user_id = ann.user.id, .token_hash = str_c(hash), .expires_us = INT64_MAX};
    assert_ok(kit, store_session_create(kit->store, &session, &kit->e));
    assert_refused(kit, refresh(kit, late.refresh_token, &out), ERR_UNAUTHORIZED, "Invalid token");
    assert_refused(kit, of_token(kit, late.token), ERR_UNAUTHORIZED, "Please authenticate.");
}

static void no_session_outlives_its_password(void **state)
{
    kit_run(*state, raced);
}

/* ---- the key ---- */

static struct str kept;

static void with_own_key(struct kit *kit)
{
    struct account_session ann = joined(kit, "ann@example.com");
    kept = ann.token;
}

static void still_good(struct kit *kit)
{
    assert_ok(kit, of_token(kit, kept));
}

static void a_key_made_here_outlives_a_restart(void **state)
{
    struct kit *kit = *state;
    kit_close(kit);
    kit->config.jwt_secret = NULL;
    kit_open(kit);
    kit_run(kit, with_own_key);
    kit_close(kit);
    kit_open(kit);
    kit_run(kit, still_good);
    struct setting found;
    struct setting_ref ref = {STR("server"), STR("jwt_secret")};
    assert_ok(kit, store_setting_get(kit->store, kit->arena, &ref, &found, &kit->e));
    assert_int_equal(found.value.n, 66);
    /* One that is broken is not taken, and not overwritten. */
    struct setting broken = {.owner = ref.owner, .key = ref.key, .value = STR("\"\"")};
    assert_ok(kit, store_setting_put(kit->store, &broken, &kit->e));
    assert_null(accounts_new(&kit->config, &kit->e));
    assert_string_equal(err_name(kit->e.code), "NOT_CONFIGURED");
}

/* Another process makes its key between this one's look for a key and the making of one. */
static struct {
    struct kit *kit;
    struct accounts *other;
} beside;

static int submit_late(struct store *st, const struct store_call *call, struct err *e)
{
    int result = store_sqlite.submit(st, call, e);
    struct err why;
    if (call->op == STORE_OP_setting_get && result < 0 && !beside.other) {
        st->ops = &store_sqlite;
        beside.other = accounts_new(&beside.kit->config, &why);
    }
    return result;
}

static void good_at_both(struct kit *kit)
{
    struct account_session ann = joined(kit, "ann@example.com");
    assert_ok(kit, of_token(kit, ann.token));
    assert_true(account_is_token(beside.other, ann.token));
}

static void two_that_make_a_key_at_once_have_the_same(void **state)
{
    struct kit *kit = *state;
    struct store_ops late = store_sqlite;
    late.submit = submit_late;
    kit->accounts = accounts_free(kit->accounts);
    kit->config.jwt_secret = NULL;
    beside.kit = kit;
    kit->store->ops = &late;
    kit->accounts = accounts_new(&kit->config, &kit->e);
    assert_non_null(kit->accounts);
    assert_non_null(beside.other);
    kit_run(kit, good_at_both);
    beside.other = accounts_free(beside.other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_token_says_whose_it_is_and_how_long),
        TEST(no_forged_token_is_taken),
        TEST(long_tokens_are_no_tokens),
        TEST(a_refresh_token_is_good_once),
        TEST(what_is_no_refresh_token_gives_nothing),
        TEST(a_good_token_gives_another),
        TEST(a_session_ends_by_logout),
        TEST(only_digests_are_kept),
        TEST(one_of_many_refreshes),
        TEST(no_session_outlives_its_password),
        TEST(a_key_made_here_outlives_a_restart),
        TEST(two_that_make_a_key_at_once_have_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
