/* Workers that crash, hang and lie; places that are taken; streams that nobody ends. */
#include "unit/speech/media_process_env.h"
#include "unit/support/loop_thread.h"

#define RATE     24000
#define STALL_MS 1000 /* long enough for a busy machine to begin a worker */

static struct media *media;

/* Runs the body in a task with a media layer, and sees that nothing of it stays behind. */
static void with_media(const struct media_config *config, void (*body)(void *arg), void *arg)
{
    unsigned files = open_files();
    media = media_new(config);
    run_task(body, arg);
    media = media_free(media);
    assert_int_equal(children_of(getpid(), NULL), 0);
    assert_in_range(open_files(), files, files + 2); /* libuv's own of its first loop */
}

static const struct media_decode how = {.rate = RATE};

static struct media_stream *open_decode(void)
{
    struct err e = {0};
    struct media_stream *s = media_open_decode(media, &how, &e);
    if (!s)
        fail_msg("%s", e.text);
    return s;
}

/* The media layer works. */
static void expect_health(void)
{
    struct buf file = encoded_tone(SPEECH_OPUS, 48000, 1), pcm = BUF_INIT(MIB(1));
    struct err e = {0};
    if (media_decode_all(media, &how, buf_str(&file), &pcm, &e) < 0)
        fail_msg("%s", e.text);
    assert_tone(buf_str(&pcm), RATE, 1, 0.1);
    buf_free(&pcm);
    buf_free(&file);
}

/* A stream that has begun: some output was read. */
static struct media_stream *open_begun(void)
{
    struct media_stream *s = open_decode();
    struct buf file = encoded_tone(SPEECH_OPUS, 48000, 1);
    struct str piece;
    assert_int_equal(media_write(s, buf_str(&file), NULL), 0);
    assert_int_equal(media_read(s, &piece, NULL), 1);
    buf_free(&file);
    return s;
}

static int read_all(struct media_stream *s, struct err *e)
{
    struct str piece;
    int got;
    while ((got = media_read(s, &piece, e)) > 0)
        ;
    return got;
}

/* ---- crashes ---- */

static void kill_worker(void *arg)
{
    int signal = *(int *)arg;
    struct media_stream *s = open_begun();
    struct err e = {0};
    kill(the_worker(), signal);
    assert_int_equal(read_all(s, &e), -1);
    assert_int_equal(e.code, ERR_INVALID_REQUEST);
    assert_string_equal(e.text, "The audio cannot be decoded");
    assert_int_equal(media_write(s, STR("x"), &e), -1);
    assert_int_equal(children_of(media_process(), NULL), 0); /* no zombie either */
    media_close(s);
    expect_health();
}

static void a_dead_worker_is_an_error_of_its_stream(void **state)
{
    static int signals[] = {SIGKILL, SIGSYS, SIGXCPU};
    (void)state;
    for (size_t i = 0; i < COUNT(signals); i++)
        with_media(&(struct media_config){.workers = 1}, kill_worker, &signals[i]);
}

static void kill_while_writing(void *arg)
{
    struct media_stream *s = open_begun();
    struct buf wav = encoded_tone(SPEECH_OPUS, 48000, 20);
    struct err e = {0};
    int result = 0;
    (void)arg;
    kill(the_worker(), SIGKILL);
    while (result == 0)
        result = media_write(s, buf_str(&wav), &e);
    assert_int_equal(e.code, ERR_INVALID_REQUEST);
    media_close(s);
    buf_free(&wav);
}

static void a_writer_learns_that_the_worker_died(void **state)
{
    (void)state;
    with_media(&(struct media_config){0}, kill_while_writing, NULL);
}

static void kill_encoder(void *arg)
{
    struct media_encode to = {.rate = RATE, .format = SPEECH_MP3};
    struct err e = {0};
    struct media_stream *s = media_open_encode(media, &to, &e);
    (void)arg;
    assert_non_null(s);
    kill(the_worker(), SIGKILL);
    assert_int_equal(read_all(s, &e), -1);
    assert_int_equal(e.code, ERR_INTERNAL_ERROR);
    media_close(s);
}

static void a_dead_encoder_is_our_fault(void **state)
{
    (void)state;
    with_media(&(struct media_config){0}, kill_encoder, NULL);
}

static void kill_media_process(void *arg)
{
    struct err e = {0};
    (void)arg;
    struct media_stream *s = open_begun();
    pid_t first = media_process();
    kill(first, SIGKILL);
    assert_int_equal(read_all(s, &e), -1);
    assert_int_equal(e.code, ERR_INVALID_REQUEST);
    media_close(s);
    expect_health();
    pid_t second = media_process();
    assert_int_not_equal(first, second);
    kill(second, SIGKILL); /* between two streams */
    expect_health();
    kill(media_process(), SIGTERM); /* meant for the server: it ends when the server does */
    expect_health();
}

