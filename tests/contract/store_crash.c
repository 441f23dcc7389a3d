/* Kill -9 at any moment loses nothing that was acknowledged. A child writes and tells of every acknowledgement over a
 * pipe; it is killed at a random moment; then everything it told of must be there, and nothing half. */
#include "store/sqlite/sqlite_store.h"
#include "unit/support/run_task.h"
#include "unit/support/temp_dir.h"

#include "base/log.h"
#include "base/rand.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>

#define ROUNDS  40
#define WRITERS 16

/* One acknowledgement: the writer's n-th turn is stored. Smaller than PIPE_BUF, so never torn. */
struct ack {
    uint32_t writer, turn;
};

struct writer {
    struct store *st;
    int pipe;
    uint32_t number, from;
};

static void writer_main(void *arg)
{
    struct writer *w = arg;
    for (uint32_t n = w->from;; n++) {
        struct arena *a = arena_new("writer");
        struct turn_begin turn = {.create = true, .user = {.role = STR("user")}};
        struct store_appended out = {0};
        struct err e = {0};
        turn.conversation.id = arena_printf(a, "w%u", w->number);
        turn.conversation.space = STR("chat");
        turn.user.content = arena_printf(a, "turn %u of %u", n, w->number);
        turn.user.client_id = arena_printf(a, "k%u", n);
        turn.reply.id = arena_printf(a, "r%u", n);
        if (store_turn_begin(w->st, a, &turn, &out, &e) < 0 || out.duplicate)
            die("turn %u of writer %u from %u: %s", n, w->number, w->from, out.duplicate ? "duplicate" : e.text);
        struct ack ack = {w->number, n};
        if (write(w->pipe, &ack, sizeof ack) != sizeof ack)
            die("pipe");
        arena_free(a);
    }
}

static void writers_main(void *arg)
{
    struct writer *writers = arg;
    for (unsigned i = 0; i < WRITERS; i++)
        task_spawn("writer", writer_main, &writers[i]);
    while (task_park(NULL) == 0)
        ;
}

static void child(const char *dir, int fd, const uint32_t *from)
{
    struct writer writers[WRITERS];
    struct store_config config = {.data_dir = dir};
    struct store *st;
    struct err e;
    if (store_open(&store_sqlite, &config, &st, &e) < 0)
        die("open: %s", e.text);
    for (uint32_t i = 0; i < WRITERS; i++)
        writers[i] = (struct writer){st, fd, i, from[i]};
    run_task(writers_main, writers);
}

/* Kills the child after a random number of acknowledgements and a random moment more; notes all it told of. */
static void kill_at_random(pid_t pid, int fd, uint32_t *acked)
{
    struct ack ack;
    uint64_t wanted = rand_below(300), seen = 0;
    bool killed = rand_below(4) == 0;
    if (killed) { /* while it opens, recovers, or begins to write */
        nanosleep(&(struct timespec){.tv_nsec = (long)rand_below(20000000)}, NULL);
        kill(pid, SIGKILL);
    }
    while (read(fd, &ack, sizeof ack) == (ssize_t)sizeof ack) {
        assert_true(ack.writer < WRITERS && ack.turn == acked[ack.writer]);
        acked[ack.writer]++;
        if (++seen > wanted && !killed) {
            for (volatile uint64_t spin = rand_below(200000); spin; spin--)
                ;
            kill(pid, SIGKILL);
            killed = true;
        }
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* What is stored: at least what was acknowledged, turns whole and in order. Updates `acked` to what is there. */
static void check_writer(struct store *st, uint32_t number, uint32_t *acked)
{
    struct arena *a = arena_new("check");
    struct message_query query = {.conversation_id = arena_printf(a, "w%u", number), .limit = STORE_PAGE};
    struct message_page page;
    struct err e;
    uint32_t at = 0;
    do {
        assert_int_equal(store_message_list(st, a, &query, &page, &e), 0);
        for (size_t i = 0; i < page.n; i++, at++) {
            struct str want =
                at % 2 ? arena_printf(a, "r%u", at / 2) : arena_printf(a, "turn %u of %u", at / 2, number);
            assert_true(str_eq(at % 2 ? page.items[i].id : page.items[i].content, want));
            query.after = page.items[i].seq;
        }
    } while (page.more);
    assert_int_equal(at % 2, 0);
    assert_true(at / 2 >= *acked);
    *acked = at / 2;
    arena_free(a);
}

static void check_all(const char *dir, uint32_t *acked)
{
    struct store_config config = {.data_dir = dir};
    struct store_report report;
    struct store *st;
    struct err e;
    struct arena *a = arena_new("check");
    if (store_open(&store_sqlite, &config, &st, &e) < 0)
        fail_msg("open: %s", e.text);
    for (uint32_t i = 0; i < WRITERS; i++)
        check_writer(st, i, &acked[i]);
    assert_int_equal(store_check(st, a, &report, &e), 0);
    if (!report.ok)
        fail_msg("%s", report.detail.p);
    store_close(st);
    arena_free(a);
}

static void nothing_acknowledged_is_lost(void **state)
{
    char dir[TEMP_DIR_MAX];
    uint32_t acked[WRITERS] = {0};
    (void)state;
    temp_dir_make(dir);
    for (unsigned round = 0; round < ROUNDS; round++) {
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0) {
            close(fds[0]);
            child(dir, fds[1], acked);
            _exit(1);
        }
        close(fds[1]);
        kill_at_random(pid, fds[0], acked);
        close(fds[0]);
        check_all(dir, acked);
    }
    uint64_t turns = 0;
    for (unsigned i = 0; i < WRITERS; i++)
        turns += acked[i];
    print_message("%u kills, %llu turns stored\n", ROUNDS, (unsigned long long)turns);
    assert_true(turns > ROUNDS);
    temp_dir_remove(dir);
}

int main(void)
{
    log_setup(LOG_WARN, LOG_TEXT);
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_acknowledged_is_lost)};
    int failed = cmocka_run_group_tests_name("store crash", tests, NULL, NULL);
    arena_thread_end();
    return failed;
}
