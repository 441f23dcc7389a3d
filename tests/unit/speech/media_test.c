/* Streams through workers: whole, in slices, many at once. */
#include "unit/speech/media_process_env.h"

#include "base/sanitize.h"

#define RATE 24000

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

static void read_rest(struct media_stream *s, struct buf *out)
{
    struct str piece;
    struct err e;
    int got;
    while ((got = media_read(s, &piece, &e)) > 0)
        buf_str_add(out, piece);
    if (got < 0)
        fail_msg("%s", e.text);
}

/* ---- whole ---- */

static void encode_and_decode(void *arg)
{
    struct buf pcm = BUF_INIT(MIB(64));
    struct err e;
    (void)arg;
    tone(&pcm, 16000, TONE_HZ, 2);
    for (int f = 0; f < SPEECH_PCM; f++) {
        struct media_encode to = {.rate = 16000, .format = (enum speech_format)f};
        struct buf file = BUF_INIT(MIB(64)), back = BUF_INIT(MIB(64));
        struct media_stream *s = media_open_encode(media, &to, &e);
        assert_non_null(s);
        assert_int_equal(media_write(s, buf_str(&pcm), &e), 0);
        assert_int_equal(media_finish(s, &e), 0);
        read_rest(s, &file);
        media_close(s);
        assert_int_equal(media_decode_all(media, &how, buf_str(&file), &back, &e), 0);
        assert_tone(buf_str(&back), RATE, 2, 0.3);
        buf_free(&file);
        buf_free(&back);
    }
    buf_free(&pcm);
}

static void every_format_through_workers(void **state)
{
    (void)state;
    with_media(&(struct media_config){0}, encode_and_decode, NULL);
}

/* More output than all buffers hold, asked for in one piece. */
static void decode_much(void *arg)
{
    struct buf silence = BUF_INIT(MIB(64)), file, pcm = BUF_INIT(MIB(64));
    struct err e;
    (void)arg;
    tone(&silence, 8000, TONE_HZ, 59);
    assert_int_equal(encode(buf_str(&silence), 8000, SPEECH_OPUS, 0, &file), MEDIA_OK);
    assert_int_equal(media_decode_all(media, &how, buf_str(&file), &pcm, &e), 0);
    assert_tone(buf_str(&pcm), RATE, 59, 0.1);
    buf_free(&file);
    buf_clear(&pcm);
    assert_int_equal(encode(buf_str(&silence), 8000, SPEECH_WAV, 0, &file), MEDIA_OK);
    assert_int_equal(media_decode_all(media, &how, buf_str(&file), &pcm, &e), 0);
    assert_tone(buf_str(&pcm), RATE, 59, 0.1);
    struct buf small = BUF_INIT(KIB(100));
    assert_int_equal(media_decode_all(media, &how, buf_str(&file), &small, &e), -1);
    assert_int_equal(e.code, ERR_INVALID_REQUEST);
    buf_free(&small);
    buf_free(&file);
    buf_free(&pcm);
    buf_free(&silence);
}

static void more_than_the_buffers_hold(void **state)
{
    (void)state;
    with_media(&(struct media_config){0}, decode_much, NULL);
}

/* ---- slices ---- */

static void speak_while_listening(void *arg)
{
    struct buf file = webm_tone(48000, 3), pcm = BUF_INIT(MIB(64));
    struct str rest = buf_str(&file), piece;
    struct media_stream *s = open_decode();
    struct err e;
    (void)arg;
    for (int i = 0; i < 6; i++) { /* of some 30 slices of 100 ms */
        assert_int_equal(media_write(s, str_n(rest.p, 800), &e), 0);
        rest = str_from(rest, 800);
    }
    assert_int_equal(media_read(s, &piece, &e), 1);
    buf_str_add(&pcm, piece);
    assert_int_equal(media_write(s, rest, &e), 0);
    assert_int_equal(media_finish(s, &e), 0);
    read_rest(s, &pcm);
    assert_tone(buf_str(&pcm), RATE, 3, 0.1);
    media_close(s);
    buf_free(&file);
    buf_free(&pcm);
}

