/* What only the SQLite driver can get wrong: its files, its lock, its schema versions, a full disk, its log. */
#include "store/sqlite/sqlite_store.h"
#include "unit/support/run_task.h"
#include "unit/support/temp_dir.h"

#include "base/log.h"
#include "base/metrics.h"

#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

struct box {
    char dir[TEMP_DIR_MAX];
    struct store_config config;
    struct store *st;
    struct arena *a;
    struct err e;
};

static int setup(void **state)
{
    struct box *b = test_calloc(1, sizeof *b);
    temp_dir_make(b->dir);
    b->config.data_dir = b->dir;
    b->a = arena_new("test");
    log_setup(LOG_OFF, LOG_TEXT);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct box *b = *state;
    b->st = store_close(b->st);
    arena_free(b->a);
    temp_dir_remove(b->dir);
    test_free(b);
    arena_thread_end();
    return 0;
}

static void open_store(struct box *b)
{
    if (store_open(&store_sqlite, &b->config, &b->st, &b->e) < 0)
        fail_msg("open: %s", b->e.text);
}

static void open_refused(struct box *b, const char *why)
{
    assert_int_equal(store_open(&store_sqlite, &b->config, &b->st, &b->e), -1);
    assert_int_equal(b->e.code, ERR_NOT_CONFIGURED);
    if (!strstr(b->e.text, why))
        fail_msg("\"%s\" does not say \"%s\"", b->e.text, why);
    assert_null(b->st);
}

static const char *file(struct box *b, const char *name)
{
    return arena_printf(b->a, "%s/%s", b->dir, name).p;
}

/* Runs SQL on the database file as another program would. */
static void sql(struct box *b, const char *text)
{
    sqlite3 *db;
    char *why = NULL;
    assert_int_equal(sqlite3_open(file(b, "parley.db"), &db), SQLITE_OK);
    if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s", why);
    sqlite3_close(db);
}

