/* A voice session over scripted drivers, and what came of it as one line of words. The test's body runs in a task. */
#ifndef TEST_VOICE_ENV_H
#define TEST_VOICE_ENV_H

#include "unit/chat/chat_env.h"
#include "unit/support/fake_speech.h"

#include "chat/voice_impl.h"

#define RATE 16000

struct voice_call {
    struct env *env;
    struct fake_stt stt;
    struct fake_tts tts;
    struct voice_policy policy;
    struct voice_settings settings;
    struct voice *v;
    struct buf log;   /* "started stopped item+user …", see session_log */
    struct buf audio; /* of all replies */
    struct buf said;  /* text of all replies */
    /* Of the last event about one; user, spoken: an item of the user's, of the assistant's. */
    char item[VOICE_ID], user[VOICE_ID], spoken[VOICE_ID], response[VOICE_ID];
    char previous[VOICE_ID];
    struct voice_response done;               /* of the last VOICE_RESPONSE_DONE; its strings are gone */
    char metadata[128], voice[64], text[512]; /* of the same; text: of its item */
    struct err error;
    uint64_t at_ms, from_ms;
    bool in_call;           /* no event comes from inside of a call */
    int close_at, pause_at; /* a type + 1: closes, or pauses, from inside of that event */
    struct waitlist changed;
};

static inline const char *session_kind(const struct voice_item *item)
{
    static const char *const kinds[] = {"user", "assistant", "system"};
    return kinds[item->kind];
}

static inline void log_word(struct voice_call *s, const char *word, struct str detail)
{
    buf_addf(&s->log, "%s%s%s", s->log.len ? " " : "", word, detail.n ? ":" : "");
    buf_str_add(&s->log, detail);
}

static inline void log_response(struct voice_call *s, const struct voice_response *r)
{
    static const char *const outcomes[] = {"running", "completed", "cancelled", "failed", "incomplete"};
    log_word(s, outcomes[r->outcome],
             str_c(r->outcome == VOICE_RESPONSE_FAILED ? err_name(r->error->code) : r->reason));
    s->done = *r;
    str_copy(s->metadata, sizeof s->metadata, r->metadata);
    str_copy(s->voice, sizeof s->voice, r->voice);
    str_copy(s->text, sizeof s->text, r->item ? r->item->text : STR(""));
    if (r->error)
        s->error = *r->error;
}

static inline void log_unheard(struct voice_call *s, const struct err *e)
{
    s->error = *e;
    log_word(s, "unheard", str_c(err_name(e->code)));
}

static inline bool log_ends(const struct voice_call *s, const char *word)
{
    return str_ends(buf_str(&s->log), str_c(word));
}

static inline void session_log(struct voice_call *s, const struct voice_event *event)
{
    static const char *const names[] = {[VOICE_SPEECH_STARTED] = "started",
                                        [VOICE_SPEECH_STOPPED] = "stopped",
                                        [VOICE_IDLE] = "idle",
                                        [VOICE_COMMITTED] = "committed",
                                        [VOICE_CLEARED] = "cleared",
                                        [VOICE_ITEM_ADDED] = "item+",
                                        [VOICE_ITEM_DONE] = "item.",
                                        [VOICE_ITEM_DELETED] = "deleted",
                                        [VOICE_ITEM_TRUNCATED] = "cut",
                                        [VOICE_TRANSCRIPT_DELTA] = "delta",
                                        [VOICE_TRANSCRIPT_DONE] = "heard",
                                        [VOICE_TRANSCRIPT_FAILED] = "unheard",
                                        [VOICE_RESPONSE_CREATED] = "reply",
                                        [VOICE_OUTPUT_ADDED] = "output+",
                                        [VOICE_TEXT] = "text",
                                        [VOICE_AUDIO] = "audio",
                                        [VOICE_OUTPUT_DONE] = "output.",
                                        [VOICE_RESPONSE_DONE] = "done",
                                        [VOICE_ENDED] = "ended"};
    const char *name = names[event->type];
    switch (event->type) {
    case VOICE_ITEM_ADDED:
    case VOICE_ITEM_DONE:
        log_word(s, name, str_c(session_kind(event->item)));
        break;
    case VOICE_TRANSCRIPT_DELTA:
    case VOICE_TRANSCRIPT_DONE:
    case VOICE_TEXT:
        log_word(s, name, event->text);
        break;
    case VOICE_TRANSCRIPT_FAILED:
        log_unheard(s, event->error);
        break;
    case VOICE_RESPONSE_DONE:
        log_response(s, event->response);
        break;
    case VOICE_AUDIO:
        if (!log_ends(s, "audio"))
            log_word(s, name, STR(""));
        break;
    case VOICE_SPEECH_STARTED:
    case VOICE_SPEECH_STOPPED:
    case VOICE_IDLE:
    case VOICE_COMMITTED:
    case VOICE_CLEARED:
    case VOICE_ITEM_DELETED:
    case VOICE_ITEM_TRUNCATED:
    case VOICE_RESPONSE_CREATED:
    case VOICE_OUTPUT_ADDED:
    case VOICE_OUTPUT_DONE:
    case VOICE_ENDED:
        log_word(s, name, STR(""));
        break;
    }
}

