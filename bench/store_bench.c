/* The store's speed: durable messages a second from 64 tasks, latency, and cost by length of the conversation, beside a
 * plain loop that commits each message by itself. One JSON object per line.
 * Usage: store_bench [directory], or store_bench mongodb://… [adds], which measures the driver on MongoDB. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/task.h"
#include "store/mongo/mongo_store.h"
#include "store/sqlite/sqlite_store.h"

#include <dirent.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TASKS  64
#define ADDS   64000
#define ROUNDS 3
#define TEXT   200 /* bytes of one message */

static char text[TEXT];

struct run {
    struct store *st;
    void (*one)(struct run *run, struct arena *a, unsigned task, unsigned n);
    const char *conversation; /* NULL: one per task */
    unsigned tasks, each;     /* tasks, and calls of each */
    unsigned running;
    struct task *starter;
    uint32_t *latency_us; /* tasks * each */
    uint64_t ns;
};

struct worker {
    struct run *run;
    unsigned task;
};

static void worker_main(void *arg)
{
    struct worker w = *(struct worker *)arg;
    for (unsigned n = 0; n < w.run->each; n++) {
        struct arena *a = arena_new("bench");
        uint64_t start = clock_mono_ns();
        w.run->one(w.run, a, w.task, n);
        w.run->latency_us[w.task * w.run->each + n] = (uint32_t)((clock_mono_ns() - start) / 1000);
        arena_free(a);
    }
    if (--w.run->running == 0)
        task_wake(w.run->starter);
}

static void starter_main(void *arg)
{
    struct run *run = arg;
    struct worker workers[TASKS];
    run->starter = task_self();
    run->running = run->tasks;
    uint64_t start = clock_mono_ns();
    for (unsigned i = 0; i < run->tasks; i++) {
        workers[i] = (struct worker){run, i};
        task_spawn("worker", worker_main, &workers[i]);
    }
    while (run->running)
        task_park(NULL);
    run->ns = clock_mono_ns() - start;
    loop_stop(task_loop(task_self()));
}

