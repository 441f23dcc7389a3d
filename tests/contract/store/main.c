/* Runs over SQLite; with PARLEY_TEST_MONGODB_URI (tests/e2e/support/with_mongo.mjs) over MongoDB, each test in a
 * database of its own. */
#include "contract/store/suite.h"

#include "base/log.h"
#include "base/rand.h"
#include "store/mongo/mongo_store.h"
#include "store/sqlite/sqlite_store.h"
#include "unit/support/temp_dir.h"

#include <stdio.h>
#include <stdlib.h>

static const struct suite_test *const suites[] = {people_tests, conversation_tests, message_tests,
                                                  other_tests,  task_tests,         session_tests};

struct test_case {
    const struct store_ops *driver;
    const struct suite_test *test;
    char name[128];
};

void reopen(struct fixture *f)
{
    f->st = store_close(f->st);
    assert_ok(f, store_open(f->driver, &f->config, &f->st, &f->e));
}

struct message text_message(struct fixture *f, const char *conversation_id, const char *text)
{
    (void)f;
    return (struct message){.conversation_id = str_c(conversation_id), .role = STR("user"), .content = str_c(text)};
}

struct str make_conversation(struct fixture *f, const char *space, const char *id, unsigned n)
{
    struct message messages[STORE_APPEND];
    assert_true(n <= STORE_APPEND);
    for (unsigned i = 0; i < n; i++) {
        messages[i] = text_message(f, id, "");
        messages[i].content = arena_printf(f->a, "text %u", i + 1);
    }
    struct store_append append = {
        .conversation = {.id = str_c(id), .space = str_c(space)}, .messages = messages, .n = n};
    struct store_appended out;
    assert_ok(f, store_conversation_create(f->st, f->a, &append, &out, &f->e));
    assert_true(out.created);
    return out.conversation.id;
}

/* The connection string given, of another database. */
static const char *fresh_url(char *out, size_t cap)
{
    const char *given = getenv("PARLEY_TEST_MONGODB_URI"), *host = given ? strstr(given, "://") : NULL;
    if (!host)
        return NULL;
    size_t n = strcspn(host + 3, "/?");
    const char *options = strchr(host, '?');
    snprintf(out, cap, "%.*s/parley_test_%016llx%s", (int)(host + 3 + n - given), given, (unsigned long long)rand_u64(),
             options ? options : "");
    return out;
}

static void run_case(void **state)
{
    const struct test_case *c = *state;
    char dir[TEMP_DIR_MAX], url[1024];
    temp_dir_make(dir);
    struct fixture f = {.driver = c->driver, .config = {.data_dir = dir}, .a = arena_new("test")};
    f.config.url = fresh_url(url, sizeof url);
    assert_ok(&f, store_open(f.driver, &f.config, &f.st, &f.e));
    assert_string_equal(store_driver(f.st), c->driver->name);
    c->test->body(&f);
    struct store_report report;
    assert_ok(&f, store_check(f.st, f.a, &report, &f.e));
    assert_str(report.detail, "ok");
    assert_true(report.ok);
    store_close(f.st);
    arena_free(f.a);
    temp_dir_remove(dir);
}

int main(void)
{
    const struct store_ops *driver = getenv("PARLEY_TEST_MONGODB_URI") ? &store_mongo : &store_sqlite;
    static struct test_case cases[256];
    static struct CMUnitTest tests[COUNT(cases)];
    size_t n = 0;
    log_setup(LOG_WARN, LOG_TEXT);
    for (size_t s = 0; s < COUNT(suites); s++)
        for (const struct suite_test *t = suites[s]; t->name; t++) {
            struct test_case *c = &cases[n];
            c->driver = driver;
            c->test = t;
            snprintf(c->name, sizeof c->name, "%s: %s", driver->name, t->name);
            tests[n] = (struct CMUnitTest){.name = c->name, .test_func = run_case, .initial_state = c};
            n++;
        }
    int failed = cmocka_run_group_tests_name("store contract", tests, NULL, NULL);
    arena_thread_end();
    return failed;
}