static inline void session_event(void *arg, const struct voice_event *event)
{
    struct voice_call *s = arg;
    assert_null(task_self());
    assert_false(s->in_call);
    session_log(s, event);
    if (event->type == VOICE_AUDIO)
        buf_str_add(&s->audio, event->audio);
    if (event->type == VOICE_TEXT)
        buf_str_add(&s->said, event->text);
    if (event->item) {
        memcpy(s->item, event->item->id, VOICE_ID);
        if (event->item->kind == VOICE_ITEM_USER)
            memcpy(s->user, event->item->id, VOICE_ID);
        if (event->item->kind == VOICE_ITEM_ASSISTANT)
            memcpy(s->spoken, event->item->id, VOICE_ID);
        str_copy(s->previous, VOICE_ID, str_c(event->previous ? event->previous : "none"));
        s->at_ms = event->at_ms;
        s->from_ms = event->from_ms;
    }
    if (event->response)
        memcpy(s->response, event->response->id, VOICE_ID);
    if ((int)event->type + 1 == s->pause_at) {
        s->pause_at = 0;
        voice_pause(s->v, true);
    }
    if ((int)event->type + 1 == s->close_at)
        s->v = voice_close(s->v);
    waitlist_wake_all(&s->changed);
}

static const struct voice_ops session_ops = {.event = session_event};

static const struct fake_heard session_hello[] = {{.final = "hello", .confidence = 0.9}};
static const struct fake_said session_speaks[] = {{.ms = 0}};

/* Scripts and settings may be changed between this and session_start. */
static inline void session_init(struct voice_call *s, struct env *env)
{
    memset(s, 0, sizeof *s); /* a literal of this size would lie on the task's stack as well */
    s->env = env;
    buf_init(&s->log, MIB(1));
    buf_init(&s->audio, MIB(16));
    buf_init(&s->said, MIB(1));
    waitlist_init(&s->changed);
    fake_stt_init(&s->stt, session_hello, 1);
    fake_tts_init(&s->tts, session_speaks, 1);
    s->policy = (struct voice_policy){.tts = &s->tts.base,
                                      .stt = &s->stt.base,
                                      .silence_ms = 200,
                                      .max_silence_ms = 200,
                                      .interrupt_speaking = true,
                                      .interrupt_thinking = true,
                                      .interrupt_min_ms = 60000,
                                      .resume = true,
                                      .stall_timeout_ms = 60000};
    s->settings = VOICE_DEFAULTS;
    s->settings.input_rate = RATE;
}

static inline void session_start(struct voice_call *s)
{
    s->v = voice_new(s->env->chat, &s->policy, &s->settings, &session_ops, s);
}