static void a_dead_media_process_is_replaced(void **state)
{
    (void)state;
    with_media(&(struct media_config){0}, kill_media_process, NULL);
}

/* ---- stalls ---- */

static void stop_worker(void *arg)
{
    struct media_stream *s = open_begun();
    struct err e = {0};
    (void)arg;
    kill(the_worker(), SIGSTOP);
    assert_int_equal(media_write(s, STR("more"), NULL), 0);
    assert_int_equal(read_all(s, &e), -1);
    assert_int_equal(e.code, ERR_TIMEOUT);
    await_children(media_process(), 0);
    media_close(s);
    expect_health();
}

static void stop_worker_at_the_end(void *arg)
{
    struct media_stream *s = open_begun();
    struct err e = {0};
    (void)arg;
    kill(the_worker(), SIGSTOP);
    assert_int_equal(media_finish(s, NULL), 0);
    assert_int_equal(read_all(s, &e), -1);
    assert_int_equal(e.code, ERR_TIMEOUT);
    media_close(s);
}

static void stop_media_process(void *arg)
{
    struct err e = {0};
    (void)arg;
    expect_health();
    pid_t pid = media_process();
    kill(pid, SIGSTOP);
    assert_null(media_open_decode(media, &how, &e));
    assert_int_equal(e.code, ERR_TIMEOUT);
    kill(pid, SIGCONT);
    expect_health();
}

static void a_worker_that_hangs_is_given_up(void **state)
{
    struct media_config config = {.stall_timeout = STALL_MS};
    (void)state;
    with_media(&config, stop_worker, NULL);
    with_media(&config, stop_worker_at_the_end, NULL);
    with_media(&config, stop_media_process, NULL);
}

/* Silence is no stall when nobody owes anything: the worker waits for input, or for the reader. */
static void wait_long(void *arg)
{
    struct media_stream *s = open_begun();
    struct buf wav = encoded_tone(SPEECH_WAV, RATE, 20), pcm = BUF_INIT(MIB(64));
    (void)arg;
    assert_int_equal(task_sleep(STALL_MS * 3 / 2, NULL), 0);
    assert_int_equal(media_finish(s, NULL), 0);
    assert_int_equal(read_all(s, NULL), 0);
    media_close(s);
    s = open_decode();
    struct str part = buf_str(&wav), piece; /* more than a reader may leave unread, less than all buffers hold */
    part.n = KIB(400);
    assert_int_equal(media_write(s, part, NULL), 0);
    assert_int_equal(media_finish(s, NULL), 0);
    assert_int_equal(task_sleep(STALL_MS * 3 / 2, NULL), 0);
    while (media_read(s, &piece, NULL) == 1)
        buf_str_add(&pcm, piece);
    assert_int_equal(pcm.len, KIB(400) - 44);
    media_close(s);
    buf_free(&pcm);
    buf_free(&wav);
}

static void waiting_is_not_hanging(void **state)
{
    (void)state;
    with_media(&(struct media_config){.stall_timeout = STALL_MS}, wait_long, NULL);
}

/* ---- lies ---- */

static void be_lied_to(void *arg)
{
    struct err e;
    (void)arg;
    for (unsigned rate = LIE_NO_SUCH_PACKET; rate < LIE_END; rate++) {
        struct media_decode liars = {.rate = rate};
        memset(&e, 0, sizeof e);
        struct media_stream *s = media_open_decode(media, &liars, &e);
        int result = s ? read_all(s, &e) : -1;
        enum err_code want = rate == LIE_SILENCE ? ERR_TIMEOUT : ERR_INVALID_REQUEST;
        if (result != -1 || e.code != want)
            fail_msg("lie %u: %d, %s", rate, result, err_name(e.code));
        media_close(s);
    }
}

static void workers_are_not_believed(void **state)
{
    struct alias alias;
    const char *program = alias_make(&alias, "liar");
    (void)state;
    with_media(&(struct media_config){.program = program, .max_seconds = 60, .stall_timeout = STALL_MS}, be_lied_to,
               NULL);
    alias_remove(&alias);
}

/* ---- what is missing ---- */

static void open_without_libraries(void *arg)
{
    struct err e = {0};
    (void)arg;
    for (int i = 0; i < 2; i++) {
        assert_null(media_open_decode(media, &how, &e));
        assert_int_equal(e.code, ERR_NOT_CONFIGURED);
        assert_non_null(strstr(e.text, "libavformat"));
    }
}

