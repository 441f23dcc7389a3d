#include "unit/chat/account_env.h"

static int try_from(struct kit *kit, const char *email, const char *password, const char *address)
{
    struct account_session session;
    struct account_form form = form_of(email, password);
    form.address = str_c(address);
    return account_login(kit->accounts, &form, kit->arena, &session, &kit->e);
}

#define TOO_MANY "Too many attempts. Please try again later."

static void by_account(struct kit *kit)
{
    joined(kit, "ann@example.com");
    accounts_limit(kit->accounts, 3, 60000);
    for (int i = 0; i < 3; i++) {
        char address[32];
        snprintf(address, sizeof address, "198.51.100.%d", i);
        assert_refused(kit, try_from(kit, "ann@example.com", "x", address), ERR_UNAUTHORIZED, "Invalid credentials");
        assert_refused(kit, try_from(kit, "nobody@example.com", "x", address), ERR_UNAUTHORIZED, "Invalid credentials");
    }
    /* The same for both, and for the right password too. */
    assert_refused(kit, try_from(kit, "ann@example.com", PASSWORD, "198.51.100.9"), ERR_RATE_LIMIT_EXCEEDED, TOO_MANY);
    int wait = kit->e.retry_after_ms;
    assert_true(wait > 0 && wait <= 60000);
    assert_refused(kit, try_from(kit, " ANN@example.com", "x", "198.51.100.10"), ERR_RATE_LIMIT_EXCEEDED, TOO_MANY);
    assert_refused(kit, try_from(kit, "nobody@example.com", "x", "198.51.100.9"), ERR_RATE_LIMIT_EXCEEDED, TOO_MANY);
    assert_refused(kit, try_from(kit, "other@example.com", "x", "198.51.100.10"), ERR_UNAUTHORIZED,
                   "Invalid credentials");
}

static void an_account_is_tried_so_often(void **state)
{
    kit_run(*state, by_account);
}

static void by_address(struct kit *kit)
{
    joined(kit, "ann@example.com");
    accounts_limit(kit->accounts, 4, 60000);
    for (int i = 0; i < 4; i++) {
        char email[32];
        snprintf(email, sizeof email, "a%d@example.com", i);
        assert_refused(kit, try_from(kit, email, "x", "198.51.100.1"), ERR_UNAUTHORIZED, "Invalid credentials");
    }
    assert_refused(kit, try_from(kit, "ann@example.com", PASSWORD, "198.51.100.1"), ERR_RATE_LIMIT_EXCEEDED, TOO_MANY);
    assert_ok(kit, try_from(kit, "ann@example.com", PASSWORD, "198.51.100.2"));
    /* An IPv6 client is its network. */
    for (int i = 0; i < 4; i++) {
        char address[64];
        snprintf(address, sizeof address, "2001:db8:0:1::%d", i);
        assert_refused(kit, try_from(kit, "b@example.com", "x", address), ERR_UNAUTHORIZED, "Invalid credentials");
    }
    assert_refused(kit, try_from(kit, "ann@example.com", PASSWORD, "2001:db8:0:1:ffff::7"), ERR_RATE_LIMIT_EXCEEDED,
                   TOO_MANY);
    assert_ok(kit, try_from(kit, "ann@example.com", PASSWORD, "2001:db8:0:2::7"));
}

static void an_address_tries_so_often(void **state)
{
    kit_run(*state, by_address);
}

static void joins(struct kit *kit)
{
    struct account_session session;
    accounts_limit(kit->accounts, 2, 60000);
    joined(kit, "a@example.com");
    joined(kit, "b@example.com");
    struct account_form form = form_of("c@example.com", PASSWORD);
    assert_refused(kit, account_register(kit->accounts, &form, kit->arena, &session, &kit->e), ERR_RATE_LIMIT_EXCEEDED,
                   TOO_MANY);
    form.address = STR("192.0.2.2");
    assert_ok(kit, account_register(kit->accounts, &form, kit->arena, &session, &kit->e));
    /* What is no form at all is not worth counting. */
    form.email = STR("not one");
    for (int i = 0; i < 9; i++)
        assert_int_equal(account_register(kit->accounts, &form, kit->arena, &session, &kit->e), -1);
    form.email = STR("d@example.com");
    assert_ok(kit, account_register(kit->accounts, &form, kit->arena, &session, &kit->e));
}

static void registrations_count_as_tries(void **state)
{
    kit_run(*state, joins);
}

static void reload(struct kit *kit)
{
    joined(kit, "ann@example.com");
    for (int i = 0; i < 20; i++) /* off */
        assert_ok(kit, try_from(kit, "ann@example.com", PASSWORD, "198.51.100.1"));
    accounts_limit(kit->accounts, 1, 60000);
    assert_ok(kit, try_from(kit, "ann@example.com", PASSWORD, "198.51.100.1"));
    assert_refused(kit, try_from(kit, "ann@example.com", PASSWORD, "198.51.100.1"), ERR_RATE_LIMIT_EXCEEDED, TOO_MANY);
    accounts_limit(kit->accounts, 1, 1);
    task_sleep(5, NULL); /* longer than the window */
    assert_ok(kit, try_from(kit, "ann@example.com", PASSWORD, "198.51.100.1"));
    accounts_limit(kit->accounts, 0, 60000);
    for (int i = 0; i < 20; i++)
        assert_ok(kit, try_from(kit, "ann@example.com", PASSWORD, "198.51.100.1"));
}

static void a_reload_changes_the_limit(void **state)
{
    kit_run(*state, reload);
}

static void current(struct kit *kit)
{
    struct account_session ann = joined(kit, "ann@example.com");
    accounts_limit(kit->accounts, 2, 60000);
    for (int i = 0; i < 2; i++)
        assert_refused(kit, account_check_password(kit->accounts, &ann.user, STR("x"), &kit->e), ERR_UNAUTHORIZED,
                       "Invalid credentials");
    assert_refused(kit, account_check_password(kit->accounts, &ann.user, STR(PASSWORD), &kit->e),
                   ERR_RATE_LIMIT_EXCEEDED, TOO_MANY);
}

static void guesses_at_the_current_password_count(void **state)
{
    kit_run(*state, current);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_account_is_tried_so_often),          TEST(an_address_tries_so_often),
        TEST(registrations_count_as_tries),          TEST(a_reload_changes_the_limit),
        TEST(guesses_at_the_current_password_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