static inline void session_end(struct voice_call *s)
{
    s->v = voice_close(s->v);
    buf_free(&s->log);
    buf_free(&s->audio);
    buf_free(&s->said);
}

/* Parks until the words were logged, as the beginning of one and whole ones behind it. */
static inline void await(struct voice_call *s, const char *words)
{
    while (str_find(buf_str(&s->log), str_c(words)) < 0)
        assert_int_equal(waitlist_wait(&s->changed, NULL), 0);
}

static inline size_t count_words_of(const struct voice_call *s, const char *word)
{
    struct str rest = buf_str(&s->log);
    size_t n = 0;
    for (ptrdiff_t at; (at = str_find(rest, str_c(word))) >= 0; n++)
        rest = str_from(rest, (size_t)at + 1);
    return n;
}

/* As await, for as many times. */
static inline void await_times(struct voice_call *s, const char *word, size_t times)
{
    while (count_words_of(s, word) < times)
        assert_int_equal(waitlist_wait(&s->changed, NULL), 0);
}

/* Everything since the last call. */
static inline void check_log(struct voice_call *s, const char *want, const char *file, int line)
{
    if (!str_eqc(buf_str(&s->log), want))
        fprintf(stderr, "%s:%d: %s\n", file, line, buf_cstr(&s->log));
    check_str(buf_str(&s->log), want, file, line);
    buf_clear(&s->log);
}
#define expect(s, want) check_log((s), (want), __FILE__, __LINE__)
#define forget_log(s)   buf_clear(&(s)->log)

static inline void hear(struct voice_call *s, const struct buf *pcm)
{
    s->in_call = true;
    assert_ok(s->env, voice_append(s->v, buf_str(pcm), &s->env->e));
    s->in_call = false;
}

static inline void speak_ms(struct voice_call *s, unsigned ms)
{
    struct buf pcm = BUF_INIT(MIB(4));
    fake_voice(&pcm, s->settings.input_rate, ms);
    hear(s, &pcm);
    buf_free(&pcm);
}

static inline void hush(struct voice_call *s)
{
    struct buf pcm = BUF_INIT(MIB(4));
    fake_silence(&pcm, s->settings.input_rate, 600);
    hear(s, &pcm);
    buf_free(&pcm);
}

/* One utterance, from beginning to end. */
static inline void utter(struct voice_call *s)
{
    hush(s);
    speak_ms(s, 800);
    hush(s);
}

static inline void text_item(struct voice_call *s, const char *text)
{
    struct voice_new_item item = {.kind = VOICE_ITEM_USER, .text = str_c(text)};
    assert_ok(s->env, voice_add_item(s->v, &item, &s->env->e));
}

static inline int respond_as(struct voice_call *s, const struct voice_ask *ask)
{
    char running[VOICE_ID];
    s->in_call = true;
    int result = voice_respond(s->v, ask, running, &s->env->e);
    s->in_call = false;
    if (running[0])
        memcpy(s->response, running, VOICE_ID);
    return result;
}

static inline void respond(struct voice_call *s)
{
    struct voice_ask ask = {.in_conversation = true};
    assert_ok(s->env, respond_as(s, &ask));
}

/* A question in text, and the reply to it begins. */
static inline void ask_text(struct voice_call *s, const char *text)
{
    text_item(s, text);
    respond(s);
}

/* What the model was asked, as "system:… user:…". The first message is left out when it is the default. */
static inline struct str asked(struct voice_call *s, size_t request)
{
    static const char *const roles[] = {"system", "user", "assistant", "tool"};
    const struct scripted_request *rq = &s->env->llm->requests[request];
    struct buf all = BUF_INIT(MIB(1));
    for (size_t i = 0; i < rq->nmessages; i++)
        if (i || rq->messages[i].content.n < 200)
            buf_addf(&all, "%s%s:%.*s", all.len ? " " : "", roles[rq->messages[i].role],
                     STR_ARG(rq->messages[i].content));
    struct str kept = arena_str(s->env->a, buf_str(&all));
    buf_free(&all);
    return kept;
}

#endif