static void start(void *arg)
{
    task_spawn("starter", starter_main, arg);
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void execute(struct run *run)
{
    struct loop *loop = loop_new(0);
    run->latency_us = mem_array((size_t)run->tasks * run->each, sizeof *run->latency_us);
    loop_post(loop, start, run);
    loop_run(loop);
    loop_free(loop);
    qsort(run->latency_us, (size_t)run->tasks * run->each, sizeof *run->latency_us, by_value);
}

static void report(struct run *run, const char *what)
{
    unsigned calls = run->tasks * run->each;
    execute(run);
    printf(
        "{\"bench\":\"store\",\"what\":\"%s\",\"tasks\":%u,\"calls\":%u,\"per_s\":%.0f,\"p50_us\":%u,\"p99_us\":%u}\n",
        what, run->tasks, calls, calls / ((double)run->ns / 1e9), run->latency_us[calls / 2],
        run->latency_us[calls - calls / 100 - 1]);
    fflush(stdout);
    free(run->latency_us);
}

static struct str conversation_of(const struct run *run, struct arena *a, unsigned task)
{
    return run->conversation ? str_c(run->conversation) : arena_printf(a, "bench-%u", task);
}

static void add(struct run *run, struct arena *a, unsigned task, unsigned n)
{
    struct message m = {.role = STR("user"), .content = {text, TEXT}};
    struct store_append append = {.mode = APPEND_OR_CREATE, .messages = &m, .n = 1};
    struct store_appended out;
    struct err e;
    (void)n;
    append.conversation = (struct conversation){.id = conversation_of(run, a, task), .space = STR("bench")};
    if (store_append(run->st, a, &append, &out, &e) < 0)
        die("add: %s", e.text);
}

static void add_many(struct run *run, struct arena *a, unsigned task, unsigned n)
{
    struct message m[STORE_APPEND];
    struct store_append append = {.messages = m, .n = STORE_APPEND};
    struct store_appended out;
    struct err e;
    (void)n;
    for (unsigned i = 0; i < STORE_APPEND; i++)
        m[i] = (struct message){.role = STR("user"), .content = {text, TEXT}};
    append.conversation.id = conversation_of(run, a, task);
    if (store_append(run->st, a, &append, &out, &e) < 0)
        die("add: %s", e.text);
}

static void last20(struct run *run, struct arena *a, unsigned task, unsigned n)
{
    struct message_page page;
    struct err e;
    (void)n;
    if (store_message_last(run->st, a, conversation_of(run, a, task), 20, &page, &e) < 0)
        die("read: %s", e.text);
}

static int by_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Microseconds per message, 64 tasks adding 1,024 to one conversation that has `length` already; the median. */
static void cost_by_length(struct store *st)
{
    static const unsigned lengths[] = {10, 1000, 100000};
    double cost[3][ROUNDS];
    for (unsigned round = 0; round < ROUNDS; round++)
        for (unsigned i = 0; i < 3; i++) {
            char name[32];
            snprintf(name, sizeof name, "length-%u-%u", lengths[i], round);
            struct message m = {.role = STR("user"), .content = {text, TEXT}};
            struct run fill = {.st = st, .one = add_many, .conversation = name, .tasks = TASKS};
            struct run measured = {.st = st, .one = add, .conversation = name, .tasks = TASKS, .each = 16};
            for (unsigned n = 0; n < lengths[i] % (TASKS * STORE_APPEND) && n < 1000; n++) {
                struct arena *a = arena_new("bench");
                struct store_append one = {.mode = APPEND_OR_CREATE, .messages = &m, .n = 1};
                struct store_appended out;
                one.conversation = (struct conversation){.id = str_c(name), .space = STR("bench")};
                if (store_append(st, a, &one, &out, NULL) < 0)
                    die("fill");
                arena_free(a);
            }
            fill.each = lengths[i] / (TASKS * STORE_APPEND);
            if (fill.each) {
                execute(&fill);
                free(fill.latency_us);
            }
            execute(&measured);
            free(measured.latency_us);
            cost[i][round] = (double)measured.ns / 1e3 / (TASKS * measured.each);
        }
    for (unsigned i = 0; i < 3; i++) {
        qsort(cost[i], ROUNDS, sizeof(double), by_double);
        printf("{\"bench\":\"store\",\"what\":\"cost by length\",\"length\":%u,\"us_per_message\":%.1f}\n", lengths[i],
               cost[i][ROUNDS / 2]);
    }
}

static void sql(sqlite3 *db, const char *statement)
{
    if (sqlite3_exec(db, statement, NULL, NULL, NULL) != SQLITE_OK)
        die("%s: %s", statement, sqlite3_errmsg(db));
}

/* The peer: what one writes at first. Same durability, one transaction per message, one thread, no server. */
static void plain_loop(const char *dir)
{
    enum { MESSAGES = 4000 };
    static uint32_t us[MESSAGES];
    char path[512];
    sqlite3 *db;
    sqlite3_stmt *insert, *advance;
    snprintf(path, sizeof path, "%s/plain.db", dir);
    if (sqlite3_open(path, &db) != SQLITE_OK)
        die("%s", path);
    sql(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
            "CREATE TABLE conversations(id TEXT PRIMARY KEY, updated INTEGER, messages INTEGER);"
            "CREATE TABLE messages(id INTEGER PRIMARY KEY, conversation TEXT, seq INTEGER, role TEXT, content TEXT);"
            "CREATE UNIQUE INDEX by_conversation ON messages(conversation, seq);"
            "INSERT INTO conversations VALUES('c', 0, 0)");
    sqlite3_prepare_v2(db, "UPDATE conversations SET updated = ?, messages = messages + 1", -1, &advance, NULL);
    sqlite3_prepare_v2(db, "INSERT INTO messages(conversation, seq, role, content) VALUES('c', ?, 'user', ?)", -1,
                       &insert, NULL);
    uint64_t began = clock_mono_ns();
    for (int i = 0; i < MESSAGES; i++) {
        uint64_t at = clock_mono_ns();
        sql(db, "BEGIN IMMEDIATE");
        sqlite3_bind_int64(advance, 1, clock_wall_us());
        sqlite3_bind_int(insert, 1, i + 1);
        sqlite3_bind_text(insert, 2, text, TEXT, SQLITE_STATIC);
        if (sqlite3_step(advance) != SQLITE_DONE || sqlite3_step(insert) != SQLITE_DONE)
            die("plain: %s", sqlite3_errmsg(db));
        sqlite3_reset(advance);
        sqlite3_reset(insert);
        sql(db, "COMMIT");
        us[i] = (uint32_t)((clock_mono_ns() - at) / 1000);
    }
    double seconds = (double)(clock_mono_ns() - began) / 1e9;
    qsort(us, MESSAGES, sizeof us[0], by_value);
    printf(
        "{\"bench\":\"store\",\"what\":\"peer: plain loop\",\"calls\":%d,\"per_s\":%.0f,\"p50_us\":%u,\"p99_us\":%u}\n",
        MESSAGES, MESSAGES / seconds, us[MESSAGES / 2], us[MESSAGES - MESSAGES / 100]);
    sqlite3_finalize(advance);
    sqlite3_finalize(insert);
    sqlite3_close(db);
}

static void remove_dir(const char *dir)
{
    char path[512];
    DIR *d = opendir(dir);
    for (struct dirent *entry; d && (entry = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(path);
    }
    if (d)
        closedir(d);
    rmdir(dir);
}

/* What bench/peers/mongoose.mjs does as well. */
static int on_mongo(const char *url, unsigned adds)
{
    struct store *st;
    struct err e;
    if (store_open(&store_mongo, &(struct store_config){.url = url}, &st, &e) < 0)
        die("%s", e.text);
    struct run warm = {.st = st, .one = add, .tasks = TASKS, .each = 20};
    execute(&warm);
    free(warm.latency_us);
    struct run many = {.st = st, .one = add, .tasks = TASKS, .each = adds / TASKS};
    report(&many, "add, a conversation per task");
    struct run alone = {.st = st, .one = add, .tasks = 1, .each = adds / 20};
    report(&alone, "add, one task alone");
    struct run read = {.st = st, .one = last20, .tasks = TASKS, .each = adds / TASKS};
    report(&read, "last 20 messages");
    store_close(st);
    return 0;
}

int main(int argc, char **argv)
{
    char dir[256];
    struct store *st;
    struct err e;
    uint64_t adds = 16000;
    log_setup(LOG_WARN, LOG_TEXT);
    memset(text, 'm', sizeof text);
    if (argc > 1 && strncmp(argv[1], "mongodb", 7) == 0)
        return argc > 2 && str_u64(str_c(argv[2]), &adds) < 0 ? 2 : on_mongo(argv[1], (unsigned)adds);
    snprintf(dir, sizeof dir, "%s/store-bench-XXXXXX", argc > 1 ? argv[1] : ".");
    if (!mkdtemp(dir))
        die("cannot make %s", dir);
    plain_loop(dir);
    if (store_open(&store_sqlite, &(struct store_config){.data_dir = dir}, &st, &e) < 0)
        die("%s", e.text);
    struct run many = {.st = st, .one = add, .tasks = TASKS, .each = ADDS / TASKS};
    report(&many, "add, a conversation per task");
    struct run one = {.st = st, .one = add, .tasks = TASKS, .each = ADDS / TASKS, .conversation = "one"};
    report(&one, "add, one conversation");
    struct run alone = {.st = st, .one = add, .tasks = 1, .each = 4000, .conversation = "one"};
    report(&alone, "add, one task alone");
    struct run read = {.st = st, .one = last20, .tasks = TASKS, .each = 500};
    report(&read, "last 20 messages");
    cost_by_length(st);
    store_close(st);
    remove_dir(dir);
    return 0;
}