static void without_the_libraries(void **state)
{
    struct alias alias;
    const char *program = alias_make(&alias, "without-libraries");
    (void)state;
    with_media(&(struct media_config){.program = program}, open_without_libraries, NULL);
    alias_remove(&alias);
}

static void open_nothing(void *arg)
{
    struct err e = {0};
    (void)arg;
    assert_null(media_open_decode(media, &how, &e));
    assert_int_equal(e.code, ERR_INTERNAL_ERROR);
}

static void without_the_program(void **state)
{
    (void)state;
    with_media(&(struct media_config){.program = "/nowhere/parley"}, open_nothing, NULL);
}

/* ---- places ---- */

static void ask_for_a_second(void *arg)
{
    struct media_stream *first = open_decode();
    struct err e = {0};
    (void)arg;
    assert_null(media_open_decode(media, &how, &e));
    assert_int_equal(e.code, ERR_OVERLOADED);
    media_close(first);
    expect_health();
}

static void all_workers_are_busy(void **state)
{
    (void)state;
    with_media(&(struct media_config){.workers = 1, .queue_timeout = 20}, ask_for_a_second, NULL);
}

struct opener {
    struct err e;
    bool opened, done;
};

static void opens(void *arg)
{
    struct opener *opener = arg;
    struct media_stream *s = media_open_decode(media, &how, &opener->e);
    opener->opened = s != NULL;
    media_close(s);
    opener->done = true;
}

static void stand_in_line(void *arg)
{
    struct opener waiters[3] = {0};
    struct media_stream *first = open_decode();
    (void)arg;
    task_spawn("opener", opens, &waiters[0]);
    struct task *second = task_spawn("opener", opens, &waiters[1]);
    task_spawn("opener", opens, &waiters[2]);
    task_cancel(second);
    while (!waiters[1].done)
        task_yield(NULL);
    assert_int_equal(waiters[1].e.code, ERR_CANCELLED);
    assert_false(waiters[0].done || waiters[2].done);
    media_close(first);
    while (!waiters[0].done || !waiters[2].done)
        assert_int_equal(task_sleep(1, NULL), 0);
    assert_true(waiters[0].opened && waiters[2].opened);
}

static void the_first_in_line_is_next(void **state)
{
    (void)state;
    with_media(&(struct media_config){.workers = 1, .queue_timeout = 60000}, stand_in_line, NULL);
}

/* The end of its stream frees a worker's place, not the reader's leisure. */
static void leave_unread(void *arg)
{
    struct buf file = encoded_tone(SPEECH_OPUS, 48000, 1), pcm = BUF_INIT(MIB(1));
    struct media_stream *s = open_decode();
    struct str piece;
    (void)arg;
    assert_int_equal(media_write(s, buf_str(&file), NULL), 0);
    assert_int_equal(media_finish(s, NULL), 0);
    expect_health();
    while (media_read(s, &piece, NULL) == 1)
        buf_str_add(&pcm, piece);
    assert_tone(buf_str(&pcm), RATE, 1, 0.1);
    media_close(s);
    buf_free(&pcm);
    buf_free(&file);
}

static void output_may_wait_for_its_reader(void **state)
{
    (void)state;
    with_media(&(struct media_config){.workers = 1, .queue_timeout = 60000}, leave_unread, NULL);
}

struct elsewhere {
    struct loop_thread thread;
    struct opener opener;
    sem_t done;
};

static void opens_elsewhere(void *arg)
{
    struct elsewhere *there = arg;
    opens(&there->opener);
    sem_post(&there->done);
}

static void spawn_elsewhere(void *arg)
{
    task_spawn("elsewhere", opens_elsewhere, arg);
}

static void hand_over(void *arg)
{
    struct elsewhere *there = arg;
    for (int i = 0; i < 20; i++) {
        struct media_stream *first = open_decode();
        on_loop(&there->thread, spawn_elsewhere, there);
        media_close(first);
        while (sem_trywait(&there->done) < 0)
            assert_int_equal(task_sleep(1, NULL), 0);
        if (!there->opener.opened)
            fail_msg("%s", there->opener.e.text);
    }
}

static void places_go_from_loop_to_loop(void **state)
{
    struct elsewhere there = {0};
    (void)state;
    sem_init(&there.done, 0, 0);
    loop_thread_start(&there.thread);
    media = media_new(&(struct media_config){.workers = 1, .queue_timeout = 60000});
    run_task(hand_over, &there);
    loop_thread_stop(&there.thread);
    media = media_free(media);
    assert_int_equal(children_of(getpid(), NULL), 0);
    sem_destroy(&there.done);
}

