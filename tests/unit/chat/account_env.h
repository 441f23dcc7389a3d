/* Accounts on a store in a folder of its own; bodies of tests run in a task. */
#ifndef TEST_CHAT_ACCOUNT_ENV_H
#define TEST_CHAT_ACCOUNT_ENV_H

#include "unit/support/run_task.h"
#include "unit/support/unit.h"

#include "auth/jwt.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "chat/account.h"
#include "store/sqlite/sqlite_store.h"
#include "unit/support/temp_dir.h"

#define KEY      "the key of these tests 0123456789"
#define PASSWORD "Passw0rd"

struct kit {
    char dir[TEMP_DIR_MAX];
    struct store *store;
    struct accounts_config config;
    struct accounts *accounts;
    struct arena *arena;
    struct err e;
    void (*body)(struct kit *kit);
};

static inline void kit_open(struct kit *kit)
{
    struct store_config store = {.data_dir = kit->dir};
    if (store_open(&store_sqlite, &store, &kit->store, &kit->e) < 0)
        fail_msg("%s", kit->e.text);
    kit->config.store = kit->store;
    kit->accounts = accounts_new(&kit->config, &kit->e);
    if (!kit->accounts)
        fail_msg("%s", kit->e.text);
}

static inline void kit_close(struct kit *kit)
{
    kit->accounts = accounts_free(kit->accounts);
    kit->store = store_close(kit->store);
}

static inline void kit_main(void *arg)
{
    struct kit *kit = arg;
    kit->body(kit);
}

static inline void kit_run(struct kit *kit, void (*body)(struct kit *kit))
{
    kit->body = body;
    run_task(kit_main, kit);
}

static inline int kit_setup(void **state)
{
    struct kit *kit = mem_zalloc(sizeof *kit);
    log_setup(LOG_OFF, LOG_TEXT);
    temp_dir_make(kit->dir);
    kit->arena = arena_new("test");
    kit->config = (struct accounts_config){
        .jwt_secret = KEY, .token_ms = 3600000, .refresh_ms = 7200000, .cost = 4, .login_window_ms = 60000};
    kit_open(kit);
    *state = kit;
    return 0;
}

static inline int kit_teardown(void **state)
{
    struct kit *kit = *state;
    kit_close(kit);
    arena_free(kit->arena);
    temp_dir_remove(kit->dir);
    arena_thread_end();
    free(kit);
    return 0;
}

static inline struct account_form form_of(const char *email, const char *password)
{
    return (struct account_form){
        .name = STR("Ann Bee"), .email = str_c(email), .password = str_c(password), .address = STR("192.0.2.1")};
}

static inline struct account_session joined(struct kit *kit, const char *email)
{
    struct account_session session;
    struct account_form form = form_of(email, PASSWORD);
    if (account_register(kit->accounts, &form, kit->arena, &session, &kit->e) < 0)
        fail_msg("%s", kit->e.text);
    return session;
}

static inline int login(struct kit *kit, const char *email, const char *password, struct account_session *out)
{
    struct account_form form = form_of(email, password);
    return account_login(kit->accounts, &form, kit->arena, out, &kit->e);
}

static inline int refresh(struct kit *kit, struct str token, struct account_session *out)
{
    return account_refresh(kit->accounts, token, kit->arena, out, &kit->e);
}

static inline int of_token(struct kit *kit, struct str token)
{
    struct user user;
    return account_of_token(kit->accounts, token, kit->arena, &user, &kit->e);
}

#define assert_ok(kit, call)                                                                                           \
    do {                                                                                                               \
        if ((call) < 0)                                                                                                \
            fail_msg("%s: %s %s", #call, err_name((kit)->e.code), (kit)->e.text);                                      \
    } while (0)
#define assert_refused(kit, call, want, words)                                                                         \
    do {                                                                                                               \
        assert_int_equal((call), -1);                                                                                  \
        assert_string_equal(err_name((kit)->e.code), err_name(want));                                                  \
        assert_string_equal((kit)->e.text, words);                                                                     \
    } while (0)

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

#endif
