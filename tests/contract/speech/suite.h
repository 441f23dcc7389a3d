/* The contract of speech drivers as tests that know no driver. Each runs in a task, with both halves of a driver open.
 * What is to be recognized is spoken by the local driver's voices, whoever listens. A new driver adds one row to
 * drivers[] in main.c. */
#ifndef TEST_CONTRACT_SPEECH_SUITE_H
#define TEST_CONTRACT_SPEECH_SUITE_H

#include "unit/speech/local_env.h"

#include "speech/media.h"

struct fixture {
    const struct driver *driver;
    struct cloud_service *cloud; /* for drivers of cloud services: listens and speaks behind them */
    struct media *media;
    struct tts *tts, *voice; /* the driver's; what speaks to stt */
    struct stt *stt;
    struct arena *a;
    struct err e;
    char failure[1024]; /* what went wrong; said outside of the task */
};

struct driver {
    const char *name;
    /* Open tts and stt, with f->media for the former. */
    void (*open)(struct fixture *f);
    bool tts; /* false: the tests of tts are another row's */
};

struct suite_test {
    const char *name;
    void (*body)(struct fixture *f);
};

/* One array per file, ended by a row without a name. */
extern const struct suite_test tts_tests[], stt_tests[];

/* A task must not leave by longjmp: these note the first failure and return from the test. */
#define CHECK(f, condition)                                                                                            \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            snprintf((f)->failure, sizeof(f)->failure, "%s:%d: %s (%s %s)", __FILE__, __LINE__, #condition,            \
                     err_name((f)->e.code), (f)->e.text);                                                              \
            return;                                                                                                    \
        }                                                                                                              \
    } while (0)
#define CHECK_REFUSED(f, call, wanted)                                                                                 \
    do {                                                                                                               \
        (f)->e = (struct err){0};                                                                                      \
        CHECK((f), !(call));                                                                                           \
        CHECK((f), (f)->e.code == (wanted) && (f)->e.text[0]);                                                         \
    } while (0)

#endif
