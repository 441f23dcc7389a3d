#include "contract/speech/cloud.h"
#include "contract/speech/suite.h"

#include "speech/azure_speech/azure_speech.h"
#include "speech/openai/openai.h"
#include "unit/client/run_client.h"

static const struct upstream_config upstream = {.connect_timeout = 60000, .first_byte_timeout = 60000};

static void open_local(struct fixture *f)
{
    struct speech_local_config config = {.media = f->media, .queue_timeout = 60000};
    f->tts = tts_local_new(&config);
    f->stt = stt_local_new(&config);
}

static void open_openai(struct fixture *f)
{
    struct buf url = BUF_INIT(KIB(1));
    buf_addf(&url, "%sv1", f->cloud->azure.url);
    struct speech_openai_config config = {.base_url = buf_cstr(&url), .api_key = "sk-test", .upstream = &upstream};
    f->tts = tts_openai_new(&config, &f->e);
    f->stt = stt_openai_new(&config, &f->e);
    buf_free(&url);
}

static void open_azure_speech(struct fixture *f)
{
    struct speech_azure_config config = {.tts_url = f->cloud->azure.url,
                                         .stt_url = f->cloud->azure.url,
                                         .api_key = "sk-test",
                                         .rest = !f->driver->tts,
                                         .media = f->media,
                                         .upstream = &upstream};
    f->tts = tts_azure_speech_new(&config, &f->e);
    f->stt = stt_azure_speech_new(&config, &f->e);
}

static const struct driver drivers[] = {{"local", open_local, true},
                                        {"openai", open_openai, true},
                                        {"azure_speech", open_azure_speech, true},
                                        {"azure_speech over REST", open_azure_speech, false}};
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
    f->a = arena_free(f->a);
}

static void run_case(void **state)
{
    struct test_case *c = *state;
    struct cloud_service cloud = {0};
    c->f.cloud = &cloud;
    cloud_start(&cloud);
    run_client(run_body, c);
    tts_free(c->f.tts);
    stt_free(c->f.stt);
    tts_free(c->f.voice);
    media_free(c->f.media);
    cloud_stop(&cloud);
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
            for (const struct suite_test *test = suites[s]; test->name && (drivers[d].tts || suites[s] != tts_tests);
                 test++, n++) {
                assert_true(n < COUNT(cases));
                cases[n] = (struct test_case){.driver = &drivers[d], .test = test, .f.driver = &drivers[d]};
                snprintf(cases[n].name, sizeof cases[n].name, "%s: %s", drivers[d].name, test->name);
                tests[n] =
                    (struct CMUnitTest){.name = cases[n].name, .test_func = run_case, .initial_state = &cases[n]};
            }
    return _cmocka_run_group_tests("contract of speech", tests, n, NULL, NULL);
}
