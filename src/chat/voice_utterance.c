#include "base/log.h"
#include "base/mem.h"
#include "chat/voice_failure_impl.h"
#include "chat/voice_input_impl.h"

#include <stdlib.h>

#define RECOGNITIONS  2     /* of one input at a time; further utterances wait */
#define STALL_TIMEOUT 30000 /* ms */
#define TEXT_MAX      KIB(256)

/* One event on its way. */
struct due {
    struct list link;
    struct voice_heard heard;
    struct utterance *over; /* whose outcome this is; NULL: another event */
    char text[];
};

/* ---- events ---- */

static void drop_due(struct voice_input *in, uint64_t number, bool partials_only)
{
    list_each_safe(at, &in->due) {
        struct due *due = container_of(at, struct due, link);
        if (due->heard.utterance != number || (partials_only && due->heard.type != VOICE_HEARD_PARTIAL))
            continue;
        list_remove(at);
        free(due);
    }
}

void input_tell(struct utterance *u, enum voice_heard_type type, uint64_t at)
{
    struct voice_input *in = u->in;
    bool outcome = type == VOICE_HEARD_FINAL || type == VOICE_HEARD_FAILED;
    struct str text = type == VOICE_HEARD_PARTIAL || type == VOICE_HEARD_FINAL ? buf_str(&u->text) : STR("");
    if (type == VOICE_HEARD_PARTIAL)
        drop_due(in, u->number, true); /* nobody saw the one before */
    struct due *due = mem_alloc(sizeof *due + text.n);
    memcpy(due->text, text.p, text.n);
    *due = (struct due){.heard = {.type = type,
                                  .utterance = u->number,
                                  .at_ms = input_ms(in, at),
                                  .text = str_n(due->text, text.n),
                                  .confidence = type == VOICE_HEARD_FINAL ? u->confidence : -1,
                                  .audio_ms = outcome ? input_ms(in, u->samples) : 0,
                                  .error = type == VOICE_HEARD_FAILED ? &u->failure : NULL},
                        .over = outcome ? u : NULL};
    list_push_back(&in->due, &due->link);
    if (!timer_running(&in->deliver))
        timer_start(in->loop, &in->deliver, 0);
}

/* Of one that is in no list, with no work under way. */
static void utterance_free(struct utterance *u)
{
    buf_free(&u->kept);
    buf_free(&u->text);
    free(u);
}

void utterance_discard(struct utterance *u)
{
    list_remove(&u->link);
    timer_stop(u->in->loop, &u->stalled);
    recognition_give_up(u->recognition);
    utterance_free(u);
}

/* Whoever hears an event may call anything, also voice_input_free. */
void input_deliver(struct timer *timer)
{
    struct voice_input *in = container_of(timer, struct voice_input, deliver);
    bool gone = false;
    in->gone = &gone;
    for (struct list *first; !gone && (first = list_pop_front(&in->due));) {
        struct due *due = container_of(first, struct due, link);
        if (due->over)
            list_remove(&due->over->link);
        in->heard(in->arg, &due->heard);
        if (due->over)
            utterance_free(due->over);
        free(due);
    }
    if (!gone)
        in->gone = NULL;
}

/* ---- recognition ---- */

static void start_waiting(struct voice_input *in);

static void tell_outcome(struct utterance *u)
{
    timer_stop(u->in->loop, &u->stalled);
    input_tell(u, u->failure.code == ERR_NONE ? VOICE_HEARD_FINAL : VOICE_HEARD_FAILED, 0);
}

static void come_over(struct utterance *u)
{
    u->over = true;
    u->recognition = NULL;
    buf_free(&u->kept);
    if (u->ended)
        tell_outcome(u);
}

/* Before the commit there is another chance. */
static void fail(struct utterance *u, const struct err *why)
{
    u->recognition = NULL;
    log_warn("chat", "recognition_failed", F_C("stt", u->in->stt ? stt_name(u->in->stt) : "none"),
             F_C("code", err_name(why->code)));
    if (!u->ended && !u->detected && u->in->stt) {
        u->dormant = true;
        return;
    }
    voice_failure(&u->failure, VOICE_RECOGNITION, why);
    come_over(u);
}

static void watch(struct utterance *u)
{
    unsigned ms = u->in->how.stall_timeout_ms;
    timer_start(u->in->loop, &u->stalled, ms ? ms : STALL_TIMEOUT);
}

static void on_stalled(struct timer *timer)
{
    struct utterance *u = container_of(timer, struct utterance, stalled);
    struct err e;
    u->recognition = recognition_give_up(u->recognition);
    err_set(&e, ERR_TIMEOUT, NULL);
    fail(u, &e);
    start_waiting(u->in);
}

