/* Customer care on a chat of a test's own: a model that answers by what it is asked, speech that the test scripts,
 * audio files in memory. */
#ifndef TEST_CHAT_CARE_ENV_H
#define TEST_CHAT_CARE_ENV_H

#include "base/rand.h"
#include "chat/care_impl.h"
#include "unit/chat/chat_env.h"
#include "unit/support/fake_speech.h"

/* ---- a model that tells replies, judgements and titles apart ---- */

enum asked { ASKED_REPLY, ASKED_SENTIMENT, ASKED_TITLE, ASKED_KINDS };

struct sorting {
    struct llm base;
    struct scripted *by[ASKED_KINDS];
};

static inline struct llm_stream *sorting_open(struct llm *llm, const struct llm_request *rq, struct arena *arena,
                                              struct str *refusal, struct err *e)
{
    struct sorting *s = container_of(llm, struct sorting, base);
    struct str system = rq->nmessages ? rq->messages[0].content : STR("");
    enum asked kind = str_eqc(system, care_prompt_sentiment) ? ASKED_SENTIMENT
                      : str_eqc(system, care_prompt_title)   ? ASKED_TITLE
                                                             : ASKED_REPLY;
    return llm_open(&s->by[kind]->base, rq, arena, refusal, e);
}

static inline void sorting_free(struct llm *llm)
{
    struct sorting *s = container_of(llm, struct sorting, base);
    for (size_t i = 0; i < ASKED_KINDS; i++)
        llm_free(&s->by[i]->base);
    free(s);
}

static const struct llm_ops sorting_ops = {.name = "sorting",
                                           .open = sorting_open,
                                           .next = scripted_next,
                                           .close = scripted_close,
                                           .models = scripted_models,
                                           .ping = scripted_ping,
                                           .free = sorting_free};

/* ---- audio files ---- */

#define FILES 4096

struct files {
    pthread_mutex_t mutex;
    char names[FILES][CARE_AUDIO_NAME];
    size_t sizes[FILES];
    size_t n, dropped;
    bool refuse;
};

static inline int files_keep(void *arg, enum speech_format format, struct str bytes, char name[CARE_AUDIO_NAME],
                             struct err *e)
{
    struct files *files = arg;
    if (files->refuse)
        return err_set(e, ERR_INTERNAL_ERROR, "no space");
    if (format != SPEECH_MP3)
        die("audio of customer care is MP3");
    pthread_mutex_lock(&files->mutex);
    if (files->n == FILES)
        die("too many files for a test");
    snprintf(name, CARE_AUDIO_NAME, "response-%zu.mp3", files->n);
    str_copy(files->names[files->n], CARE_AUDIO_NAME, str_c(name));
    files->sizes[files->n++] = bytes.n;
    pthread_mutex_unlock(&files->mutex);
    return 0;
}

static inline void files_drop(void *arg, struct str name)
{
    struct files *files = arg;
    pthread_mutex_lock(&files->mutex);
    for (size_t i = 0; i < files->n; i++) {
        if (!str_eqc(name, files->names[i]))
            continue;
        files->names[i][0] = 0;
        files->dropped++;
    }
    pthread_mutex_unlock(&files->mutex);
}

/* ---- a store that fails when the test says so ---- */

static struct {
    atomic_uint fail_in_1000[STORE_OP_COUNT]; /* of the calls of each kind */
    atomic_bool late;                         /* half of them once they are done: the answer is lost */
    atomic_int calls[STORE_OP_COUNT];
} faults;

static inline int faulty_submit(struct store *st, const struct store_call *call, struct err *e)
{
    atomic_fetch_add(&faults.calls[call->op], 1);
    if (rand_below(1000) < atomic_load(&faults.fail_in_1000[call->op])) {
        if (atomic_load(&faults.late) && rand_below(2))
            store_sqlite.submit(st, call, e);
        return err_set(e, ERR_STORE_UNAVAILABLE, NULL);
    }
    return store_sqlite.submit(st, call, e);
}

static inline void faults_end(void)
{
    for (size_t i = 0; i < STORE_OP_COUNT; i++)
        atomic_store(&faults.fail_in_1000[i], 0);
    atomic_store(&faults.late, false);
}

static inline void faults_install(struct store *st)
{
    static struct store_ops faulty;
    faulty = store_sqlite;
    faulty.submit = faulty_submit;
    st->ops = &faulty;
    memset(&faults, 0, sizeof faults);
}

/* ---- the environment ---- */

struct care_env {
    struct env env;
    struct care *care;
    struct sorting *model; /* NULL: none is configured */
    struct fake_tts tts;
    struct files files;
    void (*body)(struct care_env *env);
};

static inline void care_body(struct env *base)
{
    struct care_env *env = container_of(base, struct care_env, env);
    env->body(env);
}

