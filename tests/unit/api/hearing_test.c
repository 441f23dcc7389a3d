/* Audio of any length as text: what happens between the decoder, the segments and a recognizer that obeys. */
#include "unit/support/unit.h"

#include "api/hearing.h"
#include "base/mem.h"
#include "speech/speech_driver.h"
#include "unit/support/run_task.h"
#include "wire/base64.h"

#include <math.h>
#include <stdlib.h>

#define RATE 16000

/* ---- the recognizer ---- */

static struct puppet {
    struct stt base;
    unsigned opened, closed, busy_at, busy; /* from the busy_at-th segment on, so many times */
    unsigned fail_at;                       /* this segment fails; 0: none */
    bool partials, settled;
    bool hang; /* no event ever comes */
    size_t bytes;
} puppet;

struct puppet_stream {
    struct stt_stream base;
    unsigned number, events;
    char text[32];
};

static struct stt_stream *puppet_open(struct stt *stt, const struct stt_request *rq, struct arena *arena, struct err *e)
{
    (void)arena;
    assert_int_equal(rq->rate, RATE);
    if (puppet.busy && puppet.opened + 1 >= puppet.busy_at) {
        puppet.busy--;
        err_set(e, ERR_OVERLOADED, "All recognizers are busy");
        return NULL;
    }
    struct puppet_stream *s = mem_zalloc(sizeof *s);
    s->base.ops = stt->ops;
    s->number = ++puppet.opened;
    return &s->base;
}

static int puppet_write(struct stt_stream *base, struct str pcm, struct err *e)
{
    (void)base;
    (void)e;
    puppet.bytes += pcm.n;
    return 0;
}

static int puppet_finish(struct stt_stream *base, struct err *e)
{
    (void)base;
    (void)e;
    return 0;
}

static int puppet_next(struct stt_stream *base, struct stt_event *event, struct err *e)
{
    struct puppet_stream *s = (struct puppet_stream *)base;
    while (puppet.hang)
        if (task_park(e) < 0)
            return -1;
    if (s->number == puppet.fail_at)
        return err_set(e, ERR_UPSTREAM, "secret words of the service");
    unsigned partials = puppet.partials ? 2 : 0;
    if (s->events > partials)
        return 0;
    bool final = s->events++ == partials;
    if (final)
        snprintf(s->text, sizeof s->text, " part %u ", s->number);
    else
        snprintf(s->text, sizeof s->text, puppet.settled ? "part" : "guess %u", s->events);
    *event = (struct stt_event){.type = final ? STT_FINAL : STT_PARTIAL,
                                .text = str_c(s->text),
                                .settled = !final && puppet.settled,
                                .confidence = final ? 0.5 : -1};
    return 1;
}

static void puppet_close(struct stt_stream *base)
{
    puppet.closed++;
    free(base);
}

static const struct stt_ops puppet_ops = {.name = "puppet",
                                          .open = puppet_open,
                                          .write = puppet_write,
                                          .finish = puppet_finish,
                                          .next = puppet_next,
                                          .close = puppet_close};

/* ---- hearing ---- */

static struct media *media;
static struct buf audio, told;
static struct heard heard;
static struct err e;
static int result;

/* A tone: no voice, but no silence either. */
static void make_audio(double seconds)
{
    for (size_t i = 0; i < (size_t)(RATE * seconds); i++) {
        int16_t sample = (int16_t)(8000 * sin(2 * M_PI * 440 * (double)i / RATE));
        buf_add(&audio, &sample, sizeof sample);
    }
}

static int tell(void *arg, struct str text, struct err *why)
{
    (void)why;
    return buf_str_add(arg, text);
}

static struct hearing_request request(void)
{
    return (struct hearing_request){.stt = &puppet.base,
                                    .media = media,
                                    .audio = buf_str(&audio),
                                    .pcm_rate = RATE,
                                    .language = STR(""),
                                    .prompt = STR(""),
                                    .tell = puppet.partials ? tell : NULL,
                                    .arg = &told};
}

static void hear_it(void *arg)
{
    struct hearing_request rq = arg ? *(struct hearing_request *)arg : request();
    struct arena *arena = arena_new("test");
    result = hear(&rq, arena, &heard, &e);
    arena_free(arena);
    assert_int_equal(puppet.opened, puppet.closed);
}

static void expect_text(const char *text)
{
    if (result < 0)
        fail_msg("%s", e.text);
    assert_str(buf_str(&heard.text), text);
}

static int setup(void **state)
{
    (void)state;
    puppet = (struct puppet){.base.ops = &puppet_ops};
    media = media_new(&(struct media_config){.program = NULL});
    buf_init(&audio, MIB(64));
    buf_init(&told, MIB(1));
    heard_init(&heard);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    media_free(media);
    buf_free(&audio);
    buf_free(&told);
    heard_free(&heard);
    return 0;
}

static void every_segment_once(void **state)
{
    (void)state;
    make_audio(70);
    run_task(hear_it, NULL);
    expect_text("part 1 part 2");
    assert_int_equal(heard.duration_ms, 70000);
    assert_int_equal(puppet.bytes, audio.len);
    assert_int_equal(heard_count(&heard), 2);
    const struct heard_segment *second = heard_segment(&heard, 1);
    assert_str(heard_text(&heard, second), "part 2");
    assert_true(second->start_ms >= heard_segment(&heard, 0)->end_ms);
    assert_int_equal(second->end_ms, 70000);
    assert_true(heard_confidence(&heard) == 0.5);
}