static void output_comes_before_the_end_of_the_input(void **state)
{
    (void)state;
    with_media(&(struct media_config){0}, speak_while_listening, NULL);
}

struct sides {
    struct media_stream *s;
    struct buf file;
    size_t written;
    bool done;
};

static void writer(void *arg)
{
    struct sides *sides = arg;
    struct str rest = buf_str(&sides->file);
    while (rest.n) {
        struct str slice = str_n(rest.p, MIN(rest.n, 50000));
        assert_int_equal(media_write(sides->s, slice, NULL), 0);
        sides->written += slice.n;
        rest = str_from(rest, slice.n);
    }
    assert_int_equal(media_finish(sides->s, NULL), 0);
    sides->done = true;
}

static void read_slowly(void *arg)
{
    struct sides sides = {.s = open_decode(), .file = encoded_tone(SPEECH_WAV, RATE, 59)};
    struct str piece;
    size_t read = 0;
    (void)arg;
    task_spawn("writer", writer, &sides);
    /* Nobody reads: the writer must be stopped by what the buffers hold, not by the end of the file. */
    for (size_t before = SIZE_MAX; before != sides.written;) {
        before = sides.written;
        assert_int_equal(task_sleep(100, NULL), 0);
    }
    assert_false(sides.done);
    while (media_read(sides.s, &piece, NULL) == 1) {
        read += piece.n;
        assert_true(sides.written < read + MIB(1));
        task_yield(NULL);
    }
    assert_true(sides.done);
    assert_int_equal(read + 44, sides.file.len);
    media_close(sides.s);
    buf_free(&sides.file);
}

static void a_slow_reader_slows_the_writer(void **state)
{
    (void)state;
    with_media(&(struct media_config){0}, read_slowly, NULL);
}

/* ---- confined ---- */

static bool status_has(pid_t pid, const char *line)
{
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    return strstr(text, line) != NULL;
}

static void look_at_worker(void *arg)
{
    struct media_stream *s = open_decode();
    (void)arg;
    assert_true(status_has(the_worker(), "NoNewPrivs:\t1\n"));
#if defined(WITH_ASAN) || defined(WITH_TSAN)
    assert_true(status_has(the_worker(), "Seccomp:\t0\n"));
#else
    assert_true(status_has(the_worker(), "Seccomp:\t2\n"));
#endif
    media_close(s);
}

static void workers_are_confined(void **state)
{
    (void)state;
    with_media(&(struct media_config){0}, look_at_worker, NULL);
}

/* ---- refused ---- */

static void expect_refusal(struct str file, const char *text)
{
    struct buf out = BUF_INIT(MIB(1));
    struct err e = {0};
    assert_int_equal(media_decode_all(media, &how, file, &out, &e), -1);
    assert_int_equal(e.code, ERR_INVALID_REQUEST);
    assert_string_equal(e.text, text);
    buf_free(&out);
}

static void write_what_is_no_audio(void *arg)
{
    struct buf tones = encoded_tone(SPEECH_MP3, RATE, 3);
    (void)arg;
    expect_refusal(STR(""), "The audio is empty");
    expect_refusal(STR("This is not audio at all, but a line of text that is long enough to be looked at."),
                   "The audio is in none of the formats WebM, Ogg, MP4, MP3, AAC, WAV and FLAC");
    expect_refusal(STR("\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01"), "The audio cannot be decoded");
    expect_refusal(buf_str(&tones), "The audio is longer than 2 seconds");
    buf_free(&tones);
}

static void refusals_say_why(void **state)
{
    (void)state;
    with_media(&(struct media_config){.max_seconds = 2}, write_what_is_no_audio, NULL);
}

static void keep_writing(void *arg)
{
    struct media_stream *s = open_decode();
    struct err e = {0};
    struct str piece;
    int result = 0;
    (void)arg;
    while (result == 0) /* until it is known */
        result = media_write(s, STR("no audio, again and again and again and again; "), &e);
    assert_int_equal(e.code, ERR_INVALID_REQUEST);
    assert_int_equal(media_write(s, STR("x"), &e), -1);
    assert_int_equal(media_finish(s, &e), -1);
    assert_int_equal(media_read(s, &piece, &e), -1);
    media_close(s);
}