/* ---- streams that nobody ends ---- */

struct side {
    struct media_stream *s;
    struct err e;
    int result;
    bool done;
};

static void reads(void *arg)
{
    struct side *side = arg;
    struct str piece;
    side->result = media_read(side->s, &piece, &side->e);
    side->done = true;
}

static void writes(void *arg)
{
    struct side *side = arg;
    static char zeros[MIB(8)];
    side->result = media_write(side->s, str_n(zeros, sizeof zeros), &side->e);
    side->done = true;
}

static void cancel_sides(void *arg)
{
    struct media_decode pcm = {.rate = RATE, .pcm_rate = RATE};
    (void)arg;
    for (int i = 0; i < 2; i++) {
        struct side side = {.s = media_open_decode(media, &pcm, NULL)};
        assert_non_null(side.s);
        struct task *task = task_spawn("side", i ? writes : reads, &side);
        assert_non_null(task);
        assert_int_equal(task_sleep(20, NULL), 0);
        assert_false(side.done);
        task_cancel(task);
        while (!side.done)
            task_yield(NULL);
        assert_int_equal(side.result, -1);
        assert_int_equal(side.e.code, ERR_CANCELLED);
        media_close(side.s);
    }
    expect_health();
}

static void cancelled_tasks_stop_waiting(void **state)
{
    (void)state;
    with_media(&(struct media_config){0}, cancel_sides, NULL);
}

static void cancel_opener(void *arg)
{
    struct opener opener = {0};
    (void)arg;
    struct task *task = task_spawn("opener", opens, &opener); /* waits for the media process to begin */
    task_cancel(task);
    while (!opener.done)
        task_yield(NULL);
    assert_int_equal(opener.e.code, ERR_CANCELLED);
    expect_health();
}

static void a_cancelled_open_leaves_nothing(void **state)
{
    (void)state;
    with_media(&(struct media_config){.workers = 1}, cancel_opener, NULL);
}

static void close_early(void *arg)
{
    (void)arg;
    media_close(open_decode());
    media_close(open_begun());
    struct media_stream *s = open_begun();
    assert_int_equal(media_finish(s, NULL), 0);
    media_close(s);
    media_close(NULL);
    await_children(media_process(), 0);
    expect_health();
}

static void unfinished_streams_are_closed(void **state)
{
    (void)state;
    with_media(&(struct media_config){0}, close_early, NULL);
}

/* The loop ends with closing streams and a media process that nobody needs. */
static void close_at_the_end(void *arg)
{
    (void)arg;
    media_close(open_begun());
}

static void the_loop_ends(void **state)
{
    (void)state;
    with_media(&(struct media_config){0}, close_at_the_end, NULL);
}

static void be_idle(void *arg)
{
    struct media_stream *s = open_decode();
    pid_t first = media_process();
    (void)arg;
    assert_int_equal(task_sleep(60, NULL), 0); /* a stream is under way */
    assert_int_equal(media_process(), first);
    media_close(s);
    await_children(getpid(), 0);
    expect_health();
    await_children(getpid(), 0);
}

static void an_idle_media_process_ends(void **state)
{
    (void)state;
    with_media(&(struct media_config){.idle_timeout = 30}, be_idle, NULL);
}

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(a_dead_worker_is_an_error_of_its_stream),
        cmocka_unit_test(a_writer_learns_that_the_worker_died),
        cmocka_unit_test(a_dead_encoder_is_our_fault),
        cmocka_unit_test(a_dead_media_process_is_replaced),
        cmocka_unit_test(a_worker_that_hangs_is_given_up),
        cmocka_unit_test(waiting_is_not_hanging),
        cmocka_unit_test(workers_are_not_believed),
        cmocka_unit_test(without_the_libraries),
        cmocka_unit_test(without_the_program),
        cmocka_unit_test(all_workers_are_busy),
        cmocka_unit_test(the_first_in_line_is_next),
        cmocka_unit_test(output_may_wait_for_its_reader),
        cmocka_unit_test(places_go_from_loop_to_loop),
        cmocka_unit_test(cancelled_tasks_stop_waiting),
        cmocka_unit_test(a_cancelled_open_leaves_nothing),
        cmocka_unit_test(unfinished_streams_are_closed),
        cmocka_unit_test(the_loop_ends),
        cmocka_unit_test(an_idle_media_process_ends),
    };
    return libav_load() ? cmocka_run_group_tests(all, NULL, NULL) : 1;
}

int main(int argc, char **argv)
{
    return media_tests_main(argc, argv, tests);
}