static inline struct sorting *sorting_new(void)
{
    static const struct step neutral[] = {SAY("neutral"), FINISH("stop"), DONE},
                             title[] = {SAY("\"Question About Things\""), FINISH("stop"), DONE};
    struct sorting *s = mem_zalloc(sizeof *s);
    llm_init(&s->base, &sorting_ops, "model-1");
    for (size_t i = 0; i < ASKED_KINDS; i++)
        s->by[i] = scripted_new("model-1");
    scripted_set(s->by[ASKED_SENTIMENT], neutral);
    scripted_set(s->by[ASKED_TITLE], title);
    return s;
}

/* In the test's task, before the loops hear of anything else. */
static inline void care_setup(struct env *base)
{
    struct care_env *env = container_of(base, struct care_env, env);
    static const struct fake_said plain[] = {{.ms = 100}};
    fake_tts_init(&env->tts, plain, COUNT(plain));
    if (!base->no_model) {
        env->model = sorting_new();
        base->chat->config.llm = &env->model->base;
    }
    pthread_mutex_init(&env->files.mutex, NULL);
    faults_install(base->st);
    struct care_config config = {.chat = base->chat,
                                 .tts = &env->tts.base,
                                 .model = "care-model",
                                 .audio = {&env->files, files_keep, files_drop}};
    env->care = care_new(&config);
    care_body(base);
}

static inline void care_run_with(struct care_env *env, void (*body)(struct care_env *env))
{
    env->body = body;
    temp_dir_make(env->env.dir);
    env->env.body = care_setup;
    env_run_in(&env->env);
    care_free(env->care);
    if (env->model)
        llm_free(&env->model->base);
    temp_dir_remove(env->env.dir);
}

struct care_test {
    void (*fn)(struct care_env *env);
    size_t nloops;
    bool no_model;
};

static inline void care_run(void **state)
{
    const struct care_test *test = *state;
    struct care_env *env = mem_zalloc(sizeof *env);
    env->env.nloops = test->nloops;
    env->env.no_model = test->no_model;
    care_run_with(env, test->fn);
    free(env);
}

/* clang-format off */
#define CARE_TEST(fn)    {#fn, care_run, NULL, NULL, &(struct care_test){fn, 1, false}}
#define CARE_OFFLINE(fn) {#fn " (offline)", care_run, NULL, NULL, &(struct care_test){fn, 1, true}}
#define CARE_LOOPS(fn)   {#fn " (loops)", care_run, NULL, NULL, &(struct care_test){fn, 3, false}}
/* clang-format on */

/* ---- what tests do ---- */

#define OWNER STR("5f0000000000000000000001")
#define OTHER STR("5f0000000000000000000002")

static inline struct care_started started_by(struct care_env *env, struct care_start start)
{
    struct care_started started;
    start.owner = start.owner.n ? start.owner : OWNER;
    assert_ok(&env->env, care_start(env->care, &start, env->env.a, &started, &env->env.e));
    return started;
}

/* A call of the simulator. */
static inline struct str call(struct care_env *env)
{
    return started_by(env, (struct care_start){.channel = CARE_REST}).view.conversation.id;
}

static inline struct care_said say_in(struct care_env *env, struct str id, const char *text)
{
    struct care_say say = {.owner = OWNER, .conversation_id = id, .text = str_c(text)};
    struct care_said said;
    assert_ok(&env->env, care_say(env->care, &say, env->env.a, &said, &env->env.e));
    return said;
}

static inline struct care_view view_of(struct care_env *env, struct str id)
{
    struct care_view view;
    assert_ok(&env->env, care_get(env->care, OWNER, id, STORE_ALL, false, env->env.a, &view, &env->env.e));
    return view;
}

/* Until the last turn has done its last step. */
static inline void await_over(struct care_env *env)
{
    while (chat_busy(env->env.chat))
        task_sleep(1, NULL);
}

static inline void assert_same_figures(const struct analytics *got, const struct analytics *want)
{
    assert_int_equal(got->counted, want->counted);
    assert_int_equal(got->messages, want->messages);
    assert_int_equal(got->user_messages, want->user_messages);
    assert_int_equal(got->first_user_us, want->first_user_us);
    assert_int_equal(got->last_us, want->last_us);
    assert_int_equal(got->intents, want->intents);
    assert_int_equal(got->companies, want->companies);
    assert_int_equal(got->sentiment, want->sentiment);
    assert_int_equal(got->judged, want->judged);
    assert_int_equal(got->points, want->points);
}

/* What the conversation shows is what its messages come to. */
static inline void assert_recounts(struct care_env *env, struct str id)
{
    struct care_view view = view_of(env, id);
    struct analytics want = {0};
    for (size_t i = 0; i < view.conversation.nmessages; i++)
        analytics_add(&want, &view.conversation.messages[i], env->env.a);
    assert_same_figures(&view.figures, &want);
    assert_int_equal(view.figures.counted, view.conversation.message_count);
}

#endif
