#include "contract/speech/suite.h"

static void open_local(struct fixture *f)
{
    struct speech_local_config config = {.media = f->media, .queue_timeout = 60000};
    f->tts = tts_local_new(&config);
    f->stt = stt_local_new(&config);
}

static const struct driver drivers[] = {{"local", open_local}};
static const struct suite_test *const suites[] = {tts_tests, stt_tests};

struct test_case {
    const struct driver *driver;
    const struct suite_test *test;
    char name[128];
    struct fixture f;
};

static void run_body(void *arg)
{
    struct test_case *c = arg;
    struct fixture *f = &c->f;
    struct media_config media = {0};
    f->a = arena_new("test");
    f->media = media_new(&media);
    f->voice = tts_local_new(NULL);
    c->driver->open(f);
    c->test->body(f);
    f->tts = tts_free(f->tts);
    f->stt = stt_free(f->stt);
    f->voice = tts_free(f->voice);
    f->media = media_free(f->media);
    f->a = arena_free(f->a);
}

static void run_case(void **state)
{
    struct test_case *c = *state;
    run_task(run_body, c);
    if (c->f.failure[0])
        fail_msg("%s", c->f.failure);
}

int main(int argc, char **argv)
{
    static struct test_case cases[128];
    static struct CMUnitTest tests[COUNT(cases)];
    size_t n = 0;
    if (argc > 1 && strcmp(argv[1], "media") == 0) /* this program is its own media process */
        return media_worker(MEDIA_WORKER_FD);
    for (size_t d = 0; d < COUNT(drivers); d++)
        for (size_t s = 0; s < COUNT(suites); s++)
            for (const struct suite_test *test = suites[s]; test->name; test++, n++) {
                assert_true(n < COUNT(cases));
                cases[n] = (struct test_case){.driver = &drivers[d], .test = test, .f.driver = &drivers[d]};
                snprintf(cases[n].name, sizeof cases[n].name, "%s: %s", drivers[d].name, test->name);
                tests[n] =
                    (struct CMUnitTest){.name = cases[n].name, .test_func = run_case, .initial_state = &cases[n]};
            }
    return _cmocka_run_group_tests("contract of speech", tests, n, NULL, NULL);
}