static void a_writer_hears_of_the_failure(void **state)
{
    (void)state;
    with_media(&(struct media_config){0}, keep_writing, NULL);
}

/* What was made before the failure is not lost. */
static void read_until_failure(void *arg)
{
    struct buf file = encoded_tone(SPEECH_WAV, RATE, 3), pcm = BUF_INIT(MIB(1));
    struct media_stream *s = open_decode();
    struct err e;
    struct str piece;
    int got;
    (void)arg;
    media_write(s, buf_str(&file), NULL); /* may know already */
    while ((got = media_read(s, &piece, &e)) > 0)
        buf_str_add(&pcm, piece);
    assert_int_equal(got, -1);
    assert_string_equal(e.text, "The audio is longer than 2 seconds");
    assert_int_equal(pcm.len, 2 * RATE * 2);
    media_close(s);
    buf_free(&pcm);
    buf_free(&file);
}

static void output_before_a_failure_is_read(void **state)
{
    (void)state;
    with_media(&(struct media_config){.max_seconds = 2}, read_until_failure, NULL);
}

static void ask_for_absurd_rates(void *arg)
{
    static const struct media_decode decodes[] = {{.rate = 0}, {.rate = 3999}, {.rate = 1000000}, {RATE, 1}};
    static const struct media_encode encodes[] = {{.rate = 0}, {.rate = RATE, .out_rate = 7}};
    struct err e;
    (void)arg;
    for (size_t i = 0; i < COUNT(decodes); i++) {
        assert_null(media_open_decode(media, &decodes[i], &e));
        assert_int_equal(e.code, ERR_INVALID_REQUEST);
    }
    for (size_t i = 0; i < COUNT(encodes); i++) {
        assert_null(media_open_encode(media, &encodes[i], &e));
        assert_int_equal(e.code, ERR_INVALID_REQUEST);
    }
    assert_int_equal(children_of(getpid(), NULL), 0);
}

static void absurd_rates(void **state)
{
    (void)state;
    with_media(&(struct media_config){0}, ask_for_absurd_rates, NULL);
}

/* ---- many ---- */

#define MANY 24

static unsigned left;

static void one_of_many(void *arg)
{
    struct buf pcm = BUF_INIT(MIB(1));
    struct err e;
    if (media_decode_all(media, &how, buf_str(arg), &pcm, &e) < 0)
        fail_msg("%s", e.text);
    assert_tone(buf_str(&pcm), RATE, 1, 0.1);
    buf_free(&pcm);
    left--;
}

static void many_tasks(void *arg)
{
    struct buf file = encoded_tone(SPEECH_OPUS, 48000, 1);
    (void)arg;
    left = MANY;
    for (int i = 0; i < MANY; i++)
        task_spawn("one", one_of_many, &file);
    assert_in_range(children_of(getpid(), NULL), 0, 1);
    while (left)
        assert_int_equal(task_sleep(5, NULL), 0);
    assert_int_equal(children_of(getpid(), NULL), 1);
    buf_free(&file);
}

static void many_at_once(void **state)
{
    (void)state;
    with_media(&(struct media_config){.workers = 3, .queue_timeout = 60000}, many_tasks, NULL);
}

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(every_format_through_workers),
        cmocka_unit_test(more_than_the_buffers_hold),
        cmocka_unit_test(output_comes_before_the_end_of_the_input),
        cmocka_unit_test(a_slow_reader_slows_the_writer),
        cmocka_unit_test(workers_are_confined),
        cmocka_unit_test(refusals_say_why),
        cmocka_unit_test(a_writer_hears_of_the_failure),
        cmocka_unit_test(output_before_a_failure_is_read),
        cmocka_unit_test(absurd_rates),
        cmocka_unit_test(many_at_once),
    };
    return libav_load() ? cmocka_run_group_tests(all, NULL, NULL) : 1;
}

int main(int argc, char **argv)
{
    return media_tests_main(argc, argv, tests);
}