static int64_t number(struct box *b, const char *text)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_open(file(b, "parley.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, text, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return value;
}

static int add(struct box *b, const char *conversation, struct str content)
{
    struct turn_begin turn = {.create = true, .user = {.role = STR("user"), .content = content}};
    struct store_appended out;
    struct arena *a = arena_new("add");
    turn.conversation = (struct conversation){.id = str_c(conversation), .space = STR("chat")};
    int result = store_turn_begin(b->st, a, &turn, &out, &b->e);
    arena_free(a);
    return result;
}

static void check(struct box *b)
{
    struct store_report report;
    assert_int_equal(store_check(b->st, b->a, &report, &b->e), 0);
    if (!report.ok)
        fail_msg("%s", report.detail.p);
}

static void a_second_process_is_refused(void **state)
{
    struct box *b = *state;
    struct store *first;
    char pid[32];
    open_store(b);
    first = b->st;
    b->st = NULL;
    snprintf(pid, sizeof pid, "in use by process %d", (int)getpid());
    open_refused(b, pid);
    store_close(first);
    open_store(b);
}

static void files_are_private(void **state)
{
    struct box *b = *state;
    static const char *const names[] = {"parley.db", "parley.db-wal", "parley.db-shm", "parley.lock"};
    struct stat st;
    b->config.data_dir = arena_printf(b->a, "%s/deep/er", b->dir).p;
    mode_t mask = umask(0);
    open_store(b);
    assert_int_equal(add(b, "c", STR("x")), 0);
    umask(mask);
    assert_int_equal(stat(b->config.data_dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_int_equal(stat(arena_printf(b->a, "%s/%s", b->config.data_dir, names[i]).p, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    b->st = store_close(b->st);
    temp_dir_remove(b->config.data_dir);
    temp_dir_remove(file(b, "deep"));
}

static void a_bad_directory_is_named(void **state)
{
    struct box *b = *state;
    fclose(fopen(file(b, "plain"), "w"));
    b->config.data_dir = file(b, "plain/sub");
    open_refused(b, "cannot be made");
    b->config.data_dir = "";
    open_refused(b, "not a usable name");
}

/* Version 1 as it was, with something in it. */
static const char version_1[] =
    "PRAGMA journal_mode = WAL;"
    "CREATE TABLE users(key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, email TEXT NOT NULL UNIQUE,"
    " name TEXT NOT NULL, role TEXT NOT NULL, password_hash TEXT NOT NULL, avatar TEXT NOT NULL, meta TEXT NOT NULL,"
    " created_us INTEGER NOT NULL, updated_us INTEGER NOT NULL) STRICT;"
    "CREATE TABLE agents(key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, name TEXT NOT NULL,"
    " company TEXT NOT NULL, personality TEXT NOT NULL, info TEXT NOT NULL, prompts TEXT NOT NULL, meta TEXT NOT NULL,"
    " created_us INTEGER NOT NULL, updated_us INTEGER NOT NULL) STRICT;"
    "CREATE INDEX agents_owner ON agents(owner, created_us);"
    "CREATE TABLE conversations(key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, space TEXT NOT NULL,"
    " owner TEXT NOT NULL, agent_id TEXT NOT NULL, device_id TEXT NOT NULL, title TEXT NOT NULL,"
    " status TEXT NOT NULL, active INTEGER NOT NULL, created_us INTEGER NOT NULL, updated_us INTEGER NOT NULL,"
    " message_count INTEGER NOT NULL, meta TEXT NOT NULL) STRICT;"
    "CREATE INDEX conversations_updated ON conversations(space, owner, updated_us);"
    "CREATE INDEX conversations_created ON conversations(space, owner, created_us);"
    "CREATE INDEX conversations_device ON conversations(device_id, updated_us) WHERE device_id <> '';"
    "CREATE TABLE messages(key INTEGER PRIMARY KEY, conversation INTEGER NOT NULL, status INTEGER NOT NULL,"
    " created_us INTEGER NOT NULL, id TEXT NOT NULL, role TEXT NOT NULL, client_id TEXT NOT NULL, meta TEXT NOT NULL,"
    " content TEXT NOT NULL) STRICT;"
    "CREATE UNIQUE INDEX messages_id ON messages(id, conversation);"
    "CREATE UNIQUE INDEX messages_client_id ON messages(conversation, client_id) WHERE client_id <> '';"
    "CREATE INDEX messages_streaming ON messages(status) WHERE status = 1;"
    "CREATE TABLE settings(owner TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, updated_us INTEGER NOT NULL,"
    " PRIMARY KEY(owner, name)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE processed(id TEXT NOT NULL PRIMARY KEY, device_id TEXT NOT NULL, at_us INTEGER NOT NULL)"
    " STRICT, WITHOUT ROWID;"
    "CREATE INDEX processed_at ON processed(at_us);"
    "INSERT INTO conversations VALUES(1, 'old', 'chat', '', '', '', 'Old', '', 0, 10, 20, 2, '{}');"
    "INSERT INTO messages VALUES(4294967297, 1, 0, 10, 'm1', 'user', '', '', 'hello');"
    "INSERT INTO messages VALUES(4294967298, 1, 1, 20, 'm2', 'assistant', '', '', 'wor');"
    "PRAGMA application_id = 1885434476; PRAGMA user_version = 1;";

static void version_1_is_upgraded(void **state)
{
    struct box *b = *state;
    struct message_page page;
    struct store_stats stats;
    struct usage usage = {.model = STR("m"), .prompt_tokens = 3};
    int64_t count;
    sql(b, version_1);
    open_store(b);
    assert_int_equal(store_stats(b->st, &stats, &b->e), 0);
    assert_int_equal(stats.schema, 3);
    assert_int_equal(store_message_last(b->st, b->a, STR("old"), 10, &page, &b->e), 0);
    assert_int_equal(page.n, 2);
    assert_true(str_eqc(page.items[1].content, "wor"));
    assert_int_equal(store_interrupt_streaming(b->st, &count, &b->e), 0);
    assert_int_equal(count, 1);
    assert_int_equal(add(b, "old", STR("new")), 0);
    assert_int_equal(store_usage_add(b->st, &usage, &b->e), 0);
    check(b);
}

static void a_newer_schema_is_refused(void **state)
{
    struct box *b = *state;
    open_store(b);
    b->st = store_close(b->st);
    sql(b, "PRAGMA user_version = 99");
    open_refused(b, "schema version 99");
    sql(b, "PRAGMA user_version = 3");
    open_store(b);
}

static void a_failed_upgrade_changes_nothing(void **state)
{
    struct box *b = *state;
    sql(b, version_1);
    sql(b, "CREATE TABLE swept(x)"); /* in the way of version 2 */
    assert_int_equal(store_open(&store_sqlite, &b->config, &b->st, &b->e), -1);
    assert_int_equal(number(b, "PRAGMA user_version"), 1);
    assert_int_equal(number(b, "SELECT count(*) FROM sqlite_schema WHERE name = 'usage'"), 0);
    sql(b, "DROP TABLE swept");
    open_store(b);
}

static void other_files_are_refused(void **state)
{
    struct box *b = *state;
    sql(b, "CREATE TABLE theirs(x)");
    open_refused(b, "another program");
    assert_int_equal(number(b, "SELECT count(*) FROM sqlite_schema"), 1);
    FILE *f = fopen(file(b, "parley.db"), "w");
    for (int i = 0; i < 4096; i++)
        fputs("no database", f);
    fclose(f);
    open_refused(b, "cannot be");
}

/* Full at some point: refused whole, the rest is readable, and space brought back is used. */
static void fill_up(struct box *b, unsigned *stored)
{
    char text[3000];
    memset(text, 'f', sizeof text);
    unsigned n = 0;
    while (add(b, "c", str_n(text, sizeof text)) == 0)
        assert_true(++n < 10000);
    assert_int_equal(b->e.code, ERR_STORE_UNAVAILABLE);
    assert_int_equal(err_status(b->e.code), 503);
    assert_string_equal(b->e.text, err_text(ERR_STORE_UNAVAILABLE));
    struct conversation got;
    assert_int_equal(store_conversation_get(b->st, b->a, STR("c"), &got, &b->e), 0);
    assert_int_equal(got.message_count, 2 * n);
    *stored = n;
}

static void a_full_database_refuses_and_recovers(void **state)
{
    struct box *b = *state;
    unsigned stored;
    b->config.max_bytes = 400000;
    open_store(b);
    fill_up(b, &stored);
    assert_true(stored > 10);
    assert_true(number(b, "PRAGMA page_count") * 4096 <= 400000);
    check(b);
    b->st = store_close(b->st);
    b->config.max_bytes = 0;
    open_store(b);
    assert_int_equal(add(b, "c", STR("more")), 0);
    check(b);
}

static void a_full_disk_refuses_and_recovers(void **state)
{
    struct box *b = *state;
    struct rlimit limit, before;
    unsigned stored;
    open_store(b);
    assert_int_equal(add(b, "c0", STR("x")), 0);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 300000; /* no file grows past it: the log's writes fail */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    fill_up(b, &stored);
    assert_int_equal(add(b, "c2", STR("y")), -1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(add(b, "c", STR("more")), 0);
    check(b);
    struct conversation got;
    assert_int_equal(store_conversation_get(b->st, b->a, STR("c2"), &got, &b->e), -1);
    assert_int_equal(b->e.code, ERR_CONVERSATION_NOT_FOUND);
    assert_int_equal(store_conversation_get(b->st, b->a, STR("c"), &got, &b->e), 0);
    assert_int_equal(got.message_count, 2 * stored + 2);
}

struct sizes {
    struct box *b;
    unsigned running, stored_small, stored_big;
    struct task *starter;
};

static void add_small(void *arg)
{
    struct sizes *s = arg;
    s->stored_small += add(s->b, "small", STR("x")) == 0;
    s->running--;
    task_wake(s->starter);
}

static void add_big(void *arg)
{
    struct sizes *s = arg;
    char *text = calloc(1, MIB(1));
    memset(text, 'b', MIB(1));
    s->stored_big += add(s->b, "big", str_n(text, MIB(1))) == 0;
    free(text);
    s->running--;
    task_wake(s->starter);
}

/* One message that does not fit any more fails alone, though the others share its commit. */
static void add_sizes(void *arg)
{
    struct sizes *s = arg;
    s->starter = task_self();
    s->running = 21;
    for (int i = 0; i < 10; i++)
        task_spawn("small", add_small, s);
    task_spawn("big", add_big, s);
    for (int i = 0; i < 10; i++)
        task_spawn("small", add_small, s);
    while (s->running)
        task_park(NULL);
}

static void one_too_big_harms_nobody_else(void **state)
{
    struct box *b = *state;
    struct sizes s = {.b = b};
    b->config.max_bytes = 400000;
    open_store(b);
    run_task(add_sizes, &s);
    assert_int_equal(s.stored_small, 20);
    assert_int_equal(s.stored_big, 0);
    check(b);
}

static void another_programs_lock_is_waited_for_then_refused(void **state)
{
    struct box *b = *state;
    sqlite3 *other;
    struct conversation got;
    b->config.busy_ms = 50;
    open_store(b);
    assert_int_equal(add(b, "c", STR("x")), 0);
    assert_int_equal(sqlite3_open(file(b, "parley.db"), &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(add(b, "c", STR("y")), -1);
    assert_int_equal(b->e.code, ERR_STORE_UNAVAILABLE);
    assert_int_equal(store_conversation_get(b->st, b->a, STR("c"), &got, &b->e), 0);
    assert_int_equal(got.message_count, 2);
    sqlite3_close(other);
    assert_int_equal(add(b, "c", STR("y")), 0);
}

static void fill_conversation(struct box *b, const char *id, unsigned calls, struct str content)
{
    for (unsigned i = 0; i < calls; i++) {
        struct arena *a = arena_new("fill");
        struct message m[STORE_APPEND];
        struct store_append append = {.mode = APPEND_OR_CREATE, .messages = m, .n = STORE_APPEND};
        struct store_appended out;
        for (unsigned k = 0; k < STORE_APPEND; k++)
            m[k] = (struct message){.role = STR("user"), .content = content};
        append.conversation = (struct conversation){.id = str_c(id), .space = STR("chat")};
        assert_int_equal(store_append(b->st, a, &append, &out, &b->e), 0);
        arena_free(a);
    }
}

static void a_deleted_conversation_is_swept(void **state)
{
    struct box *b = *state;
    open_store(b);
    fill_conversation(b, "stays", 1, STR("x"));
    fill_conversation(b, "goes", 100, STR("x"));
    assert_int_equal(store_conversation_delete(b->st, STR("goes"), &b->e), 0);
    check(b);
    b->st = store_close(b->st); /* wherever the sweep was: the next start goes on */
    open_store(b);
    while (number(b, "SELECT count(*) FROM swept") > 0)
        sched_yield();
    assert_int_equal(number(b, "SELECT count(*) FROM messages"), STORE_APPEND);
    check(b);
}

static void the_log_stays_bounded(void **state)
{
    struct box *b = *state;
    char *text = calloc(1, KIB(64));
    struct stat st;
    memset(text, 'l', KIB(64));
    open_store(b);
    for (int i = 0; i < 60; i++)
        fill_conversation(b, "c", 1, str_n(text, KIB(64)));
    free(text);
    assert_int_equal(stat(file(b, "parley.db-wal"), &st), 0);
    if (st.st_size > (off_t)MIB(128))
        fail_msg("log of %lld bytes after 240 MiB", (long long)st.st_size);
    b->st = store_close(b->st);
    assert_int_equal(stat(file(b, "parley.db-wal"), &st), -1);
}

static void damage_is_found(void **state)
{
    struct box *b = *state;
    struct store_report report;
    open_store(b);
    assert_int_equal(add(b, "c", STR("x")), 0);
    b->st = store_close(b->st);
    sql(b, "DELETE FROM messages WHERE role = 'user'");
    open_store(b);
    assert_int_equal(store_check(b->st, b->a, &report, &b->e), 0);
    assert_false(report.ok);
    assert_non_null(strstr(report.detail.p, "conversation c counts 2 messages and has 1"));
}

static void metrics_tell(void **state)
{
    struct box *b = *state;
    struct buf out = BUF_INIT(MIB(1));
    open_store(b);
    assert_int_equal(add(b, "c", STR("x")), 0);
    assert_int_equal(metrics_render(&out), 0);
    assert_non_null(strstr(buf_cstr(&out), "parley_store_seconds_count{op=\"append\"}"));
    assert_non_null(strstr(buf_cstr(&out), "parley_store_batch_size_count"));
    assert_non_null(strstr(buf_cstr(&out), "\nparley_store_queue_depth 0\n"));
    buf_free(&out);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_second_process_is_refused),
        T(files_are_private),
        T(a_bad_directory_is_named),
        T(version_1_is_upgraded),
        T(a_newer_schema_is_refused),
        T(a_failed_upgrade_changes_nothing),
        T(other_files_are_refused),
        T(a_full_database_refuses_and_recovers),
        T(a_full_disk_refuses_and_recovers),
        T(one_too_big_harms_nobody_else),
        T(another_programs_lock_is_waited_for_then_refused),
        T(a_deleted_conversation_is_swept),
        T(the_log_stays_bounded),
        T(damage_is_found),
        T(metrics_tell),
    };
    return cmocka_run_group_tests_name("store/sqlite", tests, NULL, NULL);
}