static void take_text(struct utterance *u, struct str text)
{
    buf_clear(&u->text);
    buf_str_add(&u->text, str_n(text.p, MIN(text.n, TEXT_MAX)));
}

static void on_partial(void *arg, struct str text)
{
    struct utterance *u = arg;
    if (timer_running(&u->stalled))
        watch(u);
    text = str_trim(text);
    if (str_eq(text, buf_str(&u->text)))
        return;
    take_text(u, text);
    u->changed_ms = loop_now_ms(u->in->loop);
    if (u->in->how.partials && (u->detected || u->ended))
        input_tell(u, VOICE_HEARD_PARTIAL, 0);
}

static void on_over(void *arg, const struct stt_event *final, const struct err *error)
{
    struct utterance *u = arg;
    struct voice_input *in = u->in;
    if (error) {
        fail(u, error);
    } else {
        take_text(u, str_trim(final->text));
        u->confidence = final->confidence;
        come_over(u);
    }
    start_waiting(in);
}

static void start(struct utterance *u)
{
    static const struct recognition_ops ops = {.partial = on_partial, .over = on_over};
    const struct voice_listening *how = &u->in->how;
    struct stt_request rq = {.rate = how->rate,
                             .language = how->language,
                             .prompt = how->prompt,
                             .partial = how->partials || how->max_silence_ms > how->silence_ms};
    u->recognition = recognition_start(u->in->stt, &rq, &ops, u);
    if (!u->recognition) {
        fail(u, &(struct err){.code = ERR_OVERLOADED});
        return;
    }
    recognition_add(u->recognition, buf_str(&u->kept));
    if (u->detected || u->ended)
        buf_free(&u->kept);
    if (u->ended) {
        recognition_finish(u->recognition);
        watch(u);
    }
}

/* The utterances that wait for their turn, as many as may. */
static void start_waiting(struct voice_input *in)
{
    unsigned running = 0;
    list_each(at, &in->utterances)
        running += container_of(at, struct utterance, link)->recognition != NULL;
    list_each(at, &in->utterances) {
        struct utterance *u = container_of(at, struct utterance, link);
        if (running == RECOGNITIONS)
            return;
        if (u->recognition || u->over || u->dormant)
            continue;
        start(u);
        running += u->recognition != NULL;
    }
}

/* ---- utterances ---- */

void utterance_begin(struct voice_input *in, bool detected)
{
    struct utterance *u = mem_alloc(sizeof *u);
    *u = (struct utterance){.in = in,
                            .number = ++in->last_number,
                            .detected = detected,
                            .kept = BUF_INIT(SIZE_MAX),
                            .text = BUF_INIT(TEXT_MAX),
                            .confidence = -1,
                            .stalled.fn = on_stalled};
    list_push_back(&in->utterances, &u->link);
    in->current = u;
    if (in->stt)
        start_waiting(in);
    else
        fail(u, &(struct err){.code = ERR_NOT_CONFIGURED});
}

void utterance_add(struct utterance *u, struct str pcm)
{
    u->samples += pcm.n / sizeof(int16_t);
    if (u->over)
        return;
    if (u->recognition)
        recognition_add(u->recognition, pcm);
    if (!u->recognition || !u->detected)
        buf_str_add(&u->kept, pcm);
}

void utterance_end(struct utterance *u)
{
    u->in->current = NULL;
    u->ended = true;
    u->dormant = false;
    if (!u->detected && u->in->how.partials && u->text.len && !u->over)
        input_tell(u, VOICE_HEARD_PARTIAL, 0);
    if (u->over) {
        tell_outcome(u);
        return;
    }
    if (u->recognition) {
        buf_free(&u->kept);
        recognition_finish(u->recognition);
        watch(u);
    }
    start_waiting(u->in);
}

void utterance_rest(struct utterance *u)
{
    u->recognition = recognition_give_up(u->recognition);
    u->dormant = true;
    start_waiting(u->in);
}

void utterance_forget(struct utterance *u)
{
    struct voice_input *in = u->in;
    if (in->current == u)
        in->current = NULL;
    drop_due(in, u->number, false);
    utterance_discard(u);
    start_waiting(in);
}

size_t utterances_waiting(const struct voice_input *in)
{
    size_t n = 0;
    list_each(at, &in->utterances) {
        const struct utterance *u = container_of(at, struct utterance, link);
        n += u->recognition ? recognition_waiting(u->recognition) : u->kept.len;
    }
    return n;
}