static void who_comes_new_is_refused_when_all_are_busy(void **state)
{
    (void)state;
    make_audio(1);
    puppet.busy_at = puppet.busy = 1;
    run_task(hear_it, NULL);
    assert_int_equal(result, -1);
    assert_int_equal(e.code, ERR_OVERLOADED);
    assert_false(heard.bad_audio);
}

static void who_was_heard_in_part_waits(void **state)
{
    (void)state;
    make_audio(60);
    puppet.busy_at = 2;
    puppet.busy = 2;
    run_task(hear_it, NULL);
    expect_text("part 1 part 2");
    assert_int_equal(puppet.bytes, audio.len);
}

static void a_failure_ends_it(void **state)
{
    (void)state;
    make_audio(120);
    puppet.fail_at = 2;
    run_task(hear_it, NULL);
    assert_int_equal(result, -1);
    assert_int_equal(e.code, ERR_UPSTREAM);
    assert_int_equal(puppet.opened, 2);
}

static void settled_text_is_told_at_once(void **state)
{
    (void)state;
    make_audio(60);
    puppet.partials = puppet.settled = true;
    run_task(hear_it, NULL);
    expect_text("part 1 part 2");
    assert_str(buf_str(&told), "part 1 part 2");
}

static void guesses_are_not_told(void **state)
{
    (void)state;
    make_audio(60);
    puppet.partials = true;
    run_task(hear_it, NULL);
    expect_text("part 1 part 2");
    assert_str(buf_str(&told), "part 1 part 2");
}

static void base64_in_slices(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(MIB(8));
    make_audio(10);
    buf_lit(&text, "data:audio/pcm;base64,");
    base64_put(&text, buf_str(&audio), false);
    struct hearing_request rq = request();
    rq.audio = buf_str(&text);
    rq.base64 = true;
    run_task(hear_it, &rq);
    expect_text("part 1");
    assert_int_equal(puppet.bytes, audio.len);
    buf_free(&text);
}

static void broken_base64(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(MIB(8));
    make_audio(10);
    base64_put(&text, buf_str(&audio), false);
    text.data[text.head + KIB(200)] = '*';
    struct hearing_request rq = request();
    rq.audio = buf_str(&text);
    rq.base64 = true;
    run_task(hear_it, &rq);
    assert_int_equal(result, -1);
    assert_int_equal(e.code, ERR_INVALID_REQUEST);
    assert_true(heard.bad_audio);
    assert_non_null(strstr(e.text, "base64"));
    assert_int_equal(puppet.opened, 0);
    buf_free(&text);
}

static void what_cannot_be_heard(void **state)
{
    (void)state;
    struct hearing_request rq = request();
    rq.audio = STR("x"); /* half a sample */
    run_task(hear_it, &rq);
    assert_int_equal(result, -1);
    assert_true(heard.bad_audio);
    rq.pcm_rate = 0;
    rq.audio = STR("This is no audio, but a text that goes on for longer than any container's first bytes do.");
    run_task(hear_it, &rq);
    assert_int_equal(e.code, ERR_INVALID_REQUEST);
    assert_true(heard.bad_audio);
    rq.stt = NULL;
    run_task(hear_it, &rq);
    assert_int_equal(e.code, ERR_NOT_CONFIGURED);
    assert_false(heard.bad_audio);
    assert_int_equal(puppet.opened, 0);
}

static void silence_is_not_sent(void **state)
{
    (void)state;
    memset(buf_reserve(&audio, (size_t)60 * RATE * 2), 0, (size_t)60 * RATE * 2);
    buf_commit(&audio, (size_t)60 * RATE * 2);
    run_task(hear_it, NULL);
    expect_text("");
    assert_int_equal(puppet.opened, 0);
    assert_int_equal(heard.duration_ms, 60000);
}

static void leave(void *arg)
{
    (void)arg;
    struct task *task = task_spawn("hearing", hear_it, NULL);
    while (puppet.opened == 0)
        task_sleep(1, NULL);
    task_cancel(task);
}

static void who_leaves_is_not_waited_for(void **state)
{
    (void)state;
    make_audio(300); /* the feeder waits, too */
    puppet.hang = true;
    run_task(leave, NULL);
    assert_int_equal(result, -1);
    assert_int_equal(e.code, ERR_CANCELLED);
    assert_int_equal(puppet.closed, 1);
}

static int tests(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest all[] = {
        CASE(every_segment_once),
        CASE(who_comes_new_is_refused_when_all_are_busy),
        CASE(who_was_heard_in_part_waits),
        CASE(a_failure_ends_it),
        CASE(settled_text_is_told_at_once),
        CASE(guesses_are_not_told),
        CASE(base64_in_slices),
        CASE(broken_base64),
        CASE(what_cannot_be_heard),
        CASE(silence_is_not_sent),
        CASE(who_leaves_is_not_waited_for),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}

/* The program is its own media process. */
int main(int argc, char **argv)
{
    return argc > 1 && strcmp(argv[1], "media") == 0 ? media_worker(MEDIA_WORKER_FD) : tests();
}
